"""HAProxy: address forms, ports that servers take from their clients, sections and files."""

import pytest

from rwhoisd.inventory.facts import Forwarding, RealServer, Vip
from rwhoisd.inventory.sources.haproxy import split
from tests.property.inventory_kit import read_text, rows_of


def rows(*texts: str) -> list[str]:
    return rows_of(read_text("haproxy", *texts))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("192.0.2.1:80", ["192.0.2.1 80/tcp"], id="v4"),
        pytest.param("192.0.2.1", ["192.0.2.1"], id="v4 without a port"),
        pytest.param("2001:db8::1:80", ["2001:db8::1 80/tcp"], id="last colon parts"),
        pytest.param("2001:db8::1:", ["2001:db8::1"], id="last colon with nothing"),
        pytest.param("2001:db8::", ["2001:db8::"], id="no port after two colons"),
        pytest.param("[2001:db8::1]:80", ["2001:db8::1 80/tcp"], id="brackets"),
        pytest.param("ipv6@2001:db8::1:80", ["2001:db8::1 80/tcp"], id="family"),
        pytest.param("quic4@192.0.2.1:443", ["192.0.2.1 443/udp"], id="quic"),
        pytest.param("quic+ip@192.0.2.1:443", ["192.0.2.1 443/udp"], id="transport"),
        pytest.param("stream+ipv4@192.0.2.1:80", ["192.0.2.1 80/tcp"], id="stream"),
        pytest.param("mptcp@192.0.2.1:80", ["192.0.2.1 80/tcp"], id="mptcp"),
        pytest.param("192.0.2.1:80,192.0.2.2:81", ["192.0.2.1 80/tcp", "192.0.2.2 81/tcp"]),
        pytest.param("192.0.2.1:80-81", ["192.0.2.1 80/tcp", "192.0.2.1 81/tcp"], id="range"),
        pytest.param("192.0.2.1:1-65535", ["192.0.2.1"], id="too many ports"),
        pytest.param('"192.0.2.1:80"', ["192.0.2.1 80/tcp"], id="quoted"),
        *[
            pytest.param(text, [], id=f"none in {text}")
            for text in (
                ":80", "*:80", "0.0.0.0:80", ":::80", "::1:80", "127.0.0.1:80", "localhost:80",
                "unix@/run/x", "/run/x", "abns@x", "fd@3", "rhttp@b/s", "${VIP}:80", "<vip>:80",
                "192.0.2.X:80", "{{ vip }}:80", "<%= vip %>:80",
            )
        ],
    ],
)  # fmt: skip
def test_an_address_is_read_as_haproxy_does(address: str, expected: list[str]) -> None:
    found = rows(f"frontend f\n bind {address}\n")
    assert [row.removeprefix("vip ").removesuffix(" = f") for row in found] == expected


@pytest.mark.parametrize(
    ("binds", "server", "expected"),
    [
        pytest.param([":80"], "10.0.0.1", ["80/tcp"], id="the client's"),
        pytest.param([":80", ":81"], "10.0.0.1", ["80/tcp", "81/tcp"], id="two of clients"),
        pytest.param([":80"], "10.0.0.1:+8000", ["8080/tcp"], id="counted up"),
        pytest.param(["127.0.0.1:8080"], "10.0.0.1:-8000", ["80/tcp"], id="counted down"),
        pytest.param([":80-90"], "10.0.0.1", [""], id="of a range none is told"),
        pytest.param([], "10.0.0.1", [""], id="no client"),
        pytest.param([":80"], "10.0.0.1:0", [""], id="no port"),
        pytest.param([":80"], "10.0.0.1:99999", [""], id="no such port"),
        pytest.param([":60000"], "10.0.0.1:+9999", [""], id="counted too far"),
    ],
)
def test_a_server_without_a_port_takes_the_client_s(
    binds: list[str], server: str, expected: list[str]
) -> None:
    lines = [f" bind {bind}" for bind in binds]
    text = "\n".join(
        ["frontend f", " use_backend b if x", *lines, "backend b", f" server s {server}"]
    )
    assert rows(text) == [
        " ".join(filter(None, ["rip 10.0.0.1", port, "= s @ b"])) for port in expected
    ]


@pytest.mark.parametrize(
    ("section", "statement"),
    [
        pytest.param("peers p", "server a 192.0.2.1:1024"),
        pytest.param("peers p", "bind 192.0.2.1:1024"),
        pytest.param("peers p", "peer a 192.0.2.1:1024"),
        pytest.param("resolvers r", "nameserver a 192.0.2.1:53"),
        pytest.param("ring r", "server a 192.0.2.1:514"),
        pytest.param("log-forward l", "bind 192.0.2.1:514"),
        pytest.param("mailers m", "mailer a 192.0.2.1:25"),
        pytest.param("global", "log 192.0.2.1:514 local0"),
        pytest.param("backend b", "mode log\n server a udp@192.0.2.1:514"),
        pytest.param("backend b", "source 192.0.2.1"),
        pytest.param("backend b", "#server a 192.0.2.1:80"),
        pytest.param("backend b", "stats auth a:192.0.2.1"),
        pytest.param("backend b", "server a 127.0.0.1:80 backup"),
        pytest.param("backend b", "server a localhost.localdomain:80"),
    ],
)
def test_what_is_no_allocation(section: str, statement: str) -> None:
    assert rows(f"{section}\n {statement}\n") == []


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param(["server a 10.0.0.1:80 disabled"], "(off)", id="server"),
        pytest.param(["disabled", "server a 10.0.0.1:80"], "(off)", id="backend"),
        pytest.param(["default-server disabled", "server a 10.0.0.1:80"], "(off)", id="default"),
        pytest.param(
            ["default-server disabled", "server a 10.0.0.1:80 enabled"], "", id="on again"
        ),
        pytest.param(["server a 10.0.0.1:80 weight 0"], "", id="drained is not off"),
    ],
)
def test_a_disabled_server_is_kept(statements: list[str], expected: str) -> None:
    text = "backend b\n" + "\n".join(statements)
    assert rows(text) == [f"rip 10.0.0.1 80/tcp = a @ b {expected}".strip()]


