"""From a query line to a :class:`~rwhoisd.query.ast.Query`, and back (RFC 2167 §3.4).

Two steps. Reading is pure: the grammar (grammar.lark) turns a line into the words it is made
of and knows no schema. Resolving asks the words of the served schemas (:class:`Names`) and the
dialect which word is a class or an attribute, and refuses what is too complex.

Two shortcuts stand before it, each held to what it is short for by tests/property/test_query.py.
``parse_plain`` makes a query of ``[CLASS] WORD[*]``, nearly all that is asked, in one step.
``read_terms`` reads terms with "and" and "or" between them by one regular expression for each.
What is left goes through Lark behind a bounded cache. It is keyed by the line alone, as what is
cached depends on nothing else: neither on a schema, nor on the dialect.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import Network
from rwhoisd.directory.schema import NAME
from rwhoisd.query.ast import Match, Query, Term

CACHED_LINES: Final = 1024
CACHED_OCTETS: Final = 1 << 20
_OCTETS_PER_PIECE: Final = 300  # measured: a Piece, its texts and its place in the tuples

_BLANKS: Final = " \t"  # latin-1 has more of them, which are ordinary characters here
_KEYWORDS: Final = frozenset({b"AND", b"OR"})


@dataclass(frozen=True)
class Names:
    """The words that mean something in the schemas served, all lower case.

    ``classes``: class name or alias → canonical class name, as ``schema.class_names`` gives it.
    ``attributes``: names and aliases of all attributes, base attributes included.
    """

    classes: Mapping[str, str]
    attributes: frozenset[str]
    # For lines in upper case: class word → canonical name, and the words that are no plain values.
    heads: Mapping[bytes, str] = field(init=False, repr=False, compare=False)
    reserved: frozenset[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = {word.upper().encode("latin-1", "replace"): word for word in self.classes}
        heads = {word: self.classes[name] for word, name in words.items() if word not in _KEYWORDS}
        object.__setattr__(self, "heads", heads)
        object.__setattr__(self, "reserved", _KEYWORDS.union(words))


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a query may be before it is too complex (351, arin-rwhoisd.md §7.4)."""

    wildcard: bool = True  # any "*"
    leading_wildcard: bool = False  # "*" in front
    terms: int = 64  # in all branches together
    scan: int = 100_000  # keys and objects looked at in vain


class Piece(NamedTuple):
    """A term as it was read: nothing looked up, quotes and stars still in ``text``."""

    attribute: str | None
    negated: bool  # "!="
    kind: str  # "word", "quoted" or "below"
    text: str


class Line(NamedTuple):
    """A line as it was read; ``head`` is the word that stands where a class may stand."""

    head: str | None
    branches: tuple[tuple[Piece, ...], ...]


def parse(
    line: bytes,
    names: Names,
    dialect: Dialect,
    allowed: Allowed = Allowed(),
) -> Query:
    """The query that ``line`` asks; the line end may be gone or not.

    Cost:    1 µs for a plain line; 4 for others of one term, and 3 for each more. What only
             the grammar can read costs about 20 for each term the first time.
    Raises:  RwhoisError 350 (no query), 351 (too complex); in the rfc dialect also 341 (the
             first of two words is no class) and 320 (the word before "=" is no attribute).
             Nothing else, whatever the octets are.
    Source:  RFC 2167 §3.4; arin-rwhoisd.md §7; N30-N37.
    """
    return parse_plain(line, names, allowed) or parse_any(line, names, dialect, allowed)


def parse_any(line: bytes, names: Names, dialect: Dialect, allowed: Allowed) -> Query:
    """As ``parse``, by the grammar for every line."""
    read = read_line(line)
    if read is None:
        _refuse(ResponseCode.INVALID_QUERY_SYNTAX)
    return resolve(read, names, dialect, allowed)


# [CLASS] WORD[*] in upper case; a word with a dot or colon in it, which may be the name of a place,
# is a group of its own. No control characters and no dash in front: such a line is this very
# query, whatever it came in.
PLAIN: Final = re.compile(
    rb"""(?!-)
    (?: ([A-Z0-9_-]++) [ ]++ )?
    (?: ([^\0-\x20\x7f=*"!.:]{1,400}+) | ([^\0-\x20\x7f=*"!]{1,400}+) )
    (\*)? \Z""",
    re.VERBOSE,
).match
# The same for [CLASS] ATTRIBUTE=WORD[*].
PLAIN_NAMED: Final = re.compile(
    rb"""(?!-)
    (?: ([A-Z0-9_-]++) [ ]++ )?
    ([A-Z0-9_-]++) =
    (?: ([^\0-\x20\x7f=*"!.:]{1,400}+) | ([^\0-\x20\x7f=*"!]{1,400}+) )
    (\*)? \Z""",
    re.VERBOSE,
).match
# The same for [CLASS] [ATTRIBUTE=]"TEXT[*]".
PLAIN_QUOTED: Final = re.compile(
    rb"""(?!-)
    (?: ([A-Z0-9_-]++) [ ]++ )?
    (?: ([A-Z0-9_-]++) = )?
    "[ ]*+ (?: ([^\0-\x1f\x7f*".:]{1,400}+) | ([^\0-\x1f\x7f*"]{1,400}+) ) (\*)?"
    \Z""",
    re.VERBOSE,
).match
_EXACT: Final = Match.EXACT
_PREFIX: Final = Match.PREFIX


