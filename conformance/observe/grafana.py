"""
Asks what Grafana would ask for a dashboard: variables filled, the range and the step of a screen, legends untouched.

Queries are asked of the backends themselves, at the run's tempo. It must not know what a panel should show.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from conformance.observe.client import Client, ObserveError
from conformance.timeline.boards import Asked, BoardsSeen, Paid, Shown
from fixtures.core import clock
from fixtures.language import boards
from fixtures.language.boards import ALL, BoardError
from fixtures.language.logql import LogqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx

    from fixtures.language.boards import Board, Panel, Target, Variable

SCRAPE_INTERVAL = 15.0
"""Seconds: what Grafana is told of Prometheus (`timeInterval`), and its default where nobody tells it."""

PIXELS = 1000
"""How wide a panel is where it does not say how many points it wants."""

MOST_VALUES = 12
"""Values of a variable that are tried one by one; of more, so many."""

_STEPS = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
    *(604800, 2592000, 31536000),
)
"""Seconds to which Grafana rounds a step, so that a picture does not tremble."""

_VALUES = re.compile(r"label_values\(\s*(?:(?P<metric>.+?)\s*,\s*)?(?P<label>[a-zA-Z_]\w*)\s*\)", re.DOTALL)


class Unaskable(Exception):  # what a query is
    """A query cannot run at the run's tempo; the sentence says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A time range of a dashboard: a phase's name, and where in it to look, in real Unix seconds."""

    phase: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    """
    Where the dashboards of one cell are asked, and how.

    `rewrite` gives the expression that means at the run's tempo what the given one means in real time, or raises
    Unaskable; `narrow` keeps a log query to the cell. `files` are the dashboards' texts by name.
    """

    prometheus: str
    loki: str
    files: Mapping[str, str]
    stretches: tuple[Stretch, ...]
    tempo: float
    rewrite: Callable[[str], str]
    narrow: Callable[[str], str]
    scrape_interval: float = SCRAPE_INTERVAL


@dataclass(kw_only=True, slots=True)
class _Reader:
    screen: Screen
    prometheus: Client
    loki: Client
    troubles: list[str] = field(default_factory=list)

    def board(self, name: str, board: Board) -> Iterator[Asked]:
        known = {each.name: self.values(each) for each in board.variables}
        for panel in board.panels:
            for target in panel.targets:
                # A hidden query is not asked by Grafana either.
                if not target.expr or target.hidden:
                    continue
                for stretch in self.screen.stretches:
                    for chosen in _choices(board, known):
                        yield self.ask((name, board), (panel, target), known, chosen, stretch)

    def values(self, variable: Variable) -> tuple[str, ...]:
        """What a variable offers. A query that fails offers nothing, as in Grafana; the trouble is told."""
        if variable.kind != "query":
            return variable.values
        found = _VALUES.fullmatch(variable.query.strip())
        if found is None:
            self.troubles.append(f"variable {variable.name}: {variable.query!r} is not a label_values(…) query")
            return ()
        first, last = self.screen.stretches[0].start, self.screen.stretches[-1].end
        parameters = {"start": f"{first:.3f}", "end": f"{last:.3f}"}
        if found["metric"]:
            parameters["match[]"] = found["metric"]
        try:
            given = _data(self.prometheus, f"/api/v1/label/{found['label']}/values", parameters)
        except ObserveError as error:
            if error.status is None:
                raise
            return ()
        wanted = re.compile(variable.regex.strip("/")) if variable.regex else None
        return tuple(str(each) for each in given if wanted is None or wanted.search(str(each)))

    def ask(
        self,
        place: tuple[str, Board],
        query_of: tuple[Panel, Target],
        known: Mapping[str, tuple[str, ...]],
        chosen: Mapping[str, str],
        stretch: Stretch,
    ) -> Asked:
        """One query of a panel of a dashboard, with these values chosen of those that are known."""
        (name, board), (panel, target) = place, query_of
        tempo = self.screen.tempo
        span = math.floor((stretch.end - stretch.start) * tempo)
        least = _seconds(target.interval or panel.interval) or self.screen.scrape_interval
        step = max(least, _rounded(span / (panel.max_data_points or PIXELS)))
        rate = max(step + self.screen.scrape_interval, 4 * self.screen.scrape_interval)
        asked = Asked(
            board=name,
            panel=panel.title,
            ref=target.ref,
            phase=stretch.phase,
            values=dict(chosen),
            query=target.expr,
            start=stretch.end - span / tempo,
            end=stretch.end,
            step=0.0 if target.instant else step / tempo,
        )
        query = target.expr
        try:
            values = {
                each.name: each.chosen(chosen.get(each.name, ALL if each.include_all else ""), known[each.name])
                if each.kind == "query"
                else (known[each.name] or ("",))[0]
                for each in board.variables
            }
            query = boards.filled(
                target.expr,
                values,
                interval=timedelta(seconds=step),
                rate_interval=timedelta(seconds=rate),
                range=timedelta(seconds=span),
            )
            source = panel.source_of(target)
            if source is not None and source.type == "loki":
                return self.logs(asked, self.screen.narrow(query))
            return self.metrics(asked, self.screen.rewrite(query))
        except Unaskable as error:
            return self.unaskable(asked, query, str(error))
        except (BoardError, LogqlError) as error:
            return replace(asked, error=str(error))
        except ObserveError as error:
            if error.status is None:
                raise
            return replace(asked, error=str(error))

    def unaskable(self, asked: Asked, query: str, why: str) -> Asked:
        """What cannot be asked at this tempo is no fault of the panel, unless the backend refuses it as it stands."""
        try:
            _data(self.prometheus, "/api/v1/query", {"query": query, "time": f"{asked.end:.3f}"})
        except ObserveError as error:
            if error.status is None:
                raise
            return replace(asked, query=query, error=str(error))
        return replace(asked, query=query, error=why, unaskable=True)

    def metrics(self, asked: Asked, query: str) -> Asked:
        asked = replace(asked, query=query)
        if asked.step:
            # Grafana aligns a range to its step.
            start = math.ceil(asked.start / asked.step) * asked.step
            times = {"start": f"{start:.3f}", "end": f"{asked.end:.3f}", "step": f"{asked.step:.3f}"}
            data = _data(self.prometheus, "/api/v1/query_range", {"query": query, **times})
        else:
            data = _data(self.prometheus, "/api/v1/query", {"query": query, "time": f"{asked.end:.3f}"})
        return replace(asked, series=tuple(_series(data)))

    def logs(self, asked: Asked, query: str) -> Asked:
        parameters = {
            "query": query,
            "start": str(round(asked.start * 1e9)),
            "end": str(round(asked.end * 1e9)),
            "limit": "5000",
        }
        data = _data(self.loki, "/loki/api/v1/query_range", parameters)
        if data.get("resultType") == "streams":
            # Loki 2.0.0 gives what it has in memory whatever the range, and, where it holds lines from after the range,
            # nothing at all to a query that parses: so it is asked until now. What lies outside is not drawn.
            late = {**parameters, "end": str(round((clock.now() + 1) * 1e9))}
            data = _data(self.loki, "/loki/api/v1/query_range", late)
            first, last = round(asked.start * 1e9), round(asked.end * 1e9)
            instants = [int(instant) for row in data["result"] for instant, _ in row["values"]]
            return replace(asked, query=query, lines=sum(first <= each < last for each in instants))
        return replace(asked, query=query, series=tuple(_series(data)))


def ask(screen: Screen, *, paid: Sequence[Paid] = (), transport: httpx.BaseTransport | None = None) -> BoardsSeen:
    """Everything that the dashboards show in each stretch; what does not answer is in the troubles."""
    asked: list[Asked] = []
    variables: dict[str, dict[str, tuple[str, ...]]] = {}
    with (
        Client("prometheus", screen.prometheus, transport=transport) as prometheus,
        Client("loki", screen.loki, transport=transport) as loki,
    ):
        reader = _Reader(screen=screen, prometheus=prometheus, loki=loki)
        for name, text in screen.files.items():
            try:
                board = boards.load(text, file=name)
                variables[name] = {each.name: reader.values(each) for each in board.variables}
                asked += reader.board(name, board)
            except BoardError as error:
                reader.troubles.append(str(error))
            except ObserveError as error:
                reader.troubles.append(f"{name}: {error}")
        return BoardsSeen(
            files=screen.files,
            variables=variables,
            asked=tuple(asked),
            paid=tuple(paid),
            troubles=tuple(dict.fromkeys(reader.troubles)),
        )


def _choices(board: Board, known: Mapping[str, tuple[str, ...]]) -> Iterator[Mapping[str, str]]:
    """All values at once, then each by itself, of every variable of the board: a query that ignores one is seen to."""
    own = [each for each in board.variables if each.kind == "query"]
    yield {each.name: ALL for each in own}
    for each in own:
        for value in known[each.name][:MOST_VALUES]:
            yield {**{other.name: ALL for other in own}, each.name: value}


def _data(client: Client, path: str, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401  each query has its own shape
    answer = client.json(path, parameters)
    if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
        raise ObserveError(f"{client.name}: {path}: answered without success: {str(answer)[:200]}")
    return answer["data"]


def _series(data: Any) -> Iterator[Shown]:  # noqa: ANN401  checked here
    kind = data.get("resultType")
    if kind == "scalar":
        yield Shown(labels={}, points=(_point(data["result"]),))
        return
    if kind not in {"vector", "matrix"}:
        raise ObserveError(f"gave a {kind}, which is no picture", status=200)
    for row in data["result"]:
        points = row["values"] if kind == "matrix" else [row["value"]]
        yield Shown(labels=dict(row["metric"]), points=tuple(map(_point, points)))


def _point(pair: Sequence[Any]) -> tuple[float, float | None]:
    value = float(pair[1])
    return float(pair[0]), value if math.isfinite(value) else None


def _rounded(seconds: float) -> float:
    return float(next((each for each in _STEPS if seconds <= each), _STEPS[-1]))


def _seconds(text: str) -> float:
    """A least step as a panel writes it: `1m`, or `>1m` as old ones do."""
    found = re.fullmatch(r">?\s*(\d+)(ms|s|m|h|d)", text.strip())
    scale = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return int(found[1]) * scale[found[2]] if found else 0.0
