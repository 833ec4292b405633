"""The judges of logs: a recorded run bent in one named way each, and a log store that lies, lags or loses lines."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conformance.contract.load import load
from conformance.judge import logs as judges
from conformance.judge.verdict import Status
from conformance.observe import logs as observing
from conformance.observe import planted as planting
from conformance.observe.client import Client
from conformance.selftest.logs_recording import recorded
from conformance.timeline.logs import PLANTED, QUIET, RUN, Answer, Line, LogsSeen, Question
from conformance.timeline.model import Death
from fixtures.core import clock, patience
from fixtures.load.ledger import Ledger, Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

CONTRACT = load(None)
FORMAT, LEDGER = "log/format", "log/ledger"
ERRORS, AGENT, SLOW, RATE = (f"log/query/{name}" for name in ("errors", "agent", "slow", "error-rate"))
ALL = (FORMAT, ERRORS, AGENT, SLOW, RATE, LEDGER)
SOUND = recorded()
Texts = str | tuple[str, ...] | None


def judged(seen: Timeline) -> dict[str, Verdict]:
    """
    The verdict of each clause about logs.
    """
    return {each.clause: each for each in judges.clauses(CONTRACT.logs, seen)}


def statuses(seen: Timeline) -> dict[str, Status]:
    return {clause: verdict.status for clause, verdict in judged(seen).items()}


# --- bending


def logs(seen: Timeline = SOUND) -> LogsSeen:
    assert seen.logs is not None
    return seen.logs


def bent(**changes: Any) -> Timeline:  # noqa: ANN401  the fields of LogsSeen
    return replace(SOUND, logs=replace(logs(), **changes))


def answered(seen: LogsSeen) -> LogsSeen:
    """
    With the answers about the run's own lines that an honest log store gives.
    """

    def again(answer: Answer) -> Answer:
        if answer.question.place != RUN:
            return answer
        selection = CONTRACT.log_query(answer.question.name).selects
        lines = [
            line.text
            for line in seen.kept
            if line.service == "gateway" and judges.selected(selection, judges._record(line.text))
        ]
        if answer.question.counts:
            return replace(answer, values=(len(lines) / 300,))
        return replace(answer, lines=tuple(lines))

    return replace(seen, answers=tuple(again(each) for each in seen.answers))


def lines(change: Callable[[str], Texts], *, file: bool = True, store: bool = True) -> Timeline:
    """
    Each line as `change` makes it: another, several, or none where it gives None.
    """

    def changed(given: tuple[Line, ...]) -> Iterator[Line]:
        for line in given:
            made = change(line.text)
            for text in (made,) if isinstance(made, str) else made or ():
                yield replace(line, text=text, length=len(text))

    seen = logs()
    assert seen.written is not None
    return replace(
        SOUND,
        logs=answered(
            replace(
                seen,
                written=tuple(changed(seen.written)) if file else seen.written,
                kept=tuple(changed(seen.kept)) if store else seen.kept,
            )
        ),
    )


def is_end(text: str) -> bool:
    return "Agent execution" in text and '"status":null' not in text


def records(change: Callable[[dict[str, Any]], object], *, only: Callable[[str], bool] = is_end) -> Timeline:
    """
    The record of each line that `only` names, changed in place.
    """

    def changed(text: str) -> str:
        if not only(text):
            return text
        record = json.loads(text)
        change(record)
        return json.dumps(record, separators=(",", ":"))

    return lines(changed)


def fields(**given: Any) -> Callable[[dict[str, Any]], object]:  # noqa: ANN401  any JSON
    return lambda record: record.update(given)


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.pop(name)


FIRST = SOUND.ledger.requests[5]
TWO = SOUND.ledger.requests[5:7]
LONG = next(each for each in SOUND.ledger.requests if 0.01 < each.latency < 0.2 and each.reported_ms)
FAILED = SOUND.ledger.outcome(Outcome.ERROR).requests[0]


def of(request: Request) -> Callable[[str], bool]:
    return lambda text: request.request_id in text and is_end(text)


def failing(text: str) -> bool:
    return '"status":"error"' in text


def refused(text: str) -> bool:
    """Whether a line tells that a client's mistake was refused."""
    return '"rejected"' in text and is_end(text)


def instead(only: Callable[[str], bool], made: Callable[[str], Texts], **where: bool) -> Timeline:
    return lines(lambda text: made(text) if only(text) else text, **where)


def traceback(text: str) -> Texts:
    return (text, "Traceback (most recent call last):", '  File "/app/agents.py", line 7, in run', "ValueError: no")


def shifted(seconds: float) -> Callable[[dict[str, Any]], object]:
    def shift(record: dict[str, Any]) -> None:
        instant = judges._instant(record["timestamp"])
        assert instant is not None
        record["timestamp"] = clock.iso(instant + seconds)

    return shift


def joining() -> Callable[[str], Texts]:
    """
    The record of the sixth request stands behind the one of the seventh, in its line.
    """
    first, second = (next(line.text for line in logs().kept if of(each)(line.text)) for each in TWO)
    return lambda text: {first: None, second: second + first}.get(text, text)


