// Random numbers that belong to an event, and the normal distribution: Philox4x64-10, NumPy's seeds, Cephes' formulas.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace buff {

/// Key of a stream of random numbers.
struct Key {
    uint64_t a, b;
};

inline uint64_t multiply(uint64_t x, uint64_t y, uint64_t& high) {
#if defined(_MSC_VER) && defined(_M_X64)
    return _umul128(x, y, &high);
#elif defined(_MSC_VER)
    high = __umulh(x, y);
    return x * y;
#else
    const unsigned __int128 product = static_cast<unsigned __int128>(x) * y;
    high = static_cast<uint64_t>(product >> 64);
    return static_cast<uint64_t>(product);
#endif
}

/// Four words at a place of the counter (Salmon, Moraes, Dror, Shaw, 2011, doi:10.1145/2063384.2063405).
inline void philox(Key key, uint64_t counter, uint64_t (&c)[4]) {
    c[0] = counter;
    c[1] = c[2] = c[3] = 0;
    for (int round = 0; round < 10; round++) {
        uint64_t high0, high1;
        const uint64_t low0 = multiply(0xD2E7470EE14C6C93ULL, c[0], high0);
        const uint64_t low1 = multiply(0xCA5A826395121157ULL, c[2], high1);
        const uint64_t n0 = high1 ^ c[1] ^ key.a, n2 = high0 ^ c[3] ^ key.b;
        c[0] = n0, c[1] = low1, c[2] = n2, c[3] = low0;
        key.a += 0x9E3779B97F4A7C15ULL;
        key.b += 0xBB67AE8584CAA73BULL;
    }
}

/// The key that NumPy's SeedSequence(seed, spawn_key=(stream,)) yields, for seeds below 2^128 given as words.
inline Key key_of(const std::vector<uint32_t>& seed, uint32_t stream) {
    std::vector<uint32_t> entropy(seed);
    if (entropy.empty()) entropy.push_back(0);
    while (entropy.size() < 4) entropy.push_back(0);  // a spawn key starts after a full pool
    entropy.push_back(stream);
    uint32_t hash = 0x43b0d7e5u, pool[4];
    auto mixed_in = [&hash](uint32_t value) {
        value ^= hash;
        hash *= 0x931e8875u;
        value *= hash;
        return value ^ (value >> 16);
    };
    auto mix = [](uint32_t x, uint32_t y) {
        const uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
        return r ^ (r >> 16);
    };
    for (size_t i = 0; i < 4; i++) pool[i] = mixed_in(entropy[i]);
    for (int s = 0; s < 4; s++)
        for (int d = 0; d < 4; d++)
            if (s != d) pool[d] = mix(pool[d], mixed_in(pool[s]));
    for (size_t s = 4; s < entropy.size(); s++)
        for (int d = 0; d < 4; d++) pool[d] = mix(pool[d], mixed_in(entropy[s]));
    uint32_t words[4], other = 0x8b51f9ddu;
    for (int i = 0; i < 4; i++) {
        uint32_t value = pool[i] ^ other;
        other *= 0x58f38dedu;
        value *= other;
        words[i] = value ^ (value >> 16);
    }
    return {words[0] | (uint64_t(words[1]) << 32), words[2] | (uint64_t(words[3]) << 32)};
}

template <int N>
inline double polynomial(double x, const double (&c)[N]) {
    double sum = c[0];
    for (int i = 1; i < N; i++) sum = sum * x + c[i];
    return sum;
}
template <int N>
inline double monic(double x, const double (&c)[N]) {  // leading coefficient 1, which is left out
    double sum = x + c[0];
    for (int i = 1; i < N; i++) sum = sum * x + c[i];
    return sum;
}

// Quantiles and distribution function of the standard normal: S. L. Moshier, Cephes Math Library, ndtri.c and ndtr.c.
constexpr double kExpMinus2 = 0.13533528323661269189;

