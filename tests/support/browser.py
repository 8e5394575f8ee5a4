"""A real Chromium for the page tests: finds one, or installs it (`--install`), and drives it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    # Debian's wrapper /usr/bin/chromium adds flags of its own; the binary behind it does not.
    "/usr/lib/chromium/chromium",
    "/usr/bin/chromium",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
FLAGS = (
    "--headless",
    "--no-sandbox",  # root cannot use it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
)
FONT = "fonts-noto-cjk"


class NoBrowser(Exception):  # noqa: N818 - reads as the sentence it prints
    """No browser, and none could be installed; `str` says what to do."""


def find_browser(environ: Mapping[str, str] = os.environ) -> Path | None:
    """An installed Chrome or Chromium, or playwright's own."""
    named = environ.get("CHROMIUM")
    if named:
        return Path(named) if os.access(named, os.X_OK) else None
    found: Iterable[str | None] = (*PLACES, *(shutil.which(name) for name in NAMES))
    installed = (Path(path) for path in found if path and os.access(path, os.X_OK))
    return next(installed, None) or next(_of_playwright(), None)


def browser_path() -> Path:
    """The browser of the tests.

    Raises:
        NoBrowser: If there is none; `make browser` installs one.
    """
    found = find_browser()
    if found is None:
        raise NoBrowser("No Chromium found. Run `make browser`, or set CHROMIUM to one.")
    return found


def has_chinese_font() -> bool:
    """Whether a font has Chinese characters; systems without fontconfig bring their own."""
    if shutil.which("fc-list") is None:
        return sys.platform != "linux"
    listed = subprocess.run(
        ["fc-list", ":lang=zh", "family"], capture_output=True, text=True, check=False
    )
    return bool(listed.stdout.strip())


def install() -> str:
    """Find or install a browser, and a Chinese font where we may; says what was done.

    Raises:
        NoBrowser: If there is no browser and none could be installed.
    """
    named = os.environ.get("CHROMIUM")
    if named and find_browser() is None:
        raise NoBrowser(f"CHROMIUM == {named!r}, must be an executable Chromium.")
    done = []
    if find_browser() is None:
        done.append(_install_browser())
    if not has_chinese_font() and _can_use_apt():
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", FONT])
        done.append(f"installed {FONT}")
    return "; ".join([f"Chromium: {browser_path()}", *done])


def _install_browser() -> str:
    ways: tuple[tuple[str, bool, Callable[[], bool]], ...] = (
        ("installed chromium with apt-get", _can_use_apt(), _apt_browser),
        ("installed chromium with playwright", True, _playwright_browser),
    )
    for said, is_possible, way in ways:
        if is_possible and way() and find_browser() is not None:
            return said
    raise NoBrowser(
        "No Chromium found, and neither apt-get nor playwright could install one. "
        "Install Chromium or Chrome, or set CHROMIUM to its executable."
    )


def _apt_browser() -> bool:
    return _run(["apt-get", "update", "-qq"]) and _run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", FONT]
    )


def _playwright_browser() -> bool:
    return _run([sys.executable, "-m", "playwright", "install", "chromium"])


def _of_playwright() -> Iterable[Path]:
    """Playwright's own browsers, newest first, without starting playwright (0.5 s)."""
    places = {
        "darwin": Path.home() / "Library/Caches/ms-playwright",
        "linux": Path.home() / ".cache/ms-playwright",
    }
    root = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or places.get(sys.platform)
    if root is None:
        return iter(())
    patterns = (
        "chromium-*/chrome-linux*/chrome",
        "chromium_headless_shell-*/*/*headless*shell",
        "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
    )
    return iter(sorted((p for q in patterns for p in Path(root).glob(q)), reverse=True))


def _can_use_apt() -> bool:
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def _run(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode == 0


def main() -> None:
    """`python tests/support/browser.py --install`."""
    if sys.argv[1:] != ["--install"]:
        sys.exit("usage: browser.py --install")
    try:
        sys.stdout.write(install() + "\n")
    except NoBrowser as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
