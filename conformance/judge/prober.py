"""
Judges what an outside prober is told to take for an answer: what its looks do not meet is read from what it loaded.

A service that tells the truth about itself says 200 or 503, and so says nothing of a prober that takes a 500 for up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from conformance.judge.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUCCESS = range(200, 300)
"""What the blackbox exporter takes for up where nothing is said."""

QUERY = "/config"


class ProberError(Exception):
    """The prober's configuration is none that this understands."""


def indulgent(loaded: str, modules: Iterable[str]) -> Iterator[Finding]:
    """
    Where one of these modules does not ask over HTTP, or takes more than success for up. Raises ProberError.
    """
    try:
        known = yaml.safe_load(loaded)["modules"]
        settings = {name: (known[name]["prober"], known[name].get("http") or {}) for name in modules}
        codes = {name: list(http.get("valid_status_codes") or ()) for name, (_, http) in settings.items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ProberError(f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]) from error
    for name, (how, _) in settings.items():
        if how != "http":
            yield Finding(expected=f"module {name} asks over HTTP", observed=f"prober {how}", query=QUERY)
        if any(code not in SUCCESS for code in codes[name]):
            yield Finding(
                expected=f"module {name} takes an answer of 200 to 299 for up, and no other",
                observed=f"valid_status_codes {', '.join(map(str, codes[name]))}",
                query=QUERY,
            )
