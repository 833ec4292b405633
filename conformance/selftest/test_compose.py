"""The compose files: complete, pinned, without a secret in them, and accepted by compose where it is installed."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.contract.load import load
from fixtures.gateway.logs import JsonLine
from fixtures.language import logql_parts
from fixtures.language.durations import parse_duration
from fixtures.stack import compose, render
from fixtures.stack.provision import ProvisionError, provide

RULES = Path(__file__).parents[2] / "rules"
COMPOSE = ("docker-compose.monitoring.yml", "docker-compose.logging.yml", "docker-compose.tracing.yml")
ENVIRONMENT = dict.fromkeys(
    ("GF_SECURITY_ADMIN_PASSWORD", "SLACK_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"),
    "x",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    What `nox -s compose` writes.
    """
    place = tmp_path_factory.mktemp("compose") / "kept"
    assert compose.main([str(place), "--rules", str(RULES)]) == 0
    return place


def loaded(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    return content


def breaches(folder: Path, content: dict[str, Any]) -> list[str]:
    """What is wrong with a compose file, read by itself."""
    wrong = []
    for name, service in content["services"].items():
        image = service["image"]
        if ":" not in image.rpartition("/")[2] or image.endswith(":latest"):
            wrong.append(f"{name}: {image} is not pinned")
        wrong += [
            f"{name}: {port} listens beyond loopback"
            for port in service.get("ports", ())
            if not port.startswith("127.0.0.1:")
        ]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./") and not (folder / source).exists():
                wrong.append(f"{name}: {source} is mounted and is not there")
            if source[0] not in "./" and source not in content.get("volumes", {}):
                wrong.append(f"{name}: volume {source} is declared nowhere")
        wrong += [
            f"{name}: secret {each} is declared nowhere"
            for each in service.get("secrets", ())
            if each not in content["secrets"]
        ]
        wrong += [
            f"{name}: network {each} is declared nowhere"
            for each in service["networks"]
            if each not in content["networks"]
        ]
    return wrong


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_is_complete_and_pinned(folder: Path, name: str) -> None:
    """
    Every volume, secret and file that it mounts is there; no image floats; no port leaves this machine.
    """
    assert breaches(folder, loaded(folder, name)) == []


def test_the_guide_s_own_defects_are_found(tmp_path: Path) -> None:
    """
    The literal logging file has an undeclared volume, floating images, open ports and a file that is given nowhere.
    """
    literal = {
        "services": {
            "loki": {
                "image": "grafana/loki:latest",
                "ports": ["3100:3100"],
                "volumes": ["./loki-config.yml:/etc/loki/local-config.yaml", "loki_data:/loki"],
                "networks": [],
            }
        }
    }

    assert breaches(tmp_path, literal) == [
        "loki: grafana/loki:latest is not pinned",
        "loki: 3100:3100 listens beyond loopback",
        "loki: ./loki-config.yml is mounted and is not there",
        "loki: volume loki_data is declared nowhere",
    ]


def test_every_documented_port_and_target_is_there(folder: Path) -> None:
    """
    The guide's ports are published, and each scrape target is a service of the files or the user's own.
    """
    ports = {
        port.split(":", 1)[1]
        for name in COMPOSE
        for service in loaded(folder, name)["services"].values()
        for port in service.get("ports", ())
    }
    jobs = loaded(folder, "prometheus.yml")["scrape_configs"]
    hosts = {target.partition(":")[0] for job in jobs for each in job["static_configs"] for target in each["targets"]}

    documented = {"9090:9090", "3000:3000", "3100:3100", "5775:5775/udp", "6831:6831/udp", "6832:6832/udp"}
    documented |= {f"{port}:{port}" for port in (5778, 16686, 14268, 14250, 9411, 4317, 4318)}
    assert documented <= ports
    assert hosts - set(loaded(folder, COMPOSE[0])["services"]) == {"gateway"}


def test_prometheus_looks_and_decides_as_often_as_documented(folder: Path) -> None:
    """
    No job has an interval of its own, and those of all are the contract's.
    """
    written, timing = loaded(folder, "prometheus.yml"), load().timing
    own = [job["job_name"] for job in written["scrape_configs"] if "scrape_interval" in job]
    intervals = {key: parse_duration(written["global"][key]) for key in ("scrape_interval", "evaluation_interval")}

    assert own == []
    assert intervals == {
        "scrape_interval": timing.scrape_interval,
        "evaluation_interval": timing.evaluation_interval,
    }


def test_no_secret_stands_in_a_file(folder: Path) -> None:
    """
    Passwords, keys and webhook addresses come from the environment alone.
    """
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())

    assert "YOUR/WEBHOOK" not in text
    assert "your-pagerduty-key" not in text
    assert "GF_SECURITY_ADMIN_PASSWORD: admin" not in text
    assert all(f"${{{name}" in text or f"environment: {name}" in text for name in ENVIRONMENT)


