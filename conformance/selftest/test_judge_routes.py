"""The judge of routes over a recorded run, sound and bent in one way each."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import routes
from conformance.judge.verdict import Status, Verdict
from conformance.scenarios.test_routes import ROUTES
from conformance.timeline import store
from conformance.timeline.model import Death
from fixtures.faults.pages import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.timeline.model import Notification, Timeline

CONTRACT = load()
RECORDED = store.read(Path(__file__).with_name("recorded") / "routes/routes.json")


def judged(timeline: Timeline) -> dict[str, Verdict]:
    """The verdict about each route."""
    return {
        name: routes.routed(CONTRACT.route(severity), CONTRACT, timeline, probe=PROBE, phase="posted")
        for name, severity in ROUTES.items()
    }


def about(page: Notification, severity: str) -> bool:
    return f"severity {severity}" in str(page.body)


def told(change: Callable[[Notification], tuple[Notification, ...]]) -> Timeline:
    """The recorded run with each notification put in the place that `change` gives it."""
    return replace(RECORDED, notifications=tuple(each for page in RECORDED.notifications for each in change(page)))


def swapped(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, receiver="slack") if about(page, "critical") else page,)


def copied(page: Notification) -> tuple[Notification, ...]:
    return (page, replace(page, receiver="email")) if about(page, "warning") else (page,)


def lost(page: Notification) -> tuple[Notification, ...]:
    return () if about(page, "none") else (page,)


def refused(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, accepted=False, status=404) if about(page, "warning") else page,)


def late(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, at=page.at + 2.5) if about(page, "critical") else page,)


def elsewhere(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, body={**page.body, "to": ["nobody@osmen.dev"]}) if page.receiver == "email" else page,)


def another_channel(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, body={**page.body, "channel": "#random"}) if page.receiver == "slack" else page,)


def retitled(page: Notification) -> Notification:
    """With the same title, or subject, as every other one, but for the state; what stands below it stays."""

    def same(title: object) -> str:
        text, found = re.subn(r"\w+Probe", "OsMEN alert", str(title))
        assert found
        return text

    if "subject" in page.body:
        return replace(page, body={**page.body, "subject": same(page.body["subject"])})
    attachments = page.body["attachments"]
    assert isinstance(attachments, list)
    return replace(
        page, body={**page.body, "attachments": [{**each, "title": same(each["title"])} for each in attachments]}
    )


def test_the_recorded_routes_hold() -> None:
    """
    Each severity was told at its receiver.
    """
    assert dict.fromkeys(ROUTES, Status.HOLDS) == {name: each.status for name, each in judged(RECORDED).items()}


@pytest.mark.parametrize(
    ("change", "route", "words"),
    [
        pytest.param(swapped, "critical", "slack 202", id="critical at slack"),
        pytest.param(copied, "warning", "email", id="warning at the mailbox too"),
        pytest.param(lost, "default", "probes reached", id="default told nobody"),
        pytest.param(refused, "warning", "404", id="warning refused"),
        pytest.param(elsewhere, "default", "a mail to alerts@osmen.dev alone", id="another mailbox"),
        pytest.param(another_channel, "warning", "to channel #osmen-alerts", id="another channel"),
        pytest.param(late, "critical", "was told more than once, elsewhere, or late", id="critical late"),
    ],
)
def test_a_wrong_route_breaks_its_clause_alone(
    change: Callable[[Notification], tuple[Notification, ...]], route: str, words: str
) -> None:
    """
    The severity that is told wrongly is broken, and the others hold.
    """
    verdicts = judged(told(change))

    expected = {**dict.fromkeys(ROUTES, Status.HOLDS), route: Status.BROKEN}
    assert expected == {name: each.status for name, each in verdicts.items()}
    assert words in verdicts[route].text()


def test_timers_of_the_root_concern_every_route() -> None:
    """
    What all routes inherit and no tempo shows is read from the shipped text, a route's own counts for it alone.
    """
    shipped = RECORDED.config.alertmanager_shipped
    texts = {
        "all": shipped.replace("group_interval: 10s", "group_interval: 30s"),
        "one": shipped.replace("receiver: slack\n", "receiver: slack\n      repeat_interval: 1d\n", 1),
    }
    verdicts = {
        name: judged(replace(RECORDED, config=replace(RECORDED.config, alertmanager_shipped=text)))
        for name, text in texts.items()
    }

    assert {Status.BROKEN} == {each.status for each in verdicts["all"].values()}
    assert [name for name, each in verdicts["one"].items() if each.status is Status.BROKEN] == ["warning"]
    assert "repeat_interval 12h on the way to slack" in verdicts["one"]["warning"].text()


def test_silence_everywhere_proves_nothing() -> None:
    """
    Where no probe arrived at all, or Alertmanager died, no route is judged.
    """
    silent = judged(replace(RECORDED, notifications=()))
    dead = judged(replace(RECORDED, deaths=(Death(component="alertmanager", at=RECORDED.begun, detail="killed"),)))

    assert {Status.UNPROVEN} == {each.status for each in (*silent.values(), *dead.values())}
    assert "alertmanager died" in dead["critical"].text()


def shipping(*edits: tuple[str, str]) -> Timeline:
    """The recorded run with another Alertmanager file; what was told stays as it was."""
    text = RECORDED.config.alertmanager_shipped
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return replace(RECORDED, config=replace(RECORDED.config, alertmanager_shipped=text))


SPARE = "      routes: [{matchers: [cluster=osmen], receiver: spare}]\n"
CRITICAL = '    - matchers:\n        - severity="critical"\n'
INHIBITED = """
inhibit_rules:
  - source_matchers: ['severity="critical"']
    target_matchers: ['alertname=~"High.*"']
