"""Judges the form of metrics: names, labels, types, what Prometheus keeps of them, and names that nobody documented."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.contract.model import MetricType, Unit
from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven, unsupported
from fixtures.load.ledger import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from conformance.contract.model import MetricPromise, Metrics
    from conformance.judge.verdict import Verdict
    from conformance.timeline.metrics import MetricsSeen, Page, Sample, Track
    from conformance.timeline.model import Timeline
    from fixtures.load.ledger import Request

GATEWAY = "osmen_gateway"
"""The job whose page the suite reads itself."""

CONTAINER = "osmen-gateway"
"""The gateway's container, as the guide's memory alert names it."""

EXPORTERS = {GATEWAY: (), "docker": ("cadvisor",)}
"""By scrape job: the components whose death makes its silence no fault of the metric."""

VALUES = 50
"""Values of one label: beyond that it is no kind of thing but a thing each."""

READ = 2000
"""Series of one name up to which they are read from Prometheus."""

SHOWN = 5
"""Deviations of one kind that a verdict carries."""

LIMIT = "container_spec_memory_limit_bytes"
CPU_OF_A_REQUEST = 1e-4
"""Seconds of CPU that any request takes at the least: far below what parsing one costs."""

MEMORY_FACTOR = 10
"""How far a control group's memory may lie from its process's own figure: they count shared pages differently."""

_CONTENT = re.compile(r"(text/plain|application/openmetrics-text)\s*(;.*)?")
_OWN = {"le", "quantile"}
_PARTS = ("_bucket", "_sum", "_count")
_OF_SCRAPE = {"__name__", "job", "instance"}


def premises(
    promise: MetricPromise | None, timeline: Timeline, *, sources: Iterable[str] = ("page", "prometheus")
) -> tuple[str, ...]:
    """Why nothing can be said about a metric of this run; empty when something can."""
    reasons = list(premise.deaths(timeline, EXPORTERS.get(promise.source, ()) if promise else ()))
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    reasons += [
        f"prometheus did not take in the run: {each.detail}"
        for each in timeline.arrivals
        if each.backend == "prometheus" and not each.ok
    ]
    if timeline.metrics is None:
        return (*reasons, "the metrics were not read")
    needed = [source for source in sources if source != "page" or promise is None or promise.source == GATEWAY]
    reasons += [timeline.metrics.troubles[source] for source in needed if source in timeline.metrics.troubles]
    job = promise.source if promise else GATEWAY
    if job == GATEWAY and not timeline.metrics.pages and "page" not in timeline.metrics.troubles:
        reasons.append("no page was read")
    scraped = [value for one in timeline.up if one.labels.get("job") == job for _, value in one.points]
    if scraped and all(value == 1 for value in scraped) and not timeline.metrics.counts.get(job):
        reasons.append(f"Prometheus has not one series of {job}, which it says that it scraped {len(scraped)} times")
    reasons += _contradiction(promise, timeline.metrics)
    return tuple(reasons)


def _contradiction(promise: MetricPromise | None, seen: MetricsSeen) -> Iterator[str]:
    if promise is None:
        return
    counted = {name: count for name, count in seen.counts.get(promise.source, {}).items() if base(promise, name)}
    for name, count in counted.items():
        # Those of too many series are not read.
        if count <= READ and not any(track.name == name for track in seen.last):
            yield f"Prometheus counts {count} series of {name} and shows none"


def exposed(promise: MetricPromise, metrics: Metrics, timeline: Timeline) -> Verdict:
    """The metric is on the page under its name, with its labels and bounded values, and Prometheus has it."""
    clause = f"metric/{promise.name}"
    if reasons := premises(promise, timeline):
        return unproven(clause, "; ".join(reasons))
    seen = _seen(timeline)
    if promise.source != GATEWAY:
        return _of_container(promise, timeline, seen)
    if refusals := [finding for page in seen.pages for finding in refused(page)]:
        return broken(clause, "its page is none that Prometheus accepts", *refusals[:SHOWN])
    page = seen.pages[-1]
    absent = [each for each in seen.pages if not _on(promise, each)]
    if absent:
        declared = declares(promise, absent[-1])
        if declared and not _events(promise, timeline):
            return unproven(
                clause, f"quiet, not missing: {promise.name} is declared, and nothing happened that it counts"
            )
        observed = f"declared as {declared}, without a series" if declared else _near(promise, metrics, absent[-1])
        finding = Finding(
            expected=f"a series {promise.name}", observed=observed, query="/metrics", location=absent[-1].scraper
        )
        return broken(clause, "is not exposed", finding, lasting=True)
    samples = own(promise, page)
    shown = [
        *_labels(promise, samples),
        *_bounded(promise, page, samples, timeline),
        *_numbers(promise, samples),
    ]
    if found := [*shown, *_kept(promise, page, samples, seen, timeline)]:
        return broken(
            clause,
            "is not exposed as documented",
            *found[: 2 * SHOWN],
            observations=len(samples),
            lasting=bool(shown),
        )
    at = [track for track in seen.last if base(promise, track.name)]
    reason = f"{len(samples)} series on the page, {len(at)} in Prometheus"
    return holds(clause, observations=min(len(samples), len(at)), reason=reason)


def typed(promise: MetricPromise, timeline: Timeline) -> Verdict:
    """The page and Prometheus call the metric what it is, and a histogram is one that quantiles can be taken of."""
    clause = f"metric/{promise.name}/type"
    if reasons := premises(promise, timeline):
        return unproven(clause, "; ".join(reasons))
    seen = _seen(timeline)
    if promise.source in timeline.stand_ins:
        return unsupported(clause, timeline.stand_ins[promise.source])
    told = {"Prometheus": seen.types.get(promise.source, {})}
    if promise.source == GATEWAY:
        if any(not _on(promise, page) for page in seen.pages) or any(refused(page) for page in seen.pages):
            return unproven(clause, f"{promise.name} cannot be read on the page: see metric/{promise.name}")
        told |= {f"/metrics for {page.scraper}": page.types for page in seen.pages}
    elif not _in_prometheus(promise, seen):
        return unproven(clause, f"Prometheus has no {promise.name}: see metric/{promise.name}")
    findings = [
        Finding(expected=f"{promise.name} is a {promise.type}", observed=kind or "no type at all", location=place)
        for place, types in told.items()
        if (kind := _type(promise, types)) != promise.type
    ]
    if promise.type is MetricType.HISTOGRAM and not findings:
        findings = [finding for page in seen.pages for finding in _histogram(promise, page)]
    if findings:
        return broken(clause, f"is no {promise.type} that can be used as one", *findings[:SHOWN], lasting=True)
    return holds(clause, observations=len(told), reason=f"{promise.type} in {', '.join(told)}")


def undocumented(metrics: Metrics, timeline: Timeline) -> Verdict:
    """Every name under the prefix is a documented one; one that stands in a missing one's place is told there."""
    clause = "metric/undocumented"
    if reasons := premises(None, timeline):
        return unproven(clause, "; ".join(reasons))
    seen = _seen(timeline)
    if any(refused(page) for page in seen.pages):
        return unproven(clause, "the metrics page is none that can be read")
    promised = [each for each in metrics.promises if each.source == GATEWAY]
    names = _names(seen, metrics.prefix)
    excused = {_nearest(each, metrics, page) for page in seen.pages for each in promised if not _on(each, page)}
    unknown = {name: count for name, count in names.items() if not any(base(each, name) for each in promised)}
    told = {
        name: count for name, count in unknown.items() if _stem(name) not in {_stem(each) for each in excused if each}
    }
    if told:
        findings = [
            Finding(
                expected=f"only documented names under {metrics.prefix}",
                observed=f"{name}, {count} series" if count else f"{name}, declared without a series",
                query="/metrics",
            )
            for name, count in sorted(told.items())
        ]
        return broken(
            clause,
            f"{len(told)} names under {metrics.prefix} are documented nowhere",
            *findings[: 2 * SHOWN],
            observations=len(names),
            lasting=True,
        )
    return holds(clause, observations=len(names), reason=f"{len(names)} names under {metrics.prefix}")


