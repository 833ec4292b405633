"""
Judges timelines as the live tests do, by calling those very tests with a `prove` that only notes the verdict.
"""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

from conformance import scenarios, steady
from conformance.contract.load import load
from conformance.judge.ladder import Ladder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Status, Verdict
    from conformance.timeline.model import Timeline

ASKED = {"contract", "timelines", "prove"}
"""The fixtures that a test may ask for and still be called here."""


def judge(timelines: Mapping[str, Timeline], *, contract: Contract | None = None) -> dict[str, Verdict]:
    """The verdict of each live test whose programs are all among `timelines`, by clause."""
    contract = contract or load(None)
    verdicts: dict[str, Verdict] = {}

    def prove(verdict: Verdict) -> None:
        assert verdict.clause not in verdicts, f"{verdict.clause}: two tests give a verdict about it"
        verdicts[verdict.clause] = verdict

    for module in _modules():
        programs = _programs(module)
        if programs and programs <= set(timelines):
            for test, values in _tests(module):
                test(contract=contract, timelines=timelines, prove=prove, **values)
    return verdicts


def covered() -> set[str]:
    """Every clause that some live test says it gives a verdict about."""
    found: set[str] = set()
    for module in _modules():
        for name, test in vars(module).items():
            if name.startswith("test_") and callable(test):
                found.update(clause for mark in _marks(test, "covers") for clause in mark.args)
                rows = [given for mark in _marks(test, "parametrize") for given in mark.args[1]]
                marks = [mark for row in rows for mark in getattr(row, "marks", ())]
                found.update(clause for mark in marks if mark.name == "covers" for clause in mark.args)
    return found


def files(timelines: Mapping[str, Timeline]) -> tuple[str, ...]:
    """The test files whose programs are all among `timelines`, from the checkout's folder."""
    return tuple(
        module.__name__.replace(".", "/") + ".py"
        for module in _modules()
        if (programs := _programs(module)) and programs <= set(timelines)
    )


def ladders() -> tuple[Ladder, ...]:
    """The ladder of each scenario that has one."""
    return tuple(ladder for module in _modules() for ladder in vars(module).values() if isinstance(ladder, Ladder))


def statuses(verdicts: Mapping[str, Verdict]) -> dict[str, Status]:
    """The status of each clause."""
    return {clause: verdict.status for clause, verdict in verdicts.items()}


def _modules() -> Iterator[ModuleType]:
    for package in (steady, scenarios):
        for found in pkgutil.iter_modules(package.__path__):
            if found.name.startswith("test_"):
                yield import_module(f"{package.__name__}.{found.name}")


def _programs(module: ModuleType) -> set[str]:
    return {program.name for mark in _marks(module, "program") for program in mark.args}


def _marks(place: object, name: str) -> list[Any]:
    marks = getattr(place, "pytestmark", [])
    return [mark for mark in (marks if isinstance(marks, list) else [marks]) if mark.name == name]


def _tests(module: ModuleType) -> Iterator[tuple[Callable[..., None], dict[str, object]]]:
    """Each test of a module with the values of its parameters."""
    for name, test in vars(module).items():
        if not name.startswith("test_") or not callable(test):
            continue
        wanted = set(inspect.signature(test).parameters)
        rows: list[dict[str, object]] = [{}]
        for mark in _marks(test, "parametrize"):
            given_names = mark.args[0]
            names = given_names.replace(" ", "").split(",") if isinstance(given_names, str) else list(given_names)
            rows = [{**row, **_values(names, given)} for row in rows for given in mark.args[1]]
        if wanted - set(rows[0]) <= ASKED:
            for row in rows:
                yield test, row


def _values(names: list[str], given: object) -> dict[str, object]:
    values = getattr(given, "values", given)
    if callable(values) or not isinstance(values, tuple):
        values = (given,)
    return dict(zip(names, values, strict=True))
