"""
Judges the clauses of one alert over a timeline: shipped, silent-below, fires-above, for, resolves, delivered.

All instants are evaluation timestamps of the rule; one evaluation either way is allowed for a scrape that was committed
after the evaluation that should have seen it. What each clause means is derived in the README.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.slack import Bounds, bounds, value_slack
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at
from fixtures.load.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from conformance.contract.model import AlertPromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Measured, Span, Timeline

HAIR = 0.002
"""Seconds within which two timestamps of one evaluation agree; Prometheus writes milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """When an alert was pending and firing: sample timestamps of one label set, in order."""

    pending: tuple[float, ...]
    firing: tuple[float, ...]

    def fired_at(self) -> float | None:
        return self.firing[0] if self.firing else None


def history(alert: AlertPromise, timeline: Timeline) -> History:
    """
    The alert's samples on this timeline.

    Several label sets are merged: the shipped rules keep one set each, and a rule that splits fires for each part.
    """
    states: dict[str, set[float]] = {"pending": set(), "firing": set()}
    for series in timeline.alerts:
        if series.labels.get("alertname") == alert.name:
            states[series.labels.get("alertstate", "")].update(instant for instant, _ in series.points)
    return History(pending=tuple(sorted(states["pending"])), firing=tuple(sorted(states["firing"])))


def silent_below(alert: AlertPromise, timeline: Timeline, *, rung: str, control: str) -> Verdict:
    """
    Below its threshold the alert does not fire, in a cell where it demonstrably can: the `control` phase raises it.
    """
    clause = f"alert/{alert.name}/silent-below"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    letters, span = bounds(alert, timeline), timeline.phase(rung)
    if short := _too_short(letters, span, letters.reach + letters.hold):
        return unproven(clause, short)
    if aside := _wrong_side(alert, span, above=False) or _wrong_side(alert, timeline.phase(control), above=True):
        return unproven(clause, aside, lasting=True)
    if unsound := _unsound(alert, timeline, span):
        return unproven(clause, unsound)
    story, measured = history(alert, timeline), timeline.measures.get(alert.name)
    begun, until = timeline.begun, span.end
    early = [instant for instant in story.firing if begun <= instant <= until]
    if early and span.quantity == "s" and (uneven := _uneven(alert, timeline, span, letters, early[0])):
        return unproven(clause, uneven)
    if early:
        return broken(
            clause,
            f"fired at {_of(span)}, where it must be silent",
            Finding(
                expected=f"no firing sample between {at(begun)} and {at(until)}",
                because=f"{letters.reach_text()}; {letters.hold_text()}",
                observed=f"firing at {len(early)} evaluations, first at {at(early[0])}; "
                f"{_measure_text(alert, measured, early[0])}",
                clients=_clients(timeline, span),
                query=timeline.queries.get("ALERTS", ""),
            ),
            observations=len(early),
        )
    held = _held(measured, span.start + letters.reach, until)
    looked = [instant for instant in timeline.evaluations if span.start + letters.reach <= instant <= until]
    if len(held) < len(looked):
        blank = len(looked) - len(held)
        return unproven(clause, f"its measure gave no value at {blank} of {len(looked)} evaluations of the hold")
    above = [(instant, value) for instant, value in held if _beyond(alert, value)]
    if above and (uneven := _uneven(alert, timeline, span, letters, above[0][0])):
        return unproven(clause, uneven)
    if above:
        return broken(
            clause,
            "its own metric says that the threshold was passed, while the clients saw less",
            Finding(
                expected=f"{alert.measure} {_opposite(alert)} {alert.threshold:g} {alert.unit} throughout the hold",
                observed=f"{above[0][1]:.4f} at {at(above[0][0])}",
                clients=_clients(timeline, span),
                query=measured.query if measured else alert.measure,
            ),
            observations=len(above),
        )
    if span.quantity == "s" and (lower := _timed_less(alert, span, held)):
        return unproven(clause, lower)
    raised = timeline.phase(control)
    awake = [instant for instant in (*story.pending, *story.firing) if raised.start < instant]
    if not awake:
        return unproven(
            clause,
            f"the control did not wake it: raised to {_of(raised)} it was not even pending, "
            "so its silence proves nothing",
            Finding(
                expected=f"pending between {at(raised.start)} and {at(raised.end)}",
                observed=f"inactive; {_measure_text(alert, measured, raised.end)}",
                clients=_clients(timeline, raised),
                query=timeline.queries.get("ALERTS", ""),
            ),
        )
    asleep = [instant for instant in story.pending if instant <= until]
    remark = f"; pending at {len(asleep)} evaluations, never firing" if asleep else ""
    return holds(
        clause,
        observations=len([instant for instant in timeline.evaluations if span.start <= instant <= until]),
        reason=f"silent at {_of(span)} for {span.end - span.start:.1f} s, "
        f"pending {awake[0] - raised.start:.2f} s after the control{remark}",
    )


