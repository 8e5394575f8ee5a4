"""The demo's folder: what the processes read, where they write, and the settings they get."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from campaigns.assignment import assign
from campaigns.campaign_file import Campaign
from pipeline.dispatch.settings import DispatchSettings
from runtime.process import CannotRun
from schemas.events import HOLDOUT
from schemas.subject import SubjectKey, Tokenizer
from simulator.people import made_numbers, write_audience
from smslab.dispatching import read_campaign
from smslab.kafka import Broker
from smslab.kafka.sockets import end_orphan, free_ports
from smslab.stack import Child

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "double11"
BAD_ROWS: Final = 20
SEED: Final = 11
_MARKER: Final = ".smslab-demo"
_PORTS: Final = {"smsc": 2775, "tracking": 8090, "dashboard": 8501}
"""The usual ports; a free one is taken instead where somebody else has them."""
_ANY_PORTS: Final = ("bridge_health", "worker_health", "simulator_health")
_KEY_ID: Final = "demo"


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The folder, emptied of an earlier demo, and ours alone while the block runs.

    Raises:
        CannotRun: If it holds something else, or another demo runs in it.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder / _MARKER).exists() and any(folder.iterdir()):
        raise CannotRun(f"--data {folder} is not empty and not a demo's. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _MARKER).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotRun(
                f"another demo runs in --data {folder}. Stop it or choose another folder."
            ) from error
        for pid_file in (folder / "kafka" / "pid", *(folder / "pids").glob("*.pid")):
            end_orphan(pid_file)  # of a demo that was killed
        for old in folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        yield folder


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is chosen before the first process starts."""

    folder: Path
    broker: Broker
    campaign: Campaign
    ports: Mapping[str, int]
    subject_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    password: str = field(default_factory=lambda: secrets.token_hex(4), repr=False)
    workers: int = 1
    """More than one: so many members, and a sink."""
    webhook_secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def ledger(self) -> Path:
        """What truly happened."""
        return self.folder / "simulator" / "ledger.jsonl"

    @property
    def results(self) -> Path:
        """The worker's folder."""
        return self.folder / "worker"

    @property
    def campaign_file(self) -> Path:
        """The campaign as it is run here."""
        return self.folder / "campaign" / "campaign.yaml"

    @property
    def dashboard_url(self) -> str:
        """The pages."""
        return f"http://127.0.0.1:{self.ports['dashboard']}"

    @property
    def tracking_url(self) -> str:
        """In front of the short links."""
        return f"http://127.0.0.1:{self.ports['tracking']}"

    @property
    def simulator_status(self) -> str:
        """Whether everything that will happen has happened."""
        return f"http://127.0.0.1:{self.ports['simulator_health']}/status"

    @property
    def dispatch_settings(self) -> DispatchSettings:
        """For the dispatcher, which runs in our own process."""
        return DispatchSettings(
            kafka=self.broker.bootstrap,
            subject_key=self.subject_key,
            subject_key_id=_KEY_ID,
            tracking_url=self.tracking_url,
        )

    def children(self) -> list[Child]:
        """The processes in the order in which they start."""
        ports = self.ports
        return [
            self._child("tracking", "tracking", ports["tracking"]),
            self._child("simulator", "simulator run", ports["simulator_health"]),
            self._child("bridge", "smpp_bridge", ports["bridge_health"]),
            self._child("worker", "pipeline", ports["worker_health"]),
            *(self._child(name, "pipeline", ports[name]) for name in self._members),
            self._child("dashboard", "dashboards", ports["dashboard"], "_stcore/health"),
        ]

    @property
    def _members(self) -> list[str]:
        return [f"worker-{number}" for number in range(1, self.workers + 1) if self.workers > 1]

    def _child(self, name: str, command: str, port: int, path: str = "readyz") -> Child:
        return Child(
            name,
            tuple(command.split()),
            self._settings()[name],
            f"http://127.0.0.1:{port}/{path}",
        )

    def _settings(self) -> dict[str, dict[str, str]]:
        """Process → its environment variables."""
        kafka = {"SMS_KAFKA": self.broker.bootstrap}
        key = {"SMS_SUBJECT_KEY": self.subject_key.hex(), "SMS_SUBJECT_KEY_ID": _KEY_ID}
        ports = {name: str(port) for name, port in self.ports.items()}
        return {
            "tracking": kafka
            | key
            | {
                "SMS_TRACKING_PORT": ports["tracking"],
                "SMS_TRACKING_WEBHOOK_SECRET": self.webhook_secret,
            },
            "simulator": key
            | {
                "SMS_SIMULATOR_CAMPAIGN": str(self.campaign_file),
                "SMS_SIMULATOR_EFFECTS": str(EXAMPLE / "effects.yaml"),
                "SMS_SIMULATOR_AUDIENCE": str(self.campaign_file.with_name("audience.csv")),
                "SMS_SIMULATOR_LEDGER": str(self.ledger),
                "SMS_SIMULATOR_TRACKING_URL": self.tracking_url,
                "SMS_SIMULATOR_WEBHOOK_SECRET": self.webhook_secret,
                "SMS_SIMULATOR_PORT": ports["smsc"],
                "SMS_SIMULATOR_PASSWORD": self.password,
                "SMS_SIMULATOR_HEALTH_PORT": ports["simulator_health"],
            },
            "bridge": kafka
            | key
            | {
                "SMS_BRIDGE_CONNECTION": self.campaign.connection,
                "SMS_BRIDGE_PORT": ports["smsc"],
                "SMS_BRIDGE_SYSTEM_ID": "smslab",
                "SMS_BRIDGE_PASSWORD": self.password,
                "SMS_BRIDGE_DATA": str(self.folder / "bridge"),
                "SMS_BRIDGE_HEALTH_PORT": ports["bridge_health"],
            },
            **self._workers(kafka),
            "dashboard": {
                "SMS_DASHBOARD_DATA": str(self.results),
                "SMS_DASHBOARD_PORT": ports["dashboard"],
            },
        }

    def _workers(self, kafka: Mapping[str, str]) -> dict[str, dict[str, str]]:
        shared = {
            **kafka,
            "SMS_WORKER_DATA": str(self.results),
            "SMS_WORKER_KAFKA_IN_MEMORY": str(self.broker.is_in_memory).lower(),
        }
        roles = {"worker": "sink" if self._members else "alone"}
        roles |= dict.fromkeys(self._members, "member")
        ports = {"worker": self.ports["worker_health"]} | {
            name: self.ports[name] for name in self._members
        }
        return {
            name: shared
            | {"SMS_WORKER_HEALTH_PORT": str(ports[name]), "SMS_WORKER_ROLE": roles[name]}
            for name in roles
        }


