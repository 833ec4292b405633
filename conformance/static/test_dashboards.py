"""The dashboards ask for what exists, in the right way, and draw lines where alerts stand; no stack is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import boards
from conformance.contract import load
from conformance.contract.parse import ContractError
from conformance.simulate import boardlint
from conformance.simulate.lint import Diagnostic, Weight

_ROOT = Path(__file__).parents[2]
_SHIPPED = _ROOT / "dashboards"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test for each file, so that each is told by itself; a folder without one is told as a whole."""
    if "said" in metafunc.fixturenames:
        option = metafunc.config.option
        folder = option.dashboards or _SHIPPED
        found = _findings(folder, option.contract, option.rules)
        read, _ = boardlint.read(boards.near(folder))
        files = dict.fromkeys((*(each.file for each in read), *(each.file for each in found)))
        errors = {
            name: [each.text() for each in found if (each.file, each.weight) == (name, Weight.ERROR)] for name in files
        }
        metafunc.parametrize("said", [pytest.param("\n".join(said), id=name) for name, said in errors.items()])


def _findings(folder: Path, contract: Path | None = None, rules: Path | None = None) -> tuple[Diagnostic, ...]:
    try:
        return boards.findings([folder], contract=contract or load.SHIPPED, rules=rules or _ROOT / "rules")
    except ContractError as error:
        raise pytest.Collector.CollectError(str(error)) from None


def test_a_dashboard_has_no_error(said: str) -> None:
    """
    Every query parses and asks for known metrics and labels in the right way; ids, units, links and lines are sound.
    """
    if said:
        pytest.fail(said, pytrace=False)


def test_the_shipped_dashboards_have_no_warning() -> None:
    """
    Nothing in the shipped dashboards misleads.
    """
    said = "\n".join(each.text() for each in _findings(_SHIPPED) if each.weight is Weight.WARNING)

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
