"""The core: waiting, ports, the run directory, the journal."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixtures.core import clock, rundir, turn, wait
from fixtures.core.journal import Journal
from fixtures.core.ports import HIGHEST, LOWEST, PortError, Ports
from fixtures.core.rundir import RunDirError


class Sights:
    """Shows 1, 2, 3, … one a look."""

    def __init__(self) -> None:
        self.seen = 0

    def look(self) -> int:
        self.seen += 1
        return self.seen

    async def look_async(self) -> int:
        return self.look()


# --- waiting ------------------------------------------------------------------------------------------------------


def test_a_wait_ends_at_the_first_good_sight() -> None:
    """
    It looks until the sight is good, and gives that sight back.
    """
    waited = wait.until(Sights().look, lambda sight: sight == 3, budget=5, every=0.001)

    assert (waited.ok, waited.last, waited.attempts) == (True, 3, 3)
    assert waited.elapsed < 1


@pytest.mark.parametrize("budget", [0.0, -1.0])
def test_a_wait_without_a_budget_still_looks_once(budget: float) -> None:
    """
    What is already there is found, however little time there is.
    """
    waited = wait.until(Sights().look, lambda sight: sight == 1, budget=budget, every=1)

    assert (waited.ok, waited.attempts) == (True, 1)


def test_a_wait_that_runs_out_gives_back_what_it_last_saw() -> None:
    """
    It is not good, keeps the last sight, and ends close to its budget although `every` is longer.
    """
    waited = wait.until(Sights().look, lambda _: False, budget=0.05, every=10)

    assert (waited.ok, waited.last) == (False, 2)
    assert 0.05 <= waited.elapsed < 1


def test_what_a_look_raises_passes_through() -> None:
    """
    A wait swallows no error.
    """

    def look() -> int:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        wait.until(look, lambda _: True, budget=1, every=0.01)


@pytest.mark.asyncio
async def test_an_awaiting_wait_behaves_the_same() -> None:
    """
    Good at the third look, and not good with the last sight when it runs out.
    """
    good = await wait.until_async(Sights().look_async, lambda sight: sight == 3, budget=5, every=0.001)
    bad = await wait.until_async(Sights().look_async, lambda _: False, budget=0.03, every=10)

    assert (good.ok, good.last) == (True, 3)
    assert (bad.ok, bad.last) == (False, 2)


@pytest.mark.asyncio
async def test_a_cancelled_wait_is_cancelled() -> None:
    """
    Cancelling never looks like success.
    """
    task = asyncio.create_task(wait.until_async(Sights().look_async, lambda _: False, budget=60, every=60))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_a_deadline_in_the_past_is_reached_at_once() -> None:
    """
    A late load does not wait any longer.
    """
    begun = clock.mono()
    await wait.reach(begun - 5)

    assert clock.mono() - begun < 0.1


# --- ports --------------------------------------------------------------------------------------------------------


def test_two_runs_never_get_the_same_port() -> None:
    """
    What one holds the other cannot have, neither by chance nor by wish, until it is given back.
    """
    one, other = Ports(), Ports()
    port = one.take()
    with pytest.raises(PortError, match=f"port {port} on 127.0.0.1 is taken"):
        other.claim(port)
    one.release()

    assert LOWEST <= port < HIGHEST
    assert other.claim(port) == port
    other.release()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_on_which_somebody_listens_is_refused(kind: socket.SocketKind) -> None:
    """
    The message names the port and what to do.
    """
    ports = Ports()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match="end what listens there or choose another"):
            ports.claim(port, udp=True)
    ports.release()


def test_a_hold_leaves_no_file_behind() -> None:
    """
    Holds are names in the kernel, which end with their process.
    """
    ports = Ports()
    port = ports.take(udp=True)
    held = Path("/proc/net/unix").read_text(encoding="ascii")
    ports.release()

    assert f"@monitoring-conformance-port-{port}" in held
    assert f"@monitoring-conformance-port-{port}" not in Path("/proc/net/unix").read_text(encoding="ascii")


# --- the run directory --------------------------------------------------------------------------------------------


def test_each_run_has_a_directory_of_its_own_and_the_newest_is_latest(tmp_path: Path) -> None:
    """
    Two runs share nothing, and `latest` is the second; what is no run leaves it there.
    """
    first, second = (rundir.create(tmp_path, latest=True) for _ in range(2))
    rundir.create(tmp_path)

    assert first.path != second.path
    assert first.label != second.label
    assert (tmp_path / "latest").resolve() == second.path
    assert second.path.name.endswith(second.label)


def test_a_chosen_directory_may_be_new_or_empty(tmp_path: Path) -> None:
    """
    Folders above it are made; the path is absolute.
    """
    made = rundir.create(exact=tmp_path / "a" / "b")

    assert made.path == tmp_path / "a" / "b"
    assert made.folder("logs", "x").is_dir()
    assert made.relative(made.path / "logs" / "x") == "logs/x"


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    """
    A run never writes over another.
    """
    (tmp_path / "report.json").touch()
    with pytest.raises(RunDirError, match=f"--run-dir {tmp_path}: is not empty"):
        rundir.create(exact=tmp_path)


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    """
    The message names the path and the option.
    """
    (tmp_path / "file").touch()
    with pytest.raises(RunDirError, match=r"run directory .*file.*; give another with --run-dir"):
        rundir.create(exact=tmp_path / "file")


def test_a_latest_that_is_no_link_does_not_stop_a_run(tmp_path: Path) -> None:
    """
    The shortcut is given up, the run is not, and nothing half made stays.
    """
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "kept").touch()
    made = rundir.create(tmp_path, latest=True)

    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "latest", made.path])
    assert (tmp_path / "latest" / "kept").exists()


# --- the journal --------------------------------------------------------------------------------------------------


def test_a_mark_is_on_disk_before_the_next_step(tmp_path: Path) -> None:
    """
    A run that is killed leaves its marks behind, in order, each one line of JSON.
    """
    journal = Journal(tmp_path / "journal.ndjson")
    journal.mark("inject", "cell-a", fault="errors", share=0.5)
    journal.mark("heal", "cell-b")
    lines = [json.loads(line) for line in (tmp_path / "journal.ndjson").read_text(encoding="utf-8").splitlines()]
    journal.close()

    assert [(line["what"], line["subject"]) for line in lines] == [("inject", "cell-a"), ("heal", "cell-b")]
    assert lines[0]["share"] == 0.5
    assert lines[0]["at"] <= lines[1]["at"]


def test_marks_are_found_by_their_subject() -> None:
    """
    Without a file the journal still remembers; closing it twice is harmless.
    """
    journal = Journal()
    journal.mark("start", "redis")
    journal.mark("start", "postgres")
    journal.close()
    journal.close()

    assert [mark.subject for mark in journal.marks()] == ["redis", "postgres"]
    assert [mark.what for mark in journal.marks("redis")] == ["start"]


@pytest.mark.asyncio
async def test_a_look_is_repeated_while_its_context_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The first comes at once, none after the end; one that takes long delays the next and is not made up for.
    """
    # On a clock of its own, which no machine is too slow for.
    now = 0.0
    seen: list[float] = []
    enough = asyncio.Event()

    async def reach(deadline: float) -> None:
        nonlocal now
        now = max(now, deadline)
        await asyncio.sleep(0)

    async def look() -> None:
        seen.append(now)
        if len(seen) == 1:
            await reach(now + 0.1)
        if len(seen) == 5:
            enough.set()

    monkeypatch.setattr(wait, "reach", reach)
    monkeypatch.setattr(wait, "time", SimpleNamespace(monotonic=lambda: now))
    async with wait.repeatedly(look, every=0.02):
        await enough.wait()
    ended = len(seen)
    for _ in range(10):
        await asyncio.sleep(0)

    assert seen[:5] == pytest.approx([0.0, 0.1, 0.12, 0.14, 0.16])
    assert len(seen) == ended


