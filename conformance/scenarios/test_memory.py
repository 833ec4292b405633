"""
Memory really held in the gateway's control group: a tenth short of the documented share of its limit, and beyond it.

What holds it shares the group with the gateway and counts what is there already. Above, half of the rest is free, so
that the kernel has no reason to kill. cAdvisor looks as often as it is scraped, which adds an interval to the reach.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge.ladder import ASPECTS, Ladder, judged
from fixtures.faults.ballast import Memory
from fixtures.faults.program import GATEWAY_BESIDE, Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

BELOW, ABOVE = 0.81, 0.95
"""Of the limit; the guide's threshold is 0.9."""

MEMORY = Program(
    name="memory",
    phases=(
        Phase(name="quiet", load=IDLE, lasts=timedelta(minutes=1)),
        Phase(name="below", load=IDLE, lasts=timedelta(minutes=7), faults=(Memory(share=BELOW),)),
        Phase(name="above", load=IDLE, lasts=timedelta(minutes=9, seconds=30), faults=(Memory(share=ABOVE),)),
        Phase(name="recovery", load=IDLE, lasts=timedelta(minutes=4)),
    ),
    jobs=frozenset({"osmen_gateway", "docker"}),
    needs=frozenset({"cadvisor", "ballast"}),
    owns=frozenset({"ballast"}),
    rungs={"below": BELOW, "above": ABOVE},
    quantity="ratio",
    slower=GATEWAY_BESIDE,
)

LADDER = Ladder(
    alert="HighMemoryUsage",
    below=MEMORY.name,
    rung="below",
    control="above",
    above=MEMORY.name,
    beyond="above",
)

pytestmark = [pytest.mark.program(MEMORY), pytest.mark.ladder(LADDER)]


@pytest.mark.parametrize(
    "aspect",
    [pytest.param(each, id=LADDER.clause(each), marks=pytest.mark.covers(LADDER.clause(each))) for each in ASPECTS],
)
def test_the_alert_is_as_documented(
    aspect: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Silent a tenth short of the limit's documented share, firing halfway to the limit, delivered, and back.
    """
    prove(judged(LADDER, aspect, contract, timelines))
