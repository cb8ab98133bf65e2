"""Alteon dumps: what the menus give, and what they do not."""

import pytest

from rwhoisd.inventory.facts import Forwarding, RealServer
from rwhoisd.inventory.scan import Reading
from tests.property.inventory_kit import read_text

REALS = "/c/slb/real 1\n\tena\n\trip 10.0.0.1\n/c/slb/real 2\n\tena\n\trip 10.0.0.2\n"
GROUP = "/c/slb/group 1\n\tadd 1\n"
VIRT = "/c/slb/virt 1\n\tena\n\tvip 192.0.2.1\n"


def rows(reading: Reading) -> list[str]:
    return [
        " ".join(
            str(part)
            for part in (fact.kind, fact.where or fact.name, fact.service, fact.belongs_to)
            if part is not None
        )
        for fact in reading.facts
    ]


def read(*parts: str) -> Reading:
    return read_text("alteon", "".join(parts))


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param(
            "/c/slb/virt 1/service 80 http\n\tgroup 1\n\trport 8080\n",
            ["vip 192.0.2.1 80/tcp", "rip 10.0.0.1 8080/tcp 192.0.2.1:80/tcp"],
            id="real port",
        ),
        pytest.param(
            "/c/slb/virt 1/service http/group 1\n",
            ["vip 192.0.2.1 80/tcp", "rip 10.0.0.1 80/tcp 192.0.2.1:80/tcp"],
            id="by name, on one line",
        ),
        pytest.param(
            "/c/slb/virt 1/service 53\n\tgroup 1\n\tudp ena\n",
            ["vip 192.0.2.1 53/udp", "rip 10.0.0.1 53/udp 192.0.2.1:53/udp"],
            id="udp of old",
        ),
        pytest.param(
            "/c/slb/virt 1/service 53 dns\n\tgroup 1\n\tprotocol both\n",
            ["vip 192.0.2.1 53/tcp", "rip 10.0.0.1 53/tcp 192.0.2.1:53/tcp",
             "vip 192.0.2.1 53/udp", "rip 10.0.0.1 53/udp 192.0.2.1:53/udp"],
            id="both protocols",
        ),
        pytest.param(
            "/c/slb/virt 1/service 1 ip\n\tgroup 1\n",
            ["vip 192.0.2.1", "rip 10.0.0.1 192.0.2.1:0/tcp"],
            id="every port",
        ),
        pytest.param(
            "/c/slb/virt 1/service 80 http\n\tgroup 1\n"
            "/c/slb/virt 1/service 80 http/http/xforward ena\n"
            "/c/slb/virt 1/service 81 http/pbind clientip\n",
            ["vip 192.0.2.1 80/tcp", "rip 10.0.0.1 80/tcp 192.0.2.1:80/tcp"],
            id="a menu below a service makes none",
        ),
        pytest.param("", ["vip 192.0.2.1", "rip 10.0.0.1"], id="no service"),
    ],
)  # fmt: skip
def test_a_service(service: str, expected: list[str]) -> None:
    assert rows(read(REALS, GROUP, VIRT, service)) == [*expected, "rip 10.0.0.2"]


def test_names_are_quoted_or_bare_or_the_index() -> None:
    reading = read(
        '/c/slb/real 1\n\trip 10.0.0.1\n\tname "web 1"\n/c/slb/real w2\n\trip 10.0.0.2\n',
        "/c/slb/real 3\n\trip 10.0.0.3\n\tname web3\n/c/slb/real 4\n\trip 10.0.0.4\n",
        '/c/slb/real 5\n\trip 10.0.0.5\n\tname "web"5"\n',
    )
    assert [fact.name for fact in reading.facts] == ["web 1", "w2", "web3", None, 'web"5']


def test_disabled_is_kept_and_said() -> None:
    reading = read(
        "/c/slb/real 1\n\tdis\n\trip 10.0.0.1\n/c/slb/real 2\n\tena\n\trip 10.0.0.2\n",
        "/c/slb/group 1\n\tadd 1\n\tadd 2\n\tdis 2\n/c/slb/virt 1\n\tdis\n\tvip 192.0.2.1\n",
        "/c/slb/virt 1/service 80 http\n\tgroup 1\n",
    )
    assert [fact.disabled for fact in reading.facts] == [True, True, True]
    assert not read("/c/slb/real 1/dis/rip 10.0.0.1/ena\n").facts[0].disabled


