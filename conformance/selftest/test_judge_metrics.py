"""The judges of metrics, judged: a real run bent in one way each, and which clause says so, for which reason."""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import figures, metrics
from conformance.judge.verdict import Status
from conformance.observe import exposition
from conformance.selftest.metrics_recording import recorded
from conformance.timeline.metrics import MetricsSeen, Sample, Track
from conformance.timeline.model import Arrival, Death
from fixtures.load.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.contract.model import Contract, MetricPromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.metrics import Page
    from conformance.timeline.model import Timeline

JOB = "osmen_gateway"
REQUESTS, ERRORS, EXECUTIONS = "osmen_requests_total", "osmen_errors_total", "osmen_agent_executions_total"
DURATION, AGENT_DURATION = "osmen_request_duration_seconds", "osmen_agent_duration_seconds"
RATE, SHARE, USERS = "osmen_requests_per_second", "osmen_error_rate", "osmen_active_users"
TOKENS, COST = "osmen_tokens_used_total", "osmen_llm_cost_dollars"
GATEWAY = (REQUESTS, RATE, DURATION, ERRORS, SHARE, EXECUTIONS, AGENT_DURATION, USERS, TOKENS, COST)
CPU, USAGE, WORKING_SET = (
    "container_cpu_usage_seconds_total",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
)
FS_USAGE, FS_WRITES = "container_fs_usage_bytes", "container_fs_writes_total"
RECEIVED, SENT = "container_network_receive_bytes_total", "container_network_transmit_bytes_total"

Samples = "list[Sample]"
Text = "Callable[[str], str]"


@functools.cache
def contract() -> Contract:
    return load()


def judged(timeline: Timeline) -> dict[str, Verdict]:
    """The verdict of every clause of metrics."""
    told = contract().metrics
    verdicts = [metrics.undocumented(told, timeline)]
    for promise in told.promises:
        verdicts += [metrics.exposed(promise, told, timeline), metrics.typed(promise, timeline)]
        if promise.ledger is not None:
            verdicts.append(figures.agrees(promise, told, timeline))
    return {verdict.clause.removeprefix("metric/"): verdict for verdict in verdicts}


def of(verdicts: Mapping[str, Verdict], status: Status) -> set[str]:
    return {clause for clause, verdict in verdicts.items() if verdict.status is status}


def broken(timeline: Timeline) -> set[str]:
    return of(judged(timeline), Status.BROKEN)


# --- bending what was seen ----------------------------------------------------------------------------------------


def seen(timeline: Timeline | None = None) -> MetricsSeen:
    found = (timeline or recorded()).metrics
    assert found is not None
    return found


def written(page: Page) -> str:
    """A page as text again, each family under its TYPE."""
    lines = []
    left = list(page.samples)
    for name, kind in page.types.items():
        lines.append(f"# TYPE {name} {kind}")
        mine = [s for s in left if re.fullmatch(rf"{name}(_bucket|_sum|_count)?", s.name)]
        left = [s for s in left if s not in mine]
        lines += [line(sample) for sample in mine]
    return "\n".join([*lines, *(line(sample) for sample in left)]) + "\n"


def line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}} {sample.written}" if labels else f"{sample.name} {sample.written}"


def page_of(text: str, like: Page, *, content_type: str = "", status: int = 200) -> Page:
    return exposition.page(
        text,
        scraper=like.scraper,
        status=status,
        content_type=content_type or like.content_type,
        at=like.at,
        size=len(text),
    )


def scraped(samples: Iterable[Sample], at: float) -> tuple[Track, ...]:
    """What a Prometheus has after it scraped these samples."""
    return tuple(
        Track(labels={**s.labels, "__name__": s.name, "job": JOB, "instance": "recorded"}, points=((at, s.value),))
        for s in samples
    )


def bent(
    text: Callable[[str], str] = lambda text: text,
    *,
    samples: Callable[[list[Sample]], list[Sample]] = lambda samples: samples,
    content_type: str = "",
    status: int = 200,
) -> Timeline:
    """The recorded run with another page, which Prometheus scraped as it is."""
    was = seen()
    original = replace(was.pages[0], samples=tuple(samples(list(was.pages[0].samples))))
    shown = text(written(original))
    one = page_of(shown, was.pages[0], content_type=content_type, status=status)
    pages = tuple(replace(one, scraper=page.scraper) for page in was.pages)
    kept = [track for track in was.last if track.labels["job"] != JOB]
    now = replace(
        was,
        pages=pages,
        last=(*kept, *scraped(pages[-1].samples, pages[-1].at)),
        counts={**was.counts, JOB: dict(pages[-1].counts)},
        types={**was.types, JOB: dict(pages[-1].types)},
        tracks=tuple(t for t in was.tracks if t.labels["job"] != JOB or t.name in pages[-1].counts),
    )
    if status == 200:
        return replace(recorded(), metrics=now)
    down = tuple(
        replace(one, points=tuple((at, 0.0) for at, _ in one.points)) if one.labels["job"] == JOB else one
        for one in recorded().up
    )
    return replace(recorded(), metrics=now, up=down)


def with_page(change: Callable[[Page], Page]) -> Timeline:
    """The recorded run where only the pages differ, not what Prometheus has."""
    return replace(recorded(), metrics=replace(seen(), pages=tuple(change(page) for page in seen().pages)))


