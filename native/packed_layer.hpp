// The weights of one recurrent layer in one direction, and their layouts for the kernels of one instruction set.
#pragma once
#include <mutex>
#include <vector>

#include "kernel_table.hpp"
#include "memory.hpp"
#include "parallel.hpp"

namespace tidegate {

// Pointers in torch's layout: w_ih [G H, I], w_hh [G H, H], b_ih and b_hh [G H] or null.
struct Weights {
  const float *w_ih, *w_hh, *b_ih, *b_hh;
};

// The two matrices of a layer in smaller numbers, in torch's layout, and of int8 the scale of each row [G H].
struct SmallWeights {
  Element element;
  const void *w_ih, *w_hh;
  const float *scales_ih, *scales_hh;
};

constexpr int64_t kNearBytes = int64_t{1} << 20;  // a core keeps as much in a cache of its own
constexpr int64_t kFarBytes = int64_t{8} << 20;   // no cache holds more, beside other things

class PackedLayer {
 public:
  // Reads the weights where they are; the caller keeps them there, as they are, until `keep_packed` has been called. A
  // pass packs them when it first needs to. A single step mostly does not: one row reads them in their place, and
  // several rows pack a panel at a time. A layer that is not packed yet belongs to one call at a time. `kernels` stays
  // with the layer: this is where the instruction set is chosen. With `pairs` all products are of pairs of bfloat16,
  // to which weights and what multiplies them are rounded, summed in float32; everything else stays float32.
  PackedLayer(const CellKernels& cell, const Choices& choices, int64_t input, int64_t hidden, const Weights& weights,
              const KernelTable& kernels, bool pairs = false);
  // Packs the weights and forgets where they were.
  void keep_packed(int threads);
  // The same for smaller weights, which come in the place of those that the constructor was given: only the forward
  // pass can use them.
  void keep_small(const SmallWeights& weights, int threads);

  const CellKernels& cell;
  const CellNumbers& numbers;   // of the cell
  const Choices choices;
  const int64_t input, hidden;  // I, H
  const int64_t gates;          // G
  const bool has_bias;
  const KernelTable& kernels;

  int64_t blocks() const { return (hidden + kernels.lanes - 1) / kernels.lanes; }  // of V units
  int64_t pitch() const { return blocks() * kernels.lanes; }                       // H rounded up to V

  int64_t weights() const { return gates * hidden * (input + hidden); }            // of both matrices together
  // Their bytes; from kFarBytes on no cache holds them.
  int64_t weight_bytes() const { return weights() * element_bytes(element_); }
  Element element() const { return element_; }
  bool multiplies_pairs() const { return pairs_; }

  // Forward: columns are the gate units of a stage. Backward: depth is padded gate units, all or those of a stage, and
  // columns are inputs or units.
  Panels forward_ih(int32_t stage) const { return scaled(forward_panels(forward_ih_, stage, input), stage, 0); }
  Panels forward_hh(int32_t stage) const { return scaled(forward_panels(forward_hh_, stage, hidden), stage, 1); }
  // Some of those panels, packed into `to` from where the weights are.
  Panels pack_ih(int32_t stage, Range panels, float* to) const {
    return pack_panels(weights_.w_ih, input, stage, panels, to);
  }
  Panels pack_hh(int32_t stage, Range panels, float* to) const {
    return pack_panels(weights_.w_hh, hidden, stage, panels, to);
  }
  // The weights of a stage where they are.
  WeightRows rows_ih(int32_t stage) const { return rows(weights_.w_ih, input, stage); }
  WeightRows rows_hh(int32_t stage) const { return rows(weights_.w_hh, hidden, stage); }
  Panels backward_ih() const {
    return {backward_ih_.get(), gates * pitch(), (input + kernels.lanes - 1) / kernels.lanes, 3, 0, element_, pairs_};
  }
  Panels backward_hh(int32_t stage) const {
    return {backward_hh_[stage].get(), numbers.stage_gates(stage) * pitch(), blocks(), 3, 0, element_, pairs_};
  }
  int64_t unit_panels() const { return (blocks() + 2) / 3; }  // of backward_hh: as many threads can share the units

