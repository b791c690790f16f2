"""The two products that a narrow convolution is made of, in registers: numba functions written as LLVM code.

Sums of rows (a convolution and its adjoint) and inner products of rows (the gradient of its weight) both
keep 4 x 4 vectors in registers, or 4 x 3 where there are but 16 of them, so that each number loaded is used
that often. Loops that LLVM vectorises by itself keep them in memory and reach 40 % of a core, these all.

Where the processor multiplies bfloat16 (``PAIRS``), two of them lie in each lane: two rows side by side for
sums, two frames for inner products. One instruction adds both products to a float32.
"""

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

_FEATURES = {} if config.CPU_NAME else llvm.get_host_cpu_features()  # numba may compile for another machine
_WIDE = _FEATURES.get("avx512f", False)
PAIRS = _WIDE and _FEATURES.get("avx512bf16", False)
LANES = 16 if _WIDE else 8
CHANNELS = 4  # channels that are worked on at once
VECTORS = 4 if _WIDE else 3  # and vectors; sums take 16 registers of 32, or 12 of 16
STEP = LANES * VECTORS  # frames that are worked on at once

_INT, _INT32, _FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


@intrinsic
def sum_rows(typing, rows, offsets, weights, out, first, start):
    """``out[first + c, start + t] += sum_r weights[r, c] * rows[offsets[r] + start + t]``.

    For all c below ``CHANNELS`` and t below ``STEP``; ``rows`` is flat, all are contiguous. Pairs are uint32.
    """

    def build(context, builder, signature, args):
        rows, offsets, weights, out = _arrays(context, builder, signature, args)
        first, start = args[4:]
        size, stride = _axis(builder, weights, 0), _axis(builder, out, 1)
        corner = builder.gep(out.data, [builder.add(builder.mul(first, stride), start)])
        targets = [
            [builder.gep(corner, [builder.add(builder.mul(_int(c), stride), _int(v * LANES))]) for v in _VECS]
            for c in range(CHANNELS)
        ]
        begin = [_load(builder, target) for row in targets for target in row]
        source = builder.gep(rows.data, [start])

        def body(row, sums):
            offset = builder.load(builder.gep(offsets.data, [row]))
            seen = [
                _load(builder, builder.gep(source, [builder.add(offset, _int(v * LANES))])) for v in _VECS
            ]
            each = builder.gep(weights.data, [builder.mul(row, _int(CHANNELS))])
            spread = [_spread(builder, builder.gep(each, [_int(c)])) for c in range(CHANNELS)]
            return _squares(builder, signature.args[0], spread, seen, sums)

        sums = _loop(builder, size, _int(1), begin, body)
        for total, target in zip(sums, (target for row in targets for target in row), strict=True):
            builder.store(total, builder.bitcast(target, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(rows, offsets, weights, out, types.intp, types.intp), build


@intrinsic
def inner_products(typing, left, right, offsets, out, first, second):
    """``out[first + c, second + r] += sum_t left[first + c, t] * right[offsets[second + r] + t]``.

    For c below ``CHANNELS`` and r below ``VECTORS``, over all columns of ``left``, a multiple of ``STEP``;
    ``right`` is flat. bfloat16 is uint16.
    """
    frames = LANES * 32 // left.dtype.bitwidth

    def build(context, builder, signature, args):
        left, right, offsets, out = _arrays(context, builder, signature, args)
        first, second = args[4:]
        size = _axis(builder, left, 1)
        index = [builder.add(first, _int(c)) for c in range(CHANNELS)]
        lefts = [builder.gep(left.data, [builder.mul(row, size)]) for row in index]
        places = [builder.gep(offsets.data, [builder.add(second, _int(v))]) for v in _VECS]
        rights = [builder.gep(right.data, [builder.load(place)]) for place in places]

        def body(time, sums):
            mine = [_load(builder, builder.gep(row, [time])) for row in lefts]
            theirs = [_load(builder, builder.gep(row, [time])) for row in rights]
            return _squares(builder, signature.args[0], mine, theirs, sums)

        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums = _loop(builder, size, _int(frames), [zero] * (CHANNELS * VECTORS), body)
        width, room = _axis(builder, out, 1), 4  # sums a row, a power of 2
        rows = [sums[c * VECTORS : (c + 1) * VECTORS] + [zero] * (room - VECTORS) for c in range(CHANNELS)]
        totals = _totals(builder, [total for row in rows for total in row])
        for c, row in enumerate(index):
            corner = builder.gep(out.data, [builder.add(builder.mul(row, width), second)])
            target = builder.bitcast(corner, ir.VectorType(_FLOAT, VECTORS).as_pointer())
            part = _lanes(builder, totals[c * room // LANES], c * room % LANES, 1, VECTORS)
            builder.store(builder.fadd(builder.load(target, align=4), part), target, align=4)
        return context.get_dummy_value()

    return types.void(left, right, offsets, out, types.intp, types.intp), build


_VECS = range(VECTORS)


def packed(weight: np.ndarray, *, pairs: bool) -> np.ndarray:
    """``(out, in, taps)`` as ``(out / CHANNELS, in * taps, CHANNELS)``, for ``sum_rows``; zeros fill up.

    With ``pairs`` two channels that come in share a uint32.
    """
    out_channels, in_channels, taps = weight.shape
    width = in_channels + in_channels % 2 if pairs else in_channels
    padded = np.zeros((-(-out_channels // CHANNELS) * CHANNELS, width, taps), np.float32)
    padded[:out_channels, :in_channels] = weight
    if pairs:
        bits = padded.view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to the nearest, halves to even
        padded = bits[:, 0::2] | bits[:, 1::2] << 16
    rows = padded.reshape(-1, CHANNELS, padded.shape[1] * taps)
    return np.ascontiguousarray(rows.transpose(0, 2, 1))


def _arrays(context, builder, signature, args):
    return [context.make_array(signature.args[n])(context, builder, args[n]) for n in range(4)]


def _axis(builder, array, axis: int):
    return cgutils.unpack_tuple(builder, array.shape)[axis]


def _int(value: int):
    return ir.Constant(_INT, value)


def _load(builder, pointer):
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


def _spread(builder, pointer):
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    value = builder.load(builder.bitcast(pointer, _FLOAT.as_pointer()))
    one = builder.insert_element(nothing, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES))


def _squares(builder, array, rows, columns, sums):
    """All products of the one with the other, added to the sums by one instruction each."""
    if array.dtype == types.float32:

        def add(row, column, total):
            return builder.fadd(builder.fmul(row, column, flags=("contract",)), total, flags=("contract",))
    else:
        words = ir.VectorType(_INT32, LANES)
        kind = ir.FunctionType(_VECTOR, [_VECTOR, words, words])
        pairs = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")

        def add(row, column, total):
            return builder.call(pairs, [total, builder.bitcast(row, words), builder.bitcast(column, words)])

    products = ((row, column) for row in rows for column in columns)
    return [add(*product, total) for product, total in zip(products, sums, strict=True)]


def _loop(builder, size, step, begin, body):
    """Values after ``for index in range(0, size, step): values = body(index, values)``; size is above 0."""
    before, inside = builder.block, builder.append_basic_block("inside")
    after = builder.append_basic_block("after")
    builder.branch(inside)
    builder.position_at_end(inside)
    index, values = builder.phi(_INT), [builder.phi(_VECTOR) for _ in begin]
    new = body(index, values)
    following = builder.add(index, step)
    for phi, first, later in zip([index, *values], [_int(0), *begin], [following, *new], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, inside)
    builder.cbranch(builder.icmp_signed("<", following, size), inside, after)
    builder.position_at_end(after)
    return new


def _totals(builder, vectors):
    """The total of each vector, in order, as few vectors: neighbours are added and take half of a vector."""
    for _ in range(LANES.bit_length() - 1):
        pairs = zip(vectors[0::2], vectors[1::2], strict=True)
        vectors = [
            builder.fadd(*(_lanes(builder, left, first, 2, LANES, right) for first in (0, 1)))
            for left, right in pairs
        ]
    return vectors


def _lanes(builder, vector, first: int, step: int, count: int, behind=None):
    """Every ``step``-th lane, counted on into the vector ``behind``."""
    indices = ir.Constant(ir.VectorType(_INT32, count), [first + step * n for n in range(count)])
    return builder.shuffle_vector(vector, vector if behind is None else behind, indices)
