"""
Judges an alert on a state where the state comes and goes, or where the target vanishes from what is discovered.

How long a state lasted is known from the program; how much of it Prometheus could see, from the samples of `up`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.judge import alerts, premise
from conformance.judge.alerts import NEEDS, history
from conformance.judge.slack import bounds
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Sequence

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

