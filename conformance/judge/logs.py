"""Judges a service's log: each line, the lines against the clients' ledger, each documented query against the lines."""

from __future__ import annotations

import calendar
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from conformance.contract.model import FieldKind
from conformance.contract.parse import near_miss
from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven
from conformance.timeline.logs import PLANTED, QUIET, RUN
from fixtures.core.clock import at
from fixtures.load.ledger import Outcome, quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from conformance.contract.model import LogFormat, LogQuery, Logs, Selection
    from conformance.judge.verdict import Verdict
    from conformance.timeline.logs import Answer, Line, LogsSeen
    from conformance.timeline.model import Timeline
    from fixtures.load.ledger import Request

NEEDS = ("loki", "promtail")
"""What a verdict about logs rests on, besides the cell's own components and the program's."""

LONGEST = 256 * 1024
"""Characters of a line that log stores take, by default."""
STARTUP = 120.0
"""Seconds before the program within which a service may have begun to log."""
LATE = 1.0
"""Seconds after its answer within which a request's line is written; whole seconds are a documented form of time."""
ROUNDING = 0.005
"""Seconds by which a service's duration may exceed its client's: two clocks, and whole milliseconds."""
OVERHEAD = 2.0
"""Seconds that a single request may have spent outside the service: on a busy machine half a second was seen."""
BUSY = 0.25
"""A client that sends a request these seconds after it was due runs on a machine too busy to measure another by."""
BESIDE = 0.5
"""Seconds around a request in which the client's own lateness is looked at."""
SHARE = 0.1
"""Of a client's latency, the least that the service's own duration is, at the median of many: a half is usual."""
REPORTED = 0.002
"""Seconds within which the log and the answer name one duration."""
SHOWN = 160
"""Characters of a line that a finding shows."""
KINDS_SHOWN = 6

