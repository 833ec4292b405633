"""Whether a run can prove anything: did the load flow, did the fault bite, did everything live, was nothing missed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.judge.verdict import Status
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Series, Span, Timeline

LATE_LOOKS = 0.5
"""Looks at a service that go out later than these seconds tell of a machine that is too busy, not of the service."""

BUSY = 0.15
"""
A machine on which something idle takes this many seconds to answer, or a look goes out as late, is too busy to call an
answer late: an idle one takes some milliseconds. So is one on which the service and what it asks wait as long for a
processor, and for half of the time that the answer took.
"""

SLOW_LOOK = 0.75
"""Seconds that no answer about its health takes, in which a service gives up what hangs in time."""

NEARBY = 0.25
"""Seconds around an answer in which the machine is looked at."""

FULL = 0.96
"""
The share of the processors in use, on average over a program, from which on a machine is too busy for any measurement:
the suite by itself takes seven tenths of two.
"""

STRETCH = 150.0
"""
Seconds of the document's time of full processors on end from which on the same is said: at tempo 60 two and a half. The
suite by itself has them full for a second and a half where many of its programs change their phase at once.
"""

FEW = 0.05
"""The share of a target's scrapes that a busy machine may cut short where no alert is measured."""

SLUGGISH = 0.04
"""The share of the requests that a busy machine may answer late where it is their outcome that is counted."""

RATE_TOLERANCE = 0.03
"""How far the achieved rate may lie from the wanted one: a third of the way from a rung of 0.9 to its threshold."""


MORE = {"s": 0.23}
"""By quantity how far above the wanted one it may lie, where that is another share: a busy machine only adds to a
latency, and up to here a rung of 7.9 s stays in the bucket below a threshold of 10 s."""

LESS = {"s": 0.05}
"""The same for below: down to here a rung of 7.9 s stays above its bucket's other bound of 7.5 s, and one of 11.25 s
above the threshold. A request never takes less than its stall."""


def failed(timeline: Timeline, *, needs: Iterable[str] = ()) -> tuple[str, ...]:
    """
    The premises that this run does not meet, in words; empty when all are met.

    `needs` names components, besides the cell's own and the program's, on which the clause in question rests.
    """
    return (
        *deaths(timeline, needs),
        *_reading(timeline),
        *_load(timeline),
        *_rungs(timeline),
        *_scrapes(timeline),
        *_sluggish(timeline),
    )


def repeatable(timeline: Timeline, *, needs: Iterable[str] = ()) -> tuple[str, ...]:
    """
    What a second attempt at a slower pace may cure.

    Where no rung is judged, a target that does not answer is a finding and no premise: it is not repeated.
    """
    if any(span.rung is not None for span in timeline.phases):
        return failed(timeline, needs=needs)
    return (*_reading(timeline), *_load(timeline), *timed_out(timeline), *late_looks(timeline), *starved(timeline))


def deaths(timeline: Timeline, needs: Iterable[str] = ()) -> tuple[str, ...]:
    """The components that this run rests on and that ended unbidden."""
    wanted = {f"gateway-{timeline.cell}", f"prometheus-{timeline.cell}", *timeline.needs, *needs}
    return tuple(
        f"{death.component} died during the run ({death.detail})"
        for death in timeline.deaths
        if death.component in wanted
    )


def late_looks(timeline: Timeline) -> tuple[str, ...]:
    """Why the looks at the service's health tell more of the machine; empty where they do not, or none was taken."""
    if timeline.health is None or timeline.health.lag <= LATE_LOOKS:
        return ()
    return (f"the looks went out up to {timeline.health.lag:.2f} s late: the machine was too busy",)


