"""Which sessions go first: what is asked of the kernel is what it then says, and where it refuses nothing is raised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.stack import priority


def test_a_session_has_the_niceness_that_it_was_given() -> None:
    """
    The kernel tells the niceness of the process's session back.
    """
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        place = Path(f"/proc/{process.pid}/autogroup")
        if not place.exists() or not place.read_text(encoding="ascii").strip():
            process.communicate(b"\n")
            pytest.skip(f"{place}: this kernel does not share its processors among sessions")
        priority.renice(process.pid, priority.LAST)
        said = place.read_text(encoding="ascii").split()
        process.communicate(b"\n")

    assert said[-1] == str(priority.LAST)


def test_a_process_that_is_gone_is_left_alone() -> None:
    """
    A process may end at any moment; that is no error of whoever ranks it.
    """
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    priority.renice(process.pid, priority.FIRST)

    assert not Path(f"/proc/{process.pid}").exists()
