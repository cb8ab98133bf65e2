"""Reassignments for ARIN's Reg-RWS: the payloads, and the calls that they go with.

Structures after ARIN's "RESTful Payloads" and "RESTful Methods". A *simple* reassignment makes a
customer of the parent network and then a network of that customer; the handle of the customer
comes in the answer to the first call, so it stands empty in the second payload. A *detailed* one,
and each reallocation, names the organization by its handle. Handle and registration date are
ARIN's to give and are left out; of the end of a block and its length one is enough.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.formats.export_walk import Entry, file_name, network_range
from rwhoisd.formats.findings import Finding

CLASSES: Final = ("network",)
LINKED_CLASSES: Final = ("organization", "contact", "network")
NAMESPACE: Final = "http://www.arin.net/regrws/core/v1"
CALLS_FILE: Final = "calls.txt"
# Attributes that hold a handle of ARIN, where a class has one.
HANDLES: Final = ("ARIN-Handle", "Handle")
_ORG_HANDLE: Final = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)*\Z")
_POC_HANDLE: Final = re.compile(r"[A-Z0-9]+-ARIN\Z")
_NET_HANDLE: Final = re.compile(r"NET6?-[A-Z0-9-]+\Z")
# What Network-Type says → type of the block, and the method's last word.
_TYPES: Final = {"reassignment": ("S", "reassign"), "reallocation": ("A", "reallocate")}
_POCS: Final = (
    ("Tech-Contact", "Tech", "T"),
    ("Admin-Contact", "Admin", "AD"),
    ("Abuse-Contact", "Abuse", "AB"),
    ("NOC-Contact", "NOC", "N"),
)
_ADDRESS: Final = ("Street-Address", "City", "State", "Postal-Code", "Country-Code")
_WITH_STATE: Final = ("US", "CA")  # here state and postal code are required, too
_AS_NUMBER: Final = re.compile(r"(?:AS-?)?([0-9]{1,10})(?:\..*)?\Z", re.IGNORECASE)
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Kind(StrEnum):
    """Whether a reassignment is simple or detailed; ``auto``: detailed with a handle."""

    AUTO = "auto"
    SIMPLE = "simple"
    DETAILED = "detailed"


class Call(NamedTuple):
    """One call of Reg-RWS with its payload, and the file that holds it."""

    method: str
    path: str
    file: str
    xml: str


@dataclass(frozen=True)
class Handles:
    """What an operator tells of handles that the directory does not hold."""

    parent_org: str = ""
    parent_nets: Mapping[Network, str] | None = None


class Swip:
    """Reassigned and reallocated networks as calls of Reg-RWS, in address order."""

    def __init__(self, kind: Kind = Kind.AUTO, handles: Handles | None = None) -> None:
        self._kind = kind
        self._handles = handles or Handles()
        self._nets: dict[Network, str] = dict(self._handles.parent_nets or {})
        self._linked: dict[str, Entry] = {}
        self._networks: dict[tuple[int, int, int], tuple[AddressRange, Entry]] = {}
        self.findings: list[Finding] = []

    def link(self, entry: Entry) -> None:
        """Take an object that others refer to, or a network that may be a parent."""
        if entry.object.id and not entry.is_a("network"):
            self._linked.setdefault(entry.object.id.lower(), entry)
            return
        handle, found = entry.get(*HANDLES), network_range(entry)
        if found and found.length is not None and _NET_HANDLE.match(handle):
            self._nets.setdefault(Network(found.family, found.first, found.length), handle)

    def add(self, entry: Entry) -> None:
        """Take a network; only reassignments and reallocations count."""
        if entry.get("Network-Type").lower() not in _TYPES:
            return
        found = network_range(entry)
        if found is None:
            self._refuse(entry, "has no address block that can be read")
        elif self._networks.setdefault(_key(found), (found, entry))[1] is not entry:
            self._refuse(entry, f"{found} is that of another network as well")

    def calls(self) -> Iterator[Call]:
        """Every call with its payload."""
        without = 0
        for _, (addresses, entry) in sorted(self._networks.items(), key=lambda item: item[0]):
            calls = list(self._calls(addresses, entry))
            without += bool(calls) and not self._parent(addresses)
            yield from calls
        if without:
            message = f"the parent of {without} networks has no handle; --parent-net tells it"
            self.findings.append(Finding(CALLS_FILE, 0, message))

    def _calls(self, addresses: AddressRange, entry: Entry) -> Iterator[Call]:
        code, word = _TYPES[entry.get("Network-Type").lower()]
        holder = self._linked.get(entry.get("Organization").lower())
        handle = holder.get(*HANDLES) if holder else ""
        handle = handle if _ORG_HANDLE.match(handle) else ""
        asked = self._kind is Kind.SIMPLE or (self._kind is Kind.AUTO and not handle)
        simple = code == "S" and asked
        if not (simple or handle):
            what = "a reallocation" if code == "A" else "a detailed reassignment"
            self._refuse(entry, f"{what} needs an organization with {HANDLES[0]}")
            return
        path = f"/rest/net/{self._parent(addresses) or 'PARENTNETHANDLE'}"
        name = file_name(str(addresses))
        if simple:
            customer = self._customer(entry, holder)
            if customer is None:
                return
            yield Call("POST", f"{path}/customer", f"{name}.customer.xml", _text(customer))
        net = self._net(addresses, entry, code, None if simple else handle)
        yield Call("PUT", f"{path}/{word}", f"{name}.net.xml", _text(net))

    def _parent(self, addresses: AddressRange) -> str:
        """Handle of the smallest network around; never that of the block itself."""
        bits = ADDRESS_BITS[addresses.family]
        for block in Network(addresses.family, addresses.first, bits).enclosing():
            around = AddressRange(block.family, block.start, block.last)
            if block in self._nets and around.encloses(addresses) and around != addresses:
                return self._nets[block]
        return ""

    def _customer(self, entry: Entry, holder: Entry | None) -> ET.Element | None:
        # An address is one thing: it is taken from one object, whole.
        told = holder if holder and not any(map(entry.get, _ADDRESS)) else entry
        name = entry.get("Org-Name") or (holder.get("Org-Name") if holder else "")
        country = told.get("Country-Code").upper()
        missing = [n for n in ("Street-Address", "City", "Country-Code") if not told.get(n)]
        if country in _WITH_STATE:
            missing += [n for n in ("State", "Postal-Code") if not told.get(n)]
        if missing or not name:
            self._refuse(entry, f"a customer needs {', '.join(missing or ['Org-Name'])}")
            return None
        root = ET.Element("customer", xmlns=NAMESPACE)
        _leaf(root, "customerName", name)
        _leaf(ET.SubElement(root, "iso3166-1"), "code2", country)
        _lines(root, "streetAddress", told.values("Street-Address"))
        _leaf(root, "city", told.get("City"))
        _leaf(root, "iso3166-2", told.get("State").upper().removeprefix(f"{country}-"))
        _leaf(root, "postalCode", told.get("Postal-Code"))
        _leaf(root, "parentOrgHandle", self._handles.parent_org, empty=True)
        hidden = entry.object.private or bool(holder and holder.object.private)
        _leaf(root, "privateCustomer", "true" if hidden else "false")
        if not all((text or "").isascii() for text in root.itertext()):
            message = "name or address is not ASCII, which Reg-RWS may refuse"
            self.findings.append(entry.finding(message))
        return root

    def _net(
        self, addresses: AddressRange, entry: Entry, code: str, org_handle: str | None
    ) -> ET.Element:
        root = ET.Element("net", xmlns=NAMESPACE)
        _leaf(root, "version", str(addresses.family))
        _lines(root, "comment", entry.values("Comment"))
        _leaf(root, "orgHandle", org_handle or "")
        block = ET.SubElement(ET.SubElement(root, "netBlocks"), "netBlock")
        _leaf(block, "type", code)
        first, _, last = str(addresses).partition(" - ")
        _leaf(block, "startAddress", first.partition("/")[0])
        _leaf(block, "endAddress", last)
        _leaf(block, "cidrLength", first.partition("/")[2])
        if org_handle is None:
            _leaf(root, "customerHandle", "", empty=True)
        _leaf(root, "parentNetHandle", self._parent(addresses), empty=True)
        _leaf(root, "netName", entry.get("Network-Name"))
        numbers = [_AS_NUMBER.match(text) for text in entry.values("Origin-AS")]
        if any(numbers):
            systems = ET.SubElement(root, "originASes")
            for number in filter(None, numbers):
                _leaf(systems, "originAS", f"AS{int(number[1])}")
        self._pocs(root, entry)
        return root

    def _pocs(self, root: ET.Element, entry: Entry) -> None:
        parent = ET.Element("pocLinks")
        for attribute, description, function in _POCS:
            contacts = (self._linked.get(i.lower()) for i in entry.values(attribute))
            handles = (contact.get(*HANDLES) for contact in contacts if contact)
            for handle in filter(_POC_HANDLE.match, handles):
                link = {"description": description, "function": function, "handle": handle}
                ET.SubElement(parent, "pocLinkRef", link)
        if len(parent):
            root.append(parent)

    def _refuse(self, entry: Entry, message: str) -> None:
        self.findings.append(entry.finding(f"{message}; left out", "error"))


def _key(addresses: AddressRange) -> tuple[int, int, int]:
    """Address order, a covering block before those in it."""
    return addresses.family, addresses.first, -addresses.last


def _leaf(parent: ET.Element, tag: str, text: str, *, empty: bool = False) -> None:
    """An element with text; without text none, but for ``empty``: one to be filled in."""
    if text or empty:
        ET.SubElement(parent, tag).text = _NOT_XML.sub("", text)


def _lines(parent: ET.Element, tag: str, values: Iterable[str]) -> None:
    texts = list(values)
    if texts:
        element = ET.SubElement(parent, tag)
        for number, text in enumerate(texts, 1):
            ET.SubElement(element, "line", number=str(number)).text = _NOT_XML.sub("", text)


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'
