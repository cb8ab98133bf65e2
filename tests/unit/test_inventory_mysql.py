"""Clusters of MySQL: nodes with their roles, whichever tool keeps them."""

import pytest

from rwhoisd.inventory.facts import DatabaseNode
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import find_source
from tests.property.inventory_kit import read_text


def nodes(text: str) -> list[str]:
    """``ADDRESS-OR-NAME:PORT role peer writable``, without what is not known."""
    marks = {True: "writes", False: "reads", None: None}
    return [
        " ".join(
            str(part)
            for part in (
                f"{fact.where or fact.name}:{fact.port or ''}",
                fact.role,
                fact.peer,
                marks[fact.writable],
                "off" if fact.disabled else None,
            )
            if part is not None
        )
        for fact in read_text("mysql", text).facts
        if isinstance(fact, DatabaseNode)
    ]


MMM = """<host a>
 ip 10.0.0.1
 mode master
 peer b
</host>
<host b>
 ip 10.0.0.2
 mode master
 peer a
</host>
<host c>
 ip 10.0.0.3
 mode slave
</host>
<role writer>
 hosts a, b
 ips 10.0.0.9
 mode MODE
</role>"""
INSERT = "INSERT INTO mysql_servers"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            MMM.replace("MODE", "exclusive"),
            ["10.0.0.1: master b", "10.0.0.2: master a", "10.0.0.3: slave reads"],
            id="mmm, one writes at a time",
        ),
        pytest.param(
            MMM.replace("MODE", "balanced"),
            ["10.0.0.1: master b writes", "10.0.0.2: master a writes", "10.0.0.3: slave reads"],
            id="mmm, both write",
        ),
        pytest.param(
            "active_master_role w\n<role w>\n hosts x\n mode balanced\n</role>",
            ["x:"],
            id="mmm, a role",
        ),
        pytest.param(
            "[server_default]\nport=3307\n[server1]\n"
            "hostname=a\n[server2]\nhostname=10.0.0.2\nport=1"
            "\ncandidate_master=1\n[server3]\nhostname=c\nno_master=1\n[server]\nhostname=d",
            ["a:3307", "10.0.0.2:1 candidate-master", "c:3307 slave reads"],
            id="MHA",
        ),
        pytest.param("[ server1 ]\nhostname = a # one\nport=x", ["a:"], id="MHA with blanks"),
        pytest.param(
            "[server_1]\nhostname=a\n[serverB-2]\nhostname=b\n[serverB-2]\nhostname=c\n"
            "[server default]\nhostname=d\n[server_default]\nhostname=e\n[binlog1]\nhostname=f",
            ["a:", "b:", "c:"],
            id="MHA, servers of any name",
        ),
        pytest.param(
            "[s]\ntype=server\naddress=10.0.0.1\nrank=secondary\n[t]\ntype=server\nsocket=/run/a",
            ["10.0.0.1: secondary"],
            id="MaxScale",
        ),
        pytest.param("wsrep_cluster_address=gcomm://", [], id="Galera, the first of its cluster"),
        pytest.param(
            "wsrep-cluster-address='gcomm://a,10.0.0.2:4567'\nwsrep_node_address=10.0.0.3",
            ["a:", "10.0.0.2:", "10.0.0.3:"],
            id="Galera",
        ),
        pytest.param(
            'mysql_servers=({address="10.0.0.1" port=1 '
            'hostgroup=1},{address="10.0.0.2" hostgroup=1})'
            "mysql_replication_hostgroups=({writer_hostgroup=1,reader_hostgroup=2})",
            ["10.0.0.1:1 writer 10.0.0.2 writes", "10.0.0.2: writer 10.0.0.1 writes"],
            id="ProxySQL, two that write",
        ),
        pytest.param(
            'mysql_servers:({address="10.0.0.1";port=1;hostgroup=2;status="OFFLINE_HARD"})'
            "mysql_replication_hostgroups=({writer_hostgroup=1,reader_hostgroup=2})",
            ["10.0.0.1:1 reader reads off"],
            id="ProxySQL, one that reads",
        ),
        pytest.param(
            'mysql_servers=( { address="a#b//c" hostgroup=1 '
            '}, { address="10.0.0.1" /* x */ hostgroup=1 } )',
            ["10.0.0.1:"],
            id="ProxySQL, marks in a string",
        ),
        pytest.param(
            'x=({address="10.0.0.9" hostgroup=1})\n'
            'mysql_servers=({address="10.0.0.1" hostgroup=1})',
            ["10.0.0.1:"],
            id="ProxySQL, another list",
        ),
        pytest.param(
            f"{INSERT} VALUES (1,'10.0.0.1',3306),(2,'b',1);", ["10.0.0.1:3306", "b:1"], id="SQL"
        ),
        pytest.param(
            f"mysql -e \"{INSERT}(port,hostname,hostgroup_id) VALUES(1,'a',0)\"",
            ["a:1"],
            id="SQL in a shell",
        ),
        pytest.param(
            f"# {INSERT} VALUES (1,'a',1)\n{INSERT} VALUES (1,'b',1", [], id="SQL, remark and cut"
        ),
        pytest.param(
            "+-----+\n| hostgroup_id | hostname | port | status "
            "|\n+-----+\n| 1 | 10.0.0.1 | 3306 | ONLINE |\n",
            ["10.0.0.1:3306"],
            id="a drawn table",
        ),
        pytest.param(
            "+-----+\n| hostgroup_id | hostname | port |\n+-----+\n| 1 | a | 1 |\n| 2 | b | 1 |\n"
            "+-----+\n+-----+\n| writer_hostgroup | reader_hostgroup |\n+-----+\n| 1 | 2 |\n",
            ["a:1 writer writes", "b:1 reader reads"],
            id="two drawn tables",
        ),
        pytest.param(
            '[{"hostgroup": 1, "srv_host": "a", "srv_port": '
            '1}, {"writer_hostgroup": 1, "reader_hostgroup": 2}]',
            ["a:1 writer writes"],
            id="JSON",
        ),
        pytest.param(
            "[server1]\nhostname=localhost\n[server2]\nhostname=127.0.0.1", [], id="this machine"
        ),
    ],
)
def test_nodes_of_a_cluster(text: str, expected: list[str]) -> None:
    assert nodes(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("<host a>\n ip 10.0.0.1", 1, id="mmm, a block without end"),
        pytest.param(
            'mysql_servers=(\n{address="a" hostgroup=1}\n', 3, id="ProxySQL, an open list"
        ),
    ],
)
def test_a_torn_file_is_not_whole_but_read(text: str, line: int) -> None:
    reading = read_text("mysql", text)
    assert len(reading.facts) == 1
    assert [found.line for found in reading.findings] == [line]
    assert "not the whole source" in reading.findings[0].message


def test_what_is_to_be_filled_in_is_a_warning() -> None:
    reading = read_text("mysql", "<role writer>\nips 10.0.0.X, 10.0.0.1, vip\n</role>")
    assert [fact.as_row() for fact in reading.facts] == [
        {"kind": "vip", "address": "10.0.0.1", "name": "writer"}
    ]
    assert [found.line for found in reading.findings] == [2, 2]


def test_a_file_of_another_kind_is_warned_about() -> None:
    assert [found.line for found in read_text("mysql", "hello\n").findings] == [1]


def test_an_include_of_mmm_is_followed_within_the_root(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("mmm")
    (root / "mmm_common.conf").write_text(
        "include mmm_agent.conf\n<host a>\n ip 10.0.0.1\n</host>\n"
    )
    agent = root / "mmm_agent.conf"
    agent.write_text("include mmm_common.conf\nthis a\n")
    reading = scan(find_source("mysql"), [agent], root=root)
    assert [str(fact.where) for fact in reading.facts] == ["10.0.0.1"]
    said = [*reading.findings, *reading.failures]
    assert any("deeper" in found.message for found in said)  # they include each other