def reply(name: str, place: str = PLANTED, **changes: Any) -> Timeline:  # noqa: ANN401  the fields of Answer
    """
    Another answer to the shipped query of that name.
    """
    seen = logs()
    wanted = [
        each
        for each in seen.answers
        if (each.question.name, each.question.place, each.question.form) == (name, place, "shipped")
    ]
    assert len(wanted) == 1
    return bent(answers=tuple(replace(each, **changes) if each in wanted else each for each in seen.answers))


def found(name: str, keep: Callable[[str], bool], *more: str, place: str = PLANTED) -> Timeline:
    """
    The answer to a query with those lines alone, and with more of the planted ones by what they are.
    """
    [answer] = [
        each
        for each in logs().answers
        if (each.question.name, each.question.place, each.question.form) == (name, place, "shipped")
    ]
    added = tuple(each.text for each in logs().planted if each.what in more)
    assert len(added) == 2 * len(more)
    return reply(name, place, lines=(*(text for text in answer.lines if keep(text)), *added))


def everything(_: str) -> bool:
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviant:
    """A log that breaks a promise in one named way: which clauses it breaks, and a word of the reason."""

    name: str
    seen: Callable[[], Timeline]
    broken: tuple[str, ...]
    word: str
    unproven: tuple[str, ...] = field(default=())


def deviant(name: str, seen: Callable[[], Timeline], broken: str | tuple[str, ...], word: str) -> Any:  # noqa: ANN401
    clauses = (broken,) if isinstance(broken, str) else broken
    return pytest.param(Deviant(name=name, seen=seen, broken=clauses, word=word), id=name)


DROPPED: dict[str, str | tuple[str, ...]] = {
    "timestamp": FORMAT,
    "level": FORMAT,
    "service": FORMAT,
    "user_id": FORMAT,
    "agent": FORMAT,
    "duration_ms": FORMAT,
    "status": FORMAT,
    "message": FORMAT,
    # Without it nobody can say whose line it is.
    "request_id": (FORMAT, LEDGER),
}

