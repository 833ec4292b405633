"""The page tells what a run says otherwise than the one before of its kind, and nothing where there is none."""

from __future__ import annotations

from dataclasses import replace

from conformance.contract.model import Level, Signal
from conformance.judge.verdict import Status
from conformance.report.clean import map_texts, plain
from conformance.report.html import render
from conformance.report.record import Report
from conformance.selftest import pages

BEFORE = "20261124T140000Z-before"


def changed(report: Report, number: int, **fields: object) -> Report:
    rows = list(report.clauses)
    rows[number] = replace(rows[number], **fields)  # type: ignore[arg-type]  # the test names the fields
    return replace(report, clauses=tuple(rows))


def part(page: str) -> str:
    """What stands in the section, or nothing."""
    _, found, rest = page.partition('<section id="differs">')
    return rest.partition("</section>")[0] if found else ""


def test_without_a_run_before_nothing_is_told() -> None:
    """
    Neither a section nor a link to one.
    """
    page = render(pages.report(all_hold=True))

    assert part(page) == ""
    assert "#differs" not in page


def test_two_like_runs_are_told_to_be_alike() -> None:
    """
    One sentence, with the run's name and on how many clauses it rests.
    """
    made = pages.report(all_hold=True)

    told = part(render(made, (BEFORE, made)))

    assert f"Nothing: {len(made.clauses)} clauses as in" in told
    assert BEFORE in told
    assert "<table>" not in told


def test_a_clause_that_broke_since_is_told_with_its_reason() -> None:
    """
    Its id, what it was, what it is, and why.
    """
    made = pages.report(all_hold=True)
    after = changed(made, 3, status=Status.BROKEN, reason="did not fire this time")

    told = part(render(after, (BEFORE, made)))

    assert all(word in told for word in (made.clauses[3].id, "holds", "broken", "did not fire this time"))


def test_a_long_list_is_folded() -> None:
    """
    A dozen differences stand open; more are one line until somebody wants them.
    """
    made = pages.large(60)
    gone = replace(made, clauses=made.clauses[:20])

    assert '<details class="plain"><summary>Clauses (20 are as before)' in part(render(made, (BEFORE, gone)))
    assert '<details class="plain" open><summary>Clauses (59 are as before)' in part(
        render(made, (BEFORE, replace(made, clauses=made.clauses[:-1])))
    )


def test_hostile_words_of_the_run_before_stay_text() -> None:
    """
    Its name and its reasons are as foreign as this run's.
    """
    made = pages.report(all_hold=True)
    evil = "<script>alert(1)</script>\ud800"
    before = changed(made, 0, id=evil, signal=Signal.LOGS, level=Level.SHOULD, reason=evil)

    # A report is made fit to be shown when it is read; the name of its folder is not.
    page = render(made, (evil, map_texts(before, plain)))

    assert "<script" not in page
    assert page.encode()
