#include <algorithm>
#include <cassert>

#include "lookup.hpp"
#include "parallel.hpp"
#include "rounded_rows.hpp"
#include "schedule.hpp"
#include "step.hpp"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tidegate {
namespace {

// Makes what this thread has stored past the caches visible to the others before anything that it stores later.
inline void finish_streams() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

constexpr int64_t kProductRows = 256;     // rows of input products that are prepared at once
constexpr int64_t kFewStates = 4 * 1024;  // floats that the nearest cache takes beside the weights

enum Purpose { kRead, kWrite };
template <Purpose purpose, class Pointer>
void prefetch(Pointer* rows, int64_t count, Range columns) {
  for (int64_t row = 0; row < count; ++row)
    for (int64_t i = columns.begin; i < columns.end; i += kLine) __builtin_prefetch(rows[row] + i, purpose);
}

// The products x W_ih of those rows of a table that a batch reads.
struct TableProducts {
  const Lookup& lookup;
  RecycledFloats products;  // [rows][G pitch]
};

TableProducts multiply_table(const PackedLayer& layer, const ForwardPass& pass, const Lookup& lookup, Team& team) {
  if (!lookup) return {lookup, RecycledFloats()};
  const int64_t rows = lookup.rows();
  TableProducts table{lookup, RecycledFloats(rows * layer.gates * layer.pitch())};
  Scratch& scratch = Scratch::of_team();
  scratch.reserve(Scratch::bytes<float*>(rows));
  const float** x = scratch.take<const float*>(rows);
  for (int64_t i = 0; i < rows; ++i) x[i] = pass.x.at(0, lookup.table_row(i));
  team.run([&](int index) {
    for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage) {
      InputProducts call = layer.input_products(stage, x, table.products.get());
      call.tiles = {rows, layer.kernels.tile_rows[call.w_ih.width], index, team.size()};
      multiply_inputs(call, layer.kernels);
    }
  });
  return table;
}

// The walk over all steps of one schedule: by one thread, or by a team that shares the units of each step. The state
// has no memory of its own: a step reads it from where the step before has written its output.
class ForwardRun {
 public:
  ForwardRun(const PackedLayer& layer, const Batch& batch, const ForwardPass& pass, const Schedule& schedule,
             const TableProducts& table, int size)
      : layer_(layer),
        batch_(batch),
        pass_(pass),
        schedule_(schedule),
        table_(table),
        rows_(schedule.rows()),
        products_first_(!table.lookup && schedule.steps() > 1 && wants_products_first(layer, rows_)),
        packs_inputs_(products_first_ && !layer.inputs_are_prepared()),
        trace_floats_(layer.numbers.traced * layer.hidden),
        scratch_trace_floats_(pass.trace ? 0 : scratch_trace_floats(layer)),
        c_(pass.c ? pass.c : in_place(batch, pass)),
        states_are_few_(rows_ * layer.hidden <= kFewStates),
        streams_y_(may_stream(pass.y, layer.hidden)),
        streams_trace_(layer.numbers.stages() == 1 && layer.kernels.lanes % kLine == 0 &&
                       may_stream(pass.trace, trace_floats_)),
        width_(layer.gates * layer.pitch()),
        chunk_(std::max<int64_t>(1, kProductRows / std::max<int64_t>(rows_, 1))) {
    Scratch& scratch = Scratch::local();
    const int64_t product_rows = products_first_ ? chunk_ * rows_ : 0;
    const int64_t room = std::max(LayerSteps::room_floats(layer), packs_inputs_ ? input_panel_floats(layer) : 0);
    scratch.reserve(Scratch::bytes<float>(layer.hidden) + Scratch::bytes<float>(product_rows * width_) +
                    Scratch::bytes<float*>(product_rows) + Scratch::bytes<float>(rows_ * scratch_trace_floats_) +
                    size * Scratch::bytes<float>(room) + Scratch::bytes<Tables>(size) +
                    size * 2 * StepPointers::kArrays * Scratch::bytes<float*>(rows_));
    zeros_ = scratch.take<float>(layer.hidden);
    products_ = scratch.take<float>(product_rows * width_);
    product_x_ = scratch.take<const float*>(product_rows);
    tables_ = scratch.take<Tables>(size);
    for (int index = 0; index < size; ++index)
      for (StepPointers& to : tables_[index].of) {
        to = StepPointers::take(scratch, rows_);
        if (!products_first_ && !table.lookup) to.products = nullptr;
        if (!pass.trace && !scratch_trace_floats_) to.trace = nullptr;
      }
    scratch_trace_ = scratch.take<float>(rows_ * scratch_trace_floats_);
    for (int index = 0; index < size; ++index) tables_[index].room = scratch.take<float>(room);
    std::fill_n(zeros_, layer.hidden, 0.0f);
  }

