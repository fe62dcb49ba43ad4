"""Contract kits: subclass one, name your implementation, and pytest checks the laws of its room."""

from instep.testing.encode import EncoderContract
from instep.testing.learn import LearnerContract
from instep.testing.log import LogContract
from instep.testing.policy import PolicyContract
from instep.testing.reward import RewardContract
from instep.testing.score import RetrieverContract, ScorerContract, small_flow

__all__ = [
    "EncoderContract",
    "LearnerContract",
    "LogContract",
    "PolicyContract",
    "RetrieverContract",
    "RewardContract",
    "ScorerContract",
    "small_flow",
]
