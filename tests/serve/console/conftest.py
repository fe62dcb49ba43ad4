"""A real service with a small catalogue of real films, and a real browser that looks at its page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import msgspec
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

from instep.serve.app import open_app
from instep.serve.http import Service, configure_logs, serving

expect.set_options(timeout=20_000)  # a busy machine is no failure

XSS: Final = "<img src=x onerror=window.__broken=1>"
FILMS: Final = """
Toy Story|1995|Animation,Children|A cowboy doll and a space ranger toy compete for a boy's love.
WALL·E|2008|Animation,Children,Sci-Fi|A small robot follows another one on a space adventure.
Treasure Planet|2002|Animation,Children,Sci-Fi|A boy sails through space to find a pirate's treasure.
Finding Nemo|2003|Animation,Children|A clownfish crosses the ocean to find his lost son.
The Lion King|1994|Animation,Children|A lion cub must take his place as king.
Shrek|2001|Animation,Children|An ogre goes to save a princess from a dragon.
Monsters, Inc.|2001|Animation,Children|Monsters power their city with the screams of children.
Aladdin|1992|Animation,Children|A street boy finds a lamp with a genie.
Ratatouille|2007|Animation,Children|A rat becomes a cook in Paris.
Frozen|2013|Animation,Children|A princess looks for her sister, who brought eternal winter.
The Silence of the Lambs|1991|Thriller,Crime|A young agent asks a cannibal to help her catch a killer.
Seven|1995|Thriller,Crime|Two detectives hunt a murderer who kills after the deadly sins.
Heat|1995|Thriller,Crime|A detective hunts a crew of bank robbers in Los Angeles.
Fargo|1996|Thriller,Crime|A pregnant police chief looks into murders in the snow.
The Usual Suspects|1995|Thriller,Crime|A survivor tells of five criminals and a legend.
Pulp Fiction|1994|Thriller,Crime|Gangsters, a boxer and a briefcase.
Goodfellas|1990|Thriller,Crime|A man's life in the mob.
Zodiac|2007|Thriller,Crime|A cartoonist hunts the Zodiac killer.
Chinatown|1974|Thriller,Crime|A private eye finds corruption and water in Los Angeles.
L.A. Confidential|1997|Thriller,Crime|Three policemen look into a series of murders.
The Notebook|2004|Romance|An old man reads a love story to a woman.
Titanic|1997|Romance|Two people fall in love on a ship that will sink.
Notting Hill|1999|Romance|A bookseller falls in love with a film star.
Pretty Woman|1990|Romance|A businessman falls in love with the woman he hired.
Sleepless in Seattle|1993|Romance|A widower's son calls a radio show to find him a wife.
Casablanca|1942|Romance|A bar owner meets the woman he once loved.
Before Sunrise|1995|Romance|Two strangers walk through Vienna for one night.
Amélie|2001|Romance|A shy waitress in Paris changes the lives around her.
La La Land|2016|Romance|A pianist and an actress fall in love in Los Angeles.
Roman Holiday|1953|Romance|A princess escapes and falls in love in Rome.
"""
TASTES: Final = ("Animation", "Thriller", "Romance")


def films() -> list[dict[str, Any]]:
    rows = [line.split("|") for line in FILMS.strip().splitlines()]
    items: list[dict[str, Any]] = [
        {
            "item_id": f"f{n}",
            "title": title,
            "year": int(year),
            "categories": names.split(","),
            "description": words,
        }
        for n, (title, year, names, words) in enumerate(rows)
    ]
    return [*items, {"item_id": "evil", "title": XSS, "categories": ["Animation"], "description": XSS}]


def ratings(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each of 24 users rated six films of one taste, in an order of the user's own."""
    events = []
    for user in range(24):
        taste = [item["item_id"] for item in items if item["categories"][0] == TASTES[user % 3]]
        for step in range(6):
            item = taste[(user // 3 + step * (1 + user % 2)) % len(taste)]
            event = {"user_id": f"u{user}", "item_id": item, "type": "rating", "value": 5 - step % 2}
            events.append({**event, "timestamp": 1_700_000_000 + user * 1000 + step})
    return events


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of a folder with the films, read by the language model, and the ratings."""
    configure_logs("error")
    with open_app(tmp_path_factory.mktemp("console") / "films.instep", encoder="english") as app:
        settings = msgspec.structs.replace(app.http_settings(), port=0)
        with serving(Service(app.flow, settings, app.metrics), settings) as served:
            with httpx.Client(base_url=served, timeout=30) as client:
                items = films()
                assert client.post("/v1/items", json=items).status_code == 200
                assert client.post("/v1/events", json=ratings(items)).status_code == 200
            app.finish_encoding()
            yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or whatever Chromium or Chrome there is."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    flags = (
        "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*flags.split(), "--no-first-run"])
        yield browser
        browser.close()


class LivePage:
    """The page in a browser tab, with the questions that tests ask of it.

    Args:
        page: the tab.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    def posters(self, shelf: str = "foryou") -> Locator:
        """The posters of a shelf, in order."""
        return self.page.locator(f".shelf-{shelf} .card .poster")

    def order(self, shelf: str = "foryou") -> list[str]:
        """The item ids of a shelf, in order."""
        ids: list[str] = self.posters(shelf).evaluate_all("all => all.map(one => one.dataset.item)")
        return ids

    def settled(self) -> None:
        """Wait until nothing is under way."""
        expect(self.page.locator(".progress.is-busy")).to_have_count(0)

    def news(self, pattern: str) -> None:
        """Wait for the sentence that tells what the last act did."""
        expect(self.page.locator(".news")).to_have_text(re.compile(pattern))
        self.settled()


Open = Callable[..., LivePage]


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open empty tabs. At the end: nothing was said on their consoles."""
    contexts = []
    wrong: list[str] = []

    def opened(language: str = "en-GB", width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(locale=language, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on(
            "console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        return page

    opened.wrong = wrong  # type: ignore[attr-defined]  # a test that provokes an error takes it out
    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def open_page(new_page: Callable[..., Page], address: str) -> Open:
    """Open the page as a user (None: a new visitor). At the end: console clean, no request elsewhere."""
    wrong: list[str] = new_page.wrong  # type: ignore[attr-defined]

    def watch(request: Request) -> None:
        if not request.url.startswith(address + "/"):
            wrong.append(f"left the origin: {request.url}")

    def opened(
        user: str | None = None, language: str = "en-GB", width: int = 1280, scheme: Any = "light"
    ) -> LivePage:
        page = new_page(language, width, 800, color_scheme=scheme, reduced_motion="reduce")
        page.on("request", watch)
        if user:
            who = f'{{"user": "{user}"}}'
            page.add_init_script(
                f"localStorage.getItem('instep.who') ?? localStorage.setItem('instep.who', '{who}')"
            )
        page.goto(address)
        live = LivePage(page)
        expect(live.posters().first).to_be_visible()
        live.settled()
        return live

    opened.wrong = wrong  # type: ignore[attr-defined]
    return opened
