// From the gradients of gates to those of weights and inputs: products over many rows.
#pragma once
#include "packed_layer.hpp"
#include "parallel.hpp"
#include "rounded_rows.hpp"

namespace tidegate {

// Where the gradients of the weights are summed, in torch's layout: the caller's arrays, or a group's own.
struct WeightSums {
  float *w_ih, *w_hh, *b_ih, *b_hh;  // biases may be null
  // With a table, those of the products of each of its rows; w_ih is made of them at the end. [G blocks][rows][V]
  float* products;
};

// Gradients of the gates over some rows, and how thread `index` of `size` makes products of them.
struct GateRows {
  const float* dgates;
  int64_t stride, rows;
  float* room;  // of the thread: `weight_room` floats
  bool add;     // to what the sums hold
  int index, size;
};

// For products over so many rows.
inline int64_t weight_room(const PackedLayer& layer, int64_t rows) {
  return WeightGradients::room_floats(rows, layer.kernels.lanes, layer.multiplies_pairs());
}

// The products that make the gradients of the weights of some gates; of which matrix is for the caller to say.
inline WeightGradients weight_gradients(const PackedLayer& layer, const GateRows& in, int64_t gates) {
  WeightGradients call{};
  call.dgates = in.dgates;
  call.stride = in.stride;
  call.depth = in.rows;
  call.hidden = layer.hidden;
  call.gates = layer.gates;
  call.pairs = layer.multiplies_pairs();
  call.room = in.room;
  call.add = in.add;
  call.unit_tiles = share(gates * layer.pitch() / layer.kernels.unit_tile, in.index, in.size);
  return call;
}

// dx, which may be null, and the gradients of W_ih.
inline void input_gradients(const PackedLayer& layer, const GateRows& in, const float* const* x, float* const* dx,
                            float* w_ih) {
  if (dx) {
    const Panels w = layer.backward_ih();
    const Tiles tiles{in.rows, layer.kernels.tile_rows[3], in.index, in.size};
    multiply_gates({in.dgates, in.stride, layer.hidden, w, layer.input, dx, false, tiles, {0, w.count()}, nullptr, {}},
                   layer.kernels);
  }
  WeightGradients call = weight_gradients(layer, in, layer.gates);
  call.rows = x;
  call.columns = layer.input;
  call.sums = w_ih;
  layer.kernels.weight_gradients(call);
}

}  // namespace tidegate
