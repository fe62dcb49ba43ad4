"""Take the pictures of the live page that the README and docs/console.md show.

Start `instep demo`, then: python docs/images/take.py http://127.0.0.1:8080 [NAME.png ...]

The picture of the experiments launches two, and has made-up users visit them.
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
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


EXPERIMENTS: list[dict[str, Any]] = [
    {
        "name": "how-much-to-explore",
        "surfaces": ["list"],
        "guardrails": [{"type": "dislike", "goal": "decrease"}],
        "arms": [
            {"name": "control", "share": 0.34},
            {"name": "linucb", "share": 0.33, "settings": {"policy": "linucb"}},
            {
                "name": "wild",
                "share": 0.33,
                "settings": {"policy": "epsilon-greedy", "budget": 1.0, "parameters": {"epsilon": 1.0}},
            },
        ],
    },
    {
        "name": "careful-or-not",
        "kind": "interleave",
        "layer": "mixed",
        "surfaces": ["home"],
        "arms": [
            {"name": "greedy", "share": 0.5, "settings": {"policy": "greedy"}},
            {"name": "pessimistic", "share": 0.5, "settings": {"policy": "pessimistic"}},
        ],
    },
]
CLICKS = {"control": 0.3, "linucb": 0.33, "wild": 0.16, "interleaved": 0.3}


def visit(address: str, visits: int = 5_000, users: int = 1_200) -> None:
    """Launch the experiments, and have users click, more in some arms than in others."""
    chance = random.Random(1)
    with httpx.Client(base_url=address, timeout=30) as client:
        for definition in EXPERIMENTS:
            client.post("/v1/experiments", json=definition).raise_for_status()
        acts: list[dict[str, Any]] = []
        for _ in range(visits):
            who = {"session": f"visit-{chance.randrange(users)}"}
            asked = {**who, "n": 6, "surface": chance.choice(["home", "list"])}
            slate = client.post("/v1/recommendations", json=asked).json()
            arm = slate["experiments"][0]["arm"] if slate["experiments"] else "control"
            place = min(int(chance.expovariate(0.6)), len(slate["items"]) - 1)
            act = {**who, "item_id": slate["items"][place]["item_id"], "slate_id": slate["slate_id"]}
            luck = chance.random()
            if luck < CLICKS[arm]:
                acts.append({**act, "type": "click"})
            elif luck < CLICKS[arm] + 0.04:
                acts.append({**act, "type": "dislike"})
            if len(acts) == 20:
                client.post("/v1/events", json=acts).raise_for_status()
                acts = []


def take_experiments(browser: Browser, address: str) -> None:
    """The page of the experiments."""
    visit(address)
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page.goto(f"{address}/experiments")
    expect(page.locator(".experiment")).to_have_count(len(EXPERIMENTS), timeout=30_000)
    page.screenshot(path=HERE / "experiments.png", full_page=True)


def main() -> None:
    """Take the pictures that are named, or all, of the service at the address given."""
    _, address, *wanted = sys.argv
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, look in PICTURES.items():
            if not wanted or name in wanted:
                take(browser, address, name, **look)
        if not wanted or "experiments.png" in wanted:
            take_experiments(browser, address)


if __name__ == "__main__":
    main()
