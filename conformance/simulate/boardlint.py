"""
Diagnostics of any folder of dashboards, without Grafana: file, line, column, caret under the token, and a reason.

It knows dashboards, what the documented world exposes and the rules beside them; no stack, no Grafana, no network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Final

from conformance.contract.model import Contract, LedgerRelation, Unit
from conformance.simulate import board_units, lint
from conformance.simulate.board_units import Quantity
from conformance.simulate.lint import Diagnostic, Family, Weight, World, produced
from fixtures.language import boards, logql_parts
from fixtures.language.boards import BUILT_IN, Board, BoardError, DataSource, Filled, Panel, Target, Variable, Verbatim
from fixtures.language.durations import DurationError, format_duration, format_ms, parse_ms
from fixtures.language.json_text import MAX_BYTES, Json
from fixtures.language.logql_parts import LogqlSyntaxError
from fixtures.language.promql import PromqlError
from fixtures.language.rules import AlertRule, RecordingRule, RuleFile, near
from fixtures.language.tree import Node, tree

OLDEST_SCHEMA: Final = 27
CURRENT_SCHEMA: Final = 36
NEWEST_SCHEMA: Final = 42
"""Grafana 8 wrote 27, Grafana 9 wrote 36, Grafana 12 writes 42, the last of the classic model."""

MOST_FILES: Final = 2_000
_STEP: Final = timedelta(seconds=15)
_OWN_SOURCES: Final = ("-- Grafana --", "-- Mixed --", "-- Dashboard --", "grafana", "__expr__")
_WITHOUT_DATA: Final = frozenset(
    {"row", "text", "news", "dashlist", "alertlist", "annolist", "welcome", "gettingstarted", "canvas", "pluginlist"}
)
_KINDS: Final = frozenset(
    {"timeseries", "stat", "gauge", "bargauge", "barchart", "piechart", "table", "heatmap", "histogram", "logs"}
    | {"state-timeline", "status-history", "xychart", "trend", "candlestick", "nodeGraph", "traces", "flamegraph"}
    | {"geomap", "datagrid", "graph", "singlestat", "table-old"}
    | _WITHOUT_DATA
)
_SOURCES: Final = ("prometheus", "loki", "jaeger", "tempo", "alertmanager", "postgres", "elasticsearch", "influxdb")
_LINES: Final = frozenset({"logs", "table", "nodeGraph", "traces", "text"})
_OVER_TIME: Final = frozenset({"timeseries", "graph", "heatmap", "state-timeline", "status-history", "barchart"})
_TAKES_COUNTER: Final = frozenset(
    {"rate", "irate", "increase", "resets", "changes", "absent", "absent_over_time", "present_over_time", "timestamp"}
    | {"count_over_time", "delta", "idelta", "deriv", "last_over_time"}
)
_COUNTED: Final = frozenset({"rate", "irate", "increase"})
_LEGEND: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_LABEL_VALUES: Final = re.compile(
    r"^\s*label_values\(\s*(?:(?P<selector>.+)\s*,\s*)?(?P<label>[A-Za-z_$][\w${}.]*)\s*\)\s*$", re.DOTALL
)
_PROMISED: Final = re.compile(r"\b(?:by|per)\s+([a-z_]+)", re.IGNORECASE)
_ALERT_LINK: Final = re.compile(
    r"/alerting/.*?(?:rule:|name=|rule=)\"?([A-Za-z_][\w-]*)|/alerting/grafana/([\w-]+)/view"
)
_BOARD_LINK: Final = re.compile(r"/d(?:-solo)?/([^/?#\s]+)")
_VIEWED: Final = re.compile(r"[?&]viewPanel=(?:panel-)?(\d+)")
_CERTAIN: Final = re.compile(r"_bucket$|_(?:seconds|bytes)_(?:count|sum)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Streams:
    """What is promised of log lines: labels of streams with their values, fields of a line, words for its level."""

    labels: Mapping[str, tuple[str, ...]]
    fields: tuple[str, ...]
    levels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One bound of an alerting rule: what it compares, with the metrics that this reads."""

    name: str
    bound: float
    left: Node
    metrics: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """
    What dashboards meet: metrics with kinds, labels and units, rules, log streams.

    `values` are words that labels are known to have; there may be others. With no family named nothing is said of
    unknown metrics, with no `alerts` nothing of links to alerts, and with no
    `streams` nothing of labels of logs. `growing` are gauges that only rise, `distinct` ones that
    count who is different, so that two of them do not add up.
    """

    world: World = field(default_factory=World)
    prefix: str = ""
    units: Mapping[str, Quantity] = field(default_factory=dict)
    growing: frozenset[str] = frozenset()
    distinct: frozenset[str] = frozenset()
    exposed: Mapping[str, Family] = field(default_factory=dict)
    recorded: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    alert_names: tuple[str, ...] | None = None
    streams: Streams | None = None
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    documented: frozenset[str] = frozenset()

    def names(self) -> tuple[str, ...]:
        """Every name that is exposed or recorded."""
        return tuple(dict.fromkeys((*self.world.families, *self.exposed, *self.recorded)))

    def family(self, name: str) -> Family | None:
        """What is known of a series' metric."""
        return self.world.family(name) or self.exposed.get(name)

    def labels(self, name: str) -> frozenset[str] | None:
        """The labels that a series' metric can have; None where they are not known."""
        if name in self.recorded:
            return self._of_recorded(name)
        family = self.family(name)
        if family is None or family.labels is None:
            return None
        # A contract names the labels that it promises; only of the service's own metrics are these all.
        if family.name in self.world.families and family.name in self.exposed:
            family = self.exposed[family.name]
        elif family.name in self.world.families and not (self.prefix and family.name.startswith(self.prefix)):
            return None
        own = {"le"} if name.endswith("_bucket") else set()
        return frozenset({*(family.labels or ()), *own, "job", "instance", "cluster", "__name__"})

    def _of_recorded(self, name: str) -> frozenset[str] | None:
        try:
            branches = produced(tree(self.recorded[name]))
        except PromqlError:
            return None
        if any(each.open for each in branches):
            return None
        return frozenset({"__name__", "cluster", *(label for each in branches for label in each.names)})

    def quantity(self, name: str) -> Quantity | None:
        """What a series' value counts, by contract, by rule, or by its name."""
        if name in self.units:
            return self.units[name]
        if name in self.recorded:
            try:
                return board_units.quantity(tree(self.recorded[name]), self.quantity)
            except (PromqlError, RecursionError):
                return None
        if name.endswith("_sum") and name.removesuffix("_sum") in self.units:
            return self.units[name.removesuffix("_sum")]
        return board_units.quantity_of_name(name)

    def counts(self, name: str) -> str:
        """Why a series only grows: `contract` or `name`; nothing where it may not."""
        family = self.family(name)
        if family is not None and name == family.name:
            return "contract" if family.kind == "counter" else ""
        if family is not None:
            return "contract"
        if name in self.recorded:
            return ""
        return "name" if _CERTAIN.search(name) or name.endswith("_total") else ""


_QUANTITIES: Final = {
    Unit.SECONDS: Quantity(base=board_units.SECOND),
    Unit.BYTES: Quantity(base=board_units.BYTE),
    Unit.RATIO: Quantity(base=board_units.RATIO),
    Unit.DOLLARS: Quantity(base=board_units.DOLLAR),
    Unit.REQUESTS_PER_SECOND: Quantity(base=board_units.COUNT, per=1),
    Unit.ERRORS_PER_SECOND: Quantity(base=board_units.COUNT, per=1),
}


def around(contract: Contract | None, files: Sequence[RuleFile] = ()) -> Around:
    """What a contract and the rules beside it say of the world that dashboards meet."""
    recorded = {rule.name: rule.expr for file in files for rule in file.rules if isinstance(rule, RecordingRule)}
    alerts = [rule for file in files for rule in file.rules if isinstance(rule, AlertRule)]
    bounds = tuple(bound for rule in alerts for bound in bounds_of(rule.name, rule.expr))
    if contract is None:
        return Around(recorded=recorded, alerts=bounds, alert_names=tuple(each.name for each in alerts) or None)
    metrics = contract.metrics
    expressions = [each.shipped.expr for each in contract.alerts] + [each.measure for each in contract.alerts]
    expressions += [each.documented.expr for each in contract.alerts]
    read: set[str] = set()
    for expr in (*expressions, *recorded.values(), *(rule.expr for rule in alerts)):
        try:
            read |= {selector.name for selector in tree(expr).having("selector")}
        except PromqlError:
            continue
    services = contract.logs.format.services
    return Around(
        world=lint.world_of(contract),
        prefix=metrics.prefix,
        units={each.name: _QUANTITIES.get(each.unit, Quantity(base=board_units.COUNT)) for each in metrics.promises},
        growing=frozenset(each.name for each in metrics.promises if each.ledger is LedgerRelation.COST),
        distinct=frozenset(each.name for each in metrics.promises if each.ledger is LedgerRelation.USERS),
        exposed=exposed(),
        recorded=recorded,
        alerts=bounds,
        alert_names=tuple(dict.fromkeys((*(each.name for each in alerts), *(each.name for each in contract.alerts)))),
        streams=Streams(
            labels={**_stream_labels(contract), "service": services},
            fields=tuple(each.name for each in contract.logs.format.fields),
            levels=contract.logs.format.levels,
        ),
        values={
            "status": tuple(metrics.outcomes.values()),
            "kind": tuple(metrics.kinds.values()),
            "model": tuple(each.model for each in metrics.prices),
            "job": tuple(each.job for each in contract.targets),
            "state": ("active", "idle", "idle in transaction"),
            "alertname": tuple(each.name for each in alerts),
            "alertstate": ("pending", "firing"),
        },
        documented=frozenset({*(each.name for each in metrics.promises), *read}),
    )