def starved(timeline: Timeline) -> tuple[str, ...]:
    """Why a slow answer to a look at the service's health tells of the processors; empty where none was that slow."""
    seen = timeline.health
    slow = [look for look in seen.looks if look.seconds > SLOW_LOOK] if seen else []
    waits = [seen.waited(look.sent, look.finished) for look in slow] if seen else []
    found = [wait for look, wait in zip(slow, waits, strict=True) if starving(wait, look.seconds)]
    if not found:
        return ()
    return (f"during one look the service and what it asks waited {max(found):.2f} s for a processor",)


def starving(waited: float, seconds: float) -> bool:
    """Whether that much waiting for a processor may be why something took so many seconds."""
    return waited > max(BUSY, seconds / 2)


def excused(verdict: Verdict, timelines: Iterable[Timeline]) -> Verdict:
    """
    The verdict, but unproven instead of broken where the machine had nothing left to give while it was measured.

    What nobody had the time to do is not told apart then from what is not done. What was shipped, or is configured, is
    read and not measured; what is counted wrongly when all is over, or called well while it is away, is at any speed.
    """
    if verdict.status is not Status.BROKEN or verdict.lasting:
        return verdict
    timelines = tuple(timelines)
    most = max((in_use(each) or 0.0 for each in timelines), default=0.0)
    longest, full = max(((full_for(each) * each.tempo, full_for(each)) for each in timelines), default=(0.0, 0.0))
    if most >= FULL:
        why = f"{most:.0%} of the processors were in use"
    elif longest >= STRETCH:
        why = f"all processors were in use for {full:.1f} s on end"
    else:
        return verdict
    reason = f"{verdict.reason}; but {why}: the machine was too busy to tell"
    return replace(verdict, status=Status.UNPROVEN, reason=reason)


def full_for(timeline: Timeline) -> float:
    """The longest stretch of a program, in seconds, in which at each look the processors had been full."""
    longest, since = 0.0, timeline.begun
    for at, share in timeline.processors:
        if at > timeline.ended:
            break
        if share < FULL:
            since = at
        else:
            longest = max(longest, at - max(since, timeline.begun))
    return longest


def in_use(timeline: Timeline, *, start: float | None = None, end: float | None = None) -> float | None:
    """The share of the processors that was in use during a program, or a part of it, where that is known."""
    start, end = timeline.begun if start is None else start, timeline.ended if end is None else end
    shares = [share for at, share in timeline.processors if start <= at <= end]
    return sum(shares) / len(shares) if shares else None


def flow(timeline: Timeline) -> tuple[str, ...]:
    """Why the load was not the wanted one; empty when it was."""
    return tuple(_load(timeline))


def _reading(timeline: Timeline) -> Iterable[str]:
    if timeline.interrupted:
        yield f"the program was not performed to its end: {timeline.interrupted}"
    for arrival in timeline.arrivals:
        if not arrival.ok:
            yield (
                f"{arrival.backend} had not taken in the last of the run after {arrival.seconds:.1f} s: "
                f"{arrival.detail}"
            )
    yield from timeline.troubles


def _load(timeline: Timeline) -> Iterable[str]:
    for span in timeline.phases:
        if span.wanted_rps <= 0:
            continue
        sent = len(timeline.ledger.during(span.name))
        wanted = round(span.wanted_rps * (span.end - span.start))
        if sent == 0:
            yield f"the load did not flow: none of {wanted} requests was sent in {span.name}"
        elif abs(sent - wanted) > max(1, RATE_TOLERANCE * wanted):
            yield f"the load did not flow evenly: {sent} of {wanted} requests were sent in {span.name}"
    tardy = timeline.ledger.tardiness()
    if tardy > timeline.scrape_interval:
        yield (
            f"the load was late: its 99th percentile went out {tardy * 1000:.0f} ms after it was due, "
            f"more than a scrape interval ({timeline.scrape_interval * 1000:.0f} ms)"
        )
    lost = timeline.ledger.outcome(Outcome.LOST)
    if len(lost):
        yield f"{len(lost)} of {len(timeline.ledger)} requests got no answer (the first: {lost.requests[0].error})"


