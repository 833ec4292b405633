"""Observing metrics, judged: a page is read to its last line and bounded, and no silence passes for an empty answer."""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from conformance.observe import exposition
from conformance.observe import metrics as observing
from conformance.observe.client import Client, ObserveError
from conformance.observe.prometheus import Prometheus
from fixtures.gateway.metrics import Metrics
from fixtures.gateway.world import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.timeline.metrics import MetricsSeen, Page

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
NAMES = {"osmen_gateway": ("osmen_requests_total", "osmen_error_rate")}


def read(text: str, *, content_type: str = PLAIN, status: int = 200) -> Page:
    return exposition.page(text, scraper="classic", status=status, content_type=content_type, at=1.0, size=len(text))


# --- the page -----------------------------------------------------------------------------------------------------


def test_a_page_of_the_client_library_is_read_whole() -> None:
    """
    Types, labels and values are those that a real registry wrote.
    """
    metrics = Metrics({"librarian": "llama3"})
    metrics.executed("librarian", seconds=0.3, agent_seconds=0.2, failed_by=Kind.UPSTREAM)
    page = read(metrics.page().decode())
    errors = {sample.labels["kind"]: sample.value for sample in page.named("osmen_errors_total")}

    assert page.problems == ()
    assert page.types["osmen_request_duration_seconds"] == "histogram"
    assert errors == {"upstream": 1.0, "timeout": 0.0, "database": 0.0, "internal": 0.0}
    assert page.counts["osmen_errors_total"] == 4


def test_escapes_timestamps_and_exemplars_are_understood() -> None:
    """
    What both formats allow in a line is no problem, and infinity and NaN stay what they are.
    """
    page = read(
        'a_total{path="C:\\\\x",said="\\"hi\\"\\n{}"} 1 1700000000\n'
        'b_bucket{le="+Inf"} 3 # {trace_id="abc"} 0.5 1700000000.1\n'
        "c NaN\nd{} +Inf\n\n# a remark\n"
    )
    values = [sample.value for sample in page.samples]

    assert page.problems == ()
    assert page.samples[0].labels == {"path": "C:\\x", "said": '"hi"\n{}'}
    assert page.samples[1].labels == {"le": "+Inf"}
    assert math.isnan(values[2])
    assert values[3] == math.inf


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a 1\nb\n", "line 2 is no sample: 'b'", id="no value"),
        pytest.param("a one\n", "line 1 is no sample: 'a one'", id="a word as value"),
        pytest.param('a{b="1",b="2"} 1\n', "line 1 is no sample", id="a label twice"),
        pytest.param('a{b="1"\n', "line 1 is no sample", id="a brace that is not closed"),
        pytest.param("a-b 1\n", "line 1 is no sample", id="a name that is none"),
        pytest.param("a 1\na 2\n", "line 2: a series stands twice: 'a 2'", id="a series twice"),
        pytest.param("# TYPE a gauge\n# TYPE a counter\na 1\n", "line 2: a second TYPE of a", id="a type twice"),
        pytest.param("a 1\n# TYPE a gauge\n", "line 2: the TYPE of a stands behind its samples", id="a late type"),
        pytest.param("a 1", "the last line has no end", id="no end"),
        pytest.param("<html></html>\n", "line 1 is no sample: '<html></html>'", id="another kind of page"),
    ],
)
def test_what_a_scraper_refuses_is_a_problem_with_its_line(text: str, says: str) -> None:
    """
    No line is skipped silently.
    """
    problems = read(text).problems

    assert len(problems) == 1
    assert problems[0].startswith(says)


def test_an_openmetrics_page_needs_its_end() -> None:
    """
    Without `# EOF` it may have been cut anywhere.
    """
    kind = "application/openmetrics-text; version=1.0.0"

    assert read("a 1\n", content_type=kind).problems == ("an OpenMetrics page without '# EOF'",)
    assert read("a 1\n# EOF\n", content_type=kind).problems == ()


def test_too_many_series_are_counted_and_not_kept() -> None:
    """
    Of one name only so many are kept; how many there were is known.
    """
    page = read("".join(f'a{{n="{n}"}} 1\n' for n in range(5000)) + "b 1\n")

    assert (page.counts["a"], len(page.named("a")), len(page.named("b"))) == (5000, exposition.KEPT, 1)


