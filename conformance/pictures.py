"""
The program behind `nox -s pictures`: the pictures in the README, taken of what a real run left behind.

`nox -s pictures -- RUN` (default: the latest run) judges that run again, and opens what a terminal then shows, and the
run's page, in a real browser.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from conformance import compare, job
from conformance.browser import NoBrowserError, browser, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "pictures"
LATEST = ".runs/latest"
WIDTH = 1040
COLUMNS = 118
_LAST_LINES = 30


class PicturesError(Exception):
    """A picture cannot be taken; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take every picture; 1 where one cannot be taken."""
    parser = argparse.ArgumentParser(prog="nox -s pictures --", description="Take the pictures in the README.")
    parser.add_argument("run", nargs="?", default=compare.LATEST, metavar="RUN", help="a run: folder, name, latest")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="DIR")
    chosen = parser.parse_args(arguments)
    try:
        taken = take(compare.folder(chosen.run, ROOT / ".runs"), chosen.into)
    except (PicturesError, NoBrowserError, compare.CompareError) as error:
        print(f"pictures: {error}", file=sys.stderr)
        return 1
    for place in taken:
        print(f"{place}  {place.stat().st_size / 1000:.0f} kB")
    return 0


def take(run: Path, folder: Path) -> list[Path]:
    """
    Take every picture of a run into a folder; returns where they are.

    Raises PicturesError where the run left no page or no timelines, NoBrowserError where there is no browser.
    """
    page = run / "report.html"
    for needed in (page, run / "timeline"):
        if not needed.exists():
            raise PicturesError(f"{needed} is missing: a picture needs a whole run (nox -s conformance)")
    with browser() as started:
        folder.mkdir(parents=True, exist_ok=True)
        return [
            terminal(started, judged_again(run), folder / "terminal.png"),
            shot(started, page, folder / "report.png", height=760),
            shot(started, page, folder / "alerts.png", part="#alerts .charts:has(figure + figure)"),
        ]


def judged_again(run: Path) -> str:
    """What a terminal shows, colours included, when the run is judged once more from its timelines."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pytest", *job.LIVE, "-q", "--color=yes", "--timeline", str(run.resolve())]
        done = subprocess.run(
            [*command, "--run-dir", f"{scratch}/run"],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        # The reader's own run stands there, whichever this one was.
        shown = done.stdout.replace(f"{scratch}/run", LATEST).replace(str(run.resolve()), LATEST)
    if "result:" not in shown:
        raise PicturesError(f"{run} could not be judged again: {(done.stderr or shown).strip()[-300:]}")
    return shown


def terminal(started: Browser, shown: str, place: Path) -> Path:
    """A picture of the last lines of what a terminal shows, in its colours."""
    lines = Text.from_ansi("\n".join(shown.strip().splitlines()[-_LAST_LINES:]))
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text(f"$ python -m pytest {' '.join(job.LIVE)} --timeline {LATEST}", style="bold"))
    console.print(lines, overflow="ellipsis", no_wrap=True)
    drawn = console.export_svg(title="a run judged again", theme=MONOKAI)
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "terminal.html"
        # The typeface of the export stands on the network; this machine's own does as well.
        page.write_text(f'<meta charset="utf-8"><style>svg {{ width: {WIDTH}px }}</style>{drawn}', encoding="utf-8")
        return shot(started, page, place, part="svg", width=WIDTH + 40)


def shot(
    started: Browser,
    page: Path,
    place: Path,
    *,
    width: int = WIDTH,
    height: int = 0,
    dark: bool = False,
    part: str = "",
) -> Path:
    """A picture of the first part of the page that the selector `part` names; without one, of its beginning."""
    with opened(started, page, width=width, dark=dark) as seen:
        if part:
            seen.page.locator(part).first.screenshot(path=place)
        else:
            seen.page.set_viewport_size({"width": width, "height": height})
            seen.page.screenshot(path=place)
    return place


if __name__ == "__main__":
    sys.exit(main())