  // Whether a walk of these sequences by one thread, or by threads that share units, multiplies all inputs at once:
  // then each panel of W_ih is used once, and is packed only for that.
  static bool uses_inputs_once(const PackedLayer& layer, const Batch& batch) {
    return batch.T > 1 && !batch.lengths && !batch.ids && !layer.multiplies_pairs() &&
           wants_products_first(layer, batch.B) && batch.T * batch.B <= kProductRows;
  }

  // The part of thread `index` of the team, or all of it when there is none.
  void run(int index = 0, Team* team = nullptr) {
    const int size = team ? team->size() : 1;
    const auto wait = [&] {
      if (team) team->barrier(index);
    };
    Tables& own = tables_[index];
    LayerSteps steps(layer_, streams_trace_, index, size, own.room);
    const Columns wanted = columns(index, size);
    if (schedule_.steps() > 0) point(own, 0);
    for (int64_t step = 0; step < schedule_.steps(); ++step) {
      const bool goes_on = step + 1 < schedule_.steps();
      if (products_first_ && step % chunk_ == 0) prepare_products(step, index, team);
      if (goes_on) {
        point(own, step + 1);
        prefetch_step(own.at(step + 1), schedule_.active(step + 1), wanted);
      }
      steps.take(own.at(step), schedule_.active(step), step % 2 == 1, wait);
      if (!team) continue;
      team->barrier(index);
      if (goes_on && states_are_few_)  // those of the others come at once, and not as the products reach them
        prefetch<kRead>(own.at(step + 1).h, schedule_.active(step + 1), {0, layer_.hidden});
    }
    const Range rows = share(rows_, index, size), times = share(batch_.T, index, size);
    for (int64_t row = rows.begin; row < rows.end; ++row) finish(row);
    if (!batch_.step_start) {
      clear_padding(pass_.y, layer_.hidden, streams_y_, times);
      if (pass_.clears_trace && pass_.trace) clear_padding(pass_.trace, trace_floats_, streams_trace_, times);
      if (pass_.clears_trace && pass_.c) clear_padding(pass_.c, layer_.hidden, false, times);
    }
    finish_streams();
  }

 private:
  // Those of even and of odd steps: one is filled while the other is read. Each thread has its own: to read what
  // another one has just written takes longer than to compute it again.
  struct Tables {
    StepPointers of[2];
    float* room;  // for panels that are packed as they are needed

    StepPointers& at(int64_t step) { return of[step % 2]; }
  };

  // The second state where only the last one is wanted: it is read and written in one place.
  static Rows in_place(const Batch& batch, const ForwardPass& pass) { return {pass.h_n[1], 0, batch.H, nullptr}; }

  // With few rows a step is too small a product to be efficient, and weights that no cache holds should be read for as
  // many rows as possible: then the products of the inputs are made for many steps at once.
  static bool wants_products_first(const PackedLayer& layer, int64_t rows) {
    return rows < layer.kernels.tile_rows[3] / 2 ||
           (rows <= kProductRows / 2 && layer.gates * layer.hidden * layer.input * 4 > kFarBytes);
  }

