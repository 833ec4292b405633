"""Judges that each change of an alert reached its documented receiver once, with the right text, and no other one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.alerts import NEEDS, history
from conformance.judge.routing import misaddressed, mislabelled, mistimed, mistitled
from conformance.judge.slack import DELIVERY, Bounds, bounds, timer
from conformance.judge.verdict import Finding, broken, holds, unproven
from conformance.timeline.model import LATE
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.contract.model import AlertPromise, ReceiverPromise, Timing
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Notification, Timeline


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A notification about one alert of one cell: what it says of the state, and all its text."""

    notification: Notification
    state: str
    text: str


def delivered(alert: AlertPromise, receiver: ReceiverPromise, timing: Timing, timeline: Timeline) -> Verdict:
    """
    Firing is told once, in time and with the value at which the alert fired; its end is told once, where promised.

    What is read first of either, on a telephone, names the alert.
    """
    clause = f"alert/{alert.name}/delivered"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    story = history(alert, timeline)
    fired = story.fired_at()
    if fired is None:
        return unproven(clause, "did not fire, so there was nothing to deliver")
    letters = bounds(alert, timeline)
    wait, interval = (
        timer(each.total_seconds(), timeline.tempo) for each in (timing.group_wait, timing.group_interval)
    )
    firing_lasted = story.firing[-1] - fired
    ended = story.firing[-1] + letters.evaluation
    over = ended <= timeline.evaluations[-1]
    if not over or firing_lasted < wait + 2 * interval:
        return unproven(
            clause,
            f"fired for {firing_lasted:.2f} s{'' if over else ' and was firing still when the run ended'}; "
            f"a verdict needs its end, and more than group_wait {wait:g} s + 2 x group_interval {interval:g} s",
        )
    pages = list(pages_about(alert, timeline))
    findings = [*_strays(receiver, pages)]
    # What a page is made of is read, not measured.
    read = [each for page in pages for each in misaddressed(receiver, page.notification)]
    deadlines = [("firing", fired, fired + wait + DELIVERY, f"group_wait {wait:g} s")]
    if alert.resolved_notification:
        deadlines.append(("resolved", ended, ended + interval + DELIVERY, f"group_interval {interval:g} s"))
    late: list[tuple[float, float]] = []
    seen = 0
    for state, change, deadline, spent in deadlines:
        own = [page for page in pages if page.state == state and page.notification.receiver == receiver.kind]
        accepted = [page for page in own if page.notification.accepted]
        seen += len(accepted)
        expected = (
            f"one {state} notification at {receiver.kind} ({receiver.endpoint}) "
            f"between {at(change)} and {at(deadline)} ({spent} + {DELIVERY:g} s)"
        )
        if not accepted:
            if timeline.ended < deadline and not own:
                if findings or read:
                    # What is wrong already is not undone by what was still to come.
                    break
                return unproven(
                    clause,
                    f"the run ended at {at(timeline.ended)}, before the {state} notification was due at {at(deadline)}",
                )
            findings.append(
                Finding(expected=expected, observed=_what_came(own, pages), location=_address(receiver, timeline))
            )
            continue
        first = accepted[0].notification
        findings += _not_once(accepted, expected, change - letters.evaluation, deadline)
        late += [(change, first.at)] * (first.at > deadline)
        instants: tuple[float, ...] = (fired,) if state == "firing" else (fired, story.firing[-1])
        findings += _wrong_text(alert, timeline, accepted[0], state, instants)
        read += mislabelled(first, severity=alert.shipped.labels.get("severity", ""))
        read += mistitled(first, name=alert.name, summary=_plain(alert.shipped.annotations.get("summary", "")))
    read += mistimed(receiver, timing, timeline)
    findings += read
    if held_up := _held_up(timeline, late, findings):
        return unproven(clause, held_up)
    if findings:
        return broken(clause, _headline(findings), *findings, observations=max(1, seen), lasting=bool(read))
    told = " and ".join(state for state, *_ in deadlines)
    return holds(clause, observations=seen, reason=f"{told} reached {receiver.kind} once each, with the right text")


