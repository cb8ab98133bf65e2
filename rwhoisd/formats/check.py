"""Find what is wrong with a directory without loading it: files or the store, one set of rules.

Two passes over all objects: ``see`` gathers what others are held against (IDs, keys,
addresses), ``check`` tells what is wrong with one object, ``finish`` what is wrong with the
whole. So the rules need one pass each and no more memory than an index of the directory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from rwhoisd.directory import privacy
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.errors import ResponseCode
from rwhoisd.directory.format import Flavour
from rwhoisd.directory.names import (
    AddressRange,
    Network,
    hierarchical_value,
    lies_within,
    looks_like_network,
)
from rwhoisd.directory.objects import Object
from rwhoisd.directory.privacy import is_internal
from rwhoisd.directory.referral import Referral
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType
from rwhoisd.directory.validate import (
    ObjectRules,
    Violation,
    dangling,
    pattern_faults,
    unknown_attributes,
)
from rwhoisd.directory.visibility import SECRET_ATTRIBUTES
from rwhoisd.formats import arin, zone
from rwhoisd.formats.findings import Finding, FormatError, Severity, failed
from rwhoisd.formats.plan import object_name
from rwhoisd.store import Store

LONGEST_LINE: Final = 2000  # octets of an answer line that whois clients take (W12)
# What a network record has to tell for ARIN (NRPM 3.2), an address of the organization's too.
_ARIN_ALWAYS: Final = (
    *("Network-Name", "IP-Network", "Tech-Contact", "Admin-Contact", "Abuse-Contact"),
    *("Created", "Updated", "Updated-By"),
)
_ARIN_ORGANIZATION: Final = (
    *("Org-Name", "Street-Address", "City", "State", "Postal-Code", "Country-Code"),
)


_Remark = tuple[str, Severity]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands: a file and line, or an area of the store."""

    file: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class _Span:
    """Addresses of an object."""

    range: AddressRange
    row: int
    name: str
    place: Place

    @property
    def sort_key(self) -> tuple[int, int, int]:
        return (self.range.family, self.range.first, -self.range.last)