def silent_when_short(alert: AlertPromise, timeline: Timeline, *, rung: str, control: str) -> Verdict:
    """
    A state that lasts clearly less than `for` makes the alert pending and no more; one that lasts wakes it.

    Clearly less: a scrape interval short of `for`. Whether one of a length between fires depends on the phase of the
    scrapes: its silence is proof for every shorter one, its firing is not judged.
    """
    clause = f"alert/{alert.name}/silent-below"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    letters, span, story = bounds(alert, timeline), timeline.phase(rung), history(alert, timeline)
    measured, begun, until = timeline.measures.get(alert.name), timeline.begun, timeline.phase(control).start
    lasted = (span.healed or span.end) - span.start
    early = [instant for instant in story.firing if begun <= instant < until]
    seen = [point for point in _held(measured, span.start, until) if _beyond(alert, point[1])]
    run = _last_run(
        tuple(instant for instant, _ in seen), letters.evaluation, before=early[0] + HAIR if early else None
    )
    outlasted = run[-1] - run[0] + letters.evaluation if run else 0.0
    # Whatever it lasted: to the rule it was clearly shorter.
    hurried = bool(early) and outlasted < letters.effective_for - letters.evaluation + HAIR
    clearly = letters.effective_for - (letters.scrape if early else 0.0)
    if lasted > clearly and not hurried:
        return unproven(
            clause,
            f"the state lasted {lasted:.2f} s, more than for {letters.effective_for:g} s"
            f"{f' less a scrape of {letters.scrape:g} s' if early else ''}: whether it fires then is chance",
        )
    # A scrape that was under way at an evaluation is seen by the rule at the next one.
    if early and run and early[0] <= run[-1] + letters.evaluation + HAIR and outlasted > letters.effective_for - HAIR:
        return unproven(
            clause,
            f"the state lasted {lasted:.2f} s, but its own metric showed it for up to {outlasted:.2f} s, no less than "
            f"for {letters.effective_for:g} s: what came back was scraped late",
        )
    if early:
        return broken(
            clause,
            f"fired though the state lasted {lasted * timeline.tempo:.0f} s of the document's time only",
            Finding(
                expected=f"no firing sample between {at(begun)} and {at(until)}: {rung} lasted {lasted:.2f} s, "
                f"for is {letters.effective_for:g} s",
                observed=f"firing at {len(early)} evaluations, first at {at(early[0])}",
                query=timeline.queries.get("ALERTS", ""),
            ),
            observations=len(early),
        )
    if not seen:
        return unproven(clause, f"the fault did not bite: {alert.measure} never showed it during {rung}")
    asleep = [instant for instant in story.pending if span.start <= instant < until]
    if not asleep:
        return unproven(clause, f"was not even pending while its measure showed the state ({len(seen)} evaluations)")
    return holds(
        clause,
        observations=len([instant for instant in timeline.evaluations if begun <= instant < until]),
        reason=f"pending for {asleep[-1] - asleep[0]:.2f} s while the state lasted {lasted:.2f} s, never firing",
    )