def _stream_labels(contract: Contract) -> dict[str, tuple[str, ...]]:
    """The labels by which the documented queries select, and those that Loki's client gives to every stream."""
    found: dict[str, tuple[str, ...]] = {"job": (), "filename": (), "cell": ()}
    for query in contract.logs.queries:
        try:
            found |= {each.label: () for stream in logql_parts.read(query.shipped).streams for each in stream.matchers}
        except LogqlSyntaxError:
            continue
    return found


def exposed() -> Mapping[str, Family]:
    """What the exporters of the documented stack expose, as they were seen."""
    found: dict[str, Family] = {}
    for line in Path(__file__).with_name("exposed.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind, labels = (*line.split(), "")[:3]
            found[name] = Family(name=name, kind=kind, labels=tuple(labels.split(",")) if labels else ())
    return found


def bounds_of(name: str, expr: str) -> Iterator[Alert]:
    """The bounds at which an alert speaks; a state that it compares for equality is none."""
    try:
        root = tree(expr)
    except PromqlError:
        return
    for each in lint.verdicts(root):
        if each.operator in {">", ">=", "<", "<="}:
            metrics = frozenset(selector.name for selector in each.left.having("selector"))
            yield Alert(name=name, bound=each.bound, left=each.left, metrics=metrics)


# --- reading a folder -------------------------------------------------------------------------------------------------


def read(folder: Path) -> tuple[tuple[Board, ...], tuple[Diagnostic, ...]]:
    """
    The dashboards in a folder and below it (or the one file), and a finding for each file that cannot be read.

    JSON that is no dashboard at all is left out; a folder without any is a finding.
    """
    found: list[Board] = []
    wrong: list[Diagnostic] = []
    if not folder.exists():
        return (), (unreadable(str(folder), "is neither a folder nor a file"),)
    try:
        paths = [folder] if folder.is_file() else sorted(_files(folder))
    except OSError as error:
        return (), (unreadable(str(error.filename), error.strerror or str(error)),)
    if len(paths) > MOST_FILES:
        return (), (
            unreadable(str(folder), f"holds {len(paths)} JSON files, more than the {MOST_FILES} that are read"),
        )
    for path in paths:
        name = str(path) if folder.is_file() else f"{folder}/{path.relative_to(folder)}"
        try:
            text = _text(path, name)
            if folder.is_file() or boards.is_board(text):
                found.append(boards.load(text, file=name))
        except BoardError as error:
            wrong.append(unreadable(name, error.message, error))
    if not found and not wrong:
        wrong.append(unreadable(str(folder), "holds no dashboard: no JSON file with panels"))
    return tuple(found), tuple(wrong)


def _files(folder: Path) -> Iterator[Path]:
    """Every JSON file; a link to a folder is not followed, so that a circle of links ends."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.suffix == ".json" and not path.is_dir():
            yield path


def _text(path: Path, name: str) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BoardError(f"has {size} bytes, more than the {MAX_BYTES} that are read", file=name)
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BoardError(f"is not UTF-8 at byte {error.start}", file=name) from None
    except OSError as error:
        raise BoardError(error.strerror or str(error), file=name) from None


def unreadable(file: str, reason: str, error: BoardError | None = None) -> Diagnostic:
    """The finding for a file or a folder of which nothing more can be said."""
    return Diagnostic(
        check="unreadable",
        weight=Weight.ERROR,
        rule="",
        reason=reason,
        file=file,
        line=error.line if error else 1,
        column=error.column if error else 1,
        shown=error.shown if error else "",
    )


# --- what a check says, and what it may look at -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """A finding at a value of the file, or at the characters of its text from `start` to `end`."""

    check: str
    weight: Weight
    reason: str
    node: Json
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Query:
    """One query of a panel, filled; `root` is what it is, None where it is no PromQL that can be read."""

    board: Board
    panel: Panel
    target: Target
    node: Json
    expr: str
    filled: Filled
    root: Node
    around: Around

    def said(self, check: str, weight: Weight, reason: str, start: int, end: int) -> _Said:
        return _Said(check, weight, reason, self.node, *self.filled.origin(start, end))

    def selectors(self) -> Iterator[Node]:
        """Every selector whose name the query itself writes."""
        for each in self.root.having("selector"):
            if each.name and not self.filled.inside_a_value(*each.at):
                yield each


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """How much was looked at: `unread` are the queries that are neither PromQL nor LogQL, of which nothing is said."""

    boards: int
    panels: int
    queries: int
    unread: int


def extent(found: Sequence[Board]) -> Extent:
    """How much there is to check in these dashboards."""
    asked = [(board, panel, target) for board, panel in boards.panels_of(found) for target in panel.targets]
    unread = [
        each
        for board, panel, each in asked
        if not each.expr.strip() or _kind_of_source(board, panel.source_of(each)) not in {"", "prometheus", "loki"}
    ]
    return Extent(
        boards=len(found), panels=sum(len(each.panels) for each in found), queries=len(asked), unread=len(unread)
    )


def check(found: Sequence[Board], known: Around | None = None) -> tuple[Diagnostic, ...]:
    """Every finding in these dashboards, in the order of the files and their lines."""
    known = known or Around()
    out: list[Diagnostic] = []
    for board in found:
        said = [_place(each, board, "") for each in _of_board(board, found, known)]
        for panel in board.panels:
            said += [_place(each, board, panel.title) for each in _of_panel(board, panel, found, known)]
        out += sorted(said, key=lambda each: (each.line, each.column, each.check))
    return tuple(dict.fromkeys(out))


def _place(said: _Said, board: Board, panel: str) -> Diagnostic:
    node = said.node
    # A whole object would underline the line on which it begins, and no part of what is meant.
    short = node if node.kind not in {"object", "list"} else replace(node, end=node.start + 1)
    error = board.blame(short, said.reason, said.start, said.end)
    return Diagnostic(
        check=said.check,
        weight=said.weight,
        rule=boards.plain(panel),
        reason=f"{boards.plain(panel or board.title or 'the dashboard')}: {boards.plain(said.reason, 400)}",
        file=board.file,
        line=error.line,
        column=error.column,
        shown=error.shown,
    )


# --- the dashboard ----------------------------------------------------------------------------------------------------


def _of_board(board: Board, all_: Sequence[Board], known: Around) -> Iterator[_Said]:
    yield from _identity(board, all_)
    yield from _schema(board)
    yield from _panels_together(board)
    yield from _variables(board, known)
    yield from _repeats(board)
    for link in board.links:
        yield from _link(link.node, link.url, all_, known)
    for node in _annotations(board):
        target = _as_target(node)
        if target is not None:
            yield from _of_target(board, _bare_panel(node), target, known, strict=False)


def _identity(board: Board, all_: Sequence[Board]) -> Iterator[_Said]:
    uid = board.node.get("uid")
    if not board.title.strip():
        yield _Said("empty-title", Weight.ERROR, "the dashboard has no title", board.node.get("title") or board.node)
    if uid is None or not board.uid:
        reason = "has no uid: Grafana makes one at each import, and links to the dashboard break"
        yield _Said("no-uid", Weight.WARNING, reason, uid or board.node)
    else:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", board.uid):
            reason = f"the uid {board.uid[:50]!r} is refused: at most 40 letters, digits, - and _"
            yield _Said("invalid-uid", Weight.ERROR, reason, uid)
        first = next(each for each in all_ if each.uid == board.uid)
        if first is not board:
            reason = f"the uid {board.uid!r} is that of {first.file} too: Grafana keeps one of both"
            yield _Said("duplicate-uid", Weight.ERROR, reason, uid)
    titled = next(each for each in all_ if each.title == board.title)
    if titled is not board and board.title:
        reason = f"has the title of {titled.file}: a reader cannot tell them apart"
        yield _Said("duplicate-title", Weight.WARNING, reason, board.node.get("title") or board.node)
    if not board.panels:
        yield _Said("no-panel", Weight.ERROR, "shows nothing: it has no panel", board.node.get("panels") or board.node)


def _schema(board: Board) -> Iterator[_Said]:
    node = board.node.get("schemaVersion")
    if board.schema is None or node is None:
        reason = "has no schemaVersion: Grafana takes it for the oldest and rewrites all of it"
        yield _Said("schema-version", Weight.ERROR, reason, board.node)
    elif board.schema > NEWEST_SCHEMA or board.schema < 1:
        reason = f"schema version {board.schema} is unknown: the newest of the classic model is {NEWEST_SCHEMA}"
        yield _Said("schema-version", Weight.ERROR, reason, node)
    elif board.schema < CURRENT_SCHEMA:
        old = board.schema < OLDEST_SCHEMA
        reason = (
            f"schema version {board.schema} is older than {'Grafana 8' if old else 'Grafana 9'} (it wrote "
            f"{OLDEST_SCHEMA if old else CURRENT_SCHEMA}): what is shown is a migration of it, made anew at each load"
        )
        yield _Said("schema-version", Weight.ERROR if old else Weight.WARNING, reason, node)


def _panels_together(board: Board) -> Iterator[_Said]:
    first: dict[int, Panel] = {}
    for panel in (*board.rows, *board.panels):
        node = panel.node.get("id")
        if not panel.id or node is None:
            continue
        if panel.id in first:
            other = boards.plain(first[panel.id].title)
            reason = f"the panel id {panel.id} of {panel.title!r} is that of {other!r} too: links and edits meet either"
            yield _Said("duplicate-panel-id", Weight.ERROR, reason, node)
        first.setdefault(panel.id, panel)
    titles = Counter(each.title for each in board.panels if each.kind not in _WITHOUT_DATA)
    seen: set[str] = set()
    for panel in board.panels:
        if titles[panel.title] > 1 and panel.title in seen and panel.title and panel.node.get("repeat") is None:
            reason = f"{titles[panel.title]} panels are called {panel.title!r}"
            yield _Said("duplicate-panel-title", Weight.WARNING, reason, panel.node.get("title") or panel.node)
        seen.add(panel.title)
    yield from _overlaps(board)


def _overlaps(board: Board) -> Iterator[_Said]:
    inside = {id(item) for row in board.rows for item in (row.node.get("panels") or row.node).items}
    groups: dict[str, list[Panel]] = {}
    for panel in (*board.rows, *board.panels):
        folded = id(panel.node) in inside
        groups.setdefault(f"row {panel.row}" if folded else "", []).append(panel)
    for group in groups.values():
        placed = [(each, each.grid) for each in group if each.grid]
        for index, (panel, grid) in enumerate(placed):
            x, y, width, height = grid
            node = panel.node.get("gridPos") or panel.node
            if panel.kind != "row" and (x < 0 or y < 0 or width < 1 or height < 1 or x + width > 24):
                reason = f"{panel.title!r} at {x},{y} with {width} by {height} lies outside of the 24 columns"
                yield _Said("outside-grid", Weight.ERROR, reason, node)
            for other, (left, top, wide, high) in placed[:index]:
                if x < left + wide and left < x + width and y < top + high and top < y + height:
                    places = f"{x},{y} {width} by {height} and {left},{top} {wide} by {high}"
                    reason = f"{panel.title!r} lies over {other.title!r}: {places}"
                    # A row is moved out of the way when it is drawn.
                    weight = Weight.WARNING if "row" in {panel.kind, other.kind} else Weight.ERROR
                    yield _Said("panels-overlap", weight, reason, node)
                    break


# --- variables --------------------------------------------------------------------------------------------------------


def _variables(board: Board, known: Around) -> Iterator[_Said]:
    names = Counter(each.name for each in board.variables)
    used = {use.name for node in board.node.walk() if node.kind == "text" for use in boards.uses(str(node.value))}
    used |= {str(node.value) for node in _values_of(board, "repeat")}
    seen: set[str] = set()
    for variable in board.variables:
        node = variable.node.get("name") or variable.node
        if variable.name in seen:
            yield _Said(
                "duplicate-variable",
                Weight.ERROR,
                f"{names[variable.name]} variables are called {variable.name!r}",
                node,
            )
        seen.add(variable.name)
        if variable.name not in used and variable.kind not in {"adhoc", "groupby"}:
            reason = f"no query and no text uses the variable {variable.name!r}: choosing a value changes nothing"
            yield _Said("unused-variable", Weight.WARNING, reason, node)
        yield from _values(variable, node)
        if variable.opens_on:
            some = ", ".join(variable.opens_on[:3])
            reason = f"offers All of {variable.name!r} and is stored with {some}: it opens on that part"
            yield _Said("opens-on-a-part", Weight.WARNING, reason, variable.node.get("current", "value") or node)
        if variable.kind == "query":
            yield from _variable_query(board, variable, known)
    defined = {*names, *board.inputs}
    for node in _templates(board):
        for use in boards.uses(str(node.value)):
            if use.name in defined or use.name in BUILT_IN or use.name.startswith(_GIVEN):
                continue
            close = near(use.name, [*defined, *BUILT_IN])
            reason = f"no variable is called {use.name!r}{close}: it stays as it is written"
            yield _Said("undefined-variable", Weight.ERROR, reason, node, use.start, use.end)


def _misspelt_source(variable: Variable) -> bool:
    """Whether a variable's type of data source is none, which is found at the variable itself."""
    return not variable.query or (variable.query not in _SOURCES and bool(near(variable.query, _SOURCES)))


def _repeats(board: Board) -> Iterator[_Said]:
    names = {each.name for each in board.variables}
    for node in _values_of(board, "repeat"):
        if node.value and str(node.value).lstrip("$") not in names:
            reason = f"repeats for a variable {node.value!r} that there is not{near(str(node.value), names)}"
            yield _Said("undefined-variable", Weight.ERROR, reason, node)


def _values_of(board: Board, key: str) -> Iterator[Json]:
    for node in board.node.walk():
        found = node.get(key) if node.kind == "object" else None
        if found is not None and found.kind == "text":
            yield found


_GIVEN: Final = ("__auto_interval", "__url", "__cell_", "__all_", "__value", "__time", "__from", "__to", "__unix")
"""How Grafana's own variables and the macros of SQL begin."""
_TEMPLATED: Final = (
    "expr",
    "query",
    "title",
    "url",
    "uid",
    "datasource",
    "legendFormat",
    "interval",
    "repeat",
    "definition",
)


def _templates(board: Board) -> tuple[Json, ...]:
    """The texts into which Grafana puts variables; descriptions and contents are left alone."""
    return tuple(
        found
        for node in board.node.walk()
        if node.kind == "object"
        for key in _TEMPLATED
        if (found := node.get(key)) is not None and found.kind == "text"
    )


def _values(variable: Variable, node: Json) -> Iterator[_Said]:
    place = variable.node.get("query") or node
    place = place.get("query") or place
    if variable.kind in {"custom", "interval"} and not variable.values:
        yield _Said(
            "variable-without-values", Weight.ERROR, f"the variable {variable.name!r} has no value to choose", place
        )
    elif variable.kind in {"query", "datasource"} and not variable.query.strip():
        asks = "asks for nothing" if variable.kind == "query" else "names no type of data source"
        yield _Said(
            "variable-without-values", Weight.ERROR, f"the variable {variable.name!r} {asks}, so it has no value", place
        )
    elif variable.kind == "datasource" and _misspelt_source(variable):
        reason = f"no data source is of type {variable.query!r}{near(variable.query, _SOURCES)}"
        yield _Said("variable-without-values", Weight.ERROR, f"{variable.name!r} has no value: {reason}", place)
    elif variable.kind == "constant" and not variable.values:
        yield _Said("variable-without-values", Weight.ERROR, f"the constant {variable.name!r} is empty", place)
    elif variable.kind in {"custom", "interval"}:
        strange = [
            each for each in variable.current if each and each not in variable.values and not each.startswith("$__")
        ]
        if strange and not all(each.strip() in variable.values for each in strange):
            reason = f"{strange[0]!r} is chosen and is no value of {variable.name!r}{near(strange[0], variable.values)}"
            yield _Said("current-unknown", Weight.WARNING, reason, variable.node.get("current", "value") or node)


def _variable_query(board: Board, variable: Variable, known: Around) -> Iterator[_Said]:
    written = variable.node.get("query")
    node = written.get("query") if written is not None and written.kind == "object" else written
    source = _kind_of_source(board, variable.datasource)
    if node is None or node.kind != "text" or source == "loki":
        return
    found = _LABEL_VALUES.match(variable.query)
    if found is None:
        return
    label, selector = found["label"], found["selector"]
    if not selector:
        return
    offset = found.start("selector")
    filled = _filled(board, selector)
    try:
        root = tree(filled.text)
    except PromqlError as error:
        start, end = filled.origin(error.start, error.end)
        yield _Said("query-syntax", Weight.ERROR, error.message, node, offset + start, offset + end)
        return
    panel = _bare_panel(variable.node)
    target = Target(
        ref="",
        expr=selector,
        datasource=None,
        hidden=False,
        instant=False,
        range=True,
        legend="",
        interval="",
        node=node,
    )
    query = _Query(
        board=board,
        panel=panel,
        target=target,
        node=node,
        expr=selector,
        filled=filled,
        root=root,
        around=known,
    )
    for said in (*_unknown_metrics(query), *_unknown_labels(query)):
        yield replace(said, start=(said.start or 0) + offset, end=(said.end or 0) + offset)
    for each in query.selectors():
        labels = known.labels(each.name)
        if labels is not None and label not in labels:
            reason = (
                f"{each.name} has no label {label!r}{near(label, labels)}: {variable.name!r} has no value to choose"
            )
            yield _Said("unknown-label", Weight.ERROR, reason, node, found.start("label"), found.end("label"))


# --- panels -----------------------------------------------------------------------------------------------------------


def _of_panel(board: Board, panel: Panel, all_: Sequence[Board], known: Around) -> Iterator[_Said]:
    for link in panel.links:
        yield from _link(link.node, link.url, all_, known)
    if panel.library:
        reason = f"is the library panel {panel.library!r}, whose queries are not in this file: nothing is checked"
        yield _Said("library-panel", Weight.NOTE, reason, panel.node.get("libraryPanel") or panel.node)
        return
    if panel.kind in _WITHOUT_DATA:
        return
    if not panel.title.strip():
        yield _Said("empty-title", Weight.ERROR, "the panel has no title", panel.node.get("title") or panel.node)
    if not panel.kind:
        yield _Said("no-type", Weight.ERROR, "the panel has no type", panel.node)
    elif panel.kind not in _KINDS and (close := near(panel.kind, _KINDS)):
        reason = f"Grafana has no panel of type {panel.kind!r}{close}"
        yield _Said("unknown-type", Weight.ERROR, reason, panel.node.get("type") or panel.node)
    if not panel.targets:
        yield _Said(
            "no-query", Weight.ERROR, "asks for nothing: it has no query", panel.node.get("title") or panel.node
        )
    yield from _hidden(panel)
    for key, found in panel.other_times:
        reason = f"{key} {str(found.value)!r}: the panel shows another time than its dashboard"
        yield _Said("other-time", Weight.WARNING, reason, found)
    refs: set[str] = set()
    for target in panel.targets:
        node = target.node.get("refId")
        if target.ref in refs and node is not None:
            yield _Said("duplicate-ref", Weight.ERROR, f"two queries are called {target.ref!r}: one is not shown", node)
        refs.add(target.ref)
        yield from _of_target(board, panel, target, known)
    yield from _steps(panel)
    yield from _lines(board, panel, known)
    yield from _unit(board, panel, known)


def _hidden(panel: Panel) -> Iterator[_Said]:
    referred = " ".join(
        str(node.value) for target in panel.targets for key in ("expression", "expr") if (node := target.node.get(key))
    )
    for target in panel.targets:
        if not target.hidden:
            continue
        if re.search(rf"\$\{{?{re.escape(target.ref)}\b", referred) and target.ref:
            continue
        alone = all(each.hidden for each in panel.targets)
        reason = f"the query {target.ref or '?'} is hidden: it is asked and never shown"
        place = target.node.get("hide") or target.node
        yield _Said("hidden-query", Weight.ERROR if alone else Weight.WARNING, reason, place)
    overrides = panel.node.get("fieldConfig", "overrides")
    for override in overrides.items if overrides is not None else ():
        for each in (override.get("properties") or override).items:
            hidden = each.get("value", "viz")
            if (each.get("id") or each).value == "custom.hideFrom" and hidden is not None and hidden.value is True:
                yield _Said(
                    "hidden-series", Weight.WARNING, "an override hides series: they are asked and not drawn", hidden
                )


def _of_target(board: Board, panel: Panel, target: Target, known: Around, *, strict: bool = True) -> Iterator[_Said]:
    source = panel.source_of(target)
    kind = _kind_of_source(board, source)
    if kind == "__expr__":
        return
    yield from _source(board, target, source)
    node = target.node.get("expr")
    if node is None or not target.expr.strip():
        if kind in {"prometheus", "loki"} and strict and target.node.get("expression") is None:
            yield _Said("no-query", Weight.ERROR, f"the query {target.ref or '?'} is empty", node or target.node)
        return
    if kind == "loki" or (not kind and target.expr.lstrip().startswith("{") and "|" in target.expr):
        yield from _logql(board, panel, target, node, known)
    elif kind in {"prometheus", ""}:
        yield from _promql(board, panel, target, node, known)


def _source(board: Board, target: Target, source: DataSource | None) -> Iterator[_Said]:
    if source is None or not (source.uid or source.type):
        reason = "names no data source: it asks whichever is the default where the dashboard is shown"
        yield _Said("default-datasource", Weight.WARNING, reason, target.node)
        return
    if source.uid in _OWN_SOURCES:
        return
    uid = source.node.get("uid") if source.node.kind == "object" else source.node
    used = next(boards.uses(source.uid), None)
    if used is None:
        if not source.uid:
            reason = f"names a type and no data source: whichever {source.type} is the default is asked"
            yield _Said("default-datasource", Weight.WARNING, reason, source.node)
            return
        variables = [each.name for each in board.variables if each.kind == "datasource"]
        instead = f"${{{variables[0]}}}" if variables else "a variable of kind datasource"
        reason = f"the data source {source.uid!r} is written in: elsewhere it is called otherwise; use {instead}"
        yield _Said("hard-coded-datasource", Weight.ERROR, reason, uid or source.node)
        return
    variable = next((each for each in board.variables if each.name == used.name), None)
    if variable is None:
        return
    if variable.kind != "datasource":
        reason = f"the variable {variable.name!r} is no data source but a {variable.kind}"
        yield _Said("datasource-kind", Weight.ERROR, reason, uid or source.node)
    elif (
        source.type
        and not _misspelt_source(variable)
        and source.type != variable.query
        and not source.type.startswith("$")
    ):
        reason = f"the query is for {source.type}, and the variable {variable.name!r} chooses among {variable.query}"
        yield _Said("datasource-kind", Weight.ERROR, reason, uid or source.node)


def _kind_of_source(board: Board, source: DataSource | None) -> str:
    if source is None:
        return ""
    if source.uid == "__expr__" or source.type == "__expr__":
        return "__expr__"
    if source.type and not source.type.startswith("$"):
        return "prometheus" if "prometheus" in source.type else source.type
    used = next(boards.uses(source.uid), None)
    variable = next((each for each in board.variables if used and each.name == used.name), None)
    return variable.query if variable is not None and variable.kind == "datasource" else ""


def _annotations(board: Board) -> tuple[Json, ...]:
    found = board.node.get("annotations", "list")
    return tuple(each for each in found.items if each.kind == "object") if found is not None else ()


def _as_target(node: Json) -> Target | None:
    expr = node.get("expr")
    if expr is None or expr.kind != "text":
        return None
    source = node.get("datasource")
    uid, kind = (source.get("uid"), source.get("type")) if source is not None else (None, None)
    made = None
    if source is not None:
        made = DataSource(
            uid=str((uid or source).value or ""), type=str(kind.value) if kind is not None else "", node=source
        )
    return Target(
        ref="",
        expr=str(expr.value),
        datasource=made,
        hidden=False,
        instant=False,
        range=True,
        legend="",
        interval="",
        node=node,
    )


def _bare_panel(node: Json) -> Panel:
    return Panel(
        id=None,
        title="",
        kind="",
        description="",
        grid=None,
        unit="",
        unit_node=None,
        steps=(),
        steps_mode="",
        overrides=0,
        links=(),
        targets=(),
        datasource=None,
        interval="",
        max_data_points=None,
        library="",
        row="",
        node=node,
    )


# --- links ------------------------------------------------------------------------------------------------------------


def _link(node: Json, url: str, all_: Sequence[Board], known: Around) -> Iterator[_Said]:
    place = node.get("url") or node
    kind = node.get("type")
    if kind is not None and kind.value == "dashboards":
        tags = [str(each.value) for each in (node.get("tags") or node).items]
        theirs = {str(tag.value) for each in all_ for tag in (each.node.get("tags") or each.node).items}
        for tag in tags:
            if tag not in theirs:
                reason = f"no dashboard here has the tag {tag!r}{near(tag, theirs)}: the list stays empty"
                yield _Said("link-to-nothing", Weight.WARNING, reason, node.get("tags") or node)
        return
    if not url.strip():
        yield _Said("link-to-nothing", Weight.ERROR, "the link leads nowhere: its url is empty", place)
        return
    if re.match(r"\s*(?:javascript|data|vbscript):", url, re.IGNORECASE):
        yield _Said("link-scripts", Weight.ERROR, "the link runs a script instead of leading somewhere", place)
    elif re.match(r"https?://(?:localhost|127\.|0\.0\.0\.0|\[::1\])", url):
        reason = "the link leads to the reader's own machine"
        yield _Said("link-to-localhost", Weight.WARNING, reason, place)
    yield from _led_to(place, url, all_, known)


def _led_to(place: Json, url: str, all_: Sequence[Board], known: Around) -> Iterator[_Said]:
    if (found := _BOARD_LINK.search(url)) and not re.match(r"https?://", url) and "$" not in found[1]:
        uids = {each.uid: each for each in all_}
        if found[1] not in uids:
            reason = f"no dashboard here has the uid {found[1]!r}{near(found[1], uids)}"
            yield _Said("link-to-nothing", Weight.ERROR, reason, place, found.start(1), found.end(1))
        elif viewed := _VIEWED.search(url):
            ids = {each.id for each in uids[found[1]].panels}
            if int(viewed[1][:18]) not in ids:
                reason = f"the dashboard {found[1]!r} has no panel {viewed[1]}"
                yield _Said("link-to-nothing", Weight.ERROR, reason, place, viewed.start(1), viewed.end(1))
    elif (found := _ALERT_LINK.search(url)) and known.alert_names is not None:
        group = 1 if found[1] else 2
        name = found[group]
        if name not in known.alert_names and "$" not in name:
            reason = f"no alert is called {name!r}{near(name, known.alert_names)}"
            yield _Said("link-to-nothing", Weight.ERROR, reason, place, found.start(group), found.end(group))


# --- thresholds and units ---------------------------------------------------------------------------------------------


def _steps(panel: Panel) -> Iterator[_Said]:
    values = [each.value for each in panel.steps]
    for index, step in enumerate(panel.steps):
        if step.value is None and index:
            yield _Said("threshold-order", Weight.ERROR, "only the first step of thresholds has no value", step.node)
        before = values[index - 1] if index else None
        if step.value is not None and before is not None and step.value <= before:
            reason = f"the threshold {step.value:g} stands behind {before:g}: Grafana draws the steps in their order"
            yield _Said("threshold-order", Weight.ERROR, reason, step.node.get("value") or step.node)


def _linked_alerts(panel: Panel) -> set[str]:
    names = set()
    for link in panel.links:
        if found := _ALERT_LINK.search(link.url):
            names.add(found[1] or found[2])
    return names


def _lines(board: Board, panel: Panel, known: Around) -> Iterator[_Said]:
    """The lines of a panel against the bounds of the alerts that it links or whose metrics it reads."""
    drawn = [each for each in panel.steps if each.value is not None]
    if panel.steps_mode == "percentage":
        return
    linked = _linked_alerts(panel)
    roots = [root for target in panel.targets if (root := _root(board, panel, target)) is not None]
    metrics = {selector.name for root in roots for selector in root.having("selector")}
    constants = {number for root in roots for node in root.walk() if (number := node.constant) is not None}
    for alert in known.alerts:
        if alert.name not in linked and not (drawn and _same(alert, roots)):
            continue
        if alert.name in linked and not drawn and not constants and not metrics & alert.metrics:
            continue
        factors = [
            _multiplier(root) for root in roots if alert.metrics & {each.name for each in root.having("selector")}
        ]
        expected = alert.bound * (factors[0] if factors else 1.0) / _multiplier(alert.left)
        own = not drawn and any(_close(each, alert.bound) for each in constants)
        if own or any(_close(each.value or 0, expected) for each in drawn):
            continue
        if not drawn:
            reason = f"links the alert {alert.name} and draws no line at its threshold {expected:g}"
            yield _Said("threshold-differs", Weight.WARNING, reason, panel.node.get("links") or panel.node)
            continue
        nearest = min(drawn, key=lambda each: abs((each.value or 0) - expected))
        reason = f"draws a line at {nearest.value:g}, and the alert {alert.name} speaks at {expected:g}"
        yield _Said("threshold-differs", Weight.ERROR, reason, nearest.node.get("value") or nearest.node)
    if panel.hidden_step is not None:
        step, end = panel.hidden_step
        reason = f"the axis ends at {end.value:g}, below the line at {step.value:g}: the line is never in the picture"
        yield _Said("threshold-outside-axis", Weight.ERROR, reason, end)
    style = panel.node.get("fieldConfig", "defaults", "custom", "thresholdsStyle", "mode")
    if linked and drawn and style is not None and style.value == "off":
        yield _Said("threshold-not-drawn", Weight.WARNING, "has a threshold and draws no line at it", style)


def _same(alert: Alert, roots: Sequence[Node]) -> bool:
    """Whether a query shows what an alert compares: the same metrics, by the same kind of function."""
    asked = _shape(alert.left)
    return any(_shape(root) == asked for root in roots)


def _shape(root: Node) -> tuple[frozenset[str], frozenset[str]]:
    names = frozenset(each.name for each in root.having("selector"))
    calls = {"rate" if each.name in _COUNTED else each.name for each in root.having("call")}
    return names, frozenset(calls & {"rate", "histogram_quantile"})


def _multiplier(node: Node) -> float:
    """By which constants a query multiplies what it reads: a thousand where it gives milliseconds for seconds."""
    bare = node.bare()
    if bare.kind == "binary" and bare.name in {"*", "/"}:
        left, right = (part.constant or _multiplier(part) for part in bare.parts)
        return left * right if bare.name == "*" else left / right
    return _multiplier(bare.parts[-1]) if bare.kind in {"aggregate", "call", "unary"} and bare.parts else 1.0


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other), 1e-9)


