"""Two revisions compared: what changed is shown as behaviour, and a contradicted document fails."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.contract.load import SHIPPED
from conformance.selftest.test_lint import LITERAL
from conformance.simulate.cases import read_cases
from conformance.simulate.compare import (
    CompareError,
    Comparison,
    HistoryRow,
    Revision,
    compare,
    contradictions,
    markdown,
    read_base,
    read_revision,
    unkept,
)
from conformance.simulate.incidents import Incident, incidents, ladders
from conformance.simulate.kept import missed
from conformance.simulate.promtool import Promtool
from conformance.simulate.result import Outcome, Speed, Threshold
from fixtures.stack.provision import provide

ROOT = Path(__file__).parents[2]
SOME = ("errors spread over five agents", "gateway down")


@pytest.fixture(scope="module")
def promtool() -> Promtool:
    return Promtool(path=provide(["promtool"])["promtool"].path)


@pytest.fixture(scope="module")
def amtool() -> Path:
    return provide(["amtool"])["amtool"].path


@pytest.fixture(scope="module")
def shipped() -> Revision:
    return read_revision("shipped", rules_at=ROOT / "rules", contract_at=SHIPPED)


@pytest.fixture
def bend(tmp_path: Path) -> Callable[..., Revision]:
    """Give the shipped revision with texts replaced: in the rules, and in the contract where asked."""

    def bent(*pairs: tuple[str, str], documents: tuple[tuple[str, str], ...] = ()) -> Revision:
        folder = shutil.copytree(ROOT / "rules", tmp_path / "bent/rules")
        contract = shutil.copytree(SHIPPED, tmp_path / "bent/documents")
        for old, new in pairs:
            _replace(folder, old, new)
        for old, new in documents:
            _replace(contract, old, new)
        return read_revision("bent", rules_at=folder, contract_at=contract)

    return bent


def _replace(folder: Path, old: str, new: str) -> None:
    files = [each for each in folder.glob("*.y*ml") if old in each.read_text()]
    assert files, f"{old!r} stands in no file of {folder}"
    for file in files:
        file.write_text(file.read_text().replace(old, new))


def some(*names: str) -> tuple[Incident, ...]:
    return tuple(each for each in incidents() if each.name in (names or SOME))


DEFECTS = (
    ("B5", "connections over three states", "DatabasePoolExhausted", ("silent", "fires after 5m")),
    ("B6", "exhausted pool", "DatabasePoolExhausted", ("silent", "fires after 5m")),
    ("B7", "gateway vanished", "ServiceDown", ("silent", "fires after 1m")),
    ("B10", "errors spread over five agents", "HighErrorRate", ("silent", "fires after")),
    ("C1", "container without a limit", "HighMemoryUsage", ("never stops", "silent")),
    ("C4", "many connections of many more", "DatabasePoolExhausted", ("fires after 5m", "silent")),
    ("C5", "one rare slow agent", "HighResponseTime", ("fires after 5m", "silent")),
)
SHARED = (("error burst", "HighErrorRate"), ("gateway flapping", "ServiceDown"), ("one noisy agent", "HighErrorRate"))


def told(comparison: Comparison, incident: str, alert: str) -> tuple[str, str]:
    words = next(each.words for each in incidents() if each.name == incident)
    return next(
        ((each.base, each.head) for each in comparison.behaviours if (each.words, each.alert) == (words, alert)),
        ("same", "same"),
    )


_NAMED = [row[1] for row in DEFECTS] + [row[0] for row in SHARED]


@pytest.fixture(scope="module")
def literal(promtool: Promtool, shipped: Revision, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Compare the guide's own wording with the shipped rules, once."""
    folder = tmp_path_factory.mktemp("literal")
    members = [
        {"alert": name, "expr": expr, "for": wait, "labels": {"severity": "warning"}}
        for name, (expr, wait) in LITERAL.items()
    ]
    (folder / "alerts.yml").write_text(json.dumps({"groups": [{"name": "osmen_alerts", "rules": members}]}))
    return compare(promtool, read_revision("guide", rules_at=folder), shipped, incidents=some(*_NAMED))


