"""CSV: what is written, what a spreadsheet gets, what the reader refuses."""

import csv
import io

import pytest

from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef
from rwhoisd.formats.export_csv import Csv, read_csv
from rwhoisd.formats.export_walk import Entry
from rwhoisd.formats.findings import FormatError
from tests.export_kit import area

THING = ClassDef("thing", (AttributeDef("Name"), AttributeDef("Source"), AttributeDef("Note")))
MORE = ClassDef("thing", (AttributeDef("Name"), AttributeDef("Zork"), AttributeDef("Guard-Info")))
ONE, TWO = area("a.com", THING), area("b.com", MORE)
HEAD = "ID,(area),(class),(source),Class-Name,Auth-Area,Updated,Guardian,Private,TTL,"


def thing(*lines: tuple[str, str]) -> Entry:
    return Entry(ONE, THING, Object("a.com", "thing", lines, "zone"))


def written(*entries: Entry, spreadsheet: bool = False) -> str:
    return Csv([ONE], "thing", spreadsheet=spreadsheet).text(entries)


def test_a_row_for_each_object() -> None:
    text = written(
        thing(("ID", "1.a.com"), ("Name", 'say "x", y'), ("Note", "one"), ("Note", "two")),
        thing(("Name", "x"), ("Zork", "of no class")),
    )
    assert text == (
        f"{HEAD}Name,Source,Note,(other)\r\n"
        '1.a.com,a.com,thing,zone,,,,,,,"say ""x"", y",,"one\ntwo",\r\n'
        ",a.com,thing,zone,,,,,,,x,,,Zork:of no class\r\n"
    )
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["Note"].split("\n") == ["one", "two"]
    assert rows[0]["Name"] == 'say "x", y'


def test_columns_are_those_of_all_areas_but_for_secrets() -> None:
    assert Csv([ONE, TWO], "Thing").text([]) == f"{HEAD}Name,Source,Note,Zork,(other)\r\n"


def test_absent_and_empty_are_two_things() -> None:
    entries = [thing(("Note", "")), thing(), thing(("Note", ""), ("Note", ""))]
    assert [o.lines for o in read_csv(written(*entries))] == [e.object.lines for e in entries]


@pytest.mark.parametrize("value", ["=1+1", "+1-703-555-0100", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_a_spreadsheet_calculates_nothing(value: str) -> None:
    (row,) = csv.DictReader(io.StringIO(written(thing(("Name", value)), spreadsheet=True)))
    assert row["Name"] == f"'{value}"
    (plain,) = csv.DictReader(io.StringIO(written(thing(("Name", value)))))
    assert plain["Name"] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "csv:1: error: the columns begin with ID,(area),(class),(source)"),
        ("ID,area\n", "csv:1: error: the columns begin"),
        ("ID,(area),(class),(source),(other)\nx\n", "csv:2: error: 1 fields for 5 columns"),
        (
            'ID,(area),(class),(source),(other)\n1,a,"b\nc",d,\n1,a"b,c,d,\n',
            "csv:4: error: a field with a quote in it",
        ),
        ("ID,(area),(class),(source),(other)\n1,a,b,c,d\n", "csv:2: error: (other): 'd' is no"),
    ],
)
def test_the_reader_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(FormatError) as error:
        read_csv(text)
    assert str(error.value).startswith(message)
