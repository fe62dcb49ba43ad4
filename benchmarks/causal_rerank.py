"""A causal language model reranking the fast clock's best 20: does it help, whom, and what does it cost?

    python benchmarks/causal_rerank.py [--quick] [--json] [--only demo,online-retail] [--requests N] [--steps N]

The demo's MovieLens ratings and Online Retail are replayed, test then learn. At sampled events (of cold users, with at
most 5 events before, and of warm ones) the fast clock's best 20 are noted; SmolLM2-135M says how well each title goes
with the user's history; a weight is chosen on the older half of the samples, cold and warm apart, and judged on the
newer half. Asked in three ways (with none, half and all of the likelihood without a history taken off), and again after
a short LoRA tuning on the events of the older half. `--quick`: a part of the demo's ratings, few requests, few steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instep.domain import Context
from instep.evaluate import Interval, Options, Stream, mean_interval, replay
from instep.evaluate.instep import Instep
from instep.evaluate.metrics import COLD, known_before
from instep.evaluate.vectors import item_vectors
from instep.tune.causal import MOST_HISTORY, CausalRanker, Rendering
from instep.tune.causal_models import CausalModel, open_causal
from made_up.claims import tell
from quality import CACHE, RETAIL, demo, online_retail

TOP = 20
K = 10
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
HALF = 0.5
BATCH = 8
RATE = 3e-4
DEADLINE = 1000.0
Float = NDArray[np.float64]


@dataclass
class Sample:
    """One request as the fast clock answered it.

    Args:
        event: place in the stream.
        user: who.
        cold: whether the user had at most 5 events.
        history: titles, oldest first.
        titles: of the best 20.
        scores: the fast clock's.
        place: where among them the item taken next is, -1 if it is not.
        values: what the language model says, by the name of the way it is asked.
    """

    event: int
    user: int
    cold: bool
    history: list[str]
    titles: list[str]
    scores: Float
    place: int
    values: dict[str, Float] = field(default_factory=dict)


class Noting(Instep):
    """The fast clock, asked at the sampled events only."""

    def __init__(self, stream: Stream, vectors: Sequence[Any], wanted: dict[int, bool]) -> None:
        super().__init__(stream, vectors)
        self._wanted = wanted
        self.samples: list[Sample] = []

    def recommend(self, user: int, t: float, k: int, exclude: NDArray[np.int32]) -> NDArray[np.int32]:
        """An empty slate where nobody looks."""
        event = self._learned
        if event not in self._wanted:
            return np.empty(0, np.int32)
        user_id = self._stream.users[user]
        slate = self.flow.rank(Context(user_id, TOP, t or 1e-9, f"replay:{event}"))
        chosen = [self._number[item.item_id] for item in slate.items]
        taken = int(self._stream.item[event])
        self.samples.append(
            Sample(
                event,
                user,
                self._wanted[event],
                [title_of(self._stream, item_id) for item_id in self.liked(user_id)][::-1],
                [title_of(self._stream, item.item_id) for item in slate.items],
                np.array([item.score for item in slate.items]),
                chosen.index(taken) if taken in chosen else -1,
            )
        )
        return np.array(chosen[:k], np.int32)

    def liked(self, user_id: str) -> list[str]:
        """The items the language model is told, newest first."""
        return self.flow.model.liked_items(user_id, MOST_HISTORY)


def title_of(stream: Stream, item_id: str) -> str:
    """An item's title; its id where it has none."""
    item = stream.catalogue.get(item_id)
    return (item.title if item is not None else "") or item_id


