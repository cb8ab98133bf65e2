"""The leak test over all that is hidden, by every path on which an answer leaves.

Private attributes and objects, residential customers, internal objects, an area with an audience
and the secrets of guardians, all in one directory. What is hidden is written in words that stand
nowhere else: an outsider sees none of them that it did not send itself. In ``rfc`` mode more
holds: a directory with other hidden values gives an outsider the same answers, byte for byte.
"""

import asyncio
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import Compat
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.directory.visibility import transfer_lines
from rwhoisd.formats.export_csv import Csv
from rwhoisd.formats.export_geofeed import Geofeed
from rwhoisd.formats.export_hosts import Hosts
from rwhoisd.formats.export_swip import Swip
from rwhoisd.formats.export_walk import Gate
from rwhoisd.image.rendering import Flag
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import QueryRequest, Request
from rwhoisd.server.querylog import Formatter, LogSettings
from rwhoisd.testing.memory_source import MemorySource
from tests.property import test_image as data
from tests.property.test_audience import Server
from tests.unit import service_kit as kit

A, VERSION = AttributeDef, "20240101000000000"
STAFF, OUTSIDER = "10.9.0.1", "192.0.2.7"
STAFF_NETWORK = ("10.9.0.0/16",)

PERSON = ClassDef(
    "person",
    (
        A("Name", index=IndexType.ALL, repeatable=True),
        A("City", index=IndexType.EXACT),
        A("IP-Network", index=IndexType.CIDR),
        A("Phone", index=IndexType.ALL, private=True, repeatable=True),
        A("Inner", index=IndexType.CIDR, private=True, repeatable=True),
        A("Note", private=True, repeatable=True),
        A("Privacy"),
    ),
    version=VERSION,
)
CUSTOMER = ClassDef(
    "network",
    (
        A("Org-Name", index=IndexType.ALL),
        A("Street-Address", index=IndexType.EXACT),
        A("City", index=IndexType.EXACT),
        A("IP-Network", index=IndexType.CIDR),
        A("Country-Code"),
        A("Comment", index=IndexType.ALL, repeatable=True),
        A("Phone", index=IndexType.ALL, private=True, repeatable=True),
        A("Privacy"),
    ),
    version=VERSION,
)
GUARDIAN = ClassDef(
    "guardian",
    (A("Guard-Scheme"), A("Guard-Info", index=IndexType.EXACT, private=True)),
    version=VERSION,
)
REFERRAL = replace(data.REFERRAL, version=VERSION)


def area(name: str, position: int, *classes: ClassDef, **facts: object) -> AuthorityArea:
    soa = Soa("1", hostmaster="hostmaster@example.net", primary_server="ns.example.net:4321")
    place = AreaName.from_text(name)
    made = AuthorityArea(place, soa, Schema((*classes, GUARDIAN, REFERRAL)), position=position)
    return replace(made, **facts)  # type: ignore[arg-type]  # fields by name


OPEN, HOMES, CLOSED, GUARDED = AREAS = (
    area("example.net", 0, PERSON, CUSTOMER, internal_to=STAFF_NETWORK),
    area("10.0.0.0/8", 1, CUSTOMER, privacy="residential", operator="Isp"),
    area("closed.example", 2, PERSON, audience=STAFF_NETWORK),
    area("b.example", 3, PERSON, guardians=("G.example.net",)),
)

PUBLIC_WORDS: Final = ["ab", "Smith", "Smyth", "10.1.2.0/24", "10.1.2.3"]
# They stand for what is hidden. Outsiders try some of them, and what they begin and end with.
HIDDEN_WORDS: Final = ["zorkmid", "quuxville", "zyzzyva hall", "172.16.7.0/24", "172.17.9.9"]
ALL_WORDS: Final = PUBLIC_WORDS + HIDDEN_WORDS
TOKENS: Final = [word.lower().partition("/")[0] for word in HIDDEN_WORDS] + ["guardsecret"]

