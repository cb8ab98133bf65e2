"""PGP with the whole server, set up as the page says; no secret of any scheme is in a log."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rwhoisd.service.hashing import argon2_hash
from tests.cli.test_readme import ROOT
from tests.pgp_kit import Ring, block, ring
from tests.wire.process import PATIENCE_SECONDS, Process, command, read_all, running, until

PAGE = (ROOT / "docs" / "operators" / "security.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg here")


def as_the_page_says(folder: Path, home: Path, alice: str) -> None:
    """Run its commands, for other folders and another key."""
    commands = re.search(r"^## PGP\n.*?^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert commands is not None
    text = commands[1].replace("/var/lib/rwhoisd/pgp", str(home))
    text = text.replace("FINGERPRINT OF ALICE", alice)
    bin_path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": bin_path, "RWHOISD_STATE": str(folder / "state")}
    subprocess.run(["bash", "-euc", text], cwd=folder, env=environment, check=True, timeout=120)


def zone(folder: Path) -> None:
    (folder / "zone").mkdir()
    (folder / "zone" / "zone.toml").write_text(
        'name = "example.net"\nclasses = ["organization", "guardian"]\n'
        '[soa]\nprimary-server = "h.example.net:4321"\nhostmaster = "h@example.net"\n'
    )
    (folder / "zone" / "organization.txt").write_text(
        "ID: o.example.net\nOrg-Name: Hidden\nPrivate: true\nGuardian: alice.example.net\n\n"
        "ID: p.example.net\nOrg-Name: Passworded\nPrivate: true\nGuardian: pw.example.net\n"
    )
    (folder / "zone" / "guardian.txt").write_text(
        f"ID: pw.example.net\nGuard-Scheme: argon2id\nGuard-Info: {argon2_hash('fjord-one')}\n"
    )


CONFIG = """\
compat = "rfc"
zones = ["zone"]
workers = 2
[limits]
exempt = []
[pgp]
home = "{home}"
signing_key = "{key}"
[log]
queries = "queries.log"
level = "debug"
[[listen]]
host = "127.0.0.1"
port = 0
"""


@contextmanager
def served(folder: Path) -> Iterator[tuple[Process, Ring, str]]:
    zone(folder)
    with ring() as client, ring() as operator:
        alice = client.make_key("alice", encrypts=True)
        (folder / "alice.asc").write_bytes(client.gpg("--armor", "--export", alice))
        config = folder / "rwhoisd.toml"
        config.write_text(CONFIG.format(home=operator.home, key=""))
        # the store is there from the first start on
        with running(folder, "--config", str(config)) as first:
            assert first.stop() == 0
        as_the_page_says(folder, operator.home, alice)
        server = operator.fingerprints("rwhois.example.net")[0]
        operator.give(server, client)
        config.write_text(CONFIG.format(home=operator.home, key=server))
        done = command("check-config", "--config", str(config))
        assert done.returncode == 0, done.stderr
        with running(folder, "--config", str(config)) as process:
            yield process, client, alice


def sent(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("-holdconnect on", *lines, "-quit")).encode()


def test_a_server_with_pgp(tmp_path: Path) -> None:
    on = "-security on request pgp signed"
    with served(tmp_path) as (server, client, alice):
        signed = client.sign("o.example.net\n", alice)
        said = server.ask(sent(on, *signed, "o.example.net"))
        assert said.count(b"organization:Org-Name:Hidden\r\n") == 1
        # by whichever worker, it counts once
        answers = [server.ask(sent(on, *signed)) for _ in range(6)]
        assert all(b"%error 353 Authentication failed: it came before\r\n" in a for a in answers)

        encrypt = f"-security on response pgp signed-encrypt {alice}"
        lines = server.ask(sent(encrypt, "-soa example.net", "-status")).decode().split("\r\n")
        first = lines[: next(i for i, x in enumerate(lines) if x.startswith("-----END")) + 1]
        assert "%soa authority:example.net" in client.read(block(first))

        register = (
            *("-register on add h@example.net", "Auth-Area: example.net"),
            *("Class-Name: organization", "Org-Name: Very-Secret-Name", "-register off"),
        )
        wire = sent(on, *client.sign("\n".join(register) + "\n", alice, clear=False))
        assert b"%register ID:" in server.ask(wire)

        # every scheme, well said and misspelt; each secret is a word of its own
        words = ("pw fjord-one", "crypt-pw fjord-two", "argon2id fjord-three")
        for number, offer in enumerate(words):
            server.ask(sent(f"-security on request {offer}", "p.example.net"))
            for typo in ("-securty on", "security on", "--security on", "-security onn", "-s on"):
                for before in ("", "request ", "requst "):
                    server.ask(sent(f"{typo} {before}{offer}-typo{number}"))
        server.ask(sent("-security:on:request:pw:fjord-colon", "-security-fjord-dash on"))
        server.ask(sent("Guard-Info: fjord-line", "guardian Guard-Info=fjord-term"))
        server.ask(sent("-register on add h@example.net", "Guard-Info: fjord-spool", "-quit"))
        # payloads that were not asked for, are torn, or never end
        payload = client.sign("fjord-payload.example.net\n", alice)
        server.ask(sent(*payload))
        server.ask(sent(on, *payload))
        server.ask(sent(on, *[line.replace("payload", "changed") for line in payload]))
        assert _until_its_end(server, sent(on, *payload[:-1])).count(b"\r\n") == 3
        server.ask(sent("-register on add h@example.net", *payload, "-register off"))
        state = json.loads(until(lambda: _counters(tmp_path)))
        assert state["failed"] > 0
        log = until(lambda: _logged(tmp_path))
        assert server.stop() == 0
        log += server.log()
    assert 'query="-security"' in log
    assert "(PGP payload)" in log
    secrets = re.findall(r".*(?:fjord|Very-Secret|BEGIN PGP|END PGP).*", log)
    assert secrets == []
    for line in payload[6:-2]:  # of the signature
        assert line not in log
    assert "Traceback" not in log
    assert re.search(r" counted: .*failed=[1-9]", log)


def _until_its_end(server: Process, data: bytes) -> bytes:
    """What comes back for ``data``, behind which the client ends its side."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


def _counters(folder: Path) -> str:
    """The file of counters, once it has a failure."""
    text = (folder / "state" / "counters.json").read_text("ascii")
    return text if json.loads(text)["failed"] else ""


def _logged(folder: Path) -> str:
    """The query log, once the last request is there."""
    text = (folder / "queries.log").read_text("utf-8")
    return text if text.count("(PGP payload)") >= 9 else ""


def test_keyrings_that_cannot_be_used(tmp_path: Path) -> None:
    zone(tmp_path)
    config = tmp_path / "rwhoisd.toml"
    for home, key, told in (
        (tmp_path / "none", "", "no folder that this user can write"),
        (tmp_path, "12345678", "is no fingerprint"),
    ):
        config.write_text(CONFIG.format(home=home, key=key))
        for verb in (("check-config",), ("serve", "--state", str(tmp_path / "state"))):
            done = command(*verb, "--config", str(config))
            assert done.returncode == 1
            assert told in done.stderr
