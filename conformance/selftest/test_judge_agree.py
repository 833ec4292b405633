"""
The signals compared: one story told four times holds, and a story bent in one signal is broken with its evidence.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.contract.load import load
from conformance.judge import agree
from conformance.judge.verdict import Status
from conformance.timeline.logs import Line, LogsSeen
from conformance.timeline.metrics import MetricsSeen, Track
from conformance.timeline.model import SCHEMA, Arrival, Config, Death, Timeline
from conformance.timeline.traces import Trace, TracedSpan, TracesSeen
from fixtures.core import clock
from fixtures.load.ledger import Ledger, Outcome, Request
from fixtures.load.profile import AGENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.judge.verdict import Verdict

BEGUN, TEMPO, COUNT = 1_800_000_000.0, 60.0, 80
FAILED = 5
"""Every so many requests one fails."""
WORDS = {Outcome.SUCCESS: "success", Outcome.ERROR: "error", Outcome.REFUSED: "rejected"}


def request(n: int) -> Request:
    sent = BEGUN + n / 10
    outcome = Outcome.ERROR if n % FAILED == 0 else Outcome.SUCCESS
    return Request(
        due=sent,
        sent=sent,
        finished=sent + 0.02,
        phase="calm",
        agent=AGENTS[n % len(AGENTS)],
        user=f"user{n % 10:03d}",
        outcome=outcome,
        status=502 if outcome is Outcome.ERROR else 200,
        request_id=f"req_{n}",
        trace_id=f"{n + 1:032x}",
        span_id=f"{n + 1:016x}",
        answered_id=f"req_{n}",
    )


def line(told: Request, **fields: object) -> Line:
    record = {
        "timestamp": clock.iso(told.finished),
        "level": "ERROR" if told.outcome is Outcome.ERROR else "INFO",
        "service": "gateway",
        "request_id": told.request_id,
        "user_id": told.user,
        "agent": told.agent,
        "duration_ms": round(0.017 * TEMPO * 1000),
        "status": WORDS[told.outcome],
        "message": "Agent execution completed",
        "trace_id": told.trace_id,
        **fields,
    }
    text = json.dumps({name: value for name, value in record.items() if value != "absent"})
    return Line(text=text, length=len(text), at=told.finished, service="gateway")


def trace(told: Request, **fields: Any) -> Trace:  # noqa: ANN401  any field of a span
    attributes = {"agent.name": told.agent, "request.id": told.request_id, "span.kind": "server"}
    if told.outcome is Outcome.ERROR:
        attributes |= {"error": "true", "otel.status_code": "ERROR"}
    attributes |= fields.pop("attributes", {})
    span = TracedSpan(
        span_id=f"a{told.span_id[1:]}",
        parent_id=told.span_id,
        name="execute_agent",
        service="osmen-gateway",
        start=told.sent + 0.002,
        seconds=0.0165,
        attributes={name: value for name, value in attributes.items() if value != "absent"},
    )
    return Trace(trace_id=told.trace_id, spans=(replace(span, **fields),))


def timeline(
    *,
    requests: Callable[[Request], Request] = lambda told: told,
    lines: Callable[[Request], list[Line]] = lambda told: [line(told)],
    traces: Callable[[Request], Trace] = trace,
    counted: Callable[[Counter[tuple[str, str]]], None] = lambda _: None,
    count: int = COUNT,
) -> Timeline:
    told = [request(n) for n in range(count)]
    counter = Counter((each.agent, WORDS[each.outcome]) for each in told)
    counted(counter)
    return Timeline(
        schema=SCHEMA,
        program="steady",
        cell="steady",
        tempo=TEMPO,
        begun=BEGUN,
        ended=BEGUN + count / 10,
        scrape_interval=0.25,
        evaluation_interval=0.25,
        phases=(),
        ledger=Ledger(requests=tuple(requests(each) for each in told)),
        config=Config(rules_shipped={}, rules_given={}, alertmanager_shipped="", alertmanager_given=""),
        arrivals=(Arrival(backend="prometheus", ok=True, seconds=0.1),),
        logs=LogsSeen(written=None, kept=tuple(one for each in told for one in lines(each))),
        traces=TracesSeen(
            services=("osmen-gateway",),
            traces=tuple(traces(each) for each in told),
            strays=(),
            ports=(),
            answers=True,
            looked=BEGUN + count,
            query="/api/traces/…",
        ),
        metrics=MetricsSeen(
            last=tuple(
                Track(
                    labels={"__name__": "osmen_requests_total", "agent": agent, "status": status},
                    points=((BEGUN + count, float(value)),),
                )
                for (agent, status), value in counter.items()
            )
        ),
    )


promised = functools.cache(lambda: load().metrics)


def judged(seen: Timeline) -> Verdict:
    return agree.agree(promised(), seen)


def test_one_story_holds() -> None:
    """
    Where all four signals say the same of each request, the clause holds on every request.
    """
    verdict = judged(timeline())

    assert verdict.status is Status.HOLDS, verdict.text()
    assert verdict.observations == COUNT
    assert verdict.reason == "one story of 16 error, 64 success over 4 agents"


# --- bent stories -------------------------------------------------------------------------------------------------


def only(number: int, bend: Callable[[Request], Any], otherwise: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """One request's part bent, the others as they are."""
    return lambda told: bend(told) if told.request_id == f"req_{number}" else otherwise(told)


