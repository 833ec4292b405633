"""Judges that what makes one alert fire makes nothing else fire, and that nobody else hears of anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.alerts import NEEDS
from conformance.judge.delivery import texts
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.contract.model import AlertPromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline


def alone(alert: AlertPromise, timelines: Sequence[Timeline], consequences: Mapping[str, str]) -> Verdict:
    """
    Among the firing alerts are this one and its declared consequences only, and no page is about another.

    It proves something only where this alert did fire: a cell in which nothing can fire is silent too.
    """
    clause = f"alert/{alert.name}/alone"
    if reasons := [reason for timeline in timelines for reason in premise.failed(timeline, needs=NEEDS)]:
        return unproven(clause, "; ".join(reasons))
    allowed = {alert.name, *consequences}
    if not any(
        series.labels.get("alertname") == alert.name and _firing(series.labels)
        for each in timelines
        for series in each.alerts
    ):
        return unproven(clause, "it did not fire itself, so the silence of the others proves nothing")
    findings = [
        finding for timeline in timelines for finding in (*_others(timeline, allowed), *_pages(timeline, allowed))
    ]
    if findings:
        return broken(clause, "something else fired with it", *findings, observations=len(findings))
    seen = sum(len(timeline.evaluations) for timeline in timelines)
    known = "; ".join(f"{name} may: {why}" for name, why in consequences.items())
    return holds(
        clause,
        observations=seen,
        reason=f"no other alert fired at {seen} evaluations" + (f" ({known})" if known else ""),
    )


def _firing(labels: Mapping[str, str]) -> bool:
    return labels.get("alertstate") == "firing"


def _others(timeline: Timeline, allowed: set[str]) -> Iterator[Finding]:
    for series in timeline.alerts:
        name = series.labels.get("alertname", "")
        if _firing(series.labels) and name not in allowed:
            yield Finding(
                expected=f"none firing but {', '.join(sorted(allowed))} in {timeline.program}",
                observed=f"{name} firing from {at(series.points[0][0])}, at {len(series.points)} evaluations",
                query=timeline.queries.get("ALERTS", ""),
            )


def _pages(timeline: Timeline, allowed: set[str]) -> Iterator[Finding]:
    names = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(allowed)))
    cell = re.compile(rf"(?<![\w-]){re.escape(timeline.cell)}(?![\w-])")
    for notification in timeline.notifications:
        if notification.at > timeline.ended:
            # Of what fired by then `_others` knows; what fires later, while the cell is read, is no part of the run.
            continue
        text = "\n".join(texts(notification.body))
        if cell.search(text) and not names.search(text):
            yield Finding(
                expected=f"no page about {timeline.cell} but of {', '.join(sorted(allowed))}",
                observed=f"one at {notification.receiver} {at(notification.at)}: {text[:200]!r}",
            )
