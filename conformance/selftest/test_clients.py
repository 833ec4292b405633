"""Clients in a process of their own send what they are told, tell what they saw, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from aiohttp import test_utils, web

from fixtures.core import clock, wait
from fixtures.load.apart import Clients, ClientsError
from fixtures.load.ledger import Outcome
from fixtures.load.profile import Steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

PROFILE = Steady(rps=50, users=3)


async def _execute(request: web.Request) -> web.Response:
    return web.json_response({"request_id": request.headers["X-Request-ID"], "tokens_used": 7})


async def _slow(request: web.Request) -> web.Response:
    await asyncio.sleep(0.3)
    return await _execute(request)


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


def gateway(answer: Callable[[web.Request], Awaitable[web.Response]] = _execute) -> test_utils.TestServer:
    app = web.Application()
    app.router.add_post("/api/v1/agents/{agent}/execute", answer)
    app.router.add_get("/{path}", _alive)
    return test_utils.TestServer(app)


def url(server: test_utils.BaseTestServer) -> str:
    return f"http://{server.host}:{server.port}"


@pytest.mark.asyncio
async def test_a_load_is_sent_and_told(tmp_path: Path) -> None:
    """
    Every request of each phase is in the ledger, in order, with what its answer said; the ledger grows meanwhile.
    """
    with Clients(tmp_path / "log") as clients:
        async with gateway() as server, clients.attached(), clients.load(base_url=url(server), cell="c") as load:
            await load.run(PROFILE, phase="one", seconds=0.2)
            between = await wait.until_async(lambda: asyncio.sleep(0, len(load.ledger())), bool, budget=20, every=0.02)
            await load.run(PROFILE, phase="two", seconds=0.2)
            await load.drain()
        ledger = load.ledger()

    assert 0 < between.last <= 10
    assert [len(ledger.during(phase)) for phase in ("one", "two")] == [10, 10]
    assert len(ledger.outcome(Outcome.SUCCESS)) == 20
    assert [each.due for each in ledger.requests] == sorted(each.due for each in ledger.requests)
    assert {each.tokens for each in ledger.requests} == {7}
    assert all(each.request_id.startswith("req_c-") for each in ledger.requests)


@pytest.mark.asyncio
async def test_who_hears_late_of_the_end_is_told_when_it_was(tmp_path: Path) -> None:
    """
    A suite that computes while a phase ends would else stretch it by a time in which nothing was sent.
    """
    with Clients(tmp_path / "log") as clients:
        async with gateway() as server, clients.attached(), clients.load(base_url=url(server), cell="c") as load:
            running = asyncio.create_task(load.run(PROFILE, phase="p", seconds=0.2))
            await asyncio.sleep(0.1)
            time.sleep(4)  # noqa: ASYNC251  this is what it is about: the loop hears nothing meanwhile
            ended, heard = await running, clock.now()
            await load.drain()

    assert heard - ended > 1
    assert ended == pytest.approx(load.ledger().requests[-1].due, abs=2)


@pytest.mark.asyncio
async def test_what_is_under_way_is_drained_or_given_up(tmp_path: Path) -> None:
    """
    A drain waits for the answers; a context that is left without one gives them up, and they are in no ledger.
    """
    over = asyncio.Event()

    async def never(request: web.Request) -> web.Response:
        await over.wait()
        return await _execute(request)

    with Clients(tmp_path / "log") as clients:
        async with gateway(_slow) as server, gateway(never) as silent, clients.attached():
            async with clients.load(base_url=url(server), cell="drained") as drained:
                await drained.run(PROFILE, phase="p", seconds=0.1)
                await drained.drain()
            async with clients.load(base_url=url(silent), cell="left") as left:
                await left.run(PROFILE, phase="p", seconds=0.1)
            over.set()

    assert len(drained.ledger().outcome(Outcome.SUCCESS)) == 5
    assert len(left.ledger()) == 0


@pytest.mark.asyncio
async def test_looks_are_taken_beside_a_load(tmp_path: Path) -> None:
    """
    What is seen of a service's health is told when the looking is over.
    """
    with Clients(tmp_path / "log") as clients:
        async with gateway() as server, clients.attached():
            looks = clients.looks(base_url=url(server), outside_url=url(server), every=0.05, control_url=url(server))
            async with looks, clients.load(base_url=url(server), cell="c") as load:
                await load.run(PROFILE, phase="p", seconds=1)

    seen = looks.seen()
    assert {(each.method, each.path) for each in seen if each.status == 200} >= {("GET", "/live"), ("GET", "/health")}
    assert len(looks.seen_control()) >= 3
    assert {each.path for each in looks.seen_outside()} == {"/health", "/live"}


def test_one_process_serves_one_loop_after_the_other(tmp_path: Path) -> None:
    """
    What a load told in the first is still known in the second.
    """

    async def send(clients: Clients, cell: str) -> int:
        async with gateway() as server, clients.attached(), clients.load(base_url=url(server), cell=cell) as load:
            await load.run(PROFILE, phase="p", seconds=0.1)
            await load.drain()
        return len(load.ledger())

    with Clients(tmp_path / "log") as clients:
        assert [asyncio.run(send(clients, cell)) for cell in ("a", "b")] == [5, 5]


@pytest.mark.asyncio
async def test_clients_that_end_are_told_as_such(tmp_path: Path) -> None:
    """
    Who waits for them hears of it at once, and so does whoever comes later; what was told by then is kept.
    """
    with Clients(tmp_path / "log") as clients:
        async with gateway() as server, clients.attached(), clients.load(base_url=url(server), cell="c") as load:
            await load.run(PROFILE, phase="one", seconds=0.1)
            await load.drain()
            running = asyncio.create_task(load.run(PROFILE, phase="two", seconds=30))
            await asyncio.sleep(0.1)
            os.kill(clients.pid, signal.SIGKILL)
            with pytest.raises(ClientsError, match=r"the process of the clients ended \(exit code -9\)"):
                await asyncio.wait_for(running, timeout=20)
            with pytest.raises(ClientsError, match="ended"):
                await load.run(PROFILE, phase="three", seconds=0.1)

    assert len(load.ledger().during("one")) == 5


@pytest.mark.asyncio
async def test_what_cannot_be_done_is_an_error_of_whoever_asked(tmp_path: Path) -> None:
    """
    It names what was asked for, and the others go on.
    """
    with Clients(tmp_path / "log") as clients:
        async with gateway() as server, clients.attached(), clients.load(base_url=url(server), cell="c") as load:
            with pytest.raises(ClientsError, match="drian: ValueError: 'drian' is no order"):
                await clients.order(clients.begin(), "drian")
            await load.run(PROFILE, phase="p", seconds=0.1)
            await load.drain()

        assert len(load.ledger()) == 5


@pytest.mark.parametrize("ending", ["left", "killed"])
def test_nothing_is_left_of_it(tmp_path: Path, ending: str) -> None:
    """
    It ends with its context, also where it does not listen.
    """
    with Clients(tmp_path / "log") as clients:
        process = psutil.Process(clients.pid)
        if ending == "killed":
            process.suspend()

    assert not process.is_running()


def test_a_loop_that_cancels_everything_at_once_waits_for_nobody(tmp_path: Path) -> None:
    """
    A termination raises in the loop itself: all tasks are cancelled side by side, whoever listens among them.
    """

    async def send(clients: Clients) -> None:
        looks = clients.looks(base_url="http://127.0.0.1:9", outside_url="http://127.0.0.1:9", every=0.05)
        async with clients.attached(), looks, clients.load(base_url="http://127.0.0.1:9", cell="c") as load:
            asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGUSR1)
            await load.run(PROFILE, phase="p", seconds=60)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, end)
    try:
        with Clients(tmp_path / "log") as clients:
            began = clock.mono()
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(send(clients))
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert clock.mono() - began < 30
