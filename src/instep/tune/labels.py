"""With less labelled data: which items to ask a person about, and labels that the text alone is sure enough of.

Active learning: the items that least is known of, each as unlike the others and those that are known well as can be, so
that an answer tells of many. Semi-supervised: an item without categories takes those of the labelled items whose texts
are nearest, if such a guess has been right often enough where the truth is known.

Source: Sener and Savarese 2018, "Active Learning for CNNs: A Core-Set Approach" (greedy k-centre), weighted by doubt;
Lee 2013, "Pseudo-Label".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError, Item
from instep.encode import Encoder, item_text
from instep.score.posterior import item_deviations
from instep.state import State

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

NEIGHBOURS: Final = 15
BLOCK: Final = 1024
LEAST_LABELLED: Final = 30
MOST_LABELLED: Final = 4096
SHARPNESS: Final = 10.0  # how much more the nearest of the neighbours count
DOUBTFUL: Final = 4096  # the most doubtful items that are compared with each other


class Asked(NamedTuple):
    """An item that a person should look at.

    Args:
        item_id, title: which.
        doubt: how unsure the ranker is of it, log-odds.
        unlike: how unlike its text is to what is known and to those asked before it, 0 to 2.
    """

    item_id: str
    title: str
    doubt: float
    unlike: float


class Guess(NamedTuple):
    """A category that an item seems to have, and how often such a guess was right where the truth is known."""

    item_id: str
    title: str
    category: str
    confidence: float


class Guesses(NamedTuple):
    """All guesses above a bar.

    Args:
        guesses: the surest first.
        labelled: items with categories, on which guesses were tried.
        precision: share of the tried guesses above the bar that were right.
        recall: share of the true categories that they found.
    """

    guesses: list[Guess]
    labelled: int
    precision: float
    recall: float


def items_to_ask(state: State, n: int) -> list[Asked]:
    """The items whose labels would tell most.

    Args:
        state: items, texts and what was taken.
        n: how many.

    Returns:
        At most n items that can be recommended and have a text, the most telling first.

    Raises:
        ConfigError: no item has a vector of the language model.
    """
    rows = _with_text(state)
    doubt = item_deviations(
        state.items.taken,
        state.items.shown,
        state.items.last_seen,
        rows.astype(np.int32),
        float(state.clock.now[0]),
    )
    order = np.argsort(-doubt, kind="stable")[:DOUBTFUL]
    rows, doubt = rows[order], doubt[order]
    vectors = _vectors(state, rows)
    far = 1.0 - _nearest_known(state, vectors)
    found: list[Asked] = []
    for _ in range(min(n, len(rows))):
        at = int(np.argmax(doubt * far))
        found.append(Asked(*_name(state, int(rows[at])), float(doubt[at]), float(far[at])))
        far = np.minimum(far, 1.0 - vectors @ vectors[at])
        far[at] = -1.0
    return found


def guess_categories(items: Sequence[Item], encoder: Encoder, bar: float = 0.9) -> Guesses:
    """Categories for the items that have none, from the texts nearest to theirs.

    All texts are read without their categories, and the bar is held on the labelled items themselves, each guessed from
    the others: a guess's confidence is the share of guesses at least as strong that were right there.

    Args:
        items: labelled ones and others; of the labelled at most 4,096, evenly spread, are learned from.
        encoder: reads the texts.
        bar: least confidence, between 0 and 1.

    Raises:
        ConfigError: the bar is no share, or too few items have categories.
    """
    if not 0.0 < bar <= 1.0:
        raise ConfigError(f"bar: must be above 0 and at most 1, not {bar!r}")
    labelled = [item for item in items if item.categories and _plain(item)]
    labelled = labelled[:: -(-len(labelled) // MOST_LABELLED) or 1]
    if len(labelled) < LEAST_LABELLED:
        raise ConfigError(
            f"{len(labelled)} items have both a text and categories; {LEAST_LABELLED} are needed to learn from"
        )
    names = sorted({name for item in labelled for name in item.categories})
    number = {name: at for at, name in enumerate(names)}
    truth = np.zeros((len(labelled), len(names)), bool)
    for row, item in enumerate(labelled):
        truth[row, [number[name] for name in item.categories]] = True
    known = encoder.encode([_plain(item) for item in labelled])
    tried = _shares(known, known, truth, itself=True)
    order = np.argsort(-tried, axis=None, kind="stable")
    strength, found = tried.ravel()[order], np.cumsum(truth.ravel()[order])
    precision = found / np.arange(1, len(order) + 1)
    # The weakest guess from which on up all together are right often enough.
    enough = np.flatnonzero((precision >= bar) & (strength > 0.0))
    if not len(enough):
        return Guesses([], len(labelled), 0.0, 0.0)
    last = int(enough[-1])
    sure = np.maximum.accumulate(precision[: last + 1][::-1])[::-1]
    unknown = [item for item in items if not item.categories and _plain(item)]
    shares = _shares(encoder.encode([_plain(item) for item in unknown]), known, truth)
    guesses = []
    for row, category in zip(*np.nonzero(shares >= strength[last]), strict=True):
        above = int(np.searchsorted(-strength[: last + 1], -shares[row, category], side="right"))
        item, confidence = unknown[row], float(sure[max(above - 1, 0)])
        guesses.append(Guess(item.item_id, item.title, names[category], confidence))
    guesses.sort(key=lambda guess: (-guess.confidence, guess.item_id))
    return Guesses(guesses, len(labelled), float(precision[last]), float(found[last] / truth.sum()))


def _plain(item: Item) -> str:
    """An item's text without its categories: they are what is to be guessed."""
    return item_text(msgspec.structs.replace(item, categories=()))


