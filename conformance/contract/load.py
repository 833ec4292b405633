"""
How a folder of documents becomes a contract: every key read, every promise checked against the others.

It knows the documents' shape; it must not know a gateway, a stack or a judge.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.contract.model import (
    QUANTITIES,
    AlertForm,
    AlertPromise,
    Call,
    Contract,
    Correction,
    Decides,
    DecisionPromise,
    Direction,
    Failure,
    FailureKind,
    FieldKind,
    Health,
    LedgerRelation,
    Level,
    LevelPromise,
    LogField,
    LogFormat,
    LogQuery,
    Logs,
    MetricPromise,
    Metrics,
    MetricType,
    PanelFigure,
    PanelPromise,
    PortPromise,
    Price,
    ProbePromise,
    Promise,
    ReceiverKind,
    ReceiverPromise,
    RecordedFigure,
    RecordedPromise,
    Route,
    Selection,
    ServicePromise,
    SpanPromise,
    Target,
    Timing,
    TracedLedger,
    Traces,
    Transport,
    Unit,
)
from conformance.contract.parse import ContractError, Reader, listed, near_miss, read
from fixtures.language.logql import LogqlError, narrowed
from fixtures.language.promql import Layout, PromqlError, Shape, shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

SHIPPED = Path(__file__).parent / "documents"
DOCUMENTS = (
    "targets.yaml",
    "metrics.yaml",
    "alerts.yaml",
    "routes.yaml",
    "logs.yaml",
    "health.yaml",
    "traces.yaml",
    "dashboards.yaml",
    "agreement.yaml",
    "mutants.yaml",
)

AGREEING = ("signals", "tiers", "tempo")
"""What must agree; each is a clause `…/agree`."""

_NO_NEED = ("nothing",)
_OUTCOMES = ("success", "error", "refused")
_KINDS = ("failed", "timed_out")
_SERIES = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_RECORDED_UNITS = {
    RecordedFigure.REQUEST_RATE: Unit.REQUESTS_PER_SECOND,
    RecordedFigure.ERROR_RATE: Unit.ERRORS_PER_SECOND,
    RecordedFigure.ERROR_SHARE: Unit.RATIO,
    RecordedFigure.LATENCY: Unit.SECONDS,
}
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_ENDPOINTS = {
    ReceiverKind.SLACK: (re.compile(r"https?://[^\s/]+/\S*"), "https://hooks.slack.com/services"),
    ReceiverKind.PAGERDUTY: (re.compile(r"https?://[^\s/]+/\S*"), "https://events.pagerduty.com/v2/enqueue"),
    ReceiverKind.EMAIL: (re.compile(r"mailto:[^\s@]+@[^\s@]+"), "mailto:alerts@example.org"),
}


def load(directory: Path | None = None) -> Contract:
    """
    The contract in a folder, by default the shipped one; whatever is doubtful in it is a `ContractError`.
    """
    folder = (SHIPPED if directory is None else directory).resolve()
    label = folder.name
    _expect(folder, label)
    readers = {name: read(folder / name, label=f"{label}/{name}") for name in DOCUMENTS}
    looks = _targets(readers["targets.yaml"])
    routing = _routes(readers["routes.yaml"])
    alerts, undocumented = _alerts(readers["alerts.yaml"], routing)
    return Contract(
        timing=Timing(
            scrape_interval=looks.scrape_interval,
            evaluation_interval=looks.evaluation_interval,
            group_wait=routing.group_wait,
            group_interval=routing.group_interval,
            repeat_interval=routing.repeat_interval,
            resolve_timeout=routing.resolve_timeout,
            group_by=routing.group_by,
        ),
        targets=looks.targets,
        alerts=alerts,
        undocumented=undocumented,
        routes=routing.routes,
        default_route=routing.default,
        receivers=routing.receivers,
        grouping=routing.grouping,
        failures=routing.failures,
        metrics=_metrics(readers["metrics.yaml"], [target.job for target in looks.targets]),
        logs=_logs(readers["logs.yaml"]),
        traces=_traces(readers["traces.yaml"]),
        health=_health(readers["health.yaml"]),
        panels=_panels(readers["dashboards.yaml"]),
        agreement=_agreement(readers["agreement.yaml"]),
        mutants=_mutants(readers["mutants.yaml"]),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looks:
    scrape_interval: timedelta
    evaluation_interval: timedelta
    targets: tuple[Target, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Routing:
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    resolve_timeout: timedelta
    receivers: tuple[ReceiverPromise, ...]
    default: Route
    routes: tuple[Route, ...]
    grouping: Promise
    failures: tuple[Failure, ...]

    def of(self, severity: str) -> Route:
        return next((route for route in self.routes if route.severity == severity), self.default)


def _expect(folder: Path, label: str) -> None:
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise ContractError(f"the contract cannot be read: {error.strerror or error}", file=str(folder)) from error
    if not present:
        raise ContractError(f"the contract is an empty folder {listed(DOCUMENTS)}", file=str(folder))
    missing = [name for name in DOCUMENTS if name not in present]
    for name in sorted(present.difference(DOCUMENTS)):
        meant = near_miss(name, missing) or f" {listed(DOCUMENTS)}"
        raise ContractError(f"is not a document of a contract{meant}", file=f"{label}/{name}")
    if missing:
        raise ContractError(f"the contract lacks {', '.join(missing)}", file=str(folder))


def _targets(document: Reader) -> _Looks:
    timing = document.mapping("timing")
    scrape = _period(timing, "scrape_interval")
    evaluation = _period(timing, "evaluation_interval")
    timing.document()
    entries = document.sequence("targets")
    targets = tuple(
        Target(
            job=entry.name("job"),
            port=_port(entry) if entry.has("port") else None,
            level=entry.choice("level", Level),
            promise=entry.text("promise"),
            document=entry.document(),
        )
        for entry in entries
    )
    document.finish()
    _distinct(entries, "job", [target.job for target in targets])
    return _Looks(scrape_interval=scrape, evaluation_interval=evaluation, targets=targets)


def _routes(document: Reader) -> _Routing:
    timing = document.mapping("timing")
    default = document.mapping("default")
    receiver_entries = document.sequence("receivers")
    route_entries = document.sequence("routes")
    failures = document.sequence("failures")
    receivers = tuple(_receiver(entry) for entry in receiver_entries)
    timing.document()
    routing = _Routing(
        group_by=timing.texts("group_by"),
        group_wait=timing.duration("group_wait"),
        group_interval=_period(timing, "group_interval"),
        repeat_interval=_period(timing, "repeat_interval"),
        resolve_timeout=_period(timing, "resolve_timeout"),
        receivers=receivers,
        default=Route(severity=None, receiver=default.text("receiver"), document=default.document()),
        routes=tuple(
            Route(severity=entry.name("severity"), receiver=entry.text("receiver"), document=entry.document())
            for entry in route_entries
        ),
        grouping=_promise(document.mapping("grouping")),
        failures=tuple(
            Failure(
                name=entry.choice("name", FailureKind),
                level=entry.choice("level", Level),
                promise=entry.text("promise"),
                document=entry.document(),
            )
            for entry in failures
        ),
    )
    document.finish()
    _distinct(failures, "name", [failure.name for failure in routing.failures])
    known = [receiver.name for receiver in receivers]
    _distinct(receiver_entries, "name", known)
    _distinct(route_entries, "severity", [str(route.severity) for route in routing.routes])
    for entry, route in zip((default, *route_entries), (routing.default, *routing.routes), strict=True):
        if route.receiver not in known:
            meant = near_miss(route.receiver, known) or f" {listed(known)}"
            raise entry.error("receiver", f"there is no receiver '{route.receiver}'{meant}")
    return routing


def _receiver(entry: Reader) -> ReceiverPromise:
    kind = entry.choice("kind", ReceiverKind)
    endpoint = entry.text("endpoint")
    pattern, example = _ENDPOINTS[kind]
    if not pattern.fullmatch(endpoint):
        raise entry.error("endpoint", f"'{endpoint}' is not an endpoint of {kind} (like {example})")
    return ReceiverPromise(
        name=entry.name("name"),
        kind=kind,
        endpoint=endpoint,
        send_resolved=entry.flag("send_resolved"),
        channel=entry.text("channel") if kind is ReceiverKind.SLACK else "",
        document=entry.document(),
    )


def _alerts(document: Reader, routing: _Routing) -> tuple[tuple[AlertPromise, ...], Promise]:
    entries = document.sequence("alerts")
    alerts = tuple(_alert(entry, routing) for entry in entries)
    undocumented = _promise(document.mapping("undocumented"))
    document.finish()
    _distinct(entries, "name", [alert.name for alert in alerts])
    return alerts, undocumented


def _alert(entry: Reader, routing: _Routing) -> AlertPromise:
    documented = entry.mapping("documented")
    shipped = entry.mapping("shipped")
    corrections = entry.sequence("corrections") if entry.has("corrections") else ()
    alert = AlertPromise(
        name=entry.name("name"),
        level=entry.choice("level", Level),
        documented=_form(documented),
        shipped=_form(shipped),
        corrections=tuple(_correction(each) for each in corrections),
        measure=entry.text("measure"),
        threshold=entry.number("threshold"),
        direction=entry.choice("direction", Direction),
        unit=entry.choice("unit", Unit),
        environment=entry.numbers("environment") if entry.has("environment") else {},
        receiver=entry.text("receiver"),
        resolved_notification=entry.flag("resolved_notification"),
        document=entry.document(),
        value=entry.text("value") if entry.has("value") else "",
        fires_on=entry.texts("fires_on") if entry.has("fires_on") else (),
        blind=entry.text("blind") if entry.has("blind") else "",
    )
    entry.finish()
    _shape(documented, "expr", alert.documented.expr)
    _shape(entry, "value" if alert.value else "measure", alert.told)
    if alert.blind:
        _shape(entry, "blind", alert.blind)
    if alert.fires_on:
        _shape(shipped, "expr", alert.shipped.expr)
        _shape(entry, "measure", alert.measure)
    else:
        _agree(entry, shipped, alert)
    _explained(shipped, corrections, alert)
    _delivered(entry, alert, routing)
    return alert


def _metrics(document: Reader, jobs: Sequence[str]) -> Metrics:
    entries = document.sequence("metrics")
    promises = tuple(_metric(entry) for entry in entries)
    recorded_entries = document.sequence("recorded")
    recorded = tuple(_recorded(entry) for entry in recorded_entries)
    rest = document.mapping("undocumented")
    words = document.mapping("words")
    words.document()
    price_entries = document.sequence("prices")
    metrics = Metrics(
        promises=promises,
        recorded=recorded,
        undocumented=Promise(level=rest.choice("level", Level), promise=rest.text("promise"), document=rest.document()),
        prefix=rest.text("prefix"),
        outcomes=words.table("status"),
        kinds=words.table("kind"),
        prices=tuple(_price(entry) for entry in price_entries),
    )
    document.finish()
    _distinct(entries, "name", [metric.name for metric in promises])
    _distinct(recorded_entries, "name", [rule.clause_id for rule in recorded])
    _distinct(price_entries, "model", [price.model for price in metrics.prices])
    for key, told, known in (("status", metrics.outcomes, _OUTCOMES), ("kind", metrics.kinds, _KINDS)):
        if set(told) != set(known):
            raise words.error(key, f"names {', '.join(sorted(told))}, where {', '.join(known)} are to be named")
    for entry, metric in zip(entries, promises, strict=True):
        if metric.source not in jobs:
            meant = near_miss(metric.source, jobs) or f" {listed(jobs)}"
            raise entry.error("source", f"there is no target '{metric.source}'{meant}")
        if (metric.type is MetricType.HISTOGRAM) is (metric.buckets_beyond is None):
            raise entry.error("type", "a histogram has buckets_beyond, and nothing else has")
    return metrics


def _metric(entry: Reader) -> MetricPromise:
    return MetricPromise(
        name=entry.name("name"),
        type=entry.choice("type", MetricType),
        unit=entry.choice("unit", Unit),
        labels=entry.texts("labels") if entry.has("labels") else (),
        source=entry.text("source"),
        buckets_beyond=entry.number("buckets_beyond") if entry.has("buckets_beyond") else None,
        ledger=entry.choice("ledger", LedgerRelation) if entry.has("ledger") else None,
        level=entry.choice("level", Level),
        promise=entry.text("promise"),
        document=entry.document(),
    )


def _recorded(entry: Reader) -> RecordedPromise:
    figure = entry.choice("figure", RecordedFigure)
    if (figure is RecordedFigure.LATENCY) is not entry.has("quantile"):
        raise entry.error("figure", f"{RecordedFigure.LATENCY} has a quantile, and nothing else has")
    quantile = entry.number("quantile") if entry.has("quantile") else None
    if quantile is not None and not 0 < quantile < 1:
        raise entry.error("quantile", f"expected a number between 0 and 1, not {quantile:g}")
    unit, wanted = entry.choice("unit", Unit), _RECORDED_UNITS[figure]
    if unit is not wanted:
        raise entry.error("unit", f"{figure} is in {wanted}, not in {unit}")
    name = entry.text("name")
    if not _SERIES.fullmatch(name):
        raise entry.error(
            "name", f"'{name}' is not the name of a series (letters, digits, '_' and ':', no digit first)"
        )
    return RecordedPromise(
        name=name,
        figure=figure,
        unit=unit,
        window=entry.duration("window"),
        quantile=quantile,
        level=entry.choice("level", Level),
        promise=entry.text("promise"),
        document=entry.document(),
    )


def _price(entry: Reader) -> Price:
    return Price(
        model=entry.text("model"),
        prompt=entry.number("prompt"),
        completion=entry.number("completion"),
        document=entry.document(),
    )


def _form(entry: Reader) -> AlertForm:
    labels = entry.table("labels")
    if "severity" not in labels:
        close = near_miss("severity", labels).replace("did you mean", "is it meant by")
        raise entry.error("labels", f"missing label 'severity'{close}")
    return AlertForm(
        expr=entry.text("expr"), for_=entry.duration("for"), labels=labels, annotations=entry.table("annotations")
    )


def _correction(entry: Reader) -> Correction:
    defect = entry.name("defect") if entry.has("defect") else None
    return Correction(
        part=entry.text("part"), reason=entry.text("reason"), line=entry.whole("line", least=1), defect=defect
    )


def _agree(entry: Reader, form: Reader, alert: AlertPromise) -> None:
    """
    The measure, the threshold and the direction say what the shipped expression says.
    """
    shipped = _shape(form, "expr", alert.shipped.expr)
    measure = _bare(_shape(entry, "measure", alert.measure))
    if _compared(measure) is not None:
        raise entry.error("measure", f"'{alert.measure}' compares; a measure is the quantity alone")
    # A ratio may ship where the document counts: 90 connections of 100 are 0.9.
    values = [alert.threshold, *(alert.threshold / each for each in alert.environment.values() if each)]
    seen = [_value(token.text) for token in Layout(alert.shipped.expr).numbers()]
    if not any(math.isclose(value, number) for value in values for number in seen):
        wanted = " or ".join(f"{value:g}" for value in values)
        raise entry.error("threshold", f"{wanted} does not appear in the shipped '{alert.shipped.expr}'")
    compared = _compared(shipped)
    if compared is None:
        return
    quantity, operator, threshold = compared
    same = quantity == measure and operator == alert.direction and threshold == alert.threshold
    if not same and not alert.environment:
        claimed = f"'{alert.measure} {alert.direction} {alert.threshold:g}'"
        raise entry.error("measure", f"with direction and threshold it is {claimed}, but '{alert.shipped.expr}' ships")


def _explained(form: Reader, corrections: Sequence[Reader], alert: AlertPromise) -> None:
    """
    Every difference between the documented and the shipped form has its reason, and no reason is without a difference.
    """
    documented, shipped = alert.documented.parts(), alert.shipped.parts()
    for part in documented:
        if part not in shipped:
            raise form.error("", f"lacks '{part}', which is documented")
    differing = sorted(part for part in shipped if documented.get(part) != shipped[part])
    for reader, correction in zip(corrections, alert.corrections, strict=True):
        if correction.part not in differing:
            meant = near_miss(correction.part, differing) or f" {listed(differing)}"
            raise reader.error("part", f"'{correction.part}' does not differ from the documented form{meant}")
    explained = {correction.part for correction in alert.corrections}
    for part in differing:
        if part not in explained:
            raise form.error("", f"'{part}' differs from the documented form, and no correction says why")


def _delivered(entry: Reader, alert: AlertPromise, routing: _Routing) -> None:
    """
    The alert's receiver is the one to which its severity is routed, and it says what is promised.
    """
    route = routing.of(alert.shipped.severity)
    known = {receiver.name: receiver for receiver in routing.receivers}
    if alert.receiver not in known:
        meant = near_miss(alert.receiver, known) or f" {listed(known)}"
        raise entry.error("receiver", f"there is no receiver '{alert.receiver}'{meant}")
    if route.receiver != alert.receiver:
        meant = near_miss(alert.shipped.severity, [str(each.severity) for each in routing.routes])
        hint = "" if route.severity else f" by default{meant}"
        reason = f"'{alert.receiver}', but severity '{alert.shipped.severity}' is routed to '{route.receiver}'{hint}"
        raise entry.error("receiver", reason)
    if alert.resolved_notification and not known[alert.receiver].send_resolved:
        reason = f"a resolved notification is promised, but receiver '{alert.receiver}' sends none"
        raise entry.error("resolved_notification", reason)


def _shape(entry: Reader, key: str, text: str) -> Shape:
    try:
        return shape(text)
    except PromqlError as error:
        raise entry.error(key, f"is not PromQL: {error}") from error


def _bare(found: Shape) -> Shape:
    while found.kind == "paren":
        found = found.parts[0]
    return found


def _compared(found: Shape) -> tuple[Shape, str, float] | None:
    """
    A plain comparison of a quantity with a number, the number on either side; None for anything else.
    """
    found = _bare(found)
    operator = str(found.facts[0]) if found.kind == "binary" else ""
    if operator not in _MIRRORED or found.facts[1:]:
        return None
    left, right = map(_bare, found.parts)
    if right.kind == "number":
        return left, operator, _value(str(right.facts[0]))
    if left.kind == "number":
        return right, _MIRRORED[operator], _value(str(left.facts[0]))
    return None


def _value(text: str) -> float:
    return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)


def _period(entry: Reader, key: str) -> timedelta:
    found = entry.duration(key)
    if not found:
        raise entry.error(key, "an interval cannot be zero")
    return found


def _port(entry: Reader) -> int:
    port = entry.whole("port", least=1)
    if port > 65535:
        raise entry.error("port", f"{port} is not a port (1 to 65535)")
    return port


def _promise(entry: Reader) -> Promise:
    return Promise(level=entry.choice("level", Level), promise=entry.text("promise"), document=entry.document())


def _one_part(
    entry: Reader, readers: Sequence[Reader], corrections: Sequence[Correction], *, part: str, differs: bool
) -> None:
    for reader, correction in zip(readers, corrections, strict=True):
        if correction.part != part:
            raise reader.error("part", f"'{correction.part}' is not a part here ({part})")
    if differs and not corrections:
        raise entry.error("", f"the shipped {part} differs from the documented one, and no correction says why")
    if corrections and not differs:
        raise entry.error("corrections", f"the {part} does not differ from the documented one")


def _logs(document: Reader) -> Logs:
    form = document.mapping("format")
    fields = form.sequence("fields")
    levels = document.sequence("levels")
    queries = document.sequence("queries")
    ledger = document.mapping("ledger")
    logs = Logs(
        format=LogFormat(
            fields=tuple(
                LogField(name=each.name("name"), kind=each.choice("kind", FieldKind), nullable=each.flag("nullable"))
                for each in fields
            ),
            levels=form.texts("levels"),
            services=form.texts("services"),
            level=form.choice("level", Level),
            promise=form.text("promise"),
            document=form.document(),
        ),
        levels=tuple(
            LevelPromise(
                variable=each.name("variable"),
                services=each.texts("services"),
                level=each.choice("level", Level),
                promise=each.text("promise"),
                document=each.document(),
            )
            for each in levels
        ),
        queries=tuple(_log_query(each) for each in queries),
        ledger=_promise(ledger),
    )
    document.finish()
    known = [each.name for each in logs.format.fields]
    _distinct(fields, "name", known)
    _distinct(queries, "name", [each.name for each in logs.queries])
    _distinct(levels, "variable", [each.variable for each in logs.levels])
    for entry, promise in zip(levels, logs.levels, strict=True):
        for service in promise.services:
            if service not in logs.format.services:
                meant = near_miss(service, logs.format.services) or f" {listed(logs.format.services)}"
                raise entry.error("services", f"no service '{service}' logs{meant}")
    for entry, query in zip(queries, logs.queries, strict=True):
        name = query.selects.field
        if name not in known:
            raise entry.error("selects", f"a line has no field '{name}'{near_miss(name, known) or f' {listed(known)}'}")
    return logs


def _log_query(entry: Reader) -> LogQuery:
    corrections = entry.sequence("corrections") if entry.has("corrections") else ()
    query = LogQuery(
        name=entry.name("name"),
        documented=entry.text("documented"),
        shipped=entry.text("shipped"),
        selects=_selection(entry.mapping("selects")),
        window=_period(entry, "window") if entry.has("window") else None,
        corrections=tuple(_correction(each) for each in corrections),
        level=entry.choice("level", Level),
        promise=entry.text("promise"),
        document=entry.document(),
    )
    entry.finish()
    _one_part(entry, corrections, query.corrections, part="query", differs=query.documented != query.shipped)
    for key in ("documented", "shipped"):
        try:
            narrowed(entry.text(key), cell="any")
        except LogqlError as error:
            raise entry.error(key, str(error)) from error
    return query


def _selection(entry: Reader) -> Selection:
    if entry.has("any_of") is entry.has("above"):
        raise entry.error("", "a selection has either any_of or above")
    return Selection(
        field=entry.name("field"),
        any_of=entry.texts("any_of") if entry.has("any_of") else (),
        above=entry.number("above") if entry.has("above") else None,
    )


def _mutants(document: Reader) -> dict[str, Promise]:
    entries = document.sequence("mutants")
    names = [entry.name("name") for entry in entries]
    said = {name: _promise(entry) for name, entry in zip(names, entries, strict=True)}
    for entry in entries:
        entry.finish()
    _distinct(entries, "name", names)
    document.finish()
    return said


def _agreement(document: Reader) -> dict[str, Promise]:
    said = {name: _promise(document.mapping(name)) for name in AGREEING}
    document.finish()
    return said


def _panels(document: Reader) -> tuple[PanelPromise, ...]:
    entries = document.sequence("panels")
    panels = tuple(
        PanelPromise(
            board=entry.name("board"),
            title=entry.text("title"),
            figure=entry.choice("figure", PanelFigure),
            unit=entry.choice("unit", Unit),
            quiet=entry.flag("quiet") if entry.has("quiet") else False,
            lines=_lines(entry),
            level=entry.choice("level", Level),
            promise=entry.text("promise"),
            document=entry.document(),
        )
        for entry in entries
    )
    document.finish()
    _distinct(entries, "title", [panel.clause_id for panel in panels])
    return panels


def _lines(entry: Reader) -> tuple[str, ...]:
    """What the lines of a panel of several quantities are called; a panel of one has no names to promise."""
    figure = entry.choice("figure", PanelFigure)
    wanted = QUANTITIES.get(figure, ())
    if not wanted and entry.has("lines"):
        raise entry.error("lines", f"{figure} is one quantity; several are shown by {', '.join(sorted(QUANTITIES))}")
    lines = entry.texts("lines") if wanted else ()
    if len(lines) != len(wanted):
        raise entry.error("lines", f"expected {len(wanted)} names ({', '.join(wanted)}), not {list(lines)}")
    return lines


def _health(document: Reader) -> Health:
    services = document.sequence("services")
    probes = document.sequence("probes")
    health = Health(
        path=_path(document, "path"),
        healthy=document.text("healthy"),
        status_healthy=document.whole("status_healthy", least=100),
        status_unhealthy=document.whole("status_unhealthy", least=100),
        services=tuple(
            ServicePromise(
                name=each.name("name"),
                level=each.choice("level", Level),
                promise=each.text("promise"),
                document=each.document(),
            )
            for each in services
        ),
        status=_promise(document.mapping("status")),
        probes=tuple(_probe(each) for each in probes),
        uptime=_promise(document.mapping("uptime")),
    )
    document.finish()
    known = [each.name for each in health.services]
    _distinct(services, "name", known)
    _distinct(probes, "name", [each.name for each in health.probes])
    for entry, probe in zip(probes, health.probes, strict=True):
        for need in probe.needs:
            if need not in known:
                raise entry.error(
                    "needs", f"there is no service '{need}'{near_miss(need, known) or f' {listed(known)}'}"
                )
    return health


def _probe(entry: Reader) -> ProbePromise:
    corrections = entry.sequence("corrections") if entry.has("corrections") else ()
    probe = ProbePromise(
        name=entry.name("name"),
        documented_path=_path(entry, "documented_path"),
        shipped_path=_path(entry, "shipped_path"),
        initial_delay=entry.duration("initial_delay"),
        period=_period(entry, "period"),
        timeout=_period(entry, "timeout"),
        failure_threshold=entry.whole("failure_threshold", least=1),
        success_threshold=entry.whole("success_threshold", least=1),
        decision=_decision(entry.mapping("decision")),
        needs=() if (needs := entry.texts("needs")) == _NO_NEED else needs,
        corrections=tuple(_correction(each) for each in corrections),
        level=entry.choice("level", Level),
        promise=entry.text("promise"),
        document=entry.document(),
    )
    entry.finish()
    if probe.decision.what is Decides.RESTART and probe.success_threshold != 1:
        # The orchestrator itself refuses anything else.
        raise entry.error("success_threshold", f"{probe.success_threshold}, where a probe that restarts has 1")
    differs = probe.documented_path != probe.shipped_path
    _one_part(entry, corrections, probe.corrections, part="path", differs=differs)
    return probe


def _decision(entry: Reader) -> DecisionPromise:
    return DecisionPromise(
        what=entry.choice("what", Decides),
        level=entry.choice("level", Level),
        promise=entry.text("promise"),
        document=entry.document(),
    )


def _path(entry: Reader, key: str) -> str:
    path = entry.text(key)
    if not re.fullmatch(r"/\S*", path):
        raise entry.error(key, f"'{path}' is not a path (like /health)")
    return path


def _traces(document: Reader) -> Traces:
    spans = document.sequence("spans")
    ports = document.sequence("ports")
    ledger = document.mapping("ledger")
    calls = ledger.sequence("calls")
    traces = Traces(
        spans=tuple(
            SpanPromise(
                name=each.name("name"),
                service=each.name("service"),
                attributes=each.texts("attributes"),
                level=each.choice("level", Level),
                promise=each.text("promise"),
                document=each.document(),
            )
            for each in spans
        ),
        ports=tuple(
            PortPromise(
                port=_port(each),
                transport=each.choice("transport", Transport),
                protocol=each.text("protocol"),
                level=each.choice("level", Level),
                promise=each.text("promise"),
                document=each.document(),
            )
            for each in ports
        ),
        ledger=TracedLedger(
            calls=tuple(
                Call(name=each.text("name"), database=each.name("database") if each.has("database") else None)
                for each in calls
            ),
            level=ledger.choice("level", Level),
            promise=ledger.text("promise"),
            document=ledger.document(),
        ),
    )
    document.finish()
    _distinct(spans, "name", [each.name for each in traces.spans])
    _distinct(ports, "port", [str(each.port) for each in traces.ports])
    _distinct(calls, "name", [each.name for each in traces.ledger.calls])
    return traces


def _distinct(entries: Sequence[Reader], key: str, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        first = names.index(name)
        if first != number:
            raise entries[number].error(key, f"'{name}' stands twice, first on line {entries[first].line}")
