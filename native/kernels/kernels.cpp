// All kernels of one instruction set. CMake compiles this file once per instruction set, with TIDEGATE_KERNELS naming
// the one symbol that the object exports. Nothing of the C++ standard library may be included here: an inline function
// compiled with AVX-512 flags could be the copy that the linker keeps for everyone.
#include "cells.hpp"

namespace {

using namespace tidegate;

// Sums of a tile start from the bias and x W_ih, or from products prepared for many steps.
template <int M, int N, int P>
TIDEGATE_INLINE void input_sums(Tile<M, N, P>& acc, const Panels& w, const float* bias, const float* const* x,
                                const float* const* products, int64_t row, int64_t panel) {
  TIDEGATE_UNROLL
  for (int p = 0; p < P; ++p) {
    TIDEGATE_UNROLL
    for (int m = 0; m < M; ++m) {
      const float* start = (products ? products[row + m] : bias) + (panel + p) * 3 * kLanes;
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) acc.at[p][m][n] = load(start + n * kLanes);
    }
  }
  if (!products)
    accumulate(acc, [&](int m) { return x[row + m]; }, panel_data(w, panel), w.depth * 3 * kLanes, w.depth);
}

struct InputProductsBody {
  const InputProducts& call;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {
    Tile<M, N, P> acc;
    input_sums(acc, call.w_ih, call.bias, call.x, nullptr, row, panel);
    const int64_t width = call.w_ih.vectors * kLanes;
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n)
          store(call.products + (row + m) * width + ((panel + p) * 3 + n) * kLanes, acc.at[p][m][n]);
      }
    }
  }
};

template <int M, int N, int P>
TIDEGATE_INLINE void recurrent_sums(Tile<M, N, P>& acc, const ForwardStep& step, int64_t row, int64_t panel) {
  accumulate(
      acc, [&](int m) { return step.h[row + m]; }, panel_data(step.w_hh, panel), step.w_hh.depth * 3 * kLanes,
      step.w_hh.depth);
}

template <bool kStandard>
struct GruForwardBody {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {
    if constexpr (N == 3) {  // every panel of a GRU is whole: r, z, n
      Tile<M, 3, P> acc;
      input_sums(acc, step.w_ih, step.bias_x, step.x, step.products, row, panel);
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
      recurrent_sums(acc, step, row, panel);
      // One kind of gate after the other, for all rows: a candidate waits for the gate of its row, but not for others.
      const auto sum = [&](int i, int gate) -> vec& { return acc.at[i / M][i % M][gate]; };
      vec r[kSums], z[kSums], n[kSums];
      TIDEGATE_UNROLL
      for (int i = 0; i < kSums; ++i) r[i] = gru_gate<kStandard>(step.cell, step.cell.reset, 1.0f, sum(i, 0));
      TIDEGATE_UNROLL
      for (int i = 0; i < kSums; ++i) z[i] = gru_gate<kStandard>(step.cell, step.cell.update, 0.0f, sum(i, 1));
      TIDEGATE_UNROLL
      for (int i = 0; i < kSums; ++i) n[i] = gru_candidate<kStandard>(step.cell, r[i], xn[i], sum(i, 2));
      TIDEGATE_UNROLL
      for (int i = 0; i < kSums; ++i)
        gru_state<kStandard>(step, row + i % M, panel + i / M, r[i], z[i], n[i], sum(i, 2));
    }
  }
};

struct RnnForwardBody {
  const ForwardStep& step;
  template <int M, int N, int P>
  __attribute__((noinline)) void run(int64_t row, int64_t panel) const {
    Tile<M, N, P> x_sums, acc;
    input_sums(x_sums, step.w_ih, step.bias_x, step.x, step.products, row, panel);
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) {
        const vec bias = load(step.bias_h + ((panel + p) * 3 + n) * kLanes);
        TIDEGATE_UNROLL
        for (int m = 0; m < M; ++m) acc.at[p][m][n] = bias;
      }
    }
    recurrent_sums(acc, step, row, panel);
    TIDEGATE_UNROLL
    for (int p = 0; p < P; ++p) {
      TIDEGATE_UNROLL
      for (int m = 0; m < M; ++m) {
        TIDEGATE_UNROLL
        for (int n = 0; n < N; ++n)
          rnn_forward(step, row + m, (panel + p) * 3 + n, x_sums.at[p][m][n], acc.at[p][m][n]);
      }
    }
  }
};

