"""One way to ask a backend over HTTP; every failure is an ObserveError, never an empty answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from fixtures.core import patience

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class ObserveError(Exception):
    """A backend did not answer, or not as its interface says; what it said is in the message."""


class Client:
    """Asks one backend; `name` is what errors call it."""

    def __init__(self, name: str, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.name = name
        self._http = httpx.Client(base_url=base_url, timeout=patience.QUERY, trust_env=False, transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def text(self, path: str, parameters: Mapping[str, str] | None = None) -> str:
        """The body of a 200 answer. Raises ObserveError."""
        return self._get(path, parameters).text

    def json(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  JSON is any shape
        """The decoded body of a 200 answer. Raises ObserveError."""
        answer = self._get(path, parameters)
        try:
            return answer.json()
        except ValueError as error:
            raise ObserveError(f"{self.name}: GET {path}: is not JSON: {answer.text.strip()[:200]!r}") from error

    def _get(self, path: str, parameters: Mapping[str, str] | None) -> httpx.Response:
        try:
            answer = self._http.get(path, params=dict(parameters or {}))
        except httpx.HTTPError as error:
            raise ObserveError(f"{self.name}: GET {path}: {type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise ObserveError(f"{self.name}: GET {path}: {answer.status_code} {answer.text.strip()[:300]}")
        return answer
