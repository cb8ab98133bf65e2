"""The servers of an authority area: which one is master, which are slaves (RFC 2167 §3.6.4).

A server that is known is asked ``referral AREA``; the object it has, or the referrals on the
way to it, name the area's servers. One of these is asked for the SOA, which names the master.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rwhoisd.client.resolve import Event, Options, Visit, resolve
from rwhoisd.client.session import SessionError, ask
from rwhoisd.client.show import visits
from rwhoisd.directory.area import HostPort
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.referral import Referral
from rwhoisd.protocol.answers import Answer
from rwhoisd.protocol.follow import Call

_PRIMARY: Final = re.compile(r"%soa primary: *(\S+)\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AreaServers:
    """What is known of an area's servers. ``master`` is None when no server told its SOA."""

    area: AreaName
    servers: tuple[HostPort, ...]  # as referrals name them; one is as good as another
    master: HostPort | None = None

    @property
    def slaves(self) -> tuple[HostPort, ...]:
        """All but the master (R3.6.4-3); none are known as such while the master is not."""
        if self.master is None:
            return ()
        return tuple(server for server in self.servers if server != self.master)


async def find_servers(
    area: AreaName, start: HostPort, options: Options, watch: Callable[[Event], None]
) -> tuple[AreaServers, list[Event]]:
    """The servers of ``area``, and everything that happened on the way to them."""
    events = await resolve(f"referral {area}", start, options, watch)
    servers = tuple(dict.fromkeys(_named(area, events)))
    for server in servers or (start,):  # nobody refers to a server that is the area's own
        visit = await _soa(area, server, options)
        events.append(visit)
        watch(visit)
        if visit.conversation and (master := primary_server(visit.conversation.answer)):
            return AreaServers(area, servers or (start,), master), events
    return AreaServers(area, servers), events


async def _soa(area: AreaName, server: HostPort, options: Options) -> Visit:
    call = Call(server, area=str(area))
    try:
        return Visit(call, await ask(server, f"-soa {area}", options.session))
    except SessionError as error:
        return Visit(call, None, str(error))


def _named(area: AreaName, events: Iterable[Event]) -> Iterator[HostPort]:
    """The servers that referral objects of the area, or referrals to it, name."""
    for visit in visits(events):
        if visit.conversation:
            for url in _urls(area, visit.conversation.answer):
                try:
                    yield Referral.from_text(url).server
                except ValueError:
                    continue  # shown as a dead end where it was met as a referral


def _urls(area: AreaName, answer: Answer) -> Iterator[str]:
    for record in answer.records:
        if area.key in (text.strip(".").lower() for text in record.values("Referred-Auth-Area")):
            yield from record.values("Referral")
    for url in answer.referrals:
        _, _, named = url.lower().partition("auth-area=")
        if named.strip("./") == area.key.strip("."):
            yield url


def primary_server(answer: Answer) -> HostPort | None:
    """The ``primary`` of an answer to ``-soa``; None when it names none (R2.6.2-4)."""
    for line in answer.other:
        if match := _PRIMARY.match(line):
            try:
                return HostPort.from_text(match[1])
            except ValueError:
                return None
    return None


def as_text(found: AreaServers) -> Iterator[str]:
    """A line for each server: its role, host and port."""
    if found.master is None:
        yield from (f"server {server}" for server in found.servers)
    else:
        yield f"master {found.master}"
        yield from (f"slave {server}" for server in found.slaves)


def as_json(found: AreaServers, problems: Sequence[str]) -> dict[str, Any]:
    """The same in values that JSON knows."""
    return {
        "area": str(found.area),
        "master": str(found.master) if found.master else None,
        "slaves": [str(server) for server in found.slaves],
        "servers": [str(server) for server in found.servers],
        "problems": list(problems),
    }
