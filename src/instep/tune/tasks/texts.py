"""Self-supervision on items' texts, without any act: learn the words of a catalogue.

    masked   masked language modelling: 15 % of the tokens are hidden and told from the others
    simcse   a text read twice, with other dropout each time, is nearer to itself than to the rest of the batch

Source: Devlin et al. 2019, "BERT"; Gao et al. 2021, "SimCSE".
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.tune.examples import Examples
from instep.tune.models import TextModel, token_ids
from instep.tune.tasks.base import Plain

I64 = NDArray[np.int64]
MASKED: Final = 0.15
HELD: Final = 0.1
MOST: Final = 200


class _Texts(Plain):
    """Texts of a catalogue; a tenth of the items is held out. There is no time in it, so any tenth will do."""

    def __init__(self, batch: int = 32, seed: int = 0) -> None:
        if batch < 2:
            raise ConfigError("batch must be at least 2")
        self.size, self.seed = batch, seed

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Read the texts."""
        texts = sorted({text for text in examples.texts if text})
        if len(texts) < 20:
            raise ConfigError(f"{len(texts)} items have a text; at least 20 are needed to learn their words")
        order = np.random.default_rng((self.seed, 4)).permutation(len(texts))
        cut = max(2, int(HELD * len(texts)))
        ids = token_ids(model, texts)
        self._held = [ids[row] for row in order[:cut][:MOST]]
        self._learn = [ids[row] for row in order[cut:]]

    def _drawn(self, rng: np.random.Generator) -> list[list[int]]:
        rows = rng.choice(len(self._learn), min(self.size, len(self._learn)), replace=False)
        return [self._learn[row] for row in rows]


class Hidden(NamedTuple):
    """Texts with tokens hidden: the tokens as shown, and (row, place) and the right token of each hidden one."""

    ids: list[list[int]]
    row: I64
    place: I64
    right: I64


class Masked(_Texts):
    """Masked language modelling. The words' vectors serve as the output layer, through a trained transformation.

    Args:
        batch: texts a step.
        seed: of what is hidden in validation.
    """

    name = "masked"
    score = "likelihood"

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Read the texts, and see that the model has a token to hide others behind."""
        from instep.tune.methods import hidden_width

        mask = model.tokenizer.mask_token_id
        if mask is None:
            raise ConfigError(f"masked: {model.base} has no token to hide others behind; take --task simcse")
        super().prepare(examples, model)
        self._mask, self._special = mask, set(model.tokenizer.all_special_ids)
        self._words, self._width = len(model.tokenizer), hidden_width(model.body)
        self._embedding = model.body.get_input_embeddings()
        self._shown = self._hide(self._held, np.random.default_rng((self.seed, 5)))

    def _hide(self, texts: list[list[int]], rng: np.random.Generator) -> Hidden:
        shown, row, place, right = [], list[int](), list[int](), list[int]()
        for number, ids in enumerate(texts):
            usable = [at for at, token in enumerate(ids) if token not in self._special] or [0]
            chosen = rng.choice(usable, max(1, round(MASKED * len(usable))), replace=False)
            changed = list(ids)
            for at in chosen:
                row.append(number)
                place.append(int(at))
                right.append(ids[at])
                kind = rng.random()  # 8 in 10 are hidden, 1 is another word, 1 stays
                if kind < 0.8:
                    changed[at] = self._mask
                elif kind < 0.9:
                    changed[at] = int(rng.integers(0, self._words))
            shown.append(changed)
        return Hidden(shown, np.array(row), np.array(place), np.array(right))

    def head(self) -> Any:
        """A transformation before the words' vectors."""
        import torch

        return torch.nn.Sequential(
            torch.nn.Linear(self._width, self._width), torch.nn.GELU(), torch.nn.LayerNorm(self._width)
        )

    def batch(self, rng: np.random.Generator) -> Hidden:
        """Texts with tokens hidden."""
        return self._hide(self._drawn(rng), rng)

    def loss(self, net: Any, batch: Hidden) -> Any:
        """Cross-entropy of the hidden tokens."""
        import torch

        longest = max(map(len, batch.ids))
        tokens = torch.full((len(batch.ids), longest), net.pad, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, each in enumerate(batch.ids):
            tokens[row, : len(each)], mask[row, : len(each)] = torch.tensor(each), 1
        words = self._embedding.weight
        hidden = net.body(
            input_ids=tokens.to(words.device), attention_mask=mask.to(words.device)
        ).last_hidden_state
        told = net.head(hidden[torch.from_numpy(batch.row), torch.from_numpy(batch.place)]) @ words.T
        return torch.nn.functional.cross_entropy(told, torch.from_numpy(batch.right).to(words.device))

    def validate(self, net: Any) -> dict[str, float]:
        """Log-likelihood of the hidden tokens of held-out items, a token."""
        loss = float(self.loss(net, self._shown))
        return {"likelihood": -loss, "perplexity": float(np.exp(min(loss, 50.0)))}


class SimCse(_Texts):
    """Contrast of a text with itself, by dropout alone.

    Args:
        batch: texts a step.
        temperature: of the softmax over the batch.
        seed: of which items are held out.
    """

    name = "simcse"
    score = "evenness"

    def __init__(self, batch: int = 32, temperature: float = 0.05, seed: int = 0) -> None:
        super().__init__(batch, seed)
        if temperature <= 0:
            raise ConfigError("temperature must be above 0")
        self.temperature = temperature

    def batch(self, rng: np.random.Generator) -> list[list[int]]:
        """Texts."""
        return self._drawn(rng)

    def loss(self, net: Any, batch: list[list[int]]) -> Any:
        """Each text's second reading among all second readings."""
        import torch

        both = net.vectors(batch + batch)
        logits = both[: len(batch)] @ both[len(batch) :].T / self.temperature
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(batch), device=logits.device))

    def validate(self, net: Any) -> dict[str, float]:
        """How evenly held-out texts are spread (higher is better), and how near two halves of one text stay.

        Source: Wang and Isola 2020, "Understanding Contrastive Representation Learning" (uniformity, its sign turned).
        """
        vectors = net.encode(self._held)
        halves = net.encode([ids[: max(2, (2 * len(ids)) // 3)] for ids in self._held])
        distance = 2.0 - 2.0 * (vectors @ vectors.T)
        apart = distance[~np.eye(len(vectors), dtype=bool)]
        return {
            "evenness": float(-np.log(np.exp(-2.0 * apart).mean())),
            "nearness": float((vectors * halves).sum(1).mean()),
        }
