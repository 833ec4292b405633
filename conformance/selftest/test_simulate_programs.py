from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

import conformance.scenarios
from conformance.contract.load import load
from conformance.contract.model import AlertPromise
from conformance.simulate.effective import Around, Subject, subjects
from conformance.simulate.programs import Simulated, simulate, windows
from conformance.simulate.promtool import Promtool, PromtoolError
from conformance.thresholds import ROOT
from conformance.tiers import KNOWN_BUCKETS
from fixtures.faults.program import Program
from fixtures.language import rules
from fixtures.stack.provision import provide


def _stories() -> dict[str, tuple[Program, str, Mapping[str, str]]]:
    """Each scenario's programs that climb an alert's ladder, with the names of its rungs."""
    found: dict[str, tuple[Program, str, Mapping[str, str]]] = {}
    for module in pkgutil.iter_modules(conformance.scenarios.__path__, "conformance.scenarios."):
        scenario = importlib.import_module(module.name)
        ladder = getattr(scenario, "LADDER", None)
        programs = {each.name: each for each in vars(scenario).values() if isinstance(each, Program)}
        if ladder is None:
            continue
        for name in dict.fromkeys((ladder.below, ladder.above)):
            rungs = {"below": ladder.rung, "control": ladder.control} if name == ladder.below else {}
            rungs |= {"above": ladder.beyond} if name == ladder.above else {}
            found[name] = (programs[name], ladder.alert, rungs)
    return found


STORIES = _stories()


@pytest.fixture(scope="module")
def tool() -> Promtool:
    return Promtool(path=provide(["promtool"])["promtool"].path)


@pytest.fixture(scope="module")
def promises() -> Mapping[str, AlertPromise]:
    return {each.name: each for each in load().alerts}


@pytest.fixture(scope="module")
def around(promises: Mapping[str, AlertPromise]) -> Around:
    environment = {name: value for each in promises.values() for name, value in each.environment.items()}
    return Around(environment=environment, buckets=KNOWN_BUCKETS)


@pytest.fixture(scope="module")
def shipped() -> Mapping[str, Subject]:
    text = (ROOT / "rules/alerts.yml").read_text(encoding="utf-8")
    return {each.rule.name: each for each in subjects([rules.load(text, file="rules/alerts.yml")])}


@pytest.fixture(scope="module")
def lived(
    tool: Promtool, promises: Mapping[str, AlertPromise], shipped: Mapping[str, Subject], around: Around
) -> Mapping[str, Simulated]:
    told = [(program, promises[alert], shipped[alert]) for program, alert, _ in STORIES.values()]
    return {each.program: each for each in simulate(told, tool, around)}


def test_every_alert_has_a_program_that_is_simulated(promises: Mapping[str, AlertPromise]) -> None:
    """
    The simulated tier tells the same stories as the live one, for each documented alert.
    """
    assert {alert for _, alert, _ in STORIES.values()} == set(promises)


@pytest.mark.parametrize("name", STORIES)
def test_the_unmodified_rule_lives_the_program_as_the_documents_say(lived: Mapping[str, Simulated], name: str) -> None:
    """
    Silent on the lower rung, pending in the control, firing on the upper rung, and over before the program is.
    """
    seen, rungs = lived[name], STORIES[name][2]

    if "below" in rungs:
        assert seen.phase(rungs["below"]).firing == ()
        assert seen.phase(rungs["control"]).pending
    if "above" in rungs:
        assert seen.phase(rungs["above"]).firing
        assert seen.phases[-1].end_s not in (*seen.phases[-1].pending, *seen.phases[-1].firing)
        assert seen.waited_s == seen.windows.for_s


@pytest.mark.parametrize("name", [name for name, (program, _, _) in STORIES.items() if program.rungs])
def test_a_rung_is_where_it_claims_to_be_and_lasts_long_enough(lived: Mapping[str, Simulated], name: str) -> None:
    """
    After the reach the measure stands at the rung, and where silence or firing is judged it stands there for the hold.
    """
    seen, rungs = lived[name], STORIES[name][2]

    for phase in seen.phases:
        if phase.rung is None:
            continue
        reached = [value for at, value in phase.measure if at > phase.begin_s + seen.windows.reach_s]
        if "response" not in name:
            # A quantile is told no finer than its buckets are.
            assert reached == pytest.approx([phase.rung] * len(reached), rel=1e-6)
        if phase.name in {rungs.get("below"), rungs.get("above")}:
            assert phase.end_s - phase.begin_s >= seen.windows.reach_s + seen.windows.hold_s - 15


def test_the_windows_follow_from_range_wait_and_intervals() -> None:
    """
    Reach, hold and the band of a state are the sums that they are defined as.
    """
    found = windows("sum(rate(x_total[5m])) > 1", 290, Around())

    assert (found.range_s, found.reach_s, found.for_s, found.hold_s) == (300, 315, 300, 345)
    assert (found.silent_up_to_s, found.fires_from_s) == (285, 330)


def test_a_bent_rule_lives_another_story(
    tool: Promtool, promises: Mapping[str, AlertPromise], shipped: Mapping[str, Subject], around: Around
) -> None:
    """
    A lower number fires on the lower rung, a higher one never, a longer wait later: the simulation can fail.
    """
    below, above = (STORIES[name] for name in ("error-rate-below", "error-rate-above"))
    alert = shipped["HighErrorRate"]

    def bent(expr: str, minutes: int) -> Subject:
        return replace(alert, rule=replace(alert.rule, expr=expr, for_=timedelta(minutes=minutes)))

    low, high, late = simulate(
        [
            (below[0], promises["HighErrorRate"], bent("sum(rate(osmen_errors_total[5m])) > 0.05", 5)),
            (above[0], promises["HighErrorRate"], bent("sum(rate(osmen_errors_total[5m])) > 0.5", 5)),
            (above[0], promises["HighErrorRate"], bent("sum(rate(osmen_errors_total[5m])) > 0.1", 8)),
        ],
        tool,
        around,
    )

    assert low.phase("below").firing
    assert high.waited_s is None
    assert late.waited_s == 480


def test_a_rung_that_has_no_series_is_refused(
    tool: Promtool, promises: Mapping[str, AlertPromise], shipped: Mapping[str, Subject], around: Around
) -> None:
    """
    A measure that says nothing of the carrier is an error, not a silence.
    """
    blind = replace(promises["HighErrorRate"], measure="sum(rate(osmen_errors_total[5m])) * 0")

    with pytest.raises(PromtoolError, match="its rungs have no series"):
        simulate([(STORIES["error-rate-above"][0], blind, shipped["HighErrorRate"])], tool, around)
