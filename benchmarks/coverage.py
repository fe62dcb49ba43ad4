"""Do 95 % intervals hold the truth 95 % of the time, and how much less noisy is it than inverse propensity scoring?

    python benchmarks/coverage.py [--quick] [--json]

Simulated logs whose truth is known exactly, because every slate can be listed: 6 kinds of users, 8 items, slates of 3
(336 of them), 1,000 impressions a log, two of each user. One Plackett-Luce policy logs, another one is judged. A reward
is graded (the share of a film that was watched, say); what the model of rewards sees is the item and the place, not the
kind of user. Three worlds: one item is shown; places earn by their own items (seen less further down); places earn less
below items that satisfied. A fourth, with rare clicks, is shown and not claimed: there the model of rewards cannot
help, since nearly all noise is that of the click. 5,000 logs, 600 with `--quick`; the standard error of a coverage of
0.95 is 0.003 and 0.009. Estimators, intervals and the model of rewards are Instep's own functions. What errors are
compared with is the first row of each world: IPS of the single choice, or of the whole slate. The second table is of
500 logs (20 with `--quick`) that go one by one through what `instep evaluate` calls, tuned limits included, and says
how often its verdict is wrong; "no change" is the logging policy judged as if it were a candidate.
"""

from __future__ import annotations

if __name__ == "coverage":  # Numba looks for the package of this name, and finds this folder first
    raise ImportError("this is a benchmark, not the package `coverage`")

import argparse
import json
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from instep.evaluate.offpolicy import (
    Rounds,
    Spread,
    cascade_dr,
    cascade_ips,
    dr,
    ips,
    judge,
    pseudo_inverse,
    single_choices,
    slate_ips,
    sndr,
    snips,
    weighted_pseudo_inverse,
)
from instep.evaluate.offpolicy.intervals import bernstein, bootstrap, corrected
from instep.evaluate.offpolicy.odds import Odds, pseudo_inverse_factor
from instep.evaluate.offpolicy.rates import FOLDS, cell_sums, held_out, shrunk_rates

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

KINDS: Final = 6
ITEMS: Final = 8
PLACES: Final = 3
USERS: Final = 500
EACH: Final = 2
ROWS: Final = USERS * EACH
CHUNK: Final = 100
RESAMPLES: Final = 1000
BOUNDED: Final = 500
CLAIMED: Final = ("one item", "own items", "cascade")


@dataclass(frozen=True)
class Claim:
    """One line of the JSON object."""

    claim: str
    value: float
    target: float
    holds: bool


@dataclass(frozen=True)
class World:
    """Everything that can be shown and what it earns; t kinds of users, s slates, k places, a items.

    Args:
        name: of the world.
        slates: int64 (s, k), items.
        logging: float64 (t, s), how often the logging policy shows each slate.
        candidate: float64 (t, s), and the candidate.
        prefix: float64 (t, s, k), product of the weights up to each place.
        marginal: float64 (t, s, k), weights of each item at its place.
        spread: float64 (t, k, a), what the candidate puts where.
        following: float64 (t, s, k, a), what it puts at a place after the slate's items above.
        factor: float64 (t, s), weights of the pseudo-inverse.
        mean: float64 (t, s, k), what places earn on average.
        clicks: whether a reward is a click; else it is graded.
    """

    name: str
    slates: I64
    logging: F64
    candidate: F64
    prefix: F64
    marginal: F64
    spread: F64
    following: F64
    factor: F64
    mean: F64
    clicks: bool

    @property
    def truth(self) -> float:
        """What the candidate earns."""
        return float((self.candidate * self.mean.sum(-1)).sum() / KINDS)