def _unit(board: Board, panel: Panel, known: Around) -> Iterator[_Said]:
    if panel.kind in _LINES or _overridden(panel, "unit"):
        return
    place = panel.unit_node or panel.node.get("title") or panel.node
    if said := board_units.unknown_unit(panel.unit):
        yield _Said("unknown-unit", Weight.WARNING, said, place)
    for target in panel.targets:
        root = _root(board, panel, target)
        shown = board_units.quantity(root, known.quantity) if root is not None else None
        if shown is None:
            continue
        if not panel.unit:
            if shown.base != board_units.COUNT:
                yield _Said(
                    "no-unit", Weight.WARNING, f"the value is {shown.words()}, and the panel has no unit", place
                )
                return
        elif wrong := board_units.contradiction(shown, panel.unit):
            yield _Said("unit-contradicts", Weight.ERROR, f"query {target.ref or '?'}: {wrong}", place)
            return


def _overridden(panel: Panel, name: str) -> bool:
    overrides = panel.node.get("fieldConfig", "overrides")
    return any(
        (each.get("id") or each).value == name
        for override in (overrides.items if overrides is not None else ())
        for each in (override.get("properties") or override).items
    )


# --- PromQL -----------------------------------------------------------------------------------------------------------


def _filled(board: Board, expr: str, unknown: str = "x", *, interval: timedelta = _STEP) -> Filled:
    """The query with a value for each variable; one that only Grafana could find out gets the `unknown` one."""
    values: dict[str, str | Sequence[str]] = {}
    for variable in board.variables:
        chosen = next((each for each in (*variable.current, *variable.values) if each and not each.startswith("$")), "")
        if variable.kind in {"custom", "interval", "constant", "textbox"} and chosen:
            values[variable.name] = Verbatim(variable.values[0] if variable.values else chosen)
        else:
            values[variable.name] = Verbatim(unknown)
    for use in boards.uses(expr):
        if use.name.startswith("__") and use.name not in _OWN_INTERVALS:
            values[use.name] = Verbatim("1m" if use.name.startswith("__auto") else "1")
        values.setdefault(use.name, Verbatim(unknown))
    rate = max(4 * _STEP, interval)
    return boards.fill(expr, values, interval=interval, rate_interval=rate, range=timedelta(hours=6))


