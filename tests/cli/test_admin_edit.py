"""``rwhois-admin`` add, edit, delete, undo, assign, release, utilization; show --at, journal ID."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rwhoisd.admin import editing
from rwhoisd.admin.cli import app

SAMPLE = Path(__file__).parents[2] / "data"
ZONE = SAMPLE / "net-192.0.2.0-24"
AREA = "192.0.2.0/24"
NET = f"NET-2.{AREA}"
ADMIN = Path(sys.executable).with_name("rwhois-admin")
VERBS = ("add", "edit", "delete", "undo", "assign", "release", "utilization")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    for folder in (ZONE, SAMPLE / "example.net"):
        assert run("load", folder, "--state", path).exit_code == 0
    assert run("image", "build", "--state", path).exit_code == 0
    return path


def run(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], input=text)


def parsed(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def shown(state: Path, object_id: str = NET) -> dict[str, str]:
    [row] = parsed("show", object_id, "--state", state)
    return {"source": row["source"], **dict(row["lines"])}


def newest(state: Path, *arguments: object) -> dict[str, Any]:
    entry: dict[str, Any] = parsed("journal", *arguments, "--state", state)[0]
    return entry


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: rwhois-admin {verb}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", AREA, "network"),
        ("add", AREA, "network", "--set", "City"),
        ("add", AREA, "network", "--set", "City="),
        ("add", AREA, "network", "--set", "City=a\x07"),
        ("add", AREA, "network", "--set", "City=a", "--author", " "),
        ("edit", NET),
        ("undo", "20260101"),
        ("assign", "--from", "x", "--size", "29"),
        ("assign", "--from", AREA, "--size", "24"),
        ("assign", "--size", "24"),
        ("utilization", "x"),
        ("show", AREA, "--at", "soon"),
        ("show", AREA, "network", "--at", "20260101"),
    ],
)
def test_misuse_is_status_2(state: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--state", state)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "no.net", "host", "--set", "a=b"), "340 Invalid authority area: no.net; there"),
        (("add", AREA, "zork", "--set", "a=b"), "341 Invalid class: zork; 192.0.2.0/24 has"),
        (("add", AREA, "network", "--set", "Foo=b"), "Foo is unknown in class network (320)"),
        (("add", AREA, "network", "--file", "/none"), "/none: No such file"),
        (("edit", "X.y.z", "--set", "a=b"), "no object has the ID X.y.z; look with"),
        (("edit", NET, "--unset", "IP-Network"), "required attribute IP-Network missing"),
        (("edit", NET, "--set", "IP-Network=192.0.2.0/26"), "324 Primary key not unique"),
        (("delete", NET, "X.y.z"), "no object has the ID X.y.z"),
        (("undo", "20260101000000000"), "no area has a change 20260101000000000"),
        (("assign", "--from", "10.0.0.0/8", "--size", "29"), "no area and no network holds"),
        (("assign", "--from", AREA, "--size", "25"), "no /25 is free in 192.0.2.0/24"),
        (("release", NET), "still holds 1: network NET-3.192.0.2.0/24"),
        (("release", "10.0.0.0/8"), "no network objects have the addresses"),
        (("journal", "zork.net"), "no object ever had this ID"),
        (("show", "zork.net", "--at", "20260101"), "no object had this ID at 2026-01-01"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    state: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = parsed("soa", "--state", state)
    result = run(*arguments, "--state", state)
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert parsed("soa", "--state", state) == before


# --- add, edit, delete


def test_add_shows_what_it_adds_and_the_image_has_it(state: Path) -> None:
    result = run(
        *("add", AREA, "network", "--set", "Network-Name=NEW", "--set", "ip-network=192.0.2.8/29"),
        *("--set", f"ID=NEW.{AREA}", "--author", "ann", "--state", state),
    )
    assert result.exit_code == 0, result.output
    assert "add network NEW.192.0.2.0/24\n" in result.stdout
    assert "  + IP-Network: 192.0.2.8/29\n" in result.stdout
    assert shown(state, f"NEW.{AREA}")["source"] == "admin"
    entry = newest(state, f"NEW.{AREA}")
    assert (entry["author"], entry["source"], entry["operation"]) == ("ann", "admin", "add")
    assert parsed("status", "--state", state)["image_current"] is True
    assert run("image", "verify", "--state", state).exit_code == 0


def test_add_from_a_file_and_from_standard_input(state: Path, tmp_path: Path) -> None:
    text = "Network-Name: F\nIP-Network: 192.0.2.8/29\n# no line\nStreet-Address: a\n"
    file = tmp_path / "object.txt"
    file.write_text(text)
    [done] = parsed("add", AREA, "network", "--file", file, "--set", "City=R", "--state", state)
    [obj] = done["objects"]
    assert obj["id"] == f"{done['serial']}.{AREA}"
    assert ["City", "R"] in obj["lines"]
    again = run("add", AREA, "network", "--file", "-", "--state", state, text=text)
    assert again.exit_code == 1
    assert "another network of 192.0.2.0/24 has IP-Network 192.0.2.8/29" in again.stderr
    for wrong, message in {
        "City\n": "standard input:1: error: line 'City' is no 'Attribute: value'",
        f"{text}\n{text}": "holds 2 objects",
        "": "holds 0 objects",
        "Class-Name: referral\nReferral: x\n": "is of class referral, not network",
    }.items():
        refused = run("add", AREA, "network", "--file", "-", "--state", state, text=wrong)
        assert refused.exit_code == 1
        assert message in refused.stderr


def test_a_dry_run_shows_and_does_nothing(state: Path) -> None:
    before = shown(state)
    for arguments in (
        ("edit", NET, "--set", "City=X"),
        ("delete", "NET-4.192.0.2.0/24"),
        ("assign", "--from", AREA, "--size", "29"),
        ("release", "192.0.2.168/29"),
    ):
        result = run(*arguments, "--dry-run", "--state", state)
        assert result.exit_code == 0, result.output
        assert "would be" in result.stdout
        assert "serial" not in result.stdout
    assert shown(state) == before
    assert {e["source"] for e in parsed("journal", "--state", state)} == {"zone"}


def test_an_edit_of_what_a_zone_has_is_a_conflict_for_its_load(state: Path) -> None:
    result = run("edit", NET, "--set", "City=Norfolk", "--unset", "state", "--state", state)
    assert result.stdout.splitlines()[:4] == [
        f"change network {NET}",
        "  - City: Richmond",
        "  - State: VA",
        "  + City: Norfolk",
    ]
    after = shown(state)
    assert (after["source"], after["City"], "State" in after) == ("admin", "Norfolk", False)
    load = run("load", ZONE, "--state", state)
    assert f"network {NET} was changed by admin and is left so" in load.output
    assert shown(state) == after
    assert "nothing to change" in run("edit", NET, "--set", "City=Norfolk", "--state", state).stdout
    assert run("undo", newest(state, NET)["serial"], "--state", state).exit_code == 0
    assert run("load", ZONE, "--state", state).exit_code == 0
    assert shown(state)["source"] == "zone"


def test_an_edit_from_a_file_of_another_version_is_refused(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "object.txt"
    file.write_text(run("show", NET, "--state", state).stdout)  # what show prints is taken
    assert "nothing to change" in run("edit", NET, "--file", file, "--state", state).stdout
    run("edit", NET, "--set", "City=Norfolk", "--state", state)
    file.write_text(file.read_text().replace("Richmond", "Roanoke"))
    late = run("edit", NET, "--file", file, "--state", state)
    assert late.exit_code == 1
    assert "325 Failed to update outdated object" in late.stderr
    assert shown(state)["City"] == "Norfolk"


def test_delete_takes_all_or_nothing_and_tells_who_points_at_it(state: Path) -> None:
    result = run("delete", "HM-1.example.net", NET, "--state", state)
    assert result.exit_code == 0
    assert "note: HM-1.example.net is still named by" in result.stderr
    assert "  - City: Richmond\n" in result.stdout
    assert run("show", NET, "--state", state).exit_code == 1
    load = run("load", ZONE, "--state", state)
    assert "was deleted by admin and is left so" in load.output
    assert run("undo", newest(state, NET)["serial"], "--state", state).exit_code == 0
    assert shown(state)["City"] == "Richmond"


# --- at a terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A terminal whose user says yes or no; how often the user was asked."""
    said = {"answer": 1, "asked": 0}

    def confirm(_text: str, *, err: bool) -> bool:
        said["asked"] += 1
        return err and bool(said["answer"])

    monkeypatch.setattr(editing.Manner, "asks", property(lambda m: not (m.yes or m.dry_run)))
    monkeypatch.setattr("typer.confirm", confirm)
    return said


