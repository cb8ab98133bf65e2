"""The query language under any input: no exception, one grammar, a round trip."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from rwhoisd.directory.dialect import ARIN, RFC, Dialect
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.schema import BASE_NAMES
from rwhoisd.query.ast import Query
from rwhoisd.query.parser import (
    Allowed,
    Line,
    Names,
    parse,
    parse_plain,
    read_by_grammar,
    read_terms,
    resolve,
    text,
)

NAMES = Names(
    {"contact": "contact", "person": "contact", "organization": "organization"},
    BASE_NAMES | {"name", "organization"},
)
EVERYTHING = Allowed(leading_wildcard=True, terms=1000)

# Lines made of what matters to the lexer, with and without blanks between.
PARTS = ["contact", "person", "organization", "id", "name", "john", "10.0.0.0/8", "\xe9", "(x)"]
SIGNS = ["and", "or", "=", "!=", "!", "*", "**", '"', '"a b"', '"*a"', '*"a=b"*', '""', " ", "\t"]
GLUED = st.lists(st.sampled_from(PARTS + SIGNS), max_size=9).map("".join)
SPACED = st.lists(st.sampled_from(PARTS + SIGNS), max_size=7).map(" ".join)
LETTERS = st.text(alphabet='*"=! \tandorxID', max_size=12)
LINES = st.one_of(GLUED, SPACED, LETTERS).map(lambda s: s.encode("latin-1"))
DIALECTS = st.sampled_from([ARIN, RFC])
CODES = {"arin": {350, 351}, "rfc": {350, 351, 320, 341}}


def query(line: bytes, dialect: Dialect, allowed: Allowed = EVERYTHING) -> Query | int:
    try:
        return parse(line, NAMES, dialect, allowed)
    except RwhoisError as error:
        return int(error.code)


@given(line=st.one_of(st.binary(max_size=600), LINES), dialect=DIALECTS)
def test_any_octets_are_a_query_or_an_error_of_its_dialect(line: bytes, dialect: Dialect) -> None:
    answer = query(line, dialect, Allowed())
    assert isinstance(answer, Query) or answer in CODES[dialect.name]


@given(line=LINES, dialect=DIALECTS)
def test_text_of_a_query_asks_the_same(line: bytes, dialect: Dialect) -> None:
    asked = query(line, dialect)
    if isinstance(asked, Query):
        assert parse(text(asked), NAMES, dialect, EVERYTHING) == asked


WORDS = st.text(alphabet="ANDORX019._-/:@*(),'\xe9\xa0", min_size=1, max_size=6)
QUOTED = st.text(alphabet="ANDOR X=!*\t", max_size=6).map('"{}"'.format)
BLANKS = st.sampled_from(["", " ", "\t "])
ONE_TERM = st.builds(
    "{}{}{}{}{}".format,
    st.one_of(st.just(""), WORDS.map("{} ".format)),
    st.one_of(st.just(""), st.builds("{}{}={}".format, WORDS, BLANKS, BLANKS)),
    st.one_of(WORDS, QUOTED),
    st.sampled_from(["", "*", "**", '"']),
    BLANKS,
)


@given(
    line=st.one_of(
        ONE_TERM.map(lambda s: s.encode("latin-1")),
        st.lists(ONE_TERM, min_size=2, max_size=4)
        .flatmap(
            lambda terms: st.sampled_from([" and ", " OR ", " or  ", "and "]).map(
                lambda joint: joint.join(terms)
            )
        )
        .map(lambda s: s.encode("latin-1")),
        LINES,
        st.binary(max_size=40),
    ).map(bytes.upper)
)
@example(line=b"CONTACT NAME=X")
@example(line=b"AND X")
@example(line=b"CONTACT AND")
@example(line=b"OR=X")
@example(line=b'ID ="A B*"*')
@example(line=b"X AND AND")
@example(line=b"X AND AND AND Y")
@example(line=b"X OR AND=Y")
@example(line=b"X AND =Y")
@example(line=b"CONTACT X AND ID = Y OR Z*")
@example(line=b'ID="A AND B" AND "C"')
def test_the_shortcut_agrees_with_the_grammar(line: bytes) -> None:
    """What the shortcut reads, the grammar reads the same."""
    read = read_terms(line)
    if read is not None:
        assert read == read_by_grammar(line)


@given(
    line=st.one_of(ONE_TERM.map(lambda s: s.encode("latin-1")), LINES, st.binary(max_size=40)),
    dialect=DIALECTS,
    allowed=st.builds(Allowed, st.booleans(), st.booleans(), st.integers(0, 2)),
)
@example(line=b"contact", dialect=ARIN, allowed=Allowed())
@example(line=b"contact contact", dialect=ARIN, allowed=Allowed())
@example(line=b"Person or*", dialect=RFC, allowed=Allowed())
@example(line=b"person and", dialect=RFC, allowed=Allowed())
def test_plain_lines_are_parsed_as_by_the_grammar(
    line: bytes, dialect: Dialect, allowed: Allowed
) -> None:
    """What the shortcut parses, reading by the grammar and resolving parses the same."""
    plain = parse_plain(line, NAMES, allowed)
    if plain is not None:
        read = read_by_grammar(line.upper())
        assert read is not None
        assert plain == resolve(read, NAMES, dialect, allowed)


@given(word=st.from_regex(r"[0-9.]{1,8}\*?", fullmatch=True))
def test_plain_lines_are_those_of_one_word(word: str) -> None:
    """Else the property above would say nothing."""
    for line in (word, f"contact {word}", f"Person  {word}"):
        assert parse_plain(line.encode(), NAMES, Allowed()) is not None


@given(value=st.from_regex(r"[a-z0-9.]{1,8}\*?", fullmatch=True))
def test_the_shortcut_takes_the_common_forms(value: str) -> None:
    """Else the property above would say nothing."""
    forms = ["{}", "contact {}", "name={}", "contact name={}", 'name="{}"', 'contact "a {}"']
    for form in forms:
        line = form.format(value).encode().upper()
        assert read_terms(line) is not None or b"AND" in line or b"OR" in line


@given(
    words=st.lists(st.from_regex(r"[x-z0-9.]{1,8}\*?", fullmatch=True), min_size=2, max_size=5),
    joint=st.sampled_from(["and", "or"]),
    form=st.sampled_from(["{}", "name={}", "name = {}", 'name="a {}"']),
)
def test_the_shortcut_takes_simple_terms(words: list[str], joint: str, form: str) -> None:
    line = f" {joint} ".join(map(form.format, words)).encode().upper()
    for whole in (line, b"CONTACT " + line):
        read = read_terms(whole)
        assert read is not None
        assert sum(map(len, read.branches)) == len(words)


# ---------------------------------------------------------------- a second opinion

# arin-rwhoisd.md §7.1 as it stands: all patterns at a place, the longest wins, then the first.
TOKENS = [
    ("AND", re.compile(r"AND")),
    ("OR", re.compile(r"OR")),
    ("=", re.compile(r"=")),
    ("!=", re.compile(r"!=")),
    ("QUOTED", re.compile(r'\*?"\*?[^"*\n]+\*?"\*?')),
    ("WORD", re.compile(r"\*?[^ \t=*]+\*?")),
    ("STAR", re.compile(r"\*")),
    ("", re.compile(r"[ \t]+")),
]


def tokens(line: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(line):
        matches = [(kind, m) for kind, p in TOKENS if (m := p.match(line, place))]
        kind, match = max(matches, key=lambda km: km[1].end())  # max gives the first of equals
        found.append((kind, match[0]))
        place = match.end()
    return [token for token in found if token[0]]


def kinds(line: str) -> str:
    """One letter a token, words classified: C class, A attribute, V value; & and |."""
    letters = ""
    for number, (kind, word) in enumerate(tokens(line)):
        if kind == "WORD":
            name = word.lower()
            is_class = number == 0 and name in NAMES.classes
            letters += "C" if is_class else "A" if name in NAMES.attributes else "V"
        else:
            letters += {"AND": "&", "OR": "|", "=": "=", "!=": "!", "QUOTED": "V"}.get(kind, "?")
    return letters


# arin-rwhoisd.md §7.2
ACCEPTED = re.compile(r"C?(A=V|A!V|V|A)([&|](A=V|A!V|V|A))*\Z")


@given(line=st.one_of(GLUED, SPACED, LETTERS).filter(lambda s: "**" not in s))
def test_arin_dialect_is_the_language_of_the_catalogue(line: str) -> None:
    """Longest match and §7.2, written down twice; "**" is our extension."""
    line = line.strip(" \t").upper()
    answer = query(line.encode("latin-1"), ARIN)
    assert (answer != 350) == bool(ACCEPTED.match(kinds(line)))


@given(line=LINES)
def test_reading_gives_words_of_the_line_only(line: bytes) -> None:
    """Nothing is invented: every word that was read stands in the line, in order."""
    read: Line | None = read_by_grammar(line.upper())
    if read is None:
        return
    words = [read.head] if read.head else []
    for branch in read.branches:
        for piece in branch:
            words += [piece.attribute, piece.text] if piece.attribute else [piece.text]
    rest = line.upper().decode("latin-1")
    for word in words:
        assert word in rest
        rest = rest.partition(word)[2]
