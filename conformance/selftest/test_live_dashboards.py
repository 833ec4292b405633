"""
Dashboards that are each bent in one way, asked of one real stack beside the shipped ones, and judged by the main job.

Every bent dashboard is a file of its own with two panels: the bent one and a sound one, which must hold all the same.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.contract.load import load
from conformance.judge import dashboards
from conformance.judge.verdict import Status
from conformance.scenarios.test_dashboards import BOARDS
from conformance.selftest import attempts
from fixtures.core import rundir
from fixtures.stack.secrets import Secrets
from fixtures.stack.stack import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.judge.verdict import Verdict
    from conformance.perform import Foresee
    from conformance.timeline.model import Timeline
    from fixtures.faults.program import Program

ROOT = Path(__file__).parents[2]
CONTRACT = load()
SHIPPED = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "dashboards").glob("*.json"))}

RATE = "[$__rate_interval]"


@dataclass(frozen=True)
class Bent:
    """A panel by its clause, what is replaced in its queries by what, the words to be said, and what else is bent."""

    clause: str
    old: str
    new: str
    says: str = ""
    status: Status = Status.BROKEN


def requests(old: str, new: str, says: str = "") -> Bent:
    return Bent("dashboard/overview/total-requests-sec", old, new, says)


BENT = {
    "misspelt-metric": requests("osmen_requests_total", "osmen_request_total", "the panel is empty"),
    "misspelt-label": requests("{agent=~", "{agnet=~", "the panel is empty"),
    "less-than-two-scrapes": requests(RATE, "[$__interval]", "the panel is empty"),
    "one-hour": requests(RATE, "[1h]"),
    "five-minutes": requests(RATE, "[5m]"),
    "constant": requests(f'sum(rate(osmen_requests_total{{agent=~"$agent"}}{RATE}))', "vector(0.2)"),
    "without-rate": requests(f'rate(osmen_requests_total{{agent=~"$agent"}}{RATE})', "osmen_requests_total"),
    "increase": requests("rate(osmen", "increase(osmen"),
    "average-instead-of-sum": requests("sum(rate", "avg(rate"),
    "successes-alone": requests('{agent=~"$agent"}', '{agent=~"$agent", status="success"}'),
    "one-agent-written-down": requests('agent=~"$agent"', 'agent="daily_brief"'),
    "agent-ignored": requests('{agent=~"$agent"}', ""),
    "ten-minutes-ago": requests(RATE, f"{RATE} offset 5m"),
    "capped": requests("sum(rate", "clamp_max(sum(rate", "parse error"),
    "every-series-by-itself": requests("sum(rate", "sum by (agent, status) (rate"),
    "zero-hidden": Bent("dashboard/overview/error-rate", "))", ")) > 0", "the panel is empty"),
    "share-instead-of-rate": Bent(
        "dashboard/overview/error-rate", "sum(rate(osmen_errors", "avg(osmen_error_rate) + 0 * sum(rate(osmen_errors"
    ),
    "average-over-averages": Bent(
        "dashboard/overview/average-response-time",
        f'sum(rate(osmen_request_duration_seconds_sum{{agent=~"$agent"}}{RATE})) / '
        f'sum(rate(osmen_request_duration_seconds_count{{agent=~"$agent"}}{RATE}))',
        f'avg(sum by (agent) (rate(osmen_request_duration_seconds_sum{{agent=~"$agent"}}{RATE})) / '
        f'sum by (agent) (rate(osmen_request_duration_seconds_count{{agent=~"$agent"}}{RATE})))',
    ),
    "percentile-instead-of-mean": Bent(
        "dashboard/overview/average-response-time",
        f'sum(rate(osmen_request_duration_seconds_sum{{agent=~"$agent"}}{RATE})) / '
        f'sum(rate(osmen_request_duration_seconds_count{{agent=~"$agent"}}{RATE}))',
        f'histogram_quantile(0.95, sum by (le) (rate(osmen_request_duration_seconds_bucket{{agent=~"$agent"}}{RATE})))',
    ),
    "users-of-an-agent": Bent(
        "dashboard/overview/active-users", "max(osmen_active_users)", "count(osmen_requests_total)"
    ),
    "warnings": Bent("dashboard/overview/errors-in-the-log", "ERROR", "WARNING"),
    "every-line": Bent("dashboard/overview/errors-in-the-log", ' | level="ERROR"', ""),
    "without-by-agent": Bent("dashboard/agents/executions-per-agent", "sum by (agent) (", "sum("),
    "busiest-agent": Bent(
        "dashboard/agents/executions-per-agent",
        f'sum by (agent) (rate(osmen_agent_executions_total{{agent=~"$agent"}}{RATE}))',
        f'topk(1, sum by (agent) (rate(osmen_agent_executions_total{{agent=~"$agent"}}{RATE})))',
    ),
    "swapped-agents": Bent(
        "dashboard/agents/executions-per-agent",
        f'sum by (agent) (rate(osmen_agent_executions_total{{agent=~"$agent"}}{RATE}))',
        "sum by (agent) (label_replace(label_replace(label_replace("
        f'rate(osmen_agent_executions_total{{agent=~"$agent"}}{RATE}), "agent", "x", "agent", "daily_brief"), '
        '"agent", "daily_brief", "agent", "librarian"), "agent", "librarian", "agent", "x"))',
    ),
    "sum-instead-of-mean": Bent(
        "dashboard/agents/average-execution-time",
        f' / sum by (agent) (rate(osmen_agent_duration_seconds_count{{agent=~"$agent"}}{RATE}))',
        "",
    ),
    "sum-instead-of-ratio": Bent(
        "dashboard/agents/success-rate-by-agent",
        f' / sum by (agent) (rate(osmen_agent_executions_total{{agent=~"$agent"}}{RATE}))',
        "",
    ),
    "failures-instead": Bent("dashboard/agents/success-rate-by-agent", 'status="success"', 'status="error"'),
    "share-of-all": Bent(
        "dashboard/agents/success-rate-by-agent", " / sum by (agent) (", " / on () group_left () sum("
    ),
    "tokens-since-the-start": Bent(
        "dashboard/agents/token-usage-by-agent",
        'increase(osmen_tokens_used_total{agent=~"$agent"}[$__range])',
        'osmen_tokens_used_total{agent=~"$agent"}',
    ),
    "prompts-alone": Bent("dashboard/agents/token-usage-by-agent", '"$agent"}', '"$agent", type="prompt"}'),
    "system-time": Bent("dashboard/system/cpu-usage-by-service", "cpu_usage_seconds", "cpu_system_seconds"),
    "limit-instead-of-memory": Bent(
        "dashboard/system/memory-usage-by-service",
        "container_memory_working_set_bytes",
        "container_spec_memory_limit_bytes",
    ),
    "sectors": Bent("dashboard/system/disk-i-o", "container_fs_writes_total", "container_fs_sector_writes_total"),
    "packets": Bent("dashboard/system/network-throughput", "transmit_bytes_total", "transmit_packets_total"),
    "rollbacks-alone": Bent("dashboard/database/query-rate", f"sum(rate(pg_stat_database_xact_commit{RATE})) + ", ""),
    "one-state": Bent("dashboard/database/connection-pool-usage", "sum(pg_stat", "max(pg_stat"),
    "idle-sessions": Bent(
        "dashboard/database/connection-pool-usage", "pg_stat_activity_count", 'pg_stat_activity_count{state="active"}'
    ),
    "fastest": Bent("dashboard/database/slow-queries", "max(", "avg("),
    "idle-transactions": Bent("dashboard/database/slow-queries", "active", "idle in transaction"),
    "misses-instead": Bent(
        "dashboard/database/cache-hit-rate",
        f"sum(rate(redis_keyspace_hits_total{RATE})) /",
        (f"sum(rate(redis_keyspace_misses_total{RATE})) /"),
    ),
    "dollars-since-the-start": Bent(
        "dashboard/costs/llm-api-costs",
        'increase(osmen_llm_cost_dollars{agent=~"$agent"}[$__range])',
        'osmen_llm_cost_dollars{agent=~"$agent"}',
    ),
    "by-model-instead-of-type": Bent("dashboard/costs/token-usage-trends", "by (type)", "by (model)"),
    "cost-of-all": Bent("dashboard/costs/cost-per-agent", "sum by (agent) (", "sum("),
    "an-hour-instead-of-a-day": Bent("dashboard/costs/daily-monthly-projections", "86400 *", "3600 *"),
    "a-week-instead-of-a-month": Bent(
        "dashboard/costs/daily-monthly-projections", "30 * 86400", "7 * 86400", "per month"
    ),
    # What is written otherwise and means the same is no deviant.
    "sound-irate-of-requests": replace(requests("sum(rate", "sum by () (rate"), status=Status.HOLDS),
    "sound-errors-by-status": Bent(
        "dashboard/overview/error-rate",
        'osmen_errors_total{agent=~"$agent"}',
        'osmen_requests_total{agent=~"$agent", status="error"}',
        status=Status.HOLDS,
    ),
    "sound-share-from-the-total": Bent(
        "dashboard/database/cache-hit-rate",
        f"sum(rate(redis_keyspace_hits_total{RATE})) /",
        f"1 - sum(rate(redis_keyspace_misses_total{RATE})) /",
        status=Status.HOLDS,
    ),
    "uneven-window": replace(requests(RATE, "[50s]", "cannot be asked at tempo "), status=Status.UNPROVEN),
}

VARIABLE = "variable-without-values"


def bent(case: Bent) -> str:
    """The dashboard of the case's panel, with that panel bent and one sound panel beside it."""
    promise = CONTRACT.panel(case.clause)
    board: dict[str, Any] = json.loads(SHIPPED[f"{promise.board}.json"])
    own = copy.deepcopy(next(each for each in board["panels"] if each["title"] == promise.title))
    texts = [each["expr"] for each in own["targets"]]
    assert any(case.old in text for text in texts), f"{case.old!r} stands in no query: {texts}"
    for each in own["targets"]:
        each["expr"] = each["expr"].replace(case.old, case.new)
    other = next(each for each in board["panels"] if each["title"] != promise.title)
    return json.dumps({**board, "panels": [own, other]})


