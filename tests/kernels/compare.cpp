// Predictions of forests and events of models with all instructions of a processor, as text that says every bit.
//   compare forest MODEL ROWS          predictions of rows, all together and one by one
//   compare events MODEL SEED NUMBER [CONDITION ...]
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "sampler.hpp"

namespace {

std::vector<char> contents(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return std::vector<char>((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}
template <class Bits, class T>
void print(buff::Backend backend, const char* how, const std::vector<T>& values) {
    std::printf("%s %s", buff::name_of(backend), how);
    for (const T& value : values) {
        Bits bits;
        std::memcpy(&bits, &value, sizeof bits);
        std::printf(" %" PRIx64, uint64_t(bits));
    }
    std::printf("\n");
}
void forest(const char* model, const char* rows) {
    const std::vector<char> bytes = contents(model), raw = contents(rows);
    buff::Reader in(bytes.data(), bytes.size());
    const buff::Forest forest = buff::Forest::read(in);
    std::vector<float> x(raw.size() / sizeof(float));
    std::memcpy(x.data(), raw.data(), x.size() * sizeof(float));
    const size_t n = x.size() / size_t(forest.features);
    std::vector<float> out(n * size_t(forest.outputs));
    for (buff::Backend own : buff::available()) {
        buff::predict(own, forest, int64_t(n), x.data(), out.data());
        print<uint32_t>(own, "together", out);
        for (size_t i = 0; i < n; i++)
            buff::predict(own, forest, 1, x.data() + i * size_t(forest.features), out.data() + i * size_t(forest.outputs));
        print<uint32_t>(own, "alone", out);
    }
}
void events(const char* model, uint64_t seed, int64_t n, const std::vector<double>& condition) {
    const buff::Sampler sampler = buff::Sampler::from_file(model);
    buff::Workspace work(sampler);
    const double* given = condition.empty() ? nullptr : condition.data();
    const size_t width = sampler.columns().size();
    std::vector<double> out(size_t(n) * width);
    for (int64_t i = 0; i < n; i++) sampler.draw(seed, uint64_t(i), given, out.data() + size_t(i) * width, work);
    const std::vector<buff::Key> keys = work.keys;
    for (buff::Backend own : buff::available()) {
        for (int64_t i = 0; i < n; i++)
            sampler.draw(keys.data(), i, 1, given, 1, nullptr, out.data() + size_t(i) * width, work, own);
        print<uint64_t>(own, "alone", out);
        sampler.draw(keys.data(), 0, n, given, 1, nullptr, out.data(), work, own);
        print<uint64_t>(own, "together", out);
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 4 && std::string(argv[1]) == "forest") return forest(argv[2], argv[3]), 0;
        std::vector<double> condition;
        for (int k = 5; k < argc; k++) condition.push_back(std::strtod(argv[k], nullptr));
        events(argv[2], std::strtoull(argv[3], nullptr, 10), std::strtoll(argv[4], nullptr, 10), condition);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
