"""A rule file is read strictly, with the place of every value, and edited without losing a comment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.language.durations import LONGEST_MS
from fixtures.language.promql import Edit
from fixtures.language.rules import (
    AlertRule,
    DurationError,
    RecordingRule,
    RulesError,
    edit_inside,
    edit_whole,
    format_duration,
    format_ms,
    load,
    parse_duration,
    parse_ms,
)

_HEAD = "groups:\n- name: g\n  rules:\n"


@given(st.integers(0, LONGEST_MS))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    """
    Whole milliseconds are written so that they read the same.
    """
    assert parse_ms(format_ms(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500),
        ("1m", 60_000),
        ("1h30m", 5_400_000),
        ("1d12h", 129_600_000),
        ("1w", 604_800_000),
    ],
)
def test_durations_are_read_as_prometheus_reads_them(text: str, milliseconds: int) -> None:
    """
    Units add up, the largest first.
    """
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "1.5h", "5min", "1s1m", "1m1m", "-5m", "83.33ms", "٣s5", "300y", "9" * 500 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """
    Neither a bare number nor a fraction nor a wrong order is a duration.
    """
    with pytest.raises(DurationError):
        parse_ms(text)


def test_a_fraction_of_a_millisecond_is_not_written() -> None:
    """
    Nothing is rounded silently.
    """
    with pytest.raises(DurationError, match=r"^0:00:00.000500 is not a whole number of milliseconds$"):
        format_duration(timedelta(microseconds=500))


_FULL = """\
# Top.
groups:
  - name: g  # group
    interval: 1m
    query_offset: 30s
    limit: 5
    labels: {team: a}
    rules:
      - alert: A
        expr: sum(rate(x[5m])) > 1
        for: 5m
        keep_firing_for: 2m
        labels:
          severity: critical
        annotations: {summary: "it is {{ $value }}"}
      - record: a:b
        expr: |
          sum(x)
