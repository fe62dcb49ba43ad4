"""Instep's own columns: what a row becomes, and what it is rejected for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instep.domain import ConfigError, Feedback, ItemPut, UserPut
from instep.files import Rejected, open_mapped, open_source


def written(tmp_path: Path, text: str, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_every_event_column_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "event_id,user_id,item_id,timestamp,type,value,slate_id,position,context\n"
        'e1,u1,i1,2024-05-01T10:00:00+02:00,dwell,3.5,s1,2,"{""device"": ""phone""}"\n',
    )
    (event,) = open_source(path).events()
    assert event == Feedback("e1", "u1", "i1", 1714550400.0, "dwell", 3.5, "s1", 2, {"device": "phone"})


def test_csv_json_lines_and_parquet_of_the_same_rows_give_the_same_records(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"user_id": "7", "item_id": "i1", "timestamp": 1714550400.25, "type": "rating", "value": 4.5},
        {"user_id": "u2", "item_id": "i2", "timestamp": 1714550401.0, "type": "view", "value": None},
    ]
    csv = "\n".join(",".join("" if cell is None else str(cell) for cell in row.values()) for row in rows)
    sources = [
        written(tmp_path, ",".join(rows[0]) + "\n" + csv),
        written(tmp_path, "\n".join(map(json.dumps, rows)), "rows.jsonl"),
        tmp_path / "rows.parquet",
    ]
    pq.write_table(pa.Table.from_pylist(rows), sources[2])
    first, second, third = (list(open_source(path).events()) for path in sources)
    assert first == second == third
    assert len(first) == 2


def test_events_come_in_time_order_and_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "user_id,item_id,timestamp\nu,c,5\nu,a,3\nu,b,5\nu,d,4\n")
    assert [event.item_id for event in open_source(path).events() if isinstance(event, Feedback)] == list(
        "adcb"
    )


def test_event_ids_depend_on_the_rows_and_not_on_the_file(tmp_path: Path) -> None:
    header, rows = "user_id,item_id,timestamp\n", ["u,a,3", "u,a,3", "u,b,4"]
    short = open_source(written(tmp_path, header + "\n".join(rows), "one.csv"))
    longer = open_source(written(tmp_path, header + "\n".join(["v,z,1", *rows, "u,a,3"]), "two.csv"))
    ids = [event.event_id for event in short.events() if isinstance(event, Feedback)]
    more = [event.event_id for event in longer.events() if isinstance(event, Feedback)]
    assert len(set(ids)) == 3
    assert len(set(more)) == 5
    assert set(ids) < set(more)


def test_columns_with_other_names_are_mapped(tmp_path: Path) -> None:
    path = written(tmp_path, "visitor;StockCode;at\nu1;i1;2024-05-01\n")
    (event,) = open_source(path, user_id="visitor", item_id="StockCode", timestamp="at").events()
    assert isinstance(event, Feedback)
    assert (event.user_id, event.item_id, event.timestamp) == ("u1", "i1", 1714521600.0)


@pytest.mark.parametrize(
    "header", ["UserID,ItemId,Timestamp", "user id,itemID,TIMESTAMP", "userId,item-id,timestamp"]
)
def test_ids_are_found_however_they_are_spelt(tmp_path: Path, header: str) -> None:
    (event,) = open_source(written(tmp_path, f"{header}\nu1,i1,2024-05-01\n")).events()
    assert isinstance(event, Feedback)
    assert (event.user_id, event.item_id, event.timestamp) == ("u1", "i1", 1714521600.0)


def test_another_spelling_is_an_attribute_where_the_id_has_a_column(tmp_path: Path) -> None:
    for header in ("item_id,ItemId", "ItemId,item_id"):
        (item,) = open_source(written(tmp_path, f"{header}\nx,x\n")).items()
        assert isinstance(item, ItemPut)
        assert (item.item_id, item.fields) == ("x", {"ItemId": "x"})


def test_a_column_may_be_mapped_to_any_name(tmp_path: Path) -> None:
    path = written(tmp_path, "item_id,Binding,File\ni1,paper,a.pdf\n")
    (item,) = open_mapped(path, mapping={"format": "Binding", "path": "File"}).items()
    assert isinstance(item, ItemPut)
    assert item.fields == {"format": "paper", "path": "a.pdf"}


def test_a_column_of_ratings_holds_the_stars_of_ratings(tmp_path: Path) -> None:
    rows = "u1,i1,5,4.5,,\nu1,i2,6,,,\nu1,i3,7,3,purchase,2\nu1,i4,8,3,rating,4\n"
    path = written(tmp_path, f"user_id,item_id,timestamp,Rating,type,value\n{rows}")
    events = list(open_source(path).events())
    assert [(event.type, event.value) for event in events if isinstance(event, Feedback)] == [
        ("rating", 4.5),
        ("view", None),
        ("purchase", 2.0),
    ]
    (refused,) = (each for each in events if isinstance(each, Rejected))
    assert (refused.line, refused.reason) == (5, "rating: stands beside value; leave one of them empty")


def test_in_a_folder_a_mapping_counts_for_the_files_that_have_the_column(tmp_path: Path) -> None:
    written(tmp_path, "item_id,Author\ni1,Lu Xun\n", "items.csv")
    written(tmp_path, "user_id,item_id,clicked\nu1,i1,5\n", "events.csv")
    source = open_mapped(tmp_path, mapping={"brand": "Author", "timestamp": "clicked"})
    (item,) = source.items()
    assert isinstance(item, ItemPut)
    assert item.fields == {"brand": "Lu Xun"}
    (event,) = source.events()
    assert isinstance(event, Feedback)
    assert event.timestamp == 5.0


def test_an_instep_folder_is_no_source_and_says_how_it_becomes_one(tmp_path: Path) -> None:
    (tmp_path / "log.sqlite").touch()
    with pytest.raises(ConfigError, match="is an instep folder; `instep export`"):
        open_source(tmp_path)


def test_a_missing_column_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    path = written(tmp_path, "user_id,item_id,at\n")
    message = (
        r"rows\.csv, line 1: column timestamp is missing \(it has user_id, item_id, at\).*--map timestamp="
    )
    with pytest.raises(ConfigError, match=message):
        open_source(path)


def test_advice_names_the_column_that_sounds_like_what_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, "session_id,position,article_id,click_date\n")
    with pytest.raises(ConfigError, match=r"--map item_id=article_id$"):
        open_source(path)
    with pytest.raises(ConfigError, match=r"--map timestamp=click_date$"):
        open_source(path, item_id="article_id")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",i,1,", "user_id: is empty"),
        ("u, ,1,", "item_id: is empty"),
        ("u,i,,", "timestamp: is empty"),
        ("u,i,yesterday,", "timestamp: is neither epoch seconds, milliseconds nor ISO 8601: 'yesterday'"),
        ("u,i,nan,", "timestamp: is neither epoch seconds, milliseconds nor ISO 8601: 'nan'"),
        ("u,i,1e300,", "timestamp: is too large for seconds or milliseconds: '1e300'"),
        ("u,i,1,four", "value: is not a number: 'four'"),
        ("u,i,1,1e999", "value: must be finite"),
        ("u,i,1,1_000", "value: is not a number: '1_000'"),
    ],
)
def test_a_bad_cell_rejects_its_row_and_no_other(tmp_path: Path, row: str, reason: str) -> None:
    path = written(tmp_path, f"user_id,item_id,timestamp,value\n{row}\nu,i,2,5\n")
    rejected, event = open_source(path).events()
    assert rejected == Rejected(2, reason, row, "rows.csv")
    assert isinstance(event, Feedback)
    assert event.value == 5.0


def test_an_event_with_only_a_session_belongs_to_the_session(tmp_path: Path) -> None:
    path = written(tmp_path, "session,item_id,timestamp\ns1,i,1\n")
    (event,) = open_source(path).events()
    assert isinstance(event, Feedback)
    assert event.user_id == "session:s1"


def test_item_columns_get_their_types_and_other_columns_are_attributes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "item_id,title,categories,price,hidden,published_at,timestamp,year,agent,attributes\n"
        'i1,Tea,Drink|Hot,4.50,no,2024-05-01,2024-05-02,1995,007,"{""x"": [1]}"\n',
    )
    (item,) = open_source(path).items()
    assert isinstance(item, ItemPut)
    assert item.timestamp == 1714608000.0
    assert item.fields == {
        "agent": "007",
        "categories": ["Drink", "Hot"],
        "hidden": False,
        "price": 4.5,
        "published_at": 1714521600.0,
        "title": "Tea",
        "x": [1],
        "year": 1995,
    }


def test_the_id_of_an_item_row_does_not_depend_on_when_it_is_read(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, "item_id,title\ni1,Tea\n"))
    (first,), (second,) = source.items(), source.items()
    assert isinstance(first, ItemPut)
    assert isinstance(second, ItemPut)
    assert first.event_id == second.event_id
    assert first.timestamp > 1.7e9


def test_of_several_rows_of_one_item_the_last_one_counts(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, "item_id,title\ni1,Tea\ni2,Cup\ni1,Green tea\n"))
    items = [(item.item_id, item.fields["title"]) for item in source.items() if isinstance(item, ItemPut)]
    assert items == [("i2", "Cup"), ("i1", "Green tea")]
    assert source.notes == {"row replaced by a later one of the same id": 1}


def test_a_folder_holds_one_file_a_kind(tmp_path: Path) -> None:
    written(tmp_path, "user_id,item_id,timestamp\nu,i,1\n", "events.csv")
    written(tmp_path, '{"item_id": "i", "title": "Tea"}\n', "items.jsonl")
    written(tmp_path, "user_id,age\nu,30\n", "users.csv")
    source = open_source(tmp_path)
    assert source.kinds == ("items", "users", "events")
    (user,) = source.users()
    assert isinstance(user, UserPut)
    assert user.fields == {"age": 30}
    assert len(list(source.items())) == len(list(source.events())) == 1


def test_a_column_that_is_not_read_is_said(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, "user_id,item_id,timestamp,weather\nu,i,1,rain\n"))
    assert len(list(source.events())) == 1
    assert list(source.notes) == [
        "column weather is not read (put it into the JSON column context to keep it)"
    ]


def test_a_folder_without_known_files_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file named events\.\*"):
        open_source(tmp_path)


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"format netflix: is not one of auto, generic"):
        open_source(tmp_path, format="netflix")
