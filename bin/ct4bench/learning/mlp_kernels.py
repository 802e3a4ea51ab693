"""Training steps of the multi-layer perceptron (MLP), compiled: one model on one core, batches of eight rows.

A step is bound by its passes over weights and optimiser state, since the batch is small and the model is not. Here a
step reads each weight once: its AdamW update is put off until the next step's forward pass, which wants the new
weight at once (`_update_and_forward`).

The kernels work on short vectors of float32 that are spelled out for the compiler, whose own vectorisation neither
keeps the eight sums of a batch in registers nor uses the full width; LLVM splits them where a machine's registers are
narrower. Every sum has a fixed order, so that no result depends on that width. Vectors and kernels stand in one file
because numba's cache does not see a change in an imported one.

Layout: the weights of a layer are in blocks of 16 units, a block is (inputs + 1, 16) with the bias as its last input;
the layers follow one another in one array. What a layer reads is (inputs + 1, 8), a column for each row of the batch.
"""

import math
import operator
import platform

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from ct4bench.learning.mlp_sizes import BATCH, HIDDEN, LANES, N_DRAWS, padded

H1, H2, H3 = HIDDEN
P1, P2, P3 = (padded(units) for units in HIDDEN)

# --- vectors ---------------------------------------------------------------------------------------------------------

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)


class Vector(types.Type):
    """`width` float32 that numba keeps in registers."""

    def __init__(self, width: int):
        self.width = width
        super().__init__(name=f"float32x{width}")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(_FLOAT, vector.width))


WIDE, HALF = Vector(LANES), Vector(BATCH)
WIDE_ROWS, HALF_ROWS = types.UniTuple(WIDE, BATCH), types.UniTuple(HALF, BATCH)
"""Eight vectors: one for each row of the batch, or for each of eight units."""


def _constant(kind, value):
    return ir.Constant(kind, [value] * kind.count)


def _spread(builder, scalar, width):
    kind = ir.VectorType(scalar.type, width)
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, nothing, _constant(ir.VectorType(_INT, width), 0))


def _shuffle(builder, a, b, indices):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INT, len(indices)), list(indices)))


def _call(builder, name, *args):
    kind = args[0].type
    function_type = ir.FunctionType(kind, [kind] * len(args))
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v{kind.count}f32")
    return builder.call(function, args)


def _fma(builder, a, b, c):
    return _call(builder, "fma", a, b, c)


def _address(context, builder, array_type, array, index, step=0):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [builder.add(index, ir.Constant(index.type, step)) if step else index])


def _read(builder, address, width):
    element = address.type.pointee
    vectors = builder.bitcast(address, ir.VectorType(element, width).as_pointer())
    return builder.load(vectors, align=2 if element == ir.IntType(16) else 4)


def _write(builder, address, vector):
    builder.store(vector, builder.bitcast(address, vector.type.as_pointer()), align=4)


def _apart(builder, rows):
    return [builder.extract_value(rows, i) for i in range(BATCH)]


def _together(builder, vectors):
    rows = ir.Constant(ir.ArrayType(vectors[0].type, BATCH), ir.Undefined)
    for i, vector in enumerate(vectors):
        rows = builder.insert_value(rows, vector, i)
    return rows


@intrinsic
def load(typing, array, index):
    """Load the sixteen float32 from `index` on."""

    def emit(context, builder, signature, args):
        return _read(builder, _address(context, builder, signature.args[0], *args), LANES)

    return WIDE(array, types.intp), emit


@intrinsic
def load_half(typing, array, index):
    """Load the eight float32 from `index` on."""

    def emit(context, builder, signature, args):
        return _read(builder, _address(context, builder, signature.args[0], *args), BATCH)

    return HALF(array, types.intp), emit


@intrinsic
def store(typing, array, index, vector):
    """Write a vector at `index`."""

    def emit(context, builder, signature, args):
        _write(builder, _address(context, builder, signature.args[0], *args[:2]), args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), emit


@intrinsic
def spread(typing, scalar):
    """Return the same float32 in each lane."""
    return WIDE(types.float32), lambda context, builder, signature, args: _spread(builder, args[0], LANES)


