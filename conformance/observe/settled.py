"""Waits until a backend has taken in the last thing that was sent: for arrival, never for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.observe.client import ObserveError
from conformance.timeline.model import Arrival
from fixtures.core import clock, patience, wait

if TYPE_CHECKING:
    from conformance.observe.prometheus import Prometheus

PAST = "1h"
"""How far back a Prometheus is asked that has just come up."""


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


def fired_while_down(prometheus: Prometheus) -> tuple[str, ...]:
    """
    The alerts that have fired where a target has been down too, by name: those of a stack that was coming up.

    Empty where every target answered from the first: what fires then is a finding.
    """
    if not any(value == 0 for _, value in prometheus.instant(f"min_over_time(up[{PAST}])")):
        return ()
    rows = prometheus.instant(f'group by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{PAST}]))')
    return tuple(sorted(labels.get("alertname", "?") for labels, _ in rows))


def quiet(prometheus: Prometheus, *, rest: float, budget: float) -> wait.Waited[bool]:
    """Wait until nothing has fired for `rest` seconds."""
    query = f'last_over_time(ALERTS{{alertstate="firing"}}[{round(1000 * rest)}ms])'

    def look() -> bool:
        try:
            return not prometheus.instant(query)
        except ObserveError:
            return False

    return wait.until(look, lambda still: still, budget=budget, every=patience.SETTLE)
