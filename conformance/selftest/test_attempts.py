"""Bent subjects are performed until the machine let them show what they are to show, and no longer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.judge.verdict import Status, broken, holds, unproven
from conformance.scenarios.test_error_rate import ABOVE, BELOW
from conformance.selftest import attempts
from conformance.selftest.recording import timelines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.judge.verdict import Verdict
    from conformance.perform import Foresee, Foreseen
    from conformance.timeline.model import Timeline
    from fixtures.faults.program import Program

BUSY, BENT, SOUND = unproven("x", "the machine was too busy"), broken("x", "is bent"), holds("x", observations=1)
NEVER = unproven("x", "cannot be asked", lasting=True)


def used(seen: Timeline, share: float) -> Timeline:
    """A timeline in which that share of the processors was in use."""
    return replace(seen, processors=((seen.begun, share), (seen.ended, share)))


class Machine:
    """Gives the recorded timelines for what is performed, and lets one verdict after the other be seen of the first."""

    def __init__(self, *verdicts: Verdict, wanted: Status = Status.BROKEN, used: float = 0.5) -> None:
        self.verdicts = verdicts
        self.wanted = wanted
        self.used = used
        self.stacks: list[list[str]] = []
        self.told: list[Foreseen] = []

    def judge(self, seen: Timeline) -> Iterable[tuple[Status, Verdict]]:
        """The second must be broken, and always is."""
        if seen.program == ABOVE.name:
            yield self.wanted, self.verdicts[len(self.stacks) - 1]
        else:
            yield Status.BROKEN, BENT

    def perform(self, programs: Sequence[Program], foresee: Foresee) -> Mapping[str, Timeline]:
        self.stacks.append([each.name for each in programs])
        found = {each.name: used(timelines()[each.name], self.used) for each in programs}
        self.told.append(foresee(found))
        return found

    def stood(self) -> list[list[str]]:
        """Which programs were performed on which stack."""
        assert set(attempts.performed([ABOVE, BELOW], self.judge, self.perform)) == {ABOVE.name, BELOW.name}
        return self.stacks


def test_what_the_machine_kept_from_showing_is_performed_again_by_itself() -> None:
    """
    Until it shows; what was settled stays so.
    """
    machine = Machine(BUSY, BUSY, BENT)

    assert machine.stood() == [[ABOVE.name, BELOW.name], [ABOVE.name], [ABOVE.name]]
    assert [set(each.doubts) for each in machine.told] == [{ABOVE.name}, {ABOVE.name}, set()]


def test_a_machine_that_is_always_too_busy_is_given_up() -> None:
    """
    What then is unproven is judged as that.
    """
    assert len(Machine(*[BUSY] * 9).stood()) == attempts.TIMES


def test_what_shows_at_once_or_otherwise_than_it_should_is_performed_once() -> None:
    """
    A bend that was not found is a defect that another attempt might wash away; so is what no attempt finds otherwise.
    """
    for verdict in (BENT, SOUND, NEVER):
        assert Machine(verdict).stood() == [[ABOVE.name, BELOW.name]]
    assert Machine(BENT, wanted=Status.HOLDS).stood() == [[ABOVE.name, BELOW.name]]

    missed = Machine(SOUND)
    missed.stood()
    assert missed.told[0].firm == {ABOVE.name: ["x is holds where it should be broken: "]}


def test_what_a_full_machine_broke_is_excused_and_what_it_did_not_hide_is_found() -> None:
    """
    Of a machine with nothing left the main job believes no break; a bend that shows there shows.
    """
    assert len(Machine(BENT, BENT, BENT, wanted=Status.HOLDS, used=1.0).stood()) == attempts.TIMES
    assert Machine(BENT, used=1.0).stood() == [[ABOVE.name, BELOW.name]]
