"""
What a monitoring contract is: promises as values, with the clauses that they make.

It knows what is claimed; it must not know how a claim is observed or judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from conformance.contract.parse import ContractError, listed, near_miss
from fixtures.language.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

T = TypeVar("T")


class Level(StrEnum):
    """
    How much hangs on a clause: a run is conformant only if every MUST holds.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"


class Signal(StrEnum):
    """
    Where a clause is observed.
    """

    METRICS = "metrics"
    ALERTS = "alerts"
    LOGS = "logs"
    TRACES = "traces"
    HEALTH = "health"
    DASHBOARDS = "dashboards"
    TARGETS = "targets"
    ROUTES = "routes"
    AGREEMENT = "agreement"


class Direction(StrEnum):
    """
    The side of a threshold on which an alert fires.
    """

    ABOVE = ">"
    BELOW = "<"


class Unit(StrEnum):
    """
    What a threshold or a metric is counted in, as the document says it.
    """

    ERRORS_PER_SECOND = "errors/s"
    REQUESTS_PER_SECOND = "requests/s"
    SECONDS = "s"
    BYTES = "bytes"
    CONNECTIONS = "connections"
    TARGETS = "targets"
    RATIO = "ratio"
    REQUESTS = "requests"
    ERRORS = "errors"
    EXECUTIONS = "executions"
    USERS = "users"
    TOKENS = "tokens"
    DOLLARS = "dollars"
    OPERATIONS = "operations"
    EXECUTIONS_PER_SECOND = "executions/s"
    TOKENS_PER_SECOND = "tokens/s"
    OPERATIONS_PER_SECOND = "operations/s"
    TRANSACTIONS_PER_SECOND = "transactions/s"
    BYTES_PER_SECOND = "bytes/s"
    CORES = "cores"


