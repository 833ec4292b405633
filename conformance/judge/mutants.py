"""
Judges whether a wrong rule that stood beside the shipped one was caught, by the very judges that pass the shipped one.

A mutant has a Prometheus of its own, which scrapes what its cell scrapes; nothing else differs. It must break exactly
the clauses that it was chosen for, each for its reason: a suite that lets it pass would let anything pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from conformance.judge.ladder import judged
from conformance.judge.verdict import Finding, Status, broken, holds, unproven, unsupported
from fixtures.language import rules
from fixtures.language.durations import format_ms
from fixtures.language.promql import Edit, Layout, PromqlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.contract.model import Contract
    from conformance.judge.ladder import Ladder
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline


class Part(StrEnum):
    """What of a rule is changed."""

    THRESHOLD = "threshold"
    FOR = "for"


class MutantError(Exception):
    """The rules hold nothing that could be changed so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """
    The rule of the ladder's alert with one number times `factor`, beside the cell of `program`.

    `breaks` gives by aspect of the alert the words in which the mutant must be found out; `may_break` names aspects
    that it breaks or not, as the slack of that run decides.
    """

    name: str
    ladder: Ladder
    program: str
    part: Part
    factor: float
    breaks: Mapping[str, str]
    may_break: frozenset[str] = frozenset()

    @property
    def clause(self) -> str:
        return f"mutant/{self.name}"

    @property
    def cell(self) -> str:
        """The name of what stands for it, and of its timeline."""
        return f"mutant-{self.name}"

    def aspects(self) -> tuple[str, ...]:
        """What of the alert shows in the mutant's cell; nobody is paged by it, and its text is known to differ."""
        below = ("silent-below",) if self.ladder.below == self.program else ()
        return (*below, *(("fires-above", "for", "resolves") if self.ladder.above == self.program else ()))

    def bent(self, shipped: Mapping[str, str]) -> dict[str, str]:
        """
        The rule files by name, the alert's changed. Raises MutantError where they hold no such number.
        """
        alert = self.ladder.alert
        for name, text in shipped.items():
            file = rules.load(text, file=name)
            for rule in file.rules:
                if isinstance(rule, rules.AlertRule) and rule.name == alert:
                    return {**shipped, name: file.edited(self._edits(rule, text))}
        raise MutantError(f"the rule files {', '.join(shipped)} hold no alert {alert}")

    def _edits(self, rule: rules.AlertRule, source: str) -> tuple[Edit, ...]:
        if self.part is Part.FOR:
            if "for" not in rule.places:
                raise MutantError(f"{rule.name} has no `for`")
            lasts = format_ms(round(rule.for_.total_seconds() * 1000 * self.factor))
            return (rules.edit_whole(source, rule.places["for"], lasts),)
        try:
            layout = Layout(rule.expr)
            after = max((each.start for each in layout.comparisons()), default=None)
            number = next(each for each in layout.numbers() if after is not None and each.start > after)
            value = float(rule.expr[number.start : number.end])
        except (PromqlError, StopIteration, ValueError):
            raise MutantError(f"{rule.name} compares with no plain number: {rule.expr}") from None
        edit = Edit(start=number.start, end=number.end, text=f"{value * self.factor:g}")
        return rules.edit_inside(source, rule.places["expr"], (edit,))


def caught(mutant: Mutant, contract: Contract, timelines: Mapping[str, Timeline]) -> Verdict:
    """The mutant breaks what it was chosen for, for that reason, and nothing else; the shipped rule holds there."""
    return replace(_caught(mutant, contract, timelines), about=(mutant.program,))


def _caught(mutant: Mutant, contract: Contract, timelines: Mapping[str, Timeline]) -> Verdict:
    clause, alert = mutant.clause, mutant.ladder.alert
    try:
        wanted = mutant.bent(timelines[mutant.program].config.rules_shipped)
    except MutantError as error:
        return unproven(clause, f"no mutant could be made: {error}", lasting=True)
    beside = timelines.get(mutant.cell)
    if beside is None:
        return unproven(clause, f"no Prometheus with the mutant's rules stood beside {mutant.program}", lasting=True)
    if stood := _stood(mutant, wanted, timelines[mutant.program], beside):
        return unproven(clause, stood)
    bent = {**timelines, mutant.program: beside}
    sound = {aspect: judged(mutant.ladder, aspect, contract, timelines) for aspect in mutant.breaks}
    found = {aspect: judged(mutant.ladder, aspect, contract, bent) for aspect in mutant.aspects()}
    findings, seen = [], 0
    for aspect, words in mutant.breaks.items():
        before, after = sound[aspect], found[aspect]
        if Status.UNSUPPORTED in (before.status, after.status):
            return unsupported(clause, before.reason)
        if before.status is not Status.HOLDS:
            return unproven(
                clause, f"{before.clause} is {before.status} with the shipped rule too, so nothing shows the change"
            )
        if after.status is Status.UNPROVEN:
            return unproven(clause, f"{after.clause} of the mutant is unproven: {after.reason}")
        if after.status is not Status.BROKEN or words not in after.reason:
            findings.append(
                Finding(
                    expected=f"{after.clause} is broken: {words}",
                    observed=f"{after.status}: {after.reason}",
                    query=beside.queries.get("ALERTS", ""),
                )
            )
        seen += after.observations
    findings += [
        Finding(expected=f"{after.clause} is no matter of this change", observed=f"broken: {after.reason}")
        for aspect, after in found.items()
        if aspect not in {*mutant.breaks, *mutant.may_break} and after.status is Status.BROKEN
    ]
    if findings:
        what = f"{alert} with its {mutant.part} times {mutant.factor:g}"
        escaped = [aspect for aspect in mutant.breaks if found[aspect].status is not Status.BROKEN]
        how = "not caught" if escaped else "caught otherwise than it should be"
        return broken(clause, f"{what} was {how}", *findings)
    said = "; ".join(f"{aspect}: {found[aspect].reason}" for aspect in mutant.breaks)
    return holds(clause, observations=max(seen, len(mutant.breaks)), reason=f"caught by {said}")


def _stood(mutant: Mutant, wanted: Mapping[str, str], original: Timeline, beside: Timeline) -> str:
    """Why what stood beside the cell was not this mutant; empty when it was."""
    if beside.troubles or beside.interrupted:
        return "; ".join((*beside.troubles, *([beside.interrupted] if beside.interrupted else [])))
    if dict(beside.config.rules_shipped) != wanted:
        return "the rules that stood beside were not the mutant's"
    loaded = [
        {(rule.expr, rule.for_seconds) for rule in seen.rules if rule.name == mutant.ladder.alert}
        for seen in (original, beside)
    ]
    if not all(loaded) or loaded[0] == loaded[1]:
        return f"Prometheus loaded the same {mutant.ladder.alert} with the mutant's rules as with the shipped ones"
    return ""
