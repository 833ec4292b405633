"""Containers: which driver is chosen, what a fake engine is asked, and the seam itself where a real engine answers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fixtures.core import rundir, wait
from fixtures.core.ports import Ports
from fixtures.stack import cgroups, choice, components, engine, images, lodging, priority, render, sweep, versions
from fixtures.stack.cgroups import CgroupError
from fixtures.stack.component import StackError
from fixtures.stack.driver import Cut, Kill, LimitMemory, Pause
from fixtures.stack.engine import OWNER_LABEL, RUN_LABEL, Engine, EngineError
from fixtures.stack.lodging import HouseNursery
from fixtures.stack.placement import placed
from fixtures.stack.processes import Guard, NativeDriver
from fixtures.stack.provision import ProvisionError, provide
from fixtures.stack.secrets import Secrets
from fixtures.stack.shapes import OURS, SHAPES, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fixtures.core.rundir import RunDir
    from fixtures.stack.component import Component
    from fixtures.stack.driver import Driver, Running

ROOT = Path(__file__).parents[2]


# --- an engine of paper -------------------------------------------------------------------------------------------


class PaperEngine:
    """Answers as an engine does, from a table, and notes what is deleted."""

    def __init__(self, socket: Path, answers: Mapping[str, Any]) -> None:
        self.host = f"unix://{socket}"
        self.answers = {"/version": {"ApiVersion": "1.41", "Version": "20.10"}, "/images/json": [], **answers}
        self.deleted: list[str] = []
        self.sent: list[bytes] = []
        paper = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                answer = paper.answers[path]
                wanted = json.loads(urllib.parse.parse_qs(query).get("filters", ["{}"])[0]).get("label", [])
                entries = answer["Volumes"] if isinstance(answer, dict) and "Volumes" in answer else answer
                if wanted and isinstance(entries, list):
                    key, _, value = wanted[0].partition("=")
                    entries = [
                        each
                        for each in entries
                        if each["Labels"].get(key) in ([value] if value else [*_any(each, key)])
                    ]
                    answer = {"Volumes": entries} if isinstance(answer, dict) else entries
                self._say(json.dumps(answer).encode() if not isinstance(answer, bytes) else answer)

            def do_DELETE(self) -> None:
                path = self.path.partition("?")[0]
                paper.deleted.append(path)
                for kind, entries in paper.answers.items():
                    if isinstance(entries, list) and kind.startswith(path.rpartition("/")[0]):
                        paper.answers[kind] = [each for each in entries if each["Id"] not in path]
                self._say(b"")

            def do_POST(self) -> None:
                frames = paper.answers.get(self.path.partition("?")[0])
                if frames is None:
                    self.send_error(404)
                    return
                self.send_response_only(101, "UPGRADED")
                self.end_headers()
                for each in frames:
                    self.wfile.write(each)
                    self.wfile.flush()
                    time.sleep(0.02)
                paper.sent.append(self.rfile.readline())

            def _say(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = socketserver.ThreadingUnixStreamServer(str(socket), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _any(each: Mapping[str, Any], key: str) -> list[str]:
    return [each["Labels"][key]] if key in each["Labels"] else []


@contextlib.contextmanager
def paper(tmp_path: Path, **answers: Any) -> Iterator[PaperEngine]:  # noqa: ANN401
    made = PaperEngine(tmp_path / "e.sock", {f"/{key.replace('__', '/')}": value for key, value in answers.items()})
    try:
        yield made
    finally:
        made.close()


def all_images() -> list[dict[str, Any]]:
    return [
        {"Id": f"sha256:{name}", "RepoTags": [images.tag(name)], "Labels": {}}
        for name in (*components.binaries(), "python")
    ]


# --- what is attached to ------------------------------------------------------------------------------------------


class PaperHouse:
    """A container as far as the nursery inside asks for it."""

    name = "house"

    def ended(self) -> str:
        return ""

    def log(self, lines: int) -> str:
        return f"{lines} lines"


def frame(kind: int, text: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@pytest.fixture
def house() -> Iterator[HouseNursery]:
    """
    A nursery in a container of paper, not yet reached.
    """
    made = HouseNursery(PaperHouse())  # type: ignore[arg-type]
    yield made
    made.close()


def test_what_a_container_says_arrives_in_whatever_pieces(tmp_path: Path, house: HouseNursery) -> None:
    """
    Frames of output cut anywhere are put together; error output between them is left to the container's log.
    """
    started = json.dumps({"event": "started", "pid": 7, "name": "n8n"}).encode() + b"\n"
    ended = json.dumps({"event": "ended", "pid": 7, "name": "n8n", "code": -9}).encode() + b"\n"
    said = frame(1, started[:9]) + frame(2, b"Traceback\n") + frame(1, started[9:] + ended[:3]) + frame(1, ended[3:])
    pieces = [said[at : at + 11] for at in range(0, len(said), 11)]
    told = {"State": {"Pid": 1}}
    with paper(tmp_path, containers__house__attach=pieces, containers__house__json=told) as engine_of_paper:
        house.attach(Engine(host=engine_of_paper.host))
        waited = wait.until(lambda: house.ended("n8n"), bool, budget=5, every=0.01)
        house.launch("langflow", "fixtures.neighbours", {}, Path("log"))
        taken = wait.until(lambda: engine_of_paper.sent, bool, budget=5, every=0.01).last

    assert waited.last == "killed by SIGKILL"
    assert house.pid("n8n") is None
    assert json.loads(taken[0])["name"] == "langflow"


def test_a_container_that_is_not_there_is_attached_to_with_one_clear_error(tmp_path: Path, house: HouseNursery) -> None:
    """
    The engine's own status, or why there is no engine; and an order to a nursery never reached carries its log.
    """
    with paper(tmp_path) as engine_of_paper, pytest.raises(EngineError, match=r"/containers/house/attach: .*404"):
        house.attach(Engine(host=engine_of_paper.host))
    with pytest.raises(EngineError, match=r"POST /containers/house/attach: "):
        house.attach(Engine(host=f"unix://{tmp_path}/none.sock"))
    with pytest.raises(StackError, match=r"gone \(it was never reached\)\n20 lines"):
        house.launch("n8n", "fixtures.neighbours", {}, Path("log"))


# --- the choice ---------------------------------------------------------------------------------------------------


def test_without_an_engine_the_stack_is_native_and_says_why(tmp_path: Path) -> None:
    """
    `auto` on a machine without an engine takes the native driver; the line names the socket that is not there.
    """
    chosen = choice.choose("auto", {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})

    assert chosen.driver == "native"
    assert f"{tmp_path}/none.sock is not there" in chosen.why


def test_containers_without_an_engine_is_one_clear_error(tmp_path: Path) -> None:
    """
    Who asks for containers gets no native stack instead.
    """
    with pytest.raises(StackError, match=r"--stack containers: no container engine: .*none.sock is not there"):
        choice.choose("containers", {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})


def test_an_engine_without_images_leaves_the_stack_native(tmp_path: Path) -> None:
    """
    The line names what is missing and the command that makes it.
    """
    with paper(tmp_path) as fake:
        chosen = choice.choose("auto", {"DOCKER_HOST": fake.host})

    assert chosen.driver == "native"
    assert "lacks the images of alertmanager" in chosen.why
    assert "nox -s images" in chosen.why


def test_containers_without_images_is_one_error_with_all_of_them(tmp_path: Path) -> None:
    """
    Before anything is started: every image that is missing, and the commands that get them.
    """
    with paper(tmp_path, images__json=all_images()[2:]) as fake, pytest.raises(StackError) as raised:
        choice.choose("containers", {"DOCKER_HOST": fake.host})
    first, second = (components.binaries())[:2]

    assert f"--stack containers: 2 images are missing on {fake.host}: {first}, {second}\n" in str(raised.value)
    assert "`nox -s images`" in str(raised.value)
    assert f"docker pull {versions.images()[first]}" in str(raised.value)


def test_an_engine_with_every_image_is_taken(tmp_path: Path) -> None:
    """
    Local images count as well as official ones; one that is missing does not.
    """
    with paper(tmp_path, images__json=all_images()) as fake:
        chosen = choice.choose("auto", {"DOCKER_HOST": fake.host})
        fake.answers["/images/json"] = all_images()[1:]
        without_one = choice.choose("auto", {"DOCKER_HOST": fake.host})

    assert chosen.driver == "containers"
    assert without_one.driver == "native"


def test_native_asks_no_engine() -> None:
    """
    Who asks for the native stack gets it whatever DOCKER_HOST says.
    """
    assert choice.choose("native", {"DOCKER_HOST": "nonsense"}).driver == "native"


def test_an_engine_that_hangs_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A socket that takes connections and never answers costs the budget of one look, and the stack is native.
    """
    monkeypatch.setattr(Engine.call, "__kwdefaults__", {"body": None, "timeout": 0.2})
    place = tmp_path / "hangs.sock"
    with socketserver.UnixStreamServer(str(place), socketserver.BaseRequestHandler):
        chosen = choice.choose("auto", {"DOCKER_HOST": f"unix://{place}"})

    assert chosen.driver == "native"
    assert "no answer within" in chosen.why


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("tcp://10.0.0.7:2375", "another machine"),
        ("ssh://user@host", "only unix:// and tcp://"),
        ("nonsense", "only unix:// and tcp://"),
    ],
)
def test_an_engine_that_cannot_serve_is_refused_with_the_reason(host: str, words: str) -> None:
    """
    Ports are published on the engine's loopback, so it has to be this machine's.
    """
    with pytest.raises(EngineError, match=words):
        engine.find({"DOCKER_HOST": host})


