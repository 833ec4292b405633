"""
Whether what was measured of an alert is what its document says, in the document's own unit.

It compares numbers with numbers; it must not know how a rule is worded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from conformance.contract.model import Direction
from conformance.simulate.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.contract.model import AlertPromise
    from conformance.simulate.result import Threshold

CLOSE = 0.001
"""How far beside the documented number the measured bracket may lie, as a share of it."""


class Said(StrEnum):
    """From best to worst."""

    AGREES = "agrees"
    UNPROVEN = "unproven"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One documented thing about one alert, and what was measured of it; `row` is where it was measured."""

    alert: str
    said: Said
    documented: str
    effective: str
    document: str
    row: Threshold | None = None

    def text(self) -> str:
        """As it reads on a screen, with the place and its caret."""
        where = f"{self.row.file}:{self.row.line}:{self.row.column}: " if self.row is not None else ""
        head = f"{where}{self.alert}: documented {self.documented} ({self.document}), effective {self.effective}"
        return f"{head}\n{self.row.shown}" if self.row is not None and self.row.shown else head


def judge(promises: Iterable[AlertPromise], rows: Sequence[Threshold]) -> tuple[Judged, ...]:
    """Each promise against the rows of its alert; one without a row that says something is unproven, never agreed."""
    found: list[Judged] = []
    for promise in promises:
        own = [row for row in rows if row.alert == promise.name]
        found += _states(promise, own) if promise.fires_on else _number(promise, own)
        found += _wait(promise, own)
    return tuple(found)


def _judged(promise: AlertPromise, said: Said, documented: str, effective: str, row: Threshold | None) -> Judged:
    return Judged(
        alert=promise.name, said=said, documented=documented, effective=effective, document=promise.document, row=row
    )


def _number(promise: AlertPromise, rows: Sequence[Threshold]) -> Iterator[Judged]:
    documented = f"{promise.direction} {promise.threshold:g} {promise.unit}"
    moving = [row for row in rows if _moves(row)]
    if not moving:
        odd = next((row for row in rows if row.outcome in (Outcome.NEVER, Outcome.ALWAYS, Outcome.OTHER)), None)
        if odd is not None:
            yield _judged(promise, Said.CONTRADICTS, documented, f"{odd.outcome}: {odd.reason}", odd)
            return
        first = next(iter(rows), None)
        measured = [row for row in rows if row.outcome is Outcome.MEASURED]
        if measured:
            reason = "nothing that moves the documented measure: no number of the rule depends on it"
            yield _judged(promise, Said.CONTRADICTS, documented, reason, measured[0])
        else:
            reason = f"not measured: {first.reason}" if first is not None else "not measured: no such rule"
            yield _judged(promise, Said.UNPROVEN, documented, reason, first)
        return
    for row in moving:
        silent, fires = row.measure_silent, row.measure_fires
        if silent is None or fires is None:
            continue
        low, high = sorted((silent, fires))
        slack = CLOSE * abs(promise.threshold)
        above = fires > silent
        within = low - slack <= promise.threshold <= high + slack
        right = above == (promise.direction is Direction.ABOVE)
        effective = f"{'>' if above else '<'} {_between(low, high, promise.threshold)} {promise.unit}"
        yield _judged(promise, Said.AGREES if within and right else Said.CONTRADICTS, documented, effective, row)


def _between(low: float, high: float, near: float) -> str:
    """One number where the bracket is as close as we measure, else both ends."""
    if high - low > 4 * CLOSE * max(abs(low), abs(high)):
        return f"{low:g} … {high:g}"
    return f"{near:g}" if low <= near <= high else f"{float(f'{(low + high) / 2:.3g}'):g}"


def _moves(row: Threshold) -> bool:
    silent, fires = row.measure_silent, row.measure_fires
    return row.outcome is Outcome.MEASURED and silent is not None and fires is not None and silent != fires


def _states(promise: AlertPromise, rows: Sequence[Threshold]) -> Iterator[Judged]:
    states = [row for row in rows if row.outcome is Outcome.STATE]
    documented = f"fires on {' or '.join(promise.fires_on)}"
    fires = {each for row in states for each in row.fires_on}
    first = next(iter(rows), None)
    odd = next((row for row in rows if row.outcome in (Outcome.NEVER, Outcome.ALWAYS, Outcome.OTHER)), None)
    if odd is not None:
        yield _judged(promise, Said.CONTRADICTS, documented, f"{odd.outcome}: {odd.reason}", odd)
    elif not states:
        reason = f"not measured: {first.reason}" if first is not None else "not measured: no such rule"
        yield _judged(promise, Said.UNPROVEN, documented, reason, first)
    else:
        said = Said.AGREES if fires == set(promise.fires_on) else Said.CONTRADICTS
        yield _judged(promise, said, documented, f"fires on {' or '.join(sorted(fires)) or 'nothing'}", states[0])


def _wait(promise: AlertPromise, rows: Sequence[Threshold]) -> Iterator[Judged]:
    wanted = promise.shipped.for_.total_seconds()
    for row in rows:
        if row.for_observed_s is None:
            continue
        # An alert waits for whole evaluations.
        steps = -(-wanted // row.evaluation_s) * row.evaluation_s
        said = Said.AGREES if abs(row.for_observed_s - steps) < row.evaluation_s / 1000 else Said.CONTRADICTS
        yield _judged(promise, said, f"for {wanted:g} s", f"for {row.for_observed_s:g} s", row)