# --- the page -----------------------------------------------------------------------------------------------------


def refused(page: Page) -> list[Finding]:
    """Why a scraper would not take a page."""
    found = []

    def finding(expected: str, observed: str) -> None:
        found.append(Finding(expected=expected, observed=observed, query="/metrics", location=f"for {page.scraper}"))

    if page.status != 200:
        finding("200", f"answered {page.status}")
    elif not _CONTENT.fullmatch(page.content_type):
        finding("text/plain or application/openmetrics-text", f"content type {page.content_type or 'blank'!r}")
    else:
        for problem in page.problems:
            finding("a page that can be read to its end", problem)
    return found


def base(promise: MetricPromise, name: str) -> bool:
    """Whether a name is one of the metric's own."""
    parts = [f"{promise.name}{part}" for part in _PARTS] if promise.type is MetricType.HISTOGRAM else []
    return name in (promise.name, *parts)


def own(promise: MetricPromise, page: Page) -> tuple[Sample, ...]:
    """The metric's samples on a page."""
    return tuple(sample for sample in page.samples if base(promise, sample.name))


def declares(promise: MetricPromise, page: Page) -> str:
    """The TYPE that the page gives the metric, also without a series of it."""
    family = promise.name.removesuffix("_total")
    # A family that has series of its own is another metric.
    return _type(
        promise, {name: kind for name, kind in page.types.items() if name != family or name not in page.counts}
    )


