"""Diagnostics of dashboards: each finds its own fault at its place, and says nothing of a board without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance import boards as program
from conformance.contract.load import load
from conformance.simulate import board_units, boardlint, lint
from conformance.simulate.board_units import Quantity
from conformance.simulate.lint import Diagnostic, Weight
from fixtures.language import boards
from fixtures.language.tree import tree

ROOT = Path(__file__).parents[2]
AROUND = boardlint.around(load(None), lint.read(ROOT / "rules")[0])
PROM = {"type": "prometheus", "uid": "${datasource}"}
LOKI = {"type": "loki", "uid": "${logs}"}
RATE = 'sum by (agent) (rate(osmen_requests_total{agent=~"$agent"}[$__rate_interval]))'


def sound(expr: str = RATE, *, unit: str = "reqps", kind: str = "timeseries", source: object = PROM) -> dict[str, Any]:
    """A dashboard without a fault, with one panel that asks this."""
    return {
        "uid": "made",
        "title": "Made",
        "schemaVersion": 41,
        "tags": ["made"],
        "links": [{"type": "dashboards", "title": "all", "tags": ["made"]}],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {"name": "logs", "type": "datasource", "query": "loki"},
                {
                    "name": "agent",
                    "type": "query",
                    "datasource": PROM,
                    "query": {"query": "label_values(osmen_requests_total, agent)", "refId": "A"},
                    "includeAll": True,
                    "multi": True,
                },
                {"name": "window", "type": "interval", "query": "1m,5m", "current": {"value": "5m"}},
            ]
        },
        "panels": [
            {
                "id": 1,
                "title": "Rate",
                "type": kind,
                "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
                "datasource": source,
                "fieldConfig": {"defaults": {"unit": unit}},
                "targets": [{"refId": "A", "datasource": source, "expr": expr}],
            },
            {
                "id": 2,
                "title": "Lines",
                "type": "logs",
                "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8},
                "datasource": LOKI,
                "targets": [{"refId": "A", "expr": '{service="gateway"} | json | agent=~"$agent" # $window'}],
            },
        ],
    }


def judged(board: dict[str, Any] | str, *others: dict[str, Any]) -> tuple[Diagnostic, ...]:
    """The findings beside notes."""
    texts = [board if isinstance(board, str) else json.dumps(board, indent=1), *(json.dumps(each) for each in others)]
    read = [boards.load(text, file=f"board{number}.json") for number, text in enumerate(texts)]
    return tuple(each for each in boardlint.check(read, AROUND) if each.weight is not Weight.NOTE)


def marked(found: Diagnostic) -> str:
    """What the carets stand under, as it is shown."""
    shown, marks = found.shown.split("\n")
    return shown[marks.index("^") : marks.rindex("^") + 1]


def told(board: dict[str, Any] | str, *others: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.check, marked(each)) for each in judged(board, *others)]


def panel(board: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = board["panels"][0]
    return first


def variables(board: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = board["templating"]["list"]
    return listed


def test_a_sound_board_has_no_finding() -> None:
    """
    The board that all others here are bent from is clean, and so are the shipped ones.
    """
    shipped, wrong = boardlint.read(ROOT / "dashboards")

    assert told(sound()) == []
    assert wrong == ()
    assert len(shipped) == 5
    assert [each for each in boardlint.check(shipped, AROUND) if each.weight is not Weight.NOTE] == []


P95 = "osmen_request_duration_seconds_bucket"
SUM, COUNT = "osmen_request_duration_seconds_sum", "osmen_request_duration_seconds_count"


@pytest.mark.parametrize(
    ("expr", "unit", "check", "mark"),
    [
        ("sum(rate(osmen_request_total[5m]))", "reqps", "unknown-metric", "osmen_request_total"),
        ("sum(pg_stat_activity_cuont)", "short", "unknown-metric", "pg_stat_activity_cuont"),
        ("max(redis_never_seen)", "short", "unseen-metric", "redis_never_seen"),
        ("rate(osmen_requests_total{agnet='a'}[5m])", "reqps", "unknown-label", "agnet"),
        ("sum by (agnet) (rate(osmen_requests_total[5m]))", "reqps", "unknown-label", "agnet"),
        ("sum by (nmae) (container_memory_usage_bytes)", "bytes", "unknown-label", "nmae"),
        ("sum(rate(osmen_requests_total{status='succes'}[5m]))", "reqps", "unknown-value", "succes"),
        ("sum(rate(osmen_requests_total{status=~'error|succes'}[5m]))", "reqps", "unknown-value", "succes"),
        ("max(up{job='osmen_gatway'})", "short", "unknown-value", "osmen_gatway"),
        ("vector(1)", "short", "constant-query", "vector(1)"),
        ("0 * sum(rate(osmen_requests_total[5m]))", "reqps", "constant-query", "0"),
        ("sum(osmen_requests_total)", "short", "counter-without-rate", "osmen_requests_total"),
        ("osmen_requests_total", "short", "counter-without-rate", "osmen_requests_total"),
        ("avg(redis_keyspace_hits_total)", "short", "counter-without-rate", "redis_keyspace_hits_total"),
        ("sum(app_things_total)", "short", "unknown-metric", "app_things_total"),
        ("rate(sum(osmen_requests_total)[5m:])", "reqps", "rate-of-a-sum", "rate"),
        ("rate(osmen_active_users[5m])", "short", "rate-of-a-gauge", "osmen_active_users"),
        (f"histogram_quantile(0.95, sum(rate({P95}[5m])))", "s", "quantile-without-le", "sum"),
        (f"histogram_quantile(0.95, sum by (agent) (rate({P95}[5m])))", "s", "quantile-without-le", "sum"),
        (f"histogram_quantile(95, sum by (le) (rate({P95}[5m])))", "s", "quantile-range", "95"),
        (f"histogram_quantile(0.95, rate({COUNT}[5m]))", "s", "not-a-histogram", COUNT),
        (f"avg(histogram_quantile(0.95, sum by (le, agent) (rate({P95}[5m]))))", "s", "average-of-averages", "avg"),
        (f"sum(rate({P95}[5m]))", "reqps", "bucket-without-le", "sum"),
        ("osmen_request_duration_seconds", "s", "histogram-without-suffix", "osmen_request_duration_seconds"),
        (f"avg(rate({SUM}[5m]) / rate({COUNT}[5m]))", "s", "average-of-averages", "avg"),
        ("sum(osmen_active_users)", "short", "distinct-added", "sum"),
        ("sum by (job) (max_over_time(osmen_active_users[5m]))", "short", "distinct-added", "sum"),
        ("avg(avg by (instance) (osmen_active_users))", "short", "average-of-averages", "avg"),
        ("avg(osmen_error_rate)", "percentunit", "average-of-averages", "avg"),
        ("sum(osmen:errors:ratio5m)", "percentunit", "average-of-averages", "sum"),
        ("avg(osmen:request_duration_seconds:p95_5m)", "s", "average-of-averages", "avg"),
        (f"sum(rate({SUM}[5m])) / sum(rate({COUNT}[1m]))", "s", "ranges-differ", "1m"),
        (
            f"sum(rate({SUM}[5m])) / sum(rate(osmen_agent_duration_seconds_count[5m]))",
            "s",
            "mean-of-two-metrics",
            "osmen_agent_duration_seconds_count",
        ),
        (
            "sum by (agent) (rate(osmen_errors_total[5m])) / sum(rate(osmen_requests_total[5m]))",
            "percentunit",
            "labels-differ",
            "/",
        ),
        ("sum(rate(osmen_requests_total[20s]))", "reqps", "range-below-two-scrapes", "20s"),
        ("sum(rate(osmen_requests_total[$__interval]))", "reqps", "interval-in-rate", "$__interval"),
        ("sum(rate(osmen_requests_total{agent='$agent'}[5m]))", "reqps", "several-with-equals", "="),
        ("sum(rate(osmen_requests_total[5m])", "reqps", "query-syntax", "("),
        ("sum(rate(osmen_requests_total[5m])) +", "reqps", "query-syntax", "sum(rate(osmen_requests_total[5m])) +"),
        ("sum(rate(osmen_requests_total[5 minutes]))", "reqps", "query-syntax", "["),
        ("sum(rate(osmen_requests_total{agent=~'$agents'}[5m]))", "reqps", "undefined-variable", "$agents"),
        ("sum(rate(osmen_requests_total[$__rate_intervall]))", "reqps", "undefined-variable", "$__rate_intervall"),
        (f"sum(rate({SUM}[5m])) / sum(rate({COUNT}[5m]))", "ms", "unit-contradicts", '"ms"'),
        (f"1000 * sum(rate({SUM}[5m])) / sum(rate({COUNT}[5m]))", "s", "unit-contradicts", '"s"'),
        ("sum(container_memory_usage_bytes)", "short", "unit-contradicts", '"short"'),
        ("sum(container_memory_usage_bytes)", "percent", "unit-contradicts", '"percent"'),
        ("sum(rate(container_network_receive_bytes_total[5m]))", "bytes", "unit-contradicts", '"bytes"'),
        ("sum(rate(container_network_receive_bytes_total[5m]))", "bps", "unit-contradicts", '"bps"'),
        ("max(osmen_error_rate)", "percent", "unit-contradicts", '"percent"'),
        ("100 * max(osmen_error_rate)", "percentunit", "unit-contradicts", '"percentunit"'),
        ("sum(increase(osmen_llm_cost_dollars[1h]))", "s", "unit-contradicts", '"s"'),
        (RATE, "s", "unit-contradicts", '"s"'),
        (RATE, "cpm", "unit-contradicts", '"cpm"'),
        (RATE, "reqsp", "unknown-unit", '"reqsp"'),
        ("sum(container_memory_usage_bytes)", "", "no-unit", '""'),
    ],
)
def test_a_bent_query_has_exactly_its_finding(expr: str, unit: str, check: str, mark: str) -> None:
    """
    One fault in a query gives one finding, and the caret stands under what is wrong.
    """
    assert told(sound(expr, unit=unit)) == [(check, mark)]


@pytest.mark.parametrize(
    ("expr", "unit"),
    [
        ("8 * sum(rate(container_network_receive_bytes_total[5m]))", "bps"),
        ("sum(container_memory_usage_bytes) / 1024 / 1024", "mbytes"),
        ("100 * max(osmen_error_rate)", "percent"),
        ("60 * sum(rate(osmen_requests_total[5m]))", "opm"),
        ("30 * 86400 * sum(rate(osmen_llm_cost_dollars[1h]))", "currencyUSD"),
        ("sum by (name) (rate(container_cpu_usage_seconds_total[5m]))", "percentunit"),
        (f"1000 * sum(rate({SUM}[5m])) / sum(rate({COUNT}[5m]))", "ms"),
        (f"histogram_quantile(0.5, sum by (le) (rate({P95}[$window])))", "s"),
        (f"max(histogram_quantile(0.5, sum by (le, agent) (rate({P95}[5m]))))", "s"),
        ("1 - sum(rate(osmen_errors_total[5m])) / sum(rate(osmen_requests_total[5m]))", "percentunit"),
        (f"sum(rate({P95}{{le='10.0'}}[5m]))", "reqps"),
        ("count(osmen_requests_total)", "short"),
        ("max(osmen_active_users)", "short"),
        ("sum by (instance) (osmen_active_users)", "short"),
        ("sum(rate(osmen_errors_total[5m])) or sum(rate(osmen_requests_total[5m])) * 0", "cps"),
        ("sum(rate(osmen_requests_total{status!~'error|rejected'}[5m]))", "reqps"),
        ("osmen:request_duration_seconds:p95_5m", "s"),
        ("max(container_memory_usage_bytes) / max(container_spec_memory_limit_bytes > 0)", "percentunit"),
        ("topk(3, sum by (agent) (rate(osmen_requests_total[5m])))", "reqps"),
        ("time() - max(container_start_time_seconds)", "dtdurations"),
        ("sum(rate(osmen_requests_total{agent=~'${agent:regex}'}[${__rate_interval}]))", "reqps"),
        ("sum(rate(osmen_requests_total{agent=~'[[agent]]'}[5m]))", "reqps"),
    ],
)
def test_a_sound_query_has_no_finding(expr: str, unit: str) -> None:
    """
    What is only unusual is no mistake.
    """
    assert told(sound(expr, unit=unit)) == []


def _set(*path: object) -> Callable[[dict[str, Any]], None]:
    *way, key, value = path

    def bend(board: dict[str, Any]) -> None:
        place: Any = board
        for step in way:
            place = place[step]
        place[key] = value

    return bend


def _without(*path: object) -> Callable[[dict[str, Any]], None]:
    *way, key = path

    def bend(board: dict[str, Any]) -> None:
        place: Any = board
        for step in way:
            place = place[step]
        del place[key]

    return bend


STEPS = ("panels", 0, "fieldConfig", "defaults", "thresholds")
TARGET = ("panels", 0, "targets", 0)
VARIABLE = ("templating", "list", 2)
ALERT = [{"title": "Alert", "url": "/alerting/list?search=rule:HighErrorRate"}]


@pytest.mark.parametrize(
    ("bend", "check", "mark"),
    [
        (_set("schemaVersion", 16), "schema-version", "16"),
        (_set("schemaVersion", 30), "schema-version", "30"),
        (_set("schemaVersion", 999), "schema-version", "999"),
        (_without("schemaVersion"), "schema-version", "{"),
        (_without("uid"), "no-uid", "{"),
        (_set("uid", "a b"), "invalid-uid", '"a b"'),
        (_set("title", ""), "empty-title", '""'),
        (_set("panels", 1, "id", 1), "duplicate-panel-id", "1"),
        (_set("panels", 1, "title", "Rate"), "duplicate-panel-title", '"Rate"'),
        (_set("panels", 1, "gridPos", {"x": 11, "y": 7, "w": 12, "h": 8}), "panels-overlap", "{"),
        (_set("panels", 1, "gridPos", {"x": 12, "y": 0, "w": 13, "h": 8}), "outside-grid", "{"),
        (_set("panels", 0, "type", "timeserie"), "unknown-type", '"timeserie"'),
        (_set("panels", 0, "repeat", "agents"), "undefined-variable", '"agents"'),
        (_set("templating", "list", 0, "query", "promtheus"), "variable-without-values", '"promtheus"'),
        (_set("panels", 0, "title", " "), "empty-title", '" "'),
        (_set("panels", 0, "targets", []), "no-query", '"Rate"'),
        (_set(*TARGET, "expr", ""), "no-query", '""'),
        (_set(*TARGET, "hide", True), "hidden-query", "true"),
        (_set(*TARGET, "datasource", {"type": "prometheus", "uid": "P1"}), "hard-coded-datasource", '"P1"'),
        (_set(*TARGET, "datasource", "Prometheus"), "hard-coded-datasource", '"Prometheus"'),
        (_set(*TARGET, "datasource", {"type": "prometheus", "uid": "${sources}"}), "undefined-variable", "${sources}"),
        (_set(*TARGET, "datasource", {"type": "prometheus", "uid": "${logs}"}), "datasource-kind", '"${logs}"'),
        (_set(*TARGET, "datasource", {"type": "prometheus", "uid": "$window"}), "datasource-kind", '"$window"'),
        (_set(*TARGET, "datasource", {"type": "prometheus"}), "default-datasource", "{"),
        (_set(*TARGET, "legendFormat", "{{agnet}}"), "legend-label", "agnet"),
        (_set(*TARGET, "instant", True), "instant-over-time", "true"),
        (_set("panels", 0, "title", "Rate per $agents"), "undefined-variable", "$agents"),
        (_set("templating", "list", 3, "name", "windows"), "unused-variable", '"windows"'),
        (_set("templating", "list", 3, "query", ""), "variable-without-values", '""'),
        (_set("templating", "list", 2, "query", "query", ""), "variable-without-values", '""'),
        (_set("templating", "list", 3, "query", "1m,10m"), "current-unknown", '"5m"'),
        (
            _set("templating", "list", 2, "query", "query", "label_values(osmen_requests, agent)"),
            "unknown-metric",
            "osmen_requests",
        ),
        (
            _set("templating", "list", 2, "query", "query", "label_values(osmen_requests_total, agents)"),
            "unknown-label",
            "agents",
        ),
        (_set("templating", "list", 2, "query", "query", "label_values(up{, agents)"), "query-syntax", "{"),
        (_set(*STEPS, {"steps": [{"value": None}, {"value": 2}, {"value": 1}]}), "threshold-order", "1"),
        (_set("panels", 0, "links", [{"url": "/d/nothing"}]), "link-to-nothing", "nothing"),
        (_set("panels", 0, "links", [{"url": "/d/made/x?viewPanel=9"}]), "link-to-nothing", "9"),
        (
            _set("panels", 0, "links", [{"url": "/alerting/list?search=rule:HighErorRate"}]),
            "link-to-nothing",
            "HighErorRate",
        ),
        (_set("panels", 0, "links", [{"url": ""}]), "link-to-nothing", '""'),
        (_set("panels", 0, "links", [{"url": "javascript:alert(1)"}]), "link-scripts", '"javascript:alert(1)"'),
        (
            _set("panels", 0, "links", [{"url": "http://localhost:3000/"}]),
            "link-to-localhost",
            '"http://localhost:3000/"',
        ),
        (_set("links", 0, "tags", ["mad"]), "link-to-nothing", "["),
        (_set("panels", 0, "timeShift", "1h"), "other-time", '"1h"'),
        (_set("panels", 0, "timeFrom", "now/d"), "other-time", '"now/d"'),
        (_set("panels", 0, "interval", "5m"), "coarse-interval", '"5m"'),
        (_set(*TARGET, "interval", "61s"), "coarse-interval", '"61s"'),
        (_set(*VARIABLE, "current", {"value": ["librarian"]}), "opens-on-a-part", "["),
        (_set(*VARIABLE, "current", {"text": "librarian", "value": "librarian"}), "opens-on-a-part", '"librarian"'),
    ],
)
def test_a_bent_board_has_exactly_its_finding(bend: Callable[[dict[str, Any]], None], check: str, mark: str) -> None:
    """
    One fault of a board, a panel, a variable or a link gives one finding at its place.
    """
    board = sound()
    bend(board)

    found = told(board)

    if check == "unused-variable":
        # The renamed variable is missed where it was used.
        found = [each for each in found if each[0] != "undefined-variable"]
    assert found == [(check, mark)]


@pytest.mark.parametrize(
    "bend",
    [
        _set("panels", 0, "timeShift", None),
        _set("panels", 0, "timeFrom", ""),
        _set("panels", 0, "timeShift", "$shift"),
        _set("panels", 0, "interval", "1m"),
        _set("panels", 0, "interval", "$window"),
        _set(*VARIABLE, "current", {}),
        _set(*VARIABLE, "current", {"text": ["All"], "value": ["$__all"]}),
        _set("templating", "list", 3, "current", {"value": "1m"}),
    ],
)
def test_an_ordinary_form_has_no_finding(bend: Callable[[dict[str, Any]], None]) -> None:
    """
    A time that is none, a step of a minute, All as it is stored and a value of what offers no All are sound.
    """
    board = sound()
    bend(board)

    assert told(board) == []


@pytest.mark.parametrize(
    ("expr", "legend", "found"),
    [
        ("sum by (instance) (rate(osmen_requests_total[5m]))", "requests", [("legend-alike", '"requests"')]),
        (RATE, "requests", [("legend-alike", '"requests"')]),
        (RATE, "{{agent}}", []),
        (RATE, "__auto", []),
        (RATE, "$agent", []),
        ("sum(rate(osmen_requests_total[5m]))", "requests", []),
        ('sum by (agent) (rate(osmen_requests_total{agent="librarian"}[5m]))', "librarian", []),
        ("topk(1, sum by (agent) (rate(osmen_requests_total[5m])))", "the busiest", []),
        # How many series there are is not known.
        ("rate(osmen_requests_total[5m])", "requests", []),
    ],
)
def test_a_legend_that_tells_no_line_from_another_is_found(
    expr: str, legend: str, found: list[tuple[str, str]]
) -> None:
    """
    Lines of one name for each gateway or agent are found where the query is grouped by it.
    """
    board = sound(expr)
    panel(board)["targets"][0]["legendFormat"] = legend

    assert told(board) == found


def test_an_amount_per_step_may_have_long_steps() -> None:
    """
    What is counted up between two points misses nothing; nor is anything said where no document tells the scrapes.
    """
    counted, unknown = sound("sum(increase(osmen_requests_total[$__interval]))", unit="short"), sound()
    for board in (counted, unknown):
        panel(board)["interval"] = "1h"
    read = [boards.load(json.dumps(unknown), file="board.json")]

    assert told(counted) == []
    assert [each.check for each in boardlint.check(read) if each.weight is not Weight.NOTE] == []


@pytest.mark.parametrize(
    ("ends", "custom", "found"),
    [
        ({"max": 0.05}, {"thresholdsStyle": {"mode": "dashed"}}, [("threshold-outside-axis", "0.05")]),
        ({"max": 0.1}, {"thresholdsStyle": {"mode": "dashed"}}, []),
        ({}, {"thresholdsStyle": {"mode": "line"}, "axisSoftMax": 0.05}, []),
        ({"max": 0.05}, {"thresholdsStyle": {"mode": "off"}}, []),
    ],
)
def test_a_line_above_its_axis_is_found(
    ends: dict[str, float], custom: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    """
    The line that a panel draws is in its picture, unless the end of its axis is soft.
    """
    board = sound("sum(rate(osmen_errors_total[5m]))", unit="cps")
    _set(*STEPS, {"steps": [{"value": None}, {"value": 0.1}]})(board)
    panel(board)["fieldConfig"]["defaults"] |= {**ends, "custom": custom}

    assert told(board) == found


@pytest.mark.parametrize(
    ("step", "expr", "unit", "reads"),
    [
        (0.2, "sum(rate(osmen_errors_total[5m]))", "cps", "a line at 0.2, and the alert HighErrorRate speaks at 0.1"),
        (
            10,
            f"1000 * histogram_quantile(0.95, sum by (le) (rate({P95}[5m])))",
            "ms",
            "a line at 10, and the alert HighResponseTime speaks at 10000",
        ),
        (
            0.9,
            "100 * sum(pg_stat_activity_count) / sum(pg_settings_max_connections)",
            "percent",
            "a line at 0.9, and the alert DatabasePoolExhausted speaks at 90",
        ),
    ],
)
def test_a_line_that_is_not_the_alerts_is_found(step: float, expr: str, unit: str, reads: str) -> None:
    """
    A threshold beside the rule's is named with both numbers, in the panel's unit; the rule's own is silent.
    """
    board = sound(expr, unit=unit)
    _set(*STEPS, {"steps": [{"value": None}, {"value": step}]})(board)
    right = float(reads.rpartition(" ")[2])
    good = sound(expr, unit=unit)
    _set(*STEPS, {"steps": [{"value": None}, {"value": right}]})(good)

    (found,) = judged(board)

    assert found.check == "threshold-differs"
    assert reads in found.reason
    assert marked(found) == json.dumps(step)
    assert told(good) == []


def test_a_linked_alert_without_its_line_is_found() -> None:
    """
    A panel that leads to an alert draws its line, and draws it visibly.
    """
    expr = "sum(rate(osmen_errors_total[5m]))"
    missing, wrong, off = (sound(expr, unit="cps") for _ in range(3))
    for board in (missing, wrong, off):
        panel(board)["links"] = ALERT
    _set(*STEPS, {"steps": [{"value": None}, {"value": 0.3}]})(wrong)
    _set(*STEPS, {"steps": [{"value": None}, {"value": 0.1}]})(off)
    panel(off)["fieldConfig"]["defaults"]["custom"] = {"thresholdsStyle": {"mode": "off"}}

    assert told(missing) == [("threshold-differs", "[")]
    assert told(wrong) == [("threshold-differs", "0.3")]
    assert told(off) == [("threshold-not-drawn", '"off"')]


@pytest.mark.parametrize(
    ("query", "check", "mark"),
    [
        ('{service="gateway"} | jsn', "query-syntax", "jsn"),
        ('{service="gateway"', "query-syntax", "gateway"),
        ('{service="gateway"} |= ERROR', "query-syntax", "ERROR"),
        ('{servce="gateway"}', "unknown-stream-label", "servce"),
        ('{service="gatway"}', "unknown-stream-value", "gatway"),
        ('{service="gateway"} | json | levl="ERROR"', "unknown-field", "levl"),
        ('{service="gateway"} | level="ERROR"', "unknown-field", "level"),
        ('{service="gateway"} | json | level="ERORR"', "unknown-level", "ERORR"),
        ('{service="gateway"} |= "ERROR"', "text-for-level", '|= \\"ERROR\\"'),
        ('{service="gateway"} | json | duration_ms > 5000', "errors-pass", None),
        ('rate({service="gateway"}[5m])', "lines-or-numbers", None),
        ('{service=~".*"}', "query-syntax", '{service=~\\".*\\"}'),
    ],
)
def test_a_bent_log_query_has_exactly_its_finding(query: str, check: str, mark: str | None) -> None:
    """
    LogQL is read by its grammar, and its labels, fields and levels are the promised ones.
    """
    board = sound()
    board["panels"][1]["targets"][0]["expr"] = f"{query} # $window"

    found = told(board)

    assert [each for each, _ in found] == [check]
    assert mark is None or found[0][1].strip('\\"') == mark.strip('\\"')


@pytest.mark.parametrize(
    "query",
    [
        '{service="gateway"} | json | level=~"ERROR|CRITICAL" | __error__=""',
        '{service="gateway", job=~".+"} |= `x` != "y" |~ "a.*b" | logfmt | a="b" or (c > 5 and d <= 10KB), e != 3s',
        '{service="gateway"} | json first="a.b", second | line_format "{{.first}}" | label_format third=first',
        '{service="gateway"} | regexp "(?P<word>\\\\w+)" | word="x" | drop word, level="a" | decolorize',
        '{service="gateway"} | pattern "<ip> - <_>" | ip = ip("10.0.0.0/8")',
    ],
)
def test_a_sound_log_query_has_no_finding(query: str) -> None:
    """
    What Loki's documentation describes is read without a word.
    """
    board = sound()
    board["panels"][1]["targets"][0]["expr"] = f"{query} # $window"
    found = [each for each in judged(board) if each.check in {"query-syntax", "unknown-stream-label"}]

    assert found == []


@pytest.mark.parametrize(
    "query",
    [
        'sum by (agent) (rate({service="gateway"} | json | __error__="" [5m])) / 2',
        'quantile_over_time(0.99, {service="gateway"} | json | unwrap duration_ms | __error__="" [5m]) by (agent)',
        'sum(count_over_time({service="gateway"}[$__interval])) or vector(0)',
        'sum(count_over_time(({service="gateway"} |= "x")[$__auto])) + sum(rate(({service="gateway"} [5m])))',
        'topk(3, sum by (agent) (count_over_time({service="gateway"}[$__auto] | json)))',
        'label_replace(rate({service="gateway"}[1m] offset 5m), "a", "$1", "b", "(.*)")',
    ],
)
def test_a_query_of_logs_may_give_numbers(query: str) -> None:
    """
    A course of numbers out of log lines is drawn by a panel of numbers.
    """
    board = sound(query, source=LOKI, unit="short")

    assert told(board) == []


def test_two_boards_of_a_folder_have_two_uids() -> None:
    """
    A uid or a title that two files share is found at the second, with the name of the first.
    """
    other = sound()
    other["title"] = "Other"

    (found,) = judged(sound(), other)

    assert (found.check, found.file) == ("duplicate-uid", "board1.json")
    assert "board0.json" in found.reason


def test_a_panel_that_promises_a_label_shows_it() -> None:
    """
    A title that says by agent, over a query that adds agents up, is found.
    """
    board = sound("sum(rate(osmen_requests_total[5m]))")
    panel(board)["title"] = "Requests by agent"
    right = sound()
    panel(right)["title"] = "Requests by agent"

    assert told(board) == [("title-promises-label", "sum")]
    assert told(right) == []


def test_a_hidden_query_that_an_expression_reads_is_none() -> None:
    """
    Only what nothing shows is found.
    """
    board = sound()
    expression = {"refId": "B", "datasource": {"type": "__expr__", "uid": "__expr__"}, "expression": "$A * 2"}
    panel(board)["targets"] = [{**panel(board)["targets"][0], "hide": True}, expression]
    override = [{"properties": [{"id": "custom.hideFrom", "value": {"viz": True}}]}]
    series = sound()
    panel(series)["fieldConfig"]["overrides"] = override

    assert told(board) == []
    assert told(series) == [("hidden-series", "true")]


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        ({"datasource": PROM, "expr": 'ALERTS{alertname="HighErrorRate"}'}, []),
        ({"datasource": {"type": "datasource", "uid": "grafana"}, "builtIn": 1}, []),
        ({"datasource": PROM, "expr": 'ALERTS{alertname="HighErorRate"}'}, [("unknown-value", "HighErorRate")]),
        ({"datasource": {"type": "prometheus", "uid": "P1"}, "expr": "up"}, [("hard-coded-datasource", '"P1"')]),
        ({"datasource": PROM, "expr": "changes(osmen_request_total[5m])"}, [("unknown-metric", "osmen_request_total")]),
        ({"datasource": PROM, "expr": "up ="}, [("query-syntax", "up =")]),
    ],
)
def test_annotations_are_queries_too(annotation: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """
    What marks events on every panel is checked like a panel's query.
    """
    board = sound()
    board["annotations"] = {"list": [annotation]}

    assert told(board) == found


def test_a_short_choice_of_a_variable_is_found() -> None:
    """
    Every value of an interval is looked at, and a panel's own least interval counts.
    """
    short = sound("sum(rate(osmen_requests_total[$window]))")
    variables(short)[3]["query"] = "10s,5m"
    held = sound("sum(rate(osmen_requests_total[$__interval]))")
    panel(held)["interval"] = "1m"

    assert told(short) == [("range-below-two-scrapes", "$window")]
    assert told(held) == []


@pytest.mark.parametrize(
    ("expr", "counted"),
    [
        ("rate(a_bytes_total[5m])", Quantity(base=board_units.BYTE, per=1)),
        ("rate(a_seconds_total[5m])", Quantity(base=board_units.RATIO)),
        ("rate(a_seconds_sum[5m]) / rate(a_seconds_count[5m])", Quantity(base=board_units.SECOND)),
        ("a_bytes / b_bytes * 100", Quantity(base=board_units.RATIO, scale=100)),
        ("sum(a_bytes) / 1024", Quantity(base=board_units.BYTE, scale=1 / 1024)),
        ("a_bytes > 0", Quantity(base=board_units.BYTE)),
        ("a_bytes > bool 0", None),
        ("a_start_time_seconds", None),
        ("whatever", None),
        ("a_bytes * b_bytes", None),
    ],
)
def test_what_a_value_counts_is_told_from_its_query(expr: str, counted: Quantity | None) -> None:
    """
    The quantity follows the arithmetic, and where it cannot be told nothing is said.
    """
    assert board_units.quantity(tree(expr), board_units.quantity_of_name) == counted


def test_hostile_folders_are_one_clear_finding(tmp_path: Path) -> None:
    """
    An empty folder, a missing one, circles of links, huge and broken files end in findings, never in a traceback.
    """
    (tmp_path / "circle").symlink_to(tmp_path, target_is_directory=True)
    empty = boardlint.read(tmp_path)[1]
    missing = boardlint.read(tmp_path / "none")[1]
    (tmp_path / "other.json").write_text('{"name": "no dashboard"}')
    other = boardlint.read(tmp_path)[1]
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "huge.json").write_bytes(b" " * 4_000_001)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "nan.json").write_text('{"panels": [NaN]}')
    (tmp_path / "twice.json").write_text('{"panels": [], "panels": []}')
    (tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf{}")
    (tmp_path / "text.json").write_text("hello")

    found, wrong = boardlint.read(tmp_path)

    assert [each.reason for each in (*empty, *missing, *other)] == [
        "holds no dashboard: no JSON file with panels",
        "is neither a folder nor a file",
        "holds no dashboard: no JSON file with panels",
    ]
    assert found == ()
    assert [Path(each.file).name for each in wrong] == [
        "deep.json",
        "huge.json",
        "loop.json",
        "marked.json",
        "nan.json",
        "text.json",
        "twice.json",
    ]
    assert {each.check for each in wrong} == {"unreadable"}


def test_a_hostile_text_reaches_no_terminal() -> None:
    """
    What a title or a query holds is printed without what a terminal would obey, and not at any length.
    """
    board = sound("sum(rate(\u202eosmen_x\u001b[31m[5m]))")
    panel(board)["title"] = "T\u001b]0;owned\u0007" + "x" * 5000

    said = "\n".join(each.text() for each in judged(board))

    assert said
    assert "\u001b" not in said
    assert "\u202e" not in said
    assert len(said) < 2000


def test_no_shape_of_a_file_ends_in_a_traceback() -> None:
    """
    Whatever stands in the place of any value, the answer is findings, or one error with its place.
    """
    text = (ROOT / "dashboards/overview.json").read_text()
    whole = json.loads(text)
    odd: tuple[Any, ...] = (
        None,
        True,
        -7,
        1e300,
        "",
        "$",
        "${a",
        "{{",
        "[[x]]",
        [],
        [[]],
        [None],
        {},
        {"value": []},
        "\ud800",
        "}{",
    )
    places: list[tuple[Any, Any]] = []
    pending: list[Any] = [whole]
    while pending:
        each = pending.pop()
        for key, value in each.items() if isinstance(each, dict) else enumerate(each):
            places.append((each, key))
            pending += [value] if isinstance(value, dict | list) else []
    refused = told = 0
    for number, (place, key) in enumerate(places[::3]):
        kept, place[key] = place[key], odd[number % len(odd)]
        try:
            told += len(boardlint.check([boards.load(json.dumps(whole), file="odd.json")], AROUND))
        except boards.BoardError as error:
            refused += error.line
        place[key] = kept

    assert whole == json.loads(text)
    assert refused
    assert told


def test_the_program_prints_findings_and_fails_on_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Errors end with 1, warnings and a clean folder with 0; the last line counts.
    """
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, board in ((good, sound()), (bad, sound("sum(osmen_requests_total)", unit="short"))):
        folder.mkdir()
        (folder / "made.json").write_text(json.dumps(board, indent=1))

    ends = [program.main([str(folder)]) for folder in (good, bad)]

    out = capsys.readouterr().out
    assert "looked at 1 dashboards with 2 panels and 2 queries\n" in out
    lines = (bad / "made.json").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if "sum(osmen" in text)
    column = lines[line - 1].index("osmen_requests_total") + 1
    assert ends == [0, 1]
    assert "dashboards: 0 errors, 0 warnings, 0 notes" in out
    assert f"made.json:{line}:{column}: error counter-without-rate: Rate: osmen_requests_total only grows" in out
    assert out.endswith("dashboards: 1 errors, 0 warnings, 0 notes\n")


def test_a_folder_that_asks_nothing_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Where no query could be read nothing was proven, and the program fails.
    """
    board = sound()
    sql = {
        "refId": "A",
        "datasource": {"type": "postgres", "uid": "${datasource}"},
        "rawSql": "select '$agent $window'",
    }
    variables(board)[0]["query"] = "postgres"
    variables(board)[2]["query"] = "select $logs"
    board["panels"] = [{**panel(board), "targets": [sql], "datasource": sql["datasource"]}]
    (tmp_path / "made.json").write_text(json.dumps(board))

    ended = program.main([str(tmp_path)])

    out = capsys.readouterr().out
    assert ended == 1
    assert "1 queries (1 neither PromQL nor LogQL: nothing is said of them)" in out
    assert "error unreadable: asks neither Prometheus nor Loki: nothing was checked" in out