  // Units of one panel of the forward pass.
  int64_t panel_units(int32_t stage) const { return kernels.lanes * numbers.panel_blocks(stage); }
  // Where the columns of a stage begin in a row of the products of all gates, and in the biases.
  int64_t product_offset(int32_t stage) const { return numbers.stage_first(stage) * pitch(); }
  const float* bias_x(int32_t stage) const { return bias_.get() + product_offset(stage); }
  const float* bias_h(int32_t stage) const { return bias_x(stage) + gates * pitch(); }

  // What all steps of this layer have in common.
  ForwardStep forward_step(int32_t stage) const {
    ForwardStep step{};
    step.choices = choices;
    step.stage = stage;
    step.hidden = hidden;
    step.w_ih = forward_ih(stage);
    step.w_hh = forward_hh(stage);
    step.bias_x = bias_x(stage);
    step.bias_h = bias_h(stage);
    step.product_offset = product_offset(stage);
    return step;
  }
  // bias + x W_ih of some rows x for all gates, into rows that lie gates * pitch() apart: the part of one stage.
  InputProducts input_products(int32_t stage, const float* const* x, float* products) const {
    InputProducts call{};
    call.w_ih = forward_ih(stage);
    call.bias = bias_x(stage);
    call.x = x;
    call.products = products + product_offset(stage);
    call.pitch = gates * pitch();
    call.panels = {0, call.w_ih.count()};
    return call;
  }

  // Packs a layout the first time that it is needed, by the team of the pass that needs it: a thread that waits for
  // another team's work to end may fall asleep meanwhile.
  void prepare_forward(Team& team) const {
    prepare_forward_ih(team);
    prepare_forward_hh(team);
  }
  void prepare_forward_ih(Team& team) const;
  void prepare_forward_hh(Team& team) const;
  bool inputs_are_prepared() const { return forward_ih_.get() != nullptr; }
  bool forward_is_prepared() const { return forward_hh_.get() != nullptr; }
  void prepare_backward_ih(Team& team) const;
  void prepare_backward_hh(int32_t stage, Team& team) const;

 private:
  // Floats that the panels of one stage take, the last panel filled up.
  int64_t stage_floats(int32_t stage, int64_t depth) const {
    const int64_t width = numbers.stage_width(stage), bytes = element_bytes(element_);
    const int64_t vectors = (numbers.stage_gates(stage) * blocks() + width - 1) / width * width;
    return vectors * kernels.lanes * stored_depth(element_, depth) * bytes / static_cast<int64_t>(sizeof(float));
  }
  // The weights of all stages, one after the other.
  Panels forward_panels(const RecycledFloats& packed, int32_t stage, int64_t depth) const;
  Panels scaled(Panels panels, int32_t stage, int64_t matrix) const {
    if (const float* all = scales_.get()) panels.scales = all + matrix * gates * pitch() + product_offset(stage);
    return panels;
  }
  RecycledFloats pack_small(const void* w, int64_t depth, int threads) const;
  void pack_scales(const float* scales, float* to) const;
  Panels pack_panels(const float* w, int64_t depth, int32_t stage, Range panels, float* to) const;
  int64_t forward_floats(int64_t depth) const;
  RecycledFloats pack_forward(const float* w, int64_t depth, Team& team) const;
  WeightRows rows(const float* w, int64_t depth, int32_t stage) const {
    const bool several = numbers.stage_gates(stage) > 1;  // gates side by side, or blocks of a single one
    return {w + numbers.stage_first(stage) * hidden * depth, depth, several ? hidden : kernels.lanes,
            panel_units(stage)};
  }
  void pack_vectors(const float* w, const Panels& panels, int32_t stage, Range vectors, float* to) const;
  RecycledFloats pack_backward(const std::vector<int32_t>& order, const float* w, const RecycledFloats& forward,
                               int64_t columns, Team& team) const;

  Weights weights_;  // null once they are kept packed
  const bool pairs_;
  Element element_;
  RecycledFloats bias_, scales_;
  mutable std::once_flag prepared_forward_ih_, prepared_forward_hh_, prepared_ih_,
      prepared_hh_[CellNumbers::kMostStages];
  mutable RecycledFloats forward_ih_, forward_hh_, backward_ih_, backward_hh_[CellNumbers::kMostStages];
};

}  // namespace tidegate
