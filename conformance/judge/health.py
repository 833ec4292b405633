"""
Judges what a service says of itself: health, readiness, liveness, and how it looks from outside.

It reads looks taken while dependencies were taken away one after the other; `away` says, by phase, which ones and how.
Times are real seconds here: a probe waits as long at every tempo.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from conformance.judge import premise
from conformance.judge.kubelet import Answers, Heard, Probing, Turn, offsets, played
from conformance.judge.premise import BUSY, NEARBY
from conformance.judge.prober import ProberError, indulgent
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.core import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.contract.model import Health, ProbePromise
    from conformance.judge.verdict import Verdict
    from conformance.timeline.health import HealthSeen
    from conformance.timeline.model import Timeline
    from fixtures.load.looks import Look, OutsideLook

ANSWER = 1.0
"""In how many seconds a probe wants its answer: the kubelet's default, as the document sets no other."""

WAITS = 0.1
"""By how many seconds the median answer may grow before a path is said to wait for something."""

BLANK = 0.05
"""The share of the time for which nobody need know what a probe would have heard."""

WRITTEN = 1.0
"""Seconds between a time as it was read and as it is written: it may be written in whole seconds."""

BUSY_SAID = (
    f"meanwhile something idle took more than {BUSY:g} s to answer as well, or a processor was waited for as long: the "
    "machine was too busy"
)

SHOWN, EXAMPLES = 240, 3


class Manner(StrEnum):
    """How a dependency is away: it takes connections and answers nothing, it refuses them, or it answers with a 5xx."""

    HANGS = "hangs"
    STOPPED = "stopped"
    ERRS = "errs"

    @property
    def past(self) -> str:
        return {Manner.HANGS: "hung", Manner.STOPPED: "was stopped", Manner.ERRS: "erred"}[self]


@dataclass(frozen=True, kw_only=True, slots=True)
class Absence:
    """Which dependency a phase takes away, and how."""

    name: str
    manner: Manner


Away: TypeAlias = "Mapping[str, tuple[Absence, ...]]"
"""By phase: the dependencies that are away during it."""


def service(name: str, health: Health, timeline: Timeline, *, away: Away) -> Verdict:
    """One dependency is called healthy while it answers and unhealthy while it does not, within a probe's time."""
    clause = f"health/{name}"
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    found = _Found(story)
    told: dict[Manner | None, int] = {None: 0, **dict.fromkeys(story.manners(name), 0)}
    for look in story.seen.at("GET", health.path):
        there = story.there(name, look)
        blamed = story.blamed(look) in ("", name)
        if tardy := story.late(look):
            if blamed:
                found.late(look, tardy)
            continue
        services = _services(look)
        if services is None:
            if there is not None and blamed:
                found.note(look, f"a JSON object whose services name {name}", _shown(look))
        elif name not in services:
            found.note(look, f"services name {name}", f"they name {', '.join(sorted(services)) or 'nothing'}")
        elif there is not None:
            manner = None if there else story.manner(name, look)
            told[manner] += 1
            if (services[name] == health.healthy) is not there:
                how = manner.past if manner else "was there"
                wanted = f"{name} is {'healthy' if there else 'not healthy'}: it {how}"
                # A busy machine makes a sound dependency late; it makes none answer that is away.
                found.note(
                    look,
                    wanted,
                    f"{name} is {json.dumps(services[name])}; {_shown(look)}",
                    sure=not there,
                    certain=not there,
                )
    seen = sum(told.values()) + len(found.wrong)
    if verdict := found.verdict(clause, seen):
        return verdict
    if unseen := [manner for manner, count in told.items() if not count]:
        state = unseen[0].past if unseen[0] else "was there"
        return unproven(clause, f"no look began and was answered while {name} {state}", observations=seen)
    counts = ", ".join(f"{count} while it {manner.past if manner else 'was there'}" for manner, count in told.items())
    return holds(clause, observations=seen, reason=f"{seen} looks: {counts}; {story.allowance()}")


