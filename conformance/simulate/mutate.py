"""
Small wrong versions of a rule file, each changed in one place as a hurried hand would change it.

Rules are changed token by token in their own text, so that layout and comments stay; Alertmanager's routes as data.
It knows what can be changed and where it stands; it must not know how a change is noticed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import yaml

from fixtures.language import promql, rules
from fixtures.language.durations import format_duration, format_ms
from fixtures.language.promql import Edit, PromqlError, splice
from fixtures.language.rules import AlertRule, RecordingRule, RuleFile, Scalar
from fixtures.language.tree import Clause, Node, tree

FACTORS: Final = (0.9, 1.1, 10.0, 60.0, 1 / 60, 1000.0, 0.001)
_OTHER_COMPARISONS: Final = {
    ">": (">=", "<"),
    ">=": (">", "<="),
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    "==": ("!=",),
    "!=": ("==",),
}
_OTHER_AGGREGATIONS: Final = {
    "sum": ("avg", "max", "count"),
    "avg": ("sum", "max"),
    "max": ("min", "sum"),
    "min": ("max", "sum"),
    "count": ("sum",),
    "topk": ("bottomk",),
    "bottomk": ("topk",),
}
_OTHER_FUNCTIONS: Final = {
    "rate": ("increase", "irate", "delta"),
    "irate": ("rate",),
    "increase": ("rate", "delta"),
    "delta": ("increase", "deriv"),
    "deriv": ("delta",),
    "avg_over_time": ("max_over_time", "min_over_time", "sum_over_time"),
    "max_over_time": ("min_over_time", "avg_over_time"),
    "min_over_time": ("max_over_time", "avg_over_time"),
    "sum_over_time": ("count_over_time", "avg_over_time"),
    "clamp_min": ("clamp_max",),
    "clamp_max": ("clamp_min",),
}
_OTHER_ARITHMETIC: Final = {"/": ("*",), "*": ("/",), "-": ("+",), "+": ("-",)}
_OTHER_MATCHERS: Final = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_OTHER_SETS: Final = {"and": "unless", "unless": "and"}
_QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
# What only moves by real amounts: whether its bound belongs to either side cannot be seen.
_CONTINUOUS: Final = frozenset(
    {"rate", "irate", "increase", "deriv", "histogram_quantile", "quantile", "avg_over_time"}
)

_LINES: Final = re.compile(r"\s*\n\s*")

NORMAL_FORM: Final = "same normal form"
CONSTANT_LABEL: Final = "a label that the contract keeps constant"
BOUNDARY: Final = "the boundary of a continuous input"
SCALE: Final = "a quantile of buckets that are all multiplied alike"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """
    One rule changed in one place.

    `proof` is the kind of proof by which it would be equivalent, if no probe tells it apart; empty where there is none.
    """

    number: int
    operator: str
    rule: AlertRule | RecordingRule
    mutated: AlertRule | RecordingRule
    words: str
    file: str
    line: int
    column: int
    part: str
    edits: tuple[Edit, ...]
    proof: str = ""

    def source(self, file: RuleFile) -> str:
        """The whole file's text with this change, everything else kept."""
        scalar = self.rule.places[self.part]
        if self.part == "expr":
            return file.edited(rules.edit_inside(file.source, scalar, self.edits))
        return file.edited([rules.edit_whole(file.source, scalar, self.edits[0].text)])

    def text(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.rule.name}: {self.operator}: {self.words}"


@dataclass(frozen=True, slots=True)
class _Change:
    operator: str
    words: str
    edits: tuple[Edit, ...]
    at: tuple[int, int]
    proof: str = ""


def mutants(file: RuleFile, *, constant_labels: frozenset[str] = frozenset()) -> tuple[Mutant, ...]:
    """Every mutant of a file's rules; expressions that cannot be read have none."""
    found: list[Mutant] = []
    for rule in file.rules:
        found += of_rule(rule, file, start=len(found), constant_labels=constant_labels)
    return tuple(found)


