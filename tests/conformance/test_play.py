"""Cases played against a scripted server: the right one passes, a wrong one does not."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from conformance.arinset import ArinPlay, load_arin
from conformance.outcomes import Outcome, Standing
from conformance.recorded import load_recorded
from conformance.rfcset import RfcPlay
from conformance.runner import Effort, run_plays
from conformance.script import parse_script
from conformance.servers import FixedTarget, ServerError, SpawnTarget, Variant, target_from_text
from conformance.wire import Endpoint, Pace

from .scripted import RIGHT, scripted

PACE = Pace(timeout=5, patience=0.3)
HEAD = ["# id: a.b", "# source: R3.4-1", "# strength: must"]


def written(*lines: str, strength: str = "must") -> RfcPlay:
    head = [line.replace("must", strength) for line in HEAD]
    return RfcPlay(parse_script([*head, *lines], 1, "f.txt"), Variant(Path()))


def played(play: RfcPlay | ArinPlay, answers: Mapping[str, str] = RIGHT) -> list[Outcome]:
    with scripted(answers) as port:
        return asyncio.run(play.run(Endpoint("127.0.0.1", port), PACE))


def recorded(name: str) -> ArinPlay:
    return next(play for play in load_arin() if play.id == name)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["S~ %rwhois .*", "C -limit 5", "S %ok", "E open"], id="banner"),
        pytest.param(["C -limit 5", "C -quit", "S %ok", "S %ok", "E closed"], id="pipelined"),
        pytest.param(["C nothing", "S %error 230", "E closed"], id="closed"),
        pytest.param(["C -soa", "S ...", "S %ok", "E count 1 ^%soa$", "E each ^%"], id="checks"),
        pytest.param(["C> -limit 5\\n-quit\\n", "S %ok", "S %ok"], id="raw"),
        pytest.param(
            ["@ a", "C -limit 5", "S %ok", "@ b", "C -quit", "S %ok", "@ a", "E open"], id="two"
        ),
        pytest.param(
            ["S~ %rwhois (?P<v>\\S+) .*", "C -rwhois V-1.5", "S~ %rwhois ${v} .*", "S %ok"],
            id="variable",
        ),
        pytest.param(["C -limit 5", "S %ok", "A 1 < 2", "A a != b", "A a = a"], id="comparisons"),
    ],
)
def test_the_right_answer_passes(lines: list[str]) -> None:
    (outcome,) = played(written(*lines))
    assert outcome.detail == ()
    assert outcome.semantic


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(["C -limit", "S %error 350"], "not as written", id="code"),
        pytest.param(["C -limit 5", "S %ok", "E closed"], "kept the connection", id="kept"),
        pytest.param(["C nothing", "S %error 230", "E open"], "hung up", id="hung up"),
        pytest.param(["C -soa", "S ...", "S %ok", "E no authority"], "1 of 3 lines", id="no"),
        pytest.param(["C -soa", "S ...", "S %ok", "E has bogus"], "0 of 3 lines", id="has"),
        pytest.param(["C -soa", "S ...", "S %ok", "E each ^%soa"], "2 of 3 lines", id="each"),
        pytest.param(["C -limit 5", "S %ok", "E crlf"], "does not end CR LF", id="crlf"),
        pytest.param(["C -limit 5", "S %ok", "A 2 < 1"], "does not hold", id="comparison"),
        pytest.param(["C -limit 5", "C -limit 5", "S %ok"], "unexpected lines", id="too much"),
        pytest.param(["C -limit 5", "S %ok", "S %ok"], "not as written", id="too little"),
    ],
)
def test_a_wrong_answer_fails(lines: list[str], said: str) -> None:
    (outcome,) = played(written(*lines))
    assert not outcome.semantic
    assert said in "\n".join(outcome.detail)


def test_a_may_is_no_requirement() -> None:
    (outcome,) = played(written("C -limit", "S %ok", strength="may"))
    assert (outcome.standing, outcome.semantic) == (Standing.OPTIONAL, False)


def test_a_recorded_answer_passes() -> None:
    (outcome,) = played(recorded("o-0003"))
    assert (outcome.exact, outcome.semantic, outcome.close) == (True, True, True)


def test_other_words_are_right_in_meaning_only() -> None:
    (outcome,) = played(recorded("o-0003"), {**RIGHT, "-rwhois": "%error 338 No\n"})
    assert (outcome.exact, outcome.semantic) == (False, True)


def test_another_code_is_wrong() -> None:
    (outcome,) = played(recorded("o-0003"), {**RIGHT, "-rwhois": "%error 350 No\n"})
    assert not outcome.semantic
    assert any("%error 350" in line for line in outcome.detail)


def test_hanging_up_is_heard() -> None:
    """-rwhois is not in the table: the scripted server hangs up after it."""
    without = {command: answer for command, answer in RIGHT.items() if command != "-rwhois"}
    (outcome,) = played(recorded("o-0003"), without)
    assert not outcome.close
    assert "the server hung up" in outcome.detail


def test_more_than_the_recorded_answer_is_heard_without_a_pause() -> None:
    (outcome,) = played(recorded("o-0003"), {**RIGHT, "-rwhois": "%error 338 a\n%ok\n"})
    assert not outcome.semantic


def test_a_missing_answer_is_found_by_asking_for_a_sign_of_life() -> None:
    silent = {**RIGHT, "-limit": "%info on\n"}
    (outcome,) = played(recorded("o-0059"), silent)
    assert not outcome.semantic


def test_a_defect_is_scored_twice() -> None:
    """B1: ARIN's server dies of an unknown name; 400 is right."""
    answers = {**RIGHT, "-directive nosuch": "%error 400 Directive Not Available\n"}
    defect, corrected = played(recorded("o-0022"), answers)
    assert (defect.standing, defect.semantic) == (Standing.DEFECT, False)
    assert (corrected.standing, corrected.exact) == (Standing.CORRECTED, True)