_OWN_INTERVALS: Final = (
    "__interval",
    "__interval_ms",
    "__rate_interval",
    "__rate_interval_ms",
    "__range",
    "__range_s",
    "__range_ms",
)


def _read(board: Board, expr: str) -> tuple[Filled, Node]:
    """The filled query and what it is; where it cannot be read with any value, the error of the first one."""
    first: PromqlError | None = None
    for unknown in ("x", "5m", "1", ""):
        filled = _filled(board, expr, unknown)
        try:
            return filled, tree(filled.text)
        except PromqlError as error:
            first = first or error
    assert first is not None, "every value failed"
    raise first


def _root(board: Board, panel: Panel, target: Target) -> Node | None:
    if (
        not target.expr.strip()
        or target.hidden
        or _kind_of_source(board, panel.source_of(target)) not in {"", "prometheus"}
    ):
        return None
    try:
        return _read(board, target.expr)[1]
    except PromqlError:
        return None


def _promql(board: Board, panel: Panel, target: Target, node: Json, known: Around) -> Iterator[_Said]:
    try:
        filled, root = _read(board, target.expr)
    except PromqlError as error:
        start, end = _filled(board, target.expr).origin(error.start, error.end)
        yield _Said("query-syntax", Weight.ERROR, error.message.partition("\n")[0], node, start, end)
        return
    query = _Query(
        board=board,
        panel=panel,
        target=target,
        node=node,
        expr=target.expr,
        filled=filled,
        root=root,
        around=known,
    )
    for each in _QUERY_CHECKS:
        yield from each(query)


