"""What is not proven at the first attempt is performed again; what is broken is not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance import plugin
from conformance.contract.load import load
from conformance.selftest.recording import stalled, timelines

if TYPE_CHECKING:
    from conformance.timeline.model import Timeline

SCENARIOS = Path(__file__).parents[1] / "scenarios"


class Collected:
    """What pytest finds below a folder."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = list(session.items)


@cache
def items() -> tuple[pytest.Item, ...]:
    """The tests that a run has."""
    collected = Collected()
    pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", str(SCENARIOS)], plugins=[collected])
    assert collected.items, "there are scenarios"
    return tuple(collected.items)


def doubts(**changed: Timeline) -> dict[str, list[str]]:
    """By program: what is to be performed again, with some of the recorded timelines changed."""
    seen = {**timelines(), **{name.replace("_", "-"): each for name, each in changed.items()}}
    return plugin._doubts(items(), load(), seen)


def test_a_run_that_proves_all_is_not_doubted() -> None:
    """
    The recorded run holds.
    """
    assert doubts() == {}


def test_the_program_alone_that_a_clause_rests_on_is_performed_again() -> None:
    """
    A rung that lies within its slack is unproven; the other rung of the alert is left alone.
    """
    found = doubts(error_rate_above=stalled(timelines()["error-rate-above"], requests=7, seconds=0.4))

    assert set(found) == {"error-rate-above"}
    assert found["error-rate-above"][0].startswith(
        "alert/HighErrorRate/fires-above: the rung 0.11 errors/s lies within"
    )


def test_a_program_of_which_something_is_broken_is_not_performed_again() -> None:
    """
    A second attempt might wash the break away.
    """
    seen = stalled(timelines()["error-rate-above"], requests=7, seconds=0.4)
    wrong = tuple(
        replace(rule, labels={"severity": "page"}) if rule.name == "HighErrorRate" else rule for rule in seen.rules
    )

    assert doubts(error_rate_above=replace(seen, rules=wrong)) == {}


def test_a_replay_that_differs_while_scrapes_hid_evaluations_is_doubted() -> None:
    """
    Of simulation and live stack the program is performed again in which they differ.
    """
    seen = timelines()["service-down"]
    assert seen.replayed is not None
    states = {**seen.replayed.states, "ServiceDown": ()}
    hidden = tuple(replace(each, points=tuple((at, 0.2) for at, _ in each.points)) for each in seen.scrape_durations)
    bent = replace(seen, replayed=replace(seen.replayed, states=states), scrape_durations=hidden)

    found = doubts(service_down=bent)
    assert set(found) == {"service-down"}
    assert found["service-down"][0].startswith("tiers/agree: service-down differs from its replay")
