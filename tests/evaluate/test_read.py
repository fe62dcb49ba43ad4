"""Which events and items a replay reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from instep.domain import ConfigError, Feedback
from instep.evaluate import Notes, Selection, read_stream
from instep.evaluate.read import positive_filter

EVENTS = """user_id,item_id,timestamp,type,value
u1,a,3,rating,5
u1,b,1,rating,3
u2,a,2,view,
u2,c,nonsense,rating,4
"""


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def test_a_bad_row_is_reported_with_its_line_and_stops_nothing(events: Path) -> None:
    notes = Notes()
    stream = read_stream(events, Selection(), notes)
    assert len(stream) == 3
    assert notes.rejected == 1
    assert "events.csv, line 5" in notes.lines[0]


def test_only_positive_events_are_replayed(events: Path) -> None:
    notes = Notes()
    stream = read_stream(events, Selection(positive="value >= 4"), notes)
    assert [stream.items[i] for i in stream.item] == ["a"]
    assert any("2 events are not positive" in line for line in notes.lines)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("value >=", "--positive 'value >='"),
        ("stars >= 4", "no field stars; there are value, type"),
        ("value + 1.0", "must be true or false"),
        ("value > 9", "holds no events for which"),
    ],
)
def test_a_wrong_expression_says_so(events: Path, expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_stream(events, Selection(positive=expression))


def test_expressions_read_types_and_context() -> None:
    event = Feedback("e", "u", "i", 0.0, "purchase", 2.0, context={"device": "phone"})
    assert positive_filter("type == 'purchase' && context.device == 'phone'")(event)
    assert not positive_filter("type in ['view', 'click']")(event)


def test_the_catalogue_is_the_items_file_and_gives_texts(events: Path, tmp_path: Path) -> None:
    items = tmp_path / "films.csv"
    items.write_text("item_id,title,categories\na,Alien,Horror|Sci-Fi\nz,Zelig,Comedy\n")
    notes = Notes()
    stream = read_stream(events, Selection(items=items), notes)
    assert set(stream.items) == {"a", "b", "z"}
    assert stream.catalogue["a"].title == "Alien"
    assert any("1 items of" in line and "candidates too" in line for line in notes.lines)


def test_an_items_file_without_items_is_an_error(events: Path, tmp_path: Path) -> None:
    items = tmp_path / "none.csv"
    items.write_text("item_id,title\n")
    with pytest.raises(ConfigError, match="holds no items"):
        read_stream(events, Selection(items=items))


def test_a_limit_takes_the_first_events_in_time(events: Path) -> None:
    stream = read_stream(events, Selection(limit=2))
    assert stream.t.tolist() == [1.0, 2.0]
    assert len(stream.items) == 2
