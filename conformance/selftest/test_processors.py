"""How much of the machine was in use, as the kernel counts it between two looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.load.witness import Processors

if TYPE_CHECKING:
    from pathlib import Path


def ticks(root: Path, *, used: int, idle: int, waiting: int = 0) -> None:
    """The line of all processors: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest nice."""
    (root / "stat").write_text(f"cpu  {used} 0 0 {idle} {waiting} 0 0 0 77 77\ncpu0 1 2 3 4\n", encoding="ascii")


def test_the_share_in_use_is_that_since_the_look_before(tmp_path: Path) -> None:
    """
    Waiting for a disk is no use; what is counted within another column is not counted twice.
    """
    ticks(tmp_path, used=1000, idle=1000)
    processors = Processors(tmp_path)
    ticks(tmp_path, used=1030, idle=1060, waiting=10)
    processors.look()
    processors.look()
    ticks(tmp_path, used=1130, idle=1060, waiting=10)
    processors.look()

    assert [share for _, share in processors.seen(0)] == [0.3, 1.0]
    assert processors.seen(processors.seen(0)[0][0]) == processors.seen(0)[1:]


def test_a_kernel_that_does_not_say_leaves_nothing_seen(tmp_path: Path) -> None:
    """
    Nothing seen excuses nothing.
    """
    processors = Processors(tmp_path)
    processors.look()

    assert processors.seen(0) == ()
