"""The real Apache Kafka as a child process: one KRaft node on free ports, in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self

from runtime.topics import is_reachable
from smslab.kafka import jars, layout
from smslab.kafka.sockets import end_orphan, free_ports, is_listening, start_time

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 6.0
"""SIGTERM takes 0.3-0.8 s; the whole stack must be down within 10 s."""
_HEAP = "512m"
_TRIES = 3


class BrokerError(Exception):
    """The broker did not start or has died; the message ends with its log."""


class FolderInUse(BrokerError):  # noqa: N818 - reads as the sentence it prints
    """Another process runs a broker in this folder."""


class ApacheKafka:
    """One broker; a context manager. After `start`, `bootstrap` is its `host:port`.

    Args:
        folder: Of its data and logs.
        notice: Told what takes long.
        settings: Of `server.properties`, besides ours.
    """

    def __init__(
        self,
        folder: Path,
        *,
        notice: Callable[[str], None] = lambda _: None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._folder = folder.absolute()
        self._settings = settings
        self._notice = notice
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self.bootstrap = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self, *, class_list: Path | None = None) -> None:
        """Start and wait until the broker answers.

        Raises:
            DownloadError: If Kafka is not cached and cannot be fetched.
            BrokerError: If it does not come up.
        """
        class_path = jars.jars(self._notice)
        if class_list is None and not jars.archive(class_path).exists():
            self._notice("Preparing Kafka for fast starts (about 15 s, once per machine)")
            _make_archive(class_path)
        self._take_folder()
        remembered = self._folder / "ports.json"
        for attempt in range(_TRIES):
            is_known = attempt == 0 and remembered.exists()
            ports = json.loads(remembered.read_text()) if is_known else free_ports(2)
            try:
                self._launch(class_path, ports, class_list)
                self._wait_ready(ports[0])
            except _PortTaken:
                self._reap()
                continue
            except BaseException:
                self.stop()
                raise
            remembered.write_text(json.dumps(ports))
            self.bootstrap = f"127.0.0.1:{ports[0]}"
            return
        self.stop()
        raise BrokerError(f"Kafka found no free ports in {_TRIES} tries.\n{self._log_tail()}")

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; never raises."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """SIGKILL, for crash tests; `start` brings the same broker back on the same ports."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def _take_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the kernel when we die
        except OSError as error:
            lock.close()
            raise FolderInUse(f"another Kafka already runs in {self._folder}.") from error
        self._lock = lock
        end_orphan(self._folder / "pid")

    def _launch(self, class_path: list[str], ports: list[int], class_list: Path | None) -> None:
        folder = self._folder
        (folder / "server.properties").write_text(
            layout.server_properties(folder, ports[0], ports[1], self._settings)
        )
        (folder / "log4j2.yaml").write_text(layout.log4j_configuration(folder))
        meta = folder / "logs" / "meta.properties"
        if not meta.exists():
            meta.parent.mkdir(exist_ok=True)
            meta.write_text(layout.meta_properties())
        with (folder / "out").open("wb") as output:
            self._process = subprocess.Popen(
                self._command(class_path, class_list),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the owner, who stops us in order
            )
        (folder / "pid").write_text(f"{self._process.pid} {start_time(self._process.pid)}")

    def _command(self, class_path: list[str], class_list: Path | None) -> list[str]:
        options = [f"-Xmx{_HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        archive = jars.archive(class_path)
        if class_list is not None:
            options.append(f"-XX:DumpLoadedClassList={class_list}")
        elif archive.exists():
            options += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds=off"]
        options.append(f"-Dlog4j2.configurationFile={self._folder}/log4j2.yaml")
        main = ["kafka.Kafka", str(self._folder / "server.properties")]
        return [jars.java(), *options, "-cp", ":".join(class_path), *main]

    def _wait_ready(self, port: int) -> None:
        """An open port is not enough: the broker may be fenced, or the port a stranger's."""
        assert self._process is not None
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                tail = self._log_tail()
                if "Address already in use" in tail:
                    raise _PortTaken
                raise BrokerError(f"Kafka ended while it started.\n{tail}")
            if is_listening(self._process.pid, port) and _answers(port):
                return
            time.sleep(0.05)
        raise BrokerError(f"Kafka was not ready within {READY_WITHIN_S:.0f} s.\n{self._log_tail()}")

    def _log_tail(self) -> str:
        lines: list[str] = []
        for name in ("out", "server.log"):
            with contextlib.suppress(OSError):
                lines += (self._folder / name).read_text(errors="replace").splitlines()[-30:]
        return "\n".join(lines)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        (self._folder / "pid").unlink(missing_ok=True)


class _PortTaken(Exception):  # noqa: N818 - internal signal of `start`
    """Somebody took a port between choosing and binding it."""


def _answers(port: int) -> bool:
    return asyncio.run(is_reachable(f"127.0.0.1:{port}", timeout_s=2.0))


def _make_archive(class_path: list[str]) -> None:
    """Run a broker once to learn which classes it loads, then dump them."""
    listing = jars.cache_folder() / f"classes.{os.getpid()}"
    scratch = jars.cache_folder() / f"scratch.{os.getpid()}"
    try:
        broker = ApacheKafka(scratch)
        broker.start(class_list=listing)
        broker.stop()
        jars.dump_archive(listing, class_path)
    finally:
        listing.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
