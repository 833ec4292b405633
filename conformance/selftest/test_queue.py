"""What waits to be started goes by its rank, is told how it went, and is let go when the queue closes."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future

import pytest

from fixtures.stack.queue import Queue


def test_the_lowest_rank_goes_first_and_of_one_rank_the_earliest() -> None:
    """
    While the only thread is busy others come; they are done by rank, not in the order in which they came.
    """
    queue, go, done = Queue(1, name="one"), threading.Event(), list[str]()
    busy = queue.submit(go.wait)
    waiting = [
        queue.submit(lambda name=name: done.append(name), rank=rank)  # type: ignore[misc]
        for name, rank in (("soon", 2), ("slow", 1), ("slowest", 0), ("slowest too", 0))
    ]

    go.set()
    for each in (busy, *waiting):
        each.result(timeout=5)
    queue.close()

    assert done == ["slowest", "slowest too", "slow", "soon"]


def test_what_waits_for_something_else_takes_no_thread_meanwhile() -> None:
    """
    It is queued when that is done, even where that failed: what is done then is its own matter.
    """
    queue, first = Queue(1, name="one"), Future[None]()
    later = queue.submit(lambda: "later", after=first)

    assert queue.submit(lambda: "at once").result(timeout=5) == "at once"
    assert not later.done()
    first.set_exception(OSError("no image"))
    assert later.result(timeout=5) == "later"
    queue.close()


def test_what_fails_is_told_to_whoever_asked_and_the_rest_goes_on() -> None:
    """
    An error is the result of its own work alone.
    """
    queue = Queue(1, name="one")
    failing, sound = queue.submit(lambda: 1 / 0), queue.submit(lambda: 7)

    assert sound.result(timeout=5) == 7
    assert isinstance(failing.exception(timeout=5), ZeroDivisionError)
    queue.close()


def test_a_queue_that_closes_finishes_what_is_under_way_and_cancels_what_waits() -> None:
    """
    Whoever waits for work that will not be done is not left waiting.
    """
    queue, begun, go = Queue(1, name="one"), threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go.wait()
        return "done"

    under_way, waiting = queue.submit(work), queue.submit(lambda: "never")
    assert begun.wait(timeout=5)
    closing = threading.Thread(target=queue.close)
    try:
        closing.start()
        with pytest.raises(CancelledError):
            waiting.result(timeout=5)
    finally:
        # Else a thread would keep the session from ending.
        go.set()
    closing.join(timeout=5)

    assert under_way.result(timeout=5) == "done"
    assert queue.submit(lambda: None).cancelled()
    assert queue.submit(lambda: None, after=under_way).cancelled()
