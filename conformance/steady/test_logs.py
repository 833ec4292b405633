"""Under plain load the log is what the guide says: each line, each request's line, each documented query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.judge import logs
from conformance.steady.program import STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract.model import Contract
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import Timeline

QUERIES = ("errors", "agent", "slow", "error-rate")

pytestmark = pytest.mark.program(STEADY)


@pytest.mark.covers("log/format")
def test_each_line_is_one_record_with_the_documented_fields(
    contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Nine fields of the right kinds, one record a line, and no password, key or user text.
    """
    prove(logs.formatted(contract.logs.format, timelines["steady"]))


@pytest.mark.covers("log/ledger")
def test_each_request_has_exactly_one_line_that_agrees_with_its_client(
    timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    No request's line is missing, doubled, late or of another outcome than its client saw.
    """
    prove(logs.agrees(timelines["steady"]))


@pytest.mark.parametrize(
    "query",
    [pytest.param(name, id=f"log/query/{name}", marks=pytest.mark.covers(f"log/query/{name}")) for name in QUERIES],
)
def test_each_documented_query_finds_exactly_what_it_says(
    query: str, contract: Contract, timelines: Mapping[str, Timeline], prove: Callable[[Verdict], None]
) -> None:
    """
    Among lines planted to tell right from wrong and among the run's own, the query finds what is promised, no more.
    """
    prove(logs.finds(contract.log_query(query), timelines["steady"]))
