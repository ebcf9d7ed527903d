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
    // One kind of gate after the other, for all rows, as in the GRU.
    constexpr int kSums = P * M;
    const auto sum = [&](int i, int gate) -> vec& { return acc.at[i / M][i % M][gate]; };
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) sum(i, kI) = sigmoid(sum(i, kI));
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) sum(i, kG) = tanh(sum(i, kG));
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) sum(i, kF) = sigmoid(sum(i, kF));
    vec c[kSums];
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) {
      const int64_t at = row + i % M, unit = (panel + i / M) * kLanes, count = step.hidden - unit;
      c[i] = fma(sum(i, kF), load(step.c_before[at] + unit, count), sum(i, kI) * sum(i, kG));
      if (step.c) store(step.c[at] + unit, c[i], count);
    }
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) sum(i, kO) = sigmoid(sum(i, kO));
    if (step.y) {
      TIDEGATE_UNROLL
      for (int i = 0; i < kSums; ++i) {
        const int64_t unit = (panel + i / M) * kLanes;
        store(step.y[row + i % M] + unit, sum(i, kO) * tanh(c[i]), step.hidden - unit);
      }
    }
    if (!step.trace) return;
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) {
      TIDEGATE_UNROLL
      for (int gate = 0; gate < 4; ++gate) trace_value(step, row + i % M, gate, (panel + i / M) * kLanes, sum(i, gate));
    }
  }
};

void forward(const ForwardStep& step) {
  run_panels<4, true>(Forward{step}, step.tiles, step.w_hh, step.panels, step.backwards);
}

TIDEGATE_INLINE vec times_sigmoid_slope(vec gradient, vec v) { return gradient * v * (1.0f - v); }

void gradients(const GateGradients& g) {
  each_block(g, [&](int64_t row, int64_t block, int64_t unit, int64_t count) {
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
  });
}

//                                 G  S  K  D apart late reads joined trace after
constexpr CellNumbers kNumbers = {4, 2, 4, 4, -1, 4, 0, 0b1111, true, false};

}  // namespace lstm

constexpr CellKernels kLstm = {"lstm", lstm::kNumbers, lstm::takes, lstm::has_weights, lstm::forward, lstm::gradients};

}  // namespace
