"""The contract's metrics, judged: what is promised of them, and that no mistake in their document passes silently."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from conformance.contract.load import SHIPPED, load
from conformance.contract.model import Contract, LedgerRelation, Level, MetricType
from conformance.contract.parse import ContractError

if TYPE_CHECKING:
    from pathlib import Path

OF_THE_GATEWAY = 10
OF_ITS_CONTAINER = 7


@pytest.fixture(scope="module")
def shipped() -> Contract:
    return load()


def test_every_listed_metric_is_promised(shipped: Contract) -> None:
    """
    Ten of the service, each with a relation to what clients saw, and seven of its container, without one.
    """
    promises = shipped.metrics.promises
    own = [each for each in promises if each.source == "osmen_gateway"]
    clauses = [clause.id for clause in shipped.metrics.clauses()]

    assert (len(own), len(promises) - len(own)) == (OF_THE_GATEWAY, OF_ITS_CONTAINER)
    assert {each.ledger for each in own} == set(LedgerRelation)
    assert len(clauses) == 2 * len(promises) + OF_THE_GATEWAY + 1 + len(shipped.metrics.recorded)
    assert clauses[-len(shipped.metrics.recorded) - 1] == "metric/undocumented"


def test_a_clause_says_what_is_promised(shipped: Contract) -> None:
    """
    The type names the buckets that a threshold needs; what is not documented is a matter of should.
    """
    kind = shipped.clause("metric/osmen_request_duration_seconds/type")
    rest = shipped.clause("metric/undocumented")

    assert kind.promise == "osmen_request_duration_seconds is a histogram with buckets beyond 10 s"
    assert (kind.level, rest.level) == (Level.MUST, Level.SHOULD)
    assert shipped.metric("osmen_llm_cost_dollars").type is MetricType.GAUGE


def test_an_unknown_metric_is_answered_with_the_near_miss(shipped: Contract) -> None:
    """
    Asking for a name that is not promised names the one that was meant.
    """
    with pytest.raises(ContractError, match="no metric 'osmen_request_total'; did you mean 'osmen_requests_total'"):
        shipped.metric("osmen_request_total")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "type: histogram",
            "type: counter",
            "metrics[2].type: a histogram has buckets_beyond, and nothing else has",
            id="buckets of a counter",
        ),
        pytest.param(
            "    buckets_beyond: 10\n",
            "",
            "metrics[2].type: a histogram has buckets_beyond, and nothing else has",
            id="a histogram without a bound",
        ),
        pytest.param(
            "source: docker",
            "source: doker",
            "metrics[10].source: there is no target 'doker'; did you mean 'docker'",
            id="a source that is none",
        ),
        pytest.param(
            "    quantile: 0.95\n",
            "",
            "recorded[3].figure: latency-quantile has a quantile, and nothing else has",
            id="a latency without a quantile",
        ),
        pytest.param(
            "quantile: 0.95",
            "quantile: 95",
            "recorded[3].quantile: expected a number between 0 and 1, not 95",
            id="a quantile in percent",
        ),
        pytest.param(
            "figure: error-share\n    unit: ratio",
            "figure: error-share\n    unit: errors/s",
            "recorded[2].unit: error-share is in ratio, not in errors/s",
            id="a share per second",
        ),
        pytest.param(
            "name: osmen:errors:rate5m",
            "name: osmen errors",
            "recorded[1].name: 'osmen errors' is not the name of a series",
            id="no name of a series",
        ),
        pytest.param("type: gauge", "type: gauges", "did you mean 'gauge'", id="a type that is none"),
        pytest.param("ledger: requests", "ledger: request", "did you mean 'requests'", id="a relation that is none"),
        pytest.param(
            "name: osmen_errors_total",
            "name: osmen_requests_total",
            "metrics[3].name: 'osmen_requests_total' stands twice, first on line",
            id="a name twice",
        ),
        pytest.param("model: llama3", "model: gpt-4", "prices[2].model: 'gpt-4' stands twice", id="a model twice"),
        pytest.param(
            "    refused: rejected\n",
            "",
            "words.status: names error, success, where success, error, refused are to be named",
            id="an outcome without a word",
        ),
        pytest.param("timed_out:", "timedout:", "where failed, timed_out are to be named", id="a kind that is none"),
        pytest.param(
            "prompt: 0.03", "prompt: 3 cents", "prices[0].prompt: expected a plain number", id="a price in words"
        ),
        pytest.param("prefix:", "prefixes:", "is it meant by 'prefixes'", id="a key that is none"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    """
    Each kind of mistake is refused with its path, the value and what was probably meant.
    """
    folder = shutil.copytree(SHIPPED, tmp_path / "documents")
    text = (folder / "metrics.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / "metrics.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ContractError) as caught:
        load(folder)

    assert str(caught.value).startswith("documents/metrics.yaml:")
    assert says in str(caught.value)
