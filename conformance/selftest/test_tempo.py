"""Minutes become seconds exactly, values keep the document's units, and what cannot be divided is refused in place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.language import rules as language
from fixtures.language.durations import format_ms
from fixtures.language.promql import Layout, shape
from fixtures.stack.tempo import TempoError, rewrite_alertmanager, rewrite_expression, rewrite_rules

_SHIPPED = Path(__file__).parents[2] / "rules"

_REWRITTEN = {
    # Per-second functions keep the document's unit; functions of a window need nothing but the window.
    "rate(x[5m]) > 0.1": "(rate(x[5s]) / 60) > 0.1",
    "sum by (a) (irate(x[1m]))": "sum by (a) ((irate(x[1s]) / 60))",
    "deriv(x[1h])": "(deriv(x[1m]) / 60)",
    "increase(x[5m]) / 300 > 0.1": "increase(x[5s]) / 300 > 0.1",
    "changes(x[5m]) + delta(x[5m]) + max_over_time(x[5m])": "changes(x[5s]) + delta(x[5s]) + max_over_time(x[5s])",
    # Ranges, steps and offsets in all their spellings.
    "x[1h30m]": "x[1m30s]",
    "x[300]": "x[5s]",
    "x[30s]": "x[500ms]",
    "x offset 5m": "x offset 5s",
    "x offset -1h": "x offset -1m",
    "max_over_time(x[1h:1m])": "max_over_time(x[1m:1s])",
    "max_over_time(x[1h:])": "max_over_time(x[1m:])",
    "rate(x[5m] @ end())": "(rate(x[5s] @ end()) / 60)",
    "rate(sum_over_time(x[1m])[5m:1m])": "(rate(sum_over_time(x[1s])[5s:1s]) / 60)",
    "max_over_time(rate(x[5m])[1h:1m] offset 1m)": "max_over_time((rate(x[5s]) / 60)[1m:1s] offset 1s)",
    # What only looks like one of them.
    'rate{rate="x[5m]"} # rate(x[5m])': 'rate{rate="x[5m]"} # rate(x[5m])',
    'rate(x{a="rate("}[5m]) # [5m]': '(rate(x{a="rate("}[5s]) / 60) # [5m]',
    "sum by (rate) (rate)": "sum by (rate) (rate)",
    "offset offset 5m": "offset offset 5s",
    "offset - 5m": "offset - 5m",
    "rate ( # c\n x [5m] )": "(rate ( # c\n x [5s] ) / 60)",
    # Real time: only an age is scaled, and the horizon of a prediction.
    "time() - x_timestamp_seconds > 300": "((time() - x_timestamp_seconds) * 60) > 300",
    "(time() - process_start_time_seconds) < 5m": "(((time() - process_start_time_seconds) * 60)) < 5m",
    "time() - max by (a) (timestamp(x)) > 9": "((time() - max by (a) (timestamp(x))) * 60) > 9",
    "time() - max_over_time(a_time_seconds[1h]) > 9": "((time() - max_over_time(a_time_seconds[1m])) * 60) > 9",
    "predict_linear(x[1h], 4 * 3600) < 0": "predict_linear(x[1m], (4 * 3600) / 60) < 0",
    "predict_linear(x[1h], 4h) < 0": "predict_linear(x[1m], (4h) / 60) < 0",
}


@pytest.mark.parametrize("expr", _REWRITTEN)
def test_an_expression_is_rewritten_where_it_measures_time(expr: str) -> None:
    """
    Only durations, per-second functions and ages change; everything else stays as it was typed.
    """
    assert rewrite_expression(expr, 60) == _REWRITTEN[expr]


@pytest.mark.parametrize("expr", _REWRITTEN)
def test_tempo_one_changes_nothing(expr: str) -> None:
    """
    At tempo 1 an expression is the same text.
    """
    assert rewrite_expression(expr, 1) == expr


def test_a_tempo_may_have_a_fraction() -> None:
    """
    Half of an odd tempo is a tempo, too.
    """
    assert rewrite_expression("rate(x[5m])", 7.5) == "(rate(x[40s]) / 7.5)"


@pytest.mark.parametrize("tempo", [0, 0.5, -1, 1_000_000])
def test_a_tempo_that_slows_down_is_none(tempo: float) -> None:
    """
    A tempo divides by at least 1.
    """
    with pytest.raises(ValueError, match=f"tempo {tempo} is not between 1 and 100000"):
        rewrite_expression("x", tempo)


_POINT = "is a point of real time; only an age is scaled, as in time() - x_timestamp_seconds"
_UNEVEN = "ms, not whole milliseconds; the largest tempo that works for this expression is"
_REFUSED = {
    "rate(x[5s])": f"expression:1:8: 5s divided by tempo 60 is 83.333 {_UNEVEN} 50\n    rate(x[5s])\n           ^^",
    "x[500ms]": f"expression:1:3: 500ms divided by tempo 60 is 8.333 {_UNEVEN} 50\n    x[500ms]\n      ^^^^^",
    "x offset 7ms": (
        f"expression:1:10: 7ms divided by tempo 60 is 0.117 {_UNEVEN} 7\n    x offset 7ms\n             ^^^"
    ),
    "x[1m:1ms]": f"expression:1:6: 1ms divided by tempo 60 is 0.017 {_UNEVEN} 1\n    x[1m:1ms]\n         ^^^",
    "x >\n time() - y": f"expression:2:2: time() {_POINT}\n     time() - y\n     ^^^^^^",
    "time() - x_time_seconds * 2": f"expression:1:1: time() {_POINT}\n    time() - x_time_seconds * 2\n    ^^^^^^",
    "5 - time() - x_time_seconds": f"expression:1:5: time() {_POINT}\n    5 - time() - x_time_seconds\n        ^^^^^^",
    "timestamp(x) > 5": f"expression:1:1: timestamp() {_POINT}\n    timestamp(x) > 5\n    ^^^^^^^^^^^^",
    "hour() > 8": ("expression:1:1: hour() follows the real clock, which no tempo divides\n    hour() > 8\n    ^^^^^^"),
    "x @ 100": "expression:1:3: @ with a fixed time is a point of real time\n    x @ 100\n      ^^^^^",
    "predict_linear(x[1h], scalar(y))": (
        "expression:1:23: the horizon of predict_linear is scaled only where it is a number\n"
        "    predict_linear(x[1h], scalar(y))\n                          ^^^^^^^^^"
    ),
    "Rate(x[5m])": (
        "expression:1:1: not measurable: parser: unknown function with name 'Rate'\n    Rate(x[5m])\n    ^^^^"
    ),
    "rate(x[83.33ms])": (
        "expression:1:7: not measurable: parser: a range is one duration, or range and step as [1h:1m]\n"
        "    rate(x[83.33ms])\n          ^"
    ),
    "X_TIME_SECONDS > time() - X_TIME_SECONDS": (
        "expression:1:1: cannot be rewritten safely; it would have become "
        "'X_TIME_SECONDS > ((time() - X_TIME_SECONDS) * 60)'\n"
        "    X_TIME_SECONDS > time() - X_TIME_SECONDS\n    " + "^" * 40
    ),
}


@pytest.mark.parametrize("expr", _REFUSED)
def test_what_cannot_be_divided_is_refused_in_its_place(expr: str) -> None:
    """
    A refusal names line and column, gives the reason and, where one exists, the largest tempo that works.
    """
    with pytest.raises(TempoError) as refused:
        rewrite_expression(expr, 60)

    assert str(refused.value) == _REFUSED[expr]


@pytest.mark.parametrize("expr", ["rate(x[5s])", "x[500ms]", "x offset 7ms"])
def test_the_tempo_that_is_said_to_work_works(expr: str) -> None:
    """
    The named tempo is accepted, and the next one is not.
    """
    with pytest.raises(TempoError) as refused:
        rewrite_expression(expr, 60)
    largest = refused.value.largest or 0

    rewrite_expression(expr, largest)
    with pytest.raises(TempoError):
        rewrite_expression(expr, largest + 1)


_DURATIONS = st.integers(1, 100).map(lambda seconds: format_ms(seconds * 60_000))
_SELECTORS = st.sampled_from(["x", 'y{rate="[5m]"}', "a:b:c", "offset"])
_FUNCTIONS = st.sampled_from(["rate", "deriv", "increase"])
_EXPRESSIONS = st.recursive(
    st.builds("{} offset {}".format, _SELECTORS, _DURATIONS) | _SELECTORS | st.just("1"),
    lambda inner: st.one_of(
        st.builds("{}({}[{}:{}])".format, _FUNCTIONS, inner, _DURATIONS, _DURATIONS),
        st.builds("sum by (rate) ({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["+", "/", "> bool"]), inner),
        st.builds("{} # [5m]\n".format, inner),
    ),
    max_leaves=6,
)


def _valid(expr: str) -> bool:
    try:
        shape(expr)
    except Exception:  # noqa: BLE001  a generated expression may be of the wrong type; then it says nothing about tempo
        return False
    return True


@settings(max_examples=150)
@given(_EXPRESSIONS.filter(_valid), st.sampled_from([1, 2, 30, 60]))
def test_rewriting_divides_every_duration_and_nothing_else(expr: str, tempo: int) -> None:
    """
    In any expression each duration is divided, and each per-second call is wrapped once.
    """
    before, after = Layout(expr), Layout(rewrite_expression(expr, tempo))

    def seconds(layout: Layout) -> list[int]:
        tokens = [token for found in layout.ranges() for token in (found.duration, found.step) if token]
        tokens += [found.duration for found in layout.offsets()]
        return [language.parse_ms(token.text) for token in tokens]

    wrapped = sum(call.name in {"rate", "deriv"} for call in before.calls())

    assert [each // tempo for each in seconds(before)] == seconds(after)
    assert [call.name for call in before.calls()] == [call.name for call in after.calls()]
    assert len(after.numbers()) - len(before.numbers()) == (wrapped if tempo > 1 else 0)


@settings(max_examples=50)
@given(_EXPRESSIONS.filter(_valid))
def test_two_steps_scale_as_one(expr: str) -> None:
    """
    Tempo 5 and then 6 gives the durations of tempo 30.
    """
    once = [found.duration.text for found in Layout(rewrite_expression(expr, 30)).ranges()]
    twice = [found.duration.text for found in Layout(rewrite_expression(rewrite_expression(expr, 5), 6)).ranges()]

    assert once == twice


def test_a_rewriting_that_changes_more_than_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The parser's tree judges the edited text: a call that the scanner would miss is a refusal, never a wrong threshold.
    """
    monkeypatch.setattr(Layout, "calls", lambda _: ())

    with pytest.raises(TempoError, match=r"cannot be rewritten safely; it would have become 'rate\(x\[5s\]\) > 1'"):
        rewrite_expression("rate(x[5m]) > 1", 60)


