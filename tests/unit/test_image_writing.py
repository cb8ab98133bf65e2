"""A disk that is full or fails is one clear error of the image."""

import errno
from pathlib import Path

import lmdb
import pytest

from rwhoisd.image.environment import Environment, writing
from rwhoisd.image.errors import ImageError


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(lmdb.Error("mdb_txn_commit: Input/output error"), id="database"),
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="file"),
    ],
)
def test_failing_disk_is_told_with_its_place(failure: Exception) -> None:
    with pytest.raises(ImageError) as caught, writing(Path("/var/image")):
        raise failure
    assert str(caught.value).startswith("/var/image cannot be written: ")
    assert str(failure) in str(caught.value)


def test_the_file_of_readers_has_its_space_before_it_is_mapped(tmp_path: Path) -> None:
    Environment(tmp_path, fast=True)
    lock = (tmp_path / "index.mdb-lock").stat()
    assert lock.st_blocks * 512 >= lock.st_size > 0
