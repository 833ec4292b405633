"""One run of the suite: its directory, its timelines, its verdicts, and the report that is made of them."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from conformance import ci, compare
from conformance.charts import charts
from conformance.contract.load import SHIPPED
from conformance.judge.ladder import measured
from conformance.perform import Foreseen, Stage, slower
from conformance.report import record
from conformance.report.event import (
    AttemptFailed,
    ClauseJudged,
    ComponentDied,
    ComponentReady,
    EventLog,
    PhaseBegan,
    ProgramEnded,
    RunEnded,
    RunStarted,
    TurnTaken,
)
from conformance.report.progress import Progress
from conformance.report.record import (
    AttemptRow,
    ComponentRow,
    Origin,
    Report,
    ReportError,
    Result,
    RunFacts,
    ThresholdRow,
)
from conformance.report.redact import Redactor
from conformance.report.text import summary
from conformance.report.write import begin, mask, write_all
from conformance.timeline import store
from conformance.timeline.store import TimelineError
from conformance.watch import AlertWatch
from fixtures.core import clock, rundir, turn
from fixtures.core.journal import Journal
from fixtures.language import boards
from fixtures.language.rules import RulesError, near
from fixtures.load.ledger import Outcome
from fixtures.stack.choice import NAMES, choose
from fixtures.stack.render import check_alertmanager
from fixtures.stack.secrets import Secrets
from fixtures.stack.stack import AGAIN, ALERTMANAGER_FILE, Settings, read_rules, read_text
from fixtures.stack.tempo import LARGEST_TEMPO, TempoError, rewrite_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.contract.model import Contract
    from conformance.judge.ladder import Ladder
    from conformance.judge.mutants import Mutant
    from conformance.judge.verdict import Verdict
    from conformance.perform import Foresee, Stood
    from conformance.report.annotate import Find
    from conformance.report.picture import Begun
    from conformance.timeline.model import Attempt, Timeline
    from fixtures.faults.program import Phase, Program
    from fixtures.load.ledger import Ledger
    from fixtures.stack.stack import Ended, Ready, Stack

DEFAULT_SUBJECT = "fixtures.gateway"
BUSY_TEMPO = 10
"""From this tempo on a run keeps two processors busy, and two of them at once spoil each other's measurements."""
ROOM, ROOM_PER_CELL = 40, 6
"""MiB that a run writes: PostgreSQL, Loki and the logs; and each cell's Prometheus with its gateway's log."""


class RunError(Exception):
    """The run cannot be made as it was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the user chose."""

    stack: str
    tempo: float
    rules: Path
    contract: Path | None = None
    subject: str
    run_dir: Path | None
    timelines: tuple[Path, ...]
    """Places of a stored run, which has its own stack, tempo, rules and subject; empty to perform one."""
    command: str
    revision: str
    find: Find = field(default=lambda name: name if Path(name).is_file() else None)
    """Where a finding's file is, for the remarks of a CI server."""
    dashboards: Path = Path("dashboards")
    together: bool = False
    """Whether to measure at once, also while another run measures on this machine."""

    @property
    def busy(self) -> bool:
        """Whether this run needs the machine for itself; a slow one does so only until its stack stands."""
        return self.tempo >= BUSY_TEMPO


