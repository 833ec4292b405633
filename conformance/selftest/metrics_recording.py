"""
What was seen of the metrics in one real, conformant run at tempo 60, so that their judges are tested without a server.

`python -m conformance.selftest.metrics_recording RUN_DIRECTORY` replaces it by that of another conformant run; do so
when the steady program, the contract's metrics or the gateway's change.
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
    from conformance.timeline.metrics import Track
    from conformance.timeline.model import Timeline

FOLDER = Path(__file__).with_name("recorded") / "metrics"
JOBS = ("osmen_gateway", "docker")


@functools.cache
def recorded() -> Timeline:
    """The recorded timeline; its one page stands for those of all scrapers, which were alike."""
    timeline = store.read(FOLDER / "steady.json")
    assert timeline.metrics is not None, "that is what was recorded"
    pages = tuple(
        replace(timeline.metrics.pages[0], scraper=name) for name in ("classic", "Prometheus 2", "Prometheus 3")
    )
    return replace(timeline, metrics=replace(timeline.metrics, pages=pages))


def slim(timeline: Timeline) -> Timeline:
    """Without what no judge of metrics reads, and without the disks and networks of the machine but one."""
    assert timeline.metrics is not None, "a run of the steady program reads them"
    requests = tuple(
        replace(each, due=round(each.due, 4), sent=round(each.sent, 4), finished=round(each.finished, 4), error=None)
        for each in timeline.ledger.requests
    )
    kept = _kept(timeline.metrics.tracks), _kept(timeline.metrics.last)
    return replace(
        timeline,
        ledger=replace(timeline.ledger, requests=requests),
        config=Config(rules_shipped={}, rules_given={}, alertmanager_shipped="", alertmanager_given=""),
        alerts=(),
        measures={},
        evaluations=(),
        rules=tuple(each for each in timeline.rules if each.kind == "recording"),
        notifications=(),
        logs=None,
        traces=None,
        health=None,
        levels=None,
        boards=None,
        up=tuple(one for one in timeline.up if one.labels.get("job") in JOBS),
        scrape_durations=tuple(one for one in timeline.scrape_durations if one.labels.get("job") in JOBS),
        metrics=replace(timeline.metrics, pages=timeline.metrics.pages[-1:], tracks=kept[0], last=kept[1]),
    )


def _kept(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    """Of the machine's disks and networks only the most used one; the address of the run is gone."""
    devices: dict[str, str] = {}
    found = []
    for track in sorted(tracks, key=lambda one: -(one.points[-1][1] or 0.0)):
        device = track.labels.get("device") or track.labels.get("interface")
        if device is None or devices.setdefault(track.name, device) == device:
            found.append(replace(track, labels={**track.labels, "instance": "recorded"}))
    return tuple(found)


def main(run: Path) -> int:
    """Keep what a run directory has."""
    print(store.write(slim(store.read_all([run])["steady"]), FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
