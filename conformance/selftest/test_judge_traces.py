"""The judges of traces: a recorded run bent in one named way each, and a Jaeger that lies, lags or loses spans."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conformance.contract.load import load
from conformance.judge import traces as judges
from conformance.judge.verdict import Status
from conformance.observe import gather
from conformance.observe import traces as observing
from conformance.observe.client import Client, ObserveError
from conformance.observe.traces import SentSpan
from conformance.selftest.traces_recording import recorded
from conformance.timeline.model import Death
from conformance.timeline.traces import PortSeen, Trace, TracedEvent, TracedSpan, TracesSeen
from fixtures.load.ledger import Ledger, Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CONTRACT = load(None)
SPAN, LEDGER = "trace/execute_agent", "trace/ledger"
PORTS = tuple(f"trace/port/{each.port}" for each in CONTRACT.traces.ports)
ALL = (SPAN, LEDGER, *PORTS)
RUN = recorded()
REQUESTS = {each.trace_id: each for each in RUN.ledger.requests}


def judged(seen: Timeline) -> dict[str, Verdict]:
    """
    The verdict of each clause about traces.
    """
    verdicts = [
        judges.execute_agent(CONTRACT.span("execute_agent"), seen),
        judges.ledger(CONTRACT.traces, seen),
        *(judges.port(each, seen) for each in CONTRACT.traces.ports),
    ]
    return {each.clause: each for each in verdicts}


def statuses(seen: Timeline) -> dict[str, Status]:
    return {clause: verdict.status for clause, verdict in judged(seen).items()}


# --- bending


def traced(seen: Timeline) -> TracesSeen:
    assert seen.traces is not None
    return seen.traces


def bent(**changes: Any) -> Timeline:  # noqa: ANN401  the fields of TracesSeen
    return replace(RUN, traces=replace(traced(RUN), **changes))


def spans(change: Callable[[TracedSpan, Request], TracedSpan | None]) -> Timeline:
    """
    Each span as `change` makes it; None takes it away.
    """

    def changed(trace: Trace) -> Trace:
        made = (change(each, REQUESTS[trace.trace_id]) for each in trace.spans)
        return replace(trace, spans=tuple(each for each in made if each is not None))

    return bent(traces=tuple(changed(each) for each in traced(RUN).traces))


def is_entry(span: TracedSpan, request: Request) -> bool:
    return span.parent_id == request.span_id


def entries(change: Callable[[TracedSpan, Request], TracedSpan], outcome: Outcome | None = None) -> Timeline:
    """
    Only the entry of each trace changed, or only that of requests of one outcome.
    """
    return spans(
        lambda span, request: (
            change(span, request) if is_entry(span, request) and outcome in (None, request.outcome) else span
        )
    )


def attribute(span: TracedSpan, **values: str | None) -> TracedSpan:
    """
    `span` with attributes set, or taken away by None; a double underscore stands for the dot.
    """
    named = {name.replace("__", "."): value for name, value in values.items()}
    merged = {**span.attributes, **named}
    return replace(span, attributes={name: value for name, value in merged.items() if value is not None})


def without(name: str, value: str) -> Timeline:
    """
    No span whose attribute has that value.
    """
    return spans(lambda span, _: None if span.attributes.get(name) == value else span)


def first(change: Callable[[Trace], Trace | None]) -> Timeline:
    """
    Only one trace of all changed, or lost.
    """
    one, *rest = traced(RUN).traces
    made = change(one)
    return bent(traces=(*((made,) if made is not None else ()), *rest))


def doubled(trace: Trace) -> Trace:
    entry = next(each for each in trace.spans if is_entry(each, REQUESTS[trace.trace_id]))
    return replace(trace, spans=(*trace.spans, replace(entry, span_id="feedfeedfeedfeed")))


def elsewhere() -> Timeline:
    """
    The service begins a trace of its own for each request; the ids of the requests stand in it.
    """
    strays = tuple(replace(each, trace_id=each.trace_id[::-1]) for each in traced(RUN).traces)
    return bent(traces=(), strays=strays)


def ports(number: int, **changes: Any) -> Timeline:  # noqa: ANN401  the fields of PortSeen
    return bent(ports=tuple(replace(each, **changes) if each.port == number else each for each in traced(RUN).ports))


def request(change: Callable[[Request], Request]) -> Timeline:
    return replace(RUN, ledger=Ledger(requests=tuple(change(each) for each in RUN.ledger.requests)))


WRITTEN = f"request 17 of {RUN.cell}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviant:
    """
    Every clause that is not named must hold; the words must appear in what is said of those named.
    """

    name: str
    seen: Callable[[], Timeline]
    broken: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


DEVIANTS = (
    # --- the span
    Deviant(
        name="span renamed",
        seen=lambda: entries(lambda span, _: replace(span, name="execute_agents")),
        broken=(SPAN,),
        words=("no span is called execute_agent (200 of 200)", "is it meant by execute_agents?"),
    ),
    Deviant(
        name="span of failures renamed",
        seen=lambda: entries(lambda span, _: replace(span, name="agent_failed"), Outcome.ERROR),
        broken=(SPAN,),
        words=("no span is called execute_agent",),
    ),
    Deviant(
        name="agent.name missing",
        seen=lambda: entries(lambda span, _: attribute(span, agent__name=None, agent_name="daily_brief")),
        broken=(SPAN,),
        words=("the span has no agent.name", "is it meant by agent_name?"),
    ),
    Deviant(
        name="agent.name constant",
        seen=lambda: entries(lambda span, _: attribute(span, agent__name="daily_brief")),
        broken=(SPAN,),
        words=("the span names another agent",),
    ),
    Deviant(
        name="agent.name empty",
        seen=lambda: entries(lambda span, _: attribute(span, agent__name="")),
        broken=(SPAN,),
        words=("the span names another agent",),
    ),
    Deviant(
        name="service.name missing",
        seen=lambda: spans(lambda span, _: replace(span, service="unknown_service")),
        broken=(SPAN,),
        words=("expected  service.name osmen-gateway", "observed  unknown_service"),
    ),
    Deviant(
        name="duration scaled by the tempo",
        seen=lambda: entries(lambda span, _: replace(span, seconds=span.seconds * 60)),
        broken=(SPAN,),
        words=("the span lies outside what its client saw",),
    ),
    Deviant(
        name="one duration ten times too long",
        seen=lambda: first(
            lambda trace: replace(trace, spans=tuple(replace(each, seconds=each.seconds * 10) for each in trace.spans))
        ),
        broken=(SPAN,),
        words=("the span lies outside what its client saw (1 of 200)",),
    ),
    Deviant(
        name="duration in milliseconds",
        seen=lambda: spans(lambda span, _: replace(span, seconds=span.seconds / 1000)),
        broken=(SPAN,),
        words=("the spans are shorter than what clients saw",),
    ),
    Deviant(
        name="span ended halfway",
        seen=lambda: entries(lambda span, _: replace(span, seconds=span.seconds / 2)),
        broken=(SPAN,),
        words=("the spans are not as long as the answers told",),
    ),
    Deviant(
        name="span of failures ended at once",
        seen=lambda: entries(lambda span, _: replace(span, seconds=0.00001), Outcome.ERROR),
        broken=(SPAN,),
        words=("the spans are shorter than what clients saw",),
    ),
    Deviant(
        name="clock an hour off",
        seen=lambda: spans(lambda span, _: replace(span, start=span.start + 3600)),
        broken=(SPAN,),
        words=("the span lies outside what its client saw",),
    ),
    Deviant(
        name="span begun before the request was sent",
        seen=lambda: entries(lambda span, _: replace(span, start=span.start - 0.5)),
        broken=(SPAN,),
        words=("the span lies outside what its client saw",),
    ),
    Deviant(
        name="user text in an attribute",
        seen=lambda: entries(lambda span, _: attribute(span, agent__input=WRITTEN)),
        broken=(SPAN,),
        words=("the trace holds what the user wrote", "agent.input"),
    ),
    Deviant(
        name="user text in a child's event",
        seen=lambda: spans(
            lambda span, request: (
                span
                if is_entry(span, request)
                else replace(span, events=(TracedEvent(name="prompt", attributes={"text": f"say {WRITTEN}"}),))
            )
        ),
        broken=(SPAN,),
        words=("the trace holds what the user wrote", "prompt: text"),
    ),
    Deviant(
        name="user text in the name",
        seen=lambda: spans(
            lambda span, request: span if is_entry(span, request) else replace(span, name=f"ask {WRITTEN}")
        ),
        broken=(SPAN,),
        words=("the name of span",),
    ),
    # --- the ledger
    Deviant(
        name="one trace of all lost",
        seen=lambda: first(lambda _: None),
        broken=(LEDGER,),
        words=("there is no trace (1 of 200)",),
    ),
    Deviant(
        name="sampled: every second trace",
        seen=lambda: bent(traces=traced(RUN).traces[::2]),
        broken=(LEDGER,),
        words=("there is no trace (100 of 200)",),
    ),
    Deviant(
        name="no span sent",
        seen=lambda: bent(traces=(), services=("conformance-suite",)),
        broken=(SPAN, LEDGER),
        words=("no trace of any of 200 requests is there", "there is no trace (200 of 200)"),
    ),
    Deviant(
        name="the clients' traceparent ignored",
        seen=elsewhere,
        broken=(LEDGER,),
        words=("the trace is under another id than the client's (200 of 200)",),
    ),
    Deviant(
        name="parent not honoured",
        seen=lambda: entries(lambda span, _: replace(span, parent_id="")),
        broken=(LEDGER,),
        words=("the trace does not hang below the client's span", "has the parent none"),
    ),
    Deviant(
        name="another parent",
        seen=lambda: entries(lambda span, _: replace(span, parent_id="00000000000000aa")),
        broken=(LEDGER,),
        words=("has the parent 00000000000000aa",),
    ),
    Deviant(
        name="one execution twice",
        seen=lambda: first(doubled),
        broken=(LEDGER,),
        words=("the execution is there more than once (1 of 200)",),
    ),
    Deviant(
        name="each execution twice, the childless first",
        seen=lambda: bent(
            traces=tuple(
                replace(twin, spans=(*twin.spans[-1:], *twin.spans[:-1]))
                for twin in (doubled(each) for each in traced(RUN).traces)
            )
        ),
        broken=(LEDGER,),
        words=("trace/ledger: the execution is there more than once (200 of 200)\n",),
    ),
    Deviant(
        name="user text in the name of an event",
        seen=lambda: entries(lambda span, _: replace(span, events=(*span.events, TracedEvent(name=f"got {WRITTEN}")))),
        broken=(SPAN,),
        words=("the trace holds what the user wrote", "an event of span"),
    ),
    Deviant(
        name="every span sent twice",
        seen=lambda: bent(traces=tuple(replace(each, spans=each.spans * 2) for each in traced(RUN).traces)),
        broken=(LEDGER,),
        words=("the execution is there more than once (200 of 200)",),
    ),
    Deviant(
        name="one trace late",
        seen=lambda: first(lambda trace: replace(trace, absent_until=REQUESTS[trace.trace_id].finished + 6)),
        broken=(LEDGER,),
        words=("the trace came late (1 of 200)", "not yet there 6.0 s after the answer"),
    ),
    Deviant(
        name="failures without an error status",
        seen=lambda: entries(lambda span, _: attribute(span, error=None, otel__status_code=None)),
        broken=(LEDGER,),
        words=("a failure has no error status",),
    ),
    Deviant(
        name="failures with status ok",
        seen=lambda: entries(lambda span, _: attribute(span, error=None, otel__status_code="OK")),
        broken=(LEDGER,),
        words=("otel.status_code OK",),
    ),
    Deviant(
        name="failures without an exception",
        seen=lambda: entries(lambda span, _: replace(span, events=())),
        broken=(LEDGER,),
        words=("a failure has no exception",),
    ),
    Deviant(
        name="exceptions without a type",
        seen=lambda: entries(
            lambda span, _: replace(span, events=tuple(replace(each, attributes={}) for each in span.events))
        ),
        broken=(LEDGER,),
        words=("a failure has no exception", "exception.type"),
    ),
    Deviant(
        name="every execution marked as failed",
        seen=lambda: entries(lambda span, _: attribute(span, error="true", otel__status_code="ERROR")),
        broken=(LEDGER,),
        words=("a success is marked as a failure",),
    ),
    Deviant(
        name="an exception on a success",
        seen=lambda: entries(
            lambda span, _: replace(
                span, events=(TracedEvent(name="exception", attributes={"exception.type": "ValueError"}),)
            ),
            Outcome.SUCCESS,
        ),
        broken=(LEDGER,),
        words=("observed  exception ValueError",),
    ),
    Deviant(
        name="calls of the model server not traced",
        seen=lambda: spans(lambda span, _: None if span.name == "upstream.chat" else span),
        broken=(LEDGER,),
        words=("no call of the model server (200 of 200)",),
    ),
    Deviant(
        name="calls of PostgreSQL not traced",
        seen=lambda: without("db.system.name", "postgresql"),
        broken=(LEDGER,),
        words=("no call of PostgreSQL (200 of 200)", "db.system.name postgresql"),
    ),
    Deviant(
        name="calls of Redis not traced",
        seen=lambda: without("db.system.name", "redis"),
        broken=(LEDGER,),
        words=("no call of Redis (200 of 200)",),
    ),
    Deviant(
        name="calls beside the execution, not below it",
        seen=lambda: spans(
            lambda span, request: span if is_entry(span, request) else replace(span, parent_id=request.span_id)
        ),
        broken=(LEDGER,),
        words=("the execution is there more than once",),
    ),
    Deviant(
        name="calls that hang below nothing",
        seen=lambda: spans(
            lambda span, request: span if is_entry(span, request) else replace(span, parent_id="00000000000000bb")
        ),
        broken=(LEDGER,),
        words=("no call of the model server", "nothing below execute_agent"),
    ),
    Deviant(
        name="calls that are no client spans",
        seen=lambda: spans(
            lambda span, request: span if is_entry(span, request) else attribute(span, span__kind="internal")
        ),
        broken=(LEDGER,),
        words=("no call of PostgreSQL",),
    ),
    # --- the ports
    *(
        Deviant(
            name=f"port {each.port} not listening",
            seen=partial(ports, each.port, found=False, refused="nothing listens: Connection refused"),
            broken=(f"trace/port/{each.port}",),
            words=(f"port {each.port} does not take what it is given", "Connection refused"),
        )
        for each in CONTRACT.traces.ports
    ),
    *(
        Deviant(
            name=f"port {each.port} without an effect",
            seen=partial(ports, each.port, found=False, said="no trace under its id"),
            broken=(f"trace/port/{each.port}",),
            words=(f"what was given to port {each.port} had no effect", "no trace under its id"),
        )
        for each in CONTRACT.traces.ports
    ),
    # --- premises
    Deviant(
        name="jaeger died",
        seen=lambda: replace(RUN, deaths=(Death(component="jaeger", at=RUN.begun, detail="signal 9"),)),
        unproven=ALL,
        words=("jaeger died during the run",),
    ),
    Deviant(
        name="the gateway died",
        seen=lambda: replace(RUN, deaths=(Death(component=f"gateway-{RUN.cell}", at=RUN.begun, detail="signal 9"),)),
        unproven=ALL,
        words=("gateway-steady died during the run",),
    ),
    Deviant(
        name="the model server died",
        seen=lambda: replace(RUN, deaths=(Death(component="upstream", at=RUN.begun, detail="signal 9"),)),
        unproven=ALL,
        words=("upstream died during the run",),
    ),
    Deviant(name="traces not read", seen=lambda: replace(RUN, traces=None), unproven=ALL, words=("did not read",)),
    Deviant(
        name="broken off",
        seen=lambda: replace(RUN, traces=None, interrupted="it was broken off"),
        unproven=ALL,
        words=("not performed to its end",),
    ),
    Deviant(
        name="no request failed",
        seen=lambda: request(lambda each: replace(each, outcome=Outcome.SUCCESS, status=200)),
        unproven=(LEDGER,),
        words=("no failure shows how one is traced: 0 of 200",),
    ),
    Deviant(
        name="every request failed",
        seen=lambda: request(lambda each: replace(each, outcome=Outcome.ERROR, status=502)),
        unproven=(LEDGER,),
        words=("no success shows how one is traced",),
    ),
    Deviant(
        name="no load",
        seen=lambda: replace(RUN, ledger=Ledger(requests=())),
        unproven=(SPAN, LEDGER),
        words=("no request was answered with an execution",),
    ),
    Deviant(
        name="every request refused",
        seen=lambda: request(lambda each: replace(each, outcome=Outcome.REFUSED, status=422)),
        unproven=(SPAN, LEDGER),
    ),
)


def test_the_recorded_run_is_conformant() -> None:
    """
    Unbent, every clause about traces holds, on as many observations as there were requests.
    """
    verdicts = judged(RUN)

    assert statuses(RUN) == dict.fromkeys(ALL, Status.HOLDS)
    assert [verdicts[clause].observations for clause in (SPAN, LEDGER)] == [len(RUN.ledger)] * 2


@pytest.mark.parametrize("deviant", [pytest.param(each, id=each.name) for each in DEVIANTS])
def test_a_deviant_turns_exactly_its_clauses(deviant: Deviant) -> None:
    """
    What is bent in one way breaks or unproves exactly the clauses that the way concerns, and says how.
    """
    verdicts = judged(deviant.seen())
    expected = dict.fromkeys(ALL, Status.HOLDS)
    expected |= dict.fromkeys(deviant.broken, Status.BROKEN) | dict.fromkeys(deviant.unproven, Status.UNPROVEN)
    told = "\n".join(each.text() for each in verdicts.values() if each.status is not Status.HOLDS)

    assert expected == {clause: each.status for clause, each in verdicts.items()}
    assert [word for word in deviant.words if word not in told] == [], told


def test_a_refused_request_needs_no_trace() -> None:
    """
    What was refused was never executed, traced or not.
    """
    last = RUN.ledger.requests[-1]
    refused = replace(last, trace_id="f" * 32, request_id="req_refused", outcome=Outcome.REFUSED, status=422)
    seen = replace(RUN, ledger=Ledger(requests=(*RUN.ledger.requests, refused)))

    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS)


def test_a_span_of_the_former_convention_is_a_call_of_its_database() -> None:
    """
    `db.system` says what `db.system.name` says.
    """
    seen = spans(
        lambda span, _: attribute(span, db__system=span.attributes.get("db.system.name"), db__system__name=None)
    )

    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS)


def test_a_finding_shows_the_trace_and_what_its_client_saw() -> None:
    """
    One finding of each kind, with the query that shows it again.
    """
    one = traced(RUN).traces[0]
    verdict = judged(first(lambda trace: replace(trace, spans=tuple(replace(s, service="x") for s in trace.spans))))[
        SPAN
    ]

    assert [each.query for each in verdict.findings] == [f"/api/traces?traceID={one.trace_id}"]
    assert REQUESTS[one.trace_id].request_id in verdict.findings[0].clients


def test_ten_thousand_requests_are_judged() -> None:
    """
    The work grows with the requests and no faster.
    """

    def renamed(text: str, copy: int) -> str:
        return f"{copy:04x}{text[4:]}"

    requests, found = [], []
    for copy in range(50):
        requests += [replace(each, trace_id=renamed(each.trace_id, copy)) for each in RUN.ledger.requests]
        found += [replace(each, trace_id=renamed(each.trace_id, copy)) for each in traced(RUN).traces]
    seen = replace(bent(traces=tuple(found)), ledger=Ledger(requests=tuple(requests)))

    assert judged(seen)[LEDGER].observations == 10_000
    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS)


# --- observing


class Jaeger:
    """
    A Jaeger's query side over the recorded traces, whose answers a test may bend.
    """

    def __init__(self, kept: Sequence[Trace], *, bend: Callable[[dict[str, Any]], Any] = lambda answer: answer) -> None:
        self.kept = {each.trace_id: each for each in kept}
        self.bend = bend
        self.asked = 0

    def __call__(self, ask: httpx.Request) -> httpx.Response:
        if ask.url.path == "/api/services":
            names = sorted({span.service for trace in self.kept.values() for span in trace.spans})
            return httpx.Response(200, json=self.bend({"data": names or None, "errors": None}))
        if ids := ask.url.params.get_list("traceID"):
            self.asked += 1
            found = [as_jaeger(self.kept[each]) for each in ids if each in self.kept]
            errors = [{"msg": "trace not found", "traceID": each} for each in ids if each not in self.kept]
            return httpx.Response(200, json=self.bend({"data": found, "errors": errors or None}))
        service = ask.url.params["service"]
        start, end = (int(ask.url.params[name]) / 1e6 for name in ("start", "end"))
        found = [
            as_jaeger(each)
            for each in self.kept.values()
            if each.spans[0].service == service and any(start <= span.start <= end for span in each.spans)
        ]
        return httpx.Response(200, json=self.bend({"data": found, "errors": None}))

    def client(self) -> Client:
        return Client("jaeger", "http://jaeger", transport=httpx.MockTransport(self))


def as_jaeger(trace: Trace) -> dict[str, Any]:
    """
    A trace as Jaeger's query writes it.
    """
    processes = {f"p{number}": span.service for number, span in enumerate(trace.spans)}
    return {
        "traceID": trace.trace_id.lstrip("0"),
        "processes": {name: {"serviceName": service} for name, service in processes.items()},
        "spans": [
            {
                "spanID": span.span_id,
                "operationName": span.name,
                "references": [{"refType": "CHILD_OF", "spanID": span.parent_id}] if span.parent_id else [],
                "startTime": round(span.start * 1e6),
                "duration": round(span.seconds * 1e6),
                "tags": pairs(span.attributes),
                "logs": [{"fields": pairs({"event": each.name, **each.attributes})} for each in span.events],
                "processID": f"p{number}",
            }
            for number, span in enumerate(trace.spans)
        ],
    }


def pairs(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"key": name, "type": "bool" if value == "true" else "string", "value": True if value == "true" else value}
        for name, value in values.items()
    ]


OWN = tuple(
    SentSpan(port=port, address="127.0.0.1:1", trace_id=f"{port:032x}", span_id=f"{port:016x}")
    for port in (5775, 6831, 6832, 14268, 14250, 9411)
)


def own_trace(span: SentSpan) -> Trace:
    made = TracedSpan(
        span_id=span.span_id, parent_id="", name="port", service="conformance-suite", start=RUN.ended, seconds=0.001
    )
    return Trace(trace_id=span.trace_id, spans=(made,))


KEPT = (*traced(RUN).traces, *(own_trace(each) for each in OWN))
SAMPLED = PortSeen(port=5778, address="127.0.0.1:1", query="GET /sampling", found=True, said="{}")


def observed(jaeger: Jaeger, *, of: Timeline = RUN, sent: Sequence[SentSpan] = OWN, budget: float = 0.0) -> Timeline:
    """
    A run with its traces read again, from `jaeger`.
    """
    with jaeger.client() as client:
        seen = observing.traces(client, of.ledger, sent=sent, ports={observing.QUERYING: "127.0.0.1:1"}, budget=budget)
    return replace(of, traces=replace(seen, ports=(*seen.ports, SAMPLED)))


def test_what_is_read_is_what_jaeger_keeps() -> None:
    """
    Traces, services and the suite's own spans arrive as they were, and are judged as they were.
    """
    seen = observed(Jaeger(KEPT))
    kept = {each.trace_id: each for each in traced(RUN).traces}

    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS)
    assert traced(seen).services == ("conformance-suite", "osmen-gateway")
    for trace in traced(seen).traces:
        assert [s.attributes for s in trace.spans] == [s.attributes for s in kept[trace.trace_id].spans]
        assert [s.events for s in trace.spans] == [s.events for s in kept[trace.trace_id].spans]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(lambda _: {"data": [], "errors": None}, "gives neither the trace", id="empty"),
        pytest.param(lambda _: {"data": None, "errors": None}, "holds no list of traces", id="null"),
        pytest.param(lambda _: [], "holds no list of traces", id="a list"),
        pytest.param(
            lambda _: {"data": [], "errors": [{"code": 500, "msg": "storage gone"}]}, "storage gone", id="an error"
        ),
        pytest.param(
            lambda answer: {**answer, "errors": [{"code": 500, "msg": "half of it"}]}, "half of it", id="half an error"
        ),
        pytest.param(lambda _: {"data": [{"traceID": "1"}], "errors": None}, "what is no trace", id="no trace"),
        pytest.param(
            lambda _: {"data": [{"traceID": "a1", "spans": [], "processes": {}}]}, "not asked for", id="another trace"
        ),
    ],
)
def test_a_jaeger_that_answers_without_an_answer_proves_nothing(answer: Callable[[Any], Any], words: str) -> None:
    """
    A 200 that does not tell what was asked is a trouble: nothing holds, and only the query's own port is broken.
    """
    seen = observed(Jaeger(KEPT, bend=answer))
    verdicts = judged(seen)

    assert any(words in trouble for trouble in traced(seen).troubles), traced(seen).troubles
    assert verdicts["trace/port/16686"].status is Status.BROKEN
    assert {verdicts[each].status for each in (SPAN, LEDGER, "trace/port/6831")} == {Status.UNPROVEN}


def test_a_jaeger_that_is_not_there_proves_nothing() -> None:
    """
    An unreachable query leaves every span unproven, and its own port broken.
    """

    def refuse(ask: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=ask)

    with Client("jaeger", "http://jaeger", transport=httpx.MockTransport(refuse)) as client:
        seen = observing.traces(client, RUN.ledger, sent=OWN, ports={observing.QUERYING: "127.0.0.1:1"}, budget=0.0)
    verdicts = judged(replace(RUN, traces=replace(seen, ports=(*seen.ports, SAMPLED))))

    assert verdicts["trace/port/16686"].status is Status.BROKEN
    assert {verdicts[each].status for each in (SPAN, LEDGER, "trace/port/6831")} == {Status.UNPROVEN}
    assert "connection refused" in verdicts[LEDGER].reason


def test_a_jaeger_that_has_nothing_yet_proves_nothing() -> None:
    """
    Where neither the last request nor a span of the suite's own has arrived, what is missing may still be on its way.
    """
    verdicts = judged(observed(Jaeger(())))

    assert {verdicts[each].status for each in ALL if each != "trace/port/5778"} == {Status.UNPROVEN}
    assert "may still be on its way" in verdicts[LEDGER].reason


def test_a_jaeger_that_lost_one_trace_is_found_out() -> None:
    """
    What was sent later is there, so the one that is not is lost.
    """
    lost = traced(RUN).traces[3]
    seen = observed(Jaeger([each for each in KEPT if each is not lost]))

    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS) | {LEDGER: Status.BROKEN}


def test_a_span_accepted_by_a_port_and_lost_breaks_that_port() -> None:
    """
    Only the port whose span is not found again is broken, and a refused span says why.
    """
    lost = observed(Jaeger([each for each in KEPT if each.trace_id != OWN[1].trace_id]))
    shut = observed(Jaeger(KEPT), sent=(replace(OWN[0], refused="nothing listens"), *OWN[1:]))

    assert statuses(lost) == dict.fromkeys(ALL, Status.HOLDS) | {"trace/port/6831": Status.BROKEN}
    assert statuses(shut) == dict.fromkeys(ALL, Status.HOLDS) | {"trace/port/5775": Status.BROKEN}


def test_a_span_under_the_right_trace_with_another_id_is_not_the_one_sent() -> None:
    """
    A port that mangles ids is no port that works.
    """
    mangled = own_trace(replace(OWN[2], span_id="f" * 16))
    seen = observed(Jaeger([mangled if each.trace_id == OWN[2].trace_id else each for each in KEPT]))

    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS) | {"trace/port/6832": Status.BROKEN}


def test_traces_under_other_ids_are_found_by_the_request_they_name() -> None:
    """
    A service that ignores the clients' traceparent is told apart from one that sends nothing.
    """
    others = [replace(each, trace_id=each.trace_id[::-1]) for each in traced(RUN).traces]
    seen = observed(Jaeger([*others, *(own_trace(each) for each in OWN)]))
    verdicts = judged(seen)

    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS) | {LEDGER: Status.BROKEN}
    assert "the trace is under another id than the client's (200 of 200)" in verdicts[LEDGER].reason


def unasked(parent: str = "") -> tuple[Timeline, list[Trace]]:
    """The run as if the client of its tenth request traced nothing, and what the service began for it."""
    tenth = RUN.ledger.requests[9]
    request = replace(tenth, trace_id="", span_id="")
    requests = tuple(request if each is tenth else each for each in RUN.ledger.requests)
    begun = []
    for trace in traced(RUN).traces:
        if trace.trace_id != tenth.trace_id:
            begun.append(trace)
            continue
        roots = tuple(
            replace(span, parent_id=parent) if span.parent_id == tenth.span_id else span for span in trace.spans
        )
        begun.append(replace(trace, trace_id="f" * 32, spans=roots))
    return replace(RUN, ledger=Ledger(requests=requests)), [*begun, *(own_trace(each) for each in OWN)]


def heard(of: Timeline, kept: Sequence[Trace]) -> Timeline:
    seen = observed(Jaeger(kept), of=of)
    return replace(seen, ledger=gather.traced(seen.ledger, traced(seen).begun))


def test_the_trace_of_a_client_that_names_none_is_the_one_that_the_service_began() -> None:
    """
    It is found by the request's id, is the request's from then on, and begins with the service's own span.
    """
    of, kept = unasked()
    seen = heard(of, kept)

    assert traced(seen).begun == {RUN.ledger.requests[9].request_id: "f" * 32}
    assert seen.ledger.requests[9].trace_id == "f" * 32
    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS)


def test_a_search_that_fails_once_is_made_again() -> None:
    """
    It is no fault of the port that answers, and what was found before is kept.
    """
    of, kept = unasked()
    tried = 0

    def once(answer: dict[str, Any]) -> object:
        nonlocal tried
        found = answer["data"]
        searched = bool(found) and isinstance(found[0], dict) and found[0]["traceID"] == "f" * 32
        tried += searched
        return {"data": None, "errors": [{"msg": "busy"}]} if searched and tried == 1 else answer

    with Jaeger(kept, bend=once).client() as client:
        ports = {observing.QUERYING: "127.0.0.1:1"}
        seen = observing.traces(client, of.ledger, sent=OWN, ports=ports, budget=20.0)

    assert tried == 2
    assert seen.troubles == ()
    assert set(seen.begun.values()) == {"f" * 32}
    assert all(each.found and not each.refused for each in seen.ports)


def test_the_first_of_several_traces_that_name_a_request_is_its_own() -> None:
    """
    What a service does later on in a trace of its own is beside the request.
    """
    of, kept = unasked()
    request = of.ledger.requests[9]
    later = TracedSpan(
        span_id="e" * 16,
        parent_id="",
        name="beside",
        service="osmen-gateway",
        start=request.finished - 1e-4,
        seconds=0.001,
        attributes={"request": request.request_id},
    )
    seen = heard(of, [*kept, Trace(trace_id="e" * 32, spans=(later,))])

    assert traced(seen).begun == {request.request_id: "f" * 32}
    assert statuses(seen) == dict.fromkeys(ALL, Status.HOLDS)


def test_a_service_that_traces_only_whom_it_is_asked_to_is_found() -> None:
    """
    Most clients name no trace: a service that keeps none for them keeps next to none.
    """
    of, kept = unasked()
    verdicts = judged(heard(of, [each for each in kept if each.trace_id != "f" * 32]))

    assert verdicts[LEDGER].status is Status.BROKEN
    assert "there is no trace (1 of 200)" in verdicts[LEDGER].reason
    assert "trace of its own: its client named none" in verdicts[LEDGER].text()


def test_a_trace_that_the_service_began_hangs_below_nothing() -> None:
    """
    A parent that nobody named is one that nobody will find.
    """
    of, kept = unasked(parent="a" * 16)
    verdicts = judged(heard(of, kept))

    assert verdicts[LEDGER].status is Status.BROKEN
    assert "no parent: its client named none" in verdicts[LEDGER].text()


def test_a_jaeger_that_lags_is_waited_for() -> None:
    """
    What is not there at the first look is looked for again, and when it was last missed is kept.
    """
    jaeger = Jaeger(KEPT[1:])

    def arrive(answer: dict[str, Any]) -> dict[str, Any]:
        if jaeger.asked >= 3:
            jaeger.kept[KEPT[0].trace_id] = KEPT[0]
        return answer

    jaeger.bend = arrive
    seen = observed(jaeger, budget=3.0)
    late = next(each for each in traced(seen).traces if each.trace_id == KEPT[0].trace_id)

    assert late.absent_until > RUN.ended
    assert {each.absent_until for each in traced(seen).traces if each is not late} == {0.0}


def test_a_long_value_is_kept_short() -> None:
    """
    A megabyte in an attribute is named by its length, and its ends are kept.
    """
    one = traced(RUN).traces[0]
    long = replace(one, spans=(attribute(one.spans[0], note="a" * 1_000_000 + "z"), *one.spans[1:]))
    with Jaeger([long]).client() as client:
        (read,) = observing.by_ids(client, [long.trace_id])

    assert len(read.spans[0].attributes["note"]) < 5000
    assert read.spans[0].attributes["note"].endswith("z")
    assert "996001 characters" in read.spans[0].attributes["note"]


def test_ids_are_asked_for_in_batches() -> None:
    """
    No address grows beyond what servers take.
    """
    jaeger = Jaeger(KEPT)
    with jaeger.client() as client:
        read = list(observing.by_ids(client, [each.trace_id for each in KEPT]))

    assert jaeger.asked == -(-len(KEPT) // observing.BATCH)
    assert len(read) == len(KEPT)


def test_a_trace_that_nobody_asked_for_is_an_error() -> None:
    """
    An answer about other ids is no answer.
    """
    jaeger = Jaeger(KEPT, bend=lambda answer: {**answer, "data": [as_jaeger(KEPT[1])]})
    with jaeger.client() as client, pytest.raises(ObserveError, match="which was not asked for"):
        list(observing.by_ids(client, [KEPT[0].trace_id]))


@pytest.fixture
def sampling() -> Iterator[Callable[[Any], PortSeen]]:
    """
    What is seen of a sampling port that answers with a given document.
    """
    with pytest.MonkeyPatch.context() as patch:

        def seen(answer: Any) -> PortSeen:  # noqa: ANN401  JSON
            transport = httpx.MockTransport(lambda _: httpx.Response(200, text=json.dumps(answer)))
            patch.setattr(observing, "Client", lambda name, url: Client(name, url, transport=transport))
            return observing._sampling("127.0.0.1:1")

        yield seen


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.001}}, True),
        ({"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 5}}, True),
        ({"probabilisticSampling": {"samplingRate": 1}}, True),
        ({"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 7}}, False),
        ({"strategyType": "SOMETIMES", "probabilisticSampling": {"samplingRate": 0.5}}, False),
        ({"strategyType": "PROBABILISTIC"}, False),
        ({}, False),
        ([], False),
    ],
)
def test_a_sampling_strategy_is_one(sampling: Callable[[Any], PortSeen], answer: object, *, found: bool) -> None:
    """
    Only a share from 0 to 1 or a rate is a strategy; any other answer of the port is none.
    """
    assert sampling(answer).found is found
