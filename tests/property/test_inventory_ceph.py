"""Whatever the outputs of Ceph hold: no error, bounded work, and no secret gets out."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, mangled, read_text, said, soups

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "ceph"
TEXTS = [path.read_text() for path in sorted(FIXTURES.iterdir()) if "expected" not in path.name]
TOKENS = [
    "ID CLASS WEIGHT TYPE NAME", "-1 0.1 root default", "-2 0.1   host a", "0 hdd 0.1    osd.0",
    "HOST ADDR LABELS STATUS", "a 10.0.0.1 osd", "0: 10.0.0.1:6789/0 mon.a", "dumped monmap",
    "service_type: host", "hostname: a", "addr: 10.0.0.1", "---", "{", "}", "[", "]", '"nodes":',
]  # fmt: skip
KEYS = st.sampled_from([
    "nodes", "id", "name", "type", "children", "host", "root", "osd", "mon", "mons", "addr", "kb",
    "public_addrs", "addrvec", "hostname", "labels", "osds", "public_addr", "monmap", "osdmap",
    "osd_metadata", "placement", "service_type", "hosts", "host_pattern", "location",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6) | KEYS
SHAPES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


@given(text=st.text(max_size=300) | soups(TOKENS))
def test_any_text_is_read(text: str) -> None:
    said(read_text("ceph", text))


@given(value=SHAPES, other=SHAPES)
def test_any_shape_is_read(value: object, other: object) -> None:
    said(read_text("ceph", json.dumps(value), json.dumps(other)))


@given(text=st.sampled_from(TEXTS).flatmap(mangled))
def test_broken_outputs_are_read(text: str) -> None:
    said(read_text("ceph", text))


@given(secret=SECRETS, word=st.sampled_from(["key", "password", "secret", "auth", "keyring"]))
def test_secrets_stay_in(secret: str, word: str) -> None:
    hosts = [{"hostname": "a", "addr": "10.0.0.1", word: secret, "labels": ["osd"]}]
    tree = {"nodes": [{"id": -2, "name": "a", "type": "host", "children": [0], word: [secret]}]}
    mons = {"mons": [{"name": "m", "addr": "10.0.0.2:6789/0", word: secret}], word: secret}
    spec = f"service_type: host\nhostname: a\naddr: 10.0.0.1\noob: {{ {word}: {secret} }}\n"
    reading = read_text("ceph", json.dumps(hosts), json.dumps(tree), json.dumps(mons), spec)
    assert reading.facts
    assert secret not in said(reading)
    assert secret not in said(read_text("ceph", f'{{"{word}": "{secret}"', f"{word}={secret}\n"))