def parse_plain(line: bytes, names: Names, allowed: Allowed) -> Query | None:
    """``[CLASS] WORD[*]`` as ``parse_any`` gives it; None when that has to look."""
    match = PLAIN(line.upper())
    if match is None:
        return None
    head, name, place, star = match.groups()
    class_name, word = None, name or place
    if head is not None and (class_name := names.heads.get(head)) is None:
        return None
    if word in names.reserved or allowed.terms < 1 or (star and not allowed.wildcard):
        return None
    term = Term(word.decode("latin-1"), _PREFIX if star else _EXACT)
    return Query(class_name, ((term,),))


def text(query: Query) -> bytes:
    """A line that asks ``query``: ``parse`` gives it back, in the dialect it was parsed in.

    Every value is quoted, so that no word of a schema can change what the line means.
    """
    asked = " or ".join(" and ".join(map(_term_text, branch)) for branch in query.branches)
    return (f"{query.class_name} {asked}" if query.class_name else asked).encode("latin-1")


_TEXT_FORMS: Final = {
    Match.EXACT: '"{}"',
    Match.PREFIX: '"{}*"',
    Match.SUFFIX: '"*{}"',
    Match.CONTAINS: '"*{}*"',
    Match.BELOW: "{}**",
}


def _term_text(term: Term) -> str:
    # "*" alone between quotes is no token (the body needs a character): it goes outside.
    form = '""*' if term.match is Match.PREFIX and not term.value else _TEXT_FORMS[term.match]
    value = form.format(term.value)
    return f"{term.attribute}={value}" if term.attribute else value


# ---------------------------------------------------------------- reading: no schema

# [CLASS] TERM ("AND" TERM | "OR" TERM)* in upper case, a TERM being [ATTRIBUTE "="] VALUE, and
# VALUE a word or a quoted text, a star at its end. Stricter than the grammar: what it leaves
# alone, the grammar reads. One match is one term, with what stands in front and behind.
_TERM: Final = rb"""
    (?: ([A-Z0-9_-]++) [ \t]*+ = [ \t]*+ )?
    (?: ("[^"*\0\r\n]++\*?"\*?) | ([^ \t=*"!\0\r\n]++\*?) )
    (?: [ \t]++ (AND|OR) [ \t]++ | [ \t]*+ \Z)"""
_FIRST_TERM: Final = re.compile(
    rb"[ \t]*+ (?: ([A-Z0-9_-]++) [ \t]++ (?![ \t=]|!=) )?" + _TERM, re.VERBOSE
).match
_NEXT_TERM: Final = re.compile(_TERM, re.VERBOSE).match


def read_line(line: bytes) -> Line | None:
    """The words of ``line``; None when it is no query in any dialect (350)."""
    line = line.rstrip(b"\r\n").upper()  # bytes.upper: ASCII only, like the C locale
    return read_terms(line) or _LINES.read(line)


def read_terms(line: bytes) -> Line | None:
    """The words of a line in upper case of simple terms; None when the grammar has to look.

    Whatever it gives, ``read_by_grammar`` gives as well.
    """
    match = _FIRST_TERM(line)
    if match is None:
        return None
    head, attribute, quoted, word, joint = match.groups()
    if head in _KEYWORDS:
        return None
    branches: list[tuple[Piece, ...]] = []
    branch: list[Piece] = []
    while True:
        if attribute in _KEYWORDS or word in _KEYWORDS:
            return None
        kind = "quoted" if quoted else "word"
        branch.append(Piece(_decoded(attribute), False, kind, (quoted or word).decode("latin-1")))
        if joint != b"AND":
            branches.append(tuple(branch))
            if joint is None:
                return Line(_decoded(head), tuple(branches))
            branch = []
        match = _NEXT_TERM(line, match.end())
        if match is None:
            return None
        attribute, quoted, word, joint = match.groups()


def _decoded(word: bytes | None) -> str | None:
    return None if word is None else word.decode("latin-1")


def read_by_grammar(line: bytes) -> Line | None:
    """The words of any line in upper case, as grammar.lark has them; None when it has not."""
    # Loaded at its first use: see there.
    from rwhoisd.query.grammar import read

    return read(line)


def warm() -> None:
    """Have the grammar loaded, so that no line has to wait for it."""
    read_by_grammar(b"A=B")


