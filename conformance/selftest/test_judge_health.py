"""
Health judged: a service that tells the truth holds, and one that bends it in one way breaks the clause of that way.

The service is a function of time, asked as the recorder asks; the scenario's own program and clauses are used.
"""

from __future__ import annotations

import asyncio
import functools
import json
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from conformance.contract.load import load
from conformance.judge import health, premise
from conformance.judge.health import Manner
from conformance.judge.verdict import Status
from conformance.scenarios.test_dependencies import AWAY, DEPENDENCIES, NEIGHBOURS, TAKEN
from conformance.timeline.health import HealthSeen
from conformance.timeline.model import SCHEMA, Config, Death, Span, Timeline
from fixtures.core import clock
from fixtures.faults.dependencies import Paused, Stopped
from fixtures.faults.fault import FaultError
from fixtures.load.ledger import Ledger, Outcome, Request
from fixtures.load.looks import OUTSIDE, PATHS, Look, Looks, OutsideLook

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.judge.verdict import Verdict

BEGUN, TEMPO, EVERY = 1_800_000_000.0, 60.0, 0.2
GIVEN_UP, PATIENCE = 0.8, 2.0
HARD = frozenset({"postgres", "redis"})
LIVE, READY = {"probe/live", "probe/live/restart"}, {"probe/ready", "probe/ready/rotation"}
EACH = {f"health/{name}" for name in DEPENDENCIES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a service answers, `seconds` after it was asked."""

    status: int
    seconds: float = 0.004
    body: str = ""
    kind: str = "application/json"


if TYPE_CHECKING:
    Service = Callable[[str, str, float], Answer]
    Bend = Callable[[Service], Service]


def phases() -> tuple[Span, ...]:
    spans, at = [], BEGUN
    for phase in TAKEN.phases:
        end = at + phase.lasts.total_seconds() / TEMPO
        spans.append(Span(name=phase.name, start=at + 0.005, end=end, wanted_rps=10.0))
        at = end + 0.005
    return tuple(spans)


PHASES = phases()


def asked(at: float, among: frozenset[str] = frozenset(DEPENDENCIES)) -> tuple[set[str], float]:
    """Which dependencies `among` some a check that begins at `at` finds away, and how long it waits for that."""
    for before, span in pairwise(PHASES):
        gone = {each.name: each.manner for each in AWAY.get(span.name, ()) if each.name in among}
        if gone and before.end <= at < span.end:
            if Manner.HANGS not in gone.values():
                return set(gone), 0.004
            left = span.end - at
            return (set(gone), GIVEN_UP) if left > GIVEN_UP else (set(), left + 0.006)
    return set(), 0.003


def how(at: float) -> Manner | None:
    """How a dependency is away at an instant."""
    return next(
        (AWAY[span.name][0].manner for span in PHASES if span.name in AWAY and span.start <= at < span.end), None
    )


def described(sick: set[str], at: float) -> dict[str, object]:
    services = {name: "unhealthy" if name in sick else "healthy" for name in DEPENDENCIES}
    return {"status": "unhealthy" if sick else "healthy", "services": services, "timestamp": clock.iso(at)}


def honest(method: str, path: str, at: float) -> Answer:
    """The service as it is documented."""
    sick, seconds = asked(at)
    plain = path.rstrip("/")
    if plain == "/live":
        return Answer(status=200, body='{"status":"alive"}')
    if plain == "/ready":
        sick, seconds = asked(at, HARD)
        return Answer(status=503 if sick else 200, seconds=seconds, body="{}")
    body = json.dumps(described(sick, at + seconds)) if method == "GET" else ""
    return Answer(status=503 if sick else 200, seconds=seconds, body=body)


def look(service: Service, method: str, path: str, due: float) -> Look:
    sent = due + 0.001
    answer = service(method, path, sent)
    if answer.seconds >= PATIENCE:
        finished = sent + PATIENCE
        return Look(due=due, sent=sent, finished=finished, method=method, path=path, status=None, error="TimeoutError")
    return Look(
        due=due,
        sent=sent,
        finished=sent + answer.seconds,
        method=method,
        path=path,
        status=answer.status,
        content_type=answer.kind,
        body=answer.body,
    )


def prober(service: Service, module: str, method: str, path: str, at: float) -> OutsideLook:
    answer = service(method, path, at)
    met = answer.seconds < PATIENCE
    return OutsideLook(
        sent=at,
        finished=at + min(answer.seconds, PATIENCE),
        module=module,
        method=method,
        path=path,
        success=met and answer.status == 200,
        status=answer.status if met else None,
    )


def timeline(service: Service = honest) -> Timeline:
    ended = PHASES[-1].end
    turns = [BEGUN + n * EVERY for n in range(int((ended - BEGUN) / EVERY))]
    ways = [("GET", path) for path in PATHS]
    spelt = [(method, path + slash) for path in PATHS for method, slash in (("HEAD", ""), ("GET", "/"))]
    looks = [look(service, method, path, at) for at in turns for method, path in ways]
    looks += [look(service, method, path, at + 0.07) for at in turns[::2] for method, path in spelt]
    outside = [prober(service, *way, at + 0.09) for at in turns[::2] for way in OUTSIDE]
    requests = [
        Request(
            due=at,
            sent=at,
            finished=at + 0.01,
            phase=span.name,
            agent="librarian",
            user="user000",
            outcome=Outcome.SUCCESS,
            status=200,
            request_id="",
            trace_id="",
            span_id="",
        )
        for span in PHASES
        for at in (span.start + 0.1 * n + 0.05 for n in range(7))
    ]
    return Timeline(
        schema=SCHEMA,
        program=TAKEN.name,
        cell="dependencies",
        tempo=TEMPO,
        begun=BEGUN,
        ended=ended,
        scrape_interval=0.25,
        evaluation_interval=0.25,
        phases=PHASES,
        ledger=Ledger(requests=tuple(requests)),
        config=Config(rules_shipped={}, rules_given={}, alertmanager_shipped="", alertmanager_given=""),
        health=HealthSeen(looks=tuple(sorted(looks, key=lambda each: each.sent)), outside=tuple(outside)),
    )


promised_health = functools.cache(lambda: load().health)


def judged(seen: Timeline) -> dict[str, Verdict]:
    promised = promised_health()
    verdicts = [health.service(name, promised, seen, away=AWAY) for name in DEPENDENCIES]
    verdicts += [health.probe(each, promised, seen, away=AWAY) for each in promised.probes]
    verdicts += [health.status(promised, seen, away=AWAY), health.uptime(promised, seen, away=AWAY)]
    live, ready = promised.probes
    verdicts += [health.restarted(live, seen, away=AWAY), health.routed(ready, seen, away=AWAY)]
    return {verdict.clause: verdict for verdict in verdicts}


def by(verdicts: dict[str, Verdict], status: Status) -> set[str]:
    return {clause for clause, verdict in verdicts.items() if verdict.status is status}


# --- bent services ------------------------------------------------------------------------------------------------


def on(path: str, change: Callable[[Answer, str, float], Answer], *, methods: str = "GET HEAD") -> Bend:
    """The answers at one path, both spellings, changed."""

    def bend(service: Service) -> Service:
        def bent(method: str, at_path: str, at: float) -> Answer:
            answer = service(method, at_path, at)
            return change(answer, method, at) if at_path.rstrip("/") == path and method in methods else answer

        return bent

    return bend


def spelled(path: str, status: int, *, method: str = "GET") -> Bend:
    """One spelling of a path answered with another status."""

    def bend(service: Service) -> Service:
        def bent(how: str, at_path: str, at: float) -> Answer:
            refused = at_path == path and how == method
            return Answer(status=status, kind="text/plain") if refused else service(how, at_path, at)

        return bent

    return bend


def telling(tell: Callable[[set[str], float], tuple[int, dict[str, object]]]) -> Bend:
    """/health with the status code and body that `tell` makes of what hangs and the time."""

    def change(answer: Answer, method: str, at: float) -> Answer:
        code, body = tell(asked(at)[0], at + answer.seconds)
        return replace(answer, status=code, body=json.dumps(body) if method == "GET" else "")

    return on("/health", change)


def _code(sick: set[str]) -> int:
    return 503 if sick else 200


def blind(*names: str) -> Bend:
    """Never looks at some dependencies, and calls them healthy."""
    return telling(lambda sick, at: (_code(sick - {*names}), described(sick - {*names}, at)))


def body_with(**fields: object) -> Bend:
    return telling(lambda sick, at: (_code(sick), {**described(sick, at), **fields}))


def services_with(change: Callable[[dict[str, str]], dict[str, str]]) -> Bend:
    def tell(sick: set[str], at: float) -> tuple[int, dict[str, object]]:
        body = described(sick, at)
        services = change(dict(body["services"]))  # type: ignore[call-overload]
        return _code(sick), {**body, "services": services}

    return telling(tell)


def without(services: dict[str, str], name: str) -> dict[str, str]:
    return {each: state for each, state in services.items() if each != name}


def left_out(name: str) -> Bend:
    def tell(sick: set[str], at: float) -> tuple[int, dict[str, object]]:
        body = described(sick - {name}, at)
        return _code(sick - {name}), {**body, "services": without(dict(body["services"]), name)}  # type: ignore[call-overload]

    return telling(tell)


def crashing(name: str) -> Bend:
    def change(answer: Answer, _: str, at: float) -> Answer:
        crashed = Answer(status=500, body="Internal Server Error", kind="text/plain")
        return crashed if name in asked(at)[0] else answer

    return on("/health", change)


def hanging(name: str) -> Bend:
    def change(answer: Answer, _: str, at: float) -> Answer:
        return replace(answer, seconds=9.0) if asked(at)[0] == {name} else answer

    return on("/health", change)


def slow(path: str, seconds: float) -> Bend:
    return on(path, lambda answer, *_: replace(answer, seconds=answer.seconds + seconds))


def failing(path: str, *names: str) -> Bend:
    return on(path, lambda answer, _, at: replace(answer, status=503) if asked(at)[0] & {*names} else answer)


def waiting(path: str, name: str, seconds: float) -> Bend:
    return on(path, lambda answer, _, at: replace(answer, seconds=seconds) if name in asked(at)[0] else answer)


def constant(path: str, status: int) -> Bend:
    return on(path, lambda answer, *_: replace(answer, status=status, seconds=0.004))


def forgetful(path: str, name: str) -> Bend:
    """Does not notice that a dependency which it needs is away."""
    return on(path, lambda answer, _, at: replace(answer, status=200) if name in asked(at)[0] else answer)


def never_recovered(name: str) -> Bend:
    """What was away once is called unhealthy for ever, in /health and in /ready."""
    gone = next(span.start for span in PHASES if span.name in AWAY and AWAY[span.name][0].name == name)

    def sick(at: float) -> set[str]:
        return asked(at)[0] | ({name} if at > gone else set())

    def change(answer: Answer, method: str, at: float) -> Answer:
        if not sick(at):
            return answer
        body = json.dumps(described(sick(at), at + answer.seconds)) if method == "GET" else ""
        return replace(answer, status=503, body=body)

    def bend(service: Service) -> Service:
        return on("/health", change)(
            on("/ready", lambda answer, _, at: replace(answer, status=503) if name in sick(at) else answer)(service)
        )

    return bend


def lingering(path: str, name: str, seconds: float) -> Bend:
    """Fails for `seconds` of the document's time after whatever had hung must have been given up."""
    back = max(span.end for span in PHASES if span.name in AWAY and AWAY[span.name][0].name == name) + health.ANSWER

    def change(answer: Answer, _: str, at: float) -> Answer:
        return replace(answer, status=503) if back - 0.5 < at < back + seconds / TEMPO else answer

    return on(path, change)


def no_head(service: Service) -> Service:
    return lambda method, path, at: Answer(status=405) if method == "HEAD" else service(method, path, at)


PLAIN = "2027-01-15T08:00:00.123456"
BENT: dict[str, tuple[Bend, set[str], set[str], str]] = {
    "health says 200 with Redis down": (
        telling(lambda sick, at: (_code(sick - {"redis"}), described(sick, at))),
        {"health/status"},
        set(),
        "call redis unhealthy",
    ),
    "health says 503 when all is well": (
        telling(lambda sick, at: (503, described(sick, at))),
        {"health/status"},
        {"uptime/external"},
        "its services are all healthy",
    ),
    "status healthy in an answer of 503": (body_with(status="healthy"), {"health/status"}, set(), "not healthy"),
    "status that is no text": (body_with(status=True), {"health/status"}, set(), "status"),
    "Redis never looked at": (blind("redis"), {"health/redis"}, set(), 'redis is "healthy"'),
    "n8n left out": (left_out("n8n"), {"health/n8n"}, set(), "they name langflow, postgres, qdrant, redis"),
    "n8n left out of the body alone": (
        services_with(lambda services: without(services, "n8n")),
        {"health/n8n", "health/status"},
        set(),
        "services name n8n",
    ),
    "a sixth service": (
        services_with(lambda services: {**services, "mongo": "healthy"}),
        {"health/status"},
        set(),
        "also mongo",
    ),
    "all unhealthy with Redis": (
        telling(lambda sick, at: (_code(sick), described({*DEPENDENCIES} if "redis" in sick else sick, at))),
        EACH - {"health/redis"},
        set(),
        "it was there",
    ),
    "Qdrant and Langflow confused": (
        services_with(lambda s: {**s, "qdrant": s["langflow"], "langflow": s["qdrant"]}),
        {"health/qdrant", "health/langflow"},
        set(),
        "it hung",
    ),
    "healthy whatever happens": (
        blind(*DEPENDENCIES),
        EACH,
        {"health/status", "uptime/external"},
        "it hung",
    ),
    "unhealthy whatever happens": (
        telling(lambda _, at: (503, described({*DEPENDENCIES}, at))),
        EACH,
        {"health/status", "uptime/external"},
        "it was there",
    ),
    "time without a zone": (body_with(timestamp=PLAIN), {"health/status"}, set(), "has no time zone"),
    "time that stands still": (body_with(timestamp=f"{PLAIN}Z"), {"health/status"}, set(), f"timestamp {PLAIN}Z"),
    "time that is none": (body_with(timestamp="now"), {"health/status"}, set(), "'now' is not a time in ISO 8601"),
    "local time under the name of UTC": (
        telling(lambda sick, at: (_code(sick), {**described(sick, at), "timestamp": clock.iso(at + 3600)})),
        {"health/status"},
        set(),
        "the time of the answer",
    ),
    "text where JSON was meant": (
        on("/health", lambda answer, *_: replace(answer, kind="text/plain; charset=utf-8")),
        {"health/status"},
        set(),
        "'text/plain; charset=utf-8'",
    ),
    "a body that is no JSON": (
        on("/health", lambda answer, *_: replace(answer, body="OK")),
        EACH | {"health/status"},
        set(),
        "200 OK",
    ),
    "a check that raises": (crashing("redis"), {"health/redis", "health/status"}, set(), "500 Internal Server Error"),
    "checks one after the other for 4 s": (
        slow("/health", 4.0),
        EACH,
        {"health/status", "uptime/external"},
        "no answer after 2.00 s",
    ),
    "an answer after a probe has given up": (
        slow("/health", 1.1),
        EACH,
        {"uptime/external"},
        "200 after 1.10 s",
    ),
    "a check that hangs": (hanging("qdrant"), {"health/qdrant"}, set(), "no answer after 2.00 s"),
    "PostgreSQL called unhealthy for ever": (
        never_recovered("postgres"),
        {"health/postgres", "probe/ready", "probe/ready/rotation"},
        set(),
        "it was there",
    ),
    "n8n called unhealthy for ever": (
        never_recovered("n8n"),
        {"health/n8n", "probe/ready", "probe/ready/rotation"},
        set(),
        "it was there",
    ),
    "health does not take HEAD": (spelled("/health", 405, method="HEAD"), {"health/status"}, set(), "HEAD /health"),
    "health with a slash redirects": (spelled("/health/", 307), {"health/status"}, set(), "307"),
    "no path takes HEAD": (
        no_head,
        {"health/status", "probe/live", "probe/ready", "uptime/external"},
        set(),
        "405",
    ),
    "live fails with Redis": (failing("/live", "redis"), LIVE, set(), "redis hung, which is no reason"),
    "live fails at all times": (constant("/live", 500), LIVE, set(), "500"),
    "live waits for Redis": (waiting("/live", "redis", 0.5), {"probe/live"}, set(), "waits for redis"),
    "live waits a little for n8n": (waiting("/live", "n8n", 0.3), {"probe/live"}, set(), "waits for n8n"),
    "live is slow": (slow("/live", 1.2), LIVE, set(), "200 after 1.20 s"),
    "live with a slash is unknown": (spelled("/live/", 404), {"probe/live"}, set(), "404"),
    "ready without PostgreSQL": (forgetful("/ready", "postgres"), READY, set(), "503: postgres hung"),
    "ready whatever happens": (constant("/ready", 200), READY, set(), "postgres hung"),
    "never ready": (constant("/ready", 503), READY, set(), "were there"),
    "not ready without Qdrant": (failing("/ready", "qdrant"), READY, set(), "qdrant hung, which it does not"),
    "ready answers late": (slow("/ready", 0.9), {"probe/ready"}, {"probe/ready/rotation"}, "after 1.70 s"),
    "ready answers too late": (slow("/ready", 1.1), READY, set(), "after 1.10 s"),
    "ready again only half a minute later": (
        lingering("/ready", "redis", 30.0),
        READY,
        set(),
        "in rotation: all that it needs is back",
    ),
    "ready with a slash is unknown": (spelled("/ready/", 404), {"probe/ready"}, set(), "404"),
    "ready does not take HEAD": (spelled("/ready", 405, method="HEAD"), {"probe/ready"}, set(), "HEAD /ready"),
}


def test_an_honest_service_holds() -> None:
    """
    Every clause holds on what a service as documented answers.
    """
    verdicts = judged(timeline())

    assert by(verdicts, Status.HOLDS) == set(verdicts), "\n".join(each.text() for each in verdicts.values())
    assert all(verdict.observations > 20 for verdict in verdicts.values())


@pytest.mark.parametrize("manner", list(Manner))
def test_one_manner_alone_is_not_enough(manner: Manner) -> None:
    """
    A service that notices a dependency that hangs and not one that refuses or errs, or the reverse, is caught.
    """

    def forgiving(service: Service) -> Service:
        def tell(sick: set[str], at: float) -> tuple[int, dict[str, object]]:
            return _code(sick), described(sick, at)

        def change(answer: Answer, method: str, at: float) -> Answer:
            sick = set() if how(at) is manner else asked(at)[0]
            code, body = tell(sick, at + answer.seconds)
            return replace(answer, status=code, body=json.dumps(body) if method == "GET" else "")

        ready = on("/ready", lambda answer, _, at: replace(answer, status=200) if how(at) is manner else answer)
        return on("/health", change)(ready(service))

    verdicts = judged(timeline(forgiving(honest)))
    said = "\n".join(each.text() for each in verdicts.values())

    # Only neighbours err, and no probe of the gateway's needs one.
    struck = {f"health/{name}" for name in NEIGHBOURS} if manner is Manner.ERRS else EACH | READY
    assert by(verdicts, Status.BROKEN) == struck, said
    assert f"it {manner.past}" in said


@pytest.mark.parametrize("name", BENT)
def test_a_bent_service_breaks_its_clause_alone(name: str) -> None:
    """
    Each way to bend the truth is caught by the clause that it concerns and by no other, with evidence.
    """
    bend, broken, unproven, words = BENT[name]
    verdicts = judged(timeline(bend(honest)))
    said = "\n".join(each.text() for each in verdicts.values() if each.status is Status.BROKEN)

    assert (by(verdicts, Status.BROKEN), by(verdicts, Status.UNPROVEN)) == (broken, unproven), said
    assert words in said
    assert all(len(finding.observed) < 400 for each in verdicts.values() for finding in each.findings)


def idle(seen: Timeline, seconds: Callable[[float], float]) -> Timeline:
    """With looks at something idle that took so long, by when they were sent."""
    assert seen.health is not None
    turns = [BEGUN + n * EVERY for n in range(int((seen.ended - BEGUN) / EVERY))]
    control = tuple(
        Look(due=at, sent=at, finished=at + seconds(at), method="GET", path="control", status=200) for at in turns
    )
    return replace(seen, health=replace(seen.health, control=control))


def starved(seen: Timeline, share: Callable[[float], float]) -> Timeline:
    """With the service ready to run and without a processor for such a share of the time, by instant."""
    assert seen.health is not None
    total, samples = 0.0, []
    for turn in range(int((seen.ended - BEGUN + PATIENCE) / EVERY * 2) + 2):
        samples.append((BEGUN + turn * EVERY / 2, total))
        total += share(samples[-1][0]) * EVERY / 2
    return replace(seen, health=replace(seen.health, starved=tuple(samples)))


def test_what_was_answered_when_it_was_back_ends_what_is_sure() -> None:
    """
    A question that a dependency answers once it is thawed may put the gateway back into rotation a moment early.
    """
    thawed = PHASES[1].end

    def change(answer: Answer, _: str, at: float) -> Answer:
        if not thawed - 0.55 < at < thawed:
            return answer
        # The first is answered when all is well again; those behind it at once, with what they find.
        first = at < thawed - 0.35
        return Answer(status=200, seconds=thawed - at + 0.01) if first else Answer(status=503, seconds=0.002)

    verdicts = judged(timeline(on("/ready", change)(honest)))

    assert verdicts["probe/ready/rotation"].status is Status.HOLDS, verdicts["probe/ready/rotation"].text()


LATE = (
    "live waits for Redis",
    "live is slow",
    "ready answers too late",
    "never ready",
    "n8n called unhealthy for ever",
)


@pytest.mark.parametrize("name", LATE)
def test_on_an_idle_machine_what_is_late_is_broken(name: str) -> None:
    """
    What is beside the service answers at once, so the service alone is late.
    """
    bend, broken, unproven, _ = BENT[name]
    verdicts = judged(idle(timeline(bend(honest)), lambda _: 0.003))

    assert (by(verdicts, Status.BROKEN), by(verdicts, Status.UNPROVEN)) == (broken, unproven)


@pytest.mark.parametrize("name", LATE)
def test_on_a_busy_machine_what_may_be_late_for_that_is_unproven(name: str) -> None:
    """
    Where something idle is as late, being late proves nothing: not that the service waits, nor that it is sound.
    """
    bend, broken, _, _ = BENT[name]
    verdicts = judged(idle(timeline(bend(honest)), lambda _: 0.2))

    assert by(verdicts, Status.BROKEN) == set()
    assert broken <= by(verdicts, Status.UNPROVEN) | {"probe/live/restart"}
    assert any("the machine was too busy" in each.reason for each in verdicts.values())


@pytest.mark.parametrize("name", LATE[:3])
def test_what_may_be_late_for_want_of_a_processor_is_unproven(name: str) -> None:
    """
    Something idle answers at once where it goes first; the kernel says that the service itself had to wait.
    """
    bend, broken, _, _ = BENT[name]
    seen = starved(idle(timeline(bend(honest)), lambda _: 0.003), lambda _: 0.8)
    verdicts = judged(seen)

    assert by(verdicts, Status.BROKEN) == set()
    assert broken <= by(verdicts, Status.UNPROVEN) | {"probe/live/restart"}
    assert any("for a processor" in reason for reason in premise.repeatable(seen))


@pytest.mark.parametrize("name", LATE)
def test_a_service_that_had_its_processor_is_not_excused(name: str) -> None:
    """
    The little that everybody waits leaves what is late broken.
    """
    bend, broken, unproven, _ = BENT[name]
    verdicts = judged(starved(timeline(bend(honest)), lambda _: 0.02))

    assert (by(verdicts, Status.BROKEN), by(verdicts, Status.UNPROVEN)) == (broken, unproven)


@pytest.mark.parametrize("name", [*LATE[3:], "ready whatever happens", "healthy whatever happens", "n8n left out"])
def test_no_want_of_a_processor_excuses_what_it_cannot_cause(name: str) -> None:
    """
    What was answered at once did not wait: neither that all is well while it is not, nor the contrary.
    """
    bend, broken, _, _ = BENT[name]
    verdicts = judged(starved(timeline(bend(honest)), lambda _: 0.8))

    assert by(verdicts, Status.BROKEN) == broken


@pytest.mark.parametrize("name", ["ready whatever happens", "healthy whatever happens", "n8n left out"])
def test_no_busy_machine_excuses_what_it_cannot_cause(name: str) -> None:
    """
    A dependency that is away is not called healthy because the machine is busy.
    """
    bend, broken, _, _ = BENT[name]
    verdicts = judged(idle(timeline(bend(honest)), lambda _: 0.2))

    assert by(verdicts, Status.BROKEN) == broken


def test_a_path_that_waits_on_a_machine_busy_at_another_time_is_broken() -> None:
    """
    Only what was busy while the dependency was away excuses a slow answer then.
    """
    bend, broken, _, _ = BENT["live waits for Redis"]
    calm = PHASES[1].start
    verdicts = judged(idle(timeline(bend(honest)), lambda at: 0.2 if at < calm else 0.003))

    assert by(verdicts, Status.BROKEN) == broken


@pytest.mark.parametrize(
    ("nth", "words"),
    [
        (4, "of the time the looks are further apart, up to 48 s, than a probe's patience of"),
        (10, "of the time the looks are further apart, up to 120 s, than a probe's patience of"),
        (1000, "its path was looked at 1 times"),
    ],
)
def test_looks_too_rare_to_be_played_over_prove_nothing(nth: int, words: str) -> None:
    """
    Where the looks are further apart than a probe's patience, nobody knows what it would have heard.
    """
    seen = timeline()
    assert seen.health is not None
    plain = [each for each in seen.health.looks if each.method == "GET" and each.path in ("/live", "/ready")]
    looks = tuple(each for each in seen.health.looks if each not in plain or plain.index(each) // 2 % nth == 0)
    verdicts = judged(replace(seen, health=replace(seen.health, looks=looks)))

    for clause in ("probe/live/restart", "probe/ready/rotation"):
        assert verdicts[clause].status is Status.UNPROVEN
        assert words in verdicts[clause].reason


def test_a_moment_in_which_nobody_looked_is_allowed() -> None:
    """
    A hiccup of the looking leaves the verdicts as they are, where nothing that a probe needs comes or goes.
    """
    seen = timeline()
    assert seen.health is not None
    for phase in ("langflow back", "qdrant hangs"):
        start = seen.phase(phase).start
        looks = tuple(each for each in seen.health.looks if not start < each.sent < start + 0.35)
        verdicts = judged(replace(seen, health=replace(seen.health, looks=looks)))

        assert by(verdicts, Status.HOLDS) == set(verdicts), "\n".join(each.text() for each in verdicts.values())


def test_absences_too_short_for_a_probe_prove_nothing() -> None:
    """
    What was away for less than a probe's patience shows neither a restart nor an end of traffic.
    """
    patient = [replace(each, failure_threshold=30) for each in promised_health().probes]
    verdicts = [
        health.restarted(patient[0], timeline(), away=AWAY),
        health.routed(patient[1], timeline(), away=AWAY),
    ]

    assert [each.status for each in verdicts] == [Status.UNPROVEN, Status.UNPROVEN]
    assert "it would not have been restarted in 20 of 20 phases" in verdicts[0].reason
    assert "too little was seen while postgres hung" in verdicts[1].reason


# --- probers and premises -----------------------------------------------------------------------------------------


def outside(**fields: object) -> Timeline:
    """The honest timeline with every look of the outside prober changed."""
    seen = timeline()
    assert seen.health is not None
    bent = tuple(replace(each, **fields) for each in seen.health.outside)  # type: ignore[arg-type]
    return replace(seen, health=replace(seen.health, outside=bent))


@pytest.mark.parametrize("success", [True, False])
def test_a_prober_that_always_says_the_same_is_broken(success: bool) -> None:
    """
    A constant probe_success is no look from outside.
    """
    verdicts = judged(outside(success=success))

    assert by(verdicts, Status.BROKEN) == {"uptime/external"}
    assert f"probe_success {success:d}" in verdicts["uptime/external"].text()


LOADED = """\
modules:
    http_2xx:
        prober: http
        timeout: 2s
        http:
            preferred_ip_protocol: ip4
            method: GET
    http_head:
        prober: http
        http:
            method: HEAD
    icmp:
        prober: icmp
"""


def told(**fields: str) -> Timeline:
    """The honest timeline with what the outside prober said of its configuration."""
    seen = timeline()
    assert seen.health is not None
    return replace(seen, health=replace(seen.health, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "loaded",
    [LOADED, LOADED.replace("method: GET", "valid_status_codes: [200, 204]"), ""],
    ids=["as it ships", "fewer codes", "not read"],
)
def test_a_prober_that_takes_success_for_up_holds(loaded: str) -> None:
    """
    Some of the successes are no more than all of them; a run that did not read it is judged by the looks.
    """
    assert by(judged(told(prober=loaded)), Status.BROKEN) == set()


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        pytest.param(
            LOADED.replace("method: GET", "valid_status_codes: [200, 204, 500, 502]"),
            "valid_status_codes 200, 204, 500, 502",
            id="a crash is up",
        ),
        pytest.param(
            LOADED.replace("method: HEAD", "valid_status_codes: [404]"),
            "module http_head takes an answer of 200 to 299 for up",
            id="nothing there is up",
        ),
        pytest.param(
            LOADED.replace("prober: http", "prober: tcp", 1), "module http_2xx asks over HTTP", id="a port is up"
        ),
    ],
)
def test_a_prober_that_takes_more_for_up_is_broken(loaded: str, words: str) -> None:
    """
    The gateway says 200 or 503 and nothing else, so no look meets what a crashed one would be called.
    """
    verdicts = judged(told(prober=loaded))

    assert by(verdicts, Status.BROKEN) == {"uptime/external"}
    assert words in verdicts["uptime/external"].text()
    assert verdicts["uptime/external"].lasting


@pytest.mark.parametrize(
    ("bent", "words"),
    [
        (
            told(prober_trouble="blackbox_exporter: GET /config: 503"),
            "takes for up could not be read: blackbox_exporter",
        ),
        (told(prober="modules: ["), "could not be understood: ParserError"),
        (told(prober=LOADED.replace("http_head", "other")), "could not be understood: KeyError: 'http_head'"),
        (outside(success=None, error="ClientConnectorError: refused"), "the prober did not answer 116 of 116 times"),
        (
            replace(timeline(), health=replace(timeline().health, outside=())),  # type: ignore[type-var]
            "no look of an outside prober",
        ),
        (
            replace(timeline(), deaths=(Death(component="blackbox_exporter", at=BEGUN, detail="exit code 1"),)),
            "blackbox_exporter died",
        ),
    ],
    ids=["untold", "misunderstood", "another", "mute", "absent", "dead"],
)
def test_a_prober_that_says_nothing_proves_nothing(bent: Timeline, words: str) -> None:
    """
    Without the prober's answers the clause is unproven, and the reason names it; the others hold.
    """
    verdicts = judged(bent)

    assert by(verdicts, Status.UNPROVEN) == {"uptime/external"}
    assert by(verdicts, Status.HOLDS) == set(verdicts) - {"uptime/external"}
    assert words in verdicts["uptime/external"].reason


def _late(seen: Timeline) -> Timeline:
    assert seen.health is not None
    first, *rest = seen.health.looks
    return replace(seen, health=replace(seen.health, looks=(replace(first, due=first.sent - 0.7), *rest)))


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda seen: replace(seen, health=None), "no look at the gateway's health was recorded"),
        (lambda seen: replace(seen, health=HealthSeen(looks=(), outside=())), "no look at the gateway's health"),
        (lambda seen: replace(seen, phases=seen.phases[:-5]), "the phase 'n8n hangs' was not performed"),
        (lambda seen: replace(seen, interrupted="it was broken off"), "not performed to its end"),
        (lambda seen: replace(seen, ledger=Ledger(requests=())), "no request was sent in whole, postgres hangs"),
        (
            lambda seen: replace(seen, deaths=(Death(component="gateway-dependencies", at=BEGUN, detail="killed"),)),
            "gateway-dependencies died during the run (killed)",
        ),
        (
            lambda seen: replace(
                seen,
                needs=("redis-dependencies",),
                deaths=(Death(component="redis-dependencies", at=BEGUN, detail="killed"),),
            ),
            "redis-dependencies died",
        ),
        (_late, "the looks went out up to 0.70 s late: the machine was too busy"),
    ],
)
def test_without_its_premises_health_is_unproven(bend: Callable[[Timeline], Timeline], words: str) -> None:
    """
    A run in which nothing could be seen proves nothing about any clause, and says why.
    """
    verdicts = judged(bend(timeline()))

    assert by(verdicts, Status.UNPROVEN) == set(verdicts)
    assert all(words in verdict.reason for verdict in verdicts.values())