def _type(promise: MetricPromise, types: Mapping[str, str]) -> str:
    # OpenMetrics declares the family of a counter, which lacks the ending.
    family = promise.name.removesuffix("_total") if promise.type is MetricType.COUNTER else promise.name
    return types.get(promise.name) or types.get(family, "")


def _on(promise: MetricPromise, page: Page) -> bool:
    return any(base(promise, name) for name in page.counts)


def _seen(timeline: Timeline) -> MetricsSeen:
    assert timeline.metrics is not None, "premises are asked first"
    return timeline.metrics


def _stem(name: str) -> str:
    return re.sub(r"_(bucket|sum|count|total|created|info)$", "", name)


def _nearest(promise: MetricPromise, metrics: Metrics, page: Page) -> str:
    """The undocumented name on a page that is most like a missing one."""
    promised = [each for each in metrics.promises if each.source == promise.source]
    others = {_stem(name): name for name in page.counts if not any(base(each, name) for each in promised)}
    close = get_close_matches(_stem(promise.name), others, n=1, cutoff=0.6)
    return others[close[0]] if close else ""


def _near(promise: MetricPromise, metrics: Metrics, page: Page) -> str:
    near = _nearest(promise, metrics, page)
    return f"no such name; there is an undocumented {near}" if near else f"no such name among {len(page.counts)}"


def _names(seen: MetricsSeen, prefix: str) -> dict[str, int]:
    """Every name under a prefix, on any page or in Prometheus, with its series; families of one name together."""
    names: dict[str, int] = {}
    for counts in (*(page.counts for page in seen.pages), seen.counts.get(GATEWAY, {})):
        for name, count in counts.items():
            names[name] = max(count, names.get(name, 0))
    for page in seen.pages:
        for name in page.types:
            if not any(other.startswith(name) for other in names):
                names[name] = 0
    return {name: count for name, count in names.items() if name.startswith(prefix)}


def _events(promise: MetricPromise, timeline: Timeline) -> int:
    """How often something happened that would have made a series of the metric."""
    ledger = timeline.ledger
    if promise.unit is Unit.ERRORS:
        return len(ledger.outcome(Outcome.ERROR))
    if promise.unit in (Unit.TOKENS, Unit.DOLLARS):
        return len(ledger.outcome(Outcome.SUCCESS))
    # One without labels exists from the start.
    return len(ledger) if promise.labels else max(1, len(ledger))


