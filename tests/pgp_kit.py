"""Keyrings made by gpg itself: a client's, and the operator's with the public keys of clients."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60.0


@dataclass(frozen=True)
class Ring:
    """A GNUPGHOME of its own."""

    home: Path

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        """What gpg prints. Raises: CalledProcessError."""
        return subprocess.run(
            [
                *("gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--quiet"),
                *("--trust-model", "always", "--pinentry-mode", "loopback"),
                *arguments,
            ],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
        ).stdout

    def make_key(
        self, name: str, *options: str, expires: str = "never", encrypts: bool = False
    ) -> str:
        """A key without passphrase; its fingerprint. ``encrypts`` gives it a subkey for that."""
        how = (*options, "--passphrase", "", "--quick-gen-key")
        self.gpg(*how, f"{name}@a.com", "ed25519", "sign", expires)
        fingerprint = self.fingerprints(f"{name}@a.com")[0]
        if encrypts:
            self.gpg("--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encr")
        return fingerprint

    def fingerprints(self, name: str) -> list[str]:
        """Of a key and its subkeys."""
        rows = self.gpg("--with-colons", "--list-keys", name).decode().splitlines()
        return [row.split(":")[9] for row in rows if row.startswith("fpr:")]

    def sign(self, text: str, key: str, *options: str, clear: bool = True) -> list[str]:
        """The lines of a signed block."""
        how = "--clearsign" if clear else "--sign"
        made = self.gpg("--local-user", key, *options, "--armor", how, data=text.encode("latin-1"))
        return made.decode("latin-1").splitlines()

    def encrypt(self, text: str, to: str, *options: str) -> list[str]:
        """The lines of an encrypted block."""
        made = self.gpg(*options, "--armor", "-r", to, "--encrypt", data=text.encode("latin-1"))
        return made.decode("latin-1").splitlines()

    def read(self, lines: list[str]) -> str:
        """What is in a block; its signature is checked."""
        text = "\n".join(lines) + "\n"
        return self.gpg("--decrypt", data=text.encode("latin-1")).decode("latin-1")

    def give(self, key: str, other: "Ring", *, secret: bool = False) -> None:
        """Put a key into another ring."""
        what = "--export-secret-keys" if secret else "--export"
        other.gpg("--passphrase", "", "--import", data=self.gpg("--passphrase", "", what, key))


@contextmanager
def ring() -> Iterator[Ring]:
    """A new keyring; its agent is ended at the end. Its path is short, as that of a socket is."""
    home = Path(tempfile.mkdtemp(prefix="g"))
    made = Ring(home)
    try:
        made.gpg("--trust-model", "pgp", "--check-trustdb")  # makes the file that some imports want
        yield made
    finally:
        stop_agent(home)
        shutil.rmtree(home, ignore_errors=True)


def stop_agent(home: Path) -> None:
    """End the agent that gpg started for a keyring."""
    subprocess.run(
        ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"],
        capture_output=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ},
    )


def block(lines: list[str]) -> list[str]:
    """The lines of the only PGP block among these."""
    starts = [i for i, line in enumerate(lines) if line.startswith("-----BEGIN PGP ")]
    ends = [i for i, line in enumerate(lines) if line.startswith("-----END PGP ")]
    return lines[starts[0] : ends[-1] + 1]