def tracked(name: str, value: Callable[[float, float | None], float | None], *, where: str = "") -> Timeline:
    """The recorded run with other samples of one name in Prometheus, and the last of them on the page."""

    def change(track: Track) -> Track:
        if track.name != name or (where and where not in track.labels.values()):
            return track
        return replace(track, points=tuple((at, value(at, was)) for at, was in track.points))

    return replace(recorded(), metrics=replace(seen(), tracks=tuple(map(change, seen().tracks))))


def every(name: str, value: Callable[[Sample], float]) -> Callable[[list[Sample]], list[Sample]]:
    """Other values of one name."""
    return lambda samples: [replace(s, written=repr(value(s))) if s.name == name else s for s in samples]


def asked_for(labels: dict[str, str]) -> dict[str, str]:
    """The agent that there is not, as its client called it."""
    asked = min(metrics.nobody(recorded().ledger.requests))
    return labels | {"agent": asked} if labels.get("agent") == "unknown" else labels


def relabelled(name: str, change: Callable[[dict[str, str]], dict[str, str]]) -> Callable[[list[Sample]], list[Sample]]:
    """Other labels of one name and its parts; series that become one are added up."""

    def bend(samples: list[Sample]) -> list[Sample]:
        found: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
        for sample in samples:
            labels = change(dict(sample.labels)) if sample.name.startswith(name) else dict(sample.labels)
            key = (sample.name, tuple(labels.items()))
            total = sample.value + (found[key].value if key in found else 0.0)
            text = sample.written if key not in found else repr(total)
            found[key] = Sample(name=sample.name, labels=labels, written=text)
        return list(found.values())

    return bend


def added(*lines: str) -> Callable[[str], str]:
    return lambda text: text + "".join(f"{each}\n" for each in lines)


def without(pattern: str) -> Callable[[str], str]:
    """Without the lines that match."""
    return lambda text: "".join(each for each in text.splitlines(keepends=True) if not re.match(pattern, each))


def timed(name: str, factor: float) -> Callable[[list[Sample]], list[Sample]]:
    """A histogram whose durations are all `factor` times what they were; each lay in the middle of its bucket."""

    def bend(samples: list[Sample]) -> list[Sample]:
        found = []
        for sample in samples:
            if sample.name == f"{name}_sum":
                found.append(replace(sample, written=repr(sample.value * factor)))
            elif sample.name == f"{name}_bucket" and sample.labels["le"] != "+Inf":
                mine = [s for s in samples if s.name == sample.name and s.labels["agent"] == sample.labels["agent"]]
                bounds = sorted((float(s.labels["le"]), s.value) for s in mine)
                count, low, before = 0.0, 0.0, 0.0
                for bound, total in bounds:
                    middle = bound if bound == float("inf") else (low + bound) / 2
                    if middle * factor <= float(sample.labels["le"]):
                        count += total - before
                    low, before = bound, total
                found.append(replace(sample, written=repr(count)))
            else:
                found.append(sample)
        return found

    return bend


def summary(text: str) -> str:
    text = without(rf"{DURATION}_bucket")(text).replace(f"# TYPE {DURATION} histogram", f"# TYPE {DURATION} summary")
    return text.replace(f"{DURATION}_sum", f'{DURATION}{{quantile="0.95",agent="librarian"}} 0.5\n{DURATION}_sum', 1)


def at_most(start: float, end: float) -> int:
    return len(recorded().ledger.between(start, end))


# --- the run as it was --------------------------------------------------------------------------------------------


def test_a_real_run_holds_in_every_clause() -> None:
    """
    Every clause holds on what a real gateway exposed, and each verdict rests on something.
    """
    verdicts = judged(recorded())

    assert of(verdicts, Status.HOLDS) == set(verdicts)
    assert len(verdicts) == 17 + 17 + 10 + 1
    assert min(verdict.observations for verdict in verdicts.values()) > 0


def test_bending_nothing_changes_nothing() -> None:
    """
    A page that was written and read again is judged as it was: what the deviants show is theirs.
    """
    assert broken(bent()) == set()
    assert of(judged(bent()), Status.HOLDS) == set(judged(recorded()))


def test_an_openmetrics_page_is_as_good() -> None:
    """
    The other format, in which a counter's family lacks its ending, holds in every clause.
    """

    def rewrite(text: str) -> str:
        text = re.sub(r"# TYPE (\w+)_total counter", r"# TYPE \1 counter", text)
        return f"{text}# EOF\n"

    verdicts = judged(bent(rewrite, content_type="application/openmetrics-text; version=1.0.0; charset=utf-8"))

    assert of(verdicts, Status.HOLDS) == set(verdicts)


# --- deviants -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deviant:
    name: str
    run: Callable[[], Timeline]
    clauses: set[str]
    says: str = ""


