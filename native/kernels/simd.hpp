// One vector of floats of the instruction set that this file is compiled for, and the few operations that the kernels
// need. GCC/Clang vector types throughout; intrinsics only where those have no words for it: masked accesses,
// multiply-adds, minimum and maximum, stores past the caches.
#pragma once
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define TIDEGATE_INLINE static inline __attribute__((always_inline))

namespace {

// `kLanes` floats per vector; `kRows` rows of a register tile of kRows x 3 vectors, so that the tile, three vectors of
// weights and one broadcast fill the register file (32 registers with AVX-512 and NEON, 16 with AVX2 and SSE2).
#if defined(__AVX512F__)
constexpr int kLanes = 16, kRows = 8;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kRows = 4;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRows = 8;
#else
constexpr int kLanes = 4, kRows = 4;
#endif

// The same for panels of other widths.
constexpr int rows_of_width(int width) { return width <= 3 ? kRows : kRows * 3 / 4; }

typedef float vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t ivec __attribute__((vector_size(kLanes * 4)));
typedef vec unaligned_vec __attribute__((aligned(4), may_alias));

TIDEGATE_INLINE vec broadcast(float value) { return value - vec{}; }
TIDEGATE_INLINE vec load(const float* from) { return *reinterpret_cast<const unaligned_vec*>(from); }
TIDEGATE_INLINE void store(float* to, vec value) { *reinterpret_cast<unaligned_vec*>(to) = value; }

// Stores past all caches, for what nobody reads soon; `to` is aligned to the vector. Other threads need a fence.
#if defined(__AVX512F__)
TIDEGATE_INLINE void stream(float* to, vec value) { _mm512_stream_ps(to, value); }
#elif defined(__AVX2__)
TIDEGATE_INLINE void stream(float* to, vec value) { _mm256_stream_ps(to, value); }
#else
TIDEGATE_INLINE void stream(float* to, vec value) { store(to, value); }
#endif

// a * b + c in one rounding where the instruction set has it. In words of its own, so that no compiler may choose which
// of two products goes into the sum: a row's bits would depend on the tile that it is in.
TIDEGATE_INLINE vec fma(vec a, vec b, vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return reinterpret_cast<vec>(
      vfmaq_f32(reinterpret_cast<float32x4_t>(c), reinterpret_cast<float32x4_t>(a), reinterpret_cast<float32x4_t>(b)));
#else
  return a * b + c;
#endif
}

// mask ? yes : no, lane by lane; comparisons give 0 or -1 and are false for NaN.
TIDEGATE_INLINE vec select(ivec mask, vec yes, vec no) { return mask ? yes : no; }

// min(x, bound) and max(x, bound); NaN stays NaN: of these instructions the result is the second operand, if in doubt.
#if defined(__AVX512F__)
constexpr __mmask16 kAllLanes = 0xFFFF;  // GCC 12 takes the forms without a mask for a use of uninitialized values
TIDEGATE_INLINE vec at_most(vec x, float bound) { return _mm512_maskz_min_ps(kAllLanes, broadcast(bound), x); }
TIDEGATE_INLINE vec at_least(vec x, float bound) { return _mm512_maskz_max_ps(kAllLanes, broadcast(bound), x); }
#elif defined(__AVX2__)
TIDEGATE_INLINE vec at_most(vec x, float bound) { return _mm256_min_ps(broadcast(bound), x); }
TIDEGATE_INLINE vec at_least(vec x, float bound) { return _mm256_max_ps(broadcast(bound), x); }
#else
TIDEGATE_INLINE vec at_most(vec x, float bound) { return select(x > bound, broadcast(bound), x); }
TIDEGATE_INLINE vec at_least(vec x, float bound) { return select(x < bound, broadcast(bound), x); }
#endif

TIDEGATE_INLINE vec bits(ivec value) { return reinterpret_cast<vec>(value); }
TIDEGATE_INLINE ivec bits(vec value) { return reinterpret_cast<ivec>(value); }

#if defined(__AVX512F__)
TIDEGATE_INLINE __mmask16 first_lanes(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
TIDEGATE_INLINE vec load_part(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
TIDEGATE_INLINE void store_part(float* to, vec value, int64_t count) {
  _mm512_mask_storeu_ps(to, first_lanes(count), value);
}
#elif defined(__AVX2__)
TIDEGATE_INLINE __m256i first_lanes(int64_t count) {
  return reinterpret_cast<__m256i>(ivec{0, 1, 2, 3, 4, 5, 6, 7} < static_cast<int32_t>(count));
}
TIDEGATE_INLINE vec load_part(const float* from, int64_t count) { return _mm256_maskload_ps(from, first_lanes(count)); }
TIDEGATE_INLINE void store_part(float* to, vec value, int64_t count) {
  _mm256_maskstore_ps(to, first_lanes(count), value);
}
#else
TIDEGATE_INLINE vec load_part(const float* from, int64_t count) {
  vec value{};
  for (int64_t lane = 0; lane < count; ++lane) value[lane] = from[lane];
  return value;
}
TIDEGATE_INLINE void store_part(float* to, vec value, int64_t count) {
  for (int64_t lane = 0; lane < count; ++lane) to[lane] = value[lane];
}
#endif

// The first `count` lanes, all of them when count >= kLanes; the lanes left out are 0 when loaded and untouched when
// stored.
TIDEGATE_INLINE vec load(const float* from, int64_t count) {
  return count >= kLanes ? load(from) : load_part(from, count);
}
TIDEGATE_INLINE void store(float* to, vec value, int64_t count) {
  if (count >= kLanes) {
    store(to, value);
  } else {
    store_part(to, value, count);
  }
}

// a0 b0 a1 b1 ... of the first and of the second halves of two vectors.
#if defined(__AVX512F__)
#define TIDEGATE_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define TIDEGATE_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__)
#define TIDEGATE_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define TIDEGATE_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define TIDEGATE_LOW 0, 4, 1, 5
#define TIDEGATE_HIGH 2, 6, 3, 7
#endif
#if defined(__clang__)
TIDEGATE_INLINE vec interleave_low(vec a, vec b) { return __builtin_shufflevector(a, b, TIDEGATE_LOW); }
TIDEGATE_INLINE vec interleave_high(vec a, vec b) { return __builtin_shufflevector(a, b, TIDEGATE_HIGH); }
#else
TIDEGATE_INLINE vec interleave_low(vec a, vec b) { return __builtin_shuffle(a, b, ivec{TIDEGATE_LOW}); }
TIDEGATE_INLINE vec interleave_high(vec a, vec b) { return __builtin_shuffle(a, b, ivec{TIDEGATE_HIGH}); }
#endif

}  // namespace
