"""Retrievers: context to candidates.

What Instep retrieves by itself is one pass of compiled code (`gather.py`). A retriever adds to it; it is named in
`recommend.retrievers` and found by the entry-point group `instep.retrievers`.

Laws (checked by `instep.testing.RetrieverContract`):
- It reads only: the state is byte-identical afterwards.
- It returns numbers of known items; what may not be shown is taken out behind it.
- It may fail: the request goes on without it, the failure is counted and visible in the answer's `degraded`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instep.domain import Context
from instep.state import State


class Retriever(Protocol):
    """Proposes candidates."""

    @property
    def name(self) -> str:
        """What the configuration and `degraded` call it."""
        ...

    def retrieve(self, state: State, context: Context) -> NDArray[np.int32]:
        """Items to consider for a request.

        Args:
            state: read only.
            context: the request.

        Returns:
            int32 (m,), item numbers, best first; the first 500 are used.
        """
        ...
