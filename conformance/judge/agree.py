"""
Judges that the signals tell one story: what a client saw of a request, its log line, its trace and the counter agree.

It compares signals with each other, request by request; whether one of them is complete is for its own clauses to say.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from conformance.contract.model import LedgerRelation
from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core import clock
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.contract.model import Metrics
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline
    from conformance.timeline.traces import Trace, TracedSpan
    from fixtures.load.ledger import Request

CLAUSE = "signals/agree"

BACKENDS = ("loki", "promtail", "jaeger", "upstream")
"""The shared components without which a part of the story cannot be heard."""

EDGE = 0.002
"""Seconds: all read one clock; what differs is rounding and the order of two readings."""

BETWEEN = 0.002
"""Seconds by which log and span may differ, in the median: the service reads its clock once for each."""

AGENT, STATUS = "agent.name", "otel.status_code"
TOLD_OF = (Outcome.SUCCESS, Outcome.ERROR)
"""The outcomes that a run must have for its story to be one."""

SHOWN = 6


@dataclass(kw_only=True, slots=True)
class _Faults:
    """Contradictions by their kind: how many, and the first of each as a finding."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, kind: str, *, expected: str, observed: str, location: str = "", clients: str = "") -> None:
        self.counts[kind] += 1
        self.findings.setdefault(
            kind, Finding(expected=expected, observed=observed, location=location, clients=clients)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Story:
    """One request as each signal tells it; `id` is what the answer called it."""

    request: Request
    id: str
    lines: Sequence[Mapping[str, object]]
    trace: Trace | None

    @property
    def clients(self) -> str:
        request = self.request
        return (
            f"{self.id}: {request.agent} for {request.user}, {request.outcome} ({request.status}) "
            f"at {clock.at(request.sent)} after {request.latency * 1000:.1f} ms"
        )

    @property
    def entry(self) -> TracedSpan | None:
        """The span below the client's own, else the earliest."""
        spans = self.trace.spans if self.trace is not None else ()
        below = [span for span in spans if span.parent_id == self.request.span_id]
        return min(below or spans, key=lambda span: span.start, default=None)


def agree(metrics: Metrics, timeline: Timeline) -> Verdict:
    """Client, log line, trace and counter say the same of each request, and each leads to the others by its id."""
    if reasons := _premises(timeline):
        return unproven(CLAUSE, "; ".join(reasons))
    finished = _finished(timeline)
    by_id = _by_id(finished)
    traces = {trace.trace_id: trace for trace in timeline.traces.traces} if timeline.traces is not None else {}
    stories = [
        _Story(
            request=request,
            id=request.answered_id or request.request_id,
            lines=by_id.get(request.answered_id or request.request_id, ()),
            trace=traces.get(request.trace_id),
        )
        for request in timeline.ledger.requests
        if request.outcome is not Outcome.LOST
    ]
    faults = _Faults()
    for story in stories:
        _reachable(story, faults)
        _logged(story, metrics.outcomes, timeline.tempo, faults)
        _traced(story, faults)
    _lengths(stories, timeline.tempo, faults)
    _counted(stories, finished, metrics, timeline, faults)
    if faults.counts:
        said = "; ".join(f"{kind} ({count})" for kind, count in list(faults.counts.items())[:SHOWN])
        findings = list(faults.findings.values())[:SHOWN]
        return broken(CLAUSE, f"of {len(stories)} requests: {said}", *findings, observations=len(stories))
    kinds = Counter(story.request.outcome.value for story in stories)
    agents = len({story.request.agent for story in stories if story.request.outcome is not Outcome.REFUSED})
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(kinds.items()))
    return holds(CLAUSE, observations=len(stories), reason=f"one story of {told} over {agents} agents")


def _premises(timeline: Timeline) -> list[str]:
    reasons = list(premise.deaths(timeline, BACKENDS))
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    if timeline.logs is None:
        reasons.append("the logs were not read")
    else:
        reasons += [f"loki: {trouble}" for trouble in timeline.logs.troubles]
        if timeline.logs.lagging:
            reasons.append(f"loki had not taken in the run: {timeline.logs.lagging}")
        elif not timeline.logs.kept:
            reasons.append("loki shows not one line of the run")
    if timeline.traces is None:
        reasons.append("the traces were not read")
    else:
        reasons += timeline.traces.troubles
        if not timeline.traces.answers:
            reasons.append("jaeger had not taken in the run")
    if timeline.metrics is None:
        reasons.append("the metrics were not read")
    elif trouble := timeline.metrics.troubles.get("prometheus"):
        reasons.append(trouble)
    elif premise.never_answered(timeline, "osmen_gateway"):
        reasons.append("osmen_gateway answered no scrape, so its counters were not seen")
    reasons += [f"{each.backend} had not taken in the run: {each.detail}" for each in timeline.arrivals if not each.ok]
    # A request whose answer was lost on the way may have been counted, or not.
    if lost := len(timeline.ledger.outcome(Outcome.LOST)):
        reasons.append(f"{lost} of {len(timeline.ledger)} requests got no answer")
    seen = {request.outcome for request in timeline.ledger.requests}
    reasons += [
        f"no request ended in {outcome}, so its story is not told" for outcome in TOLD_OF if outcome not in seen
    ]
    return reasons


