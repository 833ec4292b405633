"""
A written set of incidents: what happens to the documented service, as series of one value every fifteen seconds.

Each incident bends one part of a healthy baseline, so that every rule meets a whole world and not only its own metric.
It knows the documented metrics; it must not know a rule, a threshold's rule or an engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conformance.contract.model import Contract
from conformance.simulate.promtool import Series

STEP_MS: Final = 15_000
CALM: Final = 22
"""Samples before an incident begins: five and a half minutes, longer than any range of the documented rules."""
LASTS: Final = 48
"""Twelve minutes: a range fills, a wait passes, and some evaluations are left."""
AFTER: Final = 26
ALL: Final = CALM + LASTS + AFTER
BEGINS_MS: Final = CALM * STEP_MS
ENDS_MS: Final = (ALL - 1) * STEP_MS

RUNGS: Final = (0.5, 0.8, 0.95, 1.0, 1.05, 1.25, 2.0, 10.0)
# The middles of the buckets beside ten seconds: between two bounds a histogram cannot tell values apart.
_BOUNDS: Final = (0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 30.0, 60.0, 120.0)

_GATEWAY: Final = 'job="osmen_gateway",instance="gateway:8080"'
_POSTGRES: Final = 'job="postgres",instance="postgres-exporter:9187",server="postgres:5432"'
_REDIS: Final = 'job="redis",instance="redis-exporter:9121"'
_CONTAINER: Final = 'job="docker",instance="cadvisor:8080",id="/osmen-gateway",name="osmen-gateway"'
_LIMIT: Final = 1_000_000_000.0

Stretch = tuple[float | str, int]
"""A value and for how many samples it lasts; `_` is a lost scrape, `stale` the end of a series."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """What happens, in words and in series; `bends` names the part of the world that is not the healthy one."""

    name: str
    words: str
    bends: str
    series: tuple[Series, ...]
    rung: float | None = None
    """For a ladder: how many times the documented threshold."""

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the series that this incident bends."""
        return frozenset(metric(each) for each in self.series)


def metric(series: Series) -> str:
    """The name of a series' metric."""
    return series.name.partition("{")[0]


def values(stretches: Iterable[Stretch]) -> str:
    """A gauge in promtool's notation."""
    return " ".join(_stretch(value, count) for value, count in stretches)


def _stretch(value: float | str, count: int) -> str:
    # A value is repeated n times more, a gap n times.
    if value == "stale":
        return "stale"
    return f"_x{count}" if value == "_" else f"{_number(value)}x{count - 1}"


def counted(rates: Iterable[tuple[float, int]], *, start: float = 0.0) -> str:
    """A counter that grows by so much a second, for so many samples each."""
    total, words = start, list[str]()
    for rate, count in rates:
        by = rate * STEP_MS / 1000
        # The first value of a stretch is one step beyond the last one, except at the very beginning.
        # A pause keeps clear of the rounding of sums, or the counter seems to fall by 1e-15, which is a restart.
        first = total + (by or 1e-6 * bool(total)) if words else total
        words.append(f"{_number(first)}+{_number(by)}x{count - 1}")
        total = first + by * (count - 1)
    return " ".join(words)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _during(value: float, *, calm: float = 0.0, lasts: int = LASTS) -> list[tuple[float, int]]:
    return [(calm, CALM), (value, lasts), (calm, ALL - CALM - lasts)]


def _steady(value: float) -> str:
    return values([(value, ALL)])


# --- parts of the world ------------------------------------------------------------------------------------------


def _up(job: str, instance: str, *stretches: Stretch) -> Series:
    return Series(name=f'up{{job="{job}",instance="{instance}"}}', values=values(stretches or [(1, ALL)]))


def _errors(written: str, agent: str = "a") -> Series:
    return Series(name=f'osmen_errors_total{{{_GATEWAY},agent="{agent}",kind="upstream"}}', values=written)


def _requests(rate: float, agent: str = "a") -> Series:
    return Series(name=f'osmen_requests_total{{{_GATEWAY},agent="{agent}"}}', values=counted([(rate, ALL)]))


def durations(
    shares: Sequence[tuple[float, Sequence[tuple[float, int]]]],
    *,
    agent: str = "a",
    bounds: Sequence[float] = _BOUNDS,
) -> tuple[Series, ...]:
    """Buckets of a histogram: how long requests take, and at which rates such ones come."""
    name = "osmen_request_duration_seconds"
    found = []
    for bound in (*bounds, float("inf")):
        within = [rates for seconds, rates in shares if seconds <= bound]
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        series = f'{name}_bucket{{{_GATEWAY},agent="{agent}",le="{le}"}}'
        found.append(Series(name=series, values=counted(_added(within))))
    every = counted(_added([rates for _, rates in shares]))
    found.append(Series(name=f'{name}_count{{{_GATEWAY},agent="{agent}"}}', values=every))
    return tuple(found)


