"""The whole server: start, reload, restart of workers, stop, and what it says when it cannot."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.process import (
    NETWORKS,
    PATIENCE_SECONDS,
    Process,
    command,
    installation,
    read_all,
    running,
    until,
)

QUERY = b"192.0.2.1\r\n"
RECORD = b"network:Network-Name:POP-1\n"
TWO = NETWORKS["a/data/network/network.txt"] + (
    "---\nID: 2.192.0.2.0/24\nNetwork-Name: POP-2\nIP-Network: 192.0.2.64/26\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of two workers over a small installation."""
    folder = tmp_path_factory.mktemp("served")
    arguments = ("--listen", "127.0.0.1:0", "--workers", "2")
    patient = {"RWHOISD_LIMITS__IDLE_SECONDS": "3600"}
    conf = str(installation(folder / "arin"))
    with running(folder, "--arin-config", conf, *arguments, **patient) as one:
        yield one


def _arin(folder: Path, *arguments: str) -> tuple[str, ...]:
    conf = installation(folder / "arin")
    return ("--arin-config", str(conf), "--listen", "127.0.0.1:0", "--workers", "2", *arguments)


def _rewrite(folder: Path, name: str, text: str) -> None:
    path = folder / "arin" / name
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def test_answers_from_an_installation(server: Process) -> None:
    answer = server.ask(QUERY)
    assert answer.startswith(b"%rwhois V-1.5:")
    assert b" rwhois.example.net (by Network Solutions, Inc. V-1.5.9.6)\n" in answer
    assert RECORD in answer
    assert answer.endswith(b"\n\n%ok\n")


def test_line_of_511_octets(server: Process) -> None:
    """A longer line is cut into several, each a command of its own (§1.2)."""
    answer = server.ask(b"-holdconnect on\n" + b"x" * 600 + b"\n" + b"y" * 511 + b"\n-quit\n")
    assert answer.count(b"%error 230") == 3


def test_bytes_one_at_a_time_and_in_one_packet_are_the_same(server: Process) -> None:
    sent = b"-rwhois V-1.5\r\n-holdconnect on\r\n192.0.2.1\r\nnothing\r\n-quit\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in sent:
            client.sendall(bytes([octet]))
            time.sleep(0.001)
        assert read_all(client) == server.ask(sent)


def test_half_close_before_the_answer(server: Process) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(b"192.0.2.1")
        client.shutdown(socket.SHUT_WR)
        assert RECORD in read_all(client)


def test_200_pipelined_queries_are_answered_in_order(server: Process) -> None:
    queries = [b"192.0.2.1" if i % 2 else b"missing-%d" % i for i in range(200)]
    answer = server.ask(b"-holdconnect on\r\n" + b"\r\n".join(queries) + b"\r\n-quit\r\n")
    answers = answer.replace(b"%error 230 No Objects Found\n", b"-").split(b"%ok\n")
    assert answer.count(b"%error 230") == 100
    assert answer.count(RECORD) == 100
    # each miss comes right before its hit
    assert all(piece.startswith(b"-network:") for piece in answers[1:101])


@pytest.mark.skipif(not shutil.which("whois"), reason="there is no whois program here")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["192.0.2.1"], "network:Network-Name:POP-1", id="address"),
        pytest.param(["192.0.2.0/26"], "network:Network-Name:POP-1", id="prefix"),
        pytest.param(["POP-1"], "network:IP-Network:192.0.2.0/26", id="name"),
        pytest.param(["2001:db8::1"], "%error 230", id="v6 that is not ours"),
        pytest.param(["-B", "192.0.2.1"], "network:Network-Name:POP-1", id="RIPE flag"),
        pytest.param(["-r", "-B", "-T", "inetnum", "192.0.2.1"], "POP-1", id="RIPE flags"),
    ],
)
def test_debian_whois(server: Process, arguments: list[str], expected: str) -> None:
    done = subprocess.run(
        ["whois", "-h", "127.0.0.1", "-p", str(server.port), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,  # it waits for a server that stays open
        check=False,
    )
    assert expected in done.stdout


def test_ipwhois(server: Process) -> None:
    from ipwhois.net import Net

    net = Net("1.1.1.1", timeout=int(PATIENCE_SECONDS))  # it takes no documentation address
    answer = net.get_whois(asn_registry="", server="127.0.0.1", port=server.port)
    assert "network:Network-Name:POP-9" in answer.splitlines()


def test_2000_idle_connections_do_not_stop_queries(server: Process) -> None:
    held: list[socket.socket] = []
    try:
        for _ in range(2000):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)
            client.sendall(b"-holdconnect on\n")
            held.append(client)
        for _ in range(200):
            assert RECORD in server.ask(QUERY)
        for client in held[::100]:
            client.sendall(b"192.0.2.1\n-quit\n")
            assert RECORD in read_all(client)
    finally:
        for client in held:
            client.close()


