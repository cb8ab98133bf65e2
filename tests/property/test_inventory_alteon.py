"""Alteon dumps: any text is read without an exception, and no secret comes out of it."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, UNHURRIED, mangled, read_text, said, soups

FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / "alteon"
DUMP: Final = (FIXTURES / "switch1.txt").read_text()
REPORT: Final = (FIXTURES / "slb-dump.txt").read_text()
TOKENS: Final = (
    "/c/slb/real 1", "/c/slb/real", "/cfg/slb/group 1", "/c/slb/virt 1", "/service 80 http",
    "/c/slb/virt 1/service 80", "/c/l3/if 1", "/c/slb/pip/add", "/c/", "/", "//", "/*", "rip",
    "add 1", "backup r1", "backup g1", "vip", "10.0.0.1", "2001:db8::1", "mask", "64", "name",
    '"', "ena", "dis", "group 1", "rport", "0", "protocol both", "addport 80", "...", ">> x#",
    "1: IP4 10.0.0.1, 02:00:5e:00:53:01, vname x", "80: rport http, group 1, UDP",
    "2: 10.0.0.2, web, UP", "Real server state:", "Virtual server state:",
)  # fmt: skip
HIDDEN: Final = (
    "/c/sys/access/user/admpw {}", "/c/sys/ssnmp\n\trcomm {}", "/c/sys/radius\n\tsecret {}",
    '/c/slb/ssl/certs/import key "k" text\n-----BEGIN KEY-----\n{}\nrip {}\n-----END KEY-----',
    "/c/slb/advhc/health x HTTP\n\thttp\n\theader \nAuthorization: {}\n...",
    "/c/slb/virt 1/service 80 http/pbind cookie insert {}",
)  # fmt: skip


@UNHURRIED
@given(soups(TOKENS) | st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    read_text("alteon", text)


@pytest.mark.parametrize("whole", [DUMP, REPORT], ids=["dump", "report"])
@UNHURRIED
@given(data=st.data())
def test_a_broken_file_is_read(whole: str, data: st.DataObject) -> None:
    read_text("alteon", data.draw(mangled(whole)))


@UNHURRIED
@given(st.sampled_from(HIDDEN), SECRETS, st.data())
def test_no_secret_comes_out(hidden: str, secret: str, data: st.DataObject) -> None:
    lines = DUMP.split("\n")
    # Between two menus, as a switch writes them.
    starts = [at for at, line in enumerate(lines) if line.startswith("/c/")]
    lines.insert(data.draw(st.sampled_from(starts)), hidden.replace("{}", secret))
    assert secret not in said(read_text("alteon", "\n".join(lines)))
