"""Classification: what will a user do next with an item: buy it, put it in the cart, look at it, or nothing?

User and item are vectors of the same model: the user's is the decayed mean of the titles taken before. A linear layer
over both, and over their product, gives a label each, with cross-entropy and class weights. Afterwards one number, a
temperature found on the newest acts, makes the probabilities agree with how often they come true.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (temperature scaling, expected calibration error).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.tune.examples import Acts, Examples, histories
from instep.tune.models import TextModel, token_ids
from instep.tune.tasks.base import Plain

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
NONE: Final = "none"
LABELS: Final = ("buy", "cart", "view", NONE)
CALLED: Final = {"purchase": "buy", "click": "view", "dwell": "view"}
"""Types of feedback that go by another label."""
MOST: Final = 600
BINS: Final = 10
TEMPERATURES: Final = np.exp(np.linspace(np.log(0.25), np.log(4.0), 41))


class Cases(NamedTuple):
    """Users before an act, items, and what is to be told of them.

    Args:
        before: one int32 (m,) a case: rows of the acts before it, oldest first.
        items: int64 (n,).
        wanted: float32 (n,), a label's number or a value.
    """

    before: list[NDArray[np.int32]]
    items: I64
    wanted: F32

    def some(self, rows: I64) -> Cases:
        """Some of the cases."""
        return Cases([self.before[row] for row in rows], self.items[rows], self.wanted[rows])


class Profiled(Plain):
    """What tasks share that see a user as the mean of the items taken before.

    Args:
        batch: cases a step.
        history: how many of the newest acts are read.
    """

    def __init__(self, batch: int = 32, history: int = 5) -> None:
        if batch < 2 or history < 1:
            raise ConfigError("batch must be at least 2 and history at least 1")
        self.size, self.length = batch, history
        self.width = 0
        self._examples: Examples
        self._learn: Cases
        self._held: Cases

    def _read(self, examples: Examples, model: TextModel) -> None:
        from instep.tune.methods import hidden_width

        self._examples = examples
        self._ids = token_ids(model, examples.texts)
        self.width = hidden_width(model.body)

    def _cases(self, rows: I64, wanted: F32) -> Cases:
        """Cases of the given acts that have something before them; `wanted` is by act."""
        acts = self._examples.acts
        known = np.array([bool(text) for text in self._examples.texts])
        usable = np.flatnonzero(known[acts.item])
        chosen = np.zeros(len(acts), bool)
        chosen[rows] = True
        found = [
            each for each in histories(acts, usable, self._examples.users, self.length) if chosen[each[0]]
        ]
        at = np.array([row for row, _ in found], np.int64)
        return Cases([before for _, before in found], acts.item[at].astype(np.int64), wanted[at])

    def batch(self, rng: np.random.Generator) -> Cases:
        """Cases drawn at random."""
        return self._learn.some(rng.integers(0, len(self._learn.items), self.size))

    def pairs(self, net: Any, cases: Cases) -> Any:
        """User, item and their product side by side: a tensor (n, 3 d)."""
        import torch

        acts = self._examples.acts
        read = np.unique(np.concatenate([cases.items, *(acts.item[rows] for rows in cases.before)]))
        vectors = net.vectors([self._ids[item] for item in read])
        mix = np.zeros((len(cases.items), len(read)), np.float32)
        for row, rows in enumerate(cases.before):
            weight = 0.8 ** np.arange(len(rows), dtype=np.float32)[::-1]
            np.add.at(mix[row], np.searchsorted(read, acts.item[rows]), weight / weight.sum())
        users = torch.nn.functional.normalize(torch.from_numpy(mix).to(vectors.device) @ vectors, dim=1)
        items = vectors[torch.from_numpy(np.searchsorted(read, cases.items)).to(vectors.device)]
        return torch.cat([users, items, users * items * self.width**0.5], dim=1)

    def outputs(self, net: Any, cases: Cases) -> F32:
        """What the head says of cases, float32 (n, outputs)."""
        parts = [
            net.head(self.pairs(net, cases.some(np.arange(start, min(start + 64, len(cases.items))))))
            for start in range(0, len(cases.items), 64)
        ]
        return np.concatenate([part.detach().cpu().float().numpy() for part in parts])


class NextAct(Profiled):
    """See the head of this file.

    Args:
        labels: what acts are told apart by; the last one is for items that led to nothing.
        batch: cases a step.
        history: how many of the newest acts are read.
        balance: how far classes are weighted against their frequency: 0 not, 1 all the way.
        seed: of the items that stand for nothing where no slates are logged.
    """

    name = "acts"
    score = "likelihood"

    def __init__(
        self,
        labels: Any = LABELS,
        batch: int = 32,
        history: int = 5,
        balance: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(batch, history)
        self.labels = tuple(labels.split(",") if isinstance(labels, str) else labels)
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise ConfigError("acts: labels must be two or more different words")
        self.balance, self.seed = balance, seed
        self.temperature = 1.0

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Label acts; add what was shown or could have been and led to nothing."""
        self._read(examples, model)
        number = {label: at for at, label in enumerate(self.labels)}
        by_kind = np.array(
            [number.get(CALLED.get(kind, kind), number.get(kind, -1)) for kind in examples.kinds]
        )
        label = by_kind[examples.acts.kind] if len(by_kind) else np.empty(0, np.int64)
        if not (label >= 0).any():
            raise ConfigError(
                f"acts: no feedback is of a type that goes by one of the labels {', '.join(self.labels)}; the log has "
                f"{', '.join(examples.kinds)}: give --set labels=..."
            )
        rows = np.flatnonzero(label >= 0)
        self._learn = self._with_none(rows[rows < examples.split], label, new=False)
        self._held = self._with_none(rows[rows >= examples.split], label, new=True)
        if len(self._learn.items) < 2 or not len(self._held.items):
            raise ConfigError(
                "acts: too few acts of users who acted before, in the range or in its newest part"
            )
        rng = np.random.default_rng((self.seed, 2))
        self._held = self._held.some(np.sort(rng.permutation(len(self._held.items))[:MOST]))
        count = np.bincount(self._learn.wanted.astype(np.int64), minlength=len(self.labels)) + 1.0
        weight = (count.sum() / count) ** self.balance
        self._weight = (weight / (weight * count).sum() * count.sum()).astype(np.float32)

    def _with_none(self, rows: I64, label: I64, new: bool) -> Cases:
        cases = self._cases(rows, label.astype(np.float32))
        if self.labels[-1] != NONE or not len(cases.items):
            return cases
        shown = self._unheeded(new)
        if not len(shown.items):
            rng = np.random.default_rng((self.seed, 3, new))
            known = np.flatnonzero([bool(text) for text in self._examples.texts])
            shown = Cases(cases.before, rng.choice(known, len(cases.items)), np.empty(0, np.float32))
        none = np.full(len(shown.items), len(self.labels) - 1, np.float32)
        return Cases(
            cases.before + shown.before,
            np.concatenate([cases.items, shown.items]),
            np.concatenate([cases.wanted, none]),
        )

    def _unheeded(self, new: bool) -> Cases:
        """What was shown and led to nothing, with what its user had done by then."""
        examples, shown = self._examples, self._examples.shown
        rows = np.flatnonzero((shown.at >= examples.since) == new)
        known = np.array([bool(text) for text in examples.texts])
        rows = rows[known[shown.item[rows]]][:50_000]
        mine = _starts(examples.acts, examples.users)
        before, items = [], []
        for row in rows:
            own = mine[shown.user[row]]
            end = int(np.searchsorted(examples.acts.at[own], shown.at[row]))
            if end:
                before.append(own[max(0, end - self.length) : end])
                items.append(shown.item[row])
        return Cases(before, np.array(items, np.int64), np.empty(0, np.float32))

    def head(self) -> Any:
        """A linear layer to the labels."""
        import torch

        return torch.nn.Linear(3 * self.width, len(self.labels))

    def loss(self, net: Any, batch: Cases) -> Any:
        """Weighted cross-entropy."""
        import torch

        logits = net.head(self.pairs(net, batch))
        wanted = torch.from_numpy(batch.wanted.astype(np.int64)).to(logits.device)
        weight = torch.from_numpy(self._weight).to(logits.device)
        return torch.nn.functional.cross_entropy(logits, wanted, weight)

    def validate(self, net: Any) -> dict[str, float]:
        """Accuracy, log-likelihood and calibration error on the newest acts; half of them give the temperature."""
        # Training weighs classes; probabilities must not, so the weights' logs are taken off again.
        logits = self.outputs(net, self._held) - np.log(self._weight)
        wanted = self._held.wanted.astype(np.int64)
        half = np.arange(len(wanted)) % 2 == 0
        self.temperature = float(
            min(TEMPERATURES, key=lambda t: -_likelihood(_softmax(logits[half] / t), wanted[half]))
        )
        judged = ~half if (~half).any() else half
        raw, found = (_softmax(logits[judged] / t) for t in (1.0, self.temperature))
        return {
            "accuracy": float((found.argmax(1) == wanted[judged]).mean()),
            "likelihood": _likelihood(found, wanted[judged]),
            "calibration_error": calibration_error(found, wanted[judged]),
            "calibration_error_raw": calibration_error(raw, wanted[judged]),
            "temperature": self.temperature,
        }


def calibration_error(chances: F32, wanted: I64, bins: int = BINS) -> float:
    """Expected calibration error: how far the greatest probability is from how often it comes true, over bins of it.

    Args:
        chances: float32 (n, labels).
        wanted: int64 (n,), the right labels.
        bins: of equal width.

    >>> calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]], np.float32), np.array([0, 1]))
    0.4
    """
    sure, right = chances.max(1), chances.argmax(1) == wanted
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(float(sure[place == b].mean() - right[place == b].mean())) * (place == b).mean()
        for b in set(place)
    ]
    return round(float(sum(gaps)), 6)


def _starts(acts: Acts, users: int) -> list[NDArray[np.int32]]:
    from instep.tune.examples import by_user

    return by_user(acts, np.arange(len(acts)), users)


def _softmax(logits: F32) -> F32:
    mass = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(mass / mass.sum(1, keepdims=True), np.float32)


def _likelihood(chances: F32, wanted: I64) -> float:
    return (
        float(np.log(np.maximum(chances[np.arange(len(wanted)), wanted], 1e-9)).mean())
        if len(wanted)
        else 0.0
    )
