"""Answers kept for repeats, bounded in bytes."""

from typing import Final

from rwhoisd.protocol.replies import Told

_OVERHEAD: Final = 500  # measured: octets of an answer and its place, beside its bytes and its key
_ASKED: Final = 4096  # keys that are remembered to have been asked for


class AnswerCache:
    """Answers by key, all of one image version; the less used half goes when it is full.

    An answer is kept from the second time on that it is asked for, so that queries that do not
    repeat drive out none of those that do, and cost no more than their keys. These are forgotten
    all at once when they are many, which only makes them wait for their next time.

    Two generations instead of an order of use: a hit in the old one moves the answer to the
    young one, and when that is half of what may be kept it becomes the old one. So a hit costs
    one dictionary lookup.
    """

    def __init__(self, octets: int) -> None:
        """``octets``: about how much memory the answers may take; 0 keeps none."""
        self._half = octets // 2
        self.young: dict[bytes, Told] = {}  # to be asked first
        self.old: dict[bytes, Told] = {}  # then these, by ``again``
        self._octets = 0  # of the young
        self._asked = set[bytes]()

    def clear(self) -> None:
        """Forget the answers, as the image they were made from is no longer the newest."""
        self.young, self.old, self._octets = {}, {}, 0

    def again(self, key: bytes) -> Told | None:
        """The answer to ``key``, when the young ones do not have it."""
        told = self.old.pop(key, None)
        if told is not None:
            self._keep(key, told)
        return told

    def put(self, key: bytes, told: Told) -> None:
        """Keep an answer, if it is not the first time that it was asked for."""
        asked = self._asked
        if key in asked:
            self._keep(key, told)
            return
        if len(asked) >= _ASKED:
            asked.clear()
        asked.add(key)

    def _keep(self, key: bytes, told: Told) -> None:
        size = len(told[0]) + len(key) + _OVERHEAD
        if size > self._half:
            return
        if self._octets + size > self._half:
            self.old, self.young, self._octets = self.young, {}, 0
        self.young[key] = told
        self._octets += size
