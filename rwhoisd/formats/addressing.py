"""Address blocks: the next free one is registered, one is returned, how full they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.directory.objects import Line
from rwhoisd.directory.schema import ClassDef
from rwhoisd.directory.space import (
    Usage,
    addresses_of,
    free_block,
    meets,
    span_of,
    strictly_within,
    usage,
    where_attribute,
)
from rwhoisd.formats.edits import (
    Done,
    Edit,
    EditError,
    Editor,
    canonical,
    class_of,
    perform,
)
from rwhoisd.store import AreaChange, NetworkEntry, Store

RELEASED: Final = "released"
REFERRAL: Final = "referral"
_SHOWN: Final = 5  # names in a message


@dataclass(frozen=True)
class Assignment:
    """What is asked for: a block of ``length`` out of ``outer``, registered with ``lines``."""

    outer: Network
    length: int
    class_name: str = "network"
    lines: tuple[Line, ...] = ()
    organization: str | None = None


@dataclass(frozen=True)
class Assigned:
    """The block that was registered, or would have been, and the change."""

    block: Network
    done: Done


async def assign(
    editor: Editor, wanted: Assignment, *, only: Network | None = None, dry_run: bool = False
) -> Assigned:
    """Register the lowest free block; it is looked for under the lock of its area.

    Blocks that overlap are given out under one lock: the area is that of the most specific
    thing around ``outer``, and what is more specific than ``outer`` counts as occupied. So two
    who ask at once never get the same. ``only``: refuse any other block than this one.
    Raises: EditError when nothing is free, and as ``Editor.addition``.
    """
    area = await _home(editor, wanted)
    class_def = class_of(area, wanted.class_name)
    where = where_attribute(class_def)
    if where is None:
        raise EditError(f"class {class_def.name} of {area.name} holds no addresses; try network")
    areas = await editor.store.areas()
    lines = [*wanted.lines, *await _holder(editor, class_def, wanted)]
    # All but the place is checked before the area is locked.
    sample = Network(wanted.outer.family, wanted.outer.start, wanted.length)
    checked = await editor.addition(
        area.name.text, class_def.name, _filled(class_def, where, sample, lines)
    )

    async def work(change: AreaChange) -> Done:
        entries = await change.networks_overlapping(wanted.outer)
        block = free_block(wanted.outer, occupied(wanted, entries, areas), wanted.length)
        if block is None:
            raise EditError(
                f"no /{wanted.length} is free in {wanted.outer};"
                f" see rwhois-admin utilization {wanted.outer}"
            )
        if only not in (None, block):
            raise RwhoisError(
                ResponseCode.OUTDATED_OBJECT,
                f"{only} was taken meanwhile, {block} would be next; ask again",
            )
        assert checked.wanted is not None
        filled = canonical(_filled(class_def, where, block, lines), class_def)
        obj = replace(checked.wanted, lines=tuple(filled))
        return await perform(change, [Edit(None, obj)])

    done = await editor.run(area.name.text, work, dry_run=dry_run)
    block = Network.from_text(done.objects[0].get(where) or "")
    assert block is not None  # that is how it was written
    return Assigned(block, done)


def occupied(
    wanted: Assignment, entries: Iterable[NetworkEntry], areas: Iterable[AuthorityArea]
) -> list[AddressRange]:
    """What nothing may be given out of: objects of any class, and areas that are more specific.

    What encloses the block is around it, and does not count.
    """
    outer = span_of(wanted.outer)
    spans = [entry.span for entry in entries if not entry.span.encloses(outer)]
    places = (area.name.place for area in areas)
    inner = (span_of(place) for place in places if isinstance(place, Network))
    return [*spans, *(span for span in inner if strictly_within(outer, span))]


async def _home(editor: Editor, wanted: Assignment) -> AuthorityArea:
    """The area of the most specific object of the class, or area, around the block."""
    outer = span_of(wanted.outer)
    found = [
        (entry.span.last - entry.span.first, 0, entry.area)
        for entry in await editor.store.networks_around(None, wanted.outer)
        if entry.class_name.lower() == wanted.class_name.lower()
    ]
    for area in await editor.store.areas():
        place = area.name.place
        if isinstance(place, Network) and span_of(place).encloses(outer):
            found.append((place.last - place.start, 1, area.name.text))
    if not found:
        raise EditError(
            f"no area and no {wanted.class_name} holds {wanted.outer};"
            f" add one first: rwhois-admin add AREA {wanted.class_name}"
        )
    return await editor.area(min(found)[2])


async def _holder(editor: Editor, class_def: ClassDef, wanted: Assignment) -> list[Line]:
    """Lines that name the organization, and what it is called."""
    if wanted.organization is None:
        return []
    if class_def.attribute("Organization") is None:
        raise EditError(f"class {class_def.name} has no attribute Organization; use --set")
    found = await editor.store.find_objects(object_id=wanted.organization, limit=1)
    if not found:
        raise RwhoisError(ResponseCode.REFERENCE_NOT_FOUND, wanted.organization)
    lines = [("Organization", found[0].object.id or wanted.organization)]
    name = found[0].object.get("Org-Name")
    if name and class_def.attribute("Org-Name") and not _has(wanted.lines, class_def, "Org-Name"):
        lines.insert(0, ("Org-Name", name))
    return lines


def _has(lines: Iterable[Line], class_def: ClassDef, name: str) -> bool:
    attribute = class_def.attribute(name)
    return any(class_def.attribute(given) == attribute for given, _ in lines)


def _filled(
    class_def: ClassDef, where: str, block: Network, lines: Sequence[Line]
) -> tuple[Line, ...]:
    """The lines of a new object; a name and the written range where the class has them."""
    address = str(block).partition("/")[0]
    single = where == "IP-Address" and block.length == ADDRESS_BITS[block.family]
    own = [
        ("Network-Name", block_name(block)),
        (where, address if single else str(block)),
        ("IP-Network-Block", _written(block)),
    ]
    fitting = [
        (name, value)
        for name, value in own
        if class_def.attribute(name) and (name == where or not _has(lines, class_def, name))
    ]
    return (*fitting, *lines)


def block_name(block: Network) -> str:
    """What a block is called that nobody named: ``NET-192-0-2-64-29``."""
    words = str(block).upper().replace(".", " ").replace(":", " ").replace("/", " ").split()
    return "-".join(("NET", *words))


def _written(block: Network) -> str:
    bits = ADDRESS_BITS[block.family]
    ends = (Network(block.family, end, bits) for end in (block.start, block.last))
    return " - ".join(str(end).partition("/")[0] for end in ends)


async def release(
    editor: Editor, what: str, *, class_name: str, area: str | None, dry_run: bool
) -> Done:
    """Return a block, by ID or by its addresses.

    Raises: EditError, while more specific objects stand in it, or when it is not there.
    """
    stored = await _released(editor, what, class_name, area)
    inside = await _spans_of(editor.store, stored)

    async def work(change: AreaChange) -> Done:
        rest = {
            f"{e.class_name} {e.object_id or e.span}"
            for span in inside
            for e in await change.networks_overlapping(span)
            if e.row != stored.row and _stands_in(e, span, class_name)
        }
        if rest:
            names = ", ".join(sorted(rest)[:_SHOWN]) + (" …" if len(rest) > _SHOWN else "")
            raise EditError(
                f"{stored.object.id or what} still holds {len(rest)}: {names}; release those first"
            )
        return await perform(change, [Edit(stored, None)])

    return await editor.run(stored.object.area, work, dry_run=dry_run)


def _stands_in(entry: NetworkEntry, span: AddressRange, class_name: str) -> bool:
    """Whether it is more specific: what has the very same addresses is, in another class."""
    if not span.encloses(entry.span):
        return False
    return entry.span != span or entry.class_name.lower() != class_name.lower()


async def _released(editor: Editor, what: str, class_name: str, area: str | None) -> StoredObject:
    block = AddressRange.from_text(what)
    if block is None:
        return await editor.find(what, area)
    around = await editor.store.networks_around(area, block)
    rows = {e.row for e in around if e.span == block and e.class_name.lower() == class_name.lower()}
    if len(rows) != 1:
        where = f" in {area}" if area else ""
        raise EditError(
            f"{len(rows) or 'no'} {class_name} objects{where} have the addresses {block};"
            f" look with: rwhois-admin find {block}"
        )
    return (await editor.store.find_objects(row=rows.pop()))[0]


async def _spans_of(store: Store, stored: StoredObject) -> list[AddressRange]:
    [area] = [a for a in await store.areas() if a.name.text == stored.object.area]
    return list(addresses_of(stored.object, area.schema.class_def(stored.object.class_name)))


# --- how full


@dataclass(frozen=True, slots=True)
class Inner:
    """Addresses that something in a block has, and what colour they get."""

    span: AddressRange
    name: str
    state: str


@dataclass(frozen=True)
class Block:
    """A block, what it is, and how full it is by what is more specific."""

    span: AddressRange
    name: str
    kind: str  # class, or "area"
    usage: Usage
    inner: tuple[Inner, ...]


# States of addresses in the order in which they cover one another, the last on top.
STATES: Final = ("network", "delegated", "machine", RELEASED)


async def utilization(
    store: Store,
    prefixes: Sequence[Network] = (),
    progress: Callable[[str, int], object] = lambda _what, _count: None,
) -> list[Block]:
    """How full blocks are: those of ``prefixes``, else areas and objects with more specific ones.

    In address order, covering before covered.
    """
    names = await _names(store, progress)
    if prefixes:
        blocks = []
        for prefix in prefixes:
            entries = await store.networks_overlapping(None, prefix)
            span = span_of(prefix)
            known = [e for e in entries if e.span == span and _is_network(e)]
            kind, name = (known[0].class_name, _called(known[0], names)) if known else ("", "")
            blocks.append(_block(span, name, kind, entries, names))
        return blocks
    return await _all_blocks(store, names)


async def _all_blocks(store: Store, names: dict[int, tuple[str, bool]]) -> list[Block]:
    everything = [
        entry
        for family in (4, 6)
        for entry in await store.networks_overlapping(None, Network(family, 0, 0))
    ]
    outer: dict[AddressRange, tuple[str, str]] = {}
    for entry in everything:
        if _is_network(entry):
            outer.setdefault(entry.span, (entry.class_name, _called(entry, names)))
    areas = {
        span_of(a.name.place): ("area", a.name.text)
        for a in await store.areas()
        if isinstance(a.name.place, Network)
    }
    found = []
    for span, mine in _nested(outer.keys() | areas.keys(), everything):
        kind, name = outer.get(span) or areas[span]
        block = _block(span, name, kind, mine, names)
        if block.inner or span in areas:
            found.append(block)
    return found


def _nested(
    spans: Iterable[AddressRange], entries: Iterable[NetworkEntry]
) -> list[tuple[AddressRange, list[NetworkEntry]]]:
    """Each span in address order, covering before covered, with the entries that meet it.

    One sweep: beside the place it has reached, only what is still open is looked at.
    """
    events: list[tuple[AddressRange, NetworkEntry | None]] = [(span, None) for span in spans]
    events += [(entry.span, entry) for entry in entries]
    events.sort(key=lambda e: (e[0].family, e[0].first, -e[0].last))
    found: list[tuple[AddressRange, list[NetworkEntry]]] = []
    open_spans: list[tuple[AddressRange, list[NetworkEntry]]] = []
    open_entries: list[NetworkEntry] = []
    for span, entry in events:
        open_spans = [one for one in open_spans if meets(one[0], span)]
        open_entries = [one for one in open_entries if meets(one.span, span)]
        if entry is None:
            one = (span, list(open_entries))
            found.append(one)
            open_spans.append(one)
        else:
            for _, inside in open_spans:
                inside.append(entry)
            open_entries.append(entry)
    return found


def _block(
    span: AddressRange,
    name: str,
    kind: str,
    entries: Iterable[NetworkEntry],
    names: dict[int, tuple[str, bool]],
) -> Block:
    inner = tuple(
        Inner(e.span, _called(e, names), _state(e, names))
        for e in entries
        if not e.span.encloses(span)
    )
    return Block(span, name, kind, usage(span, (one.span for one in inner)), inner)


def _is_network(entry: NetworkEntry) -> bool:
    return entry.class_name.lower() == "network"


def _called(entry: NetworkEntry, names: dict[int, tuple[str, bool]]) -> str:
    return names.get(entry.row, ("", False))[0] or entry.object_id or str(entry.span)


def _state(entry: NetworkEntry, names: dict[int, tuple[str, bool]]) -> str:
    if names.get(entry.row, ("", False))[1]:
        return RELEASED
    if entry.class_name.lower() == REFERRAL:
        return "delegated"
    return "network" if _is_network(entry) else "machine"


async def _names(
    store: Store, progress: Callable[[str, int], object]
) -> dict[int, tuple[str, bool]]:
    """Row → what the object is called, and whether it is marked as released."""
    found: dict[int, tuple[str, bool]] = {}
    async with store.snapshot() as source:
        for area in await source.areas():
            async for batch in source.objects(area.name.text):
                progress("objects", len(found))
                for stored in batch:
                    obj = stored.object
                    name = obj.get("Network-Name") or obj.get("Host-Name") or obj.id or ""
                    found[stored.row] = (name, (obj.get("Status") or "") == RELEASED)
    return found
