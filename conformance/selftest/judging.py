"""
Judges timelines as the live tests do, by calling those very tests with a `prove` that only notes the verdict.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any

from conformance import scenarios, steady
from conformance.contract.load import load
from conformance.judge.ladder import Ladder
from conformance.report.record import gather
from conformance.selftest.recording import timelines as recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Status, Verdict
    from conformance.timeline.model import Timeline

ASKED = {"contract", "timelines", "prove"}
"""The fixtures that a test may ask for and still be called here."""


def judge(
    timelines: Mapping[str, Timeline], *, contract: Contract | None = None, without: Iterable[str] = ()
) -> dict[str, Verdict]:
    """
    The verdict of each live test whose programs are all among `timelines`, by clause.

    `without` names patterns of clauses whose tests are left out.
    """
    contract = contract or _contract()
    verdicts: dict[str, Verdict] = {}
    for module in _modules():
        if (programs := _programs(module)) and programs <= set(timelines):
            own = tuple(timelines[name] for name in sorted(programs))
            found = _judged(module, {each.program: each for each in own}, contract, tuple(without))
            verdicts = gather((*verdicts.values(), *found.values()))
    return verdicts


def _judged(
    module: ModuleType, timelines: Mapping[str, Timeline], contract: Contract, without: tuple[str, ...]
) -> dict[str, Verdict]:
    """The verdicts of one module; those about what was recorded, unbent, are found once."""
    known = recorded()
    unbent = all(known.get(name) is each for name, each in timelines.items()) and contract is _contract()
    key = (module.__name__, without)
    if unbent and key in _UNBENT:
        return _UNBENT[key]
    noted: list[Verdict] = []
    given = {"contract": contract, "timelines": timelines, "prove": noted.append}
    for test, values, clauses in _tests(module):
        if any(fnmatchcase(clause, pattern) for clause in clauses for pattern in without):
            continue
        wanted = inspect.signature(test).parameters
        test(**{name: value for name, value in {**given, **values}.items() if name in wanted})
    verdicts = gather(noted)
    if unbent:
        _UNBENT[key] = verdicts
    return verdicts


_UNBENT: dict[tuple[str, tuple[str, ...]], dict[str, Verdict]] = {}


@functools.cache
def _contract() -> Contract:
    return load(None)


def covered() -> set[str]:
    """Every clause that some live test says it gives a verdict about."""
    return {clause for module in _modules() for _, _, clauses in _tests(module, asked=None) for clause in clauses}


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


def _tests(
    module: ModuleType, *, asked: set[str] | None = ASKED
) -> Iterator[tuple[Callable[..., None], dict[str, object], set[str]]]:
    """Each test of a module, if it asks for no more fixtures than `asked`, with its parameters' values and clauses."""
    for name, test in vars(module).items():
        if not name.startswith("test_") or not callable(test):
            continue
        covered = {clause for mark in _marks(test, "covers") for clause in mark.args}
        rows: list[tuple[dict[str, object], set[str]]] = [({}, covered)]
        for mark in _marks(test, "parametrize"):
            names = mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
            rows = [
                ({**row, **_values(names, given)}, clauses | _covers(given))
                for row, clauses in rows
                for given in mark.args[1]
            ]
        if asked is None or set(inspect.signature(test).parameters) - set(rows[0][0]) <= asked:
            for row, clauses in rows:
                yield test, row, clauses


def _covers(given: object) -> set[str]:
    marks = getattr(given, "marks", ()) if type(given).__name__ == "ParameterSet" else ()
    return {clause for mark in marks if mark.name == "covers" for clause in mark.args}


def _values(names: list[str], given: object) -> dict[str, object]:
    values = getattr(given, "values", given)
    if callable(values) or not isinstance(values, tuple):
        values = (given,)
    return dict(zip(names, values, strict=True))