"""


@pytest.mark.parametrize(
    ("edits", "broken", "words"),
    [
        pytest.param(
            ((CRITICAL, f"    - matchers: [cluster=osmen]\n      receiver: default\n{CRITICAL}"),),
            {"critical", "warning"},
            'cluster="osmen"',
            id="a cluster is led to the mailbox",
        ),
        pytest.param(
            ((CRITICAL, CRITICAL.replace('="critical"', '=~"critical|info"')),),
            {"default"},
            'severity="info"',
            id="a route that takes more",
        ),
        pytest.param(
            ((CRITICAL, CRITICAL.replace('severity="critical"', 'alertname="ServiceDown"')),),
            {"critical", "warning", "default"},
            "alone is told of",
            id="a route by name",
        ),
        pytest.param(
            (("      receiver: pagerduty\n", "      receiver: pagerduty\n      continue: true\n"),),
            set(),
            "",
            id="a route that goes on to nobody else",
        ),
        pytest.param(
            (("receivers:\n", f"{INHIBITED}\nreceivers:\n"),),
            {"critical", "warning", "default"},
            "no inhibition",
            id="an inhibition",
        ),
        pytest.param(
            (("      receiver: slack\n", "      receiver: slack\n      mute_time_intervals: [weekend]\n"),),
            {"warning"},
            "names the time intervals weekend",
            id="a weekend without warnings",
        ),
        pytest.param(
            (
                ("      receiver: slack\n", f"      receiver: slack\n{SPARE}"),
                ("receivers:\n", "receivers:\n  - name: spare\n    slack_configs: [{channel: '#random'}]\n"),
            ),
            {"warning"},
            "slack (spare)",
            id="another channel for the deployment itself",
        ),
        pytest.param(
            (("resolve_timeout: 5m", "resolve_timeout: 1h"),),
            {"critical", "warning", "default"},
            "resolve_timeout 5m",
            id="another resolve_timeout",
        ),
    ],
)
def test_what_the_probes_do_not_meet_is_read_from_the_tree(
    edits: tuple[tuple[str, str], ...], broken: set[str], words: str
) -> None:
    """
    A route, an inhibition or a mute time for others than the posted probes breaks the routes that it concerns.
    """
    verdicts = judged(shipping(*edits))

    assert broken == {name for name, each in verdicts.items() if each.status is Status.BROKEN}
    assert broken | {name for name, each in verdicts.items() if each.status is Status.HOLDS} == set(ROUTES)
    assert all(words in verdicts[name].text() for name in broken)


def test_a_tree_that_cannot_be_read_proves_nothing() -> None:
    """
    What Alertmanager may have taken and this cannot read is no pass.
    """
    verdicts = judged(shipping(('severity="warning"', "severity")))

    assert {Status.UNPROVEN} == {each.status for each in verdicts.values()}
    assert "'severity' is no matcher" in verdicts["warning"].text()


@pytest.mark.parametrize("key", ["severity", "summary"])
def test_an_event_says_how_urgent_it_is_in_its_own_fields(key: str) -> None:
    """
    PagerDuty wakes people by the severity of the event, and shows its summary, whatever stands in the details.
    """

    def other(page: Notification) -> tuple[Notification, ...]:
        payload = page.body.get("payload")
        if not isinstance(payload, dict):
            return (page,)
        return (replace(page, body={**page.body, "payload": {**payload, key: "info"}}),)

    verdicts = judged(told(other))

    assert {"critical"} == {name for name, each in verdicts.items() if each.status is Status.BROKEN}
    assert "of severity critical" in verdicts["critical"].text() or "whose summary names" in verdicts["critical"].text()


@pytest.mark.parametrize(
    ("receiver", "route", "part"), [("slack", "warning", "title"), ("email", "default", "subject")]
)
def test_what_is_read_first_names_the_alert(receiver: str, route: str, part: str) -> None:
    """
    A title or a subject that all alerts share says nothing, whatever stands below it.
    """
    verdicts = judged(told(lambda page: (retitled(page) if page.receiver == receiver else page,)))

    assert {route} == {name for name, each in verdicts.items() if each.status is Status.BROKEN}
    assert f"a notification whose {part} names {PROBE}" in verdicts[route].text()
