"""
The program behind `nox -s thresholds`: what the alerts of a rule folder do, measured without a stack.

It reads rules and contract, has them measured, judged, mutated and compared, and says the result in one last line.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from conformance import ci
from conformance.contract import load as contract_load
from conformance.report.record import ThresholdRow, TimeToFire
from conformance.simulate import compare, documented, effective, judge_mutants, kept, lint
from conformance.simulate.cases import CasesError, read_cases
from conformance.simulate.history import DAYS, HistoryError, open_history, replay
from conformance.simulate.promtool import Promtool, PromtoolError
from conformance.simulate.result import Outcome
from conformance.tiers import around
from fixtures.core import rundir
from fixtures.core.rundir import RunDirError
from fixtures.stack.provision import provide
from fixtures.stack.versions import ProvisionError

if TYPE_CHECKING:
    from conformance.contract.model import Contract
    from conformance.simulate.compare import HistoryRow, Revision
    from conformance.simulate.result import Threshold
    from fixtures.core.rundir import RunDir

ROOT = Path(__file__).parents[1]

_MOST_WORDS = 200
_MOST_DAYS = 3_650


class UsageError(Exception):
    """The program cannot do what it was asked."""


@dataclass(kw_only=True, slots=True)
class Outcomes:
    """Everything that was found, for the screen and for the file."""

    rules: str
    rows: tuple[Threshold, ...] = ()
    judged: tuple[documented.Judged, ...] = ()
    contradictions: tuple[compare.Contradiction, ...] = ()
    diagnostics: tuple[lint.Diagnostic, ...] = ()
    mutants: judge_mutants.MutationReport | None = None
    comparison: compare.Comparison | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cases: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    """The documented threshold of each alert that has one."""
    why: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a rule folder; 0 only when the result is conformant."""
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        if stop.code:
            print("result: usage")
        return 1 if stop.code else 0
    try:
        run = rundir.create(ROOT / ".runs" if options.run_dir is None else None, exact=options.run_dir)
        found = _run(options, run)
    except (
        UsageError,
        RunDirError,
        compare.CompareError,
        HistoryError,
        PromtoolError,
        ProvisionError,
        CasesError,
        judge_mutants.RoutesError,
    ) as error:
        print(f"thresholds: {error}", file=sys.stderr)
        print("result: usage" if isinstance(error, UsageError | RunDirError) else "result: partial")
        return 1
    result = _result(found, fail_on_change=options.fail_on_change)
    written = msgspec.json.encode(_data(found, result), enc_hook=str)
    (run.path / "thresholds.json").write_bytes(msgspec.json.format(written, indent=2))
    if found.comparison is not None:
        text = compare.markdown(found.comparison, fail_on_change=options.fail_on_change)
        (run.path / "comparison.md").write_text(text, encoding="utf-8")
    print(_text(found, options))
    if ci.on_github(os.environ):
        find = ci.find_below(options.rules)
        print(ci.findings(_placed(found), find, title="thresholds", rest=f"{run.path}/thresholds.json"), end="")
    print(f"written: {run.path / 'thresholds.json'}")
    reasons = f" ({'; '.join(found.why)})" if found.why else ""
    print(f"result: {result}{reasons}")
    return 0 if result == "conformant" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="thresholds", description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument(
        "--rules", type=Path, default=ROOT / "rules", metavar="DIR", help="rule files (default: rules/)"
    )
    parser.add_argument("--contract", type=Path, metavar="DIR", help="the documents (default: the shipped ones)")
    parser.add_argument("--no-contract", action="store_true", help="measure alone: nothing is documented")
    parser.add_argument("--base", metavar="REV|DIR", help="compare with a revision of git or a folder")
    parser.add_argument("--fail-on-change", action="store_true", help="with --base: any difference fails")
    parser.add_argument("--history", metavar="URL|DIR|FILE", help="what both sides would have done with a real history")
    parser.add_argument("--days", type=float, metavar="N", help=f"how many days of history (default: {DAYS:g})")
    parser.add_argument("--no-mutants", action="store_true", help="leave the mutants out")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="where to write (default: a new one below .runs)")
    return parser


