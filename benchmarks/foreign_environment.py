"""Environments of foreign engines: made by uv in the cache folder, never the project's own.

`locks/<engine>.lock` pins the engine, msgspec and all they need by hash; made with
`uv pip compile --universal --python-version 3.11 --generate-hashes`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from smslab.kafka.jars import cache_folder

_WITHIN_S: Final = 300
_HERE: Final = Path(__file__).parent
_READY: Final = ".installed"


class NotInstalledError(Exception):
    """An engine cannot be had here; the message says why. Caught by `engines`."""


def python_of(engine: str) -> Path:
    """The interpreter that has `engine`, in an environment that is made once per machine.

    Raises:
        NotInstalledError: If the registry does not give it, or not for this machine.
    """
    lock = _HERE / "locks" / f"{engine}.lock"
    digest = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()[:10]
    folder = cache_folder() / "benchmarks" / f"{engine}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / _READY).exists():
        shutil.rmtree(folder, ignore_errors=True)
        _uv(engine, "venv", "--quiet", "--python", sys.executable, str(folder))
        chosen = ("--python", str(python), "--no-build", "--require-hashes")
        _uv(engine, "pip", "sync", "--quiet", *chosen, str(lock))
        (folder / _READY).touch()
    return python


def _uv(engine: str, *arguments: str) -> None:
    uv = _HERE.parent / ".uv" / "bin" / "uv"
    try:
        done = subprocess.run(
            [str(uv) if uv.exists() else "uv", *arguments],
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(f"{engine} cannot be installed: {error}") from error
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-500:]
        raise NotInstalledError(f"{engine} cannot be installed: {reason}")