def fires_above(alert: AlertPromise, timeline: Timeline, *, rung: str, stale: float = 0.0) -> Verdict:
    """
    Above its threshold the alert is pending at once, never before, and fires by the end of the hold.

    `stale` is how long, in seconds, a measure may still show what it showed before its target vanished.
    """
    clause = f"alert/{alert.name}/fires-above"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    letters, span = bounds(alert, timeline), timeline.phase(rung)
    if short := _too_short(letters, span, letters.reach + letters.hold + stale):
        return unproven(clause, short)
    if not alert.fires_on:
        if aside := _wrong_side(alert, span, above=True):
            return unproven(clause, aside, lasting=True)
        if unsound := _unsound(alert, timeline, span):
            return unproven(clause, unsound)
    story, measured = history(alert, timeline), timeline.measures.get(alert.name)
    interval = letters.evaluation
    deadline = span.start + letters.reach + letters.hold + stale
    expected = (
        f"pending within one evaluation ({interval:g} s) of the measure passing {alert.threshold:g} {alert.unit}, "
        f"firing by {at(deadline)} ({rung} began {at(span.start)}; {letters.reach_text()}; {letters.hold_text()}"
        f"{f'; staleness {stale:.2f} s' if stale else ''})"
    )

    def finding(observed: str) -> Finding:
        return Finding(
            expected=expected,
            observed=observed,
            clients=_clients(timeline, span),
            query=timeline.queries.get("ALERTS", ""),
            because=f"measure: {measured.query}" if measured else f"measure: {alert.measure} gave nothing",
        )

    since = _rested(alert, timeline, span, letters)
    crossing = _crossing(alert, measured, after=since)
    first = min((each for each in (*story.pending, *story.firing) if each >= since), default=None)
    seen = _story_text(story, span.end)
    if crossing is None:
        return broken(
            clause,
            "its own metric never passed the threshold, though the clients saw it passed",
            finding(f"{seen}; {_measure_text(alert, measured, span.end)}"),
        )
    if wrong := _out_of_step(alert, timeline, span, Awoken(since=since, first=first, stale=stale), crossing):
        reason, remark = wrong
        return broken(clause, reason, finding(f"{seen}; {remark}"))
    fired = story.fired_at()
    if fired is None or fired > deadline + HAIR:
        return broken(clause, "did not fire", finding(seen))
    waking, lasting = (first or fired) - span.start, fired - span.start
    return holds(
        clause,
        observations=len([instant for instant in timeline.evaluations if span.start <= instant <= span.end]),
        reason=f"pending {waking:.2f} s and firing {lasting:.2f} s after {_of(span)} began",
    )


def waits(alert: AlertPromise, timeline: Timeline) -> Verdict:
    """
    From pending to firing passes exactly the documented `for`, rounded up to whole evaluations, without a break.
    """
    clause = f"alert/{alert.name}/for"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    letters, story = bounds(alert, timeline), history(alert, timeline)
    fired = story.fired_at()
    run = _last_run(story.pending, _step(story, letters.evaluation), before=fired)
    expected = (
        f"{letters.effective_for:g} s from the first pending to the first firing sample "
        f"(for {alert.shipped.for_.total_seconds():g} s at tempo {timeline.tempo:g}, "
        f"in steps of {letters.evaluation:g} s)"
    )
    query = timeline.queries.get("ALERTS", "")
    if fired is None:
        lasted = run[-1] - run[0] if run else 0.0
        if lasted > letters.effective_for + letters.evaluation + HAIR:
            observed = f"pending for {lasted:.3f} s from {at(run[0])} on, and not firing"
            return broken(
                clause, "waits longer than documented", Finding(expected=expected, observed=observed, query=query)
            )
        return unproven(
            clause, f"did not fire, so nothing shows how long it waits ({_story_text(story, timeline.ended)})"
        )
    waited = fired - run[0] if run else 0.0
    if abs(waited - letters.effective_for) > letters.evaluation / 2:
        reason = "waits longer than documented" if waited > letters.effective_for else "waits shorter than documented"
        observed = (
            f"pending from {at(run[0])}, firing from {at(fired)}: {waited:.3f} s"
            if run
            else f"firing at {at(fired)}, never pending"
        )
        return broken(
            clause, reason, Finding(expected=expected, observed=observed, query=query), observations=len(run) + 1
        )
    return holds(
        clause,
        observations=len(run) + 1,
        reason=f"{waited * timeline.tempo:g} s of the document's time, over {len(run)} pending samples",
    )


def waited(alert: AlertPromise, timeline: Timeline) -> float | None:
    """Real seconds from the first pending to the first firing sample of one unbroken run; None where it never fired."""
    story = history(alert, timeline)
    fired = story.fired_at()
    run = _last_run(story.pending, _step(story, timeline.evaluation_interval), before=fired)
    if fired is None:
        return None
    return fired - run[0] if run else 0.0