def test_a_server_that_is_no_engine_is_told_apart(tmp_path: Path) -> None:
    """
    An answer that is not JSON, or JSON of something else, is no engine.
    """
    with paper(tmp_path, version={"hello": 1}) as fake:
        with pytest.raises(EngineError, match="does not answer as a container engine"):
            engine.find({"DOCKER_HOST": fake.host})
        fake.answers["/version"] = b"<html>"
        with pytest.raises(EngineError, match="is not JSON"):
            engine.find({"DOCKER_HOST": fake.host})


# --- what killed runs left ----------------------------------------------------------------------------------------


def _left(key: str, run: str, owned_by: str) -> dict[str, Any]:
    labels = {RUN_LABEL: run, OWNER_LABEL: owned_by} if run else {"somebody": "else"}
    return {"Id": key, "Names": [f"/{key}"], "State": "running", "Labels": labels, "RepoTags": []}


def test_only_the_remains_of_dead_runs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A stranger's container and those of a run that lives are not touched.
    """
    things = [_left("dead1", "aaaa", "1:1"), _left("alive1", "bbbb", engine.owner()), _left("stranger", "", "")]
    with paper(tmp_path, containers__json=things, networks=[], volumes={"Volumes": []}) as fake:
        monkeypatch.setenv("DOCKER_HOST", fake.host)
        code = sweep.main([])

    assert code == 0
    assert fake.deleted == ["/containers/dead1"]
    assert "run bbbb: 1 containers: left alone" in capsys.readouterr().out


def test_a_process_is_known_by_its_start_too() -> None:
    """
    A process id that was given out again does not make a dead run alive.
    """
    pid, _, start = engine.owner().partition(":")

    assert engine.alive(engine.owner())
    assert not engine.alive(f"{pid}:{int(start) + 1}")
    assert not engine.alive("999999999:1")


# --- images -------------------------------------------------------------------------------------------------------


def test_a_local_image_can_be_taken_for_no_official_one() -> None:
    """
    Its name stands under a domain that can never exist, and no pinned image has it.
    """
    for name in components.binaries():
        assert images.tag(name).startswith("built-here.invalid/")
        assert images.tag(name) not in versions.images().values()


def test_every_server_has_a_shape_and_a_pinned_image() -> None:
    """
    No component of the stack lacks what the container driver needs.
    """
    assert set(components.binaries()) <= set(SHAPES)
    assert set(components.binaries()) <= set(versions.images())
    assert all(":" in image and not image.endswith(":latest") for image in versions.images().values())


def test_a_recipe_says_what_the_shape_says() -> None:
    """
    Entry point, command, user, ports, volumes and working directory all reach the image.
    """
    text = images.dockerfile(SHAPES["prometheus"], base="scratch", labels={"a": "b c"})

    assert text.splitlines() == [
        "FROM scratch",
        "ADD rootfs.tar /",
        'LABEL a="b c"',
        "EXPOSE 9090/tcp",
        "WORKDIR /prometheus",
        'VOLUME ["/prometheus"]',
        "USER nobody",
        'ENTRYPOINT ["/bin/prometheus"]',
        'CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]',
    ]


def test_images_of_earlier_states_go_and_strangers_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What was built here before and has lost its name, and an older Python; nobody else's nameless image.
    """
    ours = {images.CONTENT_LABEL: "x"}
    held = [
        {"Id": "sha256:now", "RepoTags": [images.tag("loki")], "Labels": ours},
        {"Id": "sha256:nameless", "RepoTags": ["<none>:<none>"], "Labels": ours},
        {"Id": "sha256:bare", "RepoTags": None, "Labels": ours},
        {"Id": "sha256:older", "RepoTags": ["built-here.invalid/python:0"], "Labels": ours},
        {"Id": "sha256:stranger", "RepoTags": None, "Labels": None},
    ]
    monkeypatch.setattr(images, "provide", lambda *_, **__: {})
    with paper(tmp_path, images__json=held) as fake:
        images.make(Engine(host=fake.host), [], announce=lambda _: None)

    assert fake.deleted == ["/images/sha256:nameless", "/images/sha256:bare", "/images/built-here.invalid/python:0"]