def plain(told: Request) -> list[Line]:
    return [line(told)]


def telling(number: int, **fields: object) -> Timeline:
    """One line that says something else; request 5 failed, request 6 did not."""
    return timeline(lines=only(number, lambda told: [line(told, **fields)], plain))


def spanning(number: int, **fields: Any) -> Timeline:  # noqa: ANN401  any field of a span
    return timeline(traces=only(number, lambda told: trace(told, **fields), trace))


def one_more(counter: Counter[tuple[str, str]]) -> None:
    counter["librarian", "success"] += 1


def renamed(counter: Counter[tuple[str, str]]) -> None:
    counter["librarian", "ok"] = counter.pop(("librarian", "success"))


BENT: dict[str, tuple[Callable[[], Timeline], str, str]] = {
    "the log calls a failure a success": (
        lambda: telling(5, status="success"),
        "the line tells another status (1); the counter, the log and the clients count differently (2)",
        "status error",
    ),
    "the log calls a success a failure": (lambda: telling(6, status="error"), "the line tells another status", "req_6"),
    "the log names another trace": (
        lambda: telling(6, trace_id="f" * 32),
        "the line does not name the trace (1)",
        f"trace_id {'f' * 32}",
    ),
    "the log names no trace": (
        lambda: timeline(lines=lambda told: [line(told, trace_id="absent")]),
        "the line does not name the trace (80)",
        "fields agent, duration_ms",
    ),
    "the log names another agent": (lambda: telling(6, agent="librarian2"), "another agent", "agent librarian2"),
    "the log names another user": (lambda: telling(6, user_id="user999"), "another user_id", "user_id user999"),
    "the log tells of longer than the client waited": (
        lambda: telling(6, duration_ms=60_000),
        "the line tells of longer than the client waited (1)",
        "1000.0 ms",
    ),
    "the log tells real time where the document's is meant": (
        lambda: timeline(lines=lambda told: [line(told, duration_ms=17)]),
        "lines and spans tell of different lengths",
        "lines are -16.22 ms longer than spans",
    ),
    "one line is under another id": (
        lambda: telling(6, request_id="req_other"),
        "no line tells how the request ended (1)",
        "a line with request_id req_6",
    ),
    "one line is missing": (
        lambda: timeline(lines=only(6, lambda _: [], plain)),
        "no line tells how the request ended (1)",
        "none",
    ),
    "two lines contradict each other": (
        lambda: timeline(lines=only(6, lambda told: [line(told), line(told, status="error")], plain)),
        "the line tells another status (1)",
        "status error",
    ),
    "the trace calls a failure a success": (
        lambda: spanning(5, attributes={"error": "absent", "otel.status_code": "absent"}),
        "the trace tells another outcome (1)",
        "otel.status_code unset",
    ),
    "the trace calls a success a failure": (
        lambda: spanning(6, attributes={"otel.status_code": "ERROR"}),
        "the trace tells another outcome (1)",
        "no error status",
    ),
    "the trace names another agent": (
        lambda: spanning(6, attributes={"agent.name": "librarian2"}),
        "the trace tells another agent (1)",
        "agent.name librarian2",
    ),
    "the trace is of another request": (
        lambda: spanning(6, attributes={"request.id": "req_7"}),
        "no span names the request (1)",
        "an attribute of value req_6",
    ),
    "no span names a request": (
        lambda: timeline(traces=lambda told: trace(told, attributes={"request.id": "absent"})),
        "no span names the request (80)",
        "attributes agent.name, error",
    ),
    "a trace longer than the client waited": (
        lambda: spanning(6, seconds=1.0),
        "the trace tells of longer than the client waited (1)",
        "1000.0 ms",
    ),
    "one trace is lost": (
        lambda: timeline(traces=only(6, lambda told: replace(trace(told), spans=()), trace)),
        "there is no trace (1)",
        f"trace {7:032x}",
    ),
    "the answers name no request": (
        lambda: timeline(requests=lambda told: replace(told, answered_id=None)),
        "the answer names no request (80)",
        "an X-Request-ID, or a request_id in the body",
    ),
    "one answer names another request": (
        lambda: timeline(requests=only(6, lambda told: replace(told, answered_id="req_7"), lambda told: told)),
        "no span names the request (1)",
        "an attribute of value req_7",
    ),
    "the counter counts one more": (
        lambda: timeline(counted=one_more),
        "the counter, the log and the clients count differently (1)",
        "16 lines; osmen_requests_total 17",
    ),
    "the counter has another word for a success": (
        lambda: timeline(counted=renamed),
        "the counter, the log and the clients count differently (2)",
        'osmen_requests_total{agent="librarian",status="ok"}',
    ),
    "the counter is not there": (
        lambda: replace(timeline(), metrics=MetricsSeen()),
        "the counter, the log and the clients count differently (8)",
        "osmen_requests_total 0",
    ),
    "the client saw a failure that no signal tells of": (
        lambda: timeline(
            requests=only(6, lambda told: replace(told, outcome=Outcome.ERROR, status=502), lambda told: told)
        ),
        "the trace tells another outcome (1)",
        "req_6",
    ),
}


