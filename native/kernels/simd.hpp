// One vector of floats of the instruction set that this file is compiled for, and the few operations that the kernels
// need. GCC/Clang vector types throughout; intrinsics only where those have no words for it: masked accesses,
// multiply-adds, minimum and maximum, stores past the caches, halves of vectors.
#pragma once
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define TIDEGATE_ALWAYS inline __attribute__((always_inline))
#define TIDEGATE_INLINE static TIDEGATE_ALWAYS

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

constexpr int kTileSums = kRows * 3;  // vectors of such a tile

// Panels of four vectors: with few registers a tile would be three rows high and read the weights too often, so it is
// twice as high, and multiplies two vectors after the other two. These groups lie one behind the other in a panel.
constexpr int rows_of_width(int width) { return width <= 3 ? kRows : kTileSums / (kTileSums < 24 ? 2 : 4); }
constexpr int group_of_width(int width) { return width == 4 && kTileSums < 24 ? 2 : width; }

// How many vectors a tile of M rows and P panels of N vectors multiplies at once.
constexpr int vectors_at_once(int M, int N, int P) { return M * N * P <= kTileSums ? N : group_of_width(N); }

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

typedef int32_t unaligned_word __attribute__((aligned(2), may_alias));

// The numbers that products are made of, one or two to a word: how a word is multiplied into a sum of float32, and what
// a word is made from.
struct Float32 {
  static constexpr bool kPairs = false;
  static TIDEGATE_ALWAYS vec add(vec sum, vec a, vec b) { return fma(a, b, sum); }
  static TIDEGATE_ALWAYS vec broadcast(const float* word) { return ::broadcast(*word); }
};

#if defined(__AVX512F__)
// Some processors of this set multiply pairs of bfloat16 (AVX512-BF16), and only they come here: in assembly, since the
// compiler must not use those instructions elsewhere. Numbers below 1.2e-38 count as 0; NaN stays NaN.
typedef uint16_t half_vec __attribute__((vector_size(kLanes * 2)));
typedef uint32_t word_vec __attribute__((vector_size(kLanes * 4)));
struct Bfloat16 {
  static constexpr bool kPairs = true;
  // sum + the product of the upper halves + that of the lower ones, each addition rounded
  static TIDEGATE_ALWAYS vec add(vec sum, vec a, vec b) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
  static TIDEGATE_ALWAYS vec broadcast(const float* word) {
    return reinterpret_cast<vec>(*reinterpret_cast<const unaligned_word*>(word) - ivec{});
  }
  // to nearest, half to even
  static TIDEGATE_ALWAYS half_vec round(vec value) {
    half_vec rounded;
    asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(value));
    return rounded;
  }
  static TIDEGATE_ALWAYS vec pair(vec low, vec high) {
    const auto widened = [](half_vec half) { return __builtin_convertvector(half, word_vec); };
    return reinterpret_cast<vec>(widened(round(low)) | widened(round(high)) << 16);
  }
};
#endif

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

// To transpose, four columns of kLanes rows at a time, in parts of four lanes that processors interleave fast.
#if defined(__AVX512F__)
#define TIDEGATE_LANES(i, j) \
  i, 16 + i, j, 16 + j, 4 + i, 20 + i, 4 + j, 20 + j, 8 + i, 24 + i, 8 + j, 24 + j, 12 + i, 28 + i, 12 + j, 28 + j
#define TIDEGATE_PAIRS(i, j) \
  i, j, 16 + i, 16 + j, 4 + i, 4 + j, 20 + i, 20 + j, 8 + i, 8 + j, 24 + i, 24 + j, 12 + i, 12 + j, 28 + i, 28 + j
#elif defined(__AVX2__)
#define TIDEGATE_LANES(i, j) i, 8 + i, j, 8 + j, 4 + i, 12 + i, 4 + j, 12 + j
#define TIDEGATE_PAIRS(i, j) i, j, 8 + i, 8 + j, 4 + i, 4 + j, 12 + i, 12 + j
#else
#define TIDEGATE_LANES(i, j) i, 4 + i, j, 4 + j
#define TIDEGATE_PAIRS(i, j) i, j, 4 + i, 4 + j
#endif
#if defined(__clang__)
#define TIDEGATE_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define TIDEGATE_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, ivec{__VA_ARGS__})
#endif