@pytest.mark.parametrize(
    ("labels", "known_as"),
    [
        ({"name": "run-gateway-one", "id": "/docker/1"}, "osmen-gateway"),
        ({"name": "run-gateway-one-again", "id": "/docker/2"}, None),
        ({"name": "somebody-else", "id": "/docker/3"}, None),
        ({"id": "/"}, ""),
    ],
)
def test_a_cell_knows_its_own_gateway_s_container_and_no_other(labels: dict[str, str], known_as: str | None) -> None:
    """
    Of all that cAdvisor names, a cell's Prometheus keeps its gateway, under the guide's name, and the machine.
    """
    text = render.scrape_configs({"docker": "cadvisor:8080"}, known_as=("name", "run-gateway-one"))
    kept = dict(labels)
    for rule in yaml.safe_load(text)[0]["metric_relabel_configs"]:
        matches = re.fullmatch(rule["regex"], ";".join(kept.get(name, "") for name in rule["source_labels"]))
        if rule.get("action", "replace") == "replace" and matches:
            kept[rule["target_label"]] = rule["replacement"]
        elif rule.get("action") == "keep" and not matches:
            assert known_as is None
            return

    assert kept.get("name", "") == known_as


def test_a_tree_is_packed_with_open_parents_and_true_dates(tmp_path: Path) -> None:
    """
    A file from a closed folder of this machine is readable in the image; compiled modules stay valid by their date.
    """
    source = tmp_path / "module.py"
    source.write_text("x = 1\n", encoding="utf-8")
    source.chmod(0o600)
    os.utime(source, (1e9, 1e9))
    tree = images.basis(Shape(program="/bin/x", uid=7, owned=("/data",)))
    tree.add("/root/deep/module.py", source)
    packed = io.BytesIO()
    tree.pack(packed)
    packed.seek(0)

    with tarfile.open(fileobj=packed) as archive:
        entries = {entry.name: entry for entry in archive}
    assert entries["root/deep"].mode == 0o755
    assert (entries["root/deep/module.py"].mode, entries["root/deep/module.py"].mtime) == (0o644, 10**9)
    assert entries["tmp"].mode == 0o1777
    assert entries["data"].uid == 7


