"""Referrals of an answer: ``directory.routing`` with the image's links and the punt list."""

from collections.abc import Sequence
from dataclasses import dataclass

from rwhoisd.directory.names import AreaName, HierarchicalName
from rwhoisd.directory.referral import punt_text
from rwhoisd.directory.routing import route
from rwhoisd.image.reader import Image
from rwhoisd.query.ast import Query


def punt_texts(lines: Sequence[str]) -> tuple[str, ...]:
    """The texts of a punt list; the bytes of a text are its characters read as latin-1."""
    texts = (punt_text(line) for line in lines)
    return tuple(octets(text, "utf-8") for text in texts if text)


def referrals(image: Image, query: Query, punts: Sequence[str]) -> list[str]:
    """Texts of all ``%referral`` lines for ``query``, each once, one character an octet."""
    values = ((term.value for term in branch) for branch in query.branches)
    return route(values, area_names(image), _Links(image), punts)


def octets(text: str, charset: str) -> str:
    """``text`` with one character for each octet it has on the wire."""
    return text if text.isascii() else text.encode(charset, "replace").decode("latin-1")


def area_names(image: Image) -> tuple[AreaName, ...]:
    """Names of the areas by number."""
    return tuple(area.name for area in image.areas)


@dataclass(frozen=True, slots=True)
class _Links:
    """The image's link referrals as ``routing.LinkLookup``."""

    image: Image

    def __call__(self, area: int, name: HierarchicalName) -> Sequence[str]:
        charset = self.image.areas[area].charset
        return [octets(text, charset) for text in self.image.links(area, name)]
