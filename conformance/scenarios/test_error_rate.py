"""
Errors below and above the documented rate: one cell stays just short of the threshold, one passes it and recovers.

Lengths are the document's time. The window of the alert is 5 min and its `for` 5 min, scrapes and evaluations come
every 15 s: a step needs 5 min 15 s and a scrape to reach the measure, and must then hold for 5 min 45 s. The recovery
lasts longer than a window, so that a measure which never returns is seen not to. Above, the alert must go on firing for
longer than Alertmanager's timers, which have a floor of a real second each.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge.ladder import ASPECTS, Ladder, judged
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


QUIET = Phase(name="quiet", load=LOAD, lasts=timedelta(minutes=3, seconds=20))
"""The counters are scraped at 0 before anything fails; before its first sample a rate sees no increase."""

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
        Phase(name="above", load=LOAD, lasts=timedelta(minutes=13), faults=(_errors(1.1 * THRESHOLD),)),
        Phase(name="recovery", load=LOAD, lasts=timedelta(minutes=5, seconds=45)),
    ),
    rungs={"above": 1.1 * THRESHOLD},
    quantity="errors/s",
)

LADDER = Ladder(
    alert="HighErrorRate",
    below=BELOW.name,
    rung="below",
    control="control",
    above=ABOVE.name,
    beyond="above",
)

pytestmark = [pytest.mark.program(BELOW, ABOVE), pytest.mark.ladder(LADDER)]


@pytest.mark.parametrize(
    "aspect",
    [pytest.param(each, id=LADDER.clause(each), marks=pytest.mark.covers(LADDER.clause(each))) for each in ASPECTS],
)
def test_the_alert_is_as_documented(
    aspect: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Silent at nine tenths of the threshold, firing at eleven: as shipped, after its `for`, to its receiver, and back.
    """
    prove(judged(LADDER, aspect, contract, timelines))