@intrinsic
def fma(typing, a, b, c):
    """Return the product of a and b, plus c, rounded once."""
    return a(a, b, c), lambda context, builder, signature, args: _fma(builder, *args)


@intrinsic
def root(typing, a):
    """Return the square root."""
    return a(a), lambda context, builder, signature, args: _call(builder, "sqrt", *args)


@intrinsic
def magnitude(typing, a):
    """Return the absolute value."""
    return a(a), lambda context, builder, signature, args: _call(builder, "fabs", *args)


@intrinsic
def choose_by_sign(typing, a, positive, other):
    """Choose `positive` in the lanes where a > 0, else `other`."""

    def emit(context, builder, signature, args):
        above = builder.fcmp_ordered(">", args[0], _constant(args[0].type, 0.0))
        return builder.select(above, args[1], args[2])

    return a(a, positive, other), emit


@intrinsic
def power_of_two(typing, a):
    """Return 2^a for -126 <= a <= 126: a polynomial on the fraction (1.9e-9 relative), the whole part into the
    exponent."""
    terms = (1.00000000055417, 0.6931472057372632, 0.2402264689061948, 0.05550328776973995, 0.009618488958672887,
             0.001339993121650344, 0.0001534581158885868)  # fmt: skip

    def emit(context, builder, signature, args):
        kind = args[0].type
        integers = ir.VectorType(_INT, kind.count)
        whole = _call(builder, "nearbyint", args[0])
        fraction = builder.fsub(args[0], whole)
        value = _constant(kind, float(np.float32(terms[-1])))
        for term in terms[-2::-1]:
            value = _fma(builder, value, fraction, _constant(kind, float(np.float32(term))))
        exponent = builder.shl(builder.fptosi(whole, integers), _constant(integers, 23))
        return builder.bitcast(builder.add(builder.bitcast(value, integers), exponent), kind)

    return a(a), emit


def _operator(function, method):
    @intrinsic
    def combine(typing, a, b):
        return a(a, b), lambda context, builder, signature, args: getattr(builder, method)(*args)

    @overload(function)
    def implementation(a, b):
        if isinstance(a, Vector) and a == b:
            return lambda a, b: combine(a, b)
        return None

    return combine


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


@intrinsic
def larger(typing, a, b):
    """Return the larger in each lane."""
    return a(a, b), lambda context, builder, signature, args: _call(builder, "maxnum", *args)


def _fold(builder, vector, combine):
    width = vector.type.count
    while width > 1:
        width //= 2
        upper = _shuffle(builder, vector, vector, range(width, 2 * width))
        vector = combine(_shuffle(builder, vector, vector, range(width)), upper)
    return builder.extract_element(vector, ir.Constant(_INT, 0))


@intrinsic
def total(typing, a):
    """Return the sum of the lanes, by halves."""
    return types.float32(a), lambda context, builder, signature, args: _fold(builder, args[0], builder.fadd)


@intrinsic
def largest(typing, a):
    """Return the maximum of the lanes."""

    def emit(context, builder, signature, args):
        return _fold(builder, args[0], lambda a, b: _call(builder, "maxnum", a, b))

    return types.float32(a), emit


@intrinsic
def first_lanes(typing, n):
    """Return 1 in the first n lanes, else 0."""

    def emit(context, builder, signature, args):
        integers = ir.VectorType(_INT, LANES)
        wanted = _spread(builder, builder.trunc(args[0], _INT), LANES)
        inside = builder.icmp_signed("<", ir.Constant(integers, list(range(LANES))), wanted)
        floats = ir.VectorType(_FLOAT, LANES)
        return builder.select(inside, _constant(floats, 1.0), _constant(floats, 0.0))

    return WIDE(types.intp), emit


@intrinsic
def kept(typing, draws, index, threshold, scale):
    """Return `scale` in the lanes whose draw (uint16, from `index` on) is at least the threshold, else 0."""

    def emit(context, builder, signature, args):
        drawn = _read(builder, _address(context, builder, signature.args[0], *args[:2]), LANES)
        wide = builder.zext(drawn, ir.VectorType(_INT, LANES))
        keep = builder.icmp_unsigned(">=", wide, _spread(builder, builder.trunc(args[2], _INT), LANES))
        return builder.select(keep, _spread(builder, args[3], LANES), _constant(ir.VectorType(_FLOAT, LANES), 0.0))

    return WIDE(draws, types.intp, types.intp, types.float32), emit


