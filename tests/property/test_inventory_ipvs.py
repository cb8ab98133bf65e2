"""ipvsadm and the kernel's table: any text is read without an exception."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, UNHURRIED, mangled, read_text, said, soups

FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / "ipvs"
TEXTS: Final = [(FIXTURES / n).read_text() for n in ("director.rules", "ip_vs", "listing.txt")]
TOKENS: Final = (
    "-A", "-a", "-t", "-u", "-f", "-r", "-At", "-w", "--tcp-service=", "--sctp-service",
    "--real-server", "--tcp-service", "-", "--", "ipvsadm", "/sbin/ipvsadm", "10.0.0.1:80",
    "10.0.0.1", "[2001:db8::1]:443", "[::1]", ":80", "web.example.net:http", "0A000001:0050",
    "[2001:0db8:0000:0000:0000:0000:0000:0001]:0050", "TCP", "UDP", "FWM", "0000000A", "->",
    "Route", "Masq", "IP Virtual Server version 1.2.1", "IPVS connection entries", "A=10.0.0.1",
    "$A", "${A}:80", "'", '"', "\\", "#", ";", "&&",
)  # fmt: skip


@UNHURRIED
@given(soups(TOKENS) | st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    read_text("ipvs", text)


@pytest.mark.parametrize("whole", TEXTS, ids=["rules", "kernel", "listing"])
@UNHURRIED
@given(data=st.data())
def test_a_broken_file_is_read(whole: str, data: st.DataObject) -> None:
    read_text("ipvs", data.draw(mangled(whole)))


@UNHURRIED
@given(mangled(TEXTS[0]), SECRETS, st.integers(0, 20))
def test_what_is_no_rule_does_not_come_out(text: str, secret: str, at: int) -> None:
    lines = text.split("\n")
    lines.insert(at, f"PASSWORD={secret}\ncurl -u admin:{secret} http://192.0.2.1 # {secret}\n")
    assert secret not in said(read_text("ipvs", "\n".join(lines)))
