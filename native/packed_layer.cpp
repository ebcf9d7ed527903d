#include "packed_layer.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace tidegate {
namespace {

int64_t panel_width(const Panels& w, int64_t panel, int64_t lanes) {
  return std::min<int64_t>(w.width, w.vectors - panel * w.width) * lanes;
}

// Where one vector of columns is in the data of a matrix: one block of the units of one gate, gates side by side.
struct VectorPlace {
  int64_t offset, width;  // width: floats from one row to the next
};

VectorPlace vector_place(const Panels& w, int64_t vector, const KernelTable& kernels) {
  const int64_t panel = vector / w.width, place = vector % w.width, lanes = kernels.lanes;
  const int64_t width = std::min(panel_width(w, panel, lanes), kernels.tile_group[w.width] * lanes);
  const int64_t group = place * lanes / width * width;
  return {((panel - w.first) * w.width * lanes + group) * words(w.depth, w.pairs) + place * lanes - group, width};
}

// Some rows of a matrix in words, `stride` apart.
struct WordRows {
  const float* first;
  int64_t stride;
};

// Rounds `count` rows of `depth` to pairs of bfloat16.
WordRows rounded_rows(const float* from, int64_t count, int64_t depth, const KernelTable& kernels) {
  Scratch& scratch = Scratch::of_rows();
  const int64_t stride = Scratch::bytes<int16_t>(depth) / static_cast<int64_t>(sizeof(int16_t));
  scratch.reserve(Scratch::bytes<int16_t>(count * stride));
  int16_t* to = scratch.take<int16_t>(count * stride);
  for (int64_t row = 0; row < count; ++row)
    kernels.round_row({from + row * depth, depth, to + row * stride, 0, nullptr});
  return {reinterpret_cast<const float*>(to), stride / 2};
}

}  // namespace

Panels PackedLayer::forward_panels(const RecycledFloats& packed, int32_t stage, int64_t depth) const {
  const int64_t before = stage ? stage_floats(0, depth) : 0;
  float* data = packed.get() ? packed.get() + before : nullptr;  // not packed yet
  return {data, depth, numbers.stage_gates(stage) * blocks(), numbers.stage_width(stage), 0, element_, pairs_};
}

// Vectors of W^T for rows of W [G H, depth], into the panels of a stage whose data are `to`.
void PackedLayer::pack_vectors(const float* w, const Panels& panels, int32_t stage, Range vectors, float* to) const {
  const int64_t lanes = kernels.lanes, stage_gates = numbers.stage_gates(stage);
  for (int64_t vector = vectors.begin; vector < vectors.end; ++vector) {
    const int32_t gate = numbers.stage_first(stage) + static_cast<int32_t>(vector % stage_gates);
    const int64_t block = vector / stage_gates;
    const int64_t rows = cell.has_weights(choices, gate) ? std::min(lanes, hidden - block * lanes) : 0;
    const VectorPlace place = vector_place(panels, vector, kernels);
    WordRows from{w + (gate * hidden + block * lanes) * panels.depth, panels.depth};
    if (pairs_) from = rounded_rows(from.first, rows, panels.depth, kernels);
    kernels.transpose({from.first, from.stride, rows, words(panels.depth, pairs_), to + place.offset, place.width});
  }
}

int64_t PackedLayer::forward_floats(int64_t depth) const {
  int64_t floats = 0;
  for (int32_t stage = 0; stage < numbers.stages(); ++stage) floats += stage_floats(stage, depth);
  return floats;
}

RecycledFloats PackedLayer::pack_forward(const float* w, int64_t depth, Team& team) const {
  RecycledFloats packed(forward_floats(depth));
  team.run([&](int index) {
    for (int32_t stage = 0; stage < numbers.stages(); ++stage) {
      const Panels panels = forward_panels(packed, stage, depth);
      pack_vectors(w, panels, stage, share(panels.vectors, index, team.size()), const_cast<float*>(panels.data));
    }
  });
  return packed;
}

Panels PackedLayer::pack_panels(const float* w, int64_t depth, int32_t stage, Range panels, float* to) const {
  const int32_t width = numbers.stage_width(stage);
  const Panels packed{to, depth, numbers.stage_gates(stage) * blocks(), width, panels.begin};
  pack_vectors(w, packed, stage, {panels.begin * width, std::min(panels.end * width, packed.vectors)}, to);
  return packed;
}

