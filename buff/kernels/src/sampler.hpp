// A whole model: condition and the number of an event in, the values of its columns out. C++17, no dependencies.
//
//   const buff::Sampler sampler = buff::Sampler::from_file("jets.bin");
//   buff::Workspace work(sampler);                         // one a thread
//   std::vector<double> event(sampler.columns().size());
//   sampler.draw(seed, number, condition, event.data(), work);
//
// Compile with -ffp-contract=off (GCC, Clang) for the events of Python, bit by bit on the same C library.
#pragma once
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels.hpp"
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
        if (c.kind == kNumber || c.kind == kLevel) c.quantiles = Quantiles::read(in);
        require(c.kind == kConstant ? c.width == 0 : c.kind == kIndicator ? c.width >= 1 : c.width == 1, "width of a column");
        return c;
    }
    /// The value of scores that lie ``stride`` apart; NaN where missing.
    double decode(const float* z, int64_t stride) const {
        const double nan = std::numeric_limits<double>::quiet_NaN();
        if (kind == kConstant) return value;
        if (kind == kIndicator) {
            int best = 0;
            for (int k = 1; k < width; k++)
                if (z[k * stride] > z[best * stride]) best = k;
            return best < int(levels.size()) ? double(best) : nan;
        }
        const double v = quantiles.value(double(z[0]));
        if (kind == kLevel || digits == 64 || v != v) return v;
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

/// Columns a <= b: b was learned as its distance from a.
struct Order {
    int low = 0, high = 0, decimals = -1;
    double floor = 0;

    static Order read(Reader& in, int n) {
        Order o;
        o.low = in.integer(0, n - 1, "column of an order");
        o.high = in.integer(0, n - 1, "column of an order");
        o.decimals = in.integer(-1, 300, "decimals of an order");
        o.floor = in.number<double>();
        return o;
    }
    void restore(double* event, int digits) const {
        const double a = event[low], gap = event[high];
        if (gap != gap) return;
        double b = (a == a ? a : floor) + (gap > 0 ? gap : 0);
        if (decimals >= 0) {
            const double power = std::pow(10.0, decimals);
            b = std::rint(b * power) / power;
        }
        event[high] = digits == 32 ? double(float(b)) : b;
    }
};

class Sampler;

/// Memory of one thread.
struct Workspace {
    explicit Workspace(const Sampler& sampler);
    std::vector<Scratch> scratch;  // of each model
    std::vector<float> features;
    std::vector<float> scores;
    std::vector<Key> keys;
};

/// A model that draws events one by one: const, shared by all threads.
class Sampler {
  public:
    static Sampler from_bytes(const void* bytes, size_t size) {
        Reader in(bytes, size);
        Sampler s = read(in);
        require(in.empty(), "it is too long");
        return s;
    }
    static Sampler from_file(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw std::runtime_error("buff: cannot read " + path);
        const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        return from_bytes(bytes.data(), bytes.size());
    }
    static Sampler read(Reader& in) {
        Sampler s;
        require(in.number<uint64_t>() == kMagic, "it is not a sampler, or of another version");
        const int n_conditions = in.integer(0, 1 << 16, "columns of the condition");
        for (int i = 0; i < n_conditions; i++) s.conditions_.push_back(Condition::read(in));
        for (const Condition& c : s.conditions_) s.features_ += c.width;
        const int n = in.integer(1, 1 << 16, "models");
        for (int k = 0; k < n; k++) {
            s.flows_.push_back(Flow::read(in));
            require(n == 1 ? s.flows_.back().conditions == s.features_ : s.flows_.back().conditions == 0, "features");
            std::vector<Column> columns;
            const int n_columns = in.integer(0, 1 << 16, "columns");
            int dims = 0;
            for (int j = 0; j < n_columns; j++) columns.push_back(Column::read(in)), dims += columns.back().width;
            require(dims == s.flows_.back().dims, "dimensions of the columns");
            require(s.spaces_.empty() || columns.size() == s.spaces_[0].size(), "columns of a class");
            s.spaces_.push_back(std::move(columns));
        }
        const int n_orders = in.integer(0, 1 << 16, "orders");
        for (int k = 0; k < n_orders; k++) s.orders_.push_back(Order::read(in, int(s.spaces_[0].size())));
        s.classes_ = in.array<float>(n > 1 ? size_t(n) * size_t(s.features_) : 0, "classes");
        return s;
    }

    const std::vector<Column>& columns() const { return spaces_[0]; }
    const std::vector<Condition>& conditions() const { return conditions_; }
    Backend backend() const { return backend_; }
    /// Normal numbers that an event starts from.
    int n_normals() const { return flows_[0].dims; }
    /// Streams of random numbers; solvers that draw noise on their way need more than one.
    int n_streams() const { return flows_[0].draws; }

    /// Event ``number`` of a seed (below 2^64): the event of Python's ``sample(random_state=seed)``.
    void draw(uint64_t seed, uint64_t number, const double* condition, double* out, Workspace& work) const {
        std::vector<uint32_t> words{uint32_t(seed)};
        if (seed >> 32) words.push_back(uint32_t(seed >> 32));
        for (int k = 0; k < n_streams(); k++) work.keys[size_t(k)] = key_of(words, uint32_t(k));
        draw(work.keys.data(), int64_t(number), 1, condition, condition ? 1 : 0, nullptr, out, work, backend_);
    }
    /// An event from normal numbers of the host, n_normals() of them.
    void draw_from(const float* normals, const double* condition, double* out, Workspace& work) const {
        if (n_streams() > 1) throw std::runtime_error("buff: the solver draws noise on its way: use draw with a seed");
        draw(work.keys.data(), 0, 1, condition, condition ? 1 : 0, normals, out, work, backend_);
    }
    /// ``n`` events, row by row; conditions of one row hold for all.
    void draw(const Key* keys, int64_t first, int64_t n, const double* condition, int64_t condition_rows,
              const float* normals, double* out, Workspace& work, Backend backend) const {
        if (conditions_.empty() != !condition)
            throw std::runtime_error(condition ? "buff: the model takes no condition" : "buff: the model needs a condition");
        const size_t width = columns().size();
        for (int64_t start = 0; start < n; start += kBlock) {
            const int m = int(n - start < kBlock ? n - start : kBlock);
            const bool shared = condition_rows == 1;
            for (int e = 0; e < (shared ? 1 : m) && condition; e++)
                encode(condition + (shared ? 0 : start + e) * int64_t(conditions_.size()), work.features.data() + e * features_);
            if (flows_.size() == 1)
                run(0, keys, first + start, m, shared ? 1 : m, normals ? normals + start * n_normals() : nullptr,
                    out + size_t(start) * width, work, backend);
            else
                for (int e = 0; e < m; e++)
                    run(model_of(work.features.data() + (shared ? 0 : e) * features_), keys, first + start + e, 1, 1,
                        normals ? normals + (start + e) * n_normals() : nullptr, out + size_t(start + e) * width,
                        work, backend);
        }
    }

  private:
    static constexpr uint64_t kMagic = 0x3152504d53465542;  // "BUFSMPR1"
    friend struct Workspace;

    void encode(const double* values, float* out) const {
        for (size_t j = 0; j < conditions_.size(); j++) {
            if (!conditions_[j].encode(values[j], out))
                throw std::runtime_error("buff: condition " + conditions_[j].name + " has no level " + std::to_string(values[j]));
            out += conditions_[j].width;
        }
    }
    size_t model_of(const float* features) const {
        for (size_t k = 0; k < flows_.size(); k++)
            if (!std::memcmp(features, classes_.data() + k * size_t(features_), size_t(features_) * sizeof(float))) return k;
        throw std::runtime_error("buff: condition: a combination of labels that the training did not have");
    }
    void run(size_t k, const Key* keys, int64_t first, int m, int condition_rows, const float* normals, double* out,
             Workspace& work, Backend backend) const {
        const Flow& flow = flows_[k];
        Request q;
        q.n = m;
        q.first = first;
        q.keys = keys;
        if (flow.conditions) q.condition = work.features.data(), q.condition_rows = condition_rows;
        std::vector<float>& z = work.scores;
        if (normals) {
            for (int i = 0; i < m * flow.dims; i++) z[size_t(i)] = normals[i] * flow.source_noise;
            q.state = z.data();
        }
        if (!sample(backend, flow, q, z.data(), work.scratch[k])) throw std::runtime_error("buff: the field is not finite");
        const std::vector<Column>& space = spaces_[k];
        for (int e = 0; e < m; e++) {
            const float* own = z.data() + e * flow.dims;
            for (size_t j = 0; j < space.size(); j++) {
                *out++ = space[j].decode(own, 1);
                own += space[j].width;
            }
            for (const Order& order : orders_) order.restore(out - space.size(), space[size_t(order.high)].digits);
        }
    }

    std::vector<Condition> conditions_;
    std::vector<Flow> flows_;
    std::vector<std::vector<Column>> spaces_;
    std::vector<float> classes_;
    std::vector<Order> orders_;
    int features_ = 0;
    Backend backend_ = available()[0];
};

inline Workspace::Workspace(const Sampler& sampler)
    : features(size_t(sampler.features_) * kBlock + 1), keys(size_t(sampler.n_streams())) {
    size_t widest = 0;
    for (const Flow& flow : sampler.flows_) {
        scratch.push_back(scratch_for(flow));
        widest = size_t(flow.dims) > widest ? size_t(flow.dims) : widest;
        if (size_t(flow.draws) > keys.size()) keys.resize(size_t(flow.draws));
    }
    scores.resize(widest * kBlock);
}

}  // namespace buff
