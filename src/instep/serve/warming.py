"""Compiling the hot loops before they are needed, and saying so when it takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from instep.domain import Context, Feedback, ItemPut, Record

PATIENCE: Final = 1.5  # seconds
NOTICE: Final = "Compiling the learners' loops, about a minute; the result is kept, so this happens once ..."


def compile_loops(say: Callable[[str], None]) -> None:
    """Learn and recommend once on a log in memory. Numba keeps what it compiles in a cache on disk.

    Args:
        say: is told after a second and a half that this is the compiler at work.
    """
    notice = threading.Timer(PATIENCE, say, (NOTICE,))
    notice.daemon = True
    notice.start()
    try:
        _learn_and_recommend()
    finally:
        notice.cancel()


def _learn_and_recommend() -> None:
    from instep.flow import Flow, Settings
    from instep.log import MemoryLog

    flow = Flow(MemoryLog(), Settings())
    records: list[Record] = [
        ItemPut(f"i{n}", f"i{n}", 1e9, {"title": f"item {n}", "categories": ["all"]}) for n in range(8)
    ]
    records += [
        Feedback(f"e{n}", f"u{n % 3}", f"i{n % 7}", 1e9 + n, kind, value)
        for n, (kind, value) in enumerate(
            [("click", None), ("rating", 4.0), ("dwell", 30.0), ("skip", None)] * 6
        )
    ]
    flow.observe(records)
    flow.recommend(Context("u1", n=4, now=1e9 + 100, request_id="warm", explain=True))
    flow.trending(3)
    flow.close()
