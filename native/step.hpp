// One time step of one layer: what whole sequences and single steps have in common.
#pragma once
#include "parallel.hpp"
#include "schedule.hpp"
#include "sequence.hpp"

namespace tidegate {

// Where the rows of one step are read and written.
struct StepPointers {
  const float **x, **products, **h, **c_before;
  float **y, **c, **trace;
  const float** late;  // what late gates multiply U with

  static constexpr int kArrays = 8;
  static StepPointers take(Scratch& scratch, int64_t rows) {
    const auto read = [&] { return scratch.take<const float*>(rows); };
    const auto written = [&] { return scratch.take<float*>(rows); };
    return {read(), read(), read(), read(), written(), written(), written(), read()};
  }
  // Those of all rows but the first ones.
  StepPointers from(int64_t row) const {
    return {x + row, products ? products + row : nullptr, h + row,   c_before + row, y + row,
            c + row, trace ? trace + row : nullptr,       late + row};
  }
};

// The part of one step that belongs to a share of the units of some rows; `meet` lets the threads wait for each other.
// x, products and trace may be null.
template <class Meet>
void one_step(const PackedLayer& layer, const StepPointers& at, int64_t rows, int index, int size, bool streams_trace,
              bool backwards, const Meet& meet) {
  for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage) {
    if (stage) meet();
    ForwardStep call = layer.forward_step(stage);
    call.x = at.x;
    call.products = at.products;
    call.read = stage ? at.late : at.h;
    call.h = at.h;
    call.y = at.y;
    call.c_before = at.c_before;
    call.c = at.c;
    call.trace = at.trace;
    call.streams_trace = streams_trace;
    call.tiles = {rows, tile_height(rows, layer.kernels.tile_rows[call.w_hh.width], 1), 0, 1};
    call.panels = share(call.w_hh.count(), index, size);
    call.backwards = backwards;
    layer.cell.forward(call);
  }
}

// A cell with late gates keeps what they read in a trace, if need be one of a single step that every step overwrites.
inline int64_t scratch_trace_floats(const PackedLayer& layer) {
  return layer.numbers.stages() > 1 ? layer.numbers.traced * layer.hidden : 0;
}

}  // namespace tidegate
