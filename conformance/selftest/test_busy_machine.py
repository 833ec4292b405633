"""What a busy machine does to a run is no finding about the subject, and what a bad target does is no busy machine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import alerts, delivery, ladder, premise, slack, targets
from conformance.judge.verdict import Status, broken, holds, unproven
from conformance.selftest.deviants import CATALOGUE, ELSEWHERE, saying
from conformance.selftest.judging import judge, ladders
from conformance.selftest.recording import stalled, timelines
from conformance.timeline.model import Series
from fixtures.load.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.timeline.model import Timeline

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
        pytest.param(24, 0.25, Status.HOLDS, id="a few run into the time-out"),
        pytest.param(15, 0.25, Status.UNPROVEN, id="some run into the time-out"),
        pytest.param(20, 0.001, Status.BROKEN, id="some are refused"),
        pytest.param(1, 0.25, Status.BROKEN, id="it hangs"),
        pytest.param(1, 0.001, Status.BROKEN, id="it is away"),
    ],
)
def test_a_scrape_that_fails_is_told_apart_by_how_long_it_took(every: int, seconds: float, status: Status) -> None:
    """
    A target that answers but for scrapes that took their whole time is unproven, or holds if few did; others break it.
    """
    timeline = failing(every=every, seconds=seconds)

    verdict = targets.up(load().target(JOB), load().timing, timeline)

    assert status is verdict.status, verdict.text()
    assert (status is Status.UNPROVEN) is bool(premise.repeatable(timeline))


def lost_at(phase: str, share: float, *, seconds: float) -> Timeline:
    """The recorded run of the pool, its scrape of JOB at that share of a phase lost after `seconds`."""
    pool = timelines()["database-pool"]
    span = pool.phase(phase)
    at = span.start + share * (span.end - span.start)

    def put(series: tuple[Series, ...], value: float) -> tuple[Series, ...]:
        changed = []
        for each in series:
            points = list(each.points)
            if each.labels.get("job") == JOB:
                nearest = min(range(len(points)), key=lambda n: abs(points[n][0] - at))
                points[nearest] = (points[nearest][0], value)
            changed.append(replace(each, points=tuple(points)))
        return tuple(changed)

    return replace(pool, up=put(pool.up, 0.0), scrape_durations=put(pool.scrape_durations, seconds))


@pytest.mark.parametrize(
    ("phase", "share", "seconds", "missed"),
    [
        pytest.param("recovery", 0.95, 0.25, False, id="nothing moves any more"),
        pytest.param("recovery", 0.95, 0.001, True, id="refused"),
        pytest.param("recovery", 0.0, 0.25, True, id="the alert still fires"),
        pytest.param("above", 0.5, 0.25, True, id="above"),
        pytest.param("below", 0.5, 0.25, True, id="below"),
    ],
)
def test_a_scrape_that_a_busy_machine_lost_counts_where_something_is_measured(
    phase: str, share: float, seconds: float, missed: bool
) -> None:
    """
    One that ran into its time-out far from every rung, and while no alert was active, has moved nothing.
    """
    reasons = premise.failed(lost_at(phase, share, seconds=seconds))

    assert reasons == ((f"1 of {len(one_of_job())} scrapes of {JOB} failed",) if missed else ())


def one_of_job() -> tuple[tuple[float, float], ...]:
    """The scrapes of JOB in the recorded run of the pool."""
    return next(each.points for each in timelines()["database-pool"].up if each.labels["job"] == JOB)


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

    assert targets.up(load().target(JOB), load().timing, page).status is Status.BROKEN
    assert targets.up(load().target(JOB), load().timing, deaf).status is Status.UNPROVEN


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


def answered_slowly(seen: Timeline, answers: int = 4) -> Timeline:
    """Some answers in a row take half as long again: over the whole rung that leaves no trace."""
    begin = seen.phase("below").end - 3
    requests = tuple(
        replace(each, finished=each.sent + 1.5 * (each.finished - each.sent))
        if begin < each.finished < begin + answers / 10
        else each
        for each in seen.ledger.requests
    )
    return replace(seen, ledger=Ledger(requests=requests))


@pytest.mark.parametrize(
    ("alert", "program", "value", "stall", "words"),
    [
        ("HighErrorRate", "error-rate-below", 0.101, answered_late, "9 of 198 requests took up to 1.74 s longer"),
        ("HighResponseTime", "response-time-below", 10.5, answered_slowly, "held evenly: in the 5 s before"),
    ],
)
def test_a_measure_that_passes_is_told_apart_by_what_the_clients_saw_in_that_window(
    alert: str, program: str, value: float, stall: Callable[[Timeline], Timeline], words: str
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
    assert words in verdicts[1].reason
    assert not premise.repeatable(wrong)
    assert not verdicts[1].lasting


def test_a_lost_scrape_does_not_count_upwards() -> None:
    """
    A lost scrape makes a rate smaller: a rung below its threshold keeps its distance, one above may lose it.
    """
    seen = timelines()["error-rate-below"]
    late = replace(
        seen,
        scrape_durations=tuple(
            replace(
                one, points=tuple((at + 0.15 * (n % 7 == 3), seconds) for n, (at, seconds) in enumerate(one.points))
            )
            for one in seen.scrape_durations
        ),
    )
    upwards, both = (
        slack.value_slack(late, late.phase("below"), events=27, window_seconds=5, spacing=0.185, upwards=only)
        for only in (True, False)
    )

    assert upwards == pytest.approx(1 / 27)
    assert both > upwards + 0.02


def test_a_scrape_under_way_at_an_evaluation_has_brought_nothing_to_it() -> None:
    """
    Its sample carries the time at which it began: asked later the window is whole, and the rule saw it cut short.
    """
    seen = timelines()["error-rate-above"]
    rung = seen.phase("above")
    under_way = replace(
        seen,
        scrape_durations=tuple(
            replace(one, points=tuple((at, 0.24) for at, _ in one.points)) for one in seen.scrape_durations
        ),
    )

    whole, cut = (slack.cut_off(each, rung, 5, sparse=0.15) for each in (seen, under_way))
    assert whole == 0
    assert cut > 0.04


@pytest.mark.parametrize("aspect", ["fires-above", "for", "resolves", "delivered"])
def test_errors_that_were_answered_late_prove_nothing(aspect: str) -> None:
    """
    Late answers move what is counted beyond the rung's margin; the program is performed again.
    """
    (rungs,) = (each for each in ladders() if each.alert == "HighErrorRate")
    slow = stalled(timelines()["error-rate-above"], requests=12, seconds=0.4)
    few = stalled(timelines()["error-rate-above"], requests=2, seconds=0.4)

    verdict = ladder.judged(rungs, aspect, load(), {**timelines(), "error-rate-above": slow})
    assert verdict.status is Status.UNPROVEN
    assert "12 of 241" in verdict.reason
    assert premise.repeatable(slow)
    assert not premise.repeatable(few)
    with_few = ladder.judged(rungs, aspect, load(), {**timelines(), "error-rate-above": few})
    assert with_few.status is Status.HOLDS
    assert with_few.about == verdict.about == ("error-rate-above",)


@pytest.mark.parametrize("aspect", ladder.PASSED)
def test_an_alert_that_was_interrupted_where_answers_came_late_is_not_broken(aspect: str) -> None:
    """
    A few late answers leave the premises met, and may bring a rate below its threshold for one evaluation.
    """
    (rungs,) = (each for each in ladders() if each.alert == "HighErrorRate")
    seen = timelines()["error-rate-above"]
    firing = next(each for each in seen.alerts if dict(each.labels)["alertstate"] == "firing")
    kept = {"fires-above": (), "for": firing.points[8:], "resolves": firing.points[:8], "delivered": firing.points}
    cut = kept[aspect]
    short = replace(seen, alerts=tuple(replace(e, points=cut) if e is firing else e for e in seen.alerts))
    if aspect == "delivered":
        # It ended, and fired once more.
        short = replace(seen, notifications=(*seen.notifications, *seen.notifications))

    rows = [
        ladder.judged(rungs, aspect, load(), {**timelines(), "error-rate-above": each})
        for each in (short, stalled(short, requests=7, seconds=0.4))
    ]
    assert [each.status for each in rows] == [Status.BROKEN, Status.UNPROVEN], rows[1].text()
    assert "late answers move" in rows[1].reason


def test_a_state_that_its_own_metric_showed_for_as_long_as_for_proves_nothing() -> None:
    """
    The gateway was back in time, and on a busy machine scraped late: the rule was right to fire.
    """
    (rungs,) = (each for each in ladders() if each.alert == "ServiceDown")
    seen = timelines()["service-down"]
    rung, until = seen.phase(rungs.rung), seen.phase(rungs.control).start
    measured = seen.measures["ServiceDown"]
    firing = next(each for each in seen.alerts if dict(each.labels)["alertstate"] == "firing")
    instants = [at for at, _ in measured.points if rung.start <= at < until]
    fired = replace(firing, points=((instants[4], 1.0), *firing.points))
    early = replace(seen, alerts=tuple(fired if each is firing else each for each in seen.alerts))
    down = dict.fromkeys(instants[:4], 0.0)
    long = replace(
        early,
        measures={
            **seen.measures,
            "ServiceDown": replace(measured, points=tuple((at, down.get(at, value)) for at, value in measured.points)),
        },
    )

    rows = [
        ladder.judged(rungs, "silent-below", load(), {**timelines(), "service-down": each}) for each in (early, long)
    ]
    assert [each.status for each in rows] == [Status.BROKEN, Status.UNPROVEN], rows[1].text()
    assert "its own metric showed it for up to 1.00 s" in rows[1].reason


@pytest.mark.parametrize(("share", "status"), [(0.99, Status.UNPROVEN), (0.8, Status.BROKEN)])
def test_a_page_that_came_late_through_a_full_machine_is_no_finding(share: float, status: Status) -> None:
    """
    All its processors were in use from the change to the page; where they were not, late is late.
    """
    (rungs,) = (each for each in ladders() if each.alert == "HighErrorRate")
    seen = timelines()["error-rate-above"]
    late = replace(
        seen,
        notifications=tuple(replace(each, at=each.at + 2.5) for each in seen.notifications),
        processors=tuple((seen.begun + n / 2, share) for n in range(60)),
    )

    verdict = ladder.judged(rungs, "delivered", load(), {**timelines(), "error-rate-above": late})
    assert verdict.status is status, verdict.text()


def test_what_else_fires_while_answers_are_late_is_the_machines_doing() -> None:
    """
    Slow answers are what another alert is for: while the machine is to blame for them, nobody was paged wrongly.
    """
    (rungs,) = (each for each in ladders() if each.alert == "HighErrorRate")
    seen = timelines()["error-rate-above"]
    instants = seen.evaluations[40:46]
    other = Series(
        labels={"alertname": "HighResponseTime", "alertstate": "firing"}, points=tuple((at, 1.0) for at in instants)
    )
    fired = replace(seen, alerts=(*seen.alerts, other))

    verdicts = [
        ladder.judged(rungs, "alone", load(), {**timelines(), "error-rate-above": each})
        for each in (fired, stalled(fired, requests=12, seconds=0.4))
    ]
    assert [each.status for each in verdicts] == [Status.BROKEN, Status.UNPROVEN]


@pytest.mark.parametrize(("beyond", "status"), [(-1.0, Status.BROKEN), (1.0, Status.HOLDS)])
def test_a_page_about_what_fired_after_the_run_is_none_of_its(beyond: float, status: Status) -> None:
    """
    While a cell is read its service is no longer scraped in time; what pages then is not what the fault had done.
    """
    (rungs,) = (each for each in ladders() if each.alert == "HighErrorRate")
    seen = timelines()["error-rate-above"]
    page = next(each for each in seen.notifications if "HighErrorRate" in str(each.body))
    body = json.loads(json.dumps(page.body).replace("HighErrorRate", "ServiceDown"))
    other = replace(page, at=seen.ended + beyond, body=body)
    paged = replace(seen, notifications=(*seen.notifications, other))

    verdict = ladder.judged(rungs, "alone", load(), {**timelines(), "error-rate-above": paged})
    assert verdict.status is status, verdict.text()


@pytest.mark.parametrize(
    ("seconds", "tempo", "status"),
    [
        pytest.param(1.5, 60.0, Status.BROKEN, id="as in any run"),
        pytest.param(3.0, 60.0, Status.UNPROVEN, id="longer"),
        pytest.param(3.0, 30.0, Status.BROKEN, id="at half the tempo"),
    ],
)
def test_full_processors_on_end_are_a_machine_too_busy(seconds: float, tempo: float, status: Status) -> None:
    """
    On average there was enough to give, but not while it mattered.
    """
    steady = replace(timelines()["steady"], tempo=tempo)
    looks = [steady.begun + n / 2 for n in range(30)]
    shares = [1.0 if 5 <= at - steady.begun - 0.01 <= 5 + seconds else 0.7 for at in looks]
    seen = replace(steady, processors=tuple(zip(looks, shares, strict=True)))

    verdict = premise.excused(broken("metric/osmen_active_users/ledger", "differs", observations=1), [seen])
    assert verdict.status is status
    assert (f"in use for {seconds:.1f} s on end" in verdict.reason) is (status is Status.UNPROVEN)
    # Beside a program at a slower pace, whose longer stretch is no excuse, the shorter one still is one.
    beside = replace(seen, tempo=1.0, processors=tuple((at, 1.0 if n < 10 else 0.7) for n, at in enumerate(looks)))
    assert premise.excused(broken(verdict.clause, "differs", observations=1), [seen, beside]).status is status


def used(seen: Timeline, share: float) -> Timeline:
    """So much of the processors was in use while the program ran, and all of them before and after."""
    instants = [seen.begun - 0.5, *(seen.begun + n / 2 for n in range(1, int((seen.ended - seen.begun) * 2)))]
    shares = [1.0, *([share] * (len(instants) - 1)), 1.0]
    return replace(seen, processors=tuple(zip([*instants, seen.ended + 0.5], shares, strict=True)))


@pytest.mark.parametrize(("share", "status"), [(1.0, Status.UNPROVEN), (0.9, Status.BROKEN), (None, Status.BROKEN)])
def test_what_is_broken_on_a_machine_with_nothing_left_is_unproven(share: float | None, status: Status) -> None:
    """
    Nobody had the time to keep the promise; with a tenth of the processors idle, or where that is not known, it counts.
    """
    seen = timelines()["steady"] if share is None else used(timelines()["steady"], share)
    found = broken("alert/HighErrorRate/delivered", "was late", observations=1)

    verdict = premise.excused(found, [seen])

    assert verdict.status is status
    assert ("100% of the processors were in use" in verdict.reason) is (status is Status.UNPROVEN)


def test_nothing_excuses_what_was_shipped_and_nothing_holds_for_it() -> None:
    """
    A rule or an interval is read, a sum is wrong at any speed; and what is unproven or holds stays what it is.
    """
    full = used(timelines()["steady"], 1.0)
    others = [
        broken("alert/HighErrorRate/shipped", "is another rule", observations=1, lasting=True),
        broken("metric/osmen_errors_total/ledger", "does not count what happened", observations=1, lasting=True),
        broken("target/docker", "is not scraped as often as documented", observations=1, lasting=True),
        unproven("alert/HighErrorRate/for", "a premise failed"),
        holds("alert/HighErrorRate/for", observations=3),
    ]

    assert [premise.excused(each, [full]) for each in others] == others


def _late(seen: Timeline, value: float) -> Timeline:
    """The timeline in which the rule's value was this one where a scrape was under way, as when the alert fired."""
    measured = seen.measures["HighErrorRate"]
    late = replace(measured, points=tuple((at, value) for at, _ in measured.points))
    fired = min(at for each in seen.alerts if each.labels.get("alertstate") == "firing" for at, _ in each.points)
    (scrapes,) = seen.scrape_durations
    scraped = replace(scrapes, points=tuple(sorted((*scrapes.points, (fired - 0.001, 0.01)))))
    measures = {**seen.measures, "HighErrorRate/late": late}
    return replace(seen, measures=measures, scrape_durations=(scraped,))


