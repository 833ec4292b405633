"""
Diagnostics of any rule folder, without running it: file, line, column, caret, and a reason with the measured values.

It knows rule files and what the documented world exposes; it must not know an engine, a stack or the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from conformance.contract.model import Contract
from fixtures.language import promql, rules
from fixtures.language.durations import format_duration, format_ms
from fixtures.language.promql import PromqlError
from fixtures.language.rules import AlertRule, RecordingRule, RuleFile, RuleGroup, RulesError
from fixtures.language.tree import Node, tree

MAX_BYTES: Final = 2_000_000
"""A rule file beyond this is refused before it is parsed: a parser's time and memory are not ours to bound."""

RATES: Final = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets"})
_COUNTED: Final = frozenset({"rate", "irate", "increase"})
_MIRRORED: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_SERIES_SUFFIXES: Final = ("_bucket", "_sum", "_count")
# PostgreSQL does not start with a limit of 0, so its settings are left out.
_LIMIT_NAMES: Final = re.compile(r"_(?:limit|limits|quota|max|capacity|size|total_bytes|limit_bytes)(?:_|$)")
_FAILURES: Final = re.compile(r"(?:^|_)(?:errors?|failures?|failed|5xx)(?:_|$)")
_LABEL_USE: Final = re.compile(r"\$labels\.([A-Za-z_][A-Za-z0-9_]*)|index\s+\$labels\s+\"([^\"]+)\"")
_BARE_VALUE: Final = re.compile(r"\{\{-?\s*(?:\$value|\.Value)\s*-?\}\}")

