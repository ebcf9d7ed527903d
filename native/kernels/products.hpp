// The products over many rows: those of the inputs, and of the gradients of the gates with weights, inputs and states.
#pragma once
#include "sums.hpp"

namespace {

using namespace tidegate;

struct InputProductsBody {
  const InputProducts& call;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {
    Tile<M, N, P> acc;
    each_part(acc, [&](auto& sums, Part part) {
      start_sums(sums, call.bias, nullptr, 0, row, panel, call.w_ih.width, part);
      add_products(sums, call.w_ih, call.x, call.x_rounded, row, panel, part);
    });
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n)
          store(call.products + (row + m) * call.pitch + ((panel + p) * call.w_ih.width + n) * kLanes, acc.at[p][m][n]);
      }
    }
  }
};

void input_products(const InputProducts& call) {
  const InputProductsBody body{call};
  if (call.w_ih.width == 3) {
    run_panels<3, false>(body, call.tiles, call.w_ih, call.panels);
  } else if (call.w_ih.width == 2) {
    run_panels<2, true>(body, call.tiles, call.w_ih, call.panels);
  } else {
    run_panels<4, true>(body, call.tiles, call.w_ih, call.panels);
  }
}

// Prefetches part `part` of `parts` of some rows.
template <int M>
TIDEGATE_INLINE void prefetch(const Ahead& ahead, int64_t first_row, int64_t part, int64_t parts) {
  if (!ahead.rows) return;
  const int64_t lines = (ahead.floats + kLine - 1) / kLine, end = (part + 1) * lines / parts;
  for (int64_t line = part * lines / parts; line < end; ++line) {
    TIDEGATE_UNROLL
    for (int m = 0; m < M; ++m)  // not into the nearest cache: that one holds the panel
      __builtin_prefetch(ahead.rows[first_row + m] + line * kLine, 0, 2);
  }
}

// Of gates in words: dgates themselves, or their pairs.
template <class Number>
struct GateProductsBody {
  static constexpr int64_t kWords = words(kLanes, Number::kPairs);  // of a row of a block
  const GateProducts& call;
  const float* gates;
  int64_t stride;  // from one block to the next
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {
    Tile<M, N, P> acc;
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n) acc.at[p][m][n] = vec{};
      }
    }
    const float* dgates = gates + row * kWords;
    const float* w = panel_data(call.w, panel);
    const int64_t padded = (call.hidden + kLanes - 1) / kLanes * kLanes;
    constexpr int64_t kPause = 8 * kLanes;  // of prefetches
    const int64_t pauses = (call.w.depth + kPause - 1) / kPause, parts = call.w.count() * pauses;
    // Blocks of dgates lie pages apart, where no processor looks by itself; those of a large layer are prefetched.
    constexpr int64_t kAhead = 2;
    const bool far = call.w.depth / kLanes * stride > WeightGradients::kNearFloats;
    for (int64_t k = 0, unit = 0; k < call.w.depth; k += kLanes) {
      if (k % kPause == 0 && call.ahead[0].rows)
        for (const Ahead& ahead : call.ahead) prefetch<M>(ahead, row, panel * pauses + k / kPause, parts);
      if (far && k + kAhead * kLanes < call.w.depth) {
        TIDEGATE_UNROLL
        for (int m = 0; m < M; ++m) __builtin_prefetch(dgates + kAhead * stride + m * kWords);
      }
      const int64_t left = call.hidden - unit;  // the padding of a gate's last block would add zeros
      accumulate<Number>(
          acc, [&](int m) { return dgates + m * kWords; }, w, words(call.w.depth, Number::kPairs) * 3 * kLanes,
          words(left < kLanes ? left : kLanes, Number::kPairs));
      dgates += stride;
      w += N * kWords * kLanes;
      unit = unit + kLanes == padded ? 0 : unit + kLanes;
    }
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n) {
          const int64_t column = ((panel + p) * 3 + n) * kLanes, count = call.columns - column;
          float* out = call.out[row + m] + column;
          store(out, call.add ? load(out, count) + acc.at[p][m][n] : acc.at[p][m][n], count);
        }
      }
    }
  }
};

#if defined(__AVX512F__)
// Rounds dgates for products of pairs; what is beside them in their padding is 0.
void round_gates(const GateProducts& call) {
  const Tiles& tiles = call.tiles;
  const int64_t padded = (call.hidden + kLanes - 1) / kLanes * kLanes, turn = tiles.every * tiles.height;
  half_vec* to = reinterpret_cast<half_vec*>(call.room);
  const float* from = call.dgates;
  for (int64_t k = 0; k < call.w.depth; k += kLanes, from += call.stride, to += tiles.rows) {
    const int64_t left = call.hidden - k % padded;
    for (int64_t first = tiles.first * tiles.height; first < tiles.rows; first += turn) {
      const int64_t end = first + tiles.height < tiles.rows ? first + tiles.height : tiles.rows;
      for (int64_t row = first; row < end; ++row) to[row] = Bfloat16::round(load(from + row * kLanes, left));
    }
  }
}
#endif

