"""JSON, YAML and XML of others, read safely, with the line of everything.

Mappings become ``Row``, sequences ``Items``: a ``dict`` and a ``list`` that know their lines. A
scalar of YAML stays the text that was written (so ``10.0.0.1``, ``0755`` and ``12:30`` are what
they look like); null is None. Scalars of JSON have their own types. ``text`` makes one of them.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from json.decoder import JSONArray, JSONObject, scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any, Final

import yaml
from lxml import etree

from rwhoisd.formats.findings import FormatError, failed
from rwhoisd.inventory.source import Report, TextFile

EXPANDED: Final = 2_000_000  # values of one document, aliases counted each time
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_VAULT: Final = "!vault"  # tag of encrypted text
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>")


class Row(dict[str, Any]):
    """A mapping; ``line`` is where it begins, ``lines`` where each of its keys stands."""

    line: int = 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """The line of a key, else of the whole."""
        return self.lines.get(key, self.line)

    def row(self, *keys: str) -> "Row":
        """The mapping below these keys, an empty one when there is none."""
        found: Any = self
        for key in keys:
            found = found.get(key) if isinstance(found, Row) else None
        return found if isinstance(found, Row) else Row()

    def items_of(self, key: str) -> "Items":
        """The sequence below a key; one value alone is a sequence of it; else an empty one."""
        found = self.get(key)
        if isinstance(found, Items):
            return found
        alone = Items()
        if found is not None:
            alone.append(found)
            alone.lines.append(self.line_of(key))
        return alone

    def rows(self, key: str) -> Iterator["Row"]:
        """The mappings in the sequence below a key."""
        return (item for item in self.items_of(key) if isinstance(item, Row))

    def text(self, *keys: str) -> str:
        """The first of these keys that has a scalar, as text; "" when none has."""
        return next((found for key in keys if (found := text(self.get(key)))), "")


class Items(list[Any]):
    """A sequence; ``lines`` is where each item begins."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []

    def placed(self) -> Iterator[tuple[int, Any]]:
        """Line and item."""
        return zip(self.lines, self, strict=True)


def text(value: Any) -> str:
    """A scalar as text without outer blanks; "" for what is none, or null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""


def is_true(value: Any) -> bool:
    """Whether a scalar says yes."""
    return text(value).lower() in _TRUE


# --- JSON ---


class _Decoder(json.JSONDecoder):
    """The standard decoder, whose mappings and sequences know where they begin."""

    def __init__(self, source: str) -> None:
        super().__init__(strict=False)
        self._ends = [at for at, char in enumerate(source) if char == "\n"]
        self.parse_object = self._object
        self.parse_array = self._array
        self.parse_string = scanstring
        self.scan_once = py_make_scanner(self)

    def _line(self, at: int) -> int:
        return bisect_right(self._ends, at - 1) + 1

    def _object(self, where: tuple[str, int], strict: bool, scan: Any, *rest: Any) -> Any:
        """As the standard one, which gives pairs to ``object_pairs_hook``."""
        del rest
        pairs, end = JSONObject(where, strict, scan, None, list)
        row = Row()
        row.line = self._line(where[1])
        for key, value in pairs:
            row[key] = value
            inner = value.line if isinstance(value, Row) else row.line
            row.lines[key] = inner
        return row, end

    def _array(self, where: tuple[str, int], scan: Any) -> Any:
        values, end = JSONArray(where, scan)
        items = Items()
        line = self._line(where[1])
        for value in values:
            items.append(value)
            items.lines.append(value.line if isinstance(value, Row) else line)
        return items, end


def json_of(file: TextFile) -> Any:
    """The value of a JSON file. Raises: FormatError with its line."""
    try:
        return _Decoder(file.text).decode(file.text)
    except json.JSONDecodeError as error:
        raise failed(file.name, error.lineno, f"is no JSON: {error.msg}") from None
    except RecursionError:
        raise failed(file.name, 0, "is nested too deeply") from None
    except ValueError:  # a number of thousands of digits
        raise failed(file.name, 0, "is no JSON: a number in it is too long") from None


# --- YAML ---


def yaml_of(file: TextFile, report: Report) -> Iterator[Any]:
    """The documents of a YAML file; behind a mistake none, and the reading is not whole."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for node in yaml.compose_all(file.text, Loader=loader):
            _check_size(file, node)
            yield _Builder().value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report.partial(file.at(mark.line + 1 if mark else 0), f"it is no YAML: {error.problem}")
    except (yaml.YAMLError, ValueError) as error:
        report.partial(file.at(0), f"it is no YAML: {type(error).__name__}")
    except RecursionError:
        report.partial(file.at(0), "it is nested too deeply")


