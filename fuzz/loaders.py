"""The readers of files: a damaged file is told in words, or is read; nothing else happens.

An input is ``LOADER WORD... [xN]``, then what the file holds, N times over. The words say which
file of a good folder is replaced. An inventory's body may be several files, each behind a line
``%%file NAME``; other loaders have one.
"""

import asyncio
import json
import shutil
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from fuzz import sample
from fuzz.answering import answering
from fuzz.inputs import hurried, number, require, scratch, split
from rwhoisd import config
from rwhoisd.formats.arin import read_installation, write_installation
from rwhoisd.formats.classes import read_classes
from rwhoisd.formats.export_csv import read_csv
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.formats.load import AreaResult, Options, import_installation, load_zones
from rwhoisd.formats.zone import ZoneWriter, find_zones, read_zone
from rwhoisd.image.build import build
from rwhoisd.image.folder import OFFSETS, RECORDS
from rwhoisd.image.verify import verify
from rwhoisd.inventory.scan import in_order
from rwhoisd.inventory.settings import read_inventory
from rwhoisd.inventory.source import Inputs, Report, TextFile, find_source, source_kinds
from rwhoisd.store import Store

MOST_OCTETS: Final = 1 << 16  # of a file that repeats itself
MOST_TIMES: Final = 4096
FILE_MARK: Final = b"%%file "
API_KIND: Final = "netbox-api"
T = TypeVar("T")
Loader = Callable[[Path, Sequence[str], bytes], None]  # folder for it alone, words, body


def prepare() -> None:
    """Make what every input needs."""
    for kind in ("arin", "zone", "image", "store"):
        good(kind)
    for kind in source_kinds():
        find_source(kind)


