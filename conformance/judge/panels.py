"""
What a panel must show at an instant: bounds from what clients saw, what was billed, what servers and kernel counted.

Values are in the document's units. A request counts somewhere between being sent and being answered, a scrape reads
somewhere between its timestamp and its end: each figure lies between what was so for sure and what may have been.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from conformance.contract.model import PanelFigure
from fixtures.load.ledger import Outcome, quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.contract.model import Contract, PanelPromise
    from conformance.timeline.boards import Asked, BoardsSeen
    from conformance.timeline.model import Timeline
    from fixtures.load.ledger import Request

GATEWAY, POSTGRES, REDIS, DOCKER = "osmen_gateway", "osmen_postgres", "osmen_redis", "docker"

SERVICE_LOOKS, MACHINE_LOOKS = "service", "machine"
"""cAdvisor's samples of a service and of the machine, which carry the times of its looks."""

LOOK = 0.1
"""Real seconds between the time that cAdvisor gives a look, and when it has read all that it looks at."""

ALIGNMENT = 0.002
"""Real seconds by which Prometheus may move a sample's timestamp onto its grid."""

ACTIVE = 300.0
"""Seconds of the document's time for which a user counts as active."""

BESIDE = 0.05
"""Real seconds that noting a user, or writing a line, may take beside the request."""

COMING = 2.0
"""Sessions that come and go while others are counted: the exporter's own, and the one that asks the server."""

STEADY = 0.02
"""Relative: what a working set moves by between two looks of the kernel's own counting."""

STRAYS = 4096.0
"""Bytes a real second that cards may carry which come and go with containers, and of which only one side counts."""

OTHERS = 0.1
"""Real seconds: how long a query of anybody else may take."""

EXACT = 1e-6
"""Relative: sums of floating numbers."""

DAY = 86400.0

ANY = ""
"""The name of a series whose name does not matter, as it is the only one."""


class Unknown(Exception):
    """Something that a figure rests on is not known; the sentence says what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """The least and the most that may be shown."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def slack(self) -> float:
        return (self.high - self.low) / 2

    def holds(self, value: float) -> bool:
        """Whether a value lies within, but for the digits that sums of floating numbers lose."""
        room = EXACT * max(abs(self.low), abs(self.high))
        return self.low - room <= value <= self.high + room

    def off(self, value: float | None) -> float:
        """How far outside a value lies; none at all is farther than any."""
        return math.inf if value is None else max(self.low - value, value - self.high)

    def text(self) -> str:
        low, high = f"{self.low:.4g}", f"{self.high:.4g}"
        return low if low == high else f"{low} to {high}"

    @classmethod
    def mean(cls, bounds: Iterable[Bound]) -> Bound:
        """Within what the mean lies of values that each lie within one of the bounds."""
        known = list(bounds)
        return cls(low=math.fsum(b.low for b in known) / len(known), high=math.fsum(b.high for b in known) / len(known))


