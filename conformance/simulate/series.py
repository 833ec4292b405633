"""
Writing input series: what each leaf carries in each section of a case, in promtool's notation.

It knows how a counter, a gauge or a histogram looks over time; it must not know why a value is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from conformance.simulate.carrier import Kind, escaped
from conformance.simulate.example import matching, meets
from conformance.simulate.promtool import Series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.simulate.carrier import Key, Leaf

REQUESTS: Final = 10.0
"""Observations a second in a histogram."""

START: Final = 1_000.0
"""Where counters and the level of moving gauges begin; a rate must not see the edge at 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slow:
    """A share of a histogram's observations is slow and the others take the shortest bucket."""

    share: float
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Moving:
    """A gauge that ends a section at a level, and reaches it with a slope."""

    level: float
    slope: float


Level = float | Slow | Moving | None
"""What a leaf carries; nothing means that it is absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """How long, in steps of the case's interval, the leaves stand at their levels; others at their baseline."""

    steps: int
    levels: Mapping[Key, Level] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The leaves with their baselines, a histogram's bucket bounds, and how many series a counted leaf has."""

    leaves: Mapping[Key, Leaf]
    baseline: Mapping[Key, Level]
    buckets: Mapping[Key, tuple[float, ...]] = field(default_factory=dict)
    on_off: Mapping[Key, tuple[float, float | None]] = field(default_factory=dict)
    counted: int = 20
    decoys: Mapping[Key, float] = field(default_factory=dict)


def number(value: float) -> str:
    """A value without an exponent, as the notation wants it."""
    return f"{Decimal(repr(value)):f}" if abs(value) != float("inf") else ("Inf" if value > 0 else "-Inf")


def written(
    world: World, sections: Sequence[Section], interval_ms: int, *, spread: Mapping[Key, int] | None = None
) -> tuple[Series, ...]:
    """
    Every series of the world over the sections.

    `spread` says over how many label sets a leaf is laid: flows and carriers are shared out evenly when the number is
    positive, and repeated in each label set when it is negative.
    """
    found: list[Series] = []
    for key, leaf in world.leaves.items():
        levels = [(each.steps, each.levels.get(key, world.baseline[key])) for each in sections]
        copies = (spread or {}).get(key, 1)
        if leaf.counted:
            found += _counted(leaf, levels, world, interval_ms)
        elif leaf.kind is Kind.HISTOGRAM:
            found += _histogram(leaf, levels, interval_ms, world.buckets[key], copies)
        else:
            for index in range(abs(copies)):
                share = 1 / copies if copies > 0 else 1.0
                labels = {**leaf.labels, leaf.vary: f"s{index}"} if copies != 1 else leaf.labels
                parts = [(steps, level * share if isinstance(level, float) else level) for steps, level in levels]
                found.append(Series(name=named(leaf.name, labels), values=_values(leaf, parts, interval_ms)))
        found += _decoys(world, leaf, sum(each.steps for each in sections), interval_ms)
    return tuple({each.name: each for each in reversed(found)}.values())


def named(name: str, labels: Mapping[str, str]) -> str:
    """A series as it is written: its name with its labels in order."""
    inner = ",".join(f'{label}="{escaped(value)}"' for label, value in sorted(labels.items()))
    if ":" in name or name.replace("_", "a").isalnum():
        return f"{name}{{{inner}}}" if inner else name
    return f'{{"{escaped(name)}",{inner}}}'


def _gone(steps: int) -> str:
    return f"stale _x{steps - 1}" if steps > 1 else "stale"


def _values(leaf: Leaf, parts: Sequence[tuple[int, Level]], interval_ms: int) -> str:
    """One series; a counter goes on from where it stood, a moving gauge ends each section at its level."""
    step = interval_ms / 1000
    pieces: list[str] = []
    total, index = START, 0
    for steps, level in parts:
        if level is None or isinstance(level, Slow):
            pieces.append(_gone(steps))
        elif isinstance(level, Moving) or leaf.kind is Kind.SLOPE:
            moving = level if isinstance(level, Moving) else Moving(level=START, slope=level)
            slope = moving.slope * step
            pieces.append(_line(moving.level - slope * (steps - 1), slope, steps))
        elif leaf.kind in (Kind.CHANGES, Kind.RESETS):
            pieces.append(_turning(leaf, level, index, steps, interval_ms))
        elif leaf.kind is Kind.COUNTER:
            pieces.append(_line(total + level * step, level * step, steps))
            total += level * step * steps
        elif leaf.kind is Kind.AGE:
            # The time of a sample less x; negative factors lie ahead of it.
            unit = abs(leaf.factor)
            ahead = level if leaf.factor < 0 else -level
            pieces.append(_line(unit * (index * step + ahead), unit * step, steps))
        else:
            pieces.append(f"{number(level)}x{steps - 1}" if steps > 1 else number(level))
        index += steps
    return " ".join(pieces)


