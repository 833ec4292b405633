"""The rungs of one alert, below and above its threshold, and which judge speaks about which of its clauses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conformance.judge import alerts, alone, delivery, premise, shipped
from conformance.judge.verdict import Status, unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

ASPECTS = ("shipped", "silent-below", "fires-above", "for", "resolves", "delivered", "alone")

PASSED = ("fires-above", "for", "resolves", "delivered")
"""Aspects that rest on the threshold being passed, and that without a break."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """
    `below` and `above` name programs; `rung` and `control` are phases of the first, `beyond` one of the second.

    `consequences` are other alerts that the same cause makes fire, each with the reason.
    """

    alert: str
    below: str
    rung: str
    control: str
    above: str
    beyond: str
    consequences: Mapping[str, str] = field(default_factory=dict)

    def clause(self, aspect: str) -> str:
        return f"alert/{self.alert}/{aspect}"

    def programs(self, aspect: str) -> tuple[str, ...]:
        """Those in which that aspect shows."""
        if aspect == "silent-below":
            return (self.below,)
        return tuple(dict.fromkeys((self.below, self.above))) if aspect == "alone" else (self.above,)


def judged(ladder: Ladder, aspect: str, contract: Contract, timelines: Mapping[str, Timeline]) -> Verdict:
    """The verdict about one aspect of the alert. Raises KeyError for an aspect that no judge knows."""
    alert = contract.alert(ladder.alert)
    below, above = timelines[ladder.below], timelines[ladder.above]
    if stood_in := {**below.stand_ins, **above.stand_ins}:
        if aspect != "shipped":
            # What the alert reads is no real exporter's: neither its silence nor its firing shows anything.
            return unsupported(ladder.clause(aspect), "; ".join(stood_in.values()))
        # The rule was loaded whether or not the fault could be injected.
        above = replace(above, interrupted="") if above.rules else above
    silent = alerts.silent_when_short if alert.fires_on else alerts.silent_below
    judges = {
        "shipped": lambda: shipped.shipped(alert, contract.timing, above),
        "silent-below": lambda: silent(alert, below, rung=ladder.rung, control=ladder.control),
        "fires-above": lambda: alerts.fires_above(alert, above, rung=ladder.beyond),
        "for": lambda: alerts.waits(alert, above),
        "resolves": lambda: alerts.resolves(alert, above, rung=ladder.beyond),
        "delivered": lambda: delivery.delivered(alert, contract.receiver(alert.receiver), contract.timing, above),
        "alone": lambda: alone.alone(
            alert, tuple({each.program: each for each in (below, above)}.values()), ladder.consequences
        ),
    }
    about = ladder.programs(aspect)
    if aspect == "alone":
        # Of two cells the one may be sound.
        about = tuple(name for name in about if premise.failed(timelines[name], needs=alerts.NEEDS)) or about
    verdict = replace(judges[aspect](), about=about)
    if verdict.status is not Status.BROKEN or aspect not in PASSED or alert.fires_on or above.interrupted:
        return verdict
    if verdict.lasting:
        # What is read does not rest on the threshold.
        return verdict
    # Where it is not known whether the threshold was passed at each evaluation, what follows from it is not either.
    reason = alerts.inside_slack(alert, above, above.phase(ladder.beyond))
    return replace(verdict, status=Status.UNPROVEN, reason=f"{verdict.reason}; but {reason}") if reason else verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """
    What a ladder told apart, in the document's units and its time (seconds); None where its clause did not hold.

    An alert on a state is measured by how long the state lasted.
    """

    alert: str
    documented: float
    unit: str
    silent_at: float | None
    fires_at: float | None
    for_documented: float
    for_observed: float | None


def measured(ladder: Ladder, contract: Contract, timelines: Mapping[str, Timeline]) -> Measured:
    """The widest pair of rungs that this run told apart, and the wait that it saw."""
    alert = contract.alert(ladder.alert)
    below, above = timelines[ladder.below], timelines[ladder.above]

    def value(timeline: Timeline, phase: str, aspect: str) -> float | None:
        if judged(ladder, aspect, contract, timelines).status is not Status.HOLDS:
            return None
        span = timeline.phase(phase)
        if alert.fires_on:
            return round(((span.healed or span.end) - span.start) * timeline.tempo)
        return round(premise.achieved(timeline, span), 4)

    waited = alerts.waited(alert, above)
    documented = alert.shipped.for_.total_seconds()
    return Measured(
        alert=alert.name,
        documented=documented if alert.fires_on else alert.threshold,
        unit="s" if alert.fires_on else str(alert.unit),
        silent_at=value(below, ladder.rung, "silent-below"),
        fires_at=value(above, ladder.beyond, "fires-above"),
        for_documented=documented,
        for_observed=None if waited is None else round(waited * above.tempo, 1),
    )
