"""The page of the language model's versions in a real browser: what it tells, what can be done, in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from instep.serve.app import App, open_app
from instep.serve.http import Service, configure_logs, serving
from instep.tune.gate import Decision, Slates, Slice
from instep.tune.margins import Margins
from instep.tune.registry import Version
from instep.tune.shadow import Shadow

pytestmark = pytest.mark.browser

OPEN = Callable[..., Page]
MARKUP = "<img src=x onerror=window.__broken=1>"


def decision(passed: bool) -> Decision:
    change = 0.08 if passed else -0.12
    says = "not worse" if passed else "worse"
    parts = [
        Slice(
            "all",
            2827,
            0.0678,
            0.0678 * (1 + change),
            0.12,
            0.13,
            change,
            change - 0.05,
            change + 0.05,
            0.01,
            says,
        ),
        Slice("cold items", 1402, 0.0224, 0.03, 0.05, 0.06, 0.34, 0.1, 0.5, 0.05, "not worse"),
        Slice(f"region = {MARKUP}", 40, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0, 0.05, "cannot tell"),
    ]
    reasons = [] if passed else ["NDCG@10 -12.0% over all events (2,827 events, 1% may be lost)"]
    slates = Slates("not worse", "", 900, 0.4, "cascade-dr", 0.012, -0.01, 0.03)
    return Decision(passed, reasons, "base@1", "model@2", 2827, parts, slates, Margins(), 31.0, 1.7e9)


def add(app: App, passed: bool | None, **fields: object) -> None:
    registry = app.models.registry
    with registry.draft() as draft:
        (draft / "weights").mkdir()
        (draft / "weights" / "adapter.safetensors").write_bytes(b"w")
        lines = [msgspec.json.encode({"step": step, "loss": 3.0 / step, "lr": 1e-4}) for step in range(1, 40)]
        lines += [msgspec.json.encode({"step": step, "validation_loss": 3.2 / step}) for step in (10, 20, 39)]
        (draft / "losses.jsonl").write_bytes(b"\n".join(lines))
        given = {"base": "minilm", "task": "matching", "method": "lora", "end": app.flow.log.end, **fields}
        name = registry.add(draft, Version(**given)).name  # type: ignore[arg-type]
    if passed is not None:
        registry.write(name, "gate.json", decision(passed))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A folder with a good version, a refused one, and one whose data lost a user."""
    configure_logs("error")
    with open_app(tmp_path_factory.mktemp("models") / "shop.instep", encoder="none") as app:
        app.observe("tea", user_id="u1", type="click")
        add(app, True, metrics={"validation_hr": 0.214, MARKUP: 1.0}, records=1)
        beside = Shadow(
            "base@1", "model@2", 2827, decision(True).parts, 0.83, 900, 4100, 1.7e9, 1.7e9 + 60, MARKUP
        )
        app.models.registry.write("v0001", "shadow.json", beside)
        add(app, False, parent="v0001", method="adalora", records=1)
        add(app, None, records=500)
        yield app


@pytest.fixture(scope="module")
def address(app: App) -> Iterator[str]:
    settings = msgspec.structs.replace(app.http_settings(), port=0)
    with serving(Service(app.flow, settings, app.metrics, app.models), settings) as served:
        yield served


@pytest.fixture
def opened(new_page: Callable[..., Page], address: str) -> OPEN:
    """Open the page in a language."""

    def page_of(language: str = "en-GB", width: int = 1280) -> Page:
        page = new_page(language, width)
        page.goto(f"{address}/models")
        expect(page.locator(".curve")).to_have_count(3)
        return page

    return page_of


def test_every_version_is_told_with_its_curve_and_the_gate_s_numbers(opened: OPEN) -> None:
    page = opened()
    expect(page.get_by_role("heading", level=1)).to_have_text("Language model")
    assert page.locator("article h2").all_text_contents() == ["v0003", "v0002", "v0001"]
    refused = page.get_by_role("article", name="v0002")
    expect(refused).to_contain_text("gate refused")
    expect(refused).to_contain_text("NDCG@10 -12.0% over all events")
    expect(refused.get_by_role("row", name="All events")).to_contain_text("−12.00%")
    expect(refused.locator(".verdict.worse")).to_have_count(1)
    lost = page.get_by_role("article", name="v0003")
    expect(lost).to_contain_text("Somebody was erased from its data since")
    expect(lost.get_by_role("button")).to_have_count(0)
    curve = page.get_by_role("article", name="v0001").get_by_role("img")
    expect(curve).to_have_accessible_name(re.compile(r"training from 3\.0000 to 0\.0769 in 39 steps"))
    assert page.evaluate("window.__broken") is None


def test_live_traffic_is_told_with_its_numbers(opened: OPEN) -> None:
    page = opened()
    scored = page.get_by_role("article", name="v0001").locator("details", has_text="Live traffic")
    expect(page.locator("details", has_text="Live traffic")).to_have_count(1)
    scored.locator("summary").click()
    expect(scored.locator("summary")).to_have_text("Live traffic it was not shown to: 2,827 choices")
    expect(scored.get_by_role("row", name="All events")).to_contain_text("+8.00%")
    expect(scored).to_contain_text("Log offsets 900 to 4,100 · 83% of the ten best are the same · <img")
    assert page.evaluate("window.__broken") is None


def test_promote_and_roll_back_with_the_keyboard(opened: OPEN, app: App) -> None:
    page = opened()
    standing = page.locator(".standing")
    expect(standing).to_have_text("Serves now: the configured encoder")
    page.get_by_role("button", name="Promote v0001", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="v0001")).to_contain_text("then it serves")
    assert app.models.registry.live == ""  # it asks before it acts
    page.get_by_role("button", name="Promote v0001", exact=True).focus()
    page.keyboard.press("Enter")
    expect(standing).to_contain_text("Serves now: v0001 · before it: the configured encoder")
    page.get_by_role("button", name="Promote v0002 anyway").click()
    page.get_by_role("button", name="Promote v0002 anyway").click()
    expect(standing).to_contain_text("Serves now: v0002 · before it: v0001")
    for _ in range(2):
        standing.get_by_role("button", name="Roll back").click()
    expect(standing).to_contain_text("Serves now: v0001")
    app.models.registry.promote("base")
    (Path(app.models.registry.folder) / "live.json").unlink()


def test_the_chinese_page_has_no_english_left_over(opened: OPEN) -> None:
    page = opened("zh-CN")
    for summary in page.locator("summary").all():
        summary.click()
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
    words = {word for text in seen for word in re.findall("[A-Za-z]{2,}", text)}
    assert words <= {"Instep"}
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Language model")


def test_the_live_page_leads_here(opened: OPEN) -> None:
    page = opened()
    page.get_by_role("link", name="Live page").click()
    page.get_by_role("link", name="Language model").click()
    expect(page.get_by_role("article", name="v0001")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_window(opened: OPEN, width: int) -> None:
    page = opened(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
