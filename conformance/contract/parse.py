"""
What a strict reading of a document is: each value asked for by name and kind, each mistake told with its place.

It knows YAML and its traps; it must not know what a contract says.
"""

from __future__ import annotations

import difflib
import math
import re
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fixtures.language.durations import DurationError, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from pathlib import Path

_TAG = "tag:yaml.org,2002:"
_KINDS = {"str": "text", "int": "a number", "float": "a number", "bool": "a boolean", "null": "nothing"}
_KINDS |= {"timestamp": "a date", "map": "a mapping", "seq": "a list"}
# YAML 1.1 also reads 010 as eight, 1:30 as ninety and 1_000 as a thousand: whoever writes those means something else.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_SPOKEN = re.compile(r"(\d+)(y|w|d|h|ms|m(?!o)|s)[a-z]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOCUMENT = re.compile(r"\S.* § \S.*, (line \d+|lines \d+-\d+)")

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class ContractError(Exception):
    """
    The contract cannot be read, contradicts itself, or was asked for something that it does not claim.
    """

    def __init__(self, reason: str, *, file: str = "", line: int = 0, path: str = "") -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(": ".join(part for part in (place, path, reason) if part))
        self.reason = reason
        self.file = file
        self.line = line
        self.path = path


def near_miss(word: str, known: Iterable[str]) -> str:
    """
    The tail of a sentence: the known word that was probably meant, else nothing.
    """
    by_folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return f"; did you mean '{by_folded[close[0]]}'" if close else ""


def listed(known: Iterable[str]) -> str:
    """
    The known words in brackets.
    """
    return f"({', '.join(known) or 'there is none'})"


class Cited(str):
    """
    A place in the guide, with the file and the line of the entry that cites it: where a reader changes the promise.

    It travels as the `document` of a promise, so that every clause has its place and no promise must hand it on.
    """

    __slots__ = ("file", "line")

    file: str
    line: int


def cited_at(document: str) -> tuple[str, int] | None:
    """The file (its name alone) and line where that place is cited; None for a text that no contract was read for."""
    return (document.file, document.line) if isinstance(document, Cited) else None


