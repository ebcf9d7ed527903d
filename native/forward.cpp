#include <algorithm>
#include <cassert>

#include "parallel.hpp"
#include "schedule.hpp"
#include "sequence.hpp"

namespace tidegate {
namespace {

constexpr int64_t kProductRows = 256;  // rows of input products that are prepared at once

class ForwardRun {
 public:
  ForwardRun(const PackedLayer& layer, const Batch& batch, const ForwardPass& pass, const Schedule& schedule,
             Sharing sharing)
      : layer_(layer),
        batch_(batch),
        pass_(pass),
        schedule_(schedule),
        sharing_(sharing),
        rows_(schedule.rows()),
        // With few rows, a step is too small a product to be efficient: those of the inputs are made for many steps at
        // once.
        products_first_(rows_ < layer.kernels.tile_rows / 2 && schedule.steps() > 1),
        width_(layer.gates * layer.pitch()),
        chunk_(std::max<int64_t>(1, kProductRows / std::max<int64_t>(rows_, 1))) {
    Scratch& scratch = Scratch::local();
    const int64_t product_rows = products_first_ ? chunk_ * rows_ : 0;
    scratch.reserve(2 * Scratch::bytes<float>(rows_ * layer.pitch()) + Scratch::bytes<float>(product_rows * width_) +
                    8 * Scratch::bytes<float*>(rows_) + Scratch::bytes<float*>(product_rows));
    h_[0] = scratch.take<float>(rows_ * layer.pitch());
    h_[1] = scratch.take<float>(rows_ * layer.pitch());
    products_ = scratch.take<float>(product_rows * width_);
    for (Pointers& pointers : pointers_)
      pointers = {scratch.take<const float*>(rows_), scratch.take<const float*>(rows_), scratch.take<float*>(rows_),
                  scratch.take<float*>(rows_)};
    product_x_ = scratch.take<const float*>(product_rows);
  }

  void run(int index, Team& team) {
    const Tiles own = sharing_.tiles(rows_, layer_.kernels.tile_rows, index);
    const int64_t panels = layer_.forward_hh().count();
    const Range units = sharing_.units ? share(panels, index, team.size()) : Range{0, panels};
    const bool keeps_tables =
        !sharing_.units || index == 0;  // when units are shared, thread 0 prepares rows and tables for all
    if (keeps_tables) {
      each_row(own, rows_, [&](int64_t row) { start(row); });
      point(0, own);
    }
    if (sharing_.units) team.barrier();
    for (int64_t step = 0; step < schedule_.steps(); ++step) {
      if (products_first_ && step % chunk_ == 0) prepare_products(step, index, team);
      one_step(step, own, units);
      if (keeps_tables) point(step + 1, own);
      if (sharing_.units) team.barrier();
    }
    if (keeps_tables) each_row(own, rows_, [&](int64_t row) { finish(row); });
  }

 private:
  void start(int64_t row) {
    const int64_t H = layer_.hidden;
    for (float* h : h_) std::fill_n(h + row * layer_.pitch(), layer_.pitch(), 0.0f);
    if (batch_.h0) std::copy_n(batch_.h0 + schedule_.order(row) * H, H, h_[0] + row * layer_.pitch());
  }

  // Where the rows of one step are read and written.
  struct Pointers {
    const float **x, **products;
    float **y, **trace;
  };

  void point(int64_t step, const Tiles& own) {
    if (step >= schedule_.steps()) return;
    const Pointers& to = pointers_[step % 2];
    each_row(own, schedule_.active(step), [&](int64_t row) {
      const int64_t t = schedule_.time(step, row), b = schedule_.order(row);
      to.x[row] = pass_.x.at(t, b);
      to.products[row] = products_ + (step % chunk_ * rows_ + row) * width_;
      to.y[row] = pass_.y.at(t, b);
      to.trace[row] = pass_.trace ? pass_.trace.at(t, b) : nullptr;
    });
  }

  void one_step(int64_t step, const Tiles& own, Range units) {
    const Pointers& pointers = pointers_[step % 2];
    ForwardStep call{};
    call.cell = layer_.cell;
    call.hidden = layer_.hidden;
    call.w_ih = layer_.forward_ih();
    call.w_hh = layer_.forward_hh();
    call.bias_x = layer_.bias_x();
    call.bias_h = layer_.bias_h();
    call.x = pointers.x;
    call.products = products_first_ ? pointers.products : nullptr;
    call.h = h_[step % 2];
    call.h_next = h_[(step + 1) % 2];
    call.pitch = layer_.pitch();
    call.y = pointers.y;
    call.trace = pass_.trace ? pointers.trace : nullptr;
    call.tiles = own;
    call.tiles.rows = schedule_.active(step);
    call.panels = units;
    layer_.kernels.forward_step(call);
  }

  // x W_ih for the next `chunk_` steps of all rows. A row that has ended repeats the last one that has not; nobody
  // reads it.
  void prepare_products(int64_t first_step, int index, Team& team) {
    const int64_t rows = std::min(chunk_, schedule_.steps() - first_step) * rows_;
    for (int64_t i = 0; index == 0 && i < rows; ++i) {
      const int64_t step = first_step + i / rows_, row = std::min(i % rows_, schedule_.active(step) - 1);
      product_x_[i] = pass_.x.at(schedule_.time(step, row), schedule_.order(row));
    }
    team.barrier();
    InputProducts call{layer_.cell, layer_.forward_ih(), layer_.bias_x(), product_x_, products_, {}, {}};
    call.tiles = {rows, layer_.kernels.tile_rows, index, team.size()};
    call.panels = {0, call.w_ih.count()};
    layer_.kernels.input_products(call);
    team.barrier();
  }

  void finish(int64_t row) {
    const int64_t H = layer_.hidden, length = schedule_.length(row), b = schedule_.order(row);
    std::copy_n(h_[length % 2] + row * layer_.pitch(), H, pass_.h_n + b * H);
    if (pass_.y.step_start) return;  // a packed array has no padding
    for (int64_t t = length; t < batch_.T; ++t) {
      std::fill_n(pass_.y.at(t, b), H, 0.0f);
      if (pass_.trace) std::fill_n(pass_.trace.at(t, b), 4 * H, 0.0f);
    }
  }

  const PackedLayer& layer_;
  const Batch& batch_;
  const ForwardPass& pass_;
  const Schedule& schedule_;
  const Sharing sharing_;
  const int64_t rows_;
  const bool products_first_;
  const int64_t width_, chunk_;
  float *h_[2], *products_;
  Pointers pointers_[2];  // of even and odd steps: one is filled while the other is read
  const float** product_x_;
};

}  // namespace

void forward(const PackedLayer& layer, const Batch& batch, const ForwardPass& pass, int threads) {
  assert((batch.T * batch.B == 0 || (pass.x && pass.y)) && (batch.B == 0 || pass.h_n));
  const Schedule schedule(batch);
  Sharing sharing = choose_sharing(layer, schedule, threads);
  Team team(sharing.threads);
  if (team.size() == 1) sharing = {1, false};
  ForwardRun run(layer, batch, pass, schedule, sharing);
  team.run([&](int index) { run.run(index, team); });
}

}  // namespace tidegate
