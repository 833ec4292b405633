"""Judges the numbers in metrics: against what clients saw, what the model server counted, and the contract's prices."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.contract.model import LedgerRelation
from conformance.judge import metrics as form
from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core import clock
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from conformance.contract.model import MetricPromise, Metrics
    from conformance.judge.verdict import Verdict
    from conformance.timeline.metrics import MetricsSeen, Page, Track
    from conformance.timeline.model import Timeline
    from fixtures.load.ledger import Request

MINUTE = 60.0
"""Seconds of the document's time that the rate and the share look back: "of the last minute"."""

ACTIVE = 300.0
"""Seconds of the document's time for which a user counts as active: "of the last five minutes"."""

ALIGNMENT = 0.002
"""Real seconds by which Prometheus may move a sample's timestamp onto its grid."""

BESIDE = 0.05
"""Real seconds that noting a user may take beside the request."""

EXACT = 1e-9
"""Relative: sums of floating numbers differ in the last digits by the order in which they are added."""

CLOCKS = 1e-3
"""Relative: a service may measure with another clock of the machine than its clients."""

CLEARLY = 1.25
"""How much longer those that waited must have taken than what they may have taken beside it, to be told apart."""

Key = tuple[str, ...]

NOBODY = "(no such agent)"
"""What the agents are called here that there are not: how a service calls them is not said anywhere."""


class _Unknown(Exception):
    """Something that the comparison rests on is not known; the sentence says what."""


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What a judge is given; `seen` and `page` are what the premises hold to be there."""

    clause: str
    promise: MetricPromise
    metrics: Metrics
    timeline: Timeline
    seen: MetricsSeen

    @property
    def page(self) -> Page:
        return self.seen.pages[-1]

    @property
    def requests(self) -> tuple[Request, ...]:
        return self.timeline.ledger.requests

    @cached_property
    def nobody(self) -> set[str]:
        return form.nobody(self.requests)

    @cached_property
    def agents(self) -> set[str]:
        return {each.agent for each in self.requests} - self.nobody

    def called(self, label: str, value: str) -> str:
        """The value of a label, where it is an agent that there is."""
        return NOBODY if label == "agent" and self.nobody and value not in self.agents else value


@dataclass(frozen=True, kw_only=True, slots=True)
class _Amount:
    """What is expected of one kind of event: its labels and how much of it there was; a label may be unknown (None)."""

    labels: Mapping[str, str | None]
    much: float = 1.0


def agrees(promise: MetricPromise, metrics: Metrics, timeline: Timeline, *, quiet: bool = False) -> Verdict:
    """
    The metric's numbers are those that the clients and the model server saw.

    `quiet` says that none of it need have happened: a service may answer although what it asks is away.
    """
    clause = f"metric/{promise.name}/ledger"
    assert promise.ledger is not None, "without a relation there is no such clause"
    relation = promise.ledger
    sources = ["page", "prometheus", *(["upstream"] if relation in _OF_UPSTREAM else [])]
    seen = timeline.metrics
    reasons = [*form.premises(promise, timeline, sources=sources), *premise.flow(timeline)]
    if reasons or seen is None:
        return unproven(clause, "; ".join(reasons))
    page = seen.pages[-1]
    spared = quiet and relation is LedgerRelation.ERRORS and not len(timeline.ledger.outcome(Outcome.ERROR))
    silent = all(sample.value == 0 for sample in page.named(promise.name))
    # A series may be born with its first event; its name is there before it.
    told = form.own(promise, page) or form.declares(promise, page)
    if spared and silent and told and not form.refused(page):
        return holds(clause, observations=len(timeline.ledger), reason="no request failed, none was counted")
    if form.refused(page) or not form.own(promise, page):
        return unproven(clause, f"{promise.name} cannot be read on the page: see metric/{promise.name}")
    if any(page.counts[name] > len(page.named(name)) for name in page.counts if form.base(promise, name)):
        return unproven(clause, f"{promise.name} has too many series to add up: see metric/{promise.name}")
    try:
        return _JUDGES[relation](_Case(clause=clause, promise=promise, metrics=metrics, timeline=timeline, seen=seen))
    except _Unknown as unknown:
        return unproven(clause, str(unknown))


# --- what is counted ----------------------------------------------------------------------------------------------


def _requests(case: _Case) -> Verdict:
    amounts = [
        _Amount(labels={"agent": each.agent, "status": case.metrics.outcomes[each.outcome]}) for each in case.requests
    ]
    return _equal(case, amounts)


def _executions(case: _Case) -> Verdict:
    amounts = [
        _Amount(labels={"agent": each.agent, "status": case.metrics.outcomes[each.outcome]}) for each in _executed(case)
    ]
    return _equal(case, amounts)


def _errors(case: _Case) -> Verdict:
    """The kind is what the model server did: 499 there is a client that gave up, any other failure its own."""
    answered = {each.request_id: each.status for each in case.seen.billed}

    def kind(request: Request) -> str | None:
        status = answered.get(request.request_id, 0)
        if status == 499:
            return case.metrics.kinds["timed_out"]
        return case.metrics.kinds["failed"] if status >= 400 else None

    amounts = [
        _Amount(labels={"agent": each.agent, "kind": kind(each)})
        for each in case.timeline.ledger.outcome(Outcome.ERROR).requests
    ]
    return _equal(case, amounts)


def _tokens(case: _Case) -> Verdict:
    return _equal(case, _bill(case))


def _cost(case: _Case) -> Verdict:
    prices = {price.model: price for price in case.metrics.prices}
    amounts = []
    for each in _bill(case):
        price = prices.get(str(each.labels["model"]))
        if price is None:
            raise _Unknown(f"the contract has no price of {each.labels['model']}")
        rate = price.prompt if each.labels["type"] == "prompt" else price.completion
        labels = {name: value for name, value in each.labels.items() if name != "type"}
        amounts.append(_Amount(labels=labels, much=each.much * rate / 1000))
    return _equal(case, amounts)


def _bill(case: _Case) -> list[_Amount]:
    """The tokens that the model server counted; whose they were is told by the request's id, where it was passed on."""
    agents = {each.request_id: each.agent for each in case.requests}
    if not any(each.prompt_tokens or each.completion_tokens for each in case.seen.billed):
        raise _Unknown("the model server counted no token")
    return [
        _Amount(labels={"agent": agents.get(each.request_id), "model": each.model, "type": kind}, much=tokens)
        for each in case.seen.billed
        for kind, tokens in (("prompt", each.prompt_tokens), ("completion", each.completion_tokens))
        if tokens
    ]


