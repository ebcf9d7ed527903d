// The register tile: M rows x P panels of N vectors, and the loops that run it over rows and panels.
//
// Every element sums its products in one order, k = 0, 1, 2 ..., whatever M and P are; so a row's result does not
// depend on how rows are grouped into tiles.
#pragma once
#include "../kernel_table.hpp"
#include "simd.hpp"

namespace {

using tidegate::kLine;
using tidegate::Panels;
using tidegate::Range;
using tidegate::Tiles;
using tidegate::WeightRows;

template <int M, int N, int P = 1>
struct Tile {
  vec at[P][M][N];
};

// All loops over a tile are unrolled: with one place that is known only as the program runs, the whole tile would be an
// array in memory, and be written there in every round of the products' loop.
#define TIDEGATE_UNROLL _Pragma("GCC unroll 16")

// Which vectors of a panel of `width` a tile multiplies: those from `first` on.
struct Part {
  int first, width;
};

// Calls sum(tile, part) for the whole tile; or, where the registers do not hold it, for each group of vectors of the
// panel, one after the other.
template <int M, int N, int P, class Sum>
TIDEGATE_INLINE void each_part(Tile<M, N, P>& acc, const Sum& sum) {
  constexpr int kAtOnce = vectors_at_once(M, N, P);
  if constexpr (kAtOnce == N) {
    sum(acc, Part{0, N});
  } else {
    TIDEGATE_UNROLL
    for (int first = 0; first < N; first += kAtOnce) {
      Tile<M, kAtOnce, P> part;
      sum(part, Part{first, N});
      TIDEGATE_UNROLL
      for (int p = 0; p < P; ++p) {
        TIDEGATE_UNROLL
        for (int m = 0; m < M; ++m) {
          TIDEGATE_UNROLL
          for (int n = 0; n < kAtOnce; ++n) acc.at[p][m][first + n] = part.at[p][m][n];
        }
      }
    }
  }
}

// acc += rows[m][k] * panel[k] for k < depth, in words. `row` gives the address of row m's first word, `panel` that of
// the part's.
template <class Number, int M, int N, int P, class Row>
TIDEGATE_INLINE void accumulate(Tile<M, N, P>& acc, Row row, const float* panel, int64_t panel_stride, int64_t depth) {
  constexpr int kGroup = group_of_width(N);
  const float* rows[M];
  TIDEGATE_UNROLL
  for (int m = 0; m < M; ++m) rows[m] = row(m);
  for (int64_t k = 0; k < depth; ++k) {
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      const float* from = panel + p * panel_stride + k * kGroup * kLanes;
      vec w[N];
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) w[n] = load(from + (n / kGroup * kGroup * depth + n % kGroup) * kLanes);
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        const vec a = Number::broadcast(rows[m] + k);
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n) acc.at[p][m][n] = Number::add(acc.at[p][m][n], a, w[n]);
      }
    }
  }
}

// sum += x[k] * column k of kLanes rows, for the columns `begin` to 4, in order.
template <class Row>
TIDEGATE_INLINE vec add_quads(vec sum, const float* x, const Row& row, int64_t begin = 0) {
  vec columns[4];
  transpose_quads(row, columns);
  TIDEGATE_UNROLL
  for (int64_t k = 0; k < 4; ++k)
    if (k >= begin) sum = fma(broadcast(x[k]), columns[k], sum);
  return sum;
}

// The same for the next kColumns columns.
template <class Row>
TIDEGATE_INLINE vec add_columns(vec sum, const float* x, const Row& row) {
  vec columns[kColumns];
  transpose_columns(row, columns);
  TIDEGATE_UNROLL
  for (int64_t k = 0; k < kColumns; ++k) sum = fma(broadcast(x[k]), columns[k], sum);
  return sum;
}

