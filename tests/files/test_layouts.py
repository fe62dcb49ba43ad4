"""Known data sets in the layouts in which they are published."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from instep.domain import ConfigError, Feedback, Impression, ItemPut, UserPut
from instep.files import Rejected, demo_source, open_source

RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail.parquet"
needs_retail = pytest.mark.skipif(
    not RETAIL.is_file(), reason=f"the UCI Online Retail file is not at {RETAIL}"
)


@pytest.fixture
def movielens_100k(tmp_path: Path) -> Path:
    (tmp_path / "u.data").write_text(
        "196\t242\t3\t881250949\n186\t302\t3\t881250900\n22\t377\tbad\t878887116\n"
    )
    flags = "|".join("1" if place in (4, 5) else "0" for place in range(19))
    films = [f'242|Misérables, Les (1995)|01-Jan-1995||http://x/?a="b|{flags}', "302|Matrix, The (1999)||||0"]
    (tmp_path / "u.item").write_bytes("\n".join(films).encode("latin-1"))
    (tmp_path / "u.user").write_text("196|24|M|technician|85711\n")
    return tmp_path


def test_movielens_100k_is_read_with_latin_1_titles_and_genre_flags(movielens_100k: Path) -> None:
    source = open_source(movielens_100k)
    assert source.format == "movielens"
    rejected, film = source.items()
    assert isinstance(film, ItemPut)
    assert film.fields == {"categories": ["Children's", "Comedy"], "title": "Misérables, Les", "year": 1995}
    assert film.timestamp == 881250900.0
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "row: has 6 fields instead of 24"
    (user,) = source.users()
    assert isinstance(user, UserPut)
    assert user.fields == {"age": 24, "gender": "M", "occupation": "technician", "zip": "85711"}
    bad, first, second = source.events()
    assert bad == Rejected(3, "rating: is not a number: 'bad'", "22\t377\tbad\t878887116", "u.data")
    assert isinstance(first, Feedback)
    assert (first.user_id, first.item_id, first.type, first.value) == ("186", "302", "rating", 3.0)
    assert isinstance(second, Feedback)
    assert second.timestamp == 881250949.0


def test_movielens_latest_is_read_from_its_csv_files(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\r\n1,31,2.5,1260759144\r\n")
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\r\n31,"American President, The (1995)",Comedy|Drama\r\n'
        "32,X,(no genres listed)\r\n"
    )
    source = open_source(tmp_path / "ratings.csv")
    first, second = source.items()
    assert isinstance(first, ItemPut)
    assert isinstance(second, ItemPut)
    assert first.fields == {
        "categories": ["Comedy", "Drama"],
        "title": "The American President",
        "year": 1995,
    }
    assert second.fields == {"categories": [], "title": "X"}
    (event,) = source.events()
    assert isinstance(event, Feedback)
    assert event.value == 2.5


def test_movielens_1m_is_read_with_its_double_colons(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n")
    (tmp_path / "movies.dat").write_bytes(
        "1193::Star Wars: Épisode IV (1977)::Action|Sci-Fi\n".encode("latin-1")
    )
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::99::1\n")
    source = open_source(tmp_path)
    (film,) = source.items()
    assert isinstance(film, ItemPut)
    assert film.fields == {"categories": ["Action", "Sci-Fi"], "title": "Star Wars: Épisode IV", "year": 1977}
    rejected, user = source.users()
    assert isinstance(user, UserPut)
    assert user.fields == {"age": "under 18", "gender": "F", "occupation": "K-12 student", "zip": "48067"}
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "occupation: is not one of 0 to 20: 99"
    assert len(list(source.events())) == 1


def test_the_demo_has_every_rating_once_in_time_order(tmp_path: Path) -> None:
    source = demo_source(tmp_path)
    events = [event for event in source.events() if isinstance(event, Feedback)]
    assert len(events) == len({event.event_id for event in events}) == source.total == 100_004
    assert [event.timestamp for event in events] == sorted(event.timestamp for event in events)
    items = {item.item_id: item.fields for item in source.items() if isinstance(item, ItemPut)}
    assert len(items) == 9_066
    assert {event.item_id for event in events} == items.keys()
    assert items["1"]["title"] == "Toy Story"
    assert all(path.suffix == ".csv" for path in tmp_path.iterdir())


@needs_retail
def test_every_line_of_online_retail_is_accounted_for() -> None:
    source = open_source(RETAIL)
    assert source.format == "uci-online-retail"
    types = Counter(event.type if isinstance(event, Feedback) else "reject" for event in source.events())
    assert types == {"purchase": 527_792, "return": 8_704}
    assert types.total() + source.notes.total() == 541_909
    assert source.notes["stock correction (quantity of zero or less without cancellation)"] == 1_336
    assert source.notes["price of zero or less"] == 1_165
    assert source.notes["stock code POST (postage) is not a product"] == 1_256


@needs_retail
def test_online_retail_gives_the_same_events_as_csv(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(RETAIL).slice(0, 20_000)
    pq.write_table(table, tmp_path / "some.parquet")
    frame = table.to_pandas()
    frame["InvoiceDate"] = frame["InvoiceDate"].map(
        lambda t: f"{t.month}/{t.day}/{t.year} {t.hour}:{t.minute:02}"
    )
    frame["CustomerID"] = frame["CustomerID"].astype("float64")
    frame.to_csv(tmp_path / "some.csv", index=False, encoding="latin-1")
    one, two = open_source(tmp_path / "some.parquet"), open_source(tmp_path / "some.csv")
    events = list(one.events())
    assert events == list(two.events())
    assert one.notes == two.notes
    assert list(one.items()) == list(two.items())
    assert list(one.users()) == list(two.users())
    assert len({event.event_id for event in events if isinstance(event, Feedback)}) == len(events)


def test_the_rules_for_invoice_lines(tmp_path: Path) -> None:
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    lines = [
        "536365,85123a,WHITE  HEART ,6,12/1/2010 8:26,2.55,17850.0,United Kingdom",
        "536366,85123A,WHITE HEART,2,12/1/2010 8:28,2.55,,United Kingdom",
        "C536379,85123A,WHITE HEART,-1,12/1/2010 9:41,2.55,17850,United Kingdom",
        "536367,POST,POSTAGE,1,12/1/2010 8:26,18,17850,France",
        "A563185,22423,CAKESTAND,1,12/1/2010 8:26,11062.06,,United Kingdom",
        "536589,21777,,-10,12/1/2010 16:50,0,,United Kingdom",
        "536414,22139,,56,12/1/2010 11:52,0,,United Kingdom",
        "536368,22139,TEA,one,12/1/2010 8:26,1,17850,United Kingdom",
        "536368,22139,TEA,1,2010.12.01,1,17850,United Kingdom",
        "536368,,TEA,1,12/1/2010 8:26,1,17850,United Kingdom",
    ]
    path = tmp_path / "retail.csv"
    path.write_text(header + "\n".join(lines))
    source = open_source(path)
    outcomes = list(source.events())
    events = [event for event in outcomes if isinstance(event, Feedback)]
    assert [(event.user_id, event.item_id, event.type, event.value) for event in events] == [
        ("17850", "85123A", "purchase", 6.0),
        ("session:536366", "85123A", "purchase", 2.0),
        ("17850", "85123A", "return", 1.0),
    ]
    assert events[0].context == {"invoice": "536365", "price": 2.55}
    assert [(each.line, each.reason.split(":")[0]) for each in outcomes if isinstance(each, Rejected)] == [
        (9, "Quantity"),
        (10, "InvoiceDate"),
        (11, "StockCode"),
    ]
    assert source.notes == {
        "stock code POST (postage) is not a product": 1,
        "bad debt adjustment": 1,
        "stock correction (quantity of zero or less without cancellation)": 1,
        "price of zero or less": 1,
    }
    (item,) = source.items()
    assert isinstance(item, ItemPut)
    assert (item.fields, item.timestamp) == ({"price": 2.55, "title": "WHITE HEART"}, 1291191960.0)
    (user,) = source.users()
    assert isinstance(user, UserPut)
    assert (user.user_id, user.fields) == ("17850", {"country": "United Kingdom"})


def test_a_layout_with_a_missing_column_names_it(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text("InvoiceNo,StockCode\n")
    with pytest.raises(ConfigError, match=r"column Description, Quantity, .* is missing"):
        open_source(path, format="uci-online-retail")


def test_amazon_personalize_is_told_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(
        "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,DEVICE\nu1,i1,1714550400,Purchase,2,phone\n"
    )
    (tmp_path / "catalogue.csv").write_text(
        "ITEM_ID,GENRES,CATEGORY_L1,PRICE,CREATION_TIMESTAMP,COLOUR\ni1,Tea|Hot,Drinks,4.5,1714550000,green\n"
    )
    (tmp_path / "people.csv").write_text("USER_ID,AGE\nu1,30\n")
    source = open_source(tmp_path)
    assert (source.format, source.kinds) == ("amazon-personalize", ("items", "users", "events"))
    (event,) = source.events()
    assert isinstance(event, Feedback)
    assert (event.user_id, event.item_id, event.timestamp, event.type, event.value) == (
        "u1",
        "i1",
        1714550400.0,
        "purchase",
        2.0,
    )
    assert source.notes == {"column device is not read": 1}
    (item,) = source.items()
    assert isinstance(item, ItemPut)
    assert item.fields == {
        "categories": ["Tea", "Hot", "Drinks"],
        "colour": "green",
        "price": 4.5,
        "published_at": 1714550000.0,
    }
    (user,) = source.users()
    assert isinstance(user, UserPut)
    assert user.fields == {"age": 30}


def test_gorse_is_read_as_csv_and_as_json_lines(tmp_path: Path) -> None:
    (tmp_path / "feedback.csv").write_text(
        "feedback_type,user_id,item_id,value,timestamp\nlike,u1,i1,,2024-05-01T08:00:00Z\n"
    )
    (tmp_path / "items.jsonl").write_text(
        '{"ItemId": "i1", "IsHidden": true, "Categories": ["Tea"], "Timestamp": "2024-05-01T00:00:00Z", '
        '"Comment": "Green tea", "Labels": {"x": 1}}\n'
    )
    source = open_source(tmp_path)
    assert (source.format, source.kinds) == ("gorse", ("items", "events"))
    (event,) = source.events()
    assert isinstance(event, Feedback)
    assert (event.user_id, event.type, event.value, event.timestamp) == ("u1", "like", None, 1714550400.0)
    (item,) = source.items()
    assert isinstance(item, ItemPut)
    assert item.fields == {
        "categories": ["Tea"],
        "hidden": True,
        "labels": {"x": 1},
        "published_at": 1714521600.0,
        "title": "Green tea",
    }


def test_mind_gives_impressions_and_the_clicks_on_them(tmp_path: Path) -> None:
    (tmp_path / "behaviors.tsv").write_text(
        "1\tU1\t11/15/2019 9:05:58 PM\tN9 N8\tN1-0 N2-1 N3-1\n2\tU1\tyesterday\t\tN1-0\n"
    )
    (tmp_path / "news.tsv").write_text('N1\tsports\tgolf\tA "quoted title\tSome text\thttps://x\t[]\t[]\n')
    source = open_source(tmp_path)
    assert source.format == "mind"
    rejected, impression, first, second = source.events()
    assert isinstance(rejected, Rejected)
    assert rejected.line == 2
    assert isinstance(impression, Impression)
    assert (impression.item_ids, impression.policy, impression.timestamp) == (
        ("N1", "N2", "N3"),
        "mind",
        1573851958.0,
    )
    for click, place in ((first, 1), (second, 2)):
        assert isinstance(click, Feedback)
        assert (click.type, click.slate_id, click.position) == ("click", impression.event_id, place)
    assert source.notes == {"click history without times is not read": 1}
    (news,) = source.items()
    assert isinstance(news, ItemPut)
    assert news.fields["title"] == 'A "quoted title'
    assert (news.fields["categories"], news.timestamp) == (["sports", "golf"], 1573851958.0)


def test_open_bandit_keeps_the_propensities(tmp_path: Path) -> None:
    folder = tmp_path / "bts" / "men"
    folder.mkdir(parents=True)
    (folder / "men.csv").write_text(
        ",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
        "0,2019-11-24 00:00:00.000001+00:00,30,2,1,0.05,a\n"
        "1,2019-11-24 00:00:07+00:00,4,1,0,0.0,b\n"
    )
    (folder / "item_context.csv").write_text(",item_id,item_feature_0,item_feature_1\n0,30,-0.5,c4f\n")
    source = open_source(folder)
    assert source.format == "open-bandit"
    rejected, impression, click = source.events()
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "propensity_score: is not above 0 and at most 1: 0.0"
    assert isinstance(impression, Impression)
    assert (impression.item_ids, impression.propensities, impression.surface, impression.policy) == (
        ("30",),
        (0.05,),
        "position-2",
        "bts",
    )
    assert isinstance(click, Feedback)
    assert (click.user_id, click.slate_id, click.position) == (impression.user_id, impression.event_id, 0)
    (item,) = source.items()
    assert isinstance(item, ItemPut)
    assert item.fields == {"item_feature_0": -0.5, "item_feature_1": "c4f"}


def test_a_file_called_ratings_that_is_not_of_movielens_is_read_by_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user_id,item_id,timestamp,type,value\nann,tea,1260759144,rating,4\n")
    source = open_source(path)
    assert source.format == "generic"
    assert [(event.user_id, event.item_id, event.value) for event in source.events()] == [("ann", "tea", 4.0)]
