"""The page of rules is true: every rule has its case or its reason, every case its rule."""

import pytest

from conformance.arinset import load_arin
from conformance.docs import PAGE, ROOT, cases_by_rule, current
from conformance.docs import main as write_page
from conformance.rfcset import load_rfc
from conformance.rules import RfcRule, load_rfc_rules

RULES = load_rfc_rules()
SCRIPTS = [play.script for play in load_rfc()]
SHOWN = cases_by_rule(SCRIPTS)


def test_all_rules_are_there() -> None:
    assert len(RULES) == 277


def test_the_page_is_as_it_is_made() -> None:
    assert PAGE.read_text(encoding="utf-8") == current(), "run python -m conformance.docs"
    assert write_page(["--check"]) == 0


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_shown_or_says_why_not(rule: RfcRule) -> None:
    assert (rule.id in SHOWN) != bool(rule.unseen)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_kept_somewhere_or_says_why_not(rule: RfcRule) -> None:
    assert rule.where or rule.not_done
    for name in rule.where:
        assert (ROOT / "rwhoisd" / name).is_file(), name
    for name in rule.tests:
        assert (ROOT / name).is_file(), name


def test_a_case_names_known_rules_and_their_strength() -> None:
    for script in SCRIPTS:
        assert set(script.rules) <= RULES.keys(), script.place
        assert script.strength == RULES[script.rules[0]].strength, script.place


def test_a_case_asks_for_something() -> None:
    for script in SCRIPTS:
        kinds = {type(step.action).__name__ for step in script.steps}
        assert kinds & {"Expect", "Check"}, script.place


def test_the_recorded_set_is_whole() -> None:
    plays = load_arin()
    assert len(plays) == 994
    assert sum(play.corrected is not None for play in plays) == 79
    assert all(play.recorded.case.defect for play in plays if play.corrected is not None)


def test_every_recording_can_be_ruled() -> None:
    for play in load_arin("rfc"):
        ruling = play.recorded.ruling
        assert ruling is not None
        assert ruling.responses[0].startswith("%rwhois") or not play.case.reply