def _ended(seen: Timeline) -> Timeline:
    """The same in which every scrape had ended well before the rules were evaluated."""
    return replace(
        seen, scrape_durations=tuple(replace(each, points=each.points[:3]) for each in seen.scrape_durations)
    )


@pytest.mark.parametrize(
    ("value", "status"),
    [
        pytest.param(0.31, Status.HOLDS, id="the value while a scrape was under way"),
        pytest.param(0.21, Status.BROKEN, id="another"),
        pytest.param(None, Status.BROKEN, id="where that is not known"),
    ],
)
def test_a_page_tells_the_value_that_the_rule_had_while_a_scrape_was_under_way(
    value: float | None, status: Status
) -> None:
    """
    The window of such an evaluation has lost its oldest sample and not got its newest: its value is no neighbour's.
    """
    contract = load()
    alert = contract.alert("HighErrorRate")
    told = saying(r"\d\.\d\d errors", "0.31 errors")(timelines()["error-rate-above"])
    seen = told if value is None else _late(told, value)

    verdict = delivery.delivered(alert, contract.receiver(alert.receiver), contract.timing, seen)

    assert verdict.status is status, verdict.text()


def test_where_no_scrape_was_under_way_a_rule_had_no_such_value() -> None:
    """
    What a window would have been then is no value of the rule's.
    """
    contract = load()
    alert = contract.alert("HighErrorRate")
    told = saying(r"\d\.\d\d errors", "0.31 errors")(timelines()["error-rate-above"])

    verdict = delivery.delivered(alert, contract.receiver(alert.receiver), contract.timing, _ended(_late(told, 0.31)))

    assert verdict.status is Status.BROKEN, verdict.text()


