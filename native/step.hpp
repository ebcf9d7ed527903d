// One time step of one layer: what whole sequences and single steps have in common.
#pragma once
#include <algorithm>
#include <cassert>

#include "parallel.hpp"
#include "rounded_rows.hpp"
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
  // `room` has room for `room_floats` floats, if the layer is not packed and there are several rows.
  LayerSteps(const PackedLayer& layer, bool streams_trace, int index, int size, float* room = nullptr)
      : layer_(layer), packed_(layer.forward_is_prepared()), room_(room) {
    for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage) {
      calls_[stage] = layer.forward_step(stage);
      calls_[stage].streams_trace = streams_trace;
      calls_[stage].panels = share(calls_[stage].w_hh.count(), index, size);
    }
  }

  // One step of the first `rows` rows, x, products and trace of which may be null. `wait` lets the threads wait for
  // each other.
  template <class Wait>
  void take(const StepPointers& at, int64_t rows, bool backwards, const Wait& wait) {
    for (int32_t stage = 0; stage < layer_.numbers.stages(); ++stage) {
      if (stage) wait();
      ForwardStep& call = calls_[stage];
      call.x = at.x;
      call.products = at.products;
      call.read = stage ? at.late : at.h;
      call.h = at.h;
      call.y = at.y;
      call.c_before = at.c_before;
      call.c = at.c;
      call.trace = at.trace;
      if (call.tiles.rows != rows)  // most often as many as at the step before
        call.tiles = {rows, tile_height(rows, layer_.kernels.tile_rows[call.w_hh.width], 1), 0, 1};
      call.backwards = backwards;
      const bool in_place = !packed_ && rows == 1;
      assert(!in_place || !call.products);
      call.rows_ih = in_place ? layer_.rows_ih(stage) : WeightRows{};
      call.rows_hh = in_place ? layer_.rows_hh(stage) : WeightRows{};
      round_rows(call, layer_.kernels);
      if (packed_ || in_place) {
        layer_.cell.forward(call);
      } else if (rows > 1) {
        pack_and_run(call);
      }
    }
  }

  // What a step of a layer that is not packed needs to work in.
  static int64_t room_floats(const PackedLayer& layer) {
    int64_t floats = 0;
    if (layer.forward_is_prepared()) return floats;
    for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage)
      floats = std::max(floats, panel_floats(layer, stage));
    return floats;
  }

 private:
  static int64_t panel_floats(const PackedLayer& layer, int32_t stage) {
    return layer.numbers.stage_width(stage) * layer.kernels.lanes * (layer.input + layer.hidden);
  }

  // Packs the panels of a stage as they are needed, one at a time, which all rows read from a near cache.
  void pack_and_run(ForwardStep& call) const {
    assert(room_);
    const Range own = call.panels;
    for (int64_t panel = own.begin; panel < own.end; ++panel) {
      call.panels = {panel, panel + 1};
      call.w_hh = layer_.pack_hh(call.stage, call.panels, room_);
      float* rest = room_ + call.w_hh.depth * call.w_hh.width * layer_.kernels.lanes;
      call.w_ih = layer_.pack_ih(call.stage, call.panels, rest);
      layer_.cell.forward(call);
    }
    call.panels = own;
  }

  const PackedLayer& layer_;
  const bool packed_;
  float* const room_;
  ForwardStep calls_[CellNumbers::kMostStages];
};

// A cell with late gates keeps what they read in a trace, if need be one of a single step that every step overwrites.
inline int64_t scratch_trace_floats(const PackedLayer& layer) {
  return layer.numbers.stages() > 1 ? layer.numbers.traced * layer.hidden : 0;
}

}  // namespace tidegate
