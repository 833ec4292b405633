"""Judges of dashboards over a recorded run: each panel can be broken, and for the right reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.charts import panel_charts
from conformance.contract.load import load
from conformance.judge import dashboards
from conformance.judge.verdict import Status
from conformance.selftest.boards_recording import recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.judge.verdict import Verdict
    from conformance.timeline.boards import Asked, BoardsSeen
    from conformance.timeline.model import Timeline

    Bend = Callable[[Asked], Asked]

CONTRACT = load()
CLAUSES = tuple(panel.clause_id for panel in CONTRACT.panels)


def judge(clause: str, timeline: Timeline) -> Verdict:
    return dashboards.shows(CONTRACT.panel(clause), CONTRACT, timeline, calm="calm", fault="fault")


def seen(timeline: Timeline) -> BoardsSeen:
    assert timeline.boards is not None
    return timeline.boards


def answered(clause: str, bend: Bend, timeline: Timeline | None = None) -> Timeline:
    """The recorded run with the answers to one panel's queries bent."""
    timeline = timeline or recorded()
    promise = CONTRACT.panel(clause)
    own = (f"{promise.board}.json", promise.title)
    asked = tuple(bend(each) if (each.board, each.panel) == own else each for each in seen(timeline).asked)
    return replace(timeline, boards=replace(seen(timeline), asked=asked))


def drawn(clause: str, bend: Callable[[dict[str, Any]], None]) -> Timeline:
    """The recorded run with one panel drawn otherwise: `bend` changes its JSON."""
    promise, timeline = CONTRACT.panel(clause), recorded()
    file = f"{promise.board}.json"
    board = json.loads(seen(timeline).files[file])
    bend(next(each for each in board["panels"] if each["title"] == promise.title))
    files = {**seen(timeline).files, file: json.dumps(board, indent=2)}
    return replace(timeline, boards=replace(seen(timeline), files=files))


def times(factor: float) -> Bend:
    """Every value multiplied."""

    def bend(asked: Asked) -> Asked:
        series = tuple(
            replace(each, points=tuple((at, None if value is None else value * factor) for at, value in each.points))
            for each in asked.series
        )
        return replace(asked, series=series, lines=None if asked.lines is None else round(asked.lines * factor))

    return bend


def constant(asked: Asked) -> Asked:
    """Every line stands still where it began."""
    series = tuple(replace(each, points=tuple((at, 1.0) for at, _ in each.points)) for each in asked.series)
    return replace(asked, series=series, lines=None if asked.lines is None else 1)


def empty(asked: Asked) -> Asked:
    return replace(asked, series=(), lines=None if asked.lines is None else 0)


def relabelled(old: str, new: str) -> Bend:
    """Two agents swapped."""

    def bend(asked: Asked) -> Asked:
        names = {old: new, new: old}
        return replace(
            asked,
            series=tuple(
                replace(each, labels={key: names.get(value, value) for key, value in each.labels.items()})
                for each in asked.series
            ),
        )

    return bend


@pytest.mark.parametrize("clause", CLAUSES)
def test_the_recorded_run_holds(clause: str) -> None:
    """
    What was seen in a real run keeps every promise.
    """
    verdict = judge(clause, recorded())

    assert verdict.status is Status.HOLDS, verdict.text()
    assert verdict.observations > 0


@pytest.mark.parametrize("clause", CLAUSES)
@pytest.mark.parametrize(("name", "bend"), [("doubled", times(2)), ("constant", constant), ("empty", empty)])
def test_a_panel_that_shows_something_else_is_broken(clause: str, name: str, bend: Bend) -> None:
    """
    Twice the value, a value that never changes, and nothing at all are each broken, on that panel only.
    """
    bent = answered(clause, bend)

    verdict = judge(clause, bent)
    others = {each: judge(each, bent).status for each in CLAUSES if each != clause}
    assert verdict.status is Status.BROKEN, f"{name}: {verdict.text()}"
    assert "does not show what happened" in verdict.reason
    assert set(others.values()) == {Status.HOLDS}


@dataclass(frozen=True)
class Drawn:
    """A panel drawn otherwise, and the words that are to be said of it."""

    clause: str
    says: str
    bend: Callable[[dict[str, Any]], None]


