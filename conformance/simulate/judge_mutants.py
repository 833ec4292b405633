"""
Which wrong versions of a rule the suite's clauses notice, and which they do not: mutants performed beside the original.

Many mutants stand in one rule file under names of their own, so that one simulated run judges them all. A clause counts
only where it holds on the original. It knows the engine, incidents and cases; it must not know how a mutant was made.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import yaml

from conformance.contract.model import AlertForm, AlertPromise, Contract
from conformance.simulate import incidents as written
from conformance.simulate import kept, stories
from conformance.simulate.cases import KeptCase, ValueCheck
from conformance.simulate.incidents import LADDERS, Incident
from conformance.simulate.mutate import NORMAL_FORM, Mutant, RouteMutant, mutants, route_mutants
from conformance.simulate.promtool import Answer, Ask, Case, Measured, Promtool, Sheet
from conformance.simulate.stories import Story
from fixtures.language import promql
from fixtures.language.durations import format_duration, format_ms
from fixtures.language.promql import Edit, Kind, PromqlError, splice
from fixtures.language.rules import AlertRule, RecordingRule, RuleFile, RuleGroup

_STEP: Final = written.STEP_MS
_WINDOW: Final = f"[{written.ENDS_MS // 1000}s:{_STEP // 1000}s]"
_MARK: Final = re.compile(r"__m(\d+)\b")
_FIRST_RUNGS: Final = (0.95, 1.05)
_SECOND_RUNGS: Final = (1.0, 2.0)
_ROUNDS: Final = 20
_TRUTH: Final = "simulated_truth"
CONSTANT_LABELS: Final = frozenset({"job", "instance", "server"})
"""What the contract's targets keep constant: one instance of each job, one database server."""
AMTOOL_BUDGET: Final = timedelta(seconds=20)

Rule = AlertRule | RecordingRule


class Outcome(StrEnum):
    """What became of a mutant; only `equivalent` and `invalid` need no clause."""

    INVALID = "invalid"
    CAUGHT = "caught"
    SURVIVED = "survived"
    UNDISTINGUISHED = "undistinguished"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """
    One mutant's outcome; `clause` is the named clause that broke first, `reason` what was seen.

    `by_wording` says that only the comparison with the documented text noticed it, no behaviour; `told_apart` names the
    incident or case in which it behaves differently. With the full matrix `clauses` holds every clause that breaks.
    """

    mutant: Mutant
    outcome: Outcome
    clause: str = ""
    reason: str = ""
    by_wording: bool = False
    told_apart: str = ""
    clauses: tuple[str, ...] = ()

    def text(self) -> str:
        by = f" by {self.clause}" if self.clause else ""
        return f"{self.mutant.text()}: {self.outcome}{by}{f': {self.reason}' if self.reason else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedRoute:
    """One changed routing tree's outcome."""

    mutant: RouteMutant
    outcome: Outcome
    clause: str = ""
    reason: str = ""

    def text(self) -> str:
        by = f" by {self.clause}" if self.clause else ""
        return f"alertmanager.yml:{self.mutant.line}: {self.mutant.words}: {self.outcome}{by}: {self.reason}"


