"""
The cases that a repository keeps for promtool beside its rules, read as data: series, and what is expected when.

It knows the format of such files; it must not know a rule or how a case is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from conformance.simulate.promtool import Series
from fixtures.language.durations import DurationError, parse_ms

MAX_BYTES: Final = 2_000_000
_METRIC: Final = re.compile(r"^\s*([A-Za-z_:][A-Za-z0-9_:]*)?\s*(?:\{(.*)\})?\s*$", re.DOTALL)
_LABEL: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')


class CasesError(Exception):
    """A file of cases cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertCheck:
    """Which label sets of an alert fire at a moment."""

    alert: str
    at_ms: int
    expected: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueCheck:
    """What an expression gives at a moment, as pairs of labels and value."""

    expr: str
    at_ms: int
    expected: tuple[tuple[Mapping[str, str], float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCase:
    """One case of a file."""

    name: str
    file: str
    series: tuple[Series, ...]
    interval_ms: int
    evaluation_ms: int
    alerts: tuple[AlertCheck, ...]
    values: tuple[ValueCheck, ...]


def read_cases(folder: Path) -> tuple[KeptCase, ...]:
    """The cases of every `*.yml` of a folder; no folder, no cases."""
    found: list[KeptCase] = []
    for path in sorted(folder.glob("*.y*ml")) if folder.is_dir() else ():
        try:
            if path.stat().st_size > MAX_BYTES:
                raise CasesError(f"{path.name}: has more than the {MAX_BYTES} bytes that are read")
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            evaluation = parse_ms(str(data.get("evaluation_interval", "1m")))
            found += [_case(each, path.name, index, evaluation) for index, each in enumerate(data.get("tests") or ())]
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, DurationError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CasesError(f"{path.name}: is no file of promtool cases: {reason}") from error
    return tuple(found)


def _case(data: Mapping[str, Any], file: str, index: int, evaluation: int) -> KeptCase:
    return KeptCase(
        name=str(data.get("name") or f"{file} {index + 1}"),
        file=file,
        series=tuple(
            Series(name=str(each["series"]), values=str(each["values"])) for each in data.get("input_series") or ()
        ),
        interval_ms=parse_ms(str(data.get("interval", "1m"))),
        evaluation_ms=evaluation,
        alerts=tuple(
            AlertCheck(
                alert=str(each["alertname"]),
                at_ms=parse_ms(str(each["eval_time"])),
                expected=tuple(
                    {key: str(value) for key, value in (alert.get("exp_labels") or {}).items()}
                    for alert in each.get("exp_alerts") or ()
                ),
            )
            for each in data.get("alert_rule_test") or ()
        ),
        values=tuple(
            ValueCheck(
                expr=str(each["expr"]),
                at_ms=parse_ms(str(each["eval_time"])),
                expected=tuple(
                    (labels_of(str(sample.get("labels", "{}"))), float(sample["value"]))
                    for sample in each.get("exp_samples") or ()
                ),
            )
            for each in data.get("promql_expr_test") or ()
        ),
    )


def labels_of(text: str) -> dict[str, str]:
    """The labels of a series as a case writes it, its name among them."""
    match = _METRIC.match(text)
    if match is None:
        return {}
    found = {name: value.replace('\\"', '"').replace("\\\\", "\\") for name, value in _LABEL.findall(match[2] or "")}
    return {"__name__": match[1], **found} if match[1] else found
