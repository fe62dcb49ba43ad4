"""``instep label``: which items to ask a person about, and categories that the text is sure of."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

from instep.domain import ConfigError, Item
from instep.files import outside_folders, write_items
from instep.serve.cli import folder_argument, with_terminal
from instep.serve.terminal import Terminal
from instep.tune.labels import guess_categories, items_to_ask


@click.command()
@folder_argument
@click.option(
    "--n", type=click.IntRange(1), default=20, show_default=True, help="How many items to ask about."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write these items there, to be completed and imported (.csv, .jsonl, .parquet).",
)
@click.option("--pseudo", is_flag=True, help="Guess categories for the items that have none, by their text.")
@click.option("--bar", type=float, default=0.9, show_default=True, help="Least confidence of a guess.")
@click.option("--apply", "take", is_flag=True, help="Give the items the guessed categories.")
@with_terminal
def command(
    folder: str, n: int, out: Path | None, pseudo: bool, bar: float, take: bool, terminal: Terminal
) -> None:
    """Say which items of FOLDER a person should label, the most telling first.

    With --pseudo, say instead which categories the items without any seem to have, with the share of such guesses
    that is right where categories are known. What --apply gives the items is marked in their attribute
    `categories_from`.

    \b
    Example:
      instep label shop.instep --n 50 --out to_label.csv
      instep import shop.instep to_label.csv
      instep label shop.instep --pseudo --bar 0.95
    """
    from instep.serve.app import open_app

    if take and not pseudo:
        raise click.UsageError("--apply goes with --pseudo")
    with open_app(folder, create=False) as app:
        app.finish_encoding()
        if not pseudo:
            with app.flow.reading() as model:
                asked = items_to_ask(model.state, n)
            if out is not None:
                items = [app.flow.item(each.item_id) for each in asked]
                _write(out, [item for item in items if item is not None])
            lines = [f"{each.item_id}\t{each.title}\tdoubt {each.doubt:.2f}" for each in asked]
            terminal.result("\n".join(lines), items=[each._asdict() for each in asked])
            return
        if app.flow.encoder is None:
            raise ConfigError('encoder = "none": without a language model no category can be guessed')
        found = guess_categories(list(app.flow.items()), app.flow.encoder, bar)
        categories: dict[str, list[str]] = {}
        for guess in found.guesses:
            categories.setdefault(guess.item_id, []).append(guess.category)
        if take:
            for item_id, names in categories.items():
                app.patch_item(item_id, categories=names, categories_from="text")
        if out is not None:
            known = (item for item in app.flow.items() if item.item_id in categories)
            _write(out, [replace(item, categories=tuple(categories[item.item_id])) for item in known])
    lines = [
        f"{each.item_id}\t{each.title}\t{each.category}\t{each.confidence:.2f}" for each in found.guesses
    ]
    lines.append(
        f"{len(categories):,} items; on {found.labelled:,} labelled items such guesses are right in "
        f"{100 * found.precision:.0f} % and find {100 * found.recall:.0f} % of the categories"
    )
    guesses = [each._asdict() for each in found.guesses]
    terminal.result(
        "\n".join(lines),
        guesses=guesses,
        labelled=found.labelled,
        precision=found.precision,
        recall=found.recall,
        applied=len(categories) if take else 0,
    )


def _write(path: Path, items: list[Item]) -> None:
    """Whole items: an import replaces what it names."""
    outside_folders(path, "a list of items")
    write_items(path, iter(items))