def status(health: Health, timeline: Timeline, *, away: Away) -> Verdict:
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
    found = _Found(story)
    for look in (*story.seen.at("HEAD", health.path), *story.seen.at("GET", f"{health.path}/")):
        code = story.steady_code(plain, look)
        if code is not None:
            spelt += 1
            if look.status != code:
                # A busy machine makes a sound dependency late for one look, and not for those beside it.
                found.note(look, f"{code}, as GET {health.path} at that time", _shown(look), sure=False)
    seen = sum(codes.values()) + spelt
    found.wrong += wrong
    if verdict := found.verdict(clause, max(seen, 1)):
        return verdict
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


def probe(promise: ProbePromise, health: Health, timeline: Timeline, *, away: Away) -> Verdict:
    """A probe fails exactly while something that it needs is away, in every spelling, within its time."""
    clause = f"probe/{promise.name}"
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    found = _Found(story)
    path = promise.shipped_path
    unseen: list[str] = []
    seen = 0
    told = {(name, manner): 0 for name in promise.needs for manner in story.manners(name)}
    for method, spelling in (("GET", path), ("HEAD", path), ("GET", f"{path}/")):
        looks = story.seen.at(method, spelling)
        seen += len(looks)
        codes = {health.status_healthy: 0, **({health.status_unhealthy: 0} if promise.needs else {})}
        for look in looks:
            if tardy := story.late(look):
                found.late(look, tardy)
                continue
            if any(story.there(name, look) is None for name in promise.needs):
                continue
            gone = {name: manner for name in promise.needs if (manner := story.manner(name, look))}
            code = health.status_unhealthy if gone else health.status_healthy
            codes[code] += 1
            for each in gone.items():
                told[each] += 1
            if look.status != code:
                why = _said(gone) if gone else _why_well(promise, story, look)
                found.note(look, f"{code}: {why}", _shown(look), sure=bool(gone))
        unseen += [f"{method} {spelling} that should be {code}" for code, count in codes.items() if not count]
    unseen += [f"{path} while {name} {manner.past}" for (name, manner), count in told.items() if not count]
    if not promise.needs:
        found.waiting(story.seen.at("GET", path))
    if verdict := found.verdict(clause, max(seen, 1)):
        return verdict
    if unseen:
        return unproven(clause, f"no look was seen of {', '.join(unseen)}", observations=seen)
    needs = f"fails with {' and '.join(promise.needs)} alone" if promise.needs else "200 whatever was away"
    return holds(clause, observations=seen, reason=f"{seen} looks: {needs}; {story.allowance()}")


def restarted(promise: ProbePromise, timeline: Timeline, *, away: Away) -> Verdict:
    """An orchestrator that probes for life would restart nothing, in whichever phase of the run it began to ask."""
    clause = promise.decision_id
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    probing, answers = _probing(promise), story.answers(promise.shipped_path)
    if rare := _rare(probing, answers):
        return unproven(clause, rare, observations=len(answers.heard))
    phases = offsets(probing.period)
    begun, ended = -probing.initial_delay, story.document(timeline.ended)
    found: list[tuple[float, Turn]] = []
    for offset in phases:
        turns = played(probing, answers, begun=begun, ended=ended, offset=offset, well=True, restarts=True)
        found += [(offset, turn) for turn in turns if not turn.well]
    numbers = f"{_numbers(probing)}; each answer stands for the time nearest to it, up to {answers.gap:.1f} s apart"
    if found:
        first = min(found, key=lambda each: each[1].at)[1]
        struck = len({offset for offset, _ in found})
        wanted = f"no restart: the process lived through the whole of {timeline.program}"
        said = f"restarted in {struck} of {len(phases)} phases; at the first, the last answer was {_heard(first.heard)}"
        finding = story.played(first, promise, wanted, said, because=numbers)
        reason = f"would be restarted {len(found)} times, the first {finding.location}"
        if story.busy_around(first.heard):
            return unproven(clause, f"{reason}: {BUSY_SAID}", observations=len(answers.heard))
        return broken(clause, reason, finding, observations=len(answers.heard))
    # What never restarts anything proves nothing: a gateway that had hung must not have been spared.
    longest = max(story.spells(), key=lambda gone: gone.end - gone.start)
    start, end = story.document(longest.start), story.document(longest.end)
    silent = Answers(heard=[each if not start <= each.at < end else _silent(each) for each in answers.heard])
    spared = [
        offset
        for offset in phases
        if not played(probing, silent, begun=begun, ended=ended, offset=offset, well=True, restarts=True)
    ]
    if spared:
        return unproven(
            clause,
            f"had it hung for {end - start:.0f} s, it would not have been restarted in {len(spared)} of {len(phases)} "
            f"phases: the looks are too few, or that is too short ({numbers})",
            observations=len(answers.heard),
        )
    return holds(
        clause,
        observations=len(answers.heard),
        reason=f"no restart in any of {len(phases)} phases; had it hung while {longest.name} {longest.manner.past}, "
        f"for {end - start:.0f} s, it would have been restarted in each ({numbers})",
    )


