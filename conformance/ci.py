"""What a CI server is told of a run: remarks at files and lines, and a page of the job; silent where no server asks."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.report import annotate, brief
from conformance.report.annotate import Annotation, Kind
from conformance.report.record import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.report.annotate import Find, Place
    from conformance.report.record import Report
    from conformance.report.redact import Redactor

PAGE = 1024 * 1024
"""Bytes that GitHub takes of all that one step writes for the job's page."""
_MOST_LINES, _MOST_WORDS = 2_000, 12
CODE_QUALITY = "codequality.json"


def on_github(environ: Mapping[str, str]) -> bool:
    """Whether a runner of GitHub Actions reads what is printed."""
    return environ.get("GITHUB_ACTIONS", "") not in ("", "false")


def find_below(*folders: Path, root: Path | None = None) -> Find:
    """
    Finds a file that a finding names, from the root of the checkout or by its place in one of `folders`.

    It gives the path from `root` (by default where the run stands), as servers want it; what is not there is None.
    """
    base = (root or Path.cwd()).resolve()

    def find(name: str) -> str | None:
        for folder in (base, Path.cwd(), *folders, *(each.parent for each in folders)):
            with contextlib.suppress(OSError, ValueError):
                path = (folder / name).resolve()
                if path.is_file():
                    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()
        return None

    return find


def write(report: Report, folder: Path, find: Find, redactor: Redactor, environ: Mapping[str, str]) -> None:
    """
    `codequality.json` beside the other reports, and the job's page where GitHub asks for one.

    Raises ReportError with the file that could not be written.
    """
    shown = redactor.value(report)
    text = redactor.text(annotate.code_quality(annotate.remarks(shown, find)))
    try:
        (folder / CODE_QUALITY).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{folder / CODE_QUALITY}: {error.strerror}") from error
    if page := environ.get("GITHUB_STEP_SUMMARY", ""):
        add_to_page(Path(page), redactor.text(brief.render(shown)))


def add_to_page(page: Path, text: str) -> None:
    """Append to the job's page, unless that made it longer than it may be: then GitHub would show nothing of it."""
    try:
        there = page.stat().st_size if page.exists() else 0
        if there + len(text.encode()) + 1 <= PAGE:
            with page.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
    except OSError as error:
        raise ReportError(f"GITHUB_STEP_SUMMARY={page}: {error.strerror}") from error


def commands(report: Report, find: Find, redactor: Redactor, *, folder: str) -> str:
    """The lines that annotate a run on GitHub."""
    made = annotate.remarks(redactor.value(report), find)
    return redactor.text(annotate.commands(annotate.limited(made, rest=f"{folder}/report.md")))


def spoken(text: str, title: str, find: Find) -> str:
    """The line that annotates one message which begins with its place, such as an error of the contract."""
    remark = Annotation(kind=Kind.ERROR, title=title, message=text, place=annotate.place(text, find))
    return annotate.commands([remark])


def failed(tests: Iterable[tuple[str, str, str]], find: Find) -> str:
    """
    The lines that annotate failed tests, given as name, own place and text.

    Where the text names a place (`rules/alerts.yml:11:51: …`), that is where the remark stands.
    """
    made = []
    for name, own, text in tests:
        lines = [line.strip().removeprefix("E ").strip() for line in text.splitlines()[:_MOST_LINES]]
        told = {where: line for line in reversed(lines) if (where := _within(line, find)) is not None}
        for where, line in reversed(told.items()) if told else [(annotate.place(own, find), _last(lines))]:
            made.append(Annotation(kind=Kind.ERROR, title=name, message=line, place=where))
    return annotate.commands(annotate.limited(made, rest="the log"))


def findings(texts: Iterable[str], find: Find, *, title: str, rest: str) -> str:
    """The lines that annotate a linter's findings, each of which begins with its place; notes are left out."""
    made = []
    for text in texts:
        head, _, reason = text.partition(": ")
        weight = reason.partition(" ")[0]
        if weight != "note" and (where := annotate.place(head, find)) is not None:
            kind = Kind.WARNING if weight == "warning" else Kind.ERROR
            made.append(Annotation(kind=kind, title=title, message=text, place=where))
    return annotate.commands(annotate.limited(made, rest=rest))


def _within(line: str, find: Find) -> Place | None:
    """The first `path:line` of a line; those of Python are the traceback's, and the test's own says as much."""
    for word in line.split()[:_MOST_WORDS]:
        where = annotate.place(word.rstrip(":"), find) if ":" in word else None
        if where is not None and where.line and not where.path.endswith(".py"):
            return where
    return None


def _last(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line), "failed")
