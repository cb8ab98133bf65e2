"""What fuzzing begins with: conversations and files that mean something, most of them tests' own.

They are made each time, so that they are never older than what they are made of. What is worth
keeping beside them, such as an input that found a fault, is in ``fuzz/corpus/TARGET``.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from conformance.recorded import load_recorded
from conformance.script import load_scripts
from fuzz import loaders, sample, session
from fuzz.inputs import join
from rwhoisd.formats.export_csv import Csv
from rwhoisd.formats.export_walk import Entry

ROOT: Final = Path(__file__).parents[1]
CORPUS: Final = Path(__file__).with_name("corpus")
_FIXTURES: Final = ROOT / "tests" / "inventory_fixtures"
_EXPECTED: Final = ".expected.json"
_MOST_OCTETS: Final = 1 << 14


def _conversations() -> Iterator[bytes]:
    """One of each kind that was recorded, those of the rules, and some over the secrets."""
    kinds = set()
    for case in load_recorded():
        if case.tags not in kinds:
            kinds.add(case.tags)
            yield join(["arin", "192.0.2.7", "0"], b"".join(case.pieces))
    for script in load_scripts(ROOT / "conformance" / "rfc"):
        sent = "".join(f"{line}\r\n" for line in script.sent()).encode("latin-1", "replace")
        yield join(["rfc", "2001:db8::7", "0"], sent)
    for lines in _OWN:
        text = lines.format(area=sample.AREA).encode()
        for compat in session.MODES:
            yield join([compat, "127.0.0.1", "7"], text)
            yield join([compat, "", "0"], b"-holdconnect on\r\n" + text)


_OWN: Final = (
    """\
-xfer {area}
-xfer {area} class=contact attr=Pin
-class {area}
-schema {area} contact
""",
    """\
contact name=known
contact pin=Zq*
pin=Zq*
guardian guard-info=Zq*
id=*.{area}
""",
    """\
-security on request pw nothing
id=K.{area}
guardian id=G*
-security off
id=H.{area}
""",
    """\
-security on request crypt-pw nothing
id=C.{area}
-security on request argon2id nothing
id=A.{area}
-X-echo a b
-X-echo %ok
""",
    """\
-register on add a@b.example
Class-Name: contact
Auth-Area: {area}
Name: new
Pin: 1
-register off
id=${{ID}}
-register on mod a@b.example
ID: ${{ID}}
Updated: ${{UPDATED}}
_NEW_
Class-Name: contact
Auth-Area: {area}
Name: newer
-register off
-register on del a@b.example
ID: ${{ID}}
Updated: ${{UPDATED}}
-register off
""",
    """\
-register on add a@b.example
Class-Name: guardian
Auth-Area: {area}
Guard-Scheme: argon2id
Guard-Info: mine
-register off
-notify badref up.example:4321:x
""",
    """\
-register on mod a@b.example
ID: K.{area}
Updated: 20240115093000000
---
Class-Name: contact
Auth-Area: {area}
Name: stolen
-register off
id=K.{area}
""",
    """\
-forward on
x.elsewhere.example
%%server
%rwhois V-1.5:003fff:00 up.example
%referral rwhois://down.example:4321/auth-area=elsewhere.example
%ok
""",
    """\
-forward on
x.elsewhere.example
%%server
%rwhois V-1.5
network:ID:1

%error 230
""",
)


def _files() -> Iterator[bytes]:
    for kind in ("arin", "zone"):
        folder = loaders.good(kind)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = str(path.relative_to(folder))
            yield join([kind, name], path.read_bytes())
            yield join([f"{kind}-load", name], path.read_bytes())
    yield join(["image", "manifest.json", "40"], b'"objects": 7')
    yield join(["image", "records.dat", "999"], b"")
    for name in ("records.off", "objects.tab"):
        yield join(["image", name, "24"], bytes(24))
    yield join(["config"], (ROOT / "data" / "rwhoisd.toml").read_bytes())
    yield join(["inventory-file"], (ROOT / "data" / "platform" / "inventory.toml").read_bytes())
    for path in sorted((ROOT / "schema").glob("*.toml")):
        yield join(["classes"], path.read_bytes())
    yield join(["csv"], _csv().encode())
    yield from _inventories()


def _csv() -> str:
    table = Csv([sample.VAULT], "contact")
    entries = [Entry(sample.VAULT, sample.CONTACT, obj) for obj in sample.objects()]
    return "".join([*(table.add(e) for e in entries if e.object.class_name == "contact")])


def _inventories() -> Iterator[bytes]:
    """The fixtures of every kind, folders as several files."""
    for kind in sorted(p.name for p in _FIXTURES.iterdir() if p.is_dir()):
        for path in sorted((_FIXTURES / kind).iterdir()):
            if path.name.endswith(_EXPECTED):
                continue
            inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
            parts = [
                loaders.FILE_MARK
                + str(p.relative_to(path.parent)).encode()
                + b"\n"
                + p.read_bytes()
                for p in inside
            ]
            yield join(["inventory", kind], b"\n".join(parts))
            if kind == "netbox" and path.suffix == ".json":
                yield join(["inventory", loaders.API_KIND], path.read_bytes())


_SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "session": _conversations,
    "loaders": _files,
}


def seeds(target: str) -> list[bytes]:
    """What is made, then what is saved; small enough to be read often."""
    made = [data for data in _SEEDS[target]() if len(data) <= _MOST_OCTETS]
    return list(dict.fromkeys([*made, *(path.read_bytes() for path in saved(target))]))


def saved(target: str, corpus: Path = CORPUS) -> list[Path]:
    """The inputs that are kept."""
    return sorted(path for path in (corpus / target).glob("*") if path.is_file())