PackedLayer::PackedLayer(const CellKernels& cell, const Choices& choices, int64_t input, int64_t hidden,
                         const Weights& weights, const KernelTable& kernels, bool pairs)
    : cell(cell),
      numbers(cell.numbers),
      choices(choices),
      input(input),
      hidden(hidden),
      gates(cell.numbers.gates),
      has_bias(weights.b_ih != nullptr),
      kernels(kernels),
      weights_(weights),
      pairs_(pairs),
      element_(pairs ? Element::kBfloat16 : Element::kFloat32),
      bias_(2 * gates * pitch()) {
  const int64_t lanes = kernels.lanes, columns = gates * pitch();
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

void PackedLayer::keep_packed(int threads) {
  constexpr int64_t kThreadFloats = int64_t{1} << 16;  // that are worth waking threads for
  Team team(weight_bytes() < kThreadFloats * 4 ? 1 : threads);
  prepare_forward(team);
  weights_ = {};
}

void PackedLayer::prepare_forward_ih(Team& team) const {
  std::call_once(prepared_forward_ih_, [&] { forward_ih_ = pack_forward(weights_.w_ih, input, team); });
}

void PackedLayer::prepare_forward_hh(Team& team) const {
  std::call_once(prepared_forward_hh_, [&] { forward_hh_ = pack_forward(weights_.w_hh, hidden, team); });
}

// The backward layout: W itself [gates H, columns], gate by gate in the order given, each padded to whole blocks. It is
// copied from W, or turned back from the panels of W^T.
RecycledFloats PackedLayer::pack_backward(const std::vector<int32_t>& order, const float* w,
                                          const RecycledFloats& forward, int64_t columns, Team& team) const {
  const int64_t lanes = kernels.lanes, depth = static_cast<int64_t>(order.size()) * pitch();
  const Panels to{nullptr, depth, (columns + lanes - 1) / lanes, 3};
  const int64_t word_rows = words(depth, pairs_);
  RecycledFloats packed(to.count() * word_rows * 3 * lanes);
  const auto row_of = [&](int64_t k) -> const float* {
    const int32_t gate = order[static_cast<size_t>(k / pitch())];
    const int64_t unit = k % pitch();
    return unit < hidden && cell.has_weights(choices, gate) ? w + (gate * hidden + unit) * columns : nullptr;
  };
  // Row k of the layout, in words: a row of W is read once, from its start to its end, and each panel gets its columns.
  const auto copy = [&](int64_t k) {
    const float *from = row_of(pairs_ ? 2 * k : k), *high = pairs_ ? row_of(2 * k + 1) : nullptr;
    for (int64_t panel = 0, first = 0; panel < to.count(); ++panel, first += 3 * lanes) {
      const int64_t width = panel_width(to, panel, lanes), count = from ? std::min(width, columns - first) : 0;
      float* out = packed.get() + panel * word_rows * 3 * lanes + k * width;
      if (pairs_ && count > 0) {
        kernels.pair_rows({from + first, high ? high + first : nullptr, count, out});
      } else if (count > 0) {
        std::copy_n(from + first, count, out);
      }
      std::fill_n(out + count, width - count, 0.0f);
    }
  };
  const auto turn_back = [&](int32_t gate, int64_t block, int64_t column, float* out, int64_t width) {
    const int32_t stage = gate < numbers.late ? 0 : 1;
    const int64_t vector = block * numbers.stage_gates(stage) + gate - numbers.stage_first(stage);
    const Panels panels = forward_panels(forward, stage, columns);
    const VectorPlace from = vector_place(panels, vector, kernels);
    kernels.transpose({panels.data + from.offset + column * from.width, from.width, std::min(lanes, columns - column),
                       lanes, out, width});
  };
  team.run([&](int index) {
    if (w) {
      const Range own = share(word_rows, index, team.size());
      for (int64_t k = own.begin; k < own.end; ++k) copy(k);
      return;
    }
    const Range own = share(to.vectors, index, team.size());
    for (int64_t vector = own.begin; vector < own.end; ++vector) {  // of columns
      const int64_t panel = vector / 3, width = panel_width(to, panel, lanes);
      float* out = packed.get() + panel * depth * 3 * lanes + vector % 3 * lanes;
      for (const int32_t gate : order)
        for (int64_t block = 0; block < blocks(); ++block, out += lanes * width)
          turn_back(gate, block, vector * lanes, out, width);
    }
  });
  return packed;
}

void PackedLayer::prepare_backward_ih(Team& team) const {
  std::call_once(prepared_ih_, [&] {
    std::vector<int32_t> all;
    for (int32_t gate = 0; gate < numbers.gates; ++gate) all.push_back(gate);
    backward_ih_ = pack_backward(all, weights_.w_ih, forward_ih_, input, team);
  });
}

void PackedLayer::prepare_backward_hh(int32_t stage, Team& team) const {
  std::call_once(prepared_hh_[stage], [&] {
    const int32_t first = numbers.stage_first(stage), count = numbers.stage_gates(stage);
    std::vector<int32_t> order;  // in that of the gradients: a gate whose recurrent half has its own comes first
    if (numbers.apart >= 0) order.push_back(numbers.apart);
    for (int32_t gate = first; gate < first + count; ++gate)
      if (gate != numbers.apart) order.push_back(gate);
    backward_hh_[stage] = pack_backward(order, weights_.w_hh, forward_hh_, hidden, team);
  });
}

}  // namespace tidegate