def resolves(alert: AlertPromise, timeline: Timeline, *, rung: str) -> Verdict:
    """
    The alert ends when its measure is back, neither before nor later, and the measure is back when the world is.
    """
    clause = f"alert/{alert.name}/resolves"
    if reasons := premise.failed(timeline, needs=NEEDS):
        return unproven(clause, "; ".join(reasons))
    letters, story, measured = bounds(alert, timeline), history(alert, timeline), timeline.measures.get(alert.name)
    span, interval = timeline.phase(rung), letters.evaluation
    healed = span.healed or span.end
    if story.fired_at() is None:
        return unproven(clause, f"did not fire, so it cannot end ({_story_text(story, timeline.ended)})")
    last = story.firing[-1]
    back = _back(alert, timeline, measured, after=span.end)
    expected = (
        f"the last firing sample one evaluation ({interval:g} s) before the measure is back, "
        f"and the measure back within the reach of healing at {at(healed)} ({letters.reach_text()})"
    )
    query = timeline.queries.get("ALERTS", "")

    def finding(observed: str) -> Finding:
        return Finding(expected=expected, observed=observed, query=query)

    if back is None or back > healed + letters.reach + interval:
        if back is None and timeline.ended < healed + letters.reach + interval:
            return unproven(clause, "the run ended before the measure had to be back")
        observed = f"back at {at(back)}" if back else "not back when the run ended"
        if lingering := _lingers(alert, timeline, span, healed):
            return unproven(clause, f"the world did not return either: {lingering}")
        return broken(
            clause,
            "its own metric did not return after healing",
            finding(f"{observed}; {_measure_text(alert, measured, timeline.ended)}"),
        )
    if not alert.fires_on and not _held(measured, back, back + 2 * interval + HAIR):
        return unproven(clause, f"its measure gave no value from {at(back)} on: gone is not back")
    ends = back - interval
    # What cAdvisor tells is a housekeeping older than the scrape that brings it.
    if last > ends + interval + letters.housekeeping + HAIR:
        beyond = (
            "still firing when the run ended"
            if last >= timeline.evaluations[-1] - interval
            else f"{last - ends:.2f} s late"
        )
        return broken(
            clause,
            "did not end when its measure was back",
            finding(f"last firing sample {at(last)}, measure back {at(back)}: {beyond}"),
        )
    # It ends when the measure is back for the first time; beyond again for a moment, it only waits.
    early = _returned(alert, timeline, measured, after=span.end)
    if last < early - 2 * interval - HAIR:
        return broken(
            clause,
            "ended before its measure was back",
            finding(f"last firing sample {at(last)}, measure back {at(early)}"),
        )
    return holds(
        clause,
        observations=len([instant for instant in timeline.evaluations if instant > last]),
        reason=f"ended {last + interval - healed:.2f} s after healing, with its measure",
    )


NEEDS = ("alertmanager", "receivers")
"""Shared components that a verdict about an alert rests on; the cell's own and the program's are always counted."""


# --- what the sentences are made of --------------------------------------------------------------------------------


def _beyond(alert: AlertPromise, value: float) -> bool:
    return value > alert.threshold if alert.direction == ">" else value < alert.threshold


def _opposite(alert: AlertPromise) -> str:
    return "≤" if alert.direction == ">" else "≥"


def _of(span: Span) -> str:
    return f"{span.rung:g} {span.quantity}" if span.rung is not None else span.name


def _clients(timeline: Timeline, span: Span) -> str:
    if span.rung is None:
        return f"{'; '.join(span.faults)} during {span.name}, for {(span.healed or span.end) - span.start:.2f} s"
    sent = len(timeline.ledger.during(span.name))
    return f"{premise.achieved(timeline, span):.4f} {span.quantity} during {span.name} ({sent} requests)"


def _measure_text(alert: AlertPromise, measured: Measured | None, instant: float) -> str:
    if measured is None or not measured.points:
        return f"the measure {alert.measure} gave no value at all"
    value = min(measured.points, key=lambda point: abs(point[0] - instant))
    peak = max(measured.points, key=lambda point: point[1])
    most = f"at most {peak[1]:.4f} at {at(peak[0])}"
    return f"measure {value[1]:.4f} at {at(value[0])}, {most} (threshold {alert.threshold:g})"


def _story_text(story: History, until: float) -> str:
    if not story.pending and not story.firing:
        return f"inactive until {at(until)}"
    parts = []
    if story.pending:
        parts.append(f"pending {at(story.pending[0])} - {at(story.pending[-1])}")
    parts.append(f"firing {at(story.firing[0])} - {at(story.firing[-1])}" if story.firing else "never firing")
    return ", ".join(parts)