def sampled(stream: Stream, each: int, seed: int) -> dict[int, bool]:
    """Events after the first tenth at which groups begin: so many of cold users, so many of warm ones."""
    before = known_before(stream.user, stream.group)
    starts = np.flatnonzero(np.diff(stream.group, prepend=-1))
    starts = starts[(starts >= len(stream) // 10) & (before[starts] > 0)]
    rng = np.random.default_rng(seed)
    wanted: dict[int, bool] = {}
    for cold in (True, False):
        among = starts[(before[starts] <= COLD) == cold]
        drawn = rng.choice(among, min(each, len(among)), replace=False)
        wanted |= {int(event): cold for event in drawn}
    return wanted


def noted(stream: Stream, each: int, seed: int = 0) -> list[Sample]:
    """Replay the stream and note the samples, oldest first."""
    system = Noting(stream, item_vectors(stream, cache=CACHE / "vectors.sqlite"), sampled(stream, each, seed))
    replay(stream, system, Options(k=TOP))
    return system.samples


def ask(samples: Sequence[Sample], name: str, value: Callable[[Sample], NDArray[Any]]) -> list[float]:
    """Have every sample's candidates valued; returns milliseconds of each request."""
    took = []
    for sample in samples:
        began = time.perf_counter()
        found = np.asarray(value(sample), np.float64)
        took.append(1e3 * (time.perf_counter() - began))
        sample.values[name] = found - found.mean() if len(found) else found
    return took


def gains_of(samples: Sequence[Sample], name: str, weight: float) -> tuple[Float, Float]:
    """HR@10 and NDCG@10 of each sample with `score + weight * value`."""
    hits, gains = np.zeros(len(samples)), np.zeros(len(samples))
    for row, sample in enumerate(samples):
        if sample.place < 0:  # nobody finds it, whatever the order of the others
            continue
        mixed = sample.scores + weight * sample.values[name] if weight else sample.scores
        rank = int(np.flatnonzero(np.argsort(-mixed, kind="stable") == sample.place)[0])
        if rank < K:
            hits[row], gains[row] = 1.0, 1.0 / np.log2(rank + 2)
    return hits, gains


def chosen_weight(samples: Sequence[Sample], name: str) -> float:
    """The weight with the best NDCG@10; the lowest of equals."""
    return max(WEIGHTS, key=lambda weight: (gains_of(samples, name, weight)[1].mean(), -weight))


def difference(samples: Sequence[Sample], name: str, weight: float, metric: int) -> Interval:
    """What the language model adds to the fast clock, with its interval over users."""
    user = np.array([sample.user for sample in samples], np.int32)
    return mean_interval(gains_of(samples, name, weight)[metric] - gains_of(samples, name, 0.0)[metric], user)


def tuned(stream: Stream, until: int, steps: int, seed: int = 0) -> tuple[CausalModel, dict[str, float]]:
    """SmolLM2 after a short LoRA tuning on choices of the events before `until`.

    Short histories are drawn as often as they are: what is tuned is what reads a newcomer's few titles.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    from instep.tune.tasks.ranking import lessons_of, ranking_loss

    torch.manual_seed(seed)
    opened = open_causal()
    sequences: dict[int, list[str]] = {}
    for user, item in zip(stream.user[:until].tolist(), stream.item[:until].tolist(), strict=True):
        titles = sequences.setdefault(user, [])
        if len(titles) < 2 * COLD:
            titles.append(title_of(stream, stream.items[item]))
    catalogue = sorted({title_of(stream, item_id) for item_id in stream.items})
    lessons = lessons_of(list(sequences.values()), catalogue, steps * BATCH, 0, seed)
    layers = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(opened.model, layers)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE)
    rendering, losses, began = Rendering(opened.tokenizer), [], time.perf_counter()
    for step in range(steps):
        batch = lessons[step * BATCH : (step + 1) * BATCH]
        if not batch:
            break
        loss = ranking_loss(model, rendering, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    seconds = (time.perf_counter() - began) / max(1, len(losses))
    tenth = max(1, len(losses) // 4)
    facts = {
        "trained": float(sum(weight.numel() for weight in weights)),
        "seconds": seconds,
        "first": float(np.mean(losses[:tenth])),
        "last": float(np.mean(losses[-tenth:])),
    }
    merged = model.merge_and_unload()
    merged.eval()
    return CausalModel("smollm2-lora", merged, opened.tokenizer), facts


def measure(
    name: str, load: Callable[[int], Stream], each: int, steps: int, events: int
) -> list[dict[str, Any]]:
    """Note the samples, ask the models, print a table, return the claims."""
    stream = load(0)
    stream = stream.first(events) if events else stream
    samples = noted(stream, each)
    within = [sample for sample in samples if sample.place >= 0]
    half = int(np.median([sample.event for sample in samples]))
    print(
        f"{name}: {len(stream):,} events; {len(samples)} requests, in {len(within)} of which the item taken is among "
        f"the best {TOP}; weights are chosen before event {half:,} and judged after it"
    )
    ranker = CausalRanker(open_causal())
    first = ask(within[:5], "warming", lambda sample: ranker.pmi(sample.history, sample.titles, HALF))
    ranker.read_ahead(
        [title for sample in within for title in sample.titles]
    )  # a service has them after a while
    took = ask(within, "half PMI", lambda sample: ranker.pmi(sample.history, sample.titles, HALF))
    ask(within, "PMI", lambda sample: _derived(ranker, sample, 1.0))
    ask(within, "likelihood", lambda sample: _derived(ranker, sample, 0.0))
    if steps:
        model, facts = tuned(stream, half, steps)
        again = CausalRanker(model)
        print(
            f"  LoRA: {facts['trained']:,.0f} parameters, {steps} steps of {BATCH}, {facts['seconds']:.2f} s a step, "
            f"loss {facts['first']:.3f} -> {facts['last']:.3f}"
        )
        again.read_ahead([title for sample in within if sample.event >= half for title in sample.titles])
        late = [sample for sample in within if sample.event >= half]
        ask(late, "LoRA, likelihood", lambda sample: again.log_likelihoods(sample.history, sample.titles))
        for sample in late:
            sample.values["LoRA, half PMI"] = sample.values["LoRA, likelihood"] - _centred(
                HALF * again.alone(sample.titles)
            )
    claims = [_table(name, samples, half, cold) for cold in (True, False)]
    p50, p99 = np.percentile(took, [50, 99])
    print(f"  a request's {TOP} titles: p50 {p50:.0f} ms, p99 {p99:.0f} ms; new titles: {max(first):.0f} ms")
    found = [claim for group in claims for claim in group]
    within_deadline = float(np.mean(np.array(took) < DEADLINE))
    found.append(
        _claim(f"{name}: share of requests answered within {DEADLINE:.0f} ms", within_deadline, 0.99)
    )
    return found


def _derived(ranker: CausalRanker, sample: Sample, less: float) -> NDArray[Any]:
    """Another share of the second term, without asking again."""
    return np.asarray(sample.values["half PMI"] + _centred((HALF - less) * ranker.alone(sample.titles)))


def _centred(values: NDArray[Any]) -> Float:
    return np.asarray(values - values.mean(), np.float64)


def _table(name: str, samples: Sequence[Sample], half: int, cold: bool) -> list[dict[str, Any]]:
    """One line a way of asking, for one kind of users."""
    kind = "cold" if cold else "warm"
    old = [sample for sample in samples if sample.cold == cold and sample.event < half]
    new = [sample for sample in samples if sample.cold == cold and sample.event >= half]
    base = [gains.mean() if len(new) else 0.0 for gains in gains_of(new, "", 0.0)]
    print(f"  {kind} users, {len(new)} requests: fast clock alone HR@10 {base[0]:.4f}  NDCG@10 {base[1]:.4f}")
    claims = []
    for way in ("half PMI", "PMI", "likelihood", "LoRA, half PMI", "LoRA, likelihood"):
        asked = [sample for sample in new if sample.place >= 0]
        if not asked or not all(way in sample.values for sample in asked):
            continue
        zero_shot = way.removeprefix(
            "LoRA, "
        )  # the tuned model has seen the older half: its weight is the plain one's
        weight = chosen_weight(old, zero_shot)
        hr, ndcg = (difference(new, way, weight, metric) for metric in (0, 1))
        print(
            f"    {way:18s} weight {weight:<5}HR@10 {hr.value:+.4f} [{hr.low:+.4f}, {hr.high:+.4f}]  "
            f"NDCG@10 {ndcg.value:+.4f} [{ndcg.low:+.4f}, {ndcg.high:+.4f}]"
        )
        if way in ("half PMI", "LoRA, half PMI"):
            told = f"{name}: gain in NDCG@10, {kind} users, {way}, weight {weight}, lower end of the interval"
            found = _claim(told, ndcg.low, 0.0)
            claims.append(found | {"holds": ndcg.low > 0.0})  # a weight of 0 gains nothing, and shows nothing
    return claims


def _claim(claim: str, value: float, target: float) -> dict[str, Any]:
    return {"claim": claim, "value": round(float(value), 4), "target": target, "holds": bool(value >= target)}


def main() -> None:
    """Measure, print the tables, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a part of the demo's ratings, under 75 s")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--only", default="", metavar="NAME,...", help="demo, online-retail")
    parser.add_argument(
        "--requests", type=int, default=0, help="of cold and of warm users each (500; quick 20)"
    )
    parser.add_argument("--steps", type=int, default=-1, help="of LoRA tuning (40; quick 2)")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(2 if not given.quick else 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    streams = {"demo": demo, "online-retail": online_retail}
    names = [name for name in given.only.split(",") if name] or (["demo"] if given.quick else list(streams))
    each = given.requests or (20 if given.quick else 500)
    steps = given.steps if given.steps >= 0 else (2 if given.quick else 40)
    found: list[dict[str, Any]] = []
    for name in names:
        if name not in streams:
            parser.error(f"there is no stream {name}; there are {', '.join(streams)}")
        if name == "online-retail" and not RETAIL.exists():
            print(f"{name}: skipped, its file is missing")
            continue
        found += measure(name, streams[name], each, steps, 12_000 if given.quick else 0)
    tell(found, given.json)


if __name__ == "__main__":
    main()
