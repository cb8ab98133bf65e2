"""The configuration of a Pacemaker cluster as text of the crm shell (crm(8), ``configure``)."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rwhoisd.inventory.facts import Place
from rwhoisd.inventory.source import TextFile
from rwhoisd.inventory.sources.cluster import (
    STOPPED,
    Bundle,
    Cluster,
    Node,
    Parameter,
    Resource,
    replicas_of,
)

_WORD: Final = re.compile(
    r"""(?:[^\s"']|"(?:\\.|\\\Z|[^"\\])*(?:"|\Z)|'[^']*(?:'|\Z))+""", re.DOTALL
)
_QUOTES: Final = re.compile(r"""\\(["'\\])|["']""")
# ``crm(live/node1)configure#`` and ``crm -w configure`` stand before commands that were typed.
_PROMPT: Final = re.compile(r"crm\([^)]*\)(\w*)[#>]\s*")
_COMMAND: Final = re.compile(r"(?:sudo\s+)?crm\s+(?:-\S+\s+)*")
_LEVEL: Final = re.compile(r"configure\s+")
_PARTS: Final = frozenset({"params", "meta", "utilization", "operations", "op", "op_params"})
_NODE_PARTS: Final = frozenset({"attributes", "utilization"})


def crm_cluster(file: TextFile) -> Cluster:
    """The cluster that the commands of a file make."""
    cluster = Cluster()
    groups: dict[str, str] = {}
    stopped: set[str] = set()
    for place, command, words in _commands(file):
        if command == "group" and words:
            members = list(_head(words[1:]))
            groups |= dict.fromkeys(members, words[0])
            stopped |= set(members) if _is_stopped(place, words[1:]) else set()
        elif take := _COMMANDS.get(command):
            take(cluster, place, words)
    for resource in cluster.resources.values():
        resource.group = groups.get(resource.name)
        resource.is_stopped |= resource.name in stopped
    return cluster


def _commands(file: TextFile) -> Iterator[tuple[Place, str, list[str]]]:
    """Each command with its place and its words, which go on behind a ``\\``."""
    text, begin = "", 0
    for number, line in enumerate(file.lines, 1):
        bare = line.strip()
        if bare.startswith("#"):
            continue
        begin = begin if text else number
        if bare.endswith("\\"):
            text += bare[:-1] + " "
            continue
        words = split(_bare_command(text + bare))
        if words:
            yield file.at(begin), words[0].lower(), words[1:]
        text = ""
    if words := split(_bare_command(text)):
        yield file.at(begin), words[0].lower(), words[1:]


def _bare_command(text: str) -> str:
    """The command without the shell that it was typed into; "" for one of another level."""
    if match := _PROMPT.match(text):
        rest = text[match.end() :]
        if match[1] not in ("", "configure"):
            return ""
        return _LEVEL.sub("", rest, count=1) if match[1] or _LEVEL.match(rest) else ""
    if match := _COMMAND.match(text):
        rest = text[match.end() :]
        return _LEVEL.sub("", rest, count=1) if _LEVEL.match(rest) else ""
    return _LEVEL.sub("", text, count=1) if _LEVEL.match(text) else text


def split(text: str) -> list[str]:
    """The words of a command, without quotes."""
    return [_QUOTES.sub(r"\1", word) for word in _WORD.findall(text)]


def _head(words: Sequence[str]) -> Iterator[str]:
    """The words before the first part that has a keyword."""
    for word in words:
        if word in _PARTS:
            return
        if "=" not in word and word[:1] not in "$@":
            yield word


def _pairs(place: Place, words: Sequence[str], wanted: str) -> Iterator[Parameter]:
    """``NAME=VALUE`` of one part; what has no keyword before it are parameters."""
    part = "params"
    for word in words:
        name, mark, value = word.partition("=")
        if word in _PARTS:
            part = word
        elif mark and part == wanted:
            yield Parameter(place, name.rpartition(":")[2].lstrip("$"), value)


def _is_stopped(place: Place, words: Sequence[str]) -> bool:
    meta = _pairs(place, words, "meta")
    return any(one.name == "target-role" and one.value.lower() == STOPPED for one in meta)


def _resource(place: Place, words: Sequence[str]) -> Resource:
    name, agent = (*words, "", "")[:2]
    is_template = agent.startswith("@")
    return Resource(
        place,
        name,
        "" if is_template else agent.rpartition(":")[2],
        list(_pairs(place, words[2:], "params")),
        agent[1:] if is_template else "",
        is_stopped=_is_stopped(place, words[2:]),
    )


def _primitive(cluster: Cluster, place: Place, words: Sequence[str]) -> None:
    resource = _resource(place, words)
    cluster.resources.setdefault(resource.name, resource)


def _template(cluster: Cluster, place: Place, words: Sequence[str]) -> None:
    resource = _resource(place, words)
    cluster.templates.setdefault(resource.name, resource)


def _node(cluster: Cluster, place: Place, words: Sequence[str]) -> None:
    """``node [$id=ID] NAME[:TYPE]`` or ``node ID: NAME``."""
    for word in words:
        if word in _NODE_PARTS:
            return
        if "=" not in word and not word.endswith(":"):
            name, _, kind = word.partition(":")
            cluster.nodes.append(Node(place, name, kind))
            return


def _bundle(cluster: Cluster, place: Place, words: Sequence[str]) -> None:
    pairs = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    if first := pairs.get("ip-range-start"):
        promoted = pairs.get("promoted-max") or pairs.get("masters") or ""
        replicas = replicas_of(pairs.get("replicas", ""), promoted)
        cluster.bundles.append(Bundle(place, words[0], first, replicas))


_COMMANDS: Final[dict[str, Callable[[Cluster, Place, Sequence[str]], None]]] = {
    "primitive": _primitive,
    "rsc_template": _template,
    "node": _node,
    "bundle": _bundle,
}