def test_a_module_comes_with_its_compiled_form_also_where_none_was_made(tmp_path: Path) -> None:
    """
    A container never compiles for itself: what is missing or older than its source is made when the tree is.
    """
    source = tmp_path / "module.py"
    source.write_text("x = 1\n", encoding="utf-8")
    broken = tmp_path / "broken.py"
    broken.write_text("x = (\n", encoding="utf-8")
    tree = images.Tree()
    tree.add("/suite/module.py", source)
    tree.add("/suite/broken.py", broken)
    tree.compile()
    (made,) = (path for path in tree.copied.values() if path.suffix == ".pyc")
    source.write_text("x = 2 + 3\n", encoding="utf-8")
    before = made.read_bytes()
    tree.compile()

    assert f"/suite/__pycache__/{made.name}" in tree.copied
    assert made.read_bytes() != before


class PaperSite:
    """A place inside a container, for components to be asked about."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.instance = component.name
        self.options = {"cell": "one", "tempo": "60", "logs": "service-logs"}
        self.options |= {"docker": "/s", "housekeeping": "1s", "groups": ""}
        self.folder = SHAPES.get(component.binary, OURS).data
        self.config = SHAPES.get(component.binary, OURS).config
        self.version = "1"

    def listen(self, port: str) -> str:
        return f"0.0.0.0:{next(each.inside for each in self.component.ports if each.name == port)}"

    def peer(self, instance: str, port: str) -> str:
        return f"{instance}:{port}"

    def secret(self, name: str) -> str:
        return f"secret-{name}"

    def secret_file(self, name: str) -> str:
        return f"/run/secrets/{name}"

    def shared(self, name: str) -> str:
        return f"/var/log/{name}"


@pytest.mark.parametrize(
    "component",
    [*components.SHARED, components.PROMETHEUS, components.GATEWAY, components.CADVISOR, components.BALLAST],
    ids=lambda component: component.name,
)
def test_what_a_container_is_given_belongs_into_a_container(component: Component) -> None:
    """
    No credential on a command line, no loopback to listen on, every port within the container once.
    """
    what = placed(component, PaperSite(component), module=component.module)
    line = " ".join(what.arguments)

    assert "secret-" not in line
    assert "127.0.0.1" not in line
    assert "127.0.0.1" not in " ".join(what.environment.values())
    assert len({(port.inside, port.udp) for port in component.ports}) == len(component.ports)
    assert all(place.startswith("/") for place in what.files)


def test_the_official_postgres_can_make_its_first_start() -> None:
    """
    Its entry point speaks over the Unix socket, so ours must not take that away; the first statements reach it.
    """
    what = placed(components.POSTGRES, PaperSite(components.POSTGRES))

    assert what.arguments[0] == "postgres"
    assert not any(word.startswith("unix_socket_directories") for word in what.arguments)
    assert what.secrets == {"/docker-entrypoint-initdb.d/statements.sql": "statements"}


# --- both drivers, for real ---------------------------------------------------------------------------------------


CONFIG = "global: {scrape_interval: 1s}\nscrape_configs: []\n"
SERVERS = ["prometheus", "postgres", "redis"]
OPTIONS = {"tempo": "60", "file:prometheus.yml": CONFIG}


def _engine() -> Engine:
    try:
        found = engine.find(os.environ)
        lacking = images.missing(found, SERVERS)
    except EngineError as error:
        pytest.skip(str(error))
    if lacking:
        pytest.skip(f"the engine lacks the local images of {', '.join(lacking)} (nox -s images)")
    return found


def _contained(directory: RunDir, ports: Ports, guard: Guard) -> Driver:
    _engine()
    from fixtures.stack.containers import ContainerDriver  # noqa: PLC0415  half a second, and only with an engine

    return ContainerDriver(
        rundir=directory,
        ports=ports,
        secrets=Secrets(directory.path / "secrets"),
        binaries=SERVERS,
        subject="fixtures.gateway",
        guard=guard,
        note=print,
    )


def _native(directory: RunDir, ports: Ports, guard: Guard) -> Driver:
    try:
        binaries = provide(["prometheus"], announce=lambda _: None)
    except ProvisionError as error:
        pytest.skip(str(error))
    return NativeDriver(
        rundir=directory, ports=ports, secrets=Secrets(directory.path / "secrets"), binaries=binaries, guard=guard
    )


@pytest.fixture(params=["native", "containers"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    """
    Each driver, opened in a run directory of its own.
    """
    with contextlib.ExitStack() as owned:
        ports, guard = Ports(), Guard()
        owned.callback(ports.release)
        owned.callback(guard.stop)
        guard.start()
        made = {"native": _native, "containers": _contained}[request.param](
            rundir.create(exact=tmp_path / "run"), ports, guard
        )
        owned.callback(made.close)
        made.open()
        yield made


def _standing(driver: Driver, options: Mapping[str, str] = OPTIONS) -> Running:
    running = driver.claim(components.PROMETHEUS, "prometheus-one", options)
    running.start()
    return running


def _ready(running: Running, *, within: float = 20) -> bool:
    probe = running.component.probe
    return wait.until(
        lambda: running.launched and probe.look(running.address(probe.port)).ok, bool, budget=within, every=0.05
    ).ok


def test_one_component_stands_through_either_driver(driver: Driver) -> None:
    """
    The same catalogue entry, the same protocol: Prometheus gets ready, says where it is from, is killed, and ends.
    """
    running = _standing(driver)
    try:
        stood = _ready(running)
        with urllib.request.urlopen(f"http://{running.address('http')}/api/v1/status/buildinfo", timeout=5) as answer:
            told = json.load(answer)["data"]["version"]
        alive = running.ended()
        memory = running.memory()
        assert isinstance(running, Kill)
        running.kill()
        ended = wait.until(running.ended, bool, budget=5, every=0.05).last
    finally:
        running.stop()

    assert stood
    assert told == running.facts.version
    assert alive == ""
    assert memory is not None
    assert memory > 5
    assert ended == "killed by SIGKILL"


@pytest.mark.parametrize("within_reach", [True, False])
@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_what_lies_beyond_reach_is_published_on_loopback(
    driver: Driver, within_reach: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where this machine has not the network's bridge every port is published, and on loopback only.
    """
    if within_reach and not driver.within_reach:
        pytest.skip("the bridges of the engine's networks are not on this machine")
    monkeypatch.setattr(driver, "within_reach", within_reach)
    running = _standing(driver)
    gateway = driver.claim(components.GATEWAY, "gateway-one", {"cell": "one"})
    try:
        stood = _ready(running)
        bound = _inspected(running.instance, driver)["HostConfig"]["PortBindings"] or {}
    finally:
        running.stop()

    assert stood
    assert [each["HostIp"] for ports in bound.values() for each in ports] == ([] if within_reach else ["127.0.0.1"])
    assert gateway.address("http").startswith("127.0.0.1:") is not within_reach