// The same for the last columns of some rows, less than four of them.
template <class Row>
TIDEGATE_INLINE vec add_last(vec sum, const float* x, const Row& row, int64_t depth) {
  const int64_t left = depth % 4;
  if (left == 0) return sum;
  if (depth >= 4) return add_quads(sum, x + depth - 4, [&](int r) { return row(r) + depth - 4; }, 4 - left);
  float end[4] = {}, rows[kLanes][4] = {};
  for (int64_t c = 0; c < left; ++c) {
    end[4 - left + c] = x[c];
    for (int r = 0; r < kLanes; ++r) rows[r][4 - left + c] = row(r)[c];
  }
  return add_quads(sum, end, [&](int r) { return rows[r]; }, 4 - left);
}

// The same for all columns of up to kLanes rows; the last row stands for those that are missing.
__attribute__((noinline)) vec add_few_rows(vec sum, const float* x, const float* from, int64_t rows, int64_t depth) {
  const float* place[kLanes];
  for (int r = 0; r < kLanes; ++r) place[r] = from + (r < rows ? r : rows - 1) * depth;
  for (int64_t k = 0; k + 4 <= depth; k += 4) sum = add_quads(sum, x + k, [&](int r) { return place[r] + k; });
  return add_last(sum, x, [&](int r) { return place[r]; }, depth);
}

// acc += x[k] * column k for k < depth, as `accumulate` does it with a packed panel, from weights that are not packed
// and have H rows for each gate. They are transposed in registers, a cache line of each row at a time, so that each is
// read once even where all rows have one place in the cache.
template <int N>
__attribute__((noinline)) void accumulate_rows(vec (&acc)[N], const float* x, const WeightRows& w, int64_t hidden,
                                               int64_t panel) {
  constexpr int64_t kAhead = 2 * kLine;  // where a row ends, that of the next panel begins
  const int64_t depth = w.depth;
  const float* from[N];
  int64_t rows[N], fewest = kLanes;
  TIDEGATE_UNROLL
  for (int n = 0; n < N; ++n) {
    const int64_t first = panel * w.panel + n * w.vector, left = hidden - first % hidden;
    from[n] = w.first + first * depth;
    rows[n] = left < kLanes ? left : kLanes;
    if (rows[n] < fewest) fewest = rows[n];
  }
  if (fewest < kLanes) {
    for (int n = 0; n < N; ++n) acc[n] = add_few_rows(acc[n], x, from[n], rows[n], depth);
    return;
  }
  vec sum[N];
  TIDEGATE_UNROLL
  for (int n = 0; n < N; ++n) sum[n] = acc[n];
  const auto row = [&](int n, int64_t column) {
    return [start = from[n] + column, depth](int r) { return start + r * depth; };
  };
  int64_t k = 0;
  for (; k + kLine <= depth; k += kLine) {
    const int64_t ahead = k + kAhead + (depth - k > kAhead ? 0 : (w.panel - 1) * depth);
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) {
      TIDEGATE_UNROLL
      for (int r = 0; r < kLanes; ++r) __builtin_prefetch(row(n, ahead)(r), 0, 2);
      TIDEGATE_UNROLL
      for (int c = 0; c < kLine; c += kColumns) sum[n] = add_columns(sum[n], x + k + c, row(n, k + c));
    }
  }
  for (; k + 4 <= depth; k += 4) {
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) sum[n] = add_quads(sum[n], x + k, row(n, k));
  }
  TIDEGATE_UNROLL
  for (int n = 0; n < N; ++n) acc[n] = add_last(sum[n], x, row(n, 0), depth);
}

TIDEGATE_INLINE int panel_width(const Panels& w, int64_t panel) {
  const int64_t left = w.vectors - w.width * panel;
  return left < w.width ? static_cast<int>(left) : w.width;
}
TIDEGATE_INLINE const float* panel_data(const Panels& w, int64_t panel) {
  return w.data + (panel - w.first) * tidegate::words(w.depth, w.pairs) * w.width * kLanes;
}

// Calls body.run<M, N, P>(first row, panel) for every tile of rows and every panel. Panels are the outer loop, so that
// one stays in the nearest cache while all rows use it. A single row runs two or three panels side by side, or the
// latency of a chain of multiply-adds would be the limit.
template <int M, int N, class Body>
TIDEGATE_INLINE void run_rows(const Body& body, int64_t row, int64_t panel, int rows) {
  if constexpr (M == 1) {
    body.template run<1, N, 1>(row, panel);
  } else {
    if (rows == M) {
      body.template run<M, N, 1>(row, panel);
    } else {
      run_rows<M - 1, N>(body, row, panel, rows);
    }
  }
}