def test_query_log_line(server: Process) -> None:
    server.ask(b"192.0.2.63\n")
    line = 'query="192.0.2.63" hits=1 code=0 us='
    until(lambda: line in server.log())


def test_killed_worker_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path, *_arin(tmp_path)) as server:
        before = set(server.workers())
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(server.workers()) == 2 and set(server.workers()) != before)
        for _ in range(20):
            assert RECORD in server.ask(QUERY)
        assert server.stop() == 0
        assert "ended with signal 9; another starts" in server.log()


def test_who_prepares_data_ends_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, *_arin(tmp_path)) as server:
        workers = set(server.workers())
        with (tmp_path / "state/image/lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # so that it waits
            server.process.send_signal(signal.SIGHUP)
            (loader,) = until(lambda: set(server.workers()) - workers)
            server.process.kill()
            server.process.wait()
            until(lambda: not any(_runs(pid) for pid in (loader, *workers)))


def _runs(pid: int) -> bool:
    """Whether a process is more than a corpse that nobody has buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_reload_takes_changed_data_and_refuses_nobody(tmp_path: Path) -> None:
    failures: list[object] = []
    over = threading.Event()

    def keep_asking(server: Process) -> None:
        while not over.is_set():
            try:
                if RECORD not in server.ask(QUERY):
                    failures.append("no record")
            except OSError as error:
                failures.append(error)

    with running(tmp_path, *_arin(tmp_path)) as server:
        asking = [threading.Thread(target=keep_asking, args=(server,)) for _ in range(3)]
        for thread in asking:
            thread.start()
        try:
            assert b"POP-2" not in server.ask(b"192.0.2.65\n")
            _rewrite(tmp_path, "a/data/network/network.txt", TWO)
            _rewrite(tmp_path, "rwhoisd.dir", "soa: no\n")
            server.hang_up()
            until(lambda: b"%error 400" in server.ask(b"-soa\n-quit\n"))
            assert b"network:Network-Name:POP-2\n" in server.ask(b"192.0.2.65\n")
        finally:
            over.set()
            for thread in asking:
                thread.join()
        assert not failures


def test_reload_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "rwhoisd.toml"
    conf = installation(tmp_path / "arin")
    good = f"compat = 'arin'\narin_config = '{conf}'\n[[listen]]\nhost = '127.0.0.1'\nport = 0\n"
    config.write_text(good)
    with running(tmp_path, "--config", str(config), "--workers", "1") as server:
        config.write_text(good + "[limits]\nconections = 3\n")
        server.hang_up()
        assert "unknown option 'limits.conections'; did you mean 'connections'?" in server.log()
        assert RECORD in server.ask(QUERY)
        config.write_text(good + "[directives]\nsoa = false\n")
        server.hang_up()
        until(lambda: b"%error 400" in server.ask(b"-soa\n-quit\n"))


def test_access_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    with running(tmp_path, *_arin(tmp_path)) as server:
        assert b"%ok" in server.ask(b"-status\n-quit\n")
        _rewrite(tmp_path, "deny", "status: ALL\n")
        until(lambda: b"%error 401" in server.ask(b"-status\n-quit\n"))
        _rewrite(tmp_path, "deny", "rwhoisd: ALL\n")
        # every worker looks at the files now and then
        until(lambda: [server.ask(QUERY) for _ in range(10)] == [b""] * 10)
        _rewrite(tmp_path, "deny", "")
        until(lambda: RECORD in server.ask(QUERY))


def test_limits_hold_over_workers(tmp_path: Path) -> None:
    with running(
        tmp_path,
        *_arin(tmp_path),
        RWHOISD_LIMITS__CONNECTIONS="5",
        RWHOISD_LIMITS__EXEMPT="[]",
        RWHOISD_LIMITS__QUERIES_PER_NET="20",
        RWHOISD_LIMITS__QUERY_INTERVAL_SECONDS="360000",
    ) as server:
        held = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(5)]
        assert all(client.recv(8) == b"%rwhois " for client in held)
        answer = server.ask(QUERY)
        assert answer.endswith(
            b"\n%error 501 Service Not Available: exceeded max client sessions\n"
        )
        for client in held:
            client.close()
        until(lambda: b"501" not in server.ask(b"-quit\n"))
        answers = [server.ask(QUERY) for _ in range(40)]
        assert sum(RECORD in answer for answer in answers) in (20, 21)
        told = b"\n%error 402 Unidentified Error: Query rate limit exceeded\n"
        assert answers[-1].endswith(told)


def test_dual_stack(tmp_path: Path) -> None:
    conf = installation(tmp_path / "arin")
    with running(tmp_path, "--arin-config", str(conf), "--listen", "*:0") as server:
        assert RECORD in server.ask(QUERY, "127.0.0.1")
        assert RECORD in server.ask(QUERY, "::1")
        # IPv4 clients are plain quads, whatever the socket is
        until(lambda: "client=127.0.0.1 " in server.log() and "client=::1 " in server.log())


def test_external_program(tmp_path: Path) -> None:
    conf = installation(
        tmp_path / "arin",
        {
            "rwhoisd.x.dir": (
                "command: echo\nprogram: /bin/echo fixed\n---\n"
                "command: fail\nprogram: /bin/false\n---\ncommand: none\nprogram: /no/such\n"
            )
        },
    )
    with running(tmp_path, "--arin-config", str(conf), "--listen", "127.0.0.1:0") as server:
        sent = b"-X-echo a;b $HOME 'c  d'\n-X-fail\n-X-none\nafter-all\n"
        answer = server.ask(sent).partition(b"\n")[2]
        assert answer == (
            b"fixed a;b $HOME c  d\n%ok\n"
            b"%error 402 Unidentified Error\n%error 402 Unidentified Error\n"
            b"%error 230 No Objects Found\n"
        )


def test_state_is_kept_and_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path, *_arin(tmp_path)) as server:
            assert RECORD in server.ask(QUERY)
            assert server.stop() == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"rwhoisd.auth_area": None}, "auth-area-file", id="missing file"),
        pytest.param({"rwhoisd.conf": "root-dir: nowhere\n"}, "no directory", id="root"),
    ],
)
def test_installation_that_cannot_be_used(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    conf = installation(tmp_path / "arin", changes)
    arguments = ("--arin-config", str(conf), "--listen", "127.0.0.1:0")
    done = command("serve", *arguments, "--state", str(tmp_path / "state"))
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_port_in_use(tmp_path: Path) -> None:
    conf = str(installation(tmp_path / "arin"))
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        state = str(tmp_path / "state")
        done = command("serve", "--arin-config", conf, "--listen", place, "--state", state)
    assert done.returncode == 1
    assert done.stderr == (
        f"rwhoisd: cannot listen on {place}: Address already in use;"
        " another server listens there; stop it or choose another port\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param(["serve"], 2, "--config or --arin-config", id="nothing to serve"),
        pytest.param(["serve", "--config", "/no/such.toml"], 1, "cannot be read", id="no file"),
        pytest.param(["serve", "--config", "x", "--listen", "here"], 2, "HOST:PORT", id="listen"),
        pytest.param(["serve", "--workers", "many"], 2, "--workers", id="no number"),
        pytest.param(
            ["check-config", "--config", "/no/such.toml"], 1, "cannot be read", id="check"
        ),
    ],
)
def test_misuse(arguments: list[str], status: int, words: str) -> None:
    done = command(*arguments)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    state = str(tmp_path / "file" / "state")
    conf = str(installation(tmp_path / "arin"))
    done = command("serve", "--arin-config", conf, "--listen", "127.0.0.1:0", "--state", state)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be made" in done.stderr


def test_what_keeps_every_worker_from_serving_is_told_once(tmp_path: Path) -> None:
    conf = tmp_path / "rwhoisd.toml"
    conf.write_text('[log]\nqueries = "gone/queries.log"\n')
    arguments = ("--config", str(conf), "--listen", "127.0.0.1:0", "--workers", "3")
    done = command("serve", *arguments, "--state", str(tmp_path / "state"))
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("rwhoisd: ")]
    assert told == [f"rwhoisd: {tmp_path}/gone/queries.log: No such file or directory"]


def test_foreign_store_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "store.sqlite").write_bytes(b"this is no database at all" * 100)
    conf = str(installation(tmp_path / "arin"))
    state = str(tmp_path / "state")
    done = command("serve", "--arin-config", conf, "--listen", "127.0.0.1:0", "--state", state)
    assert done.returncode == 1
    assert "is no SQLite database" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_config(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text("workers = 1\n")
    done = command("check-config", "--config", str(good))
    assert (done.returncode, done.stderr) == (0, "")
    bad = tmp_path / "bad.toml"
    bad.write_text("wrkers = 1\nport = 3\n")
    done = command("check-config", "--config", str(bad))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert f"{bad}:1: unknown option 'wrkers'; did you mean 'workers'?" in done.stderr
