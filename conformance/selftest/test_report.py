"""Reports: no verdict is lost, no value breaks a writer, no secret gets out, and the summary fits a screen."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import StringIO
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from conformance import watch
from conformance.contract.model import Clause, Level, Signal
from conformance.judge.verdict import Finding, Status, Verdict, broken, holds, unproven, unsupported
from conformance.report import markdown
from conformance.report.event import AttemptFailed, ClauseJudged, ComponentDied, EventLog, RunEnded
from conformance.report.progress import Progress
from conformance.report.record import (
    AttemptRow,
    ComponentRow,
    Report,
    ReportError,
    Result,
    RunFacts,
    ThresholdRow,
    TimeToFire,
    build,
    encode,
    gather,
    read,
)
from conformance.report.redact import Redactor
from conformance.report.text import LINES, summary
from conformance.report.write import WRITERS, write_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUN = RunFacts(
    started="2026-11-24T14:10:07.250Z",
    seconds=31.25,
    tempo=60,
    stack="native",
    subject="reference gateway",
    command="nox -s conformance",
    revision="abc1234",
)
STOOD = (
    ComponentRow(name="prometheus", version="3.5.0", source="go module", built_here=True, ready_seconds=0.4),
    ComponentRow(name="qdrant", version="stand-in", source="ours", stand_in=True, peak_rss_mib=12.3),
)
HOSTILE = (
    "</script></style><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "--> ]]> <!-- <b> &amp; &lt;",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08\x0b\x7f\x9b2J \u202eevil",
    "\ud800 lone \ufffe \uffff",
    "| a | b |\n| --- | --- |\n# heading\n```\n[click](javascript:alert(1)) ![i](x) @everyone ~~~",
    "…" * 3 + "漢字" * 200,
    "x" * 3_000_000,
)
SECRET = "p<ss/w&rd \"q'é+7=9"


def clause(name: str, level: Level = Level.MUST, signal: Signal = Signal.ALERTS) -> Clause:
    return Clause(id=name, signal=signal, level=level, promise=f"{name} is promised", document="guide § Alerts, line 3")


def report(
    *verdicts: Verdict, should: Sequence[str] = (), selected: bool = False, deaths: Sequence[str] = ()
) -> Report:
    clauses = [clause(each.clause, Level.SHOULD if each.clause in should else Level.MUST) for each in verdicts]
    return build(
        run=RUN, components=STOOD, clauses=clauses, verdicts=gather(verdicts), selected=selected, deaths=deaths
    )


def filled_with(text: str) -> Report:
    """
    A report that has `text` in every place that takes text.
    """
    finding = Finding(expected=text, observed=text, query=text, location=text, clients=text, because=text)
    verdicts = [broken(text, text, finding), unproven(f"{text}2", text), unsupported(f"{text}3", text)]
    fields = {"document": text, "again": text, "evidence": (text, f"javascript:{text}")}
    verdicts.append(Verdict(clause=f"{text}4", status=Status.HOLDS, reason=text, observations=2, **fields))  # type: ignore[arg-type]
    verdicts[0] = Verdict(
        clause=text,
        status=Status.BROKEN,
        reason=text,
        observations=1,
        findings=(finding,),
        **fields,  # type: ignore[arg-type]
    )
    signals = (Signal.ALERTS, Signal.LOGS, Signal.TRACES, Signal.HEALTH)
    return build(
        run=RunFacts(
            started=text,
            seconds=1,
            tempo=1,
            stack=text,
            subject=text,
            command=text,
            revision=text,
            attempts=(AttemptRow(program=text, tempo=30, reasons=(text, text)),),
        ),
        components=[ComponentRow(name=text, version=text, source=text, image=text, stand_in=True)],
        clauses=[
            Clause(id=each.clause, signal=signal, level=Level.MUST, promise=text, document=text)
            for each, signal in zip(verdicts, signals, strict=True)
        ],
        verdicts=gather(verdicts),
        thresholds=[
            ThresholdRow(
                alert=text,
                tier=text,
                documented=0.1,
                unit=text,
                branch=text,
                carrier=text,
                at_threshold=text,
                spread={"one label set": 1.0, "even": 2.0},
                time_to_fire=(TimeToFire(multiple=2, least=300, most=315),),
            )
        ],
        deaths=[text],
    )


def written(made: Report, folder: Path, *secrets: str) -> dict[str, str]:
    texts = {path.name: path.read_text(encoding="utf-8") for path in write_all(made, folder, Redactor(secrets))}
    texts["screen"] = summary(made, folder=".runs/latest", redactor=Redactor(secrets))
    return texts


@pytest.mark.parametrize(
    ("verdicts", "kwargs", "result"),
    [
        ((holds("a", observations=3),), {}, Result.CONFORMANT),
        ((), {}, Result.PARTIAL),
        ((broken("a", "never fired"), unproven("b", "x")), {}, Result.NONCONFORMANT),
        ((holds("a", observations=1), unproven("b", "no load")), {}, Result.PARTIAL),
        ((holds("a", observations=1), unsupported("b", "no cgroup")), {}, Result.PARTIAL),
        ((holds("a", observations=1), broken("b", "late")), {"should": ("b",)}, Result.CONFORMANT),
        ((holds("a", observations=1), unproven("b", "x")), {"should": ("b",)}, Result.CONFORMANT),
        ((holds("a", observations=1),), {"should": ("a",)}, Result.PARTIAL),
        ((holds("a", observations=1),), {"selected": True}, Result.PARTIAL),
        ((holds("a", observations=1),), {"deaths": ("loki",)}, Result.PARTIAL),
        ((broken("a", "never fired"),), {"selected": True}, Result.NONCONFORMANT),
        ((broken("a", "never fired"),), {"deaths": ("loki",)}, Result.NONCONFORMANT),
    ],
)
def test_only_a_whole_run_in_which_every_must_holds_is_conformant(
    verdicts: tuple[Verdict, ...], kwargs: dict[str, object], result: Result
) -> None:
    """
    A broken MUST makes a run nonconformant; a selection, a death, an empty contract or anything open makes it partial.
    """
    made = report(*verdicts, **kwargs)  # type: ignore[arg-type]

    assert (made.result, bool(made.run.why)) == (result, result is not Result.CONFORMANT)


def test_a_clause_without_a_verdict_is_unproven() -> None:
    """
    What nobody judged stands in the report as unproven, with the reason.
    """
    made = build(run=RUN, components=(), clauses=[clause("alert/A/for")], verdicts={})

    assert made.clauses[0].status is Status.UNPROVEN
    assert made.clauses[0].reason.startswith("was not judged: ")
    assert made.run.why == ("1 MUST clause is unproven: alert/A/for",)


@pytest.mark.parametrize(
    ("clauses", "verdicts", "message"),
    [
        (["alert/A/for"], {"alert/A/fro": broken("alert/A/fro", "x")}, r"about alert/A/fro, .* mean alert/A/for"),
        (["alert/A/for"], {"alert/A/for": broken("alert/B/for", "x")}, "filed under alert/A/for is about alert/B/for"),
        (["alert/A/for", "alert/A/for"], {}, "alert/A/for stands 2 times"),
    ],
)
def test_no_verdict_is_lost(clauses: list[str], verdicts: dict[str, Verdict], message: str) -> None:
    """
    A verdict about a clause that the contract does not have, or filed under another one, stops the report.
    """
    with pytest.raises(ReportError, match=message):
        build(run=RUN, components=(), clauses=[clause(name) for name in clauses], verdicts=verdicts)


def test_two_verdicts_about_one_clause_leave_the_worse_and_all_findings() -> None:
    """
    Whoever judges a clause twice cannot hide the worse outcome.
    """
    first, second = Finding(expected="1", observed="2"), Finding(expected="3", observed="4")
    one = gather([broken("a", "late", first), holds("a", observations=4), broken("a", "later", second)])["a"]

    assert (one.status, one.reason, one.observations) == (Status.BROKEN, "late", 6)
    assert one.findings == (first, second)


def test_the_stored_report_has_the_documented_shape(tmp_path: Path) -> None:
    """
    `report.json` is schema 1, and reading it gives the same report.
    """
    made = report(holds("a", observations=1), broken("b", "late", Finding(expected="x", observed="y")))
    (tmp_path / "report.json").write_text(encode(made), encoding="utf-8")
    data = json.loads(encode(made))

    assert list(data) == ["schema", "run", "components", "result", "totals", "clauses", "thresholds"]
    assert data["totals"] == {"holds": 1, "broken": 1, "unproven": 0, "unsupported": 0}
    assert list(data["clauses"][1]["findings"][0]) == ["expected", "observed", "query", "location"]
    assert set(data["clauses"][0]) == {
        "id", "signal", "level", "status", "promise", "document", "reason", "observations", "findings", "evidence",
    }  # fmt: skip
    assert read(tmp_path / "report.json") == made


@pytest.mark.parametrize("text", ["{}", "nonsense", '{"schema": 1}'])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    """
    Reading something else names the file.
    """
    (tmp_path / "report.json").write_text(text, encoding="utf-8")

    with pytest.raises(ReportError, match=r"report\.json: is not a report"):
        read(tmp_path / "report.json")


class Tags(HTMLParser):
    """
    What a browser would see: tags, attributes and whether every tag is closed.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in ("meta", "wbr", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_break_no_writer(tmp_path: Path, text: str) -> None:
    """
    Markup, terminal sequences, lone surrogates and megabytes stay text in every file.
    """
    texts = written(filled_with(text), tmp_path)
    page = Tags(texts["report.html"])
    suites = ET.fromstring(texts["junit.xml"])  # noqa: S314  written by us a moment ago

    assert set(texts) == {*WRITERS, "screen"}
    assert not page.seen & {"script", "img", "b"}
    assert not page.open
    assert not [name for name in page.attributes if name in ("src", "action") or name.startswith("on")]
    assert all(link.startswith(("#", "./")) for link in page.links)
    assert len(suites.findall("testsuite/testcase")) == 4
    assert json.loads(texts["report.json"])["totals"]["broken"] == 1
    for name, content in texts.items():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", content), name
        assert len(content) < 1_500_000, name
    attached = Tags(MarkdownIt("commonmark", {"html": True}).enable("table").render(texts["report.md"]))
    assert not attached.seen & {"script", "img", "b", "a", "hr"}
    assert len(re.findall("<th>", attached.page)) == 2 + 5 + 4 * 6 + 6 + 6
    assert len(texts["screen"].splitlines()) <= LINES


def outside_fences(text: str) -> str:
    return re.sub(r"^(`{3,})text$.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_a_fence_is_longer_than_every_fence_in_its_text() -> None:
    """
    A finding with a code fence in it does not end its own block in `report.md`.
    """
    made = report(broken("a", "late", Finding(expected="````", observed="\n```\n# mine")))

    assert "# mine" not in outside_fences(markdown.render(made))


def test_table_cells_hold_no_bar_and_no_mention() -> None:
    """
    A value cannot add a column to a table of `report.md`, nor call people where it is attached.
    """
    assert markdown.prose("a | b\n@team <i> osmen_errors_total") == r"a \| b &#64;team \<i\> osmen_errors_total"
    assert markdown.code("a|b`c") == r"`` a\|b`c ``"


FORMS = {
    "plain": SECRET,
    "url": quote(SECRET, safe=""),
    "url of paths": quote(SECRET),
    "url of forms": quote_plus(SECRET),
    "lower-case url": re.sub("%..", lambda found: found.group().lower(), quote(SECRET, safe="")),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 for urls": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "json": json.dumps(SECRET)[1:-1],
    "json in json": json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
    "json with slashes": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "repr": repr(SECRET)[1:-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_reaches_no_report_in_any_form(tmp_path: Path, form: str) -> None:
    """
    A secret is masked in every file and on screen, however it was encoded when it was observed.
    """
    texts = written(filled_with(f"see {FORMS[form]} here"), tmp_path, SECRET, "short")

    for name, content in texts.items():
        assert "***" in content or r"\*\*\*" in content, name
        assert not [known for known in FORMS.values() if known in content], name
        assert "rd" not in re.sub("(?i)[a-z]*rd[a-z]+|[a-z]+rd\\b", "", content), name


@pytest.mark.parametrize("user", ["u", "ab", "abc", "someone"])
def test_a_secret_inside_basic_credentials_is_masked(user: str) -> None:
    """
    `user:secret` in base64 shows no more than its ends, whatever the user's length.
    """
    token = base64.b64encode(f"{user}:{SECRET}:x".encode()).decode()
    masked = Redactor([SECRET]).text(f"Basic {token}")

    assert "***" in masked
    assert len(masked) < len("Basic ***") + 4 * (len(user) + 6) // 3 + 4


def test_a_secret_is_masked_before_anything_is_cut(tmp_path: Path) -> None:
    """
    Where a long text is cut inside a secret, not even its beginning remains.
    """
    secret = "s3cr3t-" + "k" * 40
    made = report(broken("a", "x" * 80 + secret, Finding(expected="y" * 19_990 + secret, observed="z")))

    assert not [name for name, content in written(made, tmp_path, secret).items() if "s3cr3t" in content]


def test_a_secret_in_a_key_is_masked_in_the_finished_text(tmp_path: Path) -> None:
    """
    What is no value of the report, such as the name of a measured spread, is masked too.
    """
    threshold = ThresholdRow(alert="A", tier="live", documented=1, unit="s", spread={"s3cr3t-key": 1, "even": 2})
    made = build(run=RUN, components=(), clauses=(), verdicts={}, thresholds=[threshold])

    assert "s3cr3t-key" in encode(made)
    assert not [name for name, content in written(made, tmp_path, "s3cr3t-key").items() if "s3cr3t" in content]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_one_line_of_an_event_and_of_the_screen(tmp_path: Path, text: str) -> None:
    """
    Whatever a component said when it died: one JSON object a line, and nothing on screen that moves the cursor.
    """
    log, out = EventLog(tmp_path / "events.ndjson"), StringIO()
    log.write(ComponentDied(component=text, detail=text))
    log.write(AttemptFailed(program=text, tempo=60, reasons=(text, text)))
    log.close()
    progress = Progress(out)
    progress.line(text)
    progress.cell("burst", text)
    written_ = (tmp_path / "events.ndjson").read_bytes()
    lines = written_.decode("utf-8").split("\n")

    assert [json.loads(line)["kind"] for line in lines[:-1]] == ["component-died", "attempt-failed"]
    assert len(written_) < 200_000
    assert len(out.getvalue().splitlines()) == len(out.getvalue().split("\n")) - 1 == 2
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", written_.decode() + out.getvalue())


def test_an_event_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    """
    A megabyte in an event is cut, and not in the middle of a secret.
    """
    log = EventLog(tmp_path / "events.ndjson", redactor=Redactor(["s3cr3t-" + "k" * 40]))
    log.write(ClauseJudged(clause="a", status=Status.BROKEN, observations=1, reason=f"{'y' * 19_990}s3cr3t-{'k' * 40}"))
    log.close()

    assert "s3cr3t" not in (tmp_path / "events.ndjson").read_text(encoding="utf-8")


def test_junit_counts_what_it_holds(tmp_path: Path) -> None:
    """
    One suite a signal; broken is a failure, unproven an error, unsupported skipped.
    """
    made = report(holds("a", observations=1), broken("b", "late"), unproven("c", "no load"), unsupported("d", "none"))
    top = ET.fromstring(written(made, tmp_path)["junit.xml"])  # noqa: S314  written by us a moment ago
    suite = top.find("testsuite")

    assert suite is not None
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "alerts", "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["error"], ["skipped"]]


@pytest.mark.parametrize("made", [report(), report(holds("a", observations=1), deaths=("loki",))])
def test_junit_is_never_all_green_for_a_run_that_is_no_pass(made: Report) -> None:
    """
    A CI server that reads nothing but `junit.xml` sees an error when the run is partial for a reason of its own.
    """
    top = ET.fromstring(WRITERS["junit.xml"](made))  # noqa: S314  written by us a moment ago

    assert top.get("errors") == "1"
    assert len(top.findall(".//error")) == 1


@pytest.mark.parametrize("width", [20, 80, 100, 300])
def test_the_summary_of_two_thousand_clauses_fits_a_screen(width: int) -> None:
    """
    However much is wrong, the result is on the first and the last line and the rest is pointed to.
    """
    signals = list(Signal)
    verdicts = [broken(f"alert/{n}/" + "name" * 30, f"reason {n} " * 40) for n in range(2000)]
    clauses = [clause(each.clause, signal=signals[n % 9]) for n, each in enumerate(verdicts)]
    stood = [ComponentRow(name=f"component-{n}", version="1.2.3", source="x") for n in range(60)]
    attempts = (AttemptRow(program="p", tempo=30, reasons=("x",)),)
    run = RunFacts(
        started="now", seconds=1, tempo=60, stack="native", subject="x" * 300, command="y", attempts=attempts
    )
    made = build(
        run=run, components=stood, clauses=clauses, verdicts=gather(verdicts), deaths=[f"c{n}" for n in range(9)]
    )
    lines = summary(made, folder=".runs/latest", width=width).splitlines()

    assert len(lines) <= LINES
    assert max(len(line) for line in lines[:-1]) <= min(max(width, 80), 120)
    assert "NONCONFORMANT" in lines[0]
    assert any(re.fullmatch(r"… \d+ clauses more in report\.md", line.strip()) for line in lines)
    assert lines[-1].startswith(
        "result: nonconformant (0 of 2000 clauses hold, 2000 broken) — .runs/latest/report.json"
    )


def test_the_summary_ends_with_the_result_and_the_file() -> None:
    """
    The last line on the screen says whether it may ship and where to read on; without colours nothing is coloured.
    """
    made = report(*[holds(f"alert/{n}/for", observations=1) for n in range(12)])
    text, coloured = summary(made, folder=".runs/x"), summary(made, folder=".runs/x", colour=True)

    assert text.splitlines()[-1] == "result: conformant (12 clauses hold) — .runs/x/report.json"
    assert "qdrant stand-in (stand-in)" in text
    assert "\x1b" not in text
    assert "\x1b[1;32mconformant" in coloured


def test_clauses_with_one_reason_share_a_line() -> None:
    """
    A component that died explains forty clauses once.
    """
    text = summary(report(*[unproven(f"alert/{n}", "loki died") for n in range(40)]), folder="f")

    assert [line for line in text.splitlines() if "loki died" in line] == [
        "unproven     alert/0 and 39 more: loki died"
    ]


def test_one_file_that_cannot_be_written_does_not_cost_the_others(tmp_path: Path) -> None:
    """
    The failure names the file; the others are whole and no half of one is left behind.
    """
    (tmp_path / "junit.xml" / "in the way").mkdir(parents=True)

    with pytest.raises(ReportError, match=r"junit\.xml: ") as raised:
        write_all(report(holds("a", observations=1)), tmp_path, Redactor())

    assert "report.json" not in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} == set(WRITERS)


def test_events_are_lines_of_json_without_secrets(tmp_path: Path) -> None:
    """
    Each event is one line with its time and kind, readable at once.
    """
    path = tmp_path / "events.ndjson"
    log = EventLog(path, redactor=Redactor([SECRET]), now=lambda: datetime(2026, 11, 24, 14, 10, 7, 250000, tzinfo=UTC))
    log.write(ClauseJudged(clause="alert/A/for", status=Status.BROKEN, reason=f"\n{SECRET}\x00", observations=3))
    log.write(RunEnded(result=Result.PARTIAL, seconds=2.5))
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    log.close()

    assert first == {
        "at": "2026-11-24T14:10:07.250Z",
        "kind": "clause-judged",
        "clause": "alert/A/for",
        "status": "broken",
        "reason": "\n***\ufffd",
        "observations": 3,
    }
    assert (second["kind"], second["result"]) == ("run-ended", "partial")


def test_progress_without_a_terminal_speaks_every_two_seconds_and_lets_every_cell_speak() -> None:
    """
    A log of a run stays readable: lines are stamped, cells take turns, nothing is redrawn.
    """
    now, out = 100.0, StringIO()
    progress = Progress(out, clock=lambda: now)
    for step in range(81):
        now = 100 + step / 10
        for cell in ("burst", "quiet", "slow"):
            progress.cell(cell, f"{step / 10:g} s gone")
    progress.line("over")

    assert out.getvalue().splitlines() == [
        "[  0.0 s] burst: 0 s gone",
        "[  2.0 s] quiet: 1.9 s gone",
        "[  4.0 s] slow: 3.9 s gone",
        "[  6.0 s] burst: 6 s gone",
        "[  8.0 s] quiet: 7.9 s gone",
        "[  8.0 s] over",
    ]


def test_progress_on_a_terminal_keeps_one_line_for_each_cell() -> None:
    """
    A cell's line changes in place and is gone at the end; what was said with `line` stays.
    """
    now, out = 0.0, StringIO()
    progress = Progress(out, live=True, clock=lambda: now)
    progress.cell("burst", "calm")
    now = 1.0
    progress.cell("burst", "\x1b[31mfault")
    progress.line("alert fired")
    progress.close()

    assert out.getvalue() == (
        "[  0.0 s] burst: calm\n"
        "\x1b[1F\x1b[J[  1.0 s] burst: fault\n"
        "\x1b[1F\x1b[J[  1.0 s] alert fired\n[  1.0 s] burst: fault\n"
        "\x1b[1F\x1b[J"
    )


def test_progress_takes_away_what_a_narrower_terminal_has_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two lines of 60 columns are four rows of a terminal that is 40 wide now; a screen of five rows shows three of ten.
    """
    now, out = 0.0, StringIO()
    monkeypatch.setenv("COLUMNS", "120")
    progress = Progress(out, live=True, clock=lambda: now)
    for name in ("a", "b"):
        now += 1.0
        progress.cell(name, "x" * 47)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "5")
    out.truncate(0)
    for n in range(8):
        now += 1.0
        progress.cell(f"c{n}", "y" * 200)
    last = out.getvalue().rpartition("\x1b[J")[2].splitlines()

    assert out.getvalue().lstrip("\0").startswith("\x1b[4F\x1b[J")
    assert len(last) == 3
    assert max(map(len, last)) <= 40
    assert last[-1].endswith("… 8 more cells")


def test_progress_wraps_what_must_be_read_and_cuts_what_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A lasting line goes on in the next, indented and masked; of a megabyte four lines are shown.
    """
    out = StringIO()
    monkeypatch.setenv("COLUMNS", "60")
    progress = Progress(out, live=True, clock=lambda: 0.0, redactor=Redactor(["s3cr3t-word"]))
    progress.line("loki died: " + "s3cr3t-word " * 12)
    progress.line("z " * 1_000_000)
    lines = out.getvalue().splitlines()

    assert [line.startswith("[  0.0 s] ") for line in lines] == [True, False, True, False, False, False]
    assert max(map(len, lines)) <= 60
    assert "s3cr3t" not in out.getvalue()


def test_the_loudest_alert_of_a_cell_is_shown() -> None:
    """
    Firing before pending, and how many others there are; what is no list of alerts is nothing.
    """
    pending = {"labels": {"alertname": "A"}, "state": "pending"}
    firing = {"labels": {"alertname": "B"}, "state": "firing"}

    assert [watch.shown(each) for each in ([], [pending], [pending, firing, firing])] == [
        "",
        "A pending",
        "B firing and 1 more",
    ]


def test_progress_on_a_broken_stream_fails_nothing() -> None:
    """
    A terminal that went away does not end the run.
    """
    out = StringIO()
    progress = Progress(out)
    out.close()

    progress.line("nobody reads this")
