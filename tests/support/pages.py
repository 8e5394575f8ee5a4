"""The pages in a real browser: serves a folder, opens pages, waits until they are drawn."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.waiting import wait_until

IDLE = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  return !!app && app.dataset.testConnectionState === 'CONNECTED'
    && app.dataset.testScriptState === 'notRunning'
    && !document.querySelector(
      '[data-stale=true],[data-testid=stSkeleton],[data-testid=stAppSkeleton]')
    && document.fonts.status === 'loaded'; }"""
"""Connected, script finished, nothing stale, fonts there; before the first run: `initial`."""
WATCH = """() => {
  const app = document.querySelector('[data-testid=stApp]'); window.__ran = false;
  new MutationObserver((m, o) => { if (app.dataset.testScriptState === 'running') {
    window.__ran = true; o.disconnect(); } }).observe(app, {attributes: true}); }"""
OVERFLOW = """() => {
  const out = [], width = document.documentElement.clientWidth;
  for (const e of document.querySelectorAll('[data-testid=stMain] *')) {
    const r = e.getBoundingClientRect(); if (!r.width || !r.height) continue;
    if (e.closest('.scroll')) continue;
    if (r.right > width + 1 || r.left < -1)
      out.push('out: ' + (e.innerText || e.tagName).slice(0, 40));
    if (!e.children.length && e.innerText && e.clientWidth && e.scrollWidth > e.clientWidth + 1
      && getComputedStyle(e).display !== 'inline'
      && getComputedStyle(e).textOverflow !== 'ellipsis')
      out.push('cut: ' + e.innerText.slice(0, 40)); }
  return out; }"""
"""Text outside the page, or cut off by its own box without a sign of it."""
OVERLAP = """() => {
  const texts = [...document.querySelectorAll('.mk *')]
    .filter(e => !e.children.length && e.innerText?.trim())
    .map(e => { const g = document.createRange(); g.selectNodeContents(e);
      return [e, g.getBoundingClientRect()]; });
  const out = [];
  for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
    const [a, b] = [texts[i][1], texts[j][1]];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 4
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 9)
      out.push(texts[i][0].innerText + ' / ' + texts[j][0].innerText); }
  return out.slice(0, 5); }"""
"""Texts that cover each other by more than a line box: those touch by a few pixels."""


def free_port() -> int:
    """A port that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_healthy(port: int) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The pages over `folder`, as `python -m dashboards` in another working directory."""
    port = free_port()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SMS_")}
    started = subprocess.Popen(
        [sys.executable, "-m", "dashboards"],
        cwd=folder,
        env=plain | {"SMS_DASHBOARD_DATA": str(folder), "SMS_DASHBOARD_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: is_healthy(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait(10)


MOST_LOOKS, BETWEEN_LOOKS_MS = 30, 150


@dataclass
class Visitor:
    """One open page and everything that went wrong on it."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go there and wait until it is drawn."""
        page = self.page
        page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._check_origin(request.url))
        page.goto(self.base + path, wait_until="commit")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing runs."""
        self.page.wait_for_function(IDLE, timeout=30_000)

    def act(self, do: Callable[[], None]) -> None:
        """Do something that reruns, and wait for that run, not for the one before it."""
        self.page.evaluate(WATCH)
        do()
        self.page.wait_for_function("() => window.__ran", timeout=10_000)
        self.settle()

    def check(self) -> None:
        """No exception, no console error, nothing from elsewhere, nothing cut or covered."""
        found = [*self.faults, *self._misplaced()]
        found += self.page.locator("[data-testid=stException]").all_inner_texts()
        assert found == [], found

    def _misplaced(self) -> list[str]:
        """What is cut or covered once nothing moves: a fold that slides covers what is below."""
        looks: list[list[str]] = []
        for _ in range(MOST_LOOKS):
            looks.append([*self.page.evaluate(OVERFLOW), *self.page.evaluate(OVERLAP)])
            if looks[-2:] == [[], []]:
                break
            self.page.wait_for_timeout(BETWEEN_LOOKS_MS)
        return looks[-1]

    def say(self) -> str:
        """The verdict."""
        return self.page.locator(".verdict .say").inner_text()

    def _check_origin(self, url: str) -> None:
        own = (self.base, self.base.replace("http", "ws", 1), "data:", "blob:")
        if not url.startswith(own):
            self.faults.append(f"outside: {url}")


def visit(
    browser: Browser, base: str, *, width: int = 1280, theme: str = "light", locale: str = "en-GB"
) -> Visitor:
    """A new visitor with a clean browser profile."""
    is_phone = width < 600
    context = browser.new_context(
        viewport={"width": width, "height": 844 if is_phone else 800},
        color_scheme="dark" if theme == "dark" else "light",
        is_mobile=is_phone,
        has_touch=is_phone,
        reduced_motion="reduce",
        locale=locale,
        timezone_id="Asia/Singapore",
    )
    return Visitor(context.new_page(), base)
