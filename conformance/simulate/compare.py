"""
Two revisions of rules side by side: the eight questions of a reviewer of a threshold change, answered by running.

It knows revisions as folders of text, and what was measured of them; it must not know how a threshold is measured, nor
a stack.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

import yaml

from conformance.contract.load import load as load_contract
from conformance.contract.model import AlertForm, Contract
from conformance.contract.parse import ContractError
from conformance.simulate import boardlint, lint, stories
from conformance.simulate.incidents import LADDERS, Incident, ladders
from conformance.simulate.incidents import incidents as written_incidents
from conformance.simulate.judge_mutants import Routes, RoutesError, broken_routes
from conformance.simulate.kept import Missed
from conformance.simulate.promtool import Promtool
from conformance.simulate.result import Outcome, Threshold
from fixtures.language import boards, promql, rules
from fixtures.language.boards import BoardError
from fixtures.language.durations import format_duration
from fixtures.language.promql import PromqlError
from fixtures.language.rules import AlertRule, RecordingRule, RuleFile
from fixtures.language.tree import tree

PARTS: Final = ("rules", "dashboards", "conformance/contract/documents")
"""What of a revision is compared, as paths of a checkout."""
GIT_SECONDS: Final = 60
_RENAMED: Final = 0.85
_MAX_DASHBOARD: Final = 5_000_000


class CompareError(Exception):
    """A revision cannot be read at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """One side of a comparison; `problems` are files that cannot be read, `contract_error` why there is no contract."""

    name: str
    files: tuple[RuleFile, ...]
    alertmanager: str = ""
    contract: Contract | None = None
    contract_error: str = ""
    dashboards: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[lint.Diagnostic, ...] = ()

    def alerts(self) -> dict[str, tuple[RuleFile, AlertRule]]:
        """Every alert by name, the first one of a name."""
        found: dict[str, tuple[RuleFile, AlertRule]] = {}
        for file in self.files:
            for rule in file.rules:
                if isinstance(rule, AlertRule):
                    found.setdefault(rule.name, (file, rule))
        return found

    def records(self) -> dict[str, RecordingRule]:
        return {rule.name: rule for file in self.files for rule in file.rules if isinstance(rule, RecordingRule)}


def read_revision(
    name: str, *, rules_at: Path, contract_at: Path | None = None, dashboards_at: Path | None = None
) -> Revision:
    """A revision from its folders; a contract that cannot be read is said, not hidden."""
    files, problems = lint.read(rules_at)
    alertmanager = rules_at / "alertmanager.yml"
    contract, wrong = None, ""
    if contract_at is not None:
        try:
            contract = load_contract(contract_at)
        except ContractError as error:
            wrong = str(error)
    found = sorted(dashboards_at.rglob("*.json")) if dashboards_at is not None and dashboards_at.is_dir() else []
    return Revision(
        name=name,
        files=files,
        alertmanager=alertmanager.read_text(encoding="utf-8") if alertmanager.is_file() else "",
        contract=contract,
        contract_error=wrong,
        dashboards={
            board.name: board.read_text(encoding="utf-8") for board in found if board.stat().st_size <= _MAX_DASHBOARD
        },
        problems=problems,
    )


def read_base(base: str, *, repository: Path, scratch: Path) -> Revision:
    """
    The side that is compared with: a folder (a checkout, or only its rules), else a revision of git.

    What git has of it is written into `scratch`; nothing in the checkout is touched.
    """
    folder = Path(base)
    if folder.is_dir():
        if (folder / "rules").is_dir():
            return _of_checkout(base, folder)
        return read_revision(base, rules_at=folder)
    wanted = _git(repository, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}", base=base)
    commit = wanted.decode().strip()
    listed = _git(repository, "ls-tree", "--name-only", commit, "--", *PARTS, base=base).decode().split("\n")
    present = [each for each in listed if each]
    if "rules" not in present:
        raise CompareError(f"{base}: that revision has no folder rules")
    scratch.mkdir(parents=True, exist_ok=True)
    packed = _git(repository, "archive", "--format=tar", commit, "--", *present, base=base)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(scratch, filter="data")
    return _of_checkout(f"{base} ({commit[:9]})", scratch)


def _of_checkout(name: str, folder: Path) -> Revision:
    documents = folder / "conformance/contract/documents"
    return read_revision(
        name,
        rules_at=folder / "rules",
        contract_at=documents if documents.is_dir() else None,
        dashboards_at=folder / "dashboards",
    )