def routed(promise: ProbePromise, timeline: Timeline, *, away: Away) -> Verdict:
    """Traffic ends within the probe's time when something needed goes, and is back within it when that is back."""
    clause = promise.decision_id
    if reasons := _premises(timeline, away):
        return unproven(clause, "; ".join(reasons))
    story = _Story(timeline, away)
    probing, answers = _probing(promise), story.answers(promise.shipped_path)
    if rare := _rare(probing, answers):
        return unproven(clause, rare, observations=len(answers.heard))
    allowed = (
        f"out within {probing.failing:g} s = {probing.failure_threshold} · {probing.period:g} s + "
        f"{probing.timeout:g} s, back within {probing.succeeding:g} s = "
        f"{probing.success_threshold} · {probing.period:g} s + {probing.timeout:g} s, "
        f"each + the time between two looks, up to {answers.gap:.1f} s"
    )
    begun, ended = 0.0, story.document(timeline.ended)
    windows, short = _windows(story, promise, probing, answers=answers, ended=ended)
    wrong: list[Finding] = []
    unclear: list[Finding] = []
    struck: set[float] = set()
    for offset in offsets(probing.period):
        # Until it has been found ready for the first time it gets no traffic.
        unready = Turn(at=begun, well=False, heard=answers.near(begun))
        turns = (
            unready,
            *played(probing, answers, begun=begun, ended=ended, offset=offset, well=False, restarts=False),
        )
        for window in windows:
            if (turn := _contrary(turns, window, ended)) is not None:
                struck.add(offset)
                expected = f"{'in' if window.routed else 'out of'} rotation: {window.why}"
                said = f"it was {'out of' if window.routed else 'in'} it; the last answer was {_heard(turn.heard)}"
                at = max(turn.at, window.start)
                blame = unclear if window.routed and story.busy_around(turn.heard) else wrong
                blame.append(story.played(turn, promise, expected, said, at=at, because=allowed))
    if wrong:
        reason = f"wrong in {len(struck)} of {len(offsets(probing.period))} phases, first {wrong[0].location}"
        return broken(clause, reason, *wrong[:EXAMPLES], observations=len(answers.heard))
    if unclear:
        return unproven(clause, _unclear(unclear), observations=len(answers.heard))
    kinds = [window.routed for window in windows if window.end > window.start]
    if short or not any(kinds) or all(kinds):
        what = "; ".join(short) or ("it was never to be in rotation" if not any(kinds) else "it was never to be out")
        return unproven(clause, f"too little was seen {what} ({allowed})", observations=len(answers.heard))
    return holds(
        clause,
        observations=len(answers.heard),
        reason=f"out of rotation {kinds.count(False)} times and back, in each of {len(offsets(probing.period))} phases "
        f"({allowed})",
    )