def test_a_long_label_value_is_cut_and_named() -> None:
    """
    Its name, label and length are kept instead of it.
    """
    page = read(f'a{{user="{"x" * 102_400}"}} 1\n')
    (found,) = page.oversize

    assert (found.name, found.label, found.length) == ("a", "user", 102_400)
    assert len(page.samples[0].labels["user"]) == exposition.LONGEST + 1


def test_problems_are_bounded() -> None:
    """
    A page of nothing but nonsense names its first lines only.
    """
    assert len(read("?\n" * 10_000).problems) == exposition.NAMED


# --- the servers --------------------------------------------------------------------------------------------------


@contextmanager
def serving(body: bytes, *, status: int = 200, content_type: str = PLAIN) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything alike, and what it was asked to give."""
    accepted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            accepted.append(self.headers["Accept"])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", accepted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_kind_of_scraper_gets_its_page() -> None:
    """
    The page is asked for as a plain scraper and as both majors of Prometheus ask.
    """
    with serving(b"a 1\n") as (url, accepted):
        pages = observing.pages(url, "gateway")

    assert [page.scraper for page in pages] == ["classic", "Prometheus 2", "Prometheus 3"]
    assert accepted == list(observing.SCRAPERS.values())
    assert [sample.value for page in pages for sample in page.samples] == [1.0, 1.0, 1.0]


def test_a_failing_page_is_an_observation_and_a_dead_service_a_trouble() -> None:
    """
    An answer of 500 is what the service says; no answer says nothing.
    """
    with serving(b"broken", status=500) as (url, _):
        pages = observing.pages(url, "gateway")

    assert {(page.status, page.samples) for page in pages} == {(500, ())}
    with pytest.raises(ObserveError, match="gateway: GET /metrics: ConnectError"):
        observing.pages(url, "gateway")


def test_an_endless_page_is_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Only so much of a page is read, and that there was more is a problem of the page.
    """
    monkeypatch.setattr(observing, "LARGEST", 1000)
    with serving(b"a 1\n" + b"# remark\n" * 1000) as (url, _):
        page = observing.pages(url, "gateway")[0]

    assert page.problems == ("the page is longer than the 1000 bytes that were read",)
    assert page.named("a")[0].value == 1.0


def vector(*rows: tuple[dict[str, str], float]) -> dict[str, object]:
    return {
        "resultType": "vector",
        "result": [{"metric": labels, "value": [1.0, str(value)]} for labels, value in rows],
    }


def scrapes(*points: tuple[float, int]) -> dict[str, object]:
    """One target's scrapes: when, and whether it answered."""
    values = [[at, str(value)] for at, value in points]
    return {"resultType": "matrix", "result": [{"metric": {"__name__": "up"}, "values": values}]}


def answering(change: Callable[[httpx.Request], httpx.Response | None]) -> Prometheus:
    """A Prometheus that has two series, unless `change` answers in its place."""

    def answer(request: httpx.Request) -> httpx.Response:
        if (given := change(request)) is not None:
            return given
        query = request.url.params.get("query", "")
        data: object
        if request.url.path.endswith("/metadata"):
            data = [{"metric": "osmen_error_rate", "type": "gauge", "help": "", "unit": "", "target": {}}]
        elif query.startswith("count by"):
            data = vector(({"__name__": "osmen_error_rate"}, 1), ({"__name__": "osmen_requests_total"}, 5000))
        elif query.startswith("up{"):
            data = scrapes((1.5, 1), (1.75, 0))
        elif query.endswith("ms]"):
            data = {
                "resultType": "matrix",
                "result": [{"metric": {"__name__": "osmen_error_rate"}, "values": [[1, "NaN"], [2, "0.5"]]}],
            }
        else:
            data = vector(({"__name__": "osmen_error_rate"}, 0.5))
        return httpx.Response(200, json={"status": "success", "data": data})

    return Prometheus(Client("prometheus", "http://prometheus.invalid", transport=httpx.MockTransport(answer)))


