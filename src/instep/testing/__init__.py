"""Contract kits: subclass one, name your implementation, and pytest checks the laws of its room."""

from instep.testing.encode import EncoderContract
from instep.testing.log import LogContract

__all__ = ["EncoderContract", "LogContract"]
