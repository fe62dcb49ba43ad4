"""What reads a history into one vector, and the choices that it is taught by again and again."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from instep.state.tables import F32, I32, I64, U8, VECTOR_WIDTH

READS: Final = 32  # items of a history
HEADS: Final = 2
AGES: Final = 32  # classes of time, each twice as long as the one before
REHEARSED: Final = 32768  # choices
PLACE_PART: Final = READS * HEADS
AGE_PART: Final = AGES * HEADS
MIX_PART: Final = VECTOR_WIDTH * HEADS * VECTOR_WIDTH
START_PART: Final = AGES * VECTOR_WIDTH
PARAMETERS: Final = PLACE_PART + 2 * AGE_PART + MIX_PART + START_PART


class Attention(NamedTuple):
    """How much each item of a history counts, and what becomes of their sum.

    Args:
        parameters: float32 (PARAMETERS,): for each head the attention by place in the history, by the time since the
            act, by the time from the act to the newest; the matrix that mixes the heads; what is added by
            the time since the newest act. `learn.vectors.parts_of` takes them apart.
        moments: float32 (2, PARAMETERS), means of the gradients and of their squares.
        steps: int64 (1,), steps made.
    """

    parameters: F32
    moments: F32
    steps: I64


class Rehearsal(NamedTuple):
    """The newest choices, a ring: each as it stood when it was made, without whose it was.

    Args:
        taken: int32 (REHEARSED,), the items taken.
        length: int32 (REHEARSED,), how many items of the history there were, at most READS.
        recent: int32 (REHEARSED, READS), those items, newest first.
        age, lag: uint8 (REHEARSED, READS), classes of the time since each act, and from it to the newest.
        written: int64 (1,), choices ever.
    """

    taken: I32
    length: I32
    recent: I32
    age: U8
    lag: U8
    written: I64


def new_attention() -> Attention:
    """Attention that has learned nothing: about the mean of the history."""
    random = np.random.default_rng(7)
    parameters = 0.02 * random.standard_normal(PARAMETERS)
    mix = parameters[PLACE_PART + 2 * AGE_PART :][:MIX_PART].reshape(HEADS, VECTOR_WIDTH, VECTOR_WIDTH)
    mix += np.eye(VECTOR_WIDTH) / HEADS
    return Attention(
        parameters.astype(np.float32), np.zeros((2, PARAMETERS), np.float32), np.zeros(1, np.int64)
    )


def new_rehearsal() -> Rehearsal:
    """No choices yet."""
    return Rehearsal(
        np.zeros(REHEARSED, np.int32),
        np.zeros(REHEARSED, np.int32),
        np.zeros((REHEARSED, READS), np.int32),
        np.zeros((REHEARSED, READS), np.uint8),
        np.zeros((REHEARSED, READS), np.uint8),
        np.zeros(1, np.int64),
    )
