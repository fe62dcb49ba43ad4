"""Contract kits: subclass one, name your implementation, and pytest checks the laws of its room."""

from instep.testing.encode import EncoderContract
from instep.testing.log import LogContract
from instep.testing.score import RetrieverContract, ScorerContract, small_flow

__all__ = ["EncoderContract", "LogContract", "RetrieverContract", "ScorerContract", "small_flow"]
