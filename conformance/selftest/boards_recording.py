"""
What the dashboards showed in one real run, kept so that their judge can be tested without a server.

`python -m conformance.selftest.boards_recording RUN_DIRECTORY` replaces it by that of another run in which all held.
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

FOLDER = Path(__file__).with_name("recorded") / "boards"
PROGRAM = "dashboards"


@functools.cache
def recorded() -> Timeline:
    """The recorded timeline."""
    return store.read(FOLDER / f"{PROGRAM}.json")


def slim(timeline: Timeline) -> Timeline:
    """Without what the judge does not read, and what names the machine."""
    return replace(
        timeline,
        alerts=(),
        notifications=(),
        rules=(),
        measures={},
        targets=(),
        evaluations=(),
        config=Config(rules_shipped={}, rules_given={}, alertmanager_shipped="", alertmanager_given=""),
    )


if __name__ == "__main__":
    store.write(slim(store.read(Path(sys.argv[1]) / "timeline" / f"{PROGRAM}.json")), FOLDER)
