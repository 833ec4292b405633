"""
Judges that a run at one tempo measured what another tempo measured, all in the document's units and time.

Only what a tempo must preserve is compared. Delivery is not: Alertmanager's timers have a floor, and are judged in real
seconds in each run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.judge import alerts
from conformance.judge.ladder import judged, measured
from conformance.judge.slack import bounds
from conformance.judge.verdict import Finding, Status, broken, holds, unproven, unsupported
from fixtures.language import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.contract.model import Contract
    from conformance.judge.ladder import Ladder
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CLAUSE = "tempo/agree"
BITES = 0.5
"""Real seconds that a fault may take to bite: no tempo divides them, so at a high one an alert may be later by them."""

RESTS_ON = ("silent-below", "fires-above", "for")
"""The aspects of an alert without which there is nothing to compare."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """
    What one run measured of one alert: values in the document's unit, times in seconds of the document's time.

    `to_fire` counts from the step to the first firing sample; `slack` is what scrapes and evaluations may move it by.
    """

    alert: str
    rule: str
    silent_at: float
    fires_at: float
    waited: float
    to_fire: float
    slack: float
    evaluation: float
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The figures of an earlier run, and which run that was."""

    tempo: float
    made: str
    revision: str
    stack: str
    alerts: tuple[Figures, ...]

    def named(self) -> str:
        return f"the run at tempo {self.tempo:g} of {self.made[:10]}"


def figures(ladder: Ladder, contract: Contract, timelines: Mapping[str, Timeline]) -> Figures | Verdict:
    """What this run measured of an alert; where an aspect of it does not hold, the verdict that says so."""
    for aspect in RESTS_ON:
        if (verdict := judged(ladder, aspect, contract, timelines)).status is not Status.HOLDS:
            return verdict
    found, above = measured(ladder, contract, timelines), timelines[ladder.above]
    alert = contract.alert(ladder.alert)
    fired, letters = alerts.history(alert, above).fired_at(), bounds(alert, above)
    assert fired is not None, "fires-above holds"
    assert found.silent_at is not None, "silent-below holds"
    assert found.fires_at is not None, "fires-above holds"
    assert found.for_observed is not None, "for holds"
    moved = letters.scrape + letters.evaluation + letters.longest_scrape + letters.housekeeping
    return Figures(
        alert=alert.name,
        rule=rule_of(alert.name, above),
        silent_at=found.silent_at,
        fires_at=found.fires_at,
        waited=found.for_observed,
        to_fire=round((fired - above.phase(ladder.beyond).start) * above.tempo, 1),
        slack=round(moved * above.tempo, 1),
        evaluation=round(letters.evaluation * above.tempo, 1),
        unit=found.unit,
    )


def rule_of(alert: str, timeline: Timeline) -> str:
    """The shipped rule in a line: what a kept figure is a figure of."""
    for name, text in timeline.config.rules_shipped.items():
        for rule in rules.load(text, file=name).rules:
            if isinstance(rule, rules.AlertRule) and rule.name == alert:
                return f"{' '.join(rule.expr.split())} for {rule.for_.total_seconds():g}s"
    return ""


def agree(
    ladders: Sequence[Ladder], contract: Contract, timelines: Mapping[str, Timeline], kept: Sequence[Kept]
) -> Verdict:
    """
    No value at which one tempo is silent and the other fires; the same wait, and the same time to fire.

    `kept` are records of other runs; the one whose tempo is farthest from this run's is compared.
    """
    # What was performed again ran at a slower tempo, unless it was real time already.
    tempo = max(timelines[ladder.above].tempo for ladder in ladders)
    others = [each for each in kept if max(each.tempo, tempo) >= 2 * min(each.tempo, tempo)]
    if not others:
        return unsupported(CLAUSE, f"no record of a run at another tempo than {tempo:g}; {_MAKE}")
    other = max(others, key=lambda each: max(each.tempo, tempo) / min(each.tempo, tempo))
    findings: list[Finding] = []
    missing: list[str] = []
    compared = 0
    known = {each.alert: each for each in other.alerts}
    changed = []
    for ladder in ladders:
        here = figures(ladder, contract, timelines)
        if not isinstance(here, Figures):
            if here.status is Status.UNSUPPORTED:
                return unsupported(CLAUSE, here.reason)
            missing.append(f"{here.clause} is {here.status}")
        elif (there := known.get(ladder.alert)) is None or there.rule != here.rule:
            changed.append(ladder.alert)
        else:
            found = tuple(_differs(here, there, tempo, other))
            compared += _FIGURES
            findings += found
    if findings:
        return broken(CLAUSE, f"differs from {other.named()}", *findings, observations=len(findings))
    if missing:
        return unproven(CLAUSE, f"this run measured nothing to compare: {'; '.join(missing)}")
    if changed:
        # Nothing is known of these rules at the other tempo, and nothing that this run could do would tell.
        return unsupported(
            CLAUSE,
            f"{other.named()} was made with other rules of {', '.join(changed)}: nothing is known of these; {_MAKE}",
        )
    return holds(
        CLAUSE,
        observations=compared,
        reason=f"{compared} figures of {len(ladders)} alerts at tempo {tempo:g} are those of {other.named()}",
    )


_FIGURES = 4
_MAKE = "nox -s realtime, and then python -m conformance.tempos RUN, make one"


def _differs(here: Figures, there: Figures, tempo: float, other: Kept) -> Iterator[Finding]:
    for one, two, at_one, at_two in ((here, there, tempo, other.tempo), (there, here, other.tempo, tempo)):
        if one.silent_at >= two.fires_at:
            yield Finding(
                expected=f"{here.alert} fires at {two.fires_at:g} {here.unit}, as at tempo {at_two:g}",
                observed=f"silent at {one.silent_at:g} {here.unit} at tempo {at_one:g}",
                location=here.alert,
            )
    if abs(here.waited - there.waited) > max(here.evaluation, there.evaluation) / 2:
        yield Finding(
            expected=f"{here.alert} waits {there.waited:g} s from pending to firing, as at tempo {other.tempo:g}",
            observed=f"{here.waited:g} s at tempo {tempo:g}",
            location=here.alert,
        )
    later = tempo if here.to_fire > there.to_fire else other.tempo
    slack = here.slack + there.slack + BITES * later
    if abs(here.to_fire - there.to_fire) > slack:
        yield Finding(
            expected=f"{here.alert} fires {there.to_fire:g} s after the step, as at tempo {other.tempo:g}",
            observed=f"{here.to_fire:g} s at tempo {tempo:g}",
            because=f"slack {slack:g} s = {here.slack:g} s here + {there.slack:g} s there, each a scrape, an "
            f"evaluation and the longest scrape, + {BITES:g} s real until the fault bites, at tempo {later:g}",
            location=here.alert,
        )