def _uneven(alert: AlertPromise, timeline: Timeline, span: Span, letters: Bounds, instant: float) -> str:
    """
    Why a measure beyond the threshold is no wrong metric: in that very window the clients saw it passed as well.

    On a busy machine answers come late and then at once; over the whole phase that leaves no trace. A window may have
    ended up to a scrape and its length before, and from its first to its last sample it is up to two scrapes shorter
    than it is long; one event more or less lies within any count of events.
    """
    most = 0.0
    for step in range(5):
        end = instant - step / 4 * (letters.scrape + letters.longest_scrape)
        seen = Ledger(requests=tuple(r for r in timeline.ledger.requests if end - letters.window < r.finished <= end))
        if span.quantity == "s":
            for shorter in range(3):
                begin = end - letters.window + shorter * letters.scrape
                within = Ledger(requests=tuple(each for each in seen.requests if begin < each.finished))
                most = max(most, within.latency(0.95) * timeline.tempo)
        elif span.quantity == "errors/s":
            most = max(most, (len(seen.outcome(Outcome.ERROR)) + 1) / letters.window / timeline.tempo)
    if not _beyond(alert, most):
        return ""
    return (
        f"the rung was not held evenly: in the {letters.window:g} s before {at(instant)} the clients themselves saw "
        f"up to {most:.4f} {span.quantity}, against {premise.achieved(timeline, span):.4f} over {span.name}"
    )


SLOWEST = 0.05
"""The share of requests beyond the 95th percentile, the quantity of a latency alert."""


def _seen_passed(alert: AlertPromise, timeline: Timeline, span: Span, letters: Bounds) -> float | None:
    """
    When the clients had seen a rung's quantity beyond the threshold in the window before, whichever way it is counted.

    Of errors one more than the threshold allows; of a latency so many slow answers that one less is still more than
    one in twenty. None where they never did, or the fault itself counts.
    """
    ended = sorted(timeline.ledger.requests, key=lambda each: each.finished)
    slow = (alert.threshold + (span.rung or 0.0)) / 2
    if span.quantity == "errors/s":
        bad = [each.finished for each in ended if each.outcome is Outcome.ERROR and each.phase == span.name]
    elif span.quantity == "s":
        # What was slow before the rung was so for the clients alone, perhaps: no fault held.
        bad = [each.finished for each in ended if each.latency * timeline.tempo > slow and each.phase == span.name]
    else:
        return None
    answered = [each.finished for each in ended]
    for instant in bad:
        if not span.start <= instant <= span.end:
            continue
        since = instant - letters.window
        wrong = bisect_right(bad, instant) - bisect_right(bad, since)
        every = bisect_right(answered, instant) - bisect_right(answered, since)
        allowed = alert.threshold * timeline.tempo * letters.window if span.quantity == "errors/s" else SLOWEST * every
        if wrong - 1 > allowed:
            return instant
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Awoken:
    """When an alert was first active, of what is seen from `since` on; `stale` as `fires_above` has it."""

    since: float
    first: float | None
    stale: float


def _out_of_step(
    alert: AlertPromise, timeline: Timeline, span: Span, awoken: Awoken, crossing: float
) -> tuple[str, str] | None:
    """Why alert, measure and clients did not pass the threshold together, and when each did; None where they did."""
    measured, letters, first = timeline.measures.get(alert.name), bounds(alert, timeline), awoken.first
    interval = letters.evaluation
    if first is not None and first < crossing - interval - HAIR:
        return (
            f"was active {crossing - first:.2f} s before its measure passed the threshold",
            f"the measure passed it at {at(crossing)}, {_measure_text(alert, measured, first)}",
        )
    # A target that vanished is marked stale afterwards, with the time of its next scrape: looked at later its absence
    # began before anybody could see it. What cAdvisor tells is a housekeeping older than the scrape that brings it.
    late = interval + awoken.stale + letters.housekeeping + HAIR
    # Before the rung one slow answer may lie beyond, at an evaluation to which a scrape was under way.
    own = _crossing(alert, measured, after=max(awoken.since, span.start)) or crossing
    if first is None or first > own + late:
        return (
            "did not become pending when its measure passed the threshold",
            f"the measure passed it at {at(own)}, {_measure_text(alert, measured, span.end)}",
        )
    passed = _seen_passed(alert, timeline, span, letters)
    if passed is None or own <= passed + letters.scrape + letters.longest_scrape + 2 * interval + HAIR:
        return None
    said = (
        f"the clients saw it passed at {at(passed)}, the measure passed it at {at(own)}, which may take a scrape "
        f"of {letters.scrape:g} s, the longest scrape of {letters.longest_scrape:.3f} s and two evaluations of "
        f"{interval:g} s"
    )
    return f"its own metric passed the threshold {own - passed:.2f} s after the clients had seen it passed", said