class MetricType(StrEnum):
    """
    What a metrics page says that a metric is.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class LedgerRelation(StrEnum):
    """
    Which of the clients' own figures a metric must agree with.
    """

    REQUESTS = "requests"
    REQUEST_RATE = "request-rate"
    LATENCY = "latency"
    ERRORS = "errors"
    ERROR_SHARE = "error-share"
    EXECUTIONS = "executions"
    EXECUTION_LATENCY = "execution-latency"
    USERS = "users"
    TOKENS = "tokens"
    COST = "cost"


class PanelFigure(StrEnum):
    """
    Which figure of the clients, of the servers or of the machine a panel must show.
    """

    REQUEST_RATE = "request-rate"
    ERROR_RATE = "error-rate"
    LATENCY = "latency"
    USERS = "users"
    ERROR_LINES = "error-lines"
    EXECUTION_RATE = "execution-rate-by-agent"
    EXECUTION_TIME = "execution-time-by-agent"
    SUCCESS = "success-share-by-agent"
    TOKENS = "tokens-by-agent"
    CPU = "processor-time-by-service"
    MEMORY = "memory-by-service"
    DISK = "disk-operations"
    NETWORK = "network-bytes"
    TRANSACTIONS = "transactions"
    SESSIONS = "session-share"
    SLOW = "slowest-query"
    CACHE = "cache-hit-share"
    COST = "cost"
    TOKEN_RATE = "token-rate-by-type"  # noqa: S105  no password
    COST_BY_AGENT = "cost-by-agent"
    PROJECTIONS = "cost-projections"


class RecordedFigure(StrEnum):
    """
    Which figure of the clients a recording rule must record, over the window that it names.
    """

    REQUEST_RATE = "request-rate"
    ERROR_RATE = "error-rate"
    ERROR_SHARE = "error-share"
    LATENCY = "latency-quantile"


QUANTITIES: Mapping[PanelFigure, tuple[str, ...]] = {
    PanelFigure.DISK: ("what was read", "what was written"),
    PanelFigure.NETWORK: ("what was received", "what was sent"),
    PanelFigure.PROJECTIONS: ("of a day", "of thirty days"),
}
"""The figures that show several quantities, whose lines a promise names, in this order."""


class ReceiverKind(StrEnum):
    """
    The protocol in which a receiver is spoken to.
    """

    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    EMAIL = "email"


class FieldKind(StrEnum):
    """
    What a field of a log line holds.
    """

    TEXT = "text"
    WHOLE = "whole"
    UTC_TIME = "utc-time"


class Transport(StrEnum):
    """
    Over what a port is spoken to.
    """

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """
    One documented promise; its id is the same in code, in reports and on the command line.
    """

    id: str
    signal: Signal
    level: Level
    promise: str
    document: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """
    Why a shipped form differs from the documented one in one part, and where the document is wrong.
    """

    part: str
    reason: str
    line: int
    defect: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """
    The intervals at which the documented stack looks, decides and speaks.
    """

    scrape_interval: timedelta
    evaluation_interval: timedelta
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    resolve_timeout: timedelta
    """After how long an alert ends of which nothing more is heard; one of Prometheus says itself when it ends."""
    group_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """
    A scrape job that must be up; the port is the documented one, where the document names it.
    """

    job: str
    port: int | None
    level: Level
    promise: str
    document: str

    def clauses(self) -> tuple[Clause, ...]:
        return (
            Clause(
                id=f"target/{self.job}",
                signal=Signal.TARGETS,
                level=self.level,
                promise=self.promise,
                document=self.document,
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """
    Which receiver is called for a severity; None stands for every severity that no other route names.
    """

    severity: str | None
    receiver: str
    document: str

    @property
    def clause_id(self) -> str:
        return f"route/{self.severity or 'default'}"

    def clause(self) -> Clause:
        what = f"severity {self.severity}" if self.severity else "any other severity, or none,"
        return Clause(
            id=self.clause_id,
            signal=Signal.ROUTES,
            level=Level.MUST,
            promise=f"an alert of {what} is told at receiver {self.receiver}, and nowhere else",
            document=self.document,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverPromise:
    """
    A place where pages land; the endpoint is the public one, which a run maps to a receiver of its own.

    A chat has a channel beside its endpoint.
    """

    name: str
    kind: ReceiverKind
    endpoint: str
    send_resolved: bool
    document: str
    channel: str = ""


class FailureKind(StrEnum):
    """
    How a receiver does not take a page: nobody listens, it says no, it says that it cannot, it says nothing.
    """

    AWAY = "away"
    REFUSES = "refuses"
    ERRORS = "errors"
    HANGS = "hangs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """
    A way in which a receiver does not take a page, and what is promised of that page.
    """

    name: FailureKind
    level: Level
    promise: str
    document: str

    def clause(self, receiver: ReceiverPromise) -> Clause:
        """
        The promise about one receiver.
        """
        return Clause(
            id=f"receiver/{receiver.name}/{self.name}",
            signal=Signal.ROUTES,
            level=self.level,
            promise=f"{receiver.kind}: {self.promise}",
            document=self.document,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertForm:
    """
    One wording of an alerting rule, at real durations; the severity is one of its labels.
    """

    expr: str
    for_: timedelta
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def severity(self) -> str:
        return self.labels["severity"]

    def parts(self) -> dict[str, object]:
        """
        The form as named parts, so that two forms can be compared part by part.
        """
        named: dict[str, object] = {"expr": self.expr, "for": self.for_}
        named |= {f"labels.{name}": text for name, text in self.labels.items()}
        named |= {f"annotations.{name}": text for name, text in self.annotations.items()}
        return named


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertPromise:
    """
    An alert with a threshold: when it speaks, when it is silent, whom it tells.

    The measure is the alert's quantity without the comparison, in the unit of the document, so that a stimulus can be
    put on either side of the threshold whatever the shipped expression looks like. An alert on a state names in
    `fires_on` the states that it fires on: its rungs are how long the state lasts, not how far a value goes.
    """

    name: str
    level: Level
    documented: AlertForm
    shipped: AlertForm
    corrections: tuple[Correction, ...]
    measure: str
    threshold: float
    direction: Direction
    unit: Unit
    environment: Mapping[str, float]
    receiver: str
    resolved_notification: bool
    document: str
    value: str = ""
    fires_on: tuple[str, ...] = ()
    blind: str = ""
    """PromQL that is 0 where the measure cannot be had, for an alert that fires then too."""

    @property
    def told(self) -> str:
        """
        PromQL of the value that a page carries: the measure, unless the rule puts it in another unit.
        """
        return self.value or self.measure

    def clauses(self, *, delivery: str) -> tuple[Clause, ...]:
        """
        What is judged of the alert; `delivery` is where the document says which receiver is called.
        """
        beyond, short = ("above", "below") if self.direction is Direction.ABOVE else ("below", "above")
        bound = f"{self.threshold:g} {self.unit}"
        waits = format_duration(self.shipped.for_)
        told = "the firing and then the resolved one" if self.resolved_notification else "the firing one"
        promises = {
            "shipped": "the loaded rule is the shipped one, evaluated as often: expression, for, labels, annotations",
            "silent-below": f"does not fire while its measure stays {short} {bound}",
            "fires-above": f"fires when its measure stays {beyond} {bound}",
            "for": f"is pending for {waits} before it fires, exact to the evaluation",
            "resolves": f"ends at the evaluation after its measure is back {short} {bound}",
            "delivered": f"receiver {self.receiver} gets exactly one notification of each change, {told}, titled by it",
            "alone": "what makes it fire makes nothing else fire, but for declared consequences",
        }
        if self.fires_on:
            states = " or ".join(self.fires_on)
            promises["silent-below"] = f"does not fire when its subject was {states} for clearly less than {waits}"
            promises["fires-above"] = f"fires when its subject was {states} for clearly more than {waits}"
            promises["resolves"] = "ends at the evaluation after its subject is back"
        return tuple(
            Clause(
                id=f"alert/{self.name}/{aspect}",
                signal=Signal.ALERTS,
                level=self.level,
                promise=f"{self.name}: {promise}",
                document=delivery if aspect == "delivered" else self.document,
            )
            for aspect, promise in promises.items()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """
    A promise in a sentence, with its weight and its place; what else it says is told by the kind.
    """

    level: Level
    promise: str
    document: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LogField:
    """
    One field of a log line; a nullable one is present in every line and null where it does not apply.
    """

    name: str
    kind: FieldKind
    nullable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LogFormat(Promise):
    """
    What each line is: one JSON object with these fields.
    """

    fields: tuple[LogField, ...]
    levels: tuple[str, ...]
    services: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """
    Which lines a query promises to find: those whose field is one of these words, or a number above the bound.
    """

    field: str
    any_of: tuple[str, ...] = ()
    above: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LogQuery(Promise):
    """
    A documented LogQL query, as it is written and as it ships; with a window it counts lines instead of showing them.
    """

    name: str
    documented: str
    shipped: str
    selects: Selection
    window: timedelta | None
    corrections: tuple[Correction, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelPromise(Promise):
    """
    A variable that sets how much these services log; of several that are set, the one with the fewest services counts.
    """

    variable: str
    services: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs:
    """
    Everything promised about log lines.
    """

    format: LogFormat
    levels: tuple[LevelPromise, ...]
    queries: tuple[LogQuery, ...]
    ledger: Promise

    def decides(self, service: str, given: Mapping[str, str]) -> LevelPromise | None:
        """
        Which of the variables that are set decides how much a service logs.
        """
        able = [each for each in self.levels if each.variable in given and service in each.services]
        return min(able, key=lambda each: len(each.services), default=None)

    def clauses(self) -> tuple[Clause, ...]:
        named: list[tuple[str, Promise]] = [("log/format", self.format)]
        named += [(f"log/level/{each.variable}", each) for each in self.levels]
        named += [(f"log/query/{each.name}", each) for each in self.queries]
        named.append(("log/ledger", self.ledger))
        return tuple(
            Clause(id=name, signal=Signal.LOGS, level=each.level, promise=each.promise, document=each.document)
            for name, each in named
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricPromise(Promise):
    """
    A metric under its documented name; a histogram's buckets go beyond the stated bound, or a quantile cannot pass it.
    """

    name: str
    type: MetricType
    unit: Unit
    labels: tuple[str, ...]
    source: str
    buckets_beyond: float | None
    ledger: LedgerRelation | None

    def clauses(self) -> tuple[Clause, ...]:
        beyond = f" with buckets beyond {self.buckets_beyond:g} {self.unit}" if self.buckets_beyond is not None else ""
        promises = {"": self.promise, "/type": f"{self.name} is a {self.type}{beyond}"}
        if self.ledger is not None:
            promises["/ledger"] = f"{self.name} agrees with the {self.ledger.replace('-', ' ')} that clients saw"
        return tuple(
            Clause(
                id=f"metric/{self.name}{aspect}",
                signal=Signal.METRICS,
                level=self.level,
                promise=promise,
                document=self.document,
            )
            for aspect, promise in promises.items()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedPromise(Promise):
    """
    What a recording rule records: a figure over a window that ends at each evaluation; `quantile` is a latency's.
    """

    name: str
    figure: RecordedFigure
    unit: Unit
    window: timedelta
    quantile: float | None

    @property
    def clause_id(self) -> str:
        return f"record/{slug(self.name)}"

    def clause(self) -> Clause:
        return Clause(
            id=self.clause_id,
            signal=Signal.METRICS,
            level=self.level,
            promise=self.promise,
            document=self.document,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """
    Dollars for 1 000 tokens of a model.
    """

    model: str
    prompt: float
    completion: float
    document: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """
    Everything promised about metrics, and the words that their labels use.

    `outcomes` maps how a request ended for its client to the value of the label `status`; `kinds` what the model server
    did to the value of the label `kind`.
    """

    promises: tuple[MetricPromise, ...]
    recorded: tuple[RecordedPromise, ...]
    undocumented: Promise
    prefix: str
    outcomes: Mapping[str, str]
    kinds: Mapping[str, str]
    prices: tuple[Price, ...]

    def clauses(self) -> tuple[Clause, ...]:
        rest = Clause(
            id="metric/undocumented",
            signal=Signal.METRICS,
            level=self.undocumented.level,
            promise=self.undocumented.promise,
            document=self.undocumented.document,
        )
        exposed = (clause for each in self.promises for clause in each.clauses())
        return (*exposed, rest, *(each.clause() for each in self.recorded))


@dataclass(frozen=True, kw_only=True, slots=True)
class ServicePromise(Promise):
    """
    A dependency that the health endpoint names.
    """

    name: str


class Decides(StrEnum):
    """
    What an orchestrator decides by a probe.
    """

    RESTART = "restart"
    ROTATION = "rotation"


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionPromise(Promise):
    """
    That what is decided by a probe is right, whenever it is asked.
    """

    what: Decides


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbePromise(Promise):
    """
    A probe of the orchestrator; one that needs a dependency fails with it, any other must not.
    """

    name: str
    documented_path: str
    shipped_path: str
    initial_delay: timedelta
    period: timedelta
    timeout: timedelta
    failure_threshold: int
    success_threshold: int
    needs: tuple[str, ...]
    decision: DecisionPromise
    corrections: tuple[Correction, ...]

    @property
    def decision_id(self) -> str:
        return f"probe/{self.name}/{self.decision.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """
    Everything promised about health, liveness, readiness and uptime.
    """

    path: str
    healthy: str
    status_healthy: int
    status_unhealthy: int
    services: tuple[ServicePromise, ...]
    status: Promise
    probes: tuple[ProbePromise, ...]
    uptime: Promise

    def clauses(self) -> tuple[Clause, ...]:
        named: list[tuple[str, Promise]] = [(f"health/{each.name}", each) for each in self.services]
        named.append(("health/status", self.status))
        for probe in self.probes:
            named += [(f"probe/{probe.name}", probe), (probe.decision_id, probe.decision)]
        named.append(("uptime/external", self.uptime))
        return tuple(
            Clause(id=name, signal=Signal.HEALTH, level=each.level, promise=each.promise, document=each.document)
            for name, each in named
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanPromise(Promise):
    """
    A span that each request leaves, with the attributes that it carries.
    """

    name: str
    service: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PortPromise(Promise):
    """
    A documented port of the tracing backend and what is spoken there.
    """

    port: int
    transport: Transport
    protocol: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """
    What each execution asks of another service, and so leaves a span of; None is what is no database.
    """

    name: str
    database: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedLedger(Promise):
    """
    That each request of the clients is found, with the calls that its execution made.
    """

    calls: tuple[Call, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """
    Everything promised about spans and about where they can be sent.
    """

    spans: tuple[SpanPromise, ...]
    ports: tuple[PortPromise, ...]
    ledger: TracedLedger

    def clauses(self) -> tuple[Clause, ...]:
        named: list[tuple[str, Promise]] = [(f"trace/{each.name}", each) for each in self.spans]
        named.append(("trace/ledger", self.ledger))
        named += [(f"trace/port/{each.port}", each) for each in self.ports]
        return tuple(
            Clause(id=name, signal=Signal.TRACES, level=each.level, promise=each.promise, document=each.document)
            for name, each in named
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelPromise(Promise):
    """
    One panel by its dashboard's file name (without `.json`) and its title; a quiet one may be empty.

    `lines` are what its series are called, where one panel shows several quantities: in the order of `QUANTITIES`.
    """

    board: str
    title: str
    figure: PanelFigure
    unit: Unit
    quiet: bool
    lines: tuple[str, ...] = ()

    @property
    def clause_id(self) -> str:
        return f"dashboard/{self.board}/{slug(self.title)}"

    def clause(self) -> Clause:
        return Clause(
            id=self.clause_id,
            signal=Signal.DASHBOARDS,
            level=self.level,
            promise=self.promise,
            document=self.document,
        )


def slug(title: str) -> str:
    """
    A title as a part of a clause's id: `Disk I/O` is `disk-i-o`.
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """
    Everything that is claimed, and nothing that is not judged.
    """

    timing: Timing
    targets: tuple[Target, ...]
    alerts: tuple[AlertPromise, ...]
    undocumented: Promise
    """That there is no other alert."""
    routes: tuple[Route, ...]
    default_route: Route
    receivers: tuple[ReceiverPromise, ...]
    grouping: Promise
    failures: tuple[Failure, ...]
    metrics: Metrics
    logs: Logs
    health: Health
    traces: Traces
    agreement: Mapping[str, Promise]
    """By what agrees: `signals`, `tiers`, `tempo`."""
    mutants: Mapping[str, Promise]
    """By the name of a wrong version of the rules: that it is found out."""
    panels: tuple[PanelPromise, ...] = ()

    def alert(self, name: str) -> AlertPromise:
        return _find("alert", name, {each.name: each for each in self.alerts})

    def log_query(self, name: str) -> LogQuery:
        return _find("log query", name, {each.name: each for each in self.logs.queries})

    def log_level(self, variable: str) -> LevelPromise:
        return _find("log level", variable, {each.variable: each for each in self.logs.levels})

    def probe(self, name: str) -> ProbePromise:
        return _find("probe", name, {each.name: each for each in self.health.probes})

    def metric(self, name: str) -> MetricPromise:
        return _find("metric", name, {each.name: each for each in self.metrics.promises})

    def recorded(self, name: str) -> RecordedPromise:
        return _find("recording rule", name, {each.name: each for each in self.metrics.recorded})

    def target(self, job: str) -> Target:
        return _find("target", job, {each.job: each for each in self.targets})

    def span(self, name: str) -> SpanPromise:
        return _find("span", name, {each.name: each for each in self.traces.spans})

    def panel(self, clause_id: str) -> PanelPromise:
        return _find("panel", clause_id, {each.clause_id: each for each in self.panels})

    def trace_port(self, port: int) -> PortPromise:
        return _find("trace port", str(port), {str(each.port): each for each in self.traces.ports})

    def receiver(self, name: str) -> ReceiverPromise:
        return _find("receiver", name, {each.name: each for each in self.receivers})

    def failure(self, name: str) -> Failure:
        return _find("failure", name, {each.name: each for each in self.failures})

    def route(self, severity: str) -> Route:
        """
        The route of a severity; one that no route names goes to the default, as Alertmanager does it.
        """
        return next((each for each in self.routes if each.severity == severity), self.default_route)

    def clauses(self) -> tuple[Clause, ...]:
        """
        Every clause that this contract claims, in the order of its documents.
        """
        targets = [clause for target in self.targets for clause in target.clauses()]
        alerts = [
            clause
            for alert in self.alerts
            for clause in alert.clauses(delivery=self.route(alert.shipped.severity).document)
        ]
        return (
            *targets,
            *self.metrics.clauses(),
            *alerts,
            self._said("alert/undocumented", Signal.ALERTS, self.undocumented),
            *(route.clause() for route in (*self.routes, self.default_route)),
            self._said("route/grouping", Signal.ROUTES, self.grouping),
            *(failure.clause(receiver) for receiver in self.receivers for failure in self.failures),
            *self.logs.clauses(),
            *self.health.clauses(),
            *self.traces.clauses(),
            *(each.clause() for each in self.panels),
            *(self._said(f"{name}/agree", Signal.AGREEMENT, said) for name, said in self.agreement.items()),
            *(self._said(f"mutant/{name}", Signal.AGREEMENT, said) for name, said in self.mutants.items()),
        )

    def _said(self, name: str, signal: Signal, said: Promise) -> Clause:
        return Clause(id=name, signal=signal, level=said.level, promise=said.promise, document=said.document)

    def clause(self, clause_id: str) -> Clause:
        return _find("clause", clause_id, {each.id: each for each in self.clauses()})


def _find(noun: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise ContractError(f"the contract has no {noun} '{name}'{near_miss(name, known) or f' {listed(known)}'}")
    return known[name]
