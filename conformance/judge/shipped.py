"""Judges that the rule which ships is the documented one, and that Prometheus loaded exactly it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conformance.judge import pace, premise
from conformance.judge.verdict import Finding, broken, holds, unproven
from fixtures.language import rules
from fixtures.language.durations import format_duration
from fixtures.language.promql import PromqlError, shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.contract.model import AlertPromise, Timing
    from conformance.judge.verdict import Verdict
    from conformance.timeline.model import LoadedRule, Timeline
    from fixtures.language.rules import AlertRule


def shipped(alert: AlertPromise, timing: Timing, timeline: Timeline) -> Verdict:
    """
    The file holds the contract's shipped form, and Prometheus says that it loaded that and evaluates it as often.
    """
    clause = f"alert/{alert.name}/shipped"
    if unread := _unread(timeline):
        return unproven(clause, unread)
    if not all(arrival.ok for arrival in timeline.arrivals):
        return unproven(clause, "; ".join(arrival.detail for arrival in timeline.arrivals if not arrival.ok))
    files = _read(timeline.config.rules_shipped)
    given = _read(timeline.config.rules_given)
    found = [(name, rule) for name, file in files.items() for rule in _named(file, alert.name)]
    if len(found) != 1:
        names = sorted(
            {rule.name for file in files.values() for rule in file.rules if isinstance(rule, rules.AlertRule)}
        )
        places = ", ".join(f"{name}:{rule.line}" for name, rule in found) or "none"
        return broken(
            clause,
            "is not in the rule files" if not found else "stands more than once in the rule files",
            Finding(
                expected=f"one alert {alert.name}", observed=f"{places}; alerts there: {', '.join(names) or 'none'}"
            ),
            lasting=True,
        )
    name, rule = found[0]
    findings = [*_against_contract(alert, rule, name), *_of_group(files[name], rule, timing)]
    (given_rule,) = _named(given[name], alert.name)
    loaded = [each for each in timeline.rules if each.kind == "alerting" and each.name == alert.name]
    if len(loaded) != 1:
        findings.append(
            Finding(
                expected=f"one loaded alert {alert.name}",
                observed=f"{len(loaded)} among {len(timeline.rules)} loaded rules",
                query="/api/v1/rules",
            )
        )
    else:
        findings += _against_file(given_rule, loaded[0], f"{name}:{rule.line}")
        findings += _otherwise_paced(files[name], rule, loaded[0], timing, timeline)
    if findings:
        return broken(
            clause,
            f"differs from the document in {len(findings)} parts" if len(findings) > 1 else "differs from the document",
            *findings,
            lasting=True,
        )
    return holds(
        clause,
        observations=len(alert.shipped.parts()) * 2,
        reason=f"{name}:{rule.line}, loaded unchanged but for the tempo",
    )


def undocumented(alerts: Sequence[AlertPromise], timeline: Timeline) -> Verdict:
    """
    The rule files hold the documented alerts and no other, and every rule of theirs is loaded and evaluated.
    """
    clause = "alert/undocumented"
    if unread := _unread(timeline):
        return unproven(clause, unread)
    if not timeline.rules:
        return unproven(clause, "Prometheus listed no rule at all")
    documented = {each.name for each in alerts}
    written = [(name, rule) for name, file in _read(timeline.config.rules_given).items() for rule in file.rules]
    findings = [
        Finding(
            expected=f"no alert but {', '.join(sorted(documented))}", observed=rule.name, location=f"{name}:{rule.line}"
        )
        for name, rule in written
        if isinstance(rule, rules.AlertRule) and rule.name not in documented
    ]
    loaded = Counter(each.name for each in timeline.rules)
    findings += [
        Finding(expected=f"{times} loaded rules {name}", observed=str(loaded[name]), query="/api/v1/rules")
        for name, times in Counter(rule.name for _, rule in written).items()
        if loaded[name] != times
    ]
    findings += [
        Finding(
            expected=f"{each.name} is evaluated: health ok",
            observed=f"{each.health or 'unknown'}: {each.last_error}",
            query="/api/v1/rules",
        )
        for each in timeline.rules
        if each.health != "ok" or each.last_error
    ]
    if findings:
        return broken(clause, "holds more than is documented, or what is not evaluated", *findings, lasting=True)
    return holds(
        clause,
        observations=len(written),
        reason=f"{len(written)} rules, each loaded and evaluated, and no alert that is not documented",
    )


def _unread(timeline: Timeline) -> str:
    """Why what was loaded could not be read for sure; empty where it could."""
    return "; ".join(each for each in (*premise.deaths(timeline), *timeline.troubles, timeline.interrupted) if each)


def _read(texts: Mapping[str, str]) -> dict[str, rules.RuleFile]:
    return {name: rules.load(text, file=name) for name, text in texts.items()}


def _named(file: rules.RuleFile, name: str) -> list[AlertRule]:
    return [rule for rule in file.rules if isinstance(rule, rules.AlertRule) and rule.name == name]


def same(left: str, right: str) -> bool:
    """Whether two expressions mean the same, whatever their spaces and brackets around a whole."""
    try:
        return shape(left) == shape(right)
    except PromqlError:
        return " ".join(left.split()) == " ".join(right.split())


def _against_contract(alert: AlertPromise, rule: AlertRule, file: str) -> Iterator[Finding]:
    def place(part: str) -> str:
        return f"{file}:{rule.places[part].line}" if part in rule.places else f"{file}:{rule.line}"

    form = alert.shipped
    if not same(form.expr, rule.expr):
        yield Finding(expected=f"expr {_line(form.expr)}", observed=_line(rule.expr), location=place("expr"))
    if form.for_ != rule.for_:
        yield Finding(
            expected=f"for {format_duration(form.for_)}", observed=format_duration(rule.for_), location=place("for")
        )
    if rule.keep_firing_for:
        yield Finding(
            expected="no keep_firing_for",
            observed=format_duration(rule.keep_firing_for),
            location=place("keep_firing_for"),
        )
    for kind, wanted, there in (
        ("labels", form.labels, rule.labels),
        ("annotations", form.annotations, rule.annotations),
    ):
        for key in sorted({*wanted, *there}):
            if wanted.get(key) != there.get(key):
                yield Finding(
                    expected=f"{kind}.{key} {_shown(wanted.get(key))}",
                    observed=_shown(there.get(key)),
                    location=place(f"{kind}.{key}"),
                )


def _of_group(file: rules.RuleFile, rule: AlertRule, timing: Timing) -> Iterator[Finding]:
    """What the rule's group changes about when it is evaluated, and how many alerts it may raise."""
    group = next(each for each in file.groups if rule in each.rules)
    usual = timing.evaluation_interval
    if group.interval is not None and group.interval != usual:
        yield Finding(
            expected=f"evaluated every {format_duration(usual)}, as everything is",
            observed=f"group {group.name} is evaluated every {format_duration(group.interval)}",
            location=f"{file.file}:{group.line}",
        )
    if group.query_offset:
        yield Finding(
            expected="looks at the present: no query_offset",
            observed=f"group {group.name} looks {format_duration(group.query_offset)} back",
            location=f"{file.file}:{group.line}",
        )
    if group.limit:
        yield Finding(
            expected="no limit of alerts",
            observed=f"group {group.name} has limit {group.limit}: beyond it none of its alerts fires",
            location=f"{file.file}:{group.line}",
        )


