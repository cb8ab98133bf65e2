"""Database clusters of MySQL: mysql-mmm, MHA, MaxScale, Galera and ProxySQL.

Each has its own file, told by what stands in it. Only addresses, names, ports and roles are
taken: all these files hold passwords.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from rwhoisd.inventory.facts import Fact
from rwhoisd.inventory.source import FileSource, Inputs, Report, TextFile
from rwhoisd.inventory.sources.mysql_ini import read_ini
from rwhoisd.inventory.sources.mysql_mmm import read_mmm
from rwhoisd.inventory.sources.mysql_proxysql import (
    read_cnf,
    read_json,
    read_sql,
)

_Reader = Callable[[TextFile, Inputs, Report], Iterator[Fact]]
# The first whose mark is in a file reads it.
_READERS: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = (
    (re.compile(r"\A\s*[{\[]\s*[\"{\]}\[]"), read_json),
    (
        re.compile(r"^[ \t]*(?:<\s*(?:host|role|monitor|check)\b|include\s+mmm)", re.MULTILINE),
        read_mmm,
    ),
    (
        re.compile(
            r"\b(?:INSERT|REPLACE)\b[^;]{0,80}?\b(?:runtime_)?(?:my|pg)sql_\w*(?:servers|hostgroups)\b"
            r"|\|\s*host(?:name|group_id)\s*\|",
            re.IGNORECASE,
        ),
        read_sql,
    ),
    (re.compile(r"\b(?:my|pg)sql_servers\s*[=:]?\s*[(\[]"), read_cnf),
    (re.compile(r"^[ \t]*\[[^\]\n]+\]|\bwsrep[_-]", re.MULTILINE), read_ini),
)


def _read(file: TextFile, inputs: Inputs, report: Report) -> Iterator[Fact]:
    reader = next((read for mark, read in _READERS if mark.search(file.text)), None)
    if reader is not None:
        yield from reader(file, inputs, report)
    elif file.text.strip():
        report.warn(
            file.at(1), "is no file of mysql-mmm, MHA, MaxScale, Galera or ProxySQL; skipped"
        )


SOURCE: Final = FileSource(
    "mysql",
    "mysql-mmm, MHA, MaxScale, Galera and ProxySQL: database nodes, VIPs of mysql-mmm's roles",
    ("*mmm*.conf", "*.cnf", "*mha*.conf", "*proxysql*.conf", "*proxysql*.sql", "*proxysql*.json"),
    _read,
)
