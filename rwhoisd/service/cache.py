"""Answers kept for repeats, bounded in bytes."""

from collections.abc import Hashable
from typing import Final

from rwhoisd.protocol.replies import Reply

_OVERHEAD: Final = 500  # measured: octets of a reply, its key and its place, beside the body
_ASKED: Final = 4096  # places to remember that a key was asked; a power of two


class AnswerCache:
    """Replies by key, all of one image version; the less used half goes when it is full.

    An answer is kept from the second time on that it is asked for, so that queries that do not
    repeat neither cost memory nor drive out those that do. What was asked once is a hash in a
    table; one hash that takes another's place only makes that one wait for its next time.

    Two generations instead of an order of use: a hit in the old one moves the answer to the
    young one, and when that is half of what may be kept it becomes the old one. So a hit costs
    one dictionary lookup.
    """

    def __init__(self, octets: int) -> None:
        """``octets``: about how much memory the answers may take; 0 keeps none."""
        self._half = octets // 2
        self._version: tuple[int, int] | None = None
        self._young: dict[Hashable, Reply] = {}
        self._old: dict[Hashable, Reply] = {}
        self._octets = 0  # of the young
        self._asked = [0] * _ASKED

    def get(self, version: tuple[int, int], key: Hashable) -> Reply | None:
        """The reply kept for ``key`` under this image version."""
        if version != self._version:
            self._version = version
            self._young, self._old, self._octets = {}, {}, 0
            return None
        reply = self._young.get(key)
        if reply is None and self._old and (reply := self._old.pop(key, None)) is not None:
            self._keep(key, reply)
        return reply

    def put(self, version: tuple[int, int], key: Hashable, reply: Reply) -> None:
        """Keep a reply that was made from the image of ``version``, if it is not the first.

        One that comes in parts is made once only.
        """
        if reply.more is not None:
            return
        number = hash(key)
        place = number & (_ASKED - 1)
        if self._asked[place] != number:
            self._asked[place] = number
        elif version == self._version:
            self._keep(key, reply)

    def _keep(self, key: Hashable, reply: Reply) -> None:
        size = len(reply.body) + _OVERHEAD
        if size > self._half:
            return
        if self._octets + size > self._half:
            self._old, self._young, self._octets = self._young, {}, 0
        self._young[key] = reply
        self._octets += size