void input_products(const InputProducts& call) {
  run_panels(InputProductsBody{call}, call.tiles, call.w_ih, call.panels);
}

void forward_step(const ForwardStep& step) {
  if (step.cell == Cell::kGru && step.cell.is_standard()) {
    run_panels(GruForwardBody<true>{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  } else if (step.cell == Cell::kGru) {
    run_panels(GruForwardBody<false>{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  } else {
    run_panels(RnnForwardBody{step}, step.tiles, step.w_hh, step.panels, step.backwards);
  }
}

void gate_gradients(const GateGradients& call) {
  const int64_t blocks = (call.hidden + kLanes - 1) / kLanes;
  const bool standard = call.cell.is_standard();
  const Tiles& tiles = call.tiles;
  for (int64_t tile = tiles.first; tile * tiles.height < tiles.rows; tile += tiles.every) {
    const int64_t end = (tile + 1) * tiles.height < tiles.rows ? (tile + 1) * tiles.height : tiles.rows;
    for (int64_t row = tile * tiles.height; row < end; ++row) {
      for (int64_t block = call.blocks.begin; block < call.blocks.end; ++block) {
        const int64_t unit = block * kLanes, count = call.hidden - unit;
        vec dh = load(call.carry + row * call.pitch + unit);
        if (call.dy) dh += load(call.dy[row] + unit, count);
        if (call.cell == Cell::kGru && standard) {
          gru_backward<true>(call, row, block, blocks, dh, count);
        } else if (call.cell == Cell::kGru) {
          gru_backward<false>(call, row, block, blocks, dh, count);
        } else {
          rnn_backward(call, row, block, dh, count);
        }
      }
    }
  }
}

constexpr int64_t kNearFloats = 64 * 1024;  // what stays in a core's own cache beside other things

// Calls for one of `parts` parts of M rows, in `times` goes.
template <int M>
class Calls {
 public:
  Calls(const Ahead& ahead, int64_t first_row, int64_t part, int64_t parts, int64_t times) {
    if (!ahead.rows) return;
    const int64_t lines = (ahead.floats / kLine + parts - 1) / parts, last = (part + 1) * lines * kLine;
    rows_ = ahead.rows + first_row;
    place_ = part * lines * kLine;
    end_ = last < ahead.floats ? last : ahead.floats;
    at_once_ = (M * lines + times - 1) / times;
  }

  void go_on() {
    for (int64_t i = 0; i < at_once_ && place_ < end_; ++i) {
      __builtin_prefetch(rows_[row_] + place_, 0, 2);  // not into the nearest cache: that one holds the panel
      if (++row_ < M) continue;
      row_ = 0;
      place_ += kLine;
    }
  }

 private:
  const float* const* rows_ = nullptr;
  int64_t place_ = 0, end_ = 0;  // floats
  int64_t at_once_ = 0, row_ = 0;
};

struct GateProductsBody {
  const GateProducts& call;
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
    const float* dgates = call.dgates + row * kLanes;
    const float* w = panel_data(call.w, panel);
    const int64_t padded = (call.hidden + kLanes - 1) / kLanes * kLanes;
    const auto calls_for = [&](const Ahead& ahead) {
      return Calls<M>(ahead, row, panel, call.w.count(), call.w.depth / kLanes);
    };
    Calls<M> calls[] = {calls_for(call.ahead[0]), calls_for(call.ahead[1]), calls_for(call.ahead[2])};
    // Blocks of dgates lie pages apart, where no processor looks by itself; those of a large layer are called for.
    constexpr int64_t kAhead = 2;
    const bool far = call.w.depth / kLanes * call.stride > kNearFloats;
    for (int64_t k = 0, unit = 0; k < call.w.depth; k += kLanes) {
      if (far && k + kAhead * kLanes < call.w.depth) {
        TIDEGATE_UNROLL
        for (int m = 0; m < M; ++m) __builtin_prefetch(dgates + kAhead * call.stride + m * kLanes);
      }
      for (Calls<M>& one : calls) one.go_on();
      const int64_t left = call.hidden - unit;  // the padding of a gate's last block would add zeros
      accumulate(
          acc, [&](int m) { return dgates + m * kLanes; }, w, call.w.depth * 3 * kLanes, left < kLanes ? left : kLanes);
      dgates += call.stride;
      w += N * kLanes * kLanes;
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

void gate_products(const GateProducts& call) { run_panels(GateProductsBody{call}, call.tiles, call.w, call.panels); }

constexpr int kUnitTile = kRows < kLanes ? kRows : kLanes;

// One tile of weight gradients: kUnitTile gate units by N vectors of columns, of which `rows` by `columns` are stored.
template <int N>
__attribute__((noinline)) void weight_tile(const WeightGradients& call, const float* dgates, float* sums, int rows,
                                           int64_t columns) {
  // The sums will be there when the products are.
  const int64_t stored = columns < N * kLanes ? columns : N * kLanes;
  for (int m = 0; call.add && m < rows; ++m)
    for (int64_t i = 0; i < stored; i += kLine) __builtin_prefetch(sums + m * call.columns + i, 1);
  vec acc[kUnitTile][N] = {};
  const float* panel = call.panel;
  for (int64_t k = 0; k < call.depth; ++k) {
    vec row[N];
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n) row[n] = load(panel + (k * N + n) * kLanes);
    TIDEGATE_UNROLL
    for (int m = 0; m < kUnitTile; ++m) {
      const vec gradient = broadcast(dgates[k * kLanes + m]);
      TIDEGATE_UNROLL
      for (int n = 0; n < N; ++n) acc[m][n] = fma(gradient, row[n], acc[m][n]);
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

// The columns of one panel side by side, so that all tiles read them from one place in the nearest cache.
template <int N>
TIDEGATE_INLINE void pack_rows(const WeightGradients& call, int64_t column) {
  const int64_t last = call.columns - column - (N - 1) * kLanes;
  for (int64_t k = 0; k < call.depth; ++k) {
    const float* from = call.rows[k] + column;
    TIDEGATE_UNROLL
    for (int n = 0; n < N; ++n)
      store(call.panel + (k * N + n) * kLanes, load(from + n * kLanes, n == N - 1 ? last : kLanes));
  }
}

template <int N>
TIDEGATE_INLINE void weight_panel(const WeightGradients& call, int64_t column, Range tiles) {
  const int64_t padded = (call.hidden + kLanes - 1) / kLanes * kLanes;
  pack_rows<N>(call, column);
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
    const int64_t gate_unit = tile * kUnitTile, unit = gate_unit % padded, left = call.hidden - unit;
    const int64_t row = (gate_unit / padded + call.first_gate) % call.gates * call.hidden + unit;
    if (left <= 0) continue;  // padding
    weight_tile<N>(call, call.dgates + gate_unit / kLanes * call.stride + gate_unit % kLanes,
                   call.sums + row * call.columns + column, static_cast<int>(left < kUnitTile ? left : kUnitTile),
                   call.columns - column);
  }
}

void weight_gradients(const WeightGradients& call) {
  // tiles whose dgates stay in the near cache while all panels use them
  const int64_t at_once = (kNearFloats / (call.depth * kLanes) + 1) * (kLanes / kUnitTile);
  for (Range tiles = {call.unit_tiles.begin, 0}; tiles.begin < call.unit_tiles.end; tiles.begin = tiles.end) {
    tiles.end = tiles.begin + at_once < call.unit_tiles.end ? tiles.begin + at_once : call.unit_tiles.end;
    for (int64_t column = 0; column < call.columns; column += 3 * kLanes) {
      if (call.columns - column > 2 * kLanes) {
        weight_panel<3>(call, column, tiles);
      } else if (call.columns - column > kLanes) {
        weight_panel<2>(call, column, tiles);
      } else {
        weight_panel<1>(call, column, tiles);
      }
    }
  }
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
  constexpr int64_t kAhead = 16;  // sums lie anywhere, so they are called for in time
  for (int64_t row = 0; row < call.rows; ++row) {
    if (row + kAhead < call.rows) __builtin_prefetch(call.sums[row + kAhead] + call.offset, 1);
    float* sum = call.sums[row] + call.offset;
    store(sum, load(sum) + load(call.dgates + row * kLanes));
  }
}

// Column by column of V x V tiles: interleaving row i with row i + V/2, again and again, log2 V times, transposes.
void transpose(const Transpose& call) {
  for (int64_t column = 0; column < call.columns; column += kLanes) {
    const int64_t count = call.columns - column;
    vec rows[kLanes], turned[kLanes];
    TIDEGATE_UNROLL
    for (int r = 0; r < kLanes; ++r)
      rows[r] = r < call.rows ? load(call.from + r * call.from_stride + column, count) : vec{};
    TIDEGATE_UNROLL
    for (int round = 1; round < kLanes; round *= 2) {
      TIDEGATE_UNROLL
      for (int i = 0; i < kLanes / 2; ++i) {
        turned[2 * i] = interleave_low(rows[i], rows[i + kLanes / 2]);
        turned[2 * i + 1] = interleave_high(rows[i], rows[i + kLanes / 2]);
      }
      TIDEGATE_UNROLL
      for (int i = 0; i < kLanes; ++i) rows[i] = turned[i];
    }
    TIDEGATE_UNROLL
    for (int c = 0; c < kLanes; ++c)
      if (c < count) store(call.to + (column + c) * call.to_stride, rows[c]);
  }
}

void stream_zeros(float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) stream(to + i, vec{});
}

TIDEGATE_INLINE vec apply(Activation which, vec x) {
  switch (which) {
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kTanh:
      return tanh(x);
    case Activation::kRelu:
      return relu(x);
    case Activation::kHardSigmoid:
      return hard_sigmoid(x);
    default:
      return x;
  }
}

void activation(Activation which, const float* in, float* out, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) store(out + i, apply(which, load(in + i, count - i)), count - i);
}

// Independent chains that keep every multiply-add unit busy and touch no memory: the peak that benchmarks are measured
// against.
int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = kLanes == 4 ? 8 : 12;
  volatile float start = 3.0f, half = 0.5f, one = 1.0f;  // or the compiler would drop a chain that it sees rest at 2
  vec chain[kChains];
  for (int c = 0; c < kChains; ++c) chain[c] = broadcast(start + static_cast<float>(c));
  const vec a = broadcast(half), b = broadcast(one);
  for (int64_t round = 0; round < rounds; ++round) {
    TIDEGATE_UNROLL
    for (int c = 0; c < kChains; ++c) chain[c] = fma(chain[c], a, b);
  }
  vec sum{};
  for (int c = 0; c < kChains; ++c) sum += chain[c];
  volatile float sink = sum[0];  // or the compiler would see that nobody needs the result
  (void)sink;
  return rounds * kChains * kLanes * 2;
}

// Nothing but loads, with sums in so many chains that the additions hide behind them: the bandwidth of the cache that
// the numbers fit in.
void read_floats(const float* from, int64_t count, int64_t rounds) {
  constexpr int kChains = 8;
  vec sum[kChains] = {};
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t i = 0; i < count; i += kChains * kLanes) {
      TIDEGATE_UNROLL
      for (int c = 0; c < kChains; ++c) sum[c] += load(from + i + c * kLanes);
    }
  }
  for (int c = 1; c < kChains; ++c) sum[0] += sum[c];
  volatile float sink = sum[0][0];  // as above
  (void)sink;
}

}  // namespace

namespace tidegate {

extern const KernelTable TIDEGATE_KERNELS;
const KernelTable TIDEGATE_KERNELS = {TIDEGATE_KERNELS_NAME, kLanes,         kRows,          kUnitTile,
                                      input_products,        forward_step,   gate_gradients, gate_products,
                                      weight_gradients,      bias_gradients, row_sums,       transpose,
                                      stream_zeros,          activation,     multiply_adds,  read_floats};

}  // namespace tidegate
