"""What is evaluated beside the documented alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import recorded, shipped
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

pytestmark = pytest.mark.program(STEADY)
RECORDED = {
    "osmen:requests:rate5m": "record/osmen-requests-rate5m",
    "osmen:errors:rate5m": "record/osmen-errors-rate5m",
    "osmen:errors:ratio5m": "record/osmen-errors-ratio5m",
    "osmen:request_duration_seconds:p95_5m": "record/osmen-request-duration-seconds-p95-5m",
}


@pytest.mark.covers("alert/undocumented")
def test_no_other_alert_ships_and_every_rule_is_evaluated(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Who is paged finds the alert in the guide, and no rule is in the files that Prometheus does not evaluate.
    """
    prove(shipped.undocumented(contract.alerts, timelines["steady"]))


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=clause, marks=pytest.mark.covers(clause)) for name, clause in RECORDED.items()]
)
def test_what_rules_record_is_what_clients_saw(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    At every evaluation the figure of its window, while failures and slow answers come and go.
    """
    prove(recorded.agrees(contract.recorded(name), contract, timelines["steady"]))
