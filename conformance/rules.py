"""The rules of RFC 2167 as data: ``rules.toml``."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STRENGTHS = ("must", "should", "text", "grammar", "example", "gap", "may")


@dataclass(frozen=True, slots=True)
class RfcRule:
    """One testable rule; the fields are explained at the head of ``rules.toml``."""

    id: str
    section: str
    strength: str
    who: str
    text: str
    notes: str = ""
    where: tuple[str, ...] = ()
    not_done: str = ""
    unseen: str = ""
    tests: tuple[str, ...] = ()


def load_rfc_rules(path: Path = HERE / "rules.toml") -> dict[str, RfcRule]:
    """The rules by id, in the order of the RFC's sections.

    Raises: TypeError: a row has an unknown key or lacks one. ValueError: an unknown strength.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    rules = {}
    for name, row in table.items():
        where, tests = (tuple(row.pop(key, ())) for key in ("where", "tests"))
        rules[name] = RfcRule(id=name, where=where, tests=tests, **row)
        if rules[name].strength not in STRENGTHS:
            raise ValueError(f"{name}: no strength is called {rules[name].strength!r}")
    return rules