def _down_for(seconds: float, *, fires: bool) -> Timeline:
    """The recorded run in which the gateway hung for so long, and whether the alert fired of it."""
    seen = timelines()["service-down"]
    short = seen.phase("short")
    phases = tuple(replace(each, healed=each.start + seconds) if each is short else each for each in seen.phases)
    alerts_ = tuple(
        replace(each, points=((short.start + 0.9, 1.0), *each.points)) if fires and _firing(each) else each
        for each in seen.alerts
    )
    measured = seen.measures["ServiceDown"]
    shown = tuple(
        (at, 0.0 if short.start + 0.1 < at < short.start + 0.1 + seconds else value) for at, value in measured.points
    )
    measures = {**seen.measures, "ServiceDown": replace(measured, points=shown)}
    return replace(seen, phases=phases, alerts=alerts_, measures=measures)


def _firing(series: Series) -> bool:
    return (series.labels.get("alertname"), series.labels.get("alertstate")) == ("ServiceDown", "firing")


@pytest.mark.parametrize(
    ("seconds", "fires", "status"),
    [
        pytest.param(0.7, False, Status.HOLDS, id="short and silent"),
        pytest.param(0.7, True, Status.BROKEN, id="short and firing"),
        pytest.param(0.9, False, Status.HOLDS, id="healed late and silent"),
        pytest.param(0.9, True, Status.UNPROVEN, id="healed late and firing"),
        pytest.param(1.1, False, Status.UNPROVEN, id="as long as its for"),
    ],
)
def test_silence_at_a_state_that_was_ended_late_still_says_something(
    seconds: float, fires: bool, status: Status
) -> None:
    """
    Where a busy machine let it last for almost `for`, firing is chance, and silence more than was asked for.
    """
    verdict = alerts.silent_when_short(
        load().alert("ServiceDown"), _down_for(seconds, fires=fires), rung="short", control="long"
    )

    assert verdict.status is status, verdict.text()