@intrinsic
def no_rows(typing):
    """Return the eight wide vectors of zeros."""
    return WIDE_ROWS(), lambda context, builder, signature, args: ir.Constant(context.get_value_type(WIDE_ROWS), None)


@intrinsic
def no_halves(typing):
    """Return the eight half vectors of zeros."""
    return HALF_ROWS(), lambda context, builder, signature, args: ir.Constant(context.get_value_type(HALF_ROWS), None)


@intrinsic
def load_rows(typing, array, index, stride):
    """Load the eight wide vectors, `stride` floats apart."""

    def emit(context, builder, signature, args):
        array, index, stride = args
        vectors = []
        for _ in range(BATCH):
            vectors.append(_read(builder, _address(context, builder, signature.args[0], array, index), LANES))
            index = builder.add(index, stride)
        return _together(builder, vectors)

    return WIDE_ROWS(array, types.intp, types.intp), emit


@intrinsic
def gather_rows(typing, array, starts, index):
    """Return the eight wide vectors: the b-th from starts[b] + index on."""

    def emit(context, builder, signature, args):
        array, starts, index = args
        zero = ir.Constant(index.type, 0)
        vectors = []
        for b in range(BATCH):
            start = builder.load(_address(context, builder, signature.args[1], starts, zero, b))
            address = _address(context, builder, signature.args[0], array, builder.add(start, index))
            vectors.append(_read(builder, address, LANES))
        return _together(builder, vectors)

    return WIDE_ROWS(array, starts, types.intp), emit


@intrinsic
def store_rows(typing, array, index, stride, rows):
    """Write eight vectors, `stride` floats apart."""

    def emit(context, builder, signature, args):
        array, index, stride, rows = args
        for vector in _apart(builder, rows):
            _write(builder, _address(context, builder, signature.args[0], array, index), vector)
            index = builder.add(index, stride)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, rows), emit


@intrinsic
def to_columns(typing, rows):
    """Turn 8 rows of 16 into 16 columns of 8, two in a vector.

    Interleaving rows i and i + 4 moves one bit of the index from the row's number to the end; three times move all.
    """
    low = [index for i in range(BATCH) for index in (i, LANES + i)]
    high = [index + BATCH for index in low]

    def emit(context, builder, signature, args):
        vectors = _apart(builder, args[0])
        for _ in range(3):
            pairs = [(vectors[i], vectors[i + 4]) for i in range(4)]
            vectors = [_shuffle(builder, a, b, half) for a, b in pairs for half in (low, high)]
        return _together(builder, vectors)

    return WIDE_ROWS(WIDE_ROWS), emit


@intrinsic
def to_rows(typing, columns):
    """Return the inverse of `to_columns`."""
    even = range(0, 2 * LANES, 2)
    odd = range(1, 2 * LANES, 2)

    def emit(context, builder, signature, args):
        vectors = _apart(builder, args[0])
        for _ in range(3):
            pairs = [(vectors[2 * i], vectors[2 * i + 1]) for i in range(4)]
            vectors = [_shuffle(builder, a, b, half) for half in (even, odd) for a, b in pairs]
        return _together(builder, vectors)

    return WIDE_ROWS(WIDE_ROWS), emit


@intrinsic
def add_products(typing, sums, array, index, vector):
    """Return the sums of the eight rows, plus array[index + b] times the vector in row b."""

    def emit(context, builder, signature, args):
        sums, array, index, vector = args
        new = []
        for b, row in enumerate(_apart(builder, sums)):
            factor = builder.load(_address(context, builder, signature.args[1], array, index, b))
            new.append(_fma(builder, _spread(builder, factor, LANES), vector, row))
        return _together(builder, new)

    return WIDE_ROWS(WIDE_ROWS, array, types.intp, WIDE), emit


