"""Top-K off-policy REINFORCE: a correction of the ranker's weights, learned from logged slates.

The ranker learns from what was taken, wherever it was seen. The log knows more: what was shown, how likely, at which
place, and what it led to. The policy ``pi = softmax(ranker's score + tilt . signals)`` is moved along

    pi(a) / b(a)  *  K (1 - pi(a))^(K - 1)  *  (reward - usual)  *  gradient of log pi(a)

for each shown item a with its logged propensity b (weights are capped); the second factor is for slates of K items, of
which it is enough that one is the right one. What is usual at the place is taken off the reward, so that being passed
over counts against an item, and being seen first does not count for it. The log is replayed, so that the signals are
those of the moment.

Source: Chen et al. 2019, "Top-K Off-Policy Correction for a REINFORCE Recommender System", eqs. 3 and 6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError, Feedback, Impression
from instep.flow import Flow
from instep.log import Log, MemoryLog
from instep.model import HEADROOM, Model
from instep.policy import Taught
from instep.score import SIGNALS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MOST_WEIGHT: Final = 10.0
HELD_OUT: Final = 0.25
EPOCHS: Final = 12
BATCH: Final = 256
RATE: Final = 0.02
NEAR: Final = 1e-3  # how strongly the tilt is drawn to zero
LEAST: Final = 50
SURE: Final = 1.645  # standard errors of a one-sided 95 %


class Lessons(NamedTuple):
    """Logged slates, oldest first.

    Args:
        scores: float32 (s, m), the ranker's at the time; -inf where there were fewer candidates.
        signals: float32 (s, m, signals).
        place: int32 (s, k), which candidate was shown at each place, -1 for none of them.
        propensity: float32 (s, k).
        reward: float32 (s, k), what each place led to, not below 0.
    """

    scores: F32
    signals: F32
    place: NDArray[np.int32]
    propensity: F32
    reward: F32


def collect(
    log: Log, flow: Flow, slates: int = 10_000, progress: Callable[[int], None] | None = None
) -> Lessons:
    """Replay a log and note what each of the newest slates was chosen from, and what it led to.

    Args:
        log: read from its beginning.
        flow: whose settings are used; its own state is not touched.
        slates: how many at most.
        progress: is told offsets.

    Raises:
        ConfigError: the log has too few slates, or none was drawn at random.
    """
    model: Model = Flow(MemoryLog(), flow.settings).model
    shown: deque[tuple[F32, F32, list[int], tuple[float, ...]]] = deque(maxlen=slates)
    number: dict[str, tuple[int, tuple[str, ...]]] = {}
    earned: dict[tuple[int, int], float] = {}
    for entry in log.read(0):
        record = entry.record
        if isinstance(record, Impression) and record.item_ids:
            length = len(record.item_ids) + HEADROOM
            items, scores, signals = model.considered(record.user_id, record.timestamp, length)
            place = {item: at for at, item in enumerate(items.tolist())}
            rows = [model.state.item_number.get(item_id, -1) for item_id in record.item_ids]
            number[record.event_id] = len(number), record.item_ids
            shown.append((scores, signals, [place.get(row, -1) for row in rows], record.propensities))
        elif isinstance(record, Feedback) and record.slate_id in number:
            slate, item_ids = number[record.slate_id]
            if record.item_id in item_ids:
                key = (slate, item_ids.index(record.item_id))
                earned[key] = earned.get(key, 0.0) + model.reward_of(record)
        model.learn((entry,))
        if progress is not None and entry.offset % 1000 == 0:
            progress(entry.offset)
    if len(shown) < LEAST:
        raise ConfigError(f"the log has {len(shown)} slates; at least {LEAST} are needed to learn from")
    if all(min(chances) >= 1.0 for *_, chances in shown):
        raise ConfigError(
            f"all {len(shown):,} slates were certain to be shown as they were, so the log cannot tell what others "
            "would have earned; serve with a policy that explores first (docs/policies.md)"
        )
    return _arranged(list(shown), earned, len(number) - len(shown))


def _arranged(
    shown: list[tuple[F32, F32, list[int], tuple[float, ...]]],
    earned: dict[tuple[int, int], float],
    first: int,
) -> Lessons:
    """Slates of any length as arrays; `first` is the number of the oldest."""
    count = len(shown)
    m = max(len(scores) for scores, *_ in shown)
    k = max(len(places) for _, _, places, _ in shown)
    lessons = Lessons(
        np.full((count, m), -np.inf, np.float32),
        np.zeros((count, m, len(SIGNALS)), np.float32),
        np.full((count, k), -1, np.int32),
        np.ones((count, k), np.float32),
        np.zeros((count, k), np.float32),
    )
    for row, (scores, signals, places, chances) in enumerate(shown):
        lessons.scores[row, : len(scores)] = scores
        lessons.signals[row, : len(scores)] = signals
        lessons.place[row, : len(places)] = places
        lessons.propensity[row, : len(chances)] = chances
        for at in range(len(places)):
            lessons.reward[row, at] = max(earned.get((first + row, at), 0.0), 0.0)
    return lessons


def teach(lessons: Lessons, seed: int = 0) -> Taught:
    """Learn a tilt from the older slates and estimate its gain on the newest quarter.

    Args:
        lessons: as `collect` gives them.
        seed: of the order in which slates are gone through.

    Returns:
        What was learned. Do not use it when its `least` gain is below zero: then nothing shows that it is better.
    """
    count = len(lessons.scores)
    split = count - round(HELD_OUT * count)
    old, new = _some(lessons, np.arange(split)), _some(lessons, np.arange(split, count))
    usual = old.reward.sum(0) / np.maximum((old.place >= 0).sum(0), 1)
    rng = np.random.default_rng(seed)
    tilt = np.zeros(len(SIGNALS))
    mean, square, step = np.zeros_like(tilt), np.zeros_like(tilt), 0
    for _ in range(EPOCHS):
        order = rng.permutation(split)
        for start in range(0, split, BATCH):
            gradient = _gradient(_some(old, order[start : start + BATCH]), tilt, usual)
            step += 1  # Adam, Kingma and Ba 2015
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            tilt += RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    gains = _values(new, tilt) - _values(new, np.zeros_like(tilt))
    gain, error = float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))
    named = {name: round(float(value), 6) for name, value in zip(SIGNALS, tilt, strict=True)}
    return Taught(named, split, gain, gain - SURE * error)


def _some(lessons: Lessons, rows: NDArray[np.int64]) -> Lessons:
    """Some of the slates."""
    return Lessons(
        lessons.scores[rows],
        lessons.signals[rows],
        lessons.place[rows],
        lessons.propensity[rows],
        lessons.reward[rows],
    )


def _probabilities(lessons: Lessons, tilt: F64) -> F64:
    """The policy's softmax over each slate's candidates: float64 (s, m)."""
    logits = lessons.scores + lessons.signals @ tilt.astype(np.float32)
    logits -= logits.max(1, keepdims=True)
    mass = np.exp(logits.astype(np.float64))
    mass /= mass.sum(1, keepdims=True)
    return np.asarray(mass)


def _gradient(lessons: Lessons, tilt: F64, usual: F32) -> F64:
    """Of the corrected objective, per slate: float64 (signals,)."""
    pi = _probabilities(lessons, tilt)
    rows, at = np.nonzero(lessons.place >= 0)
    place, k = lessons.place[rows, at], (lessons.place >= 0).sum(1)[rows]
    own = pi[rows, place]
    weight = np.minimum(own / lessons.propensity[rows, at], MOST_WEIGHT)
    weight *= k * (1.0 - own) ** (k - 1) * (lessons.reward[rows, at] - usual[at])
    mean = np.einsum("sm,smf->sf", pi, lessons.signals)
    toward = lessons.signals[rows, place] - mean[rows]
    return np.asarray((weight[:, None] * toward).sum(0) / len(pi) - NEAR * tilt)


def _values(lessons: Lessons, tilt: F64) -> F64:
    """What each slate says the policy would have earned, had it filled one place at a time: float64 (s,).

    Each place is weighted by the policy's probability of its item, given the items logged before it, over the logged
    one (capped), and the weights are normalised to one on average; the slates' numbers are linear in the reward around
    the mean, so that their spread tells the mean's error.

    Source: Swaminathan and Joachims 2015, "The Self-Normalized Estimator for Counterfactual Learning".
    """
    left = _probabilities(lessons, tilt)
    value, rows = np.zeros(len(left)), np.arange(len(left))
    for at in range(lessons.place.shape[1]):
        place, reward = lessons.place[:, at], lessons.reward[:, at]
        own = left[rows, np.maximum(place, 0)] / np.maximum(left.sum(1), 1e-12)
        weight = np.minimum(np.where(place >= 0, own / lessons.propensity[:, at], 0.0), MOST_WEIGHT)
        whole = max(float(weight.mean()), 1e-12)
        mean = float((weight * reward).mean()) / whole
        value += mean + weight * (reward - mean) / whole
        left[rows[place >= 0], place[place >= 0]] = 0.0
    return value