class Checker:
    """The rules, over all areas of a directory at once."""

    def __init__(self, areas: Sequence[AuthorityArea], flavour: Flavour) -> None:
        self._areas = areas
        self._flavour = flavour
        self._rules: dict[tuple[str, str], ObjectRules] = {}
        self._ids: dict[str, Place] = {}
        self._keys: dict[bytes, Place] = {}
        self._organizations: dict[str, frozenset[str]] = {}
        self._spans: dict[tuple[str, str], list[_Span]] = {}
        self._double: list[Finding] = []
        self._internal: set[str] = set()  # keys of areas with internal objects
        self._row = 0

    # --- first pass ---

    def see(self, area: AuthorityArea, obj: Object, place: Place) -> None:
        """Take in an object that others are held against."""
        class_def = area.schema.class_def(obj.class_name)
        if class_def is None:
            return
        self._row += 1
        if obj.id:
            other = self._ids.setdefault(obj.id.lower(), place)
            if other is not place:
                self._tell_double(place, f"ID {obj.id} is that of {_where(other)} as well")
        self._see_key(obj, class_def, place)
        if obj.class_name.lower() == "organization" and obj.id:
            self._organizations[obj.id.lower()] = frozenset(n.lower() for n, _ in obj.lines)
        for span in _ranges(obj, class_def):
            spans = self._spans.setdefault((area.name.key, obj.class_name.lower()), [])
            spans.append(_Span(span, self._row, object_name(obj), place))

    def _see_key(self, obj: Object, class_def: ClassDef, place: Place) -> None:
        key = obj.key_values(class_def)
        if not key or not any(key):
            return
        text = repr((obj.area.lower(), class_def.name.lower(), key)).encode()
        other = self._keys.setdefault(blake2b(text, digest_size=16).digest(), place)
        if other is not place:
            names = " and ".join(a.name for a in class_def.key_attributes)
            message = f"the primary key {names} of {object_name(obj)} is that of {_where(other)}"
            self._tell_double(place, message)

    def _tell_double(self, place: Place, message: str) -> None:
        finding = _finding(place, message, "error", ResponseCode.KEY_NOT_UNIQUE)
        self._double.append(finding)

    # --- second pass ---

    def check(self, area: AuthorityArea, obj: Object, place: Place) -> Iterator[Finding]:
        """What is wrong with one object."""
        class_def = area.schema.class_def(obj.class_name)
        if class_def is None:
            yield _finding(
                place,
                f"class {obj.class_name} is not defined in {area.name}; define it or move the"
                " object",
                "error",
                ResponseCode.INVALID_CLASS,
            )
            return
        name = object_name(obj)
        if is_internal(obj, class_def, area):
            self._internal.add(area.name.key)
        for violation in self._violations(area, obj, class_def):
            yield _finding(place, f"{name}: {violation.message}", "error", violation.code)
        remarks = (
            _remarks_on_id(area, obj),
            _remarks_on_text(obj, class_def, area.charset),
            _remarks_on_privacy(obj),
            _outside(area, obj, class_def),
            self._remarks_on_referral(area, obj) if _is(obj, "referral") else (),
            self._missing_for_arin(obj) if _is(obj, "network") else (),
            _wrong_block(obj) if _is(obj, "network") else (),
        )
        for message, severity in (one for some in remarks for one in some):
            yield _finding(place, f"{name}: {message}", severity)

    def _violations(
        self, area: AuthorityArea, obj: Object, class_def: ClassDef
    ) -> Iterator[Violation]:
        yield from unknown_attributes(obj.lines, class_def)
        key = (area.name.key, class_def.name)
        if key not in self._rules:
            self._rules[key] = ObjectRules(class_def, self._flavour)
        known = [(n, v) for n, v in obj.lines if class_def.attribute(n) is not None]
        yield from self._rules[key].violations(known)
        yield from dangling(obj, class_def, lambda value: value.lower() in self._ids)

    def _remarks_on_referral(self, area: AuthorityArea, obj: Object) -> Iterator[_Remark]:
        ours = {a.name.key: a for a in self._areas}
        for text in obj.values("Referred-Auth-Area"):
            referred = Network.from_text(text) or hierarchical_value(text)
            if text.lower() in ours:
                yield f"Referred-Auth-Area {text} is served here; remove the referral", "error"
            elif referred is None:
                yield f"Referred-Auth-Area {text!r} is no area that a query can lie in", "error"
            elif not lies_within(referred, area.name.place):
                yield (
                    f"Referred-Auth-Area {text} lies outside of {area.name}; it is of no use",
                    ("error"),
                )
        own = {a.soa.primary_server.lower() for a in self._areas if a.soa}
        for text in obj.values("Referral"):
            try:
                referral = Referral.from_text(text)
            except ValueError as error:
                yield f"Referral leads nowhere: {error}", "error"
                continue
            if str(referral.server).lower() in own:
                yield f"Referral {text} leads to this server itself", "error"
            if "_" in referral.server.host:
                yield f"Referral {text}: some clients take no '_' in a host name", "warning"

    def _missing_for_arin(self, obj: Object) -> Iterator[_Remark]:
        present = {n.lower() for n, _ in obj.lines}
        for target in obj.values("Organization"):
            present |= self._organizations.get(target.lower(), frozenset())
        wanted = (*_ARIN_ALWAYS, *_ARIN_ORGANIZATION)
        missing = [n for n in wanted if n.lower() not in present]
        if missing:
            yield f"ARIN expects of a network also {', '.join(missing)}", "warning"

    # --- the whole ---

    def finish(self) -> Iterator[Finding]:
        """What is wrong between objects, and with the areas themselves."""
        yield from self._double
        for spans in self._spans.values():
            yield from _crossings(spans)
        for area in self._areas:
            place = Place(f"area {area.name}")
            for message, severity in self._remarks_on_area(area):
                yield _finding(place, message, severity)

    def _remarks_on_area(self, area: AuthorityArea) -> Iterator[_Remark]:
        if area.soa is None and area.role == "master":
            yield "a master area needs an SOA", "error"
        if "_" in area.name.text:
            yield "the name has a '_', which the grammar of RFC 2167 does not know", "warning"
        if area.soa is not None and "_" in area.soa.primary_server:
            yield f"primary server {area.soa.primary_server}: no '_' in a host name", "warning"
        if area.name.key in self._internal and not area.internal_to:
            yield (
                "it has internal objects and internal-to names no network, so nobody is answered",
                "warning",
            )
        yield from self._stale(area.guardians)
        for class_def in area.schema.classes:
            for message, severity in self._stale(class_def.guardians):
                yield f"class {class_def.name}: {message}", severity
            for attribute in class_def.attributes:
                secret = attribute.name.lower() in SECRET_ATTRIBUTES  # nobody finds anything by it
                if attribute.private and attribute.indexed and not secret:
                    yield _searchable(class_def, attribute), "warning"
            for fault in pattern_faults(class_def, self._flavour):
                yield f"class {class_def.name}: {fault.message}", "error"

    def _stale(self, guardians: Iterable[str]) -> Iterator[_Remark]:
        for guardian in guardians:
            if guardian.lower() not in self._ids:
                yield f"guardian {guardian} is no object; nobody can be asked", "error"


