"""However a run ends, nothing of it stays outside its directory, and what it has recorded stays inside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psutil
import pytest

from conformance import perform
from conformance.contract.load import load
from conformance.perform import Stage
from conformance.scenarios.test_error_rate import ABOVE, BELOW
from conformance.selftest import attempts, canaries
from conformance.selftest.remains import NOTHING, left, owned
from fixtures.core import rundir, wait
from fixtures.core.journal import Journal
from fixtures.stack.secrets import Secrets
from fixtures.stack.stack import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.perform import Listener
    from conformance.selftest.remains import Owned
    from conformance.timeline.model import Timeline
    from fixtures.faults.program import Program
    from fixtures.load.apart import Clients
    from fixtures.stack.stack import Stack

ROOT = Path(__file__).parents[2]


class Living:
    """A run of the suite over the steady program, and what it was seen to own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory / "run"
        self.seen: Owned = NOTHING
        self.secrets = canaries.fresh()
        self.shown: list[str] = []
        self.used = False
        (directory / "tmp").mkdir()
        self.temporary = directory / "tmp"
        plugins = ["-p", "no:cacheprovider", "-p", "conformance.selftest.placed"]
        command = [sys.executable, "-m", "pytest", *plugins, "conformance/steady/test_targets.py", "--stack", "native"]
        command.append("--together")
        self.log = (directory / "output").open("wb")
        self.process = subprocess.Popen(
            [*command, "--run-dir", str(self.directory), *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary), canaries.ENVIRONMENT: json.dumps(self.secrets)},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def said(self) -> str:
        return Path(self.log.name).read_text(encoding="utf-8", errors="replace")

    def reach(self, words: str) -> None:
        """Wait until the run has said that, and see what it owns."""
        over = self.process.poll
        waited = wait.until(self.said, lambda said: words in said or over() is not None, budget=90, every=0.2)
        assert words in waited.last, waited.last
        self.seen = self.seen.joined(owned(self.process.pid))
        files = self.directory / "secrets"
        self.used |= files.is_dir() and self.secrets["redis"] in (files / "redis.conf").read_text(encoding="utf-8")
        pids = [pid for pid, _, _ in self.seen.processes]
        self.shown += canaries.on_command_lines(pids, self.secrets)

    def told(self) -> list[str]:
        """Where a credential of the run stands: in a file of its directory, in its output, on a command line."""
        assert self.used, "the run uses the credentials that were placed"
        said = [f"the output: {name}" for name in canaries.told(self.said().encode(), self.secrets)]
        return [*canaries.leaks(self.directory, self.secrets), *said, *self.shown]

    def left(self) -> list[str]:
        """What is left of it some seconds after its end: a slow machine takes its time to end what was killed."""
        return wait.until(lambda: left(self.seen, self.directory), lambda found: not found, budget=15.0, every=0.1).last

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    """
    A run under way, which is killed at the end if it is not over by then.
    """
    run = Living(tmp_path)
    yield run
    run.end()


def test_a_killed_run_leaves_nothing_behind(living: Living) -> None:
    """
    SIGKILL of pytest while load flows: soon no process, port, group or credential of it is there.
    """
    living.reach("steady: calm")
    living.process.kill()
    living.process.wait()

    assert len(living.seen.processes) > 15
    assert len(living.seen.ports) > 15
    assert living.left() == []
    assert living.told() == []
    assert list(living.temporary.iterdir()) == []
    assert (living.directory / "journal.ndjson").exists()
    assert (living.directory / "logs" / "redis.log").exists()


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_an_interrupted_run_stops_everything_and_keeps_its_report(
    number: signal.Signals, times: int, living: Living
) -> None:
    """
    Ctrl-C, once more for the impatient, or SIGTERM: a report is written, it is no pass, and the timeline is kept.
    """
    living.reach("steady: calm")
    for _ in range(times):
        living.process.send_signal(number)
        wait.until(lambda: False, bool, budget=0.2, every=0.2)
    code = living.process.wait(timeout=60)
    report = json.loads((living.directory / "report.json").read_text(encoding="utf-8"))

    assert code not in (0, -number)
    assert report["result"] == "partial"
    assert living.left() == []
    assert living.told() == []
    assert list(living.temporary.iterdir()) == []
    assert "the run was interrupted" in living.said()
    assert [each.name for each in (living.directory / "timeline").iterdir()] == ["steady.json"]


