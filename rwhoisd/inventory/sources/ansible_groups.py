"""Groups of Ansible inventories by their names: which hold storage, which databases.

No inventory says what its groups are for; their names do (inventory-formats.md §8). What serves
a cluster without holding its data (monitors, gateways, proxies, clients) are hosts.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from rwhoisd.inventory.facts import Kind

# Beginnings of the words in a group's name, then words that must stand whole.
_STORAGE: Final = (
    "osd", "gluster", "minio", "swift", "storage", "nfs", "beegfs", "moosefs", "lizardfs",
    "seaweedfs", "lustre", "drbd", "linstor", "longhorn", "objectstore", "cephosd",
)  # fmt: skip
_STORAGE_WORDS: Final = frozenset({"nas", "datanode", "datanodes"})
_DATABASE: Final = (
    "mysql", "maria", "galera", "percona", "postgres", "pgsql", "patroni", "mongo", "cassandra",
    "scylla", "cockroach", "clickhouse", "couchdb", "couchbase", "database", "dbserver", "tidb",
    "tikv", "pgcluster", "timescale", "neo4j", "arangodb", "rethinkdb", "foundationdb",
)  # fmt: skip
_DATABASE_WORDS: Final = frozenset({
    "db", "dbs", "pg", "psql", "pxc", "sql", "mssql", "rdbms", "dbnode", "dbnodes", "pgs",
})  # fmt: skip
# Whatever else a name says, one of these words says that no data is kept there.
_FRONT: Final = (
    "client", "proxy", "proxies", "gateway", "monitor", "mgr", "mds", "rgw", "api", "infra",
    "console", "admin", "exporter", "scheduler", "dashboard", "loadbalanc", "balancer", "haproxy",
    "keepalived", "bastion", "grafana", "prometheus", "metric", "radosgw", "iscsigw", "rbdmirror",
    "manager", "pgbouncer", "pgpool", "pgadmin", "phpmyadmin", "orchestrator", "maxscale",
    "backup", "agent", "arbiter", "web",
)  # fmt: skip
_FRONT_WORDS: Final = frozenset({
    "mon", "mons", "gw", "gws", "lb", "lbs", "rbd", "vip", "ui", "app", "apps",
})  # fmt: skip
_GANESHA: Final = frozenset({"nfss"})  # of ceph-ansible: gateways to the cluster
# A group named with these words alone is a whole Ceph cluster.
_CEPH: Final = frozenset(
    {"ceph", "cluster", "clusters", "node", "nodes", "server", "servers", "host", "hosts"}
)
_UMBRELLAS: Final = ("ceph", "gluster", "glusterfs", "minio", "swift", "nfs")
_EVERYBODY: Final = frozenset({"all", "ungrouped"})
# Beginnings of variables that tell what the machines of a group are, whatever it is called:
# of pigsty's clusters, of the roles of GlusterFS.
_TELLING: Final = {
    "pg_cluster": Kind.DBNODE, "pg_seq": Kind.DBNODE, "mysql_cluster": Kind.DBNODE,
    "mysql_seq": Kind.DBNODE, "minio_cluster": Kind.STORAGE_NODE, "minio_seq": Kind.STORAGE_NODE,
    "gluster_infra_": Kind.STORAGE_NODE, "glusterfs_devices": Kind.STORAGE_NODE,
    "lvm_volumes": Kind.STORAGE_NODE,
}  # fmt: skip


def told_by(variables: Iterable[str]) -> Kind | None:
    """What variables of a group, or of a machine in it, say of the group."""
    return next(
        (
            kind
            for name in variables
            for beginning, kind in _TELLING.items()
            if name.startswith(beginning)
        ),
        None,
    )


def is_everybody(group: str) -> bool:
    """Whether a group holds all machines and so tells nothing of one."""
    return group.lower() in _EVERYBODY


_CAMEL: Final = re.compile(r"([a-z0-9])([A-Z])")


def _words(group: str) -> list[str]:
    """``ceph-osd_hosts``: ceph, osd, hosts; ``CephStorage``: ceph, storage and the whole."""
    parts = [group, _CAMEL.sub(r"\1 \2", group)]
    found = (word for part in parts for word in re.split(r"[^a-z0-9]+", part.lower()) if word)
    return list(dict.fromkeys(found))


def _is_front(words: Iterable[str]) -> bool:
    return any(word in _FRONT_WORDS or word.startswith(_FRONT) for word in words)


def _is_ceph(words: list[str]) -> bool:
    return "ceph" in words and set(words) <= _CEPH


def role_of(group: str) -> Kind | None:
    """What the machines of a group are by its name; None: hosts like others."""
    words = _words(group)
    if _is_front(words) or _GANESHA & set(words) or {"ceph", "nfs"} <= set(words):
        return None
    if _is_ceph(words) or any(
        word in _STORAGE_WORDS or word.startswith(_STORAGE) for word in words
    ):
        return Kind.STORAGE_NODE
    if any(word in _DATABASE_WORDS or word.startswith(_DATABASE) for word in words):
        return Kind.DBNODE
    return None


def roles(
    names: Iterable[str], has_hosts: Iterable[str], given: Mapping[str, Kind]
) -> dict[str, Kind]:
    """The groups that hold storage or databases; ``given`` are known by a variable."""
    found = {name: role for name in names if (role := given.get(name) or role_of(name))}
    direct = set(has_hosts)
    has_osds = any("osd" in word for name in found for word in _words(name))
    for name in list(found):
        words = _words(name)
        if _is_ceph(words) and has_osds:
            del found[name]  # all of the cluster, its monitors too
        elif len(words) == 1 and words[0] in _UMBRELLAS and name not in direct:
            more = any(name != other and words[0] in other.lower() for other in found)
            if more:
                del found[name]  # names such as swift-object-server tell more
    return found


def nearest(
    special: Mapping[str, Kind], kind: Kind, children: Mapping[str, list[str]]
) -> dict[str, str]:
    """For each group within one of a kind: which, the nearest. Each group is looked at once."""
    found = {name: name for name, role in special.items() if role is kind}
    queue = deque(found)
    while queue:
        group = queue.popleft()
        passes_all = any(word.startswith("osd") for word in _words(found[group]))
        for child in children.get(group, ()):
            if child not in found and (passes_all or not _is_front(_words(child))):
                found[child] = found[group]
                queue.append(child)
    return found
