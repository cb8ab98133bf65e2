"""A first line with flags of RIPE's database is the query behind them."""

import pytest

from rwhoisd.directory.dialect import ARIN, RFC, Dialect
from rwhoisd.protocol.directives import NAMES
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import DirectiveRequest, QueryRequest
from rwhoisd.protocol.ripe import without_flags
from rwhoisd.protocol.session import Session, SessionLimits, Speech


@pytest.mark.parametrize(
    ("line", "query"),
    [
        pytest.param(b"-B 192.0.2.1", b"192.0.2.1", id="one flag"),
        pytest.param(b"-r -B 192.0.2.1", b"192.0.2.1", id="two flags"),
        pytest.param(b"-rB 192.0.2.1", None, id="two letters"),
        pytest.param(b"-T inetnum 192.0.2.1", b"192.0.2.1", id="flag with a value"),
        pytest.param(b"-soa example.net", None, id="directive that begins with a flag"),
        pytest.param(b"-i mnt-by EXAMPLE-MNT", b"EXAMPLE-MNT", id="inverse"),
        pytest.param(b"-V Md5.6 -x 192.0.2.0/24", b"192.0.2.0/24", id="client's name"),
        pytest.param(b"-x\t 2001:db8::/32", b"2001:db8::/32", id="tab"),
        pytest.param(b"-a network POP-1", b"network POP-1", id="query of two words"),
        pytest.param(b"-t person", b"person", id="about the database"),
        pytest.param(b"-B", None, id="flag alone"),
        pytest.param(b"-T inetnum", None, id="nothing but the flag and its value"),
        pytest.param(b"-z 192.0.2.1", None, id="unknown letter"),
        pytest.param(b"-X 192.0.2.1", None, id="X is ours"),
        pytest.param(b"-5 192.0.2.1", None, id="digit"),
        pytest.param(b"-B -", None, id="dash behind it"),
        pytest.param(b"192.0.2.1", None, id="query"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_query_behind_flags(line: bytes, query: bytes | None) -> None:
    assert without_flags(line) == query


@pytest.mark.parametrize("name", [*NAMES, "X-date", "nosuch"])
def test_directive_is_never_taken_for_flags(name: str) -> None:
    assert without_flags(f"-{name} on a b".encode()) is None


@pytest.mark.parametrize("dialect", [ARIN, RFC], ids=["arin", "rfc"])
def test_only_the_first_line_of_a_session_may_begin_with_flags(dialect: Dialect) -> None:
    session = Session(Speech(dialect, b"", SessionLimits()))
    session.receive(b"\r\n-B 192.0.2.1\r\n-quit\r\n")
    assert session.next_request() == QueryRequest(b"192.0.2.1")
    session.send(Reply())
    assert session.closing

    session = Session(Speech(dialect, b"", SessionLimits()))
    session.receive(b"-status\r\n-B 192.0.2.1\r\n")
    assert session.next_request() == DirectiveRequest("status", "")
    session.send(Reply())
    assert session.next_request() == DirectiveRequest("B", "192.0.2.1")