def without_values() -> str:
    board = json.loads(SHIPPED["agents.json"])
    variable = board["templating"]["list"][1]
    variable["query"]["query"] = "label_values(osmen_agent_executions_total, agnet)"
    return json.dumps(board)


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    """
    The program of the dashboards performed, every bent dashboard asked beside the shipped ones.
    """

    def perform(chosen: Sequence[Program], foresee: Foresee) -> Mapping[str, Timeline]:
        directory = rundir.create(exact=tmp_path_factory.mktemp("boards"))
        secrets = Secrets(directory.path / "secrets")
        settings = Settings(rundir=directory, rules=ROOT / "rules", tempo=60, secrets=secrets)
        given = {
            **SHIPPED,
            **{f"{name}.json": bent(case) for name, case in BENT.items()},
            f"{VARIABLE}.json": without_values(),
        }
        return attempts.staged(chosen, foresee, settings=settings, contract=CONTRACT, dashboards=given)

    return attempts.performed([BOARDS], expected, perform)[BOARDS.name]


def judged(clause: str, timeline: Timeline, board: str = "") -> Verdict:
    promise = CONTRACT.panel(clause)
    promise = replace(promise, board=board or promise.board)
    return dashboards.shows(promise, CONTRACT, timeline, calm="calm", fault="fault")