public = st.sampled_from(PUBLIC_WORDS)
hidden = st.sampled_from(ALL_WORDS)
tokens = st.sampled_from(HIDDEN_WORDS)
Lines = tuple[tuple[str, str], ...]
G: Final = ("Guardian", "G.example.net")


def some(
    names: Sequence[str], values: st.SearchStrategy[str], most: int
) -> st.SearchStrategy[Lines]:
    return st.lists(st.tuples(st.sampled_from(names), values), max_size=most).map(tuple)


@dataclass(frozen=True)
class Twin:
    """An object in both directories; in one of them it may not be."""

    one: Object
    other: Object | None


@st.composite
def twins(draw: st.DrawFn) -> Twin:
    kind = draw(st.sampled_from(["private", "hidden", "home", "internal", "closed", "guardian"]))
    number = draw(st.integers(1, 4))
    words = some(["Name", "City", "IP-Network"], public, 3)
    secret = some(["Phone", "Inner", "Note"], hidden, 3)
    where, class_name = OPEN, "person"
    shown: Lines = (("ID", f"{number}.example.net"), ("Updated", VERSION), *draw(words))
    if kind in ("private", "hidden"):
        where = draw(st.sampled_from([OPEN, GUARDED]))
        shown = (*shown, G, *((("Private", "yes"),) if kind == "hidden" else ()))
        return _twin(where, class_name, shown, draw(secret), draw(secret))
    if kind == "home":
        where, class_name = draw(st.sampled_from([HOMES, OPEN])), "network"
        own = () if where is HOMES else (("Privacy", "residential"),)
        place = some(["City", "IP-Network", "Country-Code"], public, 3)
        shown = (*draw(place), *own, *draw(st.sampled_from([(), (G,)])))
        secret = st.tuples(hidden, hidden, some(["Comment", "Bogus"], hidden, 2)).map(
            lambda s: (("Org-Name", s[0]), ("Street-Address", s[1]), *s[2])
        )
        return _twin(where, class_name, shown, draw(secret), draw(secret))
    if kind == "guardian":
        shown = (("ID", f"{number}.example.net"), ("Guard-Scheme", "pw"))
        info = hidden.map(lambda w: (("Guard-Info", w),))
        return _twin(where, "guardian", shown, draw(info), draw(info))
    if kind == "closed":
        where = CLOSED
    lines = draw(some(["Name", "City", "Phone", "Inner"], hidden, 4))
    said = ("Privacy", draw(st.sampled_from(["internal", "Internal", "intrenal"])))
    lines = (
        *lines,
        *shown,
        *((said,) if kind == "internal" else ()),
        *draw(st.sampled_from([(), (G,)])),
    )
    return Twin(Object(where.name.text, class_name, lines), None)


def _twin(where: AuthorityArea, name: str, shown: Lines, one: Lines, other: Lines) -> Twin:
    both = (Object(where.name.text, name, (*shown, *lines)) for lines in (one, other))
    return Twin(*both)


def directory(objects: Sequence[Object | None]) -> MemorySource:
    source = MemorySource(*AREAS)
    secret = (("ID", "G.example.net"), ("Guard-Scheme", "pw"), ("Guard-Info", "guardsecret"))
    link = "rwhois://far.example:4321/auth-area=sub.example.net"
    referral = (("Referred-Auth-Area", "sub.example.net"), ("Referral", link))
    source.add(Object("example.net", "guardian", secret))
    source.add(Object("example.net", "referral", referral))
    for obj in objects:
        row = source.add(obj or Object("example.net", "person", ()))
        if obj is None:
            source.delete(row)  # so that rows are the same in both
    return source


# --- what is asked ---

