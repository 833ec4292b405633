"""
No connection left in PostgreSQL, not even a reserved one, while its exporter has to connect anew: it is locked out.

An exporter that kept its connection goes on counting. One that lost it answers its scrapes, says `pg_up 0`, and has no
count that could pass a threshold; it waits for a real second before it says so, at every tempo, so it is scraped less
often here than elsewhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import alerts, alone, delivery, states
from fixtures.faults.ballast import Exhausted
from fixtures.faults.program import GATEWAY_BESIDE, Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import AlertPromise, Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

JOB = "osmen_postgres"
CONNECTIONS = 30
"""All of them; three are reserved for superusers. The rule counts a share, and each is a process of its own."""

LOCKED = Program(
    name="database-locked",
    phases=(
        Phase(name="quiet", load=IDLE, lasts=timedelta(minutes=2, seconds=45)),
        Phase(name="locked", load=IDLE, lasts=timedelta(minutes=11, seconds=30), faults=(Exhausted(),)),
        Phase(name="recovery", load=IDLE, lasts=timedelta(minutes=6)),
    ),
    jobs=frozenset({"osmen_gateway", JOB}),
    needs=frozenset({"postgres", "postgres_exporter", "ballast"}),
    owns=frozenset({"postgres", "postgres_exporter", "ballast"}),
    max_connections=CONNECTIONS,
    rungs={"locked": CONNECTIONS},
    quantity="connections",
    slower={**GATEWAY_BESIDE, JOB: 90.0},
)

pytestmark = pytest.mark.program(LOCKED)

ASPECTS = ("fires-above", "for", "resolves", "delivered", "alone")


@pytest.mark.parametrize(
    "aspect",
    [
        pytest.param(
            each,
            id=f"alert/DatabasePoolExhausted/{each}",
            marks=pytest.mark.covers(f"alert/DatabasePoolExhausted/{each}"),
        )
        for each in ASPECTS
    ],
)
def test_an_exporter_that_is_locked_out_is_told_of(
    aspect: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The alert fires though its exporter counts nothing, pages with 0.00, and ends when the exporter sees again.
    """
    judges: dict[str, Callable[[AlertPromise, Timeline], Verdict]] = {
        "fires-above": lambda alert, seen: alerts.fires_above(alert, seen, rung="locked"),
        "for": alerts.waits,
        "resolves": lambda alert, seen: alerts.resolves(alert, seen, rung="locked"),
        "delivered": lambda alert, seen: delivery.delivered(
            alert, contract.receiver(alert.receiver), contract.timing, seen
        ),
        "alone": lambda alert, seen: alone.alone(alert, (seen,), {}),
    }
    alert, seen = contract.alert("DatabasePoolExhausted"), timelines[LOCKED.name]
    prove(states.when_blind(alert, seen, job=JOB, rung="locked", aspect=aspect, judge=judges[aspect]))
