"""The report as one page that needs no network and no script: readable on a phone, in light and dark, and on paper."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING
from urllib.parse import quote

from conformance.contract.model import Level
from conformance.judge.verdict import Status
from conformance.report import differences, matrix
from conformance.report.clean import clip, count, cut, plain
from conformance.report.compare import changes
from conformance.report.figure import figures, key, summary
from conformance.report.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.report.chart import Chart
    from conformance.report.figure import Figure
    from conformance.report.matrix import Group, Row
    from conformance.report.picture import Begun
    from conformance.report.record import ClauseRow, Report, ThresholdRow

_LONGEST = 4_000
_MOST_FINDINGS = 20
_LONGEST_SUMMARY = 300
# On a phone five columns fit only if the longest head may break.
_NARROW = {Status.UNSUPPORTED: "unsup&shy;ported"}
_OPEN_AT_MOST = 12
"""So many things not proven are shown unfolded; more would bury the matrix."""
_MOST_SHOWN_AGAIN = 2
"""Drawings shown beside a broken clause; the others stand with their alert."""


def render(report: Report, earlier: tuple[str, Report] | None = None, begun: Begun | None = None) -> str:
    """The whole page; `earlier` is the run before, with its name, to tell what differs; `begun` has its drawings."""
    title = f"Monitoring conformance: {report.result}"
    drawn = figures(report.charts, begun)
    differs = _differs(report, *earlier) if earlier else ""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            # Whatever a hostile value might become, the page loads nothing and runs nothing.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_text(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *_header(report, differs=bool(differs)),
            "<main>",
            *_not_proven(report, drawn),
            *_matrix(report),
            differs,
            *_alerts(report, drawn),
            *_panels(report, drawn),
            *_clauses(report),
            *_thresholds(report),
            *_components(report),
            *_run(report),
            "</main>",
            "</body>",
            "</html>",
            "",
        )
    )


def _header(report: Report, *, differs: bool) -> Iterator[str]:
    yield f'<header class="{report.result}">'
    yield '<p class="eyebrow">Monitoring conformance</p>'
    yield f"<h1>{report.result.capitalize()}</h1>"
    tally = matrix.tally(report)
    yield f'<p class="tally">{_text(tally)}</p>'
    if report.run.why:
        yield '<ul class="why">'
        yield from (f"<li>{_text(sentence)}</li>" for sentence in report.run.why)
        yield "</ul>"
    yield '<dl class="facts">'
    yield from (f"<div><dt>{label}</dt><dd>{_text(text)}</dd></div>" for label, text in matrix.facts(report))
    yield "</dl>"
    yield '<nav aria-label="Parts of this page">'
    places = [("not-proven", "Not proven")]
    places += [("matrix", "By signal")]
    places += [("differs", "What differs")] if differs else []
    places += [("alerts", "Alerts")] if _of_alerts(report.charts) else []
    places += [("panels", "Panels")] if len(_of_alerts(report.charts)) < len(report.charts) else []
    places += [("clauses", "Clauses")]
    places += [("thresholds", "Thresholds")] if report.thresholds else []
    places += [("components", "Components"), ("repeat", "Repeat")]
    yield from (f'<a href="#{place}">{label}</a>' for place, label in places)
    yield "</nav>"
    yield "</header>"


def _not_proven(report: Report, drawn: Sequence[Figure]) -> Iterator[str]:
    yield '<section id="not-proven"><h2>Not proven</h2>'
    groups = matrix.not_proven(report)
    if not groups:
        yield f'<p class="quiet">{"Every clause holds." if report.clauses else "There is no clause to prove."}</p>'
    for number, group in enumerate(groups):
        yield from _group(group, drawn, unfolded=number < _OPEN_AT_MOST and group.status is Status.BROKEN)
    yield "</section>"


def _group(group: Group, drawn: Sequence[Figure], *, unfolded: bool) -> Iterator[str]:
    first = group.clauses[0]
    several = len(group.clauses) > 1
    name = count(len(group.clauses), "clause") if several else _id(first.id)
    yield f'<details class="card {group.status}"{" open" if unfolded else ""}>'
    yield f"<summary>{_chip(group.status)}<span class=name>{name}{_level(first)}</span>"
    yield f'<span class="reason">{_text(cut(group.reason, _LONGEST_SUMMARY))}</span></summary>'
    if several:
        yield '<ul class="ids">'
        yield from (f"<li>{_id(row.id)}</li>" for row in group.clauses)
        yield "</ul>"
    else:
        shown = [figure for figure in drawn if figure.about(first.id)] if unfolded else []
        yield from _body(first, with_reason=len(first.reason) > _LONGEST_SUMMARY, shown=shown[:_MOST_SHOWN_AGAIN])
    yield "</details>"


def _matrix(report: Report) -> Iterator[str]:
    rows = matrix.rows(report)
    yield '<section id="matrix"><h2>By signal</h2>'
    if not rows:
        yield '<p class="quiet">The contract has no clause.</p>'
    else:
        yield '<div class="scroll" tabindex="0" role="group" aria-label="clauses by signal">'
        yield '<table class="matrix"><thead><tr><th scope="col">signal</th>'
        yield from (f'<th scope="col" class="n">{_NARROW.get(status, status)}</th>' for status in matrix.STATUSES)
        yield '<th scope="col" class="share"><span class="hidden">share</span></th></tr></thead><tbody>'
        for row in rows:
            yield f'<tr><th scope="row"><a href="#signal-{row.signal}">{row.signal}</a></th>'
            for status, number in zip(matrix.STATUSES, row.counts, strict=True):
                shown = f'<td class="n {status}">{number}</td>' if number else '<td class="n none">·</td>'
                yield shown
            yield f'<td class="share">{_bar(row)}</td></tr>'
        yield "</tbody></table></div>"
    yield "</section>"


def _bar(row: Row) -> str:
    total = sum(row.counts)
    parts = [
        f'<i class="{status}" style="width:{100 * number / total:.2f}%"></i>'
        for status, number in zip(matrix.STATUSES, row.counts, strict=True)
        if number
    ]
    return f'<span class="bar" aria-hidden="true">{"".join(parts)}</span>'


def _clauses(report: Report) -> Iterator[str]:
    yield '<section id="clauses"><h2>Clauses</h2><div class="list">'
    for row in matrix.rows(report):
        holding = f"{row.counts[0]} of {len(row.clauses)} hold"
        yield f'<details class="signal" id="signal-{row.signal}"><summary><span class=name>{row.signal}</span>'
        yield f'<span class="reason">{holding}</span></summary>'
        for clause in row.clauses:
            yield f'<details class="clause"><summary>{_chip(clause.status)}'
            yield f"<span class=name>{_id(clause.id)}{_level(clause)}</span></summary>"
            yield from _body(clause)
            yield "</details>"
        yield "</details>"
    yield "</div></section>"


def _body(clause: ClauseRow, *, with_reason: bool = True, shown: Sequence[Figure] = ()) -> Iterator[str]:
    yield '<div class="body">'
    yield f'<p class="promise">{_text(clause.promise)}</p>'
    yield f'<p class="quiet">{_text(clause.document)} · {clause.level} · {_observed(clause)}</p>'
    if clause.reason and with_reason:
        yield f"<p>{_text(clause.reason)}</p>"
    for finding in clause.findings[:_MOST_FINDINGS]:
        yield '<dl class="finding">'
        for label, text in matrix.finding_lines(finding):
            line = f"<code>{_text(text)}</code>" if label in ("query", "location") else _text(text)
            yield f'<div class="{label}"><dt>{label}</dt><dd>{line}</dd></div>'
        yield "</dl>"
    if len(clause.findings) > _MOST_FINDINGS:
        more = count(len(clause.findings) - _MOST_FINDINGS, "finding")
        yield f'<p class="quiet">{more} more in report.json</p>'
    if shown:
        yield '<div class="charts">'
        for figure in shown:
            yield from figure.again()
        yield "</div>"
    if clause.evidence:
        yield f'<p class="quiet">evidence: {", ".join(_link(path) for path in clause.evidence)}</p>'
    if clause.again:
        yield f"<pre>{_text(clause.again)}</pre>"
    yield "</div>"


def _of_alerts(charts: Sequence[Chart]) -> list[Chart]:
    return [chart for chart in charts if chart.about.startswith("alert/")]


def _alerts(report: Report, drawn: Sequence[Figure]) -> Iterator[str]:
    wanted = _of_alerts(report.charts)
    if not wanted:
        return
    yield f'<section id="alerts"><h2>Alerts</h2>{key()}'
    own = [figure for figure in drawn if figure.chart in wanted]
    for about in dict.fromkeys(figure.chart.about for figure in own):
        yield f"<h3>{_text(cut(about.removeprefix('alert/'), _LONGEST_SUMMARY))}{_became(report, about)}</h3>"
        for row in report.thresholds:
            if f"alert/{row.alert}" == about:
                yield f'<p class="quiet">{_text(_told_apart(row))}</p>'
        yield '<div class="charts">'
        for figure in own:
            if figure.chart.about == about:
                yield from figure.lines
        yield "</div>"
    yield from _left_out(len(wanted) - len(own))
    yield "</section>"


def _panels(report: Report, drawn: Sequence[Figure]) -> Iterator[str]:
    alerts = _of_alerts(report.charts)
    own = [figure for figure in drawn if figure.chart not in alerts]
    wanted = len(report.charts) - len(alerts)
    if not wanted:
        return
    yield '<section id="panels"><h2>Panels</h2>'
    boards: dict[str, list[Figure]] = {}
    for figure in own:
        boards.setdefault(figure.chart.about.split("/")[1:2][0] if "/" in figure.chart.about else "", []).append(figure)
    for board, held in boards.items():
        yield f"<h3>{_text(cut(board, _LONGEST_SUMMARY)) or 'Others'}{_became(report, f'dashboard/{board}')}</h3>"
        yield '<div class="charts small">'
        for figure in held:
            yield from figure.lines
        yield "</div>"
    yield from _left_out(wanted - len(own))
    yield "</section>"


def _became(report: Report, about: str) -> str:
    rows = [row for row in report.clauses if row.id == about or row.id.startswith(f"{about}/")]
    if not rows:
        return ""
    worst = max((row.status for row in rows), key=list(Status).index)
    return f' <span class="chip {worst}">{_text(summary(rows))}</span>'


def _told_apart(row: ThresholdRow) -> str:
    # The columns of the table of thresholds, as a sentence beside the pictures.
    cells = dict(zip(matrix.THRESHOLD_COLUMNS, matrix.threshold_cells(row), strict=True))
    parts = [f"{name} {cells[name]}" for name in matrix.THRESHOLD_COLUMNS[2:] if cells[name] and name != "notes"]
    return f"{cells['tier']}: {', '.join(parts)}"


def _left_out(number: int) -> Iterator[str]:
    if number:
        yield f'<p class="quiet">{count(number, "chart")} more in report.json</p>'


def _differs(report: Report, name: str, earlier: Report) -> str:
    made, name = changes(earlier, report), plain(name)
    lines = ['<section id="differs"><h2>What differs from the run before</h2>']
    if made.nothing:
        lines.append(f'<p class="quiet">Nothing: {count(made.same, "clause")} as in {_id(name)}.</p>')
    else:
        lines.append(f'<p class="quiet">{_id(name)}: {earlier.result}; this run: {report.result}.</p>')
        for title, (head, *rows) in differences.sections(made):
            unfolded = " open" if len(rows) <= _OPEN_AT_MOST else ""
            lines.append(f'<details class="plain"{unfolded}><summary>{_text(title.capitalize())}</summary>')
            lines += _table([cell or ("what" if at == 0 else "by") for at, cell in enumerate(head)], rows, title)
            lines.append("</details>")
    return "\n".join([*lines, "</section>"])


def _thresholds(report: Report) -> Iterator[str]:
    if report.thresholds:
        yield '<section id="thresholds"><h2>Thresholds</h2>'
        head, *rows = matrix.thresholds(report)
        yield from _table(head, rows, "thresholds")
        yield "</section>"


def _components(report: Report) -> Iterator[str]:
    yield '<section id="components"><h2>Components</h2>'
    if report.components:
        cells = [matrix.component_cells(row) for row in report.components]
        yield from _table(matrix.COMPONENT_COLUMNS, cells, "components")
    else:
        yield '<p class="quiet">Nothing stood: this run judged what was recorded or written down.</p>'
    yield "</section>"


def _run(report: Report) -> Iterator[str]:
    yield '<section id="repeat"><h2>Repeat</h2>'
    if report.run.attempts:
        yield "<p>Attempts that proved nothing:</p><ul>"
        for attempt in report.run.attempts:
            reasons = _text("; ".join(attempt.reasons))
            yield f"<li>{_id(attempt.program)} at tempo {attempt.tempo:g}: {reasons}</li>"
        yield "</ul>"
    yield f"<pre>{_text(report.run.command)}</pre>"
    yield '<p class="quiet">Beside this page: report.json, report.md, junit.xml, events.ndjson, logs and timelines.</p>'
    yield "</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> Iterator[str]:
    yield f'<div class="scroll" tabindex="0" role="group" aria-label="{_text(name)}"><table><thead><tr>'
    yield from (f'<th scope="col">{_text(cell)}</th>' for cell in head)
    yield "</tr></thead><tbody>"
    for first, *others in rows:
        cells = "".join(f"<td>{_text(cut(cell, 200))}</td>" for cell in others)
        yield f'<tr><th scope="row">{_text(cut(first, 120))}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _observed(clause: ClauseRow) -> str:
    return count(clause.observations, "observation") if clause.observations else "no observation"


def _chip(status: Status) -> str:
    return f'<span class="chip {status}">{status}</span>'


def _level(clause: ClauseRow) -> str:
    return "" if clause.level is Level.MUST else f" <small>{clause.level}</small>"


def _id(text: str) -> str:
    # A path may break after each slash and a name after each underscore, so that a phone need not scroll.
    return f"<code>{_text(cut(text, 300)).replace('/', '/<wbr>').replace('_', '_<wbr>')}</code>"


def _link(path: str) -> str:
    # Quoted and made relative: what looks like a scheme or another host is then only a strange file name.
    return f'<a href="./{_text(quote(path.lstrip("/"), safe="/"))}">{_text(cut(path, 200))}</a>'


def _text(text: str) -> str:
    return html.escape(clip(text, _LONGEST))
