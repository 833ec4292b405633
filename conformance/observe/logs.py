"""
Reads one cell's log: what the service wrote, what the log store has of it, and what the store answers to queries.

The file shows where a record ends, and a line that the store dropped as a repetition; the store shows what users find.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.observe.client import ObserveError
from conformance.observe.planted import labels
from conformance.timeline.logs import RUN, Answer, Line, LogsSeen, Planted, Question
from fixtures.core import clock, patience, wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from conformance.observe.client import Client
    from fixtures.load.ledger import Ledger

PAGE = 5000
"""Lines asked for at once: what log stores allow by default."""
LONGEST = 256 * 1024
"""Characters of a line that are kept: longer ones are refused by log stores, by default."""
SHOWN = 4096
"""Characters that are kept of a line that is longer still."""
MOST = 128 * 1024 * 1024
"""Characters that are read of one log in all."""
AROUND = 15 * 3600
"""Seconds beside the run in which lines are looked for: the widest offset of a time zone, and a little."""
WINDOW_SLACK = 1.0
"""Seconds after the last planted line at which a rate over them is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Which log is read, and what is asked; `credentials` are the run's own by name and are never kept."""

    cell: str
    begun: float
    ledger: Ledger
    planted: tuple[Planted, ...]
    questions: tuple[Question, ...]
    file: Path | None
    credentials: Mapping[str, str] = field(repr=False)


def read(client: Client, task: Assignment) -> LogsSeen:
    """
    Everything about the cell's log, after the last line has arrived.

    What had not arrived is in `lagging`, what could not be read in `troubles`; neither is ever an empty answer alone.
    """
    troubles: list[str] = []
    written = _written(task, troubles)
    store = _Store(client, begun=task.begun)
    lagging = _await(store, task, written)
    kept: tuple[Line, ...] = ()
    arrived: tuple[str, ...] = ()
    answers: list[Answer] = []
    selector = f'{{cell="{task.cell}"}}'
    if not lagging:
        try:
            kept = tuple(
                _line(text, task.credentials, at=at, service=stream.get("service", ""))
                for stream, at, text in store.lines(selector)
            )
            arrived = tuple(
                text for label in labels(task.cell).values() for _, _, text in store.lines(f'{{cell="{label}"}}')
            )
        except ObserveError as error:
            troubles.append(str(error))
        answers = [_answer(store, task, question) for question in task.questions]
    return LogsSeen(
        written=written,
        kept=kept,
        planted=task.planted,
        arrived=arrived,
        answers=tuple(answers),
        lagging=lagging,
        troubles=tuple(dict.fromkeys(troubles)),
        file=task.file.name if task.file else "",
        query=selector,
    )


class _Store:
    """A Loki, or what speaks its API."""

    def __init__(self, client: Client, *, begun: float) -> None:
        self._client = client
        self._begun = begun

    def lines(self, query: str) -> Iterator[tuple[dict[str, str], float, str]]:
        """
        Each line of a query, with the labels of its stream and its instant, page by page.

        Pages are asked for until one brings nothing new: a store may cap a page without saying so, or give what it has
        in memory whatever the range. What it gives twice is taken once.
        """
        start, end = round((self._begun - AROUND) * 1e9), round((clock.now() + AROUND) * 1e9)
        known: set[tuple[str, int, int]] = set()
        total = 0
        while True:
            data = self._data(
                "/loki/api/v1/query_range",
                query=query,
                start=str(start),
                end=str(end),
                limit=str(PAGE),
                direction="forward",
            )
            if data.get("resultType") != "streams":
                raise ObserveError(f"{self._client.name}: {query}: gave a {data.get('resultType')}, not streams")
            size, before = 0, len(known)
            for row in data["result"]:
                stream = str(sorted(row["stream"].items()))
                size += len(row["values"])
                for instant, text in row["values"]:
                    entry = (stream, int(instant), hash(text))
                    if entry in known:
                        continue
                    known.add(entry)
                    start = max(start, entry[1])
                    total += len(text)
                    yield row["stream"], entry[1] / 1e9, text
            if total > MOST:
                raise ObserveError(f"{self._client.name}: {query}: gives more than {MOST} characters")
            if len(known) == before:
                if size >= PAGE:
                    raise ObserveError(f"{self._client.name}: {query}: {size} lines a page, and no way to the next")
                return

    def has(self, query: str) -> bool:
        """Whether a query finds any line."""
        start, end = round((self._begun - AROUND) * 1e9), round((clock.now() + AROUND) * 1e9)
        data = self._data("/loki/api/v1/query_range", query=query, start=str(start), end=str(end), limit="1")
        return any(row.get("values") for row in data["result"])

    def values(self, query: str, *, at: float) -> tuple[float, ...]:
        """The value of each series at an instant."""
        data = self._data("/loki/api/v1/query", query=query, time=str(round(at * 1e9)))
        if data.get("resultType") != "vector":
            raise ObserveError(f"{self._client.name}: {query}: gave a {data.get('resultType')}, not a vector")
        values = tuple(float(row["value"][1]) for row in data["result"])
        if any(math.isnan(value) for value in values):
            raise ObserveError(f"{self._client.name}: {query}: gave a value that is not a number")
        return values

    def _data(self, path: str, **parameters: str) -> Any:  # noqa: ANN401  each query has its own shape
        answer = self._client.json(path, parameters)
        query = parameters["query"]
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise ObserveError(f"{self._client.name}: {query}: answered without success: {str(answer)[:200]}")
        data = answer.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("result"), list):
            raise ObserveError(f"{self._client.name}: {query}: answered without a result: {str(answer)[:200]}")
        if warnings := answer.get("warnings"):
            raise ObserveError(f"{self._client.name}: {query}: warns: {'; '.join(map(str, warnings))}")
        return data


