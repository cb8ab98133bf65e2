"""What an operator decides about the service: one frozen object, made at the edge."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rwhoisd.directory.dialect import RFC, Dialect
from rwhoisd.protocol.directives import NAMES, Directive
from rwhoisd.protocol.session import SessionLimits
from rwhoisd.query.parser import Allowed

# (name, address of the client) -> whether the client may. The name is that of a directive, as
# the table spells it (B6), or the key of an authority area.
Rule = Callable[[str, str], bool]


def everybody(name: str, address: str) -> bool:
    """The rule that lets everybody in."""
    del name, address
    return True


@dataclass(frozen=True, slots=True)
class ForwardLimits:
    """How far ``-forward on`` goes for one query."""

    depth: int = 4  # referrals followed one after the other
    servers: int = 8  # servers asked
    seconds: float = 10.0  # for all of it
    octets: int = 1 << 20  # taken from all of them


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything the handlers ask of the configuration.

    ``max_objects`` is the ceiling of ``-limit``; 0: any number, and 0 for no limit at all.
    ``directives`` are the built-in ones that are switched on, ``external`` the X- ones.
    """

    dialect: Dialect = RFC
    host: str = "localhost"
    contact: str = ""
    limits: SessionLimits = field(default_factory=SessionLimits)
    max_objects: int = 2048
    allowed: Allowed = field(default_factory=Allowed)
    punts: tuple[str, ...] = ()  # lines up the tree as written; comments and empty ones are skipped
    skip_referrals: bool = False
    directives: frozenset[str] = frozenset(NAMES)
    external: tuple[Directive, ...] = ()
    may_use: Rule = everybody  # of a directive
    clear_passwords: bool = True  # from everywhere; False: only by TLS and on this machine
    may_transfer: Rule = everybody  # of an authority area
    forward: ForwardLimits = field(default_factory=ForwardLimits)
    program_options: bool = False  # clients may give external directives arguments with a dash
    cache_octets: int = 8 << 20  # of answers kept for repeats, per worker; 0: none


DEFAULTS: Final = ServiceSettings()
