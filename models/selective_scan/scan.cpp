// The selective scan on a CPU, forward and backward, behind a plain C interface. What it computes: reference.py.
//
// Channels lie in the lanes of a vector, so that a token is the same arithmetic on whole vectors. The sequence is cut
// into chunks whose states fit into the cache: forward keeps the state before each chunk, backward replays one chunk
// after another from there, last chunk first. Threads share items of the batch and groups of channels.
// Written for GCC and clang, whose vector types do for every processor what intrinsics do for one.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

namespace {

constexpr int VECTOR_BYTES = 64;  // one AVX-512 register, two of AVX2, four of NEON

template <class T> struct Numbers;

template <> struct Numbers<float> {
    typedef int32_t Bits __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int mantissa = 23, least_exponent = -127, log_terms = 8;
    static constexpr float log2_e = 1.44269504f, ln2 = 0.693147181f;
    static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.428606765e-6f;  // exact times a whole number; the rest
    // 1.5 * 2^23 rounds what is added to it to a whole number; with the exponent's bias the low bits are an exponent.
    static constexpr float rounder = 12582912.0f + 127.0f;
    // 2^r on [-0.5, 0.5] is 1 + r (c0 + r (c1 + ...)), interpolated at Chebyshev nodes: relative error 5e-9.
    static constexpr float power[] = {0.693147188026f,   0.240226507606f,   0.0555035711422f,
                                      0.00961808255728f, 0.00133908633647f, 0.000154531629451f};
};

template <> struct Numbers<double> {
    typedef int64_t Bits __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int mantissa = 52, least_exponent = -1023, log_terms = 17;
    static constexpr double log2_e = 1.4426950408889634074, ln2 = 0.69314718055994530942;
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    static constexpr double rounder = 6755399441055744.0 + 1023.0;
    // Taylor's: ln(2)^k / k!, relative error 4e-18.
    static constexpr double power[] = {
        0.69314718055994530942,    0.24022650695910071233,    0.055504108664821579953,   0.0096181291076284771620,
        0.0013333558146428443423,  0.00015403530393381609954, 0.000015252733804059840280, 1.3215486790144309488e-6,
        1.0178086009239699728e-7,  7.0549116208011233299e-9,  4.4455382718708114976e-10, 2.5678435993488205142e-11,
        1.3691488853904128881e-12};
};

template <class T> struct Lanes {
    static constexpr int COUNT = VECTOR_BYTES / sizeof(T);
    typedef T Vector __attribute__((vector_size(VECTOR_BYTES)));
    using Bits = typename Numbers<T>::Bits;
    using N = Numbers<T>;

    static inline Vector all(T value) { return value - Vector{}; }

    // 2^(whole + fraction) for |fraction| <= 0.5; the low bits of `shifted` = whole + rounder are the exponent.
    // 0 below the smallest normal number, infinity above the largest; nan stays.
    static inline Vector power(Vector shifted, Vector fraction) {
        constexpr int terms = sizeof(N::power) / sizeof(T);
        Vector sum = all(N::power[terms - 1]);
        for (int k = terms - 2; k >= 0; --k) sum = sum * fraction + N::power[k];
        const Vector least = all(N::rounder + N::least_exponent);
        const Bits most = (Bits)all(N::rounder + 1 - N::least_exponent);
        Bits exponent = (Bits)shifted;
        exponent = exponent < most ? exponent : most;
        const Vector value = (sum * fraction + T(1)) * (Vector)(exponent << N::mantissa);
        return shifted < least ? Vector{} : value;
    }

    static inline Vector exp2(Vector x) {
        const Vector shifted = x + N::rounder;
        return power(shifted, x - (shifted - N::rounder));
    }

    static inline Vector exp(Vector x) {
        const Vector least = all(-1000), most = all(1000);
        x = x < least ? least : x > most ? most : x;
        const Vector shifted = x * N::log2_e + N::rounder, whole = shifted - N::rounder;
        return power(shifted, ((x - whole * N::ln2_high) - whole * N::ln2_low) * N::log2_e);
    }

    static inline Vector sigmoid(Vector x) { return T(1) / (T(1) + exp(-x)); }

    // max(x, 0) + log(1 + e), e = exp(-|x|): log(1 + e) is 2 artanh(s), s = e / (2 + e) <= 1/3, as a series.
    static inline Vector softplus(Vector x) {
        const Vector positive = x > T(0) ? x : Vector{}, e = exp(x > T(0) ? -x : x), s = e / (e + T(2));
        Vector sum{};
        for (int k = N::log_terms; k > 0; --k) sum = sum * (s * s) + T(1) / T(2 * k - 1);
        return positive + T(2) * s * sum;
    }
};

// An array [batch, rows, tokens] wherever its elements lie; rows are channels or states. No data: it was not given.
template <class T> struct Strided {
    T* data;
    int64_t batch, row, token;
};

// What Python hands over: cpp.py has the same fields in the same order. All but the strided arrays is contiguous.
template <class T> struct Problem {
    int64_t batch, channels, states, tokens, chunk, parts, threads, softplus;
    const T *A, *D, *bias;  // [channels, states], [channels], [channels]
    Strided<T> u, delta, B, C, z, y;
    T* checkpoints;  // [batch, chunks, vectors of channels, states, lanes]; null: none are kept
    Strided<T> dy, du, ddelta, dz;
    T *dB, *dC;               // [parts, batch, tokens, states]
    double *dA, *dD, *dbias;  // [batch, channels, states], [batch, channels], [batch, channels]
};

// Some groups of channels of one item of the batch: what one thread works through. A group fills one vector.
template <class T> class Part {
    using L = Lanes<T>;
    using Vector = typename L::Vector;

    struct Group {
        int64_t channel;
        int lanes;
        Vector D{}, bias{};
        std::vector<Vector> A;      // [states], times log2(e): exp2 takes it
        std::vector<Vector> carry;  // [states]: the state; on the way back its gradient
        std::vector<double> dA;     // [states, lanes]
        double dD[L::COUNT]{}, dbias[L::COUNT]{};
    };

    const Problem<T>& p;
    const int64_t item, index;
    std::vector<Group> groups;
    std::vector<T> B, C;                                        // [chunk, states]
    std::vector<Vector> u, raw, step, z, y, dy, du, dstep, dz;  // [chunk]; raw: step before softplus
    std::vector<Vector> decays, dB, dC;                         // [chunk, states]
    std::vector<Vector> states, dA;                             // [chunk + 1, states], [states]

  public:
    Part(const Problem<T>& problem, int64_t item, int64_t index) : p(problem), item(item), index(index) {
        const int64_t count = (p.channels + L::COUNT - 1) / L::COUNT;
        for (int64_t g = count * index / p.parts; g < count * (index + 1) / p.parts; ++g) groups.push_back(group(g * L::COUNT));
        for (auto* scalars : {&B, &C}) scalars->resize(p.chunk * p.states);
        for (auto* tile : {&u, &raw, &step, &z, &y, &dy, &du, &dstep, &dz}) tile->resize(p.chunk);
    }

    void forward() {
        for (int64_t first = 0; first < p.tokens; first += p.chunk) {
            const int count = int(std::min(p.chunk, p.tokens - first));
            load_rows(B, p.B, first, count);
            load_rows(C, p.C, first, count);
            for (Group& group : groups) {
                load_inputs(group, first, count);
                if (p.checkpoints) std::copy(group.carry.begin(), group.carry.end(), checkpoint(group, first));
                for (int t = 0; t < count; ++t) {
                    y[t] = advance(group, t) + group.D * u[t];
                    if (p.z.data) y[t] *= z[t] * L::sigmoid(z[t]);
                }
                store(y, p.y, group, first, count);
            }
        }
    }

    void backward() {
        for (auto* tile : {&decays, &dB, &dC}) tile->resize(p.chunk * p.states);
        states.resize((p.chunk + 1) * p.states);
        dA.resize(p.states);
        for (int64_t first = (p.tokens - 1) / p.chunk * p.chunk; first >= 0; first -= p.chunk) {
            const int count = int(std::min(p.chunk, p.tokens - first));
            load_rows(B, p.B, first, count);
            load_rows(C, p.C, first, count);
            std::fill(dB.begin(), dB.end(), Vector{});
            std::fill(dC.begin(), dC.end(), Vector{});
            for (Group& group : groups) {
                load_inputs(group, first, count);
                load(dy, p.dy, group, first, count);
                replay(group, first, count);
                if (p.z.data) gate_back(group, first, count);
                go_back(group, count);
                store_gradients(group, first, count);
            }
            sum_lanes(dB, p.dB, first, count);
            sum_lanes(dC, p.dC, first, count);
        }
        for (const Group& group : groups) store_totals(group);
    }

  private:
    Group group(int64_t channel) const {
        Group g;
        g.channel = channel;
        g.lanes = std::min<int64_t>(L::COUNT, p.channels - channel);
        g.A.resize(p.states), g.carry.resize(p.states), g.dA.resize(p.states * L::COUNT);
        for (int i = 0; i < g.lanes; ++i) {
            for (int64_t n = 0; n < p.states; ++n) g.A[n][i] = p.A[(channel + i) * p.states + n] * Numbers<T>::log2_e;
            if (p.D) g.D[i] = p.D[channel + i];
            if (p.bias) g.bias[i] = p.bias[channel + i];
        }
        return g;
    }

    void load_rows(std::vector<T>& tile, const Strided<T>& from, int64_t first, int count) const {
        const T* source = from.data + item * from.batch + first * from.token;
        for (int64_t n = 0; n < p.states; ++n)
            for (int t = 0; t < count; ++t) tile[t * p.states + n] = source[n * from.row + t * from.token];
    }

    void load(std::vector<Vector>& tile, const Strided<T>& from, const Group& group, int64_t first, int count) const {
        const T* source = from.data + item * from.batch + group.channel * from.row + first * from.token;
        T* target = reinterpret_cast<T*>(tile.data());
        if (group.lanes < L::COUNT) std::fill(tile.begin(), tile.end(), Vector{});  // lanes without a channel stay 0
        if (from.row == 1 && group.lanes == L::COUNT) {
            for (int t = 0; t < count; ++t) std::memcpy(target + t * L::COUNT, source + t * from.token, VECTOR_BYTES);
        } else {
            for (int i = 0; i < group.lanes; ++i)
                for (int t = 0; t < count; ++t) target[t * L::COUNT + i] = source[i * from.row + t * from.token];
        }
    }

    void store(const std::vector<Vector>& tile, const Strided<T>& to, const Group& group, int64_t first, int count) const {
        T* target = to.data + item * to.batch + group.channel * to.row + first * to.token;
        const T* source = reinterpret_cast<const T*>(tile.data());
        if (to.row == 1 && group.lanes == L::COUNT) {
            for (int t = 0; t < count; ++t) std::memcpy(target + t * to.token, source + t * L::COUNT, VECTOR_BYTES);
        } else {
            for (int i = 0; i < group.lanes; ++i)
                for (int t = 0; t < count; ++t) target[i * to.row + t * to.token] = source[t * L::COUNT + i];
        }
    }

    void load_inputs(const Group& group, int64_t first, int count) {
        load(u, p.u, group, first, count);
        load(raw, p.delta, group, first, count);
        if (p.z.data) load(z, p.z, group, first, count);
        for (int t = 0; t < count; ++t) {
            raw[t] += group.bias;
            step[t] = p.softplus ? L::softplus(raw[t]) : raw[t];
        }
    }

    Vector* checkpoint(const Group& group, int64_t first) const {
        const int64_t width = (p.channels + L::COUNT - 1) / L::COUNT, chunks = (p.tokens + p.chunk - 1) / p.chunk;
        return reinterpret_cast<Vector*>(p.checkpoints) +
               ((item * chunks + first / p.chunk) * width + group.channel / L::COUNT) * p.states;
    }

    // s = exp(step A) s + step u B; gives C s.
    Vector advance(Group& group, int t) const {
        const Vector rate = step[t], drive = rate * u[t];
        Vector sum{};
        for (int64_t n = 0, at = t * p.states; n < p.states; ++n, ++at) {
            group.carry[n] = L::exp2(rate * group.A[n]) * group.carry[n] + drive * B[at];
            sum += group.carry[n] * C[at];
        }
        return sum;
    }

    // The same, with every decay and state written down, and the output before its gate.
    void replay(const Group& group, int64_t first, int count) {
        std::copy_n(checkpoint(group, first), p.states, states.begin());
        for (int t = 0; t < count; ++t) {
            const Vector drive = step[t] * u[t];
            Vector sum = group.D * u[t];
            for (int64_t n = 0, at = t * p.states; n < p.states; ++n, ++at) {
                decays[at] = L::exp2(step[t] * group.A[n]);
                states[at + p.states] = decays[at] * states[at] + drive * B[at];
                sum += states[at + p.states] * C[at];
            }
            y[t] = sum;
        }
    }

    // From the gradient of y silu(z) to those of z and, in place, of y.
    void gate_back(const Group& group, int64_t first, int count) {
        for (int t = 0; t < count; ++t) {
            const Vector open = L::sigmoid(z[t]);
            dz[t] = dy[t] * y[t] * open * (T(1) + z[t] * (T(1) - open));
            dy[t] *= z[t] * open;
        }
        store(dz, p.dz, group, first, count);
    }

    // The gradient of a state is C dy of its own token and, as `carry`, exp(step A) times that of the token after it.
    void go_back(Group& group, int count) {
        std::fill(dA.begin(), dA.end(), Vector{});
        for (int t = count - 1; t >= 0; --t) {
            const Vector drive = step[t] * u[t];
            Vector ddrive{}, dexponent{};
            for (int64_t n = 0, at = t * p.states; n < p.states; ++n, ++at) {
                const Vector ds = group.carry[n] + dy[t] * C[at];
                dC[at] += dy[t] * states[at + p.states];
                dB[at] += ds * drive;
                ddrive += ds * B[at];
                group.carry[n] = ds * decays[at];
                const Vector through = group.carry[n] * states[at];
                dA[n] += through * step[t];
                dexponent += through * group.A[n];
            }
            du[t] = dy[t] * group.D + ddrive * step[t];
            dstep[t] = ddrive * u[t] + dexponent * Numbers<T>::ln2;
        }
    }

    void store_gradients(Group& group, int64_t first, int count) {
        Vector dD{}, dbias{};
        for (int t = 0; t < count; ++t) {
            if (p.softplus) dstep[t] *= L::sigmoid(raw[t]);
            dD += dy[t] * u[t];
            dbias += dstep[t];
        }
        store(du, p.du, group, first, count);
        store(dstep, p.ddelta, group, first, count);
        for (int i = 0; i < L::COUNT; ++i) {  // a chunk in T, all chunks in double: a long sum loses nothing
            group.dD[i] += dD[i], group.dbias[i] += dbias[i];
            for (int64_t n = 0; n < p.states; ++n) group.dA[n * L::COUNT + i] += dA[n][i];
        }
    }

    // Sums over this part's channels; Python adds the parts.
    void sum_lanes(const std::vector<Vector>& tile, T* to, int64_t first, int count) const {
        T* target = to + ((index * p.batch + item) * p.tokens + first) * p.states;
        for (int64_t at = 0; at < count * p.states; ++at) {
            T sum[4]{};  // four at a time: the compiler makes vectors of them
            for (int i = 0; i < L::COUNT; ++i) sum[i % 4] += tile[at][i];
            target[at] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        }
    }

    void store_totals(const Group& group) const {
        for (int i = 0; i < group.lanes; ++i) {
            const int64_t channel = item * p.channels + group.channel + i;
            p.dD[channel] = group.dD[i], p.dbias[channel] = group.dbias[i];
            for (int64_t n = 0; n < p.states; ++n) p.dA[channel * p.states + n] = group.dA[n * L::COUNT + i];
        }
    }
};

template <class Task> void share(int64_t tasks, int64_t threads, Task task) {
    std::atomic<int64_t> next{0};
    const auto work = [&] {
        for (int64_t i = next++; i < tasks; i = next++) task(i);
    };
    std::vector<std::thread> helpers;
    try {
        while (int64_t(helpers.size()) + 1 < std::min(tasks, threads)) helpers.emplace_back(work);
    } catch (const std::system_error&) {
        // No more threads to be had: those that run do all the work.
    }
    work();
    for (std::thread& helper : helpers) helper.join();
}

template <class T> void forward(const Problem<T>& p) {
    share(p.batch * p.parts, p.threads, [&](int64_t i) { Part<T>(p, i / p.parts, i % p.parts).forward(); });
}

template <class T> void backward(const Problem<T>& p) {
    share(p.batch * p.parts, p.threads, [&](int64_t i) { Part<T>(p, i / p.parts, i % p.parts).backward(); });
}

}  // namespace

extern "C" {
void forward_float32(const Problem<float>* p) { forward(*p); }
void forward_float64(const Problem<double>* p) { forward(*p); }
void backward_float32(const Problem<float>* p) { backward(*p); }
void backward_float64(const Problem<double>* p) { backward(*p); }
}
