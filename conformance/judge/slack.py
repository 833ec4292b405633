"""Tolerances, derived from what was observed and printed as sums; late is bounded, early is never excused."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.judge import premise
from fixtures.language import promql

if TYPE_CHECKING:
    from conformance.contract.model import AlertPromise
    from conformance.timeline.model import Span, Timeline

ALERTMANAGER_FLOOR = 1.0
"""Below a second (real) Alertmanager splits groups by chance, so its timers are never scaled further down."""

DELIVERY = 2.0
"""Real seconds that a notification may take beyond Alertmanager's own timers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """
    The letters of an alert's measurement on one timeline, all in real seconds.

    `reach` is how long the world needs to reach the measure after a step; `hold` how long a rung must then last.
    """

    scrape: float
    evaluation: float
    longest_scrape: float
    window: float
    for_: float
    effective_for: float
    housekeeping: float = 0.0

    @property
    def reach(self) -> float:
        return self.window + self.scrape + self.longest_scrape + self.housekeeping

    @property
    def hold(self) -> float:
        return self.effective_for + 3 * self.evaluation

    def reach_text(self) -> str:
        """The reach as the sum it is."""
        return (
            f"reach {self.reach:.2f} s = window {self.window:g} s + scrape {self.scrape:g} s "
            f"+ longest scrape {self.longest_scrape:.3f} s"
            + (f" + cAdvisor's housekeeping {self.housekeeping:g} s" if self.housekeeping else "")
        )

    def hold_text(self) -> str:
        """The hold as the sum it is."""
        return f"hold {self.hold:.2f} s = for {self.effective_for:g} s + 3 evaluations of {self.evaluation:g} s"


def bounds(alert: AlertPromise, timeline: Timeline) -> Bounds:
    """The bounds of `alert` on this timeline, from its documented form and what was observed of the scrapes."""
    # One that came to nothing has moved nothing by its length.
    lost = {(each.labels.get("instance"), at) for each in timeline.up for at in premise.cut_short(timeline, each)}
    durations = [
        value
        for each in timeline.scrape_durations
        for at, value in each.points
        if (each.labels.get("instance"), at) not in lost
    ]
    waits = alert.shipped.for_.total_seconds() / timeline.tempo
    interval = timeline.evaluation_interval
    return Bounds(
        scrape=timeline.scrape_interval,
        evaluation=interval,
        longest_scrape=max(durations, default=0.0),
        window=window(alert.measure) / timeline.tempo,
        for_=waits,
        effective_for=math.ceil(round(waits / interval, 6)) * interval,
        # cAdvisor looks at a group as often as it is scraped, and its samples carry the time of that look.
        housekeeping=timeline.scrape_interval if "container_" in alert.measure else 0.0,
    )


def window(expression: str) -> float:
    """The sum of an expression's ranges and offsets in seconds: how far back it looks."""
    layout = promql.Layout(expression)
    ranges = sum(promql.milliseconds(found.duration, expression) for found in layout.ranges())
    offsets = sum(promql.milliseconds(found.duration, expression) for found in layout.offsets())
    return (ranges + offsets) / 1000


def value_slack(
    timeline: Timeline, span: Span, *, events: float, window_seconds: float, spacing: float, upwards: bool = False
) -> float:
    """
    The relative slack of a rate in a phase: one event of `events`, and what late scrapes cut off a window's edges.

    `spacing` is the mean time between two events, in seconds: where they are sparser than the scrapes, a late one cuts
    nothing off. Late scrapes make a rate smaller and never larger, so they do not count `upwards`.
    """
    one = 1 / events if events > 0 else math.inf
    return one if upwards else one + cut_off(timeline, span, window_seconds, sparse=spacing)


def cut_off(timeline: Timeline, span: Span, window: float, *, sparse: float) -> float:
    """
    The largest share of a window of so many seconds that `rate` left out at any evaluation of a phase, of any target.

    It goes on to the window's edge where the sample next to it is no further than 1.1 scrapes, else by half a scrape. A
    scrape that was under way at an evaluation had brought no sample by then.
    """
    most = 0.0
    scrape = timeline.scrape_interval
    far = 1.1 * max(sparse, scrape)
    evaluations = [each for each in timeline.evaluations if span.start <= each <= span.end]
    for series in timeline.scrape_durations:
        if series.labels.get("job", "") in timeline.slower:
            continue
        instants = [at for at, _ in series.points]
        for evaluation in evaluations:
            last = bisect_right(instants, evaluation)
            if last and series.points[last - 1][0] + series.points[last - 1][1] > evaluation:
                last -= 1
            first = bisect_right(instants, evaluation - window)
            if last - first < 2 or instants[0] > evaluation - window:
                continue
            edges = (instants[first] - (evaluation - window), evaluation - instants[last - 1])
            most = max(most, sum(edge - scrape / 2 for edge in edges if edge > far) / window)
    return most


def timer(documented: float, tempo: float) -> float:
    """One of Alertmanager's timers as it runs at this tempo, in real seconds."""
    return max(ALERTMANAGER_FLOOR, documented / tempo) if tempo > 1 else documented