_FILE = """\
# Kept.
groups:
  - name: g
    interval: 1m # each minute
    query_offset: 30s
    rules:
      - alert: A   # kept
        expr: |
          # more than one
          sum(rate(x[5m]))
            > 1
        for: 5m  # kept
        keep_firing_for: 2m
        labels: {severity: "critical"}
        annotations:
          summary: 'no [5m] here: {{ with query "up" }}{{ . | first | value }}{{ end }}'
      - record: a:rate5m
        expr: "rate(x{a=\\"b\\"}[5m])"
      - record: b
        expr: a:rate5m
          / 2
"""


def test_a_rule_file_keeps_everything_but_its_times() -> None:
    """
    Comments, order, quotes and block values stay; the five kinds of times are divided.
    """
    assert rewrite_rules(_FILE, tempo=60, file="r.yml") == (
        _FILE.replace("sum(rate(x[5m]))", "sum((rate(x[5s]) / 60))")
        .replace('"rate(x{a=\\"b\\"}[5m])"', '"(rate(x{a=\\"b\\"}[5s]) / 60)"')
        .replace("interval: 1m", "interval: 1s")
        .replace("offset: 30s", "offset: 500ms")
        .replace("for: 5m", "for: 5s")
        .replace("for: 2m", "for: 2s")
    )


