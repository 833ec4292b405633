"""The pytest side of the suite: options, marks, the fixtures that tests ask for, and the report at the end."""

from __future__ import annotations

import contextlib
import inspect
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance import ci, job
from conformance.contract.load import SHIPPED, load
from conformance.contract.parse import ContractError
from conformance.judge import premise
from conformance.judge.verdict import NonConformant, Status, Unproven, Unsupported, Verdict, unproven
from conformance.perform import Foreseen
from conformance.run import DEFAULT_SUBJECT, Options, Run, RunError
from conformance.tempos import RecordError, kept
from conformance.timeline.store import TimelineError
from fixtures.core.rundir import RunDirError
from fixtures.language.rules import near
from fixtures.stack.component import StackError
from fixtures.stack.provision import ProvisionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from conformance.contract.model import Contract
    from conformance.judge.tempos import Kept
    from conformance.report.annotate import Find
    from conformance.report.redact import Redactor
    from conformance.timeline.model import Timeline

ROOT = Path(__file__).parents[1]
RUN = pytest.StashKey[Run]()
JUDGED = pytest.StashKey[set[tuple[str, str]]]()
"""Which test has given a verdict about which clause."""
LEFT_OUT = pytest.StashKey[bool]()
CLAUSES = pytest.StashKey[frozenset[str]]()
TOLD = pytest.StashKey[Exception]()
PERFORMING = ("stack", "tempo", "rules", "dashboards", "subject", "together")
"""Options about what is performed, which have no meaning for what is stored."""
SPOKEN = (StackError, ProvisionError, ContractError, TimelineError, RecordError, RunError, RunDirError)
"""Errors whose message is written for the reader: shown without a traceback."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "monitoring conformance")
    group.addoption(
        "--stack",
        default=None,
        metavar="DRIVER",
        help="how the stack is stood up: auto (default), native or containers",
    )
    group.addoption(
        "--tempo",
        type=float,
        default=None,
        metavar="N",
        help="divide the document's minutes by N (default 60; 1 is real time, with the shipped files unmodified)",
    )
    group.addoption("--contract", type=Path, default=None, metavar="DIR", help="the documents of another contract")
    group.addoption("--rules", type=Path, default=None, metavar="DIR", help="the rule files (default: rules)")
    group.addoption("--dashboards", type=Path, default=None, metavar="DIR", help="the dashboards (default: dashboards)")
    group.addoption(
        "--subject",
        default=None,
        metavar="MODULE",
        help="the gateway: a Python package with a __main__.main(environ) (default: fixtures.gateway)",
    )
    group.addoption(
        "--run-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="where the run writes; new or empty (default: .runs/<time>)",
    )
    group.addoption(
        "--together",
        action="store_true",
        help="measure at once, also while another run measures on this machine (default: wait for its end)",
    )
    group.addoption(
        "--timeline",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="judge stored timelines again, without a stack: a file, a folder or a run directory; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "program(*programs): what is done to the world before these tests judge it")
    config.addinivalue_line("markers", "ladder(ladder): the rungs by which these tests measure an alert")
    config.addinivalue_line("markers", "mutant(mutant): wrong rules that stand beside a program's cell")
    config.addinivalue_line(
        "markers", "covers(*clauses): the clauses of the contract that a test gives a verdict about"
    )


def clauses_of(item: pytest.Item) -> list[str]:
    """The clause ids that a test covers."""
    return [clause for mark in item.iter_markers("covers") for clause in mark.args]


def pytest_itemcollected(item: pytest.Item) -> None:
    # So that `-k alert/HighErrorRate` finds it.
    item.extra_keyword_matches.update(clauses_of(item))


def pytest_collection_finish(session: pytest.Session) -> None:
    options = session.config.option
    if options.collectonly:
        return
    live = [item for item in session.items if clauses_of(item)]
    if not live:
        _nothing_chosen(session)
        return
    programs = {
        program.name: program for item in live for mark in item.iter_markers("program") for program in mark.args
    }
    try:
        _only_judging(options)
        contract = load(options.contract)
        run = Run(
            Options(
                stack="auto" if options.stack is None else options.stack,
                tempo=60.0 if options.tempo is None else options.tempo,
                contract=options.contract,
                rules=options.rules or _shipped_rules(session.config.rootpath),
                dashboards=options.dashboards or _shipped_dashboards(session.config.rootpath),
                subject=DEFAULT_SUBJECT if options.subject is None else options.subject,
                run_dir=options.run_dir,
                timelines=tuple(options.timeline),
                command=shlex.join(["python -m pytest", *session.config.invocation_params.args]).replace("'", "", 2),
                revision=_revision(session.config.rootpath),
                find=_find(session.config),
                together=options.together,
            ),
            contract=contract,
            programs=tuple(programs.values()),
            ladders=tuple(
                {
                    ladder.alert: ladder
                    for item in live
                    for mark in item.iter_markers("ladder")
                    for ladder in mark.args
                }.values()
            ),
            mutants=tuple(
                {
                    mutant.name: mutant for item in live for mark in item.iter_markers("mutant") for mutant in mark.args
                }.values()
            ),
            covered=frozenset(clause for item in live for clause in clauses_of(item)),
            selection=_a_part(session, live),
            foresee=lambda timelines: _foresee(live, contract, timelines),
        )
    except SPOKEN as error:
        _remark(error, session.config)
        raise pytest.UsageError(str(error)) from None
    session.config.stash[RUN] = run
    session.config.stash[JUDGED] = set()
    # A terminated run ends as an interrupted one: everything stopped, what was recorded kept.
    signal.signal(signal.SIGTERM, _interrupted)


def _only_judging(options: argparse.Namespace) -> None:
    """Refuse what would change nothing: a stored run has its tempo, rules and stack, whatever is asked for now."""
    given = [f"--{name}" for name in PERFORMING if getattr(options, name) not in (None, False)]
    if options.timeline and given:
        raise RunError(
            f"--timeline: judges what was recorded, at the tempo and with the files of that run; leave out "
            f"{', '.join(given)}, or leave out --timeline to perform a run"
        )


def tested_files() -> set[Path]:
    """Every file of ours that has a test of a clause: a clause may rest on tests of several of them."""
    return {file.resolve() for folder in job.LIVE for file in (ROOT / folder).glob("test_*.py")}


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if clauses_of(item):
            item.config.stash[LEFT_OUT] = True


def _a_part(session: pytest.Session, live: Sequence[pytest.Item]) -> bool:
    """Whether any test of a clause was left out, by a choice of tests or of files."""
    named = any("::" in each for each in session.config.args)
    left_out = tested_files() - {item.path.resolve() for item in live}
    return named or bool(left_out) or session.config.stash.get(LEFT_OUT, False)


def _nothing_chosen(session: pytest.Session) -> None:
    """Where `-k` fits no test of a live run, say so with the near miss; pytest alone ends without a word."""
    words, known = session.config.option.keyword, session.config.stash.get(CLAUSES, frozenset())
    if session.items or not words or not known:
        return
    parts = {part for clause in known for part in (clause, *clause.split("/"))}
    raise pytest.UsageError(f"-k {words}: fits no test, clause or alert{near(words, sorted(parts))}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Before pytest leaves out what was not chosen.
    config.stash[CLAUSES] = frozenset(clause for item in items for clause in clauses_of(item))


def _programs_of(item: pytest.Item) -> list[str]:
    return [program.name for mark in item.iter_markers("program") for program in mark.args]


def _foresee(items: Iterable[pytest.Item], contract: Contract, timelines: Mapping[str, Timeline]) -> Foreseen:
    """What these tests would call unproven, that a second attempt may prove, and what they would call broken."""
    found: dict[str, list[str]] = {}
    firm: dict[str, list[str]] = {}
    for item in items:
        for verdict in _verdicts(item, contract, timelines):
            about = verdict.about or _programs_of(item)
            if verdict.status is Status.BROKEN:
                for name in about:
                    firm.setdefault(name, []).append(f"{verdict.clause} was broken: {verdict.reason}")
            elif verdict.status is Status.UNPROVEN and not verdict.lasting:
                for name in about:
                    found.setdefault(name, []).append(f"{verdict.clause}: {verdict.reason}")
    return Foreseen(doubts={name: reasons for name, reasons in found.items() if name not in firm}, firm=firm)


def _verdicts(item: pytest.Item, contract: Contract, timelines: Mapping[str, Timeline]) -> list[Verdict]:
    """The verdicts that a test would give about these timelines; none where it rests on more than them."""
    assert isinstance(item, pytest.Function)
    verdicts: list[Verdict] = []
    seen = [timelines[name] for name in _programs_of(item) if name in timelines]
    given = {
        "contract": contract,
        "timelines": timelines,
        "prove": lambda verdict: verdicts.append(premise.excused(verdict, seen)),
        **(item.callspec.params if hasattr(item, "callspec") else {}),
    }
    names = inspect.signature(item.function).parameters
    if set(names) <= set(given):
        # What goes wrong in a test is told when it is that test's turn.
        with contextlib.suppress(Exception):
            item.function(**{name: given[name] for name in names})
    return verdicts


def _remark(error: Exception, config: pytest.Config) -> None:
    if ci.on_github(os.environ):
        stream = sys.__stdout__ or sys.stdout
        stream.write("\n" + ci.spoken(str(error), type(error).__name__, _find(config)))
        stream.flush()


def _find(config: pytest.Config) -> Find:
    """Where findings' files are looked for, beside the checkout itself."""
    options = config.option
    rules = options.rules or _shipped_rules(config.rootpath)
    boards = getattr(options, "dashboards", None) or config.rootpath / "dashboards"
    return ci.find_below(options.contract or SHIPPED, rules, boards, root=_checkout(config.rootpath))


