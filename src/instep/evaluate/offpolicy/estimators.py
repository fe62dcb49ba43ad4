"""Estimators: what another policy would have earned, from what was logged.

Laws:
- An estimator returns one number for each impression, and its estimate is their mean. For self-normalised estimators,
  which are ratios of means, it is the ratio made linear around its value: same mean, and the spread that matters.
- Leading axes are independent logs: arrays of shape (..., n, k) give (..., n), so that simulations need no loop.
- A place that a slate does not have has reward 0 and weight 1.

Single choices (`ips` to `dros`) take every place of a slate for a choice of its own. Slates have the rest:
what a place earns depends on the whole slate (`slate_ips`), on the items up to it (`cascade_ips`,
`cascade_dr`), or the slate's reward is a sum of what each item earns at its place (`pseudo_inverse`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from instep.evaluate.base import Float64

NO_WEIGHT: Final = 1e-300


@dataclass(frozen=True)
class Rounds:
    """What estimators of single choices read; all arrays are float64 (..., n, k).

    Args:
        weight: P(candidate puts the logged item at its place) over P(the logging policy does).
        reward: what the place earned.
        predicted: reward that a model expects of the logged item at its place; 0 without a model.
        expected: the same, averaged over the items that the candidate would put there.
    """

    weight: Float64
    reward: Float64
    predicted: Float64
    expected: Float64


def ips(rounds: Rounds) -> Float64:
    """Inverse propensity scoring: unbiased where there is overlap, and noisy.

    Source: Horvitz and Thompson 1952; Strehl et al. 2010.

    >>> half = np.full((2, 1), 0.5)
    >>> ips(Rounds(2 * half, np.array([[1.0], [0.0]]), half, half)).tolist()
    [1.0, 0.0]
    """
    return _summed(rounds.weight * rounds.reward)


def clipped_ips(rounds: Rounds, most: float) -> Float64:
    """IPS with no weight above `most`: less noise, and too low an estimate where rewards are positive.

    Source: Bottou et al. 2013, section 4.4.
    """
    return _summed(np.minimum(rounds.weight, most) * rounds.reward)


def snips(rounds: Rounds) -> Float64:
    """Self-normalised IPS: the weights are made to average 1 at every place.

    Source: Swaminathan and Joachims 2015, "The Self-Normalized Estimator".
    """
    return _summed(_over_mean(rounds.weight * rounds.reward, rounds.weight))


def dm(rounds: Rounds) -> Float64:
    """Direct method: what the model of rewards expects of the candidate; as biased as the model is."""
    return _summed(rounds.expected)


def dr(rounds: Rounds) -> Float64:
    """Doubly robust: the model's expectation, corrected by IPS of what it got wrong.

    With predictions that were fitted by `rates.robust_weights` it is MRDR (Farajtabar et al. 2018).

    Source: Dudík et al. 2014, eq. 7.
    """
    return _summed(rounds.expected + rounds.weight * (rounds.reward - rounds.predicted))


def sndr(rounds: Rounds) -> Float64:
    """Doubly robust with self-normalised weights.

    Source: Kallus and Uehara 2019.
    """
    correction = _over_mean(rounds.weight * (rounds.reward - rounds.predicted), rounds.weight)
    return _summed(rounds.expected + correction)


def switch_dr(rounds: Rounds, most: float) -> Float64:
    """Doubly robust where the weight is at most `most`, the model alone elsewhere.

    Source: Wang, Agarwal and Dudík 2017.
    """
    weight = switched(rounds.weight, most)
    return _summed(rounds.expected + weight * (rounds.reward - rounds.predicted))


def dros(rounds: Rounds, shrinkage: float) -> Float64:
    """Doubly robust with optimistic shrinkage of the weights.

    Args:
        rounds: see `Rounds`.
        shrinkage: lambda, 0 (the direct method) to infinity (doubly robust); `tuning.tuned_shrinkage` picks one.

    Source: Su et al. 2020, eq. 6.
    """
    weight = shrunk(rounds.weight, shrinkage)
    return _summed(rounds.expected + weight * (rounds.reward - rounds.predicted))


def switched(weight: Float64, most: float) -> Float64:
    """Weights of `switch_dr`: 0 above `most`."""
    return np.where(weight <= most, weight, 0.0)


def shrunk(weight: Float64, shrinkage: float) -> Float64:
    """Weights of `dros`: lambda w / (w² + lambda).

    >>> shrunk(np.array([1.0, 10.0]), np.inf).tolist()
    [1.0, 10.0]
    >>> shrunk(np.array([1.0, 10.0]), 100.0).round(3).tolist()
    [0.99, 5.0]
    """
    if np.isinf(shrinkage):
        return weight
    return shrinkage * weight / np.maximum(weight**2 + shrinkage, NO_WEIGHT)


def slate_ips(prefix: Float64, reward: Float64) -> Float64:
    """IPS of whole slates: assumes nothing of users, and needs the whole slate to be one that was logged.

    Args:
        prefix: float64 (..., n, k), product of the weights up to each place.
        reward: float64 (..., n, k), what each place earned.
    """
    return np.asarray(prefix[..., -1] * reward.sum(-1))


def cascade_ips(prefix: Float64, reward: Float64) -> Float64:
    """Reward-interaction IPS: what a place earns depends on the items up to it, and on none below.

    Args:
        prefix: float64 (..., n, k), product of the weights up to each place.
        reward: float64 (..., n, k), what each place earned.

    Source: McInerney et al. 2020, "Counterfactual Evaluation of Slate Recommendations".
    """
    return _summed(prefix * reward)


def cascade_dr(prefix: Float64, reward: Float64, predicted: Float64, expected: Float64) -> Float64:
    """Doubly robust for cascades.

    Args:
        prefix: float64 (..., n, k), product of the weights up to each place.
        reward: float64 (..., n, k), what each place earned.
        predicted: float64 (..., n, k), what a model expects the logged item at its place to earn.
        expected: float64 (..., n, k), the same averaged over what the candidate would put at that place after the
            logged items above it.

    The model's part of the places below is the same for every item of a place, so that it cancels but for the
    difference of two weights; `future` is that part.

    Source: Kiyohara et al. 2022, "Doubly Robust Off-Policy Evaluation for Ranking Policies under the Cascade
    Behavior Model", eq. 8.
    """
    before = np.concatenate([np.ones_like(prefix[..., :1]), prefix[..., :-1]], -1)
    # Below a place the model expects what it expects on average, weighted: a constant of each place.
    below = (before * expected).mean(-2, keepdims=True)
    future = np.flip(np.cumsum(np.flip(below, -1), -1), -1) - below
    return _summed(before * (expected + future) + prefix * (reward - predicted - future))


def pseudo_inverse(factor: Float64, reward: Float64) -> Float64:
    """The slate's reward by the weight that is right for sums over places.

    Args:
        factor: float64 (..., n), see `odds.pseudo_inverse_factor`.
        reward: float64 (..., n, k), what each place earned.

    Source: Swaminathan et al. 2017, "Off-Policy Evaluation for Slate Recommendation", eq. 4.
    """
    return np.asarray(factor * reward.sum(-1))


def weighted_pseudo_inverse(factor: Float64, reward: Float64) -> Float64:
    """The same with factors that are made to average 1.

    Args:
        factor: float64 (..., n), see `odds.pseudo_inverse_factor`.
        reward: float64 (..., n, k), what each place earned.

    Source: Swaminathan et al. 2017, section 4 (wPI).
    """
    above = pseudo_inverse(factor, reward)
    return _summed(_over_mean(above[..., None], factor[..., None]))


def _summed(places: Float64) -> Float64:
    return np.asarray(places.sum(-1))


def _over_mean(above: Float64, below: Float64) -> Float64:
    """mean(above) / mean(below) of each place, made linear around its value; same shape."""
    mean = below.mean(-2, keepdims=True)
    safe = np.where(mean > NO_WEIGHT, mean, 1.0)
    ratio = above.mean(-2, keepdims=True) / safe
    return np.asarray(ratio + (above - ratio * below) / safe)
