"""What a Prometheus says: raw samples, queries at the evaluations, targets, loaded rules, missed evaluations."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from conformance.observe.client import ObserveError
from conformance.timeline.model import LoadedRule, Measured, Series, Target
from fixtures.language.durations import DurationError, parse_ms

if TYPE_CHECKING:
    from conformance.observe.client import Client

MISSED = "prometheus_rule_group_iterations_missed_total"

# Prometheus writes the page itself, defaults filled in: to read it as YAML costs a processor more than all else here.
_USUAL = re.compile(r"^global:\n(?:  .*\n)*?  scrape_interval: (\S+)$", re.MULTILINE)


class Prometheus:
    """Reads one Prometheus (or what speaks its API). A warning in an answer is an error: it may hide missing data."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _data(self, path: str, **parameters: str) -> Any:  # noqa: ANN401  each endpoint has its own shape
        answer = self._client.json(path, parameters)
        if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
            said = answer.get("error") if isinstance(answer, dict) else None
            raise ObserveError(
                f"{self._client.name}: {path} {parameters.get('query', '')}: "
                f"answered without success: {said or repr(answer)[:200]}"
            )
        if warnings := answer.get("warnings"):
            raise ObserveError(
                f"{self._client.name}: {path} {parameters.get('query', '')}: warns: {'; '.join(warnings)}"
            )
        return answer["data"]

    def samples(self, selector: str, *, start: float, end: float) -> tuple[Series, ...]:
        """The raw samples of a selector in [start, end], as they were ingested."""
        return self._matrix(
            self._data("/api/v1/query", query=raw_query(selector, start=start, end=end), time=f"{end:.3f}"), selector
        )

    def instant(self, query: str, *, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """The instant vector of a query: (labels, value) each."""
        parameters = {"query": query} if at is None else {"query": query, "time": f"{at:.3f}"}
        data = self._data("/api/v1/query", **parameters)
        if data.get("resultType") != "vector":
            raise ObserveError(f"{self._client.name}: {query}: gave a {data.get('resultType')}, not a vector")
        return [(dict(row["metric"]), float(row["value"][1])) for row in data["result"]]

    def measured(self, query: str, *, start: float, end: float, step: float) -> Measured:
        """The query's value at start, start + step, …; where it has none, the point is absent. One series at most."""
        data = self._data(
            "/api/v1/query_range", query=query, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:.3f}"
        )
        series = self._matrix(data, query)
        if len(series) > 1:
            shown = "; ".join(str(dict(one.labels)) for one in series[:3])
            raise ObserveError(
                f"{self._client.name}: {query}: gave {len(series)} series where one was expected: {shown}"
            )
        points = series[0].points if series else ()
        return Measured(query=query, points=tuple(point for point in points if not math.isnan(point[1])))

    def ranged(self, query: str, *, start: float, end: float, step: float) -> tuple[Series, ...]:
        """Every series of a range query."""
        data = self._data(
            "/api/v1/query_range", query=query, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:.3f}"
        )
        return self._matrix(data, query)

    def _matrix(self, data: Any, query: str) -> tuple[Series, ...]:  # noqa: ANN401  checked here
        if data.get("resultType") != "matrix":
            raise ObserveError(f"{self._client.name}: {query}: gave a {data.get('resultType')}, not a matrix")
        return tuple(
            Series(
                labels=dict(row["metric"]),
                points=tuple((float(at), float(value)) for at, value in row.get("values", ())),
            )
            for row in data["result"]
        )

    def targets(self) -> tuple[Target, ...]:
        """The active targets, in the order of their jobs."""
        rows = self._data("/api/v1/targets", state="active")["activeTargets"]
        found = [
            Target(
                job=row["labels"].get("job", ""),
                instance=row["labels"].get("instance", ""),
                health=row["health"],
                last_error=row.get("lastError", ""),
                scrape_interval=self._seconds(row["scrapeInterval"]) if row.get("scrapeInterval") else None,
            )
            for row in rows
        ]
        return tuple(sorted(found, key=lambda target: (target.job, target.instance)))

    def usual_scrape_interval(self) -> float:
        """The seconds between two scrapes of a job that has no interval of its own, as they are loaded."""
        path = "/api/v1/status/config"
        found = _USUAL.search(str(self._data(path)["yaml"]))
        if found is None:
            raise ObserveError(f"{self._client.name}: {path}: names no scrape_interval in global")
        return self._seconds(found[1])

    def _seconds(self, text: str) -> float:
        try:
            return parse_ms(text) / 1000
        except DurationError as error:
            raise ObserveError(f"{self._client.name}: a scrape interval: {error}") from error

    def rules(self) -> tuple[tuple[LoadedRule, ...], dict[str, float]]:
        """Every loaded rule, and by alert name the phase of its group: an instant of an evaluation (Unix seconds)."""
        loaded, phases = [], {}
        for group in self._data("/api/v1/rules")["groups"]:
            for row in group["rules"]:
                loaded.append(
                    LoadedRule(
                        name=row["name"],
                        kind=row["type"],
                        expr=row["query"],
                        for_seconds=float(row.get("duration", 0.0)),
                        labels=dict(row.get("labels") or {}),
                        annotations=dict(row.get("annotations") or {}),
                        health=row.get("health", ""),
                        last_error=row.get("lastError", ""),
                        interval=float(group["interval"]) if group.get("interval") else None,
                    )
                )
                phases[row["name"]] = _unix(group.get("lastEvaluation", ""))
        return tuple(loaded), phases

    def types(self, job: str) -> dict[str, str]:
        """The type of each metric of a job, by its name, as Prometheus took it from the job's page."""
        rows = self._data("/api/v1/targets/metadata", match_target=f'{{job="{job}"}}')
        return {str(row["metric"]): str(row["type"]) for row in rows}

    def missed_evaluations(self) -> float:
        """How many evaluations of its rule groups Prometheus has skipped since it started."""
        # Of a thousand lines these are read: to parse all costs a processor 40 ms, of each Prometheus twice.
        lines = self._client.text("/metrics").splitlines()
        page = "\n".join([*(line for line in lines if line.startswith(MISSED)), ""])
        found = [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == MISSED
        ]
        if not found:
            raise ObserveError(f"{self._client.name}: /metrics has no {MISSED}: no rule group is loaded")
        return sum(found)


def raw_query(selector: str, *, start: float, end: float) -> str:
    """The instant query, asked at `end`, that returns a selector's raw samples since `start`."""
    return f"{selector}[{max(1, math.ceil((end - start) * 1000))}ms]"


def _unix(text: str) -> float:
    """Prometheus writes nanoseconds, which `fromisoformat` of Python 3.11 refuses; microseconds are enough."""
    if not text:
        return 0.0
    return datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", lambda m: f".{m[1]:0<6}", text)).timestamp()