def _slower_in(phase: str, seen: Timeline, *, add: float = 0.0, times: float = 1.0) -> Timeline:
    """The timeline whose clients waited longer in that phase: seconds more, or so many times as long."""
    requests = tuple(
        replace(each, finished=each.sent + times * each.latency + add) if each.phase == phase else each
        for each in seen.ledger.requests
    )
    return replace(seen, ledger=Ledger(requests=requests))


def _untold(seen: Timeline) -> Timeline:
    """The same in which the service counted no slow answer."""
    measured = seen.measures["HighResponseTime"]
    low = replace(measured, points=tuple((at, min(value, 9.0)) for at, value in measured.points))
    return replace(seen, alerts=(), measures={**seen.measures, "HighResponseTime": low})


@pytest.mark.parametrize(
    ("bend", "status"),
    [
        pytest.param(lambda seen: seen, Status.HOLDS, id="as it was"),
        pytest.param(_untold, Status.BROKEN, id="slow answers were not counted"),
        pytest.param(lambda seen: _slower_in("quiet", seen, add=0.05), Status.HOLDS, id="a busy machine"),
        pytest.param(
            lambda seen: _slower_in("quiet", _untold(seen), add=0.05), Status.UNPROVEN, id="not counted on a busy one"
        ),
    ],
)
def test_what_clients_wait_beyond_the_service_excuses_only_what_did_not_count(
    bend: Callable[[Timeline], Timeline], status: Status
) -> None:
    """
    Where a request takes long while nothing is slow, 11.25 s may have been 9 s to the service, unless it counted them.
    """
    (rungs,) = (each for each in ladders() if each.alert == "HighResponseTime")
    seen = {**timelines(), rungs.above: bend(timelines()[rungs.above])}

    verdict = ladder.judged(rungs, "fires-above", load(), seen)

    assert verdict.status is status, verdict.text()


