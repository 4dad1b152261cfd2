// Which scores of an event sit on an atom, and the scores of the others given that: buff.flows.AtomPatterns.
#pragma once
#include <cstdint>
#include <vector>

#include "model.hpp"
#include "special.hpp"

namespace buff {

/// Patterns of atoms, drawn before the flow of what sits on none; K patterns, m distinct conditions.
struct Patterns {
    struct Score {
        bool learned = false;  // by the flow, where the pattern has no atom
        double free = 1, margin = 0;
        std::vector<double> starts, below, centres;  // of the atoms; below has one entry more
    };
    int patterns = 0, cells = 1, width = 0, conditions = 0, learned = 0;
    std::vector<int32_t> states;     // [K][scores]: the atom, or -1
    std::vector<double> cumulative;  // [m][K]
    std::vector<float> cell;         // [m][conditions]
    std::vector<float> features;     // [K][width]
    std::vector<Score> scores;

    static Patterns read(Reader& in) {
        Patterns p;
        const int d = in.integer(1, 1 << 16, "scores of patterns");
        p.patterns = in.integer(1, 1 << 16, "patterns");
        p.cells = in.integer(1, 1 << 16, "conditions of patterns");
        p.width = in.integer(0, 1 << 16, "features of patterns");
        p.conditions = in.integer(0, 1 << 16, "conditions of patterns");
        const size_t K = size_t(p.patterns), m = size_t(p.cells);
        p.states = in.array<int32_t>(K * size_t(d), "patterns");
        p.cumulative = in.array<double>(m * K, "shares of patterns");
        p.cell = in.array<float>(m * size_t(p.conditions), "conditions of patterns");
        p.features = in.array<float>(K * size_t(p.width), "features of patterns");
        require(m == 1 || p.conditions, "conditions of patterns");
        for (int j = 0; j < d; j++) {
            Score s;
            s.learned = in.integer(0, 1, "a score of patterns");
            s.free = in.number<double>();
            s.margin = in.number<double>();
            s.starts = in.array_of_any_length<double>("atoms of patterns");
            s.below = in.array<double>(s.starts.size() + 1, "atoms of patterns");
            s.centres = in.array<double>(s.starts.size(), "atoms of patterns");
            p.learned += s.learned;
            for (size_t k = 0; k < K; k++) {
                const int32_t state = p.states[k * size_t(d) + size_t(j)];
                require(state >= (s.learned ? -1 : 0) && state < int(s.centres.size()), "an atom of a pattern");
            }
            p.scores.push_back(std::move(s));
        }
        return p;
    }
    /// Number of the pattern of a uniform number, given a condition.
    int choose(double u, const float* condition) const {
        size_t nearest = 0;
        double least = std::numeric_limits<double>::infinity();
        for (size_t k = 0; k < size_t(cells) && conditions; k++) {
            double distance = 0;
            for (int f = 0; f < conditions; f++) {
                const double off = double(condition[f]) - double(cell[k * size_t(conditions) + size_t(f)]);
                distance += off * off;
            }
            if (distance < least) least = distance, nearest = k;
        }
        const double* shares = cumulative.data() + nearest * size_t(patterns);
        int low = 0, high = patterns - 1;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (shares[middle] <= u) low = middle + 1;
            else high = middle;
        }
        return low;
    }
    /// All scores of an event, from its pattern and those of the flow.
    void merge(int pattern, const float* z, double* out) const {
        const int32_t* own = states.data() + size_t(pattern) * scores.size();
        for (size_t j = 0; j < scores.size(); j++) {
            const Score& s = scores[j];
            if (own[j] >= 0) out[j] = s.centres[size_t(own[j])];
            else out[j] = s.starts.empty() ? double(*z) : ranked(s, ndtr(double(*z)));
            z += s.learned;
        }
    }

  private:
    /// The score of a rank among values.
    static double ranked(const Score& s, double v) {
        const double own = (v < s.margin ? s.margin : v > 1 - s.margin ? 1 - s.margin : v) * s.free;
        size_t low = 0, high = s.starts.size();
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (s.starts[middle] < own) low = middle + 1;
            else high = middle;
        }
        return ndtri(own + s.below[low]);
    }
};

}  // namespace buff
