"""
Judges what dashboards show: each panel, in the calm and in the fault, against what clients, servers and kernel counted.

A panel is read as Grafana would draw it: its unit, its legend, what it hides. It must know no backend and no clock.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from statistics import median
from typing import TYPE_CHECKING

from conformance.contract.model import PanelFigure, Unit
from conformance.judge import panels, premise
from conformance.judge.panels import ANY, EXACT, OPEN, Bound, Case, Unknown
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core import clock
from fixtures.language import boards
from fixtures.language.boards import BoardError, plain
from fixtures.language.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conformance.contract.model import Contract, PanelPromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.boards import Asked, BoardsSeen, Shown
    from conformance.timeline.model import Timeline
    from fixtures.language.boards import Board, Panel, Target
    from fixtures.language.json_text import Json

SHOWN = 5
"""Findings that a verdict shows."""

AMISS = 0.25
"""The share of a line's points that may lie outside of their bounds: a scrape or two of a busy machine."""

_TOTALS = {
    PanelFigure.TOKENS,
    PanelFigure.COST,
    PanelFigure.COST_BY_AGENT,
    PanelFigure.PROJECTIONS,
    PanelFigure.ERROR_LINES,
}
"""Figures of a whole range: where one is drawn in parts it is no less right in long ones."""

_RATE = {"reqps", "ops", "rps", "wps", "iops", "cps", "eps", "mps", "none", "short", ""}
_SCALES: Mapping[str, Mapping[str, float]] = {
    "rate": {**dict.fromkeys(_RATE, 1.0), "reqpm": 1 / 60, "opm": 1 / 60, "cpm": 1 / 60, "rpm": 1 / 60},
    "count": dict.fromkeys(("none", "short", "locale", "sishort", ""), 1.0),
    "ratio": {"percentunit": 1.0, "percent": 0.01},
    "time": {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "m": 60.0, "h": 3600.0, "dtdurations": 1.0, "clocks": 1.0},
    "bytes": {
        "bytes": 1.0,
        "decbytes": 1.0,
        "bits": 1 / 8,
        "decbits": 1 / 8,
        "kbytes": 2.0**10,
        "mbytes": 2.0**20,
        "gbytes": 2.0**30,
        "deckbytes": 1e3,
        "decmbytes": 1e6,
        "decgbytes": 1e9,
    },
    "bytes/s": {
        "Bps": 1.0,
        "binBps": 1.0,
        "bps": 1 / 8,
        "binbps": 1 / 8,
        "KBs": 1e3,
        "MBs": 1e6,
        "KiBs": 2.0**10,
        "MiBs": 2.0**20,
        "Kbits": 125.0,
        "Mbits": 125e3,
    },
    "dollars": {"currencyUSD": 1.0, "currency:USD": 1.0, "currency:$": 1.0, "prefix:$": 1.0},
}
"""By kind of quantity: Grafana's units that fit it, and what one of each is in the document's unit."""

_KINDS: Mapping[Unit, tuple[str, ...]] = {
    Unit.REQUESTS_PER_SECOND: ("rate",),
    Unit.ERRORS_PER_SECOND: ("rate",),
    Unit.EXECUTIONS_PER_SECOND: ("rate",),
    Unit.TOKENS_PER_SECOND: ("rate",),
    Unit.OPERATIONS_PER_SECOND: ("rate",),
    Unit.TRANSACTIONS_PER_SECOND: ("rate",),
    Unit.BYTES_PER_SECOND: ("bytes/s",),
    Unit.SECONDS: ("time",),
    Unit.BYTES: ("bytes",),
    Unit.RATIO: ("ratio",),
    # A core is a whole: its use is a share of it, or a count of cores.
    Unit.CORES: ("ratio", "count"),
    Unit.DOLLARS: ("dollars",),
}

_MOVING = ("stacking", "transform")
"""What draws a line elsewhere than at its values: on top of others, or upside down."""