def _fewer(seen: Timeline) -> Timeline:
    """The timeline with three of five requests: of thirty in a window one or two are what its quantile leaves out."""
    kept = tuple(each for number, each in enumerate(seen.ledger.requests) if number % 5 < 3)
    phases = tuple(replace(each, wanted_rps=each.wanted_rps * 0.6) for each in seen.phases)
    return replace(seen, phases=phases, ledger=Ledger(requests=kept))


@pytest.mark.parametrize(
    ("slow", "status"),
    [
        pytest.param(0, Status.BROKEN, id="none"),
        pytest.param(1, Status.BROKEN, id="one of thirty"),
        pytest.param(2, Status.UNPROVEN, id="two, of 27 between two scrapes"),
    ],
)
def test_a_window_is_what_lies_between_two_scrapes(slow: int, status: Status) -> None:
    """
    A rule sees up to two scrapes less than its window's length; a twentieth of thirty requests are two of 27.
    """
    wrong = _fewer(passed_once("HighResponseTime", "response-time-below", 10.5))
    instant = next(at for at, value in wrong.measures["HighResponseTime"].points if value == 10.5)
    late = [each for each in wrong.ledger.requests if instant - 4 < each.finished < instant - 2][:slow]
    requests = tuple(
        replace(each, finished=each.finished + 0.06) if each in late else each for each in wrong.ledger.requests
    )

    verdict = alerts.silent_below(
        load().alert("HighResponseTime"),
        replace(wrong, ledger=Ledger(requests=requests)),
        rung="below",
        control="control",
    )

    assert verdict.status is status, verdict.text()