@lru_cache(maxsize=4096)
def _closest(name: str, names: tuple[str, ...], cutoff: float = 0.6) -> str:
    """The known name next to a wrong one; a folder asks for the same ones again and again."""
    # The comparison is slow, and a slip of the pen changes neither the length much nor both ends.
    alike = [
        each for each in names if abs(len(each) - len(name)) <= 8 and (each[:3] == name[:3] or each[-6:] == name[-6:])
    ]
    return next(iter(get_close_matches(name, alike, n=1, cutoff=cutoff)), "")


def _unknown_metrics(query: _Query) -> Iterator[_Said]:
    known = query.around
    if not known.world.families:
        return
    names = known.names()
    for selector in query.selectors():
        name = selector.name
        family = known.world.families.get(name)
        if family is not None and family.kind == "histogram":
            reason = (
                f"{name} is a histogram: its series are called {name}_bucket, _sum and _count, and none has this name"
            )
            yield query.said("histogram-without-suffix", Weight.ERROR, reason, *selector.at)
        elif name in names or known.world.family(name):
            if (
                known.documented
                and name not in known.documented
                and name not in known.recorded
                and not known.world.family(name)
            ):
                reason = f"{name} is exposed and stands in no document: nobody promised to keep it"
                yield query.said("undocumented-metric", Weight.NOTE, reason, *selector.at)
        elif name.startswith(known.world.prefixes):
            close = _closest(name, names, cutoff=0.9)
            if close:
                reason = f"nothing is known to expose {name}, did you mean {close!r}"
                yield query.said("unknown-metric", Weight.ERROR, reason, *selector.at)
            elif name.startswith(("pg_", "redis_", "container_", "machine_")):
                reason = f"no exporter of the documented stack was seen to expose {name}"
                yield query.said("unseen-metric", Weight.WARNING, reason, *selector.at)
        else:
            close = _closest(name, names)
            meant = f", did you mean {close!r}" if close else ""
            reason = f"nothing exposes or records {name}{meant}: the panel stays empty"
            yield query.said("unknown-metric", Weight.ERROR, reason, *selector.at)