def _too_short(letters: Bounds, span: Span, needed: float) -> str:
    lasted = span.end - span.start
    if lasted + HAIR >= needed:
        return ""
    return f"{span.name} lasted {lasted:.2f} s, less than {letters.reach_text()} and {letters.hold_text()}"


def _wrong_side(alert: AlertPromise, span: Span, *, above: bool) -> str:
    """Why a rung that was chosen for another threshold proves nothing of this one; empty where it was not."""
    if span.rung is None or above is _beyond(alert, span.rung):
        return ""
    return (
        f"the rung {_of(span)} does not lie {'beyond' if above else 'short of'} the documented threshold of "
        f"{alert.threshold:g} {alert.unit}: it was chosen for another one"
    )


def _unsound(alert: AlertPromise, timeline: Timeline, span: Span) -> str:
    """
    Why a rung proves nothing, whatever the alert did at it: it has none, or lies within its slack; else empty.

    Of a latency the slack tells only why it may not have counted (`ladder.judged`): it proves nothing where the clients
    saw it on the other side of the threshold.
    """
    if span.quantity != "s" or span.rung is None:
        return inside_slack(alert, timeline, span)
    seen = premise.achieved(timeline, span)
    if _beyond(alert, seen) is _beyond(alert, span.rung):
        return ""
    return (
        f"the rung {_of(span)} was not held: the clients saw {seen:.4f} {span.quantity}, on the other side of "
        f"{alert.threshold:g} {alert.unit}"
    )


def _timed_less(alert: AlertPromise, span: Span, held: list[tuple[float, float]]) -> str:
    """
    Why a latency below the threshold was no rung to the service, which times less than clients wait; else empty.

    Silence at a shorter one shows less than the rung says.
    """
    most = max((value for _, value in held), default=0.0)
    if span.rung is None or most >= (1 - premise.LESS["s"]) * span.rung:
        return ""
    return (
        f"the rung {_of(span)} did not reach the service: its own metric showed {most:.4f} {alert.unit} at most, and "
        "silence at less proves less"
    )


def inside_slack(alert: AlertPromise, timeline: Timeline, span: Span) -> str:
    """Why a rung proves nothing that lies within the measure's own slack of the threshold; empty where it does not."""
    if span.rung is None:
        return f"{span.name} has no rung"
    if span.quantity == "s":
        distance = abs(premise.achieved(timeline, span) - alert.threshold) / alert.threshold
        # A client also waits for what the service does not time: less than a request takes when nothing is slow.
        # The later half of the first phase: the first requests of a gateway open its connections.
        calm = timeline.ledger.during(timeline.phases[0].name).later_half().latency(0.5)
        calm *= timeline.tempo / alert.threshold
        if distance > calm:
            return ""
        return (
            f"the rung {_of(span)} lies within the slack of its measure: {distance:.1%} from the threshold, while a "
            f"request takes {calm:.1%} of it when nothing is slow"
        )
    if span.quantity != "errors/s":
        return ""
    if not span.rung:
        return f"at the rung {_of(span)} there is no event that could be counted"
    # What is told apart is the threshold from a value that lies around the rung, by a share of the rung.
    distance = abs(span.rung - alert.threshold) / span.rung
    letters = bounds(alert, timeline)
    per_second = span.rung * timeline.tempo
    events = per_second * letters.window
    slack = value_slack(
        timeline,
        span,
        events=events,
        window_seconds=letters.window,
        spacing=1 / per_second,
        upwards=span.rung < alert.threshold,
    )
    moved = _moved(timeline, span, letters, per_second)
    if distance > slack + moved:
        return ""
    return (
        f"the rung {_of(span)} lies within the slack of its measure: the threshold is {distance:.1%} away, "
        f"slack {slack + moved:.1%} with {events:.0f} events in the window"
        + (f", of which late answers move {moved:.1%}" if moved else "")
    )