def test_a_component_is_frozen_and_thawed_through_either_driver(driver: Driver) -> None:
    """
    Paused, it answers nothing and has not ended; resumed, it answers again.
    """
    running = _standing(driver)
    try:
        stood = _ready(running)
        assert isinstance(running, Pause)
        running.pause()
        # A signal takes hold when its process runs next.
        frozen = wait.until(lambda: not _ready(running, within=0), bool, budget=2, every=0.05).ok
        ended = running.ended()
        running.resume()
        thawed = _ready(running)
    finally:
        running.stop()

    assert (stood, frozen, ended, thawed) == (True, True, "", True)


def test_a_killed_component_is_started_again_where_it_was(driver: Driver) -> None:
    """
    After its death `start` brings it back under the same address, and it has not ended any more.
    """
    running = _standing(driver)
    try:
        stood = _ready(running)
        assert isinstance(running, Kill)
        running.kill()
        wait.until(running.ended, bool, budget=5, every=0.05)
        running.start()
        back = _ready(running)
        ended = wait.until(running.ended, lambda how: not how, budget=2, every=0.05).last
    finally:
        running.stop()

    assert (stood, back, ended) == (True, True, "")


@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_what_shares_a_gateway_s_memory_runs_inside_its_container(driver: Driver) -> None:
    """
    The ballast fills the memory of the container that it is a guest of, up to a share of that container's limit.
    """
    for each in (components.POSTGRES, components.REDIS):
        driver.claim(each, each.name, {})
    shares = {**driver.measure(driver.gateway_memory, []).gateway("qdrant"), "group": ""}
    ballast = driver.claim(components.BALLAST, "ballast-one", shares)
    host = driver.claim(components.QDRANT, "qdrant", shares)
    try:
        ballast.start()
        host.start()
        stood = _ready(host), _ready(ballast)
        request = urllib.request.Request(
            f"http://{ballast.address('http')}/memory",
            data=b'{"share": 0.8}',
            headers={"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            reached = json.load(answer)["reached"]
        memory, ended = host.memory(), ballast.ended()
    finally:
        host.stop()

    assert stood == (True, True)
    assert reached == pytest.approx(0.8, abs=0.05)
    assert memory is not None
    assert memory > 0.7 * (driver.gateway_memory >> 20)
    assert ended == ""


def _lodging(driver: Driver) -> tuple[Running, Running]:
    """Two of our own programs that share a container."""
    if not driver.within_reach:
        pytest.skip("the bridges of the engine's networks are not on this machine")
    first, second = (driver.claim(each, each.name, {}) for each in (components.QDRANT, components.LANGFLOW))
    first.start()
    second.start()
    return first, second


@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_our_own_programs_share_one_container_and_die_apart(driver: Driver) -> None:
    """
    One container for both; one is killed, started again where it was, and told by its own log; the other lives on.
    """
    first, second = _lodging(driver)
    stood = _ready(first), _ready(second)
    address = first.address("http")
    assert isinstance(first, Kill)
    first.kill()
    ended = wait.until(first.ended, bool, budget=5, every=0.05).last
    refused = not _ready(first, within=0)
    other = second.ended(), _ready(second, within=2)
    first.start()
    back = _ready(first), first.ended()
    mine = [each["Names"][0] for each in _engine().containers(driver.rundir.label)]  # type: ignore[attr-defined]

    assert stood == (True, True)
    assert (ended, refused) == ("killed by SIGKILL", True)
    assert other == ("", True)
    assert back == (True, "")
    assert first.address("http") == address != second.address("http")
    assert [name.rpartition("-")[2] for name in mine] == ["programs"]


@pytest.mark.parametrize("seen_here", [True, False])
@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_one_of_our_own_programs_is_frozen_in_the_container_that_it_shares(
    driver: Driver, seen_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Frozen, it answers nothing, and the other does; resumed, it answers as well; also where only the engine sees it.
    """
    if not seen_here:
        monkeypatch.setattr(lodging, "_seen_here", lambda *_: None)
    first, second = _lodging(driver)
    stood = _ready(first), _ready(second)
    assert isinstance(first, Pause)
    first.pause()
    frozen = wait.until(lambda: not _ready(first, within=0), bool, budget=2, every=0.05).ok
    other = _ready(second, within=2)
    first.resume()
    thawed = _ready(first)

    assert (stood, frozen, other, thawed) == ((True, True), True, True, True)


@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_a_program_that_will_not_start_says_so_in_its_own_words(driver: Driver) -> None:
    """
    It shares a container with others, and has a log of its own all the same.
    """
    first, _ = _lodging(driver)
    wrong = driver.claim(replace(components.N8N, environment=lambda _: {}), "n8n", {})
    wrong.start()
    ended = wait.until(wrong.ended, bool, budget=20, every=0.05).last

    assert ended == "exit code 2"
    assert "NEIGHBOUR is not set" in wrong.log(5)
    assert _ready(first)


@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_who_loses_the_container_that_he_shares_says_that_it_ended(driver: Driver) -> None:
    """
    Its end is the end of all that run in it.
    """
    first, second = _lodging(driver)
    stood = _ready(first), _ready(second)
    driver.lodging.house.kill()  # type: ignore[attr-defined]
    ended = [wait.until(each.ended, bool, budget=5, every=0.05).last for each in (first, second)]

    assert stood == (True, True)
    assert ended == ["the process that forked it ended: killed by SIGKILL"] * 2


@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_the_containers_of_a_run_weigh_as_many_where_the_engine_lets_us(driver: Driver) -> None:
    """
    All together they would count as one process; the run's own session goes before, until the driver is closed.
    """
    group = driver.group  # type: ignore[attr-defined]
    if not group:
        pytest.skip("not root, or the engine leaves control groups to systemd")
    before = driver._session  # type: ignore[attr-defined]
    running = _standing(driver)
    try:
        stood = _ready(running)
        parent = _inspected(running.instance, driver)["HostConfig"]["CgroupParent"]
        places = [place for place in cgroups.everywhere(group.lstrip("/")) if place.is_dir()]
        shares = [int((each / "cpu.shares").read_text()) for each in places if (each / "cpu.shares").exists()]
        weights = [int((each / "cpu.weight").read_text()) for each in places if (each / "cpu.weight").exists()]
        hurried = priority.own()
    finally:
        running.stop()
        driver.close()

    assert stood
    assert parent == group
    assert shares == [4096] or weights == [400]
    if Path("/proc/self/autogroup").exists():
        assert hurried is not None
        assert hurried.niceness <= priority.SOONER
        assert before is None or priority.own() == before


def test_memory_is_limited_and_the_network_cut_where_the_driver_can(driver: Driver) -> None:
    """
    A container can be limited and cut off; a process without a control group says that it cannot, and offers no cut.
    """
    running = _standing(driver)
    try:
        stood = _ready(running)
        if driver.name == "native":
            assert not isinstance(running, Cut)
            assert not isinstance(running, LimitMemory)
            return
        assert isinstance(running, LimitMemory)
        assert isinstance(running, Cut)
        running.limit_memory(256 << 20)
        limit = _inspected(running.instance, driver)["HostConfig"]["Memory"]
        running.cut()
        gone = not _ready(running, within=0)
        running.mend()
        back = _ready(running)
    finally:
        running.stop()

    assert (stood, limit, gone, back) == (True, 256 << 20, True, True)


def _inspected(instance: str, driver: Driver) -> dict[str, Any]:
    name = driver.container_name(instance)  # type: ignore[attr-defined]
    found: dict[str, Any] = _engine().call("GET", f"/containers/{name}/json")
    return found


def test_a_component_that_exits_at_once_is_told_with_its_last_words(driver: Driver) -> None:
    """
    A configuration that Prometheus refuses: it has ended, and its log says why.
    """
    running = _standing(driver, {**OPTIONS, "file:prometheus.yml": "nonsense: [\n"})
    try:
        ended = wait.until(running.ended, bool, budget=20, every=0.05).last
        log = running.log(5)
    finally:
        running.stop()

    assert ended.startswith("exit code")
    assert "prometheus.yml" in log


@pytest.mark.parametrize("driver", ["containers"], indirect=True)
def test_a_name_that_is_taken_is_told_and_leaves_its_owner_alone(driver: Driver) -> None:
    """
    A container of that name stands already: the second is refused in the engine's words, the first lives on.
    """
    first = _standing(driver)
    try:
        stood = _ready(first)
        second = _standing(driver)
        ended = wait.until(second.ended, bool, budget=10, every=0.05).last
        second.stop()
        alive = first.ended()
    finally:
        first.stop()

    assert stood
    assert ended.startswith("could not be started: ")
    assert "already in use" in ended
    assert alive == ""


def test_measuring_offers_what_cadvisor_needs(driver: Driver) -> None:
    """
    Each driver says by which label cAdvisor knows a gateway, or why it cannot be measured.
    """
    try:
        measured = driver.measure(1 << 28, [])
    except CgroupError as error:
        pytest.skip(str(error))

    if driver.name == "containers":
        assert measured.known_as("gateway-one")[0] == "name"
        assert measured.gateway("gateway-one")["memory_limit"] == str(1 << 28)
    else:
        assert set(measured.cadvisor) == {"group"}


def test_two_runs_side_by_side_do_not_touch_each_other(tmp_path: Path) -> None:
    """
    The end of one takes all of it from the engine, and nothing of the other.
    """
    found = _engine()
    directories = [rundir.create(exact=tmp_path / name) for name in ("one", "other")]
    ports, guard = Ports(), Guard()
    guard.start()
    drivers = [_contained(directory, ports, guard) for directory in directories]
    try:
        for driver in drivers:
            driver.open()
        one, other = (_standing(driver) for driver in drivers)
        stood = _ready(one), _ready(other)
        one.stop()
        drivers[0].close()
        left = engine.remains(found, directories[0].label)
        alive, answers = other.ended(), _ready(other, within=0)
        other.stop()
    finally:
        for driver in drivers:
            driver.close()
        guard.stop()
        ports.release()

    assert stood == (True, True)
    assert left == []
    assert (alive, answers) == ("", True)
    assert engine.remains(found, directories[1].label) == []


KILLED = """
import pathlib, sys
from fixtures.core import rundir
from fixtures.core.ports import Ports
from fixtures.stack import components
from fixtures.stack.containers import ContainerDriver
from fixtures.stack.processes import Guard
from fixtures.stack.secrets import Secrets
directory = rundir.create(exact=pathlib.Path(sys.argv[1]))
guard = Guard()
guard.start()
driver = ContainerDriver(rundir=directory, ports=Ports(), secrets=Secrets(directory.path / "secrets"),
    binaries=["prometheus"], subject="fixtures.gateway", guard=guard, note=print)
driver.open()
running = driver.claim(components.PROMETHEUS, "prometheus-one", {"tempo": "60", "file:prometheus.yml": "{}"})
running.start()
print(directory.label, flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_of_a_run_that_was_killed_and_bystanders_stay(tmp_path: Path) -> None:
    """
    SIGKILL while a container is being made: within seconds the engine has nothing of the run, and all else.
    """
    found = _engine()
    before = _everything(found)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "run")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout is not None
        label = killed.stdout.readline().decode().strip()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        waited = wait.until(lambda: engine.remains(found, label), lambda left: not left, budget=20, every=0.1)

    assert len(label) == 8
    assert waited.ok, waited.last
    assert _everything(found) == before


def _everything(found: Engine) -> set[str]:
    """The ids of all that is on the engine and carries no run's label: bystanders."""
    entries = [*found.call("GET", "/containers/json", {"all": "true"}), *found.call("GET", "/networks")]
    return {each["Id"] for each in entries if RUN_LABEL not in (each["Labels"] or {})} | set(found.images())
