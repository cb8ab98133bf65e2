"""``rwhois-admin inventory``: run in-process on the sample platform."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rwhoisd.admin.cli import app

DATA = Path(__file__).parents[2] / "data"
VERBS = ("kinds", "scan", "plan", "apply", "audit", "watch")
SECRETS = ("n0t-to-be-seen", "pl4tf0rm", "replicant")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWHOISD_STATE", str(tmp_path / "state"))


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "platform", tmp_path / "platform")


@pytest.fixture
def inventory(platform: Path) -> Path:
    """The sample inventory over the loaded sample zones."""
    assert run("load", DATA).exit_code == 0
    return platform / "inventory.toml"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert not any(secret in result.output for secret in SECRETS)
    return result


def parsed(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --- help ---


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = run("inventory", verb, "--help")
    assert result.exit_code == 0
    assert f"Example: rwhois-admin inventory {verb}" in " ".join(result.stdout.split())


def test_kinds() -> None:
    table = run("inventory", "kinds")
    assert table.exit_code == 0
    rows = parsed("inventory", "kinds")
    kinds = [row["kind"] for row in rows]
    assert kinds == sorted(kinds)
    assert {"keepalived", "ceph", "netbox-api"} <= set(kinds)
    assert all(row["summary"] for row in rows)
    assert all(row["kind"] in table.stdout for row in rows)


# --- scan ---


def test_scan_prints_the_facts_of_a_file(platform: Path) -> None:
    path = platform / "lb1" / "etc" / "keepalived" / "keepalived.conf"
    rows = parsed("inventory", "scan", "--kind", "keepalived", path)
    assert {
        "kind": "rip", "address": "10.20.0.11", "port": 443, "protocol": "tcp",
        "belongs_to": "192.0.2.35:443/tcp",
    } in rows  # fmt: skip
    assert {row["address"] for row in rows if row["kind"] == "vip"} == {
        "192.0.2.35", "203.0.113.80", "2001:db8:0:1::35",
    }  # fmt: skip
    text = run("inventory", "scan", "--kind", "keepalived", path)
    assert text.exit_code == 0
    assert "203.0.113.80" in text.stdout


def test_scan_of_folders_and_several_files(platform: Path) -> None:
    one = parsed("inventory", "scan", "--kind", "keepalived", platform)
    both = parsed("inventory", "scan", "--kind", "keepalived", platform / "lb1", platform / "lb2")
    assert one == both


def test_scan_of_what_cannot_be_read_is_told_and_prints_what_could(platform: Path) -> None:
    good = platform / "hosts"
    result = run("inventory", "scan", "--kind", "hosts", "--json", good, platform / "nothing")
    assert result.exit_code == 1
    assert f"{platform}/nothing: error: cannot be read: No such file" in result.stderr
    assert len(json.loads(result.stdout)) >= 7


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--kind", "nothing", "f"), 1, "kind 'nothing': error: is not known; known are"),
        (("--kind", "hosts"), 2, "kind hosts reads files; name some, or a folder of them"),
        (("--kind", "hosts", "--set", "x", "f"), 2, "--set x: write NAME=VALUE"),
        (("f",), 2, "--kind"),
        (("--kind", "netbox-api"), 1, "url"),
    ],
)
def test_scan_misused(arguments: tuple[str, ...], status: int, told: str) -> None:
    result = run("inventory", "scan", *arguments)
    assert result.exit_code == status
    assert told in result.stderr


# --- plan and apply ---


def test_plan_shows_what_apply_does_and_a_second_apply_does_nothing(inventory: Path) -> None:
    planned = run("inventory", "plan", inventory)
    assert planned.exit_code == 0
    assert "inside.example.net: 13 added, 0 changed, 0 released, 0 removed" in planned.stdout
    assert "platform.example.net: 3 added, 0 changed" in planned.stdout
    assert [row["area"] for row in parsed("soa")].count("inside.example.net") == 0
    applied = run("inventory", "apply", inventory)
    assert (applied.exit_code, applied.stdout) == (0, planned.stdout)
    before = parsed("soa")
    again = run("inventory", "apply", inventory)
    assert again.exit_code == 0
    assert (
        "inside.example.net: 0 added, 0 changed, 0 released, 0 removed, 0 conflicts, 0 held,"
        in (again.stdout)
    )
    assert parsed("soa") == before


def test_plan_as_json(inventory: Path) -> None:
    rows = parsed("inventory", "plan", inventory)
    (area,) = [row for row in rows["areas"] if row["area"] == "platform.example.net"]
    assert [step["name"] for step in area["added"]] == [
        "VIP-192-0-2-35.platform.example.net",
        "VIP-203-0-113-80.platform.example.net",
        "VIP-2001-db8-0-1--35.platform.example.net",
    ]
    lines = area["added"][1]["plus"]
    assert "Service: 443/tcp" in lines
    assert "Forwarding: DSR" in lines
    assert [source["name"] for source in rows["sources"]] == [
        "edge", "machines", "ceph", "databases", "names",
    ]  # fmt: skip
    assert all(source["held"] == "" for source in rows["sources"])
    applied = parsed("inventory", "apply", inventory)
    assert applied["areas"] == rows["areas"]
    assert [row["unchanged"] for row in parsed("inventory", "plan", inventory)["areas"]] == [3, 13]


def test_the_answer_to_what_an_address_is(inventory: Path) -> None:
    assert run("inventory", "apply", inventory).exit_code == 0
    shown = run("show", "VIP-203-0-113-80.inside.example.net").stdout
    for line in (
        "IP-Address: 203.0.113.80", "Service: 443/tcp", "Forwarding: DSR",
        "RIP-10-20-0-11.inside.example.net", "Organization: ", "Abuse-Contact: ", "Source: edge",
    ):  # fmt: skip
        assert line in shown
    public = run("show", "VIP-203-0-113-80.platform.example.net").stdout
    assert "10.20" not in public
    assert "10-20" not in public


def test_plan_warns_of_what_would_become_public(inventory: Path) -> None:
    edit(
        inventory,
        'kinds = ["vip"]\nprimary-server',
        'networks = ["10.40.0.0/24"]\nkinds = ["vip"]\nprimary-server',
    )
    result = run("inventory", "plan", inventory)
    assert "vip 10.40.0.100 is private and becomes public in area platform.example.net" in (
        result.stderr
    )


def test_a_source_that_fails_is_told_and_keeps_its_records(inventory: Path) -> None:
    run("inventory", "apply", inventory)
    (inventory.parent / "storage" / "osd-tree.json").write_text('{"nodes": [')
    edit(inventory.parent / "database" / "mmm_common.conf", "10.40.0.100", "10.40.0.101")
    result = run("inventory", "apply", inventory)
    assert result.exit_code == 1
    assert "source ceph could not be read: " in result.stderr
    assert "osd-tree.json" in result.stderr
    assert "its records stay as they are" in result.stderr
    assert "Status: active" in run("show", "SN-ceph1.inside.example.net").stdout
    assert "Status: released" in run("show", "VIP-10-40-0-100.inside.example.net").stdout
    assert run("show", "VIP-10-40-0-101.inside.example.net").exit_code == 0


def test_how_much_may_go_is_an_option(inventory: Path) -> None:
    run("inventory", "apply", inventory)
    (inventory.parent / "storage" / "osd-tree.json").write_text('{"nodes": [], "stray": []}')
    refused = run("inventory", "apply", inventory)
    assert refused.exit_code == 1
    assert "source ceph gave no facts, and has 3 records" in refused.stderr
    assert "--max-removals 1" in refused.stderr
    allowed = run("inventory", "apply", "--max-removals", "1", inventory)
    assert (allowed.exit_code, "3 released" in allowed.stdout) == (0, True)
    assert run("inventory", "apply", "--max-removals", "2", inventory).exit_code == 2


def test_retire(inventory: Path) -> None:
    run("inventory", "apply", inventory)
    text = inventory.read_text()
    start = text.index('[[source]]\nname = "ceph"')
    inventory.write_text(text[:start] + text[text.index("[[source]]", start + 1) :])
    for name in ("zone", "edge", "nobody"):
        assert run("inventory", "apply", "--retire", name, inventory).exit_code == 1
    assert "3 released" in run("inventory", "apply", "--retire", "ceph", inventory).stdout
    assert run("inventory", "plan", inventory).exit_code == 0


def test_one_source_alone(inventory: Path) -> None:
    result = run("inventory", "apply", "--source", "edge", inventory)
    assert result.exit_code == 0
    assert "storage-node" not in result.stdout
    wrong = run("inventory", "apply", "--source", "nothing", inventory)
    assert wrong.exit_code == 1
    assert "has no source 'nothing'; it has" in wrong.stderr


@pytest.mark.parametrize("verb", ["plan", "apply", "audit", "watch"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[source]\n", ":1: error: is no TOML"),
        ("", "has no [[source]]"),
        ('[[source]]\nname = "a"\nkind = "x"\nfiles = ["f"]\n', ":3: error: source.0.kind: 'x'"),
    ],
)
def test_a_wrong_inventory_is_told_with_its_line(
    tmp_path: Path, verb: str, text: str, told: str
) -> None:
    path = tmp_path / "inventory.toml"
    path.write_text(text)
    result = run("inventory", verb, path)
    assert result.exit_code == 1
    assert f"{path}{told}" in result.stderr or told in result.stderr
    assert run("inventory", verb, tmp_path / "nothing.toml").exit_code == 1
    assert run("inventory", verb).exit_code == 2


# --- audit and status ---


def test_audit(inventory: Path) -> None:
    run("inventory", "apply", inventory)
    good = run("inventory", "audit", inventory)
    assert (good.exit_code, good.stdout) == (0, "0 findings of 11 checks\n")
    assert parsed("inventory", "audit", inventory) == []
    sysctl = inventory.parent / "machines" / "web1" / "etc" / "sysctl.d" / "60-dsr.conf"
    edit(sysctl, "all.arp_ignore", "lo.arp_ignore")
    bad = run("inventory", "audit", "--json", inventory)
    assert bad.exit_code == 1
    (row,) = json.loads(bad.stdout)
    assert (row["check"], row["subject"]) == ("dsr-arp", "10.20.0.11")
    assert row["message"].startswith("arp_ignore is not set; set net.ipv4.conf.all.arp_ignore = 1")
    table = run("inventory", "audit", inventory)
    assert table.exit_code == 1
    assert "1 findings of 11 checks" in table.stdout


def test_status_tells_the_age_of_every_source(inventory: Path) -> None:
    assert parsed("status")["inventory"] == []
    run("inventory", "apply", inventory)
    rows = parsed("status")["inventory"]
    assert [row["source"] for row in rows] == ["ceph", "databases", "edge", "machines", "names"]
    assert all(row["age"].endswith(" old") and row["facts"] for row in rows)
    (inventory.parent / "hosts").unlink()
    run("inventory", "apply", inventory)
    rows = parsed("status")["inventory"]
    assert rows[-1]["held"].startswith("could not be read: ")
    assert rows[-1]["facts"]
    text = run("status").stdout
    assert "could not be read" in " ".join(text.split())
    assert text.count(" old") >= 5
