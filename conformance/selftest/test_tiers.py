"""Simulation and the live stack are compared for real: what one of them sees otherwise is told, and silence is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge.tiers import agree
from conformance.judge.verdict import Status
from conformance.selftest.deviants import moving, samples, then
from conformance.selftest.judging import ladders
from conformance.selftest.recording import timelines
from conformance.simulate.promtool import Promtool, PromtoolError
from conformance.simulate.replay import Clock, Scraped, replay, selectors
from conformance.timeline.replay import Bracket, Replayed
from fixtures.language import rules
from fixtures.stack.provision import provide
from fixtures.stack.tempo import rewrite_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

TEMPO, INTERVAL = 60.0, 0.25
BEGUN = 1_800_000_000.0

RULES = """\
groups:
  - name: replayed
    rules:
      - alert: TooMany
        expr: sum(rate(errors_total[5m])) > 0.1
        for: 5m
      - alert: Gone
        expr: up{job="app"} == 0 or absent(up{job="app"})
        for: 1m
      - alert: NoErrors
        expr: absent(errors_total{job="app"})
        for: 0m
"""
ALERTS = ("TooMany", "Gone", "NoErrors")


def judged(**bent: Callable[[Timeline], Timeline]) -> Verdict:
    """
    The verdict about the recorded run, of which some programs are bent; `_` stands for `-` in their names.
    """
    seen = dict(timelines())
    for name, bend in bent.items():
        program = name.replace("_", "-")
        seen[program] = bend(seen[program])
    return agree(ladders(), load(), seen)


def bracketed(alert: str, silent: float, fires: float) -> Callable[[Timeline], Timeline]:
    """
    The simulated tier finds the threshold of an alert elsewhere.
    """

    def bend(seen: Timeline) -> Timeline:
        assert seen.replayed is not None
        brackets = {**seen.replayed.brackets, alert: Bracket(silent_at=silent, fires_at=fires)}
        return replace(seen, replayed=replace(seen.replayed, brackets=brackets))

    return bend


def test_the_recorded_tiers_agree() -> None:
    """
    Unbent, every alert of the recorded run changed when promtool says that it does, and each of them changed.
    """
    verdict = judged()

    assert verdict.status is Status.HOLDS, verdict.text()
    assert verdict.observations >= 2 * len(ladders())
    assert "changes of 5 alerts" in verdict.reason


@pytest.mark.parametrize("state", ["pending", "firing"])
@pytest.mark.parametrize("moved", [2, -2])
def test_an_alert_that_changed_two_evaluations_beside_promtool_is_broken(state: str, moved: int) -> None:
    """
    One evaluation either way is allowed and two are not, early as late.
    """
    near = judged(error_rate_above=moving(state, first=moved // 2))
    far = judged(error_rate_above=moving(state, first=moved))

    assert near.status is Status.HOLDS, near.text()
    assert far.status is Status.BROKEN
    assert "HighErrorRate in error-rate-above" in far.reason
    assert "unmodified rule" in far.findings[0].expected


def long_scrape(seconds: float) -> Callable[[Timeline], Timeline]:
    """
    One scrape in the middle of the run takes so long.
    """

    def bend(seen: Timeline) -> Timeline:
        durations = seen.scrape_durations[0]
        at = durations.points[len(durations.points) // 2][0]
        long = replace(durations, points=tuple((t, seconds if t == at else took) for t, took in durations.points))
        return replace(seen, scrape_durations=(long, *seen.scrape_durations[1:]))

    return bend


def test_what_a_server_saw_later_than_promtool_excuses_what_differs() -> None:
    """
    A sample carries the time at which its scrape began; rules that are evaluated before its end do not see it.
    """
    bend, state = long_scrape(0.249), moving("firing", first=2)
    slow = judged(error_rate_above=lambda seen: state(bend(seen)))
    quick = judged(error_rate_above=lambda seen: state(long_scrape(0.0)(seen)))

    assert slow.status is Status.UNPROVEN
    assert "1 evaluations of its rules fell into scrapes, of which the longest took 249 ms" in slow.reason
    assert quick.status is Status.BROKEN
    assert judged(error_rate_above=bend).status is Status.HOLDS


def under_way(seen: Timeline) -> Timeline:
    """
    Every scrape lasts until the next evaluation is over, as where both have the same phase.
    """

    def took(at: float, seconds: float) -> float:
        after = next((each for each in seen.evaluations if each > at), at)
        return max(seconds, after + 0.001 - at)

    durations = tuple(
        replace(each, points=tuple((at, took(at, seconds)) for at, seconds in each.points))
        for each in seen.scrape_durations
    )
    return replace(seen, scrape_durations=durations)


@pytest.mark.parametrize(("moved", "status"), [(2, Status.HOLDS), (3, Status.UNPROVEN)])
def test_an_evaluation_that_fell_into_a_scrape_may_lie_two_beside(moved: int, status: Status) -> None:
    """
    It had lost the oldest sample of its window and not got the newest: what promtool sees there it sees two later.
    """
    late = then(moving("pending", last=moved), moving("firing", first=moved))
    verdict, quick = judged(error_rate_above=then(under_way, late)), judged(error_rate_above=late)

    assert verdict.status is status, verdict.text()
    assert quick.status is Status.BROKEN


def briefly(shift: int) -> Callable[[Timeline], Timeline]:
    """
    Promtool says that the gateway was down at two evaluations; the server saw it at the second, or so many later.
    """

    def bend(seen: Timeline) -> Timeline:
        assert seen.replayed is not None
        first, second = seen.evaluations[10:12]
        states = {**seen.replayed.states}
        states["ServiceDown"] = tuple(sorted((*states["ServiceDown"], (first, "pending"), (second, "pending"))))
        alerts = tuple(
            replace(each, points=tuple(sorted((*each.points, (seen.evaluations[11 + shift], 1.0)))))
            if (each.labels["alertname"], each.labels["alertstate"]) == ("ServiceDown", "pending")
            else each
            for each in seen.alerts
        )
        return replace(seen, alerts=alerts, replayed=replace(seen.replayed, states=states))

    return bend


@pytest.mark.parametrize(("shift", "agrees"), [(0, True), (1, False), (3, False)])
def test_what_a_server_saw_for_one_evaluation_was_seen(shift: int, agrees: bool) -> None:
    """
    A state that lasts no longer may be unknown to the other tier, and is no silence where the other knows of it.
    """
    verdict = judged(service_down=briefly(shift))

    assert (verdict.status is Status.HOLDS) is agrees, verdict.text()
    assert agrees or "ServiceDown in service-down" in verdict.text()


def test_an_alert_that_ended_late_is_broken() -> None:
    """
    The end counts as much as the beginning.
    """
    verdict = judged(memory=moving("firing", last=2, alert="HighMemoryUsage"))

    assert verdict.status is Status.BROKEN
    assert "HighMemoryUsage in memory" in verdict.reason


def test_another_alert_that_was_never_replayed_so_is_broken() -> None:
    """
    Also an alert that the cell is not about must be what promtool says of it.
    """

    def bend(seen: Timeline) -> Timeline:
        firing = [each for each in seen.alerts if each.labels["alertname"] == "HighMemoryUsage"]
        stray = tuple(replace(each, labels={**each.labels, "alertname": "HighErrorRate"}) for each in firing)
        return replace(seen, alerts=(*seen.alerts, *stray))

    verdict = judged(memory=bend)

    assert verdict.status is Status.BROKEN
    assert "HighErrorRate in memory" in verdict.reason


@pytest.mark.parametrize(
    ("silent", "fires"),
    [
        pytest.param(0.2, 0.2002, id="above-both-rungs"),
        pytest.param(0.05, 0.0501, id="below-both-rungs"),
        pytest.param(0.1001, 0.1, id="the-other-direction"),
    ],
)
def test_a_simulated_threshold_elsewhere_is_broken(silent: float, fires: float) -> None:
    """
    The rungs that were told apart live enclose the threshold that is simulated, in its direction.
    """
    verdict = judged(error_rate_above=bracketed("HighErrorRate", silent, fires))

    assert verdict.status is Status.BROKEN
    assert "the threshold of HighErrorRate" in verdict.reason
    assert "simulated: silent at" in verdict.findings[0].expected


def test_a_rule_of_which_no_number_is_found_is_broken() -> None:
    """
    An alert that has a number in its document and none in the simulation differs.
    """

    def bend(seen: Timeline) -> Timeline:
        assert seen.replayed is not None
        return replace(seen, replayed=replace(seen.replayed, brackets={}))

    assert "no number at which" in judged(memory=bend).findings[0].observed


@pytest.mark.parametrize(
    ("replayed", "words"),
    [(None, "its samples were not kept"), (Replayed(error="promtool cannot be started"), "promtool cannot be started")],
)
def test_what_was_not_replayed_is_unproven(replayed: Replayed | None, words: str) -> None:
    """
    Where there is nothing to compare with, nothing agrees.
    """
    verdict = judged(service_down=lambda seen: replace(seen, replayed=replayed))

    assert verdict.status is Status.UNPROVEN
    assert words in verdict.reason


def test_two_silences_agree_about_nothing() -> None:
    """
    An alert that never changed, live and simulated, is unproven.
    """

    def silent(seen: Timeline) -> Timeline:
        return replace(seen, alerts=(), replayed=replace(seen.replayed or Replayed(), states={}))

    verdict = judged(database_pool=silent)

    assert samples(timelines()["database-pool"], "firing", alert="DatabasePoolExhausted")
    assert verdict.status is Status.UNPROVEN
    assert "DatabasePoolExhausted never changed" in verdict.reason


# --- the replay itself, with the real promtool ---------------------------------------------------------------------


def tool() -> Promtool:
    """
    The provisioned promtool.
    """
    return Promtool(path=provide(["promtool"], announce=lambda _: None)["promtool"].path, processes=1)


def scraped(*, gone: range = range(120, 135), without: range = range(0)) -> list[Scraped]:
    """
    A target scraped at tempo 60: errors at 0.2/s of the document's time from 40 to 90, away while `gone`.
    """
    total, errors, up = 0.0, [], []
    for index in range(180):
        at = BEGUN + index * INTERVAL + 0.1
        total += 0.2 * INTERVAL * TEMPO * (40 <= index < 90)
        up.append((at, float(index not in gone)))
        if index not in gone and index not in without:
            errors.append((at, total))
    target = {"job": "app", "instance": "a:1"}
    return [
        Scraped(labels={"__name__": "errors_total", **target}, points=tuple(errors)),
        Scraped(labels={"__name__": "up", **target}, points=tuple(up)),
    ]


EVALUATIONS = tuple(round(BEGUN + 2 + index * INTERVAL, 3) for index in range(170))


def states(
    text: str, series: Sequence[Scraped], *, tempo: float = TEMPO, only: Sequence[str] = ALERTS
) -> dict[str, tuple[tuple[float, str], ...]]:
    """
    The replay of a rule text over the series.
    """
    return replay(
        text,
        series,
        alerts=only,
        clock=Clock(instant=EVALUATIONS[0], interval=INTERVAL, tempo=tempo),
        scrape_interval=INTERVAL,
        evaluations=EVALUATIONS,
        tool=tool(),
    )


def test_a_replay_sees_what_a_server_would_have_seen() -> None:
    """
    Pending, then firing after whole evaluations, then the end, at the instants that follow from the samples.
    """
    found = states(RULES, scraped())
    firing = {alert: [at for at, state in each if state == "firing"] for alert, each in found.items()}
    pending = {alert: [at for at, state in each if state == "pending"] for alert, each in found.items()}

    # Five minutes are twenty evaluations; the sample in which the target was away first is the 120th.
    assert len([at for at in pending["TooMany"] if at < firing["TooMany"][0]]) == 20
    assert pending["Gone"][0] == pytest.approx(BEGUN + 120 * INTERVAL + INTERVAL)
    assert firing["Gone"][0] - pending["Gone"][0] == pytest.approx(4 * INTERVAL)
    assert firing["Gone"][-1] == pytest.approx(BEGUN + 135 * INTERVAL)
    # A failed scrape ends its target's series at once, not five minutes later.
    assert firing["NoErrors"] == pytest.approx([at for at, _ in found["Gone"]])


def test_a_series_that_left_the_page_ends_at_the_next_scrape() -> None:
    """
    What a target no longer exposes is stale, though the target is up.
    """
    found = states(RULES, scraped(gone=range(0), without=range(100, 110)))

    assert len(found["NoErrors"]) == 10
    assert found["Gone"] == ()


def test_one_late_scrape_ends_nothing() -> None:
    """
    A gap that is no failed scrape leaves the last sample valid.
    """
    series = scraped(gone=range(0))
    late = [replace(each, points=(*each.points[:100], *each.points[101:])) for each in series]

    assert states(RULES, late)["NoErrors"] == ()


def test_a_target_that_hangs_is_down_when_its_scrape_is_given_up() -> None:
    """
    Until the time-out nothing is known of it, so pending begins later by as much.
    """
    series, key = scraped(), ("app", "a:1")
    hung = {round(BEGUN + index * INTERVAL + 0.1, 3): 0.2 for index in range(120, 135)}
    at_once = states(RULES, series)["Gone"][0][0]
    known = replay(
        RULES,
        series,
        alerts=ALERTS,
        clock=Clock(instant=EVALUATIONS[0], interval=INTERVAL, tempo=TEMPO),
        scrape_interval=INTERVAL,
        evaluations=EVALUATIONS,
        tool=tool(),
        durations={key: hung},
    )["Gone"][0][0]

    assert known == pytest.approx(at_once + INTERVAL)


def test_the_tempo_keeps_the_meaning_of_a_rule() -> None:
    """
    The rule as it is given to a server at tempo 60 changes, in real time, when the shipped one does in the document's.
    """
    given = rewrite_rules(RULES, tempo=60, file="rules.yml")

    assert states(given, scraped(), tempo=1.0) == states(RULES, scraped())


@pytest.mark.parametrize(
    ("edit", "alert"),
    [
        pytest.param(("[5s]", "[5m]"), "TooMany", id="a-range-is-not-divided"),
        pytest.param((" / 60", ""), "TooMany", id="a-rate-is-not-divided"),
        pytest.param(("for: 5s", "for: 8s"), "TooMany", id="another-for"),
        pytest.param(("for: 1s", "for: 2s"), "Gone", id="a-for-of-a-state"),
    ],
)
def test_a_tempo_that_forgets_something_is_told(edit: tuple[str, str], alert: str) -> None:
    """
    A rule that was divided wrongly changes at other evaluations than the shipped one.
    """
    given = rewrite_rules(RULES, tempo=60, file="rules.yml")
    assert edit[0] in given
    wrong = states(given.replace(*edit, 1), scraped(), tempo=1.0)
    right = states(RULES, scraped())

    assert wrong[alert] != right[alert]
    assert {name: wrong[name] for name in ALERTS if name != alert} == {
        name: right[name] for name in ALERTS if name != alert
    }


def test_only_what_the_rules_read_is_asked_for() -> None:
    """
    What a rule records itself is made again by the replay, not read.
    """
    text = RULES + "      - record: errors:rate\n        expr: rate(failures_total[1m])\n"
    text += "      - alert: Recorded\n        expr: errors:rate > 1\n"

    assert selectors([rules.load(text, file="rules.yml")]) == ("errors_total", "up", "failures_total")


def test_nothing_scraped_is_no_replay() -> None:
    """
    Without samples everything would look silent; that is an error.
    """
    with pytest.raises(PromtoolError, match="nothing was scraped"):
        states(RULES, [])
