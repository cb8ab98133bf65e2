"""An authority area: a name in a hierarchy, its SOA, its classes, who guards it (§2.4)."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final, Literal

from rwhoisd.directory.access import audience_from_texts
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.soa import Soa

DEFAULT_PORT: Final = 4321  # IANA, §3.5.1

_HOST_PORT: Final = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<bare>[^\s\[\]:]*:[^\s\[\]:]*:[^\s\[\]]*)|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?\Z"
)


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where a server listens; ``host`` is a name or a literal address without brackets."""

    host: str
    port: int = DEFAULT_PORT

    @classmethod
    def from_text(cls, text: str) -> "HostPort":
        """Read ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address.

        Raises: ValueError that says what is wrong.
        """
        match = _HOST_PORT.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no host, host:port or [IPv6 address]:port")
        literal = match["v6"] or match["bare"]
        if literal:
            IPv6Address(literal)  # raises ValueError that names it
        port = int(match["port"] or DEFAULT_PORT)
        if not 0 < port < 65536:
            raise ValueError(f"{text!r}: port {port} is out of range")
        return cls(literal or match["host"], port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class AuthorityArea:
    """Everything about an area but its objects.

    ``soa`` is None for a slave area that was never synchronised. ``charset`` is the encoding
    in which the area's text goes over the wire. ``position`` is its place in the server's
    list of areas, which is the order of answers. ``audience`` are the prefixes of those to whom
    the area is answered, everybody when there is none: for all others it does not exist
    (docs/adr/0007-area-audience.md). ``privacy`` is the profile of objects whose class has none,
    ``operator`` who stands in for a private customer, and ``internal_to`` are the prefixes that
    objects with the profile ``internal`` are answered to (docs/adr/0008-privacy-profiles.md).
    """

    name: AreaName
    soa: Soa | None
    schema: Schema = field(default_factory=Schema)
    role: Literal["master", "slave"] = "master"
    guardians: tuple[str, ...] = ()  # IDs of guardian objects of the whole area (R2.3.6-4)
    masters: tuple[HostPort, ...] = ()
    slaves: tuple[HostPort, ...] = ()
    transfer_arguments: str = ""
    charset: str = "utf-8"
    position: int = 0
    audience: tuple[str, ...] = ()  # canonical, see access.audience_from_texts
    privacy: Literal["", "public", "residential", "internal"] = ""
    operator: str = ""  # its name, for "Private Customer - NAME"
    internal_to: tuple[str, ...] = ()  # canonical as well

    def __post_init__(self) -> None:
        for networks in (self.audience, self.internal_to):
            if networks and networks != audience_from_texts(networks):
                raise ValueError(f"audience {networks} is not written canonically")
        if self.operator != self.operator.strip() or not self.operator.isprintable():
            raise ValueError(f"operator {self.operator!r}: write a name on one line")
        try:
            self.operator.encode(self.charset)
        except UnicodeEncodeError as error:
            raise ValueError(
                f"operator {self.operator!r} does not exist in charset {self.charset}"
            ) from error
