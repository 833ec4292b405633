"""The neighbours' stand-ins: the health endpoints of the real ones, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from fixtures.neighbours.__main__ import main
from fixtures.neighbours.app import Settings, create_app


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("neighbour", "path", "answer"),
    [
        ("qdrant", "/healthz", "healthz check passed"),
        ("qdrant", "/readyz", "all shards are ready"),
        ("langflow", "/health", '{"status": "ok"}'),
        ("n8n", "/healthz", '{"status": "ok"}'),
    ],
)
async def test_a_neighbour_answers_where_the_real_one_does(neighbour: str, path: str, answer: str) -> None:
    """
    A probe written for the real service passes.
    """
    app = create_app(Settings(neighbour=neighbour, port=1))
    async with TestClient(TestServer(app)) as client, client.get(path) as response:
        assert (200, answer) == (response.status, await response.text())


@pytest.mark.asyncio
async def test_a_neighbour_errs_when_it_is_told_to_and_is_well_again() -> None:
    """
    Every endpoint of its own answers with that status, until it is told otherwise; nonsense changes nothing.
    """
    app = create_app(Settings(neighbour="qdrant", port=1))
    async with TestClient(TestServer(app)) as client:
        told = []
        for status in (500, 200):
            async with client.put("/control", json={"status": status}) as answer:
                told.append(answer.status)
            for nonsense in (None, {"status": "500"}, {"stauts": 503}, {"status": True}, {"status": 99}):
                async with client.put("/control", json=nonsense) as answer:
                    told.append(answer.status)
            async with client.get("/healthz") as first, client.get("/livez") as second:
                told += [first.status, second.status]

    assert told == [204, *[400] * 5, 500, 500, 204, *[400] * 5, 200, 200]


@pytest.mark.asyncio
@pytest.mark.parametrize(("neighbour", "path"), [("qdrant", "/health"), ("langflow", "/healthz"), ("n8n", "/")])
async def test_a_neighbour_answers_nowhere_else(neighbour: str, path: str) -> None:
    """
    A probe of a wrong path fails here as it would there.
    """
    app = create_app(Settings(neighbour=neighbour, port=1))
    async with TestClient(TestServer(app)) as client, client.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"NEIGHBOUR_PORT": "80"}, "neighbour: NEIGHBOUR is not set"),
        ({"NEIGHBOUR": "n8n"}, "neighbour: NEIGHBOUR_PORT is not set"),
        ({"NEIGHBOUR": "qdrnt", "NEIGHBOUR_PORT": "80"}, "'qdrnt' is not a neighbour"),
        ({"NEIGHBOUR": "qdrnt", "NEIGHBOUR_PORT": "80"}, "did you mean qdrant?"),
        ({"NEIGHBOUR": "n8n", "NEIGHBOUR_PORT": "http"}, "NEIGHBOUR_PORT='http' is not a port"),
        ({"NEIGHBOUR": "cadvisor", "NEIGHBOUR_PORT": "80"}, "NEIGHBOUR_MEASURES is not set"),
        (
            {
                "NEIGHBOUR": "cadvisor",
                "NEIGHBOUR_PORT": "80",
                "NEIGHBOUR_MEASURES": "m",
                "NEIGHBOUR_MEMORY_LIMIT": "1G",
            },
            "NEIGHBOUR_MEMORY_LIMIT='1G' is not a number of bytes",
        ),
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


MEASURED = (
    "container_cpu_usage_seconds_total",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
    "container_fs_usage_bytes",
    "container_fs_writes_total",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
)


@pytest.mark.asyncio
async def test_the_stand_in_of_cadvisor_measures_a_process_under_the_documented_names(tmp_path: Path) -> None:
    """
    The guide's seven names and the memory limit carry `name="osmen-gateway"` and a value of the process.
    """
    (tmp_path / "pid").write_text(str(os.getpid()), encoding="ascii")
    app = create_app(Settings(neighbour="cadvisor", port=1, measures=tmp_path, memory_limit=1 << 30))
    async with TestClient(TestServer(app)) as client, client.get("/metrics") as response:
        page = await response.text()
    values = {
        line.partition("{")[0]: float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if '{name="osmen-gateway"}' in line
    }

    assert set(MEASURED) == set(values)
    assert values["container_spec_memory_limit_bytes"] == 1 << 30
    assert 0 < values["container_memory_working_set_bytes"] <= values["container_memory_usage_bytes"]
    assert values["container_cpu_usage_seconds_total"] > 0


@pytest.mark.asyncio
@pytest.mark.parametrize("pid", [None, "4194305"])
async def test_a_process_that_is_not_there_has_no_figures(pid: str | None, tmp_path: Path) -> None:
    """
    Before the gateway runs and after it is gone the page is empty: never a figure of something else.
    """
    if pid is not None:
        (tmp_path / "pid").write_text(pid, encoding="ascii")
    app = create_app(Settings(neighbour="cadvisor", port=1, measures=tmp_path))
    async with TestClient(TestServer(app)) as client, client.get("/metrics") as response:
        assert (await response.text()).strip() == ""