def test_at_tempo_one_even_a_broken_file_is_itself() -> None:
    """
    Tempo 1 is byte for byte: what Prometheus is given is what ships.
    """
    text = "groups: [ # \u00e9\r\n\tnot even YAML"

    assert rewrite_rules(text, tempo=1, file="r.yml") == text
    assert rewrite_alertmanager(text, 1, "a.yml") == text


@pytest.mark.parametrize("name", ["alerts.yml", "recording.yml"])
@pytest.mark.parametrize("tempo", [2, 15, 30, 60, 120])
def test_the_shipped_rules_run_at_the_usual_tempos(name: str, tempo: int) -> None:
    """
    The shipped files can be divided, and each alert's `for` is divided exactly.
    """
    text = (_SHIPPED / name).read_text(encoding="utf-8")

    before = language.load(text, file=name)
    after = language.load(rewrite_rules(text, tempo=tempo, file=name), file=name)

    for one, other in zip(before.rules, after.rules, strict=True):
        if isinstance(one, language.AlertRule) and isinstance(other, language.AlertRule):
            assert other.for_ * tempo == one.for_
            assert (other.labels, other.annotations) == (one.labels, one.annotations)


_RULE = (
    "groups:\n- name: g\n  rules:\n"
    "  - alert: A\n    expr: {expr}\n    for: {lasting}\n    annotations:\n      d: {text}\n"
)
_WRONG = [
    (
        {"lasting": "50s"},
        (
            "r.yml:6:10: 50s divided by tempo 60 is 833.333 ms, not whole milliseconds; "
            "the largest tempo that works for this file is 50\n        for: 50s\n             ^^^"
        ),
    ),
    (
        {"expr": "'rate(x[7s]) > 1'"},
        (
            "r.yml:5:19: 7s divided by tempo 60 is 116.667 ms, not whole milliseconds; "
            "the largest tempo that works for this file is 50\n"
            "        expr: 'rate(x[7s]) > 1'\n                      ^^"
        ),
    ),
    (
        {"expr": "|\n      x >\n        hour()"},
        "r.yml:7:9: hour() follows the real clock, which no tempo divides\n            hour()\n            ^^^^^^",
    ),
    (
        {"text": "'{{ query \"rate(x[5m])\" }}'"},
        (
            "r.yml:8:14: a query in a message has real durations, which are not rewritten\n"
            "          d: '{{ query \"rate(x[5m])\" }}'\n                 ^^^^^^^^^^^^^^^^^^^"
        ),
    ),
    (
        {"text": "'{{ $q | query }}'"},
        (
            "r.yml:8:19: a query that the template computes cannot be read\n"
            "          d: '{{ $q | query }}'\n                      ^^^^^"
        ),
    ),
]


