"""Reads a metrics page, classic or OpenMetrics: every line, what a scraper would refuse, and bounded in size."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from conformance.timeline.metrics import Oversize, Page, Sample

KEPT = 2000
"""Series of one name that are kept; the rest are counted."""

LONGEST = 200
"""Characters of a label value that are kept."""

NAMED = 10
"""Problems of one page that are named."""

_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?:\{(?P<labels>(?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"[ \t]+(?P<value>\S+)(?:[ \t]+(?P<at>-?[0-9.eE+]+))?(?:[ \t]+#.*)?"
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|Inf|NaN|inf|nan|INF|NAN)")
_ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(kw_only=True, slots=True)
class _Reading:
    samples: list[Sample] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    oversize: list[Oversize] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)

    def problem(self, text: str) -> None:
        if len(self.problems) < NAMED:
            self.problems.append(text)

    def line(self, number: int, line: str) -> None:
        if line.startswith("#"):
            self._comment(number, line)
        elif line.strip():
            self._sample(number, line)

    def _comment(self, number: int, line: str) -> None:
        words = line.split(None, 3)
        if len(words) < 3 or words[1] != "TYPE":
            return
        name, kind = words[2], words[3].strip() if len(words) > 3 else ""
        if name in self.types:
            self.problem(f"line {number}: a second TYPE of {name[:LONGEST]}")
        elif any(name == other or other.startswith(f"{name}_") for other in self.counts if other not in self.types):
            self.problem(f"line {number}: the TYPE of {name[:LONGEST]} stands behind its samples")
        self.types.setdefault(name[:LONGEST], kind[:LONGEST])

    def _sample(self, number: int, line: str) -> None:
        match = _SAMPLE.fullmatch(line.rstrip())
        labels = None if match is None else self._labels(match["name"], match["labels"] or "")
        if match is None or labels is None or not _NUMBER.fullmatch(match["value"]):
            self.problem(f"line {number} is no sample: {line[:80]!r}")
            return
        name = match["name"]
        self.counts[name] += 1
        if self.counts[name] > KEPT:
            return
        key = (name, tuple(sorted(labels.items())))
        if key in self.seen:
            self.problem(f"line {number}: a series stands twice: {line[:80]!r}")
        self.seen.add(key)
        self.samples.append(Sample(name=name, labels=labels, written=match["value"]))

    def _labels(self, name: str, text: str) -> dict[str, str] | None:
        found: dict[str, str] = {}
        at = 0
        while at < len(text):
            match = _LABEL.match(text, at)
            if match is None or match[1] in found:
                return None
            value = match[2]
            if len(value) > LONGEST:
                self.oversize.append(Oversize(name=name, label=match[1], length=len(value)))
                value = f"{value[:LONGEST]}…"
            found[match[1]] = re.sub(r"\\.", lambda m: _ESCAPED.get(m[0], m[0]), value)
            at = match.end()
        return found


def page(text: str, *, scraper: str, status: int, content_type: str, at: float, size: int, whole: bool = True) -> Page:
    """
    The page that a scraper got.

    A body that is not `whole` was cut and is told as a problem, as is an OpenMetrics page without its end.
    """
    reading = _Reading()
    if not whole:
        reading.problem(f"the page is longer than the {len(text.encode())} bytes that were read")
        text = text[: text.rfind("\n") + 1]
    if status == 200:
        for number, line in enumerate(text.split("\n"), 1):
            reading.line(number, line)
        if whole and not text.endswith("\n"):
            reading.problem("the last line has no end")
        if whole and content_type.startswith("application/openmetrics-text") and not text.endswith("# EOF\n"):
            reading.problem("an OpenMetrics page without '# EOF'")
    return Page(
        scraper=scraper,
        status=status,
        content_type=content_type[:LONGEST],
        at=at,
        size=size,
        samples=tuple(reading.samples),
        types=reading.types,
        counts=dict(reading.counts),
        oversize=tuple(reading.oversize[:NAMED]),
        problems=tuple(reading.problems),
    )