class RoutesError(Exception):
    """Alertmanager's tool could not be asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Routes:
    """Where alerts go, as Alertmanager's own tool says it of one configuration."""

    amtool: Path
    text: str
    _known: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """The receivers of an alert with these labels, in order; raises RoutesError when the configuration is none."""
        key = tuple(sorted(labels.items()))
        if key not in self._known:
            self._known[key] = self._ask([f"{name}={value}" for name, value in key])
        return self._known[key]

    def _ask(self, labels: Sequence[str]) -> tuple[str, ...]:
        with tempfile.NamedTemporaryFile("w", suffix=".yml", prefix="routes-", encoding="utf-8") as file:
            file.write(self.text)
            file.flush()
            command = [str(self.amtool), "config", "routes", "test", f"--config.file={file.name}", *labels]
            try:
                ran = subprocess.run(
                    command, capture_output=True, text=True, timeout=AMTOOL_BUDGET.total_seconds(), check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise RoutesError(f"amtool did not answer: {error}") from error
        if ran.returncode != 0:
            said = (ran.stderr or ran.stdout).strip().splitlines() or ["it said nothing"]
            raise RoutesError(f"amtool refuses the configuration: {said[-1][:300]}")
        # Above it may stand what it warns of.
        return tuple((ran.stdout.strip().splitlines() or [""])[-1].split(","))


@dataclass(frozen=True, kw_only=True, slots=True)
class MutationReport:
    """All that was judged, for the shipped rules in the order of their files."""

    judged: tuple[Judged, ...]
    routes: tuple[JudgedRoute, ...] = ()

    def having(self, outcome: Outcome) -> tuple[Judged | JudgedRoute, ...]:
        every: tuple[Judged | JudgedRoute, ...] = (*self.judged, *self.routes)
        return tuple(each for each in every if each.outcome is outcome)

    def text(self) -> str:
        """A table of operators against outcomes, then every mutant that no behaviour caught."""
        rows = [(each.mutant.operator, each) for each in self.judged]
        rows += [("route", each) for each in self.routes]  # type: ignore[misc]
        operators = list(dict.fromkeys(operator for operator, _ in rows))
        counts = Counter((operator, each.outcome) for operator, each in rows)
        head = f"{'operator':<14}" + "".join(f"{outcome.value:>17}" for outcome in Outcome)
        lines = [head]
        lines += [
            f"{operator:<14}" + "".join(f"{counts[operator, outcome] or '':>17}" for outcome in Outcome)
            for operator in operators
        ]
        lines.append(f"{'all':<14}" + "".join(f"{len(self.having(outcome)) or '':>17}" for outcome in Outcome))
        worded = [each for each in self.judged if each.by_wording]
        if worded:
            lines.append(f"{len(worded)} of the caught ones by wording alone, no behaviour told by a clause:")
            lines += [f"  {each.mutant.text()}: {each.reason}" for each in worded]
        for outcome in (Outcome.SURVIVED, Outcome.UNDISTINGUISHED, Outcome.EQUIVALENT):
            lines += [each.text() for each in self.having(outcome)]
        return "\n".join(lines)


@dataclass(slots=True)
class _State:
    """What is known of one mutant so far."""

    mutant: Mutant
    clauses: list[tuple[str, str]] = field(default_factory=list)
    told: str = ""
    invalid: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What mutants are judged by: the engine, the whole rule set, the contract, kept cases, the routing tree."""

    promtool: Promtool
    files: Sequence[RuleFile]
    contract: Contract | None = None
    cases: Sequence[KeptCase] = ()
    routes: Routes | None = None
    incidents: Sequence[Incident] = ()
    full: bool = False
    """Run everything against every mutant, instead of stopping at its first kill."""

    def judge(self, wrong: Sequence[Mutant]) -> tuple[Judged, ...]:
        """Every mutant's outcome, in order."""
        # Mutants of several files have numbers of their own; here each stands once.
        states = [_State(replace(mutant, number=number)) for number, mutant in enumerate(wrong)]
        for state in states:
            self._at_once(state)
        targets = [_Target.of(self, rule, states) for rule in dict.fromkeys(_key(each.mutant) for each in states)]
        for stage in range(_STAGES):
            self._stage([target for target in targets if target.open(full=self.full)], stage)
        return tuple(self._outcome(state) for state in states)

    def promise(self, rule: Rule) -> AlertPromise | None:
        alerts = self.contract.alerts if self.contract is not None and isinstance(rule, AlertRule) else ()
        return next((each for each in alerts if each.name == rule.name), None)

    def documented(self, rule: Rule) -> AlertForm | None:
        """The contract's shipped form of a rule."""
        alerts = self.contract.alerts if self.contract is not None else ()
        return next((each.shipped for each in alerts if each.name == rule.name), None)

    def _at_once(self, state: _State) -> None:
        """What needs no simulation: text that is no rule, and where a severity goes."""
        mutated, rule = state.mutant.mutated, state.mutant.rule
        try:
            promql.parse(mutated.expr)
        except PromqlError as error:
            state.invalid = error.message
            return
        promise = self.promise(rule)
        if state.mutant.operator == "severity" and self.routes is not None and promise is not None:
            alert = {"alertname": rule.name, "cluster": "simulated"}
            before = self.routes.receivers({**alert, **rule.labels})
            after = self.routes.receivers({**alert, **mutated.labels})
            if before == (promise.receiver,) and after != before:
                clause = f"alert/{rule.name}/delivered"
                state.clauses.append((clause, f"goes to {', '.join(after)} instead of {promise.receiver}"))

    def _stage(self, targets: Sequence[_Target], stage: int) -> None:
        pending = [(target, target.sheets(stage, full=self.full)) for target in targets]
        for _ in range(_ROUNDS):
            asked = [(target, sheet) for target, sheets in pending for sheet in sheets]
            if not asked:
                return
            measured = self.promtool.run([sheet for _, sheet in asked])
            again: list[tuple[_Target, list[Sheet]]] = []
            for (target, sheet), result in zip(asked, measured, strict=True):
                if not target.learn(sheet, result):
                    again.append((target, target.without_the_broken(sheet)))
            pending = again

    def _outcome(self, state: _State) -> Judged:
        mutant = state.mutant
        if state.invalid:
            return Judged(mutant=mutant, outcome=Outcome.INVALID, reason=state.invalid)
        if state.clauses:
            clause, reason = state.clauses[0]
            names = tuple(dict.fromkeys(name for name, _ in state.clauses))
            return Judged(
                mutant=mutant,
                outcome=Outcome.CAUGHT,
                clause=clause,
                reason=reason,
                told_apart=state.told,
                clauses=names,
            )
        apart = f"differs in '{state.told}'" if state.told else "no probe tells it apart"
        form = self.documented(mutant.rule)
        if not state.told and (proof := _proof(mutant)):
            return Judged(mutant=mutant, outcome=Outcome.EQUIVALENT, reason=proof)
        if form is not None and _same_form(form, mutant.rule) and not _same_form(form, mutant.mutated):
            return Judged(
                mutant=mutant,
                outcome=Outcome.CAUGHT,
                clause=f"alert/{mutant.rule.name}/shipped",
                reason=apart,
                by_wording=True,
                told_apart=state.told,
            )
        outcome = Outcome.SURVIVED if state.told else Outcome.UNDISTINGUISHED
        return Judged(mutant=mutant, outcome=outcome, reason=apart, told_apart=state.told)


def report(
    promtool: Promtool,
    files: Sequence[RuleFile],
    *,
    contract: Contract | None = None,
    cases: Sequence[KeptCase] = (),
    amtool: Path | None = None,
    alertmanager: str = "",
    full: bool = False,
) -> MutationReport:
    """Every mutant of a rule set and of its routes, judged by everything that there is."""
    routes = Routes(amtool=amtool, text=alertmanager) if amtool is not None and alertmanager else None
    ladders = written.ladders(contract) if contract is not None else ()
    bench = Bench(
        promtool=promtool,
        files=files,
        contract=contract,
        cases=cases,
        routes=routes,
        incidents=(*ladders, *written.incidents()),
        full=full,
    )
    judged = bench.judge([mutant for file in files for mutant in mutants(file, constant_labels=CONSTANT_LABELS)])
    if routes is None or contract is None:
        return MutationReport(judged=judged)
    return MutationReport(judged=judged, routes=judge_routes(route_mutants(alertmanager), routes, contract))


def _key(mutant: Mutant) -> tuple[str, int, int]:
    return mutant.file, mutant.rule.line, mutant.rule.column


def _same_form(form: AlertForm, rule: Rule) -> bool:
    if not isinstance(rule, AlertRule):
        return False
    return (
        _same(form.expr, rule.expr)
        and form.for_ == rule.for_
        and dict(form.labels) == dict(rule.labels)
        and dict(form.annotations) == dict(rule.annotations)
    )


def _same(left: str, right: str) -> bool:
    try:
        return _normal(promql.shape(left)) == _normal(promql.shape(right))
    except PromqlError:
        return left == right


def _normal(shape: promql.Shape) -> promql.Shape:
    """The meaning without brackets."""
    if shape.kind == "paren":
        return _normal(shape.parts[0])
    return replace(shape, parts=tuple(_normal(part) for part in shape.parts))


def _proof(mutant: Mutant) -> str:
    if _same(mutant.rule.expr, mutant.mutated.expr) and replace(mutant.mutated, expr=mutant.rule.expr) == mutant.rule:
        return NORMAL_FORM
    return mutant.proof


# --- one rule with its mutants -----------------------------------------------------------------------------------

_STAGES: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """One rule, what it reads, what reads it, and its mutants."""

    rule: Rule
    group: RuleGroup
    needs: tuple[RecordingRule, ...]
    above: tuple[Rule, ...]
    states: Mapping[int, _State]
    promise: AlertPromise | None
    condition: str
    wait_ms: int
    stages: tuple[tuple[Incident | KeptCase, ...], ...]
    reads: frozenset[str] | None
    """The metrics that the rule, its mutants and its measure read; None where a selector has no name."""
    broken: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, bench: Bench, key: tuple[str, int, int], states: Sequence[_State]) -> _Target:
        own = {state.mutant.number: state for state in states if _key(state.mutant) == key}
        rule = next(iter(own.values())).mutant.rule
        group = next(
            group for file in bench.files for group in file.groups if any(each is rule for each in group.rules)
        )
        every = [each for file in bench.files for each in file.rules]
        reads = {id(each): _reads(each) for each in every}
        needs = _beneath(rule, every, reads)
        above = _above(rule, every, reads)
        promise = bench.promise(rule)
        condition, wait = _condition(promise)
        names = {name for each in (rule, *needs) for name in reads.get(id(each), ())}
        return cls(
            rule=rule,
            group=group,
            needs=needs,
            above=above,
            states=own,
            promise=promise,
            condition=condition,
            wait_ms=wait,
            stages=_stages(bench, rule, names, above),
            reads=_metrics(
                [
                    *(rule.expr for rule in (rule, *needs, *above)),
                    *(state.mutant.mutated.expr for state in own.values() if not state.invalid),
                    condition,
                ]
            ),
        )

    def open(self, *, full: bool) -> list[_State]:
        """The mutants that still have to be judged."""
        return [state for state in self.states.values() if not state.invalid and (full or not state.clauses)]

    # --- asking -------------------------------------------------------------------------------------------------

    def sheets(self, stage: int, *, full: bool) -> list[Sheet]:
        chosen = self.stages[stage] if stage < len(self.stages) else ()
        # What is proven is only looked at where it is cheap.
        cheap = full or stage < _STAGES - 1
        numbers = [
            state.mutant.number for state in self.open(full=full) if cheap or state.told or not _proof(state.mutant)
        ]
        if not chosen or not numbers:
            return []
        text = self._text(numbers)
        found = []
        for evaluation in dict.fromkeys(_evaluation(each) for each in chosen):
            cases = tuple(self._case(each) for each in chosen if _evaluation(each) == evaluation)
            found.append(Sheet(rules=text, cases=cases, evaluation_ms=evaluation))
        return found

    def _text(self, numbers: Iterable[int]) -> str:
        rules: list[Rule] = [*self.needs, self.rule, *self.above]
        if (documented := self._documented()) is not None:
            rules.append(documented)
        for number in numbers:
            if number in self.broken:
                continue
            names = {each.name: f"{each.name}__m{number}" for each in (self.rule, *self.above)}
            rules.append(replace(self.states[number].mutant.mutated, name=names[self.rule.name]))
            rules += [replace(each, name=names[each.name], expr=_renamed(each.expr, names)) for each in self.above]
        return json.dumps({"groups": [stories.group_of(self.group.name, self.group, rules)]})

    def _case(self, chosen: Incident | KeptCase) -> Case:
        if isinstance(chosen, Incident):
            return stories.case_of(chosen, self._extra(), self.reads)
        asks = [Ask(expr='ALERTS{alertstate="firing"}', at_ms=check.at_ms) for check in chosen.alerts]
        for check in chosen.values:
            asks += [Ask(expr=_renamed(check.expr, names), at_ms=check.at_ms) for _, names in self._variants()]
        return Case(name=chosen.name, series=chosen.series, asks=tuple(asks), interval_ms=chosen.interval_ms)

    def _variants(self) -> Iterator[tuple[int | None, dict[str, str]]]:
        """The original and every mutant with the names that their rules have; only recording rules need asking so."""
        if not isinstance(self.rule, RecordingRule):
            return
        yield None, {}
        for number in self.states:
            yield number, {each.name: f"{each.name}__m{number}" for each in (self.rule, *self.above)}

    def _extra(self) -> tuple[Ask, ...]:
        end = written.ENDS_MS
        if isinstance(self.rule, RecordingRule):
            pattern = f"{re.escape(self.rule.name)}(__m[0-9]+)?".replace("\\", "\\\\")
            named = f'label_replace({{__name__=~"{pattern}"}}, "simulated", "$1", "__name__", "(.+)")'
            return tuple(
                Ask(expr=f"{function}({named}{_WINDOW})", at_ms=end)
                for function in ("count_over_time", "sum_over_time", "stddev_over_time")
            )
        return ()

    def _documented(self) -> AlertRule | None:
        """The alert as the contract's measure makes it: what every aspect is compared with."""
        if not self.condition or not isinstance(self.rule, AlertRule):
            return None
        return replace(
            self.rule,
            name=_TRUTH,
            expr=self.condition,
            for_=timedelta(milliseconds=self.wait_ms),
            keep_firing_for=timedelta(0),
            labels={},
        )

    # --- learning -----------------------------------------------------------------------------------------------

    def learn(self, sheet: Sheet, result: Measured) -> bool:
        """Take in what was measured; False when a mutant ended the run, which is then to be made without it."""
        said = [result.error, *result.errors.values()]
        numbers = {int(found[1]) for text in said for found in _MARK.finditer(text)} & set(self.states)
        for number in numbers - self.broken:
            self.broken.add(number)
            if result.error:
                self.states[number].invalid = result.error
            else:
                reason = next(text for text in said if f"__m{number}" in text)
                self._caught(number, f"alert/{self.rule.name}/shipped", f"cannot be evaluated: {reason}", "evaluation")
        if numbers:
            return False
        present = {number: self.states[number] for number in _numbers(sheet)}
        for each in (each for stage in self.stages for each in stage):
            answers = result.answers.get(each.name)
            if answers is None or each.name not in {case.name for case in sheet.cases}:
                continue
            if isinstance(each, Incident):
                self._by_incident(each, answers, present)
            else:
                self._by_case(each, answers, present)
        return True

    def without_the_broken(self, sheet: Sheet) -> list[Sheet]:
        numbers = [number for number in _numbers(sheet) if number not in self.broken]
        return [replace(sheet, rules=self._text(numbers))] if numbers else []

    def _caught(self, number: int, clause: str, reason: str, place: str) -> None:
        state = self.states[number]
        state.told = state.told or place
        state.clauses.append((clause, reason))

    def _by_incident(self, incident: Incident, answers: Sequence[Answer], present: Mapping[int, _State]) -> None:
        told = stories.read(answers)
        original = {each.name: told.get(each.name, Story()) for each in (self.rule, *self.above)}
        truth = told.get(_TRUTH, Story()) if self.condition else None
        prints = _prints(answers[4:7]) if isinstance(self.rule, RecordingRule) else {}
        before = _problems(original.get(self.rule.name, Story()), truth, self.wait_ms) if truth is not None else {}
        for number, state in present.items():
            mutated = {name: told.get(f"{name}__m{number}", Story()) for name in original}
            same = mutated == original and _alike(
                prints.get(self.rule.name, ()), prints.get(f"{self.rule.name}__m{number}", ())
            )
            if not same:
                state.told = state.told or incident.name
            if truth is None or mutated == original:
                continue
            for aspect, problem in _problems(mutated[self.rule.name], truth, self.wait_ms).items():
                if problem and not before[aspect]:
                    clause = f"alert/{self.rule.name}/{aspect}"
                    self._caught(number, clause, f"{incident.name}: {problem}", incident.name)

    def _by_case(self, case: KeptCase, answers: Sequence[Answer], present: Mapping[int, _State]) -> None:
        names = {each.name for each in (self.rule, *self.above)}
        for check, answer in zip(case.alerts, answers, strict=False):
            if check.alert not in names:
                continue
            expected = kept.label_sets(check.expected)
            seen = kept.fired(answer, check.alert)
            for number, state in present.items():
                other = kept.fired(answer, f"{check.alert}__m{number}")
                if other == seen:
                    continue
                state.told = state.told or case.name
                if seen == expected:
                    at = format_ms(check.at_ms)
                    reason = f"at {at} fires on {kept.many(other)} instead of {kept.many(expected)}"
                    self._caught(number, f"case/{case.name}", reason, case.name)
        variants = [number for number, _ in self._variants()]
        if not variants:
            return
        behind = list(zip(*[iter(answers[len(case.alerts) :])] * len(variants), strict=True))
        for value, given in zip(case.values, behind, strict=True):
            if names & set(_names(value.expr)):
                self._by_value(case, value, dict(zip(variants, given, strict=True)), present)

    def _by_value(
        self,
        case: KeptCase,
        value: ValueCheck,
        given: Mapping[int | None, Answer],
        present: Mapping[int, _State],
    ) -> None:
        seen = kept.values(given[None])
        right = kept.alike(seen, kept.labelled(value.expected))
        for number, state in present.items():
            if kept.alike(kept.values(given[number]), seen):
                continue
            state.told = state.told or case.name
            if right:
                reason = f"{value.expr} gives other values at {format_ms(value.at_ms)}"
                self._caught(number, f"case/{case.name}", reason, case.name)


