"""The compose file, as far as it can be held without an engine: its files exist, are what the code makes, and are taken by those who read them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from config.load import load

COMPOSE = Path(__file__).parents[2] / "deploy/compose"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
DOCKERFILE = (COMPOSE.parent / "Dockerfile").read_text()


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
