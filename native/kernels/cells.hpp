// The cells: what happens to the sums of one tile once they are complete, forward and backward. The equations are those
// of the reference (src/tidegate/reference.py); everything here stays in registers.
#pragma once
#include "activations.hpp"
#include "tile.hpp"

namespace {

using tidegate::Activation;
using tidegate::Cell;
using tidegate::ForwardStep;
using tidegate::GateGradients;

// ---- GRU: a tile holds the r, z and n sums of one block of units per panel
// --------------------------------------------------------

// What may be chosen of a GRU: fixed in the code of the standard one, looked up by that of all others.
template <bool kStandard>
TIDEGATE_INLINE vec gru_gate(const Cell& cell, bool on, float off, vec sum) {
  if (kStandard) return sigmoid(sum);
  return !on ? broadcast(off) : cell.gate == Activation::kSigmoid ? sigmoid(sum) : hard_sigmoid(sum);
}
// n = tanh(xn + r hn), where xn = W x + b_in and hn = U h + b_hn.
template <bool kStandard>
TIDEGATE_INLINE vec gru_candidate(const Cell& cell, vec r, vec xn, vec hn) {
  const vec sum = fma(r, hn, xn);
  if (kStandard || cell.candidate == Activation::kTanh) return tanh(sum);
  return cell.candidate == Activation::kRelu ? relu(sum) : sum;
}

// Their slopes where they have the value v. That of a gate which is off is 0: it is 1 or 0.
template <bool kStandard>
TIDEGATE_INLINE vec times_gate_slope(const Cell& cell, vec gradient, vec v) {
  if (kStandard || cell.gate == Activation::kSigmoid) return gradient * v * (1.0f - v);
  return select((v > 0.0f) & (v < 1.0f), gradient * kHardSlope, vec{});
}
template <bool kStandard>
TIDEGATE_INLINE vec times_candidate_slope(const Cell& cell, vec gradient, vec v) {
  if (kStandard || cell.candidate == Activation::kTanh) return gradient * (1.0f - v * v);
  return cell.candidate == Activation::kRelu ? select(v > 0.0f, gradient, vec{}) : gradient;
}

// h' = z h + (1 - z) n. z = 1 gives h and z = 0 gives n exactly.
template <bool kStandard>
TIDEGATE_INLINE void gru_state(const ForwardStep& step, int64_t row, int64_t panel, vec r, vec z, vec n, vec hn) {
  const int64_t unit = panel * kLanes, count = step.hidden - unit;
  const vec h = load(step.h[row] + unit, count);
  const vec kept = (1.0f - z) * n;
  const vec h_next = kStandard || step.cell.update ? fma(z, h, kept) : n;  // an infinite h is no number times 0
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
template <bool kStandard>
TIDEGATE_INLINE void gru_backward(const GateGradients& g, int64_t row, int64_t block, int64_t blocks, vec dh,
                                  int64_t count) {
  const int64_t unit = block * kLanes;
  const float* trace = g.trace[row] + unit;
  const vec r = load(trace, count), z = load(trace + g.hidden, count);
  const vec n = load(trace + 2 * g.hidden, count), hn = load(trace + 3 * g.hidden, count);
  const vec h = load(g.h[row] + unit, count);
  const vec dn = times_candidate_slope<kStandard>(g.cell, dh * (1.0f - z), n);
  const vec dz = times_gate_slope<kStandard>(g.cell, dh * (h - n), z);
  const vec dr = times_gate_slope<kStandard>(g.cell, dn * hn, r);
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
  if (step.trace) store(step.trace[row] + unit, sum, step.hidden - unit);
}

TIDEGATE_INLINE void rnn_backward(const GateGradients& g, int64_t row, int64_t block, vec dh, int64_t count) {
  const int64_t unit = block * kLanes;
  const vec h = load(g.h[row] + unit, count);
  const vec da = g.cell == Cell::kRnnTanh ? dh * (1.0f - h * h) : select(h > 0.0f, dh, vec{});
  store(g.dgates + block * g.stride + row * kLanes, da);
  store(g.carry + row * g.pitch + unit, vec{});
}

}  // namespace