def _given_up_late(case: _Case) -> bool:
    """Whether a request failed that the model server had answered: a service that stood still may not have heard it."""
    failed = {each.request_id for each in case.timeline.ledger.outcome(Outcome.ERROR).requests}
    return any(each.request_id in failed and each.status < 400 for each in case.seen.billed)


def _executed(case: _Case) -> tuple[Request, ...]:
    """A request that is refused as its client's mistake is not executed."""
    return case.timeline.ledger.outcome(Outcome.SUCCESS, Outcome.ERROR).requests


def _equal(case: _Case, amounts: Sequence[_Amount]) -> Verdict:
    """Every sum by the labels equals what was expected, and so do the totals."""
    samples = case.page.named(case.promise.name)
    unknown = {label for each in amounts for label, value in each.labels.items() if value is None}
    # A label that a series lacks is told by the clause of the name; the numbers are still compared by the others.
    common = set.intersection(*(set(sample.labels) for sample in samples)) if samples else set()
    labels = [label for label in case.promise.labels if label not in unknown and label in common]
    expected: defaultdict[Key, list[float]] = defaultdict(list)
    for each in amounts:
        expected[tuple(case.called(label, str(each.labels[label])) for label in labels)].append(each.much)
    observed: defaultdict[Key, list[float]] = defaultdict(list)
    for sample in samples:
        observed[tuple(case.called(label, sample.labels[label]) for label in labels)].append(sample.value)
    findings = []
    for key in sorted({*expected, *observed}):
        wanted, has = math.fsum(expected.get(key, ())), math.fsum(observed.get(key, ()))
        if not math.isclose(wanted, has, rel_tol=EXACT, abs_tol=1e-12):
            pairs = ", ".join(f"{label}={value!r}" for label, value in zip(labels, key, strict=True))
            query = f"{case.promise.name}{{{pairs}}}"
            findings.append(Finding(expected=f"{wanted:.12g}", observed=f"{has:.12g}", query=query))
    wanted = math.fsum(each.much for each in amounts)
    has = math.fsum(sample.value for sample in samples)
    by = f" by {', '.join(labels)}" if labels else ""
    if findings:
        all_of_it = f"{wanted:.12g} {case.promise.unit} in total"
        total = Finding(expected=all_of_it, observed=f"{has:.12g}", clients=_clients(case))
        return broken(
            case.clause,
            "does not count what happened",
            total,
            *findings[: form.SHOWN],
            observations=len(amounts),
            lasting=not (case.promise.ledger in _BILLED and _given_up_late(case)),
        )
    untold = f"; {', '.join(sorted(unknown))} cannot be told" if unknown else ""
    reason = f"{has:.12g} {case.promise.unit}{by}, as counted outside{untold}"
    return holds(case.clause, observations=len(amounts), reason=reason)