def _moved(timeline: Timeline, span: Span, letters: Bounds, per_second: float) -> float:
    """
    Which share of a window's events late answers took out of one, or brought into one, as the clients saw it.

    One more or less lies within any count, and is left out. From its first to its last sample a window is up to two
    scrapes shorter than it is long.
    """
    answered = sorted(each.finished for each in timeline.ledger.during(span.name).outcome(Outcome.ERROR).requests)
    most = 0.0
    for length in (letters.window, letters.window - letters.scrape, letters.window - 2 * letters.scrape):
        events = per_second * length
        ends = [at for at in answered if span.start + letters.window <= at <= span.end]
        counts = [bisect_right(answered, end) - bisect_right(answered, end - length) for end in ends]
        # Each ends with an answer: just before it there was one less.
        swing = max((max(count - events, events - count + 1) for count in counts), default=0.0)
        most = max(most, (swing - 1) / events)
    return most


def _rested(alert: AlertPromise, timeline: Timeline, span: Span, letters: Bounds) -> float:
    """
    From when on what is seen is this rung's.

    Of a state that was there before, for a shorter time, and may have been too short to be seen: from when the phase
    before the rung, in which nothing is broken, has reached the measure.
    """
    if not alert.fires_on:
        return timeline.begun
    before = [each.start for each in timeline.phases if each.start < span.start]
    return max(before, default=timeline.begun) + letters.reach + 2 * letters.evaluation


def _lingers(alert: AlertPromise, timeline: Timeline, span: Span, healed: float) -> str:
    """What the clients still saw of a rung's quantity after healing, where they saw it; a busy machine is slow too."""
    after = Ledger(requests=tuple(each for each in timeline.ledger.requests if each.due > healed))
    if span.quantity == "s" and len(after):
        slow = [each for each in after.requests if each.latency * timeline.tempo > alert.threshold]
        if len(slow) > 0.02 * len(after):
            return f"{len(slow)} of {len(after)} requests after healing took more than {alert.threshold:g} {alert.unit}"
    if span.quantity == "errors/s":
        errors = after.outcome(Outcome.ERROR)
        if len(errors) > 0.02 * len(after):
            return f"{len(errors)} of {len(after)} requests after healing failed"
    return ""


def _held(measured: Measured | None, start: float, end: float) -> list[tuple[float, float]]:
    """The measure at the evaluations of the hold."""
    return [] if measured is None else [point for point in measured.points if start <= point[0] <= end]


def _crossing(alert: AlertPromise, measured: Measured | None, *, after: float) -> float | None:
    """The first evaluation at which the measure lies beyond the threshold."""
    if measured is None:
        return None
    return next((instant for instant, value in measured.points if instant >= after and _beyond(alert, value)), None)


def _back(alert: AlertPromise, timeline: Timeline, measured: Measured | None, *, after: float) -> float | None:
    """The first evaluation from which on the measure is no longer beyond the threshold; an absent measure is back."""
    values = dict(measured.points) if measured is not None else {}
    later = [instant for instant in timeline.evaluations if instant >= after]
    for position, instant in enumerate(later):
        if all(not _beyond(alert, values[each]) for each in later[position:] if each in values):
            return instant
    return None


def _returned(alert: AlertPromise, timeline: Timeline, measured: Measured | None, *, after: float) -> float:
    """The first evaluation at which the measure is not beyond the threshold; the run's end where there is none."""
    values = dict(measured.points) if measured is not None else {}
    later = (instant for instant in timeline.evaluations if instant >= after)
    return next((each for each in later if each not in values or not _beyond(alert, values[each])), timeline.ended)


def _step(story: History, interval: float) -> float:
    """The time between two of its samples: the interval, or a multiple of it where its group has a slower one."""
    instants = sorted({*story.pending, *story.firing})
    return max(interval, min((later - earlier for earlier, later in pairwise(instants)), default=interval))


def _last_run(instants: tuple[float, ...], interval: float, *, before: float | None) -> tuple[float, ...]:
    """The last unbroken run of samples, up to `before`."""
    run: list[float] = []
    for instant in instants:
        if before is not None and instant >= before:
            break
        if run and instant - run[-1] > 1.5 * interval:
            run = []
        run.append(instant)
    return tuple(run)
