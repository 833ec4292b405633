"""The reference gateway, sound and bent, traced by the real library, read by the real observer, judged as in a run."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer

from conformance.judge.verdict import Status
from conformance.selftest.test_gateway import Fake, gateway
from conformance.selftest.test_judge_traces import (
    LEDGER,
    OWN,
    RUN,
    SPAN,
    Jaeger,
    judged,
    observed,
    own_trace,
)
from conformance.timeline.traces import Trace, TracedEvent, TracedSpan
from fixtures.core import clock
from fixtures.gateway import execution
from fixtures.gateway.world import ModelFailed
from fixtures.load.ledger import Ledger, Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from conformance.judge.verdict import Verdict

    Bend = Callable[[pytest.MonkeyPatch], None]

ROUNDS = 3
AGENTS = ("daily_brief", "focus_guardrails")
begin = Tracer.start_as_current_span


async def run(tmp_path: Path, **settings: Any) -> tuple[Ledger, list[ReadableSpan]]:  # noqa: ANN401  settings of any type
    """
    What clients saw of a few executions, every third of which failed, and every span that was sent.
    """
    requests = []
    fake = Fake(takes=0.01)
    async with gateway(tmp_path, fake, **settings) as running:
        for number in range(ROUNDS * len(AGENTS)):
            agent = AGENTS[number % len(AGENTS)]
            fake.model_fails = ModelFailed("the model server answered 500") if number % 3 == 2 else None
            trace_id, span_id, request_id = os.urandom(16).hex(), os.urandom(8).hex(), f"req_{number}"
            sent = clock.now()
            answer = await running.execute(
                agent,
                {"input": f"request {number} of {RUN.cell}", "user_id": "user1"},
                **{"x-request-id": request_id, "traceparent": f"00-{trace_id}-{span_id}-01"},
            )
            requests.append(
                Request(
                    due=sent,
                    sent=sent,
                    finished=clock.now(),
                    phase="calm",
                    agent=agent,
                    user="user1",
                    outcome=Outcome.SUCCESS if answer.is_success else Outcome.ERROR,
                    status=answer.status_code,
                    request_id=request_id,
                    trace_id=trace_id,
                    span_id=span_id,
                    reported_ms=answer.json().get("execution_time_ms"),
                )
            )
    return Ledger(requests=tuple(requests)), list(running.exporter.get_finished_spans())


def traces(spans: Iterable[ReadableSpan]) -> list[Trace]:
    """
    The spans as Jaeger files what comes by OTLP.
    """
    found: dict[str, list[TracedSpan]] = {}
    for span in spans:
        context = span.get_span_context()
        assert context is not None
        assert span.start_time is not None
        assert span.end_time is not None
        attributes = {name: str(value) for name, value in (span.attributes or {}).items()}
        attributes["span.kind"] = span.kind.name.lower()
        if span.status.status_code.name != "UNSET":
            attributes["otel.status_code"] = span.status.status_code.name
        found.setdefault(f"{context.trace_id:032x}", []).append(
            TracedSpan(
                span_id=f"{context.span_id:016x}",
                parent_id=f"{span.parent.span_id:016x}" if span.parent is not None else "",
                name=span.name,
                service=str(span.resource.attributes.get("service.name", "")),
                start=span.start_time / 1e9,
                seconds=(span.end_time - span.start_time) / 1e9,
                attributes=attributes,
                events=tuple(
                    TracedEvent(name=each.name, attributes={k: str(v) for k, v in (each.attributes or {}).items()})
                    for each in span.events
                ),
            )
        )
    return [Trace(trace_id=trace_id, spans=tuple(each)) for trace_id, each in found.items()]


async def verdicts(tmp_path: Path, **settings: Any) -> dict[str, Verdict]:  # noqa: ANN401  settings of any type
    ledger, spans = await run(tmp_path, **settings)
    jaeger = Jaeger([*traces(spans), *(own_trace(each) for each in OWN)])
    seen = replace(RUN, ledger=ledger, tempo=1.0)
    return judged(observed(jaeger, of=seen))


def called(change: Callable[[str, dict[str, Any]], str]) -> Bend:
    """
    Each span begun under the name that `change` gives it, with the arguments that `change` leaves.
    """

    def start(tracer: Tracer, name: str, **arguments: Any) -> Any:  # noqa: ANN401  a context manager of the library's
        return begin(tracer, change(name, arguments), **arguments)

    return lambda patch: patch.setattr(Tracer, "start_as_current_span", start)


def renamed(name: str, _: dict[str, Any]) -> str:
    return "executeAgent" if name == "execute_agent" else name


def constant(name: str, arguments: dict[str, Any]) -> str:
    if name == "execute_agent":
        arguments["attributes"] = {**arguments["attributes"], "agent.name": "daily_brief"}
    return name


def nameless(name: str, arguments: dict[str, Any]) -> str:
    if name == "execute_agent":
        arguments["attributes"] = {key: value for key, value in arguments["attributes"].items() if key != "agent.name"}
    return name


def orphaned(name: str, arguments: dict[str, Any]) -> str:
    if name == "postgres.store":
        arguments["context"] = Context()
    return name


def untimed(name: str, arguments: dict[str, Any]) -> str:
    if name == "execute_agent":
        arguments["start_time"] = 1
    return name


def ignoring(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(execution, "caller", lambda _: Context())


def muted(method: str) -> Bend:
    return lambda patch: patch.setattr(Span, method, lambda *_, **__: None)


def telling(patch: pytest.MonkeyPatch) -> None:
    asked = execution.Executor._ask

    async def ask(executor: execution.Executor, run: Any) -> None:  # noqa: ANN401  private to the gateway
        run.span.set_attribute("agent.input", run.text)
        await asked(executor, run)

    patch.setattr(execution.Executor, "_ask", ask)


@pytest.mark.asyncio
async def test_the_gateway_as_it_is_keeps_every_promise(tmp_path: Path) -> None:
    """
    Each execution is found again, as its client saw it.
    """
    found = await verdicts(tmp_path)

    assert {clause: each.status for clause, each in found.items()} == dict.fromkeys(found, Status.HOLDS)
    assert found[LEDGER].observations == ROUNDS * len(AGENTS)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("bend", "clause", "words"),
    [
        pytest.param(called(renamed), SPAN, "no span is called execute_agent", id="span renamed"),
        pytest.param(called(constant), SPAN, "the span names another agent (3 of 6)", id="agent constant"),
        pytest.param(called(nameless), SPAN, "the span has no agent.name", id="agent missing"),
        pytest.param(called(untimed), SPAN, "the span lies outside what its client saw", id="begun in 1970"),
        pytest.param(telling, SPAN, "the trace holds what the user wrote", id="user text"),
        pytest.param(called(orphaned), LEDGER, "no call of PostgreSQL", id="child in a trace of its own"),
        pytest.param(ignoring, LEDGER, "the trace is under another id than the client's", id="traceparent ignored"),
        pytest.param(muted("record_exception"), LEDGER, "a failure has no exception (2 of 6)", id="no exception"),
        pytest.param(muted("set_status"), LEDGER, "a failure has no error status (2 of 6)", id="no error status"),
    ],
)
async def test_a_bent_gateway_breaks_exactly_its_clause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bend: Bend, clause: str, words: str
) -> None:
    """
    What is bent in the service itself is caught by the right clause, and by no other.
    """
    bend(monkeypatch)
    found = await verdicts(tmp_path)

    assert {name: each.status for name, each in found.items()} == {
        **dict.fromkeys(found, Status.HOLDS),
        clause: Status.BROKEN,
    }
    assert words in found[clause].reason


@pytest.mark.asyncio
async def test_a_gateway_of_another_service_name_is_found_out(tmp_path: Path) -> None:
    """
    Without the documented name nobody finds it in the list of services.
    """
    found = await verdicts(tmp_path, service_name="unknown_service")

    assert found[SPAN].status is Status.BROKEN
    assert "the span is not of service osmen-gateway" in found[SPAN].reason
    assert found[LEDGER].status is Status.HOLDS
