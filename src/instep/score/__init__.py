"""Candidates to scores."""

from instep.score.ranker import new_weights
from instep.score.shortlist import Shortlist
from instep.score.signals import SIGNALS, WIDTH

__all__ = ["SIGNALS", "WIDTH", "Shortlist", "new_weights"]
