"""
What an alert's expression hangs on: its series, what kind of number each is, and the conditions that compare them.

It reads expressions and the recording rules beneath them; it must not know how a series is written or measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from conformance.simulate.example import matching
from fixtures.language.promql import COMPARISONS, Layout, PromqlError
from fixtures.language.tree import Node, tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fixtures.language.tree import Matcher

_TARGET: Final = frozenset({"job", "instance", "namespace", "cluster", "pod", "container", "node", "service", "env"})
"""Labels of the target, not of the metric: what one selector demands of them the series beside it have too."""

DEPTH: Final = 20
"""How many recording rules may stand upon each other."""

_RATES: Final = frozenset({"rate", "irate", "increase"})
_SLOPES: Final = frozenset({"delta", "idelta", "deriv", "predict_linear"})
_PLAIN: Final = frozenset(
    {"abs", "ceil", "floor", "round", "clamp", "clamp_max", "clamp_min", "sgn", "sqrt", "exp", "ln", "log2", "log10"}
    | {"scalar", "vector", "sort", "sort_desc", "label_replace", "label_join"}
    | {f"{each}_over_time" for each in ("avg", "sum", "min", "max", "last", "quantile")}
)
_BY_VALUE: Final = frozenset({"sum", "avg", "min", "max", "topk", "bottomk", "quantile", "limitk"})
_COUNTS: Final = frozenset({"count"})
_MIRRORED: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


class Unmeasurable(Exception):
    """The expression has a construct that is not measured; says which, and where in the rule's own expression."""

    def __init__(self, construct: str, start: int, end: int) -> None:
        super().__init__(construct)
        self.construct = construct
        self.start = start
        self.end = end


class Kind(StrEnum):
    """What a series carries, and so what its number x means."""

    GAUGE = "gauge"
    """It has the value x."""
    COUNTER = "counter"
    """It grows by x a second."""
    SLOPE = "slope"
    """A gauge that changes by x a second."""
    AGE = "age"
    """A time that lies x seconds in the past; with a negative factor, in the future."""
    HISTOGRAM = "histogram"
    """All observations are x, or a share of them is slow."""
    CHANGES = "changes"
    """Its value changes x times in the window."""
    RESETS = "resets"
    """Its value falls x times in the window."""


UNITS: Final = {
    Kind.GAUGE: "value",
    Kind.COUNTER: "per second",
    Kind.SLOPE: "change per second",
    Kind.AGE: "seconds ago",
    Kind.HISTOGRAM: "value observed",
    Kind.CHANGES: "changes in the window",
    Kind.RESETS: "resets in the window",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """
    One set of series that a selector reads; equal selectors are one leaf.

    Of a `counted` leaf the number x says how many series meet the condition that is counted, or exist; one that is
    `valued` too has the value 1 in those and 0 in the others.
    """

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    kind: Kind
    factor: float = 1.0
    counted: bool = False
    valued: bool = False
    window_ms: int = 0
    vary: str = "spread"
    """The label by which its series differ; under `without` one that is aggregated away."""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str, str], ...]]:
        return (self.name, self.matchers)

    def text(self) -> str:
        inner = ",".join(f'{label}{operator}"{value}"' for label, operator, value in self.matchers)
        return f"{self.name}{{{inner}}}" if inner else self.name


