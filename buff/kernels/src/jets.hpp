// Substructure of jets: sequential recombination, axes, grooming and energy correlations, one jet after another.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels.hpp"

namespace buff {
namespace jets {

constexpr double kTurn = 6.283185307179586, kFar = std::numeric_limits<double>::infinity();
constexpr int kLanes = 8;  // sums have this many parts whatever the instructions, so that they are the same
constexpr int kTogether = 4;  // rows that are multiplied at a time

struct Momentum {
    double x, y, z, e;
    Momentum operator+(const Momentum& o) const { return {x + o.x, y + o.y, z + o.z, e + o.e}; }
};
inline double transverse(const Momentum& p) { return std::hypot(p.x, p.y); }
inline double azimuth(const Momentum& p) { return std::atan2(p.y, p.x); }
inline double rapidity(const Momentum& p) {
    const double square = p.e * p.e - p.z * p.z, m = std::sqrt(square > 0 ? square : 0.0);
    return m > 0 ? std::asinh(p.z / m) : 0.0;
}
inline double mass(const Momentum& p) {
    const double square = p.e * p.e - p.x * p.x - p.y * p.y - p.z * p.z;
    return std::sqrt(square > 0 ? square : 0.0);
}

/// W doubles.
template <int W>
struct Wide {
#if defined(__GNUC__) || defined(__clang__)
    typedef double Type __attribute__((vector_size(W * 8)));
#else
    static_assert(W == 1, "no vectors");
    using Type = double;
#endif
    static BUFF_INLINE Type load(const double* p) {
        Type v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    static BUFF_INLINE void store(double* p, Type v) { std::memcpy(p, &v, sizeof v); }
    static BUFF_INLINE Type all(double x) { return Type{} + x; }
    static BUFF_INLINE Type count() {
        double lanes[W];
        for (int l = 0; l < W; l++) lanes[l] = l;
        return load(lanes);
    }
};

/// Squared distance in the plane, of numbers or of vectors.
template <class T>
static BUFF_INLINE T distance(T y, T phi, T other_y, T other_phi) {
    const T dy = y - other_y, turn = phi - other_phi, d = turn < 0.0 ? -turn : turn, back = kTurn - d;
    const T dphi = d < back ? d : back;
    return dy * dy + dphi * dphi;
}

/// The smallest of what was seen, and where it was first.
template <int W>
struct Smallest {
    using Type = typename Wide<W>::Type;
    Type best = Wide<W>::all(kFar), at = Wide<W>::all(0);
    BUFF_INLINE void see(Type values, Type places) {
        const Type least = values < best ? values : best, where = values < best ? places : at;
        best = least, at = where;
    }
    BUFF_INLINE int found(double& least) const {
        double values[W], places[W];
        Wide<W>::store(values, best), Wide<W>::store(places, at);
        least = values[0];
        for (int l = 1; l < W; l++) least = values[l] < least ? values[l] : least;
        double place = kFar;
        for (int l = 0; l < W; l++) {
            const double own = values[l] == least ? places[l] : kFar;
            place = own < place ? own : place;
        }
        return int(place);
    }
};

/// A recombination: what was in the slots, and how far it was apart.
struct Merge {
    int kept, gone;
    double distance;
    Momentum first, second;
};

/// The pseudo-jets of a jet in the order of their slots, and the nearest neighbour of each in the plane.
///
/// The pair of the smallest min(scale, scale) dR^2 is one of neighbours (M. Cacciari and G. P. Salam, 2006,
/// hep-ph/0512210). Places of those that are gone are at infinity until the others close up, and so are those behind
/// the last, so that vectors are full.
template <int W>
struct Pseudojets {
    using V = Wide<W>;
    using Type = typename V::Type;
    Aligned<double> y, phi, scale, near, far, d, row;
    std::vector<int> slot, lost;
    std::vector<Momentum> p;
    int n = 0, places = 0;

    explicit Pseudojets(int m)
        : y(size_t(m + W)), phi(size_t(m + W)), scale(size_t(m + W)), near(size_t(m + W)), far(size_t(m + W)),
          d(size_t(m + W)), row(size_t(m + W)), slot(size_t(m)), p(size_t(m)) {}