def _turning(leaf: Leaf, level: float, index: int, steps: int, interval_ms: int) -> str:
    """A value that rises (for resets falls) by one as often as to do it `level` times in every window."""
    pairs = max(1, leaf.window_ms // interval_ms - 1)
    sign = -1 if leaf.kind is Kind.RESETS else 1
    # Whole numbers, so that every window of the section holds exactly as many.
    return " ".join(str(sign * ((index + step) * round(level) // pairs)) for step in range(steps))


def _line(first: float, slope: float, steps: int) -> str:
    if steps == 1:
        return number(first)
    return f"{number(first)}{'-' if slope < 0 else '+'}{number(abs(slope))}x{steps - 1}"


def _histogram(
    leaf: Leaf, levels: Sequence[tuple[int, Level]], interval_ms: int, buckets: Sequence[float], copies: int
) -> list[Series]:
    found = []
    for index in range(abs(copies)):
        labels = {**leaf.labels, leaf.vary: f"s{index}"} if copies != 1 else leaf.labels
        rate = REQUESTS / copies if copies > 0 else REQUESTS
        for bound in (*buckets, float("inf")):
            total, pieces = START, []
            for steps, level in levels:
                if level is None or isinstance(level, Moving):
                    pieces.append(_gone(steps))
                    continue
                slope = rate * _within(level, bound, buckets) * interval_ms / 1000
                pieces.append(_line(total + slope, slope, steps))
                total += slope * steps
            text = "+Inf" if bound == float("inf") else f"{bound:g}"
            found.append(Series(name=named(leaf.name, {**labels, "le": text}), values=" ".join(pieces)))
    return found


def _within(level: float | Slow, bound: float, buckets: Sequence[float]) -> float:
    """The share of observations that a bucket counts."""
    if isinstance(level, Slow):
        return (1 - level.share) * (buckets[0] <= bound) + level.share * (level.value <= bound)
    return float(level <= bound)


def _counted(leaf: Leaf, levels: Sequence[tuple[int, Level]], world: World, interval_ms: int) -> list[Series]:
    on, off = world.on_off.get(leaf.key, (1.0, 0.0 if leaf.valued else None))
    found = []
    for index in range(world.counted):
        # A series that does not meet the condition is there all the same, where the condition is on its value.
        parts = [
            (steps, None if level is None else on if isinstance(level, float) and index < level else off)
            for steps, level in levels
        ]
        labels = {**leaf.labels, leaf.vary: f"s{index:03d}"}
        found.append(Series(name=named(leaf.name, labels), values=_values(leaf, parts, interval_ms)))
    return found


def _decoys(world: World, leaf: Leaf, steps: int, interval_ms: int) -> list[Series]:
    """For each matcher one series that it alone keeps out."""
    found = []
    level = world.decoys.get(leaf.key)
    if level is None or leaf.counted or leaf.kind is Kind.HISTOGRAM:
        return []
    for label, operator, value in leaf.matchers:
        if label in {"le", "__name__"}:
            continue
        opposite = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[operator]
        others = [(op, text) for name, op, text in leaf.matchers if name == label and (op, text) != (operator, value)]
        decoy = matching([*others, (opposite, value)], prefer=["decoy"])
        labels = {name: text for name, text in {**leaf.labels, label: decoy or ""}.items() if text}
        if decoy is None or any(_selects(other, leaf.name, labels) for other in world.leaves.values()):
            continue
        found.append(Series(name=named(leaf.name, labels), values=_values(leaf, [(steps, level)], interval_ms)))
    return found


def _selects(leaf: Leaf, name: str, labels: Mapping[str, str]) -> bool:
    return leaf.name == name and all(
        meets(labels.get(label, ""), operator, value) for label, operator, value in leaf.matchers
    )