def uptime(health: Health, timeline: Timeline, *, away: Away) -> Verdict:
    """
    What an outside prober makes of the service is what the service said at that time.

    What the service did not say, the prober would not take for up either.
    """
    clause = "uptime/external"
    reasons = _premises(timeline, away, needs=("blackbox_exporter",))
    outside = timeline.health.outside if timeline.health is not None else ()
    if mute := [each for each in outside if each.success is None]:
        reasons.append(f"the prober did not answer {len(mute)} of {len(outside)} times: {mute[0].error[:SHOWN]}")
    if not outside:
        reasons.append("no look of an outside prober was recorded")
    if reasons:
        return unproven(clause, "; ".join(reasons))
    if told_otherwise := _indulgent(clause, timeline):
        return told_otherwise
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
                    location=story.place(each.sent),
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


def _indulgent(clause: str, timeline: Timeline) -> Verdict | None:
    """The verdict where the prober's configuration is no ground to believe its looks; None where it is, or unknown."""
    seen = timeline.health
    assert seen is not None, "the premises come first"
    if seen.prober_trouble:
        return unproven(clause, f"what the prober takes for up could not be read: {seen.prober_trouble}")
    modules = dict.fromkeys(each.module for each in seen.outside)
    try:
        lenient = tuple(indulgent(seen.prober, modules)) if seen.prober else ()
    except ProberError as error:
        return unproven(clause, f"what the prober takes for up could not be understood: {error}", lasting=True)
    headline = "its prober takes more than success for up"
    return broken(clause, headline, *lenient, observations=len(modules), lasting=True) if lenient else None


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

    def __init__(self, timeline: Timeline, away: Away) -> None:
        assert timeline.health is not None, "the premises come first"
        self.seen: HealthSeen = timeline.health
        self._timeline = timeline
        self._late = ANSWER + self.seen.lag
        spans = timeline.phases
        self._absences = [
            _Gone(
                name=absence.name,
                manner=absence.manner,
                from_=spans[n - 1].end if n else timeline.begun,
                start=span.start,
                end=span.end,
                # What hung when it came back is given up within a probe's time.
                back=(spans[n + 1].start if n + 1 < len(spans) else span.end) + ANSWER,
            )
            for n, span in enumerate(spans)
            for absence in away.get(span.name, ())
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

    def busy(self, look: Look) -> bool:
        """Whether the machine was so busy during a look that it may have been late for that alone."""
        return self._busy(look.sent, look.finished) or self._starved(look.sent, look.seconds)

    def busy_around(self, heard: Heard) -> bool:
        """The same for an answer that an orchestrator heard, and for those beside it."""
        at = self._timeline.begun + heard.at / self._timeline.tempo
        return self._busy(at - ANSWER, at + max(heard.seconds, ANSWER)) or self._starved(at, heard.seconds)

    def slow_control(self, start: float, end: float) -> float:
        """The median of the answers of something idle in a time, in seconds; 0 where nothing was asked."""
        return median([look.seconds for look in self.seen.control if start <= look.sent < end] or [0.0])

    def _busy(self, start: float, end: float) -> bool:
        idle = [look for look in self.seen.control if look.sent <= end + NEARBY and look.finished >= start - NEARBY]
        late = [look for look in self.seen.looks if start - NEARBY <= look.sent <= end + NEARBY]
        return any(look.seconds > BUSY for look in idle) or any(look.sent - look.due > BUSY for look in late)

    def _starved(self, sent: float, seconds: float) -> bool:
        return premise.starving(self.seen.waited(sent, sent + seconds), seconds)

    def steady_code(self, plain: Sequence[Look], look: Look | OutsideLook) -> int | None:
        """The code of the plain GETs just before and just after a look, where they agree and nothing changed."""
        if not self.certain(look):
            return None
        before = [each for each in plain if each.sent <= look.sent]
        after = [each for each in plain if each.sent > look.sent]
        if not before or not after or not (self.certain(before[-1]) and self.certain(after[0])):
            return None
        return before[-1].status if before[-1].status == after[0].status else None

    def document(self, at: float) -> float:
        """Seconds of the document's time since the run began."""
        return (at - self._timeline.begun) * self._timeline.tempo

    def answers(self, path: str) -> Answers:
        """What an orchestrator would have heard at a path; what the looking itself took is no time of the service."""
        return Answers(
            heard=[
                Heard(at=self.document(look.sent), seconds=max(0.0, look.seconds - self.seen.lag), status=look.status)
                for look in self.seen.at("GET", path)
            ]
        )

    def played(
        self, turn: Turn, promise: ProbePromise, expected: str, observed: str, *, because: str, at: float | None = None
    ) -> Finding:
        """A finding about what an orchestrator would have decided."""
        instant = self._timeline.begun + (turn.at if at is None else at) / self._timeline.tempo
        return Finding(
            expected=expected,
            observed=observed,
            query=f"GET {promise.shipped_path}",
            location=self.place(instant),
            because=because,
        )

    def spells(self) -> tuple[_Gone, ...]:
        return tuple(self._absences)

    def first_absence(self) -> float:
        return min((absence.from_ for absence in self._absences), default=self._timeline.ended)

    def allowance(self) -> str:
        """The bound of an answer as the sum it is."""
        return f"bound {self._late:.3f} s = a probe's {ANSWER:g} s + the looks' own lag {self.seen.lag:.3f} s"

    def place(self, at: float) -> str:
        """Where in the run an instant lies."""
        phase = next((span.name for span in self._timeline.phases if span.start <= at < span.end), "a change")
        return f"{clock.at(at)}, during {phase}"

    def finding(self, look: Look, expected: str, observed: str, *, because: str = "") -> Finding:
        return Finding(
            expected=expected,
            observed=observed,
            query=f"{look.method} {look.path}",
            location=self.place(look.sent),
            because=because,
        )


class _Found:
    """What deviates: for sure, or only perhaps, because the machine was busy."""

    def __init__(self, story: _Story) -> None:
        self._story = story
        self.wrong: list[Finding] = []
        self.unclear: list[Finding] = []
        self.sure = False

    def note(
        self, look: Look, expected: str, observed: str, *, sure: bool = True, certain: bool = False, because: str = ""
    ) -> None:
        """
        A look that deviates; `sure` says that nothing which was busy at that moment explains it.

        `certain` says that nothing does: what is away was called well.
        """
        self.sure |= certain
        blame = self.wrong if sure or not self._story.busy(look) else self.unclear
        blame.append(self._story.finding(look, expected, observed, because=because))

    def late(self, look: Look, tardy: str) -> None:
        """A look that was answered too late."""
        self.note(look, f"an answer within {ANSWER:g} s", tardy, sure=False, because=self._story.allowance())

    def waiting(self, looks: Sequence[Look]) -> None:
        """Where a path that needs nothing becomes slow while something is away."""
        calm = [look.seconds for look in looks if look.finished <= self._story.first_absence()]
        for gone in self._story.spells():
            there = [look.seconds for look in looks if gone.start <= look.sent < gone.end]
            if not calm or not there or median(there) <= median(calm) + WAITS:
                continue
            idle = self._story.slow_control(gone.start, gone.end)
            # So much would half of the looks have waited for a processor, were that the reason.
            starved = self._story.seen.waited(gone.start, gone.end) > len(there) / 2 * WAITS / 2
            blame = self.unclear if starved or idle > WAITS / 2 else self.wrong
            blame.append(
                Finding(
                    expected=f"an answer as fast as before {gone.name} {gone.manner.past}: "
                    f"{median(calm):.3f} s (median)",
                    observed=f"{median(there):.3f} s (median of {len(there)})",
                    query=f"GET {looks[0].path}",
                    because=f"more than {WAITS:g} s slower is a path that waits for {gone.name}; "
                    f"something idle took {idle:.3f} s then",
                )
            )

    def verdict(self, clause: str, seen: int) -> Verdict | None:
        """Broken where something deviates for sure, unproven where it may; None where nothing does."""
        if self.wrong:
            return broken(
                clause, _first(self.wrong, seen), *self.wrong[:EXAMPLES], observations=seen, lasting=self.sure
            )
        return unproven(clause, _unclear(self.unclear), observations=seen) if self.unclear else None


def _premises(timeline: Timeline, away: Away, *, needs: Iterable[str] = ()) -> list[str]:
    reasons = list(premise.deaths(timeline, needs))
    if timeline.interrupted:
        reasons.append(f"the program was not performed to its end: {timeline.interrupted}")
    performed = {span.name for span in timeline.phases}
    reasons += [f"the phase {phase!r} was not performed" for phase in away if phase not in performed]
    if timeline.health is None or not timeline.health.looks:
        return [*reasons, "no look at the gateway's health was recorded"]
    reasons += premise.late_looks(timeline)
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


def _probing(promise: ProbePromise) -> Probing:
    return Probing(
        initial_delay=promise.initial_delay.total_seconds(),
        period=promise.period.total_seconds(),
        timeout=promise.timeout.total_seconds(),
        failure_threshold=promise.failure_threshold,
        success_threshold=promise.success_threshold,
    )


def _numbers(probing: Probing) -> str:
    return (
        f"asked each {probing.period:g} s, waited {probing.timeout:g} s for, "
        f"given up after {probing.failure_threshold} failures in a row"
    )


def _rare(probing: Probing, answers: Answers) -> str:
    """Why the looks at a path are too few to be played over, in words; empty when they are not."""
    if len(answers.heard) < 2:
        return f"its path was looked at {len(answers.heard)} times"
    if (blank := answers.blank(probing.failing)) > BLANK:
        return (
            f"for {blank:.0%} of the time the looks are further apart, up to {answers.gap:.0f} s, "
            f"than a probe's patience of {probing.failing:g} s"
        )
    return ""


def _silent(heard: Heard) -> Heard:
    return Heard(at=heard.at, seconds=0.0, status=None)


def _heard(heard: Heard) -> str:
    return f"{heard.status} after {heard.seconds:.2f} s" if heard.status is not None else "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    """When the service must surely be in rotation, or out of it, in seconds of the document's time."""

    routed: bool
    start: float
    end: float
    why: str


def _windows(
    story: _Story, promise: ProbePromise, probing: Probing, *, answers: Answers, ended: float
) -> tuple[list[_Window], list[str]]:
    """Where it is sure what must be decided, and which absences were too short for that, in words."""
    in_by = probing.succeeding + answers.gap
    windows: list[_Window] = []
    short: list[str] = []
    free = probing.initial_delay + in_by
    for gone in story.spells():
        if gone.name not in promise.needs:
            continue
        if (since := story.document(gone.from_)) > free:
            windows.append(_Window(routed=True, start=free, end=since, why="what it needs is there"))
        free = max(free, story.document(gone.back) + in_by)
        # Up to the first that was answered when it was back: that one may have been answered well.
        asked = [look for look in story.seen.at("GET", promise.shipped_path) if gone.start <= look.sent < gone.end]
        told = [story.document(look.sent) for look in takewhile(_over_by(gone.end), asked)]
        start = story.document(gone.start)
        start += probing.failing + answers.gap_in(start, start + probing.failing)
        if told and told[-1] > start:
            said = f"{gone.name} {gone.manner.past}"
            windows.append(_Window(routed=False, start=start, end=told[-1], why=said))
        else:
            short.append(f"while {gone.name} {gone.manner.past}")
    windows.append(_Window(routed=True, start=free, end=ended, why="all that it needs is back"))
    return windows, short


def _over_by(end: float) -> Callable[[Look], bool]:
    return lambda look: look.finished <= end


def _contrary(turns: Sequence[Turn], window: _Window, ended: float) -> Turn | None:
    """The first decision that held against what is wanted during any time of a window."""
    for number, turn in enumerate(turns):
        until = turns[number + 1].at if number + 1 < len(turns) else ended
        if turn.well is not window.routed and turn.at < window.end and until > window.start < window.end:
            return turn
    return None


def _unclear(unclear: Sequence[Finding]) -> str:
    first = unclear[0]
    return f"{len(unclear)} answers that may be wrong, the first {first.observed} ({first.location}): {BUSY_SAID}"


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
