"""
A chart drawn as SVG by Vega, without a script in the page; it must not know what is drawn.

Colours are the page's own (CSS variables), so that a drawing follows light, dark and paper. Texts go in as data and as
values of marks, never as expressions, so that none is ever evaluated.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.report.clean import cut, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from conformance.report.chart import Band, Chart

WIDTH, HEIGHT = 400, 130
_LEFT, _RIGHT, _TOP, _BOTTOM, _LANE = 50, 12, 22, 42, 15
VIEW = (_LEFT + WIDTH + _RIGHT, _TOP + HEIGHT + _BOTTOM)
"""Width and height of a drawing, in its own units: on a phone they are shown four fifths as large."""

COLOURS = 6
"""Lines have `--line-1` to this number; further lines begin again, with other dashes."""
MOST_LINES = 24
"""More could not be told apart; all of them stand in report.json."""
PATIENCE = 30.0
"""Seconds for all drawings of a page; a second is usual."""
ROOT = Path(__file__).parents[2]
_MINUTES_FROM = 240.0
_FARTHEST = 1e300
_FONT = "system-ui, sans-serif"
_STATES = {"pending": "var(--pending)", "firing": "var(--firing)"}
_ON_STATES = {"pending": "var(--on-pending)", "firing": "var(--on-firing)"}
DASHES = ([1, 0], [5, 3], [2, 2], [8, 3, 2, 3])


class DrawingError(Exception):
    """A chart could not be drawn."""


class Begun:
    """Charts that are being drawn while others still judge: to draw a page takes as long as to judge it."""

    def __init__(self, charts: Sequence[Chart]) -> None:
        self.charts = tuple(charts)
        beside = ThreadPoolExecutor(max_workers=1)
        self._drawn = beside.submit(drawings, self.charts)
        beside.shutdown(wait=False)

    def drawings(self) -> list[str | DrawingError]:
        """The drawings of the charts, once they are done."""
        return self._drawn.result()


def drawings(
    charts: Sequence[Chart], seconds: float = PATIENCE, *, begun: Begun | None = None
) -> list[str | DrawingError]:
    """
    For each chart what stands inside of an `svg` element with the view box `0 0 VIEW`, or why it was not drawn.

    All are drawn in one process beside this one, which is ended when it takes longer than `seconds`; those that were
    begun before are taken from there.
    """
    if not charts:
        return []
    if begun is not None and begun.charts == tuple(charts):
        return begun.drawings()
    command = [sys.executable, "-m", "conformance.report.draw"]
    given = json.dumps([_spec(chart) for chart in charts])
    try:
        done = subprocess.run(
            command,
            input=given,
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=seconds,
            check=True,
        )
        drawn = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return [DrawingError(f"it took longer than {seconds:g} s")] * len(charts)
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or ["no word"]
        return [DrawingError(cut(plain(f"what draws ended with {error.returncode}: {last[0]}"), 300))] * len(charts)
    except (OSError, ValueError) as error:
        return [DrawingError(cut(plain(f"{type(error).__name__}: {error}"), 300))] * len(charts)
    return [_inner(each) for each in drawn]


def _inner(drawn: Mapping[str, str]) -> str | DrawingError:
    if "error" in drawn:
        return DrawingError(cut(plain(drawn["error"]), 300))
    inner = re.fullmatch(r"\s*<svg[^>]*>(.*)</svg>\s*", drawn["svg"], re.DOTALL)
    return DrawingError("the drawing is no svg element") if inner is None else inner.group(1)


def begin_and_end(chart: Chart) -> tuple[float, float]:
    """The first and the last instant of anything in the chart, in Unix seconds; (0, 0) where there is nothing."""
    instants = [instant for line in chart.lines for instant, _ in line.points]
    instants += [instant for band in chart.bands for instant in (band.start, band.end)]
    instants += [mark.at for mark in chart.marks]
    return (min(instants), max(instants)) if instants else (0.0, 0.0)


def heights(chart: Chart) -> tuple[float, float]:
    """The lowest and the highest value to be shown, with some air; what no page can show is left out."""
    values = [value for line in chart.lines for _, value in line.points if value is not None]
    values += [level.value for level in chart.levels]
    values = [value for value in values if abs(value) < _FARTHEST]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if low >= 0 and low < high / 2:
        low = 0.0
    air = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    return (low if low == 0.0 else low - air), high + air


def _spec(chart: Chart) -> dict[str, object]:
    begin, end = begin_and_end(chart)
    scale, unit = (60.0, "min") if end - begin > _MINUTES_FROM else (1.0, "s")
    low, high = heights(chart)
    large = {"format": "~s"} if max(abs(low), abs(high)) >= 10_000 else {}

    def place(instant: float) -> float:
        return round((instant - begin) / scale, 4)

    return {
        "$schema": "https://vega.github.io/schema/vega/v5.json",
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": "none",
        "padding": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        # The page describes the drawing in words of its own.
        "config": {"aria": False, "background": None},
        "data": list(_data(chart, place, low, high)),
        "scales": [
            {"name": "x", "type": "linear", "range": "width", "domain": [0, place(end) or 1.0]},
            {"name": "y", "type": "linear", "range": "height", "domain": [low, high], "zero": False},
        ],
        "axes": [
            _axis(scale="x", orient="bottom", offset=_LANE + 2, tickCount=6),
            # Vega's own format shows no more digits than the ticks need; a large number needs a prefix.
            _axis(scale="y", orient="left", grid=True, tickCount=4, gridColor="var(--line)", **large),
        ],
        "marks": [*_marks(chart), _unit(unit)],
    }


def _axis(**given: object) -> dict[str, object]:
    quiet = "var(--quiet)"
    return {
        "labelColor": quiet,
        "titleColor": quiet,
        "domainColor": quiet,
        "tickColor": quiet,
        "labelFont": _FONT,
        "titleFont": _FONT,
        "labelFontSize": 13.5,
        "titleFontSize": 13.5,
        "titleFontWeight": "normal",
        "tickSize": 4,
        "aria": False,
        **given,
    }


def _data(chart: Chart, place: Callable[[float], float], low: float, high: float) -> Iterator[dict[str, object]]:
    phases = [band for band in chart.bands if band.kind == "phase"]
    yield {"name": "phases", "values": list(_bands(phases, place, chart))}
    yield {"name": "states", "values": list(_bands([b for b in chart.bands if b.kind != "phase"], place, chart))}
    yield {"name": "marks", "values": [{"at": place(mark.at), "down": mark.kind == "resolved"} for mark in chart.marks]}
    levels = [level for level in chart.levels if low <= level.value <= high]
    yield {"name": "levels", "values": [{"v": level.value, "label": _short(level.label)} for level in levels]}
    for number, line in enumerate(chart.lines[:MOST_LINES]):
        # A height that no scale can hold is a gap: drawn, it would be a line from nowhere.
        values = [
            {"t": place(instant), "v": value if value is not None and abs(value) < _FARTHEST else None}
            for instant, value in line.points
        ]
        yield {"name": f"line-{number}", "values": values}
        # A value between two gaps is a line of no length: nobody would see it.
        held = [None, *(value["v"] for value in values), None]
        lone = [value for n, value in enumerate(values) if held[n] is None and held[n + 2] is None]
        yield {"name": f"lone-{number}", "values": [value for value in lone if value["v"] is not None]}


def _bands(bands: Sequence[Band], place: Callable[[float], float], chart: Chart) -> Iterable[dict[str, object]]:
    begin, end = begin_and_end(chart)
    for number, band in enumerate(bands):
        wide = WIDTH * (band.end - band.start) / ((end - begin) or 1.0)
        # Text that does not fit is cut, and where three letters would be left, none stand there.
        letters = max(int((wide - 8) / 7.4), 0)
        label = cut(band.label, 60)
        yield {
            "a": place(band.start),
            "b": place(band.end),
            "kind": band.kind,
            "label": "" if letters < min(len(label), 4) else cut(label, letters),
            "odd": number % 2,
        }


def _short(text: str) -> str:
    return cut(text, 60)


def _marks(chart: Chart) -> Iterator[dict[str, object]]:
    left, right = {"scale": "x", "field": "a"}, {"scale": "x", "field": "b"}
    inside = {**left, "offset": 4}
    stretch = {"x": left, "x2": right}
    yield _mark(
        "rect", "phases", **stretch, y=_at(-_TOP), y2=_at(HEIGHT), fill=_at("var(--phase)"), opacity={"field": "odd"}
    )
    yield _mark("rule", "phases", x=left, y=_at(-_TOP), y2=_at(HEIGHT), stroke=_at("var(--line)"))
    yield _text("phases", x=inside, y=_at(-6), fill=_at("var(--quiet)"))
    colour, ink = ([*_by_kind(words), _at("var(--quiet)")] for words in (_STATES, _ON_STATES))
    yield _mark("rect", "states", **stretch, y=_at(0), y2=_at(HEIGHT), fill=colour, opacity=_at(0.13))
    yield _mark("rect", "states", **stretch, y=_at(HEIGHT), y2=_at(HEIGHT + _LANE), fill=colour)
    yield _text("states", x=inside, y=_at(HEIGHT + _LANE - 3), fill=ink)
    for number in range(min(len(chart.lines), MOST_LINES)):
        yield {
            "type": "line",
            "from": {"data": f"line-{number}"},
            "aria": False,
            "encode": {
                "update": {
                    "x": {"scale": "x", "field": "t"},
                    "y": {"scale": "y", "field": "v"},
                    "defined": {"signal": "isValid(datum.v)"},
                    "stroke": _at(f"var(--line-{number % COLOURS + 1})"),
                    "strokeWidth": _at(2),
                    "strokeDash": _at(DASHES[number // COLOURS % len(DASHES)]),
                    "strokeJoin": _at("round"),
                }
            },
        }
        yield _mark(
            "symbol",
            f"lone-{number}",
            x={"scale": "x", "field": "t"},
            y={"scale": "y", "field": "v"},
            size=_at(45),
            fill=_at(f"var(--line-{number % COLOURS + 1})"),
        )
    height = {"scale": "y", "field": "v"}
    dashed = {"stroke": _at("var(--level)"), "strokeDash": _at([6, 3]), "strokeWidth": _at(1.5)}
    yield _mark("rule", "levels", x=_at(0), x2=_at(WIDTH), y=height, **dashed)
    yield _text("levels", x=_at(5), y={**height, "offset": -4}, fill=_at("var(--level)"))
    when = {"scale": "x", "field": "at"}
    solid = _at("var(--ink)")
    yield _mark("rule", "marks", x=when, y=_at(0), y2=_at(HEIGHT), stroke=solid, strokeDash=_at([2, 3]))
    down = "datum.down"
    yield _mark(
        "symbol",
        "marks",
        x=when,
        y=_at(7),
        size=_at(80),
        shape=[{"test": down, "value": "triangle-down"}, _at("triangle-up")],
        fill=[{"test": down, "value": "var(--card)"}, solid],
        stroke=solid,
    )


def _by_kind(words: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"test": f"datum.kind === '{kind}'", "value": word} for kind, word in words.items()]


def _unit(unit: str) -> dict[str, object]:
    # On the line of the ticks, left of the first, where no tick can be.
    encoded = {
        "text": _at(unit),
        "x": _at(-10),
        "y": _at(HEIGHT + _LANE + 20),
        "align": _at("right"),
        "fill": _at("var(--quiet)"),
        "font": _at(_FONT),
        "fontSize": _at(13.5),
    }
    return {"type": "text", "aria": False, "encode": {"update": encoded}}


def _mark(kind: str, data: str, **encoded: object) -> dict[str, object]:
    return {"type": kind, "from": {"data": data}, "aria": False, "encode": {"update": encoded}}


def _text(data: str, **encoded: object) -> dict[str, object]:
    return _mark("text", data, text={"field": "label"}, font=_at(_FONT), fontSize=_at(13), **encoded)


def _at(value: object) -> dict[str, object]:
    return {"value": value}
