"""The client's side: whatever a server says is read, and every walk comes to an end."""

from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.client import show
from rwhoisd.directory.area import HostPort
from rwhoisd.protocol.answers import AnswerReader, Banner, Record, ValueLine
from rwhoisd.protocol.follow import FollowLimits, Walk, Why

words = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
values = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=20)
value_lines = st.builds(ValueLine, words, values, st.sampled_from(["T", "I", "S"]))
records = st.builds(Record, words, st.lists(value_lines, min_size=1, max_size=5).map(tuple))
fragments = st.sampled_from(
    ["%ok", "%error", " ", "230", "%info", "on", "off", "%referral", ":", "a", ";I", "%", "\t", "é"]
)
server_lines = st.lists(fragments, max_size=6).map("".join) | st.text(max_size=20)


@given(st.lists(server_lines, max_size=20))
def test_whatever_a_server_says_is_read(said: list[str]) -> None:
    reader = AnswerReader()
    taken = 0
    for line in said:
        taken += 1
        if reader.feed(line):
            break
    answer = reader.answer()
    assert answer.complete or taken == len(said)
    Banner.from_text(said[0] if said else "")


@given(st.lists(records, max_size=5), st.lists(words, max_size=3))
def test_records_survive_the_wire(sent: list[Record], referrals: list[str]) -> None:
    reader = AnswerReader()
    said = [line for record in sent for line in show.record_lines(record)]
    for line in [*said, *(f"%referral {url}" for url in referrals)]:
        assert not reader.feed(line)
    assert reader.feed("%ok")
    answer = reader.answer()
    assert answer.records == tuple(sent)
    assert answer.referrals == tuple(referrals)
    assert answer.other == ()


hosts = st.integers(0, 6)
urls = st.builds(lambda host, area: f"rwhois://h{host}/auth-area=a{area}", hosts, st.integers(0, 3))
worlds = st.dictionaries(hosts, st.none() | st.lists(urls | st.just("junk"), max_size=5))


@given(worlds, st.integers(0, 4), st.integers(1, 6))
def test_every_walk_ends_and_asks_nobody_twice(
    world: dict[int, list[str] | None], depth: int, servers: int
) -> None:
    walk = Walk(HostPort("h0"), FollowLimits(depth, servers))
    asked: list[str] = []
    while call := walk.next_call():
        asked.append(call.server.host)
        assert len(call.path) <= depth
        referrals = world.get(int(call.server.host[1:]), [])
        if referrals is None:
            walk.failed(call, Why.FAILED)
        else:
            walk.answered(call, referrals)
    assert len(asked) == len(set(asked)) <= servers
    assert asked[0] == "h0"
