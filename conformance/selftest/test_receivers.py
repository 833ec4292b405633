"""The receivers: what Slack, PagerDuty and SMTP let in, and what is remembered of it."""

from __future__ import annotations

import asyncio
import json
import smtplib
import time
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer, unused_port

from fixtures.core import wait
from fixtures.receivers.__main__ import main
from fixtures.receivers.app import create_app
from fixtures.receivers.protocols import pagerduty, slack
from fixtures.receivers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLACK = "/services/T1/B1/hooksecret"
ROUTING_KEY = "routingsecret"
TRIGGER = {
    "routing_key": ROUTING_KEY,
    "event_action": "trigger",
    "dedup_key": "d1",
    "payload": {"summary": "down", "source": "prometheus", "severity": "critical"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    http: TestClient[Any, Any]
    smtp_port: int

    async def received(self) -> list[dict[str, Any]]:
        async with self.http.get("/received") as response:
            pages: list[dict[str, Any]] = await response.json()
            return pages

    async def behave(self, receiver: str, mode: str, **about: str) -> tuple[int, Any]:
        async with self.http.put(f"/behaviour/{receiver}", json={"mode": mode, **about}) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: object) -> tuple[int, str]:
        async with self.http.post(path, json=body) as response:
            return response.status, await response.text()

    async def mail(self) -> None:
        message = EmailMessage()
        message["Subject"] = "[FIRING:1] HighErrorRate"
        message["From"], message["To"] = "alertmanager@osmen.dev", "alerts@osmen.dev"
        message.set_content("text of it")
        message.add_alternative("<b>html of it</b>", subtype="html")

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=5) as smtp:
                smtp.send_message(message)

        await asyncio.to_thread(send)


@pytest_asyncio.fixture
async def serving() -> AsyncIterator[Serving]:
    smtp_port = unused_port()
    settings = Settings(http_port=1, smtp_port=smtp_port, slack_path=SLACK, routing_key=ROUTING_KEY)
    async with TestClient(TestServer(create_app(settings), handler_cancellation=True)) as client:
        yield Serving(http=client, smtp_port=smtp_port)


@pytest.mark.asyncio
async def test_slack_lets_in_what_knows_its_path(serving: Serving) -> None:
    """
    A webhook's message is accepted and kept with the time of its arrival, its path's secret masked.
    """
    before = time.time()
    answer = await serving.post(SLACK, {"text": f"see {SLACK}"})
    (page,) = await serving.received()

    assert answer == (200, "ok")
    assert before <= page.pop("at") <= time.time()
    assert page == {
        "receiver": "slack",
        "accepted": True,
        "status": 200,
        "path": "/services/T1/B1/***",
        "body": {"text": "see /services/T1/B1/***"},
    }


@pytest.mark.asyncio
async def test_slack_refuses_a_wrong_path_and_keeps_the_attempt(serving: Serving) -> None:
    """
    A page sent to a wrong webhook is not delivered, and can be seen not to be.
    """
    answer = await serving.post("/services/T1/B1/guess", {"text": "x"})
    (page,) = await serving.received()

    assert answer == (404, "no_service")
    assert (page["accepted"], page["status"], page["path"]) == (False, 404, "/services/T1/B1/***")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "answer"),
    [
        (b'{"text": "x"}', "application/json", 200, "ok"),
        (b"payload=%7B%22text%22%3A%22x%22%7D", "application/x-www-form-urlencoded", 200, "ok"),
        (b'{"text": ', "application/json", 400, "invalid_payload"),
        (b"text=x", "application/x-www-form-urlencoded", 400, "invalid_payload"),
        (b"[]", "application/json", 400, "invalid_payload"),
        (b'{"channel": "#x"}', "application/json", 400, "no_text"),
    ],
)
def test_slack_answers_as_the_real_one(body: bytes, content_type: str, status: int, answer: str) -> None:
    """
    A message needs to be JSON, alone or in a form, with something to show.
    """
    reply = slack(body, content_type)

    assert (status, answer) == (reply.status, reply.answer)


@pytest.mark.asyncio
async def test_pagerduty_accepts_an_event_and_masks_its_key(serving: Serving) -> None:
    """
    A valid event is answered with its incident's key and kept without the routing key.
    """
    status, text = await serving.post("/v2/enqueue", TRIGGER)
    (page,) = await serving.received()

    assert status == 202
    assert json.loads(text) == {"status": "success", "message": "Event processed", "dedup_key": "d1"}
    assert page["body"] == {**TRIGGER, "routing_key": "***"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"routing_key": ""}, "'routing_key' is missing"),
        ({"routing_key": "other"}, "'routing_key' is invalid"),
        ({"event_action": "triger"}, "'event_action' is not one of"),
        ({"payload": None}, "'payload' is missing"),
        ({"payload": {"summary": "", "source": "s", "severity": "info"}}, "'payload.summary' is missing"),
        ({"payload": {"summary": "s", "source": "s", "severity": "page"}}, "'payload.severity' is not one of"),
        ({"event_action": "resolve", "dedup_key": None}, "'dedup_key' is missing"),
    ],
)
def test_pagerduty_says_what_is_wrong_with_an_event(change: dict[str, Any], error: str) -> None:
    """
    An event that the real service would refuse is refused here.
    """
    reply = pagerduty(json.dumps({**TRIGGER, **change}).encode(), ROUTING_KEY)

    assert reply.status == 400
    assert isinstance(reply.answer, dict)
    assert error in str(reply.answer["errors"])


