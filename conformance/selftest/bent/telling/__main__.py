"""Runs it."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fixtures.gateway import __main__ as gateway

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(environ: Mapping[str, str]) -> int:
    """Serve, after telling where the database is, with the password: plainly on its output, encoded in a file."""
    address = environ["DATABASE_URL"]
    sys.stderr.write(f"connecting to {address}\n")
    sys.stderr.flush()
    given = urlsplit(address)
    header = base64.b64encode(f"{given.username}:{given.password}".encode()).decode()
    Path(environ["LOG_FILE"]).with_suffix(".txt").write_text(f"Authorization: Basic {header}\n", encoding="ascii")
    return gateway.main(environ)