@dataclass(frozen=True, slots=True)
class Telescope:
    """
    A rate whose points overlap: what one of them ends with another begins with.

    What is not known of such a reading cancels out in a mean, but for those at the two ends.
    """

    at: Callable[[float], Bound | None]

    def __call__(self, instant: float) -> Bound | None:
        return self.at(instant)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Events that add up: each with when it began and ended, and how much it adds."""

    began: tuple[float, ...]
    ended: tuple[float, ...]
    amounts_by_begin: tuple[float, ...]
    amounts_by_end: tuple[float, ...]

    @classmethod
    def of(cls, events: Iterable[tuple[float, float, float]]) -> Flow:
        known = list(events)
        begun, ended = sorted(known, key=lambda each: each[0]), sorted(known, key=lambda each: each[1])
        return cls(
            began=tuple(each[0] for each in begun),
            ended=tuple(each[1] for each in ended),
            amounts_by_begin=tuple(accumulate((each[2] for each in begun), initial=0.0)),
            amounts_by_end=tuple(accumulate((each[2] for each in ended), initial=0.0)),
        )

    def sure(self, at: float) -> float:
        """What had been added by `at` for sure."""
        return self.amounts_by_end[bisect_right(self.ended, at)]

    def maybe(self, at: float) -> float:
        """What may have been added by `at`."""
        return self.amounts_by_begin[bisect_right(self.began, at)]


@dataclass(frozen=True, kw_only=True)
class Scrapes:
    """When something was scraped, and how many seconds each scrape took; `usual` where that is not known of one."""

    instants: tuple[float, ...]
    usual: float
    took: Mapping[float, float] = field(default_factory=dict)

    def lasted(self, at: float) -> float:
        """The length of the scrape of that instant."""
        return self.took.get(at, self.usual)

    def before(self, instant: float) -> float | None:
        """The last scrape up to an instant; None where there was none."""
        place = bisect_right(self.instants, round(instant, 3))
        return self.instants[place - 1] if place else None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One query's answer to be bounded: the variables' values, and over which window the panel looks back."""

    timeline: Timeline
    contract: Contract
    seen: BoardsSeen
    asked: Asked
    memory: dict[str, object] = field(default_factory=dict, repr=False)
    """What was worked out once for a timeline."""

    @property
    def tempo(self) -> float:
        return self.timeline.tempo

    @property
    def window(self) -> float:
        """`$__rate_interval` or, of an instant query, `$__range`, in real seconds."""
        if not self.asked.step:
            return self.asked.end - self.asked.start
        return max(self.asked.step + self.timeline.scrape_interval, 4 * self.timeline.scrape_interval)

    def chosen(self, variable: str, value: str) -> bool:
        """Whether a value of a variable is among those that are chosen."""
        return self.asked.values.get(variable, "$__all") in ("$__all", value)

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        return tuple(each for each in self.timeline.ledger.requests if self.chosen("agent", each.agent))

    @cached_property
    def agents(self) -> tuple[str, ...]:
        return tuple(sorted({each.agent for each in self.requests}))

    def scrapes(self, job: str) -> Scrapes:
        """The scrapes of a job, or the looks of cAdvisor."""
        key = f"scrapes {job}"
        if key not in self.memory and job in (SERVICE_LOOKS, MACHINE_LOOKS):
            self.memory[key] = Scrapes(instants=self.seen.looked.get(job, ()), usual=LOOK)
        if key not in self.memory:
            own = [one for one in self.timeline.up if one.labels.get("job") == job]
            # A scrape that was cut short brought nothing.
            instants = [at for one in own for at, value in one.points if value == 1]
            took = {
                at: value
                for one in self.timeline.scrape_durations
                if one.labels.get("job") == job
                for at, value in one.points
            }
            self.memory[key] = Scrapes(
                instants=tuple(sorted(instants)), took=took, usual=quantile(0.95, tuple(took.values()))
            )
        return self.memory[key]  # type: ignore[return-value]

    def window_of(self, job: str, at: float) -> Window | None:
        """The first and the last sample of a job in the window that ends at `at`; None with fewer than two."""
        scrapes = self.scrapes(job)
        instants = scrapes.instants
        first = bisect_right(instants, round(at - self.window, 3))
        inside = instants[first : bisect_right(instants, round(at, 3))]
        if len(inside) < 2:
            return None
        a, b = inside[0], inside[-1]
        spacing = (b - a) / (len(inside) - 1)
        before, behind = a - (at - self.window), at - b
        # Prometheus goes on to the window's edge, or by half a spacing where the edge is far.
        before = before if before < 1.1 * spacing else spacing / 2
        behind = behind if behind < 1.1 * spacing else spacing / 2
        return Window(
            first=a,
            last=b,
            before=before,
            behind=behind,
            first_took=scrapes.lasted(a) + ALIGNMENT,
            last_took=scrapes.lasted(b) + ALIGNMENT,
        )

    def increase(self, flow: Flow, at: float, job: str = GATEWAY) -> Bound | None:
        """How much `increase()` gives for a counter with these events."""
        window = self.window_of(job, at)
        if window is None:
            return None
        a, b = window.first, window.last
        low = max(0.0, flow.sure(b - ALIGNMENT) - flow.maybe(a + window.first_took))
        high = max(0.0, flow.maybe(b + window.last_took) - flow.sure(a - ALIGNMENT))
        return Bound(
            low=low * window.factor(low, flow.sure(a - ALIGNMENT)),
            high=high * window.factor(high, flow.maybe(a + window.first_took)),
        )

    def rate(self, flow: Flow, at: float) -> Bound | None:
        """How much `rate()` gives, per second of the document's time."""
        found = self.increase(flow, at)
        per = self.window * self.tempo
        return None if found is None else Bound(low=found.low / per, high=found.high / per)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The first and the last sample of a window, and how far Prometheus extends them."""

    first: float
    last: float
    before: float
    behind: float
    first_took: float
    last_took: float

    def factor(self, delta: float, start: float) -> float:
        """By how much the difference of the two samples is stretched; a counter never to below 0."""
        length = self.last - self.first
        before = min(self.before, length * start / delta) if delta > 0 else self.before
        return (length + before + self.behind) / length


# --- what clients saw ---------------------------------------------------------------------------------------------


def flows_of(case: Case, requests: Iterable[Request], key: Callable[[Request], object]) -> list[Flow]:
    """What counts requests counts each when it is over, which is not before what it had to wait for is."""
    waited = waited_of(case)
    parts: defaultdict[object, list[tuple[float, float, float]]] = defaultdict(list)
    for each in requests:
        parts[key(each)].append((each.sent + waited.get(each.request_id, 0.0), each.finished, 1.0))
    return [Flow.of(events) for events in parts.values()]


def sum_of(bounds: Iterable[Bound | None]) -> Bound | None:
    known = list(bounds)
    if not known:
        return Bound(low=0.0, high=0.0)
    if any(each is None for each in known):
        return None
    return Bound(low=math.fsum(b.low for b in known if b), high=math.fsum(b.high for b in known if b))


def _rates(case: Case, flows: Sequence[Flow]) -> Callable[[float], Bound | None]:
    def at(instant: float) -> Bound | None:
        if case.window_of(GATEWAY, instant) is None:
            return None
        return sum_of(case.rate(flow, instant) for flow in flows)

    return at


def _request_rate(case: Case) -> Expected:
    answered = [each for each in case.requests if each.outcome is not Outcome.LOST]
    return {ANY: _rates(case, flows_of(case, answered, lambda each: (each.agent, each.outcome)))}


def _error_rate(case: Case) -> Expected:
    failed = [each for each in case.requests if each.outcome is Outcome.ERROR]
    return {ANY: _rates(case, flows_of(case, failed, lambda each: each.agent))}


def _executed(case: Case) -> list[Request]:
    return [each for each in case.requests if each.outcome in (Outcome.SUCCESS, Outcome.ERROR)]


def _execution_rate(case: Case) -> Expected:
    return {
        agent: _rates(case, flows_of(case, [e for e in _executed(case) if e.agent == agent], lambda each: each.outcome))
        for agent in case.agents
    }


def waited_of(case: Case) -> Mapping[str, float]:
    """
    By request: the real seconds for which the model server let it wait, so that the service cannot have been faster.

    Each waited as long as the others. The fastest of them took hardly more, beside what a request takes when all is
    calm; how much longer the others took for their clients is no matter of the service on a busy machine.
    """
    if "waited" not in case.memory:
        stalled = {each.request_id for each in case.seen.paid if each.stalled}
        slow = [each.latency for each in case.timeline.ledger.requests if each.request_id in stalled]
        calm = case.timeline.ledger.during(case.timeline.phases[0].name).latency(0.5)
        case.memory["waited"] = dict.fromkeys(stalled, max(0.0, min(slow, default=0.0) - calm))
    return case.memory["waited"]  # type: ignore[return-value]


def _mean(case: Case, requests: Sequence[Request]) -> Callable[[float], Bound | None]:
    """
    The mean duration of those that finished in a window: of those for sure, and of any of those perhaps.

    A service's time is a part of its client's, and no less than what it had to wait; it is counted when that is over.
    """
    waited = waited_of(case)
    counted = {e.request_id: e.sent + waited.get(e.request_id, 0.0) for e in requests}

    def at(instant: float) -> Bound | None:
        window = case.window_of(GATEWAY, instant)
        if window is None:
            return None
        a, b = window.first, window.last
        near = [e for e in requests if counted[e.request_id] <= b + window.last_took and e.finished > a - ALIGNMENT]
        inside = [counted[e.request_id] > a + window.first_took and e.finished <= b - ALIGNMENT for e in near]
        sure = [e for e, known in zip(near, inside, strict=True) if known]
        maybe = [e for e, known in zip(near, inside, strict=True) if not known]
        if not sure:
            return None
        high = _extreme([e.latency for e in sure], sorted((e.latency for e in maybe), reverse=True), most=True)
        floor = [waited.get(e.request_id, 0.0) for e in sure]
        low = _extreme(floor, sorted(waited.get(e.request_id, 0.0) for e in maybe), most=False)
        return Bound(low=low * case.tempo, high=high * case.tempo * 1.001)

    return at


def _extreme(sure: Sequence[float], maybe: Sequence[float], *, most: bool) -> float:
    total, count = math.fsum(sure), len(sure)
    for each in maybe:
        if (each > total / count) is not most:
            break
        total, count = total + each, count + 1
    return total / count


def _latency(case: Case) -> Expected:
    return {ANY: _mean(case, case.requests)}


def _execution_time(case: Case) -> Expected:
    return {agent: _mean(case, [e for e in _executed(case) if e.agent == agent]) for agent in case.agents}


def share_of(yes: Bound, no: Bound) -> Bound:
    """The share of the one among both."""
    return Bound(
        low=yes.low / (yes.low + no.high) if yes.low else 0.0,
        high=yes.high / (yes.high + no.low) if yes.high else 0.0,
    )


def _success(case: Case) -> Expected:
    def of(agent: str) -> Callable[[float], Bound | None]:
        own = [e for e in _executed(case) if e.agent == agent]
        good = flows_of(case, [e for e in own if e.outcome is Outcome.SUCCESS], lambda _: 0)
        bad = flows_of(case, [e for e in own if e.outcome is Outcome.ERROR], lambda _: 0)

        def at(instant: float) -> Bound | None:
            yes, no = (sum_of(case.increase(flow, instant) for flow in flows) for flows in (good, bad))
            if yes is None or no is None or yes.low + no.low <= 0:
                return None
            return share_of(yes, no)

        return at

    return {agent: of(agent) for agent in case.agents}


def _users(case: Case) -> Expected:
    """As old as two scrape intervals, and never too old at half a real second: the service's own timer."""
    window, old = ACTIVE / case.tempo, max(2 * case.timeline.scrape_interval, 0.5)
    requests = [e for e in case.timeline.ledger.requests if e.outcome is not Outcome.REFUSED]
    scrapes = case.scrapes(GATEWAY)

    def at(instant: float) -> Bound | None:
        scraped = scrapes.before(instant)
        if scraped is None:
            return None
        seen, later = scraped - ALIGNMENT, scraped + ALIGNMENT + scrapes.lasted(scraped)
        sure = {e.user for e in requests if e.finished + BESIDE <= seen - old and e.sent > later - window}
        maybe = {e.user for e in requests if e.sent <= later and e.finished + BESIDE > seen - old - window}
        return Bound(low=len(sure), high=len(maybe))

    return {ANY: at}


