"""`docker-compose.yml` and `Dockerfile` fit the code. Read only: no Docker engine is needed."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from dashboards.settings import DashboardSettings
from pipeline.dispatch.settings import DispatchSettings
from pipeline.settings import WorkerSettings
from runtime.settings import PREFIX, SettingsError, read_settings, variables_of
from simulator.settings import SimulatorSettings
from smpp_bridge.settings import BridgeSettings
from smslab.kafka.jars import KAFKA_VERSION
from smslab.kafka.layout import server_properties
from tracking.settings import TrackingSettings

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, type[Any]] = {
    "bridge": BridgeSettings,
    "dashboard": DashboardSettings,
    "simulator": SimulatorSettings,
    "tracking": TrackingSettings,
    "worker": WorkerSettings,
}
"""Service → what its process reads; one line per package that has settings."""
MODULES = {
    "bridge": "smpp_bridge",
    "dashboard": "dashboards",
    "simulator": "simulator",
    "tracking": "tracking",
    "worker": "pipeline",
}
"""Service → the package that runs in it."""
HEALTH = {
    "bridge": ("SMS_BRIDGE_HEALTH", "/readyz"),
    "dashboard": ("SMS_DASHBOARD", "/_stcore/health"),
    "simulator": ("SMS_SIMULATOR_HEALTH", "/readyz"),
    "tracking": ("SMS_TRACKING", "/readyz"),
    "worker": ("SMS_WORKER_HEALTH", "/readyz"),
}
"""Service → where its health is served: `…_HOST` and `…_PORT`, and the path."""
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<kind>:-|:\?)(?P<rest>[^}]*)\}")
_URL = re.compile(r"http://[^']+")


class NotSetError(Exception):
    """Compose would refuse to start: a variable with `:?` is not set, or is empty."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Compose reads it, before the variables."""
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """`.env.example` as it is."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}  # noqa: C416 - dict() of lists has no value type


@pytest.fixture(scope="module")
def filled(example: Mapping[str, str]) -> dict[str, str]:
    """`.env` as a user fills it in."""
    made = {
        "SMS_SUBJECT_KEY": secrets.token_hex(32),
        "SMS_BRIDGE_PASSWORD": secrets.token_hex(4),
        "SMS_TRACKING_WEBHOOK_SECRET": secrets.token_hex(16),
    }
    return {name: value or made[name] for name, value in example.items()}


def substituted(value: object, variables: Mapping[str, str]) -> str:
    """What Compose makes of a value: `${NAME:-default}` and `${NAME:?message}`, nothing else."""

    def replace(found: re.Match[str]) -> str:
        given = variables.get(found["name"], "")
        if not given and found["kind"] == ":?":
            raise NotSetError(found["name"])
        return given or found["rest"]

    text = _VARIABLE.sub(replace, str(value))
    assert "$" not in text
    return text


def environment(
    compose: Mapping[str, Any], service: str, variables: Mapping[str, str]
) -> dict[str, str]:
    """What the process of a service finds in its environment."""
    given = compose["services"][service].get("environment", {})
    return {name: substituted(value, variables) for name, value in given.items()}


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def project() -> dict[str, Any]:
    """`pyproject.toml`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_services_are_kafka_and_our_processes(compose: Mapping[str, Any]) -> None:
    """These and no others; everything but Kafka comes from the one Dockerfile."""
    services = compose["services"]
    assert services.keys() == {"kafka", *MODULES}
    built = {name: service["build"] for name, service in services.items() if "build" in service}
    ours = {"context": ".", "dockerfile": "Dockerfile"}
    assert built == dict.fromkeys(MODULES, ours)
    assert len({service["image"] for name, service in services.items() if name in built}) == 1
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


@pytest.mark.parametrize("service", MODULES)
def test_every_process_restarts_and_gets_its_signals(
    compose: Mapping[str, Any], service: str
) -> None:
    """The command is a list, so no shell swallows SIGTERM; an init reaps; a crash restarts."""
    found = compose["services"][service]
    assert found["command"][:3] == ["python", "-m", MODULES[service]]
    assert found["init"] is True
    assert found["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", MODULES)
def test_the_module_of_the_command_exists(service: str) -> None:
    """`python -m` finds something to run."""
    assert importlib.util.find_spec(f"{MODULES[service]}.__main__") is not None


def test_no_settings_class_is_left_out() -> None:
    """A package that has settings stands in `SETTINGS`."""
    with_settings = {
        service
        for service, module in MODULES.items()
        if importlib.util.find_spec(f"{module}.settings") is not None
    }
    assert with_settings == SETTINGS.keys()


@pytest.mark.parametrize("service", SETTINGS)
def test_the_environment_is_what_the_process_reads(
    compose: Mapping[str, Any], service: str, filled: Mapping[str, str]
) -> None:
    """Only known variables, every required one, all of them acceptable."""
    given = environment(compose, service, filled)
    known = {variable.name for variable in variables_of(SETTINGS[service]).values()}
    assert given.keys() <= known
    read_settings(SETTINGS[service], given)


