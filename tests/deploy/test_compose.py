"""The compose file, as far as it can be held without an engine: its files exist, are what the code makes, and are taken by those who read them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from config.load import load

COMPOSE = Path(__file__).parents[2] / "deploy/compose"
GRAFANA = Path(__file__).parents[2] / "grafana"
FILE = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES = FILE["services"]
DOCKERFILE = (COMPOSE.parent / "Dockerfile").read_text()

SERVICE_KEYS = {"build", "image", "command", "environment", "volumes", "ports", "depends_on", "healthcheck", "stop_grace_period", "read_only", "cap_drop", "security_opt"}  # fmt: skip
BUILD_KEYS = {"context", "dockerfile", "target"}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries"}
"""Of the compose specification, https://github.com/compose-spec/compose-spec/blob/main/spec.md, as far as they are used here: an engine refuses what it does not know."""


def test_rules_and_routes_are_what_the_settings_ask_for() -> None:
    settings = load(COMPOSE / "driftline.yaml")
    assert (COMPOSE / "driftline.rules.yaml").read_text() == rules_file(settings), "run `make generate`"
    assert (COMPOSE / "alertmanager.yaml").read_text() == routes_file(settings), "run `make generate`"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        if source.startswith("."):
            assert (COMPOSE / source).exists(), source


def test_what_is_built_is_a_target_of_the_dockerfile() -> None:
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"sample", "monitor"}
    assert all(f"AS {target}\n" in DOCKERFILE for target in targets)


def test_ports_are_open_to_this_machine_only() -> None:
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))


def test_hosts_that_are_named_are_services() -> None:
    settings = load(COMPOSE / "driftline.yaml")
    assert settings.routes[0].upstream[0].host in SERVICES
    assert settings.store.clickhouse is not None
    assert settings.store.clickhouse.host in SERVICES
    hook = settings.alerts.receivers[0].webhook
    assert hook is not None
    assert hook.host in SERVICES


def test_what_is_built_runs_locked_down() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_prometheus_takes_its_configuration() -> None:
    done = subprocess.run(["promtool", "check", "config", str(COMPOSE / "prometheus.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed: apt-get install prometheus-alertmanager")
def test_alertmanager_takes_its_configuration() -> None:
    done = subprocess.run(["amtool", "check-config", str(COMPOSE / "alertmanager.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_keys_are_those_of_the_specification() -> None:
    assert {key for key in FILE if not key.startswith("x-")} == {"name", "services", "volumes"}
    for service in SERVICES.values():
        assert set(service) <= SERVICE_KEYS
        assert ("image" in service) != ("build" in service)
        assert set(service.get("build", {})) <= BUILD_KEYS
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK_KEYS


def test_volumes_with_a_name_are_declared_and_used() -> None:
    named = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == set(FILE["volumes"])


def test_who_waits_for_health_waits_for_a_service_that_has_a_check() -> None:
    waits = [service["depends_on"] for service in SERVICES.values() if "depends_on" in service]
    assert {name for names in waits for name in names} <= set(SERVICES)
    healthy = [name for names in waits if isinstance(names, dict) for name, how in names.items() if how["condition"] == "service_healthy"]
    assert healthy
    for name in healthy:
        assert "healthcheck" in SERVICES[name] or "HEALTHCHECK" in _stage(SERVICES[name]["build"]["target"])


def _stage(target: str) -> str:
    return DOCKERFILE.partition(f" AS {target}\n")[2].partition("\nFROM ")[0]


def test_grafana_gets_what_its_provisioning_names() -> None:
    files = [file.read_text() for file in (GRAFANA / "provisioning").rglob("*.yaml")]
    asked = {name for text in files for name in re.findall(r"\$([A-Z_]+)", text)}
    assert asked <= set(SERVICES["grafana"]["environment"])
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    (boards,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/driftline.yaml").read_text())["providers"]
    assert boards["options"]["path"] in mounted
    assert "/etc/grafana/provisioning" in mounted
    hosts = re.findall(r"http://([\w-]+)", " ".join(SERVICES["grafana"]["environment"].values()))
    assert {*hosts, SERVICES["grafana"]["environment"]["CLICKHOUSE_HOST"]} <= set(SERVICES)


def test_ports_that_are_published_are_those_that_are_listened_on() -> None:
    settings = load(COMPOSE / "driftline.yaml")
    published = {int(port.rpartition(":")[2]) for port in SERVICES["driftline"]["ports"]}
    assert {settings.proxy.listen.port, settings.admin.port} == published
