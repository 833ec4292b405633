"""
What a run of the main job costs: seconds, processors, and the memory of everything that it started.

It looks from outside at the run's processes and at what the run wrote; nothing in a run knows that it is measured.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conformance import job
from conformance.report.record import ReportError, Result, read
from fixtures.core import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROC: Final = Path("/proc")
EVERY: Final = 1.0
"""Seconds between two looks at the memory: reading it costs a tenth of that on a whole stack."""

BUDGETS: Final[Mapping[str, tuple[float, str]]] = {
    "stack_ready_seconds": (5, "s"),
    "seconds": (35, "s"),
    "beyond_longest_seconds": (12, "s"),
    "peak_mib": (1536, "MiB"),
}
"""What a whole run may cost on two cores; the suite's own processes are counted with the stack."""


class CostError(Exception):
    """The run cannot be measured; the message says why."""


@dataclass(kw_only=True, slots=True)
class Looks:
    """Memory of a process and all below it, in MiB (shared pages once), and how many processes had it."""

    peak: float = 0.0
    processes: int = 0
    largest: dict[str, float] = field(default_factory=dict)
    """By the name of the program: the most that all of its processes had at once."""

    def look(self, pid: int) -> None:
        """One look; what ends meanwhile is not counted."""
        by_name: dict[str, float] = {}
        count = 0
        for each in below(pid):
            if (mib := pss(each)) is not None:
                count += 1
                by_name[_name(each)] = by_name.get(_name(each), 0.0) + mib
        total = sum(by_name.values())
        if total > self.peak:
            self.peak, self.processes, self.largest = total, count, by_name


def below(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for place in PROC.glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything, also brackets.
            parent = int(place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(place.parent.name))
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += children.get(each, ())


def pss(pid: int) -> float | None:
    """The proportional set size of a process in MiB; None where it ended or may not be looked at."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(found[0]) / 1024 if found else None


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "ended"


def live(folder: Path) -> dict[str, object]:
    """
    Run the main job into `folder` and measure it. Raises CostError where it wrote no report.
    """
    begun, looks = clock.mono(), Looks()
    before = _processor()
    with job.started("--run-dir", str(folder), log=folder.with_suffix(".log")) as run:
        code = None
        while code is None:
            try:
                code = run.wait(timeout=EVERY)
            except subprocess.TimeoutExpired:
                looks.look(run.pid)
    return row(folder, code=code, seconds=clock.mono() - begun, cpu=_processor() - before, looks=looks)


def row(folder: Path, *, code: int, seconds: float, cpu: float, looks: Looks) -> dict[str, object]:
    """The figures of a finished run as data. Raises CostError where it wrote no report."""
    try:
        report = read(folder / "report.json")
    except ReportError as error:
        raise CostError(f"the run ended with {code} and without a report: {error}; see {folder}.log") from error
    events = [json.loads(line) for line in (folder / "events.ndjson").read_text(encoding="utf-8").splitlines()]
    programs = {each["program"]: each["seconds"] for each in events if each["kind"] == "program-ended"}
    longest = max(programs, key=lambda name: programs[name], default="")
    # Another run's time is not this one's.
    seconds -= sum(each["seconds"] for each in events if each["kind"] == "turn-taken")
    return {
        "what": "the main job",
        "result": report.result.value,
        "why": list(report.run.why),
        "clauses": len(report.clauses),
        "tempo": report.run.tempo,
        "stack": report.run.stack,
        "again": len(report.run.attempts),
        "seconds": round(seconds, 2),
        "stack_ready_seconds": _ready(events, folder / "journal.ndjson"),
        "longest_program": longest,
        "longest_seconds": programs.get(longest),
        "beyond_longest_seconds": round(seconds - programs.get(longest, 0.0), 2),
        "cpu_seconds": round(cpu, 1),
        "peak_mib": round(looks.peak),
        "end_mib": round(sum(each.peak_rss_mib or 0.0 for each in report.components)),
        "processes": looks.processes,
        "components": len(report.components),
        "largest_mib": {name: round(mib) for name, mib in sorted(looks.largest.items(), key=lambda each: -each[1])[:8]},
        "budgets": {name: limit for name, (limit, _) in BUDGETS.items()},
    }


def unsound(found: Mapping[str, Any]) -> str:
    """Why the figures are none of a whole run; empty where they are."""
    if found["result"] == Result.CONFORMANT.value:
        return ""
    return f"the run was {found['result']} ({'; '.join(found['why'])}): its figures are not those of the main job"


def _ready(events: Sequence[Mapping[str, Any]], journal: Path) -> float | None:
    """Seconds from the first start to when the last component of the first stand was ready."""
    began = next((n for n, each in enumerate(events) if each["kind"] == "phase-began"), len(events))
    ready = [_seconds(each["at"]) for each in events[:began] if each["kind"] == "component-ready"]
    try:
        marks = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    starts = [float(each["at"]) for each in marks if each["what"] == "start"]
    return round(max(ready) - min(starts), 2) if ready and starts else None


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def told(found: Mapping[str, Any]) -> str:
    """The figures of one run as they are printed, each beside its budget where it has one."""
    kind = f"tempo {found['tempo']:g}, {found['stack']}, {os.cpu_count()} cores"
    lines = [f"{found['what']}: {found['result']}, {found['clauses']} clauses, {kind}"]
    names = {
        "stack_ready_seconds": "stack ready",
        "seconds": "whole job",
        "beyond_longest_seconds": f"beyond the longest program ({found['longest_program']})",
        "peak_mib": f"memory at the most ({found['processes']} processes)",
    }
    for key, name in names.items():
        limit, unit = BUDGETS[key]
        value = found[key]
        if value is None:
            lines.append(f"  {name}: not seen")
            continue
        over = "" if value <= limit else "  OVER"
        lines.append(f"  {name}: {value:g} {unit} (budget {limit:g} {unit}){over}")
    share = found["cpu_seconds"] / found["seconds"] / (os.cpu_count() or 1)
    lines.append(f"  processor: {found['cpu_seconds']:g} s, {share:.0%} of the machine")
    lines.append(f"  largest then, in MiB, by program: {_largest(found['largest_mib'])}")
    lines.append(f"  memory of {found['components']} components at the end of the programs: {found['end_mib']:g} MiB")
    if found["again"]:
        lines.append(f"  {found['again']} programs were performed again, so these are no figures of a quiet machine")
    return "\n".join(lines)


def _largest(named: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {mib:g}" for name, mib in named.items())
