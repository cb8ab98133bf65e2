"""Exports of phpIPAM, NIPAP, Infoblox, Device42 and their like: JSON, YAML and CSV.

What a record is, its fields tell: the names are squashed (``IP Address`` is ``ipaddress``), and
tools differ little in them. Where one has a rule of its own, it stands in ``ipam_tools``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Block, Fact, Host, Place, Prefix, Vip
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.ipam_sheets import sheet_rows
from rwhoisd.inventory.sources.ipam_tools import is_passed_over, page_reason, prepared
from rwhoisd.inventory.sources.records import Fields, children, documents, is_sheet
from rwhoisd.inventory.structures import Items, Row, text

# --- names of fields ---
_ADDRESS: Final = (
    "ipaddress", "ipaddr", "ipv4addr", "ipv6addr", "ip", "ipv4address", "ipv6address", "address",
    "addr", "hostaddr", "ipv4", "ipv6", "hostip", "ipadres", "adresseip",
)  # fmt: skip
_NETWORK: Final = (
    "displayprefix", "cidr", "prefix", "subnet", "network", "subnetaddress", "networkaddress",
    "networkid", "subnetid", "scopeid", "subnetip", "networkcidr", "subnetcidr", "ipsubnet",
    "ipnetwork", "netaddress", "cidrblock", "ipv4network", "ipv6network", "subnetprefix", "block",
    "ipblock", "range",
)  # fmt: skip
_MASK: Final = (
    "maskbits", "mask", "netmask", "subnetmask", "networkmask", "prefixlength", "prefixlen",
    "masklen", "masklength", "bitmask", "rangebits", "cidr", "netmaskbits", "subnetmaskcidr",
    "addressmask", "bits", "subnetcidr", "length", "cidrprefix", "subnetprefixlength",
)  # fmt: skip
_FIRST: Final = (
    "startaddr", "startaddress", "rangebegin", "startip", "rangestart", "startrange", "firstip",
    "startipaddress", "starthostaddr", "subnetstarthostaddr", "poolstarthostaddr", "ipstart",
    "start", "from", "firstaddress",
)  # fmt: skip
_LAST: Final = (
    "endaddr", "endaddress", "rangeend", "endip", "rangestop", "endrange", "lastip",
    "endipaddress", "endhostaddr", "subnetendhostaddr", "poolendhostaddr", "ipend",
    "end", "to", "lastaddress",
)  # fmt: skip
_HOST_NAME: Final = (
    "hostname", "dnsname", "fqdn", "device", "devicename", "node", "ptrdname", "dns", "host",
    "servername", "sysname", "machine", "name", "names",
)  # fmt: skip
_NET_NAME: Final = (
    "subnetname",
    "networkname",
    "scopename",
    "eanetworkname",
    "displayname",
    "friendlyname",
    "name",
)
_SITE: Final = ("site", "location", "section", "sectionname", "building", "datacenter", "easite")
_TENANT: Final = ("customer", "customername", "customerid", "tenant", "client", "eacustomer")
_STATUS: Final = ("status", "state", "tag", "tagname", "ipstate", "ipstatus", "usagestatus")
_ROLE: Final = ("role", "type", "usage", "category", "vlanname", "vlan")

# --- words of their values ---
_UNUSED: Final = frozenset({"reserved", "deprecated", "quarantine", "inactive", "3"})
_FREE: Final = frozenset({"free", "available", "unused", "unallocated", "notused", "unassigned"})
_VIRTUAL: Final = frozenset(
    {"vip", "vrrp", "hsrp", "glbp", "carp", "anycast", "virtualip", "virtualipaddress"}
)
_SUFFIX: Final = re.compile(
    r"[-\s]([0-9A-Fa-f.:]+/\d{1,3})$"
)  # Device42 names the subnet before it
_INTEGER: Final = re.compile(r"[1-9]\d{7,38}")  # phpIPAM's database keeps addresses as numbers


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of a file, and the machine whose row it is within, if any."""

    fields: Fields
    place: Place
    owner: str = ""


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    del inputs
    count = 0
    for entry in _entries(file, report):
        for fact in _facts(entry, report):
            count += 1
            yield fact
    if not count:
        report.warn(file.at(0), "holds no network, range or address that is allocated")


