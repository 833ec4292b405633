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
