"""Where a query goes that is not answered here: link and punt referrals (RFC 2167 §2.5.1).

Pure: areas, the link table and the punt list come as values. The rules are ARIN's
(arin-rwhoisd.md §9) with whole labels (B15), the longest match among areas (R2.5.1-11) and
among referred areas (B17, R2.5.1-12), every branch on its own (B40), and each referral once
(B36, R2.5.1-13).
"""

from collections.abc import Callable, Iterable, Sequence

from rwhoisd.directory.names import (
    AreaName,
    HierarchicalName,
    hierarchical_value,
    specificity,
)

# Link referrals of one area for a name: the lines of the most specific Referred-Auth-Area at or
# above the name; empty when there is none.
LinkLookup = Callable[[int, HierarchicalName], Sequence[str]]


def deciding_area(name: HierarchicalName, areas: Sequence[AreaName]) -> int | None:
    """Number of the most specific area that covers ``name``; None when none does (N10)."""
    covering = [i for i, area in enumerate(areas) if area.covers(name)]
    return max(covering, key=lambda i: specificity(areas[i].place), default=None)


def refer(
    value: str, areas: Sequence[AreaName], links: LinkLookup, punts: Sequence[str]
) -> Sequence[str]:
    """Referral texts for one search value, in order; empty when it leads nowhere.

    A value without place in a hierarchy is skipped (R2.5.1-2). Within our areas it is a link
    or nothing (R2.5.1-5), outside of them the punt list (R2.5.1-6).
    """
    name = hierarchical_value(value)
    if name is None:
        return ()
    area = deciding_area(name, areas)
    return punts if area is None else links(area, name)


def route(
    branches: Iterable[Iterable[str]],
    areas: Sequence[AreaName],
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


__all__ = ["LinkLookup", "deciding_area", "refer", "route"]