def _otherwise_paced(
    file: rules.RuleFile, rule: AlertRule, loaded: LoadedRule, timing: Timing, timeline: Timeline
) -> Iterator[Finding]:
    """Where Prometheus says that it evaluates the rule more or less often than its group, else the document, has it."""
    group = next(each for each in file.groups if rule in each.rules)
    wanted = (group.interval or timing.evaluation_interval).total_seconds() / timeline.tempo
    if loaded.interval is not None and not pace.same(loaded.interval, wanted):
        yield Finding(
            expected=f"group {group.name} is evaluated {pace.every(wanted, timeline)}",
            observed=pace.every(loaded.interval, timeline),
            query="/api/v1/rules",
            location=f"{file.file}:{group.line}",
        )


def _against_file(given: AlertRule, loaded: LoadedRule, place: str) -> Iterator[Finding]:
    query = "/api/v1/rules"
    if not same(given.expr, loaded.expr):
        yield Finding(
            expected=f"loaded expr {_line(given.expr)}", observed=_line(loaded.expr), query=query, location=place
        )
    if abs(given.for_.total_seconds() - loaded.for_seconds) > 0.0005:
        yield Finding(
            expected=f"loaded for {given.for_.total_seconds():g} s",
            observed=f"{loaded.for_seconds:g} s",
            query=query,
            location=place,
        )
    if dict(given.labels) != dict(loaded.labels):
        yield Finding(
            expected=f"loaded labels {dict(given.labels)}",
            observed=str(dict(loaded.labels)),
            query=query,
            location=place,
        )
    if dict(given.annotations) != dict(loaded.annotations):
        yield Finding(
            expected=f"loaded annotations {dict(given.annotations)}",
            observed=str(dict(loaded.annotations)),
            query=query,
            location=place,
        )
    if loaded.health not in ("ok", "unknown") or loaded.last_error:
        yield Finding(
            expected="health ok", observed=f"{loaded.health}: {loaded.last_error}", query=query, location=place
        )


def _line(expr: str) -> str:
    return " ".join(expr.split())


def _shown(value: str | None) -> str:
    return "absent" if value is None else repr(value)
