"""The scan's kernels for a GPU, in Triton: a program holds a tile of [CHANNELS, TOKENS] and goes through the states one by one.

The sequence is cut into chunks of TOKENS. `chunk_ends` runs each from a zero state, `carry` walks over the chunks and finds
the state that enters each, `outputs` runs each again from there. Backwards the first two find what each chunk hands to the
one before it, and `gradients` does the rest. Decays are multiplied, or steps summed and the decay taken of the sum; nothing
is divided by a decay, for it may be 0.

All arrays are contiguous, and computed with in float32. u, delta, z, y and their gradients: [batch, channels, L], of any
type; L = units * UNIT tells Triton what rows begin at a multiple of, so that a thread takes 4 tokens at once. The rest is
float32: A [states, channels], times log2(e) for exp2; B, C [batch, states, L]; D, bias [channels]; what crosses the chunks'
borders [batch, chunks + 1, states, channels], in the order of travel. D, z, bias may be None.
"""

# Triton compiles these functions, Python does not run them: their types are Triton's.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
import triton
import triton.language as tl

LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _compose(decay, gain, later_decay, later_gain):
    """Two steps state -> decay * state + gain as one."""
    return decay * later_decay, gain * later_decay + later_gain


@triton.jit
def _run(decay, gain, state):
    """All states of a chunk, from the one that enters it: one a row of the tile."""
    through, alone = tl.associative_scan((decay, gain), 1, _compose)
    return alone + through * state


@triton.jit
def _sigmoid(x):
    small = tl.exp(-tl.abs(x))  # never overflows
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)


@triton.jit
def _softplus(x):
    """max(x, 0) + log(1 + exp(-|x|)), the logarithm as a series in e / (2 + e): exact also where e is tiny beside 1."""
    small = tl.exp(-tl.abs(x))
    ratio = small / (2.0 + small)
    square = ratio * ratio  # at most 1 / 9: the first term left out is below 1e-8
    series = 1.0 / 9 + square * (1.0 / 11 + square * (1.0 / 13))
    series = 1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7 + square * series))
    return tl.maximum(x, 0.0) + 2.0 * ratio * (1.0 + square * series)


@triton.jit
def _load(tile, mask):
    return tl.load(tile, mask, 0.0).to(tl.float32)


@triton.jit
def _raw_steps(delta, bias, d, channels, mask):
    """Step sizes before softplus; `delta` points to a tile."""
    raw = _load(delta, mask)
    if bias is not None:
        raw += tl.load(bias + d, d < channels, 0.0)[:, None]
    return raw


@triton.jit
def _steps(delta, bias, d, channels, mask, SOFTPLUS: tl.constexpr):
    """Step sizes; outside the mask 0, which leaves a state as it is."""
    raw = _raw_steps(delta, bias, d, channels, mask)
    if SOFTPLUS:
        raw = _softplus(raw)
    return tl.where(mask, raw, 0.0)


@triton.jit
def _before_gate(dy, z, tile, mask):
    """The gradient of what was y before the gate."""
    gradient = _load(dy + tile, mask)
    if z is not None:
        gate = _load(z + tile, mask)
        gradient *= gate * _sigmoid(gate)
    return gradient


