"""
The effective threshold of any alerting rule: the value at which it is silent, the next at which it fires, and the rest.

Each rule is a small conversation (a sheet of cases, its answers, the next sheet); all rules speak at once, so that a
round of the whole folder costs two processes. It must not know how a contract judges what was measured.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conformance.simulate.carrier import UNITS, Condition, Kind, Leaf, Unmeasurable, anatomy
from conformance.simulate.promtool import SCRAPE_MS, Ask, Case, Measured, Sheet
from conformance.simulate.result import Outcome, Speed, Threshold
from conformance.simulate.series import Moving, Section, Slow, World, written
from conformance.simulate.sweep import Pace, Sweep, Swept, bounds, values
from fixtures.language.durations import format_duration, format_ms
from fixtures.language.promql import Layout, PromqlError
from fixtures.language.rules import AlertRule, RecordingRule, blame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from conformance.simulate.carrier import Anatomy, Key
    from conformance.simulate.promtool import Answer, Promtool
    from conformance.simulate.series import Level
    from fixtures.language.rules import RuleFile

SPREAD_OVER: Final = 5
MULTIPLES: Final = (1.1, 2.0, 10.0)
PHASES: Final = 4
_ROUNDS: Final = 4
_ALONE: Final = "measured by itself: in the alert another comparison decides before this one does"
_DECOY: Final = 1_000.0
"""What a series carries that a matcher keeps out: enough to be seen by a rule that does not keep it out."""
_CANDIDATES: Final = 3
_FAR: Final = 1_000.0
"""The margin where two series are compared and the other one may be moved for a condition of its own."""
_VARIANTS: Final = (1.0, 1e3, 1e-3, 1e6)
"""By what the other series of a condition are scaled until its branch lets it through."""
_MOST_COUNTED: Final = 300
_LONGEST_WAIT: Final = 1_300
"""The longest `for` that is waited for, in steps; a longer one is not observed."""

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """What stands around the rules: intervals, known values and buckets, and each alert's documented measure."""

    scrape_ms: int = SCRAPE_MS
    evaluation_ms: int = SCRAPE_MS
    environment: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """An alerting rule with the file it stands in and the recording rules of the whole folder."""

    file: RuleFile
    rule: AlertRule
    records: Mapping[str, RecordingRule]


def subjects(files: Iterable[RuleFile]) -> tuple[Subject, ...]:
    """Every alerting rule of a set of files that are loaded together."""
    files = tuple(files)
    records = {rule.name: rule for file in files for rule in file.rules if isinstance(rule, RecordingRule)}
    return tuple(
        Subject(file=file, rule=rule, records=records)
        for file in files
        for rule in file.rules
        if isinstance(rule, AlertRule)
    )


def measure(
    wanted: Sequence[Subject], tool: Promtool, around: Around | None = None
) -> tuple[tuple[Threshold, ...], ...]:
    """The thresholds of each subject, in order: one for each comparison and each state that its alert hangs on."""
    found: dict[int, tuple[Threshold, ...]] = {}
    talks = {index: _Study(each, around or Around()).talk() for index, each in enumerate(wanted)}
    sheets: dict[int, Sheet] = {}
    for index in list(talks):
        _advance(index, talks, None, sheets, found)
    while sheets:
        asked, sheets = sheets, {}
        for index, measured in zip(asked, tool.run(list(asked.values())), strict=True):
            _advance(index, talks, measured, sheets, found)
    return tuple(found[index] for index in range(len(wanted)))


def _advance(
    index: int,
    talks: Mapping[int, Generator[Sheet, Measured, tuple[Threshold, ...]]],
    measured: Measured | None,
    sheets: dict[int, Sheet],
    found: dict[int, tuple[Threshold, ...]],
) -> None:
    try:
        sheets[index] = next(talks[index]) if measured is None else talks[index].send(measured)
    except StopIteration as stop:
        found[index] = stop.value


def rule_text(
    rule: AlertRule | None, records: Sequence[RecordingRule] = (), *, evaluation_ms: int | None = None
) -> str:
    """A rule file with one alert, without its texts, and the recording rules beneath it (JSON, which is YAML)."""
    written_rules: list[dict[str, object]] = [
        {"record": each.name, "expr": each.expr, **({"labels": dict(each.labels)} if each.labels else {})}
        for each in records
    ]
    if rule is not None:
        one: dict[str, object] = {"alert": rule.name, "expr": rule.expr, "for": format_duration(rule.for_)}
        if rule.keep_firing_for:
            one["keep_firing_for"] = format_duration(rule.keep_firing_for)
        written_rules.append(one)
    group: dict[str, object] = {"name": "simulated", "rules": written_rules}
    if evaluation_ms is not None:
        group["interval"] = format_ms(evaluation_ms)
    return json.dumps({"groups": [group] if written_rules else []})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """A condition whose change was bracketed, and with what everything else was held."""

    swept: Swept
    held: Mapping[Key, Level]
    wide: Swept | None = None
    """The sweep over everything, of which the last one is a small part."""
    alone: bool = False
    """Whether the comparison was measured by itself, because in the alert another one decides before it does."""

    @property
    def whole(self) -> Swept:
        return self.wide or self.swept


