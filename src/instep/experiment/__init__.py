"""Experiments: who is in which arm, what is counted, and what may be said of it at any time."""

from instep.experiment.change import check_change, check_launch, promoted_settings
from instep.experiment.interleave import team_draft
from instep.experiment.place import arms_of
from instep.experiment.report import Report, report, reports
from instep.experiment.sequential import compile_bounds
from instep.experiment.tally import count_record, forget_users

__all__ = [
    "Report",
    "arms_of",
    "check_change",
    "check_launch",
    "compile_bounds",
    "count_record",
    "forget_users",
    "promoted_settings",
    "report",
    "reports",
    "team_draft",
]