def _check_size(file: TextFile, root: yaml.Node | None) -> None:
    """Raises: FormatError, when aliases make too much of it, or one holds itself."""
    sizes: dict[int, int] = {}
    under_way: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        key = id(node)
        if key in under_way:
            raise failed(file.name, node.start_mark.line + 1, "an alias stands within its anchor")
        if key not in sizes:
            under_way.add(key)
            sizes[key] = 1 + sum(map(size, _children(node)))
            under_way.discard(key)
            if sizes[key] > EXPANDED:
                raise failed(file.name, node.start_mark.line + 1, "aliases make too much of it")
        return sizes[key]

    if root is not None:
        size(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


class _Builder:
    """Makes values of nodes; a node that aliases share is one value."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def value(self, node: yaml.Node | None) -> Any:
        if node is None or node.tag == _VAULT:
            return None
        if isinstance(node, yaml.ScalarNode):
            is_null = not node.style and node.value in _NULL
            return None if is_null else node.value
        if id(node) not in self._made:
            make = self._row if isinstance(node, yaml.MappingNode) else self._items
            self._made[id(node)] = make(node)
        return self._made[id(node)]

    def _row(self, node: yaml.Node) -> Row:
        row = Row()
        row.line = node.start_mark.line + 1
        merged: list[Row] = []
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                found = self.value(value)
                merged += found if isinstance(found, Items) else [found]
            elif isinstance(key, yaml.ScalarNode):
                row[key.value] = self.value(value)
                row.lines[key.value] = key.start_mark.line + 1
        for other in merged:
            for name in other if isinstance(other, Row) else ():
                if name not in row:
                    row[name], row.lines[name] = other[name], other.line_of(name)
        return row

    def _items(self, node: yaml.Node) -> Items:
        items = Items()
        for child in node.value:
            items.append(self.value(child))
            items.lines.append(child.start_mark.line + 1)
        return items


# --- XML ---


def xml_of(file: TextFile) -> etree._Element:
    """The root of an XML file; no entity is expanded, nothing is fetched.

    Raises: FormatError with its line.
    """
    try:
        return etree.fromstring(_xml_octets(file), _xml_parser())
    except etree.XMLSyntaxError as error:
        line = error.lineno or 0
        raise failed(file.name, line, f"is no XML: {str(error.msg)[:120]}") from None


def xml_as_far(file: TextFile, report: Report) -> etree._Element:
    """As ``xml_of``; of a torn file what can be read, and then the reading is not whole.

    Raises: FormatError, when nothing of it can be read.
    """
    try:
        return xml_of(file)
    except FormatError as error:
        try:
            root = etree.fromstring(_xml_octets(file), _xml_parser(recover=True))
        except etree.XMLSyntaxError:  # an empty file
            root = None
        if root is None:
            raise
        report.partial(file.at(error.findings[0].line), "it is no XML from here on")
        return root


def _xml_octets(file: TextFile) -> bytes:
    return _DECLARATION.sub("", file.text, count=1).encode("utf-8", "replace")


def _xml_parser(*, recover: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True, recover=recover,
    )  # fmt: skip


def name_of(element: etree._Element) -> str:
    """The tag without its namespace; "" for what is no element."""
    return str(element.tag).rpartition("}")[2] if isinstance(element.tag, str) else ""


def line_of(element: etree._Element) -> int:
    """The line on which an element begins; 0 when it is not known."""
    line = element.sourceline
    return line if isinstance(line, int) else 0
