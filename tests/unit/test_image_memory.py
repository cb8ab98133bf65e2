"""Pages of the image are mapped before they are asked for, as far as the files go."""

import mmap
from pathlib import Path

from rwhoisd.image.memory import mapped, populate

PAGE = mmap.PAGESIZE


def test_mappings_end_where_the_file_ends(tmp_path: Path) -> None:
    (tmp_path / "index.mdb").write_bytes(bytes(3 * PAGE))
    (tmp_path / "records").write_bytes(bytes(PAGE))
    text = (
        f"1000-90000 r--s 00000000 fd:00 17 {tmp_path}/index.mdb\n"
        f"a0000-a1000 r--s {2 * PAGE:x} fd:00 17    {tmp_path}/index.mdb\n"
        f"b0000-b1000 r--s {4 * PAGE:x} fd:00 17 {tmp_path}/index.mdb\n"
        f"c0000-c1000 r--s 00000000 fd:00 18 {tmp_path}/records (deleted)\n"
        f"d0000-d1000 r--s 00000000 fd:00 18 {tmp_path}-other/records\n"
        f"e0000-e1000 rw-p 00000000 00:00 0\n"
        f"f0000-f1000 rw-p 00000000 00:00 0 [heap]\n"
    )
    assert list(mapped(text, tmp_path)) == [(0x1000, 3 * PAGE), (0xA0000, PAGE)]


def test_every_page_is_there(tmp_path: Path) -> None:
    octets = 300 * PAGE + 1
    (tmp_path / "records").write_bytes(bytes(octets))
    with (tmp_path / "records").open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapping.madvise(mmap.MADV_DONTNEED)
    populate(tmp_path)
    assert _resident(tmp_path / "records") == 301 * PAGE
    mapping.close()
    populate(tmp_path)  # of nothing


def _resident(path: Path) -> int:
    """Octets of a file that are mapped in this process."""
    text = Path("/proc/self/smaps").read_text(encoding="utf-8")
    part = text[text.index(str(path)) :]
    return int(part[part.index("Rss:") :].split()[1]) * 1024
