"""
The catalogue of deviants: recorded timelines bent in one named way each, and what must then be said of every clause.

A bent rule is given to a small evaluator over the recorded measure, so that its pending and firing samples and its
pages are those that such a rule would have made in that very run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conformance.judge.ladder import ASPECTS
from conformance.selftest.judging import ladders
from conformance.selftest.recording import timelines
from conformance.timeline.model import Arrival, Death, LoadedRule, Measured, Notification, Series, Timeline
from fixtures.language import rules
from fixtures.load.ledger import Ledger, Outcome
from fixtures.stack.tempo import rewrite_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Bend = Callable[[Timeline], Timeline]
    Beyond = Callable[[float], bool]

ALERT, FILE = "HighErrorRate", "alerts.yml"
ABOVE, BELOW, STEADY = "error-rate-above", "error-rate-below", "steady"
FOR, INTERVAL = 5.0, 0.25
"""Real seconds of the alert's `for` and of an evaluation at tempo 60."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviant:
    """
    `bend` is applied to the timelines of `programs`.

    Every clause that neither `broken` nor `unproven` nor `unsupported` names must hold; `words` must appear in what is
    said of those that do not.
    """

    name: str
    programs: tuple[str, ...]
    bend: Bend
    broken: frozenset[str] = frozenset()
    unproven: frozenset[str] = frozenset()
    unsupported: frozenset[str] = frozenset()
    open_: frozenset[str] = frozenset()
    """Clauses that rest on the very samples that are bent: what is said of them is left open."""
    words: tuple[str, ...] = field(default=())

    def bent(self, recorded: Mapping[str, Timeline]) -> dict[str, Timeline]:
        return {name: self.bend(seen) if name in self.programs else seen for name, seen in recorded.items()}


# --- bending ------------------------------------------------------------------------------------------------------


def replayed(
    seen: Timeline, *, beyond: Beyond | None = None, lasts: float = FOR, scale: float | None = 1.0, late: int = 0
) -> Timeline:
    """
    The alert's samples and pages as a rule of that condition would have made them over the (scaled) measure.

    `scale` None takes the measure away; `late` shifts every sample by that many evaluations.
    """
    beyond = beyond or (lambda value: value > 0.1)
    measured = seen.measures[ALERT]
    points = () if scale is None else tuple((at, value * scale) for at, value in measured.points)
    values, since = dict(points), None
    pending: list[float] = []
    firing: list[float] = []
    for at in seen.evaluations:
        if at not in values or not beyond(values[at]):
            since = None
            continue
        since = at if since is None else since
        (firing if at - since >= lasts - 0.001 else pending).append(round(at + late * INTERVAL, 3))
    bent = replace(seen, measures={**seen.measures, ALERT: Measured(query=measured.query, points=points)})
    return _told(sampled(bent, pending, firing), values)


def sampled(seen: Timeline, pending: list[float], firing: list[float], *, alert: str = ALERT) -> Timeline:
    def series(state: str, instants: list[float]) -> Series:
        labels = {"__name__": "ALERTS", "alertname": alert, "alertstate": state, "severity": "warning"}
        return Series(labels=labels, points=tuple((at, 1.0) for at in instants if at <= seen.ended))

    others = tuple(each for each in seen.alerts if each.labels["alertname"] != alert)
    own = (series("pending", pending), series("firing", firing))
    return replace(seen, alerts=(*others, *(each for each in own if each.points)))


def samples(seen: Timeline, state: str, *, alert: str = ALERT) -> list[float]:
    """The instants at which the alert was in that state."""
    wanted = (alert, state)
    own = [each for each in seen.alerts if (each.labels["alertname"], each.labels["alertstate"]) == wanted]
    return sorted(at for each in own for at, _ in each.points)


def _told(seen: Timeline, values: Mapping[float, float]) -> Timeline:
    """One page a second after it fired and one a second after it ended, as Alertmanager's timers have it."""
    firing = samples(seen, "firing")
    pages = []
    if firing:
        shown = values.get(firing[0], 0.0)
        pages.append(page(seen, "firing", at=firing[0] + 1.01, value=shown))
        if firing[-1] + 1.5 * INTERVAL < seen.evaluations[-1]:
            pages.append(page(seen, "resolved", at=firing[-1] + INTERVAL + 0.8, value=shown))
    return replace(seen, notifications=tuple(pages))


def page(seen: Timeline, state: str, *, at: float, value: float, kind: str = "slack") -> Notification:
    """A page in the shipped form."""
    text = (
        f"{state}: {ALERT}\ncluster: {seen.cell}\nseverity: warning\nsummary: High error rate detected\n"
        f"description: Error rate is {value:.2f} errors/sec\n"
    )
    body = {"channel": "#osmen-alerts", "attachments": [{"title": f"[{state}] {ALERT} ({seen.cell})", "text": text}]}
    return Notification(receiver=kind, at=at, accepted=True, status=200, path="/services/T/B/***", body=body)


def shipping(edit: Callable[[str], str], then: Bend = lambda seen: seen) -> Bend:
    """The shipped rules changed, and loaded so; `then` makes what follows from it."""

    def bend(seen: Timeline) -> Timeline:
        was = seen.config.rules_shipped[FILE]
        text = edit(was)
        assert text != was, "the edit changes nothing"
        given = rewrite_rules(text, tempo=seen.tempo, file=FILE)
        (rule,) = (r for r in rules.load(given, file=FILE).rules if isinstance(r, rules.AlertRule) and r.name == ALERT)
        loaded = LoadedRule(
            name=rule.name,
            kind="alerting",
            expr=rule.expr,
            for_seconds=rule.for_.total_seconds(),
            labels=dict(rule.labels),
            annotations=dict(rule.annotations),
            health="ok",
        )
        config = replace(
            seen.config,
            rules_shipped={**seen.config.rules_shipped, FILE: text},
            rules_given={**seen.config.rules_given, FILE: given},
        )
        return then(replace(loading(lambda _: loaded)(seen), config=config))

    return bend


