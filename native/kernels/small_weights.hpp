// Products with weights that are kept in fewer bits than float32.
//
// A bfloat16 is the upper half of a float32: a shift widens it, and from there everything is as with float32 weights,
// in the same order, so the result has the bits that float32 weights of the same values give.
//
// int8 weights are multiplied with rows that have been rounded to integers of up to 16 bits, and summed in int32
// without a rounding, so here every order gives the same bits. The rows' integers are as long as no sum can overflow:
// their rounding is far below that of the weights up to some thousands of columns.
#pragma once
#include "activations.hpp"
#include "tile.hpp"

namespace {

using tidegate::Element;
using tidegate::Pairing;
using tidegate::RoundedRows;
using tidegate::Rounding;

typedef int16_t shorts __attribute__((vector_size(kLanes * 4)));
typedef int16_t half_shorts __attribute__((vector_size(kLanes * 2)));
typedef ivec unaligned_ivec __attribute__((aligned(4), may_alias));
typedef int32_t unaligned_int32 __attribute__((aligned(2), may_alias));
typedef half_shorts unaligned_half_shorts __attribute__((aligned(2), may_alias));

template <int M, int N, int P>
TIDEGATE_INLINE void copy(const Tile<M, N, P>& from, Tile<M, N, P>& to) {
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    TIDEGATE_UNROLL
    for (int m = 0; m < M; ++m) {
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) to.at[p][m][n] = from.at[p][m][n];
    }
  }
}

// Where a panel of smaller numbers begins.
template <class T>
TIDEGATE_INLINE const T* small_panel(const Panels& w, int64_t panel) {
  return reinterpret_cast<const T*>(w.data) +
         (panel - w.first) * tidegate::stored_depth(w.element, w.depth) * w.width * kLanes;
}

// acc += rows W for bfloat16 weights.
template <int M, int N, int P>
__attribute__((noinline)) void accumulate_bfloat16(Tile<M, N, P>& acc, const Panels& w, const float* const* from,
                                                   int64_t panel, Part part) {
  Tile<M, N, P> sums;
  copy(acc, sums);
  const float* rows[M];
  TIDEGATE_UNROLL
  for (int m = 0; m < M; ++m) rows[m] = from[m];
  const int32_t* pairs = reinterpret_cast<const int32_t*>(small_panel<uint16_t>(w, panel)) + part.first * kLanes;
  const int64_t stride = (w.depth + 1) / 2 * w.width * kLanes, step = part.width * kLanes;
  // One half of the pairs of k: what is not needed at once stays out of the registers.
  const auto add = [&](int64_t k, const auto& half) {
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      const auto weight = [&](int n) {
        return bits(half(*reinterpret_cast<const unaligned_ivec*>(pairs + p * stride + n * kLanes)));
      };
      if constexpr (N <= M) {
        vec w[N];
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n) w[n] = weight(n);
        TIDEGATE_UNROLL
        for (int m = 0; m < M; ++m) {
          const vec a = broadcast(rows[m][k]);
          TIDEGATE_UNROLL
          for (int n = 0; n < N; ++n) sums.at[p][m][n] = fma(a, w[n], sums.at[p][m][n]);
        }
      } else {
        vec a[M];
        TIDEGATE_UNROLL
        for (int m = 0; m < M; ++m) a[m] = broadcast(rows[m][k]);
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n) {
          const vec w = weight(n);
          TIDEGATE_UNROLL
          for (int m = 0; m < M; ++m) sums.at[p][m][n] = fma(a[m], w, sums.at[p][m][n]);
        }
      }
    }
  };
  const auto low = [](ivec pair) { return pair << 16; };
  const auto high = [](ivec pair) {
#if defined(__SSE2__)
    if constexpr (M > 1 && M * N == kTileSums && kTileSums < 24) {  // no register is left for a mask
      pair >>= 16;
      asm("" : "+x"(pair));                                         // or the compiler would make it one
      return pair << 16;
    }
#endif
    return pair & ~0xFFFF;
  };
  int64_t k = 0;
  for (; k + 2 <= w.depth; k += 2, pairs += step) {
    add(k, low);
    asm("" : "+r"(pairs));  // or the pairs would be kept for the upper half, in the place of sums
    add(k + 1, high);
  }
  if (k < w.depth) add(k, low);
  copy(sums, acc);
}

