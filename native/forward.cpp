#include <algorithm>
#include <cassert>

#include "lookup.hpp"
#include "parallel.hpp"
#include "schedule.hpp"
#include "sequence.hpp"
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

// Calls for some columns of some rows, so that they are in the nearest cache when they are wanted.
enum Purpose { kRead, kWrite };
template <Purpose purpose, class Pointer>
void fetch(Pointer* rows, int64_t count, Range columns) {
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
    InputProducts call{layer.cell, layer.forward_ih(), layer.bias_x(), x, table.products.get(), {}, {}};
    call.tiles = {rows, layer.kernels.tile_rows, index, team.size()};
    call.panels = {0, call.w_ih.count()};
    layer.kernels.input_products(call);
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
        trace_floats_(layer.dgate_gates() * layer.hidden),
        states_are_few_(rows_ * layer.hidden <= kFewStates),
        streams_y_(may_stream(pass.y, layer.hidden)),
        streams_trace_(may_stream(pass.trace, trace_floats_)),
        width_(layer.gates * layer.pitch()),
        chunk_(std::max<int64_t>(1, kProductRows / std::max<int64_t>(rows_, 1))) {
    Scratch& scratch = Scratch::local();
    const int64_t product_rows = products_first_ ? chunk_ * rows_ : 0;
    scratch.reserve(Scratch::bytes<float>(layer.hidden) + Scratch::bytes<float>(product_rows * width_) +
                    Scratch::bytes<float*>(product_rows) +
                    size * (Scratch::bytes<Tables>(1) + 10 * Scratch::bytes<float*>(rows_)));
    zeros_ = scratch.take<float>(layer.hidden);
    products_ = scratch.take<float>(product_rows * width_);
    product_x_ = scratch.take<const float*>(product_rows);
    tables_ = scratch.take<Tables>(size);
    for (int index = 0; index < size; ++index)
      for (Pointers& p : tables_[index].of)
        p = {scratch.take<const float*>(rows_), scratch.take<const float*>(rows_), scratch.take<const float*>(rows_),
             scratch.take<float*>(rows_), scratch.take<float*>(rows_)};
    std::fill_n(zeros_, layer.hidden, 0.0f);
  }

  // The part of thread `index` of the team, or all of it when there is none.
  void run(int index = 0, Team* team = nullptr) {
    const int size = team ? team->size() : 1;
    const Range panels = share(layer_.forward_hh().count(), index, size);
    Tables& own = tables_[index];
    if (schedule_.steps() > 0) point(own, 0);
    for (int64_t step = 0; step < schedule_.steps(); ++step) {
      const bool goes_on = step + 1 < schedule_.steps();
      if (products_first_ && step % chunk_ == 0) prepare_products(step, index, team);
      if (goes_on) {
        point(own, step + 1);
        call_for(own.at(step + 1), schedule_.active(step + 1), panels);
      }
      one_step(own.at(step), step, panels);
      if (!team) continue;
      team->barrier(index);
      if (goes_on && states_are_few_)  // those of the others come at once, and not as the products meet them
        fetch<kRead>(own.at(step + 1).h, schedule_.active(step + 1), {0, layer_.hidden});
    }
    const Range rows = share(rows_, index, size), times = share(batch_.T, index, size);
    for (int64_t row = rows.begin; row < rows.end; ++row) finish(row);
    if (!batch_.step_start) {
      clear_padding(pass_.y, layer_.hidden, streams_y_, times);
      if (pass_.clears_trace) clear_padding(pass_.trace, trace_floats_, streams_trace_, times);
    }
    finish_streams();
  }

 private:
  // Where the rows of one step are read and written.
  struct Pointers {
    const float **x, **h, **products;
    float **y, **trace;
  };

  // Those of even and of odd steps: one is filled while the other is read. Each thread has its own, for to read what
  // another one has just written takes longer than to compute it again.
  struct Tables {
    Pointers of[2];

    Pointers& at(int64_t step) { return of[step % 2]; }
  };

  // With few rows a step is too small a product to be efficient, and weights that no cache holds should be read for as
  // many rows as possible: then the products of the inputs are made for many steps at once.
  static bool wants_products_first(const PackedLayer& layer, int64_t rows) {
    return rows < layer.kernels.tile_rows / 2 ||
           (rows <= kProductRows / 2 && layer.gates * layer.hidden * layer.input * 4 > kFarBytes);
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
    const Pointers &to = tables.at(step), &last = tables.at(step + 1);
    const bool first = step == 0;
    if (!table_.lookup) schedule_.point<const float*>(pass_.x, step, to.x, first ? nullptr : last.x);
    schedule_.point(pass_.y, step, to.y, first ? nullptr : last.y);
    schedule_.point(pass_.trace, step, to.trace, first ? nullptr : last.trace);
    schedule_.point_states(pass_.y, zeros_, step, to.h, first ? nullptr : last.y);
    for (int64_t row = 0; products_first_ && row < schedule_.active(step); ++row)
      to.products[row] = products_ + (step % chunk_ * rows_ + row) * width_;
    for (int64_t row = 0; table_.lookup && row < schedule_.active(step); ++row)
      to.products[row] =
          table_.products.get() + table_.lookup.place(schedule_.time(step, row), schedule_.order(row)) * width_;
  }

  // Calls for what the next step will read and write, while this one computes: the steps of an array may lie pages
  // apart, where no processor looks by itself. Of products and states a thread wants those of its own panels.
  void call_for(const Pointers& next, int64_t rows, Range panels) const {
    const int64_t units = layer_.panel_units(), sums = 3 * layer_.kernels.lanes;
    if (table_.lookup) {
      fetch<kRead>(next.products, rows, {panels.begin * sums, std::min(panels.end * sums, width_)});
    } else if (!products_first_) {
      fetch<kRead>(next.x, rows, {0, layer_.input});
    }
    fetch<kWrite>(next.y, rows, {panels.begin * units, std::min(panels.end * units, layer_.hidden)});
  }

  void one_step(const Pointers& pointers, int64_t step, Range panels) const {
    ForwardStep call = layer_.forward_step();
    call.x = pointers.x;
    call.products = products_first_ || table_.lookup ? pointers.products : nullptr;
    call.h = pointers.h;
    call.y = pointers.y;
    call.trace = pass_.trace ? pointers.trace : nullptr;
    call.streams_trace = streams_trace_;
    const int64_t rows = schedule_.active(step);
    call.tiles = {rows, tile_height(rows, layer_.kernels.tile_rows, 1), 0, 1};
    call.panels = panels;
    call.backwards = step % 2 == 1;
    layer_.kernels.forward_step(call);
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
    InputProducts call{layer_.cell, layer_.forward_ih(), layer_.bias_x(), product_x_, products_, {}, {}};
    call.tiles = {rows, layer_.kernels.tile_rows, 0, 1};
    call.panels = share(call.w_ih.count(), index, team ? team->size() : 1);
    layer_.kernels.input_products(call);
    if (team) team->barrier(index);
  }

  void finish(int64_t row) {
    const int64_t H = layer_.hidden, length = schedule_.length(row), b = schedule_.order(row);
    const float* last =
        length > 0 ? pass_.y.at(schedule_.time(length - 1, row), b) : (batch_.h0 ? batch_.h0 + b * H : zeros_);
    if (pass_.h_n) std::copy_n(last, H, pass_.h_n + b * H);
  }

  const PackedLayer& layer_;
  const Batch& batch_;
  const ForwardPass& pass_;
  const Schedule& schedule_;
  const TableProducts& table_;
  const int64_t rows_;
  const bool products_first_;
  const int64_t trace_floats_;  // of a step
  const bool states_are_few_;
  const bool streams_y_, streams_trace_;
  const int64_t width_, chunk_;
  float *zeros_, *products_;
  const float** product_x_;
  Tables* tables_;  // one for each thread
};

}  // namespace

