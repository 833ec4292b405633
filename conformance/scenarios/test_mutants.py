"""
Wrong rules beside the right ones: each must be caught, in this very run, by the judges that pass the right ones.

They read what their cell's gateway says and are told to nobody. One is wrong in its number, one in its time, and one
wakes too early; what a mutant must break is what its change means, so it is written by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge.mutants import Mutant, Part, caught
from conformance.scenarios import test_error_rate as errors
from conformance.scenarios import test_service_down as down

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

RAISED = Mutant(
    name="threshold-raised",
    ladder=errors.LADDER,
    program=errors.ABOVE.name,
    part=Part.THRESHOLD,
    factor=1.25,
    # At 1.1 times the documented threshold it never fires, so nothing is seen of its `for`, nor of its end.
    breaks={"fires-above": "did not become pending when its measure passed the threshold"},
)

LOWERED = Mutant(
    name="threshold-lowered",
    ladder=errors.LADDER,
    program=errors.BELOW.name,
    part=Part.THRESHOLD,
    factor=0.8,
    breaks={"silent-below": "where it must be silent"},
)

LONGER = Mutant(
    name="for-doubled",
    ladder=down.LADDER,
    program=down.DOWN.name,
    part=Part.FOR,
    factor=2,
    breaks={"for": "waits longer than documented"},
    # Long scrapes, on a busy machine, give an alert more time to fire than this mutant takes.
    may_break=frozenset({"fires-above"}),
)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            each,
            id=each.clause,
            marks=[
                pytest.mark.covers(each.clause),
                pytest.mark.mutant(each),
                pytest.mark.program(
                    *(
                        program
                        for program in (errors.BELOW, errors.ABOVE, down.DOWN)
                        if program.name in (each.ladder.below, each.ladder.above)
                    )
                ),
            ],
        )
        for each in (RAISED, LOWERED, LONGER)
    ],
)
def test_a_wrong_rule_is_caught(
    mutant: Mutant, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    The rule with one number changed breaks exactly what that number decides, for that reason.
    """
    prove(caught(mutant, contract, timelines))
