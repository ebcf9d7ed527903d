// Calls from tensors to new tensors, as Python makes them. Each returns None, and has done nothing, if one of the
// tensors is unfit: what is wrong is for the caller to say.
#pragma once
#include <tuple>

#include "tensor_layer.hpp"

namespace tidegate {

// Runs a stack over x and S states or none, followed by the weights if it does not keep them packed; returns y and S
// final states. See `StackCall::read`.
inline nb::object run_stack(const Tensors& tensors, StackWeights& stack, const nb::tuple& inputs, bool batch_first,
                            int threads) {
  const HeldMemory held(tensors, inputs);
  TensorReader reader(tensors, inputs, held.numbers());
  StackCall call{};
  if (!held.ok || !call.read(reader, stack, batch_first)) return nb::none();
  const int32_t S = stack.numbers().states;
  Results results(tensors, 1 + static_cast<size_t>(S));
  call.y = results.add(call.y_shape(stack));
  for (int32_t s = 0; s < S; ++s) call.after[s] = results.add(call.state_shape(stack));
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

// Runs a layer; see `TensorLayer::forward`.
inline nb::object forward_layer(const Tensors& tensors, StackWeights& weights, const Batch& rows,
                                const nb::tuple& inputs, int64_t K, bool clears_trace, int threads) {
  const HeldMemory held(tensors, inputs);
  TensorReader reader(tensors, inputs, held.numbers());
  Results results(tensors, 2 + static_cast<size_t>(weights.numbers().states));
  TensorLayer layer(weights, rows);
  if (!held.ok || !layer.forward(reader, results, K, clears_trace, threads)) return nb::none();
  return results.all();
}

using Needed = std::tuple<bool, bool>;  // the gradients by x and by the states

// Walks a layer backwards; see `TensorLayer::backward`. A gradient for each tensor that the forward pass read.
inline nb::object backward_layer(const Tensors& tensors, StackWeights& weights, const Batch& rows,
                                 const nb::tuple& inputs, const Needed& needed, int64_t trace_steps, int threads) {
  const HeldMemory held(tensors, inputs);
  TensorReader reader(tensors, inputs, held.numbers());
  const int64_t others = 3 + weights.numbers().states, read = reader.left() - others;
  if (!held.ok || read < 0) return nb::none();
  Results results(tensors, static_cast<size_t>(read));
  TensorLayer layer(weights, rows);
  const auto [dx, dstates] = needed;
  if (!layer.backward(reader, results, dx, dstates, trace_steps, threads)) return nb::none();
  return results.all();
}

}  // namespace tidegate
