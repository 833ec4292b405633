"""
Judges that the tracing backend tells of each request what its client saw, and that every documented port works.

A request's entry is the span below the client's own; its name matters to the clause of that span alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from statistics import median
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core.clock import at
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.contract.model import Call, PortPromise, SpanPromise, Traces
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline
    from conformance.timeline.traces import Trace, TracedSpan, TracesSeen
    from fixtures.load.ledger import Request

BACKEND = "jaeger"
EDGE = 0.002
"""Seconds: client, service and backend read one clock; what differs is rounding and the order of two readings."""

LATE = 5.0
"""Seconds after a request's end by which its trace is found: how long a batch of spans waits by default."""

SHARE = 0.05
"""Half of all spans last at least this share of their clients' latency; the rest is the way there and back."""

TOLD, TOLD_SHARE = 0.0005, 0.1
"""How far the median length of spans may lie from the time that the answers told: seconds, and a share of it."""

FEW = 10
"""Executions of one agent below which their median is too much at the mercy of one pause of the machine."""

AGENT = "agent.name"
DATABASE = ("db.system.name", "db.system")
"""The attribute that names the kind of a database, in the present and the former convention."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One request, its trace, and how that was found."""

    request: Request
    trace: Trace
    query: str

    @property
    def clients(self) -> str:
        return _clients(self.request)


