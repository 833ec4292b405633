"""
Judges what recording rules record: each sample against what clients saw in the window that ended at its evaluation.

A rule is evaluated while scrapes are under way: the newest may be in its window or not, and both are allowed for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.contract.model import LedgerRelation, RecordedFigure
from conformance.judge import metrics as form
from conformance.judge import panels, premise
from conformance.judge.panels import ALIGNMENT, GATEWAY, Bound, Case
from conformance.judge.verdict import Finding, broken, holds, unproven
from conformance.timeline.boards import Asked, BoardsSeen, paid
from fixtures.core import clock
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.contract.model import Contract, MetricPromise, RecordedPromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.metrics import MetricsSeen, Track
    from conformance.timeline.model import Timeline
    from fixtures.load.ledger import Request

COMMITTED = 0.05
"""Real seconds after the end of a scrape until all of its samples can be read."""

AMISS = 0.1
"""The share of the samples that may lie outside of their bounds: an evaluation or two of a busy machine."""

SHOWN = 3
"""Findings that a verdict carries."""


def agrees(promise: RecordedPromise, contract: Contract, timeline: Timeline) -> Verdict:
    """The rule records, at every evaluation, the figure that clients saw over its window."""
    clause, seen = promise.clause_id, timeline.metrics
    reasons = [*form.premises(None, timeline, sources=("page", "prometheus", "upstream")), *premise.flow(timeline)]
    if seen is not None and seen.recorded is None:
        reasons.append("what the rules recorded was not read")
    elif seen is not None and not seen.scraped:
        reasons.append(f"Prometheus never scraped {GATEWAY}: there was nothing to record")
    if reasons or seen is None or seen.recorded is None:
        return unproven(clause, "; ".join(dict.fromkeys(reasons)))
    found = [track for track in seen.recorded if track.name == promise.name]
    if len(found) != 1:
        return broken(clause, *_not_one(promise, found, timeline))
    if failed := _errorless(promise, timeline):
        return unproven(clause, failed)
    return _followed(promise, contract, timeline, found[0])


def unknown(contract: Contract, timeline: Timeline) -> tuple[str, ...]:
    """The recording rules that the contract says nothing of."""
    promised = {each.name for each in contract.metrics.recorded}
    return tuple(sorted({each.name for each in timeline.rules if each.kind == "recording"} - promised))


def _not_one(promise: RecordedPromise, found: Sequence[Track], timeline: Timeline) -> tuple[str, Finding]:
    rules = [each for each in timeline.rules if each.kind == "recording"]
    if found:
        labels = [{name: value for name, value in each.labels.items() if name != "__name__"} for each in found]
        said = f"{len(found)} series: {', '.join(map(str, labels[: form.SHOWN]))}"
        reason = "is recorded as more than one series"
    else:
        names = ", ".join(sorted({each.name for each in rules})) or "none"
        own = next((each for each in rules if each.name == promise.name), None)
        said = f"no sample; rules that record: {names}" if own is None else f"no sample of the rule {own.expr}"
        reason = "is not recorded"
    return reason, Finding(expected=f"one series {promise.name}", observed=said, query=promise.name)


def _errorless(promise: RecordedPromise, timeline: Timeline) -> str:
    if promise.figure in (RecordedFigure.ERROR_RATE, RecordedFigure.ERROR_SHARE) and not len(
        timeline.ledger.outcome(Outcome.ERROR)
    ):
        return "no request failed: a constant 0 would do"
    return ""


def _followed(promise: RecordedPromise, contract: Contract, timeline: Timeline, track: Track) -> Verdict:
    clause = promise.clause_id
    world = _World.of(promise, contract, timeline)
    bounds = {at: bound for at, _ in track.points if (bound := world.at(at)) is not None}
    if promise.figure is RecordedFigure.LATENCY and not world.bounds:
        return unproven(clause, "the page has no buckets of the request's duration to tell a quantile by")
    wanted = _wanted(world, timeline)
    if wanted == 0:
        return unproven(clause, f"the run was shorter than a window of {world.window:g} s")
    values = {at: value for at, value in track.points if at in bounds}
    known = {at: value for at, value in values.items() if value is not None}
    if len(known) < wanted / 2:
        said = f"{len(known)} numbers at {wanted} evaluations"
        if timeline.missed_evaluations:
            return unproven(clause, f"{said}, of which {timeline.missed_evaluations:g} were missed")
        finding = Finding(expected=f"a number at each of {wanted} evaluations", observed=said, query=promise.name)
        return broken(clause, "is recorded too seldom", finding)
    outside = [at for at, value in values.items() if value is None or not bounds[at].holds(value)]
    mean, expected = math.fsum(known.values()) / len(known), Bound.mean(bounds[at] for at in known)
    if len(outside) > AMISS * len(values) or not expected.holds(mean):
        because = f"of {world.window:g} real seconds before each evaluation; a request counts between sent and answered"
        findings = [
            Finding(
                expected=f"{bounds[at].text()} {promise.unit}",
                observed="no number" if values[at] is None else f"{values[at]:.6g}",
                query=promise.name,
                location=f"at {clock.at(at)} UTC",
                because=because,
            )
            for at in sorted(outside, key=lambda at: -bounds[at].off(values[at]))[:SHOWN]
        ] or [
            Finding(
                expected=f"{expected.text()} {promise.unit} on average",
                observed=f"{mean:.6g}",
                query=promise.name,
                because=because,
            )
        ]
        reason = f"{len(outside)} of {len(values)} samples are not what clients saw"
        return broken(clause, reason, *findings, observations=len(values))
    if max(bounds[at].low for at in known) <= min(bounds[at].high for at in known):
        return unproven(clause, "what clients saw hardly changed: a constant would do", observations=len(known))
    reason = (
        f"{len(known)} samples from {min(known.values()):.4g} to {max(known.values()):.4g} {promise.unit}, "
        "each as clients saw it"
    )
    return holds(clause, observations=len(known), reason=reason)


def _wanted(world: _World, timeline: Timeline) -> int:
    """How many evaluations have a number for sure: those a window after the first request."""
    first = min((each.finished for each in timeline.ledger.requests), default=timeline.ended)
    return max(0, int((timeline.ended - first - world.window) / timeline.evaluation_interval))


@dataclass(frozen=True, kw_only=True)
class _World:
    """What a rule must record at an instant, by when its service was scraped."""

    promise: RecordedPromise
    case: Case
    bounds: tuple[float, ...]
    """The upper bounds of the histogram's buckets, in the document's seconds."""
    nobody: frozenset[str]
    """The agents that clients asked for and that there are not."""
    ended: Mapping[str, str]
    """By request that failed at the model server: whether that answered with an error, or was given up (499)."""

    @classmethod
    def of(cls, promise: RecordedPromise, contract: Contract, timeline: Timeline) -> _World:
        assert timeline.metrics is not None, "a premise"
        window = promise.window.total_seconds() / timeline.tempo
        # As a panel that is asked for one instant: it looks back over its whole range.
        asked = Asked(
            board="", panel="", ref="", phase="", values={}, query=promise.name, start=0.0, end=window, step=0.0
        )
        seen = BoardsSeen(paid=paid(timeline.metrics.billed))
        case = Case(timeline=timeline, contract=contract, seen=seen, asked=asked)
        # The first windows begin before the run.
        scrapes = replace(case.scrapes(GATEWAY), instants=timeline.metrics.scraped)
        case.memory[f"scrapes {GATEWAY}"] = scrapes
        latency = next((each for each in contract.metrics.promises if each.ledger is LedgerRelation.LATENCY), None)
        return cls(
            promise=promise,
            case=case,
            bounds=() if latency is None else _buckets(latency, timeline.metrics),
            nobody=frozenset(form.nobody(timeline.ledger.requests)),
            ended={
                each.request_id: "given up" if each.status == 499 else "failed"
                for each in timeline.metrics.billed
                if each.status >= 400
            },
        )

    @property
    def window(self) -> float:
        return self.case.window

    def at(self, instant: float) -> Bound | None:
        """The least and the most, whichever of the newest scrapes were seen; None where that is not known."""
        scrapes = self.case.scrapes(GATEWAY)
        seen = scrapes.instants[: bisect_right(scrapes.instants, round(instant, 3))]
        found = []
        while seen:
            known = replace(
                self.case, memory={**self.case.memory, f"scrapes {GATEWAY}": replace(scrapes, instants=seen)}
            )
            found.append(known)
            if seen[-1] + scrapes.lasted(seen[-1]) + COMMITTED + ALIGNMENT < instant:
                break
            seen = seen[:-1]
        return _FIGURES[self.promise.figure](self, found, instant)


def _buckets(promise: MetricPromise, seen: MetricsSeen) -> tuple[float, ...]:
    """The upper bounds of a histogram's buckets; empty where they cannot be read."""
    found = {
        bound for page in seen.pages[-1:] for buckets in form.buckets_of(promise, page).values() for bound in buckets
    }
    return tuple(sorted(bound for bound in found if not math.isnan(bound)))


