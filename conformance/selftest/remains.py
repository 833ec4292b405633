"""What a run of the suite owns outside its directory while it lives, and what of that is still there after its end."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from fixtures.core.ports import PortError, Ports


@dataclass(frozen=True, kw_only=True, slots=True)
class Owned:
    """Seen of a living run: its processes by id and start, the ports they listen on, control groups, shared memory."""

    processes: frozenset[tuple[int, float, str]]
    ports: frozenset[int]
    groups: frozenset[Path]
    segments: frozenset[str]

    def joined(self, other: Owned) -> Owned:
        """What either has seen."""
        return Owned(
            processes=self.processes | other.processes,
            ports=self.ports | other.ports,
            groups=self.groups | other.groups,
            segments=self.segments | other.segments,
        )


NOTHING = Owned(processes=frozenset(), ports=frozenset(), groups=frozenset(), segments=frozenset())


def owned(pid: int) -> Owned:
    """What the process and all below it own at this moment."""
    processes: set[tuple[int, float, str]] = set()
    ports: set[int] = set()
    groups: set[Path] = set()
    segments: set[str] = set()
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for each in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.Error, OSError):
                processes.add((each.pid, each.create_time(), each.name()))
                groups.update(_groups(each.pid))
                segments.update(entry.path for entry in each.memory_maps() if entry.path.startswith("/dev/shm/"))  # noqa: S108
                ports.update(c.laddr.port for c in each.net_connections("inet") if c.status == psutil.CONN_LISTEN)
    return Owned(
        processes=frozenset(processes),
        ports=frozenset(ports),
        groups=frozenset(groups),
        segments=frozenset(segments),
    )


def _groups(pid: int) -> set[Path]:
    found = set()
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if "/osmen-" in path:
            found.add(Path("/sys/fs/cgroup") / controllers.partition(",")[0] / path.lstrip("/"))
    return found


def left(seen: Owned, directory: Path) -> list[str]:
    """In words, what is still there of it; also the folder of credentials and any process that names the directory."""
    found = [f"process {pid} {name}" for pid, begun, name in sorted(seen.processes) if _lives(pid, begun)]
    found += [f"process {pid} names {directory}" for pid in _naming(directory)]
    found += [f"control group {group}" for group in sorted(seen.groups) if group.exists()]
    found += [f"shared memory {segment}" for segment in sorted(seen.segments) if Path(segment).exists()]
    found += [str(place) for place in (directory / "secrets",) if place.exists()]
    ports = Ports()
    for port in sorted(seen.ports):
        try:
            ports.claim(port)
        except PortError as error:
            found.append(str(error))
    ports.release()
    return found


def _lives(pid: int, begun: float) -> bool:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return process.create_time() == begun and process.status() != psutil.STATUS_ZOMBIE
    return False


def _naming(directory: Path) -> list[int]:
    """Processes, other than this one, that have the directory in their command or environment, or work in it."""
    text, found = str(directory).encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(place.name) != os.getpid() and (
                text in (place / "cmdline").read_bytes()
                or text in (place / "environ").read_bytes()
                or (place / "cwd").readlink().is_relative_to(directory)
            ):
                found.append(int(place.name))
    return sorted(found)