Key = tuple[str, tuple[tuple[str, str, str], ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """
    One comparison, or one test whether something is there.

    `text` is the comparison alone, `left` and `right` its sides; `candidates` are the leaves that may carry it, the
    likeliest first. A condition that must be false for the alert to fire (behind `unless`) is not `wanted`. A `guard`
    stands inside the arithmetic of another condition, as the `> 0` in a denominator does; an `inner` one is counted.
    """

    branch: int
    operator: str
    text: str
    left: str
    right: str
    constant: float | None
    place: tuple[int, int]
    candidates: tuple[Key, ...]
    wanted: bool = True
    guard: bool = False
    inner: bool = False
    bool_: bool = False
    quantile: float | None = None
    denominators: tuple[Key, ...] = ()
    fixed: bool = True
    """Whether one side is a number; else two series are compared."""
    kinds: Mapping[Key, Kind] = field(default_factory=dict, compare=False)
    """How this condition reads each leaf; two conditions may read a series as a level and as a slope."""

    @property
    def state(self) -> bool:
        return self.operator in {"==", "!=", "absent", "present"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Anatomy:
    """Everything that is known of one expression."""

    expr: str
    branches: tuple[tuple[str, tuple[int, int]], ...]
    conditions: tuple[Condition, ...]
    leaves: Mapping[Key, Leaf]
    window_ms: int
    narrowest_ms: int
    offset_ms: int
    records: tuple[str, ...]
    """The recording rules beneath, the lowest first."""
    relabelled: bool = False
    followed: bool = False
    """Whether a recorded series is read over a range, so that every evaluation of its rule counts."""
    contrasted: frozenset[Key] = frozenset()
    """The leaves that are read now and in the past."""
    dated: bool = False
    """Whether a time is also compared as a number, so that it must lie after time 0."""
    spread_with: Mapping[Key, frozenset[Key]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Way:
    """What stands above a part on the way down to it."""

    kind: Kind = Kind.GAUGE
    factor: float = 1.0
    window_ms: int = 0
    offset_ms: int = 0
    branch: int = 0
    wanted: bool = True
    in_value: bool = False
    counted: bool = False
    inner: bool = False
    vary: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()
    assigned: tuple[tuple[str, str], ...] = ()
    own: tuple[tuple[str, str], ...] = ()


def anatomy(expr: str, records: Mapping[str, str]) -> Anatomy:
    """Take an expression apart; raises `Unmeasurable` for a construct and `PromqlError` for what is no PromQL."""
    return _Anatomist(expr, records).whole()


class _Anatomist:
    def __init__(self, expr: str, records: Mapping[str, str]) -> None:
        self.expr = expr
        self.records = records
        self.root = tree(expr)
        self.leaves: dict[Key, Leaf] = {}
        self.conditions: list[Condition] = []
        self.windows: list[int] = [0]
        self.ranges: list[int] = []
        self.offsets: set[int] = set()
        self.universe: dict[str, str] = {}
        self.used: list[str] = []
        self.relabelled = False
        self.blamed: tuple[int, int] | None = None
        self.reading: dict[Key, Kind] = {}
        self.spans: dict[Key, set[tuple[int, int]]] = {}
        self.leaf_offsets: dict[Key, set[int]] = {}
        self.dated = self.followed = False
        self.away: set[str] = set()
        self.deep = False
        for at in Layout(expr).instants():
            raise Unmeasurable("@ fixes the time", at.start, at.end)

    def refuse(self, construct: str, node: Node) -> Unmeasurable:
        start, end = self.blamed or (node.at if node.at != (0, 0) else (node.start, node.end))
        return Unmeasurable(construct, start, end)

    def whole(self) -> Anatomy:
        branches = tuple(self.split(self.root))
        for index, node in enumerate(branches):
            self.condition(node, _Way(branch=index), self.expr)
        self.label()
        offsets = self.offsets or {0}
        moved = max(offsets) if len(offsets) > 1 else 0
        return Anatomy(
            expr=self.expr,
            branches=tuple((self.expr[each.start : each.end], (each.start, each.end)) for each in branches),
            conditions=tuple(self.conditions),
            leaves=self.leaves,
            window_ms=max(self.windows) + (0 if moved else max(offsets)),
            narrowest_ms=min(self.ranges, default=0),
            offset_ms=moved,
            records=tuple(dict.fromkeys(self.used)),
            relabelled=self.relabelled,
            dated=self.dated,
            contrasted=frozenset(key for key, found in self.leaf_offsets.items() if len(found) > 1),
            followed=self.followed,
            spread_with=self.spreads(),
        )

    def split(self, node: Node) -> Iterator[Node]:
        bare = node.bare()
        if bare.kind == "binary" and bare.name == "or":
            yield from self.split(bare.parts[0])
            yield from self.split(bare.parts[1])
        else:
            yield node

    # --- conditions -------------------------------------------------------------------------------------------------
    def condition(self, node: Node, way: _Way, text: str) -> None:
        """Read a part that fires by being there."""
        bare = node.bare()
        if bare.kind == "binary" and bare.name in {"and", "or"}:
            for part in bare.parts:
                self.condition(part, way, text)
        elif bare.kind == "binary" and bare.name == "unless":
            self.condition(bare.parts[0], way, text)
            self.condition(bare.parts[1], replace(way, wanted=not way.wanted), text)
        elif bare.kind == "binary" and bare.name in COMPARISONS:
            self.comparison(bare, way, text)
        elif bare.kind == "call" and bare.name in {"absent", "absent_over_time"}:
            self.presence(bare, way, text, "absent")
        elif not self.transparent(bare, way, text):
            self.presence(bare, way, text, "present")

    def transparent(self, bare: Node, way: _Way, text: str) -> bool:
        """Whether the part is there exactly when a comparison within it is, which is read in its place."""
        inside = self.filters(bare)
        if len(inside) != 1 or any(each.bool_ for each in inside) or bare.having("aggregate", "count"):
            return False
        before = len(self.conditions)
        self.value(bare, way, text)
        for index in range(before, len(self.conditions)):
            found = self.conditions[index]
            self.conditions[index] = replace(found, guard=False, inner=False)
        return True

    def filters(self, node: Node) -> list[Node]:
        """The comparisons below that are not inside something that exists anyway."""
        bare = node.bare()
        if bare.kind == "call" and bare.name in {"absent", "absent_over_time", "vector", "scalar"}:
            return []
        if bare.kind == "binary" and bare.name in COMPARISONS:
            return [bare]
        return [found for part in bare.parts for found in self.filters(part)]

    def presence(self, node: Node, way: _Way, text: str, operator: str) -> None:
        found = self.value(node, way, text)
        self.conditions.append(
            Condition(
                branch=way.branch,
                operator=operator,
                text=text[node.start : node.end],
                left=text[node.start : node.end],
                right="",
                constant=None,
                place=self.blamed or (node.start, node.end),
                candidates=tuple(found),
                wanted=way.wanted,
                guard=way.in_value,
                inner=way.counted or way.inner,
            )
        )

    def comparison(self, node: Node, way: _Way, text: str) -> list[Key]:
        left, right = node.parts
        operator = node.name
        if left.constant is not None and right.constant is None:
            left, right, operator = right, left, _MIRRORED[operator]
        within = replace(way, in_value=True, inner=way.inner or way.counted)
        outer, self.reading = self.reading, {}
        around, self.spans = self.spans, {}
        chained = left.bare().kind == "binary" and left.bare().name in COMPARISONS
        found_left = self.value(left, replace(within, in_value=way.in_value) if chained else within, text)
        found_right = self.value(right, within, text)
        kinds, self.reading = self.reading, {**outer, **self.reading}
        spans, self.spans = self.spans, {**around, **self.spans}
        self.deep = way.in_value
        self.refuse_itself(node, spans, set(found_left) & set(found_right))
        # What is read in the past alone is at its baseline there: nothing of a plateau moves it.
        past = bool(spans) and all(offset > 0 for each in spans.values() for _, offset in each)
        constant = right.constant
        place = (right.start, right.end)
        if constant is None:
            numbers = [each for each in right.walk() if each.kind == "number"]
            numbers = numbers or [each for each in left.walk() if each.kind == "number" and self.scales(left, each)]
            if numbers:
                constant, place = numbers[0].constant, (numbers[0].start, numbers[0].end)
            else:
                place = node.at
        quantile = next((each.parts[0].constant for each in left.having("call", "histogram_quantile")), None)
        self.conditions.append(
            Condition(
                branch=way.branch,
                operator=operator,
                text=text[node.start : node.end],
                left=text[left.start : left.end],
                right=text[right.start : right.end],
                constant=constant,
                place=self.blamed or place,
                candidates=tuple(dict.fromkeys([*found_left, *found_right])),
                wanted=way.wanted,
                guard=(way.in_value and not (way.counted or way.inner)) or (past and len(self.offsets) > 1),
                inner=way.counted or way.inner,
                bool_=node.bool_,
                quantile=quantile,
                denominators=tuple(dict.fromkeys(self.below(left))),
                kinds=kinds,
                fixed=not found_right,
            )
        )
        return [*found_left, *found_right]

    def refuse_itself(self, node: Node, spans: Mapping[Key, set[tuple[int, int]]], both: set[Key]) -> None:
        """Refuse what a steady world cannot show: a series against its own average, over time or over label sets."""
        for read in spans.values():
            if len({window for window, _ in read}) > 1 and len({offset for _, offset in read}) == 1:
                raise self.refuse("one series over two windows in one comparison", node)
        if any(len(spans.get(key, ())) == 1 for key in both):
            raise self.refuse("a series compared with itself", node)
        if node.name == "==" and node.parts[1].constant is None and not node.bool_ and self.deep:
            raise self.refuse("an equality of two series inside a value", node)

    def scales(self, left: Node, number: Node) -> bool:
        """Whether a number is a factor of the side, not a parameter of a call."""
        bare = left.bare()
        if bare.kind == "binary":
            return any(part is number or self.scales(part, number) for part in bare.parts)
        return bare is number

    def below(self, node: Node) -> Iterator[Key]:
        """The leaves in denominators."""
        for each in node.walk():
            if each.kind == "binary" and each.name == "/":
                for selector in each.parts[1].having("selector"):
                    yield from (key for key in self.keys_of(selector) if key in self.leaves)

    def keys_of(self, selector: Node) -> Iterator[Key]:
        if selector.name in self.records:
            yield from (
                key for inner in tree(self.records[selector.name]).having("selector") for key in self.keys_of(inner)
            )
        else:
            yield _key(selector)

    # --- values -----------------------------------------------------------------------------------------------------
    def value(self, node: Node, way: _Way, text: str) -> list[Key]:
        """Read a part for its value; gives the leaves that may carry it, the likeliest first."""
        match node.kind:
            case "paren":
                return self.value(node.parts[0], way, text)
            case "number" | "string":
                return []
            case "unary":
                return self.value(node.parts[0], way, text)
            case "selector":
                return self.selector(node, way)
            case "range":
                self.ranges.append(node.range_ms)
                deeper = replace(way, window_ms=way.window_ms + node.range_ms, offset_ms=way.offset_ms + node.offset_ms)
                return self.value(node.parts[0], deeper, text)
            case "subquery":
                deeper = replace(way, window_ms=way.window_ms + node.range_ms, offset_ms=way.offset_ms + node.offset_ms)
                return self.value(node.parts[0], deeper, text)
            case "aggregate":
                return self.aggregate(node, way, text)
            case "call":
                return self.call(node, way, text)
        return self.binary(node, way, text)

    def binary(self, node: Node, way: _Way, text: str) -> list[Key]:
        for clause in (node.matching, node.group):
            for label in clause.labels if clause else ():
                self.universe.setdefault(label, f"{label}-1")
        left, right = node.parts
        if node.name in COMPARISONS:
            return self.comparison(node, way, text)
        if node.name in {"and", "unless"}:
            found = self.value(left, way, text)
            self.condition(right, replace(way, in_value=True, wanted=(node.name == "and") == way.wanted), text)
            return found
        if node.name == "or":
            return [*self.value(left, way, text), *self.value(right, way, text)]
        if node.name == "-" and (clock := _is_time(left) - _is_time(right)):
            aged = right if clock > 0 else left
            return self.value(aged, replace(way, kind=Kind.AGE, factor=clock), text)
        if way.kind is Kind.AGE and node.name in {"/", "*"} and (number := right.constant):
            # A time in another unit: `x / 1000` has values a thousand times as large.
            factor = way.factor * number if node.name == "/" else way.factor / number
            return self.value(left, replace(way, factor=factor), text)
        return [*self.value(left, way, text), *self.value(right, way, text)]

    def aggregate(self, node: Node, way: _Way, text: str) -> list[Key]:
        labels = [label for label in node.grouping.labels if label != "le"] if node.grouping else []
        if node.grouping and node.grouping.word == "without" and labels:
            # What is aggregated away belongs to the series beneath alone.
            gone = tuple((label, f"{label}-1") for label in labels)
            self.away |= set(labels) - {"job", "instance"}
            way = replace(way, vary=tuple(labels), own=(*way.own, *gone))
            labels = []
        for label in labels:
            self.universe.setdefault(label, f"{label}-1")
        if node.name in _COUNTS:
            self.not_nested(node, way)
            return self.value(node.parts[-1], replace(way, counted=True, in_value=True), text)
        if node.name == "sum" and (inner := node.parts[-1].bare()).kind == "binary" and inner.bool_:
            return self.value(inner, replace(way, counted=True, in_value=True), text)
        if node.name not in _BY_VALUE and node.name != "group":
            raise self.refuse(f"the aggregation {node.name}", node)
        return self.value(node.parts[-1], way, text)

    def not_nested(self, node: Node, way: _Way) -> None:
        if way.counted or node.parts[-1].having("aggregate", "count"):
            raise self.refuse("a count of counts", node)

    def call(self, node: Node, way: _Way, text: str) -> list[Key]:
        name = node.name
        if name in _RATES:
            kind = Kind.HISTOGRAM if way.kind is Kind.HISTOGRAM else Kind.COUNTER
            return self.value(node.parts[0], replace(way, kind=kind), text)
        if name in {"changes", "resets"}:
            return self.value(node.parts[0], replace(way, kind=Kind(name)), text)
        if name in _SLOPES:
            return self.value(node.parts[0], replace(way, kind=Kind.SLOPE), text)
        if name == "histogram_quantile":
            return self.value(node.parts[1], replace(way, kind=Kind.HISTOGRAM), text)
        if name in {"absent", "absent_over_time"}:
            return [key for part in node.parts for key in self.value(part, way, text)]
        if name in {"label_replace", "label_join"}:
            self.relabelled = True
        if name == "time":
            raise self.refuse("time() other than as time() - x or x - time()", node)
        if name not in _PLAIN:
            raise self.refuse(f"the function {name}()", node)
        return [key for part in node.parts for key in self.value(part, way, text)]

    def selector(self, node: Node, way: _Way) -> list[Key]:
        if not node.name:
            raise self.refuse("a selector without a metric's name", node)
        offset = way.offset_ms + node.offset_ms
        if offset < 0:
            raise self.refuse("a negative offset", node)
        if node.name in self.records:
            return self.recorded(node, way, offset)
        if node.name in {"ALERTS", "ALERTS_FOR_STATE"}:
            raise self.refuse(f"{node.name}, which other rules write", node)
        self.offsets.add(offset)
        self.leaf_offsets.setdefault(_key(node), set()).add(offset)
        self.spans.setdefault(_key(node), set()).add((way.window_ms, offset))
        self.windows.append(way.window_ms)
        key = _key(node)
        kind = way.kind
        if kind is Kind.HISTOGRAM and not node.name.endswith("_bucket"):
            raise self.refuse("a native histogram (no _bucket series)", node)
        if kind is Kind.GAUGE and node.name.endswith("_bucket"):
            raise self.refuse("buckets read without rate()", node)
        self.leaves[key] = self.leaf(node, way)
        for label, value in way.assigned:
            self.universe.setdefault(label, value)
        for matcher in node.matchers:
            if matcher.operator == "=" and matcher.value and matcher.label not in {"le", "__name__"}:
                self.universe[matcher.label] = matcher.value
        return [key]

    def leaf(self, node: Node, way: _Way) -> Leaf:
        """The leaf of a selector, as all that was read so far makes it."""
        key, kind = _key(node), way.kind
        self.reading[key] = kind
        known = self.leaves.get(key)
        factor, counted, valued, window = way.factor, way.counted, not way.counted, way.window_ms
        if known is not None:
            counted, valued = counted or known.counted, valued or known.valued
            window = max(window, known.window_ms)
            if known.kind is not kind:
                kind = self.joined(known.kind, kind, node)
                factor = known.factor if kind is known.kind else factor
        if counted and kind not in (Kind.GAUGE, Kind.COUNTER, Kind.AGE):
            raise self.refuse(f"a count of series that are read as {kind}", node)
        return Leaf(
            name=node.name,
            matchers=key[1],
            kind=kind,
            factor=factor,
            counted=counted,
            valued=valued,
            window_ms=window,
            vary=next((label for label in way.vary if all(each.label != label for each in node.matchers)), "spread"),
            labels=dict(way.own),
        )

    def joined(self, one: Kind, other: Kind, node: Node) -> Kind:
        kinds = {one, other}
        if kinds == {Kind.COUNTER, Kind.GAUGE}:
            # A counter compared by its value as well: it grows, and its value follows.
            return Kind.COUNTER
        if kinds == {Kind.SLOPE, Kind.GAUGE}:
            return Kind.SLOPE
        if kinds == {Kind.AGE, Kind.GAUGE}:
            self.dated = True
            return Kind.AGE
        raise self.refuse(f"one series read as {one} and as {other}", node)

    def recorded(self, node: Node, way: _Way, offset: int) -> list[Key]:
        if node.name in way.recorded:
            raise self.refuse(f"recording rules run in a circle: {' → '.join([*way.recorded, node.name])}", node)
        if len(way.recorded) >= DEPTH:
            raise self.refuse(f"more than {DEPTH} recording rules upon each other", node)
        self.followed |= way.window_ms > 0
        text = self.records[node.name]
        outer, self.blamed = self.blamed, self.blamed or (node.start, node.end)
        assigned = tuple((each.label, each.value) for each in node.matchers if each.operator == "=" and each.value)
        deeper = replace(
            way,
            offset_ms=offset,
            window_ms=way.window_ms,
            recorded=(*way.recorded, node.name),
            assigned=(*way.assigned, *assigned),
            kind=way.kind if way.kind in (Kind.AGE, Kind.SLOPE) else Kind.GAUGE,
            in_value=True,
        )
        try:
            found = self.value(tree(text), deeper, text)
        except PromqlError as error:
            raise self.refuse(f"the recording rule {node.name}: {error.message}", node) from None
        self.blamed = outer
        self.used.append(node.name)
        return found

    # --- labels -----------------------------------------------------------------------------------------------------
    def label(self) -> None:
        """Give each leaf labels that meet its matchers and, where they can, agree with every other leaf's."""
        taken: dict[tuple[str, frozenset[tuple[str, str]]], Key] = {}
        for key, leaf in sorted(self.leaves.items(), key=lambda each: -len(each[1].matchers)):
            known = {name: value for name, value in self.universe.items() if name not in self.away}
            labels = {"job": "job-1", "instance": "instance-1:80", **leaf.labels, **known}
            labels.pop("le", None)
            for label in dict.fromkeys(name for name, _, _ in leaf.matchers if name != "__name__"):
                conditions = [(op, value) for name, op, value in leaf.matchers if name == label]
                chosen = matching(conditions, prefer=[labels.get(label, ""), f"{label}-1"])
                if chosen is None:
                    raise Unmeasurable(f"no value of {label!r} meets the matchers of {leaf.name}", 0, len(self.expr))
                labels[label] = chosen
                if label in _TARGET and chosen:
                    self.universe[label] = chosen
            labels = {name: value for name, value in labels.items() if value}
            labels = self.apart(leaf, labels, taken)
            taken[leaf.name, frozenset(labels.items())] = key
            self.leaves[key] = replace(leaf, labels=labels)

    def apart(
        self, leaf: Leaf, labels: dict[str, str], taken: Mapping[tuple[str, frozenset[tuple[str, str]]], Key]
    ) -> dict[str, str]:
        """Two leaves of one metric are different series: the looser selector gets what the stricter one refuses."""
        other = taken.get((leaf.name, frozenset(labels.items())))
        if other is None:
            return labels
        for label, operator, value in other[1]:
            own = [(op, wanted) for name, op, wanted in leaf.matchers if name == label]
            refused = matching([*own, (_OPPOSITE[operator], value)], prefer=[f"{label}-other", "200", "idle", "other"])
            if label not in {"le", "__name__"} and refused:
                return {**labels, label: refused}
        return labels

    def spreads(self) -> dict[Key, frozenset[Key]]:
        """For each leaf the leaves that must be spread with it, because they are matched label set by label set."""
        return {key: frozenset(self.with_(key)) for key in self.leaves}

    def with_(self, carrier: Key) -> set[Key]:
        marked = {carrier}
        pairs = [node for node in self.root.walk() if node.kind == "binary" and node.name != "or"]
        while True:
            before = len(marked)
            for node in pairs:
                if node.matching is not None and node.matching.word == "on":
                    continue
                left, right = (self.visible(part) for part in node.parts)
                if left & marked or right & marked:
                    marked |= left | right
            if len(marked) == before:
                return marked

    def visible(self, node: Node) -> set[Key]:
        """The leaves whose own labels are still there in a part's result."""
        bare = node.bare()
        if bare.kind == "selector":
            return {key for key in self.keys_of(bare) if bare.name not in self.records and key in self.leaves}
        if bare.kind == "aggregate" and not (bare.grouping and bare.grouping.word == "without"):
            return set() if bare.name not in {"topk", "bottomk", "limitk"} else self.visible(bare.parts[-1])
        if bare.kind == "call" and bare.name in {"absent", "absent_over_time", "scalar"}:
            return set()
        return {key for part in bare.parts for key in self.visible(part)}


_OPPOSITE: Final = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}


def _key(node: Node) -> Key:
    return (node.name, tuple((each.label, each.operator, each.value) for each in _own(node.matchers)))


def _own(matchers: Sequence[Matcher]) -> Iterator[Matcher]:
    return (each for each in matchers if each.label != "__name__")


def _is_time(node: Node) -> bool:
    bare = node.bare()
    return (bare.kind == "call" and bare.name == "time") or (
        bare.kind == "call" and bare.name == "vector" and _is_time(bare.parts[0])
    )


def escaped(value: str) -> str:
    """A label value as it stands between double quotes."""
    return re.sub(r'(["\\])', r"\\\1", value).replace("\n", "\\n")