FAILURE_LEVELS = ("ERROR", "CRITICAL")

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?Z")
# Between a name and its value, in plain text or in JSON inside of JSON; a masked value is none.
_GIVEN = r"""\\?["']?\s*[:=]\s*\\?["']?(?!\*|null)"""
_TOLD = {
    "a password in an address": re.compile(r"://[^/\s:@\"]*:(?!\*+@)[^@\s/\"]+@"),
    "an authorization header": re.compile(r"(?i)\b(?:bearer|basic)\s+(?!\*)[A-Za-z0-9._~+/=-]{8,}"),
    "a key": re.compile(rf"\bsk-[A-Za-z0-9_-]{{16,}}|(?i:api[_-]?key){_GIVEN}[\w.-]{{3,}}"),
    # Also with a word before it, as in DB_PASSWORD.
    "a password": re.compile(rf"(?i)(?<![a-z])(?:password|passwd|passphrase|pwd|secret){_GIVEN}[^\s\",}}]{{3,}}"),
    # Counts and words follow that name too: what has both letters and digits is neither.
    "a token": re.compile(rf"(?i)(?<![a-z])token{_GIVEN}(?=[\w.-]*[a-z])(?=[\w.-]*\d)[\w.-]{{8,}}"),
    "the model's answer": re.compile(r"characters and has this to say"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Faults:
    """What is wrong, by kind: what was expected there, how often, and the first of its kind."""

    expected: dict[str, str] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    first: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, kind: str, expected: str, observed: str, location: str) -> None:
        self.expected.setdefault(kind, expected)
        self.count[kind] += 1
        self.first.setdefault(kind, (observed, location))

    def findings(self, *, clients: str = "", query: str = "") -> tuple[Finding, ...]:
        """One of each kind, the first kinds."""
        return tuple(
            Finding(
                expected=expected,
                observed=f"{kind}, {self.count[kind]} times; the first: {self.first[kind][0]}"
                if self.count[kind] > 1
                else f"{kind}: {self.first[kind][0]}",
                location=self.first[kind][1],
                clients=clients,
                query=query,
            )
            for kind, expected in list(self.expected.items())[:KINDS_SHOWN]
        )

    def reason(self) -> str:
        """The kinds, the first of them."""
        kinds = list(self.expected)
        more = f" and {len(kinds) - KINDS_SHOWN} more kinds" if len(kinds) > KINDS_SHOWN else ""
        return "; ".join(kinds[:KINDS_SHOWN]) + more


# --- log/format ---------------------------------------------------------------------------------------------------


def formatted(promise: LogFormat, timeline: Timeline) -> Verdict:
    """
    Each line that the service wrote is one record with the documented fields, and tells nothing that is secret.
    """
    clause, seen = "log/format", timeline.logs
    if reasons := _run_premises(timeline):
        return unproven(clause, "; ".join(reasons))
    assert seen is not None, "the premises say so"
    lines = seen.kept if seen.written is None else seen.written
    place = f"{seen.file} line" if seen.written is not None else f"{seen.query} line"
    faults = _Faults()
    earlier = 0.0
    for number, line in enumerate(lines, start=1):
        location = f"{place} {number}: {line.text[:SHOWN]}"
        for kind, expected, observed in _line_faults(promise, timeline, line):
            faults.add(kind, expected, observed, location)
        instant = _instant(_record(line.text).get("timestamp"))
        if instant is not None:
            if instant < earlier - LATE:
                faults.add("a line out of order", "lines in the order of their time", f"{at(instant)}", location)
            earlier = max(earlier, instant)
    if faults.expected:
        return broken(
            clause, faults.reason(), *faults.findings(query=seen.query), observations=sum(faults.count.values())
        )
    if reasons := _store_premises(seen):
        return unproven(clause, "; ".join(reasons))
    if not lines:
        return unproven(clause, f"the service wrote not one line{f' into {seen.file}' if seen.file else ''}")
    failures = sum(1 for line in lines if _record(line.text).get("level") in FAILURE_LEVELS)
    return holds(clause, observations=len(lines), reason=f"{len(lines)} lines, {failures} of them about failures")


def _line_faults(promise: LogFormat, timeline: Timeline, line: Line) -> Iterator[tuple[str, str, str]]:
    yield from _told(timeline, line)
    if line.length > LONGEST:
        size = f"{line.length} characters, of which {len(line.text)} were kept"
        yield "a line too long for a log store", f"at most {LONGEST} characters", size
        return
    if line.garbled:
        yield "a line that is not UTF-8", "text in UTF-8, as JSON has it", "other bytes, shown as \ufffd"
    one = "one JSON object a line"
    try:
        record, twice = _decoded(line.text)
    except ValueError as error:
        begun = line.text.lstrip()[:1] == "{"
        kind = "two records in one line" if begun and "Extra data" in str(error) else "text outside a record"
        yield kind, one, str(error)
        return
    except RecursionError:
        yield "text outside a record", one, "nested too deeply"
        return
    if not isinstance(record, dict):
        yield "text outside a record", one, f"a JSON {type(record).__name__}"
        return
    for name in twice:
        yield f"field {name} twice", "each field once", f"{name} stands twice"
    yield from _field_faults(promise, record)
    instant = _instant(record.get("timestamp"))
    first, last = timeline.begun - STARTUP, timeline.ended + STARTUP
    if instant is not None and not first <= instant <= last:
        hours = (instant - timeline.begun) / 3600
        yield (
            "a time outside the run",
            f"a time between {at(first)} and {at(last)} UTC",
            f"{record['timestamp']}, {hours:+.2f} hours from its beginning",
        )


def _field_faults(promise: LogFormat, record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    known = {each.name for each in promise.fields}
    for each in promise.fields:
        expected = f"field {each.name}: {_kind(each.kind)}{' or null' if each.nullable else ''}"
        if each.name not in record:
            meant = near_miss(each.name, [name for name in record if name not in known])
            yield f"field {each.name} is missing", expected, f"no {each.name}{meant}"
            continue
        value = record[each.name]
        if value is None and each.nullable:
            continue
        if wrong := _wrong(each.kind, value):
            yield f"field {each.name} is no {_kind(each.kind)}", expected, wrong
    level, service = record.get("level"), record.get("service")
    if isinstance(level, str) and level not in promise.levels:
        yield "an unknown level", f"level: one of {', '.join(promise.levels)}", _shown(level)
    if isinstance(service, str) and service not in promise.services:
        yield "an unknown service", f"service: one of {', '.join(promise.services)}", _shown(service)


def _told(timeline: Timeline, line: Line) -> Iterator[tuple[str, str, str]]:
    nothing = "no password, key or user text"
    for name in line.credentials:
        yield f"the run's credential {name} is told", nothing, f"the value of {name}"
    text = line.text
    # The beginning of a user's text is a user's text.
    if re.search(rf"request \d+ of {re.escape(timeline.cell[:3])}", text, re.IGNORECASE):
        yield "a user's text is told", nothing, "the input of a request"
    for what, pattern in _TOLD.items():
        if pattern.search(text):
            yield f"{what} is told", nothing, what


def _decoded(text: str) -> tuple[object, tuple[str, ...]]:
    """The value of a line, and the names that stand twice in its outermost object; NaN is no JSON."""
    twice: list[str] = []

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(given)
        if len(found) < len(given):
            names = [name for name, _ in given]
            twice.extend(sorted({name for name in names if names.count(name) > 1}))
        return found

    def refuse(name: str) -> float:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, object_pairs_hook=pairs, parse_constant=refuse), tuple(twice)


@lru_cache(maxsize=1 << 14)
def _record(text: str) -> Mapping[str, Any]:
    """The record of a line, read once for all clauses; empty where it holds none."""
    if text.lstrip()[:1] != "{":
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _records(text: str) -> Iterator[Mapping[str, Any]]:
    """Each record of a line; that there are several is the format's matter."""
    decoder, place = json.JSONDecoder(), 0
    while text[place : place + 1] == "{":
        try:
            found, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield found


def _kind(kind: FieldKind) -> str:
    return {
        FieldKind.TEXT: "text",
        FieldKind.WHOLE: "whole number",
        FieldKind.UTC_TIME: "UTC time (like 2024-11-18T10:00:00Z)",
    }[kind]


def _wrong(kind: FieldKind, value: object) -> str:
    """What is wrong with a value of that kind; empty when nothing is."""
    if kind is FieldKind.WHOLE:
        right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return "" if right else _shown(value)
    if not isinstance(value, str) or not value.strip():
        return _shown(value)
    return "" if kind is FieldKind.TEXT or _instant(value) is not None else _shown(value)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _instant(value: object) -> float | None:
    """The Unix seconds of a UTC time as it is documented; None for anything else."""
    return _utc(value) if isinstance(value, str) else None


@lru_cache(maxsize=1 << 14)
def _utc(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not (1 <= month <= 12 and year >= 1970 and hour < 24 and minute < 60 and second <= 60):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second)) + float(match.group(7) or 0)