def unit(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda panel: panel["fieldConfig"]["defaults"].update(unit=name)


def hidden(panel: dict[str, Any]) -> None:
    panel["targets"][0]["hide"] = True


def override(matcher: dict[str, Any], *properties: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    rule = {"matcher": matcher, "properties": list(properties)}
    return lambda panel: panel["fieldConfig"]["overrides"].append(rule)


HIDE = {"id": "custom.hideFrom", "value": {"viz": True, "legend": True, "tooltip": True}}
DRAWN = {
    "seconds as milliseconds": Drawn("dashboard/overview/average-response-time", " s for Average response", unit("ms")),
    "bytes as percent": Drawn("dashboard/system/memory-usage-by-service", "does not fit bytes", unit("percent")),
    "ratio as percent of a hundred": Drawn("dashboard/agents/success-rate-by-agent", "1 ratio", unit("percent")),
    "dollars as euros": Drawn("dashboard/costs/llm-api-costs", "currencyUSD", unit("currencyEUR")),
    "dollars as nothing": Drawn("dashboard/costs/cost-per-agent", "no unit", unit("")),
    "bytes as bits": Drawn("dashboard/system/network-throughput", "does not show what happened", unit("bps")),
    "the query hidden": Drawn("dashboard/overview/error-rate", "its queries are hidden (A)", hidden),
    "one of two queries hidden": Drawn("dashboard/costs/daily-monthly-projections", "per day", hidden),
    "an agent hidden": Drawn(
        "dashboard/agents/executions-per-agent",
        "for librarian",
        override({"id": "byName", "options": "librarian"}, HIDE),
    ),
    "all agents but one hidden": Drawn(
        "dashboard/agents/token-usage-by-agent",
        "for boot_hardening",
        override({"id": "byNames", "options": {"mode": "exclude", "names": ["librarian"]}}, HIDE),
    ),
    "an agent under another name": Drawn(
        "dashboard/agents/average-execution-time",
        "also 'Librarian': did you mean 'librarian'?",
        override({"id": "byName", "options": "librarian"}, {"id": "displayName", "value": "Librarian"}),
    ),
    "one name for all agents": Drawn(
        "dashboard/costs/cost-per-agent",
        "4 lines are called 'cost'",
        lambda panel: panel["targets"][0].update(legendFormat="cost"),
    ),
    "another title": Drawn(
        "dashboard/database/slow-queries",
        "has no panel 'Slow queries'",
        lambda panel: panel.update(title="Slow query"),
    ),
}


@pytest.mark.parametrize("case", [pytest.param(each, id=name) for name, each in DRAWN.items()])
def test_a_panel_that_is_drawn_otherwise_is_broken(case: Drawn) -> None:
    """
    A unit that does not fit, a line that is hidden or called otherwise, a title that is gone: told with the reason.
    """
    bent = drawn(case.clause, case.bend)

    verdict = judge(case.clause, bent)
    assert verdict.status is Status.BROKEN, verdict.text()
    assert case.says in verdict.text()
    assert {judge(each, bent).status for each in CLAUSES if each != case.clause} == {Status.HOLDS}


@pytest.mark.parametrize(
    "clause",
    [each for each in CLAUSES if each.startswith("dashboard/agents/")] + ["dashboard/costs/cost-per-agent"],
)
def test_agents_that_are_confused_are_told(clause: str) -> None:
    """
    Two agents that stand under each other's name are broken; so is one that lacks.
    """
    swapped = answered(clause, relabelled("daily_brief", "librarian"))
    lacking = answered(
        clause,
        lambda asked: replace(asked, series=tuple(s for s in asked.series if s.labels.get("agent") != "librarian")),
    )

    assert judge(clause, swapped).status is Status.BROKEN
    assert "librarian" in judge(clause, lacking).text()


@pytest.mark.parametrize("clause", [each.clause_id for each in CONTRACT.panels if each.lines])
def test_lines_are_called_what_the_contract_calls_them(clause: str) -> None:
    """
    A contract that calls them otherwise is not kept by dashboards that do not.
    """
    promise = CONTRACT.panel(clause)
    swapped = replace(promise, lines=promise.lines[::-1])
    renamed = replace(promise, lines=(f"{promise.lines[0]}!", *promise.lines[1:]))
    verdicts = {
        each.lines: dashboards.shows(each, CONTRACT, recorded(), calm="calm", fault="fault")
        for each in (promise, swapped, renamed)
    }

    assert [each.status for each in verdicts.values()] == [Status.HOLDS, Status.BROKEN, Status.BROKEN]
    assert f"did you mean '{promise.lines[0]}!'?" in verdicts[renamed.lines].text()


def test_a_variable_without_values_breaks_the_panels_that_use_it() -> None:
    """
    Every panel with the variable is broken, and none without.
    """
    variables = {**seen(recorded()).variables, "overview.json": {"agent": ()}}
    bent = replace(recorded(), boards=replace(seen(recorded()), variables=variables))

    verdict = judge("dashboard/overview/error-rate", bent)
    assert verdict.status is Status.BROKEN
    assert "variable 'agent' offers no value" in verdict.reason
    assert judge("dashboard/overview/active-users", bent).status is Status.HOLDS


def test_a_query_that_is_refused_is_broken_with_what_was_said() -> None:
    """
    What the backend refuses is no empty panel: its words are told.
    """
    clause = "dashboard/database/query-rate"
    bent = answered(clause, lambda asked: replace(asked, series=(), error="parse error: unexpected right brace"))

    assert "unexpected right brace" in judge(clause, bent).text()


@pytest.mark.parametrize(
    ("says", "bend"),
    [
        ("the dashboards were not asked", lambda timeline: replace(timeline, boards=None)),
        ("loki: gone", lambda timeline: replace(timeline, boards=replace(seen(timeline), troubles=("loki: gone",)))),
        ("was not performed to its end", lambda timeline: replace(timeline, interrupted="it was broken off")),
    ],
)
def test_without_its_premises_nothing_is_proven(says: str, bend: Callable[[Timeline], Timeline]) -> None:
    """
    What was not asked, or not answered, or not performed, is unproven on every panel.
    """
    verdicts = [judge(clause, bend(recorded())) for clause in CLAUSES]

    assert {each.status for each in verdicts} == {Status.UNPROVEN}
    assert all(says in each.reason for each in verdicts)


@pytest.mark.parametrize(("others", "status"), [((1.0,), Status.HOLDS), ((1.0, 2.0), Status.UNPROVEN)])
def test_a_card_that_comes_or_goes_leaves_the_network_open(others: tuple[float, ...], status: Status) -> None:
    """
    The sum over all cards of a machine is no sum any more when another run brings one and takes it away.
    """
    sights = seen(recorded()).witnessed
    half = len(sights) // 2
    bent = tuple(
        replace(each, figures={**each.figures, "cards": others[0 if number < half else -1]})
        for number, each in enumerate(sights)
    )
    timeline = replace(recorded(), boards=replace(seen(recorded()), witnessed=bent))

    verdict = dashboards.shows(
        load().panel("dashboard/system/network-throughput"), load(), timeline, calm="calm", fault="fault"
    )

    assert verdict.status is status, verdict.text()


def test_a_world_that_nobody_saw_proves_nothing() -> None:
    """
    Without a look behind the exporters their panels are unproven, and those of clients hold.
    """
    blind = tuple(replace(each, figures={}, error="no answer") for each in seen(recorded()).witnessed)
    bent = replace(recorded(), boards=replace(seen(recorded()), witnessed=blind))

    verdict = judge("dashboard/database/query-rate", bent)
    assert verdict.status is Status.UNPROVEN
    assert "no answer" in verdict.reason
    assert judge("dashboard/agents/executions-per-agent", bent).status is Status.HOLDS


def test_a_world_that_stood_still_proves_nothing() -> None:
    """
    Where both phases were alike a constant would do: unproven, with what was to be seen.
    """
    clause = "dashboard/overview/error-rate"
    calm = [each for each in seen(recorded()).asked if each.phase == "calm"]
    bent = replace(
        recorded(),
        boards=replace(seen(recorded()), asked=(*calm, *(replace(each, phase="fault") for each in calm))),
    )

    verdict = judge(clause, bent)
    assert verdict.status is Status.UNPROVEN
    assert "did not move enough to tell a constant" in verdict.reason


def test_a_missing_dashboard_is_broken_with_the_near_miss() -> None:
    """
    The file that was probably meant is named.
    """
    files = {name.replace("agents", "agent"): text for name, text in seen(recorded()).files.items()}
    bent = replace(recorded(), boards=replace(seen(recorded()), files=files))

    verdict = judge("dashboard/agents/success-rate-by-agent", bent)
    assert verdict.status is Status.BROKEN
    assert "there is no dashboard agents.json; did you mean agent.json?" in verdict.reason


def test_panels_without_a_promise_are_named() -> None:
    """
    A panel that the contract says nothing of is reported; the shipped dashboards have none.
    """
    bent = drawn("dashboard/overview/active-users", lambda panel: panel.update(title="Passive users"))

    assert dashboards.unknown(CONTRACT, recorded()) == ()
    assert dashboards.unknown(CONTRACT, bent) == ("overview.json: Passive users",)


def test_each_panel_has_a_picture_in_the_document_s_unit() -> None:
    """
    Every panel is charted with its phases, a gap between them, and the thresholds that it has.
    """
    charts = {each.about: each for each in panel_charts(CONTRACT, {"dashboards": recorded()})}

    assert list(charts) == list(CLAUSES)
    errors = charts["dashboard/overview/error-rate"]
    assert [level.value for level in errors.levels] == [0.1]
    assert [band.label for band in errors.bands] == ["calm", "fault"]
    assert [value for _, value in errors.lines[0].points].count(None) == 1
    assert {line.name for line in charts["dashboard/costs/daily-monthly-projections"].lines} == {"per day", "per month"}


def test_a_panel_that_cannot_be_drawn_has_no_picture() -> None:
    """
    A unit that does not fit is told by the clause, not drawn.
    """
    bent = drawn("dashboard/costs/llm-api-costs", unit("s"))

    assert "dashboard/costs/llm-api-costs" not in {each.about for each in panel_charts(CONTRACT, {"dashboards": bent})}
