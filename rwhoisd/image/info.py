"""Figures of an image, for people and for health checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rwhoisd.image.current import ImageReader
from rwhoisd.image.folder import FORMAT, INDEX, OBJECTS, OFFSETS, RECORDS


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image holds and how large it is.

    ``entries``: keys of all objects in all indexes. ``dead_records``: records of objects that
    were changed or deleted since the build; a build drops them. ``octets``: size of each file.
    """

    format: int
    generation: int
    counter: int
    created: str
    eol: str
    reversed_index: bool
    areas: int
    objects: int
    records: int
    dead_records: int
    entries: int
    octets: Mapping[str, int]
    serials: Mapping[str, str]


def info(path: Path) -> ImageInfo:
    """Figures of the version that is served.

    Raises: ImageError, when there is no good image.
    """
    reader = ImageReader(path)
    try:
        image = reader.current()
        head, place = image.head, image.generation.place
        names = (RECORDS, OFFSETS, OBJECTS, INDEX)
        return ImageInfo(
            format=FORMAT,
            generation=image.version[0],
            counter=image.version[1],
            created=image.created,
            eol=head.eol,
            reversed_index=head.reversed,
            areas=len(image.areas),
            objects=head.objects,
            records=head.records,
            dead_records=head.records - head.objects,
            entries=head.entries,
            octets={name: (place / name).stat().st_size for name in names},
            serials={name: serial.text for name, serial in image.serials.items()},
        )
    finally:
        reader.close()
