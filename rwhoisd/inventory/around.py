"""The addresses of the directory at or above many addresses, asked for by the block."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from typing import Final

from rwhoisd.directory.names import ADDRESS_BITS, AddressRange
from rwhoisd.inventory.facts import Address, Prefix
from rwhoisd.store import NetworkEntry, Store

Where = Address | Prefix
_BLOCK_BITS: Final = {4: 16, 6: 48}  # addresses of one such block are one question


def span_of(where: Where) -> AddressRange:
    """The addresses from the first to the last."""
    network = ip_network(where)
    first, last = int(network.network_address), int(network.broadcast_address)
    return AddressRange(network.version, first, last)


async def around(store: Store, wanted: Iterable[Where]) -> dict[Where, list[NetworkEntry]]:
    """What is at or above each address or prefix in all areas, the most specific first."""
    blocks: dict[tuple[int, int], list[tuple[AddressRange, Where]]] = defaultdict(list)
    for where in wanted:
        span = span_of(where)
        block = span.first >> (ADDRESS_BITS[span.family] - _BLOCK_BITS[span.family])
        blocks[span.family, block].append((span, where))
    found: dict[Where, list[NetworkEntry]] = {}
    for (family, _), spans in blocks.items():
        spans.sort(key=lambda pair: (pair[0].first, -pair[0].last))
        whole = AddressRange(family, spans[0][0].first, max(span.last for span, _ in spans))
        entries = await store.networks_overlapping(None, whole)
        found |= dict(_enclosing(spans, entries))
    return found


def _enclosing(
    spans: Sequence[tuple[AddressRange, Where]], entries: Sequence[NetworkEntry]
) -> Iterator[tuple[Where, list[NetworkEntry]]]:
    """One sweep: both are in the order of their first address."""
    open_: list[NetworkEntry] = []
    at = 0
    for span, where in spans:
        while at < len(entries) and entries[at].span.first <= span.first:
            open_.append(entries[at])
            at += 1
        open_ = [entry for entry in open_ if entry.span.last >= span.first]
        above = [entry for entry in open_ if entry.span.last >= span.last]
        yield where, sorted(above, key=lambda entry: (-entry.span.first, entry.span.last))
