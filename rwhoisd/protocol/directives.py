"""The table of directives: dispatch, capability, ``-directive`` text and syntax in one row each.

The order is ARIN's, as are the descriptions (arin-rwhoisd.md §2, §3); the bits are those of
RFC 2167 Appendix D. ``rwhois`` has no bit and cannot be switched off (R3.2-1).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rwhoisd.directory.dialect import Dialect

X_CAPABILITY: Final = 0x4000
X_PREFIX: Final = "X-"
X_HANDLER: Final = "x"


@dataclass(frozen=True, slots=True)
class Directive:
    """One row. ``match_octets`` characters of the typed word have to agree with the name."""

    name: str
    capability: int
    description: str
    syntax: str
    match_octets: int
    handler: str
    program: tuple[str, ...] = ()  # of an X- directive: program and fixed arguments

    def matches(self, word: str) -> bool:
        """Whether the typed ``word`` means this row: any suffix is accepted (ruling c)."""
        size = self.match_octets
        return len(word) >= size and word[:size].lower() == self.name[:size].lower()


def _row(name: str, capability: int, description: str, arguments: str = "") -> Directive:
    syntax = f"-{name} {arguments}".rstrip()
    return Directive(name, capability, description, syntax, len(name), name)


BUILT_IN: Final[tuple[Directive, ...]] = (
    _row("rwhois", 0, "RWhois directive", "<version> [<implementation>]"),
    _row("class", 0x0001, "get meta-information for the class(es)", "<area> [<class> ...]"),
    _row("directive", 0x0002, "get server allowable directives", "[<directive> ...]"),
    _row("display", 0x0004, "sets/displays the display types", "[<format>]"),
    _row("forward", 0x0008, "server forward boolean", "on|off"),
    _row("holdconnect", 0x0010, "hold the connection boolean", "on|off"),
    _row("limit", 0x0020, "displays and sets record hit limit", "<objects>"),
    _row(
        "security",
        0x0400,
        "identify the authentication method",
        "on request|response <method> <data> | off",
    ),
    _row(
        "notify",
        0x0040,
        "tell server of bad referral or data change",
        "badref|recurref <url> <query> | update|inssec|delsec <host>:<port>:<area>",
    ),
    _row("quit", 0x0080, "quit connection"),
    _row("register", 0x0100, "add/mod/delete record in server", "on add|mod|del <email> | off"),
    _row("schema", 0x0200, "get the schema of an object", "<area> [<class> ...]"),
    _row("soa", 0x0800, "ask server's authority area", "[<area> ...]"),
    _row("status", 0x1000, "server's status"),
    _row(
        "xfer",
        0x2000,
        "transfer data from the server",
        "<area> [class=<class> [attribute=<attribute>] ...] [<serial>]",
    ),
)
REQUIRED: Final = "rwhois"
NAMES: Final = tuple(row.name for row in BUILT_IN)


def x_directive(
    command: str,
    program: Sequence[str],
    *,
    description: str = "",
    command_octets: int | None = None,
) -> Directive:
    """The row of an external directive ``-X-command``.

    ``command_octets`` is how many characters of ``command`` a client has to type; all of them
    when None or more than there are.
    """
    size = len(command) if command_octets is None else min(command_octets, len(command))
    name = X_PREFIX + command
    return Directive(
        name,
        X_CAPABILITY,
        description,
        f"-{name} [<argument> ...]",
        max(size, 1) + len(X_PREFIX),
        X_HANDLER,
        tuple(program),
    )


class DirectiveTable:
    """The rows of one server in table order, and which of them are switched on."""

    def __init__(self, enabled: Iterable[str] = NAMES, external: Iterable[Directive] = ()) -> None:
        """``enabled``: names of built-in directives that are on; external ones always are."""
        external = tuple(external)
        self.rows: Final[tuple[Directive, ...]] = (*BUILT_IN, *external)
        on = {name.lower() for name in enabled} | {REQUIRED} | {r.name.lower() for r in external}
        self.on: Final[tuple[Directive, ...]] = tuple(r for r in self.rows if r.name.lower() in on)
        self._on: Final = frozenset(self.on)
        # Exact words by dictionary; each was looked up in table order, so both ways agree.
        self._exact: Final[Mapping[str, Directive | None]] = {
            row.name.lower(): self._scan(row.name) for row in self.rows
        }

    def find(self, word: str) -> Directive | None:
        """The first row that the typed ``word`` means, on or off; None when there is none."""
        return self._exact.get(word.lower()) or self._scan(word)

    def is_on(self, row: Directive) -> bool:
        """Whether the directive can be used."""
        return row in self._on

    def capability(self, dialect: Dialect) -> int:
        """Sum of the bits of what is on (RD-1); ARIN's server never sets the X bit (A4)."""
        bits = 0
        for row in self.on:
            if row.capability != X_CAPABILITY or dialect.x_capability_bit:
                bits |= row.capability
        return bits

    def _scan(self, word: str) -> Directive | None:
        return next((row for row in self.rows if row.matches(word)), None)
