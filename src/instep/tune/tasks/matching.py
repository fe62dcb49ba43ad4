"""Matching: the text of a user's history and the texts of items in one space, near each other where they were taken.

Three parts make the loss:

    pairs    an anchor (the titles of what a user took lately, or one of these items) against the item taken next,
             among all others of the batch and mined hard ones: InfoNCE with the sampling probability taken off (logQ)
    alike    items are as near as they were taken together: the batch's similarities against those of a target, half
             what the model saw before it was tuned, half the users' acts
    weights  with `weighted`, each pair counts by its reward over its logged propensity, capped

The second is what helps items that nobody took yet: it says of each two items how near they are, where a pair says it
of one, and it holds the model to what it knew.

Source: van den Oord et al. 2018 (InfoNCE); Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling" (logQ); Levy and
Goldberg 2014 (factors of the shifted PMI); Hinton et al. 2015 (distillation).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.tune.examples import Examples, histories
from instep.tune.models import TextModel, encode_ids, token_ids
from instep.tune.tasks.base import Plain, State
from instep.tune.tasks.cotaking import factors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
HELD: Final = 0.2
"""Share of the items that are hidden from training: the cold items of the validation."""
CASES: Final = 600
CANDIDATES: Final = 800
MOST_WEIGHT: Final = 10.0
RECENT: Final = 0.8
"""Weight of each act of a history relative to the one after it."""


class Pairs(NamedTuple):
    """One batch.

    Args:
        anchors: int64 (b,), rows of acts whose history is the anchor.
        partners: int64 (b,), the item of the history that is the anchor where its text is not.
        as_text: how many of the first anchors are history texts.
        targets: int64 (b,), the items taken.
        hard: int64 (h,), items near to targets that are none.
        weights: float32 (b,).
        items: int64 (m,), items of the second part.
    """

    anchors: I64
    partners: I64
    as_text: int
    targets: I64
    hard: I64
    weights: F32
    items: I64


class Matching(Plain):
    """See the head of this file.

    Args:
        batch: pairs a step.
        history: how many of the newest items are read of a history.
        history_share: share of the anchors that are the text of a history; the others are one of its items.
        temperature: of the softmax over the batch.
        logq: how much of the items' log frequency is taken off.
        hard: mined negatives a target; 0 for none.
        pairs: weight of the first part.
        alike: weight of the second.
        alike_items: items of the second part a step.
        together: how much what was taken together counts in the target, relative to what the model saw.
        weighted: whether pairs count by reward over propensity.
        seed: of which items are held out.
    """

    name = "matching"
    score = "cold_mrr"

    def __init__(
        self,
        batch: int = 16,
        history: int = 5,
        history_share: float = 0.25,
        temperature: float = 0.1,
        logq: float = 1.0,
        hard: int = 1,
        pairs: float = 0.1,
        alike: float = 1.0,
        alike_items: int = 80,
        together: float = 1.0,
        weighted: bool = False,
        seed: int = 0,
    ) -> None:
        if batch < 2 or history < 1 or not 0.0 <= history_share <= 1.0 or temperature <= 0.0:
            raise ConfigError(
                "matching: batch must be at least 2, history 1, history_share in [0, 1] and temperature above 0"
            )
        self.size, self.length, self.text_share, self.temperature = batch, history, history_share, temperature
        self.logq, self.hard, self.pairs, self.alike = logq, hard, pairs, alike
        self.alike_items, self.together, self.weighted, self.seed = alike_items, together, weighted, seed
        self._near: I64 = np.empty((0, 0), np.int64)

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Split items and acts, read the texts, and factor what was taken together."""
        self._examples, self._model = examples, model
        acts = examples.acts
        self._ids = token_ids(model, examples.texts)
        known = np.array([bool(text) for text in examples.texts])
        held = np.random.default_rng(self.seed).random(len(known)) < HELD
        self.held_out = np.flatnonzero(held & known)
        good = examples.positive()
        old = np.arange(len(acts)) < examples.split
        learn = np.flatnonzero(good & old & ~held[acts.item])
        found = list(histories(acts, learn, examples.users, self.length))
        if len(found) < 2:
            raise ConfigError(
                "matching: no user took two items with a text in the range: there is nothing to match"
            )
        self._rows = np.array([row for row, _ in found], np.int64)
        self._before = [before for _, before in found]
        chance = examples.weight[self._rows].astype(np.float64)
        self._chance = chance / chance.sum()
        count = np.bincount(acts.item[self._rows], self._chance, len(known))
        self._log_q = np.log(np.maximum(count, 1e-7)).astype(np.float32)
        self._prepare_alike(learn)
        self._prepare_cases(np.flatnonzero(good), held & known)

    def _prepare_alike(self, learn: I64) -> None:
        acts = self._examples.acts
        if not self.alike:
            return
        # The vectors before tuning cost one pass over the items that were taken.
        items, together, often = factors(acts.user[learn], acts.item[learn])
        self._taken, self._often = items, often
        if len(items) < 8:
            self.alike = 0.0
            return
        model = self._model
        own = encode_ids(
            model.body, [self._ids[i] for i in items], model.pooling, model.tokenizer.pad_token_id or 0
        )
        self._mean = own.mean(0)
        own = _unit(own - self._mean)
        scale = np.float32(np.sqrt(1.0 + self.together**2))
        self._target = np.concatenate([own, self.together * together], axis=1) / scale

    def _prepare_cases(self, good: I64, cold: NDArray[np.bool_]) -> None:
        """What is asked: which item, of those never trained on, came next after histories of the newest acts."""
        examples, acts = self._examples, self._examples.acts
        rng = np.random.default_rng((self.seed, 1))
        late = [
            (row, before)
            for row, before in histories(acts, good, examples.users, 10)
            if row >= examples.split
        ]
        among = cold
        if sum(cold[acts.item[row]] for row, _ in late) < 20:  # too few: all items are asked for
            among = np.array([bool(text) for text in examples.texts])
        cases = [case for case in late if among[acts.item[case[0]]]]
        cases = [cases[at] for at in np.sort(rng.permutation(len(cases))[:CASES])]
        wanted = np.unique([acts.item[row] for row, _ in cases]).astype(np.int64)
        others = np.setdiff1d(np.flatnonzero(among), wanted)
        more = rng.permutation(others)[: max(0, CANDIDATES - len(wanted))]
        self._candidates = np.concatenate([wanted, np.sort(more)]).astype(np.int64)
        self._cases = [
            (int(np.searchsorted(wanted, acts.item[row])), acts.item[before]) for row, before in cases
        ]

    def batch(self, rng: np.random.Generator) -> Pairs:
        """Pairs drawn by the acts' weights, and items drawn by the root of their frequency."""
        acts = self._examples.acts
        at = rng.choice(len(self._rows), self.size, p=self._chance)
        partners = []
        for place in at:
            before = self._before[place]
            weight = RECENT ** np.arange(len(before))[::-1]
            partners.append(acts.item[before[rng.choice(len(before), p=weight / weight.sum())]])
        targets = acts.item[self._rows[at]].astype(np.int64)
        hard = np.empty(0, np.int64)
        if self.hard and len(self._near):
            columns = rng.integers(0, self._near.shape[1], (self.size, self.hard))
            hard = self._near[targets[:, None], columns].ravel()
        items = np.empty(0, np.int64)
        if self.alike:
            size = min(self.alike_items, len(self._taken))
            items = rng.choice(len(self._taken), size, replace=False, p=self._often)
        weights = np.ones(self.size, np.float32)
        if self.weighted:
            rows = self._rows[at]
            weights = np.minimum(acts.reward[rows] / acts.propensity[rows], MOST_WEIGHT).astype(np.float32)
        as_text = round(self.size * self.text_share)
        return Pairs(
            at.astype(np.int64), np.array(partners, np.int64), as_text, targets, hard, weights, items
        )

    def loss(self, net: Any, batch: Pairs) -> Any:
        """The sum of the parts."""
        total = 0.0
        if self.pairs:
            total = total + self.pairs * self._pairs(net, batch)
        if self.alike:
            total = total + self.alike * self._alike(net, batch.items)
        return total

    def _pairs(self, net: Any, batch: Pairs) -> Any:
        import torch

        items = np.concatenate([batch.targets, batch.hard, batch.partners[batch.as_text :]])
        found = net.vectors([self._ids[item] for item in items])
        choices = len(batch.targets) + len(batch.hard)
        anchors = found[choices:]
        if batch.as_text:
            texts = [self.history_text(self._before[at]) for at in batch.anchors[: batch.as_text]]
            anchors = torch.cat([net.vectors(token_ids(self._model, texts)), anchors])
        ids = torch.from_numpy(items[:choices]).to(found.device)
        own = torch.from_numpy(batch.targets).to(found.device)
        logits = anchors @ found[:choices].T / self.temperature
        logits = logits - self.logq * torch.from_numpy(self._log_q[items[:choices]]).to(found.device)
        same = (own[:, None] == ids[None, :]) & ~torch.eye(
            len(own), choices, dtype=torch.bool, device=found.device
        )
        partners = torch.from_numpy(batch.partners).to(found.device)
        logits = logits.masked_fill(same | (partners[:, None] == ids[None, :]) & ~_diagonal(own, ids), -1e4)
        each = torch.nn.functional.cross_entropy(
            logits, torch.arange(len(own), device=found.device), reduction="none"
        )
        weights = torch.from_numpy(batch.weights).to(found.device)
        return (each * weights).sum() / weights.sum().clamp_min(1e-6)

    def _alike(self, net: Any, rows: I64) -> Any:
        import torch

        found = net.vectors([self._ids[self._taken[row]] for row in rows])
        mean = torch.from_numpy(self._mean).to(found.device)
        found = torch.nn.functional.normalize(found - mean, dim=1)
        target = torch.from_numpy(self._target[rows]).to(found.device)
        self_pair = torch.eye(len(rows), dtype=torch.bool, device=found.device)
        wanted = torch.log_softmax((target @ target.T / self.temperature).masked_fill(self_pair, -1e4), 1)
        given = torch.log_softmax((found @ found.T / self.temperature).masked_fill(self_pair, -1e4), 1)
        return (wanted.exp() * (wanted - given)).sum(1).mean()

    def history_text(self, rows: NDArray[Any]) -> str:
        """The titles of what was taken, the newest first, so that what is cut off is the oldest."""
        titles = self._examples.titles
        return ". ".join(titles[self._examples.acts.item[row]] for row in rows[::-1])

    def validate(self, net: Any) -> dict[str, float]:
        """Recall@10 and mean reciprocal rank of the next item among those never trained on, from texts alone.

        A history is the decayed mean of its items' vectors, centred, as the service reads it.
        """
        if not self._cases:
            return {"cold_mrr": 0.0, "cold_recall": 0.0, "cases": 0.0}
        read = np.unique(np.concatenate([self._candidates, *(before for _, before in self._cases)]))
        vectors = net.encode([self._ids[item] for item in read])
        vectors = _unit(vectors - vectors.mean(0))
        among = vectors[np.searchsorted(read, self._candidates)]
        ranks = []
        for place, before in self._cases:
            weight = RECENT ** np.arange(len(before), dtype=np.float32)[::-1]
            scores = among @ (weight @ vectors[np.searchsorted(read, before)])
            ranks.append(int((scores > scores[place]).sum()))
        rank = np.array(ranks)
        return {
            "cold_mrr": float((1.0 / (rank + 1)).mean()),
            "cold_recall": float((rank < 10).mean()),
            "cases": float(len(rank)),
        }

    def mined(self, net: Any) -> State:
        """For each item those nearest to it by the model as it is, the first ten left out: they may be as good."""
        if not self.hard or not self.pairs:
            return {}
        items = np.unique(self._examples.acts.item[self._rows])
        vectors = net.encode([self._ids[item] for item in items])
        near = np.tile(np.arange(len(self._ids), dtype=np.int64)[:, None], (1, 20))
        for start in range(0, len(items), 512):
            scores = vectors[start : start + 512] @ vectors.T
            most = min(30, len(items) - 1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, 1 : most + 1]
            chosen = order[:, 10:30] if most >= 30 else np.resize(order, (len(order), 20))
            near[items[start : start + 512]] = items[chosen]
        self._near = near
        return {"near": near}

    def restore(self, state: State) -> None:
        """Take back mined negatives."""
        self._near = state.get("near", self._near)


def _diagonal(own: Any, ids: Any) -> Any:
    import torch

    return torch.eye(len(own), len(ids), dtype=torch.bool, device=own.device)


def _unit(rows: F32) -> F32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
