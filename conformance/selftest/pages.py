"""Reports made for looking at their page: every status, charts of the recorded run, as many clauses as are wanted."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from conformance.charts import alert_charts
from conformance.contract.load import load
from conformance.contract.model import Clause, Level, Signal
from conformance.judge.verdict import Finding, Verdict, broken, holds, unproven, unsupported
from conformance.report.record import ComponentRow, Report, RunFacts, ThresholdRow, build
from conformance.selftest.judging import ladders
from conformance.selftest.recording import timelines

if TYPE_CHECKING:
    from collections.abc import Sequence

FINDING = Finding(
    expected="firing by 02:14:27.099 (reach 5.29 s = window 5 s + scrape 0.25 s + longest scrape 0.036 s)",
    observed="pending 02:14:20.607 - 02:14:25.357, never firing",
    clients="0.1102 errors/s during above (130 requests)",
    query='ALERTS{alertname="HighErrorRate"}[24118ms] @ 1795572874.829',
    location="rules/alerts.yml:12",
)


def report(*, all_hold: bool = False, every: int = 5) -> Report:
    """One in so many of the shipped contract's clauses, with charts; some are not proven unless all are to hold."""
    clauses = load(None).clauses()[::every]
    verdicts = {row.id: _verdict(row.id, 0 if all_hold else number) for number, row in enumerate(clauses)}
    return _built(clauses, verdicts, charts=20 if every == 1 else 2)


def large(count: int) -> Report:
    """A report of that many made-up clauses, each tenth not proven, with the charts of the recorded run."""
    signals = cycle(Signal)
    clauses = [
        Clause(
            id=f"metric/made_{number:04}_requests_total/ledger",
            signal=next(signals),
            level=Level.SHOULD if number % 7 == 0 else Level.MUST,
            promise=f"made_{number:04}_requests_total counts each request that a client sent, once and alone",
            document=f"guide § Made, lines {number}-{number + 3}",
        )
        for number in range(count)
    ]
    return _built(clauses, {row.id: _verdict(row.id, number) for number, row in enumerate(clauses)}, charts=20)


def _built(clauses: Sequence[Clause], verdicts: dict[str, Verdict], *, charts: int) -> Report:
    cells = [f"prometheus-{number}" for number in range(12)]
    return build(
        run=RunFacts(
            started="2026-11-24T14:10:07.250Z",
            seconds=31.25,
            tempo=60,
            stack="native",
            subject="fixtures.gateway",
            command="python -m pytest conformance/steady conformance/scenarios --stack native --tempo 60",
            revision="abc1234",
        ),
        components=[
            *(ComponentRow(name=name, version="3.5.0", source="go module", built_here=True) for name in cells),
            ComponentRow(name="qdrant", version="", source="ours", stand_in=True, ready_seconds=0.2, peak_rss_mib=12),
        ],
        clauses=clauses,
        verdicts=verdicts,
        thresholds=[
            ThresholdRow(
                alert=ladder.alert,
                tier="live",
                documented=1,
                unit="errors/s",
                silent_at=0.9,
                fires_at=1.1,
                for_documented=300,
                for_observed=300,
            )
            for ladder in ladders()
        ],
        charts=alert_charts(load(None), timelines(), ladders())[-charts:],
    )


def _verdict(clause: str, number: int) -> Verdict:
    # Within the first dozen each status stands once.
    if number % 30 == 4:
        return broken(clause, "did not fire", FINDING, observations=3)
    if number % 30 == 7:
        return unproven(clause, "the load did not flow evenly: 100 of 130 requests were sent in above")
    if number % 30 == 10:
        return unsupported(clause, "this stack has no control group: what the container uses cannot be limited")
    return holds(clause, observations=12 + number, reason="12 samples agree with the ledger")
