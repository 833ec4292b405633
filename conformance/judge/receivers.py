"""
Judges what becomes of a page that its receiver does not take: told once when it recovers, under one key, and its end.

Alertmanager delivers at least once: what a receiver did not answer it may have taken. So a notification is doubled only
where two were answered with a yes.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.alerts import NEEDS
from conformance.judge.delivery import Page, state, texts
from conformance.judge.routing import heading, names
from conformance.judge.slack import DELIVERY, timer
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.contract.model import Failure, ReceiverPromise, Timing
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Notification, Span, Timeline


def recovers(
    failure: Failure,
    receiver: ReceiverPromise,
    timing: Timing,
    timeline: Timeline,
    *,
    probe: str,
    failing: str,
    over: str,
) -> Verdict:
    """
    The alert `probe`, raised in the phase `failing` and ended in `over`, is told once between the two, and its end too.
    """
    clause = failure.clause(receiver).id
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    span, ends = timeline.phase(failing), timeline.phase(over)
    interval = timer(timing.group_interval.total_seconds(), timeline.tempo)
    healed, until = span.healed or span.end, _before(timeline, ends)
    due = healed + interval + DELIVERY
    if until < due:
        return unproven(clause, f"the alert ended at {at(until)}, before it had to be told by {at(due)}")
    own = [page for page in about(timeline, probe) if page.notification.receiver == receiver.kind]
    burning = [page for page in own if page.state != "resolved"]
    tries = [page.notification for page in burning if not page.notification.accepted]
    taken = [page.notification for page in burning if page.notification.accepted]
    if early := [page for page in taken if page.at < span.end]:
        return unproven(clause, f"the fault did not bite: {receiver.kind} took the page at {at(early[0].at)}")
    if not tries and not span.reached:
        return unproven(clause, f"nothing was sent to {receiver.kind} while it failed, so nothing could be lost")
    said = _tries(tries, span)
    expected = f"one notification that {receiver.kind} takes between {at(span.end)} and {at(until)}"
    if not taken:
        return broken(clause, "was lost", Finding(expected=expected, observed=f"none; {said}"), observations=1)
    if len(taken) > 1:
        when = ", ".join(at(page.at) for page in taken)
        finding = Finding(expected=expected, observed=f"{len(taken)} of them, at {when}, each answered with a yes")
        return broken(clause, "was doubled", finding, observations=len(taken))
    if taken[0].at > until:
        finding = Finding(expected=expected, observed=f"one at {at(taken[0].at)}; {said}")
        return broken(clause, "was told too late", finding)
    resolved = [page.notification for page in own if page.state == "resolved" and page.notification.accepted]
    ended = until + interval + DELIVERY
    if receiver.send_resolved:
        expected = f"one resolved notification at {receiver.kind} between {at(until)} and {at(ended)}"
        if not resolved and timeline.ended < ended:
            return unproven(clause, f"the run ended at {at(timeline.ended)}, before the end was due at {at(ended)}")
        if len(resolved) != 1 or not until <= resolved[0].at <= ended:
            when = ", ".join(at(page.at) for page in resolved) or "none"
            finding = Finding(expected=expected, observed=when)
            return broken(clause, "its end was not told once, in time", finding, observations=1 + len(resolved))
    keys = list(dict.fromkeys(key(page, probe) for page in (*tries, *taken, *resolved)))
    if keys != [keys[0]] or not keys[0]:
        finding = Finding(
            expected="one key in every notification about it, so that a repetition is known as one",
            observed=", ".join(each or "no key" for each in keys[:4]),
        )
        return broken(clause, "was repeated under another key", finding, observations=len(keys))
    return holds(
        clause,
        observations=len(tries) + len(taken) + len(resolved) + int(span.reached or 0),
        reason=f"{said}; told once, {taken[0].at - span.end:.2f} s after {receiver.kind} recovered"
        + (f", its end {resolved[0].at - until:.2f} s after it" if resolved else ""),
    )


def about(timeline: Timeline, alert: str, *, anywhere: bool = False) -> Iterator[Page]:
    """The notifications about that alert in this cell, or with `anywhere` in every cluster, in order of arrival."""
    for notification in timeline.notifications:
        text = "\n".join(texts(notification.body))
        if re.search(rf"\b{re.escape(alert)}\b", text) and (anywhere or names(text, timeline.cell)):
            yield Page(notification=notification, state=state(notification, text), text=text)


def key(page: Notification, alert: str) -> str:
    """
    By what a receiver knows that two notifications are about one thing; empty where it cannot.

    PagerDuty has a key for it; in a chat and in a mailbox it is the heading, without the state. One that does not name
    the alert is that of every other alert too, and no key.
    """
    if page.receiver == "pagerduty":
        return str(page.body.get("dedup_key") or "")
    told = heading(page)
    if not names(told, alert):
        return ""
    return re.sub(r"\[?\b(firing|resolved)\b(:\d+)?\]?", "", told, flags=re.IGNORECASE).strip()


def _before(timeline: Timeline, span: Span) -> float:
    """When the phase before ended: what a phase begins with is done before its own clock starts."""
    return max((each.healed or each.end for each in timeline.phases if each.start < span.start), default=span.start)


def _tries(tries: Sequence[Notification], span: Span) -> str:
    if not tries:
        return f"{span.reached:.0f} connections or more were refused"
    answers: Iterable[str] = dict.fromkeys(str(page.status or "no answer") for page in tries)
    gaps = [later.at - earlier.at for earlier, later in pairwise(tries)]
    apart = f", {min(gaps):.1f} to {max(gaps):.1f} s apart" if gaps else ""
    return f"tried {len(tries)} times in vain ({', '.join(answers)}){apart}"
