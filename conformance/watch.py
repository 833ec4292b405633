"""Which alerts are pending or firing in each cell at this moment, for the screen alone: no verdict rests on it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EVERY = 0.15
"""Seconds between two questions; each cell has its turn, so that ten cells are asked every second and a half."""


class AlertWatch:
    """
    Asks the Prometheus of one cell after the other, in a thread of its own; what does not answer has no state.

    `addresses` gives `host:port` by cell, anew each time: cells come and go.
    """

    def __init__(self, addresses: Callable[[], Mapping[str, str]]) -> None:
        self._addresses = addresses
        self._states: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts on screen", daemon=True)
        self._thread.start()

    def state(self, cell: str) -> str:
        """`HighErrorRate firing`, `HighErrorRate firing and 1 more`, or nothing."""
        return self._states.get(cell, "")

    def close(self) -> None:
        """Ask no more; safe to call twice."""
        self._over.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            with contextlib.suppress(RuntimeError):  # the cells changed while they were listed
                for cell, address in dict(self._addresses()).items():
                    self._states[cell] = _asked(address)
                    if self._over.wait(EVERY):
                        return


def _asked(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=0.5)
    try:
        connection.request("GET", "/api/v1/alerts")
        return shown(json.loads(connection.getresponse().read(1 << 20))["data"]["alerts"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return ""
    finally:
        connection.close()


def shown(alerts: Sequence[Mapping[str, object]]) -> str:
    """The loudest of the alerts that Prometheus lists, and how many others there are."""
    found = set()
    for alert in alerts:
        labels = alert.get("labels")
        if isinstance(labels, dict):
            found.add((alert.get("state") != "firing", str(labels.get("alertname", "")), str(alert.get("state", ""))))
    if not found:
        return ""
    _, name, state = min(found)
    more = len({other for _, other, _ in found}) - 1
    return f"{name} {state}" + (f" and {more} more" if more else "")
