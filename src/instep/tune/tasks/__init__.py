"""What the language model is tuned for; see `instep.tune.tasks.base`."""

from instep.tune.tasks.base import TASKS, Task, make_task

__all__ = ["TASKS", "Task", "make_task"]
