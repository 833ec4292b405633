"""
Errors below and above the documented rate: one cell stays just short of the threshold, one passes it and recovers.

Lengths are the document's time. The window of the alert is 5 min and its `for` 5 min, scrapes and evaluations come
every 15 s: a step needs 5 min 15 s and a scrape to reach the measure, and must then hold for 5 min 45 s. Above, the
alert must go on firing for longer than Alertmanager's timers, which have a floor of a real second each.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import alerts, delivery, shipped
from fixtures.faults.program import Phase, Program
from fixtures.faults.upstream import ServerErrors
from fixtures.load.profile import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

LOAD = Steady(rps=1 / 6)
"""Ten requests a minute; at tempo 60 ten a second."""

THRESHOLD = 0.1
"""Errors per second, as the guide has it: written by hand, so that a changed rule cannot move its own test."""


def _errors(rate: float) -> ServerErrors:
    return ServerErrors(share=rate / LOAD.rps)


QUIET = Phase(name="quiet", load=LOAD, lasts=timedelta(minutes=5, seconds=20))
"""The counters are scraped at 0 for longer than a window before anything fails."""

BELOW = Program(
    name="error-rate-below",
    phases=(
        QUIET,
        Phase(name="below", load=LOAD, lasts=timedelta(minutes=11, seconds=30), faults=(_errors(0.9 * THRESHOLD),)),
        Phase(name="control", load=LOAD, lasts=timedelta(minutes=3), faults=(_errors(1.5 * THRESHOLD),)),
    ),
    rungs={"below": 0.9 * THRESHOLD, "control": 1.5 * THRESHOLD},
    quantity="errors/s",
)

ABOVE = Program(
    name="error-rate-above",
    phases=(
        QUIET,
        Phase(name="above", load=LOAD, lasts=timedelta(minutes=13, seconds=15), faults=(_errors(1.1 * THRESHOLD),)),
        Phase(name="recovery", load=LOAD, lasts=timedelta(minutes=4, seconds=15)),
    ),
    rungs={"above": 1.1 * THRESHOLD},
    quantity="errors/s",
)

pytestmark = pytest.mark.program(BELOW, ABOVE)


@pytest.mark.covers("alert/HighErrorRate/shipped")
def test_the_shipped_rule_is_the_documented_one(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The loaded rule equals the file, and the file equals the document.
    """
    prove(shipped.shipped(contract.alert("HighErrorRate"), timelines["error-rate-above"]))


@pytest.mark.covers("alert/HighErrorRate/silent-below")
def test_fewer_errors_than_documented_page_nobody(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    At nine tenths of the threshold the alert stays silent, in a cell where a higher rate wakes it.
    """
    alert = contract.alert("HighErrorRate")
    prove(alerts.silent_below(alert, timelines["error-rate-below"], rung="below", control="control"))


@pytest.mark.covers("alert/HighErrorRate/fires-above")
def test_more_errors_than_documented_fire(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    At eleven tenths of the threshold the alert is pending as soon as its measure passes it, and fires.
    """
    prove(alerts.fires_above(contract.alert("HighErrorRate"), timelines["error-rate-above"], rung="above"))


@pytest.mark.covers("alert/HighErrorRate/for")
def test_the_alert_waits_as_long_as_documented(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    From pending to firing passes the documented `for`, exactly.
    """
    prove(alerts.waits(contract.alert("HighErrorRate"), timelines["error-rate-above"]))


@pytest.mark.covers("alert/HighErrorRate/resolves")
def test_the_alert_ends_with_its_cause(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    When the errors end the measure returns, and the alert ends with it.
    """
    prove(alerts.resolves(contract.alert("HighErrorRate"), timelines["error-rate-above"], rung="above"))


@pytest.mark.covers("alert/HighErrorRate/delivered")
def test_the_page_reaches_slack_and_says_what_happened(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Slack hears of the firing and of the end, once each, with the value at which it fired.
    """
    alert = contract.alert("HighErrorRate")
    receiver = contract.receiver(alert.receiver)
    prove(delivery.delivered(alert, receiver, contract.timing, timelines["error-rate-above"]))
