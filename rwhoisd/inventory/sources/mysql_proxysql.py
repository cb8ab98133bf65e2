"""ProxySQL: its configuration file (libconfig), and its tables as SQL, text or JSON.

Whatever the form, rows of ``mysql_servers`` are nodes, and rows of the hostgroup tables say which
groups write. A server may be in several groups; it is one node.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from rwhoisd.inventory.facts import DatabaseNode, Fact, Place
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.mysql_nodes import Node
from rwhoisd.inventory.structures import Items, Row, json_of, text

_TABLES: Final = re.compile(r"(?:runtime_)?(?:my|pg)sql_(?:servers|\w*hostgroups)\Z", re.IGNORECASE)
_COLUMNS: Final = {
    "servers": ("hostgroup_id", "hostname", "port"),
    "replication_hostgroups": ("writer_hostgroup", "reader_hostgroup"),
    "hostgroups": ("writer_hostgroup", "backup_writer_hostgroup", "reader_hostgroup"),
}
_STATES: Final = frozenset({"ONLINE", "SHUNNED", "OFFLINE_SOFT", "OFFLINE_HARD"})
_KEYS: Final = {"address": "hostname", "srv_host": "hostname", "srv_port": "port",
                "hostgroup": "hostgroup_id"}  # fmt: skip
_Record = Mapping[str, str]


@dataclass
class _Server:
    """One node, with the hostgroups it is in."""

    place: Place
    groups: list[str] = field(default_factory=list)
    disabled: bool = True


class _Tables:
    """What was read: nodes by host and port, and the groups that write and read."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, str], _Server] = {}
        self._writers: set[str] = set()
        self._readers: set[str] = set()

    def add(self, place: Place, record: _Record) -> None:
        """A row of any of the tables; other rows are passed over."""
        row = {_KEYS.get(key.lower(), key.lower()): value.strip() for key, value in record.items()}
        if "writer_hostgroup" in row:
            self._writers.add(row["writer_hostgroup"])
            self._readers.add(row.get("reader_hostgroup", ""))
            self._readers.add(row.get("backup_writer_hostgroup", ""))
        elif row.get("hostname") and "hostgroup_id" in row:
            key = (row["hostname"], row.get("port", ""))
            server = self._servers.setdefault(key, _Server(place))
            server.groups.append(row["hostgroup_id"])
            server.disabled &= row.get("status", "").upper().startswith("OFFLINE")

    def nodes(self, report: Report) -> Iterator[DatabaseNode]:
        """The nodes; two that write in one group are each other's peers."""
        peers = self._peers()
        for (host, port), server in self._servers.items():
            role = self._role(server)
            node = Node(
                place=server.place,
                host=host,
                port=port,
                role=role,
                peer=peers.get(host),
                writable=None if role is None else role == "writer",
                disabled=server.disabled,
            )
            if fact := node.fact(report):
                yield fact

    def _role(self, server: _Server) -> str | None:
        if self._writers.intersection(server.groups):
            return "writer"
        return "reader" if self._readers.intersection(server.groups) else None

    def _peers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for group in sorted(self._writers):
            hosts = {host: None for (host, _), one in self._servers.items() if group in one.groups}
            if len(hosts) == 2:
                first, second = hosts
                found |= {first: second, second: first}
        return found


# --- proxysql.cnf ---

# Comments, strings and marks end at the end of the text, if nowhere else: one pass over it.
_TOKEN: Final = re.compile(
    r"(?P<comment>#[^\n]*|//[^\n]*|/\*(?:.*?\*/|.*))|\"(?P<string>(?:[^\"\\]|\\.)*)(?:\"|\Z)"
    r"|(?P<mark>[(){}\[\]=:;,])|(?P<word>(?:(?!//|/\*)[^\s(){}\[\]=:;,\"#])+)",
    re.DOTALL,
)
_OPENING: Final = frozenset("({[")
_CLOSING: Final = frozenset(")}]")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    is_mark: bool = False


def _tokens(source: str) -> Iterator[_Token]:
    line, at = 1, 0
    for match in _TOKEN.finditer(source):
        line += source.count("\n", at, match.start())
        at = match.start()
        if match.lastgroup == "mark":
            yield _Token(match[0], line, is_mark=True)
        elif match.lastgroup != "comment":
            yield _Token(match["string"] if match["word"] is None else match[0], line)


