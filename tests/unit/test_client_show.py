"""What the rwhois client prints, and what it takes on its command line."""

import json

import pytest
import typer

from rwhoisd.client import show
from rwhoisd.client.cli import query_line
from rwhoisd.client.resolve import Event, Notice, Visit
from rwhoisd.client.session import Conversation, decode
from rwhoisd.directory.area import HostPort
from rwhoisd.protocol.answers import Answer, Banner, Record, ValueLine
from rwhoisd.protocol.follow import Call, DeadEnd, Why

A, B = HostPort("a.test"), HostPort("b.test", 4322)
BANNER = Banner(("V-1.5",), 0x3FFF, "a.test")
RECORD = Record("network", (ValueLine("ID", "1.a"), ValueLine("Tech-Contact", "2.a", "I")))
URL = "rwhois://b.test:4322/auth-area=b"


def visit(answer: Answer, server: HostPort = A, path: tuple[HostPort, ...] = ()) -> Visit:
    return Visit(Call(server, URL if path else "", "b" if path else "", path), conversation(answer))


def conversation(answer: Answer) -> Conversation:
    return Conversation(BANNER, answer)


def test_record_goes_out_as_it_came_in() -> None:
    assert list(show.record_lines(RECORD)) == ["network:ID:1.a", "network:Tech-Contact;I:2.a", ""]


def test_control_characters_of_strangers_are_shown_not_obeyed() -> None:
    assert show.clean("a\x1b[2Jb\tc\x07\x9bé") == "a\\x1b[2Jb\tc\\x07\\x9bé"


def test_single_answer_has_no_headings() -> None:
    lines = show.data_lines([visit(Answer((RECORD,), code=0))], referrals=False)
    assert list(lines) == ["network:ID:1.a", "network:Tech-Contact;I:2.a", ""]


def test_answers_of_several_servers_stand_under_their_names() -> None:
    events: list[Event] = [
        visit(Answer((RECORD,), code=0)),
        visit(Answer((), code=230), HostPort("silent")),
        visit(Answer((RECORD,), info=("maintenance",), code=0), B, (A,)),
    ]
    lines = list(show.data_lines(events, referrals=False))
    assert [line for line in lines if line.startswith("%")] == [
        "% a.test:4321",
        "% b.test:4322 for b",
        "% info: maintenance",
    ]


def test_referrals_are_shown_when_not_followed() -> None:
    answer = Answer(referrals=(URL,), code=0)
    assert list(show.data_lines([visit(answer)], referrals=True)) == [f"%referral {URL}"]
    assert list(show.data_lines([visit(answer)], referrals=False)) == []


def test_text_of_no_known_form_is_shown() -> None:
    answer = Answer(other=("Hello",), code=0)
    assert list(show.data_lines([visit(answer)], referrals=False)) == ["Hello"]


@pytest.mark.parametrize(
    ("answers", "referrals_count", "expected"),
    [
        ([Answer((RECORD,), code=0)], False, True),
        ([Answer((RECORD,), code=330)], False, True),
        ([Answer((RECORD,))], False, False),
        ([Answer((RECORD,), code=0), Answer((RECORD,))], False, False),
        ([Answer(code=230)], False, False),
        ([Answer(code=0)], False, False),
        ([Answer(referrals=(URL,), code=0)], False, False),
        ([Answer(referrals=(URL,), code=0)], True, True),
        ([Answer(code=230), Answer((RECORD,), code=0)], False, True),
    ],
    ids=["yes", "cut", "broken", "one-broken", "no", "hidden", "to-follow", "shown", "second"],
)
def test_found(answers: list[Answer], referrals_count: bool, expected: bool) -> None:
    events = [visit(answer) for answer in answers]
    assert show.found(events, referrals_count=referrals_count) is expected


def test_problems_are_told_once() -> None:
    events: list[Event] = [
        visit(Answer((RECORD,), code=330, text="Exceeded")),
        visit(Answer(code=230, text="No objects found")),
        visit(Answer((RECORD,))),
        Visit(Call(B, URL, "b", (A,)), None, "Connection refused"),
        DeadEnd(URL, A, Why.FAILED),
        DeadEnd("rwhois://c", A, Why.LOOP),
        DeadEnd("rwhois://d", A, Why.REPEATED),
        Notice(A, "-notify badref x y", accepted=True),
    ]
    assert list(show.problem_lines(events)) == [
        "a.test:4321: 330 Exceeded",
        "a.test:4321: the answer broke off before its end",
        "b.test:4322: Connection refused",
        "rwhois://c: not followed, comes round to a server on the way here",
    ]


def test_json_holds_everything() -> None:
    events: list[Event] = [
        visit(Answer((RECORD,), (URL,), ("note",), code=0)),
        Visit(Call(B, URL, "b", (A,)), None, "Connection refused"),
        DeadEnd(URL, A, Why.FAILED),
        Notice(A, f"-notify badref {URL} x", accepted=False),
    ]
    document = json.loads(json.dumps(show.as_json("x", events, is_found=True)))
    assert document["query"] == "x"
    assert document["found"] is True
    assert document["records"] == [
        {
            "server": "a.test:4321",
            "class": "network",
            "attributes": [
                {"name": "ID", "type": "T", "value": "1.a"},
                {"name": "Tech-Contact", "type": "I", "value": "2.a"},
            ],
        }
    ]
    assert document["referrals"] == [{"from": "a.test:4321", "url": URL}]
    assert document["info"] == [{"from": "a.test:4321", "text": "note"}]
    assert document["problems"] == ["b.test:4322: Connection refused"]
    assert [entry["event"] for entry in document["trace"]] == [
        "asked",
        "asked",
        "dropped",
        "notified",
    ]
    assert document["trace"][1]["referrer"] == "a.test:4321"
    assert document["trace"][2]["why"] == "failed"
    assert document["trace"][3]["accepted"] is False


def test_trace_indents_by_depth() -> None:
    assert show.trace_line(visit(Answer((RECORD,), code=0))).startswith("a.test:4321: 1 records")
    deep = show.trace_line(visit(Answer(code=230, text="None"), B, (A, A)))
    assert deep.startswith("    b.test:4322 (for b, named by a.test:4321)")
    assert deep.endswith("230 None")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["network", "192.0.2.1"], "network 192.0.2.1"),
        (['Name="Doe, Jane"'], 'Name="Doe, Jane"'),
        (["-x"], '"-x"'),
        (["-rwhois", "V-1.5"], '"-rwhois V-1.5"'),
    ],
    ids=["address", "words", "quoted", "dash", "directive"],
)
def test_query_line(words: list[str], expected: str) -> None:
    # R3.1.3-1: what begins with "-" goes out in quotes, so it is no directive
    assert query_line(words) == expected


@pytest.mark.parametrize(
    "words",
    [[""], ["  "], ["a\nb"], ["a\r\n-quit"], ["a\x00b"], ['-x"y"']],
    ids=["empty", "blank", "two-lines", "smuggled", "nul", "quote"],
)
def test_what_is_no_query(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        query_line(words)


@pytest.mark.parametrize(
    ("data", "text"), [("é".encode(), "é"), (b"\xe9", "é"), (b"", "")], ids=["utf-8", "latin-1", ""]
)
def test_decode(data: bytes, text: str) -> None:
    assert decode(data) == text
