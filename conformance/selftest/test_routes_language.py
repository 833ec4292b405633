"""Alertmanager's routing tree as it is read here and as Alertmanager's own tool reads it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from conformance.simulate.judge_mutants import Routes
from fixtures.language import routes
from fixtures.stack.provision import provide

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED = (Path(__file__).parents[2] / "rules" / "alertmanager.yml").read_text(encoding="utf-8")
TREE = """
route:
  receiver: root
  routes:
    - matchers: ['severity=~"critical|page"', 'team != "b"']
      receiver: one
      continue: true
      routes:
        - match: {team: a}
          receiver: deep
        - matchers: ['{team=~".+", cluster !~ "x.*"}']
    - match_re: {severity: crit.*}
      receiver: two
    - matchers: ['severity=~"warn\\w+"', 'team=~\\w']
    - matchers: ['cluster="x,y"']
      receiver: three
receivers: [{name: root}, {name: one}, {name: deep}, {name: two}, {name: three}]
"""
VALUES = {
    "severity": ("", "critical", "page", "warning", "acritical"),
    "team": ("", "a", "b", "c"),
    "cluster": ("", "x", "xy", "z"),
}


@pytest.fixture(scope="module")
def amtool() -> Path:
    """
    Alertmanager's tool.
    """
    return provide(["amtool"])["amtool"].path


def every() -> list[Mapping[str, str]]:
    """Labels in all combinations; one that is empty is absent."""
    return [
        {name: value for name, value in zip(VALUES, values, strict=True) if value}
        for values in product(*VALUES.values())
    ]


@pytest.mark.parametrize("text", [SHIPPED, TREE], ids=["shipped", "made"])
def test_labels_lead_where_alertmanager_leads_them(text: str, amtool: Path) -> None:
    """
    The same receivers, in the same order, for labels in all combinations.
    """
    tree, tool = routes.read(yaml.safe_load(text)["route"]), Routes(amtool=amtool, text=text)
    asked = every()[::7] if text == SHIPPED else every()

    assert [tree.reached(labels) for labels in asked] == [tool.receivers(labels) for labels in asked]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("severity=critical", ("severity", "=", "critical")),
        (' severity =~ "a|b" ', ("severity", "=~", "a|b")),
        ('"quoted label"!="x\\"y"', ("quoted label", "!=", 'x"y')),
        ("team!~b.*", ("team", "!~", "b.*")),
        ('empty=""', ("empty", "=", "")),
        (r'severity=~"crit\w+\."', ("severity", "=~", r"crit\w+\.")),
    ],
)
def test_a_matcher_is_read_however_it_is_written(text: str, parts: tuple[str, str, str]) -> None:
    """
    With and without quotes and spaces.
    """
    found = routes.matcher(text)

    assert (found.label, found.how, found.value) == parts


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"matchers": ["severity"]}, "'severity' is no matcher"),
        ({"matchers": ['severity=~"("']}, 'severity=~"(": '),
        ({"matchers": ['severity=~"[[:alpha:]]"']}, 'severity=~"[[:alpha:]]": '),
        ({"routes": ["x"]}, "'x' is no route"),
    ],
)
def test_what_cannot_be_read_is_quoted(route: dict[str, object], said: str) -> None:
    """
    One sentence with the text that is wrong.
    """
    with pytest.raises(routes.RoutesError) as caught:
        routes.read(route)

    assert str(caught.value).startswith(said)
