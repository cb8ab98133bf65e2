"""``rwhois-admin`` show, find, soa, journal, status, image, db: run in-process."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rwhoisd.admin.cli import app
from rwhoisd.store import Store

SAMPLE = Path(__file__).parents[2] / "data"
VERBS = (
    *("init", "load", "check", "import", "show", "find", "soa", "journal"),
    *("notices", "status"),
    *(f"export {form}" for form in ("arin", "zone", "geofeed", "csv", "hosts", "ptr", "swip")),
    *("image build", "image info", "image verify", "db upgrade", "db status", "db copy"),
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    assert run("load", SAMPLE, "--state", path).exit_code == 0
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def parsed(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = run(*verb.split(), "--help")
    assert result.exit_code == 0
    assert f"Example: rwhois-admin {verb}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("arguments", [("zork",), ("load",), ("status", "--zork"), ("import", "x")])
def test_misuse_is_status_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_version() -> None:
    assert run("--version").stdout.startswith("rwhois-admin ")


# --- looking ---


def test_show_an_object(state: Path) -> None:
    shown = run("show", "net-2.192.0.2.0/24", "--state", state).stdout
    assert shown.startswith("# network of 192.0.2.0/24, from zone\nID: NET-2.192.0.2.0/24\n")
    (row,) = parsed("show", "net-2.192.0.2.0/24", "--state", state)
    assert ["Network-Name", "ORCHARD-MED"] in row["lines"]


def test_show_an_area_and_a_class(state: Path) -> None:
    facts = parsed("show", "192.0.2.0/24", "--state", state)
    assert facts["objects"] == {"network from zone": 7, "referral from zone": 1}
    text = run("show", "192.0.2.0/24", "net", "--state", state).stdout
    assert "network:attribute:IP-Network\n" in text
    assert "network:index:CIDR\n" in text


def test_operators_are_shown_everything_and_to_whom_it_is_answered(
    state: Path, tmp_path: Path
) -> None:
    assert parsed("show", "192.0.2.0/24", "--state", state)["answer-to"] == []
    assert "answer-to: everybody\n" in run("show", "192.0.2.0/24", "--state", state).stdout
    out = tmp_path / "out"
    run("export", "zone", out, "--area", "192.0.2.0/24", "--state", state)
    zone = out / "net-192.0.2.0-24" / "zone.toml"
    text = zone.read_text()
    zone.write_text(text.replace("[soa]", 'answer-to = ["10.0.0.0/8", "2001:db8::/32"]\n[soa]'))
    run("load", out, "--state", state)
    assert parsed("show", "192.0.2.0/24", "--state", state)["answer-to"] == [
        "10.0.0.0/8",
        "2001:db8::/32",
    ]
    shown = run("show", "192.0.2.0/24", "--state", state).stdout
    assert "answer-to: 10.0.0.0/8, 2001:db8::/32\n" in shown
    assert run("find", "192.0.2.0/24", "--state", state).exit_code == 0
    assert run("show", "net-2.192.0.2.0/24", "--state", state).exit_code == 0
    zone.write_text(text)
    opened = run("load", out, "--state", state)
    assert "everybody is answered now, not 10.0.0.0/8, 2001:db8::/32 only" in opened.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nothing.example.net"), "no area has this name, no object this ID"),
        (("show", "example.org", "zork"), "example.org has no class zork; it has"),
        (("soa", "example.com"), "example.com: no such area; there are example.net"),
    ],
)
def test_what_is_not_there_is_told(state: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments, "--state", state)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["192.0.2.70"], ["NET-3", "NET-2", "NET-0"]),
        (["192.0.2.64/26", "--below"], ["NET-2", "NET-3"]),
        (["192.0.2.0/24", "--below", "--limit", "1"], ["NET-0"]),
        (["NET-6.192.0.2.0/24"], ["NET-6"]),
        (["orchard-med", "--class", "network", "--area", "192.0.2.0/24"], ["NET-2", "NET-3"]),
        (["zork"], []),
        (["192.0.2.70", "--source", "registration"], []),
    ],
)
def test_find(state: Path, arguments: list[str], ids: list[str]) -> None:
    found = parsed("find", *arguments, "--state", state)
    assert [row["id"].removesuffix(".192.0.2.0/24") for row in found] == ids
    assert run("find", *arguments, "--state", state).exit_code == (0 if ids else 1)


def test_journal(state: Path) -> None:
    entries = parsed("journal", "192.0.2.0/24", "--state", state)
    assert len(entries) == 9
    assert {entry["operation"] for entry in entries} == {"add", "area"}
    history = run("journal", "--id", "NET-1.192.0.2.0/24", "--state", state).stdout
    assert history.rstrip().endswith("add network NET-1.192.0.2.0/24 by rwhois-admin (zone)")
    assert run("journal", "--after", "99991231", "--state", state).stdout == ""
    assert run("journal", "--after", "soon", "--state", state).exit_code == 2


def test_soa(state: Path) -> None:
    (row,) = parsed("soa", "example.org", "--state", state)
    assert row["primary-server"] == "rwhois.example.net:4321"
    assert row["serial-number"] == row["last-change"]


# --- image ---


def test_notices_of_peers(state: Path) -> None:
    async def record() -> None:
        async with await Store.open(str(state / "store.sqlite")) as store:
            await store.record_notice("badref", "rwhois://a.net:4321/x x", "192.0.2.9")
            await store.record_notice("update", "a.net:4321:b.net\x1b[2J", "192.0.2.8")

    asyncio.run(record())
    newest, first = run("notices", "--state", state).output.splitlines()
    assert newest.endswith(r" update a.net:4321:b.net\x1b[2J from 192.0.2.8")
    assert first.endswith(" badref rwhois://a.net:4321/x x from 192.0.2.9")
    rows = parsed("notices", "--state", state, "--limit", 1, "--json")
    assert [(row["kind"], row["peer"], len(row["received"])) for row in rows] == [
        ("update", "192.0.2.8", 17)
    ]


def test_image_from_build_to_verify(state: Path) -> None:
    assert parsed("status", "--state", state)["image"] is None
    built = run("image", "build", "--state", state)
    assert built.exit_code == 0
    assert "generation 1, 6 areas, 57 objects" in built.stdout
    assert parsed("image", "info", "--state", state)["objects"] == 57
    assert parsed("status", "--state", state)["image_current"] is True
    assert parsed("image", "verify", "--state", state) == {"equal": True, "difference": None}


def test_a_load_brings_the_image_up_to_date(state: Path, tmp_path: Path) -> None:
    run("image", "build", "--state", state)
    zone = tmp_path / "zone"
    zone.mkdir()
    for path in (SAMPLE / "example.org").iterdir():
        (zone / path.name).write_text(path.read_text().replace("Foundation", "Trust"))
    assert run("load", zone, "--state", state).exit_code == 0
    assert parsed("status", "--state", state)["image_current"] is True
    assert run("image", "verify", "--state", state).exit_code == 0


def test_verify_tells_a_difference(state: Path, tmp_path: Path) -> None:
    run("image", "build", "--state", state)
    (state / "image").rename(tmp_path / "old")
    zone = tmp_path / "zone"
    zone.mkdir()
    for path in (SAMPLE / "example.org").iterdir():
        (zone / path.name).write_text(path.read_text().replace("Foundation", "Trust"))
    run("load", zone, "--state", state)
    result = run("image", "verify", "--state", state, "--image", tmp_path / "old")
    assert result.exit_code == 1
    assert "example.org" in result.stdout


@pytest.mark.parametrize("verb", ["info", "verify"])
def test_without_image_there_is_one_line(state: Path, verb: str) -> None:
    result = run("image", verb, "--state", state)
    assert result.exit_code == 1
    assert len((result.stdout + result.stderr).splitlines()) == 1


# --- database ---


def test_upgrade_is_idempotent(tmp_path: Path) -> None:
    texts = [run("db", "upgrade", "--state", tmp_path / "new").stdout for _ in range(2)]
    assert texts[0] == texts[1]
    assert ": schema 0" in texts[0]
    assert parsed("db", "status", "--state", tmp_path / "new")["usable"] is True


def test_upgrade_of_an_older_store(state: Path) -> None:
    async def downgrade() -> None:
        async with await Store.open(str(state / "store.sqlite")) as store:
            await store.downgrade("base")

    asyncio.run(downgrade())
    facts = parsed("db", "status", "--state", state)
    assert (facts["usable"], facts["revision"]) == (False, None)
    assert run("soa", "--state", state).exit_code == 1
    assert run("db", "upgrade", "--state", state).stdout.rstrip().endswith(", was empty")
    assert parsed("db", "status", "--state", state)["usable"] is True


@pytest.mark.parametrize(
    "verb", [("status",), ("soa",), ("db", "status"), ("export", "arin", "out")]
)
def test_a_store_that_is_not_there_is_told(tmp_path: Path, verb: tuple[str, ...]) -> None:
    result = run(*verb, "--state", tmp_path / "none")
    assert result.exit_code == 1
    assert result.stderr.startswith("rwhois-admin: ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "none").exists()


def test_a_foreign_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("not a database")
    result = run("status", "--state", tmp_path)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


# --- where store and image are ---


def test_the_configuration_tells_where(tmp_path: Path, state: Path) -> None:
    config = tmp_path / "rwhoisd.toml"
    config.write_text('state = "state"\n')
    assert len(parsed("soa", "--config", config)) == 6
    config.write_text('stat = "state"\n')
    wrong = run("soa", "--config", config)
    assert wrong.exit_code == 1
    assert "stat" in wrong.stderr


def test_the_environment_tells_where(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWHOISD_STORE__URL", f"sqlite+aiosqlite:///{state / 'store.sqlite'}")
    assert len(parsed("soa")) == 6


def test_a_bare_file_is_a_store(state: Path) -> None:
    assert len(parsed("soa", "--store", state / "store.sqlite")) == 6