class LineCache:
    """Lines that the grammar has read, refused ones too; the oldest go first.

    Bounded by ``lines`` and, as lines differ much in length, by ``octets`` of memory.
    """

    def __init__(self, lines: int = CACHED_LINES, octets: int = CACHED_OCTETS) -> None:
        self._lines, self._octets = lines, octets
        self._held: dict[bytes, tuple[Line | None, int]] = {}
        self.octets = 0

    def __len__(self) -> int:
        return len(self._held)

    def read(self, line: bytes) -> Line | None:
        """``read_by_grammar``, or what it gave for the same line before."""
        if found := self._held.get(line):
            return found[0]
        read = read_by_grammar(line)
        self._keep(line, read)
        return read

    def _keep(self, line: bytes, read: Line | None) -> None:
        pieces = sum(map(len, read.branches)) if read else 0
        size = len(line) + _OCTETS_PER_PIECE * (1 + pieces)
        if size > self._octets:
            return
        self._held[line] = read, size
        self.octets += size
        while len(self._held) > self._lines or self.octets > self._octets:
            self.octets -= self._held.pop(next(iter(self._held)))[1]


_LINES: Final = LineCache()


# ---------------------------------------------------------------- resolving: the schemas' words


def resolve(line: Line, names: Names, dialect: Dialect, allowed: Allowed) -> Query:
    """The query that ``line`` is under ``names``; errors as ``parse``, syntax before 351."""
    class_name = _class_name(line, names, dialect)
    terms = 0
    for branch in line.branches:
        terms += len(branch)
        for piece in branch:
            if piece.attribute is not None:
                _check_attribute(piece, names, dialect)
            if piece.kind == "below" and Network.from_text(_plain(piece)) is None:
                _refuse(ResponseCode.INVALID_QUERY_SYNTAX)
    if terms > allowed.terms:
        _refuse(ResponseCode.QUERY_TOO_COMPLEX)
    return Query(
        class_name,
        tuple([tuple([_term(p, dialect, allowed) for p in branch]) for branch in line.branches]),
    )


def _class_name(line: Line, names: Names, dialect: Dialect) -> str | None:
    """Canonical name of the class in front; None when none stands there."""
    if line.head is None:
        if not dialect.lone_class_is_word and _first_word(line) in names.classes:
            # ARIN's lexer takes it for a class, which nothing it can read follows (§7.2)
            _refuse(ResponseCode.INVALID_QUERY_SYNTAX)
        return None
    class_name = names.classes.get(line.head.lower())
    if class_name is None:
        _refuse_word(dialect.unknown_class, line.head)
    return class_name


def _first_word(line: Line) -> str:
    first = line.branches[0][0]
    return (first.attribute or first.text).lower()  # a quoted text keeps its quotes: no word


def _check_attribute(piece: Piece, names: Names, dialect: Dialect) -> None:
    """Refuse an unknown word before "=" (320, 350), and behind it what the dialect cannot read."""
    assert piece.attribute is not None
    if piece.attribute.lower() not in names.attributes:
        _refuse_word(dialect.unknown_attribute, piece.attribute)
    if piece.kind != "word":
        return
    misread = (not dialect.equals_in_value and "=" in piece.text) or (
        not dialect.attribute_word_is_value and piece.text.lower() in names.attributes
    )
    if misread:
        _refuse(ResponseCode.INVALID_QUERY_SYNTAX)


def _term(piece: Piece, dialect: Dialect, allowed: Allowed) -> Term:
    """The term a piece stands for; 351 in the order of arin-rwhoisd.md §7.4."""
    value, match = _value(piece, dialect)
    if match is not Match.EXACT:
        if not allowed.wildcard:
            _refuse(ResponseCode.QUERY_TOO_COMPLEX)
        if match in _LEADING and not allowed.leading_wildcard:
            _refuse(ResponseCode.QUERY_TOO_COMPLEX)
    if piece.negated:
        _refuse(ResponseCode.QUERY_TOO_COMPLEX)
    return Term(value, match, None if piece.attribute is None else piece.attribute.lower())


_LEADING: Final = (Match.SUFFIX, Match.CONTAINS)


def _value(piece: Piece, dialect: Dialect) -> tuple[str, Match]:
    """Value and comparison (arin-rwhoisd.md §7.3): quotes go, then blanks outside of stars.

    Stars at the end go before those in front, so that what is all stars is an empty prefix.
    """
    plain = _plain(piece)
    if "*" not in plain:
        return plain, Match.BELOW if piece.kind == "below" else Match.EXACT
    value = plain.rstrip("*")
    trailing = len(value) < len(plain)
    if not value.startswith("*"):
        return value, Match.PREFIX
    contains = trailing or dialect.leading_star_contains
    return value.lstrip("*"), Match.CONTAINS if contains else Match.SUFFIX


def _plain(piece: Piece) -> str:
    """Text of a piece without quotes and outer blanks; of PREFIX** the prefix."""
    plain = piece.text.replace('"', "").strip(_BLANKS)
    return plain.removesuffix("**") if piece.kind == "below" else plain


def _refuse_word(code: ResponseCode, word: str) -> NoReturn:
    """Refuse an unknown class or attribute; what can be no name (R3.1.9-3) is bad syntax."""
    if code is ResponseCode.INVALID_QUERY_SYNTAX or not NAME.match(word):
        _refuse(ResponseCode.INVALID_QUERY_SYNTAX)
    raise RwhoisError(code, word.lower())


def _refuse(code: ResponseCode) -> NoReturn:
    raise RwhoisError(code)
