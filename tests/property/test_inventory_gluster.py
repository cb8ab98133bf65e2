"""Whatever the outputs of GlusterFS hold: no error, bounded work, and no secret gets out."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, mangled, read_text, said, soups

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "gluster"
TEXTS = [path.read_text() for path in sorted(FIXTURES.iterdir()) if "expected" not in path.name]
TOKENS = [
    "Hostname: a", "Other names:", "10.0.0.1", "2001:db8::1", "Uuid: x", "Volume Name: v",
    "Brick1: a:/x", "Brick a:/x 1 0 Y 2", "Bricks:", ":", "=", "/", "auth.allow: 10.0.0.9",
    "Storage Hostnames: b", "<volume>", "</volume>", "<brick>a:/x", "<peer>", "<hostname>", "{",
    '{"clusters": [', '{"nodes": [', '"hostnames"', "]}",
]  # fmt: skip


@given(text=st.text(max_size=300) | soups(TOKENS))
def test_any_text_is_read(text: str) -> None:
    said(read_text("gluster", text))


@given(text=st.sampled_from(TEXTS).flatmap(mangled))
def test_broken_outputs_are_read(text: str) -> None:
    said(read_text("gluster", text))


@given(secret=SECRETS, word=st.sampled_from(["auth.ssl-allow", "password", "user.secret", "key"]))
def test_secrets_stay_in(secret: str, word: str) -> None:
    text = f"Volume Name: v\nBrick1: a:/x\nOptions Reconfigured:\n{word}: {secret}\n"
    xml = (
        "<cliOutput><volume><name>v</name><brick>b:/x</brick>"
        f"<options><option><name>{word}</name><value>{secret}</value></option></options>"
        f"</volume><{word}>{secret}</{word}></cliOutput>"
    )
    node = {"hostnames": {"manage": ["c"], "storage": ["10.0.0.1"]}, word: secret}
    clusters = [{word: secret, "nodes": [{"node": node}]}]
    topology = json.dumps({word: secret, "clusters": clusters})
    reading = read_text("gluster", text, xml, topology)
    assert {fact.name for fact in reading.facts} == {"a", "b", "c"}
    assert secret not in said(reading)
    torn = [f'{{"{word}": "{secret}"', f"<a {word}='{secret}'><b", f"{word} {secret}\n"]
    assert secret not in said(read_text("gluster", *torn))