@dataclass(kw_only=True, slots=True)
class _Faults:
    """Deviations by their kind: how many, and the first of each as a finding."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    of_all: set[str] = field(default_factory=set)

    def add(self, kind: str, finding: Finding, *, of_all: bool = False) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.findings.setdefault(kind, finding)
        if of_all:
            self.of_all.add(kind)

    def of(self, case: _Case, kind: str, *, expected: str, observed: str, because: str = "") -> None:
        """One deviation of one request."""
        found = Finding(expected=expected, observed=observed, because=because, query=case.query, clients=case.clients)
        self.add(kind, found)

    def verdict(self, clause: str, *, of: int, good: str) -> Verdict:
        if not self.counts:
            return holds(clause, observations=of, reason=good)
        # A median is one deviation of many requests, and has no count.
        counted = {kind: f" ({count} of {of})" for kind, count in self.counts.items() if kind not in self.of_all}
        said = "; ".join(f"{kind}{counted.get(kind, '')}" for kind in self.counts)
        return broken(clause, said, *self.findings.values(), observations=of)


def execute_agent(promise: SpanPromise, timeline: Timeline) -> Verdict:
    """Each execution whose trace is there is one span of the promised name, service, attributes and length."""
    clause = f"trace/{promise.name}"
    seen, reasons = _seen(timeline)
    if seen is None or reasons:
        return unproven(clause, "; ".join(reasons))
    executed = _executed(timeline)
    if not executed:
        return unproven(clause, "no request was answered with an execution")
    cases = _cases(seen, executed, strays=True)
    if not cases:
        return broken(
            clause,
            f"no trace of any of {len(executed)} requests is there",
            Finding(
                expected=f"a span {promise.name} for each execution",
                observed=f"services that have spans: {', '.join(seen.services) or 'none'}",
                query=seen.query,
            ),
        )
    faults = _Faults()
    judged: list[tuple[Request, TracedSpan]] = []
    for case in cases:
        _discreet(timeline.cell, case, faults)
        span = next((each for each in case.trace.spans if each.name == promise.name), None)
        if span is None:
            faults.of(
                case,
                f"no span is called {promise.name}",
                expected=f"a span {promise.name}",
                observed=_among(promise.name, {each.name for each in case.trace.spans}, "spans"),
            )
            continue
        _described(promise, case, span, faults)
        _timed(case, span, faults)
        judged.append((case.request, span))
    _lengths(timeline, judged, seen, faults)
    missing = f"; {len(executed) - len(cases)} have no trace at all" if len(cases) < len(executed) else ""
    good = f"{len(cases)} executions, each one span of its length{missing}"
    return faults.verdict(clause, of=len(cases), good=good)


def ledger(promise: Traces, timeline: Timeline) -> Verdict:
    """
    Each executed request has its trace: once, in time, below the client's span, with its outcome and its calls.

    Where the client named none it is one that the service began, and hangs below nothing.
    """
    clause = "trace/ledger"
    seen, reasons = _seen(timeline)
    executed = _executed(timeline)
    failed = [each for each in executed if each.outcome is Outcome.ERROR]
    if not failed:
        reasons = (*reasons, f"no failure shows how one is traced: 0 of {len(executed)} executions failed")
    elif len(failed) == len(executed):
        reasons = (*reasons, f"no success shows how one is traced: all of {len(executed)} executions failed")
    if seen is None or reasons:
        return unproven(clause, "; ".join(reasons))
    faults = _Faults()
    cases = _cases(seen, executed)
    there = {case.request.trace_id for case in cases}
    strays = _by_request(seen)
    for request in executed:
        if request.trace_id not in there:
            _absent(request, strays.get(request.request_id), seen, faults)
    for case in cases:
        _late(case, faults)
        entry = _entry(case, faults)
        _outcome(case, entry, faults)
        for call in promise.ledger.calls:
            _called(case, entry, call, faults)
    good = f"{len(executed)} requests, {len(failed)} of them failed, each with its trace"
    return faults.verdict(clause, of=len(executed), good=good)


def port(promise: PortPromise, timeline: Timeline) -> Verdict:
    """What is sent to a documented port in its protocol is found again; a port that answers, answers."""
    clause = f"trace/port/{promise.port}"
    reasons = premise.deaths(timeline, (BACKEND,))
    seen = timeline.traces
    if reasons or seen is None:
        return unproven(clause, "; ".join(reasons or _unread(timeline)))
    spoken = next((each for each in seen.ports if each.port == promise.port), None)
    if spoken is None:
        return unproven(clause, f"nothing was sent to port {promise.port}", lasting=True)
    finding = Finding(
        expected=f"{promise.promise} ({promise.protocol})",
        observed=spoken.refused or spoken.said,
        query=spoken.query,
        location=f"{promise.transport} {spoken.address}, which stands for port {promise.port}",
    )
    if spoken.refused:
        return broken(clause, f"port {promise.port} does not take what it is given", finding)
    if spoken.found:
        return holds(clause, observations=1, reason=f"{promise.protocol}: {spoken.said}")
    if not _answers(seen, promise.port):
        return unproven(clause, "; ".join(seen.troubles) or _nothing(seen), finding)
    return broken(clause, f"what was given to port {promise.port} had no effect", finding)


# --- premises


def _seen(timeline: Timeline) -> tuple[TracesSeen | None, tuple[str, ...]]:
    """What was read, and why it proves nothing."""
    seen = timeline.traces
    reasons = premise.deaths(timeline, (BACKEND,))
    if timeline.interrupted or seen is None:
        return seen, (*reasons, *_unread(timeline))
    if seen.troubles:
        return seen, (*reasons, *seen.troubles)
    return seen, reasons if seen.answers else (*reasons, _nothing(seen))


def _unread(timeline: Timeline) -> tuple[str, ...]:
    if timeline.interrupted:
        return (f"the program was not performed to its end: {timeline.interrupted}",)
    return (f"{timeline.program} did not read any trace",)


def _nothing(seen: TracesSeen) -> str:
    return (
        f"{BACKEND} had taken in neither the last request nor any span of the suite's own by {at(seen.looked)}: "
        "what it does not show may still be on its way"
    )


def _answers(seen: TracesSeen, number: int) -> bool:
    """Whether what is not found is really not there; the sampling port speaks for itself."""
    return number == 5778 or (seen.answers and not seen.troubles)


def _executed(timeline: Timeline) -> list[Request]:
    """What was refused was never executed; of what was lost nobody knows it."""
    return [each for each in timeline.ledger.requests if each.outcome in (Outcome.SUCCESS, Outcome.ERROR)]


def _by_request(seen: TracesSeen) -> dict[str, Trace]:
    """Strays by each value that one of their spans carries: the id of a request is one of them."""
    return {value: trace for trace in seen.strays for span in trace.spans for value in span.attributes.values()}


# --- one span


def _cases(seen: TracesSeen, requests: Sequence[Request], *, strays: bool = False) -> list[_Case]:
    """Each request whose trace is there; with `strays` also where it is under another id."""
    traces = {each.trace_id: each for each in seen.traces if each.spans}
    others = _by_request(seen) if strays else {}
    found = ((each, traces.get(each.trace_id) or others.get(each.request_id)) for each in requests)
    return [
        _Case(request=request, trace=trace, query=_query(seen, trace.trace_id))
        for request, trace in found
        if trace is not None
    ]


def _described(promise: SpanPromise, case: _Case, span: TracedSpan, faults: _Faults) -> None:
    if span.service != promise.service:
        faults.of(
            case,
            f"the span is not of service {promise.service}",
            expected=f"service.name {promise.service}",
            observed=span.service or "none",
        )
    for name in promise.attributes:
        if name not in span.attributes:
            faults.of(
                case,
                f"the span has no {name}",
                expected=f"attribute {name}",
                observed=_among(name, set(span.attributes), "attributes"),
            )
    agent = span.attributes.get(AGENT)
    if AGENT in promise.attributes and agent is not None and agent != case.request.agent:
        faults.of(
            case,
            "the span names another agent",
            expected=f"{AGENT} {case.request.agent}",
            observed=f"{AGENT} {agent[:100]}",
        )


def _among(name: str, names: set[str], what: str) -> str:
    near = get_close_matches(name, names, n=1)
    return f"{what} {', '.join(sorted(names)) or '(none)'}" + (f"; is it meant by {near[0]}?" if near else "")


def _timed(case: _Case, span: TracedSpan, faults: _Faults) -> None:
    request = case.request
    if request.sent - EDGE <= span.start and span.end <= request.finished + EDGE:
        return
    faults.of(
        case,
        "the span lies outside what its client saw",
        expected=f"within {at(request.sent)} and {at(request.finished)}, {request.latency * 1000:.1f} ms",
        observed=f"from {at(span.start)} to {at(span.end)}, {span.seconds * 1000:.1f} ms",
        because=f"± {EDGE * 1000:g} ms: one clock, rounded",
    )


def _discreet(cell: str, case: _Case, faults: _Faults) -> None:
    """What users wrote stays out of traces."""
    written = re.compile(rf"request \d+ of {re.escape(cell)}\b")
    for span in case.trace.spans:
        places = [("the name", span.name), *span.attributes.items()]
        places += [("an event", each.name) for each in span.events]
        places += [(f"{each.name}: {name}", value) for each in span.events for name, value in each.attributes.items()]
        for place, value in places:
            if found := written.search(value):
                faults.of(
                    case,
                    "the trace holds what the user wrote",
                    expected="no text of a user",
                    observed=f"{place} of span {span.name[:40]}: {found[0]!r}",
                )
                return


def _lengths(
    timeline: Timeline, judged: Sequence[tuple[Request, TracedSpan]], seen: TracesSeen, faults: _Faults
) -> None:
    """No span is too short, nor of another length than the answers told: in the median, for single ones say little."""
    shares: dict[Outcome, list[float]] = {}
    told: dict[str, list[tuple[float, float]]] = {}
    for request, span in judged:
        if request.latency > 0:
            shares.setdefault(request.outcome, []).append(span.seconds / request.latency)
        if request.reported_ms is not None:
            seconds = request.reported_ms / 1000 / timeline.tempo
            told.setdefault(request.agent, []).append((seconds, span.seconds - seconds))
    for outcome, values in shares.items():
        if median(values) < SHARE:
            faults.add(
                "the spans are shorter than what clients saw",
                Finding(
                    expected=f"at least {SHARE:.0%} of the clients' latency, in the median",
                    observed=f"{median(values):.1%} ({len(values)} that ended in {outcome})",
                    query=seen.query,
                ),
                of_all=True,
            )
    for agent, pairs in _pooled(told).items():
        length, difference = (median(each) for each in zip(*pairs, strict=True))
        rounding = 0.0005 / timeline.tempo
        slack = TOLD + TOLD_SHARE * length + rounding
        if abs(difference) > slack:
            faults.add(
                "the spans are not as long as the answers told",
                Finding(
                    expected=f"the execution_time_ms of the answers, divided by the tempo ({timeline.tempo:g})",
                    observed=f"{difference * 1000:+.2f} ms in the median ({len(pairs)} of {agent})",
                    because=f"± {slack * 1000:.2f} ms = {TOLD * 1000:g} between the two readings + {TOLD_SHARE:.0%} of "
                    f"{length * 1000:.2f} ms + {rounding * 1000:.2f} rounded",
                    query=seen.query,
                ),
                of_all=True,
            )


def _pooled(told: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """By agent, and together those of agents that were asked too rarely for a median of their own."""
    found = {agent: pairs for agent, pairs in told.items() if len(pairs) >= FEW}
    few = [pair for pairs in told.values() if len(pairs) < FEW for pair in pairs]
    return {**found, **({"agents with few requests": few} if few else {})}


# --- one request


def _absent(request: Request, stray: Trace | None, seen: TracesSeen, faults: _Faults) -> None:
    if stray is not None:
        faults.of(
            _Case(request=request, trace=stray, query=_query(seen, stray.trace_id)),
            "the trace is under another id than the client's",
            expected=f"trace {request.trace_id}, from the request's traceparent",
            observed=f"trace {stray.trace_id} names {request.request_id}",
        )
        return
    faults.add(
        "there is no trace",
        Finding(
            expected=f"trace {request.trace_id or 'of its own: its client named none'}",
            observed=f"not found up to {at(seen.looked)}, though {BACKEND} shows what was sent after it",
            query=_query(seen, request.trace_id)
            if request.trace_id
            else f"those between {at(request.sent)} and {at(request.finished)} that name {request.request_id}",
            clients=_clients(request),
        ),
    )


def _late(case: _Case, faults: _Faults) -> None:
    after = case.trace.absent_until - case.request.finished
    if after > LATE:
        faults.of(
            case,
            "the trace came late",
            expected=f"the trace within {LATE:g} s",
            observed=f"not yet there {after:.1f} s after the answer",
            because=f"a batch of spans waits {LATE:g} s at most by default",
        )


def _entry(case: _Case, faults: _Faults) -> TracedSpan:
    """The span with which the service took the request up; where none lies below the client's, the uppermost."""
    spans, client = case.trace.spans, case.request.span_id
    below = [each for each in spans if each.parent_id == client]
    known = {each.span_id for each in spans}
    tops = below or [each for each in spans if each.parent_id not in known] or spans
    # Of twins, the one that has the calls below it.
    entry = min(tops, key=lambda each: (each.start, -len(_below(case.trace, each))))
    if not below:
        wanted = f"parent {client}, from the request's traceparent" if client else "no parent: its client named none"
        faults.of(
            case,
            "the trace does not hang below the client's span",
            expected=wanted,
            observed=f"{entry.name} has the parent {entry.parent_id or 'none'}",
        )
    again = below if len(below) > 1 else [each for each in spans if each.name == entry.name]
    if len(again) > 1:
        faults.of(
            case,
            "the execution is there more than once",
            expected="one span of the execution",
            observed=", ".join(f"{each.name} {each.span_id}" for each in again[:4]),
        )
    return entry


