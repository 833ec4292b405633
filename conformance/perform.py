"""
Raises the stack, performs programs on cells side by side, and reads what the stack says into timelines.

A program that proved nothing is performed once more at half the tempo, though never slower than in real time, unless
something it rests on has died, or anything was broken while its premises were met.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from conformance import levels
from conformance.judge import dashboards, premise, recorded
from conformance.judge.alerts import NEEDS
from conformance.judge.mutants import MutantError
from conformance.judge.slack import DELIVERY, timer
from conformance.observe import settled
from conformance.observe.client import Client, ObserveError
from conformance.observe.gather import Backends, Deed, timeline
from conformance.observe.grafana import Screen, Stretch, Unaskable
from conformance.observe.planted import labels, plant
from conformance.observe.prometheus import Prometheus
from conformance.observe.traces import SentSpan
from conformance.tiers import Replayer
from conformance.timeline import store
from conformance.timeline.health import HealthSeen
from conformance.timeline.logs import PLANTED, QUIET, RUN, Question
from conformance.timeline.model import LATE, SCHEMA, Attempt, Config, Death, Span, Timeline
from fixtures.core import clock, patience
from fixtures.faults.gateway import Undiscovered
from fixtures.faults.run import Performance, all_of
from fixtures.language import promql
from fixtures.language.logql import narrowed
from fixtures.load.apart import Clients
from fixtures.load.witness import Processors
from fixtures.spans import send
from fixtures.stack import priority, secrets
from fixtures.stack.components import JAEGER, SHIPPED_LOGS
from fixtures.stack.stack import AGAIN, CellSpec, Shadow, Subject, read_rules, standing, uninterrupted
from fixtures.stack.tempo import TempoError, rewrite_expression

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterable

    from conformance.contract.model import Contract
    from conformance.judge.ladder import Ladder
    from conformance.judge.mutants import Mutant
    from fixtures.core.journal import Journal
    from fixtures.faults.program import Phase, Program
    from fixtures.load.ledger import Ledger
    from fixtures.stack.driver import Facts, Running
    from fixtures.stack.stack import Cell, Ended, Ready, Settings, Stack


SHORTEST = 1.5
"""
Real seconds below which no time-out that is given in the document's time is set: a shorter one tells of a machine that
stood still, and what was given up may have been answered and billed.
"""

JAEGER_PORTS = tuple(port.name for port in JAEGER.ports)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stood:
    """A component that stood: where it came from, when it was ready, how large it was at the end of the programs."""

    instance: str
    component: str
    facts: Facts
    stand_in_for: str
    ready_seconds: float | None
    memory: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """
    What a cell's Prometheus had seen before its program: evaluations that were missed, alerts that fired.

    Those of which a target was to blame that was not up yet are no part of the program.
    """

    missed: float = 0.0
    fired: tuple[str, ...] = ()


class Listener(Protocol):
    """Who is told while it happens."""

    def note(self, text: str) -> None: ...

    def ready(self, ready: Ready) -> None: ...

    def standing(self, stack: Stack, seconds: float) -> None: ...

    def doing(self, cell: str, phase: Phase, left: float, ledger: Ledger) -> None: ...

    def died(self, ended: Ended) -> None: ...

    def again(self, program: str, attempt: Attempt) -> None: ...

    def reading(self, cell: str) -> None: ...

    def performed(self, timeline: Timeline) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """What the tests would say of these timelines."""

    doubts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By program: which of its clauses are not proven, that a second attempt may prove."""
    firm: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By program: which of its clauses are broken. Where its premises were met another attempt might wash them away."""


Foresee = Callable[[Mapping[str, Timeline]], Foreseen]


class Stage:
    """The performing of a set of programs; everything it has is there also when it was broken off."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        settings: Settings,
        contract: Contract,
        journal: Journal,
        listener: Listener,
        subjects: Mapping[str, Subject] | None = None,
        ladders: Sequence[Ladder] = (),
        mutants: Sequence[Mutant] = (),
        dashboards: Mapping[str, str] | None = None,
        foresee: Foresee = lambda _: Foreseen(),
    ) -> None:
        self._foresee = foresee
        self._dashboards = dict(dashboards or {})
        self._subjects = subjects or {}
        self._measured = {name for ladder in ladders for name in (ladder.below, ladder.above)}
        self._replayer = Replayer(contract)
        self._mutants = tuple(mutants)
        self._programs = {program.name: program for program in programs}
        self._settings = settings
        self._contract = contract
        self._journal = journal
        self._listener = listener
        self._named: set[str] = set()
        self._deaths: list[Death] = []
        self._sizes: dict[str, float | None] = {}
        self._processors = Processors()
        self.timelines: dict[str, Timeline] = {}
        self.stood: list[Stood] = []

    @property
    def deaths(self) -> tuple[Death, ...]:
        """Every component that ended unbidden, in order."""
        return tuple(self._deaths)

    def run(self) -> None:
        """Perform every program. Raises StackError when the stack cannot stand."""
        if self._measured:
            self._replayer.provide(self._listener.note)
        begun = clock.mono()
        specs = [self._spec(program, self._settings.tempo, program.name) for program in self._programs.values()]
        with standing(
            self._settings, specs, journal=self._journal, announce=self._listener.ready, note=self._listener.note
        ) as stack:
            self._listener.standing(stack, clock.mono() - begun)
            self._tell_the_end(self._programs.values(), self._settings.tempo)
            try:
                self._round(stack, {spec.name: self._programs[spec.name] for spec in specs}, {})
                self._repeat(stack)
            finally:
                self._watch(stack)
                self.stood = list(_stood(stack, self._sizes))

    def _tell_the_end(self, programs: Collection[Program], tempo: float) -> None:
        longest = max(programs, key=lambda program: program.seconds(tempo))
        lasts = longest.seconds(tempo)
        end = clock.at(clock.now() + lasts)[:8]
        self._listener.note(f"the longest program, {longest.name}, lasts {lasts:.0f} s: done at about {end} UTC")

    def _spec(self, program: Program, tempo: float, name: str) -> CellSpec:
        return CellSpec(
            name=name,
            tempo=tempo,
            jobs=program.jobs,
            gateway={
                variable: f"{max(SHORTEST, value.total_seconds() / tempo):g}" if isinstance(value, timedelta) else value
                for variable, value in program.gateway.items()
            },
            owns=program.owns,
            max_connections=program.max_connections,
            discovered=program.discovered,
            slower=program.slower,
            subject=self._subjects.get(program.name, Subject()),
            in_loki=bool(program.signals & {"logs", "dashboards"}),
            keen=program.quantity in ("s", "errors/s"),
            shadows=tuple(self._shadows(program.name, again=AGAIN if name.endswith(AGAIN) else "")),
        )

    def _shadows(self, program: str, *, again: str) -> Iterable[Shadow]:
        """The mutants that stand beside a program's cell."""
        subject = self._subjects.get(program, Subject())
        for mutant in self._mutants:
            if mutant.program == program:
                try:
                    rules = mutant.bent({**read_rules(self._settings.rules), **subject.rules})
                except MutantError as error:
                    self._listener.note(f"{mutant.clause}: {error} (its clause will say so)")
                else:
                    yield Shadow(name=f"{mutant.cell}{again}", rules=rules)

    def _beside(self, program: str) -> Iterable[Timeline]:
        """What was seen of the mutants beside a program's cell."""
        names = [mutant.cell for mutant in self._mutants if mutant.program == program]
        return (self.timelines[name] for name in names if name in self.timelines)

    def _repeat(self, stack: Stack) -> None:
        attempts: dict[str, tuple[Attempt, ...]] = {}
        foreseen = self._foresee(self.timelines)
        for name in self._programs:
            seen, mutants = self.timelines[name], tuple(self._beside(name))
            if reasons := worth_another(self._programs[name], seen, mutants, foreseen):
                attempt = Attempt(tempo=seen.tempo, reasons=reasons)
                attempts[name] = (*seen.attempts, attempt)
                # Kept beside the timelines, so that what went wrong can be looked at.
                for each in (seen, *mutants):
                    store.write(each, self._settings.rundir.path / "timeline" / f"attempt-at-tempo-{seen.tempo:g}")
                self._listener.again(name, attempt)
        if not attempts:
            return
        specs = {f"{name}{AGAIN}": self._programs[name] for name in attempts}
        stack.raise_cells([self._spec(program, slower(self._settings.tempo), cell) for cell, program in specs.items()])
        stack.await_ready()
        self._tell_the_end(specs.values(), slower(self._settings.tempo))
        self._round(stack, specs, attempts)

    def _round(
        self, stack: Stack, programs: Mapping[str, Program], attempts: Mapping[str, tuple[Attempt, ...]]
    ) -> None:
        """Perform `programs`, by the name of their cell, side by side."""
        with Clients(self._settings.rundir.folder("logs") / "clients.log") as clients:
            priority.renice(clients.pid, priority.FIRST)
            self._perform(stack, programs, attempts, clients)

    def _perform(
        self,
        stack: Stack,
        programs: Mapping[str, Program],
        attempts: Mapping[str, tuple[Attempt, ...]],
        clients: Clients,
    ) -> None:
        begun = clock.mono()
        before = {
            name: self._before(stack.cells[cell], running, name, len(program.jobs), since=begun)
            for cell, program in programs.items()
            for name, running in _watching(stack.cells[cell])
        }
        planted = {
            name: plant(self._settings.rundir.folder(SHIPPED_LOGS), name)
            for name, program in programs.items()
            if "logs" in program.signals
        }
        performances = [
            Performance(
                program, stack.cells[name], journal=self._journal, announce=self._listener.doing, clients=clients
            )
            for name, program in programs.items()
        ]

        def read(performance: Performance) -> None:
            # While others go on: what ends early is read early, and the last one alone is waited for.
            deed = self._deed(stack, performance, attempts)
            self._listener.reading(deed.cell)
            cell = stack.cells[deed.cell]
            stack.stand_back(cell)
            deed = _since(deed, before[deed.cell])
            if "logs" in deed.signals:
                asked = _questions(self._contract, deed.cell)
                deed = replace(deed, planted=planted[deed.cell], questions=asked)
            if "traces" in deed.signals:
                deed = replace(deed, sent=_sent(cell))
            if "dashboards" in deed.signals:
                screen = screen_of(cell, deed.phases, self._dashboards)
                deed = replace(deed, screen=screen, witnessed=performance.performed().witnessed)
            seen = self._read(deed, cell)
            if deed.program in self._measured:
                seen = replace(seen, replayed=self._replayer.replayed(seen, _backends(cell).prometheus))
            self._keep(seen)
            for beside in _shadowed(deed, cell, before):
                self._keep(timeline(*beside))
            # What nobody asks any more would still scrape and be scraped, on processors that others are measured on.
            self._sizes |= {running.instance: running.memory() for running in cell.own()}
            stack.lower_cell(cell.name)

        known = dict(self.timelines)
        try:
            asyncio.run(_attached(clients, all_of(performances, watch=lambda: self._watch(stack), then=read)))
        except BaseException:
            # The impatient press Ctrl-C once more: what was recorded is kept all the same.
            with uninterrupted():
                for performance in performances:
                    name = performance.performed().program.name
                    if self.timelines.get(name) is known.get(name):
                        self._keep(self._unread(stack, performance, attempts))
            raise
        self._watch(stack)
        for seen in [each for program in programs.values() for each in self._of(program.name)]:
            if seen.deaths != self.deaths:
                # What died at any time of the run, also while the stack was read, counts for all that rests on it.
                self._keep(replace(seen, deaths=self.deaths))

    def _read(self, deed: Deed, cell: Cell) -> Timeline:
        """What the stack says; gateways at other log levels run meanwhile, as they say nothing to this cell's."""
        if "levels" not in deed.signals:
            return self._unpromised(timeline(deed, _backends(cell)))
        with ThreadPoolExecutor(max_workers=1) as beside:
            variants = beside.submit(levels.observe, cell, self._contract.logs, prefix=self._contract.metrics.prefix)
            seen = timeline(deed, _backends(cell))
            return self._unpromised(replace(seen, levels=variants.result()))

    def _unpromised(self, seen: Timeline) -> Timeline:
        """Name what is there and promised by nobody, each once in a run."""
        panels = (f"the panel {panel}: it" for panel in dashboards.unknown(self._contract, seen))
        rules = (f"the recording rule {rule}: what it records" for rule in recorded.unknown(self._contract, seen))
        for each in (*panels, *(rules if seen.metrics is not None else ())):
            if each not in self._named:
                self._named.add(each)
                self._listener.note(f"no promise is made about {each} is not judged")
        return seen

    def _of(self, program: str) -> tuple[Timeline, ...]:
        return (self.timelines[program], *self._beside(program))

    def _before(self, cell: Cell, prometheus_of: Running, name: str, jobs: int, *, since: float) -> Before:
        """
        Wait for the first scrapes of a cell's Prometheus, and until what fired without them is over and told.

        All cells have the same time, counted from `since`: where none is answered the run does not wait for each.
        """
        with Client(f"prometheus of {name}", f"http://{prometheus_of.address('http')}") as client:
            prometheus = Prometheus(client)
            budget = max(patience.FIRST_SCRAPE, 2 * cell.scrape_interval + 5)
            left = max(1.0, budget - (clock.mono() - since))
            waited = settled.first_scrape(prometheus, jobs, budget=left)
            if not waited.ok:
                self._listener.note(f"{name}: {waited.last} (after {waited.elapsed:.0f} s; its clauses will say so)")
            with contextlib.suppress(ObserveError):
                fired = settled.fired_while_down(prometheus)
                if fired:
                    timing = self._contract.timing
                    timers = (each.total_seconds() for each in (timing.group_wait, timing.group_interval))
                    rest = sum(timer(each, cell.spec.tempo) for each in timers) + DELIVERY
                    over = settled.quiet(prometheus, rest=rest, budget=rest + budget / 2)
                    after = "" if over.ok else f" and did not end within {over.elapsed:.0f} s"
                    self._listener.note(f"{name}: {', '.join(fired)} fired before its targets were up{after}")
                return Before(missed=prometheus.missed_evaluations(), fired=fired)
        return Before()

    def _watch(self, stack: Stack) -> None:
        self._processors.look()
        for ended in stack.ended():
            self._deaths.append(Death(component=ended.instance, at=ended.at, detail=ended.how, log=ended.log))
            self._listener.died(ended)

    def _keep(self, seen: Timeline) -> None:
        seen = replace(seen, processors=self._processors.seen(seen.begun))
        self.timelines[seen.program] = seen
        store.write(seen, self._settings.rundir.path / "timeline")
        self._listener.performed(seen)

    def _deed(self, stack: Stack, performance: Performance, attempts: Mapping[str, tuple[Attempt, ...]]) -> Deed:
        done = performance.performed()
        cell = stack.cells[done.cell]
        program = done.program
        return Deed(
            program=program.name,
            cell=done.cell,
            tempo=cell.spec.tempo,
            begun=done.begun,
            ended=done.ended,
            phases=tuple(
                Span(
                    name=passed.phase.name,
                    start=passed.start,
                    end=passed.end,
                    wanted_rps=passed.phase.load.at(cell.spec.tempo).rps,
                    faults=tuple(fault.describe() for fault in passed.phase.faults),
                    rung=program.rungs.get(passed.phase.name),
                    quantity=program.quantity,
                    reached=passed.reached,
                    vanished=tuple(fault.job for fault in passed.phase.faults if isinstance(fault, Undiscovered)),
                    healed=passed.healed,
                )
                for passed in done.phases
            ),
            ledger=done.ledger,
            scrape_interval=cell.scrape_interval,
            evaluation_interval=cell.evaluation_interval,
            config=Config(
                rules_shipped=cell.rules_shipped,
                rules_given=cell.rules_given,
                alertmanager_shipped=cell.alertmanager_shipped,
                alertmanager_given=cell.alertmanager_given,
            ),
            needs=tuple(sorted(cell.spec.instance(component) for component in program.needs)),
            signals=program.signals,
            planned_down=tuple(sorted(program.takes_down)),
            slower={job: seconds / cell.spec.tempo for job, seconds in program.slower.items()},
            health=(
                HealthSeen(looks=done.looks, outside=done.outside, control=done.control, starved=done.starved)
                if "health" in program.signals
                else None
            ),
            metric_names=_metric_names(self._contract),
            recorded={
                each.name: each.window.total_seconds() / cell.spec.tempo for each in self._contract.metrics.recorded
            },
            memory=_bytes(cell.gateway.memory()),
            measures=measures(self._contract, cell.spec.tempo, scrape=cell.scrape_interval),
            missed_before=0.0,
            deaths=self.deaths,
            stand_ins={job: why for job, why in stack.stand_ins.items() if job in program.jobs},
            interrupted=done.interrupted,
            attempts=attempts.get(program.name, ()),
        )

    def _unread(self, stack: Stack, performance: Performance, attempts: Mapping[str, tuple[Attempt, ...]]) -> Timeline:
        """What is known of a broken-off program without asking anybody."""
        deed = self._deed(stack, performance, attempts)
        return Timeline(
            schema=SCHEMA,
            program=deed.program,
            cell=deed.cell,
            tempo=deed.tempo,
            begun=deed.begun,
            ended=deed.ended,
            scrape_interval=deed.scrape_interval,
            evaluation_interval=deed.evaluation_interval,
            phases=deed.phases,
            ledger=deed.ledger,
            config=deed.config,
            needs=deed.needs,
            deaths=deed.deaths,
            stand_ins=deed.stand_ins,
            interrupted=deed.interrupted or "the run was broken off before the stack was read",
            attempts=deed.attempts,
            health=deed.health,
        )