def test_files_are_one_configuration() -> None:
    first = "frontend f\n bind 192.0.2.1:80\n default_backend b\nbackend b\n server s1 10.0.0.1\n"
    assert rows(first, " server s2 10.0.0.2\n", "backend b\n server s3 10.0.0.3\n") == [
        "vip 192.0.2.1 80/tcp = f",
        "rip 10.0.0.1 80/tcp = s1 @ b",
        "rip 10.0.0.2 80/tcp = s2 @ b",
        "rip 10.0.0.3 80/tcp = s3 @ b",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("listen l 192.0.2.1:80,192.0.2.2:80", ["192.0.2.1", "192.0.2.2"], id="listen"),
        pytest.param("frontend l 192.0.2.1:80", ["192.0.2.1"], id="frontend"),
        pytest.param(
            "listen l from base\n bind 192.0.2.1:80", ["192.0.2.1"], id="from is no address"
        ),
    ],
)
def test_an_address_on_the_line_of_the_section(text: str, expected: list[str]) -> None:
    assert rows(text) == [f"vip {where} 80/tcp = l" for where in expected]


def test_variables_of_the_files_themselves_are_put_in() -> None:
    text = 'global\n setenv VIP 192.0.2.1\nfrontend f\n bind ${VIP}:80\n bind "$OTHER:80"\n'
    reading = read_text("haproxy", text)
    assert rows_of(reading) == ["vip 192.0.2.1 80/tcp = f"]
    assert [found.line for found in reading.findings] == [5]


@pytest.mark.parametrize(
    "line",
    [
        "server {{ name }} {{ ip }}:80",
        "server <%= name %> <%= ip %>:80",
        "server s ${IP}:80",
        "server s",
        "server s <ip>:80",
        "server s 10.0.0.999:80",
    ],
)
def test_what_is_not_filled_in_is_a_warning(line: str) -> None:
    reading = read_text("haproxy", f"backend b\n {line}\n")
    assert rows_of(reading) == []
    assert [found.line for found in reading.findings] == [2]


def test_a_section_and_a_server_have_any_name_that_is_written_out() -> None:
    text = "backend xxx.users\n server XXX.1 10.0.0.1:80\n server {{ name }} 10.0.0.2:80\n"
    assert rows(text) == ["rip 10.0.0.1 80/tcp = XXX.1 @ xxx.users"]


def test_a_name_is_not_resolved() -> None:
    assert rows(
        "listen l\n bind *:80\n server s db1.example.net.:3306\n dispatch 10.0.0.9:80\n"
    ) == [
        "rip 3306/tcp = db1.example.net @ l",
        "rip 10.0.0.9 80/tcp @ l",
    ]


def test_a_template_of_servers_has_its_name() -> None:
    assert rows("backend b\n server-template web 1-5 web.example.net:80 check\n") == [
        "rip 80/tcp = web.example.net @ b"
    ]


def test_datagrams_are_balanced_too() -> None:
    assert rows("udp-lb dns\n dgram-bind 192.0.2.53:53\n server a 10.0.0.1:53\n") == [
        "vip 192.0.2.53 53/udp = dns",
        "rip 10.0.0.1 53/udp = a @ dns",
    ]


def test_what_is_published_beside() -> None:
    text = (
        "frontend f\n bind 192.0.2.1:80\n use_backend other if x\n default_backend b\n"
        "backend b\n server s 10.0.0.1:80 backup\n"
    )
    vip, server = read_text("haproxy", text).facts
    assert isinstance(vip, Vip)
    assert (vip.pool, vip.forwarding) == ("b", Forwarding.PROXY)
    assert isinstance(server, RealServer)
    assert (server.pool, server.standby, server.forwarding) == ("b", True, Forwarding.PROXY)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("server a 10.0.0.1 # note", ["server", "a", "10.0.0.1"]),
        (r"option httpchk GET\ / HTTP/1.1\r\n", ["option", "httpchk", "GET /", "HTTP/1.1rn"]),
        ("""acl x "a b # c" 'd "e"'""", ["acl", "x", "a b # c", 'd "e"']),
        ('bind "192.0.2.1', ["bind", "192.0.2.1"]),
        ("  # all of it", []),
        ("trailing\\", ["trailing\\"]),
    ],
)
def test_words_of_a_line(line: str, expected: list[str]) -> None:
    assert split(line) == expected
