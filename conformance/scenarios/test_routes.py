"""
Alerts handed to Alertmanager: who is told of which severity, what is told together, and what a failing receiver loses.

The receivers and their Alertmanager are the cell's own. First nobody listens; then each way to fail is met by an alert
of its own, side by side, for longer than the ten real seconds that Alertmanager waits for an answer, which no tempo
divides; then all recover, and in the end every alert is over.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conformance.judge import grouping, receivers, routes
from fixtures.faults.pages import PROBE, Away, Ended, Failing, Posted, Probe, Raised, probes
from fixtures.faults.program import GATEWAY_BESIDE, Phase, Program
from fixtures.load.profile import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

ROUTES = {"critical": "critical", "warning": "warning", "default": ""}
"""By clause: the severity that is posted; without one the default route is taken."""

SEVERITIES = tuple(ROUTES.values())
RECEIVERS = ("pagerduty", "slack", "default")

FAILURES = {
    "away": ("AwayProbe", "away"),
    "refuses": ("RefuseProbe", "posted"),
    "errors": ("ErrorProbe", "posted"),
    "hangs": ("HangProbe", "posted"),
}
"""By failure: the alert that meets it, and the phase in which it does."""

MODES = {"refuses": "refuse", "errors": "error", "hangs": "hang"}

GROUP, OTHER = "GroupProbe", "routes-elsewhere"
FIRST, ADDED, APART = ("a", "b", "c"), ("d",), ("e",)
"""What tells alerts of that name apart; the last is of another cluster."""


def grouped(*members: str, cluster: str = "") -> tuple[Probe, ...]:
    return tuple(Probe(name=GROUP, severity="warning", member=each, cluster=cluster) for each in members)


AWAY = probes("AwayProbe", SEVERITIES)
FAILED = tuple(each for failure in MODES for each in probes(FAILURES[failure][0], SEVERITIES))
GROUPED = (*grouped(*FIRST), *grouped(*APART, cluster=OTHER))

POSTED = Program(
    name="routes",
    phases=(
        Phase(name="quiet", load=IDLE, lasts=timedelta(seconds=30)),
        Phase(
            name="away",
            load=IDLE,
            lasts=timedelta(seconds=90),
            faults=(Away(probes=AWAY, wait=timedelta(seconds=10)),),
        ),
        Phase(
            name="posted",
            load=IDLE,
            lasts=timedelta(minutes=11, seconds=30),
            faults=(
                *(Failing(mode=mode, about=FAILURES[failure][0]) for failure, mode in MODES.items()),
                Posted(severities=SEVERITIES),
                Raised(probes=(*FAILED, *GROUPED)),
            ),
        ),
        Phase(
            name="recovered",
            load=IDLE,
            lasts=timedelta(minutes=4, seconds=30),
            faults=(Raised(probes=grouped(*ADDED)),),
        ),
        Phase(
            name="over",
            load=IDLE,
            lasts=timedelta(minutes=3, seconds=30),
            faults=(Ended(probes=(*AWAY, *FAILED, *GROUPED, *grouped(*ADDED))),),
        ),
    ),
    needs=frozenset({"alertmanager", "receivers"}),
    owns=frozenset({"alertmanager", "receivers"}),
    slower=GATEWAY_BESIDE,
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


@pytest.mark.covers("route/grouping")
def test_a_group_is_told_as_one(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Three alerts are one notification, a fourth is told with them in time, and another cluster's alert apart.
    """
    prove(
        grouping.grouped(
            contract.receiver(contract.route("warning").receiver),
            contract.timing,
            timelines["routes"],
            probe=GROUP,
            first=FIRST,
            added=ADDED,
            apart=APART,
            phases=("posted", "recovered", "over"),
        )
    )


@pytest.mark.parametrize(
    ("receiver", "failure"),
    [
        pytest.param(
            receiver,
            failure,
            id=f"receiver/{receiver}/{failure}",
            marks=pytest.mark.covers(f"receiver/{receiver}/{failure}"),
        )
        for receiver in RECEIVERS
        for failure in FAILURES
    ],
)
def test_a_page_survives_the_failure_of_its_receiver(
    receiver: str,
    failure: str,
    contract: Contract,
    timelines: Mapping[str, Timeline],
    prove: Callable[[Verdict], None],
) -> None:
    """
    What a receiver did not take is told once when it recovers, under one key, and so is its end.
    """
    probe, phase = FAILURES[failure]
    prove(
        receivers.recovers(
            contract.failure(failure),
            contract.receiver(receiver),
            contract.timing,
            timelines["routes"],
            probe=probe,
            failing=phase,
            over="over",
        )
    )
