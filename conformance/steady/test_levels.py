"""Gateways that differ in nothing but their log levels write what those say, and do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import levels
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

VARIABLES = ("LOG_LEVEL", "GATEWAY_LOG_LEVEL", "AGENT_LOG_LEVEL")

pytestmark = pytest.mark.program(STEADY)


@pytest.mark.parametrize(
    "variable",
    [pytest.param(name, id=f"log/level/{name}", marks=pytest.mark.covers(f"log/level/{name}")) for name in VARIABLES],
)
def test_a_level_decides_what_is_logged_and_nothing_else(
    variable: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    At each of five levels the variable's services log from it on; answers and counts are the same; nonsense is refused.
    """
    prove(levels.obeyed(contract.log_level(variable), contract.logs, timelines["steady"]))
