"""Two runs compared by clause: a difference without a written reason is no parity."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import parity
from conformance.contract.load import load
from conformance.contract.model import Clause, Level, Signal
from conformance.judge.verdict import Status, Verdict
from conformance.report.record import RunFacts, build, encode


def stored(place: Path, statuses: dict[str, str]) -> Path:
    place.mkdir()
    clauses = [
        Clause(id=each, signal=Signal.ALERTS, level=Level.MUST, promise="promised", document="guide")
        for each in statuses
    ]
    verdicts = {
        clause: Verdict(clause=clause, status=Status(status), reason="seen", observations=1)
        for clause, status in statuses.items()
    }
    run = RunFacts(started="now", seconds=1, tempo=60, stack="native", subject="gateway", command="nox")
    made = build(run=run, components=(), clauses=clauses, verdicts=verdicts)
    (place / "report.json").write_text(encode(made), encoding="utf-8")
    return place


def test_equal_runs_are_at_parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The same statuses, whatever they are, differ nowhere.
    """
    statuses = {"target/docker": "holds", "alert/X/for": "broken"}
    first, second = stored(tmp_path / "a", statuses), stored(tmp_path / "b", statuses)

    assert parity.main([str(first), str(second)]) == 0
    assert "2 clauses agree, 0 differ" in capsys.readouterr().out


def test_a_difference_without_a_reason_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A clause that holds on one driver only, or that one run does not know, is told and fails.
    """
    first = stored(tmp_path / "a", {"target/docker": "holds", "log/format": "holds"})
    second = stored(tmp_path / "b", {"target/docker": "unsupported"})

    assert parity.main([str(first), str(second)]) == 1
    told = capsys.readouterr().out
    assert "target/docker  holds / unsupported: no reason is written" in told
    assert "log/format     holds / absent" in told


def test_a_written_reason_is_told_and_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What has its reason does not fail.
    """
    monkeypatch.setattr(parity, "EXPECTED", {"target/docker": "measured elsewhere"})
    first, second = (
        stored(tmp_path / "a", {"target/docker": "holds"}),
        stored(tmp_path / "b", {"target/docker": "unproven"}),
    )

    assert parity.main([str(first), str(second)]) == 0


def test_what_neither_run_could_prove_is_no_parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Two stacks that never stood agree in nothing; a clause that one of them proved is a difference of its own.
    """
    statuses = {"target/docker": "holds", "alert/X/for": "unproven", "alert/Y/for": "unproven"}
    first, second = stored(tmp_path / "a", statuses), stored(tmp_path / "b", statuses)

    assert parity.main([str(first), str(second)]) == 1
    told = capsys.readouterr().out
    assert "parity: 1 clauses agree, 0 differ" in told
    assert "unproven in both runs, and so not compared: alert/X/for and 1 more" in told


def test_a_run_is_not_compared_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The same folder twice would agree in everything.
    """
    first = stored(tmp_path / "a", {"target/docker": "holds"})

    assert parity.main([str(first), str(first)]) == 2
    assert "is the same run twice" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{}", '{"clauses": []}', '{"clauses": [{}]}', "[1]"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An empty or foreign file never counts as agreement.
    """
    good = stored(tmp_path / "a", {"target/docker": "holds"})
    bad = tmp_path / "b"
    bad.mkdir()
    (bad / "report.json").write_text(text, encoding="utf-8")

    assert parity.main([str(good), str(bad)]) == 2
    assert str(bad) in capsys.readouterr().err


def test_without_an_engine_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The native half of a comparison that cannot be made is not begun.
    """
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    assert parity.main([]) == 2


def test_each_written_reason_is_about_a_clause_of_the_contract() -> None:
    """
    A reason outlives no clause.
    """
    assert set(parity.EXPECTED) <= {clause.id for clause in load(None).clauses()}
