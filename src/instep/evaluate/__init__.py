"""Test-then-learn replay, baselines in the box, metrics, intervals, reports."""

from instep.evaluate.base import SplitSystem, System
from instep.evaluate.baselines import BASELINES
from instep.evaluate.bootstrap import Interval, mean_interval, ratio_interval
from instep.evaluate.metrics import gains, summarise
from instep.evaluate.read import Notes, Selection, read_stream, rows_of
from instep.evaluate.replay import Options, Outcome, Replay, replay
from instep.evaluate.stream import Rows, Stream, arrange

__all__ = [
    "BASELINES",
    "Interval",
    "Notes",
    "Options",
    "Outcome",
    "Replay",
    "Rows",
    "Selection",
    "SplitSystem",
    "Stream",
    "System",
    "arrange",
    "gains",
    "mean_interval",
    "ratio_interval",
    "read_stream",
    "replay",
    "rows_of",
    "summarise",
]
