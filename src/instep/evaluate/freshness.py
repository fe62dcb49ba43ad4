"""What lateness costs: the same system, the same events, learned later and later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from instep.evaluate.base import SplitSystem, System
from instep.evaluate.replay import Options, replay
from instep.evaluate.stream import Stream

DELAYS: Final = (0, 100, 1000, 5000)
EVENTS: Final = 12_000
EVERYTHING: Final = "everything late"
SHARED: Final = "only what others see late"

Curves = dict[str, list[tuple[int, float]]]


def freshness(
    stream: Stream,
    make: Callable[[], System],
    options: Options,
    delays: tuple[int, ...] = DELAYS,
    progress: Callable[[int, int], None] | None = None,
) -> Curves:
    """HR at each delay, of everything and of shared state alone, over the first `EVENTS` events.

    Args:
        stream: what to replay.
        make: a fresh system each time.
        options: the protocol's other choices.
        delays: events late, 0 first; those longer than the stream's scored part are left out.
        progress: called with (events done, events in all).

    Returns:
        Name of what is late -> (events late, HR) pairs.
    """
    part = stream.first(EVENTS)
    late = [delay for delay in delays if delay < (1 - options.warmup) * len(part)]
    curves: Curves = {EVERYTHING: []}
    if isinstance(make(), SplitSystem):
        curves[SHARED] = []
    whole, done = len(part) * (len(late) * len(curves) - len(curves) + 1), 0

    def told(n: int) -> None:
        if progress is not None:
            progress(done + n, whole)

    for name, points in curves.items():
        for delay in late:
            if delay == 0 and name == SHARED:
                points.append(curves[EVERYTHING][0])
                continue
            all_late = name == EVERYTHING
            own = replace(options, delay=delay * all_late, delay_items=delay * (not all_late))
            outcome = replay(part, make(), own, told)
            points.append((delay, float((outcome.rank >= 0).mean()) if len(outcome.rank) else 0.0))
            done += len(part)
            told(0)
    return curves
