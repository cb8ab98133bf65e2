"""An installation of ARIN's rwhoisd as it lies on disk: read it, fingerprint it, write it.

What each file may say is arin-rwhoisd.md §11; the parts are in ``arin_config`` (settings),
``arin_areas`` (areas, schema, SOA), ``arin_data`` (objects) and ``arin_write`` (export).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName
from rwhoisd.formats.arin_areas import Entry, read_area, read_area_file
from rwhoisd.formats.arin_config import ArinSettings, XDirective, read_settings
from rwhoisd.formats.arin_data import ObjectFiles, class_data
from rwhoisd.formats.arin_objects import SOURCE
from rwhoisd.formats.arin_text import Reading, read_bytes
from rwhoisd.formats.arin_write import CONF, InstallationWriter, write_installation
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.formats.records import is_utf8


@dataclass(frozen=True)
class AreaData:
    """An area and its objects; ``objects`` may be iterated again and again."""

    area: AuthorityArea
    objects: ObjectFiles


@dataclass(frozen=True)
class Installation:
    """A whole installation. ``findings`` is what its configuration files say that is odd;
    ``all_findings`` reads the data files as well.
    """

    settings: ArinSettings
    areas: tuple[AreaData, ...]
    findings: tuple[Finding, ...]
    files: tuple[Path, ...]  # every file that was read, data files included

    def all_findings(self) -> Iterator[Finding]:
        """Findings of the configuration, then of the objects area by area."""
        yield from self.findings
        for data in self.areas:
            yield from data.objects.findings()


def conf_of(path: Path) -> Path:
    """The main configuration file that a path stands for: itself, or the one in the folder."""
    return path / CONF if path.is_dir() else path


def read_installation(conf_path: Path | str) -> Installation:
    """Everything an ARIN installation holds, its objects lazily.

    Raises: FormatError naming file, line and mend, when ARIN's server would refuse to start or
    a file cannot be read.
    """
    settings, reading = read_settings(Path(conf_path))
    area_file = settings.path(settings.auth_area_file)
    areas: list[AreaData] = []
    for entry, name in read_area_file(area_file, reading):
        data = _area_data(entry, name, reading)
        if data is not None:
            areas.append(replace(data, area=replace(data.area, position=len(areas))))
    return Installation(settings, tuple(areas), tuple(reading.findings), tuple(reading.files))


def _area_data(entry: Entry, name: AreaName, reading: Reading) -> AreaData | None:
    """An area read in the one charset that all its files share.

    Text goes out as it came in only if schema, SOA and objects are read alike, so the area is
    read again as latin-1, which loses nothing, when one of its files is not UTF-8.
    """
    for charset in ("utf-8", "latin-1"):
        trial = Reading(reading.root, charset)
        try:
            data = _read_area_data(entry, name, trial)
        except UnicodeDecodeError:
            continue
        if charset == "latin-1" or all(is_utf8(read_bytes(path)) for path in trial.files):
            break
    reading.files += trial.files
    reading.findings += trial.findings
    return data


def _read_area_data(entry: Entry, name: AreaName, reading: Reading) -> AreaData | None:
    files = read_area(entry, name, reading)
    if files is None:
        return None
    charset = reading.charset or "latin-1"
    classes = tuple(class_data(c, reading) for c in files.classes)
    reading.files += [file.path for data in classes for file in data.files]
    area = replace(files.area, charset=charset)
    return AreaData(area, ObjectFiles(area.name, charset, classes))


def fingerprint(conf_path: Path | str) -> str:
    """A digest that changes when any file of the installation does: names and contents.

    Raises: FormatError, as ``read_installation`` does.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in read_installation(conf_path).files:
        content = hashlib.blake2b(read_bytes(path), digest_size=16)
        digest.update(f"{path}\0".encode(errors="surrogateescape") + content.digest())
    return digest.hexdigest()


__all__ = [
    "SOURCE",
    "AreaData",
    "ArinSettings",
    "Finding",
    "FormatError",
    "Installation",
    "InstallationWriter",
    "XDirective",
    "conf_of",
    "fingerprint",
    "read_installation",
    "write_installation",
]
