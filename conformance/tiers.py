"""The simulated tier beside a live run: each rung's samples replayed, and the thresholds of the rules it ran with."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import yaml

from conformance.observe.client import Client, ObserveError
from conformance.observe.prometheus import Prometheus
from conformance.simulate import effective
from conformance.simulate.promtool import Promtool, PromtoolError
from conformance.simulate.replay import Clock, Scraped, replay, selectors
from conformance.simulate.result import Outcome
from conformance.timeline.replay import Bracket, Replayed
from fixtures.gateway.metrics import BUCKETS
from fixtures.language import promql, rules
from fixtures.language.promql import PromqlError
from fixtures.language.rules import AlertRule, RecordingRule, RulesError
from fixtures.stack.provision import provide
from fixtures.stack.versions import ProvisionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.contract.model import Contract
    from conformance.timeline.model import Timeline
    from fixtures.language.rules import RuleFile

KNOWN_BUCKETS = {"osmen_request_duration_seconds_bucket": BUCKETS, "osmen_agent_duration_seconds_bucket": BUCKETS}
"""The bucket bounds that are known; those of other histograms are put around the threshold."""

BEFORE = 600.0
"""Seconds of the document's time that are read before a program: what a rule looks back for, twice."""


class Replayer:
    """Replays timelines with one promtool; safe from several threads, and a set of rules is measured once."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._lock = threading.Lock()
        self._tool: Promtool | None = None
        self._missing = ""
        self._brackets: dict[str, dict[str, Bracket]] = {}

    def provide(self, note: Callable[[str], None]) -> None:
        """Have promtool at hand before anything is measured: to make it takes both processors for a minute."""
        try:
            self._tool = Promtool(path=provide(["promtool"], announce=note)["promtool"].path, processes=1)
        except ProvisionError as error:
            self._missing = str(error).partition("\n")[0]

    def replayed(self, seen: Timeline, prometheus: str) -> Replayed:
        """What the virtual clock makes of `seen`, whose Prometheus answers at that URL; a failure is its `error`."""
        # One at a time: what is simulated beside a live run takes its processors.
        with self._lock:
            try:
                return self._replayed(seen, prometheus)
            except (ObserveError, PromtoolError, ProvisionError, RulesError, PromqlError) as error:
                return Replayed(error=str(error).partition("\n")[0])

    def _replayed(self, seen: Timeline, prometheus: str) -> Replayed:
        if self._tool is None:
            raise PromtoolError(self._missing or "promtool was not provided")
        texts = seen.config.rules_shipped
        every = {name: rules.load(text, file=name) for name, text in texts.items()}
        files = _beneath_alerts(every)
        with Client(f"prometheus of {seen.cell}", prometheus) as client:
            asked = Prometheus(client)
            start = seen.begun - BEFORE / seen.tempo
            scraped = {
                name: [
                    Scraped(labels=each.labels, points=each.points)
                    for each in asked.samples(name, start=start, end=seen.ended)
                ]
                for name in selectors(files)
            }
        states = replay(
            _joined([texts[file.file] for file in files]),
            [each for series in scraped.values() for each in series],
            alerts=[alert.name for alert in self._contract.alerts],
            clock=Clock(instant=seen.evaluations[0], interval=seen.evaluation_interval, tempo=seen.tempo)
            if seen.evaluations
            else Clock(instant=seen.begun, interval=seen.evaluation_interval, tempo=seen.tempo),
            scrape_interval=seen.scrape_interval,
            evaluations=seen.evaluations,
            tool=self._tool,
            durations={
                (each.labels.get("job", ""), each.labels.get("instance", "")): {
                    round(at, 3): seconds for at, seconds in each.points
                }
                for each in seen.scrape_durations
            },
        )
        key = repr(sorted(texts.items()))
        if key not in self._brackets:
            self._brackets[key] = _brackets(files, self._contract, self._tool)
        return Replayed(
            states=states,
            samples={name: sum(len(each.points) for each in series) for name, series in scraped.items()},
            brackets=self._brackets[key],
        )


def _beneath_alerts(files: Mapping[str, RuleFile]) -> list[RuleFile]:
    """The files that have an alert, or record what one reads; nothing else needs to be replayed."""
    read = {
        name
        for file in files.values()
        for rule in file.rules
        if isinstance(rule, AlertRule)
        for name in promql.names(rule.expr)
    }
    while (
        more := {
            name
            for file in files.values()
            for rule in file.rules
            if isinstance(rule, RecordingRule) and rule.name in read
            for name in promql.names(rule.expr)
        }
        - read
    ):
        read |= more
    return [
        file for file in files.values() if any(isinstance(rule, AlertRule) or rule.name in read for rule in file.rules)
    ]


def _joined(texts: Sequence[str]) -> str:
    """Rule files as one; a single one is left as it is written."""
    if len(texts) == 1:
        return texts[0]
    return json.dumps({"groups": [group for text in texts for group in yaml.safe_load(text)["groups"]]})


def around(contract: Contract | None) -> effective.Around:
    """What the contract says of the world around its rules, and what is known without one."""
    if contract is None:
        return effective.Around(buckets=KNOWN_BUCKETS)
    return effective.Around(
        scrape_ms=round(contract.timing.scrape_interval.total_seconds() * 1000),
        evaluation_ms=round(contract.timing.evaluation_interval.total_seconds() * 1000),
        environment={name: value for alert in contract.alerts for name, value in alert.environment.items()},
        buckets=KNOWN_BUCKETS,
        measures={alert.name: alert.measure for alert in contract.alerts if not alert.fires_on},
    )


def _brackets(files: list[RuleFile], contract: Contract, tool: Promtool) -> dict[str, Bracket]:
    """By alert with a number: the bracket of the branch that moves its documented measure."""
    found: dict[str, Bracket] = {}
    for rows in effective.measure(effective.subjects(files), tool, around(contract)):
        for row in rows:
            silent, fires = row.measure_silent, row.measure_fires
            if row.outcome is Outcome.MEASURED and silent is not None and fires is not None and silent != fires:
                found[row.alert] = Bracket(silent_at=silent, fires_at=fires)
    return found