class _Timer:
    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self.last, 3)
        self.last = now


def _run(options: argparse.Namespace, run: RunDir) -> Outcomes:
    if not options.rules.exists():
        raise UsageError(f"--rules {options.rules}: is not there")
    if options.fail_on_change and options.base is None:
        raise UsageError("--fail-on-change: compares with nothing; name a --base")
    if options.days is not None and options.history is None:
        raise UsageError("--days: of which history? name a --history")
    if options.days is not None and not 0 < options.days <= _MOST_DAYS:
        raise UsageError(f"--days {options.days:g}: must be more than 0 and at most {_MOST_DAYS}")
    if options.no_contract and options.contract is not None:
        raise UsageError("--no-contract and --contract contradict each other")
    documents = None if options.no_contract else options.contract or contract_load.SHIPPED
    head = compare.read_revision(
        str(options.rules), rules_at=options.rules, contract_at=documents, dashboards_at=ROOT / "dashboards"
    )
    if head.contract_error:
        raise UsageError(f"the contract cannot be read: {head.contract_error}")
    found = Outcomes(rules=str(options.rules))
    timer = _Timer(found.seconds)
    tools = provide(["promtool", "amtool", *(["prometheus"] if options.history else [])])
    tool = Promtool(path=tools["promtool"].path)
    amtool = tools["amtool"].path
    timer.lap("start")
    found.diagnostics = (*head.problems, *lint.lint(head.files, _world(head.contract)))
    timer.lap("lint")
    found.rows = _measured(head, tool)
    timer.lap("thresholds")
    cases = read_cases(options.rules / "tests")
    if head.contract is not None:
        found.numbers = {each.name: each.threshold for each in head.contract.alerts if not each.fires_on}
        found.judged = documented.judge(head.contract.alerts, found.rows)
        found.contradictions = compare.contradictions(head, found.rows, amtool)
    found.contradictions += compare.unkept(kept.missed(tool, head.files, cases))
    timer.lap("documents")
    # Mutants of rules that contradict their document would be judged by clauses that are broken already.
    if head.contract is not None and not options.no_mutants and not _contradicted(found):
        found.mutants = judge_mutants.report(
            tool,
            head.files,
            contract=head.contract,
            cases=cases,
            amtool=amtool,
            alertmanager=head.alertmanager,
        )
        timer.lap("mutants")
    if options.base is not None or options.history:
        paths = {name: binary.path for name, binary in tools.items()}
        found.comparison = _compared(options, head, found.rows, tool, run=run, tools=paths)
        timer.lap("comparison")
    found.cases = sum(cases for cases, _ in tool.runs)
    return found


def _contradicted(found: Outcomes) -> bool:
    return bool(found.contradictions) or any(each.said is documented.Said.CONTRADICTS for each in found.judged)


def _measured(side: Revision, tool: Promtool) -> tuple[Threshold, ...]:
    wanted = effective.subjects(side.files)
    return tuple(row for rows in effective.measure(wanted, tool, around(side.contract)) for row in rows)


def _world(contract: Contract | None) -> lint.World:
    if contract is None:
        return lint.World()
    families = {
        each.name: lint.Family(
            name=each.name, kind=str(each.type), labels=each.labels, buckets_beyond=each.buckets_beyond
        )
        for each in contract.metrics.promises
    }
    return lint.World(
        scrape_interval=contract.timing.scrape_interval,
        evaluation_interval=contract.timing.evaluation_interval,
        families=families,
    )


def _compared(
    options: argparse.Namespace,
    head: Revision,
    rows: Sequence[Threshold],
    tool: Promtool,
    *,
    run: RunDir,
    tools: dict[str, Path],
) -> compare.Comparison:
    with tempfile.TemporaryDirectory(prefix="thresholds-", dir=run.path) as scratch:
        folder = Path(scratch)
        base = head
        if options.base is not None:
            base = compare.read_base(options.base, repository=ROOT, scratch=folder / "base")
        history: Sequence[HistoryRow] = ()
        note = ""
        if options.history:
            with open_history(
                options.history,
                scratch=folder / "history",
                prometheus=tools["prometheus"],
                promtool=tool.path,
                days=DAYS if options.days is None else options.days,
            ) as opened:
                replayed = replay(opened, base, head)
            history, note = replayed.rows, replayed.note
        return compare.compare(
            tool,
            base,
            head,
            amtool=tools["amtool"],
            base_thresholds=rows if base is head else _measured(base, tool),
            head_thresholds=rows,
            history=history,
            history_note=note,
        )


