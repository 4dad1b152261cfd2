// Models of buff as plain arrays: forests, linear maps, solvers as programs, quantile maps; read from bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace buff {

constexpr int kBlock = 64;    // events that a kernel carries at a time
constexpr int kNodes = 256;   // places of a tree in heap order from 1, the deepest that fits
constexpr int kDeepest = 8;
constexpr int kLanes = 16;    // rows of linear maps are multiples of these
constexpr uint8_t kNoSplit = 255;

/// Zeroed memory that starts at a cache line.
template <class T>
class Aligned {
  public:
    Aligned() = default;
    explicit Aligned(size_t n) : size_(n), raw_(n * sizeof(T) + 128) {
        auto address = reinterpret_cast<uintptr_t>(raw_.data());
        data_ = reinterpret_cast<T*>((address + 63) / 64 * 64);
    }
    Aligned(Aligned&& other) noexcept = default;
    Aligned& operator=(Aligned&& other) noexcept = default;
    T* data() { return data_; }
    const T* data() const { return data_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }
    size_t size() const { return size_; }

  private:
    size_t size_ = 0;
    std::vector<unsigned char> raw_;
    T* data_ = nullptr;
};

inline void require(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(std::string("buff: damaged model: ") + what);
}

/// Reads little-endian numbers and arrays that carry their length, and never past the end.
class Reader {
  public:
    Reader(const void* bytes, size_t size) : at_(static_cast<const unsigned char*>(bytes)), left_(size) {}
    template <class T>
    T number() {
        T value;
        take(&value, sizeof(T));
        return value;
    }
    int integer(int lowest, int highest, const char* what) {
        int32_t value = number<int32_t>();
        require(value >= lowest && value <= highest, what);
        return value;
    }
    template <class T>
    std::vector<T> array(size_t n, const char* what) {
        require(number<uint64_t>() == n, what);
        return rest<T>(n, what);
    }
    template <class T>
    std::vector<T> array_of_any_length(const char* what) {
        return rest<T>(static_cast<size_t>(number<uint64_t>()), what);
    }
    std::string text() {
        std::vector<char> letters = array_of_any_length<char>("a name");
        return std::string(letters.begin(), letters.end());
    }
    bool empty() const { return left_ == 0; }

  private:
    template <class T>
    std::vector<T> rest(size_t n, const char* what) {
        require(n <= left_ / sizeof(T), what);
        std::vector<T> values(n);
        if (n) take(values.data(), n * sizeof(T));
        return values;
    }
    void take(void* to, size_t n) {
        require(n <= left_, "it ends too early");
        std::memcpy(to, at_, n);
        at_ += n;
        left_ -= n;
    }
    const unsigned char* at_;
    size_t left_;
};

/// The last two levels of a tree below a node: what a single event reads of it lies together.
struct Bottom {
    uint8_t feature[3], code[3];  // of the node and its children
    float leaf[4];
    float unused[2];  // no line of a cache holds a part of one
};

/// Perfect trees over byte codes: the code of a value is the number of cuts that it reaches.
struct Forest {
    int features = 0, outputs = 0, depth = 0, width = 1, trees = 0;
    int stride = 16;               // cuts a feature, padded with NaN, which no value reaches
    int rows = 0;                  // features, padded for selections by 16
    Aligned<float> cuts;           // [features][stride]
    Aligned<float> inside;         // [features][8][stride / 8], the same in groups of 8: the first of each, the second ...
    Aligned<uint8_t> feature, code;  // [trees][256]
    Aligned<uint16_t> splits;      // [trees][256], both in one: code * 256 + feature
    Aligned<float> leaf;           // [trees][256][width], at the index with which the last level ends, as a byte
    Aligned<uint8_t> planes;       // [trees][4][256], the same byte by byte, for leaves of one number
    Aligned<Bottom> bottoms;       // [trees][2^(depth - 2)], for leaves of one number and three levels at least
    std::vector<int> first;        // trees of output g are first[g] ... first[g + 1] - 1
    std::vector<float> base;       // [outputs]

    static Forest read(Reader& in) {
        Forest f;
        f.features = in.integer(1, 255, "features");
        f.outputs = in.integer(1, 1 << 16, "outputs");
        f.depth = in.integer(1, kDeepest, "depth");
        f.width = in.integer(1, 1 << 16, "width of leaves");
        f.trees = in.integer(0, 1 << 24, "trees");
        require(f.width == 1 || f.width == f.outputs, "width of leaves");
        f.rows = f.features <= 16 ? f.features : (f.features + 15) / 16 * 16;
        f.read_cuts(in);
        f.read_trees(in);
        f.base = in.array<float>(size_t(f.outputs), "base");
        return f;
    }

