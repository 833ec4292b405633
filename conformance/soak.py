"""Repeats the main job and lists every verdict that differed: is the gate itself steady? `nox -s soak -- N`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from conformance.report.record import Report, ReportError, Result, read
from fixtures.core import clock, rundir

if TYPE_CHECKING:
    from collections.abc import Sequence

LIVE = ("conformance/steady", "conformance/scenarios")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the main job N times; 0 only if every run was conformant and no verdict differed."""
    parser = argparse.ArgumentParser(prog="nox -s soak --", description="The main job N times, and what differed.")
    parser.add_argument("runs", type=int, metavar="N", help="how often (1 to 1000)")
    parser.add_argument("pytest", nargs="*", help="what else pytest is given, such as --tempo 30")
    chosen, passed_on = parser.parse_known_args(arguments)
    if not 1 <= chosen.runs <= 1000:
        parser.error(f"{chosen.runs}: must be between 1 and 1000")
    folder = rundir.create(Path(".runs") / "soak").path
    reports: list[Report] = []
    for number in range(1, chosen.runs + 1):
        place, begun = folder / f"{number:03d}", clock.mono()
        command = [sys.executable, "-m", "pytest", *LIVE, "--run-dir", str(place), *chosen.pytest, *passed_on]
        try:
            code = _run(command, folder / f"{number:03d}.log")
        except KeyboardInterrupt:
            print(f"interrupted in run {number} of {chosen.runs}", flush=True)
            return _tell(reports, folder, chosen.runs) if reports else 1
        took = clock.mono() - begun
        try:
            report = read(place / "report.json")
        except ReportError as error:
            print(f"run {number} of {chosen.runs}: no report (exit {code}): {error}; see {folder}/{number:03d}.log")
            return 1
        reports.append(report)
        again = f"; again: {', '.join(each.program for each in report.run.attempts)}" if report.run.attempts else ""
        print(f"run {number} of {chosen.runs}: {report.result} in {took:.1f} s{again}", flush=True)
        for row in report.clauses:
            if row.status != "holds":
                print(f"    {row.status} {row.id}: {row.reason[:160]}", flush=True)
    return _tell(reports, folder, chosen.runs)


def _run(command: Sequence[str], log: Path) -> int:
    """The exit code of a run, which alone is interrupted where this is: it takes down what it had stood up."""
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        ) as run,
    ):
        try:
            return run.wait()
        except BaseException:
            run.send_signal(signal.SIGINT)
            run.wait()
            raise


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