def _rungs(timeline: Timeline) -> Iterable[str]:
    for span in timeline.phases:
        if span.rung is None:
            continue
        value = achieved(timeline, span)
        tolerance = (MORE if value > span.rung else LESS).get(span.quantity, RATE_TOLERANCE)
        if value == 0 and span.rung > 0:
            yield (
                f"the fault did not bite: 0 of {len(timeline.ledger.during(span.name))} requests of {span.name} failed "
                f"({'; '.join(span.faults) or 'no fault'})"
            )
        elif abs(value - span.rung) > tolerance * span.rung:
            yield (
                f"the rung of {span.name} was not applied: {_witness(span)} saw {value:.4f} {span.quantity}, "
                f"wanted {span.rung:.4f} within {tolerance:.0%}"
            )


def lateness(timeline: Timeline) -> tuple[float, ...]:
    """By request, in real seconds: how much longer than usual it took."""
    usual = timeline.ledger.latency(0.5)
    return tuple(max(0.0, each.latency - usual) for each in timeline.ledger.requests)


def _sluggish(timeline: Timeline) -> Iterable[str]:
    """An error is counted when it is answered: late answers move what is counted, and make other alerts fire."""
    if all(span.quantity != "errors/s" for span in timeline.phases):
        return
    late = [each for each in lateness(timeline) if each > BUSY]
    if len(late) > SLUGGISH * len(timeline.ledger):
        yield (
            f"{len(late)} of {len(timeline.ledger)} requests took up to {max(late):.2f} s longer than usual: "
            "the machine was too busy"
        )


def achieved(timeline: Timeline, span: Span) -> float:
    """What was reached of a rung's quantity in a phase, in the document's unit: the fault's count, or the clients'."""
    if span.reached is not None:
        return span.reached
    if span.quantity == "s":
        # The quantity of a latency alert: the 95th percentile.
        return timeline.ledger.during(span.name).latency(0.95) * timeline.tempo
    if span.quantity != "errors/s":
        raise ValueError(f"{span.name}: neither its fault nor the ledger tells {span.quantity!r}")
    errors = timeline.ledger.during(span.name).outcome(Outcome.ERROR)
    return len(errors) / (span.end - span.start) / timeline.tempo


def _witness(span: Span) -> str:
    return "clients" if span.reached is None else "the fault"


def timed_out(timeline: Timeline, job: str = "") -> tuple[str, ...]:
    """Targets (or the one of `job`) of which more than a few scrapes took as long as they may."""
    found = []
    for series in timeline.up:
        name = series.labels.get("job", "")
        if job and name != job:
            continue
        late = cut_short(timeline, series)
        if len(late) > FEW * len(series.points):
            found.append(
                f"{len(late)} of {len(series.points)} scrapes of {name} "
                f"ran into their time-out of {_interval(timeline, name) * 1000:.0f} ms"
            )
    return tuple(found)


def cut_short(timeline: Timeline, series: Series) -> tuple[float, ...]:
    """
    When a target, by its series of `up`, was not done with a scrape in time, where it answered others.

    A scrape's time-out shrinks with the tempo and the work of a scrape does not: a busy machine fails it, which says
    nothing about a target that answers otherwise. One that refuses, or never answers, is another matter.
    """
    job = series.labels.get("job", "")
    lengths = [
        each for each in timeline.scrape_durations if each.labels.get("instance") == series.labels.get("instance")
    ]
    took = {at: value for each in lengths for at, value in each.points}
    # Where the program itself takes it down, that is no sign of a busy machine.
    planned = _faulted(timeline) if job in timeline.planned_down else ()
    down = [at for at, value in series.points if value != 1 and not any(a <= at <= b for a, b in planned)]
    late = [at for at in down if took.get(at, 0.0) >= 0.9 * _interval(timeline, job)]
    return tuple(late) if len(late) == len(down) < len(series.points) else ()


