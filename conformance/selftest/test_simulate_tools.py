from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from conformance import thresholds
from conformance.bench import generated
from conformance.contract.load import load
from conformance.contract.model import AlertPromise
from conformance.simulate import documented
from conformance.simulate.documented import Said
from conformance.simulate.effective import Around, measure, subjects
from conformance.simulate.example import matching, meets
from conformance.simulate.promtool import Ask, Case, Promtool, PromtoolError, Series, Sheet
from conformance.simulate.result import Threshold
from conformance.tiers import KNOWN_BUCKETS
from fixtures.language import rules
from fixtures.stack.provision import provide

SHIPPED = Path(__file__).parents[2] / "rules"
RULE = "groups: [{name: g, rules: [{alert: A, expr: depth > 3}]}]"
ONE = Case(name="one", series=(Series(name="depth", values="5x40"),), asks=(Ask(expr="depth", at_ms=300_000),))


@pytest.fixture(scope="module")
def tool() -> Promtool:
    return Promtool(path=provide(["promtool"])["promtool"].path)


# --- promtool --------------------------------------------------------------------------------------------------------
def test_a_question_is_answered_with_what_it_got(tool: Promtool) -> None:
    """
    Labels, values without end and a query's own error come back as they are.
    """
    asks = (
        Ask(expr='label_replace(depth, "a", "x{}, \\"y\\"", "", "")', at_ms=60_000),
        Ask(expr="vector(-Inf)", at_ms=60_000),
        Ask(expr="nothing_of_the_kind", at_ms=60_000),
        Ask(expr='depth + on () (depth or label_replace(depth, "a", "b", "", ""))', at_ms=60_000),
        Ask(expr='ALERTS{alertname="A"}', at_ms=60_000),
    )

    (found,) = tool.run([Sheet(rules=RULE, cases=(replace(ONE, asks=asks),))])

    named, endless, nothing, failed, alert = found.of("one")
    assert [dict(each.labels) for each in named.samples] == [{"__name__": "depth", "a": 'x{}, "y"'}]
    assert endless.value == float("-inf")
    assert not nothing.found
    assert "many-to-many" in failed.error
    assert alert.samples[0].labels["alertstate"] == "firing"


def test_one_bad_sheet_leaves_the_others_alone(tool: Promtool) -> None:
    """
    A rule file that does not load, and one whose rule cannot be evaluated, end in a sentence each.
    """
    many = RULE.replace("depth > 3", '\'depth + on () (depth or label_replace(depth, "a", "b", "", ""))\'')
    sheets = [Sheet(rules=text, cases=(ONE,)) for text in (RULE, RULE.replace("> 3", "> > 3"), many, "groups: [")]

    good, refused, unevaluated, unread = tool.run(sheets)

    assert good.of("one")[0].value == 5
    assert "could not parse expression" in refused.error
    assert "many-to-many" in unevaluated.errors["one"]
    assert "yaml" in unread.error


def test_data_that_was_not_loaded_is_no_silence(tool: Promtool) -> None:
    """
    Evaluations that are rarer than the case is long load nothing: the control series says so.
    """
    (found,) = tool.run([Sheet(rules=RULE, cases=(ONE,), evaluation_ms=36_000_000)])

    with pytest.raises(PromtoolError, match="would look silent"):
        found.of("one")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\nexit 0\n", "ended without a report"),
        ("#!/bin/sh\necho 'panic: out of memory' >&2\nexit 2\n", "panic: out of memory"),
        ("#!/bin/sh\necho '<testsuites><testsuite/></testsuites>' > junit.xml\n", "no answer"),
    ],
    ids=["silent", "dying", "empty"],
)
def test_a_tool_that_says_nothing_has_measured_nothing(tmp_path: Path, script: str, words: str) -> None:
    """
    No report, a dying process and an empty report are errors, never silence.
    """
    fake = tmp_path / "promtool"
    fake.write_text(script)
    fake.chmod(0o755)

    (found,) = Promtool(path=fake).run([Sheet(rules=RULE, cases=(ONE,))])

    with pytest.raises(PromtoolError, match=words):
        found.of("one")


