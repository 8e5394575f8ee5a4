"""A missing registry is a failure with a sentence, never a skip."""

from __future__ import annotations

from pathlib import Path

import pytest

from smslab.kafka.jars import CACHE_VARIABLE
from tests.interop.registries import debian, jsmpp_jars, node_modules
from tests.support.sockets import free_port

pytestmark = pytest.mark.interop


def test_without_apt_the_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader learns what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="Install kannel tshark"):
        debian.__wrapped__("kannel", "tshark")


def test_without_npm_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache and a registry that does not answer."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(pytest.fail.Exception, match=r"`npm install .*smpp@0\.5\.1` failed"):
        node_modules.__wrapped__()


def test_without_maven_the_artifact_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty cache and a way to the registry that ends nowhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(pytest.fail.Exception, match=r"Maven Central does not give org\.jsmpp"):
        jsmpp_jars.__wrapped__()