@pytest.mark.parametrize("name", BENT)
def test_a_story_that_one_signal_tells_otherwise_is_broken(name: str) -> None:
    """
    A contradiction between two signals is found, counted and shown with its request.
    """
    bent, kind, evidence = BENT[name]
    verdict = judged(bent())

    assert verdict.status is Status.BROKEN
    assert kind in verdict.reason
    assert evidence in verdict.text()
    assert all(len(each.observed) < 300 and len(each.location) < 400 for each in verdict.findings)


def _logs(**fields: Any) -> Timeline:  # noqa: ANN401  any field of what was seen
    seen = timeline()
    assert seen.logs is not None
    return replace(seen, logs=replace(seen.logs, **fields))


def _traces(**fields: Any) -> Timeline:  # noqa: ANN401  any field of what was seen
    seen = timeline()
    assert seen.traces is not None
    return replace(seen, traces=replace(seen.traces, **fields))


def _dead(component: str) -> Timeline:
    return replace(timeline(), deaths=(Death(component=component, at=BEGUN, detail="exit code 1"),))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (lambda: _logs(lagging="79 of 80 lines after 15.0 s"), "loki had not taken in the run: 79 of 80 lines"),
        (lambda: _logs(troubles=("GET /query_range: 500",)), "loki: GET /query_range: 500"),
        (lambda: _logs(kept=()), "loki shows not one line of the run"),
        (lambda: replace(timeline(), logs=None), "the logs were not read"),
        (lambda: _traces(answers=False), "jaeger had not taken in the run"),
        (lambda: _traces(troubles=("jaeger: 200 with errors",)), "jaeger: 200 with errors"),
        (lambda: replace(timeline(), traces=None), "the traces were not read"),
        (lambda: replace(timeline(), metrics=None), "the metrics were not read"),
        (
            lambda: replace(timeline(), metrics=MetricsSeen(troubles={"prometheus": "prometheus: refused"})),
            "prometheus: refused",
        ),
        (
            lambda: replace(
                timeline(), arrivals=(Arrival(backend="prometheus", ok=False, seconds=15.0, detail="no scrape"),)
            ),
            "prometheus had not taken in the run: no scrape",
        ),
        (lambda: replace(timeline(), interrupted="it was broken off"), "not performed to its end"),
        (lambda: _dead("loki"), "loki died"),
        (lambda: _dead("promtail"), "promtail died"),
        (lambda: _dead("jaeger"), "jaeger died"),
        (lambda: _dead("gateway-steady"), "gateway-steady died"),
        (lambda: timeline(count=1), "no request ended in success"),
        (lambda: replace(timeline(), ledger=Ledger(requests=())), "no request ended in error"),
    ],
)
def test_a_story_that_could_not_be_heard_is_unproven(seen: Callable[[], Timeline], words: str) -> None:
    """
    A backend that died, lags, lies or is silent proves nothing, and the reason names it.
    """
    verdict = judged(seen())

    assert verdict.status is Status.UNPROVEN
    assert words in verdict.reason


