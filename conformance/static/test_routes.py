"""The shipped routes reach the guide's receivers, as Alertmanager's own tool reads them; no stack is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fixtures.stack.tempo import rewrite_alertmanager

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.static.conftest import Run


@pytest.fixture(params=[1, 60], ids=["tempo 1", "tempo 60"])
def configuration(request: pytest.FixtureRequest, rules_folder: Path, tmp_path: Path) -> Path:
    """Give the file that Alertmanager runs with, as shipped and at the main job's tempo."""
    path = tmp_path / "alertmanager.yml"
    shipped = (rules_folder / "alertmanager.yml").read_text()
    path.write_text(rewrite_alertmanager(shipped, request.param, "rules/alertmanager.yml"))
    return path


def test_the_configuration_loads(amtool: Path, run: Run, configuration: Path) -> None:
    """
    Alertmanager accepts the file.
    """
    checked = run([amtool, "check-config", configuration])

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "3 receivers" in checked.stdout


@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "pagerduty"), ("warning", "slack"), ("info", "default"), ("", "default")]
)
def test_a_severity_reaches_its_receiver(
    amtool: Path, run: Run, configuration: Path, severity: str, receiver: str
) -> None:
    """
    Critical pages, warnings go to the channel, and what is neither is not lost.
    """
    labels = ["alertname=Any", "cluster=osmen", *([f"severity={severity}"] if severity else [])]

    routed = run([amtool, "config", "routes", "test", f"--config.file={configuration}", *labels])

    assert routed.stdout.split() == [receiver]


def test_the_routes_keep_the_guides_timing(rules_folder: Path) -> None:
    """
    Grouping and the three delays are the guide's.
    """
    route = yaml.safe_load((rules_folder / "alertmanager.yml").read_text())["route"]

    assert [route[key] for key in ("group_wait", "group_interval", "repeat_interval")] == ["10s", "10s", "12h"]
    assert route["group_by"] == ["alertname", "cluster"]


def test_every_receiver_hears_the_end(rules_folder: Path) -> None:
    """
    Each receiver is told when an alert is over; Slack's default would keep silent.
    """
    receivers: list[dict[str, Any]] = yaml.safe_load((rules_folder / "alertmanager.yml").read_text())["receivers"]

    told = {
        receiver["name"]: [
            each["send_resolved"] for key, configs in receiver.items() if key != "name" for each in configs
        ]
        for receiver in receivers
    }

    assert told == {"default": [True], "slack": [True], "pagerduty": [True]}