    static BUFF_INLINE double scaled(const Momentum& own, int power) {
        const double pt = power ? transverse(own) : 1.0;
        return pt * pt;
    }
    BUFF_INLINE void set_key(int i) {
        const double own = scale[size_t(i)], other = scale[size_t(near[size_t(i)])];
        d[size_t(i)] = far[size_t(i)] * (own < other ? own : other);
    }

    /// Distances of i to all others or to those behind, kept in `row`; the nearest is a neighbour if it is nearer.
    template <bool Behind, bool Keep>
    BUFF_INLINE void look(int i) {
        const Type y0 = V::all(y[size_t(i)]), phi0 = V::all(phi[size_t(i)]), self = V::all(i);
        Smallest<W> nearest;
        const int first = Behind ? (i + 1) / W * W : 0;
        Type place = V::count() + double(first);
        for (int k = first; k < places; k += W, place += double(W)) {
            const Type away = distance(V::load(&y[size_t(k)]), V::load(&phi[size_t(k)]), y0, phi0);
            const Type values = (Behind ? place > self : place != self) ? away : V::all(kFar);
            nearest.see(values, place);
            if (Keep) V::store(&row[size_t(k)], values);
        }
        double least;
        const int found = nearest.found(least);
        if (least < far[size_t(i)]) far[size_t(i)] = least, near[size_t(i)] = found;
    }
    BUFF_INLINE void look_again(int i) {
        far[size_t(i)] = kFar, near[size_t(i)] = 0;
        look<false, false>(i);
        set_key(i);
    }

    BUFF_INLINE void start(int m, const double* momenta, const double* own_y, const double* own_phi, int power) {
        n = 0;
        for (int k = 0; k < m; k++) {
            const Momentum own{momenta[4 * k], momenta[4 * k + 1], momenta[4 * k + 2], momenta[4 * k + 3]};
            if (!(own.e > 0)) continue;
            const size_t i = size_t(n++);
            p[size_t(k)] = own, y[i] = own_y[k], phi[i] = own_phi[k], scale[i] = scaled(own, power), slot[i] = k;
            far[i] = kFar, near[i] = 0;
        }
        places = n;
        for (int i = n; i < n + W; i++) leave(i);
        for (int i = 0; i + 1 < n; i++) {  // every pair once: both learn of it
            look<true, true>(i);
            const Type self = V::all(i);
            for (int k = (i + 1) / W * W; k < n; k += W) {
                const Type own = V::load(&far[size_t(k)]), other = V::load(&row[size_t(k)]), whose = V::load(&near[size_t(k)]);
                V::store(&near[size_t(k)], other < own ? self : whose);
                V::store(&far[size_t(k)], other < own ? other : own);
            }
        }
        for (int i = 0; i < n; i++) set_key(i);
    }

    BUFF_INLINE Merge step(int power) {
        Smallest<W> smallest;
        Type place = V::count();
        for (int k = 0; k < places; k += W, place += double(W)) smallest.see(V::load(&d[size_t(k)]), place);
        double least;
        int a = smallest.found(least), b = int(near[size_t(a)]);
        if (b < a) std::swap(a, b);
        const int kept = slot[size_t(a)], gone = slot[size_t(b)];
        const Merge merge{kept, gone, least, p[size_t(kept)], p[size_t(gone)]};
        const Momentum sum = merge.first + merge.second;
        p[size_t(kept)] = sum, y[size_t(a)] = rapidity(sum), phi[size_t(a)] = azimuth(sum), scale[size_t(a)] = scaled(sum, power);
        n--;
        leave(b);
        if (n > 1) meet(a, b);
        if (n < places * 3 / 4) close_up();
        return merge;
    }

    BUFF_INLINE void leave(int i) {
        y[size_t(i)] = far[size_t(i)] = d[size_t(i)] = kFar;
        phi[size_t(i)] = scale[size_t(i)] = 0, near[size_t(i)] = -1;
    }

