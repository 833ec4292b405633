"""The contract, judged: what it claims, and that no mistake in its documents passes silently."""

from __future__ import annotations

import copy
import json
import re
import shutil
from dataclasses import FrozenInstanceError, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.contract.load import DOCUMENTS, SHIPPED, load
from conformance.contract.model import Contract, Direction, Level, ReceiverKind
from conformance.contract.parse import ContractError, read
from conformance.selftest.judging import covered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def shipped() -> Contract:
    return load()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED, tmp_path / "documents")


@pytest.fixture
def refusal(folder: Path) -> Callable[..., str]:
    """
    The message after one text of a document was replaced; the line stays where it was.
    """

    def refuse(document: str, old: str, new: str) -> str:
        file = folder / document
        text = file.read_text()
        assert old in text, f"{document} has no {old!r}"
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(ContractError) as caught:
            load(folder)
        return str(caught.value)

    return refuse


def line_of(document: str, text: str) -> int:
    """
    The line of a shipped document on which a text begins.
    """
    whole = (SHIPPED / document).read_text()
    return whole.count("\n", 0, whole.index(text)) + 1


def test_shipped_contract_claims_exactly_what_is_judged(shipped: Contract) -> None:
    """
    Every clause id stands once, and the live tests give a verdict about each of them and about no other.
    """
    claimed = [clause.id for clause in shipped.clauses()]

    assert len(set(claimed)) == len(claimed)
    assert set(claimed) == covered()


def test_clauses_say_what_they_promise_and_where(shipped: Contract) -> None:
    """
    Each clause has a well-formed id, a level, a sentence and a place in the guide.
    """
    for clause in shipped.clauses():
        assert re.fullmatch(r"[a-z]+(/[A-Za-z0-9_.-]+)+", clause.id)
        assert re.fullmatch(r"guide § .+, lines? \d+(-\d+)?", clause.document)
        assert clause.promise
        assert clause.level in Level


def test_high_error_rate_is_recorded_in_both_forms(shipped: Contract) -> None:
    """
    The alert carries the guide's wording, the shipped one, and the reason for each difference.
    """
    alert = shipped.alert("HighErrorRate")

    assert alert.documented.expr == "rate(osmen_errors_total[5m]) > 0.1"
    assert alert.shipped.expr == "sum(rate(osmen_errors_total[5m])) > 0.1"
    assert alert.documented.annotations["description"] == "Error rate is {{ $value }} errors/sec"
    assert alert.shipped.annotations["description"] == 'Error rate is {{ printf "%.2f" $value }} errors/sec'
    assert [(each.part, each.line) for each in alert.corrections] == [("expr", 365), ("annotations.description", 371)]


def test_high_error_rate_has_a_measure_in_the_documents_unit(shipped: Contract) -> None:
    """
    Measure, direction, threshold and unit say when the alert speaks, and to whom.
    """
    alert = shipped.alert("HighErrorRate")

    assert alert.measure == "sum(rate(osmen_errors_total[5m]))"
    assert (alert.direction, alert.threshold, alert.unit) == (Direction.ABOVE, 0.1, "errors/s")
    assert (timedelta(minutes=5), "warning") == (alert.shipped.for_, alert.shipped.severity)
    assert (alert.receiver, alert.resolved_notification) == ("slack", True)


def test_timing_and_routing_are_the_documented_ones(shipped: Contract) -> None:
    """
    Intervals, grouping, routes and receivers are read as the guide has them; an unknown severity goes to the default.
    """
    timing = shipped.timing

    assert timing.scrape_interval == timing.evaluation_interval == timedelta(seconds=15)
    assert timing.group_wait == timing.group_interval == timedelta(seconds=10)
    assert (timedelta(hours=12), ("alertname", "cluster")) == (timing.repeat_interval, timing.group_by)
    assert [shipped.route(each).receiver for each in ("critical", "warning", "info")] == [
        "pagerduty",
        "slack",
        "default",
    ]
    assert shipped.receiver("slack").kind is ReceiverKind.SLACK
    assert all(receiver.send_resolved for receiver in shipped.receivers)