def test_the_dashboard_gets_its_own_variables_only(compose: Mapping[str, Any]) -> None:
    """Neither Kafka nor a secret: it reads the worker's published file."""
    names = compose["services"]["dashboard"]["environment"].keys()
    assert names == {"SMS_DASHBOARD_DATA", "SMS_DASHBOARD_HOST", "SMS_DASHBOARD_PORT"}


@pytest.mark.parametrize("service", SETTINGS)
def test_a_required_variable_cannot_be_forgotten(
    compose: Mapping[str, Any], service: str, filled: Mapping[str, str]
) -> None:
    """The check above can fail: without any one required variable the settings are refused."""
    given = environment(compose, service, filled)
    required = [name for name in given if _is_required(SETTINGS[service], name)]
    assert required
    for name in required:
        with pytest.raises(SettingsError, match=name):
            read_settings(SETTINGS[service], {k: v for k, v in given.items() if k != name})


def _is_required(cls: type[Any], name: str) -> bool:
    fields = {variable.name: field for field, variable in variables_of(cls).items()}
    return any(
        field.name == fields[name] and field.default is dataclasses.MISSING
        for field in dataclasses.fields(cls)
    )


def test_secrets_come_from_outside(compose: Mapping[str, Any], example: Mapping[str, str]) -> None:
    """No secret stands in a file of the repository, and Compose refuses to start without one."""
    secret_names = {
        variable.name
        for cls in SETTINGS.values()
        for variable in variables_of(cls).values()
        if variable.secret
    }
    given = [
        (name, str(value))
        for service in compose["services"].values()
        for name, value in service.get("environment", {}).items()
        if name in secret_names
    ]
    assert {name for name, _ in given} == secret_names
    sources = set()
    for _, value in given:
        found = _VARIABLE.fullmatch(value)
        assert found is not None
        assert found["kind"] == ":?"
        sources.add(found["name"])
        with pytest.raises(NotSetError):
            substituted(value, example)
    assert {name for name, value in example.items() if not value} == sources
    assert "/.env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_the_example_lists_what_compose_asks_for(
    compose: Mapping[str, Any], example: Mapping[str, str]
) -> None:
    """Every variable of the file is in `.env.example`, and the other way round."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert {found["name"] for found in _VARIABLE.finditer(text)} == example.keys()
    assert all(name.startswith(PREFIX) for name in example)


@pytest.mark.parametrize("service", MODULES)
def test_health_is_asked_where_it_is_served(
    compose: Mapping[str, Any], service: str, filled: Mapping[str, str]
) -> None:
    """The check inside the container uses the port of the settings and the right path."""
    setting, path = HEALTH[service]
    given = environment(compose, service, filled)
    test = compose["services"][service]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    compile(test[3], "healthcheck", "exec")
    url = urlsplit(_URL.findall(test[3])[0])
    assert (url.hostname, url.port, url.path) == ("127.0.0.1", int(given[f"{setting}_PORT"]), path)
    assert given[f"{setting}_HOST"] == "0.0.0.0"  # noqa: S104 - within the container's network


@pytest.mark.parametrize("service", MODULES)
def test_ports_are_published_to_this_machine_only(
    compose: Mapping[str, Any], service: str, filled: Mapping[str, str]
) -> None:
    """On 127.0.0.1, under the number that the settings name."""
    port = environment(compose, service, filled)[f"{HEALTH[service][0]}_PORT"]
    assert compose["services"][service]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_kafka_is_not_published(compose: Mapping[str, Any]) -> None:
    """Numbers and texts stand in a topic, and the listener asks for no password."""
    assert "ports" not in compose["services"]["kafka"]


def test_kafka_is_set_up_as_the_local_one(compose: Mapping[str, Any]) -> None:
    """The same broker settings as without Docker; only addresses and the folder differ."""
    local = dict(
        line.split("=", 1) for line in server_properties(Path("/d"), 9092, 9093).splitlines()
    )
    given = environment(compose, "kafka", {})
    docker = {name.removeprefix("KAFKA_").lower().replace("_", "."): v for name, v in given.items()}
    places = {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs"}
    assert docker.keys() == local.keys()
    assert {k: v for k, v in docker.items() if k not in places} == {
        k: v for k, v in local.items() if k not in places
    }
    assert docker["advertised.listeners"] == "PLAINTEXT://kafka:9092"
    mounted = compose["services"]["kafka"]["volumes"]
    assert mounted == [f"kafka-data:{docker['log.dirs']}"]


def test_settings_of_a_local_broker_override_ours() -> None:
    """Benchmarks measure with Kafka's own defaults where ours are for short tests."""
    delay = "group.initial.rebalance.delay.ms"
    lines = server_properties(Path("/d"), 9092, 9093, {delay: "3000"}).splitlines()
    assert [line for line in lines if line.startswith(delay)] == [f"{delay}=3000"]
    assert len(lines) == len(server_properties(Path("/d"), 9092, 9093).splitlines())


