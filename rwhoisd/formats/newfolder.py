"""A folder that appears only when everything in it is written."""

import shutil
from pathlib import Path

from rwhoisd.directory.names import AreaName, Network
from rwhoisd.formats.findings import failed


class NewFolder:
    """Files are written to ``path``, beside ``target``, and take its name at the end."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(target.name + ".partial")

    def begin(self) -> None:
        """Make the folder. Raises: FormatError, when ``target`` is there and not empty."""
        target = self._target
        try:
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise failed(target, 0, "is there already; name a new or an empty folder")
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)
        except OSError as error:
            raise failed(self.path, 0, f"cannot be made: {error.strerror}") from error

    def end(self, *, keep: bool) -> None:
        """Give it its name, or remove it. Raises: FormatError."""
        try:
            if keep:
                if self._target.exists():
                    self._target.rmdir()
                self.path.rename(self._target)
        except OSError as error:
            raise failed(self._target, 0, f"cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(self.path, ignore_errors=True)


def area_folder(name: AreaName) -> str:
    """Name of the folder of an area: no two areas that differ in more than case share one."""
    text = name.id_suffix.replace("/", "-").replace(":", "_")
    return f"net-{text}" if isinstance(name.place, Network) else text