def test_promises_cannot_be_changed(shipped: Contract) -> None:
    """
    A contract that was read stays as it was read.
    """
    with pytest.raises(FrozenInstanceError):
        shipped.alert("HighErrorRate").threshold = 5.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.alert("HighErorRate"), "the contract has no alert 'HighErorRate'; did you mean 'HighErrorRate'"),
        (
            lambda c: c.target("mysql"),
            "the contract has no target 'mysql' (osmen_gateway, osmen_postgres, osmen_redis, docker)",
        ),
        (lambda c: c.target("Docker"), "the contract has no target 'Docker'; did you mean 'docker'"),
        (lambda c: c.receiver("pagerdutty"), "the contract has no receiver 'pagerdutty'; did you mean 'pagerduty'"),
        (
            lambda c: c.clause("alert/HighErrorRate/resolve"),
            "the contract has no clause 'alert/HighErrorRate/resolve'; did you mean 'alert/HighErrorRate/resolves'",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_near_miss(
    shipped: Contract, ask: Callable[[Contract], object], message: str
) -> None:
    """
    Asking for what the contract does not claim names what it does claim.
    """
    with pytest.raises(ContractError) as caught:
        ask(shipped)

    assert message == str(caught.value)


@dataclass(frozen=True, slots=True)
class Mistake:
    name: str
    document: str
    old: str
    new: str
    says: str
    # Where the message points, when that is not the line of the replaced text.
    at: str = ""


MISTAKES = (
    Mistake(
        "duration, spoken",
        "alerts.yaml",
        "for: 5m",
        "for: 5 min",
        "alerts[0].documented.for: '5 min' is not a duration (like 30s, 5m, 1h); did you mean '5m'",
    ),
    Mistake(
        "duration, hours and minutes",
        "routes.yaml",
        "repeat_interval: 12h",
        "repeat_interval: 1 hour 30 minutes",
        "timing.repeat_interval: '1 hour 30 minutes' is not a duration (like 30s, 5m, 1h); did you mean '1h30m'",
    ),
    Mistake(
        "failure, unknown",
        "routes.yaml",
        "- name: refuses",
        "- name: refuse",
        "failures[1].name: 'refuse' is not a failure kind (away, refuses, errors, hangs); did you mean 'refuses'",
    ),
    Mistake(
        "failure, twice",
        "routes.yaml",
        "- name: refuses",
        "- name: away",
        "failures[1].name: 'away' stands twice, first on line {- name: away}",
    ),
    Mistake(
        "duration, months",
        "routes.yaml",
        "repeat_interval: 12h",
        "repeat_interval: 2 months",
        "timing.repeat_interval: '2 months' is not a duration (like 30s, 5m, 1h)",
    ),
    Mistake(
        "duration without a unit",
        "targets.yaml",
        "scrape_interval: 15s",
        "scrape_interval: 15",
        "timing.scrape_interval: '15' is not a duration (like 30s, 5m, 1h): its unit is missing",
    ),
    Mistake(
        "duration, a list",
        "targets.yaml",
        "scrape_interval: 15s",
        "scrape_interval: [15s]",
        "timing.scrape_interval: expected a duration (like 30s, 5m, 1h), not a list",
    ),
    Mistake(
        "interval of zero",
        "targets.yaml",
        "evaluation_interval: 15s",
        "evaluation_interval: 0s",
        "timing.evaluation_interval: an interval cannot be zero",
    ),
    Mistake(
        "unknown key, near",
        "alerts.yaml",
        "    receiver: slack",
        "    receiver: slack\n    enviroment: {max_connections: 100}",
        "alerts[0].enviroment: unknown key; did you mean 'environment'",
        at="resolved_notification",
    ),
    Mistake(
        "a panel of two quantities with one name",
        "dashboards.yaml",
        "lines: [reads, writes]",
        "lines: [reads]",
        "panels[10].lines: expected 2 names (what was read, what was written), not ['reads']",
        at="lines: [reads, writes]",
    ),
    Mistake(
        "a panel of one quantity with names",
        "dashboards.yaml",
        "title: LLM API costs\n",
        "lines: [dollars]\n    title: LLM API costs\n",
        "panels[16].lines: cost is one quantity; several are shown by cost-projections, disk-operations, network-bytes",
        at="title: LLM API costs",
    ),
    Mistake(
        "unknown key, far",
        "routes.yaml",
        "    receiver: pagerduty",
        "    receiver: pagerduty\n    mute: night",
        "routes[0].mute: unknown key (document, receiver, severity)",
        at="document: guide § Alertmanager Configuration, lines 334-336",
    ),
    Mistake(
        "missing key, near",
        "alerts.yaml",
        "threshold: 0.1",
        "thresold: 0.1",
        "alerts[0]: missing key 'threshold'; is it meant by 'thresold' on line {threshold: 0.1}?",
        at="name: HighErrorRate",
    ),
    Mistake(
        "missing key, nothing near",
        "targets.yaml",
        "    level: MUST\n",
        "",
        "targets[0]: missing key 'level'",
        at="job: osmen_gateway",
    ),
    Mistake(
        "duplicate key",
        "alerts.yaml",
        "    unit: errors/s",
        "    unit: errors/s\n    unit: errors/s",
        "alerts[0].unit: stands twice, first on line {unit: errors/s}",
        at="    receiver: slack",
    ),
    Mistake(
        "key that is a boolean",
        "routes.yaml",
        "send_resolved: true",
        "on: true",
        "receivers[0]: the boolean 'on' cannot be a key here; a key is plain text",
    ),
    Mistake(
        "text that is a number",
        "targets.yaml",
        "promise: Prometheus scrapes cAdvisor at the documented interval, and no scrape fails",
        "promise: 5",
        "targets[3].promise: expected text, not the number '5'; put it in quotes",
    ),
    Mistake(
        "text that is a boolean",
        "alerts.yaml",
        "severity: warning",
        "severity: off",
        "alerts[0].documented.labels.severity: expected text, not the boolean 'off'; put it in quotes",
    ),
    Mistake(
        "text that is nothing", "targets.yaml", "job: docker", "job:", "targets[3].job: expected text, not nothing"
    ),
    Mistake("text that is empty", "targets.yaml", "job: docker", 'job: " "', "targets[3].job: is empty"),
    Mistake(
        "name that is no path",
        "targets.yaml",
        "job: docker",
        "job: docker/cadvisor",
        "targets[3].job: 'docker/cadvisor' is not a name (letters, digits, '_', '-' and '.', no digit first)",
    ),
    Mistake(
        "number that is text",
        "alerts.yaml",
        "threshold: 0.1",
        "threshold: a tenth",
        "alerts[0].threshold: expected a plain number (like 90 or 0.1), not the text 'a tenth'",
    ),
    Mistake(
        "number in quotes",
        "alerts.yaml",
        "threshold: 0.1",
        'threshold: "0.1"',
        "alerts[0].threshold: expected a plain number (like 90 or 0.1), not the text '0.1'",
    ),
    Mistake(
        "number in octal",
        "targets.yaml",
        "port: 9187",
        "port: 010",
        "targets[1].port: expected a plain number (like 90 or 0.1), not the number '010'",
    ),
    Mistake(
        "number in sixties",
        "targets.yaml",
        "port: 9187",
        "port: 15:30",
        "targets[1].port: expected a plain number (like 90 or 0.1), not the number '15:30'",
    ),
    Mistake(
        "number that is none",
        "alerts.yaml",
        "threshold: 0.1",
        "threshold: .nan",
        "alerts[0].threshold: expected a plain number (like 90 or 0.1), not the number '.nan'",
    ),
    Mistake(
        "port with a fraction",
        "targets.yaml",
        "port: 9187",
        "port: 9187.5",
        "targets[1].port: 9187.5 is not a whole number from 1 on",
    ),
    Mistake(
        "port out of range",
        "targets.yaml",
        "port: 9187",
        "port: 91870",
        "targets[1].port: 91870 is not a port (1 to 65535)",
    ),
    Mistake(
        "flag in other words",
        "routes.yaml",
        "send_resolved: true",
        "send_resolved: yes",
        "receivers[0].send_resolved: 'yes' is not true or false",
    ),
    Mistake(
        "unknown unit",
        "alerts.yaml",
        "unit: errors/s",
        "unit: error/s",
        "alerts[0].unit: 'error/s' is not a unit (errors/s, requests/s, s, bytes, connections, targets, ratio, "
        "requests, errors, executions, users, tokens, dollars, operations, "
        "executions/s, tokens/s, operations/s, transactions/s, bytes/s, cores); did you mean 'errors/s'",
    ),
    Mistake(
        "unknown level",
        "targets.yaml",
        "level: MUST",
        "level: must",
        "targets[0].level: 'must' is not a level (MUST, SHOULD); did you mean 'MUST'",
    ),
    Mistake(
        "unknown kind",
        "routes.yaml",
        "kind: slack",
        "kind: slak",
        "receivers[1].kind: 'slak' is not a receiver kind (slack, pagerduty, email); did you mean 'slack'",
    ),
    Mistake(
        "unknown direction",
        "alerts.yaml",
        'direction: ">"',
        'direction: "=="',
        "alerts[0].direction: '==' is not a direction (>, <)",
    ),
    Mistake(
        "place that is none",
        "targets.yaml",
        "document: guide § Prometheus Configuration, lines 72-74",
        "document: guide, line 72",
        "targets[3].document: 'guide, line 72' is not a place in a document (like 'guide § Alert Rules, line 365')",
    ),
    Mistake(
        "empty list",
        "routes.yaml",
        "group_by: [alertname, cluster]",
        "group_by: []",
        "timing.group_by: the list is empty: what promises nothing cannot be broken",
    ),
    Mistake(
        "list with a repetition",
        "routes.yaml",
        "group_by: [alertname, cluster]",
        "group_by: [cluster, cluster]",
        "timing.group_by: 'cluster' stands twice",
    ),
    Mistake(
        "list that is a mapping",
        "routes.yaml",
        "group_by: [alertname, cluster]",
        "group_by: {alertname: cluster}",
        "timing.group_by: expected a list, not a mapping",
    ),
    Mistake(
        "mapping that is a list",
        "routes.yaml",
        "default:\n",
        "default: []\nother:\n",
        "default: expected a mapping, not a list",
    ),
    Mistake(
        "label that is none",
        "alerts.yaml",
        "severity: warning",
        "severity: warning\n        on-call: team",
        "alerts[0].documented.labels.on-call: 'on-call' is not a label name (letters, digits and '_', no digit first)",
        at="annotations:",
    ),
    Mistake(
        "severity under another name",
        "alerts.yaml",
        "severity: warning",
        "severty: warning",
        "alerts[0].documented.labels: missing label 'severity'; is it meant by 'severty'",
    ),
    Mistake(
        "receiver unknown",
        "alerts.yaml",
        "receiver: slack",
        "receiver: slak",
        "alerts[0].receiver: there is no receiver 'slak'; did you mean 'slack'",
    ),
    Mistake(
        "receiver of another severity",
        "alerts.yaml",
        "receiver: slack",
        "receiver: pagerduty",
        "alerts[0].receiver: 'pagerduty', but severity 'warning' is routed to 'slack'",
    ),
    Mistake(
        "route to nowhere",
        "routes.yaml",
        "receiver: pagerduty",
        "receiver: pager",
        "routes[0].receiver: there is no receiver 'pager'; did you mean 'pagerduty'",
    ),
    Mistake(
        "endpoint of another kind",
        "routes.yaml",
        "endpoint: mailto:alerts@osmen.dev",
        "endpoint: alerts@osmen.dev",
        "receivers[0].endpoint: 'alerts@osmen.dev' is not an endpoint of email (like mailto:alerts@example.org)",
    ),
    Mistake(
        "name twice",
        "routes.yaml",
        "severity: warning",
        "severity: critical",
        "routes[1].severity: 'critical' stands twice, first on line {severity: critical}",
    ),
    Mistake(
        "threshold of another rule",
        "alerts.yaml",
        "threshold: 0.1",
        "threshold: 0.2",
        "alerts[0].threshold: 0.2 does not appear in the shipped 'sum(rate(osmen_errors_total[5m])) > 0.1'",
    ),
    Mistake(
        "direction of another rule",
        "alerts.yaml",
        'direction: ">"',
        'direction: "<"',
        "alerts[0].measure: with direction and threshold it is 'sum(rate(osmen_errors_total[5m])) < 0.1', "
        "but 'sum(rate(osmen_errors_total[5m])) > 0.1' ships",
        at="measure: sum(rate(osmen_errors_total[5m]))",
    ),
    Mistake(
        "measure of another rule",
        "alerts.yaml",
        "measure: sum(rate(osmen_errors_total[5m]))",
        "measure: sum(rate(osmen_errors_total[1m]))",
        "alerts[0].measure: with direction and threshold it is 'sum(rate(osmen_errors_total[1m])) > 0.1', "
        "but 'sum(rate(osmen_errors_total[5m])) > 0.1' ships",
    ),
    Mistake(
        "measure that compares",
        "alerts.yaml",
        "measure: sum(rate(osmen_errors_total[5m]))",
        "measure: sum(rate(osmen_errors_total[5m])) > 0.1",
        "alerts[0].measure: 'sum(rate(osmen_errors_total[5m])) > 0.1' compares; a measure is the quantity alone",
    ),
    Mistake(
        "measure that is no query",
        "alerts.yaml",
        "measure: sum(rate(osmen_errors_total[5m]))",
        "measure: sum(rate(osmen_errors_total[5m])",
        "alerts[0].measure: is not PromQL: line 1, column 4: '(' is not closed\n"
        "    sum(rate(osmen_errors_total[5m])\n       ^",
    ),
    Mistake(
        "shipped that is no query",
        "alerts.yaml",
        "expr: sum(rate(osmen_errors_total[5m])) > 0.1",
        "expr: sum(rate(osmen_errors_total[5m)) > 0.1",
        "alerts[0].shipped.expr: is not PromQL: line 1, column 31: ')' closes nothing\n"
        "    sum(rate(osmen_errors_total[5m)) > 0.1\n                                  ^",
    ),
    Mistake(
        "difference without a reason",
        "alerts.yaml",
        "for: 5m",
        "for: 2m",
        "alerts[0].shipped: 'for' differs from the documented form, and no correction says why",
        at="expr: sum",
    ),
    Mistake(
        "part that was dropped",
        "alerts.yaml",
        """        description: Error rate is {{ printf "%.2f" $value }} errors/sec\n""",
        "",
        "alerts[0].shipped: lacks 'annotations.description', which is documented",
        at="expr: sum",
    ),
    Mistake(
        "annotation that is empty",
        "alerts.yaml",
        "summary: High error rate detected",
        "summary: ''",
        "alerts[0].documented.annotations.summary: is empty",
    ),
    Mistake(
        "reason without a difference",
        "alerts.yaml",
        "part: annotations.description",
        "part: annotations.summary",
        "alerts[0].corrections[1].part: 'annotations.summary' does not differ from the documented form; "
        "did you mean 'annotations.description'",
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_told_with_its_place(refusal: Callable[..., str], mistake: Mistake) -> None:
    """
    Each kind of mistake is one sentence with file, line, path, the value and what was probably meant.
    """
    says = re.sub(r"on line \{(.+?)\}", lambda found: f"on line {line_of(mistake.document, found[1])}", mistake.says)
    line = line_of(mistake.document, mistake.at or mistake.old)

    assert f"documents/{mistake.document}:{line}: {says}" == refusal(mistake.document, mistake.old, mistake.new)


def test_a_resolved_notification_needs_a_receiver_that_sends_it(refusal: Callable[..., str]) -> None:
    """
    What an alert promises and what its receiver does are compared across documents.
    """
    endpoint = "    endpoint: https://hooks.slack.com/services\n    send_resolved: "
    said = refusal("routes.yaml", f"{endpoint}true", f"{endpoint}false")

    line = line_of("alerts.yaml", "resolved_notification")
    reason = "a resolved notification is promised, but receiver 'slack' sends none"
    assert f"documents/alerts.yaml:{line}: alerts[0].resolved_notification: {reason}" == said


def test_a_severity_without_a_route_is_told_with_the_near_miss(folder: Path) -> None:
    """
    A misspelt severity goes to the default receiver, as in Alertmanager; the promise of another receiver tells it.
    """
    file = folder / "alerts.yaml"
    file.write_text(file.read_text().replace("severity: warning", "severity: warnning"))

    with pytest.raises(ContractError) as caught:
        load(folder)

    reason = "'slack', but severity 'warnning' is routed to 'default' by default; did you mean 'warning'"
    assert reason == caught.value.reason


@pytest.mark.parametrize(
    ("shipped", "measure", "environment"),
    [
        ("0.1 < sum(rate(osmen_errors_total[5m]))", "sum(rate(osmen_errors_total[5m]))", ""),
        ("(sum(rate(osmen_errors_total[300s]))) > 1e-1", "(sum(rate(osmen_errors_total[5m])))", ""),
        ("sum(rate(osmen_errors_total[5m])) > 0.1 or pg_up == 0", "sum(rate(osmen_errors_total[5m]))", ""),
        ("sum(errors) / limit > 0.001", "sum(errors)", "environment: {limit: 100}"),
    ],
)
def test_a_shipped_form_may_say_the_same_in_other_words(
    folder: Path, shipped: str, measure: str, environment: str
) -> None:
    """
    Brackets, order, units of time, a further branch and a ratio to the stated environment are no contradiction.
    """
    file = folder / "alerts.yaml"
    text = file.read_text().replace("measure: sum(rate(osmen_errors_total[5m]))", f"measure: {measure}")
    text = text.replace("expr: sum(rate(osmen_errors_total[5m])) > 0.1", f"expr: {shipped}")
    file.write_text(text.replace("    receiver: slack", f"    {environment}\n    receiver: slack"))

    alert = load(folder).alert("HighErrorRate")

    assert (shipped, measure) == (alert.shipped.expr, alert.measure)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """
    A wrong path is told, never read as a contract without promises.
    """
    with pytest.raises(ContractError) as caught:
        load(tmp_path / "nowhere")

    assert str(caught.value) == f"{tmp_path / 'nowhere'}: the contract cannot be read: No such file or directory"


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """
    A contract without documents promises nothing, and so is none.
    """
    with pytest.raises(ContractError) as caught:
        load(tmp_path)

    documents = ", ".join(DOCUMENTS)
    assert str(caught.value) == f"{tmp_path}: the contract is an empty folder ({documents})"


def test_a_missing_document_is_an_error(folder: Path) -> None:
    """
    Every document is there, or the contract is not read.
    """
    (folder / "alerts.yaml").unlink()

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert str(caught.value) == f"{folder}: the contract lacks alerts.yaml"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alert.yaml", "; did you mean 'alerts.yaml'"),
        ("alerts.yml", "; did you mean 'alerts.yaml'"),
        ("notes.txt", f" ({', '.join(DOCUMENTS)})"),
        (".alerts.yaml.swp", "; did you mean 'alerts.yaml'"),
    ],
)
def test_a_stray_file_is_an_error(folder: Path, name: str, reason: str) -> None:
    """
    A file that is no document is told, with the document that it was probably meant to be.
    """
    (folder / "alerts.yaml").rename(folder / name)

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert f"documents/{name}: is not a document of a contract{reason}" == str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": is empty"),
        (b"# nothing but a remark\n", ": is empty"),
        (b"- timing\n", ":1: expected a mapping, not a list"),
        (b"timing\n", ":1: expected a mapping, not the text 'timing'"),
        (b"timing: {}\n---\ntiming: {}\n", ":2: is not YAML: but found another document"),
        (b"timing:\n\tscrape: 5\n", ":2: is not YAML: found character '\\t' that cannot start any token"),
        (b"timing: [\n", ":2: is not YAML: expected the node content, but found '<stream end>'"),
        (b"timing: *other\n", ":1: is not YAML: found undefined alias 'other'"),
        (b"timing: !!python/name:os.system\n", ":1: timing: expected a mapping, not the python/name:os.system ''"),
        (b"<<: {}\n", ":1: the merge '<<' cannot be a key here; a key is plain text"),
        (b"promise: \xff\n", ": is not UTF-8 text: invalid start byte at byte 9"),
        (b"[" * 5000, ": is nested too deeply to be a contract"),
    ],
)
def test_a_document_that_is_none_is_an_error(folder: Path, content: bytes, message: str) -> None:
    """
    What is not YAML, or not a mapping, is told with its line.
    """
    (folder / "targets.yaml").write_bytes(content)

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert f"documents/targets.yaml{message}" == str(caught.value)


