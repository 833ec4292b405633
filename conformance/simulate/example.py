"""Finding a label value that meets a set of matchers, regular expressions included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LONGEST: Final = 200
_TRIES: Final = 40


def matching(conditions: Sequence[tuple[str, str]], *, prefer: Sequence[str] = ()) -> str | None:
    """A value that meets every `(operator, value)`; the preferred ones first, nothing when none was found."""
    wanted = [value for operator, value in conditions if operator == "="]
    patterns = [value for operator, value in conditions if operator == "=~"]
    tried = [*prefer, *wanted]
    for pattern in patterns:
        tried += [each for each, _ in zip(_examples(pattern), range(_TRIES), strict=False)]
    for value in [*tried, "other-1", "a", "1", "0", ""]:
        if len(value) <= _LONGEST and all(meets(value, operator, text) for operator, text in conditions):
            return value
    return None


def meets(value: str, operator: str, text: str) -> bool:
    """Whether a label value meets one matcher, as Prometheus decides: a regular expression covers the whole value."""
    if operator in {"=", "!="}:
        return (value == text) == (operator == "=")
    try:
        found = re.fullmatch(text, value) is not None
    except re.error:
        return False
    return found == (operator == "=~")


def _examples(pattern: str) -> Iterator[str]:
    """Values made of a pattern: each alternative, with classes, repetitions and wild cards filled in."""
    pending = [re.sub(r"\(\?(?:i|:|P<\w+>)", "(", pattern)]
    for _ in range(_TRIES * 4):
        if not pending:
            return
        text = pending.pop(0)
        group = re.search(r"(?<!\\)\(([^()]*)\)([*+?]?)", text)
        if group:
            pending += [text[: group.start()] + each + text[group.end() :] for each in group[1].split("|")]
        elif "|" in text:
            pending += text.split("|")
        else:
            yield _filled(text)


def _filled(text: str) -> str:
    text = re.sub(r"\\d|\[0-9\]", "5", text)
    text = re.sub(r"\\w|\[\^[^\]]*\]", "a", text)
    text = re.sub(r"\[\\?(.)[^\]]*\]", r"\1", text)
    text = re.sub(r"(?<!\\)\.[*+?]?", "x", text)
    text = re.sub(r"(.)\{(\d+)(?:,\d*)?\}", lambda found: found[1] * min(int(found[2]), 20), text)
    text = re.sub(r"(?<!\\)[*+?^$]", "", text)
    return re.sub(r"\\(.)", r"\1", text)
