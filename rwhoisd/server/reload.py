"""What a running server takes of a new configuration, and what has to wait for a restart."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from rwhoisd.config import Config, ListenConfig
from rwhoisd.server.listeners import place_of

# Options that were used up at the start: the user who could bind a port is given up, and the
# store that is served from is the one that changes have to go to.
_FIXED: Final = ("workers", "user", "group", "state", "image")
_FIXED_STORE: Final = ("url", "follow")


def carried_on(running: Config, wanted: Config) -> tuple[Config, list[str]]:
    """``wanted`` as far as ``running`` can become it, and a line for each thing that waits."""
    rows, remarks = _listen(running.listen, wanted.listen)
    fixed = {name: getattr(running, name) for name in _FIXED}
    remarks += _waiting("", fixed, wanted)
    store = {name: getattr(running.store, name) for name in _FIXED_STORE}
    remarks += _waiting("store.", store, wanted.store)
    fixed["store"] = replace(wanted.store, **store)
    return replace(wanted, **fixed, listen=rows), remarks


def _waiting(prefix: str, fixed: dict[str, object], wanted: object) -> Iterator[str]:
    for name, value in fixed.items():
        if getattr(wanted, name) != value:  # no value: it may be a secret
            yield f"{prefix}{name} was changed: it takes effect after a restart"


def _listen(
    bound: Sequence[ListenConfig], wanted: Sequence[ListenConfig]
) -> tuple[tuple[ListenConfig, ...], list[str]]:
    """What ``wanted`` says about the addresses that are bound, in their order.

    A new address waits for a restart, and one that is gone is served on as it was. Rows belong
    together by host and port: rules and TLS of one never become those of another.
    """
    left = list(wanted)
    rows, remarks = [], []
    for row in bound:
        same = next((r for r in left if (r.host, r.port) == (row.host, row.port)), None)
        if same is None:
            remarks.append(f"{place_of(row)} is listened on until a restart, as it was")
        else:
            left.remove(same)
        rows.append(same or row)
    remarks += [f"{place_of(row)} is new: it is listened on after a restart" for row in left]
    return tuple(rows), remarks
