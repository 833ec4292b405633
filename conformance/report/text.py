"""The report on one screen of a terminal: the result first, then what was not proven, and where the files are."""

from __future__ import annotations

import textwrap
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from conformance.contract.model import Level
from conformance.judge.verdict import Status
from conformance.report import matrix
from conformance.report.clean import clip, count, cut, map_texts, one_line
from conformance.report.record import Result
from conformance.report.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.report.matrix import Group
    from conformance.report.record import ComponentRow, Report

LINES = 40
NARROWEST = 80
WIDEST = 120
_WHY_LINES = 4
_COMPONENT_LINES = 4
_LABEL = 13

STYLES = {
    Status.HOLDS: "green",
    Status.BROKEN: "bold red",
    Status.UNPROVEN: "yellow",
    Status.UNSUPPORTED: "cyan",
    Result.CONFORMANT: "bold green",
    Result.NONCONFORMANT: "bold red",
    Result.PARTIAL: "bold yellow",
}


def summary(
    report: Report,
    *,
    folder: str,
    width: int = 100,
    colour: bool = False,
    redactor: Redactor | None = None,
    encoding: str = "utf-8",
) -> str:
    """
    At most 40 lines of `width` columns (80 to 120); only the last one, which names report.json, is never cut.

    `folder` is the run directory as the reader can open it.
    """
    redactor = redactor or Redactor()
    width = min(max(width, NARROWEST), WIDEST)
    shown = map_texts(redactor.value(report), lambda text: clip(one_line(clip(text, 4 * WIDEST)), 4 * WIDEST))
    above = _head(shown, width)
    below = [Text(), *_matrix(shown), *_components(shown.components, width), *_files(shown, folder)]
    middle = _not_proven(shown, width, LINES - len(above) - len(below) - 3)
    if middle:
        middle.insert(0, Text())
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, no_color=not colour, color_system="standard" if colour else None
    )
    for line in (*above, *middle, *below):
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True, highlight=False)
    last = Text("result: ").append(report.result, STYLES[report.result])
    console.print(last.append(f" ({matrix.tally(report)}) — {folder}/report.json"), soft_wrap=True, highlight=False)
    return redactor.text(out.getvalue()).encode(encoding, "replace").decode(encoding)


def _head(report: Report, width: int) -> list[Text]:
    title = Text("monitoring conformance: ", "bold").append(report.result.upper(), STYLES[report.result])
    title.append(f" — {matrix.tally(report)}")
    lines = [title]
    lines += [Text(line, "dim") for line in _packed([f"{name} {text}" for name, text in matrix.facts(report)], width)]
    why = [f"  because {sentence}" for sentence in report.run.why]
    if len(why) > _WHY_LINES:
        why = [*why[: _WHY_LINES - 1], f"  because of {len(why) - _WHY_LINES + 1} more reasons in report.md"]
    lines += [Text(line) for line in why]
    lines += [_attempts(report)] if report.run.attempts else []
    return lines


def _attempts(report: Report) -> Text:
    programs = list(dict.fromkeys(attempt.program for attempt in report.run.attempts))
    return Text(f"  run again, since a first attempt proved nothing: {', '.join(programs)}", "yellow")


def _not_proven(report: Report, width: int, room: int) -> list[Text]:
    groups = matrix.not_proven(report)
    kept = groups if len(groups) <= room else groups[: room - 1]
    spare = room - len(kept) - (len(kept) < len(groups))
    lines = []
    for group in kept:
        first, *rest = _group(group, width)
        lines.append(first)
        details = [*rest, *_details(group)]
        if details and len(details) <= spare:
            lines += details
            spare -= len(details)
    if len(kept) < len(groups):
        hidden = sum(len(group.clauses) for group in groups[len(kept) :])
        lines.append(Text(f"… {count(hidden, 'clause')} more in report.md", "dim"))
    return lines


def _group(group: Group, width: int) -> list[Text]:
    more = len(group.clauses) - 1
    name = cut(group.clauses[0].id, width - _LABEL - 30) + (f" and {more} more" if more else "")
    level = " (SHOULD)" if group.clauses[0].level is Level.SHOULD else ""
    first, *rest = textwrap.wrap(f"{name}{level}: {group.reason}", width - _LABEL, max_lines=2, placeholder="…")
    line = Text(f"{group.status:<{_LABEL}}", STYLES[group.status]).append(first)
    line.stylize("bold", _LABEL, _LABEL + len(name))
    return [line, *(Text(f"{'':<{_LABEL}}{part}") for part in rest)]


def _details(group: Group) -> list[Text]:
    findings = group.clauses[0].findings
    if group.status is not Status.BROKEN or not findings:
        return []
    first = [pair for pair in matrix.finding_lines(findings[0]) if pair[0] in ("expected", "observed")]
    lines = [Text(f"{'':<{_LABEL}}{name:<9} {text}", "dim") for name, text in first]
    if len(findings) > 1:
        lines.append(Text(f"{'':<{_LABEL}}… {count(len(findings) - 1, 'finding')} more in report.md", "dim"))
    return lines


def _matrix(report: Report) -> list[Text]:
    head = Text(f"{'signal':<{_LABEL}}", "bold")
    for status in matrix.STATUSES:
        head.append(f"{status:>12}")
    lines = [head]
    for row in matrix.rows(report):
        line = Text(f"{row.signal:<{_LABEL}}")
        for status, number in zip(matrix.STATUSES, row.counts, strict=True):
            line.append(f"{number or '·':>12}", STYLES[status] if number else "dim")
        lines.append(line)
    return lines if len(lines) > 1 else []


def _components(components: Sequence[ComponentRow], width: int) -> list[Text]:
    names = [one_line(f"{row.name} {row.version}") + (" (stand-in)" if row.stand_in else "") for row in components]
    lines = _packed(names, width - _LABEL)
    if len(lines) > _COMPONENT_LINES:
        lines = [*lines[: _COMPONENT_LINES - 1], "… all components in report.md"]
    labels = ["components", *[""] * len(lines)]
    return [Text(f"{label:<{_LABEL}}{line}") for label, line in zip(labels, lines, strict=False)]


def _files(report: Report, folder: str) -> list[Text]:
    lines = []
    if report.thresholds:
        lines.append(Text(f"{'thresholds':<{_LABEL}}{len(report.thresholds)} measured, in report.md"))
    lines.append(Text(f"{'files':<{_LABEL}}report.md, report.html, junit.xml, events.ndjson and logs in {folder}"))
    return lines


def _packed(parts: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines
