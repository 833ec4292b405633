"""However a run on containers ends, the engine has afterwards what it had before, and strangers never notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.selftest.test_dying import ROOT, Living
from fixtures.core import patience, rundir, wait
from fixtures.core.journal import Journal
from fixtures.stack import components, engine, images
from fixtures.stack.component import StackError
from fixtures.stack.engine import RUN_LABEL, Engine, EngineError
from fixtures.stack.probe import Probe
from fixtures.stack.shapes import PYTHON
from fixtures.stack.stack import Settings, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.stack.component import Component

OURS = "CONFORMANCE_ENGINE"
"""Where `.ci/engine` keeps the engine that these tests may restart; nobody else's is."""
AFTERWARDS = 30.0
"""Seconds that the process that sweeps up behind a killed run may take."""


@pytest.fixture
def found() -> Engine:
    """
    The engine of this machine, with every image.
    """
    try:
        there = engine.find(os.environ)
        lacking = images.missing(there, components.binaries())
    except EngineError as error:
        pytest.skip(str(error))
    if lacking:
        pytest.skip(f"the engine lacks the local images of {', '.join(lacking)} (nox -s images)")
    return there


@pytest.fixture
def bystander(found: Engine) -> Iterator[str]:
    """
    A container of somebody else, of one of the images that a run uses too.
    """
    body = json.dumps({"Image": images.tag(PYTHON), "Cmd": ["-c", "import time; time.sleep(600)"]}).encode()
    key = _created(found, body)
    found.call("POST", f"/containers/{key}/start", timeout=30)
    yield key
    found.call("DELETE", f"/containers/{key}", {"force": "true", "v": "true"}, timeout=30)


def _created(found: Engine, body: bytes) -> str:
    connection = found._connection(30)  # the suite's own calls send archives only
    try:
        connection.request("POST", "/containers/create", body=body, headers={"Content-Type": "application/json"})
        return str(json.loads(connection.getresponse().read())["Id"])
    finally:
        connection.close()


def everything(found: Engine) -> dict[str, set[str]]:
    """What the engine has by kind, but for what belongs to other runs that live beside this one."""
    kinds = {
        "containers": found.call("GET", "/containers/json", {"all": "true"}),
        "networks": found.call("GET", "/networks"),
        "volumes": found.call("GET", "/volumes")["Volumes"] or [],
        "images": found.call("GET", "/images/json"),
    }
    return {
        # Networks by name: an engine makes its own ones anew when it starts.
        kind: {
            str(each["Id" if kind in ("containers", "images") else "Name"])
            for each in entries
            if RUN_LABEL not in (each["Labels"] or {})
        }
        for kind, entries in kinds.items()
    }


def of(found: Engine, living: Living) -> list[engine.Remains]:
    """What that run has on the engine."""
    return [each for each in engine.remains(found) if each.owner.startswith(f"{living.process.pid}:")]


def gone(found: Engine, living: Living) -> list[engine.Remains]:
    return wait.until(lambda: of(found, living), lambda left: not left, budget=AFTERWARDS, every=0.25).last


@pytest.fixture
def living(found: Engine, tmp_path: Path) -> Iterator[Living]:
    """
    A run on containers over the steady program, hurried.
    """
    assert found.host, "an engine comes first"
    run = Living(tmp_path, "--stack", "containers", "--tempo", "300")
    yield run
    run.end()


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        pytest.param((signal.SIGINT,), "steady: ", id="ctrl-c"),
        pytest.param((signal.SIGTERM,), "steady: ", id="terminated"),
        pytest.param((signal.SIGINT, signal.SIGINT), "containers: engine", id="ctrl-c-twice-while-being-made"),
    ],
)
def test_whichever_way_it_ends_the_engine_has_what_it_had(
    signals: tuple[signal.Signals, ...], words: str, found: Engine, bystander: str, living: Living
) -> None:
    """
    Ctrl-C under load, SIGTERM, and an impatient Ctrl-C while containers are being made.
    """
    before = everything(found)
    living.reach(words)
    made = wait.until(lambda: of(found, living), lambda has: any(each.containers for each in has), budget=20, every=0.2)
    for number in signals:
        living.process.send_signal(number)
        wait.until(lambda: False, bool, budget=0.3, every=0.3)
    living.process.wait(timeout=90)
    left = of(found, living)

    assert made.ok
    assert bystander in before["containers"]
    assert left == []
    assert everything(found) == before
    assert not (living.directory / "secrets").exists()
    assert "the run was interrupted" in living.said()