def _added(rates: Sequence[Sequence[tuple[float, int]]]) -> list[tuple[float, int]]:
    if not rates:
        return [(0.0, ALL)]
    # Every list of rates here changes at the same samples.
    return [(sum(each[index][0] for each in rates), rates[0][index][1]) for index in range(len(rates[0]))]


def _memory(working: str, *, usage: str = "", limit: float = _LIMIT, labels: str = _CONTAINER) -> tuple[Series, ...]:
    return (
        Series(name=f"container_memory_working_set_bytes{{{labels}}}", values=working),
        Series(name=f"container_memory_usage_bytes{{{labels}}}", values=usage or working),
        Series(name=f"container_spec_memory_limit_bytes{{{labels}}}", values=_steady(limit)),
    )


_STATES: Final = (("active", 0.5), ("idle", 0.3), ("idle in transaction", 0.2))


def connections(
    stretches: Sequence[Stretch], *, limit: float = 100, states: Sequence[tuple[str, float]] = _STATES
) -> tuple[Series, ...]:
    """Connections as the exporter splits them, the limit, and that the exporter has one itself."""
    found = [
        Series(
            name=f'pg_stat_activity_count{{{_POSTGRES},datname="osmen",state="{state}"}}',
            values=values([(value if isinstance(value, str) else value * share, count) for value, count in stretches]),
        )
        for state, share in states
    ]
    found.append(Series(name=f"pg_settings_max_connections{{{_POSTGRES}}}", values=_steady(limit)))
    found.append(Series(name=f"pg_up{{{_POSTGRES}}}", values=_steady(1)))
    return tuple(found)


def _locked_out() -> tuple[Series, ...]:
    rows = [
        Series(
            name=f'pg_stat_activity_count{{{_POSTGRES},datname="osmen",state="{state}"}}',
            values=values([(60 * share, CALM), ("stale", 1)]),
        )
        for state, share in _STATES
    ]
    rows.append(Series(name=f"pg_settings_max_connections{{{_POSTGRES}}}", values=values([(100, CALM), ("stale", 1)])))
    rows.append(Series(name=f"pg_up{{{_POSTGRES}}}", values=values([(1, CALM), (0, LASTS), (1, AFTER)])))
    return tuple(rows)


def healthy() -> dict[str, tuple[Series, ...]]:
    """The whole world on a good day, by part."""
    return {
        "gateway": (_up("osmen_gateway", "gateway:8080"),),
        "targets": (
            _up("postgres", "postgres-exporter:9187"),
            _up("redis", "redis-exporter:9121"),
            _up("docker", "cadvisor:8080"),
        ),
        "errors": (_errors(counted([(0, ALL)])), _errors(counted([(0, ALL)]), "b")),
        "requests": (_requests(10), _requests(10, "b")),
        "latency": durations([(0.4, [(10.0, ALL)])]),
        "memory": _memory(_steady(0.4 * _LIMIT)),
        "database": connections([(30, ALL)]),
        "redis": (Series(name=f"redis_up{{{_REDIS}}}", values=_steady(1)),),
    }


def world(incident: Incident, names: Iterable[str] | None = None) -> tuple[Series, ...]:
    """
    Everything that there is during an incident: the healthy world with one part replaced.

    With names, only the series of those metrics: whoever reads nothing else sees no difference, and it is cheaper.
    """
    parts = healthy()
    parts[incident.bends] = ()
    every = (*incident.series, *(series for part in parts.values() for series in part))
    wanted = None if names is None else set(names)
    return tuple(each for each in every if wanted is None or metric(each) in wanted)


# --- the ladders -------------------------------------------------------------------------------------------------


def _rungs(alert: str, quantity: str, threshold: float, unit: str) -> Iterator[Incident]:
    for rung in RUNGS:
        value = round(threshold * rung) if quantity == "database" else threshold * rung
        series = _at(quantity, value)
        if series:
            yield Incident(
                name=f"{alert} at {rung:g}",
                words=f"{_QUANTITIES[quantity]} {value:g} {unit} for twelve minutes".replace(
                    " ratio ", " of the limit "
                ),
                bends=quantity,
                series=series,
                rung=rung,
            )


