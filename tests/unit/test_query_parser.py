"""What a line asks, and the code of what asks nothing (RFC 2167 §3.4; arin-rwhoisd.md §7)."""

import pytest

from rwhoisd.directory.dialect import ARIN, RFC, Dialect
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.schema import BASE_NAMES
from rwhoisd.query.ast import Match, Query, Term
from rwhoisd.query.parser import Allowed, LineCache, Names, parse, read_by_grammar, text

NAMES = Names(
    classes={
        "contact": "contact",
        "person": "contact",
        "organization": "organization",  # an attribute as well
        "domain": "domain",  # no attribute
    },
    attributes=BASE_NAMES | {"name", "email", "organization", "host-name"},
)
EVERYTHING = Allowed(leading_wildcard=True)


def code(line: str, dialect: Dialect, allowed: Allowed | None = None) -> int:
    """Code of the error that ``line`` gives, 0 when it is a query."""
    try:
        parse(line.encode("latin-1"), NAMES, dialect, allowed or Allowed())
    except RwhoisError as error:
        return int(error.code)
    return 0


def asked(line: str, dialect: Dialect = ARIN) -> Query:
    return parse(line.encode("latin-1"), NAMES, dialect, EVERYTHING)


def one(line: str, dialect: Dialect = ARIN) -> Term:
    ((term,),) = asked(line, dialect).branches
    return term


