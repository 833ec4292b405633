"""What a virtual clock made of a run: the unmodified rules over the samples that were scraped, and their thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Bracket:
    """The nearest two values, in the document's unit, of which an alert is silent at one and fires at the other."""

    silent_at: float
    fires_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """
    One program's samples, stretched to the document's time and given to promtool with the rules as they ship.

    `states` has, by alert, each evaluation (Unix seconds, as the live rule was evaluated) at which it was pending or
    firing; `samples` counts what was read of each metric; `error` says why there is nothing.
    """

    states: Mapping[str, tuple[tuple[float, str], ...]] = field(default_factory=dict)
    samples: Mapping[str, int] = field(default_factory=dict)
    brackets: Mapping[str, Bracket] = field(default_factory=dict)
    """By alert that has a number: its effective threshold as it is simulated."""
    error: str = ""