void gate_products(const GateProducts& call) {
#if defined(__AVX512F__)
  if (call.w.pairs) {
    round_gates(call);
    const GateProductsBody<Bfloat16> body{call, call.room, call.tiles.rows * words(kLanes, true)};
    return run_panels<3, false>(body, call.tiles, call.w, call.panels);
  }
#endif
  run_panels<3, false>(GateProductsBody<Float32>{call, call.dgates, call.stride}, call.tiles, call.w, call.panels);
}

constexpr int kUnitTile = kRows < kLanes ? kRows : kLanes;

// One tile of weight gradients: kUnitTile gate units by N vectors of columns, of which `rows` by `columns` are stored.
template <int N, class Number>
__attribute__((noinline)) void weight_tile(const WeightGradients& call, const float* dgates, float* sums, int rows,
                                           int64_t columns) {
  // The sums will be there when the products are.
  const int64_t stored = columns < N * kLanes ? columns : N * kLanes;
  for (int m = 0; call.add && m < rows; ++m)
    for (int64_t i = 0; i < stored; i += kLine) __builtin_prefetch(sums + m * call.columns + i, 1);
  vec acc[kUnitTile][N] = {};
  const float* panel = call.room;
  const int64_t depth = words(call.depth, Number::kPairs);
  for (int64_t k = 0; k < depth; ++k) {
    vec row[N];
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) row[n] = load(panel + (k * N + n) * kLanes);
    TIDEGATE_UNROLL
    for (int m = 0; m < kUnitTile; ++m) {
      const vec gradient = Number::broadcast(dgates + k * kLanes + m);
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) acc[m][n] = Number::add(acc[m][n], gradient, row[n]);
    }
  }
  TIDEGATE_UNROLL
  for (int m = 0; m < kUnitTile; ++m) {
    if (m == rows) return;
    float* to = sums + m * call.columns;
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) {
      const int64_t count = columns - n * kLanes;
      store(to + n * kLanes, call.add ? load(to + n * kLanes, count) + acc[m][n] : acc[m][n], count);
    }
  }
}

// Words of a vector of some rows: row k alone, or rows 2 k and 2 k + 1, of which the last may be missing. `row` loads.
template <class Number, class Row>
TIDEGATE_INLINE vec load_word(const Row& row, int64_t k, int64_t rows) {
  if constexpr (Number::kPairs) {
    return Number::pair(row(2 * k), 2 * k + 1 < rows ? row(2 * k + 1) : vec{});
  } else {
    return row(k);
  }
}

// The columns of one panel side by side, so that all tiles read them from one place in the nearest cache.
template <int N, class Number>
TIDEGATE_INLINE void pack_rows(const WeightGradients& call, int64_t column) {
  const int64_t last = call.columns - column - (N - 1) * kLanes, depth = words(call.depth, Number::kPairs);
  for (int64_t k = 0; k < depth; ++k) {
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) {
      const auto row = [&](int64_t i) { return load(call.rows[i] + column + n * kLanes, n == N - 1 ? last : kLanes); };
      store(call.room + (k * N + n) * kLanes, load_word<Number>(row, k, call.depth));
    }
  }
}

// Blocks of dgates, those from `first` on, in words.
struct GateWords {
  const float* data;
  int64_t stride, first;
};

// dgates themselves; or pairs of them, behind the panel.
template <class Number>
TIDEGATE_INLINE GateWords gate_words(const WeightGradients& call, Range blocks) {
  if constexpr (!Number::kPairs) return {call.dgates, call.stride, 0};
  const int64_t depth = words(call.depth, true);
  float* const data = call.room + depth * 3 * kLanes;
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    const auto row = [&](int64_t i) { return load(call.dgates + block * call.stride + i * kLanes); };
    float* to = data + (block - blocks.begin) * depth * kLanes;
    for (int64_t k = 0; k < depth; ++k) store(to + k * kLanes, load_word<Number>(row, k, call.depth));
  }
  return {data, depth * kLanes, blocks.begin};
}

template <int N, class Number>
TIDEGATE_INLINE void weight_panel(const WeightGradients& call, const GateWords& gates, int64_t column, Range tiles) {
  const int64_t padded = (call.hidden + kLanes - 1) / kLanes * kLanes;
  pack_rows<N, Number>(call, column);
  // The columns of the next panel are prefetched meanwhile, some rows with each tile: in memory they lie apart.
  const int64_t next = column + N * kLanes, end = next + 3 * kLanes < call.columns ? next + 3 * kLanes : call.columns;
  const int64_t count = tiles.end - tiles.begin, at_once = next < call.columns ? (call.depth + count - 1) / count : 0;
  int64_t ahead = 0;
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
    for (int64_t i = 0; i < at_once && ahead < call.depth; ++i, ++ahead) {
      for (int64_t c = next; c < end; c += kLine) __builtin_prefetch(call.rows[ahead] + c, 0, 2);
      __builtin_prefetch(call.rows[ahead] + end - 1, 0, 2);
    }
    const int64_t gate_unit = tile * kUnitTile, unit = gate_unit % padded, left = call.hidden - unit;
    const int64_t row = (gate_unit / padded + call.first_gate) % call.gates * call.hidden + unit;
    if (left <= 0) continue;  // padding
    weight_tile<N, Number>(call, gates.data + (gate_unit / kLanes - gates.first) * gates.stride + gate_unit % kLanes,
                           call.sums + row * call.columns + column,
                           static_cast<int>(left < kUnitTile ? left : kUnitTile), call.columns - column);
  }
}