@intrinsic
def sum_products(typing, rows, array, index):
    """Sum over the eight rows b of array[index + b] times row b."""

    def emit(context, builder, signature, args):
        rows, array, index = args
        sums = [None, None]
        for b, row in enumerate(_apart(builder, rows)):
            factor = builder.load(_address(context, builder, signature.args[1], array, index, b))
            factor, half = _spread(builder, factor, LANES), b // 4
            sums[half] = builder.fmul(factor, row) if sums[half] is None else _fma(builder, factor, row, sums[half])
        return builder.fadd(*sums)

    return WIDE(WIDE_ROWS, array, types.intp), emit


@intrinsic
def add_weighted(typing, sums, weights, index, vector):
    """Return the eight half sums of units, plus weights[index + 16 u] times the vector in unit u."""

    def emit(context, builder, signature, args):
        sums, weights, index, vector = args
        new = []
        for u, row in enumerate(_apart(builder, sums)):
            factor = builder.load(_address(context, builder, signature.args[1], weights, index, u * LANES))
            new.append(_fma(builder, _spread(builder, factor, BATCH), vector, row))
        return _together(builder, new)

    return HALF_ROWS(HALF_ROWS, weights, types.intp, HALF), emit


_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_TINY_TO_ZERO = 0x8040
"""Bits of x86's floating-point control word: results and operands below 1.2e-38 count as zero."""


@intrinsic
def control_word(typing):
    """Return the thread's floating-point control word; 0 where the machine has none of x86's kind."""

    def emit(context, builder, signature, args):
        if not _X86:
            return ir.Constant(_INT, 0)
        local = cgutils.alloca_once(builder, _INT)
        pointer = ir.IntType(8).as_pointer()
        function_type = ir.FunctionType(ir.VoidType(), [pointer])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.x86.sse.stmxcsr")
        builder.call(function, [builder.bitcast(local, pointer)])
        return builder.load(local)

    return types.int32(), emit


@intrinsic
def set_control_word(typing, word):
    """Set what `control_word` gave."""

    def emit(context, builder, signature, args):
        if _X86:
            local = cgutils.alloca_once_value(builder, args[0])
            pointer = ir.IntType(8).as_pointer()
            function_type = ir.FunctionType(ir.VoidType(), [pointer])
            function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.x86.sse.ldmxcsr")
            builder.call(function, [builder.bitcast(local, pointer)])
        return context.get_dummy_value()

    return types.void(types.int32), emit


# --- layers ----------------------------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy", nogil=True)
def _exponential(x):
    """Exponential for x <= 0; 2^-126 below."""
    return power_of_two(larger(x * spread(1.4426950408889634), spread(-126.0)))


@njit(cache=True, error_model="numpy", nogil=True)
def _gelu(z):
    """z Phi(z) and its derivative Phi(z) + z phi(z), Phi within 2e-7.

    The lower tail of Phi is exp(-z^2 / 2) times a polynomial in t = 1 / (1 + 0.35 |z|): least largest relative error
    (3.2e-8) over all z, found by iterated weighted least squares.
    """
    t = spread(1.0) / fma(spread(0.35), magnitude(z), spread(1.0))
    tail = spread(-0.02915757057969149)
    tail = fma(tail, t, spread(0.14402935998475538))
    tail = fma(tail, t, spread(-0.2558357227011824))
    tail = fma(tail, t, spread(0.1593158727594448))
    tail = fma(tail, t, spread(-0.023209664948253585))
    tail = fma(tail, t, spread(0.10555133737121765))
    tail = fma(tail, t, spread(0.11982159020265548))
    tail = fma(tail, t, spread(0.13986347255233383))
    tail = fma(tail, t, spread(0.13962130937390832))
    bell = _exponential(z * z * spread(-0.5))
    tail = tail * t * bell
    below = choose_by_sign(z, spread(1.0) - tail, tail)
    return z * below, fma(z * bell, spread(0.3989422804014327), below)


@njit(cache=True, error_model="numpy", nogil=True)
def _forward(weights, offset, n_in, width, columns, out):
    """Write weights times inputs into out (8, width), without an update."""
    for unit in range(0, width, LANES):
        sums = no_rows()
        at = offset + unit * n_in
        for k in range(n_in):
            sums = add_products(sums, columns, k * BATCH, load(weights, at + k * LANES))
        store_rows(out, unit, width, sums)


