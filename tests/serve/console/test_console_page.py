"""What the page promises beside its function: languages, safety, honesty about failures, contrast, widths."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import Route, expect

pytestmark = pytest.mark.browser

Open = Callable[..., Any]  # gives the LivePage of conftest.py

# All text that the page itself wrote: catalogue, ids, keys and codes are marked `translate="no"`.
OWN_WORDS: Final = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (!parentElement.closest('[translate="no"], [lang="en"], noscript, script')) texts.push(data);
  }
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder]")) {
    if (element.closest('[translate="no"], [lang="en"]')) continue;
    for (const name of ["aria-label", "title", "placeholder"]) texts.push(element.getAttribute(name) ?? "");
  }
  return [document.title, ...texts].filter((text) => text.trim());
}"""

TITLES: Final = (
    """() => Array.from(document.querySelectorAll(".poster-title, .act-title"), (e) => e.textContent)"""
)

# Elements whose text has less contrast with its ground than WCAG AA asks for (4.5:1).
POOR_CONTRAST: Final = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      if (color[3] > 200) return color;
    }
    return rgba("white");
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(".sr, noscript")) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.className}: ${element.textContent} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


def test_both_languages_have_the_same_words(open_page: Open) -> None:
    live = open_page("u8")
    en, zh = live.page.evaluate(
        """async () => {
          const { en } = await import("./console/words.en.js");
          const { zh } = await import("./console/words.zh.js");
          const shape = (value) => typeof value === "object" && !Array.isArray(value)
            ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
            : `${typeof value} ${value.length && typeof value !== "string" ? value.length : ""}`;
          return [shape(en), shape(zh)];
        }"""
    )
    assert en == zh


def test_the_chinese_page_has_no_english_left_over(open_page: Open) -> None:
    live = open_page("u9", language="zh-CN")
    page = live.page
    titles: set[str] = set()
    seen: list[str] = []

    def read() -> None:
        """Words and titles of one moment: what an act brings to the shelves comes while the page is read."""
        words, shown = page.evaluate(f"() => [({OWN_WORDS})(), ({TITLES})()]")
        seen.extend(words)
        titles.update(shown)

    read()
    page.locator(".shelf-foryou .act-like").first.click()
    live.news("^你喜欢“")
    page.locator(".chip").nth(1).click()
    live.news("^正在浏览“")
    page.locator(".shelf-foryou .why").first.click()
    page.locator(".shelf-foryou .why-panel .link").click()
    read()
    live.posters().nth(1).click()
    expect(page.locator(".alike .poster").first).to_be_visible()
    page.locator(".detail-why .link").click()
    read()
    expect(page.locator(".dwell")).to_have_text(re.compile("已停留 [1-9]"))  # a glance is no dwell
    page.keyboard.press("Escape")
    live.news("^你在“.*”停留了 .* 秒")
    for opener in (".round", ".who"):
        page.locator(opener).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        live.settled()
        read()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    known = sorted(titles, key=len, reverse=True)
    left = set()
    for text in seen:
        for title in known:
            text = text.replace(title, "")
        left |= set(re.findall(r"[A-Za-z]{2,}", text))
    assert left <= {"Instep"}


def test_the_language_follows_the_browser_and_then_the_switch(open_page: Open) -> None:
    live = open_page("u10", language="zh-CN")
    page = live.page
    expect(page.get_by_role("heading", name="为你推荐")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="For you")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="For you")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
    live.settled()


def test_no_poster_breaks_a_word_of_its_title(open_page: Open) -> None:
    live = open_page("u12")
    broken = live.page.evaluate(
        """async () => {
          const { size } = await import("./console/poster.js");
          const broken = [];
          const title = document.querySelector(".shelf-foryou .poster-title");
          const words = ["Heat", "Matrix", "Shawshank", "Redemption", "Goodfellas", "Ratatouille", "Confidential"];
          for (const face of ["serif", "narrow", "sans"])
            for (const word of words) {
              title.closest(".poster-art").className = `poster-art face-${face} size-${size(word, face)}`;
              title.textContent = word;
              const all = document.createRange();
              all.selectNodeContents(title);
              if (all.getClientRects().length > 1) broken.push([face, word]);
            }
          return broken;
        }"""
    )
    assert broken == []


def test_markup_in_a_title_is_shown_as_text(open_page: Open) -> None:
    live = open_page("u11")
    page = live.page
    page.locator("#search").fill("img src onerror")
    expect(page.locator('.shelf-search [data-item="evil"] .poster-title')).to_have_text(
        "<img src=x onerror=window.__broken=1>"
    )
    page.locator('.shelf-search [data-item="evil"]').click()
    expect(page.get_by_role("dialog").get_by_role("heading").first).to_have_text(re.compile("^<img src=x"))
    expect(page.locator(".description")).to_have_text("<img src=x onerror=window.__broken=1>")
    live.settled()
    assert page.evaluate("window.__broken") is None
    assert page.locator("img").count() == 1  # the mark beside the name


