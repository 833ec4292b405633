"""
Plays a probe of the orchestrator over answers that were really given: when it would restart, when it would route.

It knows how a kubelet asks, waits and counts; it must not know whether a service was right to answer so. All times are
seconds of the document's time, but for how long an answer took: a service takes that long at every tempo.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OFFSETS = 20
"""In how many phases, evenly over a period, a probe is played: nobody knows in which one a kubelet asks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probing:
    """The numbers of a probe, in seconds, named as an orchestrator names them."""

    initial_delay: float
    period: float
    timeout: float
    failure_threshold: int
    success_threshold: int

    @property
    def failing(self) -> float:
        """After how long at most a service that fails from now on is found out."""
        return self.failure_threshold * self.period + self.timeout

    @property
    def succeeding(self) -> float:
        """After how long at most a service that is well from now on is found well."""
        return self.success_threshold * self.period + self.timeout


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """An answer: asked `at`, given after `seconds`; without a status there was none."""

    at: float
    seconds: float
    status: int | None

    def well(self, timeout: float) -> bool:
        """Whether a kubelet takes it for a success."""
        return self.status is not None and 200 <= self.status < 400 and self.seconds <= timeout


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A decision: from `at` on the service is taken to be well, or not; `heard` is the answer that decided it."""

    at: float
    well: bool
    heard: Heard


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Answers in the order in which they were asked for; each stands for the time that is nearest to it."""

    heard: Sequence[Heard]

    def near(self, at: float) -> Heard:
        """The answer that a question at an instant would have had."""
        place = bisect_right(self.heard, at, key=lambda each: each.at)
        beside = self.heard[max(0, place - 1) : place + 1]
        return min(beside, key=lambda each: abs(each.at - at))

    @property
    def gap(self) -> float:
        """The longest time between two of them: how exactly they tell when something began."""
        return self.gap_in(-inf, inf)

    def gap_in(self, start: float, end: float) -> float:
        """The same of those that reach into a time."""
        return max((gap for at, gap in self._gaps() if at < end and at + gap > start), default=0.0)

    def blank(self, longest: float) -> float:
        """Which share of the time lies between two of them that are further apart than `longest`."""
        gaps = [gap for _, gap in self._gaps()]
        return sum(gap for gap in gaps if gap > longest) / (sum(gaps) or 1.0)

    def _gaps(self) -> Iterator[tuple[float, float]]:
        return ((before.at, after.at - before.at) for before, after in pairwise(self.heard))


def played(
    probing: Probing, answers: Answers, *, begun: float, ended: float, offset: float, well: bool, restarts: bool
) -> tuple[Turn, ...]:
    """
    The decisions of one kubelet that begins at `begun` plus the initial delay and `offset`, until `ended`.

    `well` is what it takes the service for before it has asked. With `restarts` a decision that the service is not well
    begins everything anew, the initial delay included, as it does for a container that was restarted.
    """
    asked = begun + probing.initial_delay + offset
    return tuple(_decisions(probing, answers, at=asked, ended=ended, well=well, restarts=restarts))


def _decisions(
    probing: Probing, answers: Answers, *, at: float, ended: float, well: bool, restarts: bool
) -> Iterator[Turn]:
    run, last = 0, well
    while at < ended and answers.heard:
        heard = answers.near(at)
        said = heard.well(probing.timeout)
        decided = at + min(heard.seconds if heard.status is not None else probing.timeout, probing.timeout)
        run = run + 1 if said is last else 1
        last = said
        needed = probing.success_threshold if said else probing.failure_threshold
        # One question after the other: what waited for an answer asks again when it has one.
        at = max(at + probing.period, decided)
        if run >= needed and said is not well:
            yield Turn(at=decided, well=said, heard=heard)
            well = said
            if restarts and not said:
                at, run, last, well = decided + probing.initial_delay, 0, True, True


def offsets(period: float) -> tuple[float, ...]:
    """The phases in which a probe is played."""
    return tuple(period * number / OFFSETS for number in range(OFFSETS))
