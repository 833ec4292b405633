"""Everything known about one program's run, frozen; it knows nothing of promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.timeline.boards import BoardsSeen
from conformance.timeline.health import HealthSeen
from conformance.timeline.levels import LevelsSeen
from conformance.timeline.logs import LogsSeen
from conformance.timeline.metrics import MetricsSeen
from conformance.timeline.replay import Replayed
from conformance.timeline.traces import TracesSeen
from fixtures.load.ledger import Ledger

LATE = "/late"
"""What the name of a measure ends in that is read as it was before the newest scrape had arrived."""

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Raw samples of one series: `points` are (Unix seconds, value) in order."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    def value_at(self, instant: float, *, tolerance: float = 0.002) -> float | None:
        """The sample taken at `instant` (seconds), or None."""
        for at, value in self.points:
            if abs(at - instant) <= tolerance:
                return value
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A phase as it really ran: [start, end) in Unix seconds; `rung` is the value that the program intends there."""

    name: str
    start: float
    end: float
    wanted_rps: float
    faults: tuple[str, ...] = ()
    rung: float | None = None
    quantity: str = ""
    """What the rung is a value of, in the document's unit: `errors/s`, `s`, `connections`, `ratio`."""
    reached: float | None = None
    """What the fault itself counted of it, where it can: sessions in the server, bytes in the control group."""
    vanished: tuple[str, ...] = ()
    """Scrape jobs whose target is not discovered in this phase, as its program has it."""
    healed: float | None = None
    """When the last of its faults was healed; a killed gateway needs a moment to be back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """What a receiver got from Alertmanager; `at` is the arrival. What it refused is here too."""

    receiver: str
    at: float
    accepted: bool
    status: int
    path: str
    body: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One scrape target as Prometheus lists it."""

    job: str
    instance: str
    health: str
    last_error: str
    scrape_interval: float | None = None
    """Real seconds between two scrapes of it, as Prometheus says; None where that was not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedRule:
    """An alerting or recording rule as Prometheus says that it loaded it; `for_seconds` are real seconds."""

    name: str
    kind: str
    expr: str
    for_seconds: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    health: str = ""
    last_error: str = ""
    interval: float | None = None
    """Real seconds between two evaluations of its group; None where that was not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A query's values at every evaluation of the rules: `points` are (Unix seconds, value or absent)."""

    query: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """A component that ended though nobody stopped it; `log` holds its last lines."""

    component: str
    at: float
    detail: str
    log: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """Whether a backend had taken in the last thing that was sent, and after how many seconds it was seen."""

    backend: str
    ok: bool
    seconds: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """An earlier run of the same program that proved nothing, and why."""

    tempo: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The texts that were judged: as shipped (unmodified files) and as given to the servers (tempo applied)."""

    rules_shipped: Mapping[str, str]
    rules_given: Mapping[str, str]
    alertmanager_shipped: str
    alertmanager_given: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """One program on one cell. Durations are real seconds unless a name says otherwise."""

    schema: int
    program: str
    cell: str
    tempo: float
    begun: float
    ended: float
    scrape_interval: float
    evaluation_interval: float
    phases: tuple[Span, ...]
    ledger: Ledger
    config: Config
    needs: tuple[str, ...] = ()
    alerts: tuple[Series, ...] = ()
    """Raw samples of `ALERTS`, each series with its `alertname` and `alertstate`."""
    up: tuple[Series, ...] = ()
    scrape_durations: tuple[Series, ...] = ()
    measures: Mapping[str, Measured] = field(default_factory=dict)
    """By alert name: the contract's measure at each evaluation."""
    evaluations: tuple[float, ...] = ()
    """The timestamps at which the rules of the alerts were evaluated."""
    missed_evaluations: float = 0.0
    targets: tuple[Target, ...] = ()
    rules: tuple[LoadedRule, ...] = ()
    notifications: tuple[Notification, ...] = ()
    deaths: tuple[Death, ...] = ()
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    """By scrape job: why what answers there is no real exporter."""
    planned_down: tuple[str, ...] = ()
    """Scrape jobs that the program itself takes down."""
    slower: Mapping[str, float] = field(default_factory=dict)
    """Scrape jobs with an interval of their own, in seconds."""
    usual_scrape_interval: float | None = None
    """Real seconds between two scrapes of any other job, as Prometheus says; None where that was not read."""
    interrupted: str = ""
    """Why the program was not performed to its end; empty when it was."""
    arrivals: tuple[Arrival, ...] = ()
    troubles: tuple[str, ...] = ()
    """What went wrong while the stack was read; a trouble is never a pass."""
    attempts: tuple[Attempt, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    """By what was read: the query that read it, for findings."""
    health: HealthSeen | None = None
    metrics: MetricsSeen | None = None
    traces: TracesSeen | None = None
    logs: LogsSeen | None = None
    levels: LevelsSeen | None = None
    replayed: Replayed | None = None
    """The same samples on a virtual clock, where the program is a rung of an alert."""
    boards: BoardsSeen | None = None
    processors: tuple[tuple[float, float], ...] = ()
    """Which share of the machine's processors was in use, by the instant until which: from before to after the run."""

    def phase(self, name: str) -> Span:
        """The phase `name`. Raises KeyError with the names there are."""
        for span in self.phases:
            if span.name == name:
                return span
        raise KeyError(f"no phase {name!r} in {self.program}; phases: {', '.join(s.name for s in self.phases)}")
