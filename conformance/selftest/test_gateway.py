"""The reference gateway: what it answers, counts, logs, traces and says of its health, whatever fails around it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp.test_utils import TestServer, unused_port
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from fixtures.core.wait import until, until_async
from fixtures.gateway import metrics as gateway_metrics
from fixtures.gateway.__main__ import main
from fixtures.gateway.agents import AGENTS, INPUT_CHARACTERS, MODELS
from fixtures.gateway.app import create_app
from fixtures.gateway.metrics import Metrics
from fixtures.gateway.postgres import PostgresStore
from fixtures.gateway.settings import Settings, SettingsError, parse
from fixtures.gateway.upstream import ChatModel, http_session
from fixtures.gateway.users import RedisUsers
from fixtures.gateway.world import (
    Answer,
    Execution,
    Kind,
    ModelFailed,
    ModelTimedOut,
    Status,
    StoreFailed,
    UsersFailed,
    World,
)
from fixtures.upstream.app import create_app as create_model_server
from fixtures.upstream.settings import Settings as ModelServerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

NINE_FIELDS = [
    "timestamp",
    "level",
    "service",
    "request_id",
    "user_id",
    "agent",
    "duration_ms",
    "status",
    "message",
]
DOCUMENTED = {
    "osmen_requests",
    "osmen_requests_per_second",
    "osmen_request_duration_seconds",
    "osmen_errors",
    "osmen_error_rate",
    "osmen_agent_executions",
    "osmen_agent_duration_seconds",
    "osmen_active_users",
    "osmen_tokens_used",
    "osmen_llm_cost_dollars",
}
ENVIRON = {
    "GATEWAY_PORT": "8080",
    "DATABASE_URL": "postgresql://osmen:pgsecret@127.0.0.1:1/postgres",
    "REDIS_URL": "redis://:redissecret@127.0.0.1:1/0",
    "UPSTREAM_URL": "http://127.0.0.1:1/v1",
    "UPSTREAM_API_KEY": "cell1.keysecret",
    "QDRANT_URL": "http://127.0.0.1:1",
    "LANGFLOW_URL": "http://127.0.0.1:1",
    "N8N_URL": "http://127.0.0.1:1",
}
TASK = {"input": "what is on today", "user_id": "user123"}


async def pause(seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)


@dataclass(kw_only=True)
class Fake:
    """All dependencies in memory; each fails with what it is given."""

    answer: Answer = field(default_factory=lambda: Answer(text="two meetings", prompt_tokens=30, completion_tokens=10))
    takes: float = 0.0
    model_fails: Exception | None = None
    store_fails: Exception | None = None
    users_fail: Exception | None = None
    probe: Callable[[], Awaitable[None]] | None = None
    saved: list[Execution] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    async def chat(self, *, model: str, messages: Sequence[Mapping[str, str]], headers: Mapping[str, str]) -> Answer:
        assert model
        assert messages
        self.headers.append(headers)
        if self.takes:
            await pause(self.takes)
        if self.model_fails:
            raise self.model_fails
        return self.answer

    async def save(self, execution: Execution) -> None:
        if self.store_fails:
            raise self.store_fails
        self.saved.append(execution)

    async def touch(self, user_id: str) -> None:
        if self.users_fail:
            raise self.users_fail
        self.seen.add(user_id)

    async def active(self) -> int:
        if self.users_fail:
            raise self.users_fail
        return len(self.seen)

    async def ping(self) -> None:
        if self.probe:
            await self.probe()

    async def well(self) -> None:
        """A neighbour's probe."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    client: httpx.AsyncClient
    fake: Fake
    log: Path
    exporter: InMemorySpanExporter

    async def execute(self, agent: str = "daily_brief", body: object = TASK, **headers: str) -> httpx.Response:
        return await self.client.post(f"/api/v1/agents/{agent}/execute", json=body, headers=headers)

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        read = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in read if all(line[key] == value for key, value in wanted.items())]

    def completions(self) -> list[dict[str, Any]]:
        return [
            line for line in self.lines() if re.match("Agent execution (completed|failed|rejected)", line["message"])
        ]

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    async def samples(self) -> dict[str, float]:
        return read_samples((await self.client.get("/metrics")).text)