# --- log/ledger ---------------------------------------------------------------------------------------------------


def agrees(timeline: Timeline) -> Verdict:
    """
    Each request that was answered left exactly one line that it is finished, which says what its client saw.
    """
    clause, seen = "log/ledger", timeline.logs
    if reasons := [*_run_premises(timeline), *_load(timeline)]:
        return unproven(clause, "; ".join(reasons))
    assert seen is not None, "the premises say so"
    if reasons := _store_premises(seen):
        return unproven(clause, "; ".join(reasons))
    faults, durations, doubts = _compared(timeline, seen)
    requests = [request for request in timeline.ledger.requests if request.status is not None]
    for outcome, shares in durations.items():
        if (share := quantile(0.5, shares)) < SHARE:
            faults.add(
                "durations far below what clients saw",
                f"at the median at least {SHARE:.0%} of the client's latency (durations divided by {timeline.tempo:g})",
                f"{share:.2%} over {len(shares)} requests that ended in {outcome}",
                "",
            )
    clients = f"{len(requests)} requests answered, {len(timeline.ledger.outcome(Outcome.ERROR))} of them with an error"
    if faults.expected:
        findings = faults.findings(clients=clients, query=seen.query)
        return broken(clause, faults.reason(), *findings, observations=sum(faults.count.values()))
    if doubts:
        return unproven(clause, f"{len(doubts)} requests or lines were late with the machine; the first: {doubts[0]}")
    median = quantile(0.5, [share for shares in durations.values() for share in shares])
    return holds(
        clause,
        observations=len(requests),
        reason=f"{clients}; each has its line, with {median:.0%} of the client's latency at the median",
    )