def never_answered(timeline: Timeline, job: str = "") -> bool:
    """Whether a target (or the one of `job`) answered no scrape at all: a slower pace does not cure that."""
    return any(
        series.points and all(value != 1 for _, value in series.points)
        for series in timeline.up
        if not job or series.labels.get("job") == job
    )


def largest_gap(timeline: Timeline) -> float:
    """
    The largest time between two samples of `up` of any target, in seconds; the run's edges count as samples.

    Where the program itself has a target vanish there is none to miss; a target with an interval of its own is looked
    at by itself.
    """
    gaps = [0.0]
    for series in timeline.up:
        if series.labels.get("job", "") in timeline.slower:
            continue
        planned = _vanished(timeline, series.labels.get("job", ""))
        gaps.extend(
            later - earlier
            for earlier, later in pairwise(at for at, _ in series.points)
            if not any(start <= earlier and later <= end for start, end in planned)
        )
    return max(gaps)


def _interval(timeline: Timeline, job: str) -> float:
    return timeline.slower.get(job, timeline.scrape_interval)


def _vanished(timeline: Timeline, job: str) -> tuple[tuple[float, float], ...]:
    """When the target of `job` was not discovered, and a scrape to either side."""
    edge = 2 * timeline.scrape_interval
    return tuple(
        (span.start - edge, (span.healed or span.end) + edge) for span in timeline.phases if job in span.vanished
    )


def _faulted(timeline: Timeline) -> tuple[tuple[float, float], ...]:
    """When faults held: from a scrape before to a scrape after, as one may be under way at either end."""
    edge = 2 * timeline.scrape_interval
    return tuple((span.start - edge, (span.healed or span.end) + edge) for span in timeline.phases if span.faults)


def _moves(timeline: Timeline, at: float, near: float) -> bool:
    """
    Whether a scrape that came to nothing may have moved what is judged: near a rung, or while an alert was active.

    It ends each series for one interval: an alert that waits or fires starts anew, and one that should begins late.
    """
    if any(
        span.rung is not None and span.start - near <= at <= (span.healed or span.end) + near
        for span in timeline.phases
    ):
        return True
    return any(abs(at - active) <= near for series in timeline.alerts for active, _ in series.points)


def _scrapes(timeline: Timeline) -> Iterable[str]:
    if not all(arrival.ok for arrival in timeline.arrivals):
        return
    if not timeline.up:
        yield "no target was scraped"
    for series in timeline.up:
        job = series.labels.get("job", "?")
        planned = _faulted(timeline) if job in timeline.planned_down else ()
        down = [at for at, value in series.points if value != 1 and not any(a <= at <= b for a, b in planned)]
        late = set(cut_short(timeline, series))
        moved = any(at not in late or _moves(timeline, at, 2 * _interval(timeline, job)) for at in down)
        if moved or len(down) > FEW * len(series.points):
            yield f"{len(down)} of {len(series.points)} scrapes of {job} failed"
        first, last = series.points[0][0], series.points[-1][0]
        edge = max(first - timeline.begun, timeline.ended - last)
        if edge >= 2 * _interval(timeline, job):
            yield f"{job} was not scraped for {edge:.2f} s at an edge of the run"
        if job in timeline.slower:
            own = max((later - earlier for (earlier, _), (later, _) in pairwise(series.points)), default=0.0)
            if own >= 2 * timeline.slower[job]:
                yield (
                    f"a scrape of {job} was missed: {own:.2f} s between two samples, "
                    f"its own interval is {timeline.slower[job]:g} s"
                )
    gap = largest_gap(timeline)
    if gap >= 2 * timeline.scrape_interval:
        yield (
            f"a scrape was missed: {gap * 1000:.0f} ms between two samples, "
            f"twice the interval is {2000 * timeline.scrape_interval:.0f} ms"
        )
    if timeline.missed_evaluations > 0:
        yield f"Prometheus skipped {timeline.missed_evaluations:.0f} evaluations of its rules"