def test_looks_that_were_late_are_taken_once_more() -> None:
    """
    A slower pace may cure a busy machine, so the program is repeated for that, and for nothing else here.
    """
    assert [each for each in premise.repeatable(_late(timeline())) if "late" in each] == [
        "the looks went out up to 0.70 s late: the machine was too busy"
    ]
    assert premise.late_looks(timeline()) == ()
    assert premise.late_looks(replace(timeline(), health=None)) == ()


def test_the_first_that_errs_is_not_all_that_do() -> None:
    """
    A service that names one dependency alone, where several are away at once, is caught by the others.
    """

    def change(answer: Answer, method: str, at: float) -> Answer:
        first = set(sorted(asked(at)[0])[:1])
        body = json.dumps(described(first, at + answer.seconds)) if method == "GET" else ""
        return replace(answer, body=body)

    verdicts = judged(timeline(on("/health", change)(honest)))

    assert by(verdicts, Status.BROKEN) == {"health/n8n", "health/qdrant"}


@pytest.mark.parametrize("manner", [Manner.HANGS, Manner.STOPPED])
def test_a_dependency_that_was_never_away_is_unproven(manner: Manner) -> None:
    """
    Looks that all fell outside one of a dependency's absences say nothing about it, also where they fell into another.
    """
    seen = timeline()
    assert seen.health is not None
    span = seen.phase(f"redis {manner}")
    looks = tuple(each for each in seen.health.looks if not span.start <= each.sent < span.end)
    verdicts = judged(replace(seen, health=replace(seen.health, looks=looks)))

    assert verdicts["health/redis"].status is Status.UNPROVEN
    assert verdicts["health/redis"].reason == f"no look began and was answered while redis {manner.past}"
    assert verdicts["probe/ready"].status is Status.UNPROVEN
    assert verdicts["probe/ready"].reason == f"no look was seen of /ready while redis {manner.past}"


