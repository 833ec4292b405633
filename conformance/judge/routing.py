"""
Compares what the receivers were sent to, and the shipped routing, with what is documented of both.

A timer is compared in the text as well as by the clock: at a high tempo Alertmanager's floor of a second hides it.
"""

from __future__ import annotations

import math
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import yaml

from conformance.judge.verdict import Finding
from fixtures.core.clock import at
from fixtures.language import routes
from fixtures.language.durations import DurationError, format_ms, parse_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.contract.model import Contract, ReceiverPromise, Route, Timing
    from conformance.timeline.model import Notification, Timeline

FILE = "alertmanager.yml"
DEFAULTS: dict[str, Any] = {
    "group_by": (),
    "group_wait": 30_000,
    "group_interval": 300_000,
    "repeat_interval": 14_400_000,
}
"""What Alertmanager takes where nothing is said; times in milliseconds."""
RESOLVE_TIMEOUT = "5m"
"""As above, of `global`."""


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


HEADINGS = {"slack": "title", "email": "subject", "pagerduty": "summary"}
"""What each kind of receiver shows of a page before anybody opens it."""


def heading(page: Notification) -> str:
    """A chat's title, a mail's subject, an incident's summary: on a telephone all that is read. Empty without one."""
    attachments = page.body.get("attachments")
    places = {
        "slack": attachments[0] if isinstance(attachments, list) and attachments else {},
        "email": page.body,
        "pagerduty": page.body.get("payload"),
    }
    place = places.get(page.receiver)
    return str(place.get(HEADINGS[page.receiver]) or "") if isinstance(place, dict) else ""


def mistitled(page: Notification, *, name: str, summary: str = "") -> Iterator[Finding]:
    """
    A heading that does not say which alert it is about, neither by its name nor by its summary.

    Of several in one group it is what they have in common.
    """
    # The end of an incident is shown under the summary of its beginning.
    ends = page.receiver == "pagerduty" and page.body.get("event_action") != "trigger"
    said = heading(page)
    if page.receiver in HEADINGS and not ends and not names(said, name) and not (summary and names(said, summary)):
        yield Finding(
            expected=f"a notification whose {HEADINGS[page.receiver]} names {name}",
            observed=f"one at {at(page.at)}: {said[:200]!r}",
            location=FILE,
        )


def names(text: str, name: str) -> bool:
    """Whether a name stands in a text, and not only as a part of another word."""
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))


def mislabelled(page: Notification, *, severity: str) -> Iterator[Finding]:
    """How urgent PagerDuty is told that it is: its own field decides who is woken, not the text."""
    payload = page.body.get("payload")
    if page.body.get("event_action") != "trigger" or not isinstance(payload, dict):
        return
    if payload.get("severity") != severity:
        yield Finding(
            expected=f"an event of severity {severity}",
            observed=f"one at {at(page.at)} of severity {payload.get('severity') or 'unknown'}",
            location=FILE,
        )


def mistimed(receiver: ReceiverPromise, timing: Timing, timeline: Timeline) -> Iterator[Finding]:
    """Where a shipped route to this kind of receiver groups, waits or repeats otherwise than documented."""
    try:
        config = yaml.safe_load(timeline.config.alertmanager_shipped) or {}
        named = {each.get("name") for each in config.get("receivers") or () if each.get(f"{receiver.kind}_configs")}
        effective = [one for one in _effective(config.get("route") or {}, {}) if one["receiver"] in named]
        patience = parse_ms(str((config.get("global") or {}).get("resolve_timeout", RESOLVE_TIMEOUT)))
    except (yaml.YAMLError, AttributeError, DurationError):
        # What Alertmanager itself took and this does not read is judged by the clock alone.
        return
    documented = {
        "group_by": timing.group_by,
        "group_wait": round(timing.group_wait.total_seconds() * 1000),
        "group_interval": round(timing.group_interval.total_seconds() * 1000),
        "repeat_interval": round(timing.repeat_interval.total_seconds() * 1000),
    }
    if patience != (promised := round(timing.resolve_timeout.total_seconds() * 1000)):
        yield Finding(expected=f"resolve_timeout {format_ms(promised)}", observed=format_ms(patience), location=FILE)
    for key, wanted in documented.items():
        for shipped in dict.fromkeys(one[key] for one in effective):
            if shipped != wanted and not (key == "group_by" and sorted(shipped) == sorted(timing.group_by)):
                yield Finding(
                    expected=f"{key} {_shown(wanted)} on the way to {receiver.kind}",
                    observed=_shown(shipped),
                    location=FILE,
                )