def _numbers(sheet: Sheet) -> list[int]:
    return sorted({int(found) for found in _MARK.findall(sheet.rules)})


def _stages(
    bench: Bench, rule: Rule, names: set[str], above: Sequence[Rule]
) -> tuple[tuple[Incident | KeptCase, ...], ...]:
    """Likely killers first: the rungs beside the threshold, then kept cases, then everything that touches the rule."""
    ladder = LADDERS.get(rule.name, "")
    near = [each for each in bench.incidents if each.rung is not None and each.name.startswith(f"{rule.name} at ")]
    touching = [
        each
        for each in bench.incidents
        if each not in near and each.rung is None and (each.bends == ladder or names & each.metrics)
    ]
    if not touching and not near:
        # Nothing bends what it reads; the first incidents still tell what it does in a healthy world.
        touching = list(bench.incidents[:2])
    alerts = {each.name for each in (rule, *above)}
    own = [
        case
        for case in bench.cases
        if any(check.alert in alerts for check in case.alerts)
        or any(set(_names(check.expr)) & alerts for check in case.values)
    ]
    first: list[Incident | KeptCase] = [each for each in near if each.rung in _FIRST_RUNGS]
    first = first or [*own[:2]]
    second: list[Incident | KeptCase] = [case for case in own if case not in first]
    second += [each for each in near if each.rung in _SECOND_RUNGS]
    rest = [*(each for each in near if each not in first and each not in second), *touching]
    return tuple(first), tuple(second), tuple(rest)


