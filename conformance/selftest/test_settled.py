"""What is waited for before a program begins and after it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conformance.observe import settled
from conformance.observe.client import Client
from conformance.observe.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import Callable


def answering(rows: Callable[[str], list[dict[str, str]]]) -> Prometheus:
    """A Prometheus that answers a query with these label sets, each with the value 0."""

    def answer(request: httpx.Request) -> httpx.Response:
        found: list[Any] = [{"metric": labels, "value": [1, "0"]} for labels in rows(request.url.params["query"])]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": found}})

    return Prometheus(Client("prometheus", "http://prometheus", transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize(("down", "names"), [(True, ("HighErrorRate", "ServiceDown")), (False, ())])
def test_what_fired_while_a_target_was_down_is_told_from_what_fires_by_itself(
    *, down: bool, names: tuple[str, ...]
) -> None:
    """
    An alert that fires though every target has answered from the first is a finding, and stays one.
    """

    def rows(query: str) -> list[dict[str, str]]:
        if query.startswith("min_over_time(up"):
            return [{"job": "osmen_gateway"}] if down else []
        assert "ALERTS" in query
        return [{"alertname": "ServiceDown"}, {"alertname": "HighErrorRate"}]

    assert settled.fired_while_down(answering(rows)) == names


def test_quiet_is_when_nothing_has_fired_for_long_enough() -> None:
    """
    It is waited for, within a budget.
    """
    left = [3]
    asked: list[str] = []

    def rows(query: str) -> list[dict[str, str]]:
        asked.append(query)
        left[0] -= 1
        return [{"alertname": "ServiceDown"}] if left[0] > 0 else []

    assert settled.quiet(answering(rows), rest=1.5, budget=5).ok
    assert len(asked) == 3
    assert "[1500ms]" in asked[0]
    assert not settled.quiet(answering(lambda _: [{"alertname": "ServiceDown"}]), rest=1, budget=0.3).ok