def test_at_a_terminal_it_asks_first(state: Path, terminal: dict[str, int]) -> None:
    for arguments in (
        ("edit", NET, "--set", "City=X"),
        ("assign", "--from", AREA, "--size", "29"),
        ("release", "192.0.2.168/29"),
    ):
        terminal.update(answer=0, asked=0)
        before = parsed("soa", "--state", state)
        refused = run(*arguments, "--state", state)
        assert (refused.exit_code, terminal["asked"]) == (1, 1)
        assert "nothing was changed" in refused.stderr
        assert parsed("soa", "--state", state) == before
        assert run(*arguments, "--dry-run", "--state", state).exit_code == 0
        assert terminal["asked"] == 1
        terminal["answer"] = 1
        assert run(*arguments, "--state", state).exit_code == 0
        assert terminal["asked"] == 2
        assert parsed("soa", "--state", state) != before
    assert run("edit", NET, "--set", "City=Y", "--yes", "--state", state).exit_code == 0
    assert terminal["asked"] == 2


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("EDITOR", f"'{path}'")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("rwhoisd.admin.editing.at_terminal", lambda: True)


def test_edit_in_the_editor(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: dict[str, int]
) -> None:
    editor(tmp_path, monkeypatch, 'cp "$1" "$1.seen"; sed -i s/Richmond/Roanoke/ "$1"')
    result = run("edit", NET, "--state", state)
    assert result.exit_code == 0, result.output
    assert "  + City: Roanoke\n" in result.stdout
    assert shown(state)["City"] == "Roanoke"
    [seen] = tmp_path.glob("*.seen")
    assert seen.read_text().startswith(f"# network of {AREA}")
    assert [p for p in tmp_path.glob("rwhois-admin-*") if p != seen] == []


