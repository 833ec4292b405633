"""
Subjects that are each bent in one way, stood up for real and judged by the code path of the main job.

All of them run side by side on one stack, a cell each; where Alertmanager is bent the cell has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import load
from conformance.judge import ladder
from conformance.judge.verdict import Status, Verdict
from conformance.report.redact import Redactor
from conformance.report.write import mask
from conformance.scenarios.test_error_rate import ABOVE, BELOW, LADDER
from conformance.selftest import attempts, canaries
from fixtures.core import rundir
from fixtures.stack.secrets import NAMES, Secrets
from fixtures.stack.stack import AGAIN, Settings, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.perform import Foresee
    from conformance.timeline.model import Timeline
    from fixtures.core.rundir import RunDir
    from fixtures.faults.program import Program

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "rules/alerts.yml").read_text(encoding="utf-8")
ROUTES = (ROOT / "rules/alertmanager.yml").read_text(encoding="utf-8")
CONTRACT = load()

HOLDS, BROKEN, UNPROVEN = Status.HOLDS, Status.BROKEN, Status.UNPROVEN
ASPECTS = ("shipped", "fires-above", "for", "resolves", "delivered")


def rules(old: str, new: str) -> Subject:
    """The shipped rules with the first `old` of HighErrorRate replaced."""
    assert old in RULES, f"{old!r} does not stand in rules/alerts.yml"
    return Subject(rules={"alerts.yml": RULES.replace(old, new, 1)})


def routes(old: str, new: str) -> Subject:
    """The shipped routing with every `old` replaced."""
    assert old in ROUTES, f"{old!r} does not stand in rules/alertmanager.yml"
    return Subject(alertmanager=ROUTES.replace(old, new))


@dataclass(frozen=True, kw_only=True)
class Deviant:
    """What is bent, the verdicts that it must get (in the order of ASPECTS), and the words that name the reason."""

    name: str
    subject: Subject
    statuses: tuple[Status, ...]
    words: Mapping[str, str] = field(default_factory=dict)
    owns: frozenset[str] = frozenset()


NEVER_FIRED = (UNPROVEN, UNPROVEN, UNPROVEN)

DEVIANTS = (
    Deviant(
        name="every-third-error-uncounted",
        subject=Subject(module="conformance.selftest.bent.uncounted"),
        statuses=(HOLDS, BROKEN, *NEVER_FIRED),
        words={"fires-above": "its own metric never passed the threshold"},
    ),
    Deviant(
        name="metric-renamed",
        subject=Subject(module="conformance.selftest.bent.renamed"),
        statuses=(HOLDS, BROKEN, *NEVER_FIRED),
        words={"fires-above": "gave no value at all"},
    ),
    Deviant(
        name="threshold-raised",
        subject=rules("> 0.1", "> 0.13"),
        statuses=(BROKEN, BROKEN, *NEVER_FIRED),
        words={"shipped": "> 0.13", "fires-above": "did not become pending"},
    ),
    Deviant(
        name="for-doubled",
        subject=rules("for: 5m", "for: 10m"),
        statuses=(BROKEN, BROKEN, BROKEN, UNPROVEN, UNPROVEN),
        words={"shipped": "for 5m", "fires-above": "did not fire", "for": "waits longer than documented"},
    ),
    Deviant(
        name="severity-swapped",
        subject=rules("severity: warning", "severity: critical"),
        statuses=(BROKEN, HOLDS, HOLDS, HOLDS, BROKEN),
        words={"shipped": "labels.severity", "delivered": "pagerduty"},
    ),
    Deviant(
        name="receiver-url-wrong",
        subject=routes("hooks.slack.com/services", "hooks.slack.com/service"),
        statuses=(HOLDS, HOLDS, HOLDS, HOLDS, BROKEN),
        words={"delivered": "does not name https://hooks.slack.com/services"},
        owns=frozenset({"alertmanager"}),
    ),
    Deviant(
        name="resolved-not-sent",
        subject=routes("send_resolved: true", "send_resolved: false"),
        statuses=(HOLDS, HOLDS, HOLDS, HOLDS, BROKEN),
        words={"delivered": "one resolved notification"},
        owns=frozenset({"alertmanager"}),
    ),
    Deviant(
        name="tells-its-password",
        subject=Subject(module="conformance.selftest.bent.telling"),
        # That is no matter of the alert: its files are looked through below.
        statuses=(HOLDS, HOLDS, HOLDS, HOLDS, HOLDS),
    ),
)

LOWERED = "threshold-lowered"


EXPECTED: Mapping[str, Mapping[str, Status]] = {
    **{deviant.name: dict(zip(ASPECTS, deviant.statuses, strict=True)) for deviant in DEVIANTS},
    LOWERED: {"shipped": BROKEN, "silent-below": BROKEN},
}
"""By program, what each judge must say of it."""


@dataclass(frozen=True, kw_only=True)
class Performed:
    """Every deviant's timeline, and where the first stack, on which all of them stood, wrote and had its secrets."""

    timelines: Mapping[str, Timeline]
    directory: RunDir
    secrets: Secrets