# --- the result ------------------------------------------------------------------------------------------------------
def _result(found: Outcomes, *, fail_on_change: bool) -> str:
    broken, partial = [], []
    contradicted = [each for each in found.judged if each.said is documented.Said.CONTRADICTS]
    subjects = [each.subject for each in found.contradictions]
    kept = sum(subject.startswith("case/") for subject in subjects)
    wrong = sorted(
        {each.alert for each in contradicted}
        | {subject.partition(" ")[0] for subject in subjects if not subject.startswith("case/")}
    )
    if kept:
        wrong.append(f"{kept} of the cases beside them")
    if wrong:
        broken.append(f"contradicted by the rules: {', '.join(wrong[:5])}{' …' if len(wrong) > 5 else ''}")
    errors = [each for each in found.diagnostics if each.weight is lint.Weight.ERROR]
    if errors:
        broken.append(f"{len(errors)} errors in the rules")
    if found.comparison is not None and found.comparison.result(fail_on_change=fail_on_change) == "nonconformant":
        changed = fail_on_change and found.comparison.changed
        broken.append(
            f"{found.rules} differs from {found.comparison.base}" if changed else "a document is contradicted"
        )
    if not any(each.outcome is not Outcome.UNMEASURED for each in found.rows):
        partial.append("no alert was measured")
    unproven = sorted({each.alert for each in found.judged if each.said is documented.Said.UNPROVEN})
    unmeasured = sorted({row.alert for row in found.rows if row.outcome is Outcome.UNMEASURED})
    if unproven or unmeasured:
        names = sorted({*unproven, *unmeasured})
        partial.append(f"not measured: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}")
    if found.mutants is not None and (survivors := found.mutants.having(judge_mutants.Outcome.SURVIVED)):
        partial.append(f"{len(survivors)} mutants survived")
    found.why = [*dict.fromkeys(broken), *partial]
    return "nonconformant" if broken else "partial" if partial else "conformant"


def _built(value: object) -> Any:  # noqa: ANN401  whatever JSON has for it
    """Data as JSON has it; a citation that knows its place is a text there."""
    return msgspec.to_builtins(value, enc_hook=str)


def _data(found: Outcomes, result: str) -> dict[str, object]:
    return {
        "schema": 1,
        "result": result,
        "why": found.why,
        "rules": found.rules,
        "seconds": found.seconds,
        "cases": found.cases,
        "thresholds": _built([_threshold(row, found) for row in found.rows if row.fires_at is not None]),
        "rows": _built(found.rows),
        "documented": _built(found.judged),
        "contradictions": _built(found.contradictions),
        "diagnostics": _built(found.diagnostics),
        "mutants": None
        if found.mutants is None
        else {
            str(outcome): [
                each.mutant.text() if isinstance(each, judge_mutants.Judged) else each.text() for each in got
            ]
            for outcome in judge_mutants.Outcome
            if (got := found.mutants.having(outcome))
        },
        "comparison": None if found.comparison is None else _built(found.comparison),
    }


def _threshold(row: Threshold, found: Outcomes) -> ThresholdRow:
    """The row as the report of a run has it, in the documented unit where there is one."""
    own = row.measure_silent is not None and row.measure_fires is not None
    judged = next((each for each in found.judged if each.row is row), None)
    return ThresholdRow(
        alert=row.alert,
        tier="simulated",
        documented=found.numbers.get(row.alert, 0.0) if own else row.constant or 0.0,
        unit=judged.documented.rpartition(" ")[2] if judged is not None else row.unit,
        silent_at=row.measure_silent if own else row.silent_at,
        fires_at=row.measure_fires if own else row.fires_at,
        for_documented=row.for_documented_s,
        for_observed=row.for_observed_s,
        branch=row.branch,
        carrier=row.carrier,
        spread=row.spread,
        at_threshold=row.at_threshold,
        clears_at=row.clears_at,
        monotone=row.monotone,
        time_to_fire=tuple(
            TimeToFire(multiple=each.multiple, least=each.least_s, most=each.most_s) for each in row.time_to_fire
        ),
    )


