"""A chart as data: lines over time, what happened along it, values that matter; it must not know how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One series: `points` are (Unix seconds, value in the chart's unit), None where there was no value."""

    name: str
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A stretch of time, in Unix seconds: a `phase` of the program, or an alert `pending` or `firing`."""

    kind: str
    label: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """An instant, in Unix seconds: a `notification` that arrived, or one that told the end (`resolved`)."""

    kind: str
    label: str
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A value that is compared with, such as a threshold."""

    label: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What one alert or one panel looked like; `about` is the beginning of the clause ids that it illustrates."""

    about: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    levels: tuple[Level, ...] = ()
    note: str = ""


MOST_POINTS = 240
"""More than a chart of this size can show apart."""


def thinned(
    points: tuple[tuple[float, float | None], ...], most: int = MOST_POINTS
) -> tuple[tuple[float, float | None], ...]:
    """About `most` of the points: of each stretch its first, its lowest and its highest, and a gap if it has one."""
    if len(points) <= most:
        return points
    stretch = -(-len(points) // (most // 4))
    kept: dict[int, None] = {}
    for start in range(0, len(points), stretch):
        places = range(start, min(start + stretch, len(points)))
        values = [(value, place) for place in places if (value := points[place][1]) is not None]
        gap = next((place for place in places if points[place][1] is None), None)
        chosen = {start, *([min(values)[1], max(values)[1]] if values else []), *([] if gap is None else [gap])}
        kept |= dict.fromkeys(sorted(chosen))
    return tuple(points[place] for place in dict.fromkeys([*kept, len(points) - 1]))
