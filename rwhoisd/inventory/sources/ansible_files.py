"""Files of Ansible inventories: INI, YAML and JSON, and OpenStack-Ansible's user configuration."""

import re
import shlex
from contextlib import suppress
from typing import Any, Final

from rwhoisd.inventory import words
from rwhoisd.inventory.source import Report, TextFile
from rwhoisd.inventory.sources.ansible_model import Inventory, Scope
from rwhoisd.inventory.structures import Items, Row, json_of, text, yaml_of

_HEAD: Final = re.compile(r"\s*\[\s*+(?P<group>[^:\]]+)(?::\s*(?P<what>\w+)\s*)?\]\s*(?:[#;].*)?\Z")
# Blanks of one line only: a run of empty lines would be gone over from each of them.
_ANY_HEAD: Final = re.compile(r"^[^\S\n]*\[[^\]\n]+\][^\S\n]*(?:[#;].*)?$", re.MULTILINE)
_YAML_KEY: Final = re.compile(r"^(?:---|[\w-]+:)[^\S\n]*(?:[#].*)?$", re.MULTILINE)
_SHELL: Final = re.compile(r"[#'\"\\]")  # marks that need more care than blanks
_UNGROUPED: Final = "ungrouped"
_INVENTORY_KEYS: Final = frozenset({"hosts", "children", "vars"})
_USER_CONFIG: Final = frozenset({"global_overrides", "cidr_networks", "used_ips"})
_SUFFIXES: Final = (".yml", ".yaml", ".json")
_DEEPEST: Final = 64  # groups within groups


def load(file: TextFile, report: Report) -> Inventory:
    """The inventory that a file holds; only variables, when it holds no machine.

    Raises: FormatError, when it cannot be read at all.
    """
    inventory = Inventory(file)
    if file.text.startswith("$ANSIBLE_VAULT"):
        return inventory
    if file.text.lstrip().startswith("{"):
        _load_document(json_of(file), inventory, report)
    elif _is_yaml(file):
        for document in yaml_of(file, report):
            _load_document(document, inventory, report)
    else:
        _load_ini(inventory, report)
    return inventory


def _is_yaml(file: TextFile) -> bool:
    if file.name.lower().endswith(_SUFFIXES):
        return True
    return not _ANY_HEAD.search(file.text) and bool(_YAML_KEY.search(file.text))


def variables_of(file: TextFile, report: Report) -> list[Row]:
    """The variables of a file below ``group_vars`` or ``host_vars``."""
    if file.text.startswith("$ANSIBLE_VAULT"):
        return []
    begins = file.text.lstrip().startswith("{")
    documents = [json_of(file)] if begins else yaml_of(file, report)
    return [one for one in documents if isinstance(one, Row)]


# --- INI ---


