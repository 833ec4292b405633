"""What was seen of a service's metrics after a run: its page, what Prometheus keeps, what the model server counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One line of a metrics page; the value is kept as it is written, so that NaN and infinity survive being stored."""

    name: str
    labels: Mapping[str, str]
    written: str

    @property
    def value(self) -> float:
        """The number; NaN where none is written."""
        try:
            return float(self.written)
        except ValueError:
            return math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Oversize:
    """A label value that was too long to be kept."""

    name: str
    label: str
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """
    A metrics page as one kind of scraper gets it.

    `types` has the TYPE of each name as the page spells it; `counts` the series of each name, also of those that were
    too many for all to be kept.
    """

    scraper: str
    status: int
    content_type: str
    at: float
    size: int
    samples: tuple[Sample, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    oversize: tuple[Oversize, ...] = ()
    problems: tuple[str, ...] = ()
    """What a scraper refuses: malformed lines, series that stand twice, no end."""

    def named(self, name: str) -> tuple[Sample, ...]:
        """The samples of exactly this name."""
        return tuple(sample for sample in self.samples if sample.name == name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """Raw samples of one series in Prometheus: (Unix seconds, value), None where it is not a finite number."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float | None], ...]

    @property
    def name(self) -> str:
        return self.labels.get("__name__", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Billed:
    """One request to the model server as that server recorded it; 499 is a client that gave up."""

    request_id: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    status: int
    stalled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsSeen:
    """
    Everything seen; what could not be read is in the troubles, by what was asked: `page`, `prometheus`, `upstream`.

    `last` has the newest value of each series of the documented names, `tracks` the raw samples of the gauges and of
    the containers' metrics over the run, `recorded` those of what rules record (None where they were not read) and
    `scraped` when the service was scraped with success (Unix seconds), from a rule's longest window before the run on.
    `counts` has the series by job and name, `types` the metadata by job and name.
    """

    pages: tuple[Page, ...] = ()
    last: tuple[Track, ...] = ()
    tracks: tuple[Track, ...] = ()
    recorded: tuple[Track, ...] | None = None
    scraped: tuple[float, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    billed: tuple[Billed, ...] = ()
    memory: float | None = None
    """What the service's process occupied right after the run (its proportional set), in bytes."""
    cores: int = 0
    """Processors of the machine that the run was made on."""
    troubles: Mapping[str, str] = field(default_factory=dict)
