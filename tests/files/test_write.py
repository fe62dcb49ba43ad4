"""What is written reads back as the same records, in every format."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instep.domain import (
    Arm,
    Assignment,
    ConfigError,
    Experiment,
    ExperimentChange,
    Feedback,
    Impression,
    Item,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Overrides,
    Record,
    SessionMerge,
    UserPatch,
    UserPut,
    item_from_fields,
)
from instep.files import Rejected, RejectsFile, open_source, write_events, write_items, write_log, write_users

DRAWN = Overrides(policy="epsilon-greedy", parameters={"epsilon": 0.5}, scorers=())
FORMATS = ["jsonl", "csv", "parquet"]
RECORDS: list[Record] = [
    ItemPut(
        "e1", "i1", 1.5, {"title": 'A "quoted",\r\ntitle', "year": 1995, "sku": "007", "tags": ["a", None]}
    ),
    Feedback("e2", "u,1", "i1", 0.1 + 0.2, "dwell", 1e-300, "s1", 3, {"device": "phone", "n": 1, "f": 1.0}),
    Feedback("e3", "null", "true", -1.0),
    Impression("s1", "u,1", 2.0, ("i1", "i|2"), (0.1, 1.0), "home", "thompson", 7),
    ItemPatch("e4", "i1", 3.0, {"title": None, "price": 2.0}),
    ItemRemoval("e5", "i1", 3.0),
    ItemVector("e6", "i1", 3.0, "minilm", "abc", bytes(range(256))),
    UserPut("e7", "茶", 4.0, {"age": 30}),
    UserPatch("e8", "茶", 4.0, {"age": None}),
    SessionMerge("e9", "u,1", "session:s", 5.0),
    ExperimentChange("e10", "x", 6.0, "launch", Experiment("x", (Arm("a", 0.5), Arm("b", 0.25, DRAWN)))),
    Impression(
        "s2", "u,1", 7.0, ("i1",), (1.0,), experiments=(Assignment("x", "b", (1,)),), asked={"filter": "a, b"}
    ),
    ExperimentChange("e11", "x", 8.0, "promote", arm="b", reason="why, then?"),
]

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    str.strip
)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
numbers = st.floats(-1e10, 1e10)
feedback = st.builds(
    Feedback,
    event_id=words,
    user_id=words,
    item_id=words,
    timestamp=numbers,
    type=words,
    value=st.none() | numbers,
    slate_id=st.none() | words,
    position=st.none() | st.integers(0, 1000),
    context=st.none()
    | st.dictionaries(words, words | st.booleans() | st.integers(-99, 99), min_size=1, max_size=3),
)
items = st.builds(
    ItemPut,
    event_id=words,
    item_id=words,
    timestamp=numbers,
    fields=st.dictionaries(words, plain | words, max_size=4),
)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_whole_log_comes_back_record_for_record(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.{suffix}"
    assert write_log(path, RECORDS) == len(RECORDS)
    source = open_source(path)
    assert source.format == "instep"
    assert list(source.events()) == RECORDS


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(feedback | items, max_size=5, unique_by=lambda record: record.event_id))
def test_any_log_comes_back_record_for_record(tmp_path: Path, suffix: str, records: list[Record]) -> None:
    path = tmp_path / f"log.{suffix}"
    write_log(path, records)
    assert list(open_source(path, format="instep").events()) == records


@pytest.mark.parametrize("suffix", FORMATS)
def test_events_come_back_with_their_ids(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events.{suffix}"
    assert write_events(path, RECORDS) == 2
    expected = sorted(
        (record for record in RECORDS if isinstance(record, Feedback)), key=lambda r: r.timestamp
    )
    assert list(open_source(path).events()) == expected


@pytest.mark.parametrize("suffix", FORMATS)
def test_items_and_users_come_back_as_they_are(tmp_path: Path, suffix: str) -> None:
    full = Item(
        "i1", "T", "D\n", ("a|b", "c"), "B", "A", 1.25, 0.0, "en", "http://i", "http://a", -5.0, 1e9, True,
        {"year": 1995, "sku": "007", "nested": {"x": [1, None, 2.5]}},
    )  # fmt: skip
    catalogue = [full, Item("i2")]
    write_items(tmp_path / f"items.{suffix}", catalogue)
    write_users(tmp_path / f"users.{suffix}", [("u1", {"age": 30, "zip": "01"}), ("u2", {})])
    source = open_source(tmp_path)
    read = [item_from_fields(put.item_id, put.fields) for put in source.items() if isinstance(put, ItemPut)]
    assert read == catalogue
    assert [(put.user_id, put.fields) for put in source.users() if isinstance(put, UserPut)] == [
        ("u1", {"age": 30, "zip": "01"}),
        ("u2", {}),
    ]


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_log(path, RECORDS[:1])
    before = path.read_bytes()

    def broken() -> object:
        yield RECORDS[1]
        raise RuntimeError("the log ends here")

    with pytest.raises(RuntimeError):
        write_log(path, broken())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["log.jsonl"]


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.csv, \.jsonl or \.parquet"):
        write_log(tmp_path / "log.xml", [])


def test_rejects_are_kept_beside_the_source_and_only_when_there_are_any(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    with RejectsFile.beside(source) as rejects:
        pass
    assert not rejects.path.exists()
    with RejectsFile.beside(source) as rejects:
        rejects.add(Rejected(3, "value: must be finite", "u,i,1,inf", "rows.csv"))
    assert (tmp_path / "rows.csv.rejects.jsonl").read_text() == (
        '{"line":3,"reason":"value: must be finite","raw":"u,i,1,inf","file":"rows.csv"}\n'
    )


def test_rejects_never_go_into_an_instep_folder(tmp_path: Path) -> None:
    (tmp_path / "shop.instep").mkdir()
    with pytest.raises(ConfigError, match="a rejects file must stay outside the instep folder"):
        RejectsFile(tmp_path / "shop.instep" / "rejects.jsonl")
