"""What a run is doing now, line by line; on a terminal each cell keeps one line that changes in place."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

from conformance.report.clean import cut, plain
from conformance.report.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

EVERY_PLAIN = 2.0
"""Seconds between two lines about cells where nothing can change in place: a log of a run must stay readable."""
EVERY_LIVE = 0.1
_MOST_LIVE = 16


class Progress:
    """
    `line` is for what must be seen; `cell` is for what changes all the time and may be left out.

    Safe from any thread. A stream that is closed or broken is not written to again: progress never fails a run.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        live: bool | None = None,
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._live = stream.isatty() if live is None else live
        self._redactor = redactor or Redactor()
        self._clock = clock
        self._begun = clock()
        self._lock = threading.Lock()
        self._cells: dict[str, str] = {}
        self._shown: dict[str, float] = {}
        self._last = float("-inf")
        self._drawn = 0
        self._broken = False

    def line(self, text: str) -> None:
        """One lasting line with its time: `[ 12.3 s] prometheus is ready`."""
        with self._lock:
            self._write(self._wipe() + self._stamped(text) + "\n" + self._block())

    def cell(self, name: str, text: str) -> None:
        """What the cell `name` is doing: in place on a terminal, else a line at most every 2 seconds for all cells."""
        with self._lock:
            self._cells[name] = text
            now = self._clock()
            if now - self._last < (EVERY_LIVE if self._live else EVERY_PLAIN):
                return
            self._last = now
            if self._live:
                self._write(self._wipe() + self._block())
                return
            # The cell that was silent for longest speaks: twelve cells must not hide behind the busiest.
            waiting = min(self._cells, key=lambda each: self._shown.get(each, float("-inf")))
            self._shown[waiting] = now
            self._write(self._stamped(f"{waiting}: {self._cells.pop(waiting)}") + "\n")

    def done(self, name: str) -> None:
        """The cell has nothing more to say."""
        with self._lock:
            self._cells.pop(name, None)
            if self._live:
                self._write(self._wipe() + self._block())

    def close(self) -> None:
        """Take the lines of the cells away; what `line` wrote stays."""
        with self._lock:
            self._cells.clear()
            self._write(self._wipe())

    def _stamped(self, text: str) -> str:
        return f"[{self._clock() - self._begun:5.1f} s] {self._fit(text)}"

    def _fit(self, text: str) -> str:
        width = shutil.get_terminal_size((120, 24)).columns if self._live else 240
        return cut(self._redactor.text(plain(text[:10_000])), max(width - 12, 20))

    def _wipe(self) -> str:
        wiped = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._drawn = 0
        return wiped

    def _block(self) -> str:
        if not self._live:
            return ""
        lines = [self._stamped(f"{name}: {text}") for name, text in sorted(self._cells.items())]
        if len(lines) > _MOST_LIVE:
            lines = [*lines[: _MOST_LIVE - 1], f"          … {len(lines) - _MOST_LIVE + 1} more cells"]
        self._drawn = len(lines)
        return "".join(line + "\n" for line in lines)

    def _write(self, text: str) -> None:
        if self._broken or not text:
            return
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            self._broken = True