def test_a_tool_that_hangs_or_is_missing_is_told_in_one_line(tmp_path: Path) -> None:
    """
    A hang ends after the budget, and a missing tool at once.
    """
    fake = tmp_path / "promtool"
    fake.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    fake.chmod(0o755)

    with pytest.raises(PromtoolError, match=r"did not end within 0.2 s"):
        Promtool(path=fake, budget=timedelta(seconds=0.2)).run([Sheet(rules=RULE, cases=(ONE,))])
    with pytest.raises(PromtoolError, match="cannot be started"):
        Promtool(path=tmp_path / "gone").run([Sheet(rules=RULE, cases=(ONE,))])


# --- label values ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "pattern",
    ["5..", "(4|5)..", "prod-[a-z]+", "a|b|c", ".+", "^5.*", "(?:5..)", r"\d{3}", "Failed|Pending", "(?i).*tail.*"],
)
def test_a_value_is_found_for_a_pattern(pattern: str) -> None:
    """
    Whatever a rule selects by a pattern of the usual shapes gets a label value that the pattern takes.
    """
    found = matching([("=~", pattern)])

    assert found is not None
    assert meets(found, "=~", pattern)


def test_no_value_meets_what_contradicts_itself() -> None:
    """
    Matchers that no value meets are said to have none.
    """
    assert matching([("=", "a"), ("!=", "a")]) is None


# --- against the documents -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def promises() -> tuple[AlertPromise, ...]:
    return load().alerts


BENT = {
    "another number": ("> 0.1\n", "> 0.5\n", "HighErrorRate", "effective > 0.5 errors/s"),
    "the other direction": ("> 0.1\n", "< 0.1\n", "HighErrorRate", "effective < 0.1 errors/s"),
    "another unit": ("sum(rate(osmen_errors", "sum(increase(osmen_errors", "HighErrorRate", "errors/s"),
    "another metric": ("osmen_errors_total", "osmen_requests_total", "HighErrorRate", "nothing that moves"),
    "a threshold out of reach": ("> 10\n", "> 120\n", "HighResponseTime", "never fires"),
    "another wait": ("for: 5m", "for: 1m", "HighErrorRate", "effective for 60 s"),
    "another state": ("== 0 or absent", "== 1 or absent", "ServiceDown", "fires on 1 or absent"),
    "a bool": ("> 0.1\n", "> bool 0.1\n", "HighErrorRate", "any value"),
    "a construct": ("sum(rate(osmen_errors", "stddev(rate(osmen_errors", "HighErrorRate", "not measured"),
}


@pytest.fixture(scope="module")
def judged(tool: Promtool, promises: tuple[AlertPromise, ...]) -> dict[str, tuple[documented.Judged, ...]]:
    """The shipped rules and each bent form of them, measured together and judged apart."""
    text = (SHIPPED / "alerts.yml").read_text()
    texts = {"shipped": text, **{name: text.replace(old, new, 1) for name, (old, new, _, _) in BENT.items()}}
    wanted = [
        (name, subject)
        for name, each in texts.items()
        for subject in subjects([rules.load(each, file="alerts.yml")])
        if name == "shipped" or subject.rule.name == BENT[name][2]
    ]
    environment = {name: value for each in promises for name, value in each.environment.items()}
    around = Around(
        environment=environment,
        buckets=KNOWN_BUCKETS,
        measures={each.name: each.measure for each in promises if not each.fires_on},
    )
    found = measure([subject for _, subject in wanted], tool, around)
    rows: dict[str, list[Threshold]] = {name: [] for name in texts}
    for (name, _), more in zip(wanted, found, strict=True):
        rows[name] += more
    return {
        name: documented.judge(
            [each for each in promises if name == "shipped" or each.name == BENT[name][2]], rows[name]
        )
        for name in texts
    }


def test_the_shipped_rules_do_what_the_documents_say(
    judged: dict[str, tuple[documented.Judged, ...]], promises: tuple[AlertPromise, ...]
) -> None:
    """
    Each documented number, state and wait is what was measured.
    """
    found = judged["shipped"]

    assert [each.text() for each in found if each.said is not Said.AGREES] == []
    assert {each.alert for each in found} == {each.name for each in promises}


@pytest.mark.parametrize("name", BENT)
def test_a_bent_rule_contradicts_its_document(judged: dict[str, tuple[documented.Judged, ...]], name: str) -> None:
    """
    Each change of meaning is told with the alert, the documented and the effective value, and a place.
    """
    *_, alert, words = BENT[name]
    wrong = [each for each in judged[name] if each.said is not Said.AGREES]

    assert wrong
    assert {each.alert for each in wrong} == {alert}
    assert words in " ".join(each.text() for each in wrong)
    assert all("alerts.yml:" in each.text() for each in wrong)
    unmeasured = name == "a construct"
    assert {each.said for each in wrong} == {Said.UNPROVEN if unmeasured else Said.CONTRADICTS}


