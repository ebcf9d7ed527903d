// The sums of int8 weights. Read twice by small_weights.hpp where some processors have instructions beside those of the
// set: with TIDEGATE_DOTS they may be used.
#if defined(TIDEGATE_DOTS)
namespace dots {
#else
namespace plain {
#endif

// sum + the products of pairs: in each lane that of the lower and that of the upper 16 bits.
TIDEGATE_INLINE ivec add_pairs(ivec sum, shorts a, shorts b) {
#if defined(TIDEGATE_DOTS)
  return reinterpret_cast<ivec>(
      _mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX512F__)
  return sum + reinterpret_cast<ivec>(_mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return sum + reinterpret_cast<ivec>(_mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return sum + reinterpret_cast<ivec>(_mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#elif defined(__aarch64__)
  const int16x8_t x = reinterpret_cast<int16x8_t>(a), y = reinterpret_cast<int16x8_t>(b);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
  return sum + reinterpret_cast<ivec>(vpaddq_s32(low, high));
#else
  const ivec x = reinterpret_cast<ivec>(a), y = reinterpret_cast<ivec>(b);
  return sum + ((x << 16) >> 16) * ((y << 16) >> 16) + (x >> 16) * (y >> 16);
#endif
}

// acc += rows W.
template <int M, int N, int P>
__attribute__((noinline)) void accumulate(Tile<M, N, P>& acc, const Panels& w, const RoundedRows& from, int64_t row,
                                          int64_t panel, Part part) {
  ivec sums[P][M][N];
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    TIDEGATE_UNROLL
    for (int m = 0; m < M; ++m) {
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) sums[p][m][n] = ivec{};
    }
  }
  const int16_t* rows[M];
  TIDEGATE_UNROLL
  for (int m = 0; m < M; ++m) rows[m] = from.data + (row + m) * from.stride;
  const int8_t* weights = small_panel<int8_t>(w, panel) + part.first * 2 * kLanes;
  const int64_t stride = (w.depth + 1) / 2 * 2 * w.width * kLanes, step = part.width * 2 * kLanes;
  for (int64_t k = 0; k < w.depth; k += 2, weights += step) {
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      shorts pair[N];
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) pair[n] = load_pairs(weights + p * stride + n * 2 * kLanes);
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        const shorts a = reinterpret_cast<shorts>(*reinterpret_cast<const unaligned_int32*>(rows[m] + k) - ivec{});
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n) sums[p][m][n] = add_pairs(sums[p][m][n], pair[n], a);
      }
    }
  }
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) {
      const vec scale = load(w.scales + ((panel + p) * w.width + part.first + n) * kLanes);
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m)
        acc.at[p][m][n] =
            fma(__builtin_convertvector(sums[p][m][n], vec), scale * broadcast(from.scales[row + m]), acc.at[p][m][n]);
    }
  }
}

}  // namespace
