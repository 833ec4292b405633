"""The shipped rules load, say what the guide says, and behave at the inputs that matter; no stack is needed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from fixtures.language import rules as language
from fixtures.stack.tempo import rewrite_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.static.conftest import Run

_RULES = Path(__file__).parents[2] / "rules"
_FILES = ("alerts.yml", "recording.yml")
_CASES = [case["name"] for case in yaml.safe_load((_RULES / "tests/alerts.test.yml").read_text())["tests"]]
# The guide's words (§ Alert Rules), written down by hand.
_LITERAL = {
    "HighErrorRate": "rate(osmen_errors_total[5m]) > 0.1",
    "ServiceDown": 'up{job="osmen_gateway"} == 0',
    "HighResponseTime": "histogram_quantile(0.95, rate(osmen_request_duration_seconds_bucket[5m])) > 10",
    "HighMemoryUsage": 'container_memory_usage_bytes{name="osmen-gateway"}'
    ' / container_spec_memory_limit_bytes{name="osmen-gateway"} > 0.9',
    "DatabasePoolExhausted": "pg_stat_activity_count > 90",
}


def _judge(promtool: Path, run: Run, tests: Path, junit: Path) -> Mapping[str, str]:
    ran = run([promtool, "test", "rules", f"--junit={junit}", tests])
    assert junit.exists(), ran.stderr
    # The file was written a moment ago by a tool that we started.
    cases = ET.parse(junit).getroot().iter("testcase")  # noqa: S314
    return {case.attrib["name"]: case.findtext("failure", default="") for case in cases}


@pytest.fixture(scope="module")
def cases(promtool: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Run every case in one process; of each, what it missed."""
    return _judge(promtool, run, _RULES / "tests/alerts.test.yml", tmp_path_factory.mktemp("rules") / "junit.xml")


@pytest.mark.parametrize("name", _FILES)
def test_the_rules_load(promtool: Path, run: Run, rules_folder: Path, name: str) -> None:
    """
    Prometheus accepts the file as it ships.
    """
    checked = run([promtool, "check", "rules", rules_folder / name])

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("tempo", [1, 30, 60, 120])
@pytest.mark.parametrize("name", _FILES)
def test_the_rules_load_at_every_tempo(promtool: Path, run: Run, tmp_path: Path, name: str, tempo: int) -> None:
    """
    Prometheus accepts what a tempo makes of the file.
    """
    (tmp_path / name).write_text(rewrite_rules((_RULES / name).read_text(), tempo=tempo, file=name))

    checked = run([promtool, "check", "rules", tmp_path / name])

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_configuration_finds_every_rule(promtool: Path, run: Run, rules_folder: Path, tmp_path: Path) -> None:
    """
    A configuration that names the files loads nine rules; a file that is missing is no silence.
    """
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"rule_files": [str(rules_folder / name) for name in _FILES]}))
    found = run([promtool, "check", "config", config])
    config.write_text(yaml.safe_dump({"rule_files": [str(rules_folder / "alert.yml")]}))
    missed = run([promtool, "check", "config", config])

    assert found.returncode == 0, found.stderr
    assert "5 rules found" in found.stdout
    assert "4 rules found" in found.stdout
    assert missed.returncode != 0


@pytest.mark.parametrize("name", _FILES)
def test_every_expression_is_measurable(rules_folder: Path, name: str) -> None:
    """
    No shipped expression lies beyond what the suite can rewrite and measure.
    """
    loaded = language.load((rules_folder / name).read_text(), file=f"rules/{name}")

    assert loaded.rules
    assert loaded.unmeasurable() == ()


def test_the_five_alerts_keep_the_guides_words(rules_folder: Path) -> None:
    """
    Names, delays, severities and summaries are the guide's.
    """
    loaded = language.load((rules_folder / "alerts.yml").read_text(), file="rules/alerts.yml")

    kept = {
        rule.name: (language.format_duration(rule.for_), rule.labels["severity"], rule.annotations["summary"])
        for rule in loaded.rules
        if isinstance(rule, language.AlertRule)
    }

    assert kept == {
        "HighErrorRate": ("5m", "warning", "High error rate detected"),
        "ServiceDown": ("1m", "critical", "OsMEN Gateway is down"),
        "HighResponseTime": ("5m", "warning", "High response time"),
        "HighMemoryUsage": ("5m", "warning", "High memory usage"),
        "DatabasePoolExhausted": ("5m", "critical", "Database connection pool nearly exhausted"),
    }


@pytest.mark.parametrize("name", _CASES)
def test_the_rules_behave(cases: Mapping[str, str], name: str) -> None:
    """
    The shipped rule and the guide's literal one do at this input what the case says.
    """
    assert cases[name] == ""


@pytest.mark.parametrize("alert", _LITERAL)
def test_the_guides_literal_rule_is_caught(promtool: Path, run: Run, tmp_path: Path, alert: str) -> None:
    """
    Put the guide's own expression back and some case fails: the cases prove the correction.
    """
    for folder in ("tests", "."):
        (tmp_path / folder).mkdir(exist_ok=True)
        for file in (_RULES / folder).glob("*.yml"):
            (tmp_path / folder / file.name).write_text(file.read_text())
    loaded = language.load((_RULES / "alerts.yml").read_text(), file="rules/alerts.yml")
    place = loaded.alert(alert).places["expr"]
    (tmp_path / "alerts.yml").write_text(
        loaded.edited([language.edit_whole(loaded.source, place, _LITERAL[alert])]),
    )

    missed = _judge(promtool, run, tmp_path / "tests/alerts.test.yml", tmp_path / "junit.xml")

    assert any(alert in reason for reason in missed.values())