_OVER_TIME = {"timeseries", "graph", "heatmap", "state-timeline", "status-history", "barchart"}
"""Kinds of panels that draw each point; any other prints one figure of them all."""

_IGNORED = {"sortBy", "merge", "limit"}
"""Transformations that change no value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """Where a line's axis ends, in the document's unit: what is written, and at which place."""

    value: float
    text: str
    location: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Style:
    """How a line is drawn: under which name, on which axis; an end that values move, or that is not known, is none."""

    name: str
    least: _End | None
    most: _End | None

    def cuts(self, value: float, bound: Bound) -> _End | None:
        """The end beyond which a value lies that had to lie beyond it; a hair is not seen."""
        least, most = self.least, self.most
        if most is not None and min(value, bound.low) > most.value + EXACT * abs(most.value):
            return most
        if least is not None and max(value, bound.high) < least.value - EXACT * abs(least.value):
            return least
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """A line as it is drawn: how it looks, its points in the document's unit."""

    style: _Style
    points: Mapping[float, float | None]

    @property
    def name(self) -> str:
        return self.style.name


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawing:
    """A panel as it is drawn: its queries, what one of its unit is in the document's, and lines that are taken away."""

    board: Board
    panel: Panel
    targets: tuple[Target, ...]
    scale: float
    removed: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sight:
    """One line that is to be seen: under which name, by which query, in which phase."""

    name: str
    curve: Callable[[float], Bound | None]
    line: _Line | None
    query: str
    where: str


@dataclass(kw_only=True)
class _Tally:
    """What a panel's answers come to."""

    findings: list[Finding] = field(default_factory=list)
    points: int = 0
    told: list[str] = field(default_factory=list)
    means: dict[str, dict[str, Bound]] = field(default_factory=dict)
    """By name and phase, with all values chosen: the mean of what had to be shown."""


class _Unjudged(Exception):
    """The panel is drawn in a way that is not judged here; the sentence says which."""


def shows(promise: PanelPromise, contract: Contract, timeline: Timeline, *, calm: str, fault: str) -> Verdict:
    """The panel shows its figure in the phases `calm` and `fault`, and the two are told apart by it."""
    clause, seen = promise.clause_id, timeline.boards
    reasons = [*premise.deaths(timeline), *premise.repeatable(timeline)]
    if seen is None:
        reasons.append("the dashboards were not asked")
    else:
        reasons += seen.troubles
    if reasons or seen is None:
        return unproven(clause, "; ".join(dict.fromkeys(reasons)))
    file = f"{promise.board}.json"
    if file not in seen.files:
        near = get_close_matches(file, seen.files, n=1)
        there = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(seen.files)) or 'none'}"
        return broken(clause, f"there is no dashboard {file}{there}", lasting=True)
    try:
        board = boards.load(seen.files[file], file=file)
        panel = board.panel(promise.title)
        drawing = _drawing(promise, board, panel)
        lacking = _lacking(promise, board, drawing.targets, seen, timeline)
    except BoardError as error:
        return broken(clause, str(error), lasting=True)
    except _Mismatch as error:
        place = board.blame(panel.unit_node or panel.node, "")
        finding = Finding(expected=error.wanted, observed=error.found, location=_place(place, file))
        return broken(clause, str(error), finding, lasting=True)
    except _Unjudged as error:
        return unproven(clause, f"{promise.title!r}: {error}", lasting=True)
    if lacking:
        return broken(clause, lacking)
    amiss = list(_amiss(promise, contract, drawing, seen))
    if amiss:
        reason = "; ".join(reason for reason, _ in amiss)
        return broken(clause, reason, *(found for _, found in amiss), lasting=True)
    return _judged(promise, contract, timeline, drawing, phases=(calm, fault))


