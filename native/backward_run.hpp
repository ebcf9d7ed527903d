// The backward pass over the rows of one schedule.
#pragma once
#include <algorithm>
#include <vector>

#include "lookup.hpp"
#include "schedule.hpp"
#include "sequence.hpp"
#include "weight_gradients.hpp"

namespace tidegate {

// Steps are walked in blocks of about this many rows, from the last block to the first. Within a block, the gradients
// of the gates come step by step; then those of the inputs and weights as products over all rows of the block, while it
// is still in the cache. Blocks depend on the lengths alone, so the sums of the weight gradients have one order
// whatever the number of threads. Sums that no cache holds are read and written for more rows at once.
inline int64_t block_rows(const PackedLayer& layer) { return layer.weights() * 4 > kFarBytes ? 512 : 128; }

struct Block {
  int64_t first_step, steps, rows;
};

inline std::vector<Block> cut_into_blocks(const Schedule& schedule, int64_t rows, int64_t most_steps) {
  std::vector<Block> blocks;
  for (int64_t step = 0; step < schedule.steps(); ++step) {
    if (blocks.empty() || blocks.back().rows >= rows || blocks.back().steps == most_steps)
      blocks.push_back({step, 0, 0});
    ++blocks.back().steps;
    blocks.back().rows += schedule.active(step);
  }
  return blocks;
}

// The walk back over all steps of one schedule: by one thread, or by a team. A team shares rows or, when those are too
// few, units; and in either case the products over the rows of a block.
class BackwardRun {
 public:
  BackwardRun(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, const Lookup& lookup,
              const Schedule& schedule, const WeightSums& sums, int size, bool units)
      : layer_(layer),
        batch_(batch),
        pass_(pass),
        lookup_(lookup),
        schedule_(schedule),
        sums_(sums),
        units_(units),
        prefetches_(!units && layer.weight_bytes() < kNearBytes),
        kernels_(layer.kernels),
        blocks_(cut_into_blocks(schedule, block_rows(layer), pass.trace_steps)),
        rows_(schedule.rows()),
        gate_blocks_(layer.numbers.gradients * layer.blocks()),
        late_(layer.numbers.stages() > 1),
        trace_floats_(layer.numbers.traced * layer.hidden),
        computes_trace_(layer.numbers.needs_trace && !pass.trace) {
    for (const Block& block : blocks_) capacity_ = std::max(capacity_, block.rows);
    stride_ = capacity_ * kernels_.lanes + kLine;  // not a power of two, or all blocks had one place in the near cache
    const int64_t dgates = gate_blocks_ * stride_, carry = rows_ * layer.pitch();
    const int64_t trace = computes_trace_ ? capacity_ * trace_floats_ : 0, late = late_ ? carry : 0;
    room_floats_ = weight_room(layer, capacity_);
    Scratch& scratch = Scratch::local();
    scratch.reserve(Scratch::bytes<float>(dgates) + 2 * Scratch::bytes<float>(carry) + Scratch::bytes<float>(late) +
                    Scratch::bytes<float>(trace) + Scratch::bytes<float>(layer.hidden) +
                    Scratch::bytes<float>(size * room_floats_) +
                    2 * Pointers::kArrays * Scratch::bytes<float*>(capacity_) + 2 * Scratch::bytes<float*>(rows_));
    dgates_ = scratch.take<float>(dgates);
    for (int32_t s = 0; s < layer.numbers.states; ++s) carry_[s] = scratch.take<float>(carry);
    late_gradients_ = scratch.take<float>(late);
    trace_ = scratch.take<float>(trace);
    zeros_ = scratch.take<float>(layer.hidden);
    rooms_ = scratch.take<float>(size * room_floats_);
    for (Pointers& pointers : pointers_) pointers = Pointers::take(scratch, capacity_);
    carry_of_ = scratch.take<float*>(rows_);
    late_of_ = scratch.take<float*>(rows_);
    for (int64_t row = 0; row < rows_; ++row) {
      carry_of_[row] = carry_[0] + row * layer.pitch();
      late_of_[row] = late_gradients_ + row * layer.pitch();
    }
    std::fill_n(zeros_, layer.hidden, 0.0f);
  }

  // The part of thread `index` of the team, or all of it when there is none. Its first thread keeps the tables.
  void run(int index = 0, Team* team = nullptr) {
    const int size = team ? team->size() : 1;
    const auto wait = [&] {
      if (team) team->barrier(index);
    };
    start(index, size);
    wait();
    for (int64_t i = static_cast<int64_t>(blocks_.size()) - 1; i >= 0; --i) {
      const Block& block = blocks_[i];
      const Pointers& pointers = pointers_[i % 2];
      if (index == 0) point(block, pointers);
      wait();
      if (computes_trace_) {
        compute_trace(block, pointers, index, size, wait);
        wait();
      }
      walk(block, pointers, index, size, wait);
      wait();
      // The other pointers take the next block's, which the first thread sets while others still read these.
      multiply(block, pointers, i + 1 < static_cast<int64_t>(blocks_.size()), index, size);
    }
    wait();
    finish(index, size);
  }

