"""Every judge can fail, for the right reason and that alone: the catalogue of deviants, judged by the live tests."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import alerts
from conformance.judge.verdict import Status
from conformance.selftest.deviants import CATALOGUE, ELSEWHERE, Deviant, replayed, samples
from conformance.selftest.judging import judge, ladders, statuses
from conformance.selftest.recording import timelines
from fixtures.load.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline


def judged_here(seen: Mapping[str, Timeline]) -> dict[str, Verdict]:
    """
    The verdicts about what these timelines hold; what is bent elsewhere is recorded there too.
    """
    return judge(seen, without=ELSEWHERE)


def test_the_recorded_run_is_conformant() -> None:
    """
    Unbent, every clause that the recorded programs prove holds, on observations.
    """
    verdicts = judged_here(timelines())

    assert statuses(verdicts) == dict.fromkeys(verdicts, Status.HOLDS)
    assert {"alert/HighErrorRate/fires-above", "target/docker"} <= set(verdicts)
    assert all(verdict.observations > 0 for verdict in verdicts.values())


@pytest.mark.parametrize("deviant", [pytest.param(each, id=each.name) for each in CATALOGUE])
def test_a_deviant_turns_exactly_its_clauses(deviant: Deviant) -> None:
    """
    What is bent in one way breaks or unproves exactly the clauses that the way concerns, and says how.
    """
    sound = {clause for clause, each in judged_here(timelines()).items() if each.status is Status.HOLDS} - deviant.open_
    verdicts = {clause: each for clause, each in judged_here(deviant.bent(timelines())).items() if clause in sound}
    expected = dict.fromkeys(verdicts, Status.HOLDS)
    for status in (Status.BROKEN, Status.UNPROVEN, Status.UNSUPPORTED):
        expected |= dict.fromkeys(getattr(deviant, status.value), status)
    told = "\n".join(each.text() for each in verdicts.values() if each.status is not Status.HOLDS)

    assert expected == statuses(verdicts)
    assert [word for word in deviant.words if word not in told] == [], told
    # What ships is read and not measured: no busy machine excuses it.
    read = [clause for clause in deviant.broken if clause.endswith(("/shipped", "alert/undocumented"))]
    assert [clause for clause in read if not verdicts[clause].lasting] == []


@pytest.mark.parametrize("clause", [clause.id for clause in load(None).clauses()])
def test_a_clause_has_a_deviant_that_breaks_it(clause: str) -> None:
    """
    A clause that nothing can break proves nothing; a new one comes with its deviant, here or where `ELSEWHERE` says.
    """
    here = [each.name for each in CATALOGUE if clause in each.broken]
    there = [file for pattern, file in ELSEWHERE.items() if fnmatchcase(clause, pattern)]

    assert here or there, f"{clause}: no deviant breaks it"
    assert all((Path(__file__).parent / file).exists() for file in there)


def test_the_names_of_the_deviants_are_distinct() -> None:
    """
    Each deviant is found by its name.
    """
    names = [each.name for each in CATALOGUE]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("program", ["error-rate-above", "error-rate-below"])
def test_the_replayed_rule_is_the_recorded_one(program: str) -> None:
    """
    The evaluator behind the bent rules makes, of the shipped rule, what Prometheus itself made of it.
    """
    seen = timelines()[program]
    again = replayed(seen)

    assert {state: samples(seen, state) for state in ("pending", "firing")} == {
        state: samples(again, state) for state in ("pending", "firing")
    }


@pytest.mark.parametrize("broken", [each.name for each in CATALOGUE if each.broken])
def test_a_finding_says_what_was_expected_and_what_was_seen(broken: str) -> None:
    """
    Nothing is called broken without expected and observed, both in words.
    """
    (deviant,) = (each for each in CATALOGUE if each.name == broken)
    verdicts = judged_here(deviant.bent(timelines()))

    for clause in deviant.broken:
        assert verdicts[clause].findings != ()
        assert all(each.expected and each.observed for each in verdicts[clause].findings)


def test_a_rung_inside_its_own_slack_is_unproven() -> None:
    """
    A rung so near the threshold that one event decides proves nothing, whatever the alert did.
    """
    seen = timelines()["error-rate-above"]
    near = tuple(replace(each, rung=0.102) if each.name == "above" else each for each in seen.phases)
    failing = seen.ledger.during("above").outcome(Outcome.ERROR).requests
    healed = {each.due for each in failing[::14]}
    requests = tuple(
        replace(each, outcome=Outcome.SUCCESS) if each.due in healed else each for each in seen.ledger.requests
    )
    bent = replace(seen, phases=near, ledger=Ledger(requests=requests))
    verdict = judge({**timelines(), seen.program: bent})["alert/HighErrorRate/fires-above"]

    assert verdict.status is Status.UNPROVEN
    assert "lies within the slack of its measure: the threshold is 2.0% away, slack " in verdict.reason


def test_a_rung_at_which_nothing_happens_is_unproven() -> None:
    """
    Silence at no errors at all tells nothing of a threshold.
    """
    seen = timelines()["error-rate-below"]
    none = tuple(replace(each, rung=0.0, reached=0.0) if each.name == "below" else each for each in seen.phases)
    verdict = judge({**timelines(), seen.program: replace(seen, phases=none)})["alert/HighErrorRate/silent-below"]

    assert verdict.status is Status.UNPROVEN
    assert "no event that could be counted" in verdict.reason


@pytest.mark.parametrize(("threshold", "aspect"), [(0.2, "fires-above"), (0.05, "silent-below"), (0.2, "silent-below")])
def test_a_rung_for_another_threshold_is_unproven(threshold: float, aspect: str) -> None:
    """
    Where the document was changed and the program was not, its rung says nothing about the new threshold.
    """
    alert, (ladder,) = load().alert("HighErrorRate"), [each for each in ladders() if each.alert == "HighErrorRate"]
    moved, seen = replace(alert, threshold=threshold), timelines()
    verdict = (
        alerts.fires_above(moved, seen[ladder.above], rung=ladder.beyond)
        if aspect == "fires-above"
        else alerts.silent_below(moved, seen[ladder.below], rung=ladder.rung, control=ladder.control)
    )

    assert verdict.status is Status.UNPROVEN
    assert f"the documented threshold of {threshold} errors/s: it was chosen for another one" in verdict.reason