@njit(cache=True, error_model="numpy", nogil=True)
def _update_and_forward(weights, first, second, offset, n_in, width, before, delta, columns, out, rates):
    """Update by the last step's gradient (inputs `before`, output's `delta`), then write the new outputs (8, width).

    `first` and `second` are AdamW's moments over (1 - beta): first' = b1 first + g, second' = b2 second + g^2.
    """
    b1, b2 = spread(rates[0]), spread(rates[1])
    step, epsilon, shrink = spread(rates[2]), spread(rates[3]), spread(rates[4])
    for unit in range(0, width, LANES):
        sums = no_rows()
        deltas = load_rows(delta, unit, width)
        at = offset + unit * n_in
        for k in range(n_in):
            index = at + k * LANES
            gradient = sum_products(deltas, before, k * BATCH)
            m = fma(b1, load(first, index), gradient)
            v = fma(b2, load(second, index), gradient * gradient)
            store(first, index, m)
            store(second, index, v)
            w = fma(load(weights, index), shrink, step * m / (root(v) + epsilon))
            store(weights, index, w)
            sums = add_products(sums, columns, k * BATCH, w)
        store_rows(out, unit, width, sums)


@njit(cache=True, error_model="numpy", nogil=True)
def _activate(z, width, units, slopes, draws, draw, draw_stride, threshold, scale, columns):
    """GELU and dropout of z (8, width) into columns, and their derivative into slopes (8, width)."""
    for unit in range(0, width, LANES):
        real = first_lanes(units - unit)
        for b in range(BATCH):
            value, slope = _gelu(load(z, b * width + unit))
            keep = kept(draws, draw + b * draw_stride + unit, threshold, scale) * real
            store(z, b * width + unit, value * keep)
            store(slopes, b * width + unit, slope * keep)
        store_rows(columns, unit * BATCH, LANES, to_columns(load_rows(z, unit, width)))
    for b in range(BATCH):
        columns[units * BATCH + b] = 1


@njit(cache=True, error_model="numpy", nogil=True)
def _backward(weights, offset, n_in, n_out, above, slopes, width, delta, columns):
    """Delta of a layer as rows (8, width) and as columns, from the columns `above` of the layer that follows."""
    for unit in range(0, width, BATCH):
        sums = no_halves()
        for block in range(0, n_out, LANES):
            at = offset + block * n_in + unit * LANES
            for lane in range(min(LANES, n_out - block)):
                sums = add_weighted(sums, weights, at + lane, load_half(above, (block + lane) * BATCH))
        store_rows(columns, unit * BATCH, BATCH, sums)
    for unit in range(0, width, LANES):
        store_rows(delta, unit, width, to_rows(load_rows(columns, unit * BATCH, LANES)))
        for b in range(BATCH):
            store(delta, b * width + unit, load(delta, b * width + unit) * load(slopes, b * width + unit))
        store_rows(columns, unit * BATCH, LANES, to_columns(load_rows(delta, unit, width)))


@njit(cache=True, error_model="numpy", nogil=True)
def _softmax(z, n_classes, logarithms):
    """Logits z (8, 16) to probabilities, and the logarithm of each row's sum of exponentials."""
    real = first_lanes(n_classes)
    absent = (spread(1.0) - real) * spread(-1e30)
    for b in range(BATCH):
        logits = load(z, b * LANES) + absent
        top = largest(logits)
        shares = _exponential(logits - spread(top)) * real
        whole = total(shares)
        store(z, b * LANES, shares / spread(whole))
        logarithms[b] = top + math.log(whole)


@njit(cache=True, error_model="numpy", nogil=True)
def _take(rows, row_stride, order, position, n_in, columns, starts):
    """Rows order[position:position + 8] as columns; past the end, the row of zeros that stands last."""
    zeros = rows.size - row_stride
    for b in range(BATCH):
        starts[b] = order[position + b] * row_stride if position + b < order.size else zeros
    for k in range(0, row_stride, LANES):
        store_rows(columns, k * BATCH, LANES, to_columns(gather_rows(rows, starts, k)))
    for b in range(BATCH):
        columns[(n_in - 1) * BATCH + b] = 1


