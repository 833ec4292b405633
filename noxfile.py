"""What can be run here: `nox -l` lists it. Arguments behind `--` go to pytest or to the session's program."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "conformance"]

GROUPS = nox.project.dependency_groups
PYPROJECT = nox.project.load_toml("pyproject.toml")

LIVE = ("conformance/steady", "conformance/scenarios")


def install(session: nox.Session, group: str) -> None:
    """Install a dependency group; pins are exact, so an environment that has them needs no second look."""
    pins = GROUPS(PYPROJECT, group)
    stamp = session.create_tmp() + f"/../{group}-pins"
    if _read(stamp) != pins:
        session.install(*pins)
        _write(stamp, pins)


def _read(stamp: str) -> tuple[str, ...]:
    try:
        with open(stamp, encoding="utf-8") as file:  # noqa: PTH123  nox hands out paths as text
            return tuple(file.read().splitlines())
    except OSError:
        return ()


def _write(stamp: str, pins: tuple[str, ...]) -> None:
    with open(stamp, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("\n".join(pins))


def run(session: nox.Session, *command: str) -> None:
    """Run what stands something up or performs runs: after Ctrl-C it has time to take that down and to report."""
    session.run("python", "-m", *command, *session.posargs, interrupt_timeout=90, terminate_timeout=30)


def refuse(session: nox.Session, option: str, instead: str) -> None:
    """What a session is about is not changed behind `--`, where the last of two options counts without a word."""
    if any(each.partition("=")[0] == option for each in session.posargs):
        session.error(f"{option}: is not for this session; {instead}")


@nox.session
def conformance(session: nox.Session) -> None:
    """The main job: every promise proven on the real stack at tempo 60, with a report."""
    install(session, "suite")
    run(session, "pytest", *LIVE)


@nox.session
def tests(session: nox.Session) -> None:
    """The suite judged: static tests of rules and routes, self-tests, deviants."""
    install(session, "selftest")
    run(session, "pytest", "conformance/static", "conformance/selftest")


@nox.session(default=False)
def realtime(session: nox.Session) -> None:
    """The pre-release gate: the same programs at tempo 1, with the shipped files unmodified; about half an hour."""
    refuse(session, "--timeline", "a stored run is judged again by nox -s conformance -- --timeline RUN")
    refuse(session, "--tempo", "other tempos: nox -s conformance -- --tempo N")
    install(session, "suite")
    run(session, "pytest", *LIVE, "--tempo", "1")


@nox.session(default=False)
def thresholds(session: nox.Session) -> None:
    """What the alerts do, without a stack: thresholds, mutants; --base REV, --history URL|DIR|FILE, --rules DIR."""
    install(session, "suite")
    session.run("python", "-m", "conformance.thresholds", *session.posargs)


@nox.session(default=False)
def dashboards(session: nox.Session) -> None:
    """What is wrong with dashboards, without Grafana (`-- DIR…`): file, line, caret; --no-contract, --notes."""
    install(session, "suite")
    session.run("python", "-m", "conformance.boards", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """What it costs: simulation (`-- thresholds mutants`), the page (`-- report`), the main job (`-- live`)."""
    install(session, "pictures")
    run(session, "conformance.bench")


@nox.session(default=False)
def pictures(session: nox.Session) -> None:
    """Take the pictures in the README of a stored run (`-- RUN`, else the latest), in an installed Chromium."""
    install(session, "pictures")
    session.run("python", "-m", "conformance.pictures", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """The main job N times (`-- N`), and every verdict that differed."""
    install(session, "suite")
    run(session, "conformance.soak")


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """Two runs side by side (`-- RUN RUN`; alone: the latest and the one before); --markdown, --fail-on-regression."""
    install(session, "suite")
    session.run("python", "-m", "conformance.compare", *session.posargs)


@nox.session(default=False)
def stack(session: nox.Session) -> None:
    """The whole stack under a calm load, its addresses printed, until Ctrl-C."""
    install(session, "suite")
    run(session, "conformance.look")


@nox.session(default=False)
def provision(session: nox.Session) -> None:
    """Build or fetch what the native stack needs (done by itself on first use); --list, --clean."""
    install(session, "suite")
    session.run("python", "-m", "fixtures.stack.provision", *session.posargs)


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Ruff over everything."""
    install(session, "lint")
    session.run("ruff", "check", *session.posargs)


@nox.session(default=False)
def types(session: nox.Session) -> None:
    """Mypy, strict, tests included."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session(default=False)
def containers(session: nox.Session) -> None:
    """The main job on containers: official images where they are at hand, else those of nox -s images."""
    refuse(session, "--timeline", "a stored run is judged again by nox -s conformance -- --timeline RUN")
    refuse(session, "--stack", "other drivers: nox -s conformance -- --stack DRIVER")
    install(session, "suite")
    run(session, "pytest", *LIVE, "--stack", "containers")


@nox.session(default=False)
def images(session: nox.Session) -> None:
    """Build local images from the provisioned binaries, where no registry can be reached; --again, --remove."""
    install(session, "suite")
    session.run("python", "-m", "fixtures.stack.images", *session.posargs)


@nox.session(default=False)
def parity(session: nox.Session) -> None:
    """The main job natively and on containers, and clause by clause where they differ; or two run directories."""
    install(session, "suite")
    run(session, "conformance.parity")


@nox.session(default=False)
def compose(session: nox.Session) -> None:
    """Write compose files and all that they mount into a folder, for a stack to keep."""
    install(session, "suite")
    session.run("python", "-m", "fixtures.stack.compose", *session.posargs)


@nox.session(default=False)
def clean(session: nox.Session) -> None:
    """Remove what killed runs left on the container engine; --list only looks."""
    install(session, "suite")
    session.run("python", "-m", "fixtures.stack.sweep", *session.posargs)
