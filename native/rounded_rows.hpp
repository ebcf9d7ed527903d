// The rows that smaller weights are multiplied with: rounded to bfloat16, or for int8 to integers by a scale of their
// own, at their own step, so that no other row or step has a part in it.
#pragma once
#include <algorithm>
#include <cstdint>

#include "dispatch.hpp"
#include "memory.hpp"
#include "schedule.hpp"

namespace tidegate {

// The largest integer of a row: as much as 16 bits hold, or less, so that the int32 sum of `depth` products with int8
// cannot overflow.
inline int32_t most_of_row(int64_t depth) {
  return static_cast<int32_t>(std::min<int64_t>(INT16_MAX, INT32_MAX / (INT8_MAX * depth)));
}

class RowRounding {
 public:
  explicit RowRounding(const Panels& w) : depth_(w.depth), pairs_(w.pairs), integers_(w.element == Element::kInt8) {}

  bool needed() const { return pairs_ || integers_; }
  int64_t bytes(int64_t rows) const {
    return needed() ? Scratch::bytes<int16_t>(rows * stride()) + Scratch::bytes<float>(rows) : 0;
  }
  // Rounds the rows of some tiles; there is room for all.
  RoundedRows round(const float* const* rows, const Tiles& tiles, const KernelTable& kernels, Scratch& scratch) const {
    if (!needed() || !rows) return {};
    int16_t* data = scratch.take<int16_t>(tiles.rows * stride());
    float* scales = scratch.take<float>(tiles.rows);
    each_row(tiles, [&](int64_t row) {
      kernels.round_row({rows[row], depth_, data + row * stride(), integers_ ? most_of_row(depth_) : 0,
                         integers_ ? scales + row : nullptr});
    });
    return {data, stride(), scales, uses_dots()};
  }

 private:
  int64_t stride() const { return Scratch::bytes<int16_t>(depth_) / static_cast<int64_t>(sizeof(int16_t)); }

  const int64_t depth_;
  const bool pairs_, integers_;
};

// For one stage of a step.
inline void round_rows(ForwardStep& call, const KernelTable& kernels) {
  const RowRounding x(call.w_ih), read(call.w_hh);
  if (!x.needed() && !read.needed()) return;
  Scratch& scratch = Scratch::of_rows();
  scratch.reserve(x.bytes(call.tiles.rows) + read.bytes(call.tiles.rows));
  call.x_rounded = x.round(call.products ? nullptr : call.x, call.tiles, kernels, scratch);
  call.read_rounded = read.round(call.read, call.tiles, kernels, scratch);
}

// Input products of any number of rows, of which some at a time are rounded.
inline void multiply_inputs(InputProducts call, const KernelTable& kernels) {
  const RowRounding x(call.w_ih);
  const Tiles all = call.tiles;
  const int64_t turn = all.height * all.every, most = x.bytes(1) ? std::max<int64_t>(1, 256 / turn) * turn : all.rows;
  Scratch& scratch = Scratch::of_rows();
  for (int64_t first = 0; first < all.rows; first += most) {
    call.tiles.rows = std::min(most, all.rows - first);
    scratch.reserve(x.bytes(call.tiles.rows));
    call.x_rounded = x.round(call.x, call.tiles, kernels, scratch);
    kernels.input_products(call);
    call.x += call.tiles.rows;
    call.products += call.tiles.rows * call.pitch;
  }
}

// Products of the gradients of gates, with room for what is rounded of them.
inline void multiply_gates(GateProducts call, const KernelTable& kernels) {
  if (call.w.pairs) {
    const int64_t floats = call.tiles.rows * words(call.w.depth, true);
    Scratch& scratch = Scratch::of_rows();
    scratch.reserve(Scratch::bytes<float>(floats));
    call.room = scratch.take<float>(floats);
  }
  kernels.gate_products(call);
}

}  // namespace tidegate
