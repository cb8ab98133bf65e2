"""Referrals as they are written: ``rwhois://host:port/auth-area=area`` (RFC 2167 §3.4)."""

import re
from dataclasses import dataclass
from typing import Final

from rwhoisd.directory.area import DEFAULT_PORT, HostPort

_URL: Final = re.compile(
    r"rwhois://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/(?P<path>.*))?\Z",
    re.IGNORECASE,
)
_WITHOUT_PORT: Final = re.compile(
    r"rwhois://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?=/|\Z)", re.IGNORECASE
)
_AREA_TAG: Final = "auth-area="


@dataclass(frozen=True, slots=True)
class Referral:
    """A pointer to a server for an area; ``area`` is empty when the text named none."""

    server: HostPort
    area: str = ""

    @classmethod
    def from_text(cls, text: str) -> "Referral":
        """Read an rwhois URL; a missing port is 4321 (R2.5-1).

        Raises: ValueError, when the text is no rwhois URL or the port is out of range.
        """
        match = _URL.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no rwhois://host:port/auth-area=area URL")
        port = int(match["port"] or DEFAULT_PORT)
        if not 0 < port < 65536:
            raise ValueError(f"{text!r}: port {port} is out of range")
        path = match["path"] or ""
        area = path[len(_AREA_TAG) :] if path.lower().startswith(_AREA_TAG) else ""
        return cls(HostPort(match["v6"] or match["host"], port), area.rstrip("/"))

    def to_text(self) -> str:
        """The URL; without an area only server and port."""
        return f"rwhois://{self.server}" + (f"/{_AREA_TAG}{self.area}" if self.area else "")


def link_text(value: str, area: str) -> str:
    """Text of the ``%referral`` line for a Referral value of the referred area ``area``.

    Trailing slashes go; a value that names no area gets the one that matched (B41). The value
    is otherwise shown as it was stored, even when it is no rwhois URL (arin-rwhoisd.md §9).
    """
    text = value.strip().rstrip("/")
    return text if _AREA_TAG in text.lower() else f"{text}/{_AREA_TAG}{area}"


def with_port(text: str) -> str:
    """``text`` with the default port, when it is an rwhois URL without one (R2.5-1)."""
    match = _WITHOUT_PORT.match(text)
    return f"{match[0]}:{DEFAULT_PORT}{text[match.end() :]}" if match else text


def punt_text(line: str) -> str | None:
    """Text of the ``%referral`` line for a line of the punt list; None for empty and comment."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    return text.rstrip("/")
