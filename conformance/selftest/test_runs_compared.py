"""Two runs compared: nothing that got worse is hidden, and noise between two sound runs is not told as a change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.contract.model import Clause, Level, Signal
from conformance.judge.verdict import Verdict, broken, holds, unproven, unsupported
from conformance.report.compare import Changes, Way, changes
from conformance.report.record import ComponentRow, Report, RunFacts, ThresholdRow, build, gather

RUN = RunFacts(
    started="2026-11-24T14:10:07.250Z", seconds=28.5, tempo=60, stack="native", subject="gateway", command="nox"
)
STOOD = tuple(
    ComponentRow(name=f"prometheus-{cell}", version="3.5.0", source="go module", ready_seconds=0.4)
    for cell in ("above", "below")
)
MEASURED = ThresholdRow(
    alert="HighErrorRate", tier="live", documented=0.1, unit="errors/s", silent_at=0.0898, fires_at=0.1102
)


def report(*verdicts: Verdict, level: Level = Level.MUST, **more: object) -> Report:
    clauses = [
        Clause(id=each.clause, signal=Signal.ALERTS, level=level, promise="promised", document="guide")
        for each in verdicts
    ]
    given = {"run": RUN, "components": STOOD, "thresholds": (MEASURED,)} | more
    return build(clauses=clauses, verdicts=gather(verdicts), **given)  # type: ignore[arg-type]


def only(made: Changes) -> tuple[Way, str, str, bool]:
    (change,) = made.clauses
    return change.way, change.before, change.after, change.regression


def test_equal_runs_differ_in_nothing() -> None:
    """
    The same verdicts, thresholds and components are no change, and every clause is counted as the same.
    """
    made = changes(report(holds("a", observations=3)), report(holds("a", observations=4)))

    assert (made.nothing, made.same, made.regressions) == (True, 1, ())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (holds("a", observations=1), broken("a", "late"), (Way.WORSE, "holds", "broken", True)),
        (holds("a", observations=1), unproven("a", "no load"), (Way.WORSE, "holds", "unproven", True)),
        (holds("a", observations=1), unsupported("a", "no"), (Way.WORSE, "holds", "unsupported", True)),
        (unproven("a", "no load"), broken("a", "late"), (Way.WORSE, "unproven", "broken", True)),
        (unsupported("a", "no"), unproven("a", "no load"), (Way.WORSE, "unsupported", "unproven", False)),
        (broken("a", "late"), holds("a", observations=1), (Way.BETTER, "broken", "holds", False)),
    ],
)
def test_a_clause_that_changed_is_told_with_its_way(
    before: Verdict, after: Verdict, expected: tuple[Way, str, str, bool]
) -> None:
    """
    Whatever held and is no longer proven, and whatever is newly broken, is a regression.
    """
    made = changes(report(before), report(after))

    assert expected == only(made)
    assert made.clauses[0].reason == next(each.reason for each in (after, before) if each.reason)
    assert bool(made.regressions) is expected[-1]


def test_a_clause_that_vanished_is_a_regression_if_it_held() -> None:
    """
    A promise that is taken out of the contract cannot be broken; that is told, and so is one that appears.
    """
    kept, other = holds("a", observations=1), holds("b", observations=1)

    assert only(changes(report(kept, other), report(kept))) == (Way.VANISHED, "holds", "", True)
    assert only(changes(report(kept), report(kept, other))) == (Way.APPEARED, "", "holds", False)


def test_a_must_that_became_a_should_is_a_regression() -> None:
    """
    A clause on which less hangs than before is told though its status is the same.
    """
    made = changes(report(holds("a", observations=1)), report(holds("a", observations=1), level=Level.SHOULD))

    assert only(made) == (Way.WEAKENED, "MUST holds", "SHOULD holds", True)


def test_what_a_selection_did_not_judge_is_no_failed_premise() -> None:
    """
    A clause without a verdict is called so, the selection is told, and it still counts as no longer proven.
    """
    whole = report(holds("a", observations=1))
    chosen = build(
        run=RUN,
        components=STOOD,
        thresholds=(MEASURED,),
        clauses=[Clause(id="a", signal=Signal.ALERTS, level=Level.MUST, promise="promised", document="guide")],
        verdicts={},
        selected=True,
    )
    made = changes(whole, chosen)

    assert only(made) == (Way.WORSE, "holds", "not judged", True)
    assert [(each.what, each.before, each.after) for each in made.facts] == [
        ("tests", "the whole contract", "a selection")
    ]


def test_a_result_that_got_worse_without_a_clause_is_a_regression() -> None:
    """
    A component that died costs the result though every clause held before.
    """
    made = changes(report(holds("a", observations=1)), report(holds("a", observations=1), deaths=("loki",)))

    assert made.regressions == ("result: conformant → partial",)


@pytest.mark.parametrize(
    ("after", "figures"),
    [
        (replace(MEASURED, silent_at=0.0911, fires_at=0.1090), []),
        (replace(MEASURED, fires_at=0.131), ["fires at"]),
        (replace(MEASURED, fires_at=None), ["fires at"]),
        (replace(MEASURED, documented=0.12), ["documented"]),
        (replace(MEASURED, for_observed=300.0), ["for observed"]),
        (replace(MEASURED, tier="simulated"), ["measured", "measured"]),
        (replace(MEASURED, spread={"even": 0.2}), ["spread: even"]),
    ],
)
def test_thresholds_that_moved_are_told_and_noise_is_not(after: ThresholdRow, figures: list[str]) -> None:
    """
    What two sound runs may differ by is no change; a documented figure has no noise.
    """
    one = holds("a", observations=1)
    made = changes(report(one), report(one, thresholds=(after,)))

    assert [each.figure for each in made.thresholds] == figures


def test_one_new_version_in_all_cells_is_one_change() -> None:
    """
    Components of the same kind that changed alike stand in one row; one that is new stands alone.
    """
    one = holds("a", observations=1)
    later = [replace(row, version="3.6.0") for row in STOOD]
    later.append(ComponentRow(name="grafana", version="12", source="image", stand_in=True))
    made = changes(report(one), report(one, components=later))

    assert [(each.names, each.before, each.after) for each in made.components] == [
        (("prometheus-above", "prometheus-below"), "3.5.0, go module", "3.6.0, go module"),
        (("grafana",), "absent", "12, image, stand-in"),
    ]


def test_times_are_told_and_only_large_changes_are_notable() -> None:
    """
    The run and every program that both know are there; a fifth and a second more is notable.
    """
    one = holds("a", observations=1)
    made = changes(
        report(one),
        report(one, run=replace(RUN, seconds=29.1)),
        programs_before={"steady": 12.0, "gone": 3.0},
        programs_after={"steady": 24.0},
    )

    assert [(each.what, each.before, each.after, each.notable) for each in made.times] == [
        ("the run", 28.5, 29.1, False),
        ("the slowest component, until it was ready", 0.4, 0.4, False),
        ("program steady", 12.0, 24.0, True),
    ]


def test_another_tempo_or_stack_is_told() -> None:
    """
    Runs of different circumstances are compared, and the circumstances are told.
    """
    one = holds("a", observations=1)
    made = changes(report(one), report(one, run=replace(RUN, tempo=1, stack="containers")))

    assert [(each.what, each.before, each.after) for each in made.facts] == [
        ("stack", "native", "containers"),
        ("tempo", "60", "1"),
    ]