@triton.jit
def chunk_ends(
    u, delta, A, B, C, D, z, bias, dy, borders, spans, channels, units, N,
    UNIT: tl.constexpr, SOFTPLUS: tl.constexpr, CHANNELS: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """What each chunk would hand on alone, into `borders` from slot 1 on; and the sum of its steps, into `spans`.

    Forward, without dy: the state after its last token. Backward: the adjoint state that it owes the token before.
    """
    chunk, chunks, batch = tl.program_id(0), tl.num_programs(0), tl.program_id(2).to(tl.int64)
    L = units * UNIT
    d = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    j = tl.arange(0, TOKENS)
    t = chunk * TOKENS + j
    mask = (d < channels)[:, None] & (t < L)[None, :]
    tile = ((batch * channels + d) * L)[:, None] + t[None, :]

    step = _steps(delta + tile, bias, d, channels, mask, SOFTPLUS)
    if dy is None:
        followed = mask & ((j + 1 < TOKENS) & (t + 1 < L))[None, :]
        following = _steps(delta + tile + 1, bias, d, channels, followed, SOFTPLUS)
        distance = tl.cumsum(following, 1, reverse=True)  # of a token from the end
        amount = step * _load(u + tile, mask)
        weights = B
        place = chunk
    else:
        distance = tl.cumsum(step, 1)  # of a token from before the first
        amount = _before_gate(dy, z, tile, mask)
        weights = C
        place = chunks - 1 - chunk

    tl.store(spans + (batch * chunks + place) * channels + d, tl.sum(step, 1), d < channels)
    for n in range(N):
        rate = tl.load(A + n * channels + d, d < channels, 0.0)[:, None]
        weight = tl.load(weights + (batch * N + n) * L + t, t < L, 0.0)[None, :]
        end = tl.sum(tl.exp2(rate * distance) * amount * weight, 1)
        slot = batch * (chunks + 1) + place + 1
        tl.store(borders + (slot * N + n) * channels + d, end, d < channels)


@triton.jit(do_not_specialize=["chunks"])
def carry(A, borders, spans, channels, chunks, N, CHANNELS: tl.constexpr, CHUNKS: tl.constexpr):
    """Walk over the chunks: slot k of `borders` becomes, in place, what enters the k-th on the way; zero enters the first.

    For one warp: of several one might write what another has yet to read.
    """
    n, batch = tl.program_id(1), tl.program_id(2).to(tl.int64)
    d = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    rate = tl.load(A + n * channels + d, d < channels, 0.0)[None, :]
    state = tl.zeros([CHANNELS], tl.float32)
    tl.store(borders + (batch * (chunks + 1) * N + n) * channels + d, state, d < channels)
    for first in range(0, chunks, CHUNKS):
        j = tl.arange(0, CHUNKS)[:, None]
        mask = (first + j < chunks) & (d < channels)[None, :]
        span = tl.load(spans + (batch * chunks + first + j) * channels + d[None, :], mask, 0.0)
        slots = borders + ((batch * (chunks + 1) + first + j + 1) * N + n) * channels + d[None, :]
        through, alone = tl.associative_scan((tl.exp2(rate * span), tl.load(slots, mask, 0.0)), 0, _compose)
        states = alone + through * state[None, :]
        tl.store(slots, states, mask)
        state = tl.sum(tl.where(j == CHUNKS - 1, states, 0.0), 0)


@triton.jit
def outputs(
    u, delta, A, B, C, D, z, bias, entries, y, channels, units, N,
    UNIT: tl.constexpr, SOFTPLUS: tl.constexpr, CHANNELS: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """y, from the state that enters each chunk."""
    chunk, chunks, batch = tl.program_id(0), tl.num_programs(0), tl.program_id(2).to(tl.int64)
    L = units * UNIT
    d = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    t = chunk * TOKENS + tl.arange(0, TOKENS)
    mask = (d < channels)[:, None] & (t < L)[None, :]
    tile = ((batch * channels + d) * L)[:, None] + t[None, :]

    step = _steps(delta + tile, bias, d, channels, mask, SOFTPLUS)
    x = _load(u + tile, mask)
    amount = step * x
    total = tl.zeros([CHANNELS, TOKENS], tl.float32)
    for n in range(N):
        rate = tl.load(A + n * channels + d, d < channels, 0.0)[:, None]
        slot = batch * (chunks + 1) + chunk
        entry = tl.load(entries + (slot * N + n) * channels + d, d < channels, 0.0)[:, None]
        row = (batch * N + n) * L + t
        gain = amount * tl.load(B + row, t < L, 0.0)[None, :]
        total += _run(tl.exp2(rate * step), gain, entry) * tl.load(C + row, t < L, 0.0)[None, :]
    if D is not None:
        total += x * tl.load(D + d, d < channels, 0.0)[:, None]
    if z is not None:
        gate = _load(z + tile, mask)
        total *= gate * _sigmoid(gate)
    tl.store(y + tile, total.to(y.dtype.element_ty), mask)


@triton.jit(do_not_specialize=["first_block"])  # else compiled thrice: for 0, 1 and others
def gradients(
    u, delta, A, B, C, D, z, bias, dy, entries, returns,
    du, ddelta, dz, dBC, dA, dD, dbias, first_block, channels, units, N,
    UNIT: tl.constexpr, SOFTPLUS: tl.constexpr, CHANNELS: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """All gradients, from the state that enters each chunk and the adjoint state that comes back into it.

    With q the gradient of y before the gate and h_t = exp(delta_t A) s_(t-1) what is left of the past: the adjoint of s_t is
    l_t = q_t C_t + exp(delta_(t+1) A) l_(t+1). It gives B_t delta_t u_t, u_t delta_t B_t, delta_t u_t B_t + A h_t, and A
    delta_t h_t.

    What is summed over channels or tokens is stored by block of channels (dBC: [blocks, batch, states, L, 2], dB and dC) and
    by chunk (dA: [batch, chunks, states, channels]; dD, dbias: [batch, chunks, channels]), to be added in a fixed order.
    """
    chunk, chunks, batch = tl.program_id(0), tl.num_programs(0), tl.program_id(2).to(tl.int64)
    L = units * UNIT
    d = (first_block + tl.program_id(1)) * CHANNELS + tl.arange(0, CHANNELS)
    j = tl.arange(0, TOKENS)
    t = chunk * TOKENS + j
    t_backwards = chunk * TOKENS + TOKENS - 1 - j
    mask = (d < channels)[:, None] & (t < L)[None, :]
    tile = ((batch * channels + d) * L)[:, None] + t[None, :]
    preceded = (j > 0) & (t < L)
    before = mask & preceded[None, :]
    after = mask & ((j + 1 < TOKENS) & (t + 1 < L))[None, :]

    step = _steps(delta + tile, bias, d, channels, mask, SOFTPLUS)
    x = _load(u + tile, mask)
    q = _before_gate(dy, z, tile, mask)
    amount = step * x
    amount_before = _steps(delta + tile - 1, bias, d, channels, before, SOFTPLUS) * _load(u + tile - 1, before)
    following = tl.flip(_steps(delta + tile + 1, bias, d, channels, after, SOFTPLUS), 1)
    q_backwards = tl.flip(q, 1)

    towards_input = tl.zeros([CHANNELS, TOKENS], tl.float32)  # the sum over states of l B
    towards_decay = tl.zeros([CHANNELS, TOKENS], tl.float32)  # of A h l
    inner = tl.zeros([CHANNELS, TOKENS], tl.float32)  # of C s: y before skip and gate
    for n in range(N):
        rate = tl.load(A + n * channels + d, d < channels, 0.0)[:, None]
        slot = batch * (chunks + 1)
        entry = tl.load(entries + ((slot + chunk) * N + n) * channels + d, d < channels, 0.0)[:, None]
        back = tl.load(returns + ((slot + chunks - 1 - chunk) * N + n) * channels + d, d < channels, 0.0)[:, None]
        row = (batch * N + n) * L
        b = tl.load(B + row + t, t < L, 0.0)[None, :]
        b_before = tl.load(B + row + t - 1, preceded, 0.0)[None, :]
        c = tl.load(C + row + t, t < L, 0.0)[None, :]
        c_backwards = tl.load(C + row + t_backwards, t_backwards < L, 0.0)[None, :]

        decay = tl.exp2(rate * step)
        held = _run(decay, decay * amount_before * b_before, entry)  # not state - amount * b: that loses digits
        state = held + amount * b
        adjoint = tl.flip(_run(tl.exp2(rate * following), q_backwards * c_backwards, back), 1)
        pull = adjoint * held
        towards_input += adjoint * b
        towards_decay += rate * pull
        if z is not None:
            inner += state * c
        block = (tl.program_id(1) * tl.num_programs(2) + batch) * N + n
        both = tl.sum(tl.join(adjoint * amount, q * state), 0)  # one sum is one barrier
        tl.store(dBC + (block * L + t)[:, None] * 2 + tl.arange(0, 2)[None, :], both, (t < L)[:, None])
        part = ((batch * chunks + chunk) * N + n) * channels + d
        tl.store(dA + part, tl.sum(step * pull, 1), d < channels)

    part = (batch * chunks + chunk) * channels + d
    gradient = step * towards_input
    if D is not None:
        skip = tl.load(D + d, d < channels, 0.0)[:, None]
        gradient += skip * q
        inner += skip * x
        tl.store(dD + part, tl.sum(q * x, 1), d < channels)
    tl.store(du + tile, gradient.to(du.dtype.element_ty), mask)
    gradient = x * towards_input + LN2 * towards_decay
    if SOFTPLUS:
        gradient *= _sigmoid(_raw_steps(delta + tile, bias, d, channels, mask))
    if bias is not None:
        tl.store(dbias + part, tl.sum(gradient, 1), d < channels)
    tl.store(ddelta + tile, gradient.to(ddelta.dtype.element_ty), mask)
    if z is not None:
        gate = _load(z + tile, mask)
        opening = _sigmoid(gate)
        gradient = _load(dy + tile, mask) * inner * opening * (1.0 + gate * (1.0 - opening))
        tl.store(dz + tile, gradient.to(dz.dtype.element_ty), mask)