ATTRIBUTES: Final = list(
    dict.fromkeys(a.name for c in (PERSON, CUSTOMER, GUARDIAN) for a in c.own_attributes)
)
FORMS: Final = [
    *("{v}", "{a}={v}", "person {a}={v}", "network {v}", "guardian {a}={v}", "{a}={v} or City=ab"),
    *("City=ab or {a}={v}", "City=ab and {a}={v}", "Smith and {v}", "Name=a* and {a}={v}"),
    *("10.1.2.3 and {a}={v}", "id=1* and {a}={v}", "{a}={v} and id=1*"),
]
STARRED: Final = [
    *(
        "{a}={p}*",
        "{p}*",
        "{a}=*{s}",
        "*{s}",
        "{a}=*{m}*",
        "*{m}*",
        "person {a}={p}*",
        "id=1* and {a}={p}*",
    ),
]


def guess(attribute: str, word: str, form: str) -> str:
    cut = {"p": word[:2], "s": word[-2:].strip(), "m": word[1:4].strip()}
    return form.format(a=attribute, v=f'"{word}"', **cut)


guesses = st.builds(
    guess, st.sampled_from(ATTRIBUTES), st.sampled_from(ALL_WORDS), st.sampled_from(FORMS + STARRED)
)
NAMES: Final = [a.name.text for a in AREAS]
TRANSFERS: Final = [
    *(f"-xfer {name}{rest}" for name in NAMES for rest in ("", " class=guardian", f" {VERSION}")),
    *(
        f"-xfer {name} class={c} attribute={a}"
        for name in NAMES
        for c in ("person", "network")
        for a in ("Phone", "Org-Name", "ID")
    ),
    "-xfer example.net class=person class=network attribute=Comment",
]
DIRECTIVES: Final = [
    *("-status", "-soa", "-directive", "-display", "-forward on", "-forward off", "-rwhois V-1.5"),
    *(f"-{d} {name}" for d in ("soa", "class", "schema") for name in NAMES),
    *("-class example.net person", "-schema example.net guardian", "-limit 1", "-limit 100"),
    *(
        "-notify update ns.example.net:4321:closed.example",
        "-notify badref rwhois://x:1/auth-area=.",
    ),
    *("-security on request pw wrong", "-security off", "-nosuch"),
]
NAMED: Final = [f"{n}.{name}" for n in (1, 2, "G") for name in NAMES]
REGISTRATIONS: Final = [
    *(f"-register on del a@b.com\nID:{i}\nUpdated:{VERSION}\n-register off" for i in NAMED),
    *(
        f"-register on mod a@b.com\nID:{i}\nUpdated:{VERSION}\n_NEW_\nID:{i}\n"
        "Auth-Area:example.net\nClass-Name:person\nName:x\n-register off"
        for i in NAMED
    ),
    *(
        f"-register on add a@b.com\nAuth-Area:{name}\nClass-Name:{c}\nName:x\nGuardian:{i}\n"
        "-register off"
        for name in NAMES
        for c in ("person", "bogus")
        for i in NAMED[:3]
    ),
]
PLACES: Final = [
    *("id=1.example.net", "2.example.net", "id=G*", "10.1.2.3", "10.0.0.0/8**", "172.16.0.0/12**"),
    *("0.0.0.0/0**", "x.sub.example.net", "x.closed.example", "172.16.7.1", "a*", "sm*", "smyth"),
    *("example.net", "11.0.0.1", "nowhere.example", "person City=ab", "network a*"),
]
lines = st.one_of(
    guesses,
    st.sampled_from(TRANSFERS),
    st.sampled_from(DIRECTIVES),
    st.sampled_from(REGISTRATIONS),
    st.sampled_from(PLACES),
)


# --- what comes back ---


class Heard(kit.Talk):
    """A client that keeps the query log of what it asked."""

    def __init__(self, server: Server, client: str) -> None:
        super().__init__(server.service, client)
        self.session.peer.holdconnect = True
        self.entries: list[tuple[float, str, str, bytes, int, int, int]] = []

    def answer(self, request: Request) -> bytes:
        reply = self.service.handle(self.session.peer, request)
        if not isinstance(reply, Reply):
            reply = asyncio.run(kit._wait(reply))
        if isinstance(request, QueryRequest):
            code = int(reply.code or 0)
            self.entries.append((0.0, "c", "l", request.line, reply.hits, code, 0))
        wire = self.session.send(reply)
        while self.session.sending:
            wire += self.session.send_part()
        return wire

    def ask(self, asked: Sequence[str]) -> list[tuple[str, str]]:
        """What each line brings, but for serials: every change moves them, hidden ones as well."""
        return [
            (
                line,
                "\n".join(
                    x for x in self.say(*line.split("\n")) if not x.startswith("%soa serial:")
                ),
            )
            for line in asked
        ]


