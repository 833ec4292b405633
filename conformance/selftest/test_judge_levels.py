"""
Log levels judged: a service that obeys its levels holds, and each way to bend one breaks the clause of that variable.

The service is a table of lines and a function of its environment; the variants are those that are raised live.
"""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance import levels as raised
from conformance.contract.load import load
from conformance.judge import levels
from conformance.judge.verdict import Status
from conformance.timeline.levels import LevelsSeen, Variant
from conformance.timeline.model import SCHEMA, Config, Death, Timeline
from fixtures.load.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.judge.verdict import Verdict

    Given = Mapping[str, str]
    Levels = Callable[[Given], dict[str, str]]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
ALL, GATEWAY, AGENT = (f"log/level/{name}" for name in ("LOG_LEVEL", "GATEWAY_LOG_LEVEL", "AGENT_LOG_LEVEL"))

LINES = (
    ("gateway", "INFO", "gateway is up on 127.0.0.1:20000", ""),
    ("agent", "INFO", "4 agents", ""),
    ("gateway", "DEBUG", "Agent execution started", "deed-a"),
    ("agent", "DEBUG", "prompt built: 2 messages", "deed-a"),
    ("agent", "WARNING", "input shortened", "deed-a"),
    ("agent", "ERROR", "the model gave no answer", "deed-a"),
    ("gateway", "ERROR", "Agent execution failed", "deed-a"),
    ("gateway", "DEBUG", "Agent execution started", "deed-b"),
    ("agent", "DEBUG", "prompt built: 2 messages", "deed-b"),
    ("gateway", "INFO", "Agent execution completed", "deed-b"),
    ("gateway", "WARNING", "Agent execution rejected", "deed-c"),
    ("gateway", "INFO", "gateway is stopping", ""),
)
ANSWERS = ("POST /a: 502 error", "POST /b: 200 output", "POST /c: 404 error")
COUNTS = ('osmen_requests_total{agent="librarian"} 1.0', "osmen_active_users")


def documented(given: Given) -> dict[str, str]:
    """From which level on each service logs."""
    general = given.get("LOG_LEVEL", "INFO")
    return {
        "gateway": given.get("GATEWAY_LOG_LEVEL", general),
        "agent": given.get("AGENT_LOG_LEVEL", general),
    }


def spoken(line: tuple[str, str, str, str]) -> str:
    service, level, message, request = line
    return json.dumps({"service": service, "level": level, "message": message, "request_id": request or None})


def variant(name: str, given: Given, of: Levels = documented) -> Variant:
    for variable, value in given.items():
        if value not in LEVELS:
            said = f"gateway: {variable}={value!r} is not a level ({', '.join(LEVELS)})"
            return Variant(name=name, given=given, ended="exit code 2", said=said)
    from_ = of(given)
    lines = tuple(spoken(line) for line in LINES if LEVELS.index(line[1]) >= LEVELS.index(from_[line[0]]))
    return Variant(name=name, given=given, lines=lines, answers=ANSWERS, counts=COUNTS)


def variants(of: Levels = documented) -> tuple[Variant, ...]:
    return tuple(variant(each.name, each.environment, of) for each in raised.plan(contract().logs))


contract = functools.cache(load)


def timeline(seen: tuple[Variant, ...]) -> Timeline:
    return Timeline(
        schema=SCHEMA,
        program="steady",
        cell="steady",
        tempo=60,
        begun=0.0,
        ended=20.0,
        scrape_interval=0.25,
        evaluation_interval=0.25,
        phases=(),
        ledger=Ledger(requests=()),
        config=Config(rules_shipped={}, rules_given={}, alertmanager_shipped="", alertmanager_given=""),
        needs=("upstream",),
        levels=LevelsSeen(variants=seen),
    )


def judged(seen: Timeline) -> dict[str, Verdict]:
    logs = contract().logs
    verdicts = [levels.obeyed(each, logs, seen) for each in logs.levels]
    return {each.clause: each for each in verdicts}


def by(verdicts: Mapping[str, Verdict], status: Status) -> set[str]:
    return {clause for clause, each in verdicts.items() if each.status is status}


def told(verdicts: Mapping[str, Verdict]) -> str:
    return "\n".join(each.text() for each in verdicts.values())


# --- the plan -----------------------------------------------------------------------------------------------------


def test_the_plan_has_every_variable_decide_at_every_level_and_be_told_from_the_others() -> None:
    """
    Few gateways suffice: where all variables are set no two of them have one level.
    """
    logs, plan = contract().logs, raised.plan(contract().logs)
    decided = {
        (decides.variable, service, each.environment[decides.variable])
        for each in plan
        for service in logs.format.services
        if (decides := logs.decides(service, each.environment)) is not None
    }

    assert len(plan) == 15
    assert {(each.variable, of, level) for each in logs.levels for of in each.services for level in LEVELS} <= decided
    assert all(len(set(each.environment.values())) == len(each.environment) for each in plan)
    assert len({each.name for each in plan}) == len(plan)


