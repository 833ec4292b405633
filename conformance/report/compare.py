"""Two reports side by side: which verdicts, thresholds, times and components differ; pure, it reads no file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from conformance.judge.verdict import Status
from conformance.report.record import UNJUDGED, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.report.record import ClauseRow, ComponentRow, Report, ThresholdRow

LIVE_RESOLUTION = 0.06
"""A rung is reached within 3 % of its value in each run, so two sound runs may lie twice that apart."""
SIMULATED_RESOLUTION = 0.002
"""Simulated brackets are at most 0.1 % wide."""
LONGER, LONGER_SECONDS = 1.2, 1.0
"""A time is told as changed where it grew or shrank by more than a fifth and by more than a second."""


class Way(StrEnum):
    """Where a clause went, seen from the promise."""

    WORSE = "worse"
    BETTER = "better"
    VANISHED = "vanished"
    APPEARED = "appeared"
    WEAKENED = "weakened"
    STRENGTHENED = "strengthened"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClauseChange:
    """One clause that is not what it was; `before` or `after` is empty where that run does not know the clause."""

    clause: str
    way: Way
    before: str
    after: str
    reason: str
    """Of the worse side: why it is not proven; empty where nothing is to be said."""
    regression: bool
    """It held, and nobody can say so any more: broken, unproven, unsupported, gone, or no longer a MUST."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdChange:
    """One figure of an alert's effective threshold that moved by more than two sound runs differ."""

    alert: str
    tier: str
    figure: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeChange:
    """What took so long in both runs, in seconds; `notable` where that is a change and not noise."""

    what: str
    before: float
    after: float
    notable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentChange:
    """Components (of all cells alike) that stood in another version or from another place."""

    names: tuple[str, ...]
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FactChange:
    """What was run in another way, such as another tempo: a reason to doubt that the runs can be compared."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """How `after` differs from `before`."""

    before: Result
    after: Result
    same: int
    """Clauses with the same status and level in both."""
    unproven: tuple[str, ...] = ()
    """Clauses that `after` judged and could not prove, also where `before` could not: nothing is known of them."""
    facts: tuple[FactChange, ...] = ()
    clauses: tuple[ClauseChange, ...] = ()
    thresholds: tuple[ThresholdChange, ...] = ()
    times: tuple[TimeChange, ...] = ()
    components: tuple[ComponentChange, ...] = ()

    @property
    def regressions(self) -> tuple[str, ...]:
        """What got worse, in words; a run that is no longer conformant is one even where no clause says why."""
        found = [f"{each.clause}: {each.before} → {each.after or 'absent'}" for each in self.clauses if each.regression]
        if not found and self.before is Result.CONFORMANT and self.after is not Result.CONFORMANT:
            found.append(f"result: {self.before} → {self.after}")
        return tuple(found)

    @property
    def nothing(self) -> bool:
        """No verdict, threshold, component or circumstance but the revision differs, and no time notably."""
        facts = [each for each in self.facts if each.what != "revision"]
        told = (facts, self.clauses, self.thresholds, self.components)
        return not any(told) and self.before is self.after and not any(each.notable for each in self.times)


def changes(
    before: Report,
    after: Report,
    *,
    programs_before: Mapping[str, float] | None = None,
    programs_after: Mapping[str, float] | None = None,
) -> Changes:
    """
    What `after` says otherwise than `before`: regressions first, then other clauses in the contract's order.

    `programs_*` are the seconds that each program took, where the caller knows them (a report does not hold them).
    """
    clauses = tuple(_clauses(before, after))
    ways = list(Way)
    return Changes(
        before=before.result,
        after=after.result,
        same=len({row.id for row in before.clauses} | {row.id for row in after.clauses}) - len(clauses),
        unproven=tuple(
            row.id
            for row in after.having(Status.UNPROVEN)
            if not (after.run.selection and row.reason.startswith(UNJUDGED))
        ),
        facts=tuple(_facts(before, after)),
        clauses=tuple(sorted(clauses, key=lambda each: (not each.regression, ways.index(each.way)))),
        thresholds=tuple(_thresholds(before, after)),
        times=tuple(_times(before, after, programs_before or {}, programs_after or {})),
        components=_components(before, after),
    )


def _facts(before: Report, after: Report) -> Iterator[FactChange]:
    for what in ("subject", "stack", "tempo", "revision"):
        one, other = (_shown(getattr(report.run, what)) for report in (before, after))
        if one != other:
            yield FactChange(what=what, before=one, after=other)
    chosen = ["a selection" if report.run.selection else "the whole contract" for report in (before, after)]
    if chosen[0] != chosen[1]:
        yield FactChange(what="tests", before=chosen[0], after=chosen[1])
    if before.run.why != after.run.why and before.result is after.result:
        one, other = ("; ".join(report.run.why) or "nothing" for report in (before, after))
        yield FactChange(what="not conformant because", before=one, after=other)


def _clauses(before: Report, after: Report) -> Iterator[ClauseChange]:
    old, new = ({row.id: row for row in report.clauses} for report in (before, after))
    for clause in dict.fromkeys([*new, *old]):
        one, other = old.get(clause), new.get(clause)
        if one is None or other is None:
            row = one or other
            assert row is not None, "a clause stands in one of the two"
            yield ClauseChange(
                clause=clause,
                way=Way.VANISHED if other is None else Way.APPEARED,
                before=_word(one),
                after=_word(other),
                reason=row.reason if other is not None and other.status is not Status.HOLDS else "",
                regression=one is not None and one.status is Status.HOLDS,
            )
        elif one.status is not other.status:
            ladder = list(Status)
            worse = ladder.index(other.status) > ladder.index(one.status)
            yield ClauseChange(
                clause=clause,
                way=Way.WORSE if worse else Way.BETTER,
                before=_word(one),
                after=_word(other),
                reason=(other if worse else one).reason,
                regression=worse and (one.status is Status.HOLDS or other.status is Status.BROKEN),
            )
        elif one.level is not other.level:
            weaker = one.level.value == "MUST"
            yield ClauseChange(
                clause=clause,
                way=Way.WEAKENED if weaker else Way.STRENGTHENED,
                before=f"{one.level} {one.status}",
                after=f"{other.level} {other.status}",
                reason="",
                regression=weaker,
            )


def _word(row: ClauseRow | None) -> str:
    if row is None:
        return ""
    # A clause that no chosen test covers is unproven by nature: the reader looks for no premise that failed.
    return "not judged" if row.status is Status.UNPROVEN and row.reason.startswith(UNJUDGED) else row.status.value


def _thresholds(before: Report, after: Report) -> Iterator[ThresholdChange]:
    old, new = ({(row.tier, row.alert, row.branch): row for row in report.thresholds} for report in (before, after))
    for key in dict.fromkeys([*new, *old]):
        tier, alert, branch = key
        name = f"{alert} ({branch})" if branch else alert
        one, other = old.get(key), new.get(key)
        if one is None or other is None:
            yield ThresholdChange(alert=name, tier=tier, figure="measured", before=_is(one), after=_is(other))
            continue
        for figure, left, right, exact in _figures(one, other):
            if left != right and (exact or _moved(left, right, tier)):
                yield ThresholdChange(alert=name, tier=tier, figure=figure, before=_shown(left), after=_shown(right))


def _figures(one: ThresholdRow, other: ThresholdRow) -> Iterator[tuple[str, object, object, bool]]:
    for name in ("documented", "unit", "carrier", "for_documented", "at_threshold", "monotone"):
        yield name.replace("_", " "), getattr(one, name), getattr(other, name), True
    for name in ("silent_at", "fires_at", "clears_at", "for_observed"):
        yield name.replace("_", " "), getattr(one, name), getattr(other, name), False
    for label in dict.fromkeys([*one.spread, *other.spread]):
        yield f"spread: {label}", one.spread.get(label), other.spread.get(label), False
    fire = [{each.multiple: each for each in row.time_to_fire} for row in (one, other)]
    for multiple in sorted(fire[0].keys() & fire[1].keys()):
        left, right = fire[0][multiple], fire[1][multiple]
        yield f"longest time to fire at {multiple:g} times", left.most, right.most, False


def _moved(left: object, right: object, tier: str) -> bool:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return True
    resolution = LIVE_RESOLUTION if tier == "live" else SIMULATED_RESOLUTION
    return abs(left - right) > resolution * max(abs(left), abs(right))


def _times(
    before: Report, after: Report, programs_before: Mapping[str, float], programs_after: Mapping[str, float]
) -> Iterator[TimeChange]:
    yield _time("the run", before.run.seconds, after.run.seconds)
    ready = [
        max((row.ready_seconds for row in report.components if row.ready_seconds is not None), default=None)
        for report in (before, after)
    ]
    if ready[0] is not None and ready[1] is not None:
        yield _time("the slowest component, until it was ready", ready[0], ready[1])
    for program in sorted(programs_before.keys() & programs_after.keys()):
        yield _time(f"program {program}", programs_before[program], programs_after[program])


def _time(what: str, before: float, after: float) -> TimeChange:
    low, high = sorted((before, after))
    return TimeChange(
        what=what, before=before, after=after, notable=high - low > LONGER_SECONDS and high > LONGER * low
    )


def _components(before: Report, after: Report) -> tuple[ComponentChange, ...]:
    if not before.components or not after.components:
        # A run that was judged again from its timelines stood nothing up.
        return ()
    old, new = ({row.name: _standing(row) for row in report.components} for report in (before, after))
    # Every cell has its own Prometheus: one new version is one change, not twelve.
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name, "absent"), new.get(name, "absent")
        if one != other:
            names[one, other].append(name)
    return tuple(ComponentChange(names=tuple(each), before=one, after=other) for (one, other), each in names.items())


def _standing(row: ComponentRow) -> str:
    parts = [row.version, row.source, row.image, "stand-in" * row.stand_in, "built here" * row.built_here]
    return ", ".join(part for part in parts if part) or "of unknown version"


def _is(row: ThresholdRow | None) -> str:
    return "not measured" if row is None else f"silent at {_shown(row.silent_at)}, fires at {_shown(row.fires_at)}"


def _shown(value: object) -> str:
    if value is None or value == "":
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else str(value)