def _git(repository: Path, *arguments: str, base: str) -> bytes:
    try:
        ran = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompareError(f"{base}: git did not answer: {error}") from error
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else "is neither a folder nor a revision of git"
        raise CompareError(f"{base}: {reason}")
    return ran.stdout


# --- what is found ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One alert or recording rule that differs; `kind` is added, removed, renamed, changed or beneath."""

    kind: str
    rule: str
    base: str = ""
    head: str = ""
    place: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contradiction:
    """A document that says otherwise than the new side does; it makes the whole comparison fail."""

    subject: str
    documented: str
    observed: str
    place: str = ""
    shown: str = ""
    document: str = ""

    def text(self) -> str:
        """As it reads on a screen, with its caret."""
        where = f"{self.place}: " if self.place else ""
        by = f" ({self.document})" if self.document else ""
        head = f"{where}{self.subject}: documented {self.documented}{by}, but it is {self.observed}"
        return f"{head}\n{self.shown}" if self.shown else head


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """One incident in which an alert behaves differently on the two sides."""

    incident: str
    words: str
    alert: str
    base: str
    head: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Paged:
    """Who is told of an alert on each side."""

    alert: str
    base: str
    head: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryRow:
    """What really happened, judged by both sides: pages within thirty days, and how near the measure came."""

    alert: str
    base_pages: float | None = None
    head_pages: float | None = None
    base_seconds: float | None = None
    head_seconds: float | None = None
    maximum: float | None = None
    p999: float | None = None
    p99: float | None = None
    base_threshold: float | None = None
    head_threshold: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The answers to the eight questions."""

    base: str
    head: str
    changes: tuple[Change, ...] = ()
    thresholds: tuple[tuple[str, str, str, str], ...] = ()
    """Alert, what is compared, base, head; only where the two differ."""
    behaviours: tuple[Behaviour, ...] = ()
    paged: tuple[Paged, ...] = ()
    history: tuple[HistoryRow, ...] = ()
    history_note: str = ""
    contradictions: tuple[Contradiction, ...] = ()
    disagreements: tuple[str, ...] = ()
    """What does not fail but should be looked at: a line on a dashboard."""
    unmeasured: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    incidents: int = 0
    """How many of the written ones touch what changed."""
    of_incidents: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.changes or self.thresholds or self.behaviours or self.paged)

    def result(self, *, fail_on_change: bool = False) -> str:
        """In the words of the report: nonconformant, partial or conformant."""
        if self.contradictions or (fail_on_change and self.changed):
            return "nonconformant"
        return "partial" if self.unmeasured else "conformant"


def compare(
    promtool: Promtool,
    base: Revision,
    head: Revision,
    *,
    amtool: Path | None = None,
    base_thresholds: Sequence[Threshold] = (),
    head_thresholds: Sequence[Threshold] = (),
    history: Sequence[HistoryRow] = (),
    history_note: str = "",
    incidents: Sequence[Incident] | None = None,
) -> Comparison:
    """Answer the eight questions; `incidents` replaces the ladders of the contract and the written set."""
    contract = head.contract or base.contract
    if incidents is None:
        incidents = (*(ladders(contract) if contract is not None else ()), *written_incidents())
    changes = tuple(_changes(base, head))
    renamed = {change.base: change.rule for change in changes if change.kind == "renamed"}
    # What is the same text over the same rules does the same; only the rest is run, where something touches it.
    moved = _moved(base, head, renamed)
    back = {new: old for old, new in renamed.items()}
    sides = _narrowed(base, {back.get(name, name) for name in moved}), _narrowed(head, moved)
    names = {name for files in sides for name in _read(files)}
    told = [each for each in incidents if each.metrics & names or (each.bends in {LADDERS.get(name) for name in moved})]
    before, after = stories.tell(promtool, sides, told)
    # Both sets as a whole, in a healthy world: whatever does not load must not look silent.
    whole = stories.tell(promtool, [base.files, head.files], incidents[:1])
    return Comparison(
        base=base.name,
        head=head.name,
        changes=changes,
        thresholds=tuple(_measured(base_thresholds, head_thresholds, renamed)),
        behaviours=tuple(_behaviours(base, head, before=before, after=after, incidents=told, renamed=renamed)),
        paged=tuple(_paged(base, head, amtool, renamed)),
        history=tuple(history),
        history_note=history_note,
        contradictions=(*_unloaded(head, whole[1]), *contradictions(head, head_thresholds, amtool)),
        disagreements=(*_dashboards(base, head), *_drawn(head)),
        unmeasured=tuple(_unmeasured(base, head_thresholds, told=(whole[0], before, after))),
        untouched=_untouched(head, incidents),
        incidents=len(told),
        of_incidents=len(incidents),
    )


def unkept(misses: Sequence[Missed]) -> tuple[Contradiction, ...]:
    """The cases kept beside the rules that these do not keep."""
    return tuple(
        Contradiction(
            subject=f"case/{each.case}: {each.what}", documented=each.expected, observed=each.observed, place=each.file
        )
        for each in misses
    )


# --- 1: what was added, removed, renamed, changed ----------------------------------------------------------------


def _normal(expr: str) -> object:
    try:
        return _bare(promql.shape(expr))
    except PromqlError:
        return " ".join(expr.split())


def _bare(shape: promql.Shape) -> object:
    if shape.kind == "paren":
        return _bare(shape.parts[0])
    return shape.kind, shape.facts, shape.durations, tuple(_bare(part) for part in shape.parts)


def _line(text: str) -> str:
    return " ".join(text.split())


def _changes(base: Revision, head: Revision) -> Iterator[Change]:
    old, new = base.alerts(), head.alerts()
    gone = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    for name in list(added):
        twin = max(gone, key=lambda each: _likeness(old[each][1], new[name][1]), default=None)
        if twin is not None and _likeness(old[twin][1], new[name][1]) >= _RENAMED:
            gone.remove(twin)
            added.remove(name)
            yield Change(kind="renamed", rule=name, base=twin, head=name, place=_place(*new[name]))
            yield from _differences(old[twin][1], new[name])
    for name in gone:
        yield Change(kind="removed", rule=name, base=_line(old[name][1].expr))
    for name in added:
        yield Change(kind="added", rule=name, head=_line(new[name][1].expr), place=_place(*new[name]))
    for name in new:
        if name in old:
            yield from _differences(old[name][1], new[name])
    yield from _beneath(base, head)


def _likeness(one: AlertRule, other: AlertRule) -> float:
    if _normal(one.expr) == _normal(other.expr):
        return 1.0
    if set(promql_names(one.expr)) != set(promql_names(other.expr)):
        return 0.0
    return SequenceMatcher(None, _line(one.expr), _line(other.expr), autojunk=False).ratio()


def promql_names(expr: str) -> tuple[str, ...]:
    """The metrics that an expression reads; of one that cannot be read none."""
    try:
        return promql.names(expr)
    except PromqlError:
        return ()


def _place(file: RuleFile, rule: AlertRule, part: str = "expr") -> str:
    scalar = rule.places.get(part) or rule.places["expr"]
    return f"{file.file}:{scalar.line}"


def _differences(old: AlertRule, new: tuple[RuleFile, AlertRule]) -> Iterator[Change]:
    file, rule = new
    if _normal(old.expr) != _normal(rule.expr):
        yield Change(
            kind="changed", rule=rule.name, base=_line(old.expr), head=_line(rule.expr), place=_place(file, rule)
        )
    for part, before, after in (
        ("for", format_duration(old.for_), format_duration(rule.for_)),
        ("keep_firing_for", format_duration(old.keep_firing_for), format_duration(rule.keep_firing_for)),
    ):
        if before != after:
            yield Change(
                kind="changed",
                rule=rule.name,
                base=f"{part}: {before}",
                head=f"{part}: {after}",
                place=_place(file, rule, part),
            )
    for kind in ("labels", "annotations"):
        before_texts, after_texts = getattr(old, kind), getattr(rule, kind)
        for key in sorted({*before_texts, *after_texts}):
            if before_texts.get(key) != after_texts.get(key):
                yield Change(
                    kind="changed",
                    rule=rule.name,
                    base=f"{key}: {before_texts.get(key, 'absent')}",
                    head=f"{key}: {after_texts.get(key, 'absent')}",
                    place=_place(file, rule, f"{kind}.{key}"),
                )


def _beneath(base: Revision, head: Revision) -> Iterator[Change]:
    old, new = base.records(), head.records()
    moved = {
        name
        for name in {*old, *new}
        if name not in old or name not in new or _normal(old[name].expr) != _normal(new[name].expr)
    }
    for name in sorted(moved):
        above = sorted(_above(name, head))
        yield Change(
            kind="beneath" if above else "recording",
            rule=", ".join(above) or name,
            base=f"{name}: {_line(old[name].expr) if name in old else 'absent'}",
            head=f"{name}: {_line(new[name].expr) if name in new else 'absent'}",
        )


def _above(record: str, revision: Revision) -> set[str]:
    """The alerts that read a recorded metric, through others too."""
    reached = {record}
    records = revision.records()
    while True:
        more = {name for name, rule in records.items() if reached & set(promql_names(rule.expr))} - reached
        if not more:
            break
        reached |= more
    return {name for name, (_, rule) in revision.alerts().items() if reached & set(promql_names(rule.expr))}


def _moved(base: Revision, head: Revision, renamed: Mapping[str, str]) -> set[str]:
    """The alerts, by their new names, that stand on one side only, or whose text or anything beneath it differs."""
    old = {renamed.get(name, name): text for name, text in _identities(base).items()}
    new = _identities(head)
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def _identities(side: Revision) -> dict[str, object]:
    """What an alert's behaviour hangs on: its own parts, its group's, and every recording rule beneath."""
    records = side.records()
    found: dict[str, object] = {}
    for file in side.files:
        for group in file.groups:
            around = (group.interval, group.query_offset, group.limit, tuple(sorted(group.labels.items())))
            for rule in group.rules:
                if isinstance(rule, AlertRule):
                    beneath = tuple((name, _normal(records[name].expr)) for name in sorted(_needed(rule.expr, records)))
                    labels = tuple(sorted(rule.labels.items()))
                    own = (_normal(rule.expr), rule.for_, rule.keep_firing_for, labels)
                    # Two alerts of one name are one identity: either's change is the name's.
                    found[rule.name] = (found.get(rule.name), own, around, beneath)
    return found


def _needed(expr: str, records: Mapping[str, RecordingRule]) -> set[str]:
    """The recorded metrics that an expression reads, through others too."""
    needed: set[str] = set()
    pending = [expr]
    while pending:
        fresh = (set(promql_names(pending.pop())) & set(records)) - needed
        needed |= fresh
        pending += [records[name].expr for name in fresh]
    return needed


def _narrowed(side: Revision, names: set[str]) -> tuple[RuleFile, ...]:
    """The rule files with these alerts alone, and the recording rules beneath them."""
    records = side.records()
    exprs = [rule.expr for file in side.files for rule in file.rules if rule.name in names]
    needed = {name for expr in exprs for name in _needed(expr, records)}
    return tuple(
        replace(
            file,
            groups=tuple(
                replace(
                    group,
                    rules=tuple(
                        rule for rule in group.rules if rule.name in (names if isinstance(rule, AlertRule) else needed)
                    ),
                )
                for group in file.groups
            ),
        )
        for file in side.files
    )


def _read(files: Sequence[RuleFile]) -> set[str]:
    return {name for file in files for rule in file.rules for name in promql_names(rule.expr)}


# --- 2 and 3: effective thresholds, time to fire -----------------------------------------------------------------


def _measured(
    base: Sequence[Threshold], head: Sequence[Threshold], renamed: Mapping[str, str]
) -> Iterator[tuple[str, str, str, str]]:
    old = {(renamed.get(each.alert, each.alert), index): each for each, index in _numbered(base)}
    new = {(each.alert, index): each for each, index in _numbered(head)}
    for key in dict.fromkeys((*old, *new)):
        for what, say in _FIELDS:
            before = say(old[key]) if key in old else "no such condition"
            after = say(new[key]) if key in new else "no such condition"
            if before != after:
                yield key[0], what, before, after
            if key not in old or key not in new:
                break


def _numbered(rows: Iterable[Threshold]) -> Iterator[tuple[Threshold, int]]:
    seen: dict[str, int] = {}
    for row in rows:
        seen[row.alert] = seen.get(row.alert, 0) + 1
        yield row, seen[row.alert]


def _bracket(row: Threshold) -> str:
    if row.outcome is Outcome.STATE:
        return f"fires on {', '.join(row.fires_on)}"
    if row.outcome is not Outcome.MEASURED:
        return f"{row.outcome}: {row.reason}" if row.reason else str(row.outcome)
    return f"silent at {_number(row.silent_at)}, fires at {_number(row.fires_at)} {row.unit}".rstrip()


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.5g}"


def _spread(row: Threshold) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row.spread.items()) or "one label set"


def _speed(row: Threshold) -> str:
    return ", ".join(
        f"{each.multiple:g} x in {each.least_s:g} … {each.most_s:g} s"
        if each.least_s != each.most_s
        else f"{each.multiple:g} x in {each.least_s:g} s"
        for each in row.time_to_fire
    )


_FIELDS: Final = (
    ("effective threshold", _bracket),
    ("threshold by label sets", _spread),
    ("clears at", lambda row: _number(row.clears_at)),
    ("time to fire", _speed),
)


# --- 4: what newly fires or falls silent -------------------------------------------------------------------------


def _behaviours(
    base: Revision,
    head: Revision,
    *,
    before: stories.Told,
    after: stories.Told,
    incidents: Sequence[Incident],
    renamed: Mapping[str, str],
) -> Iterator[Behaviour]:
    back = {new: old for old, new in renamed.items()}
    names = dict.fromkeys((*(renamed.get(name, name) for name in base.alerts()), *head.alerts()))
    for incident in incidents:
        if incident.name in before.errors or incident.name in after.errors:
            continue
        for name in names:
            one, other = before.of(incident.name, back.get(name, name)), after.of(incident.name, name)
            if one.words() != other.words():
                yield Behaviour(
                    incident=incident.name,
                    words=incident.words,
                    alert=name,
                    base=one.words() if back.get(name, name) in base.alerts() else "no such alert",
                    head=other.words() if name in head.alerts() else "no such alert",
                )


def _untouched(head: Revision, incidents: Sequence[Incident]) -> tuple[str, ...]:
    bent = {name for incident in incidents for name in incident.metrics}
    records = head.records()

    def touched(expr: str, seen: frozenset[str] = frozenset()) -> bool:
        names = set(promql_names(expr))
        return bool(names & bent) or any(
            touched(records[name].expr, seen | {name}) for name in names & set(records) if name not in seen
        )

    return tuple(name for name, (_, rule) in head.alerts().items() if name not in LADDERS and not touched(rule.expr))


# --- 5: who is paged ---------------------------------------------------------------------------------------------


def _paged(base: Revision, head: Revision, amtool: Path | None, renamed: Mapping[str, str]) -> Iterator[Paged]:
    back = {new: old for old, new in renamed.items()}
    old, new = base.alerts(), head.alerts()
    # Where one side has no routes, the severities alone can be compared.
    asked = amtool if base.alertmanager and head.alertmanager else None
    for name in dict.fromkeys((*(renamed.get(each, each) for each in old), *new)):
        before = _told(base, old.get(back.get(name, name)), asked)
        after = _told(head, new.get(name), asked)
        if before != after:
            yield Paged(alert=name, base=before, head=after)


def _told(revision: Revision, alert: tuple[RuleFile, AlertRule] | None, amtool: Path | None) -> str:
    if alert is None:
        return "nobody: no such alert"
    labels = alert[1].labels
    severity = labels.get("severity", "no severity")
    if amtool is None:
        return severity
    try:
        receivers = Routes(amtool=amtool, text=revision.alertmanager).receivers({"alertname": alert[1].name, **labels})
    except RoutesError as error:
        return f"{severity}: {error}"
    return f"{severity} → {', '.join(receivers)}"


# --- 8: what still disagrees -------------------------------------------------------------------------------------


def _unloaded(head: Revision, told: stories.Told) -> Iterator[Contradiction]:
    for problem in head.problems:
        yield Contradiction(
            subject=problem.file,
            documented="a rule file",
            observed=problem.reason,
            place=f"{problem.file}:{problem.line}",
            shown=problem.shown,
        )
    if told.error:
        yield Contradiction(subject=head.name, documented="rules that load", observed=told.error)


def contradictions(
    head: Revision, measured: Sequence[Threshold] = (), amtool: Path | None = None
) -> tuple[Contradiction, ...]:
    """Where the rules, or what was measured of them, say otherwise than the contract beside them."""
    if head.contract is None:
        if not head.contract_error:
            return ()
        return (Contradiction(subject="contract", documented="a contract", observed=head.contract_error),)
    found: list[Contradiction] = []
    alerts = head.alerts()
    for promise in head.contract.alerts:
        if promise.name not in alerts:
            found.append(
                Contradiction(
                    subject=promise.name, documented="an alert", observed="in no rule file", document=promise.document
                )
            )
            continue
        file, rule = alerts[promise.name]
        threshold = None if promise.fires_on else promise.threshold
        found += _against(
            promise.shipped, file, rule, document=promise.document, threshold=threshold, measured=measured
        )
        found += _receiver(head, rule, receiver=promise.receiver, amtool=amtool, document=promise.document)
    return (*found, *_grouped(head, head.contract), *_routed(head, head.contract, amtool), *_heard(head, head.contract))


def _against(
    form: AlertForm,
    file: RuleFile,
    rule: AlertRule,
    *,
    document: str,
    threshold: float | None,
    measured: Sequence[Threshold],
) -> Iterator[Contradiction]:
    def at(part: str, start: int = 0, end: int | None = None) -> tuple[str, str]:
        scalar = rule.places.get(part) or rule.places["expr"]
        error = rules.blame(file, scalar, "", start, end)
        return f"{file.file}:{error.line}:{error.column}", error.shown

    if _normal(form.expr) != _normal(rule.expr):
        start, end = _first_difference(form.expr, rule.expr)
        place, shown = at("expr", start, end)
        effective = next((_bracket(each) for each in measured if each.alert == rule.name), "")
        documented = f"{_line(form.expr)}" + (f" (threshold {threshold:g})" if threshold is not None else "")
        observed = _line(rule.expr) + (f" (measured: {effective})" if effective else "")
        yield Contradiction(
            subject=rule.name, documented=documented, observed=observed, place=place, shown=shown, document=document
        )
    if form.for_ != rule.for_:
        place, shown = at("for")
        yield Contradiction(
            subject=f"{rule.name} for",
            documented=format_duration(form.for_),
            observed=format_duration(rule.for_),
            place=place,
            shown=shown,
            document=document,
        )
    if rule.keep_firing_for:
        place, shown = at("keep_firing_for")
        yield Contradiction(
            subject=f"{rule.name} keep_firing_for",
            documented="absent",
            observed=format_duration(rule.keep_firing_for),
            place=place,
            shown=shown,
            document=document,
        )
    for kind in ("labels", "annotations"):
        wanted, there = getattr(form, kind), getattr(rule, kind)
        for key in sorted({*wanted, *there}):
            if wanted.get(key) != there.get(key):
                place, shown = at(f"{kind}.{key}")
                yield Contradiction(
                    subject=f"{rule.name} {kind}.{key}",
                    documented=repr(wanted[key]) if key in wanted else "absent",
                    observed=repr(there[key]) if key in there else "absent",
                    place=place,
                    shown=shown,
                    document=document,
                )


def _first_difference(documented: str, there: str) -> tuple[int, int]:
    """The first token of the rule's text that is not the document's."""
    try:
        wanted = [token.text for token in promql.scan(documented)]
        tokens = promql.scan(there)
    except PromqlError:
        return 0, len(there)
    for index, token in enumerate(tokens):
        if index >= len(wanted) or token.text != wanted[index]:
            return token.start, token.end
    return (tokens[-1].start, tokens[-1].end) if tokens else (0, 1)


def _receiver(
    head: Revision, rule: AlertRule, *, receiver: str, amtool: Path | None, document: str
) -> Iterator[Contradiction]:
    if amtool is None or not head.alertmanager:
        return
    try:
        went = Routes(amtool=amtool, text=head.alertmanager).receivers({"alertname": rule.name, **rule.labels})
    except RoutesError as error:
        yield Contradiction(subject=f"{rule.name} route", documented=receiver, observed=str(error), document=document)
        return
    if went != (receiver,):
        yield Contradiction(
            subject=f"{rule.name} receiver", documented=receiver, observed=", ".join(went), document=document
        )


def _grouped(head: Revision, contract: Contract) -> Iterator[Contradiction]:
    """Around the rules: an alert that no document names or that stands twice, and a group with a pace of its own."""
    documented = {each.name for each in contract.alerts}
    seen: set[str] = set()
    for file in head.files:
        for group in file.groups:
            names = [rule.name for rule in group.rules if isinstance(rule, AlertRule)]
            for rule in group.rules:
                if not isinstance(rule, AlertRule):
                    continue
                scalar = rule.places["alert"]
                error = rules.blame(file, scalar, "")
                place = f"{file.file}:{error.line}:{error.column}"
                if rule.name not in documented:
                    yield Contradiction(
                        subject=rule.name, documented="nowhere", observed="an alert", place=place, shown=error.shown
                    )
                if rule.name in seen:
                    yield Contradiction(
                        subject=rule.name, documented="once", observed="there again", place=place, shown=error.shown
                    )
                seen.add(rule.name)
            if documented.isdisjoint(names):
                continue
            place = f"{file.file}:{group.line}:{group.column}"
            every = contract.timing.evaluation_interval
            if group.interval not in (None, every):
                yield Contradiction(
                    subject=f"group {group.name} interval",
                    documented=format_duration(every),
                    observed=format_duration(group.interval or every),
                    place=place,
                )
            for part, value in (("query_offset", group.query_offset), ("limit", group.limit), ("labels", group.labels)):
                if value:
                    yield Contradiction(
                        subject=f"group {group.name} {part}", documented="absent", observed=str(value), place=place
                    )


def _heard(head: Revision, contract: Contract) -> Iterator[Contradiction]:
    """Receivers speak their protocol and tell the end too; nothing that no document names keeps an alert quiet."""
    if not head.alertmanager:
        return
    try:
        config = yaml.safe_load(head.alertmanager)
        receivers = {each["name"]: each for each in config.get("receivers") or ()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        # Whether it is a configuration at all is said by Alertmanager's own tool.
        return
    for quiet in ("inhibit_rules", "mute_time_intervals", "time_intervals"):
        if config.get(quiet):
            yield Contradiction(subject=quiet, documented="absent", observed="there", place="alertmanager.yml")
    for promise in contract.receivers:
        if promise.name not in receivers:
            yield Contradiction(
                subject=f"receiver {promise.name}",
                documented=f"speaks {promise.kind}",
                observed="absent",
                place="alertmanager.yml",
                document=promise.document,
            )
            continue
        spoken = receivers[promise.name].get(f"{promise.kind}_configs") or []
        ends = [bool(each.get("send_resolved", promise.kind == "pagerduty")) for each in spoken]
        if len(spoken) != 1 or ends != [promise.send_resolved]:
            observed = f"{len(spoken)} of that kind" + (f", send_resolved {ends}" if ends else "")
            yield Contradiction(
                subject=f"receiver {promise.name}",
                documented=f"speaks {promise.kind} once, send_resolved {promise.send_resolved}",
                observed=observed,
                place="alertmanager.yml",
                document=promise.document,
            )


def _routed(head: Revision, contract: Contract, amtool: Path | None) -> Iterator[Contradiction]:
    if amtool is None or not head.alertmanager:
        return
    try:
        broken = list(broken_routes(Routes(amtool=amtool, text=head.alertmanager), contract))
    except RoutesError as error:
        yield Contradiction(subject="alertmanager.yml", documented="a configuration", observed=str(error))
        return
    for each in broken:
        line = _line_of(head.alertmanager, each.subject.removeprefix("severity "))
        yield Contradiction(
            subject=f"{each.clause}: {each.subject}",
            documented=each.promised,
            observed=each.observed.removeprefix("is "),
            place=f"alertmanager.yml:{line}" if line else "alertmanager.yml",
        )


def _line_of(text: str, word: str) -> int | None:
    """The first line on which a word stands, comments left out."""
    wanted = re.compile(rf"\b{re.escape(word)}\b")
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if wanted.search(line.partition("#")[0])), None)


def _dashboards(base: Revision, head: Revision) -> Iterator[str]:
    """Lines on dashboards that still stand at a number which an alert on the same metrics no longer has."""
    old, new = base.alerts(), head.alerts()
    for name in new:
        if name not in old:
            continue
        gone = _constants(old[name][1].expr) - _constants(new[name][1].expr)
        if not gone:
            continue
        names = set(promql_names(new[name][1].expr))
        for board, text in head.dashboards.items():
            for panel, exprs, steps in _panels(text):
                if names & {each for expr in exprs for each in re.findall(r"[A-Za-z_:][A-Za-z0-9_:]*", expr)}:
                    for step in steps & gone:
                        yield f"{board}, panel '{panel}': draws a line at {step:g}, where {name} stood before"


def _drawn(head: Revision) -> Iterator[str]:
    """What the dashboards draw or link beside the rules as they are now, whatever stood there before."""
    read = []
    for name, text in head.dashboards.items():
        try:
            read += [boards.load(text, file=name)] if boards.is_board(text) else []
        except BoardError as error:
            yield f"{name}, line {error.line}: cannot be read: {error.message}"
    for each in boardlint.check(read, boardlint.around(head.contract, head.files)):
        linked = each.check == "link-to-nothing" and "no alert is called" in each.reason
        if each.check == "threshold-differs" or linked:
            yield f"{each.file}, line {each.line}, panel '{each.rule}': {each.reason.removeprefix(f'{each.rule}: ')}"


def _constants(expr: str) -> set[float]:
    try:
        return {each.bound for each in lint.comparisons(tree(expr))}
    except PromqlError:
        return set()


def _panels(text: str) -> Iterator[tuple[str, list[str], set[float]]]:
    try:
        board = json.loads(text)
    except ValueError:
        return
    pending: list[Any] = list(board.get("panels", ())) if isinstance(board, dict) else []
    while pending:
        panel = pending.pop()
        if not isinstance(panel, dict):
            continue
        pending += panel.get("panels") or []
        exprs = [str(each.get("expr", "")) for each in panel.get("targets") or () if isinstance(each, dict)]
        defaults = (panel.get("fieldConfig") or {}).get("defaults") or {}
        steps = {
            float(step["value"])
            for step in (defaults.get("thresholds") or {}).get("steps") or ()
            if isinstance(step, dict) and isinstance(step.get("value"), int | float)
        }
        yield str(panel.get("title", "untitled")), exprs, steps


def _unmeasured(base: Revision, measured: Sequence[Threshold], *, told: Sequence[stories.Told]) -> Iterator[str]:
    for problem in base.problems:
        yield f"{base.name}: {problem.text().splitlines()[0]}"
    if base.contract_error:
        yield f"{base.name}: its contract cannot be read by this version: {base.contract_error}"
    if told[0].error:
        yield f"{base.name}: its rules do not load: {told[0].error}"
    yield from dict.fromkeys(f"incident '{name}': {error}" for each in told for name, error in each.errors.items())
    for row in measured:
        if row.outcome is Outcome.UNMEASURED:
            yield f"{row.file}:{row.line}:{row.column}: {row.alert}: {row.reason}"


# --- as a pull request reads it ----------------------------------------------------------------------------------


def markdown(comparison: Comparison, *, fail_on_change: bool = False) -> str:
    """The whole comparison as Markdown, made to be pasted into a pull request."""
    lines = [f"### Alerts: {_cell(comparison.base)} → {_cell(comparison.head)}", ""]
    if comparison.contradictions:
        lines += ["**A document is contradicted:**", ""]
        for each in comparison.contradictions:
            lines += [f"- {each.text().splitlines()[0]}"]
            if each.shown:
                lines += ["", *(f"      {line}" for line in each.shown.splitlines()), ""]
        lines.append("")
    if not comparison.changed:
        lines += ["Nothing changed, so nothing behaves differently.", ""]
    lines += _table(
        "1. Alerts",
        ("what", "rule", "before", "after", "where"),
        [(each.kind, each.rule, _code(each.base), _code(each.head), each.place) for each in comparison.changes],
    )
    lines += _table(
        "2-3. Effective thresholds, time to fire", ("alert", "what", "before", "after"), comparison.thresholds
    )
    lines += _table(
        f"4. What newly fires or falls silent, in the {comparison.incidents} of {comparison.of_incidents} incidents "
        "that touch what changed",
        ("incident", "alert", "before", "after"),
        [(each.words, each.alert, each.base, each.head) for each in comparison.behaviours],
    )
    lines += _table(
        "5. Who is told",
        ("alert", "before", "after"),
        [(each.alert, each.base, each.head) for each in comparison.paged],
    )
    lines += _history(comparison)
    lines += _table("8. What still disagrees", ("where",), [(text,) for text in comparison.disagreements])
    lines += _table("Not measured", ("what",), [(text,) for text in comparison.unmeasured])
    if comparison.untouched:
        lines += [f"No incident of the written set touches: {', '.join(comparison.untouched)}.", ""]
    lines.append(f"result: {comparison.result(fail_on_change=fail_on_change)}")
    return "\n".join(lines) + "\n"


def _history(comparison: Comparison) -> list[str]:
    if not comparison.history:
        why = comparison.history_note or "no history was given (`--history URL|FILE`)"
        return [f"6-7. Pages and headroom: {why}.", ""]
    pages = [
        (
            each.alert,
            _amount(each.base_pages),
            _amount(each.head_pages),
            _amount(each.maximum),
            _amount(each.p999),
            _amount(each.p99),
            _amount(each.base_threshold),
            _amount(each.head_threshold),
            each.note,
        )
        for each in comparison.history
    ]
    head = ("alert", "pages/30 d before", "after", "maximum", "p99.9", "p99", "threshold before", "after", "note")
    note = [f"{comparison.history_note}", ""] if comparison.history_note else []
    return [*_table("6-7. Pages and headroom over history", head, pages), *note]


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    told = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    if not told:
        return []
    return [f"**{title}**", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *told, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