def _not_once(accepted: list[Page], expected: str, earliest: float, deadline: float) -> Iterator[Finding]:
    if len(accepted) > 1:
        when = ", ".join(at(page.notification.at) for page in accepted)
        yield Finding(expected=expected, observed=f"{len(accepted)} of them, at {when}")
    told = accepted[0].notification.at
    if told < earliest:
        yield Finding(expected=expected, observed=f"at {at(told)}, before the alert changed")
    elif told > deadline:
        yield Finding(expected=expected, observed=f"at {at(told)}, {told - deadline:.2f} s late")


def _held_up(timeline: Timeline, late: list[tuple[float, float]], findings: list[Finding]) -> str:
    """Why late notifications, from when until when, tell of the machine; empty where they do not, or not they alone."""
    shares = [premise.in_use(timeline, start=changed, end=told) or 0.0 for changed, told in late]
    if not late or len(findings) > len(late) or min(shares) < premise.FULL:
        return ""
    return (
        f"was told {max(told - changed for changed, told in late):.2f} s after it changed, but {min(shares):.0%} of "
        "the processors were in use meanwhile: the machine was too busy"
    )


def pages_about(alert: AlertPromise, timeline: Timeline) -> Iterator[Page]:
    """The notifications about this alert of this cell, whoever got them."""
    for notification in timeline.notifications:
        text = "\n".join(texts(notification.body))
        if re.search(rf"\b{re.escape(alert.name)}\b", text) and re.search(
            rf"(?<![\w-]){re.escape(timeline.cell)}(?![\w-])", text
        ):
            shown = "\n".join(texts(notification.body, unseen=UNSEEN))
            yield Page(notification=notification, state=state(notification, shown), text=shown)


UNSEEN = ("fallback", "title_link")
"""Fields of a Slack message that Alertmanager fills by itself with state and labels, and that nobody there reads."""


def texts(value: object, *, unseen: Sequence[str] = ()) -> Iterator[str]:
    """Every text in a decoded JSON value, but for those under the keys `unseen`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in unseen:
                yield from texts(each, unseen=unseen)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, unseen=unseen)


def state(notification: Notification, text: str) -> str:
    """`firing` or `resolved`, as the receiver is told; `unknown` where it is told neither."""
    action = notification.body.get("event_action")
    if action in ("trigger", "resolve"):
        return "firing" if action == "trigger" else "resolved"
    found = re.search(r"\b(firing|resolved)\b", text, re.IGNORECASE)
    return found[1].lower() if found else "unknown"


def _strays(receiver: ReceiverPromise, pages: list[Page]) -> Iterator[Finding]:
    for page in pages:
        if page.notification.receiver != receiver.kind:
            yield Finding(
                expected=f"no notification at another receiver than {receiver.kind}",
                observed=f"a {page.state} one reached {page.notification.receiver} at {at(page.notification.at)}",
            )
        elif page.state == "unknown":
            yield Finding(
                expected="a notification that says whether the alert is firing or resolved",
                observed=f"one at {at(page.notification.at)} that says neither: {page.text[:200]!r}",
            )


def _what_came(own: list[Page], pages: list[Page]) -> str:
    if own:
        answers = ", ".join(f"{page.notification.status} at {at(page.notification.at)}" for page in own[:3])
        return f"{len(own)} arrived and were refused ({answers})"
    if pages:
        others = ", ".join(
            f"{page.state} at {page.notification.receiver} {at(page.notification.at)}" for page in pages[:4]
        )
        return f"none; what arrived: {others}"
    return "none, and nothing about this alert at any receiver"


def _address(receiver: ReceiverPromise, timeline: Timeline) -> str:
    """Where the shipped configuration sends, when it does not name the documented address."""
    if receiver.endpoint.removeprefix("mailto:") in timeline.config.alertmanager_shipped:
        return "alertmanager.yml"
    return f"alertmanager.yml: does not name {receiver.endpoint}"


def _plain(summary: str) -> str:
    """A summary, where it is the same text in every page; one that is made for each is no name."""
    return "" if "{{" in summary else summary


def _wrong_text(
    alert: AlertPromise, timeline: Timeline, page: Page, state: str, instants: tuple[float, ...]
) -> Iterator[Finding]:
    facts = {"alertname": alert.name, "cluster": timeline.cell, "severity": alert.shipped.labels.get("severity", "")}
    for label, value in facts.items():
        if value and not re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", page.text):
            yield Finding(expected=f"the {state} notification names {label} {value}", observed=_cut(page.text))
    labels = next((each.labels for each in timeline.alerts if each.labels.get("alertname") == alert.name), {})
    for name, template in alert.shipped.annotations.items():
        worded = _LABEL.sub(lambda found: labels.get(found["name"], ""), template)
        place = _VALUE.search(worded)
        if place is None:
            if worded not in page.text:
                yield Finding(
                    expected=f"the {state} notification carries the {name} {worded!r}", observed=_cut(page.text)
                )
            continue
        values = _values(alert, timeline, instants)
        digits = int(place["digits"]) if place["digits"] else None
        if _tells(page.text, worded[: place.start()], worded[place.end() :], values, digits):
            continue
        between = [_number(value, digits) for value in (min(values), max(values))] if values else []
        shown = " to ".join(dict.fromkeys(between)) or "a value, but the measure has none"
        yield Finding(
            expected=f"the {state} notification carries the {name} {worded!r} with {shown}",
            observed=_cut(page.text),
            because=f"the value at the evaluation of {' or '.join(map(at, instants))}, one evaluation either way",
        )


_LABEL = re.compile(r"\{\{\s*\$labels\.(?P<name>\w+)\s*\}\}")
_VALUE = re.compile(r"\{\{\s*(?:printf\s+\"%\.(?P<digits>\d)f\"\s+)?\$value\s*\}\}")


def _values(alert: AlertPromise, timeline: Timeline, instants: tuple[float, ...]) -> list[float]:
    """
    What `$value` may be: the measure at `instants` and one evaluation either way, more where a scrape took longer.

    Prometheus renders annotations anew at each evaluation. The firing message was sent with the change; the resolved
    one carries the text of the last firing evaluation, or repeats the first.
    """
    letters = bounds(alert, timeline)
    reach = (1.5 + letters.longest_scrape // letters.evaluation) * letters.evaluation
    measured = timeline.measures.get(f"{alert.name}/value", timeline.measures.get(alert.name))
    points = (*(measured.points if measured else ()), *_late(alert, timeline, letters))
    return [value for instant, value in points if any(abs(instant - each) <= reach for each in instants)]


COMMIT = 0.1
"""The share of a scrape's interval in which its samples are written after it has ended."""


