"""keepalived.conf: what a statement gives, and what it does not."""

from pathlib import Path

import pytest

from rwhoisd.inventory.facts import Forwarding, RealServer, Vip
from rwhoisd.inventory.scan import Reading, scan
from rwhoisd.inventory.source import TextFile, find_source
from rwhoisd.inventory.sources.blocks import Grammar, Statement, tree_of
from tests.property.inventory_kit import read_text


def read(*texts: str) -> Reading:
    return read_text("keepalived", *texts)


def short(reading: Reading) -> list[str]:
    """Each fact in a line: kind, address or name, service, owner."""
    return [
        " ".join(
            str(part)
            for part in (fact.kind, fact.where or fact.name, fact.service, fact.belongs_to)
            if part is not None
        )
        for fact in reading.facts
    ]


def instance(line: str) -> str:
    return f"vrrp_instance V {{\n virtual_ipaddress {{\n{line}\n}}\n}}\n"


@pytest.mark.parametrize(
    ("line", "addresses"),
    [
        pytest.param("192.0.2.1", ["192.0.2.1"], id="bare"),
        pytest.param("192.0.2.1/24 dev eth0 label eth0:1 scope site", ["192.0.2.1"], id="words"),
        pytest.param("192.0.2.1/24 brd 192.0.2.255 peer 192.0.2.9", ["192.0.2.1"], id="values"),
        pytest.param("192.0.2.1/255.255.255.0", ["192.0.2.1"], id="mask"),
        pytest.param("192.0.2.1 192.0.2.2 # 192.0.2.3", ["192.0.2.1", "192.0.2.2"], id="two"),
        pytest.param("192.0.2.1 // was 192.0.2.4", ["192.0.2.1"], id="slashes"),
        pytest.param("192.0.2.1!192.0.2.3", ["192.0.2.1"], id="comment within a word"),
        pytest.param('"192.0.2.1/24" dev "eth 0"', ["192.0.2.1"], id="quotes"),
        pytest.param("2001:DB8:0:0::0001/64", ["2001:db8::1"], id="v6"),
        pytest.param("@one 192.0.2.1\n@^one 192.0.2.2", ["192.0.2.1", "192.0.2.2"], id="ids"),
        pytest.param("#192.0.2.1\n! 192.0.2.2", [], id="commented out"),
        pytest.param("127.0.0.1\nfe80::1 dev eth0\n224.0.0.18", [], id="never published"),
    ],
)
def test_a_line_of_addresses(line: str, addresses: list[str]) -> None:
    reading = read(instance(line))
    assert short(reading) == [f"vip {address} V" for address in addresses]
    assert not reading.findings


@pytest.mark.parametrize(
    "word", ["<virtual_ip>", "{{ vip }}", "${VIP}", "X.X.X.222", "192.0.2.XXX", "@VIP@", "VIP"]
)
def test_what_is_to_be_filled_in_is_a_warning(word: str) -> None:
    reading = read(instance(word) + f"virtual_server {word} 80 {{\n}}\n")
    assert not reading.facts
    assert sorted(found.line for found in reading.findings) == [3, 6]


@pytest.mark.parametrize(
    ("said", "owners"),
    [
        pytest.param("203.0.113.1 80", ["203.0.113.1:80/tcp"], id="address"),
        pytest.param("203.0.113.1 http", ["203.0.113.1:80/tcp"], id="port by name"),
        pytest.param("203.0.113.1", ["203.0.113.1:0/tcp"], id="every port"),
        pytest.param("2001:db8::1 443", ["[2001:db8::1]:443/tcp"], id="v6"),
        pytest.param("fwmark 12", ["fwmark:12"], id="mark"),
        pytest.param(
            "group G",
            ["203.0.113.9:80/tcp", "203.0.113.10:80/tcp", "[2001:db8::f]:443/tcp",
             "[2001:db8::10]:443/tcp", "fwmark:3"],
            id="group",
        ),
        pytest.param("group unknown", [None], id="group that is nowhere"),
    ],
)  # fmt: skip
def test_real_servers_belong_to_each_service(said: str, owners: list[str | None]) -> None:
    reading = read(
        f"virtual_server {said} {{\n real_server 10.0.0.1 8080 {{\n}}\n}}\n"
        "virtual_server_group G {\n203.0.113.9-10 80\n2001:db8::f-10 443\nfwmark 3\n}\n"
    )
    servers = [fact for fact in reading.facts if isinstance(fact, RealServer)]
    assert [server.belongs_to for server in servers] == owners
    assert {server.service for server in servers} == {"8080/tcp"}


def test_a_group_that_no_service_names_gives_none() -> None:
    assert not read("virtual_server_group G {\n203.0.113.9 80\n}\n").facts


