"""
What people look at: every panel of the dashboards, while all is calm and while everything that they show has moved.

In the second phase there is more load, of more users; one model errs and another is slow, so that agents differ. The
database is queried, one query never ends, sessions and memory are held, the cache is asked for what it has not, the
disk is written to and the network sent to. All of it stays below what any alert pages for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import dashboards
from fixtures.faults.ballast import Memory, Sessions, Stirred
from fixtures.faults.machine import Traffic
from fixtures.faults.program import Phase, Program
from fixtures.faults.upstream import Ailing
from fixtures.load.profile import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

ROUND = (
    *("daily_brief", "librarian", "daily_brief", "focus_guardrails"),
    *("librarian", "daily_brief", "boot_hardening"),
)
"""The agents of a round; numbers that differ, so that agents that are confused are told."""

CALM = Steady(rps=0.1, agents=ROUND)
"""Six requests a minute."""

CONNECTIONS = 25
"""That its PostgreSQL takes; each is a process of its own."""

FAULTS = (
    Ailing(erring="gpt-3.5-turbo", errors=0.5, slow="gpt-4", seconds=15),
    Sessions(total=CONNECTIONS * 6 // 10),
    # A gateway in a container of its own has more than half of the limit to begin with.
    Memory(share=0.72),
    Stirred(queries=90, lookups=30, burn=0.05),
    Traffic(writes=15, packets=40),
)

BOARDS = Program(
    name="dashboards",
    phases=(
        Phase(name="calm", load=CALM, lasts=timedelta(minutes=7)),
        Phase(name="fault", load=replace(CALM, rps=0.25, users=24), lasts=timedelta(minutes=7), faults=FAULTS),
    ),
    jobs=frozenset({"osmen_gateway", "osmen_postgres", "osmen_redis", "docker"}),
    needs=frozenset(
        {"upstream", "postgres", "postgres_exporter", "redis", "redis_exporter", "ballast", "cadvisor", "loki"}
    ),
    owns=frozenset({"postgres", "postgres_exporter", "redis", "redis_exporter", "ballast"}),
    max_connections=CONNECTIONS,
    signals=frozenset({"dashboards"}),
    after=timedelta(minutes=6),
)

PANELS = tuple(
    f"dashboard/{board}/{panel}"
    for board, panels in {
        "overview": (
            *("total-requests-sec", "error-rate", "average-response-time", "active-users"),
            "errors-in-the-log",
        ),
        "agents": (
            *("executions-per-agent", "average-execution-time", "success-rate-by-agent", "token-usage-by-agent"),
        ),
        "system": ("cpu-usage-by-service", "memory-usage-by-service", "disk-i-o", "network-throughput"),
        "database": ("query-rate", "connection-pool-usage", "slow-queries", "cache-hit-rate"),
        "costs": ("llm-api-costs", "token-usage-trends", "cost-per-agent", "daily-monthly-projections"),
    }.items()
    for panel in panels
)

pytestmark = pytest.mark.program(BOARDS)


@pytest.mark.parametrize("panel", [pytest.param(name, id=name, marks=pytest.mark.covers(name)) for name in PANELS])
def test_a_panel_shows_what_happened(
    panel: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    In the calm and in the fault it shows the figure that clients, servers or the kernel counted, in a unit that fits.
    """
    prove(dashboards.shows(contract.panel(panel), contract, timelines[BOARDS.name], calm="calm", fault="fault"))
