"""The neighbours' stand-ins: the health endpoints of the real ones, and nothing else."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from fixtures.neighbours.__main__ import main
from fixtures.neighbours.app import create_app


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
    async with TestClient(TestServer(create_app(neighbour))) as client, client.get(path) as response:
        assert (200, answer) == (response.status, await response.text())


@pytest.mark.asyncio
@pytest.mark.parametrize(("neighbour", "path"), [("qdrant", "/health"), ("langflow", "/healthz"), ("n8n", "/")])
async def test_a_neighbour_answers_nowhere_else(neighbour: str, path: str) -> None:
    """
    A probe of a wrong path fails here as it would there.
    """
    async with TestClient(TestServer(create_app(neighbour))) as client, client.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"NEIGHBOUR_PORT": "80"}, "neighbour: NEIGHBOUR is not set"),
        ({"NEIGHBOUR": "n8n"}, "neighbour: NEIGHBOUR_PORT is not set"),
        ({"NEIGHBOUR": "qdrnt", "NEIGHBOUR_PORT": "80"}, "'qdrnt' is not a neighbour"),
        ({"NEIGHBOUR": "qdrnt", "NEIGHBOUR_PORT": "80"}, "did you mean qdrant?"),
        ({"NEIGHBOUR": "n8n", "NEIGHBOUR_PORT": "http"}, "NEIGHBOUR_PORT='http' is not a port"),
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
