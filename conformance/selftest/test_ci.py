"""What CI servers are told: each remark at the line where it is put right, and no value that becomes a command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import junitparser
import pytest
from markdown_it import MarkdownIt

from conformance import boards, ci
from conformance.contract.load import SHIPPED, load
from conformance.contract.model import slug
from conformance.contract.parse import cited_at
from conformance.judge.verdict import Finding, broken, holds, unproven, unsupported
from conformance.report import annotate, brief, junit
from conformance.report.annotate import MOST, Annotation, Kind, Place
from conformance.report.record import Origin, build, gather
from conformance.report.redact import Redactor
from conformance.selftest import junit_schema
from conformance.selftest.deviants import CATALOGUE
from conformance.selftest.test_plugin import ROOT, Ran, stored, suite
from conformance.selftest.test_report import HOSTILE, RUN, SECRET, STOOD, Tags, clause, filled_with, report

if TYPE_CHECKING:
    from conformance.report.record import Report

CONTRACT = load()


class Command(NamedTuple):
    """A line as GitHub's runner reads it."""

    kind: str
    properties: dict[str, str]
    message: str


def read(text: str) -> list[Command]:
    """Every line of `text` that the runner takes for a command, read as it does."""
    found = []
    for line in re.split(r"\r\n|\r|\n", text):
        if not line.lstrip().startswith("::"):
            continue
        head, _, data = line.lstrip()[2:].partition("::")
        kind, _, given = head.partition(" ")
        pairs = (each.partition("=") for each in given.split(",") if each)
        found.append(Command(kind, {name: _plain(value) for name, _, value in pairs}, _plain(data)))
    return found


def _plain(text: str) -> str:
    for escaped, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, char)
    return text


def nowhere(_: str) -> str | None:
    return None


def everywhere(name: str) -> str | None:
    return name


# --- annotations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "100 % of it",
        "%0A::error::mine",
        "a\r\nb\rc",
        "a, line=3",
        "::stop-commands::x",
        "C:\\x,y::z",
        "a%3Ab",
        *HOSTILE[:5],
    ],
)
def test_a_value_stays_text_in_an_annotation(text: str) -> None:
    """
    Whatever stands in title, path or message, one line comes of it, one command, and the same text on the other side.
    """
    made = Annotation(kind=Kind.ERROR, title=text, message=text, place=Place(path="a.yml", line=3))
    line = made.command()
    (command,) = read(line)

    assert len(line.splitlines()) == 1
    assert (command.kind, list(command.properties)) == ("error", ["file", "line", "title"])
    assert (command.properties["file"], command.properties["line"]) == ("a.yml", "3")
    assert not {":", ",", "\n", "\r"} & set(re.search("title=(.*?)::", line)[1])  # type: ignore[index]
    assert "%" not in text or _plain("%25") in command.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("alerts.yml:11:51: HighErrorRate", Place(path="alerts.yml", line=11, column=51)),
        ("dashboards/overview.json:7", Place(path="dashboards/overview.json", line=7)),
        ("rules/alertmanager.yml", Place(path="rules/alertmanager.yml")),
        ("rules/alertmanager.yml, receiver slack", Place(path="rules/alertmanager.yml")),
        ("at 12:00:01 UTC", None),
        ("span 3f2a", None),
        ("127.0.0.1:9090", None),
        ("", None),
    ],
)
def test_a_place_is_read_where_one_is_named(text: str, place: Place | None) -> None:
    """
    A path with line and column, with a line, or alone; an instant or an address is no place.
    """
    assert annotate.place(text, lambda name: name if name.endswith(("yml", "json")) else None) == place


def test_no_more_is_annotated_than_is_shown_and_the_rest_is_counted() -> None:
    """
    Of 30 broken clauses ten are annotated, and a notice counts the other twenty.
    """
    made = report(*(broken(f"alert/{n}", "late", Finding(expected="x", observed="y")) for n in range(30)))
    commands = read(ci.commands(made, nowhere, Redactor(), folder=".runs/latest"))

    assert [each.kind for each in commands] == ["error"] * MOST + ["notice"]
    assert commands[-1].message == "20 remarks more: see .runs/latest/report.md"


def test_what_is_unproven_warns_and_the_run_is_still_an_error() -> None:
    """
    A run that is no pass has an error; clauses without proof for one reason share a warning.
    """
    made = report(
        holds("a", observations=1), unproven("b", "no load"), unproven("c", "no load"), unsupported("d", "no")
    )
    commands = read(ci.commands(made, nowhere, Redactor(), folder="x"))

    assert [(each.kind, each.properties["title"]) for each in commands] == [
        ("error", "result: partial"),
        ("warning", "MUST unproven: b and 1 more"),
        ("warning", "MUST unsupported: d"),
    ]
    assert commands[0].message.startswith("2 MUST clauses are unproven: b")


