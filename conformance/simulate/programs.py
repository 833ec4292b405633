"""
A program of faults as promtool cases over the unmodified rules: the same story as on the stack, on a virtual clock.

It knows what a program's rungs mean for the series that an alert reads; it must not know how a fault is injected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conformance.simulate.carrier import Kind, anatomy
from conformance.simulate.effective import Around, rule_text
from conformance.simulate.promtool import Ask, Case, PromtoolError, Series, Sheet
from conformance.simulate.series import REQUESTS, START, named, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.contract.model import AlertPromise
    from conformance.simulate.carrier import Key, Leaf
    from conformance.simulate.effective import Subject
    from conformance.simulate.promtool import Answer, Promtool
    from fixtures.faults.program import Program

DEFAULT_REST: Final = 0.1
"""What a gauge carries in a phase without a rung, as a share of the smallest rung."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """
    The letters of `measuring`, in seconds of the document's time.

    `reach` is how long a step needs to be seen by the measure, `hold` how long a rung must then last; a state that
    lasts at most `silent_up_to` never fires, one that lasts `fires_from` always does, what lies between is luck.
    """

    range_s: float
    reach_s: float
    hold_s: float
    for_s: float
    silent_up_to_s: float
    fires_from_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseSeen:
    """One phase on the virtual clock: the evaluations at which the alert was pending or firing, and the measure."""

    name: str
    begin_s: float
    end_s: float
    rung: float | None
    pending: tuple[float, ...]
    firing: tuple[float, ...]
    measure: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """A program as one alert lived it."""

    program: str
    alert: str
    windows: Windows
    evaluation_s: float
    phases: tuple[PhaseSeen, ...]

    def phase(self, name: str) -> PhaseSeen:
        """The phase of that name."""
        for each in self.phases:
            if each.name == name:
                return each
        raise KeyError(f"{self.program} has no phase {name!r}; phases: {', '.join(each.name for each in self.phases)}")

    @property
    def waited_s(self) -> float | None:
        """How long the alert was pending without a break before it first fired, where it fired."""
        pending = {at for each in self.phases for at in each.pending}
        firing = [at for each in self.phases for at in each.firing]
        if not firing:
            return None
        began = min(firing)
        while began - self.evaluation_s in pending:
            began -= self.evaluation_s
        return min(firing) - began


def windows(expr: str, for_s: float, around: Around, records: Mapping[str, str] | None = None) -> Windows:
    """How long a rule looks back and waits; a recording rule beneath adds one evaluation."""
    found = anatomy(expr, records or {})
    scrape, evaluation = around.scrape_ms / 1000, around.evaluation_ms / 1000
    waits = math.ceil(round(for_s / evaluation, 6)) * evaluation
    looks = (found.window_ms + found.offset_ms) / 1000 + len(found.records) * evaluation
    return Windows(
        range_s=looks,
        reach_s=looks + scrape,
        hold_s=waits + 3 * evaluation,
        for_s=waits,
        silent_up_to_s=max(0.0, waits - scrape),
        fires_from_s=waits + scrape + evaluation,
    )


def simulate(
    told: Sequence[tuple[Program, AlertPromise, Subject]], tool: Promtool, around: Around
) -> tuple[Simulated, ...]:
    """Every program under the rule that its alert has in the files, all in two runs of promtool."""
    stories = [_Story(program, promise, subject, around) for program, promise, subject in told]
    scales = tool.run([story.scale() for story in stories])
    sheets = [story.sheet(found.of("scale")[0].value) for story, found in zip(stories, scales, strict=True)]
    return tuple(
        story.read(found.of(story.program.name)) for story, found in zip(stories, tool.run(sheets), strict=True)
    )


class _Story:
    """One program with the alert that it is told for."""

    def __init__(self, program: Program, promise: AlertPromise, subject: Subject, around: Around) -> None:
        self.program, self.promise, self.subject, self.around = program, promise, subject, around
        records = {name: rule.expr for name, rule in subject.records.items()}
        found = anatomy(subject.rule.expr, records)
        measured = anatomy(promise.measure, records)
        self.leaves: dict[Key, Leaf] = {**measured.leaves, **found.leaves}
        self.records = [subject.records[name] for name in found.records]
        self.carrier = next(iter(measured.leaves))
        self.windows = windows(subject.rule.expr, subject.rule.for_.total_seconds(), around, records)
        self.rests: dict[Key, float] = {key: self._rest(key) for key in self.leaves}

    def _rest(self, key: Key) -> float:
        """What a leaf carries in the calm: a health that is well, a limit that is known, an hour without errors."""
        leaf = self.leaves[key]
        for name, value in self.around.environment.items():
            if leaf.name == name or leaf.name.endswith(f"_{name}"):
                return float(value)
        if key != self.carrier or self.program.takes_down:
            return 1.0
        if leaf.kind is Kind.COUNTER:
            return 0.0
        if leaf.kind is Kind.HISTOGRAM:
            return 0.01
        return DEFAULT_REST * min(self.program.rungs.values(), default=1.0)

    def scale(self) -> Sheet:
        """What the measure says where the carrier carries 1; rungs are in the measure's unit."""
        steps = math.ceil(self.windows.reach_s * 1000 / self.around.scrape_ms) + 2
        last = (steps - 1) * self.around.scrape_ms
        series = self._series(steps, lambda _: 1.0, lambda seconds: seconds)
        case = Case(
            name="scale",
            series=series,
            asks=(Ask(expr=self.promise.measure, at_ms=last),),
            interval_ms=self.around.scrape_ms,
        )
        return Sheet(rules=rule_text(None, self.records), cases=(case,), evaluation_ms=self.around.scrape_ms)

    def sheet(self, scale: float | None) -> Sheet:
        """The whole program: at each evaluation the alert's state and the measure."""
        if not scale and self.program.rungs:
            raise PromtoolError(
                f"program {self.program.name}: the measure of {self.promise.name} says nothing where {self.carrier[0]} "
                "carries 1, so its rungs have no series"
            )
        if self.leaves[self.carrier].kind is Kind.HISTOGRAM:
            # A value observed is in the measure's unit already.
            scale = 1.0
        levels = [
            (phase.lasts.total_seconds(), self._level(phase.name, bool(phase.faults), scale or 1.0))
            for phase in self.program.phases
        ]
        whole = sum(seconds for seconds, _ in levels)
        every = self.around.evaluation_ms / 1000
        times = [round(step * self.around.evaluation_ms) for step in range(int(whole / every) + 1)]
        state = f'ALERTS{{alertname="{self.promise.name}"}}'
        asks = tuple(Ask(expr=expr, at_ms=at) for at in times for expr in (state, self.promise.measure))
        case = Case(
            name=self.program.name,
            series=self._series(int(whole * 1000 / self.around.scrape_ms) + 1, _at(levels), _integral(levels)),
            asks=asks,
            interval_ms=self.around.scrape_ms,
        )
        text = rule_text(self.subject.rule, self.records)
        return Sheet(rules=text, cases=(case,), evaluation_ms=self.around.evaluation_ms)

    def _level(self, phase: str, faulty: bool, scale: float) -> float:
        if self.program.takes_down:
            return 0.0 if faulty else 1.0
        rung = self.program.rungs.get(phase)
        return self.rests[self.carrier] if rung is None else rung / scale

    def _series(
        self, steps: int, level: Callable[[float], float], total: Callable[[float], float]
    ) -> tuple[Series, ...]:
        found: list[Series] = []
        times = [step * self.around.scrape_ms / 1000 for step in range(steps)]
        for key, leaf in self.leaves.items():
            own = key == self.carrier
            rest = self.rests[key]
            if leaf.kind is Kind.HISTOGRAM:
                found += self._histogram(leaf, times, level if own else lambda _, rest=rest: rest)  # type: ignore[misc]
                continue
            if leaf.kind is Kind.COUNTER:
                values = [START + (total(at) if own else rest * at) for at in times]
            else:
                values = [level(at) if own else rest for at in times]
            text = " ".join(number(value) for value in values)
            found.append(Series(name=named(leaf.name, leaf.labels), values=text))
        return tuple(found)

    def _histogram(self, leaf: Leaf, times: Sequence[float], level: Callable[[float], float]) -> list[Series]:
        found = []
        for bound in (*self.around.buckets.get(leaf.name, (1.0, 5.0, 10.0, 15.0, 30.0)), math.inf):
            total, values, before = START, [], 0.0
            for at in times:
                # What ends between two scrapes took as long as the phase at the later one says.
                total += REQUESTS * (at - before) * (level(at) <= bound)
                values.append(number(total))
                before = at
            le = "+Inf" if math.isinf(bound) else f"{bound:g}"
            found.append(Series(name=named(leaf.name, {**leaf.labels, "le": le}), values=" ".join(values)))
        return found

    def read(self, answers: Sequence[Answer]) -> Simulated:
        """Sort what was seen into the phases."""
        every = self.around.evaluation_ms / 1000
        seen = [(index * every, answers[2 * index], answers[2 * index + 1]) for index in range(len(answers) // 2)]
        phases, begin = [], 0.0
        for phase in self.program.phases:
            end = begin + phase.lasts.total_seconds()
            # A sample at the very end of a phase still belongs to it.
            own = [row for row in seen if begin < row[0] <= end or row[0] == begin == 0.0]
            phases.append(
                PhaseSeen(
                    name=phase.name,
                    begin_s=begin,
                    end_s=end,
                    rung=self.program.rungs.get(phase.name),
                    pending=tuple(at for at, state, _ in own if _is(state, "pending")),
                    firing=tuple(at for at, state, _ in own if _is(state, "firing")),
                    measure=tuple((at, value) for at, _, said in own if (value := said.value) is not None),
                )
            )
            begin = end
        return Simulated(
            program=self.program.name,
            alert=self.promise.name,
            windows=self.windows,
            evaluation_s=every,
            phases=tuple(phases),
        )


def _is(state: Answer, wanted: str) -> bool:
    return any(sample.labels.get("alertstate") == wanted for sample in state.samples)


def _at(levels: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """The level that holds at a time; at the very end of a phase it is still the phase's."""

    def level(at: float) -> float:
        begin = 0.0
        for seconds, value in levels:
            begin += seconds
            if at <= begin:
                return value
        return levels[-1][1]

    return level


def _integral(levels: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """What a counter has counted by a time."""

    def total(at: float) -> float:
        found, begin = 0.0, 0.0
        for seconds, value in levels:
            found += value * max(0.0, min(at - begin, seconds))
            begin += seconds
        return found

    return total