DEVIANTS = [
    # log/format: what a line is
    *(
        deviant(f"field {name} dropped", partial(records, without(name)), clauses, f"field {name} is missing")
        for name, clauses in DROPPED.items()
    ),
    deviant(
        "a field misspelt",
        lambda: records(lambda record: record.update({"duration": record.pop("duration_ms")})),
        FORMAT,
        "did you mean 'duration'",
    ),
    deviant("a field null that may not be", lambda: records(fields(message=None)), FORMAT, "message is no text"),
    deviant("an empty message", lambda: records(fields(message=" ")), FORMAT, "message is no text"),
    deviant(
        "a field of another type",
        lambda: records(fields(user_id=["u"]), only=of(FAILED)),
        (FORMAT, LEDGER),
        "user_id is no text",
    ),
    deviant(
        "a field twice",
        lambda: instead(of(FIRST), lambda text: text.replace("{", '{"level":"INFO",', 1)),
        FORMAT,
        "level twice",
    ),
    deviant(
        "duration as text",
        lambda: records(lambda record: record.update(duration_ms=str(record["duration_ms"])), only=of(FIRST)),
        FORMAT,
        "duration_ms is no whole number",
    ),
    deviant(
        "duration with a fraction",
        lambda: records(lambda record: record.update(duration_ms=record["duration_ms"] + 0.5), only=of(FIRST)),
        FORMAT,
        "duration_ms is no whole number",
    ),
    deviant(
        "duration as a flag", lambda: records(fields(duration_ms=True), only=of(FIRST)), FORMAT, "duration_ms is no"
    ),
    deviant(
        "a number that is no JSON",
        lambda: instead(of(FIRST), lambda text: text.replace("{", '{"load":NaN,', 1)),
        FORMAT,
        "NaN is no JSON",
    ),
    deviant(
        "local time",
        lambda: records(lambda record: record.update(timestamp=record["timestamp"].replace("Z", "+01:00"))),
        FORMAT,
        "UTC time",
    ),
    deviant(
        "time without a zone",
        lambda: records(lambda record: record.update(timestamp=record["timestamp"].rstrip("Z"))),
        FORMAT,
        "UTC time",
    ),
    deviant("time as a number", lambda: records(fields(timestamp=1732000000)), FORMAT, "timestamp is no UTC time"),
    deviant(
        "a time that does not exist", lambda: records(fields(timestamp="2026-02-30T10:00:00Z")), FORMAT, "UTC time"
    ),
    deviant("local time called UTC", lambda: records(shifted(3600), only=everything), FORMAT, "+1.00 hours"),
    deviant(
        "local time west called UTC", lambda: records(shifted(-5 * 3600), only=everything), FORMAT, "outside the run"
    ),
    deviant(
        "a line out of order",
        lambda: records(shifted(-30), only=lambda text: '"Started' in text or "Uvicorn" in text),
        FORMAT,
        "out of order",
    ),
    deviant(
        "levels in lower case",
        lambda: records(lambda record: record.update(level=record["level"].lower())),
        FORMAT,
        "an unknown level",
    ),
    deviant("an unknown level", lambda: records(fields(level="NOTICE"), only=of(FIRST)), FORMAT, "an unknown level"),
    deviant(
        "an unknown service", lambda: records(fields(service="osmen"), only=of(FIRST)), FORMAT, "an unknown service"
    ),
    deviant(
        "two records in one line",
        lambda: lines(joining()),
        FORMAT,
        "two records in one line",
    ),
    deviant("a traceback on its own lines", lambda: instead(failing, traceback), FORMAT, "text outside a record"),
    deviant(
        "an access line",
        lambda: instead(of(FIRST), lambda text: (text, 'INFO: 127.0.0.1:1 - "POST /" 200')),
        FORMAT,
        "text outside",
    ),
    deviant("an empty line", lambda: instead(of(FIRST), lambda text: (text, "")), FORMAT, "text outside a record"),
    deviant("a list for a record", lambda: instead(of(FIRST), lambda text: (text, "[1]")), FORMAT, "a JSON list"),
    deviant(
        "a record broken over lines",
        lambda: instead(
            lambda text: '"Started' in text, lambda text: tuple(json.dumps(json.loads(text), indent=1).splitlines())
        ),
        FORMAT,
        "text outside a record",
    ),
    deviant(
        "bytes that are no UTF-8",
        lambda: bent(
            written=tuple(replace(each, garbled=FIRST.request_id in each.text) for each in logs().written or ())
        ),
        FORMAT,
        "a line that is not UTF-8",
    ),
    # log/format: what it must not tell
    *(
        deviant(f"told: {message}", partial(records, fields(message=message)), FORMAT, word)
        for message, word in {
            f"asked: REQUEST 5 OF {SOUND.cell.upper()}": "a user's text is told",
            f"asked: request 5 of {SOUND.cell[:4]}…": "a user's text is told",
            "DB_PASSWORD=geheim1": "a password is told",
            '{"client_secret": "s3cr3tly"}': "a password is told",
            "access_token=abc123def456": "a token is told",
        }.items()
    ),
    deviant(
        "a user's text told",
        lambda: records(lambda record: record.update(message=f"asked: request 5 of {SOUND.cell}")),
        FORMAT,
        "a user's text is told",
    ),
    deviant(
        "a user's text in another field",
        lambda: records(fields(prompt=f"request 5 of {SOUND.cell}"), only=of(FIRST)),
        FORMAT,
        "a user's text is told",
    ),
    deviant(
        "the model's answer told",
        lambda: records(fields(output="gpt-4 has read 9 characters and has this to say."), only=of(FIRST)),
        FORMAT,
        "the model's answer is told",
    ),
    deviant(
        "a password in an address",
        lambda: records(fields(message="postgresql://osmen:hunter2@127.0.0.1:5432/osmen")),
        FORMAT,
        "a password in an address",
    ),
    deviant(
        "a password by name",
        lambda: records(fields(message='login with {"password": "hunter2"}'), only=of(FIRST)),
        FORMAT,
        "a password is told",
    ),
    deviant(
        "a bearer token",
        lambda: records(fields(message="Authorization: Bearer abcdef0123456789"), only=of(FIRST)),
        FORMAT,
        "an authorization header",
    ),
    deviant(
        "a key by its shape",
        lambda: records(fields(message="using sk-abcdef0123456789abcdef"), only=of(FIRST)),
        FORMAT,
        "a key is told",
    ),
    deviant("a key by name", lambda: records(fields(api_key="abcdef0123"), only=of(FIRST)), FORMAT, "a key is told"),
    deviant(
        "the run's own credential told",
        lambda: bent(written=tuple(replace(each, credentials=("postgres",)) for each in logs().written or ())),
        FORMAT,
        "the run's credential postgres",
    ),
    deviant(
        "a line of 1 MB",
        lambda: bent(written=(*(logs().written or ()), Line(text="{" + "x" * 4095, length=1_000_000))),
        FORMAT,
        "1000000 characters",
    ),
    # log/ledger
    deviant("a line missing", lambda: instead(of(FIRST), lambda _: None), LEDGER, "a request without its line"),
    deviant("no failure logged", lambda: instead(failing, lambda _: None), LEDGER, "without its line, 9 times"),
    deviant(
        "nothing logged",
        lambda: lines(lambda text: None if is_end(text) else text),
        LEDGER,
        "without its line, 200 times",
    ),
    deviant(
        "a line twice", lambda: instead(of(FIRST), lambda text: (text, text)), LEDGER, "a request with several lines"
    ),
    deviant(
        "a line twice in the file alone",
        lambda: instead(of(FIRST), lambda text: (text, text), store=False),
        LEDGER,
        "several lines",
    ),
    deviant(
        "a line lost on the way", lambda: instead(of(FIRST), lambda _: None, file=False), LEDGER, "the log store lost"
    ),
    deviant(
        "a line of no request",
        lambda: instead(of(FIRST), lambda text: (text, text.replace(FIRST.request_id, "req_other"))),
        LEDGER,
        "a line of no request",
    ),
    deviant(
        "an id cut short",
        lambda: records(lambda record: record.update(request_id=record["request_id"][:12])),
        LEDGER,
        "a line of no request",
    ),
    deviant(
        "a line without an id", lambda: records(fields(request_id=None), only=of(FIRST)), LEDGER, "a line of no request"
    ),
    deviant("a late line", lambda: records(shifted(2.5), only=of(SOUND.ledger.requests[-1])), LEDGER, "a late line"),
    deviant(
        "an early line",
        lambda: records(shifted(-2.5), only=everything),
        LEDGER,
        "an early line",
    ),
    deviant(
        "a failure called success",
        lambda: records(fields(status="success"), only=of(FAILED)),
        LEDGER,
        "another outcome",
    ),
    deviant(
        "a success called error", lambda: records(fields(status="error"), only=of(FIRST)), LEDGER, "another outcome"
    ),
    deviant("no outcome", lambda: records(fields(status=None), only=of(FIRST)), LEDGER, "another outcome"),
    deviant("a failure at INFO", lambda: records(fields(level="INFO"), only=failing), LEDGER, "another level"),
    deviant(
        "a mistake of a client at ERROR", lambda: records(fields(level="ERROR"), only=refused), LEDGER, "another level"
    ),
    deviant("a success at ERROR", lambda: records(fields(level="ERROR"), only=of(FIRST)), LEDGER, "another level"),
    deviant("another user", lambda: records(fields(user_id="user999"), only=of(FIRST)), LEDGER, "another user_id"),
    deviant("another agent", lambda: records(fields(agent="librarian_2"), only=of(FIRST)), LEDGER, "another agent"),
    deviant("no duration", lambda: records(fields(duration_ms=None), only=of(FIRST)), LEDGER, "no duration"),
    deviant(
        "durations in unscaled time",
        lambda: records(lambda record: record.update(duration_ms=round(record["duration_ms"] / 60))),
        LEDGER,
        "durations far below",
    ),
    deviant(
        "a duration too long", lambda: records(fields(duration_ms=90_000), only=of(FIRST)), LEDGER, "another duration"
    ),
    deviant(
        "durations in microseconds",
        lambda: records(lambda record: record.update(duration_ms=record["duration_ms"] * 1000)),
        LEDGER,
        "another duration",
    ),
    deviant(
        "durations of nothing", lambda: records(fields(duration_ms=0), only=failing), LEDGER, "durations far below"
    ),
    deviant(
        "a duration that is not the answer's",
        lambda: records(lambda record: record.update(duration_ms=1), only=of(LONG)),
        LEDGER,
        "than the answer's",
    ),
    deviant("a line that no query can find", lambda: records(fields(service="agent")), LEDGER, "another service"),
    # log/query/NAME
    deviant("errors finds nothing", lambda: reply("errors", lines=()), ERRORS, "misses 6"),
    deviant(
        "errors misses CRITICAL",
        lambda: found("errors", lambda text: "CRITICAL" not in text),
        ERRORS,
        "misses 2: CRITICAL",
    ),
    deviant(
        "errors finds ERROR in a message",
        lambda: found("errors", everything, "INFO with ERROR in its message"),
        ERRORS,
        "finds wrongly 2: INFO with ERROR",
    ),
    deviant(
        "errors finds lower case", lambda: found("errors", everything, '"level":"error"'), ERRORS, "finds wrongly 2"
    ),
    deviant(
        "errors misses records with spaces",
        lambda: found("errors", lambda text: '": ' not in text),
        ERRORS,
        "ERROR written with spaces",
    ),
    deviant(
        "errors misses wrapped lines",
        lambda: found("errors", lambda text: not any(each.key in text for each in logs().planted if each.wrapped)),
        ERRORS,
        "(wrapped)",
    ),
    deviant(
        "errors finds a traceback",
        lambda: found("errors", everything, "a line of a traceback"),
        ERRORS,
        "a line of a traceback",
    ),
    deviant(
        "errors finds what nobody planted",
        lambda: reply(
            "errors",
            lines=(
                *next(
                    each.lines
                    for each in logs().answers
                    if each.question.name == "errors" and each.question.place == PLANTED
                ),
                "ERROR",
            ),
        ),
        ERRORS,
        "nobody planted",
    ),
    deviant("errors misses a line of the run", lambda: reply("errors", RUN, lines=()), ERRORS, "misses 9"),
    deviant(
        "errors finds the run's others",
        lambda: reply("errors", RUN, lines=tuple(each.text for each in logs().kept)),
        ERRORS,
        "finds wrongly",
    ),
    deviant("agent finds nothing", lambda: reply("agent", lines=()), AGENT, "misses 4"),
    deviant("agent finds another agent", lambda: found("agent", everything, "another agent"), AGENT, "another agent"),
    deviant(
        "agent finds its name in a message",
        lambda: found("agent", everything, "INFO with daily_brief in its message"),
        AGENT,
        "in its message",
    ),
    deviant(
        "agent finds an access line", lambda: found("agent", everything, "an access line"), AGENT, "an access line"
    ),
    deviant("agent misses the run's lines", lambda: reply("agent", RUN, lines=()), AGENT, "misses 88"),
    deviant("slow finds nothing", lambda: reply("slow", lines=()), SLOW, "misses 4"),
    deviant("slow finds 5000 ms", lambda: found("slow", everything, "INFO of exactly 5000 ms"), SLOW, "exactly 5000"),
    deviant("slow misses 5001 ms", lambda: found("slow", lambda text: ":5001" not in text), SLOW, "INFO of 5001 ms"),
    deviant("slow finds what is no number", lambda: found("slow", everything, 'duration_ms of "n/a"'), SLOW, "n/a"),
    deviant("slow finds null", lambda: found("slow", everything, "duration_ms of null"), SLOW, "of null"),
    deviant(
        "slow finds what is no JSON",
        lambda: found("slow", everything, "an access line", "a line of a traceback"),
        SLOW,
        "a traceback",
    ),
    deviant("slow finds seconds", lambda: found("slow", everything, "INFO of 2341 ms by daily_brief"), SLOW, "2341"),
    deviant("slow misses the run's lines", lambda: reply("slow", RUN, lines=()), SLOW, "misses 20"),
    deviant("a rate of two series", lambda: reply("error-rate", values=(0.01, 0.01)), RATE, "2 series"),
    deviant("a rate of none", lambda: reply("error-rate", values=()), RATE, "0 series: nothing"),
    deviant("no rate where no error was", lambda: reply("error-rate", QUIET, values=()), RATE, "0 series: nothing"),
    deviant("a rate where no error was", lambda: reply("error-rate", QUIET, values=(2 / 300,)), RATE, "error-free"),
    deviant("a rate of every line that says ERROR", lambda: reply("error-rate", values=(10 / 300,)), RATE, "0.033333"),
    deviant("a rate per minute", lambda: reply("error-rate", values=(6 / 5,)), RATE, "1.200000"),
    deviant("a count for a rate", lambda: reply("error-rate", values=(6.0,)), RATE, "6.000000"),
    deviant("a ratio for a rate", lambda: reply("error-rate", values=(6 / 32,)), RATE, "0.187500"),
    deviant("a rate of another window", lambda: reply("error-rate", values=(6 / 60,)), RATE, "0.100000"),
    deviant("a rate beside the run's", lambda: reply("error-rate", RUN, values=(7 / 300,)), RATE, "9 of the run's own"),
    *(
        deviant(
            f"{name} refused",
            partial(reply, name, refused="400 parse error at line 1"),
            f"log/query/{name}",
            "refuses it",
        )
        for name in ("errors", "agent", "slow", "error-rate")
    ),
]