def unknown(contract: Contract, timeline: Timeline) -> tuple[str, ...]:
    """The panels that the contract says nothing of: `overview.json: Requests by status`."""
    seen = timeline.boards
    if seen is None:
        return ()
    promised = {(each.board, each.title) for each in contract.panels}
    found = []
    for file, text in seen.files.items():
        try:
            board = boards.load(text, file=file)
        except BoardError:
            continue
        name = file.removesuffix(".json")
        found += [f"{file}: {plain(each.title)}" for each in board.panels if (name, each.title) not in promised]
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """
    A panel as it was seen with all values of its variables chosen, phase after phase, in the document's unit.

    `lines` are the points of each line by its name, `steps` the values from which on the panel changes its colour.
    """

    lines: Mapping[str, tuple[tuple[float, float | None], ...]]
    steps: tuple[float, ...]


def picture(promise: PanelPromise, timeline: Timeline) -> Picture | None:
    """What a panel looked like; None where it cannot be drawn: then its clause says why."""
    seen = timeline.boards
    file = f"{promise.board}.json"
    if seen is None or file not in seen.files:
        return None
    try:
        board = boards.load(seen.files[file], file=file)
        panel = board.panel(promise.title)
        drawing = _drawing(promise, board, panel)
        refs = {each.ref for each in drawing.targets}
        lines: dict[str, list[tuple[float, float | None]]] = {}
        for asked in seen.answers(file, promise.title):
            if asked.ref in refs and all(value == boards.ALL for value in asked.values.values()):
                for line in _lines(asked, drawing):
                    # Between two phases there is a gap, and no line.
                    gap = [(line_points[-1][0] + 0.001, None)] if (line_points := lines.get(line.name)) else []
                    # A count of log lines is one of its whole stretch.
                    since = [(asked.start, value) for value in line.points.values()] if asked.lines is not None else []
                    lines.setdefault(line.name, []).extend([*gap, *since, *line.points.items()])
    except (BoardError, _Mismatch, _Unjudged):
        return None
    steps = tuple(each.value * drawing.scale for each in panel.steps if each.value is not None)
    return Picture(lines={name: tuple(points) for name, points in lines.items()}, steps=steps)


def _judged(
    promise: PanelPromise,
    contract: Contract,
    timeline: Timeline,
    drawing: _Drawing,
    *,
    phases: tuple[str, str],
) -> Verdict:
    clause, seen = promise.clause_id, timeline.boards
    assert seen is not None, "a premise"
    refs = {each.ref for each in drawing.targets}
    answers = [each for each in seen.answers(f"{promise.board}.json", promise.title) if each.ref in refs]
    if not answers:
        return unproven(clause, f"nothing was asked for {promise.title!r} of {promise.board}.json")
    tally, memory = _Tally(), dict[str, object]()
    looks: dict[tuple[str, str], list[Asked]] = {}
    for each in answers:
        looks.setdefault((each.phase, str(sorted(each.values.items()))), []).append(each)
    try:
        for (phase, _), asked in looks.items():
            if phase in phases:
                case = Case(timeline=timeline, contract=contract, seen=seen, asked=asked[0], memory=memory)
                _look(promise, case, asked, drawing, tally)
    except Unknown as error:
        return unproven(clause, str(error))
    if tally.findings:
        reason = "does not show what happened"
        return broken(clause, reason, *tally.findings[:SHOWN], observations=max(1, tally.points))
    still = _still(tally, phases)
    if still:
        return unproven(clause, still, observations=tally.points)
    parted = "; ".join(tally.told[:3])
    return holds(clause, observations=tally.points, reason=f"{tally.points} points, each as counted outside: {parted}")