def observe(prometheus: Prometheus, *, gateway: bytes = b"a 1\n", upstream: object = ()) -> MetricsSeen:
    with serving(gateway) as (gateway_url, _), serving(json.dumps(upstream).encode()) as (upstream_url, _):
        return observing.observe(
            prometheus=prometheus,
            gateway=gateway_url,
            upstream=upstream_url,
            upstream_secret="secret",
            tenant="steady",
            names=NAMES,
            recorded={"osmen:errors:rate5m": 5.0},
            start=0.0,
            end=2.0,
        )


def test_what_prometheus_has_is_read_and_what_is_too_much_is_only_counted() -> None:
    """
    Values, samples and types of the wanted names; of one with thousands of series only how many there are.
    """
    asked: list[str] = []
    seen = observe(answering(lambda request: asked.append(request.url.params.get("query", ""))))

    assert seen.troubles == {}
    assert seen.counts["osmen_gateway"] == {"osmen_error_rate": 1, "osmen_requests_total": 5000}
    assert [(track.name, track.points) for track in seen.tracks] == [("osmen_error_rate", ((1.0, None), (2.0, 0.5)))]
    assert seen.types["osmen_gateway"] == {"osmen_error_rate": "gauge"}
    assert not any("osmen_requests_total" in query for query in asked)


def test_series_are_read_as_the_last_answered_scrape_left_them() -> None:
    """
    A scrape that is cut short after the run ends every series of its target: what was there before is what counts.
    """
    asked: list[tuple[str, str | None]] = []
    observe(
        answering(lambda request: asked.append((request.url.params.get("query", ""), request.url.params.get("time"))))
    )

    assert {at for query, at in asked if query.startswith(("count by", "{job="))} - {"2.000"} == {"1.500"}


def test_an_answered_scrape_is_waited_for_and_a_job_without_targets_is_not() -> None:
    """
    The first scrape after the run failed, the second did not; where a job has no target, nobody waits.
    """
    nothing = {"resultType": "matrix", "result": []}
    looks = iter([nothing, scrapes((1.0, 0)), scrapes((1.0, 0), (1.25, 1))])
    prometheus = answering(lambda _: httpx.Response(200, json={"status": "success", "data": next(looks)}))

    assert observing.answered(prometheus, "osmen_gateway", since=0.5) is None
    assert observing.answered(prometheus, "osmen_gateway", since=0.5) == 1.25
    assert next(looks, None) is None


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(httpx.Response(503, text="starting"), "503 starting", id="not ready"),
        pytest.param(
            httpx.Response(200, json={"status": "error", "error": "query timed out"}),
            "query timed out",
            id="200 with an error",
        ),
        pytest.param(
            httpx.Response(200, json={"status": "success", "data": vector(), "warnings": ["a store is away"]}),
            "warns: a store is away",
            id="200 with a warning",
        ),
        pytest.param(httpx.Response(200, text="<html>"), "is not JSON", id="another service"),
    ],
)
def test_a_prometheus_that_fails_or_warns_is_a_trouble(answer: httpx.Response, says: str) -> None:
    """
    It is told in its words, and the rest is read nonetheless.
    """
    seen = observe(answering(lambda _: answer))

    assert says in seen.troubles["prometheus"]
    assert seen.last == seen.tracks == ()
    assert seen.pages[0].named("a")[0].value == 1.0


def test_what_the_model_server_counted_is_read() -> None:
    """
    Each request with its tokens; one that is under way has no status yet.
    """
    row = {
        "at": 1.0,
        "request_id": "r1",
        "model": "llama3",
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "stalled": True,
    }
    seen = observe(
        answering(lambda _: None), upstream=[{**row, "status": 200}, {**row, "request_id": None, "status": None}]
    )

    assert [(one.request_id, one.prompt_tokens, one.status, one.stalled) for one in seen.billed] == [
        ("r1", 7, 200, True),
        ("", 7, 0, True),
    ]


@pytest.mark.parametrize("upstream", [{"error": "no"}, [{"model": "llama3"}], ["x"]])
def test_a_bill_of_another_shape_is_a_trouble(upstream: object) -> None:
    """
    It is not taken for an empty one.
    """
    seen = observe(answering(lambda _: None), upstream=upstream)

    assert "has an entry of an unknown shape" in seen.troubles["upstream"]
