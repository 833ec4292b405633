"""Charts in the page: each drawn, told in words, and as a table; a drawing that fails costs the drawing alone."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.judge.verdict import Status
from conformance.report.chart import thinned
from conformance.report.clean import count, cut
from conformance.report.picture import COLOURS, MOST_LINES, VIEW, Begun, DrawingError, begin_and_end, drawings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.report.chart import Band, Chart
    from conformance.report.record import ClauseRow

MOST_BYTES = 700_000
"""Characters of drawings and tables in one page; the charts beyond stand in report.json."""
_MOST_DRAWN = 150
_MOST_ROWS = 48
_MOST_COLUMNS = 12
_MOST_TOLD = 40
_LONGEST = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A chart with its number in the page; `lines` are the figure as HTML, `drawn` whether it can be shown again."""

    number: int
    chart: Chart
    lines: tuple[str, ...] = field(repr=False)
    drawn: bool

    def about(self, clause: str) -> bool:
        """Whether the chart illustrates that clause."""
        return clause == self.chart.about or clause.startswith(f"{self.chart.about}/")

    def again(self) -> Iterator[str]:
        """The same drawing at another place of the page, with a link to the figure."""
        label = f'<a href="#chart-{self.number}">{_text(self.chart.title)}</a>'
        if self.drawn:
            name = _text(f"{self.chart.title}: {story(self.chart)}")
            yield f'<figure class="chart"><figcaption>{label}{_unit(self.chart)}</figcaption>'
            yield f'{_svg(name)}<use href="#drawing-{self.number}"/></svg></figure>'
        else:
            yield f'<p class="quiet">chart: {label}</p>'


def begin(charts: Sequence[Chart]) -> Begun:
    """Draw what `figures` will be asked for, while others go on."""
    return Begun(charts[:_MOST_DRAWN])


def figures(charts: Sequence[Chart], begun: Begun | None = None) -> tuple[Figure, ...]:
    """The figures of as many charts as the page can hold; some may have been `begun`."""
    made: list[Figure] = []
    spent = 0
    asked = charts[:_MOST_DRAWN]
    for number, (chart, drawing) in enumerate(zip(asked, drawings(asked, begun=begun), strict=True), 1):
        figure = _figure(number, chart, drawing)
        spent += sum(map(len, figure.lines))
        if spent > MOST_BYTES:
            break
        made.append(figure)
    return tuple(made)


def key() -> str:
    """What the signs in a drawing mean."""
    signs = (
        ('<i class="swatch pending"></i>', "pending"),
        ('<i class="swatch firing"></i>', "firing"),
        ('<i class="dashes"></i>', "threshold"),
        ("▲", "a page arrived"),
        ("▽", "its end was told"),
    )
    shown = "".join(f'<li><span aria-hidden="true">{sign}</span> {word}</li>' for sign, word in signs)
    return f'<ul class="key">{shown}</ul>'


def story(chart: Chart) -> str:
    """The chart in a sentence: its values, its states and what was told, in seconds since its beginning."""
    begin, _ = begin_and_end(chart)
    values = [value for line in chart.lines for _, value in line.points if value is not None]
    told = [f"values from {min(values):g} to {max(values):g} {chart.unit}".rstrip() if values else "no value"]
    told += [f"{level.label}" for level in chart.levels]
    told += [_stretch(band, begin) for band in chart.bands if band.kind != "phase"]
    told += [f"{mark.label} at {mark.at - begin:.1f} s" for mark in chart.marks]
    more = [f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
    return "; ".join([cut(each, _LONGEST) for each in told[:_MOST_TOLD]] + more)


def _stretch(band: Band, begin: float) -> str:
    return f"{band.label} from {band.start - begin:.1f} s to {band.end - begin:.1f} s"


def _figure(number: int, chart: Chart, drawing: str | DrawingError) -> Figure:
    lines = [f'<figure class="chart" id="chart-{number}">']
    lines.append(f"<figcaption>{_text(chart.title)}{_unit(chart)}</figcaption>")
    drawn = isinstance(drawing, str)
    if drawn:
        lines.append(f'{_svg(_text(f"{chart.title}: {story(chart)}"))}<g id="drawing-{number}">{drawing}</g></svg>')
    else:
        lines.append(f'<p class="quiet">not drawn: {_text(str(drawing))}</p>')
    lines += _names(chart)
    if chart.note:
        lines.append(f'<p class="note">{_text(chart.note)}</p>')
    lines += _values(chart)
    lines.append("</figure>")
    return Figure(number=number, chart=chart, lines=tuple(lines), drawn=drawn)


def _svg(name: str) -> str:
    return f'<svg viewBox="0 0 {VIEW[0]} {VIEW[1]}" role="img" aria-label="{name}">'


def _unit(chart: Chart) -> str:
    return f" <small>{_text(chart.unit)}</small>" if chart.unit else ""


def _names(chart: Chart) -> Iterator[str]:
    if not chart.lines:
        return
    yield '<ul class="lines">'
    for number, line in enumerate(chart.lines[:MOST_LINES]):
        stroke = f'<i class="stroke line-{number % COLOURS + 1}" aria-hidden="true"></i>'
        yield f"<li>{stroke}<code>{_text(line.name)}</code></li>"
    if len(chart.lines) > MOST_LINES:
        yield f"<li>{count(len(chart.lines) - MOST_LINES, 'line')} more in report.json</li>"
    yield "</ul>"


def _values(chart: Chart) -> Iterator[str]:
    begin, _ = begin_and_end(chart)
    kept = chart.lines[:_MOST_COLUMNS]
    columns = [dict(thinned(line.points, _MOST_ROWS)) for line in kept]
    instants = sorted({instant for column in columns for instant in column})
    # Columns of unlike instants could make many rows of them.
    step = -(-len(instants) // (2 * _MOST_ROWS)) or 1
    yield "<details><summary>In words and as a table</summary>"
    yield f"<p>{_text(story(chart), 8_000)}.</p>"
    if phases := [_stretch(band, begin) for band in chart.bands if band.kind == "phase"]:
        yield f"<p>Phases: {_text('; '.join(phases[:_MOST_TOLD]), 4_000)}.</p>"
    if instants:
        head = "".join(f'<th scope="col" class="n">{_text(line.name)}</th>' for line in kept)
        label = _text(f"values of {chart.title}")
        yield f'<div class="scroll" tabindex="0" role="group" aria-label="{label}"><table class="values">'
        yield f'<thead><tr><th scope="col" class="n">s</th>{head}</tr></thead><tbody>'
        for instant in instants[::step]:
            cells = "".join(f'<td class="n">{_value(column.get(instant))}</td>' for column in columns)
            yield f'<tr><th scope="row" class="n">{instant - begin:.2f}</th>{cells}</tr>'
        yield "</tbody></table></div>"
        if any(len(column) < len(line.points) for column, line in zip(columns, kept, strict=True)) or step > 1:
            yield '<p class="note">Thinned, extremes kept; more in report.json.</p>'
    yield "</details>"


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _text(text: str, longest: int = _LONGEST) -> str:
    return html.escape(cut(text, longest))


def summary(clauses: Sequence[ClauseRow]) -> str:
    """`7 hold`, `5 hold, 1 broken`: what became of the clauses that a chart is about."""
    counts = Counter(row.status for row in clauses)
    words = [("hold" if status is Status.HOLDS and number > 1 else status, number) for status, number in counts.items()]
    return ", ".join(f"{number} {word}" for word, number in words)