def _look(
    promise: PanelPromise,
    case: Case,
    asked: Sequence[Asked],
    drawing: _Drawing,
    tally: _Tally,
) -> None:
    """One phase with one choice of the variables' values."""
    where = _where(asked[0])
    unaskable = next((each for each in asked if each.unaskable), None)
    if unaskable is not None:
        raise Unknown(f"cannot be asked at tempo {case.tempo:g}: {plain(unaskable.error, 300)}")
    failed = next((each for each in asked if each.error), None)
    if failed is not None:
        found = Finding(expected="an answer", observed=plain(failed.error, 300), query=failed.query, location=where)
        tally.findings.append(found)
        return
    wanted = panels.expected(promise, case)
    lines = [_named(line, wanted) for each in asked for line in _lines(each, drawing)]
    names = [line.name for line in lines]
    query = "; ".join(dict.fromkeys(each.query for each in asked))
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        tally.findings.append(
            Finding(
                expected="one line a name",
                observed=f"{names.count(doubled[0])} lines are called {plain(doubled[0])!r}",
                query=query,
                location=where,
            )
        )
        return
    shown = {line.name: line for line in lines}
    extra = [name for name in shown if name not in wanted]
    if extra and promise.figure not in OPEN and any(_any_value(shown[name]) for name in extra):
        meant = get_close_matches(extra[0], [name for name in wanted if name], n=1)
        tally.findings.append(
            Finding(
                expected=f"the lines {', '.join(filter(None, wanted)) or '(one)'}",
                observed=f"also {plain(extra[0])!r}" + (f": did you mean {meant[0]!r}?" if meant else ""),
                query=query,
                location=where,
            )
        )
    for name, curve in wanted.items():
        sight = _Sight(name=name, curve=curve, line=shown.get(name), query=query, where=where)
        _compare(promise, case, sight, tally)


def _compare(
    promise: PanelPromise,
    case: Case,
    sight: _Sight,
    tally: _Tally,
) -> None:
    asked, name, line, query, where = case.asked, sight.name, sight.line, sight.query, sight.where
    instants = _instants(asked, line)
    bounds = {at: bound for at in instants if (bound := sight.curve(at)) is not None}
    title = plain(name) or promise.title
    if not bounds:
        return
    if line is None or not any(value is not None for at, value in line.points.items() if at in bounds):
        if promise.quiet and all(bound.low <= 0 for bound in bounds.values()):
            _note(tally, asked, name, Bound.mean(bounds.values()))
            return
        wanted = Bound.mean(bounds.values())
        tally.findings.append(
            Finding(
                expected=f"{wanted.text()} {promise.unit} for {title}",
                observed="the panel is empty" if line is None else "no value",
                query=query,
                location=where,
            )
        )
        return
    values = {at: line.points.get(at) for at in bounds}
    known = {at: value for at, value in values.items() if value is not None}
    outside = [at for at, value in values.items() if value is None or not bounds[at].holds(value)]
    mean = math.fsum(known.values()) / len(known)
    wanted = Bound.mean(bounds[at] for at in known)
    tally.points += len(known)
    if len(outside) > AMISS * len(bounds) or not wanted.holds(mean):
        worst = max(outside or known, key=lambda at: math.inf if values[at] is None else bounds[at].off(values[at]))
        value = values[worst]
        tally.findings.append(
            Finding(
                expected=f"{wanted.text()} {promise.unit} for {title} on average",
                observed=(
                    f"{mean:.4g}; {len(outside)} of {len(bounds)} points lie outside, as at {clock.at(worst)}: "
                    f"{'no value' if value is None else f'{value:.4g}'} where {bounds[worst].text()} was so"
                ),
                query=query,
                location=where,
                because="between what was counted for sure and what may have been, at each of the panel's points",
            )
        )
        return
    hidden = _hidden(promise, sight, known, bounds)
    # What one choice of the variables told, the others only tell again.
    tally.findings += [hidden] if hidden and hidden.location not in {each.location for each in tally.findings} else []
    if isinstance(sight.curve, panels.Telescope) and asked.step:
        # What is not known of a reading cancels out, but at the two ends of the stretch.
        room = wanted.slack * min(1.0, 2 * case.window / asked.step / len(known))
        typical = Bound(low=wanted.middle - room, high=wanted.middle + room)
    else:
        # What is hardly known at a few points leaves a line that fits the others no more room at those.
        typical = _median([bounds[at] for at in known])
    _note(tally, asked, name, typical, mean)


