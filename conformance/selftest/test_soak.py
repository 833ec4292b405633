"""A soak tells whether the gate is steady: it runs nothing here, and reads what runs would have written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance import soak
from conformance.judge.verdict import Status
from conformance.report.record import UNJUDGED, Result, encode
from conformance.selftest import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from conformance.report.record import Report

    Runs = Callable[..., None]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Have the runs of a soak end with these reports, one after the other; without one, a run is interrupted."""
    monkeypatch.chdir(tmp_path)

    def give(*reports: Report | None) -> None:
        left = list(reports)

        def run(_: Sequence[str], place: Path) -> int:
            report = left.pop(0)
            if report is None:
                raise KeyboardInterrupt
            place.mkdir()
            (place / "report.json").write_text(encode(report))
            return 0

        monkeypatch.setattr(soak, "_run", run)

    return give


def test_runs_that_agree_are_steady(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Two conformant runs; the summary is told and written.
    """
    runs(*[pages.report(all_hold=True)] * 2)

    assert soak.main(["2"]) == 0
    said = capsys.readouterr().out
    assert "run 2 of 2: conformant" in said
    assert "result: steady (0 clauses differed)" in said


def test_a_verdict_that_differs_once_is_not_steady(
    runs: Runs, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """
    Each clause that differed stands there with how often it had which status.
    """
    other = pages.report()
    runs(pages.report(all_hold=True), other)

    assert soak.main(["2"]) == 1
    said = capsys.readouterr().out
    wrong = [row.id for row in other.clauses if row.status != "holds"]
    assert wrong
    assert all(f"differed: {clause}: " in said for clause in wrong)
    (summary,) = (tmp_path / ".runs" / "soak").glob("2*/soak.json")
    assert set(json.loads(summary.read_text())["differed"]) == set(wrong)


def test_runs_that_all_fail_alike_are_not_steady(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """
    No verdict differs, and yet the gate is shut.
    """
    runs(*[pages.report()] * 2)

    assert soak.main(["2"]) == 1
    assert "result: not steady (0 clauses differed)" in capsys.readouterr().out


def test_an_interrupted_soak_tells_what_it_saw_and_is_no_success(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    One run of three proves nothing about three.
    """
    runs(pages.report(all_hold=True), None)

    assert soak.main(["3"]) == 1
    said = capsys.readouterr().out
    assert "interrupted in run 2 of 3" in said
    assert "result: steady as far as it went" in said


def test_a_run_without_a_report_ends_the_soak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    It is told with what its log says and the file to look into; what the runs before it showed is told and kept.
    """
    monkeypatch.chdir(tmp_path)

    def run(_: Sequence[str], place: Path) -> int:
        if place.name == "002":
            place.with_suffix(".log").write_text("much\nERROR: --tempo 7: no\n\n")
            return 4
        place.mkdir()
        (place / "report.json").write_text(encode(pages.report(all_hold=True)))
        return 0

    monkeypatch.setattr(soak, "_run", run)

    assert soak.main(["3"]) == 1
    said = capsys.readouterr().out
    assert "run 2 of 3: no report (exit 4): ERROR: --tempo 7: no; see " in said
    assert "result: steady as far as it went (0 clauses differed)" in said
    assert list((tmp_path / ".runs" / "soak").glob("2*/soak.json"))


def test_a_soak_of_a_selection_lists_what_was_chosen(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What a selection leaves out is no verdict, and not a line of each run; steady it is not, as it is no whole.
    """
    whole = pages.report(all_hold=True)
    first, *others = whole.clauses
    left_out = replace(first, status=Status.UNPROVEN, reason=f"{UNJUDGED}: not chosen")
    part = replace(whole, run=replace(whole.run, selection=True), clauses=(left_out, *others), result=Result.PARTIAL)
    runs(part, part)

    assert soak.main(["2", "-k", "HighErrorRate"]) == 1
    said = capsys.readouterr().out
    assert "run 2 of 2: partial" in said
    assert first.id not in said


@pytest.mark.parametrize("option", ["--run-dir", "--timeline=x"])
def test_an_option_that_would_make_it_no_soak_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A stored run, judged fifty times, is steady and shows nothing.
    """
    with pytest.raises(SystemExit) as ended:
        soak.main(["2", "--tempo", "30", option, "x"])

    assert ended.value.code == 2
    assert f"error: {option}: a soak performs each of its runs" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "1001", "many"])
def test_a_number_of_runs_that_is_none_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    In one line that says what was expected.
    """
    with pytest.raises(SystemExit) as ended:
        soak.main([number])

    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
