"""The version of an image that is the newest at any moment."""

import logging
from pathlib import Path
from time import monotonic
from typing import Final

from rwhoisd.image.errors import ImageError
from rwhoisd.image.folder import STATE_OCTETS, Folder, is_changing
from rwhoisd.image.reader import Generation, Image

_log = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 0.02  # between two looks whether a change was committed and not told of
_ATTEMPTS: Final = 20  # to open what a builder may be replacing at the same moment


class ImageReader:
    """Gives the current version of an image, cheaply.

    Call :meth:`current` for each request, and now and then when there is none: a version that is
    held keeps its space from being used again.
    """

    def __init__(self, path: Path, eol: bytes | None = None) -> None:
        """Open the image at ``path``.

        ``eol``: what lines have to end with; None takes any image.
        Raises:  ImageError, when there is none that can be served.
        """
        self._folder = Folder(path)
        self._eol = eol
        self._state = self._folder.map_state()
        self._image: Image | None = None
        self._steady = b""  # the state that the image was seen with, unless it was changing
        self._moving = b""  # that one, if it was
        self._look_again = 0.0  # when to, as long as it is
        self.current()

    def current(self) -> Image:
        """The newest version. Costs a comparison when nothing changed."""
        state = self._state[:STATE_OCTETS]
        image = self._image
        if image is None or state != self._steady:
            image = self._renewed(image, state)
        return image

    def _renewed(self, image: Image | None, state: bytes) -> Image:
        if image is not None and state == self._moving and monotonic() < self._look_again:
            return image  # it is still being changed, and who does it will tell
        self._moving = state if is_changing(state) else b""
        self._steady = b"" if self._moving else state
        self._look_again = monotonic() + _LOOK_SECONDS
        try:
            self._image = self._newest(image)
        except ImageError as error:
            if image is None:
                raise
            # What is served stays good; somebody will build the image anew.
            _log.error("the new version of the image is not served: %s", error)
            return image
        return self._image

    def _newest(self, image: Image | None) -> Image:
        for _ in range(_ATTEMPTS):
            number = self._folder.current()
            try:
                if image is None or image.version[0] != number:
                    return Generation(self._folder.generation(number), number, self._eol).version()
                return image if image.is_newest() else image.generation.version()
            except FileNotFoundError:
                continue  # a newer one was switched to and this one removed in between
        raise ImageError(f"{self._folder.path}: generation {number} is gone; build the image anew")

    def close(self) -> None:
        """Let go of everything; images that are still in use stay good."""
        self._image = None
        self._state.close()
