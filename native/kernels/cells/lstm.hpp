// The long short-term memory of torch, with gates in the order i, f, g, o: src/tidegate/ops/cells/lstm.py.
#pragma once
#include "../sums.hpp"

namespace {

namespace lstm {

enum Gate { kI, kF, kG, kO };

bool takes(const Choices&) { return true; }
bool has_weights(const Choices&, int32_t) { return true; }

// c' = f c + i g and h' = o tanh(c'). f = 1 and i = 0 give c exactly.
struct Forward {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {  // a panel has i, f, g, o of one block
    Tile<M, N, P> acc;
    all_sums(acc, step, row, panel);
    write<P, M>(&acc.at[0][0], M, row, panel);
  }

  // What follows from the sums of M rows of P panels, or of `rows` if M is 0: one kind of gate after the other, as in
  // the GRU.
  template <int P, int M>
  TIDEGATE_ALWAYS void write(vec (*sums)[4], int rows, int64_t row, int64_t panel) const {
    constexpr int kSums = P * M;
    static_assert(P == 1 || M == 1, "either rows or panels are many");
    const auto at = [&](int i) { return P == 1 ? row + i : row; };
    const auto unit = [&](int i) { return (P == 1 ? panel : panel + i) * kLanes; };
    vec c[M ? kSums : rows_of_width(4)];
    each_sum<kSums>(rows, [&](int i) { sums[i][kI] = sigmoid(sums[i][kI]); });
    each_sum<kSums>(rows, [&](int i) { sums[i][kG] = tanh(sums[i][kG]); });
    each_sum<kSums>(rows, [&](int i) { sums[i][kF] = sigmoid(sums[i][kF]); });
    each_sum<kSums>(rows, [&](int i) {
      const int64_t count = step.hidden - unit(i);
      c[i] = fma(sums[i][kF], load(step.c_before[at(i)] + unit(i), count), sums[i][kI] * sums[i][kG]);
      if (step.c) store(step.c[at(i)] + unit(i), c[i], count);
    });
    each_sum<kSums>(rows, [&](int i) { sums[i][kO] = sigmoid(sums[i][kO]); });
    if (step.y)
      each_sum<kSums>(rows,
                      [&](int i) { store(step.y[at(i)] + unit(i), sums[i][kO] * tanh(c[i]), step.hidden - unit(i)); });
    if (!step.trace) return;
    each_sum<kSums>(rows, [&](int i) {
      TIDEGATE_UNROLL
      for (int gate = 0; gate < 4; ++gate) trace_value(step, at(i), gate, unit(i), sums[i][gate]);
    });
  }

  // What the next panel reads and writes of a row: whole lines, or their second half is there already.
  TIDEGATE_ALWAYS void prefetch(int64_t row, int64_t panel) const {
    const int64_t unit = panel * kLanes;
    if (step.products) {
      const float* start = step.products[row] + step.product_offset + panel * 4 * kLanes;
      TIDEGATE_UNROLL
      for (int64_t i = 0; i < 4 * kLanes; i += kLine) __builtin_prefetch(start + i);
    }
    __builtin_prefetch(step.c_before[row] + unit);
    if (step.c) __builtin_prefetch(step.c[row] + unit, 1);
    if (step.y) __builtin_prefetch(step.y[row] + unit, 1);
    if (step.trace && !step.streams_trace) {
      TIDEGATE_UNROLL
      for (int gate = 0; gate < 4; ++gate) __builtin_prefetch(step.trace[row] + gate * step.hidden + unit, 1);
    }
  }
};

void forward(const ForwardStep& step) {
  constexpr int kRowsOfTile = rows_of_width(4);
  if constexpr (vectors_at_once(kRowsOfTile, 4, 1) == 4) {
    run_panels<4, true>(Forward{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  } else if (step.tiles.rows == 1) {
    run_panels<4, true, 1>(Forward{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  } else {
    run_in_parts<4>(Forward{step}, step);
  }
}

TIDEGATE_INLINE vec times_sigmoid_slope(vec gradient, vec v) { return gradient * v * (1.0f - v); }

void gradients(const GateGradients& g) {
  each_block(
      g,
      [&](int64_t row, int64_t block, int64_t unit, int64_t count) {
        const vec dh = state_gradient(g, row, unit, count);
        const float* trace = g.trace[row] + unit;
        const vec i = load(trace + kI * g.hidden, count), f = load(trace + kF * g.hidden, count);
        const vec cell = load(trace + kG * g.hidden, count), o = load(trace + kO * g.hidden, count);
        const vec squashed = tanh(load(g.c[row] + unit, count));
        float* carry_c = g.carry_c + row * g.pitch + unit;
        const vec dc = fma(dh * o, 1.0f - squashed * squashed, load(carry_c));
        const Gradients out = Gradients::of(g, row, block);
        out.write(kI, times_sigmoid_slope(dc * cell, i));
        out.write(kF, times_sigmoid_slope(dc * load(g.c_before[row] + unit, count), f));
        out.write(kG, dc * i * (1.0f - cell * cell));
        out.write(kO, times_sigmoid_slope(dh * squashed, o));
        store(carry_c, dc * f);
        store(g.carry_h + row * g.pitch + unit, vec{});
      },
      [&](int64_t row, int64_t unit) {
        prefetch_traced<4>(g, row, unit, g.c_before);
        __builtin_prefetch(g.c[row] + unit);
      });
}

//                                 G  S  K  D apart late reads joined trace after
constexpr CellNumbers kNumbers = {4, 2, 4, 4, -1, 4, 0, 0b1111, true, false};

}  // namespace lstm

constexpr CellKernels kLstm = {"lstm", lstm::kNumbers, lstm::takes, lstm::has_weights, lstm::forward, lstm::gradients};

}  // namespace
