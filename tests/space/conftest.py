"""A real browser for the Spaces."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, headless. Without one the tests of the pages are skipped, but never where CI says so."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `dev`")
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain("no Chromium: `sudo apt-get install chromium`, or run `make browser`")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def browse(browser) -> Iterator[Callable[..., Any]]:
    """Opens an address in a context of its own; nothing may be asked of another machine, and no script may fail."""
    contexts, foreign, errors = [], [], []

    def opened(url: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}") or dialog.dismiss())
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not foreign
    assert not errors


def is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:"))
