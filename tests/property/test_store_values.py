"""Encodings of the store: they come back exactly, and order as they should."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.body import decode_lines, encode_lines
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.names import AddressRange, Network
from rwhoisd.store.codec import key_digests, pack_address, unpack_span
from rwhoisd.store.hierarchy import NetworkEntry, sweep

ANY = st.text(st.characters(), max_size=8)
PAIRS = st.lists(st.tuples(ANY, ANY), max_size=6).map(tuple)


@given(PAIRS)
def test_lines_come_back_exactly_or_are_refused(lines: tuple[tuple[str, str], ...]) -> None:
    bad = any(":" in name for name, _ in lines) or any(
        c in "\r\n" or "\ud800" <= c <= "\udfff" for pair in lines for text in pair for c in text
    )
    if bad:
        with pytest.raises(RwhoisError):
            encode_lines(lines)
    else:
        assert decode_lines(encode_lines(lines)) == lines


VALUE = st.text("ab:\t ", max_size=3)
KEYS = st.lists(st.tuples(st.sampled_from(["name", "net"]), VALUE), max_size=4)


def digest_of(key: list[tuple[str, str]]) -> bytes | None:
    (digest,) = key_digests([(name, [value]) for name, value in key], 1)
    return digest


@given(KEYS, KEYS)
def test_keys_are_equal_when_each_attribute_has_equal_values(
    one: list[tuple[str, str]], two: list[tuple[str, str]]
) -> None:
    def by_name(pairs: list[tuple[str, str]]) -> list[list[str]]:
        return [[v.upper() for n, v in pairs if n == name] for name in ("name", "net")]

    assert (digest_of(one) == digest_of(two)) == (by_name(one) == by_name(two))
    assert (digest_of(one) is None) == (not one)


ADDRESSES = st.integers(0, (1 << 32) - 1)


@given(ADDRESSES, ADDRESSES)
def test_ranges_read_back_as_they_are_written(one: int, two: int) -> None:
    first, last = sorted((one, two))
    span = AddressRange(4, first, last)
    assert AddressRange.from_text(str(span)) == span
    assert (
        AddressRange.from_text(f"{ipaddress.ip_address(first)}-{ipaddress.ip_address(last)}")
        == span
    )
    assert unpack_span(4, pack_address(first), pack_address(last)) == span
    assert (pack_address(one) < pack_address(two)) == (one < two)
    blocks = list(
        ipaddress.summarize_address_range(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
    )
    assert span.length == (blocks[0].prefixlen if len(blocks) == 1 else None)


@given(st.integers(0, (1 << 128) - 1), st.integers(0, 128))
def test_a_block_is_the_range_of_its_addresses(address: int, length: int) -> None:
    block = Network.masked(6, address, length)
    span = AddressRange(6, block.start, block.last)
    assert span.length == length
    if not str(block).startswith(":"):  # which ARIN's syntax takes for no network
        assert AddressRange.from_text(str(block)) == span


SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted), max_size=8)


@given(SPANS)
def test_the_sweep_finds_every_crossing_and_every_equal_span(spans: list[list[int]]) -> None:
    entries = sorted(
        (
            NetworkEntry("a", "network", row, None, "x", AddressRange(4, first, last))
            for row, (first, last) in enumerate(spans)
        ),
        key=lambda e: (e.span.first, -e.span.last, e.row),
    )
    found = {(o.first.row, o.second.row) for o in sweep(entries)}
    crossing = {
        (a.row, b.row)
        for a in entries
        for b in entries
        if a.span.first < b.span.first <= a.span.last < b.span.last
    }
    by_span: dict[AddressRange, list[int]] = {}
    for entry in entries:
        by_span.setdefault(entry.span, []).append(entry.row)
    equal = {pair for rows in by_span.values() for pair in itertools.pairwise(rows)}
    assert found == crossing | equal