def _entries(file: TextFile, report: Report) -> Iterator[_Entry]:
    if is_sheet(file):
        for row in sheet_rows(file, report):
            fields = prepared(row)
            if not is_passed_over(fields):
                yield _Entry(fields, file.at(row.line))
        return
    for document in documents(file, report):
        yield from _below(document, file, report)


def _below(document: Any, file: TextFile, report: Report) -> Iterator[_Entry]:
    """The rows in a document that say something, wherever they stand."""
    stack: list[tuple[Row | Items, str]] = []
    if isinstance(document, Row | Items):
        stack.append((document, ""))
    while stack:
        value, owner = stack.pop()
        if not isinstance(value, Row):
            stack += [(item, owner) for item in reversed(children(value))]
            continue
        reason = page_reason(value)
        if reason:
            report.partial(file.at(value.line), reason)
        fields = prepared(value)
        if is_passed_over(fields):
            continue
        yield _Entry(fields, file.at(value.line), owner)
        below = children(value, _REFERENCES if _says_something(fields) else _NEVER)
        stack += [(item, "") for item in reversed(below)]
        name = "" if _network(fields) else _host_name(fields, "")
        owned = [fields.value(key) for key in reversed(_OWNED)]
        stack += [(item, name) for item in owned if isinstance(item, Row | Items)]


# The addresses of the machine that a row is.
_OWNED: Final = ("ipaddresses", "ipv4addrs", "ipv6addrs", "addresses", "ips")
# Rows within a row that point at something else, or are settings of it.
_NEVER: Final = frozenset(
    {
        "extattrs", "customfields", "customfield", "options", "members", "permissions", "tags",
        "nameservers", "nameserver", "gateway", "calculation", "links", "snmp", "credentials",
        "logicfilterrules", "discoverydata", "cloudinfo", "dns", "ntp", "servers", *_OWNED,
    }
)  # fmt: skip
_REFERENCES: Final = _NEVER | {"parent", "mastersubnet", "subnet", "network", "vlan", "vrf"}


def _says_something(fields: Fields) -> bool:
    return bool(fields.text(*_ADDRESS, *_NETWORK, *_FIRST))


def _facts(entry: _Entry, report: Report) -> Iterator[Fact]:
    """A range, else an address and the network that it is said to be in, else a network."""
    fields = entry.fields
    written = fields.text(*_ADDRESS)
    if fields.text(*_FIRST) and fields.text(*_LAST):
        yield from _range(entry, report)
        return
    where = address(written)
    network = _network(fields)
    if where is None:
        if words.is_placeholder(written):
            report.warn(entry.place, "address is still to be filled in; skipped")
        elif network is not None:
            yield _block(entry, network)
        elif words.is_placeholder(fields.text(*_NETWORK)):
            report.warn(entry.place, "network is still to be filled in; skipped")
        return
    own = _own_network(fields, where, written)
    if own is not None:
        yield _block(entry, own)
        return
    if network is not None and where not in network:
        report.warn(entry.place, "address lies outside the network that it is said to be in")
    if not _is_free(fields):
        yield _host(entry, where)
    if network is not None:
        yield Block(place=entry.place, where=network)


def _own_network(fields: Fields, where: Address, written: str) -> Prefix | None:
    """The network that a row with an address is of: it has a mask, and no bits of a host."""
    mask = fields.text(*_MASK)
    found = words.prefix(written) or (words.network_of(str(where), mask) if mask else None)
    if found is None or found.network_address != where or found.num_addresses == 1:
        return None
    if _network(fields) is not None:
        return None
    has_host = fields.text(*_HOST_NAME[:-2], "mac", "macaddress", "hwaddress")
    return None if has_host else found