    /// After b went into a: neighbours of all.
    BUFF_INLINE void meet(int a, int b) {
        far[size_t(a)] = kFar, near[size_t(a)] = 0;
        look<false, true>(a);
        const Type one = V::all(a), two = V::all(b), own_scale = V::all(scale[size_t(a)]);
        for (int k = 0; k < places; k += W) {
            const Type to = V::load(&row[size_t(k)]), own = V::load(&far[size_t(k)]), whose = V::load(&near[size_t(k)]);
            const Type other_scale = V::load(&scale[size_t(k)]), old = V::load(&d[size_t(k)]);
            const auto nearer = (to < own) | ((to == own) & (one <= whose)), left = (whose == one) | (whose == two);
            V::store(&far[size_t(k)], nearer ? to : own);
            V::store(&near[size_t(k)], nearer ? one : whose);
            V::store(&d[size_t(k)], nearer ? to * (other_scale < own_scale ? other_scale : own_scale) : old);
            V::store(&row[size_t(k)], nearer ? V::all(0) : left ? V::all(1) : V::all(0));
        }
        set_key(a);
        lost.clear();
        for (int k = 0; k < places; k += W) {
            uint64_t some = 0, bits[W];
            std::memcpy(bits, &row[size_t(k)], sizeof bits);
            for (int l = 0; l < W; l++) some |= bits[l];
            for (int l = 0; some && l < W; l++)
                if (bits[l]) lost.push_back(k + l);
        }
        for (int k : lost) look_again(k);
    }