# --- an honest service, and bent ones -----------------------------------------------------------------------------


def test_a_service_that_obeys_holds() -> None:
    """
    Every clause holds, and says how often the variable decided.
    """
    verdicts = judged(timeline(variants()))

    assert by(verdicts, Status.HOLDS) == {ALL, GATEWAY, AGENT}, told(verdicts)
    assert [verdicts[each].observations for each in (ALL, GATEWAY, AGENT)] == [12, 6, 6]


def without(variable: str) -> Levels:
    return lambda given: documented({name: value for name, value in given.items() if name != variable})


def swapped(given: Given) -> dict[str, str]:
    names = {"GATEWAY_LOG_LEVEL": "AGENT_LOG_LEVEL", "AGENT_LOG_LEVEL": "GATEWAY_LOG_LEVEL"}
    return documented({names.get(name, name): value for name, value in given.items()})


def taken_for(level: str, other: str, variable: str = "") -> Levels:
    """One level is understood as another, of one variable or of all."""
    return lambda given: documented(
        {name: other if value == level and variable in ("", name) else value for name, value in given.items()}
    )


def general_wins(given: Given) -> dict[str, str]:
    return documented({"LOG_LEVEL": given["LOG_LEVEL"]}) if "LOG_LEVEL" in given else documented(given)


def the_lower(given: Given) -> dict[str, str]:
    """Both variables count, and the more talkative wins."""
    own = documented(given)
    least = given.get("LOG_LEVEL", "CRITICAL")
    return {service: min(level, least, key=LEVELS.index) for service, level in own.items()}


def shared(given: Given) -> dict[str, str]:
    """The gateway's variable sets the agents' level as well."""
    own = documented(given)
    return {**own, "agent": own["gateway"]} if "GATEWAY_LOG_LEVEL" in given else own


@pytest.mark.parametrize(
    ("bent", "broken", "words"),
    [
        pytest.param(without("LOG_LEVEL"), {ALL}, "no line below it", id="the general one ignored"),
        pytest.param(without("GATEWAY_LOG_LEVEL"), {GATEWAY}, "as GATEWAY_LOG_LEVEL says", id="the gateway's ignored"),
        pytest.param(without("AGENT_LOG_LEVEL"), {AGENT}, "as AGENT_LOG_LEVEL says", id="the agents' ignored"),
        pytest.param(swapped, {GATEWAY, AGENT, ALL}, "lacks", id="two confused"),
        pytest.param(general_wins, {GATEWAY, AGENT}, "lacks", id="the general one wins"),
        pytest.param(the_lower, {GATEWAY, AGENT}, "no line below it", id="the more talkative wins"),
        pytest.param(shared, {AGENT, ALL}, "agent", id="the gateway's for both"),
        pytest.param(taken_for("WARNING", "INFO"), {ALL, GATEWAY, AGENT}, "from WARNING on", id="WARNING as INFO"),
        pytest.param(taken_for("WARNING", "ERROR"), {ALL, GATEWAY, AGENT}, "lacks", id="WARNING as ERROR"),
        pytest.param(taken_for("ERROR", "CRITICAL"), {ALL, GATEWAY, AGENT}, "lacks", id="ERROR as CRITICAL"),
        pytest.param(
            taken_for("CRITICAL", "ERROR", "AGENT_LOG_LEVEL"), {AGENT}, "CRITICAL on", id="CRITICAL as ERROR, agents"
        ),
        pytest.param(
            taken_for("DEBUG", "INFO", "GATEWAY_LOG_LEVEL"), {GATEWAY}, "lacks 2", id="DEBUG as INFO, gateway"
        ),
    ],
)
def test_a_bent_level_breaks_the_clause_of_its_variable_alone(bent: Levels, broken: set[str], words: str) -> None:
    """
    What writes too much or too little at a level is caught at that level, with an example.
    """
    verdicts = judged(timeline(variants(bent)))

    assert by(verdicts, Status.BROKEN) == broken, told(verdicts)
    assert words in told(verdicts)


def changed(change: Callable[[Variant], Variant], *, when: Callable[[Given], bool]) -> tuple[Variant, ...]:
    return tuple(change(each) if when(each.given) and not each.ended else each for each in variants())


def gateway_at(*names: str) -> Callable[[Given], bool]:
    return lambda given: given.get("GATEWAY_LOG_LEVEL") in names


def with_line(*line: str) -> Callable[[Variant], Variant]:
    return lambda each: replace(each, lines=(*each.lines, *line))


STRAY = spoken(("gateway", "INFO", "127.0.0.1 - POST /a 502", ""))


def refused(*, of: str = "", **fields: str) -> tuple[Variant, ...]:
    """Those that were given no level (of one variable, or of any), changed."""
    return tuple(
        replace(each, **fields) if each.ended and (not of or of in each.given) else each  # type: ignore[arg-type]
        for each in variants()
    )


