"""Free blocks and fullness against counting every address."""

from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.names import AddressRange, Network
from rwhoisd.directory.space import blocks_of, covered, free_block, span_of, usage

BITS = {4: 32, 6: 128}


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Network, list[AddressRange], int]:
    """A small block, ranges in and around it, and a length in it."""
    family = draw(st.sampled_from((4, 6)))
    host_bits = draw(st.integers(0, 7))
    base = draw(st.integers(0, (1 << BITS[family]) - 1))
    outer = Network.masked(family, base, BITS[family] - host_bits)
    top = (1 << BITS[family]) - 1
    near = st.integers(max(outer.start - 8, 0), min(outer.last + 8, top))
    ends = draw(st.lists(st.tuples(near, near), max_size=8))
    spans = [AddressRange(family, min(pair), max(pair)) for pair in ends]
    return outer, spans, BITS[family] - draw(st.integers(0, host_bits))


def taken(spans: list[AddressRange]) -> set[int]:
    return {address for span in spans for address in range(span.first, span.last + 1)}


@given(blocks())
def test_the_free_block_is_the_lowest_that_is_aligned_and_free(
    case: tuple[Network, list[AddressRange], int],
) -> None:
    outer, spans, length = case
    size = 1 << BITS[outer.family] - length
    used = taken(spans)
    free = (
        start
        for start in range(outer.start, outer.last + 1, size)
        if used.isdisjoint(range(start, start + size))
    )
    start = next(free, None)
    wanted = None if start is None else Network(outer.family, start, length)
    assert free_block(outer, spans, length) == wanted


@given(blocks())
def test_fullness_is_the_share_of_addresses(
    case: tuple[Network, list[AddressRange], int],
) -> None:
    outer, spans, _ = case
    mine = taken(spans) & set(range(outer.start, outer.last + 1))
    found = usage(span_of(outer), spans)
    assert (found.size, found.used) == (outer.last - outer.start + 1, len(mine))
    assert taken(covered(span_of(outer), spans)) == mine
    free = [
        length
        for length in range(outer.length, BITS[outer.family] + 1)
        if free_block(outer, spans, length)
    ]
    assert (found.largest_free.length if found.largest_free else None) == min(free, default=None)


@given(blocks())
def test_blocks_of_a_range_are_the_range(case: tuple[Network, list[AddressRange], int]) -> None:
    for span in case[1]:
        made = list(blocks_of(span))
        assert taken([span_of(block) for block in made]) == taken([span])
        assert sum(block.last - block.start + 1 for block in made) == span.last - span.first + 1
