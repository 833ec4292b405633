"""The load and its ledger, programs and their performance: against a small service in this process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import MagicMock

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from conformance.steady.program import PATIENCE
from fixtures.core import clock, patience, wait
from fixtures.core.journal import Journal
from fixtures.faults.program import Phase, Program, ProgramError
from fixtures.faults.run import Performance, all_of
from fixtures.load.ledger import Ledger, Outcome, Request, quantile
from fixtures.load.profile import AGENTS, IDLE, Steady
from fixtures.load.runner import Load, outcome_of
from fixtures.stack.component import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.stack.stack import Cell

LOAD = Steady(rps=100.0, users=2)


class Service:
    """Answers as told, and keeps what it was sent."""

    def __init__(
        self, status: int = 200, stalls: float = 0.0, body: str = '{"tokens_used": 7}', until: int = 0
    ) -> None:
        self.status, self.stalls, self.body, self.until = status, stalls, body, until
        self.answering = asyncio.Event()
        self.heard: list[web.Request] = []
        self.asked: list[str] = []

    async def _execute(self, request: web.Request) -> web.Response:
        self.heard.append(request)
        self.asked.append(await request.text())
        if self.stalls:
            await wait.reach(clock.mono() + self.stalls)
        if len(self.heard) >= self.until:
            self.answering.set()
        await self.answering.wait()
        return web.Response(status=self.status, text=self.body)

    def server(self) -> TestServer:
        app = web.Application()
        app.router.add_post("/api/v1/agents/{agent}/execute", self._execute)
        return TestServer(app)


async def sent(service: Service, profile: Steady = LOAD, seconds: float = 0.2) -> Ledger:
    async with service.server() as server, Load(base_url=str(server.make_url("")).rstrip("/"), cell="c") as load:
        await load.run(profile, phase="calm", seconds=seconds)
        await load.drain()
        return load.ledger()


# --- the load -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_load_sends_exactly_its_share_evenly_to_each_agent_and_user() -> None:
    """
    Twenty requests in a fifth of a second: five for each agent, ten for each user, one slot apart.
    """
    ledger = await sent(Service())
    slots = [round(later.due - earlier.due, 4) for earlier, later in pairwise(ledger.requests)]

    assert len(ledger) == 20
    assert set(Counter(each.agent for each in ledger.requests).values()) == {5}
    assert len({each.user for each in ledger.requests}) == 2
    assert set(slots) == {0.01}


@pytest.mark.asyncio
async def test_clients_make_mistakes_evenly_and_of_each_kind_in_turn() -> None:
    """
    Of twenty requests each fifth: an agent that there is not under a name of its own, a body that asks nothing.
    """
    service = Service()
    ledger = await sent(service, replace(LOAD, mistaken=5))
    strange = {n: each.agent for n, each in enumerate(ledger.requests) if each.agent not in AGENTS}
    heard = zip(service.heard, service.asked, strict=True)
    empty = {request.headers["X-Request-ID"] for request, body in heard if "input" not in json.loads(body)}

    assert list(strange) == [4, 14]
    assert len(set(strange.values())) == 2
    assert empty == {ledger.requests[n].request_id for n in (9, 19)}


@pytest.mark.asyncio
async def test_some_clients_trace_nothing() -> None:
    """
    They name no trace, and the ledger knows none.
    """
    service = Service()
    ledger = await sent(service, replace(LOAD, untraced=5))
    untraced = {n for n, each in enumerate(ledger.requests) if not each.trace_id}
    heard = {each.headers["X-Request-ID"] for each in service.heard if "traceparent" not in each.headers}

    assert untraced == {4, 9, 14, 19}
    assert heard == {ledger.requests[n].request_id for n in untraced}


@pytest.mark.asyncio
async def test_a_request_carries_the_ids_that_the_ledger_notes() -> None:
    """
    The service hears the request id and the trace context under which the ledger keeps the request.
    """
    service = Service()
    ledger = await sent(service, seconds=0.05)
    heard = {(each.headers["X-Request-ID"], each.headers["traceparent"]) for each in service.heard}

    assert {(each.request_id, f"00-{each.trace_id}-{each.span_id}-01") for each in ledger.requests} == heard
    assert len(heard) == 5
    assert {each.tokens for each in ledger.requests} == {7}


@pytest.mark.asyncio
async def test_a_slow_service_does_not_slow_the_load() -> None:
    """
    Arrivals follow the clock: each goes out when it is due, however long the answers take.
    """
    # Nobody is answered before all have asked.
    ledger = await sent(Service(until=20), seconds=0.2)

    assert len(ledger.outcome(Outcome.SUCCESS)) == 20
    assert ledger.tardiness() < 5
    assert max(each.sent for each in ledger.requests) < min(each.finished for each in ledger.requests)


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "outcome"), [(200, "success"), (404, "refused"), (500, "error"), (503, "error")])
async def test_an_answer_is_noted_as_the_client_sees_it(status: int, outcome: str) -> None:
    """
    The outcome is that of the status, and a body that is no JSON changes nothing.
    """
    ledger = await sent(Service(status=status, body="not json"), seconds=0.02)

    assert {(each.outcome, each.status) for each in ledger.requests} == {(Outcome(outcome), status)}


@pytest.mark.asyncio
async def test_a_request_that_nobody_answers_is_lost_and_says_why() -> None:
    """
    A closed port is no error of the service but the lack of an answer.
    """
    async with Load(base_url="http://127.0.0.1:1", cell="c") as load:
        await load.run(LOAD, phase="calm", seconds=0.02)
        await load.drain()
    (first, *_) = load.ledger().requests

    assert (first.outcome, first.status) == (Outcome.LOST, None)
    assert "ClientConnectorError" in str(first.error)


@pytest.mark.asyncio
async def test_an_idle_load_sends_nothing_and_lasts_its_time() -> None:
    """
    Zero requests a second is a load.
    """
    begun = clock.mono()
    ledger = await sent(Service(), profile=IDLE, seconds=0.1)

    assert len(ledger) == 0
    assert clock.mono() - begun >= 0.1


@pytest.mark.parametrize(("status", "outcome"), [(None, Outcome.LOST), (399, Outcome.SUCCESS), (400, Outcome.REFUSED)])
def test_the_edges_between_outcomes(status: int | None, outcome: Outcome) -> None:
    """
    Nothing is lost, below 400 is a success.
    """
    assert outcome_of(status) is outcome


# --- the ledger ---------------------------------------------------------------------------------------------------


def request(n: int, **changed: Any) -> Request:  # noqa: ANN401  any field
    plain = Request(
        due=float(n),
        sent=n + 0.01,
        finished=n + 0.5,
        phase="calm",
        agent="librarian",
        user="user000",
        outcome=Outcome.SUCCESS,
        status=200,
        request_id=f"req_{n}",
        trace_id="0" * 32,
        span_id="0" * 16,
    )
    return replace(plain, **changed)


def test_a_ledger_is_cut_by_phase_time_outcome_and_agent() -> None:
    """
    Each cut is a ledger again; an interval is open at its start and closed at its end.
    """
    ledger = Ledger(
        requests=(request(0), request(1, phase="burst", outcome=Outcome.ERROR), request(2, agent="daily_brief"))
    )

    assert [int(each.due) for each in ledger.during("burst").requests] == [1]
    assert [int(each.due) for each in ledger.outcome(Outcome.ERROR, Outcome.LOST).requests] == [1]
    assert [int(each.due) for each in ledger.agent("daily_brief").requests] == [2]
    assert [int(each.due) for each in ledger.between(0.5, 1.5).requests] == [1]


def test_a_request_survives_json() -> None:
    """
    What is written is what is read.
    """
    assert Request.from_json(request(1).as_json()) == request(1)


@pytest.mark.parametrize(("q", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_quantile_is_the_value_at_its_rank(q: float, value: float) -> None:
    """
    Of a hundred values the 99th percentile is the ninety-ninth; of none it is zero.
    """
    assert quantile(q, [float(n) for n in range(100, 0, -1)]) == value
    assert quantile(q, []) == 0.0


# --- programs and their performance -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """A fault that only notes what was done to it."""

    done: list[str] = field(default_factory=list)
    fails: str = ""

    def inject(self, cell: Cell) -> None:
        self.done.append(f"inject {cell.name}")
        if self.fails == "inject":
            raise StackError("upstream: is gone")

    def heal(self, cell: Cell) -> None:
        self.done.append(f"heal {cell.name}")
        if self.fails == "heal":
            raise StackError("upstream: is gone")

    def describe(self) -> str:
        return "a noted fault"


def performance(server: BaseTestServer, *phases: Phase, journal: Journal | None = None) -> Performance:
    """A performance at tempo 60 on a cell whose gateway is that server."""
    cell = MagicMock()
    cell.configure_mock(name="cell", spec=SimpleNamespace(tempo=60.0, owns=frozenset()))
    cell.gateway.address.return_value = f"{server.host}:{server.port}"
    program = Program(name="story", phases=phases)
    return Performance(program, cast("Cell", cell), journal=journal or Journal(), announce=lambda *_: None)


def phase(name: str, *faults: Noted, seconds: float = 6) -> Phase:
    """At tempo 60 a tenth of a second with ten requests."""
    return Phase(name=name, load=Steady(rps=100 / 60), lasts=timedelta(seconds=seconds), faults=faults)


@pytest.mark.asyncio
async def test_phases_run_in_order_at_the_tempo_and_faults_are_healed_between() -> None:
    """
    Six seconds of the document pass in a tenth; the fault holds during its phase alone.
    """
    fault, journal = Noted(), Journal()
    async with Service().server() as server:
        told = performance(server, phase("calm"), phase("burst", fault), phase("recovery"), journal=journal)
        await told.run()
    done = told.performed()

    assert done.interrupted == ""
    assert [(each.phase.name, len(done.ledger.during(each.phase.name))) for each in done.phases] == [
        ("calm", 10),
        ("burst", 10),
        ("recovery", 10),
    ]
    # Without the tempo each would take six seconds.
    assert all(0.1 <= each.end - each.start < 5 for each in done.phases)
    assert fault.done[:2] == ["inject cell", "heal cell"]
    assert [mark.what for mark in journal.marks("cell")][:4] == ["phase", "inject", "phase", "heal"]


@pytest.mark.asyncio
async def test_a_fault_is_healed_although_it_could_not_be_injected() -> None:
    """
    Healing is registered first; the performance ends there and says why.
    """
    fault = Noted(fails="inject")
    async with Service().server() as server:
        told = performance(server, phase("burst", fault))
        await told.run()

    assert fault.done == ["inject cell", "heal cell"]
    assert told.performed().interrupted == "upstream: is gone"
    assert told.performed().phases == ()


@pytest.mark.asyncio
async def test_a_fault_that_cannot_be_healed_is_noted_and_the_rest_goes_on() -> None:
    """
    What would be healed may be dead; that is the premises' business.
    """
    journal = Journal()
    async with Service().server() as server:
        told = performance(server, phase("burst", Noted(fails="heal")), phase("recovery"), journal=journal)
        await told.run()

    assert told.performed().interrupted == ""
    assert "not healed" in [mark.what for mark in journal.marks("cell")]


@pytest.mark.asyncio
async def test_programs_run_side_by_side_under_a_watch_and_one_failure_lets_the_others_end() -> None:
    """
    The watch is called at once; what one cannot do breaks off that one alone.
    """
    seen: list[str] = []
    watch: Callable[[], None] = lambda: seen.append("looked")  # noqa: E731
    async with Service().server() as server:
        good, bad = performance(server, phase("calm")), performance(server, phase("burst", Noted(fails="inject")))
        await all_of([bad, good], watch=watch, then=lambda _: None)

    assert (good.performed().interrupted, bad.performed().interrupted) == ("", "upstream: is gone")
    assert seen != []


def test_a_program_that_contradicts_itself_is_refused() -> None:
    """
    Two phases of one name, or a rung of no phase, name what there is.
    """
    calm = phase("calm")

    with pytest.raises(ProgramError, match="two phases have one name: calm, calm"):
        Program(name="p", phases=(calm, calm))
    with pytest.raises(ProgramError, match="the rung of 'brust' names no phase; phases: calm"):
        Program(name="p", phases=(calm,), rungs={"brust": 1.0})


def test_clients_wait_longer_than_the_gateway_does_at_any_tempo() -> None:
    """
    A call that the gateway gives up is one that its client sees fail, and not one that was lost.
    """
    assert PATIENCE.total_seconds() < patience.REQUEST


def test_the_length_of_a_program_follows_the_tempo() -> None:
    """
    Twelve seconds of the document are a fifth of a second at tempo 60.
    """
    assert Program(name="p", phases=(phase("a"), phase("b"))).seconds(60) == pytest.approx(0.2)