def _error_lines(case: Case) -> Expected:
    failed = case.timeline.ledger.outcome(Outcome.ERROR).requests
    start, end = case.asked.start, case.asked.end
    sure = sum(start <= each.sent and each.finished + BESIDE <= end for each in failed)
    maybe = sum(each.sent < end and each.finished + BESIDE > start for each in failed)
    return {ANY: lambda _: Bound(low=sure, high=maybe)}


# --- what was billed ----------------------------------------------------------------------------------------------


def _bill(case: Case) -> list[tuple[Request, str, str, float, float]]:
    """Request, model, type, tokens and dollars of everything that was billed."""
    requests = {each.request_id: each for each in case.requests}
    prices = {price.model: price for price in case.contract.metrics.prices}
    rows = []
    for each in case.seen.paid:
        request = requests.get(each.request_id)
        if request is None:
            continue
        price = prices.get(each.model)
        if price is None:
            raise Unknown(f"the contract has no price of {each.model}")
        for kind, tokens, dollars in (
            ("prompt", each.prompt_tokens, price.prompt),
            ("completion", each.completion_tokens, price.completion),
        ):
            if tokens:
                rows.append((request, each.model, kind, float(tokens), tokens * dollars / 1000))
    if not rows and not case.seen.paid:
        raise Unknown("the model server billed nothing")
    return rows


