"""Diagnostics of rule files: each finds its own fault, with its place, and says nothing of a rule without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.simulate.lint import Family, Weight, World, cycles, lint, produced, read
from fixtures.language import rules
from fixtures.language.promql import Shape, shape
from fixtures.language.tree import Node, tree

ROOT = Path(__file__).parents[2]
WORLD = World(
    families={
        "app_requests_total": Family(name="app_requests_total", kind="counter", labels=("route",)),
        "app_seconds": Family(name="app_seconds", kind="histogram", last_bucket=10.0),
        "app_slow_seconds": Family(name="app_slow_seconds", kind="histogram", buckets_beyond=30.0),
        "app_users": Family(name="app_users", kind="gauge", labels=()),
    }
)
# What the guide says, written down by hand (§ Alert Rules).
LITERAL = {
    "HighErrorRate": ("rate(osmen_errors_total[5m]) > 0.1", "5m"),
    "ServiceDown": ('up{job="osmen_gateway"} == 0', "1m"),
    "HighResponseTime": ("histogram_quantile(0.95, rate(osmen_request_duration_seconds_bucket[5m])) > 10", "5m"),
    "HighMemoryUsage": (
        (
            'container_memory_usage_bytes{name="osmen-gateway"}'
            ' / container_spec_memory_limit_bytes{name="osmen-gateway"} > 0.9'
        ),
        "5m",
    ),
    "DatabasePoolExhausted": ("pg_stat_activity_count > 90", "5m"),
}


def file_of(expr: str, *, wait: str = "", annotation: str = "", interval: str = "") -> rules.RuleFile:
    rule: dict[str, object] = {"alert": "A", "expr": expr, "labels": {"severity": "warning"}}
    if wait:
        rule["for"] = wait
    if annotation:
        rule["annotations"] = {"description": annotation}
    group: dict[str, object] = {"name": "g", "rules": [rule]}
    if interval:
        group["interval"] = interval
    return rules.load(json.dumps({"groups": [group]}, indent=1), file="made.yml")


def found(expr: str, **given: str) -> set[str]:
    return {each.check for each in lint([file_of(expr, **given)], WORLD)}


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        ("range-below-two-scrapes", "sum(rate(app_requests_total[20s])) > 1", "sum(rate(app_requests_total[30s])) > 1"),
        (
            "quantile-beyond-buckets",
            "histogram_quantile(0.9, sum by (le) (rate(app_seconds_bucket[5m]))) > 10",
            "histogram_quantile(0.9, sum by (le) (rate(app_seconds_bucket[5m]))) > 5",
        ),
        (
            "not-a-histogram",
            "histogram_quantile(0.9, sum by (le) (rate(app_seconds_sum[5m]))) > 5",
            "histogram_quantile(0.9, sum by (le) (rate(app_seconds_bucket[5m]))) > 5",
        ),
        ("unknown-metric", "app_user > 3", "app_users > 3"),
        ("histogram-without-suffix", "app_seconds > 3", "app_seconds_sum > 3"),
        (
            "division-by-zero-limit",
            "container_memory_rss / container_spec_memory_limit_bytes > 0.9",
            "container_memory_rss / (container_spec_memory_limit_bytes > 0) > 0.9",
        ),
        ("per-series-threshold", "rate(app_requests_total[5m]) > 1", "sum(rate(app_requests_total[5m])) > 1"),
        (
            "per-series-quantile",
            "histogram_quantile(0.9, rate(app_seconds_bucket[5m])) > 5",
            "histogram_quantile(0.9, sum by (le) (rate(app_seconds_bucket[5m]))) > 5",
        ),
        (
            "constant-against-a-limit",
            "sum(pg_stat_activity_count) > 90 or pg_up == 0",
            "sum(pg_stat_activity_count) / sum(pg_settings_max_connections) > 0.9 or pg_up == 0",
        ),
        (
            "absolute-rate",
            "sum(rate(redis_errors_total[5m])) > 0.1",
            "sum(rate(redis_errors_total[5m])) / sum(rate(app_requests_total[5m])) > 0.1",
        ),
        ("absence-unseen", 'up{job="a"} == 0', 'up{job="a"} == 0 or absent(up{job="a"})'),
        ("exporter-blind", "sum(pg_locks_count) > 5", "sum(pg_locks_count) > 5 or pg_up == 0"),
        ("bool-always-fires", "app_users > bool 3", "app_users > 3"),
        ("no-condition", "sum(app_users)", "sum(app_users) > 3"),
        ("rate-of-a-gauge", "sum(rate(app_users[5m])) > 1", "sum(deriv(app_users[5m])) > 1"),
        ("counter-without-rate", "app_requests_total > 5", "increase(app_requests_total[5m]) > 5"),
        ("container-name", 'container_memory_rss{name="a"} > 1', 'container_memory_rss{name=~"a.*"} > 1'),
        ("not-measurable", "sum(app_users) >", "sum(app_users) > 3"),
    ],
)
def test_a_fault_is_found_and_its_absence_is_not(check: str, bad: str, good: str) -> None:
    """
    Each check speaks of the expression that has the fault, and is silent about the same one without it.
    """
    assert check in found(bad)
    assert check not in found(good)


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        ("for-below-interval", {"wait": "10s"}, {"wait": "15s"}),
        ("for-below-interval", {"wait": "30s", "interval": "1m"}, {"wait": "30s", "interval": "30s"}),
        ("range-within-for", {"wait": "5m"}, {"wait": "4m"}),
        ("value-unformatted", {"annotation": "{{ $value }}"}, {"annotation": '{{ printf "%.2f" $value }}'}),
        ("template-label", {"annotation": "{{ $labels.route }}"}, {"annotation": "nothing"}),
    ],
)
def test_a_fault_of_the_rule_around_its_expression_is_found(
    check: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    """
    Waits, texts and labels of templates are judged together with what the query gives.
    """
    expr = "sum(rate(app_requests_total[5m])) > 1"

    assert check in found(expr, **bad)
    assert check not in found(expr, **good)


@pytest.mark.parametrize(
    "expr",
    [
        "app_used / app_max_bytes > 0.8 and app_max_bytes > 0",
        "app_free / app_max_bytes < 0.1",
        "app_used / pg_settings_max_connections > 0.9",
    ],
)
def test_a_division_that_cannot_fire_by_zero_is_let_be(expr: str) -> None:
    """
    A guard beside the division, a lower bound, or a limit that cannot be 0: none of them is a finding.
    """
    assert "division-by-zero-limit" not in {each.check for each in lint([file_of(expr)])}


def test_a_dead_mans_switch_is_no_finding() -> None:
    """
    An alert over a constant fires always and is meant to.
    """
    assert "no-condition" not in found("vector(1)")


def test_a_flapping_target_is_a_note_on_the_wait() -> None:
    """
    A state rule that waits says that one good scrape starts the wait anew.
    """
    assert "flapping-unseen" in found('up{job="a"} == 0 or absent(up{job="a"})', wait="1m")
    assert "flapping-unseen" not in found('up{job="a"} == 0 or absent(up{job="a"})')


def test_a_finding_names_file_line_column_and_shows_a_caret() -> None:
    """
    The text has the place, the weight, the check and the measured reason; carets stand under the range.
    """
    file = rules.load(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(rate(x_total[20s])) > 1\n"
        "    labels: {severity: info}\n",
        file="a.yml",
    )
    (finding,) = (each for each in lint([file]) if each.check == "range-below-two-scrapes")

    assert finding.text() == (
        "a.yml:5:28: error range-below-two-scrapes: A: rate needs two samples, and a range of 20s holds fewer than two"
        " scrapes that are 15s apart: most evaluations give nothing\n"
        "        expr: sum(rate(x_total[20s])) > 1\n"
        "                               ^^^"
    )


def test_a_quantile_beyond_the_clients_buckets_is_cured_by_known_ones() -> None:
    """
    Buckets that are promised beyond the threshold make an error a note: the rule rests on them.
    """
    weights = {
        name: next(
            each.weight
            for each in lint([file_of(f"histogram_quantile(0.9, sum by (le) (rate({name}_bucket[5m]))) > 20")], WORLD)
            if each.check == "quantile-beyond-buckets"
        )
        for name in ("app_seconds", "app_slow_seconds")
    }

    assert weights == {"app_seconds": Weight.ERROR, "app_slow_seconds": Weight.NOTE}


def test_the_guides_literal_rules_show_their_defects() -> None:
    """
    Of the guide's own wording every defect that a reader of the text can see is found, by its rule.
    """
    group = {
        "name": "osmen_alerts",
        "rules": [
            {"alert": name, "expr": expr, "for": wait, "labels": {"severity": "warning"}}
            for name, (expr, wait) in LITERAL.items()
        ],
    }
    file = rules.load(json.dumps({"groups": [group]}), file="literal.yml")

    checks: dict[str, set[str]] = {name: set() for name in LITERAL}
    for each in lint([file]):
        checks[each.rule].add(each.check)

    assert checks == {
        "HighErrorRate": {"per-series-threshold", "absolute-rate", "range-within-for"},
        "ServiceDown": {"absence-unseen", "flapping-unseen"},
        "HighResponseTime": {"per-series-quantile", "quantile-beyond-buckets", "range-within-for"},
        "HighMemoryUsage": {"division-by-zero-limit", "container-name"},
        "DatabasePoolExhausted": {"per-series-threshold", "constant-against-a-limit", "exporter-blind"},
    }


def test_the_shipped_rules_have_no_error_and_show_what_they_share_with_the_guide() -> None:
    """
    No shipped rule has an error; the burst, the flapping target, the buckets and the absolute rate stay as findings.
    """
    files, unread = read(ROOT / "rules")

    findings = lint(files)

    assert unread == ()
    assert {each.weight for each in findings} <= {Weight.NOTE, Weight.WARNING}
    assert {"range-within-for", "flapping-unseen", "quantile-beyond-buckets", "absolute-rate"} <= {
        each.check for each in findings
    }


@pytest.mark.parametrize(
    ("expr", "labels", "without"),
    [
        ("sum(x)", [], ["a"]),
        ("sum by (a, b) (x)", ["a", "b"], ["c"]),
        ("sum by (a, b) (sum by (a) (x))", ["a"], ["b"]),
        ("sum without (a) (x)", ["b"], ["a"]),
        ('absent(up{job="a",mode!="b"})', ["job"], ["mode", "instance"]),
        ("x / on (a) y", ["a"], ["b"]),
        ("x / ignoring (a) y", ["b"], ["a"]),
        ("x * on (a) group_left (c) y", ["a", "b", "c"], []),
        ("histogram_quantile(0.9, x_bucket)", ["a"], ["le"]),
        ('label_replace(sum(x), "made", "$1", "b", ".*")', ["made"], ["b"]),
        ('count_values("version", x)', ["version"], ["a"]),
        ("topk(3, x) by (a)", ["a", "b"], []),
        ("x and sum(y)", ["a"], []),
        ("1 + vector(1)", [], ["a"]),
    ],
)
def test_the_labels_that_a_query_can_give_are_known(expr: str, labels: list[str], without: list[str]) -> None:
    """
    Aggregations, joins and functions keep, drop and make labels as Prometheus does.
    """
    (branch,) = produced(tree(expr))

    assert [label for label in labels if not branch.can(label)] == []
    assert [label for label in without if branch.can(label)] == []


def test_recording_rules_that_read_each_other_are_named_in_a_circle() -> None:
    """
    A circle of a thousand recording rules is one finding, named by its first seven.
    """
    names = [f"r{index}" for index in range(1000)]
    members = [{"record": name, "expr": names[(index + 1) % 1000]} for index, name in enumerate(names)]
    file = rules.load(json.dumps({"groups": [{"name": "g", "rules": members}]}), file="circle.yml")

    (finding,) = cycles([file])

    assert "reads itself: r0 → r1" in finding.reason
    assert "(1000 rules)" in finding.reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("groups: [", "not YAML"),
        ("groups:\n- name: a\n  rulez: []\n", "did you mean 'rules'"),
        ("groups: 3\n", "not a list"),
        ("x" * 2_000_001, "more than the 2000000 that are read"),
    ],
)
def test_a_file_that_is_no_rule_file_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    """
    What cannot be read is a finding with its file and place, never an exception and never silence.
    """
    (tmp_path / "a.yml").write_text(text)

    files, (finding,) = read(tmp_path)

    assert files == ()
    assert finding.check == "unreadable"
    assert says in finding.text()


def test_a_folder_without_rules_is_no_pass(tmp_path: Path) -> None:
    """
    An empty folder is a finding too.
    """
    _, (finding,) = read(tmp_path)

    assert "holds no rule file" in finding.reason


def test_a_long_expression_is_refused_with_its_place() -> None:
    """
    An expression beyond what the parser survives is not measured and says so.
    """
    (finding,) = (each for each in lint([file_of(" or ".join(["x"] * 9000))]) if each.check != "no-severity")

    assert finding.check == "not-measurable"
    assert "characters, more than" in finding.reason


def _skeleton(node: Node) -> tuple[object, ...]:
    kind = {"selector": "vector", "range": "matrix"}.get(node.kind, node.kind)
    parts = node.parts[::-1] if node.kind == "aggregate" else node.parts
    return (kind, *(_skeleton(part) for part in parts))


def _bones(found: Shape) -> tuple[object, ...]:
    return (found.kind, *(_bones(part) for part in found.parts))


_LEAVES = st.sampled_from(
    ["x", 'x{a="b"}', "rate(x[5m])", "y offset 5m", "2", "sum by (a) (x)", "max_over_time(x[1h:1m])"]
)
_JOINS = st.sampled_from(["+", "-", "*", "/", "%", "^", "and", "or", "unless", "> bool", "== on (a)"])


@st.composite
def _expressions(draw: Callable[[st.SearchStrategy[str]], str]) -> str:
    parts = [draw(_LEAVES)]
    for _ in range(int(draw(st.sampled_from("0123")))):
        parts += [draw(_JOINS), draw(_LEAVES)]
    return " ".join(parts)


@settings(max_examples=200)
@given(_expressions())
def test_the_tree_is_the_parsers_own(expression: str) -> None:
    """
    Whatever the parser accepts is read with the same structure, and each part's place holds its text.
    """
    try:
        bones = _bones(shape(expression))
    except Exception:  # noqa: BLE001  what the parser refuses is not the tree's business
        return

    root = tree(expression)

    assert _skeleton(root) == bones
    assert all(expression[node.start : node.end].strip() for node in root.walk())
