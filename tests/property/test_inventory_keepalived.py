"""keepalived.conf: any text is read without an exception, and no secret comes out of it."""

from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.inventory.source import TextFile
from rwhoisd.inventory.sources.blocks import Grammar, tree_of, walk
from rwhoisd.inventory.sources.keepalived import GRAMMAR
from tests.property.inventory_kit import SECRETS, UNHURRIED, mangled, read_text, said, soups

FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / "keepalived"
WHOLE: Final = "\n".join(
    (FIXTURES / name).read_text()
    for name in ("director1.conf", "shop.d/10-web.conf", "shop.d/20-mail.conf")
)
TOKENS: Final = (
    "{", "}", "virtual_server", "real_server", "virtual_server_group", "group", "fwmark",
    "vrrp_instance", "virtual_ipaddress", "static_ipaddress", "sorry_server", "include", "*.conf",
    "10.0.0.1", "10.0.0.1-9", "2001:db8::1", "2001:db8::1-f", "10.0.0.0/8", "80", "0", "http",
    "protocol", "UDP", "lb_kind", "DR", "dev", "#", "!", '"', "\\", "$A=", "$A", "${A}", "~SEQ(",
    "@one", "{{", "}}", "{%", "<%", "//",
)  # fmt: skip
GRAMMARS: Final = st.sampled_from([GRAMMAR, Grammar()])


@UNHURRIED
@given(soups(TOKENS) | st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    read_text("keepalived", text)


@UNHURRIED
@given(mangled(WHOLE))
def test_a_broken_file_is_read(text: str) -> None:
    read_text("keepalived", text)


@UNHURRIED
@given(mangled(WHOLE), SECRETS, st.data())
def test_no_secret_comes_out(text: str, secret: str, data: st.DataObject) -> None:
    keyword = data.draw(st.sampled_from(["auth_pass", "auth_pass   ", "password", "digest", "key"]))
    lines = text.split("\n")
    at = data.draw(st.integers(0, len(lines)))
    lines.insert(at, f'\n    {keyword} {secret}   # {secret}\n    notify "{secret}" {secret}\n')
    assert secret not in said(read_text("keepalived", "\n".join(lines)))


@UNHURRIED
@given(soups(TOKENS) | st.text("{}\n;#\"'\\ a", max_size=60), GRAMMARS)
def test_statements_stand_on_their_lines(text: str, grammar: Grammar) -> None:
    file = TextFile("file", text)
    tree = tree_of(file, grammar)
    for one in walk(tree.statements):
        line = file.lines[one.place.line - 1]
        begin = one.keyword.partition("\n")[0]  # a quoted word may go on behind its line
        assert begin[:1] in line or "\\" in text


@UNHURRIED
@given(st.integers(1, 3000), st.sampled_from(["{", "}", "a {", "{{", "${", '"', "'", "<%", "\\"]))
def test_depth_and_repetition_are_no_trouble(count: int, part: str) -> None:
    for grammar in (GRAMMAR, Grammar()):
        tree = tree_of(TextFile("file", part * count), grammar)
        assert len(tree.unclosed) + len(tree.stray) <= len(part) * count
    read_text("keepalived", part * count)
