"""The report as short Markdown that folds: for a pull request's comment and for the page of a CI job."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from conformance.judge.verdict import Status
from conformance.report import matrix
from conformance.report.clean import clip, count, one_line
from conformance.report.markdown import code, fenced, prose, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.report.matrix import Group
    from conformance.report.record import Report

LONGEST = 60_000
"""Characters: a comment on GitHub holds 65 536, a job's page a MiB."""
_ROOM = LONGEST - 8_000
_MARKS = {Status.BROKEN: "❌", Status.UNPROVEN: "⚠️", Status.UNSUPPORTED: "⏭️"}
_LONGEST_TEXT = 400
_MOST_FINDINGS = 3
_MOST_NAMED = 30


def render(report: Report) -> str:
    """The whole file: the result open, each reason folded, the worst first; what has no room is counted."""
    lines = list(_head(report))
    size = sum(map(len, lines)) + len(lines)
    groups = matrix.not_proven(report)
    for at, group in enumerate(groups):
        fold = list(_group(group))
        size += sum(map(len, fold)) + len(fold)
        if size > _ROOM:
            left = sum(len(each.clauses) for each in groups[at:])
            lines += [f"… {count(left, 'clause')} more in `report.md`.", ""]
            break
        lines += fold
    lines += _folded("By signal", _signals(report))
    if report.thresholds:
        head, *rows = matrix.thresholds(report)
        cells = [tuple(prose(clip(cell, 200)) for cell in row) for row in rows]
        lines += _folded("Thresholds", table(head, cells[:_MOST_NAMED]))
    stand_ins = [code(row.name) for row in report.components if row.stand_in]
    if stand_ins:
        lines += [f"Stand-ins, which never count as the real thing: {', '.join(stand_ins[:_MOST_NAMED])}.", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _head(report: Report) -> Iterator[str]:
    mark = "✅" if report.result == "conformant" else "❌" if report.result == "nonconformant" else "⚠️"
    yield f"### {mark} Monitoring: {report.result} — {matrix.tally(report)}"
    yield ""
    yield " · ".join(f"{label} {prose(clip(text, 100))}" for label, text in matrix.facts(report))
    yield ""
    for sentence in report.run.why[:_MOST_NAMED]:
        yield f"- {prose(clip(sentence, _LONGEST_TEXT))}"
    if report.run.why:
        yield ""
    programs = dict.fromkeys(code(clip(each.program, 100)) for each in report.run.attempts)
    if programs:
        yield f"Performed again, since a first attempt proved nothing: {', '.join(list(programs)[:_MOST_NAMED])}."
        yield ""


def _group(group: Group) -> Iterator[str]:
    first = group.clauses[0]
    more = f" and {len(group.clauses) - 1} more" if len(group.clauses) > 1 else ""
    title = (
        f"{_MARKS[group.status]} {group.status} ({first.level}): <code>{_inline(first.id)}</code>{more}: "
        f"{_inline(group.reason)}"
    )
    yield from _folded(title, _details(group))


def _details(group: Group) -> Iterator[str]:
    first = group.clauses[0]
    if len(group.clauses) > 1:
        for row in group.clauses[:_MOST_NAMED]:
            yield f"- {code(clip(row.id, 200))}: {prose(clip(row.promise, 200))}"
        if len(group.clauses) > _MOST_NAMED:
            yield f"- … {count(len(group.clauses) - _MOST_NAMED, 'clause')} more"
        yield ""
        return
    place = f" ({code(first.source)})" if first.source else ""
    yield f"Promised: {prose(clip(first.promise, _LONGEST_TEXT))} ({prose(clip(first.document, 200))}){place}"
    yield ""
    for finding in first.findings[:_MOST_FINDINGS]:
        yield from fenced(f"{label:<9} {clip(text, _LONGEST_TEXT)}" for label, text in matrix.finding_lines(finding))
    if len(first.findings) > _MOST_FINDINGS:
        yield f"{count(len(first.findings) - _MOST_FINDINGS, 'finding')} more in `report.md`."
        yield ""
    if first.again:
        yield from fenced([clip(first.again, _LONGEST_TEXT)])


def _signals(report: Report) -> Iterator[str]:
    rows = [(row.signal.value, *map(str, row.counts)) for row in matrix.rows(report)]
    yield from table(("signal", *(status.value for status in matrix.STATUSES)), rows)


def _folded(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from lines
    yield "</details>"
    yield ""


def _inline(text: str) -> str:
    """`text` inside of markup, where Markdown is not read but a mention is."""
    return html.escape(clip(one_line(text), _LONGEST_TEXT // 2)).replace("@", "&#64;")