def of_rule(
    rule: AlertRule | RecordingRule, file: RuleFile, *, start: int = 0, constant_labels: frozenset[str] = frozenset()
) -> tuple[Mutant, ...]:
    """The mutants of one rule, numbered from `start`; those that mean the same text twice are listed once."""
    found: list[Mutant] = []
    seen: set[str] = {rule.expr}
    try:
        root = tree(rule.expr)
    except PromqlError:
        root = None
    for found_change in _expression(root, rule.expr, constant_labels) if root is not None else ():
        # A text that moves is written on one line: a block value's own indentation is not known here.
        edits = tuple(replace(each, text=_LINES.sub(" ", each.text)) for each in found_change.edits)
        change = replace(found_change, edits=edits)
        expr = splice(rule.expr, change.edits)
        if expr in seen:
            continue
        seen.add(expr)
        number = start + len(found)
        mutated = replace(rule, expr=expr)
        found.append(_mutant(number=number, rule=rule, mutated=mutated, change=change, file=file, part="expr"))
    if isinstance(rule, AlertRule):
        for part, change, mutated in (*_waits(rule), *_severities(rule)):
            number = start + len(found)
            found.append(_mutant(number=number, rule=rule, mutated=mutated, change=change, file=file, part=part))
    return tuple(found)


def _mutant(
    *,
    number: int,
    rule: AlertRule | RecordingRule,
    mutated: AlertRule | RecordingRule,
    change: _Change,
    file: RuleFile,
    part: str,
) -> Mutant:
    scalar = rule.places[part]
    line, column = _position(file, scalar, change.at[0])
    return Mutant(
        number=number,
        operator=change.operator,
        rule=rule,
        mutated=mutated,
        words=change.words,
        file=file.file,
        line=line,
        column=column,
        part=part,
        edits=change.edits,
        proof=change.proof,
    )


def _position(file: RuleFile, scalar: Scalar, index: int) -> tuple[int, int]:
    places = rules.anchor(file.source, scalar)
    if not places or index >= len(places):
        return scalar.line, scalar.column
    return promql.position(file.source, places[index][0])


# --- expressions -------------------------------------------------------------------------------------------------


def _expression(root: Node, expr: str, constant: frozenset[str]) -> Iterator[_Change]:
    parents = {id(part): node for node in root.walk() for part in node.parts}
    scaled = _scaled(root)
    for node in root.walk():
        match node.kind:
            case "number":
                yield from _constants(node, parents.get(id(node)))
            case "selector":
                yield from _selectors(node, expr)
            case "range" | "subquery":
                yield from _ranges(node)
            case "call":
                yield from _functions(node, expr, scaled)
            case "aggregate":
                yield from _aggregations(node, expr, constant)
            case "binary":
                yield from _operators(node, expr)
                yield from _joins(node, expr, constant)


