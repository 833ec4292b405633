"""What is not proven at the first attempt is performed again; what is broken is not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from conformance import plugin
from conformance.contract.load import load
from conformance.perform import Foreseen, worth_another
from conformance.scenarios import test_error_rate
from conformance.selftest.recording import stalled, timelines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def foreseen(**changed: Timeline) -> Foreseen:
    """What the tests would say, with some of the recorded timelines changed."""
    seen = {**timelines(), **{name.replace("_", "-"): each for name, each in changed.items()}}
    return plugin._foresee(items(), load(), seen)


def doubts(**changed: Timeline) -> Mapping[str, Sequence[str]]:
    """By program: what is to be performed again, with some of the recorded timelines changed."""
    return foreseen(**changed).doubts


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

    found = foreseen(error_rate_above=replace(seen, rules=wrong))

    assert found.doubts == {}
    assert set(found.firm) == {"error-rate-above"}
    assert found.firm["error-rate-above"][0].startswith("alert/HighErrorRate/shipped was broken: ")


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


def test_what_seemed_broken_while_a_premise_failed_is_told_with_it() -> None:
    """
    Premises failed: all of it was unproven, and is performed again; premises met: what was broken stays so.
    """
    seen = timelines()["error-rate-above"]
    failed = replace(seen, interrupted="a stall")
    program = test_error_rate.ABOVE
    doubt, firm = {program.name: ["x: late"]}, {program.name: ["y was broken: z"]}

    assert worth_another(program, seen, (), Foreseen()) == ()
    assert worth_another(program, seen, (), Foreseen(doubts=doubt)) == ("x: late",)
    assert worth_another(program, seen, (), Foreseen(doubts=doubt, firm=firm)) == ()
    assert len(plain := worth_another(program, failed, (), Foreseen())) > 0
    assert worth_another(program, failed, (), Foreseen(firm=firm)) == (*plain, "meanwhile y was broken: z")


@pytest.mark.parametrize(
    ("left_out", "arguments", "deselected", "part"),
    [
        ("", ("conformance/scenarios",), False, False),
        ("test_service_lost.py", ("conformance/scenarios",), False, True),
        ("", ("conformance/scenarios/test_memory.py::test_x",), False, True),
        ("", ("conformance/scenarios",), True, True),
    ],
)
def test_a_run_without_one_of_its_tests_is_a_selection(
    left_out: str, arguments: tuple[str, ...], deselected: bool, part: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Also where each of its clauses is still told by another test, a file that is ignored or a test that is not chosen.
    """
    monkeypatch.setattr(plugin, "tested_files", lambda: set(SCENARIOS.glob("test_*.py")))
    stash = pytest.Stash()
    stash[plugin.LEFT_OUT] = deselected
    session = SimpleNamespace(config=SimpleNamespace(args=arguments, stash=stash))
    live = [each for each in items() if each.path.name != left_out]

    assert plugin._a_part(cast("pytest.Session", session), live) is part


def test_every_file_of_clauses_is_known() -> None:
    """
    Those of the steady load and each story.
    """
    names = {each.name for each in plugin.tested_files()}

    assert {"test_metrics.py", "test_service_lost.py", "test_routes.py"} <= names
