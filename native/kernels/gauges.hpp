// What benchmarks are measured against: all multiply-adds, and all loads, that a core can do.
#pragma once
#include "simd.hpp"

namespace {

// Independent chains that keep every multiply-add unit busy and touch no memory: the peak that benchmarks are measured
// against.
int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = kLanes == 4 ? 8 : 12;
  volatile float start = 3.0f, half = 0.5f, one = 1.0f;  // or the compiler would drop a chain that it sees rest at 2
  vec chain[kChains];
  for (int c = 0; c < kChains; ++c) chain[c] = broadcast(start + static_cast<float>(c));
  const vec a = broadcast(half), b = broadcast(one);
  for (int64_t round = 0; round < rounds; ++round) {
    TIDEGATE_UNROLL
    for (int c = 0; c < kChains; ++c) chain[c] = fma(chain[c], a, b);
  }
  vec sum{};
  for (int c = 0; c < kChains; ++c) sum += chain[c];
  volatile float sink = sum[0];  // or the compiler would see that nobody needs the result
  (void)sink;
  return rounds * kChains * kLanes * 2;
}

// Nothing but loads, with sums in so many chains that the additions hide behind them: the bandwidth of the cache that
// the numbers fit in.
void read_floats(const float* from, int64_t count, int64_t rounds) {
  constexpr int kChains = 8;
  vec sum[kChains] = {};
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t i = 0; i < count; i += kChains * kLanes) {
      TIDEGATE_UNROLL
      for (int c = 0; c < kChains; ++c) sum[c] += load(from + i + c * kLanes);
    }
  }
  for (int c = 1; c < kChains; ++c) sum[0] += sum[c];
  volatile float sink = sum[0][0];  // as above
  (void)sink;
}

}  // namespace