// Four columns of a row, and of every fourth row after it. `row(r)` gives the address of row r.
template <class Row>
TIDEGATE_INLINE vec load_quads(const Row& row, int r) {
#if defined(__AVX512F__)
  const __m512 one = _mm512_castps128_ps512(_mm_loadu_ps(row(r)));
  const __m512 two = _mm512_insertf32x4(one, _mm_loadu_ps(row(r + 4)), 1);
  const __m512 three = _mm512_insertf32x4(two, _mm_loadu_ps(row(r + 8)), 2);
  return _mm512_insertf32x4(three, _mm_loadu_ps(row(r + 12)), 3);
#elif defined(__AVX2__)
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row(r))), _mm_loadu_ps(row(r + 4)), 1);
#else
  return load(row(r));
#endif
}

// Transposes four columns of kLanes rows, whose parts are these.
TIDEGATE_INLINE void transpose_parts(vec a, vec b, vec c, vec d, vec* columns) {
  const vec ab = TIDEGATE_SHUFFLE(a, b, TIDEGATE_LANES(0, 1)), ab_high = TIDEGATE_SHUFFLE(a, b, TIDEGATE_LANES(2, 3));
  const vec cd = TIDEGATE_SHUFFLE(c, d, TIDEGATE_LANES(0, 1)), cd_high = TIDEGATE_SHUFFLE(c, d, TIDEGATE_LANES(2, 3));
  columns[0] = TIDEGATE_SHUFFLE(ab, cd, TIDEGATE_PAIRS(0, 1));
  columns[1] = TIDEGATE_SHUFFLE(ab, cd, TIDEGATE_PAIRS(2, 3));
  columns[2] = TIDEGATE_SHUFFLE(ab_high, cd_high, TIDEGATE_PAIRS(0, 1));
  columns[3] = TIDEGATE_SHUFFLE(ab_high, cd_high, TIDEGATE_PAIRS(2, 3));
}

// The same for rows of which `row(r)` gives the address.
template <class Row>
TIDEGATE_INLINE void transpose_quads(const Row& row, vec* columns) {
  transpose_parts(load_quads(row, 0), load_quads(row, 1), load_quads(row, 2), load_quads(row, 3), columns);
}

// Transposes the next kColumns columns of kLanes rows: as many as go fastest at once.
#if defined(__AVX512F__)
constexpr int kColumns = 8;  // with half as many loads as by fours, which takes a tenth less time on Zen 4

template <class Row>
TIDEGATE_INLINE void transpose_columns(const Row& row, vec* columns) {
  const auto pair = [&](int r) {  // eight columns of two rows
    const __m512 one = _mm512_castps256_ps512(_mm256_loadu_ps(row(r)));
    return reinterpret_cast<vec>(_mm512_insertf32x8(one, _mm256_loadu_ps(row(r + 8)), 1));
  };
  const vec a = pair(0), b = pair(1), c = pair(2), d = pair(3), e = pair(4), f = pair(5), g = pair(6), h = pair(7);
#define TIDEGATE_HALVES(i) \
  i, 1 + i, 2 + i, 3 + i, 16 + i, 17 + i, 18 + i, 19 + i, 8 + i, 9 + i, 10 + i, 11 + i, 24 + i, 25 + i, 26 + i, 27 + i
  transpose_parts(TIDEGATE_SHUFFLE(a, e, TIDEGATE_HALVES(0)), TIDEGATE_SHUFFLE(b, f, TIDEGATE_HALVES(0)),
                  TIDEGATE_SHUFFLE(c, g, TIDEGATE_HALVES(0)), TIDEGATE_SHUFFLE(d, h, TIDEGATE_HALVES(0)), columns);
  transpose_parts(TIDEGATE_SHUFFLE(a, e, TIDEGATE_HALVES(4)), TIDEGATE_SHUFFLE(b, f, TIDEGATE_HALVES(4)),
                  TIDEGATE_SHUFFLE(c, g, TIDEGATE_HALVES(4)), TIDEGATE_SHUFFLE(d, h, TIDEGATE_HALVES(4)), columns + 4);
}
#else
constexpr int kColumns = 4;

template <class Row>
TIDEGATE_INLINE void transpose_columns(const Row& row, vec* columns) {
  transpose_quads(row, columns);
}
#endif

}  // namespace
