// What the forward passes of all cells have in common: the sums of a tile, from the bias through W x to U h.
#pragma once
#include "activations.hpp"
#include "small_weights.hpp"
#include "tile.hpp"

namespace {

using tidegate::Activation;
using tidegate::CellKernels;
using tidegate::CellNumbers;
using tidegate::Choices;
using tidegate::ForwardStep;
using tidegate::GateGradients;

// Sums of a tile start from the bias, or from products prepared for many steps.
template <int M, int N, int P>
TIDEGATE_INLINE void start_sums(Tile<M, N, P>& acc, const float* bias, const float* const* products,
                                int64_t product_offset, int64_t row, int64_t panel, int32_t width, Part part) {
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    TIDEGATE_UNROLL
    for (int m = 0; m < M; ++m) {
      const float* start =
          (products ? products[row + m] + product_offset : bias) + ((panel + p) * width + part.first) * kLanes;
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) acc.at[p][m][n] = load(start + n * kLanes);
    }
  }
}

// acc += rows W, whatever numbers W is kept in.
template <int M, int N, int P>
TIDEGATE_INLINE void add_products(Tile<M, N, P>& acc, const Panels& w, const float* const* rows,
                                  const RoundedRows& rounded, int64_t row, int64_t panel, Part part) {
  const int64_t depth = tidegate::words(w.depth, w.pairs);
  const float* data = panel_data(w, panel) + part.first * kLanes * depth;
  if (w.element == Element::kFloat32) {
    accumulate<Float32>(acc, [&](int m) { return rows[row + m]; }, data, depth * w.width * kLanes, depth);
    return;
  }
  Tile<M, N, P> sums;  // not the tile itself, see `row_sums`
  copy(acc, sums);
#if defined(__AVX512F__)
  if (w.pairs) {
    accumulate<Bfloat16>(
        sums, [&](int m) { return reinterpret_cast<const float*>(rounded.data + (row + m) * rounded.stride); }, data,
        depth * w.width * kLanes, depth);
    copy(sums, acc);
    return;
  }
#endif
  if (w.element == Element::kBfloat16) {
    accumulate_bfloat16(sums, w, rows + row, panel, part);
  } else {
    accumulate_int8(sums, w, rounded, row, panel, part);
  }
  copy(sums, acc);
}

// Sums of a single row, from weights that are not packed.
template <int N, int P>
TIDEGATE_INLINE void row_sums(Tile<1, N, P>& acc, const ForwardStep& step, const WeightRows& w, const float* x,
                              int64_t panel) {
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    vec sums[N];  // not the tile itself, which would be an array in memory wherever it is used
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) sums[n] = acc.at[p][0][n];
    accumulate_rows(sums, x, w, step.hidden, panel + p);
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) acc.at[p][0][n] = sums[n];
  }
}

// The bias and x W_ih, or prepared products.
template <int M, int N, int P>
TIDEGATE_INLINE void input_sums(Tile<M, N, P>& acc, const ForwardStep& step, int64_t row, int64_t panel, Part part) {
  start_sums(acc, step.bias_x, step.products, step.product_offset, row, panel, step.w_ih.width, part);
  if (step.products) return;
  if constexpr (M == 1) {
    if (step.rows_ih.first) {
      row_sums(acc, step, step.rows_ih, step.x[row], panel);
      return;
    }
  }
  add_products(acc, step.w_ih, step.x, step.x_rounded, row, panel, part);
}

template <int M, int N, int P>
TIDEGATE_INLINE void recurrent_sums(Tile<M, N, P>& acc, const ForwardStep& step, int64_t row, int64_t panel,
                                    Part part) {
  if constexpr (M == 1) {
    if (step.rows_hh.first) {
      row_sums(acc, step, step.rows_hh, step.read[row], panel);
      return;
    }
  }
  add_products(acc, step.w_hh, step.read, step.read_rounded, row, panel, part);
}

// Both, where nothing happens between them.
template <int M, int N, int P>
TIDEGATE_INLINE void all_sums(Tile<M, N, P>& acc, const ForwardStep& step, int64_t row, int64_t panel) {
  each_part(acc, [&](auto& sums, Part part) {
    input_sums(sums, step, row, panel, part);
    recurrent_sums(sums, step, row, panel, part);
  });
}

// One part of the sums of a tile, put down in memory.
template <int W>
struct PartOfSums {
  const ForwardStep& step;
  vec (*sums)[W];  // of each row
  int first;       // vector of the panel
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {
    Tile<M, N, P> acc;
    input_sums(acc, step, row, panel, Part{first, W});
    recurrent_sums(acc, step, row, panel, Part{first, W});
    TIDEGATE_UNROLL
    for (int m = 0; m < M; ++m) {
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) sums[m][first + n] = acc.at[0][m][n];
    }
  }
};

