"""What compiled loops share: a sum whose order is written down, and reading ahead.

Both are written in the compiler's own instructions, since Numba has no words for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from instep.state.tables import LINE

LANES: Final = 8


def _instruction(build: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's `intrinsic`, whose types would have callers pass the compiler's own first argument."""
    wrapped: Callable[..., Any] = intrinsic(build)
    return wrapped


@_instruction
def dot(_: Any, left: Any, right: Any) -> Any:
    """The product of two vectors, for compiled loops: summed in eight lanes, the lanes by halves, then what is over.

    With the order of a sum left to the compiler (`fastmath`) it can be another wherever a loop is compiled again, and
    a replay does not reach the same bits; with the order of a plain loop it takes five times as long.

    Args:
        left: float32 or int8 (d,), contiguous.
        right: float32 or int8 (>= d,), contiguous.

    Returns:
        float32.
    """
    for kind in (left, right):
        if not isinstance(kind, types.Array) or (kind.ndim, kind.layout) != (1, "C"):
            return None
        if kind.dtype not in (types.float32, types.int8):
            return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """The instructions: as many rounds of eight as there are, the lanes, then one by one."""
        views = [
            make_array(kind)(context, builder, given)
            for kind, given in zip(signature.args, arguments, strict=True)
        ]
        size = cgutils.unpack_tuple(builder, views[0].shape)[0]
        one, word = ir.FloatType(), size.type
        lanes = ir.VectorType(one, LANES)

        def read(view: Any, number: Any, at: Any, wanted: Any) -> Any:
            kind = ir.VectorType(number, LANES) if wanted == lanes else number
            place = builder.bitcast(builder.gep(view.data, [at]), kind.as_pointer())
            found = builder.load(place, align=1)
            return found if kind == wanted else builder.sitofp(found, wanted)

        def product(at: Any, wanted: Any) -> Any:
            numbers = (context.get_value_type(kind.dtype) for kind in signature.args)
            return builder.fmul(
                *(read(view, number, at, wanted) for view, number in zip(views, numbers, strict=True))
            )

        sums = cgutils.alloca_once_value(builder, ir.Constant(lanes, [0.0] * LANES))
        rounds = builder.udiv(size, word(LANES))
        whole = builder.mul(rounds, word(LANES))
        with cgutils.for_range(builder, rounds) as loop:
            at = builder.mul(loop.index, word(LANES))
            builder.store(builder.fadd(builder.load(sums), product(at, lanes)), sums)
        done = builder.load(sums)
        parts = [builder.extract_element(done, ir.IntType(32)(lane)) for lane in range(LANES)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[k], parts[k + half]) for k in range(half)]
        total = cgutils.alloca_once_value(builder, parts[0])
        with cgutils.for_range(builder, builder.sub(size, whole)) as loop:
            over = product(builder.add(whole, loop.index), one)
            builder.store(builder.fadd(builder.load(total), over), total)
        return builder.load(total)

    return types.float32(left, right), generate


@_instruction
def read_ahead(_: Any, array: Any, row: Any) -> Any:
    """Ask for a row of an array before it is needed, for compiled loops: it is on its way while others are worked on.

    A request reads scattered rows of tables that no cache holds, and of itself the processor looks no more than one or
    two of them ahead. Nothing but time depends on it.

    Args:
        array: any; with a column of `Items` comes what lies beside it.
        row: number of the row, unsigned.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """The instructions: one for each cache line between a row's start and the next row's."""
        view = make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, view.strides)[0]
        byte, number, word = ir.IntType(8), ir.IntType(32), stride.type
        first = builder.bitcast(view.data, byte.as_pointer())
        start = builder.gep(first, [builder.mul(arguments[1], stride)])
        kind = ir.FunctionType(ir.VoidType(), [start.type, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [start.type], kind)
        lines = builder.udiv(builder.add(stride, word(LINE - 1)), word(LINE))
        with cgutils.for_range(builder, lines) as loop:
            at = builder.gep(start, [builder.mul(loop.index, word(LINE))])
            builder.call(fetch, [at, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.uintp), generate


@njit(cache=True, error_model="numpy", inline="always")
def fast_log(x: Any) -> Any:
    """Natural logarithm of a positive float32 to 4e-6, six times faster than the exact one.

    Source: exponent from the bits, mantissa by a Chebyshev fit of degree six on [1, 2].
    """
    bits = np.float32(x).view(np.int32)
    exponent = np.float32((bits >> 23) - 127)
    z = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)
    p = np.float32(0.18497518) + z * np.float32(-0.01720806)
    p = np.float32(2.23115054) + z * (np.float32(-0.85553763) + z * p)
    p = np.float32(-2.09907492) + z * (np.float32(4.20453297) + z * (np.float32(-3.64883456) + z * p))
    return exponent * np.float32(0.69314718) + p
