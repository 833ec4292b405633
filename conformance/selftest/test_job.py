"""The main job as a child: however the program that looks at it ends, the run ends orderly and nothing goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from conformance import job
from fixtures.core import wait

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RUN = """
import os, signal, time
from pathlib import Path

PLACE = Path(__file__).with_name("run")

def test_a_run():
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Whoever sees the file finds the number in it.
        PLACE.with_name("running").write_text(str(os.getpid()))
        PLACE.with_name("running").rename(PLACE)
        time.sleep(60)
    finally:
        time.sleep(0.3)
        PLACE.with_name("ended").touch()
"""
LOOKING = """
import signal
import sys
from pathlib import Path
from conformance import job

# Whatever the tests were started with.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

job.LIVE = (sys.argv[1],)
job.terminable()
try:
    with job.started("-p", "no:cacheprovider", "--noconftest", log=Path(sys.argv[1]).with_name("log")):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """
    A file of tests that takes the place of the main job, and a while to take down what it has.
    """
    file = tmp_path / "test_run.py"
    file.write_text(RUN, encoding="utf-8")
    return file


@pytest.fixture
def looking(run: Path) -> Iterator[subprocess.Popen[bytes]]:
    """
    A program that has started such a run.
    """
    process = subprocess.Popen([sys.executable, "-c", LOOKING, str(run)], cwd=ROOT, stdout=subprocess.PIPE)
    assert wait.until((run.parent / "run").exists, bool, budget=20, every=0.05).ok
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _gone(run: Path) -> bool:
    pid = int((run.parent / "run").read_text(encoding="utf-8"))
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_ended_ends_its_run_and_waits_for_it(
    number: signal.Signals, run: Path, looking: subprocess.Popen[bytes]
) -> None:
    """
    Ctrl-C, a termination and a closed terminal: the run takes down what it has before the program ends.
    """
    looking.send_signal(number)
    said, _ = looking.communicate(timeout=20)

    assert said == b"interrupted\n"
    assert (run.parent / "ended").exists()
    assert _gone(run)


def test_a_program_that_is_killed_takes_its_run_with_it(run: Path, looking: subprocess.Popen[bytes]) -> None:
    """
    Nobody waits any more; the run is terminated, and ends as such a run does.
    """
    looking.kill()
    looking.wait()

    assert wait.until(lambda: _gone(run), bool, budget=20, every=0.05).ok
    assert (run.parent / "ended").exists()


def test_an_error_beside_a_run_ends_it(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What goes wrong while the run is looked at leaves no run behind.
    """
    monkeypatch.setattr(job, "LIVE", (str(run),))
    monkeypatch.chdir(ROOT)
    began = False

    def look() -> None:
        nonlocal began
        with job.started("-p", "no:cacheprovider", "--noconftest", log=tmp_path / "log"):
            began = wait.until((run.parent / "run").exists, bool, budget=20, every=0.05).ok
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        look()

    assert began
    assert _gone(run)
    assert (run.parent / "ended").exists()
