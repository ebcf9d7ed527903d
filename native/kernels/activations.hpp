// exp, sigmoid and tanh of a vector, within 2e-7 relative of float64 (tests/test_activations.py measures it), wherever
// e^|x| and e^-|x| are normal numbers below 2^127.5: |x| < 87.3 for exp and sigmoid. Beyond, exp gives 0 or inf, and
// sigmoid 0 or 1. NaN stays NaN: clamps are written so that a comparison with NaN leaves the value alone.
#pragma once
#include "simd.hpp"

namespace {

// The pieces of e^x = 2^n * (1 + q): n is an integer, q = e^r - 1 with |r| <= ln2/2.
struct Exponential {
  vec scale;  // 2^n; +inf from x = 88.4 on
  vec q;
};

// Needs -87.3 <= x <= 89 (beyond, 2^n would wrap around); from x = 88.38 on 2^n is +inf.
TIDEGATE_INLINE Exponential exponential(vec x) {
  const float shift = 12582912.0f;  // 1.5 * 2^23: adding it leaves round(x / ln2) in the low mantissa bits
  const vec shifted = x * 1.44269504088896341f + shift;
  const vec n = shifted - shift;
  vec r = x - n * 0.693359375f;  // Cody-Waite: ln2 in two parts, the first exact in 10 bits, so n * ln2 loses nothing
  r = r - n * -2.12194440e-4f;
  vec p =
      broadcast(1.3981999507e-3f);  // e^r = 1 + r + r^2 * p(r), the minimax polynomial of Cephes' expf with degree 7
  p = fma(broadcast(1.9875691500e-4f), r, p);
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  const ivec exponent = bits(shifted) - bits(broadcast(shift)) + 127;
  return {bits(exponent << 23), fma(p, r * r, r)};
}

TIDEGATE_INLINE vec clamp(vec x, float low, float high) {
  x = select(x < low, broadcast(low), x);
  return select(x > high, broadcast(high), x);
}

TIDEGATE_INLINE vec exp(vec x) {
  const Exponential e = exponential(clamp(x, -87.3f, 89.0f));
  return select(x < -87.3f, vec{}, e.scale * (1.0f + e.q));
}

// 1 / (1 + e^-x); exactly 1 from x = 17.4 on and exactly 0 below x = -88.4.
TIDEGATE_INLINE vec sigmoid(vec x) {
  const Exponential e = exponential(clamp(-x, -87.3f, 89.0f));
  return 1.0f / (1.0f + e.scale * (1.0f + e.q));
}

// tanh|x| = m / (m + 2) with m = e^(2|x|) - 1 = 2^n q + (2^n - 1), which keeps relative accuracy near 0; exactly 1 from
// |x| = 9.01 on.
TIDEGATE_INLINE vec tanh(vec x) {
  const ivec sign = bits(x) & INT32_MIN;
  const vec magnitude = bits(bits(x) & INT32_MAX);
  const Exponential e = exponential(clamp(magnitude + magnitude, -1.0f, 40.0f));
  const vec m = fma(e.scale, e.q, e.scale - 1.0f);
  return bits(bits(m / (m + 2.0f)) | sign);
}

TIDEGATE_INLINE vec relu(vec x) { return select(x <= 0.0f, vec{}, x); }

}  // namespace
