"""Where a query goes that is not answered here: link and punt referrals (RFC 2167 §2.5.1).

Pure: areas, the link table and the punt list come as values. The rules are ARIN's
(arin-rwhoisd.md §9) with whole labels (B15), the longest match among areas (R2.5.1-11) and
among referred areas (B17, R2.5.1-12), every branch on its own (B40), and each referral once
(B36, R2.5.1-13).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rwhoisd.directory.names import (
    ADDRESS_BITS,
    AreaName,
    HierarchicalName,
    Network,
    hierarchical_value,
)

# Link referrals of one area for a name: the lines of the most specific Referred-Auth-Area at or
# above the name; empty when there is none.
LinkLookup = Callable[[int, HierarchicalName], Sequence[str]]


class AreaTree:
    """The areas of a server by place, so that the one that covers a name is found at once."""

    def __init__(self, areas: Iterable[AreaName | None]) -> None:
        """``areas`` by number, None where there is none; of two with one name the first counts."""
        networks: dict[int, dict[int, dict[int, int]]] = {4: {}, 6: {}}
        self._domains: Final[dict[tuple[str, ...], int]] = {}
        for number, area in enumerate(areas):
            if area is None:
                continue
            place = area.place
            if isinstance(place, Network):
                shift = ADDRESS_BITS[place.family] - place.length
                starts = networks[place.family].setdefault(shift, {})
                starts.setdefault(place.start >> shift, number)
            else:
                self._domains.setdefault(place.labels, number)
        # family → (bits to drop, leading bits → number), longest prefixes first
        self._networks: Final = {f: sorted(rows.items()) for f, rows in networks.items()}

    def deciding(self, name: HierarchicalName) -> int | None:
        """Number of the most specific area that covers ``name``; None when none does (N10).

        A block counts by its first address, as in ``AreaName.covers``.
        """
        if isinstance(name, Network):
            return self.deciding_address(name.family, name.start)
        labels = name.labels
        for i in range(len(labels) + 1):
            if (number := self._domains.get(labels[i:])) is not None:
                return number
        return None

    def deciding_address(self, family: int, address: int) -> int | None:
        """The same for an address as a number."""
        for shift, starts in self._networks[family]:
            if (number := starts.get(address >> shift)) is not None:
                return number
        return None


def refer(value: str, areas: AreaTree, links: LinkLookup, punts: Sequence[str]) -> Sequence[str]:
    """Referral texts for one search value, in order; empty when it leads nowhere.

    A value without place in a hierarchy is skipped (R2.5.1-2). Within our areas it is a link
    or nothing (R2.5.1-5), outside of them the punt list (R2.5.1-6).
    """
    name = hierarchical_value(value)
    return () if name is None else refer_name(name, areas, links, punts)


def refer_name(
    name: HierarchicalName, areas: AreaTree, links: LinkLookup, punts: Sequence[str]
) -> Sequence[str]:
    """Referral texts for the place of one search value."""
    area = areas.deciding(name)
    return punts if area is None else links(area, name)


def route(
    branches: Iterable[Iterable[str]],
    areas: AreaTree,
    links: LinkLookup,
    punts: Sequence[str],
) -> list[str]:
    """All referral texts of a query given as OR branches of search values, each text once.

    In a branch the terms are tried in order until one gives a referral (R2.5.1-1).
    """
    found: dict[str, None] = {}
    for values in branches:
        for value in values:
            texts = refer(value, areas, links, punts)
            if texts:
                found.update(dict.fromkeys(texts))
                break
    return list(found)


__all__ = ["AreaTree", "LinkLookup", "refer", "refer_name", "route"]