// Runs a body over panels whose tile the registers do not hold: its vectors are multiplied in parts, each with the rows
// of some tiles while the part's weights are in the nearest cache. What follows from the sums of a row, the body
// writes.
template <int W, class Body>
TIDEGATE_INLINE void run_in_parts(const Body& body, const ForwardStep& step) {
  constexpr int kMostRows = rows_of_width(W), kTiles = 4, kPart = group_of_width(W);
  vec sums[kTiles][kMostRows][W];
  const int64_t count = step.panels.end - step.panels.begin;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t panel = step.backwards ? step.panels.end - 1 - i : step.panels.begin + i;
    const int64_t next = step.backwards ? panel - 1 : panel + 1;
    each_turn<kTiles>(step.tiles, [&](const Turn& turn) {
      for (int first = 0; first < W; first += kPart)
        turn.each([&](int place, int64_t row, int rows) {
          run_rows<kMostRows, kPart>(PartOfSums<W>{step, sums[place], first}, row, panel, rows);
        });
      turn.each([&](int place, int64_t row, int rows) {
        for (int m = 0; m < rows && i + 1 < count; ++m) body.prefetch(row + m, next);
        body.template write<1, 0>(sums[place], rows, row, panel);
      });
    });
  }
}

// The bias of the recurrent half, where it has sums of its own.
template <int M, int N, int P>
TIDEGATE_INLINE void recurrent_bias(Tile<M, N, P>& acc, const ForwardStep& step, int64_t panel) {
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) {
      const vec bias = load(step.bias_h + ((panel + p) * step.w_hh.width + n) * kLanes);
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) acc.at[p][m][n] = bias;
    }
  }
}

// Writes a value that the trace keeps: the one numbered `value` of those of a row.
TIDEGATE_INLINE void trace_value(const ForwardStep& step, int64_t row, int value, int64_t unit, vec v) {
  float* to = step.trace[row] + value * step.hidden + unit;
  if (step.streams_trace) {
    stream(to, v);
  } else {
    store(to, v, step.hidden - unit);
  }
}

// Calls body(row, block, unit, count) for every block of units of every row of some gate gradients; and before,
// prefetch(row, unit) for the lines that it will read of the next row.
template <class Body, class Prefetch>
TIDEGATE_INLINE void each_block(const GateGradients& call, const Body& body, const Prefetch& prefetch) {
  const Tiles& tiles = call.tiles;
  for (int64_t tile = tiles.first; tile * tiles.height < tiles.rows; tile += tiles.every) {
    const int64_t end = (tile + 1) * tiles.height < tiles.rows ? (tile + 1) * tiles.height : tiles.rows;
    for (int64_t row = tile * tiles.height; row < end; ++row)
      for (int64_t block = call.blocks.begin; block < call.blocks.end; ++block) {
        const int64_t unit = block * kLanes;
        if (unit % kLine == 0 && row + 1 < end) prefetch(row + 1, unit);
        body(row, block, unit, call.hidden - unit);
      }
  }
}
template <class Body>
TIDEGATE_INLINE void each_block(const GateGradients& call, const Body& body) {
  each_block(call, body, [](int64_t, int64_t) {});
}

// Prefetches what gate gradients read of a row: K traced values, a state, and what is asked of the output.
template <int K>
TIDEGATE_INLINE void prefetch_traced(const GateGradients& g, int64_t row, int64_t unit, const float* const* state) {
  TIDEGATE_UNROLL
  for (int value = 0; value < K; ++value) __builtin_prefetch(g.trace[row] + value * g.hidden + unit);
  __builtin_prefetch(state[row] + unit);
  if (g.dy) __builtin_prefetch(g.dy[row] + unit);
}

// The gradient of the output h: what later steps hand back, and what is asked of it by itself.
TIDEGATE_INLINE vec state_gradient(const GateGradients& g, int64_t row, int64_t unit, int64_t count) {
  vec dh = load(g.carry_h + row * g.pitch + unit);
  if (g.dy) dh += load(g.dy[row] + unit, count);
  return dh;
}

// The gradients of the gates of one block of a row, one `gate` apart.
struct Gradients {
  float* first;
  int64_t gate;

  TIDEGATE_INLINE Gradients of(const GateGradients& g, int64_t row, int64_t block) {
    const int64_t blocks = (g.hidden + kLanes - 1) / kLanes;
    return {g.dgates + block * g.stride + row * kLanes, blocks * g.stride};
  }
  void write(int which, vec gradient) const { store(first + which * gate, gradient); }
};

}  // namespace
