"""The map's import table, enforced: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CORE, LANGUAGE, STACK, LOAD, FAULTS = (
    "fixtures.core",
    "fixtures.language",
    "fixtures.stack",
    "fixtures.load",
    "fixtures.faults",
)
CONTRACT, TIMELINE, OBSERVE, JUDGE = (
    "conformance.contract",
    "conformance.timeline",
    "conformance.observe",
    "conformance.judge",
)
SIMULATE, REPORT = "conformance.simulate", "conformance.report"

MAY_IMPORT = {
    CORE: set(),
    LANGUAGE: set(),
    "fixtures.ballast": set(),
    "fixtures.gateway": set(),
    "fixtures.upstream": set(),
    "fixtures.receivers": set(),
    "fixtures.neighbours": set(),
    "fixtures.spans": {CORE},
    LOAD: {CORE},
    STACK: {CORE, LANGUAGE},
    FAULTS: {CORE, STACK, LOAD},
    CONTRACT: {LANGUAGE},
    TIMELINE: {CORE, LOAD},
    # A dashboard's query is filled before it can be asked.
    OBSERVE: {TIMELINE, CORE, LOAD, LANGUAGE},
    # Of the core and the load a judge reads values alone: how an instant is written, what a ledger is.
    JUDGE: {CONTRACT, TIMELINE, LANGUAGE, CORE, LOAD},
    SIMULATE: {CONTRACT, LANGUAGE, FAULTS, LOAD},
    REPORT: {CONTRACT, JUDGE},
}
"""Every package of ours; a folder that is not named here fails the test."""

NO_IO = {"time", "socket", "httpx", "subprocess", "random", "datetime", "asyncio", "requests", "aiohttp"}
"""What a judge must not import: its verdict depends on the timeline alone."""


def package_of(module: str) -> str | None:
    """`fixtures.stack.tempo` belongs to `fixtures.stack`; None for what is not ours."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in ("fixtures", "conformance") and len(parts) > 1 else None


def imports(path: Path) -> set[str]:
    """Every module that a file imports, those for type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def breaches(package: str, allowed: set[str], root: Path = ROOT) -> list[str]:
    """Each import of one package that the table does not allow, with its file."""
    wrong = []
    for path in sorted((root / package.replace(".", "/")).rglob("*.py")):
        for module in sorted(imports(path)):
            other = package_of(module)
            if other is not None and other != package and other not in allowed:
                wrong.append(f"{path.relative_to(root)} imports {module}")
    return wrong


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_the_map_allows(package: str) -> None:
    """
    No package reaches beyond its row of the table.
    """
    assert breaches(package, MAY_IMPORT[package]) == []


def test_every_package_stands_in_the_table() -> None:
    """
    A new folder gets a row, or it fails here; the tests' own folders need none.
    """
    tests = {"conformance.static", "conformance.steady", "conformance.scenarios", "conformance.selftest"}
    folders = {
        f"{top}.{place.name}"
        for top in ("fixtures", "conformance")
        for place in (ROOT / top).iterdir()
        if (place / "__init__.py").exists()
    }

    assert folders - tests == {package for package in MAY_IMPORT if (ROOT / package.replace(".", "/")).exists()}


def test_a_judge_does_no_input_or_output_and_has_no_clock() -> None:
    """
    What a judge imports cannot reach the network, a file or the time.
    """
    used = {
        f"{path.name} imports {module}"
        for path in (ROOT / "conformance/judge").glob("*.py")
        for module in imports(path)
        if module.partition(".")[0] in NO_IO or module == "fixtures.core.clock.now"
    }

    assert used == set()


def test_a_breach_is_found(tmp_path: Path) -> None:
    """
    A judge that imported the stack would be named with its file.
    """
    place = tmp_path / "conformance/judge"
    place.mkdir(parents=True)
    (place / "cheat.py").write_text("from fixtures.stack.stack import Stack\n", encoding="utf-8")

    assert breaches(JUDGE, MAY_IMPORT[JUDGE], tmp_path) == [
        "conformance/judge/cheat.py imports fixtures.stack.stack.Stack"
    ]


def test_a_test_of_the_live_stack_knows_no_address_sleep_or_driver() -> None:
    """
    Scenarios and steady tests are judgments: they import judges and programs, nothing that reaches a server.
    """
    allowed = {CONTRACT, TIMELINE, JUDGE, FAULTS, LOAD}
    found = [
        breach for package in ("conformance.steady", "conformance.scenarios") for breach in breaches(package, allowed)
    ]

    assert found == []