def worth_another(program: Program, seen: Timeline, mutants: Sequence[Timeline], foreseen: Foreseen) -> tuple[str, ...]:
    """
    Why a program is performed once more: it proved nothing, and another attempt may; empty where that is not so.

    Where its premises were met and anything is broken there is no other attempt. Where they were not, nothing that was
    seen is a finding; what seemed broken is told with the reasons, as both attempts are reported.
    """
    # What has no signal of its own to be read is judged by alerts, pages and their instants alone.
    missed = premise.repeatable if program.signals else premise.failed
    hopeless = (
        premise.deaths(seen, NEEDS)
        or any(premise.deaths(mutant) for mutant in mutants)
        or (seen.stand_ins and program.rungs)
        or premise.never_answered(seen)
    )
    if hopeless:
        return ()
    firm = tuple(foreseen.firm.get(program.name, ()))
    failed = missed(seen, needs=NEEDS) or tuple(each for mutant in mutants for each in premise.repeatable(mutant))
    if failed:
        return (*failed, *(f"meanwhile {each}" for each in firm))
    return () if firm else tuple(foreseen.doubts.get(program.name, ()))


def slower(tempo: float) -> float:
    """The pace of a second attempt: half of the first, but never below real time."""
    return max(1.0, tempo / 2)


async def _attached(clients: Clients, work: Coroutine[None, None, None]) -> None:
    async with clients.attached():
        await work