def _late(alert: AlertPromise, timeline: Timeline, letters: Bounds) -> Iterator[tuple[float, float]]:
    """
    What the rule's value was at the evaluations to which a scrape was still under way.

    Its window had lost its oldest sample and not got the newest: no evaluation beside it has that value. Where the
    newest that it had was more than 1.1 intervals old, `rate` went on for half an interval only.
    """
    measured = timeline.measures.get(f"{alert.name}{LATE}")
    scrapes = [each for series in timeline.scrape_durations for each in series.points]
    for instant, value in measured.points if measured else ():
        for begun, took in scrapes:
            if begun <= instant < begun + took + COMMIT * letters.scrape:
                yield instant, value
                if instant - begun > COMMIT * letters.scrape:
                    yield instant, value * (1 - (letters.scrape / 2 + instant - begun) / letters.window)


def _tells(text: str, before: str, after: str, values: list[float], digits: int | None) -> bool:
    """Whether the text has a number between these words that lies among `values`, rounded as the template rounds."""
    half = 0.5 * 10**-digits + 1e-9 if digits is not None else 1e-9
    for found in re.finditer(rf"{re.escape(before)}(?P<value>[-+]?[\d.]+(?:e[-+]?\d+)?){re.escape(after)}", text):
        number = float(found["value"].rstrip(".") or "nan")
        decimals = len(found["value"].partition(".")[2])
        rounded = digits is None or decimals == digits
        if values and rounded and min(values) - half <= number <= max(values) + half:
            return True
    return False


def _number(value: float, digits: int | None) -> str:
    return f"{value:.{digits}f}" if digits is not None else repr(value)


def _headline(findings: list[Finding]) -> str:
    if any("reached" in finding.observed for finding in findings):
        return "was delivered to the wrong receiver"
    if any(finding.observed.startswith(("none", "1 arrived")) or "refused" in finding.observed for finding in findings):
        return "was not delivered"
    return "was not delivered as promised"


def _cut(text: str) -> str:
    shown = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return shown if len(shown) <= 300 else shown[:297] + "..."