def _checkout(root: Path) -> Path:
    """The folder from which a CI server counts paths."""
    return Path(os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or root)


def _shipped_rules(root: Path) -> Path:
    """The rules of this checkout, wherever pytest was started."""
    return Path("rules") if Path.cwd() == root else root / "rules"


def _shipped_dashboards(root: Path) -> Path:
    """The dashboards of this checkout, wherever pytest was started."""
    return Path("dashboards") if Path.cwd() == root else root / "dashboards"


def _revision(root: Path) -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()


# --- what tests ask for -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def contract(request: pytest.FixtureRequest) -> Contract:
    """
    What is documented.
    """
    return request.config.stash[RUN].contract


@pytest.fixture(scope="session")
def timelines(request: pytest.FixtureRequest) -> Mapping[str, Timeline]:
    """
    Everything known about each program of this run, by the program's name.

    The first test that asks raises the stack and performs the programs of all chosen tests, side by side.
    """
    run = request.config.stash[RUN]
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None, "pytest always has its capture manager"
    with capture.global_and_fixture_disabled():
        sys.stdout.write("\n")
        return run.timelines(sys.stdout)


@pytest.fixture(scope="session")
def other_tempos() -> tuple[Kept, ...]:
    """
    What runs at other tempos measured.
    """
    return kept()


