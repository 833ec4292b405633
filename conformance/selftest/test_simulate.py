from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from conformance.simulate.effective import Around, measure, rule_text, subjects
from conformance.simulate.promtool import Ask, Case, Measured, Promtool, Series, Sheet
from conformance.simulate.result import Outcome, Threshold
from fixtures.language import rules
from fixtures.stack.provision import provide

Written = Mapping[str, str]
"""Series spelt by hand, in promtool's notation; nothing of the synthesiser makes them."""

SCRAPE = 15
STEPS = 200
END_MS = STEPS * SCRAPE * 1000
BUCKETS = {"known_seconds_bucket": (0.5, 1.0, 5.0, 10.0)}


def n(value: float) -> str:
    return f"{Decimal(repr(value)):f}"


def level(value: float) -> str:
    return f"{n(value)}x{STEPS}"


def grows(per_second: float, start: float = 100) -> str:
    return f"{n(start)}+{n(per_second * SCRAPE)}x{STEPS}"


def moves(per_second: float, start: float) -> str:
    return f"{n(start)}{'-' if per_second < 0 else '+'}{n(abs(per_second) * SCRAPE)}x{STEPS}"


def dated(seconds_ago: float, unit: float = 1) -> str:
    return f"{n(-seconds_ago * unit)}+{n(SCRAPE * unit)}x{STEPS}"


