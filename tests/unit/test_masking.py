"""Passwords of database URLs are in nothing that people read."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rwhoisd.config import Config, ConfigError, StoreConfig, build
from rwhoisd.masking import has_secret, masked
from rwhoisd.server.exposure import exposed

URL = "postgresql://u:s3cret@db/x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (URL, "postgresql://u:***@db/x"),
        (f"a {URL} b", "a postgresql://u:***@db/x b"),
        ("postgresql://u:p@ss:w@db/x", "postgresql://u:***@db/x"),
        ("postgresql://:s3cret@/x", "postgresql://:***@/x"),
        ("mariadb://u@h/x?password=s3cret&ssl=1", "mariadb://u@h/x?password=***&ssl=1"),
        ("x?PASSWD=s3cret", "x?PASSWD=***"),
        ("postgresql://u@db/x", "postgresql://u@db/x"),
        ("sqlite:////var/lib/x", "sqlite:////var/lib/x"),
        ("http://h:80/a", "http://h:80/a"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert has_secret(text) is (text != shown)


@pytest.mark.parametrize("store", [URL, [URL], {"url": [URL]}, {"uri": URL}, {"url": {"a": URL}}])
def test_a_mistake_in_the_configuration_does_not_show_it(store: object) -> None:
    with pytest.raises(ConfigError) as caught:
        build({"store": store})
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in "".join(caught.value.findings)


def test_the_configuration_does_not_show_it_when_it_is_shown() -> None:
    assert "s3cret" not in repr(Config(store=StoreConfig(url=URL)))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_files_with_secrets_that_all_may_read_are_told(folder: Path) -> None:
    file, key, store = folder / "c.toml", folder / "a.key", folder / "store.sqlite"
    file.write_text(f'store = {{ url = "{URL}" }}\n')
    for path in (key, store):
        path.write_text("")
    config = build(
        {
            "folder": str(folder),
            "state": str(folder),
            "store": {"url": URL},
            "listen": [{"tls": {"certificate": "a.pem", "key": "a.key"}}],
        }
    )
    for path in (file, key, store):
        path.chmod(0o644)
    told = exposed(config, file)
    assert "s3cret" not in "".join(told)
    assert [line.split(":")[0] for line in told] == [str(path) for path in (key, file, store)]
    folder.chmod(0o750)
    assert exposed(config, file) == []  # nobody else gets that far
    folder.chmod(0o755)
    for path in (file, key, store):
        path.chmod(0o640)
    assert exposed(config, file) == []
