"""The report as one page that needs no network and no script: readable on a phone, in light and dark, and on paper."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING
from urllib.parse import quote

from conformance.contract.model import Level
from conformance.judge.verdict import Status
from conformance.report import matrix
from conformance.report.clean import clip, count, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.report.matrix import Group, Row
    from conformance.report.record import ClauseRow, Report

_LONGEST = 4_000
_MOST_FINDINGS = 20
_LONGEST_SUMMARY = 300
# On a phone five columns fit only if the longest head may break.
_NARROW = {Status.UNSUPPORTED: "unsup&shy;ported"}
_OPEN_AT_MOST = 12
"""So many things not proven are shown unfolded; more would bury the matrix."""


def render(report: Report) -> str:
    """The whole page."""
    title = f"Monitoring conformance: {report.result}"
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
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            *_header(report),
            "<main>",
            *_not_proven(report),
            *_matrix(report),
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


def _header(report: Report) -> Iterator[str]:
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
    yield "<nav>"
    places = [("not-proven", "Not proven"), ("matrix", "By signal"), ("clauses", "Clauses")]
    places += [("thresholds", "Thresholds")] if report.thresholds else []
    places += [("components", "Components"), ("repeat", "Repeat")]
    yield from (f'<a href="#{place}">{label}</a>' for place, label in places)
    yield "</nav>"
    yield "</header>"


def _not_proven(report: Report) -> Iterator[str]:
    yield '<section id="not-proven"><h2>Not proven</h2>'
    groups = matrix.not_proven(report)
    if not groups:
        yield f'<p class="quiet">{"Every clause holds." if report.clauses else "There is no clause to prove."}</p>'
    for number, group in enumerate(groups):
        yield from _group(group, unfolded=number < _OPEN_AT_MOST and group.status is Status.BROKEN)
    yield "</section>"


def _group(group: Group, *, unfolded: bool) -> Iterator[str]:
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
        yield from _body(first, with_reason=len(first.reason) > _LONGEST_SUMMARY)
    yield "</details>"


def _matrix(report: Report) -> Iterator[str]:
    rows = matrix.rows(report)
    yield '<section id="matrix"><h2>By signal</h2>'
    if not rows:
        yield '<p class="quiet">The contract has no clause.</p>'
    else:
        yield '<div class="scroll" tabindex="0"><table class="matrix"><thead><tr><th scope="col">signal</th>'
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


def _body(clause: ClauseRow, *, with_reason: bool = True) -> Iterator[str]:
    yield '<div class="body">'
    yield f'<p class="promise">{_text(clause.promise)}</p>'
    yield f'<p class="quiet">{_text(clause.document)} · {clause.level} · {_observed(clause)}</p>'
    if clause.reason and with_reason:
        yield f"<p>{_text(clause.reason)}</p>"
    for finding in clause.findings[:_MOST_FINDINGS]:
        yield '<dl class="finding">'
        for label, text in matrix.finding_lines(finding):
            shown = f"<code>{_text(text)}</code>" if label in ("query", "location") else _text(text)
            yield f'<div class="{label}"><dt>{label}</dt><dd>{shown}</dd></div>'
        yield "</dl>"
    if len(clause.findings) > _MOST_FINDINGS:
        more = count(len(clause.findings) - _MOST_FINDINGS, "finding")
        yield f'<p class="quiet">{more} more in report.json</p>'
    if clause.evidence:
        yield f'<p class="quiet">evidence: {", ".join(_link(path) for path in clause.evidence)}</p>'
    if clause.again:
        yield f"<pre>{_text(clause.again)}</pre>"
    yield "</div>"


def _thresholds(report: Report) -> Iterator[str]:
    if report.thresholds:
        yield '<section id="thresholds"><h2>Thresholds</h2>'
        head, *rows = matrix.thresholds(report)
        yield from _table(head, rows)
        yield "</section>"


def _components(report: Report) -> Iterator[str]:
    yield '<section id="components"><h2>Components</h2>'
    if report.components:
        yield from _table(matrix.COMPONENT_COLUMNS, [matrix.component_cells(row) for row in report.components])
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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield '<div class="scroll" tabindex="0"><table><thead><tr>'
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


_STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #1c2128; --quiet: #59636e; --line: #d8dee4; --code: #eef1f4; --link: #0757ba;
  --holds: #1a7f37; --broken: #c4232b; --unproven: #8a5a00; --unsupported: #4f5b93;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #161b22; --ink: #e3e8ee; --quiet: #9aa4b0; --line: #2d343d; --code: #222933;
    --link: #79b5ff; --holds: #46b958; --broken: #ff7a75; --unproven: #dba52f; --unsupported: #a3aef2;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
.eyebrow { margin: 0; color: var(--quiet); }
h1 { margin: 0; font-size: 2.25rem; line-height: 1.2; letter-spacing: -.01em; }
.conformant h1 { color: var(--holds); }
.nonconformant h1 { color: var(--broken); }
.partial h1 { color: var(--unproven); }
.tally { margin: .25rem 0 0; font-size: 1.15rem; }
.why { margin: .75rem 0 0; padding-left: 1.25rem; overflow-wrap: anywhere; }
.why li { margin: .15rem 0; }
.facts { display: flex; flex-wrap: wrap; gap: .75rem 2rem; margin: 1.25rem 0; }
dt { color: var(--quiet); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: .6rem 0; border-block: 1px solid var(--line); }
a { color: var(--link); text-underline-offset: .15em; }
nav a { text-decoration: none; padding: .2rem 0; }
nav a:hover { text-decoration: underline; }
h2 { margin: 2.25rem 0 .75rem; font-size: 1.3rem; }
.quiet, small { color: var(--quiet); font-size: .9rem; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .6rem .8rem; background: var(--code); border-radius: 6px; white-space: pre-wrap; }
details.card, .list { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; }
details.card { border-left: 4px solid; }
details.signal + details.signal { border-top: 1px solid var(--line); }
details.clause > summary { padding-left: 2.1rem; }
details.broken { border-left-color: var(--broken); }
details.unproven { border-left-color: var(--unproven); }
details.unsupported { border-left-color: var(--unsupported); }
details.clause { border-top: 1px solid var(--line); }
summary {
  display: flex; flex-wrap: wrap; gap: .15rem .75rem; align-items: baseline; padding: .6rem .9rem; cursor: pointer;
  list-style: none;
}
summary::-webkit-details-marker { display: none; }
summary::before { content: "+"; width: .8em; color: var(--quiet); font-family: monospace; }
details[open] > summary::before { content: "\\2212"; }
summary:hover { background: color-mix(in srgb, var(--code) 60%, transparent); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.name { font-weight: 600; overflow-wrap: anywhere; min-width: 0; }
.clause .name { font-weight: 400; }
.reason { color: var(--quiet); flex: 1 1 10rem; overflow-wrap: anywhere; }
.chip { min-width: 7.4rem; font-size: .85rem; font-weight: 600; }
.chip::before { content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .45em; border-radius: 50%;
  background: currentColor; }
.chip.broken::before { border-radius: 0; }
.chip.unproven::before { background: none; border: 2px solid; }
.chip.unsupported::before { height: 2px; vertical-align: middle; border-radius: 0; }
.chip.holds, td.holds { color: var(--holds); }
.chip.broken, td.broken { color: var(--broken); }
.chip.unproven, td.unproven { color: var(--unproven); }
.chip.unsupported, td.unsupported { color: var(--unsupported); }
.body { padding: 0 .9rem .8rem 2.45rem; }
.clause .body { padding-left: 3.65rem; }
.body p { margin: .35rem 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.promise { font-size: 1.02rem; }
.ids { margin: 0; padding: 0 .9rem .8rem 3.6rem; columns: 22rem; }
.finding { margin: .6rem 0; padding: .5rem .8rem; background: var(--code); border-radius: 6px; }
.finding div { display: grid; grid-template-columns: 5.5rem 1fr; gap: .75rem; }
.finding dt { line-height: 1.75; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
th, td { padding: .4rem .9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--quiet); font-weight: 500; font-size: .85rem; white-space: nowrap; }
tbody th { font-weight: 500; }
#thresholds :is(th, td) { padding-inline: .55rem; }
#thresholds td:last-child { min-width: 11rem; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { font-weight: 600; }
td.none { color: var(--quiet); font-weight: 400; }
.share { width: 35%; vertical-align: middle; }
.bar { display: flex; gap: 2px; height: .55rem; border-radius: 3px; overflow: hidden; }
.bar i { min-width: 3px; }
.bar .holds { background: var(--holds); }
.bar .broken { background: var(--broken); }
.bar .unproven { background: var(--unproven); }
.bar .unsupported { background: var(--unsupported); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
main { padding-bottom: 4rem; }
@media (max-width: 40rem) {
  header, main { padding-inline: 1rem; }
  header { padding-top: 1.25rem; }
  h1 { font-size: 1.9rem; }
  .body, .clause .body { padding-left: .9rem; }
  details.clause > summary { padding-left: .9rem; }
  .ids { padding-left: 2rem; }
  .finding div { grid-template-columns: 1fr; gap: 0; margin-bottom: .4rem; }
  .matrix th, .matrix td { padding-inline: .5rem; }
  .matrix .share { display: none; }
  .matrix thead th { font-size: .75rem; white-space: normal; }
  .card .reason { flex-basis: 100%; }
}
@media print {
  nav { display: none; }
  details.card, .scroll { break-inside: avoid; }
}
"""
