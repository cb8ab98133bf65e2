"""TCP-wrappers files (§11.8)."""

import pytest

from rwhoisd.formats.hosts_access import allowed, parse


def decide(allow: str, deny: str, service: str, address: str, name: str | None = None) -> bool:
    return allowed(service, address, parse(allow)[0], parse(deny)[0], name)


@pytest.mark.parametrize(
    ("allow", "deny", "service", "address", "expected"),
    [
        pytest.param("", "", "rwhoisd", "192.0.2.1", True, id="nothing-said"),
        pytest.param("", "ALL: ALL\n", "rwhoisd", "192.0.2.1", False, id="deny-all"),
        pytest.param("", "ALL: ALL", "rwhoisd", "192.0.2.1", True, id="no-final-line-end"),
        pytest.param("rwhoisd: 192.0.2.\n", "ALL: ALL\n", "rwhoisd", "192.0.2.1", True, id="head"),
        pytest.param("rwhoisd: 192.0.2.\n", "ALL: ALL\n", "rwhoisd", "192.0.20.1", False, id="dot"),
        pytest.param("", "xfer: ALL\n", "rwhoisd", "192.0.2.1", True, id="other-service"),
        pytest.param("", "XFER : all\n", "xfer", "192.0.2.1", False, id="case"),
        pytest.param("", "soa, xfer: ALL\n", "xfer", "192.0.2.1", False, id="commas"),
        pytest.param("", "ALL EXCEPT soa: ALL\n", "soa", "192.0.2.1", True, id="except-service"),
        pytest.param("", "ALL: ALL EXCEPT 192.0.2.1\n", "soa", "192.0.2.1", True, id="except"),
        pytest.param("", "ALL: ALL EXCEPT 192.0.2.1\n", "soa", "192.0.2.2", False, id="others"),
        pytest.param(
            "",
            "ALL: ALL EXCEPT 192.0.2. EXCEPT 192.0.2.9\n",
            "soa",
            "192.0.2.9",
            False,
            id="nested",
        ),
        pytest.param("", "ALL: 192.0.2.0/255.255.255.0\n", "soa", "192.0.2.9", False, id="mask"),
        pytest.param("", "ALL: 192.0.2.0/255.255.255.0\n", "soa", "192.0.3.9", True, id="mask-out"),
        pytest.param("", "ALL: 192.0.2.0/24\n", "soa", "192.0.2.9", True, id="no-length-in-v4"),
        pytest.param("", "ALL: [2001:db8::]/32\n", "soa", "2001:db8::1", True, id="slash-outside"),
        pytest.param("", "ALL: [2001:db8::/32]\n", "soa", "2001:db8::1", False, id="v6-length"),
        pytest.param("", "ALL: [2001:db8::1]\n", "soa", "2001:db8:0::1", False, id="v6"),
        pytest.param("", "ALL: [::1]\n", "soa", "::1", False, id="v6-loopback"),
        pytest.param("", "ALL: [2001:db8::/32]\n", "soa", "192.0.2.1", True, id="v6-against-v4"),
        pytest.param("", "soa: \\\n192.0.2.1\n", "soa", "192.0.2.1", False, id="continued"),
        pytest.param("", "# ALL: ALL\n\n", "soa", "192.0.2.1", True, id="comment"),
        pytest.param("soa: ALL\n", "soa: ALL\n", "soa", "192.0.2.1", True, id="allow-first"),
        pytest.param("", "soa: LOCAL\n", "soa", "192.0.2.1", True, id="local-needs-a-name"),
    ],
)
def test_decisions(allow: str, deny: str, service: str, address: str, expected: bool) -> None:
    assert decide(allow, deny, service, address) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (".example.net", "a.example.net", False),
        (".example.net", "a.example.com", True),
        ("LOCAL", "gate", False),
        ("LOCAL", "gate.example.net", True),
        ("KNOWN", "gate", False),
        ("gate.example.net", "GATE.example.net", False),
    ],
)
def test_names_count_when_the_caller_knows_one(pattern: str, name: str, expected: bool) -> None:
    assert decide("", f"ALL: {pattern}\n", "soa", "192.0.2.1", name) is expected


def test_odd_lines_are_told_with_their_number() -> None:
    _, odd = parse("# ok\nnonsense\nsoa: .example.net\nsoa: ALL: spawn x\nxfer: @group\nALL: ALL")
    assert [line for line, _ in odd] == [6, 2, 3, 4, 5]
