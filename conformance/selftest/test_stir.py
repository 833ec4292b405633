"""What stirs a database and its cache ends when it is told to."""

from __future__ import annotations

import asyncio

import pytest

from fixtures.ballast.stir import Stir, Wanted


@pytest.mark.asyncio
async def test_what_swallows_a_cancellation_is_told_again() -> None:
    """
    Clients do, when an answer arrives at that very moment; the fault is healed all the same.
    """
    swallowed: list[bool] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed.append(True)

    stir = Stir(database_url="", redis_url="")
    task = asyncio.create_task(stubborn())
    stir._tasks.append(task)
    await asyncio.sleep(0)
    await asyncio.wait_for(stir.want(Wanted()), timeout=5)

    assert swallowed
    assert task.cancelled()