@pytest.mark.parametrize(("parts", "message"), _WRONG, ids=range(len(_WRONG)))
def test_a_rule_file_is_refused_with_the_place_in_the_file(parts: dict[str, str], message: str) -> None:
    """
    The caret stands in the rule file, and the tempo that is named suits every duration of the file.
    """
    text = _RULE.format(**{"expr": "x > 1", "lasting": "5m", "text": "x", **parts})

    with pytest.raises(TempoError) as refused:
        rewrite_rules(text, tempo=60, file="r.yml")

    assert str(refused.value) == message


def test_a_word_in_a_message_is_no_query() -> None:
    """
    Only the function query is one; a label of that name or a query without times is left alone.
    """
    text = _RULE.format(expr="x > 1", lasting="5m", text="'{{ $labels.query }} query {{ query `sum(x)` | first }}'")

    assert rewrite_rules(text, tempo=60, file="r.yml") == text.replace("for: 5m", "for: 5s")


_ROUTES = """\
global:
  resolve_timeout: 5m
route:
  receiver: a  # kept
  group_wait: 10s
  group_interval: 5m
  repeat_interval: 12h
  routes:
    - receiver: b
      group_wait: "0s"
      routes: [{receiver: a, repeat_interval: 2h}]
"""


def test_alertmanagers_timers_are_divided_at_every_level() -> None:
    """
    No timer falls below a second, none stays at its real minutes, and 0 stays 0.
    """
    assert rewrite_alertmanager(_ROUTES, 60, "a.yml") == (
        _ROUTES.replace("timeout: 5m", "timeout: 5s")
        .replace("wait: 10s", "wait: 1s")
        .replace("interval: 5m", "interval: 5s")
        .replace("12h", "12m")
        .replace("2h}", "2m}")
    )


def test_a_timer_left_to_its_default_is_divided_too() -> None:
    """
    A default of five real minutes would hold every second notification back.
    """
    block = rewrite_alertmanager("route:\n  receiver: a\n  group_wait: 2m\n", 60, "a.yml")
    flow = rewrite_alertmanager("route: {receiver: a}\n", 60, "a.yml")

    assert block == "route:\n  group_interval: 5s\n  repeat_interval: 4m\n  receiver: a\n  group_wait: 2s\n"
    assert flow == "route: {group_wait: 1s, group_interval: 5s, repeat_interval: 4m, receiver: a}\n"


_WRONG_ROUTES = {
    "time_intervals:\n- name: night\nroute:\n  receiver: a\n": (
        "a.yml:1:1: time_intervals follow the calendar, which no tempo divides\n    time_intervals:\n    ^^^^^^^^^^^^^^"
    ),
    "route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [night]\n": (
        "a.yml:4:5: mute_time_intervals follow the calendar, which no tempo divides\n"
        "      - mute_time_intervals: [night]\n        ^^^^^^^^^^^^^^^^^^^"
    ),
    "route:\n  receiver: a\n  repeat_interval: 61001ms\n": (
        "a.yml:3:20: 61001ms divided by tempo 60 is 1016.683 ms, not whole milliseconds; "
        "the largest tempo that works for this file is 1\n"
        "      repeat_interval: 61001ms\n                       ^^^^^^^"
    ),
    "route:\n  receiver: a\n  group_wait: 10\n": (
        "a.yml:3:15: '10' is not a duration (like 500ms, 30s, 1h30m)\n      group_wait: 10\n                  ^^"
    ),
    "receivers: []\n": "a.yml:1:1: has no route",
    "route: [\n": "a.yml:2:1: not YAML: expected the node content, but found '<stream end>'",
}


@pytest.mark.parametrize("text", _WRONG_ROUTES, ids=range(len(_WRONG_ROUTES)))
def test_routes_that_cannot_be_divided_are_refused(text: str) -> None:
    """
    Calendars and uneven timers are refused in their place.
    """
    with pytest.raises(TempoError) as refused:
        rewrite_alertmanager(text, 60, "a.yml")

    assert str(refused.value) == _WRONG_ROUTES[text]