def _network(fields: Fields) -> Prefix | None:
    """The network of a row: in one field, or in two."""
    for name in _NETWORK:
        written = fields.text(name)
        if not written:
            continue
        whole = words.prefix(written) or words.prefix(_after_name(written))
        if whole is not None:
            return whole
        start = address(written)
        mask = next((m for key in _MASK if key != name and (m := fields.text(key))), "")
        if start is not None and mask:
            found = words.network_of(str(start), mask.lstrip("/"))
            if found is not None:
                return found
    return None


def _after_name(written: str) -> str:
    """``10.0.0.0/24`` of ``Servers-10.0.0.0/24``."""
    found = _SUFFIX.search(written)
    return found[1] if found else ""


def address(written: str) -> Address | None:
    """An address, also written as a number."""
    if _INTEGER.fullmatch(written):
        try:
            return ip_address(int(written))
        except ValueError:
            return None
    return words.address(written)


def _range(entry: _Entry, report: Report) -> Iterator[Fact]:
    fields = entry.fields
    first, last = address(fields.text(*_FIRST)), address(fields.text(*_LAST))
    where = words.span(f"{first}-{last}") if first and last else None
    if where is None:
        report.warn(entry.place, "range has no first and last address in order; skipped")
    else:
        yield Block(
            place=entry.place, where=where, name=fields.text(*_NET_NAME) or None,
            status="range", role=_role(fields), site=fields.text(*_SITE) or None,
            tenant=fields.text(*_TENANT) or None, disabled=_is_unused(fields),
        )  # fmt: skip
    network = _network(fields)
    if network is not None:
        yield Block(place=entry.place, where=network)


def _block(entry: _Entry, where: Prefix) -> Block:
    fields = entry.fields
    return Block(
        place=entry.place, where=where, name=fields.text(*_NET_NAME) or None,
        status=fields.text(*_STATUS) or None, role=_role(fields),
        site=fields.text(*_SITE) or None, tenant=fields.text(*_TENANT) or None,
        disabled=_is_unused(fields),
    )  # fmt: skip


def _host(entry: _Entry, where: Address) -> Host | Vip:
    fields = entry.fields
    name = _host_name(fields, entry.owner) or None
    marks = {_folded(fields.text(key)) for key in (*_ROLE, *_STATUS)}
    if marks & _VIRTUAL:
        return Vip(place=entry.place, where=where, name=name, disabled=_is_unused(fields))
    return Host(place=entry.place, where=where, name=name, disabled=_is_unused(fields))


def _host_name(fields: Fields, owner: str) -> str:
    for key in _HOST_NAME:
        value = fields.value(key)
        written = text(value[0]) if isinstance(value, Items) and value else text(value)
        if written and words.address(written) is None and not words.is_placeholder(written):
            return written
    return owner


def _role(fields: Fields) -> str | None:
    return fields.text("role", "type", "usage", "category") or None


def _folded(written: str) -> str:
    return re.sub(r"[^a-z0-9]", "", written.lower())


def _is_unused(fields: Fields) -> bool:
    if _folded(fields.text("disable", "disabled")) in {"true", "yes", "1"}:
        return True
    return bool({_folded(fields.text(key)) for key in _STATUS} & _UNUSED)


def _is_free(fields: Fields) -> bool:
    """Whether an address is listed as one that nobody has."""
    if _folded(fields.text("available")) in {"true", "yes", "1"}:
        return True
    return bool({_folded(fields.text(key)) for key in _STATUS} & _FREE)


SOURCE: Final = FileSource(
    "ipam-other",
    "phpIPAM, NIPAP, Infoblox, Device42 and other address managers: JSON, YAML, CSV",
    ("*.json", "*.csv", "*.yml", "*.yaml"),
    _read,
)
