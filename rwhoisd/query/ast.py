"""A query as a value (RFC 2167 §3.4): what is asked for, free of how it was typed."""

from enum import Enum
from typing import NamedTuple


class Match(Enum):
    """How the value of a term is compared; letter case never counts (N36)."""

    EXACT = "exact"
    PREFIX = "prefix"  # X*
    SUFFIX = "suffix"  # *X in the rfc dialect (N33)
    CONTAINS = "contains"  # *X*, and *X in the arin dialect
    BELOW = "below"  # PREFIX**: the networks within it, more specific ones; our extension


class Term(NamedTuple):
    """One comparison.

    ``value`` is upper case, each character one octet of the line (latin-1), without quotes and
    stars; it may be empty, and that only with EXACT and PREFIX. With BELOW it reads as a
    :class:`~rwhoisd.directory.names.Network`. ``attribute`` is the word as typed, in lower case
    (a name or an alias of some class); None asks every attribute.
    """

    value: str
    match: Match = Match.EXACT
    attribute: str | None = None


class Query(NamedTuple):
    """Alternatives ("or") of terms that all hold ("and"), in the order they were typed.

    ``class_name`` is canonical and lower case; None asks every class. Neither ``branches`` nor
    a branch is ever empty.
    """

    class_name: str | None
    branches: tuple[tuple[Term, ...], ...]
