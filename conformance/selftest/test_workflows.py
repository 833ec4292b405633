"""What is ready for CI servers fits the suite: sessions and files that there are, a cache that follows its content."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.ci import CODE_QUALITY
from conformance.report.write import WRITERS
from fixtures.stack.cache import VARIABLE

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/conformance.yml"
WRITTEN = {*WRITERS, CODE_QUALITY, "events.ndjson", "logs/"}


def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def gitlab() -> dict[str, Any]:
    """The example of the README."""
    blocks = re.findall(
        r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (found,) = (block for block in blocks if "CI_PROJECT_DIR" in block)
    example: dict[str, Any] = yaml.safe_load(found)
    return example


def steps() -> list[dict[str, Any]]:
    (job,) = workflow()["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def using(action: str) -> dict[str, Any]:
    (found,) = (step for step in steps() if step.get("uses", "").startswith(f"{action}@"))
    return found


def commands() -> list[str]:
    (job,) = gitlab().values()
    return [*(step["run"] for step in steps() if "run" in step), *job["script"]]


def sessions() -> set[str]:
    """The sessions of the noxfile, read as text: nox itself is no dependency of the suite."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return {each.name for each in functions if any("session" in ast.unparse(mark) for mark in each.decorator_list)}


def test_every_session_that_is_called_exists() -> None:
    """
    A session that is renamed is renamed here too, and both the suite judged and the main job are run.
    """
    called = [
        re.findall(r"[\w-]+", each.partition("nox -s ")[2].partition(" -- ")[0])
        for each in commands()
        if "nox -s" in each
    ]
    names = {name for each in called for name in each}

    assert names <= sessions()
    assert {"tests", "conformance"} <= names


def test_a_failed_run_still_hands_over_its_report() -> None:
    """
    The files are uploaded whatever the run's result, and each of them is one that a run writes.
    """
    step = using("actions/upload-artifact")
    paths = step["with"]["path"].split()

    assert "cancelled" in step["if"] or "always" in step["if"]
    assert {path.removeprefix(".runs/ci/") for path in paths} <= WRITTEN
    assert {".runs/ci/report.html", ".runs/ci/junit.xml"} <= set(paths)
    # `latest` is a link, which not every server follows.
    assert [each for each in commands() if "conformance" in each and "--run-dir .runs/ci" not in each] == []


def test_the_cache_changes_with_all_that_the_binaries_are_made_of() -> None:
    """
    Its key is of versions and sums, its folder is the one that the suite uses, and what is saved is what is restored.
    """
    (job,) = workflow()["jobs"].values()
    restore, save = using("actions/cache/restore")["with"], using("actions/cache/save")["with"]
    patterns = re.findall(r"'([^']+)'", restore["key"])

    assert "fixtures/stack/versions.toml" in patterns
    assert {path.name for pattern in patterns for path in ROOT.glob(pattern)} >= {"versions.toml", "loki"}
    assert any(pattern.endswith("toolchain/**") for pattern in patterns)
    assert save["path"] == restore["path"] == ".cache/monitoring-conformance/bin"
    assert job["env"][VARIABLE].endswith("/.cache/monitoring-conformance")
    assert save["key"] == "${{ steps.binaries.outputs.cache-primary-key }}"


def test_the_versions_are_those_that_the_suite_needs() -> None:
    """
    Python as the project requires it, Go as the newest tool requires it.
    """
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = [
        re.findall(r"(?m)^go (\d+)\.(\d+)", each.read_text()) for each in ROOT.glob("fixtures/stack/toolchain/*/go.mod")
    ]
    newest = max((int(major), int(minor)) for ((major, minor),) in needed)

    assert f'requires-python = ">={using("actions/setup-python")["with"]["python-version"]}"' in project
    assert using("actions/setup-go")["with"]["go-version"] == f"{newest[0]}.{newest[1]}"


def test_a_stranger_s_pull_request_can_write_and_inject_nothing() -> None:
    """
    The job may read alone, and no text of an event is pasted into a command.
    """
    made = workflow()

    assert made["permissions"] == {"contents": "read"}
    # YAML 1.1 reads the key `on` as true.
    assert "pull_request_target" not in made[True]
    assert not [each for each in commands() if "${{" in each]
    (job,) = made["jobs"].values()
    assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize("kind", ["junit", "codequality"])
def test_gitlab_is_handed_what_it_shows(kind: str) -> None:
    """
    The example of the README keeps the report of a failed run too, JUnit and code quality as GitLab reads them.
    """
    (job,) = gitlab().values()
    artifacts = job["artifacts"]

    assert artifacts["when"] == "always"
    assert Path(artifacts["reports"][kind]).name in WRITTEN
    assert job["variables"][VARIABLE] == f"$CI_PROJECT_DIR/{job['cache']['paths'][0].removesuffix('/bin')}"
    assert job["cache"]["key"]["files"][0] == "fixtures/stack/versions.toml"
