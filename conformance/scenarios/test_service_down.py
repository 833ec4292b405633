"""
The gateway hangs for less than a minute, and is back; later it is killed for longer, and started again.

A state has no threshold but a duration: 43 seconds are a scrape and more short of the minute, five minutes are well
beyond it and beyond Alertmanager's timers, which have a floor of a real second each. Nobody sends a request meanwhile,
so that slow answers page for nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge.ladder import ASPECTS, Ladder, judged
from fixtures.faults.gateway import Hanging, Killed
from fixtures.faults.program import Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

DOWN = Program(
    name="service-down",
    phases=(
        # Long, so that the gateway starts again when no other cell is measuring latencies.
        Phase(name="up", load=IDLE, lasts=timedelta(minutes=8)),
        # As long as it may be: a hang shows only from the first time-out of a scrape, and to some evaluation it must.
        Phase(name="short", load=IDLE, lasts=timedelta(seconds=43), faults=(Hanging(),)),
        Phase(name="back", load=IDLE, lasts=timedelta(minutes=2)),
        Phase(name="long", load=IDLE, lasts=timedelta(minutes=6), faults=(Killed(),)),
        Phase(name="recovery", load=IDLE, lasts=timedelta(minutes=5)),
    ),
    needs=frozenset(),
    takes_down=frozenset({"osmen_gateway"}),
)

LADDER = Ladder(
    alert="ServiceDown",
    below=DOWN.name,
    rung="short",
    control="long",
    above=DOWN.name,
    beyond="long",
)

pytestmark = [pytest.mark.program(DOWN), pytest.mark.ladder(LADDER)]


@pytest.mark.parametrize(
    "aspect",
    [pytest.param(each, id=LADDER.clause(each), marks=pytest.mark.covers(LADDER.clause(each))) for each in ASPECTS],
)
def test_the_alert_is_as_documented(
    aspect: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Silent when the gateway is gone for less than a minute, firing when it stays away, delivered, and back.
    """
    prove(judged(LADDER, aspect, contract, timelines))
