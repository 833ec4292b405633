"""
Measuring with `promtool test rules`: what each question got, for many cases over many rule files in few processes.

It knows promtool's files and answers; it must not know what a rule, a threshold or a contract is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fixtures.language.durations import format_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCRAPE_MS: Final = 15_000
BUDGET: Final = timedelta(minutes=3)
"""How long one process may take; far beyond any measurement of ours, so that a hang ends in a sentence."""

# No series has this name, so every question fails, and a failing question says what it got.
_NOTHING: Final = "simulate_nothing"
_CONTROL: Final = "simulate_control"
_GOT: Final = re.compile(r"\n\s+got:(.*)\Z", re.DOTALL)
_ERROR: Final = re.compile(r", time: \S+, err: (.*)\Z", re.DOTALL)
_LABEL: Final = re.compile(r'("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_FILES_PER_PROCESS: Final = 50


class PromtoolError(Exception):
    """promtool could not be run, or did not say what was asked; nothing was measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One input series in promtool's notation: `up{job="x"}` and `1x20 0x20 _x4 stale`."""

    name: str
    values: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """An instant query at a time of the case; alerts are asked as `ALERTS{alertname="X"}`."""

    expr: str
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Series from time 0, one value every interval, and what is asked of them."""

    name: str
    series: tuple[Series, ...]
    asks: tuple[Ask, ...]
    interval_ms: int = SCRAPE_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One rule file's text with its cases; a case evaluates every rule of the text, so keep the text small."""

    rules: str
    cases: tuple[Case, ...]
    evaluation_ms: int = SCRAPE_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One element of a result."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a question got: samples, none, or the query's own error."""

    samples: tuple[Sample, ...] = ()
    error: str = ""

    @property
    def found(self) -> bool:
        return bool(self.samples)

    @property
    def value(self) -> float | None:
        """The only value, or the largest; nothing when there is none."""
        return max((sample.value for sample in self.samples), default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The answers of each case in the order of its asks; `error` when the rules do not load, `errors` by case."""

    answers: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)
    error: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)

    def of(self, case: str) -> tuple[Answer, ...]:
        """The answers of a case; raises PromtoolError with what was wrong instead."""
        if self.error:
            raise PromtoolError(self.error)
        if case in self.errors:
            raise PromtoolError(self.errors[case])
        return self.answers[case]


@dataclass(frozen=True, kw_only=True, slots=True)
class Promtool:
    """The tool at `path`; `runs` counts what it was given, for the benchmark."""

    path: Path
    processes: int = 2
    budget: timedelta = BUDGET
    runs: list[tuple[int, int]] = field(default_factory=list, compare=False)
    """One pair (cases, asks) for each call of `run`."""

    def run(self, sheets: Sequence[Sheet]) -> tuple[Measured, ...]:
        """
        Measure every sheet; the results stand in the order of the sheets.

        A sheet whose rules do not load gets an `error`, a case that promtool could not evaluate one of `errors`; a tool
        that does not answer raises PromtoolError.
        """
        cases = [case for sheet in sheets for case in sheet.cases]
        self.runs.append((len(cases), sum(len(case.asks) for case in cases)))
        wanted = [index for index, sheet in enumerate(sheets) if sheet.cases]
        ways = min(max(self.processes, -(-len(wanted) // _FILES_PER_PROCESS)), len(wanted))
        chunks = [wanted[start::ways] for start in range(ways)]
        done: dict[int, Measured] = {}
        with ThreadPoolExecutor(max_workers=self.processes) as pool:
            for found in pool.map(lambda chunk: self._chunk({index: sheets[index] for index in chunk}), chunks):
                done |= found
        return tuple(done.get(index, Measured()) for index in range(len(sheets)))

    def _chunk(self, sheets: Mapping[int, Sheet]) -> dict[int, Measured]:
        with tempfile.TemporaryDirectory(prefix="simulate-", dir=_scratch()) as scratch:
            folder = Path(scratch)
            for index, sheet in sheets.items():
                _write(folder, index, sheet)
            said = self._call(folder, [f"{index}.json" for index in sheets])
            report = folder / "junit.xml"
            if not report.exists() and len(sheets) > 1:
                # One file ended the whole process: halve until it stands alone.
                items = list(sheets.items())
                half = len(items) // 2
                return {**self._chunk(dict(items[:half])), **self._chunk(dict(items[half:]))}
            if not report.exists():
                (only,) = sheets
                return {only: Measured(error=f"promtool ended without a report: {_last(said)}")}
            with contextlib.suppress(ET.ParseError):
                # The file was written a moment ago by a tool that we started.
                suites = ET.parse(report).getroot().findall("testsuite")  # noqa: S314
                return {index: _measured(sheets[index], suite) for index, suite in zip(sheets, suites, strict=True)}
            raise PromtoolError("promtool wrote a report that is not XML; nothing was measured")

    def _call(self, folder: Path, files: Sequence[str]) -> str:
        command = [str(self.path), "test", "rules", "--junit=junit.xml", *files]
        try:
            ran = subprocess.run(
                command,
                cwd=folder,
                # A process of seconds: collecting its garbage half as often saves a tenth and costs some memory.
                env={"GOGC": "200", **os.environ, "TMPDIR": str(folder)},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.budget.total_seconds(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PromtoolError(
                f"promtool did not end within {self.budget.total_seconds():g} s over {len(files)} files"
            ) from None
        except OSError as error:
            raise PromtoolError(f"promtool cannot be started: {self.path}: {error.strerror}") from error
        return ran.stderr or ran.stdout


def _scratch() -> str | None:
    """Memory, where there is some: promtool makes a small store for every case."""
    memory = Path("/dev/shm")  # noqa: S108  a folder of ours is made in it
    return str(memory) if os.access(memory, os.W_OK) else None


def _write(folder: Path, index: int, sheet: Sheet) -> None:
    (folder / f"{index}.rules.yml").write_text(sheet.rules, encoding="utf-8")
    tests = [_case(case) for case in sheet.cases]
    written = {
        "rule_files": [f"{index}.rules.yml"],
        "evaluation_interval": format_ms(sheet.evaluation_ms),
        "tests": tests,
    }
    # JSON is YAML, and ten times as fast to write.
    (folder / f"{index}.json").write_text(json.dumps(written), encoding="utf-8")


def _case(case: Case) -> dict[str, object]:
    last = max((ask.at_ms for ask in case.asks), default=0)
    control = {"series": _CONTROL, "values": f"1x{last // case.interval_ms + 1}"}
    asked = [(ask.expr, ask.at_ms) for ask in case.asks] + [(_CONTROL, last)]
    return {
        "name": case.name,
        "interval": format_ms(case.interval_ms),
        "input_series": [{"series": each.name, "values": each.values} for each in case.series] + [control],
        "promql_expr_test": [
            {"expr": expr, "eval_time": format_ms(at), "exp_samples": [{"labels": _NOTHING, "value": 1}]}
            for expr, at in asked
        ],
    }


def _measured(sheet: Sheet, suite: ET.Element) -> Measured:
    found = {case.get("name", ""): [each.text or "" for each in case.findall("failure")] for case in suite}
    answers: dict[str, tuple[Answer, ...]] = {}
    errors: dict[str, str] = {}
    for case in sheet.cases:
        texts = found.get(case.name, [])
        # A rule that cannot be evaluated (many series for one match) ends its case; so may a query, with its error.
        told, texts = texts[: -len(case.asks) - 1], texts[-len(case.asks) - 1 :]
        if len(texts) != len(case.asks) + 1 or not all(_is_answer(text) for text in texts):
            said = next((text for text in [*told, *texts] if not _is_answer(text)), "no answer")
            if "could not parse" in said or "rules.yml" in said:
                return Measured(error=_clean(said))
            errors[case.name] = _clean(said)
            continue
        if told:
            errors[case.name] = _clean(told[0])
            continue
        *given, control = [_answer(text) for text in texts]
        if control.value != 1:
            errors[case.name] = f"{case.name}: the control series was not loaded, so every answer would look silent"
            continue
        answers[case.name] = tuple(given)
    return Measured(answers=answers, errors=errors)


def _is_answer(text: str) -> bool:
    return not text.lstrip().startswith("rule: ") and bool(_GOT.search(text) or _ERROR.search(text))


def _clean(text: str) -> str:
    return re.sub(r"(?:^|(?<=\s))\S*?\d+\.rules\.yml: ", "", text.strip())


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2][:300] or "it said nothing"


def _answer(text: str) -> Answer:
    got = _GOT.search(text)
    if got is None:
        error = _ERROR.search(text)
        return Answer(error=error[1].strip() if error else text)
    said = got[1].strip()
    return Answer(samples=() if said in {"nil", ""} else tuple(_samples(said)))


def _samples(text: str) -> Iterator[Sample]:
    index = 0
    while index < len(text):
        # Braces always stand, even around nothing; a quoted value may hold anything.
        opened = text.index("{", index)
        labels: dict[str, str] = {}
        index = opened + 1
        while text[index] != "}":
            match = _LABEL.match(text, index)
            if match is None:
                raise PromtoolError(f"promtool answered what is no sample: {text[opened : opened + 100]!r}")
            labels[json.loads(match[1]) if match[1].startswith('"') else match[1]] = _unquoted(match[2])
            index = match.end()
            while text[index] in ", ":
                index += 1
        stop = text.find(", {", index)
        stop = len(text) if stop < 0 else stop
        yield Sample(labels=labels, value=float(text[index + 1 : stop].strip()))
        index = stop + 2


def _unquoted(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\") if "\\" in text else text
