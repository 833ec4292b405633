"""What the contract promises about logs, and that no mistake in its document passes silently."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import SHIPPED, load
from conformance.contract.model import Level, Signal
from conformance.contract.parse import ContractError
from fixtures.language.logql import LogqlError, narrowed

if TYPE_CHECKING:
    from pathlib import Path


def test_the_documented_line_is_promised() -> None:
    """
    Nine fields in the guide's order, five levels, and which of the fields may be null.
    """
    form = load(None).logs.format

    assert [each.name for each in form.fields] == [
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
    assert form.levels == ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    assert [each.name for each in form.fields if not each.nullable] == ["timestamp", "level", "service", "message"]


def test_each_query_is_recorded_in_both_forms() -> None:
    """
    Three of the four are corrected, each with the line of the guide and the reason.
    """
    queries = load(None).logs.queries
    corrected = {each.name: [(one.line, one.defect) for one in each.corrections] for each in queries}

    assert corrected == {"errors": [(255, "D5")], "agent": [], "slow": [(261, "D6")], "error-rate": [(264, "D7")]}
    assert [each.name for each in queries if each.window] == ["error-rate"]
    assert load(None).log_query("error-rate").window == timedelta(minutes=5)
    assert load(None).log_query("slow").selects.above == 5000


@pytest.mark.parametrize(
    ("given", "gateway", "agent"),
    [
        ({"LOG_LEVEL": "INFO"}, "LOG_LEVEL", "LOG_LEVEL"),
        ({"LOG_LEVEL": "INFO", "GATEWAY_LOG_LEVEL": "ERROR"}, "GATEWAY_LOG_LEVEL", "LOG_LEVEL"),
        ({"AGENT_LOG_LEVEL": "ERROR", "GATEWAY_LOG_LEVEL": "ERROR"}, "GATEWAY_LOG_LEVEL", "AGENT_LOG_LEVEL"),
        ({"AGENT_LOG_LEVEL": "ERROR"}, None, "AGENT_LOG_LEVEL"),
    ],
)
def test_the_variable_of_one_service_comes_before_that_of_all(
    given: dict[str, str], gateway: str | None, agent: str | None
) -> None:
    """
    Where both are set, what is said for one service alone decides for it.
    """
    logs = load(None).logs
    decides = {service: logs.decides(service, given) for service in ("gateway", "agent")}

    assert {name: each and each.variable for name, each in decides.items()} == {"gateway": gateway, "agent": agent}


def test_the_clauses_are_those_that_are_judged() -> None:
    """
    One for the format, one for each variable, one for each query, one for the ledger; each a MUST of the signal logs.
    """
    clauses = load(None).logs.clauses()

    assert [each.id for each in clauses] == [
        "log/format",
        "log/level/LOG_LEVEL",
        "log/level/GATEWAY_LOG_LEVEL",
        "log/level/AGENT_LOG_LEVEL",
        "log/query/errors",
        "log/query/agent",
        "log/query/slow",
        "log/query/error-rate",
        "log/ledger",
    ]
    assert {each.signal for each in clauses} == {Signal.LOGS}
    assert {each.level for each in clauses} == {Level.MUST}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: utc-time", "kind: utc_time", "'utc_time' is not a field kind"),
        ("name: user_id", "name: agent", "agent"),
        ("{field: level, any_of", "{field: levl, any_of", "a line has no field 'levl'; did you mean 'level'"),
        ("services: [agent]", "services: [agents]", "no service 'agents' logs; did you mean 'agent'"),
        ("variable: AGENT_LOG_LEVEL", "variable: LOG_LEVEL", "'LOG_LEVEL' stands twice"),
        ("above: 5000", "any_of: [slow], above: 5000", "either any_of or above"),
        ("above: 5000", "above: 5 s", "expected a plain number"),
        ("window: 5m", "window: 0s", "cannot be zero"),
        ("window: 5m", "window: 5 min", "did you mean '5m'"),
        ("- part: query", "- part: expr", "'expr' is not a part here (query)"),
        ("name: slow", "name: agent", "agent"),
        (
            '    shipped: \'{service="gateway"} | json | agent',
            '    shipped: \'{service="agent"} | json | agent',
            "no correction",
        ),
        ('shipped: \'{service="gateway"} | json | level', "shipped: 'service=gateway | json | level", "0 opening"),
    ],
)
def test_a_mistake_in_the_document_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """
    What is doubtful is told with its place, and nothing is loaded.
    """
    folder = shutil.copytree(SHIPPED, tmp_path / "documents")
    text = (folder / "logs.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / "logs.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ContractError, match=r"documents/logs.yaml:\d+") as caught:
        load(folder)

    assert told in str(caught.value)


def test_an_unknown_query_is_told_with_the_one_that_was_meant() -> None:
    """
    Asking for a query that the contract does not have names the nearest.
    """
    with pytest.raises(ContractError, match="no log query 'error'; did you mean 'errors'"):
        load(None).log_query("error")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{a="b"}', '{a="b", cell="x"}'),
        ('{a="b",}', '{a="b",cell="x"}'),
        ("{}", '{cell="x"}'),
        ("{ }", '{ cell="x"}'),
        ('{a="}"} |= "{}"', '{a="}", cell="x"} |= "{}"'),
        ("{a=`}`} |= `{`", '{a=`}`, cell="x"} |= `{`'),
        ('{a="\\"}"} | json', '{a="\\"}", cell="x"} | json'),
        ('{a="b"} # {}', '{a="b", cell="x"} # {}'),
        (
            'sum(rate({a="b"}[5m])) / sum(rate({c="d"} [5m]))',
            'sum(rate({a="b", cell="x"}[5m])) / sum(rate({c="d", cell="x"} [5m]))',
        ),
        ('{a="b"}\n  | line_format "{{.c}}"', '{a="b", cell="x"}\n  | line_format "{{.c}}"'),
    ],
)
def test_a_query_is_narrowed_in_its_selectors_alone(query: str, expected: str) -> None:
    """
    Each stream selector gets the matcher; braces in strings and comments, and all else, stay as they are.
    """
    assert narrowed(query, cell="x") == expected


@pytest.mark.parametrize("query", ["", "vector(0)", '{a="b"', 'a="b"}', '"{}"'])
def test_what_has_no_selector_is_refused(query: str) -> None:
    """
    A query that cannot be narrowed would read everybody's lines.
    """
    with pytest.raises(LogqlError, match="opening and"):
        narrowed(query, cell="x")