def read_samples(page: str) -> dict[str, float]:
    """Each sample under `name{value,value}`, the label values in the order of their names."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(value for _, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@asynccontextmanager
async def gateway(tmp_path: Path, fake: Fake | None = None, **changes: Any) -> AsyncIterator[Running]:  # noqa: ANN401  # settings of any type
    fake = fake or Fake()
    settings = replace(parse(ENVIRON), log_file=tmp_path / "gateway.jsonl", **changes)
    exporter = InMemorySpanExporter()

    @asynccontextmanager
    async def world(_: Settings) -> AsyncIterator[World]:
        yield World(
            model=fake,
            store=fake,
            users=fake,
            neighbours={"qdrant": fake.well, "langflow": fake.well, "n8n": fake.well},
        )

    app = create_app(settings, world=world, spans=exporter)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as client,
    ):
        yield Running(client=client, fake=fake, log=tmp_path / "gateway.jsonl", exporter=exporter)


# --- one request -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_execution_is_answered_stored_and_remembered(tmp_path: Path) -> None:
    """
    The client gets its output under its own request id; the store and the active users know of it.
    """
    async with gateway(tmp_path) as running:
        response = await running.execute(**{"X-Request-ID": "mine-1"})
        answer = response.json()

        assert response.status_code == 200
        assert response.headers["x-request-id"] == "mine-1"
        assert {**answer, "execution_time_ms": 0} == {
            "request_id": "mine-1",
            "agent": "daily_brief",
            "output": "two meetings",
            "tokens_used": 40,
            "execution_time_ms": 0,
            "status": "success",
        }
        (saved,) = running.fake.saved
        assert (saved.request_id, saved.user_id, saved.status, saved.tokens) == ("mine-1", "user123", "success", 40)
        seen = await until_async(_look(lambda: running.fake.seen), bool, budget=20, every=0.01)
        assert seen.last == {"user123"}


@pytest.mark.asyncio
async def test_an_execution_counts_once_everywhere(tmp_path: Path) -> None:
    """
    Requests, executions, both durations, tokens and dollars agree with what one client saw.
    """
    async with gateway(tmp_path) as running:
        await running.execute()
        samples = await running.samples()

    expected = {
        "osmen_requests_total{daily_brief,success}": 1,
        "osmen_agent_executions_total{daily_brief,success}": 1,
        "osmen_request_duration_seconds_count{daily_brief}": 1,
        "osmen_agent_duration_seconds_count{daily_brief}": 1,
        "osmen_tokens_used_total{daily_brief,gpt-4,prompt}": 30,
        "osmen_tokens_used_total{daily_brief,gpt-4,completion}": 10,
        "osmen_llm_cost_dollars{daily_brief,gpt-4}": pytest.approx(0.03 * 0.030 + 0.06 * 0.010),
        "osmen_requests_total{daily_brief,error}": 0,
        "osmen_errors_total{daily_brief,upstream}": 0,
    }
    assert {name: samples[name] for name in expected} == expected


@pytest.mark.asyncio
async def test_the_log_has_one_completion_line_in_the_documented_form(tmp_path: Path) -> None:
    """
    Nine fields in their order, a UTC time with milliseconds, a whole number of milliseconds.
    """
    async with gateway(tmp_path) as running:
        response = await running.execute()
        (line,) = running.completions()

    assert list(line)[:9] == NINE_FIELDS
    assert (line["level"], line["service"], line["status"]) == ("INFO", "gateway", "success")
    assert line["message"] == "Agent execution completed"
    assert (line["user_id"], line["agent"]) == ("user123", "daily_brief")
    assert (line["request_id"], line["duration_ms"]) == (
        response.json()["request_id"],
        response.json()["execution_time_ms"],
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line["timestamp"])) < timedelta(seconds=5)
    assert isinstance(line["duration_ms"], int)


@pytest.mark.asyncio
async def test_the_trace_continues_the_callers_and_has_a_span_per_dependency(tmp_path: Path) -> None:
    """
    `execute_agent` is the caller's child, its dependencies are its children, and the model server is told.
    """
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    async with gateway(tmp_path) as running:
        response = await running.execute(traceparent=f"00-{trace}-{parent}-01")
        await until_async(_look(running.spans), lambda spans: len(spans) == 4, budget=20, every=0.01)
        spans = running.spans()
        (line,) = running.completions()

    root = spans.pop("execute_agent")
    assert root.parent is not None
    assert root.context is not None
    assert f"{root.parent.span_id:016x}" == parent
    assert root.attributes is not None
    assert root.attributes["agent.name"] == "daily_brief"
    assert root.resource.attributes["service.name"] == "osmen-gateway"
    assert set(spans) == {"upstream.chat", "postgres.store", "redis.touch"}
    assert {child.parent.span_id for child in spans.values() if child.parent} == {root.context.span_id}
    assert response.headers["x-trace-id"] == line["trace_id"] == trace
    assert running.fake.headers[0]["traceparent"].split("-")[1] == trace
    assert running.fake.headers[0]["x-request-id"] == response.headers["x-request-id"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fake", "http_status", "kind"),
    [
        (Fake(model_fails=ModelFailed("the model server answered 500")), 502, Kind.UPSTREAM),
        (Fake(model_fails=ModelTimedOut("the model server did not answer within 1 s")), 504, Kind.TIMEOUT),
        (Fake(store_fails=StoreFailed("the database failed: OSError")), 503, Kind.DATABASE),
        (Fake(model_fails=RuntimeError("a slip of ours")), 500, Kind.INTERNAL),
    ],
    ids=lambda value: value.value if isinstance(value, Kind) else None,
)
async def test_a_failure_counts_once_by_its_cause(tmp_path: Path, fake: Fake, http_status: int, kind: Kind) -> None:
    """
    The client's error, one counter, one ERROR line and the span's status tell the same.
    """
    async with gateway(tmp_path, fake) as running:
        response = await running.execute()
        samples = await running.samples()
        (line,) = running.completions()
        span = running.spans()["execute_agent"]

    assert (response.status_code, response.json()["status"]) == (http_status, "error")
    assert {k: samples[f"osmen_errors_total{{daily_brief,{k}}}"] for k in Kind} == {
        **dict.fromkeys(Kind, 0),
        kind: 1,
    }
    assert samples["osmen_requests_total{daily_brief,error}"] == 1
    assert samples["osmen_agent_executions_total{daily_brief,error}"] == 1
    assert samples["osmen_error_rate{}"] == 1
    assert (line["level"], line["status"], line["message"]) == ("ERROR", "error", "Agent execution failed")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.asyncio
async def test_tokens_are_spent_even_when_storing_fails(tmp_path: Path) -> None:
    """
    What the model billed is counted, whatever becomes of the request.
    """
    async with gateway(tmp_path, Fake(store_fails=StoreFailed("the database failed"))) as running:
        await running.execute()
        samples = await running.samples()

    assert samples["osmen_tokens_used_total{daily_brief,gpt-4,prompt}"] == 30


@pytest.mark.asyncio
async def test_a_failed_execution_is_stored_as_one(tmp_path: Path) -> None:
    """
    The store knows failures too.
    """
    async with gateway(tmp_path, Fake(model_fails=ModelFailed("no"))) as running:
        await running.execute()

    assert [execution.status for execution in running.fake.saved] == ["error"]


@pytest.mark.asyncio
async def test_users_that_cannot_be_counted_fail_nothing(tmp_path: Path) -> None:
    """
    Without Redis an execution succeeds, a WARNING says what is missing, and the gauge admits that it does not know.
    """
    async with gateway(tmp_path, Fake(users_fail=UsersFailed("redis failed: ConnectionError"))) as running:
        response = await running.execute()
        await until_async(_look(lambda: running.lines(level="WARNING")), bool, budget=20, every=0.01)
        samples = await running.samples()

    assert response.status_code == 200
    assert "active users not updated" in running.lines(level="WARNING")[0]["message"]
    assert math.isnan(samples["osmen_active_users{}"])


@pytest.mark.asyncio
async def test_an_execution_that_a_stop_cuts_short_is_answered_and_counted(tmp_path: Path) -> None:
    """
    The client of a stopping gateway gets a 503 in the usual form, and one completion line tells of it.
    """
    async with gateway(tmp_path, Fake(takes=30)) as running:
        pending = asyncio.create_task(running.execute())
        await until_async(_look(lambda: running.fake.headers), bool, budget=20, every=0.01)
        pending.cancel()
        response = await pending
        (line,) = running.completions()

    assert (response.status_code, response.json()["error"]) == (503, "the gateway is stopping")
    assert line["error"] == "internal: the gateway is stopping"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("agent", "body", "http_status", "sentence"),
    [
        ("daily_breif", TASK, 404, "did you mean daily_brief?"),
        ("daily_brief", {"input": "x"}, 422, "'user_id' is not a name"),
        ("daily_brief", {"input": " ", "user_id": "u"}, 422, "'input' is not a text with something in it"),
        ("daily_brief", {"input": "x", "user_id": "u\n"}, 422, "'user_id' is not a name"),
        ("daily_brief", {"input": 1, "user_id": "u"}, 422, "'input' is not a text"),
        ("daily_brief", {**TASK, "inptu": ""}, 422, "unknown key 'inptu'; did you mean 'input'?"),
        ("daily_brief", [], 422, "the body is not an object"),
        ("daily_brief", {**TASK, "input": "x" * 300_000}, 413, "the body exceeds 262144 bytes"),
    ],
)
async def test_the_clients_own_mistake_is_no_error_of_the_service(
    tmp_path: Path, agent: str, body: object, http_status: int, sentence: str
) -> None:
    """
    A 4xx is counted and logged as a rejection, and in no error metric.
    """
    async with gateway(tmp_path) as running:
        response = await running.execute(agent, body)
        samples = await running.samples()
        (line,) = running.completions()

    known = agent if agent in AGENTS else "unknown"
    assert response.status_code == http_status
    assert sentence in response.json()["error"]
    assert samples[f"osmen_requests_total{{{known},rejected}}"] == 1
    assert sum(value for name, value in samples.items() if name.startswith("osmen_errors_total")) == 0
    assert samples["osmen_error_rate{}"] == 0
    assert (line["level"], line["status"]) == ("WARNING", "rejected")


@pytest.mark.asyncio
@pytest.mark.parametrize("given", ["", "a" * 65, "a b", 'x","level":"ERROR'])
async def test_an_unfit_request_id_is_replaced(tmp_path: Path, given: str) -> None:
    """
    No client writes into the log what it likes.
    """
    async with gateway(tmp_path) as running:
        response = await running.execute(**{"X-Request-ID": given})

    assert re.fullmatch("req_[0-9a-f]{16}", response.headers["x-request-id"])


# --- the log -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_no_secret_and_no_text_of_a_user_reaches_the_log(tmp_path: Path) -> None:
    """
    At the most talkative level, with a library that puts an address into its exception, nothing leaks.
    """
    leak = RuntimeError("cannot connect to postgresql://osmen:pgsecret@127.0.0.1 with cell1.keysecret")
    async with gateway(tmp_path, Fake(model_fails=leak), gateway_log_level="DEBUG", agent_log_level="DEBUG") as running:
        await running.execute()
        text = running.log.read_text()

    assert "cannot connect to postgresql://osmen:***@127.0.0.1 with ***" in text
    assert not [word for word in ("pgsecret", "redissecret", "keysecret", "what is on today") if word in text]


@pytest.mark.asyncio
async def test_a_traceback_stays_in_its_line(tmp_path: Path) -> None:
    """
    An unexpected exception is one record, told in an extra field.
    """
    async with gateway(tmp_path, Fake(model_fails=RuntimeError("a slip\nover two lines"))) as running:
        await running.execute()
        (line,) = running.completions()

    assert "Traceback" in line["exception"]
    assert "a slip\nover two lines" in line["exception"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("environ", "talkative"),
    [
        ({}, set()),
        ({"LOG_LEVEL": "debug"}, {"gateway", "agent"}),
        ({"GATEWAY_LOG_LEVEL": "DEBUG"}, {"gateway"}),
        ({"AGENT_LOG_LEVEL": "DEBUG"}, {"agent"}),
        ({"LOG_LEVEL": "DEBUG", "AGENT_LOG_LEVEL": "INFO"}, {"gateway"}),
    ],
)
async def test_each_log_level_governs_its_own_code(
    tmp_path: Path, environ: dict[str, str], talkative: set[str]
) -> None:
    """
    The general level holds where no specific one is given; the two services have one each.
    """
    levels = parse({**ENVIRON, **environ})
    async with gateway(
        tmp_path, gateway_log_level=levels.gateway_log_level, agent_log_level=levels.agent_log_level
    ) as running:
        await running.execute()

    assert {line["service"] for line in running.lines(level="DEBUG")} == talkative


@pytest.mark.asyncio
async def test_both_services_have_something_to_say_at_each_level_up_to_warning(tmp_path: Path) -> None:
    """
    A level can be told from the next by looking at the log.
    """
    long = {**TASK, "input": "x" * (INPUT_CHARACTERS + 1)}
    async with gateway(tmp_path, gateway_log_level="DEBUG", agent_log_level="DEBUG") as running:
        await running.execute(body=long)
        await running.execute("nobody")

    assert {(line["service"], line["level"]) for line in running.lines()} == {
        (service, level) for service in ("gateway", "agent") for level in ("DEBUG", "INFO", "WARNING")
    }


# --- metrics -----------------------------------------------------------------------------------------------------


def test_every_label_set_stands_at_zero_from_the_start() -> None:
    """
    A counter that is born at its first error shows no rate for it.
    """
    samples = read_samples(Metrics(MODELS).page().decode())

    assert [samples[f"osmen_errors_total{{{agent},{kind}}}"] for agent in AGENTS for kind in Kind] == [0] * 16
    assert [samples[f"osmen_requests_total{{{a},{s}}}"] for a in AGENTS for s in Status] == [0] * 12
    assert len([name for name in samples if name.startswith("osmen_tokens_used_total")]) == 8


def test_only_documented_names_stand_under_the_services_prefix() -> None:
    """
    What the guide does not list is not exposed, and what it lists is.
    """
    families = list(text_string_to_metric_families(Metrics(MODELS).page().decode()))
    ours = {family.name: family.type for family in families if family.name.startswith("osmen_")}

    assert set(ours) == DOCUMENTED
    assert ours["osmen_request_duration_seconds"] == "histogram"
    assert ours["osmen_llm_cost_dollars"] == "gauge"
    assert not [sample.name for family in families for sample in family.samples if sample.name.endswith("_created")]


def test_buckets_reach_beyond_the_alerting_threshold() -> None:
    """
    A quantile is never above the last finite bucket, so 10 s must not be it.
    """
    assert max(gateway_metrics.BUCKETS) > 60
    assert 10.0 in gateway_metrics.BUCKETS


@pytest.mark.parametrize("time_scale", [1.0, 60.0])
def test_window_gauges_speak_of_the_last_minute(time_scale: float) -> None:
    """
    Rate and error share are those of the last 60 s in reported time, and of nothing older.
    """
    now = 0.0
    metrics = Metrics(MODELS, time_scale=time_scale, clock=lambda: now)

    def gauges() -> tuple[float, float]:
        samples = read_samples(metrics.page().decode())
        return samples["osmen_requests_per_second{}"], samples["osmen_error_rate{}"]

    for number in range(120):
        now = number / time_scale
        failed = Kind.UPSTREAM if number % 4 == 0 else None
        metrics.executed("librarian", seconds=1, agent_seconds=1, failed_by=failed)
    busy = gauges()
    now += 61 / time_scale

    assert busy == (1.0, 0.25)
    assert gauges() == (0.0, 0.0)


@pytest.mark.asyncio
async def test_the_metrics_page_says_what_it_is(tmp_path: Path) -> None:
    """
    Prometheus 3 takes no page without a proper content type.
    """
    async with gateway(tmp_path) as running:
        response = await running.client.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.asyncio
async def test_durations_are_reported_in_scaled_time(tmp_path: Path) -> None:
    """
    At a scale of 60 a twentieth of a second is three; the span keeps the real time.
    """
    async with gateway(tmp_path, Fake(takes=0.05), time_scale=60.0) as running:
        answer = (await running.execute()).json()
        samples = await running.samples()
        (line,) = running.completions()
        span = running.spans()["execute_agent"]

    assert answer["execution_time_ms"] == line["duration_ms"] >= 3000
    assert samples["osmen_request_duration_seconds_sum{daily_brief}"] >= 3
    assert samples["osmen_agent_duration_seconds_sum{daily_brief}"] >= 3
    assert running.fake.saved[0].duration >= 3
    assert span.end_time is not None
    assert span.start_time is not None
    assert span.end_time - span.start_time < 3e9


@pytest.mark.asyncio
async def test_two_gateways_of_one_process_share_nothing(tmp_path: Path) -> None:
    """
    Each has a registry and levels of its own.
    """
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with (
        gateway(tmp_path / "a", gateway_log_level="DEBUG") as one,
        gateway(tmp_path / "b") as other,
    ):
        await one.execute()
        await other.execute("librarian")
        samples = await other.samples()

    assert samples["osmen_requests_total{daily_brief,success}"] == 0
    assert one.lines(level="DEBUG")
    assert not other.lines(level="DEBUG")


# --- health ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/health", "/ready", "/live", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_probes_may_ask_as_they_like(tmp_path: Path, path: str, method: str, slash: str) -> None:
    """
    HEAD and a trailing slash get the same answer, not a redirect.
    """
    async with gateway(tmp_path) as running:
        assert (await running.client.request(method, path + slash)).status_code == 200


@pytest.mark.asyncio
async def test_a_healthy_gateway_says_so_with_a_time_in_utc(tmp_path: Path) -> None:
    """
    The five documented services, the state, and when.
    """
    async with gateway(tmp_path) as running:
        answer = (await running.client.get("/health")).json()

    assert answer["status"] == "healthy"
    assert answer["services"] == dict.fromkeys(("postgres", "redis", "qdrant", "langflow", "n8n"), "healthy")
    assert datetime.fromisoformat(answer["timestamp"]).utcoffset() == timedelta(0)


async def _raises() -> None:
    raise ConnectionError("refused")


async def _hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.asyncio
@pytest.mark.parametrize("probe", [_raises, _hangs])
async def test_a_dependency_that_fails_or_hangs_is_told_within_the_timeout(
    tmp_path: Path, probe: Callable[[], Awaitable[None]]
) -> None:
    """
    Body and code agree, the sound services stay healthy, and no probe is waited for beyond its time.
    """
    async with gateway(tmp_path, Fake(probe=probe), health_timeout=timedelta(seconds=0.5)) as running:
        response = await running.client.get("/health", timeout=30)
        ready = await running.client.get("/ready", timeout=30)
        live = await running.client.get("/live", timeout=30)

    assert (response.status_code, response.json()["status"]) == (503, "unhealthy")
    assert response.json()["services"] == {
        "postgres": "unhealthy",
        "redis": "unhealthy",
        "qdrant": "healthy",
        "langflow": "healthy",
        "n8n": "healthy",
    }
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert live.status_code == 200
    assert response.elapsed < timedelta(seconds=5)


@pytest.mark.asyncio
async def test_a_wrong_path_is_answered_with_the_near_one(tmp_path: Path) -> None:
    """
    A mistyped probe is easily mended.
    """
    async with gateway(tmp_path) as running:
        response = await running.client.get("/heatlh")

    assert response.status_code == 404
    assert response.json() == {"error": "there is nothing at '/heatlh'; did you mean /health?"}


# --- the real dependencies, where they need no server ---------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("behaviour", "failure", "sentence"),
    [
        ({"error_share": 1, "error_status": 503}, ModelFailed, "the model server answered 503"),
        ({"garbage_share": 1}, ModelFailed, "the model server's answer is not a completion"),
        ({"hang_share": 1}, ModelTimedOut, "the model server did not answer within 2 s"),
    ],
)
async def test_each_way_of_the_model_server_to_fail_is_told_apart(
    behaviour: dict[str, float], failure: type[Exception], sentence: str
) -> None:
    """
    Errors, nonsense and silence are different failures.
    """
    app = create_model_server(ModelServerSettings(port=1, secret="s3cret"))
    async with TestServer(app, handler_cancellation=True) as server, http_session() as session:
        model = ChatModel(
            session, url=str(server.make_url("/v1")), api_key="cell1.s3cret", timeout=timedelta(seconds=2)
        )
        messages = [{"role": "user", "content": "x" * 400}]
        answer = await model.chat(model="gpt-4", messages=messages, headers={})
        control = {"Authorization": "Bearer s3cret"}
        async with session.put(server.make_url("/control/cell1"), json=behaviour, headers=control) as response:
            assert response.status == 200
        with pytest.raises(failure) as failed:
            await model.chat(model="gpt-4", messages=messages, headers={})

    assert answer.prompt_tokens == 100
    assert sentence in str(failed.value)


@pytest.mark.asyncio
async def test_dependencies_that_are_not_there_fail_by_their_own_names() -> None:
    """
    A refused connection is a failure of the store, of the users, of the model; nothing else gets out.
    """
    store = PostgresStore(ENVIRON["DATABASE_URL"], timeout=timedelta(seconds=1))
    users = RedisUsers(ENVIRON["REDIS_URL"], prefix="osmen", window=timedelta(minutes=5))
    async with http_session() as session:
        model = ChatModel(session, url=ENVIRON["UPSTREAM_URL"], api_key="k", timeout=timedelta(seconds=1))
        with pytest.raises(ModelFailed, match="cannot be reached"):
            await model.chat(model="gpt-4", messages=[], headers={})
    with pytest.raises(StoreFailed, match="the database failed"):
        await store.ping()
    with pytest.raises(UsersFailed, match="redis failed"):
        await users.touch("u")
    await store.close()
    await users.close()


# --- settings and the process ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"GATEWAY_LOG_LEVEL": "DEBIG"},
            "GATEWAY_LOG_LEVEL='DEBIG' is not a level (DEBUG, INFO, WARNING, ERROR, CRITICAL); did you mean DEBUG?",
        ),
        ({"GATEWAY_PORT": "tcp://10.0.0.1:8080"}, "GATEWAY_PORT='tcp://10.0.0.1:8080' is not a port (1 to 65535)"),
        ({"REDIS_URL": "", "REDIS_URI": "redis://h"}, "REDIS_URL is not set; REDIS_URI is, did you mean REDIS_URL?"),
        ({"UPSTREAM_TIMEOUT": "2m"}, "UPSTREAM_TIMEOUT='2m' is not seconds (a number of at least 0.001)"),
        ({"TIME_SCALE": "0.5"}, "TIME_SCALE='0.5' is not a factor (a number of at least 1)"),
        ({"TIME_SCALE": "nan"}, "TIME_SCALE='nan' is not a factor"),
        ({"DATABASE_URL": "mysql://u:pgsecret@h/d"}, "DATABASE_URL='mysql://u:***@h/d' is not an address"),
        ({"UPSTREAM_API_KEY": "a b"}, "UPSTREAM_API_KEY='***' holds characters"),
    ],
)
def test_a_wrong_environment_is_refused_in_one_line(
    change: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The process says what is wrong, without a secret, and ends with 2.
    """
    code = main({**ENVIRON, **change})
    said = capsys.readouterr().err

    assert code == 2
    assert said.startswith(f"gateway: {sentence}")
    assert said.count("\n") == 1
    assert "pgsecret" not in said