def test_of_a_run_that_was_killed_under_load_nothing_stays(found: Engine, bystander: str, living: Living) -> None:
    """
    SIGKILL: the engine has what it had before as soon as the process that waits for this has swept.
    """
    before = everything(found)
    living.reach("steady: ")
    owns = of(found, living)
    living.process.kill()
    living.process.wait()
    left = gone(found, living)

    assert bystander in before["containers"]
    assert sum(len(each.containers) for each in owns) > 10
    assert left == []
    assert everything(found) == before
    assert living.left() == []


@pytest.mark.skipif(OURS not in os.environ, reason=f"{OURS} names no engine that may be restarted (.ci/run does)")
def test_an_engine_that_is_restarted_ends_the_run_and_keeps_nothing_of_it(found: Engine, living: Living) -> None:
    """
    All components die with the engine: the run says so, is no pass, and is removed once the engine is back.
    """
    before = everything(found)
    living.reach("steady: ")
    subprocess.run(
        [str(ROOT / ".ci" / "engine"), "restart", os.environ[OURS]], check=True, stdout=subprocess.DEVNULL, timeout=90
    )
    code = living.process.wait(timeout=120)
    left = gone(found, living)
    report = json.loads((living.directory / "report.json").read_text(encoding="utf-8"))

    assert code == 1
    assert report["result"] == "partial"
    assert "died" in living.said()
    assert left == []
    assert everything(found) == before


SMALL = (components.POSTGRES, components.REDIS, components.ALERTMANAGER, components.RECEIVERS)


def _small(directory: Path) -> tuple[Settings, Journal]:
    place = rundir.create(exact=directory / "run")
    settings = Settings(rundir=place, rules=ROOT / "rules", tempo=60, driver="containers")
    return settings, Journal(place.path / "journal.ndjson")


def test_after_an_orderly_end_the_engine_has_what_it_had(
    found: Engine, bystander: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A small stack that stood and was left: nothing of it stays, and its logs do.
    """
    monkeypatch.setattr(components, "SHARED", SMALL)
    before = everything(found)
    settings, journal = _small(tmp_path)
    with standing(settings, [], journal=journal, announce=lambda _: None, note=lambda _: None) as stack:
        stack.await_ready()
        stood, owns = stack.ended(), engine.remains(found, settings.rundir.label)
    journal.close()

    assert bystander in before["containers"]
    assert stood == []
    assert [len(each.containers) for each in owns] == [len(SMALL)]
    assert engine.remains(found, settings.rundir.label) == []
    assert everything(found) == before
    assert "ready to accept connections" in (settings.rundir.path / "logs" / "postgres.log").read_text(encoding="utf-8")


def _refused(found: Engine, directory: Path, monkeypatch: pytest.MonkeyPatch, bent: Component) -> str:
    """What a small stack says with that Alertmanager, which never gets ready."""
    assert found.host, "an engine comes first"
    small = tuple(bent if each is components.ALERTMANAGER else each for each in SMALL)
    monkeypatch.setattr(components, "SHARED", small)
    monkeypatch.setattr(components, "ALERTMANAGER", bent)
    settings, journal = _small(directory)
    try:
        with (
            pytest.raises(StackError) as raised,
            standing(settings, [], journal=journal, announce=lambda _: None, note=lambda _: None) as stack,
        ):
            assert stack.components == {}, "a stack that cannot get ready must not stand"
    finally:
        journal.close()
    assert engine.remains(found, settings.rundir.label) == []
    return str(raised.value)


def test_an_image_that_exits_at_once_is_told_with_its_last_words(
    found: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The error names the component, how it ended and its last log lines; the engine has what it had.
    """
    before = everything(found)
    bent = replace(components.ALERTMANAGER, arguments=lambda _: ["--no-such-flag"])
    told = _refused(found, tmp_path, monkeypatch, bent)

    assert told.startswith("alertmanager: ended before it was ready (exit code 1)")
    assert "unknown long flag '--no-such-flag'" in told
    assert everything(found) == before


def test_an_image_that_never_gets_ready_is_told_with_its_last_words(
    found: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After its budget the error says what was seen last and what it logged; the engine has what it had.
    """
    before = everything(found)
    monkeypatch.setattr(patience, "STARTUP", 6.0)
    bent = replace(components.ALERTMANAGER, probe=Probe(port="http", path="/never"))
    told = _refused(found, tmp_path, monkeypatch, bent)

    assert "alertmanager: was not ready within 6 s; last seen: " in told
    assert "404" in told
    assert "its last log lines:" in told
    assert "Listening on" in told
    assert everything(found) == before
