// exp, sigma and tanh without branches or calls, so that the compiler can compute many elements at
// once. The relative errors are a few units in the last place. NaN stays NaN.

#pragma once

#include <cstdint>
#include <cstring>

template <class real>
struct Format;

// magic: adding it rounds to an integer, which then stands in the lowest bits. least, most: the
// range in which exp is neither 0 nor infinite. terms: of the Taylor series of exp for |x| <=
// log(2) / 2.
template <>
struct Format<float> {
    using bits = std::uint32_t;
    static constexpr int mantissa = 23, bias = 127, terms = 7;
    static constexpr float magic = 0x1.8p23f, least = -87.0f, most = 88.0f;
    static constexpr float log2_high = 0x1.62e4p-1f, log2_low = 0x1.7f7d1cp-20f;
};

template <>
struct Format<double> {
    using bits = std::uint64_t;
    static constexpr int mantissa = 52, bias = 1023, terms = 13;
    static constexpr double magic = 0x1.8p52, least = -708.0, most = 709.0;
    static constexpr double log2_high = 0x1.62e42fefa38p-1, log2_low = 0x1.ef35793c7673p-45;
};

// The Taylor series of exp, from its k-th factor on: 1 + x/k (1 + x/(k+1) (1 + ...)).
template <class real, int k = 1>
inline real taylor(real x) {
    if constexpr (k > Format<real>::terms)
        return 1;
    else
        return taylor<real, k + 1>(x) * x * (1 / real(k)) + 1;
}

// exp(x) = 2^n exp(x - n log(2)). log(2) is given as a sum of two numbers; the first has so few
// digits that its product with n is exact.
template <class real>
inline real exponential(real x) {
    using F = Format<real>;
    x = x < F::least ? F::least : x;  // in this order NaN stays
    x = x > F::most ? F::most : x;
    const real shifted = x * real(0x1.71547652b82fep0) + F::magic, n = shifted - F::magic;
    const real rest = (x - n * F::log2_high) - n * F::log2_low;
    const real sum = taylor<real>(rest);
    typename F::bits bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + F::bias) << F::mantissa;
    real power;
    std::memcpy(&power, &bits, sizeof power);
    return sum * power;
}

template <class real>
inline real sigmoid(real x) {
    return 1 / (1 + exponential(-x));
}

// Cody and Waite 1980, "Software Manual for the Elementary Functions", chapter 13: a rational
// function near 0, where 1 - 2 / (exp(2 x) + 1) would cancel.
template <class real>
inline real hyperbolic_tangent(real x) {
    const real size = x < 0 ? -x : x, square = x * x;
    const real above = ((real(-0.96437492777225469787) * square + real(-0.99225929672236083313e2)) *
                            square + real(-0.16134119023996228053e4)) * square;
    const real below = ((square + real(0.11274474380534949335e3)) * square +
                        real(0.22337720718962312926e4)) * square + real(0.48402357071988688686e4);
    const real far = 1 - 2 / (exponential(2 * size) + 1);
    const real near = x + x * (above / below);
    return size < real(0.55) ? near : (x < 0 ? -far : far);
}