def _hidden(
    promise: PanelPromise, sight: _Sight, values: Mapping[float, float], bounds: Mapping[float, Bound]
) -> Finding | None:
    """What of a line lies outside of the picture, though it was so."""
    assert sight.line is not None, "it has values"
    cut = {at: end for at, value in values.items() if (end := sight.line.style.cuts(value, bounds[at]))}
    if not cut:
        return None
    worst = max(cut, key=lambda at: abs(values[at] - cut[at].value))
    name = plain(sight.name) or promise.title
    return Finding(
        expected=f"{values[worst]:.4g} {promise.unit} for {name} in the picture, as it was at {clock.at(worst)}",
        observed=(
            f"the axis ends at {cut[worst].text}: {len(cut)} of {len(values)} points lie outside of it {sight.where}"
        ),
        query=sight.query,
        location=cut[worst].location,
        because="what clients, servers or kernel counted lies beyond the end, and so does what the query gave",
    )


def _median(bounds: Sequence[Bound]) -> Bound:
    return Bound(low=median(each.low for each in bounds), high=median(each.high for each in bounds))


def _note(tally: _Tally, asked: Asked, name: str, wanted: Bound, mean: float = 0.0) -> None:
    """Keep what was so, where all values are chosen: the two phases are compared by it."""
    if all(value == boards.ALL for value in asked.values.values()):
        tally.means.setdefault(name, {})[asked.phase] = wanted
        tally.told.append(f"{asked.phase} {plain(name) + ' ' if name else ''}{mean:.4g} of {wanted.text()}")
        tally.points = max(tally.points, 1)


def _still(tally: _Tally, phases: tuple[str, str]) -> str:
    """Why the two phases are not told apart: then a constant would have done."""
    said = []
    for name, found in tally.means.items():
        calm, fault = (found.get(phase) for phase in phases)
        if calm is None or fault is None:
            said.append(f"{plain(name) or 'it'} was to be seen in one phase only")
            continue
        apart, slack = abs(fault.middle - calm.middle), 2 * max(calm.slack, fault.slack)
        if apart > slack and apart > 0:
            return ""
        went = f"went from {calm.text()} to {fault.text()}"
        said.append(f"{plain(name) or 'it'} {went}, no more than twice the slack ({slack:.3g})")
    return f"the world did not move enough to tell a constant: {'; '.join(said) or 'nothing was to be seen'}"


# --- how a panel is drawn -----------------------------------------------------------------------------------------


class _Mismatch(Exception):
    """A panel's unit does not fit its figure."""

    def __init__(self, reason: str, *, wanted: str, found: str) -> None:
        super().__init__(reason)
        self.wanted, self.found = wanted, found


def _drawing(promise: PanelPromise, board: Board, panel: Panel) -> _Drawing:
    if panel.library:
        raise _Unjudged(f"is the library panel {panel.library!r}, which stands in no file")
    removed = _removed(panel)
    return _Drawing(board=board, panel=panel, targets=_drawn(panel), scale=_scale(promise, panel), removed=removed)


def _removed(panel: Panel) -> frozenset[str]:
    """The lines that transformations take away, by name. Raises _Unjudged where one does anything else."""
    found = panel.node.get("transformations")
    names = frozenset[str]()
    for each in found.items if found is not None else ():
        kind, disabled = _text(each.get("id")), each.get("disabled")
        if kind in _IGNORED or (disabled is not None and disabled.value is True):
            continue
        taken = _taken(each) if kind == "filterFieldsByName" else frozenset[str]()
        # What Grafana calls a line without a legend of its own is not known well enough to miss it.
        if not taken or any(target.legend in {"", "__auto"} for target in panel.targets):
            raise _Unjudged(f"its values go through the transformation {kind!r}")
        names |= taken
    return names


