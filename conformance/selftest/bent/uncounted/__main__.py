"""Runs it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from fixtures.gateway import __main__ as gateway
from fixtures.gateway.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

counted = Metrics.executed
errors = itertools.count(1)


def forgetful(self: Metrics, agent: str, *, failed_by: Any, **durations: Any) -> None:  # noqa: ANN401  passed on
    """Count an error as a success, every third time."""
    if failed_by is not None and next(errors) % 3 == 0:
        failed_by = None
    counted(self, agent, failed_by=failed_by, **durations)


def main(environ: Mapping[str, str]) -> int:
    """Serve, forgetful."""
    Metrics.executed = forgetful  # type: ignore[method-assign]
    return gateway.main(environ)
