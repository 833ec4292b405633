"""
Whether a rule set keeps the cases that stand beside it: each check against what the simulated rules really gave.

It knows cases and the engine; it must not know a contract or a mutant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.simulate import stories
from conformance.simulate.cases import KeptCase
from conformance.simulate.promtool import Answer, Ask, Case, Promtool, Sheet
from fixtures.language.durations import format_ms
from fixtures.language.rules import RuleFile

LabelSets = tuple[tuple[tuple[str, str], ...], ...]
Labelled = tuple[tuple[tuple[tuple[str, str], ...], float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """One check of a case that the rules do not keep."""

    case: str
    file: str
    what: str
    expected: str
    observed: str


def missed(promtool: Promtool, files: Sequence[RuleFile], cases: Sequence[KeptCase]) -> tuple[Missed, ...]:
    """Every check that fails; a case that cannot be evaluated is one too, and so are rules that do not load."""
    if not cases:
        return ()
    text = stories.merged(files)
    by_interval: dict[int, list[KeptCase]] = {}
    for case in cases:
        by_interval.setdefault(case.evaluation_ms, []).append(case)
    # Two sheets for each interval: the engine has two processes. Names may repeat over files, places do not.
    halves = [half for each in by_interval.values() for half in (each[0::2], each[1::2]) if half]
    sheets = [
        Sheet(
            rules=text,
            cases=tuple(_asked(case, index) for index, case in enumerate(half)),
            evaluation_ms=half[0].evaluation_ms,
        )
        for half in halves
    ]
    found: list[Missed] = []
    for half, measured in zip(halves, promtool.run(sheets), strict=True):
        for index, case in enumerate(half):
            said = measured.error or measured.errors.get(f"{index} {case.name}", "")
            if said:
                found.append(
                    Missed(case=case.name, file=case.file, what="evaluation", expected="an answer", observed=said)
                )
            else:
                found += _compared(case, measured.of(f"{index} {case.name}"))
    return tuple(found)


def _asked(case: KeptCase, index: int) -> Case:
    asks = [Ask(expr='ALERTS{alertstate="firing"}', at_ms=check.at_ms) for check in case.alerts]
    asks += [Ask(expr=check.expr, at_ms=check.at_ms) for check in case.values]
    return Case(name=f"{index} {case.name}", series=case.series, asks=tuple(asks), interval_ms=case.interval_ms)


def _compared(case: KeptCase, answers: Sequence[Answer]) -> Iterator[Missed]:
    for check, answer in zip(case.alerts, answers, strict=False):
        expected, seen = label_sets(check.expected), fired(answer, check.alert)
        if expected != seen:
            yield Missed(
                case=case.name,
                file=case.file,
                what=f"{check.alert} at {format_ms(check.at_ms)}",
                expected=f"fires on {many(expected)}",
                observed=f"fires on {many(seen)}",
            )
    for value, answer in zip(case.values, answers[len(case.alerts) :], strict=True):
        wanted, given = labelled(value.expected), values(answer)
        if not alike(wanted, given):
            yield Missed(
                case=case.name,
                file=case.file,
                what=f"{value.expr} at {format_ms(value.at_ms)}",
                expected=_shown(wanted),
                observed=answer.error or _shown(given),
            )


def values(answer: Answer) -> Labelled:
    """What a question got, without the metric's name: recorded names may differ on purpose."""
    return labelled((sample.labels, sample.value) for sample in answer.samples)


def labelled(pairs: Iterable[tuple[Mapping[str, str], float]]) -> Labelled:
    """Label sets with values, in an order of their own."""
    return tuple(
        sorted(
            (tuple(sorted((name, text) for name, text in labels.items() if name != "__name__")), value)
            for labels, value in pairs
        )
    )


def alike(left: Labelled, right: Labelled) -> bool:
    """Whether two results are the same but for rounding."""
    return len(left) == len(right) and all(
        a[0] == b[0] and math.isclose(a[1], b[1], rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(left, right, strict=True)
    )


def label_sets(labels: Iterable[Mapping[str, str]]) -> LabelSets:
    """Label sets in an order of their own."""
    return tuple(sorted(tuple(sorted(each.items())) for each in labels))


def fired(answer: Answer, alert: str) -> LabelSets:
    """The label sets on which an alert fires, as a case writes them."""
    gone = {"__name__", "alertname", "alertstate"}
    return label_sets(
        {name: value for name, value in sample.labels.items() if name not in gone}
        for sample in answer.samples
        if sample.labels.get("alertname") == alert
    )


def many(found: LabelSets) -> str:
    """Label sets in words."""
    if not found:
        return "no label set"
    shown = "; ".join("{" + ", ".join(f"{name}={value}" for name, value in each) + "}" for each in found[:3])
    return shown + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _shown(found: Labelled) -> str:
    return (
        "; ".join(
            "{" + ", ".join(f"{name}={text}" for name, text in labels) + "}" + f" {value:g}"
            for labels, value in found[:3]
        )
        or "nothing"
    )
