"""A dashboard is read with the place of each part, filled as Grafana fills it, and refused in one clear sentence."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from fixtures.language import boards, json_text
from fixtures.language.boards import ALL, BoardError, Verbatim

MINUTE = timedelta(minutes=1)
BOARD = {
    "uid": "overview",
    "title": "Overview",
    "schemaVersion": 41,
    "templating": {
        "list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {"value": "prom"}},
            {
                "name": "agent",
                "type": "query",
                "query": {"query": "label_values(requests_total, agent)", "refId": "A"},
                "includeAll": True,
                "multi": True,
                "current": {"value": [ALL]},
            },
            {"name": "window", "type": "custom", "query": "five : 5m, 1h"},
        ]
    },
    "panels": [
        {
            "id": 1,
            "title": "Rate",
            "type": "timeseries",
            "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "fieldConfig": {
                "defaults": {
                    "unit": "reqps",
                    "thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 0.1}]},
                }
            },
            "targets": [
                {"refId": "A", "expr": 'sum(rate(requests_total{agent=~"$agent"}[5m]))', "legendFormat": "all"},
                {"refId": "B", "expr": "up", "hide": True, "instant": True},
            ],
        },
        {"id": 2, "title": "Details", "type": "row", "panels": [{"id": 3, "title": "Inner", "type": "stat"}]},
    ],
}


def board(text: str | None = None) -> boards.Board:
    return boards.load(json.dumps(BOARD, indent=1) if text is None else text, file="dashboards/overview.json")


def filled(expr: str, **values: str | tuple[str, ...]) -> str:
    return boards.filled(expr, values, interval=MINUTE / 4, rate_interval=MINUTE, range=60 * MINUTE)


def test_a_dashboard_is_read() -> None:
    """
    Panels, also those of a row, with queries, unit, thresholds and variables, are what the file says.
    """
    found = board()

    assert (found.uid, found.title, found.schema) == ("overview", "Overview", 41)
    assert [(each.id, each.title, each.row) for each in found.panels] == [(1, "Rate", ""), (3, "Inner", "Details")]
    rate = found.panel("Rate")
    assert rate.unit == "reqps"
    assert rate.grid == (0, 0, 12, 8)
    assert [(each.value, each.color) for each in rate.steps] == [(None, "green"), (0.1, "red")]
    assert [(each.ref, each.hidden, each.instant, each.range) for each in rate.targets] == [
        ("A", False, False, True),
        ("B", True, True, False),
    ]
    source = rate.source_of(rate.targets[0])
    assert source is not None
    assert (source.type, source.uid) == ("prometheus", "${datasource}")
    assert found.variable("window").values == ("5m", "1h")
    assert found.variable("agent").query == "label_values(requests_total, agent)"
    assert found.variable("agent").chosen(ALL, ("a", "b")) == ("a", "b")


@pytest.mark.parametrize(
    "wrap", [lambda it: {"dashboard": it, "meta": {}}, lambda it: {"apiVersion": "v1beta1", "kind": "D", "spec": it}]
)
def test_a_wrapped_dashboard_is_the_same(wrap: object) -> None:
    """
    What the API and the resource form put around a dashboard changes nothing.
    """
    assert callable(wrap)
    assert board(json.dumps(wrap(BOARD), indent=1)).panels == board().panels


def test_rows_of_old_files_are_read() -> None:
    """
    A file older than schema 16 has its panels in rows, and units at their axes.
    """
    old = {"rows": [{"title": "R", "panels": [{"title": "P", "type": "graph", "yaxes": [{"format": "ms"}]}]}]}

    found = board(json.dumps(old))

    assert [(each.title, each.row, each.unit) for each in found.panels] == [("P", "R", "ms")]


@pytest.mark.parametrize(
    "escaped", ['up{a=\\"b\\"} + oops', "up{a=\\u0022b\\u0022} + oops", '\\"\\ud83d\\ude00\\" + oops']
)
def test_a_caret_stands_under_the_token_inside_an_escaped_text(escaped: str) -> None:
    """
    Escapes are longer in the file than in the value; the caret follows the file.
    """
    text = '{"panels": [{"targets": [\n  {"expr": "' + escaped + '"}]}]}'
    found = board(text)
    node = found.panels[0].targets[0].expr_node
    start = str(node.value).index("oops")

    error = found.blame(node, "unknown", start, start + 4)

    assert (error.line, error.column) == (2, text.splitlines()[1].index("oops") + 1)
    shown, marks = error.shown.splitlines()
    assert shown[marks.index("^") : marks.rindex("^") + 1] == "oops"


@pytest.mark.parametrize(
    ("text", "said", "at"),
    [
        ("", "is empty", (1, 1)),
        ("nonsense", "nonsense is no JSON value", (1, 1)),
        ('{"panels": [NaN]}', "NaN is no JSON value", (1, 13)),
        ('{"panels": [-Infinity]}', "-Infinity is no JSON value", (1, 13)),
        ('{"panels": [1e999]}', "beyond what a dashboard can hold", (1, 13)),
        ('{"panels": [],\n "panels": []}', "the key 'panels' stands twice in one object, first on line 1", (2, 2)),
        ("\ufeff{}", "byte order mark", (1, 1)),
        ('{"panels": [],}', "a key in double quotes is expected, not '}'", (1, 15)),
        ('{"panels": []} {}', "more than one value", (1, 16)),
        ('{"panels": [', "ends where a value is expected", (1, 12)),
        ('{"panels": "', "the text is not closed", (1, 12)),
        ('{"panels": "\x1b[31m"}', "holds a control character", (1, 13)),
        ('{"panels": ["\\x"]}', "is no escape that JSON knows", (1, 14)),
        ("[" * 5000, "nested deeper than the 100 levels", (1, 102)),
        ("[]", "a dashboard is expected to be an object, not a list", (1, 1)),
        ('{"pannels": []}', "has no list called panels, and 'pannels' is none", (1, 2)),
        ('{"panels": {}}', "panels is expected to be a list, not an object", (1, 12)),
        ('{"panels": [7]}', "each of panels is expected to be an object, not a number", (1, 13)),
        ('{"panels": [{"title": 7}]}', "title is expected to be a text, not a number", (1, 23)),
        ('{"panels": [{"id": 1.5}]}', "id is expected to be a whole number, not 1.5", (1, 20)),
        ('{"apiVersion": "v2", "spec": {"elements": {}}}', "schema v2", (1, 31)),
    ],
)
def test_what_is_no_dashboard_is_one_clear_error(text: str, said: str, at: tuple[int, int]) -> None:
    """
    Hostile and broken files end in one sentence with file, line and column.
    """
    with pytest.raises(BoardError) as caught:
        board(text)

    assert said in caught.value.message
    assert (caught.value.line, caught.value.column) == at
    assert str(caught.value).startswith(f"dashboards/overview.json:{at[0]}:{at[1]}: ")
    assert "\x1b" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    """
    A missing file, a folder, a link to itself, a huge file and one that is no text are told in one sentence each.
    """
    loop, huge, binary = tmp_path / "loop.json", tmp_path / "huge.json", tmp_path / "binary.json"
    loop.symlink_to(loop)
    huge.write_bytes(b" " * (json_text.MAX_BYTES + 1))
    binary.write_bytes(b"{\xff}")
    said = {}
    for path in (tmp_path / "none.json", tmp_path, loop, huge, binary):
        with pytest.raises(BoardError) as caught:
            boards.read(path, file=path.name)
        said[path.name] = caught.value.message

    assert said == {
        "none.json": "No such file or directory",
        tmp_path.name: "Is a directory",
        "loop.json": "Too many levels of symbolic links",
        "huge.json": "has 4000001 bytes, more than the 4000000 that are read",
        "binary.json": "is not UTF-8 at byte 1",
    }


@pytest.mark.parametrize(
    ("expr", "meant"),
    [
        ("rate(x[$__rate_interval])", "rate(x[1m])"),
        ("rate(x[${__interval}])", "rate(x[15s])"),
        ("$__interval_ms $__range $__range_s $__range_ms", "15000 3600s 3600 3600000"),
        ('up{a="$one"}', 'up{a="a.b"}'),
        ('up{a=~"$many"}', 'up{a=~"(a\\\\.b|c)"}'),
        ('up{a=~"${many:regex}"}', 'up{a=~"(a\\.b|c)"}'),
        ('up{a=~"[[many]]"}', 'up{a=~"(a\\\\.b|c)"}'),
        ("${many:pipe} ${many:csv} ${many:raw} ${many:glob}", "a.b|c a.b,c a.b,c {a.b,c}"),
        ("${many:doublequote} ${one:singlequote}", '"a.b","c" \'a.b\''),
        ('up{a=~"$single"}', 'up{a=~"c\\\\+"}'),
        ('up{a=~"$all"}', 'up{a=~".*"}'),
        ('label_replace(up, "a", "$1", "b", "(.*)$")', 'label_replace(up, "a", "$1", "b", "(.*)$")'),
    ],
)
def test_variables_are_put_in_as_grafana_does(expr: str, meant: str) -> None:
    """
    Every spelling of a variable, one value and several, the built-in ones, and dollars that are none.
    """
    assert filled(expr, one="a.b", many=("a.b", "c"), single=("c+",), all=Verbatim(".*")) == meant


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("up{a=~'$agents'}", "no value for the variable 'agents', did you mean 'agent'"),
        ("rate(x[$__rate_intervall])", "no value for the variable '__rate_intervall', did you mean '__rate_interval'"),
        ("${agent:regexp}", "no format 'regexp' for a variable, did you mean 'regex'"),
        ("$none", "the variable 'none' has no value to put in"),
    ],
)
def test_a_variable_without_a_value_is_an_error_with_the_near_miss(expr: str, said: str) -> None:
    """
    Grafana leaves an unknown variable in the query and shows nothing; here it is an error with a caret.
    """
    with pytest.raises(BoardError) as caught:
        filled(expr, agent="a", none=())

    assert caught.value.message == said
    assert "^" in caught.value.shown


def test_a_place_in_a_filled_query_leads_back_to_the_written_one() -> None:
    """
    What stands behind a value that is longer or shorter than its variable is found again, and the value as its use.
    """
    expr = 'rate(x{a=~"$agent"}[$__rate_interval]) / y'
    found = boards.fill(expr, {"agent": ("one", "two")}, interval=MINUTE, rate_interval=MINUTE, range=MINUTE)

    for part in ("rate", "x{", "/ y"):
        start = found.text.index(part)
        first, last = found.origin(start, start + len(part))
        assert expr[first:last] == part
    start = found.text.index("1m")
    first, last = found.origin(start, start + 2)
    assert expr[first:last] == "$__rate_interval"
    assert found.inside_a_value(start, start + 2)
    assert not found.inside_a_value(0, 4)
