"""Under plain load everything that the guide has scraped is scraped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import targets
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

JOBS = ("osmen_gateway", "osmen_postgres", "osmen_redis", "docker")

pytestmark = pytest.mark.program(STEADY)


@pytest.mark.parametrize(
    "job", [pytest.param(job, id=f"target/{job}", marks=pytest.mark.covers(f"target/{job}")) for job in JOBS]
)
def test_every_documented_target_answers_each_scrape(
    job: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Prometheus scrapes the documented job at the documented interval, and no scrape fails.
    """
    prove(targets.up(contract.target(job), contract.timing, timelines["steady"]))