def test_a_document_with_a_control_character_is_an_error(folder: Path) -> None:
    """
    What YAML's reader itself refuses is told in one line.
    """
    (folder / "targets.yaml").write_bytes(b"timing: \x00\n")

    with pytest.raises(ContractError, match=r"^documents/targets.yaml: is not YAML: .*special characters") as caught:
        load(folder)

    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_a_document_is_an_error(folder: Path) -> None:
    """
    A document that cannot be opened is told with the reason.
    """
    (folder / "routes.yaml").unlink()
    (folder / "routes.yaml").mkdir()

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert str(caught.value) == "documents/routes.yaml: cannot be read: Is a directory"


def test_an_unread_key_deep_below_is_an_error(tmp_path: Path) -> None:
    """
    Finishing a document finishes every mapping that was taken from it.
    """
    file = tmp_path / "some.yaml"
    file.write_text("outer:\n  - inner: {known: 1, knwon: 2}\n")
    document = read(file, label="some.yaml")
    inner = document.sequence("outer")[0].mapping("inner")
    inner.number("known")

    with pytest.raises(ContractError) as caught:
        document.finish()

    assert str(caught.value) == "some.yaml:2: outer[0].inner.knwon: unknown key (known)"


def _keys(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401  YAML is anything
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from _keys(value, (*path, key))
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from _keys(value, (*path, number))


TREES = {name: yaml.safe_load((SHIPPED / name).read_text()) for name in DOCUMENTS}
KEYS = [(name, path) for name in DOCUMENTS for path in _keys(TREES[name])]
# The names of an environment are free, and so is their spelling.
SPELT = [(name, path) for name, path in KEYS if "environment" not in path[:-1]]
# What may be left out: what the guide need not say. A correction may add an annotation that the guide lacks.
OPTIONAL = {"port", "defect", "window", "database", "value", "blind"}
OPTIONAL_OF_A_METRIC = {"labels", "ledger"}
# Most panels may not be empty.
OPTIONAL_OF_A_PANEL = {"quiet"}
ADDED = ("alerts", 0, "documented", "annotations", "description")
JUNK = st.one_of(st.none(), st.booleans(), st.just([]), st.just({}), st.just({"a": 1}), st.just([1]), st.just(""))


def _needed(name: str, path: tuple[Any, ...]) -> bool:
    """
    Whether a document without that key is refused.
    """
    of_its_own = {"metrics.yaml": OPTIONAL_OF_A_METRIC, "dashboards.yaml": OPTIONAL_OF_A_PANEL}
    optional = OPTIONAL | of_its_own.get(name, set())
    # What a correction adds may be absent from the documented form; a text lost there cannot be told from one added.
    added = path[-3:] == ("documented", "annotations", "description")
    return path[-1] not in optional and "environment" not in path and path != ADDED and not added


def _changed(name: str, path: tuple[Any, ...], change: Callable[[dict[str, Any], str], None]) -> str:
    tree = copy.deepcopy(TREES[name])
    inner = tree
    for step in path[:-1]:
        inner = inner[step]
    change(inner, path[-1])
    return json.dumps(tree, indent=1)  # JSON is YAML, and quickly written


def _refused(folder: Path, name: str, text: str) -> bool:
    for document in DOCUMENTS:
        shutil.copy(SHIPPED / document, folder / document)
    (folder / name).write_text(text)
    try:
        load(folder)
    except ContractError as error:
        return str(error).startswith("documents/")
    return False


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract") / "documents"
    folder.mkdir()
    return folder


@settings(max_examples=100)
@given(where=st.sampled_from(SPELT), letter=st.sampled_from("aeXz_9-"), at=st.integers(0, 40), drop=st.booleans())
def test_a_key_with_a_slip_of_the_pen_never_loads(
    scratch: Path, where: tuple[str, tuple[Any, ...]], letter: str, at: int, *, drop: bool
) -> None:
    """
    One letter more or one less in any key of any document is refused.
    """
    name, path = where
    key = path[-1]
    place = at % len(key)
    slipped = key[:place] + ("" if drop else letter) + key[place + drop :]

    def rename(inner: dict[str, Any], old: str) -> None:
        inner[slipped] = inner.pop(old)

    assert _refused(scratch, name, _changed(name, path, rename))


@settings(max_examples=60)
@given(where=st.sampled_from([(name, path) for name, path in KEYS if _needed(name, path)]))
def test_a_key_that_was_lost_never_loads(scratch: Path, where: tuple[str, tuple[Any, ...]]) -> None:
    """
    No key but an optional one can be left out.
    """
    name, path = where

    def lose(inner: dict[str, Any], key: str) -> None:
        del inner[key]

    assert _refused(scratch, name, _changed(name, path, lose))


@settings(max_examples=100)
@given(where=st.sampled_from(KEYS), junk=JUNK)
def test_a_value_of_another_kind_never_loads(scratch: Path, where: tuple[str, tuple[Any, ...]], junk: object) -> None:
    """
    Nothing, a flag, a list or a mapping in place of any other value is refused.
    """
    name, path = where

    def replace(inner: dict[str, Any], key: str) -> None:
        # A flag in place of a flag is of its kind; a number is not.
        inner[key] = 0 if isinstance(inner[key], bool) and isinstance(junk, bool) else junk

    assert _refused(scratch, name, _changed(name, path, replace))
