"""
Plants the lines that separate right queries from wrong ones, where the services write their own.

It knows how such lines look; which query must find which of them is the contract's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.timeline.logs import PLANTED, QUIET, Planted
from fixtures.core import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = 0.002
"""Seconds between two planted lines: each has an instant of its own."""


def labels(cell: str) -> dict[str, str]:
    """By place: the value of the label `cell` under which the log store has its lines."""
    return {PLANTED: f"planted-{cell}", QUIET: f"quiet-{cell}"}


def plant(folder: Path, cell: str) -> tuple[Planted, ...]:
    """
    Write the lines into files beside the services' own, once plain and once as a container engine wraps them.

    The files appear whole, so that no reader meets half a line.
    """
    at, names = clock.now(), labels(cell)
    plain = tuple(_loud(cell, at))
    wrapped = tuple(
        replace(each, key=each.key[:-1] + "w", text=each.text.replace(each.key, each.key[:-1] + "w"), wrapped=True)
        for each in plain
    )
    quiet = tuple(_quiet(cell, at))
    _write(folder / f"{names[PLANTED]}.jsonl", [each.text for each in plain])
    _write(folder / f"{names[PLANTED]}-json.log", [_wrapped(each) for each in wrapped])
    _write(folder / f"{names[QUIET]}.jsonl", [each.text for each in quiet])
    return (*plain, *wrapped, *quiet)


def _loud(cell: str, begun: float) -> Iterator[Planted]:
    rows: list[tuple[str, dict[str, Any] | str]] = [
        ("INFO of 2341 ms by daily_brief", {"agent": "daily_brief"}),
        ("INFO of 7000 ms", {"duration_ms": 7000}),
        ("INFO of exactly 5000 ms", {"duration_ms": 5000}),
        ("INFO of 5001 ms", {"duration_ms": 5001}),
        ("ERROR by daily_brief", {"level": "ERROR", "agent": "daily_brief", "status": "error"}),
        ("CRITICAL", {"level": "CRITICAL", "agent": None, "duration_ms": None, "status": None}),
        ("ERROR written with spaces", {"level": "ERROR", "status": "error"}),
        ("WARNING", {"level": "WARNING"}),
        ("INFO with ERROR in its message", {"message": "CRITICAL path ran with no ERROR"}),
        ('"level":"error"', {"level": "error"}),
        ("another agent", {"agent": "daily_brief_weekly"}),
        ("INFO with daily_brief in its message", {"message": "asked by daily_brief"}),
        ('duration_ms of "n/a"', {"duration_ms": "n/a"}),
        ("duration_ms of null", {"duration_ms": None}),
        ("an access line", 'INFO: 127.0.0.1:51234 - "POST /agents/daily_brief/{key} HTTP/1.1" 500 ERROR'),
        ("a line of a traceback", '  File "/app/daily_brief.py", line 7001, in {key}: ERROR'),
    ]
    for number, (what, given) in enumerate(rows):
        key, at = f"planted_{cell}_{number:02d}p", begun + number * STEP
        if isinstance(given, str):
            text = given.replace("{key}", key)
        else:
            spaces = (", ", ": ") if "spaces" in what else (",", ":")
            text = _record(at, key, spaces, **given)
        yield Planted(key=key, what=what, text=text, place=PLANTED, at=at)


def _quiet(cell: str, begun: float) -> Iterator[Planted]:
    for number in range(2):
        key, at = f"quiet_{cell}_{number:02d}p", begun + number * STEP
        yield Planted(key=key, what="INFO alone", text=_record(at, key), place=QUIET, at=at)


def _record(at: float, key: str, separators: tuple[str, str] = (",", ":"), **given: object) -> str:
    """The guide's example line with an instant of now; log stores refuse old ones."""
    fields = {
        "timestamp": clock.iso(at),
        "level": "INFO",
        "service": "gateway",
        "request_id": key,
        "user_id": "user123",
        "agent": "librarian",
        "duration_ms": 2341,
        "status": "success",
        "message": "Agent execution completed",
    }
    return json.dumps({**fields, **given}, separators=separators)


def _wrapped(line: Planted) -> str:
    entry = {"log": f"{line.text}\n", "stream": "stdout", "time": clock.iso(line.at)}
    return json.dumps(entry, separators=(",", ":"))


def _write(path: Path, lines: list[str]) -> None:
    half = path.with_suffix(".part")
    half.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    half.replace(path)
