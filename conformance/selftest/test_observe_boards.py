"""How dashboards are asked: filled, stepped and refused as Grafana does it; and how the world behind them is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from conformance.observe.grafana import Screen, Stretch, Unaskable, ask
from fixtures.load.witness import machine
from fixtures.upstream.behaviour import Outcome, Plan, parse

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.timeline.boards import BoardsSeen

PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
BEGIN = 1_000_000.0


def board(expr: str, **panel: Any) -> str:  # noqa: ANN401  JSON of any shape
    """A dashboard of one panel with one query and a variable `agent`."""
    target = {"refId": "A", "expr": expr, "datasource": PROMETHEUS, "range": True, **panel.pop("target", {})}
    variable = {
        "name": "agent",
        "type": "query",
        "query": "label_values(up, agent)",
        "includeAll": True,
        "multi": True,
    }
    return json.dumps(
        {
            "title": "One",
            "schemaVersion": 41,
            "templating": {"list": [variable]},
            "panels": [{"id": 1, "title": "Panel", "type": "timeseries", "targets": [target], **panel}],
        }
    )


class Backend:
    """Answers as Prometheus and Loki do, and keeps what it was asked."""

    def __init__(self, *, status: int = 200) -> None:
        self.asked: list[dict[str, str]] = []
        self.status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        parameters = dict(request.url.params)
        if request.url.path.endswith("/values"):
            return httpx.Response(200, json={"status": "success", "data": ["a.b", "c"]})
        self.asked.append({"path": request.url.path, **parameters})
        if self.status != 200:
            return httpx.Response(self.status, text="parse error")
        if "loki" in request.url.path:
            lines = [[str(round((BEGIN + second) * 1e9)), "line"] for second in (-5, 1, 2, 99)]
            return httpx.Response(
                200, json={"status": "success", "data": {"resultType": "streams", "result": [{"values": lines}]}}
            )
        points = [[BEGIN, "1.5"], [BEGIN + 1, "NaN"]]
        kind, key = ("matrix", "values") if "range" in request.url.path else ("vector", "value")
        row = {"metric": {"agent": "c"}, key: points if key == "values" else points[0]}
        return httpx.Response(200, json={"status": "success", "data": {"resultType": kind, "result": [row]}})


def asked(text: str, backend: Backend, *, tempo: float = 1.0, seconds: float = 600) -> BoardsSeen:
    screen = Screen(
        prometheus="http://prometheus",
        loki="http://loki",
        files={"one.json": text},
        stretches=(Stretch(phase="calm", start=BEGIN, end=BEGIN + seconds),),
        tempo=tempo,
        rewrite=lambda query: query,
        narrow=lambda query: query,
    )
    return ask(screen, transport=httpx.MockTransport(backend))


def test_a_range_query_is_filled_and_stepped_as_grafana_does() -> None:
    """
    The step is the scrape interval at least, `$__rate_interval` four of them, and the range begins at a step.
    """
    backend = Backend()

    seen = asked(board("rate(x[$__rate_interval]) + $__range_s + $__interval_ms"), backend)

    assert {each["query"] for each in backend.asked} == {"rate(x[1m]) + 600 + 15000"}
    assert backend.asked[0]["step"] == "15.000"
    assert float(backend.asked[0]["start"]) % 15 == 0
    assert seen.asked[0].series[0].points == ((BEGIN, 1.5), (BEGIN + 1, None))


def test_a_long_range_has_a_longer_step_and_window() -> None:
    """
    Ten hours over a thousand points are steps of a minute, and the window is a scrape longer than that.
    """
    backend = Backend()

    asked(board("rate(x[$__rate_interval])"), backend, seconds=36_000)

    assert (backend.asked[0]["query"], backend.asked[0]["step"]) == ("rate(x[1m15s])", "60.000")


def test_a_panel_may_ask_for_fewer_points_or_a_longer_step() -> None:
    """
    `maxDataPoints` and the least step of panel or query are obeyed.
    """
    fewer, longer = Backend(), Backend()

    asked(board("x", maxDataPoints=10), fewer)
    asked(board("x", interval="5m"), longer)

    assert (fewer.asked[0]["step"], longer.asked[0]["step"]) == ("60.000", "300.000")


def test_every_value_of_a_variable_is_chosen_once_and_all_at_once() -> None:
    """
    All values are joined to a regular expression, each of them escaped.
    """
    backend = Backend()

    seen = asked(board('x{agent=~"$agent"}'), backend)

    assert [each.values for each in seen.asked] == [{"agent": "$__all"}, {"agent": "a.b"}, {"agent": "c"}]
    assert [each["query"] for each in backend.asked] == [
        r'x{agent=~"(a\\.b|c)"}',
        r'x{agent=~"a\\.b"}',
        'x{agent=~"c"}',
    ]


def test_an_instant_query_is_asked_at_the_end_over_the_whole_range() -> None:
    """
    `$__range` is as long as the stretch, in the document's time, whatever the tempo.
    """
    backend = Backend()

    seen = asked(board("increase(x[$__range])", target={"instant": True}), backend, tempo=60, seconds=10)

    assert backend.asked[0]["query"] == "increase(x[600s])"
    assert (backend.asked[0]["path"], seen.asked[0].step) == ("/api/v1/query", 0.0)


def test_a_hidden_query_is_not_asked() -> None:
    """
    What Grafana does not ask is not asked.
    """
    backend = Backend()

    assert asked(board("x", target={"hide": True}), backend).asked == ()
    assert backend.asked == []


def test_lines_outside_of_the_range_do_not_count() -> None:
    """
    A store that gives more than the range is counted within it.
    """
    text = board('{a="b"}', target={"datasource": {"type": "loki", "uid": "loki"}})

    assert asked(text, Backend(), seconds=10).asked[0].lines == 2


def test_a_refused_query_is_an_answer_and_a_backend_that_is_away_is_a_trouble() -> None:
    """
    What the backend says of a query is kept with the query; that there is no backend is never the panel's fault.
    """

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    refused = asked(board("x"), Backend(status=400))
    screen = Screen(
        prometheus="http://prometheus",
        loki="http://loki",
        files={"one.json": board("x")},
        stretches=(Stretch(phase="calm", start=BEGIN, end=BEGIN + 60),),
        tempo=1,
        rewrite=lambda query: query,
        narrow=lambda query: query,
    )
    silent = ask(screen, transport=httpx.MockTransport(away))

    assert "parse error" in refused.asked[0].error
    assert refused.troubles == ()
    assert silent.asked == ()
    assert "ConnectError" in silent.troubles[0]


def test_what_the_tempo_cannot_divide_is_marked_as_such() -> None:
    """
    It says nothing about the panel, unless the backend refuses the query as it stands.
    """

    def rewrite(query: str) -> str:
        raise Unaskable(f"{query} cannot be divided")

    screen = Screen(
        prometheus="http://prometheus",
        loki="http://loki",
        files={"one.json": board("x")},
        stretches=(Stretch(phase="calm", start=BEGIN, end=BEGIN + 60),),
        tempo=60,
        rewrite=rewrite,
        narrow=lambda query: query,
    )

    found = ask(screen, transport=httpx.MockTransport(Backend())).asked[0]
    refused = ask(screen, transport=httpx.MockTransport(Backend(status=400))).asked[0]
    assert (found.unaskable, found.error) == (True, "x cannot be divided")
    assert not refused.unaskable
    assert "parse error" in refused.error


def test_only_mounted_disks_and_real_cards_are_counted(tmp_path: Path) -> None:
    """
    Loop devices, loopback and what a container engine makes are left out; no files, no figures.
    """
    (tmp_path / "net").mkdir()
    (tmp_path / "mounts").write_text("/dev/zz9 / ext4 rw 0 0\nproc /proc proc rw 0 0\n", encoding="utf-8")
    (tmp_path / "diskstats").write_text(
        " 7 0 loop0 5 0 0 0 5 0 0 0\n 254 0 zz9 100 0 0 0 200 0 0 0\n 254 1 zz8 7 0 0 0 7 0 0 0\n", encoding="ascii"
    )
    row = "0 0 0 0 0 0 0"
    (tmp_path / "net" / "dev").write_text(
        f"head\nhead\n  lo: 9 {row} 9 {row}\neth0: 11 {row} 22 {row}\nveth1: 9 {row} 9 {row}\n", encoding="ascii"
    )

    found = machine(tmp_path)
    cards = found.pop("cards")
    assert found == {"reads": 100.0, "writes": 200.0, "received": 11.0, "sent": 22.0}
    assert machine(tmp_path / "nowhere") == {}

    page = (tmp_path / "net" / "dev").read_text(encoding="ascii")
    (tmp_path / "net" / "dev").write_text(f"{page}mc12: 1 {row} 1 {row}\n", encoding="ascii")
    assert machine(tmp_path)["cards"] != cards


def test_a_model_ails_alone() -> None:
    """
    Errors and stalls of a named model leave the requests to others alone, and their shares with them.
    """
    plan = Plan(
        behaviour=parse(
            {"error_share": 0.5, "error_model": "a", "stall_share": 1.0, "stall_seconds": 1, "stall_model": "b"}
        )
    )

    seen = [(model, *plan.next(model)) for model in ("a", "b", "c") * 4]
    assert sum(outcome is Outcome.ERROR for model, outcome, _ in seen if model == "a") == 2
    assert {outcome for model, outcome, _ in seen if model != "a"} == {Outcome.ANSWER}
    assert [stalled for model, _, stalled in seen] == [model == "b" for model, _, _ in seen]


def test_lines_from_after_the_range_take_nothing_away() -> None:
    """
    A store that gives nothing where it holds something newer than the range is asked beyond it.
    """

    class Hasty(Backend):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            end = float(request.url.params.get("end", "0"))
            if "loki" in request.url.path and end < (BEGIN + 99) * 1e9:
                self.asked.append({"end": f"{end:.0f}"})
                return httpx.Response(200, json={"status": "success", "data": {"resultType": "streams", "result": []}})
            return super().__call__(request)

    text = board('{a="b"} | json', target={"datasource": {"type": "loki", "uid": "loki"}})

    assert asked(text, Hasty(), seconds=10).asked[0].lines == 2