_QUANTITIES: Final = {
    "errors": "there are",
    "latency": "every request takes",
    "memory": "the working set is",
    "database": "there are",
}
LADDERS: Final[Mapping[str, str]] = {
    "HighErrorRate": "errors",
    "HighResponseTime": "latency",
    "HighMemoryUsage": "memory",
    "DatabasePoolExhausted": "database",
}
"""Which part of the world carries the quantity of a documented alert."""


def _at(quantity: str, value: float) -> tuple[Series, ...]:
    match quantity:
        case "errors":
            return (_errors(counted(_during(value))), _errors(counted([(0, ALL)]), "b"))
        case "latency":
            return _slow(value, 1.0)
        case "memory" if value <= 1:
            calm, during = 0.4 * _LIMIT, value * _LIMIT
            return _memory(values(_during(during, calm=calm)))
        case "database" if value <= 100:
            return connections([(30, CALM), (round(value), LASTS), (30, AFTER)])
    return ()


def _slow(seconds: float, share: float, rate: float = 10.0) -> tuple[Series, ...]:
    slow = [(0.0, CALM), (rate * share, LASTS), (0.0, AFTER)]
    fast = [(rate, CALM), (rate * (1 - share), LASTS), (rate, AFTER)]
    return durations([(0.4, fast), (seconds, slow)])


def ladders(contract: Contract) -> tuple[Incident, ...]:
    """The rungs of every documented threshold that this set has a quantity for."""
    return tuple(
        incident
        for alert in contract.alerts
        if alert.name in LADDERS
        for incident in _rungs(alert.name, LADDERS[alert.name], alert.threshold, alert.unit)
    )


# --- the written set ---------------------------------------------------------------------------------------------