def _evaluation(chosen: Incident | KeptCase) -> int:
    return _STEP if isinstance(chosen, Incident) else chosen.evaluation_ms


def _names(expr: str) -> tuple[str, ...]:
    try:
        return promql.names(expr)
    except PromqlError:
        return ()


def _metrics(exprs: Iterable[str]) -> frozenset[str] | None:
    found: set[str] = set()
    for expr in filter(None, exprs):
        try:
            selectors = promql.selectors(expr)
        except PromqlError:
            return None
        if any(each.name is None for each in selectors):
            return None
        found |= {each.name for each in selectors if each.name is not None}
    return frozenset(found)


def _reads(rule: Rule) -> frozenset[str]:
    return frozenset(_names(rule.expr))


def _beneath(rule: Rule, every: Sequence[Rule], reads: Mapping[int, frozenset[str]]) -> tuple[RecordingRule, ...]:
    """The recording rules that a rule reads, through others too, in the order of the files."""
    wanted, seen = set(reads[id(rule)]), set[str]()
    while wanted - seen:
        name = next(iter(wanted - seen))
        seen.add(name)
        wanted |= {
            each
            for rule_ in every
            if rule_.name == name and isinstance(rule_, RecordingRule)
            for each in reads[id(rule_)]
        }
    return tuple(
        each for each in every if isinstance(each, RecordingRule) and each.name in seen and each.name != rule.name
    )


