"""Reads everything that the stack says about one program's run, once, and freezes it into a timeline."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from conformance.observe import grafana, logs, metrics, settled
from conformance.observe.client import Client, ObserveError
from conformance.observe.prometheus import Prometheus, raw_query
from conformance.observe.receivers import received
from conformance.observe.traces import QUERYING, SAMPLING, traces
from conformance.timeline.boards import Paid, paid
from conformance.timeline.model import LATE, SCHEMA, Timeline
from fixtures.core import patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conformance.observe.traces import SentSpan
    from conformance.timeline.boards import BoardsSeen
    from conformance.timeline.health import HealthSeen
    from conformance.timeline.logs import LogsSeen, Planted, Question
    from conformance.timeline.metrics import MetricsSeen
    from conformance.timeline.model import (
        Arrival,
        Attempt,
        Config,
        Death,
        LoadedRule,
        Measured,
        Notification,
        Series,
        Span,
        Target,
    )
    from conformance.timeline.traces import TracesSeen
    from fixtures.load.ledger import Ledger
    from fixtures.load.witness import Sighting

T = TypeVar("T")
LOOKED = {
    "service": 'container_memory_working_set_bytes{name="osmen-gateway"}',
    "machine": 'container_fs_writes_total{id="/"}',
}
"""Series that cAdvisor writes at each of its looks."""

ALERTS, UP, SCRAPE_DURATION = "ALERTS", "up", "scrape_duration_seconds"


@dataclass(frozen=True, kw_only=True, slots=True)
class Backends:
    """Where each backend of one cell is asked; `urls` by component, `ports` are Jaeger's (`host:port` by name)."""

    prometheus: str
    gateway: str
    urls: Mapping[str, str]
    ports: Mapping[str, str] = field(default_factory=dict)
    upstream_secret: str = field(default="", repr=False)
    service_log: Path | None = None
    """The file that the cell's service writes its log to, where it is in reach."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those of the run by name: they are looked for where they must not be, and never kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """What was done on a cell, as the performer knows it."""

    program: str
    cell: str
    tempo: float
    begun: float
    ended: float
    phases: tuple[Span, ...]
    ledger: Ledger
    scrape_interval: float
    evaluation_interval: float
    config: Config
    needs: tuple[str, ...]
    measures: Mapping[str, str]
    missed_before: float
    told_since: float = 0.0
    """Earlier notifications (Unix seconds) are of what fired while the stack was coming up."""
    signals: frozenset[str] = frozenset()
    planned_down: tuple[str, ...] = ()
    slower: Mapping[str, float] = field(default_factory=dict)
    health: HealthSeen | None = None
    metric_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By scrape job: the names of the metrics that are read."""
    recorded: Mapping[str, float] = field(default_factory=dict)
    """The series that rules record and that are read, each with the real seconds that its rule looks back."""
    memory: float | None = None
    """What the gateway's process occupied at the end, in bytes."""
    sent: tuple[SentSpan, ...] = ()
    """The suite's own spans, one through each port of Jaeger that takes any."""
    planted: tuple[Planted, ...] = ()
    """The suite's own log lines."""
    questions: tuple[Question, ...] = ()
    """What the log store is asked."""
    screen: grafana.Screen | None = None
    """The dashboards, and how they are asked."""
    witnessed: tuple[Sighting, ...] = ()
    deaths: tuple[Death, ...] = ()
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    interrupted: str = ""
    attempts: tuple[Attempt, ...] = ()
    troubles: tuple[str, ...] = ()