  private:
    void read_cuts(Reader& in) {
        std::vector<int32_t> counts = in.array<int32_t>(size_t(features), "cuts");
        size_t total = 0;
        int most = 0;
        for (int32_t n : counts) {
            require(n >= 0 && n < kNodes, "cuts");
            total += size_t(n);
            most = n > most ? n : most;
        }
        while (stride <= most) stride *= 2;
        std::vector<float> flat = in.array<float>(total, "cuts");
        cuts = Aligned<float>(size_t(features) * size_t(stride));
        inside = Aligned<float>(cuts.size() + 8);
        size_t k = 0;
        for (int f = 0; f < features; f++)
            for (int j = 0; j < stride; j++) {
                float cut = j < counts[size_t(f)] ? flat[k++] : std::numeric_limits<float>::quiet_NaN();
                require(!(j && j < counts[size_t(f)]) || cut > flat[k - 2], "cuts must rise");
                cuts[size_t(f) * size_t(stride) + size_t(j)] = cut;
                inside[size_t(f) * size_t(stride) + size_t(j % 8 * (stride / 8) + j / 8)] = cut;
            }
    }
    void read_trees(Reader& in) {
        const size_t n = size_t(trees), inner = (size_t(1) << depth) - 1, leaves = inner + 1;
        const auto features_of = in.array<uint8_t>(n * inner, "features of splits");
        const auto codes_of = in.array<uint8_t>(n * inner, "codes of splits");
        const auto values = in.array<float>(n * leaves * size_t(width), "leaves");
        const auto outputs_of = in.array<int32_t>(n, "outputs of trees");
        for (uint8_t f : features_of) require(f < features, "feature of a split");
        for (int32_t g : outputs_of) require(g >= 0 && g < outputs, "output of a tree");
        feature = Aligned<uint8_t>(n * kNodes + 64);
        code = Aligned<uint8_t>(n * kNodes + 64);
        splits = Aligned<uint16_t>(n * kNodes);
        leaf = Aligned<float>(n * kNodes * size_t(width));
        planes = Aligned<uint8_t>(width == 1 ? n * 4 * kNodes : 0);
        if (width == 1 && depth > 2) bottoms = Aligned<Bottom>(n << (depth - 2));
        const int groups = width == 1 ? outputs : 1;
        size_t t = 0;
        for (int g = 0; g < groups; g++) {  // trees of an output together, in their order
            first.push_back(int(t));
            for (size_t k = 0; k < n; k++) {
                if (width == 1 && outputs_of[k] != g) continue;
                place(t++, features_of.data() + k * inner, codes_of.data() + k * inner,
                      values.data() + k * leaves * size_t(width));
            }
        }
        first.push_back(int(t));
    }
    void place(size_t t, const uint8_t* f, const uint8_t* c, const float* values) {
        const size_t leaves = size_t(1) << depth, w = size_t(width);
        std::memset(code.data() + t * kNodes, kNoSplit, kNodes);
        std::memcpy(feature.data() + t * kNodes + 1, f, leaves - 1);
        std::memcpy(code.data() + t * kNodes + 1, c, leaves - 1);
        for (size_t i = 0; i < kNodes; i++)
            splits[t * kNodes + i] = uint16_t(code[t * kNodes + i] * 256 + feature[t * kNodes + i]);
        const size_t start = depth == kDeepest ? 0 : leaves;
        std::memcpy(leaf.data() + (t * kNodes + start) * w, values, leaves * w * sizeof(float));
        if (width != 1) return;
        const size_t n = bottoms.size() ? leaves / 4 : 0;
        for (size_t s = 0; s < n; s++) {
            Bottom& own = bottoms[t * n + s];
            const size_t nodes[3] = {n + s, 2 * (n + s), 2 * (n + s) + 1};
            for (size_t k = 0; k < 3; k++) own.feature[k] = f[nodes[k] - 1], own.code[k] = c[nodes[k] - 1];
            std::memcpy(own.leaf, values + 4 * s, sizeof(own.leaf));
        }
        for (size_t i = 0; i < leaves; i++)
            for (size_t b = 0; b < 4; b++)
                std::memcpy(planes.data() + (t * 4 + b) * kNodes + start + i,
                            reinterpret_cast<const unsigned char*>(values + i) + b, 1);
    }
};