@pytest.mark.parametrize("name", COMPOSE)
def test_what_makes_servers_small_for_a_run_is_not_kept(folder: Path, name: str) -> None:
    """
    How Go's programs share two processors with fifty others is a matter of the run alone.
    """
    services = yaml.safe_load((folder / name).read_text(encoding="utf-8"))["services"]
    given = [key for each in services.values() for key in each.get("environment", {})]

    assert [key for key in given if key.startswith("GO")] == []


def test_a_full_folder_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What somebody keeps is lost only with --force.
    """
    assert compose.main([str(folder), "--rules", str(RULES)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert compose.main([str(folder), "--rules", str(RULES), "--force"]) == 0


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("2.0.0", ("store: boltdb-shipper", "schema: v11", "shared_store: filesystem"), ("common:", "tsdb")),
        ("2.9.10", ("store: boltdb-shipper", "schema: v11", "shared_store: filesystem"), ("common:", "tsdb")),
        ("3.5.0", ("store: tsdb", "schema: v13", "common:"), ("boltdb", "shared_store")),
    ],
)
def test_loki_gets_the_configuration_of_its_version(version: str, has: tuple[str, ...], lacks: tuple[str, ...]) -> None:
    """
    What Loki 2.0 cannot do without is what Loki 3 refuses.
    """
    text = render.loki(version, folder="/loki", http=("0.0.0.0", "3100"), grpc=("0.0.0.0", "9095"))

    assert isinstance(yaml.safe_load(text), dict)
    assert [word for word in has if word not in text] == []
    assert [word for word in lacks if word in text] == []


def test_prometheus_and_alertmanager_accept_their_files(folder: Path) -> None:
    """
    The tools of Prometheus and Alertmanager read what compose would mount.
    """
    try:
        tools = provide(["promtool", "amtool"], announce=lambda _: None)
    except ProvisionError as error:
        pytest.skip(str(error))
    for tool, file in (("promtool", "prometheus.yml"), ("amtool", "alertmanager.yml")):
        words = ["check", "config"] if tool == "promtool" else ["check-config"]
        # The files of secrets are only there inside the container.
        told = subprocess.run(
            [tools[tool].path, *words, file], cwd=folder, capture_output=True, text=True, timeout=30, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr


MERGES = [names for count in (1, 2, 3) for names in itertools.combinations(COMPOSE, count)]


@pytest.mark.parametrize("names", MERGES, ids=lambda names: "+".join(name.split(".")[1] for name in names))
def test_compose_accepts_each_file_and_every_merge(folder: Path, names: tuple[str, ...]) -> None:
    """
    `docker compose config` says nothing against it; without the secrets it says which one is missing.
    """
    command = _compose()
    if command is None:
        pytest.skip("docker compose is not installed: neither the plugin nor docker-compose 2")
    files = [word for name in names for word in ("-f", name)]
    environment = {key: value for key, value in os.environ.items() if key not in ENVIRONMENT}
    told = _run([*command, *files, "config", "-q"], folder, {**environment, **ENVIRONMENT})
    without = _run([*command, *files, "config", "-q"], folder, environment)

    assert (told.returncode, told.stderr) == (0, "")
    assert (without.returncode == 0) == (COMPOSE[0] not in names)


def _compose() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            told = _run([*command, "version"], Path.cwd(), dict(os.environ))
            # Version 1 reads another language.
            if told.returncode == 0 and "version 1." not in told.stdout:
                return command
    return None


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_shipped_dashboards_come_with_their_three_data_sources() -> None:
    """
    Grafana gets every dashboard, a provider that looks where they are mounted, and Prometheus, Loki and Jaeger.
    """
    made = compose.files(RULES, RULES.parent / "dashboards")

    sources = yaml.safe_load(made["grafana/datasources.yml"])["datasources"]
    provider = yaml.safe_load(made["grafana/dashboards.yml"])["providers"][0]
    mounts = yaml.safe_load(made["docker-compose.monitoring.yml"])["services"]["grafana"]["volumes"]
    assert {each["type"] for each in sources} == {"prometheus", "loki", "jaeger"}
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert sorted(place for place in made if place.endswith(".json")) == [
        f"grafana/dashboards/{name}.json" for name in ("agents", "costs", "database", "overview", "system")
    ]


DATA_SOURCES = (RULES.parent / "dashboards" / compose.DATASOURCES).read_text(encoding="utf-8")


def astray(written: str) -> list[str]:
    """Which links between data sources lead nowhere: what a line of the gateway's and a trace's id make of them."""
    sources = {each["uid"]: each for each in yaml.safe_load(written)["datasources"]}
    trace = "0af7651916cd43dd8448eb211c80319c"
    record = logging.makeLogRecord({"msg": "done", "levelname": "ERROR", "trace_id": trace})
    line = JsonLine("gateway").format(record)
    said = []
    for each in (each for source in sources.values() for each in source["jsonData"].get("derivedFields", ())):
        found = re.search(each["matcherRegex"], line)
        if found is None or found[1] != trace:
            said.append(f"{each['name']}: {each['matcherRegex']} finds {found and found[1]} in {line}")
        # Provisioning takes $x from the environment and $$ for a dollar; with a uid the url is the query.
        if (sources.get(each["datasourceUid"], {}).get("type"), each["url"]) != ("jaeger", "$${__value.raw}"):
            said.append(f"{each['name']}: opens {each['url']} in {each['datasourceUid']}")
    for each in (found for source in sources.values() if (found := source["jsonData"].get("tracesToLogsV2"))):
        if sources.get(each["datasourceUid"], {}).get("type") != "loki":
            said.append(f"the logs of a trace are asked of {each['datasourceUid']}")
        (stream,) = logql_parts.read(each["query"].replace("$${__trace.traceId}", trace)).streams
        labels = {matcher.label: matcher.value for matcher in stream.matchers}
        kept = [stage.text in line for stage in stream.stages if stage.operator == "|="]
        if labels != {"service": "gateway"} or kept != [True]:
            said.append(f"the logs of a trace: {each['query']} does not find {line}")
    return said


def test_a_line_opens_its_trace_and_a_trace_its_lines() -> None:
    """
    Grafana finds the trace's id in a line as the gateway writes it, and the line by the trace's id.
    """
    assert ["derivedFields" in DATA_SOURCES, "tracesToLogsV2" in DATA_SOURCES] == [True, True]
    assert astray(DATA_SOURCES) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"trace_id": ?', '"traceId": ?', "trace_id: "),
        ('"([0-9a-f]+)"', '"([0-9]+)"', "trace_id: "),
        ("datasourceUid: jaeger", "datasourceUid: jeager", "trace_id: opens"),
        ("'$${__value.raw}'", "'${__value.raw}'", "trace_id: opens"),
        ("datasourceUid: loki", "datasourceUid: prometheus", "asked of prometheus"),
        ('service="gateway"', 'service="gatway"', "the logs of a trace"),
        ("$${__trace.traceId}", "$${__span.spanId}", "the logs of a trace"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(old: str, new: str, said: str) -> None:
    """
    A field, a source or a variable that is called otherwise leaves no link unnoticed.
    """
    assert old in DATA_SOURCES

    (found,) = astray(DATA_SOURCES.replace(old, new))

    assert said in found
