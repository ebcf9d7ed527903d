// The rows that int8 weights are multiplied with: each rounded to integers by a scale of its own, at its own step, so
// that no other row or step has a part in it.
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
  explicit RowRounding(const Panels& w) : depth_(w.depth), needed_(w.element == Element::kInt8) {}

  int64_t bytes(int64_t rows) const {
    return needed_ ? Scratch::bytes<int16_t>(rows * stride()) + Scratch::bytes<float>(rows) : 0;
  }
  // Rounds the rows of some tiles; there is room for all.
  IntegerRows round(const float* const* rows, const Tiles& tiles, const KernelTable& kernels, Scratch& scratch) const {
    if (!needed_ || !rows) return {};
    int16_t* data = scratch.take<int16_t>(tiles.rows * stride());
    float* scales = scratch.take<float>(tiles.rows);
    each_row(tiles, [&](int64_t row) {
      kernels.round_row({rows[row], depth_, most_of_row(depth_), data + row * stride(), scales + row});
    });
    return {data, stride(), scales, uses_dots()};
  }

 private:
  int64_t stride() const { return Scratch::bytes<int16_t>(depth_) / static_cast<int64_t>(sizeof(int16_t)); }

  const int64_t depth_;
  const bool needed_;
};

// For one stage of a step.
inline void round_rows(ForwardStep& call, const KernelTable& kernels) {
  const RowRounding x(call.w_ih), read(call.w_hh);
  Scratch& scratch = Scratch::of_rows();
  scratch.reserve(x.bytes(call.tiles.rows) + read.bytes(call.tiles.rows));
  call.x_integers = x.round(call.products ? nullptr : call.x, call.tiles, kernels, scratch);
  call.read_integers = read.round(call.read, call.tiles, kernels, scratch);
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
    call.x_integers = x.round(call.x, call.tiles, kernels, scratch);
    kernels.input_products(call);
    call.x += call.tiles.rows;
    call.products += call.tiles.rows * call.pitch;
  }
}

}  // namespace tidegate
