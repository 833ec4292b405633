"""What services did that differ in nothing but their log levels; it knows nothing of promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One service with these variables in its environment: what it wrote, answered and counted of the same deeds."""

    name: str
    given: Mapping[str, str]
    lines: tuple[str, ...] = ()
    """Every line of its log, from its start to its end."""
    answers: tuple[str, ...] = ()
    """Of each request: what was asked, the status code and the keys of the answer's body."""
    counts: tuple[str, ...] = ()
    """Of its metrics page, sorted: each series, with its value where that is a count."""
    ended: str = ""
    """How it ended by itself; empty where it ran until it was stopped."""
    said: str = ""
    """The last lines that it wrote beside its log."""
    trouble: str = ""
    """Why nothing could be seen of it; never a pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelsSeen:
    """Every variant of a service."""

    variants: tuple[Variant, ...]
