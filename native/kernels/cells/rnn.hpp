// The vanilla recurrent unit, with tanh or a rectifier: src/tidegate/ops/cells/rnn.py.
#pragma once
#include "../sums.hpp"

namespace {

namespace rnn {

bool takes(const Choices&) { return true; }
bool has_weights(const Choices&, int32_t) { return true; }

// h' = tanh(a + c), where a = W x + b_ih and c = U h + b_hh: added in the order of a GRU's candidate with r = 1.
template <bool kTanh>
struct Forward {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {  // a panel has up to three blocks
    Tile<M, N, P> a, c;
    input_sums(a, step, row, panel, Part{0, N});
    recurrent_bias(c, step, panel);
    recurrent_sums(c, step, row, panel, Part{0, N});
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int b = 0; b < N; ++b) {
          const int64_t unit = ((panel + p) * 3 + b) * kLanes;
          const vec sum = a.at[p][m][b] + c.at[p][m][b];
          store(step.y[row + m] + unit, kTanh ? tanh(sum) : relu(sum), step.hidden - unit);
          if (step.trace) trace_value(step, row + m, 0, unit, sum);
        }
      }
    }
  }
};

template <bool kTanh>
void forward(const ForwardStep& step) {
  run_panels<3, false>(Forward<kTanh>{step}, step.tiles, step.w_hh, step.panels, step.backwards);
}

template <bool kTanh>
void gradients(const GateGradients& g) {
  each_block(g, [&](int64_t row, int64_t block, int64_t unit, int64_t count) {
    const vec dh = state_gradient(g, row, unit, count), h = load(g.y[row] + unit, count);
    Gradients::of(g, row, block).write(0, kTanh ? dh * (1.0f - h * h) : select(h > 0.0f, dh, vec{}));
    store(g.carry_h + row * g.pitch + unit, vec{});
  });
}

//                                 G  S  K  D apart late reads joined trace after
constexpr CellNumbers kNumbers = {1, 1, 1, 1, -1, 1, 0, 0b0, false, true};

}  // namespace rnn

constexpr CellKernels kRnnTanh = {"rnn_tanh",       rnn::kNumbers,      rnn::takes,
                                  rnn::has_weights, rnn::forward<true>, rnn::gradients<true>};
constexpr CellKernels kRnnRelu = {"rnn_relu",       rnn::kNumbers,       rnn::takes,
                                  rnn::has_weights, rnn::forward<false>, rnn::gradients<false>};

}  // namespace