def _labels(promise: MetricPromise, samples: Sequence[Sample]) -> Iterator[Finding]:
    wanted = set(promise.labels)
    told: set[frozenset[str]] = set()
    for sample in samples:
        has = frozenset(set(sample.labels) - _OWN)
        if has == wanted or has in told:
            continue
        told.add(has)
        yield Finding(
            expected=f"labels {_listed(wanted)}",
            observed=f"labels {_listed(has)}",
            query="/metrics",
            location=_shown(sample),
        )


def _bounded(promise: MetricPromise, page: Page, samples: Sequence[Sample], timeline: Timeline) -> Iterator[Finding]:
    for each in page.oversize:
        if base(promise, each.name):
            yield Finding(
                expected="label values of a few words",
                observed=f"a value of {each.length} characters in label {each.label}",
                query=each.name,
            )
    values: dict[str, set[str]] = {}
    for sample in samples:
        for label in set(sample.labels) - _OWN:
            values.setdefault(label, set()).add(sample.labels[label])
    ids = {
        "a user's id": {request.user for request in timeline.ledger.requests},
        "a request's id": {request.request_id for request in timeline.ledger.requests},
        "a trace's id": {request.trace_id for request in timeline.ledger.requests},
        "what a client wrote for an agent": nobody(timeline.ledger.requests),
    }
    for label, found in values.items():
        for what, known in ids.items():
            if both := sorted((found & known) - {""}):
                yield Finding(
                    expected=f"label {label} has few values", observed=f"{both[0]!r} is {what}", query=promise.name
                )
        if len(found) > VALUES:
            yield Finding(
                expected=f"label {label} has at most {VALUES} values",
                observed=f"{len(found)} values, among them {min(found)!r}",
                query=promise.name,
            )
    for name, count in page.counts.items():
        if base(promise, name) and count > len(page.named(name)):
            yield Finding(
                expected="as many series as its labels have kinds of values", observed=f"{count} series", query=name
            )


def nobody(requests: Sequence[Request]) -> set[str]:
    """The agents that clients asked for and that there are not: whatever was asked of them was refused."""
    return {each.agent for each in requests if each.outcome is Outcome.REFUSED} - {
        each.agent for each in requests if each.outcome is not Outcome.REFUSED
    }


def _numbers(promise: MetricPromise, samples: Sequence[Sample]) -> Iterator[Finding]:
    if promise.type is MetricType.GAUGE and any(math.isfinite(sample.value) for sample in samples):
        return
    for sample in samples:
        if not math.isfinite(sample.value) or sample.value < 0:
            yield Finding(
                expected="a number from 0 on", observed=sample.written, query="/metrics", location=_shown(sample)
            )