def test_a_group_of_another_file_is_found() -> None:
    reading = read(
        "virtual_server group G {\n protocol UDP\n}\n", "virtual_server_group G {\n192.0.2.1 53\n}"
    )
    assert short(reading) == ["vip 192.0.2.1 53/udp G"]
    assert reading.facts[0].place.file == "file1"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("lb_kind DR", Forwarding.DSR, id="DR"),
        pytest.param("lvs_method nat", Forwarding.NAT, id="nat"),
        pytest.param("lb_kind TUN", Forwarding.TUNNEL, id="TUN"),
        pytest.param("lb_kind FNAT", Forwarding.NAT, id="DPVS"),
        pytest.param("", None, id="not said"),
    ],
)
def test_how_packets_are_handed_on(kind: str, expected: Forwarding | None) -> None:
    reading = read(
        f"virtual_server 192.0.2.1 80 {{\nreal_server 10.0.0.1 80 {{ }}\n"
        f"real_server 10.0.0.2 80 {{ lvs_method TUN }}\n{kind}\n}}"
    )
    ways = [fact.forwarding for fact in reading.facts if isinstance(fact, Vip | RealServer)]
    assert ways == [expected, expected, Forwarding.TUNNEL]


def test_a_sorry_server_stands_by_unless_it_is_the_director() -> None:
    reading = read(
        "virtual_server 192.0.2.1 80 {\nsorry_server 10.0.0.9 80\n}\n"
        "virtual_server 192.0.2.2 80 {\nsorry_server 127.0.0.1 80\n}\n"
    )
    standby = [fact for fact in reading.facts if isinstance(fact, RealServer)]
    assert [(str(one.where), one.standby) for one in standby] == [("10.0.0.9", True)]


def test_real_servers_of_snat_are_none() -> None:
    assert not read("virtual_server match SNAT {\nreal_server 192.0.2.9 0 {\n}\n}").facts


def test_a_lost_brace_hides_nothing_and_the_source_is_not_whole() -> None:
    reading = read(
        "virtual_server 192.0.2.1 80 {\n real_server 10.0.0.1 80 {\n  TCP_CHECK {\n"
        " real_server 10.0.0.2 80 {\n }\n}\n"
        "vrrp_instance V {\n virtual_ipaddress {\n 192.0.2.1\n"
        "virtual_server 192.0.2.2 80 {\n real_server 10.0.0.3 80 { }\n"
    )
    assert short(reading) == [
        "vip 192.0.2.1 80/tcp",
        "rip 10.0.0.1 80/tcp 192.0.2.1:80/tcp",
        "rip 10.0.0.2 80/tcp 192.0.2.1:80/tcp",
        "vip 192.0.2.1 V",
        "vip 192.0.2.2 80/tcp",
        "rip 10.0.0.3 80/tcp 192.0.2.2:80/tcp",
    ]
    assert any("not closed" in str(found) for found in reading.findings)


def test_variables_stand_for_words_but_not_for_blocks() -> None:
    reading = read(
        "$NET=192.0.2\n$VIP=${NET}.1/24 dev eth0\n$LOOP=$LOOP x\n$PASS=secret\n"
        "$BLOCK= \\\n vrrp_instance I { \\\n virtual_ipaddress { \\\n 192.0.2.99 \\\n } \\\n}\n"
        + instance("$VIP\n${NET}.2\n$LOOP")
        + "$BLOCK\n~SEQ(N, 1, 9) $BLOCK\n"
    )
    assert short(reading) == ["vip 192.0.2.1 V", "vip 192.0.2.2 V"]
    said = [str(found) for found in reading.findings]
    assert len([text for text in said if "is not expanded" in text]) == 2
    assert "secret" not in "".join(said)


def test_includes_are_followed_within_the_root_and_never_in_a_circle(tmp_path: Path) -> None:
    main, part = tmp_path / "keepalived.conf", tmp_path / "conf.d" / "a.conf"
    part.parent.mkdir()
    main.write_text("include conf.d/*.conf\nincludea ../../etc/hosts\ninclude none.conf\n")
    part.write_text(instance("192.0.2.1") + "include ../keepalived.conf\ninclude a.conf\n")
    reading = scan(find_source("keepalived"), [main], root=tmp_path)
    assert short(reading) == ["vip 192.0.2.1 V"]
    assert reading.facts[0].place.line == 3
    assert len(reading.findings) == 4
    assert not scan(find_source("keepalived"), [main]).facts


def words_of(statements: tuple[Statement, ...]) -> list[object]:
    """Statements as nested lists."""
    return [
        [*one.words, *([words_of(one.body)] if one.body is not None else [])] for one in statements
    ]


@pytest.mark.parametrize(
    ("text", "grammar", "expected"),
    [
        pytest.param("a b;c d;", Grammar(), [["a", "b"], ["c", "d"]], id="terminator"),
        pytest.param("a\nb;", Grammar(), [["a", "b"]], id="over lines"),
        pytest.param("a{b c;}d;", Grammar(), [["a", [["b", "c"]]], ["d"]], id="glued"),
        pytest.param('a \'b;{\' "c\\"d";', Grammar(), [["a", "b;{", 'c"d']], id="quotes"),
        pytest.param("a b#c; # d;\n", Grammar(), [["a", "b#c"]], id="comment at a word's start"),
        pytest.param("a ${b}{{ c }};", Grammar(), [["a", "${b}{{ c }}"]], id="templates"),
        pytest.param("a\n{\nb\n}\n", Grammar(terminator="\n"), [["a", [["b"]]]], id="next line"),
        pytest.param("a b\\\nc\n", Grammar(terminator="\n"), [["a", "b", "c"]], id="goes on"),
    ],
)
def test_statements(text: str, grammar: Grammar, expected: list[object]) -> None:
    assert words_of(tree_of(TextFile("file", text), grammar).statements) == expected
