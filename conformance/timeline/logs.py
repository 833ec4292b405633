"""What was seen of a service's log: lines, planted lines, answers to queries, frozen; it knows nothing of promises."""

from __future__ import annotations

from dataclasses import dataclass

RUN, PLANTED, QUIET = "run", "planted", "quiet"
"""Whose lines a query was asked about: the run's own, those planted to tell queries apart, those without any error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line: `length` is its length in characters, of which `text` is the beginning where it was cut."""

    text: str
    length: int
    at: float | None = None
    """Its instant in the log store (Unix seconds); None where it was read from the service's own file."""
    service: str = ""
    """The value of its stream's label `service`."""
    credentials: tuple[str, ...] = ()
    """The names of the run's credentials that stood in it; in `text` they are masked."""
    garbled: bool = False
    """Whether it held bytes that are no UTF-8; in `text` each is the replacement character."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A line that the suite wrote where services write theirs; `key` is a word that stands in no other line."""

    key: str
    what: str
    text: str
    place: str
    at: float
    wrapped: bool = False
    """Whether it was written as a container engine writes it: wrapped into a JSON object of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A query of the contract as it was asked: narrowed to the streams of one place."""

    name: str
    form: str
    """`shipped` or `documented`."""
    place: str
    query: str
    counts: bool = False
    """Whether it gives numbers, not lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the log store said to a question: lines, or the value of each series at the instant `at`."""

    question: Question
    at: float
    lines: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    refused: str = ""
    """Why the store would not run the query; empty when it did."""
    error: str = ""
    """Why there is no trustworthy answer; empty when there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogsSeen:
    """Everything read of one cell's log. `written` is None where the service's own file is out of reach."""

    written: tuple[Line, ...] | None
    kept: tuple[Line, ...] = ()
    """What the log store has of the cell."""
    planted: tuple[Planted, ...] = ()
    arrived: tuple[str, ...] = ()
    """The lines of the planted places, as the store has them."""
    answers: tuple[Answer, ...] = ()
    lagging: str = ""
    """What had not arrived in the log store within its budget."""
    troubles: tuple[str, ...] = ()
    """What went wrong while the log was read; never a pass."""
    file: str = ""
    query: str = ""
    """The query that read `kept`."""
