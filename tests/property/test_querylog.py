"""The quick look for secrets in many lines sees what the thorough one would."""

from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.server import querylog
from rwhoisd.server.querylog import Entry, Formatter, LogSettings

SECRETS = st.from_regex(querylog._SECRET)
PLAIN = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)).map(str.encode)


@given(SECRETS)
def test_what_a_secret_stands_behind_is_seen(text: bytes) -> None:
    assert querylog._has_secret(text)


@given(st.lists(PLAIN | SECRETS.map(lambda text: text + b"letmein"), min_size=1))
def test_lines_together_are_as_each_alone(texts: list[bytes]) -> None:
    def lines(some: list[bytes]) -> bytes:
        entries: list[Entry] = [(1e9, "192.0.2.1", "l", text, 1, 0, 5) for text in some]
        return Formatter(LogSettings()).lines(entries)

    assert lines(texts) == b"".join(lines([text]) for text in texts)