def test_a_text_that_is_refused_is_kept_for_its_owner(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: dict[str, int]
) -> None:
    editor(tmp_path, monkeypatch, 'sed -i "s/Country-Code: US/Country-Code: usa/" "$1"')
    result = run("edit", NET, "--state", state)
    assert result.exit_code == 1
    assert "(321)" in result.stderr
    [kept] = tmp_path.glob("rwhois-admin-*")
    assert f"your text is kept in {kept}" in result.stderr
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "Country-Code: usa\n" in kept.read_text()


def test_a_change_under_the_editor_is_325(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: dict[str, int]
) -> None:
    command = f"'{ADMIN}' edit {NET} --set City=Other --state '{state}'"
    editor(tmp_path, monkeypatch, f'{command} </dev/null >/dev/null; sed -i s/Richmond/Mine/ "$1"')
    result = run("edit", NET, "--state", state)
    assert result.exit_code == 1
    assert "325 Failed to update outdated object" in result.stderr
    assert shown(state)["City"] == "Other"


@pytest.mark.parametrize("script", ["exit 3", 'rm -f "$1"'])
def test_an_editor_that_fails_changes_nothing(
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    terminal: dict[str, int],
    script: str,
) -> None:
    editor(tmp_path, monkeypatch, script)
    before = shown(state)
    assert run("edit", NET, "--state", state).exit_code == 1
    monkeypatch.setenv("EDITOR", "/none/at/all")
    assert "cannot be run" in run("edit", NET, "--state", state).stderr
    assert shown(state) == before