def test_what_was_recorded_is_kept_also_where_a_second_interrupt_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Ctrl-C ends the performing; the next one, while the timelines are written, is not heard until all are.
    """
    directory = rundir.create(exact=tmp_path / "run")
    kept: list[str] = []

    def broken_off(_: object) -> None:
        raise KeyboardInterrupt

    def keep(_: Stage, seen: Timeline) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        kept.append(seen.program)

    def performance(program: Program, *_: object, **__: object) -> object:
        return SimpleNamespace(performed=lambda: SimpleNamespace(program=program))

    monkeypatch.setattr(perform, "Performance", performance)
    monkeypatch.setattr(perform, "_watching", lambda _: ())
    monkeypatch.setattr(perform, "all_of", lambda *_, **__: None)
    monkeypatch.setattr(perform, "_attached", lambda *_: None)
    monkeypatch.setattr("asyncio.run", broken_off)
    monkeypatch.setattr(
        Stage, "_unread", lambda _, __, done, ___: SimpleNamespace(program=done.performed().program.name)
    )
    monkeypatch.setattr(Stage, "_keep", keep)
    stage = Stage(
        [ABOVE, BELOW],
        settings=Settings(
            rundir=directory, rules=ROOT / "rules", tempo=60, secrets=Secrets(directory.path / "secrets")
        ),
        contract=load(),
        journal=Journal(),
        listener=cast("Listener", attempts.Quiet()),
    )
    stack = cast("Stack", SimpleNamespace(cells=dict.fromkeys((ABOVE.name, BELOW.name))))
    with pytest.raises(KeyboardInterrupt):
        stage._perform(stack, {each.name: each for each in (ABOVE, BELOW)}, {}, cast("Clients", None))

    assert kept == [ABOVE.name, BELOW.name]


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[Living]:
    """
    A run at a tempo at which a minute of the document passes in half a second.
    """
    run = Living(tmp_path, "--tempo", "120")
    yield run
    run.end()


def test_a_component_that_dies_is_named_and_proves_nothing(hurried: Living) -> None:
    """
    Redis is killed in the middle of the run: what rests on it is unproven and says so, and the run is no pass.
    """
    living = hurried
    living.reach("the longest program")
    (pid,) = (pid for pid, _, name in living.seen.processes if name == "redis-server")
    psutil.Process(pid).kill()
    code = living.process.wait(timeout=180)
    report = json.loads((living.directory / "report.json").read_text(encoding="utf-8"))
    clauses = {clause["id"]: clause for clause in report["clauses"]}

    assert code == 1
    assert report["result"] == "partial"
    assert clauses["target/osmen_redis"]["status"] == "unproven"
    assert "redis died during the run (killed by SIGKILL)" in clauses["target/osmen_redis"]["reason"]
    assert "redis died" in living.said()
    assert living.left() == []
    assert living.told() == []


def test_what_is_left_is_found(tmp_path: Path) -> None:
    """
    The look itself can fail: a process, a port and credentials that stay are all named.
    """
    (tmp_path / "secrets").mkdir()
    script = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stays:
        assert stays.stdout is not None
        stays.stdout.readline()
        found = "\n".join(left(owned(stays.pid), tmp_path))
        stays.kill()

    assert f"process {stays.pid} " in found
    assert f"process {stays.pid} names {tmp_path}" in found
    assert "is taken" in found
    assert str(tmp_path / "secrets") in found