def _unknown_labels(query: _Query) -> Iterator[_Said]:
    known = query.around
    for selector in query.selectors():
        labels = known.labels(selector.name)
        for matcher in selector.matchers if labels is not None else ():
            if matcher.label not in (labels or ()) and not query.filled.inside_a_value(
                matcher.start, matcher.start + 1
            ):
                reason = f"{selector.name} has no label {matcher.label!r}{near(matcher.label, labels or ())}"
                yield query.said(
                    "unknown-label", Weight.ERROR, reason, matcher.start, matcher.start + len(matcher.label)
                )
    for node in query.root.walk():
        for clause, below in ((node.grouping, node.parts[-1:]), (node.matching, node.parts)):
            if clause is None:
                continue
            labels = _labels_below(query, below)
            for label in clause.labels if labels is not None else ():
                if label not in (labels or ()):
                    at = _word_at(query.filled.text, label, clause.start, clause.end)
                    if query.filled.inside_a_value(*at):
                        continue
                    reason = f"nothing that is read has the label {label!r}{near(label, labels or ())}"
                    yield query.said("unknown-label", Weight.ERROR, reason, *at)


def _misspelt_values(query: _Query) -> Iterator[_Said]:
    """A value next to a known one; a label may have values that are not known here."""
    for selector in query.selectors():
        for matcher in selector.matchers:
            known = query.around.values.get(matcher.label, ())
            words = re.split(r"\|", matcher.value.strip("()")) if matcher.operator in {"=~", "!~"} else [matcher.value]
            for word in words:
                meant = next(iter(get_close_matches(word, known, n=1, cutoff=0.8)), "")
                if word in known or not meant or not re.fullmatch(r"[\w .-]+", word):
                    continue
                at = query.filled.text.find(word, matcher.start + len(matcher.label), matcher.end)
                if at < 0 or query.filled.inside_a_value(at, at + len(word)):
                    continue
                reason = f"{matcher.label} is not known to be {word!r}, did you mean {meant!r}"
                yield query.said("unknown-value", Weight.ERROR, reason, at, at + len(word))


def _labels_below(query: _Query, nodes: Iterable[Node]) -> frozenset[str] | None:
    """All labels that the selectors below may have; None where one is not known or labels are made."""
    found: set[str] = set()
    for node in nodes:
        if node.having("call", "label_replace", "label_join") or node.having("aggregate", "count_values"):
            return None
        for selector in node.having("selector"):
            labels = query.around.labels(selector.name)
            if labels is None or query.filled.inside_a_value(*selector.at):
                return None
            found |= labels
    return frozenset(found)


def _word_at(text: str, word: str, start: int, end: int) -> tuple[int, int]:
    found = re.compile(rf"\b{re.escape(word)}\b").search(text, text.find("(", start, end), end)
    return found.span() if found else (start, end)


def _constants(query: _Query) -> Iterator[_Said]:
    """What shows the same whatever happens; beside other queries of a panel it is a line to compare with."""
    if len([each for each in query.panel.targets if not each.hidden]) > 1:
        return
    if not query.root.having("selector") and not query.root.having("call", "time"):
        reason = "reads no metric: it shows the same whatever happens"
        yield query.said("constant-query", Weight.ERROR, reason, 0, len(query.filled.text))
    bare = query.root.bare()
    for part in bare.parts if bare.kind == "binary" and bare.name == "*" else ():
        if part.constant == 0:
            yield query.said("constant-query", Weight.ERROR, "is nothing but zeros", part.start, part.end)


def _counters(query: _Query) -> Iterator[_Said]:
    taken: set[int] = set()
    for call in query.root.having("call", *_TAKES_COUNTER):
        taken |= {id(each) for each in call.having("selector")}
    for count in query.root.having("aggregate", "count", "group", "count_values"):
        taken |= {id(each) for each in count.having("selector")}
    joined = {id(each) for node in query.root.having("binary", "*") if node.group for each in node.walk()}
    for selector in query.selectors():
        why = query.around.counts(selector.name)
        if id(selector) in taken or not why or (id(selector) in joined and why == "name"):
            continue
        if why == "name" and query.around.world.families and not selector.name.startswith(query.around.world.prefixes):
            # What nothing exposes is found as that.
            continue
        around = next((each for each in query.root.having("aggregate") if selector in tuple(each.walk())), None)
        how = f"{around.name} of it" if around is not None else "it"
        reason = (
            f"{selector.name} only grows until a restart, and {how} without rate or increase shows how long the "
            "process has run, not what happens"
        )
        weight = Weight.ERROR if why == "contract" or _CERTAIN.search(selector.name) else Weight.WARNING
        yield query.said("counter-without-rate", weight, reason, *selector.at)
    for call in query.root.having("call", *_COUNTED):
        inner = call.parts[0].bare() if call.parts else call
        if inner.kind == "subquery" and inner.having("aggregate"):
            reason = f"{call.name} over an aggregation: a restart of one instance looks like a fall of all; add last"
            yield query.said("rate-of-a-sum", Weight.ERROR, reason, *call.at)
        for selector in call.having("selector"):
            family = query.around.family(selector.name)
            gauge = family is not None and family.kind == "gauge" and selector.name == family.name
            if (gauge or selector.name in query.around.recorded) and selector.name not in query.around.growing:
                ours = selector.name in query.around.world.families
                reason = f"{selector.name} is a gauge: {call.name} takes every fall for a restart and adds it up"
                yield query.said("rate-of-a-gauge", Weight.ERROR if ours else Weight.WARNING, reason, *selector.at)


def _quantiles(query: _Query) -> Iterator[_Said]:
    for call in query.root.having("call", "histogram_quantile"):
        if len(call.parts) != 2:
            continue
        share = call.parts[0].constant
        if share is not None and not 0 <= share <= 1:
            reason = f"{share:g} is no share: a quantile lies between 0 and 1, and any other is infinite"
            yield query.said("quantile-range", Weight.ERROR, reason, call.parts[0].start, call.parts[0].end)
        inner = call.parts[1]
        if not any(each.can("le") for each in produced(inner)):
            aggregate = next(iter(inner.having("aggregate")), inner)
            given = produced(inner)[0].words()
            reason = f"the buckets are added without le ({aggregate.name} gives {given}): no quantile is left"
            yield query.said(
                "quantile-without-le",
                Weight.ERROR,
                reason,
                *(aggregate.at if aggregate.at[1] else (inner.start, inner.end)),
            )
        for selector in inner.having("selector"):
            family = query.around.family(selector.name)
            if not selector.name.endswith("_bucket") and family is not None and selector in tuple(query.selectors()):
                reason = f"{selector.name} holds no buckets: histogram_quantile gives nothing"
                yield query.said("not-a-histogram", Weight.ERROR, reason, *selector.at)