def make_world(
    folder: Path, broker: Broker, *, messages: int, rate_per_s: float, workers: int = 1
) -> World:
    """Write the campaign and its audience; choose keys and ports."""
    ports = _choose_ports(workers)
    file = folder / "campaign" / "campaign.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(_campaign_text(broker, ports["tracking"], rate_per_s), "utf-8")
    world = World(folder, broker, read_campaign(file), ports, workers=workers)
    people = people_for(world.campaign, world.subject_key, messages)
    write_audience(file.with_name("audience.csv"), people, seed=SEED, bad_rows=BAD_ROWS)
    return world


def people_for(campaign: Campaign, subject_key: bytes, messages: int) -> int:
    """How many people an audience needs so that exactly so many messages are sent."""
    tokenizer = Tokenizer(SubjectKey(_KEY_ID, subject_key))
    expected = messages / (1 - campaign.holdout)
    for enough in itertools.count(1):
        numbers = made_numbers(round(expected * (1 + 0.1 * enough)) + 100, seed=SEED)
        left = messages
        for people, number in enumerate(numbers, 1):
            arm = assign(
                tokenizer.token(number),
                salt=campaign.campaign_id,
                holdout=campaign.holdout,
                shares=campaign.shares,
            )
            left -= arm != HOLDOUT
            if left == 0:
                return people
    raise AssertionError


def _campaign_text(broker: Broker, tracking_port: int, rate_per_s: float) -> str:
    """The example for this run: its own address and, on a lasting broker, its own names."""
    text = (EXAMPLE / "campaign.yaml").read_text("utf-8")
    text = text.replace("127.0.0.1:8090", f"127.0.0.1:{tracking_port}")
    if broker.kind == "external":
        run = secrets.token_hex(3)
        text = text.replace("campaign: double11-coupon", f"campaign: double11-coupon-{run}")
        text = text.replace("connection: demo", f"connection: demo-{run}")
    return f"{text}schedule: {{rate_per_s: {rate_per_s:f}}}\n"


def _choose_ports(workers: int) -> dict[str, int]:
    names = (*_ANY_PORTS, *(f"worker-{number}" for number in range(1, workers + 1)))
    spare = free_ports(len(_PORTS) + len(names))
    chosen = {
        name: port if _is_free(port) else spare[index]
        for index, (name, port) in enumerate(_PORTS.items())
    }
    return chosen | dict(zip(names, spare[len(_PORTS) :], strict=True))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
