"""Whatever rings and their scripts hold: no error, bounded work, and no secret gets out."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, mangled, read_text, said, soups

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "swift"
TEXTS = [path.read_text() for path in sorted(FIXTURES.iterdir()) if "expected" not in path.name]
TOKENS = [
    "Devices:", "id", "region", "zone", "ip address:port", "0", "1", "10.0.0.1", "10.0.0.1:6200",
    "6200", "sdb", "swift-ring-builder", "object.builder", "add", "r1z1-10.0.0.1:6200/sdb", "100",
    "--ip", "--ip=10.0.0.2", "-d", "\\", "#", "'", '"', "swift_hosts:", "ip:", "storage_ip:", "$IP",
    "[2001:db8::1]:6200", "R10.1.0.1:6200", "drives:", "- ",
]  # fmt: skip


@given(text=st.text(max_size=300) | soups(TOKENS))
def test_any_text_is_read(text: str) -> None:
    said(read_text("swift", text))


@given(text=st.sampled_from(TEXTS).flatmap(mangled))
def test_broken_files_are_read(text: str) -> None:
    said(read_text("swift", text))


@given(secret=SECRETS, word=st.sampled_from(["password", "swift_hash_path_suffix", "key", "token"]))
def test_secrets_stay_in(secret: str, word: str) -> None:
    script = (
        f"export {word.upper()}={secret}\nswift -K {secret} stat\n"
        f"swift-ring-builder a.builder add r1z1-10.0.0.1:6200/sdb_{secret} 100\n"
        f"swift-ring-builder a.builder add --ip 10.0.0.2 --device sdb --meta {secret}\n"
    )
    hosts = (
        f"{word}: {secret}\nswift_hosts:\n  a:\n    ip: 10.0.0.3\n    {word}: {secret}\n"
        f"    container_vars: {{ {word}: {secret}, swift_vars: {{ {word}: {secret} }} }}\n"
    )
    reading = read_text("swift", script, hosts)
    assert len(reading.facts) == 3
    assert secret not in said(reading)