def test_a_secret_is_not_shown_and_stays(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: dict[str, int]
) -> None:
    given = ("Guard-Info=open sesame", "Guard-Scheme=pw")
    sets = [part for one in given for part in ("--set", one)]
    for more in ((), ("--set", "Foo=x")):  # without an ID it is called by its first line
        tried = run("add", "example.net", "guardian", *sets, *more, "--dry-run", "--state", state)
        assert "sesame" not in tried.output
        assert "Guard-Info ********" in tried.output
    sets += ["--set", "ID=G.example.net"]
    added = run("add", "example.net", "guardian", *sets, "--state", state)
    assert added.exit_code == 0, added.output
    keep = f"cp \"$1\" '{tmp_path}/text'"
    editor(tmp_path, monkeypatch, f'{keep}; echo "Guardian: G.example.net" >> "$1"')
    changed = run("edit", "G.example.net", "--yes", "--state", state)
    everything = added.output + changed.output + (tmp_path / "text").read_text()
    assert "sesame" not in everything
    assert "********" in everything
    assert "+ Guardian: G.example.net" in changed.output
    everything = run("journal", "G.example.net", "--state", state).output
    assert "sesame" not in everything
    assert "Guard-Info" not in everything


# --- blocks


def test_assign_prints_the_block_and_release_returns_it(state: Path) -> None:
    arguments = ("assign", "--from", AREA, "--size", "/29", "--org", "ORG-ORCHARD.example.net")
    first = run(*arguments, "--set", "Network-Name=LAB", "--state", state)
    assert first.exit_code == 0, first.output
    block = first.stdout.splitlines()[0]
    second = parsed(*arguments, "--state", state)
    assert (block, second["block"]) == ("192.0.2.176/29", "192.0.2.184/29")
    [row] = parsed("find", "192.0.2.177", "--class", "network", "--state", state)[:1]
    assert ["Org-Name", "Orchard Medical Group"] in row["lines"]
    assert run(*arguments, "--state", state).exit_code == 1
    released = run("release", block, "--state", state)
    assert released.exit_code == 0
    assert "  - Network-Name: LAB\n" in released.stdout
    assert parsed(*arguments, "--state", state)["block"] == block
    assert parsed("status", "--state", state)["image_current"] is True


def test_utilization_as_table_json_and_map(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "space.svg"
    text = run("utilization", "--svg", file, "--state", state).stdout.splitlines()
    assert text[0].split() == [
        *("block", "name", "size", "used", "full"),
        *("largest", "free", "objects"),
    ]
    assert text[1].split()[:5] == [AREA, "EXAMPLE-V4-1", "256", "240", "93.8%"]
    assert file.read_text().startswith("<svg ")
    assert "ORCHARD-MED" in file.read_text()
    [row] = parsed("utilization", "192.0.2.64/26", "--state", state)
    assert (row["used"], row["free"], row["largest_free"]) == (16, 48, "192.0.2.96/27")
    assert run("utilization", "--svg", tmp_path / "no" / "x", "--state", state).exit_code == 1


# --- as it was


def test_show_and_journal_of_an_object_through_its_life(state: Path) -> None:
    run("edit", NET, "--set", "City=Norfolk", "--author", "ann", "--state", state)
    changed = newest(state, NET)["serial"]
    run("delete", NET, "--author", "bob", "--state", state)
    deleted = newest(state, NET)["serial"]
    told = run("journal", NET, "--state", state).stdout
    assert f"{deleted} {AREA} delete network {NET} by bob (admin)" in told
    assert f"{changed} {AREA} modify network {NET} by ann (admin)\n  - City: Richmond" in told
    then = run("show", NET, "--at", changed, "--state", state).stdout
    assert then.startswith(f"# network of {AREA}, from admin, since ")
    assert ", by ann\n" in then
    assert "City: Norfolk\n" in then
    assert run("show", NET, "--at", deleted, "--state", state).exit_code == 1
    holders = parsed("show", "192.0.2.100", "--at", changed, "--state", state)
    assert [row["id"] for row in holders] == [NET, f"NET-0.{AREA}"]
    assert holders[0]["author"] == "ann"
    holders = parsed("show", "192.0.2.100", "--at", deleted, "--state", state)
    assert [row["id"] for row in holders] == [f"NET-0.{AREA}"]
    assert {e["area"] for e in parsed("journal", AREA, "--state", state)} == {AREA}


def test_a_time_before_the_journal_is_told(state: Path) -> None:
    for name in ("192.0.2.70", NET):
        result = run("show", name, "--at", "1999-12-31", "--state", state)
        assert result.exit_code == 1
        assert "begins 20" in result.stderr
        assert "what was there at 1999-12-31 00:00:00.000 UTC is not known" in result.stderr