@pytest.fixture
def prove(request: pytest.FixtureRequest) -> Callable[[Verdict], None]:
    """
    Take a judge's verdict into the report, and raise it unless it holds.
    """
    run = request.config.stash[RUN]

    def take(verdict: Verdict) -> None:
        __tracebackhide__ = True
        clause = run.contract.clause(verdict.clause)
        verdict = premise.excused(verdict, run.seen(_programs_of(request.node)))
        verdict = replace(verdict, document=clause.document, again=run.again(request.node.nodeid, verdict.clause))
        run.judged(verdict)
        request.config.stash[JUDGED].add((request.node.nodeid, verdict.clause))
        verdict.require()

    return take


# --- how verdicts look in pytest ----------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    run = item.config.stash.get(RUN, None)
    if run is not None:
        _masked(report, run.redactor)
    clauses = clauses_of(item)
    if run is not None and clauses and call.when != "teardown":
        # Before the call stands what all tests share: the programs.
        run.tested(clauses, _place(item), call.duration if call.when == "call" else 0.0)
    if call.excinfo is None or not clauses:
        return report
    error = call.excinfo.value
    redact = item.config.stash[RUN].redactor.text
    place = f"{_place(item)}: in {item.name}"
    if isinstance(error, Unsupported):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), (item.location[1] or 0) + 1, redact(str(error)))
    elif isinstance(error, NonConformant):
        report.longrepr = f"{place}\n{_marked(redact(str(error)))}"
    elif isinstance(error, Unproven):
        # A premise failed: that is an error of the run, not a failure of the subject.
        report.when = "setup"
        report.longrepr = f"{place}\n{_marked(redact(str(error)))}"
    elif isinstance(error, SPOKEN):
        report.when = "setup"
        report.longrepr = f"{place}\n{_marked(redact(_once(item.config, error)))}"
    _unjudged(item, error)
    return report