@pytest.mark.parametrize("name", ENVIRON)
def test_every_address_must_be_given(name: str) -> None:
    """
    Nothing that the gateway needs has a silent default.
    """
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        parse({key: value for key, value in ENVIRON.items() if key != name})


def test_settings_show_no_secret() -> None:
    """
    Settings can be printed.
    """
    shown = repr(parse(ENVIRON))

    assert not [secret for secret in ("pgsecret", "redissecret", "keysecret") if secret in shown]


def test_importing_the_gateway_starts_nothing() -> None:
    """
    A process that preloads it can fork: no thread, no event loop, no open socket.
    """
    program = (
        "import os, threading, fixtures.gateway.__main__, fixtures.upstream.__main__,"
        " fixtures.receivers.__main__, fixtures.neighbours.__main__;"
        "print(threading.active_count(), sum(os.readlink(f'/proc/self/fd/{d}').startswith('socket')"
        " for d in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{d}')))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "0"]


def test_the_process_serves_without_its_dependencies_and_stops_cleanly(tmp_path: Path) -> None:
    """
    With everything else down the gateway starts, is alive, is not ready, fails a request, and stops within seconds.

    Every line of its log, the server's own included, is of the documented form.
    """
    log = tmp_path / "gateway.jsonl"
    port = unused_port()
    environ = {**os.environ, **ENVIRON, "GATEWAY_PORT": str(port), "LOG_FILE": str(log)}
    command = [sys.executable, "-W", "error", "-m", "fixtures.gateway"]
    with (
        subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        try:
            alive = until(lambda: _status(client, "/live"), lambda status: status == 200, budget=60, every=0.05)
            ready = _status(client, "/ready")
            failed = client.post("/api/v1/agents/librarian/execute", json=TASK)
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=30)
        finally:
            process.kill()
        said = process.stderr.read() if process.stderr else ""
    lines = [json.loads(line) for line in log.read_text().splitlines()]

    assert alive.ok
    assert (ready, failed.status_code, code, said) == (503, 502, 0, "")
    assert {tuple(line)[:9] for line in lines} == {tuple(NINE_FIELDS)}
    assert "Application startup complete." in [line["message"] for line in lines]
    stop = [datetime.fromisoformat(line["timestamp"]) for line in lines if line["message"] == "Shutting down"]
    assert datetime.fromisoformat(lines[-1]["timestamp"]) - stop[0] < timedelta(seconds=5)


def _status(client: httpx.Client, path: str) -> int:
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return 0


def _look(sight: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def look() -> Any:  # noqa: ANN401  # whatever the sight is
        return sight()

    return look
