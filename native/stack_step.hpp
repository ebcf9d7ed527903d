// One step of a stack of layers whose weights are read where they are, from tensors to tensors.
#pragma once
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "sequence.hpp"
#include "tensors.hpp"

namespace tidegate {

// The layers of a stack in one direction, as they were declared.
struct StackShape {
  const KernelTable& kernels;
  const CellKernels& cell;
  Choices choices;
  int64_t L, I, H;
  int64_t per_layer;  // weights: w_ih, w_hh and, with bias, b_ih, b_hh

  // Whether a tensor is the weight of this place in a list.
  bool is_weight(const TensorView& weight, int64_t place) const {
    const int64_t l = place / per_layer, kind = place % per_layer, rows = cell.numbers.gates * H;
    if (!weight.ok || !weight.contiguous()) return false;
    return kind > 1 ? weight.is({rows}) : weight.is({rows, kind ? H : l ? H : I});
  }
};

// Takes the step, or returns false and has done nothing: what does not fit is for the caller to say, or to do
// otherwise. x is [1, B, I], [B, 1, I] or, if `single`, [1, I]; states are [L, B, H] or [L, H], S of them or none for
// zeros; results are y in the form of x and S states.
inline bool step_tensors(const Tensors& tensors, const StackShape& shape, const nb::list& weights, nb::handle x_tensor,
                         const nb::tuple& before_tensors, const nb::tuple& results, bool batch_first, int threads) {
  const int64_t L = shape.L, I = shape.I, H = shape.H;
  const size_t S = static_cast<size_t>(shape.cell.numbers.states);
  const TensorView x = tensors.view(x_tensor);
  if (!x.ok || x.axes() < 2 || x.axes() > 3) return false;
  const bool single = x.axes() == 2;
  const int row_axis = batch_first && !single ? 0 : 1;
  const int64_t B = single ? 1 : x.size(row_axis);
  if (x.count() == 0 || x.count() != B * I || x.size(x.axes() - 1) != I || !x.contiguous(x.axes() - 1)) return false;

  const auto is_state = [&](const TensorView& state) {
    return state.ok && state.contiguous() && (single ? state.is({L, H}) : state.is({L, B, H}));
  };
  StepCall call{};
  call.B = B;
  call.x = x.data();
  call.x_row = single ? I : x.stride(row_axis);
  if (nb::len(before_tensors) != 0 && nb::len(before_tensors) != S) return false;
  for (size_t s = 0; s < nb::len(before_tensors); ++s) {
    const TensorView state = tensors.view(before_tensors[s]);
    if (!is_state(state)) return false;
    call.before[s] = state.data();
  }
  const TensorView y = tensors.view(results[0]);
  if (!y.ok || !y.contiguous() || y.count() != B * H) return false;
  for (size_t s = 0; s < S; ++s) {
    const TensorView state = tensors.view(results[1 + s]);
    if (!is_state(state)) return false;
    call.after[s] = state.data();
  }
  const int64_t count = static_cast<int64_t>(nb::len(weights));
  if (count != L * shape.per_layer) return false;
  std::vector<const float*> addresses(static_cast<size_t>(L * 4));
  for (int64_t i = 0; i < count; ++i) {
    const TensorView weight = tensors.view(weights[static_cast<size_t>(i)]);
    if (!shape.is_weight(weight, i)) return false;
    addresses[static_cast<size_t>(i / shape.per_layer * 4 + i % shape.per_layer)] = weight.data();
  }

  nb::gil_scoped_release release;
  std::vector<std::unique_ptr<PackedLayer>> layers;
  std::vector<const PackedLayer*> pointers;
  for (int64_t l = 0; l < L; ++l) {
    const float* const* of = &addresses[static_cast<size_t>(l * 4)];
    layers.push_back(std::make_unique<PackedLayer>(shape.cell, shape.choices, l ? H : I, H,
                                                   Weights{of[0], of[1], of[2], of[3]}, shape.kernels));
    pointers.push_back(layers.back().get());
  }
  step(pointers.data(), L, call, threads);
  std::copy_n(call.after[0] + (L - 1) * B * H, B * H, y.data());
  return true;
}

}  // namespace tidegate
