"""Under plain load every documented metric is there, is what it claims to be, and says what the clients saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import figures, metrics
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

OF_THE_GATEWAY = (
    "osmen_requests_total",
    "osmen_requests_per_second",
    "osmen_request_duration_seconds",
    "osmen_errors_total",
    "osmen_error_rate",
    "osmen_agent_executions_total",
    "osmen_agent_duration_seconds",
    "osmen_active_users",
    "osmen_tokens_used_total",
    "osmen_llm_cost_dollars",
)
OF_ITS_CONTAINER = (
    "container_cpu_usage_seconds_total",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_fs_usage_bytes",
    "container_fs_writes_total",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
)
pytestmark = pytest.mark.program(STEADY)


def _each(names: tuple[str, ...], aspect: str = "") -> pytest.MarkDecorator:
    clauses = {name: f"metric/{name}{aspect}" for name in names}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, id=clause, marks=pytest.mark.covers(clause)) for name, clause in clauses.items()]
    )


@_each((*OF_THE_GATEWAY, *OF_ITS_CONTAINER))
def test_every_documented_metric_is_exposed_and_scraped(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The page has it under its name with its labels and bounded values, and Prometheus has the same.
    """
    prove(metrics.exposed(contract.metric(name), contract.metrics, timelines["steady"]))


@_each((*OF_THE_GATEWAY, *OF_ITS_CONTAINER), "/type")
def test_every_documented_metric_has_its_type(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    A counter is a counter for every scraper, and a histogram one that quantiles can be taken of.
    """
    prove(metrics.typed(contract.metric(name), timelines["steady"]))


@_each(OF_THE_GATEWAY, "/ledger")
def test_every_metric_of_the_service_says_what_clients_saw(
    name: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Counters equal the ledger, tokens and cost what the model server counted, gauges and durations lie in their bounds.
    """
    prove(figures.agrees(contract.metric(name), contract.metrics, timelines["steady"]))


@pytest.mark.covers("metric/undocumented")
def test_nothing_else_is_exposed_under_the_prefix(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Whatever is exposed under the service's prefix is documented.
    """
    prove(metrics.undocumented(contract.metrics, timelines["steady"]))
