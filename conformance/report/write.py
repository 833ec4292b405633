"""The files of a report: each written whole or not at all, and none of them with a secret in it."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from conformance.report import brief, figure, html, junit, markdown
from conformance.report.clean import clip, map_texts
from conformance.report.record import Report, ReportError, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conformance.report.chart import Chart
    from conformance.report.picture import Begun
    from conformance.report.redact import Redactor

T = TypeVar("T")

TEXTS = frozenset({".log", ".jsonl", ".ndjson", ".json", ".yml", ".yaml", ".conf", ".txt", ".xml", ".md", ".html"})
"""Endings of the files in which whatever ran may have written a secret; databases hold none and are not rewritten."""

DATABASES = frozenset({"data", "chunks", "boltdb-shipper-active", "boltdb-shipper-cache"})

WRITERS: Mapping[str, Callable[[Report], str]] = {
    "report.json": encode,
    "junit.xml": junit.render,
    "report.md": markdown.render,
    "summary.md": brief.render,
    "report.html": html.render,
}


def begin(charts: tuple[Chart, ...], redactor: Redactor) -> Begun:
    """Draw the charts of a report that is still to be written, for `write_all`."""
    return figure.begin(_fit(charts, redactor))


def _fit(value: T, redactor: Redactor) -> T:
    """Secrets go before anything is cut or escaped, and once more from the finished text."""
    return map_texts(redactor.value(value), clip)


def write_all(
    report: Report,
    folder: Path,
    redactor: Redactor,
    earlier: tuple[str, Report] | None = None,
    begun: Begun | None = None,
) -> list[Path]:
    """
    Write every file of the report below `folder` and return them; the page tells what differs from the `earlier` run.

    Raises ReportError naming each file that could not be written, after all were tried.
    """
    shown = _fit(report, redactor)
    written, failures = [], []
    page = functools.partial(html.render, earlier=earlier, begun=begun)
    writers: dict[str, Callable[[Report], str]] = {**WRITERS, "report.html": page}
    for name, render in writers.items():
        path = folder / name
        try:
            _write(path, redactor.text(render(shown)))
            written.append(path)
        except OSError as error:
            failures.append(f"{path}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001  a defect in one writer must not cost the others' files
            failures.append(f"{path}: {type(error).__name__}: {error}")
    if failures:
        raise ReportError(redactor.text("; ".join(failures)))
    return written


def mask(folder: Path, redactor: Redactor) -> list[Path]:
    """
    Take every secret out of the texts below `folder`, after everything has ended; the files in which one stood.

    A component or a service that logs its own password must not make the run directory unfit to be passed on.
    Raises ReportError naming each file that could not be read or written.
    """
    masked, failures = [], []
    for path in _texts(folder):
        try:
            data = path.read_bytes()
            fit = redactor.data(data)
            if fit != data:
                path.write_bytes(fit)
                masked.append(path)
        except OSError as error:
            failures.append(f"{path}: a secret may stand in it: {error.strerror or error}")
    if failures:
        raise ReportError("; ".join(failures))
    return masked


def _texts(folder: Path) -> Iterator[Path]:
    for place, below, names in os.walk(folder):
        # Thousands of files of databases, which are looked through in the self-tests and hold nothing to be masked.
        below[:] = sorted(each for each in below if each not in DATABASES)
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix in TEXTS and not path.is_symlink() and path.is_file():
                yield path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.part")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            half.unlink()
        raise
