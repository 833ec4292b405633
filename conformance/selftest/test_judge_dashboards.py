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
    promise = CONTRACT.panel(clause)
    return kept(
        promise.board, lambda board: bend(next(each for each in board["panels"] if each["title"] == promise.title))
    )


def kept(name: str, bend: Callable[[dict[str, Any]], None]) -> Timeline:
    """The recorded run with one dashboard in another file: `bend` changes its JSON."""
    timeline, file = recorded(), f"{name}.json"
    board = json.loads(seen(timeline).files[file])
    bend(board)
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


def given(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda panel: panel.update(fields)


def axis(**ends: object) -> Callable[[dict[str, Any]], None]:
    return lambda panel: panel["fieldConfig"]["defaults"].update(ends)


def custom(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda panel: panel["fieldConfig"]["defaults"]["custom"].update(fields)


def both(*bends: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def bend(panel: dict[str, Any]) -> None:
        for each in bends:
            each(panel)

    return bend


def query(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda panel: panel["targets"][0].update(fields)


def override(matcher: dict[str, Any], *properties: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    rule = {"matcher": matcher, "properties": list(properties)}
    return lambda panel: panel["fieldConfig"]["overrides"].append(rule)


def transformed(options: dict[str, Any], **fields: object) -> Callable[[dict[str, Any]], None]:
    """Lines filtered by name."""
    return given(transformations=[{"id": "filterFieldsByName", "options": options, **fields}])


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
    "an agent filtered out": Drawn(
        "dashboard/agents/success-rate-by-agent",
        "for boot_hardening",
        transformed({"exclude": {"names": ["boot_hardening"]}}),
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


ERRORS, POOL = "dashboard/overview/error-rate", "dashboard/database/connection-pool-usage"
NETWORK = "dashboard/system/network-throughput"
UNDRAWN = custom(thresholdsStyle={"mode": "off"})


@dataclass(frozen=True)
class Formed:
    """A panel whose form is bent: the field at which that is found, and the words that are to be said of it."""

    clause: str
    field: str
    says: tuple[str, ...]
    bend: Callable[[dict[str, Any]], None]
    answers: Bend = lambda asked: asked


FORMED = {
    "an hour ago": Formed(
        ERRORS, "timeShift", ("timeShift '1h'", "the time that the dashboard shows"), given(timeShift="1h")
    ),
    "today": Formed(
        ERRORS, "timeFrom", ("timeFrom 'now/d'", "shows another time than its dashboard"), given(timeFrom="now/d")
    ),
    "lines of yesterday": Formed(
        "dashboard/overview/errors-in-the-log", "timeShift", ("timeShift '1d/d'",), given(timeShift="1d/d")
    ),
    "dollars of an hour": Formed("dashboard/costs/llm-api-costs", "timeFrom", ("timeFrom '1h'",), given(timeFrom="1h")),
    "a point in five minutes": Formed(
        ERRORS, "interval", ("interval '5m'", "a point every 1m", "4 scrapes, 15s apart"), given(interval="5m")
    ),
    "a query's own point in five minutes": Formed(
        "dashboard/agents/success-rate-by-agent", "interval", ("interval '>5m'",), query(interval=">5m")
    ),
    "half a pool": Formed(POOL, "max", ("an axis that reaches the line at 0.9", "max 0.5"), axis(max=0.5)),
    "half a pool and no line": Formed(
        POOL,
        "max",
        ("does not show what happened", "ratio for Connection pool usage in the picture", "the axis ends at max 0.5"),
        both(axis(max=0.5), UNDRAWN),
    ),
    "the upper half of a pool": Formed(POOL, "min", ("the axis ends at min 0.5",), axis(min=0.5)),
    "a second in milliseconds": Formed(
        "dashboard/agents/average-execution-time",
        "max",
        ("the axis ends at max 1000",),
        axis(unit="ms", max=1000),
        answers=times(1000),
    ),
    "one line of two": Formed(
        NETWORK,
        "value",
        ("the axis ends at max 10", "for sent"),
        override({"id": "byName", "options": "sent"}, {"id": "max", "value": 10}),
    ),
}


@pytest.mark.parametrize("case", [pytest.param(each, id=name) for name, each in FORMED.items()])
def test_a_panel_whose_form_shows_something_else_is_broken(case: Formed) -> None:
    """
    Another time, points too far apart, an axis that ends before what was there: told at the field's place.
    """
    bent = answered(case.clause, case.answers, drawn(case.clause, case.bend))

    verdict = judge(case.clause, bent)
    assert verdict.status is Status.BROKEN, verdict.text()
    assert [each for each in case.says if each not in verdict.text()] == []
    file, line, column = verdict.findings[0].location.split(":")
    written = seen(bent).files[file].splitlines()[int(line) - 1]
    assert written[: int(column) - 1].strip() == f'"{case.field}":'
    assert {judge(each, bent).status for each in CLAUSES if each != case.clause} == {Status.HOLDS}


@pytest.mark.parametrize(
    ("clause", "bend"),
    [
        (ERRORS, given(timeShift=None, timeFrom="", interval="")),
        (ERRORS, given(timeShift="0h", timeFrom="$shift")),
        (ERRORS, given(interval="1m", maxDataPoints=500)),
        (ERRORS, given(interval="$__interval")),
        # A query's own least step counts before its panel's.
        (ERRORS, both(given(interval="5m"), query(interval="15s"))),
        # What is asked once for the whole range has no points that could be far apart.
        ("dashboard/costs/llm-api-costs", given(interval="1h")),
        ("dashboard/overview/errors-in-the-log", given(interval="1h")),
        # What prints one figure draws no point.
        (ERRORS, given(interval="5m", type="stat")),
        (POOL, axis(max=0.9)),
        (POOL, axis(max=None, min=None)),
        # A soft end gives way.
        (POOL, both(axis(max=None), custom(axisSoftMax=0.1))),
        (POOL, both(axis(max=0.8), UNDRAWN)),
        # Steps in percent are shares of the axis, wherever it ends.
        (
            POOL,
            both(axis(max=0.8), lambda panel: panel["fieldConfig"]["defaults"]["thresholds"].update(mode="percentage")),
        ),
        # The line's own end counts.
        (POOL, both(axis(max=0.5), override({"id": "byName", "options": "in use"}, {"id": "max", "value": 1}))),
        # Lines on top of each other, or upside down, are drawn elsewhere than at their values.
        (NETWORK, both(axis(max=10), custom(stacking={"mode": "normal"}))),
        (NETWORK, both(axis(min=None, max=0), custom(transform="negative-Y"))),
        # Beside a bar stands its figure, wherever the bar ends.
        ("dashboard/agents/token-usage-by-agent", axis(max=1)),
    ],
)
def test_a_form_that_hides_nothing_holds(clause: str, bend: Callable[[dict[str, Any]], None]) -> None:
    """
    A soft end, an end at what was there, a time that is none and a step of a minute keep the promise.
    """
    verdict = judge(clause, drawn(clause, bend))

    assert verdict.status is Status.HOLDS, verdict.text()


@pytest.mark.parametrize(
    ("status", "bend"),
    [
        # Nothing is called so, and what is switched off takes nothing away.
        (Status.HOLDS, transformed({"exclude": {"names": ["nobody"]}})),
        (Status.HOLDS, transformed({"exclude": {"names": ["librarian"]}}, disabled=True)),
        # What takes anything else away, or only of one query, is not played here.
        (Status.UNPROVEN, transformed({"include": {"names": ["librarian"]}})),
        (Status.UNPROVEN, transformed({"exclude": {"pattern": "/.*/"}})),
        (Status.UNPROVEN, transformed({"exclude": {"names": ["Time"]}})),
        (Status.UNPROVEN, transformed({"exclude": {"names": ["nobody"]}}, filter={"id": "byRefId", "options": "A"})),
        (Status.UNPROVEN, transformed({"exclude": {"names": ["nobody"]}, "byVariable": True})),
        (Status.UNPROVEN, both(transformed({"exclude": {"names": ["nobody"]}}), query(legendFormat="__auto"))),
        (Status.UNPROVEN, given(transformations=[{"id": "reduce", "disabled": False}])),
    ],
)
def test_a_filter_is_played_where_it_leaves_lines_out_by_name(
    status: Status, bend: Callable[[dict[str, Any]], None]
) -> None:
    """
    A transformation whose outcome is not known proves nothing, and one without an effect takes nothing.
    """
    verdict = judge("dashboard/agents/success-rate-by-agent", drawn("dashboard/agents/success-rate-by-agent", bend))

    assert verdict.status is status, verdict.text()
    assert verdict.lasting is (status is Status.UNPROVEN)


def chosen(*values: str, **fields: object) -> Timeline:
    """The recorded run with the overview's agents chosen otherwise when it is opened."""

    def bend(board: dict[str, Any]) -> None:
        variable = next(each for each in board["templating"]["list"] if each["name"] == "agent")
        variable.update({"current": {"text": list(values), "value": list(values)}, **fields})

    return kept("overview", bend)


def test_a_dashboard_that_opens_on_a_part_breaks_the_panels_with_it() -> None:
    """
    Whoever opens it sees one agent of four: every panel with the variable is broken, and none without.
    """
    bent = chosen("daily_brief")

    broken = {each: verdict for each in CLAUSES if (verdict := judge(each, bent)).status is not Status.HOLDS}

    assert list(broken) == [
        f"dashboard/overview/{each}" for each in ("total-requests-sec", "error-rate", "average-response-time")
    ]
    assert {each.status for each in broken.values()} == {Status.BROKEN}
    for each in broken.values():
        assert "variable 'agent' opens on a part of what it offers" in each.reason
        assert each.findings[0].observed == "opens with daily_brief"
        assert "boot_hardening, focus_guardrails, librarian would not be shown" in each.findings[0].expected
        assert each.findings[0].location.startswith("overview.json:")


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        (("$__all",), {}),
        ((), {}),
        # Each of them is all of them.
        (("boot_hardening", "daily_brief", "focus_guardrails", "librarian"), {}),
        # What is offered no more cannot be chosen.
        (("nobody",), {}),
        # Where All is not offered nothing but a part can be chosen.
        (("daily_brief",), {"includeAll": False}),
    ],
)
def test_a_dashboard_that_opens_on_all_holds(values: tuple[str, ...], fields: dict[str, Any]) -> None:
    """
    All as it is stored, no choice at all, and a choice that leaves nobody out show everything.
    """
    verdict = judge(ERRORS, chosen(*values, **fields))

    assert verdict.status is Status.HOLDS, verdict.text()


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