def _compared(timeline: Timeline, seen: LogsSeen) -> tuple[_Faults, dict[Outcome, list[float]], list[str]]:
    """
    Where lines and ledger differ; by outcome, the share of the client's latency that each line tells; what is doubtful.

    Time that a request spent outside the service is no fault of the service's while the client was late itself.
    """
    kept = _finished(seen.kept)
    written = kept if seen.written is None else _finished(seen.written)
    faults, one = _Faults(), "exactly one line that the request is finished"
    doubts: list[str] = []
    durations: dict[Outcome, list[float]] = defaultdict(list)
    for request in timeline.ledger.requests:
        if request.status is None:
            continue
        name = f"request {request.request_id} ({request.outcome}, sent {at(request.sent)})"
        lines = written.get(request.request_id, [])
        if not lines:
            faults.add("a request without its line", one, f"none for {name}", _around(seen, request))
            continue
        text, record = lines[0]
        if len(lines) > 1:
            faults.add("a request with several lines", one, f"{len(lines)} for {name}", lines[1][0][:SHOWN])
        elif request.request_id not in kept:
            faults.add("a line that the log store lost", f"{one} in the log store", f"none for {name}", text[:SHOWN])
        for kind, expected, observed in _disagreements(timeline, request, record):
            if kind in _WAITED and (lateness := _lateness(timeline, request)) > BUSY:
                said = f"expected {expected}, observed {observed} for {name}"
                doubts.append(f"{said}; meanwhile a request went out {lateness:.2f} s after it was due")
                continue
            faults.add(kind, expected, f"{observed} for {name}", text[:SHOWN])
        duration = _seconds(record, timeline.tempo)
        # What is refused at the door takes its service next to no time.
        if duration is not None and request.latency > 0 and request.outcome is not Outcome.REFUSED:
            durations[request.outcome].append(duration / request.latency)
    sent = {request.request_id for request in timeline.ledger.requests}
    for name, lines in {**written, **kept}.items():
        if name not in sent:
            faults.add("a line of no request", "lines of requests that were sent", name, lines[0][0][:SHOWN])
    return faults, durations, doubts


_WAITED = frozenset({"a duration without the wait", "a late line"})
"""What also happens to a sound service whose machine is too busy."""


def _lateness(timeline: Timeline, request: Request) -> float:
    """By how many seconds requests went out after they were due, at most, while this one was under way."""
    begun, ended = request.sent - BESIDE, request.finished + BESIDE
    near = [each.sent - each.due for each in timeline.ledger.requests if each.due <= ended and each.sent >= begun]
    return max(near, default=0.0)