# --- the recorder -------------------------------------------------------------------------------------------------


async def _recorded(seconds: float) -> Looks:
    """What the recorder sees of a server whose /ready hangs, whose /health refuses HEAD, and of a prober."""

    async def answer(request: web.Request) -> web.Response:
        if request.method == "HEAD" and request.path == "/health":
            return web.Response(status=405)
        return web.json_response({"path": request.path}, status=503 if request.path == "/health" else 200)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def probe(request: web.Request) -> web.Response:
        down = request.query["target"].endswith("/health")
        text = f"# HELP probe_success x\nprobe_success {0 if down else 1}\nprobe_http_status_code 503\n"
        return web.Response(text=text if request.query["module"] == "http_2xx" else "nothing of it")

    app = web.Application()
    app.router.add_route("GET", "/probe", probe)
    app.router.add_route("*", "/ready", hang)
    for path in ("/health", "/health/", "/ready/", "/live", "/live/"):
        app.router.add_route("*", path, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    url = f"http://{host}:{port}"
    try:
        async with Looks(base_url=url, outside_url=url, every=0.1) as looks:
            await asyncio.wait({asyncio.ensure_future(asyncio.Event().wait())}, timeout=seconds)
    finally:
        await runner.cleanup()
    return looks


def test_the_recorder_notes_what_it_saw_and_what_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Every way of asking is asked evenly; what hangs delays no other look and is noted without an answer.
    """
    monkeypatch.setattr("fixtures.core.patience.PROBE", 0.3)
    recorded = asyncio.run(_recorded(0.55))
    seen = HealthSeen(looks=recorded.seen(), outside=recorded.seen_outside())

    assert {(each.method, each.path, each.status) for each in seen.looks} == {
        ("GET", "/health", 503),
        ("HEAD", "/health", 405),
        ("GET", "/health/", 200),
        ("GET", "/ready", None),
        ("HEAD", "/ready", None),
        ("GET", "/ready/", 200),
        ("GET", "/live", 200),
        ("HEAD", "/live", 200),
        ("GET", "/live/", 200),
    }
    assert len(seen.at("GET", "/live")) >= 4
    assert seen.at("GET", "/health")[0].body == '{"path": "/health"}'
    assert seen.at("GET", "/health")[0].content_type == "application/json; charset=utf-8"
    assert {each.error for each in seen.at("GET", "/ready")} == {"TimeoutError"}
    assert {(each.path, each.success, each.status) for each in seen.outside} == {
        ("/health", False, 503),
        ("/live", None, None),
    }
    assert all("no probe_success of 0 or 1" in each.error for each in seen.outside if each.path == "/live")


# --- the fault ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Paused(component="postgres"), "postgres hangs"), (Stopped(component="postgres"), "postgres is stopped")],
)
def test_a_shared_component_is_not_taken_away(fault: Paused | Stopped, words: str) -> None:
    """
    A cell may take away only what it owns, since a shared component would take others' ground away.
    """
    cell: Any = SimpleNamespace(name="steady", spec=SimpleNamespace(owns=frozenset({"redis"})))

    with pytest.raises(FaultError, match=rf"^{words}: cell steady does not own it; it owns \['redis'\]$"):
        fault.inject(cell)