def _searchable(class_def: ClassDef, attribute: AttributeDef) -> str:
    return (
        f"class {class_def.name}: {attribute.name} is private and indexed: with compat = 'arin'"
        " everybody can guess its values letter by letter; set its index to NONE, or serve with"
        " compat = 'rfc'"
    )


def _finding(
    place: Place, message: str, severity: Severity, code: ResponseCode | None = None
) -> Finding:
    return Finding(place.file, place.line, message, severity, code)


def _where(place: Place) -> str:
    return f"{place.file}:{place.line}" if place.line else place.file


def _is(obj: Object, class_name: str) -> bool:
    return obj.class_name.lower() == class_name


def _ranges(obj: Object, class_def: ClassDef) -> set[AddressRange]:
    """Addresses that an object claims: its blocks and written ranges, each once."""
    found: set[AddressRange] = set()
    for name, value in obj.lines:
        attribute = class_def.attribute(name)
        is_key = attribute is not None and attribute.primary and _in_network_index(attribute.index)
        if is_key or name.lower() == "ip-network-block":
            span = AddressRange.from_text(value)
            if span is not None:
                found.add(span)
    return found


def _in_network_index(index: IndexType) -> bool:
    return IndexType.CIDR in index.parts


def _crossings(spans: list[_Span]) -> Iterator[Finding]:
    """Overlaps that are not nesting: a range that begins within another and ends beyond it."""
    open_spans: list[_Span] = []
    for span in sorted(spans, key=lambda s: s.sort_key):
        open_spans = [
            s
            for s in open_spans
            if s.range.family == span.range.family and s.range.last >= span.range.first
        ]
        for other in open_spans:
            if other.range.last < span.range.last and other.row != span.row:
                message = (
                    f"{span.name} overlaps {other.name} ({_where(other.place)}) without one"
                    " enclosing the other"
                )
                yield _finding(span.place, message, "error")
        open_spans.append(span)


def _remarks_on_id(area: AuthorityArea, obj: Object) -> Iterator[_Remark]:
    """RFC 2167 §2.3.4: local part without period, a period, the area."""
    if obj.id is None:
        yield "the object has no ID; give it one, so that others can point at it", "warning"
        return
    suffix = f".{area.name.id_suffix}".lower()
    if not obj.id.lower().endswith(suffix):
        yield f"the ID does not end in {suffix}", "warning"
    elif "." in obj.id[: -len(suffix)] or len(obj.id) == len(suffix):
        yield f"the ID has no local part without period before {suffix}", "warning"


def _remarks_on_text(obj: Object, class_def: ClassDef, charset: str) -> Iterator[_Remark]:
    for name, value in obj.lines:
        if not value.isascii():
            yield f"{name} is not ASCII; some clients drop the rest: {value!r}", "warning"
        if len(f"{class_def.name}:{name}:{value}".encode(charset, "replace")) > LONGEST_LINE:
            yield f"{name} makes a line of more than {LONGEST_LINE} octets", "warning"
        attribute = class_def.attribute(name)
        see_also = attribute is not None and attribute.type is AttributeType.SEE_ALSO
        if see_also and ":" not in value:
            yield f"{name} {value!r} is no URI", "warning"


def _remarks_on_privacy(obj: Object) -> Iterator[_Remark]:
    for value in obj.values(privacy.ATTRIBUTE):
        if value.strip().lower() not in privacy.PROFILES:
            known = ", ".join(privacy.PROFILES)
            yield f"Privacy {value!r} hides as internal; write one of {known}", "error"


