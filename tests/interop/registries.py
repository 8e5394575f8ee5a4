"""Where the foreign peers come from: Debian, npm and Maven Central, with pinned versions.

What npm gives goes into the cache folder (`SMSLAB_CACHE`), never into the project's environment.
A registry that cannot be reached fails the test with a sentence; nothing is skipped.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import jgo
import pytest

from smslab.kafka.jars import cache_folder

NODE_SMPP = "smpp@0.5.1"
JSMPP = "org.jsmpp:jsmpp-examples:3.0.1"
_APT = ("apt-get", "-qq", "-o", "Acquire::Retries=3")
WITHIN_S = 300
"""For one installation on a slow line."""


@functools.cache
def debian(*packages: str) -> None:
    """Have packages of Debian installed; needs root only if one is missing."""
    if _is_installed(packages):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        names = " ".join(packages)
        pytest.fail(
            f"Install {names} (Debian's names); without root and apt-get the test cannot.",
            pytrace=False,
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _run([*_APT, "update"], quiet)
    _run([*_APT, "install", "-y", "--no-install-recommends", *packages], quiet)


@functools.cache
def node_modules() -> Path:
    """The folder for NODE_PATH that has node's `smpp`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        debian("nodejs", "npm")
    folder = cache_folder() / "interop" / NODE_SMPP
    modules = folder / "node_modules"
    if not (modules / ".package-lock.json").exists():  # npm writes it last
        options = ["--no-save", "--no-audit", "--no-fund"]
        _run(["npm", "install", *options, "--prefix", str(folder), NODE_SMPP])
    return modules


@functools.cache
def jsmpp_jars() -> str:
    """The class path of jsmpp's examples."""
    try:
        jars = [str(jar) for jar in jgo.build(JSMPP).all_jars]
    except (OSError, RuntimeError, ValueError) as error:
        pytest.fail(f"Maven Central does not give {JSMPP}: {error}", pytrace=False)
    return ":".join(jars)


def _is_installed(packages: Sequence[str]) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}\n", *packages]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.split() == ["installed"] * len(packages)


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"`{' '.join(command)}` did not end within {WITHIN_S} s.", pytrace=False)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        pytest.fail(
            f"`{' '.join(command)}` failed, so a foreign peer is missing: {said}", pytrace=False
        )
