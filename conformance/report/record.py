"""The report of a run as data, schema 1, and how a result comes from verdicts; it must not know how it is shown."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from conformance.contract.model import Level, Signal
from conformance.contract.parse import cited_at
from conformance.judge.verdict import Finding, Status, Verdict
from conformance.report.chart import Chart
from conformance.report.clean import count, map_texts, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from conformance.contract.model import Clause

SCHEMA = 1
UNJUDGED = "was not judged"
"""How the reason begins of a clause about which no test returned a verdict."""


class ReportError(Exception):
    """A report cannot be made, written or read."""


class Result(StrEnum):
    """What a run says of the subject; only `conformant` passes the release gate."""

    CONFORMANT = "conformant"
    NONCONFORMANT = "nonconformant"
    PARTIAL = "partial"


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRow:
    """An earlier run of a program that proved nothing, and why."""

    program: str
    tempo: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """What ran; `why` and `selection` are filled in when the report is built."""

    started: str
    seconds: float
    tempo: float
    stack: str
    subject: str
    command: str
    revision: str = ""
    selection: bool = False
    attempts: tuple[AttemptRow, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentRow:
    """One component that stood; a stand-in never counts as the real thing."""

    name: str
    version: str
    source: str
    stand_in: bool = False
    built_here: bool = False
    image: str = ""
    ready_seconds: float | None = None
    peak_rss_mib: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClauseRow:
    """One clause with what became of it."""

    id: str
    signal: Signal
    level: Level
    status: Status
    promise: str
    document: str
    reason: str = ""
    observations: int = 0
    findings: tuple[Finding, ...] = ()
    evidence: tuple[str, ...] = ()
    again: str = ""
    source: str = ""
    """Where the promise stands in the contract, as `path:line`."""
    test: str = ""
    """The test that judged it, as `path:line`."""
    seconds: float = 0.0
    """How long that test took, without the programs, which all tests share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the test of a clause stands, as `path:line`, and how long it took."""

    place: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeToFire:
    """How long an alert took at `multiple` of its threshold, over the phases of scrape against evaluation."""

    multiple: float
    least: float
    most: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdRow:
    """An alert's effective threshold as one tier measured it; durations in seconds of the document's time."""

    alert: str
    tier: str
    documented: float
    unit: str
    silent_at: float | None = None
    fires_at: float | None = None
    for_documented: float | None = None
    for_observed: float | None = None
    branch: str = ""
    carrier: str = ""
    spread: Mapping[str, float] = field(default_factory=dict)
    at_threshold: str = ""
    clears_at: float | None = None
    monotone: bool | None = None
    time_to_fire: tuple[TimeToFire, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """How many clauses of the contract came to each status."""

    holds: int = 0
    broken: int = 0
    unproven: int = 0
    unsupported: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that the writers show."""

    schema: int
    run: RunFacts
    components: tuple[ComponentRow, ...]
    result: Result
    totals: Totals
    clauses: tuple[ClauseRow, ...]
    thresholds: tuple[ThresholdRow, ...] = ()
    charts: tuple[Chart, ...] = ()

    def having(self, status: Status) -> tuple[ClauseRow, ...]:
        """The clauses of that status, in the contract's order."""
        return tuple(row for row in self.clauses if row.status is status)


