"""One thread for linear algebra, in the whole process and for good.

The number of BLAS threads changes the last bits of a product or an inverse, and so the state that a replay reaches.
A limit around each computation does not do: the setting is the process's, blocks in two threads would undo each
other's, and threadpoolctl obeys one thread only and silently ignores the others. So it is set once, on import.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

np.linalg.inv(np.eye(2))  # the library must be loaded to be found
_OURS: Final = {pool["filepath"] for pool in threadpool_info() if pool["user_api"] == "blas"}
_FOR_GOOD: Final = threadpool_limits(1, user_api="blas")


def blas_threads() -> int:
    """Most threads that NumPy's linear algebra library uses (SciPy brings another, which the learners never call).

    >>> blas_threads()
    1
    """
    return max((pool["num_threads"] for pool in threadpool_info() if pool["filepath"] in _OURS), default=1)
