"""Text from outside made fit to be shown: no control characters, on one line, cut with a note of what is missing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LONGEST = 20_000
"""Characters of one text that the report keeps; a log of megabytes stands in the run directory, not in a release."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])?")
# C0 without tab and newline, C1, the direction overrides with which a text shows something else than it says,
# lone surrogates (no encoder takes them) and the two code points that XML refuses.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")


def plain(text: str) -> str:
    """`text` without terminal sequences and with a visible mark for every character that cannot be shown."""
    return _UNFIT.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """`text` with every run of white space as one blank."""
    return " ".join(text.split())


def clip(text: str, longest: int = LONGEST) -> str:
    """The beginning of `text`, and how many characters were left out."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest} more characters)"


def cut(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters, the last one an ellipsis where something is missing."""
    line = one_line(text[: 4 * width + 200])
    return line if len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def count(number: int, noun: str) -> str:
    """`1 clause`, `12 clauses`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def map_texts(value: T, change: Callable[[str], str]) -> T:
    """`value` with `change` applied to every text in it; enumerations, numbers and the keys of mappings stay."""
    return cast("T", _mapped(value, change))


def _mapped(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(each, change) for each in value)
    if isinstance(value, Mapping):
        return {key: _mapped(each, change) for key, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: _mapped(getattr(value, each.name), change) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
