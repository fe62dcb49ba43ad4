"""Off-policy evaluation: what another policy would have earned, from the log that this one left."""

from instep.evaluate.offpolicy.estimators import (
    Rounds,
    cascade_dr,
    cascade_ips,
    clipped_ips,
    dm,
    dr,
    dros,
    ips,
    pseudo_inverse,
    slate_ips,
    sndr,
    snips,
    switch_dr,
    weighted_pseudo_inverse,
)
from instep.evaluate.offpolicy.joining import Selection
from instep.evaluate.offpolicy.judge import Estimate, NoOverlap, Verdict, judge, predictions, rounds_of
from instep.evaluate.offpolicy.logged import Logged, Spread, single_choices
from instep.evaluate.offpolicy.open_bandit import read_choices
from instep.evaluate.offpolicy.replayed import replay_slates
from instep.evaluate.offpolicy.report import as_fields, as_text

__all__ = [
    "Estimate",
    "Logged",
    "NoOverlap",
    "Rounds",
    "Selection",
    "Spread",
    "Verdict",
    "as_fields",
    "as_text",
    "cascade_dr",
    "cascade_ips",
    "clipped_ips",
    "dm",
    "dr",
    "dros",
    "ips",
    "judge",
    "predictions",
    "pseudo_inverse",
    "read_choices",
    "replay_slates",
    "rounds_of",
    "single_choices",
    "slate_ips",
    "sndr",
    "snips",
    "switch_dr",
    "weighted_pseudo_inverse",
]
