"""What came of a query, as text for people and as values for JSON."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, assert_never

from rwhoisd.client.resolve import Event, Notice, Visit
from rwhoisd.protocol.answers import Record, ValueLine
from rwhoisd.protocol.follow import DeadEnd, Why

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# What a server may end an answer with and still have said all there is.
_NO_FAULT: Final = frozenset({0, 230})
# Of the others the visit tells why, or there is nothing amiss.
_WORTH_A_LINE: Final = frozenset({Why.LOOP, Why.MALFORMED, Why.DEPTH, Why.SERVERS})


def clean(text: str) -> str:
    """``text`` with control characters made visible: it came from a stranger."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def visits(events: Iterable[Event]) -> Iterator[Visit]:
    """The servers asked, in order."""
    return (event for event in events if isinstance(event, Visit))


def found(events: Sequence[Event], *, referrals_count: bool) -> bool:
    """Whether something was found and every answer with records came whole."""
    answers = [visit.conversation.answer for visit in visits(events) if visit.conversation]
    whole = all(answer.complete for answer in answers)
    some = any(answer.records or (referrals_count and answer.referrals) for answer in answers)
    return whole and some


def record_lines(record: Record) -> Iterator[str]:
    """A record as it stands on the wire (R3.4-8), an empty line behind it."""
    for line in record.lines:
        kind = "" if line.type == "T" else f";{line.type}"
        yield clean(f"{record.class_name}:{line.attribute}{kind}:{line.value}")
    yield ""


def data_lines(events: Sequence[Event], *, referrals: bool) -> Iterator[str]:
    """The records for standard output, those of each server under its name.

    Remarks begin with "%", as whois clients expect: the name of the server when several
    answered, what it had to say to people, and its referrals when they are wanted.
    """
    talkative = [visit for visit in visits(events) if _has_text(visit, referrals)]
    for visit in talkative:
        assert visit.conversation is not None
        answer = visit.conversation.answer
        if len(talkative) > 1:
            area = f" for {visit.call.area}" if visit.call.area else ""
            yield clean(f"% {visit.call.server}{area}")
            yield ""
        if answer.info:
            yield from (clean(f"% info: {line}") for line in answer.info)
            yield ""
        for record in answer.records:
            yield from record_lines(record)
        yield from map(clean, answer.other)
        if referrals:
            yield from (clean(f"%referral {url}") for url in answer.referrals)


def _has_text(visit: Visit, referrals: bool) -> bool:
    if visit.conversation is None:
        return False
    answer = visit.conversation.answer
    return bool(answer.records or answer.info or answer.other or (referrals and answer.referrals))


def problem_lines(events: Sequence[Event]) -> Iterator[str]:
    """What went wrong, a line each, for standard error."""
    for event in events:
        if isinstance(event, Visit) and (problem := _problem(event)):
            yield clean(f"{event.call.server}: {problem}")
        if isinstance(event, DeadEnd) and event.why in _WORTH_A_LINE:
            yield clean(f"{event.url}: not followed, {event.why.text}")


def _problem(visit: Visit) -> str:
    if visit.conversation is None:
        return visit.error
    answer = visit.conversation.answer
    if answer.code is None:
        return "the answer broke off before its end"
    return "" if answer.code in _NO_FAULT else f"{answer.code} {answer.text}".rstrip()


def trace_line(event: Event) -> str:
    """One event for ``--trace``."""
    match event:
        case Visit():
            return _visit_line(event)
        case DeadEnd():
            return clean(f"  {event.url or 'first server'}: {event.why.text}")
        case Notice():
            taken = "taken" if event.accepted else "not taken"
            return clean(f"  told {event.to}: {event.line} ({taken})")
    assert_never(event)


def _visit_line(event: Visit) -> str:
    call = event.call
    indent = "  " * len(call.path)
    via = f" (for {call.area or 'an unnamed area'}, named by {call.referrer})" if call.path else ""
    if event.conversation is None:
        return clean(f"{indent}{call.server}{via}: failed, {event.error}")
    answer = event.conversation.answer
    end = {0: "ok", None: "broke off"}.get(answer.code) or f"{answer.code} {answer.text}"
    counts = f"{len(answer.records)} records, {len(answer.referrals)} referrals"
    return clean(f"{indent}{call.server}{via}: {counts}, {end}")


def as_json(query: str, events: Sequence[Event], *, is_found: bool) -> dict[str, Any]:
    """Everything about a query, in values that JSON knows.

    ``records`` in the order of answers, each with its ``server``; ``trace`` has one entry for
    each server asked, referral dropped and report sent.
    """
    answered = [(str(v.call.server), v.conversation) for v in visits(events) if v.conversation]
    answers = [(server, conversation.answer) for server, conversation in answered]
    return {
        "query": query,
        "found": is_found,
        "records": [_record(server, record) for server, a in answers for record in a.records],
        "referrals": [{"from": server, "url": url} for server, a in answers for url in a.referrals],
        "info": [{"from": server, "text": text} for server, a in answers for text in a.info],
        "problems": list(problem_lines(events)),
        "trace": [_trace_entry(event) for event in events],
    }


def _record(server: str, record: Record) -> dict[str, Any]:
    return {
        "server": server,
        "class": record.class_name,
        "attributes": [_attribute(line) for line in record.lines],
    }


def _attribute(line: ValueLine) -> dict[str, str]:
    return {"name": line.attribute, "type": line.type, "value": line.value}


def _trace_entry(event: Event) -> dict[str, Any]:
    match event:
        case Visit():
            return _visit_entry(event)
        case DeadEnd():
            referrer = str(event.referrer) if event.referrer else None
            why = {"why": event.why.name.lower(), "text": event.why.text}
            return {"event": "dropped", "url": event.url, "referrer": referrer} | why
        case Notice():
            told = {"event": "notified", "server": str(event.to), "line": event.line}
            return told | {"accepted": event.accepted}
    assert_never(event)


def _visit_entry(event: Visit) -> dict[str, Any]:
    call = event.call
    entry: dict[str, Any] = {
        "event": "asked",
        "server": str(call.server),
        "depth": len(call.path),
        "area": call.area,
        "url": call.url,
        "referrer": str(call.referrer) if call.referrer else None,
        "error": event.error,
    }
    if event.conversation:
        answer = event.conversation.answer
        entry |= {
            "records": len(answer.records),
            "referrals": list(answer.referrals),
            "code": answer.code,
            "text": answer.text,
            "capabilities": f"{event.conversation.banner.capabilities:06x}",
        }
    return entry
