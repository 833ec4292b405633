"""The files of a report: each written whole or not at all, and none of them with a secret in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from conformance.report import html, junit, markdown
from conformance.report.clean import clip, map_texts
from conformance.report.record import Report, ReportError, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.report.redact import Redactor

WRITERS: Mapping[str, Callable[[Report], str]] = {
    "report.json": encode,
    "junit.xml": junit.render,
    "report.md": markdown.render,
    "report.html": html.render,
}


def write_all(report: Report, folder: Path, redactor: Redactor) -> list[Path]:
    """
    Write every file of the report below `folder` and return them.

    Raises ReportError naming each file that could not be written, after all were tried.
    """
    # Secrets go before anything is cut or escaped, and once more from the finished text.
    shown = map_texts(redactor.value(report), clip)
    written, failures = [], []
    for name, render in WRITERS.items():
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