REACH = 90.0
"""Seconds of the document's time after which a step is in every panel: a window of a minute and two scrapes."""


GRID = 15.0
"""Seconds of the document's time: a stretch is a multiple of it, as `$__range` must be whole at every tempo."""


def screen_of(cell: Cell, phases: Sequence[Span], files: Mapping[str, str]) -> Screen:
    """How the dashboards of a cell are asked: of each phase, from when it fills the panels' windows."""
    tempo = cell.spec.tempo

    def rewrite(query: str) -> str:
        try:
            return rewrite_expression(query, tempo)
        except TempoError as error:
            raise Unaskable(str(error)) from error

    return Screen(
        prometheus=f"http://{cell.prometheus.address('http')}",
        loki=f"http://{cell.address('loki', 'http')}",
        files=files,
        stretches=tuple(
            Stretch(phase=span.name, start=start, end=start + whole * GRID / tempo)
            for span in phases
            if (whole := int((span.end - (start := span.start + REACH / tempo)) * tempo / GRID)) * GRID > REACH
        ),
        tempo=tempo,
        rewrite=rewrite,
        narrow=lambda query: narrowed(query, cell=cell.name),
    )


def _bytes(mebibytes: float | None) -> float | None:
    return None if mebibytes is None else mebibytes * 2**20