def test_the_recorded_run_holds() -> None:
    """
    Unbent, every clause holds on observations, and each corrected query tells what the documented one does.
    """
    verdicts = judged(SOUND)

    assert statuses(SOUND) == dict.fromkeys(ALL, Status.HOLDS)
    assert all(each.observations > 0 for each in verdicts.values())
    assert "as documented it is wrong: misses 2: CRITICAL" in verdicts[ERRORS].reason
    assert "as documented it is wrong" in verdicts[SLOW].reason
    assert "as documented it is wrong: 2 series" in verdicts[RATE].reason
    assert "as documented" not in verdicts[AGENT].reason


@pytest.mark.parametrize("deviant", DEVIANTS)
def test_a_deviant_breaks_its_clauses_and_no_other(deviant: Deviant) -> None:
    """
    What is bent in one way breaks exactly the clauses that it concerns, and the finding says how.
    """
    verdicts = judged(deviant.seen())
    told = "\n".join(verdicts[clause].text() for clause in deviant.broken)

    assert [clause for clause in ALL if verdicts[clause].status is Status.BROKEN] == sorted(
        deviant.broken, key=ALL.index
    ), "\n".join(each.text() for each in verdicts.values() if each.status is not Status.HOLDS)
    assert {each.status for each in verdicts.values()} <= {Status.HOLDS, Status.BROKEN}
    assert deviant.word in told, told