def test_every_recording_says_how_many_answers_to_wait_for() -> None:
    for case in load_recorded():
        assert len(case.quotas) == len(case.pieces)


def test_nobody_there_fails_every_case() -> None:
    with scripted() as port:
        pass
    target = FixedTarget(Endpoint("127.0.0.1", port))
    report = run_plays([recorded("o-0003")], target, PACE, Effort())
    (outcome,) = report.outcomes
    assert not outcome.semantic
    assert "no connection" in outcome.detail[0]


def test_a_server_is_spawned_for_each_variant() -> None:
    command = f"exec '{sys.executable}' -m tests.conformance.scripted {{port}}"
    target = SpawnTarget(f"cd '{Path(__file__).parents[2]}' && {command}")
    plays = [recorded("o-0003"), recorded("o-0059"), recorded("o-0098")]
    report = run_plays(plays, target, PACE, Effort())
    assert [outcome.exact for outcome in report.outcomes] == [True, True, True]
    assert report.errors == ()


def test_a_command_that_fails_is_reported_with_its_words() -> None:
    target = SpawnTarget("echo no such zone; exit 3")
    report = run_plays([recorded("o-0003")], target, PACE, Effort())
    assert "no such zone" in report.errors[0]
    assert not report.outcomes[0].semantic


def test_a_running_server_plays_only_what_it_can_show() -> None:
    plays = [recorded("o-0003"), recorded("o-0234"), recorded("o-0946")]
    with scripted() as port:
        target = FixedTarget(Endpoint("127.0.0.1", port))
        report = run_plays(plays, target, PACE, Effort())
    assert [outcome.id for outcome in report.outcomes] == ["o-0003"]
    assert report.skipped == ("o-0234", "o-0946")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("127.0.0.1:4321", FixedTarget, id="v4"),
        pytest.param("[::1]:4321", FixedTarget, id="v6"),
        pytest.param("rwhois.example.net:4321", FixedTarget, id="name"),
        pytest.param("rwhoisd -c {dir}/rwhoisd.conf", SpawnTarget, id="command"),
    ],
)
def test_what_a_target_is(text: str, kind: type) -> None:
    assert isinstance(target_from_text(text), kind)


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no such program"):
        target_from_text(f"arin:{tmp_path}")
