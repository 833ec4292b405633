"""What a run is doing now, line by line; on a terminal each cell keeps one line that changes in place."""

from __future__ import annotations

import shutil
import textwrap
import threading
import time
from typing import TYPE_CHECKING

from conformance.report.clean import plain
from conformance.report.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

EVERY_PLAIN = 2.0
"""Seconds between two lines about cells where nothing can change in place: a log of a run must stay readable."""
EVERY_LIVE = 0.1
_MOST_LIVE = 40
_MOST_WRAPPED = 4
_STAMP = len("[ 12.3 s] ")


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
        self.live = stream.isatty() if live is None else live
        self._redactor = redactor or Redactor()
        self._clock = clock
        self._begun = clock()
        self._lock = threading.Lock()
        self._cells: dict[str, str] = {}
        self._shown: dict[str, float] = {}
        self._last = float("-inf")
        self._drawn: list[int] = []
        self._broken = False

    def line(self, text: str) -> None:
        """One lasting line with its time: `[ 12.3 s] prometheus is ready`; on a terminal a long one is wrapped."""
        with self._lock:
            self._write(self._wipe() + self._lasting(text) + "\n" + self._block())

    def cell(self, name: str, text: str) -> None:
        """What the cell `name` is doing: in place on a terminal, else a line at most every 2 seconds for all cells."""
        with self._lock:
            self._cells[name] = text
            now = self._clock()
            if now - self._last < (EVERY_LIVE if self.live else EVERY_PLAIN):
                return
            self._last = now
            if self.live:
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
            if self.live:
                self._write(self._wipe() + self._block())

    def close(self) -> None:
        """Take the lines of the cells away; what `line` wrote stays."""
        with self._lock:
            self._cells.clear()
            self._write(self._wipe())

    def _lasting(self, text: str) -> str:
        if not self.live:
            return self._stamped(text)
        width = max(self._size()[0] - _STAMP - 1, 20)
        fit = self._redactor.text(plain(text[:10_000]))
        lines = [
            part
            for line in fit.splitlines() or [""]
            for part in textwrap.wrap(line, width, max_lines=_MOST_WRAPPED, placeholder="…", subsequent_indent="  ")
        ]
        return f"\n{'':{_STAMP}}".join([self._stamped(lines[0] if lines else ""), *lines[1:]])

    def _size(self) -> tuple[int, int]:
        size = shutil.get_terminal_size((120, 24))
        return size.columns, size.lines

    def _stamped(self, text: str) -> str:
        return f"[{self._clock() - self._begun:5.1f} s] {self._fit(text)}"

    def _fit(self, text: str) -> str:
        width = self._size()[0] if self.live else 240
        # Not as a sentence is cut: the names of the cells are a column.
        return _one_line(self._redactor.text(plain(text[:10_000])), max(width - _STAMP - 2, 20))

    def _wipe(self) -> str:
        # A terminal that has become narrower has broken the lines since: they take more rows than were written.
        width = max(self._size()[0], 1) if self._drawn else 1
        rows = sum(max(-(-length // width), 1) for length in self._drawn)
        self._drawn = []
        return f"\x1b[{rows}F\x1b[J" if rows else ""

    def _block(self) -> str:
        if not self.live:
            return ""
        column = max(map(len, self._cells), default=0) + 1
        lines = [self._stamped(f"{name + ':':{column}} {text}") for name, text in sorted(self._cells.items())]
        # What is higher than the screen could not be taken away again.
        most = max(min(_MOST_LIVE, self._size()[1] - 2), 1)
        if len(lines) > most:
            lines = [*lines[: most - 1], f"{'':{_STAMP}}… {len(lines) - most + 1} more cells"]
        self._drawn = [len(line) for line in lines]
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


def _one_line(text: str, width: int) -> str:
    line = " ".join(text.splitlines())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