// Pairs of int8, widened.
TIDEGATE_INLINE shorts load_pairs(const int8_t* from) {
#if defined(__AVX512F__)
  return reinterpret_cast<shorts>(_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
  return reinterpret_cast<shorts>(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__SSE2__)
  const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return reinterpret_cast<shorts>(_mm_srai_epi16(_mm_unpacklo_epi8(pairs, pairs), 8));
#elif defined(__aarch64__)
  return reinterpret_cast<shorts>(vmovl_s8(vld1_s8(from)));
#else
  shorts pairs;
  for (int i = 0; i < 2 * kLanes; ++i) pairs[i] = from[i];
  return pairs;
#endif
}

// The sums, for all processors of this instruction set, and for those that also multiply and add pairs in one
// instruction.
#include "int8_sums.hpp"
#if defined(__AVX512F__)
#define TIDEGATE_DOTS
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512vnni"))), apply_to = function)
#include "int8_sums.hpp"
#pragma clang attribute pop
#else
#pragma GCC push_options
#pragma GCC target("avx512vnni")
#include "int8_sums.hpp"
#pragma GCC pop_options
#endif
#undef TIDEGATE_DOTS
#endif

// acc += rows W for int8 weights.
template <int M, int N, int P>
TIDEGATE_INLINE void accumulate_int8(Tile<M, N, P>& acc, const Panels& w, const RoundedRows& from, int64_t row,
                                     int64_t panel, Part part) {
#if defined(__AVX512F__)
  if (from.dots) {
    dots::accumulate(acc, w, from, row, panel, part);
    return;
  }
#endif
  plain::accumulate(acc, w, from, row, panel, part);
}

#if defined(__AVX512F__)
void round_to_bfloat16(const Rounding& call) {
  for (int64_t i = 0; i < call.count; i += kLanes)
    *reinterpret_cast<unaligned_half_shorts*>(call.to + i) =
        reinterpret_cast<half_shorts>(Bfloat16::round(load(call.from + i, call.count - i)));
}

void pair_rows(const Pairing& call) {
  for (int64_t i = 0; i < call.count; i += kLanes) {
    const int64_t left = call.count - i;
    const vec low = call.low ? load(call.low + i, left) : vec{}, high = call.high ? load(call.high + i, left) : vec{};
    store(call.to + i, Bfloat16::pair(low, high), left);
  }
}
constexpr auto kPairRows = pair_rows;
#else
constexpr auto kPairRows = static_cast<void (*)(const Pairing&)>(nullptr);
#endif

void round_row(const Rounding& call) {
#if defined(__AVX512F__)
  if (!call.scale) return round_to_bfloat16(call);
#endif
  constexpr int32_t kInfinity = 0x7F800000;
  constexpr float kSmallest = 1e-30f;  // below, a scale would leave the range of float32
  ivec magnitudes{};  // as integers, their order is that of the numbers, with infinity and NaN at the end
  for (int64_t i = 0; i < call.count; i += kLanes) {
    const ivec magnitude = bits(load(call.from + i, call.count - i)) & INT32_MAX;
    magnitudes = magnitude > magnitudes ? magnitude : magnitudes;
  }
  int32_t largest_bits = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    largest_bits = magnitudes[lane] > largest_bits ? magnitudes[lane] : largest_bits;
  const float largest = bits(largest_bits - ivec{})[0], most = static_cast<float>(call.most);
  const bool finite = largest_bits < kInfinity, rounds = finite && largest > kSmallest;
  const vec factor = broadcast(rounds ? most / largest : 0.0f);
  *call.scale = rounds ? largest / most : finite ? 0.0f : __builtin_nanf("");
  for (int64_t i = 0; i < call.count; i += kLanes) {
    const vec value = finite ? load(call.from + i, call.count - i) : vec{};
    const ivec rounded = bits(fma(value, factor, broadcast(kRound)));  // see activations.hpp
    *reinterpret_cast<unaligned_half_shorts*>(call.to + i) = __builtin_convertvector(rounded, half_shorts);
  }
}

}  // namespace
