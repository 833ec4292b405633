"""What was measured live is what simulation says: the rungs of every alert, over again on a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import tiers
from conformance.scenarios import (
    test_database_pool,
    test_error_rate,
    test_memory,
    test_response_time,
    test_service_down,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

SCENARIOS = (test_error_rate, test_response_time, test_service_down, test_memory, test_database_pool)
LADDERS = tuple(scenario.LADDER for scenario in SCENARIOS)

pytestmark = [
    *(mark for scenario in SCENARIOS for mark in scenario.pytestmark if mark.name == "program"),
    *(pytest.mark.ladder(ladder) for ladder in LADDERS),
]


@pytest.mark.covers("tiers/agree")
def test_simulation_and_the_live_stack_agree(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Promtool, given the unmodified rules and the samples that were scraped, sees every alert change as the stack did.
    """
    prove(tiers.agree(LADDERS, contract, timelines))
