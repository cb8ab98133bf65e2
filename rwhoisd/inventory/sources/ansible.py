"""Ansible inventories: INI, YAML, JSON, OpenStack-Ansible's user configuration (§8).

A machine is a storage node or a database node by the groups it stands in, itself or through
groups within groups. A database node is also a host, and so is a storage node that stands in
other groups as well. Virtual addresses and networks stand in variables, in the inventory or
beside it in ``group_vars`` and ``host_vars``, which are read when a folder is given.
"""

import ast
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory import words
from rwhoisd.inventory.facts import DatabaseNode, Fact, Host, Kind, StorageNode, Vip
from rwhoisd.inventory.source import Inputs, Report, TextFile, WholeSource
from rwhoisd.inventory.sources import ansible_files as files
from rwhoisd.inventory.sources.ansible_groups import (
    is_everybody,
    nearest,
    roles,
    told_by,
)
from rwhoisd.inventory.sources.ansible_model import Inventory, Machine, Scope
from rwhoisd.inventory.sources.ansible_variables import facts_of
from rwhoisd.inventory.structures import Items, Row, text

NAMES: Final = (
    "hosts*", "inventory*", "*.ini", "*.yml", "*.yaml", "*.json", "multinode",
    "*/group_vars/*", "*/host_vars/*",
)  # fmt: skip
_VARIABLE_FOLDERS: Final = frozenset({"group_vars", "host_vars"})
# Folders of a project of Ansible that hold no inventory.
_OTHER_FOLDERS: Final = frozenset({
    "roles", "tasks", "handlers", "templates", "defaults", "meta", "molecule", "tests",
    "collections", "playbooks", "files", ".git", ".github",
})  # fmt: skip
_DEVICES: Final = ("lvm_volumes", "devices", "glusterfs_devices", "osd_devices", "minio_disks")
_LITERAL: Final = 65536  # characters of a list in an INI file that is looked into
_ROLES: Final = ("pg_role", "postgresql_role", "mysql_role", "mysql_replication_role", "role")


@dataclass(frozen=True)
class _Beside:
    """A file of variables: of a group or a machine, for the inventories below ``base``."""

    base: PurePath
    folder: str
    owner: str
    file: TextFile


def _read(inputs: Inputs, report: Report) -> Iterator[Fact]:
    beside, inventories = _sorted(inputs, report)
    seen: set[object] = set()
    for inventory in inventories:
        for fact in _facts(inventory, report):
            if not isinstance(fact, Vip):
                yield fact
            elif (key := (fact.where or fact.name, fact.port)) not in seen:
                seen.add(key)  # a variable is often repeated for each group or machine
                yield fact
    if not inventories and beside:
        report.warn(beside[0].file.at(1), "there are variables but no inventory beside them")


def _sorted(inputs: Inputs, report: Report) -> tuple[list[_Beside], list[Inventory]]:
    """Files of variables, and inventories to which they are given."""
    beside: list[_Beside] = []
    inventories: list[Inventory] = []
    root = os.path.commonpath([str(PurePath(file.name).parent) for file in inputs.files] or [""])
    for file in inputs.files:
        path = PurePath(file.name)
        if len(inputs.files) > 1 and _OTHER_FOLDERS & set(path.relative_to(root).parts[:-1]):
            continue
        try:
            if (found := _beside(path, file)) is not None:
                beside.append(found)
            else:
                inventories.append(files.load(file, report))
        except FormatError as error:  # the other files still count
            report.partial(file.at(error.findings[0].line), error.findings[0].message)
    for one in beside:
        _give(one, inventories, report)
    return beside, inventories


def _beside(path: PurePath, file: TextFile) -> _Beside | None:
    for at, part in enumerate(path.parts[:-1]):
        if part in _VARIABLE_FOLDERS:
            owner = path.parts[at + 1]
            for suffix in (".yml", ".yaml", ".json"):
                owner = owner.removesuffix(suffix)
            return _Beside(PurePath(*path.parts[:at]), part, owner, file)
    return None


def _give(one: _Beside, inventories: list[Inventory], report: Report) -> None:
    """Variables to the inventories that Ansible would give them to; to a new one, if to none."""
    rows = files.variables_of(one.file, report)
    near = [
        inventory
        for inventory in inventories
        if PurePath(inventory.file.name).is_relative_to(one.base)
    ]
    if not near:
        near = [Inventory(one.file)]
        inventories += near
    for row in rows:
        for inventory in near:
            if one.folder == "group_vars":
                inventory.scopes.append(Scope(row, one.file, group=one.owner))
            elif machine := inventory.machines.get(one.owner):
                machine.take(row, one.file.at(row.line))
                inventory.scopes.append(Scope(row, one.file, machine=one.owner))


