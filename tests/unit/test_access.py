"""Allow and deny rules by address or prefix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.access import (
    AccessRules,
    address_from_text,
    audience_from_texts,
    prefixes_from_text,
)
from rwhoisd.directory.names import Network


@pytest.mark.parametrize(
    ("allow", "deny", "client", "expected"),
    [
        pytest.param([], [], "192.0.2.1", True, id="no rule lets everyone in"),
        pytest.param([], ["192.0.2.0/24"], "192.0.2.1", False, id="denied prefix"),
        pytest.param([], ["192.0.2.0/24"], "198.51.100.1", True, id="deny list leaves the rest"),
        pytest.param(["192.0.2.0/24"], [], "192.0.2.1", True, id="allowed prefix"),
        pytest.param(["192.0.2.0/24"], [], "198.51.100.1", False, id="allow list is complete"),
        pytest.param(["192.0.2.7"], ["192.0.2.0/24"], "192.0.2.7", True, id="longer allow wins"),
        pytest.param(["192.0.2.7"], ["192.0.2.0/24"], "192.0.2.8", False, id="shorter deny holds"),
        pytest.param(["192.0.2.0/24"], ["192.0.2.7"], "192.0.2.7", False, id="longer deny wins"),
        pytest.param(["192.0.2.7"], ["192.0.2.7"], "192.0.2.7", False, id="deny wins a tie"),
        pytest.param([], ["all"], "192.0.2.7", False, id="all means v4"),
        pytest.param([], ["ALL"], "2001:db8::1", False, id="all means v6"),
        pytest.param(["2001:db8::/32"], [], "2001:db8::1", True, id="v6 prefix"),
        pytest.param(["2001:db8::/32"], [], "192.0.2.1", False, id="v6 list leaves v4 out"),
        pytest.param(["::1"], ["all"], "::1", True, id="v6 loopback"),
        pytest.param([], ["192.0.2.0/24"], "::ffff:192.0.2.1", False, id="mapped v4 is v4"),
        pytest.param(["10.0.0.0/8"], [], "::ffff:a01:203", True, id="mapped v4 in hex"),
        pytest.param(["::ffff:10.0.0.0/104"], [], "10.1.2.3", True, id="mapped prefix"),
        pytest.param([], ["fe80::/10"], "fe80::1%eth0", False, id="zone index is cut"),
    ],
)
def test_most_specific_rule_decides(
    allow: list[str], deny: list[str], client: str, expected: bool
) -> None:
    assert AccessRules.from_texts(allow, deny).allows(address_from_text(client)) is expected


def test_peer_without_address_goes_by_the_end_of_the_lists() -> None:
    assert AccessRules.from_texts(deny=["all"]).allows(None)
    assert not AccessRules.from_texts(allow=["all"]).allows(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("192.0.2.1/24", "write '192.0.2.0/24'", id="host bits"),
        pytest.param("192.0.2", "no address", id="short"),
        pytest.param("example.net", "no address", id="name"),
        pytest.param("", "no address", id="empty"),
        pytest.param("2001:db8::1/200", "no address", id="length"),
    ],
)
def test_wrong_rule_names_the_mend(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prefixes_from_text(text)


def test_an_audience_is_written_one_way() -> None:
    texts = ["10.0.0.0/8", " 192.0.2.7", "2001:DB8:0::/32", "10.0.0.0/8", "::ffff:10.1.0.0/112"]
    written = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "10.1.0.0/16")
    assert audience_from_texts(texts) == written
    assert audience_from_texts(written) == written


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        pytest.param([], "no network is named; name one", id="none"),
        pytest.param(["10.0.0.0/8", "all"], "'all' is everybody; .* leave the list out", id="all"),
        pytest.param(["::/0"], "'::/0' is everybody", id="of a family"),
        pytest.param(["10.0.0.1/8"], "write '10.0.0.0/8'", id="host bits"),
        pytest.param(["office"], "no address", id="name"),
    ],
)
def test_what_is_no_audience_names_the_mend(texts: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        audience_from_texts(texts)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "[::1]", "::ffff:1.2.3", "/run/s"])
def test_text_that_is_no_address(text: str) -> None:
    assert address_from_text(text) is None


_NETWORKS = st.builds(Network.masked, st.just(4), st.integers(0, 2**32 - 1), st.integers(0, 32))


@given(
    allow=st.lists(_NETWORKS, max_size=4),
    deny=st.lists(_NETWORKS, max_size=4),
    data=st.data(),
)
def test_agrees_with_a_plain_scan(
    allow: list[Network], deny: list[Network], data: st.DataObject
) -> None:
    inside = st.sampled_from([*allow, *deny]) if allow or deny else _NETWORKS
    number = data.draw(st.one_of(st.integers(0, 2**32 - 1), inside.map(lambda n: n.start)))
    client = Network(4, number, 32)
    holding = [(n.length, False) for n in deny if client.within(n)]
    holding += [(n.length, True) for n in allow if client.within(n)]
    expected = not allow
    if holding:
        longest = max(length for length, _ in holding)
        expected = (longest, False) not in holding
    assert AccessRules(tuple(allow), tuple(deny)).allows((4, number)) is expected
