"""
Judges what a service says of itself: health, readiness, liveness, and how it looks from outside.

It reads looks taken while dependencies were taken away one after the other; `away` says, by phase, which one and how.
Times are real seconds here: a probe waits as long at every tempo.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from conformance.judge import premise
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.contract.model import Health, ProbePromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.health import HealthSeen
    from conformance.timeline.model import Timeline
    from fixtures.load.looks import Look, OutsideLook

ANSWER = 1.0
"""In how many seconds a probe wants its answer: the kubelet's default, as the document sets no other."""

LATE_LOOKS = 0.5
"""Looks that go out later than this tell of a machine that is too busy, not of the service."""

WAITS = 0.1
"""By how many seconds the median answer may grow before a path is said to wait for something."""

WRITTEN = 1.0
"""Seconds between a time as it was read and as it is written: it may be written in whole seconds."""

SHOWN, EXAMPLES = 240, 3


class Manner(StrEnum):
    """How a dependency is away: it takes connections and answers nothing, or it refuses them."""

    HANGS = "hangs"
    STOPPED = "stopped"

    @property
    def past(self) -> str:
        return "hung" if self is Manner.HANGS else "was stopped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Absence:
    """Which dependency a phase takes away, and how."""

    name: str
    manner: Manner


def service(name: str, health: Health, timeline: Timeline, *, away: Mapping[str, Absence]) -> Verdict:
    """One dependency is called healthy while it answers and unhealthy while it does not, within a probe's time."""
    clause = f"health/{name}"
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    wrong: list[Finding] = []
    told: dict[Manner | None, int] = {None: 0, **dict.fromkeys(story.manners(name), 0)}
    for look in story.seen.at("GET", health.path):
        there = story.there(name, look)
        if tardy := story.late(look):
            if story.blamed(look) in ("", name):
                wrong.append(story.finding(look, f"an answer within {ANSWER:g} s", tardy, because=story.allowance()))
            continue
        services = _services(look)
        if services is None:
            if there is not None and story.blamed(look) in ("", name):
                wrong.append(story.finding(look, f"a JSON object whose services name {name}", _shown(look)))
        elif name not in services:
            named = ", ".join(sorted(services)) or "nothing"
            wrong.append(story.finding(look, f"services name {name}", f"they name {named}"))
        elif there is not None:
            manner = None if there else story.manner(name, look)
            told[manner] += 1
            if (services[name] == health.healthy) is not there:
                how = manner.past if manner else "was there"
                wanted = f"{name} is {'healthy' if there else 'not healthy'}: it {how}"
                said = f"{name} is {json.dumps(services[name])}; {_shown(look)}"
                wrong.append(story.finding(look, wanted, said))
    seen = sum(told.values()) + len(wrong)
    if wrong:
        return broken(clause, _first(wrong, seen), *wrong[:EXAMPLES], observations=seen)
    if unseen := [manner for manner, count in told.items() if not count]:
        state = unseen[0].past if unseen[0] else "was there"
        return unproven(clause, f"no look began and was answered while {name} {state}", observations=seen)
    counts = ", ".join(f"{count} while it {manner.past if manner else 'was there'}" for manner, count in told.items())
    return holds(clause, observations=seen, reason=f"{sum(told.values())} looks: {counts}; {story.allowance()}")


def status(health: Health, timeline: Timeline, *, away: Mapping[str, Absence]) -> Verdict:
    """Code, status and services of each answer agree, its time has a zone, and other spellings are answered alike."""
    clause = "health/status"
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    plain = story.seen.at("GET", health.path)
    wrong: list[Finding] = []
    codes: dict[bool, int] = {True: 0, False: 0}
    for look in (*plain, *story.seen.at("GET", f"{health.path}/")):
        if look.status is None or look.status not in (health.status_healthy, health.status_unhealthy):
            if look.status is not None and look.path == health.path:
                wanted = f"status {health.status_healthy} or {health.status_unhealthy}"
                wrong.append(story.finding(look, wanted, _shown(look)))
            continue
        codes[look.status == health.status_healthy] += 1
        wrong += [story.finding(look, wanted, said) for wanted, said in _disagreements(health, look)]
    spelt = 0
    for look in (*story.seen.at("HEAD", health.path), *story.seen.at("GET", f"{health.path}/")):
        code = story.steady_code(plain, look)
        if code is not None:
            spelt += 1
            if look.status != code:
                wanted = f"{code}, as GET {health.path} at that time"
                wrong.append(story.finding(look, wanted, _shown(look)))
    seen = sum(codes.values()) + spelt
    if wrong:
        return broken(clause, _first(wrong, seen), *wrong[:EXAMPLES], observations=max(seen, 1))
    if not spelt:
        return unproven(clause, f"no HEAD and no {health.path}/ was seen beside a GET", observations=seen)
    if not all(codes.values()):
        never = "well" if not codes[True] else "unwell"
        return unproven(clause, f"the service never called itself {never}", observations=seen)
    return holds(
        clause,
        observations=seen,
        reason=f"{codes[True]} answers of {health.status_healthy} and {codes[False]} of {health.status_unhealthy} "
        f"agree with what they say; {spelt} HEADs and trailing slashes are answered alike",
    )


