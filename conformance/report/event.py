"""What happened in a run, event by event, for whoever watches from outside; it must not know how events are shown."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from conformance.judge.verdict import Status
from conformance.report.clean import LONGEST, clip, map_texts, plain
from conformance.report.record import ReportError, Result
from conformance.report.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """The first event."""

    command: str
    stack: str
    subject: str
    tempo: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnTaken:
    """The run waited so long for another one on this machine; its own time begins here."""

    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentReady:
    """A component answered its probe."""

    component: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentDied:
    """A component ended though nobody stopped it."""

    component: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseBegan:
    """A phase of a program began and lasts so long."""

    program: str
    phase: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramEnded:
    """The program is over, and so many requests are in its ledger."""

    program: str
    cell: str
    seconds: float
    requests: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptFailed:
    """A program proved nothing and is run again."""

    program: str
    tempo: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClauseJudged:
    """A judge returned a verdict."""

    clause: str
    status: Status
    reason: str
    observations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnded:
    """The last event."""

    result: Result
    seconds: float


Event = (
    RunStarted
    | TurnTaken
    | ComponentReady
    | ComponentDied
    | PhaseBegan
    | ProgramEnded
    | AttemptFailed
    | ClauseJudged
    | RunEnded
)


def kind(event: Event) -> str:
    """`RunStarted` is `run-started`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


class EventLog:
    """
    `events.ndjson`, one event a line, flushed, so that a killed run leaves behind what happened.

    A line that cannot be written does not stop the run; `close` says so.
    """

    def __init__(
        self, path: Path, *, redactor: Redactor | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._redactor = redactor or Redactor()
        self._now = now
        self._lock = threading.Lock()
        self._trouble: OSError | None = None
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ReportError(f"{path}: {error.strerror}") from error

    def write(self, event: Event) -> None:
        """Append `event` with `at` and `kind`; from any thread."""
        fit = map_texts(event, lambda text: clip(self._redactor.text(plain(text)), LONGEST))
        at = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        line = msgspec.json.encode({"at": at, "kind": kind(event), **msgspec.to_builtins(fit)}).decode()
        with self._lock:
            if self._trouble is not None or self._file.closed:
                return
            try:
                self._file.write(self._redactor.text(line) + "\n")
                self._file.flush()
            except OSError as error:
                self._trouble = error

    def close(self) -> None:
        """Close the file; safe to call twice. Raises ReportError where an event could not be written."""
        with self._lock:
            trouble, self._trouble = self._trouble, None
            try:
                self._file.close()
            except OSError as error:
                trouble = trouble or error
        if trouble is not None:
            raise ReportError(f"{self._path}: events are missing: {trouble.strerror}") from trouble
