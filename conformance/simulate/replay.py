"""
A run over again on a virtual clock: samples as they were scraped, in the document's time, under the rules as they ship.

It knows samples and rules; it must not know what was done to the world, nor what should come of it.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from conformance.simulate.promtool import Ask, Case, PromtoolError, Series, Sheet
from conformance.simulate.series import named, number
from fixtures.language import promql
from fixtures.language.rules import AlertRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.simulate.promtool import Promtool
    from fixtures.language.rules import RuleFile

SLOTS: Final = 50
"""Into how many parts an evaluation interval is divided: promtool's series have one step, scrapes come when they do."""

GONE: Final = 2.1
"""Scrape intervals after which Prometheus calls the series of a target that vanished from its configuration stale."""

UP, JOB, INSTANCE, NAME = "up", "job", "instance", "__name__"

_CASE: Final = "replay"
_MOST_SLOTS: Final = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Scraped:
    """One series as a Prometheus holds it: `labels` with `__name__`, `points` are (Unix seconds, value)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """How the two times meet: the live evaluations are a grid of `interval` real seconds through `instant`."""

    instant: float
    interval: float
    tempo: float


def selectors(files: Iterable[RuleFile]) -> tuple[str, ...]:
    """The names of all metrics that the rules read from scrapes, each once; what they record themselves is not read."""
    rules = [rule for file in files for rule in file.rules]
    recorded = {rule.name for rule in rules if not isinstance(rule, AlertRule)}
    read = [name for rule in rules for name in promql.names(rule.expr)]
    return tuple(name for name in dict.fromkeys((*read, UP)) if name not in recorded)


def replay(
    rules: str,
    scraped: Sequence[Scraped],
    *,
    alerts: Sequence[str],
    clock: Clock,
    scrape_interval: float,
    evaluations: Sequence[float],
    tool: Promtool,
    durations: Mapping[tuple[str, str], Mapping[float, float]] | None = None,
) -> dict[str, tuple[tuple[float, str], ...]]:
    """
    By alert: the live evaluations at which `rules`, unmodified, make it pending or firing, and which of both.

    `durations` has, by job and instance, how long the scrape of each timestamp (to the millisecond) took, in seconds:
    whether a target is up is known at the end of its scrape, and a target that hangs takes the whole time-out.
    Raises PromtoolError where promtool does not load or evaluate them, or nothing was scraped.
    """
    points = [at for each in scraped for at, _ in each.points]
    if not points or not evaluations:
        raise PromtoolError("nothing was scraped or evaluated, so there is nothing to replay")
    # Whole evaluations before the first sample, so that live evaluations fall on promtool's.
    before = math.ceil((clock.instant - min(points)) / clock.interval) + 1
    origin = clock.instant - before * clock.interval
    interval_ms = round(clock.interval * clock.tempo * 1000)
    slot_ms = interval_ms // SLOTS if interval_ms % SLOTS == 0 else interval_ms
    slots = math.ceil((max(*points, evaluations[-1]) - origin) * clock.tempo * 1000 / slot_ms) + 1
    if slots > _MOST_SLOTS:
        raise PromtoolError(f"the run has {slots} steps of {slot_ms} ms; at most {_MOST_SLOTS} are replayed")

    def slot(at: float) -> int:
        # Upwards: what was scraped just after an evaluation was not there for it. The hair is a millisecond's half.
        return math.ceil(((at - origin) * clock.tempo * 1000 - 0.5 * clock.tempo) / slot_ms)

    ups = {
        (each.labels.get(JOB, ""), each.labels.get(INSTANCE, "")): tuple(at for at, _ in each.points)
        for each in scraped
        if each.labels.get(NAME) == UP
    }
    series = tuple(
        Series(
            name=named(each.labels[NAME], {name: value for name, value in each.labels.items() if name != NAME}),
            values=_values(_known(each, durations or {}), _marks(each, ups, scrape_interval), slot, slots),
        )
        for each in scraped
    )
    asks = tuple(Ask(expr="ALERTS", at_ms=round((at - origin) / clock.interval) * interval_ms) for at in evaluations)
    case = Case(name=_CASE, series=series, asks=asks, interval_ms=slot_ms)
    (measured,) = tool.run([Sheet(rules=rules, cases=(case,), evaluation_ms=interval_ms)])
    found: dict[str, list[tuple[float, str]]] = {alert: [] for alert in alerts}
    for at, answer in zip(evaluations, measured.of(_CASE), strict=True):
        if answer.error:
            raise PromtoolError(answer.error)
        states = {(each.labels.get("alertname", ""), each.labels.get("alertstate", "")) for each in answer.samples}
        for alert, changes in found.items():
            # Of several label sets the one that fires counts, as it does where the live states are merged.
            for state in ("firing", "pending"):
                if (alert, state) in states:
                    changes.append((at, state))
                    break
    return {alert: tuple(each) for alert, each in found.items()}


def _known(series: Scraped, durations: Mapping[tuple[str, str], Mapping[float, float]]) -> Scraped:
    """`up` as it became known; what else was scraped keeps its time, by which a rate divides."""
    took = durations.get((series.labels.get(JOB, ""), series.labels.get(INSTANCE, "")))
    if series.labels.get(NAME) != UP or not took:
        return series
    return replace(series, points=tuple((at + took.get(round(at, 3), 0.0), value) for at, value in series.points))


def _marks(
    series: Scraped, ups: Mapping[tuple[str, str], tuple[float, ...]], scrape_interval: float
) -> Sequence[float]:
    """When Prometheus marked the series stale, which no query tells."""
    target = ups.get((series.labels.get(JOB, ""), series.labels.get(INSTANCE, "")), ())
    own = {round(at, 3) for at, _ in series.points}
    # Samples with times of their own are never marked stale: they are only looked back for.
    if len(own - {round(at, 3) for at in target}) > len(own) / 2:
        return ()
    return _stale(series, target, scrape_interval)


def _values(series: Scraped, marks: Iterable[float], slot: Callable[[float], int], slots: int) -> str:
    """The series in promtool's notation, with the end of each stretch where Prometheus marked it stale."""
    cells: dict[int, str] = {slot(at): number(value) for at, value in series.points}
    for at in marks:
        cells.setdefault(slot(at), "stale")
    parts, place = [], 0
    for index in sorted(cells):
        if index >= slots or index < 0:
            continue
        if index > place:
            parts.append(f"_x{index - place}")
        parts.append(cells[index])
        place = index + 1
    return " ".join(parts) or "_"


def _stale(series: Scraped, target: Sequence[float], scrape_interval: float) -> list[float]:
    """When this series ended, or paused: at the next scrape of its target, or when that was given up itself."""
    found = []
    last = target[-1] if target else 0.0
    own = [at for at, _ in series.points]
    for position, at in enumerate(own):
        following = own[position + 1] if position + 1 < len(own) else math.inf
        index = bisect.bisect_right(target, at + 0.0005)
        scraped = target[index] if index < len(target) else math.inf
        if scraped < following - 0.0005:
            found.append(scraped)
        elif following == math.inf and at >= last - 0.0005:
            # The last that was read, or the target is gone: where more was scraped than this shows, nothing is lost.
            found.append(at + GONE * scrape_interval)
        elif following - at > 2 * GONE * scrape_interval:
            found.append(at + GONE * scrape_interval)
    return found
