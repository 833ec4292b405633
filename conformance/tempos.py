"""
Records of what a run measured at its tempo, kept so that a run at another tempo can be compared with it.

`python -m conformance.tempos RUN` keeps the figures of a conformant run; do so when the rules or the programs change.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from conformance import compare
from conformance.contract.load import load
from conformance.contract.parse import ContractError
from conformance.judge.tempos import Figures, Kept, figures
from conformance.report.record import ReportError, Result, read
from conformance.timeline import store
from conformance.timeline.store import TimelineError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).with_name("scenarios") / "tempos"


class RecordError(Exception):
    """A record cannot be made or read; the message says which and why."""


def kept(folder: Path = FOLDER) -> tuple[Kept, ...]:
    """Every record of a folder. Raises RecordError with the file."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Kept))
        except (OSError, msgspec.DecodeError) as error:
            raise RecordError(f"{path}: is no record of a tempo: {error}") from error
    return tuple(found)


def keep(run: Path, folder: Path = FOLDER) -> Path:
    """Write what a run measured. Raises RecordError where it was not conformant or measured no alert whole."""
    # Tests, which whoever only reads a record must not import.
    from conformance.scenarios.test_tiers import LADDERS  # noqa: PLC0415

    try:
        report, timelines = read(run / "report.json"), store.read_all([run])
    except (ReportError, TimelineError) as error:
        raise RecordError(str(error)) from error
    if report.result is not Result.CONFORMANT:
        raise RecordError(f"{run}: is {report.result}; only a conformant run is a measure for others")
    if report.run.attempts:
        raise RecordError(f"{run}: programs were performed again, so its figures are not of one attempt at one tempo")
    contract, found = load(), []
    for ladder in LADDERS:
        each = figures(ladder, contract, timelines)
        if not isinstance(each, Figures):
            raise RecordError(f"{run}: {each.clause} is {each.status}: {each.reason}")
        found.append(each)
    record = Kept(
        tempo=report.run.tempo,
        made=report.run.started,
        revision=report.run.revision,
        stack=report.run.stack,
        alerts=tuple(found),
    )
    path = folder / f"tempo-{record.tempo:g}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the figures of a run; 0 when they were written."""
    parser = argparse.ArgumentParser(prog="python -m conformance.tempos", description="Keep what a run measured.")
    parser.add_argument("run", metavar="RUN", help="a conformant run: a folder, a name below .runs, or latest")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="DIR", help="default: the shipped records")
    options = parser.parse_args(arguments)
    try:
        print(f"written: {keep(compare.folder(options.run), options.into)}")
    except (RecordError, compare.CompareError, ContractError) as error:
        print(f"tempos: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
