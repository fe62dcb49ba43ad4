"""Who is in which arm: by hashes of the user's id, so that it needs no memory and never changes.

A layer has 10,000 buckets; every running experiment of the layer has some of them to itself, so that no user is in two
experiments of one layer. Which arm a user gets within an experiment comes from another hash, which the experiment's
name is part of: users whom an earlier experiment treated alike are mixed anew.

Source: Tang et al. 2010, "Overlapping Experiment Infrastructure: More, Better, Faster Experimentation", section 4.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from instep.state.trials import Trial, Trials

BUCKETS: Final = 10_000
EVERY_ARM: Final = -1


def unit_hash(salt: str, user_id: str) -> float:
    """A user's place in [0, 1), another one for every salt.

    >>> 0.0 <= unit_hash("layer", "u1") < 1.0, unit_hash("a", "u1") == unit_hash("b", "u1")
    (True, False)
    """
    digest = blake2b(f"{salt}\0{user_id}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def arms_of(trials: Trials, user_id: str, surface: str) -> list[tuple[Trial, int]]:
    """The experiments that a user's request takes part in, each with the arm's number.

    Args:
        trials: all experiments.
        user_id: whose request.
        surface: where.

    Returns:
        Pairs in the order of launch; the number is `EVERY_ARM` where slates are interleaved.
    """
    found = []
    for name in trials.running:
        trial = trials.by_name[name]
        definition = trial.definition
        if trial.harm is not None or (definition.surfaces and surface not in definition.surfaces):
            continue
        bucket = int(BUCKETS * unit_hash(f"layer {definition.layer}", user_id))
        if any(first <= bucket < end for first, end in trial.buckets):
            interleaved = definition.kind == "interleave"
            found.append((trial, EVERY_ARM if interleaved else _arm(trial, user_id)))
    return found


def _arm(trial: Trial, user_id: str) -> int:
    arms = trial.definition.arms
    left = unit_hash(f"experiment {trial.definition.name}", user_id) * sum(arm.share for arm in arms)
    for number, arm in enumerate(arms):
        left -= arm.share
        if left < 0:
            return number
    return len(arms) - 1


def free_buckets(trials: Trials, layer: str, wanted: int) -> tuple[tuple[int, int], ...] | None:
    """The first free buckets of a layer, as ranges; None when there are not so many.

    >>> free_buckets(Trials(), "default", 2500)
    ((0, 2500),)
    """
    running = [trials.by_name[name] for name in trials.running]
    taken = sorted(span for trial in running if trial.definition.layer == layer for span in trial.buckets)
    free, at = [], 0
    for first, end in [*taken, (BUCKETS, BUCKETS)]:
        room = min(first - at, wanted)
        if room > 0:
            free.append((at, at + room))
            wanted -= room
        at = end
    return tuple(free) if wanted == 0 else None


def buckets_wanted(trial_share: float) -> int:
    """How many buckets a share of all users is: at least one.

    >>> buckets_wanted(0.5)
    5000
    """
    return max(1, round(BUCKETS * trial_share))
