// All kernels of one instruction set. CMake compiles this file once per instruction set, with TIDEGATE_KERNELS naming
// the one symbol that the object exports. Nothing of the C++ standard library may be included here: an inline function
// compiled with AVX-512 flags could be the copy that the linker keeps for everyone.
#include "cells/list.hpp"
#include "gauges.hpp"
#include "products.hpp"

namespace {

using namespace tidegate;

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

}  // namespace

namespace tidegate {

extern const KernelTable TIDEGATE_KERNELS;
const KernelTable TIDEGATE_KERNELS = {TIDEGATE_KERNELS_NAME,
                                      kLanes,
                                      {0, rows_of_width(1), rows_of_width(2), rows_of_width(3), rows_of_width(4)},
                                      {0, group_of_width(1), group_of_width(2), group_of_width(3), group_of_width(4)},
                                      kUnitTile,
                                      kCells,
                                      kCellCount,
                                      input_products,
                                      round_row,
                                      kPairRows,
                                      gate_products,
                                      weight_gradients,
                                      bias_gradients,
                                      row_sums,
                                      transpose,
                                      stream_zeros,
                                      activation,
                                      multiply_adds,
                                      read_floats};

}  // namespace tidegate
