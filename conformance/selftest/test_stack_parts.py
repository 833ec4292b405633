"""What a stack is made of: credentials, control groups, the guard, the nursery, processes, rendered files."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import yaml

from fixtures.core import wait
from fixtures.core.ports import Ports
from fixtures.core.rundir import RunDir
from fixtures.stack import cgroups, components, priority, render
from fixtures.stack.component import Component, Port, StackError
from fixtures.stack.forked import how_it_ended, tail
from fixtures.stack.installed import answer, ask
from fixtures.stack.probe import Probe
from fixtures.stack.processes import ChildNursery, Guard, NativeDriver
from fixtures.stack.secrets import NAMES, Secrets
from fixtures.stack.stack import read_rules, read_text
from fixtures.stack.versions import load as load_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.stack.provision import Binary

ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    """Whether no process of that id runs; a zombie that nobody has reaped counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def awaited(look: object, *, budget: float = 30.0) -> bool:
    """Whether it comes true in time."""
    assert callable(look)
    return wait.until(look, bool, budget=budget, every=0.01).ok


@pytest.fixture
def ports() -> Iterator[Ports]:
    """
    Ports that are given back at the end.
    """
    held = Ports()
    yield held
    held.release()


# --- credentials --------------------------------------------------------------------------------------------------


def test_credentials_are_fresh_and_only_the_run_may_read_them(tmp_path: Path) -> None:
    """
    Two runs share none; folder and files are closed to others.
    """
    one, other = Secrets(tmp_path / "a"), Secrets(tmp_path / "b")
    file = one.file("redis")

    assert len({*one.values(), *other.values()}) == 2 * len(NAMES)
    assert file.read_text(encoding="utf-8") == one.value("redis")
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


# --- control groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["memory.max", "memory.limit_in_bytes"])
def test_the_memory_of_a_group_is_limited_where_its_kernel_reads_it(limit: str, tmp_path: Path) -> None:
    """
    Both versions of the interface are known.
    """
    (tmp_path / "cpu").mkdir()
    (tmp_path / limit).touch()
    cgroups.limit_memory([tmp_path / "cpu", tmp_path], 1 << 20)

    assert (tmp_path / limit).read_text(encoding="ascii") == "1048576"


def test_a_group_stands_in_one_hierarchy_or_in_each(tmp_path: Path) -> None:
    """
    A folder under each controller that is mounted, or one where the hierarchy is unified.
    """
    for controller in ("memory", "cpu"):
        (tmp_path / controller).mkdir()
    separate = cgroups.folders("g", tmp_path)
    (tmp_path / "cgroup.controllers").touch()

    assert separate == (tmp_path / "memory" / "g", tmp_path / "cpu" / "g")
    assert cgroups.folders("g", tmp_path) == (tmp_path / "g",)


def test_a_group_without_a_limit_of_memory_is_removed_again(tmp_path: Path) -> None:
    """
    Where the memory controller is not handed down there is no file for the limit.
    """
    (tmp_path / "cgroup.controllers").touch()

    with pytest.raises(cgroups.CgroupError, match=rf"no control group whose memory could be limited \({tmp_path}/g\)"):
        cgroups.make("g", memory_limit=1, root=tmp_path)
    assert not (tmp_path / "g").exists()


def test_no_control_groups_at_all_is_said(tmp_path: Path) -> None:
    """
    The message names the place that was tried.
    """
    with pytest.raises(cgroups.CgroupError, match=f"{tmp_path}: no control group file system is mounted"):
        cgroups.make("g", memory_limit=1, root=tmp_path)