def _finished(timeline: Timeline) -> list[dict[str, object]]:
    """Every line that says how a request ended."""
    found = []
    for line in timeline.logs.kept if timeline.logs is not None else ():
        for record in _records(line.text):
            ended = record.get("status") is not None or record.get("duration_ms") is not None
            if record.get("request_id") and ended:
                found.append(record)
    return found


def _records(text: str) -> Iterator[dict[str, object]]:
    """Each record of a line; that there are several is the format's matter."""
    decoder, place = json.JSONDecoder(), 0
    while text[place : place + 1] == "{":
        try:
            record, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield record


def _by_id(finished: Sequence[Mapping[str, object]]) -> dict[str, list[Mapping[str, object]]]:
    by_id: dict[str, list[Mapping[str, object]]] = {}
    for record in finished:
        by_id.setdefault(str(record["request_id"]), []).append(record)
    return by_id


def _reachable(story: _Story, faults: _Faults) -> None:
    """From what a client has, its answer and its trace, to the line; from the line to the trace and back."""
    request, clients = story.request, story.clients
    if not request.answered_id:
        faults.add(
            "the answer names no request",
            expected="an X-Request-ID, or a request_id in the body",
            observed="neither",
            clients=clients,
        )
    if not story.lines:
        faults.add(
            "no line tells how the request ended",
            expected=f"a line with request_id {story.id} and a status",
            observed="none",
            clients=clients,
        )
    if request.outcome is Outcome.REFUSED:
        # What was refused was never executed, and leaves no trace.
        return
    if story.trace is None or not story.trace.spans:
        wanted = f"trace {request.trace_id or 'of its own: its client named none'}"
        faults.add("there is no trace", expected=wanted, observed="none", clients=clients)
        return
    named = {name for span in story.trace.spans for name in span.attributes}
    if not any(story.id in span.attributes.values() for span in story.trace.spans):
        faults.add(
            "no span names the request",
            expected=f"an attribute of value {story.id} on a span of trace {request.trace_id}",
            observed=f"attributes {', '.join(sorted(named))}"[:240],
            clients=clients,
        )
    for line in story.lines:
        if request.trace_id not in line.values():
            other = line.get("trace_id")
            faults.add(
                "the line does not name the trace",
                expected=f"trace {request.trace_id}",
                observed=f"trace_id {str(other)[:80]}" if other else f"fields {', '.join(sorted(line))}"[:240],
                location=_cut(line),
                clients=clients,
            )


def _logged(story: _Story, outcomes: Mapping[str, str], tempo: float, faults: _Faults) -> None:
    """The line says what the client saw: outcome, agent, user, and no longer than it waited."""
    request = story.request
    word = outcomes.get(request.outcome.value, request.outcome.value)
    for line in story.lines:
        told: list[tuple[str, str, object]] = [("status", word, line.get("status"))]
        if request.outcome is not Outcome.REFUSED:
            told += [("agent", request.agent, line.get("agent")), ("user_id", request.user, line.get("user_id"))]
        for name, expected, observed in told:
            # A field that is missing is the format's matter.
            if name in line and observed != expected:
                faults.add(
                    f"the line tells another {name}",
                    expected=f"{name} {expected}",
                    observed=f"{name} {str(observed)[:80]}",
                    location=_cut(line),
                    clients=story.clients,
                )
        seconds = _seconds(line, tempo)
        if seconds is not None and seconds > request.latency + EDGE + 0.0005 / tempo:
            faults.add(
                "the line tells of longer than the client waited",
                expected=f"at most {request.latency * 1000:.1f} ms (duration_ms divided by the tempo, {tempo:g})",
                observed=f"{seconds * 1000:.1f} ms",
                location=_cut(line),
                clients=story.clients,
            )


