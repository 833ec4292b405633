"""
What was seen of the log in one real, conformant run at tempo 60, so that its judges are tested without a server.

`python -m conformance.selftest.logs_recording RUN_DIRECTORY` replaces it by that of another conformant run; do so when
the contract's logs, the planted lines or the gateway's log change.
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

FOLDER = Path(__file__).with_name("recorded") / "logs"


@functools.cache
def recorded() -> Timeline:
    """The recorded timeline: its ledger and its logs."""
    return store.read(FOLDER / "steady.json")


def slim(timeline: Timeline) -> Timeline:
    """Without what no judge of logs reads."""
    requests = tuple(replace(each, error=None, tokens=None) for each in timeline.ledger.requests)
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
        traces=None,
        health=None,
    )


def main(run: Path) -> int:
    """Keep what a run directory has."""
    print(store.write(slim(store.read_all([run])["steady"]), FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
