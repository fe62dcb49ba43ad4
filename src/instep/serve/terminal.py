"""What the command line shows: sentences and progress for people, one JSON object for machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Report(Protocol):
    """Is told how far a long work is."""

    def __call__(self, work: str, done: int, total: int | None = None, unit: str = "") -> None:
        """`done` of `total` units of `work`; a total that is not known is None."""
        ...


def silent(work: str, done: int, total: int | None = None, unit: str = "") -> None:
    """A report nobody reads."""


class Terminal:
    """The command line's voice. Results go to standard output, everything else to standard error.

    Args:
        json: whether the result is one JSON object and nothing is said besides.
    """

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self._console = Console(stderr=True, quiet=json, highlight=False, soft_wrap=True)
        self._live: Progress | None = None

    def say(self, text: str) -> None:
        """A sentence on the way."""
        console = self._live.console if self._live else self._console
        if not self.json:
            console.print(text, markup=False)

    def result(self, text: str, **fields: Any) -> None:
        """The outcome: as text for people, as one JSON object for machines.

        Args:
            text: for people.
            **fields: of the JSON object.
        """
        click.echo(msgspec.json.encode(fields).decode() if self.json else text)

    def fail(self, message: str) -> None:
        """Why a command failed, on standard error."""
        shown = msgspec.json.encode({"error": message}).decode() if self.json else f"instep: {message}"
        click.echo(shown, err=True)

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """A progress bar for each work that is reported while the context lasts.

        Where standard error is no terminal, each work gets one line when it ends.
        """
        watch = self._console.is_terminal and not self.json
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, disable=not watch) as bars:
            self._live = bars
            works = _Works(bars)
            try:
                yield works.report
            finally:
                self._live = None
                if not watch:
                    for line in works.lines():
                        self.say(line)


class _Works:
    """The works reported so far, their bars and speeds."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, tuple[float, int]] = {}
        self._last: dict[str, str] = {}

    def report(self, work: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Tell how far a piece of work is: so many units done, of `total` where that is known."""
        now = time.monotonic()
        if work not in self._tasks:
            for task in self._bars.tasks:
                if task.total is None:  # whatever was under way without a known end has ended
                    self._bars.update(task.id, total=task.completed)
            self._tasks[work] = self._bars.add_task(work, total=total, speed="")
            self._began[work] = (now, done)
        began, before = self._began[work]
        seconds = now - began
        speed = f"{(done - before) / seconds:,.0f} {unit}/s" if seconds > 0.5 and unit else ""
        self._bars.update(self._tasks[work], completed=done, total=total, speed=speed)
        self._last[work] = f"{work}: {done:,} {unit}" + (f" ({speed})" if speed else "")

    def lines(self) -> Iterator[str]:
        yield from self._last.values()
