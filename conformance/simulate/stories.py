"""
What each alert of a rule set does in each incident: when it waits, fires and ends, read from one simulated run.

It knows incidents and the engine's questions; it must not know a contract, a revision or a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conformance.simulate import incidents as written
from conformance.simulate.incidents import Incident
from conformance.simulate.promtool import Answer, Ask, Case, Measured, Promtool, Sheet
from fixtures.language import promql
from fixtures.language.durations import format_duration, format_ms
from fixtures.language.promql import PromqlError
from fixtures.language.rules import AlertRule, RecordingRule, RuleFile, RuleGroup

_STEP: Final = written.STEP_MS
_WINDOW: Final = f"[{written.ENDS_MS // 1000}s:{_STEP // 1000}s]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """
    What an alert did: moments are milliseconds since the incident began, None where it never came to that.

    `firings` counts how often it began to fire, over all label sets; `sets` how many label sets fired.
    """

    pending: int | None = None
    fires: int | None = None
    ends: int | None = None
    """The last evaluation at which it fired; the end of the simulation if it never stopped."""
    firings: int = 0
    sets: int = 0
    samples: int = 0

    @property
    def for_ever(self) -> bool:
        return self.ends is not None and self.ends >= written.ENDS_MS - written.BEGINS_MS

    def words(self) -> str:
        """As a table's cell says it."""
        if self.fires is None:
            return "silent" if self.pending is None else "pending only"
        began = "from before it begins" if self.fires < 0 else f"after {format_ms(self.fires)}"
        stops = ", never stops" if self.for_ever else f", ends at {format_ms((self.ends or 0) + _STEP)}"
        many = f", {self.firings} times" if self.firings > self.sets else ""
        over = f", on {self.sets} label sets" if self.sets > 1 else ""
        return f"fires {began}{stops}{many}{over}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The stories of one rule set, by incident and alert; an alert that did nothing has none. `errors` by incident."""

    stories: Mapping[str, Mapping[str, Story]]
    errors: Mapping[str, str]
    error: str = ""

    def of(self, incident: str, alert: str) -> Story:
        return self.stories.get(incident, {}).get(alert, Story())


def merged(files: Sequence[RuleFile]) -> str:
    """
    All the rules of a set as one file's text; JSON is YAML, and fast to write.

    Groups of one interval become one, recording rules first: between groups promtool keeps no order, and a story must
    not change by chance. What a rule of another group costs live, up to one evaluation, is not part of it.
    """
    groups: dict[tuple[object, ...], tuple[RuleGroup, list[AlertRule | RecordingRule]]] = {}
    for file in files:
        for group in file.groups:
            key = (group.interval, group.query_offset, tuple(sorted(group.labels.items())))
            groups.setdefault(key, (group, []))[1].extend(group.rules)
    told = [
        group_of(f"rules {index}", group, sorted(rules, key=lambda rule: isinstance(rule, AlertRule)))
        for index, (group, rules) in enumerate(groups.values())
    ]
    return json.dumps({"groups": told})


def group_of(name: str, group: RuleGroup, rules: Iterable[AlertRule | RecordingRule]) -> dict[str, object]:
    """A group as data, with other rules than its own."""
    told: dict[str, object] = {"name": name, "rules": [rule_of(rule) for rule in rules]}
    if group.interval is not None:
        told["interval"] = format_duration(group.interval)
    if group.query_offset is not None:
        told["query_offset"] = format_duration(group.query_offset)
    if group.labels:
        told["labels"] = dict(group.labels)
    return told


def rule_of(rule: AlertRule | RecordingRule) -> dict[str, object]:
    """A rule as data; texts for people are left out, as no story reads them."""
    if isinstance(rule, RecordingRule):
        return {"record": rule.name, "expr": rule.expr, "labels": dict(rule.labels)}
    told: dict[str, object] = {"alert": rule.name, "expr": rule.expr, "labels": dict(rule.labels)}
    if rule.for_:
        told["for"] = format_duration(rule.for_)
    if rule.keep_firing_for:
        told["keep_firing_for"] = format_duration(rule.keep_firing_for)
    return told


def alert_asks() -> tuple[Ask, ...]:
    """Four questions that tell the story of every alert of a sheet at once."""
    moments = "timestamp(ALERTS)"
    begun = '(ALERTS{alertstate="firing"} unless ALERTS{alertstate="firing"} offset %ss)' % (_STEP // 1000)
    return tuple(
        Ask(expr=expr, at_ms=written.ENDS_MS)
        for expr in (
            f"min_over_time({moments}{_WINDOW})",
            f"max_over_time({moments}{_WINDOW})",
            f"count_over_time(ALERTS{_WINDOW})",
            f"count_over_time({begun}{_WINDOW})",
        )
    )


def case_of(incident: Incident, extra: Sequence[Ask] = (), names: Iterable[str] | None = None) -> Case:
    """An incident as a case with the questions of every alert, and others behind them; of the world what is named."""
    return Case(name=incident.name, series=written.world(incident, names), asks=(*alert_asks(), *extra))


def read(answers: Sequence[Answer]) -> dict[str, Story]:
    """The stories in the four answers, by alert."""
    first, last, count, begun = answers[:4]
    found: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for word, answer in (("first", first), ("last", last), ("count", count), ("begun", begun)):
        for sample in answer.samples:
            state = sample.labels.get("alertstate", "firing")
            found.setdefault(sample.labels["alertname"], {}).setdefault(f"{word} {state}", []).append(
                ("", sample.value)
            )
    stories = {}
    for alert, figures in found.items():
        firsts = [value for _, value in figures.get("first firing", [])]
        lasts = [value for _, value in figures.get("last firing", [])]
        waits = [value for _, value in figures.get("first pending", [])]
        stories[alert] = Story(
            pending=_since(min(waits)) if waits else None,
            fires=_since(min(firsts)) if firsts else None,
            ends=_since(max(lasts)) if lasts else None,
            firings=round(sum(value for _, value in figures.get("begun firing", []))),
            sets=len(firsts),
            samples=round(sum(value for key in ("count firing", "count pending") for _, value in figures.get(key, []))),
        )
    return stories


def _since(seconds: float) -> int:
    return round(seconds * 1000) - written.BEGINS_MS


def tell(
    promtool: Promtool, rule_sets: Sequence[Sequence[RuleFile]], incidents: Sequence[Incident]
) -> tuple[Told, ...]:
    """Run every incident over every rule set; all of it in one call of the engine."""
    # Only what some rule reads is loaded; a selector without a name may read anything.
    read = {name for files in rule_sets for file in files for rule in file.rules for name in _names(rule.expr)}
    names = None if "" in read else read
    cases = tuple(case_of(incident, names=names) for incident in incidents)
    # Two sheets for each set: the engine has two processes.
    halves = (cases[0::2], cases[1::2])
    sheets = [Sheet(rules=merged(files), cases=half) for files in rule_sets for half in halves]
    measured = promtool.run(sheets)
    return tuple(_told(measured[2 * index : 2 * index + 2]) for index in range(len(rule_sets)))


def _names(expr: str) -> set[str]:
    try:
        return {each.name or "" for each in promql.selectors(expr)}
    except PromqlError:
        return {""}


def _told(measured: Sequence[Measured]) -> Told:
    return Told(
        stories={name: read(answers) for each in measured for name, answers in each.answers.items()},
        errors={name: error for each in measured for name, error in each.errors.items()},
        error=next((each.error for each in measured if each.error), ""),
    )
