"""The slow clock: what is learned from the log beside the service, and read by it when it starts."""

from instep.tune.reinforce import Lessons, collect, teach

__all__ = ["Lessons", "collect", "teach"]