def plackett_luce(worth: F64, slates: I64) -> tuple[F64, F64]:
    """Probabilities of slates place by place, float64 (t, s, k), and of every item there, (t, s, k, a)."""
    slates_, places = slates.shape
    left = np.repeat(worth[:, None], slates_, 1)
    given, every = np.empty((len(worth), slates_, places)), []
    for place in range(places):
        share = left / left.sum(-1, keepdims=True)
        every.append(share)
        given[:, :, place] = share[:, np.arange(slates_), slates[:, place]]
        left = left.copy()
        left[:, np.arange(slates_), slates[:, place]] = 0.0
    return given, np.stack(every, 2)


def make_world(name: str, places: int, clicks: bool = False) -> World:
    """A world; the same one for the same name."""
    rng = np.random.default_rng(20)
    slates = np.array(list(permutations(range(ITEMS), places)))
    base = np.linspace(0.2, 0.9, ITEMS) + 0.05 * rng.standard_normal((KINDS, ITEMS))
    rate = np.clip(base, 0.05, 1.0)
    taste = rng.standard_normal((KINDS, ITEMS))
    logging, _ = plackett_luce(np.exp(0.4 * taste), slates)
    candidate, following = plackett_luce(np.exp(0.4 * rng.standard_normal((KINDS, ITEMS)) + rate), slates)
    shown, wanted = logging.prod(-1), candidate.prod(-1)
    at = np.arange(places)
    spread, ours = np.zeros((KINDS, places, ITEMS)), np.zeros((KINDS, places, ITEMS))
    for kind in range(KINDS):
        for place in at:
            spread[kind, place] = np.bincount(slates[:, place], wanted[kind], minlength=ITEMS)
            ours[kind, place] = np.bincount(slates[:, place], shown[kind], minlength=ITEMS)
    mean = rate[:, slates]
    if name == "cascade":
        unsatisfied = np.cumprod(1.0 - 0.5 * mean, -1)
        mean = mean * np.concatenate([np.ones_like(mean[..., :1]), unsatisfied[..., :-1]], -1)
    else:
        mean = mean / (1.0 + 0.5 * at)
    return World(
        name,
        slates,
        shown,
        wanted,
        np.cumprod(candidate / logging, -1),
        (spread / ours)[:, at, slates],
        spread,
        following,
        factors(slates, shown, wanted),
        0.05 * mean if clicks else mean,
        clicks,
    )


def factors(slates: I64, shown: F64, wanted: F64) -> F64:
    """Weights of the pseudo-inverse, float64 (t, s)."""
    small = slates.astype(np.int32)
    found = np.empty(shown.shape)
    for kind in range(len(shown)):
        ours, theirs = Odds(small, shown[kind], True), Odds(small, wanted[kind], True)
        found[kind] = [pseudo_inverse_factor(ours, theirs, slate) for slate in small]
    return found


def draw(world: World, logs: int, rng: np.random.Generator) -> tuple[I64, I64, F64]:
    """Logs: kinds of users int64 (l, n), slates int64 (l, n), rewards float64 (l, n, k)."""
    kind = np.repeat(rng.integers(KINDS, size=(logs, USERS)), EACH, axis=1)
    below = np.cumsum(world.logging, 1)
    slate = np.empty_like(kind)
    point = rng.random(kind.shape)
    for each in range(KINDS):
        mine = kind == each
        slate[mine] = np.minimum(np.searchsorted(below[each], point[mine]), len(world.slates) - 1)
    mean = world.mean[kind, slate]
    noise = rng.random(mean.shape)
    return kind, slate, (noise < mean).astype(float) if world.clicks else mean * (0.5 + noise)


