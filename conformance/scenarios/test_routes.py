"""An alert of each severity, and one without, handed to Alertmanager: who is told?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import routes
from fixtures.faults.pages import PROBE, Posted
from fixtures.faults.program import Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

ROUTES = {"critical": "critical", "warning": "warning", "default": ""}
"""By clause: the severity that is posted; without one the default route is taken."""

POSTED = Program(
    name="routes",
    phases=(
        Phase(name="quiet", load=IDLE, lasts=timedelta(seconds=30)),
        Phase(
            name="posted", load=IDLE, lasts=timedelta(minutes=4), faults=(Posted(severities=tuple(ROUTES.values())),)
        ),
    ),
    needs=frozenset(),
)

pytestmark = pytest.mark.program(POSTED)


@pytest.mark.parametrize(
    "route", [pytest.param(name, id=f"route/{name}", marks=pytest.mark.covers(f"route/{name}")) for name in ROUTES]
)
def test_a_severity_is_told_at_its_receiver(
    route: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    PagerDuty hears of what is critical, Slack of warnings, the mailbox of everything else, and nobody of both.
    """
    prove(routes.routed(contract.route(ROUTES[route]), contract, timelines["routes"], probe=PROBE, phase="posted"))
