"""Judges that each documented scrape job is scraped, as often as documented, and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.judge import pace, premise
from conformance.judge.verdict import Finding, broken, holds, unproven, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.contract.model import Target, Timing
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

EXPORTERS = {
    "osmen_postgres": ("postgres_exporter", "postgres"),
    "osmen_redis": ("redis_exporter", "redis"),
    "docker": ("cadvisor",),
}
"""By scrape job: the components whose death makes its silence no fault of the configuration."""


BACKEND = "prometheus"
"""How a trouble with the cell's Prometheus begins."""


TIMED_OUT = "context deadline exceeded"
"""What Prometheus says of a scrape that it gave up."""


def up(target: Target, timing: Timing, timeline: Timeline) -> Verdict:
    """Prometheus has the job, at the documented interval, and every scrape of it during the run was answered."""
    clause = f"target/{target.job}"
    # What others do not tell, the target's own page among them, is no doubt about what Prometheus says of it.
    troubles = [each for each in timeline.troubles if each.startswith(BACKEND)]
    reasons = [*premise.deaths(timeline, EXPORTERS.get(target.job, ())), *troubles]
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    reasons += [f"{each.backend} did not take in the run: {each.detail}" for each in timeline.arrivals if not each.ok]
    if timeline.tempo > 1:
        reasons += premise.timed_out(timeline, target.job)
    if reasons:
        return unproven(clause, "; ".join(reasons))
    if target.job in timeline.stand_ins:
        return unsupported(clause, timeline.stand_ins[target.job])
    query = f'up{{job="{target.job}"}}'
    listed = [each for each in timeline.targets if each.job == target.job]
    if not listed:
        jobs = ", ".join(sorted({each.job for each in timeline.targets})) or "none"
        return broken(
            clause,
            "Prometheus has no such job",
            Finding(expected=f"a target of job {target.job}", observed=f"jobs: {jobs}", query="/api/v1/targets"),
            lasting=True,
        )
    # What is configured is known however busy the machine was.
    if paced := list(_otherwise_paced(target.job, timing, timeline)):
        return broken(clause, "is not scraped as often as documented", *paced, observations=len(listed), lasting=True)
    series = [each for each in timeline.up if each.labels.get("job") == target.job]
    samples = [point for each in series for point in each.points]
    # More of them are no verdict, as said above; at the documented pace each counts.
    cut = {at for each in series for at in premise.cut_short(timeline, each)} if timeline.tempo > 1 else set()
    down = [instant for instant, value in samples if value != 1 and instant not in cut]
    if down and (others := _slow_too(target.job, timeline, down)):
        return unproven(
            clause,
            f"the machine was too busy: {len(down)} of {len(samples)} scrapes failed, and at those very moments "
            f"{others}",
        )
    sick = [each for each in listed if each.health != "up"]
    if not down and timeline.tempo > 1:
        # Since the run ended one more scrape may have been cut short.
        sick = [each for each in sick if TIMED_OUT not in each.last_error]
    if down or sick:
        said = "; ".join(f"{each.instance} is {each.health}: {each.last_error}" for each in sick)
        return broken(
            clause,
            "does not answer every scrape",
            Finding(
                expected="up == 1 at every scrape of the run",
                observed=f"{len(down)} of {len(samples)} scrapes failed" + (f"; {said}" if said else ""),
                query=query,
            ),
            observations=len(samples),
        )
    said = "all answered"
    if cut:
        limit = timeline.slower.get(target.job, timeline.scrape_interval)
        said = (
            f"{len(samples) - len(cut)} answered, {len(cut)} not within {limit:g} s; at the documented pace there are "
            f"{limit * timeline.tempo:g} s for it"
        )
    return holds(clause, observations=len(samples), reason=f"{len(samples)} scrapes, {said}")


def _otherwise_paced(job: str, timing: Timing, timeline: Timeline) -> Iterator[Finding]:
    """
    Where Prometheus says of the job that it has another interval than the document's.

    One that the program slows down has that interval, and what the others have is what it would have else.
    """
    documented = timing.scrape_interval.total_seconds() / timeline.tempo
    wanted = timeline.slower.get(job, documented)
    for each in timeline.targets:
        if each.job == job and each.scrape_interval is not None and not pace.same(each.scrape_interval, wanted):
            yield Finding(
                expected=f"{each.instance} is scraped {pace.every(wanted, timeline)}",
                observed=pace.every(each.scrape_interval, timeline),
                query="/api/v1/targets",
            )
    usual = timeline.usual_scrape_interval
    if job in timeline.slower and usual is not None and not pace.same(usual, documented):
        yield Finding(
            expected=f"what the run does not slow down is scraped {pace.every(documented, timeline)}",
            observed=pace.every(usual, timeline),
            query="/api/v1/status/config",
        )


def _slow_too(job: str, timeline: Timeline, instants: list[float]) -> str:
    """
    Which other targets were answered slowly at every one of these instants, in words; empty when one of them had none.

    A target that fails alone is at fault. Where another one, a program of its own, takes half of the interval at the
    same moment, both were kept waiting by something else.
    """
    limit = timeline.scrape_interval / 2
    slow = [
        (at, series.labels.get("job", "?"), value)
        for series in timeline.scrape_durations
        if series.labels.get("job") != job
        for at, value in series.points
        if value >= limit
    ]
    near = [[each for each in slow if abs(each[0] - instant) <= timeline.scrape_interval] for instant in instants]
    if not all(near):
        return ""
    _, other, value = max((each for found in near for each in found), key=lambda each: each[2])
    return f"{other} took up to {value * 1000:.0f} ms, more than half of the interval"
