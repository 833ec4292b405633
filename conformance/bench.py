"""
The program behind `nox -s bench`: what simulation costs as the rules grow, the page, and the main job.

It makes rules of its own, of the shapes that people write; no timed test hangs on it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from conformance import cost, job
from conformance.browser import NARROW, WIDE, NoBrowserError, browser, opened
from conformance.contract import load as contract_load
from conformance.report import html
from conformance.selftest import pages
from conformance.simulate import compare, judge_mutants
from conformance.simulate.cases import read_cases
from conformance.simulate.effective import measure, subjects
from conformance.simulate.promtool import Promtool
from conformance.simulate.result import Outcome
from fixtures.core import rundir
from fixtures.core.rundir import RunDirError
from fixtures.language import rules
from fixtures.stack.provision import provide
from fixtures.stack.versions import ProvisionError

PARTS: Final = ("thresholds", "mutants", "report", "live")
SIZES: Final = (5, 50, 500)
ROOT = Path(__file__).parents[1]

SHAPES: Final = (
    "rate(made_{n}_errors_total[5m]) > 0.{d}",
    'sum(rate(made_{n}_requests_total{{code=~"5.."}}[{w}m])) / sum(rate(made_{n}_requests_total[{w}m])) > 0.0{d}',
    "made_{n}_free_bytes / made_{n}_size_bytes * 100 < {d}",
    "histogram_quantile(0.9{d}, sum by (le) (rate(made_{n}_seconds_bucket[{w}m]))) > {d}",
    "made_{n}_up == 0",
    'absent(made_{n}_heartbeat{{job="made"}})',
    "time() - made_{n}_last_success_seconds > {d}00",
    "made_{n}_queue > {d}0 and on (instance) made_{n}_leader == 1",
    "predict_linear(made_{n}_left_bytes[1h], 4 * 3600) < 0",
    "increase(made_{n}_restarts_total[10m]) > {d}",
    "count by (zone) (made_{n}_up == 0) > {d}",
    "avg_over_time(made_{n}_load[10m]) > {d} unless on () made_{n}_maintenance == 1",
    "made:{n}:ratio5m > 0.{d}",
)


def generated(count: int) -> str:
    """A rule file with that many alerts, the same for the same count; JSON, which is YAML."""
    alerts, records = [], []
    for n in range(count):
        words = {"n": n, "d": n % 8 + 1, "w": (2, 5, 10)[n % 3]}
        shape = SHAPES[n % len(SHAPES)]
        alerts.append({"alert": f"Made{n}", "expr": shape.format(**words), "for": f"{n % 5}m"})
        if shape.startswith("made:"):
            expr = "sum(rate(made_{n}_bad_total[5m])) / sum(rate(made_{n}_all_total[5m]))".format(**words)
            records.append({"record": f"made:{n}:ratio5m", "expr": expr})
    return json.dumps({"groups": [{"name": "records", "rules": records}, {"name": "alerts", "rules": alerts}]})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what measuring costs; 0 when everything could be measured."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("what", nargs="*", help=f"of {', '.join(PARTS)}; nothing means all")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="how many rules")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="where to write (default: a new one below .runs)")
    options = parser.parse_args(arguments)
    for each in options.what:
        if each not in PARTS:
            parser.error(f"{each}: is not one of {', '.join(PARTS)}{rules.near(each, PARTS)}")
    job.terminable()
    try:
        return _bench(options)
    except KeyboardInterrupt:
        print("bench: interrupted; nothing was written", file=sys.stderr)
        return job.INTERRUPTED


def _bench(options: argparse.Namespace) -> int:
    try:
        run = rundir.create(ROOT / ".runs" if options.run_dir is None else None, exact=options.run_dir)
        tools = {} if options.what == ["report"] else provide(["promtool", "amtool"])
    except (RunDirError, ProvisionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    rows: list[dict[str, object]] = []
    unsound = ""
    if "thresholds" in options.what or not options.what:
        rows += [_thresholds(size, tools["promtool"].path) for size in options.sizes]
    if "mutants" in options.what or not options.what:
        rows += [_mutants(tools["promtool"].path, tools["amtool"].path, full=full) for full in (False, True)]
    if "report" in options.what or not options.what:
        rows += _reports(run.path)
    if "live" in options.what or not options.what:
        try:
            rows.append(cost.live(run.path / "live"))
        except cost.CostError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        print(cost.told(rows[-1]), flush=True)
        unsound = cost.unsound(rows[-1])
    (run.path / "bench.json").write_text(json.dumps({"schema": 1, "cores": os.cpu_count(), "rows": rows}, indent=2))
    print(f"written: {run.path / 'bench.json'}")
    if unsound:
        print(f"bench: {unsound}", file=sys.stderr)
        return 1
    return 0


def _thresholds(size: int, promtool: Path) -> dict[str, object]:
    file = rules.load(generated(size), file=f"generated-{size}.yml")
    tool = Promtool(path=promtool)
    spent = _Spent()
    found = [row for rows in measure(subjects([file]), tool) for row in rows]
    row = spent.row(f"effective thresholds of {size} rules", sum(cases for cases, _ in tool.runs))
    row["unmeasured"] = sum(each.outcome is Outcome.UNMEASURED for each in found)
    return row


def _mutants(promtool: Path, amtool: Path, *, full: bool) -> dict[str, object]:
    shipped = compare.read_revision("rules", rules_at=ROOT / "rules", contract_at=contract_load.SHIPPED)
    tool = Promtool(path=promtool)
    spent = _Spent()
    found = judge_mutants.report(
        tool,
        shipped.files,
        contract=shipped.contract,
        cases=read_cases(ROOT / "rules/tests"),
        amtool=amtool,
        alertmanager=shipped.alertmanager,
        full=full,
    )
    what = "the full mutant matrix" if full else "mutants, each to its first kill"
    row = spent.row(f"{what}: {len(found.judged)} of rules", sum(cases for cases, _ in tool.runs))
    row["outcomes"] = {str(outcome): len(found.having(outcome)) for outcome in judge_mutants.Outcome}
    return row


def _reports(folder: Path) -> list[dict[str, object]]:
    """The page of a full run and of 2 000 clauses: how long it takes to write and to open, and how large it is."""
    rows = []
    for what, made in (("a full run", pages.report(every=1)), ("2 000 clauses", pages.large(2_000))):
        began = time.monotonic()
        file = folder / f"{what.replace(' ', '-')}.html"
        file.write_text(html.render(made), encoding="utf-8")
        row: dict[str, object] = {
            "what": f"the page of {what}",
            "charts": len(made.charts),
            "seconds": round(time.monotonic() - began, 2),
            "bytes": file.stat().st_size,
        }
        try:
            with browser() as started:
                for width in (WIDE, NARROW):
                    with opened(started, file, width=width) as seen:
                        row[f"ready_ms_at_{width}"] = round(seen.ready_ms)
        except NoBrowserError as error:
            row["not_opened"] = str(error)
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        rows.append(row)
    return rows


class _Spent:
    """Seconds on the clock and of the processors, and the memory of the largest process so far."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.cpu = self._cpu()

    def _cpu(self) -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in both)

    def row(self, what: str, cases: int) -> dict[str, object]:
        """What was spent since the beginning, printed and as data."""
        seconds, cpu = time.monotonic() - self.began, self._cpu() - self.cpu
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        tool = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{what}: {seconds:.1f} s ({cpu:.1f} s of processor), {cases} cases, "
            f"peak {own:.0f} MiB here and {tool:.0f} MiB in promtool",
            flush=True,
        )
        return {
            "what": what,
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu, 2),
            "cases": cases,
            "own_mib": round(own),
            "promtool_mib": round(tool),
        }


if __name__ == "__main__":
    sys.exit(main())
