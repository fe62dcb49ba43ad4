"""Matching: a user's history and the items in one space, near each other where they were taken.

Three parts make the loss:

    pairs    a history against the item taken next, among all others of the batch, mined hard ones and a bank of vectors
             as they were lately: InfoNCE with the sampling probability taken off (logQ). A history is the text of its
             titles, or the decayed mean of its items' vectors, which is how the service reads it
    alike    items are as near as they were taken together: the batch's similarities against those of a target, part
             what the model saw before it was tuned, part the users' acts; it holds the model to what it knew
    weights  with `weighted`, each pair counts by its reward over its logged propensity, capped

Acts on rarely taken items are drawn more often (`rare`): cold items are to be found by what they are, and popular ones
need no text.

Source: van den Oord et al. 2018 (InfoNCE); Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling" (logQ); He et al.
2020 (a bank of negatives); Hinton et al. 2015 (distillation).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.evaluate.metrics import COLD
from instep.state import TEXT_WIDTH
from instep.tune.examples import Examples, histories
from instep.tune.models import TextModel, encode_ids, token_ids
from instep.tune.tasks.base import Plain, State
from instep.tune.tasks.cotaking import factors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
HELD: Final = 0.2
"""Share of the items that are hidden from training: the cold items of the validation."""
CASES: Final = 600
ENOUGH: Final = 100
CANDIDATES: Final = 800
BANK: Final = 3000
"""At most so many items are negatives with the vectors they had lately."""
LEAST_ALIKE: Final = 8
MOST_WEIGHT: Final = 10.0
RECENT: Final = 0.8
"""Weight of each act of a history relative to the one after it."""


class Pairs(NamedTuple):
    """One batch.

    Args:
        anchors: int64 (b,), which acts' histories are the anchors.
        as_text: how many of the first anchors are history texts; the others are means of vectors.
        targets: int64 (b,), the items taken.
        hard: int64 (h,), items near to targets that are none.
        bank: int64 (k,), rows of the bank that are negatives.
        weights: float32 (b,).
        items: int64 (m,), items of the second part.
    """

    anchors: I64
    as_text: int
    targets: I64
    hard: I64
    bank: I64
    weights: F32
    items: I64


class Matching(Plain):
    """See the head of this file.

    Args:
        batch: pairs a step.
        history: how many of the newest items are read of a history.
        history_share: share of the histories that are read as text; the others are means of vectors.
        temperature: of the softmax over the batch.
        logq: how much of the items' log probability of being there is taken off.
        hard: mined negatives a target; 0 for none.
        bank: further negatives a step, whose vectors are as they were when hard ones were last mined.
        rare: power of an item's frequency by which acts on it are drawn less often.
        pairs: weight of the first part.
        alike: weight of the second.
        alike_items: items of the second part a step.
        together: how much what was taken together counts in the target, relative to what the model saw.
        directions: how many of the catalogue's strongest directions requests read; 0 for all.
        packed: weight of the share of a vector that lies outside of them.
        weighted: whether pairs count by reward over propensity.
        seed: of which items are held out.
    """

    name = "matching"
    score = "cold_mrr"

    def __init__(
        self,
        batch: int = 16,
        history: int = 4,
        history_share: float = 0.125,
        temperature: float = 0.1,
        logq: float = 1.0,
        hard: int = 1,
        bank: int = 256,
        rare: float = 1.0,
        pairs: float = 0.1,
        alike: float = 1.0,
        alike_items: int = 80,
        together: float = 1.0,
        directions: int = TEXT_WIDTH,
        packed: float = 0.5,
        weighted: bool = False,
        seed: int = 0,
    ) -> None:
        if batch < 2 or history < 1 or not 0.0 <= history_share <= 1.0 or temperature <= 0.0:
            raise ConfigError(
                "matching: batch must be at least 2, history 1, history_share in [0, 1] and temperature above 0"
            )
        self.size, self.length, self.text_share, self.temperature = batch, history, history_share, temperature
        self.logq, self.hard, self.most_bank, self.rare = logq, hard, bank, rare
        self.pairs, self.alike, self.alike_items = pairs, alike, alike_items
        self.together, self.weighted, self.seed = together, weighted, seed
        self.directions, self.packed = directions, packed
        self._basis: F32 | None = None
        self._near: I64 = np.empty((0, 0), np.int64)
        self._bank: F32 = np.empty((0, 0), np.float32)

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
        target = acts.item[self._rows]
        often = np.bincount(target, minlength=len(known))
        chance = examples.weight[self._rows] / np.maximum(often[target], 1.0) ** self.rare
        self._chance = chance / chance.sum()
        self._drawn = np.bincount(target, self._chance, len(known))
        learned = np.flatnonzero(known & ~held)
        rng = np.random.default_rng((self.seed, 2))
        self._kept = np.sort(rng.permutation(learned)[:BANK])
        self._prepare_alike(learn)
        self._prepare_cases(np.flatnonzero(good), held & known)

    def _prepare_alike(self, learn: I64) -> None:
        """The vectors before tuning, of items that were taken: their mean, and what the second part holds them to."""
        acts, model = self._examples.acts, self._model
        items, together, often = factors(acts.user[learn], acts.item[learn])
        pad = model.tokenizer.pad_token_id or 0
        read = items if len(items) >= LEAST_ALIKE else np.unique(acts.item[learn])[:BANK]
        own = encode_ids(model.body, [self._ids[i] for i in read], model.pooling, pad)
        self._mean = own.mean(0)
        self._basis = _directions(own - self._mean, self.directions)
        self._taken, self._often = items, often
        if len(items) < LEAST_ALIKE:
            self.alike = 0.0
            return
        scale = np.float32(np.sqrt(1.0 + self.together**2))
        self._target = np.concatenate([_unit(own - self._mean), self.together * together], axis=1) / scale

    def _prepare_cases(self, good: I64, cold: NDArray[np.bool_]) -> None:
        """What is asked: which item, of those never trained on, came next after histories of the newest acts."""
        examples, acts = self._examples, self._examples.acts
        rng = np.random.default_rng((self.seed, 1))
        late = [
            (row, before)
            for row, before in histories(acts, good, examples.users, 10)
            if row >= examples.split
        ]
        # Items that are new then are what tuning is for; held-out ones stand in where there are few such.
        known = np.array([bool(text) for text in examples.texts])
        few = np.bincount(acts.item[good[good < examples.split]], minlength=len(known)) <= COLD
        for among in (known & few, cold | (known & few), known):
            cases = [case for case in late if among[acts.item[case[0]]]]
            if len(cases) >= ENOUGH:
                break
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
        targets = acts.item[self._rows[at]].astype(np.int64)
        hard = np.empty(0, np.int64)
        if self.hard and len(self._near):
            columns = rng.integers(0, self._near.shape[1], (self.size, self.hard))
            hard = self._near[targets[:, None], columns].ravel()
        bank = rng.permutation(len(self._bank))[: self.most_bank]
        items = np.empty(0, np.int64)
        if self.alike:
            size = min(self.alike_items, len(self._taken))
            items = rng.choice(len(self._taken), size, replace=False, p=self._often)
        weights = np.ones(self.size, np.float32)
        if self.weighted:
            rows = self._rows[at]
            weights = np.minimum(acts.reward[rows] / acts.propensity[rows], MOST_WEIGHT).astype(np.float32)
        as_text = round(self.size * self.text_share)
        return Pairs(at.astype(np.int64), as_text, targets, hard, bank, weights, items)

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

        acts, size = self._examples.acts, len(batch.targets)
        before = [acts.item[self._before[at]].astype(np.int64) for at in batch.anchors]
        items, place = np.unique(
            np.concatenate([batch.targets, batch.hard, *before[batch.as_text :]]), return_inverse=True
        )
        found = net.vectors([self._ids[item] for item in items])
        unit = torch.nn.functional.normalize
        found, spread = self._seen(found)
        mix = torch.from_numpy(_decayed(before[batch.as_text :], items)).to(found.device)
        anchors = unit(mix @ found, dim=1)
        if batch.as_text:
            texts = [self.history_text(self._before[at]) for at in batch.anchors[: batch.as_text]]
            read, _ = self._seen(net.vectors(token_ids(self._model, texts)))
            anchors = torch.cat([read, anchors])
        choices = np.concatenate([batch.targets, batch.hard, self._kept[batch.bank]])
        among = found[torch.from_numpy(place[: size + len(batch.hard)]).to(found.device)]
        if len(batch.bank):
            bank = torch.from_numpy(self._bank[batch.bank].astype(np.float32)).to(found.device)
            among = torch.cat([among, self._seen(bank)[0]])
        logits = anchors @ among.T / self.temperature
        logits = logits - torch.from_numpy(self.logq * self._log_q(choices, batch)).to(found.device)
        wrong = torch.from_numpy(self._same(batch.targets, before, choices)).to(found.device)
        each = torch.nn.functional.cross_entropy(
            logits.masked_fill(wrong, -1e4), torch.arange(size, device=found.device), reduction="none"
        )
        weights = torch.from_numpy(batch.weights).to(found.device)
        return (each * weights).sum() / weights.sum().clamp_min(1e-6) + self.packed * spread

    def _seen(self, found: Any) -> tuple[Any, Any]:
        """Vectors as requests read them, centred and in the strongest directions; and the share that lies outside."""
        import torch

        centred = found - torch.from_numpy(self._mean).to(found.device)
        if self._basis is None:
            return torch.nn.functional.normalize(centred, dim=1), 0.0
        small = centred @ torch.from_numpy(self._basis).to(found.device)
        left = 1.0 - (small**2).sum(1) / (centred**2).sum(1).clamp_min(1e-9)
        return torch.nn.functional.normalize(small, dim=1), left.mean()

    def _log_q(self, choices: I64, batch: Pairs) -> F32:
        """Log of how often each choice is expected in a batch, as a target or out of the bank, float32 (c,)."""
        expected = len(batch.targets) * self._drawn[choices] + len(batch.bank) / max(len(self._kept), 1)
        return np.asarray(np.log(np.maximum(expected, 1e-6)), np.float32)

    def _same(self, targets: I64, before: list[I64], choices: I64) -> NDArray[np.bool_]:
        """bool (b, c), choices that are no negatives: the target once more, or what the history holds."""
        wrong = targets[:, None] == choices[None, :]
        for row, items in enumerate(before):
            wrong[row] |= np.isin(choices, items)
        wrong[np.arange(len(targets)), np.arange(len(targets))] = False
        return np.asarray(wrong, np.bool_)

    def _alike(self, net: Any, rows: I64) -> Any:
        import torch

        found = net.vectors([self._ids[self._taken[row]] for row in rows])
        found, spread = self._seen(found)
        target = torch.from_numpy(self._target[rows]).to(found.device)
        self_pair = torch.eye(len(rows), dtype=torch.bool, device=found.device)
        wanted = torch.log_softmax((target @ target.T / self.temperature).masked_fill(self_pair, -1e4), 1)
        given = torch.log_softmax((found @ found.T / self.temperature).masked_fill(self_pair, -1e4), 1)
        return (wanted.exp() * (wanted - given)).sum(1).mean() + self.packed * spread

    def history_text(self, rows: NDArray[Any]) -> str:
        """The titles of what was taken, the newest first, so that what is cut off is the oldest."""
        titles = self._examples.titles
        return ". ".join(titles[self._examples.acts.item[row]] for row in rows[::-1])

    def validate(self, net: Any) -> dict[str, float]:
        """Recall@10 and mean reciprocal rank of the next item among those never trained on, from texts alone.

        A history is the decayed mean of its items' vectors, centred and reduced, as the service reads it.
        """
        if not self._cases:
            return {"cold_mrr": 0.0, "cold_recall": 0.0, "cases": 0.0}
        read = np.unique(np.concatenate([self._candidates, *(before for _, before in self._cases)]))
        vectors = net.encode([self._ids[item] for item in read])
        vectors = vectors - vectors.mean(0)
        basis = _directions(vectors, self.directions)
        vectors = _unit(vectors if basis is None else vectors @ basis)
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
        """The bank's vectors by the model as it is, and those nearest to each of its items.

        The first ten are left out: they may be as good.
        """
        if not self.pairs or not (self.hard or self.most_bank):
            return {}
        items = self._kept
        vectors = net.encode([self._ids[item] for item in items])
        near = np.resize(items, (len(self._ids), 20)).astype(np.int64)
        most = min(30, len(items) - 1)
        for start in range(0, len(items) if self.hard else 0, 512):
            scores = vectors[start : start + 512] @ vectors.T
            order = np.argsort(-scores, axis=1, kind="stable")[:, 1 : most + 1]
            chosen = order[:, 10:30] if most >= 30 else np.resize(order, (len(order), 20))
            near[items[start : start + 512]] = items[chosen]
        self.restore({"near": near, "bank": vectors.astype(np.float16)})
        return {"near": self._near, "bank": self._bank}

    def restore(self, state: State) -> None:
        """Take back mined negatives."""
        self._near, self._bank = state.get("near", self._near), state.get("bank", self._bank)


def _decayed(before: list[I64], items: I64) -> F32:
    """Weights of the items in each history, the newest heaviest, float32 (histories, items)."""
    mix = np.zeros((len(before), len(items)), np.float32)
    for row, mine in enumerate(before):
        weight = RECENT ** np.arange(len(mine), dtype=np.float32)[::-1]
        np.add.at(mix[row], np.searchsorted(items, mine), weight)
    return mix


def _directions(centred: F32, width: int) -> F32 | None:
    """The strongest directions of rows, float32 (d, width), as the service finds them; None where all are read."""
    if not 0 < width < min(centred.shape):
        return None
    _, found = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(found[:, ::-1][:, :width], np.float32)


def _unit(rows: F32) -> F32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
