"""A minute of what ``make fuzz`` does for an hour, the same each time; and what was saved."""

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from typer import Typer
from typer.testing import CliRunner, Result

from fuzz import __main__ as cli
from fuzz import engines, loaders, sample, seeds, session
from fuzz.inputs import BrokenPromiseError, join
from rwhoisd.formats.findings import FormatError
from rwhoisd.protocol.replies import Reply
from rwhoisd.service.service import Service

SAME_EACH_TIME = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
GROWTH = 2000  # objects that Python may keep more after the same inputs again
KNOWN = join(["rfc", "192.0.2.7", "0"], f"id={sample.KNOWN_ID}\r\n".encode())


@settings(SAME_EACH_TIME, max_examples=500)
@given(engines.inputs(seeds.seeds("session")))
def test_any_conversation_keeps_its_promises(data: bytes) -> None:
    session.run(data)


@settings(SAME_EACH_TIME, max_examples=200)
@given(engines.inputs(seeds.seeds("loaders")))
def test_any_file_is_read_or_told(data: bytes) -> None:
    loaders.run(data)


@pytest.mark.parametrize("name", engines.TARGETS)
def test_seeds_and_saved_inputs_break_nothing_and_leave_nothing(name: str) -> None:
    target, inputs = engines.target(name), seeds.seeds(name)
    assert len(inputs) > 100
    for data in inputs:
        target.run(data)
    before = _objects()
    for data in inputs[::2]:
        target.run(data)
    assert _objects() - before < GROWTH


@pytest.mark.parametrize(
    ("words", "before", "unit"),
    [
        pytest.param(["inventory", "alteon"], b"a: ", b"\t", id="blanks of a switch's report"),
        pytest.param(["inventory", "ansible"], b"", b"\n", id="empty lines of Ansible's"),
        pytest.param(["inventory", "ansible"], b"[a", b"\t", id="blanks of a group of Ansible's"),
        pytest.param(["inventory", "swift"], b"", b"&a;", id="words of a shell's line"),
        pytest.param(
            ["zone", "vault.example/contact.txt"], b"", b"a: b\n", id="mistakes of a zone"
        ),
        pytest.param(["classes"], b"", b"a.", id="dots of a TOML key"),
        pytest.param(["config"], b"a = ", b"[", id="brackets of TOML"),
        pytest.param(["inventory-file"], b"a = ", b"{a=", id="tables of TOML"),
        pytest.param(["inventory", "haproxy"], b"bind a", b" ", id="blanks of HAProxy's lines"),
        pytest.param(["inventory", "gluster"], b"Uuid: a", b" ", id="blanks of Gluster's peers"),
        pytest.param(["arin", "rwhoisd.conf"], b"root-dir: ", b"a/", id="a path that is too long"),
    ],
)
def test_long_runs_cost_by_their_length(words: list[str], before: bytes, unit: bytes) -> None:
    loaders.run(join(words, before + unit * ((200 << 10) // len(unit))))


@pytest.mark.parametrize(
    ("word", "line"),
    [
        pytest.param("config", "a{} = 1\n", id="configuration"),
        pytest.param("classes", "[class.a{}]\nb = 1\n", id="classes"),
        pytest.param("inventory-file", "[[source]]\nname = 'a{}'\n", id="inventory"),
    ],
)
def test_many_mistakes_are_told_in_time(word: str, line: str) -> None:
    loaders.run(join([word], "".join(map(line.format, range(5000))).encode()))


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def test_a_secret_that_is_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    session.run(KNOWN)
    monkeypatch.setattr(sample, "secrets", lambda: (b"contact:Name:Known",))
    with pytest.raises(BrokenPromiseError, match="a secret is told"):
        session.run(KNOWN)


def test_an_answer_with_two_ends_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    session.prepare()
    monkeypatch.setattr(Service, "handle", lambda *_: Reply(b"%ok\n"))
    with pytest.raises(BrokenPromiseError, match="one last line"):
        session.run(KNOWN)


def test_a_finding_without_words_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(text: str) -> None:
        raise FormatError(())

    monkeypatch.setattr(loaders, "read_csv", silent)
    with pytest.raises(BrokenPromiseError, match="an error has findings"):
        loaders.run(b"csv\n")


def test_an_input_that_fails_is_kept_and_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(text: str) -> None:
        assert "boom" not in text

    monkeypatch.setattr(loaders, "read_csv", faulty)
    with pytest.raises(AssertionError):
        engines.checked(loaders.run, b"csv\nboom", tmp_path / "crashes")
    (kept,) = (tmp_path / "crashes").iterdir()
    assert kept.read_bytes() == b"csv\nboom"
    arguments = ["--target", "loaders", "--replay", str(kept)]
    assert isinstance(_run(*arguments).exception, AssertionError)
    monkeypatch.undo()
    assert _run(*arguments).exit_code == 0


def test_hypothesis_fuzzes_where_atheris_is_not(tmp_path: Path) -> None:
    arguments = ["--target", "session", "--seconds", "1", "--engine", "hypothesis"]
    result = _run(*arguments, "--corpus", str(tmp_path))
    assert result.exit_code == 0
    assert "inputs, nothing broke" in result.output


@pytest.mark.parametrize("arguments", [["--target", "moon"], ["--engine", "steam"]])
def test_words_that_are_none_are_refused(arguments: list[str]) -> None:
    assert _run(*arguments).exit_code == 2


def _run(*arguments: str) -> Result:
    app = Typer()
    app.command()(cli.main)
    return CliRunner().invoke(app, arguments)
