"""Ranking with a causal language model: how likely is a title as the next line of what a user chose?

    A customer's choices, in order:
    - Toy Story (1995)
    - Babe (1995)
    -                         <- and here each candidate's title

A candidate's number is the mean log-likelihood of its title's tokens after this list, less the same after an empty
list: the pointwise mutual information of title and history, a token. Without the second, titles of common words
win whatever the history is.

The list is read once for all candidates: they stand side by side in one row, each at the position that follows the
list, and a mask lets each see the list and itself.

Source: Hou et al. 2024, "Large Language Models are Zero-Shot Rankers for Recommender Systems"; for the second term
Holtzman et al. 2021, "Surface Form Competition" (domain-conditional PMI).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.encode.text import readable
from instep.tune.causal_models import CausalModel

F32 = NDArray[np.float32]

OPENING: Final = "A customer's choices, in order:\n"
MOST_HISTORY: Final = 20
MOST_TOKENS: Final = 32
ROW_TOKENS: Final = 1024
KEPT_ALONE: Final = 200_000
EXACT: Final = 1e-3


class Rendering:
    """Histories and titles as tokens; the same for ranking and for training.

    Args:
        tokenizer: of the model.
        opening: what stands before the list.
    """

    def __init__(self, tokenizer: Any, opening: str = OPENING) -> None:
        self._tokenizer = tokenizer
        ids = list(tokenizer(opening)["input_ids"])  # with the model's own beginning, where it has one
        while ids and ids[-1] == tokenizer.eos_token_id:
            ids.pop()
        self._opening = ids
        self._dash = self._plain("-")
        self._known: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def _plain(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def title(self, title: str) -> tuple[int, ...]:
        """Tokens of a title, its end of line included; longer ones are cut to `MOST_TOKENS`."""
        found = self._known.get(title)
        if found is None:
            words = " ".join(readable(title[: 16 * MOST_TOKENS]).split())
            found = tuple(self._plain(f" {words}\n")[:MOST_TOKENS])
            self._known[title] = found
            if len(self._known) > KEPT_ALONE:
                self._known.popitem(last=False)
        return found

    def prefix(self, history: Sequence[str]) -> list[int]:
        """Tokens up to where the next title begins. Args: history: titles, oldest first; the last 20 are read."""
        ids = list(self._opening)
        for title in history[-MOST_HISTORY:]:
            ids += self._dash
            ids += self.title(title)
        return ids + self._dash


class Packed(NamedTuple):
    """A list and its candidates as one row.

    Args:
        ids: the list's tokens, then each candidate's.
        position: of each token, as if its candidate followed the list alone.
        owner: which candidate a token belongs to, -1 for the list.
        predicting: places whose prediction is judged.
        wanted: the token that is right at each of them.
        judged: which candidate each of them is about.
    """

    ids: list[int]
    position: list[int]
    owner: list[int]
    predicting: list[int]
    wanted: list[int]
    judged: list[int]


def pack(prefix: Sequence[int], titles: Sequence[Sequence[int]]) -> Packed:
    """Put a list and candidates into one row.

    >>> pack([7, 8], [[1, 2], [3]])
    Packed(ids=[7, 8, 1, 2, 3], position=[0, 1, 2, 3, 2], owner=[-1, -1, 0, 0, 1], predicting=[1, 2, 1], \
wanted=[1, 2, 3], judged=[0, 0, 1])
    """
    start = len(prefix)
    row = Packed(list(prefix), list(range(start)), [-1] * start, [], [], [])
    for number, title in enumerate(titles):
        before = start - 1
        for place, token in enumerate(title):
            row.predicting.append(before)
            row.wanted.append(token)
            row.judged.append(number)
            before = len(row.ids)
            row.ids.append(token)
            row.position.append(start + place)
            row.owner.append(number)
    return row


class CausalRanker:
    """Scores titles by what a causal language model expects after a history. Safe in one thread at a time.

    Args:
        opened: the model.
        opening: what stands before the list of choices.

    The same titles after the same history give the same numbers to the bit, whatever was asked before.
    """

    def __init__(self, opened: CausalModel, opening: str = OPENING) -> None:
        self.name = opened.name
        self._model = opened.model
        self.rendering = Rendering(opened.tokenizer, opening)
        self._alone: OrderedDict[str, float] = OrderedDict()
        self.packs = self._packs_exactly()

    def log_likelihoods(self, history: Sequence[str], titles: Sequence[str], packed: bool = True) -> F32:
        """How well each title continues a history.

        Args:
            history: titles, oldest first.
            titles: candidates.
            packed: whether all candidates share one reading of the history; else each is read with its own.

        Returns:
            float32 (n,), mean log-likelihood of a title's tokens in nats, at most 0.
        """
        prefix = self.rendering.prefix(history)
        tokens = [self.rendering.title(title) for title in titles]
        found: list[float] = []
        for group in _groups(tokens, max(1, ROW_TOKENS - len(prefix)) if packed else 0):
            found += self._judge(pack(prefix, group))
        return np.array(found, np.float32)

    def alone(self, titles: Sequence[str]) -> F32:
        """The same without a history: computed once a title, each by itself, and kept. float32 (n,)."""
        for title in titles:
            if title in self._alone:
                self._alone.move_to_end(title)
            else:
                self._alone[title] = float(self.log_likelihoods((), (title,))[0])
        found = np.array([self._alone[title] for title in titles], np.float32)
        while len(self._alone) > KEPT_ALONE:
            self._alone.popitem(last=False)
        return found

    def read_ahead(self, titles: Sequence[str]) -> None:
        """Have `alone` know many titles: a fifth of the time, but their last bits depend on which are read together."""
        missing = sorted({title for title in titles if title.strip()} - self._alone.keys())
        self._alone.update(zip(missing, self.log_likelihoods((), missing).tolist(), strict=True))

    def pmi(self, history: Sequence[str], titles: Sequence[str], less: float = 1.0) -> F32:
        """What the history adds to each title's log-likelihood.

        Args:
            history: titles, oldest first; where there are none, nothing is added to any.
            titles: candidates; an empty title gets the mean of the others.
            less: the share of the likelihood without a history that is taken off: 1 for the mutual information, 0 for
                the plain likelihood, in which what the model knows of a title's fame counts, too.

        Returns:
            float32 (n,), nats a token; with `less` = 1 above 0 where the history makes a title more likely.
        """
        given = [title for title in dict.fromkeys(history) if title.strip()]
        told = [title for title in titles if title.strip()]
        if not given or not told:
            return np.zeros(len(titles), np.float32)
        # In one order, whatever order they come in: sums within a row depend on it in their last bits.
        distinct = sorted(set(told))
        after = self.log_likelihoods(given, distinct, packed=self.packs)
        if less:
            after = after - np.float32(less) * self.alone(distinct)
        number = dict(zip(distinct, after.tolist(), strict=True))
        mean = float(np.mean([number[title] for title in told]))
        return np.array([number.get(title, mean) for title in titles], np.float32)

    def _judge(self, row: Packed) -> list[float]:
        """Mean log-likelihood of each candidate of a row."""
        import torch

        ids = torch.tensor([row.ids])
        owner = torch.tensor(row.owner)
        place = torch.arange(len(row.ids))
        seen = (owner[None, :] == -1) | (owner[None, :] == owner[:, None])
        seen &= place[None, :] <= place[:, None]
        mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
        with torch.inference_mode():
            logits = self._model(
                input_ids=ids,
                position_ids=torch.tensor([row.position]),
                attention_mask=mask[None, None],
                logits_to_keep=torch.tensor(row.predicting),
                use_cache=False,
            ).logits[0]
            right = logits.gather(1, torch.tensor(row.wanted)[:, None])[:, 0] - logits.logsumexp(1)
        judged = np.array(row.judged)
        total = np.bincount(judged, right.double().numpy())
        mean: list[float] = (total / np.bincount(judged)).tolist()
        return mean

    def _packs_exactly(self) -> bool:
        """Whether this model minds positions and mask as it should; one that does not reads title by title."""
        history, titles = ("Green tea", "Tea pot"), ("Tea cup", "Garden hose", "Black tea, loose")
        together = self.log_likelihoods(history, titles)
        apart = self.log_likelihoods(history, titles, packed=False)
        return bool(np.abs(together - apart).max() < EXACT)


def _groups(tokens: Sequence[Sequence[int]], room: int) -> list[list[Sequence[int]]]:
    """Candidates that share a row of at most so many tokens, at least one a row."""
    groups: list[list[Sequence[int]]] = []
    used = 0
    for each in tokens:
        if not groups or used + len(each) > room:
            groups.append([])
            used = 0
        groups[-1].append(each)
        used += len(each)
    return groups
