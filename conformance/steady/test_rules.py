"""What is evaluated beside the documented alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import shipped
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

pytestmark = pytest.mark.program(STEADY)


@pytest.mark.covers("alert/undocumented")
def test_no_other_alert_ships_and_every_rule_is_evaluated(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Who is paged finds the alert in the guide, and no rule is in the files that Prometheus does not evaluate.
    """
    prove(shipped.undocumented(contract.alerts, timelines["steady"]))
