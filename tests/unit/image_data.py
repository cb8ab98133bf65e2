"""A small directory for the tests of the image, and its state after any number of changes."""

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, AttributeType, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.testing.memory_source import MemorySource

A = AttributeDef
NETWORK = ClassDef(
    "network",
    (
        A("Network-Name", aliases=("NN",), index=IndexType.EXACT),
        A("IP-Network", index=IndexType.CIDR),
        A("Org-Name", index=IndexType.ALL),
        A("Tech-Contact", type=AttributeType.ID, index=IndexType.EXACT),
        A("City"),
    ),
)
REFERRAL = ClassDef(
    "referral",
    (A("Referred-Auth-Area", index=IndexType.ALL, repeatable=True), A("Referral", repeatable=True)),
)
NET10 = AuthorityArea(
    AreaName.from_text("10.0.0.0/8"), Soa("1"), Schema((NETWORK, REFERRAL)), position=0
)
EXAMPLE = AuthorityArea(
    AreaName.from_text("example.net"), Soa("1"), Schema((REFERRAL, NETWORK)), position=1
)


def network(name: str, block: str, *more: tuple[str, str], area: str = "10.0.0.0/8") -> Object:
    """A network object."""
    lines = (("ID", f"{name}.{area}"), ("Network-Name", name), ("IP-Network", block), *more)
    return Object(area, "network", lines)


def referral(referred: str, *urls: str, area: str = "10.0.0.0/8", order: int = 0) -> Object:
    """A referral object."""
    lines = (("Referred-Auth-Area", referred), *(("Referral", url) for url in urls))
    return Object(area, "referral", lines, order=order)


def after_steps(count: int) -> MemorySource:
    """A directory of forty networks after ``count`` changes, the same ones each time."""
    source = MemorySource(NET10, EXAMPLE)
    for i in range(40):
        source.add(network(f"NET-{i}", f"10.{i}.0.0/16", ("Org-Name", f"Org {i % 3}")))
    for step in range(count):
        one_step(source, step)
    return source


def one_step(source: MemorySource, step: int) -> None:
    """One change: objects come, change and go."""
    rows = [stored.row for stored in source.stored()]
    row = rows[step * 7 % len(rows)]
    obj = network(
        f"STEP-{step}", f"10.{step % 250}.{step % 7}.0/24", ("Org-Name", f"Org {step % 3}")
    )
    if step % 4 == 3 and len(rows) > 20:
        source.delete(row)
    elif step % 4 == 2:
        source.modify(row, obj)
    else:
        source.add(obj)