template <int N, int kMostRows, class Body>
TIDEGATE_INLINE void run_tiles(const Body& body, const Tiles& tiles, int64_t panel) {
  for (int64_t tile = tiles.first; tile * tiles.height < tiles.rows; tile += tiles.every) {
    const int64_t row = tile * tiles.height, left = tiles.rows - row;
    run_rows<kMostRows, N>(body, row, panel, static_cast<int>(left < tiles.height ? left : tiles.height));
  }
}

// Calls body(i) for i < N, all unrolled; or, if N is 0, for i < count.
template <int N, class Body>
TIDEGATE_INLINE void each_sum(int count, const Body& body) {
  if constexpr (N > 0) {
    TIDEGATE_UNROLL
    for (int i = 0; i < N; ++i) body(i);
  } else {
    for (int i = 0; i < count; ++i) body(i);
  }
}

// Some tiles of rows that take turns, while the weights that all of them multiply are in the nearest cache.
struct Turn {
  const Tiles& tiles;
  int64_t first;  // tile
  int count;

  // Calls visit(place in the turn, first row, rows) for each tile.
  template <class Visit>
  TIDEGATE_ALWAYS void each(const Visit& visit) const {
    int64_t row = first * tiles.height;
    for (int place = 0; place < count; ++place, row += tiles.every * tiles.height) {
      const int64_t left = tiles.rows - row;
      visit(place, row, static_cast<int>(left < tiles.height ? left : tiles.height));
    }
  }
};

// Calls body(turn) for all tiles, at most kTiles of them to a turn.
template <int kTiles, class Body>
TIDEGATE_INLINE void each_turn(const Tiles& tiles, const Body& body) {
  for (int64_t tile = tiles.first; tile * tiles.height < tiles.rows;) {
    Turn turn{tiles, tile, 0};
    for (; turn.count < kTiles && tile * tiles.height < tiles.rows; tile += tiles.every) ++turn.count;
    body(turn);
  }
}

// How many panels a single row takes at once, of those that are left: of 5 it takes 3 and 2, of 7 3, 2 and 2.
TIDEGATE_INLINE int64_t group_size(int64_t left) {
  if (left == 1) return 1;
  return left == 2 || left == 4 ? 2 : 3;
}

// Runs a body over panels of W vectors. Where `kWhole`, no panel has less. With `backwards` the panels are taken from
// the last to the first. No tile has more than kMostRows rows.
template <int W, bool kWhole, int kMostRows = rows_of_width(W), class Body>
TIDEGATE_INLINE void run_panels(const Body& body, const Tiles& tiles, const Panels& w, Range panels,
                                bool backwards = false) {
  const bool alone = tiles.rows == 1 && tiles.first == 0;
  int64_t group;
  for (int64_t left = panels.end - panels.begin; left > 0; left -= group) {
    const auto start = [&](int64_t size) { return backwards ? panels.begin + left - size : panels.end - left; };
    group = alone ? group_size(left) : 1;
    if (!kWhole && panel_width(w, start(group) + group - 1) < W) group = 1;
    const int64_t panel = start(group);
    if (group == 3) {
      body.template run<1, W, 3>(0, panel);
    } else if (group == 2) {
      body.template run<1, W, 2>(0, panel);
    } else if (kWhole || panel_width(w, panel) == W) {
      run_tiles<W, kMostRows>(body, tiles, panel);
    } else if constexpr (!kWhole) {
      static_assert(W == 3, "panels of other widths are whole");
      if (panel_width(w, panel) == 2) {
        run_tiles<2, kMostRows>(body, tiles, panel);
      } else {
        constexpr int kTimes = kMostRows < 8 ? 2 : 1;  // as many rows, or there would be too few sums
        Tiles tall = tiles;
        if (tiles.every == 1) tall.height *= kTimes;
        run_tiles<1, kTimes * kMostRows>(body, tall, panel);
      }
    }
  }
}

}  // namespace
