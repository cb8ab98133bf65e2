"""Files of sections: MHA's servers, those of MaxScale, Galera's ``wsrep_cluster_address``."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rwhoisd.inventory.facts import DatabaseNode, Place
from rwhoisd.inventory.source import Inputs, Report, TextFile
from rwhoisd.inventory.sources.mysql_nodes import Node
from rwhoisd.inventory.structures import is_true
from rwhoisd.inventory.words import host_port

_SECTION: Final = re.compile(r"\[([^\]]*)\]")
# What follows ``server`` is free, most often a number (read_config() of MHA::Config).
_MHA: Final = re.compile(r"server(?![_-]default\Z)\S+\Z", re.IGNORECASE)
_MHA_DEFAULT: Final = re.compile(r"server[ _-]default\Z", re.IGNORECASE)
_COMMENT: Final = re.compile(r"\s[#;]")


class _Value(NamedTuple):
    place: Place
    text: str


@dataclass
class _Section:
    name: str
    place: Place
    values: dict[str, _Value] = field(default_factory=dict)

    def text(self, *keys: str) -> str:
        """The value of the first of these keys that is there, without its quotes."""
        found = (self.values[key].text for key in keys if key in self.values)
        return next((text for text in found if text), "")

    def word(self, *keys: str) -> str:
        """As ``text``, without the remark that many write behind a value."""
        return next(iter(self.text(*keys).split()), "")

    def place_of(self, *keys: str) -> Place:
        """Where the first of these keys stands."""
        return next((self.values[key].place for key in keys if key in self.values), self.place)


def _sections(file: TextFile) -> list[_Section]:
    """The sections; what stands before the first is in one without a name."""
    found = [_Section("", file.at(1))]
    for number, line in enumerate(file.lines, 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        if match := _SECTION.match(text):
            found.append(_Section(match[1].strip(), file.at(number)))
            continue
        key, separator, value = text.partition("=")
        value = _COMMENT.split(value, maxsplit=1)[0].strip()
        if separator:
            # mysqld takes ``-`` and ``_`` in an option for the same.
            folded = key.strip().lower().replace("-", "_")
            found[-1].values[folded] = _Value(file.at(number), value.strip("\"'").strip())
    return found


def read_ini(file: TextFile, inputs: Inputs, report: Report) -> Iterator[DatabaseNode]:
    """The nodes of an MHA, MaxScale or Galera file."""
    del inputs
    sections = _sections(file)
    for node in [*_mha(sections), *_maxscale(sections), *_galera(sections)]:
        if fact := node.fact(report):
            yield fact


def _mha(sections: Sequence[_Section]) -> Iterator[Node]:
    """``hostname`` or ``ip`` of ``[server…]``; the port may be that of all servers."""
    default = next(
        (section for section in sections if _MHA_DEFAULT.match(section.name)),
        _Section("", Place("")),
    )
    for section in sections:
        host = section.word("ip", "hostname")
        if not _MHA.match(section.name) or not host:
            continue
        never, candidate = (
            is_true(section.word(key) or default.word(key))
            for key in ("no_master", "candidate_master")
        )
        yield Node(
            place=section.place_of("ip", "hostname"),
            host=host,
            port=section.word("port") or default.word("port"),
            name=section.word("hostname"),
            role="slave" if never else "candidate-master" if candidate else None,
            writable=False if never else None,
        )


def _maxscale(sections: Sequence[_Section]) -> Iterator[Node]:
    """``type=server``; listeners, services and monitors are of MaxScale itself."""
    for section in sections:
        if section.word("type").lower() == "server" and section.word("address"):
            yield Node(
                place=section.place_of("address"),
                host=section.word("address"),
                port=section.word("port"),
                name=section.name,
                role=section.word("rank").lower() or None,
            )


def _galera(sections: Sequence[_Section]) -> Iterator[Node]:
    """``gcomm://A,B:4567?options``: the port is that of the group, not of the database."""
    for section in sections:
        own = host_port(section.word("wsrep_node_address"))[0]
        name = section.word("wsrep_node_name") or None
        _, scheme, rest = section.text("wsrep_cluster_address").partition("gcomm://")
        nodes = rest.partition("?")[0].split(",") if scheme else []
        hosts = [host for node in nodes if (host := host_port(node)[0])]
        for host in hosts:
            yield Node(
                place=section.place_of("wsrep_cluster_address"),
                host=host,
                name=name if host == own else None,
            )
        if own and own not in hosts:
            yield Node(place=section.place_of("wsrep_node_address"), host=own, name=name)