# What ARIN's 1.5.9.6 said to each line; 0 is anything that comes after parsing. Where the rfc
# dialect says something else it stands behind, with the reason.
CODES: list[tuple[str, int, int]] = [
    # words and classes
    ("noc", 0, 0),
    ("(noc)", 0, 0),
    ("john public", 350, 341),  # A24
    ('"john public"', 0, 0),
    ("contact", 350, 0),  # A28
    ("contact*", 0, 0),
    ('"contact"', 0, 0),
    ("contact noc", 0, 0),
    ("PERSON noc", 0, 0),
    ('"contact" noc', 350, 350),
    ("contact contact", 0, 0),
    ("contact contact noc", 350, 350),
    ("x y z", 350, 350),  # R3.4-23
    ("contact and noc", 350, 0),  # A28: no class without a query behind it, so a word
    ("contact or", 350, 350),
    ("contact=x", 350, 320),
    ("contact != x", 350, 320),
    ("contact contact=x", 350, 320),
    ("contact name=noc", 0, 0),
    ('contact "noc" x', 350, 350),
    ("noc and contact", 0, 0),
    ("noc and contact noc", 350, 350),
    ("domain domain=x", 350, 320),
    ("domain=a.com", 350, 320),
    ("organization=x", 350, 0),  # an attribute after all
    ("contact organization=x", 0, 0),
    ("192.0.2.1 x", 350, 350),  # can be no class name (R3.1.9-3), so no 341
    # attributes
    ("id", 0, 0),
    ("id noc", 350, 341),
    ("id and noc", 0, 0),
    ("noc and id", 0, 0),
    ("name=id", 350, 0),  # dialect.attribute_word_is_value
    ('name="id"', 0, 0),
    ("name=id*", 0, 0),
    ("name=contact", 0, 0),
    ("name=and", 350, 350),
    ('name="and"', 0, 0),
    ("name=", 350, 350),
    ("name==x", 350, 0),  # R3.4-19
    ("name=a=b", 350, 0),
    ('name="a=b"', 0, 0),
    ("noc=noc=noc", 350, 320),
    ("name = noc", 0, 0),
    ("name=\tnoc", 0, 0),
    ("nosuch=x", 350, 320),  # A23
    ("nosuch x", 350, 341),
    ('"name"=x', 350, 350),
    ("name*=x", 350, 350),
    ('name"=noc', 350, 350),
    ("name=noc name=noc", 350, 350),
    ("name=noc and nosuch=noc", 350, 320),
    ("name=noc and contact=noc", 350, 320),
    # "!="
    ("email!=x", 350, 350),  # EMAIL! is a word, and no attribute name
    ("email !=x", 351, 351),
    ("email != x", 351, 351),
    ("email != id", 350, 351),
    ('email != "id"', 351, 351),
    ("nosuch != x", 350, 320),
    ("!", 0, 0),
    ("!x", 0, 0),
    ("!=x", 350, 350),
    ("x! and y", 0, 0),
    # keywords
    ("and", 350, 350),
    ("AND", 350, 350),
    ("or noc", 350, 350),
    ("noc and", 350, 350),
    ("noc and and noc", 350, 350),
    ("noc and or noc", 350, 350),
    ("noc and noc or noc and noc", 0, 0),
    ("andy", 0, 0),
    ("and*", 0, 0),
    ("*and", 351, 351),
    ('"and"', 0, 0),
    ('noc and"noc"', 350, 341),  # two words
    ("noc* and noc", 0, 0),
    ("noc*and noc", 0, 0),
    ('"noc"and noc', 350, 350),
    ('"noc noc"and noc', 0, 0),
    ("not noc", 350, 341),
    ("noc < noc", 350, 350),
    # quotes
    ('"noc noc"noc', 350, 350),
    ('"noc"noc', 0, 0),
    ('"noc"*', 0, 0),
    ('*"noc"', 351, 351),
    ('"noc*"', 0, 0),
    ('"*noc"', 351, 351),
    ('*"*noc*"*', 351, 351),
    ('"noc', 0, 0),
    ('noc"', 0, 0),
    ('"no"c', 0, 0),
    ('"noc noc', 350, 350),
    ('"', 0, 0),
    ('""', 0, 0),
    ('"""', 0, 0),
    ('""*', 0, 0),
    ('*""', 0, 0),
    ('" "', 0, 0),
    ('"* "', 0, 0),
    ('"* *"', 351, 351),
    ('"*"', 350, 350),
    ('"a*b"', 350, 350),
    ('"name=noc"', 0, 0),
    ('name="noc" x', 350, 350),
    ('name="noc"x', 0, 0),
    ('name="noc noc"x', 350, 350),
    ('name=x"noc noc"', 350, 350),
    # stars
    ("*", 350, 350),
    ("**", 350, 350),
    ("a*b", 350, 350),
    ("noc**", 350, 350),
    ("**noc", 350, 350),
    ("*noc", 351, 351),
    ("*noc*", 351, 351),
    ("name=*", 350, 350),
    ("name=*noc", 351, 351),
    ("name=noc**", 350, 350),
    # syntax goes before complexity
    ("name=*noc and noc noc", 350, 350),
    ("*noc and email != x", 351, 351),
    # what is left
    ("", 350, 350),
    ("--x", 0, 0),
    ("- x", 350, 341),
    ("-5", 0, 0),
    ("=x", 350, 350),
    ("=", 350, 350),
    ("a = ", 350, 350),
    ("caf\xe9", 0, 0),
    ("a\xa0b", 0, 0),  # no blank in the C locale
]


@pytest.mark.parametrize(("line", "arin", "_rfc"), CODES, ids=[repr(c[0]) for c in CODES])
def test_code_in_arin_dialect(line: str, arin: int, _rfc: int) -> None:
    assert code(line, ARIN) == arin


@pytest.mark.parametrize(("line", "_arin", "rfc"), CODES, ids=[repr(c[0]) for c in CODES])
def test_code_in_rfc_dialect(line: str, _arin: int, rfc: int) -> None:
    assert code(line, RFC) == rfc


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n"], ids=repr)
@pytest.mark.parametrize("line", [b"a%sb", b'"a%sb"', b"name=a%sb", b"a %s and b"], ids=repr)
def test_octets_that_are_no_any_char_are_350(line: bytes, octet: bytes) -> None:
    """RFC 2167 §3.1.9: any-char is 1..255 without CR and LF (R3.1.9-2)."""
    with pytest.raises(RwhoisError, match="350"):
        parse(line % octet, NAMES, RFC)


def test_line_end_may_still_be_there() -> None:
    assert parse(b"noc\r\n", NAMES, RFC) == parse(b"noc", NAMES, RFC)


