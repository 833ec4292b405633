"""What every self-test is spared: a CI server must not take the runs within the tests for runs of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR")


@pytest.fixture(scope="session", autouse=True)
def _no_server() -> Iterator[None]:
    """
    Neither annotations nor a job's page come of a bent run.
    """
    was = {name: os.environ.pop(name) for name in SERVER if name in os.environ}
    yield
    os.environ.update(was)
