"""``rwhois-admin guardian``: secrets come by prompt or standard input, and are never shown."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rwhoisd.admin import guardian as module
from rwhoisd.admin.cli import app
from rwhoisd.directory.objects import Object
from rwhoisd.service.hashing import argon2_hash, argon2_matches, crypt_matches
from rwhoisd.store import Store
from tests.store.kit import replay, stored

SECRET = "aurora borealis"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with an area, whose files have a guardian with a clear secret."""
    folder = tmp_path / "state"
    monkeypatch.setenv("RWHOISD_STATE", str(folder))
    assert run("load", zone(tmp_path)).exit_code == 0
    return folder


def zone(folder: Path) -> Path:
    path = folder / "zone"
    path.mkdir(exist_ok=True)
    (path / "zone.toml").write_text(
        'name = "a.com"\nclasses = ["organization", "guardian"]\nguardians = ["g.a.com"]\n'
        '[soa]\nprimary-server = "h.a.com:4321"\nhostmaster = "h@a.com"\n'
    )
    (path / "guardian.txt").write_text(
        "ID: g.a.com\nGuard-Scheme: PASSWD\nGuard-Info: fjord-clear\n\n"
        "ID: c.a.com\nGuard-Scheme: crypt-pw\nGuard-Info: ab2Vqm.AnTodk\n"
    )
    return path


def run(*arguments: object, secret: str | None = None) -> Result:
    result = CliRunner().invoke(
        app, [str(a) for a in arguments], input=None if secret is None else secret + "\n"
    )
    for hidden in (SECRET, "fjord-clear", "ab2Vqm", "$argon2", "$6$"):
        assert hidden not in result.output
    return result


def guardians(state: Path) -> dict[str, Object]:
    async def read() -> dict[str, Object]:
        async with await Store.open(str(state / "store.sqlite")) as store:
            found = await store.find_objects("a.com", "guardian")
            return {stored.object.id or "": stored.object for stored in found}

    return asyncio.run(read())


def listed() -> dict[str, Any]:
    rows = json.loads(run("guardian", "list", "--json").stdout)
    return {row["id"]: row for row in rows}


def journal(limit: int = 1) -> list[Any]:
    found: list[Any] = json.loads(run("journal", "--limit", limit, "--json").stdout)
    return found


def test_add(state: Path) -> None:
    done = run("guardian", "add", "A.com", "new", "--stdin", secret=SECRET)
    assert done.exit_code == 0, done.output
    assert done.stdout == "new.a.com: added to a.com, scheme argon2id\n"
    new = guardians(state)["new.a.com"]
    assert argon2_matches(SECRET, new.get("Guard-Info") or "")
    assert new.source == "admin"
    assert new.updated
    [entry] = journal()
    assert (entry["operation"], entry["source"]) == ("add", "admin")
    assert ["Guard-Info", "********"] in entry["after"]


@pytest.mark.parametrize("scheme", ["pw", "crypt-pw", "argon2id"])
def test_add_with_a_scheme(state: Path, scheme: str) -> None:
    done = run(
        *("guardian", "add", "a.com", "new.a.com", "--scheme", scheme, "--stdin"),
        *("--set", "private=true"),
        secret=SECRET,
    )
    assert done.exit_code == 0, done.output
    new = guardians(state)["new.a.com"]
    info = new.get("Guard-Info") or ""
    assert new.get("Guard-Scheme") == scheme
    assert new.private
    kept = {"pw": info == SECRET, "crypt-pw": crypt_matches(SECRET, info)}
    assert kept.get(scheme, argon2_matches(SECRET, info))


