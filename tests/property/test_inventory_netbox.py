"""Exports of address managers and mapped tables, broken in every way: no error, no secret."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory.scan import Reading, in_order
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.table import SOURCE
from tests.property.inventory_kit import SECRETS, UNHURRIED, mangled, read_text, said, soups

FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures"
KINDS: Final = ("netbox", "ipam-other")
TOKENS: Final = (
    "{", "}", "[", "]", ":", ",", '"', "- ", "---", "#", ";", "|", '"results":', '"count": 2',
    '"next": "x"', '"id": 1', '"address": "192.0.2.1/24"', '"prefix": "192.0.2.0/24"', '"model":',
    '"ipam.ipaddress"', '"fields": {', '"role": "vip"', '"status": {"value": 1}', '"ports": [80]',
    '"protocol": "tcp"', '"ipaddresses": [', '"start_address"', '"end_address"', "header-network",
    "network", "address*", "netmask*", "assignment", "reservation", "host", "192.0.2.1",
    "10.0.0.0/8", "2001:db8::/32", "255.255.255.0", "prefix,status", "ip address;hostname",
    "null", "true", "1e999", "9" * 40, "{{ ip }}", "&a", "*a", "<<: *a",
    "!!python/object:os.system", "\ufeff", "\\u0000",
)  # fmt: skip
SECRET_FIELDS: Final = (
    "password", "auth_key", "token", "key", "secret", "community", "comments", "description",
    "note", "snmp_community", "api_token", "owner", "mac", "custom_fields", "config_context",
)  # fmt: skip


@cache
def fixtures(kind: str) -> tuple[str, ...]:
    paths = sorted((FIXTURES / kind).iterdir())
    return tuple(path.read_text() for path in paths if not path.name.endswith(".expected.json"))


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(text=st.text(max_size=300) | soups(TOKENS))
def test_any_text_is_read_without_an_error(kind: str, text: str) -> None:
    read_text(kind, text)


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(data=st.data())
def test_a_broken_export_is_read_without_an_error(kind: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(fixtures(kind)))
    read_text(kind, data.draw(mangled(text)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["192.0.2.1/24", "10.0.0.0/8", "vip", "ipam.fhrpgroup", "80-90", "tcp"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "name", "address", "device", "value"]), inner),
    max_leaves=8,
)  # fmt: skip
NAMES: Final = (
    "id", "url", "model", "pk", "fields", "address", "prefix", "network", "cidr", "subnet", "mask",
    "mask_bits", "ip", "role", "status", "type", "start_address", "end_address", "ports", "port",
    "protocol", "ipaddresses", "ip_addresses", "device", "virtual_machine", "parent_object_type",
    "parent_object_id", "assigned_object_type", "assigned_object_id", "assigned_object", "name",
    "interface", "interfaces", "primary_ip4", "group_id", "results", "count", "next", "names",
    "_ref", "extattrs", "types", "isFolder", "display_prefix", "properties", "scope", "scope_type",
    "available", "hostname", "start_addr", "end_addr", "tenant", "site", "rir", "total_count",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(records=st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), max_size=4))
def test_any_record_is_read_without_an_error(kind: str, records: list[dict[str, Any]]) -> None:
    read_text(kind, json.dumps(records))


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(secret=SECRETS, name=st.sampled_from(SECRET_FIELDS), at=st.integers(0, 100))
def test_a_secret_of_a_record_is_not_let_out(kind: str, secret: str, name: str, at: int) -> None:
    texts = [text for text in fixtures(kind) if text.lstrip()[:1] in "[{" and text.count("{") > 2]
    text = texts[at % len(texts)]
    places = [n for n, char in enumerate(text) if char == "{" and text[n + 1 : n + 2] == '"']
    place = places[at % len(places)] + 1
    planted = f'{text[:place]}"{name}": "{secret}", {text[place:]}'
    assert secret not in said(read_text(kind, planted))


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(secret=SECRETS, name=st.sampled_from(SECRET_FIELDS), separator=st.sampled_from(",;\t|"))
def test_a_secret_of_a_sheet_is_not_let_out(
    kind: str, secret: str, name: str, separator: str
) -> None:
    lines = [("prefix", name, "status"), ("192.0.2.0/24", secret, "active"), ("x", secret, secret)]
    text = "\n".join(separator.join(line) for line in lines)
    reading = read_text(kind, text)
    assert len(reading.facts) == 1
    assert secret not in "".join(map(str, reading.findings))
    assert secret not in said(reading)


# --- mapped tables ---

MAPPING: Final = """
[[record]]
column.kind = "k"
column.address = "ip"
column.name = "n"
column.port = "p"
column.belongs-to = "o"
map.kind = { a = "vip", b = "rip", c = "network", d = "storage-node" }
"""


def read_table(mapping: str, text: str) -> Reading:
    reading, report = Reading("table"), Report()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "map.toml"
        path.write_text(mapping, "utf-8", "replace")
        inputs = Inputs((TextFile("t", text),), settings={"mapping": str(path)})
        try:
            reading.facts = list(in_order(SOURCE.read(inputs, report)))
        except FormatError as error:
            reading.failures += error.findings
    reading.findings = report.findings
    return reading


CELLS = st.text("ab,;/.:019 x", max_size=12) | st.sampled_from(
    ["a", "b", "c", "d", "192.0.2.1", "80,443/udp", "2001:db8::1", "{{ x }}", '"', "#"]
)


@UNHURRIED
@given(
    rows=st.lists(st.lists(CELLS, max_size=7), max_size=6),
    separator=st.sampled_from(",;\t|"),
    secret=SECRETS,
)
def test_any_table_is_read_without_an_error_or_a_secret(
    rows: list[list[str]], separator: str, secret: str
) -> None:
    header = separator.join(["k", "ip", "n", "p", "o", "password"])
    good = separator.join(["b", "192.0.2.9", "web9", "80", "x", secret])
    text = "\n".join([header, good, *(separator.join(row) for row in rows)])
    reading = read_table(MAPPING, text)
    assert reading.facts[0].name == "web9"
    assert secret not in said(reading)


@UNHURRIED
@given(rows=st.lists(st.dictionaries(st.sampled_from(["k", "ip", "n", "p", "o"]), VALUES)))
def test_any_json_table_is_read_without_an_error(rows: list[dict[str, Any]]) -> None:
    read_table(MAPPING, json.dumps(rows))


@UNHURRIED
@given(data=st.data())
def test_any_mapping_is_right_or_told(data: st.DataObject) -> None:
    tokens = (
        "[[record]]", "[record.column]", "column.", "constant.", "map.kind", "only.", "not.",
        "kind", "address", " = ", '"vip"', '"ip"', "{", "}", "[", "]", "a", "1", "rows",
        "separator",
    )  # fmt: skip
    mapping = data.draw(mangled(MAPPING) | soups(tokens, most=30))
    read_table(mapping, "k,ip\na,192.0.2.1\n")
