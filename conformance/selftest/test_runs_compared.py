"""Two runs compared: nothing that got worse is hidden, and noise between two sound runs is not told as a change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance import compare
from conformance.contract.model import Clause, Level, Signal
from conformance.judge.verdict import Verdict, broken, holds, unproven, unsupported
from conformance.report import differences
from conformance.report.compare import Changes, Way, changes
from conformance.report.record import ComponentRow, Report, RunFacts, ThresholdRow, build, encode, gather

if TYPE_CHECKING:
    from pathlib import Path

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


# --- the command ------------------------------------------------------------------------------------------------------


def kept(place: Path, made: Report, events: str = "") -> Path:
    place.mkdir(parents=True)
    (place / "report.json").write_text(encode(made), encoding="utf-8")
    (place / "events.ndjson").write_text(events, encoding="utf-8")
    return place


def test_two_stored_runs_are_told_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Clause with its way and reason, programs with their times from the events, and a last line; asked for, exit 1.
    """
    ended = '{"kind": "program-ended", "cell": "steady", "seconds": %s}\n'
    one = kept(tmp_path / "a", report(holds("alert/A/for", observations=1)), ended % 12.0)
    other = kept(tmp_path / "b", report(broken("alert/A/for", "waits too long")), ended % 20.0 + '{"kind": "pro')
    code = compare.main([str(one), str(other / "report.json")])
    told = capsys.readouterr().out
    asked = compare.main([str(one), str(other), "--fail-on-regression"])

    assert (code, asked) == (0, 1)
    assert "worse !  alert/A/for  holds   broken  waits too long" in told
    assert "program steady" in told
    assert "+8.0 s" in told
    assert told.splitlines()[-1] == "compared: 1 regression: alert/A/for: holds → broken"


def test_what_got_better_does_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    `--fail-on-regression` fails on regressions alone.
    """
    one = kept(tmp_path / "a", report(broken("a", "late")))
    other = kept(tmp_path / "b", report(holds("a", observations=1)))

    assert compare.main([str(one), str(other), "--fail-on-regression"]) == 0
    assert "compared: 1 clause changed, no regression" in capsys.readouterr().out


def test_what_neither_run_proved_fails_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A backend that is gone for the second time is no regression, and no pass; what is broken in both is known.
    """
    gone = kept(tmp_path / "a", report(unproven("a", "Loki is away")))
    still = kept(tmp_path / "b", report(unproven("a", "Loki is away")))
    known, as_well = (kept(tmp_path / name, report(broken("a", "late"))) for name in "cd")

    assert compare.main([str(gone), str(still), "--fail-on-regression"]) == 1
    assert "nothing differs (1 clause), 1 clause unproven in the second run" in capsys.readouterr().out
    assert compare.main([str(known), str(as_well), "--fail-on-regression"]) == 0


def test_runs_are_found_by_name_and_the_one_before_by_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without names the latest is compared with the newest earlier one of its kind: not with a selection, nor tempo 1.
    """
    one, monday = holds("a", observations=1), replace(RUN, started="2026-11-23T10:00:00.000Z")
    other = replace(RUN, started="2026-11-24T10:00:00.000Z")
    base = tmp_path / ".runs"
    kept(base / "20261123T100000Z-aa", report(one, run=monday))
    kept(base / "20261124T100000Z-bb", report(one, run=replace(other, tempo=1)))
    kept(base / "20261124T110000Z-cc", report(one, run=other, selected=True))
    (base / "20261124T120000Z-dd").mkdir()
    newest = kept(base / "20261125T100000Z-ee", report(one, run=replace(RUN, started="2026-11-25T10:00:00.000Z")))
    (base / "latest").symlink_to(newest.name)
    monkeypatch.chdir(tmp_path)
    alone = compare.main([])
    told = capsys.readouterr().out

    assert alone == 0
    assert told.splitlines()[0].endswith(".runs/20261123T100000Z-aa")
    assert told.splitlines()[-1] == "compared: nothing differs (1 clause)"
    assert compare.main(["20261123T", "latest"]) == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["latest", "latest"], "is the same run twice"),
        (["20261123T100000Z-ab", "latest"], "did you mean '20261123T100000Z-aa'"),
        (["2026", "latest"], "2 runs begin so"),
        (["broken", "latest"], r"broken/report.json: is not a report"),
        (["empty", "latest"], "holds no report.json"),
    ],
)
def test_what_cannot_be_compared_is_one_error(
    names: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Exit 2 and one line with the near miss; never a comparison that says that nothing differs.
    """
    base = tmp_path / ".runs"
    kept(base / "20261123T100000Z-aa", report(holds("a", observations=1)))
    newest = kept(base / "20261125T100000Z-ee", report(holds("a", observations=1)))
    (base / "latest").symlink_to(newest.name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text("{}", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)

    assert compare.main(names) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("width", [80, 120])
def test_a_comparison_of_many_long_values_keeps_to_the_width(width: int) -> None:
    """
    Hundreds of clauses with long and hostile texts: no line is wider, none is lost without a count.
    """
    names = [f"alert/{n}/" + "name" * 30 for n in range(300)]
    before = report(*(holds(name, observations=1) for name in names))
    after = report(*(broken(name, "x\n\x1b[31m| a |" * 90) for name in names))
    made = changes(before, after)
    lines = differences.text(made, before="a" * 300, after="b", width=width).splitlines()
    pasted = differences.markdown(made, before="`a|`", after="b")

    assert max(map(len, lines)) <= width
    assert any("100 clauses more" in line for line in lines)
    assert not any("\x1b" in line for line in (*lines, pasted))
    assert {line.replace("\\|", "").count("|") for line in pasted.splitlines() if line.startswith("| worse")} == {6}