def test_a_hash_made_elsewhere_is_taken(state: Path) -> None:
    info = argon2_hash(SECRET)
    assert run("guardian", "add", "a.com", "new", "--stdin", secret=info).exit_code == 0
    assert guardians(state)["new.a.com"].get("Guard-Info") == info
    hostile = info.replace("m=19456", "m=4194304")
    done = run("guardian", "add", "a.com", "other", "--stdin", secret=hostile)
    assert done.exit_code == 1
    assert "parameters are out of bounds" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "secret", "status", "told"),
    [
        pytest.param(["b.com", "x"], SECRET, 1, "no such area", id="area"),
        pytest.param(["a.com", "g"], SECRET, 1, "there is an object with this ID", id="taken"),
        pytest.param(["a.com", "x", "--set", "Shoe=1"], SECRET, 1, "no attribute Shoe", id="name"),
        pytest.param(["a.com", "x", "--set", "Guard-Info=1"], SECRET, 2, "not set so", id="info"),
        pytest.param(["a.com", "x", "--set", "Private"], SECRET, 2, "NAME=VALUE", id="no value"),
        pytest.param(["a.com", "x"], "", 2, "at least one character", id="empty"),
        pytest.param(["a.com", "x"], " blank", 2, "no blanks around it", id="blank"),
        pytest.param(["a.com", "x"], "a\tb", 2, "no control ones", id="control character"),
    ],
)
def test_what_cannot_be_added(arguments: list[str], secret: str, status: int, told: str) -> None:
    done = run("guardian", "add", *arguments, "--stdin", secret=secret)
    assert done.exit_code == status
    assert told in done.stderr
    assert len(listed()) == 2


def test_without_a_terminal_the_secret_has_to_come_by_stdin() -> None:
    done = run("guardian", "passwd", "g.a.com", secret=SECRET)
    assert done.exit_code == 2
    assert "--stdin" in done.stderr


def test_the_secret_is_asked_for_twice(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append(options)
        return SECRET

    monkeypatch.setattr(module, "_has_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", prompt)
    assert run("guardian", "passwd", "g.a.com").exit_code == 0
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]
    assert argon2_matches(SECRET, guardians(state)["g.a.com"].get("Guard-Info") or "")


@pytest.mark.parametrize(
    ("object_id", "scheme", "kept"),
    [
        pytest.param("g.a.com", [], "argon2id", id="no longer in the clear"),
        pytest.param("G.A.COM", [], "argon2id", id="letter case"),
        pytest.param("c.a.com", [], "crypt-pw", id="as it was"),
        pytest.param("c.a.com", ["--scheme", "argon2id"], "argon2id", id="another"),
        pytest.param("c.a.com", ["--scheme", "pw"], "pw", id="clear, if it is wanted"),
    ],
)
def test_passwd(state: Path, object_id: str, scheme: list[str], kept: str) -> None:
    done = run("guardian", "passwd", object_id, "--stdin", *scheme, secret=SECRET)
    assert done.exit_code == 0, done.output
    assert "published from the zone's files" in done.stderr
    found = guardians(state)[object_id.lower()]
    assert found.get("Guard-Scheme") == kept
    assert journal()[0]["operation"] == "modify"


def test_a_new_secret_stays_when_the_files_are_loaded_again(state: Path, tmp_path: Path) -> None:
    run("guardian", "passwd", "g.a.com", "--stdin", secret=SECRET)
    assert "was changed by admin and is left so" in run("load", zone(tmp_path)).output
    assert argon2_matches(SECRET, guardians(state)["g.a.com"].get("Guard-Info") or "")


@pytest.mark.parametrize("object_id", ["nobody.a.com", "a.com"])
def test_passwd_of_nobody(object_id: str) -> None:
    done = run("guardian", "passwd", object_id, "--stdin", secret=SECRET)
    assert done.exit_code == 1
    assert "there is no guardian with this ID" in done.stderr


