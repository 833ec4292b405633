"""Which texts are secret, in every form in which a report could carry them; it must not know what a report is."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from conformance.report.clean import map_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

MASK = "***"
SHORTEST = 6
"""Shorter secrets are not replaced: they would blank out ordinary words, and the stack makes none."""


class Redactor:
    """Replaces every occurrence of each secret by `***`: plain, URL-quoted, in base64, escaped for JSON or markup."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """From now on mask these as well: a run has secrets only once it has a stack."""
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # The longest first: a secret that contains another one must not leave its rest behind.
        self._forms = tuple(sorted(forms.union(self._forms), key=lambda form: (-len(form), form)))

    def text(self, text: str) -> str:
        """`text` without any secret."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def data(self, data: bytes) -> bytes:
        """The bytes of a file without any secret; what else they hold, text or not, stays as it is."""
        for form in self._forms:
            data = data.replace(form.encode("utf-8", "replace"), MASK.encode())
        return data

    def value(self, value: T) -> T:
        """Any dataclass, tuple or mapping with every text in it redacted."""
        return map_texts(value, self.text) if self._forms else value


def _forms(secret: str) -> Iterator[str]:
    once = {secret, *_quoted(secret), *_escaped(secret)}
    # Markup and JSON wrap what was quoted or escaped already: a log line of JSON inside a report of JSON.
    twice = {outer for inner in once for outer in _escaped(inner)}
    yield from (form for form in once | twice | set(_base64(secret)) if len(form) >= SHORTEST)


def _quoted(secret: str) -> Iterator[str]:
    for form in (quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe=":@/!$&'()*+,;=")):
        yield form
        yield _lower_hex(form)


def _lower_hex(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return "%".join([head, *(each[:2].lower() + each[2:] for each in rest)])


def _escaped(secret: str) -> Iterator[str]:
    ways: tuple[Callable[[str], str], ...] = (
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
        lambda text: repr(text)[1:-1],
        html.escape,
        lambda text: html.escape(text).replace("&#x27;", "&#39;"),
        escape,
        lambda text: escape(text, {'"': "&quot;"}),
    )
    return (way(secret) for way in ways)


def _base64(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "replace")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        yield whole
        yield whole.rstrip("=")
        # Inside a longer text (`user:secret`) the same bytes encode in one of three ways; of each we know all
        # but the characters that also carry bits of the neighbours.
        for before in range(3):
            bits = 8 * before
            first = -(-bits // 6)
            last = (bits + 8 * len(raw)) // 6
            yield encode(b"\0" * before + raw).decode()[first:last]