DEVIANTS = (
    # Names
    Deviant(
        "a metric is renamed",
        lambda: bent(lambda text: text.replace(USERS, "osmen_users_active")),
        {USERS},
        "there is an undocumented osmen_users_active",
    ),
    Deviant(
        "a counter lost its ending",
        lambda: bent(lambda text: text.replace(ERRORS, "osmen_errors")),
        {ERRORS},
        "there is an undocumented osmen_errors",
    ),
    Deviant(
        "the cost is a counter, which adds an ending",
        lambda: bent(
            lambda text: text.replace(COST, f"{COST}_total").replace(f"{COST}_total gauge", f"{COST}_total counter")
        ),
        {COST},
        f"there is an undocumented {COST}_total",
    ),
    Deviant("a metric is missing", lambda: bent(without(rf"(# TYPE )?{TOKENS}")), {TOKENS}, "no such name"),
    Deviant(
        "declared, but without a series though errors happened",
        lambda: bent(without(f"{ERRORS}{{")),
        {ERRORS},
        "declared as counter, without a series",
    ),
    Deviant(
        "a name that nobody documented",
        lambda: bent(added("# TYPE osmen_cache_hits_total counter", "osmen_cache_hits_total 3")),
        {"undocumented"},
        "osmen_cache_hits_total, 1 series",
    ),
    Deviant(
        "creation times beside a counter",
        lambda: bent(added('osmen_requests_created{agent="librarian",status="success"} 1.7e9')),
        {"undocumented"},
        "osmen_requests_created",
    ),
    Deviant(
        "only one kind of scraper gets the metric",
        lambda: with_page(
            lambda page: (
                page if page.scraper != "classic" else page_of(without(rf"(# TYPE )?{RATE}")(written(page)), page)
            )
        ),
        {RATE},
        "classic",
    ),
    # Labels
    Deviant(
        "a label is missing",
        lambda: bent(samples=relabelled(ERRORS, lambda labels: {"agent": labels["agent"]})),
        {ERRORS},
        "expected  labels agent, kind",
    ),
    Deviant(
        "a label too many",
        lambda: bent(samples=relabelled(EXECUTIONS, lambda labels: {**labels, "version": "2"})),
        {EXECUTIONS},
        "labels agent, status, version",
    ),
    Deviant(
        "a label is called otherwise",
        lambda: bent(samples=relabelled(COST, lambda labels: {"agent": labels["agent"], "llm": labels["model"]})),
        {COST},
        "labels agent, llm",
    ),
    Deviant(
        "users as label values",
        lambda: bent(samples=relabelled(EXECUTIONS, lambda labels: {**labels, "user_id": "user003"})),
        {EXECUTIONS},
        "'user003' is a user's id",
    ),
    Deviant(
        "requests as label values",
        lambda: bent(added(f'{REQUESTS}{{agent="{recorded().ledger.requests[7].request_id}",status="success"}} 0')),
        {REQUESTS},
        "is a request's id",
    ),
    Deviant(
        "a value each",
        lambda: bent(added(*(f'{ERRORS}{{agent="a{n:03d}",kind="upstream"}} 0' for n in range(60)))),
        {ERRORS},
        "label agent has at most 50 values",
    ),
    Deviant(
        "a label value of 100 KB",
        lambda: bent(added(f'{ERRORS}{{agent="{"x" * 102400}",kind="upstream"}} 0')),
        {ERRORS},
        "a value of 102400 characters in label agent",
    ),
    Deviant(
        "5 000 series of a documented name",
        lambda: bent(added(*(f'{ERRORS}{{agent="a{n:05d}",kind="upstream"}} 0' for n in range(5000)))),
        {ERRORS},
        "5016 series",
    ),
    Deviant(
        "5 000 series of another",
        lambda: bent(added(*(f'osmen_debug{{n="{n}"}} 1' for n in range(5000)))),
        {"undocumented"},
        "osmen_debug, 5000 series",
    ),
    # The page
    Deviant(
        "the page is JSON to a scraper",
        lambda: bent(content_type="application/json"),
        set(GATEWAY),
        "content type 'application/json'",
    ),
    Deviant("the page fails", lambda: bent(status=500), set(GATEWAY), "answered 500"),
    Deviant("a line is none", lambda: bent(added("osmen_requests_total{agent=} 3")), set(GATEWAY), "is no sample"),
    Deviant("a series stands twice", lambda: bent(added(f"{USERS} 3")), set(GATEWAY), "a series stands twice"),
    Deviant(
        "OpenMetrics without its end",
        lambda: bent(content_type="application/openmetrics-text; version=1.0.0"),
        set(GATEWAY),
        "without '# EOF'",
    ),
    Deviant(
        "a count that is no number",
        lambda: bent(added(f'{TOKENS}{{agent="librarian",model="llama3",type="prompt"}} NaN')),
        {TOKENS, f"{TOKENS}/ledger"},
        "observed  NaN",
    ),
    # Prometheus
    Deviant(
        "Prometheus lacks a series",
        lambda: replace(
            recorded(),
            metrics=replace(seen(), last=tuple(t for t in seen().last if "rejected" not in t.labels.values())),
        ),
        {REQUESTS},
        "5 of 13 are not there",
    ),
    Deviant(
        "Prometheus has another value",
        lambda: with_page(
            lambda page: page_of(
                added("# again")(written(page)).replace(
                    f'{ERRORS}{{agent="librarian",kind="timeout"}} 0.0',
                    f'{ERRORS}{{agent="librarian",kind="timeout"}} 1.0',
                ),
                page,
            )
        ),
        {ERRORS, f"{ERRORS}/ledger"},
        "0.0 in Prometheus",
    ),
    # Types
    Deviant(
        "a counter as a gauge",
        lambda: bent(lambda text: text.replace(f"{REQUESTS} counter", f"{REQUESTS} gauge")),
        {f"{REQUESTS}/type"},
        "observed  gauge",
    ),
    Deviant(
        "a gauge as a counter",
        lambda: bent(lambda text: text.replace(f"{RATE} gauge", f"{RATE} counter")),
        {f"{RATE}/type"},
        "observed  counter",
    ),
    Deviant("no type", lambda: bent(without(f"# TYPE {SHARE}")), {f"{SHARE}/type"}, "no type at all"),
    Deviant("a histogram as a summary", lambda: bent(summary), {f"{DURATION}/type"}, "observed  summary"),
    Deviant(
        "buckets up to the threshold only",
        lambda: bent(without(rf'{DURATION}_bucket.*le="(12.5|15.0|20.0|30.0|60.0|120.0)"')),
        {f"{DURATION}/type"},
        "the last finite bound is 10",
    ),
    Deviant(
        "no bucket +Inf",
        lambda: bent(without(rf'{AGENT_DURATION}_bucket.*le="\+Inf"')),
        {f"{AGENT_DURATION}/type"},
        "a bucket +Inf",
    ),
    Deviant("no sum", lambda: bent(without(f"{DURATION}_sum")), {f"{DURATION}/type"}, "0 sums"),
    Deviant(
        "a count that is not that of +Inf",
        lambda: bent(samples=every(f"{DURATION}_count", lambda s: s.value + 1)),
        {f"{DURATION}/type"},
        "as in +Inf",
    ),
    Deviant(
        "buckets that do not add up",
        lambda: bent(
            samples=lambda all_: [
                replace(s, written="0") if s.name == f"{DURATION}_bucket" and s.labels["le"] == "60.0" else s
                for s in all_
            ]
        ),
        {f"{DURATION}/type"},
        "buckets that add up",
    ),
    Deviant(
        "Prometheus took another type",
        lambda: replace(
            recorded(), metrics=replace(seen(), types={**seen().types, JOB: {**seen().types[JOB], TOKENS: "unknown"}})
        ),
        {f"{TOKENS}/type"},
        "location  Prometheus",
    ),
    # Numbers that are counted
    Deviant(
        "every tenth request is not counted",
        lambda: bent(samples=every(REQUESTS, lambda s: s.value - s.value // 10)),
        {f"{REQUESTS}/ledger"},
        "200 requests in total",
    ),
    Deviant(
        "requests of one agent are counted as another's",
        lambda: bent(
            samples=relabelled(
                REQUESTS, lambda labels: {**labels, "agent": labels["agent"].replace("boot_hardening", "librarian")}
            )
        ),
        {f"{REQUESTS}/ledger"},
        "agent='boot_hardening'",
    ),
    Deviant(
        "failures are counted as successes",
        lambda: bent(samples=relabelled(EXECUTIONS, lambda labels: {**labels, "status": "success"})),
        {f"{EXECUTIONS}/ledger"},
        "status='error'",
    ),
    Deviant(
        "errors under another kind",
        lambda: bent(samples=relabelled(ERRORS, lambda labels: {**labels, "kind": "internal"})),
        {f"{ERRORS}/ledger"},
        "kind='upstream'",
    ),
    Deviant(
        "one error twice",
        lambda: bent(samples=every(ERRORS, lambda s: s.value + (s.value > 0 and s.labels["agent"] == "librarian"))),
        {f"{ERRORS}/ledger"},
        "9 errors in total",
    ),
    Deviant(
        "what is given up not counted",
        lambda: bent(samples=every(ERRORS, lambda s: s.value * (s.labels["kind"] != "timeout"))),
        {f"{ERRORS}/ledger"},
        "kind='timeout'",
    ),
    Deviant(
        "a client's mistake counted as an error",
        lambda: bent(
            samples=every(
                ERRORS, lambda s: s.value + (s.labels["agent"] == "librarian" and s.labels["kind"] == "internal")
            )
        ),
        {f"{ERRORS}/ledger"},
        "9 errors in total",
    ),
    Deviant(
        "a client's mistake not counted",
        lambda: bent(samples=every(REQUESTS, lambda s: s.value * (s.labels["agent"] != "unknown"))),
        {f"{REQUESTS}/ledger"},
        "agent='(no such agent)', status='rejected'",
    ),
    Deviant(
        "whatever a client writes is a label",
        lambda: bent(samples=relabelled(REQUESTS, asked_for)),
        {REQUESTS},
        "is what a client wrote for an agent",
    ),
    Deviant(
        "mistakes without a duration",
        lambda: bent(
            samples=lambda samples: [
                replace(each, written="0.0")
                if each.labels.get("agent") == "unknown" and each.name.startswith(DURATION)
                else each
                for each in samples
            ]
        ),
        {f"{DURATION}/ledger"},
        "5 durations",
    ),
    Deviant(
        "tokens of the prompt only",
        lambda: bent(samples=every(TOKENS, lambda s: s.value * (s.labels["type"] == "prompt"))),
        {f"{TOKENS}/ledger"},
        "type='completion'",
    ),
    Deviant(
        "prompt and completion exchanged",
        lambda: bent(
            samples=relabelled(
                TOKENS,
                lambda labels: {**labels, "type": {"prompt": "completion", "completion": "prompt"}[labels["type"]]},
            )
        ),
        {f"{TOKENS}/ledger"},
    ),
    Deviant(
        "one token more",
        lambda: bent(
            samples=every(
                TOKENS,
                lambda s: s.value + (s.labels["agent"] == "librarian" and s.labels["type"] == "prompt"),
            )
        ),
        {f"{TOKENS}/ledger"},
    ),
    Deviant("the cost in cents", lambda: bent(samples=every(COST, lambda s: s.value * 100)), {f"{COST}/ledger"}),
    Deviant(
        "the cost a millionth too low",
        lambda: bent(samples=every(COST, lambda s: s.value * (1 - 1e-6))),
        {f"{COST}/ledger"},
        "dollars in total",
    ),
    # Durations
    Deviant(
        "milliseconds",
        lambda: bent(samples=timed(DURATION, 1000)),
        {f"{DURATION}/ledger"},
        "s in total",
    ),
    Deviant(
        "real seconds at a tempo of 60",
        lambda: bent(samples=timed(DURATION, 1 / 60)),
        {f"{DURATION}/ledger"},
        "requests had to wait",
    ),
    Deviant(
        "an agent's time in milliseconds",
        lambda: bent(samples=timed(AGENT_DURATION, 1000)),
        {f"{AGENT_DURATION}/ledger"},
    ),
    Deviant(
        "an agent's time without waiting",
        lambda: bent(samples=timed(AGENT_DURATION, 0.02)),
        {f"{AGENT_DURATION}/ledger"},
    ),
    Deviant(
        "two of each agent are not timed",
        lambda: bent(
            samples=lambda all_: [
                replace(s, written=repr(max(0.0, s.value - 2)))
                if s.name in (f"{DURATION}_count", f"{DURATION}_bucket")
                else s
                for s in all_
            ]
        ),
        {f"{DURATION}/ledger"},
        "durations",
    ),
    Deviant(
        "half of each duration",
        lambda: bent(samples=timed(DURATION, 0.5)),
        {f"{DURATION}/ledger"},
        "s, as long as the longer half of the others",
    ),
    Deviant(
        "an agent's time twice",
        lambda: bent(samples=timed(AGENT_DURATION, 2)),
        {f"{AGENT_DURATION}/ledger"},
        "a service's time is part of its client's",
    ),
    # Gauges
    Deviant(
        "requests per minute", lambda: tracked(RATE, lambda _, was: (was or 0) * 60), {f"{RATE}/ledger"}, "requests/s"
    ),
    Deviant("the rate stands still", lambda: tracked(RATE, lambda *_: 10 / 60), {f"{RATE}/ledger"}),
    Deviant(
        "the rate since the start",
        lambda: tracked(RATE, lambda at, _: at_most(0, at) / max(1.0, (at - recorded().begun) * 60)),
        {f"{RATE}/ledger"},
    ),
    Deviant(
        "a share in percent", lambda: tracked(SHARE, lambda _, was: (was or 0) * 100), {f"{SHARE}/ledger"}, "ratio"
    ),
    Deviant("a share that is always 0", lambda: tracked(SHARE, lambda *_: 0.0), {f"{SHARE}/ledger"}),
    Deviant(
        "a share of all requests since the start",
        lambda: tracked(
            SHARE,
            lambda at, _: len(recorded().ledger.between(0, at).outcome(Outcome.ERROR)) / max(1, at_most(0, at)),
        ),
        {f"{SHARE}/ledger"},
        "failed within 60 s",
    ),
    Deviant("errors per second as a share", lambda: tracked(SHARE, lambda _, was: (was or 0) / 6), {f"{SHARE}/ledger"}),
    Deviant("no number of users", lambda: tracked(USERS, lambda *_: None), {f"{USERS}/ledger"}, "no number"),
    Deviant("always ten users", lambda: tracked(USERS, lambda *_: 10.0), {f"{USERS}/ledger"}, "users"),
    Deviant(
        "users who never leave",
        lambda: tracked(
            USERS, lambda at, _: float(len({r.user for r in recorded().ledger.requests if r.finished <= at}))
        ),
        {f"{USERS}/ledger"},
        "active within 300 s",
    ),
    # The container
    Deviant(
        "the group has no name",
        lambda: replace(
            recorded(),
            metrics=replace(
                seen(),
                tracks=tuple(
                    replace(t, labels={k: v for k, v in t.labels.items() if k != "name"}) if t.name == CPU else t
                    for t in seen().tracks
                ),
            ),
        ),
        {CPU},
        "only of /",
    ),
    Deviant("CPU that stands still", lambda: tracked(CPU, lambda *_: 3.0), {CPU}, "0.000 s more"),
    Deviant("CPU in nanoseconds", lambda: tracked(CPU, lambda _, was: (was or 0) * 1e9), {CPU}, "2 processors"),
    Deviant("CPU in milliseconds", lambda: tracked(CPU, lambda _, was: (was or 0) * 1e3), {CPU}),
    Deviant(
        "CPU that falls",
        lambda: tracked(CPU, lambda at, was: (was or 0) - 0.05 * (at > recorded().begun + 10)),
        {CPU},
        "values that only grow",
    ),
    Deviant(
        "memory in KiB",
        lambda: tracked(WORKING_SET, lambda _, was: (was or 0) / 1024),
        {WORKING_SET},
        "within a factor of 10",
    ),
    Deviant("usage in KiB", lambda: tracked(USAGE, lambda _, was: (was or 0) / 1024), {USAGE}, "within a factor of 10"),
    Deviant(
        "a working set above the usage",
        lambda: tracked(WORKING_SET, lambda _, was: (was or 0) * 2),
        {WORKING_SET},
        "at most",
    ),
    Deviant("usage above the limit", lambda: tracked(USAGE, lambda *_: 2.0**31), {USAGE}, "at most 100663296"),
    Deviant("no disk in use", lambda: tracked(FS_USAGE, lambda *_: 0.0), {FS_USAGE}, "something in use"),
    Deviant("writes that fall", lambda: tracked(FS_WRITES, lambda at, _: 2e9 - at), {FS_WRITES}, "only grow"),
    Deviant("bytes below zero", lambda: tracked(RECEIVED, lambda *_: -1.0), {RECEIVED}, "from 0 on"),
    Deviant("no number of bytes", lambda: tracked(SENT, lambda *_: None), {SENT}, "from 0 on"),
    Deviant(
        "a counter of the container as a gauge",
        lambda: replace(
            recorded(),
            metrics=replace(seen(), types={**seen().types, "docker": {**seen().types["docker"], SENT: "gauge"}}),
        ),
        {f"{SENT}/type"},
        "observed  gauge",
    ),
    Deviant(
        "a name of the container is missing",
        lambda: replace(
            recorded(),
            metrics=replace(
                seen(),
                tracks=tuple(t for t in seen().tracks if t.name != FS_WRITES),
                last=tuple(t for t in seen().last if t.name != FS_WRITES),
                counts={
                    **seen().counts,
                    "docker": {k: v for k, v in seen().counts["docker"].items() if k != FS_WRITES},
                },
            ),
        ),
        {FS_WRITES},
        "Prometheus has no such series",
    ),
)


@pytest.mark.parametrize("deviant", [pytest.param(each, id=each.name) for each in DEVIANTS])
def test_a_deviant_is_caught_by_its_clause_and_by_no_other(deviant: Deviant) -> None:
    """
    What is wrong breaks the clauses that promise it, with the reason in the text, and leaves the others alone.
    """
    verdicts = judged(deviant.run())
    text = "\n".join(verdicts[clause].text() for clause in sorted(deviant.clauses))

    assert of(verdicts, Status.BROKEN) == deviant.clauses
    assert deviant.says in text
    assert len(text) < 60_000


@pytest.mark.parametrize("name", GATEWAY)
def test_any_metric_of_the_service_that_is_missing_breaks_its_own_clause(name: str) -> None:
    """
    Whichever is taken off the page, the clause of its name is broken and no other.
    """
    assert broken(bent(without(rf"(# TYPE )?{name}"))) == {name}


@pytest.mark.parametrize("name", GATEWAY)
def test_any_metric_of_the_service_that_is_renamed_is_told_once(name: str) -> None:
    """
    The new name is in the finding about the missing one, and not counted as undocumented beside it.
    """
    verdicts = judged(bent(lambda text: text.replace(name, f"{name.removesuffix('_total')}_v2")))

    assert of(verdicts, Status.BROKEN) == {name}
    assert "there is an undocumented" in verdicts[name].text()


@pytest.mark.parametrize("promise", load().metrics.promises, ids=lambda promise: promise.name)
def test_any_metric_of_another_type_breaks_its_own_clause(promise: MetricPromise) -> None:
    """
    Whatever is called untyped, on the page or by Prometheus, breaks the clause of its type and no other.
    """
    told = {**seen().types, promise.source: {**seen().types[promise.source], promise.name: "unknown"}}
    in_prometheus = replace(recorded(), metrics=replace(seen(), types=told))
    on_the_page = bent(lambda text: re.sub(rf"(# TYPE {promise.name}) \w+", r"\1 untyped", text))

    assert broken(in_prometheus) == {f"{promise.name}/type"}
    assert promise.source != JOB or broken(on_the_page) == {f"{promise.name}/type"}


@pytest.mark.parametrize("name", [CPU, USAGE, WORKING_SET, FS_USAGE, FS_WRITES, RECEIVED, SENT])
def test_any_metric_of_the_container_that_is_missing_breaks_its_own_clause(name: str) -> None:
    """
    Whichever Prometheus does not have, the clause of its name is broken and no other.
    """
    counts = {other: count for other, count in seen().counts["docker"].items() if other != name}
    gone = replace(
        seen(),
        tracks=tuple(track for track in seen().tracks if track.name != name),
        last=tuple(track for track in seen().last if track.name != name),
        counts={**seen().counts, "docker": counts},
    )

    assert broken(replace(recorded(), metrics=gone)) == {name}


def test_a_refusal_is_a_request_and_neither_an_execution_nor_an_error() -> None:
    """
    A 4xx counts as a request under the contract's word for it; a service that executes it as well is caught.
    """
    was = recorded().ledger.requests
    refused = replace(was[0], outcome=Outcome.REFUSED, status=422)
    ledger = Ledger(requests=(refused, *was[1:]))
    moved = {"success": -1.0, "rejected": 1.0}

    def moving(sample: Sample) -> float:
        return sample.value + moved.get(sample.labels["status"], 0.0) * (sample.labels["agent"] == refused.agent)

    right = bent(samples=lambda all_: every(EXECUTIONS, moving)(every(REQUESTS, moving)(all_)))
    both = bent(samples=every(REQUESTS, moving))
    clauses = (f"{REQUESTS}/ledger", f"{EXECUTIONS}/ledger", f"{ERRORS}/ledger")

    assert {judged(replace(right, ledger=ledger))[clause].status for clause in clauses} == {Status.HOLDS}
    assert judged(replace(both, ledger=ledger))[f"{EXECUTIONS}/ledger"].status is Status.BROKEN


def test_what_is_wrong_with_its_form_is_not_blamed_on_its_numbers() -> None:
    """
    A metric that is not there proves nothing about its type and its numbers, and the reason points to its name.
    """
    verdicts = judged(bent(without(rf"(# TYPE )?{TOKENS}")))

    assert of(verdicts, Status.UNPROVEN) == {f"{TOKENS}/type", f"{TOKENS}/ledger"}
    assert f"see metric/{TOKENS}" in verdicts[f"{TOKENS}/ledger"].reason


# --- what proves nothing ------------------------------------------------------------------------------------------


def calm() -> Timeline:
    """A run in which nothing failed, of a service that declares its counter of errors and has no series of it."""
    run = bent(without(f"{ERRORS}{{"))
    requests = tuple(replace(each, outcome=Outcome.SUCCESS, status=200) for each in run.ledger.requests)
    return replace(run, ledger=Ledger(requests=requests))


def test_a_quiet_metric_is_told_apart_from_a_missing_one() -> None:
    """
    Declared and nothing happened: unproven and called quiet. Not even declared: broken, whatever happened.
    """
    quiet = judged(calm())[ERRORS]
    missing = judged(replace(calm(), metrics=seen(bent(without(rf"(# TYPE )?{ERRORS}")))))[ERRORS]

    assert (quiet.status, missing.status) == (Status.UNPROVEN, Status.BROKEN)
    assert "quiet, not missing" in quiet.reason


@dataclass(frozen=True, slots=True)
class Doubt:
    name: str
    run: Callable[[], Timeline]
    clauses: Callable[[str], bool]
    says: str


def troubled(source: str, text: str) -> Timeline:
    empty: dict[str, MetricsSeen] = {
        "page": replace(seen(), pages=()),
        "prometheus": replace(seen(), last=(), tracks=(), counts={}, types={}),
        "upstream": replace(seen(), billed=()),
    }
    return replace(recorded(), metrics=replace(empty[source], troubles={source: text}))


OF_UPSTREAM = {f"{name}/ledger" for name in (ERRORS, TOKENS, COST, DURATION, AGENT_DURATION)}
LEDGER = {f"{name}/ledger" for name in GATEWAY}
DOUBTS = (
    Doubt("nothing was read", lambda: replace(recorded(), metrics=None), lambda _: True, "the metrics were not read"),
    Doubt(
        "the page was not read and nobody knows why",
        lambda: replace(recorded(), metrics=replace(seen(), pages=())),
        lambda clause: not clause.startswith("container"),
        "no page was read",
    ),
    Doubt(
        "the page does not answer",
        lambda: troubled("page", "gateway of steady: GET /metrics: ConnectError"),
        lambda clause: not clause.startswith("container"),
        "ConnectError",
    ),
    Doubt(
        "Prometheus warns",
        lambda: troubled("prometheus", "prometheus of steady: warns: results may be incomplete"),
        lambda _: True,
        "results may be incomplete",
    ),
    Doubt(
        "Prometheus is empty though it scraped",
        lambda: replace(recorded(), metrics=replace(seen(), last=(), tracks=(), counts={}, types={})),
        lambda _: True,
        "has not one series of",
    ),
    Doubt(
        "Prometheus counts series and shows none",
        lambda: replace(recorded(), metrics=replace(seen(), last=())),
        lambda clause: clause != "undocumented",
        "and shows none",
    ),
    Doubt(
        "Prometheus did not take in the run",
        lambda: replace(
            recorded(), arrivals=(Arrival(backend="prometheus", ok=False, seconds=15, detail="the last scrape is old"),)
        ),
        lambda _: True,
        "the last scrape is old",
    ),
    Doubt(
        "the model server does not answer",
        lambda: troubled("upstream", "upstream of steady: GET /served/steady: 401"),
        OF_UPSTREAM.__contains__,
        "/served/steady: 401",
    ),
    Doubt(
        "a request got no answer",
        lambda: replace(
            recorded(),
            ledger=Ledger(
                requests=(
                    replace(recorded().ledger.requests[0], outcome=Outcome.LOST, status=None, error="timeout"),
                    *recorded().ledger.requests[1:],
                )
            ),
        ),
        LEDGER.__contains__,
        "1 of 200 requests got no answer",
    ),
    Doubt(
        "the load did not flow",
        lambda: replace(recorded(), ledger=Ledger(requests=())),
        LEDGER.__contains__,
        "the load did not flow",
    ),
    Doubt(
        "the gateway died",
        lambda: replace(recorded(), deaths=(Death(component="gateway-steady", at=1.0, detail="signal 9"),)),
        lambda _: True,
        "gateway-steady died",
    ),
    Doubt(
        "cAdvisor died",
        lambda: replace(recorded(), deaths=(Death(component="cadvisor", at=1.0, detail="exit 1"),)),
        lambda clause: clause.startswith("container"),
        "cadvisor died",
    ),
    Doubt(
        "no request was slow",
        lambda: replace(
            recorded(),
            metrics=replace(seen(), billed=tuple(replace(each, stalled=False) for each in seen().billed)),
        ),
        {f"{DURATION}/ledger", f"{AGENT_DURATION}/ledger"}.__contains__,
        "none had to wait",
    ),
)


@pytest.mark.parametrize("doubt", [pytest.param(each, id=each.name) for each in DOUBTS])
def test_what_a_clause_rests_on_makes_it_unproven_and_no_other(doubt: Doubt) -> None:
    """
    A dead, silent or lying backend is never a pass: what rests on it is unproven and says why.
    """
    verdicts = judged(doubt.run())
    unproven = of(verdicts, Status.UNPROVEN)

    assert unproven == set(filter(doubt.clauses, verdicts))
    assert all(doubt.says in verdicts[clause].reason for clause in unproven)
    assert of(verdicts, Status.BROKEN) == set()


def test_a_stand_in_for_cadvisor_is_never_the_real_thing() -> None:
    """
    What a stand-in serves is unsupported, with its reason.
    """
    verdicts = judged(replace(recorded(), stand_ins={"docker": "no control group can be made"}))
    unsupported = of(verdicts, Status.UNSUPPORTED)

    assert unsupported == {clause for clause in verdicts if clause.startswith("container")}
    assert verdicts[CPU].reason == "no control group can be made"


def test_natively_the_machine_is_judged_for_disks_and_networks_and_the_reason_says_so() -> None:
    """
    The verdict names whose figures they are; of a container they are the container's own.
    """

    def contained(tracks: Sequence[Track]) -> tuple[Track, ...]:
        return tuple(
            replace(t, labels={**t.labels, "name": "osmen-gateway"}) if t.labels.get("id") == "/" else t for t in tracks
        )

    native = judged(recorded())
    inside = judged(replace(recorded(), metrics=replace(seen(), tracks=contained(seen().tracks))))

    assert all("of the whole machine" in native[name].reason for name in (FS_USAGE, FS_WRITES, RECEIVED, SENT))
    assert "machine" not in native[CPU].reason
    assert not any("machine" in inside[name].reason for name in (FS_USAGE, FS_WRITES, RECEIVED, SENT))


def test_where_ids_are_not_passed_on_tokens_are_compared_without_the_agent() -> None:
    """
    What cannot be told apart is not compared, and the reason names it.
    """
    nameless = tuple(replace(each, request_id="") for each in seen().billed)
    verdict = judged(replace(recorded(), metrics=replace(seen(), billed=nameless)))[f"{TOKENS}/ledger"]

    assert verdict.status is Status.HOLDS
    assert verdict.reason.endswith("by model, type, as counted outside; agent cannot be told")


def test_ten_thousand_requests_are_judged() -> None:
    """
    A long run is judged like a short one: every clause that counts holds on fifty times the requests.
    """
    times = 50
    step = recorded().ended - recorded().begun
    requests = tuple(
        replace(
            each,
            due=each.due + n * step,
            sent=each.sent + n * step,
            finished=each.finished + n * step,
            request_id=f"{each.request_id}-{n}",
        )
        for n in range(times)
        for each in recorded().ledger.requests
    )
    billed = tuple(replace(each, request_id=f"{each.request_id}-{n}") for n in range(times) for each in seen().billed)
    grown = bent(
        samples=lambda all_: [
            replace(s, written=repr(s.value * times))
            if s.name.startswith("osmen_") and s.name not in (RATE, SHARE, USERS)
            else s
            for s in all_
        ]
    )
    phases = tuple(replace(span, wanted_rps=span.wanted_rps * times) for span in recorded().phases)
    run = replace(grown, ledger=Ledger(requests=requests), phases=phases, metrics=replace(seen(grown), billed=billed))
    verdicts = judged(run)

    assert len(run.ledger) == 10_000
    assert Counter(verdict.status for verdict in verdicts.values())[Status.BROKEN] == 0
    assert all(verdicts[f"{name}/ledger"].status is Status.HOLDS for name in (REQUESTS, ERRORS, TOKENS, COST, DURATION))


def test_no_machine_is_too_busy_to_tell_a_wrong_sum() -> None:
    """
    What is counted wrongly when all is over, or exposed under a label of the clients' own, is so at any speed.
    """
    counted = judged(bent(samples=every(ERRORS, lambda s: s.value + 1)))[f"{ERRORS}/ledger"]
    labelled = judged(bent(samples=relabelled(REQUESTS, asked_for)))[REQUESTS]
    kept = judged(replace(recorded(), metrics=replace(seen(), last=seen().last[:1])))

    assert (counted.status, counted.lasting) == (Status.BROKEN, True)
    assert (labelled.status, labelled.lasting) == (Status.BROKEN, True)
    assert not any(each.lasting for each in kept.values())


def test_a_service_that_fails_nothing_is_no_worse_for_it() -> None:
    """
    Where none of it need have happened, no error counted is right when none was seen, and one that was is not.
    """
    sound = tuple(
        replace(each, outcome=Outcome.SUCCESS, status=200) if each.outcome is Outcome.ERROR else each
        for each in recorded().ledger.requests
    )
    errors = contract().metric(ERRORS)

    def verdict(samples: Callable[[list[Sample]], list[Sample]], *, quiet: bool) -> Verdict:
        timeline = replace(bent(samples=samples), ledger=Ledger(requests=sound))
        return figures.agrees(errors, contract().metrics, timeline, quiet=quiet)

    def absent(samples: list[Sample]) -> list[Sample]:
        return [each for each in samples if each.name != ERRORS]

    assert verdict(every(ERRORS, lambda _: 0.0), quiet=True).status is Status.HOLDS
    assert verdict(absent, quiet=True).status is Status.HOLDS
    assert verdict(every(ERRORS, lambda _: 0.0), quiet=False).status is Status.UNPROVEN
    assert verdict(every(ERRORS, lambda sample: sample.value), quiet=True).status is Status.BROKEN


def test_a_call_that_was_answered_and_given_up_all_the_same_may_be_the_machines_doing() -> None:
    """
    What the model server billed of a request that failed, a service that stood still never heard.
    """
    failed = next(each.request_id for each in recorded().ledger.requests if each.outcome is Outcome.ERROR)
    billed = tuple(
        replace(each, status=200, prompt_tokens=3, completion_tokens=4) if each.request_id == failed else each
        for each in seen().billed
    )
    verdicts = judged(replace(recorded(), metrics=replace(seen(), billed=billed)))

    assert {name for name in (TOKENS, COST) if verdicts[f"{name}/ledger"].status is Status.BROKEN} == {TOKENS, COST}
    assert not any(verdicts[f"{name}/ledger"].lasting for name in (TOKENS, COST))
    assert judged(bent(samples=every(TOKENS, lambda s: s.value * 2)))[f"{TOKENS}/ledger"].lasting