VALUES: list[tuple[str, str, Match]] = [
    ("John", "JOHN", Match.EXACT),
    ("caf\xe9", "CAF\xe9", Match.EXACT),  # ASCII letters only, like the C locale
    ('"Public,  John"', "PUBLIC,  JOHN", Match.EXACT),
    ('" john "', "JOHN", Match.EXACT),
    ('"joh"n', "JOHN", Match.EXACT),
    ('""', "", Match.EXACT),
    ("id", "ID", Match.EXACT),
    ("noc*", "NOC", Match.PREFIX),
    ('"noc"*', "NOC", Match.PREFIX),
    ('"noc*"*', "NOC", Match.PREFIX),
    ('" noc*"', "NOC", Match.PREFIX),
    ('"noc *"', "NOC ", Match.PREFIX),  # trimmed before the star goes, not after
    ('*"*noc*"*', "NOC", Match.CONTAINS),
    ('"* noc *"', " NOC ", Match.CONTAINS),
    ("*noc*", "NOC", Match.CONTAINS),
    ('""*', "", Match.PREFIX),  # all stars: a prefix of nothing, which is no leading wildcard
    ('*""', "", Match.PREFIX),
    ('*" "', "", Match.PREFIX),
    ('*"*', "", Match.PREFIX),
    ('"* *"', " ", Match.CONTAINS),
]


@pytest.mark.parametrize(("line", "value", "match"), VALUES, ids=[repr(v[0]) for v in VALUES])
@pytest.mark.parametrize("dialect", [ARIN, RFC], ids=lambda d: d.name)
def test_value_and_match(dialect: Dialect, line: str, value: str, match: Match) -> None:
    assert one(line, dialect) == Term(value, match)


@pytest.mark.parametrize("line", ["*noc", '*"noc"', '"*noc "'])
def test_leading_star_contains_in_arin_and_ends_in_rfc_dialect(line: str) -> None:
    """N33."""
    assert one(line, ARIN) == Term("NOC", Match.CONTAINS)
    assert one(line, RFC) == Term("NOC", Match.SUFFIX)


def test_and_binds_tighter_than_or() -> None:
    """N35, docs/adr/0004."""
    a, b, c, d = (Term(letter) for letter in "ABCD")
    assert asked("a or b and c or d").branches == ((a,), (b, c), (d,))
    assert asked("a and b or c and d").branches == ((a, b), (c, d))


def test_an_attribute_belongs_to_its_own_term() -> None:
    """N35."""
    assert asked("name=a and b").branches == ((Term("A", attribute="name"), Term("B")),)


def test_class_alias_gives_the_canonical_class() -> None:
    assert asked("Person e-mail") == Query("contact", ((Term("E-MAIL"),),))


def test_attribute_stays_as_typed_in_lower_case() -> None:
    assert one("Object-Type = x") == Term("X", attribute="object-type")


def test_rfc_value_keeps_its_equal_signs() -> None:
    """R3.4-19: the first one divides."""
    assert one("name=a=b=c", RFC) == Term("A=B=C", attribute="name")


def test_rfc_lone_class_name_is_a_word() -> None:
    """R3.4-16, A28."""
    assert asked("domain", RFC) == Query(None, ((Term("DOMAIN"),),))


@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("10.0.0.0/8**", Query(None, ((Term("10.0.0.0/8", Match.BELOW),),))),
        ('"10.0.0.0/8"**', Query(None, ((Term("10.0.0.0/8", Match.BELOW),),))),
        ("domain 10.0.0.0/8**", Query("domain", ((Term("10.0.0.0/8", Match.BELOW),),))),
        ("name=2001:db8::/32**", Query(None, ((Term("2001:DB8::/32", Match.BELOW, "name"),),))),
        (
            "10.0.0.0/8** and name=x",
            Query(None, ((Term("10.0.0.0/8", Match.BELOW), Term("X", attribute="name")),)),
        ),
    ],
)
@pytest.mark.parametrize("dialect", [ARIN, RFC], ids=lambda d: d.name)
def test_networks_below_a_prefix(dialect: Dialect, line: str, query: Query) -> None:
    assert asked(line, dialect) == query


