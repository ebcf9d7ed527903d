// The weights of one recurrent layer in one direction, laid out for the kernels of one instruction set.
#pragma once
#include <mutex>

#include "kernel_table.hpp"
#include "memory.hpp"

namespace tidegate {

// Pointers in torch's layout: w_ih [G H, I], w_hh [G H, H], b_ih and b_hh [G H] or null; gates in the order r, z, n.
struct Weights {
  const float *w_ih, *w_hh, *b_ih, *b_hh;
};

constexpr int64_t kNearBytes = int64_t{1} << 20;  // a core keeps as much in a cache of its own
constexpr int64_t kFarBytes = int64_t{8} << 20;   // no cache holds more, beside other things

class PackedLayer {
 public:
  // Copies the weights. `kernels` stays with the layer: this is where the instruction set is chosen.
  PackedLayer(const Cell& cell, int64_t input, int64_t hidden, const Weights& weights, const KernelTable& kernels,
              int threads);

  const Cell cell;
  const int64_t input, hidden;  // I, H
  const int64_t gates;          // G: 3 for the GRU, 1 for the RNN
  const bool has_bias;
  const KernelTable& kernels;

  int64_t blocks() const { return (hidden + kernels.lanes - 1) / kernels.lanes; }  // of V units
  int64_t pitch() const { return blocks() * kernels.lanes; }                       // H rounded up to V
  int64_t dgate_gates() const { return cell == Cell::kGru ? 4 : 1; }               // hn, r, z, n; as many are traced

  // Of both weights together; from kFarBytes on no cache holds them.
  int64_t weight_bytes() const { return gates * hidden * (input + hidden) * static_cast<int64_t>(sizeof(float)); }

  // Forward: columns are gate units. Backward: depth is padded gate units, columns are inputs or units.
  Panels forward_ih() const { return {forward_ih_.get(), input, gates * blocks()}; }
  Panels forward_hh() const { return {forward_hh_.get(), hidden, gates * blocks()}; }
  Panels backward_ih() const {
    return {backward_ih_.get(), gates * pitch(), (input + kernels.lanes - 1) / kernels.lanes};
  }
  Panels backward_hh() const { return {backward_hh_.get(), gates * pitch(), blocks()}; }
  // Of one panel of the forward pass: a GRU's holds the three gates of one block, an RNN's three blocks.
  int64_t panel_units() const { return kernels.lanes * (cell == Cell::kGru ? 1 : 3); }
  const float* bias_x() const { return bias_.get(); }
  const float* bias_h() const { return bias_.get() + gates * pitch(); }

  // What all steps of this layer have in common.
  ForwardStep forward_step() const {
    ForwardStep step{};
    step.cell = cell;
    step.hidden = hidden;
    step.w_ih = forward_ih();
    step.w_hh = forward_hh();
    step.bias_x = bias_x();
    step.bias_h = bias_h();
    return step;
  }

  // Packs a layout that only the backward pass needs, the first time that it is asked; safe from several threads.
  void prepare_backward_ih(int threads) const;
  void prepare_backward_hh(int threads) const;

 private:
  RecycledFloats forward_ih_, forward_hh_, bias_;
  mutable std::once_flag prepared_ih_, prepared_hh_;
  mutable RecycledFloats backward_ih_, backward_hh_;
};

}  // namespace tidegate
