"""From the files of a platform to what ``whois`` prints, and kept true by ``watch``."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wire.process import START_SECONDS, STOP_SECONDS, Process, running, until

DATA = Path(__file__).parents[2] / "data"
_ADMIN = (sys.executable, "-c", "from rwhoisd.admin.cli import main; main()")


class Site:
    """A copy of the sample zones and platform, with a state of its own beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(DATA, folder / "data")
        self.state = folder / "state"
        self.platform = folder / "data" / "platform"
        self.inventory = self.platform / "inventory.toml"
        self.keepalived = self.platform / "lb1" / "etc" / "keepalived" / "keepalived.conf"

    def admin(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_ADMIN, *map(str, arguments), "--state", str(self.state)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def edit(self, path: Path, old: str, new: str) -> None:
        """As an editor saves: a new file takes the place of the old one."""
        text = path.read_text()
        assert old in text
        other = path.with_name(f".{path.name}.new")
        other.write_text(text.replace(old, new))
        other.replace(path)

    @contextmanager
    def server(self) -> Iterator[Process]:
        config = str(self.folder / "data" / "rwhoisd.toml")
        arguments = ("--listen", "127.0.0.1:0", "--workers", "1")
        with running(self.folder, "--config", config, *arguments) as server:
            yield server

    @contextmanager
    def watching(self) -> Iterator["Watching"]:
        output = self.folder / "watch.out"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                [*_ADMIN, "inventory", "watch", str(self.inventory), "--state", str(self.state)],
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
            )
        watch = Watching(process, output)
        try:
            until(lambda: watch.applies() > 0 or process.poll() is not None, START_SECONDS)
            yield watch
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Watching:
    """``inventory watch`` as a process."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    def log(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def applies(self) -> int:
        """How often it went through all sources: the last one of them is told then."""
        return self.log().count(" source names: ")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    loaded = made.admin("load", made.folder / "data")
    assert loaded.returncode == 0, loaded.stderr
    return made


def whois(port: int, query: str) -> str:
    """What a person sees: of the whois of the system, where there is one."""
    program = shutil.which("whois")
    if program is None:
        with socket.create_connection(("127.0.0.1", port), timeout=STOP_SECONDS) as client:
            client.sendall(query.encode() + b"\r\n")
            return client.makefile("rb").read().decode()
    done = subprocess.run(
        [program, "-h", "127.0.0.1", "-p", str(port), query],
        capture_output=True, text=True, timeout=STOP_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout


def test_from_the_files_of_a_platform_to_whois(site: Site) -> None:
    applied = site.admin("inventory", "apply", site.inventory)
    assert (applied.returncode, applied.stderr) == (0, "")
    with site.server() as server:
        answer = whois(server.port, "203.0.113.80")
        for line in (
            "vip:IP-Address:203.0.113.80",
            "vip:Service:443/tcp",
            "vip:Forwarding:DSR",
            "vip:Served-By;I:RIP-10-20-0-11.inside.example.net",
            "vip:Served-By;I:RIP-10-20-0-12.inside.example.net",
            "vip:Organization;I:",
            "vip:Abuse-Contact;I:",
            "vip:Source:edge",
            "vip:Auth-Area:platform.example.net",
            "network:IP-Network:203.0.113.",
        ):
            assert line in answer, (line, answer)
        behind = whois(server.port, "10.20.0.11")
        assert "real-server:Serves;I:VIP-203-0-113-80.inside.example.net" in behind
        assert "real-server:Abuse-Contact;I:ABUSE-1.example.net" in behind
        assert "real-server:Host-Name:web1" in behind
        storage = whois(server.port, "10.30.0.21")
        assert "storage-node:Drives:2" in storage
        assert "database-node:Role:" in whois(server.port, "10.40.0.31")


def test_an_apply_beside_a_running_server_is_answered(site: Site) -> None:
    with site.server() as server:
        assert "vip:" not in whois(server.port, "203.0.113.80")
        assert site.admin("inventory", "apply", site.inventory).returncode == 0
        until(lambda: "vip:Service:443/tcp" in whois(server.port, "203.0.113.80"))


def test_watch_keeps_the_answers_true(site: Site) -> None:
    site.edit(site.inventory, "release-days = 30 ", "interval-seconds = 3600\nrelease-days = 30 ")
    with site.server() as server, site.watching() as watch:
        until(lambda: "vip:Service:443/tcp" in whois(server.port, "203.0.113.80"))
        assert "vip:" not in whois(server.port, "203.0.113.81")
        for name in ("lb1", "lb2"):
            path = site.platform / name / "etc" / "keepalived" / "keepalived.conf"
            old = "        203.0.113.80/24 dev"
            site.edit(path, old, f"        203.0.113.81/24 dev eth0\n{old}")
        until(lambda: "vip:IP-Address:203.0.113.81" in whois(server.port, "203.0.113.81"))
        assert "source edge: " in watch.log()
        assert " old" in watch.log()
        assert watch.stop() == 0
        assert "stopped" in watch.log()
        assert "Traceback" not in watch.log()


def test_a_broken_file_keeps_the_records_and_the_watch(site: Site) -> None:
    site.edit(site.inventory, "release-days = 30 ", "interval-seconds = 3600\nrelease-days = 30 ")
    tree = site.platform / "storage" / "osd-tree.json"
    with site.server() as server, site.watching() as watch:
        until(lambda: "storage-node:Status:active" in whois(server.port, "10.30.0.21"))
        good = tree.read_text()
        tree.write_text(good[:200])
        until(lambda: "source ceph: " in watch.log() and "stay as they are" in watch.log())
        assert "storage-node:Status:active" in whois(server.port, "10.30.0.21")
        tree.write_text(good.replace("[4, 5]", "[4]"))
        until(lambda: "storage-node:Drives:1" in whois(server.port, "10.30.0.23"))
        inventory = site.inventory.read_text()
        site.inventory.write_text("[[source]\n")
        until(lambda: "going on with the inventory as it was" in watch.log())
        site.inventory.write_text(inventory)
        seen = watch.applies()
        until(lambda: watch.applies() > seen)
        assert "storage-node:Status:active" in whois(server.port, "10.30.0.21")
        assert watch.stop(signal.SIGINT) == 0
        assert "Traceback" not in watch.log()


def test_a_state_beside_the_inventory_does_not_make_it_go_round(site: Site) -> None:
    """What an apply writes is no change of a source."""
    site.edit(site.inventory, "release-days = 30 ", "interval-seconds = 3600\nrelease-days = 30 ")
    state = site.platform / "state"
    site.state.rename(state)
    site.state = state
    with site.watching() as watch:
        # A change is noticed, so the watch does look; and what it wrote before was not one.
        for number in range(1, 4):
            os.utime(site.platform / "hosts")
            until(lambda: watch.applies() > number)  # noqa: B023
            assert watch.applies() == number + 1
        assert watch.stop() == 0
    assert watch.applies() == 4


def test_hang_up_applies_at_once(site: Site) -> None:
    site.edit(site.inventory, "release-days = 30 ", "interval-seconds = 3600\nrelease-days = 30 ")
    with site.watching() as watch:
        watch.process.send_signal(signal.SIGHUP)
        until(lambda: watch.applies() > 1)
        assert watch.stop() == 0


def test_the_interval_applies_without_a_change(site: Site) -> None:
    site.edit(site.inventory, "release-days = 30 ", "interval-seconds = 0.3\nrelease-days = 30 ")
    with site.watching() as watch:
        until(lambda: watch.applies() > 3)
        assert watch.stop() == 0


def test_a_wrong_inventory_ends_the_watch_at_the_start(site: Site) -> None:
    site.inventory.write_text("[[source]\n")
    with site.watching() as watch:
        assert watch.process.wait(STOP_SECONDS) == 1
        assert f"{site.inventory}:1: error: is no TOML" in watch.log()
        assert "Traceback" not in watch.log()
