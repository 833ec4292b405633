"""Under plain load the signals tell one story of each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import agree
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

pytestmark = pytest.mark.program(STEADY)


@pytest.mark.covers("signals/agree")
def test_the_signals_tell_one_story(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Counter, log line, trace and client agree on each request, and each leads to the others.
    """
    prove(agree.agree(contract.metrics, timelines["steady"]))