void forward(const PackedLayer& layer, const Batch& batch, const ForwardPass& pass, int threads) {
  assert(batch.T * batch.B == 0 || (pass.x && pass.y));
  const Sharing sharing = choose_sharing(layer, batch, threads);
  Team team(sharing.threads);
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

void step(const PackedLayer* const* layers, int64_t L, int64_t B, const float* x, const float* h, float* y,
          int threads) {
  const int64_t H = layers[0]->hidden, states = B * H;
  if (h < y + L * states && y < h + L * states) {  // every unit reads all of h, so its place is not free before the end
    Scratch& scratch = Scratch::of_team();
    scratch.reserve(Scratch::bytes<float>(L * states));
    float* copy = scratch.take<float>(L * states);
    std::copy_n(h, L * states, copy);
    h = copy;
  }
  Batch batch{};
  batch.T = 1;
  batch.B = B;
  batch.H = H;
  const PackedLayer& largest = **std::max_element(layers, layers + L, [](const PackedLayer* a, const PackedLayer* b) {
    return a->weight_bytes() < b->weight_bytes();
  });
  const Sharing sharing = choose_sharing(largest, batch, threads);
  if (sharing.threads > 1 && !sharing.units) {
    for (int64_t l = 0; l < L; ++l) {
      batch.h0 = h + l * states;
      ForwardPass pass{};
      pass.x = {const_cast<float*>(l ? y + (l - 1) * states : x), 0, layers[l]->input, nullptr};
      pass.y = {y + l * states, 0, H, nullptr};
      forward(*layers[l], batch, pass, threads);
    }
    return;
  }
  Scratch& scratch = Scratch::local();
  scratch.reserve(Scratch::bytes<float*>(B) + 2 * Scratch::bytes<float*>(L * B));
  const float **xs = scratch.take<const float*>(B), **hs = scratch.take<const float*>(L * B);
  float** ys = scratch.take<float*>(L * B);
  for (int64_t b = 0; b < B; ++b) xs[b] = x + b * layers[0]->input;
  for (int64_t row = 0; row < L * B; ++row) {
    hs[row] = h + row * H;
    ys[row] = y + row * H;
  }
  Team team(sharing.threads);
  team.run([&](int index) {
    for (int64_t l = 0; l < L; ++l) {
      const PackedLayer& layer = *layers[l];
      ForwardStep call = layer.forward_step();
      call.x = l ? ys + (l - 1) * B : xs;
      call.h = hs + l * B;
      call.y = ys + l * B;
      call.tiles = {B, tile_height(B, layer.kernels.tile_rows, 1), 0, 1};
      call.panels = share(call.w_hh.count(), index, team.size());
      layer.kernels.forward_step(call);
      if (l + 1 < L) team.barrier(index);
    }
  });
}

}  // namespace tidegate
