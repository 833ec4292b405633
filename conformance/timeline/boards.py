"""What dashboards showed: each query as it was asked in place of Grafana, with its answer, and the world behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from conformance.timeline.metrics import Billed
from fixtures.load.witness import Sighting


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One series of an answer: its labels and points of (Unix seconds, value); None is no finite number."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """
    One query of a panel, asked as Grafana would with the dashboard's time set to a phase of the program.

    `values` are the variables' chosen values by name (`$__all` stands for all). `query` is the text that was sent.
    `start`, `end` and `step` are real seconds; the step of an instant query is 0. An `error` is the backend's own, or
    says why nothing could be asked; `lines` counts a log panel's lines.
    """

    board: str
    panel: str
    ref: str
    phase: str
    values: Mapping[str, str]
    query: str
    start: float
    end: float
    step: float
    series: tuple[Shown, ...] = ()
    lines: int | None = None
    error: str = ""
    unaskable: bool = False
    """The error is that of the run's tempo, which cannot divide the query, and says nothing about the panel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paid:
    """Tokens that the model server billed for one request."""

    request_id: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    stalled: bool = False
    """Whether the model server let it wait."""


def paid(billed: Iterable[Billed]) -> tuple[Paid, ...]:
    """The same of what the model server recorded of requests."""
    return tuple(
        Paid(
            request_id=each.request_id,
            model=each.model,
            prompt_tokens=each.prompt_tokens,
            completion_tokens=each.completion_tokens,
            stalled=each.stalled,
        )
        for each in billed
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardsSeen:
    """
    The dashboards' files by name, the values of their variables (by board and name), every query and its answer.

    `witnessed` is what the servers and the kernel counted themselves, `paid` what the model server billed.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    witnessed: tuple[Sighting, ...] = ()
    paid: tuple[Paid, ...] = ()
    looked: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """When cAdvisor looked at the `service` and at the `machine`: its samples carry times of their own."""
    troubles: tuple[str, ...] = ()

    def answers(self, board: str, panel: str) -> tuple[Asked, ...]:
        """What was asked for one panel, in order."""
        return tuple(each for each in self.asked if each.board == board and each.panel == panel)
