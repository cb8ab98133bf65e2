"""What single address managers do in their own way, made into what the others do."""

import re
from collections.abc import Callable
from typing import Final

from rwhoisd.inventory.sources.records import Fields
from rwhoisd.inventory.structures import Items, Row, is_true, text

# Infoblox objects by the start of ``_ref``: leases and DNS zones are no allocations.
_INFOBLOX: Final = frozenset(
    {
        "network", "ipv6network", "networkcontainer", "ipv6networkcontainer", "range",
        "ipv6range", "record:host", "record:host_ipv4addr", "record:host_ipv6addr", "record:a",
        "record:aaaa", "record:ptr", "fixedaddress", "ipv6fixedaddress", "ipv4address",
        "ipv6address", "sharednetwork", "reservedrange",
    }
)  # fmt: skip
_EDGES: Final = frozenset({"NETWORK", "BROADCAST"})  # types of addresses that nobody can have
_ALLOCATED: Final = frozenset({"assignment", "host"})  # of NIPAP; a reservation is a plan
_NIPAP: Final = _ALLOCATED | {"reservation"}
_BLUECAT: Final = re.compile(r"(\w+)=([^|]*)\|?")


def page_reason(row: Row) -> str:
    """Why a document is one page of many; "" when it does not look like one."""
    if row.text("next_page_id"):
        return "one page of many: next_page_id names the next one"
    if row.get("next") and isinstance(row.get("results"), Items):
        return "one page of many: there is a next one"
    total = row.text("total_count")[:12]
    have = sum(len(value) for value in row.values() if isinstance(value, Items))
    if total.isdecimal() and have and have < int(total):
        return f"one page of many: {have} of {total} records"
    return ""


def is_passed_over(fields: Fields) -> bool:
    """Whether a row, and all below it, is nothing that is allocated."""
    return any(rule(fields) for rule in _RULES)


def _is_other_infoblox(fields: Fields) -> bool:
    ref = fields.text("ref")
    kind = ref.partition("/")[0]
    return bool(ref) and "/" in ref and kind not in _INFOBLOX


def _is_unused_infoblox(fields: Fields) -> bool:
    """An address of ``ipv4address`` that only stands there as every address does."""
    types = {text(item) for item in fields.list_of("types")}
    is_edge = bool(types) and types <= _EDGES
    return "leasestate" in fields and (fields.text("status").upper() == "UNUSED" or is_edge)


def _is_lease(fields: Fields) -> bool:
    return "bindingstate" in fields


def _is_folder(fields: Fields) -> bool:
    """A folder of phpIPAM: a subnet without addresses."""
    return is_true(fields.value("isfolder"))


def _is_reservation(fields: Fields) -> bool:
    kind = fields.text("type").lower()
    is_nipap = "displayprefix" in fields or "vrfrt" in fields or "authoritativesource" in fields
    return kind == "reservation" and (is_nipap or "prefix" in fields)


def _is_absent(fields: Fields) -> bool:
    """A task of Ansible that takes something away."""
    return fields.text("state").lower() == "absent"


_RULES: Final[tuple[Callable[[Fields], bool], ...]] = (
    _is_other_infoblox,
    _is_unused_infoblox,
    _is_lease,
    _is_folder,
    _is_reservation,
    _is_absent,
)


def prepared(row: Row) -> Fields:
    """The fields of a row, with those of single tools under the names that others have."""
    fields = Fields(row)
    for change in (_nipap_host, _bluecat, _infoblox_site):
        added = change(fields)
        if added:
            row = _with(row, added)
            fields = Fields(row)
    return fields


def _with(row: Row, added: dict[str, str]) -> Row:
    made = Row()
    made.line = row.line
    made.update(row)
    made.update(added)
    return made


def _nipap_host(fields: Fields) -> dict[str, str]:
    """A prefix of type host is an address; ``display_prefix`` has the mask of its network."""
    if fields.text("type").lower() != "host" or not fields.text("prefix", "displayprefix"):
        return {}
    where = fields.text("displayprefix", "prefix").partition("/")[0]
    return {"ip_address": where, "prefix": "", "display_prefix": "", "displayprefix": ""}


def _bluecat(fields: Fields) -> dict[str, str]:
    """``properties``: ``CIDR=10.0.0.0/24|…``."""
    written = fields.text("properties")
    if "|" not in written and "=" not in written:
        return {}
    found = dict(_BLUECAT.findall(written))
    known = {
        "CIDR": "cidr",
        "address": "address",
        "prefix": "prefix",
        "start": "start",
        "end": "end",
    }
    return {name: found[key] for key, name in known.items() if found.get(key)}


def _infoblox_site(fields: Fields) -> dict[str, str]:
    """Extensible attributes that have a place in a record of ours."""
    attributes = fields.value("extattrs")
    if not isinstance(attributes, Row):
        return {}
    found = {name: attributes.row(name).text("value") for name in ("Site", "Location", "Customer")}
    return {key.lower(): value for key, value in found.items() if value}
