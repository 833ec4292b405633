"""A quiet quarter of an hour under plain load: everything that the guide has scraped is scraped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import targets
from fixtures.faults.program import Phase, Program
from fixtures.load.profile import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

JOBS = ("osmen_gateway", "osmen_postgres", "osmen_redis", "docker")

CALM = Program(
    name="steady",
    phases=(Phase(name="calm", load=Steady(rps=1 / 6), lasts=timedelta(minutes=15)),),
    jobs=frozenset(JOBS),
    needs=frozenset({"upstream", "postgres", "redis"}),
)

pytestmark = pytest.mark.program(CALM)


@pytest.mark.parametrize(
    "job", [pytest.param(job, id=f"target/{job}", marks=pytest.mark.covers(f"target/{job}")) for job in JOBS]
)
def test_every_documented_target_answers_each_scrape(
    job: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Prometheus scrapes the documented job, and no scrape fails.
    """
    prove(targets.up(contract.target(job), timelines["steady"]))
