"""An authority area: a name in a hierarchy, its SOA, its classes, who guards it (§2.4)."""

from dataclasses import dataclass, field
from typing import Literal

from rwhoisd.directory.names import AreaName
from rwhoisd.directory.schema import Schema
from rwhoisd.directory.soa import Soa


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where a server listens; ``host`` is a name or a literal address without brackets."""

    host: str
    port: int = 4321

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class AuthorityArea:
    """Everything about an area but its objects.

    ``soa`` is None for a slave area that was never synchronised. ``charset`` is the encoding
    in which the area's text goes over the wire. ``position`` is its place in the server's
    list of areas, which is the order of answers.
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
