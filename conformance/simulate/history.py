"""
What really happened, judged by two revisions of the rules: when each would have fired, how many pages, how much room.

It asks any Prometheus-compatible API in ranges; a local TSDB folder or an OpenMetrics file is served by a Prometheus of
ours over a copy. It knows rules and answers; it must not know a stack or write to anything that it is given.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from conformance.simulate import lint
from conformance.simulate.compare import HistoryRow, Revision, promql_names
from fixtures.language.durations import format_ms
from fixtures.language.promql import Edit, PromqlError, splice
from fixtures.language.rules import AlertRule, RecordingRule
from fixtures.language.tree import Node, tree

DAYS: Final = 30.0
MOST_POINTS: Final = 10_000
"""Prometheus refuses a range query with more than 11 000 steps."""
MOST_BYTES: Final = 64_000_000
_CONTROL: Final = 42.0
_MOST_COPIED: Final = 20_000_000_000
_LISTENING: Final = re.compile(r'msg="Listening on".*?address=127\.0\.0\.1:(\d+)')


class HistoryError(Exception):
    """The history cannot be read, or what answers cannot be believed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How much may be asked: range queries, and seconds for all of them; each answer has ten seconds."""

    queries: int = 500
    seconds: float = 120.0
    answer_seconds: float = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """From when to when, in seconds since 1970, and how often."""

    start: float
    end: float
    step: float = 15.0

    @property
    def points(self) -> int:
        return math.floor((self.end - self.start) / self.step) + 1

    def chunks(self) -> Iterator[Window]:
        """Pieces that a server answers, on one grid."""
        for first in range(0, self.points, MOST_POINTS):
            last = min(first + MOST_POINTS, self.points) - 1
            start = self.start + first * self.step
            yield Window(start=start, end=self.start + last * self.step, step=self.step)


Rows = Mapping[tuple[tuple[str, str], ...], Mapping[int, float]]
"""By label set, the value at each step of the window."""


@dataclass(slots=True)
class Server:
    """A Prometheus-compatible API; every answer is looked at before it is believed."""

    url: str
    budget: Budget = field(default_factory=Budget)
    asked: int = 0
    began: float = field(default_factory=time.monotonic)
    _client: httpx.Client | None = None

    @property
    def name(self) -> str:
        """The address without a password."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def check(self, window: Window) -> None:
        """Ask what we know: a constant, at every step that was asked for. A server that errs here is not believed."""
        end = min(window.end, window.start + 20 * window.step)
        small = Window(start=window.start, end=end, step=window.step)
        rows = self.range(f"vector({_CONTROL:g})", small)
        (values,) = rows.values() if len(rows) == 1 else ({},)
        if list(values) != list(range(small.points)) or set(values.values()) != {_CONTROL}:
            raise HistoryError(
                f"{self.name}: answers vector({_CONTROL:g}) with {len(values)} of {small.points} points"
                f"{'' if set(values.values()) <= {_CONTROL} else ' and other values'}: it cannot be believed"
            )

    def range(self, expr: str, window: Window) -> Rows:
        """The values of an expression at every step of a window."""
        found: dict[tuple[tuple[str, str], ...], dict[int, float]] = {}
        for chunk in window.chunks():
            for labels, points in self._ask(expr, chunk):
                row = found.setdefault(labels, {})
                for moment, value in points:
                    row[round((moment - window.start) / window.step)] = value
        return found

    def _ask(self, expr: str, chunk: Window) -> list[tuple[tuple[tuple[str, str], ...], list[tuple[float, float]]]]:
        if self.asked >= self.budget.queries:
            raise HistoryError(f"{self.name}: the budget of {self.budget.queries} queries is spent")
        if time.monotonic() - self.began > self.budget.seconds:
            raise HistoryError(
                f"{self.name}: the budget of {self.budget.seconds:g} s is spent after {self.asked} queries"
            )
        self.asked += 1
        asked = {"query": expr, "start": f"{chunk.start:.3f}", "end": f"{chunk.end:.3f}", "step": f"{chunk.step:g}"}
        data = self.fetch("/api/v1/query_range", asked)
        if data.get("resultType") != "matrix" or not isinstance(data.get("result"), list):
            raise HistoryError(
                f"{self.name}: answers a range query with {str(data.get('resultType'))[:40]!r}, no matrix"
            )
        return [self._series(each, chunk) for each in data["result"]]

    def _series(self, data: object, chunk: Window) -> tuple[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
        try:
            labels = tuple(sorted((str(name), str(text)) for name, text in data["metric"].items()))  # type: ignore[index]
            points = [(float(moment), float(value)) for moment, value in data["values"]]  # type: ignore[index]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise HistoryError(f"{self.name}: answers with what is no series: {error}") from error
        for index, (moment, _) in enumerate(points):
            off = (moment - chunk.start) / chunk.step
            if not -0.01 <= off <= chunk.points - 0.99 or abs(off - round(off)) > 0.01:
                raise HistoryError(f"{self.name}: answers with a point at {moment:.3f}, which was not asked for")
            if index and moment <= points[index - 1][0]:
                raise HistoryError(f"{self.name}: answers with points that go back in time at {moment:.3f}")
        return labels, points

    def fetch(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The data of an answer, or a HistoryError with what came instead."""
        if self._client is None:
            self._client = httpx.Client(timeout=self.budget.answer_seconds, trust_env=False)
        body = bytearray()
        try:
            method = "POST" if form else "GET"
            with self._client.stream(method, self.url.rstrip("/") + path, data=dict(form)) as answer:
                deadline = time.monotonic() + self.budget.answer_seconds
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise HistoryError(f"{self.name}: an answer is longer than {MOST_BYTES} bytes")
                    if time.monotonic() > deadline:
                        raise HistoryError(f"{self.name}: an answer takes longer than {self.budget.answer_seconds:g} s")
                status = answer.status_code
        except httpx.TimeoutException as error:
            raise HistoryError(f"{self.name}: does not answer within {self.budget.answer_seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HistoryError(f"{self.name}: cannot be reached: {error}") from error
        try:
            told = json.loads(body)
        except ValueError:
            shown = bytes(body[:60]).decode(errors="replace")
            raise HistoryError(f"{self.name}: answers {status} and no JSON: {shown!r}") from None
        if not isinstance(told, dict) or told.get("status") != "success" or not isinstance(told.get("data"), dict):
            said = told.get("error", told) if isinstance(told, dict) else told
            raise HistoryError(f"{self.name}: answers {status}: {str(said)[:200]}")
        data: dict[str, Any] = told["data"]
        return data


# --- where a history comes from ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A history that can be asked, and the window that it covers."""

    server: Server
    window: Window
    source: str


@contextmanager
def open_history(
    where: str,
    *,
    scratch: Path,
    prometheus: Path | None = None,
    promtool: Path | None = None,
    budget: Budget | None = None,
    days: float = DAYS,
    now: float | None = None,
) -> Iterator[Opened]:
    """
    A URL, a TSDB folder or an OpenMetrics file, ready to be asked; a file's copy is served on the loopback.

    Raises HistoryError with one clear line for whatever cannot be read.
    """
    budget = budget or Budget()
    if re.match(r"https?://", where):
        end = time.time() if now is None else now
        server = Server(url=where, budget=budget)
        try:
            yield Opened(server=server, window=Window(start=end - days * 86_400, end=end), source=server.name)
        finally:
            server.close()
        return
    path = Path(where)
    if not path.exists():
        raise HistoryError(f"{where}: is neither an http address, a folder nor a file")
    if prometheus is None or promtool is None:
        raise HistoryError(f"{where}: a local history needs prometheus and promtool, which are not there")
    scratch.mkdir(parents=True, exist_ok=True)
    folder = scratch / "tsdb"
    if path.is_dir():
        _copy(path, folder)
    else:
        _blocks(path, folder, promtool)
    with _served(folder, prometheus, scratch, where) as url:
        server = Server(url=url, budget=budget)
        try:
            window = _span(folder, server, where)
            if (window.end - window.start) > days * 86_400:
                window = Window(start=window.end - days * 86_400, end=window.end)
            yield Opened(server=server, window=window, source=where)
        finally:
            server.close()


def _copy(source: Path, folder: Path) -> None:
    """The blocks and the log of a TSDB, as links where the file system can: nothing is written to what was given."""
    blocks = [each for each in source.iterdir() if (each / "meta.json").is_file()]
    rest = [each for each in (source / "wal", source / "chunks_head") if each.is_dir()]
    if not blocks and not rest:
        raise HistoryError(f"{source}: is no TSDB: it has neither blocks nor a write-ahead log")
    size = sum(each.stat().st_size for part in (*blocks, *rest) for each in part.rglob("*") if each.is_file())
    if size > _MOST_COPIED:
        raise HistoryError(
            f"{source}: has {size / 1e9:.1f} GB, more than the {_MOST_COPIED / 1e9:g} GB that are copied"
        )
    for part in blocks:
        shutil.copytree(part, folder / part.name, copy_function=_linked)
    for part in rest:
        # The log is repaired where it is torn, so it is copied indeed.
        shutil.copytree(part, folder / part.name)


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _blocks(file: Path, folder: Path, promtool: Path) -> None:
    folder.mkdir(parents=True)
    command = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(file), str(folder)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HistoryError(f"{file}: promtool did not read it: {error}") from error
    if ran.returncode != 0:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["it said nothing"]
        raise HistoryError(f"{file}: is no OpenMetrics text with times: {said[-1][:200]}")
    if not any(folder.iterdir()):
        raise HistoryError(f"{file}: holds no sample with a time")


@contextmanager
def _served(folder: Path, prometheus: Path, scratch: Path, where: str) -> Iterator[str]:
    config, log = scratch / "prometheus.yml", scratch / "prometheus.log"
    config.write_text("global: {}\n", encoding="utf-8")
    # It must not outlive us, however we end.
    parent = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    command = [
        *parent,
        str(prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}",
        "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:0",
        "--query.max-samples=50000000",
    ]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield f"http://127.0.0.1:{_port(process, log, where)}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


def _port(process: subprocess.Popen[bytes], log: Path, where: str, seconds: float = 30.0) -> int:
    deadline = time.monotonic() + seconds
    port = 0
    while time.monotonic() < deadline:
        said = log.read_text(encoding="utf-8", errors="replace")
        broken = re.search(r'err="([^"]*(?:corrupt|invalid|block|unexpected)[^"]*)"', said)
        if process.poll() is not None or (broken and "level=ERROR" in said):
            reason = broken[1] if broken else (said.strip().splitlines() or ["it said nothing"])[-1]
            raise HistoryError(f"{where}: the TSDB cannot be opened: {reason[:250]}")
        found = _LISTENING.search(said)
        port = int(found[1]) if found else port
        if port and "Server is ready to receive web requests" in said:
            return port
        # The process itself is what is waited for: a moment of its life, then its log again.
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
    raise HistoryError(f"{where}: the TSDB was not opened within {seconds:g} s")


def _span(folder: Path, server: Server, where: str) -> Window:
    moments: list[float] = []
    for meta in folder.glob("*/meta.json"):
        try:
            data = json.loads(meta.read_text(encoding="utf-8"))
            moments += [data["minTime"] / 1000, data["maxTime"] / 1000]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HistoryError(f"{where}: block {meta.parent.name} has no readable meta.json: {error}") from error
    head = server.fetch("/api/v1/status/tsdb", {}) if not moments else {}
    stats = head.get("headStats", {})
    if stats.get("maxTime", 0) > stats.get("minTime", 0) > 0:
        moments += [stats["minTime"] / 1000, stats["maxTime"] / 1000]
    if not moments:
        raise HistoryError(f"{where}: the TSDB holds no sample")
    return Window(start=min(moments), end=max(moments))


# --- the replay --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What one alert would have done: pages, seconds of firing, and each firing as (begin, end) in seconds."""

    pages: int
    seconds: float
    firings: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """Both revisions over one history."""

    rows: tuple[HistoryRow, ...]
    note: str
    base: Mapping[str, Past]
    head: Mapping[str, Past]
    window: Window
    covered_s: float
    queries: int


def replay(opened: Opened, base: Revision, head: Revision, *, evaluation_s: float = 15.0) -> Replay:
    """
    Ask the history what both revisions would have done with it.

    A group of one alert is one page, when it begins to fire. Where there is no data at all an alert neither starts nor
    ends. If the budget does not suffice for every evaluation the steps are made longer, and the note says so.
    """
    server, window = opened.server, opened.window
    wanted = _wanted(base, head)
    step, window = _affordable(window, evaluation_s, len(wanted) + 2, server.budget.queries)
    server.check(window)
    present = _present(server, window, base, head)
    covered = len(present) * window.step
    if not present:
        raise HistoryError(
            f"{opened.source}: has no data that the rules read between {window.start:.0f} and {window.end:.0f}"
        )
    answers = {expr: server.range(expr, window) for expr in wanted}
    before, after = (
        {
            name: _past(answers[_expanded(rule.expr, side)], rule, present, window)
            for name, (_, rule) in side.alerts().items()
        }
        for side in (base, head)
    )
    per = 30 * 86_400 / covered
    rows = tuple(
        _row(name, base, head, before=before.get(name), after=after.get(name), per=per, answers=answers)
        for name in dict.fromkeys((*base.alerts(), *head.alerts()))
    )
    return Replay(
        rows=rows,
        note=_note(opened, window, covered=covered, step=step, evaluation=evaluation_s),
        base=before,
        head=after,
        window=window,
        covered_s=covered,
        queries=server.asked,
    )


def _note(opened: Opened, window: Window, *, covered: float, step: float, evaluation: float) -> str:
    whole = window.points * window.step
    parts = [
        f"{opened.source}: {whole / 86_400:.3g} days, {opened.server.asked} of {opened.server.budget.queries} queries"
    ]
    if covered < whole - 2 * window.step:
        parts.append(f"no data for {format_ms(round((whole - covered) * 1000))} of it, where nothing begins or ends")
    if step != evaluation:
        parts.append(f"evaluated every {step:g} s instead of {evaluation:g} s to stay within the budget")
    if covered < 30 * 86_400 * 0.9:
        parts.append(f"pages are scaled from {covered / 86_400:.3g} days to 30")
    return "; ".join(parts)


def _affordable(window: Window, evaluation: float, exprs: int, queries: int) -> tuple[float, Window]:
    step = evaluation
    while True:
        # The grid begins on a multiple of the step, as a server's own evaluations may.
        start = math.ceil(window.start / step) * step
        found = Window(start=start, end=max(window.end, start), step=step)
        if exprs * math.ceil(found.points / MOST_POINTS) + 2 <= queries or found.points <= MOST_POINTS:
            return step, found
        step *= 2


def _wanted(base: Revision, head: Revision) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for side in (base, head):
        for _, rule in side.alerts().values():
            found[_expanded(rule.expr, side)] = None
            for measure, _ in _measures(rule, side):
                found[measure] = None
    return tuple(found)


def _measures(rule: AlertRule, side: Revision) -> list[tuple[str, float]]:
    """The left side of a rule's first comparison with a number, expanded, and that number."""
    expr = _expanded(rule.expr, side)
    try:
        root = tree(expr)
    except PromqlError:
        return []
    for each in _outcomes(root):
        return [(expr[each.left.start : each.left.end], each.bound)]
    return []


def _outcomes(root: Node) -> Iterator[lint.Comparison]:
    bare = root.bare()
    if bare.kind == "binary" and bare.name in {"and", "or", "unless"}:
        yield from _outcomes(bare.parts[0])
    else:
        yield from (each for each in lint.comparisons(bare) if each.node is bare and each.operator not in {"==", "!="})


def _expanded(expr: str, side: Revision) -> str:
    """The expression with recorded metrics written out, as a history may not have them under this definition."""
    return _written_out(expr, side.records(), frozenset())


def _written_out(expr: str, records: Mapping[str, RecordingRule], seen: frozenset[str]) -> str:
    try:
        root = tree(expr)
    except PromqlError:
        return expr
    ranged = {id(part) for node in root.having("range") for part in node.parts}
    edits = []
    for node in root.having("selector"):
        record = records.get(node.name)
        if (
            record is None
            or node.name in seen
            or node.matchers
            or node.offset_ms
            or id(node) in ranged
            or record.labels
        ):
            continue
        inner = _written_out(record.expr, records, seen | {node.name})
        edits.append(Edit(start=node.start, end=node.end, text=f"({inner})"))
    return splice(expr, edits)


def _present(server: Server, window: Window, base: Revision, head: Revision) -> frozenset[int]:
    """The steps at which there is anything: the scrapes' own series, else any that the rules read."""
    rows = server.range("count(up)", window)
    if not rows:
        names = sorted(
            {
                name
                for side in (base, head)
                for _, rule in side.alerts().values()
                for name in promql_names(_expanded(rule.expr, side))
            }
        )
        if names:
            listed = "|".join(re.escape(name).replace("\\", "\\\\") for name in names[:200])
            rows = server.range(f'count({{__name__=~"{listed}"}})', window)
    return frozenset(index for row in rows.values() for index in row)


def _past(rows: Rows, rule: AlertRule, present: frozenset[int], window: Window) -> Past:
    wait, keep = rule.for_.total_seconds(), rule.keep_firing_for.total_seconds()
    firing: set[int] = set()
    for row in rows.values():
        # absent() is true of no data at all, which proves nothing.
        firing |= _firing(sorted(set(row) & present), wait, keep, present, window)
    spells = _spells(firing, present, window)
    return Past(pages=len(spells), seconds=len(firing) * window.step, firings=spells)


def _firing(active: Sequence[int], wait: float, keep: float, present: frozenset[int], window: Window) -> set[int]:
    """The steps at which one label set fires: active without a break for as long as it must wait."""
    found: set[int] = set()
    since: int | None = None
    before: int | None = None
    for index in active:
        # A step without any data breaks nothing; one with data and without this label set ends the wait.
        if before is None or any(between in present for between in range(before + 1, index)):
            broken_for = (index - before) * window.step if before is not None else math.inf
            kept = before in found and broken_for <= keep + window.step
            if kept and before is not None:
                found.update(range(before + 1, index))
            else:
                since = index
        if since is not None and (index - since) * window.step >= wait - 1e-6:
            found.add(index)
        before = index
    return found


def _spells(firing: Iterable[int], present: frozenset[int], window: Window) -> tuple[tuple[float, float], ...]:
    spells: list[list[int]] = []
    for index in sorted(firing):
        if spells and not any(between in present for between in range(spells[-1][1] + 1, index)):
            spells[-1][1] = index
        else:
            spells.append([index, index])
    return tuple((window.start + first * window.step, window.start + last * window.step) for first, last in spells)


def _row(
    name: str,
    base: Revision,
    head: Revision,
    *,
    before: Past | None,
    after: Past | None,
    per: float,
    answers: Mapping[str, Rows],
) -> HistoryRow:
    sides = [side.alerts()[name][1] if name in side.alerts() else None for side in (base, head)]
    bounds = [_measures(rule, side)[:1] if rule else [] for rule, side in zip(sides, (base, head), strict=True)]
    chosen = bounds[1] or bounds[0]
    values = (
        sorted(
            value for row in answers.get(chosen[0][0], {}).values() for value in row.values() if not math.isnan(value)
        )
        if chosen
        else []
    )
    # Of what the history does not have nothing is known: no page is no calm.
    if chosen and not values:
        return HistoryRow(alert=name, note="what it reads has no value in this history")
    return HistoryRow(
        alert=name,
        base_pages=before.pages * per if before else None,
        head_pages=after.pages * per if after else None,
        base_seconds=before.seconds if before else None,
        head_seconds=after.seconds if after else None,
        maximum=values[-1] if values else None,
        p999=_quantile(values, 0.999),
        p99=_quantile(values, 0.99),
        base_threshold=bounds[0][0][1] if bounds[0] else None,
        head_threshold=bounds[1][0][1] if bounds[1] else None,
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return values[min(len(values) - 1, math.floor(share * len(values)))] if values else None
