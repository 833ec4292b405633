"""The whole stack under a calm load, to look around in: `python -m conformance.look`; ends with Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures.core import clock, patience, rundir, wait
from fixtures.core.journal import Journal
from fixtures.core.ports import PortError
from fixtures.core.rundir import RunDirError
from fixtures.language.rules import RulesError
from fixtures.load.ledger import Outcome
from fixtures.load.profile import Steady
from fixtures.load.runner import Load
from fixtures.stack.component import StackError
from fixtures.stack.provision import ProvisionError
from fixtures.stack.stack import JOB_PEERS, CellSpec, Settings, standing
from fixtures.stack.tempo import TempoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fixtures.stack.stack import Cell, Ready, Stack

CELL = "looking"
EVERY = 10.0
"""Seconds between two lines about the load."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Raise the stack, print where everything is, send the load until interrupted; 0 after an orderly end."""
    parser = argparse.ArgumentParser(
        prog="nox -s stack --", description="The whole stack under a calm load, its addresses printed, until Ctrl-C."
    )
    parser.add_argument("--tempo", type=float, default=1.0, help="divide the rules' minutes (default 1: as shipped)")
    parser.add_argument("--rps", type=float, default=2.0, help="requests per second of the load (default 2)")
    parser.add_argument("--rules", type=Path, default=Path("rules"), help="the folder of rule files (default: rules)")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.tempo <= 1000:
        parser.error(f"--tempo {chosen.tempo:g}: must be between 1 (real time) and 1000")
    if not 0 <= chosen.rps <= 50:
        parser.error(f"--rps {chosen.rps:g}: must be between 0 and 50")
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        directory = rundir.create()
        journal = Journal(directory.path / "journal.ndjson")
        settings = Settings(rundir=directory, rules=chosen.rules, tempo=chosen.tempo)
        spec = CellSpec(name=CELL, tempo=chosen.tempo, jobs=frozenset({"osmen_gateway", *JOB_PEERS}))
        with standing(settings, [spec], journal=journal, announce=_ready, note=print) as stack:
            print("\n".join(addresses(stack, stack.cells[CELL])))
            print(f"everything is kept in {directory.path}; Ctrl-C ends it", flush=True)
            return asyncio.run(_serve(stack, chosen.rps))
    except (StackError, ProvisionError, RunDirError, PortError, TempoError, RulesError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", flush=True)
        return 0


def _ready(ready: Ready) -> None:
    print(f"{ready.seconds:6.2f} s  {ready.instance} is ready", flush=True)


def addresses(stack: Stack, cell: Cell) -> list[str]:
    """What a person opens, a line each."""
    gateway, prometheus = cell.gateway.address("http"), cell.prometheus.address("http")
    rows = [
        ("gateway", f"http://{gateway}/metrics  /health  /ready  POST /api/v1/agents/daily_brief/execute"),
        ("Prometheus", f"http://{prometheus}/alerts  /targets"),
        ("Alertmanager", f"http://{stack.address('alertmanager', 'http')}"),
        ("Loki", f"http://{stack.address('loki', 'http')}  (API only: /loki/api/v1/query_range)"),
        ("Jaeger", f"http://{stack.address('jaeger', 'query')}"),
        ("pages received", f"http://{stack.address('receivers', 'http')}/received"),
    ]
    known = {"alertmanager", "loki", "jaeger", "receivers", cell.gateway.instance, cell.prometheus.instance}
    for name, running in sorted(stack.components.items()):
        if name not in known:
            rows.append((name, " ".join(running.address(port.name) for port in running.component.ports)))
    return ["", *(f"  {name:<18} {where}" for name, where in rows), ""]


async def _serve(stack: Stack, rps: float) -> int:
    """Send the load and say how it goes; a component that dies is named, and ends it."""
    load = Load(base_url=f"http://{stack.cells[CELL].gateway.address('http')}", cell=CELL)
    async with load:
        sending = asyncio.create_task(load.run(Steady(rps=rps), phase="calm", seconds=7 * 24 * 3600))
        told = clock.mono()
        try:
            while True:
                await wait.reach(clock.mono() + patience.WATCH)
                for ended in stack.ended():
                    print(f"{ended.instance} died: {ended.how}\n{ended.log}", file=sys.stderr)
                    return 1
                if clock.mono() - told >= EVERY:
                    told = clock.mono()
                    seen = load.ledger()
                    failed = len(seen.outcome(Outcome.ERROR, Outcome.LOST))
                    print(f"{clock.at(clock.now())}  {len(seen)} requests, {failed} failed", flush=True)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending


if __name__ == "__main__":
    sys.exit(main())
