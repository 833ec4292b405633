"""
The report as JUnit XML for a CI server: one suite for each signal, one case for each clause.

It keeps to what Jenkins' schema allows, which knows a file for a suite and none for a case: the places of a case, its
test and its promise, stand in its text. GitLab shows places from `codequality.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from conformance.judge.verdict import Status
from conformance.report import matrix
from conformance.report.clean import clip, plain
from conformance.report.record import Result

if TYPE_CHECKING:
    from conformance.report.record import ClauseRow, Report

_LONGEST = 4_000
_MOST_FINDINGS = 20
# What a CI server calls each status: a deviation is a failure, a run that proved nothing is an error.
_TAGS = {Status.BROKEN: "failure", Status.UNPROVEN: "error", Status.UNSUPPORTED: "skipped"}
_TYPES = {Status.BROKEN: "NonConformant", Status.UNPROVEN: "Unproven", Status.UNSUPPORTED: "Unsupported"}


def render(report: Report) -> str:
    """The whole file."""
    rows = matrix.rows(report)
    counts = tuple(sum(row.counts[at] for row in rows) for at in range(len(matrix.STATUSES)))
    top = ET.Element("testsuites", _numbers(counts, skipped=False), name="monitoring conformance")
    top.set("time", f"{report.run.seconds:.3f}")
    for row in rows:
        suite = ET.SubElement(top, "testsuite", _numbers(row.counts), name=row.signal.value)
        # The programs are performed for all clauses: their time is the run's, and a suite's the sum of its cases.
        suite.set("time", f"{sum(clause.seconds for clause in row.clauses):.3f}")
        files = {clause.test.rpartition(":")[0] for clause in row.clauses}
        if len(files) == 1 and (file := files.pop()):
            suite.set("file", _fit(file))
        suite.set("timestamp", plain(report.run.started).split(".")[0].rstrip("Z"))
        for clause in row.clauses:
            _case(suite, clause)
    if report.result is not Result.CONFORMANT and sum(counts) == counts[0]:
        # Nothing above is red, and still the run is no pass: a CI server that reads only this file must see it.
        _whole_run(top, report)
    ET.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _numbers(counts: tuple[int, ...], *, skipped: bool = True) -> dict[str, str]:
    by_status = dict(zip(matrix.STATUSES, counts, strict=True))
    numbers = {
        "tests": str(sum(counts)),
        "failures": str(by_status[Status.BROKEN]),
        "errors": str(by_status[Status.UNPROVEN]),
    }
    return numbers | ({"skipped": str(by_status[Status.UNSUPPORTED])} if skipped else {})


def _case(suite: ET.Element, clause: ClauseRow) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        name=_fit(clause.id),
        classname=f"conformance.{clause.signal}",
        time=f"{clause.seconds:.3f}",
    )
    if clause.status in _TAGS:
        message = f"{clause.level} {clause.status}: {clause.reason}"
        outcome = ET.SubElement(case, _TAGS[clause.status], type=_TYPES[clause.status], message=_fit(message))
        outcome.text = _fit(_text(clause), _LONGEST * 4)


def _text(clause: ClauseRow) -> str:
    lines = [f"{clause.id}: {clause.reason}", f"  promise   {clause.promise}"]
    for finding in clause.findings[:_MOST_FINDINGS]:
        lines += [f"  {label:<9} {clip(text, _LONGEST)}" for label, text in matrix.finding_lines(finding)]
    if len(clause.findings) > _MOST_FINDINGS:
        lines.append(f"  {len(clause.findings) - _MOST_FINDINGS} more findings in report.json")
    places = (("document", clause.document), ("contract", clause.source), ("test", clause.test))
    lines += [f"  {label:<9} {text}" for label, text in places if text]
    if clause.again:
        lines.append(f"  again     {clause.again}")
    return "\n".join(lines)


def _whole_run(top: ET.Element, report: Report) -> None:
    suite = ET.SubElement(top, "testsuite", name="run", tests="1", failures="0", errors="1", skipped="0", time="0.000")
    case = ET.SubElement(suite, "testcase", name="result", classname="conformance.run", time="0.000")
    error = ET.SubElement(case, "error", type="Partial", message=_fit("; ".join(report.run.why)))
    error.text = _fit("\n".join(report.run.why))
    top.set("tests", str(int(top.get("tests", "0")) + 1))
    top.set("errors", "1")


def _fit(text: str, longest: int = _LONGEST) -> str:
    return clip(plain(text), longest)
