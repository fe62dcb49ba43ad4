"""The fast clock: every record moves the state before it is acknowledged."""

from instep.learn.base import Learner
from instep.learn.examples import Choice, Examples
from instep.learn.histories import recent_items
from instep.learn.learner import FastLearner, fields_of, history_cells
from instep.learn.rewards import RewardLearner
from instep.learn.text import reduce
from instep.learn.threads import blas_threads
from instep.learn.vectors import start_vectors

__all__ = [
    "Choice",
    "Examples",
    "FastLearner",
    "Learner",
    "RewardLearner",
    "blas_threads",
    "fields_of",
    "history_cells",
    "recent_items",
    "reduce",
    "start_vectors",
]
