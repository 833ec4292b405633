"""
What every steady test judges: plain load, some failures that page nobody, plain load again.

A fifth of the calls fail for five minutes: two errors a minute, a third of the alert's threshold.
"""

from __future__ import annotations

from datetime import timedelta

from fixtures.faults.program import Phase, Program
from fixtures.faults.upstream import ServerErrors
from fixtures.load.profile import Steady

LOAD = Steady(rps=1 / 6)
"""Ten requests a minute; at tempo 60 ten a second."""

STEADY = Program(
    name="steady",
    phases=(
        Phase(name="calm", load=LOAD, lasts=timedelta(minutes=8)),
        Phase(name="failures", load=LOAD, lasts=timedelta(minutes=5), faults=(ServerErrors(share=0.2),)),
        Phase(name="after", load=LOAD, lasts=timedelta(minutes=7)),
    ),
    jobs=frozenset({"osmen_gateway", "osmen_postgres", "osmen_redis", "docker"}),
    needs=frozenset({"upstream", "postgres", "redis"}),
    signals=frozenset({"metrics", "logs", "traces"}),
)
