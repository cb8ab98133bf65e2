"""The payload of ``-security``: a PGP block, kept as it came (RFC 2167 §3.3.11, N13, N28)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from rwhoisd.directory.guardian import Credentials

# First line of a block → its last.
BLOCKS: Final = {
    b"-----BEGIN PGP MESSAGE-----": b"-----END PGP MESSAGE-----",
    b"-----BEGIN PGP SIGNED MESSAGE-----": b"-----END PGP SIGNATURE-----",
}


class Treatment(StrEnum):
    """What was done to a payload, in the RFC's words."""

    SIGNED = "signed"
    ENCRYPT = "encrypt"
    SIGNED_ENCRYPT = "signed-encrypt"

    @property
    def signs(self) -> bool:
        """Whether it has a signature."""
        return self is not Treatment.ENCRYPT

    @property
    def encrypts(self) -> bool:
        """Whether only the holder of a key can read it."""
        return self is not Treatment.SIGNED


class Sealing(NamedTuple):
    """How responses go out; ``key`` is the fingerprint they are encrypted for, "" when not."""

    treatment: Treatment
    key: str = ""


class Opened(NamedTuple):
    """What a payload held: input in place of the block, and the proof for it alone."""

    content: bytes
    credentials: Credentials | None


@dataclass(slots=True)
class Payload:
    """A block under way. Nothing comes of it unless its last line comes."""

    first: bytes
    max_octets: int
    octets: int = 0
    pieces: list[bytes] = field(default_factory=list)
    _fresh: bool = True  # at the beginning of a line

    def __post_init__(self) -> None:
        self._keep(self.first + b"\n")

    @property
    def refused(self) -> bool:
        """Whether it is too long; nothing of it is kept then."""
        return self.octets > self.max_octets

    def add(self, piece: bytes, *, ended: bool) -> bool:
        """Take a line, or a piece of a long one; True when it was the block's last.

        ``ended``: the piece reaches to the end of its line.
        """
        last = self._fresh and ended and piece.strip() == BLOCKS[self.first]
        self._fresh = ended
        self._keep(piece)
        return last

    def _keep(self, piece: bytes) -> None:
        self.octets += len(piece)
        if self.refused:
            self.pieces.clear()
        else:
            self.pieces.append(piece)
