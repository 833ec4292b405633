"""
The main job as a process of its own, for those who look at it from outside: the soak, the bench, the two drivers.

Interrupted or terminated, they end their run as Ctrl-C does and wait for it: it takes down what it had stood up.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from fixtures.core.parent import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIVE: Final = ("conformance/steady", "conformance/scenarios")
INTERRUPTED: Final = 130
"""The exit code of what Ctrl-C ended, as shells have it."""


def terminable() -> None:
    """Have SIGTERM and a closed terminal end this program as Ctrl-C does; what `nohup` keeps off is left alone."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def started(*arguments: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """
    A run under way, on the screen or in `log`; leaving the block waits for its end, an error there interrupts it.
    """
    with contextlib.ExitStack() as having:
        stream = having.enter_context(log.open("wb")) if log is not None else None
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", *LIVE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=None if stream is None else subprocess.STDOUT,
            # Ctrl-C reaches this program alone, which passes it on once.
            start_new_session=True,
            preexec_fn=_end_with_this,  # noqa: PLW1509  one system call, and no thread runs here
        )
        try:
            yield run
            run.wait()
        finally:
            _end(run)


def _end_with_this() -> None:
    die_with_parent(signal.SIGTERM)


def _end(run: subprocess.Popen[bytes]) -> None:
    if run.poll() is None:
        # Not SIGINT, which what a shell started with `&` ignores. Once: another would break off what it takes down.
        run.terminate()
    while run.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):
            run.wait()