def _place(item: pytest.Item) -> str:
    return f"{item.location[0]}:{(item.location[1] or 0) + 1}"


def _masked(report: pytest.TestReport, redactor: Redactor) -> None:
    """What pytest shows of a test, captured output and tracebacks too, carries no credential of the run."""
    report.sections = [(name, redactor.text(text)) for name, text in report.sections]
    if report.longrepr is not None and not isinstance(report.longrepr, tuple):
        text = str(report.longrepr)
        if redactor.text(text) != text:
            report.longrepr = redactor.text(text)


def _once(config: pytest.Config, error: Exception) -> str:
    """What keeps every test from its timelines is told in full with the first of them, in a line with the others."""
    if config.stash.get(TOLD, None) is error:
        return f"{str(error).partition(chr(10))[0]} (told in full above)"
    config.stash[TOLD] = error
    return str(error)


def _briefly(error: BaseException) -> str:
    """The first line of an error; of one that ends in log lines, the last of those as well."""
    if not isinstance(error, SPOKEN):
        return f"{type(error).__name__}: {error}"
    first, *rest = str(error).splitlines() or [""]
    return f"{first}; its last line: {rest[-1].strip()}" if rest else first


def _unjudged(item: pytest.Item, error: BaseException) -> None:
    """No clause is lost: one whose test ended without a verdict is unproven, with the reason."""
    run, judged = item.config.stash[RUN], item.config.stash[JUDGED]
    for clause in clauses_of(item):
        if (item.nodeid, clause) in judged:
            continue
        judged.add((item.nodeid, clause))
        said = _briefly(error)
        again = run.again(item.nodeid, clause)
        run.judged(replace(unproven(clause, said), document=run.contract.clause(clause).document, again=again))


def _marked(text: str) -> str:
    return "\n".join(f"E   {line}" for line in text.splitlines())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
    run = session.config.stash.get(RUN, None)
    if run is not None:
        conformant = run.finish(interrupted=exitstatus == pytest.ExitCode.INTERRUPTED)
        if not conformant and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            # An unsupported clause or a selection is no pass of the gate.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    outcome = yield
    if run is not None:
        # Behind pytest's own closing line, so that the result is the last thing on the screen.
        run.tell(sys.__stdout__ or sys.stdout)
    return outcome


# --- tests that judge no clause, on a CI server ---------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """On GitHub each failed test is annotated, at the line that its text names; a run's clauses say their own."""
    if config.stash.get(RUN, None) is not None or not ci.on_github(os.environ):
        return
    failed = [
        each
        for outcome in ("failed", "error")
        for each in terminalreporter.getreports(outcome)
        if isinstance(each, pytest.TestReport)
    ]
    tests = [(each.nodeid, f"{each.location[0]}:{(each.location[1] or 0) + 1}", each.longreprtext) for each in failed]
    terminalreporter.write("\n" + ci.failed(tests, _find(config)))


def _interrupted(*_: object) -> None:
    """SIGTERM ends a run as Ctrl-C does, also where that is ignored, as it is behind a shell's `&`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