def _billed(case: Case, rows: Iterable[tuple[Request, str, str, float, float]], *, dollars: bool) -> list[Flow]:
    waited = waited_of(case)
    parts: defaultdict[tuple[str, ...], list[tuple[float, float, float]]] = defaultdict(list)
    for request, model, kind, tokens, price in rows:
        # Cost has no type: prompt and completion of one request are added up.
        key = (request.agent, model) if dollars else (request.agent, model, kind)
        counted = request.sent + waited.get(request.request_id, 0.0)
        parts[key].append((counted, request.finished, price if dollars else tokens))
    return [Flow.of(events) for events in parts.values()]


def _increases(case: Case, flows: Sequence[Flow], times: float = 1.0) -> Callable[[float], Bound | None]:
    def at(instant: float) -> Bound | None:
        if case.window_of(GATEWAY, instant) is None:
            return None
        found = sum_of(case.increase(flow, instant) for flow in flows)
        return None if found is None else Bound(low=found.low * times, high=found.high * times)

    return at


def _tokens(case: Case) -> Expected:
    rows = _bill(case)
    return {
        agent: _increases(case, _billed(case, [r for r in rows if r[0].agent == agent], dollars=False))
        for agent in case.agents
    }


def _token_rate(case: Case) -> Expected:
    rows = _bill(case)
    return {
        kind: _rates(case, _billed(case, [r for r in rows if r[2] == kind], dollars=False))
        for kind in ("prompt", "completion")
    }