def _above(rule: Rule, every: Sequence[Rule], reads: Mapping[int, frozenset[str]]) -> tuple[Rule, ...]:
    """Whatever reads a recording rule, through others too."""
    if not isinstance(rule, RecordingRule):
        return ()
    changed = {rule.name}
    while True:
        more = {each.name for each in every if isinstance(each, RecordingRule) and reads[id(each)] & changed} - changed
        if not more:
            break
        changed |= more
    return tuple(each for each in every if each is not rule and each.name != rule.name and reads[id(each)] & changed)


def _renamed(expr: str, names: Mapping[str, str]) -> str:
    if not names:
        return expr
    tokens = [token for token in promql.scan(expr) if token.kind is Kind.IDENTIFIER and token.text in names]
    return splice(expr, [Edit(start=token.start, end=token.end, text=names[token.text]) for token in tokens])


def _condition(promise: AlertPromise | None) -> tuple[str, int]:
    """When the document says that an alert's condition holds, and how long it waits then."""
    if promise is None:
        return "", 0
    wait = promise.documented.for_ // timedelta(milliseconds=1)
    return f"({promise.measure}) {promise.direction} {promise.threshold!r}", wait


def _problems(story: Story, truth: Story, wait_ms: int) -> dict[str, str]:
    """What each aspect of an alert does otherwise than its document says; an empty text where it keeps it."""
    found = dict.fromkeys(("silent-below", "fires-above", "for", "resolves"), "")
    if truth.fires is None:
        if story.fires is not None:
            found["silent-below"] = f"{story.words()}, and should be silent"
        elif story.samples != truth.samples:
            found["silent-below"] = f"waits at {story.samples} evaluations, its condition holds at {truth.samples}"
        return found
    if story.fires is None:
        found["fires-above"] = f"is {story.words()}, and should fire after {format_ms(truth.fires)}"
        return found
    if story.pending is not None and story.pending != truth.pending and wait_ms:
        found["fires-above"] = f"waits from {_since(story.pending)}, its condition begins at {_since(truth.pending)}"
    elif story.samples != truth.samples:
        found["fires-above"] = f"is active at {story.samples} evaluations, its condition holds at {truth.samples}"
    began = story.pending if story.pending is not None else story.fires
    if story.firings <= 1 and story.fires - began != wait_ms:
        found["for"] = f"fires {_since(story.fires - began)} after it began to wait, not {format_ms(wait_ms)}"
    if story.ends != truth.ends:
        found["resolves"] = f"fires until {_since(story.ends)}, should until {_since(truth.ends)}"
    return found


