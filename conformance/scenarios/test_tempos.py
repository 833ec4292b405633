"""What was measured at this tempo is what another tempo measured: the figures of every alert against kept ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge.tempos import agree
from conformance.scenarios import test_tiers as tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.tempos import Kept
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

pytestmark = tiers.pytestmark


@pytest.mark.covers("tempo/agree")
def test_another_tempo_measured_the_same(
    contract: Contract,
    timelines: Mapping[str, Timeline],
    other_tempos: tuple[Kept, ...],
    prove: Callable[[Verdict], None],
) -> None:
    """
    In the document's units and time each alert is silent, fires and waits as it did when time ran otherwise.
    """
    prove(agree(tiers.LADDERS, contract, timelines, other_tempos))