class _Study:
    """The conversation about one rule."""

    def __init__(self, subject: Subject, around: Around) -> None:
        self.subject = subject
        self.around = around
        self.rule = subject.rule
        self.first: dict[int, Swept] = {}
        self.serial = 0

    # --- the conversation ---------------------------------------------------------------------------------------
    def talk(self) -> Generator[Sheet, Measured, tuple[Threshold, ...]]:
        """Ask sheet by sheet; whatever cannot be measured ends in a row that says why."""
        try:
            return (yield from self._talk())
        except PromqlError as error:
            return (self._unmeasured(f"parser: {error.message}", error.start, error.end),)
        except Unmeasurable as error:
            return (self._unmeasured(error.construct, error.start, error.end),)
        except _Failed as error:
            return (self._unmeasured(str(error), 0, len(self.rule.expr)),)

    def _talk(self) -> Generator[Sheet, Measured, tuple[Threshold, ...]]:
        records = {name: rule.expr for name, rule in self.subject.records.items()}
        self.anatomy = anatomy(self.rule.expr, records)
        self.records = [self.subject.records[name] for name in self.anatomy.records]
        self.conditions = self.anatomy.conditions
        self.pace = Pace.of(self.anatomy, self.around.scrape_ms, self._oldest() if self.anatomy.dated else 0)
        self.world = self._world(self.anatomy, records)
        numeric = [index for index, each in enumerate(self.conditions) if not each.state]
        yield from self._coarse([index for index in numeric if self.conditions[index].inner])
        self._set_counted()
        yield from self._coarse([index for index in numeric if not self.conditions[index].inner])
        found = yield from self._bracketed(numeric)
        rows = yield from self._detailed(found)
        return tuple(rows[index] for index in sorted(rows))

    def _oldest(self) -> int:
        """The longest time that the expression may compare with, from the product of the numbers of a comparison."""
        products = [
            math.prod(
                max(1.0, abs(float(token.text))) for token in Layout(each.text).numbers() if "x" not in token.text
            )
            for each in self.conditions
        ]
        return math.ceil(min(max(products, default=1.0), 1e8))

    def _ask(
        self, cases: Sequence[Case], *, rule: bool = False
    ) -> Generator[Sheet, Measured, dict[str, tuple[Answer, ...] | str]]:
        text = rule_text(self.rule if rule else None, self.records)
        every, plateau = self.pace.interval_ms, self.pace.interval_ms * self.pace.plateau
        aligned = all(ask.at_ms % plateau == 0 for case in cases for ask in case.asks)
        if aligned and not (rule or self.anatomy.followed):
            # Recording rules are needed at the questions alone, which come every plateau.
            every = plateau
        asked = Sheet(rules=text, cases=tuple(cases), evaluation_ms=every)
        measured = yield asked
        if measured.error:
            raise _Failed(f"does not load: {measured.error}")
        return {case.name: measured.answers.get(case.name, measured.errors.get(case.name, "")) for case in cases}

    # --- the world ----------------------------------------------------------------------------------------------
    def _world(self, found: Anatomy, records: Mapping[str, str]) -> World:
        leaves = dict(found.leaves)
        text = self.around.measures.get(self.rule.name)
        if text:
            # The documented measure may read series that the rule does not.
            leaves = {**anatomy(text, records).leaves, **leaves}
        constants = {
            key: condition.constant
            for condition in reversed(found.conditions)
            for key in condition.candidates
            if not condition.state
        }
        buckets = {
            key: self.around.buckets.get(leaf.name, bounds(constants.get(key)))
            for key, leaf in leaves.items()
            if leaf.kind is Kind.HISTOGRAM
        }
        counted = max(
            [20]
            + [
                math.ceil(abs(each.constant)) + 3
                for each in found.conditions
                if each.constant is not None
                and not each.inner
                and each.candidates
                and leaves[each.candidates[0]].counted
                and math.isfinite(each.constant)
            ]
        )
        if counted > _MOST_COUNTED and any(leaf.counted for leaf in leaves.values()):
            raise Unmeasurable(f"a count of more than {_MOST_COUNTED} series", 0, len(found.expr))
        baseline: dict[Key, Level] = {key: self._resting(leaf, buckets) for key, leaf in leaves.items()}
        decoys = dict.fromkeys(leaves, _DECOY)
        world = World(leaves=leaves, baseline=baseline, buckets=buckets, counted=counted, decoys=decoys)
        stated: set[Key] = set(found.contrasted)
        for condition in found.conditions:
            if condition.state and not condition.inner and condition.candidates:
                if condition.candidates[0] not in stated:
                    baseline[condition.candidates[0]] = _state(condition, met=condition.wanted)
                stated.add(condition.candidates[0])
            for key, kind in condition.kinds.items():
                if kind is Kind.GAUGE and leaves[key].kind is Kind.SLOPE:
                    baseline[key] = Moving(level=1.0, slope=0.0)
        return world

    def _full(self, held: Mapping[Key, Level]) -> dict[Key, Level]:
        """What is held, with the resting level and slope of every series that is read as both."""
        return {**{key: level for key, level in self.world.baseline.items() if isinstance(level, Moving)}, **held}

    def _resting(self, leaf: Leaf, buckets: Mapping[Key, tuple[float, ...]]) -> float:
        for name, value in self.around.environment.items():
            if leaf.name == name or leaf.name.endswith(f"_{name}"):
                return float(value)
        if leaf.kind is Kind.HISTOGRAM:
            return buckets[leaf.key][0] / 2
        if leaf.counted:
            return 10.0
        return 0.0 if leaf.kind in (Kind.SLOPE, Kind.CHANGES, Kind.RESETS) else 1.0

    def _set_counted(self) -> None:
        """What a counted series carries where it meets the condition that is counted, and where it does not."""
        on_off: dict[Key, tuple[float, float | None]] = {}
        for index, condition in enumerate(self.conditions):
            if not condition.inner or not condition.candidates or condition.operator in {"absent", "present"}:
                continue
            if condition.state:
                key = condition.candidates[0]
                on, off = _state(condition, met=True), _state(condition, met=False)
                on_off[key] = (on if isinstance(on, float) else 1.0, off if isinstance(off, float) else None)
            elif (swept := self.first.get(index)) is not None and swept.turn:
                key = swept.sweep.key
                off = _beyond(swept, self.world, met=False)
                on = _beyond(swept, self.world, met=True)
                if isinstance(on, float) and isinstance(off, float):
                    on_off[key] = (on, off)
        self.world = replace(self.world, on_off=on_off)

    # --- coarse -------------------------------------------------------------------------------------------------
    def _coarse(self, indices: Sequence[int]) -> Generator[Sheet, Measured, None]:
        """Each comparison by itself, each of its likeliest leaves scaled; the first that turns it one way is kept."""
        for turn in range(_CANDIDATES):
            sweeps = [
                (index, self._first_sweep(index, turn, condition.candidates[turn]))
                for index in indices
                if turn < len((condition := self.conditions[index]).candidates)
                and ((known := self.first.get(index)) is None or known.turn is None)
            ]
            if not sweeps:
                return
            got = yield from self._sweep([sweep for _, sweep in sweeps], {})
            for index, sweep in sweeps:
                swept, known = got[sweep.name], self.first.get(index)
                if known is None or swept.turn or (swept.flips and not known.flips):
                    self.first[index] = swept

    def _first_sweep(self, index: int, turn: int, key: Key) -> Sweep:
        condition, leaf = self.conditions[index], self.world.leaves[key]
        counted = self.world.counted if leaf.counted and not condition.inner else 0
        most = leaf.window_ms // self.pace.interval_ms - 1
        kind = condition.kinds.get(key, leaf.kind)
        xs = values(condition, kind, self.world.buckets.get(key, ()), counted, most)
        by_level = kind is Kind.GAUGE and leaf.kind is Kind.SLOPE
        name = f"coarse {index} {turn}"
        return Sweep(name=name, text=condition.text, condition=condition, key=key, xs=xs, by_level=by_level)

    def _sweep(
        self, sweeps: Sequence[Sweep], held: Mapping[str, Mapping[Key, Level]]
    ) -> Generator[Sheet, Measured, dict[str, Swept]]:
        cases = []
        for each in sweeps:
            world = self._single(each) if each.condition.inner else self.world
            cases.append(each.case(world, self.pace, self._full(held.get(each.name, {}))))
        got = yield from self._ask(cases)
        found = {}
        for each in sweeps:
            answers = got[each.name]
            if isinstance(answers, str):
                nothing = tuple(None for _ in each.xs)
                silent = tuple(False for _ in each.xs)
                found[each.name] = Swept(sweep=each, fired=silent, left=nothing, right=nothing, error=answers)
            else:
                found[each.name] = each.read(answers)
        return found

    def _single(self, sweep: Sweep) -> World:
        """The world in which a counted leaf is one series, for the condition that is counted."""
        leaf = replace(self.world.leaves[sweep.key], counted=False)
        return replace(
            self.world,
            leaves={**self.world.leaves, sweep.key: leaf},
            baseline={**self.world.baseline, sweep.key: 1.0},
        )

    # --- brackets -----------------------------------------------------------------------------------------------
    def _bracketed(self, numeric: Sequence[int]) -> Generator[Sheet, Measured, dict[int, _Found]]:
        """Within its branch, everything else held as the alert needs it: coarse where there is more, then fine."""
        found: dict[int, _Found] = {}
        open_: dict[int, Sweep] = {}
        held: dict[int, dict[Key, Level]] = {}
        for index in numeric:
            swept, condition = self.first.get(index), self.conditions[index]
            if swept is None or (condition.guard and not condition.constant) or self._dated(condition, swept):
                continue
            alone = condition.inner or condition.guard
            held[index] = {} if alone else self._held(condition, swept)
            branch = condition.text if alone else self.anatomy.branches[condition.branch][0]
            if branch == condition.text and not held[index]:
                found[index] = _Found(swept=swept, held={})
            else:
                open_[index] = self._branch_sweep(index, branch)
        tries = dict.fromkeys(open_, 0)
        for _ in range(_ROUNDS + len(_VARIANTS)):
            if open_:
                names = {sweep.name: held[index] for index, sweep in open_.items()}
                got = yield from self._sweep(list(open_.values()), names)
                for index, sweep in open_.items():
                    fine = sweep.name.startswith("fine")
                    wide, by_itself = (found[index].whole, found[index].alone) if fine else (None, False)
                    found[index] = _Found(swept=got[sweep.name], held=held[index], wide=wide, alone=by_itself)
            following = {index: self._following(index, found, held, tries) for index in found}
            open_ = {index: sweep for index, sweep in following.items() if sweep is not None}
            if not open_:
                break
        return found

    def _following(
        self,
        index: int,
        found: dict[int, _Found],
        held: dict[int, dict[Key, Level]],
        tries: dict[int, int],
    ) -> Sweep | None:
        """The next sweep of a condition: finer, in another world, or by itself; nothing when it is done."""
        each, first = found[index], self.first[index]
        turn = each.swept.turn
        if turn is not None and (each.alone or index not in tries or each.swept.crosses(turn)):
            return None if self._done(each.swept) else each.swept.finer(f"fine {index}")
        if first.turn is None or index not in tries or each.alone:
            return None
        if tries[index] + 1 < len(_VARIANTS):
            tries[index] += 1
            factor = _VARIANTS[tries[index]] / _VARIANTS[tries[index] - 1]
            held[index] = self._scaled(index, held[index], factor)
            return replace(self._branch_sweep(index, each.swept.sweep.text), name=f"branch {index} {tries[index]}")
        if not any(each.swept.fired):
            return None
        held[index] = {}
        found[index] = _Found(swept=first, held={}, alone=True)
        return None if self._done(first) else first.finer(f"fine {index}")

    def _branch_sweep(self, index: int, text: str) -> Sweep:
        """The first sweep again, in its branch, with the values about which other comparisons of the carrier turn."""
        sweep = self.first[index].sweep
        edges = sorted(
            {
                edge
                for other in self.first.values()
                if other.sweep.key == sweep.key
                and other.sweep.by_level == sweep.by_level
                and (edge := other.expected) is not None
            }
        )
        more = {edge * part for edge in edges for part in (0.99, 1.01)}
        more |= {(one + other) / 2 for one, other in itertools.pairwise(edges)}
        whole = self._whole(sweep)
        xs = tuple(sorted({*sweep.xs, *more})) if more and not whole else sweep.xs
        return replace(sweep, name=f"branch {index}", text=text, xs=xs)

    def _whole(self, sweep: Sweep) -> bool:
        """Whether a carrier takes only the values that its first sweep has all of."""
        leaf = self.world.leaves[sweep.key]
        return leaf.kind in (Kind.HISTOGRAM, Kind.CHANGES, Kind.RESETS) or (leaf.counted and not sweep.condition.inner)

    def _scaled(self, index: int, held: Mapping[Key, Level], factor: float) -> dict[Key, Level]:
        """The other series of a condition, many times as large: what else is demanded of the carrier is then met."""
        own = self.first[index].sweep.key
        levels = {**self.world.baseline, **held}
        branch = self.conditions[index].branch
        return {
            **held,
            **{
                key: level * factor
                for each in self.conditions
                if each.branch == branch and not each.state and not each.inner
                for key in each.candidates
                if key != own and isinstance(level := levels[key], float) and not self.world.leaves[key].counted
            },
        }

    def _done(self, swept: Swept) -> bool:
        if self._whole(swept.sweep):
            return True
        low, high = swept.bracket
        # Around zero the distance has no measure: one step of the finest coarse value is the increment.
        return swept.close or high - low <= 1e-6

    def _held(self, condition: Condition, own_sweep: Swept | None) -> dict[Key, Level]:
        """Every other condition as the branch needs it, those of other branches false, with a margin of a factor 2."""
        held: dict[Key, Level] = {}
        carrier = own_sweep.sweep.key if own_sweep else next(iter(condition.candidates), None)
        own = {key for each in self.conditions if each.branch == condition.branch for key in each.candidates}
        for index, other in enumerate(self.conditions):
            if other is condition or other.inner or not other.candidates:
                continue
            same = other.branch == condition.branch
            swept = self.first.get(index)
            key = swept.sweep.key if swept else other.candidates[0]
            if swept is not None and isinstance(self.world.baseline[key], Moving):
                if same and swept.turn and not (own_sweep and (key, swept.sweep.by_level) == self._half(own_sweep)):
                    rest = held.get(key, self.world.baseline[key])
                    if isinstance(rest, Moving):
                        x = _beyond(swept, self.world, met=other.wanted)
                        held[key] = replace(rest, level=x) if swept.sweep.by_level else replace(rest, slope=x)
                continue
            if key == carrier or (not same and key in own) or key in held:
                continue
            if other.state:
                level = _state(other, met=other.wanted == same)
                if level != self.world.baseline[key]:
                    held[key] = level
            elif swept is not None and swept.turn:
                met = other.wanted == same
                against = not other.fixed
                if against or self._met_at_rest(swept) != met:
                    held[key] = _beyond(swept, self.world, met=met, margin=_FAR if against else 2.0)
        return held

    def _half(self, swept: Swept) -> tuple[Key, bool]:
        return swept.sweep.key, swept.sweep.by_level

    def _met_at_rest(self, swept: Swept) -> bool | None:
        rest = self.world.baseline[swept.sweep.key]
        if not isinstance(rest, float):
            return None
        low, high = swept.bracket
        if rest > 2 * high if high > 0 else rest > high:
            return swept.upward
        return (not swept.upward) if rest < (low / 2 if low > 0 else low) else None

    # --- details ------------------------------------------------------------------------------------------------
    def _detailed(self, found: Mapping[int, _Found]) -> Generator[Sheet, Measured, dict[int, Threshold]]:
        """A row for each condition, with what the cases of its details add."""
        rows: dict[int, Threshold] = {}
        idle: list[int] = []
        details: list[tuple[bool, _Detail]] = []
        for index, condition in enumerate(self.conditions):
            if condition.state or not condition.candidates:
                if not condition.inner and not condition.guard:
                    details.append((False, self._states(index, condition)))
                continue
            each = found.get(index)
            if each is None:
                continue
            turn = each.swept.turn
            if turn is not None and each.swept.crosses(turn):
                rows[index] = self._row(index, condition, each)
                details += self._details(index, condition, each)
            elif self._idle(index, each):
                idle.append(index)
            else:
                rows[index] = self._odd(index, condition, each)
        if not rows and not details:
            rows = {index: self._odd(index, self.conditions[index], found[index]) for index in idle}
        for with_rule in (False, True):
            some = [detail for ruled, detail in details if ruled is with_rule]
            if not some:
                continue
            got = yield from self._ask([detail.case for detail in some], rule=with_rule)
            for detail in some:
                before = rows.get(detail.index) or self._blank(detail.index)
                rows[detail.index] = self._said(before, detail, got[detail.case.name])
        return rows

    def _details(self, index: int, condition: Condition, each: _Found) -> list[tuple[bool, _Detail]]:
        """The details of one condition, each with whether the alert itself must be evaluated for it."""
        found = [(False, detail) for detail in self._plain(index, condition, each)]
        if condition.inner or condition.guard or each.alone:
            return found
        found += [(True, detail) for detail in self._cold(index, each)]
        if not self.pace.contrast:
            # Between the questions recording rules must be evaluated, so it goes with the cases that do.
            found.append((bool(self.records), self._speed(index, each)))
        return found

    def _dated(self, condition: Condition, swept: Swept) -> bool:
        """Whether a time is compared as a number, mostly with 0: a guard, whose number moves with the clock."""
        leaf = self.world.leaves[swept.sweep.key]
        return leaf.kind is Kind.AGE and condition.kinds.get(leaf.key) is Kind.GAUGE

    def _idle(self, index: int, each: _Found) -> bool:
        """Whether a comparison is true whatever its carrier is, beside others that decide: `total > 0`, with errors."""
        condition = self.conditions[index]
        others = [
            other
            for other in self.conditions
            if other is not condition and other.branch == condition.branch and not (other.inner or other.guard)
        ]
        return bool(others) and all(self.first[index].fired) and any(each.swept.fired) and not condition.bool_

    def _said(self, row: Threshold, detail: _Detail, answers: tuple[Answer, ...] | str) -> Threshold:
        if isinstance(answers, str):
            return replace(row, outcome=Outcome.UNMEASURED, reason=f"promtool: {answers[:200]}")
        return detail.apply(row, answers)

    def _row(self, index: int, condition: Condition, each: _Found) -> Threshold:
        swept, leaf = each.swept, self.world.leaves[each.swept.sweep.key]
        at = ""
        for place in range(len(swept.sweep.xs)):
            if swept.difference(place) == 0 and leaf.kind is not Kind.HISTOGRAM:
                at = "fires" if swept.fired[place] else "silent"
        resolution = None
        if leaf.kind is Kind.HISTOGRAM:
            below = [bound for bound in self.world.buckets[leaf.key] if bound < max(swept.bracket)]
            low = max(below, default=0.0)
            resolution = (low, min((b for b in self.world.buckets[leaf.key] if b > low), default=math.inf))
        counted = leaf.counted and not condition.inner
        return replace(
            self._blank(index),
            outcome=Outcome.MEASURED,
            carrier=leaf.text(),
            unit="series" if counted else UNITS[leaf.kind],
            baseline=self._baseline(each),
            silent_at=swept.silent_at,
            fires_at=swept.fires_at,
            resolution=resolution,
            at_threshold=at,
            reason=_ALONE if each.alone else "",
            monotone=len(each.whole.flips) == 1,
            intervals=_intervals(each.whole) if len(each.whole.flips) > 1 else (),
        )

    def _baseline(self, each: _Found) -> dict[str, float]:
        own = {key for condition in self.conditions for key in condition.candidates}
        levels = {**self.world.baseline, **each.held}
        return {
            leaf.text(): level
            for key, leaf in self.world.leaves.items()
            if key in own and key != each.swept.sweep.key and isinstance(level := levels[key], float)
        }

    def _blank(self, index: int) -> Threshold:
        condition = self.conditions[index]
        branch = self.anatomy.branches[condition.branch][0]
        where = blame(self.subject.file, self.rule.places["expr"], "", *condition.place)
        return Threshold(
            alert=self.rule.name,
            outcome=Outcome.STATE if condition.state else Outcome.MEASURED,
            branch=" ".join(branch.split()),
            operator=condition.operator,
            constant=condition.constant,
            for_documented_s=self.rule.for_.total_seconds(),
            evaluation_s=self.pace.interval_ms / 1000,
            file=self.subject.file.file,
            line=where.line,
            column=where.column,
            shown=where.shown,
        )

    def _unmeasured(self, construct: str, start: int, end: int) -> Threshold:
        where = blame(self.subject.file, self.rule.places["expr"], "", start, max(end, start + 1))
        return Threshold(
            alert=self.rule.name,
            outcome=Outcome.UNMEASURED,
            reason=construct,
            branch=" ".join(self.rule.expr.split())[:200],
            for_documented_s=self.rule.for_.total_seconds(),
            file=self.subject.file.file,
            line=where.line,
            column=where.column,
            shown=where.shown,
        )

    def _odd(self, index: int, condition: Condition, each: _Found) -> Threshold:
        """A condition that does not turn once at its number: never, always, in intervals, or for another reason."""
        swept = each.swept
        leaf = self.world.leaves[swept.sweep.key]
        row = replace(
            self._blank(index),
            carrier=leaf.text(),
            unit="series" if leaf.counted and not condition.inner else UNITS[leaf.kind],
            baseline=self._baseline(each),
        )
        if not any(swept.fired):
            if self.anatomy.relabelled and swept.left and all(value is None for value in swept.left):
                return replace(
                    row, outcome=Outcome.UNMEASURED, reason="label_replace: the labels it makes are not known"
                )
            return replace(row, outcome=Outcome.NEVER, reason=self._why_never(condition, each), monotone=True)
        if all(swept.fired):
            if condition.bool_:
                return replace(
                    row, outcome=Outcome.OTHER, reason="bool makes it 0 or 1, and an alert fires on any value, 0 too"
                )
            return replace(row, outcome=Outcome.ALWAYS, reason=f"fires at every {row.unit} of {row.carrier}")
        if swept.turn is not None:
            low, high = swept.bracket
            reason = f"changes between {low:g} and {high:g}, where the two sides do not pass each other"
            return replace(row, outcome=Outcome.OTHER, reason=reason, intervals=_intervals(swept), monotone=True)
        return replace(
            row,
            outcome=Outcome.MEASURED,
            reason="firing is not one-sided: it fires in the intervals, outside it is silent",
            intervals=_intervals(swept),
            monotone=False,
        )

    def _why_never(self, condition: Condition, each: _Found) -> str:
        swept = each.swept
        if swept.error:
            return f"its query fails: {swept.error[:200]}"
        left = [value for value in swept.left if value is not None and not math.isnan(value)]
        if not left:
            return f"its left side has no value whatever {swept.sweep.key[0]} is: no series match each other"
        alone = self.first.get(self.conditions.index(condition))
        if alone is not None and alone is not swept and any(alone.fired):
            return "each comparison can be true, but not all at once: their label sets do not match"
        last = self.world.buckets.get(swept.sweep.key, ())
        side = max(left) if condition.operator in {">", ">="} else min(left)
        bound = f"{condition.operator} {' '.join(condition.right.split())}"
        if last and condition.quantile is not None:
            return (
                f"the quantile is never above {side:g}: the last finite bucket is {last[-1]:g}; the rule wants {bound}"
            )
        return f"its left side reaches {side:g} at most in its direction, and the rule wants {bound}"

    # --- each detail --------------------------------------------------------------------------------------------
    def _name(self, what: str, index: int) -> str:
        self.serial += 1
        return f"{what} {index} {self.serial}"

    def _script(
        self,
        name: str,
        plateaus: Sequence[Mapping[Key, Level]],
        exprs: Sequence[str],
        held: Mapping[Key, Level],
        *,
        spread: Mapping[Key, int] | None = None,
        world: World | None = None,
    ) -> Case:
        """A case that asks the same at the end of each plateau."""
        held = self._full(held)
        sections = self.pace.begin(self.world.leaves, held)
        asks, at = [], self.pace.epoch + self.pace.lead
        for levels in plateaus:
            sections.append(Section(steps=self.pace.plateau, levels={**held, **levels}))
            at += self.pace.plateau
            asks += [Ask(expr=expr, at_ms=(at - 1) * self.pace.interval_ms) for expr in exprs]
            if self.pace.contrast:
                sections.append(self.pace.rest(held))
                at += self.pace.lead
        series = written(world or self.world, sections, self.pace.interval_ms, spread=spread)
        return Case(name=name, series=series, asks=tuple(asks), interval_ms=self.pace.interval_ms)

    def _states(self, index: int, condition: Condition) -> _Detail:
        """What a state fires on: some numbers, and nothing at all."""
        held = self._held(condition, None)
        text = self.anatomy.branches[condition.branch][0]
        if condition.guard or condition.inner:
            text = condition.text
        constant = 0.0 if condition.constant is None else condition.constant
        levels: dict[str, Level] = {f"{each:g}": each for each in sorted({0.0, 1.0, 2.0, constant, constant + 1})}
        levels["absent"] = None
        if not condition.candidates:
            levels = {"anything": 0.0}
        key = condition.candidates[0] if condition.candidates else None
        plateaus = [{} if key is None else {key: level} for level in levels.values()]
        # Where the state is one of several series together, as a sum that is 0, they go there together.
        plateaus += [dict.fromkeys(condition.candidates, level) for level in levels.values()]
        case = self._script(self._name("state", index), plateaus, [text], held)
        wait, scrape = self.rule.for_.total_seconds(), self.around.scrape_ms / 1000
        evaluation = self.around.evaluation_ms / 1000
        wait = math.ceil(wait / evaluation) * evaluation

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            single, joint = answers[: len(levels)], answers[len(levels) :]
            fires = tuple(name for name, answer in zip(levels, single, strict=True) if answer.found)
            fires = fires or tuple(name for name, answer in zip(levels, joint, strict=True) if answer.found)
            error = next((answer.error for answer in answers if answer.error), "")
            carrier = self.world.leaves[key].text() if key is not None else ""
            row = replace(row, carrier=carrier, unit="state" if carrier else "", fires_on=fires)
            if len(fires) == len(levels) and condition.operator in {"absent", "present"}:
                return replace(row, outcome=Outcome.ALWAYS, reason=f"fires on everything: {', '.join(fires)}")
            if not fires:
                excepted = key is not None and any(
                    key in other.candidates and other.wanted != condition.wanted for other in self.conditions
                )
                if self.anatomy.relabelled or excepted:
                    reason = "label_replace: the labels it makes are not known"
                    reason = "one series in a condition and in its exception" if excepted else reason
                    return replace(row, outcome=Outcome.UNMEASURED, reason=reason)
                why = f"its query fails: {error[:200]}" if error else f"none of {', '.join(levels)} makes it true"
                return replace(row, outcome=Outcome.NEVER, reason=why)
            return replace(
                row, outcome=Outcome.STATE, phase_band_s=(max(0.0, wait - scrape), wait + scrape + evaluation)
            )

        return _Detail(index=index, case=case, apply=apply)

    def _plain(self, index: int, condition: Condition, each: _Found) -> list[_Detail]:
        """What needs no alert: the measure, the ratio, the spread, the slow share, the time until it is true."""
        key = each.swept.sweep.key
        leaf = self.world.leaves[key]
        details = []
        if self.rule.name in self.around.measures:
            details.append(self._measured(index, each))
        if not condition.inner and not leaf.counted:
            if condition.denominators and key not in condition.denominators:
                details.append(self._ratio(index, condition, each))
            if leaf.kind in (Kind.GAUGE, Kind.COUNTER):
                details.append(self._spread(index, each))
            if leaf.kind is Kind.HISTOGRAM and condition.quantile is not None:
                details.append(self._slow(index, condition, each))
        return details

    def _at(self, each: _Found, x: float) -> Level:
        return each.swept.sweep.level(x, self._full(each.held))

    def _measured(self, index: int, each: _Found) -> _Detail:
        key, swept = each.swept.sweep.key, each.swept
        plateaus = [{key: self._at(each, x)} for x in (swept.silent_at, swept.fires_at)]
        text = self.around.measures[self.rule.name]
        case = self._script(self._name("measure", index), plateaus, [text], each.held)

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            return replace(row, measure_silent=answers[0].value, measure_fires=answers[1].value)

        return _Detail(index=index, case=case, apply=apply)

    def _ratio(self, index: int, condition: Condition, each: _Found) -> _Detail:
        """The denominator at ten times its baseline, at zero, and absent."""
        swept = each.swept
        key = swept.sweep.key
        below = [part for part in condition.denominators if part != key]
        levels = {**self.world.baseline, **each.held}
        tenfold = {part: level * 10 for part in below if isinstance(level := levels[part], float)}
        far = swept.fires_at * 2 if swept.upward else swept.fires_at / 2
        plateaus: list[Mapping[Key, Level]] = [
            {**tenfold, key: self._at(each, swept.silent_at * 10)},
            {**tenfold, key: self._at(each, swept.fires_at * 10)},
            *(
                {**dict.fromkeys(below, level), key: self._at(each, x)}
                for level in (0.0, None)
                for x in (swept.silent_at / 2, far)
            ),
        ]
        case = self._script(self._name("ratio", index), plateaus, [swept.sweep.text], each.held)

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            fires = [answer.found for answer in answers]
            words = {
                (False, False): "silent",
                (True, True): "fires",
                (False, True): "fires above half of the threshold",
                (True, False): "fires below half of the threshold",
            }
            same = fires[:2] == [False, True]
            return replace(
                row,
                ratio="a ratio: ten times the denominator, ten times the threshold"
                if same
                else "not a ratio: the threshold does not follow the denominator",
                zero_denominator=words[fires[2], fires[3]],
                absent_denominator=words[fires[4], fires[5]],
            )

        return _Detail(index=index, case=case, apply=apply)

    def _spread(self, index: int, each: _Found) -> _Detail:
        """The same load evenly over five label sets; what is matched label set by label set is spread with it."""
        swept = each.swept
        key = swept.sweep.key
        together = self.anatomy.spread_with.get(key, frozenset({key}))
        over = {
            part: SPREAD_OVER if part == key or self.world.leaves[part].kind is Kind.COUNTER else -SPREAD_OVER
            for part in together
            if not self.world.leaves[part].counted
        }
        totals = [swept.silent_at, swept.fires_at, swept.silent_at * SPREAD_OVER, swept.fires_at * SPREAD_OVER]
        case = self._script(
            self._name("spread", index),
            [{key: self._at(each, x)} for x in totals],
            [swept.sweep.text],
            each.held,
            spread=over,
        )

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            fires = [answer.found for answer in answers]
            one = {"1": swept.fires_at}
            if fires[:2] == [False, True]:
                return replace(row, spread={**one, str(SPREAD_OVER): swept.fires_at})
            if fires[2:] == [False, True]:
                return replace(row, spread={**one, str(SPREAD_OVER): swept.fires_at * SPREAD_OVER})
            return replace(row, spread=one)

        return _Detail(index=index, case=case, apply=apply)

    def _slow(self, index: int, condition: Condition, each: _Found) -> _Detail:
        """The slow share of requests at which a quantile passes its threshold."""
        swept = each.swept
        key = swept.sweep.key
        beyond = [x for x in swept.sweep.xs if x >= swept.fires_at]
        value = beyond[min(1, len(beyond) - 1)]
        expected = 1 - (condition.quantile or 0.0)
        near = {expected * (1 + part) for part in (-0.5, -0.1, -0.01, -0.001, -0.0004, 0.0004, 0.001, 0.01, 0.1, 0.5)}
        shares = sorted({share for share in {*near, 0.001, 0.01, *(part / 20 for part in range(1, 21))} if share <= 1})
        plateaus: list[Mapping[Key, Level]] = [{key: Slow(share=share, value=value)} for share in shares]
        case = self._script(self._name("slow", index), plateaus, [swept.sweep.text], each.held)

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            fires = [answer.found for answer in answers]
            flips = [place for place in range(len(fires) - 1) if fires[place] != fires[place + 1]]
            if len(flips) != 1 or not fires[-1]:
                return row
            return replace(row, slow_share=(shares[flips[0]], shares[flips[0] + 1]))

        return _Detail(index=index, case=case, apply=apply)

    def _speed(self, index: int, each: _Found) -> _Detail:
        """From a step to the first evaluation that is true, looked for at four phases of the evaluation."""
        swept, step = each.swept, self.pace.interval_ms
        key = swept.sweep.key
        quarter = max(1, self.around.evaluation_ms // PHASES)
        held = self._full(each.held)
        sections, at = self.pace.begin(self.world.leaves, held), self.pace.epoch + self.pace.lead
        asks, starts = [], []
        quiet = self._at(each, self._calm(swept))
        window = f"{format_ms(self.pace.plateau * step)}:{format_ms(quarter)}"
        text = f"min(min_over_time(timestamp({swept.sweep.text})[{window}]))"
        for multiple in MULTIPLES:
            level = self._at(each, self._multiple(swept, multiple))
            sections.append(Section(steps=self.pace.lead, levels={**held, key: quiet}))
            sections.append(Section(steps=self.pace.plateau, levels={**held, key: level}))
            starts.append((at + self.pace.lead - 1) * step)
            at += self.pace.lead + self.pace.plateau
            asks.append(Ask(expr=text, at_ms=(at - 1) * step))
        series = written(self.world, sections, step)
        case = Case(name=self._name("speed", index), series=series, asks=tuple(asks), interval_ms=step)
        evaluation = self.around.evaluation_ms / 1000
        wait = math.ceil(self.rule.for_.total_seconds() / evaluation) * evaluation

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            found = []
            for multiple, start, answer in zip(MULTIPLES, starts, answers, strict=True):
                if answer.value is None or answer.value * 1000 < start:
                    continue
                # Evaluations come every interval from each of the phases on; the first one not before it is true.
                true = answer.value - start / 1000
                phases = [
                    math.ceil((true - phase * quarter / 1000) / evaluation) * evaluation + phase * quarter / 1000
                    for phase in range(PHASES)
                ]
                found.append(Speed(multiple=multiple, least_s=min(phases) + wait, most_s=max(phases) + wait))
            return replace(row, time_to_fire=tuple(found))

        return _Detail(index=index, case=case, apply=apply)

    def _calm(self, swept: Swept) -> float:
        """A value well on the silent side."""
        leaf = self.world.leaves[swept.sweep.key]
        xs = [x for x, fired in zip(swept.sweep.xs, swept.fired, strict=True) if not fired]
        if leaf.kind in (Kind.HISTOGRAM, Kind.CHANGES, Kind.RESETS) or leaf.counted:
            return xs[0] if swept.upward else xs[-1]
        if leaf.kind is Kind.COUNTER and swept.silent_at == 0:
            return 0.0
        if swept.silent_at == 0 or (swept.silent_at < 0) == swept.upward:
            return swept.silent_at * 2 - (1.0 if swept.upward else -1.0)
        return swept.silent_at / 2 if swept.upward else swept.silent_at * 2

    def _multiple(self, swept: Swept, multiple: float) -> float:
        leaf = self.world.leaves[swept.sweep.key]
        theta = swept.fires_at
        if leaf.counted:
            return max(theta, float(round(theta * multiple))) if swept.upward else min(theta, theta / multiple)
        if leaf.kind is Kind.HISTOGRAM:
            return max(theta, theta * multiple)
        return theta * multiple if (theta > 0) == swept.upward else theta / multiple

    def _cold(self, index: int, each: _Found) -> list[_Detail]:
        """The alert itself: from cold below and above, held, then back below."""
        swept = each.swept
        key = swept.sweep.key
        step = self.pace.interval_ms
        wait_ms = self.rule.for_ // _MILLISECOND + self.rule.keep_firing_for // _MILLISECOND
        moving = self.world.leaves[key].kind is Kind.SLOPE
        if wait_ms > _LONGEST_WAIT * step or self.pace.contrast or self.pace.epoch or moving:
            return []
        hold = self.pace.plateau + -(-wait_ms // step) + 3
        calm, held = self._calm(swept), self._full(each.held)
        plan = [
            (self.pace.lead, calm),
            (hold, swept.silent_at),
            (self.pace.lead, calm),
            (hold, swept.fires_at),
            (hold, swept.silent_at),
        ]
        sections = [Section(steps=steps, levels={**held, key: self._at(each, x)}) for steps, x in plan]
        ends = [sum(steps for steps, _ in plan[: place + 1]) - 1 for place in range(len(plan))]
        window = format_ms(hold * step)
        labels = f'alertname="{self.rule.name}"'

        def first(state: str) -> str:
            inner = f'timestamp(ALERTS{{{labels},alertstate="{state}"}})[{window}:{format_ms(step)}]'
            return f"min(min_over_time({inner}))"

        # What changes in steps jumps where a section begins: of it only the end of the hold says something.
        jumps = self.world.leaves[key].kind in (Kind.CHANGES, Kind.RESETS)
        quiet_text = f"ALERTS{{{labels}}}" if jumps else f"count(count_over_time(ALERTS{{{labels}}}[{window}]))"
        asks = (
            Ask(expr=quiet_text, at_ms=ends[1] * step),
            Ask(expr=first("pending"), at_ms=ends[3] * step),
            Ask(expr=first("firing"), at_ms=ends[3] * step),
            Ask(expr=f'ALERTS{{{labels},alertstate="firing"}}', at_ms=ends[4] * step),
        )
        series = written(self.world, sections, step)
        case = Case(name=self._name("cold", index), series=series, asks=asks, interval_ms=step)

        def apply(row: Threshold, answers: Sequence[Answer]) -> Threshold:
            quiet, pending, firing, after = answers
            if quiet.found or firing.value is None:
                said = "is not silent" if quiet.found else "does not fire"
                value = swept.silent_at if quiet.found else swept.fires_at
                reason = f"from a cold start the alert {said} at {value:g} {row.unit}, though its expression says so"
                return replace(row, outcome=Outcome.OTHER, reason=reason)
            waited = 0.0 if pending.value is None or pending.value > firing.value else firing.value - pending.value
            cleared = None if after.found else swept.silent_at
            return replace(row, for_observed_s=waited, clears_at=cleared)

        return [_Detail(index=index, case=case, apply=apply)]


class _Failed(Exception):
    """promtool refused the rule, or a recording rule beneath it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Detail:
    """A case and what its answers add to a row."""

    index: int
    case: Case
    apply: Callable[[Threshold, Sequence[Answer]], Threshold]


def _state(condition: Condition, *, met: bool) -> Level:
    """A level at which a state is met, or is not."""
    if condition.operator in {"absent", "present"}:
        return 1.0 if met == (condition.operator == "present") else None
    equal = met == (condition.operator == "==")
    if condition.constant is None:
        # Two series are compared, and the other one rests at 1.
        return 1.0 if equal else 2.0
    return condition.constant if equal else 0.0 if condition.constant else 1.0


def _beyond(swept: Swept, world: World, *, met: bool, margin: float = 2.0) -> float:
    """A value well on one side of a comparison: half or twice the threshold, the far bucket, the far count."""
    leaf = world.leaves[swept.sweep.key]
    xs = [x for x, fired in zip(swept.sweep.xs, swept.fired, strict=True) if fired is met]
    above = met == swept.upward
    if leaf.kind is Kind.HISTOGRAM or (leaf.counted and not swept.sweep.condition.inner):
        return xs[min(2, len(xs) - 1)] if above else xs[0]
    edge = max(swept.bracket) if above else min(swept.bracket)
    if above:
        return edge * margin if edge > 0 else edge / margin + 1.0
    if leaf.kind is Kind.COUNTER:
        # A counter only grows.
        return max(0.0, edge / margin)
    return edge / margin if edge > 0 else edge * margin - 1.0


def _intervals(swept: Swept) -> tuple[tuple[float, float], ...]:
    found, start = [], None
    xs = swept.sweep.xs
    for place, fired in enumerate(swept.fired):
        if fired and start is None:
            start = xs[place]
        if start is not None and (not fired or place == len(xs) - 1):
            found.append((start, xs[place] if fired else xs[place - 1]))
            start = None
    return tuple(found)
