"""Both revisions over what really happened: pages, headroom, gaps, and servers or files that cannot be believed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from conformance.simulate.compare import Revision, read_revision
from conformance.simulate.history import (
    Budget,
    HistoryError,
    Opened,
    Past,
    Replay,
    Server,
    Window,
    _past,
    open_history,
    replay,
)
from fixtures.language import rules
from fixtures.language.rules import AlertRule
from fixtures.stack.provision import provide

BEGIN = 1_760_000_010
"""Not on a multiple of a minute, as a real history."""
STEP = 15


def revision(folder: Path, name: str, bound: float) -> Revision:
    place = folder / name
    place.mkdir()
    members = [
        {"record": "errors:rate5m", "expr": "sum(rate(errors_total[5m]))"},
        {"alert": "Errors", "expr": f"errors:rate5m > {bound}", "for": "5m"},
        {"alert": "Down", "expr": 'up{job="a"} == 0 or absent(up{job="a"})', "for": "1m"},
    ]
    (place / "a.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": members}]}))
    return read_revision(name, rules_at=place)


def minutes(lines: Callable[[int], tuple[float, float] | None], length: int) -> str:
    """Give OpenMetrics text of a counter's rate and of `up`, by minute; None is a minute without a scrape."""
    errors, ups, total = ["# TYPE errors counter"], ["# TYPE up gauge"], 0.0
    for index in range(length * 4):
        found = lines(index // 4)
        if found is None:
            continue
        rate, up = found
        # A restart at half an hour.
        total = rate * STEP if index == 120 else total + rate * STEP
        errors.append(f"errors_total {total:.6f} {BEGIN + index * STEP}")
        ups.append(f'up{{job="a"}} {up:g} {BEGIN + index * STEP}')
    return "\n".join([*errors, *ups, "# EOF", ""])


def story(minute: int) -> tuple[float, float] | None:
    """Ten minutes at 0.3/s, a restart, a gap of twenty minutes, ten minutes at 2/s, five with the target down."""
    if 60 <= minute < 80:
        return None
    rate = 0.3 if 10 <= minute < 20 else 2.0 if 100 <= minute < 110 else 0.01
    return rate, 0.0 if 120 <= minute < 125 else 1.0


@pytest.fixture(scope="module")
def tools() -> dict[str, Path]:
    found = provide(["prometheus", "promtool"])
    return {name: each.path for name, each in found.items()}


@pytest.fixture(scope="module")
def replayed(tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """Replay two and a half hours of OpenMetrics text for two bounds, once."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "past.om").write_text(minutes(story, 150))
    with open_history(
        str(folder / "past.om"), scratch=folder, prometheus=tools["prometheus"], promtool=tools["promtool"]
    ) as opened:
        return replay(opened, revision(folder, "old", 0.1), revision(folder, "new", 0.5))


def test_a_history_says_when_each_side_would_have_fired(replayed: Replay) -> None:
    """
    The old bound pages twice, the new one once; a restart of the counter is no error; the target's outage is one page.
    """
    assert [replayed.base["Errors"].pages, replayed.head["Errors"].pages] == [2, 1]
    assert [replayed.base["Down"].pages, replayed.head["Down"].pages] == [1, 1]
    began = [(first - BEGIN) / 60 for first, _ in replayed.base["Errors"].firings]
    assert began[0] == pytest.approx(16.75, abs=0.6)
    assert began[1] == pytest.approx(105.25, abs=0.6)


def test_a_gap_begins_and_ends_nothing_and_is_said(replayed: Replay) -> None:
    """
    Twenty minutes without any data are no outage of the target, and the note counts them.
    """
    assert all((first - BEGIN) / 60 > 119 for first, _ in replayed.base["Down"].firings)
    assert "no data for 1" in replayed.note
    assert f"{replayed.queries} of 500 queries" in replayed.note
    assert "pages are scaled from" in replayed.note


def test_headroom_stands_beside_both_thresholds(replayed: Replay) -> None:
    """
    The measure's maximum over history is read from what was recorded beneath, next to the old and the new bound.
    """
    row = next(each for each in replayed.rows if each.alert == "Errors")

    assert row.maximum == pytest.approx(2.0, rel=0.01)
    assert row.p99 is not None
    assert row.maximum is not None
    assert row.p99 <= row.maximum
    assert (row.base_threshold, row.head_threshold) == (0.1, 0.5)
    assert row.base_pages == pytest.approx(2 * 30 * 86_400 / replayed.covered_s)


def rule(wait: str, keep: str = "0s") -> AlertRule:
    text = f"groups:\n- name: g\n  rules:\n  - {{alert: A, expr: x, for: {wait}, keep_firing_for: {keep}}}\n"
    return rules.load(text, file="a").alert("A")


def past(active: str, *, wait: str = "30s", keep: str = "0s") -> Past:
    """Give the past of an alert: `x` active, `.` not, a blank is a step without any data."""
    window = Window(start=0, end=(len(active) - 1) * STEP)
    row = {index: 1.0 for index, each in enumerate(active) if each == "x"}
    present = frozenset(index for index, each in enumerate(active) if each != " ")
    return _past({(): row}, rule(wait, keep), present, window)


@pytest.mark.parametrize(
    ("active", "firings"),
    [
        ("..xx....", ()),
        ("..xxx...", ((60.0, 60.0),)),
        ("..xxxx.xxx", ((60.0, 75.0), (135.0, 135.0))),
        ("..xx.xx.xx", ()),
        ("..xx    x..", ((120.0, 120.0),)),
        ("xxx    xx..", ((30.0, 120.0),)),
        ("xxx    ....", ((30.0, 30.0),)),
    ],
)
def test_waiting_is_uninterrupted_and_a_gap_interrupts_nothing(
    active: str, firings: tuple[tuple[float, float], ...]
) -> None:
    """
    An alert fires after its whole wait; a step without the condition starts it anew, a step without data does not.
    """
    assert past(active).firings == firings


def test_keep_firing_for_joins_what_lies_close() -> None:
    """
    Within keep_firing_for a firing alert does not end, so it is one page.
    """
    assert past("xxxx.xxxx").pages == 2
    assert past("xxxx.xxxx", keep="30s").pages == 1


# --- servers that cannot be believed -----------------------------------------------------------------------------


@contextmanager
def serving(answer: Callable[[Mapping[str, list[str]]], tuple[int, bytes]]) -> Iterator[str]:
    """Serve one answer on the loopback; it gets the form that was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = answer(form)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def grid(form: Mapping[str, list[str]]) -> list[float]:
    start, end, step = (float(form[name][0]) for name in ("start", "end", "step"))
    return [start + index * step for index in range(int((end - start) / step + 0.01) + 1)]


def matrix(moments: list[float], value: str = "42") -> bytes:
    result = [{"metric": {}, "values": [[each, value] for each in moments]}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda _: (200, b"<html>sign in</html>"), "answers 200 and no JSON: '<html>sign in</html>'"),
        (lambda _: (200, b"[]"), "answers 200: []"),
        (lambda _: (422, b'{"status": "error", "error": "too many samples"}'), "answers 422: too many samples"),
        (
            lambda _: (200, b'{"status": "success", "data": {"resultType": "vector", "result": []}}'),
            "answers a range query with 'vector', no matrix",
        ),
        (
            lambda _: (200, b'{"status": "success", "data": {"resultType": "matrix", "result": []}}'),
            "answers vector(42) with 0 of",
        ),
        (
            lambda _: (200, b'{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": 3}]}}'),
            "answers with what is no series",
        ),
        (lambda form: (200, matrix(grid(form), "41")), "and other values: it cannot be believed"),
        (lambda form: (200, matrix(grid(form)[::2])), "it cannot be believed"),
        (lambda form: (200, matrix([each - 86_400 for each in grid(form)])), "which was not asked for"),
        (lambda form: (200, matrix([*grid(form)[1:], grid(form)[0]])), "go back in time"),
    ],
)
def test_a_server_that_lies_is_not_believed(
    answer: Callable[[Mapping[str, list[str]]], tuple[int, bytes]], says: str, tmp_path: Path
) -> None:
    """
    What is not the answer to what was asked is one clear line, and nothing is judged by it.
    """
    side = revision(tmp_path, "a", 0.1)
    with (
        serving(answer) as url,
        open_history(url, scratch=tmp_path, days=0.1, now=BEGIN) as opened,
        pytest.raises(HistoryError) as told,
    ):
        replay(opened, side, side)

    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_an_empty_history_is_no_calm_history(tmp_path: Path) -> None:
    """
    A server that answers rightly and has no data proves nothing.
    """

    def answer(form: Mapping[str, list[str]]) -> tuple[int, bytes]:
        known = form["query"] == ["vector(42)"]
        return 200, matrix(grid(form)) if known else matrix([]).replace(b'{"metric": {}, "values": []}', b"")

    side = revision(tmp_path, "a", 0.1)
    with (
        serving(answer) as url,
        open_history(url, scratch=tmp_path, days=0.1, now=BEGIN) as opened,
        pytest.raises(HistoryError, match="has no data that the rules read"),
    ):
        replay(opened, side, side)


