"""
One sweep: a leaf is scaled through many values in one case, and at each the alert's expression is asked.

It knows plateaus and what they got; it must not know which sweep follows from which.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from conformance.simulate.carrier import Kind, Unmeasurable
from conformance.simulate.promtool import Ask, Case
from conformance.simulate.series import Moving, Section, World, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.simulate.carrier import Anatomy, Condition, Key
    from conformance.simulate.promtool import Answer
    from conformance.simulate.series import Level

CLOSE: Final = 0.001
"""How far apart the last silent and the first firing value may lie, as a share of the value."""

EDGE: Final = 1e-7
"""How near to the edge a value says nothing, as a share of it."""

DEFAULT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MOST_STEPS: Final = 240
_EPOCH_STEPS: Final = 20_000
_AGES: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How a case is paced: the interval of scrapes and evaluations, and how many steps a plateau and a lead take."""

    interval_ms: int
    plateau: int
    lead: int
    contrast: bool = False
    epoch: int = 0
    """Steps before anything exists, so that a time may lie in the past and after time 0."""

    def begin(self, keys: Iterable[Key], held: Mapping[Key, Level]) -> list[Section]:
        """The sections before the first plateau."""
        before = [Section(steps=self.epoch, levels=dict.fromkeys(keys))] if self.epoch else []
        return [*before, self.rest(held)]

    def rest(self, held: Mapping[Key, Level]) -> Section:
        """A section before a plateau; what a rule compares with the past is at its baseline there."""
        return Section(steps=self.lead, levels={} if self.contrast else held)

    @classmethod
    def of(cls, anatomy: Anatomy, scrape_ms: int, oldest_s: int = 0) -> Pace:
        """Plateaus that cover the whole window; a window over an hour is sampled more coarsely."""
        interval = scrape_ms
        longest = anatomy.window_ms + anatomy.offset_ms
        if longest > _MOST_STEPS * scrape_ms:
            coarse = -(-longest // (_MOST_STEPS * scrape_ms)) * scrape_ms
            if anatomy.narrowest_ms:
                coarse = min(coarse, anatomy.narrowest_ms // (5 * scrape_ms) * scrape_ms)
            interval = max(scrape_ms, coarse)
        plateau = -(-anatomy.window_ms // interval) + 2 + len(anatomy.records)
        if not anatomy.offset_ms:
            epoch = 0
            if anatomy.dated:
                interval = max(interval, -(-_AGES * oldest_s * 1000 // _EPOCH_STEPS // scrape_ms) * scrape_ms)
                if anatomy.narrowest_ms and interval > scrape_ms:
                    raise Unmeasurable("a time that is compared as a number, beside a window", 0, len(anatomy.expr))
                epoch = -(-_AGES * oldest_s * 1000 // interval)
            # One more, so that questions fall on every plateau-th step, when recording rules are evaluated.
            return cls(interval_ms=interval, plateau=plateau, lead=plateau + 1, epoch=epoch // plateau * plateau)
        # A comparison with the past needs the baseline there, and no sample of it in the window.
        plateau = max(1, -(-anatomy.window_ms // interval)) + len(anatomy.records)
        if plateau * interval > anatomy.offset_ms:
            raise Unmeasurable("an offset that is shorter than the window", 0, len(anatomy.expr))
        lead = -(-(anatomy.offset_ms + anatomy.window_ms) // interval) + 2
        return cls(interval_ms=interval, plateau=plateau, lead=lead, contrast=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """What was asked of one leaf's values, ready to be put into a sheet."""

    name: str
    text: str
    condition: Condition
    key: Key
    xs: tuple[float, ...]
    edge: float | None = None
    """Where a straight line between the last bracket's values meets the threshold."""
    by_level: bool = False
    """For a series that is read as a level and as a slope: x is its level."""

    def level(self, x: float, held: Mapping[Key, Level]) -> Level:
        """What the leaf carries at x; the other half of a moving gauge stays as it is held."""
        rest = held.get(self.key)
        if self.by_level:
            return Moving(level=x, slope=rest.slope if isinstance(rest, Moving) else 0.0)
        if isinstance(rest, Moving):
            return Moving(level=rest.level, slope=x)
        return x

    def case(self, world: World, pace: Pace, held: Mapping[Key, Level]) -> Case:
        """The case: a lead at the baseline, then a plateau for each value, in order."""
        sections = pace.begin(world.leaves, held)
        asks: list[Ask] = []
        at = pace.epoch + pace.lead
        for x in self.xs:
            sections.append(Section(steps=pace.plateau, levels={**held, self.key: self.level(x, held)}))
            at += pace.plateau
            asks += [Ask(expr=expr, at_ms=(at - 1) * pace.interval_ms) for expr in self.exprs]
            if pace.contrast:
                sections.append(pace.rest(held))
                at += pace.lead
        series = written(world, sections, pace.interval_ms)
        return Case(name=self.name, series=series, asks=tuple(asks), interval_ms=pace.interval_ms)

    @property
    def exprs(self) -> tuple[str, ...]:
        sides = [self.condition.left, self.condition.right]
        return (self.text, *[side for side in sides if side and not _is_number(side)])

    def read(self, answers: Sequence[Answer]) -> Swept:
        """Sort the answers by value."""
        width = len(self.exprs)
        rows = [answers[start : start + width] for start in range(0, len(answers), width)]
        sides = [list(self.exprs).index(each) if each in self.exprs else None for each in self.sides]
        constants = [float(each) if each and _is_number(each) else None for each in self.sides]
        truth = self.condition.bool_ and (self.condition.inner or self.condition.guard)

        def side(row: Sequence[Answer], which: int) -> float | None:
            index = sides[which]
            return constants[which] if index is None else row[index].value

        return Swept(
            sweep=self,
            fired=tuple(row[0].found and (not truth or row[0].value == 1) for row in rows),
            left=tuple(side(row, 0) for row in rows),
            right=tuple(side(row, 1) for row in rows),
            error=next((answer.error for row in rows for answer in row if answer.error), ""),
        )

    @property
    def sides(self) -> tuple[str, str]:
        return (self.condition.left, self.condition.right)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """At each value whether the text had a result, and what the two sides of the condition were."""

    sweep: Sweep
    fired: tuple[bool, ...]
    left: tuple[float | None, ...]
    right: tuple[float | None, ...]
    error: str = ""

    @property
    def solid(self) -> tuple[int, ...]:
        """The indices of the values that lie clear of the edge: there the last digit of a sum decides, not the rule."""
        edge = self.sweep.edge
        return tuple(
            index for index, x in enumerate(self.sweep.xs) if edge is None or x == 0 or abs(x - edge) > EDGE * abs(edge)
        )

    @property
    def flips(self) -> tuple[tuple[int, int], ...]:
        """The neighbours between which firing changes."""
        solid = self.solid
        return tuple((one, other) for one, other in itertools.pairwise(solid) if self.fired[one] != self.fired[other])

    @property
    def turn(self) -> tuple[int, int] | None:
        """The neighbours between which the condition itself changes: the only ones, or the only ones it explains."""
        if len(self.flips) == 1:
            return self.flips[0]
        own = [each for each in self.flips if self.crosses(each)]
        return own[0] if len(own) == 1 else None

    @property
    def upward(self) -> bool:
        turn = self.turn
        return self.fired[turn[1]] if turn else self.fired[-1]

    @property
    def bracket(self) -> tuple[float, float]:
        """The last value before the change and the first after it, in ascending order."""
        turn = self.turn
        if turn is None:
            raise ValueError(f"{self.sweep.name} has no change to bracket")
        return self.sweep.xs[turn[0]], self.sweep.xs[turn[1]]

    @property
    def silent_at(self) -> float:
        return self.bracket[0 if self.upward else 1]

    @property
    def fires_at(self) -> float:
        return self.bracket[1 if self.upward else 0]

    @property
    def close(self) -> bool:
        low, high = self.bracket
        return high - low <= CLOSE * max(abs(low), abs(high)) * 1.000001

    @property
    def expected(self) -> float | None:
        """Where a straight line between the bracket's values meets the threshold."""
        if self.turn is None:
            return None
        before, after = (self.difference(each) for each in self.turn)
        if before is None or after is None or before == after:
            return None
        low, high = self.bracket
        return low + (high - low) * before / (before - after)

    def difference(self, index: int) -> float | None:
        """Left less right at a value, where both are finite."""
        left, right = self.left[index], self.right[index]
        if left is None or right is None or not math.isfinite(left) or not math.isfinite(right):
            return None
        return left - right

    def crosses(self, turn: tuple[int, int]) -> bool:
        """Whether a change of firing is the change of the comparison itself."""
        silent, fires = turn if self.fired[turn[1]] else (turn[1], turn[0])
        operator = self.sweep.condition.operator
        left, right = self.left[fires], self.right[fires]
        # Infinite is no number: what fires by it alone fires for another reason.
        if left is None or right is None or not _holds(left, operator, right) or math.isinf(left):
            return False
        left, right = self.left[silent], self.right[silent]
        if left is None and self.sweep.xs[silent] == 0:
            # Nothing to count is no number, and as good as none.
            return True
        return left is not None and right is not None and not _holds(left, operator, right)

    def finer(self, name: str) -> Sweep:
        """The next sweep between the bracket's values: around where a straight line meets the threshold, and evenly."""
        low, high = self.bracket
        found = {low, high, self.sweep.condition.constant or 0.0}
        edge = self.expected
        if edge is not None:
            found |= {edge, float(f"{edge:.12g}"), float(f"{edge:.6g}")}
            found |= {edge * (1 + sign * part) for part in (0.002, 0.02) for sign in (-1, 1)}
        count = 18 if edge is None or self.sweep.edge is not None else 5
        found = {*between(low, high, count), *(each for each in found if low <= each <= high)}
        if edge:
            # Clear of the edge on both sides, even where the bracket ends at the edge itself.
            found |= {edge * (1 + sign * part) for part in (0.0002, 0.0004) for sign in (-1, 1)}
        return replace(self.sweep, name=name, xs=tuple(sorted(found)), edge=edge)


def _holds(left: float, operator: str, right: float) -> bool:
    match operator:
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case "==":
            return left == right
    return left != right


def between(low: float, high: float, count: int) -> Iterable[float]:
    """Values inside a bracket, evenly spread, by ratio where both ends have one sign."""
    if low > 0 and high > low:
        return [low * (high / low) ** (index / count) for index in range(1, count)]
    if high < 0 and high > low:
        return [low * (high / low) ** (index / count) for index in range(1, count)]
    return [low + (high - low) * index / count for index in range(1, count)]


def values(
    condition: Condition, kind: Kind, buckets: Sequence[float], counted: int, most: int = 0
) -> tuple[float, ...]:
    """The coarse values of a first sweep; of whole numbers every one, up to `most`."""
    if kind in (Kind.CHANGES, Kind.RESETS):
        return tuple(float(each) for each in range(min(most, 60) + 1))
    if counted:
        return tuple(float(each) for each in range(counted + 1))
    if kind is Kind.HISTOGRAM:
        middles = [(low + high) / 2 for low, high in zip((0.0, *buckets), buckets, strict=False)]
        return (*middles, buckets[-1] * 2)
    theta = abs(condition.constant or 0.0)
    found = {0.0, *(10.0**index for index in range(-4, 13))}
    if theta:
        found |= {theta * 10 ** (index / 2) for index in range(-2, 7)}
    signed = kind in (Kind.GAUGE, Kind.SLOPE, Kind.AGE)
    if signed and (condition.operator in {"<", "<="} or (condition.constant or 0.0) <= 0):
        found |= {-each for each in found}
    return tuple(sorted(found))


def bounds(constant: float | None) -> tuple[float, ...]:
    """Bucket bounds around a threshold, for a histogram whose buckets nobody told."""
    if not constant or constant <= 0:
        return DEFAULT_BUCKETS
    return tuple(float(f"{constant * part:.6g}") for part in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 4, 8))