def _kept(
    promise: MetricPromise, page: Page, samples: Sequence[Sample], seen: MetricsSeen, timeline: Timeline
) -> Iterator[Finding]:
    """Prometheus has each series of the page, and of what only grows the same value."""
    has = {_key(track.name, track.labels): track.points[-1][1] for track in seen.last if track.points}
    missing, other = [], []
    for sample in samples:
        if page.counts[sample.name] > len(page.named(sample.name)):
            return
        key = _key(sample.name, sample.labels)
        if key not in has:
            missing.append(sample)
        elif promise.type is not MetricType.GAUGE and has[key] != sample.value:
            other.append((sample, has[key]))
    if missing:
        down = [each for each in timeline.targets if each.job == promise.source and each.health != "up"]
        why = f"; the target is {down[0].health}: {down[0].last_error}" if down else ""
        yield Finding(
            expected="each series of the page in Prometheus",
            observed=f"{len(missing)} of {len(samples)} are not there{why}",
            query=_shown(missing[0]),
        )
    for sample, value in other[:SHOWN]:
        yield Finding(
            expected=f"{sample.written}, as on the page", observed=f"{value} in Prometheus", query=_shown(sample)
        )


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    """One series whatever its source; a bucket's bound may be written 10 or 10.0."""
    found = {label: value for label, value in labels.items() if label not in _OF_SCRAPE}
    for label in _OWN & set(found):
        found[label] = f"{_bound(found[label]):g}"
    return name, frozenset(found.items())


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _histogram(promise: MetricPromise, page: Page) -> Iterator[Finding]:
    """Buckets that are cumulative, end at infinity with the count, have a sum, and go beyond the documented bound."""
    assert promise.buckets_beyond is not None, "the contract's loader holds it"
    for labels, buckets in buckets_of(promise, page).items():
        place = f"{promise.name}{{{', '.join(f'{name}={value!r}' for name, value in labels)}}} for {page.scraper}"
        bounds = sorted(buckets)
        finite = [bound for bound in bounds if math.isfinite(bound)]

        def finding(expected: str, observed: str, place: str = place) -> Finding:
            return Finding(expected=expected, observed=observed, query=f"{promise.name}_bucket", location=place)

        if not finite or finite[-1] <= promise.buckets_beyond:
            last = f"{finite[-1]:g}" if finite else "none"
            yield finding(f"a bucket beyond {promise.buckets_beyond:g}", f"the last finite bound is {last}")
        values = [buckets[bound] for bound in bounds]
        if values != sorted(values):
            yield finding("buckets that add up", f"{[f'{value:g}' for value in values]}")
        counts, sums = (
            [s.value for s in page.named(f"{promise.name}{part}") if tuple(sorted(s.labels.items())) == labels]
            for part in ("_count", "_sum")
        )
        if math.inf not in buckets:
            yield finding("a bucket +Inf", f"the last bound is {bounds[-1]:g}" if bounds else "no bucket")
        elif counts != [buckets[math.inf]]:
            yield finding(f"a count of {buckets[math.inf]:g}, as in +Inf", f"count {counts or 'missing'}")
        if len(sums) != 1:
            yield finding("one sum", f"{len(sums)} sums")
    if not buckets_of(promise, page):
        yield Finding(expected=f"{promise.name}_bucket", observed="no bucket", query="/metrics", location=page.scraper)


def malformed(promise: MetricPromise, page: Page) -> bool:
    """Whether a histogram on a page is none that can be read."""
    return any(True for _ in _histogram(promise, page))


def buckets_of(promise: MetricPromise, page: Page) -> dict[tuple[tuple[str, str], ...], dict[float, float]]:
    """A histogram's cumulative buckets, bound to count, by its labels."""
    found: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for sample in page.named(f"{promise.name}_bucket"):
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        found.setdefault(labels, {})[_bound(sample.labels.get("le", ""))] = sample.value
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(sample: Sample) -> str:
    text = f"{sample.name}{{{', '.join(f'{name}={value!r}' for name, value in sample.labels.items())}}}"
    return text if len(text) <= 160 else f"{text[:160]}…"


# --- the container ------------------------------------------------------------------------------------------------


def _in_prometheus(promise: MetricPromise, seen: MetricsSeen) -> list[Track]:
    return [track for track in seen.tracks if track.name == promise.name and track.points]


def _of_container(promise: MetricPromise, timeline: Timeline, seen: MetricsSeen) -> Verdict:
    clause = f"metric/{promise.name}"
    if promise.source in timeline.stand_ins:
        return unsupported(clause, timeline.stand_ins[promise.source])
    tracks = _in_prometheus(promise, seen)
    query = f'{promise.name}{{name="{CONTAINER}"}}'
    of_gateway = [track for track in tracks if track.labels.get("name") == CONTAINER]
    # A plain control group has no disks and networks of its own; cAdvisor has those of the machine.
    of_machine = [] if promise.labels else [track for track in tracks if track.labels.get("id") == "/"]
    chosen = of_gateway or of_machine
    if not chosen:
        near = get_close_matches(promise.name, seen.counts.get(promise.source, {}), n=1, cutoff=0.8)
        there = sorted({track.labels.get("name", track.labels.get("id", "?")) for track in tracks})
        observed = f"only of {', '.join(there)}" if there else f"none{f'; there is {near[0]}' if near else ''}"
        return broken(clause, "Prometheus has no such series", Finding(expected=query, observed=observed, query=query))
    findings = [finding for track in chosen for finding in _plausible(promise, track, seen, timeline)]
    if not findings and promise.unit is Unit.BYTES and promise.type is MetricType.GAUGE and not promise.labels:
        findings = list(_some(promise, chosen))
    samples = sum(len(track.points) for track in chosen)
    if findings:
        return broken(clause, "its values cannot be", *findings[:SHOWN], observations=samples)
    reason = f"{samples} samples"
    if not of_gateway:
        reason += (
            ' of the whole machine (id="/"): outside of containers cAdvisor knows no disks and networks of a group'
        )
    return holds(clause, observations=samples, reason=reason)