@pytest.mark.asyncio
async def test_a_deadline_is_slept_until() -> None:
    """
    Not a moment less; one that is past is no wait.
    """
    deadline = clock.mono() + 0.1
    await wait.reach(deadline)
    reached = clock.mono()
    await asyncio.wait_for(wait.reach(deadline - 60), timeout=20)

    assert reached >= deadline


# --- one run after the other --------------------------------------------------------------------------------------


def _turn(tmp_path: Path) -> str:
    return f"\0turn-of-{tmp_path}"


def test_the_second_run_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    """
    It says for whom it waits, and begins as soon as that one has ended, however it did.
    """
    script = (
        "import sys; from fixtures.core import turn\n"
        f"with turn.taken(print, name={_turn(tmp_path)!r}):\n"
        "    print('has it', flush=True); sys.stdin.read()\n"
    )
    root = Path(__file__).parents[2]
    told: list[str] = []

    def tell(said: str) -> None:
        told.append(said)
        first.kill()

    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"has it\n"
        with turn.taken(tell, name=_turn(tmp_path), longest=60) as waited:
            ended = first.wait(timeout=20)

    assert ended == -signal.SIGKILL
    assert waited < 30
    assert told == [f"another run measures on this machine (process {first.pid} in {root}); waiting for its end (0 s)"]


def test_a_run_that_nobody_precedes_does_not_wait(tmp_path: Path) -> None:
    """
    And whoever comes after it finds the turn free again.
    """
    told: list[str] = []
    for _ in range(2):
        # Whoever waits says so at once.
        with turn.taken(told.append, name=_turn(tmp_path)) as waited:
            assert waited < 5

    assert told == []


def test_a_wait_for_another_run_is_bounded(tmp_path: Path) -> None:
    """
    It goes on beside the other then, and says so.
    """
    told: list[str] = []
    with (
        turn.taken(told.append, name=_turn(tmp_path)),
        turn.taken(told.append, name=_turn(tmp_path), longest=0.1) as waited,
    ):
        pass

    assert waited >= 0.1
    assert "no longer waiting" in told[-1]
    told.clear()
    with turn.taken(told.append, name=_turn(tmp_path)):
        assert told == []
