"""Whatever a client types, the service answers it: nothing raises, one last line each."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from rwhoisd.directory.dialect import Compat
from rwhoisd.protocol.directives import NAMES, x_directive
from rwhoisd.protocol.requests import Request
from rwhoisd.service.ports import Ports, ProgramResult
from rwhoisd.service.service import Service
from tests.unit import service_kit as kit

WORDS = st.sampled_from(
    [
        *NAMES,
        *("X-echo", "on", "off", "a.com", "10.0.0.0/8", "b.net", "c.org", "contact", "person"),
        *("class=contact", "attr=Name", "attribute=N", "class=", "=", "20240101000000000", "5"),
        *("request", "pw", "crypt-pw", "Secret", "add", "mod", "del", "x@a.com", "badref"),
        *("inssec", "h:1:a.com", "rwhois://h/auth-area=a", "V-1.5", '"', "'", "*", "and", "or"),
        *("Class-Name:", "Auth-Area:", "ID:1.a.com", "Updated:20240101", "---", "_NEW_", "\xe9"),
        *("email=j*", "10.1.2.3", "3.a.com", "x.sub.a.com", "Name:", "!=", "-", "\0", "\t"),
    ]
)
LINES = st.one_of(
    st.lists(WORDS, max_size=5).map(" ".join).map(lambda text: text.encode("latin-1")),
    st.lists(WORDS, max_size=5).map(" ".join).map(lambda text: b"-" + text.encode("latin-1")),
    st.binary(max_size=80),
)


@cache
def service(compat: Compat) -> Service:
    folder = Path(tempfile.mkdtemp(prefix="rwhoisd-test-"))
    atexit.register(shutil.rmtree, folder)
    ports = Ports(
        notices=kit.FakeNotices(),
        programs=kit.FakePrograms(ProgramResult(b"out\n")),
        connector=kit.FakeConnector(),
        registry=kit.FakeRegistry(),
    )
    external = (x_directive("echo", ["/bin/echo"]),)
    chosen = kit.settings(compat, external=external, punts=("rwhois://up.example.com",))
    return Service(kit.open_reader(folder, compat=compat), chosen, ports)


@settings(max_examples=300, deadline=None)
@given(compat=st.sampled_from(["arin", "rfc"]), lines=st.lists(LINES, max_size=8))
def test_everything_is_answered_once(compat: Compat, lines: list[bytes]) -> None:
    talk = kit.Talk(service(compat))
    talk.session.peer.holdconnect = True
    for line in lines:
        talk.session.receive(line.replace(b"\n", b"") + b"\n")
        while isinstance(request := talk.session.next_request(), Request):
            wire = talk.answer(request)
            assert wire.endswith(b"\n")
            finals = [x for x in wire.split(b"\n") if x.startswith((b"%ok", b"%error "))]
            assert len(finals) == 1
            assert wire.rstrip(b"\r\n").rpartition(b"\n")[2].startswith((b"%ok", b"%error "))
            assert (
                b"Guard-Info" not in wire
                or talk.session.peer.credentials is not None
                or (b"-schema" in line.lower())
            )
