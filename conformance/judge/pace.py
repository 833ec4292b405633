"""How often something was to be done, and was, in seconds of the run: whether that is the same, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.language.durations import format_ms

if TYPE_CHECKING:
    from conformance.timeline.model import Timeline

WRITTEN = 0.001
"""An interval that was divided by the tempo is written in whole milliseconds."""


def same(left: float, right: float) -> bool:
    """Whether two intervals are one, but for how finely they are written."""
    return abs(left - right) < WRITTEN


def every(seconds: float, timeline: Timeline) -> str:
    """An interval in the document's time, and in the run's where that is another."""
    run = f" ({seconds:g} s at tempo {timeline.tempo:g})" if timeline.tempo != 1 else ""
    return f"every {format_ms(round(seconds * timeline.tempo * 1000))}{run}"
