"""What the last import of an installation saw, so that the next one reads only what is new.

A class whose definition and files are the same, in an area that nobody changed since, needs
neither be read nor compared. That is remembered in settings of the store, one for each area.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, NamedTuple

from rwhoisd.directory.names import AreaName
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.formats.arin_data import ClassData, ObjectFiles
from rwhoisd.formats.arin_text import read_bytes

SETTING_LENGTH: Final = 255


class SeenClass(NamedTuple):
    """A class as it was imported: a digest of all that its objects came from, and how many."""

    mark: str
    objects: int


@dataclass(frozen=True)
class SeenArea:
    """An area after its last import; ``serial`` is that of its last change by then."""

    serial: str
    classes: Mapping[str, SeenClass]

    @classmethod
    def from_text(cls, text: str) -> "SeenArea | None":
        """Of its setting; None for that of another release, which may read files otherwise."""
        found = json.loads(text)
        if found.pop("release") != version("rwhoisd"):
            return None
        return cls(found["serial"], {n: SeenClass(*c) for n, c in found["classes"].items()})

    def to_text(self) -> str:
        """For its setting."""
        return json.dumps({"release": version("rwhoisd"), **vars(self)})

    def unchanged(self, serial: TimeStamp, marks: Mapping[str, str]) -> dict[str, int]:
        """Classes that need no look, if ``serial`` is the last one now, with their objects."""
        if serial.text != self.serial:
            return {}
        return {
            name: seen.objects
            for name, seen in self.classes.items()
            if seen.mark == marks.get(name)
        }


def setting_of(area: AreaName) -> str:
    """Name of the setting; should two areas share one, their marks tell them apart."""
    return f"arin-files.seen.{area.key}"[:SETTING_LENGTH]


def class_marks(files: ObjectFiles) -> dict[str, str]:
    """Class, lower case → a digest of everything that its objects depend on.

    Raises: FormatError, when a file cannot be read.
    """
    return {
        data.class_def.name.lower(): _mark(files.area.text, files.charset, data)
        for data in files.classes
    }


def _mark(area: str, charset: str, data: ClassData) -> str:
    digest = hashlib.blake2b(repr((area, charset, data)).encode(), digest_size=16)
    for path in (*(file.path for file in data.files), *data.indexes):
        content = read_bytes(path) if path.is_file() else b""
        digest.update(hashlib.blake2b(content, digest_size=16).digest())
    return digest.hexdigest()
