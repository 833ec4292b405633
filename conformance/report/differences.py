"""How two runs differ, as a text for the terminal and as Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.report import matrix
from conformance.report.clean import count, cut, plain
from conformance.report.markdown import code, prose, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.report.compare import Changes, ClauseChange, TimeChange

_MOST = 200
_MOST_NAMES = 6


def text(made: Changes, *, before: str, after: str, width: int = 120) -> str:
    """The whole comparison; the last line says whether anything got worse. No line is longer than `width`."""
    lines = [f"before  {made.before:<14} {before}", f"after   {made.after:<14} {after}"]
    for title, rows in sections(made):
        lines += ["", title, *_columns(rows, width)]
    lines += ["", _last(made)]
    return "\n".join(_cut(plain(line), width) for line in lines) + "\n"


def markdown(made: Changes, *, before: str, after: str) -> str:
    """The same, to be pasted."""
    lines = [f"### Monitoring: {made.before} → {made.after}", "", f"{code(before)} → {code(after)}", ""]
    for title, rows in sections(made):
        head, *cells = rows
        lines += [f"**{title}**", "", *table(head, [tuple(prose(cell) for cell in row) for row in cells])]
    return "\n".join([*lines, _last(made)]) + "\n"


def _cut(line: str, width: int) -> str:
    # Not as a sentence is cut: runs of blanks are columns and stay.
    return line if len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def sections(made: Changes) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Each kind of difference that there is: its title and its table, the head first."""
    if made.facts:
        rows = [(each.what, each.before, each.after) for each in made.facts]
        yield "run otherwise", [("", "before", "after"), *rows]
    if made.clauses:
        yield f"clauses ({made.same} are as before)", _clauses(made.clauses)
    if made.thresholds:
        moved = [(f"{each.alert} ({each.tier})", each.figure, each.before, each.after) for each in made.thresholds]
        yield "thresholds that moved", [("alert", "figure", "before", "after"), *moved[:_MOST]]
    if made.components:
        stood = [(_names(each.names), each.before, each.after) for each in made.components]
        yield "components", [("component", "before", "after"), *stood[:_MOST]]
    if made.times:
        yield "times", [("", "before", "after", ""), *map(_time, made.times)]


def _clauses(changed: Sequence[ClauseChange]) -> list[tuple[str, ...]]:
    rows = [
        (
            f"{each.way}{' !' if each.regression else ''}",
            each.clause,
            each.before or "absent",
            each.after or "absent",
            each.reason,
        )
        for each in changed[:_MOST]
    ]
    head = ("", "clause", "before", "after", "reason")
    if len(changed) > _MOST:
        rows.append(("…", f"{count(len(changed) - _MOST, 'clause')} more", "", "", ""))
    return [head, *rows]


def _time(each: TimeChange) -> tuple[str, ...]:
    by = f"{each.after - each.before:+.1f} s" if each.notable else ""
    return each.what, matrix.seconds(each.before), matrix.seconds(each.after), by


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> Iterator[str]:
    # A last column may be as long as a reason is; the others keep to what two thirds of the screen hold.
    widest = max(width * 2 // 3 // max(len(rows[0]) - 1, 1), 12)
    cells = [tuple(cut(plain(cell), max(widest, 46 if at < 2 else 0)) for at, cell in enumerate(row)) for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    for row, given in zip(cells, rows, strict=True):
        *first, _ = (f"{cell:<{widths[at]}}" for at, cell in enumerate(row))
        last = " ".join(plain(given[-1]).split())
        yield ("  " + "  ".join([*first, last])).rstrip()


def _last(made: Changes) -> str:
    if made.regressions:
        return f"compared: {count(len(made.regressions), 'regression')}: {cut(made.regressions[0], 160)}"
    unknown = f", {count(len(made.unproven), 'clause')} unproven in the second run" if made.unproven else ""
    if made.nothing:
        return f"compared: nothing differs ({count(made.same, 'clause')}){unknown}"
    return f"compared: {count(len(made.clauses), 'clause')} changed, no regression{unknown}"
