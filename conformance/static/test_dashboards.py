"""The dashboards ask for what exists, in the right way, and draw lines where alerts stand; no stack is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import boards
from conformance.contract import load
from conformance.simulate import boardlint
from conformance.simulate.lint import Weight

_ROOT = Path(__file__).parents[2]
_SHIPPED = _ROOT / "dashboards"


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder that `--dashboards` names, else the checkout's."""
    return request.config.option.dashboards or _SHIPPED


def _said(folder: Path, request: pytest.FixtureRequest, weight: Weight) -> str:
    option = request.config.option
    found = boards.findings(
        [folder], contract=option.contract or load.SHIPPED, rules=option.rules or _ROOT / "rules"
    )
    return "\n".join(each.text() for each in found if each.weight is weight)


def test_no_dashboard_has_an_error(folder: Path, request: pytest.FixtureRequest) -> None:
    """
    Every query parses and asks for known metrics and labels in the right way; ids, units, links and lines are sound.
    """
    said = _said(folder, request, Weight.ERROR)

    assert not said, f"\n{said}"


def test_the_shipped_dashboards_have_no_warning(request: pytest.FixtureRequest) -> None:
    """
    Nothing in the shipped dashboards misleads.
    """
    said = _said(_SHIPPED, request, Weight.WARNING)

    assert not said, f"\n{said}"


def test_there_are_five_dashboards_with_the_guides_twenty_panels() -> None:
    """
    What is checked is there: the guide's headings and panels by name (lines 135-163).
    """
    found, wrong = boardlint.read(_SHIPPED)

    named = {board.uid.removeprefix("osmen-"): [panel.title for panel in board.panels] for board in found}

    assert wrong == ()
    for name, titles in _GUIDE.items():
        assert set(titles) <= set(named[name])


_GUIDE = {
    "overview": ["Total requests/sec", "Error rate", "Average response time", "Active users"],
    "agents": ["Executions per agent", "Average execution time", "Success rate by agent", "Token usage by agent"],
    "system": ["CPU usage by service", "Memory usage by service", "Disk I/O", "Network throughput"],
    "database": ["Query rate", "Connection pool usage", "Slow queries", "Cache hit rate"],
    "costs": ["LLM API costs", "Token usage trends", "Cost per agent", "Daily/monthly projections"],
}
