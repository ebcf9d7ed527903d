#include "packed_layer.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace tidegate {
namespace {

// The gate unit behind vector `vector` of the forward layout. A GRU puts r, z, n of one block side by side.
struct GateBlock {
  int64_t gate, block;
};
GateBlock gate_block(int64_t vector, int64_t gates) { return {vector % gates, vector / gates}; }

int64_t panel_width(int64_t vectors, int64_t panel, int64_t lanes) {
  return std::min<int64_t>(3, vectors - panel * 3) * lanes;
}

// A gate that is off has no weights.
bool is_on(const Cell& cell, int64_t gate, int64_t gates) {
  return gates == 1 || gate == 2 || (gate == 0 ? cell.reset : cell.update);
}

// Threads are worth their waking from about this many floats on.
Team team_for(int64_t floats, int threads) { return Team(floats < 1 << 16 ? 1 : threads); }

// Panels of W^T: column `vector * V + lane` is one row of W [G H, depth].
RecycledFloats pack_forward(const KernelTable& kernels, const Cell& cell, const float* w, int64_t gates, int64_t hidden,
                            int64_t depth, int threads) {
  const int64_t lanes = kernels.lanes, vectors = gates * ((hidden + lanes - 1) / lanes);
  RecycledFloats packed((vectors + 2) / 3 * 3 * lanes * depth);
  Team team = team_for(vectors * lanes * depth, threads);
  team.run([&](int index) {
    const Range own = share(vectors, index, team.size());
    for (int64_t vector = own.begin; vector < own.end; ++vector) {
      const auto [gate, block] = gate_block(vector, gates);
      const int64_t panel = vector / 3, rows = is_on(cell, gate, gates) ? std::min(lanes, hidden - block * lanes) : 0;
      kernels.transpose({w + (gate * hidden + block * lanes) * depth, depth, rows, depth,
                         packed.get() + panel * depth * 3 * lanes + vector % 3 * lanes,
                         panel_width(vectors, panel, lanes)});
    }
  });
  return packed;
}

// Panels of W itself [G H, columns], its rows taken gate by gate from `first_gate` on, cyclically, each gate padded to
// whole blocks; made from those of W^T.
RecycledFloats pack_backward(const KernelTable& kernels, const Panels& forward, int64_t gates, int64_t first_gate,
                             int threads) {
  const int64_t lanes = kernels.lanes, columns = forward.depth, blocks = forward.vectors / gates;
  const int64_t depth = forward.vectors * lanes, vectors = (columns + lanes - 1) / lanes;
  RecycledFloats packed((vectors + 2) / 3 * depth * 3 * lanes);
  Team team = team_for(depth * columns, threads);
  team.run([&](int index) {
    const Range own = share(vectors, index, team.size());
    for (int64_t vector = own.begin; vector < own.end; ++vector) {  // of columns
      const int64_t panel = vector / 3, width = panel_width(vectors, panel, lanes), column = vector * lanes;
      float* to = packed.get() + panel * depth * 3 * lanes + vector % 3 * lanes;
      for (int64_t units = 0; units < forward.vectors; ++units) {
        const auto [gate, block] = gate_block(units, gates);
        const int64_t from_panel = units / 3, from_width = panel_width(forward.vectors, from_panel, lanes);
        const int64_t row = ((gate - first_gate + gates) % gates * blocks + block) * lanes;
        kernels.transpose({forward.data + from_panel * columns * 3 * lanes + column * from_width + units % 3 * lanes,
                           from_width, std::min(lanes, columns - column), lanes, to + row * width, width});
      }
    }
  });
  return packed;
}

}  // namespace

PackedLayer::PackedLayer(const Cell& cell, int64_t input, int64_t hidden, const Weights& weights,
                         const KernelTable& kernels, int threads)
    : cell(cell),
      input(input),
      hidden(hidden),
      gates(cell == Cell::kGru ? 3 : 1),
      has_bias(weights.b_ih != nullptr),
      kernels(kernels) {
  forward_ih_ = pack_forward(kernels, cell, weights.w_ih, gates, hidden, input, threads);
  forward_hh_ = pack_forward(kernels, cell, weights.w_hh, gates, hidden, hidden, threads);
  const int64_t columns = gates * pitch();
  bias_ = RecycledFloats(2 * columns);
  float* bias = bias_.get();
  std::fill_n(bias, 2 * columns, 0.0f);
  for (int64_t vector = 0; has_bias && vector < gates * blocks(); ++vector) {
    const auto [gate, block] = gate_block(vector, gates);
    if (!is_on(cell, gate, gates)) continue;
    for (int64_t lane = 0; lane < std::min(kernels.lanes, hidden - block * kernels.lanes); ++lane) {
      const int64_t row = gate * hidden + block * kernels.lanes + lane, column = vector * kernels.lanes + lane;
      // r and z add both halves, so their biases add too; n scales its recurrent half by r, and the RNN keeps the order
      // of n with r = 1.
      const bool joined = gates == 3 && gate < 2;
      bias[column] = weights.b_ih[row] + (joined ? weights.b_hh[row] : 0.0f);
      bias[columns + column] = joined ? 0.0f : weights.b_hh[row];
    }
  }
}

void PackedLayer::prepare_backward_ih(int threads) const {
  std::call_once(prepared_ih_, [&] { backward_ih_ = pack_backward(kernels, forward_ih(), gates, 0, threads); });
}

void PackedLayer::prepare_backward_hh(int threads) const {
  // A GRU's dgates start with hn: n, r, z.
  std::call_once(prepared_hh_, [&] { backward_hh_ = pack_backward(kernels, forward_hh(), gates, gates - 1, threads); });
}

}  // namespace tidegate
