// The gated recurrent unit, and what may be chosen of it. The equations are those of src/tidegate/ops/cells/gru.py.
#pragma once
#include "../sums.hpp"

namespace {

namespace gru {

// The places of what was chosen in the declaration's lists.
enum Choice { kReset, kUpdate, kCandidate, kGate };
enum Reset { kAfter, kBefore, kResetOff };
enum Update { kOn, kUpdateOff };
enum Candidate { kTanh, kRelu, kIdentity };
enum Gate { kSigmoid, kHardSigmoid };

// The values that a trace keeps of a step. Of the last one there is one of two: U_n h + b_hn, or r h.
enum Traced { kR, kZ, kN, kHn, kRh = kHn };

TIDEGATE_INLINE bool is_standard(const Choices& c) { return !(c.of[0] | c.of[1] | c.of[2] | c.of[3]); }
TIDEGATE_INLINE bool is_before(const Choices& c) { return c.of[kReset] == kBefore; }
bool takes_standard(const Choices& c) { return is_standard(c); }
bool takes_before(const Choices& c) { return is_before(c); }
bool takes_others(const Choices& c) { return !is_before(c); }

bool has_weights(const Choices& c, int32_t gate) {
  return gate == kN || (gate == kR ? c.of[kReset] != kResetOff : c.of[kUpdate] != kUpdateOff);
}

// A gate that is off is 1 (reset) or 0 (update). What was chosen is fixed in the code of the standard unit, and looked
// up by that of all others.
template <bool kStandard>
TIDEGATE_INLINE vec gate(const Choices& c, vec sum) {
  return kStandard || c.of[kGate] == kSigmoid ? sigmoid(sum) : hard_sigmoid(sum);
}
template <bool kStandard>
TIDEGATE_INLINE vec reset_gate(const Choices& c, vec sum) {
  return !kStandard && c.of[kReset] == kResetOff ? broadcast(1.0f) : gate<kStandard>(c, sum);
}
template <bool kStandard>
TIDEGATE_INLINE vec update_gate(const Choices& c, vec sum) {
  return !kStandard && c.of[kUpdate] == kUpdateOff ? vec{} : gate<kStandard>(c, sum);
}
template <bool kStandard>
TIDEGATE_INLINE vec candidate(const Choices& c, vec sum) {
  if (kStandard || c.of[kCandidate] == kTanh) return tanh(sum);
  return c.of[kCandidate] == kRelu ? relu(sum) : sum;
}

// The slopes of gates and candidate where they have the value v. That of a gate which is off is 0: it is 1 or 0.
template <bool kStandard>
TIDEGATE_INLINE vec times_gate_slope(const Choices& c, vec gradient, vec v) {
  if (kStandard || c.of[kGate] == kSigmoid) return gradient * v * (1.0f - v);
  return select((v > 0.0f) & (v < 1.0f), gradient * kHardSlope, vec{});
}
template <bool kStandard>
TIDEGATE_INLINE vec times_candidate_slope(const Choices& c, vec gradient, vec v) {
  if (kStandard || c.of[kCandidate] == kTanh) return gradient * (1.0f - v * v);
  return c.of[kCandidate] == kRelu ? select(v > 0.0f, gradient, vec{}) : gradient;
}

// h' = z h + (1 - z) n. z = 1 gives h and z = 0 gives n exactly.
template <bool kStandard>
TIDEGATE_INLINE void write_state(const ForwardStep& step, int64_t row, int64_t unit, vec z, vec n) {
  const int64_t count = step.hidden - unit;
  const vec added = (1.0f - z) * n;
  const vec h = load(step.h[row] + unit, count);
  const bool keeps = kStandard || step.choices.of[kUpdate] == kOn;
  const vec h_next = keeps ? fma(z, h, added) : n;  // an infinite h is no number times 0
  if (step.y) store(step.y[row] + unit, h_next, count);
}

// ---- the reset gate after the product: n = tanh(xn + r hn), where xn = W x + b_in and hn = U h + b_hn

template <bool kStandard>
struct Forward {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {  // a panel has r, z, n of one block
    Tile<M, N, P> acc;
    input_sums(acc, step, row, panel, Part{0, N});
    constexpr int kSums = P * M;
    vec xn[kSums];
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      const vec bias_hn = load(step.bias_h + ((panel + p) * 3 + 2) * kLanes);
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        xn[p * M + m] = acc.at[p][m][2];
        acc.at[p][m][2] = bias_hn;
      }
    }
    recurrent_sums(acc, step, row, panel, Part{0, N});
    // One kind of gate after the other, for all rows: a candidate waits for the gate of its row, but not for others.
    const auto sum = [&](int i, int gate) -> vec& { return acc.at[i / M][i % M][gate]; };
    vec r[kSums], z[kSums], n[kSums];
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) r[i] = reset_gate<kStandard>(step.choices, sum(i, 0));
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) z[i] = update_gate<kStandard>(step.choices, sum(i, 1));
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) n[i] = candidate<kStandard>(step.choices, fma(r[i], sum(i, 2), xn[i]));
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) {
      const int64_t at = row + i % M, unit = (panel + i / M) * kLanes;
      write_state<kStandard>(step, at, unit, z[i], n[i]);
      if (!step.trace) continue;
      trace_value(step, at, kR, unit, r[i]);
      trace_value(step, at, kZ, unit, z[i]);
      trace_value(step, at, kN, unit, n[i]);
      trace_value(step, at, kHn, unit, sum(i, 2));
    }
  }
};

template <bool kStandard>
void forward(const ForwardStep& step) {
  run_panels<3, true>(Forward<kStandard>{step}, step.tiles, step.w_hh, step.panels, step.backwards);
}

