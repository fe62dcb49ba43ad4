"""Ranking as a task: a causal language model learns which title a user's history leads to.

The loss is the negative log-likelihood of the title that was taken, a token, after the history as text (causal.py gives
both to the model in the very form in which they will be asked for). Two things may be added:

- a contrast: the cross-entropy of the taken title against others that could have been taken, by their mean
  log-likelihoods, which is what ranking compares;
- weights: the reward of the act over the propensity with which its item was shown, capped, so that the loss is that of
  slates drawn uniformly.

Source: for the weights Swaminathan and Joachims 2015, "Counterfactual Risk Minimization" (capped, self-normalised).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import numpy as np

from instep.domain import ConfigError
from instep.tune.causal import MOST_HISTORY, Packed, Rendering, pack
from instep.tune.causal_models import open_causal, save_causal
from instep.tune.examples import Examples, by_user
from instep.tune.methods import merged
from instep.tune.models import TextModel
from instep.tune.tasks.base import Plain

MOST_WEIGHT: Final = 10.0
SHARPNESS: Final = 4.0


class Lesson(NamedTuple):
    """One choice.

    Args:
        history: titles taken before, oldest first.
        title: what was taken.
        others: titles that were not, for the contrast.
        reward: of the act, above 0.
        propensity: with which the item was shown; 1 where it is not known.
        row: of the act in the examples, -1 where there is none.
    """

    history: tuple[str, ...]
    title: str
    others: tuple[str, ...] = ()
    reward: float = 1.0
    propensity: float = 1.0
    row: int = -1


def weights_of(lessons: Sequence[Lesson], most: float = MOST_WEIGHT) -> list[float]:
    """Reward over propensity, capped, with a mean of 1.

    >>> weights_of([Lesson((), "tea", propensity=0.5), Lesson((), "cup")])
    [1.3333333333333333, 0.6666666666666666]
    """
    raw = np.array([min(max(each.reward, 0.0) / max(each.propensity, 1e-6), most) for each in lessons])
    mean = raw.mean() if len(raw) else 0.0
    return (raw / mean).tolist() if mean > 0 else [1.0] * len(raw)


def ranking_loss(
    model: Any, rendering: Rendering, lessons: Sequence[Lesson], contrast: float = 0.0, weighted: bool = False
) -> Any:
    """The mean loss of a batch.

    Args:
        model: a causal language model, with adapters or without.
        rendering: of its tokenizer.
        lessons: the batch.
        contrast: how much the contrast counts beside the likelihood.
        weighted: whether rewards and propensities count.

    Returns:
        A torch scalar with its gradient.
    """
    import torch

    rows = [
        pack(
            rendering.prefix(each.history),
            [rendering.title(title) for title in ((each.title, *each.others) if contrast else (each.title,))],
        )
        for each in lessons
    ]
    right, lesson, candidate = _judged(model, rows)
    share = torch.tensor(weights_of(lessons) if weighted else [1.0] * len(rows))
    width = 1 + max((max(row.judged) for row in rows), default=0)
    cell = lesson * width + candidate
    total = torch.zeros(len(rows) * width).index_add(0, cell, right)
    count = torch.zeros(len(rows) * width).index_add(0, cell, torch.ones_like(right))
    mean = (total / count.clamp(min=1.0)).view(len(rows), width)
    loss = -(share * mean[:, 0]).mean()
    if contrast and width > 1:
        there = count.view(len(rows), width) > 0
        logits = (SHARPNESS * mean).masked_fill(~there, torch.finfo(torch.float32).min)
        loss = loss - contrast * (share * logits.log_softmax(1)[:, 0]).mean()
    return loss


def _judged(model: Any, rows: Sequence[Packed]) -> tuple[Any, Any, Any]:
    """Log-likelihood of each judged token, with the row and the candidate that it belongs to."""
    import torch

    length = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    position = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.full((len(rows), 1, length, length), torch.finfo(torch.float32).min)
    mask[:, 0, torch.arange(length), torch.arange(length)] = 0.0  # padding sees itself: no row is empty
    for number, row in enumerate(rows):
        size = len(row.ids)
        ids[number, :size], position[number, :size] = torch.tensor(row.ids), torch.tensor(row.position)
        owner = torch.tensor(row.owner)
        seen = (owner[None, :] == -1) | (owner[None, :] == owner[:, None])
        seen &= torch.ones(size, size, dtype=torch.bool).tril()
        mask[number, 0, :size, :size].masked_fill_(seen, 0.0)
    hidden = model(input_ids=ids, position_ids=position, attention_mask=mask, use_cache=False).logits
    lesson = torch.tensor([number for number, row in enumerate(rows) for _ in row.wanted])
    place = torch.tensor([at for row in rows for at in row.predicting])
    wanted = torch.tensor([token for row in rows for token in row.wanted])
    logits = hidden[lesson, place]
    right = logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(1)
    return right, lesson, torch.tensor([number for row in rows for number in row.judged])


class Ranking(Plain):
    """The task `ranking` (tasks/base.py says what a task is).

    Args:
        batch: lessons a step.
        contrast: how much the contrast against four other titles counts; 0 leaves it out.
        weighted: whether rewards and propensities count.
        held: how many choices of the validation slice are looked at.
        seed: of which histories are cut short and which others are drawn.

    A version tuned for it makes no vectors: `export` writes the model that the scorer `causal` opens.
    """

    name = "ranking"
    score = "likelihood"

    def __init__(
        self, batch: int = 8, contrast: float = 0.0, weighted: bool = False, held: int = 64, seed: int = 0
    ) -> None:
        self._size, self._contrast, self._weighted = batch, contrast, weighted
        self._most_held, self._seed = held, seed

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Read the choices. Raises `ConfigError` when there are none, or the model is none that predicts words."""
        others, split = (4 if self._contrast else 0), examples.split
        self._lessons = lessons_in(examples, range(split), others, self._seed)
        held = lessons_in(examples, range(split, len(examples.acts)), others, self._seed)
        if not self._lessons or not held:
            raise ConfigError(
                "the log has no choices to learn from: users who took a second item with a title, both before and "
                "after the validation slice begins"
            )
        drawn = np.random.default_rng(self._seed).permutation(len(held))[: self._most_held]
        self._held = [held[k] for k in drawn.tolist()]
        share = np.array([examples.weight[each.row] for each in self._lessons], np.float64)
        self._chance = share / share.sum()
        self._rendering = Rendering(model.tokenizer)
        # As it is, whatever is trained beneath: often it is the first matrix, too.
        self._head = _last_matrix(model)

    def batch(self, rng: np.random.Generator) -> list[Lesson]:
        """Choices drawn as often as their acts are to be."""
        drawn = rng.choice(len(self._lessons), self._size, p=self._chance)
        return [self._lessons[k] for k in drawn.tolist()]

    def loss(self, net: Any, batch: list[Lesson]) -> Any:
        """See `ranking_loss`."""
        model = Predictor(net.body, self._head)
        return ranking_loss(model, self._rendering, batch, self._contrast, self._weighted)

    def validate(self, net: Any) -> dict[str, float]:
        """``likelihood``: mean log-likelihood a token of the titles that were taken in the validation slice."""
        import torch

        model, training = Predictor(net.body, self._head), net.body.training
        net.body.eval()
        total = 0.0
        with torch.inference_mode():
            for start in range(0, len(self._held), self._size):
                part = self._held[start : start + self._size]
                total += len(part) * float(ranking_loss(model, self._rendering, part))
        net.body.train(training)
        return {"likelihood": -total / len(self._held)}

    def export(self, model: TextModel, body: Any, folder: Path) -> None:
        """Write the whole model with what was trained merged in: what the scorer `causal` opens.

        Raises:
            ConfigError: the method leaves something beside the model's own layers (prefix, adapter, head).
        """
        own, opened = merged(body), open_causal(model.base)
        whole = opened.model
        if set(own.state_dict()) != set(whole.base_model.state_dict()):
            raise ConfigError(
                "a causal model is served in its own layers: for ranking --method lora, adalora, ia3, full or last-n"
            )
        whole.base_model.load_state_dict(own.state_dict())
        save_causal(whole, opened.tokenizer, folder)


