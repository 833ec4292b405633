"""
Two runs side by side: `nox -s compare -- RUN RUN`. What got worse or better, which thresholds moved, what took longer.

A RUN is `latest`, a run's folder, its name (or how it begins) below `.runs`, or a report.json.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from conformance.report import differences
from conformance.report.compare import changes
from conformance.report.record import Report, ReportError, read
from fixtures.language.rules import near

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.report.compare import Changes

RUNS = Path(".runs")
LATEST = "latest"
REPORT = "report.json"
_MOST_LOOKED_AT = 50


class CompareError(Exception):
    """There are no two runs to compare; the message says why."""


def find(name: str, base: Path = RUNS) -> Path:
    """
    The report.json of a run. Raises CompareError with what was looked for and the near miss.
    """
    given = base / LATEST if name == LATEST else Path(name)
    if given.is_file():
        return given
    if given.is_dir():
        if (given / REPORT).is_file():
            return given / REPORT
        raise CompareError(f"{given}: holds no {REPORT}: the run was not finished, or this is no run's folder")
    known = [place.name for place in stored(base)]
    begun = [each for each in known if each.startswith(name)] if "/" not in name else []
    if len(begun) == 1:
        return base / begun[0] / REPORT
    if begun:
        raise CompareError(f"{name}: {len(begun)} runs begin so: {', '.join(begun[:5])}")
    there = f"; there are {', '.join([LATEST, *known[:3]])}" if known else f"; there is no run below {base}"
    raise CompareError(f"{name}: is neither a run below {base}, a folder nor a {REPORT}{near(name, known) or there}")


def folder(name: str, base: Path = RUNS) -> Path:
    """
    The folder of a run, for what needs more of it than its report. Raises CompareError.
    """
    found = find(name, base)
    if found.name != REPORT:
        raise CompareError(f"{name}: is a file; expected a run's folder, its name below {base}, or {LATEST}")
    return found.parent


def stored(base: Path = RUNS) -> Iterator[Path]:
    """The folders of finished runs, the newest first."""
    try:
        places = [each for each in base.iterdir() if not each.is_symlink() and (each / REPORT).is_file()]
    except OSError:
        return
    yield from sorted(places, key=lambda each: each.name, reverse=True)


def previous(like: Report, base: Path = RUNS) -> tuple[Path, Report] | None:
    """
    The newest finished run before `like` of the same kind: stack, tempo, subject, whole or a selection; or None.

    Reports that cannot be read are passed over: an old version's is no reason to fail.
    """
    for looked_at, place in enumerate(stored(base)):
        if looked_at == _MOST_LOOKED_AT:
            break
        try:
            report = read(place / REPORT)
        except ReportError:
            continue
        if report.run.started < like.run.started and _kind(report) == _kind(like):
            return place, report
    return None


def _kind(report: Report) -> tuple[object, ...]:
    run = report.run
    return run.stack, run.tempo, run.subject, run.selection


def programs(report: Path) -> dict[str, float]:
    """How many seconds each program of a run took, by its cell, as far as its events say so."""
    found: dict[str, float] = {}
    try:
        lines = (report.parent / "events.ndjson").read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            event = msgspec.json.decode(line)
        except msgspec.DecodeError:
            # The last line of a killed run.
            continue
        if isinstance(event, dict) and event.get("kind") == "program-ended":
            found[str(event["cell"])] = float(event["seconds"])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; 0, 1 where something got worse or is unproven and that was to fail, 2 where nothing can be compared."""
    parser = argparse.ArgumentParser(prog="nox -s compare --", description="Two runs side by side.")
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="before and after: latest, a folder, a name below .runs or a report.json; one alone is compared with the "
        "latest, none is the latest against the one before it of the same kind",
    )
    parser.add_argument("--markdown", action="store_true", help="write Markdown, for a pull request")
    parser.add_argument(
        "--fail-on-regression", action="store_true", help="exit with 1 where something got worse, or was not proven"
    )
    chosen = parser.parse_args(arguments)
    if len(chosen.runs) > 2:
        parser.error(f"two runs at most, not {len(chosen.runs)}")
    try:
        before, after = _pair(chosen.runs)
        made = _made(before, after)
    except (CompareError, ReportError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    if chosen.markdown:
        print(differences.markdown(made, before=str(before.parent), after=str(after.parent)), end="")
    else:
        width = shutil.get_terminal_size((120, 40)).columns
        print(differences.text(made, before=str(before.parent), after=str(after.parent), width=max(width, 80)), end="")
    return 1 if chosen.fail_on_regression and (made.regressions or made.unproven) else 0


def _made(before: Path, after: Path) -> Changes:
    if before.resolve() == after.resolve():
        raise CompareError(f"{before}: is the same run twice; there is nothing to compare")
    made = changes(read(before), read(after), programs_before=programs(before), programs_after=programs(after))
    if not made.same and not made.clauses:
        raise CompareError(f"{before}, {after}: neither run has a clause; there is nothing to compare")
    return made


def _pair(names: Sequence[str]) -> tuple[Path, Path]:
    after = find(names[1] if len(names) == 2 else LATEST)
    if names:
        return find(names[0]), after
    earlier = previous(read(after))
    if earlier is None:
        raise CompareError(f"{after}: there is no earlier run of the same kind below {RUNS}; name two runs")
    return earlier[0] / REPORT, after


if __name__ == "__main__":
    sys.exit(main())
