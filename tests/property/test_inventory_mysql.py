"""Clusters of MySQL, whatever stands in them: nothing is raised, no secret gets out."""

from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import planted, read_text, said, soups

KIND: Final = "mysql"
FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures" / KIND
GOOD: Final = [
    (FIXTURES / name).read_text()
    for name in (
        "mmm_common.conf",
        "mha.cnf",
        "proxysql.cnf",
        "proxysql.sql",
        "maxscale.cnf",
        "galera.cnf",
    )
]
TOKENS: Final = [
    "<host db1>",
    "<host default>",
    "</host>",
    "<role writer>",
    "</role>",
    "<",
    ">",
    "ip 10.0.0.1",
    "mode master",
    "mode",
    "peer db2",
    "hosts db1, db2",
    "ips 10.0.0.9,",
    "include mmm_common.conf",
    "[server1]",
    "[server default]",
    "[binlog1]",
    "hostname=10.0.0.1",
    "hostname=db1",
    "port=3306",
    "port=",
    "no_master=1",
    "type=server",
    "address=10.0.0.2",
    "wsrep_cluster_address=gcomm://a,b",
    "gcomm://",
    "mysql_servers",
    "=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    'address="10.0.0.3"',
    "hostgroup=1",
    ",",
    ";",
    ":",
    '"',
    "/*",
    "*/",
    "//",
    "#",
    "INSERT INTO mysql_servers",
    "(hostgroup_id,hostname,port)",
    "VALUES",
    "(1,'10.0.0.4',3306)",
    "'",
    "| hostgroup_id | hostname | port |",
    "| 1 | 10.0.0.5 | 3306 |",
    "+---+",
    '{"mysql_servers": [',
    '{"hostname": "a", "hostgroup": 1}',
    "<db_ip>",
    "${DB}",
]
HIDDEN: Final = [
    "password={}",
    "repl_password = {}",
    "agent_password {}",
    "\tmonitor_password\t{}",
    "wsrep_sst_auth=sst:{}",
    '{{ username="shop", password="{}" }},',
    'admin_credentials="admin:{}"',
    'mysql_users=( {{ username="a", password="{}", default_hostgroup=1 }} )',
    "INSERT INTO mysql_users (username,password) VALUES ('a','{}');",
    "shutdown_script=ipmitool -H 10.0.0.1 -P {}",
    "# {}",
]


@given(text=st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    read_text(KIND, text)


@given(text=soups(TOKENS))
def test_any_words_of_the_format_are_read(text: str) -> None:
    read_text(KIND, text)


@given(secret_and_text=planted(GOOD, HIDDEN))
def test_no_planted_secret_gets_out_of_a_broken_file(secret_and_text: tuple[str, str]) -> None:
    secret, text = secret_and_text
    assert secret not in said(read_text(KIND, text))
