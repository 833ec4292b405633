"""The look for credentials: it finds them in every spelling, and masking takes away all that it finds."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from conformance.report.redact import Redactor
from conformance.report.write import mask
from conformance.selftest import canaries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUE = "c4a7c0ffee15bad5eed0b57a"
AWKWARD = "c4%7/&\"'<é+=?z"

SPELT: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "in an address": lambda secret: f"postgresql://gateway:{quote(secret, safe='')}@127.0.0.1/postgres",
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "as basic authentication": lambda secret: "Basic " + base64.b64encode(f"gateway:{secret}".encode()).decode(),
    "in base64 amid more": lambda secret: base64.urlsafe_b64encode(f"yz{secret}, and more".encode()).decode(),
    "in JSON": lambda secret: json.dumps({"password": secret}),
    "in JSON in JSON": lambda secret: json.dumps({"line": json.dumps({"url": f"redis://:{secret}@host"})}),
}


@pytest.mark.parametrize("secret", [VALUE, AWKWARD])
@pytest.mark.parametrize("spelling", SPELT)
def test_a_credential_is_found_and_masked_in_every_spelling(spelling: str, secret: str, tmp_path: Path) -> None:
    """
    However a component writes its password into a file, the look names the file, and masking leaves nothing to find.
    """
    secrets = {"redis": secret, "slack": "0123456789abcdef01234567"}
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "redis.log").write_text(f"at 10:00 {SPELT[spelling](secret)} ok\n", encoding="utf-8")
    (tmp_path / "report.json").write_text("{}", encoding="utf-8")
    before = canaries.leaks(tmp_path, secrets)
    masked = mask(tmp_path, Redactor(secrets.values()))

    assert before == ["logs/redis.log: redis"]
    assert masked == [tmp_path / "logs" / "redis.log"]
    assert canaries.leaks(tmp_path, secrets) == []


def test_a_credential_is_found_where_it_is_packed_and_where_it_names_a_file(tmp_path: Path) -> None:
    """
    A log store's packed chunk and a path hide nothing.
    """
    (tmp_path / "chunk").write_bytes(b"\x00\x01" + gzip.compress(f"line with {VALUE}".encode()) + b"\x02")
    (tmp_path / f"hook-{VALUE}").touch()

    assert canaries.leaks(tmp_path, {"slack": VALUE}) == ["chunk: slack", f"hook-{VALUE}: slack"]


def test_a_credential_on_a_command_line_is_found() -> None:
    """
    A process that was given its password as an argument is named.
    """
    command = [sys.executable, "-c", "print(1, flush=True); input()", f"--password={VALUE}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = canaries.on_command_lines([process.pid], {"redis": VALUE})
        process.kill()

    assert found == [f"process {process.pid} ({sys.executable}): redis"]
