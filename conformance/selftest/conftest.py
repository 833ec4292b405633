"""What every self-test is spared: a CI server's own variables, and luck: examples are the same in each run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR")

# A gate's verdict is no matter of luck: the same examples each time, however slow the machine is. Others are searched
# with `--hypothesis-profile search`.
SLOW = (HealthCheck.too_slow,)
settings.register_profile("gate", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("search", deadline=None, suppress_health_check=SLOW)
settings.load_profile("gate")


@pytest.fixture(scope="session", autouse=True)
def _no_server() -> Iterator[None]:
    """
    Neither annotations nor a job's page come of a bent run.
    """
    was = {name: os.environ.pop(name) for name in SERVER if name in os.environ}
    yield
    os.environ.update(was)
