"""The model server: what it answers, errs, stalls and remembers on command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from fixtures.upstream.__main__ import main
from fixtures.upstream.app import create_app
from fixtures.upstream.behaviour import Behaviour, BehaviourError, Outcome, Plan, parse
from fixtures.upstream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONTROL = {"Authorization": "Bearer s3cret"}
KEY = {"Authorization": "Bearer cell1.s3cret"}
CHAT = {"model": "gpt-4", "messages": [{"role": "user", "content": "x" * 40}]}


@pytest_asyncio.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    app = create_app(Settings(port=1, secret="s3cret"))
    async with TestClient(TestServer(app, handler_cancellation=True)) as serving:
        yield serving


async def chat(client: TestClient[Any, Any], body: object = CHAT, **headers: str) -> tuple[int, str]:
    async with client.post("/v1/chat/completions", json=body, headers={**KEY, **headers}) as response:
        return response.status, await response.text()


async def control(client: TestClient[Any, Any], behaviour: object, tenant: str = "cell1") -> tuple[int, Any]:
    async with client.put(f"/control/{tenant}", json=behaviour, headers=CONTROL) as response:
        return response.status, await response.json()


async def served(client: TestClient[Any, Any]) -> list[dict[str, Any]]:
    async with client.get("/served/cell1", headers=CONTROL) as response:
        records: list[dict[str, Any]] = await response.json()
        return records


@pytest.mark.parametrize(
    ("share", "hits"),
    [
        (0.0, []),
        (1.0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (0.5, [1, 3, 5, 7, 9]),
        (0.1, [5]),
        (0.25, [2, 6, 10]),
    ],
)
def test_errors_are_spread_evenly(share: float, hits: list[int]) -> None:
    """
    A share of requests errs, as far apart from one another as can be, and the same ones each time.
    """
    plan = Plan(behaviour=Behaviour(error_share=share))

    assert hits == [number for number in range(1, 11) if plan.next()[0] is Outcome.ERROR]


def test_a_third_is_a_third_of_any_number() -> None:
    """
    Rounding does not gather: a decimal third of 9 999 requests errs 3 333 times.
    """
    plan = Plan(behaviour=Behaviour(error_share=1 / 3))

    assert sum(plan.next()[0] is Outcome.ERROR for _ in range(9999)) == 3333


def test_shares_that_meet_in_one_request_are_both_kept() -> None:
    """
    Where errors, garbage and hanging come due together, the later waits and none is lost.
    """
    plan = Plan(behaviour=Behaviour(error_share=0.5, garbage_share=0.25, hang_share=0.25))
    outcomes = [plan.next()[0] for _ in range(400)]

    assert [outcomes.count(o) for o in (Outcome.ERROR, Outcome.GARBAGE, Outcome.HANG, Outcome.ANSWER)] == [
        200,
        100,
        100,
        0,
    ]


def test_stalling_is_independent_of_the_outcome() -> None:
    """
    A stalled request still errs when its turn has come.
    """
    plan = Plan(behaviour=Behaviour(error_share=1.0, stall_seconds=1.0, stall_share=0.5))

    assert [stalled for _, stalled in (plan.next() for _ in range(4))] == [True, False, True, False]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"eror_share": 1}, "unknown key 'eror_share'; did you mean 'error_share'?"),
        ({"error_share": 1.5}, "error_share: 1.5 is not a number from 0 to 1"),
        ({"error_share": True}, "error_share: True is not a number"),
        ({"stall_seconds": "5"}, "stall_seconds: '5' is not a number"),
        ({"error_status": 200}, "error_status: 200 is not a whole number from 400 to 599"),
        ({"prompt_tokens": -1}, "prompt_tokens: -1 is not a whole number"),
        ({"error_share": 0.7, "hang_share": 0.7}, "add up to more than 1"),
        ([], "a behaviour is an object"),
    ],
)
def test_an_impossible_behaviour_is_refused_by_name(given: object, sentence: str) -> None:
    """
    Nothing that was asked for is ignored.
    """
    with pytest.raises(BehaviourError) as refused:
        parse(given)

    assert sentence in str(refused.value)


@pytest.mark.asyncio
async def test_a_chat_is_answered_in_openai_shape(client: TestClient[Any, Any]) -> None:
    """
    The answer carries a message and the bill, counted from the lengths of the texts.
    """
    async with client.post("/v1/chat/completions", json=CHAT, headers=KEY) as response:
        answer = await response.json()

    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 13, "total_tokens": 23}


@pytest.mark.asyncio
async def test_fixed_token_counts_are_billed(client: TestClient[Any, Any]) -> None:
    """
    A tenant's token counts can be set, zero included.
    """
    await control(client, {"prompt_tokens": 700, "completion_tokens": 0})
    await chat(client)

    record = (await served(client))[-1]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (700, 0)


@pytest.mark.asyncio
async def test_what_was_served_is_remembered(client: TestClient[Any, Any]) -> None:
    """
    Errors are remembered with the caller's request id and bill nothing.
    """
    await control(client, {"error_share": 1, "error_status": 503})
    status, text = await chat(client, **{"x-request-id": "r1"})
    record = (await served(client))[0]

    assert status == 503
    assert '"server_error"' in text
    assert tuple(record[key] for key in ("request_id", "model", "completion_tokens", "status", "stalled")) == (
        "r1",
        "gpt-4",
        0,
        503,
        False,
    )


@pytest.mark.asyncio
async def test_a_new_behaviour_replaces_the_old_one_whole(client: TestClient[Any, Any]) -> None:
    """
    What a PUT does not mention is sound again.
    """
    await control(client, {"error_share": 1})
    status, behaviour = await control(client, {})

    assert (status, behaviour["error_share"]) == (200, 0.0)
    assert (await chat(client))[0] == 200


@pytest.mark.asyncio
async def test_a_new_behaviour_starts_its_plan_anew(client: TestClient[Any, Any]) -> None:
    """
    The same behaviour hits the same requests, whatever was served before it.
    """
    seen = []
    for _ in range(2):
        await control(client, {"error_share": 0.25})
        seen.append([(await chat(client))[0] for _ in range(3)])

    assert seen == [[200, 500, 200]] * 2


@pytest.mark.asyncio
async def test_tenants_do_not_disturb_each_other(client: TestClient[Any, Any]) -> None:
    """
    One tenant's errors are not another's.
    """
    await control(client, {"error_share": 1}, tenant="cell2")

    assert (await chat(client))[0] == 200
    assert (await chat(client, Authorization="Bearer cell2.s3cret"))[0] == 500


@pytest.mark.asyncio
async def test_a_request_that_hangs_ends_when_its_client_gives_up(client: TestClient[Any, Any]) -> None:
    """
    Hanging leaves nothing behind but the memory of it.
    """
    await control(client, {"hang_share": 1})
    with pytest.raises(TimeoutError):
        await client.post("/v1/chat/completions", json=CHAT, headers=KEY, timeout=aiohttp.ClientTimeout(total=2))

    assert [record["status"] for record in await served(client)] == [499]


@pytest.mark.asyncio
async def test_a_stall_delays_a_sound_answer(client: TestClient[Any, Any]) -> None:
    """
    A stalled request is answered, and remembered as stalled.
    """
    await control(client, {"stall_seconds": 0.05})
    status, _ = await chat(client)

    assert status == 200
    assert [record["stalled"] for record in await served(client)] == [True]


@pytest.mark.asyncio
async def test_garbage_claims_to_be_a_good_answer(client: TestClient[Any, Any]) -> None:
    """
    Garbage comes with 200 and as JSON, which it is not.
    """
    await control(client, {"garbage_share": 1})
    async with client.post("/v1/chat/completions", json=CHAT, headers=KEY) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        with pytest.raises(ValueError, match="Unterminated"):
            await response.json()


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["", "Bearer cell1.wrong", "Bearer s3cret", "Bearer .s3cret", "Basic cell1.s3cret"])
async def test_a_wrong_key_is_refused(client: TestClient[Any, Any], key: str) -> None:
    """
    Only a tenant with the secret is served.
    """
    status, text = await chat(client, Authorization=key)

    assert status == 401
    assert "invalid_api_key" in text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**CHAT, "model": "gpt-44"}, 404),
        ({**CHAT, "messages": []}, 400),
        ({**CHAT, "messages": [{"content": 1}]}, 400),
        ({**CHAT, "stream": True}, 400),
        ([], 400),
    ],
)
async def test_a_wrong_question_is_the_clients_error(client: TestClient[Any, Any], body: object, status: int) -> None:
    """
    A malformed chat is refused and is not counted as served.
    """
    assert status == (await chat(client, body))[0]
    assert await served(client) == []


@pytest.mark.asyncio
async def test_control_needs_the_secret(client: TestClient[Any, Any]) -> None:
    """
    A tenant's own key does not let it control the server.
    """
    async with client.put("/control/cell1", json={}, headers=KEY) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"UPSTREAM_SECRET": "s"}, "upstream: UPSTREAM_PORT is not set"),
        ({"UPSTREAM_PRT": "1", "UPSTREAM_SECRET": "s"}, "UPSTREAM_PRT is, did you mean UPSTREAM_PORT?"),
        ({"UPSTREAM_PORT": "80800", "UPSTREAM_SECRET": "s"}, "UPSTREAM_PORT='80800' is not a port (1 to 65535)"),
        ({"UPSTREAM_PORT": "80"}, "UPSTREAM_SECRET is not set"),
    ],
)
def test_a_wrong_environment_is_refused_in_one_line(
    environ: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The process says what is wrong and ends with 2.
    """
    code = main(environ)
    said = capsys.readouterr().err

    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1