def estimates(world: World, kind: I64, slate: I64, reward: F64) -> dict[str, F64]:
    """What each estimator says of each impression: float64 (l, n) by name."""
    logs, places = len(kind), reward.shape[-1]
    item = world.slates[slate]
    fold = np.broadcast_to(np.arange(ROWS) // EACH % FOLDS, kind.shape)
    log = np.arange(logs)[:, None]
    cell = (log[..., None] * places + np.arange(places)) * ITEMS + item
    flat, folds = cell.reshape(-1).astype(np.int32), np.repeat(fold.reshape(-1), places).astype(np.int32)
    shape = (FOLDS, logs, places, ITEMS)
    cells = logs * places * ITEMS
    total = held_out(cell_sums(flat, folds, reward.reshape(-1), cells)).reshape(shape)
    count = held_out(cell_sums(flat, folds, np.ones(flat.shape), cells)).reshape(shape)
    rates = shrunk_rates(total, count)
    predicted = rates[fold[..., None], log[..., None], np.arange(places), item]
    anywhere = np.einsum("tka,flka->fltk", world.spread, rates)[fold, log, kind]
    rounds = Rounds(world.marginal[kind, slate], reward, predicted, anywhere)
    made = {"ips": ips(rounds), "snips": snips(rounds), "dr": dr(rounds), "sndr": sndr(rounds)}
    if places == 1:
        return made
    prefix = world.prefix[kind, slate]
    if world.name == "cascade":
        after = np.einsum("tska,flka->fltsk", world.following, rates)[fold, log, kind, slate]
        made = {
            "cascade-ips": cascade_ips(prefix, reward),
            "cascade-dr": cascade_dr(prefix, reward, predicted, after),
        }
    else:
        factor = world.factor[kind, slate]
        made["pseudo-inverse"] = pseudo_inverse(factor, reward)
        made["weighted-pseudo-inverse"] = weighted_pseudo_inverse(factor, reward)
    return {"slate-ips": slate_ips(prefix, reward), **made}


@dataclass
class Score:
    """How an estimator did.

    Args:
        errors: estimate minus truth of each log.
        held: whether the resampled interval held the truth, of each log.
        bounded: whether the Bernstein interval did, of the first logs.
        widths: of the resampled intervals.
    """

    errors: list[float]
    held: list[bool]
    bounded: list[bool]
    widths: list[float]

    @property
    def mean_squared_error(self) -> float:
        """Of the estimates."""
        return float(np.mean(np.square(self.errors)))


def run(world: World, logs: int, seed: int) -> dict[str, Score]:
    """Every estimator on so many logs of a world."""
    scores: dict[str, Score] = {}
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(USERS, dtype=np.int32), EACH)
    truth = world.truth
    for start in range(0, logs, CHUNK):
        size = min(CHUNK, logs - start)
        made = estimates(world, *draw(world, size, rng))
        for name, parts in made.items():
            score = scores.setdefault(name, Score([], [], [], []))
            sums = parts.reshape(size, USERS, EACH).sum(-1).T
            counted = np.concatenate([sums, np.full((USERS, 1), float(EACH))], 1)
            low, high = corrected(counted, bootstrap(counted, start, RESAMPLES))
            score.errors += (parts.mean(-1) - truth).tolist()
            score.held += ((low <= truth) & (truth <= high)).tolist()
            score.widths += (high - low).tolist()
            if start < BOUNDED:
                bounds = [bernstein(each, user) for each in parts]
                score.bounded += [bound.low <= truth <= bound.high for bound in bounds]
    return scores


