"""What a judge returns: one of four statuses for one clause, with what was expected and what was observed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(StrEnum):
    """From best to worst: a pass needs `holds`."""

    HOLDS = "holds"
    UNSUPPORTED = "unsupported"
    UNPROVEN = "unproven"
    BROKEN = "broken"


class NonConformant(AssertionError):
    """A promise is broken; the text carries expected, observed, query, document and how to repeat."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text())
        self.verdict = verdict


class Unproven(Exception):
    """A premise failed, so nothing was proven."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text())
        self.verdict = verdict


class Unsupported(Exception):
    """The stack or the subject lacks a capability; the reason is in words."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text())
        self.verdict = verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One deviation, as data: text is made at the edge."""

    expected: str
    observed: str
    query: str = ""
    location: str = ""
    clients: str = ""
    because: str = ""
    """Why the bound is what it is: the slack's derivation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """
    `observations` counts what the status rests on; a `holds` that rests on nothing cannot be made.

    `about` names the programs that it rests on, where they are fewer than those of its test. What is `lasting` no
    second attempt would find otherwise: where it is broken it was read, or counted when all was over, and no busy
    machine excuses it.
    """

    clause: str
    status: Status
    reason: str
    observations: int = 0
    findings: tuple[Finding, ...] = ()
    document: str = ""
    again: str = ""
    evidence: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    lasting: bool = False

    def __post_init__(self) -> None:
        if self.status is Status.HOLDS and self.observations <= 0:
            raise ValueError(f"{self.clause}: holds on 0 observations; a vacuous pass is no pass")
        if self.status is not Status.HOLDS and not self.reason:
            raise ValueError(f"{self.clause}: {self.status} without a reason")

    def text(self) -> str:
        """The verdict as a failure reads: the clause and reason first, then each finding."""
        lines = [f"{self.clause}: {self.reason}" if self.reason else f"{self.clause}: {self.status}"]
        for finding in self.findings:
            for name in ("expected", "observed", "clients", "because", "query", "location"):
                value = getattr(finding, name)
                if value:
                    lines.append(f"  {name:<9} {value}")
        if self.document:
            lines.append(f"  document  {self.document}")
        if self.again:
            lines.append(f"  again     {self.again}")
        return "\n".join(lines)

    def require(self) -> None:
        """Return when the clause holds; raise NonConformant, Unproven or Unsupported otherwise."""
        __tracebackhide__ = True
        if self.status is Status.BROKEN:
            raise NonConformant(self)
        if self.status is Status.UNPROVEN:
            raise Unproven(self)
        if self.status is Status.UNSUPPORTED:
            raise Unsupported(self)


def holds(clause: str, *, observations: int, reason: str = "") -> Verdict:
    """The promise was seen kept, `observations` times; with none of them it is unproven."""
    if observations <= 0:
        return unproven(clause, "rests on no observation")
    return Verdict(clause=clause, status=Status.HOLDS, reason=reason, observations=observations)


def broken(clause: str, reason: str, *findings: Finding, observations: int = 1, lasting: bool = False) -> Verdict:
    """The premises were met and something else than promised was observed."""
    return Verdict(
        clause=clause,
        status=Status.BROKEN,
        reason=reason,
        findings=tuple(findings),
        observations=observations,
        lasting=lasting,
    )


def unproven(clause: str, reason: str, *findings: Finding, observations: int = 0, lasting: bool = False) -> Verdict:
    """A premise failed; where that is not `lasting` the program is performed once more."""
    return Verdict(
        clause=clause,
        status=Status.UNPROVEN,
        reason=reason,
        findings=tuple(findings),
        observations=observations,
        lasting=lasting,
    )


def unsupported(clause: str, reason: str) -> Verdict:
    """A capability is missing."""
    return Verdict(clause=clause, status=Status.UNSUPPORTED, reason=reason)


def worst(verdicts: Iterable[Verdict]) -> Status:
    """The worst status among `verdicts`; of nothing it is unproven."""
    ladder = list(Status)
    return max((v.status for v in verdicts), key=ladder.index, default=Status.UNPROVEN)
