"""Encoders: text to vector with a pretrained language model.

Laws (checked by `instep.testing.EncoderContract`):
- float32 (n, dimensions), rows L2-normalised; an empty text gives a finite unit vector too.
- The same text gives the same bytes, alone or in any batch, from one thread or several at once.
- `name` identifies model and version: equal names mean interchangeable vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["item", "query"]


class Encoder(Protocol):
    """A pretrained language model behind one verb."""

    @property
    def name(self) -> str:
        """Model and version."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        """Texts to float32 (len(texts), dimensions), rows of length 1. Safe to call from several threads."""
        ...
