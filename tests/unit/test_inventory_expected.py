"""Every fixture of an inventory source gives exactly the facts that are written beside it.

``tests/inventory_fixtures/KIND/NAME.expected.json`` tells of the file or folder ``NAME``:

- ``files``: read these together, instead of ``NAME``
- ``settings``: names of files in the folder, by the setting that names them
- ``facts``: each of them is found; ``optional``: may be found; nothing else is
- ``must_not``: ``{"value": …}`` stands nowhere, ``{"value": …, "kinds": […]}`` in no fact of these
  kinds, ``{"no_kind": …}`` and ``{"no_port": …}``: there is no such fact
- ``warned``: the lines that are warned about (left out: any); ``whole``: false for a torn source
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from rwhoisd.inventory.scan import Reading, scan
from rwhoisd.inventory.source import find_source

FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures"
MARK: Final = ".expected.json"
Rows = list[dict[str, Any]]


@dataclass
class Expected:
    facts: Rows
    optional: Rows = field(default_factory=list)
    must_not: Rows = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    warned: list[int] | None = None
    whole: bool = True
    file: str = ""
    format: str = ""
    notes: str = ""


def reading_of(path: Path, expected: Expected) -> Reading:
    names = expected.files or [path.name.removesuffix(MARK)]
    files = [path.parent / name for name in names]
    settings = {key: str(path.parent / name) for key, name in expected.settings.items()}
    return scan(find_source(path.parent.name), files, root=path.parent, settings=settings)


def keyed(rows: Rows) -> set[str]:
    return {json.dumps(row, sort_keys=True) for row in rows}


def is_broken(rule: dict[str, Any], rows: Rows) -> bool:
    """Whether there is what a rule of ``must_not`` forbids."""
    if "no_kind" in rule:
        return any(row["kind"] == rule["no_kind"] for row in rows)
    if "no_port" in rule:
        return any(row.get("port") == rule["no_port"] for row in rows)
    kinds = rule.get("kinds")
    text = json.dumps([row for row in rows if not kinds or row["kind"] in kinds])
    token = re.escape(json.dumps(str(rule["value"]))[1:-1])
    return re.search(rf"(?<![\w.:-]){token}(?![\w:-]|\.\d)", text) is not None


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{path.parent.name}/{path.name.removesuffix(MARK)}")
        for path in sorted(FIXTURES.glob(f"*/*{MARK}"))
    ],
)
def test_a_fixture_gives_the_facts_beside_it(path: Path) -> None:
    expected = Expected(**json.loads(path.read_text()))
    reading = reading_of(path, expected)
    rows = [fact.as_row() for fact in reading.facts]
    free = keyed(expected.optional)
    assert sorted(keyed(rows) - free) == sorted(keyed(expected.facts) - free)
    assert [rule for rule in expected.must_not if is_broken(rule, rows)] == []
    assert reading.whole is expected.whole, [str(found) for found in reading.failures]
    if expected.warned is not None:
        assert sorted(found.line for found in reading.findings) == expected.warned
    assert all(fact.place.line for fact in reading.facts)
