"""One way to ask a backend over HTTP; every failure is an ObserveError, never an empty answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from fixtures.core import patience, tls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType


class ObserveError(Exception):
    """
    A backend did not answer, or not as its interface says; what it said is in the message.

    `status` is that of its HTTP answer, where there was one and it was not 200.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Any answer, whatever its status; the body is not `whole` where it was longer than what was to be read."""

    status: int
    content_type: str
    body: bytes
    whole: bool


class Client:
    """Asks one backend; `name` is what errors call it."""

    def __init__(self, name: str, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.name = name
        self._http = httpx.Client(
            base_url=base_url, timeout=patience.QUERY, trust_env=False, transport=transport, verify=tls.context()
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def text(self, path: str, parameters: Mapping[str, str] | None = None) -> str:
        """The body of a 200 answer. Raises ObserveError."""
        return self._get(path, parameters).text

    def json(
        self,
        path: str,
        parameters: Mapping[str, str | Sequence[str]] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  JSON is any shape
        """The decoded body of a 200 answer. Raises ObserveError."""
        answer = self._get(path, parameters, headers)
        try:
            return answer.json()
        except ValueError as error:
            raise ObserveError(f"{self.name}: GET {path}: is not JSON: {answer.text.strip()[:200]!r}") from error

    def answer(self, path: str, *, headers: Mapping[str, str], most: int) -> Answer:
        """Whatever is answered, the body read up to `most` bytes. Raises ObserveError when nothing is."""
        try:
            with self._http.stream("GET", path, headers=dict(headers)) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > most:
                        break
        except httpx.HTTPError as error:
            raise ObserveError(f"{self.name}: GET {path}: {type(error).__name__}: {error}") from error
        return Answer(
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            body=bytes(body[:most]),
            whole=len(body) <= most,
        )

    def _get(
        self,
        path: str,
        parameters: Mapping[str, str | Sequence[str]] | None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            answer = self._http.get(path, params=dict(parameters or {}), headers=dict(headers or {}))
        except httpx.HTTPError as error:
            raise ObserveError(f"{self.name}: GET {path}: {type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise ObserveError(
                f"{self.name}: GET {path}: {answer.status_code} {answer.text.strip()[:300]}", status=answer.status_code
            )
        return answer
