"""The other end of the pipe: a peer in a process and an environment of its own, which has no Instep.

Little-endian frames. From the replay, on standard input: the sizes (users, items, seed: 3 int32), then

    b"L" user item t        one event to learn; nothing is answered
    b"R" user k m           the best k for a user, without the m item numbers (int32) that follow;
                            answered by their count and their numbers (int32), best first
    b"E"                    the end; answered by one line of JSON: nanoseconds of each call, and memory

Times are of the processor, all threads together: the machine may be shared, and a peer that waits is not slow.
An adapter is a class with `learn` and `recommend`, and ends in ``run(Adapter)``.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
SIZES = struct.Struct("<iii")
LEARN = struct.Struct("<iid")
ASK = struct.Struct("<iii")
COUNT = struct.Struct("<i")


class Adapter(Protocol):
    """What a peer must do; ids are dense integers."""

    def learn(self, user: int, item: int, t: float) -> None:
        """Take in one event, at the time t (seconds)."""
        ...

    def recommend(self, user: int, k: int, exclude: Int32) -> Int32:
        """The best items, int32 (<= k,), best first, none of `exclude`, int32 (m,)."""
        ...


def best(scores: NDArray[np.floating], k: int, exclude: Int32) -> Int32:
    """The k highest of scores, (items,), which is overwritten at the excluded items.

    >>> best(np.array([0.1, 0.9, 0.5]), 2, np.array([1], np.int32)).tolist()
    [2, 0]
    """
    scores[exclude] = -np.inf
    k = min(k, len(scores) - len(exclude))
    top = np.argpartition(-scores, k - 1)[:k] if k else np.zeros(0, np.int64)
    return top[np.argsort(-scores[top], kind="stable")].astype(np.int32)


def run(make: Callable[[int, int, int], Adapter]) -> None:
    """Answer until the end.

    Args:
        make: makes the adapter from the number of users, of items, and a seed.
    """
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a peer prints goes to standard error
    peer = make(*SIZES.unpack(asked.read(SIZES.size)))
    learned: list[int] = []
    recommended: list[int] = []
    while (kind := asked.read(1)) != b"E":
        if kind == b"L":
            user, item, t = LEARN.unpack(asked.read(LEARN.size))
            began = time.process_time_ns()
            peer.learn(user, item, t)
            learned.append(time.process_time_ns() - began)
        elif kind == b"R":
            user, k, m = ASK.unpack(asked.read(ASK.size))
            exclude = np.frombuffer(asked.read(4 * m), np.int32)
            began = time.process_time_ns()
            items = peer.recommend(user, k, exclude)
            recommended.append(time.process_time_ns() - began)
            answers.write(COUNT.pack(len(items)) + items.astype("<i4").tobytes())
            answers.flush()
        else:
            raise SystemExit("the replay has gone away")
    told = {"observe_ns": learned, "recommend_ns": recommended, "peak_rss_mib": _peak_rss_mib()}
    answers.write(json.dumps(told).encode() + b"\n")
    answers.flush()


def _peak_rss_mib() -> float:
    """Most memory held; not by `getrusage`, whose maximum on Linux begins with that of whoever started the process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