def test_a_server_that_hangs_or_is_gone_ends_in_time(tmp_path: Path) -> None:
    """
    Each answer has its time, and the line names the server without its password.
    """
    release = threading.Event()

    def hang(_: Mapping[str, list[str]]) -> tuple[int, bytes]:
        release.wait(5)
        return 200, b""

    with serving(hang) as url:
        server = Server(url=url.replace("//", "//user:secret@"), budget=Budget(answer_seconds=0.2))
        with pytest.raises(HistoryError, match=r"does not answer within 0\.2 s") as told:
            server.check(Window(start=0, end=60))
        release.set()
        server.close()
    with (
        open_history("http://127.0.0.1:9", scratch=tmp_path) as opened,
        pytest.raises(HistoryError, match="cannot be reached"),
    ):
        opened.server.check(opened.window)

    assert "secret" not in str(told.value)


def test_the_budget_of_queries_is_kept_by_longer_steps(tmp_path: Path) -> None:
    """
    Where every evaluation of thirty days cannot be asked for, the steps are longer and the note says so.
    """

    def answer(form: Mapping[str, list[str]]) -> tuple[int, bytes]:
        return 200, matrix(grid(form))

    side = revision(tmp_path, "a", 0.1)
    with serving(answer) as url:
        server = Server(url=url, budget=Budget(queries=24))
        window = Window(start=BEGIN - 10 * 86_400, end=BEGIN)
        found = replay(Opened(server=server, window=window, source="here"), side, side)
        server.close()

    assert found.queries <= 24
    assert "instead of 15 s to stay within the budget" in found.note


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "is neither an http address, a folder nor a file"),
        (lambda path: path.mkdir(), "is no TSDB"),
        (lambda path: path.write_text("groups: []\n"), "is no OpenMetrics text with times"),
        (lambda path: path.write_text("# EOF\n"), "no sample"),
    ],
)
def test_what_is_no_history_is_one_line(
    make: Callable[[Path], object], says: str, tools: dict[str, Path], tmp_path: Path
) -> None:
    """
    A missing path, a folder without blocks, a text that is no metrics: each is named with its reason.
    """
    make(tmp_path / "given")

    with (
        pytest.raises(HistoryError, match=says) as told,
        open_history(
            str(tmp_path / "given"), scratch=tmp_path, prometheus=tools["prometheus"], promtool=tools["promtool"]
        ),
    ):
        pass

    assert "\n" not in str(told.value)


def test_a_corrupt_tsdb_is_refused_and_left_as_it_was(tools: dict[str, Path], tmp_path: Path) -> None:
    """
    A block whose index is nonsense is named; nothing in the folder that was given changes.
    """
    block = tmp_path / "tsdb/01M87XN94XS7MD14BHR3V345C5"
    block.mkdir(parents=True)
    meta = {"ulid": block.name, "minTime": 0, "maxTime": 7_200_000, "version": 1, "stats": {"numSamples": 1}}
    (block / "meta.json").write_text(json.dumps(meta | {"compaction": {"level": 1, "sources": [block.name]}}))
    (block / "index").write_bytes(b"nonsense" * 10)
    (block / "chunks").mkdir()
    before = {each: each.read_bytes() for each in block.rglob("*") if each.is_file()}
    (tmp_path / "scratch").mkdir()

    with (
        pytest.raises(HistoryError, match=r"the TSDB cannot be opened: .*invalid magic number"),
        open_history(
            str(tmp_path / "tsdb"),
            scratch=tmp_path / "scratch",
            prometheus=tools["prometheus"],
            promtool=tools["promtool"],
        ),
    ):
        pass

    assert {each: each.read_bytes() for each in block.rglob("*") if each.is_file()} == before
