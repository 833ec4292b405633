"""What a run looked like: charts of alerts and panels, made of its timelines."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.judge import dashboards, delivery
from conformance.judge.alerts import history
from conformance.report.chart import Band, Chart, Level, Line, Mark, thinned
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from conformance.contract.model import AlertPromise, Contract, PanelPromise
    from conformance.judge.ladder import Ladder
    from conformance.timeline.model import Measured, Span, Timeline


def charts(contract: Contract, timelines: Mapping[str, Timeline], ladders: Sequence[Ladder] = ()) -> tuple[Chart, ...]:
    """The charts of every alert, then of every panel, as far as their programs were performed."""
    return (*alert_charts(contract, timelines, ladders), *panel_charts(contract, timelines))


def alert_charts(contract: Contract, timelines: Mapping[str, Timeline], ladders: Sequence[Ladder]) -> tuple[Chart, ...]:
    """For each alert and each program of its rungs: its measure, its threshold, pending and firing, what was told."""
    return tuple(
        _alert(contract.alert(ladder.alert), timelines[program])
        for ladder in ladders
        for program in dict.fromkeys((ladder.below, ladder.above))
        if program in timelines
    )


def _alert(alert: AlertPromise, timeline: Timeline) -> Chart:
    story, step = history(alert, timeline), timeline.evaluation_interval
    states = [
        Band(kind=kind, label=kind, start=start, end=end)
        for kind, instants in (("pending", story.pending), ("firing", story.firing))
        for start, end in _stretches(instants, step)
    ]
    measured = timeline.measures.get(alert.name)
    lines = [Line(name=alert.measure, points=_points(measured, step))] if measured and measured.points else []
    remarks = [f"begun {at(timeline.begun)}"]
    if timeline.tempo != 1:
        remarks.append(f"tempo {timeline.tempo:g}: 1 s here is {timeline.tempo:g} s of the document")
    if not lines:
        remarks.append("the measure had no value")
    if timeline.interrupted:
        remarks.append(f"not performed to its end: {timeline.interrupted}")
    return Chart(
        about=f"alert/{alert.name}",
        title=f"{alert.name} in {timeline.program}",
        unit=str(alert.unit),
        lines=tuple(lines),
        bands=(*(_phase(span) for span in timeline.phases), *states),
        marks=tuple(_told(alert, timeline)),
        levels=(Level(label=f"threshold {alert.direction} {alert.threshold:g}", value=alert.threshold),),
        note="; ".join(remarks),
    )


def _phase(span: Span) -> Band:
    value = "" if span.rung is None else f" {span.rung:g} {span.quantity}"
    return Band(kind="phase", label=span.name + value, start=_instant(span.start), end=_instant(span.end))


def _stretches(instants: Sequence[float], step: float) -> Iterator[tuple[float, float]]:
    """Stretches with a sample at every evaluation; a state lasts until the evaluation that ends it."""
    gaps = (n for n, (one, other) in enumerate(pairwise(instants), 1) if other - one > 1.5 * step)
    breaks = [0, *gaps, len(instants)]
    for first, behind in pairwise(breaks):
        if first < behind:
            yield _instant(instants[first]), _instant(instants[behind - 1] + step)


def _points(measured: Measured, step: float) -> tuple[tuple[float, float | None], ...]:
    """The values with a gap wherever an evaluation had none: a line drawn over it would claim what nobody saw."""
    found: list[tuple[float, float | None]] = []
    for instant, value in measured.points:
        if found and instant - found[-1][0] > 1.5 * step:
            found.append((_instant(found[-1][0] + step), None))
        found.append((_instant(instant), float(f"{value:.6g}") if math.isfinite(value) else None))
    return thinned(tuple(found))


def _told(alert: AlertPromise, timeline: Timeline) -> Iterable[Mark]:
    for page in delivery.pages_about(alert, timeline):
        told = page.notification
        refused = "" if told.accepted else f", refused with {told.status}"
        yield Mark(
            kind="resolved" if page.state == "resolved" else "notification",
            label=f"{told.receiver}: {page.state}{refused}",
            at=_instant(told.at),
        )


def _instant(seconds: float) -> float:
    return round(seconds, 3)


def panel_charts(contract: Contract, timelines: Mapping[str, Timeline]) -> tuple[Chart, ...]:
    """For each panel of each dashboard: what it showed during the program that it is judged on."""
    return tuple(
        chart
        for timeline in timelines.values()
        if timeline.boards is not None
        for promise in contract.panels
        if (chart := _panel(promise, timeline)) is not None
    )


def _panel(promise: PanelPromise, timeline: Timeline) -> Chart | None:
    found = dashboards.picture(promise, timeline)
    if found is None or not found.lines:
        return None
    return Chart(
        about=promise.clause_id,
        title=f"{promise.title} ({promise.board})",
        unit=str(promise.unit),
        lines=tuple(Line(name=name or promise.title, points=thinned(points)) for name, points in found.lines.items()),
        bands=tuple(Band(kind="phase", label=span.name, start=span.start, end=span.end) for span in timeline.phases),
        levels=tuple(Level(label="threshold", value=value) for value in found.steps),
        note=f"tempo {timeline.tempo:g}: a second here is {timeline.tempo:g} seconds of the document"
        if timeline.tempo != 1
        else "",
    )
