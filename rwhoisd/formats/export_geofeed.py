"""Geofeeds: where the networks are, one ``prefix,country,region,city,`` a line (RFC 8805)."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from rwhoisd.directory.names import Network
from rwhoisd.formats.export_walk import Entry, TextExport, blocks, network_range

CLASSES: Final = ("network",)
HEADER: Final = "# Geofeed (RFC 8805): prefix,country,region,city,"
_LINE_END: Final = "\r\n"  # §2.1: lines as RFC 4180 has them
_COUNTRY: Final = re.compile(r"[A-Z]{2}\Z")
_SUBDIVISION: Final = re.compile(r"[A-Z0-9]{1,3}\Z")  # ISO 3166-2, behind the country
# No place can be told of these. Blocks for documentation are let through: nobody holds them.
_NOWHERE: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
    *("0::/8", "fc00::/7", "fe80::/10", "ff00::/8"),
)
_RESERVED: Final = tuple(b for b in map(Network.from_text, _NOWHERE) if b is not None)


class Place(NamedTuple):
    """Where a network is, as far as a geofeed tells."""

    country: str
    region: str
    city: str


class Geofeed(TextExport):
    """Every network with a country; of one prefix the first place counts."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[Network, Place] = {}

    def add(self, entry: Entry) -> str:
        """Take a network; nothing is written before all are known and sorted."""
        addresses = network_range(entry)
        if addresses is None:
            self._tell(entry, "has no address block that can be read; left out")
            return ""
        place = self._place(entry)
        if place is None:
            return ""
        for block in blocks(addresses):
            if any(block.within(r) or r.within(block) for r in _RESERVED):
                self._tell(entry, f"{block} is private or reserved; left out")
            elif self._places.setdefault(block, place) != place:
                self._tell(entry, f"{block} has another place already; left out")
        return ""

    def _place(self, entry: Entry) -> Place | None:
        country = entry.get("Country-Code").upper()
        if not _COUNTRY.match(country):
            # A line without country would mean: do not locate (§2.1.1.2). Nobody said so.
            self._tell(entry, "has no Country-Code of two letters; left out")
            return None
        state, city = entry.get("State"), entry.get("City")
        region = state.upper().removeprefix(f"{country}-")
        if state and not _SUBDIVISION.match(region):
            self._tell(entry, f"State {state!r} is no code of ISO 3166-2; no region is told")
            region = ""
        if "#" in city:
            self._tell(entry, f"City {city!r} has a #, which begins a comment; no city is told")
            city = ""
        return Place(country, f"{country}-{region}" if region else "", city)

    def _tell(self, entry: Entry, message: str) -> None:
        self.findings.append(entry.finding(message))

    def end(self) -> Iterator[str]:
        """The feed, IPv4 first, a covering prefix before those in it."""
        yield HEADER + _LINE_END
        for block in sorted(self._places):
            out = io.StringIO()
            # The postal code stays empty: the RFC has it deprecated (§2.1.1.5).
            csv.writer(out, lineterminator=_LINE_END).writerow(
                (str(block), *self._places[block], "")
            )
            yield out.getvalue()
