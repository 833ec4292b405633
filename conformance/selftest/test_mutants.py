"""Mutants, judged: each is a rule file of its own, and the suite's clauses notice those that behave differently."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.contract.load import load
from conformance.contract.model import Contract
from conformance.simulate.cases import CasesError, read_cases
from conformance.simulate.incidents import incidents
from conformance.simulate.judge_mutants import (
    Bench,
    Judged,
    MutationReport,
    Outcome,
    Routes,
    RoutesError,
    judge_routes,
    report,
)
from conformance.simulate.lint import read
from conformance.simulate.mutate import (
    BOUNDARY,
    CONSTANT_LABEL,
    NORMAL_FORM,
    SCALE,
    Mutant,
    mutants,
    route_mutants,
)
from conformance.simulate.promtool import Promtool
from fixtures.language import promql, rules
from fixtures.language.rules import RuleFile
from fixtures.stack.provision import provide

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"


@pytest.fixture(scope="module")
def promtool() -> Promtool:
    return Promtool(path=provide(["promtool"])["promtool"].path)


@pytest.fixture(scope="module")
def amtool() -> Path:
    return provide(["amtool"])["amtool"].path


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load()


@pytest.fixture(scope="module")
def shipped() -> tuple[RuleFile, ...]:
    return read(RULES)[0]


@pytest.fixture(scope="module")
def judged(promtool: Promtool, amtool: Path, contract: Contract, shipped: tuple[RuleFile, ...]) -> MutationReport:
    """Judge all mutants of the shipped rules and routes once."""
    return report(
        promtool,
        shipped,
        contract=contract,
        cases=read_cases(RULES / "tests"),
        amtool=amtool,
        alertmanager=(RULES / "alertmanager.yml").read_text(),
    )


def file_of(*members: dict[str, object]) -> RuleFile:
    return rules.load(json.dumps({"groups": [{"name": "g", "rules": list(members)}]}, indent=1), file="made.yml")


def words(file: RuleFile, operator: str) -> list[str]:
    return [each.words for each in mutants(file) if each.operator == operator]


def test_each_mutant_is_the_file_with_one_rule_changed(shipped: tuple[RuleFile, ...]) -> None:
    """
    The text of a mutant loads, and differs from the original in its own rule only, where it says so.
    """
    for file in shipped:
        for mutant in mutants(file)[::7]:
            changed = rules.load(mutant.source(file), file=file.file)

            pairs = [(old, new) for old, new in zip(file.rules, changed.rules, strict=True) if old != new]

            assert [old for old, _ in pairs] == [mutant.rule], mutant.text()
            ((_, new),) = pairs
            assert new.labels == mutant.mutated.labels
            assert promql.shape(new.expr) == promql.shape(mutant.mutated.expr)
            assert file.source.split("\n")[mutant.line - 1][mutant.column - 1 :]


@pytest.mark.parametrize(
    ("expr", "operator", "expected"),
    [
        ("x > 3", "comparison", ["> → >=", "> → <"]),
        ("x > 3", "constant", ["3 → 2.7", "3 → 3.3", "3 → 30", "3 → 180", "3 → 0.05", "3 → 3000", "3 → 0.003"]),
        ("x > 0", "constant", ["0 → 1"]),
        ("histogram_quantile(0.9, x) > x", "constant", ["0.9 → 0.5", "0.9 → 0.95", "0.9 → 0.99"]),
        ("rate(x[5m]) > x", "range", ["5m → 10m", "5m → 1m"]),
        ("rate(x[5m]) > x", "offset", ["offset 10m added"]),
        ("x offset 5m > x", "offset", ["offset 5m → nothing"]),
        ("sum(x) > x", "aggregation", ["sum dropped", "sum → avg", "sum → max", "sum → count", "by (instance) added"]),
        (
            "sum by (a, b) (x) > x",
            "aggregation",
            [
                "sum dropped",
                "sum → avg",
                "sum → max",
                "sum → count",
                "by (a, b) → nothing",
                "a dropped from by",
                "b dropped from by",
            ],
        ),
        ('x{a="b"} > x', "matcher", ['a="b" dropped', 'a="b" → a!="b"', 'a="b" → a="b-other"']),
        ("x == 0 or absent(x)", "absent", ["or absent(x) dropped", "absent(x) → x"]),
        ("x and y", "branch", ["and y dropped", "and x dropped", "and → unless"]),
        (
            "x / on (a, b) y > 1",
            "join",
            ["a dropped from on", "b dropped from on", "on → ignoring", "on (a, b) → nothing"],
        ),
        ("rate(x[5m]) > x", "function", ["rate → increase", "rate → irate", "rate → delta"]),
        ("x / y > x", "arithmetic", ["/ → *"]),
    ],
)
def test_an_operator_makes_these_mutants(expr: str, operator: str, expected: list[str]) -> None:
    """
    Every operator changes what it is for, and nothing else.
    """
    assert words(file_of({"alert": "A", "expr": expr}), operator) == expected


def test_the_wait_and_the_severity_have_mutants() -> None:
    """
    A wait goes, doubles or halves; a severity becomes each other one.
    """
    file = file_of({"alert": "A", "expr": "x > 1", "for": "5m", "labels": {"severity": "critical"}})

    assert words(file, "for") == ["for 5m → 0s", "for 5m → 10m", "for 5m → 2m30s"]
    assert words(file, "severity") == ["critical → warning", "critical → info"]


def test_no_mutant_of_a_documented_rule_survives(judged: MutationReport, contract: Contract) -> None:
    """
    Whatever behaves differently breaks a named clause; a survivor would be a hole in the suite.
    """
    documented = {each.name for each in contract.alerts}
    recorded = {each.mutant.rule.name for each in judged.judged if each.mutant.file.endswith("recording.yml")}

    survivors = [
        each.text()
        for each in judged.having(Outcome.SURVIVED)
        if isinstance(each, Judged) and each.mutant.rule.name in documented | recorded
    ]

    assert survivors == []
    assert len(judged.having(Outcome.CAUGHT)) > 150


def test_what_no_probe_tells_apart_is_counted_and_what_is_equivalent_has_a_proof(judged: MutationReport) -> None:
    """
    Few mutants stay undistinguished, and each equivalent one names its kind of proof.
    """
    proofs = {each.reason for each in judged.having(Outcome.EQUIVALENT)}

    assert proofs <= {NORMAL_FORM, CONSTANT_LABEL, BOUNDARY, SCALE}
    assert len(judged.having(Outcome.UNDISTINGUISHED)) <= 8
    assert "undistinguished" in judged.text()


def test_every_kind_of_change_is_caught_by_behaviour(judged: MutationReport) -> None:
    """
    Each operator's mutants are noticed by what the alert does, not by comparing its text alone.
    """
    noticed = Counter(
        each.mutant.operator for each in judged.judged if each.outcome is Outcome.CAUGHT and not each.by_wording
    )

    assert set(noticed) == {each.mutant.operator for each in judged.judged}


def test_clauses_are_named_as_in_the_contract(judged: MutationReport) -> None:
    """
    A mutant is caught by a clause of the contract, a kept case or a route.
    """
    kinds = {each.clause.split("/")[0] for each in judged.having(Outcome.CAUGHT)}
    aspects = {each.clause.split("/")[2] for each in judged.judged if each.clause.startswith("alert/")}

    assert kinds == {"alert", "case", "route"}
    assert {"silent-below", "fires-above", "for", "delivered"} <= aspects


def _only(file: RuleFile, text: str) -> list[Mutant]:
    return [each for each in mutants(file) if text in each.words]


def test_without_clauses_a_mutant_survives(promtool: Promtool, shipped: tuple[RuleFile, ...]) -> None:
    """
    With neither contract nor cases nothing is caught: a probe tells it apart, and no clause does.
    """
    alerts = next(file for file in shipped if file.file.endswith("alerts.yml"))
    wrong = [each for each in _only(alerts, "0.1 → 1") if each.operator == "constant"]
    told = [each for each in incidents() if each.bends == "errors"][:4]

    (found,) = Bench(promtool=promtool, files=shipped, incidents=told).judge(wrong[:1])

    assert found.outcome is Outcome.SURVIVED
    assert "differs in" in found.reason


def test_a_clause_that_the_original_breaks_catches_nothing(
    promtool: Promtool, shipped: tuple[RuleFile, ...], tmp_path: Path
) -> None:
    """
    A kept case that fails on the rule itself is no evidence about its mutants.
    """
    (tmp_path / "wrong.yml").write_text(
        "evaluation_interval: 15s\ntests:\n- name: wrong\n  interval: 15s\n"
        "  input_series: [{series: osmen_errors_total, values: 0+15x60}]\n"
        "  alert_rule_test: [{eval_time: 12m, alertname: HighErrorRate, exp_alerts: []}]\n"
    )
    alerts = next(file for file in shipped if file.file.endswith("alerts.yml"))

    (found,) = Bench(promtool=promtool, files=shipped, cases=read_cases(tmp_path)).judge(_only(alerts, "0.1 → 6")[:1])

    assert found.clause == ""
    assert found.told_apart == "wrong"


def test_brackets_alone_are_equivalent_and_nonsense_is_invalid(promtool: Promtool) -> None:
    """
    The same normal form is a proof; a text that is no expression is invalid, not caught.
    """
    file = file_of({"alert": "A", "expr": "x > 1"})
    (first, *_) = mutants(file)
    same = replace(first, mutated=replace(first.rule, expr="(x) > (1)"))
    nonsense = replace(first, mutated=replace(first.rule, expr="x >"))

    found = Bench(promtool=promtool, files=[file]).judge([same, nonsense])

    assert [each.outcome for each in found] == [Outcome.EQUIVALENT, Outcome.INVALID]
    assert found[0].reason == NORMAL_FORM


def test_a_mutant_that_cannot_be_evaluated_does_not_hide_the_others(promtool: Promtool) -> None:
    """
    One mutant whose join is ambiguous ends the run; it is caught, and the rest is judged without it.
    """
    file = file_of({"alert": "A", "expr": "container_memory_usage_bytes > on (name) container_spec_memory_limit_bytes"})
    (first, *_) = mutants(file)
    ambiguous = replace(
        first, mutated=replace(first.rule, expr="osmen_request_duration_seconds_bucket > on () osmen_errors_total")
    )
    other = replace(first, mutated=replace(first.rule, expr="osmen_errors_total >= 0"))
    found = Bench(promtool=promtool, files=[file], incidents=incidents()[:2]).judge([ambiguous, other])

    assert found[0].outcome is Outcome.CAUGHT
    assert "cannot be evaluated" in found[0].reason
    assert found[1].outcome is Outcome.SURVIVED


def test_every_wrong_route_is_caught(judged: MutationReport) -> None:
    """
    A receiver, a matcher, a timer or a missing route: each breaks its clause; order among disjoint routes does not.
    """
    left = [each.mutant.words for each in judged.routes if each.outcome is not Outcome.CAUGHT]

    assert len(judged.routes) >= 15
    assert left == ["route 1 moved before the one above it"]
    assert {each.clause for each in judged.routes if each.clause} == {
        "route/critical",
        "route/warning",
        "route/default",
        "route/timing",
    }


def test_a_configuration_that_alertmanager_refuses_is_invalid(amtool: Path, contract: Contract) -> None:
    """
    What Alertmanager's tool does not read is invalid with what it said; of the original it is an error.
    """
    text = (RULES / "alertmanager.yml").read_text()
    (first, *_) = route_mutants(text)
    nobody = replace(first, text=text.replace("receiver: slack", "receiver: nobody"))

    (found,) = judge_routes([nobody], Routes(amtool=amtool, text=text), contract)

    assert found.outcome is Outcome.INVALID
    assert "nobody" in found.reason
    with pytest.raises(RoutesError, match="nobody"):
        Routes(amtool=amtool, text=nobody.text).receivers({"severity": "warning"})


@pytest.mark.parametrize("text", ["tests: [", "tests: 3", "evaluation_interval: 1x\ntests: []", "- a"])
def test_a_file_of_cases_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    """
    Kept cases that cannot be read are an error with the file's name, never no cases.
    """
    (tmp_path / "a.test.yml").write_text(text)

    with pytest.raises(CasesError, match=r"^a\.test\.yml: is no file of promtool cases"):
        read_cases(tmp_path)
