"""``rwhois-admin``: thin verbs over functions of the layers below."""

from typing import Annotated

import typer

from rwhoisd.admin import (
    addresses,
    db,
    deferred,
    editing,
    exporting,
    guardian,
    image,
    inventory,
    loading,
    objects,
)
from rwhoisd.version import version_option

app = typer.Typer(
    name="rwhois-admin",
    help="Look after the directory: load and check data, take over an ARIN installation, look at"
    " what is stored. Exit status: 0 done, 1 refused or something found, 2 misused.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

# Verb → function and example; the help of each ends with its example.
_VERBS = (
    ("init", loading.init, "init /etc/rwhoisd --area example.net --area 192.0.2.0/24"),
    ("load", loading.load, "load --dry-run zones/example.net"),
    ("check", loading.check, "check zones"),
    ("import", loading.import_, "import arin /home/rwhoisd/rwhoisd.conf --dry-run"),
    ("show", objects.show, "show 192.0.2.0/24 network"),
    ("find", objects.find, "find 192.0.2.77"),
    (
        "add",
        editing.add,
        "add example.net host --set Host-Name=a.example.net --set IP-Address=192.0.2.9",
    ),
    ("edit", editing.edit, "edit NET-2.192.0.2.0/24 --set City=Richmond"),
    ("delete", editing.delete, "delete NET-2.192.0.2.0/24"),
    ("undo", editing.undo, "undo 20260131120000000"),
    ("assign", addresses.assign_, "assign --from 192.0.2.0/24 --size 29 --org ORG-1.example.net"),
    ("release", addresses.release_, "release 192.0.2.64/29"),
    ("utilization", addresses.utilization_, "utilization 192.0.2.0/24 --svg space.svg"),
    ("soa", objects.soa, "soa example.net"),
    ("journal", objects.journal, "journal NET-2.192.0.2.0/24"),
    ("notices", objects.notices, "notices --json"),
    ("status", objects.status, "status --json"),
    ("deferred", deferred.deferred, "deferred --retry 01790000000000000000-0123abcd"),
)
for _name, _verb, _example in _VERBS:
    app.command(_name, epilog=f"Example: rwhois-admin {_example}")(_verb)
app.add_typer(exporting.app, name="export")
app.add_typer(image.app, name="image")
app.add_typer(db.app, name="db")
app.add_typer(guardian.app, name="guardian")
app.add_typer(inventory.app, name="inventory")


@app.callback()
def options(
    show_version: Annotated[bool, version_option("rwhois-admin")] = False,
) -> None:
    """Options before the verb."""


def main() -> None:
    """The ``rwhois-admin`` command."""
    app()
