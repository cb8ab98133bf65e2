"""Networks in the layout of an ARIN installation, and the queries that ask for them.

The networks nest as an operator's do: 10.0.0.0/8, its /16s, their /24s, fifteen /29s in each
/24, numbered in address order; where more are asked for than these, single addresses instead of
/29s. Twenty networks share a contact and the first part of their name. Nothing is random but the
order of the queries, so a number of networks names a data set.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

AREA: Final = "10.0.0.0/8"
PER_CONTACT: Final = 20  # networks with one contact and one name prefix
QUERY_SEED: Final = 4321
_BATCH: Final = 20_000  # records in one write

_CITIES: Final = (
    "Springfield", "Riverton", "Lakewood", "Fairview", "Georgetown", "Salem", "Madison", "Clinton",
)  # fmt: skip
_STATES: Final = ("VA", "CA", "TX", "NY", "WA", "CO", "IL", "FL")
_FIRST: Final = ("Jane", "John", "Maria", "Wei", "Amit", "Olga", "Luis", "Aisha")
_LAST: Final = ("Doe", "Public", "Garcia", "Chen", "Singh", "Ivanova", "Lopez", "Khan")


class Smallest(NamedTuple):
    """The networks that no other lies in: so many in each /24, of that length."""

    per_24: int
    length: int

    @property
    def most(self) -> int:
        """Networks of all lengths that fit into 10.0.0.0/8."""
        return 1 + 256 * (1 + 256 * (1 + self.per_24))


SMALLEST: Final = (Smallest(15, 29), Smallest(160, 32))
MOST_NETWORKS: Final = max(smallest.most for smallest in SMALLEST)


class Block(NamedTuple):
    """One network 10.``b``.``c``.``d``/``length``; ``number`` counts them from 0."""

    number: int
    b: int
    c: int
    d: int
    length: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute definition of an ARIN template; the defaults are the template's own."""

    name: str
    alias: str
    index: str = "NONE"
    type: str = "TEXT"
    required: bool = False
    primary: bool = False
    hierarchical: bool = False

    def to_text(self) -> str:
        """The record in the words of arin-rwhoisd.md §11.5."""
        flags = {
            "is-primary-key": self.primary,
            "is-required": self.required,
            "is-repeatable": False,
            "is-multi-line": False,
            "is-hierarchical": self.hierarchical,
        }
        return (
            f"attribute: {self.name}\nattribute-alias: {self.alias}\ndescription: {self.name}\n"
            + "".join(f"{tag}: {str(on).upper()}\n" for tag, on in flags.items())
            + f"index: {self.index}\ntype: {self.type}\n"
        )


_NETWORK: Final = (
    Attribute("Network-Name", "NN", required=True, index="EXACT"),
    Attribute("IP-Network", "IPN", index="CIDR", required=True, primary=True, hierarchical=True),
    Attribute("Org-Name", "ON", index="EXACT"),
    Attribute("Street-Address", "SA"),
    Attribute("City", "C"),
    Attribute("State", "ST"),
    Attribute("Postal-Code", "PC"),
    Attribute("Country-Code", "CC"),
    Attribute("Tech-Contact", "TC", type="ID"),
    Attribute("Created", "CR"),
    Attribute("Updated-By", "UB"),
)
_CONTACT: Final = (
    Attribute("Name", "N", required=True, primary=True, index="EXACT"),
    Attribute("Email", "EM", required=True, primary=True, index="EXACT"),
    Attribute("Type", "T"),
    Attribute("First-Name", "FN", index="EXACT"),
    Attribute("Last-Name", "LN", index="EXACT"),
    Attribute("Phone", "PH"),
    Attribute("Organization", "ORG"),
    Attribute("Created", "CR"),
    Attribute("Updated-By", "UB"),
)
CLASSES: Final = {"network": _NETWORK, "contact": _CONTACT}