/// x @ weights + bias, exact in any order for features rounded to multiples of 2^-22.
struct Linear {
    int features = 0, outputs = 0;
    int stride = 0;             // features, padded for whole registers
    Aligned<double> weights;    // [outputs][stride]
    std::vector<float> bias;    // [outputs]

    static Linear read(Reader& in) {
        Linear l;
        l.features = in.integer(0, 1 << 16, "features of a linear map");
        l.outputs = in.integer(1, 1 << 16, "outputs of a linear map");
        const auto columns = in.array<double>(size_t(l.features) * size_t(l.outputs), "weights");
        l.stride = (l.features + kLanes - 1) / kLanes * kLanes;
        l.weights = Aligned<double>(size_t(l.stride) * size_t(l.outputs));
        for (size_t k = 0, n = size_t(l.outputs); k < columns.size(); k++) l.weights[k % n * size_t(l.stride) + k / n] = columns[k];
        l.bias = in.array<float>(size_t(l.outputs), "bias");
        return l;
    }
};

/// The monomials w_i, w_i w_j (i <= j) and, for degree 3, w_i w_j w_k (i <= j <= k) of inputs cut to [-3.5, 3.5], and a
/// linear map of them; without triples, those of three are w_i w_j^2.
struct Polynomial {
    int degree = 0, inputs = 0;  // degree 0: there is none
    bool triples = true;
    Linear linear;

    static Polynomial read(Reader& in, int inputs, int outputs) {
        Polynomial p;
        p.degree = in.integer(0, 3, "degree of a polynomial");
        if (!p.degree) return p;
        p.inputs = inputs;
        p.triples = in.integer(0, 1, "triples of a polynomial");
        p.linear = Linear::read(in);
        const int64_t n = inputs, cubic = p.triples ? n * (n + 1) * (n + 2) / 6 : n * n;
        const int64_t terms = n + n * (n + 1) / 2 + (p.degree == 3 ? cubic : 0);
        require(p.degree > 1 && p.linear.features == terms && p.linear.outputs == outputs, "shape of a polynomial");
        return p;
    }
};

/// The frame of a Gaussian part at a time: y = (U^T x - turned) / scales, x = U (y scales) + centre.
struct Frame {
    std::vector<float> scales, turned, centre, rates, drift;  // and u_Gauss = U ((U^T x - turned) rates) + drift

    static Frame read(Reader& in, int d) {
        Frame f;
        for (auto* part : {&f.scales, &f.turned, &f.centre, &f.rates, &f.drift})
            *part = in.array<float>(size_t(d), "a frame");
        return f;
    }
};

struct Node {
    Linear linear;
    std::shared_ptr<const Forest> forest;  // none where the linear map is all
    bool framed = false;                   // whether trees see [x, y, c] and predict along the axes of the frame
    std::vector<float> target_scale, frame_scale;
    Polynomial smooth;  // of [y, c]
};

/// One instruction of a solver: registers hold the states of all events.
struct Op {
    enum Kind : int32_t {
        kField, kNoise, kAdd, kSub, kMul, kDiv, kAddC, kSubC, kRsubC, kMulC, kDivC, kToFrame, kFromFrame, kFrameField, kKinds
    };
    int32_t kind, to, a, b;  // kField: b is the node, kToFrame, kFromFrame: the frame; with a constant b is unused
    float c;                 // kFrameField: the node
};

/// z = G^-1(F(x)): a rising polyline for some of the scores, a shift beyond its ends.
struct Calibration {
    int knots = 0;
    std::vector<float> quantiles;  // [outputs][knots]
    std::vector<float> levels;     // [knots]
    std::vector<uint8_t> smooth;   // [outputs]
};

/// From noise to scores.
struct Flow {
    int dims = 0, conditions = 0, registers = 1, result = 0, draws = 1;  // draws: streams of noise
    float source_noise = 1;
    std::unique_ptr<Linear> forth, back;  // x -> U^T x, y -> U y, where there are frames
    std::vector<Frame> frames;            // of the nodes, then others
    std::vector<Node> nodes;
    std::vector<Op> program;  // register 0 holds the source
    std::unique_ptr<Linear> shift;  // of conditions
    std::vector<float> scale;
    Calibration calibration;

