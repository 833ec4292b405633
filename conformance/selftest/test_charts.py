"""Charts of alerts: what a run looked like, made of its timelines, and never prettier than it was."""

from __future__ import annotations

import html
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from conformance.charts import alert_charts
from conformance.contract.load import load
from conformance.report import picture
from conformance.report.chart import MOST_POINTS, Band, Chart, Level, Line, Mark, thinned
from conformance.report.clean import plain
from conformance.report.figure import figures
from conformance.report.html import render
from conformance.report.picture import drawings
from conformance.selftest import pages
from conformance.selftest.judging import ladders
from conformance.selftest.recording import timelines
from conformance.timeline.model import Measured, Timeline

CONTRACT = load(None)


def drawn(changed: Timeline | None = None) -> dict[str, Chart]:
    """The charts of the recorded run by their titles, with one timeline in another's place."""
    seen = dict(timelines()) | ({changed.program: changed} if changed else {})
    return {chart.title: chart for chart in alert_charts(CONTRACT, seen, ladders())}


def svg(chart: Chart) -> str:
    (inner,) = drawings([chart])
    assert isinstance(inner, str), inner
    return inner


def kinds(chart: Chart, kind: str) -> list[str]:
    return [band.label for band in chart.bands if band.kind == kind]


def test_every_alert_has_a_chart_of_each_program_of_its_rungs() -> None:
    """
    Five alerts; two have a program below their threshold and another above it.
    """
    titles = set(drawn())

    assert {title.split()[0] for title in titles} == {alert.name for alert in CONTRACT.alerts}
    assert {"HighErrorRate in error-rate-below", "HighErrorRate in error-rate-above"} <= titles


def test_a_chart_tells_the_story_of_its_alert() -> None:
    """
    Pending, then firing, told as firing and as resolved, the phases with their rungs, the threshold.
    """
    chart = drawn()["HighErrorRate in error-rate-above"]

    assert (kinds(chart, "pending"), kinds(chart, "firing")) == (["pending"], ["firing"])
    assert [(mark.kind, mark.label) for mark in chart.marks] == [
        ("notification", "slack: firing"),
        ("resolved", "slack: resolved"),
    ]
    assert kinds(chart, "phase") == ["quiet", "above 0.11 errors/s", "recovery"]
    assert [(level.label, level.value) for level in chart.levels] == [("threshold > 0.1", 0.1)]
    assert max(value for _, value in chart.lines[0].points if value is not None) > 0.1


def test_below_its_threshold_nothing_fires_and_nothing_is_told() -> None:
    """
    The control makes it pending, no more.
    """
    chart = drawn()["HighErrorRate in error-rate-below"]

    assert (kinds(chart, "pending"), kinds(chart, "firing"), chart.marks) == (["pending"], [], ())


def test_a_refused_page_is_shown_as_refused() -> None:
    """
    A mark for what arrived and was not taken says so.
    """
    above = timelines()["error-rate-above"]
    refused = tuple(replace(each, accepted=False, status=503) for each in above.notifications)

    chart = drawn(replace(above, notifications=refused))["HighErrorRate in error-rate-above"]

    assert chart.marks[0].label == "slack: firing, refused with 503"


def test_what_was_not_measured_is_a_gap_and_what_is_no_number_too() -> None:
    """
    Nothing is drawn over a hole, and an infinite value is no height.
    """
    above = timelines()["error-rate-above"]
    measured = above.measures["HighErrorRate"]
    points = [(instant, value) for instant, value in measured.points if not 3 < instant - above.begun < 5]
    points[0] = (points[0][0], math.inf)
    holed = replace(above, measures={"HighErrorRate": Measured(query=measured.query, points=tuple(points))})

    chart = drawn(replace(holed))["HighErrorRate in error-rate-above"]

    gaps = [instant - above.begun for instant, value in chart.lines[0].points if value is None]
    assert gaps[0] < 1
    assert [gap for gap in gaps if 3 < gap < 5]


def test_an_unmeasured_alert_says_so() -> None:
    """
    No line, and the reason in words.
    """
    chart = drawn(replace(timelines()["error-rate-above"], measures={}))["HighErrorRate in error-rate-above"]

    assert chart.lines == ()
    assert "the measure had no value" in chart.note


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=2_000))
def test_thinning_hides_no_extreme_and_no_gap(values: list[float | None]) -> None:
    """
    The lowest, the highest, the first and the last stay, in order, and a gap stays where there was one.
    """
    points = tuple((float(n), value) for n, value in enumerate(values))

    kept = thinned(points)

    numbers = [value for value in values if value is not None]
    left = [value for _, value in kept if value is not None]
    assert len(kept) <= MOST_POINTS + 1
    assert list(kept) == sorted(kept, key=lambda point: point[0])
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (min(left), max(left)) == (min(numbers), max(numbers)) if numbers else not left
    assert (None in values) == any(value is None for _, value in kept)


