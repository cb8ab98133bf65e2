"""The rwhois client against scripted servers on loopback."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from typer.testing import CliRunner, Result

from rwhoisd.client.cli import app
from rwhoisd.client.resolve import Event, Notice, Options, Visit, resolve
from rwhoisd.client.session import SessionError, SessionLimits, ask
from rwhoisd.directory.area import HostPort
from rwhoisd.protocol.follow import DeadEnd, FollowLimits, Why
from rwhoisd.testing.scripted import ScriptedServer, refusing_port

HELLO = "-rwhois V-1.5 rwhoisd client"
FOUND = "network:ID:1.10.0.0.0/8\nnetwork:IP-Network:10.0.0.0/8\n\n%ok\n"
UNENDING = FOUND.removesuffix("%ok\n")
QUERY = "network 10.1.2.3"
QUICK = Options(session=SessionLimits(seconds=10.0))
NO_NOTIFY = 0x3FFF & ~0x40


def at(server: ScriptedServer) -> HostPort:
    return HostPort(server.host, server.port)


async def look_up(server: ScriptedServer, options: Options = QUICK) -> list[Event]:
    return await resolve(QUERY, at(server), options, lambda _: None)


def asked(events: list[Event]) -> list[int]:
    return [event.call.server.port for event in events if isinstance(event, Visit)]


def notices(server: ScriptedServer) -> list[str]:
    return [line for line in server.lines if line.startswith("-notify")]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


@pytest.mark.parametrize("piece_octets", [1, 7, 65536], ids=str)
def test_conversation(piece_octets: int) -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}, piece_octets=piece_octets) as server:
            said = await ask(at(server), QUERY, SessionLimits())
            assert server.sessions == [[HELLO, QUERY]]
        assert said.banner.capabilities == 0x3FFF
        assert said.answer.records[0].values("IP-Network") == ("10.0.0.0/8",)
        assert said.answer.code == 0

    run(test)


@pytest.mark.parametrize(
    ("make", "limits", "message"),
    [
        (partial(ScriptedServer, delay_seconds=30.0), SessionLimits(seconds=0.2), "within 0.2 s"),
        (partial(ScriptedServer, banner=False), SessionLimits(seconds=0.2), "within 0.2 s"),
        (
            partial(ScriptedServer, otherwise=UNENDING, endless=True),
            SessionLimits(octets=50_000),
            "over 50000 octets",
        ),
        (
            partial(ScriptedServer, otherwise="x" * 3000 + "\n%ok\n"),
            SessionLimits(line_octets=1000),
            "a line of over 1000 octets",
        ),
        (partial(ScriptedServer, otherwise=None), SessionLimits(), "closed without an answer"),
        (partial(ScriptedServer, {"-rwhois": None}), SessionLimits(), "closed after the banner"),
    ],
    ids=["slow", "silent", "endless", "long-line", "no-answer", "no-greeting"],
)
def test_server_that_gives_no_usable_answer(
    make: Callable[[], ScriptedServer], limits: SessionLimits, message: str
) -> None:
    async def test() -> None:
        async with make() as server:
            with pytest.raises(SessionError, match=message):
                await ask(at(server), QUERY, limits)

    run(test)


def test_dead_server() -> None:
    async def test() -> None:
        with refusing_port() as port, pytest.raises(SessionError, match="Connection refused"):
            await ask(HostPort("127.0.0.1", port), QUERY, SessionLimits())

    run(test)


def test_server_of_another_protocol_is_named_by_its_first_words() -> None:
    async def test() -> None:
        async with ScriptedServer() as server:
            server.banner = "SSH-2.0-OpenSSH_9.2\n"
            with pytest.raises(SessionError, match=r"it began with 'SSH-2.0"):
                await ask(at(server), QUERY, SessionLimits())
            assert server.lines == []

    run(test)


def test_answer_that_breaks_off_is_given_as_far_as_it_came() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND.removesuffix("%ok\n")}) as server:
            said = await ask(at(server), QUERY, SessionLimits())
        assert len(said.answer.records) == 1
        assert not said.answer.complete

    run(test)


@pytest.mark.parametrize(
    ("greeting", "code"),
    [("%error 300 Not compatible\n", 300), ("%error 501 Service not available\n", 501)],
    ids=["version", "full"],
)
def test_refused_greeting_is_the_answer(greeting: str, code: int) -> None:
    async def test() -> None:
        async with ScriptedServer({"-rwhois": greeting}) as server:
            said = await ask(at(server), QUERY, SessionLimits())
            assert server.queries == []
        assert said.answer.code == code

    run(test)


def test_greeting_that_is_not_understood_does_not_stop_the_query() -> None:
    async def test() -> None:
        async with ScriptedServer({"-rwhois": "%error 400 x\n", QUERY: FOUND}) as server:
            said = await ask(at(server), QUERY, SessionLimits())
        assert len(said.answer.records) == 1

    run(test)


def test_referral_is_followed_with_the_same_query() -> None:
    # R3.4-15
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as below, ScriptedServer() as above:
            above.replies[QUERY] = f"%referral {below.url('10.0.0.0/8')}\n%ok\n"
            events = await look_up(above)
            assert below.sessions == above.sessions == [[HELLO, QUERY]]
            assert asked(events) == [above.port, below.port]

    run(test)


def test_one_of_several_referrals_of_an_area() -> None:
    # R3.4-13
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as one, ScriptedServer() as two:
            text = f"%referral {one.url('a.com')}\n%referral {two.url('A.com')}\n%ok\n"
            async with ScriptedServer({QUERY: text}) as above:
                assert asked(await look_up(above)) == [above.port, one.port]
            assert two.sessions == []

    run(test)


def test_referrals_of_all_areas() -> None:
    # R3.4-14
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as one, ScriptedServer({QUERY: FOUND}) as two:
            text = f"%referral {one.url('a.com')}\n%referral {two.url('b.com')}\n%ok\n"
            async with ScriptedServer({QUERY: text}) as above:
                events = await look_up(above)
                assert asked(events) == [above.port, one.port, two.port]
                assert notices(above) == []

    run(test)


@pytest.mark.parametrize("capabilities", [0x3FFF, 0x40, NO_NOTIFY, 0], ids=hex)
def test_dead_server_is_replaced_and_reported(capabilities: int) -> None:
    # R3.3.7-2
    async def test() -> None:
        with refusing_port() as port:
            dead = f"rwhois://127.0.0.1:{port}/auth-area=a.com"
            async with (
                ScriptedServer({QUERY: FOUND}) as alive,
                ScriptedServer(capabilities=capabilities) as above,
            ):
                above.replies[QUERY] = f"%referral {dead}\n%referral {alive.url('a.com')}\n%ok\n"
                events = await look_up(above)
                assert asked(events) == [above.port, port, alive.port]
                told = [f"-notify badref {dead} {QUERY}"] if capabilities & 0x40 else []
                assert notices(above) == told
                assert notices(alive) == []
                assert [e.accepted for e in events if isinstance(e, Notice)] == [True] * len(told)

    run(test)


def test_loop_is_cut_and_reported_to_who_closed_it() -> None:
    async def test() -> None:
        async with ScriptedServer() as above, ScriptedServer() as below:
            above.replies[QUERY] = f"%referral {below.url('a.com')}\n%ok\n"
            below.replies[QUERY] = FOUND.replace("%ok", f"%referral {above.url('b.com')}\n%ok")
            events = await look_up(above)
            assert above.queries == below.queries == [QUERY]
            assert notices(below) == [f"-notify recurref {above.url('b.com')} {QUERY}"]
            assert notices(above) == []
            assert [e.why for e in events if isinstance(e, DeadEnd)] == [Why.LOOP]

    run(test)


def test_report_that_is_refused_changes_nothing() -> None:
    async def test() -> None:
        replies = {QUERY: "%referral http://a.com/\n%ok\n", "-notify": "%error 401 No\n"}
        async with ScriptedServer(replies) as server:
            events = await look_up(server)
            assert notices(server) == [f"-notify badref http://a.com/ {QUERY}"]
            assert [e.accepted for e in events if isinstance(e, Notice)] == [False]

    run(test)


def test_referral_of_several_words_is_not_sent_back() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: "%referral see our home page\n%ok\n"}) as server:
            events = await look_up(server)
            assert notices(server) == []
            assert [e.why for e in events if isinstance(e, DeadEnd)] == [Why.MALFORMED]

    run(test)


def test_full_server_is_replaced_without_a_report() -> None:
    async def test() -> None:
        full_answer = "%error 501 Service not available\n"
        async with (
            ScriptedServer({QUERY: full_answer}) as full,
            ScriptedServer({QUERY: FOUND}) as other,
            ScriptedServer() as above,
        ):
            above.replies[QUERY] = (
                f"%referral {full.url('a.com')}\n%referral {other.url('a.com')}\n%ok\n"
            )
            events = await look_up(above)
            assert asked(events) == [above.port, full.port, other.port]
            assert notices(above) == []

    run(test)


def test_endless_chain_is_cut_by_depth() -> None:
    async def test() -> None:
        async with (
            ScriptedServer() as one,
            ScriptedServer() as two,
            ScriptedServer() as three,
        ):
            one.replies[QUERY] = f"%referral {two.url('a.com')}\n%ok\n"
            two.replies[QUERY] = f"%referral {three.url('b.a.com')}\n%ok\n"
            options = Options(follow=FollowLimits(depth=1))
            assert asked(await look_up(one, options)) == [one.port, two.port]
            assert three.sessions == []

    run(test)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6_address_in_a_referral() -> None:
    async def test() -> None:
        async with (
            ScriptedServer({QUERY: FOUND}, host="::1") as below,
            ScriptedServer() as above,
        ):
            assert below.url("a").startswith("rwhois://[::1]:")
            above.replies[QUERY] = f"%referral {below.url('a.com')}\n%ok\n"
            await look_up(above)
            assert below.queries == [QUERY]

    run(test)


async def rwhois(
    *arguments: str, server: ScriptedServer | None = None, env: dict[str, str] | None = None
) -> Result:
    """The command, in a thread of its own because it runs its own event loop."""
    options = ["-h", server.address] if server else []
    runner = CliRunner()
    return await asyncio.to_thread(runner.invoke, app, [*options, *arguments], env=env)


def test_command_prints_records_and_succeeds() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as server:
            result = await rwhois("network", "10.1.2.3", server=server)
        assert result.exit_code == 0
        assert result.stdout == FOUND.removesuffix("%ok\n")
        assert result.stderr == ""

    run(test)


def test_command_that_finds_nothing() -> None:
    async def test() -> None:
        async with ScriptedServer() as server:
            result = await rwhois(QUERY, server=server)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr == "rwhois: nothing found\n"

    run(test)


def test_command_without_server() -> None:
    async def test() -> None:
        with refusing_port() as port:
            result = await rwhois("-h", f"127.0.0.1:{port}", QUERY)
        assert result.exit_code == 1
        assert result.stderr == f"rwhois: 127.0.0.1:{port}: Connection refused\n"

    run(test)


def test_default_server_is_in_the_environment() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as server:
            result = await rwhois(QUERY, env={"RWHOIS_SERVER": server.address})
            assert server.queries == [QUERY]
        assert result.exit_code == 0

    run(test)


def test_command_as_json() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as below, ScriptedServer() as above:
            answer = f"%info on\nmoving\n%info off\n%referral {below.url('a.com')}\n%ok\n"
            above.replies[QUERY] = answer
            result = await rwhois("--json", QUERY, server=above)
            document = json.loads(result.stdout)
            assert document["records"][0]["server"] == below.address
            assert document["referrals"] == [{"from": above.address, "url": below.url("a.com")}]
            assert document["info"] == [{"from": above.address, "text": "moving"}]
            assert [entry["depth"] for entry in document["trace"]] == [0, 1]
        assert result.exit_code == 0

    run(test)


def test_command_that_does_not_follow() -> None:
    async def test() -> None:
        async with ScriptedServer() as below, ScriptedServer() as above:
            above.replies[QUERY] = f"%referral {below.url('a.com')}\n%referral junk\n%ok\n"
            result = await rwhois("--no-follow", QUERY, server=above)
            assert result.stdout == f"%referral {below.url('a.com')}\n%referral junk\n"
            assert below.sessions == []
            assert notices(above) == []
        assert result.exit_code == 0
        assert result.stderr == ""

    run(test)


def test_command_tells_what_happens() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND}) as below, ScriptedServer() as above:
            above.replies[QUERY] = f"%referral {below.url('a.com')}\n%ok\n"
            result = await rwhois("--trace", QUERY, server=above)
            first, second = result.stderr.splitlines()
            assert first == f"{above.address}: 0 records, 1 referrals, ok"
            assert second.startswith(f"  {below.address} (for a.com, named by {above.address})")
        assert "network:ID" in result.stdout

    run(test)


def test_information_of_a_server_stands_apart() -> None:
    # R3.1.2-6
    async def test() -> None:
        async with ScriptedServer() as server:
            server.replies[QUERY] = "%info on\nnetwork:not:data\n%info off\n" + FOUND
            result = await rwhois(QUERY, server=server)
        assert result.stdout.startswith("% info: network:not:data\n\nnetwork:ID:")

    run(test)


def test_list_that_was_cut_is_said_to_be() -> None:
    async def test() -> None:
        async with ScriptedServer({QUERY: FOUND.replace("%ok", "%error 330 Exceeded")}) as server:
            result = await rwhois(QUERY, server=server)
            assert result.stderr == f"rwhois: {server.address}: 330 Exceeded\n"
        assert result.exit_code == 0
        assert "network:ID" in result.stdout

    run(test)


def test_query_that_looks_like_a_directive_is_quoted() -> None:
    # R3.1.3-1
    async def test() -> None:
        async with ScriptedServer() as server:
            await rwhois("--", "-quit", server=server)
            assert server.sessions == [[HELLO, '"-quit"']]

    run(test)


def soa(primary: str) -> str:
    return f"%soa authority:b.a.com\n%soa serial:20240101000000000\n%soa primary:{primary}\n%ok\n"


def referral_object(*urls: str) -> str:
    lines = "".join(f"referral:Referral:{url}\n" for url in urls)
    return f"referral:Referred-Auth-Area:B.a.com\n{lines}\n"


def test_servers_of_an_area() -> None:
    # R3.6.4-1, R3.6.4-3: one server is asked for the SOA, and it tells who is master
    async def test() -> None:
        with refusing_port() as port:
            dead = f"rwhois://127.0.0.1:{port}/auth-area=b.a.com"
            async with ScriptedServer() as slave, ScriptedServer() as master:
                slave.replies["-soa b.a.com"] = soa(master.address)
                text = referral_object(dead, slave.url("b.a.com"), master.url("b.a.com"))
                async with ScriptedServer({"referral b.a.com": text + "%ok\n"}) as known:
                    result = await rwhois("--servers", "b.a.com", server=known)
                assert result.stdout.splitlines() == [
                    f"master {master.address}",
                    f"slave 127.0.0.1:{port}",
                    f"slave {slave.address}",
                ]
                assert result.exit_code == 0
                assert master.sessions == []

    run(test)


def test_servers_of_an_area_further_down() -> None:
    # R3.6.4-2: a referral on the way
    async def test() -> None:
        async with ScriptedServer() as below, ScriptedServer() as known:
            known.replies["referral b.a.com"] = f"%referral {below.url('a.com')}\n%ok\n"
            text = referral_object(below.url("b.a.com"))
            below.replies["referral b.a.com"] = text + "%ok\n"
            below.replies["-soa b.a.com"] = soa(below.address)
            result = await rwhois("--servers", "--json", "b.a.com", server=known)
            document = json.loads(result.stdout)
            assert document["master"] == below.address
            assert document["slaves"] == []
            assert document["servers"] == [below.address]

    run(test)


def test_servers_without_soa() -> None:
    async def test() -> None:
        async with ScriptedServer() as below, ScriptedServer() as known:
            known.replies["referral b.a.com"] = f"%referral {below.url('b.a.com')}\n%ok\n"
            below.replies["-soa"] = "%error 340 Invalid authority area\n"
            result = await rwhois("--servers", "b.a.com", server=known)
            assert result.stdout == f"server {below.address}\n"
            assert "340 Invalid authority area" in result.stderr
        assert result.exit_code == 1

    run(test)


def test_server_asked_may_be_of_the_area_itself() -> None:
    async def test() -> None:
        async with ScriptedServer({"-soa b.a.com": soa("m.test:4321")}) as known:
            result = await rwhois("--servers", "b.a.com", server=known)
            assert result.stdout == f"master m.test:4321\nslave {known.address}\n"
        assert result.exit_code == 0

    run(test)


def test_servers_of_an_unknown_area() -> None:
    async def test() -> None:
        async with ScriptedServer() as known:
            result = await rwhois("--servers", "b.a.com", server=known)
            assert known.queries == ["referral b.a.com"]
        assert result.exit_code == 1
        assert result.stderr == "rwhois: no server of this area is known\n"

    run(test)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["-h", "a:b:c", "x"],
        ["-h", "a:0", "x"],
        ["--depth", "-1", "x"],
        ["--servers", "a b"],
        ["--nosuch", "x"],
    ],
    ids=["nothing", "empty", "host", "port", "depth", "area", "option"],
)
def test_misuse(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_help_is_only_the_long_option() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "Examples: rwhois -h" in " ".join(result.stdout.split())
