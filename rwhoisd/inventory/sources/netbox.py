"""Exports of NetBox and Nautobot: pages of the API, ``dumpdata``, CSV, YAML lists of records.

All files are read together: an address in one may be on a device in another.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Fact, Place
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources.netbox_book import (
    ADDRESS,
    AGGREGATE,
    DEVICE,
    GROUP,
    MACHINE,
    PREFIX,
    RANGE,
    SERVICE,
    Book,
    Record,
)
from rwhoisd.inventory.sources.netbox_records import facts_of
from rwhoisd.inventory.sources.records import (
    Fields,
    children,
    documents,
    is_sheet,
    row_of,
    sheet_of,
    squash,
)
from rwhoisd.inventory.structures import Items, Row

# The API's folders of records, by which an URL tells a record's model.
_ENDPOINTS: Final = {
    "ip-addresses": ADDRESS,
    "prefixes": PREFIX,
    "aggregates": AGGREGATE,
    "ip-ranges": RANGE,
    "fhrp-groups": GROUP,
    "services": SERVICE,
    "devices": DEVICE,
    "virtual-machines": MACHINE,
}
_URL: Final = re.compile(r"/api/(?:ipam|dcim|virtualization)/([a-z-]+)/")
# Fields whose insides are not records, or repeat a record that stands elsewhere.
_LEFT_OUT: Final = frozenset(
    {
        "customfields", "customfielddata", "configcontext", "localcontextdata",
        "localconfigcontextdata", "natinside", "natoutside", "parent", "tags", "permissions",
    }
)  # fmt: skip
# Names of columns that tell what the lines of a sheet are; the first that fits counts.
_HEADERS: Final[tuple[tuple[str, tuple[set[str], ...]], ...]] = (
    (RANGE, ({"startaddress", "endaddress"},)),
    (ADDRESS, ({"address"}, {"ipaddress"}, {"host", "masklength"})),
    (PREFIX, ({"prefix"}, {"prefixflat"}, {"network", "prefixlength"})),
    (SERVICE, ({"ports", "protocol"}, {"port", "protocol"})),
    (DEVICE, ({"primaryip4"}, {"primaryip"}, {"ipv4address"})),
)
# What a service is of; without any of them, a protocol and a port are of something else.
_PARENTS: Final = (
    "device", "virtualmachine", "parent", "parentname", "parentobjecttype", "ipaddresses",
)  # fmt: skip
_FREE: Final = frozenset({"family", "address", "prefix", "vrf", "description"})


@dataclass
class _Page:
    """A page of many: where, how many records there are in all, and those that it has."""

    place: Place
    count: int
    is_part: bool
    is_empty: bool
    keys: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_ours(self) -> bool:
        """Whether its records are of a model that is read, or may be."""
        return self.is_empty or bool(self.keys)


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    records: list[Record] = []
    pages: list[_Page] = []
    for file in inputs.files:
        found = list(_records(file, report, pages))
        if not found:
            report.warn(file.at(0), "holds no address, prefix, range, group, service or device")
        records += found
    _check_pages(pages, report)
    yield from facts_of(Book(records, report))


def _records(file: TextFile, report: Report, pages: list[_Page]) -> Iterator[Record]:
    if is_sheet(file):
        yield from _sheet_records(file, report)
        return
    for document in documents(file, report):
        yield from _below(document, file, pages)


def _sheet_records(file: TextFile, report: Report) -> Iterator[Record]:
    """The header of a sheet decides what its lines are."""
    header: tuple[str, ...] | None = None
    model = ""
    for line in sheet_of(file, report):
        if header is None:
            header = line.cells
            model = _model_of_header({squash(cell) for cell in header})
            continue
        fields = Fields(row_of(header, line))
        if model:
            yield Record(model, fields, fields.text("id"), file.at(line.number))


def _model_of_header(names: set[str]) -> str:
    """The model of a sheet's lines; "" for none that is read."""
    for model, needed in _HEADERS:
        if any(wanted <= names for wanted in needed):
            return AGGREGATE if model == PREFIX and _is_aggregate(names) else model
    return ""


