"""ipvsadm and the kernel's table: what a line gives, and what it does not."""

import pytest

from rwhoisd.inventory.facts import Forwarding, RealServer, Vip
from rwhoisd.inventory.scan import Reading
from tests.property.inventory_kit import read_text


def rows(reading: Reading) -> list[str]:
    return [
        " ".join(
            str(part)
            for part in (fact.kind, fact.where or fact.name, fact.service, fact.belongs_to)
            if part is not None
        )
        for fact in reading.facts
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("-A -t 192.0.2.1:80 -s rr", "vip 192.0.2.1 80/tcp", id="saved"),
        pytest.param("ipvsadm -At 192.0.2.1:80", "vip 192.0.2.1 80/tcp", id="cluster"),
        pytest.param("-A -t192.0.2.1:80", "vip 192.0.2.1 80/tcp", id="glued"),
        pytest.param("$IPVSADM -A -u 192.0.2.1:domain", "vip 192.0.2.1 53/udp", id="by name"),
        pytest.param("-A --sctp-service 192.0.2.1:80", "vip 192.0.2.1 80/sctp", id="sctp"),
        pytest.param("-A --tcp-service=[2001:db8::1]:80", "vip 2001:db8::1 80/tcp", id="v6"),
        pytest.param("-A -s rr -t 192.0.2.1:0 -p", "vip 192.0.2.1", id="every port"),
        pytest.param("ExecStart=/sbin/ipvsadm -A -t 192.0.2.1:0", "vip 192.0.2.1", id="unit"),
        pytest.param("modprobe ip_vs; ipvsadm -A -t 192.0.2.1:0", "vip 192.0.2.1", id="two"),
        pytest.param("[root@lb ~]# ipvsadm -A -t 192.0.2.1:0", "vip 192.0.2.1", id="prompt"),
        pytest.param("-A -t www.example.net:80", "vip www.example.net 80/tcp", id="name"),
    ],
)  # fmt: skip
def test_a_service(line: str, expected: str) -> None:
    reading = read_text("ipvs", line)
    assert rows(reading) == [expected]
    assert not reading.findings


@pytest.mark.parametrize(
    ("options", "expected", "way"),
    [
        pytest.param("-r 10.0.0.1:81 -g", "10.0.0.1 81/tcp", Forwarding.DSR, id="gate"),
        pytest.param("-r 10.0.0.1:81", "10.0.0.1 81/tcp", Forwarding.DSR, id="gate by default"),
        pytest.param("-r 10.0.0.1 -m -w 0", "10.0.0.1 80/tcp", Forwarding.NAT, id="same port"),
        pytest.param("-r 10.0.0.1:81 -b", "10.0.0.1 81/tcp", Forwarding.NAT, id="DPVS"),
        pytest.param("--real-server=10.0.0.1:0 --ipip", "10.0.0.1", Forwarding.TUNNEL, id="long"),
        pytest.param("-mr web1:http", "web1 80/tcp", Forwarding.NAT, id="by name"),
    ],
)
def test_a_real_server(options: str, expected: str, way: Forwarding) -> None:
    # The service has no line of its own: the file is a part of one, or out of order.
    reading = read_text("ipvs", f"-a -t 192.0.2.1:80 {options}")
    assert rows(reading) == ["vip 192.0.2.1 80/tcp", f"rip {expected} 192.0.2.1:80/tcp"]
    ways = [fact.forwarding for fact in reading.facts if isinstance(fact, Vip | RealServer)]
    assert ways == [way, way]


@pytest.mark.parametrize(
    "line",
    [
        "# -A -t 192.0.2.1:80",
        "-D -t 192.0.2.1:80",
        "ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.1",
        "iptables -A INPUT -t 192.0.2.1:80",
        "-A -f 5 -s rr",
        "-A -t 127.0.0.1:80",
        "-A -t 0.0.0.0:80",
    ],
)
def test_what_gives_nothing(line: str) -> None:
    reading = read_text("ipvs", f"-C\n-A -t 192.0.2.9:80\n{line}")
    assert rows(reading) == ["vip 192.0.2.9 80/tcp"]
    assert not reading.findings


@pytest.mark.parametrize(
    "line",
    [
        "-A -t $VIP:80",
        "-A -t <vip>:80",
        "-A -t VIP:80",
        "-A -t vip1:80",
        "-A -s rr",
        "-a -t 192.0.2.1:80 -r {{ r }}",
    ],
)
def test_what_is_to_be_filled_in_is_a_warning(line: str) -> None:
    reading = read_text("ipvs", line)
    assert not reading.facts
    assert [found.line for found in reading.findings] == [1]


def test_real_servers_are_joined_by_their_service_whatever_the_order() -> None:
    reading = read_text(
        "ipvs",
        "-a -f 5 -r 10.0.0.1:0 -i\n-A -t 192.0.2.1:80\n-A -f 5\n-A -u 192.0.2.1:80\n"
        "-a -t 192.0.2.1:80 -r 10.0.0.2\n-a -f 5 -r 10.0.0.3:0 -i\n",
    )
    assert rows(reading) == [
        "rip 10.0.0.1 fwmark:5",
        "rip 10.0.0.3 fwmark:5",
        "vip 192.0.2.1 80/tcp",
        "rip 10.0.0.2 80/tcp 192.0.2.1:80/tcp",
        "vip 192.0.2.1 80/udp",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("TCP  C0000201:0CEA wlc\n", "vip 192.0.2.1 3306/tcp", id="kernel"),
        pytest.param(
            "UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 sh\n", "vip 2001:db8::1 53/udp",
            id="kernel, v6",
        ),
        pytest.param("TCP  192.0.2.1:3306 wlc\n", "vip 192.0.2.1 3306/tcp", id="listing"),
        pytest.param("TCP  [2001:db8::1]:8080 sh\n", "vip 2001:db8::1 8080/tcp", id="listing, v6"),
        pytest.param("TCP  192.0.2.1:mysql wlc\n", "vip 192.0.2.1 3306/tcp", id="by name"),
    ],
)  # fmt: skip
def test_a_row_of_a_table(text: str, expected: str) -> None:
    assert rows(read_text("ipvs", text)) == [expected]


def test_the_mark_is_hexadecimal_in_the_kernel_only() -> None:
    kernel = "TCP  C0000201:0050 rr\nFWM  00000010 rr\n  -> 0A000001:0000 Route 1 0 0\n"
    listing = "FWM  10 rr\n  -> 10.0.0.1:0 Route 1 0 0\n"
    assert rows(read_text("ipvs", kernel))[-1] == "rip 10.0.0.1 fwmark:16"
    assert rows(read_text("ipvs", listing))[-1] == "rip 10.0.0.1 fwmark:10"


def test_a_file_of_something_else_is_no_whole_source() -> None:
    reading = read_text("ipvs", "hello\nworld - or not\n")
    assert not reading.facts
    assert "holds no line" in str(reading.findings[0])
    assert not read_text("ipvs", "").findings