@pytest.mark.parametrize(("defect", "incident", "alert", "sides"), DEFECTS)
def test_a_defect_of_the_guide_is_a_difference_in_behaviour(
    literal: Comparison, defect: str, incident: str, alert: str, sides: tuple[str, str]
) -> None:
    """
    What is wrong with the guide's wording shows as an incident in which the two sides act differently.
    """
    base, head = told(literal, incident, alert)

    assert sides[0] in base, defect
    assert sides[1] in head, defect


@pytest.mark.parametrize(("incident", "alert"), SHARED)
def test_what_the_shipped_rules_share_with_the_guide_is_no_difference(
    literal: Comparison, incident: str, alert: str
) -> None:
    """
    The burst and the flapping target stay unheard on both sides, one loud agent is heard on both.
    """
    assert told(literal, incident, alert) == ("same", "same")


def test_the_same_rules_show_nothing(promtool: Promtool, amtool: Path, shipped: Revision) -> None:
    """
    Without a change there is no row, and the document agrees.
    """
    found = compare(promtool, shipped, shipped, amtool=amtool, incidents=some())

    assert not found.changed
    assert found.contradictions == ()
    assert "Nothing changed" in markdown(found)
    assert markdown(found).endswith("result: conformant\n")
    assert found.result(fail_on_change=True) == "conformant"


def test_a_changed_number_without_its_document_fails_with_its_place(
    promtool: Promtool, shipped: Revision, bend: Callable[..., Revision]
) -> None:
    """
    0.1 becomes 0.5 in the rules alone: the alert, both values, file, line and a caret under the number.
    """
    head = bend(("> 0.1", "> 0.5"))
    measured = Threshold(alert="HighErrorRate", outcome=Outcome.MEASURED, silent_at=0.4998, fires_at=0.5002, unit="/s")

    found = compare(promtool, shipped, head, head_thresholds=[measured], incidents=some())

    (contradiction,) = found.contradictions
    text = contradiction.text()
    assert found.result() == "nonconformant"
    assert text.startswith("rules/alerts.yml:11:51: HighErrorRate: documented sum(rate(osmen_errors_total[5m])) > 0.1")
    assert "(threshold 0.1)" in text
    assert "silent at 0.4998, fires at 0.5002 /s" in text
    assert text.splitlines()[-1].strip() == "^^^"
    assert text.splitlines()[-2].index("0.5") == text.splitlines()[-1].index("^")


def test_rule_and_document_changed_together_pass_with_the_table(
    promtool: Promtool, shipped: Revision, bend: Callable[..., Revision]
) -> None:
    """
    Where the contract says the new number too the table is printed and passes, unless every change is to fail.
    """
    head = bend(("> 0.1", "> 0.5"), documents=(("> 0.1", "> 0.5"), ("threshold: 0.1", "threshold: 0.5")))

    found = compare(promtool, shipped, head, incidents=some())

    assert found.contradictions == ()
    assert found.result() == "conformant"
    assert found.result(fail_on_change=True) == "nonconformant"
    assert told(found, "errors spread over five agents", "HighErrorRate")[1] == "silent"
    assert "| changed | HighErrorRate | `sum(rate(osmen_errors_total[5m])) > 0.1` |" in markdown(found)


@pytest.mark.parametrize(
    ("change", "subject", "observed"),
    [
        (("for: 1m", "for: 2m"), "ServiceDown for", "2m"),
        (("for: 1m", "keep_firing_for: 5m\n        for: 1m"), "ServiceDown keep_firing_for", "5m"),
        (('summary: "High response time"', 'summary: "Slow"'), "HighResponseTime annotations.summary", "'Slow'"),
        (("- alert: ServiceDown", "- alert: ServiceGone"), "ServiceDown", "in no rule file"),
        (("receiver: slack\n", "receiver: default\n"), "HighErrorRate receiver", "default"),
    ],
)
def test_each_part_of_a_rule_is_held_to_its_document(
    amtool: Path, bend: Callable[..., Revision], change: tuple[str, str], subject: str, observed: str
) -> None:
    """
    A wait, a text, a name or a route that moved without its document is a contradiction of that part.
    """
    found = {each.subject: each.observed for each in contradictions(bend(change), (), amtool)}

    assert found[subject] == observed