class Run:
    """
    Made once per session; raises a spoken error at once where the options, the contract or the rules are wrong.
    """

    def __init__(
        self,
        options: Options,
        *,
        contract: Contract,
        programs: Sequence[Program],
        covered: frozenset[str],
        ladders: Sequence[Ladder] = (),
        mutants: Sequence[Mutant] = (),
        selection: bool = False,
        foresee: Foresee = lambda _: Foreseen(),
    ) -> None:
        self._foresee = foresee
        self._selection = selection
        self.contract = contract
        self._options = options
        self._programs = tuple(programs)
        self._covered = covered
        self._ladders = tuple(ladders)
        self._mutants = tuple(mutants)
        self._verdicts: list[Verdict] = []
        self._tests: dict[str, Origin] = {}
        self._stage: Stage | None = None
        self._timelines: dict[str, Timeline] | None = None
        self._failure: Exception | None = None
        self._drawing: Begun | None = None
        self._report: Report | None = None
        self._trouble: list[str] = []
        self._notes: list[str] = []
        self._chosen = ""
        self._driver = self._check()
        self._dashboards = {} if options.timelines else _read_dashboards(options.dashboards, self._programs)
        self._begun, self._started = clock.mono(), clock.now()
        self._stored = self._read() if options.timelines else None
        self._tempo, self._subject = self._ran()
        # What judges another run again has no timelines of its own, of which there would be pictures or records.
        self.directory = rundir.create(exact=options.run_dir, latest=not options.timelines)
        self.redactor = Redactor()
        self._events = EventLog(self.directory.path / "events.ndjson", redactor=self.redactor)
        self._events.write(
            RunStarted(command=options.command, stack=self._driver, subject=self._subject, tempo=self._tempo)
        )

    def _check(self) -> str:
        options = self._options
        if not 1 <= options.tempo <= LARGEST_TEMPO:
            raise RunError(f"--tempo {options.tempo:g}: must lie between 1 (real time) and {LARGEST_TEMPO}")
        if options.stack not in NAMES:
            raise RunError(f"--stack {options.stack}: is not one of {', '.join(NAMES)}{near(options.stack, NAMES)}")
        if options.timelines:
            return "stored"
        _check_subject(options.subject)
        _check_room(options.run_dir or Path(".runs"), cells=len(self._programs) + len(self._mutants))
        try:
            for name, text in read_rules(options.rules).items():
                rewrite_rules(text, tempo=options.tempo, file=str(options.rules / name))
            file = options.rules / ALERTMANAGER_FILE
            check_alertmanager(read_text(file), tempo=options.tempo, file=str(file))
        except (TempoError, RulesError) as error:
            raise RunError(str(error)) from error
        choice = choose(options.stack, os.environ)
        self._chosen = choice.why
        return choice.driver

    def _read(self) -> dict[str, Timeline]:
        try:
            return _Stored(store.read_all(self._options.timelines))
        except TimelineError as error:
            raise RunError(f"--timeline {error}") from error

    def _ran(self) -> tuple[float, str]:
        """Tempo and subject of the run: of a stored one its own, where a program may have been performed again."""
        if self._stored is None:
            return self._options.tempo, self._options.subject
        first = (seen.attempts[0].tempo if seen.attempts else seen.tempo for seen in self._stored.values())
        return max(first), _subject_of(self._options.timelines)

    # --- performing

    def timelines(self, stream: TextIO) -> Mapping[str, Timeline]:
        """The timelines of all programs, performed at the first call; a failure is raised at every call."""
        if self._stored is not None:
            return self._stored
        if self._failure is not None:
            raise self._failure
        if self._timelines is None:
            self._timelines = self._perform(stream)
            self._drawing = begin(charts(self.contract, self._timelines, self._ladders), self.redactor)
        return self._timelines

    def seen(self, programs: Iterable[str]) -> list[Timeline]:
        """The timelines of these programs, of those that there are."""
        known = self._stored or self._timelines or {}
        return [known[name] for name in programs if name in known]

    def _perform(self, stream: TextIO) -> dict[str, Timeline]:
        secrets = Secrets(self.directory.path / "secrets")
        self.redactor.learn(secrets.values())
        progress = Progress(stream, redactor=self.redactor)
        progress.line(self._chosen)
        journal = Journal(self.directory.path / "journal.ndjson")
        stage = Stage(
            self._programs,
            settings=Settings(
                rundir=self.directory,
                rules=self._options.rules,
                tempo=self._options.tempo,
                driver=self._driver,
                subject=self._options.subject,
                secrets=secrets,
            ),
            contract=self.contract,
            journal=journal,
            listener=(teller := _Teller(progress, self._events, self._options, self._programs)),
            ladders=self._ladders,
            mutants=self._mutants,
            dashboards=self._dashboards,
            foresee=self._foresee,
        )
        self._stage = stage
        try:
            with contextlib.ExitStack() as having:
                if not self._options.together:
                    waited = having.enter_context(turn.taken(progress.line))
                    self._begun, self._started = self._begun + waited, self._started + waited
                    self._events.write(TurnTaken(seconds=round(waited, 3)))
                if not self._options.busy:
                    teller.when_it_stands = having.close
                stage.run()
        except Exception as error:
            self._failure = error
            raise
        finally:
            teller.close()
            progress.close()
            journal.close()
        return stage.timelines

    # --- judging

    def judged(self, verdict: Verdict) -> None:
        """Take a verdict into the report."""
        self._verdicts.append(verdict)
        self._events.write(
            ClauseJudged(
                clause=verdict.clause,
                status=verdict.status,
                reason=verdict.reason,
                observations=verdict.observations,
            )
        )

    def tested(self, clauses: Sequence[str], place: str, seconds: float) -> None:
        """Where the test of these clauses stands, and how long it took; the first place and the sum of times count."""
        for clause in clauses:
            known = self._tests.get(clause, Origin(place=place))
            self._tests[clause] = Origin(place=known.place, seconds=known.seconds + seconds / len(clauses))

    def again(self, node: str, clause: str) -> str:
        """The command that judges this clause again from what was recorded."""
        file = node.partition("::")[0]
        places = [self._folder()] if self._stored is None else map(str, self._options.timelines)
        folder = " --timeline ".join(map(shlex.quote, places))
        return f"python -m pytest {file} -k {clause} --timeline {folder}"

    def _folder(self) -> str:
        return _shown(self.directory.path)

    # --- reporting

    def finish(self, *, interrupted: bool) -> bool:
        """Write every report; True only if the run is conformant."""
        stage = self._stage
        timelines = self._stored or (stage.timelines if stage is not None else {})
        # A stored run remembers its deaths in its timelines, each as far as it was known by then.
        dead = stage.deaths if stage is not None else [death for seen in timelines.values() for death in seen.deaths]
        deaths = list(dict.fromkeys(f"{death.component} died during the run ({death.detail})" for death in dead))
        if interrupted:
            deaths.append("the run was interrupted")
        self._report = record.build(
            run=RunFacts(
                started=clock.iso(self._started),
                seconds=round(clock.mono() - self._begun, 2),
                tempo=self._tempo,
                stack=self._driver,
                subject=self._subject,
                command=self._options.command,
                revision=self._options.revision,
                attempts=tuple(
                    AttemptRow(program=name, tempo=attempt.tempo, reasons=attempt.reasons)
                    for name, seen in timelines.items()
                    for attempt in seen.attempts
                ),
            ),
            components=_components(stage.stood if stage is not None else ()),
            clauses=self.contract.clauses(),
            verdicts=record.gather(self._verdicts),
            thresholds=self._thresholds(timelines),
            charts=charts(self.contract, timelines, self._ladders),
            selected=self._selection or any(clause.id not in self._covered for clause in self.contract.clauses()),
            deaths=deaths,
            tests=self._tests,
            documents=_shown((self._options.contract or SHIPPED).resolve()),
        )
        self._events.write(RunEnded(result=self._report.result, seconds=self._report.run.seconds))
        for step in (self._events.close, self._write):
            try:
                step()
            except ReportError as error:
                self._trouble.append(str(error))
        return self._report.result is Result.CONFORMANT and not self._trouble

    def _write(self) -> None:
        assert self._report is not None, "it was built before"
        write_all(self._report, self.directory.path, self.redactor, self._earlier(self._report), self._drawing)
        ci.write(self._report, self.directory.path, self._options.find, self.redactor, os.environ)
        masked = mask(self.directory.path, self.redactor) if self._stage is not None else []
        if masked:
            names = ", ".join(self.directory.relative(path) for path in masked)
            self._notes.append(f"masked: a credential of this run was written into {names}")

    def _earlier(self, report: Report) -> tuple[str, Report] | None:
        """The run before this one; a folder that the user chose may stand among anybody's runs."""
        beside = self.directory.path.parent
        if beside.resolve() != compare.RUNS.resolve():
            return None
        found = compare.previous(report, beside)
        return (found[0].name, found[1]) if found else None

    def _thresholds(self, timelines: Mapping[str, Timeline]) -> tuple[ThresholdRow, ...]:
        """What each ladder told apart, where both its programs were performed to their end."""
        complete = {name for name, seen in timelines.items() if not seen.interrupted}
        return tuple(
            ThresholdRow(tier="live", **dataclasses.asdict(measured(ladder, self.contract, timelines)))
            for ladder in self._ladders
            if {ladder.below, ladder.above} <= complete
        )

    def tell(self, stream: TextIO) -> None:
        """The summary on the screen; its last line is the result."""
        if self._report is None:
            return
        colour = stream.isatty()
        width = shutil.get_terminal_size((110, 40)).columns
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = summary(
            self._report,
            folder=self._folder(),
            width=width,
            colour=colour,
            redactor=self.redactor,
            encoding=encoding,
        )
        above = "".join(f"{self.redactor.text(line)}\n" for line in (*self._trouble, *self._notes))
        if ci.on_github(os.environ):
            above += ci.commands(self._report, self._options.find, self.redactor, folder=self._folder())
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"\n{above}{text}")
            stream.flush()