def test_a_finding_is_cut_to_what_matters() -> None:
    """
    However much is wrong, a verdict stays short enough to be read.
    """
    verdict = judged(lines(lambda text: text[:40] + "x" * 10_000))[FORMAT]

    assert verdict.status is Status.BROKEN
    assert len(verdict.text()) < 4_000
    assert f"{len(logs().kept)} times" in verdict.text()


UNPROVEN: dict[str, tuple[Callable[[], Timeline], tuple[str, ...], str]] = {
    "the log not read": (lambda: replace(SOUND, logs=None), ALL, "the log was not read"),
    "a store that lags": (
        lambda: bent(lagging="the line of request r is not found after 15 s"),
        ALL,
        "has not taken in",
    ),
    "a store that answered 500": (lambda: bent(troubles=("loki: GET /query_range: 500",)), ALL, "500"),
    "loki dead": (
        lambda: replace(SOUND, deaths=(Death(component="loki", at=SOUND.begun, detail="signal 9"),)),
        ALL,
        "loki died",
    ),
    "promtail dead": (
        lambda: replace(SOUND, deaths=(Death(component="promtail", at=SOUND.begun, detail="signal 9"),)),
        ALL,
        "promtail died",
    ),
    "interrupted": (lambda: replace(SOUND, interrupted="it was broken off"), ALL, "broken off"),
    "no load": (
        lambda: replace(SOUND, ledger=Ledger(requests=())),
        (LEDGER,),
        "no request was sent",
    ),
    "a request lost": (
        lambda: replace(
            SOUND,
            ledger=Ledger(
                requests=(replace(FIRST, outcome=Outcome.LOST, status=None, error="reset"), *SOUND.ledger.requests[6:])
            ),
        ),
        (LEDGER,),
        "got no answer",
    ),
    "no line planted": (lambda: bent(planted=()), (ERRORS, AGENT, SLOW, RATE), "no line was planted"),
    "a planted line that never arrived": (
        lambda: bent(arrived=logs().arrived[3:]),
        (ERRORS, AGENT, SLOW, RATE),
        "3 of 34 planted lines",
    ),
    "no line within the window of the rate": (
        lambda: bent(kept=tuple(replace(each, at=(each.at or 0) - 3600) for each in logs().kept)),
        (RATE,),
        "no line of the run's own lies within 300 s",
    ),
    "a query unanswered": (lambda: reply("slow", RUN, error="loki: ReadTimeout"), (SLOW,), "ReadTimeout"),
    "a query not asked": (
        lambda: bent(answers=tuple(each for each in logs().answers if each.question.place != QUIET)),
        (RATE,),
        "quiet",
    ),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_what_a_store_does_not_tell_is_never_held(name: str) -> None:
    """
    A store that is dead, empty, slow or wrong proves nothing, and the verdict says which.
    """
    seen, clauses, word = UNPROVEN[name]
    verdicts = judged(seen())

    assert [clause for clause in ALL if verdicts[clause].status is Status.UNPROVEN] == list(clauses)
    assert {each.status for each in verdicts.values()} <= {Status.HOLDS, Status.UNPROVEN}
    assert all(word in verdicts[clause].reason for clause in clauses)


def test_ten_thousand_requests_are_judged_in_bounded_memory() -> None:
    """
    Beside a run of 10 000 requests its judges need less than 250 MiB.
    """
    seen = large(10_000)
    tracemalloc.start()
    try:
        ledger = judges.agrees(seen)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert ledger.status is Status.HOLDS
    assert peak < 250 * 1024 * 1024


def large(count: int) -> Timeline:
    """
    The recorded run with `count` requests.
    """
    requests, made = [], []
    texts = {
        each.request_id: next(line for line in logs().kept if of(each)(line.text)) for each in SOUND.ledger.requests
    }
    for number in range(count):
        request = SOUND.ledger.requests[number % len(SOUND.ledger)]
        line, name = texts[request.request_id], f"req_{number:06d}"
        requests.append(replace(request, request_id=name))
        made.append(replace(line, text=line.text.replace(request.request_id, name)))
    kept = tuple(sorted(made, key=lambda line: line.at or 0))
    seen = answered(replace(logs(), written=kept, kept=kept))
    return replace(SOUND, ledger=Ledger(requests=tuple(requests)), logs=seen)


# --- observing


class Store:
    """A log store in a process: streams of (nanoseconds, line), with the faults that stores have."""

    def __init__(self, streams: Mapping[str, list[str]], **faults: Any) -> None:  # noqa: ANN401
        self.streams, self.faults = streams, faults
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params["query"]
        self.asked.append(query)
        if status := self.faults.get("status"):
            return httpx.Response(status, text="no")
        if "text" in self.faults:
            return httpx.Response(200, text=self.faults["text"])
        if "json" in self.faults:
            return httpx.Response(200, json=self.faults["json"])
        if "rate" in query:
            result = [{"metric": {}, "value": [1.0, "0.02"]}]
            return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})
        cell = query.partition('cell="')[2].partition('"')[0]
        word = query.partition('|= "')[2].rstrip('"')
        limit = min(int(request.url.params["limit"]), self.faults.get("cap", 10**9))
        start = 0 if self.faults.get("deaf") else int(request.url.params["start"])
        entries = [
            (str(NOW + number), line)
            for number, line in enumerate(self.streams.get(cell, []))
            if word in line and NOW + number >= start
        ][:limit]
        result = [{"stream": {"cell": cell, "service": "gateway"}, "values": entries}] if entries else []
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "streams", "result": result}})