@pytest.mark.parametrize(
    ("backup", "standby"),
    [("r2", ["10.0.0.2"]), ("2", ["10.0.0.2"]), ("g2", ["10.0.0.3"]), ("none", []), ("g7", [])],
)
def test_a_backup_stands_by(backup: str, standby: list[str]) -> None:
    reading = read(
        REALS, f"/c/slb/group 1\n\tadd 1\n\tbackup {backup}\n/c/slb/group 2\n\tadd 3\n", VIRT,
        "/c/slb/real 3\n\trip 10.0.0.3\n/c/slb/virt 1/service 80 http\n\tgroup 1\n",
    )  # fmt: skip
    servers = [fact for fact in reading.facts if isinstance(fact, RealServer)]
    assert [str(one.where) for one in servers if one.standby] == standby
    # In no group for itself, a spare is a real server without a service too.
    assert {str(one.where) for one in servers if not one.belongs_to} == {"10.0.0.2", "10.0.0.3"}


def test_direct_return_and_a_group_of_content_rules() -> None:
    reading = read(
        REALS, GROUP, "/c/slb/group 2\n\tadd 2\n", VIRT,
        "/c/slb/virt 1/service 80 http\n\tgroup 1\n\tnonat ena\n",
        "/c/slb/virt 1/service 80 http/cntrules 10\n\tgroup 2\n",
    )  # fmt: skip
    servers = [fact for fact in reading.facts if isinstance(fact, RealServer)]
    assert [str(one.where) for one in servers] == ["10.0.0.1", "10.0.0.2"]
    assert {one.forwarding for one in servers} == {Forwarding.DSR}


def test_the_switch_itself() -> None:
    reading = read(
        "/cfg/l3/if 1/addr 192.0.2.2/mask 255.255.255.0\n",
        "/c/ip/if 2\n\taddr 2001:db8::2\n\tmask 64\n",
        "/c/l3/vrrp/vr 3\n\tena\n\taddr 192.0.2.3\n/c/vrrp/vr 4\n\taddr 192.0.2.4\n",
        "/c/l3/ha/floatip 5\n\taddr 192.0.2.5\n/c/slb/pip/add 192.0.2.6 10\n",
        "/c/sys/mmgmt\n\taddr 10.0.9.1\n\tgw 10.0.9.254\n",
    )
    assert [f"{fact.kind} {fact.where} {fact.name}" for fact in reading.facts] == [
        "vip 192.0.2.3 vr 3",
        "vip 192.0.2.4 vr 4",
        "vip 192.0.2.5 floatip 5",
        "host 192.0.2.2 if 1",
        "network 192.0.2.0/24 None",
        "host 2001:db8::2 if 2",
        "network 2001:db8::/64 None",
        "host 10.0.9.1 None",
        "host 192.0.2.6 None",
    ]


def test_a_session_that_was_copied_is_read() -> None:
    reading = read(
        ">> Main# /cfg/slb/real 1\t(Select it)\n>> Real server 1 # rip 10.0.0.1 (Its address)\n",
        ">> Real server 1 # ena\n>> Real server 1 # /cfg/slb/group 1/add 1\n",
        ">> Real server group 1# /cfg/slb/virt 1/vip 192.0.2.1\n",
        ">> Virtual server 1# service http\n",
        ">> Virtual server 1 http service# group 1\n",
    )
    assert rows(reading) == ["vip 192.0.2.1 80/tcp", "rip 10.0.0.1 80/tcp 192.0.2.1:80/tcp"]


def test_what_is_to_be_filled_in_is_a_warning() -> None:
    reading = read("/c/slb/real 1\n\trip {{ ip }}\n/c/slb/virt 1\n\tvip X.X.X.10\n")
    assert not reading.facts
    assert [found.line for found in reading.findings] == [4, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('script start "A" 4 /**\n/c/slb/real 1\n', "script end", id="torn"),
        pytest.param("hello\n", "neither", id="something else"),
    ],
)  # fmt: skip
def test_a_source_that_is_not_whole(text: str, said: str) -> None:
    findings = read(text).findings
    assert len(findings) == 1
    assert said in str(findings[0])
