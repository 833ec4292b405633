"""The suite as a user runs it: pytest in a process of its own, over stored timelines or with bad input."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from conformance.contract.load import load
from conformance.report import record
from conformance.report.record import Result, RunFacts
from conformance.run import Options, Run, RunError
from conformance.selftest.deviants import CATALOGUE, Deviant
from conformance.selftest.judging import files, judge
from conformance.selftest.recording import timelines
from conformance.timeline import store
from conformance.timeline.model import Attempt
from fixtures.core import wait
from fixtures.core.rundir import RunDirError
from fixtures.stack.component import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conformance.perform import Listener
    from conformance.timeline.model import Timeline

ROOT = Path(__file__).parents[2]
LONGEST = 300.0
"""Seconds after which a run that judges what is stored has hung, as a fork of a process with threads may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """How a run of the suite ended, what it said, and the directory that it wrote."""

    code: int
    said: str
    directory: Path

    def report(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.directory / "report.json").read_text(encoding="utf-8"))
        return data

    def statuses(self) -> dict[str, str]:
        return {clause["id"]: clause["status"] for clause in self.report()["clauses"]}

    def letters(self) -> str:
        """The letters of pytest's progress, in order."""
        return "".join(re.findall(r"^(?:conformance/\S+\.py )?([.FEsx]+) +\[", self.said, re.MULTILINE))


