"""What every writer shows alike: clauses by signal, what was not proven, thresholds and components as rows of text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.contract.model import Level, Signal
from conformance.judge.verdict import Status
from conformance.report.clean import count
from conformance.report.record import UNJUDGED

if TYPE_CHECKING:
    from conformance.judge.verdict import Finding
    from conformance.report.record import ClauseRow, ComponentRow, Report, ThresholdRow

STATUSES = (Status.HOLDS, Status.BROKEN, Status.UNPROVEN, Status.UNSUPPORTED)
NOT_PROVEN = (Status.BROKEN, Status.UNPROVEN, Status.UNSUPPORTED)
"""In the order in which a reader needs them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One signal: its clauses and how many came to each status, in the order of STATUSES."""

    signal: Signal
    clauses: tuple[ClauseRow, ...]
    counts: tuple[int, ...]


def rows(report: Report) -> tuple[Row, ...]:
    """A row for each signal that has a clause, in the contract's order of signals."""
    found = []
    for signal in Signal:
        clauses = tuple(row for row in report.clauses if row.signal is signal)
        if clauses:
            counts = Counter(row.status for row in clauses)
            found.append(Row(signal=signal, clauses=clauses, counts=tuple(counts[status] for status in STATUSES)))
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Clauses that were not proven for the same reason; a clause with findings stands alone."""

    status: Status
    reason: str
    clauses: tuple[ClauseRow, ...]


def not_proven(report: Report) -> tuple[Group, ...]:
    """What is broken, then unproven, then unsupported; in each, what a MUST says before what a SHOULD says."""
    groups: dict[tuple[object, ...], list[ClauseRow]] = {}
    for status in NOT_PROVEN:
        for row in sorted(report.having(status), key=lambda each: each.level is not Level.MUST):
            alone = row.id if row.findings else ""
            groups.setdefault((status, row.level, row.reason, alone), []).append(row)
    return tuple(Group(status=rows[0].status, reason=rows[0].reason, clauses=tuple(rows)) for rows in groups.values())


def tally(report: Report) -> str:
    """`12 clauses hold`, `10 of 12 clauses hold, 1 broken, 1 unproven`; of a selection, of what was chosen."""
    counts, all_of_them = Counter(row.status for row in report.clauses), len(report.clauses)
    unjudged = sum(row.reason.startswith(UNJUDGED) for row in report.clauses) if report.run.selection else 0
    counts[Status.UNPROVEN] -= unjudged
    others = [f"{counts[status]} {status}" for status in NOT_PROVEN if counts[status]]
    if unjudged:
        others.append(f"{unjudged} not judged")
    if not others:
        return f"{count(all_of_them, 'clause')} {'holds' if all_of_them == 1 else 'hold'}"
    return ", ".join([f"{counts[Status.HOLDS]} of {count(all_of_them - unjudged, 'clause')} hold", *others])


def facts(report: Report) -> tuple[tuple[str, str], ...]:
    """What ran, as labelled texts; what is not known is left out."""
    run = report.run
    known = (
        ("subject", run.subject),
        ("revision", run.revision),
        ("stack", run.stack),
        ("tempo", f"{run.tempo:g}"),
        ("begun", _instant(run.started)),
        ("took", seconds(run.seconds)),
    )
    return tuple((label, value) for label, value in known if value)


def _instant(iso: str) -> str:
    # A reader needs no milliseconds; what is not an instant of ours is shown as it is.
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z", iso)
    return f"{found.group(1)} {found.group(2)} UTC" if found else iso


def seconds(value: float | None) -> str:
    """`0.3 s`, `12 min 5 s`; nothing for what was not measured."""
    if value is None:
        return ""
    if value < 120:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def finding_lines(finding: Finding) -> tuple[tuple[str, str], ...]:
    """A finding's texts with their labels, in the order in which a failure reads."""
    names = ("expected", "observed", "clients", "because", "query", "location")
    return tuple((name, getattr(finding, name)) for name in names if getattr(finding, name))


THRESHOLD_COLUMNS = (
    "alert",
    "tier",
    "documented",
    "silent at",
    "fires at",
    "at the threshold",
    "clears at",
    "for",
    "time to fire",
    "notes",
)


def thresholds(report: Report) -> tuple[tuple[str, ...], ...]:
    """The table of thresholds, its head first, without the columns in which nothing stands."""
    lines = [THRESHOLD_COLUMNS, *(threshold_cells(row) for row in report.thresholds)]
    kept = [column for column in zip(*lines, strict=True) if any(column[1:])]
    return tuple(zip(*kept, strict=True))


def threshold_cells(row: ThresholdRow) -> tuple[str, ...]:
    """One threshold as a line of a table, in the order of THRESHOLD_COLUMNS."""
    notes = [f"by {row.carrier}"] if row.carrier else []
    if len(set(row.spread.values())) > 1:
        notes.append("depends on the spread: " + ", ".join(f"{name} {value:g}" for name, value in row.spread.items()))
    if row.monotone is False:
        notes.append("not monotone")
    delays = [f"{each.least:g}…{each.most:g} s at {each.multiple:g} times" for each in row.time_to_fire]
    held = "" if row.for_documented is None else f"{row.for_documented:g} s"
    if row.for_observed is not None:
        held = ", ".join(part for part in (held, f"observed {row.for_observed:g} s") if part)
    return (
        f"{row.alert} ({row.branch})" if row.branch else row.alert,
        row.tier,
        f"{row.documented:g} {row.unit}".strip(),
        _number(row.silent_at),
        _number(row.fires_at),
        row.at_threshold,
        _number(row.clears_at),
        held,
        "; ".join(delays),
        "; ".join(notes),
    )


COMPONENT_COLUMNS = ("component", "version", "source", "ready after", "peak memory", "remark")


def component_cells(row: ComponentRow) -> tuple[str, ...]:
    """One component as a line of a table, in the order of COMPONENT_COLUMNS."""
    marks = [mark for mark, given in (("stand-in", row.stand_in), ("built here", row.built_here)) if given]
    return (
        row.name,
        row.version,
        ", ".join(part for part in (row.source, row.image) if part),
        seconds(row.ready_seconds),
        "" if row.peak_rss_mib is None else f"{row.peak_rss_mib:.0f} MiB",
        ", ".join(marks),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