def gather(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """
    One verdict per clause: where several judged the same one, the worst status with its reason and all findings.
    """
    ladder = list(Status)
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        first = found.get(verdict.clause)
        if first is None:
            found[verdict.clause] = verdict
            continue
        worse = max(first, verdict, key=lambda each: ladder.index(each.status))
        found[verdict.clause] = dataclasses.replace(
            worse,
            observations=first.observations + verdict.observations,
            findings=first.findings + verdict.findings,
            evidence=tuple(dict.fromkeys(first.evidence + verdict.evidence)),
        )
    return found


def build(
    *,
    run: RunFacts,
    components: Sequence[ComponentRow],
    clauses: Sequence[Clause],
    verdicts: Mapping[str, Verdict],
    thresholds: Sequence[ThresholdRow] = (),
    charts: Sequence[Chart] = (),
    selected: bool = False,
    deaths: Sequence[str] = (),
    tests: Mapping[str, Origin] | None = None,
    documents: str = "",
) -> Report:
    """
    The report of a run: each clause of the contract exactly once, each verdict found again.

    `tests` are known by clause; `documents` is the folder of the contract, as the reader can open it.

    Raises ReportError for a verdict about a clause that the contract does not have, and for a clause that stands twice.
    """
    _refuse_strays(clauses, verdicts)
    rows = tuple(
        _row(clause, verdicts.get(clause.id), (tests or {}).get(clause.id, Origin(place="")), documents)
        for clause in clauses
    )
    result, why = _result(rows, selected=selected, deaths=deaths)
    counts = Counter(row.status.value for row in rows)
    report = Report(
        schema=SCHEMA,
        run=dataclasses.replace(run, selection=selected, why=why),
        components=tuple(components),
        result=result,
        totals=Totals(**counts),
        clauses=rows,
        thresholds=tuple(thresholds),
        charts=tuple(charts),
    )
    return map_texts(report, plain)


def encode(report: Report) -> str:
    """The report as JSON; fields that are ours beyond schema 1 appear only where they say something."""
    data = msgspec.to_builtins(report)
    _prune(data, "charts")
    for clause in data["clauses"]:
        _prune(clause, "again", "source", "test", "seconds")
        for finding in clause["findings"]:
            _prune(finding, "clients", "because")
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def read(path: Path) -> Report:
    """A stored report. Raises ReportError with the file and, where known, the path inside it."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: is not a report: {error}") from error
    if report.schema != SCHEMA:
        raise ReportError(f"{path}: has schema {report.schema}; this version reads schema {SCHEMA}")
    return map_texts(report, plain)


def _prune(data: dict[str, object], *names: str) -> None:
    for name in names:
        if not data[name]:
            del data[name]


def _refuse_strays(clauses: Sequence[Clause], verdicts: Mapping[str, Verdict]) -> None:
    known = Counter(clause.id for clause in clauses)
    for clause, times in known.items():
        if times > 1:
            raise ReportError(f"clause {clause} stands {times} times in the contract")
    for key, verdict in verdicts.items():
        if key != verdict.clause:
            raise ReportError(f"the verdict filed under {key} is about {verdict.clause}")
        if key not in known:
            close = get_close_matches(key, known, n=1)
            meant = f"; did the judge mean {close[0]}" if close else ""
            raise ReportError(f"a verdict ({verdict.status}) about {key}, which is no clause of the contract{meant}")


def _row(clause: Clause, verdict: Verdict | None, tested: Origin, documents: str) -> ClauseRow:
    cited = cited_at(clause.document)
    if verdict is None:
        reason = f"{UNJUDGED}: no test of this run returned a verdict about it"
        verdict = Verdict(clause=clause.id, status=Status.UNPROVEN, reason=reason)
    return ClauseRow(
        id=clause.id,
        signal=clause.signal,
        level=clause.level,
        status=verdict.status,
        promise=clause.promise,
        document=verdict.document or clause.document,
        reason=verdict.reason,
        observations=verdict.observations,
        findings=verdict.findings,
        evidence=verdict.evidence,
        again=verdict.again,
        source=f"{documents}/{cited[0]}:{cited[1]}" if cited and documents else "",
        test=tested.place,
        seconds=round(tested.seconds, 3),
    )


def _result(rows: Sequence[ClauseRow], *, selected: bool, deaths: Sequence[str]) -> tuple[Result, tuple[str, ...]]:
    must = [row for row in rows if row.level is Level.MUST]
    why = [_named(must, status) for status in (Status.BROKEN, Status.UNPROVEN, Status.UNSUPPORTED)]
    if not must:
        # A contract that demands nothing cannot be met: the pass would be vacuous.
        why.append("the contract has no MUST clause" if rows else "the contract has no clause")
    if selected:
        why.append("a selection of the tests ran, not the whole contract")
    why += [f"component {death} died during the run" if " " not in death else death for death in deaths]
    why = [sentence for sentence in why if sentence]
    if any(row.status is Status.BROKEN for row in must):
        return Result.NONCONFORMANT, tuple(why)
    return (Result.PARTIAL if why else Result.CONFORMANT), tuple(why)


def _named(must: Sequence[ClauseRow], status: Status) -> str:
    ids = [row.id for row in must if row.status is status]
    if not ids:
        return ""
    verb = "is" if len(ids) == 1 else "are"
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    return f"{count(len(ids), 'MUST clause')} {verb} {status}: {ids[0]}{more}"
