"""Feedback to reward, and rewards to the slates that led to them."""

from instep.reward.account import Account, Credit
from instep.reward.attribution import DEFAULT_WINDOWS, OPINIONS, Attribution, replaced_types
from instep.reward.base import USUAL_DWELL, Reward, Usual, usual_rating
from instep.reward.table import DEFAULT_REWARDS, RewardTable

__all__ = [
    "DEFAULT_REWARDS",
    "DEFAULT_WINDOWS",
    "OPINIONS",
    "USUAL_DWELL",
    "Account",
    "Attribution",
    "Credit",
    "Reward",
    "RewardTable",
    "Usual",
    "replaced_types",
    "usual_rating",
]