def _union(bounds: Iterable[Bound | None]) -> Bound | None:
    """Whichever it was; None of none, or where one is not known."""
    found = list(bounds)
    known = [each for each in found if each is not None]
    if not known or len(known) < len(found):
        return None
    return Bound(low=min(each.low for each in known), high=max(each.high for each in known))


def _answered(case: Case) -> list[Request]:
    return [each for each in case.requests if each.outcome is not Outcome.LOST]


def _rate(world: _World, cases: Sequence[Case], instant: float, *, errors: bool) -> Bound | None:
    """What may be recorded of all requests, or of those that failed; each series is extended by itself."""

    def series(each: Request) -> tuple[str, ...]:
        agent = "" if each.agent in world.nobody else each.agent
        # Errors are counted by their kind, which is what the model server did.
        return (agent, world.ended.get(each.request_id, "")) if errors else (agent, each.outcome)

    def of(case: Case) -> Bound | None:
        requests = [each for each in _answered(case) if not errors or each.outcome is Outcome.ERROR]
        return panels.sum_of(case.rate(flow, instant) for flow in panels.flows_of(case, requests, series))

    return _union(of(case) if case.window_of(GATEWAY, instant) is not None else None for case in cases)


def _request_rate(world: _World, cases: Sequence[Case], instant: float) -> Bound | None:
    return _rate(world, cases, instant, errors=False)


