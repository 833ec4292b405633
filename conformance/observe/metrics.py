"""What a service exposes as metrics, what Prometheus keeps of them, and what the model server counted; bounded."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, TypeVar

from conformance.observe import exposition
from conformance.observe.client import Client, ObserveError
from conformance.timeline.metrics import Billed, MetricsSeen, Track
from fixtures.core import clock, patience, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.observe.prometheus import Prometheus
    from conformance.timeline.metrics import Page

T = TypeVar("T")

SCRAPERS = {
    "classic": "text/plain;version=0.0.4;q=1,*/*;q=0.1",
    "Prometheus 2": (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    ),
    "Prometheus 3": (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    ),
}
"""What each kind of scraper says that it accepts."""

GATEWAY = "osmen_gateway"
"""The job whose counters rules record."""

LARGEST = 8 * 1024 * 1024
"""Bytes of a metrics page that are read."""

MEMORY_LIMIT = "container_spec_memory_limit_bytes"
"""cAdvisor's name of the limit, which no usage may pass."""

_PARTS = ("", "_bucket", "_sum", "_count")


def observe(
    *,
    prometheus: Prometheus,
    gateway: str,
    upstream: str,
    upstream_secret: str,
    tenant: str,
    names: Mapping[str, Sequence[str]],
    recorded: Mapping[str, float],
    start: float,
    end: float,
    memory: float | None = None,
) -> MetricsSeen:
    """
    Everything about the metrics of one service; `names` are the names of interest by scrape job.

    `recorded` are the series that rules record, each with the real seconds that its rule looks back.

    What does not answer is told in `troubles` and leaves its part empty.
    """
    troubles: dict[str, str] = {}

    def asking(whom: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except ObserveError as error:
            troubles.setdefault(whom, str(error))
            return otherwise

    nothing: tuple[Page, ...] = ()
    found = asking("page", lambda: pages(gateway, f"gateway of {tenant}"), nothing)
    counts: dict[str, dict[str, int]] = {}
    types: dict[str, dict[str, str]] = {}
    last: list[Track] = []
    tracks: list[Track] = []
    for job, wanted in names.items():
        at = asking("prometheus", lambda job=job: answered(prometheus, job, since=end), None)  # type: ignore[misc]
        counts[job] = asking("prometheus", lambda job=job, at=at: _counts(prometheus, job, at), {})  # type: ignore[misc]
        types[job] = asking("prometheus", lambda job=job: prometheus.types(job), {})  # type: ignore[misc]
        parts = [f"{name}{part}" for name in wanted for part in _PARTS]
        # One that has exploded is counted above; to read it all would take the time of everything else.
        parts = [name for name in [*parts, MEMORY_LIMIT] if 0 < counts[job].get(name, 0) <= exposition.KEPT]
        if not parts:
            continue
        selector = f'{{job="{job}",__name__=~"{"|".join(parts)}"}}'
        last += asking("prometheus", lambda selector=selector, at=at: _last(prometheus, selector, at), [])  # type: ignore[misc]
        ranged = [name for name in parts if not name.endswith(("_bucket", "_sum", "_count")) or name in wanted]
        moving = [name for name in ranged if types[job].get(name) != "counter" or name.startswith("container_")]
        if moving:
            selector = f'{{job="{job}",__name__=~"{"|".join(moving)}"}}'
            tracks += asking(
                "prometheus",
                lambda selector=selector: _tracks(prometheus, selector, start, end),  # type: ignore[misc]
                [],
            )
    unread: list[Track] | None = None
    unscraped: list[Track] = []
    selector = f'{{__name__=~"{"|".join(recorded)}"}}'
    kept = asking("prometheus", lambda: _tracks(prometheus, selector, start, end), unread)
    since, up = start - max(recorded.values(), default=0.0), f'up{{job="{GATEWAY}"}}'
    scrapes = asking("prometheus", lambda: _tracks(prometheus, up, since, end), unscraped)
    with Client(f"upstream of {tenant}", upstream) as client:
        none: tuple[Billed, ...] = ()
        served = asking("upstream", lambda: billed(client, tenant, upstream_secret), none)
    return MetricsSeen(
        pages=found,
        last=tuple(last),
        tracks=tuple(tracks),
        recorded=None if kept is None else tuple(kept),
        scraped=tuple(sorted(at for each in scrapes for at, value in each.points if value == 1)),
        counts=counts,
        types=types,
        billed=served,
        memory=memory,
        cores=os.cpu_count() or 0,
        troubles=troubles,
    )


def pages(base_url: str, name: str) -> tuple[Page, ...]:
    """The metrics page as each kind of scraper gets it."""
    with Client(name, base_url) as client:
        return tuple(_page(client, scraper, accept) for scraper, accept in SCRAPERS.items())


def _page(client: Client, scraper: str, accept: str) -> Page:
    answer = client.answer("/metrics", headers={"Accept": accept}, most=LARGEST)
    return exposition.page(
        answer.body.decode("utf-8", "replace"),
        scraper=scraper,
        status=answer.status,
        content_type=answer.content_type,
        at=clock.now(),
        size=len(answer.body),
        whole=answer.whole,
    )


def billed(client: Client, tenant: str, secret: str) -> tuple[Billed, ...]:
    """What the model server recorded of one tenant's requests."""
    rows = client.json(f"/served/{tenant}", headers={"Authorization": f"Bearer {secret}"})
    try:
        return tuple(
            Billed(
                request_id=str(row["request_id"] or ""),
                model=str(row["model"]),
                prompt_tokens=int(row["prompt_tokens"]),
                completion_tokens=int(row["completion_tokens"]),
                status=int(row["status"] or 0),
                stalled=bool(row["stalled"]),
            )
            for row in rows
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ObserveError(f"{client.name}: /served: has an entry of an unknown shape: {error!r}") from error


def answered(prometheus: Prometheus, job: str, *, since: float, budget: float = patience.INGESTION) -> float | None:
    """
    When a job was last scraped with success since then (Unix seconds); None when it was not, within its budget.

    A scrape that was cut short ends every series of its target: who asked right after it would find none. Every target
    has been scraped since: a job that has none is not waited for.
    """
    query = f'up{{job="{job}"}}'

    def look() -> list[list[float]]:
        targets = prometheus.samples(query, start=since, end=clock.now())
        return [[at for at, value in one.points if value == 1] for one in targets]

    good = wait.until(look, all, budget=budget, every=patience.SETTLE).last
    return min(map(max, good)) if good and all(good) else None


def _counts(prometheus: Prometheus, job: str, at: float | None) -> dict[str, int]:
    rows = prometheus.instant(f'count by (__name__) ({{job="{job}"}})', at=at)
    return {labels.get("__name__", ""): int(value) for labels, value in rows}


def _last(prometheus: Prometheus, selector: str, at: float | None) -> list[Track]:
    rows = prometheus.instant(selector, at=at)
    at = clock.now() if at is None else at
    return [Track(labels=_short(labels), points=((at, _finite(value)),)) for labels, value in rows]


def _tracks(prometheus: Prometheus, selector: str, start: float, end: float) -> list[Track]:
    return [
        Track(labels=_short(one.labels), points=tuple((at, _finite(value)) for at, value in one.points))
        for one in prometheus.samples(selector, start=start, end=end)
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(labels: Mapping[str, str]) -> dict[str, str]:
    most = exposition.LONGEST
    return {name: value if len(value) <= most else f"{value[:most]}…" for name, value in labels.items()}
