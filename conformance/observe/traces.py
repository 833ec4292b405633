"""
What a Jaeger says: the trace of each answered request, strays that name one, and the suite's own spans by port.

Of a request whose client named no trace it is the one that the service began.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from conformance.observe.client import Client, ObserveError
from conformance.timeline.traces import PortSeen, Trace, TracedEvent, TracedSpan, TracesSeen
from fixtures.core import clock, patience, wait
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fixtures.load.ledger import Ledger, Request

QUERY = "/api/traces"
BATCH = 100
"""Traces asked for at once: 4 KiB of address, half a MiB of answer."""

SETTLED = 1.0
"""Seconds after a request's end from which its trace is taken to be whole: its spans may leave in several batches."""

STRAYS = 1500
"""How many traces of a service are searched for a request whose own trace is missing."""

LONGEST = 4000
"""Characters of one value that are kept; a longer one keeps its beginning and its end."""

SAMPLING, QUERYING = 5778, 16686
"""The two documented ports that take no span: what they do is answer."""

STRATEGIES = ("PROBABILISTIC", "RATE_LIMITING")


@dataclass(frozen=True, kw_only=True, slots=True)
class SentSpan:
    """A span of the suite's own that was given to one port; `refused` says why it was not taken."""

    port: int
    address: str
    trace_id: str
    span_id: str
    refused: str = ""


@dataclass(kw_only=True, slots=True)
class _Search:
    """What is still looked for, and what was found so far."""

    wanted: Mapping[str, float]
    """By trace id: when its request was finished."""
    open: set[str]
    found: dict[str, Trace] = field(default_factory=dict)
    absent_until: dict[str, float] = field(default_factory=dict)
    trouble: str = ""

    def look(self, client: Client) -> bool:
        """One look at everything open; True when nothing is left open."""
        at = clock.now()
        try:
            seen = {trace.trace_id: trace for trace in by_ids(client, sorted(self.open))}
        except ObserveError as error:
            self.trouble = str(error)
            return False
        self.trouble = ""
        for trace_id in tuple(self.open):
            if trace_id not in seen:
                self.absent_until[trace_id] = at
                continue
            self.found[trace_id] = replace(seen[trace_id], absent_until=self.absent_until.get(trace_id, 0.0))
            if at - self.wanted[trace_id] >= SETTLED:
                self.open.discard(trace_id)
        return not self.open


def traces(
    client: Client,
    ledger: Ledger,
    *,
    sent: Sequence[SentSpan],
    ports: Mapping[int, str],
    budget: float = patience.INGESTION,
) -> TracesSeen:
    """
    Wait until the trace of each answered request and each span of the suite's own is there, and read them.

    What is not there when the budget is spent is missing. `ports` gives the address of each documented port.
    """
    executed = ledger.outcome(Outcome.SUCCESS, Outcome.ERROR).requests
    answered = {each.trace_id: each.finished for each in executed if each.trace_id}
    own = {each.trace_id: clock.now() for each in sent if not each.refused}
    search = _Search(wanted={**answered, **dict.fromkeys(own, 0.0)}, open={*answered, *own})
    until = clock.mono() + budget
    # With nothing to look for, the query port is asked once all the same.
    wait.until(lambda: search.look(client), bool, budget=budget, every=patience.SETTLE)
    troubles = [search.trouble] if search.trouble else []
    services: tuple[str, ...] = ()
    strays: tuple[Trace, ...] = ()
    begun = _Begun(requests=[each for each in executed if not each.trace_id])
    try:
        services = _services(client)
        if any(trace_id not in search.found for trace_id in answered):
            strays = _strays(client, ledger, services)
        if services:
            left = max(0.0, until - clock.mono())
            wait.until(lambda: begun.look(client, services), bool, budget=left, every=patience.SETTLE)
            troubles += [begun.trouble] if begun.trouble else []
    except ObserveError as error:
        troubles.append(str(error))
    found = {trace_id: trace for trace_id, trace in search.found.items() if trace_id in answered}
    back = own.keys() & search.found.keys()
    last = max(answered, key=lambda trace_id: answered[trace_id], default="")
    return TracesSeen(
        services=services,
        traces=(*found.values(), *begun.found.values()),
        begun={request_id: trace.trace_id for request_id, trace in begun.found.items()},
        strays=strays,
        ports=(
            *(_found_again(each, search) for each in sent),
            *((_sampling(ports[SAMPLING]),) if SAMPLING in ports else ()),
            *((_querying(ports[QUERYING], search, services, troubles),) if QUERYING in ports else ()),
        ),
        answers=bool(back) or last in found,
        looked=clock.now(),
        query=f"{QUERY}?traceID=…",
        troubles=tuple(troubles),
    )


