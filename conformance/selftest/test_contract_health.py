"""The contract about health and about agreement: what it claims, and that a mistake in it is told with its place."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import SHIPPED, load
from conformance.contract.model import Level, Signal
from conformance.contract.parse import ContractError

if TYPE_CHECKING:
    from pathlib import Path


def test_health_claims_each_service_each_probe_and_the_look_from_outside() -> None:
    """
    Five services, the status, two probes with what is decided by them, and uptime, which alone is no MUST.
    """
    contract = load()
    claimed = {clause.id: clause.level for clause in contract.clauses() if clause.signal is Signal.HEALTH}
    services = {f"health/{name}" for name in ("postgres", "redis", "qdrant", "langflow", "n8n")}

    probes = {"probe/live", "probe/live/restart", "probe/ready", "probe/ready/rotation"}

    assert set(claimed) == services | probes | {"health/status", "uptime/external"}
    assert [name for name, level in claimed.items() if level is Level.SHOULD] == ["uptime/external"]


def test_the_liveness_probe_needs_nothing_and_says_why_its_path_is_another() -> None:
    """
    The guide restarts a sound gateway when one of five dependencies is down; what ships differs, with the reason.
    """
    live, ready = load().probe("live"), load().probe("ready")

    assert (live.documented_path, live.shipped_path, live.needs) == ("/health", "/live", ())
    assert [(each.part, each.defect) for each in live.corrections] == [("path", "D4")]
    assert (ready.documented_path, ready.shipped_path, ready.needs) == ("/ready", "/ready", ("postgres", "redis"))


def test_the_agreement_of_signals_is_one_clause() -> None:
    """
    It stands for itself, among neither metrics nor logs nor traces.
    """
    assert load().clause("signals/agree").signal is Signal.AGREEMENT


@pytest.mark.parametrize(
    ("document", "old", "new", "said"),
    [
        (
            "health.yaml",
            "[postgres, redis]",
            "[postgres, redix]",
            "probes[1].needs: there is no service 'redix'; did you mean 'redis'",
        ),
        ("health.yaml", "    needs: [postgres, redis]\n", "", "probes[1]: missing key 'needs'"),
        ("health.yaml", "shipped_path: /live", "shipped_path: live", "'live' is not a path (like /health)"),
        ("health.yaml", "path: /health\n", "path: health\n", "path: 'health' is not a path (like /health)"),
        ("health.yaml", "name: redis", "name: postgres", "'postgres' stands twice"),
        ("health.yaml", "name: ready", "name: live", "'live' stands twice"),
        ("health.yaml", "period: 10s", "period: 0s", "an interval cannot be zero"),
        ("health.yaml", "timeout: 1s", "timeout: 0s", "an interval cannot be zero"),
        ("health.yaml", "failure_threshold: 3", "failure_threshold: 0", "failure_threshold"),
        ("health.yaml", "success_threshold: 1", "success_threshold: 2", "2, where a probe that restarts has 1"),
        ("health.yaml", "what: restart", "what: restarts", "did you mean 'restart'"),
        ("health.yaml", "shipped_path: /ready", "shipped_path: /go", "no correction says why"),
        ("health.yaml", "shipped_path: /live", "shipped_path: /health", "the path does not differ"),
        ("health.yaml", "healthy: healthy\n", "", "missing key 'healthy'"),
        ("agreement.yaml", "level: MUST", "level: MAST", "did you mean 'MUST'"),
        ("agreement.yaml", "signals:", "signal:", "signal"),
    ],
)
def test_a_mistake_is_told_where_it_stands(tmp_path: Path, document: str, old: str, new: str, said: str) -> None:
    """
    A wrong word in the documents is refused with its document, its line and what was probably meant.
    """
    folder = shutil.copytree(SHIPPED, tmp_path / "documents")
    text = (folder / document).read_text()
    assert old in text
    (folder / document).write_text(text.replace(old, new, 1))

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert str(caught.value).startswith(f"documents/{document}:")
    assert said in str(caught.value)