def test_migrate(state: Path) -> None:
    tried = run("guardian", "migrate", "--dry-run")
    assert "a.com: 1 secret would be hashed" in tried.stdout
    assert listed()["g.a.com"]["secret"] == "clear"
    done = run("guardian", "migrate", "--area", "a.com")
    assert done.exit_code == 0, done.output
    assert "a.com: 1 secret hashed" in done.stdout
    assert "g.a.com: published from the zone's files; the clear secret comes back" in done.stderr
    found = guardians(state)
    assert found["g.a.com"].get("Guard-Scheme") == "argon2id"
    assert argon2_matches("fjord-clear", found["g.a.com"].get("Guard-Info") or "")
    assert found["g.a.com"].source == "zone"
    assert found["c.a.com"].get("Guard-Info") == "ab2Vqm.AnTodk"
    assert json.loads(run("guardian", "migrate", "--json").stdout) == [
        {"area": "a.com", "hashed": 0, "ids": [], "journal": 0}
    ]


def test_migrate_leaves_no_secret_in_the_journal(state: Path) -> None:
    """Replay and undo go on as before: they see the hash of the same secret."""
    run("guardian", "add", "a.com", "old", "--scheme", "pw", "--stdin", secret=SECRET)
    assert run("delete", "old.a.com", "--yes").exit_code == 0
    assert {SECRET, "fjord-clear"} <= told(state)
    tried = json.loads(run("guardian", "migrate", "--dry-run", "--json").stdout)
    assert tried[0]["journal"] > 0
    assert {SECRET, "fjord-clear"} <= told(state)
    (done,) = json.loads(run("guardian", "migrate", "--json").stdout)
    assert done["journal"] > 0
    assert not {SECRET, "fjord-clear"} & told(state)
    assert asyncio.run(_replayed(state))
    (again,) = json.loads(run("guardian", "migrate", "--json").stdout)
    assert (again["hashed"], again["journal"]) == (0, 0)
    # The deletion is taken back: the guardian is satisfied by its secret.
    serial = next(e["serial"] for e in journal(20) if e["operation"] == "delete")
    assert run("undo", serial, "--yes").exit_code == 0
    assert argon2_matches(SECRET, guardians(state)["old.a.com"].get("Guard-Info") or "")
    assert asyncio.run(_replayed(state))


def told(state: Path) -> set[str]:
    """Every Guard-Info that the journal has ever told."""

    async def read() -> set[str]:
        async with await Store.open(str(state / "store.sqlite")) as store:
            sides = [side for e in await store.journal("a.com") for side in (e.before, e.after)]
            return {side.get("Guard-Info") or "" for side in sides if side}

    return asyncio.run(read())


async def _replayed(state: Path) -> bool:
    async with await Store.open(str(state / "store.sqlite")) as store:
        found = {one.row: one for one in await stored(store, "a.com")}
        return replay(await store.journal("a.com")) == found


def test_list() -> None:
    rows = listed()
    assert rows["g.a.com"] == {
        "id": "g.a.com",
        "area": "a.com",
        "guards_area": True,
        "scheme": "PASSWD",
        "secret": "clear",
        "source": "zone",
    }
    assert rows["c.a.com"]["secret"] == "hashed"
    table = run("guardian", "list", "--area", "a.com").stdout
    assert "g.a.com" in table
    assert run("guardian", "list", "--area", "b.com").exit_code == 1


@pytest.mark.parametrize(
    ("scheme", "info", "told"),
    [
        pytest.param("argon2id", "plain", "no argon2id hash", id="no hash"),
        pytest.param("crypt-pw", "*", "no crypt(3) hash", id="no crypt hash"),
        pytest.param("smoke", "x", "nobody knows the scheme", id="scheme"),
    ],
)
def test_guardians_that_nobody_can_satisfy_are_told(
    tmp_path: Path, scheme: str, info: str, told: str
) -> None:
    path = zone(tmp_path)
    (path / "guardian.txt").write_text(f"ID: g.a.com\nGuard-Scheme: {scheme}\nGuard-Info: {info}\n")
    run("load", path)
    assert told in listed()["g.a.com"]["secret"]
