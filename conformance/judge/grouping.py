"""Judges that alerts of one group are told together, additions and the end in time, and another group apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.alerts import NEEDS
from conformance.judge.receivers import about
from conformance.judge.routing import mistimed
from conformance.judge.slack import DELIVERY, timer
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.contract.model import ReceiverPromise, Timing
    from conformance.judge.delivery import Page
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CLAUSE = "route/grouping"


def grouped(
    receiver: ReceiverPromise,
    timing: Timing,
    timeline: Timeline,
    *,
    probe: str,
    first: Sequence[str],
    added: Sequence[str],
    apart: Sequence[str],
    phases: tuple[str, str, str],
) -> Verdict:
    """
    The alerts named `probe`, by what tells them apart: `first` and `added` are one group, `apart` is another one.

    `phases` are those that begin with raising `first` and `apart`, with raising `added`, and with ending them all.
    """
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(CLAUSE, "; ".join(reasons))
    raised, grown, over = (timeline.phase(name).start for name in phases)
    wait, interval = (
        timer(each.total_seconds(), timeline.tempo) for each in (timing.group_wait, timing.group_interval)
    )
    pages = list(about(timeline, probe, anywhere=True))
    if not pages:
        return unproven(CLAUSE, "no probe reached a receiver: Alertmanager told nobody anything")
    if timeline.ended < over + interval + DELIVERY:
        return unproven(CLAUSE, f"the run ended at {at(timeline.ended)}, before the end of the group was due")
    everyone = (*first, *added, *apart)
    told = [(page, frozenset(each for each in everyone if _says(page, each))) for page in pages]
    both = [page for page, members in told if members & set(apart) and members - set(apart)]
    findings = [
        Finding(
            expected=f"a notification about one group: {', '.join(timing.group_by)} alike",
            observed=f"one at {at(page.notification.at)} about two: {_cut(page.text)}",
        )
        for page in both
    ]
    group, rest = frozenset((*first, *added)), frozenset(apart)
    wanted = (
        ("group_wait", "firing", frozenset(first), raised, raised + wait + DELIVERY, grown),
        ("group_wait", "firing", rest, raised, raised + wait + DELIVERY, over),
        ("group_interval", "firing", group, grown, grown + interval + DELIVERY, over),
        ("group_interval", "resolved", group, over, over + interval + DELIVERY, timeline.ended),
        ("group_interval", "resolved", rest, over, over + interval + DELIVERY, timeline.ended),
    )
    for timer_name, said, members, since, due, until in wanted:
        if said == "resolved" and not receiver.send_resolved:
            continue
        expected = (
            f"one {said} notification of {', '.join(sorted(members))} at {receiver.kind} by {at(due)} "
            f"({timer_name} {wait if timer_name == 'group_wait' else interval:g} s + {DELIVERY:g} s)"
        )
        # What a phase begins with is done a moment before its clock starts.
        came = [
            (page, seen)
            for page, seen in told
            if since - EARLY <= page.notification.at < until - EARLY and seen & members and page.state == said
        ]
        exact = [page for page, seen in came if seen == members and page.notification.receiver == receiver.kind]
        if len(came) != 1 or len(exact) != 1 or exact[0].notification.at > due:
            findings.append(Finding(expected=expected, observed=_came(came, due)))
    findings += mistimed(receiver, timing, timeline)
    if findings:
        headline = "two groups were told together" if both else "a group was not told as one, in time"
        return broken(CLAUSE, headline, *findings, observations=len(pages))
    return holds(
        CLAUSE,
        observations=len(pages),
        reason=f"{len(pages)} notifications of {len(everyone)} alerts in two groups, each with all of its group",
    )


EARLY = 0.3
"""Real seconds that the posting of alerts may take, before the clock of its phase starts."""


def _says(page: Page, member: str) -> bool:
    return bool(re.search(rf"\bprobe {re.escape(member)}(?![\w-])", page.text))


def _came(came: Sequence[tuple[Page, frozenset[str]]], due: float) -> str:
    def each() -> Iterator[str]:
        for page, members in came[:4]:
            late = f" ({page.notification.at - due:.2f} s late)" if page.notification.at > due else ""
            yield f"{', '.join(sorted(members))} at {page.notification.receiver} {at(page.notification.at)}{late}"

    return f"{len(came)}: {'; '.join(each())}" if came else "none"


def _cut(text: str) -> str:
    shown = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return shown if len(shown) <= 300 else shown[:297] + "..."
