"""The machines of a Ceph cluster, joined by name over the outputs of several commands."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch

from rwhoisd.inventory import words
from rwhoisd.inventory.facts import Address, Fact, Host, Place, StorageNode


@dataclass
class Machine:
    """What is known of one machine; ``paths`` are the buckets above it, outermost first."""

    name: str
    place: Place
    is_storage: bool = False
    disks: set[str] = field(default_factory=set)
    paths: list[list[str]] = field(default_factory=list)
    addresses: dict[Address, None] = field(default_factory=dict)  # in order
    labels: set[str] = field(default_factory=set)  # of cephadm
    capacity: str | None = None

    def add(self, where: Address | None) -> None:
        """One more address of it."""
        if where is not None:
            self.addresses[where] = None

    def add_disks(self, numbers: Iterable[str]) -> None:
        """OSDs on it, by number."""
        self.is_storage = True
        self.disks.update(numbers)

    def put(self, path: list[str]) -> None:
        """Where it stands in the CRUSH tree."""
        if path and path not in self.paths:
            self.paths.append(path)

    def take(self, other: "Machine") -> None:
        """What another output says of the same machine."""
        self.is_storage |= other.is_storage
        self.disks |= other.disks
        self.labels |= other.labels
        for path in other.paths:
            self.put(path)
        for where in other.addresses:
            self.add(where)
        self.capacity = self.capacity or other.capacity

    def facts(self) -> Iterator[Fact]:
        """A fact for each address and each bucket above it."""
        name = self.name or None
        known: list[Address | None] = [*self.addresses]
        for where in known or [None]:
            if not self.is_storage:
                yield Host(place=self.place, where=where, name=name)
                continue
            for path in self.paths or [[]]:
                yield StorageNode(
                    place=self.place,
                    where=where,
                    name=name,
                    belongs_to=path[-1] if path else None,
                    crush_place="/".join(path) or None,
                    drives=len(self.disks) or None,
                    capacity=self.capacity,
                )


class Cluster:
    """Machines by name, or by address where a command tells no name."""

    def __init__(self) -> None:
        self._machines: dict[str, Machine] = {}
        self._disks: dict[str, tuple[list[Address], Place]] = {}
        self._wanted: dict[tuple[str, str], None] = {}

    def machine(self, name: str, place: Place, where: Address | None = None) -> Machine:
        """The machine of this name, a new one when it was not named yet."""
        if not words.is_host_name(name):
            where = words.address(name) or where
            name = ""
        machine = self._machines.get(name.lower() or str(where), Machine(name, place))
        machine.add(where)
        if name or where:
            self._machines[name.lower() or str(where)] = machine
        return machine

    def disk_at(self, number: str, addresses: list[Address], place: Place) -> None:
        """Where the daemon of an OSD listens; another command may tell on which machine it is."""
        if addresses:
            self._disks[number] = addresses, place

    def place_disks(self, label: str, pattern: str) -> None:
        """A spec of cephadm puts OSDs on machines with a label, or names like a pattern."""
        self._wanted[label, pattern] = None

    def facts(self) -> Iterator[Fact]:
        """The facts of all machines."""
        for label, pattern in self._wanted:
            for machine in self._machines.values():
                fits = fnmatch(machine.name, pattern) if pattern else label in machine.labels
                machine.is_storage |= bool(machine.name) and fits
        self._join_domains()
        self._join_addresses()
        self._join_disks()
        for machine in self._machines.values():
            yield from machine.facts()

    def _join_domains(self) -> None:
        """``node1`` of one command is ``node1.example.net`` of another, if there is but one."""
        full: dict[str, list[str]] = defaultdict(list)
        for name in self._machines:
            short, dot, _ = name.partition(".")
            if dot and words.address(name) is None:
                full[short].append(name)
        for short, names in full.items():
            if len(names) == 1 and short in self._machines:
                self._machines[short].take(self._machines.pop(names[0]))

    def _join_addresses(self) -> None:
        """A machine known by address only may be one that has a name."""
        named = {
            where: machine
            for machine in self._machines.values()
            if machine.name
            for where in machine.addresses
        }
        for key, machine in list(self._machines.items()):
            other = next((named[one] for one in machine.addresses if one in named), None)
            if not machine.name and other is not None:
                other.take(self._machines.pop(key))

    def _join_disks(self) -> None:
        """OSDs whose machine is not told are on a machine of their own address."""
        owners = {disk: machine for machine in self._machines.values() for disk in machine.disks}
        places = {
            where: machine for machine in self._machines.values() for where in machine.addresses
        }
        for number, (addresses, place) in self._disks.items():
            machine = owners.get(number) or places.get(addresses[0])
            if machine is None:
                machine = self.machine("", place, addresses[0])
                places[addresses[0]] = machine
            machine.add_disks([number])
            for where in addresses:
                machine.add(where)