@pytest.mark.parametrize(
    "line", ["10.0.0.0/33**", "10**", "*10.0.0.0/8**", "10.0.0.0/8***", "10.0.0.0/8**x", "a=1**"]
)
def test_two_stars_behind_anything_else_are_350(line: str) -> None:
    assert code(line, ARIN) == 350


TOO_COMPLEX: list[tuple[str, Allowed, int]] = [
    ("noc*", Allowed(), 0),
    ("noc*", Allowed(wildcard=False), 351),
    ("10.0.0.0/8**", Allowed(wildcard=False), 351),
    ("*noc", Allowed(wildcard=False, leading_wildcard=True), 351),
    ("*noc", Allowed(leading_wildcard=True), 0),
    ("*noc*", Allowed(), 351),
    ('""*', Allowed(), 0),
    ("a or b and c", Allowed(terms=3), 0),
    ("a or b and c", Allowed(terms=2), 351),
    ("a or b and name=id", Allowed(terms=2), 350),
]


@pytest.mark.parametrize(("line", "allowed", "expected"), TOO_COMPLEX)
def test_too_complex(line: str, allowed: Allowed, expected: int) -> None:
    assert code(line, ARIN, allowed) == expected


@pytest.mark.parametrize(("line", "word"), [("NoSuch x", "nosuch"), ("No-Such=x", "no-such")])
def test_rfc_error_names_the_unknown_word(line: str, word: str) -> None:
    with pytest.raises(RwhoisError) as caught:
        asked(line, RFC)
    assert caught.value.detail == word


def test_terms_of_a_full_line() -> None:
    """43 "or" terms are nothing special at ARIN's server (arin-rwhoisd.md §7.2)."""
    assert len(asked(" or ".join(["a"] * 43)).branches) == 43


TEXTS = [
    'contact name="DOE, J*" and email="X" or "Y"',
    '"AND"',
    '""*',
    '"* NOC *"',
    "domain 10.0.0.0/8**",
]


@pytest.mark.parametrize("line", TEXTS)
def test_text_is_the_line_with_every_value_quoted(line: str) -> None:
    assert text(asked(line)) == line.encode()


def test_text_of_an_ending() -> None:
    assert text(asked("*noc", RFC)) == b'"*NOC"'


class TestLineCache:
    """Lines that only the grammar can read are kept, within bounds."""

    def test_gives_what_the_grammar_gives_and_keeps_it(self) -> None:
        cache = LineCache()
        read = cache.read(b"A AND B")
        assert read == read_by_grammar(b"A AND B")
        assert cache.read(b"A AND B") is read

    def test_keeps_refusals(self) -> None:
        cache = LineCache()
        assert cache.read(b"A B C") is None
        assert cache.read(b"A B C") is None
        assert len(cache) == 1

    def test_count_is_bounded_and_the_oldest_goes(self) -> None:
        cache = LineCache(lines=2)
        first = cache.read(b"A AND B")
        cache.read(b"A AND C")
        cache.read(b"A AND D")
        assert len(cache) == 2
        assert cache.read(b"A AND B") is not first

    def test_memory_is_bounded(self) -> None:
        cache = LineCache(octets=5000)
        for number in range(50):
            cache.read(b"A AND B%d" % number)
        assert 0 < cache.octets <= 5000
        assert len(cache) < 10

    def test_a_line_too_large_is_not_kept(self) -> None:
        cache = LineCache(octets=1000)
        assert cache.read(b" AND ".join([b"A"] * 100)) is not None
        assert (len(cache), cache.octets) == (0, 0)


def test_cached_lines_follow_the_names_of_the_image() -> None:
    """The same line under another schema means another thing: nothing of it is cached."""
    line = b"contact x and y"
    assert parse(line, NAMES, ARIN).class_name == "contact"
    other = Names({"contact": "people"}, NAMES.attributes)
    assert parse(line, other, ARIN).class_name == "people"
    with pytest.raises(RwhoisError, match="350"):
        parse(line, Names({}, NAMES.attributes), ARIN)