@pytest.mark.parametrize("program", ["memory", "service-down"])
def test_one_program_with_both_rungs_is_one_chart(program: str) -> None:
    """
    A ladder whose rungs are phases of one program is drawn once.
    """
    assert len([title for title in drawn() if title.endswith(f" in {program}")]) == 1


HEIGHTS = st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=6)
CASES = st.lists(st.tuples(st.text(max_size=80), HEIGHTS, st.floats(0, 1e7)), min_size=20, max_size=20)


def odd(text: str, values: list[float | None], long: float) -> Chart:
    word = plain(text)
    return Chart(
        about=word,
        title=word,
        unit=word,
        lines=(Line(name=word, points=tuple((n * long, value) for n, value in enumerate(values))),),
        bands=(Band(kind="phase", label=word, start=0, end=long), Band(kind="firing", label=word, start=long, end=0)),
        marks=(Mark(kind=word, label=word, at=long),),
        levels=(Level(label=word, value=0.5),),
    )


@settings(max_examples=5)
@given(CASES)
def test_every_chart_is_drawn_as_an_image_without_a_script(cases: list[tuple[str, list[float | None], float]]) -> None:
    """
    Whatever its texts and its heights are, what comes out is well-formed and made of shapes and text alone.
    """
    found = drawings([odd(*case) for case in cases])

    for inner in found:
        assert isinstance(inner, str), inner
        image = etree.fromstring(f"<svg>{inner}</svg>")
        assert {each.tag for each in image.iter()} <= {"svg", "g", "path", "line", "text", "rect"}
        assert not [name for each in image.iter() for name in each.attrib if name.startswith("on") or "href" in name]


def test_what_was_begun_is_taken_where_it_is_of_these_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Drawings begun early are those of these charts; where a chart has changed since, all are drawn anew.
    """
    chart, other = tuple(drawn().values())[:2]
    begun = picture.Begun([chart])
    early = begun.drawings()
    anew = drawings([other])

    assert early == drawings([chart])
    assert drawings([other], begun=begun) == anew != early
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("drawn a second time"))
    assert drawings([chart], begun=begun) == early


def test_a_text_that_looks_like_an_expression_is_drawn_as_it_is() -> None:
    """
    Nothing in a label is evaluated.
    """
    word = "datum.v + {'signal': 'width'}"

    drawn = svg(Chart(about="", title="", unit="", lines=(), levels=(Level(label=word, value=1),)))

    assert word in html.unescape(drawn)


@pytest.mark.parametrize(
    ("executable", "told"),
    [
        ("/bin/false", "what draws ended with 1: no word"),
        ("/bin/echo", "JSONDecodeError"),
        ("/nowhere/python", "FileNotFoundError"),
    ],
)
def test_a_drawing_that_fails_costs_the_drawing_alone(
    monkeypatch: pytest.MonkeyPatch, executable: str, told: str
) -> None:
    """
    The words and the table stay, and the page says why nothing is drawn.
    """
    monkeypatch.setattr(sys, "executable", executable)

    (figure,) = figures([drawn()["HighErrorRate in error-rate-above"]])

    page = "\n".join(figure.lines)
    assert f"not drawn: {told}" in page
    assert page.count("<tr>") > 20
    assert "firing from" in page


def test_a_page_holds_so_many_charts_and_tells_of_the_others() -> None:
    """
    Beyond its share of the page a chart is counted, not drawn.
    """
    one = drawn()["HighErrorRate in error-rate-above"]
    made = replace(pages.report(), charts=(one,) * 60)

    page = render(made)

    assert len(page) < 1_500_000
    held = page.count('<figure class="chart" id=')
    assert 20 < held < 60
    assert f"{60 - held} charts more in report.json" in page


@pytest.mark.parametrize("values", [(5.0,), (None, 5.0, None), (1.0, 2.0, None, 5.0)])
def test_a_value_without_neighbours_is_seen(values: tuple[float | None, ...]) -> None:
    """
    What was asked once, or stands between two gaps, is a dot.
    """
    points = tuple((float(n), value) for n, value in enumerate(values))

    drawn = svg(Chart(about="", title="", unit="", lines=(Line(name="one", points=points),)))

    assert drawn.count('fill="var(--line-1)"') == 1


def test_a_drawing_that_takes_too_long_is_given_up() -> None:
    """
    A page is late by a stated time at most.
    """
    (given_up,) = drawings([drawn()["HighErrorRate in error-rate-above"]], seconds=0.001)

    assert str(given_up) == "it took longer than 0.001 s"


def test_drawing_leaves_no_thread_in_this_process() -> None:
    """
    A fork after a report was written is as safe as one before.
    """
    before = len(list(Path("/proc/self/task").iterdir()))

    svg(drawn()["HighErrorRate in error-rate-above"])

    assert len(list(Path("/proc/self/task").iterdir())) == before
    assert "vl_convert" not in sys.modules