def blocks(count: int) -> Iterator[Block]:
    """The first ``count`` networks, in address order and enclosing before enclosed.

    Raises: ValueError, when 10.0.0.0/8 does not hold that many.
    """
    if not 1 <= count <= MOST_NETWORKS:
        raise ValueError(f"{count} networks: one to {MOST_NETWORKS} fit into {AREA}")
    smallest = next(s for s in SMALLEST if count <= s.most)
    return (Block(i, *place) for i, place in enumerate(islice(_places(smallest), count)))


def _places(smallest: Smallest) -> Iterator[tuple[int, int, int, int]]:
    yield 0, 0, 0, 8
    for b in range(256):
        yield b, 0, 0, 16
        for c in range(256):
            yield b, c, 0, 24
            for slot in range(smallest.per_24):
                yield b, c, slot << 32 - smallest.length, smallest.length


def network_name(number: int) -> str:
    """Name of a network: the first part is shared by the ``PER_CONTACT`` of one contact."""
    return f"ACME-{number // PER_CONTACT:06d}-{number % PER_CONTACT:02d}"


def network_record(block: Block) -> str:
    """The object of a network: 14 attribute lines, about 0.4 kB."""
    i, b, c, d, length = block
    return (
        f"ID: NET-10-{b}-{c}-{d}-{length}.{AREA}\nAuth-Area: {AREA}\n"
        f"Network-Name: {network_name(i)}\nIP-Network: 10.{b}.{c}.{d}/{length}\n"
        f"Org-Name: Customer {i} Networks, Inc.\n"
        f"Street-Address: {100 + i % 900} Example Street, Suite {i % 77}\n"
        f"City: {_CITIES[i % 8]}\nState: {_STATES[i // 8 % 8]}\n"
        f"Postal-Code: {10000 + i % 89999}\nCountry-Code: US\n"
        f"Tech-Contact: C{i // PER_CONTACT}.{AREA}\n"
        f"Created: 2019{1 + i % 12:02d}{1 + i % 28:02d}\n"
        f"Updated: 2024{1 + i % 12:02d}{1 + i % 28:02d}\nUpdated-By: hostmaster@example.net\n"
    )