def _clients(case: _Case) -> str:
    ended = Counter(each.outcome for each in case.requests)
    parts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(ended.items()))
    return f"{len(case.requests)} requests: {parts}"


# --- durations ----------------------------------------------------------------------------------------------------


def _latency(case: _Case) -> Verdict:
    return _durations(case, case.requests)


def _execution_latency(case: _Case) -> Verdict:
    return _durations(case, _executed(case))


def _durations(case: _Case, requests: Sequence[Request]) -> Verdict:
    """
    By agent the count is exact, and what the service measured is no more than its clients did: it is a part of that.

    Together it is no less than the latency of the requests that the model server let wait, less what these may have
    taken beside waiting: each as much as the longer half of the others took meanwhile, on the same machine.
    """
    if form.malformed(case.promise, case.page):
        raise _Unknown(f"{case.promise.name} is no histogram to be read: see metric/{case.promise.name}/type")
    buckets = form.buckets_of(case.promise, case.page)
    if not buckets or any("agent" not in dict(labels) for labels in buckets):
        raise _Unknown(f"there are no buckets by agent: see metric/{case.promise.name}")
    waited = {each.request_id for each in case.seen.billed if each.stalled}
    slow = [each.latency for each in requests if each.request_id in waited]
    plain = [each.latency for each in requests if each.request_id not in waited]
    beside = len(slow) * _longer_half(_meanwhile(requests, waited) or plain)
    if not slow or math.fsum(slow) < CLEARLY * beside:
        waits = f"{len(slow)} had to wait and took {math.fsum(slow):.3f} s, as many others {beside:.3f} s"
        raise _Unknown(f"no request was slow enough to tell by: {waits if slow else 'none had to wait'}")
    agents = {case.called("agent", each.agent) for each in requests}
    agents |= {case.called("agent", dict(labels)["agent"]) for labels in buckets}
    findings = [
        finding
        for agent in sorted(agents)
        for finding in _of_agent(
            case, agent, [each.latency for each in requests if case.called("agent", each.agent) == agent]
        )
    ]
    findings += _waiting(case, slow, plain, beside)
    if findings:
        return broken(
            case.clause, "does not measure what clients saw", *findings[: form.SHOWN], observations=len(requests)
        )
    has = math.fsum(sample.value for sample in case.page.named(f"{case.promise.name}_sum")) / len(requests)
    seen = math.fsum(each.latency for each in requests) / len(requests) * case.timeline.tempo
    return holds(
        case.clause,
        observations=len(requests),
        reason=f"{len(requests)} durations, mean {has:.3f} s where clients saw {seen:.3f} s; {len(slow)} had to wait",
    )


def _meanwhile(requests: Sequence[Request], waited: Container[str]) -> list[float]:
    """The latencies of those that did not have to wait, from the first that had to until the last of them."""
    slow = [each for each in requests if each.request_id in waited]
    start, end = min((each.sent for each in slow), default=0.0), max((each.finished for each in slow), default=0.0)
    return [e.latency for e in requests if e.request_id not in waited and start <= e.sent and e.finished <= end]


