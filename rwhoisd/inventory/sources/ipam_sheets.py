"""Sheets of address managers: with a header, with several of them, or with none."""

from collections.abc import Iterator, Sequence
from typing import Final

from rwhoisd.inventory import words
from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.sources.records import Line, row_of, sheet_of, squash
from rwhoisd.inventory.structures import Row

# NIPAP's export-csv writes no header.
_NIPAP: Final = (
    "vrf_rt", "display_prefix", "type", "node", "order_id", "customer_id", "description",
)  # fmt: skip
_NIPAP_TYPES: Final = frozenset({"reservation", "assignment", "host"})
_INFOBLOX: Final = "header-"
# Infoblox: rows of these kinds are read, each by the header of its kind.
_INFOBLOX_KINDS: Final = frozenset(
    {
        "network", "ipv6network", "networkcontainer", "ipv6networkcontainer", "hostrecord",
        "hostaddress", "ipv6hostaddress", "fixedaddress", "ipv6fixedaddress", "dhcprange",
        "ipv6dhcprange", "arecord", "aaaarecord",
    }
)  # fmt: skip
_CONTAINERS: Final = frozenset({"networkcontainer", "ipv6networkcontainer"})
_LISTS: Final = ("addresses", "ipv6addresses")


def sheet_rows(file: TextFile, report: Report) -> Iterator[Row]:
    """The rows of a sheet by the names of their columns."""
    header: Sequence[str] | None = None
    headers: dict[str, Sequence[str]] = {}
    for line in sheet_of(file, report):
        first = line.cells[0].lower()
        if first.startswith(_INFOBLOX):
            headers[first.removeprefix(_INFOBLOX)] = line.cells
        elif headers:
            yield from _infoblox(headers, line)
        elif header is None and _is_header(line):
            header = line.cells
        elif header is not None:
            yield row_of(header, line)
        else:
            row = _headerless(line)
            if row is not None:
                yield row


def _is_header(line: Line) -> bool:
    """Whether a line names columns: words in most cells, and no address in any."""
    filled = [cell for cell in line.cells if cell]
    return len(filled) > 1 and not any(_has_address(cell) for cell in filled)


def _has_address(cell: str) -> bool:
    return words.address(cell) is not None or words.prefix(cell) is not None


def _headerless(line: Line) -> Row | None:
    """A line of NIPAP's export; else its first cell that is a network or an address."""
    cells = line.cells
    if len(cells) > 2 and cells[2].lower() in _NIPAP_TYPES and _has_address(cells[1]):
        return row_of(_NIPAP, line)
    for at, cell in enumerate(cells):
        if words.prefix(cell) is not None:
            return row_of(("prefix",), Line(line.number, (cell,)))
        if words.address(cell) is not None:
            following = cells[at + 1] if at + 1 < len(cells) else ""
            name = following if words.is_host_name(following) else ""
            mask = following if words.network_of(cell, following) and not name else ""
            made = Line(line.number, (cell, mask, name))
            return row_of(("address", "netmask" if mask else "", "hostname" if name else ""), made)
    return None


def _infoblox(headers: dict[str, Sequence[str]], line: Line) -> Iterator[Row]:
    """A row of an Infoblox file, once for each address that it lists."""
    kind = line.cells[0].lower()
    header = headers.get(kind)
    if header is None or kind not in _INFOBLOX_KINDS:
        return
    row = row_of(("kind", *header[1:]), line)
    if kind in _CONTAINERS:
        row["status"] = "container"
    lists = {key: value for key, value in row.items() if squash(key) in _LISTS}
    if not lists:
        yield row
    for value in lists.values():
        for one in value.replace(";", ",").split(","):
            if one.strip():
                made = Row()
                made.line = row.line
                made.update({key: value for key, value in row.items() if key not in lists})
                made["ip_address"] = one.strip()
                yield made