class _Reading:
    """Collects what could be read and why the rest could not: one dead backend does not hide what the others say."""

    def __init__(self) -> None:
        self.troubles: list[str] = []

    @contextmanager
    def tolerating(self) -> Iterator[None]:
        """Note the trouble of what is read inside, and go on."""
        try:
            yield
        except ObserveError as error:
            self.troubles.append(str(error))

    def of(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except ObserveError as error:
            self.troubles.append(str(error))
            return otherwise


def timeline(deed: Deed, backends: Backends) -> Timeline:
    """The timeline of `deed`. What a backend does not answer is in `troubles`, never an empty answer alone."""
    reading = _Reading()
    alerts: tuple[Series, ...] = ()
    up: tuple[Series, ...] = ()
    durations: tuple[Series, ...] = ()
    targets: tuple[Target, ...] = ()
    usual: float | None = None
    rules: tuple[LoadedRule, ...] = ()
    measures: dict[str, Measured] = {}
    evaluations: tuple[float, ...] = ()
    missed = 0.0
    seen_metrics: MetricsSeen | None = None
    with Client(f"prometheus of {deed.cell}", backends.prometheus) as client:
        prometheus = Prometheus(client)
        arrival: Arrival = settled.scraped(
            prometheus,
            after=deed.ended,
            budget=max(patience.INGESTION, 3 * max(deed.scrape_interval, *deed.slower.values(), 0.0)),
        )
        start, end = deed.begun, deed.ended
        if arrival.ok:
            alerts = reading.of(lambda: prometheus.samples(ALERTS, start=start, end=end), ())
            up = reading.of(lambda: prometheus.samples(UP, start=start, end=end), ())
            durations = reading.of(lambda: prometheus.samples(SCRAPE_DURATION, start=start, end=end), ())
            targets = reading.of(prometheus.targets, ())
            # Of a job that is slowed down on purpose this alone tells how often it would be scraped else.
            usual = reading.of(prometheus.usual_scrape_interval, None) if deed.slower else None
            none: tuple[tuple[LoadedRule, ...], dict[str, float]] = ((), {})
            rules, phases = reading.of(prometheus.rules, none)
            missed = reading.of(prometheus.missed_evaluations, 0.0) - deed.missed_before
            evaluations = _evaluations(deed, alerts, phases)
            for alert, query in deed.measures.items() if evaluations else ():
                # What may be said besides is no reason to doubt what was seen.
                with suppress(ObserveError) if alert.endswith(LATE) else reading.tolerating():
                    measures[alert] = prometheus.measured(
                        query, start=evaluations[0], end=evaluations[-1], step=deed.evaluation_interval
                    )
            if "metrics" in deed.signals:
                seen_metrics = metrics.observe(
                    prometheus=prometheus,
                    gateway=backends.gateway,
                    upstream=backends.urls["upstream"],
                    upstream_secret=backends.upstream_secret,
                    tenant=deed.cell,
                    names=deed.metric_names,
                    recorded=deed.recorded,
                    start=start,
                    end=end,
                    memory=deed.memory,
                )
                reading.troubles += seen_metrics.troubles.values()
    with Client("receivers", backends.urls["receivers"]) as client:
        every: tuple[Notification, ...] = reading.of(lambda: received(client), ())
        notifications = tuple(each for each in every if each.at >= deed.told_since)
    seen_traces = _traces(deed, backends) if "traces" in deed.signals else None
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
        ledger=deed.ledger if seen_traces is None else traced(deed.ledger, seen_traces.begun),
        config=deed.config,
        needs=deed.needs,
        alerts=alerts,
        up=up,
        scrape_durations=durations,
        measures=measures,
        evaluations=evaluations,
        missed_evaluations=missed,
        targets=targets,
        rules=rules,
        notifications=notifications,
        deaths=deed.deaths,
        stand_ins=deed.stand_ins,
        planned_down=deed.planned_down,
        slower=deed.slower,
        usual_scrape_interval=usual,
        interrupted=deed.interrupted,
        arrivals=(arrival,),
        troubles=(*deed.troubles, *reading.troubles),
        attempts=deed.attempts,
        health=_health(deed, backends),
        metrics=seen_metrics,
        traces=seen_traces,
        logs=_logs(deed, backends) if "logs" in deed.signals else None,
        boards=_boards(deed, backends, deed.screen) if deed.screen is not None and arrival.ok else None,
        queries={
            name: raw_query(name, start=start, end=end) + f" @ {end:.3f}" for name in (ALERTS, UP, SCRAPE_DURATION)
        },
    )


