"""What was checked once is taken again, unless something differs, and never from others."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rwhoisd import config_check
from rwhoisd.config import Config, build, load
from rwhoisd.config_kept import NAME, KeptConfig

EVERYTHING = """\
compat = "rfc"
state = "state"
zones = ["a", "/b"]
contact = "ops@example.net"
workers = 3
[[listen]]
port = 43
deny = ["192.0.2.0/24"]
tls = { certificate = "c.pem", key = "k.pem" }
[limits]
idle_seconds = 20
exempt = []
[directives]
xfer = false
soa = { allow = ["2001:db8::/32"] }
[transfer."192.0.2.0/24"]
allow = ["192.0.2.1"]
[programs.parse]
spool = "spool"
[[programs.run]]
name = "date"
command = ["/bin/date", "-u"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rwhoisd.toml").write_text(EVERYTHING)
    return tmp_path


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], bool]:
    """Whether a configuration is checked anew when it is loaded."""

    def asked(folder: Path) -> bool:
        checked: list[str] = []
        whole = config_check.checked

        def check(data: Any, place: str, text: str) -> Config:
            checked.append(place)
            return whole(data, place, text)

        with monkeypatch.context() as patch:
            patch.setattr(config_check, "checked", check)
            assert _loaded(folder)[0] == load(folder / "rwhoisd.toml")
        return len(checked) == 2  # the second is the one that it is compared with

    return asked


def _loaded(folder: Path) -> tuple[Config, KeptConfig]:
    kept = KeptConfig(lambda _: folder)
    return load(folder / "rwhoisd.toml", keeper=kept), kept


def _keep(folder: Path) -> Path:
    _loaded(folder)[1].save(folder)
    return folder / NAME


def test_it_is_the_same_again(folder: Path, fresh: Callable[[Path], bool]) -> None:
    assert fresh(folder)
    _keep(folder)
    assert not fresh(folder)
    kept = _loaded(folder)[0]
    assert (kept, kept.given) == (whole := load(folder / "rwhoisd.toml"), whole.given)
    (row,) = kept.listen
    assert row.tls is not None
    assert row.tls.key == Path("k.pem")


def _other_text(folder: Path) -> None:
    (folder / "rwhoisd.toml").write_text(EVERYTHING.replace("workers = 3", "workers = 4"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_other_text, id="another text"),
        pytest.param(lambda f: (f / NAME).chmod(0o640), id="others may read it"),
        pytest.param(lambda f: (f / "more").hardlink_to(f / NAME), id="a second name"),
        pytest.param(lambda f: (f / NAME).write_text("{"), id="torn"),
        pytest.param(lambda f: (f / NAME).write_text("[]"), id="foreign"),
        pytest.param(lambda f: (f / NAME).write_bytes(b"\xff" * 99), id="no text"),
        pytest.param(lambda f: (f / NAME).unlink(), id="gone"),
    ],
)
def test_in_doubt_it_is_checked_anew(
    folder: Path, fresh: Callable[[Path], bool], change: Callable[[Path], object]
) -> None:
    _keep(folder)
    change(folder)
    assert fresh(folder)


def test_a_link_is_not_followed(folder: Path, fresh: Callable[[Path], bool]) -> None:
    kept = _keep(folder)
    kept.rename(folder / "elsewhere")
    kept.symlink_to(folder / "elsewhere")
    assert fresh(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_somebody_else_wrote_is_not_taken(folder: Path, fresh: Callable[[Path], bool]) -> None:
    os.chown(_keep(folder), 65534, 65534)
    assert fresh(folder)


def test_a_variable_counts(
    folder: Path, fresh: Callable[[Path], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(folder)
    monkeypatch.setenv("RWHOISD_LIMITS__CONNECTIONS", "7")
    assert fresh(folder)
    _keep(folder)
    assert not fresh(folder)
    assert _loaded(folder)[0].limits.connections == 7


URL = "postgresql://us:s3cret@db/names"


def test_no_password_is_kept(folder: Path) -> None:
    text = f'{EVERYTHING}\n[store]\nurl = "{URL}"\n'
    (folder / "rwhoisd.toml").write_text(text)
    kept = _keep(folder)
    assert "s3cret" not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert _loaded(folder)[0].store.url == URL
    (folder / "rwhoisd.toml").write_text(text.replace("s3cret", "other"))
    assert _loaded(folder)[0].store.url == URL.replace("s3cret", "other")


def test_a_password_of_a_variable_comes_to_no_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWHOISD_STORE__URL", URL)
    assert not _keep(folder).exists()


def test_a_mistake_is_told_each_time(folder: Path) -> None:
    kept = KeptConfig(lambda _: folder)
    for _ in range(2):
        with pytest.raises(Exception, match="unknown option"):
            build({"folder": str(folder), "nothing": 1}, keeper=kept)
        kept.save(folder)
    assert not (folder / NAME).exists()