def _cost(case: Case) -> Expected:
    return {ANY: _increases(case, _billed(case, _bill(case), dollars=True))}


def _cost_by_agent(case: Case) -> Expected:
    rows = _bill(case)
    return {
        agent: _increases(case, _billed(case, [r for r in rows if r[0].agent == agent], dollars=True))
        for agent in case.agents
    }


def _projections(case: Case) -> Expected:
    """A day and thirty days at the pace of the range: its dollars, by its length in the document's time."""
    flows = _billed(case, _bill(case), dollars=True)
    span = case.window * case.tempo
    return {
        "per day": _increases(case, flows, DAY / span),
        "per month": _increases(case, flows, 30 * DAY / span),
    }


# --- what servers and the kernel counted --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Counted:
    """One figure as it was seen: when each look began and ended, and what it said."""

    name: str
    sent: tuple[float, ...]
    finished: tuple[float, ...]
    values: tuple[float, ...]

    def sure(self, at: float) -> float | None:
        """What a count that only grows had reached by `at`."""
        place = bisect_right(self.finished, at)
        return self.values[place - 1] if place else None

    def maybe(self, at: float) -> float | None:
        """What it had not passed by `at`."""
        place = bisect_left(self.sent, at)
        return self.values[place] if place < len(self.values) else None

    def around(self, start: float, end: float) -> tuple[float, ...]:
        """What was said in that time, with the look before and the one after."""
        first, last = max(0, bisect_right(self.finished, start) - 1), bisect_left(self.sent, end) + 1
        return self.values[first:last]


def _counted(case: Case, name: str) -> Counted:
    key = f"counted {name}"
    if key not in case.memory:
        known = [each for each in case.seen.witnessed if name in each.figures]
        if len(known) < 2:
            errors = next((each.error for each in case.seen.witnessed if each.error), "nobody looked")
            raise Unknown(f"{name} was not seen beside the exporters: {errors}")
        case.memory[key] = Counted(
            name=name,
            sent=tuple(each.sent for each in known),
            finished=tuple(each.finished for each in known),
            values=tuple(each.figures[name] for each in known),
        )
    return case.memory[key]  # type: ignore[return-value]


def _lag(case: Case, job: str) -> float:
    """How old a value may be when it is scraped: cAdvisor looks about as often as it is scraped."""
    return case.timeline.scrape_interval if job == DOCKER else 0.0


def _rate_of(case: Case, name: str, job: str, *, room: float = 0.0) -> Telescope:
    """The rate of what a server or the kernel counts, per second of the document's time; `room` is per real second."""
    counted = _counted(case, name)
    early = ALIGNMENT + (LOOK if job in (SERVICE_LOOKS, MACHINE_LOOKS) else 0.0)

    def at(instant: float) -> Bound | None:
        window = case.window_of(job, instant)
        if window is None:
            return None
        first, last = counted.sure(window.first - early), counted.maybe(window.last + window.last_took)
        later, sooner = counted.maybe(window.first + window.first_took), counted.sure(window.last - early)
        if first is None or last is None or later is None or sooner is None:
            return None
        scale = window.factor(0.0, 0.0) / case.window
        low, high = (sooner - later) * scale, (last - first) * scale
        return Bound(low=(low - room) / case.tempo, high=(high + room) / case.tempo)

    return Telescope(at)


def _level(
    case: Case, name: str, job: str, *, room: float = 0.0, relative: float = 0.0
) -> Callable[[float], Bound | None]:
    counted, scrapes, lag = _counted(case, name), case.scrapes(job), _lag(case, job)

    def at(instant: float) -> Bound | None:
        scraped = scrapes.before(instant)
        if scraped is None:
            return None
        values = counted.around(scraped - lag - ALIGNMENT, scraped + scrapes.lasted(scraped) + ALIGNMENT)
        if not values:
            return None
        return Bound(low=min(values) * (1 - relative) - room, high=max(values) * (1 + relative) + room)

    return at


