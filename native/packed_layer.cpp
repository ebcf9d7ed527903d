#include "packed_layer.hpp"

#include <algorithm>
#include <cstring>

namespace tidegate {
namespace {

Floats copy(const float* from, int64_t count) {
  Floats to = allocate_floats(count);
  std::memcpy(to.get(), from, static_cast<size_t>(count) * sizeof(float));
  return to;
}

// The gate unit behind vector `vector` of the forward layout. A GRU puts r, z, n of one block side by side.
struct GateBlock {
  int64_t gate, block;
};
GateBlock gate_block(int64_t vector, int64_t gates) { return {vector % gates, vector / gates}; }

// Panels of W^T: column `vector * V + lane` is one row of W [G H, depth].
Floats pack_forward(const float* w, int64_t gates, int64_t hidden, int64_t depth, int64_t lanes) {
  const int64_t vectors = gates * ((hidden + lanes - 1) / lanes);
  Floats packed = allocate_floats((vectors + 2) / 3 * 3 * lanes * depth);
  for (int64_t vector = 0; vector < vectors; ++vector) {
    const auto [gate, block] = gate_block(vector, gates);
    const int64_t panel = vector / 3, width = std::min<int64_t>(3, vectors - panel * 3) * lanes;
    const int64_t filled = std::min(lanes, hidden - block * lanes);
    const float* from = w + (gate * hidden + block * lanes) * depth;
    float* to = packed.get() + panel * depth * 3 * lanes + vector % 3 * lanes;
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t lane = 0; lane < filled; ++lane) to[k * width + lane] = from[lane * depth + k];
      for (int64_t lane = filled; lane < lanes; ++lane) to[k * width + lane] = 0.0f;
    }
  }
  return packed;
}

// Panels of W itself [G H, columns], its rows taken gate by gate from `first_gate` on, cyclically, each gate padded to
// whole blocks.
Floats pack_backward(const float* w, int64_t gates, int64_t first_gate, int64_t hidden, int64_t columns,
                     int64_t lanes) {
  const int64_t padded = (hidden + lanes - 1) / lanes * lanes, depth = gates * padded;
  const int64_t vectors = (columns + lanes - 1) / lanes, panels = (vectors + 2) / 3;
  Floats packed = allocate_floats(panels * depth * 3 * lanes);
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int64_t width = std::min<int64_t>(3, vectors - panel * 3) * lanes, column = panel * 3 * lanes;
    const int64_t filled = std::min(width, columns - column);
    float* to = packed.get() + panel * depth * 3 * lanes;
    for (int64_t k = 0; k < depth; ++k, to += width) {
      const int64_t gate = (first_gate + k / padded) % gates, unit = k % padded;
      const int64_t used = unit < hidden ? filled : 0;
      std::copy_n(w + (gate * hidden + unit) * columns + column, used, to);
      std::fill_n(to + used, width - used, 0.0f);
    }
  }
  return packed;
}

}  // namespace

PackedLayer::PackedLayer(Cell cell, int64_t input, int64_t hidden, const Weights& weights, const KernelTable& kernels)
    : cell(cell),
      input(input),
      hidden(hidden),
      gates(cell == Cell::kGru ? 3 : 1),
      has_bias(weights.b_ih != nullptr),
      kernels(kernels) {
  forward_ih_ = pack_forward(weights.w_ih, gates, hidden, input, kernels.lanes);
  forward_hh_ = pack_forward(weights.w_hh, gates, hidden, hidden, kernels.lanes);
  w_ih_ = copy(weights.w_ih, gates * hidden * input);
  w_hh_ = copy(weights.w_hh, gates * hidden * hidden);
  const int64_t columns = gates * pitch();
  bias_ = allocate_floats(2 * columns);
  std::fill_n(bias_.get(), 2 * columns, 0.0f);
  for (int64_t vector = 0; has_bias && vector < gates * blocks(); ++vector) {
    const auto [gate, block] = gate_block(vector, gates);
    for (int64_t lane = 0; lane < std::min(kernels.lanes, hidden - block * kernels.lanes); ++lane) {
      const int64_t row = gate * hidden + block * kernels.lanes + lane, column = vector * kernels.lanes + lane;
      // r and z add both halves, so their biases add too; n scales its recurrent half by r, and the RNN keeps the order
      // of n with r = 1.
      const bool joined = gates == 3 && gate < 2;
      bias_[column] = weights.b_ih[row] + (joined ? weights.b_hh[row] : 0.0f);
      bias_[columns + column] = joined ? 0.0f : weights.b_hh[row];
    }
  }
}

void PackedLayer::prepare_backward() const {
  std::call_once(prepared_, [this] {
    backward_ih_ = pack_backward(w_ih_.get(), gates, 0, hidden, input, kernels.lanes);
    backward_hh_ = pack_backward(w_hh_.get(), gates, gates - 1, hidden, hidden,
                                 kernels.lanes);  // a GRU's dgates start with hn: n, r, z
  });
}

}  // namespace tidegate