def _taken(transformation: Json) -> frozenset[str]:
    """The fields that a filter by name leaves out; none where it is written in any other way."""
    options, excluded = transformation.get("options"), transformation.get("options", "exclude")
    if options is None or excluded is None or {*options.members, *excluded.members} != {"exclude", "names"}:
        return frozenset()
    listed = excluded.get("names")
    names = frozenset(_text(each) for each in (listed.items if listed is not None else ()))
    # Without its times nothing of a query is drawn, and a filter of one query spares the others.
    return names if "Time" not in names and transformation.get("filter") is None else frozenset()


def _drawn(panel: Panel) -> tuple[Target, ...]:
    """The queries that are drawn."""
    drawn = tuple(each for each in panel.targets if not each.hidden and each.expr)
    if not drawn:
        hidden = [each.ref for each in panel.targets if each.hidden]
        said = f"its queries are hidden ({', '.join(hidden)})" if hidden else "it asks nothing"
        raise BoardError(f"panel {panel.title!r} shows nothing: {said}", file="")
    return drawn


def _scale(promise: PanelPromise, panel: Panel) -> float:
    """What one of the panel's unit is in the document's unit."""
    if panel.kind == "logs":
        return 1.0
    found = _scale_of(promise.unit, panel.unit)
    if found is None:
        fits = [unit for kind in _KINDS.get(promise.unit, ("count",)) for unit in _SCALES[kind] if unit]
        raise _Mismatch(
            f"panel {panel.title!r} has a unit that does not fit {promise.unit}",
            wanted=f"a unit for {promise.unit}, such as {', '.join(fits[:3])}",
            found=plain(panel.unit) or "no unit",
        )
    return found


def _scale_of(unit: Unit, named: str) -> float | None:
    kinds = _KINDS.get(unit, ("count",))
    for kind in kinds:
        if named in _SCALES[kind]:
            return _SCALES[kind][named]
    if named.startswith("suffix:") and kinds[0] in ("rate", "count"):
        written = named.removeprefix("suffix:").strip()
        # A word of one's own is right where it is the document's.
        return 1.0 if written in (unit.value, unit.value.partition("/")[0]) else None
    return None


def _lacking(
    promise: PanelPromise, board: boards.Board, targets: Sequence[Target], seen: BoardsSeen, timeline: Timeline
) -> str:
    """Which variable of the panel offers no value, or not every agent."""
    offered = seen.variables.get(f"{promise.board}.json", {})
    agents = {each.agent for each in timeline.ledger.requests}
    for target in targets:
        for use in boards.uses(target.expr):
            variable = next((each for each in board.variables if each.name == use.name), None)
            if variable is None or variable.kind != "query":
                continue
            values = offered.get(use.name, ())
            if not values:
                return f"variable {use.name!r} offers no value: {plain(variable.query)!r} finds none"
            missing = sorted(agents - set(values)) if use.name == "agent" else []
            if missing:
                return f"variable {use.name!r} does not offer {', '.join(missing)}; it offers {', '.join(values[:8])}"
    return ""