def test_a_group_that_cannot_be_made_whole_is_removed_again(tmp_path: Path) -> None:
    """
    The message has the path and the errno, and nothing half made stays.
    """
    for controller in ("memory", "cpu"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpu" / "g").mkdir()

    with pytest.raises(cgroups.CgroupError, match=rf"{tmp_path}/cpu/g: File exists \(errno 17\)"):
        cgroups.make("g", memory_limit=1, root=tmp_path)
    assert not (tmp_path / "memory" / "g").exists()


# --- the guard ----------------------------------------------------------------------------------------------------


def test_the_guard_removes_what_it_watches_when_the_run_ends(tmp_path: Path) -> None:
    """
    Folders go with all that is in them; a group loses its processes first.
    """
    place, group = tmp_path / "secrets", tmp_path / "group"
    (place / "deep").mkdir(parents=True)
    group.mkdir()
    guard = Guard()
    guard.start()
    guard.watch("folder", place)
    guard.watch("group", group)
    guard.stop()

    assert not place.exists()
    assert not group.exists()


def test_the_guard_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    """
    SIGKILL of the process that started it is an end like any other.
    """
    place = tmp_path / "secrets"
    place.mkdir()
    script = (
        "import pathlib, sys\n"
        "from fixtures.stack.processes import Guard\n"
        f"guard = Guard(); guard.start(); guard.watch('folder', pathlib.Path({str(place)!r}))\n"
        "print('watched', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"watched\n"
        run.kill()

    assert awaited(lambda: not place.exists())


def test_a_session_gets_its_niceness_back_from_a_run_that_was_killed(tmp_path: Path) -> None:
    """
    The shell in which it was started lives on, and goes before nobody.
    """
    script = tmp_path / "run.py"
    script.write_text(
        "import os, signal\n"
        "from fixtures.stack import priority\n"
        "from fixtures.stack.processes import Guard\n"
        "guard = Guard(); guard.start(); guard.restore(priority.own())\n"
        "priority.renice(os.getpid(), priority.LAST)\n"
        "print(priority.own().niceness, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    if priority.own() is None:
        pytest.skip("this kernel does not share its processors among sessions")
    shell = ["sh", "-c", f"{sys.executable} {script}; read end"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        shell, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        place = Path(f"/proc/{leader.pid}/autogroup")
        said = int(leader.stdout.readline())
        restored = awaited(lambda: place.read_text(encoding="ascii").split()[-1] == "0")
        leader.communicate(b"\n")

    assert said == priority.LAST
    assert restored


def test_a_group_is_weighed_by_processes(tmp_path: Path) -> None:
    """
    By either version of the interface; where it cannot be made, nothing is said and nothing is lost.
    """
    unified, separate, neither = (tmp_path / name for name in ("unified", "separate", "neither"))
    (separate / "cpu").mkdir(parents=True)
    unified.mkdir()
    (unified / "cgroup.controllers").touch()
    for root in (unified, separate, neither):
        cgroups.weigh("g", 4, root=root)

    assert (unified / "g" / "cpu.weight").read_text() == "400"
    assert (separate / "cpu" / "g" / "cpu.shares").read_text() == "4096"
    assert not neither.exists()


# --- the nursery --------------------------------------------------------------------------------------------------


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[ChildNursery]:
    """
    A nursery that has imported the neighbours alone.
    """
    made = ChildNursery(tmp_path / "nursery.log", ("fixtures.neighbours",))
    made.start()
    yield made
    made.stop()


def environment(port: int) -> dict[str, str]:
    return {"NEIGHBOUR": "n8n", "NEIGHBOUR_PORT": str(port)}


def test_a_program_is_forked_answers_and_ends_when_told(nursery: ChildNursery, ports: Ports, tmp_path: Path) -> None:
    """
    It has a process id while it lives and says how it ended.
    """
    port = ports.take()
    nursery.launch("n8n", "fixtures.neighbours", environment(port), tmp_path / "n8n.log")
    answered = awaited(lambda: Probe(port="http", path="/healthz").look(f"127.0.0.1:{port}").ok, budget=20)
    pid = nursery.pid("n8n")
    nursery.signal("n8n", signal.SIGTERM)
    ended = awaited(lambda: nursery.ended("n8n"))

    assert answered
    assert ended
    assert nursery.ended("n8n") == "exit code 0"
    assert nursery.pid("n8n") is None
    assert pid is not None
    assert gone(pid)


def test_a_program_that_cannot_start_says_so_in_its_log(nursery: ChildNursery, tmp_path: Path) -> None:
    """
    The exit code is the program's own, its last words are in its log.
    """
    nursery.launch("n8n", "fixtures.neighbours", {"NEIGHBOUR": "n8"}, tmp_path / "n8n.log")
    ended = awaited(lambda: nursery.ended("n8n"), budget=20)

    assert ended
    assert nursery.ended("n8n") == "exit code 2"
    assert "NEIGHBOUR_PORT is not set" in tail(tmp_path / "n8n.log", 3)


def test_the_end_of_the_nursery_ends_its_programs(nursery: ChildNursery, ports: Ports, tmp_path: Path) -> None:
    """
    Even a SIGKILL takes them along, and each of them is told to be ended.
    """
    nursery.launch("n8n", "fixtures.neighbours", environment(ports.take()), tmp_path / "n8n.log")
    assert awaited(lambda: nursery.pid("n8n"), budget=20)
    pid, parent = nursery.pid("n8n"), nursery.process_id()
    assert pid is not None
    assert parent is not None
    os.kill(parent, signal.SIGKILL)

    assert awaited(lambda: nursery.ended("n8n"))
    assert nursery.ended("n8n") == "the process that forked it ended: killed by SIGKILL"
    assert awaited(lambda: gone(pid))


def test_a_signal_is_sent_when_the_call_returns(nursery: ChildNursery, ports: Ports, tmp_path: Path) -> None:
    """
    A fault begins with it: by then the program is stopped, or its kernel is about to.
    """
    nursery.launch("n8n", "fixtures.neighbours", environment(ports.take()), tmp_path / "n8n.log")
    assert awaited(lambda: nursery.pid("n8n"), budget=20)
    pid = nursery.pid("n8n")

    def stopping() -> bool:
        told = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return bool(int(told["ShdPnd"], 16) >> (signal.SIGSTOP - 1) & 1) or told["State"].startswith("T")

    for _ in range(5):
        nursery.signal("n8n", signal.SIGSTOP)
        # The kernel tells the state first: a signal that is taken between the two stands in neither.
        stopped = stopping() or stopping()
        nursery.signal("n8n", signal.SIGCONT)

        assert stopped


def test_a_program_has_the_niceness_that_was_asked_for(nursery: ChildNursery, ports: Ports, tmp_path: Path) -> None:
    """
    Beside that of the process that forks it.
    """
    for name, niceness in (("n8n", 0), ("later", 3)):
        log = tmp_path / f"{name}.log"
        nursery.launch(name, "fixtures.neighbours", environment(ports.take()), log, niceness=niceness)
    assert awaited(lambda: nursery.pid("n8n") and nursery.pid("later"), budget=20)
    first, second = (nursery.pid(name) for name in ("n8n", "later"))
    assert first is not None
    assert second is not None

    assert awaited(lambda: os.getpriority(os.PRIO_PROCESS, second) - os.getpriority(os.PRIO_PROCESS, first) == 3)


def test_a_nursery_that_cannot_import_says_why(tmp_path: Path) -> None:
    """
    The order that comes too late carries its last log lines.
    """
    broken = ChildNursery(tmp_path / "nursery.log", ("fixtures.no_such_program",))
    broken.start()
    assert awaited(lambda: broken.ended("anything"), budget=20)

    with pytest.raises(StackError, match=r"the process that forks our programs is gone(.|\n)*No module named"):
        broken.launch("n8n", "fixtures.neighbours", {}, tmp_path / "n8n.log")
    broken.stop()


# --- processes ----------------------------------------------------------------------------------------------------

SLEEPER = Component(
    name="sleeper",
    binary="sleeper",
    ports=(Port(name="tcp", inside=1),),
    probe=Probe(port="tcp"),
    arguments=lambda _: ["-c", 'echo last words >&2; trap "" TERM; sleep 60 & echo $! >child; wait'],
    files=lambda _: {"note.txt": "made"},
)


def driver(tmp_path: Path, ports: Ports, binary: str = "/bin/sh") -> NativeDriver:
    """A native driver whose only binary is that one."""
    found = SimpleNamespace(path=Path(binary), version="1", source="PATH", licence="", built_here=False)
    return NativeDriver(
        rundir=RunDir(path=tmp_path, label="test"),
        ports=ports,
        secrets=Secrets(tmp_path / "secrets"),
        binaries={"sleeper": cast("Binary", found)},
        guard=Guard(),
    )


def test_a_process_is_started_in_its_folder_with_its_files_and_killed_when_it_does_not_listen(
    tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One that ignores SIGTERM is killed after its budget; its log stays.
    """
    monkeypatch.setattr("fixtures.core.patience.STOP", 0.1)
    running = driver(tmp_path, ports).claim(SLEEPER, "sleeper", {})
    running.start()
    place = tmp_path / "state" / "sleeper"
    started = awaited(lambda: (place / "child").exists() and (place / "child").read_text(encoding="ascii").strip())
    running.stop()
    child = int((place / "child").read_text(encoding="ascii"))
    os.kill(child, signal.SIGKILL)

    assert started
    assert (place / "note.txt").read_text(encoding="utf-8") == "made"
    assert running.ended() == "killed by SIGKILL"
    assert running.log() == "last words"


def test_a_killed_process_is_started_again_by_whoever_outlives_the_thread_that_asked(
    nursery: ChildNursery, tmp_path: Path, ports: Ports
) -> None:
    """
    A child dies with the thread that made it, so what is started again in a passing thread is made elsewhere.
    """
    native = driver(tmp_path, ports)
    native.nursery = nursery
    component = replace(SLEEPER, arguments=lambda _: ["-c", "echo up; exec sleep 60"])
    running = native.claim(component, "sleeper", {})
    running.start()
    assert awaited(lambda: running.log() == "up")
    first = running.pid()
    running.kill()
    killed = awaited(lambda: running.ended() == "killed by SIGKILL")
    asking = threading.Thread(target=running.start)
    asking.start()
    asking.join()
    up_twice = awaited(lambda: running.log().count("up") == 2)
    second, said = running.pid(), running.ended()
    running.pause()
    running.resume()
    running.stop()

    assert killed
    assert up_twice
    assert second not in (None, first)
    assert said == ""
    assert running.ended() == "killed by SIGTERM"
    assert gone(second or 0)


def test_a_component_can_be_stopped_before_it_was_started(tmp_path: Path, ports: Ports) -> None:
    """
    Owning comes before starting, so the end may come first.
    """
    running = driver(tmp_path, ports).claim(SLEEPER, "sleeper", {})
    running.stop()

    assert running.ended() == ""


def test_a_binary_that_cannot_be_run_is_named(tmp_path: Path, ports: Ports) -> None:
    """
    The message has the component, the path and the reason.
    """
    running = driver(tmp_path, ports, binary="/nowhere/prometheus").claim(SLEEPER, "sleeper", {})

    with pytest.raises(StackError, match="sleeper: /nowhere/prometheus: No such file or directory"):
        running.start()


def test_a_peer_that_is_not_there_names_those_that_are(tmp_path: Path, ports: Ports) -> None:
    """
    A catalogue that asks for an unknown component is told what the stack has.
    """
    native = driver(tmp_path, ports)
    native.claim(SLEEPER, "sleeper", {})

    with pytest.raises(StackError, match="rediss: is not part of this stack; it has sleeper"):
        native.site("rediss")


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-999, "exit code -999")]
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    """
    A signal by its name, an exit code by its number.
    """
    assert how_it_ended(code) == words


def test_the_last_lines_of_a_log_are_found_in_any_log(tmp_path: Path) -> None:
    """
    A log that is not there, one that is no text, one that is very long.
    """
    (tmp_path / "odd").write_bytes(b"\xff\xfe\nend\n")
    (tmp_path / "long").write_text("x" * 100_000 + "\nlast but one\nlast\n", encoding="utf-8")

    assert tail(tmp_path / "none", 5) == ""
    assert tail(tmp_path / "odd", 1) == "end"
    assert tail(tmp_path / "long", 2) == "last but one\nlast"


# --- readiness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [Probe(port="http", path="/healthz"), Probe(port="tcp")])
def test_a_probe_of_nothing_says_what_it_met(probe: Probe) -> None:
    """
    It never raises; the sight goes into the message when it does not get better.
    """
    sight = probe.look("127.0.0.1:1")

    assert not sight.ok
    assert "refused" in sight.said


# --- rendered files -----------------------------------------------------------------------------------------------

RECEIVERS = render.Receivers(
    http="127.0.0.1:9",
    smtp="127.0.0.1:25",
    slack_path="/services/T/B/secret",
    slack_url_file="/run/slack",
    pagerduty_key_file="/run/pagerduty",
)
SHIPPED = (ROOT / "rules" / "alertmanager.yml").read_text(encoding="utf-8")


def test_no_page_of_a_run_leaves_the_machine() -> None:
    """
    Every documented address becomes one of the run's, and credentials become files.
    """
    text, slack = render.alertmanager(SHIPPED, tempo=60, file="alertmanager.yml", receivers=RECEIVERS)
    given = yaml.safe_load(text)

    assert slack == "http://127.0.0.1:9/services/T/B/secret"
    assert given["global"]["pagerduty_url"] == "http://127.0.0.1:9/v2/enqueue"
    assert given["global"]["smtp_smarthost"] == "127.0.0.1:25"
    assert "slack.com" not in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("old", "new", "url"),
    [
        ("hooks.slack.com", "hooks.slak.com", f"http://{render.NOWHERE}/services/T/B/secret"),
        ("https://hooks", "http://hooks", f"http://{render.NOWHERE}/services/T/B/secret"),
        ("YOUR/WEBHOOK/URL", "T1/B2/X3", "http://127.0.0.1:9/services/T1/B2/X3"),
    ],
)
def test_a_wrong_address_is_kept_wrong_on_this_machine(old: str, new: str, url: str) -> None:
    """
    Another host or scheme leads nowhere, another path to the receiver that refuses it.
    """
    _, slack = render.alertmanager(SHIPPED.replace(old, new), tempo=60, file="a.yml", receivers=RECEIVERS)

    assert slack == url


def test_one_right_address_does_not_heal_a_wrong_one() -> None:
    """
    Each entry keeps its own address: the file that holds the right one is named where that was shipped, and only there.
    """
    second = "  - name: spare\n    slack_configs:\n      - api_url: https://hooks.slak.com/services/YOUR/WEBHOOK/URL\n"
    for text in (SHIPPED + "\n" + second, SHIPPED.replace("receivers:\n", "receivers:\n" + second, 1)):
        given, slack = render.alertmanager(text, tempo=60, file="a.yml", receivers=RECEIVERS)
        entries = {
            each["name"]: each["slack_configs"][0]
            for each in yaml.safe_load(given)["receivers"]
            if len(each) > 1 and "slack_configs" in each
        }

        assert slack == "http://127.0.0.1:9/services/T/B/secret"
        assert entries["slack"]["api_url_file"] == "/run/slack"
        assert entries["spare"]["api_url"] == f"http://{render.NOWHERE}/services/YOUR/WEBHOOK/URL"


def test_the_address_of_every_chat_may_stand_in_global() -> None:
    """
    An entry without one takes that.
    """
    line = "api_url: https://hooks.slack.com/services/YOUR/WEBHOOK/URL"
    text = SHIPPED.replace(f"- {line}\n        channel", "- channel").replace(
        "global:\n", f"global:\n  slack_{line}\n", 1
    )
    given, slack = render.alertmanager(text, tempo=60, file="a.yml", receivers=RECEIVERS)

    assert slack == "http://127.0.0.1:9/services/T/B/secret"
    assert yaml.safe_load(given)["global"]["slack_api_url_file"] == "/run/slack"


def test_an_address_that_is_not_said_is_not_alertmanager_s_own() -> None:
    """
    Without `pagerduty_url` Alertmanager would page the real PagerDuty.
    """
    line = "  pagerduty_url: https://events.pagerduty.com/v2/enqueue\n"
    assert line in SHIPPED
    given, _ = render.alertmanager(SHIPPED.replace(line, ""), tempo=60, file="a.yml", receivers=RECEIVERS)
    plain, _ = render.alertmanager(
        SHIPPED.replace(line, line.replace("https", "http")), tempo=60, file="a.yml", receivers=RECEIVERS
    )

    assert yaml.safe_load(given)["global"]["pagerduty_url"] == "http://127.0.0.1:9/v2/enqueue"
    assert yaml.safe_load(plain)["global"]["pagerduty_url"] == f"http://{render.NOWHERE}/v2/enqueue"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("routing_key: your", "service_key: your", "receivers[2].pagerduty_configs.service_key"),
        ("routing_key: your", "routing_key_file: /etc/your", "receivers[2].pagerduty_configs.routing_key_file"),
        (
            "smtp_from:",
            "http_config: {oauth2: {client_id: a, token_url: 'https://a.b/c'}}\n  smtp_from:",
            "global.http_config.oauth2",
        ),
        ("api_url: https", "api_url_file: /etc/https", "receivers[1].slack_configs.api_url_file"),
        ("smtp_from:", "slack_api_url_file: /etc/url\n  smtp_from:", "global.slack_api_url_file"),
        (
            "smtp_from:",
            "http_config: {proxy_url: 'http://proxy:3128'}\n  smtp_from:",
            "global.http_config.proxy_url",
        ),
        (
            "channel: '#osmen-alerts'",
            "channel: '#osmen-alerts'\n        http_config: {proxy_from_environment: true}",
            "receivers[1].slack_configs.http_config.proxy_from_environment",
        ),
    ],
)
def test_a_way_off_the_machine_is_refused(old: str, new: str, place: str) -> None:
    """
    What would send a page of the run to the world, or where nobody here can see it, is named with its place.
    """
    assert old in SHIPPED
    with pytest.raises(StackError) as caught:
        render.alertmanager(SHIPPED.replace(old, new), tempo=60, file="a.yml", receivers=RECEIVERS)

    assert str(caught.value).startswith(f"a.yml: {place}: ")


def test_an_integration_without_a_receiver_is_refused() -> None:
    """
    The message names its place and what there is.
    """
    text = SHIPPED.replace("slack_configs", "webhook_configs")

    with pytest.raises(StackError, match=r"a\.yml: receivers\[1\]\.webhook_configs: this stack has no receiver for it"):
        render.alertmanager(text, tempo=60, file="a.yml", receivers=RECEIVERS)


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "250ms"), (15, "15s"), (0.0005, "0s"), (90.5, "90500ms")])
def test_a_duration_is_written_in_whole_milliseconds(seconds: float, text: str) -> None:
    """
    As Prometheus reads it.
    """
    assert render.duration(seconds) == text


def test_a_template_value_that_is_missing_is_an_error() -> None:
    """
    No `$name` ever reaches a server.
    """
    with pytest.raises(KeyError, match="host"):
        render.fill("redis.conf")


# --- what the user names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no rule file"),
        ({"alerts.yml": "groups: ["}, r"alerts.yml:1:10: is not YAML: expected the node content"),
        ({"alerts.yml": "rules: []"}, "alerts.yml: is no rule file: it has no `groups`"),
        ({"alerts.yml": "- 1"}, "alerts.yml: is no rule file"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_with_their_file(
    files: dict[str, str], said: str, tmp_path: Path
) -> None:
    """
    The message names the folder or the file, and the reason.
    """
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(StackError, match=said):
        read_rules(tmp_path)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    """
    What stands beside a missing one is named.
    """
    (tmp_path / "alerts.yml").write_bytes(b"\xff")

    with pytest.raises(StackError, match=r"is missing; the folder holds alerts\.yml"):
        read_text(tmp_path / "alertmanager.yml")
    with pytest.raises(StackError, match="cannot be read"):
        read_text(tmp_path / "alerts.yml")
    with pytest.raises(StackError, match="is not a folder"):
        read_rules(tmp_path / "none")


def test_every_component_of_ours_that_stands_in_for_another_says_so() -> None:
    """
    A program of this checkout in the stack is the gateway or names what it stands in for.
    """
    ours = [each for each in (*components.SHARED, components.CADVISOR_STAND_IN) if each.module]

    assert [each.name for each in ours if not each.stand_in_for] == []
    assert [each.name for each in components.SHARED if each.binary and each.stand_in_for] == []


# --- what stands on PATH ------------------------------------------------------------------------------------------


def test_a_program_that_tells_no_version_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A script that hangs is passed over by name, and neither it nor its child is left.
    """
    script, child = tmp_path / "redis-server", tmp_path / "child"
    script.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {child}\nwait\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr("fixtures.stack.installed.ANSWER", 3)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    recipe = load_catalogue()["redis"]
    version, words = answer(recipe, ask(recipe, script))

    assert version == ""
    assert words.startswith("no answer to --version within")
    assert awaited(lambda: gone(int(child.read_text(encoding="ascii"))))
