"""What the static tests stand on: the checkout's rules, and the tools that judge them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fixtures.stack.provision import provide

Run = Callable[[Sequence[str | Path]], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def promtool() -> Path:
    return provide(["promtool"])["promtool"].path


@pytest.fixture(scope="session")
def amtool() -> Path:
    return provide(["amtool"])["amtool"].path


@pytest.fixture(scope="session")
def rules_folder() -> Path:
    return Path(__file__).parents[2] / "rules"


@pytest.fixture(scope="session")
def run() -> Run:
    """Give a function that runs a tool to its end and keeps what it said."""

    def to_its_end(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return to_its_end
