"""Repeats the main job and lists every verdict that differed: is the gate itself steady? `nox -s soak -- N`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from conformance import job
from conformance.report.record import UNJUDGED, Report, ReportError, Result, read
from fixtures.core import clock, rundir

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = ("--run-dir", "--timeline")
"""Options of a run that would make a soak none: each run has a folder of its own, and is performed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the main job N times; 0 only if every run was conformant and no verdict differed."""
    parser = argparse.ArgumentParser(prog="nox -s soak --", description="The main job N times, and what differed.")
    parser.add_argument("runs", type=int, metavar="N", help="how often (1 to 1000)")
    parser.add_argument("pytest", nargs=argparse.REMAINDER, help="what else each run is given, such as --tempo 30")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.runs <= 1000:
        parser.error(f"{chosen.runs}: must be between 1 and 1000")
    if own := [each for each in chosen.pytest if each.partition("=")[0] in OWN]:
        parser.error(f"{own[0]}: a soak performs each of its runs, into a folder of its own; leave it out")
    job.terminable()
    folder = rundir.create(Path(".runs") / "soak").path
    print(f"{chosen.runs} runs, each with its log in {folder}; begun at {clock.at(clock.now())[:8]} UTC", flush=True)
    reports: list[Report] = []
    begun = clock.mono()
    for number in range(1, chosen.runs + 1):
        place = folder / f"{number:03d}"
        began = clock.mono()
        try:
            code = _run(chosen.pytest, place)
        except KeyboardInterrupt:
            print(f"interrupted in run {number} of {chosen.runs}", flush=True)
            return _tell(reports, folder, chosen.runs) if reports else 1
        try:
            report = read(place / "report.json")
        except ReportError:
            print(
                f"run {number} of {chosen.runs}: no report (exit {code}): {_last(place)}; see {place}.log", flush=True
            )
            return _tell(reports, folder, chosen.runs) if reports else 1
        reports.append(report)
        again = f"; again: {', '.join(each.program for each in report.run.attempts)}" if report.run.attempts else ""
        left = (clock.mono() - begun) / number * (chosen.runs - number)
        done = f"; done at about {clock.at(clock.now() + left)[:8]} UTC" if left else ""
        print(
            f"run {number} of {chosen.runs}: {report.result} in {clock.mono() - began:.1f} s{again}{done}", flush=True
        )
        for row in report.clauses:
            # What a selection leaves out is no verdict.
            if row.status != "holds" and not (report.run.selection and row.reason.startswith(UNJUDGED)):
                print(f"    {row.status} {row.id}: {row.reason[:160]}", flush=True)
    return _tell(reports, folder, chosen.runs)


def _run(options: Sequence[str], place: Path) -> int:
    """Perform the main job into a folder, with its log beside it; returns its exit code."""
    with job.started(*options, "--run-dir", str(place), log=place.with_suffix(".log")) as run:
        return run.wait()


def _last(place: Path) -> str:
    """What a run without a report said of that, as far as its log has a line about an error."""
    try:
        lines = place.with_suffix(".log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return str(error)
    errors = [line.strip() for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1][:300]


def differing(reports: Sequence[Report]) -> dict[str, Counter[str]]:
    """By clause how often it had which status, for those that did not always have the same."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        for row in report.clauses:
            seen[row.id][row.status.value] += 1
    return {
        clause: counts for clause, counts in seen.items() if len(counts) > 1 or sum(counts.values()) != len(reports)
    }


def _tell(reports: Sequence[Report], folder: Path, wanted: int) -> int:
    results = Counter(report.result.value for report in reports)
    attempts = Counter(attempt.program for report in reports for attempt in report.run.attempts)
    different = differing(reports)
    seconds = sorted(report.run.seconds for report in reports)
    summary = {
        "runs": len(reports),
        "results": dict(results),
        "seconds": {"min": seconds[0], "median": seconds[len(seconds) // 2], "max": seconds[-1]},
        "again": dict(attempts),
        "differed": {clause: dict(counts) for clause, counts in different.items()},
    }
    (folder / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2))
    print(f"\n{len(reports)} runs, {seconds[0]:.1f} to {seconds[-1]:.1f} s: {dict(results)}")
    if attempts:
        print(f"performed again: {dict(attempts)}")
    for clause, counts in different.items():
        print(f"differed: {clause}: {dict(counts)}")
    steady = not different and set(results) == {Result.CONFORMANT.value}
    result = "not steady" if not steady else "steady" if len(reports) == wanted else "steady as far as it went"
    print(f"result: {result} ({len(different)} clauses differed) — {folder}/soak.json")
    return 0 if steady and len(reports) == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