def _finished(lines: Iterable[Line]) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """By request id: each line with an outcome or a duration, as text and as record."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for line in lines:
        whole = _record(line.text)
        for record in (whole,) if whole else tuple(_records(line.text)):
            if record.get("status") is not None or record.get("duration_ms") is not None:
                found[str(record.get("request_id"))].append((line.text, record))
    return dict(found)


def _around(seen: LogsSeen, request: Request) -> str:
    """What else names a request that has no line of its end."""
    for line in seen.written or seen.kept:
        if request.request_id in line.text:
            return line.text[:SHOWN]
    return ""


def _seconds(record: Mapping[str, Any], tempo: float) -> float | None:
    """The real duration that a record states; None where it states none that is a number."""
    value = record.get("duration_ms")
    return value / 1000 / tempo if isinstance(value, int | float) and not isinstance(value, bool) else None


def _disagreements(timeline: Timeline, request: Request, record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Where a line says something else than its client saw; a field that is missing is the format's matter."""
    refused = request.outcome is Outcome.REFUSED
    for name, value in (("agent", request.agent), ("user_id", request.user)):
        if name in record and record[name] != value and not refused:
            yield f"another {name}", f"{name} {value}", _shown(record[name])
    # A service that is none is the format's matter.
    if record.get("service") == AGENT:
        yield "another service", f"service {SERVICE}, which the documented queries select", _shown(record["service"])
    succeeded = request.outcome is Outcome.SUCCESS
    said = record.get("status")
    right = said == Outcome.SUCCESS if succeeded else bool(said) and said != Outcome.SUCCESS
    if "status" in record and not right:
        expected = "status success" if succeeded else "a status that says the failure"
        yield "another outcome", f"{expected} (HTTP {request.status})", _shown(record["status"])
    level = str(record.get("level")).upper()
    sound = succeeded or refused
    if "level" in record and (level in FAILURE_LEVELS) is sound:
        expected = "a level below ERROR" if sound else f"level {' or '.join(FAILURE_LEVELS)}"
        yield "another level than its outcome's", expected, _shown(record["level"])
    yield from _lasted(timeline, request, record)
    instant = _instant(record.get("timestamp"))
    if instant is None or not timeline.begun - STARTUP <= instant <= timeline.ended + LATE + STARTUP:
        return
    if instant > request.finished + LATE:
        expected = f"its line by {at(request.finished)}, {LATE:g} s allowed"
        yield "a late line", expected, f"{instant - request.finished:.2f} s after the answer"
    if instant < request.sent - LATE - ROUNDING:
        early = f"{request.sent - instant:.2f} s before it was sent"
        yield "an early line", f"its line after {at(request.sent)}", early


