"""Observing how often a Prometheus looks and decides, judged: as it loaded it, and never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from conformance.observe.client import Client, ObserveError
from conformance.observe.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG = """\
global:
  scrape_interval: 1m30s
  scrape_timeout: 10s
  evaluation_interval: 15s
  external_labels:
    cluster: steady
runtime:
  gogc: 75
scrape_configs:
- job_name: docker
  scrape_interval: 500ms
"""


def saying(data: object) -> Prometheus:
    """A Prometheus that answers everything alike."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"status": "success", "data": data})

    return Prometheus(Client("prometheus", "http://prometheus.invalid", transport=httpx.MockTransport(answer)))


def target(more: Mapping[str, str]) -> dict[str, object]:
    return {
        "activeTargets": [{"labels": {"job": "docker", "instance": "a:1"}, "health": "up", "lastError": "", **more}]
    }


@pytest.mark.parametrize(
    ("more", "seconds"), [({"scrapeInterval": "1m30s"}, 90.0), ({"scrapeInterval": "250ms"}, 0.25), ({}, None)]
)
def test_a_target_has_the_interval_that_is_said(more: Mapping[str, str], seconds: float | None) -> None:
    """
    In seconds; where nothing is said none is known.
    """
    (found,) = saying(target(more)).targets()

    assert found.scrape_interval == seconds


def test_the_usual_interval_is_that_of_global() -> None:
    """
    A job's own, further down the page, is not taken for it.
    """
    assert saying({"yaml": CONFIG}).usual_scrape_interval() == 90.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(CONFIG.replace("  scrape_interval: 1m30s\n", ""), "names no scrape_interval in global", id="none"),
        pytest.param(CONFIG.replace("1m30s", "often"), "'often' is not a duration", id="no duration"),
    ],
)
def test_an_interval_that_cannot_be_read_is_a_trouble(text: str, words: str) -> None:
    """
    Neither another line nor a default is taken in its place.
    """
    with pytest.raises(ObserveError, match=words):
        saying({"yaml": text}).usual_scrape_interval()


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        pytest.param({"interval": 0.25}, 0.25, id="a quarter of a second"),
        pytest.param({"interval": 90}, 90.0, id="a whole number"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_a_rule_has_the_interval_of_its_group(more: Mapping[str, float], seconds: float | None) -> None:
    """
    In seconds; where nothing is said none is known.
    """
    row = {"name": "ServiceDown", "type": "alerting", "query": "up == 0"}
    ((found,), _) = saying({"groups": [{"name": "osmen_alerts", "rules": [row], **more}]}).rules()

    assert found.interval == seconds
