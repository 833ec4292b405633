"""A real browser, without a window: opens pages from files, and keeps what they ask for and complain of."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW = 1280, 390
"""Widths of a desk and of a phone, in CSS pixels."""


class NoBrowserError(Exception):
    """No Chromium is installed; none is ever downloaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """
    A page as it stands in the browser.

    `requests` are addresses other than its own, `complaints` what it wrote on the console, errors and dialogs included;
    `ready_ms` is when the page had been read and laid out, from the beginning of the navigation.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    ready_ms: float = 0.0


def installed() -> str:
    """The path of the Chromium on this machine. Raises NoBrowserError with the names that were looked for."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise NoBrowserError(f"no Chromium on PATH (looked for {', '.join(NAMES)})")


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser that ends with the block. Raises NoBrowserError where none is installed."""
    path = installed()
    with sync_playwright() as driver:
        # Only pages of our own making are opened, and no network; a container gives its root no sandbox.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Browser, file: Path, *, width: int = WIDE, dark: bool = False) -> Iterator[Opened]:
    """`file` in a window of its own, ready."""
    height = 900
    context = started.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", offline=True
    )
    page = context.new_page()
    seen = Opened(page=page)
    address = file.resolve().as_uri()

    def dismissed(dialog: Dialog) -> None:
        seen.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("request", lambda request: seen.requests.append(request.url) if request.url != address else None)
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("dialog", dismissed)
    try:
        page.goto(address, wait_until="load")
        # Reading a size forces the layout that a reader would wait for.
        ready = page.evaluate("() => { document.body.getBoundingClientRect(); return performance.now(); }")
        yield Opened(page=page, requests=seen.requests, complaints=seen.complaints, ready_ms=float(ready))
    finally:
        context.close()
