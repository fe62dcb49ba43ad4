"""One thread for linear algebra wherever its result becomes part of the state.

The number of BLAS threads changes the last bits of a matrix inverse, and it is one setting for the whole process:
two blocks that limit it and overlap in time would each give back what the other had found. They are counted here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from threadpoolctl import threadpool_limits

_turn: Final = threading.Lock()
_inside = 0
_limit: threadpool_limits | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS computes with one thread while any thread is inside such a block.

    >>> with one_thread(), one_thread():
    ...     pass
    """
    global _inside, _limit
    with _turn:
        if _inside == 0:
            _limit = threadpool_limits(1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _turn:
            _inside -= 1
            if _inside == 0 and _limit is not None:
                _limit.restore_original_limits()
                _limit = None