@pytest.fixture(scope="module")
def performed(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    """
    Every deviant performed: errors above the threshold, for the last one below it.
    """
    programs = [replace(ABOVE, name=deviant.name, owns=deviant.owns) for deviant in DEVIANTS]
    programs.append(replace(BELOW, name=LOWERED))
    subjects = {deviant.name: deviant.subject for deviant in DEVIANTS}
    subjects[LOWERED] = rules("> 0.1", "> 0.08")
    places: list[tuple[RunDir, Secrets]] = []

    def perform(chosen: Sequence[Program], foresee: Foresee) -> Mapping[str, Timeline]:
        directory = rundir.create(exact=tmp_path_factory.mktemp("deviants"))
        secrets = Secrets(directory.path / "secrets")
        places.append((directory, secrets))
        settings = Settings(rundir=directory, rules=ROOT / "rules", tempo=60, secrets=secrets)
        return attempts.staged(chosen, foresee, settings=settings, contract=CONTRACT, subjects=subjects)

    timelines = attempts.performed(programs, expected, perform)
    directory, secrets = places[0]
    return Performed(timelines=timelines, directory=directory, secrets=secrets)


@pytest.fixture(scope="module")
def timelines(performed: Performed) -> Mapping[str, Timeline]:
    """
    Everything known about each deviant, by its name.
    """
    return performed.timelines


def judged(timeline: Timeline) -> dict[str, Verdict]:
    """What the main job says of the one cell, by aspect."""
    name = timeline.program
    own = replace(LADDER, below=name, above=name)
    return {aspect: ladder.judged(own, aspect, CONTRACT, {name: timeline}) for aspect in EXPECTED[name]}


def expected(timeline: Timeline) -> Iterator[tuple[Status, Verdict]]:
    """Each verdict about a deviant, after the status that it must have."""
    for aspect, verdict in judged(timeline).items():
        yield EXPECTED[timeline.program][aspect], verdict


@pytest.mark.parametrize("deviant", DEVIANTS, ids=lambda deviant: deviant.name)
def test_a_bent_subject_breaks_exactly_the_right_clauses(deviant: Deviant, timelines: Mapping[str, Timeline]) -> None:
    """
    Each clause that the bend touches is broken for the reason that it is, and no other.
    """
    verdicts = judged(timelines[deviant.name])

    told = "\n\n".join(verdict.text() for verdict in verdicts.values())
    assert EXPECTED[deviant.name] == {name: each.status for name, each in verdicts.items()}, told
    for aspect, words in deviant.words.items():
        assert words in verdicts[aspect].text()


def test_a_threshold_that_is_too_low_is_not_silent_below(timelines: Mapping[str, Timeline]) -> None:
    """
    A rule that fires at nine tenths of the documented threshold breaks the promise of silence, and its shipped form.
    """
    verdicts = judged(timelines[LOWERED])

    silence = verdicts["silent-below"]
    assert silence.status is BROKEN, silence.text()
    assert "where it must be silent" in silence.text()
    assert verdicts["shipped"].status is BROKEN


def test_a_credential_that_a_subject_tells_is_found_there_and_nowhere_else(performed: Performed) -> None:
    """
    Of all that a whole stack writes, only what the talkative gateway wrote holds a credential; masking leaves none.
    """
    directory, secrets = performed.directory, performed.secrets
    given = {name: secrets.value(name) for name in NAMES}
    told = canaries.leaks(directory.path, given)
    masked = mask(directory.path, Redactor(secrets.values()))

    # Where it was performed once more, it told it once more.
    assert {each.replace(AGAIN, "") for each in told} == {
        "logs/gateway-tells-its-password.log: gateway-database",
        "other-logs/tells-its-password.txt: gateway-database",
    }
    assert [directory.relative(path) for path in masked] == [each.partition(":")[0] for each in told]
    assert canaries.leaks(directory.path, given) == []