def run(data: bytes) -> None:
    """Reads one damaged file. Raises: BrokenPromiseError, or whatever the reader let out."""
    words, body = split(data[: 4 * MOST_OCTETS])
    if words and words[-1][:1] == "x" and (times := number([words[-1][1:]], 0, MOST_TIMES)):
        body = body * min(times, max(1, MOST_OCTETS // max(1, len(body))))
        words.pop()
    name = words[0] if words else ""
    loader = LOADERS.get(name) or _any(list(LOADERS.values()), name)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder, hurried():
        loader(Path(folder), words[1:], body)


def _any(some: Sequence[T], name: str) -> T:
    return some[zlib.crc32(name.encode()) % len(some)]


@contextmanager
def told() -> Iterator[None]:
    """A file that cannot be read is told in words that name it."""
    try:
        yield
    except FormatError as error:
        require(error.findings, "an error has findings")
        _require_words(error.findings)
    except config.ConfigError as error:
        require(str(error).strip(), "an error has words")


def _require_words(findings: Iterable[Finding]) -> None:
    for finding in findings:
        require(finding.message and finding.file, f"a finding has file and message: {finding!r}")
        require(str(finding), "a finding can be shown")


# -- folders of good files, one of which is replaced ----------------------------------------


@cache
def good(kind: str) -> Path:
    """A folder with good files, made once."""
    folder = Path(tempfile.mkdtemp(dir=scratch())) / kind
    match kind:
        case "arin":
            write_installation(folder, None, [(sample.VAULT, sample.objects())])
        case "zone":
            with ZoneWriter(folder) as writer:
                writer.begin(sample.VAULT)
                for obj in sample.objects():
                    writer.add(obj)
        case "image":
            folder.mkdir()
            sample.make(folder, "arin")
        case _:
            folder.mkdir()
            asyncio.run(_make_store(folder))
    return folder


async def _make_store(folder: Path) -> None:
    async with await Store.open(str(folder / sample.STORE), create=True):
        pass


def damaged(kind: str, folder: Path, words: Sequence[str], body: bytes) -> Path:
    """A copy of the good folder with one file replaced: the one named, or any."""
    whole = good(kind)
    target = shutil.copytree(whole, folder / kind)
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    name = " ".join(words)
    (target / (name if name in names else _any(names, name))).write_bytes(body)
    return target


def _arin(folder: Path, words: Sequence[str], body: bytes) -> None:
    target = damaged("arin", folder, words, body)
    with told():
        installation = read_installation(target / "rwhoisd.conf")
        _require_words(installation.all_findings())


def _arin_load(folder: Path, words: Sequence[str], body: bytes) -> None:
    """Import it, twice: nothing has changed then."""
    target = damaged("arin", folder, words, body)

    async def load(store: Store) -> list[AreaResult]:
        result = await import_installation(store, read_installation(target / "rwhoisd.conf"))
        _require_words(result.findings)
        return result.areas

    with told():
        _load(folder, load)


def _zone(folder: Path, words: Sequence[str], body: bytes) -> None:
    target = damaged("zone", folder, words, body)
    with told():
        for path in find_zones(target):
            read_zone(path)


def _zone_load(folder: Path, words: Sequence[str], body: bytes) -> None:
    target = damaged("zone", folder, words, body)

    async def load(store: Store) -> list[AreaResult]:
        zones = [read_zone(path) for path in find_zones(target)]
        return await load_zones(store, zones, Options(force=True, max_removals=1))

    with told():
        _load(folder, load)


def _load(folder: Path, load: Callable[[Store], Awaitable[list[AreaResult]]]) -> None:
    shutil.copy(good("store") / sample.STORE, folder)
    asyncio.run(_loaded(folder, load))


async def _loaded(folder: Path, load: Callable[[Store], Awaitable[list[AreaResult]]]) -> None:
    """Load into a new store, again without any effect, and make an image that is the same."""
    async with await Store.open(str(folder / sample.STORE)) as store:
        refused = []
        for again in (False, True):
            for result in await load(store):
                _require_words(result.findings)
                refused.append(result.refused)
                require(not (again and result.touched) or any(refused), f"twice: {result!r}")
        async with store.snapshot() as source:
            await build(source, folder / sample.IMAGE, b"\n")
            difference = await verify(source, folder / sample.IMAGE)
        require(difference is None, f"the image is what was loaded: {difference}")


def _image(folder: Path, words: Sequence[str], body: bytes) -> None:
    """``FILE OCTET``: the body stands there in place of what was, or the file ends there."""
    whole = good("image")
    target = shutil.copytree(whole / sample.IMAGE, folder / sample.IMAGE)
    files = sorted(p for p in target.rglob("*") if p.is_file() and p.name in _DAMAGED)
    name = words[0] if words else ""
    file = next((p for p in files if p.name == name), None) or _any(files, name)
    data = file.read_bytes()
    at = number(words, 1, 1 << 30) % (len(data) + 1)
    # What stands within the index is LMDB's, which may end the process over it.
    rest = b"" if not body or file.name == "index.mdb" else body + data[at + len(body) :]
    file.write_bytes(data[:at] + rest)
    asyncio.run(_verified(whole, target))


# The lock is nobody's data, and the state only tells readers that there is something new.
_DAMAGED: Final = frozenset(
    {"current", "manifest.json", "index.mdb", RECORDS, OFFSETS, "objects.tab"}
)


async def _verified(whole: Path, target: Path) -> None:
    async with (
        await Store.open(str(whole / sample.STORE)) as store,
        store.snapshot() as source,
    ):
        difference = await verify(source, target)
    require(difference is None or difference.strip(), "a difference has words")


# -- single files ---------------------------------------------------------------------------


def _inventory_file(path: Path) -> None:
    """The file, and what its patterns find, as long as they stay in its folder."""
    inventory = read_inventory(path)
    for source in inventory.table.source:
        if not any(text.startswith("/") or ".." in text for text in source.files):
            inventory.files_of(source)


def _text_file(read: Callable[[Path], object], name: str) -> Loader:
    def load(folder: Path, words: Sequence[str], body: bytes) -> None:
        del words
        path = folder / name
        path.write_bytes(body)
        with told():
            read(path)

    return load


def _csv(folder: Path, words: Sequence[str], body: bytes) -> None:
    del folder, words
    with told():
        read_csv(body.decode("utf-8", "replace"))


def _inventory(folder: Path, words: Sequence[str], body: bytes) -> None:
    kinds = source_kinds()
    kind = words[0] if words and words[0] in kinds else _any(kinds, "".join(words))
    source, report = find_source(kind), Report()
    with told():
        if kind == API_KIND:
            with answering(body) as url:
                inputs = Inputs(settings={**_API, "url": url})
                facts = list(in_order(source.read(inputs, report)))
        else:
            paths = _laid(folder, body)
            files = tuple(TextFile.read(path) for path in paths)
            facts = list(in_order(source.read(Inputs(files, folder), report)))
        json.dumps([fact.as_row() for fact in facts])
    _require_words(report.findings)


_API: Final[Mapping[str, str]] = {
    "timeout": "2",
    "time-limit": "2",
    "requests-per-second": "1000",
    "token-env": "HOME",  # any word is one
}


def _laid(folder: Path, body: bytes) -> list[Path]:
    """The files of a body, written below ``folder``; one that is named again goes on."""
    parts = (b"\n" + body).split(b"\n" + FILE_MARK)
    contents = {"file": [parts[0][1:]]} if parts[0] else {}
    for part in parts[1:]:
        head, _, content = part.partition(b"\n")
        name = head.decode("latin-1")
        if _is_plain(name):
            contents.setdefault(name, []).append(content)
    found = []
    for name, pieces in contents.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\n".join(pieces))
        except OSError:  # it is a folder by now, or below a file
            continue
        found.append(path)
    return found


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return len(name) < 100 and name.isprintable() and not {"", ".", ".."} & set(parts)


LOADERS: Final[Mapping[str, Loader]] = {
    "arin": _arin,
    "arin-load": _arin_load,
    "zone": _zone,
    "zone-load": _zone_load,
    "image": _image,
    "classes": _text_file(read_classes, "classes.toml"),
    "inventory-file": _text_file(_inventory_file, "inventory.toml"),
    "config": _text_file(config.load, "rwhoisd.toml"),
    "csv": _csv,
    "inventory": _inventory,
}