def _swap(operator: str, at: tuple[int, int], old: str, new: str, proof: str = "") -> _Change:
    return _Change(
        operator, f"{_short(old)} → {_short(new) or 'nothing'}", (Edit(start=at[0], end=at[1], text=new),), at, proof
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _constants(node: Node, parent: Node | None) -> Iterator[_Change]:
    value = node.constant
    if value is None:
        return
    if parent is not None and parent.kind in {"call", "aggregate"} and "quantile" in parent.name:
        others = tuple(each for each in _QUANTILES if each != value)
    elif value == 0:
        others = (1.0,)
    else:
        others = tuple(value * factor for factor in FACTORS)
    for other in others:
        yield _swap("constant", node.at, node.name, f"{other:.6g}")


def _selectors(node: Node, expr: str) -> Iterator[_Change]:
    for index, matcher in enumerate(node.matchers):
        text = expr[matcher.start : matcher.end]
        # A matcher goes with the comma beside it.
        start, end = matcher.start, matcher.end
        if index + 1 < len(node.matchers):
            end = node.matchers[index + 1].start
        elif index:
            start = node.matchers[index - 1].end
        if node.name or len(node.matchers) > 1:
            yield _Change(
                "matcher", f"{text} dropped", (Edit(start=start, end=end, text=""),), (matcher.start, matcher.end)
            )
        other = text.replace(matcher.operator, _OTHER_MATCHERS[matcher.operator], 1)
        yield _swap("matcher", (matcher.start, matcher.end), text, other)
        quote = text[-1]
        yield _swap("matcher", (matcher.start, matcher.end), text, f"{text[:-1]}-other{quote}")
    if node.offset_ms:
        words = re.compile(r"\s*\boffset\s+[-+]?\s*\S+\s*$", re.IGNORECASE)
        found = words.search(expr[node.start : node.end])
        if found:
            at = (node.start + found.start(), node.start + found.end())
            yield _swap("offset", at, found[0].strip(), "")


def _ranges(node: Node) -> Iterator[_Change]:
    if node.duration is None:
        return
    at = (node.duration.start, node.duration.end)
    for factor in (2.0, 0.2):
        other = round(node.range_ms * factor)
        yield _swap("range", at, node.duration.text, format_ms(other))
    if node.kind == "range" and not node.offset_ms:
        edit = Edit(start=node.end, end=node.end, text=" offset 10m")
        yield _Change("offset", "offset 10m added", (edit,), (node.start, node.end))


def _scaled(root: Node) -> frozenset[int]:
    """The rates that only a quantile reads, through sums alone: as increases they are multiplied by the range."""
    found = set()
    for node in root.having("call", "histogram_quantile"):
        inner = node.parts[-1].bare()
        while inner.kind == "aggregate" and inner.name in {"sum", "avg", "max", "min"}:
            inner = inner.parts[-1].bare()
        found.add(id(inner))
    return frozenset(found)


def _functions(node: Node, expr: str, scaled: frozenset[int]) -> Iterator[_Change]:
    for other in _OTHER_FUNCTIONS.get(node.name, ()):
        proof = SCALE if id(node) in scaled and {node.name, other} == {"rate", "increase"} else ""
        yield _swap("function", node.at, node.name, other, proof)
    if node.name in {"absent", "absent_over_time"} and node.parts:
        inner = expr[node.parts[0].start : node.parts[0].end]
        yield _swap("absent", (node.start, node.end), expr[node.start : node.end], inner)


def _aggregations(node: Node, expr: str, constant: frozenset[str]) -> Iterator[_Change]:
    whole = expr[node.start : node.end]
    inner = node.parts[-1]
    yield _Change(
        "aggregation",
        f"{node.name} dropped",
        (Edit(start=node.start, end=node.end, text=f"({expr[inner.start : inner.end]})"),),
        node.at,
    )
    for other in _OTHER_AGGREGATIONS.get(node.name, ()):
        yield _swap("aggregation", node.at, node.name, other)
    if node.grouping is not None:
        clause = node.grouping
        yield _swap("aggregation", (clause.start, clause.end), expr[clause.start : clause.end], "")
        yield from _labels("aggregation", clause, constant)
    elif "(" in whole:
        edit = Edit(start=node.at[1], end=node.at[1], text=" by (instance)")
        proof = CONSTANT_LABEL if "instance" in constant else ""
        yield _Change("aggregation", "by (instance) added", (edit,), node.at, proof)


def _labels(operator: str, clause: Clause, constant: frozenset[str]) -> Iterator[_Change]:
    for label in clause.labels if len(clause.labels) > 1 else ():
        rest = ", ".join(each for each in clause.labels if each != label)
        edit = Edit(start=clause.start, end=clause.end, text=f"{clause.word} ({rest})")
        proof = CONSTANT_LABEL if label in constant else ""
        yield _Change(operator, f"{label} dropped from {clause.word}", (edit,), (clause.start, clause.end), proof)


def _operators(node: Node, expr: str) -> Iterator[_Change]:
    left, right = node.parts
    for other in _OTHER_COMPARISONS.get(node.name, ()):
        edge = {node.name.removesuffix("="), other.removesuffix("=")} in ({">"}, {"<"})
        continuous = any(each.kind in {"call", "aggregate"} and each.name in _CONTINUOUS for each in left.walk())
        yield _swap("comparison", node.at, node.name, other, BOUNDARY if edge and continuous else "")
    for other in _OTHER_ARITHMETIC.get(node.name, ()):
        yield _swap("arithmetic", node.at, node.name, other)
    if node.name in {"or", "and", "unless"}:
        for kept, gone in ((left, right), (right, left)):
            text = expr[gone.start : gone.end]
            operator = "absent" if gone.having("call", "absent", "absent_over_time") else "branch"
            edit = Edit(start=node.start, end=node.end, text=expr[kept.start : kept.end])
            yield _Change(operator, f"{node.name} {_short(text)} dropped", (edit,), (gone.start, gone.end))
        if node.name in _OTHER_SETS:
            yield _swap("branch", node.at, node.name, _OTHER_SETS[node.name])


def _joins(node: Node, expr: str, constant: frozenset[str]) -> Iterator[_Change]:
    clause = node.matching
    if clause is None:
        return
    yield from _labels("join", clause, constant)
    other = "ignoring" if clause.word == "on" else "on"
    yield _swap("join", (clause.start, clause.start + len(clause.word)), clause.word, other)
    if node.group is None:
        yield _swap("join", (clause.start, clause.end), expr[clause.start : clause.end], "")


# --- for and severity --------------------------------------------------------------------------------------------


def _waits(rule: AlertRule) -> Iterator[tuple[str, _Change, AlertRule]]:
    if "for" not in rule.places or not rule.for_:
        return
    old = format_duration(rule.for_)
    for other in (timedelta(0), rule.for_ * 2, rule.for_ / 2):
        new = format_duration(timedelta(seconds=round(other.total_seconds())))
        yield (
            "for",
            _Change("for", f"for {old} → {new}", (Edit(start=0, end=0, text=new),), (0, 0)),
            replace(rule, for_=timedelta(seconds=round(other.total_seconds()))),
        )


def _severities(rule: AlertRule) -> Iterator[tuple[str, _Change, AlertRule]]:
    old = rule.labels.get("severity")
    if old is None or "labels.severity" not in rule.places:
        return
    for other in ("critical", "warning", "info"):
        if other != old:
            yield (
                "labels.severity",
                _Change("severity", f"{old} → {other}", (Edit(start=0, end=0, text=other),), (0, 0)),
                replace(rule, labels={**rule.labels, "severity": other}),
            )


# --- Alertmanager's routes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteMutant:
    """Alertmanager's configuration with one route changed, as text that Alertmanager reads."""

    number: int
    words: str
    line: int
    text: str


def route_mutants(text: str) -> tuple[RouteMutant, ...]:
    """Routes whose matcher, receiver or order is wrong, or that are missing; each judged by Alertmanager's own tool."""
    config: dict[str, Any] = yaml.safe_load(text)
    lines = _route_lines(text)
    receivers = [each["name"] for each in config.get("receivers", ())]
    found: list[tuple[str, int, dict[str, Any]]] = []
    for path in _paths(config.get("route", {})):
        line = lines.get(path, 1)
        where = f"route {'.'.join(map(str, path))}" if path else "the default route"
        for words, change in _route_changes(_at(config["route"], path), receivers, root=not path):
            changed = copy.deepcopy(config)
            node = _at(changed["route"], path)
            node.clear()
            node.update(change)
            found.append((f"{where}: {words}", line, changed))
        if path:
            changed = copy.deepcopy(config)
            del _at(changed["route"], path[:-1])["routes"][path[-1]]
            found.append((f"{where} dropped", line, changed))
        if path and path[-1] > 0:
            changed = copy.deepcopy(config)
            routes = _at(changed["route"], path[:-1])["routes"]
            routes[path[-1] - 1], routes[path[-1]] = routes[path[-1]], routes[path[-1] - 1]
            found.append((f"{where} moved before the one above it", line, changed))
    return tuple(
        RouteMutant(number=number, words=words, line=line, text=yaml.safe_dump(changed, sort_keys=False))
        for number, (words, line, changed) in enumerate(found)
    )


_TIMERS: Final = ("group_wait", "group_interval", "repeat_interval")


def _route_changes(
    node: Mapping[str, Any], receivers: Sequence[str], *, root: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    for other in receivers:
        if node.get("receiver") not in {None, other}:
            yield f"receiver {node['receiver']} → {other}", {**node, "receiver": other}
    for index, matcher in enumerate(node.get("matchers", ())):
        operator = next((each for each in ("=~", "!~", "!=", "=") if each in matcher), None)
        if operator is None:
            continue
        for words, new in (
            (f"{operator} → {_OTHER_MATCHERS[operator]}", matcher.replace(operator, _OTHER_MATCHERS[operator], 1)),
            ("another value", re.sub(r"(\"?)$", r"-other\1", matcher, count=1)),
        ):
            others = [new if place == index else each for place, each in enumerate(node["matchers"])]
            yield f"matcher {matcher}: {words}", {**node, "matchers": others}
    if root:
        for timer in _TIMERS:
            if timer in node:
                doubled = format_duration(rules.parse_duration(str(node[timer])) * 2)
                yield f"{timer} {node[timer]} → {doubled}", {**node, timer: doubled}
        for label in node.get("group_by", ()):
            yield (
                f"group_by without {label}",
                {**node, "group_by": [each for each in node["group_by"] if each != label]},
            )


def _paths(route: Mapping[str, Any], path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    yield path
    for index, child in enumerate(route.get("routes") or ()):
        yield from _paths(child, (*path, index))


def _at(route: dict[str, Any], path: tuple[int, ...]) -> dict[str, Any]:
    for index in path:
        route = route["routes"][index]
    return route


def _route_lines(text: str) -> dict[tuple[int, ...], int]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines: dict[tuple[int, ...], int] = {}

    def note(node: yaml.Node, path: tuple[int, ...]) -> None:
        lines[path] = node.start_mark.line + 1
        routes = _child(node, "routes")
        for index, child in enumerate(routes.value if isinstance(routes, yaml.SequenceNode) else ()):
            note(child, (*path, index))

    top = _child(root, "route") if root is not None else None
    if top is not None:
        note(top, ())
    return lines


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)