def probe(promise: ProbePromise, health: Health, timeline: Timeline, *, away: Mapping[str, Absence]) -> Verdict:
    """A probe fails exactly while something that it needs is away, in every spelling, within its time."""
    clause = f"probe/{promise.name}"
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    path = promise.shipped_path
    wrong: list[Finding] = []
    unseen: list[str] = []
    seen = 0
    told = {(name, manner): 0 for name in promise.needs for manner in story.manners(name)}
    for method, spelling in (("GET", path), ("HEAD", path), ("GET", f"{path}/")):
        codes = {health.status_healthy: 0}
        if promise.needs:
            codes[health.status_unhealthy] = 0
        for look in story.seen.at(method, spelling):
            seen += 1
            if tardy := story.late(look):
                wrong.append(story.finding(look, f"an answer within {ANSWER:g} s", tardy, because=story.allowance()))
                continue
            missing = {name: story.there(name, look) for name in promise.needs}
            if None in missing.values():
                continue
            gone = [name for name, there in missing.items() if not there]
            code = health.status_unhealthy if gone else health.status_healthy
            codes[code] += 1
            how = {each: manner for each in gone if (manner := story.manner(each, look))}
            for each in how.items():
                told[each] += 1
            if look.status != code:
                why = _said(how) if gone else _why_well(promise, story, look)
                wrong.append(story.finding(look, f"{code}: {why}", _shown(look)))
        unseen += [f"{method} {spelling} that should be {code}" for code, count in codes.items() if not count]
    unseen += [f"{path} while {name} {manner.past}" for (name, manner), count in told.items() if not count]
    if not promise.needs:
        wrong += _waiting(story, story.seen.at("GET", path))
    if wrong:
        return broken(clause, _first(wrong, seen), *wrong[:EXAMPLES], observations=max(seen, 1))
    if unseen:
        return unproven(clause, f"no look was seen of {', '.join(unseen)}", observations=seen)
    needs = f"fails with {' and '.join(promise.needs)} alone" if promise.needs else "200 whatever was away"
    return holds(clause, observations=seen, reason=f"{seen} looks: {needs}; {story.allowance()}")