def test_a_renamed_alert_is_one_row(promtool: Promtool, shipped: Revision, bend: Callable[..., Revision]) -> None:
    """
    The same condition under another name is renamed, neither added nor removed, and behaves the same.
    """
    found = compare(promtool, shipped, bend(("- alert: ServiceDown", "- alert: GatewayDown")), incidents=some())

    assert [(each.kind, each.base, each.head) for each in found.changes] == [("renamed", "ServiceDown", "GatewayDown")]
    assert found.behaviours == ()


def test_an_alert_that_is_gone_or_new_says_so(promtool: Promtool, shipped: Revision, tmp_path: Path) -> None:
    """
    A removed alert no longer pages anybody, and where it spoke there is now no such alert.
    """
    (tmp_path / "few").mkdir()
    (tmp_path / "few/a.yml").write_text(
        json.dumps({"groups": [{"name": "g", "rules": [{"alert": "New", "expr": "redis_up == 0"}]}]})
    )
    few = read_revision("few", rules_at=tmp_path / "few")

    found = compare(promtool, shipped, few, incidents=some())

    assert {(each.kind, each.rule) for each in found.changes if each.kind != "recording"} == {
        ("added", "New"),
        *(("removed", name) for name in LITERAL),
    }
    assert told(found, "gateway down", "ServiceDown")[1] == "no such alert"
    assert ("ServiceDown", "nobody: no such alert") in {(each.alert, each.head) for each in found.paged}


def test_a_changed_recording_rule_shows_on_the_alert_above(promtool: Promtool, tmp_path: Path) -> None:
    """
    The alert's own text is the same; its row names the recorded metric that moved, and its behaviour differs.
    """
    sides = []
    for name, bound in (("old", "5m"), ("new", "10m")):
        (tmp_path / name).mkdir()
        members = [
            {"record": "errors:rate", "expr": f"sum(rate(osmen_errors_total[{bound}]))"},
            {"record": "errors:twice", "expr": "errors:rate * 2"},
            {"alert": "Errors", "expr": "errors:twice > 0.2", "for": "1m"},
        ]
        (tmp_path / name / "a.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": members}]}))
        sides.append(read_revision(name, rules_at=tmp_path / name))

    found = compare(promtool, *sides, incidents=some())

    (change,) = found.changes
    assert (change.kind, change.rule) == ("beneath", "Errors")
    assert change.head == "errors:rate: sum(rate(osmen_errors_total[10m]))"
    assert told(found, "errors spread over five agents", "Errors")[0] != "same"


def test_another_severity_pages_somebody_else(
    promtool: Promtool, amtool: Path, shipped: Revision, bend: Callable[..., Revision]
) -> None:
    """
    Whoever is told before and after stands in the table, as Alertmanager's tool routes it.
    """
    found = compare(
        promtool, shipped, bend(("severity: critical", "severity: warning")), amtool=amtool, incidents=some()
    )

    assert {(each.base, each.head) for each in found.paged} == {("critical → pagerduty", "warning → slack")}


def test_measured_thresholds_stand_side_by_side() -> None:
    """
    Only what differs between the two measurements is shown, with what it is.
    """
    from conformance.simulate.compare import _measured  # noqa: PLC0415

    speed = (Speed(multiple=2, least_s=450, most_s=465),)
    old = Threshold(alert="A", outcome=Outcome.MEASURED, silent_at=0.1, fires_at=0.11, unit="/s", time_to_fire=speed)
    new = Threshold(alert="A", outcome=Outcome.NEVER, reason="beyond the buckets", unit="/s", time_to_fire=speed)

    assert list(_measured([old], [new], {})) == [
        ("A", "effective threshold", "silent at 0.1, fires at 0.11 /s", "never fires: beyond the buckets")
    ]


