"""Under plain load each request is found again as a trace, and every documented port of the tracing backend works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import traces
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

PORTS = (5775, 6831, 6832, 14268, 14250, 9411, 5778, 16686)

pytestmark = pytest.mark.program(STEADY)


@pytest.mark.covers("trace/execute_agent")
def test_each_execution_is_one_span(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Its name, service, agent and length are those of the execution, and no text of a user stands in it.
    """
    prove(traces.execute_agent(contract.span("execute_agent"), timelines["steady"]))


@pytest.mark.covers("trace/ledger")
def test_each_request_of_the_clients_has_its_trace(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    It is found once and in time, below the span of a client that has one, with the outcome and every call.
    """
    prove(traces.ledger(contract.traces, timelines["steady"]))


@pytest.mark.parametrize(
    "port",
    [pytest.param(port, id=f"trace/port/{port}", marks=pytest.mark.covers(f"trace/port/{port}")) for port in PORTS],
)
def test_a_documented_port_of_the_tracing_backend_works(
    port: int, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    A span sent in the port's own protocol is found again; the two ports that take none answer.
    """
    prove(traces.port(contract.trace_port(port), timelines["steady"]))