def _amiss(
    promise: PanelPromise, contract: Contract, drawing: _Drawing, seen: BoardsSeen
) -> Iterator[tuple[str, Finding]]:
    """What the file itself says of a panel so that it shows something else, whatever its query gives."""
    board, panel = drawing.board, drawing.panel
    for key, node in panel.other_times:
        yield (
            f"panel {panel.title!r} shows another time than its dashboard",
            Finding(
                expected="the time that the dashboard shows",
                observed=f"{key} {plain(str(node.value))!r}",
                location=_place(board.blame(node, ""), board.file),
            ),
        )
    scrape = contract.timing.scrape_interval
    for target in drawing.targets if panel.kind in _OVER_TIME and promise.figure not in _TOTALS else ():
        found = None if target.instant else panel.least_step(target)
        if found is not None and found[0] > boards.COARSE * scrape:
            yield (
                f"panel {panel.title!r} is too coarse to show what is shorter",
                Finding(
                    expected=f"a point every {format_duration(boards.COARSE * scrape)} where one looks closely",
                    observed=f"interval {plain(str(found[1].value))!r}: never more than one in that time",
                    location=_place(board.blame(found[1], ""), board.file),
                    because=f"{boards.COARSE} scrapes, {format_duration(scrape)} apart",
                ),
            )
    yield from _parts(drawing, seen)
    if panel.hidden_step is not None:
        step, end = panel.hidden_step
        yield (
            f"panel {panel.title!r} ends below the line that it draws",
            Finding(
                expected=f"an axis that reaches the line at {step.value:g}",
                observed=f"max {end.value:g}",
                location=_place(board.blame(end, ""), board.file),
            ),
        )


def _parts(drawing: _Drawing, seen: BoardsSeen) -> Iterator[tuple[str, Finding]]:
    """Each variable of the panel that offers all values and opens on some of them."""
    board = drawing.board
    used = {use.name for target in drawing.targets for use in boards.uses(target.expr)}
    for variable in board.variables:
        if variable.name not in used or variable.kind != "query":
            continue
        offered = seen.variables.get(board.file, {}).get(variable.name, ())
        left = [each for each in offered if each not in variable.opens_on]
        # A value that is offered no more is not chosen: then Grafana chooses by itself.
        if left and (opens := [each for each in variable.opens_on if each in offered]):
            node = variable.node.get("current", "value") or variable.node
            yield (
                f"variable {variable.name!r} opens on a part of what it offers",
                Finding(
                    expected=f"All as its current value: {', '.join(map(plain, left[:SHOWN]))} would not be shown",
                    observed=f"opens with {', '.join(map(plain, opens[:SHOWN]))}",
                    location=_place(board.blame(node, ""), board.file),
                ),
            )


def _lines(asked: Asked, drawing: _Drawing) -> Iterator[_Line]:
    """Every line of an answer as it is drawn; what an override hides is not."""
    target = next(each for each in drawing.targets if each.ref == asked.ref)
    if asked.lines is not None:
        yield _Line(style=_Style(name=ANY, least=None, most=None), points={asked.end: float(asked.lines)})
        return
    names = [_name(target, each, asked.series) for each in asked.series]
    for series, name in zip(asked.series, names, strict=True):
        style = _overridden(drawing, target, name) if name not in drawing.removed else None
        if style is not None:
            points = {at: None if value is None else value * drawing.scale for at, value in series.points}
            yield _Line(style=style, points=points)


def _name(target: Target, series: Shown, all_of_them: Sequence[Shown]) -> str:
    """What Grafana calls a series."""
    if target.legend and target.legend != "__auto":
        return re.sub(r"\{\{\s*(.+?)\s*\}\}", lambda found: series.labels.get(found[1], ""), target.legend)
    labels = {key: value for key, value in series.labels.items() if key != "__name__"}
    if target.legend == "__auto" and len(labels) == 1:
        return next(iter(labels.values()))
    if not labels and len(all_of_them) == 1:
        return series.labels.get("__name__", target.expr)
    inside = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{series.labels.get('__name__', '')}{{{inside}}}"


