"""Hosts files, whatever stands in them: nothing is raised, no secret gets out."""

from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import planted, read_text, said, soups

KIND: Final = "hosts"
FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / KIND
GOOD: Final = [(FIXTURES / name).read_text() for name in ("hosts",)]
TOKENS: Final = [
    "10.0.0.1",
    "2001:db8::1",
    "127.0.0.1",
    "localhost",
    "web",
    "web.example.net",
    "#",
    "# 10.0.0.2 db",
    "{{ ip }}",
    "<name>",
    "10.0.0.X",
    "fe80::1%eth0",
    "10.0.0.0/8",
    "ip6-localnet",
    "fe00::0",
]
HIDDEN: Final = ["10.0.0.1 web # password {}", "# root:{}", "#{} 10.0.0.1 web"]


@given(text=st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    read_text(KIND, text)


@given(text=soups(TOKENS))
def test_any_words_of_the_format_are_read(text: str) -> None:
    read_text(KIND, text)


@given(secret_and_text=planted(GOOD, HIDDEN))
def test_no_planted_secret_gets_out_of_a_broken_file(secret_and_text: tuple[str, str]) -> None:
    secret, text = secret_and_text
    assert secret not in said(read_text(KIND, text))
