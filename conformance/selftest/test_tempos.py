"""Figures of two tempos are compared in the document's units; a tempo that changes a meaning is found out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance import tempos
from conformance.contract.load import load
from conformance.judge.tempos import Figures, Kept, agree, figures
from conformance.judge.verdict import Status
from conformance.scenarios.test_tiers import LADDERS
from conformance.selftest.recording import timelines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CONTRACT = load()
(REAL,) = (each for each in tempos.kept() if each.tempo == 1)


def judged(*kept: Kept, **other: Timeline) -> Verdict:
    """The verdict over the recorded run at tempo 60 against these records."""
    programs = {name.replace("_", "-"): each for name, each in other.items()}
    return agree(LADDERS, CONTRACT, {**timelines(), **programs}, kept)


def changed(name: str = "HighErrorRate", **figure: object) -> Kept:
    """The record of tempo 1 with other figures of one alert."""
    rows = tuple(replace(each, **figure) if each.alert == name else each for each in REAL.alerts)  # type: ignore[arg-type]
    return replace(REAL, alerts=rows)


def test_both_shipped_records_are_of_the_shipped_rules() -> None:
    """
    A run at real time and one at tempo 60 are kept, each of every alert, with the rules that ship.
    """
    kept: Sequence[Kept] = tempos.kept()

    assert sorted(each.tempo for each in kept) == [1, 60]
    for record in kept:
        assert {each.alert for each in record.alerts} == {ladder.alert for ladder in LADDERS}
        for ladder in LADDERS:
            here = figures(ladder, CONTRACT, timelines())
            assert isinstance(here, Figures)
            assert here.rule in {each.rule for each in record.alerts}


def test_the_recorded_run_agrees_with_real_time() -> None:
    """
    Twenty figures of five alerts at tempo 60 are those of a run at tempo 1.
    """
    verdict = judged(*tempos.kept())

    assert verdict.status is Status.HOLDS, verdict.text()
    assert verdict.observations == 20
    assert "at tempo 60 are those of the run at tempo 1 of 2026" in verdict.reason


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (changed(fires_at=0.085, silent_at=0.08), "silent at 0.0"),
        (changed(silent_at=0.12, fires_at=0.13), "silent at 0.12 errors/s at tempo 1"),
        (changed("DatabasePoolExhausted", silent_at=96.0, fires_at=99.0), "silent at 96 connections at tempo 1"),
        (changed(waited=330.0), "HighErrorRate waits 330 s from pending to firing, as at tempo 1"),
        (changed(waited=285.0), "HighErrorRate waits 285 s"),
        (changed("ServiceDown", waited=120.0), "ServiceDown waits 120 s"),
        # A range that was not divided: the alert wakes as late, or as early, as its window is wrong.
        (changed(to_fire=384.0), "HighErrorRate fires 384 s after the step"),
        (changed(to_fire=784.0), "HighErrorRate fires 784 s after the step"),
    ],
)
def test_a_tempo_that_measures_otherwise_is_broken(kept: Kept, words: str) -> None:
    """
    Another threshold, another wait by two evaluations and another time to fire each break it, with both figures.
    """
    verdict = judged(kept)

    assert verdict.status is Status.BROKEN
    assert words in verdict.text(), verdict.text()
    assert [each for each in verdict.findings if not (each.expected and each.observed)] == []


def test_a_difference_within_the_slack_is_none() -> None:
    """
    A scrape and an evaluation of each side, and the time until a fault bites, move the time to fire without a meaning.
    """
    assert judged(changed(to_fire=560.0)).status is Status.HOLDS
    assert judged(changed(waited=300.1)).status is Status.HOLDS


def test_other_rules_than_the_kept_ones_leave_it_open() -> None:
    """
    A record of another rule says nothing about this one, and how to make one is said.
    """
    verdict = judged(changed(rule="sum(rate(osmen_errors_total[5m])) > 0.2 for 300s"))

    assert verdict.status is Status.UNSUPPORTED
    assert "other rules of HighErrorRate" in verdict.reason
    assert "nox -s realtime" in verdict.reason


@pytest.mark.parametrize("kept", [(), (replace(REAL, tempo=60.0),), (replace(REAL, tempo=45.0),)])
def test_a_tempo_is_not_compared_with_itself(kept: tuple[Kept, ...]) -> None:
    """
    Without a record of a tempo at least twice or half as fast there is nothing to compare.
    """
    verdict = judged(*kept)

    assert verdict.status is Status.UNSUPPORTED
    assert "no record of a run at another tempo than 60" in verdict.reason


def test_an_alert_that_did_not_fire_proves_nothing() -> None:
    """
    Where this run did not measure an alert there are no figures, and that is no agreement.
    """
    seen = timelines()["error-rate-above"]
    verdict = judged(REAL, error_rate_above=replace(seen, missed_evaluations=3.0))

    assert verdict.status is Status.UNPROVEN
    assert "alert/HighErrorRate/fires-above is unproven" in verdict.reason


def test_a_record_that_cannot_be_read_is_told_with_its_file(tmp_path: Path) -> None:
    """
    A damaged record is an error with its path, never an empty list.
    """
    (tmp_path / "tempo-1.json").write_text('{"tempo": 1}', encoding="utf-8")

    with pytest.raises(tempos.RecordError, match=r"tempo-1\.json: is no record of a tempo: .*made"):
        tempos.kept(tmp_path)


def test_what_is_no_run_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A folder without a report is refused, and nothing is written.
    """
    code = tempos.main([str(tmp_path), "--into", str(tmp_path / "kept")])

    assert code == 1
    assert "tempos: " in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