def _lowered(seen: Timeline, value: float) -> Timeline:
    """The timeline in which the service's own metric showed that much in the rung below, and no more."""
    measured, span = seen.measures["HighResponseTime"], seen.phase("below")
    points = tuple((at, min(each, value) if at <= span.end else each) for at, each in measured.points)
    return replace(seen, measures={**seen.measures, "HighResponseTime": replace(measured, points=points)})


@pytest.mark.parametrize(("value", "status"), [(9.875, Status.HOLDS), (7.375, Status.UNPROVEN)])
def test_silence_at_a_latency_that_the_service_did_not_see_is_no_proof(value: float, status: Status) -> None:
    """
    Clients wait longer than it takes; where that leaves it in a lower bucket, a wrong threshold there stays silent too.
    """
    seen = _lowered(timelines()["response-time-below"], value)

    verdict = alerts.silent_below(load().alert("HighResponseTime"), seen, rung="below", control="control")

    assert verdict.status is status, verdict.text()


def test_a_phase_without_a_rung_proves_no_silence() -> None:
    """
    Also of a latency, whose slack is no doubt of its own.
    """
    seen = timelines()["response-time-below"]
    bare = replace(seen, phases=tuple(replace(each, rung=None) for each in seen.phases))

    verdict = alerts.silent_below(load().alert("HighResponseTime"), bare, rung="below", control="control")

    assert verdict.status is Status.UNPROVEN
    assert "below has no rung" in verdict.reason


def test_a_latency_that_clients_saw_beyond_the_threshold_is_no_rung_below_it() -> None:
    """
    It is silent there, and that shows nothing.
    """
    seen = _slower_in("below", timelines()["response-time-below"], times=1.135)
    assert premise.failed(seen) == ()

    verdict = alerts.silent_below(load().alert("HighResponseTime"), seen, rung="below", control="control")

    assert verdict.status is Status.UNPROVEN
    assert "the clients saw 10." in verdict.reason