 private:
  // Rows of one block of steps: row k = offset of the step + row of the schedule.
  struct Pointers {
    const float **x, **h, **y, **c_before, **c, **dy, **late;
    float **trace, **dx;
    float** products;  // where the gradients of the products of the row of a table are summed

    static constexpr int kArrays = 10;
    static Pointers take(Scratch& scratch, int64_t rows) {
      const auto read = [&] { return scratch.take<const float*>(rows); };
      const auto written = [&] { return scratch.take<float*>(rows); };
      return {read(), read(), read(), read(), read(), read(), read(), written(), written(), written()};
    }
  };

  void start(int index, int size) {
    const int64_t H = layer_.hidden, pitch = layer_.pitch();
    const Range rows = share(rows_, index, size);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int32_t s = 0; s < layer_.numbers.states; ++s) {
        float* carry = carry_[s] + row * pitch;
        std::fill_n(carry, pitch, 0.0f);
        if (pass_.dh_n[s]) std::copy_n(pass_.dh_n[s] + schedule_.order(row) * H, H, carry);
        if (pass_.dh0[s]) std::fill_n(pass_.dh0[s] + schedule_.order(row) * H, H, 0.0f);
      }
    }
    if (lookup_) {
      const Range own = share(layer_.gates * layer_.blocks(), index, size);
      const int64_t block = lookup_.rows() * kernels_.lanes;
      std::fill_n(sums_.products + own.begin * block, (own.end - own.begin) * block, 0.0f);
    }
    if (!blocks_.empty()) return;  // the first block overwrites what the sums hold
    if (!lookup_) std::fill_n(sums_.w_ih, index == 0 ? layer_.gates * H * layer_.input : 0, 0.0f);
    std::fill_n(sums_.w_hh, index == 0 ? layer_.gates * H * H : 0, 0.0f);
    for (float* bias : {sums_.b_ih, sums_.b_hh}) std::fill_n(bias, bias && index == 0 ? layer_.gates * H : 0, 0.0f);
  }

  void point(const Block& block, const Pointers& to) {
    for (int64_t offset = 0, last = 0, i = 0; i < block.steps; ++i) {
      const int64_t step = block.first_step + i;
      const auto point = [&](const Rows& array, auto** all) {
        using Pointer = std::remove_reference_t<decltype(*all)>;
        schedule_.point<Pointer>(array, step, all + offset, i > 0 ? all + last : nullptr);
      };
      if (lookup_) {
        point_at_table(step, to.x + offset, to.products + offset);
      } else {
        point(pass_.x, to.x);
        point(pass_.dx, to.dx);
      }
      point(pass_.y, to.y);
      point(pass_.dy, to.dy);
      point(pass_.trace, to.trace);
      schedule_.point_states(0, pass_.y, zeros_, step, to.h + offset, i > 0 ? to.y + last : nullptr);
      if (layer_.numbers.states > 1) {
        point(pass_.c, to.c);
        schedule_.point_states(1, pass_.c, zeros_, step, to.c_before + offset, i > 0 ? to.c + last : nullptr);
      }
      last = offset;
      offset += schedule_.active(step);
    }
    for (int64_t k = 0; computes_trace_ && k < block.rows; ++k) to.trace[k] = trace_ + k * trace_floats_;
    for (int64_t k = 0; late_ && k < block.rows; ++k)
      to.late[k] = to.trace[k] + layer_.numbers.late_reads * layer_.hidden;
  }

  void point_at_table(int64_t step, const float** x, float** products) const {
    for (int64_t row = 0; row < schedule_.active(step); ++row) {
      const int64_t place = lookup_.place(schedule_.time(step, row), schedule_.order(row));
      x[row] = pass_.x.at(0, lookup_.table_row(place));
      products[row] = sums_.products + place * kernels_.lanes;
    }
  }

  // Units of thread `index` when those are shared, in blocks; else all.
  Range own_units(int index, int size) const {
    if (!units_) return {0, layer_.blocks()};
    const Range panels = own_panels(index, size);
    return {std::min(panels.begin * 3, layer_.blocks()), std::min(panels.end * 3, layer_.blocks())};
  }
  Range own_panels(int index, int size) const {
    const int64_t panels = layer_.unit_panels();
    return units_ ? share(panels, index, size) : Range{0, panels};
  }

  // The forward steps of a block once more, all at once since their states are known, for the gates alone.
  template <class Wait>
  void compute_trace(const Block& block, const Pointers& pointers, int index, int size, const Wait& wait) {
    const Range units = own_units(index, size);
    for (int32_t stage = 0; stage < layer_.numbers.stages(); ++stage) {
      if (stage) wait();
      const int64_t blocks = layer_.numbers.panel_blocks(stage);  // of units; own units begin with a panel
      ForwardStep call = layer_.forward_step(stage);
      call.x = pointers.x;
      call.read = stage ? pointers.late : pointers.h;
      call.h = pointers.h;
      call.c_before = pointers.c_before;
      call.trace = pointers.trace;
      const int64_t height = kernels_.tile_rows[call.w_hh.width];
      call.tiles = units_ ? Tiles{block.rows, height, 0, 1} : Tiles{block.rows, height, index, size};
      call.panels = {units.begin / blocks, (units.end + blocks - 1) / blocks};
      round_rows(call, kernels_);
      layer_.cell.forward(call);
    }
  }

  // Back over the steps of a block: gate gradients, then what they hand to the state before.
  template <class Wait>
  void walk(const Block& block, const Pointers& pointers, int index, int size, const Wait& wait) {
    const Range units = own_units(index, size), panels = own_panels(index, size);
    const int64_t most = kernels_.tile_rows[3];
    Tiles tiles =
        units_ ? Tiles{0, tile_height(rows_, most, 1), 0, 1} : Tiles{0, tile_height(rows_, most, size), index, size};
    int64_t offset = block.rows;
    for (int64_t step = block.first_step + block.steps - 1; step >= block.first_step; --step) {
      tiles.rows = schedule_.active(step);
      offset -= tiles.rows;
      float* dgates = dgates_ + offset * kernels_.lanes;
      GateGradients gates = gate_gradients(pointers, offset, dgates, tiles, units);
      layer_.cell.gradients(gates);
      if (late_) {
        if (units_) wait();
        GateProducts products = state_products(1, dgates, late_of_, false, tiles, panels);
        multiply_gates(products, kernels_);
        gates.call = 1;
        layer_.cell.gradients(gates);
      }
      if (step == 0 && !pass_.dh0[0]) break;  // nobody asks what reaches the states that the rows start from
      if (units_) wait();
      GateProducts products = state_products(0, dgates, carry_of_, true, tiles, panels);
      if (step > block.first_step && prefetches_)
        prefetch_step(pointers, offset - schedule_.active(step - 1), products);
      multiply_gates(products, kernels_);
      if (batch_.episode_starts) cut_at_starts(step, tiles, units);
    }
  }

  // Of a step whose rows start at `offset` of the block.
  GateGradients gate_gradients(const Pointers& pointers, int64_t offset, float* dgates, const Tiles& tiles,
                               Range units) const {
    GateGradients call{};
    call.choices = layer_.choices;
    call.hidden = layer_.hidden;
    call.dy = pass_.dy ? pointers.dy + offset : nullptr;
    call.trace = pointers.trace + offset;
    call.h = pointers.h + offset;
    call.y = pointers.y + offset;
    call.c_before = pointers.c_before + offset;
    call.c = pointers.c + offset;
    call.carry_h = carry_[0];
    call.carry_c = carry_[1];
    call.late = late_gradients_;
    call.pitch = layer_.pitch();
    call.dgates = dgates;
    call.stride = stride_;
    call.tiles = tiles;
    call.blocks = units;
    return call;
  }

  // What the gates of one stage hand back to what they multiplied U with.
  GateProducts state_products(int32_t stage, const float* dgates, float* const* out, bool add, const Tiles& tiles,
                              Range panels) const {
    const float* first = dgates + layer_.numbers.stage_first(stage) * layer_.blocks() * stride_;
    return {first,   stride_, layer_.hidden, layer_.backward_hh(stage), layer_.pitch(), out, add, tiles, panels,
            nullptr, {}};
  }

  // Lets some products prefetch what the gate gradients of the rows from k on read next.
  void prefetch_step(const Pointers& pointers, int64_t k, GateProducts& products) const {
    const float* const* states = layer_.numbers.states > 1    ? pointers.c_before
                                 : layer_.numbers.reads_after ? pointers.y
                                                              : pointers.h;
    products.ahead[0] = {states + k, layer_.hidden};
    if (layer_.numbers.needs_trace && pass_.trace) products.ahead[1] = {pointers.trace + k, trace_floats_};
    if (pass_.dy) products.ahead[2] = {pointers.dy + k, layer_.hidden};
  }

  // What reaches the start of an episode goes no further: it belongs to h0, or to nobody.
  void cut_at_starts(int64_t step, const Tiles& tiles, Range units) {
    const int64_t first = units.begin * kernels_.lanes, end = std::min(units.end * kernels_.lanes, layer_.hidden);
    each_row(tiles, [&](int64_t row) {
      if (!schedule_.starts_episode(step, row)) return;
      for (int32_t s = 0; s < layer_.numbers.states; ++s) {
        float* carry = carry_[s] + row * layer_.pitch();
        float* dh0 = pass_.dh0[s] ? pass_.dh0[s] + schedule_.order(row) * layer_.hidden : nullptr;
        for (int64_t unit = first; unit < end; ++unit) {
          if (batch_.episodes_from_h0 && dh0) dh0[unit] += carry[unit];
          carry[unit] = 0.0f;
        }
      }
    });
  }

  // The products over all rows of a block: dx by rows; weight and bias gradients by gate units.
  void multiply(const Block& block, const Pointers& pointers, bool add, int index, int size) {
    const int64_t blocks = layer_.blocks();
    float* dgates = dgates_;
    float* dgates_ih = layer_.numbers.apart >= 0 ? dgates + blocks * stride_ : dgates;  // behind those apart
    GateRows gates{dgates_ih, stride_, block.rows, rooms_ + index * room_floats_, add, index, size};
    if (lookup_) {
      const Range own = share(layer_.gates * blocks, index, size);
      for (int64_t b = own.begin; b < own.end; ++b)
        kernels_.row_sums(
            {dgates_ih + b * stride_, pointers.products, b * lookup_.rows() * kernels_.lanes, block.rows});
    } else {
      input_gradients(layer_, gates, pointers.x, pass_.dx ? pointers.dx : nullptr, sums_.w_ih);
    }
    for (int32_t stage = 0; stage < layer_.numbers.stages(); ++stage) {
      const int32_t first = layer_.numbers.stage_first(stage);
      gates.dgates = dgates + first * blocks * stride_;
      WeightGradients call = weight_gradients(layer_, gates, layer_.numbers.stage_gates(stage));
      call.first_gate = layer_.numbers.apart >= 0 ? layer_.numbers.apart : first;
      call.rows = stage ? pointers.late : pointers.h;
      call.columns = layer_.hidden;
      call.sums = sums_.w_hh;
      kernels_.weight_gradients(call);
    }

    if (sums_.b_ih) add_biases(dgates, block.rows, add, index, size);
  }

  // Both biases of a gate have one gradient, but where the recurrent half has its own.
  void add_biases(const float* dgates, int64_t depth, bool add, int index, int size) {
    const int64_t H = layer_.hidden, gate = layer_.blocks() * stride_, apart = layer_.numbers.apart;
    for (int64_t g = index; g < layer_.gates; g += size) {
      kernels_.bias_gradients({dgates + (apart >= 0 ? g + 1 : g) * gate, stride_, depth, H, sums_.b_ih + g * H, add});
      if (g != apart) std::copy_n(sums_.b_ih + g * H, H, sums_.b_hh + g * H);
    }
    if (apart >= 0 && index == size - 1)
      kernels_.bias_gradients({dgates, stride_, depth, H, sums_.b_hh + apart * H, add});
  }

  void finish(int index, int size) {
    const int64_t H = layer_.hidden;
    const Range rows = share(pass_.dh0[0] ? rows_ : 0, index, size);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int32_t s = 0; s < layer_.numbers.states; ++s) {
        float *dh0 = pass_.dh0[s] + schedule_.order(row) * H, *carry = carry_[s] + row * layer_.pitch();
        for (int64_t unit = 0; unit < H; ++unit) dh0[unit] += carry[unit];
      }
    }
    if (pass_.dx && !batch_.step_start && !lookup_)
      schedule_.clear_padding(pass_.dx, share(batch_.T, index, size),
                              [&](float* row) { std::fill_n(row, layer_.input, 0.0f); });
  }

  const PackedLayer& layer_;
  const Batch& batch_;
  const BackwardPass& pass_;
  const Lookup& lookup_;
  const Schedule& schedule_;
  const WeightSums sums_;
  const bool units_;
  const bool prefetches_;  // larger layers have more time, and no room in a near cache
  const KernelTable& kernels_;
  const std::vector<Block> blocks_;
  const int64_t rows_, gate_blocks_;
  const bool late_;
  const int64_t trace_floats_;  // of a step
  const bool computes_trace_;
  int64_t capacity_ = 0;
  int64_t stride_ = 0;                           // of dgates
  int64_t room_floats_;
  float* dgates_;                                // of one block
  float* carry_[CellNumbers::kMostStates] = {};  // gradients of the states, [rows][pitch] each
  float *late_gradients_, *trace_, *zeros_, *rooms_;
  float **carry_of_, **late_of_;                 // their rows, of h
  Pointers pointers_[2] = {};
};

}  // namespace tidegate
