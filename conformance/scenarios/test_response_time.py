"""
Answers faster and slower than the documented ten seconds: one cell in the bucket below, one in the bucket above.

Between two bounds a histogram tells nothing apart, so the rungs lie in the buckets beside the threshold, 7.5 to 10 s
and 10 to 12.5 s: above in the middle, below lower, as a busy machine only adds. A rung is a 95th percentile: below,
every request takes so long; above, one in seven does. The quantile rises when a twentieth of the window's requests are
slow, and falls when fewer are left.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge.ladder import ASPECTS, Ladder, judged
from fixtures.faults.program import Phase, Program
from fixtures.faults.upstream import Stall
from fixtures.load.profile import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

LOAD = Steady(rps=1 / 10)
"""Six requests a minute; at tempo 60 six a second: thirty in the alert's window."""

FAST, SLOW = 7.9, 11.25
"""Seconds; the guide's threshold is 10."""

SHARE = 0.15
"""Of the requests are slow above the threshold: three times what the quantile leaves out, and gone from it sooner."""

QUIET = Phase(name="quiet", load=LOAD, lasts=timedelta(minutes=3, seconds=20))

BELOW = Program(
    name="response-time-below",
    phases=(
        QUIET,
        Phase(name="below", load=LOAD, lasts=timedelta(minutes=11, seconds=15), faults=(Stall(seconds=FAST),)),
        Phase(name="control", load=LOAD, lasts=timedelta(minutes=2, seconds=30), faults=(Stall(seconds=15),)),
    ),
    rungs={"below": FAST, "control": 15},
    quantity="s",
)

ABOVE = Program(
    name="response-time-above",
    phases=(
        QUIET,
        Phase(
            name="above",
            load=LOAD,
            lasts=timedelta(minutes=11, seconds=15),
            faults=(Stall(seconds=SLOW, share=SHARE),),
        ),
        Phase(name="recovery", load=LOAD, lasts=timedelta(minutes=6, seconds=45)),
    ),
    rungs={"above": SLOW},
    quantity="s",
)

LADDER = Ladder(
    alert="HighResponseTime",
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
    Silent in the bucket below the threshold, firing in that above: as shipped, after its `for`, delivered, and back.
    """
    prove(judged(LADDER, aspect, contract, timelines))