def _outside(area: AuthorityArea, obj: Object, class_def: ClassDef) -> Iterator[_Remark]:
    """Networks that are none, or not of their area."""
    for name, value in obj.lines:
        attribute = class_def.attribute(name)
        if attribute is None or not (attribute.primary and _in_network_index(attribute.index)):
            continue
        network = Network.from_text(value)
        if network is None:
            if attribute.index is IndexType.CIDR:
                yield f"{name} {value!r} is no network; write prefix/length", "error"
            continue
        written = value.partition("/")[0]
        if Network.from_text(written) != Network(network.family, network.start, _bits(network)):
            yield f"{name} {value} has bits set behind the prefix; write {network}", "warning"
        if isinstance(area.name.place, Network) and not network.within(area.name.place):
            yield f"{name} {value} lies outside of {area.name}", "error"


def _bits(network: Network) -> int:
    return 32 if network.family == 4 else 128


def _wrong_block(obj: Object) -> Iterator[_Remark]:
    """IP-Network-Block that tells other addresses than IP-Network."""
    networks = [Network.from_text(v) for v in obj.values("IP-Network")]
    wanted = {AddressRange(n.family, n.start, n.last) for n in networks if n}
    for text in obj.values("IP-Network-Block"):
        span = AddressRange.from_text(text)
        if span is None:
            hint = "write 'first - last'" if not looks_like_network(text) else "mend it"
            yield f"IP-Network-Block {text!r} is no range of addresses; {hint}", "warning"
        elif wanted and span not in wanted:
            yield f"IP-Network-Block {text} is not the range of IP-Network", "warning"


# --- what to check ---

Located = tuple[AuthorityArea, Object, Place]


def check_objects(
    areas: Sequence[AuthorityArea], objects: Iterable[Located], flavour: Flavour
) -> Iterator[Finding]:
    """All findings on objects that can be iterated twice."""
    checker = Checker(areas, flavour)
    for located in objects:
        checker.see(*located)
    for located in objects:
        yield from checker.check(*located)
    yield from checker.finish()


def check_path(path: Path) -> Iterator[Finding]:
    """Findings on an ARIN installation (``rwhoisd.conf`` or its folder) or on zone folders."""
    conf = arin.conf_of(path)
    if conf.is_file() and not (path / zone.ZONE_FILE).is_file():
        yield from _check_installation(conf)
    elif path.is_dir():
        yield from _check_zones(path)
    else:
        raise failed(path, 0, "is neither an rwhoisd.conf nor a folder of zones")


def _check_installation(conf: Path) -> Iterator[Finding]:
    installation = arin.read_installation(conf)
    yield from installation.findings
    for data in installation.areas:
        # Broken rules are told below, with their object.
        yield from (f for f in data.objects.findings() if f.code is None)
    areas = [data.area for data in installation.areas]
    yield from check_objects(areas, _InstallationObjects(installation), Flavour.V8)


@dataclass(frozen=True)
class _InstallationObjects:
    """Objects of an installation, read anew by each iteration."""

    installation: arin.Installation

    def __iter__(self) -> Iterator[Located]:
        for data in self.installation.areas:
            for obj, file, line in data.objects.located(lambda _: None):
                yield data.area, obj, Place(str(file), line)


def _check_zones(path: Path) -> Iterator[Finding]:
    zones: list[zone.Zone] = []
    for folder in zone.find_zones(path):
        try:
            zones.append(zone.read_zone(folder, len(zones)))
        except FormatError as error:
            yield from error.findings
    objects = [
        (one.area, placed.object, Place(str(placed.file), placed.numbers[0]))
        for one in zones
        for placed in one.placed
    ]
    yield from check_objects([z.area for z in zones], objects, Flavour.POSIX)


async def check_store(store: Store, flavour: Flavour = Flavour.POSIX) -> list[Finding]:
    """Findings on everything that is stored, as of one moment."""
    found: list[Finding] = []
    async with store.snapshot() as source:
        areas = await source.areas()
        checker = Checker(areas, flavour)
        for first in (True, False):
            for area in areas:
                place = Place(f"store:{area.name}")
                async for batch in source.objects(area.name.text):
                    for stored in batch:
                        if first:
                            checker.see(area, stored.object, Place(place.file))
                        else:
                            found += checker.check(area, stored.object, place)
    return found + list(checker.finish())
