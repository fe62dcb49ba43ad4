"""`instep rewards` from the outside: one event explained, examination by place, items' rates; settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from instep.domain import Impression
from instep.serve.app import open_app
from instep.serve.cli import main
from instep.serve.folder import Folder

START = 1_700_000_000.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two slates, acts on them, a snapshot in between, and a later slate that closes the window."""
    place = tmp_path_factory.mktemp("rewards") / "shop.instep"
    with open_app(place, encoder="none") as app:
        for name in ("tea", "cup", "pot"):
            app.put_item(name)

        def show(slate: str, at: float, chance: float) -> None:
            app.flow.observe(
                [Impression(slate, "ann", START + at, ("tea", "cup", "pot"), (chance, chance, chance))]
            )

        def act(event: str, at: float, **more: Any) -> None:
            app.observe("cup", user_id="ann", event_id=event, timestamp=START + at, **more)

        show("s1", 0.0, 0.5)
        act("clicked", 10.0, type="click", slate_id="s1")
        app.snapshot()
        act("twice", 15.0, type="click", slate_id="s1")
        act("bought", 90_000.0, type="purchase")
        act("dwelt", 90_010.0, type="dwell", value=60.0)
        show("s2", 90_020.0, 1.0)
        act("forged", 90_030.0, type="like", slate_id="never")
        act("disliked", 190_030.0, type="dislike")
    return place


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["rewards", *map(str, args)])


def explained(shop: Path, event_id: str) -> dict[str, Any]:
    result = call("explain", shop, event_id, "--json")
    assert result.exit_code == 0, result.output
    told = msgspec.json.decode(result.stdout)
    assert list(told) == ["account", "steps"]
    account: dict[str, Any] = told["account"]
    return account


def test_an_event_is_explained_step_by_step(shop: Path) -> None:
    result = call("explain", shop, "clicked")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "1. A click by ann on cup at 2023-11-14 22:13:30 UTC.",
        "2. The rewards table says 1 for a click. Reward: 1.",
        "3. The item's mean reward gets 1.",
        "4. The ranker learned the choice.",
        "5. Credited to the slate shown at 2023-11-14 22:13:20 UTC, place 2, by slate id: 10 s later, within the "
        "window of 7,200 s.",
        "6. At this place 0.500 of what the first place would get is seen.",
        "7. The slate's return is 1 by now.",
    ]


def test_every_event_is_explained_as_it_was_learned(shop: Path) -> None:
    with open_app(shop, encoder="none") as app:
        for path in Folder(shop).snapshots(app.config).glob("*"):
            path.unlink()
        app.flow.replay(fresh := app.flow._new_model())
        learned = {name: msgspec.to_builtins(each) for name, each in fresh.learner.accounts.items()}
    assert set(learned) == {"clicked", "twice", "bought", "dwelt", "forged", "disliked"}
    for name, account in learned.items():
        assert explained(shop, name) == msgspec.json.decode(msgspec.json.encode(account)), name


def test_what_was_not_credited_says_why(shop: Path) -> None:
    assert explained(shop, "twice")["uncredited"] == "it is a repeat"
    assert explained(shop, "forged")["uncredited"].startswith("there never was a slate with this id")
    assert explained(shop, "bought")["credit"]["shown_at"] == START
    assert explained(shop, "disliked")["replaces"] == "like"


def test_an_event_that_is_not_there_or_no_act_is_an_error_in_one_line(shop: Path) -> None:
    missing = call("explain", shop, "nobody-knows")
    assert missing.exit_code == 1
    assert missing.stderr.splitlines()[-1] == "instep: nobody-knows: the log has no event with this id"
    slate = call("explain", shop, "s1")
    assert slate.exit_code == 1
    assert "s1: is a record of another kind (Impression); only acts have rewards" in slate.stderr
    folder = call("explain", shop.with_name("other.instep"), "clicked")
    assert folder.exit_code == 1
    assert "there is no such folder" in folder.stderr


def test_examination_is_told_for_each_surface(shop: Path) -> None:
    result = call("examination", shop, "--json")
    assert result.exit_code == 0, result.output
    (surface,) = msgspec.json.decode(result.stdout)["surfaces"]
    assert (surface["surface"], surface["judged"]) == ("default", 1)
    assert surface["examination"] == [1.0, 0.5, 0.3333]
    text = call("examination", shop).stdout
    assert "default (from 1 slates)" in text
    assert "      2        0.500  +0.000" in text


def test_items_are_listed_by_what_they_earn_a_look(shop: Path) -> None:
    items = msgspec.json.decode(call("items", shop, "--least", "0", "--json").stdout)["items"]
    assert [each["item_id"] for each in items] == ["cup", "tea", "pot"]
    assert items[1] == {"item_id": "tea", "earned": 0.0, "looked": 2.0, "rate": 0.0}
    assert [
        each["item_id"]
        for each in msgspec.json.decode(call("items", shop, "--json", "--least", "1.5").stdout)["items"]
    ] == ["tea"]
    assert call("items", shop, "--least", "100").stdout == "No impression has been judged yet.\n"


def test_a_folder_without_slates_says_so(tmp_path: Path) -> None:
    with open_app(tmp_path / "new.instep", encoder="none") as app:
        app.put_item("tea")
    assert call("examination", tmp_path / "new.instep").stdout == "No slate has been shown yet.\n"
    assert call("items", tmp_path / "new.instep").stdout == "No impression has been judged yet.\n"


def test_windows_and_discount_come_from_the_configuration_and_other_ones_have_other_snapshots(
    tmp_path: Path,
) -> None:
    place = tmp_path / "shop.instep"
    place.mkdir()
    (place / "instep.toml").write_text(
        'encoder = "none"\n[attribution]\nwindow_seconds = 60\ndiscount = 0.5\nwindows = { purchase = 120 }\n'
    )
    with open_app(place) as app:
        attribution = app.flow.model.learner.examples.attribution
        assert (attribution.window_of("click"), attribution.window_of("purchase")) == (60.0, 120.0)
        assert attribution.discount == 0.5
        own = app.folder.snapshots(app.config)
    with open_app(place, attribution={"discount": 0.6}) as app:
        assert app.folder.snapshots(app.config) != own


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("window_seconds = 0", "attribution.window_seconds: must be greater than 0"),
        ("discount = 1.5", "attribution.discount: must be less than or equal to 1"),
        ("windows = { purchase = -1 }", "attribution.windows.purchase: must be greater than 0"),
        ("slates = 3", "attribution.slates: must be greater than or equal to 64"),
        ("window = 5", "attribution.window: there is no such setting; did you mean window"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, toml: str, message: str) -> None:
    place = tmp_path / "shop.instep"
    place.mkdir()
    (place / "instep.toml").write_text(f"[attribution]\n{toml}\n")
    result = call("examination", place)
    assert result.exit_code == 1
    assert message in result.stderr
