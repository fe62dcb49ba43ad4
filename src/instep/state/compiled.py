"""Compiled loops that are older than the code are thrown away, so that what runs is what is written.

Numba compiles a loop again when the file it stands in has changed, but not when one has that it calls: after an update
in place (`git pull` in a checkout) loops of both ages would read the same tables, by other columns.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def drop_older_loops(package: Path = PACKAGE) -> int:
    """Remove what Numba compiled before a package's files last changed; it is compiled anew when it is needed.

    Args:
        package: the folder of its files. Compiled loops that lie elsewhere (`NUMBA_CACHE_DIR`) are left alone.

    Returns:
        How many were removed. Files of the future, after which everything would be old for ever, count for nothing.
    """
    now = time.time()
    changes = (path.stat().st_mtime for path in package.rglob("*.py"))
    newest = max((when for when in changes if when <= now), default=0.0)
    dropped = 0
    for index in package.rglob("__pycache__/*.nbi"):
        with contextlib.suppress(OSError):  # another process was first, or the folder is read-only
            if index.stat().st_mtime < newest:
                index.unlink()
                dropped += 1
    return dropped