def _metric_names(contract: Contract) -> dict[str, tuple[str, ...]]:
    """The documented metrics by the scrape job that has them."""
    jobs = {promise.source for promise in contract.metrics.promises}
    return {job: tuple(each.name for each in contract.metrics.promises if each.source == job) for job in sorted(jobs)}


def measures(contract: Contract, tempo: float, *, scrape: float) -> dict[str, str]:
    """
    By alert its measure, where a page tells another value `NAME/value`, and what tells that it sees nothing.

    `NAME/late` is the value as it is told where the newest scrape was still under way.
    """
    queries = {alert.name: alert.measure for alert in contract.alerts}
    queries |= {f"{alert.name}/value": alert.value for alert in contract.alerts if alert.value}
    queries |= {f"{alert.name}/blind": alert.blind for alert in contract.alerts if alert.blind}
    found = {name: rewrite_expression(query, tempo) for name, query in queries.items()}
    for alert in contract.alerts:
        # Shortened at the tempo, as a scrape's interval is rounded there and a range's must not be.
        late = promql.without_newest(found.get(f"{alert.name}/value", found[alert.name]), round(scrape * 1000))
        if late is not None:
            found[f"{alert.name}{LATE}"] = late
    return found


def _backends(cell: Cell) -> Backends:
    """Where each backend of a cell is asked."""
    ports = {
        "receivers": "http",
        "loki": "http",
        "jaeger": "query",
        "upstream": "http",
        "blackbox_exporter": "http",
    }
    urls = {name: f"http://{cell.address(name, port)}" for name, port in ports.items()}
    return Backends(
        prometheus=f"http://{cell.prometheus.address('http')}",
        gateway=f"http://{cell.gateway.address('http')}",
        urls=urls,
        ports={name: cell.address("jaeger", name) for name in JAEGER_PORTS},
        upstream_secret=cell.stack.secrets.value("upstream"),
        service_log=cell.stack.settings.rundir.folder(cell.spec.logs) / f"{cell.name}.jsonl",
        credentials={name: cell.stack.secrets.value(name) for name in secrets.NAMES},
    )