    BUFF_INLINE void close_up() {
        int to = 0;
        for (int k = 0; k < places; k++) {
            row[size_t(k)] = to;
            if (near[size_t(k)] < 0) continue;
            const size_t i = size_t(k), j = size_t(to++);
            y[j] = y[i], phi[j] = phi[i], scale[j] = scale[i], near[j] = near[i], far[j] = far[i], d[j] = d[i], slot[j] = slot[i];
        }
        for (int k = 0; k < to; k++) near[size_t(k)] = row[size_t(near[size_t(k)])];
        for (int k = to; k < places; k++) leave(k);
        places = to;
    }
};

/// Distances of the particles to the nearest of 1, ..., N axes (N, m), and the distances of the last N merges.
template <int W>
static BUFF_INLINE void subjets(Pseudojets<W>& jet, int m, const double* p, const double* y, const double* phi, int n_axes,
                                double* nearest, double* merged) {
    for (int k = 0; k < n_axes * m; k++) nearest[k] = 0;
    for (int k = 0; k < n_axes; k++) merged[k] = 0;
    jet.start(m, p, y, phi, 1);
    while (jet.n > 1) {
        const Merge merge = jet.step(1);
        if (jet.n > n_axes) continue;
        merged[jet.n - 1] = merge.distance;
        double* to = nearest + (jet.n - 1) * m;
        jet.close_up();
        for (int a = 0; a < jet.n; a++) {
            const double y0 = jet.y[size_t(a)], phi0 = jet.phi[size_t(a)];
            for (int k = 0; k < m; k++) {
                const double d = distance(y[k], phi[k], y0, phi0);
                to[k] = !a || d < to[k] ? d : to[k];
            }
        }
        for (int k = 0; k < m; k++) to[k] = p[4 * k + 3] > 0 ? std::sqrt(to[k]) : 0.0;
    }
}

/// Mass, momentum fraction and distance at which soft drop stops.
template <int W>
static BUFF_INLINE void soft_drop(Pseudojets<W>& jet, int m, const double* p, const double* y, const double* phi,
                                  const double* how, std::vector<Merge>& steps, double* out) {
    const double z_cut = how[0], beta = how[1], radius = how[2];
    out[0] = out[1] = out[2] = 0;
    steps.clear();
    jet.start(m, p, y, phi, 0);
    while (jet.n > 1) steps.push_back(jet.step(0));
    int slot = steps.empty() ? 0 : steps.back().kept;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        if (step->kept != slot) continue;
        const double pt1 = transverse(step->first), pt2 = transverse(step->second), dr = std::sqrt(step->distance);
        const double z = (pt1 < pt2 ? pt1 : pt2) / (pt1 + pt2);
        if (z > z_cut * (beta == 0 ? 1.0 : std::pow(dr / radius, beta))) {
            out[0] = mass(step->first + step->second), out[1] = z, out[2] = dr;
            return;
        }
        slot = pt2 > pt1 ? step->gone : step->kept;
    }
}

/// Energy correlations of two and three particles: sums over i < j < k, of which the last is in lanes.
template <int W>
static BUFF_INLINE void correlations(int m, const double* pt, const double* y, const double* phi, std::vector<double>& work,
                                     double* out) {
    using Type = typename Wide<W>::Type;
    constexpr int kParts = kLanes / W;
    const int width = (m + kLanes - 1) / kLanes * kLanes;
    work.assign(size_t(width) * size_t(width + 3), 0.0);
    double *Y = work.data(), *P = Y + width, *root = P + width, *A = root + width;
    int n = 0;
    for (int k = 0; k < m; k++)
        if (pt[k] > 0) Y[n] = y[k], P[n] = phi[k], root[n++] = std::sqrt(pt[k]);
    const int end = (n + kLanes - 1) / kLanes * kLanes;
    Type two[kParts] = {}, three[kParts] = {};
    for (int i = 0; i < n; i++) {
        double* row = A + i * width;
        const int first = i / kLanes * kLanes;  // what is before is 0
        for (int k = first; k < end; k++) row[k] = root[i] * std::sqrt(distance(Y[k], P[k], Y[i], P[i])) * root[k];
        for (int k = first; k <= i; k++) row[k] = 0;
        for (int k = first; k < end; k += kLanes)
            for (int l = 0; l < kParts; l++)
                two[l] += root[i] * Wide<W>::load(row + k + l * W) * Wide<W>::load(root + k + l * W);
    }
    for (int i = 0; i < n; i++) {
        const double* row = A + i * width;
        for (int j = (i + 1) / kTogether * kTogether; j < n; j += kTogether) {
            Type sum[kTogether][kParts] = {};
            for (int k = j / kLanes * kLanes; k < end; k += kLanes)
                for (int l = 0; l < kParts; l++) {
                    const Type own = Wide<W>::load(row + k + l * W);
                    for (int h = 0; h < kTogether; h++) sum[h][l] += own * Wide<W>::load(A + (j + h) * width + k + l * W);
                }
            for (int h = 0; h < kTogether; h++)
                for (int l = 0; l < kParts; l++) three[l] += row[j + h] * sum[h][l];
        }
    }
    double sums[2][kLanes];
    for (int l = 0; l < kParts; l++) Wide<W>::store(sums[0] + l * W, two[l]), Wide<W>::store(sums[1] + l * W, three[l]);
    out[0] = out[1] = 0;
    for (int l = 0; l < kLanes; l++) out[0] += sums[0][l], out[1] += sums[1][l];
}

/// What is asked of n jets of m particles, row by row.
struct Task {
    enum Kind { kSubjets, kSoftDrop, kCorrelations } kind;
    int64_t n;
    int m, n_axes;
    const double *p, *y, *phi, *how;  // p: momenta (m, 4), or pT (m,) for correlations
    double *out, *merged;
};

/// W: lanes of recombination, which waits for numbers just written; S: of sums.
template <int W, int S>
static BUFF_INLINE void all(const Task& t) {
    Pseudojets<W> jet(t.m);
    std::vector<Merge> steps;
    std::vector<double> work;
    for (int64_t i = 0; i < t.n; i++) {
        const double *y = t.y + i * t.m, *phi = t.phi + i * t.m;
        switch (t.kind) {
            case Task::kSubjets:
                subjets(jet, t.m, t.p + 4 * i * t.m, y, phi, t.n_axes, t.out + i * t.n_axes * t.m, t.merged + i * t.n_axes);
                break;
            case Task::kSoftDrop:
                soft_drop(jet, t.m, t.p + 4 * i * t.m, y, phi, t.how, steps, t.out + 3 * i);
                break;
            case Task::kCorrelations: correlations<S>(t.m, t.p + i * t.m, y, phi, work, t.out + 2 * i);
        }
    }
}

#if defined(__GNUC__) || defined(__clang__)
#if BUFF_X86
__attribute__((target("avx2"))) static void all_avx2(const Task& t) { all<4, 4>(t); }
__attribute__((target("avx2,avx512f,avx512vl,avx512dq"))) static void all_avx512(const Task& t) { all<4, 8>(t); }
#endif
static void all_plain(const Task& t) { all<2, 2>(t); }
#else
static void all_plain(const Task& t) { all<1, 1>(t); }
#endif

inline void run(Backend backend, const Task& t) {
#if BUFF_X86 && (defined(__GNUC__) || defined(__clang__))
    if (backend == Backend::avx512) return all_avx512(t);
    if (backend == Backend::avx2) return all_avx2(t);
#endif
    (void)backend;
    all_plain(t);
}

}  // namespace jets
}  // namespace buff