def _line(
    text: str,
    credentials: Mapping[str, str],
    *,
    length: int = 0,
    at: float | None = None,
    service: str = "",
    garbled: bool = False,
) -> Line:
    length = length or len(text)
    text = text if length <= LONGEST else text[:SHOWN]
    told = tuple(name for name, value in credentials.items() if value and value in text)
    for name in told:
        text = text.replace(credentials[name], "***")
    return Line(text=text, length=length, at=at, service=service, credentials=told, garbled=garbled)


def _written(task: Assignment, troubles: list[str]) -> tuple[Line, ...] | None:
    """
    The lines of the service's own file, once each answered request is in it or its budget is spent.
    """
    path = task.file
    if path is None:
        return None
    wanted = {request.request_id for request in task.ledger.requests if request.status is not None}

    def look() -> tuple[Line, ...]:
        lines = ((_readable(text), text, length) for text, length in _lines_of(path, troubles))
        return tuple(
            _line(readable, task.credentials, length=length, garbled=readable != text)
            for readable, text, length in lines
        )

    def good(lines: tuple[Line, ...]) -> bool:
        whole = "\n".join(line.text for line in lines)
        return all(request_id in whole for request_id in wanted)

    try:
        return wait.until(look, good, budget=patience.LATE_LINE, every=patience.SETTLE).last
    except OSError as error:
        troubles.append(f"{path.name}: cannot be read: {error.strerror or error}")
        return None


def _readable(text: str) -> str:
    """The text with each byte that is no UTF-8 as the replacement character."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _lines_of(path: Path, troubles: list[str]) -> Iterator[tuple[str, int]]:
    """Each line with its length, bounded: of one that is too long the rest is counted and not kept."""
    total = 0
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        while text := file.readline(LONGEST + 1):
            rest, ended = 0, text.endswith("\n")
            while not text.endswith("\n") and (more := file.readline(LONGEST)):
                rest += len(more)
                if more.endswith("\n"):
                    ended = True
                    break
            total += len(text)
            if total > MOST:
                troubles.append(f"{path.name}: holds more than {MOST} characters; the rest is not read")
                return
            size = len(text) + rest
            yield text.rstrip("\n"), size - ended


def _await(store: _Store, task: Assignment, written: tuple[Line, ...] | None) -> str:
    """What the store lacks when its budget is spent, in words; empty when the last of everything has arrived."""
    awaited = {f'{{cell="{labels(task.cell)[each.place]}"}} |= "{each.key}"': each.key for each in _lasts(task.planted)}
    if last := _last_id(task.ledger, written):
        awaited[f'{{cell="{task.cell}"}} |= "{last}"'] = f"the line of request {last}"

    def look() -> str:
        for query, what in tuple(awaited.items()):
            try:
                if not store.has(query):
                    return f"{what} is not found by {query}"
            except ObserveError as error:
                return str(error)
            del awaited[query]
        return ""

    waited = wait.until(look, lambda said: not said, budget=patience.INGESTION, every=patience.SETTLE)
    return f"{waited.last} after {waited.elapsed:.1f} s" if waited.last else ""


def awaited(client: Client, cell: str, *, begun: float, file: Path | None) -> str:
    """Wait until every line of a service's log has arrived; how many had not, or nothing."""
    if file is None:
        return ""
    try:
        # Of two that are the same to the millisecond the store keeps one.
        written = len({line for line in file.read_bytes().splitlines() if line.strip()})
    except OSError as error:
        return f"{file}: {error.strerror}"
    store = _Store(client, begun=begun)

    def look() -> int:
        now = clock.now()
        query = f'sum(count_over_time({{cell="{cell}"}}[{math.ceil(now - begun + AROUND)}s]))'
        return round(sum(store.values(query, at=now)))

    waited = wait.until(look, lambda arrived: arrived >= written, budget=patience.INGESTION, every=patience.SETTLE)
    if waited.ok:
        return ""
    return f"loki had {waited.last} of {written} lines of {file.name} after {waited.elapsed:.1f} s"


def _lasts(planted: Iterable[Planted]) -> Iterable[Planted]:
    """The last line of each planted file."""
    return {(each.place, each.wrapped): each for each in planted}.values()


def _last_id(ledger: Ledger, written: tuple[Line, ...] | None) -> str:
    """
    The request whose line must arrive last: where the file is known, the last one that the service did write.
    """
    ids = [request.request_id for request in ledger.requests if request.status is not None]
    if written is None:
        return ids[-1] if ids else ""
    known = set(ids)
    for line in reversed(written):
        for word in line.text.split('"'):
            if word in known:
                return word
    return ""


def _answer(store: _Store, task: Assignment, question: Question) -> Answer:
    planted = [each.at for each in task.planted if each.place == question.place]
    # Not now: a rate looks back from where the lines end, and at a low tempo the run's others go on for longer.
    own = [request.finished for request in task.ledger.requests]
    ends = own if question.place == RUN else planted
    at = min(clock.now(), max(ends, default=task.begun) + WINDOW_SLACK)
    try:
        if question.counts:
            return Answer(question=question, at=at, values=store.values(question.query, at=at))
        texts = (_line(text, task.credentials).text for _, _, text in store.lines(question.query))
        return Answer(question=question, at=at, lines=tuple(texts))
    except ObserveError as error:
        if error.status is not None and 400 <= error.status < 500 and error.status not in (408, 429):
            return Answer(question=question, at=at, refused=str(error))
        return Answer(question=question, at=at, error=str(error))