def _some(promise: MetricPromise, tracks: Sequence[Track]) -> Iterator[Finding]:
    if not any(value for track in tracks for _, value in track.points):
        yield Finding(expected="something in use", observed="0 in every sample", query=promise.name)


def _plausible(promise: MetricPromise, track: Track, seen: MetricsSeen, timeline: Timeline) -> Iterator[Finding]:
    values = [value for _, value in track.points if value is not None]
    if len(values) < len(track.points) or any(value < 0 for value in values):
        yield Finding(expected="numbers from 0 on", observed=f"{track.points[-1][1]}", query=promise.name)
        return
    if promise.type is MetricType.COUNTER and values != sorted(values):
        fall = next((a, b) for a, b in pairwise(values) if b < a)
        yield Finding(expected="values that only grow", observed=f"{fall[1]:g} after {fall[0]:g}", query=promise.name)
    if promise.unit is Unit.SECONDS:
        yield from _busy(promise, track, seen, timeline)
    if promise.unit is Unit.BYTES and promise.labels:
        yield from _memory(promise, track, seen)


def _busy(promise: MetricPromise, track: Track, seen: MetricsSeen, timeline: Timeline) -> Iterator[Finding]:
    (first, low), (last, high) = track.points[0], track.points[-1]
    served = len(timeline.ledger.between(first, last))
    grown, least = (high or 0.0) - (low or 0.0), served * CPU_OF_A_REQUEST
    most = (last - first) * max(1, seen.cores) * 1.1
    if not least <= grown <= most:
        yield Finding(
            expected=f"between {least:.3f} and {most:.1f} s more at the end than at the begin",
            observed=f"{grown:.3f} s more",
            query=promise.name,
            clients=f"{served} requests in {last - first:.1f} s on {seen.cores} processors",
            because=f"at least {CPU_OF_A_REQUEST * 1000:g} ms a request, at most every processor all the time",
        )


def _memory(promise: MetricPromise, track: Track, seen: MetricsSeen) -> Iterator[Finding]:
    """The working set is in the usage, the usage is in the limit, and both are of the size of the process."""
    same = [one for one in seen.tracks if {**one.labels, "__name__": ""} == {**track.labels, "__name__": ""}]
    # The limit is stamped by the scrape, a usage by cAdvisor: only usages can be compared sample by sample.
    limits = [value for one in same if one.name == LIMIT for _, value in one.points if value]
    usage = promise.name.replace("working_set", "usage")
    # A usage that cannot be is told by its own clause.
    used = {at: value for one in same if one.name == usage for at, value in one.points if _like(value, seen.memory)}
    for at, value in track.points:
        most = min([*limits, *filter(None, [used.get(at)])], default=math.inf)
        if value is not None and value > most:
            yield Finding(expected=f"at most {most:.0f} bytes", observed=f"{value:.0f}", query=promise.name)
            return
    value = track.points[-1][1]
    if not _like(value, seen.memory):
        yield Finding(
            expected=f"about {seen.memory:.0f} bytes, within a factor of {MEMORY_FACTOR}",
            observed=f"{value:.0f}",
            query=promise.name,
            because="that is the process's proportional set; a group counts shared pages otherwise",
        )


def _like(value: float | None, memory: float | None) -> bool:
    """Whether a group's memory may be that of its process; what is not known may be anything."""
    return not memory or value is None or memory / MEMORY_FACTOR <= value <= memory * MEMORY_FACTOR