def _lasted(timeline: Timeline, request: Request, record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    tempo, duration = timeline.tempo, _seconds(record, timeline.tempo)
    if duration is None:
        if "duration_ms" in record and record["duration_ms"] is None:
            yield "no duration", "the duration of a finished request", "null"
        return
    least, most = request.latency - OVERHEAD, request.latency + ROUNDING
    expected = f"{1000 * max(0.0, least):.1f} to {1000 * most:.1f} ms as its client saw it"
    said = f"{1000 * duration:.1f} ms (duration_ms {record['duration_ms']:g} at tempo {tempo:g})"
    if duration < least:
        yield "a duration without the wait", expected, said
    elif duration > most:
        yield "another duration", expected, said
    elif request.reported_ms is not None and abs(request.reported_ms / 1000 / tempo - duration) > REPORTED:
        yield "another duration than the answer's", f"{request.reported_ms:g} ms as answered", said


# --- log/query/NAME -----------------------------------------------------------------------------------------------


def finds(query: LogQuery, timeline: Timeline) -> Verdict:
    """
    The shipped query finds, among planted lines and the run's own, exactly what the document says that it does.
    """
    clause, seen = f"log/query/{query.name}", timeline.logs
    if reasons := _run_premises(timeline):
        return unproven(clause, "; ".join(reasons))
    assert seen is not None, "the premises say so"
    # A store that has not taken in the run was not asked for the planted lines either.
    if reasons := _store_premises(seen) or _planted_premises(seen):
        return unproven(clause, "; ".join(reasons))
    answers = {answer.question.place: answer for answer in _answers(query, seen, "shipped")}
    lacking = [place for place in ((PLANTED, RUN, QUIET) if query.window else (PLANTED, RUN)) if place not in answers]
    if lacking:
        return unproven(clause, f"was not asked of the lines: {', '.join(lacking)}")
    if untrue := [answer.error for answer in answers.values() if answer.error]:
        return unproven(clause, untrue[0])
    refused = [
        Finding(expected="a query that the log store runs", observed=answer.refused, query=answer.question.query)
        for answer in answers.values()
        if answer.refused
    ]
    if refused:
        return broken(clause, "the log store refuses it", refused[0])
    if query.window and not _instants(seen, answers[RUN], query.window.total_seconds()):
        return unproven(clause, f"no line of the run's own lies within {query.window.total_seconds():g} s of its end")
    judge: Callable[[LogQuery, Timeline, LogsSeen, Answer], tuple[Finding | None, int]]
    judge = _rate if query.window else _lines
    judged = [judge(query, timeline, seen, answers[place]) for place in answers]
    findings = [finding for finding, _ in judged if finding is not None]
    if findings:
        reason = "does not give the documented rate" if query.window else "does not find exactly the documented lines"
        return broken(clause, reason, *findings, observations=len(findings))
    counts = dict(zip(answers, (count for _, count in judged), strict=True))
    return holds(
        clause,
        observations=sum(counts.values()),
        reason=f"{counts[PLANTED]} of {len(_places(seen, PLANTED))} planted lines, {counts[RUN]} of the run's"
        + _as_documented(query, timeline, seen),
    )


def _answers(query: LogQuery, seen: LogsSeen, form: str) -> list[Answer]:
    return [each for each in seen.answers if each.question.name == query.name and each.question.form == form]


def _places(seen: LogsSeen, place: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Each planted line of a place: its key, what it is, its record."""
    return [
        (each.key, f"{each.what}{' (wrapped)' if each.wrapped else ''}", _record(each.text))
        for each in seen.planted
        if each.place == place
    ]


def selected(selection: Selection, record: Mapping[str, Any]) -> bool:
    """Whether a record is one that the document means."""
    value = record.get(selection.field)
    if selection.above is not None:
        return isinstance(value, int | float) and not isinstance(value, bool) and value > selection.above
    return value in selection.any_of


def _lines(query: LogQuery, timeline: Timeline, seen: LogsSeen, answer: Answer) -> tuple[Finding | None, int]:
    """What is wrong with the lines of an answer, and how many were rightly found."""
    if answer.question.place == PLANTED:
        planted = _places(seen, PLANTED)
        wanted = {what for _, what, record in planted if selected(query.selects, record)}
        found: set[str] = set()
        for line in answer.lines:
            found |= {what for key, what, _ in planted if key in line} or {f"a line nobody planted: {line[:SHOWN]}"}
    else:
        wanted = {
            line.text for line in seen.kept if line.service == SERVICE and selected(query.selects, _record(line.text))
        }
        # What is no record is the format's matter; whether a query passes such lines is told by the planted ones.
        found = {text for text in answer.lines if _record(text)}
    missed, wrong = sorted(wanted - found), sorted(found - wanted)
    if not missed and not wrong:
        return None, len(wanted)
    failed = len(timeline.ledger.outcome(Outcome.ERROR))
    finding = Finding(
        expected=f"{len(wanted)} of the {_called(answer)} lines: {query.promise}",
        observed="; ".join(
            f"{verb} {len(lines)}: {', '.join(line[:SHOWN] for line in lines[:4])}{', …' if len(lines) > 4 else ''}"
            for verb, lines in (("misses", missed), ("finds wrongly", wrong))
            if lines
        ),
        query=answer.question.query,
        clients=f"{failed} of {len(timeline.ledger)} requests failed" if answer.question.place == RUN else "",
    )
    return finding, len(wanted & found)


SERVICE, AGENT = "gateway", "agent"
"""The label that each documented query selects, and the one whose lines no such query finds."""


def _rate(query: LogQuery, timeline: Timeline, seen: LogsSeen, answer: Answer) -> tuple[Finding | None, int]:
    """What is wrong with a rate, and over how many lines it was right; no line is a case of its own, and counts."""
    assert query.window is not None, "a rate has a window"
    window = query.window.total_seconds()
    if answer.question.place == RUN:
        instants = [
            line.at
            for line in seen.kept
            if line.at is not None and line.service == SERVICE and selected(query.selects, _record(line.text))
        ]
    else:
        instants = [
            each.at
            for each in seen.planted
            if each.place == answer.question.place and selected(query.selects, _record(each.text))
        ]
    # A line within a millisecond of the window's edge may be on either side: instants are read as such.
    least = sum(1 for instant in instants if answer.at - window + 0.001 < instant < answer.at - 0.001)
    most = sum(1 for instant in instants if answer.at - window - 0.001 < instant < answer.at + 0.001)
    lines = [value * window for value in answer.values]
    if len(lines) == 1 and least - 0.01 <= lines[0] <= most + 0.01:
        return None, max(1, least)
    shown = ", ".join(f"{value:.6f}" for value in answer.values[:4]) or "nothing"
    failed = len(timeline.ledger.outcome(Outcome.ERROR))
    return Finding(
        expected=f"one series, {least} of the {_called(answer)} lines in {window:g} s: {least / window:.6f}",
        observed=f"{len(answer.values)} series: {shown}",
        query=f"{answer.question.query} at {at(answer.at)}",
        clients=f"{failed} of {len(timeline.ledger)} requests failed" if answer.question.place == RUN else "",
        because="a rate of LogQL is lines per second of real time, at any tempo",
    ), 0


def _instants(seen: LogsSeen, answer: Answer, window: float) -> list[float]:
    """When the run's own lines within the window of an answer were written, whatever they say."""
    return [
        line.at
        for line in seen.kept
        if line.at is not None and line.service == SERVICE and answer.at - window < line.at < answer.at
    ]


def _called(answer: Answer) -> str:
    return {RUN: "run's own", PLANTED: "planted", QUIET: "planted error-free"}[answer.question.place]


def _as_documented(query: LogQuery, timeline: Timeline, seen: LogsSeen) -> str:
    """What the query does as the document has it; told, not judged: each correction has its reason in the contract."""
    if query.documented == query.shipped:
        return ""
    for answer in _answers(query, seen, "documented"):
        if answer.refused or answer.error:
            return f"; as documented it gives no answer: {answer.refused or answer.error}"
        finding, _ = (_rate if query.window else _lines)(query, timeline, seen, answer)
        return f"; as documented it is wrong: {finding.observed}" if finding else "; as documented it does the same"
    return ""


# --- premises -----------------------------------------------------------------------------------------------------


def _run_premises(timeline: Timeline) -> list[str]:
    reasons = [*premise.deaths(timeline, NEEDS)]
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    if timeline.logs is None:
        reasons.append("the log was not read")
    return reasons


def _store_premises(seen: LogsSeen) -> list[str]:
    reasons = [f"the log store has not taken in the run: {seen.lagging}"] if seen.lagging else []
    return [*reasons, *seen.troubles]


def _planted_premises(seen: LogsSeen) -> list[str]:
    if not seen.planted:
        return ["no line was planted that would tell a right query from a wrong one"]
    stored = "\n".join(seen.arrived)
    lacking = [each for each in seen.planted if each.key not in stored]
    if not lacking:
        return []
    first = lacking[0].what
    return [f"{len(lacking)} of {len(seen.planted)} planted lines are not in the log store, the first: {first}"]


def _load(timeline: Timeline) -> list[str]:
    """Why the clients' own account proves nothing about the log."""
    if not len(timeline.ledger):
        return ["the load did not flow: no request was sent"]
    lost = timeline.ledger.outcome(Outcome.LOST)
    if len(lost):
        return [f"{len(lost)} of {len(timeline.ledger)} requests got no answer (the first: {lost.requests[0].error})"]
    return []


def clauses(promises: Logs, timeline: Timeline) -> tuple[Verdict, ...]:
    """Every verdict about logs."""
    return (
        formatted(promises.format, timeline),
        *(finds(query, timeline) for query in promises.queries),
        agrees(timeline),
    )