def _flap(on: float, off: float, on_for: int, off_for: int) -> list[tuple[float, int]]:
    stretches: list[tuple[float, int]] = [(off, CALM)]
    for _ in range(LASTS // (on_for + off_for)):
        stretches += [(on, on_for), (off, off_for)]
    return [*stretches, (off, ALL - sum(count for _, count in stretches))]


def incidents() -> tuple[Incident, ...]:
    """The written set: bursts, leaks, flaps, one noisy label set, restarts, missing targets, and what misleads."""
    quiet = _errors(counted([(0, ALL)]), "b")
    leak: list[tuple[float, int]] = [(0.0, CALM), *((0.03 * step, 4) for step in range(1, 13)), (0.0, AFTER)]
    restart = f"{counted([(0.0, CALM), (0.15, 24)])} {counted([(0.15, 24), (0.0, AFTER)])}"
    lost = f"{counted([(0.0, CALM), (0.12, 24)])} _ {counted([(0.12, 23), (0.0, AFTER)], start=0.12 * 15 * 26)}"
    rows: list[tuple[str, str, str, tuple[Series, ...]]] = [
        (
            "error burst",
            "a million errors within fifteen seconds, then none",
            "errors",
            (_errors(counted([(0.0, CALM), (66_667.0, 1), (0.0, ALL - CALM - 1)])), quiet),
        ),
        (
            "errors spread over five agents",
            "five agents fail at 0.05/s each, 0.25/s in all",
            "errors",
            tuple(_errors(counted(_during(0.05)), agent) for agent in "abcde"),
        ),
        (
            "one noisy agent",
            "one agent of five fails at 0.5/s, four not at all",
            "errors",
            (_errors(counted(_during(0.5))), *(_errors(counted([(0, ALL)]), agent) for agent in "bcde")),
        ),
        (
            "slow leak of errors",
            "errors grow from none to 0.36/s within twelve minutes",
            "errors",
            (_errors(counted(leak)), quiet),
        ),
        (
            "flapping errors",
            "errors at 1/s for one minute of every two",
            "errors",
            (_errors(counted(_flap(1.0, 0.0, 4, 4))), quiet),
        ),
        (
            "restart among errors",
            "errors at 0.15/s, the counter starts anew half way",
            "errors",
            (_errors(restart), quiet),
        ),
        ("lost scrape among errors", "errors at 0.12/s, one scrape is lost half way", "errors", (_errors(lost), quiet)),
        (
            "agent born at 100 errors",
            "a label set appears with 100 errors counted already and makes no more",
            "errors",
            (_errors(values([("_", CALM), (100, ALL - CALM)]), "new"), quiet),
        ),
        (
            "short errors",
            "errors at 1/s for three minutes",
            "errors",
            (_errors(counted(_during(1.0, lasts=12))), quiet),
        ),
        (
            "gateway down for 45 s",
            "three scrapes of the gateway fail",
            "gateway",
            _gateway([(1, CALM), (0, 3), (1, ALL - CALM - 3)]),
        ),
        (
            "gateway down",
            "the gateway's scrapes fail for twelve minutes",
            "gateway",
            _gateway([(1, CALM), (0, LASTS), (1, AFTER)]),
        ),
        (
            "gateway flapping",
            "the gateway is down for 45 s of every minute",
            "gateway",
            _gateway(_flap(0, 1, 3, 1)),
        ),
        (
            "gateway vanished",
            "the gateway's target disappears from discovery",
            "gateway",
            _gateway([(1, CALM), ("stale", 1), ("_", LASTS - 1), (1, AFTER)]),
        ),
        (
            "another target down",
            "the scrapes of Redis fail, the gateway is well",
            "targets",
            (
                _up("postgres", "postgres-exporter:9187"),
                _up("redis", "redis-exporter:9121", (1, CALM), (0, LASTS), (1, AFTER)),
                _up("docker", "cadvisor:8080"),
            ),
        ),
        ("all requests slow", "every request takes 60 s", "latency", _slow(59, 1.0)),
        ("a few requests slow", "4 % of the requests take 60 s", "latency", _slow(59, 0.04)),
        ("some requests slow", "6 % of the requests take 60 s", "latency", _slow(59, 0.06)),
        (
            "one agent of two slow",
            "one agent is fast at 10 requests/s, one takes 60 s at 1 request/s: 9 % of all are slow",
            "latency",
            (*durations([(0.4, [(10.0, ALL)])]), *durations([(59, _during(1.0))], agent="slow")),
        ),
        (
            "one rare slow agent",
            "one agent with a request in two minutes takes 29 s, 99.9 % of the requests are fast",
            "latency",
            (*durations([(0.4, [(10.0, ALL)])]), *durations([(29, _during(0.0084))], agent="rare")),
        ),
        (
            "slow beyond the client's own buckets",
            "every request takes 60 s and the histogram ends at 10 s",
            "latency",
            durations([(0.4, _during(0.0, calm=10.0)), (59, _during(10.0))], bounds=_BOUNDS[:6]),
        ),
        (
            "memory full of page cache",
            "usage is 95 % of the limit, the working set 50 %",
            "memory",
            _memory(_steady(0.5 * _LIMIT), usage=_steady(0.95 * _LIMIT)),
        ),
        (
            "another container at its limit",
            "another container uses 97 % of its limit, the gateway 40 %",
            "memory",
            (
                *_memory(_steady(0.4 * _LIMIT)),
                *_memory(
                    values(_during(0.97 * _LIMIT, calm=0.4 * _LIMIT)),
                    labels=_CONTAINER.replace("osmen-gateway", "osmen-worker"),
                ),
            ),
        ),
        (
            "container without a limit",
            "no memory limit is set: the limit reads 0",
            "memory",
            _memory(_steady(0.4 * _LIMIT), limit=0),
        ),
        (
            "memory leak",
            "the working set grows from 40 % to 98 % of the limit",
            "memory",
            _memory(
                values(
                    [
                        (0.4 * _LIMIT, CALM),
                        *((0.4 * _LIMIT + step * 1.2e7, 1) for step in range(1, LASTS + 1)),
                        (0.4 * _LIMIT, AFTER),
                    ]
                )
            ),
        ),
        (
            "connections over three states",
            "97 of 100 connections, split by the exporter over three states",
            "database",
            connections([(30, CALM), (97, LASTS), (30, AFTER)]),
        ),
        (
            "many connections of many more",
            "91 of 500 connections, all in one state",
            "database",
            connections([(30, CALM), (91, LASTS), (30, AFTER)], limit=500, states=(("active", 1.0),)),
        ),
        (
            "exhausted pool",
            "the pool is full and the exporter itself is locked out: only pg_up says so",
            "database",
            _locked_out(),
        ),
        (
            "short rush of connections",
            "97 of 100 connections for three minutes",
            "database",
            connections([(30, CALM), (97, 12), (30, ALL - CALM - 12)]),
        ),
    ]
    return tuple(Incident(name=name, words=words, bends=bends, series=series) for name, words, bends, series in rows)


def _gateway(stretches: Sequence[Stretch]) -> tuple[Series, ...]:
    return (_up("osmen_gateway", "gateway:8080", *stretches),)
