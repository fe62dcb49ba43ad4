"""The live page as a person uses it: a real browser, a real service, a small catalogue of real films."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

Open = Callable[..., Any]  # gives the LivePage of conftest.py


def test_a_like_changes_the_shelf_and_marks_every_card_that_moved(open_page: Open, address: str) -> None:
    live = open_page("u0")
    page = live.page
    before = live.order()
    liked = page.locator(".shelf-foryou .card").first
    title = liked.locator(".poster-title").inner_text()
    liked.locator(".act-like").click()
    live.news(r"^You liked .*\. For you: .* gone")
    after = live.order()
    assert before[0] not in after
    for place, item in enumerate(after):
        mark = page.locator(f'.shelf-foryou [data-id="{item}"] .move')
        if item not in before:
            expect(mark).to_have_text("New")
        elif (was := before.index(item)) != place:
            expect(mark).to_have_text(f"{'↑' if was > place else '↓'}{abs(was - place)}")
        else:
            expect(mark).to_have_count(0)
    gone = set(page.locator(".shelf-foryou .gone s").all_inner_texts())
    assert title.casefold() in {name.casefold() for name in gone}
    expect(page.locator(".history li").first).to_contain_text("Liked")
    expect(page.locator(".history li").first.locator(".reward")).to_contain_text("+")
    expect(page.get_by_role("heading", name=re.compile("^Because you liked "))).to_be_visible()
    acts = httpx.get(f"{address}/v1/users/u0/history?n=100").json()["items"]
    assert live.order("because")
    assert not set(live.order("because")) & {act["item_id"] for act in acts}


def test_a_new_visitor_acts_logs_in_and_is_erased_with_a_certificate(open_page: Open, address: str) -> None:
    live = open_page()
    page = live.page
    expect(page.get_by_text("You are new here.")).to_be_visible()
    page.locator(".shelf-foryou .card").nth(1).locator(".act-like").click()
    live.news("^You liked ")
    page.locator(".who").click()
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("combobox").fill("u23")
    page.get_by_role("option", name="u23", exact=True).click()
    live.news("Logged in as User u23")
    assert len(page.locator(".history li").all()) == 7
    page.locator(".who").click()
    page.get_by_role("button", name="Erase me").click()
    page.get_by_role("button", name="Erase everything").click()
    expect(page.get_by_role("heading", name="Certificate of erasure")).to_be_visible()
    hashes = [text for text in page.locator(".certificate code").all_inner_texts() if len(text) >= 32]
    assert len(hashes) == 2
    assert httpx.get(f"{address}/v1/users/u23").status_code == 404


def test_opening_a_card_sends_a_click_and_closing_it_sends_the_dwell(open_page: Open, address: str) -> None:
    live = open_page("u1")
    page = live.page
    live.posters().nth(2).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Why it is here")).to_be_visible()
    expect(dialog.locator(".alike .poster").first).to_be_visible()
    page.wait_for_timeout(700)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    live.news(r"^You spent [\d.]+ seconds? with ")
    acts = httpx.get(f"{address}/v1/users/u1/history?n=2").json()["items"]
    assert [act["type"] for act in acts] == ["dwell", "click"]
    assert 0.5 <= acts[0]["value"] < 60


def test_the_exact_contributions_are_those_that_the_service_answered(open_page: Open) -> None:
    live = open_page("u2")
    page = live.page
    with page.expect_response("**/v1/recommendations") as answered:
        page.locator(".shelf-foryou .card").last.locator(".act-skip").click()
    live.news("^You skipped ")
    entry = answered.value.json()["items"][0]
    card = page.locator(f'.shelf-foryou [data-id="{entry["item_id"]}"]')
    card.locator(".why").click()
    card.get_by_role("button", name="Exact numbers").click()
    shown = card.locator(".reason-number").all_inner_texts()
    sent = sorted((reason["contribution"] for reason in entry["reasons"]), key=abs, reverse=True)
    assert [text.replace("−", "-") for text in shown] == [
        f"{number:+.4f}" if round(number, 4) else "0.0000" for number in sent
    ]


def test_search_finds_by_meaning(open_page: Open) -> None:
    live = open_page("u3")
    page = live.page
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("space adventure for kids")
    expect(
        page.get_by_role("heading", name="Closest in meaning to “space adventure for kids”")
    ).to_be_visible()
    expect(live.posters("search").first).to_be_visible()
    live.settled()
    titles = page.locator(".shelf-search .poster-title").all_text_contents()
    assert {"WALL·E", "Treasure Planet"} & set(titles[:3])
    page.keyboard.press("Escape")
    expect(page.locator(".shelf-search")).to_have_count(0)


def test_the_category_being_browsed_has_its_own_shelf(open_page: Open, address: str) -> None:
    live = open_page("u4")
    page = live.page
    page.get_by_role("button", name="Romance", exact=True).click()
    live.news("^Browsing Romance.")
    expect(page.get_by_role("heading", name="Trending in Romance")).to_be_visible()
    expect(live.posters("category").first).to_be_visible()
    shown = set(live.order("category"))
    assert shown
    assert all("Romance" in httpx.get(f"{address}/v1/items/{item}").json()["categories"] for item in shown)


def test_a_dialog_opened_while_another_is_closing_stays_open(open_page: Open) -> None:
    page = open_page("u5").page
    page.locator("body").press("?")
    expect(page.get_by_role("dialog").get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    # A quick typist: the browser tells of the first dialog's end only after the second key.
    page.evaluate(
        """() => {
            document.querySelector("dialog").close();
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "u", bubbles: true }));
        }"""
    )
    expect(page.get_by_role("combobox")).to_be_focused()
    page.wait_for_timeout(200)
    expect(page.get_by_role("combobox")).to_be_visible()


def test_everything_can_be_done_with_the_keyboard(open_page: Open, address: str) -> None:
    live = open_page("u5")
    page = live.page
    focused = "() => document.activeElement.closest('.card') && document.activeElement.dataset.item"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate(focused):
            break
    first = live.order()
    assert page.evaluate(focused) == first[0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == first[1]
    page.keyboard.press("End")
    assert page.evaluate(focused) == first[-1]
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == first[6]
    page.keyboard.press("l")
    live.news("^You liked ")
    assert page.evaluate(focused) == live.order()[6]  # the card that took the place of the one that left
    page.keyboard.press("4")
    live.news("^You gave .* 4 stars")
    page.keyboard.press("w")
    expect(page.locator(".why-panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".why-panel")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog").get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("u")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("u1")
    expect(page.get_by_role("option")).to_have_text([re.compile("^u1")] * 11)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    live.news("Showing what User u1 sees")
    acts = httpx.get(f"{address}/v1/users/u5/history?n=2").json()["items"]
    assert [(act["type"], act["value"]) for act in acts] == [("rating", 4), ("like", None)]


def test_single_key_shortcuts_can_be_switched_off(open_page: Open) -> None:
    live = open_page("u7")
    page = live.page
    page.keyboard.press("?")
    page.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    live.posters().first.focus()
    before = live.order()
    page.keyboard.press("d")
    page.wait_for_timeout(300)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert live.order() == before