def beside(case: Bent) -> str:
    """The clause of the sound panel that stands beside the bent one."""
    board = CONTRACT.panel(case.clause).board
    return next(each.clause_id for each in CONTRACT.panels if each.board == board and each.clause_id != case.clause)


def expected(timeline: Timeline) -> Iterator[tuple[Status, Verdict]]:
    """Each verdict about a panel, shipped or bent, after the status that it must have."""
    for panel in CONTRACT.panels:
        yield Status.HOLDS, judged(panel.clause_id, timeline)
        if panel.board == "agents":
            yield Status.BROKEN, judged(panel.clause_id, timeline, VARIABLE)
    for name, case in BENT.items():
        yield case.status, judged(case.clause, timeline, name)
        yield Status.HOLDS, judged(beside(case), timeline, name)


def test_the_shipped_dashboards_hold(timeline: Timeline) -> None:
    """
    Every panel as it ships keeps its promise.
    """
    verdicts = [judged(panel.clause_id, timeline) for panel in CONTRACT.panels]

    assert [each.text() for each in verdicts if each.status is not Status.HOLDS] == []


@pytest.mark.parametrize("name", BENT)
def test_a_bent_panel_is_told(name: str, timeline: Timeline) -> None:
    """
    The bent panel is broken for the reason that it is, and the one beside it holds.
    """
    case = BENT[name]
    verdict = judged(case.clause, timeline, name)
    other = judged(beside(case), timeline, name)

    assert verdict.status is case.status, verdict.text()
    assert case.says in verdict.text()
    assert other.status is Status.HOLDS, other.text()


def test_a_variable_that_finds_nothing_breaks_every_panel_with_it(timeline: Timeline) -> None:
    """
    A label that is misspelt in the variable empties every panel that uses it.
    """
    verdicts = [judged(each.clause_id, timeline, VARIABLE) for each in CONTRACT.panels if each.board == "agents"]

    assert {each.status for each in verdicts} == {Status.BROKEN}
    assert all("variable 'agent' offers no value" in each.text() for each in verdicts)