SERVICE = "osmen-gateway"
"""As what the container of the gateway is known."""


def _cpu(case: Case) -> Expected:
    return {SERVICE: _rate_of(case, "cpu", SERVICE_LOOKS)}


def _memory(case: Case) -> Expected:
    share = case.contract.alert("HighMemoryUsage").threshold
    limit = _level(case, "memory_limit", DOCKER)

    def line(instant: float) -> Bound | None:
        found = limit(instant)
        return None if found is None else Bound(low=found.low * share, high=found.high * share)

    return {SERVICE: _level(case, "working_set", DOCKER, relative=STEADY), f"{SERVICE}: alert": line}


def _disk(case: Case) -> Expected:
    return {name: _rate_of(case, name, MACHINE_LOOKS) for name in ("reads", "writes")}


def _network(case: Case) -> Expected:
    if len({each.figures["cards"] for each in case.seen.witnessed if "cards" in each.figures}) > 1:
        # As where another run has one of its own.
        raise Unknown("a network card of the machine came or went meanwhile, and its bytes with it")
    return {name: _rate_of(case, name, MACHINE_LOOKS, room=STRAYS) for name in ("received", "sent")}


def _transactions(case: Case) -> Expected:
    return {ANY: _rate_of(case, "transactions", POSTGRES)}


def _sessions(case: Case) -> Expected:
    held, most = _level(case, "sessions", POSTGRES, room=COMING), _level(case, "most_sessions", POSTGRES)

    def at(instant: float) -> Bound | None:
        some, limit = held(instant), most(instant)
        if some is None or limit is None:
            return None
        return Bound(low=some.low / limit.high, high=some.high / limit.low)

    return {ANY: at}


def _slow(case: Case) -> Expected:
    counted, scrapes = _counted(case, "slow_since"), case.scrapes(POSTGRES)

    def at(instant: float) -> Bound | None:
        seen = scrapes.before(instant)
        if seen is None:
            return None
        took = scrapes.lasted(seen)
        since = set(counted.around(seen - ALIGNMENT, seen + took + ALIGNMENT))
        ages = [
            (max(0.0, seen - each - ALIGNMENT), seen - each + took + ALIGNMENT) if each else (0.0, 0.0)
            for each in since
        ]
        if not ages:
            return None
        return Bound(low=min(low for low, _ in ages), high=max(high for _, high in ages) + OTHERS)

    return {ANY: at}


def _cache(case: Case) -> Expected:
    hits, misses = (_rate_of(case, name, REDIS) for name in ("hits", "misses"))

    def at(instant: float) -> Bound | None:
        yes, no = hits(instant), misses(instant)
        if yes is None or no is None or yes.low + no.low <= 0:
            return None
        return share_of(yes, no)

    return {ANY: at}


Expected = dict[str, "Callable[[float], Bound | None]"]
"""By what a series is called: what it must show at an instant, None where it need not show anything."""

_FIGURES: Mapping[PanelFigure, Callable[[Case], Expected]] = {
    PanelFigure.REQUEST_RATE: _request_rate,
    PanelFigure.ERROR_RATE: _error_rate,
    PanelFigure.LATENCY: _latency,
    PanelFigure.USERS: _users,
    PanelFigure.ERROR_LINES: _error_lines,
    PanelFigure.EXECUTION_RATE: _execution_rate,
    PanelFigure.EXECUTION_TIME: _execution_time,
    PanelFigure.SUCCESS: _success,
    PanelFigure.TOKENS: _tokens,
    PanelFigure.CPU: _cpu,
    PanelFigure.MEMORY: _memory,
    PanelFigure.DISK: _disk,
    PanelFigure.NETWORK: _network,
    PanelFigure.TRANSACTIONS: _transactions,
    PanelFigure.SESSIONS: _sessions,
    PanelFigure.SLOW: _slow,
    PanelFigure.CACHE: _cache,
    PanelFigure.COST: _cost,
    PanelFigure.TOKEN_RATE: _token_rate,
    PanelFigure.COST_BY_AGENT: _cost_by_agent,
    PanelFigure.PROJECTIONS: _projections,
}

OPEN = {PanelFigure.CPU, PanelFigure.MEMORY}
"""Other services than the one that is judged may be shown beside it."""


def expected(promise: PanelPromise, case: Case) -> Expected:
    """What the panel must show, by the names of its lines. Raises Unknown."""
    found = _FIGURES[promise.figure](case)
    return dict(zip(promise.lines, found.values(), strict=True)) if promise.lines else found