class Reader:
    """
    One mapping of a document: values are taken by key, and `finish` refuses every key that nobody asked for.
    """

    def __init__(self, node: Node, *, file: str, path: str = "") -> None:
        self._file = file
        self._path = path
        self._node = node
        self._asked: set[str] = set()
        self._children: list[Reader] = []
        self._values: dict[str, Node] = {}
        self._lines: dict[str, int] = {}
        if not isinstance(node, MappingNode):
            raise self._error(node, path, f"expected a mapping, not {_called(node)}")
        for key, value in node.value:
            if key.tag != _TAG + "str":
                raise self._error(key, path, f"{_called(key)} cannot be a key here; a key is plain text")
            if key.value in self._values:
                first = self._lines[key.value]
                raise self._error(key, self._at(key.value), f"stands twice, first on line {first}")
            self._values[key.value] = value
            self._lines[key.value] = _line(key)

    @property
    def line(self) -> int:
        return _line(self._node)

    @property
    def place(self) -> str:
        return f"{self._file}:{self.line}"

    def has(self, key: str) -> bool:
        """
        Whether an optional key is given; asking makes it a known one.
        """
        self._asked.add(key)
        return key in self._values

    def error(self, key: str, reason: str) -> ContractError:
        """
        A mistake of the value under that key, or of the whole mapping where the key is empty; the caller raises it.
        """
        return self._error(self._values.get(key, self._node), self._at(key), reason)

    def text(self, key: str) -> str:
        return self._text(self._value(key), self._at(key))

    def name(self, key: str) -> str:
        """
        A word that can be part of a clause id, and so of a path and of a pytest expression.
        """
        text = self.text(key)
        if not _NAME.fullmatch(text):
            raise self.error(key, f"'{text}' is not a name (letters, digits, '_', '-' and '.', no digit first)")
        return text

    def document(self, key: str = "document") -> str:
        """The place in the guide, which also knows where the entry stands that cites it."""
        text = Cited(self.text(key))
        text.file, text.line = self._file.rpartition("/")[2], self.line
        if not _DOCUMENT.fullmatch(text):
            raise self.error(key, f"'{text}' is not a place in a document (like 'guide § Alert Rules, line 365')")
        return text

    def number(self, key: str) -> float:
        return self._number(self._value(key), self._at(key))

    def whole(self, key: str, *, least: int = 0) -> int:
        number = self.number(key)
        if not number.is_integer() or number < least:
            raise self.error(key, f"{number:g} is not a whole number from {least} on")
        return int(number)

    def flag(self, key: str) -> bool:
        node = self._scalar(self._value(key), self._at(key), "bool", "true or false")
        if node.value not in ("true", "false"):
            raise self.error(key, f"'{node.value}' is not true or false")
        return bool(node.value == "true")

    def choice(self, key: str, kind: type[E]) -> E:
        text = self.text(key)
        options = [str(each) for each in kind]
        if text not in options:
            noun = re.sub(r"(?<!^)([A-Z])", r" \1", kind.__name__).lower()
            raise self.error(key, f"'{text}' is not a {noun} {listed(options)}{near_miss(text, options)}")
        return kind(text)

    def duration(self, key: str) -> timedelta:
        """
        A duration as Prometheus writes it, in whole units, the largest first.
        """
        node = self._value(key)
        if not isinstance(node, ScalarNode):
            raise self.error(key, f"expected a duration (like 30s, 5m, 1h), not {_called(node)}")
        try:
            return parse_duration(node.value)
        except DurationError as error:
            reason = f"'{node.value}' is not a duration (like 30s, 5m, 1h){_meant(node.value)}"
            raise self.error(key, reason) from error

    def mapping(self, key: str) -> Reader:
        return self._child(self._value(key), self._at(key))

    def sequence(self, key: str) -> tuple[Reader, ...]:
        """
        A list of mappings, at least one: a contract that promises nothing cannot be broken.
        """
        return tuple(self._child(node, path) for node, path in self._items(key))

    def texts(self, key: str) -> tuple[str, ...]:
        found = [self._text(node, path) for node, path in self._items(key)]
        for number, text in enumerate(found):
            if text in found[:number]:
                raise self.error(key, f"'{text}' stands twice")
        return tuple(found)

    def table(self, key: str) -> dict[str, str]:
        """
        A mapping of free label names to text.
        """
        return self._table(key, self._text)

    def numbers(self, key: str) -> dict[str, float]:
        """
        A mapping of free names to numbers.
        """
        return self._table(key, self._number)

    def finish(self) -> None:
        """
        Refuse what nobody asked for, here and in every mapping below.
        """
        for key in self._values:
            if key not in self._asked:
                known = near_miss(key, self._asked - set(self._values)) or f" {listed(sorted(self._asked))}"
                raise ContractError(f"unknown key{known}", file=self._file, line=self._lines[key], path=self._at(key))
        for child in self._children:
            child.finish()

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self._path, key) if part)

    def _error(self, node: Node, path: str, reason: str) -> ContractError:
        return ContractError(reason, file=self._file, line=_line(node), path=path)

    def _value(self, key: str) -> Node:
        self._asked.add(key)
        if key not in self._values:
            close = difflib.get_close_matches(key, [each for each in self._values if each not in self._asked], n=1)
            seen = f"; is it meant by '{close[0]}' on line {self._lines[close[0]]}?" if close else ""
            raise self._error(self._node, self._path, f"missing key '{key}'{seen}")
        return self._values[key]

    def _scalar(self, node: Node, path: str, tag: str, wanted: str) -> ScalarNode:
        if not isinstance(node, ScalarNode) or node.tag != _TAG + tag:
            quote = "; put it in quotes" if tag == "str" and isinstance(node, ScalarNode) and node.value else ""
            raise self._error(node, path, f"expected {wanted}, not {_called(node)}{quote}")
        return node

    def _text(self, node: Node, path: str) -> str:
        text = str(self._scalar(node, path, "str", "text").value)
        if not text.strip():
            raise self._error(node, path, "is empty")
        return text

    def _number(self, node: Node, path: str) -> float:
        if not isinstance(node, ScalarNode) or node.style is not None or not _NUMBER.fullmatch(node.value):
            raise self._error(node, path, f"expected a plain number (like 90 or 0.1), not {_called(node)}")
        number = float(node.value)
        if not math.isfinite(number):
            raise self._error(node, path, "the number is too large")
        return number

    def _items(self, key: str) -> list[tuple[Node, str]]:
        node = self._value(key)
        if not isinstance(node, SequenceNode):
            raise self.error(key, f"expected a list, not {_called(node)}")
        if not node.value:
            raise self.error(key, "the list is empty: what promises nothing cannot be broken")
        return [(item, f"{self._at(key)}[{number}]") for number, item in enumerate(node.value)]

    def _table(self, key: str, read: Callable[[Node, str], T]) -> dict[str, T]:
        inner = Reader(self._value(key), file=self._file, path=self._at(key))
        for name in inner._values:
            if not _LABEL.fullmatch(name):
                raise inner.error(name, f"'{name}' is not a label name (letters, digits and '_', no digit first)")
        return {name: read(node, inner._at(name)) for name, node in inner._values.items()}

    def _child(self, node: Node, path: str) -> Reader:
        child = Reader(node, file=self._file, path=path)
        self._children.append(child)
        return child


def read(file: Path, *, label: str) -> Reader:
    """
    The top mapping of a document; `label` is how messages call the file.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(f"is not UTF-8 text: {error.reason} at byte {error.start}", file=label) from error
    except OSError as error:
        raise ContractError(f"cannot be read: {error.strerror or error}", file=label) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ContractError(f"is not YAML: {error.problem}", file=label, line=line) from error
    except yaml.YAMLError as error:
        raise ContractError(f"is not YAML: {' '.join(str(error).split())}", file=label) from error
    except RecursionError:
        raise ContractError("is nested too deeply to be a contract", file=label) from None
    if node is None:
        raise ContractError("is empty", file=label)
    return Reader(node, file=label)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _called(node: Node) -> str:
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, ScalarNode):
        if kind == "null":
            return "nothing"
        return f"the {_KINDS.get(kind, kind).removeprefix('a ')} '{node.value}'"
    return _KINDS.get(kind, kind)


def _meant(text: str) -> str:
    if text.isdigit():
        return ": its unit is missing"
    spoken = re.sub(r"\s+|-|,|and", "", text.casefold()).replace("millisec", "ms").replace("msec", "ms")
    guess = _SPOKEN.sub(r"\1\2", spoken)
    try:
        parse_duration(guess)
    except DurationError:
        return ""
    return f"; did you mean '{guess}'"
