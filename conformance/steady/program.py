"""
What every steady test judges: plain load, failures that page nobody, slow answers that page nobody, fewer users.

A fifth of the calls fail for four minutes: two errors a minute, a third of the alert's threshold. Then every third call
waits seven seconds, three less than the alert's threshold. At last only three users are left for longer than the five
minutes after which a user counts as gone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fixtures.faults.program import Phase, Program
from fixtures.faults.upstream import ServerErrors, SlowAnswers
from fixtures.load.profile import Steady

LOAD = Steady(rps=1 / 6)
"""Ten requests a minute; at tempo 60 ten a second."""

STEADY = Program(
    name="steady",
    phases=(
        Phase(name="calm", load=LOAD, lasts=timedelta(minutes=6)),
        Phase(name="failures", load=LOAD, lasts=timedelta(minutes=4), faults=(ServerErrors(share=0.2),)),
        # Four agents in turn: each third call meets all of them.
        Phase(name="slow", load=LOAD, lasts=timedelta(minutes=3), faults=(SlowAnswers(share=1 / 3, seconds=7),)),
        Phase(name="after", load=replace(LOAD, users=3), lasts=timedelta(minutes=7)),
    ),
    jobs=frozenset({"osmen_gateway", "osmen_postgres", "osmen_redis", "docker"}),
    needs=frozenset({"upstream", "postgres", "redis"}),
    signals=frozenset({"metrics", "logs", "traces"}),
)
