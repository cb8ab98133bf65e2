"""TLS of listeners: certificate and key become a context, and what is wrong a sentence.

The files are read by the user who serves, at the start and at each reload.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, Never

from rwhoisd.config import Config, TlsConfig

HANDSHAKE_SECONDS: Final = 10.0


class TlsError(Exception):
    """A certificate or key that cannot be used; the text names file and mend."""


class _EncryptedKeyError(Exception):
    """The key asks for a passphrase."""


def contexts(config: Config) -> tuple[ssl.SSLContext | None, ...]:
    """The context of each row of listen; None for a clear one. Raises: TlsError."""
    return tuple(context(row.tls, config.path) if row.tls else None for row in config.listen)


def context(row: TlsConfig, place: Callable[[Path], Path]) -> ssl.SSLContext:
    """What a server needs to speak TLS 1.2 or newer. Raises: TlsError."""
    certificate, key = place(row.certificate), place(row.key)
    for path in (certificate, key):
        _require_readable(path)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        made.load_cert_chain(certificate, key, password=_refuse)
    except _EncryptedKeyError:
        raise TlsError(
            f"{key}: the key is encrypted, and nobody can be asked for its passphrase;"
            " store it without one, readable by the server's user only"
        ) from None
    except ssl.SSLError as error:
        raise TlsError(_reason(certificate, key, error)) from None
    if row.client_ca is not None:
        _require_clients(made, place(row.client_ca))
    return made


def _require_clients(made: ssl.SSLContext, path: Path) -> None:
    """Let only clients in whose certificate one of these authorities signed."""
    _require_readable(path)
    try:
        made.load_verify_locations(path)
    except ssl.SSLError:
        raise TlsError(f"{path}: holds no certificate in PEM form") from None
    made.verify_mode = ssl.CERT_REQUIRED


def _require_readable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        mend = "it has to be readable by the user who serves"
        raise TlsError(f"{path}: cannot be read: {error.strerror}; {mend}") from None


def _refuse() -> Never:
    raise _EncryptedKeyError


def _reason(certificate: Path, key: Path, error: ssl.SSLError) -> str:
    """What is wrong with the pair of files."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key}: is not the key of the certificate in {certificate}"
    for path, what in ((certificate, "CERTIFICATE"), (key, "PRIVATE KEY")):
        if f"{what}-----".encode() not in path.read_bytes():
            return f"{path}: holds no {what.lower()} in PEM form"
    return f"{certificate}, {key}: cannot be used: {error.reason or error}"