inline double ndtri_middle(double y) {
    constexpr double P0[5] = {-5.99633501014107895267E1, 9.80010754185999661536E1, -5.66762857469070293439E1,
                              1.39312609387279679503E1, -1.23916583867381258016E0};
    constexpr double Q0[8] = {1.95448858338141759834E0, 4.67627912898881538453E0, 8.63602421390890590575E1,
                              -2.25462687854119370527E2, 2.00260212380060660359E2, -8.20372256168333339912E1,
                              1.59056225126211695515E1, -1.18331621121330003142E0};
    y -= 0.5;
    const double y2 = y * y;
    const double x = y + y * (y2 * polynomial(y2, P0) / monic(y2, Q0));
    return x * 2.50662827463100050242E0;
}
inline double ndtri_tail(double y) {  // minus the quantile of y <= exp(-2)
    constexpr double P1[9] = {4.05544892305962419923E0, 3.15251094599893866154E1, 5.71628192246421288162E1,
                              4.40805073893200834700E1, 1.46849561928858024014E1, 2.18663306850790267539E0,
                              -1.40256079171354495875E-1, -3.50424626827848203418E-2, -8.57456785154685413611E-4};
    constexpr double Q1[8] = {1.57799883256466749731E1, 4.53907635128879210584E1, 4.13172038254672030440E1,
                              1.50425385692907503408E1, 2.50464946208309415979E0, -1.42182922854787788574E-1,
                              -3.80806407691578277194E-2, -9.33259480895457427372E-4};
    constexpr double P2[9] = {3.23774891776946035970E0, 6.91522889068984211695E0, 3.93881025292474443415E0,
                              1.33303460815807542389E0, 2.01485389549179081538E-1, 1.23716634817820021358E-2,
                              3.01581553508235416007E-4, 2.65806974686737550832E-6, 6.23974539184983293730E-9};
    constexpr double Q2[8] = {6.02427039364742014255E0, 3.67983563856160859403E0, 1.37702099489081330271E0,
                              2.16236993594496635890E-1, 1.34204006088543189037E-2, 3.28014464682127739104E-4,
                              2.89247864745380683936E-6, 6.79019408009981274425E-9};
    const double x = std::sqrt(-2.0 * std::log(y)), x0 = x - std::log(x) / x, z = 1.0 / x;
    const double x1 = x < 8.0 ? z * polynomial(z, P1) / monic(z, Q1) : z * polynomial(z, P2) / monic(z, Q2);
    return x0 - x1;
}
inline double ndtri(double y) {
    if (y > 1.0 - kExpMinus2) return 1.0 - y > kExpMinus2 ? ndtri_middle(y) : ndtri_tail(1.0 - y);
    return y > kExpMinus2 ? ndtri_middle(y) : -ndtri_tail(y);
}
inline double ndtr(double a) {
    constexpr double T[5] = {9.60497373987051638749E0, 9.00260197203842689217E1, 2.23200534594684319226E3,
                             7.00332514112805075473E3, 5.55923013010394962768E4};
    constexpr double U[5] = {3.35617141647503099647E1, 5.21357949780152679795E2, 4.59432382970980127987E3,
                             2.26290000613890934246E4, 4.92673942608635921086E4};
    constexpr double P[9] = {2.46196981473530512524E-10, 5.64189564831068821977E-1, 7.46321056442269912687E0,
                             4.86371970985681366614E1, 1.96520832956077098242E2, 5.26445194995477358631E2,
                             9.34528527171957607540E2, 1.02755188689515710272E3, 5.57535335369399327526E2};
    constexpr double Q[8] = {1.32281951154744992508E1, 8.67072140885989742329E1, 3.54937778887819891062E2,
                             9.75708501743205489753E2, 1.82390916687909736289E3, 2.24633760818710981792E3,
                             1.65666309194161350182E3, 5.57535340817727675546E2};
    constexpr double R[6] = {5.64189583547755073984E-1, 1.27536670759978104416E0, 5.01905042251180477414E0,
                             6.16021097993053585195E0, 7.40974269950448939160E0, 2.97886665372100240670E0};
    constexpr double S[6] = {2.26052863220117276590E0, 9.39603524938001434673E0, 1.20489539808096656605E1,
                             1.70814450747565897222E1, 9.60896809063285878198E0, 3.36907645100081516050E0};
    const double x = a * 0.70710678118654752440, z = std::fabs(x);
    if (z < 1.0) {
        const double z2 = z * z, y = z * polynomial(z2, T) / monic(z2, U);
        return 0.5 + 0.5 * (x < 0 ? -y : y);
    }
    if (z * z > 7.09782712893383996843E2) return x > 0 ? 1.0 : 0.0;
    const double e = std::exp(-z * z);
    const double p = z < 8.0 ? e * polynomial(z, P) / monic(z, Q) : e * polynomial(z, R) / monic(z, S);
    return x > 0 ? 1.0 - 0.5 * p : 0.5 * p;
}

}  // namespace buff
