"""The page in a real browser: accessible, quiet, narrow enough for a phone, and whatever stands in it is text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import axe_playwright_python
import pytest

from conformance import pictures
from conformance.browser import NARROW, WIDE, NoBrowserError, browser, installed, opened
from conformance.report import html
from conformance.report.chart import Band, Chart, Level, Line, Mark
from conformance.report.clean import clip, map_texts, plain
from conformance.selftest import pages
from conformance.selftest.test_report import HOSTILE, filled_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
ALL_OPEN = "() => document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        installed()
    except NoBrowserError as error:
        pytest.skip(str(error))
    with browser() as started:
        yield started


def kept(folder: Path, page: str) -> Path:
    place = folder / "report.html"
    place.write_text(page, encoding="utf-8")
    return place


def violations(page: Page) -> dict[str, list[str]]:
    """By the rule of axe that is violated: the elements, with everything unfolded."""
    page.evaluate(ALL_OPEN)
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return {each["id"]: [str(node["html"])[:200] for node in each["nodes"]] for each in found["violations"]}


def scrolls(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth"))


def sound() -> str:
    made = pages.report()
    return html.render(made, ("20261124T140000Z-before", pages.report(all_hold=True)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_is_accessible_and_quiet(chromium: Browser, tmp_path: Path, width: int, *, dark: bool) -> None:
    """
    No rule of axe is violated, nothing is asked for, nothing is complained of, and nobody scrolls sideways.
    """
    with opened(chromium, kept(tmp_path, sound()), width=width, dark=dark) as seen:
        found = violations(seen.page)

        assert found == {}
        assert (seen.requests, seen.complaints) == ([], [])
        assert not scrolls(seen.page)


def test_a_conformant_page_is_accessible_too(chromium: Browser, tmp_path: Path) -> None:
    """
    Nothing is broken: other colours, other words.
    """
    page = html.render(pages.report(all_hold=True))

    with opened(chromium, kept(tmp_path, page)) as seen:
        assert violations(seen.page) == {}


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [
        ("--quiet: #59636e", "--quiet: #b9c0c8", "color-contrast"),
        ('role="img" aria-label="', 'role="img" data-label="', "svg-img-alt"),
        ('<html lang="en">', "<html>", "html-has-lang"),
        ('<th scope="row" class="n">', '<th scope="nowhere" class="n">', "scope-attr-valid"),
    ],
)
def test_a_page_with_a_flaw_is_told(chromium: Browser, tmp_path: Path, good: str, bad: str, rule: str) -> None:
    """
    Low contrast, a picture without words, no language, a head of nothing: each is found by its rule alone.
    """
    page = sound()
    assert good in page

    with opened(chromium, kept(tmp_path, page.replace(good, bad))) as seen:
        assert set(violations(seen.page)) == {rule}


def test_a_page_that_asks_or_runs_or_is_too_wide_is_told(chromium: Browser, tmp_path: Path) -> None:
    """
    What the other tests look for can be seen: a request, a script that the page's own policy stops, a wide line.
    """
    intruder = '<img src="http://127.0.0.1:9/x.png" alt=""><script>alert(1)</script><pre style="width:900px">x</pre>'
    page = sound().replace("</main>", f"{intruder}</main>")

    with opened(chromium, kept(tmp_path, page), width=NARROW) as seen:
        assert any("Content Security Policy" in each for each in seen.complaints)
        assert scrolls(seen.page)
    free = page.replace("default-src 'none'", "default-src *")
    with opened(chromium, kept(tmp_path, free.replace("<script>", "<script nonce=a>")), width=NARROW) as seen:
        assert seen.requests == ["http://127.0.0.1:9/x.png"]


def hostile_chart(text: str) -> Chart:
    return Chart(
        about=text,
        title=text,
        unit=text,
        lines=tuple(
            Line(name=text, points=((0.0, value), (1.0, -value), (2.0, None), (3.0, 1.0)))
            for value in (0.0, 1e-300, 1.7e308)
        ),
        bands=(Band(kind=text, label=text, start=0, end=2), Band(kind="phase", label=text, start=3, end=1)),
        marks=(Mark(kind=text, label=text, at=1),),
        levels=(Level(label=text, value=0.5),),
        note=text,
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_text(chromium: Browser, tmp_path: Path, text: str) -> None:
    """
    In every field of the report and of a chart: no script runs, nothing is asked for, nobody scrolls, axe is content.
    """
    made = filled_with(text)
    charts = (hostile_chart(text), hostile_chart(f"alert/{text}"), hostile_chart(f"dashboard/{text}/x"))
    # As the writer of all files does it: cut after what is secret was masked.
    made = map_texts(map_texts(replace(made, charts=charts), plain), clip)

    with opened(chromium, kept(tmp_path, html.render(made, (text[:1_000], made))), width=NARROW) as seen:
        found = violations(seen.page)

        assert (seen.requests, seen.complaints) == ([], [])
        assert seen.page.evaluate("() => document.scripts.length + document.images.length") == 0
        assert seen.page.evaluate("() => [...document.links].every(a => a.protocol === 'file:')")
        assert not scrolls(seen.page)
        assert found == {}


def test_pictures_are_taken_of_whole_runs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A folder that is no run's, or has no page, is told as one, and nothing is written.
    """
    assert pictures.main([str(tmp_path), "--into", str(tmp_path / "pictures")]) == 1
    assert f"{tmp_path}: holds no report.json" in capsys.readouterr().err

    (tmp_path / "report.json").touch()
    status = pictures.main([str(tmp_path), "--into", str(tmp_path / "pictures")])

    assert status == 1
    assert f"{tmp_path}/report.html is missing: a picture needs a whole run" in capsys.readouterr().err
    assert not (tmp_path / "pictures").exists()


def test_a_picture_shows_what_the_page_shows(chromium: Browser, tmp_path: Path) -> None:
    """
    An alert's charts and a terminal's text come out as pictures of some size, not as blank ones.
    """
    page = kept(tmp_path, html.render(pages.report(every=1)))

    chart = pictures.shot(chromium, page, tmp_path / "chart.png", part="#alerts figure")
    terminal = pictures.terminal(chromium, "\x1b[32m131 passed\x1b[0m\nresult: conformant", tmp_path / "text.png")

    assert [place.read_bytes()[:4] for place in (chart, terminal)] == [b"\x89PNG"] * 2
    assert chart.stat().st_size > 8_000
    assert terminal.stat().st_size > 4_000
