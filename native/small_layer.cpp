// Layers whose weights are kept in smaller numbers than float32.
#include <algorithm>

#include "packed_layer.hpp"
#include "parallel.hpp"

namespace tidegate {
namespace {

// Puts a vector of columns into a panel: `rows` rows of W, in pairs of depth.
template <class T>
void pack_pairs(const T* from, int64_t rows, int64_t depth, T* to, int64_t lanes, int64_t width) {
  for (int64_t k = 0; k < depth + depth % 2; k += 2, to += width * lanes * 2)
    for (int64_t lane = 0; lane < lanes; ++lane)
      for (int64_t i = 0; i < 2; ++i)
        to[lane * 2 + i] = lane < rows && k + i < depth ? from[lane * depth + k + i] : T{0};
}

}  // namespace

RecycledFloats PackedLayer::pack_small(const void* w, int64_t depth, int threads) const {
  const int64_t lanes = kernels.lanes;
  int64_t floats = 0;
  for (int32_t stage = 0; stage < numbers.stages(); ++stage) floats += stage_floats(stage, depth);
  RecycledFloats packed(floats);
  const auto pack = [&](auto* from, const Panels& panels, int32_t stage, Range vectors) {
    auto* data =
        reinterpret_cast<std::remove_const_t<std::remove_pointer_t<decltype(from)>>*>(const_cast<float*>(panels.data));
    const int64_t stage_gates = numbers.stage_gates(stage), stored = stored_depth(element_, depth);
    for (int64_t vector = vectors.begin; vector < vectors.end; ++vector) {
      const int32_t gate = numbers.stage_first(stage) + static_cast<int32_t>(vector % stage_gates);
      const int64_t block = vector / stage_gates, panel = vector / panels.width;
      const int64_t width = std::min<int64_t>(panels.width, panels.vectors - panel * panels.width);
      const int64_t rows = cell.has_weights(choices, gate) ? std::min(lanes, hidden - block * lanes) : 0;
      pack_pairs(from + (gate * hidden + block * lanes) * depth, rows, depth,
                 data + (panel * stored * panels.width + vector % panels.width * 2) * lanes, lanes, width);
    }
  };
  Team team(threads);
  team.run([&](int index) {
    for (int32_t stage = 0; stage < numbers.stages(); ++stage) {
      const Panels panels = forward_panels(packed, stage, depth);
      const Range own = share(panels.vectors, index, team.size());
      if (element_ == Element::kInt8) {
        pack(static_cast<const int8_t*>(w), panels, stage, own);
      } else {
        pack(static_cast<const uint16_t*>(w), panels, stage, own);
      }
    }
  });
  return packed;
}

void PackedLayer::pack_scales(const float* scales, float* to) const {
  for (int32_t stage = 0; stage < numbers.stages(); ++stage) {
    for (int64_t block = 0, column = product_offset(stage); block < blocks(); ++block) {
      for (int32_t i = 0; i < numbers.stage_gates(stage); ++i, column += kernels.lanes) {
        const int64_t unit = block * kernels.lanes;
        std::copy_n(scales + (numbers.stage_first(stage) + i) * hidden + unit, std::min(kernels.lanes, hidden - unit),
                    to + column);
      }
    }
  }
}

void PackedLayer::keep_small(const SmallWeights& weights, int threads) {
  std::call_once(prepared_forward_ih_, [&] {
    element_ = weights.element;
    const int64_t columns = gates * pitch();
    scales_ = RecycledFloats(2 * columns);
    std::fill_n(scales_.get(), 2 * columns, 0.0f);
    if (weights.scales_ih) {
      pack_scales(weights.scales_ih, scales_.get());
      pack_scales(weights.scales_hh, scales_.get() + columns);
    }
    forward_ih_ = pack_small(weights.w_ih, input, threads);
  });
  std::call_once(prepared_forward_hh_, [&] { forward_hh_ = pack_small(weights.w_hh, hidden, threads); });
  weights_ = {};
}

}  // namespace tidegate
