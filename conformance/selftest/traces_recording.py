"""
What was seen of the traces in one real, conformant run at tempo 60, so that their judges are tested without a server.

`python -m conformance.selftest.traces_recording RUN_DIRECTORY` replaces it by that of another conformant run; do so
when the contract's traces or the gateway's spans change.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.timeline import store
from conformance.timeline.model import Config

if TYPE_CHECKING:
    from conformance.timeline.model import Timeline
    from conformance.timeline.traces import TracedSpan

FOLDER = Path(__file__).with_name("recorded") / "traces"


@functools.cache
def recorded() -> Timeline:
    """The recorded timeline: its ledger and its traces."""
    return store.read(FOLDER / "steady.json")


def slim(timeline: Timeline) -> Timeline:
    """Without what no judge of traces reads, and without the machine's paths."""
    assert timeline.traces is not None, "a run of the steady program reads them"
    requests = tuple(
        replace(each, due=round(each.due, 4), error=None, tokens=None) for each in timeline.ledger.requests
    )
    traces = tuple(replace(each, spans=tuple(_slim(span) for span in each.spans)) for each in timeline.traces.traces)
    return replace(
        timeline,
        ledger=replace(timeline.ledger, requests=requests),
        config=Config(rules_shipped={}, rules_given={}, alertmanager_shipped="", alertmanager_given=""),
        alerts=(),
        up=(),
        scrape_durations=(),
        measures={},
        evaluations=(),
        targets=(),
        rules=(),
        notifications=(),
        queries={},
        metrics=None,
        logs=None,
        health=None,
        traces=replace(timeline.traces, traces=traces),
    )


def _slim(span: TracedSpan) -> TracedSpan:
    dropped = {"internal.span.format", "otel.scope.name", "exception.stacktrace"}

    def kept(values: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in values.items() if name not in dropped}

    events = tuple(replace(each, attributes=kept(dict(each.attributes))) for each in span.events)
    return replace(span, attributes=kept(dict(span.attributes)), events=events)


def main(run: Path) -> int:
    """Keep what a run directory has."""
    print(store.write(slim(store.read_all([run])["steady"]), FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
