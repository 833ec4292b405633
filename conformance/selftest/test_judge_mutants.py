"""A wrong rule that no judge finds out breaks its clause; what proves nothing about it is told apart from that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.contract.load import load
from conformance.judge import alerts
from conformance.judge.mutants import Mutant, MutantError, Part, caught
from conformance.judge.verdict import Finding, Status, broken, holds, unproven
from conformance.scenarios.test_mutants import LONGER, LOWERED, RAISED
from conformance.selftest.recording import FOLDER, timelines
from conformance.timeline import store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CONTRACT = load()
RULES = Path(__file__).parents[2] / "rules"
SHIPPED = {name: (RULES / name).read_text(encoding="utf-8") for name in ("alerts.yml", "recording.yml")}
BESIDE = store.read_all([FOLDER / "mutants"])
EACH = pytest.mark.parametrize("mutant", [RAISED, LOWERED, LONGER], ids=lambda mutant: mutant.name)

JUDGES = {
    "silent-below": ("silent_below", "silent_when_short"),
    "fires-above": ("fires_above",),
    "for": ("waits",),
    "resolves": ("resolves",),
}


def judged(mutant: Mutant, beside: Mapping[str, Timeline] = BESIDE, **other: Timeline) -> Verdict:
    """The verdict over the recorded run, with these timelines in place of the recorded ones."""
    programs = {name.replace("_", "-"): each for name, each in other.items()}
    return caught(mutant, CONTRACT, {**timelines(), **beside, **programs})


def always(monkeypatch: pytest.MonkeyPatch, aspect: str, say: Callable[[str], Verdict]) -> None:
    """Have the judges of one aspect say the same of every mutant; of what was recorded beside it, that it holds."""
    own = {id(each) for each in timelines().values()}

    def judge(alert: Any, timeline: Timeline, **_: object) -> Verdict:  # noqa: ANN401  as the judges are called
        clause = f"alert/{alert.name}/{aspect}"
        return holds(clause, observations=1) if id(timeline) in own else say(clause)

    for name in JUDGES[aspect]:
        monkeypatch.setattr(alerts, name, judge)


@EACH
def test_a_mutant_that_stood_is_caught(mutant: Mutant) -> None:
    """
    In a real run each mutant breaks what it was chosen for, and its clause holds, saying how.
    """
    verdict = judged(mutant)

    assert verdict.status is Status.HOLDS, verdict.text()
    assert [word for word in mutant.breaks.values() if word not in verdict.reason] == []


@pytest.mark.parametrize(
    ("mutant", "aspect"), [(each, aspect) for each in (RAISED, LOWERED, LONGER) for aspect in each.breaks]
)
def test_a_blind_judge_is_found_out(mutant: Mutant, aspect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the judge of one aspect is pleased with everything, the mutant escapes and its clause is broken.
    """
    always(monkeypatch, aspect, lambda clause: holds(clause, observations=1))

    verdict = judged(mutant)

    assert verdict.status is Status.BROKEN
    assert "was not caught" in verdict.reason
    assert f"{mutant.ladder.clause(aspect)} is broken: {mutant.breaks[aspect]}" == verdict.findings[0].expected
    assert verdict.findings[0].observed.startswith("holds")


