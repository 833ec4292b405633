"""
What every steady test judges: plain load, failures that page nobody, slow answers that page nobody, fewer users.

A fifth of the calls fail for four minutes: two errors a minute, a third of the alert's threshold. One call of forty
hangs meanwhile until the gateway gives it up. Then two of three calls wait eight seconds, two less than the alert's
threshold. At last only three users are left for longer than the five minutes after which a user counts as gone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fixtures.faults.program import Phase, Program
from fixtures.faults.upstream import ServerErrors, SlowAnswers
from fixtures.load.profile import Steady

SHARES = {"daily_brief": 5, "librarian": 3, "focus_guardrails": 2, "boot_hardening": 1}
"""Of eleven requests, how many are each agent's: numbers that differ, so that agents that are confused are told."""

ROUND = (0, 1, 0, 2, 0, 1, 3, 0, 2, 1, 0)
"""The agents of a round, by their place in SHARES."""

LOAD = Steady(rps=1 / 6, agents=tuple(tuple(SHARES)[place] for place in ROUND), mistaken=20, untraced=25)
"""
Ten requests a minute, at tempo 60 ten a second. One of twenty is its client's mistake, which nobody is paged for; the
client of one of twenty-five traces nothing, as most do: whether there is a trace is then the service's own decision.
"""

PATIENCE = timedelta(seconds=24)
"""How long the gateway waits for the model server: less than its clients wait for it, at the documented pace too."""

FAILING = ServerErrors(share=0.2, hanging=1 / 40)

STEADY = Program(
    name="steady",
    phases=(
        Phase(name="calm", load=LOAD, lasts=timedelta(minutes=6)),
        Phase(name="failures", load=LOAD, lasts=timedelta(minutes=4), faults=(FAILING,)),
        # Eleven in a round: two of each three calls meet every agent, as does each fifth.
        Phase(name="slow", load=LOAD, lasts=timedelta(minutes=3), faults=(SlowAnswers(share=2 / 3, seconds=8),)),
        Phase(name="after", load=replace(LOAD, users=3), lasts=timedelta(minutes=7)),
    ),
    jobs=frozenset({"osmen_gateway", "osmen_postgres", "osmen_redis", "docker"}),
    needs=frozenset({"upstream", "postgres", "redis"}),
    gateway={"UPSTREAM_TIMEOUT": PATIENCE},
    # Of these it is judged that they answer and what they expose, not how fast it moves.
    slower=dict.fromkeys(("osmen_postgres", "osmen_redis", "docker"), 30.0),
    signals=frozenset({"metrics", "logs", "traces", "levels"}),
)