def _shown(path: Path) -> str:
    """A path as whoever stands where the run was started opens it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


class _Stored(dict[str, "Timeline"]):
    """Stored timelines by program; one that is not there is a matter of what was stored, not of this suite."""

    def __missing__(self, program: str) -> Timeline:
        there = ", ".join(sorted(self)) or "none"
        raise RunError(f"--timeline: holds no timeline of program {program}, on which this rests; it holds {there}")


def _subject_of(places: Iterable[Path]) -> str:
    """The subject of stored runs as their reports have it; empty where none is there or they differ."""
    subjects: set[str] = set()
    for place in places:
        # A timeline stands in a folder of its run's.
        for folder in (place, *place.absolute().parents[:2]):
            if (folder / "report.json").is_file():
                with contextlib.suppress(ReportError):
                    subjects.add(record.read(folder / "report.json").run.subject)
                break
    return subjects.pop() if len(subjects) == 1 else ""


def _read_dashboards(folder: Path, programs: Sequence[Program]) -> dict[str, str]:
    """The dashboards by file name, where a program looks at them."""
    if not folder.is_dir():
        raise RunError(f"--dashboards {folder}: is not a folder")
    if not any("dashboards" in program.signals for program in programs):
        return {}
    files = sorted(folder.glob("*.json"))
    if not files:
        raise RunError(f"--dashboards {folder}: holds no dashboard (*.json)")
    try:
        return {path.name: boards.read(path).source for path in files}
    except boards.BoardError as error:
        raise RunError(f"--dashboards {error}") from error


def _check_subject(subject: str) -> None:
    """Whether the gateway can be imported, as far as that is seen without running any of it."""
    wanted = f"expected a Python package that has a __main__ with main(environ), such as {DEFAULT_SUBJECT}"
    try:
        found = importlib.util.find_spec(f"{subject}.__main__")
    except (ImportError, ValueError, AttributeError) as error:
        raise RunError(f"--subject {subject}: {error}; {wanted}") from error
    if found is None:
        raise RunError(f"--subject {subject}: has no __main__; {wanted}")


def _check_room(place: Path, *, cells: int) -> None:
    """A disk that fills in the middle ends components at random; so the room is asked for before anything starts."""
    there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
    free, needed = shutil.disk_usage(there).free >> 20, ROOM + ROOM_PER_CELL * cells
    if free < needed:
        raise RunError(
            f"{there}: {free} MiB are free, and a run of {cells} cells writes about {needed} MiB; make room or choose "
            "another place with --run-dir"
        )


class _Teller:
    """Tells the screen and the event log what happens."""

    def __init__(self, progress: Progress, events: EventLog, options: Options, programs: Sequence[Program]) -> None:
        self._progress = progress
        self._events = events
        self._options = options
        self._programs = {program.name: program for program in programs}
        self._phases: dict[str, str] = {}
        self._tempos: dict[str, float] = {}
        self._ready = 0
        self._watch: AlertWatch | None = None
        self.when_it_stands: Callable[[], None] = lambda: None

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def note(self, text: str) -> None:
        self._progress.line(text)

    def ready(self, ready: Ready) -> None:
        self._events.write(ComponentReady(component=ready.instance, seconds=ready.seconds))
        self._ready += 1
        self._progress.cell("starting", f"ready so far: {self._ready} components, the last is {ready.instance}")

    def standing(self, stack: Stack, seconds: float) -> None:
        self.when_it_stands()
        self._progress.done("starting")
        if self._progress.live:
            # Of use to whoever looks; a log of a run has it in its report.
            self._watch = AlertWatch(
                lambda: {name: cell.prometheus.address("http") for name, cell in stack.cells.items()}
            )
        self._tempos = {name: cell.spec.tempo for name, cell in stack.cells.items()}
        cells = ", ".join(sorted(stack.cells))
        self._progress.line(
            f"the stack stands after {seconds:.1f} s: {len(stack.components)} components; cells: {cells}"
        )

    def doing(self, cell: str, phase: Phase, left: float, ledger: Ledger) -> None:
        if self._phases.get(cell) != phase.name:
            self._phases[cell] = phase.name
            seconds = phase.lasts.total_seconds() / self._tempo(cell)
            self._events.write(PhaseBegan(program=cell, phase=phase.name, seconds=seconds))
        said = [self._where(cell, phase, left)]
        if self._watch is not None and (state := self._watch.state(cell)):
            said.append(state)
        if len(ledger):
            said.append(f"{len(ledger)} requests, {len(ledger.outcome(Outcome.ERROR, Outcome.LOST))} errors")
        self._progress.cell(cell, "; ".join(said))

    def _tempo(self, cell: str) -> float:
        # A program that is performed again runs at a slower pace.
        return self._tempos.get(cell, slower(self._options.tempo))

    def _where(self, cell: str, phase: Phase, left: float) -> str:
        """`above 3/5, 9 s of 14 s left`: the phase, and in seconds what is left of it and of the program."""
        program = self._programs.get(cell.removesuffix(AGAIN))
        if program is None or phase not in program.phases:
            return f"{phase.name}, {left:.0f} s left"
        at = program.phases.index(phase)
        after = sum(each.lasts.total_seconds() for each in program.phases[at + 1 :]) / self._tempo(cell)
        return f"{phase.name} {at + 1}/{len(program.phases)}, {left:.0f} s of {left + after:.0f} s left"

    def reading(self, cell: str) -> None:
        self._progress.cell(cell, "over; waiting for the last of it to arrive, and reading what was observed")

    def died(self, ended: Ended) -> None:
        self._events.write(ComponentDied(component=ended.instance, detail=ended.how))
        last = "".join(f"\n    {line}" for line in ended.log.splitlines()[-5:])
        self._progress.line(f"{ended.instance} died: {ended.how}{last}")

    def again(self, program: str, attempt: Attempt) -> None:
        self._events.write(AttemptFailed(program=program, tempo=attempt.tempo, reasons=attempt.reasons))
        self._progress.line(
            f"{program} proved nothing at tempo {attempt.tempo:g} ({attempt.reasons[0]}); once more at "
            f"tempo {slower(self._options.tempo):g}"
        )

    def performed(self, timeline: Timeline) -> None:
        self._progress.done(timeline.cell)
        self._events.write(
            ProgramEnded(
                program=timeline.program,
                cell=timeline.cell,
                seconds=round(timeline.ended - timeline.begun, 2),
                requests=len(timeline.ledger),
            )
        )


def _components(stood: Sequence[Stood]) -> tuple[ComponentRow, ...]:
    return tuple(
        ComponentRow(
            name=each.instance,
            version=each.facts.version,
            source=each.facts.source,
            stand_in=bool(each.stand_in_for),
            built_here=each.facts.built_here,
            image=each.facts.image or "",
            ready_seconds=each.ready_seconds,
            peak_rss_mib=each.memory,
        )
        for each in stood
    )