// Gradients in the order hn, r, z, n: hn, r, z belong to W_hh, and r, z, n to W_ih.
template <bool kStandard>
void gradients(const GateGradients& g) {
  each_block(
      g,
      [&](int64_t row, int64_t block, int64_t unit, int64_t count) {
        const vec dh = state_gradient(g, row, unit, count);
        const float* trace = g.trace[row] + unit;
        const vec r = load(trace + kR * g.hidden, count), z = load(trace + kZ * g.hidden, count);
        const vec n = load(trace + kN * g.hidden, count), hn = load(trace + kHn * g.hidden, count);
        const vec h = load(g.h[row] + unit, count);
        const vec dn = times_candidate_slope<kStandard>(g.choices, dh * (1.0f - z), n);
        const vec dz = times_gate_slope<kStandard>(g.choices, dh * (h - n), z);
        const vec dr = times_gate_slope<kStandard>(g.choices, dn * hn, r);
        const Gradients out = Gradients::of(g, row, block);
        out.write(0, dn * r);
        out.write(1, dr);
        out.write(2, dz);
        out.write(3, dn);
        store(g.carry_h + row * g.pitch + unit, dh * z);
      },
      [&](int64_t row, int64_t unit) { prefetch_traced<4>(g, row, unit, g.h); });
}

// ---- the reset gate before the product: n = tanh(xn + U_n (r h) + b_hn), once r h is known of all units

template <bool kStandard>
struct EarlyGates {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {  // a panel has r, z of one block
    Tile<M, N, P> acc;
    all_sums(acc, step, row, panel);
    constexpr int kSums = P * M;
    vec r[kSums], z[kSums];
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) r[i] = reset_gate<kStandard>(step.choices, acc.at[i / M][i % M][0]);
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) z[i] = update_gate<kStandard>(step.choices, acc.at[i / M][i % M][1]);
    TIDEGATE_UNROLL
    for (int i = 0; i < kSums; ++i) {
      const int64_t at = row + i % M, unit = (panel + i / M) * kLanes;
      trace_value(step, at, kR, unit, r[i]);
      trace_value(step, at, kZ, unit, z[i]);
      trace_value(step, at, kRh, unit, r[i] * load(step.h[at] + unit, step.hidden - unit));
    }
  }
};

template <bool kStandard>
struct LateCandidate {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {  // a panel has n of up to three blocks
    Tile<M, N, P> acc;
    all_sums(acc, step, row, panel);
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int b = 0; b < N; ++b) {
          const int64_t unit = ((panel + p) * 3 + b) * kLanes;
          const vec n = candidate<kStandard>(step.choices, acc.at[p][m][b]);
          const vec z = load(step.trace[row + m] + kZ * step.hidden + unit, step.hidden - unit);
          write_state<kStandard>(step, row + m, unit, z, n);
          trace_value(step, row + m, kN, unit, n);
        }
      }
    }
  }
};

template <bool kStandard>
void before_stage(const ForwardStep& step) {
  if (step.stage == 0) {
    run_panels<2, true>(EarlyGates<kStandard>{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  } else {
    run_panels<3, false>(LateCandidate<kStandard>{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  }
}
bool is_before_standard(const Choices& c) { return !(c.of[kUpdate] | c.of[kCandidate] | c.of[kGate]); }
void before_forward(const ForwardStep& step) {
  is_before_standard(step.choices) ? before_stage<true>(step) : before_stage<false>(step);
}

// Gradients in the order r, z, n, those of r in a second call: they wait for the gradient of r h.
template <bool kStandard>
void before_call(const GateGradients& g) {
  each_block(g, [&](int64_t row, int64_t block, int64_t unit, int64_t count) {
    const float* trace = g.trace[row] + unit;
    const vec h = load(g.h[row] + unit, count);
    const Gradients out = Gradients::of(g, row, block);
    float* carry = g.carry_h + row * g.pitch + unit;
    if (g.call == 0) {
      const vec dh = state_gradient(g, row, unit, count);
      const vec z = load(trace + kZ * g.hidden, count), n = load(trace + kN * g.hidden, count);
      out.write(1, times_gate_slope<kStandard>(g.choices, dh * (h - n), z));
      out.write(2, times_candidate_slope<kStandard>(g.choices, dh * (1.0f - z), n));
      store(carry, dh * z);
    } else {
      const vec r = load(trace + kR * g.hidden, count), drh = load(g.late + row * g.pitch + unit);
      out.write(0, times_gate_slope<kStandard>(g.choices, drh * h, r));
      store(carry, fma(drh, r, load(carry)));
    }
  });
}
void before_gradients(const GateGradients& g) {
  is_before_standard(g.choices) ? before_call<true>(g) : before_call<false>(g);
}

//                                 G  S  K  D apart late reads joined trace after
constexpr CellNumbers kNumbers = {3, 1, 4, 4, kN, 3, 0, 0b011, true, false};
constexpr CellNumbers kBeforeNumbers = {3, 1, 4, 3, -1, kN, kRh, 0b111, true, false};

}  // namespace gru

constexpr CellKernels kGru = {
    "gru", gru::kNumbers, gru::takes_standard, gru::has_weights, gru::forward<true>, gru::gradients<true>};
constexpr CellKernels kGruOfChoice = {
    "gru", gru::kNumbers, gru::takes_others, gru::has_weights, gru::forward<false>, gru::gradients<false>};
constexpr CellKernels kGruResetBefore = {
    "gru", gru::kBeforeNumbers, gru::takes_before, gru::has_weights, gru::before_forward, gru::before_gradients};

}  // namespace
