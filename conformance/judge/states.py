"""
Judges an alert on a state: one that comes and goes, a target that vanishes, an exporter that is locked out.

How long a state lasted is known from the program; how much of it Prometheus could see, from the samples of `up`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.contract.model import Direction
from conformance.judge import alerts, premise
from conformance.judge.alerts import NEEDS, history
from conformance.judge.slack import bounds
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.contract.model import AlertPromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

STALENESS = 2.1
"""Scrape intervals after which a target that vanished has no samples any more: Prometheus then marks them as stale."""


def silent_when_flapping(alert: AlertPromise, timeline: Timeline, *, job: str, rungs: Sequence[str]) -> Verdict:
    """
    A target that hangs again and again, each time for less than `for`, and answers in between, is never told of.

    A target that hangs is seen as down only when a scrape has timed out, and as up by the scrape that it answers when
    it wakes: so what is seen lasts a scrape less than what is, and silence is due up to a whole `for`.
    """
    clause = f"alert/{alert.name}/silent-below"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    letters, spans = bounds(alert, timeline), [timeline.phase(name) for name in rungs]
    lasted = [(span.healed or span.end) - span.start for span in spans]
    if max(lasted) > letters.effective_for:
        return unproven(
            clause,
            f"the gateway was away for {max(lasted):.2f} s at once, more than for {letters.effective_for:g} s: "
            "whether it fires then is chance",
        )
    points = [point for series in timeline.up if series.labels.get("job") == job for point in series.points]
    begun, until = spans[0].start, (spans[-1].healed or spans[-1].end) + letters.reach
    down = [point for point in points if begun <= point[0] <= until and point[1] != 1]
    if not down:
        return unproven(clause, f"the fault did not bite: every scrape of {job} was answered")
    for earlier, later in pairwise(spans):
        woke = earlier.healed or earlier.end
        # A scrape that began while it hung is answered when it wakes, and carries the time at which it began.
        if not any(woke - letters.scrape <= instant <= later.start and value == 1 for instant, value in points):
            return unproven(
                clause,
                f"no scrape was answered between {earlier.name} and {later.name}: to Prometheus it was one outage",
            )
    return _silent(alert, timeline, (begun, until), f"{len(spans)} outages of {max(lasted):.2f} s at most")


def fires_when_vanished(alert: AlertPromise, timeline: Timeline, *, rung: str) -> Verdict:
    """
    A target that is discovered no more fires as one that does not answer, once its last samples are stale.
    """
    return alerts.fires_above(alert, timeline, rung=rung, stale=STALENESS * timeline.scrape_interval)


READ_OF = "server"
"""The label that postgres_exporter puts on what it read of a server, and not on `pg_up`."""


def when_blind(
    alert: AlertPromise,
    timeline: Timeline,
    *,
    job: str,
    rung: str,
    aspect: str,
    judge: Callable[[AlertPromise, Timeline], Verdict],
) -> Verdict:
    """
    What `judge` says of the alert where its exporter answers and cannot see: on the contract's `blind`, as a state.

    The measure is absent then, so the alert's own quantity can neither pass its threshold nor be back; 0 of `blind` is
    the state, and what a page tells. It proves something only where the exporter answered every scrape and did say 0:
    one that fails its scrapes, or still sees, is another story. Of the alert's samples those count that the measure
    did not make, which may be pending for a moment while the last connections are taken.

    A sample carries the time at which its scrape began, and a locked out exporter answers a second later: the rule
    sees it only then.
    """
    clause, query = f"alert/{alert.name}/{aspect}", alert.blind
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    seen = _as_committed(timeline, f"{alert.name}/blind", job)
    span = timeline.phase(rung)
    if not any(span.start <= instant and value == 0 for instant, value in seen):
        return unproven(clause, f"the fault did not bite: {query} was never 0 while {'; '.join(span.faults)}")
    measured = replace(timeline.measures[f"{alert.name}/blind"], points=seen)
    own = tuple(
        each for each in timeline.alerts if each.labels.get("alertname") != alert.name or READ_OF not in each.labels
    )
    state = replace(alert, measure=query, value="", threshold=1.0, direction=Direction.BELOW, fires_on=("0",))
    as_state = replace(
        timeline,
        alerts=own,
        scrape_interval=timeline.slower.get(job, timeline.scrape_interval),
        measures={alert.name: measured},
    )
    return judge(state, as_state)


def _as_committed(timeline: Timeline, name: str, job: str) -> tuple[tuple[float, float], ...]:
    """What the rule saw of a sample at each evaluation: that of the last scrape that was over by then."""
    measured = timeline.measures.get(name)
    if measured is None or not measured.points:
        return ()
    scrapes = sorted(
        (begun, begun + took)
        for series in timeline.scrape_durations
        if series.labels.get("job") == job
        for begun, took in series.points
    )
    worth = {}
    for begun, _ in scrapes:
        worth[begun] = next((value for instant, value in measured.points if instant >= begun), None)
    found = []
    for instant, _ in measured.points:
        over = [begun for begun, done in scrapes if done <= instant]
        if over and (value := worth[over[-1]]) is not None:
            found.append((instant, value))
    return tuple(found)


def _silent(alert: AlertPromise, timeline: Timeline, within: tuple[float, float], what: str) -> Verdict:
    clause, (begun, until), story = f"alert/{alert.name}/silent-below", within, history(alert, timeline)
    early = [instant for instant in story.firing if begun <= instant < until]
    if early:
        return broken(
            clause,
            f"fired, though the state never lasted ({what})",
            Finding(
                expected=f"no firing sample between {at(begun)} and {at(until)}: {what}, "
                f"for is {alert.shipped.for_.total_seconds() / timeline.tempo:g} s",
                observed=f"firing at {len(early)} evaluations, first at {at(early[0])}",
                query=timeline.queries.get("ALERTS", ""),
            ),
            observations=len(early),
        )
    if not [instant for instant in story.firing if instant >= until]:
        return unproven(clause, "it did not fire later either, when the state lasted, so its silence proves nothing")
    asleep = [instant for instant in story.pending if begun <= instant < until]
    return holds(
        clause,
        observations=len([instant for instant in timeline.evaluations if begun <= instant < until]),
        reason=f"{what}: pending at {len(asleep)} evaluations, never firing",
    )