def suite(
    directory: Path, *arguments: str, tests: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> Ran:
    """
    Run the suite in a process of its own, with the contract narrowed to what is recorded.

    The process is forked from this one, which has imported everything: a second is saved each time.
    """
    place, log = directory / "run", directory / "output"
    command = ["-p", "conformance.selftest.narrowed", "-p", "no:cacheprovider"]
    command += [*(tests or files(timelines())), "--run-dir", str(place), *arguments]
    pid = os.fork()
    if not pid:
        _become_pytest(command, log, environ or {})
    ended = wait.until(lambda: os.waitpid(pid, os.WNOHANG), lambda told: told[0] == pid, budget=LONGEST, every=0.01)
    status = ended.last[1]
    if not ended.ok:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    said = log.read_text(encoding="utf-8")
    return Ran(code=os.waitstatus_to_exitcode(status), said=said, directory=place)


def _become_pytest(command: list[str], log: Path, environ: Mapping[str, str]) -> NoReturn:
    code = 70
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        # Both still write to the descriptors 1 and 2, which are the log now; pytest has put its own in their places.
        assert sys.__stdout__ is not None
        assert sys.__stderr__ is not None
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        os.environ.update(COLUMNS="200", TERM="dumb", **environ)
        os.chdir(ROOT)
        code = int(pytest.main(command))
    finally:
        for stream in (sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):
                assert stream is not None
                stream.flush()
        os._exit(code)


def stored(directory: Path, *deviants: Deviant) -> Path:
    """The recorded timelines, bent by each of `deviants`, as files."""
    seen: dict[str, Timeline] = timelines()
    for deviant in deviants:
        seen = deviant.bent(seen)
    for each in seen.values():
        store.write(each, directory / "stored" / "timeline")
    return directory / "stored"


def named(name: str) -> Deviant:
    (found,) = (each for each in CATALOGUE if each.name == name)
    return found


# --- verdicts in pytest -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """
    The recorded run, judged again as a whole.
    """
    directory = tmp_path_factory.mktemp("whole")
    return suite(directory, "--timeline", str(stored(directory)))


def test_a_stored_run_is_judged_again_to_the_same_verdicts(whole: Ran) -> None:
    """
    No server stands, and verdicts and result are those of the run itself.
    """
    assert whole.code == 0, whole.said
    assert set(whole.statuses().values()) == {"holds"}
    assert set(whole.statuses()) == {clause for clause, each in judge(timelines()).items() if each.status == "holds"}
    assert whole.report()["result"] == "conformant"
    assert whole.said.rstrip().splitlines()[-1].startswith("result: conformant (")
    assert not (whole.directory / "state").exists()


def test_a_stored_run_keeps_its_own_tempo_and_subject(tmp_path: Path) -> None:
    """
    They are what was performed, though a program was performed again at half the tempo, and not what is usual.
    """
    for seen in timelines().values():
        slow = replace(seen, tempo=15.0)
        again = replace(seen, tempo=7.5, attempts=(Attempt(tempo=15.0, reasons=("busy",)),))
        store.write(again if seen.program == "steady" else slow, tmp_path / "stored" / "timeline")
    facts = RunFacts(started="then", seconds=1, tempo=15, stack="native", subject="their.gateway", command="c")
    report = record.build(run=facts, components=(), clauses=(), verdicts={})
    (tmp_path / "stored" / "report.json").write_text(record.encode(report), encoding="utf-8")
    ran = suite(tmp_path, "-k", "target/docker", "--timeline", str(tmp_path / "stored"))
    run = ran.report()["run"]

    assert (run["tempo"], run["subject"], run["stack"]) == (15, "their.gateway", "stored")


def test_every_report_is_written(whole: Ran) -> None:
    """
    One file for each reader, and all of them in the run directory.
    """
    written = {each.name for each in whole.directory.iterdir()}

    assert {"report.json", "report.md", "report.html", "junit.xml", "events.ndjson"} <= written


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """
    A run with a broken, an unproven and an unsupported clause.
    """
    directory = tmp_path_factory.mktemp("mixed")
    bent = (named("told late"), named("osmen_redis listed as up without a sample"), named("no control group"))
    return suite(directory, "--timeline", str(stored(directory, *bent)))


def test_broken_is_a_failure_unproven_an_error_and_unsupported_a_skip(mixed: Ran) -> None:
    """
    One letter each, and a run with a broken clause is not conformant.
    """
    counts = {letter: mixed.letters().count(letter) for letter in "FEs"}

    assert counts == {"F": 1, "E": 1, "s": 1}, mixed.said
    assert mixed.code == 1
    assert mixed.report()["result"] == Result.NONCONFORMANT.value
    assert mixed.said.rstrip().splitlines()[-1].startswith("result: nonconformant")


def test_a_failure_shows_its_finding_and_no_traceback(mixed: Ran) -> None:
    """
    Clause, expected, observed, document and the command that judges it again; nothing of our own code.
    """
    # Where CI is set, pytest repeats the whole text in its summary.
    shown = re.findall(r"(?m)^E   alert/HighErrorRate/delivered: .*\n(?:E .*\n)+", mixed.said)[0]

    assert all(f"E     {name}" in shown for name in ("expected ", "observed ", "document ", "again "))
    assert "Traceback" not in mixed.said
    assert "__tracebackhide__" not in mixed.said


def test_the_command_under_a_failure_repeats_it(mixed: Ran, tmp_path: Path) -> None:
    """
    What `again` says is typed as it is, and shows the same failure alone.
    """
    again = re.findall(r"(?m)^E +again +python -m pytest (.* -k alert/HighErrorRate/delivered .*)$", mixed.said)[0]
    file, *arguments = again.split()
    one = suite(tmp_path, *arguments, tests=(file,))

    assert one.letters() == "F"
    assert one.report()["result"] == Result.NONCONFORMANT.value


def test_an_unsupported_clause_keeps_a_run_from_passing(tmp_path: Path) -> None:
    """
    Pytest itself sees nothing failed; the result is partial, and so the exit code is not 0.
    """
    ran = suite(tmp_path, "--timeline", str(stored(tmp_path, named("no control group"))))

    assert (ran.code, ran.report()["result"]) == (1, "partial")
    assert set(ran.letters()) == {".", "s"}


def test_a_stored_run_in_which_something_died_is_no_pass_the_second_time_either(tmp_path: Path) -> None:
    """
    Although every clause holds: what died, and how, is remembered with the timelines.
    """
    ran = suite(tmp_path, "--timeline", str(stored(tmp_path, named("a component that nothing rests on died"))))

    assert set(ran.statuses().values()) == {"holds"}
    assert (ran.code, ran.report()["result"]) == (1, "partial")
    assert "n8n died during the run (killed by SIGKILL)" in ran.said


def test_a_selection_is_partial_although_all_of_it_holds(whole: Ran, tmp_path: Path) -> None:
    """
    A part of the contract is not the contract.
    """
    ran = suite(tmp_path, "-k", "target/docker", "--timeline", str(whole.directory.parent / "stored"))

    assert (ran.code, ran.report()["result"]) == (1, "partial")
    assert ran.letters() == "."
    assert "a selection of the tests ran, not the whole contract" in ran.said


def test_a_stored_run_without_a_program_leaves_its_clauses_unproven(tmp_path: Path) -> None:
    """
    What was not recorded is not proven; nothing is started to make up for it.
    """
    place = stored(tmp_path)
    (place / "timeline" / "steady.json").unlink()
    ran = suite(tmp_path, "--timeline", str(place))
    targets = {status for clause, status in ran.statuses().items() if clause.startswith("target/")}

    assert targets == {"unproven"}
    assert (ran.code, ran.report()["result"]) == (1, "partial")
    assert "holds no timeline of program steady, on which this rests; it holds " in ran.said
    assert "KeyError" not in ran.said


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tempoo", "3"), "unrecognized arguments: --tempoo 3"),
        (("--tempo", "abc"), "argument --tempo: invalid float value: 'abc'"),
        (("--tempo", "0"), "--tempo 0: must lie between 1 (real time) and 100000"),
        (("-k", "HighErorRate"), "-k HighErorRate: fits no test, clause or alert, did you mean 'HighErrorRate'"),
        (("--timeline", "x", "--tempo", "1", "--rules", "y"), "leave out --tempo, --rules, or leave out --timeline"),
        (("--timeline", "x", "--together"), "leave out --together, or leave out --timeline"),
    ],
)
def test_a_wrong_option_ends_the_run_before_it_begins(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """
    One message, exit code 4, and no run directory.
    """
    ran = suite(tmp_path, *arguments)

    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.said.count("ERROR") + ran.said.count("error:") <= 2
    assert said in ran.said
    assert "Traceback" not in ran.said
    assert not ran.directory.exists()


def options(directory: Path, **changed: Any) -> Options:  # noqa: ANN401  any field
    plain: dict[str, Any] = {
        "stack": "auto",
        "tempo": 60.0,
        "rules": ROOT / "rules",
        "subject": "fixtures.gateway",
        "run_dir": directory / "run",
        "timelines": (),
        "command": "pytest",
        "revision": "",
    }
    return Options(**{**plain, **changed})


def refused(chosen: Options) -> str:
    """What is said of options with which no run can be made."""
    with pytest.raises((RunError, StackError, RunDirError)) as caught:
        Run(chosen, contract=load(None), programs=(), covered=frozenset())
    return str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tempo": 0.5}, "--tempo 0.5: must lie between 1"),
        ({"tempo": float("inf")}, "--tempo inf: must lie between 1"),
        ({"tempo": float("nan")}, "--tempo nan: must lie between 1"),
        ({"tempo": 1e9}, "--tempo 1e+09: must lie between 1"),
        ({"tempo": 7.0}, "not whole milliseconds; the largest tempo that works for this file is 6"),
        ({"stack": "nativ"}, "did you mean 'native'"),
        ({"rules": Path("/nowhere")}, "--rules /nowhere: is not a folder"),
        ({"subject": "fixtures.gatway"}, "--subject fixtures.gatway: No module named 'fixtures.gatway'; expected a"),
        ({"subject": "fixtures.core"}, "--subject fixtures.core: has no __main__; expected a Python package"),
        ({"subject": ""}, "--subject : "),
        ({"timelines": (Path("/nowhere"),)}, "--timeline /nowhere: No such file or directory"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    """
    The message has the option, its value and what would do; nothing was made.
    """
    assert said in refused(options(tmp_path, **changed))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("alerts.yml", "for: 5m", "fro: 5m", "unknown key 'fro' in a rule, did you mean 'for'"),
        ("alerts.yml", "> 0.1", "> time()", "time() is a point of real time"),
        ("alerts.yml", "sum(rate", "sum((rate", "'(' is not closed"),
        ("alerts.yml", "groups:", "groups: [", "is not YAML"),
        ("alertmanager.yml", "route:", "rout:", "has no route"),
        ("alertmanager.yml", "slack_configs", "webhook_configs", "this stack has no receiver for it"),
    ],
)
def test_a_rule_file_that_cannot_be_used_is_named_with_its_place(
    file: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    """
    The message begins with the file; what stands there is quoted where that helps.
    """
    folder = tmp_path / "rules"
    folder.mkdir()
    for each in (ROOT / "rules").glob("*.yml"):
        text = each.read_text(encoding="utf-8")
        (folder / each.name).write_text(text.replace(old, new, 1) if each.name == file else text, encoding="utf-8")
    message = refused(options(tmp_path, rules=folder))

    assert message.startswith(str(folder / file))
    assert said in message


def test_a_run_never_writes_over_another(tmp_path: Path) -> None:
    """
    A directory that holds something is refused before anything is started.
    """
    (tmp_path / "report.json").touch()

    assert f"--run-dir {tmp_path}: is not empty" in refused(options(tmp_path, run_dir=tmp_path))


def test_a_full_disk_is_seen_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The message has the place, what is free there and what is needed.
    """
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    said = refused(options(tmp_path))

    assert said.startswith(f"{tmp_path}: 5 MiB are free, and a run of 0 cells writes about ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "happens"),
    [
        pytest.param({}, ["waited", "stands", "performed", "over"], id="the main job"),
        pytest.param({"tempo": 10}, ["waited", "stands", "performed", "over"], id="just busy"),
        pytest.param({"tempo": 1}, ["waited", "over", "stands", "performed"], id="real time"),
        pytest.param({"together": True}, ["stands", "performed"], id="it was asked not to"),
        pytest.param({"together": True, "tempo": 1}, ["stands", "performed"], id="nor at real time"),
    ],
)
def test_a_run_has_its_turn_before_anything_stands(
    changed: dict[str, Any], happens: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It waits for others and does not count the wait; a slow one lets others begin as soon as its stack stands.
    """
    done: list[str] = []

    class Performed:
        timelines: Mapping[str, Timeline] = {}

        def __init__(self, listener: Listener) -> None:
            self.listener = listener

        def run(self) -> None:
            self.listener.standing(SimpleNamespace(cells={}, components={}), 1.0)  # type: ignore[arg-type]
            done.extend(("stands", "performed"))

    @contextlib.contextmanager
    def taken(tell: Callable[[str], None]) -> Iterator[float]:
        tell("another run measures")
        done.append("waited")
        yield 100.0
        done.append("over")

    monkeypatch.setattr("conformance.run.Stage", lambda *_, listener, **__: Performed(listener))
    monkeypatch.setattr("conformance.run.turn.taken", taken)
    monkeypatch.setattr("conformance.run.begin", lambda *_: None)
    run = Run(options(tmp_path, stack="native", **changed), contract=load(None), programs=(), covered=frozenset())
    begun, started = run._begun, run._started

    run.timelines(io.StringIO())
    run._events.close()

    waited = 100 if "waited" in happens else 0
    assert done == happens
    assert (run._begun - begun, run._started - started) == pytest.approx((waited, waited))
