"""What is asked of a cell's Prometheus beside what the guide documents, at every tempo at which there are runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.contract.load import load
from conformance.perform import measures
from conformance.timeline.model import LATE
from fixtures.language import promql
from fixtures.stack.stack import SCRAPE_INTERVAL, read_rules
from fixtures.stack.tempo import rewrite_rules

TEMPOS = (1, 2, 16, 30, 32, 48, 60, 80, 96, 160, 240, 300)
"""Also those at which ranges are whole milliseconds and a scrape's interval is not."""


@pytest.mark.parametrize("tempo", TEMPOS)
def test_measures_can_be_asked_at_every_tempo_at_which_rules_run(tempo: float) -> None:
    """
    The value of a rate is also asked as it is before the newest scrape; what looks at no window has no such value.
    """
    for name, text in read_rules(Path(__file__).parents[2] / "rules").items():
        rewrite_rules(text, tempo=tempo, file=name)
    scrape = SCRAPE_INTERVAL.total_seconds() / tempo

    asked = measures(load(), tempo, scrape=scrape)

    late = {name.removesuffix(LATE): query for name, query in asked.items() if name.endswith(LATE)}
    assert set(late) == {"HighErrorRate", "HighResponseTime"}
    for name, query in late.items():
        (whole,), (shorter,) = (promql.Layout(each).ranges() for each in (asked[name], query))
        (offset,) = promql.Layout(query).offsets()
        lengths = [
            promql.milliseconds(each.duration, text)
            for each, text in ((whole, asked[name]), (shorter, query), (offset, query))
        ]
        assert lengths[0] == lengths[1] + lengths[2]
        assert lengths[2] == round(scrape * 1000)
