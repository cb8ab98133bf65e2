"""``rwhois-admin`` init, load, check, import, export: run in-process."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rwhoisd.admin.cli import app
from rwhoisd.formats.arin import read_installation
from tests.arin_tree import AREA, lay

SAMPLE = Path(__file__).parents[2] / "data"
DATA = "a/data/thing/thing.txt"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWHOISD_STATE", str(tmp_path / "state"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def parsed(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_load_then_load_again() -> None:
    first = run("load", SAMPLE)
    assert first.exit_code == 0
    assert "example.net: new area, 30 added, 0 unchanged" in first.stdout
    again = run("load", SAMPLE)
    assert again.exit_code == 0
    assert "example.net: 30 unchanged" in again.stdout


def zone(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "zone.toml").write_text(
        'name = "a.com"\nclasses = ["organization"]\n'
        '[soa]\nprimary-server = "h.a.com:4321"\nhostmaster = "h@a.com"\n'
    )
    blocks = [f"ID: {name}.a.com\nOrg-Name: {name}\n" for name in names]
    (folder / "organization.txt").write_text("\n".join(blocks))
    return folder


def test_a_dry_run_shows_the_diff(tmp_path: Path) -> None:
    run("load", zone(tmp_path / "z", "one", "two"))
    path = zone(tmp_path / "z", "two", "three")
    (path / "organization.txt").write_text(
        (path / "organization.txt").read_text().replace("Org-Name: two", "Org-Name: zwei")
    )
    shown = run("load", "--dry-run", "--prune", path)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "add organization three.a.com",
        "  + ID: three.a.com",
        "  + Org-Name: three",
        "change organization two.a.com",
        "  - Org-Name: two",
        "  + Org-Name: zwei",
        "remove organization one.a.com",
        "  - ID: one.a.com",
        "  - Org-Name: one",
        "a.com: would be: 1 added, 1 changed, 1 removed, 0 unchanged",
    ]
    assert "one.a.com" in run("find", "one").stdout
    facts = parsed("load", "--dry-run", path)
    assert facts["areas"][0]["left"] == 1


def test_removal_is_asked_for_and_guarded(tmp_path: Path) -> None:
    many = [f"n{number}" for number in range(20)]
    run("load", zone(tmp_path / "z", *many))
    path = zone(tmp_path / "z", *many[:5])
    kept = run("load", path)
    assert "15 gone from the files (--prune removes them)" in kept.stdout
    refused = run("load", "--prune", path)
    assert refused.exit_code == 1
    assert "nothing was loaded: 15 of 20 objects would be removed" in refused.stdout
    assert run("load", "--prune", "--max-removals", "1", path).exit_code == 0
    assert parsed("status")["areas"][0]["objects"] == 5


def test_a_zone_with_a_mistake_is_left_out_and_others_load(tmp_path: Path) -> None:
    zone(tmp_path / "zones", "x").rename(tmp_path / "good")
    bad = zone(tmp_path / "bad", "y")
    (bad / "zone.toml").write_text((bad / "zone.toml").read_text().replace("a.com", "b.com", 1))
    (bad / "organization.txt").write_text("Colour: red\n")
    result = run("load", tmp_path / "good", bad)
    assert result.exit_code == 1
    assert f"{bad}/organization.txt:1: error: attribute Colour is unknown" in result.stderr
    assert [row["area"] for row in parsed("soa")] == ["a.com"]


@pytest.mark.parametrize("what", ["nothing.toml", "empty"])
def test_a_path_without_zone_is_told(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    result = run("load", tmp_path / what)
    assert result.exit_code == 1
    assert "zone.toml" in result.stderr
    assert "Traceback" not in result.stderr


# --- check ---


def test_check_of_files() -> None:
    good = run("check", SAMPLE)
    assert (good.exit_code, good.stdout) == (0, "")
    assert good.stderr.strip() == "0 errors, 0 warnings"


def test_check_finds_and_says_where(tmp_path: Path) -> None:
    path = zone(tmp_path / "z", "one")
    (path / "organization.txt").write_text("Org-Name: x\nTech-Contact: gone.a.com\n")
    result = run("check", path)
    assert result.exit_code == 1
    assert f"{path}/organization.txt:1: error: Org-Name x: Tech-Contact names" in result.stdout
    codes = [row["code"] for row in parsed("check", path)]
    assert codes == [323, None]


def test_check_of_what_is_stored() -> None:
    run("load", SAMPLE)
    assert run("check", "--store").exit_code == 0


def test_check_of_an_installation(tmp_path: Path) -> None:
    conf = lay(tmp_path / "tree", {DATA: "Name:a\nBoss:gone.a.com\n"})
    for path in (conf, conf.parent):
        assert "no object has this ID (323)" in run("check", path).stdout


def test_check_needs_something_to_check() -> None:
    assert run("check").exit_code == 2


# --- import and export ---


def test_import_reports_what_was_not_understood(tmp_path: Path) -> None:
    conf = lay(tmp_path / "tree", {"a/soa": None, "rwhoisd.auth_area": AREA})
    refused = run("import", "arin", conf)
    assert refused.exit_code == 1
    assert f"{conf.parent}/rwhoisd.auth_area:5: error: soa-file a/soa does not exist" in (
        refused.stderr
    )
    conf = lay(tmp_path / "tree", {DATA: "Name:a\nzork:1\n"})
    taken = run("import", "arin", conf.parent)
    assert taken.exit_code == 0
    assert taken.stdout == "a.com: new area, 1 added, 0 unchanged\n"
    assert f"{conf.parent}/{DATA}:2: warning: attribute 'zork' is unknown" in taken.stderr


def test_import_export_import_gives_the_same(tmp_path: Path) -> None:
    conf = lay(tmp_path / "tree")
    run("import", "arin", conf)
    written = run("export", "arin", tmp_path / "out", "--settings", conf)
    assert (written.exit_code, written.stderr) == (0, "")
    before, after = read_installation(conf), read_installation(tmp_path / "out" / "rwhoisd.conf")
    assert [(a.area, list(a.objects)) for a in before.areas] == [
        (a.area, list(a.objects)) for a in after.areas
    ]
    again = run("import", "arin", tmp_path / "out", "--dry-run")
    assert again.stdout == "a.com: would be: 2 unchanged\n"


def test_export_of_one_area_as_a_zone(tmp_path: Path) -> None:
    run("load", SAMPLE)
    assert run("export", "zone", tmp_path / "out", "--area", "192.0.2.0/24").exit_code == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["net-192.0.2.0-24"]
    again = run("load", "--dry-run", tmp_path / "out")
    assert again.exit_code == 0
    assert "8 unchanged" in again.stdout


def test_export_of_an_area_that_is_not_there_writes_nothing(tmp_path: Path) -> None:
    run("load", SAMPLE)
    result = run("export", "zone", tmp_path / "out", "--area", "nosuch.net")
    assert result.exit_code == 1
    assert "nosuch.net: no such area; there are example.net" in result.stderr
    assert not (tmp_path / "out").exists()


def test_export_does_not_write_over_anything(tmp_path: Path) -> None:
    run("load", SAMPLE)
    result = run("export", "arin", SAMPLE)
    assert result.exit_code == 1
    assert "is there already; name a new or an empty folder" in result.stderr


# --- init ---


def test_init_lays_out_what_load_takes(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = run("init", folder, "--area", "example.net", "--area", "2001:db8::/32")
    assert made.exit_code == 0
    config = folder / "rwhoisd.toml"
    assert f"rwhois-admin load --config {config}" in made.stdout
    loaded = run("load", "--config", config, folder / "zones")
    assert loaded.exit_code == 0
    assert "example.net: new area" in loaded.stdout
    assert run("init", folder).exit_code == 1


@pytest.mark.parametrize("name", ["a b", "10.0.0.0/33"])
def test_init_refuses_names_that_are_none(tmp_path: Path, name: str) -> None:
    result = run("init", tmp_path / "new", "--area", name)
    assert result.exit_code == 1
    assert "340" in result.stderr
    assert not (tmp_path / "new").exists()
