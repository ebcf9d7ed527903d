#include "packed_layer.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace tidegate {
namespace {

// Vectors of the panels of one stage, the last panel filled up.
int64_t stage_vectors(const CellNumbers& numbers, int32_t stage, int64_t blocks) {
  const int64_t width = numbers.stage_width(stage);
  return (numbers.stage_gates(stage) * blocks + width - 1) / width * width;
}

// Where one block of the units of one gate is in the forward layout: the gates of a block side by side.
struct GatePlace {
  const float* data;
  int64_t width;  // floats from one row to the next
};

int64_t panel_width(const Panels& w, int64_t panel, int64_t lanes) {
  return std::min<int64_t>(w.width, w.vectors - panel * w.width) * lanes;
}

GatePlace vector_place(const Panels& w, int64_t vector, int64_t lanes) {
  const int64_t panel = vector / w.width;
  return {w.data + panel * w.depth * w.width * lanes + vector % w.width * lanes, panel_width(w, panel, lanes)};
}

// Threads are worth their waking from about this many floats on.
Team team_for(int64_t floats, int threads) { return Team(floats < 1 << 16 ? 1 : threads); }

// The backward layout: W itself [gates H, columns], gate by gate in the order given, each padded to whole blocks; made
// from the panels of W^T. `place(gate, block)` says where these are.
template <class Place>
RecycledFloats pack_backward(const KernelTable& kernels, const std::vector<int32_t>& gates, int64_t blocks,
                             int64_t columns, int threads, const Place& place) {
  const int64_t lanes = kernels.lanes, depth = static_cast<int64_t>(gates.size()) * blocks * lanes;
  const Panels to{nullptr, depth, (columns + lanes - 1) / lanes, 3};
  RecycledFloats packed(to.count() * depth * 3 * lanes);
  Team team = team_for(depth * columns, threads);
  team.run([&](int index) {
    const Range own = share(to.vectors, index, team.size());
    for (int64_t vector = own.begin; vector < own.end; ++vector) {  // of columns
      const int64_t panel = vector / 3, width = panel_width(to, panel, lanes), column = vector * lanes;
      float* out = packed.get() + panel * depth * 3 * lanes + vector % 3 * lanes;
      for (const int32_t gate : gates) {
        for (int64_t block = 0; block < blocks; ++block, out += lanes * width) {
          const GatePlace from = place(gate, block);
          kernels.transpose(
              {from.data + column * from.width, from.width, std::min(lanes, columns - column), lanes, out, width});
        }
      }
    }
  });
  return packed;
}

}  // namespace

Panels PackedLayer::forward_panels(const RecycledFloats& packed, int32_t stage, int64_t depth) const {
  const int64_t before = stage ? stage_vectors(numbers, 0, blocks()) * kernels.lanes * depth : 0;
  return {packed.get() + before, depth, numbers.stage_gates(stage) * blocks(), numbers.stage_width(stage)};
}

PackedLayer::PackedLayer(const CellKernels& cell, const Choices& choices, int64_t input, int64_t hidden,
                         const Weights& weights, const KernelTable& kernels, int threads)
    : cell(cell),
      numbers(cell.numbers),
      choices(choices),
      input(input),
      hidden(hidden),
      gates(cell.numbers.gates),
      has_bias(weights.b_ih != nullptr),
      kernels(kernels) {
  const int64_t lanes = kernels.lanes;
  // Panels of W^T: each vector of columns is a block of rows of W [G H, depth].
  const auto pack_forward = [&](const float* w, int64_t depth, RecycledFloats& packed) {
    int64_t floats = 0;
    for (int32_t stage = 0; stage < numbers.stages(); ++stage)
      floats += stage_vectors(numbers, stage, blocks()) * lanes * depth;
    packed = RecycledFloats(floats);
    Team team = team_for(gates * pitch() * depth, threads);
    team.run([&](int index) {
      for (int32_t stage = 0; stage < numbers.stages(); ++stage) {
        const Panels to = forward_panels(packed, stage, depth);
        const int64_t stage_gates = numbers.stage_gates(stage);
        const Range own = share(to.vectors, index, team.size());
        for (int64_t vector = own.begin; vector < own.end; ++vector) {
          const int32_t gate = numbers.stage_first(stage) + static_cast<int32_t>(vector % stage_gates);
          const int64_t block = vector / stage_gates;
          const int64_t rows = cell.has_weights(choices, gate) ? std::min(lanes, hidden - block * lanes) : 0;
          const GatePlace place = vector_place(to, vector, lanes);
          kernels.transpose({w + (gate * hidden + block * lanes) * depth, depth, rows, depth,
                             const_cast<float*>(place.data), place.width});
        }
      }
    });
  };
  pack_forward(weights.w_ih, input, forward_ih_);
  pack_forward(weights.w_hh, hidden, forward_hh_);

  const int64_t columns = gates * pitch();
  bias_ = RecycledFloats(2 * columns);
  float* bias = bias_.get();
  std::fill_n(bias, 2 * columns, 0.0f);
  for (int32_t stage = 0; has_bias && stage < numbers.stages(); ++stage) {
    for (int64_t block = 0, column = product_offset(stage); block < blocks(); ++block) {
      for (int32_t i = 0; i < numbers.stage_gates(stage); ++i, column += lanes) {
        const int32_t gate = numbers.stage_first(stage) + i;
        if (!cell.has_weights(choices, gate)) continue;
        const int64_t row = gate * hidden + block * lanes, count = std::min(lanes, hidden - block * lanes);
        const bool joined = numbers.joined >> gate & 1;
        for (int64_t lane = 0; lane < count; ++lane) {
          bias[column + lane] = weights.b_ih[row + lane] + (joined ? weights.b_hh[row + lane] : 0.0f);
          bias[columns + column + lane] = joined ? 0.0f : weights.b_hh[row + lane];
        }
      }
    }
  }
}

void PackedLayer::prepare_backward_ih(int threads) const {
  std::call_once(prepared_ih_, [&] {
    std::vector<int32_t> all;
    for (int32_t gate = 0; gate < numbers.gates; ++gate) all.push_back(gate);
    backward_ih_ = pack_backward(kernels, all, blocks(), input, threads, [&](int32_t gate, int64_t block) {
      const int32_t stage = gate < numbers.late ? 0 : 1;
      return vector_place(forward_ih(stage), block * numbers.stage_gates(stage) + gate - numbers.stage_first(stage),
                          kernels.lanes);
    });
  });
}

void PackedLayer::prepare_backward_hh(int threads) const {
  std::call_once(prepared_hh_, [&] {
    for (int32_t stage = 0; stage < numbers.stages(); ++stage) {
      const int32_t first = numbers.stage_first(stage), count = numbers.stage_gates(stage);
      std::vector<int32_t> order;  // in that of the gradients: a gate whose recurrent half has its own comes first
      if (numbers.apart >= 0) order.push_back(numbers.apart);
      for (int32_t gate = first; gate < first + count; ++gate)
        if (gate != numbers.apart) order.push_back(gate);
      backward_hh_[stage] = pack_backward(kernels, order, blocks(), hidden, threads, [&](int32_t gate, int64_t block) {
        return vector_place(forward_hh(stage), block * count + gate - first, kernels.lanes);
      });
    }
  });
}

}  // namespace tidegate