def _below(document: Any, file: TextFile, pages: list[_Page]) -> Iterator[Record]:
    """The records in a document, wherever they stand."""
    stack: list[tuple[Row | Items, _Page | None]] = []
    if isinstance(document, Row | Items):
        stack.append((document, None))
    while stack:
        value, page = stack.pop()
        if isinstance(value, Row) and value.text("state").lower() == "absent":
            continue  # a task of Ansible that takes something away
        record = _record(value, file) if isinstance(value, Row) else None
        if record is None:
            within = _page(value, file, pages) if isinstance(value, Row) else page
            stack += [(item, within) for item in reversed(children(value, _LEFT_OUT))]
            continue
        if page is not None:
            page.keys.append((record.model, record.key))
        yield record
        if record.model in (DEVICE, MACHINE):
            stack += [(item, None) for item in _owned(record)]


def _owned(record: Record) -> list[Row]:
    """The addresses on the interfaces of a device, each told whose it is (GraphQL)."""
    found = []
    for interface in record.fields.row.rows("interfaces"):
        for item in interface.rows("ip_addresses"):
            if record.fields.text("name"):
                item.setdefault("device", record.fields.text("name"))
            found.append(item)
    return found[::-1]


def _page(row: Row, file: TextFile, pages: list[_Page]) -> _Page | None:
    """The page that a row is, if it is one."""
    if not isinstance(row.get("results"), Items) or "count" not in row:
        return None
    count = int(written) if (written := row.text("count")[:12]).isdecimal() else 0
    is_part = bool(row.get("next") or row.get("previous")) or len(row["results"]) < count
    pages.append(_Page(file.at(row.line), count, is_part, not row["results"]))
    return pages[-1]


def _check_pages(pages: list[_Page], report: Report) -> None:
    """A page of many is not the whole, unless the others were read as well."""
    keys: dict[str, set[str]] = defaultdict(set)
    for page in pages:
        for model, key in page.keys:
            keys[model].add(key)
    for page in pages:
        have = sum(len(keys[model]) for model in {model for model, _ in page.keys})
        if page.is_part and page.is_ours and have < page.count:
            report.partial(page.place, f"one page of many: {have} of {page.count} records")


def _record(row: Row, file: TextFile) -> Record | None:
    """The record that a row is; None: it is none, but may hold some."""
    place = file.at(row.line)
    if isinstance(row.get("fields"), Row) and "." in row.text("model"):
        return Record(row.text("model").lower(), Fields(row["fields"]), row.text("pk"), place)
    fields = Fields(row)
    url = _URL.search(row.text("url"))
    model = _ENDPOINTS.get(url[1], "") if url else _model_by_names(fields)
    if not model or _is_free(row):
        return None
    return Record(model, fields, row.text("id"), place)


def _is_free(row: Row) -> bool:
    """Whether a row is of ``available-ips`` or ``available-prefixes``: what is not allocated."""
    return {"family", "vrf"} <= row.keys() <= _FREE


def _model_by_names(fields: Fields) -> str:
    """The model that a record has by the names of its fields; "" for none that is read."""
    if "startaddress" in fields and "endaddress" in fields:
        return RANGE
    network = fields.text("prefix", "prefixflat", "network")
    if "/" in network and _is_address(network) and "assignedobject" not in fields:
        return AGGREGATE if _is_aggregate(set(fields.names())) else PREFIX
    if _is_address(fields.text("address", "ipaddress")):
        return ADDRESS
    if "protocol" in fields and fields.value("ports", "port") is not None:
        return SERVICE if any(name in fields for name in _PARENTS) else ""
    if "groupid" in fields and "protocol" in fields:
        return GROUP
    is_machine = any(name in fields for name in ("primaryip4", "primaryip6", "primaryip"))
    return DEVICE if is_machine else ""


def _is_aggregate(names: set[str]) -> bool:
    """Whether a prefix is what a registry gave; Nautobot's own prefixes have a status as well."""
    return "rir" in names and "status" not in names


def _is_address(written: str) -> bool:
    return words.address(written) is not None or words.is_placeholder(written)


SOURCE: Final = WholeSource(
    "netbox",
    "NetBox and Nautobot: API pages, dumpdata, CSV and YAML of addresses, prefixes, services",
    ("*.json", "*.csv", "*.yml", "*.yaml"),
    _read,
)