def _error_rate(world: _World, cases: Sequence[Case], instant: float) -> Bound | None:
    return _rate(world, cases, instant, errors=True)


def _error_share(world: _World, cases: Sequence[Case], instant: float) -> Bound | None:
    """Of two rules evaluated one after the other: a scrape may have come between them."""
    bad, every = (_rate(world, cases, instant, errors=errors) for errors in (True, False))
    if bad is None or every is None or every.low <= 0:
        return None
    return Bound(low=bad.low / every.high, high=bad.high / every.low)


def _latency(world: _World, cases: Sequence[Case], instant: float) -> Bound | None:
    return _union(_quantiles(world, case, instant) for case in cases)


def _quantiles(world: _World, case: Case, instant: float) -> Bound | None:
    """
    The quantile as it is read from buckets: with the fastest requests that the window may hold, and with the slowest.

    A service's time is a part of its client's, and no less than what it had to wait.
    """
    window = case.window_of(GATEWAY, instant)
    if window is None or not world.bounds:
        return None
    waited = panels.waited_of(case)
    a, b = window.first, window.last
    sure: list[tuple[float, float]] = []
    maybe: list[tuple[float, float]] = []
    for each in _answered(case):
        floor = waited.get(each.request_id, 0.0)
        counted = each.sent + floor
        if counted > b + window.last_took or each.finished <= a - ALIGNMENT:
            continue
        inside = counted > a + window.first_took and each.finished <= b - ALIGNMENT
        (sure if inside else maybe).append((floor * case.tempo, each.latency * case.tempo * 1.001))
    if not sure:
        return None
    share = world.promise.quantile or 0.0
    fast, slow = [low for low, _ in sure], [high for _, high in sure]
    # One request more moves the quantile as far as its rank lets it: the fastest first, or the slowest.
    quick, late = sorted(low for low, _ in maybe), sorted((high for _, high in maybe), reverse=True)
    low = min(_quantile(share, [*fast, *quick[:count]], world.bounds) for count in range(len(maybe) + 1))
    high = max(_quantile(share, [*slow, *late[:count]], world.bounds) for count in range(len(maybe) + 1))
    return Bound(low=low, high=high)


def _quantile(share: float, values: Sequence[float], bounds: Sequence[float]) -> float:
    """As Prometheus reads it from a classic histogram: linear within its bucket, the last bound beyond all of them."""
    ordered = sorted(values)
    rank, below, start = share * len(ordered), 0, 0.0
    for bound in bounds:
        until = bisect_right(ordered, bound)
        if until >= rank:
            if math.isinf(bound) or until == below:
                return start
            return start + (bound - start) * (rank - below) / (until - below)
        below, start = until, bound
    return start


_FIGURES: Mapping[RecordedFigure, Callable[[_World, Sequence[Case], float], Bound | None]] = {
    RecordedFigure.REQUEST_RATE: _request_rate,
    RecordedFigure.ERROR_RATE: _error_rate,
    RecordedFigure.ERROR_SHARE: _error_share,
    RecordedFigure.LATENCY: _latency,
}