def _last_matrix(model: TextModel) -> Any:
    """The matrix from token vectors to words. Raises `ConfigError` where the model has none."""
    body = model.body
    if getattr(body.config, "tie_word_embeddings", False) and model.pooling == "last":
        return body.get_input_embeddings().weight.detach().clone()
    return open_causal(model.base).model.get_output_embeddings().weight.detach().clone()


class Predictor:
    """A body without its last matrix, and that matrix: what `ranking_loss` takes for a model.

    Args:
        body: answers with `last_hidden_state`; adapters may be in it.
        head: a torch tensor (words, width), frozen.
    """

    def __init__(self, body: Any, head: Any) -> None:
        self._body = body
        self._head = head

    def __call__(self, **given: Any) -> Any:
        """An object with `logits`, (n, tokens, words)."""
        from torch.nn.functional import linear

        return SimpleNamespace(logits=linear(self._body(**given).last_hidden_state, self._head))


def lessons_of(
    sequences: Sequence[Sequence[str]], catalogue: Sequence[str], most: int, others: int = 0, seed: int = 0
) -> list[Lesson]:
    """Choices out of users' sequences of titles, drawn at random, others out of the catalogue.

    Args:
        sequences: a user's titles each, oldest first.
        catalogue: titles that could have been taken.
        most: how many lessons at most.
        others: how many titles that were not taken a lesson.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    places = [(row, at) for row, titles in enumerate(sequences) for at in range(1, len(titles))]
    drawn = rng.permutation(len(places))[:most]
    lessons = []
    for number in drawn.tolist():
        row, at = places[number]
        history, title = tuple(sequences[row][:at]), sequences[row][at]
        if others:
            wrong = rng.choice(len(catalogue), min(4 * others, len(catalogue)), replace=False)
            mine = set(sequences[row])
            apart = [catalogue[k] for k in wrong.tolist() if catalogue[k] not in mine][:others]
        else:
            apart = []
        lessons.append(Lesson(history, title, tuple(apart)))
    return lessons


def lessons_in(
    examples: Examples, rows: Sequence[int], others: int = 0, seed: int = 0, short: bool = True
) -> list[Lesson]:
    """Choices out of a log's acts: each act with a reward above zero and a title, after what its user took before.

    Args:
        examples: as `read_examples` gives them.
        rows: the acts that may be what was taken; what came before them may be any.
        others: how many titles that the user never took a lesson.
        seed: of the draws.
        short: whether each history is cut to a random length of 1 to 5 half of the time, so that the model meets as
            many newcomers as it will be asked about.
    """
    rng = np.random.default_rng(seed)
    acts, titles = examples.acts, examples.titles
    good = np.flatnonzero(examples.positive())
    wanted = set(np.intersect1d(good, np.asarray(rows)).tolist())
    lessons = []
    for mine in by_user(acts, good, examples.users):
        names = [titles[item] for item in acts.item[mine].tolist()]
        taken = set(names)
        for place, row in enumerate(mine.tolist()):
            before = [title for title in names[max(0, place - MOST_HISTORY) : place] if title != names[place]]
            if row not in wanted or not before:
                continue
            if short and rng.random() < 0.5:
                before = before[-int(rng.integers(1, 6)) :]
            apart: list[str] = []
            if others:
                drawn = rng.integers(0, len(titles), 4 * others)
                apart = [titles[k] for k in drawn.tolist() if titles[k] and titles[k] not in taken][:others]
            lessons.append(
                Lesson(
                    tuple(before),
                    names[place],
                    tuple(apart),
                    float(acts.reward[row]),
                    float(acts.propensity[row]),
                    row,
                )
            )
    return lessons