NOW = 1_790_000_000_000_000_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "INGESTION", 0.05)
    monkeypatch.setattr(patience, "LATE_LINE", 0.05)
    monkeypatch.setattr(patience, "SETTLE", 0.02)


def observed(store: Store, folder: Path, written: list[str] | None, **task: Any) -> LogsSeen:  # noqa: ANN401
    file = folder / "steady.jsonl"
    if written is not None:
        file.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
    given: dict[str, Any] = {
        "cell": "steady",
        "begun": NOW / 1e9,
        "ledger": Ledger(requests=SOUND.ledger.requests[:3]),
        "planted": (),
        "questions": (Question(name="errors", form="shipped", place=RUN, query='{cell="steady"} |= "x"'),),
        "file": file if written is not None else None,
        "credentials": {"postgres": "hunter2"},
        **task,
    }
    with Client("loki", "http://loki", transport=httpx.MockTransport(store)) as client:
        return observing.read(client, observing.Assignment(**given))


WRITTEN = [
    f'{{"request_id":"{each.request_id}","n":{number}}}' for number, each in enumerate(SOUND.ledger.requests[:3])
]


def test_the_file_and_the_store_are_read_to_the_last_line(tmp_path: Path) -> None:
    """
    Every line of both is there, with the stream's label; nothing lags and nothing troubles.
    """
    seen = observed(Store({"steady": WRITTEN}), tmp_path, WRITTEN)

    assert [each.text for each in seen.kept] == WRITTEN
    assert [each.text for each in seen.written or ()] == WRITTEN
    assert {each.service for each in seen.kept} == {"gateway"}
    assert (seen.lagging, seen.troubles) == ("", ())


