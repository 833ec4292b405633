"""
Performs bent subjects until each has shown what it is to show, as often as the main job would have it, and then anew.

A machine that was too busy is excused, as it is there; what is found otherwise than it should be is final at once.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, cast

from conformance.judge import premise
from conformance.judge.verdict import Status
from conformance.perform import Foreseen, Stage, worth_another
from fixtures.core.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.perform import Foresee, Listener
    from conformance.timeline.model import Timeline
    from fixtures.faults.program import Program
    from fixtures.stack.stack import Settings, Subject

    Judge = Callable[[Timeline], Iterable[tuple[Status, Verdict]]]
    """Each verdict about a timeline, after the status that it must have."""
    Perform = Callable[[Sequence[Program], Foresee], Mapping[str, Timeline]]
    """Performs programs on a stack of their own; gives back their timelines by program."""

TIMES = 3
"""How many stacks are stood up; on each a program that proved nothing is performed twice."""


class Quiet:
    """Listens and says nothing."""

    def __getattr__(self, _: str) -> object:
        return lambda *_: None


def foreseen(timelines: Iterable[Timeline], judge: Judge) -> Foreseen:
    """What is unproven and should not be, which another attempt may prove, and what is wrong in any other way."""
    doubts: dict[str, list[str]] = {}
    firm: dict[str, list[str]] = {}
    for seen in timelines:
        for wanted, told in judge(seen):
            if told.status is wanted:
                # Found on a busy machine it is found all the same.
                continue
            verdict = premise.excused(told, [seen])
            said = f"{verdict.clause} is {verdict.status} where it should be {wanted}: {verdict.reason}"
            if verdict.status is not Status.UNPROVEN:
                firm.setdefault(seen.program, []).append(said)
            elif not verdict.lasting:
                doubts.setdefault(seen.program, []).append(said)
    return Foreseen(doubts=doubts, firm=firm)


def performed(programs: Sequence[Program], judge: Judge, perform: Perform) -> dict[str, Timeline]:
    """
    The timeline of each program, of the last stack that it was performed on.

    What was settled on one stack stays so: on the next stands only what is in doubt.
    """
    timelines: dict[str, Timeline] = {}
    left = list(programs)
    for _ in range(TIMES):
        timelines |= perform(left, lambda seen: foreseen(seen.values(), judge))
        told = foreseen(timelines.values(), judge)
        left = [each for each in left if worth_another(each, timelines[each.name], (), told)]
        if not left:
            break
    return timelines


def staged(
    programs: Sequence[Program],
    foresee: Foresee,
    *,
    settings: Settings,
    contract: Contract,
    subjects: Mapping[str, Subject] | None = None,
    dashboards: Mapping[str, str] | None = None,
) -> Mapping[str, Timeline]:
    """The timelines of the programs, performed side by side on one stack."""
    journal = Journal(settings.rundir.path / "journal.ndjson")
    stage = Stage(
        programs,
        settings=settings,
        contract=contract,
        journal=journal,
        listener=cast("Listener", Quiet()),
        subjects=subjects,
        dashboards=dashboards,
        foresee=foresee,
    )
    # A process that has run thousands of tests holds much: to look through all of it takes longer than a scrape may.
    gc.collect()
    gc.freeze()
    try:
        stage.run()
    finally:
        gc.unfreeze()
        journal.close()
    return stage.timelines