@pytest.mark.parametrize(
    ("seen", "broken", "words"),
    [
        pytest.param(
            changed(lambda each: replace(each, counts=()), when=gateway_at("ERROR")),
            {GATEWAY, AGENT},
            "counts as at every other level",
            id="a level that silences the metrics",
        ),
        pytest.param(
            changed(lambda each: replace(each, counts=(f"{COUNTS[0][:-3]}2.0", COUNTS[1])), when=gateway_at("DEBUG")),
            {ALL, GATEWAY, AGENT},
            "osmen_requests_total",
            id="a level that counts twice",
        ),
        pytest.param(
            changed(
                lambda each: replace(each, answers=("POST /a: 502 error, traceback", *ANSWERS[1:])),
                when=lambda given: given == {"LOG_LEVEL": "DEBUG"},
            ),
            {ALL},
            "502 error, traceback",
            id="a level that shows clients more",
        ),
        pytest.param(
            changed(with_line(STRAY), when=bool), {ALL, GATEWAY}, "POST /a #", id="access lines at each level"
        ),
        pytest.param(
            changed(with_line(spoken(LINES[4])), when=lambda given: given.get("AGENT_LOG_LEVEL") == "WARNING"),
            {AGENT},
            "none more often than at other levels",
            id="a level that doubles a warning",
        ),
        pytest.param(
            changed(with_line(spoken(LINES[9])), when=gateway_at("INFO")),
            {GATEWAY},
            "none more often than at other levels",
            id="a level that doubles a request's line",
        ),
        pytest.param(
            refused(ended="", said="", of="GATEWAY_LOG_LEVEL"),
            {GATEWAY},
            "it ran; it said nothing",
            id="nonsense is taken",
        ),
        pytest.param(
            refused(said="Traceback\n  File\nKeyError: 'LOUD'"),
            {ALL, GATEWAY, AGENT},
            "one line that LOG_LEVEL='LOUD' is no level",
            id="nonsense ends in a traceback",
        ),
        pytest.param(
            refused(ended="exit code 0"),
            {ALL, GATEWAY, AGENT},
            "an end that is no success",
            id="nonsense ends in success",
        ),
        pytest.param(
            refused(said="gateway: a level is wrong"),
            {ALL, GATEWAY, AGENT},
            "'gateway: a level is wrong'",
            id="nonsense is not named",
        ),
    ],
)
def test_what_a_level_must_not_change_is_caught(seen: tuple[Variant, ...], broken: set[str], words: str) -> None:
    """
    Answers, counts and lines of other levels stay as they are, and a word that is no level is refused by name.
    """
    verdicts = judged(timeline(seen))

    assert by(verdicts, Status.BROKEN) == broken, told(verdicts)
    assert words in told(verdicts).replace('\\"', '"')


# --- premises -----------------------------------------------------------------------------------------------------


def silent(service: str, level: str) -> tuple[Variant, ...]:
    """A service that never writes a line of a level."""
    own = f'"service": "{service}", "level": "{level}"'
    return tuple(replace(each, lines=tuple(line for line in each.lines if own not in line)) for each in variants())


@pytest.mark.parametrize(
    ("seen", "unproven", "words"),
    [
        (timeline(()), {ALL, GATEWAY, AGENT}, "no gateway at another level was raised"),
        (replace(timeline(()), levels=None), {ALL, GATEWAY, AGENT}, "no gateway at another level was raised"),
        (
            timeline((*variants()[:-1], replace(variants()[-1], trouble="it never lived"))),
            {ALL, GATEWAY, AGENT},
            "wrong-2: it never lived",
        ),
        (
            replace(timeline(variants()), deaths=(Death(component="upstream", at=1.0, detail="killed"),)),
            {ALL, GATEWAY, AGENT},
            "upstream died",
        ),
        (timeline(silent("agent", "ERROR")), {ALL, AGENT}, "agent wrote no line of level ERROR at any level"),
        (timeline(variants()[:4] + variants()[5:]), {ALL}, "LOG_LEVEL never decided for gateway at CRITICAL"),
        (timeline(variants()[:-1]), {AGENT}, "AGENT_LOG_LEVEL was never given what is no level"),
    ],
)
def test_without_its_premises_a_level_is_unproven(seen: Timeline, unproven: set[str], words: str) -> None:
    """
    What nobody tried, or what no line could have shown, is never called kept.
    """
    verdicts = judged(seen)

    assert by(verdicts, Status.UNPROVEN) == unproven, told(verdicts)
    assert by(verdicts, Status.BROKEN) == set()
    assert words in told(verdicts)


def test_a_hiccup_of_one_variant_is_no_promise_for_the_others() -> None:
    """
    A warning that one of them happened to write is missed nowhere else.
    """
    odd = spoken(("gateway", "WARNING", "active users not updated: TimeoutError", "deed-b"))
    first, *rest = variants()
    verdicts = judged(timeline((with_line(odd)(first), *rest)))

    assert by(verdicts, Status.HOLDS) == {ALL, GATEWAY, AGENT}, told(verdicts)
