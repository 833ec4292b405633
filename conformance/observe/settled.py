"""Waits until a backend has taken in the last thing that was sent: for arrival, never for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.observe.client import ObserveError
from conformance.timeline.model import Arrival
from fixtures.core import clock, patience, wait

if TYPE_CHECKING:
    from conformance.observe.prometheus import Prometheus


def scraped(prometheus: Prometheus, *, after: float, budget: float = patience.INGESTION) -> Arrival:
    """Whether every target of a Prometheus was scraped later than `after` (Unix seconds)."""

    def look() -> tuple[bool, str]:
        try:
            rows = prometheus.instant("timestamp(up)")
        except ObserveError as error:
            return False, str(error)
        if not rows:
            return False, "no target has been scraped"
        oldest = min(value for _, value in rows)
        return oldest > after, f"the oldest last scrape is of {clock.at(oldest)}; awaited: after {clock.at(after)}"

    waited = wait.until(look, lambda sight: sight[0], budget=budget, every=patience.SETTLE)
    return Arrival(
        backend="prometheus",
        ok=waited.ok,
        seconds=round(waited.elapsed, 3),
        detail="" if waited.ok else waited.last[1],
    )


def first_scrape(prometheus: Prometheus, jobs: int, *, budget: float = patience.FIRST_SCRAPE) -> wait.Waited[str]:
    """Wait until `jobs` targets answer a scrape; the last sight is empty when they do, else says which do not."""

    def look() -> str:
        try:
            rows = prometheus.instant("up")
        except ObserveError as error:
            return str(error)
        down = [labels.get("job", "?") for labels, value in rows if value != 1]
        if down:
            return f"does not answer a scrape: {', '.join(sorted(down))}"
        return "" if len(rows) >= jobs else f"{len(rows)} of {jobs} targets were scraped"

    return wait.until(look, lambda said: not said, budget=budget, every=patience.POLL)