# --- one inventory ---


def _facts(inventory: Inventory, report: Report) -> Iterator[Fact]:
    for scope in inventory.scopes:
        machine = inventory.machines.get(scope.machine or "")
        if machine is not None and scope.row is not machine.values:
            _take_later(machine, scope)
        yield from facts_of(scope, _owner(scope, machine), report)
    yield from _Machines(inventory, report).facts()


def _take_later(machine: Machine, scope: Scope) -> None:
    """``_meta`` of an inventory script may tell of a machine before its group does."""
    missing = Row()
    for key in scope.row:
        if key not in machine.values:
            missing[key] = scope.row[key]
    machine.take(missing, scope.file.at(scope.row.line))


def _owner(scope: Scope, machine: Machine | None) -> str | None:
    """The group for which a variable holds."""
    group = scope.group or next(iter(machine.groups if machine else ()), None)
    return None if group is None or is_everybody(group) else group


class _Machines:
    """The machines of an inventory, by what their groups say."""

    def __init__(self, inventory: Inventory, report: Report) -> None:
        self._inventory = inventory
        self._report = report
        names = list(inventory.children)
        direct = {group for machine in inventory.machines.values() for group in machine.groups}
        self._roles = roles(names, direct, self._told())
        self._storage = nearest(self._roles, Kind.STORAGE_NODE, inventory.children)
        self._databases: dict[str, str] = {}
        if not inventory.in_containers:
            self._databases = nearest(self._roles, Kind.DBNODE, inventory.children)
        self._local = {
            scope.group
            for scope in inventory.scopes
            if scope.machine is None and text(scope.row.get("ansible_connection")) == "local"
        }

    def _told(self) -> dict[str, Kind]:
        """Groups whose variables say what they are."""
        found = {
            scope.group: told_by(scope.row)
            for scope in self._inventory.scopes
            if scope.group and not is_everybody(scope.group) and told_by(scope.row)
        }
        return {group: kind for group, kind in found.items() if kind is not None}

    def facts(self) -> Iterator[Fact]:
        for machine in self._inventory.machines.values():
            if not machine.is_local() and not self._local & machine.groups.keys():
                yield from self._facts_of(machine)

    def _facts_of(self, machine: Machine) -> Iterator[Fact]:
        where, name = machine.any_address(), machine.shown_name()
        if where is None and machine.is_unfilled():
            self._report.warn(machine.place, "address is still to be filled in; known by its name")
        storage = _chosen(machine.groups, self._storage)
        database = _chosen(machine.groups, self._databases)
        if storage is not None:
            yield StorageNode(
                place=machine.place, where=where, name=name, belongs_to=storage,
                drives=_drives(machine.values),
            )  # fmt: skip
        if database is not None:
            yield DatabaseNode(
                place=machine.place, where=where, name=name, belongs_to=database,
                role=_role(machine.values),
            )  # fmt: skip
        others = [group for group in machine.groups if not is_everybody(group)]
        if storage is None or any(group not in self._roles for group in others):
            yield Host(
                place=machine.place, where=where, name=name, aliases=machine.aliases(),
                belongs_to=None if storage else next(iter(others), None),
            )  # fmt: skip
        for before, (place, group) in machine.earlier.items():
            if before != where:
                owner = None if is_everybody(group) else group
                yield Host(place=place, where=before, name=name, belongs_to=owner)


def _chosen(groups: Iterable[str], found: dict[str, str]) -> str | None:
    """The storage group of a machine: one that it stands in itself, else one further up."""
    own = next((group for group in groups if found.get(group) == group), None)
    return own or next((found[group] for group in groups if group in found), None)


def _role(values: dict[str, Any]) -> str | None:
    found = (text(values.get(key)) for key in _ROLES)
    return next((role for role in found if words.is_host_name(role)), None)


def _drives(values: dict[str, Any]) -> int | None:
    for key in _DEVICES:
        value = values.get(key)
        if isinstance(value, str) and len(value) < _LITERAL:
            try:
                value = ast.literal_eval(value)
            except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                continue
        if isinstance(value, Items | list) and value:
            return len(value)
    return None


SOURCE: Final = WholeSource(
    "ansible", "Ansible inventories and OpenStack-Ansible's user configuration", NAMES, _read
)