def _traced(story: _Story, faults: _Faults) -> None:
    """The trace says what the client saw."""
    entry, request = story.entry, story.request
    if entry is None or request.outcome is Outcome.REFUSED:
        # How a service calls what it refused, if it traces it, is not said anywhere.
        return
    agent = entry.attributes.get(AGENT)
    if agent is not None and agent != request.agent:
        faults.add(
            "the trace tells another agent",
            expected=f"{AGENT} {request.agent}",
            observed=f"{AGENT} {agent[:80]}",
            location=f"span {entry.span_id}",
            clients=story.clients,
        )
    if _failed(entry) is not (request.outcome is Outcome.ERROR):
        faults.add(
            "the trace tells another outcome",
            expected=f"{'an' if request.outcome is Outcome.ERROR else 'no'} error status",
            observed=f"{STATUS} {entry.attributes.get(STATUS, 'unset')}",
            location=f"span {entry.span_id}",
            clients=story.clients,
        )
    if entry.seconds > request.latency + EDGE:
        faults.add(
            "the trace tells of longer than the client waited",
            expected=f"at most {request.latency * 1000:.1f} ms",
            observed=f"{entry.seconds * 1000:.1f} ms",
            location=f"span {entry.span_id}",
            clients=story.clients,
        )


def _lengths(stories: Sequence[_Story], tempo: float, faults: _Faults) -> None:
    """Line and span measured the same execution: in the median, as a busy machine may come between two readings."""
    apart = []
    for story in stories:
        seconds = _seconds(story.lines[0], tempo) if story.lines else None
        if seconds is not None and story.entry is not None:
            apart.append(seconds - story.entry.seconds)
    slack = BETWEEN + 0.0005 / tempo
    if apart and abs(median(apart)) > slack:
        faults.add(
            "lines and spans tell of different lengths",
            expected=f"the same within {slack * 1000:.2f} ms, in the median",
            observed=f"lines are {median(apart) * 1000:+.2f} ms longer than spans ({len(apart)} requests)",
        )


def _counted(
    stories: Sequence[_Story],
    finished: Sequence[Mapping[str, object]],
    metrics: Metrics,
    timeline: Timeline,
    faults: _Faults,
) -> None:
    """
    The counter, the lines and the clients count the same number of requests of an agent and an outcome.

    Where series or lines lack the one, they are counted by the other: what is missing is for their own clauses to say.
    """
    promise = next((each for each in metrics.promises if each.ledger is LedgerRelation.REQUESTS), None)
    if promise is None or timeline.metrics is None:
        return
    tracks = [track for track in timeline.metrics.last if track.name == promise.name and track.points]
    by_agent, by_status = (
        all(name in told for told in (*(track.labels for track in tracks), *finished)) for name in ("agent", "status")
    )

    def key_of(agent: object, status: object) -> tuple[str, str]:
        return str(agent) if by_agent else "any agent", str(status) if by_status else "any outcome"

    counter: Counter[tuple[str, str]] = Counter()
    for track in tracks:
        counter[key_of(track.labels.get("agent"), track.labels.get("status"))] += round(track.points[-1][1] or 0)
    logged = Counter(key_of(line.get("agent"), line.get("status")) for line in finished)
    clients = Counter(
        key_of(story.request.agent, metrics.outcomes.get(story.request.outcome.value, story.request.outcome.value))
        for story in stories
    )
    for key in sorted({*clients, *logged, *counter}):
        if metrics.outcomes.get(Outcome.REFUSED.value) == key[1]:
            # The agent of what was refused may be none that exists; how it is then called is not said anywhere.
            continue
        counts = (clients[key], logged[key], counter[key])
        if len(set(counts)) > 1:
            agent, status = key
            faults.add(
                "the counter, the log and the clients count differently",
                expected=f"{counts[0]} requests of {agent} that ended in {status}, as clients saw",
                observed=f"{counts[1]} lines; {promise.name} {counts[2]}",
                location=f'{promise.name}{{agent="{agent[:60]}",status="{status[:60]}"}}',
            )


def _failed(span: TracedSpan) -> bool:
    return span.attributes.get("error") == "true" or span.attributes.get(STATUS) == "ERROR"


def _seconds(line: Mapping[str, object], tempo: float) -> float | None:
    """How long a line says that it took, in real seconds."""
    written = line.get("duration_ms")
    return written / 1000 / tempo if isinstance(written, int | float) and not isinstance(written, bool) else None


def _cut(line: Mapping[str, object]) -> str:
    text = json.dumps(line)
    return text[:300] + ("…" if len(text) > 300 else "")
