"""
What a run found, each at the file and line where it is put right: for GitHub's annotations and GitLab's code quality.

It knows how the two are written; it must not know where files are: whether a place exists, it is told.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from conformance.contract.model import Level
from conformance.judge.verdict import Status
from conformance.report import matrix
from conformance.report.clean import clip, count, one_line, plain
from conformance.report.record import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conformance.report.record import ClauseRow, Report

    Find = Callable[[str], str | None]
    """A file's path from the root of the checkout, for a name or path in a finding; None where there is none."""

MOST = 10
"""Annotations of one kind that GitHub shows of one step; what comes behind is dropped without a word."""
_LONGEST = 2_000
_MOST_FINDINGS = 5
_PLACE = re.compile(
    r"(?P<path>[^\s:,;]+\.[A-Za-z]+)(?::(?P<line>[1-9]\d{0,6}))?(?::(?P<column>[1-9]\d{0,6}))?(?=$|[\s,;:)])"
)


class Kind(StrEnum):
    """How loud an annotation is."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place in a file; line and column count from 1, 0 is unknown."""

    path: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """One remark at one place; a place of None is the run itself."""

    kind: Kind
    title: str
    message: str
    place: Place | None = None

    def command(self) -> str:
        """The line that GitHub's runner reads; no text in it can end it, name another property or begin a command."""
        given = []
        if self.place is not None:
            given.append(f"file={_property(self.place.path)}")
            given += [f"line={self.place.line}"] if self.place.line else []
            given += [f"col={self.place.column}"] if self.place.line and self.place.column else []
        given.append(f"title={_property(self.title)}")
        return f"::{self.kind} {','.join(given)}::{_data(self.message)}"


def place(text: str, find: Find) -> Place | None:
    """The first `path[:line[:column]]` at the beginning of `text` whose file there is."""
    found = _PLACE.match(text.strip())
    if found is None:
        return None
    path = find(found["path"])
    return None if path is None else Place(path=path, line=int(found["line"] or 0), column=int(found["column"] or 0))


def remarks(report: Report, find: Find) -> tuple[Annotation, ...]:
    """
    Errors for what is broken, each finding at its own place, else at the contract's line; warnings for the rest.

    A run that is no pass has at least one error.
    """
    made: list[Annotation] = []
    for group in matrix.not_proven(report):
        first = group.clauses[0]
        must = first.level is Level.MUST
        if group.status is Status.BROKEN and first.findings:
            made += _findings(first, Kind.ERROR if must else Kind.WARNING, find)
            continue
        kind = Kind.ERROR if group.status is Status.BROKEN and must else Kind.WARNING
        more = len(group.clauses) - 1
        title = f"{first.level} {group.status}: {first.id}" + (f" and {more} more" if more else "")
        others = f"\n{', '.join(row.id for row in group.clauses)}" if more else ""
        made.append(Annotation(kind=kind, title=title, message=f"{group.reason}{others}", place=_source(first, find)))
    if report.result is not Result.CONFORMANT and not any(each.kind is Kind.ERROR for each in made):
        made.insert(0, Annotation(kind=Kind.ERROR, title=f"result: {report.result}", message="\n".join(report.run.why)))
    return tuple(made)


def limited(made: Sequence[Annotation], *, rest: str) -> tuple[Annotation, ...]:
    """As many of each kind as are shown, and a notice that counts the others and says where they stand (`rest`)."""
    kept: list[Annotation] = []
    hidden = 0
    for kind in Kind:
        those = [each for each in made if each.kind is kind]
        # One notice is kept free for the count.
        room = MOST - (kind is Kind.NOTICE)
        kept += those[:room]
        hidden += len(those[room:])
    if hidden:
        kept.append(Annotation(kind=Kind.NOTICE, title="more", message=f"{count(hidden, 'remark')} more: see {rest}"))
    return tuple(kept)


def commands(made: Iterable[Annotation]) -> str:
    """The lines for GitHub's runner."""
    return "".join(each.command() + "\n" for each in made)


def code_quality(made: Iterable[Annotation]) -> str:
    """GitLab's code quality report; it shows only what has a place."""
    severity = {Kind.ERROR: "major", Kind.WARNING: "minor", Kind.NOTICE: "info"}
    rows = {}
    for each in made:
        if each.place is not None:
            # The same remark of the next run has the same print, so that a merge request shows only what is new.
            print_ = hashlib.sha256(f"{each.title}\0{each.place.path}".encode("utf-8", "replace")).hexdigest()
            while print_ in rows:
                print_ = hashlib.sha256(print_.encode()).hexdigest()
            rows[print_] = {
                "description": clip(one_line(plain(f"{each.title}: {each.message}")), _LONGEST),
                "check_name": each.title.partition(": ")[2].partition(" ")[0] or each.title,
                "fingerprint": print_,
                "severity": severity[each.kind],
                "location": {"path": each.place.path, "lines": {"begin": max(each.place.line, 1)}},
            }
    return msgspec.json.format(msgspec.json.encode(list(rows.values())), indent=2).decode() + "\n"


def _findings(row: ClauseRow, kind: Kind, find: Find) -> list[Annotation]:
    """One annotation for each line at which something is to be put right; findings of the same line stand together."""
    title = f"{row.level} {row.status}: {row.id}"
    by_place: dict[Place | None, list[str]] = {}
    for finding in row.findings:
        said = "\n".join(f"{label}: {text}" for label, text in matrix.finding_lines(finding) if label != "location")
        by_place.setdefault(place(finding.location, find) or _source(row, find), []).append(said)
    made = []
    for where, texts in by_place.items():
        shown = [clip(text, _LONGEST) for text in texts[:_MOST_FINDINGS]]
        more = [f"{count(len(texts) - _MOST_FINDINGS, 'finding')} more"] if len(texts) > _MOST_FINDINGS else []
        again = [f"again: {row.again}"] if row.again else []
        message = "\n".join([row.reason, *shown, *more, *again])
        made.append(Annotation(kind=kind, title=title, message=message, place=where))
    return made


def _source(row: ClauseRow, find: Find) -> Place | None:
    return place(row.source, find)


def _data(text: str) -> str:
    fit = clip(plain(text), 4 * _LONGEST)
    return fit.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clip(one_line(plain(text)), 300)).replace(":", "%3A").replace(",", "%2C")