def misrouted(route: Route, contract: Contract, timeline: Timeline) -> Iterator[Finding]:
    """
    Where the shipped file leads alerts of this route elsewhere, or keeps them back, otherwise than documented.

    The tree is asked about every alert of the contract and one that is not in it, with every severity and every value
    of a label that the tree itself names. Raises RoutesError where it cannot be read.
    """
    try:
        config = yaml.safe_load(timeline.config.alertmanager_shipped) or {}
    except yaml.YAMLError as error:
        raise routes.RoutesError(f"{FILE} is not YAML: {error}") from None
    tree = routes.read(config.get("route") or {})
    kinds = {
        str(each.get("name")): tuple(key.removesuffix("_configs") for key in each if key.endswith("_configs"))
        for each in config.get("receivers") or ()
    }
    told: set[tuple[str, ...]] = set()
    wanted = contract.receiver(route.receiver).kind
    # The receiver that the posted probes reached, whose channel or mailbox was seen.
    usual = tree.reached({"severity": route.severity or "", "cluster": timeline.cell})
    for labels in _asked(contract, tree, timeline.cell):
        if contract.route(labels.get("severity", "")) != route:
            continue
        names = tree.reached(labels)
        reached = [kind for name in names for kind in kinds.get(name, (f"an unknown receiver {name}",))]
        # Of many labels that go astray alike the first tells enough.
        if (reached != [wanted] or names != usual) and names not in told:
            told.add(names)
            yield Finding(
                expected=f"{wanted} ({', '.join(usual)}) alone is told of {_labels(labels)}",
                observed=f"{' and '.join(reached) or 'nobody'} ({', '.join(names)})",
                location=FILE,
            )
    for rule in config.get("inhibit_rules") or ():
        yield Finding(
            expected="no inhibition: none is documented, and one keeps pages back",
            observed=f"inhibit_rules: {rule}",
            location=FILE,
        )
    for node in tree.every():
        if node.times and wanted in kinds.get(node.receiver, ()):
            yield Finding(
                expected="a route that is open at any time: no other is documented",
                observed=f"the route to {node.receiver} names the time intervals {', '.join(node.times)}",
                location=FILE,
            )


SEVERITIES = ("info", "none", "page")
"""What is documented of no route: the default one takes it."""
CLUSTER = "osmen"
"""The external label of the deployment that the guide describes."""
MOST_ASKED = 20_000


def _asked(contract: Contract, tree: routes.Node, cell: str) -> Iterator[dict[str, str]]:
    """Labels of alerts that may come, absent ones left out."""
    values: dict[str, dict[str, None]] = {
        "severity": dict.fromkeys(["", *(each.severity or "" for each in contract.routes), *SEVERITIES]),
        "alertname": dict.fromkeys([*(each.name for each in contract.alerts), "Other"]),
        "cluster": dict.fromkeys(["", CLUSTER, cell]),
    }
    for node in tree.every():
        for each in node.matchers:
            known = values.setdefault(each.label, {"": None, "other": None})
            # Of a regular expression the words between its bars, where it is no more than that.
            for value in [each.value] if each.how in ("=", "!=") else each.value.strip("()").split("|"):
                known[value] = None
    if math.prod(map(len, values.values())) > MOST_ASKED:
        raise routes.RoutesError(f"the tree asks for so many labels that {MOST_ASKED} alerts would not do")
    for combined in product(*values.values()):
        yield {label: value for label, value in zip(values, combined, strict=True) if value}


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{label}="{value}"' for label, value in labels.items())


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
