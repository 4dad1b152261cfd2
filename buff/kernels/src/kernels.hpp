// The kernels for every instruction set, and the one that this processor has.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "model.hpp"
#include "special.hpp"
#if defined(_MSC_VER) && !defined(__clang__)
#define BUFF_INLINE __forceinline
#define BUFF_PREFETCH(address)
#else
#define BUFF_INLINE inline __attribute__((always_inline))
#define BUFF_PREFETCH(address) __builtin_prefetch(address)
#endif
#if defined(__x86_64__) || defined(_M_X64)
#define BUFF_X86 1
#include <immintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#define BUFF_NEON 1
#include <arm_neon.h>
#endif

namespace buff {

constexpr int kFew = 6;    // events up to which trees are walked one event after another
constexpr int kTile = 16;  // events of which monomials are made at a time

/// Memory of one thread.
struct Scratch {
    Aligned<float> registers, velocity, frame, turned, condition, sums, inputs, pairs;
    Aligned<double> wide, terms, row;
    Aligned<uint8_t> codes, leaves;
    Scratch(int features, int outputs, int n_registers, int n_trees, int n_terms = 0)
        : registers(size_t(n_registers) * size_t(outputs) * kBlock),
          velocity(size_t(outputs) * kBlock),
          frame(size_t(outputs) * kBlock),
          turned(size_t(outputs) * kBlock),
          condition(size_t(features) * kBlock),
          sums(size_t(outputs) * kBlock),
          inputs(n_terms ? size_t(features) * kTile : 0),
          pairs(size_t(n_terms) * kTile),
          wide(size_t(features > outputs ? features : outputs) * kBlock),
          terms(size_t(n_terms) * kTile),
          row(size_t(features > n_terms ? features : n_terms) + kLanes),
          codes((size_t(features) + 15) / 16 * 16 * kBlock),
          leaves(size_t(n_trees) + 64) {}
};

/// Features of a block in up to three groups, each column by column.
struct Features {
    const float* part[3];
    int n[3];
    const float* operator[](int f) const {
        int k = 0;
        while (k < 2 && f >= n[k]) f -= n[k++];
        return part[k] + f * kBlock;
    }
};

/// The polyline through (x, y) at a place inside, as numpy.interp has it: last j with x[j] <= u.
template <class X, class Y>
inline double interpolate(const X* x, const Y* y, int n, double u) {
    const X* base = x;
    for (int length = n; length > 1;) {
        const int half = length / 2;
        base = double(base[half]) <= u ? base + half : base;
        length -= half;
    }
    const int j = int(base - x);
    if (j >= n - 1) return double(y[n - 1]);
    const double x0 = double(x[j]), y0 = double(y[j]);
    if (x0 == u) return y0;
    const double slope = (double(y[j + 1]) - y0) / (double(x[j + 1]) - x0);
    return slope * (u - x0) + y0;
}

namespace scalar {
/// Two doubles.
struct Doubles {
    static constexpr int size = 2;
#if BUFF_X86
    __m128d v;
    static BUFF_INLINE Doubles zero() { return {_mm_setzero_pd()}; }
    static BUFF_INLINE Doubles load(const double* p) { return {_mm_loadu_pd(p)}; }
    static BUFF_INLINE Doubles all(double x) { return {_mm_set1_pd(x)}; }
    BUFF_INLINE void store(double* p) const { _mm_storeu_pd(p, v); }
    BUFF_INLINE double sum() const { return _mm_cvtsd_f64(v) + _mm_cvtsd_f64(_mm_unpackhi_pd(v, v)); }
    BUFF_INLINE void add(Doubles x, Doubles y) { v = _mm_add_pd(v, _mm_mul_pd(x.v, y.v)); }
#else
    double a, b;
    static Doubles zero() { return {0, 0}; }
    static Doubles load(const double* p) { return {p[0], p[1]}; }
    static Doubles all(double x) { return {x, x}; }
    void store(double* p) const { p[0] = a, p[1] = b; }
    double sum() const { return a + b; }
    /// Adds a product of which nothing is rounded.
    BUFF_INLINE void add(Doubles x, Doubles y) { a += x.a * y.a, b += x.b * y.b; }
#endif
};
/// The nearest whole number of one below 2^51. A call of rint would take longer.
static BUFF_INLINE double whole(double x) {
    constexpr double magic = 0x1.8p52;
    return (x + magic) - magic;
}
/// The same for singles times 2^22, which are whole where they reach 2^51.
static BUFF_INLINE double whole_of_any(double x) { return std::fabs(x) < 0x1p51 ? whole(x) : x; }
#include "scalar.inc"
/// Levels that are done by other means: none.
static int first_levels(const Forest&, const uint8_t*, uint8_t*) { return 0; }
/// Leads an event of codes x down N trees, from one level to another: what one tree waits for, others can do.
template <int N>
static BUFF_INLINE void walk(const Forest& F, int t, int from, int to, const uint8_t* x, uint8_t* places) {
    const uint16_t* splits = F.splits.data() + size_t(t) * kNodes;
    uint32_t i[N];
    for (int k = 0; k < N; k++) i[k] = places[t + k];
    for (int l = from; l < to; l++)
        for (int k = 0; k < N; k++) {
            const uint32_t split = splits[uint32_t(k * kNodes) + i[k]];
            i[k] = 2 * i[k] + (x[split & 255] > split >> 8);
        }
    for (int k = 0; k < N; k++) places[t + k] = uint8_t(i[k]);
}
/// The leaf below a bottom.
static BUFF_INLINE float leaf_of(const Bottom& own, const uint8_t* x) {
    const int right = x[own.feature[0]] > own.code[0];
    return own.leaf[2 * right + (x[own.feature[1 + right]] > own.code[1 + right])];
}
/// Adds the leaves of G outputs from output g on: what one sum waits for, others can do.
template <int G>
static BUFF_INLINE void add_leaves(const Forest& F, int g, const uint8_t* x, const uint8_t* places, float* v) {
    const int *first = F.first.data() + g, below = 1 << (F.depth - 2);
    int n = first[1] - first[0];
    float sums[G];
    for (int j = 0; j < G; j++) {
        sums[j] = F.base[size_t(g + j)];
        n = first[j + 1] - first[j] < n ? first[j + 1] - first[j] : n;
    }
    auto leaf = [&](int t) { return leaf_of(F.bottoms[size_t(t * below + places[t] - below)], x); };
    for (int k = 0; k < n; k++)
        for (int j = 0; j < G; j++) sums[j] += leaf(first[j] + k);
    for (int j = 0; j < G; j++) {
        for (int t = first[j] + n; t < first[j + 1]; t++) sums[j] += leaf(t);
        v[(g + j) * kBlock] += sums[j];
    }
}
/// Adds the trees for the codes x of one event to v, from a level of all trees on.
static void trees_of_one(const Forest& F, int level, const uint8_t* x, float* v, Scratch& scratch) {
    constexpr int kTogether = 12;
    uint8_t* places = scratch.leaves.data();
    const int w = F.width, to = F.bottoms.size() ? F.depth - 2 : F.depth;
    int t = level < to ? 0 : F.trees;
    for (; t + kTogether <= F.trees; t += kTogether) walk<kTogether>(F, t, level, to, x, places);
    for (; t + 4 <= F.trees; t += 4) walk<4>(F, t, level, to, x, places);
    for (; t < F.trees; t++) walk<1>(F, t, level, to, x, places);
    if (F.bottoms.size()) {
        const Bottom* own = F.bottoms.data() - (1 << to);
        for (t = 0; t < F.trees; t++) BUFF_PREFETCH(own + (size_t(t) << to) + places[t]);
        int g = 0;
        for (; g + 4 <= F.outputs; g += 4) add_leaves<4>(F, g, x, places, v);
        for (; g < F.outputs; g++) add_leaves<1>(F, g, x, places, v);
        return;
    }
    float* sums = scratch.sums.data();
    for (int j = 0; j < F.outputs; j++) sums[j] = F.base[size_t(j)];
    for (int g = 0, n = w == 1 ? F.outputs : 1; g < n; g++)
        for (t = F.first[size_t(g)]; t < F.first[size_t(g) + 1]; t++) {
            const float* leaf = F.leaf.data() + (size_t(t) * kNodes + places[t]) * size_t(w);
            for (int j = 0; j < w; j++) sums[g + j] += leaf[j];
        }
    for (int j = 0; j < F.outputs; j++) v[j * kBlock] += sums[j];
}

static void codes_of(const Forest& F, int f, int m, const float* x, uint8_t* out) { codes_plain(F, f, m, x, out); }
/// The same by counting, which takes a few instructions for all cuts.
static void codes_of_few(const Forest& F, int f, int m, const float* x, uint8_t* out) {
    if (F.stride > 64) return codes_plain(F, f, m, x, out);
    const float* cuts = F.cuts.data() + size_t(f) * size_t(F.stride);
    for (int e = 0; e < m; e++) {
        int p = 0;
        for (int k = 0; k < F.stride; k += 16)
            for (int j = 0; j < 16; j++) p += x[e] >= cuts[k + j];
        out[e] = uint8_t(p);
    }
}
static void trees_of(const Forest& F, int m, const uint8_t* codes, float* v, float* sums) {
    trees_at_any_depth(F, m, codes, v, sums);
}
#include "block.inc"
}  // namespace scalar

#if BUFF_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,popcnt"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,fma,popcnt")
#endif
namespace avx2 {
#include "scalar.inc"
#include "avx2.inc"
#include "block.inc"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,popcnt,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,popcnt,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,prefer-vector-width=512")
#endif
namespace avx512 {
#include "scalar.inc"
#include "avx512.inc"
#include "block.inc"
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#endif

#if BUFF_NEON
namespace neon {
#include "scalar.inc"
#include "neon.inc"
#include "block.inc"
}  // namespace neon
#endif

enum class Backend { scalar, avx2, avx512, neon };

inline const char* name_of(Backend backend) {
    constexpr const char* names[] = {"scalar", "avx2", "avx512", "neon"};
    return names[int(backend)];
}

#if BUFF_X86 && defined(_MSC_VER) && !defined(__clang__)
inline bool has_x86(Backend backend) {
    int r[4];
    __cpuid(r, 0);
    if (r[0] < 7) return false;
    __cpuid(r, 1);
    if (!(r[2] & (1 << 27)) || !(r[2] & (1 << 12))) return false;  // the system saves wide registers; fused products
    const unsigned long long saved = _xgetbv(0);
    __cpuidex(r, 7, 0);
    const bool avx2 = (r[1] & (1 << 5)) && (saved & 6) == 6;
    if (backend == Backend::avx2) return avx2;
    const unsigned needed = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
    return avx2 && (saved & 0xe6) == 0xe6 && (unsigned(r[1]) & needed) == needed && (r[2] & 2);
}
#elif BUFF_X86
inline bool has_x86(Backend backend) {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (backend == Backend::avx2) return avx2;
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi");
}
#endif

/// Instruction sets that this processor has, the fastest first.
inline std::vector<Backend> available() {
    std::vector<Backend> found;
#if BUFF_X86
    if (has_x86(Backend::avx512)) found.push_back(Backend::avx512);
    if (has_x86(Backend::avx2)) found.push_back(Backend::avx2);
#elif BUFF_NEON
    found.push_back(Backend::neon);
#endif
    found.push_back(Backend::scalar);
    return found;
}

inline void add_trees(Backend backend, const Forest& F, int m, const float* x, float* v, Scratch& scratch) {
    const Features own{{x, nullptr, nullptr}, {F.features, 0, 0}};
    switch (backend) {
#if BUFF_X86
        case Backend::avx512: return avx512::add_trees(F, m, own, v, scratch);
        case Backend::avx2: return avx2::add_trees(F, m, own, v, scratch);
#elif BUFF_NEON
        case Backend::neon: return neon::add_trees(F, m, own, v, scratch);
#endif
        default: return scalar::add_trees(F, m, own, v, scratch);
    }
}
inline void normal(Backend backend, Key key, const int64_t* numbers, int m, int d, float* x, Scratch& scratch) {
    switch (backend) {
#if BUFF_X86
        case Backend::avx512: return avx512::normal(key, numbers, m, d, x, scratch);
        case Backend::avx2: return avx2::normal(key, numbers, m, d, x, scratch);
#elif BUFF_NEON
        case Backend::neon: return neon::normal(key, numbers, m, d, x, scratch);
#endif
        default: return scalar::normal(key, numbers, m, d, x, scratch);
    }
}
inline bool solve(Backend backend, const Flow& M, const Key* keys, const int64_t* numbers, int m, const float* condition,
                  Scratch& scratch) {
    switch (backend) {
#if BUFF_X86
        case Backend::avx512: return avx512::solve(M, keys, numbers, m, condition, scratch);
        case Backend::avx2: return avx2::solve(M, keys, numbers, m, condition, scratch);
#elif BUFF_NEON
        case Backend::neon: return neon::solve(M, keys, numbers, m, condition, scratch);
#endif
        default: return scalar::solve(M, keys, numbers, m, condition, scratch);
    }
}

/// Predictions (n, outputs) of rows (n, features), both row by row.
inline void predict(Backend backend, const Forest& F, int64_t n, const float* x, float* out) {
    Scratch scratch(F.features, F.outputs, 1, F.trees);
    float *columns = scratch.condition.data(), *v = scratch.velocity.data();
    for (int64_t start = 0; start < n; start += kBlock) {
        const int m = int(n - start < kBlock ? n - start : kBlock);
        for (int e = 0; e < m; e++)
            for (int f = 0; f < F.features; f++) columns[f * kBlock + e] = x[(start + e) * F.features + f];
        std::memset(v, 0, size_t(F.outputs) * kBlock * sizeof(float));
        add_trees(backend, F, m, columns, v, scratch);
        for (int e = 0; e < m; e++)
            for (int j = 0; j < F.outputs; j++) out[(start + e) * F.outputs + j] = v[j * kBlock + e];
    }
}

/// Where flows start, and what they are given; rows lie row by row.
struct Request {
    int64_t n = 0;
    int64_t first = 0;              // number of the first event
    const int64_t* chosen = nullptr;  // numbers of all events, counted from the first, instead
    const Key* keys = nullptr;      // one a stream of noise
    const float* state = nullptr;   // x0 (n, d) itself; without it, noise
    const float* source = nullptr;  // what the noise is added to, (n, d) or (1, d)
    int64_t source_rows = 0;
    const float* condition = nullptr;  // (n, c) or (1, c)
    int64_t condition_rows = 0;
};

/// Scores (n, d); false where the field or the end is not finite.
inline bool sample(Backend backend, const Flow& M, const Request& q, float* out, Scratch& scratch) {
    const int d = M.dims;
    bool good = true;
    int64_t numbers[kBlock] = {};
    float *x = scratch.registers.data(), *c = scratch.condition.data();
    for (int64_t start = 0; start < q.n; start += kBlock) {
        const int m = int(q.n - start < kBlock ? q.n - start : kBlock);
        for (int e = 0; e < m; e++) numbers[e] = q.first + (q.chosen ? q.chosen[start + e] : start + e);
        for (int f = 0; f < M.conditions; f++)
            for (int e = 0; e < m; e++)
                c[f * kBlock + e] = q.condition[(q.condition_rows == 1 ? 0 : start + e) * M.conditions + f];
        if (q.state) {
            for (int f = 0; f < d; f++)
                for (int e = 0; e < m; e++) x[f * kBlock + e] = q.state[(start + e) * d + f];
        } else {
            normal(backend, q.keys[0], numbers, m, d, x, scratch);
            if (M.source_noise != 1)
                for (int i = 0; i < d * kBlock; i++) x[i] *= M.source_noise;
            if (q.source)
                for (int f = 0; f < d; f++)
                    for (int e = 0; e < m; e++)
                        x[f * kBlock + e] += q.source[(q.source_rows == 1 ? 0 : start + e) * d + f];
        }
        good &= solve(backend, M, q.keys, numbers, m, c, scratch);
        const float* z = x + size_t(M.result) * size_t(d) * kBlock;
        for (int e = 0; e < m; e++)
            for (int f = 0; f < d; f++) out[(start + e) * d + f] = z[f * kBlock + e];
    }
    return good;
}
inline Scratch scratch_for(const Flow& M) { return Scratch(M.features(), M.dims, M.registers, M.trees(), M.terms()); }

}  // namespace buff
