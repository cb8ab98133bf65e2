"""Writes ``docs/operators/configuration.md``: every option, from where it is declared.

``python -m rwhoisd.config_page docs/operators/configuration.md`` writes the page.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import MISSING
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from rwhoisd.config import ENVIRONMENT_PREFIX, NESTED, options

_EFFECT: Final = " Takes effect: "
_HEAD: Final = f"""\
# Configuration

<!-- Made by `make docs` from rwhoisd/config.py. Change that, not this page. -->

`rwhoisd serve --config FILE` and `rwhois-admin --config FILE` read one TOML file. Relative paths
start from its folder. `rwhoisd check-config --config FILE` lists all mistakes at once; an unknown
key is one of them. With `--arin-config` the same options come from ARIN's files.

A variable overrides the file: `{ENVIRONMENT_PREFIX}` and the key in capitals, `{NESTED}` for each
dot, such as `{ENVIRONMENT_PREFIX}LIMITS{NESTED}CONNECTIONS=500`; lists and tables are written as
JSON.

*Reload*: a change counts from the next `SIGHUP` on, for new connections. *Restart*: it counts from
the next start on. Times are seconds; sizes are octets, which is what a key says that ends so.
"""
_TITLES: Final = {
    "": ("The server", "Keys before the first table of the file."),
    "listen[]": (
        "`[[listen]]`",
        "The longest prefix that a client is in decides; in none, an `allow` list keeps it out.",
    ),
    "listen[].tls": (
        "`tls` of `[[listen]]`",
        'On its own port: `tls = { certificate = "cert.pem", key = "key.pem" }`.',
    ),
    "store": ("`[store]`", "The store: where the truth is."),
    "registration": ("`[registration]`", "Registrations that the database does not take."),
    "image": ("`[image]`", "The image: what answers are read from."),
    "limits": ("`[limits]`", "What clients may take. They hold over all workers together."),
    "query": ("`[query]`", "What a query may ask for; anything else is 351."),
    "referral": ("`[referral]`", "Where clients are sent that ask for what is not ours."),
    "forward": ("`[forward]`", "Bounds of `-forward on`: the server asks others for the client."),
    "directives.<name>": (
        "`[directives.NAME]`",
        "Such as `[directives.xfer]`; `xfer = false` in `[directives]` sets `enabled` alone.",
    ),
    "transfer.<name>": (
        "`[transfer.AREA]`",
        'Who may `-xfer` an authority area: `[transfer."192.0.2.0/24"]`.',
    ),
    "programs": (
        "`[programs]`",
        "What is run for clients: external directives `-X-NAME`, and what classes have parsed.",
    ),
    "programs.parse": (
        "`[programs.parse]`",
        "Bounds of parse programs, see [registration](registration.md).",
    ),
    "programs.run[]": ("`[[programs.run]]`", "One table per program; it is run without a shell."),
    "pgp": ("`[pgp]`", "The operator's keyring ([security](security.md)); off without `home`."),
    "access_files": ("`[access_files]`", "Allow and deny files as ARIN's server reads them."),
    "log": ("`[log]`", "What is written down."),
}


def page() -> str:
    """The whole page."""
    rows = sorted(options(), key=lambda row: list(_TITLES).index(_section(row[0])))
    parts = [_HEAD]
    for section, found in groupby(rows, key=lambda row: _section(row[0])):
        title, words = _TITLES[section]
        parts.append(f"\n## {title}\n\n{words}\n\n")
        parts += _table(found)
    return "".join(parts)


def _section(name: str) -> str:
    return name.rpartition(".")[0]


def _table(rows: Iterator[tuple[str, Any, str]]) -> Iterator[str]:
    yield "| key | default | what | takes effect |\n| --- | --- | --- | --- |\n"
    for name, default, description in rows:
        what, _, effect = description.partition(_EFFECT)
        what = what.removesuffix(".").replace("|", "\\|")
        key = name.rpartition(".")[2]
        yield f"| `{key}` | {_shown(default)} | {what} | {effect.strip('.')} |\n"


def _shown(default: Any) -> str:
    """A default as the file would have it."""
    if default is MISSING:
        return "must be given"
    if default is None or default == "" or default == Path():
        return ""
    return f"`{json.dumps(default, default=str)}`"


def main() -> None:
    """Write the page to the path that is given."""
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
