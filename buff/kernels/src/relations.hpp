// Columns that others tell, put back into an event: buff.tables.relations.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "model.hpp"

namespace buff {

/// Columns a <= b: b was learned as its distance from a, or as it is. A sentinel says that there is none, as NaN does.
struct Order {
    int low = 0, high = 0, decimals = -1;
    bool exchange = false;  // both were learned as they are, and are swapped where they break the order
    bool single = false;    // arithmetic in single precision
    int digits = 64;        // of b, as those of columns
    double floor = 0;       // at least, and in place of an absent a
    double absent_low, absent_high, code;  // NaN: none; the code says in the distance that b is absent

    static Order read(Reader& in, int n) {
        Order o;
        o.low = in.integer(0, n - 1, "column of an order");
        o.high = in.integer(0, n - 1, "column of an order");
        o.decimals = in.integer(-1, 300, "decimals of an order");
        o.exchange = in.integer(0, 1, "exchange of an order");
        o.single = in.integer(0, 1, "precision of an order");
        o.digits = in.integer(0, 64, "precision of an order");
        o.floor = in.number<double>();
        o.absent_low = in.number<double>();
        o.absent_high = in.number<double>();
        o.code = in.number<double>();
        return o;
    }
    /// Swaps the values of an event that breaks the order; whether it does.
    bool swap(double* event) const {
        const double a = event[low], b = event[high];
        if (!(a > b) || a == absent_low || b == absent_high) return false;
        event[low] = b, event[high] = a;
        return true;
    }
    void restore(double* event) const {
        const double a = event[low], gap = event[high];
        if (gap != gap) return;
        if (gap == code) {
            event[high] = absent_high;
            return;
        }
        const double base = a != absent_low && a > floor ? a : floor, distance = gap >= 0 ? gap : 0;
        double b;
        if (single) {
            float sum = float(base) + float(distance);
            if (decimals >= 0) {
                const float power = float(std::pow(10.0, decimals));
                sum = float(std::rint(double(sum * power))) / power;
            }
            b = double(sum);
        } else {
            b = base + distance;
            if (decimals >= 0) {
                const double power = std::pow(10.0, decimals);
                b = std::rint(b * power) / power;
            }
        }
        event[high] = digits == 32 ? double(float(b)) : digits == 0 ? std::trunc(b) : b;
    }
};

/// A column that others tell: their sum, one of them rescaled or looked up, an angle that is counted from another.
struct Told {
    enum Kind : int32_t { kSum = 1, kRescaled, kAngle, kDetermined, kKinds };
    enum Form : int32_t { kSame, kLog, kExp, kSqrt, kSquare, kForms };
    int kind = kSum, target = 0;
    int form = kSame;  // of sums: whether the rest counts units of the last decimal
    int digits = 64, decimals = -1;
    bool rest = false;              // whether the target holds what the others leave open
    double absent, code;            // NaN: none; the code says in the rest that the target is absent
    std::vector<int32_t> inputs;    // columns
    std::vector<double> numbers;    // signs and sentinels of a sum; scale and offset; period, lowest value and cut
    std::vector<double> keys, values;

    static Told read(Reader& in, int kind, int n) {
        Told t;
        t.kind = kind;
        t.target = in.integer(0, n - 1, "column of a relation");
        t.form = in.integer(0, kForms - 1, "form of a relation");
        t.digits = in.integer(0, 64, "precision of a relation");
        t.decimals = in.integer(-1, 300, "decimals of a relation");
        t.rest = in.integer(0, 1, "rest of a relation");
        t.absent = in.number<double>();
        t.code = in.number<double>();
        t.inputs = in.array_of_any_length<int32_t>("columns of a relation");
        for (int32_t input : t.inputs) require(input >= 0 && input < n, "columns of a relation");
        const size_t one = t.inputs.size(), needed = kind == kSum ? 2 * one : kind == kRescaled ? 2 : kind == kAngle ? 3 : 0;
        require(kind == kSum || one == 1 || (kind == kAngle && !one), "columns of a relation");
        t.numbers = in.array<double>(needed, "numbers of a relation");
        t.keys = in.array_of_any_length<double>("keys of a relation");
        t.values = in.array<double>(t.keys.size(), "values of a relation");
        require(kind != kDetermined || !t.keys.empty(), "keys of a relation");
        return t;
    }
    void restore(double* event) const {
        const double left = rest ? event[target] : 0;
        double v = kind == kSum ? sum(event, left) : kind == kRescaled ? rescaled(event[inputs[0]])
                 : kind == kAngle ? angle(event, left) : looked_up(event[inputs[0]]);
        if (digits == 0) v = std::rint(v);
        if (digits == 32) v = double(float(v));
        if (rest && left != left) v = left;
        if (rest && left == code) v = absent;
        event[target] = v;
    }

  private:
    double rounded(double v) const {
        if (decimals < 0) return v;
        const double power = std::pow(10.0, decimals);
        return std::rint(v * power) / power;
    }
    double sum(const double* event, double left) const {
        const size_t n = inputs.size();
        double total = 0;
        for (size_t k = 0; k < n; k++) {
            const double own = event[inputs[k]];
            total += own == own && own != numbers[n + k] ? numbers[k] * own : 0;
        }
        total = rounded(total);
        if (rest && form) total += (left >= 0 ? left - double(n) : 0) / std::pow(10.0, decimals < 0 ? 0 : decimals);
        return rounded(total);
    }
    double rescaled(double x) const {
        const double own = form == kLog ? std::log(x) : form == kExp ? std::exp(x) : form == kSqrt ? std::sqrt(x)
                         : form == kSquare ? x * x : x;
        return rounded(numbers[0] * own + numbers[1]);
    }
    double angle(const double* event, double left) const {
        const double period = numbers[0], low = numbers[1], from = inputs.empty() ? 0 : event[inputs[0]];
        double turned = std::fmod((left >= 0 ? left : 0) + numbers[2] + (from == from ? from : 0) - low, period);
        if (turned < 0) turned += period;
        return rounded(turned + low);
    }
    /// The value of the nearest key, of the upper one where two are as near.
    double looked_up(double x) const {
        if (x != x) return x;
        size_t i = 0;
        while (i + 1 < keys.size() && keys[i] < x) i++;
        if (i && std::fabs(x - keys[i - 1]) < std::fabs(keys[i] - x)) i--;
        return values[i];
    }
};

/// One of both, in the order in which columns can be told.
struct Relation {
    int kind = 0;  // 0: an order, else one of Told
    Order order;
    Told told;

    static Relation read(Reader& in, int n) {
        Relation r;
        r.kind = in.integer(0, Told::kKinds - 1, "kind of a relation");
        if (r.kind) r.told = Told::read(in, r.kind, n);
        else r.order = Order::read(in, n);
        return r;
    }
};

/// All columns of an event from those that were learned.
inline void restore(const std::vector<Relation>& relations, double* event) {
    for (const Relation& own : relations) {
        if (own.kind) own.told.restore(event);
        else if (!own.order.exchange) own.order.restore(event);
    }
    // every swap brings an event closer to keeping all orders; a file whose orders go in a circle ends all the same
    bool done = false;
    for (size_t sweep = 0; !done && sweep <= relations.size() * relations.size(); sweep++) {
        done = true;
        for (const Relation& own : relations)
            if (!own.kind && own.order.exchange && own.order.swap(event)) done = false;
    }
}

}  // namespace buff
