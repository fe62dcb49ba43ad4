"""What every estimate is made of: logged slates, what they earned, and what two policies think of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from instep.evaluate.base import Float64, Int32


@dataclass(frozen=True)
class Spread:
    """What the candidate would put where, as a sparse table of e entries; impressions that are alike share a pattern.

    Args:
        pattern: int32 (n,), which pattern each impression has.
        of: int32 (e,), which pattern an entry belongs to.
        place: int32 (e,), at which place of the slate.
        kind: int32 (e,), which kind of place that is.
        item: int32 (e,), which item.
        share: float64 (e,), how likely.
    """

    pattern: Int32
    of: Int32
    place: Int32
    kind: Int32
    item: Int32
    share: Float64

    def mean(self, value: Float64, places: int) -> Float64:
        """Means of what entries are worth, by impression and place.

        Args:
            value: float64 (e,).
            places: how many there are in a slate, k.

        Returns:
            float64 (n, k); 0 where there are no entries.
        """
        patterns = int(self.pattern.max(initial=0)) + 1
        flat = self.of.astype(np.int64) * places + self.place
        sums = np.bincount(flat, self.share * value, minlength=patterns * places)
        return sums.reshape(-1, places)[self.pattern].astype(np.float64)


@dataclass(frozen=True)
class Logged:
    """n logged slates of at most k places.

    A place that a slate does not have holds item -1, reward 0 and probabilities 1.

    Args:
        item: int32 (n, k), numbers of the items shown.
        kind: int32 (n, k), which kind of place it is; rewards are modelled by item and kind of place.
        reward: float64 (n, k), what each place earned.
        logged: float64 (n, k), probability of each item at its place given those above it, as the log says.
        candidate: float64 (n, k), the same by the candidate.
        user: int32 (n,), whose the impressions are.
        logged_marginal: float64 (n, k), probability of each item at its place, whatever is above; NaN where the
            logging policy's odds are not known.
        candidate_marginal: float64 (n, k), the same by the candidate.
        factor: float64 (n,), see `odds.pseudo_inverse_factor`; NaN where it is not known.
        anywhere: what the candidate would put at each place, whatever is above.
        following: what the candidate would put at each place after the logged items above it.
        reproduced: float64 (n,), 1 where a replay of the logging policy gives the logged propensities, 0 where it does
            not, NaN where nothing was replayed.
        notes: what was left out, and how many.
        names: the items' ids by their numbers; empty where they are not known.
    """

    item: Int32
    kind: Int32
    reward: Float64
    logged: Float64
    candidate: Float64
    user: Int32
    logged_marginal: Float64
    candidate_marginal: Float64
    factor: Float64
    anywhere: Spread
    following: Spread
    reproduced: Float64
    notes: dict[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item)

    @property
    def prefix(self) -> Float64:
        """float64 (n, k), product of the candidate's weights up to each place."""
        return np.asarray(np.cumprod(self.candidate / self.logged, axis=1), np.float64)


def single_choices(
    item: Int32, kind: Int32, reward: Float64, logged: Float64, candidate: Float64, spread: Spread
) -> Logged:
    """A log of single choices, each somebody else's, for which a probability at a place is a probability.

    Args:
        item: int32 (n,), what was shown.
        kind: int32 (n,), on which kind of place.
        reward: float64 (n,).
        logged: float64 (n,), its probability, in (0, 1].
        candidate: float64 (n,), its probability by the candidate.
        spread: all that the candidate would show.
    """
    ours, theirs = logged[:, None], candidate[:, None]
    return Logged(
        item[:, None],
        kind[:, None],
        reward[:, None],
        ours,
        theirs,
        np.arange(len(item), dtype=np.int32),
        ours,
        theirs,
        candidate / logged,
        spread,
        spread,
        np.full(len(item), np.nan),
    )