def _load_ini(inventory: Inventory, report: Report) -> None:
    group, what = _UNGROUPED, ""
    for number, line in enumerate(inventory.file.lines, 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if found := _HEAD.match(line):
            group, what = found["group"].rstrip(), found["what"] or ""
            inventory.group(group)
        elif what == "children":
            inventory.child(group, stripped.split()[0])
        elif what == "vars":
            _load_ini_variable(stripped, number, group, inventory)
        elif not what:
            _load_ini_host(stripped, number, group, inventory, report)


def _load_ini_variable(line: str, number: int, group: str, inventory: Inventory) -> None:
    key, equals, value = line.partition("=")
    if equals:
        row = Row()
        row.line = number
        row[key.strip()] = _unquoted(re.split(r"\s[#;]", value, maxsplit=1)[0].strip())
        inventory.scopes.append(Scope(row, inventory.file, group=group))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _load_ini_host(
    line: str, number: int, group: str, inventory: Inventory, report: Report
) -> None:
    parts = line.split()
    if _SHELL.search(line):
        with suppress(ValueError):  # a quote that is not closed
            parts = shlex.split(line, comments=True)
    if not parts or "=" in parts[0] or parts[1:2] == ["="]:
        return  # a variable that has strayed
    row = Row()
    row.line = number
    for part in parts[1:]:
        key, equals, value = part.partition("=")
        if equals:
            row[key] = _unquoted(value)
    inventory.hosts(_without_port(parts[0]), group, row, number, report)


def _without_port(pattern: str) -> str:
    """``name:2222``, ``[2001:db8::1]:2222``, but ``node[1:5]`` and a bare IPv6 address stay."""
    host, colon, port = pattern.rpartition(":")
    if colon and port.isdigit() and words.address(pattern) is None and "[" not in port:
        pattern = host
    where = words.address(pattern)
    return pattern if where is None else str(where)


# --- YAML and JSON ---


def _load_document(document: Any, inventory: Inventory, report: Report) -> None:
    if not isinstance(document, Row) or "plugin" in document:
        return  # a playbook, or how to ask a cloud
    if _is_user_config(document):
        _load_user_config(document, inventory, report)
    elif any(_is_group(value) for value in document.values()):
        for name in document:
            if name == "_meta":
                _load_host_variables(document.row("_meta", "hostvars"), inventory)
            else:
                _load_group(name, document[name], document.line_of(name), inventory, report)
    else:
        inventory.scopes.append(Scope(document, inventory.file))


def _is_group(value: Any) -> bool:
    return isinstance(value, Row) and any(
        isinstance(value.get(key), Row | Items) for key in _INVENTORY_KEYS
    )


def _load_host_variables(rows: Row, inventory: Inventory) -> None:
    """``_meta`` of an inventory script comes first, though it stands anywhere."""
    for name in rows:
        row = rows.row(name)
        inventory.scopes.append(Scope(row, inventory.file, machine=name))


def _load_group(
    name: str, value: Any, line: int, inventory: Inventory, report: Report, depth: int = 0
) -> None:
    inventory.group(name)
    if isinstance(value, Items):  # the oldest form of inventory scripts: a list of hosts
        _load_hosts(value, name, line, inventory, report)
    if not isinstance(value, Row):
        return
    _load_hosts(value.get("hosts"), name, value.line_of("hosts"), inventory, report)
    if value.row("vars"):
        inventory.scopes.append(Scope(value.row("vars"), inventory.file, group=name))
    children = value.get("children")
    if depth > _DEEPEST:
        report.partial(inventory.file.at(line), f"groups are nested deeper than {_DEEPEST}")
    elif isinstance(children, Row):
        for child in children:
            inventory.child(name, child)
            below = children[child], children.line_of(child)
            _load_group(child, *below, inventory, report, depth + 1)
    elif isinstance(children, Items):
        for child in children:
            inventory.child(name, text(child))


def _load_hosts(hosts: Any, group: str, line: int, inventory: Inventory, report: Report) -> None:
    if isinstance(hosts, Row):
        for name in hosts:
            inventory.hosts(name, group, hosts.row(name), hosts.line_of(name), report)
    elif isinstance(hosts, Items):
        for at, item in hosts.placed():
            if isinstance(item, Row):
                for name in item:
                    inventory.hosts(name, group, item.row(name), at, report)
            elif text(item):
                inventory.hosts(text(item), group, Row(), at, report)
    elif text(hosts):
        inventory.hosts(text(hosts), group, Row(), line, report)


# --- openstack_user_config.yml and its conf.d ---


def _is_user_config(document: Row) -> bool:
    return bool(_USER_CONFIG & document.keys()) or any(
        name.endswith("_hosts") and _is_user_group(document[name]) for name in document
    )


def _is_user_group(value: Any) -> bool:
    """Machines by name, at least one with its address."""
    return isinstance(value, Row) and any(
        isinstance(host, Row) and host.text("ip", "management_ip") for host in value.values()
    )


def _load_user_config(document: Row, inventory: Inventory, report: Report) -> None:
    inventory.in_containers = True
    variables = Row()
    variables.line = document.line
    for name in document:
        value = document[name]
        if _is_user_group(value):
            _load_hosts(value, name, document.line_of(name), inventory, report)
        else:
            variables[name] = value
            variables.lines[name] = document.line_of(name)
    inventory.scopes.append(Scope(variables, inventory.file))