def _buckets(query: _Query) -> Iterator[_Said]:
    for aggregate in query.root.having("aggregate"):
        if aggregate.name in {"count", "group", "topk", "bottomk"}:
            continue
        grouping = aggregate.grouping
        kept = grouping is not None and (grouping.word == "by") == ("le" in grouping.labels)
        if kept or any(aggregate in tuple(call.walk()) for call in query.root.having("call", "histogram_quantile")):
            continue
        inside = {id(each) for call in aggregate.having("call", "histogram_quantile") for each in call.walk()}
        for selector in aggregate.having("selector"):
            if not selector.name.endswith("_bucket") or id(selector) in inside:
                continue
            if not any(each.label == "le" for each in selector.matchers):
                reason = f"{aggregate.name} over buckets without le counts each request once for every bucket above it"
                yield query.said("bucket-without-le", Weight.ERROR, reason, *aggregate.at)
                break


def _averages(query: _Query) -> Iterator[_Said]:
    known = query.around
    for outer in (
        *query.root.having("aggregate", "avg", "sum"),
        *query.root.having("call", "avg_over_time", "sum_over_time"),
    ):
        inner = outer.parts[-1] if outer.parts else outer
        what = ""
        bare = inner.bare()
        while bare.kind in {"paren", "range", "subquery"}:
            bare = bare.parts[0].bare()
        recorded = known.recorded.get(bare.name, "") if bare.kind == "selector" else ""
        if (bare.kind == "call" and bare.name == "histogram_quantile") or "histogram_quantile" in recorded:
            what = "quantiles"
        elif (bare.kind == "aggregate" and bare.name == "avg" and outer.name.startswith("avg")) or (
            bare.kind == "binary" and bare.name == "/" and _is_mean(bare)
        ):
            what = "averages"
        elif bare.kind == "selector" and outer.kind == "aggregate":
            unit = known.units.get(bare.name)
            if (unit is not None and unit.base == board_units.RATIO) or _is_ratio(recorded):
                what = "ratios"
        if what:
            reason = f"{outer.name} over {what}: one with a single request weighs as much as one with thousands; " + (
                "aggregate the buckets by le first" if what == "quantiles" else "divide the sums instead"
            )
            yield query.said("average-of-averages", Weight.ERROR, reason, *outer.at)


def _distinct(query: _Query) -> Iterator[_Said]:
    """A sum over gateways of what each counts once: the same user at two of them is two."""
    for outer in query.root.having("aggregate", "sum"):
        bare = outer.parts[-1].bare()
        while bare.kind in {"paren", "range", "subquery"} or (bare.kind == "call" and bare.name.endswith("_over_time")):
            bare = bare.parts[-1].bare()
        each_by_itself = any(labels.can("instance") for labels in produced(outer))
        if bare.kind == "selector" and bare.name in query.around.distinct and not each_by_itself:
            reason = f"{bare.name} counts who is different, and gateways have the same ones: a sum counts them again"
            yield query.said("distinct-added", Weight.WARNING, reason, *outer.at)


def _is_mean(node: Node) -> bool:
    above, below = (part.having("selector") for part in node.parts)
    return bool(above and below and (node.parts[0].having("call", *_COUNTED) or above[0].name.endswith("_sum")))


def _is_ratio(expr: str) -> bool:
    try:
        root = tree(expr).bare() if expr else None
    except PromqlError:
        return False
    return root is not None and root.kind == "binary" and root.name == "/"


def _divisions(query: _Query) -> Iterator[_Said]:
    for node in query.root.having("binary", "/"):
        above, below = node.parts
        sums = [each for each in above.having("selector") if each.name.endswith("_sum")]
        counts = [each for each in below.having("selector") if each.name.endswith("_count")]
        if len(sums) == 1 and len(counts) == 1 and sums[0].name[:-4] != counts[0].name[:-6]:
            reason = f"divides {sums[0].name} by {counts[0].name}, which counts something else"
            yield query.said("mean-of-two-metrics", Weight.ERROR, reason, *counts[0].at)
        ranges = [
            {each.range_ms for call in part.having("call", *_COUNTED) for each in call.having("range")}
            for part in node.parts
        ]
        if len(ranges[0]) == 1 and len(ranges[1]) == 1 and ranges[0] != ranges[1]:
            (one,), (other,) = ranges
            range_ = next(each for each in below.having("range"))
            reason = (
                f"divides what {format_ms(one)} say by what {format_ms(other)} say: at each change the share is wrong"
            )
            if range_.duration is not None:
                yield query.said("ranges-differ", Weight.ERROR, reason, range_.duration.start, range_.duration.end)
    for node in query.root.having("binary"):
        if node.matching is not None or node.group is not None or node.name in {"or", "and", "unless"}:
            continue
        sides = [produced(part) for part in node.parts]
        if any(part.constant is not None or part.bare().kind == "number" or _scalar(part) for part in node.parts):
            continue
        if all(len(side) == 1 and not side[0].open for side in sides) and sides[0][0].names != sides[1][0].names:
            left, right = (side[0].words() for side in sides)
            reason = f"the left side has {left}, the right one {right}: no series meets another, and nothing is shown"
            yield query.said("labels-differ", Weight.ERROR, reason, *node.at)


def _scalar(node: Node) -> bool:
    bare = node.bare()
    if bare.kind in {"unary", "paren"}:
        return _scalar(bare.parts[0])
    if bare.kind == "binary":
        return all(_scalar(each) for each in bare.parts)
    return bare.kind == "number" or (bare.kind == "call" and bare.name in {"scalar", "time", "pi"})


def _ranges(query: _Query) -> Iterator[_Said]:
    scrape = query.around.world.scrape_interval
    floor = max((_interval_ms(each) for each in (query.target.interval, query.panel.interval)), default=0)
    for call in query.root.having("call", *lint.RATES):
        for part in call.parts:
            inner = part.bare()
            if inner.kind != "range" or inner.duration is None:
                continue
            start, end = query.filled.origin(inner.duration.start, inner.duration.end)
            use = next((each for each in boards.uses(query.expr) if each.start >= start and each.end <= end), None)
            if use is None:
                shortest, said = inner.range_ms, f"a range of {format_ms(inner.range_ms)}"
            elif use.name == "__interval" or use.name.startswith("__auto_interval"):
                shortest, said = (
                    max(floor, 0),
                    f"${use.name} goes down to {format_ms(floor) if floor else 'the pixels of a screen'}",
                )
                if shortest < 2 * scrape / timedelta(milliseconds=1):
                    said += f", fewer than two scrapes that are {format_duration(scrape)} apart; use $__rate_interval"
                    yield query.said(
                        "interval-in-rate",
                        Weight.ERROR,
                        f"{call.name} needs two samples: {said}",
                        inner.duration.start,
                        inner.duration.end,
                    )
                continue
            else:
                variable = next((each for each in query.board.variables if each.name == use.name), None)
                if variable is None or variable.kind not in {"interval", "custom", "constant"}:
                    continue
                lengths = {each: length for each in variable.values if (length := _interval_ms(each))}
                if not lengths:
                    continue
                value = min(lengths, key=lambda each: lengths[each])
                shortest, said = lengths[value], f"the value {value} of ${use.name}"
            if shortest < 2 * scrape / timedelta(milliseconds=1):
                apart = f"fewer than two scrapes that are {format_duration(scrape)} apart"
                reason = f"{call.name} needs two samples, and {said} holds {apart}"
                yield query.said(
                    "range-below-two-scrapes", Weight.ERROR, reason, inner.duration.start, inner.duration.end
                )


def _coarse(query: _Query) -> Iterator[_Said]:
    """A panel's least step that hides what is shorter; an amount per step is right in long ones too."""
    world = query.around.world
    found = None if query.target.instant else query.panel.least_step(query.target)
    # Without a contract nobody says how often it is scraped.
    if not world.families or found is None or found[0] <= boards.COARSE * world.scrape_interval:
        return
    if not any(each.name == "increase" or each.name.endswith("_over_time") for each in query.root.having("call")):
        reason = (
            f"the points are {format_duration(found[0])} apart at least, more than {boards.COARSE} scrapes of "
            f"{format_duration(world.scrape_interval)}: what is shorter is flattened or not seen"
        )
        yield _Said("coarse-interval", Weight.WARNING, reason, found[1])


def _interval_ms(text: str) -> int:
    try:
        return parse_ms(text.lstrip("<>= ")) if text else 0
    except DurationError:
        return 0


