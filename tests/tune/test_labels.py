"""Which items a person is asked about, and what the text alone is sure of."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

import instep
from instep.domain import ConfigError, Item
from instep.encode import open_encoder
from instep.evaluate.simulate.world import LOOKS, TOPICS
from instep.serve.cli import main
from instep.tune.labels import guess_categories, items_to_ask

ENGLISH = open_encoder("english")


def catalogue(labelled: int, others: int) -> tuple[list[Item], dict[str, str]]:
    """Products of the simulated shop; the topics of the last ones are kept back."""
    draw = random.Random(5)
    items, truth = [], {}
    for number in range(labelled + others):
        topic = draw.choice(sorted(TOPICS))
        title = f"{draw.choice(LOOKS)} {draw.choice(TOPICS[topic])} {number}"
        kept = number >= labelled
        items.append(Item(f"i{number}", title=title, categories=() if kept else (topic,)))
        if kept:
            truth[f"i{number}"] = topic
    return items, truth


def test_guesses_are_right_as_often_as_they_say() -> None:
    items, truth = catalogue(200, 60)
    found = guess_categories(items, ENGLISH, bar=0.9)
    assert found.labelled == 200
    assert found.precision >= 0.9
    assert len(found.guesses) >= 40
    right = sum(truth[guess.item_id] == guess.category for guess in found.guesses)
    assert right / len(found.guesses) >= 0.85
    assert all(0.9 <= guess.confidence <= 1.0 for guess in found.guesses)
    assert found.guesses == sorted(found.guesses, key=lambda guess: (-guess.confidence, guess.item_id))


def test_a_label_is_not_read_from_the_items_own_text() -> None:
    items, _ = catalogue(200, 60)
    draw = random.Random(6)
    names = [f"nonsense {number}" for number in range(8)]
    items = [
        Item(item.item_id, title=item.title, categories=(draw.choice(names),)) if item.categories else item
        for item in items
    ]
    assert (
        guess_categories(items, ENGLISH, bar=0.9).guesses == []
    )  # the titles do not tell, whatever the labels


def test_too_few_labels_and_a_senseless_bar_are_refused() -> None:
    items, _ = catalogue(29, 5)
    with pytest.raises(ConfigError, match="29 items have both a text and categories; 30 are needed"):
        guess_categories(items, ENGLISH)
    with pytest.raises(ConfigError, match="bar: must be above 0"):
        guess_categories(items, ENGLISH, bar=0.0)


def test_asked_is_what_little_is_known_of_and_each_unlike_the_others(tmp_path: Path) -> None:
    items, _ = catalogue(80, 0)
    topic = {item.item_id: item.categories[0] for item in items}
    known = [item.item_id for item in items if topic[item.item_id] == "tea"]
    with instep.open(tmp_path / "shop.instep") as app:
        for item in items:
            app.put_item(item.item_id, title=item.title)
        app.finish_encoding()
        for item_id in known:
            for number in range(25):
                app.observe(item_id, user_id=f"u{number}", type="click")
        with app.flow.reading() as model:
            asked = items_to_ask(model.state, 7)
            everything = items_to_ask(model.state, 999)
    assert not {each.item_id for each in asked} & set(known)
    assert len({topic[each.item_id] for each in asked}) >= 5  # of seven that could be asked about
    assert [each.item_id for each in everything[:7]] == [each.item_id for each in asked]
    assert len({each.item_id for each in everything}) == len(everything) == 80


def test_the_command_writes_what_can_be_imported_and_gives_items_what_it_guessed(tmp_path: Path) -> None:
    items, truth = catalogue(60, 10)
    folder, answers = str(tmp_path / "shop.instep"), tmp_path / "answers.csv"
    with instep.open(folder) as app:
        for item in items:
            app.put_item(item.item_id, title=item.title, categories=list(item.categories))
    runner = CliRunner()
    run = runner.invoke(main, ["label", folder, "--n", "5", "--out", str(answers)])
    assert run.exit_code == 0, run.output
    assert len(answers.read_text().splitlines()) == 6
    with instep.open(folder) as app:
        before = list(app.flow.items())
    run = runner.invoke(main, ["import", folder, str(answers), "--kind", "items"])
    assert run.exit_code == 0, run.output
    with instep.open(folder) as app:
        assert list(app.flow.items()) == before  # nothing that was known is lost by answering nothing
    run = runner.invoke(main, ["label", folder, "--pseudo", "--bar", "0.8", "--apply"])
    assert run.exit_code == 0, run.output
    with instep.open(folder) as app:
        given = [item for item in app.flow.items() if item.attributes.get("categories_from") == "text"]
        assert given
        assert all(item.item_id in truth and item.categories for item in given)
    run = runner.invoke(main, ["label", folder, "--apply"])
    assert run.exit_code == 2
    assert "--apply goes with --pseudo" in run.output
