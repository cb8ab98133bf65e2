"""Writes ``docs/rfc2167.md``: every rule, where it is kept, and what shows it.

``python -m conformance.docs`` writes the page; with ``--check`` it only tells whether the page is
as it should be (exit status 1: it is not).
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from conformance.rules import STRENGTHS, RfcRule, load_rfc_rules
from conformance.script import Script, load_scripts

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "rfc2167.md"
_SECTIONS = {
    "2": "Architecture",
    "3.1": "Protocol: general",
    "3.2": "The required directive",
    "3.3": "Optional directives",
    "3.4": "Query",
    "3.5": "Connection",
    "3.6": "Replication",
    "4": "Security",
    "C": "Error codes",
    "D": "Capabilities",
    "E": "Property types",
}
_HEAD = """# RFC 2167, rule by rule

<!-- Made by `python -m conformance.docs` from conformance/rules.toml and conformance/rfc/*.txt.
     Change those, not this page. -->

Every testable rule of RFC 2167: where it is kept, and which conversation of the conformance
suite shows it (`rwhois-conformance --set rfc --ids ID`). A rule that no conversation can show
says why. Modules are those of `rwhoisd/`.

Strengths: *must*, *should*, *may* as in RFC 2119; *text* is stated as a fact and taken for a
must; *grammar* and *example*: only the ABNF or an example says it; *gap*: the RFC is silent or
breaks off, and the rule is our completion.
"""


def page(rules: Mapping[str, RfcRule], scripts: Sequence[Script]) -> str:
    """The whole page."""
    cases = cases_by_rule(scripts)
    parts = [_HEAD, _counts(rules.values(), cases)]
    for section, title in _SECTIONS.items():
        members = [rule for rule in rules.values() if _chapter(rule.section) == section]
        parts.append(_table(f"{section} {title}", members, cases))
    return "\n".join(parts)


def cases_by_rule(scripts: Iterable[Script]) -> dict[str, list[str]]:
    """The ids of the cases that show each rule."""
    found: dict[str, list[str]] = {}
    for script in scripts:
        for rule in script.rules:
            found.setdefault(rule, []).append(script.id)
    return found


def _chapter(section: str) -> str:
    return max((name for name in _SECTIONS if section.startswith(name)), key=len)


def _counts(rules: Iterable[RfcRule], cases: Mapping[str, list[str]]) -> str:
    listed = list(rules)
    shown = Counter(rule.strength for rule in listed if rule.id in cases)
    every = Counter(rule.strength for rule in listed)
    lines = ["| strength | rules | shown by a conversation |", "|---|---:|---:|"]
    lines += [f"| {name} | {every[name]} | {shown[name]} |" for name in STRENGTHS]
    lines.append(f"| **all** | {every.total()} | {shown.total()} |")
    return "\n".join(lines) + "\n"


def _table(title: str, rules: Iterable[RfcRule], cases: Mapping[str, list[str]]) -> str:
    lines = [
        f"## {title}",
        "",
        "| rule | strength | who | what | done in | shown by |",
        "|---|---|---|---|---|---|",
    ]
    for rule in rules:
        cells = (rule.id, rule.strength, rule.who, rule.text, _done(rule), _shown(rule, cases))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _done(rule: RfcRule) -> str:
    modules = ", ".join(f"`{name}`" for name in rule.where)
    reason = f"not done: {rule.not_done}" if rule.not_done else ""
    return "; ".join(part for part in (modules, reason) if part)


def _shown(rule: RfcRule, cases: Mapping[str, list[str]]) -> str:
    ids = ", ".join(f"`{name}`" for name in cases.get(rule.id, ()))
    tests = ", ".join(f"`{name}`" for name in rule.tests)
    reason = f"no conversation: {rule.unseen}" if rule.unseen else ""
    return "; ".join(part for part in (ids, reason, tests) if part)


def current() -> str:
    """The page as it should be."""
    return page(load_rfc_rules(), load_scripts(Path(__file__).parent / "rfc"))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m conformance.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    text = current()
    if parser.parse_args(arguments).check:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