@pytest.mark.parametrize("name", ["status", "agent", "user_id"])
def test_a_field_that_every_line_lacks_is_the_formats_matter(name: str) -> None:
    """
    What lines do not say contradicts nothing; they are compared by what they say.
    """
    seen = timeline(lines=lambda told: [line(told, **{name: "absent"})])

    assert judged(seen).status is Status.HOLDS, judged(seen).text()


@pytest.mark.parametrize("name", ["status", "agent"])
def test_a_label_that_the_counter_lacks_is_its_own_clauses_matter(name: str) -> None:
    """
    Without one of its labels the counter is compared by the other, and still found to count differently.
    """

    def without(seen: Timeline) -> Timeline:
        assert seen.metrics is not None
        last = tuple(
            replace(track, labels={label: value for label, value in track.labels.items() if label != name})
            for track in seen.metrics.last
        )
        return replace(seen, metrics=replace(seen.metrics, last=last))

    more = judged(without(timeline(counted=one_more)))

    assert judged(without(timeline())).status is Status.HOLDS, judged(without(timeline())).text()
    assert "the counter, the log and the clients count differently (1)" in more.reason


def test_two_records_in_a_line_are_two_records() -> None:
    """
    That they share a line is the format's matter.
    """

    def joined(told: Request) -> list[Line]:
        one = line(told)
        text = one.text + json.dumps({"message": "and more"})
        return [replace(one, text=text, length=len(text))]

    assert judged(timeline(lines=joined)).status is Status.HOLDS


def test_what_was_refused_leaves_no_trace_and_tells_its_story_all_the_same() -> None:
    """
    A refused request has a line and no execution; its line still has to call it refused.
    """

    def refused(told: Request) -> Request:
        return replace(told, outcome=Outcome.REFUSED, status=404) if told.request_id == "req_6" else told

    def bent(status: str) -> Timeline:
        return timeline(
            requests=refused,
            lines=only(6, lambda told: [line(told, status=status, agent=None, user_id=None, trace_id="absent")], plain),
            traces=only(6, lambda told: replace(trace(told), spans=()), trace),
            counted=lambda counter: counter.subtract({(AGENTS[6 % 4], "success"): 1}),
        )

    def traced_as(agent: str) -> Timeline:
        return timeline(
            requests=refused,
            lines=only(6, lambda told: [line(told, status="rejected", agent=None, user_id=None)], plain),
            traces=only(
                6,
                lambda told: replace(
                    trace(told),
                    spans=tuple(
                        replace(span, attributes={**span.attributes, "agent.name": agent}) for span in trace(told).spans
                    ),
                ),
                trace,
            ),
            counted=lambda counter: counter.subtract({(AGENTS[6 % 4], "success"): 1}),
        )

    # A service that traces what it refuses may call it as it likes.
    assert judged(traced_as("unknown")).status is Status.HOLDS, judged(traced_as("unknown")).text()
    assert judged(bent("rejected")).status is Status.HOLDS, judged(bent("rejected")).text()
    assert "the line tells another status (1)" in judged(bent("success")).reason
