"""
Judges that simulation and the live stack agree: the same samples under the unmodified rules make the same alerts.

It compares two histories of one alert; which of them is right is not for it to say.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.judge import alerts, premise
from conformance.judge.ladder import measured
from conformance.judge.verdict import Finding, broken, holds, unproven, unsupported
from fixtures.core.clock import at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.contract.model import AlertPromise, Contract
    from conformance.judge.ladder import Ladder
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CLAUSE = "tiers/agree"

SILENT = "inactive"

RESOLUTION = 0.001
"""How far apart, as a share of the value, the simulated tier leaves the two ends of a bracket."""


def agree(ladders: Sequence[Ladder], contract: Contract, timelines: Mapping[str, Timeline]) -> Verdict:
    """
    Each change of each alert happened within an evaluation of when promtool sees it in the same samples.

    And the rungs that were told apart live enclose the threshold that is simulated.
    """
    programs = {name: timelines[name] for ladder in ladders for name in (ladder.below, ladder.above)}
    if stood_in := [why for seen in programs.values() for why in seen.stand_ins.values()]:
        return unsupported(CLAUSE, "; ".join(dict.fromkeys(stood_in)))
    findings: list[Finding] = []
    missing: list[str] = []
    doubtful: list[str] = []
    differ: list[str] = []
    evaluations = 0
    for name, seen in programs.items():
        if reasons := premise.failed(seen, needs=alerts.NEEDS):
            missing.append(f"{name}: {'; '.join(reasons)}")
        elif seen.replayed is None or seen.replayed.error:
            why = seen.replayed.error if seen.replayed is not None else "its samples were not kept"
            missing.append(f"{name} was not replayed: {why}")
        else:
            evaluations += len(seen.evaluations)
            differing = [found for alert in contract.alerts if (found := _differs(alert, seen)) is not None]
            if differing and (hidden := _hidden(seen)):
                missing.append(f"{name} differs from its replay ({differing[0].location}), but {hidden}")
                doubtful.append(name)
            else:
                findings += differing
                differ += [name] * bool(differing)
    changes = _changes(ladders, contract, timelines)
    for ladder in ladders:
        if found := _apart(ladder, contract, timelines):
            findings.append(found)
            differ += [ladder.below, ladder.above]
    if findings:
        found_out = broken(CLAUSE, _counted(findings), *findings, observations=len(findings))
        return replace(found_out, about=tuple(dict.fromkeys(differ)))
    if missing:
        more = f" (and {len(missing) - 1} more programs)" if missing[1:] else ""
        # What fails its premises is performed again for those.
        return replace(unproven(CLAUSE, missing[0] + more, lasting=not doubtful), about=tuple(doubtful))
    asleep = [ladder.alert for ladder in ladders if not changes.get(ladder.alert)]
    if asleep:
        # Two silences agree about nothing.
        return unproven(CLAUSE, f"{', '.join(asleep)} never changed, so that nothing could agree", lasting=True)
    return holds(
        CLAUSE,
        observations=sum(changes.values()),
        reason=f"{sum(changes.values())} changes of {len(changes)} alerts over {evaluations} evaluations happened "
        "within an evaluation of when promtool sees them",
    )


def _counted(findings: Sequence[Finding]) -> str:
    more = f" (and {len(findings) - 1} more)" if findings[1:] else ""
    return f"live and simulated differ: {findings[0].location}{more}"


def _differs(alert: AlertPromise, seen: Timeline) -> Finding | None:
    """
    The first evaluation at which one tier says what the other says at none of it and its neighbours.

    One that fell into a scrape had lost the oldest sample of its window and not got the newest, which promtool sees
    there: its measure is that of the next one at the earliest, and may lie an evaluation further.
    """
    if seen.replayed is None:
        return None
    live, replayed = _live(alert, seen), dict(seen.replayed.states.get(alert.name, ()))
    raw = (
        [live.get(round(each, 3), SILENT) for each in seen.evaluations],
        [replayed.get(each, SILENT) for each in seen.evaluations],
    )
    states = list(zip(*map(_lasting, raw), strict=True))
    under_way = {place for place, _ in _fallen(seen)}
    for place, instant in enumerate(seen.evaluations):
        wide = 1 + (place in under_way)
        near = range(max(0, place - wide), min(len(states), place + wide + 1))
        # What lasts for one evaluation need not be seen by the other tier, and is seen where it is.
        others = [{said for each in near for said in (states[each][tier], raw[tier][each])} for tier in (0, 1)]
        here, there = states[place]
        if here in others[1] and there in others[0]:
            continue
        if place in (0, len(states) - 1):
            # A change may lie just beyond what was read.
            continue
        return Finding(
            location=f"{alert.name} in {seen.program}",
            expected=f"at {at(instant)}, as in promtool over the same samples and the unmodified rule: {there} "
            f"({_told(seen, [each[1] for each in states])})",
            observed=f"{here} ({_told(seen, [each[0] for each in states])})",
            query=seen.queries.get("ALERTS", ""),
            because=f"one evaluation ({seen.evaluation_interval:g} s) either way is allowed, two for one that fell "
            "into a scrape, and what lasts no longer; "
            f"{sum(seen.replayed.samples.values())} samples were replayed at tempo {seen.tempo:g}",
        )
    return None


def _hidden(seen: Timeline) -> str:
    """
    Which scrapes were under way when the rules were evaluated, in words; empty where none was.

    Their samples carry the time at which the scrape began: promtool sees them there, and a server only later.
    """
    hidden = [took for _, took in _fallen(seen)]
    if not hidden:
        return ""
    return (
        f"{len(hidden)} evaluations of its rules fell into scrapes, of which the longest took "
        f"{max(hidden) * 1000:.0f} ms: the machine was too busy"
    )


def _fallen(seen: Timeline) -> list[tuple[int, float]]:
    """Which evaluations fell into a scrape, and how long that one took."""
    # A scrape that failed brought nothing but its `up`, which is replayed as of its end.
    answered = {at for series in seen.up for at, value in series.points if value == 1}
    return [
        (place, took)
        for series in seen.scrape_durations
        for at, took in series.points
        if (place := bisect_left(seen.evaluations, at)) < len(seen.evaluations)
        and seen.evaluations[place] < at + took
        and at in answered
    ]


def _lasting(states: Sequence[str]) -> list[str]:
    """
    The states without those that lasted for a single evaluation.

    A scrape that is committed beside an evaluation is seen by one tier and not by the other; where the measure comes
    back at the next one, nothing is left of it.
    """
    found: list[str] = []
    for place, state in enumerate(states):
        before = found[-1] if found else SILENT
        lasts = place + 1 == len(states) or states[place + 1] == state or before == state
        found.append(state if lasts else before)
    return found


def _live(alert: AlertPromise, seen: Timeline) -> dict[float, str]:
    """By evaluation (Unix seconds, to the millisecond): what the alert was; where both are told it fires."""
    grid = {round(each, 3): each for each in seen.evaluations}
    found: dict[float, str] = {}
    for state in ("pending", "firing"):
        for series in seen.alerts:
            if (series.labels.get("alertname"), series.labels.get("alertstate")) != (alert.name, state):
                continue
            for instant, _ in series.points:
                # The grid is whole milliseconds, and so are the samples; a rounding may lie between them.
                near = next((each for each in (0.0, 0.001, -0.001) if round(instant + each, 3) in grid), None)
                if near is not None:
                    found[round(instant + near, 3)] = state
    return found


def _told(seen: Timeline, states: Sequence[str]) -> str:
    """Every change, with its instant."""
    said = [
        f"{state} from {at(seen.evaluations[place])}"
        for place, state in enumerate(states)
        if state != (states[place - 1] if place else SILENT)
    ]
    return ", ".join(said) or "never anything else"


def _changes(ladders: Sequence[Ladder], contract: Contract, timelines: Mapping[str, Timeline]) -> dict[str, int]:
    """By alert of a ladder: how often it changed live in its own programs."""
    found: dict[str, int] = {}
    for ladder in ladders:
        alert = contract.alert(ladder.alert)
        for name in dict.fromkeys((ladder.below, ladder.above)):
            seen = timelines[name]
            live = _live(alert, seen)
            states = [SILENT, *(live.get(round(each, 3), SILENT) for each in seen.evaluations)]
            found[alert.name] = found.get(alert.name, 0) + sum(one != other for one, other in pairwise(states))
    return found


def _apart(ladder: Ladder, contract: Contract, timelines: Mapping[str, Timeline]) -> Finding | None:
    """Where the rungs that were told apart live do not enclose the simulated threshold; states have none."""
    alert = contract.alert(ladder.alert)
    if alert.fires_on:
        return None
    told = measured(ladder, contract, timelines)
    replayed = timelines[ladder.above].replayed
    if told.silent_at is None or told.fires_at is None or replayed is None or replayed.error:
        # What a rung did not show is broken, or unproven, by its own clause.
        return None
    bracket = replayed.brackets.get(alert.name)
    live = f"silent at {told.silent_at:g}, firing at {told.fires_at:g} {told.unit}"
    if bracket is None:
        return Finding(
            location=f"the threshold of {alert.name}",
            expected=f"a simulated threshold between the live rungs ({live})",
            observed="the simulated tier finds no number at which this rule starts to fire",
        )
    slack = RESOLUTION * abs(alert.threshold)
    low, high = sorted((told.silent_at, told.fires_at))
    least, most = sorted((bracket.silent_at, bracket.fires_at))
    above = (told.fires_at > told.silent_at) == (bracket.fires_at > bracket.silent_at)
    if above and least - slack <= high and most + slack >= low:
        return None
    return Finding(
        location=f"the threshold of {alert.name}",
        expected=f"simulated and live brackets that overlap; simulated: silent at {bracket.silent_at:g}, "
        f"firing at {bracket.fires_at:g} {told.unit}",
        observed=f"live: {live}",
        because=f"slack {slack:g} {told.unit}: the resolution of the simulated tier",
    )