  static int64_t input_panel_floats(const PackedLayer& layer) {
    int64_t vectors = 0;
    for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage)
      vectors = std::max<int64_t>(vectors, layer.numbers.stage_width(stage));
    return vectors * layer.kernels.lanes * layer.input;
  }

  // Whether the rows of an array will have left the caches before anybody wants them, so that they may be streamed past
  // those: whole cache lines, or a neighbour's would go too.
  bool may_stream(const Rows& array, int64_t columns) const {
    return array && batch_.T * batch_.B * columns * static_cast<int64_t>(sizeof(float)) > kFarBytes &&
           (layer_.hidden | array.step | array.row) % kLine == 0 &&
           reinterpret_cast<uintptr_t>(array.data) % kAlignment == 0;
  }

  void clear_padding(const Rows& array, int64_t columns, bool streams, Range times) const {
    schedule_.clear_padding(array, times, [&](float* row) {
      if (streams) {
        layer_.kernels.stream_zeros(row, columns);
      } else {
        std::fill_n(row, columns, 0.0f);
      }
    });
  }

  void point(Tables& tables, int64_t step) const {
    const StepPointers &to = tables.at(step), &last = tables.at(step + 1);
    const bool first = step == 0, two_states = layer_.numbers.states > 1;
    const int64_t rows = schedule_.active(step);
    if (!table_.lookup) schedule_.point<const float*>(pass_.x, step, to.x, first ? nullptr : last.x);
    schedule_.point(pass_.y, step, to.y, first ? nullptr : last.y);
    if (pass_.trace) schedule_.point(pass_.trace, step, to.trace, first ? nullptr : last.trace);
    schedule_.point_states(0, pass_.y, zeros_, step, to.h, first ? nullptr : last.y);
    if (two_states) {
      schedule_.point(c_, step, to.c, first ? nullptr : last.c);
      schedule_.point_states(1, c_, zeros_, step, to.c_before, first ? nullptr : last.c);
    }
    for (int64_t row = 0; products_first_ && row < rows; ++row)
      to.products[row] = products_ + (step % chunk_ * rows_ + row) * width_;
    for (int64_t row = 0; table_.lookup && row < rows; ++row)
      to.products[row] =
          table_.products.get() + table_.lookup.place(schedule_.time(step, row), schedule_.order(row)) * width_;
    for (int64_t row = 0; layer_.numbers.stages() > 1 && row < rows; ++row) {
      if (scratch_trace_floats_) to.trace[row] = scratch_trace_ + row * scratch_trace_floats_;
      to.late[row] = to.trace[row] + layer_.numbers.late_reads * layer_.hidden;
    }
  }

  // What a thread wants of the rows of a step: the columns of y and, of each stage, of the products of a table.
  struct Columns {
    Range y, products[CellNumbers::kMostStages];
  };

  Columns columns(int index, int size) const {
    const int32_t stages = layer_.numbers.stages(), last = stages - 1;  // the last one writes y
    const Range panels = share(layer_.forward_hh(last).count(), index, size);
    const int64_t units = layer_.panel_units(last);
    Columns own{{panels.begin * units, std::min(panels.end * units, layer_.hidden)}, {}};
    for (int32_t stage = 0; table_.lookup && stage < stages; ++stage) {
      const Panels w = layer_.forward_ih(stage);
      const Range mine = share(w.count(), index, size);
      const int64_t sums = w.width * layer_.kernels.lanes, offset = layer_.product_offset(stage);
      own.products[stage] = {offset + mine.begin * sums,
                             offset + std::min(mine.end * sums, w.vectors * layer_.kernels.lanes)};
    }
    return own;
  }

  // Prefetches what the next step will read and write, while this one computes: the steps of an array may lie pages
  // apart, where no processor looks by itself.
  void prefetch_step(const StepPointers& next, int64_t rows, const Columns& own) const {
    if (table_.lookup) {
      for (int32_t stage = 0; stage < layer_.numbers.stages(); ++stage)
        prefetch<kRead>(next.products, rows, own.products[stage]);
    } else if (!products_first_) {
      prefetch<kRead>(next.x, rows, {0, layer_.input});
    }
    prefetch<kWrite>(next.y, rows, own.y);
  }

  // x W_ih for the next `chunk_` steps of all rows. A row that has ended repeats the last one that has not; nobody
  // reads it.
  void prepare_products(int64_t first_step, int index, Team* team) {
    const int64_t rows = std::min(chunk_, schedule_.steps() - first_step) * rows_;
    for (int64_t i = 0; index == 0 && i < rows; ++i) {
      const int64_t step = first_step + i / rows_, row = std::min(i % rows_, schedule_.active(step) - 1);
      product_x_[i] = pass_.x.at(schedule_.time(step, row), schedule_.order(row));
    }
    if (team) team->barrier(index);
    for (int32_t stage = 0; stage < layer_.numbers.stages(); ++stage) {
      InputProducts call = layer_.input_products(stage, product_x_, products_);
      call.tiles = {rows, layer_.kernels.tile_rows[call.w_ih.width], 0, 1};
      const Range own = share(call.w_ih.count(), index, team ? team->size() : 1);
      call.panels = own;
      for (int64_t panel = own.begin; packs_inputs_ && panel < own.end; ++panel) {
        call.panels = {panel, panel + 1};
        call.w_ih = layer_.pack_ih(stage, call.panels, tables_[index].room);
        multiply_inputs(call, layer_.kernels);
      }
      if (!packs_inputs_) multiply_inputs(call, layer_.kernels);
    }
    if (team) team->barrier(index);
  }

  void finish(int64_t row) {
    const int64_t H = layer_.hidden, length = schedule_.length(row), b = schedule_.order(row);
    for (int32_t s = 0; s < layer_.numbers.states && pass_.h_n[s]; ++s) {
      const Rows& after = s ? c_ : pass_.y;
      const float* last = length > 0 ? after.at(schedule_.time(length - 1, row), b) : batch_.start(s, b, zeros_);
      float* to = pass_.h_n[s] + b * H;
      if (last != to) std::copy_n(last, H, to);
    }
  }

  const PackedLayer& layer_;
  const Batch& batch_;
  const ForwardPass& pass_;
  const Schedule& schedule_;
  const TableProducts& table_;
  const int64_t rows_;
  const bool products_first_, packs_inputs_;
  const int64_t trace_floats_, scratch_trace_floats_;  // of a step
  const Rows c_;
  const bool states_are_few_;
  const bool streams_y_, streams_trace_;  // a trace only by whole lines: halves, one panel apart, would go one by one
  const int64_t width_, chunk_;
  float *zeros_, *products_, *scratch_trace_;
  const float** product_x_;
  Tables* tables_;  // one for each thread
};

}  // namespace