template <class Number>
void weight_gradients_of(const WeightGradients& call) {
  // tiles whose dgates stay in the near cache while all panels use them
  constexpr int64_t kTiles = kLanes / kUnitTile;  // of a block
  const int64_t at_once = WeightGradients::near_blocks(call.depth, kLanes) * kTiles;
  for (Range tiles = {call.unit_tiles.begin, 0}; tiles.begin < call.unit_tiles.end; tiles.begin = tiles.end) {
    tiles.end = tiles.begin / kTiles * kTiles + at_once;
    if (tiles.end > call.unit_tiles.end) tiles.end = call.unit_tiles.end;
    const GateWords gates = gate_words<Number>(call, {tiles.begin / kTiles, (tiles.end + kTiles - 1) / kTiles});
    for (int64_t column = 0, width; column < call.columns; column += width * kLanes) {
      const int64_t left = (call.columns - column + kLanes - 1) / kLanes;  // vectors
      width = left == 4 ? 2 : left < 3 ? left : 3;                         // a single one has too few sums
      if (width == 3) {
        weight_panel<3, Number>(call, gates, column, tiles);
      } else if (width == 2) {
        weight_panel<2, Number>(call, gates, column, tiles);
      } else {
        weight_panel<1, Number>(call, gates, column, tiles);
      }
    }
  }
}

void weight_gradients(const WeightGradients& call) {
#if defined(__AVX512F__)
  if (call.pairs) return weight_gradients_of<Bfloat16>(call);
#endif
  weight_gradients_of<Float32>(call);
}

void bias_gradients(const BiasGradients& call) {
  for (int64_t unit = 0; unit < call.units; unit += kLanes) {
    const float* dgates = call.dgates + unit / kLanes * call.stride;
    vec sum[4] = {};
    for (int64_t k = 0; k < call.depth; ++k) sum[k % 4] += load(dgates + k * kLanes);
    const vec total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    float* out = call.sums + unit;
    store(out, call.add ? load(out, call.units - unit) + total : total, call.units - unit);
  }
}

void row_sums(const RowSums& call) {
  constexpr int64_t kAhead = 16;  // sums lie anywhere, so they are prefetched
  for (int64_t row = 0; row < call.rows; ++row) {
    if (row + kAhead < call.rows) __builtin_prefetch(call.sums[row + kAhead] + call.offset, 1);
    float* sum = call.sums[row] + call.offset;
    store(sum, load(sum) + load(call.dgates + row * kLanes));
  }
}

// `count` columns of kLanes rows, at most a cache line.
template <bool kWhole>
TIDEGATE_INLINE void transpose_line(const float* from, int64_t from_stride, float* to, int64_t to_stride,
                                    int64_t count) {
  constexpr int kStep = kWhole ? kColumns : 4;
  TIDEGATE_UNROLL
  for (int c = 0; c < kLine; c += kStep) {
    if (!kWhole && c >= count) break;
    vec columns[kStep];
    const auto row = [=](int r) { return from + r * from_stride + c; };
    if constexpr (kWhole) {
      transpose_columns(row, columns);
    } else {
      transpose_quads(row, columns);
    }
    TIDEGATE_UNROLL
    for (int j = 0; j < kStep; ++j)
      if (kWhole || c + j < count) store(to + (c + j) * to_stride, columns[j]);
  }
}

// A cache line of each row at a time, so that each is read once even where all of them have one place in the cache.
void transpose(const Transpose& call) {
  constexpr int64_t kAhead = 4 * kLine;
  const int64_t rows = call.rows, columns = call.columns, from_stride = call.from_stride, to_stride = call.to_stride;
  const float* from = call.from;
  float* to = call.to;
  for (int64_t left = columns; left > 0; left -= kLine, from += kLine, to += kLine * to_stride) {
    if (rows == kLanes && left >= kLine) {
      for (int64_t r = 0; r < kLanes; ++r) __builtin_prefetch(from + r * from_stride + kAhead);
      transpose_line<true>(from, from_stride, to, to_stride, kLine);
    } else if (rows == kLanes && left % 4 == 0) {
      transpose_line<false>(from, from_stride, to, to_stride, left);
    } else {  // what is missing is zero
      float part[kLanes][kLine] = {};
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < kLine && c < left; ++c) part[r][c] = from[r * from_stride + c];
      transpose_line<false>(&part[0][0], kLine, to, to_stride, left < kLine ? left : kLine);
    }
  }
}

}  // namespace