def test_an_alert_without_a_measurement_never_agrees(promises: tuple[AlertPromise, ...]) -> None:
    """
    No rows at all leave every promise unproven.
    """
    found = documented.judge(promises, ())

    assert {each.said for each in found} == {Said.UNPROVEN}
    assert len(found) == len(promises)


# --- the program -----------------------------------------------------------------------------------------------------
def test_a_changed_number_fails_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    0.1 becomes 0.5: the program names the alert, both values, file, line and caret, and ends with the result.
    """
    folder = tmp_path / "rules"
    folder.mkdir()
    for file in SHIPPED.glob("*.yml"):
        (folder / file.name).write_text(file.read_text())
    text = (folder / "alerts.yml").read_text().replace("> 0.1\n", "> 0.5\n", 1)
    (folder / "alerts.yml").write_text(text)

    code = thresholds.main(["--rules", str(folder), "--no-mutants", "--run-dir", str(tmp_path / "run")])

    said = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(said) if "effective > 0.5 errors/s" in line)
    stored = json.loads((tmp_path / "run/thresholds.json").read_text())
    assert code == 1
    assert "alerts.yml:11:51: HighErrorRate: documented > 0.1 errors/s" in said[place]
    assert said[place + 2].strip() == "^^^"
    assert said[-1].startswith("result: nonconformant")
    assert stored["result"] == "nonconformant"
    rows = {row["alert"]: row for row in stored["thresholds"]}
    assert (rows["HighErrorRate"]["documented"], rows["HighErrorRate"]["unit"]) == (0.1, "errors/s")
    assert rows["HighErrorRate"]["silent_at"] < 0.5 < rows["HighErrorRate"]["fires_at"]


def test_rules_of_any_origin_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A folder that no document speaks of is measured, and passes when everything could be.
    """
    (tmp_path / "made.yml").write_text(generated(13))

    code = thresholds.main(["--rules", str(tmp_path), "--no-contract", "--run-dir", str(tmp_path / "run")])

    assert (code, capsys.readouterr().out.splitlines()[-1]) == (0, "result: conformant")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--rules", "/nowhere/at/all"], "is not there"),
        (["--fail-on-change"], "name a --base"),
        (["--contract", "/nowhere/at/all"], "contract"),
        (["--no-contract", "--contract", "x"], "contradict each other"),
        (["--tresholds"], "unrecognized"),
    ],
    ids=["rules", "change", "contract", "both", "unknown"],
)
def test_what_cannot_be_done_is_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], words: str
) -> None:
    """
    A request that cannot be met is one clear line, and neither a pass nor a finding.
    """
    code = thresholds.main([*given, "--run-dir", str(tmp_path / "run")])

    said = capsys.readouterr()
    assert code == 1
    assert words in said.err
    assert said.out.splitlines()[-1] == "result: usage"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups: [", "not YAML"),
        ("", "no alert"),
        ("groups: [{name: g, rules: [{alert: A, expr: 'sum(', for: 5m}]}]", "A"),
        (f"groups: [{{name: g, rules: [{{alert: A, expr: '{'x + ' * 5000}x > 1'}}]}}]", "more than the"),
        (
            RULE.replace(
                "{alert: A, expr: depth", "{record: r:a, expr: r:b}, {record: r:b, expr: r:a}, {alert: A, expr: r:a"
            ),
            "in a circle",
        ),
    ],
    ids=["no YAML", "nothing", "no PromQL", "too long", "a circle"],
)
def test_bad_rules_are_never_passed_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    """
    What cannot be read or measured is named, and the result is no pass.
    """
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/bad.yml").write_text(text)

    code = thresholds.main(["--rules", str(tmp_path / "rules"), "--no-contract", "--run-dir", str(tmp_path / "run")])

    said = capsys.readouterr().out
    assert code == 1
    assert words in said
    assert said.splitlines()[-1].startswith(("result: nonconformant", "result: partial"))


def test_generated_rules_grow_and_stay_the_same() -> None:
    """
    The benchmark's rules are as many as asked for, load, and are the same each time.
    """
    file = rules.load(generated(30), file="generated.yml")

    assert len(subjects([file])) == 30
    assert generated(30) == generated(30)