def _watching(cell: Cell) -> Iterable[tuple[str, Running]]:
    """Every Prometheus of a cell, by the name of what it watches for."""
    yield cell.name, cell.prometheus
    for name, shadow in cell.shadows.items():
        yield name, shadow.prometheus


def _since(deed: Deed, before: Before) -> Deed:
    """The deed without what was there before it."""
    return replace(deed, missed_before=before.missed, told_since=deed.begun if before.fired else 0.0)


def _shadowed(deed: Deed, cell: Cell, before: Mapping[str, Before]) -> Iterable[tuple[Deed, Backends]]:
    """The same deed as each shadow of the cell saw it: only the rules differ, and whom they are told."""
    for name, shadow in cell.shadows.items():
        given = replace(deed.config, rules_shipped=shadow.rules_shipped, rules_given=shadow.rules_given)
        seen = replace(
            deed,
            program=name.removesuffix(AGAIN),
            cell=name,
            config=given,
            needs=(*deed.needs, cell.gateway.instance),
            signals=frozenset(),
            health=None,
            attempts=(),
        )
        yield (
            _since(seen, before[name]),
            replace(_backends(cell), prometheus=f"http://{shadow.prometheus.address('http')}"),
        )


def _questions(contract: Contract, cell: str) -> tuple[Question, ...]:
    """Each shipped query of the run's lines and the planted ones; each documented one of the planted ones alone."""
    asked = []
    for query in contract.logs.queries:
        counts = query.window is not None
        for place, label in {RUN: cell, **labels(cell)}.items():
            for form, text in (("shipped", query.shipped), ("documented", query.documented)):
                if (form == "shipped" and (counts or place != QUIET)) or place == PLANTED:
                    given = narrowed(text, cell=label)
                    asked.append(Question(name=query.name, form=form, place=place, query=given, counts=counts))
    return tuple(asked)


def _sent(cell: Cell) -> tuple[SentSpan, ...]:
    """One span of our own through each documented port of Jaeger, sent now."""
    addresses = {port.inside: cell.address("jaeger", port.name) for port in JAEGER.ports}
    return tuple(
        SentSpan(
            port=each.port, address=each.address, trace_id=each.trace_id, span_id=each.span_id, refused=each.refused
        )
        for each in send.through({port: addresses[port] for port in send.PROTOCOLS})
    )


def _stood(stack: Stack, sizes: Mapping[str, float | None]) -> Iterable[Stood]:
    """Every component; `sizes` (MiB) are those of what was stopped before the end."""
    ready = {each.instance: each.seconds for each in stack.ready}
    for name, running in tuple(stack.components.items()):
        yield Stood(
            instance=name,
            component=running.component.name,
            facts=running.facts,
            stand_in_for=running.component.stand_in_for,
            ready_seconds=ready.get(name),
            memory=sizes[name] if name in sizes else running.memory(),
        )