def shows(text: str, asked: str = "") -> list[str]:
    """The hidden words in a text that were not in what was asked."""
    text, asked = text.lower(), asked.lower()
    return [token for token in TOKENS if token in text and token not in asked]


@contextmanager
def server_log() -> Iterator[list[str]]:
    told: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(self.format(record))

    keep = Keep(logging.DEBUG)
    logging.getLogger("rwhoisd").addHandler(keep)
    try:
        yield told
    finally:
        logging.getLogger("rwhoisd").removeHandler(keep)


def staff_asks(server: Server, asked: Sequence[str]) -> None:
    """Those who may see it ask the same before, so that their answers are there to be mistaken."""
    for secret in ("", "guardsecret"):
        staff = Heard(server, STAFF)
        if secret:
            staff.say(f"-security on request pw {secret}")
        queries = [line for line in asked if not line.startswith("-")]
        for limit in ("-status", "-limit 1", "-limit 100"):
            staff.ask([limit, *queries, "-xfer example.net", *queries])


def transcript(server: Server, asked: Sequence[str]) -> list[tuple[str, str]]:
    """All that an outsider gets to see, after others asked the same; and that it shows nothing."""
    staff_asks(server, asked)
    with server_log() as told:
        outsider = Heard(server, OUTSIDER)
        said = outsider.ask([*asked, *asked])  # the second time answers are kept
    for line, answer in said:
        assert not shows(answer, line), (line, answer)
    logged = Formatter(LogSettings()).lines(outsider.entries).splitlines(keepends=True)
    for entry in map(bytes.decode, logged):
        found = entry.partition("query=")[0]
        assert not shows(found), entry
    assert not shows("\n".join(told))
    return said + [("log", line.decode()) for line in logged]


def assert_views_are_clean(server: Server) -> None:
    image = server.service._reader.current()
    for pair in image.scopes.pairs:
        if pair.area.audience:
            continue
        for record in image.stored_records(pair):
            if image.flags(record) & Flag.INTERNAL:
                continue
            obj = image.object(record)
            assert not shows(image.public((record,)).decode())
            sent = "\n".join(v for _, v in transfer_lines(obj, pair.class_def, pair.area))
            assert not shows(sent)


def exported(source: MemorySource, named: Sequence[str]) -> list[str]:
    """What leaves by the public gate, as it stands in each format."""
    gate = Gate(public=True, current=True, named=named)
    entries = []
    for stored in source.stored():
        obj = stored.object
        where = next(a for a in AREAS if a.name.text == obj.area)
        class_def = where.schema.class_def(obj.class_name)
        assert class_def is not None
        entry = gate.entry(obj, class_def, where)
        if entry is not None:
            entries.append(entry)
    swip = Swip()
    for entry in entries:
        swip.add(entry)
    networks = [e for e in entries if e.is_a("network")]
    texts = [Geofeed().text(networks), Hosts().text(entries)]
    texts += [
        Csv(AREAS, name).text([e for e in entries if e.is_a(name)])
        for name in ("person", "network")
    ]
    texts += [call.xml for call in swip.calls()]
    return texts


