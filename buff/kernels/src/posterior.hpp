// Posteriors of unfolding: where the truth of a measured event is and how wide, what a flow leaves, marginals.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "columns.hpp"
#include "kernels.hpp"

namespace buff {

/// z = m(c) + s(c) e: lines and trees of two halves of the events, a residual e from a flow, rising maps of z.
struct Posterior {
    int features = 0, dims = 0, knots = 0;
    std::vector<double> lines[2];        // [features + 1][dims]
    std::vector<float> offsets[2];       // [dims]
    Forest means[2], squares[2];
    std::vector<float> low, high;        // [features], where there were events
    std::vector<Condition> conditions;   // scores of c
    std::vector<Quantiles> residuals;    // of e
    std::vector<double> drawn, wanted;   // [dims][knots]

    static Posterior read(Reader& in, int features, int dims) {
        Posterior p;
        p.features = features, p.dims = dims;
        const size_t c = size_t(features), d = size_t(dims);
        for (int half = 0; half < 2; half++) {
            p.lines[half] = in.array<double>((c + 1) * d, "a line of a posterior");
            p.offsets[half] = in.array<float>(d, "an offset of a posterior");
            p.means[half] = Forest::read(in);
            p.squares[half] = Forest::read(in);
            for (const Forest* own : {&p.means[half], &p.squares[half]})
                require(own->features == features && own->outputs == dims, "trees of a posterior");
        }
        p.low = in.array<float>(c, "features of a posterior");
        p.high = in.array<float>(c, "features of a posterior");
        for (int f = 0; f < features; f++) {
            p.conditions.push_back(Condition::read(in));
            require(p.conditions.back().width == 1 && p.conditions.back().kind == 0, "features of a posterior");
        }
        for (int j = 0; j < dims; j++) p.residuals.push_back(Quantiles::read(in));
        p.knots = in.integer(0, 1 << 16, "knots of a posterior");
        p.drawn = in.array<double>(size_t(p.knots) * d, "quantiles of a posterior");
        p.wanted = in.array<double>(p.drawn.size(), "quantiles of a posterior");
        return p;
    }
    /// Centres, widths (rows, dims) and what the flow is given (rows, features), of features (rows, features).
    void place(Backend backend, int rows, const float* c, float* centre, float* width, float* given) const {
        const size_t n = size_t(rows) * size_t(dims);
        std::vector<float> own(n), other(n);
        predict(backend, means[0], rows, c, own.data());
        predict(backend, means[1], rows, c, other.data());
        for (size_t k = 0; k < n; k++) centre[k] = ((line(0, c, k) + own[k]) + (line(1, c, k) + other[k])) / 2;
        predict(backend, squares[0], rows, c, own.data());
        predict(backend, squares[1], rows, c, other.data());
        for (size_t k = 0; k < n; k++) {
            const size_t j = k % size_t(dims);
            const float w = std::exp(((offsets[0][j] + own[k]) + (offsets[1][j] + other[k])) / 2 / 2);
            width[k] = w > kNarrowest ? w : kNarrowest;
        }
        for (int e = 0; e < rows; e++)
            for (int f = 0; f < features; f++) {
                const float x = c[e * features + f], least = low[size_t(f)], most = high[size_t(f)];
                conditions[size_t(f)].encode(double(x < least ? least : x > most ? most : x), given + e * features + f);
            }
    }
    /// The score of a residual.
    float score(int j, float e, float centre, float width) const {
        const float z = centre + width * float(residuals[size_t(j)].value(double(e)));
        if (!knots) return z;
        const double *x = drawn.data() + size_t(j) * size_t(knots), *y = wanted.data() + size_t(j) * size_t(knots);
        const double own = double(z);
        if (own < x[0]) return float(own + (y[0] - x[0]));
        if (own > x[knots - 1]) return float(own + (y[knots - 1] - x[knots - 1]));
        return float(interpolate(x, y, knots, own));
    }

  private:
    static constexpr float kNarrowest = 1e-4f;
    float line(int half, const float* c, size_t k) const {
        const size_t d = size_t(dims), e = k / d, j = k % d;
        double sum = lines[half][size_t(features) * d + j];
        for (size_t f = 0; f < size_t(features); f++) sum += double(c[e * size_t(features) + f]) * lines[half][f * d + j];
        return float(sum);
    }
};

}  // namespace buff