# --- the screen ------------------------------------------------------------------------------------------------------
def _text(found: Outcomes, options: argparse.Namespace) -> str:
    head = ("alert", "wants", "silent at", "fires at", "in", "for", "fires after (1.1 / 2 / 10 x)", "over 5 sets")
    table = [head, *(_cells(row) for row in found.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines += _notes(found.rows)
    for title, texts in (
        ("findings in the rules", [each.text() for each in found.diagnostics]),
        (
            "contradictions",
            [each.text() for each in found.judged if each.said is documented.Said.CONTRADICTS]
            + [each.text() for each in found.contradictions],
        ),
    ):
        if texts:
            lines += ["", f"{title}:", *texts]
    if found.mutants is not None:
        lines += ["", "mutants:", found.mutants.text()]
    elif _contradicted(found) and not options.no_mutants:
        lines += ["", "mutants: none made; the clauses that would judge them are broken already"]
    if found.comparison is not None:
        lines += ["", compare.markdown(found.comparison, fail_on_change=options.fail_on_change)]
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.seconds.items())
    lines += ["", f"{len(found.rows)} conditions, {found.cases} cases: {spent}"]
    return "\n".join(lines)


def _placed(found: Outcomes) -> Iterator[str]:
    """What is said of a line of the rules, each beginning with its place."""
    yield from (each.text() for each in found.diagnostics)
    yield from (each.text() for each in found.judged if each.said is documented.Said.CONTRADICTS)
    yield from (each.text() for each in found.contradictions)


def _cells(row: Threshold) -> tuple[str, ...]:
    wants = (
        f"{row.operator} {_number(row.constant)}".strip() if row.operator not in {"absent", "present"} else row.operator
    )
    silent, fires, unit = row.silent_at, row.fires_at, row.unit
    speeds = {each.multiple: f"{each.least_s:g}-{each.most_s:g} s" for each in row.time_to_fire}
    spread = row.spread.get("5")
    if row.outcome is Outcome.STATE and row.phase_band_s is not None:
        low, high = row.phase_band_s
        return (
            row.alert,
            wants,
            "",
            " or ".join(row.fires_on),
            row.carrier[:40],
            f"{row.for_documented_s:g} s",
            f"between {low:g} and {high:g} s",
            "",
        )
    if row.fires_at is None:
        return (row.alert, wants, "", str(row.outcome), row.carrier[:40], f"{row.for_documented_s:g} s", "", "")
    return (
        row.alert,
        wants,
        _number(silent),
        _number(fires),
        f"{row.carrier[:40]}, {unit}",
        f"{row.for_documented_s:g} s" if row.for_observed_s is None else f"{row.for_observed_s:g} s",
        " / ".join(speeds.values()),
        "" if spread is None else "same" if spread == row.fires_at else _number(spread),
    )


def _notes(rows: Sequence[Threshold]) -> list[str]:
    found = []
    for row in rows:
        where = f"{row.file}:{row.line}:{row.column}: {row.alert}"
        if row.reason:
            found += [f"{where}: {row.outcome}: {row.reason[:_MOST_WORDS]}", row.shown]
        if row.resolution is not None:
            found.append(
                f"{where}: nothing between the buckets {row.resolution[0]:g} and {row.resolution[1]:g} is told apart"
            )
        if row.slow_share is not None:
            found.append(f"{where}: by share: fires when more than {row.slow_share[0]:.3%} of the requests are slow")
        if row.zero_denominator not in {"", "silent"}:
            found.append(f"{where}: with a denominator of 0 it {row.zero_denominator}")
        if row.baseline and row.fires_at is not None:
            rest = ", ".join(f"{name} {value:g}" for name, value in row.baseline.items())
            found.append(f"{where}: measured with {rest}")
    return ["", *found] if found else []


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


if __name__ == "__main__":
    sys.exit(main())