def contact_record(number: int) -> str:
    """The object of a contact."""
    first, last = _FIRST[number % 8], _LAST[number // 8 % 8]
    return (
        f"ID: C{number}.{AREA}\nAuth-Area: {AREA}\nName: {last}, {first} {number}\n"
        f"Email: c{number}@example.net\nType: I\nFirst-Name: {first}\n"
        f"Last-Name: {last}{number // 64}\n"
        f"Phone: +1-555-{number % 1000:03d}-{number % 10000:04d}\n"
        f"Organization: Customer {number * PER_CONTACT} Networks, Inc.\n"
        "Created: 20190101\nUpdated: 20240101\nUpdated-By: hostmaster@example.net\n"
    )


def contact_count(networks: int) -> int:
    """Contacts that ``networks`` networks need."""
    return -(-networks // PER_CONTACT)


def write_installation(root: Path, count: int, port: int) -> None:
    """Write an ARIN installation of ``count`` networks below ``root``, as yet without index.

    Data goes to net/data/CLASS/CLASS.txt; the indexer's suffix is "txt". A million networks
    take about four seconds and 0.4 GB.
    """
    write_configuration(root, port)
    _write_records(data_file(root, "network"), map(network_record, blocks(count)))
    contacts = map(contact_record, range(contact_count(count)))
    _write_records(data_file(root, "contact"), contacts)


def data_file(root: Path, class_name: str) -> Path:
    """Where the objects of a class stand."""
    return root / "net/data" / class_name / f"{class_name}.txt"


def write_configuration(root: Path, port: int) -> None:
    """Write all but the objects: the configuration of an installation that hides nothing."""
    for folder in ("net/attribute_defs", "net/data/network", "net/data/contact", "register_spool"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in _configuration(root, port).items():
        (root / name).write_text(text, encoding="ascii")


def _configuration(root: Path, port: int) -> dict[str, str]:
    templates = {
        f"net/attribute_defs/{name}.tmpl": "---\n".join(a.to_text() for a in attributes)
        for name, attributes in CLASSES.items()
    }
    schema = (
        f"name: {name}\nattributedef: net/attribute_defs/{name}.tmpl\n"
        f"dbdir: net/data/{name}\nSchema-Version: 20240101000000000\n"
        for name in CLASSES
    )
    return templates | {
        "net/schema": "---\n".join(schema),
        "net/soa": (
            "Serial-Number: 20240101000000000\nRefresh-Interval: 3600\nIncrement-Interval: 1800\n"
            "Retry-Interval: 60\nTime-To-Live: 86400\nPrimary-Server: rwhois.example.net:4321\n"
            "Hostmaster: hostmaster@example.net\n"
        ),
        "rwhoisd.auth_area": (
            f"type: master\nname: {AREA}\ndata-dir: net/data\n"
            "schema-file: net/schema\nsoa-file: net/soa\n"
        ),
        "rwhoisd.allow": "rwhoisd:ALL\n",
        "rwhoisd.deny": "\n",
        "rwhoisd.root": "rwhois://root.example.net:4321/auth-area=.\n",
        "rwhoisd.dir": "class: yes\n",  # all are on unless said otherwise
        "rwhoisd.x.dir": "",
        "rwhoisd.conf": (
            f"root-dir: {root.resolve()}\nsecurity-allow: rwhoisd.allow\n"
            "security-deny: rwhoisd.deny\nuserid: root\npid-file: rwhoisd.pid\nuse-syslog: NO\n"
            "default-log-file: rwhoisd.log\nverbosity: 2\nlocal-host: localhost\n"
            f"local-port: {port}\nmax-hits-ceiling: 10000\nmax-children: 0\n"
            "listen-queue-length: 4096\ndeadman-time: 600\n"
            "server-contact: hostmaster@example.net\n"
        ),
    }


def _write_records(path: Path, records: Iterator[str]) -> None:
    """Write records with separators between them, a batch at a time."""
    with path.open("w", encoding="ascii") as file:
        separator = ""
        while batch := list(islice(records, _BATCH)):
            file.write(separator + "---\n".join(batch))
            separator = "---\n"


def _name_queries(count: int) -> list[str]:
    return [f"network {network_name(i)}" for i in range(count)]


def _address_queries(count: int) -> list[str]:
    """One address inside each smallest network; the /8's own when there are none."""
    small = (block for block in blocks(count) if block.length > 24)
    queries = [
        f"network 10.{n.b}.{n.c}.{n.d + (1 + i % 6 if n.length == 29 else 0)}"
        for i, n in enumerate(small)
    ]
    return queries or ["network 10.0.0.1"]


def _prefix_queries(count: int) -> list[str]:
    """One wildcard for each full group of ``PER_CONTACT`` names, else for the only group."""
    return [f"network ACME-{group:06d}*" for group in range(max(1, count // PER_CONTACT))]


def _hot_queries(count: int) -> list[str]:
    """One line, asked again and again: what an answer cache is worth."""
    return _name_queries(count)[count // 2 : count // 2 + 1]


QUERIES: Final[dict[str, Callable[[int], list[str]]]] = {
    "name": _name_queries,  # one record, 0.5 kB
    "addr": _address_queries,  # the whole chain /29 /24 /16 /8: four records, 2 kB
    "wild": _prefix_queries,  # twenty records, 10 kB
    "hot": _hot_queries,
}


def queries(kind: str, count: int, seed: int = QUERY_SEED) -> Sequence[str]:
    """All different queries of one kind for ``count`` networks, in an order set by ``seed``."""
    lines = QUERIES[kind](count)
    random.Random(seed).shuffle(lines)
    return lines


def write_queries(folder: Path, count: int, kinds: Iterable[str] = QUERIES) -> None:
    """Write ``folder``/KIND, one query to a line, for each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        text = "\n".join(queries(kind, count)) + "\n"
        (folder / kind).write_text(text, encoding="ascii")