def requests(name: str, seconds: float, bounds: Sequence[float], labels: str = "") -> dict[str, str]:
    """Ten observations a second, all of one length."""
    finite = {f'{name}{{{labels}le="{bound:g}"}}': grows(10 if seconds <= bound else 0) for bound in bounds}
    return {**finite, f'{name}{{{labels}le="+Inf"}}': grows(10)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule, the number that a person works out for it, and series of that person's own for any value."""

    name: str
    expr: str
    at: float
    hand: Callable[[float], Written]
    records: Mapping[str, str] = field(default_factory=dict)
    row: int = 0
    wait: str = "0s"
    near: float = 0.001


RULES = (
    Rule(name="gauge above", expr="queue > 60", at=60, hand=lambda x: {"queue": level(x)}),
    Rule(name="gauge below", expr="free_slots < 5", at=5, hand=lambda x: {"free_slots": level(x)}),
    Rule(name="gauge at least", expr="depth >= 16", at=16, hand=lambda x: {"depth": level(x)}),
    Rule(name="number first", expr="40 < depth", at=40, hand=lambda x: {"depth": level(x)}),
    Rule(name="negative number", expr="celsius < -20", at=-20, hand=lambda x: {"celsius": level(x)}),
    Rule(
        name="either side of zero", expr="abs(skew_seconds) > 0.05", at=0.05, hand=lambda x: {"skew_seconds": level(-x)}
    ),
    Rule(name="rate", expr="rate(errors_total[5m]) > 0.1", at=0.1, hand=lambda x: {"errors_total": grows(x)}),
    Rule(
        name="increase", expr="increase(restarts_total[10m]) > 3", at=0.005, hand=lambda x: {"restarts_total": grows(x)}
    ),
    Rule(name="irate", expr="irate(faults_total[1m]) > 2", at=2, hand=lambda x: {"faults_total": grows(x)}),
    Rule(
        name="sum of rates",
        expr="sum(rate(errors_total[5m])) > 0.1",
        at=0.1,
        hand=lambda x: {'errors_total{a="1"}': grows(x / 4), 'errors_total{a="2"}': grows(3 * x / 4)},
    ),
    Rule(
        name="unit within",
        expr="sum(rate(bytes_total[2m])) / 1024 / 1024 > 100",
        at=104857600,
        hand=lambda x: {"bytes_total": grows(x)},
    ),
    # A share x of x + 1 requests a second, so x is 0.05 / 0.95 and not 0.05.
    Rule(
        name="share of itself",
        at=0.05 / 0.95,
        expr='sum(rate(http_total{code=~"5.."}[5m])) / sum(rate(http_total[5m])) > 0.05',
        hand=lambda x: {'http_total{code="503"}': grows(x), 'http_total{code="200"}': grows(1)},
    ),
    Rule(
        name="ratio of two",
        expr="rate(spent_seconds_total[5m]) / rate(done_total[5m]) > 0.5",
        at=0.5,
        hand=lambda x: {"spent_seconds_total": grows(x), "done_total": grows(1)},
    ),
    Rule(
        name="guarded ratio",
        expr='used_bytes{c="a"} / (limit_bytes{c="a"} > 0) > 0.9',
        at=0.9,
        hand=lambda x: {'used_bytes{c="a"}': level(x), 'limit_bytes{c="a"}': level(1)},
    ),
    Rule(
        name="what is missing from one",
        at=0.1,
        expr='1 - avg without (cpu, mode) (rate(cpu_seconds_total{mode="idle"}[5m])) > 0.9',
        hand=lambda x: {'cpu_seconds_total{mode="idle",cpu="0"}': grows(x)},
    ),
    Rule(
        name="percent left",
        expr="avail_bytes / size_bytes * 100 < 10",
        at=0.1,
        hand=lambda x: {"avail_bytes": level(x), "size_bytes": level(1)},
    ),
    Rule(
        name="quantile",
        expr="histogram_quantile(0.95, sum by (le) (rate(known_seconds_bucket[5m]))) > 5",
        at=5,
        hand=lambda x: requests("known_seconds_bucket", x, BUCKETS["known_seconds_bucket"]),
        near=0.5,
    ),
    Rule(
        name="quantile of each",
        expr="histogram_quantile(0.5, rate(made_seconds_bucket[2m])) > 2",
        at=2,
        hand=lambda x: requests("made_seconds_bucket", x, (1, 1.5, 2, 3, 4, 8)),
        near=0.5,
    ),
    Rule(
        name="join with group_left",
        at=75,
        expr='temp_celsius * on (chip) group_left (label) sensor_label{label!="ignored"} > 75',
        hand=lambda x: {'temp_celsius{chip="c"}': level(x), 'sensor_label{chip="c",label="core"}': level(1)},
    ),
    Rule(
        name="join with on",
        expr="sum by (db) (used_connections) / on (db) most_connections > 0.8",
        at=0.8,
        hand=lambda x: {
            'used_connections{db="d",state="a"}': level(x / 2),
            'used_connections{db="d",state="b"}': level(x / 2),
            'most_connections{db="d"}': level(1),
        },
    ),
    Rule(
        name="join with ignoring",
        at=1.05,
        expr='lag_seconds{quantile="0.9"} / ignoring (quantile) lag_seconds{quantile="0.5"} > 1.05',
        hand=lambda x: {'lag_seconds{quantile="0.9"}': level(x), 'lag_seconds{quantile="0.5"}': level(1)},
    ),
    Rule(
        name="and",
        expr="replica_lag > 10 and on (instance) is_replica == 1",
        at=10,
        hand=lambda x: {'replica_lag{instance="i"}': level(x), 'is_replica{instance="i"}': level(1)},
    ),
    Rule(
        name="two numbers",
        expr="sum(rate(calls_total[5m])) > 20 and sum(rate(fails_total[5m])) > 1",
        at=20,
        hand=lambda x: {"calls_total": grows(x), "fails_total": grows(2)},
    ),
    Rule(
        name="two numbers, the second",
        at=1,
        row=1,
        expr="sum(rate(calls_total[5m])) > 20 and sum(rate(fails_total[5m])) > 1",
        hand=lambda x: {"calls_total": grows(40), "fails_total": grows(x)},
    ),
    # The share alone would be 0.053; the other condition asks for more than that at this traffic.
    Rule(
        name="one carrier for two",
        at=10,
        row=0,
        expr='sum(rate(h_total{c="5"}[5m])) > 10 and sum(rate(h_total{c="5"}[5m])) / sum(rate(h_total[5m])) > 0.05',
        hand=lambda x: {'h_total{c="5"}': grows(x), 'h_total{c="2"}': grows(1)},
    ),
    Rule(
        name="unless",
        expr="sum(backlog) > 7 unless on () maintenance == 1",
        at=7,
        hand=lambda x: {"backlog": level(x), "maintenance": level(0)},
    ),
    Rule(
        name="or, first branch",
        expr="sum by (job) (open_files) > 900 or files_up == 0",
        at=900,
        hand=lambda x: {'open_files{job="j"}': level(x), 'files_up{job="j"}': level(1)},
    ),
    Rule(
        name="aggregated by",
        expr="max by (zone) (load) > 4",
        at=4,
        hand=lambda x: {'load{zone="z",i="1"}': level(x), 'load{zone="z",i="2"}': level(x / 2)},
    ),
    Rule(name="smallest", expr="min by (zone) (load) < 1", at=1, hand=lambda x: {'load{zone="z"}': level(x)}),
    Rule(name="topk", expr="topk(3, backlog) > 100", at=100, hand=lambda x: {"backlog": level(x)}),
    Rule(name="over time", expr="avg_over_time(latency[10m]) > 0.25", at=0.25, hand=lambda x: {"latency": level(x)}),
    Rule(
        name="subquery",
        expr="max_over_time(rate(faults_total[2m])[10m:1m]) > 5",
        at=5,
        hand=lambda x: {"faults_total": grows(x)},
    ),
    Rule(
        name="recorded",
        expr="job:bad:ratio > 0.02",
        at=0.02,
        records={"job:bad:ratio": "sum(rate(bad_total[5m])) / sum(rate(all_total[5m]))"},
        hand=lambda x: {"bad_total": grows(x), "all_total": grows(1)},
    ),
    Rule(
        name="recorded twice",
        expr="a:ratio * 100 > 30",
        at=0.3,
        records={"a:rate": "sum(rate(bad_total[5m]))", "a:ratio": "a:rate / sum(rate(all_total[5m]))"},
        hand=lambda x: {"bad_total": grows(x), "all_total": grows(1)},
    ),
    Rule(
        name="counted",
        expr="count(node_up == 0) > 2",
        at=2.5,
        near=0.3,
        hand=lambda x: {f'node_up{{i="{i}"}}': level(0 if i < x else 1) for i in range(8)},
    ),
    Rule(
        name="counted share",
        expr="count(node_up == 0) / count(node_up) > 0.5",
        at=10.5,
        near=0.1,
        hand=lambda x: {f'node_up{{i="{i}"}}': level(0 if i < x else 1) for i in range(20)},
    ),
    Rule(
        name="predicted",
        expr="predict_linear(left_bytes[1h], 4 * 3600) < 0",
        at=-1000 / 14400,
        hand=lambda x: {"left_bytes": moves(x, 1000 - x * STEPS * SCRAPE)},
    ),
    Rule(name="slope", expr="deriv(position[10m]) > 2", at=2, hand=lambda x: {"position": moves(x, 50)}),
    Rule(
        name="age",
        expr="time() - last_success_seconds > 600",
        at=600,
        hand=lambda x: {"last_success_seconds": dated(x)},
    ),
    Rule(
        name="age in milliseconds",
        expr="time() - max(last_success_ms) / 1000 > 600",
        at=600,
        hand=lambda x: {"last_success_ms": dated(x, 1000)},
    ),
    Rule(
        name="expiry",
        expr="not_after_seconds - time() < 86400 * 7",
        at=604800,
        hand=lambda x: {"not_after_seconds": dated(-x)},
    ),
    Rule(
        name="changes",
        expr="changes(started_at[10m]) > 2",
        at=2.5,
        near=0.3,
        hand=lambda x: {"started_at": " ".join(str(step * round(x) // 39) for step in range(STEPS + 1))},
    ),
    Rule(name="band, lower end", expr="3 <= days_left < 20", at=3, row=0, hand=lambda x: {"days_left": level(x)}),
    Rule(name="band, upper end", expr="3 <= days_left < 20", at=20, row=1, hand=lambda x: {"days_left": level(x)}),
    Rule(
        name="against another series",
        expr="open_fds > 0.9 * max_fds",
        at=0.9,
        hand=lambda x: {"open_fds": level(x), "max_fds": level(1)},
    ),
    Rule(
        name="against yesterday",
        expr="sum(rate(seen_total[5m])) < 0.5 * sum(rate(seen_total[5m] offset 30m))",
        at=0.5,
        hand=lambda x: {"seen_total": f"0+15x120 {n(1800 + x * 15)}+{n(x * 15)}x79"},
    ),
    Rule(name="waits", expr="depth > 3", at=3, wait="5m", hand=lambda x: {"depth": level(x)}),
    Rule(
        name="age, guarded",
        expr="time() - seen_seconds > 300 and seen_seconds > 0",
        at=300,
        hand=lambda x: {"seen_seconds": dated(x)},
    ),
    # The guard is true whatever the traffic is, as the errors are traffic too: it has no number of its own.
    Rule(
        name="share with traffic",
        expr='sum(rate(t_total{c="5"}[5m])) / sum(rate(t_total[5m])) > 0.05 and sum(rate(t_total[5m])) > 0',
        at=0.05 / 0.95,
        hand=lambda x: {'t_total{c="5"}': grows(x), 't_total{c="2"}': grows(1)},
    ),
    Rule(
        name="job by a pattern",
        expr='open_fds{job=~".*lab.*"} / max_fds > 0.8',
        at=0.8,
        hand=lambda x: {'open_fds{job="gitlab"}': level(x), 'max_fds{job="gitlab"}': level(1)},
    ),
    Rule(
        name="counted below",
        expr="count(ready < 1) > 0",
        at=0.5,
        row=1,
        near=0.5,
        hand=lambda x: {f'ready{{i="{i}"}}': level(0 if i < x else 2) for i in range(4)},
    ),
    Rule(
        name="relabelled",
        expr='label_replace(disk_percent, "node", "$1", "instance", "(.*):.*") > 90',
        at=90,
        hand=lambda x: {'disk_percent{instance="a:1"}': level(x)},
    ),
)

ODD = {
    "unreachable quantile": (
        "histogram_quantile(0.95, sum by (le) (rate(known_seconds_bucket[5m]))) > 10",
        Outcome.NEVER,
        "the last finite bucket is 10",
    ),
    "no series match": ("sum(used) / total > 0.5", Outcome.NEVER, "no series match each other"),
    "beyond the range": ("clamp_max(share, 1) > 1.5", Outcome.NEVER, "reaches 1 at most"),
    "a count below one": ("count(masters) < 1", Outcome.NEVER, "reaches 1 at most"),
    "a count that is nothing": ("count by (job) (node_up) == 0", Outcome.NEVER, "none of 0, 1, 2, absent"),
    "labels that cannot meet": ("sum(a_total) > 5 and b_up == 1", Outcome.NEVER, "label sets do not match"),
    "a constant": ("vector(1)", Outcome.ALWAYS, "anything"),
    "never below zero": ("clamp_min(depth, 0) >= 0", Outcome.ALWAYS, "every value of depth"),
    "bool": ("rate(errors_total[5m]) > bool 0.1", Outcome.OTHER, "an alert fires on any value"),
    "itself": ("avg(members) * 2 < max(members)", Outcome.UNMEASURED, "a series compared with itself"),
    "two windows": (
        "rate(seen_total[5m]) / rate(seen_total[1h]) > 2",
        Outcome.UNMEASURED,
        "one series over two windows",
    ),
    "a sum of nothings": ("sum by (job) (reload_ok == 0) > 0", Outcome.NEVER, "reaches 0 at most"),
    "more changes than scrapes": ("changes(stats[1m]) > 3", Outcome.NEVER, "reaches 3 at most"),
    "hours": ("hour() > 8 and depth > 5", Outcome.UNMEASURED, "the function hour()"),
    "deviation": ("stddev_over_time(latency[1h]) > 2", Outcome.UNMEASURED, "stddev_over_time"),
    "other alerts": ('ALERTS{alertname="Other"} == 1', Outcome.UNMEASURED, "other rules write"),
    "a fixed time": ("depth @ 1700000000 > 3", Outcome.UNMEASURED, "@ fixes the time"),
    "a circle": ("round:a > 3", Outcome.UNMEASURED, "in a circle: round:a → round:b → round:a"),
    "no PromQL": ("sum by (job (depth) > 3", Outcome.UNMEASURED, "parser"),
}
CIRCLE = {"round:a": "round:b + 1", "round:b": "round:a + 1"}

STATES = {
    "a value": ('up{job="x"} == 0', ("0",)),
    "absence": ('absent(up{job="x"})', ("absent",)),
    "anything but": ("reload_successful != 1", ("0", "2")),
    "together": ("active_servers + backup_servers == 0", ("0",)),
    "nothing now, something then": ("(tenants == 0) and on (instance) (tenants offset 1h > 0)", ("0",)),
    "not while": ("paused_up == 0 unless on () maintenance == 1", ("0",)),
}


@pytest.fixture(scope="module")
def tool() -> Promtool:
    return Promtool(path=provide(["promtool"])["promtool"].path)


def file_of(alerts: Mapping[str, tuple[str, str]], records: Mapping[str, str]) -> rules.RuleFile:
    groups = [
        {"name": "records", "rules": [{"record": name, "expr": expr} for name, expr in records.items()]},
        {
            "name": "alerts",
            "rules": [{"alert": name, "expr": expr, "for": wait} for name, (expr, wait) in alerts.items()],
        },
    ]
    return rules.load(json.dumps({"groups": groups}), file="made.yml")


@pytest.fixture(scope="module")
def measured(tool: Promtool) -> Mapping[str, tuple[Threshold, ...]]:
    """Everything in a handful of rounds: each rule alone in a file, as recorded names differ."""
    files = [file_of({each.name: (each.expr, each.wait)}, each.records) for each in RULES]
    files += [file_of({name: (expr, "0s")}, CIRCLE if "round:" in expr else {}) for name, (expr, _, _) in ODD.items()]
    files += [file_of({name: (expr, "1m")}, {}) for name, (expr, _) in STATES.items()]
    wanted = [subject for file in files for subject in subjects([file])]
    found = measure(wanted, tool, Around(buckets=BUCKETS))
    return {subject.rule.name: rows for subject, rows in zip(wanted, found, strict=True)}


@pytest.fixture(scope="module")
def by_hand(tool: Promtool, measured: Mapping[str, tuple[Threshold, ...]]) -> Mapping[str, tuple[bool, bool]]:
    """For each rule whether series spelt by hand, at the measured values, leave it silent and make it fire."""
    sheets = []
    for each in RULES:
        row = measured[each.name][each.row]
        (subject,) = subjects([file_of({each.name: (each.expr, each.wait)}, each.records)])
        asks = (Ask(expr=f'ALERTS{{alertname="{each.name}",alertstate="firing"}}', at_ms=END_MS),)
        cases = tuple(
            Case(
                name=name,
                series=tuple(Series(name=series, values=values) for series, values in each.hand(value).items()),
                asks=asks,
            )
            for name, value in (("silent", row.silent_at), ("fires", row.fires_at))
            if value is not None
        )
        sheets.append(Sheet(rules=rule_text(subject.rule, tuple(subject.records.values())), cases=cases))
    return {each.name: _two(found) for each, found in zip(RULES, tool.run(sheets), strict=True)}


def _two(found: Measured) -> tuple[bool, bool]:
    return found.of("silent")[0].found, found.of("fires")[0].found


@pytest.mark.parametrize("rule", RULES, ids=lambda each: each.name)
def test_the_effective_threshold_is_the_one_that_a_person_works_out(
    measured: Mapping[str, tuple[Threshold, ...]], rule: Rule
) -> None:
    """
    The last silent and the first firing value lie on either side of the number, as close as is promised.
    """
    row = measured[rule.name][rule.row]

    assert (row.outcome, row.reason) == (Outcome.MEASURED, "")
    assert row.silent_at is not None
    assert row.fires_at is not None
    low, high = sorted((row.silent_at, row.fires_at))
    assert low <= rule.at * (1 + 1e-9 * (1 if rule.at > 0 else -1)) <= high * (1 + 1e-9) or high == rule.at
    assert high - low <= rule.near * 2.5 * max(abs(low), abs(high))


@pytest.mark.parametrize("rule", RULES, ids=lambda each: each.name)
def test_series_spelt_by_hand_agree(by_hand: Mapping[str, tuple[bool, bool]], rule: Rule) -> None:
    """
    At the very values that were measured, promtool says the same of series that no synthesiser made.
    """
    assert by_hand[rule.name] == (False, True)


@pytest.mark.parametrize("name", ODD)
def test_what_has_no_threshold_is_told_apart_with_its_reason(
    measured: Mapping[str, tuple[Threshold, ...]], name: str
) -> None:
    """
    Never, always, for another reason, not measured: four answers, each with words, none of them a number.
    """
    _, outcome, words = ODD[name]

    rows = measured[name]

    assert outcome in {row.outcome for row in rows}
    assert words in " ".join(row.reason for row in rows)
    assert all(row.fires_at is None for row in rows)


@pytest.mark.parametrize("name", STATES)
def test_a_state_has_no_number(measured: Mapping[str, tuple[Threshold, ...]], name: str) -> None:
    """
    Of a state is told what it fires on, and between which times nothing is promised.
    """
    row = measured[name][0]

    assert row.outcome is Outcome.STATE
    assert row.fires_on == STATES[name][1]
    assert row.phase_band_s == (45, 90)


def test_a_construct_that_is_not_measured_has_its_caret(measured: Mapping[str, tuple[Threshold, ...]]) -> None:
    """
    The caret stands under the word that cannot be measured, not under the rule.
    """
    (row,) = measured["deviation"]

    under = row.shown.splitlines()
    assert under[0][under[1].index("^") :].startswith("stddev_over_time")
    assert (row.file, row.line) == ("made.yml", 1)


def test_errors_that_are_spread_show_where_each_set_is_compared_alone(
    measured: Mapping[str, tuple[Threshold, ...]],
) -> None:
    """
    Five label sets share the load: a sum sees it all, a comparison per set needs five times as much.
    """
    summed, alone = measured["sum of rates"][0], measured["rate"][0]

    assert summed.spread == {"1": summed.fires_at, "5": summed.fires_at}
    assert alone.fires_at is not None
    assert alone.spread["5"] == pytest.approx(5 * alone.fires_at)


def test_a_ratio_is_tried_with_other_denominators(measured: Mapping[str, tuple[Threshold, ...]]) -> None:
    """
    Ten times the denominator, none, and a denominator that is not there.
    """
    guarded, bare = measured["guarded ratio"][0], measured["ratio of two"][0]

    assert guarded.ratio.startswith("a ratio")
    assert (guarded.zero_denominator, guarded.absent_denominator) == ("silent", "silent")
    assert bare.zero_denominator == "fires"


def test_a_quantile_is_told_by_value_and_by_share(measured: Mapping[str, tuple[Threshold, ...]]) -> None:
    """
    Between two buckets nothing is told apart, and one request in twenty may be slow.
    """
    row = measured["quantile"][0]

    assert row.resolution == (5.0, 10.0)
    assert row.slow_share is not None
    assert row.slow_share[0] <= 0.05 <= row.slow_share[1]


def test_the_wait_is_observed_from_a_cold_start(measured: Mapping[str, tuple[Threshold, ...]]) -> None:
    """
    Pending for as long as the rule says, then firing, and gone below the threshold.
    """
    row = measured["waits"][0]

    assert (row.for_documented_s, row.for_observed_s) == (300, 300)
    assert row.clears_at == row.silent_at
    assert [(each.multiple, each.least_s, each.most_s) for each in row.time_to_fire] == [
        (1.1, 315, 326.25),
        (2.0, 315, 326.25),
        (10.0, 315, 326.25),
    ]


def test_at_the_number_itself_the_operator_decides(measured: Mapping[str, tuple[Threshold, ...]]) -> None:
    """
    Exactly at the threshold `>=` fires and `>` does not.
    """
    found = [measured[name][0].at_threshold for name in ("gauge at least", "gauge above")]

    assert found == ["fires", "silent"]


def test_a_band_is_not_one_sided_and_both_ends_are_told(measured: Mapping[str, tuple[Threshold, ...]]) -> None:
    """
    Two comparisons, two numbers, and the interval between them.
    """
    rows = measured["band, lower end"]

    assert [row.monotone for row in rows] == [False, False]
    assert all(row.intervals for row in rows)


def test_a_number_that_is_moved_moves_what_is_measured(tool: Promtool) -> None:
    """
    A rule that fires at another number than before is measured at that number.
    """
    file = file_of({"A": ("sum(rate(errors_total[5m])) > 0.5", "0s")}, {})

    ((row,),) = measure(subjects([file]), tool, Around(measures={"A": "sum(rate(errors_total[5m]))"}))

    assert row.measure_silent is not None
    assert row.measure_fires is not None
    assert row.measure_silent < 0.5 < row.measure_fires


def test_a_rule_that_promtool_refuses_is_not_measured(tool: Promtool) -> None:
    """
    What the parser takes and promtool does not load is said, not skipped.
    """
    file = file_of({"A": ("depth > 3", "0s")}, {"bad:record": "depth"})
    (subject,) = subjects([file])
    broken = rule_text(subject.rule).replace("depth > 3", "depth > > 3")
    case = Case(name="c", series=(), asks=(Ask(expr="vector(1)", at_ms=60_000),))

    (found,) = tool.run([Sheet(rules=broken, cases=(case,))])

    assert "could not parse expression" in found.error


def test_the_tool_is_found_where_it_is(tool: Promtool) -> None:
    """
    The measurements above came from a real promtool.
    """
    assert Path(tool.path).name.startswith("promtool")