def uptime(health: Health, timeline: Timeline, *, away: Mapping[str, Absence]) -> Verdict:
    """What an outside prober makes of the service is what the service said at that time."""
    clause = "uptime/external"
    reasons = _premises(timeline, away, needs=("blackbox_exporter",))
    outside = timeline.health.outside if timeline.health is not None else ()
    if mute := [each for each in outside if each.success is None]:
        reasons.append(f"the prober did not answer {len(mute)} of {len(outside)} times: {mute[0].error[:SHOWN]}")
    if not outside:
        reasons.append("no look of an outside prober was recorded")
    if reasons:
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    wrong: list[Finding] = []
    told = {True: 0, False: 0}
    seen = 0
    for each in outside:
        code = story.steady_code(story.seen.at("GET", each.path), each)
        if code is None:
            continue
        seen += 1
        up = code == health.status_healthy
        if each.path == health.path:
            told[up] += 1
        if each.success is not up:
            wrong.append(
                Finding(
                    expected=f"probe_success {up:d}: GET {each.path} was answered with {code} before and after",
                    observed=f"probe_success {each.success or False:d}, HTTP status {each.status}",
                    query=f"/probe?module={each.module}&target=…{each.path}",
                    location=story.place(each),
                )
            )
    if wrong:
        return broken(clause, _first(wrong, seen), *wrong[:EXAMPLES], observations=seen)
    if not all(told.values()):
        state = "up" if not told[True] else "down"
        return unproven(clause, f"no outside look was taken while {health.path} said {state}", observations=seen)
    return holds(
        clause,
        observations=seen,
        reason=f"the prober saw it down {told[False]} times, while {health.path} said so, and else up "
        f"({seen - told[False]} times)",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gone:
    """A dependency was surely away in [start, end], and surely there before `from_` and after `back`."""

    name: str
    manner: Manner
    from_: float
    start: float
    end: float
    back: float


class _Story:
    """When which dependency was away, and what may be said of a look for that."""

    def __init__(self, timeline: Timeline, away: Mapping[str, Absence]) -> None:
        assert timeline.health is not None, "the premises come first"
        self.seen: HealthSeen = timeline.health
        self._timeline = timeline
        self._late = ANSWER + self.seen.lag
        spans = timeline.phases
        self._absences = [
            _Gone(
                name=away[span.name].name,
                manner=away[span.name].manner,
                from_=spans[n - 1].end if n else timeline.begun,
                start=span.start,
                end=span.end,
                # What hung when it came back is given up within a probe's time.
                back=(spans[n + 1].start if n + 1 < len(spans) else span.end) + ANSWER,
            )
            for n, span in enumerate(spans)
            if span.name in away
        ]

    def there(self, name: str, look: Look | OutsideLook) -> bool | None:
        """Whether a dependency was there during the whole of a look; None where it came or went."""
        own = [absence for absence in self._absences if absence.name == name]
        # Away is away, also where the next absence follows before the last one is over.
        if any(absence.start <= look.sent and look.finished <= absence.end for absence in own):
            return False
        return None if any(look.sent < each.back and look.finished > each.from_ for each in own) else True

    def manner(self, name: str, look: Look) -> Manner | None:
        """How a dependency was away during the whole of a look; None where it was not."""
        for absence in self._absences:
            if absence.name == name and absence.start <= look.sent and look.finished <= absence.end:
                return absence.manner
        return None

    def manners(self, name: str) -> tuple[Manner, ...]:
        """The ways in which the program takes a dependency away."""
        return tuple(dict.fromkeys(absence.manner for absence in self._absences if absence.name == name))

    def certain(self, look: Look | OutsideLook) -> bool:
        """Whether nothing came or went during a look."""
        return all(self.there(absence.name, look) is not None for absence in self._absences)

    def blamed(self, look: Look) -> str:
        """The dependency that may be at fault when a look is answered late or not at all; empty: none in particular."""
        for absence in self._absences:
            if look.sent < absence.back and look.finished > absence.from_:
                return absence.name
        before = [absence.name for absence in self._absences if absence.back <= look.sent]
        return before[-1] if before else ""

    def gone(self, look: Look) -> dict[str, Manner]:
        """The dependencies that were away during the whole of a look, and how."""
        names = dict.fromkeys(each.name for each in self._absences)
        return {name: manner for name in names if (manner := self.manner(name, look))}

    def late(self, look: Look) -> str:
        """How a look was answered too late, in words; empty when it was in time."""
        if look.status is None:
            return f"no answer after {look.seconds:.2f} s: {look.error}"
        if look.seconds > self._late:
            return f"{look.status} after {look.seconds:.2f} s"
        return ""

    def steady_code(self, plain: Sequence[Look], look: Look | OutsideLook) -> int | None:
        """The code of the plain GETs just before and just after a look, where they agree and nothing changed."""
        if not self.certain(look):
            return None
        before = [each for each in plain if each.sent <= look.sent]
        after = [each for each in plain if each.sent > look.sent]
        if not before or not after or not (self.certain(before[-1]) and self.certain(after[0])):
            return None
        return before[-1].status if before[-1].status == after[0].status else None

    def spells(self) -> tuple[_Gone, ...]:
        return tuple(self._absences)

    def first_absence(self) -> float:
        return min((absence.from_ for absence in self._absences), default=self._timeline.ended)

    def allowance(self) -> str:
        """The bound of an answer as the sum it is."""
        return f"bound {self._late:.3f} s = a probe's {ANSWER:g} s + the looks' own lag {self.seen.lag:.3f} s"

    def place(self, look: Look | OutsideLook) -> str:
        """Where in the run a look was taken."""
        phase = next((span.name for span in self._timeline.phases if span.start <= look.sent < span.end), "a change")
        return f"{clock.at(look.sent)}, during {phase}"

    def finding(self, look: Look, expected: str, observed: str, *, because: str = "") -> Finding:
        return Finding(
            expected=expected,
            observed=observed,
            query=f"{look.method} {look.path}",
            location=self.place(look),
            because=because,
        )


def _premises(timeline: Timeline, away: Mapping[str, Absence], *, needs: Iterable[str] = ()) -> list[str]:
    reasons = list(premise.deaths(timeline, needs))
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    performed = {span.name for span in timeline.phases}
    reasons += [f"the phase {phase!r} was not performed" for phase in away if phase not in performed]
    if timeline.health is None or not timeline.health.looks:
        return [*reasons, "no look at the gateway's health was recorded"]
    if timeline.health.lag > LATE_LOOKS:
        reasons.append(f"the looks went out up to {timeline.health.lag:.2f} s late: the machine was too busy")
    idle = [span.name for span in timeline.phases if span.wanted_rps and not len(timeline.ledger.during(span.name))]
    if idle:
        reasons.append(f"no request was sent in {', '.join(idle)}")
    return reasons


def _object(look: Look) -> dict[str, object] | None:
    try:
        body = json.loads(look.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _services(look: Look) -> dict[str, object] | None:
    """What a body says of each service; None where it says nothing of services."""
    services = (_object(look) or {}).get("services")
    return services if isinstance(services, dict) else None


def _disagreements(health: Health, look: Look) -> Iterable[tuple[str, str]]:
    """What one answer says against itself, as (expected, observed)."""
    kind = look.content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        yield "Content-Type application/json", f"{look.content_type!r}"
    body = _object(look)
    if body is None:
        yield "a JSON object", _shown(look)
        return
    services = _services(look)
    if services is None:
        yield "an object of services", _shown(look)
        services = {}
    known = {each.name for each in health.services}
    if strange := sorted(set(services) - known):
        yield f"no service beyond {', '.join(sorted(known))}", f"also {', '.join(strange)[:SHOWN]}"
    sick = sorted(name for name, state in services.items() if state != health.healthy)
    said = body.get("status")
    if (look.status == health.status_healthy) is bool(sick):
        code = health.status_unhealthy if sick else health.status_healthy
        yield f"{code}: {_of_services(sick)}", _shown(look)
    if (said == health.healthy) is bool(sick) or not isinstance(said, str):
        yield f"a status that is {'not ' if sick else ''}{health.healthy}: {_of_services(sick)}", _shown(look)
    yield from _time(look, body.get("timestamp"))


def _time(look: Look, written: object) -> Iterable[tuple[str, str]]:
    try:
        instant = clock.read(str(written))
    except ValueError as error:
        yield "a timestamp in ISO 8601 with its zone", str(error)
        return
    if not look.sent - WRITTEN <= instant <= look.finished + WRITTEN:
        yield f"the time of the answer ({clock.iso(look.finished)} ± {WRITTEN:g} s)", f"timestamp {written}"


def _of_services(sick: Sequence[str]) -> str:
    return f"its services call {', '.join(sick)} unhealthy" if sick else "its services are all healthy"


def _why_well(promise: ProbePromise, story: _Story, look: Look) -> str:
    gone = _said(story.gone(look))
    if promise.needs:
        return f"{' and '.join(promise.needs)} were there" + (f"; {gone}, which it does not need" if gone else "")
    return f"{gone}, which is no reason to restart it" if gone else "the process can answer"


def _said(gone: Mapping[str, Manner]) -> str:
    return " and ".join(f"{name} {manner.past}" for name, manner in gone.items())


def _waiting(story: _Story, looks: Sequence[Look]) -> Iterable[Finding]:
    """Where a path that needs nothing becomes slow while something is away."""
    calm = [look.seconds for look in looks if look.finished <= story.first_absence()]
    for gone in story.spells():
        there = [look.seconds for look in looks if gone.start <= look.sent < gone.end]
        if calm and there and median(there) > median(calm) + WAITS:
            yield Finding(
                expected=f"an answer as fast as before {gone.name} {gone.manner.past}: {median(calm):.3f} s (median)",
                observed=f"{median(there):.3f} s (median of {len(there)})",
                query=f"GET {looks[0].path}",
                because=f"more than {WAITS:g} s slower is a path that waits for {gone.name}",
            )


def _first(wrong: Sequence[Finding], seen: int) -> str:
    first = wrong[0]
    return f"{len(wrong)} deviations in {seen} looks, the first at {first.location or 'no one time'}: {first.observed}"


def _shown(look: Look) -> str:
    """An answer, cut to what matters."""
    if look.status is None:
        return f"no answer: {look.error}"
    text = " ".join(look.body.split())
    cut = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
    return f"{look.status} {cut}".strip()