def assert_no_leak(
    stored: Sequence[Twin], asked: Sequence[str], compat: Compat, folder: Path, *, reverse: bool
) -> None:
    sources = [directory([t.one for t in stored]), directory([t.other for t in stored])]
    servers = [
        Server.over(source, folder / str(n), compat, reverse=reverse)
        for n, source in enumerate(sources)
    ]
    said = [transcript(server, asked) for server in servers]
    if compat == "rfc":
        assert said[0] == said[1]
    for server in servers:
        assert_views_are_clean(server)
    public_exports = [exported(source, ()) for source in sources]
    assert public_exports[0] == public_exports[1]
    assert not shows("\n".join(public_exports[0]))
    # Who names an area means its private objects too; profiles hold even then.
    for source in sources:
        hidden_by_profile = [
            s.object
            for s in source.stored()
            if s.object.values("Privacy") or s.object.area == NAMES[1]
        ]
        text = "\n".join(exported(directory(hidden_by_profile), NAMES))
        assert not shows(text)


@settings(deadline=None, max_examples=25)
@given(
    stored=st.lists(twins(), min_size=1, max_size=8),
    asked=st.lists(lines, min_size=10, max_size=30),
    compat=st.sampled_from(["rfc", "rfc", "arin"]),
    reverse=st.booleans(),
    bounds=st.sampled_from([(2, 480, 2), (64, 480, 256), (1, 4, 1)]),
)
def test_no_answer_tells_what_is_hidden(
    stored: list[Twin],
    asked: list[str],
    compat: Compat,
    reverse: bool,
    bounds: tuple[int, int, int],
) -> None:
    with data.small(*bounds), tempfile.TemporaryDirectory() as folder:
        assert_no_leak(stored, asked, compat, Path(folder), reverse=reverse)


def dense() -> list[Twin]:
    """One of everything that is hidden, each time with other words."""
    found = []
    for number, (one, other) in enumerate(
        zip(HIDDEN_WORDS, [*HIDDEN_WORDS[1:], "ab"], strict=True), 1
    ):
        shown: Lines = (("ID", f"{number}.example.net"), ("Updated", VERSION), ("Name", "Smith"))
        for where in (OPEN, GUARDED):
            for private in ((), (("Private", "yes"),)):
                secrets = [tuple((n, w) for n in ("Phone", "Inner", "Note")) for w in (one, other)]
                found.append(_twin(where, "person", (*shown, G, *private), *secrets))
        for where, own in ((HOMES, ()), (OPEN, (("Privacy", "residential"),))):
            lines = [(("Org-Name", w), ("Street-Address", w), ("Comment", w)) for w in (one, other)]
            place: Lines = (("City", "ab"), ("IP-Network", "10.1.2.0/24"), ("Country-Code", "CA"))
            found.append(_twin(where, "network", (*place, *own), *lines))
        infos = [(("Guard-Info", w),) for w in (one, other)]
        found.append(_twin(OPEN, "guardian", (("ID", f"9{number}.example.net"),), *infos))
        words: Lines = (("Name", one), ("City", one), ("Inner", one), *shown)
        found.append(Twin(Object("example.net", "person", (*words, ("Privacy", "internal"))), None))
        found.append(Twin(Object("closed.example", "person", words), None))
    return found


@pytest.mark.parametrize("compat", ["arin", "rfc"])
def test_every_kind_of_line(tmp_path: Path, compat: Compat) -> None:
    asked = ["-limit 100", *PLACES, *DIRECTIVES, *TRANSFERS, *REGISTRATIONS, "-limit 100"]
    asked += [
        guess(attribute, word, form)
        for number, attribute in enumerate(ATTRIBUTES)
        for form in FORMS + STARRED
        for word in (HIDDEN_WORDS[number % len(HIDDEN_WORDS)],)
    ]
    assert_no_leak(dense(), asked, compat, tmp_path, reverse=compat == "rfc")


def test_the_test_can_fail() -> None:
    """What a guardian is told would not pass."""
    source = directory([t.one for t in dense()])
    with tempfile.TemporaryDirectory() as folder:
        server = Server.over(source, Path(folder), "rfc", reverse=False)
        insider = Heard(server, STAFF)
        insider.say("-security on request pw guardsecret")
        (_, answer), *_ = insider.ask(["phone=zorkmid"])
        assert "person:Phone:zorkmid" in answer
        assert shows(answer)
