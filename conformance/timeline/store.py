"""Timelines as files: written once after a run, read back to be judged again without any server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from conformance.timeline.model import SCHEMA, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class TimelineError(Exception):
    """A stored timeline cannot be read."""


def write(timeline: Timeline, folder: Path) -> Path:
    """Store `timeline` as `<program>.json` below `folder` and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{timeline.program}.json"
    half = path.with_suffix(".part")
    half.write_bytes(msgspec.json.encode(timeline))
    half.replace(path)
    return path


def read(path: Path) -> Timeline:
    """Read one stored timeline. Raises TimelineError with the file and, where known, the path inside it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TimelineError(f"{path}: {error.strerror}") from error
    try:
        timeline = msgspec.json.decode(raw, type=Timeline)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise TimelineError(f"{path}: is not a stored timeline: {error}") from error
    if timeline.schema != SCHEMA:
        raise TimelineError(f"{path}: has schema {timeline.schema}; this version reads schema {SCHEMA}")
    return timeline


def read_all(places: Iterable[Path]) -> dict[str, Timeline]:
    """
    Read files, folders of files or run directories; by program name.

    Raises TimelineError where a place holds no timeline or two hold one program.
    """
    found: dict[str, Timeline] = {}
    for place in places:
        folder = place / "timeline" if (place / "timeline").is_dir() else place
        files = sorted(folder.glob("*.json")) if folder.is_dir() else [folder]
        if not files:
            raise TimelineError(f"{place}: holds no timeline (*.json)")
        for file in files:
            timeline = read(file)
            if timeline.program in found:
                raise TimelineError(f"{file}: program {timeline.program} was read already from another file")
            found[timeline.program] = timeline
    return found
