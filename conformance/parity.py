"""
The same clauses on two drivers, side by side: `python -m conformance.parity` (nox -s parity).

Runs the main job natively and on containers, or takes the directories of two runs, and prints where they differ. A
difference is accepted only with a reason that is written here.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import compare, job
from conformance.judge.verdict import Status
from conformance.report.compare import changes
from conformance.report.record import Report, ReportError, read
from fixtures.core import clock
from fixtures.stack.choice import choose
from fixtures.stack.component import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DRIVERS = ("native", "containers")
EXPECTED: Mapping[str, str] = {}
"""By clause: why it may differ between the drivers. Empty: at present none may."""

COMPONENTS = {
    "cadvisor": "natively a plain control group, known by its `id`; in a container the engine's own `name`",
    "ballast": "natively a process in the gateway's control group; in a container a second process of the gateway's",
    "programs": "ours are processes in either case; but for measured gateways they share one container of their image",
}
"""What stands in another way though the clauses agree."""


class ParityError(Exception):
    """There are no two runs to compare; the message says why."""


def stored(directory: Path) -> Report:
    """The report of a run. Raises ParityError."""
    path = directory / "report.json"
    try:
        report = read(path)
    except ReportError as error:
        raise ParityError(str(error)) from None
    if not report.clauses:
        raise ParityError(f"{path}: holds no clause, so there is nothing to compare")
    return report


def tell(first: Path, second: Path) -> int:
    """Print how two runs differ; 0 where every difference has its reason and every clause was proven in one of them."""
    reports = stored(first), stored(second)
    if first.resolve() == second.resolve():
        raise ParityError(f"{first}: is the same run twice; there is nothing to compare")
    found = changes(*reports)
    width = max((len(each.clause) for each in found.clauses), default=0)
    unexplained = 0
    for each in sorted(found.clauses, key=lambda change: change.clause):
        reason = EXPECTED.get(each.clause, "")
        unexplained += not reason
        before, after = each.before or "absent", each.after or "absent"
        print(f"{each.clause:{width}}  {before} / {after}: {reason or 'no reason is written'}")
    for name, why in COMPONENTS.items():
        print(f"{name}: {why}")
    nowhere = sorted(set.intersection(*({row.id for row in each.having(Status.UNPROVEN)} for each in reports)))
    print(
        f"parity: {found.same - len(nowhere)} clauses agree, {len(found.clauses)} differ, {unexplained} of them "
        f"without a reason"
    )
    if nowhere:
        more = f" and {len(nowhere) - 1} more" if len(nowhere) > 1 else ""
        print(f"parity: not shown: unproven in both runs, and so not compared: {nowhere[0]}{more}")
    return 1 if unexplained or nowhere else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; 1 where something differs without a reason or is proven nowhere, 2 where nothing can be compared."""
    parser = argparse.ArgumentParser(prog="nox -s parity --", description="Native against containers, by clause.")
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="two runs, instead of running: folders, names below .runs, or latest",
    )
    chosen = parser.parse_args(arguments)
    if len(chosen.runs) not in (0, 2):
        parser.error(f"two runs or none, not {len(chosen.runs)}")
    job.terminable()
    try:
        first, second = [compare.folder(each) for each in chosen.runs] or _run_both()
        return tell(first, second)
    except (ParityError, StackError, compare.CompareError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("parity: interrupted; nothing was compared", file=sys.stderr)
        return job.INTERRUPTED


def _run_both() -> list[Path]:
    # Before the first run, which would be for nothing.
    choose("containers", os.environ)
    base = Path(".runs") / f"parity-{clock.stamp(clock.now())}"
    for driver in DRIVERS:
        with job.started("--stack", driver, "--run-dir", str(base / driver)):
            pass
    return [base / driver for driver in DRIVERS]


if __name__ == "__main__":
    sys.exit(main())
