"""The report as Markdown, one file to attach to a release: the result, every clause, and each finding in full."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.report import matrix
from conformance.report.clean import clip, count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.report.matrix import Group
    from conformance.report.record import ClauseRow, Report

_LONGEST = 4_000
_MOST_FINDINGS = 20
# An underscore inside a word is harmless and metric names are full of them.
_MARKUP = re.compile(r"[\\`*\[\]<>|~#]|^[-+=]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def render(report: Report) -> str:
    """The whole file."""
    return "\n".join(_lines(report)).rstrip("\n") + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Monitoring conformance: {report.result}"
    yield ""
    yield f"**{matrix.tally(report)[0].upper()}{matrix.tally(report)[1:]}.**"
    yield ""
    if report.run.why:
        yield "Not conformant because"
        yield ""
        yield from (f"- {prose(sentence)}" for sentence in report.run.why)
        yield ""
    yield from table(("", ""), [(label, prose(text)) for label, text in matrix.facts(report)])
    yield from _by_signal(report)
    yield from _not_proven(report)
    yield from _clauses(report)
    if report.thresholds:
        yield "## Thresholds"
        yield ""
        head, *rows = matrix.thresholds(report)
        yield from table(head, [tuple(prose(cell) for cell in row) for row in rows])
    yield "## Components"
    yield ""
    cells = (matrix.component_cells(row) for row in report.components)
    yield from table(matrix.COMPONENT_COLUMNS, [tuple(prose(cell) for cell in row) for row in cells])
    yield from _repeat(report)


def _by_signal(report: Report) -> Iterator[str]:
    yield "## By signal"
    yield ""
    rows = [(row.signal.value, *map(str, row.counts)) for row in matrix.rows(report)]
    yield from table(("signal", *(status.value for status in matrix.STATUSES)), rows)


def _not_proven(report: Report) -> Iterator[str]:
    groups = matrix.not_proven(report)
    if not groups:
        return
    yield "## Not proven"
    yield ""
    for group in groups:
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    first = group.clauses[0]
    if len(group.clauses) == 1:
        yield f"### {group.status}: {code(first.id)} ({first.level})"
    else:
        yield f"### {group.status}: {count(len(group.clauses), 'clause')} ({first.level}) for one reason"
    yield ""
    yield prose(group.reason) or "No reason was given."
    yield ""
    if len(group.clauses) > 1:
        yield from (f"- {code(row.id)}: {prose(row.promise)}" for row in group.clauses)
        yield ""
        return
    yield f"Promised: {prose(first.promise)} ({prose(first.document)})"
    yield ""
    yield from _findings(first)


def _findings(row: ClauseRow) -> Iterator[str]:
    for finding in row.findings[:_MOST_FINDINGS]:
        yield from fenced(f"{label:<9} {text}" for label, text in matrix.finding_lines(finding))
    if len(row.findings) > _MOST_FINDINGS:
        yield f"{count(len(row.findings) - _MOST_FINDINGS, 'finding')} more in report.json."
        yield ""
    if row.evidence:
        yield "Evidence: " + ", ".join(code(path) for path in row.evidence)
        yield ""
    if row.again:
        yield "Again:"
        yield ""
        yield from fenced([row.again])


def _clauses(report: Report) -> Iterator[str]:
    yield "## Clauses"
    yield ""
    for row in matrix.rows(report):
        yield f"### {row.signal}"
        yield ""
        yield from table(
            ("clause", "level", "status", "observations", "promise", "document"),
            [
                (
                    code(each.id),
                    each.level.value,
                    each.status.value,
                    str(each.observations),
                    prose(each.promise),
                    prose(each.document),
                )
                for each in row.clauses
            ],
        )


def _repeat(report: Report) -> Iterator[str]:
    if report.run.attempts:
        yield "## Attempts that proved nothing"
        yield ""
        for attempt in report.run.attempts:
            yield f"- {code(attempt.program)} at tempo {attempt.tempo:g}: {prose('; '.join(attempt.reasons))}"
        yield ""
    yield "## To repeat this run"
    yield ""
    yield from fenced([report.run.command])


def table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table; its cells are Markdown."""
    columns = tuple(head)
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def fenced(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a block of plain text, whose fence no line in it can end."""
    texts = [clip(line, _LONGEST) for line in lines]
    longest = max((len(run) for text in texts for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}text"
    yield from texts
    yield fence
    yield ""


def prose(text: str) -> str:
    """`text` on one line, so that no value can become markup, a table's edge or a mention."""
    line = clip(one_line(text), _LONGEST).replace("&", "&amp;")
    return _MARKUP.sub(lambda found: "\\" + found.group(), line).replace("@", "&#64;")


def code(text: str) -> str:
    """`text` as a code span, also inside a table, where a bar must be escaped."""
    line = clip(one_line(text), _LONGEST).replace("|", "\\|")
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if "`" in line or not line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"