def _health(deed: Deed, backends: Backends) -> HealthSeen | None:
    """What was seen of the service's health, and what the outside prober is told to take for healthy."""
    if deed.health is None or not deed.health.outside:
        return deed.health
    try:
        with Client("blackbox_exporter", backends.urls["blackbox_exporter"]) as client:
            return replace(deed.health, prober=client.text("/config"))
    except ObserveError as error:
        # It is no reason to doubt what was seen from beside the service.
        return replace(deed.health, prober_trouble=str(error))


def _traces(deed: Deed, backends: Backends) -> TracesSeen:
    ports = {SAMPLING: backends.ports["sampling"], QUERYING: backends.ports["query"]}
    with Client("jaeger", backends.urls["jaeger"]) as client:
        return traces(client, deed.ledger, sent=deed.sent, ports=ports)


def traced(ledger: Ledger, begun: Mapping[str, str]) -> Ledger:
    """The ledger with the traces that the service began for clients which named none."""
    requests = (
        replace(each, trace_id=begun[each.request_id]) if each.request_id in begun else each for each in ledger.requests
    )
    return replace(ledger, requests=tuple(requests))


def _logs(deed: Deed, backends: Backends) -> LogsSeen:
    task = logs.Assignment(
        cell=deed.cell,
        begun=deed.begun,
        ledger=deed.ledger,
        planted=deed.planted,
        questions=deed.questions,
        file=backends.service_log,
        credentials=backends.credentials,
    )
    with Client("loki", backends.urls["loki"]) as client:
        return logs.read(client, task)


def _boards(deed: Deed, backends: Backends, screen: grafana.Screen) -> BoardsSeen:
    troubles: list[str] = []
    answered: tuple[Paid, ...] = ()
    try:
        with Client("upstream", backends.urls["upstream"]) as client:
            answered = paid(metrics.billed(client, deed.cell, backends.upstream_secret))
        with Client("loki", backends.urls["loki"]) as client:
            lagging = logs.awaited(client, deed.cell, begun=deed.begun, file=backends.service_log)
            troubles += [lagging] if lagging else []
    except ObserveError as error:
        troubles.append(str(error))
    looked: dict[str, tuple[float, ...]] = {}
    with Client(f"prometheus of {deed.cell}", screen.prometheus) as client:
        for name, selector in LOOKED.items():
            try:
                found = Prometheus(client).samples(selector, start=deed.begun, end=deed.ended)
            except ObserveError as error:
                troubles.append(str(error))
            else:
                looked[name] = tuple(sorted({at for one in found for at, _ in one.points}))
    seen = grafana.ask(screen, paid=answered)
    return replace(seen, witnessed=deed.witnessed, looked=looked, troubles=(*troubles, *seen.troubles))


def _evaluations(deed: Deed, alerts: tuple[Series, ...], phases: Mapping[str, float]) -> tuple[float, ...]:
    """
    When the alerts' group was evaluated: a grid of the interval, in whole milliseconds.

    Its phase is that of any sample of ALERTS, which is written with the evaluation's own timestamp; where no alert was
    ever pending, that of the last evaluation that Prometheus reports, which is a few milliseconds late.
    """
    known = [point[0] for one in alerts if one.labels.get("alertname") in deed.measures for point in one.points]
    known = known or [at for alert, at in phases.items() if alert in deed.measures and at > 0]
    if not known:
        return ()
    interval = deed.evaluation_interval
    first = known[0] - interval * int((known[0] - deed.begun) / interval)
    count = int((deed.ended - first) / interval)
    return tuple(round(first + n * interval, 3) for n in range(count + 1))
