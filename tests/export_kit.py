"""What the tests of exports share: areas with the classes that ship, and objects in them."""

from dataclasses import replace

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import ClassDef, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.formats.classes import shipped
from rwhoisd.formats.export_walk import Entry, Gate

SHIPPED = tuple(map(shipped, ("network", "organization", "contact", "host", "guardian")))
INVENTORY = tuple(map(shipped, ("vip", "real-server", "storage-node", "database-node")))
SOA = Soa(
    "20260105093000000", primary_server="rwhois.example.net:4321", hostmaster="dns@example.net"
)


def area(name: str = "192.0.2.0/24", *classes: ClassDef, **facts: object) -> AuthorityArea:
    """An area with classes that ship, or with others."""
    schema = Schema(classes or (*SHIPPED, *INVENTORY))
    made = AuthorityArea(AreaName.from_text(name), SOA, schema)
    return replace(made, **facts)  # type: ignore[arg-type]


def obj(class_name: str, text: str, where: AuthorityArea | None = None) -> Object:
    """An object of ``Attribute: value`` lines."""
    lines = tuple(
        (name.strip(), value.strip())
        for name, _, value in (line.partition(":") for line in text.strip().splitlines())
    )
    return Object((where or area()).name.text, class_name, lines)


def entry(class_name: str, text: str, where: AuthorityArea | None = None) -> Entry:
    """The same on its way out."""
    where = where or area()
    class_def = where.schema.class_def(class_name)
    assert class_def is not None
    found = Gate(public=False, current=False).entry(obj(class_name, text, where), class_def, where)
    assert found is not None
    return found