def _measured(seen: Timeline, alert: str, change: Callable[[float, float], float | None]) -> Timeline:
    """The measure of an alert with other values; None takes one away."""
    measured = seen.measures[alert]
    points = [(at, change(at, value)) for at, value in measured.points]
    kept = tuple((at, value) for at, value in points if value is not None)
    return replace(seen, measures={**seen.measures, alert: replace(measured, points=kept)})


def test_a_slow_answer_in_the_recovery_does_not_move_the_end_of_an_alert() -> None:
    """
    It ended when its measure was back; beyond again for two evaluations, it waits and does not fire.
    """
    alert, seen = load().alert("HighResponseTime"), timelines()["response-time-above"]
    last = alerts.history(alert, seen).firing[-1]
    again = [at for at in seen.evaluations if last + 0.7 < at < last + 1.3]
    assert again
    bent = _measured(seen, alert.name, lambda at, value: 20.0 if at in again else value)

    verdict = alerts.resolves(alert, bent, rung="above")
    assert verdict.status is Status.HOLDS, verdict.text()


def test_a_measure_that_is_gone_is_neither_back_nor_below() -> None:
    """
    No value is no proof: not of an end, and not of a rung below.
    """
    contract, above, below = load(), timelines()["error-rate-above"], timelines()["error-rate-below"]
    alert = contract.alert("HighErrorRate")
    last = alerts.history(alert, above).firing[-1]
    rung = below.phase("below")
    gone = _measured(above, alert.name, lambda at, value: value if at <= last + 0.01 else None)
    blank = _measured(below, alert.name, lambda at, value: None if abs(at - rung.end + 1) < 0.3 else value)

    ended = alerts.resolves(alert, gone, rung="above")
    silent = alerts.silent_below(alert, blank, rung="below", control="control")
    assert (ended.status, silent.status) == (Status.UNPROVEN, Status.UNPROVEN)
    assert "gone is not back" in ended.text()
    assert "its measure gave no value at " in silent.text()


def test_what_cadvisor_tells_may_be_a_housekeeping_old() -> None:
    """
    An alert on it may wake and end two evaluations after the measure that is read later, and no more.
    """
    alert, seen = load().alert("HighMemoryUsage"), timelines()["memory"]
    story, points = alerts.history(alert, seen), seen.measures["HighMemoryUsage"].points
    passed = next(at for at, value in points if value > alert.threshold)
    back = next(at for at, value in points if at > seen.phase("above").end and value <= alert.threshold)
    woken, ended = round((story.pending[0] - passed) / 0.25), round((story.firing[-1] + 0.25 - back) / 0.25)
    found = {
        late: (
            alerts.fires_above(alert, _moved(seen, alert.name, late - woken), rung="above").status,
            alerts.resolves(alert, _moved(seen, alert.name, late - ended), rung="above").status,
        )
        for late in (2, 3)
    }

    assert found == {2: (Status.HOLDS, Status.HOLDS), 3: (Status.BROKEN, Status.BROKEN)}


def _moved(seen: Timeline, alert: str, evaluations: int) -> Timeline:
    """All that the alert did, so many evaluations later."""
    return replace(
        seen,
        alerts=tuple(
            replace(each, points=tuple((round(at + 0.25 * evaluations, 3), value) for at, value in each.points))
            if each.labels["alertname"] == alert
            else each
            for each in seen.alerts
        ),
    )


@pytest.mark.parametrize(
    ("name", "lasting"),
    [
        ("a title that every alert has", True),
        ("another channel", True),
        ("a wait that no tempo shows", True),
        ("osmen_gateway scraped half as often", True),
        ("told late", False),
        ("one scrape of osmen_gateway failed", False),
    ],
)
def test_what_is_read_of_a_page_or_a_target_lasts(name: str, lasting: bool) -> None:
    """
    A machine that is too busy makes pages late and scrapes fail; titles, channels and intervals it does not change.
    """
    (deviant,) = (each for each in CATALOGUE if each.name == name)
    verdicts = judge(deviant.bent(timelines()), without=ELSEWHERE)

    assert {verdicts[clause].lasting for clause in deviant.broken} == {lasting}
