"""The judge of recording rules, judged: what they recorded in a real run, bent in one way each."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import recorded as judge
from conformance.judge.verdict import Status
from conformance.selftest.metrics_recording import recorded
from conformance.timeline.metrics import MetricsSeen, Track
from fixtures.load.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

REQUESTS, ERRORS, SHARE = "osmen:requests:rate5m", "osmen:errors:rate5m", "osmen:errors:ratio5m"
LATENCY = "osmen:request_duration_seconds:p95_5m"
NAMES = (REQUESTS, ERRORS, SHARE, LATENCY)


@functools.cache
def contract() -> Contract:
    return load()


def judged(timeline: Timeline, name: str) -> Verdict:
    return judge.agrees(contract().recorded(name), contract(), timeline)


def seen(timeline: Timeline) -> MetricsSeen:
    assert timeline.metrics is not None
    return timeline.metrics


def bent(name: str, change: Callable[[Track], tuple[Track, ...]]) -> Timeline:
    """The recorded run with another series in place of the one of that name."""
    timeline = recorded()
    known = seen(timeline).recorded or ()
    tracks = tuple(new for track in known for new in (change(track) if track.name == name else (track,)))
    return replace(timeline, metrics=replace(seen(timeline), recorded=tracks))


def values(name: str, change: Callable[[float], float | None]) -> Timeline:
    def changed(track: Track) -> tuple[Track, ...]:
        points = tuple((at, None if value is None else change(value)) for at, value in track.points)
        return (replace(track, points=points),)

    return bent(name, changed)


def shifted(name: str, evaluations: int) -> Timeline:
    """Each value as it was some evaluations before."""

    def changed(track: Track) -> tuple[Track, ...]:
        late = track.points[evaluations:]
        return (replace(track, points=tuple((at, old) for (at, _), (_, old) in zip(late, track.points, strict=False))),)

    return bent(name, changed)


def other(name: str, instead: str) -> Timeline:
    """Under its name the values of another rule."""
    track = next(each for each in seen(recorded()).recorded or () if each.name == instead)
    return bent(name, lambda was: (replace(was, points=track.points),))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_real_run_recorded_is_what_its_clients_saw(name: str) -> None:
    """
    At each evaluation, from the first window on that holds a request.
    """
    verdict = judged(recorded(), name)

    assert verdict.status is Status.HOLDS, verdict.text()
    assert verdict.observations > 70


@pytest.mark.parametrize(
    ("name", "bend", "says"),
    [
        (REQUESTS, lambda: values(REQUESTS, lambda value: value * 1.05), "samples are not what clients saw"),
        (REQUESTS, lambda: values(REQUESTS, lambda value: value * 0.95), "samples are not what clients saw"),
        (REQUESTS, lambda: values(REQUESTS, lambda value: value * 60), "samples are not what clients saw"),
        (REQUESTS, lambda: values(REQUESTS, lambda _: 0.1667), "samples are not what clients saw"),
        (REQUESTS, lambda: shifted(REQUESTS, 4), "samples are not what clients saw"),
        (REQUESTS, lambda: other(REQUESTS, ERRORS), "samples are not what clients saw"),
        (ERRORS, lambda: values(ERRORS, lambda value: value * 1.1), "samples are not what clients saw"),
        (ERRORS, lambda: values(ERRORS, lambda _: 0.0), "samples are not what clients saw"),
        (ERRORS, lambda: shifted(ERRORS, 4), "samples are not what clients saw"),
        (SHARE, lambda: values(SHARE, lambda value: value * 1.1), "samples are not what clients saw"),
        (SHARE, lambda: values(SHARE, lambda value: value * 100), "samples are not what clients saw"),
        (SHARE, lambda: other(SHARE, ERRORS), "samples are not what clients saw"),
        (LATENCY, lambda: values(LATENCY, lambda value: value * 1.02), "samples are not what clients saw"),
        (LATENCY, lambda: values(LATENCY, lambda value: value / 2), "samples are not what clients saw"),
        (LATENCY, lambda: values(LATENCY, lambda _: None), "is recorded too seldom"),
        (REQUESTS, lambda: bent(REQUESTS, lambda _: ()), "is not recorded"),
        (
            REQUESTS,
            lambda: bent(REQUESTS, lambda was: (was, replace(was, labels={**was.labels, "agent": "librarian"}))),
            "is recorded as more than one series",
        ),
        (
            ERRORS,
            lambda: bent(ERRORS, lambda was: (replace(was, points=was.points[::4]),)),
            "is recorded too seldom",
        ),
    ],
)
def test_what_is_recorded_wrongly_is_broken_and_nothing_else_is(
    name: str, bend: Callable[[], Timeline], says: str
) -> None:
    """
    The rule's own clause, with what was expected at that evaluation, and no other rule's.
    """
    timeline = bend()
    verdict = judged(timeline, name)

    assert verdict.status is Status.BROKEN, verdict.text()
    assert says in verdict.text()
    assert verdict.findings
    assert {each for each in NAMES if judged(timeline, each).status is not Status.HOLDS} == {name}


def test_the_finding_says_where_and_what_was_so() -> None:
    """
    Instant, bounds, value and query.
    """
    finding = judged(values(REQUESTS, lambda value: value * 60), REQUESTS).findings[0]

    assert finding.query == REQUESTS
    assert finding.expected.endswith(" requests/s")
    assert finding.location.startswith("at ")
    assert "5 real seconds before each evaluation" in finding.because


def test_a_rule_that_is_missing_is_told_with_those_that_record() -> None:
    """
    A rename shows its new name.
    """
    timeline = bent(SHARE, lambda _: ())
    rules = tuple(
        replace(each, name="osmen:errors:ratio_5m") if each.name == SHARE else each for each in timeline.rules
    )
    verdict = judged(replace(timeline, rules=rules), SHARE)

    assert "rules that record: osmen:errors:rate5m, osmen:errors:ratio_5m" in verdict.text()


@pytest.mark.parametrize(
    ("name", "bend", "says"),
    [
        (REQUESTS, lambda was: replace(was, metrics=None), "the metrics were not read"),
        (
            REQUESTS,
            lambda was: replace(was, metrics=replace(seen(was), recorded=None)),
            "what the rules recorded was not read",
        ),
        (REQUESTS, lambda was: replace(was, metrics=replace(seen(was), scraped=())), "never scraped"),
        (
            REQUESTS,
            lambda was: replace(was, metrics=replace(seen(was), troubles={"prometheus": "prometheus: gone"})),
            "prometheus: gone",
        ),
        (
            ERRORS,
            lambda was: replace(
                was,
                ledger=Ledger(
                    requests=tuple(
                        each
                        if each.outcome is not Outcome.ERROR
                        else replace(each, status=200, outcome=Outcome.SUCCESS)
                        for each in was.ledger.requests
                    )
                ),
            ),
            "no request failed",
        ),
        (REQUESTS, lambda was: replace(was, ended=was.begun + 4), "shorter than a window"),
    ],
)
def test_what_was_not_seen_proves_nothing(name: str, bend: Callable[[Timeline], Timeline], says: str) -> None:
    """
    Neither holds nor broken.
    """
    verdict = judged(bend(recorded()), name)

    assert verdict.status is Status.UNPROVEN, verdict.text()
    assert says in verdict.reason


def test_missed_evaluations_are_no_fault_of_a_rule() -> None:
    """
    A Prometheus that says that it skipped evaluations is not blamed for what it did not record.
    """
    timeline = bent(ERRORS, lambda was: (replace(was, points=was.points[::4]),))
    verdict = judged(replace(timeline, missed_evaluations=60), ERRORS)

    assert verdict.status is Status.UNPROVEN
    assert "60 were missed" in verdict.reason


def test_a_rule_of_which_nothing_is_promised_is_named() -> None:
    """
    What nobody judges is said.
    """
    timeline = recorded()
    more = tuple(replace(each, name=f"{each.name}:old") for each in timeline.rules if each.name == SHARE)

    assert judge.unknown(contract(), timeline) == ()
    assert judge.unknown(contract(), replace(timeline, rules=(*timeline.rules, *more))) == ("osmen:errors:ratio5m:old",)


def test_a_scrape_between_two_rules_is_allowed_for() -> None:
    """
    The share is of two rules, evaluated one after the other: the second may have seen a scrape more.
    """
    timeline = recorded()
    world = judge._World.of(contract().recorded(SHARE), contract(), timeline)
    bad, every = (judge._World.of(contract().recorded(name), contract(), timeline) for name in (ERRORS, REQUESTS))
    checked = 0
    for at in seen(timeline).scraped[-40:]:
        # Right after a scrape began it may have been seen or not.
        instant = at + 0.01
        share, errors, requests = world.at(instant), bad.at(instant), every.at(instant)
        if share is None or errors is None or requests is None or not errors.high:
            continue
        checked += 1
        assert share.holds(errors.high / requests.low)
        assert share.holds(errors.low / requests.high)

    assert checked > 10


def test_each_kind_of_error_is_a_series_of_its_own() -> None:
    """
    A call given up and one that failed are never one counter, which decides how far Prometheus extends it to the left.
    """
    timeline = recorded()
    world = judge._World.of(contract().recorded(ERRORS), contract(), timeline)

    assert set(world.ended.values()) == {"failed", "given up"}
    assert world.nobody
    assert not world.nobody & {"daily_brief", "librarian", "focus_guardrails", "boot_hardening"}