@EACH
def test_a_judge_that_is_right_by_chance_is_found_out(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A mutant that is called broken for a reason that is not its own was not understood.
    """
    aspect = next(iter(mutant.breaks))
    always(monkeypatch, aspect, lambda clause: broken(clause, "it rains", Finding(expected="sun", observed="rain")))

    verdict = judged(mutant)

    assert verdict.status is Status.BROKEN
    assert "was caught otherwise than it should be" in verdict.reason
    assert "broken: it rains" in verdict.text()


def test_a_judge_that_calls_everything_broken_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A mutant breaks nothing that its change does not touch.
    """
    always(monkeypatch, "resolves", lambda clause: broken(clause, "no", Finding(expected="yes", observed="no")))

    verdict = judged(LONGER)

    assert verdict.status is Status.BROKEN
    assert "alert/ServiceDown/resolves is no matter of this change" in verdict.text()


@EACH
def test_a_judge_that_knows_nothing_proves_nothing(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An aspect of the mutant that is unproven leaves its clause unproven, with the reason.
    """
    aspect = next(iter(mutant.breaks))
    always(monkeypatch, aspect, lambda clause: unproven(clause, "too dark"))

    verdict = judged(mutant)

    assert verdict.status is Status.UNPROVEN
    assert verdict.reason == f"{mutant.ladder.clause(aspect)} of the mutant is unproven: too dark"


def _gap(seen: Timeline) -> Timeline:
    series = tuple(
        replace(each, points=tuple(p for p in each.points if not 3 < p[0] - seen.begun < 4.2)) for each in seen.up
    )
    return replace(seen, up=series)


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda seen: replace(seen, troubles=("prometheus: no answer",)), "prometheus: no answer"),
        (lambda seen: replace(seen, interrupted="Ctrl-C"), "Ctrl-C"),
        (lambda seen: replace(seen, missed_evaluations=2.0), "skipped 2 evaluations"),
        (_gap, "a scrape was missed"),
        (
            lambda seen: replace(seen, config=replace(seen.config, rules_shipped=SHIPPED)),
            "the rules that stood beside were not the mutant's",
        ),
        (
            lambda seen: replace(seen, rules=timelines()[RAISED.program].rules),
            "Prometheus loaded the same HighErrorRate with the mutant's rules as with the shipped ones",
        ),
        (lambda seen: replace(seen, rules=()), "Prometheus loaded the same HighErrorRate"),
    ],
    ids=["trouble", "interrupted", "missed", "gap", "unbent", "not-loaded", "nothing-loaded"],
)
def test_what_did_not_stand_proves_nothing(bend: Callable[[Timeline], Timeline], words: str) -> None:
    """
    A mutant that was not there, not loaded or not seen whole is unproven: neither caught nor escaped.
    """
    verdict = judged(RAISED, {RAISED.cell: bend(BESIDE[RAISED.cell])})

    assert verdict.status is Status.UNPROVEN
    assert words in verdict.reason


def test_a_mutant_that_nobody_raised_proves_nothing() -> None:
    """
    A run without the mutant's Prometheus says so.
    """
    verdict = judged(RAISED, {})

    assert verdict.status is Status.UNPROVEN
    assert "no Prometheus with the mutant's rules stood beside error-rate-above" in verdict.reason


def test_a_mutant_of_a_broken_rule_proves_nothing() -> None:
    """
    Where the shipped rule itself does not fire, a mutant that does not fire either shows nothing.
    """
    seen = timelines()[RAISED.program]
    asleep = replace(seen, alerts=tuple(each for each in seen.alerts if each.labels["alertname"] != "HighErrorRate"))

    verdict = judged(RAISED, error_rate_above=asleep)

    assert verdict.status is Status.UNPROVEN
    assert verdict.reason.startswith("alert/HighErrorRate/fires-above is broken with the shipped rule too")


@pytest.mark.parametrize(
    ("mutant", "old", "new"),
    [
        (RAISED, "sum(rate(osmen_errors_total[5m])) > 0.1", "sum(rate(osmen_errors_total[5m])) > 0.125"),
        (LOWERED, "sum(rate(osmen_errors_total[5m])) > 0.1", "sum(rate(osmen_errors_total[5m])) > 0.08"),
        (LONGER, "for: 1m", "for: 2m"),
    ],
)
def test_a_mutant_differs_in_one_number(mutant: Mutant, old: str, new: str) -> None:
    """
    Of the shipped files one number of the alert changes, and nothing else.
    """
    assert mutant.bent(SHIPPED) == {**SHIPPED, "alerts.yml": SHIPPED["alerts.yml"].replace(old, new, 1)}


@pytest.mark.parametrize(
    ("part", "rules", "words"),
    [
        (Part.FOR, "{alert: HighErrorRate, expr: a > 1}", "HighErrorRate has no `for`"),
        (Part.THRESHOLD, "{alert: HighErrorRate, expr: a > b}", "HighErrorRate compares with no plain number: a > b"),
        (Part.THRESHOLD, "{alert: HighErrorRate, expr: absent(a)}", "compares with no plain number"),
        (Part.THRESHOLD, "{alert: Other, expr: a > 1}", "the rule files own.yml hold no alert HighErrorRate"),
    ],
)
def test_rules_that_cannot_be_bent_so_leave_it_unproven(part: Part, rules: str, words: str) -> None:
    """
    Where another team's rule has no such number, the mutant says so and proves nothing.
    """
    mutant = replace(RAISED, part=part)
    shipped = {"own.yml": f"groups: [{{name: g, rules: [{rules}]}}]"}
    seen = timelines()[RAISED.program]
    other = replace(seen, config=replace(seen.config, rules_shipped=shipped))

    with pytest.raises(MutantError, match="HighErrorRate"):
        mutant.bent(shipped)
    verdict = judged(mutant, error_rate_above=other)
    assert (verdict.status, words in verdict.reason) == (Status.UNPROVEN, True), verdict.reason