def _outcome(case: _Case, entry: TracedSpan, faults: _Faults) -> None:
    marked = entry.attributes.get("error") == "true" or entry.attributes.get("otel.status_code") == "ERROR"
    raised = [each.attributes.get("exception.type", "") for each in entry.events if each.name == "exception"]
    if case.request.outcome is Outcome.SUCCESS:
        if marked or raised:
            faults.of(
                case,
                "a success is marked as a failure",
                expected=f"no error status and no exception on {entry.name}",
                observed="status error" if marked else f"exception {raised[0] or 'without a type'}",
            )
        return
    if not marked:
        faults.of(
            case,
            "a failure has no error status",
            expected=f"status error on {entry.name}",
            observed=f"otel.status_code {entry.attributes.get('otel.status_code', 'unset')}",
        )
    if not any(raised):
        faults.of(
            case,
            "a failure has no exception",
            expected=f"an event exception with its exception.type on {entry.name}",
            observed=f"events: {', '.join(each.name or '?' for each in entry.events) or 'none'}",
        )


def _called(case: _Case, entry: TracedSpan, call: Call, faults: _Faults) -> None:
    below = _below(case.trace, entry)
    if any(_is(each, call) for each in below):
        return
    sign = f"{DATABASE[0]} {call.database}" if call.database else "no database"
    shown = ", ".join(f"{each.name} ({_system(each) or each.attributes.get('span.kind', '?')})" for each in below)
    faults.of(
        case,
        f"no call of {call.name}",
        expected=f"a client span below {entry.name}: {sign}",
        observed=shown or f"nothing below {entry.name}",
    )


def _below(trace: Trace, entry: TracedSpan) -> list[TracedSpan]:
    """Every span that descends from `entry`."""
    children: dict[str, list[TracedSpan]] = {}
    for span in trace.spans:
        children.setdefault(span.parent_id, []).append(span)
    found, seen, todo = [], {entry.span_id}, [entry.span_id]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child.span_id not in seen:
                seen.add(child.span_id)
                found.append(child)
                todo.append(child.span_id)
    return found


def _is(span: TracedSpan, call: Call) -> bool:
    return span.attributes.get("span.kind") == "client" and _system(span) == (call.database or "")


def _system(span: TracedSpan) -> str:
    return next((span.attributes[name] for name in DATABASE if name in span.attributes), "")


def _query(seen: TracesSeen, trace_id: str) -> str:
    return seen.query.replace("…", trace_id)


def _clients(request: Request) -> str:
    return (
        f"{request.request_id}: {request.agent}, {request.outcome} ({request.status}) "
        f"at {at(request.sent)} after {request.latency * 1000:.1f} ms"
    )
