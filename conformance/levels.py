"""
Raises gateways that differ in nothing but their log levels, has each do the same, and keeps what they wrote.

They run beside a cell for a second or two, a few at a time, each with a tenant of its own at the model server.
"""

from __future__ import annotations

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from conformance.timeline.levels import LevelsSeen, Variant
from fixtures.core import patience, tls, wait
from fixtures.stack.component import StackError
from fixtures.stack.components import OTHER_LOGS
from fixtures.stack.forked import how_it_ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from conformance.contract.model import Logs
    from fixtures.stack.driver import Running
    from fixtures.stack.stack import Cell

AT_ONCE = 2
"""Gateways that run side by side."""

NONSENSE = "LOUD"
"""What is no level anywhere."""

DEEDS = (
    # Too long, and the model server fails: an agent warns and errs, the gateway errs.
    ("daily_brief", {"input": "word " * 2000, "user_id": "user000"}),
    # Served: everything below a warning.
    ("librarian", {"input": "what did I note about the roof", "user_id": "user000"}),
    # The client's own mistake: the gateway warns.
    ("no_such_agent", {"input": "anything", "user_id": "user000"}),
)
FAILS_FIRST = {"error_share": 0.5}
"""Of two requests to the model server the first fails."""

KILLED = how_it_ended(-signal.SIGKILL)

LINES = 400
"""Lines of a log that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A variant to be raised: its name and what stands in its environment."""

    name: str
    environment: Mapping[str, str]


def plan(logs: Logs) -> tuple[Given, ...]:
    """
    Every variable at every level, with few gateways.

    The variable for all services alone at each level; all variables together, no two at the same level, so that each
    specific one is at each level and none can be taken for another; each specific one alone beside the general one;
    and each with a word that is no level.
    """
    levels, wide = logs.format.levels, max(logs.levels, key=lambda each: len(each.services))
    narrow = [each for each in logs.levels if each is not wide]
    count = len(levels)
    given = [Given(name=f"all-{level.lower()}", environment={wide.variable: level}) for level in levels]
    given += [
        Given(
            name=f"each-{number}",
            environment={
                wide.variable: levels[(number + 2 * len(narrow)) % count],
                **{each.variable: levels[(number + 2 * place) % count] for place, each in enumerate(narrow)},
            },
        )
        for number in range(count)
    ]
    given += [
        Given(
            name=f"only-{each.services[0]}", environment={wide.variable: levels[count // 2], each.variable: levels[0]}
        )
        for each in narrow
    ]
    given += [
        Given(name=f"wrong-{number}", environment={each.variable: NONSENSE}) for number, each in enumerate(logs.levels)
    ]
    return tuple(given)


def observe(cell: Cell, logs: Logs, *, prefix: str) -> LevelsSeen:
    """What each variant of the cell's gateway wrote, answered and counted; `prefix` is that of its metrics' names."""

    def one(given: Given) -> Variant:
        try:
            return _variant(cell, given, prefix)
        except (StackError, OSError, httpx.HTTPError) as error:
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            return Variant(name=given.name, given=given.environment, trouble=said)

    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="levels") as pool:
        return LevelsSeen(variants=tuple(pool.map(one, plan(logs))))


def _variant(cell: Cell, given: Given, prefix: str) -> Variant:
    tenant = f"{cell.name}-{given.name}"
    log = cell.stack.settings.rundir.folder(OTHER_LOGS) / f"{tenant}.jsonl"
    cell.upstream(FAILS_FIRST, tenant=tenant)
    # It is measured by nobody and stands back: whatever hangs for its cell hangs here for as long as a client waits.
    patient = {"UPSTREAM_TIMEOUT": f"{patience.REQUEST:g}", **given.environment}
    with cell.stack.beside(cell, tenant, patient) as running:
        if how := _await(running):
            return Variant(
                name=given.name, given=given.environment, lines=_lines(log), ended=how, said=running.log(5).strip()
            )
        answers, counts = _done(running, prefix)
    if running.ended() == KILLED:
        raise StackError(f"{running.instance}: did not stop in time, so its last lines may be missing")
    return Variant(name=given.name, given=given.environment, lines=_lines(log), answers=answers, counts=counts)


def _await(running: Running) -> str:
    """Wait until the gateway lives; how it ended where it did not want to. Raises StackError where neither comes."""

    def look() -> str:
        if how := running.ended():
            return how
        try:
            answer = httpx.get(_url(running, "/live"), timeout=patience.PROBE, trust_env=False, verify=tls.context())
        except httpx.HTTPError:
            return "waiting"
        return "" if answer.is_success else "waiting"

    waited = wait.until(look, lambda said: said != "waiting", budget=patience.STARTUP, every=patience.POLL)
    if not waited.ok:
        raise StackError(f"{running.instance}: neither lived nor ended within {patience.STARTUP:g} s")
    return waited.last


def _done(running: Running, prefix: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The deeds done to it: what it answered, what it counted."""
    answers = []
    with httpx.Client(
        base_url=_url(running, ""), timeout=patience.REQUEST, trust_env=False, verify=tls.context()
    ) as client:
        for number, (agent, body) in enumerate(DEEDS):
            path = f"/api/v1/agents/{agent}/execute"
            answer = client.post(path, json=body, headers={"X-Request-ID": request_id(number)})
            answers.append(f"POST {path}: {answer.status_code} {_keys(answer.text)}")
        page = client.get("/metrics").text
    return tuple(answers), tuple(sorted(_counts(page, prefix)))


def request_id(number: int) -> str:
    """The id that a deed has in every variant."""
    return f"deed-{'abc'[number]}"


def _url(running: Running, path: str) -> str:
    return f"http://{running.address('http')}{path}"


def _keys(body: str) -> str:
    try:
        given = json.loads(body)
    except ValueError:
        return repr(body[:80])
    return ", ".join(sorted(given)) if isinstance(given, dict) else repr(body[:80])


def _counts(page: str, prefix: str) -> Iterator[str]:
    """Each series of the service's own names; gauges and sums differ from run to run, counts do not."""
    for name, labels, value in re.findall(rf"^({prefix}\w+)(\{{[^\n]*\}})? (\S+)", page, re.MULTILINE):
        told = f" {value}" if name.endswith(("_total", "_count")) else ""
        yield f"{name}{labels}{told}"


def _lines(log: Path) -> tuple[str, ...]:
    try:
        return tuple(log.read_text(encoding="utf-8", errors="replace").splitlines()[:LINES])
    except FileNotFoundError:
        return ()
