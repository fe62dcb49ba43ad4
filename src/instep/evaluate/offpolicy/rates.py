"""The model of rewards: how much an item earns at a place, shrunk to the place's usual; fitted on others' folds.

It is ridge regression on one indicator for each item, with an intercept, for each place apart, which has a closed
form. An estimate never uses a prediction that its own impression's user helped to fit (cross-fitting), so that
doubly robust estimators stay unbiased whatever the model is worth.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from instep.evaluate.base import Float64, Int32

FOLDS: Final = 5
RIDGE: Final = 10.0


def cell_sums(cell: Int32, fold: Int32, values: Float64, cells: int, folds: int = FOLDS) -> Float64:
    """Sums of values by fold and cell.

    Args:
        cell: int32 (m,), which cell (item at a place); negative ones are left out.
        fold: int32 (m,), 0 <= fold < folds.
        values: float64 (m,).
        cells: how many cells there are.
        folds: how many folds there are.

    Returns:
        float64 (folds, cells).
    """
    known = cell >= 0
    flat = fold[known].astype(np.int64) * cells + cell[known]
    sums = np.bincount(flat, values[known], minlength=folds * cells)
    return sums.reshape(folds, cells).astype(np.float64)


def held_out(sums: Float64) -> Float64:
    """Sums over all folds but each: float64 (folds, ...) to the same shape; itself where there is one fold."""
    return sums if len(sums) == 1 else sums.sum(0) - sums


def shrunk_rates(total: Float64, weight: Float64, ridge: float = RIDGE) -> Float64:
    """Mean reward of each cell, shrunk to a mean over the last axis's cells.

    Args:
        total: float64 (..., cells), summed rewards, each times its weight.
        weight: float64 (..., cells), summed weights; 0 for a cell never seen, which gets the mean.
        ridge: as many impressions of weight 1 pull a cell to the mean.

    Source: ridge regression on indicators with an intercept that is not penalised, solved by hand.

    >>> shrunk_rates(np.array([5.0, 0.0, 0.0]), np.array([10.0, 10.0, 0.0]), 10.0).tolist()
    [0.375, 0.125, 0.25]
    """
    hold = weight * ridge / np.maximum(weight + ridge, 1e-300)
    mean = total / np.where(weight > 0, weight, 1.0)
    scale = hold.sum(-1, keepdims=True)
    usual = (hold * mean).sum(-1, keepdims=True) / np.where(scale > 0, scale, 1.0)
    return np.asarray((total + ridge * usual) / (weight + ridge))


def robust_weights(candidate: Float64, logged: Float64) -> Float64:
    """Weights of the fit that makes doubly robust estimates least noisy (MRDR).

    Args:
        candidate: float64 (...,), P(logged item at its place) by the candidate.
        logged: float64 (...,), by the logging policy.

    Source: Farajtabar, Chow and Ghavamzadeh 2018, eq. 10.

    >>> robust_weights(np.array([0.5]), np.array([0.25])).tolist()
    [6.0]
    """
    return np.asarray(candidate * (1.0 - logged) / logged**2)
