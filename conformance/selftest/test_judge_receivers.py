"""The judges of failing receivers and of grouping over a recorded run, sound and bent in one way each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.judge.delivery import state, texts
from conformance.judge.receivers import about
from conformance.judge.verdict import Status, Verdict
from conformance.scenarios.test_routes import APART, FAILURES, OTHER, RECEIVERS
from conformance.selftest.judging import judge
from conformance.selftest.test_judge_routes import RECORDED, retitled
from conformance.timeline.model import Death

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.timeline.model import Notification, Timeline

    Change = Callable[[Notification], tuple[Notification, ...]]

KINDS = {"pagerduty": "pagerduty", "slack": "slack", "default": "email"}
HOLDS, BROKEN, UNPROVEN = Status.HOLDS, Status.BROKEN, Status.UNPROVEN
FAILING = [f"receiver/{receiver}/{failure}" for receiver in RECEIVERS for failure in FAILURES]
GROUPING = "route/grouping"


def judged(timeline: Timeline) -> dict[str, Verdict]:
    """The verdicts of the live tests about failing receivers and grouping."""
    found = judge({timeline.program: timeline})
    return {clause: verdict for clause, verdict in found.items() if clause == GROUPING or clause in FAILING}


def bent(alert: str, change: Change, *, receiver: str = "") -> Timeline:
    """The recorded run with each notification about an alert (at that receiver) put as `change` has it."""
    own = [page.notification for page in about(RECORDED, alert, anywhere=True)]
    pages = [
        new
        for page in RECORDED.notifications
        for new in (change(page) if page in own and receiver in ("", page.receiver) else (page,))
    ]
    return replace(RECORDED, notifications=tuple(sorted(pages, key=lambda page: page.at)))


def taken(page: Notification) -> bool:
    return page.accepted and not over(page)


def over(page: Notification) -> bool:
    return state(page, "\n".join(texts(page.body))) == "resolved"


def lost(page: Notification) -> tuple[Notification, ...]:
    return () if taken(page) else (page,)


def doubled(page: Notification) -> tuple[Notification, ...]:
    return (page, replace(page, at=page.at + 0.5)) if taken(page) else (page,)


def late(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, at=RECORDED.phase("over").start + 0.5),) if taken(page) else (page,)


def renamed(page: Notification) -> tuple[Notification, ...]:
    """The page that is taken has another key, or another heading, than those that were not, or than its end."""
    return (replace(page, body=_otherwise(dict(page.body))),) if taken(page) else (page,)


def _otherwise(body: dict[str, object]) -> dict[str, object]:
    if "dedup_key" in body:
        return {**body, "dedup_key": "another"}
    if "subject" in body:
        return {**body, "subject": f"again: {body['subject']}"}
    attachments = body["attachments"]
    assert isinstance(attachments, list)
    return {**body, "attachments": [{**each, "title": f"again: {each['title']}"} for each in attachments]}


def keyless(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, body={key: value for key, value in page.body.items() if key != "dedup_key"}),)


def endless(page: Notification) -> tuple[Notification, ...]:
    return () if over(page) else (page,)


def ended_twice(page: Notification) -> tuple[Notification, ...]:
    return (page, replace(page, at=page.at + 0.1)) if over(page) else (page,)


def ended_late(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, at=RECORDED.phase("over").start + 3.2),) if over(page) else (page,)


def untried(page: Notification) -> tuple[Notification, ...]:
    return (page,) if page.accepted else ()


def taken_at_once(page: Notification) -> tuple[Notification, ...]:
    return (page,) if page.accepted else (replace(page, accepted=True, status=200),)


def test_the_recorded_run_holds() -> None:
    """
    Each receiver was told once of every page that it did not take at first, and every group as one.
    """
    assert dict.fromkeys([*FAILING, GROUPING], HOLDS) == {name: each.status for name, each in judged(RECORDED).items()}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lost, "was lost", id="lost"),
        pytest.param(doubled, "each answered with a yes", id="doubled"),
        pytest.param(late, "was told too late", id="late"),
        pytest.param(renamed, "was repeated under another key", id="another key"),
        pytest.param(endless, "its end was not told once, in time", id="end lost"),
        pytest.param(ended_twice, "its end was not told once, in time", id="end doubled"),
        pytest.param(ended_late, "its end was not told once, in time", id="end late"),
    ],
)
def test_what_becomes_of_a_page_breaks_its_clause_alone(
    change: Change, words: str, receiver: str, failure: str
) -> None:
    """
    A page that is lost, doubled, late, or not known again breaks the clause of that receiver and failure only.
    """
    clause = f"receiver/{receiver}/{failure}"
    verdicts = judged(bent(FAILURES[failure][0], change, receiver=KINDS[receiver]))

    assert [name for name, each in verdicts.items() if each.status is not HOLDS] == [clause]
    assert verdicts[clause].status is BROKEN
    assert words in verdicts[clause].text()
    assert all(each.expected and each.observed for each in verdicts[clause].findings)


def test_an_incident_without_a_key_is_broken() -> None:
    """
    Where PagerDuty is given no key, every repetition is another incident.
    """
    verdict = judged(bent("RefuseProbe", keyless, receiver="pagerduty"))["receiver/pagerduty/refuses"]

    assert verdict.status is BROKEN
    assert "no key" in verdict.text()


@pytest.mark.parametrize("receiver", ["slack", "default"])
def test_a_heading_that_all_alerts_share_is_no_key(receiver: str) -> None:
    """
    In a chat and in a mailbox nothing but the heading tells a repetition from a page about something else.
    """
    changed = bent("RefuseProbe", lambda page: (retitled(page),), receiver=KINDS[receiver])
    verdicts = judged(changed)
    clause = f"receiver/{receiver}/refuses"

    assert [name for name, each in verdicts.items() if each.status is not HOLDS] == [clause]
    assert verdicts[clause].status is BROKEN
    assert "no key" in verdicts[clause].text()


def test_what_a_receiver_took_and_did_not_answer_may_be_told_again() -> None:
    """
    A page without an answer is no second one: it may have been taken, and it may not.
    """
    verdict = judged(RECORDED)["receiver/slack/hangs"]

    assert verdict.status is HOLDS
    assert "tried 2 times in vain (no answer), 10.0 to 10.0 s apart; told once" in verdict.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [(untried, "nothing was sent to slack while it failed"), (taken_at_once, "the fault did not bite: slack took")],
)
def test_a_receiver_that_did_not_fail_proves_nothing(change: Change, words: str) -> None:
    """
    Where nothing was refused, nothing could be lost.
    """
    verdict = judged(bent("ErrorProbe", change, receiver="slack"))["receiver/slack/errors"]

    assert verdict.status is UNPROVEN
    assert words in verdict.reason


def test_connections_that_nobody_refused_prove_nothing() -> None:
    """
    Where Alertmanager tried nothing while nobody listened, the page of later shows no recovery.
    """
    phases = tuple(replace(each, reached=0.0) if each.name == "away" else each for each in RECORDED.phases)
    verdicts = judged(replace(RECORDED, phases=phases))

    assert {f"receiver/{each}/away" for each in RECEIVERS} == {
        name for name, each in verdicts.items() if each.status is UNPROVEN
    }


@pytest.mark.parametrize("component", ["alertmanager-routes", "receivers-routes", "prometheus-routes"])
def test_a_death_proves_nothing(component: str) -> None:
    """
    Where the cell's own Alertmanager or receivers died unbidden, nothing is judged.
    """
    dead = Death(component=component, at=RECORDED.begun, detail="killed by SIGKILL")
    verdicts = judged(replace(RECORDED, deaths=(dead,)))

    assert {each.status for each in verdicts.values()} == {UNPROVEN}
    assert f"{component} died" in verdicts[GROUPING].reason


def test_a_run_that_ended_early_proves_nothing() -> None:
    """
    What was not yet due when the run ended is not lost.
    """
    cut = RECORDED.phase("over").start + 0.2
    pages = tuple(page for page in RECORDED.notifications if page.at < cut)
    # The scrapes of a run reach to its end.
    up = tuple(replace(each, points=tuple(p for p in each.points if p[0] < cut)) for each in RECORDED.up)
    verdicts = judged(replace(RECORDED, notifications=pages, ended=cut, up=up))

    assert UNPROVEN is verdicts["receiver/slack/refuses"].status
    assert UNPROVEN is verdicts[GROUPING].status


# --- grouping -----------------------------------------------------------------------------------------------------


def _text(page: Notification, change: Callable[[str], str]) -> Notification:
    attachments = page.body["attachments"]
    assert isinstance(attachments, list)
    return replace(
        page, body={**page.body, "attachments": [{**each, "text": change(each["text"])} for each in attachments]}
    )


def _first(page: Notification) -> bool:
    return not over(page) and page.at < RECORDED.phase("recovered").start and OTHER not in str(page.body)


def told_apart(page: Notification) -> tuple[Notification, ...]:
    """Each alert of the group in a notification of its own."""
    if not _first(page):
        return (page,)
    return tuple(
        _text(page, lambda text, each=each: text.replace("probe ", "alert ").replace(f"alert {each}", f"probe {each}"))  # type: ignore[misc]
        for each in "abc"
    )


def told_together(page: Notification) -> tuple[Notification, ...]:
    """The alert of the other cluster in the notification of the first."""
    if OTHER in str(page.body) and not over(page):
        return ()
    return (_text(page, lambda text: f"{text}\nseverity warning, probe {APART[0]}"),) if _first(page) else (page,)


def without_one(page: Notification) -> tuple[Notification, ...]:
    return (_text(page, lambda text: text.replace("probe b", "")),) if _first(page) else (page,)


def addition_untold(page: Notification) -> tuple[Notification, ...]:
    return (page,) if over(page) or page.at < RECORDED.phase("recovered").start else ()


def addition_alone(page: Notification) -> tuple[Notification, ...]:
    if over(page) or page.at < RECORDED.phase("recovered").start:
        return (page,)
    return (_text(page, lambda text: text.replace("probe a", "").replace("probe b", "").replace("probe c", "")),)


def addition_late(page: Notification) -> tuple[Notification, ...]:
    grown = RECORDED.phase("recovered").start
    return (page,) if over(page) or page.at < grown else (replace(page, at=grown + 3.5),)


def end_untold(page: Notification) -> tuple[Notification, ...]:
    return () if over(page) else (page,)


def end_in_part(page: Notification) -> tuple[Notification, ...]:
    return (_text(page, lambda text: text.replace("probe c", "")),) if over(page) else (page,)


def first_late(page: Notification) -> tuple[Notification, ...]:
    return (replace(page, at=page.at + 2.5),) if _first(page) else (page,)


def repeated(page: Notification) -> tuple[Notification, ...]:
    return (page, replace(page, at=page.at + 1)) if _first(page) else (page,)


def elsewhere(page: Notification) -> tuple[Notification, ...]:
    return (page, replace(page, receiver="email")) if _first(page) else (page,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(told_apart, "3: a at slack", id="each apart"),
        pytest.param(told_together, "two groups were told together", id="two groups together"),
        pytest.param(without_one, "a, c at slack", id="one is missing"),
        pytest.param(addition_untold, "one firing notification of a, b, c, d at slack", id="addition untold"),
        pytest.param(addition_alone, "1: d at slack", id="addition alone"),
        pytest.param(addition_late, "0.50 s late", id="addition late"),
        pytest.param(end_untold, "one resolved notification of a, b, c, d", id="end untold"),
        pytest.param(end_in_part, "1: a, b, d at slack", id="end in part"),
        pytest.param(first_late, "s late", id="late"),
        pytest.param(repeated, "2: a, b, c at slack", id="repeated"),
        pytest.param(elsewhere, "a, b, c at email", id="told elsewhere too"),
    ],
)
def test_a_group_that_is_told_otherwise_is_broken(change: Change, words: str) -> None:
    """
    Apart, together with another, in part, late, twice or not at all: each breaks grouping, and no receiver's clause.
    """
    verdicts = judged(bent("GroupProbe", change))

    assert [name for name, each in verdicts.items() if each.status is not HOLDS] == [GROUPING]
    assert verdicts[GROUPING].status is BROKEN
    assert words in verdicts[GROUPING].text()


def test_grouping_that_no_probe_shows_is_read_from_the_text() -> None:
    """
    A group by more labels than the document's is broken though these alerts differ in one alone.
    """
    text = RECORDED.config.alertmanager_shipped.replace("'cluster']", "'cluster', 'instance']")
    verdict = judged(replace(RECORDED, config=replace(RECORDED.config, alertmanager_shipped=text)))[GROUPING]

    assert verdict.status is BROKEN
    assert "group_by [alertname, cluster] on the way to slack" in verdict.text()


def test_silence_about_every_group_proves_nothing() -> None:
    """
    Where no probe arrived at all, Alertmanager may have told nobody anything.
    """
    assert judged(bent("GroupProbe", lambda _: ()))[GROUPING].status is UNPROVEN