void forward(const PackedLayer& layer, const Batch& batch, const ForwardPass& pass, int threads) {
  assert(batch.T * batch.B == 0 || (pass.x && pass.y));
  assert(layer.numbers.states == 1 || pass.h_n[1]);
  const Sharing sharing = choose_sharing(layer, batch, threads);
  Team team(sharing.threads, sharing.work);
  // Weights that are read once by one thread are not packed before, but as they are read.
  if (batch.T > 1 || batch.ids || (sharing.threads > 1 && !sharing.units) || layer.multiplies_pairs()) {
    const bool once = (sharing.units || team.size() == 1) && ForwardRun::uses_inputs_once(layer, batch);
    if (!once) layer.prepare_forward_ih(team);
    layer.prepare_forward_hh(team);
  }
  const Lookup lookup(batch);
  const TableProducts table = multiply_table(layer, pass, lookup, team);
  if (sharing.units && team.size() > 1) {
    const Schedule schedule(batch);
    ForwardRun run(layer, batch, pass, schedule, table, team.size());
    team.run([&](int index) { run.run(index, &team); });
  } else {
    team.run([&](int index) {
      const Schedule own(batch, index, team.size());
      ForwardRun(layer, batch, pass, own, table, 1).run();
    });
  }
}

}  // namespace tidegate
