"""Answers kept for repeats, bounded in bytes."""

from typing import Final

from rwhoisd.protocol.replies import Told

_OVERHEAD: Final = 500  # measured: octets of an answer and its place, beside its bytes and its key
_ASKED: Final = 4096  # places to remember that a key was asked; a power of two


class AnswerCache:
    """Answers by key, all of one image version; the less used half goes when it is full.

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
        self.young: dict[bytes, Told] = {}  # to be asked first
        self.old: dict[bytes, Told] = {}  # then these, by ``again``
        self._octets = 0  # of the young
        self._asked = [0] * _ASKED

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
        number = hash(key)
        place = number & (_ASKED - 1)
        if self._asked[place] != number:
            self._asked[place] = number
        else:
            self._keep(key, told)

    def _keep(self, key: bytes, told: Told) -> None:
        size = len(told[0]) + len(key) + _OVERHEAD
        if size > self._half:
            return
        if self._octets + size > self._half:
            self.old, self.young, self._octets = self.young, {}, 0
        self.young[key] = told
        self._octets += size