"""


def test_a_file_is_read_whole() -> None:
    """
    Every key arrives, durations as durations, and each value knows its line and column.
    """
    loaded = load(_FULL, file="r.yml")
    group = loaded.groups[0]
    alert, record = group.rules

    assert (group.name, group.interval, group.limit, group.labels) == ("g", timedelta(minutes=1), 5, {"team": "a"})
    assert isinstance(alert, AlertRule)
    assert (alert.for_, alert.keep_firing_for) == (timedelta(minutes=5), timedelta(minutes=2))
    assert alert.labels == {"severity": "critical"}
    assert alert.annotations == {"summary": "it is {{ $value }}"}
    assert isinstance(record, RecordingRule)
    assert record.expr == "sum(x)\n"
    assert (alert.line, alert.column) == (9, 9)
    assert (alert.places["for"].line, alert.places["for"].column) == (11, 14)
    assert alert.places["labels.severity"].line == 14
    assert group.query_offset == timedelta(seconds=30)


_WRONG = {
    "groups:\n- name: g\n  rulez: []\n": (
        "r.yml:3:3: unknown key 'rulez' in a group, did you mean 'rules'\n      rulez: []\n      ^"
    ),
    _HEAD + "  - alert: A\n    exp: 1\n": (
        "r.yml:5:5: unknown key 'exp' in a rule, did you mean 'expr'\n        exp: 1\n        ^"
    ),
    _HEAD + "  - record: A\n    expr: 1\n    for: 5m\n": (
        "r.yml:6:5: unknown key 'for' in a rule with 'record', known are record, expr, labels\n"
        "        for: 5m\n        ^"
    ),
    _HEAD + "  - alert: A\n    expr: 1\n    expr: 2\n": (
        "r.yml:6:5: key 'expr' stands twice in a rule\n        expr: 2\n        ^"
    ),
    _HEAD + "  - alert: A\n    expr: 1\n    for: 5 min\n": (
        "r.yml:6:10: A.for: '5 min' is not a duration (like 500ms, 30s, 1h30m)\n        for: 5 min\n             ^"
    ),
    _HEAD + "  - alert: A\n": "r.yml:4:5: A has no expr\n      - alert: A\n        ^",
    _HEAD + "  - expr: 1\n": "r.yml:4:5: a rule has either alert or record\n      - expr: 1\n        ^",
    _HEAD + "  - alert: A\n    record: B\n    expr: 1\n": (
        "r.yml:4:5: a rule has either alert or record, not both\n      - alert: A\n        ^"
    ),
    "groups:\n- name: g\n- name: g\n": (
        "r.yml:3:9: group 'g' stands twice, first on line 2\n    - name: g\n            ^"
    ),
    "groups:\n- rules: []\n": "r.yml:2:3: a group has no name\n    - rules: []\n      ^",
    "groups:\n- name: g\n  limit: few\n": (
        "r.yml:3:10: group 'g'.limit: 'few' is not a whole number\n      limit: few\n             ^"
    ),
    "group: []\n": "r.yml:1:1: unknown key 'group' in the file, did you mean 'groups'\n    group: []\n    ^",
    "- a\n": "r.yml:1:1: the file is a list, not a mapping\n    - a\n    ^",
    "groups: [\n": "r.yml:2:1: not YAML: expected the node content, but found '<stream end>'",
    "[" * 1_000: "r.yml:1:1: not YAML: nested too deeply",
}


@pytest.mark.parametrize("text", _WRONG, ids=range(len(_WRONG)))
def test_a_wrong_file_is_refused_with_its_place(text: str) -> None:
    """
    Nothing is ignored: the error names file, line, column and the near miss, and shows the line.
    """
    with pytest.raises(RulesError) as refused:
        load(text, file="r.yml")

    assert str(refused.value) == _WRONG[text]


def test_an_empty_file_has_no_rules() -> None:
    """
    A file of comments alone is a rule file without rules.
    """
    assert load("# nothing yet\n", file="r.yml").rules == ()


def test_an_unknown_alert_is_named_with_its_near_miss() -> None:
    """
    A lookup never returns another alert.
    """
    loaded = load(_HEAD + "  - alert: HighErrorRate\n    expr: 1\n", file="r.yml")

    with pytest.raises(KeyError, match=r"r\.yml has no alert 'HighErorRate', did you mean 'HighErrorRate'"):
        loaded.alert("HighErorRate")


def test_an_unmeasurable_expression_is_shown_in_its_file() -> None:
    """
    The caret stands under the word in the rule file, also within a block value.
    """
    loaded = load(_HEAD + "  - alert: A\n    expr: |\n      x >\n        Rate(y[5m])\n", file="r.yml")

    [error] = loaded.unmeasurable()

    assert str(error) == (
        "r.yml:7:9: A is not measurable: parser: unknown function with name 'Rate'\n"
        "            Rate(y[5m])\n            ^^^^"
    )


_STYLES = {
    "plain": "    expr: rate(x[5m]) # why\n",
    "quoted": "    expr: 'rate(x{a=''b''}[5m])'  # why\n",
    "double": '    expr: "rate(x[5m])" # why\n',
    "escaped": '    expr: "rate(x{a=\\"b\\"}[5m])" # why\n',
    "literal": "    # why\n    expr: |\n      rate(\n        x[5m]\n      )\n",
    "folded": "    # why\n    expr: >-\n      rate(x[5m])\n      > 1\n",
    "continued": "    # why\n    expr: rate(x[5m])\n      > 1\n",
}


@pytest.mark.parametrize("style", _STYLES)
def test_an_edit_keeps_style_and_comments(style: str) -> None:
    """
    Only the edited characters change, in every way in which YAML writes a text.
    """
    text = _HEAD + "  - alert: A\n" + _STYLES[style] + "    for: 5m # because\n"
    loaded = load(text, file="r.yml")
    rule = loaded.alert("A")
    at = rule.expr.index("5m")
    edits = [
        Edit(start=at, end=at + 2, text="5s"),
        Edit(start=rule.expr.index("]") + 1, end=rule.expr.index("]") + 1, text=" or y"),
    ]

    changed = loaded.edited(
        [*edit_inside(text, rule.places["expr"], edits), edit_whole(text, rule.places["for"], "5s")],
    )

    assert changed == text.replace("[5m]", "[5s] or y").replace("for: 5m", "for: 5s")
    assert load(changed, file="r.yml").alert("A").expr == rule.expr.replace("[5m]", "[5s] or y")


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\u2028\u2029"),
        min_size=1,
    )
)
def test_any_value_can_be_put_in_place_of_another(value: str) -> None:
    """
    A replaced value reads back as it was given, quoted where it must be.
    """
    if not value.strip() or any(not each.isprintable() for each in value):
        return
    text = _HEAD + "  - alert: A\n    expr: 1\n    annotations: {a: b}\n"
    loaded = load(text, file="r.yml")

    changed = loaded.edited([edit_whole(text, loaded.alert("A").places["annotations.a"], value)])

    assert load(changed, file="r.yml").alert("A").annotations == {"a": value}


def test_a_value_behind_an_alias_is_edited_once() -> None:
    """
    Two rules that share a value by a YAML alias share its place, too.
    """
    text = _HEAD + "  - alert: A\n    expr: &e x[5m]\n  - record: b\n    expr: *e\n"
    loaded = load(text, file="r.yml")

    changed = loaded.edited([edit_whole(text, rule.places["expr"], "z") for rule in loaded.rules])

    assert "expr: &e z\n" in changed
    assert [rule.expr for rule in load(changed, file="r.yml").rules] == ["z", "z"]