def loading(change: Callable[[LoadedRule], LoadedRule | None], *, alert: str = ALERT) -> Bend:
    """Prometheus says that it loaded something else than the file has."""

    def bend(seen: Timeline) -> Timeline:
        changed = [change(each) if each.name == alert else each for each in seen.rules]
        return replace(seen, rules=tuple(each for each in changed if each is not None))

    return bend


def paging(change: Callable[[Timeline, Notification], tuple[Notification, ...]]) -> Bend:
    """Each page is replaced by those that `change` gives."""

    def bend(seen: Timeline) -> Timeline:
        return replace(seen, notifications=tuple(new for old in seen.notifications for new in change(seen, old)))

    return bend


def saying(pattern: str, instead: str) -> Bend:
    """Another text in every page."""

    def change(_: Timeline, old: Notification) -> tuple[Notification, ...]:
        return (replace(old, body=_each_text(old.body, lambda text: re.sub(pattern, instead, text))),)

    return paging(change)


def _each_text(body: Mapping[str, object], change: Callable[[str], str]) -> dict[str, object]:
    def changed(value: object) -> object:
        if isinstance(value, dict):
            return {key: changed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [changed(each) for each in value]
        return change(value) if isinstance(value, str) else value

    return {key: changed(each) for key, each in body.items()}


def moving(state: str, *, first: int = 0, last: int = 0, alert: str = ALERT) -> Bend:
    """The first or last sample of a state moved by whole evaluations."""

    def bend(seen: Timeline) -> Timeline:
        found, interval = samples(seen, state, alert=alert), seen.evaluation_interval
        begin, end = found[0] + first * interval, found[-1] + last * interval
        steps = round((end - begin) / interval)
        moved = [round(begin + n * interval, 3) for n in range(steps + 1)]
        pending, firing = samples(seen, "pending", alert=alert), samples(seen, "firing", alert=alert)
        if state == "pending":
            return sampled(seen, moved, firing, alert=alert)
        return sampled(seen, [at for at in pending if at < begin], moved, alert=alert)

    return bend


def dying(*components: str) -> Bend:
    """Components ended unbidden in the middle of the run."""

    def bend(seen: Timeline) -> Timeline:
        middle = (seen.begun + seen.ended) / 2
        ends = [
            Death(component=each.format(cell=seen.cell), at=middle, detail="killed by SIGKILL") for each in components
        ]
        return replace(seen, deaths=tuple(ends))

    return bend


def asking(change: Callable[[Ledger], Ledger]) -> Bend:
    """Another ledger."""
    return lambda seen: replace(seen, ledger=change(seen.ledger))


def joined(alert: str) -> Bend:
    """Another alert fires beside this one."""

    def bend(seen: Timeline) -> Timeline:
        firing = samples(seen, "firing", alert=alert)[:3]
        labels = {"__name__": "ALERTS", "alertname": "DiskAlmostFull", "alertstate": "firing"}
        other = Series(labels=labels, points=tuple((at, 1.0) for at in firing))
        return replace(seen, alerts=(*seen.alerts, other))

    return bend


def of_job(job: str, change: Callable[[Series], Series | None]) -> Bend:
    """The samples of `up` of one scrape job changed or taken away."""

    def bend(seen: Timeline) -> Timeline:
        changed = [change(each) if each.labels["job"] == job else each for each in seen.up]
        return replace(seen, up=tuple(each for each in changed if each is not None))

    return bend


def then(*bends: Bend) -> Bend:
    """One after the other."""

    def bend(seen: Timeline) -> Timeline:
        for each in bends:
            seen = each(seen)
        return seen

    return bend


def _down(series: Series) -> Series:
    """One scrape in the middle was not answered."""
    middle = len(series.points) // 2
    return replace(series, points=tuple((at, float(n != middle)) for n, (at, _) in enumerate(series.points)))


def slow(job: str) -> Bend:
    """Every answer of that job takes 200 ms."""

    def bend(seen: Timeline) -> Timeline:
        changed = [
            replace(each, points=tuple((at, 0.2) for at, _ in each.points)) if each.labels["job"] == job else each
            for each in seen.scrape_durations
        ]
        return replace(seen, scrape_durations=tuple(changed))

    return bend


def _gap(seen: Timeline) -> Timeline:
    """Two scrapes in a row left no sample."""

    def change(series: Series) -> Series:
        middle = len(series.points) // 2
        return replace(series, points=(*series.points[:middle], *series.points[middle + 2 :]))

    return of_job("osmen_gateway", change)(seen)


def _without_target(job: str) -> Bend:
    def bend(seen: Timeline) -> Timeline:
        return replace(
            of_job(job, lambda _: None)(seen), targets=tuple(each for each in seen.targets if each.job != job)
        )

    return bend


def pacing(seconds: float, *jobs: str, slower: Mapping[str, float] | None = None, usual: float | None = None) -> Bend:
    """Prometheus says how often it scrapes those jobs, and (`usual`) all others, where the program slows some down."""

    def bend(seen: Timeline) -> Timeline:
        told = tuple(replace(each, scrape_interval=seconds) if each.job in jobs else each for each in seen.targets)
        return replace(seen, targets=told, slower=slower or {}, usual_scrape_interval=usual)

    return bend


def _refusing(_: Timeline, old: Notification) -> tuple[Notification, ...]:
    return (replace(old, accepted=False, status=403),)


def _unasked(alert: str, phase: str) -> Bend:
    """It fires in that phase, the rung below, although its measure is short of the threshold."""

    def bend(seen: Timeline) -> Timeline:
        end = seen.phase(phase).end
        grid = [at for at in seen.evaluations if at < end - 1][-12:]
        control = [at for at in samples(seen, "pending", alert=alert) if at > end]
        return sampled(seen, [*grid[:4], *control], grid[4:], alert=alert)

    return bend


def _swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


# --- the catalogue ------------------------------------------------------------------------------------------------


def _alert(*aspects: str) -> frozenset[str]:
    return frozenset(f"alert/{ALERT}/{aspect}" for aspect in aspects)


def _targets(*jobs: str) -> frozenset[str]:
    return frozenset(f"target/{job}" for job in jobs)


BOTH = (ABOVE, BELOW)
FOLLOWING = ("for", "resolves", "delivered", "alone")
"""What an alert that never fires leaves unproven."""

EXPR = "expr: sum(rate(osmen_errors_total[5m])) > 0.1"

RULES = (
    Deviant(
        name="threshold 0.13",
        programs=BOTH,
        bend=shipping(_swap(EXPR, EXPR + "3"), lambda seen: replayed(seen, beyond=lambda value: value > 0.13)),
        broken=_alert("shipped", "fires-above"),
        unproven=_alert("silent-below", *FOLLOWING),
        words=("> 0.1", "> 0.13", "alerts.yml:", "did not become pending when its measure passed the threshold"),
    ),
    Deviant(
        name="threshold a fifth lower",
        programs=BOTH,
        bend=shipping(
            _swap(EXPR, EXPR.replace("0.1", "0.08")), lambda seen: replayed(seen, beyond=lambda value: value > 0.08)
        ),
        broken=_alert("shipped", "silent-below", "fires-above", "resolves"),
        words=("fired at 0.09 errors/s, where it must be silent", "before its measure passed", "did not end when"),
    ),
    Deviant(
        name="comparison turned round",
        programs=BOTH,
        bend=shipping(
            _swap(EXPR, EXPR.replace(">", "<")), lambda seen: replayed(seen, beyond=lambda value: value < 0.1)
        ),
        broken=_alert("shipped", "silent-below", "fires-above", "resolves"),
        # Whether it fires long enough to be told of depends on where the run began.
        open_=_alert("delivered"),
        words=("< 0.1", "must be silent", "before its measure passed the threshold"),
    ),
    Deviant(
        name="for doubled",
        programs=BOTH,
        bend=shipping(_swap("for: 5m", "for: 10m"), lambda seen: replayed(seen, lasts=2 * FOR)),
        broken=_alert("shipped", "fires-above", "for"),
        unproven=_alert("resolves", "delivered", "alone"),
        words=("for 5m", "10m", "did not fire", "waits longer than documented"),
    ),
    Deviant(
        name="for halved",
        programs=BOTH,
        bend=shipping(_swap("for: 5m", "for: 2m30s"), lambda seen: replayed(seen, lasts=FOR / 2)),
        broken=_alert("shipped", "for"),
        words=("2m30s", "waits shorter than documented", "2.500 s"),
    ),
    Deviant(
        name="severity swapped",
        programs=BOTH,
        bend=shipping(
            _swap("severity: warning", "severity: critical"),
            then(
                saying("severity: warning", "severity: critical"),
                paging(lambda _, old: (replace(old, receiver="pagerduty"),)),
            ),
        ),
        broken=_alert("shipped", "delivered"),
        words=("labels.severity 'warning'", "'critical'", "was delivered to the wrong receiver", "pagerduty"),
    ),
    Deviant(
        name="annotation changed",
        programs=BOTH,
        bend=shipping(_swap("High error rate detected", "Errors"), saying("High error rate detected", "Errors")),
        broken=_alert("shipped", "delivered"),
        words=("annotations.summary 'High error rate detected'", "carries the summary"),
    ),
    Deviant(
        name="rule missing from its file",
        programs=BOTH,
        bend=lambda seen: replace(
            seen,
            config=replace(seen.config, rules_shipped={"recording.yml": seen.config.rules_shipped["recording.yml"]}),
        ),
        broken=_alert("shipped"),
        words=("is not in the rule files",),
    ),
    Deviant(
        name="loaded rule waits longer than its file",
        programs=BOTH,
        bend=loading(lambda rule: replace(rule, for_seconds=6.0)),
        broken=_alert("shipped"),
        words=("loaded for 5 s", "6 s", "/api/v1/rules"),
    ),
    Deviant(
        name="rule evaluated half as often",
        programs=BOTH,
        bend=loading(lambda rule: replace(rule, interval=2 * INTERVAL)),
        broken=_alert("shipped"),
        words=(
            "group osmen_alerts is evaluated every 15s (0.25 s at tempo 60)",
            "every 30s (0.5 s at tempo 60)",
            "/api/v1/rules",
        ),
    ),
    Deviant(
        name="rule evaluated twice as often",
        programs=BOTH,
        bend=loading(lambda rule: replace(rule, interval=INTERVAL / 2)),
        broken=_alert("shipped"),
        words=("every 7s500ms (0.125 s at tempo 60)",),
    ),
    Deviant(
        name="rule evaluated as often as documented",
        programs=BOTH,
        bend=loading(lambda rule: replace(rule, interval=INTERVAL)),
    ),
    Deviant(
        name="rule evaluated with an error",
        programs=BOTH,
        bend=loading(lambda rule: replace(rule, health="err", last_error="found duplicate series")),
        broken=_alert("shipped"),
        words=("health ok", "found duplicate series"),
    ),
)


def _counted_late(seen: Timeline, evaluations: int) -> Timeline:
    """The measure as of a gateway that counts what it answered so much later."""
    measured = seen.measures[ALERT]
    values = [value for _, value in measured.points]
    moved = [0.0] * evaluations + values[: len(values) - evaluations]
    points = tuple((at, value) for (at, _), value in zip(measured.points, moved, strict=True))
    return replace(seen, measures={**seen.measures, ALERT: replace(measured, points=points)})


def _also(text: str) -> Callable[[str], str]:
    """The rule file with these lines at the end of its last group."""
    return lambda was: f"{was.rstrip()}\n\n{text}"


BESIDE = (
    Deviant(
        name="an alert that nobody documented",
        programs=("steady",),
        bend=shipping(
            _also("      - alert: HighErrorRateCritical\n        expr: sum(rate(osmen_errors_total[5m])) > 1\n")
        ),
        broken=frozenset({"alert/undocumented"}),
        words=("HighErrorRateCritical", "no alert but DatabasePoolExhausted"),
    ),
    Deviant(
        name="a recording rule that fails",
        programs=("steady",),
        bend=lambda seen: replace(
            seen,
            rules=tuple(
                replace(each, health="err", last_error="many-to-many") if each.kind == "recording" else each
                for each in seen.rules
            ),
        ),
        broken=frozenset({"alert/undocumented"}),
        words=("osmen:errors:rate5m is evaluated: health ok", "many-to-many"),
    ),
    Deviant(
        name="a rule that is not loaded",
        programs=("steady",),
        bend=lambda seen: replace(seen, rules=tuple(each for each in seen.rules if each.kind == "alerting")),
        broken=frozenset({"alert/undocumented"}),
        words=("1 loaded rules osmen:errors:rate5m",),
    ),
)

SUBJECTS = (
    Deviant(
        name="metric renamed",
        programs=BOTH,
        bend=lambda seen: replayed(seen, scale=None),
        broken=_alert("fires-above"),
        unproven=_alert("silent-below", *FOLLOWING),
        words=("its own metric never passed the threshold", "gave no value at all"),
    ),
    Deviant(
        name="every third error not counted",
        programs=BOTH,
        bend=lambda seen: replayed(seen, scale=2 / 3),
        broken=_alert("fires-above"),
        unproven=_alert("silent-below", *FOLLOWING),
        words=("its own metric never passed the threshold", "errors/s during above ("),
    ),
    Deviant(
        name="each error counted twice",
        programs=BOTH,
        bend=lambda seen: replayed(seen, scale=2.0),
        broken=_alert("silent-below"),
        words=("fired at 0.09 errors/s", "errors/s during below ("),
    ),
    Deviant(
        name="errors counted five evaluations late",
        programs=(ABOVE,),
        bend=lambda seen: replayed(_counted_late(seen, 5)),
        broken=_alert("fires-above"),
        words=("after the clients had seen it passed", "the clients saw it passed at"),
    ),
    Deviant(
        name="errors counted on after healing",
        programs=(ABOVE,),
        bend=lambda seen: replace(
            replayed(
                replace(
                    seen,
                    measures={
                        ALERT: Measured(
                            query=seen.measures[ALERT].query,
                            points=tuple(
                                (at, value if at < seen.phase("recovery").start else 0.11)
                                for at, value in seen.measures[ALERT].points
                            ),
                        )
                    },
                )
            ),
        ),
        broken=_alert("resolves"),
        unproven=_alert("delivered"),
        words=("its own metric did not return after healing", "was firing still when the run ended"),
    ),
)


def of_alert(alert: str, *, above: str, below: str, rung: str) -> tuple[Deviant, ...]:
    """
    The behaviours that break each clause of any alert once, for its programs above and below its threshold.

    What an alert that is judged in that pair of programs needs in this catalogue; its rule's own bends come on top.
    """

    def deviant(what: str, programs: tuple[str, ...], bend: Bend, aspect: str, *words: str) -> Deviant:
        broken = frozenset({f"alert/{alert}/{aspect}"})
        # Where one program is below and above in turn, one history holds both.
        # And a page carries the value at the evaluation of the change, which moves here while the page stays.
        others = ASPECTS if above == below else ("delivered",) if aspect in ("fires-above", "for", "resolves") else ()
        shared = frozenset(f"alert/{alert}/{each}" for each in others) - broken
        return Deviant(name=f"{alert} {what}", programs=programs, bend=bend, broken=broken, open_=shared, words=words)

    early = then(moving("pending", first=-3, last=-3, alert=alert), moving("firing", first=-3, alert=alert))
    return (
        deviant(
            "is not loaded",
            tuple({above, below}),
            loading(lambda _: None, alert=alert),
            "shipped",
            f"one loaded alert {alert}",
            "0 among",
        ),
        deviant(
            "fires below without a cause",
            (below,),
            _unasked(alert, rung),
            "silent-below",
            "no firing sample between",
        ),
        deviant(
            "is pending before its measure passes",
            (above,),
            early,
            "fires-above",
            "before its measure passed the threshold",
        ),
        deviant(
            "fires one evaluation early",
            (above,),
            moving("firing", first=-1, alert=alert),
            "for",
            "waits shorter than documented",
        ),
        deviant(
            "fires two evaluations late",
            (above,),
            then(moving("pending", last=2, alert=alert), moving("firing", first=2, alert=alert)),
            "for",
            "waits longer than documented",
        ),
        deviant(
            "ends three evaluations late",
            (above,),
            moving("firing", last=3, alert=alert),
            "resolves",
            "did not end when its measure was back",
        ),
        deviant(
            "ends three evaluations early",
            (above,),
            moving("firing", last=-3, alert=alert),
            "resolves",
            "ended before its measure was back",
        ),
        deviant(
            "fires with another",
            (above,),
            joined(alert),
            "alone",
            "something else fired with it",
            "DiskAlmostFull firing from",
        ),
        deviant(
            "is told late",
            (above, below),
            paging(lambda _, old: (replace(old, at=old.at + 3.5),)),
            "delivered",
            "s late",
        ),
        deviant(
            "is told before it changed",
            (above, below),
            paging(lambda _, old: (replace(old, at=old.at - 2),)),
            "delivered",
            "before the alert changed",
        ),
        deviant(
            "is told to nobody",
            (above, below),
            paging(lambda *_: ()),
            "delivered",
            "was not delivered",
        ),
        deviant(
            "is told with a value that it never had",
            (above, below),
            saying(r"\d+\.\d\d(?=\D)", "77.77"),
            "delivered",
            "carries the description",
        ),
        deviant(
            "is told twice",
            (above, below),
            paging(lambda _, old: (old, replace(old, at=old.at + 0.2))),
            "delivered",
            "2 of them",
        ),
    )


BEHAVIOUR = (
    *(
        deviant
        for ladder in ladders()
        if {ladder.above, ladder.below} <= set(timelines())
        for deviant in of_alert(ladder.alert, above=ladder.above, below=ladder.below, rung=ladder.rung)
    ),
    Deviant(
        name="pending three evaluations late",
        programs=(ABOVE,),
        bend=lambda seen: moving("firing", last=-3)(replayed(seen, late=3)),
        broken=_alert("fires-above"),
        words=("did not become pending when its measure passed the threshold",),
    ),
)


def routing(pattern: str, text: str) -> Bend:
    """Alertmanager's shipped text with the first match replaced; what it did stays as recorded."""

    def bend(seen: Timeline) -> Timeline:
        shipped, found = re.subn(pattern, text, seen.config.alertmanager_shipped, count=1)
        assert found, f"{pattern!r} does not stand in the recorded alertmanager.yml"
        return replace(seen, config=replace(seen.config, alertmanager_shipped=shipped))

    return bend


def grouping(*lines: str) -> Bend:
    """The rule's group with these keys in its shipped file; what it did stays as recorded."""

    def bend(seen: Timeline) -> Timeline:
        name = "- name: osmen_alerts\n"
        files = {
            file: text.replace(name, name + "".join(f"    {line}\n" for line in lines))
            for file, text in seen.config.rules_shipped.items()
        }
        return replace(seen, config=replace(seen.config, rules_shipped=files))

    return bend


def titled(title: str) -> Bend:
    """Another title in every message, behind its state; the text stays."""
    return saying(rf"^\[(firing|resolved)\] {ALERT} \((.+)\)$", title)


def _payload(old: Notification) -> dict[str, object]:
    payload = old.body["payload"]
    assert isinstance(payload, dict)
    return payload


def _stateless(old: Notification) -> Notification:
    """Without the state in what is read; Alertmanager fills the fallback by itself."""
    text = json.dumps(old.body)
    found = re.search(r"firing|resolved", text)
    assert found is not None
    body = json.loads(re.sub(r"\[(firing|resolved)\] |(firing|resolved): ", "", text))
    fallback = {"fallback": f"[{found[0].upper()}:1] {ALERT} (warning)"}
    return replace(old, body={**body, "attachments": [{**each, **fallback} for each in body["attachments"]]})


PAGES = (
    Deviant(
        name="receiver URL wrong",
        programs=BOTH,
        bend=then(
            paging(lambda *_: ()),
            lambda seen: replace(
                seen,
                config=replace(
                    seen.config,
                    alertmanager_shipped=seen.config.alertmanager_shipped.replace("hooks.slack.com", "hooks.slak.com"),
                ),
            ),
        ),
        broken=_alert("delivered"),
        words=("was not delivered", "does not name https://hooks.slack.com/services"),
    ),
    Deviant(
        name="another channel",
        programs=BOTH,
        bend=paging(lambda _, old: (replace(old, body={**old.body, "channel": "#random"}),)),
        broken=_alert("delivered"),
        words=("a notification to channel #osmen-alerts", "to #random"),
    ),
    Deviant(
        name="a title that every alert has",
        programs=BOTH,
        bend=titled(r"[\1] OsMEN alert"),
        broken=_alert("delivered"),
        words=("a notification whose title names HighErrorRate", "'[firing] OsMEN alert'"),
    ),
    Deviant(
        name="a title that is another alert's",
        programs=BOTH,
        bend=titled(rf"[\1] {ALERT}Critical (\2)"),
        broken=_alert("delivered"),
        words=("a notification whose title names HighErrorRate", "HighErrorRateCritical"),
    ),
    Deviant(
        name="a message without a title",
        programs=BOTH,
        bend=titled(""),
        broken=_alert("delivered"),
        words=("a notification whose title names HighErrorRate",),
    ),
    Deviant(
        name="the title that Alertmanager gives by itself",
        programs=BOTH,
        # But for the state, which stands in capitals there.
        bend=titled(rf"[\1:1] {ALERT} \2 (warning)"),
    ),
    Deviant(
        name="a title that is the alert's summary",
        programs=BOTH,
        bend=titled(r"[\1] High error rate detected (\2)"),
    ),
    Deviant(
        name="a summary that every alert has",
        programs=("service-down",),
        bend=paging(
            lambda _, old: (replace(old, body={**old.body, "payload": {**_payload(old), "summary": "OsMEN alert"}}),)
        ),
        broken=frozenset({"alert/ServiceDown/delivered"}),
        words=("a notification whose summary names ServiceDown", "'OsMEN alert'"),
    ),
    Deviant(
        name="a message whose words do not say which state",
        programs=BOTH,
        bend=paging(lambda _, old: (_stateless(old),)),
        broken=_alert("delivered"),
        words=("a notification that says whether the alert is firing or resolved",),
    ),
    Deviant(
        name="a wait that no tempo shows",
        programs=BOTH,
        bend=routing(r"group_wait: 10s", "group_wait: 1m"),
        broken=_alert("delivered"),
        words=("group_wait 10s on the way to slack", "1m"),
    ),
    Deviant(
        name="clusters told together",
        programs=BOTH,
        bend=routing(r"group_by: .*", "group_by: [alertname]"),
        broken=_alert("delivered"),
        words=("group_by [alertname, cluster] on the way to slack",),
    ),
    Deviant(
        name="a group that is looked at every minute",
        programs=(ABOVE,),
        bend=grouping("interval: 1m", "query_offset: 30s", "limit: 1"),
        broken=_alert("shipped"),
        words=("group osmen_alerts is evaluated every 1m", "looks 30s back", "has limit 1"),
    ),
    Deviant(
        name="a group that is looked at every minute, and loaded so",
        programs=(ABOVE,),
        bend=then(grouping("interval: 1m"), loading(lambda rule: replace(rule, interval=1.0))),
        broken=_alert("shipped"),
        # That Prometheus does as the file says is no second difference.
        words=("differs from the document\n", "evaluated every 15s, as everything is"),
    ),
    Deviant(
        name="send_resolved false",
        programs=BOTH,
        bend=paging(lambda _, old: () if "resolved" in str(old.body) else (old,)),
        broken=_alert("delivered"),
        words=("one resolved notification at slack", "was not delivered"),
    ),
    Deviant(
        name="the end of a slow answer told to nobody",
        programs=("response-time-above",),
        bend=paging(lambda _, old: () if "resolved" in str(old.body) else (old,)),
        broken=frozenset({"alert/HighResponseTime/delivered"}),
        words=("one resolved notification at slack", "was not delivered"),
    ),
    Deviant(
        name="told to a second receiver as well",
        programs=BOTH,
        bend=paging(lambda _, old: (old, replace(old, receiver="email"))),
        broken=_alert("delivered"),
        words=("no notification at another receiver than slack", "reached email"),
    ),
    Deviant(
        name="told late",
        programs=BOTH,
        bend=paging(lambda _, old: (replace(old, at=old.at + 2.5),)),
        broken=_alert("delivered"),
        words=("s late", "group_wait 1 s + 2 s"),
    ),
    Deviant(
        name="told before it changed",
        programs=BOTH,
        bend=paging(lambda _, old: (replace(old, at=old.at - 2),)),
        broken=_alert("delivered"),
        words=("before the alert changed",),
    ),
    Deviant(
        name="refused by the receiver",
        programs=BOTH,
        bend=paging(_refusing),
        broken=_alert("delivered"),
        words=("was not delivered", "refused (403 at"),
    ),
    Deviant(
        name="a value that the rule never had",
        programs=BOTH,
        bend=saying(r"\d\.\d\d errors", "0.31 errors"),
        broken=_alert("delivered"),
        words=("carries the description", "0.31"),
    ),
    Deviant(
        name="a page about something else",
        programs=BOTH,
        bend=paging(
            lambda _, old: (
                old,
                replace(old, body=_each_text(old.body, lambda text: text.replace(ALERT, "DiskAlmostFull"))),
            )
        ),
        broken=_alert("alone"),
        words=("no page about error-rate-above but of HighErrorRate", "DiskAlmostFull"),
    ),
    Deviant(
        name="a page that does not say which state",
        programs=BOTH,
        bend=saying(r"firing|resolved", "update"),
        broken=_alert("delivered"),
        words=("says neither",),
    ),
)

JOBS = ("osmen_gateway", "osmen_postgres", "osmen_redis", "docker")
SLOWER = dict.fromkeys(JOBS[1:], 2 * INTERVAL)
"""What the steady program scrapes half as often as the document has it."""

TARGETS = tuple(
    deviant
    for job in JOBS
    for deviant in (
        Deviant(
            name=f"{job} scraped half as often",
            programs=(STEADY,),
            bend=pacing(2 * INTERVAL, job),
            broken=_targets(job),
            words=("is not scraped as often as documented", "every 15s (0.25 s at tempo 60)", "every 30s (0.5 s at"),
        ),
        Deviant(
            name=f"{job} scraped twice as often",
            programs=(STEADY,),
            bend=pacing(INTERVAL / 2, job),
            broken=_targets(job),
            words=("is not scraped as often as documented", "every 7s500ms"),
        ),
        Deviant(
            name=f"{job} not scraped",
            programs=(STEADY,),
            bend=_without_target(job),
            broken=_targets(job),
            words=("Prometheus has no such job", f"a target of job {job}"),
        ),
        Deviant(
            name=f"one scrape of {job} failed",
            programs=(STEADY,),
            bend=of_job(job, _down),
            broken=_targets(job),
            words=("does not answer every scrape", "1 of", f'up{{job="{job}"}}'),
        ),
        Deviant(
            name=f"{job} listed as up without a sample",
            programs=(STEADY,),
            bend=of_job(job, lambda _: None),
            unproven=_targets(job),
            words=("rests on no observation",),
        ),
    )
)

EVERY_ALERT = _alert("shipped", "silent-below", "fires-above", *FOLLOWING)
JUDGED_LIVE = EVERY_ALERT - _alert("shipped")
EVERY_TARGET = _targets("osmen_gateway", "osmen_postgres", "osmen_redis", "docker")

PACES = (
    Deviant(
        name="scraped as often as documented",
        programs=(STEADY,),
        bend=pacing(INTERVAL, *JOBS),
    ),
    Deviant(
        name="jobs that the program slows down",
        programs=(STEADY,),
        bend=then(pacing(INTERVAL, JOBS[0]), pacing(2 * INTERVAL, *JOBS[1:], slower=SLOWER, usual=INTERVAL)),
    ),
    Deviant(
        name="another interval behind one that the program slows down",
        programs=(STEADY,),
        bend=pacing(2 * INTERVAL, *JOBS, slower=SLOWER, usual=2 * INTERVAL),
        broken=_targets(*JOBS),
        words=("what the run does not slow down is scraped every 15s", "/api/v1/status/config", "/api/v1/targets"),
    ),
    Deviant(
        name="a job slowed down further than the program has it",
        programs=(STEADY,),
        bend=then(pacing(2 * INTERVAL, *JOBS[1:]), pacing(1.5, JOBS[1], slower=SLOWER, usual=INTERVAL)),
        broken=_targets(JOBS[1]),
        words=("every 30s (0.5 s at tempo 60)", "every 1m30s (1.5 s at tempo 60)"),
    ),
)

PREMISES = (
    Deviant(
        name="both Prometheus died",
        programs=BOTH,
        bend=dying("prometheus-{cell}"),
        unproven=EVERY_ALERT,
        words=("prometheus-error-rate-above died during the run (killed by SIGKILL)",),
    ),
    Deviant(
        name="both gateways died",
        programs=BOTH,
        bend=dying("gateway-{cell}"),
        unproven=EVERY_ALERT,
        words=("gateway-error-rate-below died during the run",),
    ),
    *(
        Deviant(
            name=f"{component} died",
            programs=BOTH,
            bend=dying(component),
            unproven=JUDGED_LIVE,
            words=(f"{component} died during the run",),
        )
        for component in ("alertmanager", "receivers")
    ),
    *(
        Deviant(
            name=f"{component} died",
            programs=BOTH,
            bend=dying(component),
            unproven=EVERY_ALERT,
            words=(f"{component} died during the run",),
        )
        for component in ("upstream", "postgres")
    ),
    Deviant(
        name="a component that nothing rests on died",
        programs=(*BOTH, STEADY),
        bend=dying("n8n"),
    ),
    Deviant(
        name="cAdvisor died",
        programs=(STEADY,),
        bend=dying("cadvisor"),
        unproven=_targets("docker"),
        words=("cadvisor died during the run",),
    ),
    Deviant(
        name="two targets slow at one moment",
        programs=(STEADY,),
        bend=then(of_job("osmen_gateway", _down), slow("osmen_redis")),
        unproven=_targets("osmen_gateway"),
        words=("the machine was too busy: 1 of", "osmen_redis took up to 200 ms, more than half of the interval"),
    ),
    Deviant(
        name="no control group",
        programs=(STEADY,),
        bend=lambda seen: replace(seen, stand_ins={"docker": "a stand-in: /sys/fs/cgroup/x: Permission denied"}),
        unsupported=_targets("docker"),
        words=("/sys/fs/cgroup/x: Permission denied",),
    ),
    Deviant(
        name="no control group for the ballast",
        programs=("memory",),
        bend=lambda seen: replace(
            seen,
            stand_ins={"docker": "a stand-in: /sys/fs/cgroup/x: Permission denied"},
            interrupted="the ballast answered 409",
        ),
        unsupported=frozenset(f"alert/HighMemoryUsage/{each}" for each in ("silent-below", "fires-above", *FOLLOWING)),
        words=("/sys/fs/cgroup/x: Permission denied",),
    ),
    Deviant(
        name="an empty history of alerts",
        programs=BOTH,
        bend=lambda seen: replace(seen, alerts=(), notifications=()),
        broken=_alert("fires-above"),
        unproven=_alert("silent-below", *FOLLOWING),
        words=("inactive until", "the measure passed it at"),
    ),
    Deviant(
        name="a backend that answers nothing",
        programs=BOTH,
        bend=lambda seen: replace(
            seen, alerts=(), up=(), scrape_durations=(), measures={}, evaluations=(), notifications=()
        ),
        unproven=JUDGED_LIVE,
        words=("no target was scraped",),
    ),
    Deviant(
        name="a backend that could not be read",
        programs=(*BOTH, STEADY),
        bend=lambda seen: replace(seen, troubles=("prometheus: GET /api/v1/rules: 503 starting up",)),
        unproven=EVERY_ALERT | EVERY_TARGET | {"alert/undocumented"},
        words=("503 starting up",),
    ),
    Deviant(
        name="a backend that lags behind",
        programs=(*BOTH, STEADY),
        bend=lambda seen: replace(
            seen, arrivals=(Arrival(backend="prometheus", ok=False, seconds=15.0, detail="last scrape is old"),)
        ),
        unproven=EVERY_ALERT | EVERY_TARGET,
        words=("last scrape is old",),
    ),
    Deviant(
        name="broken off",
        programs=(*BOTH, STEADY),
        bend=lambda seen: replace(seen, interrupted="it was broken off"),
        unproven=EVERY_ALERT | EVERY_TARGET | {"alert/undocumented"},
        words=("it was broken off",),
    ),
    Deviant(
        name="no load",
        programs=BOTH,
        bend=asking(lambda _: Ledger(requests=())),
        unproven=JUDGED_LIVE,
        words=("the load did not flow: none of",),
    ),
    Deviant(
        name="a twentieth of the load missing",
        programs=BOTH,
        bend=asking(lambda all_: Ledger(requests=tuple(each for n, each in enumerate(all_.requests) if n % 20))),
        unproven=JUDGED_LIVE,
        words=("the load did not flow evenly",),
    ),
    Deviant(
        name="late load",
        programs=BOTH,
        bend=asking(lambda all_: Ledger(requests=tuple(replace(each, sent=each.due + 0.4) for each in all_.requests))),
        unproven=JUDGED_LIVE,
        words=("the load was late: its 99th percentile went out 400 ms after it was due",),
    ),
    Deviant(
        name="a request without an answer",
        programs=BOTH,
        bend=asking(
            lambda all_: Ledger(
                requests=(
                    replace(all_.requests[0], outcome=Outcome.LOST, status=None, error="gave up"),
                    *all_.requests[1:],
                )
            )
        ),
        unproven=JUDGED_LIVE,
        words=("requests got no answer (the first: gave up)",),
    ),
    Deviant(
        name="a fault that did not bite",
        programs=BOTH,
        bend=asking(
            lambda all_: Ledger(requests=tuple(replace(each, outcome=Outcome.SUCCESS) for each in all_.requests))
        ),
        unproven=JUDGED_LIVE,
        words=("the fault did not bite: 0 of",),
    ),
    Deviant(
        name="a rung beside its value",
        programs=BOTH,
        bend=lambda seen: replace(
            seen, phases=tuple(replace(each, rung=each.rung and each.rung * 1.05) for each in seen.phases)
        ),
        unproven=JUDGED_LIVE,
        words=("the rung of above was not applied",),
    ),
    Deviant(
        name="a missed scrape",
        programs=BOTH,
        bend=_gap,
        unproven=JUDGED_LIVE,
        words=("a scrape was missed",),
    ),
    Deviant(
        name="a failed scrape",
        programs=BOTH,
        bend=of_job("osmen_gateway", _down),
        unproven=JUDGED_LIVE,
        words=("scrapes of osmen_gateway failed",),
    ),
    Deviant(
        name="a missed evaluation",
        programs=BOTH,
        bend=lambda seen: replace(seen, missed_evaluations=1.0),
        unproven=JUDGED_LIVE,
        words=("Prometheus skipped 1 evaluations",),
    ),
    Deviant(
        name="a control that did not wake it",
        programs=(BELOW,),
        bend=lambda seen: replace(seen, alerts=()),
        unproven=_alert("silent-below"),
        words=("the control did not wake it", "so its silence proves nothing"),
    ),
    Deviant(
        name="a measure that contradicts the clients below",
        programs=(BELOW,),
        bend=lambda seen: replace(
            seen,
            measures={
                ALERT: replace(
                    seen.measures[ALERT],
                    points=tuple(
                        (at, 0.12 if seen.phase("below").start + 6 < at < seen.phase("below").end else value)
                        for at, value in seen.measures[ALERT].points
                    ),
                )
            },
        ),
        broken=_alert("silent-below"),
        words=("its own metric says that the threshold was passed, while the clients saw less",),
    ),
)

CATALOGUE = (*RULES, *BESIDE, *SUBJECTS, *BEHAVIOUR, *PAGES, *TARGETS, *PACES, *PREMISES)

ELSEWHERE: Mapping[str, str] = {
    "dashboard/*": "test_judge_dashboards.py",
    "health/*": "test_judge_health.py",
    "route/grouping": "test_judge_receivers.py",
    "route/*": "test_judge_routes.py",
    "receiver/*": "test_judge_receivers.py",
    "signals/*": "test_judge_agree.py",
    "tiers/*": "test_tiers.py",
    "tempo/*": "test_tempos.py",
    "mutant/*": "test_judge_mutants.py",
    "probe/*": "test_judge_health.py",
    "uptime/*": "test_judge_health.py",
    "metric/*": "test_judge_metrics.py",
    "record/*": "test_judge_recorded.py",
    "trace/*": "test_judge_traces.py",
    "log/level/*": "test_judge_levels.py",
    "log/*": "test_judge_logs.py",
}
"""By pattern of clauses: the file of self-tests beside this one that breaks them, where no recorded timeline can."""
