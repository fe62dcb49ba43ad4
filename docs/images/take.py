"""Take the pictures of the live page that the README and docs/console.md show.

Start `instep demo`, then: python docs/images/take.py http://127.0.0.1:8080
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).parent
PICTURES: dict[str, dict[str, Any]] = {
    "console.png": {"width": 1440, "height": 1160, "language": "en-GB", "scheme": "light"},
    "console-zh.png": {"width": 1440, "height": 1160, "language": "zh-CN", "scheme": "dark"},
    "console-phone.png": {"width": 390, "height": 844, "language": "en-GB", "scheme": "dark"},
}


def take(
    browser: Browser, address: str, name: str, width: int, height: int, language: str, scheme: Any
) -> None:
    """One picture: a new visitor likes three films, then asks why a card is there."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=language, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(address)
    for place in (0, 3, 4):
        settled(page)
        page.locator(".shelf-foryou .act-like").nth(place).click()
    settled(page)
    if width > 1000:
        page.locator(".shelf-foryou .why").nth(4).click()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.mouse.move(2, height - 2)
    page.wait_for_timeout(800)  # the cards slide to their places
    page.screenshot(path=HERE / name)
    context.close()


def settled(page: Page) -> None:
    """Wait until the shelves are there and nothing is under way."""
    expect(page.locator(".shelf-foryou .card").nth(11)).to_be_visible(timeout=30_000)
    page.wait_for_timeout(300)
    expect(page.locator(".progress.is-busy")).to_have_count(0, timeout=30_000)


def main() -> None:
    """Take all pictures of the service at the address given."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, look in PICTURES.items():
            take(browser, sys.argv[1], name, **look)


if __name__ == "__main__":
    main()
