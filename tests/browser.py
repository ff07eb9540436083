"""Open the pages of the built book in Chromium, with the world outside cut off."""

import os
import re
import shutil
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from chapters import BOOK, pages
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

HTML = Path(os.environ.get("BOOK_HTML") or BOOK / "_build" / "html").resolve()
FRAMES = Path(os.environ.get("EXPLORE_FRAMES") or BOOK / "_build" / "frames").resolve()
PAGES = [path.relative_to(BOOK).with_suffix("").as_posix() for path in pages()]
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
DESKTOP, PHONE = 1280, 390  # px
OUTSIDE = re.compile(r"^(?!file:|data:|blob:|about:|http://127\.0\.0\.1:)")

# Formulas are set, nothing is still fading: what is half faded reads as pale.
SETTLED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await window.MathJax?.startup?.promise;
  await frame(), await frame();
  const fading = document.getAnimations().filter((a) => a.effect.getComputedTiming().endTime < 1e5);
  await Promise.all(fading.map((animation) => animation.finished.catch(() => null)));
}"""


def need(condition: object, message: str) -> None:
    """Skip the test where something is missing; where ``CI`` is set, fail instead."""
    if not condition:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


def chromium() -> str | None:
    """Find the system's Chromium or Chrome; the environment variable ``CHROMIUM`` may name it."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium without a window."""
    return playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))


def file_url(name: str) -> str:
    """Return the address of a page in its folder."""
    return (HTML / f"{name}.html").as_uri()


class Site(ThreadingHTTPServer):
    """Serve the book on a free port of this machine, silently."""

    daemon_threads = True

    def __init__(self) -> None:
        handler = partial(_Handler, directory=str(HTML))
        super().__init__(("127.0.0.1", 0), handler)
        Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self.server_port}/{quote(name)}.html"

    def handle_error(self, request, client_address) -> None:
        """Ignore that a page was closed while it loaded."""


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args) -> None:
        pass


@dataclass
class Visit:
    """An open page, the errors it reported as (text, address), the requests it was refused."""

    page: Page
    errors: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def visit(context: BrowserContext, url: str, wait_until: str = "load") -> Visit:
    """Open a page, refuse it every other origin, and note what it complains of."""
    page = context.new_page()
    page.set_default_timeout(10_000)
    seen = Visit(page)

    def refuse(route) -> None:
        seen.refused.append(route.request.url)
        route.abort()

    def note(message) -> None:
        if message.type in {"error", "assert"}:
            seen.errors.append((message.text, message.location["url"]))

    page.route(OUTSIDE, refuse)
    page.on("console", note)
    page.on("pageerror", lambda error: seen.errors.append((error.message, "")))
    page.goto(url, wait_until=wait_until)
    page.evaluate(SETTLED)
    return seen


def view(page: Page, width: int = DESKTOP, theme: str = "light", media: str = "screen") -> None:
    """Look at an open page on another screen, in another colour mode, or on paper."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme, media=media)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'", timeout=5000)
    page.evaluate(SETTLED)
