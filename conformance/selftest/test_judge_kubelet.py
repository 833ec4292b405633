"""The player of probes: it counts, waits and decides as an orchestrator does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge.kubelet import OFFSETS, Answers, Heard, Probing, offsets, played

if TYPE_CHECKING:
    from collections.abc import Callable

LIVE = Probing(initial_delay=30, period=10, timeout=1, failure_threshold=3, success_threshold=1)
READY = Probing(initial_delay=5, period=5, timeout=1, failure_threshold=3, success_threshold=1)
ENDED = 300.0


def answers(status: Callable[[float], int | None], seconds: Callable[[float], float] = lambda _: 0.01) -> Answers:
    """One answer each second."""
    return Answers(heard=[Heard(at=float(at), seconds=seconds(at), status=status(at)) for at in range(int(ENDED))])


def restarts(given: Answers, offset: float = 0.0) -> list[float]:
    turns = played(LIVE, given, begun=0.0, ended=ENDED, offset=offset, well=True, restarts=True)
    return [turn.at for turn in turns if not turn.well]


def rotation(given: Answers, offset: float = 0.0, probing: Probing = READY) -> list[tuple[float, bool]]:
    turns = played(probing, given, begun=0.0, ended=ENDED, offset=offset, well=False, restarts=False)
    return [(turn.at, turn.well) for turn in turns]


@pytest.mark.parametrize("offset", offsets(LIVE.period))
def test_a_sound_service_is_never_restarted(offset: float) -> None:
    """
    In no phase of the asking.
    """
    assert restarts(answers(lambda _: 200), offset) == []


@pytest.mark.parametrize("offset", offsets(LIVE.period))
def test_a_service_that_hangs_is_restarted_in_every_phase(offset: float) -> None:
    """
    Three silences in a row, each as long as the time-out, and within the time that they take.
    """
    (first, *_) = restarts(answers(lambda at: None if at >= 100 else 200), offset)

    assert 100 + 2 * LIVE.period < first <= 100 + LIVE.failing + 1


def test_a_restarted_service_has_its_initial_delay_again() -> None:
    """
    Nothing is asked before the delay is over, so one that never answers is restarted each 51 s.
    """
    assert restarts(answers(lambda _: None)) == [51.0, 102.0, 153.0, 204.0, 255.0]


@pytest.mark.parametrize(("silent", "times"), [(20, 0), (30, 1)])
def test_two_failures_are_forgiven_and_a_third_is_not(silent: int, times: int) -> None:
    """
    Only failures in a row count, as many as the threshold says.
    """
    assert len(restarts(answers(lambda at: 503 if 100 <= at < 100 + silent else 200), 1.0)) == times


@pytest.mark.parametrize(
    ("status", "seconds", "well"),
    [(200, 0.9, True), (302, 0.1, True), (399, 0.1, True), (400, 0.1, False), (199, 0.1, False), (200, 1.1, False)],
)
def test_a_success_is_a_status_below_400_in_time(status: int, seconds: float, well: bool) -> None:
    """
    An answer after the time-out is none.
    """
    assert Heard(at=0, seconds=seconds, status=status).well(1.0) is well


def test_readiness_begins_unready_and_follows_its_thresholds() -> None:
    """
    In with the first success after the delay, out with the third failure, in again with the first success.
    """
    assert rotation(answers(lambda at: 503 if 100 <= at < 160 else 200)) == [
        (5.01, True),
        (110.01, False),
        (160.01, True),
    ]


def test_a_higher_success_threshold_waits_for_more() -> None:
    """
    Two successes in a row bring it back.
    """
    patient = Probing(initial_delay=5, period=5, timeout=1, failure_threshold=3, success_threshold=2)

    assert rotation(answers(lambda at: 503 if at < 60 else 200), probing=patient) == [(65.01, True)]


def test_a_slow_probe_delays_the_next_one() -> None:
    """
    One question at a time: where the time-out exceeds the period, it sets the pace.
    """
    slow = Probing(initial_delay=0, period=1, timeout=8, failure_threshold=3, success_threshold=1)
    turns = played(slow, answers(lambda _: None), begun=0.0, ended=ENDED, offset=0.0, well=True, restarts=False)

    assert [turn.at for turn in turns] == [24.0]


def test_an_answer_stands_for_the_time_nearest_to_it() -> None:
    """
    Between two of them the nearer one counts; the widest gap is told.
    """
    given = Answers(heard=[Heard(at=at, seconds=0.0, status=int(200 + at)) for at in (0.0, 10.0, 14.0)])

    assert [given.near(at).status for at in (-5, 4, 6, 11.9, 12.1, 99)] == [200, 200, 210, 210, 214, 214]
    assert given.gap == 10.0


def test_every_phase_is_one_of_the_period() -> None:
    """
    Evenly over a period, beginning with none.
    """
    assert offsets(10.0)[:2] == (0.0, 10.0 / OFFSETS)
    assert len(offsets(10.0)) == OFFSETS
    assert max(offsets(10.0)) < 10.0
