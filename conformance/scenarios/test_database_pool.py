"""
Sessions of a real PostgreSQL with a hundred connections: nine short of the documented ninety, and five beyond.

A bounded quantity has bounded rungs: a tenth below, and half of what is left above. The alert reads no window, so a
step reaches its measure with the next scrape; each rung then holds for as long as `for` and three evaluations.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge.ladder import ASPECTS, Ladder, judged
from fixtures.faults.ballast import Sessions
from fixtures.faults.program import GATEWAY_BESIDE, Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

BELOW, ABOVE = 81, 95
"""Of a hundred connections; the guide's threshold is ninety."""

POOL = Program(
    name="database-pool",
    phases=(
        Phase(name="quiet", load=IDLE, lasts=timedelta(seconds=30)),
        Phase(name="below", load=IDLE, lasts=timedelta(minutes=6, seconds=30), faults=(Sessions(total=BELOW),)),
        Phase(name="above", load=IDLE, lasts=timedelta(minutes=9), faults=(Sessions(total=ABOVE),)),
        Phase(name="recovery", load=IDLE, lasts=timedelta(minutes=4)),
    ),
    jobs=frozenset({"osmen_gateway", "osmen_postgres"}),
    needs=frozenset({"postgres", "postgres_exporter", "ballast"}),
    owns=frozenset({"postgres", "postgres_exporter", "ballast"}),
    rungs={"below": BELOW, "above": ABOVE},
    quantity="connections",
    slower=GATEWAY_BESIDE,
)

LADDER = Ladder(
    alert="DatabasePoolExhausted",
    below=POOL.name,
    rung="below",
    control="above",
    above=POOL.name,
    beyond="above",
)

pytestmark = [pytest.mark.program(POOL), pytest.mark.ladder(LADDER)]


@pytest.mark.parametrize(
    "aspect",
    [pytest.param(each, id=LADDER.clause(each), marks=pytest.mark.covers(LADDER.clause(each))) for each in ASPECTS],
)
def test_the_alert_is_as_documented(
    aspect: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Silent at nine sessions less than documented, firing at five more, after its `for`, delivered, and back.
    """
    prove(judged(LADDER, aspect, contract, timelines))