def test_a_line_on_a_dashboard_at_the_old_number_is_named(
    promtool: Promtool, shipped: Revision, bend: Callable[..., Revision], tmp_path: Path
) -> None:
    """
    A panel over the same metric that still draws the old threshold is a disagreement with its board and title.
    """
    steps = {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"value": None}, {"value": 0.1}]}}}}
    panel = {"title": "Errors", "targets": [{"expr": "sum(rate(osmen_errors_total[5m]))"}], **steps}
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/overview.json").write_text(json.dumps({"panels": [{"panels": [panel]}]}))
    head = bend(("> 0.1", "> 0.5"))
    with_boards = read_revision(
        "bent",
        rules_at=tmp_path / "bent/rules",
        contract_at=tmp_path / "bent/documents",
        dashboards_at=tmp_path / "boards",
    )

    assert head.dashboards == {}
    found = compare(promtool, shipped, with_boards, incidents=some())

    assert "overview.json, panel 'Errors': draws a line at 0.1, where HighErrorRate stood before" in found.disagreements


def test_the_shipped_dashboards_are_held_against_the_changed_rules(
    promtool: Promtool, bend: Callable[..., Revision], tmp_path: Path
) -> None:
    """
    A line that is not the rule's is named whatever the base had there; with the shipped rules nothing disagrees.
    """
    bend(("> 0.1", "> 0.5"))
    same, changed = (
        read_revision(
            name, rules_at=rules_at, contract_at=tmp_path / "bent/documents", dashboards_at=ROOT / "dashboards"
        )
        for name, rules_at in (("same", ROOT / "rules"), ("changed", tmp_path / "bent/rules"))
    )

    quiet = compare(promtool, same, same, incidents=some())
    found = compare(promtool, changed, changed, incidents=some())

    assert quiet.disagreements == ()
    (said,) = found.disagreements
    assert said.startswith("overview.json, line ")
    assert said.endswith("panel 'Error rate': draws a line at 0.1, and the alert HighErrorRate speaks at 0.5")


def test_rules_that_do_not_load_fail_and_do_not_look_silent(
    promtool: Promtool, shipped: Revision, tmp_path: Path
) -> None:
    """
    A file that is no rule file, or an expression that Prometheus refuses, is a contradiction with its reason.
    """
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.yml").write_text("groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'rate(x) > 1'}\n")
    (tmp_path / "bad/b.yml").write_text("groups: [")
    bad = read_revision("bad", rules_at=tmp_path / "bad")

    found = compare(promtool, shipped, bad, incidents=some())

    assert found.result() == "nonconformant"
    text = "\n".join(each.text() for each in found.contradictions)
    assert "bad/b.yml" in text
    assert "expected type range vector" in text


def test_a_revision_of_git_is_read_without_touching_the_checkout(tmp_path: Path) -> None:
    """
    Rules and contract of a commit are read from git; what stands uncommitted stays as it is.
    """
    repository, scratch = tmp_path / "repository", tmp_path / "scratch"
    shutil.copytree(ROOT / "rules", repository / "rules")
    shutil.copytree(SHIPPED, repository / "conformance/contract/documents")
    scratch.mkdir()
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    _replace(repository / "rules", "> 0.1", "> 0.5")

    base = read_base("HEAD", repository=repository, scratch=scratch)
    folder = read_base(str(repository), repository=repository, scratch=scratch)

    assert base.alerts()["HighErrorRate"][1].expr.endswith("> 0.1")
    assert folder.alerts()["HighErrorRate"][1].expr.endswith("> 0.5")
    assert base.contract is not None
    assert base.alertmanager
    assert base.name.startswith("HEAD (")
    with pytest.raises(CompareError, match="nowhere: is neither a folder nor a revision of git"):
        read_base("nowhere", repository=repository, scratch=scratch)