def _since(moment: int | None) -> str:
    if moment is None:
        return "never"
    return f"{format_ms(-moment)} before the incident" if moment < 0 else format_ms(moment)


def _prints(answers: Sequence[Answer]) -> dict[str, tuple[tuple[object, ...], ...]]:
    found: dict[str, list[tuple[object, ...]]] = {}
    for index, answer in enumerate(answers):
        for sample in answer.samples:
            labels = dict(sample.labels)
            name = labels.pop("simulated", "")
            found.setdefault(name, []).append((index, tuple(sorted(labels.items())), sample.value))
    return {name: tuple(sorted(rows, key=str)) for name, rows in found.items()}


def _alike(left: Sequence[tuple[object, ...]], right: Sequence[tuple[object, ...]]) -> bool:
    return len(left) == len(right) and all(
        a[:2] == b[:2] and _close(float(str(a[2])), float(str(b[2]))) for a, b in zip(left, right, strict=True)
    )


def _close(left: float, right: float) -> bool:
    return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


# --- routes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenRoute:
    """A clause of the routes that a configuration does not keep."""

    clause: str
    subject: str
    promised: str
    observed: str

    def text(self) -> str:
        return f"{self.subject} {self.observed} instead of {self.promised}"


def broken_routes(routes: Routes, contract: Contract) -> Iterator[BrokenRoute]:
    """Each clause of the routes that a configuration does not keep, and what it does instead; timers first."""
    told = _timers(routes.text)
    for name, promised in _promised_timers(contract).items():
        if told[name] != promised:
            observed = f"is {told[name] or 'absent'}"
            yield BrokenRoute(clause="route/timing", subject=name, promised=promised, observed=observed)
    named = {route.severity for route in contract.routes}
    default = contract.default_route.receiver
    receivers = {str(route.severity): route.receiver for route in contract.routes}
    for severity, promised in (receivers | {"": default, "unheard-of": default}).items():
        labels = {"alertname": "Any", "cluster": "simulated"} | ({"severity": severity} if severity else {})
        went = routes.receivers(labels)
        if went != (promised,):
            yield BrokenRoute(
                clause=f"route/{severity if severity in named else 'default'}",
                subject=f"severity {severity or 'none'}",
                promised=promised,
                observed=f"goes to {', '.join(went)}",
            )


