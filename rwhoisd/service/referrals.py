"""Referrals of an answer: ``directory.routing`` with the image's links and the punt list."""

from collections.abc import Iterable, Sequence
from functools import partial

from rwhoisd.directory.names import HierarchicalName
from rwhoisd.directory.referral import punt_text, with_port
from rwhoisd.directory.routing import refer_name, route
from rwhoisd.image.reader import Image
from rwhoisd.query.ast import Query


def punt_texts(lines: Sequence[str]) -> tuple[str, ...]:
    """The texts of a punt list; the bytes of a text are its characters read as latin-1."""
    texts = (punt_text(line) for line in lines)
    return tuple(octets(text, "utf-8") for text in texts if text)


class Referrals:
    """Gives the ``%referral`` lines of queries."""

    def __init__(self, punts: Sequence[str], *, complete: bool) -> None:
        """``punts``: the punt list as it is configured; ``complete``: URLs get a port."""
        self._complete = complete
        self._punts = punt_texts(punts)

    def texts(self, image: Image, query: Query) -> list[str]:
        """Texts of all ``%referral`` lines, each once, one character an octet."""
        values = ((term.value for term in branch) for branch in query.branches)
        return self._written(route(values, image.scopes.tree, partial(_links, image), self._punts))

    def texts_for(self, image: Image, name: HierarchicalName) -> list[str]:
        """Those of a query of one term, whose value stands for ``name``."""
        texts = refer_name(name, image.scopes.tree, partial(_links, image), self._punts)
        return self._written(dict.fromkeys(texts)) if texts else []

    def punts(self) -> list[str]:
        """Those of a query of one term that lies in no area."""
        return self._written(dict.fromkeys(self._punts))

    def _written(self, texts: Iterable[str]) -> list[str]:
        return [with_port(text) for text in texts] if self._complete else list(texts)


def octets(text: str, charset: str) -> str:
    """``text`` with one character for each octet it has on the wire."""
    return text if text.isascii() else text.encode(charset, "replace").decode("latin-1")


def _links(image: Image, area: int, name: HierarchicalName) -> Sequence[str]:
    """The image's link referrals as ``routing.LinkLookup``."""
    texts = image.links(area, name)
    return texts and [octets(text, image.scopes.areas[area].charset) for text in texts]
