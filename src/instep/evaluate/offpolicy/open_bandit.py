"""Single choices with their true propensities, in the layout of the Open Bandit Dataset, and candidates for them.

A candidate here knows no context: it is a table of how likely each item is at each position. It comes from a file, from
another policy's log (how often it showed what where), or is uniform.

Source: Saito et al. 2021, "Open Bandit Dataset and Pipeline".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from instep.domain import ConfigError, Feedback, Impression, ItemPut
from instep.evaluate.base import Float64, Int32
from instep.evaluate.offpolicy.logged import Logged, Spread, single_choices
from instep.files import Read, Rejected, open_source
from instep.files.tables import Table

UNIFORM: Final = "uniform"
LAYOUT: Final = "open-bandit"
ROUNDED: Final = 1e-3
"""By how much the probabilities of a position may miss 1 together."""


@dataclass(frozen=True)
class Choices:
    """A log of single choices.

    Args:
        item: int32 (n,), numbers of the items shown, into `items`.
        position: int32 (n,), numbers of the positions, into `positions`.
        reward: float64 (n,), 1 for a click.
        propensity: float64 (n,), in (0, 1].
        items: ids, those never shown included where the layout names them.
        positions: names.
        rejected: rows that could not be read.
    """

    item: Int32
    position: Int32
    reward: Float64
    propensity: Float64
    items: tuple[str, ...]
    positions: tuple[str, ...]
    rejected: int


def read_choices(path: str | Path, progress: Callable[[int], None] | None = None) -> Choices:
    """Read a campaign's folder or file.

    Args:
        path: as for ``instep import --format open-bandit``.
        progress: called now and then with the number of rows.

    Raises:
        ConfigError: it is not of that layout, or has no row that can be read.
    """
    source = open_source(path, LAYOUT)
    context = source.read("items") if "items" in source.kinds else ()
    items = [
        each.record.item_id for each in context if isinstance(each, Read) and isinstance(each.record, ItemPut)
    ]
    number = {name: at for at, name in enumerate(dict.fromkeys(items))}
    position: dict[str, int] = {}
    rows: list[tuple[int, int, float]] = []
    clicks: list[int] = []
    rejected = 0
    for outcome in source.read("events"):
        if isinstance(outcome, Rejected):
            rejected += 1
        elif isinstance(outcome.record, Impression):
            shown = outcome.record
            (item,), (propensity,) = shown.item_ids, shown.propensities
            at = position.setdefault(shown.surface, len(position))
            rows.append((number.setdefault(item, len(number)), at, propensity))
            if progress is not None and len(rows) % 1000 == 0:
                progress(len(rows))
        elif isinstance(outcome.record, Feedback):
            clicks.append(len(rows) - 1)
    if not rows:
        raise ConfigError(f"{path}: has no row that can be read ({rejected:,} rejected)")
    order = sorted(position)
    rank = np.array([order.index(name) for name in position], np.int32)
    reward = np.zeros(len(rows))
    reward[clicks] = 1.0
    columns = list(zip(*rows, strict=True))
    return Choices(
        np.array(columns[0], np.int32),
        rank[np.array(columns[1], np.int64)],
        reward,
        np.array(columns[2]),
        tuple(number),
        tuple(order),
        rejected,
    )


def candidate_table(choices: Choices, policy: str | Path) -> Float64:
    """How likely a candidate shows each item at each position.

    Args:
        choices: the log that will judge it.
        policy: ``uniform``; a CSV with `item_id`, `position` and `probability`; or another policy's log of this
            layout, whose frequencies are taken.

    Returns:
        float64 (positions, items), each row sums to 1.

    Raises:
        ConfigError: it cannot be read, names what the log does not have, or a row does not sum to 1.
    """
    shape = (len(choices.positions), len(choices.items))
    if str(policy) == UNIFORM:
        return np.full(shape, 1.0 / shape[1])
    path = Path(policy)
    if not path.exists():
        raise ConfigError(
            f"{path}: there is no such file or folder, and {UNIFORM!r} is the only policy with a name here"
        )
    if path.is_file() and "probability" in Table(path).columns:
        table = _read_table(path, choices)
    else:
        other = read_choices(path)
        table = np.zeros(shape)
        items = _numbers(other.items, choices.items, path, "item")
        positions = _numbers(other.positions, choices.positions, path, "position")
        np.add.at(table, (positions[other.position], items[other.item]), 1.0)
    sums = table.sum(1)
    for name, total in zip(choices.positions, sums.tolist(), strict=True):
        if total <= 0:
            raise ConfigError(f"{path}: says nothing of {name}")
    if path.is_file() and (np.abs(sums - 1.0) > ROUNDED).any() and "probability" in Table(path).columns:
        worst = int(np.abs(sums - 1.0).argmax())
        raise ConfigError(
            f"{path}: the probabilities of {choices.positions[worst]} sum to {sums[worst]:.6f}, not 1"
        )
    return np.asarray(table / sums[:, None])


def judged_choices(choices: Choices, table: Float64) -> Logged:
    """A log of single choices and what a candidate thinks of them.

    Args:
        choices: the log.
        table: float64 (positions, items), see `candidate_table`.
    """
    position, item = np.nonzero(table)
    at = position.astype(np.int32)
    spread = Spread(choices.position, at, np.zeros_like(at), at, item.astype(np.int32), table[position, item])
    log = single_choices(
        choices.item,
        choices.position,
        choices.reward,
        choices.propensity,
        table[choices.position, choices.item],
        spread,
    )
    if choices.rejected:
        log.notes["rows that could not be read"] = choices.rejected
    return log


def _numbers(theirs: tuple[str, ...], ours: tuple[str, ...], path: Path, what: str) -> Int32:
    """Our numbers of their names. Raises `ConfigError` for one that we do not have."""
    number = {name: at for at, name in enumerate(ours)}
    if unknown := [name for name in theirs if name not in number]:
        raise ConfigError(f"{path}: {what} {unknown[0]} is not in the log that is to judge it")
    return np.array([number[name] for name in theirs], np.int32)


def _read_table(path: Path, choices: Choices) -> Float64:
    table = np.zeros((len(choices.positions), len(choices.items)))
    items: Mapping[str, int] = {name: at for at, name in enumerate(choices.items)}
    positions: Mapping[str, int] = {
        name.removeprefix("position-"): at for at, name in enumerate(choices.positions)
    }
    file = Table(path)
    if absent := sorted({"item_id", "position", "probability"} - set(file.columns)):
        raise ConfigError(f"{path}: column {', '.join(absent)} is missing")
    for line, row, _ in file.rows():
        if isinstance(row, Rejected):
            raise ConfigError(f"{path}, line {line}: {row.reason}")
        item, position = str(row["item_id"]), str(row["position"])
        if item not in items or position not in positions:
            what = f"item {item}" if item not in items else f"position {position}"
            raise ConfigError(f"{path}, line {line}: {what} is not in the log that is to judge it")
        try:
            probability = float(row["probability"])
        except (TypeError, ValueError):
            probability = float("nan")
        if not 0.0 <= probability <= 1.0:
            raise ConfigError(
                f"{path}, line {line}: probability: must be from 0 to 1, not {row['probability']!r}"
            )
        table[positions[position], items[item]] = probability
    return table