@njit(cache=True, error_model="numpy", nogil=True)
def _scratch(row_stride):
    """What the four layers read, as columns with room for the bias; two sets, since an update needs the last step's."""
    inputs = np.zeros((row_stride + LANES) * BATCH, np.float32)
    a1 = np.zeros((P1 + 1) * BATCH, np.float32)
    a2 = np.zeros((P2 + 1) * BATCH, np.float32)
    a3 = np.zeros((P3 + 1) * BATCH, np.float32)
    return inputs, a1, a2, a3


@njit(cache=True, error_model="numpy", nogil=True)
def train_epoch(
    weights, first, second, rows, row_stride, n_features, targets, class_weights, order, draws, settings, steps_done,
    losses, masses,
):  # fmt: skip
    """Train one epoch: weights and moments (flat float32) are changed in place.

    rows: standardised features, flat float32, a row is `row_stride` floats, behind the last stands a row of zeros;
    targets: int64 (rows,); class_weights: float64 (classes,); order: int64, the rows as they come; draws: uint16,
    `N_DRAWS` for each slot of `order` filled up to whole batches, and `LANES` more;
    settings: float64 (lr, weight decay, beta 1, beta 2, epsilon, dropout's threshold, scale of the kept);
    losses, masses: float64 (steps,), each step's weighted mean loss and its sum of class weights.
    """
    # A model that has learned its rows has gradients so small that each costs x86 a hundred times a normal number.
    word = control_word()
    set_control_word(np.int32(word | _TINY_TO_ZERO))
    rate, decay, beta1, beta2, epsilon, threshold, scale = settings
    threshold, scale = int(threshold), np.float32(scale)
    n_classes = class_weights.size
    n1, n2, n3, n4 = n_features + 1, H1 + 1, H2 + 1, H3 + 1
    o2 = n1 * P1
    o3 = o2 + n2 * P2
    o4 = o3 + n3 * P3
    x0, a1, a2, a3 = _scratch(row_stride)
    x1, b1, b2, b3 = _scratch(row_stride)
    z1, z2, z3 = np.empty(P1 * BATCH, np.float32), np.empty(P2 * BATCH, np.float32), np.empty(P3 * BATCH, np.float32)
    s1, s2, s3 = np.empty_like(z1), np.empty_like(z2), np.empty_like(z3)
    d1, d2, d3, d4 = np.empty_like(z1), np.empty_like(z2), np.empty_like(z3), np.empty(LANES * BATCH, np.float32)
    c1, c2, c3, c4 = np.empty_like(z1), np.empty_like(z2), np.empty_like(z3), np.empty_like(d4)
    z4 = np.empty_like(d4)
    starts = np.empty(BATCH, np.int64)
    logarithms = np.empty(BATCH, np.float64)
    rates = np.empty(5, np.float32)
    rates[0], rates[1], rates[4] = beta1, beta2, 1 - rate * decay
    power1, power2 = beta1**steps_done, beta2**steps_done
    for position in range(0, order.size, BATCH):
        step = position // BATCH
        _take(rows, row_stride, order, position, n1, x0, starts)
        draw = position * N_DRAWS
        if step == 0:
            _forward(weights, 0, n1, P1, x0, z1)
        else:
            _update_and_forward(weights, first, second, 0, n1, P1, x1, d1, x0, z1, rates)
        _activate(z1, P1, H1, s1, draws, draw, N_DRAWS, threshold, scale, a1)
        if step == 0:
            _forward(weights, o2, n2, P2, a1, z2)
        else:
            _update_and_forward(weights, first, second, o2, n2, P2, b1, d2, a1, z2, rates)
        _activate(z2, P2, H2, s2, draws, draw + H1, N_DRAWS, threshold, scale, a2)
        if step == 0:
            _forward(weights, o3, n3, P3, a2, z3)
        else:
            _update_and_forward(weights, first, second, o3, n3, P3, b2, d3, a2, z3, rates)
        _activate(z3, P3, H3, s3, draws, draw + H1 + H2, N_DRAWS, threshold, scale, a3)
        if step == 0:
            _forward(weights, o4, n4, LANES, a3, z4)
        else:
            _update_and_forward(weights, first, second, o4, n4, LANES, b3, d4, a3, z4, rates)
        d4[:] = z4
        _softmax(d4, n_classes, logarithms)
        mass, loss = 0.0, 0.0
        for b in range(min(BATCH, order.size - position)):
            target = targets[order[position + b]]
            mass += class_weights[target]
            loss += class_weights[target] * (logarithms[b] - z4[b * LANES + target])
        losses[step], masses[step] = loss / mass, mass
        for b in range(BATCH):
            if position + b < order.size:
                target = targets[order[position + b]]
                d4[b * LANES + target] -= 1
                share = spread(np.float32(class_weights[target] / mass))
            else:
                share = spread(np.float32(0))
            store(d4, b * LANES, load(d4, b * LANES) * share)
        store_rows(c4, 0, LANES, to_columns(load_rows(d4, 0, LANES)))
        _backward(weights, o4, n4, n_classes, c4, s3, P3, d3, c3)
        _backward(weights, o3, n3, H3, c3, s2, P2, d2, c2)
        _backward(weights, o2, n2, H2, c2, s1, P1, d1, c1)
        power1, power2 = power1 * beta1, power2 * beta2
        root2 = math.sqrt((1 - power2) / (1 - beta2))
        rates[2], rates[3] = -rate * (1 - beta1) / (1 - power1) * root2, epsilon * root2
        x0, x1 = x1, x0
        a1, b1, a2, b2, a3, b3 = b1, a1, b2, a2, b3, a3
    # The last step's update; what it computes forward is not used.
    _update_and_forward(weights, first, second, 0, n1, P1, x1, d1, x0, z1, rates)
    _update_and_forward(weights, first, second, o2, n2, P2, b1, d2, a1, z2, rates)
    _update_and_forward(weights, first, second, o3, n3, P3, b2, d3, a2, z3, rates)
    _update_and_forward(weights, first, second, o4, n4, LANES, b3, d4, a3, z4, rates)
    set_control_word(word)


