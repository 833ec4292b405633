"""Judges that an alert of each severity is told at its documented receiver, once, and nowhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.alerts import NEEDS
from conformance.judge.delivery import state, texts
from conformance.judge.routing import FILE, misaddressed, mislabelled, misrouted, mistimed, mistitled
from conformance.judge.slack import DELIVERY, timer
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at
from fixtures.language.routes import RoutesError

if TYPE_CHECKING:
    from conformance.contract.model import Contract, Route
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Notification, Timeline


def routed(route: Route, contract: Contract, timeline: Timeline, *, probe: str, phase: str) -> Verdict:
    """
    The alert named `probe` of this severity, posted as `phase` began, reaches the receiver of its route and no other.
    """
    clause = route.clause_id
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    span, receiver = timeline.phase(phase), contract.receiver(route.receiver)
    group_wait = timer(contract.timing.group_wait.total_seconds(), timeline.tempo)
    deadline = span.start + group_wait + DELIVERY
    severity = route.severity or "none"
    pages = [page for page in timeline.notifications if _is_about(page, probe, timeline.cell)]
    if timeline.ended < deadline:
        return unproven(
            clause, f"the run ended at {at(timeline.ended)}, before a notification was due at {at(deadline)}"
        )
    # The end of a posted alert is told too, when nobody has repeated it for long enough; it is no second page.
    own = [page for page in pages if _says(page, severity)]
    right = [page for page in own if page.receiver == receiver.kind and page.accepted]
    expected = (
        f"one notification of severity {severity} at {receiver.kind} ({receiver.endpoint}) by {at(deadline)} "
        f"(group_wait {group_wait:g} s + {DELIVERY:g} s), and none elsewhere"
    )
    seen = ", ".join(f"{page.receiver} {page.status} at {at(page.at)}" for page in own) or "none"
    if not right:
        others = ", ".join(sorted({page.receiver for page in pages})) or "no receiver"
        if not pages:
            return unproven(clause, "no probe of any severity reached a receiver: Alertmanager told nobody anything")
        return broken(
            clause,
            "was not told at its receiver",
            Finding(expected=expected, observed=f"{seen}; probes reached {others}"),
        )
    if len(own) > 1 or right[0].at > deadline:
        return broken(clause, "was told more than once, elsewhere, or late", Finding(expected=expected, observed=seen))
    try:
        findings = [
            *misaddressed(receiver, right[0]),
            *(mislabelled(right[0], severity=severity) if route.severity else ()),
            *mistitled(right[0], name=probe),
            *mistimed(receiver, contract.timing, timeline),
            *misrouted(route, contract, timeline),
        ]
    except RoutesError as error:
        return unproven(clause, f"{FILE}: {error}", lasting=True)
    if findings:
        return broken(clause, "was told, but not as documented", *findings, observations=len(own), lasting=True)
    return holds(
        clause,
        observations=len(pages),
        reason=f"told at {receiver.kind} alone, {right[0].at - span.start:.2f} s after it",
    )


def _says(page: Notification, severity: str) -> bool:
    text = "\n".join(texts(page.body))
    return f"severity {severity}" in text and state(page, text) != "resolved"


def _is_about(page: Notification, probe: str, cell: str) -> bool:
    text = "\n".join(texts(page.body))
    return probe in text and bool(re.search(rf"(?<![\w-]){re.escape(cell)}(?![\w-])", text))
