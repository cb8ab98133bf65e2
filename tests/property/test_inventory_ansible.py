"""Whatever an inventory of Ansible holds: no error, bounded work, and no secret gets out."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, mangled, read_text, said, soups

FIXTURES = Path(__file__).parent.parent / "inventory_fixtures" / "ansible"
INI = (FIXTURES / "platform.ini").read_text()
YAML = (FIXTURES / "site.yml").read_text()
USER_CONFIG = (FIXTURES / "user_config.yml").read_text()
TOKENS = [
    "[osds]", "[web:children]", "[osds:vars]", "[", "]", "node[1:3]", "node[a:zz]", "10.0.0.1",
    "ansible_host=10.0.0.2", "ip=", "vip=10.0.0.3", "devices=\"['/dev/sdb']\"", '"', "'", "#", ";",
    "all:", "children:", "hosts:", "vars:", "&a", "*a", "{", "}", "- ", ":", "2001:db8::1",
    "virtual_ips: [10.0.0.4]", "global_overrides:", "used_ips:", "10.0.0.1,10.0.0.9", "{{ x }}",
]  # fmt: skip
SECRET_WORDS = st.sampled_from([
    "ansible_password", "ansible_ssh_pass", "vip_password", "keepalived_auth_pass", "auth_pass",
    "minio_secret_key", "admin_token", "virtual_ip_secret", "mysql_root_password", "become_pass",
])  # fmt: skip


@given(text=st.text(max_size=300) | soups(TOKENS))
def test_any_text_is_read(text: str) -> None:
    said(read_text("ansible", text))


@given(text=st.sampled_from([INI, YAML, USER_CONFIG]).flatmap(mangled))
def test_broken_inventories_are_read(text: str) -> None:
    said(read_text("ansible", text))


@given(word=SECRET_WORDS, secret=SECRETS)
def test_secrets_stay_in(word: str, secret: str) -> None:
    ini = INI.replace("[rgws]", f"[rgws]\nsix {word}={secret} ip=10.0.0.6\n").replace(
        "[ceph:vars]", f"[ceph:vars]\n{word}={secret}"
    )
    yaml = YAML.replace(
        "  vars:\n", f"  vars:\n    {word}: {secret}\n    x: {{ {word}: [{secret}] }}\n", 1
    )
    nested = YAML.replace("auth_pass: 10.77.77.77", f"{word}: {secret}")
    config = USER_CONFIG.replace("  swift: {", f"  {word}: {secret}\n  swift: {{ {word}: {secret},")
    for text in (ini, yaml, nested, config):
        assert secret in text
        reading = read_text("ansible", text)
        assert reading.facts
        assert secret not in said(reading)


@given(secret=SECRETS)
def test_secrets_of_torn_files_stay_in(secret: str) -> None:
    for text in (f"all: {{ password: {secret}", f'{{"password": "{secret}"', f"a: b: {secret}\n"):
        assert secret not in said(read_text("ansible", text))
