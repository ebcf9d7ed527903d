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

// The steps of one layer, or the part of them that belongs to thread `index` of the `size` that share its units. What
// all steps have in common is put down once.
class LayerSteps {
 public:
  LayerSteps(const PackedLayer& layer, bool streams_trace, int index, int size) : layer_(layer) {
    for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage) {
      calls_[stage] = layer.forward_step(stage);
      calls_[stage].streams_trace = streams_trace;
      calls_[stage].panels = share(calls_[stage].w_hh.count(), index, size);
    }
  }

  // One step of the first `rows` rows, x, products and trace of which may be null. `meet` lets the threads wait for
  // each other.
  template <class Meet>
  void take(const StepPointers& at, int64_t rows, bool backwards, const Meet& meet) {
    for (int32_t stage = 0; stage < layer_.numbers.stages(); ++stage) {
      if (stage) meet();
      ForwardStep& call = calls_[stage];
      call.x = at.x;
      call.products = at.products;
      call.read = stage ? at.late : at.h;
      call.h = at.h;
      call.y = at.y;
      call.c_before = at.c_before;
      call.c = at.c;
      call.trace = at.trace;
      call.tiles = {rows, tile_height(rows, layer_.kernels.tile_rows[call.w_hh.width], 1), 0, 1};
      call.backwards = backwards;
      layer_.cell.forward(call);
    }
  }

 private:
  const PackedLayer& layer_;
  ForwardStep calls_[CellNumbers::kMostStages];
};

// A cell with late gates keeps what they read in a trace, if need be one of a single step that every step overwrites.
inline int64_t scratch_trace_floats(const PackedLayer& layer) {
  return layer.numbers.stages() > 1 ? layer.numbers.traced * layer.hidden : 0;
}

}  // namespace tidegate
