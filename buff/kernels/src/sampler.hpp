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

#include "columns.hpp"
#include "kernels.hpp"
#include "patterns.hpp"
#include "posterior.hpp"
#include "relations.hpp"

namespace buff {

/// What an event has at a place.
struct Output {
    std::string name;
    std::vector<std::string> levels;  // names of codes 0, 1, ...
};

class Sampler;

/// Memory of one thread.
struct Workspace {
    explicit Workspace(const Sampler& sampler);
    std::vector<Scratch> scratch;  // of each model
    std::vector<float> features;  // of the condition
    std::vector<float> given;     // of the pattern and the condition
    std::vector<float> scores;
    std::vector<float> starts, widths;  // where flows start, or the centre and width of a posterior
    std::vector<double> merged;
    std::vector<int> patterns;
    std::vector<Key> keys;  // of a seed
    uint64_t seed = 0;
    bool seeded = false;
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
            s.patterns_.push_back(nullptr);
            int given = n == 1 ? s.features_ : 0, scores;
            if (in.integer(0, 1, "patterns")) {
                s.patterns_.back() = std::make_unique<Patterns>(Patterns::read(in));
                require(!s.patterns_.back()->conditions || s.patterns_.back()->conditions == given, "conditions of patterns");
                given += s.patterns_.back()->width;
            }
            s.flows_.push_back(Flow::read(in));
            const int own_features = s.flows_.back().conditions;  // of models that start at a prediction, the last ones
            require(n == 1 && !s.patterns_.back() ? own_features <= given : own_features == given, "features");
            scores = s.flows_.back().dims;
            if (const Patterns* own = s.patterns_.back().get()) {
                require(own->learned == scores, "scores of patterns");
                scores = int(own->scores.size());
            }
            std::vector<Column> columns;
            const int n_columns = in.integer(0, 1 << 16, "columns");
            int dims = 0;
            for (int j = 0; j < n_columns; j++) columns.push_back(Column::read(in)), dims += columns.back().width;
            require(dims == scores, "dimensions of the columns");
            require(s.spaces_.empty() || columns.size() == s.spaces_[0].size(), "columns of a class");
            s.spaces_.push_back(std::move(columns));
        }
        s.read_outputs(in);
        s.classes_ = in.array<float>(n > 1 ? size_t(n) * size_t(s.features_) : 0, "classes");
        return s;
    }

    const std::vector<Output>& columns() const { return outputs_; }
    const std::vector<Condition>& conditions() const { return conditions_; }
    Backend backend() const { return backend_; }
    /// Normal numbers that an event takes, at most: one for its pattern of atoms if there are any, then those of the flow.
    int n_normals() const {
        int most = 0;
        for (size_t k = 0; k < flows_.size(); k++) {
            const int own = flows_[k].dims + (patterns_[k] ? 1 : 0);
            most = own > most ? own : most;
        }
        return most;
    }
    /// Streams of random numbers of the flow; solvers that draw noise on their way need more than one.
    int n_streams() const {
        int most = 1;
        for (const Flow& flow : flows_) most = flow.draws > most ? flow.draws : most;
        return most;
    }
    /// Keys of an event: one a stream, then that of its pattern.
    int n_keys() const { return n_streams() + 1; }

    /// Event ``number`` of a seed (below 2^64): the event of Python's ``sample(random_state=seed)``.
    void draw(uint64_t seed, uint64_t number, const double* condition, double* out, Workspace& work) const {
        if (work.seed != seed || !work.seeded) {
            std::vector<uint32_t> words{uint32_t(seed)};
            if (seed >> 32) words.push_back(uint32_t(seed >> 32));
            for (int k = 0; k < n_streams(); k++) work.keys[size_t(k)] = key_of(words, uint32_t(k));
            work.keys[size_t(n_streams())] = key_of(words, kPatternStream);
            work.seed = seed, work.seeded = true;
        }
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
    static constexpr uint64_t kMagic = 0x3352504d53465542;  // "BUFSMPR3"
    static constexpr uint32_t kPatternStream = 0x80000002u;
    static constexpr double kFarthest = 8;  // scores of no event lie beyond
    friend struct Workspace;

    void read_outputs(Reader& in) {
        const int n = in.integer(0, 1 << 16, "columns of an event");
        for (int j = 0; j < n; j++) {
            Output own;
            own.name = in.text();
            const int n_levels = in.integer(0, 1 << 24, "levels");
            for (int i = 0; i < n_levels; i++) own.levels.push_back(in.text());
            outputs_.push_back(std::move(own));
        }
        places_ = in.array<int32_t>(spaces_[0].size(), "places of columns");
        for (int32_t place : places_) require(place >= 0 && place < n, "place of a column");
        const int n_relations = in.integer(0, 1 << 16, "relations");
        for (int k = 0; k < n_relations; k++) relations_.push_back(Relation::read(in, n));
        if (in.integer(0, 1, "prediction")) {
            prediction_ = std::make_unique<Linear>(Linear::read(in));
            for (const Flow& flow : flows_)
                require(prediction_->features == features_ && prediction_->outputs == flow.dims, "prediction");
        }
        if (in.integer(0, 1, "posterior")) {
            const bool alone = flows_.size() == 1 && !patterns_[0] && !prediction_ && flows_[0].conditions == features_;
            require(alone, "a posterior with other parts");
            posterior_ = std::make_unique<Posterior>(Posterior::read(in, features_, flows_[0].dims));
        }
    }
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
        const Patterns* patterns = patterns_[k].get();
        Request q;
        q.n = m;
        q.first = first;
        q.keys = keys;
        if (flow.conditions) q.condition = work.features.data(), q.condition_rows = condition_rows;
        if (prediction_) predict(flow, condition_rows, work, q);
        if (posterior_) {
            posterior_->place(backend, condition_rows, work.features.data(), work.starts.data(), work.widths.data(), work.given.data());
            q.condition = work.given.data();
        }
        if (patterns) {
            choose(k, keys, first, m, condition_rows, normals, work, backend);
            q.condition = work.given.data(), q.condition_rows = m;
        }
        std::vector<float>& z = work.scores;
        if (normals) {
            const int skipped = patterns ? 1 : 0, stride = n_normals();
            for (int e = 0; e < m; e++)
                for (int j = 0; j < flow.dims; j++) {
                    float& own = z[size_t(e * flow.dims + j)] = normals[e * stride + skipped + j] * flow.source_noise;
                    if (q.source) own += q.source[(q.source_rows == 1 ? 0 : e) * flow.dims + j];
                }
            q.state = z.data();
        }
        if (!sample(backend, flow, q, z.data(), work.scratch[k])) throw std::runtime_error("buff: the field is not finite");
        for (int e = 0; e < m && posterior_; e++)
            for (int j = 0, row = (condition_rows == 1 ? 0 : e) * flow.dims; j < flow.dims; j++) {
                float& own = z[size_t(e * flow.dims + j)];
                own = posterior_->score(j, own, work.starts[size_t(row + j)], work.widths[size_t(row + j)]);
            }
        const std::vector<Column>& space = spaces_[k];
        for (int e = 0; e < m; e++) {
            double* own = work.merged.data();
            if (patterns) patterns->merge(work.patterns[size_t(e)], z.data() + e * flow.dims, own);
            else
                for (int j = 0; j < flow.dims; j++) own[j] = double(z[size_t(e * flow.dims + j)]);
            const size_t scores = patterns ? patterns->scores.size() : size_t(flow.dims);
            if (patterns && flows_.size() > 1)  // scores of classes are singles
                for (size_t j = 0; j < scores; j++) own[j] = double(float(own[j]));
            for (size_t j = 0; j < scores; j++) own[j] = own[j] < -kFarthest ? -kFarthest : own[j] > kFarthest ? kFarthest : own[j];
            for (size_t j = 0; j < space.size(); j++) {
                out[places_[j]] = space[j].decode(own);
                own += space[j].width;
            }
            restore(relations_, out);
            out += outputs_.size();
        }
    }
    /// Where flows start, from all features, and what is left of these.
    void predict(const Flow& flow, int rows, Workspace& work, Request& q) const {
        for (int e = 0; e < rows; e++) {
            const float* x = work.features.data() + e * features_;
            for (int j = 0; j < flow.dims; j++) {
                double sum = 0;  // exact
                for (int f = 0; f < features_; f++) sum += std::rint(double(x[f]) * 0x1p22) * prediction_->weights[size_t(j * prediction_->stride + f)];
                work.starts[size_t(e * flow.dims + j)] = float(sum) + prediction_->bias[size_t(j)];
            }
            for (int f = 0; f < flow.conditions; f++)
                work.given[size_t(e * flow.conditions + f)] = x[features_ - flow.conditions + f];
        }
        q.source = work.starts.data(), q.source_rows = rows;
        if (flow.conditions) q.condition = work.given.data();
    }
    /// Patterns of events, and what the flow is given.
    void choose(size_t k, const Key* keys, int64_t first, int m, int condition_rows, const float* normals, Workspace& work,
                Backend backend) const {
        const Patterns& patterns = *patterns_[k];
        const int given = flows_[k].conditions, more = given - patterns.width;
        int64_t numbers[kBlock];
        float z[kBlock];
        for (int e = 0; e < m; e++) numbers[e] = first + e, z[e] = normals ? normals[e * n_normals()] : 0;
        if (!normals) {
            float* drawn = work.scratch[k].velocity.data();
            normal(backend, keys[n_streams()], numbers, m, 1, drawn, work.scratch[k]);
            for (int e = 0; e < m; e++) z[e] = drawn[e];
        }
        for (int e = 0; e < m; e++) {
            const float* condition = work.features.data() + (condition_rows == 1 ? 0 : e) * features_;
            const int own = patterns.choose(ndtr(double(z[e])), condition);
            work.patterns[size_t(e)] = own;
            float* to = work.given.data() + e * given;
            for (int f = 0; f < patterns.width; f++) to[f] = patterns.features[size_t(own * patterns.width + f)];
            for (int f = 0; f < more; f++) to[patterns.width + f] = condition[f];
        }
    }

    std::vector<Condition> conditions_;
    std::vector<Flow> flows_;
    std::vector<std::unique_ptr<const Patterns>> patterns_;  // of each flow, where it has any
    std::vector<std::vector<Column>> spaces_;
    std::vector<float> classes_;
    std::vector<Output> outputs_;
    std::vector<int32_t> places_;  // of learned columns in an event
    std::vector<Relation> relations_;
    std::unique_ptr<const Linear> prediction_;  // where flows start
    std::unique_ptr<const Posterior> posterior_;
    int features_ = 0;
    Backend backend_ = available()[0];
};

inline Workspace::Workspace(const Sampler& sampler)
    : features(size_t(sampler.features_) * kBlock + 1), keys(size_t(sampler.n_keys())) {
    size_t widest = 0, given = 0, merged = 0;
    for (size_t k = 0; k < sampler.flows_.size(); k++) {
        const Flow& flow = sampler.flows_[k];
        const Patterns* patterns = sampler.patterns_[k].get();
        scratch.push_back(scratch_for(flow));
        const size_t all = patterns ? patterns->scores.size() : size_t(flow.dims);
        widest = size_t(flow.dims) > widest ? size_t(flow.dims) : widest;
        given = size_t(flow.conditions) > given ? size_t(flow.conditions) : given;
        merged = all > merged ? all : merged;
    }
    scores.resize(widest * kBlock);
    starts.resize(sampler.prediction_ || sampler.posterior_ ? widest * kBlock : 0);
    widths.resize(starts.size());
    this->given.resize(given * kBlock);
    this->merged.resize(merged);
    patterns.resize(kBlock);
}

}  // namespace buff