def _overridden(drawing: _Drawing, target: Target, name: str) -> _Style | None:
    """How a line looks after the panel's overrides; None where it is hidden."""
    panel = drawing.panel
    rules = panel.node.get("fieldConfig", "overrides")
    defaults = panel.node.get("fieldConfig", "defaults", "custom")
    hidden = _hides(defaults.get("hideFrom") if defaults is not None else None)
    called = name
    ends = {key: panel.axis_end(key) for key in ("min", "max")}
    moved = any(_moves(defaults.get(key)) for key in _MOVING) if defaults is not None else False
    for rule in rules.items if rules is not None else ():
        if not _matches(rule.get("matcher"), target, name):
            continue
        properties = rule.get("properties")
        for each in properties.items if properties is not None else ():
            kind, value = _text(each.get("id")), each.get("value")
            if kind == "custom.hideFrom":
                hidden = _hides(value)
            elif kind == "custom.hideFrom.viz":
                hidden = value is not None and value.value is True
            elif kind == "displayName":
                called = _text(value)
            elif kind == "unit":
                raise _Unjudged(f"an override gives {plain(name)!r} the unit {_text(value)!r}")
            elif kind in ends:
                ends[kind] = value if panel.kind == "timeseries" and value and value.kind == "number" else None
            elif kind.removeprefix("custom.").partition(".")[0] in _MOVING:
                moved = True
    if hidden:
        return None
    least, most = (None if moved else _end(drawing, key, node) for key, node in ends.items())
    return _Style(name=called, least=least, most=most)


def _moves(value: Json | None) -> bool:
    mode = value.get("mode") if value is not None and value.kind == "object" else value
    return mode is not None and _text(mode) not in {"", "none"}


def _end(drawing: _Drawing, key: str, node: Json | None) -> _End | None:
    if node is None:
        return None
    value = float(node.value or 0)
    place = _place(drawing.board.blame(node, ""), drawing.board.file)
    return _End(value=value * drawing.scale, text=f"{key} {value:g}", location=place)


def _matches(matcher: Json | None, target: Target, name: str) -> bool:
    kind, options = (_text(matcher.get("id")), matcher.get("options")) if matcher is not None else ("", None)
    if kind == "byFrameRefID":
        return _text(options) == target.ref
    if kind == "byName":
        return _text(options) == name
    if kind == "byRegexp":
        pattern = _text(options)
        try:
            return re.search(pattern.strip("/"), name) is not None
        except re.error:
            return False
    if kind == "byNames":
        listed = options.get("names") if options is not None else None
        within = name in {_text(each) for each in (listed.items if listed is not None else ())}
        # What a click on the legend leaves behind: all but these.
        return within is not (_text(options.get("mode")) == "exclude" if options is not None else False)
    return kind == "byType" and _text(options) == "number"


def _hides(value: Json | None) -> bool:
    found = value.get("viz") if value is not None and value.kind == "object" else None
    return found is not None and found.value is True


def _text(node: Json | None) -> str:
    return str(node.value) if node is not None and node.kind == "text" else ""


# --- numbers ------------------------------------------------------------------------------------------------------


def _named(line: _Line, wanted: Mapping[str, object]) -> _Line:
    """Where there is only one line its name does not matter."""
    return replace(line, style=replace(line.style, name=ANY)) if list(wanted) == [ANY] else line


def _instants(asked: Asked, line: _Line | None) -> tuple[float, ...]:
    """The instants at which a panel has points, whether this line has or not."""
    if asked.lines is not None or not asked.step:
        return (asked.end,) if line is None or not line.points else tuple(line.points)
    first = math.ceil(asked.start / asked.step) * asked.step
    count = int((asked.end - first) / asked.step + EXACT)
    grid = [round(first + n * asked.step, 3) for n in range(count + 1)]
    drawn = {round(at, 3): at for at in (line.points if line is not None else ())}
    return tuple(drawn.get(at, at) for at in grid)


def _any_value(line: _Line) -> bool:
    return any(value is not None for value in line.points.values())


def _where(asked: Asked) -> str:
    chosen = ", ".join(
        f"{name}={'all' if value == boards.ALL else plain(value)}" for name, value in asked.values.items()
    )
    return f"in the phase {asked.phase!r}" + (f" with {chosen}" if chosen else "")


def _place(error: BoardError, file: str) -> str:
    return f"{file}:{error.line}:{error.column}"
