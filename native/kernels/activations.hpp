// sigmoid and tanh of a vector, within 2e-7 relative of float64 (tests/ops/test_activations.py measures it); sigmoid
// wherever e^-x is below 2^127.5, x > -88.4, and exactly 0 beyond. NaN stays NaN.
//
// Both come from e^x = 2^n e^r with the integer n nearest to x / ln2, so |r| <= ln2/2. Adding 1.5 * 2^23 rounds to an
// integer and leaves n in the low bits of the sum, from where a shift takes it to the exponent. ln2 has two parts, the
// first exact in 10 bits (Cody and Waite), so that n ln2 loses nothing. The polynomials interpolate at Chebyshev nodes.
#pragma once
#include "simd.hpp"

namespace {

constexpr float kRound = 12582912.0f;  // 1.5 * 2^23
constexpr float kPerLn2 = 1.44269504088896341f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;

// 2^n of a sum that holds n in its low bits; 0 for n = -127, +inf for n = 128.
TIDEGATE_INLINE vec power_of_two(vec rounded) { return bits((bits(rounded) << 23) + bits(broadcast(1.0f))); }

// The polynomial c[0] + c[1] r + c[2] r^2 + ...
template <int N>
TIDEGATE_INLINE vec polynomial(vec r, const float (&c)[N]) {
  vec sum = broadcast(c[N - 1]);
  for (int k = N - 2; k >= 0; --k) sum = fma(sum, r, broadcast(c[k]));
  return sum;
}

// 1 / (1 + e^-x) with -x = n ln2 - r; exactly 1 from x = 17.4 on.
TIDEGATE_INLINE vec sigmoid(vec x) {
  x = at_most(at_least(x, -89.0f), 87.3f);  // n from 128 to -126
  const vec rounded = fma(x, broadcast(-kPerLn2), broadcast(kRound));
  const vec n = rounded - kRound;
  const vec r = fma(n, broadcast(kLn2Low), fma(n, broadcast(kLn2High), x));
  // (e^-r - 1) / r, so that e^-r is within 1.1e-8
  const vec slope =
      polynomial(r, {-1.0f, 0.5f, -1.6666504741e-1f, 4.1666463017e-2f, -8.3692204207e-3f, 1.3933731243e-3f});
  return 1.0f / fma(power_of_two(rounded), fma(slope, r, broadcast(1.0f)), broadcast(1.0f));
}

// tanh|x| = m / (m + 2) with m = e^(2|x|) - 1 = 2^n (e^2r - 1) + (2^n - 1), which keeps relative accuracy near 0, and
// 2|x| = n ln2 + 2r; exactly 1 from |x| = 9.02 on.
TIDEGATE_INLINE vec tanh(vec x) {
  const ivec sign = bits(x) & INT32_MIN;
  const vec magnitude = at_most(bits(bits(x) & INT32_MAX), 20.0f);
  const vec rounded = fma(magnitude, broadcast(2.0f * kPerLn2), broadcast(kRound));
  const vec n = rounded - kRound;
  const vec r = fma(n, broadcast(-0.5f * kLn2Low), fma(n, broadcast(-0.5f * kLn2High), magnitude));
  // (e^2r - 1 - 2r) / r^2, so that e^2r - 1 is within 2.5e-8
  const vec curve = polynomial(r, {2.0f, 1.3333203793f, 6.6666340828e-1f, 2.6781505346e-1f, 8.9175879955e-2f});
  const vec scale = power_of_two(rounded);
  const vec m = fma(scale, fma(curve, r * r, r + r), scale - 1.0f);
  return bits(bits(m / (m + 2.0f)) | sign);
}

TIDEGATE_INLINE vec relu(vec x) { return select(x <= 0.0f, vec{}, x); }

constexpr float kHardSlope = 1.0f / 6.0f;

// The sigmoid in three straight pieces, bent at -3 and 3.
TIDEGATE_INLINE vec hard_sigmoid(vec x) {
  return at_most(at_least(fma(x, broadcast(kHardSlope), broadcast(0.5f)), 0.0f), 1.0f);
}

}  // namespace
