"""
Each dependency of the gateway is taken away in turn, under load, and given back; the gateway is never restarted.

First it hangs, then it is stopped: what accepts and never answers is found by a time-out, what refuses by an error, and
a gateway may be right about the one alone. At last those that speak HTTP answer with an error, all at once: a gateway
may take any answer for a good one, or name the first that it finds and no other. A constant "healthy" would otherwise
pass. Lengths are the document's time, but what is tested has timers in real time: a probe waits for a second, so at a
tempo of 60 a dependency hangs for a second and a half, and a second after it is back whatever had hung on it must have
been given up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import figures, health, targets
from conformance.judge.health import Absence, Manner
from fixtures.faults.dependencies import Erring, Paused, Stopped
from fixtures.faults.program import Phase, Program
from fixtures.load.profile import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

LOAD = Steady(rps=1 / 12)
"""Five requests a minute; at tempo 60 five a second."""

DEPENDENCIES = ("postgres", "redis", "qdrant", "langflow", "n8n")

NEIGHBOURS = ("qdrant", "langflow", "n8n")

AWAY = {
    f"{name} {manner}": (Absence(name=name, manner=manner),)
    for name in DEPENDENCIES
    for manner in (Manner.HANGS, Manner.STOPPED)
} | {"neighbours err": tuple(Absence(name=name, manner=Manner.ERRS) for name in NEIGHBOURS)}
"""By phase: the dependencies that are away during it, and how."""

HANGS, STOPPED, ERRS = timedelta(seconds=90), timedelta(seconds=45), timedelta(seconds=45)

TAKEN = Program(
    name="dependencies",
    phases=(
        Phase(name="whole", load=LOAD, lasts=timedelta(seconds=90)),
        *(
            phase
            for name in DEPENDENCIES
            for phase in (
                Phase(name=f"{name} hangs", load=LOAD, lasts=HANGS, faults=(Paused(component=name),)),
                Phase(name=f"{name} stopped", load=LOAD, lasts=STOPPED, faults=(Stopped(component=name),)),
                Phase(name=f"{name} back", load=LOAD, lasts=timedelta(seconds=102)),
            )
        ),
        Phase(name="neighbours err", load=LOAD, lasts=ERRS, faults=(Erring(components=NEIGHBOURS),)),
        Phase(name="neighbours back", load=LOAD, lasts=timedelta(seconds=75)),
    ),
    needs=frozenset({"upstream", *DEPENDENCIES}),
    owns=frozenset(DEPENDENCIES),
    # Shorter than the documented wait of a probe, so that what hung on the database is over when it is.
    gateway={"DATABASE_TIMEOUT": "0.5"},
    signals=frozenset({"health", "metrics"}),
)

PROBES = ("live", "ready")

COUNTERS = ("osmen_requests_total", "osmen_errors_total", "osmen_agent_executions_total")

pytestmark = pytest.mark.program(TAKEN)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=f"health/{name}", marks=pytest.mark.covers(f"health/{name}")) for name in DEPENDENCIES],
)
def test_health_names_the_dependency_that_is_away(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The dependency is called unhealthy while it hangs or refuses, and healthy while it answers, within a second.
    """
    prove(health.service(name, contract.health, timelines["dependencies"], away=AWAY))


@pytest.mark.covers("health/status")
def test_code_and_body_agree(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Status code, status and services say the same in every answer, in every spelling of the path.
    """
    prove(health.status(contract.health, timelines["dependencies"], away=AWAY))


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=f"probe/{name}", marks=pytest.mark.covers(f"probe/{name}")) for name in PROBES]
)
def test_a_probe_fails_with_what_it_needs_alone(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The probe fails exactly while something that it needs is away; the one that needs nothing never does.
    """
    prove(health.probe(contract.probe(name), contract.health, timelines["dependencies"], away=AWAY))


@pytest.mark.covers("probe/live/restart")
def test_an_orchestrator_would_not_restart_a_sound_gateway(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Played over the answers in every phase, the liveness probe restarts nothing; it would, had the gateway hung.
    """
    prove(health.restarted(contract.probe("live"), timelines["dependencies"], away=AWAY))


@pytest.mark.covers("probe/ready/rotation")
def test_an_orchestrator_would_route_to_a_ready_gateway_alone(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Played over the answers in every phase, the readiness probe takes the gateway out of rotation and back, in time.
    """
    prove(health.routed(contract.probe("ready"), timelines["dependencies"], away=AWAY))


@pytest.mark.covers("uptime/external")
def test_an_outside_prober_sees_what_the_service_says(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The blackbox exporter finds the gateway up and down when it says so itself.
    """
    prove(health.uptime(contract.health, timelines["dependencies"], away=AWAY))


@pytest.mark.covers("target/osmen_gateway")
def test_the_gateway_tells_its_metrics_whatever_is_away(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Who is paged for a gateway that is down finds one that is down, and not a database.
    """
    prove(targets.up(contract.target("osmen_gateway"), contract.timing, timelines["dependencies"]))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=f"metric/{name}/ledger", marks=pytest.mark.covers(f"metric/{name}/ledger"))
        for name in COUNTERS
    ],
)
def test_what_a_dependency_makes_fail_is_counted(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Requests that fail because the database is away count as errors, as do those that the model server fails.
    """
    prove(figures.agrees(contract.metric(name), contract.metrics, timelines["dependencies"], quiet=True))