def by_ids(client: Client, ids: Sequence[str]) -> Iterable[Trace]:
    """
    The traces that there are under `ids`.

    Raises ObserveError where the answer leaves open whether one of them is there.
    """
    for first in range(0, len(ids), BATCH):
        asked = ids[first : first + BATCH]
        answer = client.json(QUERY, {"traceID": list(asked)})
        seen = _read(client, answer, dict.fromkeys(asked, ""))
        absent = {_id(each.get("traceID")) for each in answer.get("errors") or () if _not_found(each)}
        if silent := [each for each in asked if each not in seen and each not in absent]:
            raise ObserveError(
                f"{client.name}: {QUERY}: gives neither the trace {silent[0]} nor says that there is none "
                f"({len(silent)} of {len(asked)} asked for)"
            )
        yield from seen.values()


def _read(client: Client, answer: Any, asked: Mapping[str, str]) -> dict[str, Trace]:  # noqa: ANN401  checked here
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise ObserveError(f"{client.name}: {QUERY}: holds no list of traces: {json.dumps(answer)[:200]}")
    errors = [each for each in answer.get("errors") or () if not (asked and _not_found(each))]
    if errors:
        raise ObserveError(f"{client.name}: {QUERY}: answered with an error: {json.dumps(errors[0])[:200]}")
    try:
        found = [_trace(each) for each in answer["data"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ObserveError(
            f"{client.name}: {QUERY}: holds what is no trace ({type(error).__name__}: {error})"
        ) from error
    if strange := [each.trace_id for each in found if asked and each.trace_id not in asked]:
        raise ObserveError(f"{client.name}: {QUERY}: gave the trace {strange[0]}, which was not asked for")
    return {each.trace_id: each for each in found}


def _not_found(error: object) -> bool:
    return isinstance(error, dict) and bool(error.get("traceID")) and "not found" in str(error.get("msg"))


def _trace(data: Mapping[str, Any]) -> Trace:
    processes = data["processes"]
    return Trace(
        trace_id=_id(data["traceID"]),
        spans=tuple(_span(each, processes[each["processID"]]["serviceName"]) for each in data["spans"]),
    )


def _span(data: Mapping[str, Any], service: str) -> TracedSpan:
    parents = [each["spanID"] for each in data.get("references") or () if each["refType"] == "CHILD_OF"]
    return TracedSpan(
        span_id=str(data["spanID"]).zfill(16),
        parent_id=str(parents[0]).zfill(16) if parents else "",
        name=data["operationName"],
        service=service,
        start=data["startTime"] / 1_000_000,
        seconds=data["duration"] / 1_000_000,
        attributes=_attributes(data.get("tags") or ()),
        events=tuple(_event(each["fields"]) for each in data.get("logs") or ()),
    )


def _event(fields: Iterable[Mapping[str, Any]]) -> TracedEvent:
    named = _attributes(fields)
    return TracedEvent(name=named.pop("event", ""), attributes=named)


def _attributes(pairs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {each["key"]: _short(each["value"]) for each in pairs}


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … {len(text) - LONGEST} characters … {text[-half:]}"


def _id(text: object) -> str:
    # A number written without its leading zeros is the same id.
    return str(text or "").zfill(32)


def _services(client: Client) -> tuple[str, ...]:
    answer = client.json("/api/services")
    if not isinstance(answer, dict) or answer.get("errors") or not isinstance(answer.get("data") or [], list):
        raise ObserveError(f"{client.name}: /api/services: holds no list of services: {json.dumps(answer)[:200]}")
    return tuple(sorted(str(each) for each in answer.get("data") or ()))


@dataclass(kw_only=True, slots=True)
class _Begun:
    """By request whose client named no trace: the one that the service began, found by its id and its time."""

    requests: Sequence[Request]
    found: dict[str, Trace] = field(default_factory=dict)
    absent_until: dict[str, float] = field(default_factory=dict)
    trouble: str = ""

    def look(self, client: Client, services: Sequence[str]) -> bool:
        """One look at all that were not found yet; True when none is left."""
        try:
            for request in self.requests:
                if request.request_id not in self.found:
                    self._look(client, services, request)
        except ObserveError as error:
            self.trouble = str(error)
            return False
        self.trouble = ""
        return len(self.found) == len(self.requests)

    def _look(self, client: Client, services: Sequence[str], request: Request) -> None:
        at, ids = clock.now(), {request.request_id, request.answered_id or request.request_id}
        span = {"start": str(round(request.sent * 1e6)), "end": str(round(request.finished * 1e6))}
        own: list[Trace] = []
        for service in services:
            answer = client.json(QUERY, {"service": service, "limit": str(STRAYS), **span})
            own += [trace for trace in _read(client, answer, {}).values() if ids & _values(trace)]
        if not own:
            self.absent_until[request.request_id] = at
            return
        # What a service does for a request in a trace of its own comes after the request's.
        first = min(own, key=lambda trace: min(span.start for span in trace.spans))
        self.found[request.request_id] = replace(first, absent_until=self.absent_until.get(request.request_id, 0.0))


def _values(trace: Trace) -> set[str]:
    return {value for span in trace.spans for value in span.attributes.values()}


def _strays(client: Client, ledger: Ledger, services: Sequence[str]) -> tuple[Trace, ...]:
    """Traces under other ids, of any service, one of whose values is the id of one of the ledger's requests."""
    requests = {each.request_id for each in ledger.requests}
    own = {each.trace_id for each in ledger.requests}
    span = {"start": str(round(ledger.requests[0].sent * 1e6)), "end": str(round(clock.now() * 1e6))}
    found: dict[str, Trace] = {}
    for service in services:
        answer = client.json(QUERY, {"service": service, "limit": str(STRAYS), **span})
        for trace in _read(client, answer, {}).values():
            if trace.trace_id not in own and _values(trace) & requests:
                found[trace.trace_id] = trace
    return tuple(found.values())


def _found_again(span: SentSpan, search: _Search) -> PortSeen:
    trace = search.found.get(span.trace_id)
    ids = [each.span_id for each in trace.spans] if trace is not None else []
    said = f"spans {', '.join(ids)} under its trace id" if ids else "no trace under its id"
    return PortSeen(
        port=span.port,
        address=span.address,
        query=f"{QUERY}?traceID={span.trace_id}",
        found=span.span_id in ids,
        refused=span.refused,
        said=search.trouble or said,
    )


def _sampling(address: str) -> PortSeen:
    path = "/sampling?service=conformance-suite"
    seen = PortSeen(port=SAMPLING, address=address, query=f"GET {path}", found=False)
    try:
        with Client("jaeger's sampling port", f"http://{address}") as client:
            answer = client.json("/sampling", {"service": "conformance-suite"})
    except ObserveError as error:
        return replace(seen, refused=str(error))
    good = isinstance(answer, dict) and answer.get("strategyType", "PROBABILISTIC") in STRATEGIES
    rate = (answer.get("probabilisticSampling") or {}).get("samplingRate") if good else None
    limit = (answer.get("rateLimitingSampling") or {}).get("maxTracesPerSecond") if good else None
    shares = isinstance(rate, int | float) and 0 <= rate <= 1
    limits = isinstance(limit, int | float) and limit >= 0
    return replace(seen, found=shares or limits, said=json.dumps(answer)[:200])


def _querying(address: str, search: _Search, services: Sequence[str], troubles: Sequence[str]) -> PortSeen:
    found = len(search.found)
    return PortSeen(
        port=QUERYING,
        address=address,
        query=f"GET {QUERY}?traceID=…",
        found=found > 0 and not troubles,
        refused=troubles[0] if troubles else "",
        said=f"{found} of {len(search.wanted)} traces; services: {', '.join(services) or 'none'}",
    )