@pytest.mark.asyncio
async def test_a_mail_is_kept_with_both_its_bodies(serving: Serving) -> None:
    """
    A mail arrives over SMTP and is kept by its parts.
    """
    await serving.mail()
    (page,) = await serving.received()

    assert (page["receiver"], page["accepted"], page["status"]) == ("email", True, 250)
    assert page["body"] == {
        "from": "alertmanager@osmen.dev",
        "to": ["alerts@osmen.dev"],
        "subject": "[FIRING:1] HighErrorRate",
        "text": "text of it\n",
        "html": "<b>html of it</b>\n",
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mode", "status", "kept"),
    [("refuse", 403, [(False, 403)]), ("error", 500, [(False, 500)]), ("accept_and_hide", 200, [])],
)
async def test_a_receiver_behaves_as_told(
    serving: Serving, mode: str, status: int, kept: list[tuple[bool, int]]
) -> None:
    """
    Each mode shows in the answer and in the memory, and one receiver's mode is not another's.
    """
    await serving.behave("slack", mode)
    answer = await serving.post(SLACK, {"text": "x"})
    await serving.post("/v2/enqueue", TRIGGER)
    pages = await serving.received()

    assert status == answer[0]
    assert [*kept, (True, 202)] == [(page["accepted"], page["status"]) for page in pages]


@pytest.mark.asyncio
async def test_a_receiver_that_hangs_never_answers(serving: Serving) -> None:
    """
    The page is kept as one that got no answer.
    """
    await serving.behave("slack", "hang")
    with pytest.raises(TimeoutError):
        await serving.http.post(SLACK, json={"text": "x"}, timeout=aiohttp.ClientTimeout(total=2))
    (page,) = await serving.received()

    assert (page["accepted"], page["status"]) == (False, 0)


@pytest.mark.asyncio
async def test_what_hangs_is_let_go_when_its_receiver_recovers(serving: Serving) -> None:
    """
    Who waits is answered as in an outage, so that it tries again, and what comes later is taken.
    """
    await serving.behave("slack", "hang")
    hanging = asyncio.create_task(serving.post(SLACK, {"text": "first"}))
    await wait.until_async(serving.received, bool, budget=5, every=0.01)
    await serving.behave("pagerduty", "refuse")
    still = hanging.done()
    await serving.behave("slack", "accept")
    answer = await asyncio.wait_for(hanging, timeout=5)
    later = await serving.post(SLACK, {"text": "again"})
    pages = await serving.received()

    assert not still
    assert (answer[0], later[0]) == (500, 200)
    assert [(page["accepted"], page["status"]) for page in pages] == [(False, 0), (True, 200)]


@pytest.mark.asyncio
async def test_a_behaviour_may_concern_pages_about_one_thing(serving: Serving) -> None:
    """
    What has those words is treated so, everything else as before, until that is taken back.
    """
    await serving.behave("slack", "refuse", about="DiskFull")
    answers = [await serving.post(SLACK, {"text": text}) for text in ("DiskFull", "DiskSlow")]
    await serving.behave("slack", "accept", about="DiskFull")
    answers.append(await serving.post(SLACK, {"text": "DiskFull"}))

    assert [status for status, _ in answers] == [403, 200, 200]


@pytest.mark.asyncio
async def test_a_behaviour_about_nothing_is_refused(serving: Serving) -> None:
    """
    No words at all would be in every page.
    """
    status, answer = await serving.behave("slack", "refuse", about="")

    assert status == 400
    assert "'' is no text that a page could have" in answer["error"]


@pytest.mark.asyncio
async def test_a_mail_is_refused_when_told_to(serving: Serving) -> None:
    """
    SMTP has its own words for a refusal.
    """
    await serving.behave("email", "refuse")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        await serving.mail()

    assert refused.value.smtp_code == 550


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("receiver", "mode", "hint"),
    [("slak", "refuse", "did you mean slack?"), ("slack", "refused", "did you mean refuse?")],
)
async def test_an_unknown_receiver_or_mode_is_refused(serving: Serving, receiver: str, mode: str, hint: str) -> None:
    """
    A mistyped behaviour changes nothing and says so.
    """
    status, answer = await serving.behave(receiver, mode)

    assert status == 400
    assert hint in answer["error"]


GOOD = {
    "RECEIVERS_HTTP_PORT": "8090",
    "RECEIVERS_SMTP_PORT": "8025",
    "SLACK_PATH": SLACK,
    "PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"RECEIVERS_SMTP_PORT": "smtp"}, "receivers: RECEIVERS_SMTP_PORT='smtp' is not a port"),
        ({"RECEIVERS_SMTP_PORT": "8090"}, "are both 8090"),
        ({"SLACK_PATH": "/hooks/hooksecret"}, "SLACK_PATH='***' is not a webhook's path"),
        ({"PAGERDUTY_ROUTING_KEY": ""}, "PAGERDUTY_ROUTING_KEY is not set"),
    ],
)
def test_a_wrong_environment_is_refused_in_one_line(
    change: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The process says what is wrong, without the secret, and ends with 2.
    """
    code = main({**GOOD, **change})
    said = capsys.readouterr().err

    assert code == 2
    assert sentence in said
    assert "hooksecret" not in said