# What the documented exporters, Prometheus and the client libraries expose, by how the names begin.
EXPORTERS: Final = (
    *("up", "scrape_", "ALERTS", "prometheus_", "alertmanager_", "promhttp_", "process_", "python_", "go_"),
    *("container_", "machine_", "cadvisor_", "node_", "pg_", "postgres_exporter_", "redis_", "probe_", "blackbox_"),
    *("loki_", "promtail_", "jaeger_", "grafana_", "net_conntrack_"),
)
# An exporter that loses what it watches answers its scrape all the same: only its own gauge tells.
_HEALTH: Final = {"pg_": "pg_up", "redis_": "redis_up", "mysql_": "mysql_up", "probe_": "probe_success"}
# An amount with the limit that gives it a meaning.
_CAPACITY: Final = (
    ("pg_stat_activity_count", "pg_settings_max_connections"),
    ("container_memory_", "container_spec_memory_limit_bytes"),
    ("redis_memory_used_bytes", "redis_memory_max_bytes"),
    ("redis_connected_clients", "redis_config_maxclients"),
    ("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    ("node_filesystem_free_bytes", "node_filesystem_size_bytes"),
    ("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"),
    ("process_open_fds", "process_max_fds"),
)
# Gauges that an exporter splits over labels: no single series is the total that the name suggests.
_SPLIT: Final = {
    "pg_stat_activity_count": "datname, state and more",
    "pg_locks_count": "datname and mode",
    "node_cpu_seconds_total": "cpu and mode",
}


class Weight(StrEnum):
    """
    How bad a finding is.

    An error never works, a warning misleads, a note is a property that its reader must know.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A metric that the documented world exposes; labels beyond job and instance, None where they are not known."""

    name: str
    kind: str = "unknown"
    labels: tuple[str, ...] | None = None
    last_bucket: float | None = None
    buckets_beyond: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """
    What the rules meet: how often is scraped and evaluated, and which metrics there are.

    With no family named nothing is said of unknown metrics. `default_last_bucket` is the client libraries' own.
    """

    scrape_interval: timedelta = timedelta(seconds=15)
    evaluation_interval: timedelta = timedelta(seconds=15)
    families: Mapping[str, Family] = field(default_factory=dict)
    prefixes: tuple[str, ...] = EXPORTERS
    default_last_bucket: float = 10.0

    def family(self, metric: str) -> Family | None:
        """The family of a series' name: a histogram's is found by its buckets too."""
        if metric in self.families:
            return self.families[metric]
        for suffix in _SERIES_SUFFIXES:
            known = self.families.get(metric.removesuffix(suffix)) if metric.endswith(suffix) else None
            if known is not None and known.kind in {"histogram", "summary"}:
                return known
        return None


def world_of(contract: Contract) -> World:
    """What a contract documents: its metrics with their kinds, labels and promised buckets, and its intervals."""
    return World(
        scrape_interval=contract.timing.scrape_interval,
        evaluation_interval=contract.timing.evaluation_interval,
        families={
            each.name: Family(
                name=each.name, kind=str(each.type), labels=each.labels, buckets_beyond=each.buckets_beyond
            )
            for each in contract.metrics.promises
        },
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One finding: which check, where, and why in measured words."""

    check: str
    weight: Weight
    rule: str
    reason: str
    file: str
    line: int
    column: int
    shown: str = ""

    def text(self) -> str:
        """As a linter prints it."""
        head = f"{self.file}:{self.line}:{self.column}: {self.weight} {self.check}: {self.reason}"
        return f"{head}\n{self.shown}" if self.shown else head


def read(folder: Path) -> tuple[tuple[RuleFile, ...], tuple[Diagnostic, ...]]:
    """
    The rule files directly in a folder (or the one file), and a finding for each that cannot be read.

    A file that is valid YAML and no rule file at all (Alertmanager's configuration, say) is left out.
    """
    paths = [folder] if folder.is_file() else sorted(each for each in folder.glob("*.y*ml") if each.is_file())
    files: list[RuleFile] = []
    wrong: list[Diagnostic] = []
    for path in paths:
        name = path.name if folder.is_file() else f"{folder.name}/{path.name}"
        try:
            text = _text(path, name)
            if not re.search(r"^(?:route|receivers|scrape_configs):", text, re.MULTILINE):
                files.append(rules.load(text, file=name))
        except RulesError as error:
            wrong.append(_unread(name, str(error.args[0]), error.line, error.column, error.shown))
        except UnicodeDecodeError as error:
            wrong.append(_unread(name, f"is not UTF-8 at byte {error.start}", 1, 1, ""))
        except OSError as error:
            wrong.append(_unread(name, error.strerror or str(error), 1, 1, ""))
    if not paths:
        reason = "holds no rule file" if folder.is_dir() else "is neither a folder nor a file"
        wrong.append(_unread(str(folder.name), reason, 1, 1, ""))
    return tuple(files), tuple(wrong)


def _text(path: Path, name: str) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise RulesError(f"has {size} bytes, more than the {MAX_BYTES} that are read", file=name, line=1, column=1)
    return path.read_text(encoding="utf-8")


def _unread(file: str, reason: str, line: int, column: int, shown: str) -> Diagnostic:
    return Diagnostic(
        check="unreadable",
        weight=Weight.ERROR,
        rule="",
        reason=reason,
        file=file,
        line=line,
        column=column,
        shown=shown,
    )


def lint(files: Sequence[RuleFile], world: World | None = None) -> tuple[Diagnostic, ...]:
    """Every finding in these rule files, in the order of the files and their lines."""
    world = world or World()
    recorded = {rule.name for file in files for rule in file.rules if isinstance(rule, RecordingRule)}
    found: list[Diagnostic] = []
    for file in files:
        for group in file.groups:
            for rule in group.rules:
                try:
                    root = tree(rule.expr)
                except PromqlError as error:
                    found.append(
                        _place(
                            _Said("not-measurable", Weight.WARNING, f"parser: {error.message}", error.start, error.end),
                            file,
                            rule,
                        )
                    )
                    continue
                view = _View(file=file, group=group, rule=rule, root=root, world=world, recorded=recorded)
                found += [_place(said, file, rule) for check in _CHECKS for said in check(view)]
    found += cycles(files)
    order = {file.file: index for index, file in enumerate(files)}
    return tuple(sorted(found, key=lambda each: (order.get(each.file, 0), each.line, each.column, each.check)))


@dataclass(frozen=True, slots=True)
class _Said:
    check: str
    weight: Weight
    reason: str
    start: int = 0
    end: int = 0
    part: str = "expr"


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """One rule with everything that a check may look at."""

    file: RuleFile
    group: RuleGroup
    rule: AlertRule | RecordingRule
    root: Node
    world: World
    recorded: set[str]

    @property
    def interval(self) -> timedelta:
        return self.group.interval or self.world.evaluation_interval

    @property
    def alert(self) -> AlertRule | None:
        return self.rule if isinstance(self.rule, AlertRule) else None


def _place(said: _Said, file: RuleFile, rule: AlertRule | RecordingRule) -> Diagnostic:
    scalar = rule.places.get(said.part) or rule.places["expr"]
    whole = said.part != "expr" and not said.end
    end = len(scalar.value) if whole else max(said.end, said.start + 1)
    error = rules.blame(file, scalar, said.reason, said.start, end)
    return Diagnostic(
        check=said.check,
        weight=said.weight,
        rule=rule.name,
        reason=f"{rule.name}: {said.reason}",
        file=file.file,
        line=error.line,
        column=error.column,
        shown=error.shown,
    )


# --- comparisons with a constant ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of something with a constant, turned so that the constant is on the right."""

    node: Node
    left: Node
    operator: str
    bound: float
    constant: Node


def comparisons(root: Node) -> Iterator[Comparison]:
    """Each comparison with a constant that an expression makes."""
    for node in root.having("binary", *_MIRRORED):
        left, right = node.parts
        if (bound := right.constant) is not None and left.constant is None:
            yield Comparison(node, left.bare(), node.name, bound, right)
        elif (bound := left.constant) is not None and right.constant is None:
            yield Comparison(node, right.bare(), _MIRRORED[node.name], bound, left)


def verdicts(root: Node) -> Iterator[Comparison]:
    """Those comparisons whose outcome is the rule's own: not the guards inside a division or an aggregation."""
    bare = root.bare()
    if bare.kind == "binary" and bare.name in {"and", "or", "unless"}:
        for part in bare.parts if bare.name != "unless" else bare.parts[:1]:
            yield from verdicts(part)
    elif bare.kind == "binary" and bare.name in _MIRRORED:
        yield from (each for each in comparisons(bare) if each.node is bare)


def _aggregated(root: Node, selector: Node) -> bool:
    return any(
        selector in node.walk() for node in root.having("aggregate") if node.name not in {"topk", "bottomk", "limitk"}
    )


# --- the checks --------------------------------------------------------------------------------------------------


def _short_ranges(view: _View) -> Iterator[_Said]:
    scrape = view.world.scrape_interval
    for call in view.root.having("call", *RATES):
        for part in call.parts:
            inner = part.bare()
            if inner.kind != "range" or inner.duration is None:
                continue
            if timedelta(milliseconds=inner.range_ms) < 2 * scrape:
                yield _Said(
                    "range-below-two-scrapes",
                    Weight.ERROR,
                    f"{call.name} needs two samples, and a range of {format_ms(inner.range_ms)} holds fewer than two "
                    f"scrapes that are {format_duration(scrape)} apart: most evaluations give nothing",
                    inner.duration.start,
                    inner.duration.end,
                )


def _quantiles(view: _View) -> Iterator[_Said]:
    for each in comparisons(view.root):
        left = each.left
        if left.kind != "call" or left.name != "histogram_quantile" or each.operator not in {">", ">="}:
            continue
        for selector in left.having("selector"):
            family = view.world.family(selector.name)
            if not selector.name.endswith("_bucket"):
                yield _Said(
                    "not-a-histogram",
                    Weight.WARNING,
                    f"histogram_quantile reads {selector.name}, whose name is not that of buckets: it gives nothing "
                    "unless that is a native histogram",
                    *selector.at,
                )
                continue
            yield from _beyond(view.world, family, each, selector)


def _beyond(world: World, family: Family | None, each: Comparison, selector: Node) -> Iterator[_Said]:
    bound, place = each.bound, (each.constant.start, each.constant.end)
    last = family.last_bucket if family else None
    reach = "a quantile is never above the last finite bucket"

    def misses(top: float) -> bool:
        return bound > top if each.operator == ">=" else bound >= top

    if last is not None and misses(last):
        yield _Said(
            "quantile-beyond-buckets",
            Weight.ERROR,
            f"can never fire: the last finite bucket of {selector.name} is {last:g}, and {reach}; "
            f"{each.operator} {bound:g}",
            *place,
        )
    elif misses(world.default_last_bucket):
        promised = family.buckets_beyond if family else None
        cured = (
            f"its last finite bucket is {last:g}"
            if last is not None
            else f"buckets beyond {promised:g} are promised"
            if promised is not None and promised >= bound
            else ""
        )
        yield _Said(
            "quantile-beyond-buckets",
            Weight.NOTE if cured else Weight.WARNING,
            f"{reach}, which is {world.default_last_bucket:g} in the client libraries: {each.operator} {bound:g} could "
            f"never fire with those; " + (cured or f"nothing is known of the buckets of {selector.name}"),
            *place,
        )


def _unknown_metrics(view: _View) -> Iterator[_Said]:
    if not view.world.families:
        return
    known = {*view.world.families, *view.recorded}
    for selector in view.root.having("selector"):
        name = selector.name
        if not name or name in known or view.world.family(name) or name.startswith(view.world.prefixes):
            continue
        yield _Said(
            "unknown-metric",
            Weight.ERROR,
            f"nothing exposes or records {name}{rules.near(name, known)}; the rule can never be true on it",
            *selector.at,
        )


def _summaries(view: _View) -> Iterator[_Said]:
    for selector in view.root.having("selector"):
        family = view.world.families.get(selector.name)
        if family and family.kind == "histogram":
            yield _Said(
                "histogram-without-suffix",
                Weight.ERROR,
                f"{selector.name} is a histogram: its series are called {selector.name}_bucket, _sum and _count, and "
                "none has this name",
                *selector.at,
            )


def _templates(view: _View) -> Iterator[_Said]:
    if view.alert is None:
        return
    branches = produced(view.root)
    for part in ("annotations", "labels"):
        for key in getattr(view.alert, part):
            scalar = view.alert.places.get(f"{part}.{key}")
            if scalar is None:
                continue
            for use in _LABEL_USE.finditer(scalar.value):
                label = use[1] or use[2]
                missing = [branch for branch in branches if not branch.can(label)]
                if not missing:
                    continue
                everywhere = len(missing) == len(branches)
                yield _Said(
                    "template-label",
                    Weight.WARNING,
                    f"the query cannot produce the label {label}"
                    + ("" if everywhere else f" in {len(missing)} of its {len(branches)} branches")
                    + f" (it gives {missing[0].words()}): the text stays empty there",
                    use.start(),
                    use.end(),
                    f"{part}.{key}",
                )


def _values(view: _View) -> Iterator[_Said]:
    if view.alert is None:
        return
    for key in view.alert.annotations:
        scalar = view.alert.places.get(f"annotations.{key}")
        use = _BARE_VALUE.search(scalar.value) if scalar else None
        if use:
            yield _Said(
                "value-unformatted",
                Weight.NOTE,
                "a bare value prints up to seventeen digits; printf, humanize or humanizePercentage make it readable",
                use.start(),
                use.end(),
                f"annotations.{key}",
            )


def _limits(view: _View) -> Iterator[_Said]:
    guarded = {
        each.left.name
        for each in comparisons(view.root)
        if each.left.kind == "selector" and each.operator in {">", "!="} and each.bound >= 0
    }
    for node in view.root.having("binary", "/"):
        below = node.parts[1].bare()
        if (
            below.kind != "selector"
            or below.name in guarded
            or below.name.startswith("pg_settings_")
            or not _LIMIT_NAMES.search(below.name)
        ):
            continue
        above = any(each.operator in {">", ">="} and node in each.left.walk() for each in comparisons(view.root))
        if view.alert is not None and not above:
            # Infinity is on the quiet side of a lower bound.
            continue
        zero = "0 where no limit is set" if below.name.startswith("container_spec_") else "0 in some environments"
        yield _Said(
            "division-by-zero-limit",
            Weight.WARNING,
            f"{below.name} can be {zero}, and a division by it is +Inf"
            + (": the alert then fires and never stops" if above else "")
            + f"; divide by ({below.name} > 0)",
            below.start,
            below.end,
        )


def _per_series(view: _View) -> Iterator[_Said]:
    for each in verdicts(view.root):
        left = each.left
        selectors = left.having("selector")
        if each.operator not in {">", ">="} or not selectors:
            continue
        selector = selectors[0]
        if _aggregated(left, selector):
            continue
        if left.kind == "call" and left.name == "histogram_quantile":
            yield _Said(
                "per-series-quantile",
                Weight.WARNING,
                f"no sum by (le): the quantile is taken per label set, so one rare slow one with a request in two "
                f"minutes passes {each.bound:g} while nearly all requests are fast",
                left.start,
                left.end,
            )
            continue
        family = view.world.family(selector.name)
        split = _SPLIT.get(selector.name) or (", ".join(family.labels) if family and family.labels else "")
        counted = left.kind == "call" and left.name in _COUNTED and family is None
        if (split or counted) and (left.kind == "selector" or (left.kind == "call" and left.name in RATES)):
            parts = f"split over {split}" if split else "as a counter it may have many label sets"
            yield _Said(
                "per-series-threshold",
                Weight.WARNING if split else Weight.NOTE,
                f"{selector.name}: {parts}, and each label set is compared with {each.bound:g} by itself: five sets at "
                f"{each.bound / 2:g} make {each.bound * 2.5:g} and never fire; if the total is meant, sum it",
                left.start,
                left.end,
            )


def _capacities(view: _View) -> Iterator[_Said]:
    names = {selector.name for selector in view.root.having("selector")}
    for each in verdicts(view.root):
        for selector in each.left.having("selector"):
            for amount, limit in _CAPACITY:
                if selector.name.startswith(amount) and limit not in names and each.bound > 1:
                    yield _Said(
                        "constant-against-a-limit",
                        Weight.WARNING,
                        f"{each.bound:g} is a share only of one {limit}: with five times that limit it is "
                        f"{20:g} % of what it was, and the alert means something else; divide by {limit}",
                        each.constant.start,
                        each.constant.end,
                    )


def _absolute_rates(view: _View) -> Iterator[_Said]:
    for each in verdicts(view.root):
        left = each.left
        calls = left.having("call", *_COUNTED)
        if not calls or each.operator not in {">", ">="} or left.having("binary", "/"):
            continue
        selector = next(iter(calls[0].having("selector")), None)
        if selector is not None and _FAILURES.search(selector.name):
            yield _Said(
                "absolute-rate",
                Weight.NOTE,
                f"{each.bound:g} is an absolute rate, not a share: among 1000 requests/s it is {each.bound / 10:g} % "
                "and fires, whatever the traffic is",
                each.constant.start,
                each.constant.end,
            )


def _absences(view: _View) -> Iterator[_Said]:
    if view.alert is None or view.root.having("call", "absent", "absent_over_time"):
        return
    for each in verdicts(view.root):
        selector = each.left
        if selector.kind == "selector" and selector.name == "up" and (each.operator, each.bound) in _DOWN:
            yield _Said(
                "absence-unseen",
                Weight.WARNING,
                "a target that vanished from discovery has no series, and no value is compared: nothing fires when it "
                f"is gone altogether; add or absent({view.rule.expr[selector.start : selector.end]})",
                selector.start,
                selector.end,
            )


_DOWN: Final = {("==", 0.0), ("<", 1.0), ("!=", 1.0)}


def _blindness(view: _View) -> Iterator[_Said]:
    if view.alert is None:
        return
    names = {selector.name for selector in view.root.having("selector")}
    for prefix, health in _HEALTH.items():
        blind = next(
            (each for each in view.root.having("selector") if each.name.startswith(prefix) and each.name != health),
            None,
        )
        if blind is not None and health not in names:
            yield _Said(
                "exporter-blind",
                Weight.WARNING,
                f"{blind.name} is gone as soon as its exporter cannot reach what it watches, while up stays 1: the "
                f"alert resolves when it is needed most; add or {health} == 0",
                *blind.at,
            )


def _flapping(view: _View) -> Iterator[_Said]:
    if view.alert is None or view.alert.for_ <= view.interval:
        return
    for each in verdicts(view.root):
        if each.left.kind == "selector" and each.left.name.endswith("up") and (each.operator, each.bound) in _DOWN:
            waits = format_duration(view.alert.for_)
            yield _Said(
                "flapping-unseen",
                Weight.NOTE,
                f"one good scrape within {waits} starts the wait anew: a target that is down for 45 s of each minute "
                "never fires; avg_over_time over some minutes sees it",
                part="for",
            )
            return


def _bursts(view: _View) -> Iterator[_Said]:
    if view.alert is None or not view.alert.for_:
        return
    ranges = [part.range_ms for call in view.root.having("call", *RATES) for part in call.having("range")]
    if ranges and view.alert.for_ >= timedelta(milliseconds=max(ranges)):
        yield _Said(
            "range-within-for",
            Weight.NOTE,
            f"for {format_duration(view.alert.for_)} is as long as the range {format_ms(max(ranges))}: a single burst "
            "of any size leaves the range before the wait is over and never fires",
            part="for",
        )


def _waits(view: _View) -> Iterator[_Said]:
    if view.alert is not None and timedelta(0) < view.alert.for_ < view.interval:
        yield _Said(
            "for-below-interval",
            Weight.WARNING,
            f"for {format_duration(view.alert.for_)} is shorter than the evaluation every "
            f"{format_duration(view.interval)}: it lasts until the next one, and a single sample fires it",
            part="for",
        )


def _conditions(view: _View) -> Iterator[_Said]:
    if view.alert is None:
        return
    root = view.root.bare()
    if root.kind == "binary" and root.name in _MIRRORED and root.bool_:
        yield _Said(
            "bool-always-fires",
            Weight.ERROR,
            f"{root.name} bool gives 0 or 1 and never nothing: the alert fires as long as there are series",
            *root.at,
        )
        return
    if not view.root.having("binary", *_MIRRORED, "and", "unless") and not view.root.having(
        "call", "absent", "absent_over_time"
    ):
        names = {each.name for each in view.root.having("selector")}
        # An alert over a constant is meant to fire always: a dead man's switch.
        if names and not names <= view.recorded:
            yield _Said(
                "no-condition",
                Weight.WARNING,
                "nothing is compared: the alert fires as long as the query gives any series, whatever its value",
                0,
                len(view.rule.expr),
            )


def _kinds(view: _View) -> Iterator[_Said]:
    for call in view.root.having("call", *_COUNTED):
        for selector in call.having("selector"):
            family = view.world.family(selector.name)
            if family and family.kind == "gauge":
                yield _Said(
                    "rate-of-a-gauge",
                    Weight.WARNING,
                    f"{selector.name} is a gauge: {call.name} takes every fall for a restart and adds it up",
                    *selector.at,
                )
    for each in verdicts(view.root):
        if each.left.kind == "selector" and each.left.name.endswith("_total") and each.operator in {">", ">="}:
            yield _Said(
                "counter-without-rate",
                Weight.WARNING,
                f"{each.left.name} only grows: once above {each.bound:g} the alert fires until the next restart",
                each.left.start,
                each.left.end,
            )


def _container_names(view: _View) -> Iterator[_Said]:
    for selector in view.root.having("selector"):
        if not selector.name.startswith("container_"):
            continue
        for matcher in selector.matchers:
            if matcher.label == "name" and matcher.operator == "=":
                yield _Said(
                    "container-name",
                    Weight.NOTE,
                    f"matches only where the container is called exactly {matcher.value}: without container_name "
                    "compose names it differently, and on Kubernetes there is no such label",
                    matcher.start,
                    matcher.end,
                )
                return


def _severities(view: _View) -> Iterator[_Said]:
    if view.alert is not None and "severity" not in {*view.alert.labels, *view.group.labels}:
        yield _Said(
            "no-severity", Weight.NOTE, "has no severity: whatever routes by it sends this to the default", part="alert"
        )


_Check = Callable[[_View], Iterator[_Said]]
_CHECKS: Final[tuple[_Check, ...]] = (
    _short_ranges,
    _quantiles,
    _unknown_metrics,
    _summaries,
    _templates,
    _values,
    _limits,
    _per_series,
    _capacities,
    _absolute_rates,
    _absences,
    _blindness,
    _flapping,
    _bursts,
    _waits,
    _conditions,
    _kinds,
    _container_names,
    _severities,
)


# --- what labels a query can produce -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Labels:
    """Label names of one branch: exactly `names`, or, if open, anything but `gone`."""

    open: bool
    names: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def can(self, label: str) -> bool:
        return label in self.names or (self.open and label not in self.gone)

    def words(self) -> str:
        if not self.open:
            return f"only {', '.join(sorted(self.names))}" if self.names else "no labels at all"
        return f"all but {', '.join(sorted(self.gone))}" if self.gone else "any label"


_NONE: Final = Labels(open=False)
_ANY: Final = Labels(open=True, gone=frozenset({"__name__"}))
MAX_BRANCHES: Final = 16


def produced(node: Node) -> tuple[Labels, ...]:
    """The labels that each branch of an expression can give, `or` making branches."""
    match node.kind:
        case "paren" | "range" | "subquery" | "unary":
            return produced(node.parts[0])
        case "selector":
            return (_ANY,)
        case "call":
            return _by_call(node)
        case "aggregate":
            return _by_aggregation(node)
        case "binary":
            return _by_operator(node)
    return (_NONE,)


def _by_call(node: Node) -> tuple[Labels, ...]:
    if node.name in {"absent", "absent_over_time"}:
        selector = next(iter(node.having("selector")), None)
        equal = [each.label for each in selector.matchers if each.operator == "="] if selector else []
        return (Labels(open=False, names=frozenset(equal) - {"__name__"}),)
    vectors = [part for part in node.parts if part.kind not in {"string", "number"}]
    if node.name in {"vector", "time", "scalar", "pi"} or not vectors:
        return (_NONE,)
    inner = produced(vectors[-1])
    if node.name == "histogram_quantile":
        return tuple(_without(each, {"le"}) for each in inner)
    if node.name in {"label_replace", "label_join"} and len(node.parts) > 1 and node.parts[1].kind == "string":
        made = node.parts[1].name
        return tuple(Labels(each.open, each.names | {made}, each.gone - {made}) for each in inner)
    return inner


def _without(labels: Labels, gone: Iterable[str]) -> Labels:
    names = frozenset(gone)
    return Labels(labels.open, labels.names - names, labels.gone | names if labels.open else frozenset())


def _by_aggregation(node: Node) -> tuple[Labels, ...]:
    if node.name in {"topk", "bottomk", "limitk", "limit_ratio"}:
        return produced(node.parts[-1])
    extra = frozenset({node.parts[0].name}) if node.name == "count_values" and len(node.parts) > 1 else frozenset[str]()
    inner = produced(node.parts[-1])
    if node.grouping is None:
        return (Labels(open=False, names=extra),)
    named = frozenset(node.grouping.labels)
    if node.grouping.word == "by":
        kept = [Labels(open=False, names=frozenset(n for n in named if each.can(n)) | extra) for each in inner]
    else:
        kept = [Labels(each.open, (each.names - named) | extra, _without(each, named).gone - extra) for each in inner]
    return tuple(dict.fromkeys(kept))


def _by_operator(node: Node) -> tuple[Labels, ...]:
    left, right = node.parts
    if left.constant is not None or _is_scalar(left):
        return produced(right)
    if right.constant is not None or _is_scalar(right):
        return produced(left)
    if node.name == "or":
        return tuple(dict.fromkeys((*produced(left), *produced(right))))[:MAX_BRANCHES]
    if node.name in {"and", "unless"}:
        return produced(left)
    if node.group is not None:
        many, one = (left, right) if node.group.word == "group_left" else (right, left)
        taken = frozenset(label for label in node.group.labels if any(each.can(label) for each in produced(one)))
        return tuple(Labels(each.open, each.names | taken, each.gone - taken) for each in produced(many))
    if node.name in _MIRRORED and not node.bool_:
        return produced(left)
    if node.matching is not None and node.matching.word == "on":
        named = frozenset(node.matching.labels)
        return tuple(Labels(open=False, names=frozenset(n for n in named if each.can(n))) for each in produced(left))
    if node.matching is not None:
        return tuple(_without(each, node.matching.labels) for each in produced(left))
    return produced(left)


def _is_scalar(node: Node) -> bool:
    bare = node.bare()
    return bare.kind == "call" and bare.name in {"scalar", "time", "pi"}


# --- recording rules that read each other ------------------------------------------------------------------------


def cycles(files: Sequence[RuleFile]) -> tuple[Diagnostic, ...]:
    """Recording rules that read themselves, directly or through others: each circle once, at its first rule."""
    places: dict[str, tuple[RuleFile, RecordingRule]] = {}
    reads: dict[str, list[str]] = {}
    for file in files:
        for rule in file.rules:
            if isinstance(rule, RecordingRule):
                places.setdefault(rule.name, (file, rule))
                try:
                    reads.setdefault(rule.name, []).extend(promql.names(rule.expr))
                except PromqlError:
                    reads.setdefault(rule.name, [])
    found = []
    for circle in _circles(reads):
        file, rule = places[circle[0]]
        words = " → ".join((*circle, circle[0]))
        shown = words if len(circle) <= 8 else f"{' → '.join(circle[:7])} → … ({len(circle)} rules)"
        said = _Said(
            "cyclic-recording",
            Weight.ERROR,
            f"reads itself: {shown}; each evaluation sees the one before, so values drift or never appear",
            0,
            len(rule.expr),
        )
        found.append(_place(said, file, rule))
    return tuple(found)


def _circles(reads: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    state: dict[str, int] = {}
    circles: list[tuple[str, ...]] = []
    for start in reads:
        if start in state:
            continue
        # Without recursion: a chain of thousands of rules must not end the process.
        path: list[str] = [start]
        pending: list[Iterator[str]] = [iter(reads[start])]
        state[start] = 1
        while path:
            following = next(pending[-1], None)
            if following is None:
                state[path.pop()] = 2
                pending.pop()
            elif following in reads and state.get(following, 0) == 1:
                circles.append(tuple(path[path.index(following) :]))
            elif following in reads and following not in state:
                state[following] = 1
                path.append(following)
                pending.append(iter(reads[following]))
    return circles
