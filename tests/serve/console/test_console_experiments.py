"""The experiments page in a real browser: what it tells, what can be done, in both languages."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

from instep.domain import Arm, Context, Experiment, Feedback, ItemPut, Metric, Overrides
from instep.serve.app import App, open_app
from instep.serve.http import Service, configure_logs, serving

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=window.__broken=1>"
OPEN = Callable[..., Page]


def launch(app: App) -> None:
    """One experiment that harm stopped, one of mixed slates that runs, and one whose names hold markup."""
    arms = (Arm("control", 0.5), Arm("timid", 0.5, Overrides(policy="pessimistic")))
    app.experiments.launch(
        Experiment(
            "caution", arms, surfaces=("list",), guardrails=(Metric("dislike", "decrease"),), least_users=20
        )
    )
    mixed = (Arm("usual", 0.5), Arm("repeats", 0.5, Overrides(repeat=True)))
    app.experiments.launch(
        Experiment("mixed", mixed, kind="interleave", layer="two", surfaces=("home",), least_users=20)
    )
    evil = (Arm(MARKUP, 0.5), Arm("b", 0.5))
    app.experiments.launch(Experiment(MARKUP, evil, layer="three", surfaces=("nowhere",)))


def visit(app: App) -> None:
    """Users like the control better than the timid arm; on mixed slates, the second team's items better."""
    acts, chance = [], random.Random(3)
    for number in range(900):
        surface = "home" if number % 3 == 0 else "list"
        user, now = f"secret-user-{number % 150}", time.time()
        slate = app.flow.recommend(Context(user, n=4, now=now, request_id=f"r{number}", surface=surface))
        arms = {each.experiment: each for each in slate.experiments}
        item = slate.items[0].item_id
        if "mixed" in arms:
            item = next(
                one.item_id for one, team in zip(slate.items, arms["mixed"].teams, strict=True) if team == 1
            )
        if chance.random() < (0.1 if "caution" in arms and arms["caution"].arm == "timid" else 0.7):
            acts.append(Feedback(f"f{number}", user, item, now, "click", slate_id=slate.slate_id))
        if len(acts) == 30:
            app.flow.observe(acts)
            acts = []


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A folder with experiments under way."""
    configure_logs("error")
    folder = tmp_path_factory.mktemp("experiments") / "shop.instep"
    with open_app(folder, encoder="none", recommend={"policy": "greedy"}) as app:
        now = time.time() - 3_600
        app.flow.observe([ItemPut(f"p{n}", f"i{n}", now, {"title": f"Item {n}"}) for n in range(40)])
        app.flow.observe(
            [Feedback(f"e{n}", f"c{n % 40}", f"i{n % 37}", now + n, "click") for n in range(300)]
        )
        launch(app)
        visit(app)
        yield app


@pytest.fixture(scope="module")
def address(app: App) -> Iterator[str]:
    settings = msgspec.structs.replace(app.http_settings(), port=0)
    with serving(Service(app.flow, settings, app.metrics), settings) as served:
        yield served


@pytest.fixture
def opened(new_page: Callable[..., Page], address: str) -> OPEN:
    """Open the page in a language."""

    def page_of(language: str = "en-GB", width: int = 1280) -> Page:
        page = new_page(language, width)
        page.goto(f"{address}/experiments")
        expect(page.locator(".experiment").first).to_be_visible()
        return page

    page_of.wrong = new_page.wrong  # type: ignore[attr-defined]
    return page_of


def card(page: Page, name: str) -> Any:
    return page.get_by_role("article", name=name, exact=True)


def test_every_experiment_is_told_with_its_numbers_and_no_user(opened: OPEN, app: App) -> None:
    page = opened()
    expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")
    assert page.locator(".experiment h2").all_text_contents() == [MARKUP, "mixed", "caution"]
    stopped = card(page, "caution")
    expect(stopped.locator(".status")).to_have_text("Stopped")
    expect(stopped.locator(".harm")).to_have_text(
        "Stopped for harm: arm timid certainly has fewer slates with “Opened” than the control."
    )
    expect(stopped.locator(".verdict.worse")).to_have_count(1)
    control = app.experiments.report("caution").arms[0]
    expect(stopped.locator(".arm").first).to_contain_text(f"{control.users} users, {control.slates} slates")
    mixed = card(page, "mixed")
    expect(mixed.locator(".verdict.better")).to_have_text("better")
    expect(mixed).to_contain_text(re.compile("won [1-9][0-9]* slates"))
    assert "secret-user" not in page.content()
    assert page.evaluate("window.__broken") is None
    assert page.locator("img").count() == 1


def test_the_chinese_page_has_no_english_left_over(opened: OPEN) -> None:
    page = opened("zh-CN")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.locator("summary").click()
    card(page, "mixed").get_by_role("button").first.click()
    seen: list[str] = page.evaluate(
        """() => {
          const texts = [];
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const { data, parentElement } = walker.currentNode;
            if (!parentElement.closest('[translate="no"], [lang="en"], noscript, script')) texts.push(data);
          }
          return [document.title, ...texts];
        }"""
    )
    words = {word for text in seen for word in re.findall("[A-Za-z]{2,}", text.replace(MARKUP, ""))}
    assert words <= {
        "Instep",
        "JSON",
        "timid",
        "usual",
        "repeats",
        "control",
    }  # names of arms stand in sentences
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")


def test_launch_promote_and_roll_back_from_the_page(opened: OPEN, app: App, address: str) -> None:
    page = opened()
    page.locator("summary").click()
    definition = page.get_by_label("Definition", exact=True)
    definition.fill("{")
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.locator(".launch .warn")).to_have_text("This is not JSON.")
    arms = [{"name": "a", "share": 0.1}, {"name": "b", "share": 0.2, "settings": {"repeat": True}}]
    wrong = {"name": "from the page", "layer": "four", "surfaces": ["page"], "arms": [*arms, arms[0]]}
    definition.fill(msgspec.json.encode(wrong).decode())
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.locator(".launch .warn")).to_have_text("arms[2].name: there are two arms named 'a'")
    definition.fill(msgspec.json.encode({**wrong, "arms": arms}).decode())
    page.get_by_role("button", name="Launch", exact=True).click()
    mine = card(page, "from the page")
    expect(mine.locator(".status")).to_have_text("Running")
    mine.get_by_role("button", name="Promote b").click()
    expect(mine).to_contain_text("Everybody gets this arm’s settings, at once.")
    assert app.experiments.report("from the page").status == "running"  # it asks before it acts
    mine.get_by_role("button", name="Promote b").click()
    expect(mine.locator(".status")).to_have_text("Promoted")
    mine.get_by_role("button", name="Roll back").click()
    mine.get_by_role("button", name="Roll back").click()
    expect(mine.locator(".status")).to_have_text("Rolled back")
    assert app.experiments.report("from the page").status == "rolled_back"
    assert all("422" in said for said in opened.wrong)  # type: ignore[attr-defined]
    opened.wrong.clear()  # type: ignore[attr-defined]


def test_a_key_is_asked_for_and_the_live_page_leads_here(opened: OPEN, address: str) -> None:
    page = opened()
    page.route(
        "**/v1/experiments",
        lambda route: (
            route.continue_()
            if route.request.headers.get("authorization") == "Bearer opensesame"
            else route.fulfill(
                status=401, content_type="application/problem+json", json={"title": "Unauthorized"}
            )
        ),
    )
    page.reload()
    page.get_by_role("textbox", name="API key").fill("opensesame")
    page.get_by_role("button", name="Use this key").click()
    expect(card(page, "mixed")).to_be_visible()
    page.unroute("**/v1/experiments")
    page.get_by_role("link", name="Live page").click()
    page.get_by_role("link", name="Experiments").click()
    expect(card(page, "mixed")).to_be_visible()
    assert all("401" in said for said in opened.wrong)  # type: ignore[attr-defined]
    opened.wrong.clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_window(opened: OPEN, width: int) -> None:
    page = opened(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