    static Flow read(Reader& in) {
        Flow f;
        f.dims = in.integer(1, 1 << 16, "dimensions");
        f.conditions = in.integer(0, 1 << 16, "features of the condition");
        f.source_noise = in.number<float>();
        f.read_frames(in);
        const int n = in.integer(0, 1 << 16, "nodes");
        require(f.frames.empty() || f.frames.size() >= size_t(n), "frames of nodes");
        for (int i = 0; i < n; i++) f.nodes.push_back(f.read_node(in));
        f.read_program(in);
        if (in.integer(0, 1, "standardizer")) {
            f.shift = std::make_unique<Linear>(Linear::read(in));
            require(f.shift->features == f.conditions && f.shift->outputs == f.dims, "standardizer");
            f.scale = in.array<float>(size_t(f.dims), "scale");
        }
        f.calibration.knots = in.integer(0, 1 << 16, "knots");
        if (f.calibration.knots) {
            const size_t k = size_t(f.calibration.knots);
            f.calibration.quantiles = in.array<float>(k * size_t(f.dims), "quantiles");
            f.calibration.levels = in.array<float>(k, "levels");
            f.calibration.smooth = in.array<uint8_t>(size_t(f.dims), "smooth");
        }
        return f;
    }

    /// Trees of the largest forest.
    int trees() const {
        int most = 0;
        for (const Node& node : nodes) most = node.forest && node.forest->trees > most ? node.forest->trees : most;
        return most;
    }
    /// Terms of the largest polynomial.
    int terms() const {
        int most = 0;
        for (const Node& node : nodes) most = node.smooth.linear.features > most ? node.smooth.linear.features : most;
        return most;
    }
    /// Features that trees see, at most.
    int features() const { return (frames.empty() ? dims : 2 * dims) + conditions; }

  private:
    void read_frames(Reader& in) {
        const int n = in.integer(0, 1 << 16, "frames");
        if (!n) return;
        forth = std::make_unique<Linear>(Linear::read(in));
        back = std::make_unique<Linear>(Linear::read(in));
        for (const Linear* turn : {forth.get(), back.get()})
            require(turn->features == dims && turn->outputs == dims, "axes of a frame");
        for (int i = 0; i < n; i++) frames.push_back(Frame::read(in, dims));
    }
    Node read_node(Reader& in) {
        Node node;
        node.linear = Linear::read(in);
        require(node.linear.outputs == dims && node.linear.features == dims + conditions, "shape of a node");
        if ((node.framed = in.integer(0, 1, "frame of a node"))) {
            require(!frames.empty(), "frame of a node");
            node.target_scale = in.array<float>(size_t(dims), "scales of a node");
            node.frame_scale = in.array<float>(size_t(dims), "scales of a node");
            node.smooth = Polynomial::read(in, dims + conditions, dims);
        }
        if (in.integer(0, 1, "trees")) {
            node.forest = std::make_shared<Forest>(Forest::read(in));
            const int seen = dims + conditions + (node.framed ? dims : 0);
            require(node.forest->outputs == dims && node.forest->features == seen, "shape of trees");
        }
        require(node.forest || !node.smooth.degree, "a polynomial without trees");
        return node;
    }
    void read_program(Reader& in) {
        registers = in.integer(1, 4096, "registers");
        result = in.integer(0, registers - 1, "result");
        const int n = in.integer(0, 1 << 20, "instructions");
        const auto words = in.array<int32_t>(size_t(n) * 4, "instructions");
        const auto constants = in.array<float>(size_t(n), "constants");
        for (size_t i = 0; i < size_t(n); i++) {
            Op op{words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3], constants[i]};
            require(op.kind >= 0 && op.kind < Op::kKinds, "kind of an instruction");
            const bool turns = op.kind == Op::kToFrame || op.kind == Op::kFromFrame;
            const int limit = op.kind == Op::kField ? int(nodes.size()) : turns ? int(frames.size()) : registers;
            if (op.kind == Op::kFrameField) {
                require(!frames.empty() && op.c >= 0 && op.c < float(nodes.size()), "node of an instruction");
            }
            require(op.to >= 0 && op.to < registers && op.a >= 0 && op.a < registers, "register");
            require(op.b >= 0 && op.b < limit, "operand");
            draws += op.kind == Op::kNoise;
            program.push_back(op);
        }
    }
};

}  // namespace buff
