"""What the contract promises about traces, and that no mistake in its document passes silently."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import SHIPPED, load
from conformance.contract.model import Level, Signal, Transport
from conformance.contract.parse import ContractError
from fixtures.spans.send import PROTOCOLS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_documented_ports_are_promised() -> None:
    """
    Every port that the guide publishes is a MUST, with what is spoken there.
    """
    traces = load(None).traces
    udp = {each.port for each in traces.ports if each.transport is Transport.UDP}

    assert {5775, 6831, 6832, 5778, 16686, 14268, 14250, 9411} == {each.port for each in traces.ports}
    assert udp == {5775, 6831, 6832}
    assert {each.level for each in traces.ports} == {Level.MUST}


def test_each_port_that_takes_spans_can_be_sent_one() -> None:
    """
    All but the two that only answer have a protocol of ours.
    """
    assert {each.port for each in load(None).traces.ports} - set(PROTOCOLS) == {5778, 16686}


def test_the_span_of_an_execution_is_promised() -> None:
    """
    Its name, service and attribute are those of the guide; the ledger's calls are those that the gateway makes.
    """
    contract = load(None)
    span = contract.span("execute_agent")

    assert (span.service, span.attributes) == ("osmen-gateway", ("agent.name",))
    assert [each.database for each in contract.traces.ledger.calls] == [None, "postgresql", "redis"]


def test_the_clauses_are_those_that_are_judged() -> None:
    """
    One for the span, one for the ledger, one for each port, all of them of the signal traces.
    """
    clauses = load(None).traces.clauses()

    assert [each.id for each in clauses[:2]] == ["trace/execute_agent", "trace/ledger"]
    assert {each.signal for each in clauses} == {Signal.TRACES}
    assert len(clauses) == 10


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("port: 6832", "port: 6831", "ports[2].port: '6831' stands twice, first on line"),
        ("port: 9411", "port: 94110", "ports[7].port: 94110 is not a port (1 to 65535)"),
        ("transport: udp", "transport: upd", "ports[0].transport: 'upd'"),
        ("attributes: [agent.name]", "attributes: agent.name", "spans[0].attributes"),
        ("name: PostgreSQL", "name: Redis", "'Redis' stands twice"),
        ("database: redis", "databse: redis", "databse"),
        ("  calls:", "  call:", "call"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    """
    The message names the entry and what is wrong with it.
    """
    folder = shutil.copytree(SHIPPED, tmp_path / "documents")
    file = folder / "traces.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert "traces.yaml" in str(caught.value)
    assert says in str(caught.value)
