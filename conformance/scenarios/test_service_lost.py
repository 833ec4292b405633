"""
The gateway flaps, away for three quarters of each minute; then Prometheus discovers it no more, and finds it again.

No outage of the flapping lasts for the alert's minute, so it is silent by its document. A target that vanished has no
`up` that could be 0: its absence counts, from when its last samples are stale.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import alerts, alone, delivery, states
from fixtures.faults.gateway import Hanging, Undiscovered
from fixtures.faults.program import Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

JOB = "osmen_gateway"
FLAPS = tuple(f"away {number}" for number in range(1, 4))

LOST = Program(
    name="service-lost",
    phases=(
        Phase(name="up", load=IDLE, lasts=timedelta(seconds=60)),
        *(
            phase
            for name in FLAPS
            for phase in (
                Phase(name=name, load=IDLE, lasts=timedelta(seconds=45), faults=(Hanging(),)),
                Phase(name=name.replace("away", "back"), load=IDLE, lasts=timedelta(seconds=15)),
            )
        ),
        Phase(name="well", load=IDLE, lasts=timedelta(seconds=150)),
        Phase(name="long", load=IDLE, lasts=timedelta(minutes=6), faults=(Undiscovered(job=JOB),)),
        Phase(name="recovery", load=IDLE, lasts=timedelta(minutes=4)),
    ),
    needs=frozenset(),
    takes_down=frozenset({JOB}),
    discovered=frozenset({JOB}),
)

pytestmark = pytest.mark.program(LOST)

SILENT = "alert/ServiceDown/silent-below"


@pytest.mark.covers(SILENT)
def test_a_gateway_that_flaps_is_not_told_of(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Away for 45 s of each minute: no outage lasts for the documented minute.
    """
    alert, seen = contract.alert("ServiceDown"), timelines[LOST.name]
    prove(states.silent_when_flapping(alert, seen, job=JOB, rungs=FLAPS))


VANISHED = ("fires-above", "for", "resolves", "delivered", "alone")


@pytest.mark.parametrize(
    "aspect",
    [
        pytest.param(each, id=f"alert/ServiceDown/{each}", marks=pytest.mark.covers(f"alert/ServiceDown/{each}"))
        for each in VANISHED
    ],
)
def test_a_gateway_that_vanished_is_down(
    aspect: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    A target that is discovered no more pages as one that does not answer: after its `for`, delivered, and back.
    """
    alert, seen = contract.alert("ServiceDown"), timelines[LOST.name]
    judges = {
        "fires-above": lambda: states.fires_when_vanished(alert, seen, rung="long"),
        "for": lambda: alerts.waits(alert, seen),
        "resolves": lambda: alerts.resolves(alert, seen, rung="long"),
        "delivered": lambda: delivery.delivered(alert, contract.receiver(alert.receiver), contract.timing, seen),
        "alone": lambda: alone.alone(alert, (seen,), {}),
    }
    prove(judges[aspect]())