def _with_text(state: State) -> I64:
    """Rows of the items that can be recommended and have a vector: int64 (m,)."""
    n = state.n_items
    rows: I64 = np.flatnonzero((state.items.text_known[:n] == 1) & (state.items.blocked[:n] == 0))
    if not len(rows):
        raise ConfigError("no item has a text that the language model has read yet")
    return rows


def _vectors(state: State, rows: I64) -> F32:
    """Centred vectors of length 1, float32 (m, d): what all texts share says nothing about any."""
    vectors = state.text.raw[rows].astype(np.float32) - state.text.mean
    length = np.sqrt((vectors * vectors).sum(1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, 1e-9), np.float32)


def _name(state: State, row: int) -> tuple[str, str]:
    item = state.names.catalogue[row]
    return state.names.items[row], item.title if item is not None else ""


def _nearest_known(state: State, vectors: F32) -> F32:
    """How near each text is to the nearest of an item that is taken often: float32 (m,), 0 where there is none."""
    taken = state.items.taken[: state.n_items]
    known = np.flatnonzero((taken >= 20.0) & (state.items.text_known[: state.n_items] == 1))
    near = np.zeros(len(vectors), np.float32)
    for start in range(0, len(known), BLOCK):
        others = _vectors(state, known[start : start + BLOCK])
        near = np.maximum(near, (vectors @ others.T).max(1))
    return near


def _shares(vectors: F32, known: F32, truth: NDArray[np.bool_], itself: bool = False) -> F32:
    """Of each text's nearest labelled ones, the share that has each category: float32 (m, categories)."""
    count = min(NEIGHBOURS, len(known) - int(itself))
    shares = np.zeros((len(vectors), truth.shape[1]), np.float32)
    for start in range(0, len(vectors), BLOCK):
        near = vectors[start : start + BLOCK] @ known.T
        if itself:
            at = np.arange(len(near))
            near[at, start + at] = -np.inf
        nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
        weight = np.exp(SHARPNESS * (np.take_along_axis(near, nearest, 1) - 1.0))
        weight /= weight.sum(1, keepdims=True)
        shares[start : start + BLOCK] = np.einsum("mk,mkc->mc", weight, truth[nearest].astype(np.float32))
    return shares
