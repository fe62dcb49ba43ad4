"""Feedback to reward."""

from instep.reward.base import Reward, Usual
from instep.reward.table import DEFAULT_REWARDS, RewardTable

__all__ = ["DEFAULT_REWARDS", "Reward", "RewardTable", "Usual"]
