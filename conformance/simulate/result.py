"""What is known of an alert's threshold once it was measured, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(StrEnum):
    """What kind of answer a measurement gave."""

    MEASURED = "measured"
    STATE = "state"
    """The alert hangs on a state, not on a number: `fires_on` lists what it fires on."""
    NEVER = "never fires"
    ALWAYS = "always fires"
    OTHER = "fires for another reason than its number"
    UNMEASURED = "cannot be measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How long the alert takes at `multiple` of its threshold, over the phases of scrape against evaluation."""

    multiple: float
    least_s: float
    most_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """
    One condition of one alert as it behaves; numbers are in the carrier's unit unless they are named otherwise.

    `place` is file, line and column of the number or the construct, `shown` its line with carets.
    """

    alert: str
    outcome: Outcome
    reason: str = ""
    branch: str = ""
    operator: str = ""
    constant: float | None = None
    carrier: str = ""
    unit: str = ""
    baseline: Mapping[str, float] = field(default_factory=dict)
    silent_at: float | None = None
    fires_at: float | None = None
    resolution: tuple[float, float] | None = None
    measure_silent: float | None = None
    """The contract's measure, in the documented unit, at `silent_at`; so too `measure_fires`."""
    measure_fires: float | None = None
    spread: Mapping[str, float] = field(default_factory=dict)
    at_threshold: str = ""
    clears_at: float | None = None
    monotone: bool | None = None
    intervals: tuple[tuple[float, float], ...] = ()
    ratio: str = ""
    zero_denominator: str = ""
    absent_denominator: str = ""
    slow_share: tuple[float, float] | None = None
    fires_on: tuple[str, ...] = ()
    phase_band_s: tuple[float, float] | None = None
    time_to_fire: tuple[Speed, ...] = ()
    for_documented_s: float = 0.0
    for_observed_s: float | None = None
    evaluation_s: float = 15.0
    file: str = ""
    line: int = 0
    column: int = 0
    shown: str = ""
