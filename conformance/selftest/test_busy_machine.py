"""What a busy machine does to a run is no finding about the subject, and what a bad target does is no busy machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import alerts, ladder, premise, slack, targets
from conformance.judge.verdict import Status
from conformance.selftest.judging import ladders
from conformance.selftest.recording import timelines
from fixtures.load.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.timeline.model import Series, Timeline

JOB = "osmen_postgres"


def bent(series: tuple[Series, ...], value: float, every: int) -> tuple[Series, ...]:
    """The samples of JOB, each `every`-th of which is `value`."""
    return tuple(
        replace(each, points=tuple((at, value if n % every == 0 else old) for n, (at, old) in enumerate(each.points)))
        if each.labels.get("job") == JOB
        else each
        for each in series
    )


def failing(*, every: int, seconds: float) -> Timeline:
    """The recorded steady run with each `every`-th scrape of JOB failed after `seconds`."""
    steady = timelines()["steady"]
    return replace(steady, up=bent(steady.up, 0, every), scrape_durations=bent(steady.scrape_durations, seconds, every))


@pytest.mark.parametrize(
    ("every", "seconds", "status"),
    [
        pytest.param(20, 0.25, Status.UNPROVEN, id="some run into the time-out"),
        pytest.param(20, 0.001, Status.BROKEN, id="some are refused"),
        pytest.param(1, 0.25, Status.BROKEN, id="it hangs"),
        pytest.param(1, 0.001, Status.BROKEN, id="it is away"),
    ],
)
def test_a_scrape_that_fails_is_told_apart_by_how_long_it_took(every: int, seconds: float, status: Status) -> None:
    """
    A target that answers but for a few scrapes that took their whole time is unproven; any other failure is broken.
    """
    timeline = failing(every=every, seconds=seconds)

    verdict = targets.up(load().target(JOB), timeline)

    assert status is verdict.status, verdict.text()
    assert (status is Status.UNPROVEN) is bool(premise.repeatable(timeline))


def test_a_target_that_answered_no_scrape_is_not_cured_by_a_slower_pace() -> None:
    """
    One that answers now and then may be cured.
    """
    assert premise.never_answered(failing(every=1, seconds=0.001))
    assert not premise.never_answered(failing(every=2, seconds=0.001))


def test_a_page_that_nobody_can_read_is_no_excuse_for_its_target() -> None:
    """
    That the suite could not read it either is no doubt; that Prometheus did not answer is.
    """
    away = failing(every=1, seconds=0.001)
    page = replace(away, troubles=("gateway of steady: GET /metrics: 500",))
    deaf = replace(away, troubles=("prometheus of steady: /api/v1/targets: 503",))

    assert targets.up(load().target(JOB), page).status is Status.BROKEN
    assert targets.up(load().target(JOB), deaf).status is Status.UNPROVEN


def passed_once(alert: str, program: str, value: float) -> Timeline:
    """The recorded run below a threshold with one value of the measure, two seconds before its end, beyond it."""
    seen = timelines()[program]
    end = seen.phase("below").end
    measured = seen.measures[alert]
    (late,) = [at for at, _ in measured.points if 0 <= end - 2 - at < seen.evaluation_interval]
    points = tuple((at, value if at == late else old) for at, old in measured.points)
    return replace(seen, measures={**seen.measures, alert: replace(measured, points=points)})


def answered_late(seen: Timeline) -> Timeline:
    """Errors of before a window in the middle of the rung are answered within it, as when a machine stood still."""
    begin = seen.phase("below").end - 2 - 5
    requests = tuple(
        replace(each, finished=begin + 0.3)
        if each.outcome is Outcome.ERROR and begin - 1.5 < each.finished < begin + 0.3
        else each
        for each in seen.ledger.requests
    )
    return replace(seen, ledger=Ledger(requests=requests))


def answered_slowly(seen: Timeline) -> Timeline:
    """Four answers in a row take half as long again: over the whole rung that leaves no trace."""
    begin = seen.phase("below").end - 3
    requests = tuple(
        replace(each, finished=each.sent + 1.5 * (each.finished - each.sent))
        if begin < each.finished < begin + 0.4
        else each
        for each in seen.ledger.requests
    )
    return replace(seen, ledger=Ledger(requests=requests))


@pytest.mark.parametrize(
    ("alert", "program", "value", "stall"),
    [
        ("HighErrorRate", "error-rate-below", 0.101, answered_late),
        ("HighResponseTime", "response-time-below", 10.5, answered_slowly),
    ],
)
def test_a_measure_that_passes_is_told_apart_by_what_the_clients_saw_in_that_window(
    alert: str, program: str, value: float, stall: Callable[[Timeline], Timeline]
) -> None:
    """
    Beyond the threshold while the clients saw less is a wrong metric; when they saw it too, the rung was uneven.
    """
    (rungs,) = (each for each in ladders() if each.alert == alert)
    wrong = passed_once(alert, program, value)
    uneven = stall(wrong)

    verdicts = [
        alerts.silent_below(load().alert(alert), seen, rung=rungs.rung, control=rungs.control)
        for seen in (wrong, uneven)
    ]
    assert [each.status for each in verdicts] == [Status.BROKEN, Status.UNPROVEN], verdicts[1].text()
    assert "the rung was not held evenly: in the 5 s before" in verdicts[1].reason
    assert not ladder.narrow(rungs, load(), {**timelines(), program: wrong})
    assert program in ladder.narrow(rungs, load(), {**timelines(), program: uneven})


def test_a_lost_scrape_does_not_count_upwards() -> None:
    """
    A lost scrape makes a rate smaller: a rung below its threshold keeps its distance, one above may lose it.
    """
    seen = timelines()["error-rate-below"]
    late = replace(
        seen,
        up=tuple(
            replace(one, points=tuple((at + 0.15 * (place % 7 == 3), up) for place, (at, up) in enumerate(one.points)))
            for one in seen.up
        ),
    )
    upwards, both = (
        slack.value_slack(late, events=27, window_seconds=5, spacing=0.185, upwards=only) for only in (True, False)
    )

    assert upwards == pytest.approx(1 / 27)
    assert both > 0.1
