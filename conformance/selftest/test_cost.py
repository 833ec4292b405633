"""What a run costs is measured from outside, over all that it started, and told beside its budgets."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance import cost
from conformance.report import record
from conformance.report.record import ComponentRow, Report, RunFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = """
{"at":"2026-11-25T01:00:02.000Z","kind":"component-ready","component":"redis","seconds":1.0}
{"at":"2026-11-25T01:00:03.500Z","kind":"component-ready","component":"loki","seconds":2.5}
{"at":"2026-11-25T01:00:04.000Z","kind":"phase-began","program":"steady","phase":"calm","seconds":5}
{"at":"2026-11-25T01:00:08.000Z","kind":"component-ready","component":"redis","seconds":0.1}
{"at":"2026-11-25T01:00:20.000Z","kind":"program-ended","program":"steady","cell":"steady","seconds":12.0,"requests":3}
{"at":"2026-11-25T01:00:26.000Z","kind":"program-ended","program":"routes","cell":"routes","seconds":22.0,"requests":3}
""".lstrip()
JOURNAL = """
{"at": 1795568401.0, "what": "start", "subject": "redis"}
{"at": 1795568401.1, "what": "start", "subject": "loki"}
""".lstrip()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """
    A process that has a child of its own and 40 MiB, until the test ends.
    """
    program = (
        "import subprocess, sys\n"
        "held = bytearray(b'x') * (40 << 20)\n"
        "below = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "below.communicate()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """
    The folder of a finished run of two programs.
    """
    facts = RunFacts(started="2026-11-25T01:00:00Z", seconds=27.0, tempo=60, stack="native", subject="s", command="c")
    rows = tuple(ComponentRow(name=name, version="1", source="", peak_rss_mib=20.0) for name in ("redis", "loki"))
    report = record.build(run=facts, components=rows, clauses=(), verdicts={})
    write(report, tmp_path)
    (tmp_path / "events.ndjson").write_text(EVENTS, encoding="utf-8")
    (tmp_path / "journal.ndjson").write_text(JOURNAL, encoding="utf-8")
    return tmp_path


def write(report: Report, folder: Path) -> None:
    """Where a run's report is looked for."""
    (folder / "report.json").write_text(record.encode(report), encoding="utf-8")


def test_all_that_descends_from_a_run_is_counted(child: subprocess.Popen[bytes]) -> None:
    """
    A child of a child belongs to the run, and memory that is held is seen.
    """
    looks = cost.Looks()
    looks.look(child.pid)

    assert len(list(cost.below(child.pid))) == 2
    assert child.pid in set(cost.below(os.getpid()))
    assert looks.processes == 2
    assert 40 < looks.peak < 100
    assert "cat" in looks.largest


def test_a_process_that_ended_has_no_memory() -> None:
    """
    What is gone is neither counted nor an error.
    """
    process = subprocess.Popen(["true"])
    process.wait()
    looks = cost.Looks()
    looks.look(process.pid)

    assert (looks.peak, looks.processes) == (0.0, 0)


def test_a_finished_run_is_told_beside_its_budgets(run: Path) -> None:
    """
    Ready, whole, beyond the longest program and memory stand beside their budgets; what is over says so.
    """
    looks = cost.Looks(peak=1600.0, processes=9, largest={"python": 1000.0, "prometheus": 600.0})
    row = cost.row(run, code=0, seconds=27.5, cpu=30.0, looks=looks)
    told = cost.told(row)

    assert row["stack_ready_seconds"] == 2.5
    assert (row["longest_program"], row["longest_seconds"], row["beyond_longest_seconds"]) == ("routes", 22.0, 5.5)
    assert row["end_mib"] == 40
    assert "stack ready: 2.5 s (budget 5 s)\n" in told
    assert "whole job: 27.5 s (budget 35 s)\n" in told
    assert "memory at the most (9 processes): 1600 MiB (budget 1536 MiB)  OVER" in told


def test_programs_that_ran_twice_are_said_to_spoil_the_figures(run: Path) -> None:
    """
    A run in which something was performed again is no measure of a quiet machine.
    """
    row = cost.row(run, code=0, seconds=27.5, cpu=30.0, looks=cost.Looks())

    assert "performed again" not in cost.told(row)
    assert "2 programs were performed again" in cost.told({**row, "again": 2})


def test_a_run_without_a_report_is_no_measurement(run: Path) -> None:
    """
    A run that broke off is told with its exit code and its log, never as a figure.
    """
    (run / "report.json").unlink()

    with pytest.raises(cost.CostError, match=r"the run ended with 4 and without a report.*\.log"):
        cost.row(run, code=4, seconds=1.0, cpu=1.0, looks=cost.Looks())


def test_a_wait_for_another_run_is_not_what_this_one_took(run: Path) -> None:
    """
    The seconds before its turn are taken off.
    """
    with (run / "events.ndjson").open("a", encoding="utf-8") as file:
        file.write('{"at":"2026-11-25T01:00:00.000Z","kind":"turn-taken","seconds":20.0}\n')
    row = cost.row(run, code=0, seconds=47.5, cpu=30.0, looks=cost.Looks())

    assert (row["seconds"], row["beyond_longest_seconds"]) == (27.5, 5.5)


def test_a_run_that_proved_nothing_is_no_measure(run: Path) -> None:
    """
    Its figures are told, and that they are not those of the main job.
    """
    row = cost.row(run, code=1, seconds=27.5, cpu=30.0, looks=cost.Looks())

    assert "the run was partial (the contract has no clause)" in cost.unsound(row)
    assert cost.unsound({**row, "result": "conformant"}) == ""