def test_a_conformant_run_says_nothing() -> None:
    """
    No annotation where every clause holds.
    """
    assert ci.commands(report(holds("a", observations=1)), nowhere, Redactor(), folder="x") == ""


# --- places in the contract, the rules and the tests ------------------------------------------------------------------


@pytest.mark.parametrize("clause_id", [each.id for each in CONTRACT.clauses()])
def test_every_clause_knows_the_entry_that_promises_it(clause_id: str) -> None:
    """
    The line is that of the entry in the documents: the word that makes the clause's name stands in it or right behind.
    """
    found = cited_at(CONTRACT.clause(clause_id).document)
    assert found is not None
    name, line = found
    entry = (SHIPPED / name).read_text(encoding="utf-8").splitlines()[line - 2 : line + 1]
    words = {part for part in clause_id.split("/")[1:] if part not in ("type", "ledger")} or {clause_id.split("/")[1]}
    # A recording rule's name has colons, which no name of a file may have.
    words |= {text.partition("name: ")[2] for text in entry if slug(text.partition("name: ")[2]) in words}
    # Who hears of an alert is promised by its severity's route.
    words |= {"severity"} if clause_id.endswith("/delivered") else set()

    assert any(word in text for word in (*words, "level", "promise") for text in entry), entry
    if clause_id.startswith(
        ("alert/", "metric/osmen", "target/", "trace/port/", "log/query/", "dashboard/", "record/")
    ):
        assert any(re.search(rf"\b{re.escape(word)}\b", text) for word in words for text in entry), entry


def test_a_text_that_cites_nothing_has_no_place() -> None:
    """
    A contract that was not read from documents is no error.
    """
    assert cited_at("guide § Alerts") is None


@pytest.fixture(scope="module")
def on_github(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """
    The recorded run with a threshold of 0.13 where 0.1 is documented, as GitHub runs it.
    """
    directory = tmp_path_factory.mktemp("github")
    (bent,) = (each for each in CATALOGUE if each.name == "threshold 0.13")
    page = directory / "page.md"
    page.write_text("what another program wrote\n", encoding="utf-8")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page), "GITHUB_WORKSPACE": str(ROOT)}
    return suite(directory, "--timeline", str(stored(directory, bent)), environ=environ), page


def test_a_broken_rule_is_annotated_at_its_line_and_a_broken_promise_at_its_own(on_github: tuple[Ran, Path]) -> None:
    """
    What differs in the rule file stands at the rule's expression; what was measured otherwise at the contract's entry.
    """
    ran, _ = on_github
    commands = {each.properties["title"]: each for each in read(ran.said)}
    rules = (ROOT / "rules/alerts.yml").read_text(encoding="utf-8").splitlines()
    alerts = (SHIPPED / "alerts.yaml").read_text(encoding="utf-8").splitlines()
    shipped = commands["MUST broken: alert/HighErrorRate/shipped"].properties
    fires = commands["MUST broken: alert/HighErrorRate/fires-above"].properties

    assert shipped["file"] == "rules/alerts.yml"
    assert "> 0.1" in rules[int(shipped["line"]) - 1]
    assert fires["file"] == "conformance/contract/documents/alerts.yaml"
    assert "name: HighErrorRate" in alerts[int(fires["line"]) - 1]
    assert ran.said.rstrip().splitlines()[-1].startswith("result: nonconformant")


def test_the_page_of_a_job_gets_the_short_report(on_github: tuple[Ran, Path]) -> None:
    """
    It is added to what stands there.
    """
    ran, page = on_github
    text = page.read_text(encoding="utf-8")

    assert text.startswith("what another program wrote\n### ❌ Monitoring: nonconformant")
    assert (ran.directory / "summary.md").read_text(encoding="utf-8") in text


def test_gitlab_gets_the_same_places(on_github: tuple[Ran, Path]) -> None:
    """
    `codequality.json` names path and line, each remark with a print of its own that the next run repeats.
    """
    ran, _ = on_github
    rows: list[dict[str, Any]] = json.loads((ran.directory / "codequality.json").read_text(encoding="utf-8"))
    places = {row["check_name"]: (row["location"]["path"], row["location"]["lines"]["begin"]) for row in rows}

    assert places["alert/HighErrorRate/shipped"][0] == "rules/alerts.yml"
    assert places["alert/HighErrorRate/fires-above"][0] == "conformance/contract/documents/alerts.yaml"
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    assert {row["severity"] for row in rows} <= {"major", "minor"}


