"""Host and port as people write them."""

import pytest

from rwhoisd.directory.area import HostPort


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", 4321),
        ("rwhois.example.net:43", "rwhois.example.net", 43),
        (" 192.0.2.1:4321 ", "192.0.2.1", 4321),
        ("[2001:db8::1]:43", "2001:db8::1", 43),
        ("[::1]", "::1", 4321),
        ("::1", "::1", 4321),
        ("2001:db8::1", "2001:db8::1", 4321),
        ("fe80::1%eth0", "fe80::1%eth0", 4321),
    ],
    ids=str,
)
def test_from_text(text: str, host: str, port: int) -> None:
    found = HostPort.from_text(text)
    assert found == HostPort(host, port)
    assert HostPort.from_text(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", ":43", "a:", "a:0", "a:65536", "a:999999", "a b", "[::1", "[a]:1", "a:b:c", "[]", "a/b"],
    ids=lambda text: text or "empty",
)
def test_what_is_no_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        HostPort.from_text(text)
