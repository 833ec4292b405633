"""
Compares what the receivers were sent to, and the shipped routing, with what is documented of both.

A timer is compared in the text as well as by the clock: at a high tempo Alertmanager's floor of a second hides it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from conformance.judge.verdict import Finding
from fixtures.core.clock import at
from fixtures.language.durations import DurationError, format_ms, parse_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.contract.model import ReceiverPromise, Timing
    from conformance.timeline.model import Notification, Timeline

FILE = "alertmanager.yml"
DEFAULTS: dict[str, Any] = {
    "group_by": (),
    "group_wait": 30_000,
    "group_interval": 300_000,
    "repeat_interval": 14_400_000,
}
"""What Alertmanager takes where nothing is said; times in milliseconds."""


def misaddressed(receiver: ReceiverPromise, page: Notification) -> Iterator[Finding]:
    """The channel or the mailbox that a page names, where it is not the documented one."""
    if page.receiver != receiver.kind:
        return
    if receiver.channel and page.body.get("channel") != receiver.channel:
        yield Finding(
            expected=f"a notification to channel {receiver.channel}",
            observed=f"one at {at(page.at)} to {page.body.get('channel') or 'no channel'}",
            location=FILE,
        )
    if receiver.endpoint.startswith("mailto:"):
        wanted, given = receiver.endpoint.removeprefix("mailto:"), page.body.get("to")
        people = [str(each) for each in given] if isinstance(given, list) else []
        if people != [wanted]:
            yield Finding(
                expected=f"a mail to {wanted} alone",
                observed=f"one at {at(page.at)} to {', '.join(people) or 'nobody'}",
                location=FILE,
            )


def mistimed(receiver: ReceiverPromise, timing: Timing, timeline: Timeline) -> Iterator[Finding]:
    """Where a shipped route to this kind of receiver groups, waits or repeats otherwise than documented."""
    try:
        config = yaml.safe_load(timeline.config.alertmanager_shipped) or {}
        named = {each.get("name") for each in config.get("receivers") or () if each.get(f"{receiver.kind}_configs")}
        effective = [one for one in _effective(config.get("route") or {}, {}) if one["receiver"] in named]
    except (yaml.YAMLError, AttributeError, DurationError):
        # What Alertmanager itself took and this does not read is judged by the clock alone.
        return
    documented = {
        "group_by": timing.group_by,
        "group_wait": round(timing.group_wait.total_seconds() * 1000),
        "group_interval": round(timing.group_interval.total_seconds() * 1000),
        "repeat_interval": round(timing.repeat_interval.total_seconds() * 1000),
    }
    for key, wanted in documented.items():
        for shipped in dict.fromkeys(one[key] for one in effective):
            if shipped != wanted and not (key == "group_by" and sorted(shipped) == sorted(timing.group_by)):
                yield Finding(
                    expected=f"{key} {_shown(wanted)} on the way to {receiver.kind}",
                    observed=_shown(shipped),
                    location=FILE,
                )


def _effective(route: Mapping[str, Any], above: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a routing tree with what holds there: its own, or else what it inherits."""
    own: dict[str, Any] = {"receiver": route.get("receiver", above.get("receiver"))}
    for key, default in DEFAULTS.items():
        if key not in route:
            own[key] = above.get(key, default)
        elif key == "group_by":
            own[key] = tuple(str(label) for label in route[key] or ())
        else:
            own[key] = parse_ms(str(route[key]))
    yield own
    for each in route.get("routes") or ():
        yield from _effective(each, own)


def _shown(value: Any) -> str:  # noqa: ANN401  a duration, or the names of labels
    return format_ms(value) if isinstance(value, int) else f"[{', '.join(value)}]"