def test_a_run_elsewhere_prints_no_command(tmp_path: Path) -> None:
    """
    Only GitHub's runner gets its commands.
    """
    (bent,) = (each for each in CATALOGUE if each.name == "threshold 0.13")
    ran = suite(tmp_path, "--timeline", str(stored(tmp_path, bent)))

    assert read(ran.said) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "line_with"),
    [
        ("alerts.yaml", "threshold: 0.1\n", "threshold: lots\n", "lots"),
        ("routes.yaml", "kind: email", "kind: fax", "fax"),
    ],
)
def test_a_mistake_in_the_contract_is_annotated_at_its_line(
    file: str, old: str, new: str, line_with: str, tmp_path: Path
) -> None:
    """
    A contract that cannot be read stops the run, and the annotation stands where the mistake does.
    """
    folder = tmp_path / "mine"
    folder.mkdir()
    for each in SHIPPED.glob("*.yaml"):
        text = each.read_text(encoding="utf-8")
        (folder / each.name).write_text(text.replace(old, new, 1) if each.name == file else text, encoding="utf-8")
    ran = suite(
        tmp_path, "--contract", str(folder), environ={"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
    )
    (command,) = read(ran.said)

    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert command.properties["file"] == f"mine/{file}"
    line = (folder / file).read_text(encoding="utf-8").splitlines()[int(command.properties["line"]) - 1]
    assert line_with in line


def test_a_failed_static_test_is_annotated_where_its_text_points() -> None:
    """
    A finding in a dashboard is annotated at the dashboard's line, a failure without a place at the test.
    """
    find = ci.find_below(ROOT / "rules", root=ROOT)
    text = "test_x.py:3: in test_x\nE   AssertionError: rules/alerts.yml:11:51: error x: documented > 0.1\n"
    first, second = read(
        ci.failed([("test_x", "conftest.py:3", text), ("test_y", "conftest.py:1", "E   assert 1 == 2")], find)
    )

    assert first.properties == {"file": "rules/alerts.yml", "line": "11", "col": "51", "title": "test_x"}
    assert (second.properties["file"], second.message) == ("conftest.py", "assert 1 == 2")


def test_a_broken_dashboard_is_annotated_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A query of a metric that nothing exposes: `nox -s dashboards` annotates the file and the line of the query.
    """
    for each in (ROOT / "dashboards").glob("*.json"):
        text = each.read_text(encoding="utf-8")
        (tmp_path / each.name).write_text(text.replace("osmen_errors_total", "osmen_error_total"), encoding="utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)
    code = boards.main([str(tmp_path)])
    errors = [each for each in read(capsys.readouterr().out) if each.kind == "error"]
    first = errors[0].properties

    assert code == 1
    assert "unknown-metric" in errors[0].message
    lines = (tmp_path / first["file"]).read_text(encoding="utf-8").splitlines()
    assert "osmen_error_total" in lines[int(first["line"]) - 1]


def test_a_threshold_that_contradicts_its_document_is_annotated_at_its_line() -> None:
    """
    Findings of the simulated tier carry the line of the rule; a warning warns, a note is none.
    """
    find = ci.find_below(ROOT / "rules", root=ROOT)
    texts = [
        "alerts.yml:11:51: HighErrorRate: documented > 0.1, effective > 0.5\n   expr: …",
        "alerts.yml:12:3: warning range: below two scrapes",
        "alerts.yml:13:3: note range: fine",
        "HighErrorRate: says no place",
    ]
    commands = read(ci.findings(texts, find, title="thresholds", rest="x"))

    assert [(each.kind, each.properties["file"], each.properties["line"]) for each in commands] == [
        ("error", "rules/alerts.yml", "11"),
        ("warning", "rules/alerts.yml", "12"),
    ]


# --- JUnit ------------------------------------------------------------------------------------------------------------


def mixed() -> Report:
    verdicts = [
        holds("a", observations=1),
        broken("b", "late", Finding(expected="x", observed="y")),
        unproven("c", "no load"),
        unsupported("d", "no cgroup"),
    ]
    tests = {each.clause: Origin(place="conformance/scenarios/test_a.py:7", seconds=0.25) for each in verdicts}
    return build(
        run=RUN,
        components=STOOD,
        clauses=[clause(each.clause) for each in verdicts],
        verdicts=gather(verdicts),
        tests=tests,
    )


@pytest.mark.parametrize("made", [mixed(), report(), *(filled_with(text) for text in HOSTILE[:7])])
def test_junit_keeps_to_what_jenkins_accepts(made: Report) -> None:
    """
    Every file that is written passes the schema, whatever stands in the report.
    """
    assert junit_schema.errors(junit.render(made)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"<testcase ", '<testcase file="x.py" '),
        (r"<testcase ", '<testcase line="7" '),
        (r'(<testsuite [^>]*) failures="1"', r"\1"),
        (r'time="1\.000"', 'time="1 s"'),
        (r"(<testsuite [^>]*>)", r"\1<case/>"),
        (r"(<testsuite [^>]*>)", r"\1<failure/>"),
    ],
)
def test_the_schema_refuses_what_jenkins_refuses(old: str, new: str) -> None:
    """
    The look at the file can fail: an attribute or element that is not known, one that is missing, a time in words.
    """
    text = junit.render(mixed())
    bent = re.sub(old, new, text)

    assert bent != text
    assert junit_schema.errors(bent)


def test_a_reader_of_junit_finds_suite_case_outcome_time_and_file() -> None:
    """
    One suite a signal with its file and time, and a case says in its text where its test stands.
    """
    (suite_,) = junitparser.JUnitXml.fromstring(junit.render(mixed()).encode())
    cases = {case.name: case for case in suite_}

    assert (suite_.name, suite_.tests, suite_.failures, suite_.errors, suite_.skipped) == ("alerts", 4, 1, 1, 1)
    assert (suite_.time, suite_._elem.get("file")) == (1.0, "conformance/scenarios/test_a.py")
    assert [type(each.result[0]).__name__ if each.result else "" for each in cases.values()] == [
        "", "Failure", "Error", "Skipped",
    ]  # fmt: skip
    assert cases["a"].time == 0.25
    assert "test      conformance/scenarios/test_a.py:7" in cases["b"].result[0].text


def test_the_run_itself_tells_where_its_tests_stand(on_github: tuple[Ran, Path]) -> None:
    """
    Each clause of a real run has the line of its test and of its promise.
    """
    ran, _ = on_github
    rows = {row["id"]: row for row in ran.report()["clauses"]}
    file, _, line = rows["alert/HighErrorRate/for"]["test"].rpartition(":")

    assert file == "conformance/scenarios/test_error_rate.py"
    assert "def test_" in (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line)] or int(line) > 1
    assert all("source" in row and "test" in row for row in rows.values())
    assert junit_schema.errors((ran.directory / "junit.xml").read_text(encoding="utf-8")) == []


# --- the short report -----------------------------------------------------------------------------------------------


def test_the_short_report_folds_each_reason_and_fits_a_comment() -> None:
    """
    2 000 broken clauses: the first stand folded, the others are counted, and GitHub takes the whole.
    """
    made = report(
        *(broken(f"alert/{n}", "late " * 99, Finding(expected="x" * 9000, observed="y")) for n in range(2000))
    )
    text = brief.render(made)

    assert len(text) < 65_536
    assert text.count("<details>") == text.count("</details>") > 20
    assert re.search(r"… \d+ clauses more in `report.md`", text)
    assert "<code>alert/1999</code>" not in text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_text_in_every_output_for_servers(text: str, tmp_path: Path) -> None:
    """
    Markup, mentions, terminal sequences, megabytes: the short report has no element but its own, a command is a line.
    """
    made = filled_with(text)
    page = tmp_path / "page.md"
    ci.write(made, tmp_path, everywhere, Redactor(), {"GITHUB_STEP_SUMMARY": str(page)})
    said = ci.commands(made, everywhere, Redactor(), folder="x")
    shown = page.read_text(encoding="utf-8")
    seen = Tags(MarkdownIt("commonmark", {"html": True}).enable("table").render(shown))

    assert not seen.seen - {"details", "summary", "code", "pre", "p", "h3", "ul", "li", "table", "thead", "tbody", "tr",
                            "th", "td"}  # fmt: skip
    assert not seen.open
    assert len(shown) < 65_536
    assert [each.kind for each in read(said)] == ["error", "warning", "warning"]
    assert all(set(each.properties) <= {"file", "line", "col", "title"} for each in read(said))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown + said)
    assert json.loads((tmp_path / "codequality.json").read_text(encoding="utf-8")) is not None


def test_no_server_is_told_a_secret(tmp_path: Path) -> None:
    """
    Annotation, page and code quality are masked like every report.
    """
    made = filled_with(f"see {SECRET} here")
    page = tmp_path / "page.md"
    ci.write(made, tmp_path, everywhere, Redactor([SECRET]), {"GITHUB_STEP_SUMMARY": str(page)})
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()]
    texts.append(ci.commands(made, everywhere, Redactor([SECRET]), folder="x"))

    assert not [text for text in texts if "w&rd" in text or SECRET in text]


def test_a_page_that_would_be_too_long_is_left_as_it_is(tmp_path: Path) -> None:
    """
    GitHub shows nothing of a page beyond a MiB: what stands there stays.
    """
    page = tmp_path / "page.md"
    page.write_text("x" * (ci.PAGE - 10), encoding="utf-8")
    ci.add_to_page(page, "more than ten bytes")

    assert page.stat().st_size == ci.PAGE - 10


def test_a_server_that_says_no_is_none() -> None:
    """
    GitHub sets its variable to true; unset, empty or false is somebody's own machine.
    """
    said = [ci.on_github(each) for each in ({"GITHUB_ACTIONS": "true"}, {"GITHUB_ACTIONS": "false"}, {})]

    assert said == [True, False, False]
