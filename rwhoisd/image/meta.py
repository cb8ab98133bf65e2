"""What an image says of itself: the head and the areas, in the table "meta"."""

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import takewhile
from typing import Final

import lmdb

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.image.definitions import (
    area_from_text,
    area_to_text,
    schema_from_text,
    schema_to_text,
    soa_from_text,
    soa_to_text,
)
from rwhoisd.image.environment import Environment, get, items
from rwhoisd.image.errors import ImageError

_HEAD: Final = b"head"
_BUILT: Final = b"built"
_AREA: Final = b"a"
_STATE: Final = b"s"
_SCHEMA: Final = b"c"
NO_SERIAL: Final = TimeStamp("0" * 17)

Lengths = dict[int, set[int]]


@dataclass(slots=True)
class Head:
    """Figures of a committed version, all of them read and written together.

    ``definitions`` is the counter at which areas or classes last changed. ``lengths``: network
    lengths in use, by family; ``link_lengths``: the same of an area's link referrals, and an
    area without any is not in it.
    """

    eol: str
    created: str
    counter: int = 0
    definitions: int = 0
    records: int = 0
    octets: int = 0
    objects: int = 0
    refused: int = 0  # of the objects, those that no query finds
    entries: int = 0
    reversed: bool = False
    sources: list[str] = field(default_factory=list)
    lengths: Lengths = field(default_factory=lambda: {4: set(), 6: set()})
    link_lengths: dict[int, Lengths] = field(default_factory=dict)

    def source_number(self, source: str) -> int:
        """Number that stands for ``source`` in the object table."""
        if source not in self.sources:
            self.sources.append(source)
        return self.sources.index(source)

    def to_text(self) -> str:
        """The head as it is stored."""
        fields = asdict(self)
        fields["lengths"] = _plain(self.lengths)
        fields["link_lengths"] = {str(a): _plain(n) for a, n in self.link_lengths.items()}
        return json.dumps(fields)

    @classmethod
    def from_text(cls, text: str) -> "Head":
        """The head that :meth:`to_text` wrote."""
        fields = json.loads(text)
        fields["lengths"] = _lengths(fields["lengths"])
        links = fields["link_lengths"].items()
        fields["link_lengths"] = {int(a): _lengths(n) for a, n in links}
        return cls(**fields)


def _plain(lengths: Lengths) -> dict[str, list[int]]:
    return {str(family): sorted(found) for family, found in lengths.items()}


def _lengths(fields: Mapping[str, Sequence[int]]) -> Lengths:
    return {int(family): set(found) for family, found in fields.items()}


def read_head(env: Environment, txn: lmdb.Transaction) -> Head:
    """The head of the version that a transaction sees.

    Raises: ImageError, when there is none.
    """
    raw = get(txn, _HEAD, env.meta)
    if raw is None:
        raise ImageError("the index has no head; build the image anew")
    return Head.from_text(raw.decode())


def write_head(env: Environment, txn: lmdb.Transaction, head: Head) -> None:
    """Put the head."""
    txn.put(_HEAD, head.to_text().encode(), db=env.meta)


def write_built(env: Environment, txn: lmdb.Transaction, starts: Sequence[int]) -> None:
    """Note where the records of each pair begin in the flat file, and where the last ones end."""
    txn.put(_BUILT, array("I", starts).tobytes(), db=env.meta)


def read_built(env: Environment, txn: lmdb.Transaction) -> "array[int]":
    """What :func:`write_built` noted; pairs that came later are not in it."""
    starts = array("I")
    starts.frombytes(get(txn, _BUILT, env.meta) or b"")
    return starts


def write_area(
    env: Environment,
    txn: lmdb.Transaction,
    number: int,
    area: AuthorityArea,
    serial: TimeStamp,
    findable: Sequence[int],
) -> None:
    """Put an area's definition and its state.

    That is its SOA, the serial of its last change that is in the image, and how many of its
    objects queries can find: everybody's, then those of the networks of ``internal_to``.
    """
    suffix = number.to_bytes(2)
    fields = {"soa": soa_to_text(area.soa), "serial": serial.text, "findable": findable}
    state = json.dumps(fields)
    schema, text = schema_to_text(area.schema)
    txn.put(_SCHEMA + schema.encode(), text.encode(), db=env.meta, overwrite=False)
    txn.put(_AREA + suffix, area_to_text(area).encode(), db=env.meta)
    txn.put(_STATE + suffix, state.encode(), db=env.meta)


def read_areas(env: Environment, txn: lmdb.Transaction) -> tuple[AuthorityArea, ...]:
    """All areas, in their order, without SOA; areas with equal schemas share one."""

    @cache
    def schema_of(name: str) -> Schema:
        text = get(txn, _SCHEMA + name.encode(), env.meta)
        if text is None:
            raise ImageError(f"the index has no schema {name}; build the image anew")
        return schema_from_text(text.decode())

    return tuple(area_from_text(text, schema_of) for text in _values(env, txn, _AREA))


def read_states(env: Environment, txn: lmdb.Transaction) -> list[str]:
    """What changes with every change of an area, as text: :func:`with_state` reads it."""
    return _values(env, txn, _STATE)


def read_state(env: Environment, txn: lmdb.Transaction, number: int) -> str:
    """The same of one area."""
    state: bytes = get(txn, _STATE + number.to_bytes(2), env.meta) or b""
    return state.decode()


def with_state(area: AuthorityArea, state: str) -> AuthorityArea:
    """The area with the SOA of a state."""
    return replace(area, soa=soa_from_text(json.loads(state)["soa"]))


def serial_of(state: str) -> TimeStamp:
    """The serial of a state."""
    return TimeStamp(json.loads(state)["serial"])


def findable_of(state: str) -> tuple[int, int]:
    """How many objects of the area queries can find, by its state, see :func:`write_area`."""
    shown, inner = json.loads(state)["findable"]
    return shown, inner


def _values(env: Environment, txn: lmdb.Transaction, prefix: bytes) -> list[str]:
    found = takewhile(lambda item: item[0].startswith(prefix), items(txn, env.meta, prefix))
    return [value.decode() for _, value in found]
