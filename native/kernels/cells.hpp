// The cells: what happens to the sums of one tile once they are complete, forward and backward. The equations are those
// of the reference (src/tidegate/reference.py); everything here stays in registers.
#pragma once
#include "activations.hpp"
#include "tile.hpp"

namespace {

using tidegate::Cell;
using tidegate::ForwardStep;
using tidegate::GateGradients;

// ---- GRU: a tile holds the r, z and n sums of one block of units per panel
// --------------------------------------------------------

// h' = z h + (1 - z) n, with n = tanh(xn + r hn). z = 1 gives h and z = 0 gives n exactly.
TIDEGATE_INLINE void gru_forward(const ForwardStep& step, int64_t row, int64_t panel, vec r_sum, vec z_sum, vec xn,
                                 vec hn) {
  const int64_t unit = panel * kLanes, count = step.hidden - unit;
  const vec h = load(step.h[row] + unit, count);
  const vec r = sigmoid(r_sum);
  const vec z = sigmoid(z_sum);
  const vec n = tanh(fma(r, hn, xn));
  const vec kept = (1.0f - z) * n;
  const vec h_next = fma(z, h, kept);
  if (step.y) store(step.y[row] + unit, h_next, count);
  if (step.trace) {
    float* trace = step.trace[row] + unit;
    if (step.streams_trace) {
      stream(trace, r);
      stream(trace + step.hidden, z);
      stream(trace + 2 * step.hidden, n);
      stream(trace + 3 * step.hidden, hn);
      return;
    }
    store(trace, r, count);
    store(trace + step.hidden, z, count);
    store(trace + 2 * step.hidden, n, count);
    store(trace + 3 * step.hidden, hn, count);
  }
}

// dgates blocks in the order hn, r, z, n: hn, r, z belong to W_hh, and r, z, n to W_ih.
TIDEGATE_INLINE void gru_backward(const GateGradients& g, int64_t row, int64_t block, int64_t blocks, vec dh,
                                  int64_t count) {
  const int64_t unit = block * kLanes;
  const float* trace = g.trace[row] + unit;
  const vec r = load(trace, count), z = load(trace + g.hidden, count);
  const vec n = load(trace + 2 * g.hidden, count), hn = load(trace + 3 * g.hidden, count);
  const vec h = load(g.h[row] + unit, count);
  const vec dn = dh * (1.0f - z) * (1.0f - n * n);
  const vec dz = dh * (h - n) * z * (1.0f - z);
  const vec dr = dn * hn * r * (1.0f - r);
  float* dgates = g.dgates + block * g.stride + row * kLanes;
  const int64_t gate = blocks * g.stride;
  store(dgates, dn * r);
  store(dgates + gate, dr);
  store(dgates + 2 * gate, dz);
  store(dgates + 3 * gate, dn);
  store(g.carry + row * g.pitch + unit, dh * z);
}

// ---- vanilla RNN: a tile holds up to three blocks of units per panel
// ------------------------------------------------------------

TIDEGATE_INLINE void rnn_forward(const ForwardStep& step, int64_t row, int64_t block, vec x_sum, vec h_sum) {
  const int64_t unit = block * kLanes;
  const vec sum = x_sum + h_sum;
  const vec h_next = step.cell == Cell::kRnnTanh ? tanh(sum) : relu(sum);
  store(step.y[row] + unit, h_next, step.hidden - unit);
}

TIDEGATE_INLINE void rnn_backward(const GateGradients& g, int64_t row, int64_t block, vec dh, int64_t count) {
  const int64_t unit = block * kLanes;
  const vec h = load(g.h[row] + unit, count);
  const vec da = g.cell == Cell::kRnnTanh ? dh * (1.0f - h * h) : select(h > 0.0f, dh, vec{});
  store(g.dgates + block * g.stride + row * kLanes, da);
  store(g.carry + row * g.pitch + unit, vec{});
}

}  // namespace
