"""The scanner knows where each part of an expression stands, and the parser never sees what would end the process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.language import logql
from fixtures.language.promql import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_OPERATORS,
    Edit,
    Kind,
    Layout,
    PromqlError,
    names,
    parse,
    scan,
    selectors,
    shape,
    splice,
    without_newest,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _cut(expr: str, spans: list[tuple[int, int]]) -> list[str]:
    return [expr[start:end] for start, end in spans]


_WORDS = st.sampled_from(
    [
        *("rate", "sum", "by", "x", "offset", "5m", "[", "]", "(", ")", "{", "}", '"a b"', "'[5m]'", "`x`", "# c\n"),
        *("1", ".5", "1e3", ">=", "==", "@", ":", ",", "-", "0x1f", "500ms", "1h30m", "or", "é", " ", "\n"),
    ]
)


def _refusal(read: Callable[[str], object], expr: str) -> PromqlError | None:
    try:
        read(expr)
    except PromqlError as error:
        return error
    return None


@given(st.lists(_WORDS, max_size=30).map("".join))
def test_tokens_and_the_gaps_between_them_are_the_text(expr: str) -> None:
    """
    Every character is in one token or is white space; nothing is lost or seen twice.
    """
    if (error := _refusal(scan, expr)) is not None:
        assert 0 <= error.start < error.end <= len(expr)
        return

    tokens = scan(expr)
    gaps = [*(token.start for token in tokens), len(expr)]
    ends = [0, *(token.end for token in tokens)]

    assert all(token.text == expr[token.start : token.end] for token in tokens)
    assert all(not expr[end:start].strip() for end, start in zip(ends, gaps, strict=True))


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(expr: str) -> None:
    """
    No text makes the scanner or the parser fail in another way than by a refusal with a caret.
    """
    error = _refusal(shape, expr)

    assert error is None or "^" in str(error)


@given(st.text(max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_splice_changes_only_what_it_is_told(text: str, places: list[int]) -> None:
    """
    Without edits a text is itself, and each insertion lengthens it by itself.
    """
    inside = [place for place in places if place <= len(text)]

    assert splice(text, []) == text
    assert splice(text, [Edit(start=0, end=len(text), text=text)]) == text
    assert len(splice(text, [Edit(start=place, end=place, text="ab") for place in inside])) == len(text) + 2 * len(
        inside
    )


def test_overlapping_edits_are_refused() -> None:
    """
    Two edits of one place are a mistake of the caller, never a guess.
    """
    with pytest.raises(ValueError, match=r"^the edit 1\.\.3 overlaps another or lies outside the text$"):
        splice("abcd", [Edit(start=0, end=2, text=""), Edit(start=1, end=3, text="")])


def test_what_only_looks_like_a_part_is_none() -> None:
    """
    Ranges and calls in comments, strings and labels are no ranges and no calls.
    """
    expr = 'sum by (rate) (rate(x{rate="y[5m]", b=`rate(z[5m])`}[1h30m])) > 0.1 # rate(x[5m]) offset 1m'
    layout = Layout(expr)

    assert _cut(expr, [(found.duration.start, found.duration.end) for found in layout.ranges()]) == ["1h30m"]
    assert [call.name for call in layout.calls()] == ["rate"]
    assert layout.offsets() == ()
    assert names(expr) == ("x",)


def test_each_part_has_its_place() -> None:
    """
    Subqueries, steps, offsets, fixed times, calls with their arguments and aggregations are found where they stand.
    """
    expr = "sum by (a) (max_over_time(rate(x[1m])[1h:30s] offset -5m)) / count(y @ 100) without (b) > bool 0.5"
    layout = Layout(expr)

    assert [(found.duration.text, found.step and found.step.text, found.subquery) for found in layout.ranges()] == [
        ("1m", None, False),
        ("1h", "30s", True),
    ]
    assert _cut(expr, [(found.start, found.end) for found in layout.offsets()]) == ["offset -5m"]
    assert _cut(expr, [(found.start, found.end) for found in layout.instants()]) == ["@ 100"]
    assert {call.name: _cut(expr, list(call.arguments)) for call in layout.calls()} == {
        "max_over_time": ["rate(x[1m])[1h:30s] offset -5m"],
        "rate": ["x[1m]"],
    }
    assert _cut(expr, [(found.start, found.end) for found in layout.aggregations()]) == [
        "sum by (a) (max_over_time(rate(x[1m])[1h:30s] offset -5m))",
        "count(y @ 100) without (b)",
    ]
    assert [token.text for token in layout.comparisons()] == [">"]
    assert [token.text for token in layout.numbers()] == ["0.5"]


def test_arguments_are_parted_at_their_own_commas() -> None:
    """
    A comma in a nested call, a selector or a grouping parts nothing of the outer call.
    """
    expr = 'label_replace(sum by (a, b) (x{c="d", e="f"}), "g", "$1", "h", "(.*)")'

    arguments = Layout(expr).calls()[0].arguments

    assert _cut(expr, list(arguments)) == ['sum by (a, b) (x{c="d", e="f"})', '"g"', '"$1"', '"h"', '"(.*)"']


@pytest.mark.parametrize(
    ("expr", "late"),
    [
        pytest.param("sum(rate(x[5m]))", "sum(rate(x[4m45s] offset 15s))", id="one range"),
        pytest.param("rate(a[1m]) / rate(b[1h])", "rate(a[45s] offset 15s) / rate(b[59m45s] offset 15s)", id="two"),
        pytest.param("sum(x)", None, id="it looks at no window"),
        pytest.param("rate(x[5m]) and up", None, id="one part looks at no window"),
        pytest.param("rate(x[30s])", None, id="too short a window"),
        pytest.param("rate(x[5m] offset 1m)", None, id="it ends earlier already"),
        pytest.param("rate(x[5m] @ 100)", None, id="it ends at a fixed time"),
        pytest.param("max_over_time(rate(x[5m])[1h:1m])", None, id="a subquery"),
    ],
)
def test_an_expression_as_it_is_before_the_newest_scrape(expr: str, late: str | None) -> None:
    """
    Every range begins where it did and ends a scrape earlier; where that says something else, there is none.
    """
    assert without_newest(expr, 15_000) == late


@pytest.mark.parametrize(
    ("expr", "offsets"),
    [("offset offset 5m", 1), ("offset - 5m", 0), ("x and offset - 5", 0), ("x offset 5m", 1), ('x{offset="5m"}', 0)],
)
def test_a_metric_may_be_called_offset(expr: str, offsets: int) -> None:
    """
    The word is a modifier only behind an operand.
    """
    assert len(Layout(expr).offsets()) == offsets


def test_a_colon_belongs_to_a_name_outside_of_brackets() -> None:
    """
    A recorded metric's name is one word; between brackets the colon parts range and step.
    """
    tokens = [token.text for token in scan("a:b:c[5m:1m]")]

    assert tokens == ["a:b:c", "[", "5m", ":", "1m", "]"]


def test_strings_keep_their_escapes_and_comments_end_with_their_line() -> None:
    """
    A quote behind a backslash ends nothing, and after a comment the expression goes on.
    """
    tokens = scan('x{a="b\\"]#"} # c "d\n> 1')

    assert [token.text for token in tokens if token.kind is Kind.STRING] == ['"b\\"]#"']
    assert [token.text for token in tokens if token.kind is Kind.COMMENT] == ['# c "d']
    assert tokens[-1].text == "1"


def test_selectors_are_read_with_matchers_and_range() -> None:
    """
    A name given as a matcher is a name, and milliseconds survive.
    """
    found = selectors('rate(x{a!="b"}[500ms]) + {__name__="y"} + {__name__=~"z.*"}')

    assert [(each.name, each.range_ms) for each in found] == [("x", 500), ("y", None), (None, None)]
    assert found[0].matchers == (("a", "!=", "b"),)


_REFUSED = {
    "sum(x[5m)": "line 1, column 9: ')' closes nothing\n    sum(x[5m)\n            ^",
    "x[5m": "line 1, column 2: '[' is not closed\n    x[5m\n     ^",
    'x{a="b}': 'line 1, column 5: the string that opens with " is not closed\n    x{a="b}\n        ^',
    "x > €": "line 1, column 5: unexpected character '€'\n    x > €\n        ^",
    "x >\n  Rate(y[5m])": "line 2, column 3: unknown function with name 'Rate'\n      Rate(y[5m])\n      ^^^^",
    "x[83.33ms]": "line 1, column 2: a range is one duration, or range and step as [1h:1m]\n    x[83.33ms]\n     ^",
    "x[5m*2]": "line 1, column 2: a range is one duration, or range and step as [1h:1m]\n    x[5m*2]\n     ^",
    "x[5s1m]": "line 1, column 3: '5s1m' is not a duration (like 500ms, 30s, 1h30m)\n    x[5s1m]\n      ^^^^",
    "x[300y]": "line 1, column 3: '300y' is longer than Prometheus can hold (292 years)\n    x[300y]\n      ^^^^",
    "x[0.0005]": "line 1, column 3: '0.0005' seconds are not whole milliseconds\n    x[0.0005]\n      ^^^^^^",
    "": "line 1, column 1: no expression found in input\n    \n    ^",
}


@pytest.mark.parametrize("expr", _REFUSED)
def test_a_refusal_says_where_and_why(expr: str) -> None:
    """
    Each refusal carries line, column, reason and a caret.
    """
    with pytest.raises(PromqlError) as refused:
        parse(expr)

    assert str(refused.value) == _REFUSED[expr]


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ("(" * 10_000 + "x" + ")" * 10_000, f"the expression has 20001 characters, more than the {MAX_LENGTH}"),
        ("(" * 5_000 + "x" + ")" * 5_000, f"nested deeper than the {MAX_DEPTH} levels"),
        ("abs(" * 100 + "x" + ")" * 100, f"nested deeper than the {MAX_DEPTH} levels"),
        (" or ".join(["x"] * 3_000), f"more than {MAX_OPERATORS} operators"),
        ("-" * 10_000 + "x", f"more than {MAX_OPERATORS} operators"),
        ("x + " * 1_250_000 + "x", f"the expression has 5000001 characters, more than the {MAX_LENGTH}"),
        ('x{a="' + "b" * 5_000_000 + '"}', f"the expression has 5000007 characters, more than the {MAX_LENGTH}"),
    ],
    ids=["10 000 parentheses", "5 000 parentheses", "100 calls", "3 000 terms", "10 000 signs", "5 MB", "5 MB string"],
)
def test_what_would_end_the_process_is_refused_quickly(expr: str, reason: str) -> None:
    """
    Depth, length and number of operators are measured before the parser is asked.
    """
    began = time.monotonic()
    with pytest.raises(PromqlError) as refused:
        parse(expr)
    took = time.monotonic() - began

    assert refused.value.message.startswith(reason)
    assert len(str(refused.value)) < 1_000
    assert took < 1


def test_what_lies_just_within_the_limits_is_understood() -> None:
    """
    The limits refuse nothing that they allow.
    """
    deep = "(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH
    wide = " or ".join(["x"] * (MAX_OPERATORS + 1))

    assert names(deep) == ("x",)
    assert names(wide) == ("x",)


@settings(max_examples=40)
@given(st.recursive(st.sampled_from(["x", "y[5m:1m]", "1"]), lambda inner: inner.map(lambda each: f"({each})")))
def test_parentheses_are_kept_in_the_shape(expr: str) -> None:
    """
    Two expressions of one shape differ only in white space and comments.
    """
    assert shape(expr) == shape(f" {expr} # same")
    assert shape(expr) != shape(f"({expr})")


def test_a_printed_block_is_split_into_its_queries() -> None:
    """
    A document's block holds several LogQL queries, each under its comment; Loki would refuse the block.
    """
    block = '# Loki queries\n\n# All errors\n{a="b"} |= "ERROR"\n\n# Slow\n{a="b"}\n  | json\n  | ms > 5\n'

    found = [(each.title, each.text, each.line) for each in logql.queries(block)]

    assert found == [("All errors", '{a="b"} |= "ERROR"', 4), ("Slow", '{a="b"}\n  | json\n  | ms > 5', 7)]