def test_the_page_is_served_under_a_strict_policy_that_it_keeps(open_page: Open, address: str) -> None:
    live = open_page("u12")
    answer = live.page.request.get(address)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    again = live.page.request.get(f"{address}/console/app.js")
    unchanged = live.page.request.get(
        f"{address}/console/app.js", headers={"if-none-match": again.headers["etag"]}
    )
    assert (again.status, unchanged.status) == (200, 304)


def test_a_refused_event_is_shown_in_the_service_s_words(open_page: Open) -> None:
    live = open_page("u13")
    page = live.page

    def spoil(route: Route) -> None:
        event = route.request.post_data_json
        route.continue_(post_data={**event, "type": "rating", "value": 99})

    page.route("**/v1/events", spoil)
    before = live.order()
    page.locator(".shelf-foryou .act-like").first.click()
    problem = page.get_by_role("alert").locator(".problem")
    expect(problem).to_contain_text("value: must be between 0 and 5")
    expect(problem.get_by_role("button", name="Try again")).to_have_count(0)
    problem.get_by_role("button", name="Dismiss").click()
    expect(problem).to_have_count(0)
    assert live.order() == before
    assert all("422" in said for said in open_page.wrong)
    open_page.wrong.clear()


def test_an_unreachable_service_is_said_and_the_act_is_sent_again_once(open_page: Open, address: str) -> None:
    live = open_page("u14")
    page = live.page
    page.route("**/v1/events", lambda route: route.abort())
    page.locator(".shelf-foryou .act-like").first.click()
    problem = page.get_by_role("alert").locator(".problem")
    expect(problem).to_contain_text("The service cannot be reached")
    page.unroute("**/v1/events")
    problem.get_by_role("button", name="Try again").click()
    live.news("^You liked ")
    expect(problem).to_have_count(0)
    history = page.request.get(f"{address}/v1/users/u14/history?n=100").json()["items"]
    assert [act["type"] for act in history].count("like") == 1
    assert all("ERR_FAILED" in said for said in open_page.wrong)
    open_page.wrong.clear()


def test_a_key_is_asked_for_only_when_the_service_answers_401(open_page: Open) -> None:
    live = open_page("u15")
    page = live.page
    expect(page.get_by_role("textbox", name="API key")).to_have_count(0)
    sent: list[str | None] = []

    def locked(route: Route) -> None:
        key = route.request.headers.get("authorization")
        sent.append(key)
        if key == "Bearer opensesame":
            route.continue_()
        else:
            route.fulfill(status=401, content_type="application/problem+json", json={"title": "Unauthorized"})

    page.route("**/v1/**", locked)
    page.reload()
    page.get_by_role("textbox", name="API key").fill("opensesame")
    page.get_by_role("button", name="Use this key").click()
    expect(live.posters().first).to_be_visible()
    live.settled()
    assert "Bearer opensesame" in sent
    assert all("401" in said for said in open_page.wrong)
    open_page.wrong.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(open_page: Open, scheme: str) -> None:
    live = open_page("u16", scheme=scheme)
    page = live.page
    page.locator(".shelf-foryou .act-dislike").first.click()
    live.news("^You disliked ")
    page.locator(".shelf-foryou .why").first.click()
    assert page.evaluate(POOR_CONTRAST) == []
    live.posters().nth(1).click()
    expect(page.locator(".alike .poster").first).to_be_visible()
    assert page.evaluate(POOR_CONTRAST) == []
    page.keyboard.press("Escape")
    live.settled()


@pytest.mark.parametrize("width", [360, 768, 1280, 2200])
def test_nothing_sticks_out_of_the_window(open_page: Open, width: int) -> None:
    for language in ("en-GB", "zh-CN"):
        live = open_page(None, language=language, width=width)
        assert live.page.evaluate("document.documentElement.scrollWidth") == width
        edges = live.page.locator(".top button, .top input, .shelf-head").evaluate_all(
            """all => all.filter((one) => one.checkVisibility())
              .map((one) => one.getBoundingClientRect()).map((box) => [box.left, box.right])"""
        )
        assert all(left >= 0 and right <= width for left, right in edges)


def test_what_moved_is_told_by_place(open_page: Open) -> None:
    live = open_page("u17")
    told = live.page.evaluate(
        """async () => {
          const { compare, count } = await import("./console/movement.js");
          const moved = compare(["a", "b", "c", "d"], ["c", "x", "b", "d"]);
          return [[...moved.moves].map(([id, move]) => [id, move.kind, move.by]), moved.gone, count(moved)];
        }"""
    )
    assert told == [
        [["c", "up", 2], ["x", "new", 0], ["b", "down", 1], ["d", "same", 0]],
        ["a"],
        {"new": 1, "up": 1, "down": 1, "same": 1, "gone": 1},
    ]