def read_cnf(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """The nodes of a configuration file: groups of ``key = value`` in the lists of the tables."""
    del inputs
    tables = _Tables()
    stack: list[str] = []  # what each open bracket belongs to: a table's name, else ""
    name, key, record = "", "", dict[str, str]()
    place = file.at(1)
    for before, token in pairwise([_Token("", 0), *_tokens(file.text)]):
        if token.is_mark and token.text in _OPENING:
            stack.append(name if token.text != "{" else "")
            if token.text == "{":
                record, key, place = {}, "", file.at(token.line)
            name = ""
        elif token.is_mark and token.text in _CLOSING:
            if token.text == "}" and any(stack):
                tables.add(place, record)
                record = {}
            if stack:
                stack.pop()
        elif not token.is_mark and before.is_mark and before.text in "=:" and key:
            record[key] = token.text
        elif not token.is_mark:
            key = token.text
            name = key if _TABLES.match(key) else name if any(stack) else ""
    if stack:
        report.partial(file.at(len(file.lines)), "a bracket has no end")
    yield from tables.nodes(report)


# --- SQL, and the tables that the mysql client draws ---

_INSERT: Final = re.compile(
    r"\b(?:INSERT|REPLACE)\s+(?:OR\s+\w+\s+)?(?:IGNORE\s+)?INTO\s+(?:\w+\.)?[\"`]?(\w+)[\"`]?\s*"
    r"(?:\(([^()]*)\)\s*)?VALUES\s*",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(
    r"\s*(?:'((?:[^'\\]|''|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^\s,()'\";]+)|([(),;]))", re.DOTALL
)
_REMARK: Final = re.compile(r"[ \t]*(?:#|--|/\*|//)")


def read_sql(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """The nodes of INSERT statements, or of tables drawn with ``|``."""
    del inputs
    tables = _Tables()
    line, begin, at = 1, 0, 0  # of the text so far: its lines, where the last one begins, its end
    while (match := _INSERT.search(file.text, at)) is not None:
        line += file.text.count("\n", at, match.start())
        begin = max(begin, file.text.rfind("\n", at, match.start()) + 1)
        at = match.start()
        end = match.end()
        if _TABLES.match(match[1]) and not _REMARK.match(file.text, begin):
            rows, end = _rows(file.text, end)
            names = _columns(match[1], match[2])
            for row in rows:
                state = next((value for value in row if value in _STATES), "")
                tables.add(file.at(line), {"status": state} | dict(zip(names, row, strict=False)))
        line += file.text.count("\n", at, end)
        begin = max(begin, file.text.rfind("\n", at, end) + 1)
        at = end
    for number, record in _drawn(file.lines):
        tables.add(file.at(number), record)
    yield from tables.nodes(report)


def _columns(table: str, written: str | None) -> list[str]:
    """The columns that a statement names, else the first ones of the table."""
    names = [name.strip(' \t\n"`') for name in written.split(",")] if written else []
    if names:
        return names
    return list(next(found for end, found in _COLUMNS.items() if table.lower().endswith(end)))


def _rows(source: str, at: int) -> tuple[list[list[str]], int]:
    """The rows behind VALUES, and where the last one ends."""
    found: list[list[str]] = []
    end = at
    values: list[str] | None = None
    while (match := _VALUE.match(source, at)) is not None:
        at = match.end()
        if match[4] == "(" and values is None:
            values = []
        elif match[4] == ")" and values is not None:
            found.append(values)
            values, end = None, at
        elif values is not None and match[4] is None:
            values.append(next(part for part in match.groups() if part is not None))
        elif values is None and match[4] != ",":
            break
    return found, end if values is None else at


def _drawn(lines: Iterable[str]) -> Iterator[tuple[int, _Record]]:
    """Rows of ``| hostgroup_id | hostname | port |``; a line of no table ends them.

    So do two borders in a row: the end of a table, and the top of the next one.
    """
    names: list[str] = []
    before = ""
    for number, line in enumerate(lines, 1):
        text, last = line.strip(), before
        before = text
        if not text.startswith("|"):
            names = names if text.startswith("+") and not last.startswith("+") else []
            continue
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if not names:
            names = [cell.lower() for cell in cells]
        else:
            yield number, dict(zip(names, cells, strict=False))


# --- JSON ---


def read_json(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    """The nodes of tables that were saved as JSON, at any depth."""
    del inputs
    tables = _Tables()
    waiting: list[Any] = [json_of(file)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Row):
            tables.add(file.at(value.line), {key: text(one) for key, one in value.items()})
            waiting += reversed(value.values())
        elif isinstance(value, Items):
            waiting += reversed(value)
    yield from tables.nodes(report)
