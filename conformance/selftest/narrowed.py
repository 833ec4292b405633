"""
A pytest plugin that narrows contract and tests to what the recorded timelines prove, so that a stored run is a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import plugin
from conformance.contract.model import Clause, Contract
from conformance.judge.verdict import Status
from conformance.selftest.judging import judge, statuses
from conformance.selftest.recording import timelines

if TYPE_CHECKING:
    import pytest

CLAUSES = frozenset(clause for clause, status in statuses(judge(timelines())).items() if status is Status.HOLDS)

_every = Contract.clauses


def _recorded(contract: Contract) -> tuple[Clause, ...]:
    return tuple(clause for clause in _every(contract) if clause.id in CLAUSES)


Contract.clauses = _recorded  # type: ignore[method-assign, assignment]
# What is not recorded is no part of this whole.
plugin.tested_files = set


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Keep the tests of the recorded clauses.
    """
    items[:] = [each for each in items if {arg for mark in each.iter_markers("covers") for arg in mark.args} & CLAUSES]
