"""
The program behind `nox -s dashboards`: what is wrong with the dashboards of a folder, without Grafana and a stack.

It reads dashboards, contract and rules, and prints each finding with its place and a caret; any error fails.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from conformance import ci
from conformance.contract import load as contract_load
from conformance.contract.parse import ContractError
from conformance.simulate import boardlint, lint
from conformance.simulate.lint import Diagnostic, Weight

ROOT = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the dashboards; 0 only where none has an error."""
    parser = argparse.ArgumentParser(
        prog="nox -s dashboards --",
        description="What is wrong with the dashboards of a folder: file, line, column, caret; errors end with 1.",
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="folders or files (default: dashboards/)")
    parser.add_argument("--contract", type=Path, metavar="DIR", help="the documents (default: the shipped ones)")
    parser.add_argument("--no-contract", action="store_true", help="nothing is documented: another service's")
    parser.add_argument("--rules", type=Path, metavar="DIR", help="rule files (default: rules/, with a contract)")
    parser.add_argument("--notes", action="store_true", help="notes too: what is no mistake and worth to know")
    options = parser.parse_args(arguments)
    if options.no_contract and options.contract is not None:
        parser.error("--no-contract and --contract contradict each other")
    folders = options.folders or [ROOT / "dashboards"]
    try:
        found = findings(
            folders,
            contract=None if options.no_contract else options.contract or contract_load.SHIPPED,
            rules=options.rules or (None if options.no_contract else ROOT / "rules"),
        )
    except ContractError as error:
        print(f"dashboards: {error}", file=sys.stderr)
        return 1
    shown = [each for each in found if options.notes or each.weight is not Weight.NOTE]
    for each in shown:
        print(each.text())
    if ci.on_github(os.environ):
        places = options.folders or [ROOT / "dashboards"]
        find = ci.find_below(*(each.parent if each.is_file() else each for each in places))
        print(ci.findings((each.text() for each in shown), find, title="dashboards", rest="the log"), end="")
    counts = Counter(each.weight for each in found)
    seen = boardlint.extent([board for folder in folders for board in boardlint.read(folder)[0]])
    unread = f" ({seen.unread} neither PromQL nor LogQL: nothing is said of them)" if seen.unread else ""
    print(f"looked at {seen.boards} dashboards with {seen.panels} panels and {seen.queries} queries{unread}")
    print(
        f"dashboards: {counts[Weight.ERROR]} errors, {counts[Weight.WARNING]} warnings, {counts[Weight.NOTE]} notes"
        + ("" if options.notes or not counts[Weight.NOTE] else " (--notes shows them)")
    )
    return 1 if counts[Weight.ERROR] else 0


def findings(folders: Sequence[Path], *, contract: Path | None, rules: Path | None) -> tuple[Diagnostic, ...]:
    """
    Every finding in the dashboards of these folders, which are checked as one: links lead from each to each.

    Rule files that cannot be read are findings too. Raises ContractError.
    """
    files, wrong = lint.read(rules) if rules is not None else ((), ())
    known = boardlint.around(contract_load.load(contract) if contract is not None else None, files)
    read = [boardlint.read(near(folder)) for folder in folders]
    boards = [board for found, _ in read for board in found]
    unread = [each for _, unread in read for each in unread]
    for folder, (found, missed) in zip(folders, read, strict=True):
        seen = boardlint.extent(found)
        # A pass of what nothing was read of would prove nothing.
        if not missed and seen.queries == seen.unread:
            reason = "asks neither Prometheus nor Loki: nothing was checked"
            unread.append(boardlint.unreadable(str(near(folder)), reason))
    return (*wrong, *unread, *boardlint.check(boards, known))


def near(folder: Path) -> Path:
    """The folder as the reader would write it: without the way to where they stand."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


if __name__ == "__main__":
    sys.exit(main())
