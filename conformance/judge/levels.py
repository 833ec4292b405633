"""
Judges what a log level does: which lines are written from it on, and that nothing else changes.

It reads what services did that differ in their levels alone. What they write at all is learnt from them: a line counts
where half of those have written it in which the variable in question lets them, so that a hiccup of one is taken for no
promise, and another variable that is ignored does not matter. What is said of a request and is no warning needs no
second witness.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from conformance.contract.model import LevelPromise, Logs
    from conformance.judge.verdict import Verdict
    from conformance.timeline.levels import Variant
    from conformance.timeline.model import Timeline

SHOWN, EXAMPLES = 160, 3


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Said:
    """What a line says, whenever and in whichever process: numbers are left out, as ports and durations differ."""

    service: str
    level: str
    message: str
    request: str

    def text(self) -> str:
        return f"{self.level} {self.service}: {self.message}" + (f" ({self.request})" if self.request else "")


def obeyed(promise: LevelPromise, logs: Logs, timeline: Timeline) -> Verdict:
    """What a variable decides is written from its level on and not below it; answers and counts stay the same."""
    clause = f"log/level/{promise.variable}"
    reasons = list(premise.deaths(timeline))
    variants = timeline.levels.variants if timeline.levels is not None else ()
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    if not variants:
        reasons.append("no gateway at another level was raised")
    reasons += [f"{each.name}: {each.trouble}" for each in variants if each.trouble]
    if reasons:
        return unproven(clause, "; ".join(reasons))
    sound = [each for each in variants if _sound(each, logs)]
    heard = {each.name: Counter(_said(each.lines)) for each in sound}
    judged = [
        (each, service)
        for each in sound
        for service in promise.services
        if logs.decides(service, each.given) is promise
    ]
    known = _known(judged, heard, logs)
    wrong = [finding for each in variants for finding in _refusal(promise, each, logs)]
    for each, service in judged:
        wrong += _lines(each, service, heard=heard[each.name], known=known, logs=logs)
    for each in {variant.name: variant for variant, _ in judged}.values():
        wrong += _else(each, sound)
    seen = len(judged)
    if wrong:
        reason = f"{len(wrong)} deviations, the first at {wrong[0].location}"
        return broken(clause, reason, *wrong[:EXAMPLES], observations=seen)
    if lacking := list(_lacking(promise, judged, variants, known, logs)):
        return unproven(clause, "; ".join(lacking), observations=seen)
    lines = sum(known[said] for said in known if said.service in promise.services)
    return holds(
        clause,
        observations=seen,
        reason=f"decided {seen} times, at each of {', '.join(logs.format.levels)}: of {lines} lines those from it on, "
        "no other; answers and counts as at every level; what is no level is refused",
    )


def _sound(variant: Variant, logs: Logs) -> bool:
    """Whether everything that it was given is a level."""
    names = {each.variable for each in logs.levels}
    return all(value in logs.format.levels for name, value in variant.given.items() if name in names)


def _said(lines: Iterable[str]) -> Iterator[Said]:
    for line in lines:
        try:
            given = json.loads(line)
        except ValueError:
            given = None
        if isinstance(given, dict):
            yield Said(
                service=str(given.get("service")),
                level=str(given.get("level")),
                message=re.sub(r"\d+(\.\d+)?", "#", str(given.get("message")))[:SHOWN],
                request=str(given.get("request_id") or ""),
            )
        else:
            yield Said(service="", level="", message=line[:SHOWN], request="")


def _known(judged: Sequence[tuple[Variant, str]], heard: Mapping[str, Counter[Said]], logs: Logs) -> Counter[Said]:
    """How often each line is written where it is: what most of those agree on that may write it, two at the least."""
    levels = logs.format.levels
    warning = len(levels) // 2
    known: Counter[Said] = Counter()
    for said in {said for each in heard.values() for said in each if said.level in levels}:
        counts = sorted(
            heard[each.name][said]
            for each, service in judged
            if service == said.service and levels.index(said.level) >= _least(each, service, logs)
        )
        if said.request and levels.index(said.level) < warning:
            known[said] = median_low([each[said] for each in heard.values() if each[said]])
        elif len(counts) >= 2 and (usual := counts[len(counts) // 2]):
            known[said] = usual
    return known


def _least(variant: Variant, service: str, logs: Logs) -> int:
    """The level from which on a service is to log, by its place among the levels; 0 where nothing decides it."""
    decides = logs.decides(service, variant.given)
    return logs.format.levels.index(variant.given[decides.variable]) if decides is not None else 0


def _refusal(promise: LevelPromise, variant: Variant, logs: Logs) -> Iterator[Finding]:
    """Where a variant that was given no level lives, or does not say why it ended."""
    value = variant.given.get(promise.variable)
    if value is None or value in logs.format.levels:
        return
    told = variant.said.splitlines()
    if (
        variant.ended
        and variant.ended != "exit code 0"
        and len(told) == 1
        and {promise.variable, value} <= set(re.findall(r"\w+", told[0]))
    ):
        return
    said = f"{variant.ended or 'it ran'}; " + (f"it said {variant.said[:SHOWN]!r}" if told else "it said nothing")
    yield Finding(
        expected=f"one line that {promise.variable}={value!r} is no level, and an end that is no success",
        observed=said,
        location=_place(variant),
    )


def _lines(
    variant: Variant, service: str, *, heard: Counter[Said], known: Counter[Said], logs: Logs
) -> Iterator[Finding]:
    """Where a service wrote a line below its level, or left one out from it on, or wrote one more than others do."""
    levels = logs.format.levels
    least = _least(variant, service, logs)
    decides = logs.decides(service, variant.given)
    own = {said: count for said, count in heard.items() if said.service == service}
    below = [said for said in own if said.level not in levels or levels.index(said.level) < least]
    known_here = {said for said in known if said.service == service and said.level in levels}
    from_it_on = {said for said in known_here if levels.index(said.level) >= least}
    missing = sorted(said for said in from_it_on if own.get(said, 0) < known[said])
    doubled = sorted(said for said in from_it_on if own.get(said, 0) > known[said])
    for what, did, which in (
        ("no line below it", "wrote", sorted(below)),
        ("every line from it on", "lacks", missing),
        ("none more often than at other levels", "wrote", doubled),
    ):
        if which:
            yield Finding(
                expected=f"{service} logs from {levels[least]} on, as {decides and decides.variable} says: {what}",
                observed=f"it {did} {len(which)}, such as {which[0].text()}",
                location=_place(variant),
                query=f"{service} in the log of {variant.name}",
            )


def _else(variant: Variant, sound: Sequence[Variant]) -> Iterator[Finding]:
    """Where a level changes answers or counts: they are to be what most variants have."""
    for what, mine, all_ in (
        ("answers", variant.answers, [each.answers for each in sound]),
        ("counts", variant.counts, [each.counts for each in sound]),
    ):
        usual, _ = Counter(all_).most_common(1)[0]
        if mine != usual:
            more, less = sorted(set(mine) - set(usual)), sorted(set(usual) - set(mine))
            yield Finding(
                expected=f"{what} as at every other level" + (f": {less[0][:SHOWN]}" if less else ""),
                observed=more[0][:SHOWN] if more else f"{len(less)} of them are not there",
                location=_place(variant),
            )


def _lacking(
    promise: LevelPromise,
    judged: Sequence[tuple[Variant, str]],
    variants: Sequence[Variant],
    known: Mapping[Said, int],
    logs: Logs,
) -> Iterator[str]:
    """What was not seen and would have to be, so that the rest proves something."""
    levels = logs.format.levels
    for service in promise.services:
        tried = {each.given[promise.variable] for each, of in judged if of == service}
        if untried := [level for level in levels if level not in tried]:
            yield f"{promise.variable} never decided for {service} at {', '.join(untried)}"
        # A line of the highest level is written at each of them.
        told = {said.level for said in known if said.service == service}
        if silent := [level for level in levels[:-1] if level not in told]:
            yield f"{service} wrote no line of level {', '.join(silent)} at any level"
    if not any(each.given.get(promise.variable) not in (None, *levels) for each in variants):
        yield f"{promise.variable} was never given what is no level"


def _place(variant: Variant) -> str:
    return f"{variant.name} ({', '.join(f'{name}={value}' for name, value in sorted(variant.given.items()))})"
