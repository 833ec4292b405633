"""The judges of states: a gateway that flaps or vanishes, an exporter that is locked out; sound, and bent each way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.judge import premise
from conformance.judge.verdict import Status, Verdict
from conformance.scenarios import test_database_locked as database_locked
from conformance.scenarios.test_service_lost import FLAPS, JOB, SILENT, VANISHED
from conformance.selftest.deviants import joined, moving, of_job, paging, sampled, samples, saying, then
from conformance.selftest.judging import judge
from conformance.selftest.recording import timelines

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.selftest.deviants import Bend
    from conformance.timeline.model import Series, Timeline

HOLDS, BROKEN, UNPROVEN = Status.HOLDS, Status.BROKEN, Status.UNPROVEN
ALERT = "ServiceDown"
RECORDED = timelines()["service-lost"]


def clause(aspect: str) -> str:
    return f"alert/{ALERT}/{aspect}"


def judged(seen: Timeline) -> dict[str, Verdict]:
    return judge({seen.program: seen})


def fired_while_flapping(seen: Timeline) -> Timeline:
    """It fires at the pending samples of the last outage, as without a `for`."""
    start = seen.phase(FLAPS[-1]).start
    pending, firing = samples(seen, "pending", alert=ALERT), samples(seen, "firing", alert=ALERT)
    now = [at for at in pending if start <= at < seen.phase("well").start]
    return sampled(seen, [at for at in pending if at not in now], sorted([*now, *firing]), alert=ALERT)


def blind_to_absence(seen: Timeline) -> Timeline:
    """The documented form, that has nothing to compare where there is no `up`: only flapping makes it pending."""
    until = seen.phase("long").start
    pending = [at for at in samples(seen, "pending", alert=ALERT) if at < until]
    return replace(sampled(seen, pending, [], alert=ALERT), notifications=())


def changed_up(seen: Timeline, *, start: float, end: float, value: float) -> Timeline:
    def change(series: Series) -> Series:
        points = tuple((at, value if start <= at <= end else each) for at, each in series.points)
        return replace(series, points=points)

    return of_job(JOB, change)(seen)


def unbroken(seen: Timeline) -> Timeline:
    """No scrape was answered between two outages."""
    return changed_up(seen, start=seen.phase(FLAPS[0]).start, end=seen.phase(FLAPS[1]).start, value=0.0)


def never_away(seen: Timeline) -> Timeline:
    return changed_up(seen, start=seen.begun, end=seen.ended, value=1.0)


def away_for_long(seen: Timeline) -> Timeline:
    phases = tuple(
        replace(each, healed=each.start + 1.1, end=each.start + 1.1) if each.name == FLAPS[1] else each
        for each in seen.phases
    )
    return replace(seen, phases=phases)


def test_the_recorded_run_holds() -> None:
    """
    Silent while it flaps; fired, told and over as one that vanished.
    """
    verdicts = judged(RECORDED)

    assert {SILENT, *map(clause, VANISHED)} == set(verdicts)
    assert {each.status for each in verdicts.values()} == {HOLDS}
    assert "3 outages of 0.7" in verdicts[SILENT].reason


@pytest.mark.parametrize(
    ("bend", "aspects", "words"),
    [
        pytest.param(fired_while_flapping, {"silent-below"}, "fired, though the state never lasted", id="flapping"),
        pytest.param(blind_to_absence, {"fires-above"}, "did not become pending when its measure", id="blind"),
        pytest.param(
            then(moving("pending", last=2, alert=ALERT), moving("firing", first=2, alert=ALERT)),
            {"for"},
            "waits longer than documented",
            id="two late",
        ),
        pytest.param(moving("firing", first=-1, alert=ALERT), {"for"}, "waits shorter than documented", id="one early"),
        pytest.param(
            moving("firing", last=3, alert=ALERT), {"resolves"}, "did not end when its measure was back", id="end late"
        ),
        pytest.param(
            moving("firing", last=-3, alert=ALERT), {"resolves"}, "ended before its measure was back", id="end early"
        ),
        pytest.param(paging(lambda *_: ()), {"delivered"}, "was not delivered", id="page lost"),
        pytest.param(joined(ALERT), {"alone"}, "something else fired with it", id="not alone"),
    ],
)
def test_another_behaviour_breaks_its_clause(bend: Bend, aspects: set[str], words: str) -> None:
    """
    What is promised of a gateway that flaps or vanished can be broken, each clause for its own reason.
    """
    verdicts = judged(bend(RECORDED))
    broken = {name: each for name, each in verdicts.items() if each.status is BROKEN}

    assert {clause(each) for each in aspects} <= set(broken)
    assert words in "\n".join(each.text() for each in broken.values())
    assert all(finding.expected and finding.observed for each in broken.values() for finding in each.findings)


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        pytest.param(unbroken, "to Prometheus it was one outage", id="no scrape between"),
        pytest.param(never_away, "the fault did not bite", id="answered every scrape"),
        pytest.param(away_for_long, "whether it fires then is chance", id="too long"),
        pytest.param(blind_to_absence, "it did not fire later either", id="cannot fire"),
    ],
)
def test_a_silence_that_shows_nothing_is_unproven(bend: Bend, words: str) -> None:
    """
    Where the outages were one, none, or too long, or where the alert never fires at all, silence is no proof.
    """
    verdict = judged(bend(RECORDED))[SILENT]

    assert verdict.status is UNPROVEN
    assert words in verdict.reason


def test_a_target_that_its_program_has_vanish_is_no_missed_scrape() -> None:
    """
    The hole in its samples is the fault; a hole anywhere else is one, and so is this one where nothing vanished.
    """
    phases = tuple(replace(each, vanished=()) for each in RECORDED.phases)

    assert premise.failed(RECORDED) == ()
    assert premise.repeatable(RECORDED) == ()
    assert any("a scrape was missed" in each for each in premise.failed(replace(RECORDED, phases=phases)))


def test_a_target_that_hangs_on_purpose_is_no_busy_machine() -> None:
    """
    Scrapes that run into their time-out while the program has the gateway hang are not counted against the machine.
    """
    unplanned = replace(RECORDED, planned_down=())

    assert premise.timed_out(RECORDED) == ()
    assert "ran into their time-out" in premise.timed_out(unplanned)[0]


POOL, EXPORTER = "DatabasePoolExhausted", database_locked.JOB
LOCKED = timelines()[database_locked.LOCKED.name]
ALL = {f"alert/{POOL}/{aspect}" for aspect in database_locked.ASPECTS}


def since_locked(seen: Timeline) -> Timeline:
    """Without what was pending before: an exporter that has just started says once that it sees nothing."""
    start = seen.phase("locked").start
    pending = [at for at in samples(seen, "pending", alert=POOL) if at >= start]
    return sampled(seen, pending, samples(seen, "firing", alert=POOL), alert=POOL)


def without_the_branch(seen: Timeline) -> Timeline:
    """The documented form, which has nothing to compare once the exporter counts nothing."""
    return replace(sampled(seen, [], [], alert=POOL), notifications=())


def firing_on(seen: Timeline) -> Timeline:
    firing = samples(seen, "firing", alert=POOL)
    on = [at for at in seen.evaluations if at >= firing[0]]
    return sampled(seen, samples(seen, "pending", alert=POOL), on, alert=POOL)


def still_seeing(seen: Timeline) -> Timeline:
    """The exporter kept its connection."""
    blind = seen.measures[f"{POOL}/blind"]
    points = tuple((at, 1.0) for at, _ in blind.points)
    return replace(seen, measures={**seen.measures, f"{POOL}/blind": replace(blind, points=points)})


def not_asked(seen: Timeline) -> Timeline:
    measures = {name: each for name, each in seen.measures.items() if name != f"{POOL}/blind"}
    return replace(seen, measures=measures)


def one_scrape(change: Callable[[list[tuple[float, float]], int], list[tuple[float, float]]]) -> Bend:
    """The scrape in the middle of those of the exporter is changed."""

    def bend(series: Series) -> Series:
        return replace(series, points=tuple(change(list(series.points), len(series.points) // 2)))

    return of_job(EXPORTER, bend)


def test_the_recorded_lock_out_holds() -> None:
    """
    It fired while its own measure never passed ninety, on an exporter that answered each scrape.
    """
    verdicts = judged(LOCKED)

    assert set(verdicts) == ALL
    assert {each.status for each in verdicts.values()} == {HOLDS}
    assert max(value for _, value in LOCKED.measures[POOL].points) < 90
    assert {value for each in LOCKED.up if each.labels["job"] == EXPORTER for _, value in each.points} == {1.0}


@pytest.mark.parametrize(
    ("bend", "aspect", "words"),
    [
        pytest.param(without_the_branch, "fires-above", "did not become pending when its measure", id="no branch"),
        pytest.param(
            then(
                since_locked, moving("pending", first=-3, last=-3, alert=POOL), moving("firing", first=-3, alert=POOL)
            ),
            "fires-above",
            "before its measure passed the threshold",
            id="before",
        ),
        pytest.param(
            then(since_locked, moving("pending", last=2, alert=POOL), moving("firing", first=2, alert=POOL)),
            "for",
            "waits longer than documented",
            id="two late",
        ),
        pytest.param(
            then(since_locked, moving("firing", first=-1, alert=POOL)),
            "for",
            "waits shorter than documented",
            id="one early",
        ),
        pytest.param(firing_on, "resolves", "still firing when the run ended", id="never ends"),
        pytest.param(
            moving("firing", last=3, alert=POOL), "resolves", "did not end when its measure was back", id="end late"
        ),
        pytest.param(
            moving("firing", last=-3, alert=POOL), "resolves", "ended before its measure was back", id="end early"
        ),
        pytest.param(saying(r"\b0\.00 of", "0.93 of"), "delivered", "carries the description", id="another value"),
        pytest.param(
            paging(lambda _, old: () if old.body.get("event_action") == "resolve" else (old,)),
            "delivered",
            "one resolved notification at pagerduty",
            id="end not told",
        ),
        pytest.param(paging(lambda *_: ()), "delivered", "was not delivered", id="told to nobody"),
        pytest.param(joined(POOL), "alone", "something else fired with it", id="not alone"),
    ],
)
def test_an_alert_that_does_otherwise_when_its_exporter_is_blind_is_broken(bend: Bend, aspect: str, words: str) -> None:
    """
    Each clause can be broken there, for its own reason.
    """
    verdict = judged(bend(LOCKED))[f"alert/{POOL}/{aspect}"]

    assert verdict.status is BROKEN
    assert words in verdict.text()


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        pytest.param(still_seeing, "the fault did not bite: pg_up was never 0", id="still sees"),
        pytest.param(not_asked, "the fault did not bite: pg_up was never 0", id="not asked"),
        pytest.param(
            one_scrape(lambda points, n: [*points[:n], (points[n][0], 0.0), *points[n + 1 :]]),
            "scrapes of osmen_postgres failed",
            id="a failed scrape",
        ),
        pytest.param(
            one_scrape(lambda points, n: [*points[:n], *points[n + 1 :]]),
            "a scrape of osmen_postgres was missed: 3.00 s between two samples, its own interval is 1.5 s",
            id="a missed scrape",
        ),
        pytest.param(
            lambda seen: replace(
                seen, phases=tuple(replace(each, reached=each.reached and 92.0) for each in seen.phases)
            ),
            "the rung of locked was not applied",
            id="connections left",
        ),
    ],
)
def test_a_lock_out_that_did_not_happen_is_unproven(bend: Bend, words: str) -> None:
    """
    An exporter that still sees, or does not answer, shows nothing of an alert on its blindness.
    """
    verdicts = judged(bend(LOCKED))

    assert {each.status for each in verdicts.values()} == {UNPROVEN}
    assert all(words in each.reason for each in verdicts.values())
