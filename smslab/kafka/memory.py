"""The in-memory broker: librdkafka's mock cluster, from the confluent-kafka wheel.

For machines that cannot download Kafka. It keeps at most 5 MiB or 100,000 messages per partition
(older ones vanish silently), knows no admin API, and its data end with the process.
"""

from __future__ import annotations

import ctypes
import importlib.util
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.topics import TOPICS
from smslab.kafka.jars import DownloadError

_REBALANCE_DELAY_MS = 200
"""The mock's default of 3 s makes every group join wait."""
_START_WITHIN_S = 15.0
_STOP_WITHIN_S = 3.0


class MemoryKafka:
    """The mock broker as a child process; a context manager with `bootstrap`."""

    def __init__(self) -> None:
        self.bootstrap = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from smslab.kafka.memory import main; main()"],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,  # closes with us: the child then ends
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.bootstrap = _first_line(self._process)
        if not self.bootstrap:
            self.__exit__(None, None, None)
            raise DownloadError("the in-memory broker of confluent-kafka did not start.")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._process = None

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process else None


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    timer = threading.Timer(_START_WITHIN_S, process.kill)
    timer.start()
    try:
        return process.stdout.readline().strip()
    finally:
        timer.cancel()


def _library() -> ctypes.CDLL:
    """The librdkafka inside the wheel; its mock symbols are documented in rdkafka_mock.h."""
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise DownloadError("confluent-kafka is not installed.")
    bundled = Path(spec.origin).parent.parent / "confluent_kafka.libs"
    candidates = sorted(bundled.glob("librdkafka*.so*"))
    if not candidates:
        raise DownloadError("this confluent-kafka has no bundled librdkafka.")
    import confluent_kafka  # noqa: F401, PLC0415 - loads the libraries librdkafka depends on

    return ctypes.CDLL(str(candidates[0]))


def _cluster(library: ctypes.CDLL) -> str:
    """Start a one-broker mock cluster with our topics; it lives as long as this process."""
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    library.rd_kafka_conf_new.restype = pointer
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_new.argtypes = [number, pointer, text, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, number]
    library.rd_kafka_mock_cluster_bootstraps.restype = text
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    library.rd_kafka_mock_topic_create.argtypes = [pointer, text, number, number]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [pointer, ctypes.c_int32]
    library.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
    error = ctypes.create_string_buffer(512)
    configuration = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(configuration, b"log_level", b"0", error, 512)
    client = library.rd_kafka_new(0, configuration, error, 512)
    if not client:
        raise DownloadError(f"librdkafka: {error.value.decode()}")
    cluster = library.rd_kafka_mock_cluster_new(client, 1)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, _REBALANCE_DELAY_MS)
    for topic in TOPICS:
        library.rd_kafka_mock_topic_create(cluster, topic.name.encode(), topic.partitions, 1)
        library.rd_kafka_mock_topic_create(cluster, topic.dead_letters.encode(), 1, 1)
    bootstraps: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return bootstraps.decode().split(",")[0]


def main() -> None:
    """Run the broker until the owner closes our stdin or sends SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(_cluster(_library()) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
