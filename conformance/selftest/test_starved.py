"""What a process waited for a processor, as the kernel counts it: added up over threads that come and go."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from fixtures.core import clock, wait
from fixtures.load.starved import Starved, waited

if TYPE_CHECKING:
    from pathlib import Path


def kernel(root: Path, threads: dict[int, dict[int, float]], children: dict[int, list[int]] | None = None) -> None:
    """A folder like /proc: by process its threads with the seconds that each waited."""
    for pid, own in threads.items():
        for thread, seconds in own.items():
            task = root / str(pid) / "task" / str(thread)
            task.mkdir(parents=True, exist_ok=True)
            (task / "schedstat").write_text(f"123456789 {round(seconds * 1e9)} 42\n", encoding="ascii")
        said = " ".join(str(child) for child in (children or {}).get(pid, []))
        (root / str(pid) / "task" / str(pid) / "children").write_text(said, encoding="ascii")


def test_every_thread_of_a_process_and_of_its_children_is_read(tmp_path: Path) -> None:
    """
    A database serves each connection by a child of its own.
    """
    kernel(tmp_path, {7: {7: 0.25, 8: 0.5}, 9: {9: 1.0}, 11: {11: 2.0}}, {7: [9]})

    assert waited(7, str(tmp_path)) == {7: 0.25, 8: 0.5, 9: 1.0}
    assert waited(404, str(tmp_path)) == {}


def test_what_is_waited_adds_up_and_never_goes_back(tmp_path: Path) -> None:
    """
    A thread that ended takes nothing away, one that came counts whole, and what was before the first look not at all.
    """
    kernel(tmp_path, {7: {7: 5.0, 8: 3.0}})
    starved = Starved(lambda: [7], every=60, root=str(tmp_path))
    starved.look()
    kernel(tmp_path, {7: {7: 5.5, 8: 3.0, 9: 0.25}})
    starved.look()
    (tmp_path / "7" / "task" / "8" / "schedstat").unlink()
    kernel(tmp_path, {7: {7: 5.75}})
    starved.look()

    assert [total for _, total in starved.seen()] == [0.0, 0.75, 1.0]


def test_a_kernel_that_does_not_count_it_leaves_nothing_seen(tmp_path: Path) -> None:
    """
    Nothing seen excuses nothing.
    """
    starved = Starved(lambda: [7], every=60, root=str(tmp_path))
    starved.look()

    assert starved.seen() == ()


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="this kernel does not count it")  # noqa: PTH110
def test_this_machine_counts_it() -> None:
    """
    Looks are taken while the context is open, each with its instant and no less than the one before.
    """

    async def look() -> tuple[tuple[float, float], ...]:
        starved = Starved(lambda: [os.getpid()], every=0.01)
        async with starved.looking():
            await wait.reach(clock.mono() + 0.05)
        return starved.seen()

    seen = asyncio.run(look())

    assert len(seen) >= 3
    assert list(seen) == sorted(seen)
    assert seen[0][1] == 0.0