def _choices(query: _Query) -> Iterator[_Said]:
    """A variable that may have several values needs a regular expression."""
    several = {each.name for each in query.board.variables if each.multi or each.include_all}
    for use in boards.uses(query.expr):
        before = re.search(r"([A-Za-z_]\w*)\s*(=~|!~|=|!=)\s*[\"'`]?$", query.expr[: use.start])
        if use.name in several and before and before[2] in {"=", "!="} and not use.format:
            reason = f"${use.name} may have several values, and {before[2]} compares with one text: use {before[2][0]}~"
            reason = reason.replace("=~", "=~") if before[2] == "=" else reason
            yield _Said("several-with-equals", Weight.ERROR, reason, query.node, before.start(2), before.end(2))


def _titles(query: _Query) -> Iterator[_Said]:
    """A title that says per agent, over a query that adds the agents up."""
    for found in _PROMISED.finditer(query.panel.title):
        words = {found[1].lower(), found[1].lower().removesuffix("s")}
        labels = {
            label for each in query.selectors() for label in query.around.labels(each.name) or () if label in words
        }
        for label in sorted(labels):
            if not any(each.can(label) for each in produced(query.root)):
                aggregate = next(iter(query.root.having("aggregate")), query.root)
                reason = f"the title says {found[0]!r}, and the query gives {produced(query.root)[0].words()}"
                yield query.said(
                    "title-promises-label",
                    Weight.ERROR,
                    reason,
                    *(aggregate.at if aggregate.at[1] else (aggregate.start, aggregate.end)),
                )


def _legends(query: _Query) -> Iterator[_Said]:
    node = query.target.node.get("legendFormat")
    if node is None or node.kind != "text":
        return
    branches = produced(query.root)
    for found in _LEGEND.finditer(query.target.legend):
        label = found[1]
        known = _labels_below(query, (query.root,))
        missing = not any(each.can(label) for each in branches)
        if missing or (known is not None and label not in known):
            given = branches[0].words() if missing else "no such label"
            reason = f"the legend names {label!r}, and the query gives {given}: every series is called alike"
            yield _Said("legend-label", Weight.ERROR if not missing else Weight.WARNING, reason, node, *found.span(1))


def _one_name(query: _Query) -> Iterator[_Said]:
    """A legend that names no label over a query that gives a line for each of its values: none is told from another."""
    legend, panel = query.target.legend, query.panel
    node = query.target.node.get("legendFormat")
    named = _overridden(panel, "displayName") or panel.node.get("fieldConfig", "defaults", "displayName") is not None
    if node is None or legend in {"", "__auto"} or re.search(r"\{\{|\$|\[\[", legend) or named or panel.kind in _LINES:
        return
    if any(each.name in {"topk", "bottomk", "limitk"} for each in query.root.having("aggregate")):
        return
    # What a matcher holds to one value parts nothing, and a bucket is named by its bound.
    held = {
        matcher.label
        for each in query.root.having("selector")
        for matcher in each.matchers
        if matcher.operator == "=" and not query.filled.inside_a_value(matcher.start, matcher.end)
    }
    parting = sorted({label for each in produced(query.root) if not each.open for label in each.names} - held - {"le"})
    if parting:
        reason = f"the query gives a line for each {' and '.join(parting)}, and the legend calls all of them {legend!r}"
        yield _Said("legend-alike", Weight.WARNING, reason, node)


def _instants(query: _Query) -> Iterator[_Said]:
    if query.target.instant and not query.target.range and query.panel.kind in _OVER_TIME - {"barchart"}:
        node = query.target.node.get("instant") or query.target.node
        reason = f"asks for one instant, and a {query.panel.kind} draws a course: it shows a single point"
        yield _Said("instant-over-time", Weight.WARNING, reason, node)


_Check = Callable[[_Query], Iterator[_Said]]
_QUERY_CHECKS: Final[tuple[_Check, ...]] = (
    _unknown_metrics,
    _unknown_labels,
    _misspelt_values,
    _constants,
    _counters,
    _quantiles,
    _buckets,
    _averages,
    _distinct,
    _divisions,
    _ranges,
    _coarse,
    _choices,
    _titles,
    _legends,
    _one_name,
    _instants,
)


# --- LogQL ------------------------------------------------------------------------------------------------------------


def _logql(board: Board, panel: Panel, target: Target, node: Json, known: Around) -> Iterator[_Said]:
    parts: logql_parts.Parts | None = None
    first: tuple[Filled, LogqlSyntaxError] | None = None
    filled = _filled(board, target.expr)
    for unknown in ("x", "5m", "1"):
        filled = _filled(board, target.expr, unknown)
        try:
            parts = logql_parts.read(filled.text)
            break
        except LogqlSyntaxError as error:
            first = first or (filled, error)
    if parts is None:
        assert first is not None, "every value failed"
        filled, wrong = first
        yield _Said(
            "query-syntax", Weight.ERROR, f"LogQL: {wrong.message}", node, *filled.origin(wrong.start, wrong.end)
        )
        return
    if parts.metric and panel.kind == "logs":
        yield _Said("lines-or-numbers", Weight.ERROR, "gives numbers, and a panel of logs shows lines", node)
    if not parts.metric and panel.kind in _OVER_TIME | {"stat", "gauge", "bargauge", "piechart"}:
        reason = f"gives lines, and a {panel.kind} draws numbers: put rate or count_over_time around"
        yield _Said("lines-or-numbers", Weight.ERROR, reason, node)
    for stream in parts.streams:
        yield from _stream(stream, filled, node, known)


def _stream(stream: logql_parts.Stream, filled: Filled, node: Json, known: Around) -> Iterator[_Said]:
    def said(check: str, weight: Weight, reason: str, start: int, end: int) -> _Said:
        return _Said(check, weight, reason, node, *filled.origin(start, end))

    promised = known.streams
    if stream.function in logql_parts.UNWRAPPED and not any(each.kind == "unwrap" for each in stream.stages):
        reason = f"{stream.function} measures numbers, and no stage unwraps a field"
        yield said("nothing-unwrapped", Weight.ERROR, reason, stream.start, stream.end)
    if promised is None:
        return
    for matcher in stream.matchers:
        value_at = (matcher.end - len(matcher.value) - 1, matcher.end - 1)
        if matcher.label not in promised.labels:
            reason = f"no stream is promised to have the label {matcher.label!r}{near(matcher.label, promised.labels)}"
            yield said("unknown-stream-label", Weight.ERROR, reason, matcher.start, matcher.start + len(matcher.label))
            continue
        values = promised.labels[matcher.label] if matcher.operator == "=" else ()
        if values and matcher.value not in values and not filled.inside_a_value(*value_at):
            reason = f"no stream has {matcher.label}={matcher.value!r}{near(matcher.value, values)}"
            yield said("unknown-stream-value", Weight.ERROR, reason, *value_at)
    yield from _pipeline(stream, filled, node, promised)


def _pipeline(stream: logql_parts.Stream, filled: Filled, node: Json, promised: Streams) -> Iterator[_Said]:
    def said(check: str, weight: Weight, reason: str, start: int, end: int) -> _Said:
        return _Said(check, weight, reason, node, *filled.origin(start, end))

    labels = {*promised.labels, "__error__", "__error_details__"}
    every = numeric = guarded = False
    for stage in stream.stages:
        if stage.kind == "json" and stage.gives is None:
            labels |= set(promised.fields)
        elif stage.gives is None:
            every = True
        labels |= set(stage.gives or ())
        guarded |= any(each.label == "__error__" for each in stage.filters)
        numeric |= any(each.numeric for each in stage.filters) or stage.kind == "unwrap"
        named = [(each.label, each.start) for each in stage.filters]
        named += [(each.text, each.start) for each in stage.reads if stage.kind not in {"drop", "keep"}]
        for label, start in named:
            if label not in labels and not every and not filled.inside_a_value(start, start + 1):
                unread = label in promised.fields
                reason = (
                    f"the field {label!r} is read by no stage before it: put | json in front"
                    if unread
                    else f"no line has the field {label!r}{near(label, labels)}"
                )
                yield said("unknown-field", Weight.ERROR, reason, start, start + len(label))
        for each in stage.filters:
            value_at = (each.end - len(each.value) - 1, each.end - 1)
            compared = each.label == "level" and each.operator == "=" and each.value
            if compared and each.value not in promised.levels and not filled.inside_a_value(*value_at):
                reason = f"no line has the level {each.value!r}{near(each.value, promised.levels)}"
                yield said("unknown-level", Weight.ERROR, reason, *value_at)
        if stage.kind == "line" and stage.operator == "|=" and stage.text in promised.levels:
            reason = (
                f"finds every line that mentions {stage.text}, whatever its level is; use | json | level={stage.text!r}"
            )
            yield said("text-for-level", Weight.WARNING, reason, stage.start, stage.end)
    if numeric and not guarded:
        reason = 'a line whose number cannot be read passes the comparison or ends the query: add | __error__=""'
        yield said("errors-pass", Weight.WARNING, reason, stream.start, stream.end)
