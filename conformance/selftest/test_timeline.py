"""Timelines as files, the premises that a timeline meets, and the bounds that are derived from it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import premise, slack
from conformance.selftest.recording import timelines
from conformance.timeline import store
from conformance.timeline.store import TimelineError

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.timeline.model import Timeline

ALERT = load(None).alert("HighErrorRate")


@pytest.fixture
def above() -> Timeline:
    """
    The recorded timeline of the program above the threshold.
    """
    return timelines()["error-rate-above"]


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", sorted(timelines()))
def test_a_timeline_survives_its_file(program: str, tmp_path: Path) -> None:
    """
    What is read is what was written, to the last sample, and no half-written file stays.
    """
    seen = timelines()[program]
    file = store.write(seen, tmp_path / "timeline")

    assert store.read(file) == seen
    assert [each.name for each in file.parent.iterdir()] == [f"{program}.json"]


def test_a_file_a_folder_and_a_run_directory_are_all_read(above: Timeline, tmp_path: Path) -> None:
    """
    Each way of naming a stored timeline gives the same.
    """
    file = store.write(above, tmp_path / "timeline")

    for place in (file, file.parent, tmp_path):
        assert store.read_all([place]) == {above.program: above}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not a stored timeline"),
        ("{", "is not a stored timeline"),
        ("[]", "is not a stored timeline: Expected `object`"),
        ('{"schema": 1}', "missing required field `program`"),
        ('{"schema": "one"}', "Expected `int`, got `str` - at `$.schema`"),
    ],
)
def test_a_file_that_is_no_timeline_is_refused_by_name(content: str, said: str, tmp_path: Path) -> None:
    """
    The message has the file, what is wrong and where.
    """
    file = tmp_path / "calm.json"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(TimelineError) as caught:
        store.read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)


def test_a_timeline_of_another_schema_is_refused(above: Timeline, tmp_path: Path) -> None:
    """
    Both schemas are named.
    """
    file = store.write(above, tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "schema": 99}), encoding="utf-8")

    with pytest.raises(TimelineError, match="has schema 99; this version reads schema 1"):
        store.read(file)


def test_a_place_without_timelines_and_a_program_read_twice_are_refused(above: Timeline, tmp_path: Path) -> None:
    """
    An empty place is no pass, and two timelines of one program contradict each other.
    """
    one, other = store.write(above, tmp_path / "a"), store.write(above, tmp_path / "b")
    (tmp_path / "empty").mkdir()

    with pytest.raises(TimelineError, match=r"empty: holds no timeline"):
        store.read_all([tmp_path / "empty"])
    with pytest.raises(TimelineError, match="program error-rate-above was read already"):
        store.read_all([one, other])
    with pytest.raises(TimelineError, match="No such file"):
        store.read_all([tmp_path / "none.json"])


def test_an_unknown_phase_names_the_known_ones(above: Timeline) -> None:
    """
    A program that asks for a phase it does not have is told which it has.
    """
    with pytest.raises(KeyError, match="no phase 'abov' in error-rate-above; phases: quiet, above, recovery"):
        above.phase("abov")


# --- premises -----------------------------------------------------------------------------------------------------


def test_a_sound_run_fails_no_premise() -> None:
    """
    What was recorded meets all of them.
    """
    assert {name: premise.failed(seen) for name, seen in timelines().items()} == dict.fromkeys(timelines(), ())


@pytest.mark.parametrize(("share", "sound"), [(0.99, True), (0.95, False)])
def test_the_load_may_miss_three_in_a_hundred(share: float, sound: bool, above: Timeline) -> None:
    """
    Within the tolerance the premise is met, beyond it the phase is named.
    """
    wanted = tuple(replace(each, wanted_rps=each.wanted_rps / share) for each in above.phases)
    reasons = premise.failed(replace(above, phases=wanted))

    assert (reasons == ()) is sound
    assert all("the load did not flow evenly" in reason for reason in reasons)


@pytest.mark.parametrize(("factor", "sound"), [(1.02, True), (0.98, True), (1.04, False), (0.95, False)])
def test_a_rung_is_applied_within_three_in_a_hundred(factor: float, sound: bool, above: Timeline) -> None:
    """
    What the clients saw decides, not what the program wanted.
    """
    seen = premise.achieved(above, above.phase("above"))
    phases = tuple(replace(each, rung=seen * factor if each.rung else None) for each in above.phases)
    reasons = premise.failed(replace(above, phases=phases))

    assert (reasons == ()) is sound
    assert all("the rung of above was not applied" in reason for reason in reasons)


def test_a_quantity_that_no_ledger_can_tell_is_an_error(above: Timeline) -> None:
    """
    A rung of an unknown quantity is never taken for applied.
    """
    span = replace(above.phase("above"), quantity="bananas")

    with pytest.raises(ValueError, match="bananas"):
        premise.achieved(above, span)


# --- bounds -------------------------------------------------------------------------------------------------------


def test_bounds_are_the_documents_durations_in_real_seconds(above: Timeline) -> None:
    """
    A window of five minutes and a `for` of five are five seconds each at tempo 60, and the sums are printed.
    """
    letters = slack.bounds(ALERT, above)

    assert (letters.window, letters.effective_for, letters.scrape, letters.evaluation) == (5.0, 5.0, 0.25, 0.25)
    assert letters.hold == pytest.approx(5.75)
    assert letters.reach == pytest.approx(5.25 + letters.longest_scrape)
    assert "window 5 s + scrape 0.25 s" in letters.reach_text()
    assert letters.hold_text() == "hold 5.75 s = for 5 s + 3 evaluations of 0.25 s"


@pytest.mark.parametrize(("interval", "waits"), [(0.25, 5.0), (0.3, 5.1), (3.0, 6.0), (5.0, 5.0)])
def test_a_for_is_rounded_up_to_whole_evaluations(interval: float, waits: float, above: Timeline) -> None:
    """
    An alert can only fire at an evaluation.
    """
    assert slack.bounds(ALERT, replace(above, evaluation_interval=interval)).effective_for == pytest.approx(waits)


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("up", 0),
        ("rate(x[5m])", 300),
        ("rate(x[5m] offset 1m)", 360),
        ("max_over_time(rate(x[5m])[10m:1m])", 900),
    ],
)
def test_a_window_is_the_sum_of_ranges_and_offsets(expression: str, seconds: float) -> None:
    """
    How far back an expression looks, subqueries included.
    """
    assert slack.window(expression) == seconds


def test_the_slack_of_a_rate_is_one_event_and_a_lost_scrape_where_events_are_sparse(above: Timeline) -> None:
    """
    Thirty events give a thirtieth; none give no bound at all.
    """
    plain = slack.value_slack(above, above.phase("above"), events=30, window_seconds=5, spacing=1)

    assert plain == pytest.approx(1 / 30)
    assert slack.value_slack(above, above.phase("above"), events=0, window_seconds=5, spacing=1) == float("inf")


@pytest.mark.parametrize(("documented", "tempo", "runs"), [(10, 1, 10), (10, 5, 2), (10, 60, 1), (12 * 3600, 60, 720)])
def test_timers_of_alertmanager_have_a_floor_of_a_second(documented: float, tempo: float, runs: float) -> None:
    """
    They follow the tempo down to a real second and no further.
    """
    assert slack.timer(documented, tempo) == runs
