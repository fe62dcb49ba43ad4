"""Large arrays go back to the system when they are freed, in the whole process and for good.

The C library of most Linux systems takes arrays above a threshold from the system, one by one, and hands them back; but
every array that is freed raises the threshold, up to 32 MiB. After a snapshot was read, the columns of a state and the
solver's matrices would come out of heaps that keep what is freed in them: more than a tenth of a gibibyte with a
million users. So the threshold is set once, on import. Whoever sets the library's own variables is not overruled.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

LARGE: Final = 1 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_VARIABLES: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def return_large_arrays() -> bool:
    """Have arrays of a mebibyte and more handed back when they are freed; False where there is nothing to set."""
    if sys.platform != "linux" or any(name in os.environ for name in _VARIABLES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGE) and mallopt(_TRIM_THRESHOLD, 2 * LARGE))
