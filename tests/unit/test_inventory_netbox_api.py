"""The NetBox API source against a stub server, with the real pynetbox."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory.scan import Reading, scan
from rwhoisd.inventory.source import Report, TextFile, find_source
from rwhoisd.inventory.sources.netbox_settings import ApiSettings, settings_of
from tests.unit.netbox_stub import V1, V2, Stub, serving


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving(Stub()) as running:
        yield running


def read(stub: Stub, path: Path, **more: str) -> Reading:
    """A reading of the stub with its token in a file."""
    (path / "token").write_text(f"{stub.token}\n")
    settings = {
        "url": stub.url, "token-file": str(path / "token"), "requests-per-second": "1000",
        **{key.replace("_", "-"): value for key, value in more.items()},
    }  # fmt: skip
    return scan(find_source("netbox-api"), [], settings=settings)


def rows_of(reading: Reading) -> list[dict[str, Any]]:
    return [fact.as_row() for fact in reading.facts]


def failures(reading: Reading) -> str:
    return "\n".join(map(str, reading.failures))


VIP = {"kind": "vip", "address": "198.51.100.80", "name": "www.example.net"}
ALL = [
    {"kind": "network", "prefix": "198.51.100.0/24"},
    {"kind": "network", "prefix": "198.51.100.64/27"},
    {"kind": "network", "prefix": "2001:db8:5::/48", "disabled": True},
    {"kind": "network", "range": "192.0.2.10-192.0.2.20"},
    {"kind": "host", "address": "10.20.0.11", "name": "web1"},
    {"kind": "host", "address": "10.20.0.12", "name": "web2.example.net"},
    {**VIP, "port": 80, "protocol": "tcp", "belongs_to": "front"},
    {**VIP, "port": 443, "protocol": "tcp", "belongs_to": "front"},
    {"kind": "vip", "address": "198.51.100.81", "belongs_to": "web1"},
    {"kind": "host", "address": "10.20.0.13", "disabled": True},
    {"kind": "host", "address": "10.20.0.40", "name": "vm9"},
]


@pytest.mark.parametrize("token", [V1, V2], ids=["v1-token", "v2-token"])
def test_all_folders_are_read_with_get_and_nothing_else(
    stub: Stub, tmp_path: Path, token: str
) -> None:
    stub.token = token
    reading = read(stub, tmp_path)
    assert rows_of(reading) == ALL
    assert reading.whole
    assert {verb for verb, _, _ in stub.asked} == {"GET"}
    assert len(stub.asked) == 9  # the version, and each folder once: nothing is looked up singly


def test_a_fact_names_the_folder_that_it_came_from(stub: Stub, tmp_path: Path) -> None:
    reading = read(stub, tmp_path)
    assert str(reading.facts[0].place) == f"{stub.url}/api/ipam/aggregates/"


@pytest.mark.parametrize("size", ["1", "2", "3"])
def test_pages_are_put_together(stub: Stub, tmp_path: Path, size: str) -> None:
    reading = read(stub, tmp_path, page_size=size)
    assert rows_of(reading) == ALL
    assert reading.whole


def test_a_server_may_give_smaller_pages_than_asked_for(stub: Stub, tmp_path: Path) -> None:
    stub.most = 2
    reading = read(stub, tmp_path)
    assert rows_of(reading) == ALL
    assert reading.whole


def test_a_page_that_fails_makes_it_incomplete_but_keeps_the_rest(
    stub: Stub, tmp_path: Path
) -> None:
    stub.failing = {("ipam/ip-addresses", 2): 500}
    reading = read(stub, tmp_path, page_size="2")
    rows = rows_of(reading)
    assert {"kind": "host", "address": "10.20.0.12", "name": "web2.example.net"} in rows
    assert not any(row.get("address") == "198.51.100.81" for row in rows)
    assert not reading.whole
    assert "/api/ipam/ip-addresses/" in failures(reading)
    assert "(500) (at record 3)" in failures(reading)


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, "refuses the filter"), (401, "does not know the token"), (403, "allow it"),
     (404, "without /api"), (429, "requests-per-second"), (500, "log")],
)  # fmt: skip
def test_a_status_is_told_with_its_mend(stub: Stub, tmp_path: Path, status: int, said: str) -> None:
    stub.failing = {("ipam/services", 0): status}
    reading = read(stub, tmp_path)
    assert f"({status})" in failures(reading)
    assert said in failures(reading)
    assert len(reading.failures) == 1


def test_a_wrong_token_is_told_and_never_shown(stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("Zqsecret0Zq")
    reading = read(stub, tmp_path, token_file=str(tmp_path / "other"))
    assert reading.facts == []
    assert not reading.whole
    assert "(403)" in failures(reading)
    assert "Zqsecret0Zq" not in failures(reading)


def test_a_busy_server_is_asked_again(stub: Stub, tmp_path: Path) -> None:
    stub.once = {"ipam/prefixes": 503, "ipam/services": 429}
    reading = read(stub, tmp_path)
    assert rows_of(reading) == ALL
    assert reading.whole


def test_a_slow_answer_is_given_up(stub: Stub, tmp_path: Path) -> None:
    stub.slow = {"ipam/services": 900.0}
    for seconds in ("0.5", "5", "60"):  # the other answers need some
        reading = read(stub, tmp_path, timeout=seconds)
        assert "does not answer in time" in failures(reading)
        if len(reading.failures) == 1:
            break
    assert len(reading.facts) == len(ALL) - 1


def test_the_whole_reading_has_a_limit(stub: Stub, tmp_path: Path) -> None:
    reading = read(stub, tmp_path, time_limit="1", requests_per_second="2")
    assert "time-limit" in failures(reading)
    assert len(reading.failures) == 1


def test_a_server_that_is_not_there_is_told(stub: Stub, tmp_path: Path) -> None:
    reading = read(stub, tmp_path, url="http://127.0.0.1:1")
    assert "cannot be reached" in failures(reading)


def test_tls_that_is_none_is_told(stub: Stub, tmp_path: Path) -> None:
    reading = read(stub, tmp_path, url=stub.url.replace("http", "https"), timeout="60")
    assert "certificate" in failures(reading) or "cannot be reached" in failures(reading)


def test_another_web_server_is_no_netbox(stub: Stub, tmp_path: Path) -> None:
    stub.version = ""
    reading = read(stub, tmp_path)
    assert "does not answer as NetBox does" in failures(reading)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[1, 2]", b'{"results": 7}', b'{"results": ["x"], "count": 1}', b"{}"]
)
def test_an_answer_that_is_no_page_is_told(stub: Stub, tmp_path: Path, body: bytes) -> None:
    stub.answers = {"ipam/services": body}
    reading = read(stub, tmp_path)
    assert not reading.whole
    assert len(reading.facts) >= len(ALL) - 1


def test_records_that_are_missing_are_noticed(stub: Stub, tmp_path: Path) -> None:
    stub.counts = {"ipam/prefixes": 3}
    reading = read(stub, tmp_path)
    assert "2 of 3 records" in failures(reading)


def test_the_token_is_not_carried_to_another_server(stub: Stub, tmp_path: Path) -> None:
    with serving(Stub()) as other:
        stub.moved = {"ipam/services": f"{other.url}/api/ipam/services/"}
        reading = read(stub, tmp_path)
        assert other.asked == []
    assert "sends elsewhere" in failures(reading)


def test_an_old_netbox_is_not_asked_for_what_it_has_not(stub: Stub, tmp_path: Path) -> None:
    stub.version = "2.11"
    reading = read(stub, tmp_path)
    asked = {folder for _, folder, _ in stub.asked}
    assert not asked & {"ipam/ip-ranges", "ipam/fhrp-groups"}
    assert reading.whole


def test_filters_are_sent_with_every_page(stub: Stub, tmp_path: Path) -> None:
    read(stub, tmp_path, page_size="1", filter_prefixes="status=active&status=reserved&vrf_id=7")
    queries = [query for _, folder, query in stub.asked if folder == "ipam/prefixes"]
    assert [query["status"] for query in queries] == [["active", "reserved"]] * 2
    assert [query["vrf_id"] for query in queries] == [["7"]] * 2


def test_secrets_of_records_are_never_published(stub: Stub, tmp_path: Path) -> None:
    reading = read(stub, tmp_path)
    said = "\n".join([*map(repr, reading.facts), *map(str, reading.findings)])
    assert "Zq" not in said
    assert stub.token not in said


def test_the_same_records_from_files_give_the_same_facts(stub: Stub, tmp_path: Path) -> None:
    paths = []
    for folder, rows in stub.folders.items():
        path = tmp_path / f"{folder.replace('/', '-')}.json"
        page = {"count": len(rows), "next": None, "previous": None, "results": rows}
        path.write_text(json.dumps(page))
        paths.append(path)
    filed = scan(find_source("netbox"), paths)
    assert rows_of(filed) == rows_of(read(stub, tmp_path))
    assert filed.whole


# --- settings ---


def mistakes(**words: str) -> str:
    settings = {key.replace("_", "-"): value for key, value in words.items()}
    with pytest.raises(FormatError) as error:
        settings_of(settings, Report(), {"NETBOX": "t0ken", "BAD": "two words", "EMPTY": " "})
    return str(error.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "url is missing"),
        ({"url": "netbox.example.net"}, "url is missing or no web address"),
        ({"url": "https://u:Zqpw@netbox.example.net"}, "holds a name or a password"),
        ({"url": "https://netbox.example.net:99999"}, "url cannot be read"),
        ({"token": "Zqpw"}, "token is no setting"),
        ({"tokenfile": "x"}, "'tokenfile' is unknown"),
        ({"token_env": ""}, "either token-file or token-env"),
        ({"token_env": "NETBOX", "token_file": "x"}, "either token-file or token-env"),
        ({"token_env": "NOT_SET"}, "which is not set"),
        ({"token_env": "EMPTY"}, "which is not set or empty"),
        ({"token_env": "BAD"}, "not one word"),
        ({"token_env": "", "token_file": "/nowhere/token"}, "cannot be read"),
        ({"verify": "/nowhere/ca.pem"}, "verify is yes or no"),
        ({"ca_file": "/nowhere/ca.pem", "verify": "yes"}, "ca-file"),
        ({"timeout": "soon"}, "timeout is a number"),
        ({"timeout": "nan"}, "timeout is a number"),
        ({"page_size": "0"}, "page-size is a number from 1"),
        ({"filter_prefixes": "active"}, "filter-prefixes is written as"),
        ({"filter_prefixes": "limit=5"}, "filter-prefixes is written as"),
    ],
)
def test_a_setting_that_is_wrong_is_told(words: dict[str, str], said: str) -> None:
    good = {"url": "https://netbox.example.net", "token_env": "NETBOX"}
    message = mistakes(**(good | words if words else {}))
    assert said in message
    assert "Zqpw" not in message


def test_all_mistakes_are_told_at_once() -> None:
    assert mistakes(url="x", token_env="NOT_SET", timeout="x").count("\n") == 2


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://netbox.example.net", "https://netbox.example.net"),
        ("https://netbox.example.net/api/", "https://netbox.example.net"),
        ("https://example.net:8443/netbox/", "https://example.net:8443/netbox"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_url_is_taken_as_people_write_it(written: str, url: str) -> None:
    settings = settings_of({"url": written, "token-env": "T"}, Report(), {"T": "t0ken"})
    assert settings.url == url


def test_what_weakens_the_connection_is_warned_about() -> None:
    report = Report()
    words = {"url": "http://netbox.example.net", "token-env": "T", "verify": "no"}
    settings_of(words, report, {"T": "t0ken"})
    assert len(report.findings) == 2


def test_settings_that_are_shown_hide_the_token() -> None:
    shown = ApiSettings(url="https://netbox.example.net", token="Zqtoken", proxy="http://u:Zqpw@p")
    assert "Zq" not in repr(shown)


def test_files_are_not_read_by_it(tmp_path: Path) -> None:
    assert find_source("netbox-api").names == ()
    assert TextFile("x", "").lines == [""]
