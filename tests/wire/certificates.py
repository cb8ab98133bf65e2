"""Certificates of an authority of our own, as files."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass
class Authority:
    """An authority and its files below ``folder``."""

    folder: Path
    ca: trustme.CA

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """A new one, whose certificate is in ``ca.pem``."""
        folder.mkdir(exist_ok=True)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        return cls(folder, ca)

    def issue(self, name: str, identity: str = "127.0.0.1") -> tuple[Path, Path]:
        """A new certificate, ``NAME.pem`` and ``NAME.key``."""
        issued = self.ca.issue_cert(identity)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return chain, key

    def client(self, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
        """What a client needs to trust it, with a certificate and key of its own if it has."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if certificate:
            context.load_cert_chain(certificate, key)
        return context
