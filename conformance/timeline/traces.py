"""What a tracing backend says about the requests of one run, and about the suite's own spans; nothing of promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedEvent:
    """Something that a span noted on its way, such as an exception."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedSpan:
    """A span as the backend keeps it; ids are hexadecimal, `start` is in Unix seconds, values are text."""

    span_id: str
    parent_id: str
    name: str
    service: str
    start: float
    seconds: float
    attributes: Mapping[str, str] = field(default_factory=dict)
    events: tuple[TracedEvent, ...] = ()

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Every span found under one id; `absent_until` is when a look last did not find it, 0 when none missed it."""

    trace_id: str
    spans: tuple[TracedSpan, ...]
    absent_until: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PortSeen:
    """
    What came of speaking to one port, by its documented number.

    `refused` says why the port did not take what it was given; `found` whether the effect was seen: a span found
    again, an answer that is one. `said` is the last thing seen.
    """

    port: int
    address: str
    query: str
    found: bool
    refused: str = ""
    said: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TracesSeen:
    """
    The traces of the ledger's requests, and strays: other traces that name one of its request ids.

    `answers` says that the backend had taken in what was sent after the run: only then is a trace that is not there
    lost. `begun` has the trace that the service began, by request whose client named none. `troubles` are why something
    could not be read.
    """

    services: tuple[str, ...]
    traces: tuple[Trace, ...]
    strays: tuple[Trace, ...]
    ports: tuple[PortSeen, ...]
    answers: bool
    looked: float
    query: str
    begun: Mapping[str, str] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
