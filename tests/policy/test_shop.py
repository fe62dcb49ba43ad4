"""The default settings in a small shop: what a visitor likes stays ahead of what is unrelated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import instep
from instep.serve.app import App

TEA = {"green": "Green tea", "black": "Black tea", "oolong": "Oolong tea", "jasmine": "Jasmine tea"}
OTHERS = {
    "saw": "Steel saw",
    "drill": "Cordless drill",
    "hammer": "Claw hammer",
    "rake": "Garden rake",
    "hose": "Garden hose",
    "poems": "A book of poems",
}


@pytest.fixture(scope="module", params=["none", "english"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Ten items, read by a language model or known by category only, and one visitor with one like."""
    path: Path = tmp_path_factory.mktemp("shop") / "shop.instep"
    with instep.open(path, encoder=request.param) as app:
        for item_id, title in (TEA | OTHERS).items():
            app.put_item(item_id, title=title, categories=["tea" if item_id in TEA else "other"])
        app.finish_encoding()
        app.observe("green", user_id="ann", type="like")
        yield app


@pytest.mark.parametrize("n", [6, 9])
def test_after_one_like_the_same_kind_stays_ahead(shop: App, n: int) -> None:
    slates = [shop.recommend(user_id="ann", n=n, request_id=f"r{k}") for k in range(200)]
    first = [{item.item_id for item in slate.items[:3]} for slate in slates]
    assert first.count({"black", "oolong", "jasmine"}) >= 198


def test_it_explores_all_the_same(shop: App) -> None:
    slates = [shop.recommend(user_id="ann", n=5, request_id=f"r{k}") for k in range(200)]
    assert len({item.item_id for slate in slates for item in slate.items}) > 5
    assert {slate.policy for slate in slates} == {"thompson"}
