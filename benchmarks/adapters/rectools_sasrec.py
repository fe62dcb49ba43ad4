"""RecTools 0.19 SASRec: a transformer over the user's newest items, trained anew every `REFIT` events,
and at first whenever their number has doubled.

Source: Kang and McAuley 2018. Between refits the user's own history is fresh: the trained network reads it at
every slate, without the library's tables, which take longer than the network does.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from link import Int32, best, run
from pytorch_lightning import Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

FACTORS, BLOCKS, HEADS, LENGTH, BATCH, STEPS, RATE, REFIT, FIRST = 64, 1, 1, 50, 16, 600, 2e-3, 10_000, 1_000
FOLDER = Path(__file__).resolve().parents[2] / ".bench" / "peers"


class RectoolsSasrec:
    """Popularity until the first fit, then the network."""

    def __init__(self, users: int, items: int, seed: int) -> None:
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.items, self.due = items, FIRST
        self.rows: list[tuple[int, int, float]] = []
        self.history: list[list[int]] = [[] for _ in range(users)]
        self.taken = np.zeros(items, np.float32)
        self.network: torch.nn.Module | None = None

    def learn(self, user: int, item: int, t: float) -> None:
        """Append to the history; train when it is due."""
        self.rows.append((user, item, t))
        self.taken[item] += 1
        recent = self.history[user]
        recent.append(item)
        del recent[:-LENGTH]
        if len(self.rows) == self.due:
            self.due += min(len(self.rows), REFIT)
            self.fit()

    def fit(self) -> None:
        """Train a network on all events so far."""
        rows = pd.DataFrame(self.rows, columns=[Columns.User, Columns.Item, Columns.Datetime])
        # Microseconds apart in the order of the stream: many events share a second.
        moment = pd.to_datetime(rows[Columns.Datetime], unit="s") + pd.to_timedelta(
            np.arange(len(rows)), "us"
        )
        rows[Columns.Datetime], rows[Columns.Weight] = moment, 1.0
        model = SASRecModel(
            n_blocks=BLOCKS,
            n_heads=HEADS,
            n_factors=FACTORS,
            session_max_len=LENGTH,
            batch_size=BATCH,
            loss="softmax",
            lr=RATE,
            get_trainer_func=_trainer,
        )
        model.fit(Dataset.construct(rows))
        self.network = model.torch_model.eval()
        self.number = np.zeros(self.items, np.int64)  # 0 is padding: items that the network does not know
        known = model.data_preparator.item_id_map.external_ids[1:].astype(np.int64)
        self.number[known] = np.arange(1, len(known) + 1)
        with torch.no_grad():
            self.embeddings = self.network.item_model.get_all_embeddings()

    def recommend(self, user: int, k: int, exclude: Int32) -> Int32:
        """Read the history, and score every item by the product with what the network says of it."""
        recent = [n for n in self.number[self.history[user]].tolist() if n] if self.network else []
        if not recent:
            return best(self.taken.copy(), k, exclude)
        sessions = torch.zeros((1, LENGTH), dtype=torch.long)
        sessions[0, -len(recent) :] = torch.tensor(recent)
        with torch.no_grad():
            state = self.network.encode_sessions({"x": sessions}, self.embeddings)[0, -1]
            product = (self.embeddings @ state).numpy()
        scores = np.where(self.number > 0, product[self.number], -1e9)
        return best(scores, k, exclude)


def _trainer() -> Trainer:
    return Trainer(
        max_steps=STEPS,
        max_epochs=-1,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=FOLDER,
    )


if __name__ == "__main__":
    run(RectoolsSasrec)
