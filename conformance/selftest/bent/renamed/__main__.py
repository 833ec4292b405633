"""Runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.gateway import __main__ as gateway
from fixtures.gateway.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

page = Metrics.page


def main(environ: Mapping[str, str]) -> int:
    """Serve, with `osmen_failures_total` in the place of `osmen_errors_total`."""
    Metrics.page = lambda self: page(self).replace(b"osmen_errors_total", b"osmen_failures_total")  # type: ignore[method-assign]
    return gateway.main(environ)
