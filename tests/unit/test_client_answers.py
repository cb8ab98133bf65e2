"""What a server said, read line by line."""

import pytest

from rwhoisd.protocol.answers import Answer, AnswerReader, Banner, Record, ValueLine


def read(text: str) -> Answer:
    reader = AnswerReader()
    for line in text.splitlines():
        if reader.feed(line):
            break
    return reader.answer()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "%rwhois V-1.5:003fff:00 rwhois.example.net (by Network Solutions, Inc. V-1.5.9.6)",
            Banner(("V-1.5",), 0x3FFF, "rwhois.example.net (by Network Solutions, Inc. V-1.5.9.6)"),
        ),
        ("%rwhois V-1.0,V-1.5:00ffff:00 a.b", Banner(("V-1.0", "V-1.5"), 0xFFFF, "a.b")),
        ("%rwhois V-1.5 python-rwhoisd", Banner(("V-1.5",), 0, "python-rwhoisd")),
        ("%rwhois V-1.5:000040:00", Banner(("V-1.5",), 0x40, "")),
        ("% RIPE database", None),
        ("%rwhois", None),
        ("", None),
    ],
    ids=["arin", "two-versions", "no-capabilities", "no-host", "whois", "bare", "empty"],
)
def test_banner(line: str, expected: Banner | None) -> None:
    assert Banner.from_text(line) == expected


def test_records_referrals_and_end() -> None:
    answer = read(
        "network:ID:N1.10.0.0.0/8\n"
        "network:Tech-Contact;I:C1.a.com\n"
        "network:Web;S:http://a.com/x:y\n"
        "\n"
        "contact:Name:Doe, Jane\n"
        "\n"
        "%referral rwhois://b.com:4321/auth-area=b.com\n"
        "%ok\n"
        "contact:Name:never read\n"
    )
    network = Record(
        "network",
        (
            ValueLine("ID", "N1.10.0.0.0/8"),
            ValueLine("Tech-Contact", "C1.a.com", "I"),
            ValueLine("Web", "http://a.com/x:y", "S"),
        ),
    )
    assert answer.records == (network, Record("contact", (ValueLine("Name", "Doe, Jane"),)))
    assert answer.referrals == ("rwhois://b.com:4321/auth-area=b.com",)
    assert answer.complete
    assert (answer.code, answer.text) == (0, "")


def test_value_is_kept_as_it_is() -> None:
    lines = read("a:b: two  blanks \na:b:\n%ok").records[0].lines
    assert [line.value for line in lines] == [" two  blanks ", ""]


def test_values_of_an_attribute() -> None:
    record = read("a:Remarks:1\na:ID:x\na:remarks:2\n%ok").records[0]
    assert record.values("REMARKS") == ("1", "2")
    assert record.values("Name") == ()


def test_missing_empty_line_between_classes() -> None:
    answer = read("a:x:1\nA:y:2\nb:x:3\n%ok")
    assert [record.class_name for record in answer.records] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "code", "text", "fatal"),
    [
        ("%error 230 No Objects Found", 230, "No Objects Found", False),
        ("%error 330", 330, "", False),
        ("%ERROR 350  Invalid: İ", 350, "Invalid: İ", False),
        ("%error 501 Service Not Available", 501, "Service Not Available", True),
        ("%ok  ", 0, "", False),
    ],
    ids=["none", "bare", "case", "fatal", "ok"],
)
def test_last_line(line: str, code: int, text: str, fatal: bool) -> None:
    answer = read(f"a:b:c\n\n{line}")
    assert (answer.code, answer.text, answer.fatal, answer.complete) == (code, text, fatal, True)
    assert len(answer.records) == 1


@pytest.mark.parametrize("line", ["%error", "%error 23 x", "%error abc", "%okay", "ok"], ids=str)
def test_what_is_not_a_last_line(line: str) -> None:
    answer = read(line)
    assert not answer.complete
    assert not answer.fatal
    assert answer.other == (line,)


def test_information_stands_apart() -> None:
    # R3.1.2-6; what looks like data inside of the block is text
    answer = read("%info on\nDown on Sunday\na:b:c\n%ok\n%info off\na:b:d\n%ok")
    assert answer.info == ("Down on Sunday", "a:b:c", "%ok")
    assert [record.lines[0].value for record in answer.records] == ["d"]
    assert answer.complete


def test_lines_of_no_known_form_are_kept() -> None:
    answer = read("Hello there\n%xfer a\n no:indent:here\n%ok")
    assert answer.other == ("Hello there", "%xfer a", " no:indent:here")
    assert answer.records == ()


def test_answer_that_broke_off() -> None:
    answer = read("a:b:c\na:d:")
    assert answer.code is None
    assert not answer.complete
    assert answer.records[0].values("d") == ("",)
