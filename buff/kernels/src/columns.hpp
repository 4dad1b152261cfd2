// Columns of events, and of what they are given: scores to values and values to features.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "quantiles.hpp"

namespace buff {

/// A column of events: a number, a label given by its code, or one value for all.
struct Column {
    enum Kind : int32_t { kNumber, kLevel, kIndicator, kConstant };
    std::string name;
    int32_t kind = kNumber, width = 1;
    int32_t digits = 64;  // 32: single precision, 0: whole numbers, 64: double precision
    double step = 1, lowest = 0, highest = 0, value = 0;
    std::vector<std::string> levels;  // names of codes 0, 1, ...
    std::vector<int32_t> codes;       // code of each label of the distribution
    Quantiles quantiles;

    static Column read(Reader& in) {
        Column c;
        c.name = in.text();
        c.kind = in.integer(0, 3, "kind of a column");
        c.width = in.integer(0, 1 << 16, "dimensions of a column");
        c.digits = in.integer(0, 64, "precision of a column");
        c.step = in.number<double>();
        c.lowest = in.number<double>();
        c.highest = in.number<double>();
        c.value = in.number<double>();
        const int n = in.integer(0, 1 << 24, "levels");
        for (int i = 0; i < n; i++) c.levels.push_back(in.text());
        c.codes = in.array_of_any_length<int32_t>("codes");
        for (int32_t code : c.codes) require(code >= 0 && code < n, "codes");
        if (c.kind == kNumber || c.kind == kLevel) c.quantiles = Quantiles::read(in);
        require(c.kind == kConstant ? c.width == 0 : c.kind == kIndicator ? c.width >= 1 : c.width == 1, "width of a column");
        return c;
    }
    /// The value of its scores; NaN where missing.
    double decode(const double* z) const {
        const double nan = std::numeric_limits<double>::quiet_NaN();
        if (kind == kConstant) return value;
        if (kind == kIndicator) {
            int best = 0;
            for (int k = 1; k < width; k++)
                if (z[k] > z[best]) best = k;
            return best < int(codes.size()) ? double(codes[size_t(best)]) : nan;
        }
        const double v = quantiles.value(z[0]);
        if (kind == kLevel) return v >= 0 && v < double(codes.size()) ? double(codes[size_t(v)]) : nan;
        if (digits == 64 || v != v) return v;
        if (digits == 32) {
            constexpr double most = std::numeric_limits<float>::max();
            return double(float(v > most ? most : v < -most ? -most : v));
        }
        const double whole = std::rint(v);
        return (whole > highest ? highest : whole < lowest ? lowest : whole) * step;
    }
};

/// A column of conditions: a number, or the code of a label.
struct Condition {
    std::string name;
    int32_t kind = 0, width = 1;  // kind 0: numbers, 1: codes
    Quantiles quantiles;
    std::vector<double> atoms, starts, masses;
    double margin = 0, spacing = 0;
    std::vector<std::string> levels;
    std::vector<float> table;  // [levels][width], then a row for missing values if there is one

    static Condition read(Reader& in) {
        Condition c;
        c.name = in.text();
        c.kind = in.integer(0, 1, "kind of a condition");
        c.width = in.integer(0, 1 << 16, "features of a condition");
        if (c.kind == 0) {
            require(c.width == 1, "features of a condition");
            c.quantiles = Quantiles::read(in);
            c.atoms = in.array_of_any_length<double>("atoms");
            c.starts = in.array<double>(c.atoms.size(), "atoms");
            c.masses = in.array<double>(c.atoms.size(), "atoms");
            c.margin = in.number<double>();
            return c;
        }
        const int n = in.integer(0, 1 << 24, "levels");
        for (int i = 0; i < n; i++) c.levels.push_back(in.text());
        c.table = in.array_of_any_length<float>("table of a condition");
        require(c.width && c.table.size() % size_t(c.width) == 0 && c.table.size() / size_t(c.width) >= c.levels.size(),
                "table of a condition");
        return c;
    }
    /// Features of a value; false for an unknown code, and for NaN where the training had no missing values.
    bool encode(double value, float* out) const {
        if (kind == 0) {
            if (value != value && quantiles.missing == 0) return false;
            *out = float(score(value));
            return true;
        }
        const size_t rows = table.size() / size_t(width);
        const bool missing = value != value;
        if (missing ? rows == levels.size() : !(value >= 0 && value < double(levels.size()))) return false;
        const size_t row = missing ? rows - 1 : size_t(value);
        for (int k = 0; k < width; k++) out[k] = table[row * size_t(width) + size_t(k)];
        return true;
    }

  private:
    double score(double value) const {
        const Quantiles& q = quantiles;
        double u = q.missing * 0.5;
        if (value == value && !q.u.empty()) {
            const int n = int(q.u.size());
            double x = (q.lattice && q.noisy ? q.nearest(value) : value) / q.unit;
            x = x < q.x[0] ? q.x[0] : x > q.x[size_t(n) - 1] ? q.x[size_t(n) - 1] : x;
            u = interpolate(q.x.data(), q.u.data(), n, x);
            if (!atoms.empty()) {
                size_t low = 0, high = atoms.size();
                while (low < high) {
                    const size_t middle = (low + high) / 2;
                    if (atoms[middle] < x) low = middle + 1;
                    else high = middle;
                }
                if (low < atoms.size() && atoms[low] == x) u = starts[low] + masses[low] * 0.5;
            }
            const double own = std::fmin(margin, 0.5 * (1 - q.missing));
            u = std::fmin(std::fmax(u, q.missing + own), 1 - own);
        }
        return ndtri(std::fmin(std::fmax(u, margin), 1 - margin));
    }
};

}  // namespace buff
