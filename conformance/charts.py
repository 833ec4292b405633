"""What a run looked like: charts of alerts and panels, made of its timelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.contract.model import Contract
    from conformance.report.chart import Chart
    from conformance.timeline.model import Timeline


def charts(contract: Contract, timelines: Mapping[str, Timeline]) -> tuple[Chart, ...]:
    """The charts of every alert, then of every panel, as far as their programs were performed."""
    return (*alert_charts(contract, timelines), *panel_charts(contract, timelines))


def alert_charts(
    contract: Contract,  # noqa: ARG001
    timelines: Mapping[str, Timeline],  # noqa: ARG001
) -> tuple[Chart, ...]:
    """For each alert and each rung: its measure, its threshold, pending and firing, what receivers heard."""
    return ()


def panel_charts(
    contract: Contract,  # noqa: ARG001
    timelines: Mapping[str, Timeline],  # noqa: ARG001
) -> tuple[Chart, ...]:
    """For each panel of each dashboard: what it showed during the program that it is judged on."""
    return ()
