"""
Looks for a run's credentials wherever the run could have left them, in every spelling in which they travel.

It spells by itself and not by the report's masking, so that the two cannot agree on what to overlook.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import secrets as made
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fixtures.stack.secrets import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ENVIRONMENT = "CONFORMANCE_CANARIES"
"""Where `placed` finds what a run is to use as its credentials, as JSON by name."""

AROUND = ("", "x", "xy", "xyz", "gateway:", "default:", "postgres:", ":", "Bearer ")
"""What may stand before a credential inside one base64 text; three lengths shift its letters in all three ways."""


def fresh() -> dict[str, str]:
    """A credential for every place of a run that has one, by name."""
    return {name: made.token_hex(12) for name in NAMES}


def spellings(secret: str) -> frozenset[bytes]:
    """Every way in which `secret` may stand in a file: plain, for an address, in base64 and hex, inside JSON."""
    percent = "".join(f"%{byte:02X}" for byte in secret.encode())
    plain = {secret, quote(secret, safe=""), percent, percent.lower(), json.dumps(secret)[1:-1], secret.encode().hex()}
    plain |= {json.dumps(each)[1:-1] for each in plain} | {secret.upper()}
    encoded = set()
    for before in AROUND:
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(f"{before}{secret}".encode()).decode()
            # The letters that carry bits of what stands before, or of what may stand behind, are not compared.
            encoded.add(text[-(-len(before) * 8 // 6) : (len(before) + len(secret)) * 8 // 6])
    return frozenset(each.encode() for each in plain | encoded)


def told(data: bytes, secrets: Mapping[str, str]) -> list[str]:
    """The names of the credentials that stand in `data`."""
    return [name for name, value in secrets.items() if any(each in data for each in spellings(value))]


def leaks(folder: Path, secrets: Mapping[str, str]) -> list[str]:
    """`file: name` for every credential in the content or the path of any file below `folder`, packed ones too."""
    wanted = {name: spellings(value) for name, value in secrets.items()}
    found = []
    for path in sorted(folder.rglob("*")):
        data = bytes(path.relative_to(folder))
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):
                data += b"\0" + path.read_bytes()
        data += b"".join(_unpacked(data))
        found += [
            f"{path.relative_to(folder)}: {name}"
            for name, forms in wanted.items()
            if any(form in data for form in forms)
        ]
    return found


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What stands in gzip members anywhere in `data`, such as in the chunks of a log store."""
    at = data.find(b"\x1f\x8b\x08")
    while at >= 0:
        with contextlib.suppress(zlib.error, EOFError, gzip.BadGzipFile):
            yield zlib.decompressobj(wbits=31).decompress(data[at:], 1 << 24)
        at = data.find(b"\x1f\x8b\x08", at + 1)


def on_command_lines(pids: Iterable[int], secrets: Mapping[str, str]) -> list[str]:
    """`process N (command): name` for every credential on the command line of a living process."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            found += [f"process {pid} ({line.partition(bytes(1))[0].decode()}): {name}" for name in told(line, secrets)]
    return found