def test_every_ladder_has_a_rung_on_either_side(shipped: Revision) -> None:
    """
    The written ladders reach below and above every threshold that they are for.
    """
    assert shipped.contract is not None

    rungs: dict[str, list[float]] = {}
    for each in ladders(shipped.contract):
        assert each.rung is not None
        rungs.setdefault(each.name.partition(" at ")[0], []).append(each.rung)

    assert set(rungs) == {each.name for each in shipped.contract.alerts if not each.fires_on}
    assert all(min(found) < 1 < max(found) for found in rungs.values())


def test_the_history_is_part_of_the_table() -> None:
    """
    Pages and headroom stand beside both thresholds; a bar in a cell does not break the table.
    """
    row = HistoryRow(
        alert="A|B", base_pages=3, head_pages=1, maximum=2, p999=1.5, p99=1, base_threshold=0.1, head_threshold=0.5
    )

    text = markdown(Comparison(base="a", head="b", history=(row,), history_note="two days"))

    assert "| A\\|B | 3 | 1 | 2 | 1.5 | 1 | 0.1 | 0.5 |  |" in text
    assert "two days" in text


@pytest.mark.parametrize(
    ("change", "clause", "observed"),
    [
        (("group_wait: 10s", "group_wait: 30s"), "route/timing: group_wait", "30s"),
        (("receiver: default\n", "receiver: slack\n"), "route/default: severity none", "goes to slack"),
        (('severity="critical"', 'severity="urgent"'), "route/critical: severity critical", "goes to default"),
    ],
)
def test_routes_are_held_to_their_document(
    amtool: Path, bend: Callable[..., Revision], change: tuple[str, str], clause: str, observed: str
) -> None:
    """
    A timer, a default or a severity that moved in Alertmanager's file alone is a contradiction of its clause.
    """
    found = [each for each in contradictions(bend(change), (), amtool) if each.subject == clause]

    assert observed in found[0].observed


@pytest.mark.parametrize(
    ("change", "subject", "observed"),
    [
        (("- name: osmen_alerts", "- name: osmen_alerts\n    interval: 1m"), "group osmen_alerts interval", "1m"),
        (("- name: osmen_alerts", "- name: osmen_alerts\n    limit: 3"), "group osmen_alerts limit", "3"),
        (("- alert: HighMemoryUsage", "- alert: HighMemory"), "HighMemory", "an alert"),
        (("- alert: HighMemoryUsage", "- alert: ServiceDown"), "ServiceDown", "there again"),
        (("send_resolved: true", "send_resolved: false"), "receiver slack", "1 of that kind, send_resolved [False]"),
        (("slack_configs:", "webhook_configs:"), "receiver slack", "0 of that kind"),
        (("\nreceivers:", "\ninhibit_rules: [{equal: [cluster]}]\n\nreceivers:"), "inhibit_rules", "there"),
    ],
)
def test_what_stands_around_the_rules_is_held_too(
    bend: Callable[..., Revision], change: tuple[str, str], subject: str, observed: str
) -> None:
    """
    A group's pace, an alert twice or undocumented, a receiver that keeps the end to itself: each is a contradiction.
    """
    assert (subject, observed) in {(each.subject, each.observed) for each in contradictions(bend(change))}


def test_a_case_beside_the_rules_is_kept_or_named(
    promtool: Promtool, shipped: Revision, bend: Callable[..., Revision]
) -> None:
    """
    The shipped rules keep every case of theirs; a recorded rate over another range is named by its case and values.
    """
    cases = read_cases(ROOT / "rules/tests")

    kept = missed(promtool, shipped.files, cases)
    bent = unkept(
        missed(promtool, bend(("rate(osmen_requests_total[5m])", "rate(osmen_requests_total[1m])")).files, cases)
    )

    assert kept == ()
    assert len(cases) > 25
    assert any("recorded rates over a change of pace" in each.subject for each in bent)
    assert any("documented {} 4.053" in each.text() for each in bent)