@njit(cache=True, error_model="numpy", nogil=True)
def log_probabilities(weights, rows, row_stride, n_features, chosen, out):
    """Write the logarithms of the classes' probabilities of the rows `chosen` (int64), without dropout.

    out: float64 (chosen, classes); the other arrays as in `train_epoch`.
    """
    n_classes = out.shape[1]
    n1, n2, n3, n4 = n_features + 1, H1 + 1, H2 + 1, H3 + 1
    o2 = n1 * P1
    o3 = o2 + n2 * P2
    o4 = o3 + n3 * P3
    x0, a1, a2, a3 = _scratch(row_stride)
    z1, z2, z3 = np.empty(P1 * BATCH, np.float32), np.empty(P2 * BATCH, np.float32), np.empty(P3 * BATCH, np.float32)
    slopes, z4, shares = np.empty_like(z1), np.empty(LANES * BATCH, np.float32), np.empty(LANES * BATCH, np.float32)
    starts, logarithms = np.empty(BATCH, np.int64), np.empty(BATCH, np.float64)
    draws, one = np.zeros(P1, np.uint16), np.float32(1)
    for position in range(0, chosen.size, BATCH):
        _take(rows, row_stride, chosen, position, n1, x0, starts)
        _forward(weights, 0, n1, P1, x0, z1)
        _activate(z1, P1, H1, slopes, draws, 0, 0, 0, one, a1)
        _forward(weights, o2, n2, P2, a1, z2)
        _activate(z2, P2, H2, slopes, draws, 0, 0, 0, one, a2)
        _forward(weights, o3, n3, P3, a2, z3)
        _activate(z3, P3, H3, slopes, draws, 0, 0, 0, one, a3)
        _forward(weights, o4, n4, LANES, a3, z4)
        shares[:] = z4
        _softmax(shares, n_classes, logarithms)
        for b in range(min(BATCH, chosen.size - position)):
            for c in range(n_classes):
                out[position + b, c] = z4[b * LANES + c] - logarithms[b]
