"""A small installation of ARIN's rwhoisd on disk, for tests that change one thing of it."""

from collections.abc import Mapping
from pathlib import Path

TEMPLATE = """\
attribute: Name
attribute-alias: N
is-primary-key: TRUE
is-required: TRUE
index: EXACT
---
attribute: Phone
format: re: ^[+][0-9-]+$
index: EXACT
---
attribute: Notes
is-multi-line: TRUE
---
attribute: Rep
is-repeatable: TRUE
index: EXACT
---
attribute: Net
index: CIDR
---
attribute: Boss
type: ID
index: EXACT
"""
SOA = """\
Serial-Number: 20240115093000000
Refresh-Interval: 3600
Increment-Interval: 1800
Retry-Interval: 60
Time-To-Live: 86400
Primary-Server: rwhois.a.com:4321
Hostmaster: hostmaster@a.com
"""
AREA = """\
type: master
name: a.com
data-dir: a/data
schema-file: a/schema
soa-file: a/soa
"""
SCHEMA = """\
name: thing
alias: item
attributedef: a/thing.tmpl
dbdir: a/data/thing
description: Things
schema-version: 1.0
"""
FILES = {
    "rwhoisd.conf": "local-host: rwhois.a.com\nsecurity-allow: allow\nsecurity-deny: deny\n",
    "rwhoisd.auth_area": AREA,
    "rwhoisd.dir": "",
    "rwhoisd.x.dir": "",
    "rwhoisd.root": "",
    "allow": "",
    "deny": "",
    "a/schema": SCHEMA,
    "a/soa": SOA,
    "a/thing.tmpl": TEMPLATE,
    "a/data/thing/thing.txt": "ID:1.a.com\nName:one\n---\nID:2.a.com\nName:two\n",
}


def lay(root: Path, changes: Mapping[str, str | bytes | None] | None = None) -> Path:
    """Write the tree below ``root``; None leaves a file out. Gives the path of the conf."""
    for name, content in {**FILES, **(changes or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink(missing_ok=True)
        else:
            data = content if isinstance(content, bytes) else content.encode("latin-1")
            path.write_bytes(data)
    return root / "rwhoisd.conf"