def _longer_half(latencies: Sequence[float]) -> float:
    """The mean of the longer half; 0 of none."""
    half = sorted(latencies, reverse=True)[: (len(latencies) + 1) // 2]
    return math.fsum(half) / max(1, len(half))


def _of_agent(case: _Case, agent: str, latencies: Sequence[float]) -> Iterator[Finding]:
    """The count is that of the requests, and no duration is longer than its client saw it."""
    name = case.promise.name
    where = f'agent!~"{"|".join(sorted(case.agents))}"' if agent == NOBODY else f'agent="{agent}"'
    most = [latency * (1 + CLOCKS) * case.timeline.tempo for latency in latencies]
    clients = f"{len(most)} requests, mean {math.fsum(most) / max(1, len(most)):.3f} s"
    because = "a service's time is part of its client's"

    def value(part: str) -> float:
        samples = case.page.named(f"{name}{part}")
        return math.fsum(s.value for s in samples if case.called("agent", s.labels.get("agent", "")) == agent)

    if value("_count") != len(most):
        query = f"{name}_count{{{where}}}"
        yield Finding(expected=f"{len(most)} durations", observed=f"{value('_count'):g}", query=query)
        return
    if not 0 <= value("_sum") <= math.fsum(most) + CLOCKS:
        yield Finding(
            expected=f"at most {math.fsum(most):.3f} s in total",
            observed=f"{value('_sum'):.6g} s",
            query=f"{name}_sum{{{where}}}",
            clients=clients,
            because=because,
        )
    for labels, buckets in form.buckets_of(case.promise, case.page).items():
        for bound, has in sorted(buckets.items()) if case.called("agent", dict(labels)["agent"]) == agent else ():
            low = sum(each <= bound for each in most)
            if has < low:
                yield Finding(
                    expected=f"at least {low} requests of at most {bound:g} s",
                    observed=f"{has:g}",
                    query=f'{name}_bucket{{{where}, le="{bound:g}"}}',
                    clients=clients,
                    because=because,
                )
                break


def _waiting(case: _Case, slow: Sequence[float], plain: Sequence[float], beside: float) -> Iterator[Finding]:
    """What the model server let wait is in the sum and in no bucket that is too low for it."""
    name, tempo = case.promise.name, case.timeline.tempo
    least = (math.fsum(slow) - beside) * tempo
    because = (
        f"{len(slow)} requests had to wait and took {math.fsum(slow) * tempo:.3f} s together; beside waiting at most "
        f"{beside * tempo:.3f} s, as long as the longer half of the others took meanwhile"
    )
    has = math.fsum(sample.value for sample in case.page.named(f"{name}_sum"))
    if has < least:
        yield Finding(
            expected=f"at least {least:.3f} s in total",
            observed=f"{has:.6g} s",
            query=f"sum({name}_sum)",
            because=because,
        )
        return
    counts: Counter[float] = Counter()
    for buckets in form.buckets_of(case.promise, case.page).values():
        counts.update(buckets)
    for bound, count in sorted(counts.items()):
        # How many of the slow could be that short: the cheapest first, until what there is beside waiting is used up.
        left, hidden = beside, 0
        for needed in sorted(max(0.0, latency - bound / tempo) for latency in slow):
            left -= needed
            hidden += left >= 0
        if count > len(plain) + hidden:
            yield Finding(
                expected=f"at most {len(plain) + hidden} requests of at most {bound:g} s",
                observed=f"{count:g}",
                query=f'sum({name}_bucket{{le="{bound:g}"}})',
                because=because,
            )
            return


# --- gauges -------------------------------------------------------------------------------------------------------


class _Sent:
    """Requests in the order in which they were sent, so that a window need not look at all of them."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = sorted(requests, key=lambda each: each.sent)
        self._sent = [each.sent for each in self._requests]
        self._longest = max((each.latency for each in self._requests), default=0.0)

    def around(self, start: float, end: float) -> list[Request]:
        """Those that were sent until `end` and had not finished by `start`, and perhaps some before."""
        first = bisect_left(self._sent, start - self._longest)
        return self._requests[first : bisect_right(self._sent, end)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Range:
    low: float
    high: float


def _rate(case: _Case) -> Verdict:
    window, sent = MINUTE / case.timeline.tempo, _Sent(case.requests)

    def expect(at: float, later: float) -> _Range:
        sure, maybe = _finished(sent, at, later, window)
        return _Range(low=len(sure) / MINUTE, high=len(maybe) / MINUTE)

    return _followed(case, expect, f"finished within {MINUTE:g} s (real: {window:g} s)")


def _share(case: _Case) -> Verdict:
    window, sent = MINUTE / case.timeline.tempo, _Sent(case.requests)
    if not len(case.timeline.ledger.outcome(Outcome.ERROR)):
        raise _Unknown("no request failed: a share of 0 would say nothing")

    def expect(at: float, later: float) -> _Range:
        sure, maybe = _finished(sent, at, later, window)
        bad = (
            sum(each.outcome is Outcome.ERROR for each in sure),
            sum(each.outcome is Outcome.ERROR for each in maybe),
        )
        good = (len(sure) - bad[0], len(maybe) - bad[1])
        low = bad[0] / (bad[0] + good[1]) if bad[0] else 0.0
        high = bad[1] / (bad[1] + good[0]) if bad[1] else 0.0
        return _Range(low=low, high=high)

    return _followed(case, expect, f"failed within {MINUTE:g} s (real: {window:g} s)")


def _finished(sent: _Sent, at: float, later: float, window: float) -> tuple[list[Request], list[Request]]:
    """Those that a window which ended in [at, later] holds for sure, and those that it may hold."""
    near = sent.around(at - window, later)
    sure = [each for each in near if each.finished <= at and each.sent > later - window]
    maybe = [each for each in near if each.sent <= later and each.finished > at - window]
    return sure, maybe


def _users(case: _Case) -> Verdict:
    """
    The figure may be as old as two scrape intervals: one by design, one while the service is busy.

    The service's own timer does not follow the tempo for ever: half a real second is never too old.
    """
    window, old = ACTIVE / case.timeline.tempo, max(2 * case.timeline.scrape_interval, 0.5)
    sent = _Sent(case.requests)

    def expect(at: float, later: float) -> _Range:
        requests = sent.around(at - old - window - BESIDE, later)
        sure = {
            each.user
            for each in requests
            if each.outcome is not Outcome.REFUSED and each.finished + BESIDE <= at - old and each.sent > later - window
        }
        maybe = {each.user for each in requests if each.sent <= later and each.finished + BESIDE > at - old - window}
        return _Range(low=len(sure), high=len(maybe))

    about = f"active within {ACTIVE:g} s (real: {window:g} s), {old:g} s old at most"
    return _followed(case, expect, about)


def _followed(
    case: _Case,
    expect: Callable[[float, float], _Range],
    about: str,
) -> Verdict:
    """
    Every sample of a gauge lies between what a window held for sure and what it may have held.

    The page was made between the sample's timestamp and the end of its scrape; a request counts somewhere between being
    sent and being answered.
    """
    track = _single(case)
    took = {
        at: value
        for one in case.timeline.scrape_durations
        if one.labels.get("job") == case.promise.source
        for at, value in one.points
    }
    longest = max(took.values(), default=case.timeline.scrape_interval)
    findings, levels = [], set()
    for at, value in track.points:
        expected = expect(at - ALIGNMENT, at + ALIGNMENT + took.get(at, longest))
        levels.add(expected.low)
        slip = EXACT * max(1.0, expected.high)
        if value is None or not expected.low - slip <= value <= expected.high + slip:
            findings.append(
                Finding(
                    expected=f"{expected.low:.6g} to {expected.high:.6g} {case.promise.unit}",
                    observed="no number" if value is None else f"{value:.6g}",
                    query=case.promise.name,
                    location=f"at {clock.at(at)} UTC",
                    because=f"{about}; the scrape took {took.get(at, longest):.3f} s",
                )
            )
    if findings:
        reason = f"{len(findings)} of {len(track.points)} samples are not what clients saw"
        return broken(case.clause, reason, *findings[: form.SHOWN], observations=len(track.points))
    if len(levels) < 2:
        raise _Unknown(
            f"clients' own figure never changed ({', '.join(f'{each:g}' for each in levels)}): a constant would do"
        )
    values = [value for _, value in track.points if value is not None]
    reason = (
        f"{len(values)} samples from {min(values):.4g} to {max(values):.4g} {case.promise.unit}, each as clients saw it"
    )
    return holds(case.clause, observations=len(values), reason=reason)


def _single(case: _Case) -> Track:
    tracks = [each for each in case.seen.tracks if each.name == case.promise.name and each.points]
    if len(tracks) != 1:
        name = case.promise.name
        raise _Unknown(f"Prometheus has samples of {len(tracks)} series of {name}, not of one: see metric/{name}")
    return tracks[0]


_OF_UPSTREAM = {
    LedgerRelation.ERRORS,
    LedgerRelation.TOKENS,
    LedgerRelation.COST,
    LedgerRelation.LATENCY,
    LedgerRelation.EXECUTION_LATENCY,
}
_BILLED = {LedgerRelation.TOKENS, LedgerRelation.COST}
_JUDGES: Mapping[LedgerRelation, Callable[[_Case], Verdict]] = {
    LedgerRelation.REQUESTS: _requests,
    LedgerRelation.EXECUTIONS: _executions,
    LedgerRelation.ERRORS: _errors,
    LedgerRelation.TOKENS: _tokens,
    LedgerRelation.COST: _cost,
    LedgerRelation.LATENCY: _latency,
    LedgerRelation.EXECUTION_LATENCY: _execution_latency,
    LedgerRelation.REQUEST_RATE: _rate,
    LedgerRelation.ERROR_SHARE: _share,
    LedgerRelation.USERS: _users,
}