def judge_routes(
    wrong: Sequence[RouteMutant], routes: Routes, contract: Contract, *, processes: int = 2
) -> tuple[JudgedRoute, ...]:
    """Each changed routing tree, asked of Alertmanager's own tool: does every severity still reach its receiver?"""
    # What the original breaks already is no evidence about a mutant.
    already = {each.clause for each in broken_routes(routes, contract)}

    def one(mutant: RouteMutant) -> JudgedRoute:
        changed = Routes(amtool=routes.amtool, text=mutant.text)
        try:
            for each in broken_routes(changed, contract):
                if each.clause not in already:
                    return JudgedRoute(mutant=mutant, outcome=Outcome.CAUGHT, clause=each.clause, reason=each.text())
        except RoutesError as error:
            return JudgedRoute(mutant=mutant, outcome=Outcome.INVALID, reason=str(error))
        return JudgedRoute(
            mutant=mutant, outcome=Outcome.UNDISTINGUISHED, reason="every severity still reaches its receiver"
        )

    with ThreadPoolExecutor(max_workers=processes) as pool:
        return tuple(pool.map(one, wrong))


def _timers(text: str) -> dict[str, str]:
    route = yaml.safe_load(text).get("route", {})
    found = {key: str(route.get(key, "")) for key in ("group_wait", "group_interval", "repeat_interval")}
    return found | {"group_by": ", ".join(route.get("group_by", ()))}


def _promised_timers(contract: Contract) -> dict[str, str]:
    timing = contract.timing
    return {
        "group_wait": format_duration(timing.group_wait),
        "group_interval": format_duration(timing.group_interval),
        "repeat_interval": format_duration(timing.repeat_interval),
        "group_by": ", ".join(timing.group_by),
    }