@pytest.mark.parametrize("service", ["bridge", "tracking", "worker"])
def test_everybody_finds_kafka(
    compose: Mapping[str, Any], service: str, filled: Mapping[str, str]
) -> None:
    """The address that the broker tells its clients."""
    assert environment(compose, service, filled)["SMS_KAFKA"] == "kafka:9092"


def test_nobody_starts_before_the_topics(compose: Mapping[str, Any]) -> None:
    """The worker makes the topics once Kafka is healthy; whoever needs them waits for it."""
    waits = {
        name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
        for name, service in compose["services"].items()
    }
    for_worker = {"worker": "service_healthy"}
    assert waits == {
        "kafka": {},
        "worker": {"kafka": "service_healthy"},
        "bridge": for_worker,
        "tracking": for_worker,
        "dashboard": for_worker,
        "simulator": {},
    }


def test_the_simulator_meets_the_bridge_and_tracking(
    compose: Mapping[str, Any], filled: Mapping[str, str]
) -> None:
    """Account, port and secret are the same on both sides."""
    bridge = environment(compose, "bridge", filled)
    tracking = environment(compose, "tracking", filled)
    simulator = environment(compose, "simulator", filled)
    assert bridge["SMS_BRIDGE_HOST"] == "simulator"
    for name in ("PORT", "SYSTEM_ID", "PASSWORD"):
        assert bridge[f"SMS_BRIDGE_{name}"] == simulator[f"SMS_SIMULATOR_{name}"]
    url = urlsplit(simulator["SMS_SIMULATOR_TRACKING_URL"])
    assert (url.hostname, str(url.port)) == ("tracking", tracking["SMS_TRACKING_PORT"])
    assert simulator["SMS_SIMULATOR_WEBHOOK_SECRET"] == tracking["SMS_TRACKING_WEBHOOK_SECRET"]


def test_a_campaign_can_be_launched_beside_the_simulator(
    compose: Mapping[str, Any], filled: Mapping[str, str]
) -> None:
    """Its container has the key; docs/docker.md adds the two variables that it lacks."""
    page = (ROOT / "docs" / "docker.md").read_text("utf-8")
    added = dict(re.findall(r"--env (SMS_\w+)=(\S+)", page))
    read_settings(DispatchSettings, environment(compose, "simulator", filled) | added)
    assert added["SMS_KAFKA"] == "kafka:9092"
    simulator = compose["services"]["simulator"]["environment"]
    assert added["SMS_DISPATCH_TRACKING_URL"] == simulator["SMS_SIMULATOR_TRACKING_URL"]


def test_data_outlive_containers(compose: Mapping[str, Any]) -> None:
    """Every folder that is written is a named volume; the dashboard may only read the worker's."""
    mounts = {name: service.get("volumes", []) for name, service in compose["services"].items()}
    named = {mount.split(":")[0] for found in mounts.values() for mount in found} - {
        "./examples/double11"
    }
    assert named == compose["volumes"].keys()
    assert mounts["worker"] == ["worker-data:/data"]
    assert mounts["dashboard"] == ["worker-data:/data:ro"]
    assert mounts["bridge"] == ["bridge-data:/data"]
    assert mounts["simulator"] == ["simulator-data:/data", "./examples/double11:/campaign:ro"]
    for name in ("worker", "bridge", "dashboard"):
        prefix = f"SMS_{name.upper()}_DATA"
        assert compose["services"][name]["environment"][prefix] == "/data"
    simulator = compose["services"]["simulator"]["environment"]
    for file in ("CAMPAIGN", "EFFECTS"):
        mounted = Path(simulator[f"SMS_SIMULATOR_{file}"]).relative_to("/campaign")
        assert (ROOT / "examples" / "double11" / mounted).is_file()


def test_the_image_holds_the_packages_and_the_locked_requirements() -> None:
    """What the wheel contains is copied, and pip installs the lock with hashes, before the code."""
    copied = [rest.split()[:-1] for word, rest in dockerfile() if word == "COPY"]
    packages = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert copied == [
        ["requirements.lock"],
        ["pyproject.toml", "README.md", "LICENSE"],
        *([package] for package in packages),
    ]
    runs = [rest for word, rest in dockerfile() if word == "RUN" and "pip" in rest]
    assert runs == [
        "pip install --require-hashes -r requirements.lock",
        "pip install --no-deps .",
    ]


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    """`.dockerignore` lets through exactly the sources of COPY; no `.env`, no data, no history."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {name for word, rest in dockerfile() if word == "COPY" for name in rest.split()[:-1]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_the_image_runs_a_supported_python_as_nobody_special() -> None:
    """The Python of the base image satisfies requires-python; the user is not root."""
    words = dict(dockerfile())
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim", words["FROM"])
    assert version is not None
    assert project()["project"]["requires-python"] == ">=3.11"
    assert tuple(map(int, version.groups())) >= (3, 11)
    assert words["USER"] == "smslab"
    assert words["CMD"].startswith("[")
