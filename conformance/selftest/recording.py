"""
Timelines of one real, conformant run at tempo 60, kept so that judges can be tested without a server.

`python -m conformance.selftest.recording RUN_DIRECTORY [PROGRAM …]` replaces them by those of another conformant run;
do so when a program, the contract or the shipped rules change.
"""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.timeline import store
from fixtures.load.ledger import Ledger

if TYPE_CHECKING:
    from conformance.timeline.model import Notification, Timeline

FOLDER = Path(__file__).with_name("recorded")


@functools.cache
def timelines() -> dict[str, Timeline]:
    """Every recorded timeline by its program."""
    return store.read_all([FOLDER])


def stalled(seen: Timeline, *, requests: int, seconds: float) -> Timeline:
    """The last so many requests of the rung were answered so much later, as when a machine stood still."""
    rung = next(span.name for span in seen.phases if span.rung is not None)
    late = {each.due for each in seen.ledger.during(rung).requests[-requests:]}
    bent = tuple(
        replace(each, finished=each.finished + seconds) if each.due in late else each for each in seen.ledger.requests
    )
    return replace(seen, ledger=Ledger(requests=bent))


def slim(timeline: Timeline) -> Timeline:
    """Without what no judge reads and what names the machine: ids of requests, links of pages, paths."""
    requests = tuple(
        replace(
            each,
            due=round(each.due, 4),
            sent=round(each.sent, 4),
            finished=round(each.finished, 4),
            request_id="",
            trace_id="",
            span_id="",
            error=each.error and each.error[:40],
        )
        for each in timeline.ledger.requests
    )
    own = tuple(_slim_page(each) for each in timeline.notifications if timeline.cell in str(each.body))
    given = re.sub(r"/\S+/secrets/", "secrets/", timeline.config.alertmanager_given)
    return replace(
        timeline,
        ledger=replace(timeline.ledger, requests=requests),
        notifications=own,
        config=replace(timeline.config, alertmanager_given=given),
        # Large, and judged over recordings of their own.
        metrics=None,
        traces=None,
        logs=None,
        health=None,
    )


def _slim_page(page: Notification) -> Notification:
    kept = {"title", "text", "color"}
    body = dict(page.body)
    if isinstance(attachments := body.get("attachments"), list):
        body["attachments"] = [{key: each[key] for key in kept & set(each)} for each in attachments]
    return replace(page, body=body)


def main(run: Path, *programs: str) -> int:
    """Keep the timelines of a run directory here; of the named programs only, where there are names."""
    for timeline in store.read_all([run]).values():
        if not programs or timeline.program in programs:
            print(store.write(slim(timeline), FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
