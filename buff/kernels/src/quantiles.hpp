// From normal scores back to the values of a column: buff.transforms.QuantileMap.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace buff {

/// A generalised Pareto tail: P(X > x) = mass (1 + shape (x - start) / scale)^(-1 / shape).
struct Tail {
    bool there = false;
    double start = 0, mass = 0, scale = 1, shape = 0;

    static Tail read(Reader& in) {
        Tail t;
        t.there = in.integer(0, 1, "tail");
        if (!t.there) return t;
        t.start = in.number<double>();
        t.mass = in.number<double>();
        t.scale = in.number<double>();
        t.shape = in.number<double>();
        return t;
    }
    double value(double survival) const {
        const double log = std::log(mass) - std::log(survival);
        return start + scale * (shape != 0 ? std::expm1(shape * log) / shape : log);
    }
};

/// Levels u and values x of a column's quantile function, with what becomes of them.
struct Quantiles {
    std::vector<double> u, x;
    double missing = 0, unit = 1;
    bool lattice = false, single = false, noisy = false, bounded_below = false, bounded_above = false;
    double power = 1, step = 1, origin = 0, lower = 0, upper = 0;
    Tail below, above;

    static Quantiles read(Reader& in) {
        Quantiles q;
        q.u = in.array_of_any_length<double>("levels");
        q.x = in.array<double>(q.u.size(), "values");
        q.missing = in.number<double>();
        q.unit = in.number<double>();
        require(!q.u.empty() || q.missing == 1, "an empty distribution");
        for (size_t k = 1; k < q.u.size(); k++) require(q.u[k] >= q.u[k - 1] && q.x[k] >= q.x[k - 1], "levels must rise");
        if ((q.lattice = in.integer(0, 1, "lattice"))) {
            q.power = in.number<double>();
            q.step = in.number<double>();
            q.origin = in.number<double>();
            q.single = in.number<double>() != 0;
            q.noisy = in.number<double>() != 0;
        }
        if ((q.bounded_below = in.integer(0, 1, "bound"))) q.lower = in.number<double>();
        if ((q.bounded_above = in.integer(0, 1, "bound"))) q.upper = in.number<double>();
        q.below = Tail::read(in);
        q.above = Tail::read(in);
        return q;
    }

    /// Values of scores; NaN where missing.
    template <class T>
    void decode(int64_t n, const T* z, double* out) const {
        for (int64_t i = 0; i < n; i++) out[i] = value(double(z[i]));
    }
    /// The number of the lattice that is closest.
    double nearest(double v) const {
        const double own = (std::rint((v * power - origin) / step) * step + origin) / power;
        return single ? double(float(own)) : own;
    }
    double value(double z) const {
        constexpr double tiny = std::numeric_limits<double>::min(), huge = std::numeric_limits<double>::max();
        const double nan = std::numeric_limits<double>::quiet_NaN();
        if (missing == 1) return nan;
        const double level = ndtr(z);
        if (level < missing) return nan;
        double v = level < u[0] ? x[0] : interpolate(u.data(), x.data(), int(u.size()), level);
        if (above.there && v > above.start) v = above.value(std::fmax(ndtr(-z), tiny));
        if (below.there && v < -below.start) v = -below.value(std::fmax(level - missing, tiny));
        const double limit = huge / unit;
        v = (v > limit ? limit : v < -limit ? -limit : v) * unit;
        if (lattice) v = nearest(v);
        if (bounded_below && v < lower) v = lower;
        if (bounded_above && v > upper) v = upper;
        return v;
    }
};

}  // namespace buff