def test_pages_are_read_to_the_last_one_though_the_store_caps_them(tmp_path: Path) -> None:
    """
    A store that gives fewer lines than it was asked for, without a word, hides none.
    """
    many = [f"{line}{number}" for line in WRITTEN for number in range(50)]

    seen = observed(Store({"steady": many}, cap=20), tmp_path, WRITTEN)

    assert sorted(each.text for each in seen.kept) == sorted(many)


def test_a_store_that_repeats_its_first_page_is_a_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Full pages that bring nothing new hide lines: that is told, and proves nothing.
    """
    monkeypatch.setattr(observing, "PAGE", 2)

    seen = observed(Store({"steady": WRITTEN}, deaf=True), tmp_path, WRITTEN)

    assert any("no way to the next" in each for each in seen.troubles)
    assert seen.kept == ()


def test_a_store_that_gives_too_much_is_a_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is read of one log is bounded, in the file as in the store.
    """
    monkeypatch.setattr(observing, "MOST", 100)

    seen = observed(Store({"steady": WRITTEN}), tmp_path, WRITTEN)

    assert any("gives more than 100 characters" in each for each in seen.troubles)
    assert any("holds more than 100 characters" in each for each in seen.troubles)


def test_a_slow_store_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A store that takes the last line in at the fourth look lags for a while, and then nothing is missing.
    """
    monkeypatch.setattr(patience, "INGESTION", 5.0)
    store = Store({})

    class Slow(Store):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if len(store.asked) >= 3:
                self.streams = {"steady": WRITTEN}
            store.asked.append("look")
            return super().__call__(request)

    seen = observed(Slow({}), tmp_path, WRITTEN)

    assert (seen.lagging, len(seen.kept)) == ("", 3)


@pytest.mark.parametrize(
    ("faults", "word"),
    [
        ({"status": 500}, "500"),
        ({"text": "<html>"}, "is not JSON"),
        ({"json": {"status": "error", "error": "max entries limit"}}, "without success"),
        ({"json": {"status": "success"}}, "without a result"),
        ({"json": {"status": "success", "data": {"resultType": "streams", "result": []}}}, "is not found"),
        ({"json": {"status": "success", "warnings": ["partial"], "data": {"result": []}}}, "warns"),
    ],
)
def test_a_store_that_does_not_give_the_last_line_lags(tmp_path: Path, faults: dict[str, Any], word: str) -> None:
    """
    An error, an empty answer and a warning are no arrival: what was awaited is named, and no query is asked.
    """
    seen = observed(Store({}, **faults), tmp_path, WRITTEN)

    assert word in seen.lagging
    assert seen.answers == ()
    assert statuses(replace(SOUND, logs=replace(seen, written=logs().written))) == dict.fromkeys(ALL, Status.UNPROVEN)


def test_a_line_that_the_service_never_wrote_is_not_awaited_from_the_store(tmp_path: Path) -> None:
    """
    The last line of the file is what must arrive: a missing line is the service's fault, not the store's.
    """
    seen = observed(Store({"steady": WRITTEN[:2]}), tmp_path, WRITTEN[:2])

    assert seen.lagging == ""
    assert len(seen.kept) == 2


def test_without_the_file_the_last_request_is_awaited(tmp_path: Path) -> None:
    """
    Where only the store is in reach, it must show the last request's line.
    """
    late = observed(Store({"steady": WRITTEN[:2]}), tmp_path, None)
    whole = observed(Store({"steady": WRITTEN}), tmp_path, None)

    assert SOUND.ledger.requests[2].request_id in late.lagging
    assert (whole.lagging, whole.written) == ("", None)


def test_a_file_that_cannot_be_read_is_a_trouble(tmp_path: Path) -> None:
    """
    A missing file is named; it is no empty log.
    """
    seen = observed(Store({"steady": WRITTEN}), tmp_path, None, file=tmp_path / "none.jsonl")

    assert seen.written is None
    assert any("none.jsonl: cannot be read" in each for each in seen.troubles)


@pytest.mark.parametrize(
    ("counts", "said"),
    [((0, 2, 3), ""), ((2, 2, 2, 2), "loki had 2 of 3 lines of one.jsonl after "), ((), "loki had 0 of 3 lines")],
)
def test_every_line_of_a_log_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...], said: str
) -> None:
    """
    The last line of one stream may be there before all of another is; what was written twice is kept once.
    """
    # What never comes is not waited for long.
    monkeypatch.setattr(patience, "INGESTION", 0.4 if said else 20)
    monkeypatch.setattr(patience, "SETTLE", 0.1)
    (tmp_path / "one.jsonl").write_text("first\nsecond\nsecond\nthird\n", encoding="utf-8")
    left = list(counts)

    def count(request: httpx.Request) -> httpx.Response:
        assert request.url.params["query"].startswith('sum(count_over_time({cell="one"}[')
        now = left.pop(0) if len(left) > 1 else left[0] if left else None
        result = [] if now is None else [{"metric": {}, "value": [1, str(now)]}]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})

    with Client("loki", "http://loki", transport=httpx.MockTransport(count)) as client:
        lagging = observing.awaited(client, "one", begun=0.0, file=tmp_path / "one.jsonl")

    assert lagging.startswith(said)
    assert bool(lagging) is bool(said)


def test_a_huge_line_is_cut_and_its_length_kept(tmp_path: Path) -> None:
    """
    Of a line of 1 MB some 4 KB are kept; its neighbours are whole.
    """
    seen = observed(Store({"steady": WRITTEN}), tmp_path, [WRITTEN[0], "x" * 1_000_000, *WRITTEN[1:]])

    lengths = [(each.length, len(each.text)) for each in seen.written or ()]
    assert lengths[1] == (1_000_000, observing.SHOWN)
    assert len(lengths) == 4
    assert lengths[3] == (len(WRITTEN[2]), len(WRITTEN[2]))


def test_bytes_that_are_no_utf8_are_told(tmp_path: Path) -> None:
    """
    A line in another encoding is marked, and readable where it can be; one in UTF-8 is not marked.
    """
    file = tmp_path / "other.jsonl"
    file.write_bytes(WRITTEN[0].encode() + b"\n" + "é\n".encode("latin-1") + "é\n".encode())
    seen = observed(Store({"steady": WRITTEN}), tmp_path, WRITTEN, file=file)

    assert [each.garbled for each in seen.written or ()] == [False, True, False]
    assert [each.text for each in seen.written or ()][1:] == ["\ufffd", "é"]


def test_a_credential_is_named_and_never_kept(tmp_path: Path) -> None:
    """
    The value of a credential of the run is masked where it is told, in the file and in the store.
    """
    told = [*WRITTEN[:2], WRITTEN[2].replace("{", '{"message":"with hunter2",')]

    seen = observed(Store({"steady": told}), tmp_path, told)

    assert "hunter2" not in repr(seen)
    assert [each.credentials for each in (*(seen.written or ()), *seen.kept) if each.credentials] == [("postgres",)] * 2


def test_a_refused_query_is_told_apart_from_a_store_that_fails(tmp_path: Path) -> None:
    """
    400 is the query's fault, 500 and 429 are the store's.
    """

    class Refusing(Store):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.params["query"].endswith('|= "x"'):
                return httpx.Response(self.faults["code"], text="parse error")
            return super().__call__(request)

    answers = {
        code: observed(Refusing({"steady": WRITTEN}, code=code), tmp_path, WRITTEN).answers[0]
        for code in (400, 429, 500)
    }

    assert [code for code, each in answers.items() if each.refused] == [400]
    assert [code for code, each in answers.items() if each.error] == [429, 500]


def test_planted_lines_are_written_plain_and_wrapped(tmp_path: Path) -> None:
    """
    Each planted line stands in its file under a key of its own; wrapped ones are what a container engine writes.
    """
    planted = planting.plant(tmp_path, "steady")
    labels = planting.labels("steady")
    plain = (tmp_path / f"{labels[PLANTED]}.jsonl").read_text(encoding="utf-8").splitlines()
    wrapped = (tmp_path / f"{labels[PLANTED]}-json.log").read_text(encoding="utf-8").splitlines()
    quiet = (tmp_path / f"{labels[QUIET]}.jsonl").read_text(encoding="utf-8").splitlines()

    assert [each.text for each in planted] == [*plain, *(json.loads(line)["log"].rstrip() for line in wrapped), *quiet]
    for each in planted:
        assert [other.key for other in planted if each.key in other.text] == [each.key]
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("name", ["errors", "agent", "slow"])
def test_each_query_has_planted_lines_on_both_sides(name: str, tmp_path: Path) -> None:
    """
    Of the planted lines a query must find some and must not find others, plain and wrapped.
    """
    selection = CONTRACT.log_query(name).selects
    planted = [each for each in planting.plant(tmp_path, "steady") if each.place == PLANTED]
    sides = {(each.wrapped, judges.selected(selection, judges._record(each.text))) for each in planted}

    assert sides == {(False, False), (False, True), (True, False), (True, True)}


def _waiting(*, late: float) -> Timeline:
    """
    The record, with one answer that came three seconds later, and the requests meanwhile sent as late as told.
    """

    def changed(request: Request) -> Request:
        if request is FIRST:
            return replace(request, finished=request.finished + 3)
        meanwhile = FIRST.sent < request.sent < FIRST.finished + 3
        return replace(request, due=request.sent - late) if meanwhile else request

    return replace(SOUND, ledger=replace(SOUND.ledger, requests=tuple(map(changed, SOUND.ledger.requests))))


def test_a_wait_outside_of_the_service_is_its_fault_unless_the_client_was_late_itself() -> None:
    """
    A duration without the wait that its client had is broken; on a machine that is too busy to send, unproven.
    """
    calm, busy = (judged(_waiting(late=late))[LEDGER] for late in (0.0, 0.4))

    assert calm.status is Status.BROKEN
    assert calm.reason == "a duration without the wait"
    assert busy.status is Status.UNPROVEN
    assert "meanwhile a request went out 0.40 s after it was due" in busy.reason


def test_a_busy_machine_excuses_no_other_fault() -> None:
    """
    What a line says wrongly stays broken, however late the client was.
    """
    late = _waiting(late=0.4)
    seen = replace(late, logs=records(fields(status="error"), only=of(FIRST)).logs)

    found = judged(seen)[LEDGER]

    assert found.status is Status.BROKEN
    assert "another outcome" in found.reason
