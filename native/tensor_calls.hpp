// Calls from tensors to new tensors, as Python makes them. Each returns None, and has done nothing, if one of the
// tensors is unfit: what is wrong is for the caller to say.
#pragma once
#include <tuple>

#include "tensor_layer.hpp"
#include "tensor_memory.hpp"

namespace tidegate {

// Runs a stack over x and S states or none, followed by the weights if it does not keep them packed; returns y and S
// final states. See `StackCall::read`.
inline nb::object run_stack(const Tensors& tensors, StackWeights& stack, const nb::tuple& inputs, bool batch_first,
                            int threads) {
  const HeldMemory held(tensors, inputs);
  const TensorView x = held.ok && nb::len(inputs) > 0 ? tensors.view(inputs[0]) : TensorView();
  if (!x.ok || x.axes() < 2 || x.axes() > 3) return nb::none();
  const int64_t rows = stack.L * stack.D, width = stack.D * stack.H;
  const bool single = x.axes() == 2, flipped = batch_first && !single;
  const int64_t T = x.size(flipped ? 1 : 0), B = single ? 1 : x.size(flipped ? 0 : 1);
  Results results(tensors, 1 + static_cast<size_t>(stack.numbers().states));
  results.add(single ? Shape{T, width} : Shape{T, B, width});
  for (int32_t s = 0; s < stack.numbers().states; ++s)
    results.add(single ? Shape{rows, stack.H} : Shape{rows, B, stack.H});

  TensorReader reader(tensors, inputs, held.numbers());
  StackCall call{};
  if (!call.read(tensors, reader, stack, results.all(), batch_first)) return nb::none();
  {
    nb::gil_scoped_release release;
    call.run(stack, threads);
  }
  return results.all();
}

// Packs the weights of a stack; false if one is unfit.
inline bool pack_stack(const Tensors& tensors, StackWeights& stack, const nb::tuple& weights, int threads) {
  const HeldMemory held(tensors, weights);
  TensorReader reader(tensors, weights, held.numbers());
  if (!held.ok || !stack.read(reader)) return false;
  stack.keep_packed(threads);
  return true;
}

// Runs a layer; see `TensorLayer::forward`. Returns y, S final states, and K values of each step or None if K is 0.
inline nb::object forward_layer(const Tensors& tensors, StackWeights& weights, const Batch& rows,
                                const nb::tuple& inputs, int64_t K, bool clears_trace, int threads) {
  const HeldMemory held(tensors, inputs);
  if (!held.ok) return nb::none();
  TensorLayer layer(tensors, weights, rows);
  const int64_t D = weights.D, H = weights.H;
  const int32_t S = weights.numbers().states;
  Results results(tensors, 2 + static_cast<size_t>(S));
  results.add(layer.shape({}, {D * H}));
  for (int32_t s = 0; s < S; ++s) results.add({D, rows.B, H});
  results.add(layer.shape({D}, {K, H}), K > 0);
  TensorReader reader(tensors, inputs, held.numbers());
  return layer.forward(reader, results.all(), clears_trace, threads) ? nb::object(results.all()) : nb::none();
}

using Needed = std::tuple<bool, bool>;  // the gradients by x and by the states

// Walks a layer backwards; see `TensorLayer::backward`. Returns the gradients by x, by the states that are given, each
// None if it is not needed, and by the weights.
inline nb::object backward_layer(const Tensors& tensors, StackWeights& weights, const Batch& rows,
                                 const nb::tuple& inputs, const Needed& needed, int64_t trace_steps, int threads) {
  const HeldMemory held(tensors, inputs);
  const int64_t D = weights.D, H = weights.H, count = static_cast<int64_t>(weights.count());
  const int32_t S = weights.numbers().states;
  const int64_t given = static_cast<int64_t>(nb::len(inputs)) - count - 4 - S;  // beside x, y, saved and gradients
  if (!held.ok || (given != 0 && given != S)) return nb::none();
  TensorLayer layer(tensors, weights, rows);
  Results results(tensors, static_cast<size_t>(1 + given + count));
  const auto [by_x, by_states] = needed;
  results.add(rows.ids ? Shape{rows.table_rows, weights.I} : layer.shape({}, {weights.I}), by_x);
  for (int64_t s = 0; s < given; ++s) results.add({D, rows.B, H}, by_states);
  for (int64_t place = 0; place < count; ++place) results.add(weights.shape(place));
  TensorReader reader(tensors, inputs, held.numbers());
  return layer.backward(reader, results.all(), trace_steps, threads) ? nb::object(results.all()) : nb::none();
}

}  // namespace tidegate