def judged(world: World, logs: int, seed: int, same: bool = False) -> tuple[dict[str, float], float]:
    """Logs of single choices through `judge`, one after the other.

    Args:
        world: of one place.
        logs: how many.
        seed: of the draws.
        same: whether the logging policy is the candidate, so that any gain is a mistake.

    Returns:
        The share of logs in which each estimator's interval holds the truth; the share of wrong verdicts.
    """
    kinds, slates, rewards = draw(world, logs, np.random.default_rng(seed))
    items = world.slates[:, 0]
    wanted = world.logging if same else world.candidate
    earned = [float((share * world.mean[..., 0]).sum() / KINDS) for share in (wanted, world.logging)]
    gain = earned[0] - earned[1]
    kind, item = (index.reshape(-1).astype(np.int32) for index in np.indices((KINDS, ITEMS)))
    held: dict[str, list[bool]] = {}
    wrong = []
    for log in range(logs):
        of, slate, none = kinds[log], slates[log], np.zeros_like(kind)
        shown = items[slate].astype(np.int32)
        spread = Spread(
            of.astype(np.int32), kind, none, none, items[item].astype(np.int32), wanted.reshape(-1)
        )
        choices = single_choices(
            shown,
            np.zeros_like(shown),
            rewards[log, :, 0],
            world.logging[of, slate],
            wanted[of, slate],
            spread,
        )
        user = np.repeat(np.arange(USERS, dtype=np.int32), EACH)
        verdict = judge(replace(choices, user=user), log)
        for each in verdict.estimates:
            held.setdefault(each.name, []).append(each.interval.low <= earned[0] <= each.interval.high)
        wrong.append((verdict.says == "better" and gain <= 0) or (verdict.says == "worse" and gain >= 0))
    return {name: float(np.mean(each)) for name, each in held.items()}, float(np.mean(wrong))


def main() -> None:
    """Print the table and the claims."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="600 logs instead of 5,000")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    given = parser.parse_args()
    logs = 600 if given.quick else 5000
    worlds = [make_world("one item", 1), make_world("own items", PLACES), make_world("cascade", PLACES)]
    worlds.append(make_world("rare clicks", 1, clicks=True))
    table = Table(title=f"{logs:,} logs of {ROWS:,} impressions")
    for column in ("world", "truth", "estimator", "coverage", "Bernstein", "bias", "MSE / IPS's", "width"):
        table.add_column(column)
    claims: list[Claim] = []
    for world in worlds:
        scores = run(world, logs, 1)
        base = next(iter(scores.values())).mean_squared_error
        for place, (name, score) in enumerate(scores.items()):
            coverage, ratio = float(np.mean(score.held)), score.mean_squared_error / base
            table.add_row(
                world.name,
                f"{world.truth:.4f}",
                name,
                f"{coverage:.3f}",
                f"{np.mean(score.bounded):.3f}",
                f"{np.mean(score.errors):+.5f}",
                f"{ratio:.2f}",
                f"{np.mean(score.widths):.4f}",
            )
            if world.name in CLAIMED and (place > 0 or world.name == "cascade"):
                claims += claim(f"{name}, {world.name}", coverage, ratio, name)
    through = Table(title="coverage through `judge`, and wrong verdicts")
    one, rare = worlds[0], worlds[-1]
    runs = {"one item": (one, False), "rare clicks": (rare, False)}
    runs |= {"one item, no change": (one, True), "rare clicks, no change": (rare, True)}
    for name, (world, same) in runs.items():
        shares, wrong = judged(world, 20 if given.quick else 500, 2, same)
        if not through.columns:
            for column in ("world", *shares, "wrong verdicts"):
                through.add_column(column)
        through.add_row(name, *(f"{share:.3f}" for share in shares.values()), f"{wrong:.3f}")
    Console(width=140).print(table)
    Console(width=140).print(through)
    for each in claims:
        print(f"{'holds' if each.holds else 'MISSED'}  {each.claim}: {each.value:.3f} (target {each.target})")
    if given.json:
        print(json.dumps({"claims": [asdict(each) for each in claims]}))


def claim(what: str, coverage: float, ratio: float, name: str) -> list[Claim]:
    """Coverage within 0.01 of 0.95; half the error where the estimator is one that promises it."""
    made = [Claim(f"coverage of 95 % intervals: {what}", coverage, 0.95, 0.94 <= coverage <= 0.96)]
    if name in ("dr", "cascade-dr", "pseudo-inverse", "weighted-pseudo-inverse"):
        made.append(Claim(f"mean squared error over IPS's: {what}", ratio, 0.5, ratio <= 0.5))
    return made


if __name__ == "__main__":
    main()
