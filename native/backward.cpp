#include <algorithm>
#include <cassert>
#include <vector>

#include "parallel.hpp"
#include "schedule.hpp"
#include "sequence.hpp"

namespace tidegate {
namespace {

// Steps are walked in blocks of about this many rows, from the last block to the first. Within a block, the gradients
// of the gates come step by step; then those of the inputs and weights as products over all rows of the block, while it
// is still in the cache. Blocks depend on the lengths alone, so the sums of the weight gradients have one order
// whatever the number of threads.
constexpr int64_t kBlockRows = 128;

struct Block {
  int64_t first_step, steps, rows;
};

std::vector<Block> cut_into_blocks(const Schedule& schedule) {
  std::vector<Block> blocks;
  for (int64_t step = 0; step < schedule.steps(); ++step) {
    if (blocks.empty() || blocks.back().rows >= kBlockRows) blocks.push_back({step, 0, 0});
    ++blocks.back().steps;
    blocks.back().rows += schedule.active(step);
  }
  return blocks;
}

class BackwardRun {
 public:
  BackwardRun(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, const Schedule& schedule,
              Sharing sharing)
      : layer_(layer),
        batch_(batch),
        pass_(pass),
        schedule_(schedule),
        sharing_(sharing),
        kernels_(layer.kernels),
        blocks_(cut_into_blocks(schedule)),
        rows_(schedule.rows()),
        gate_blocks_(layer.dgate_gates() * layer.blocks()) {
    for (const Block& block : blocks_) capacity_ = std::max(capacity_, block.rows);
    const int64_t unit_tiles = gate_blocks_ * kernels_.lanes / kernels_.unit_tile;
    tile_floats_ = kernels_.unit_tile * 3 * kernels_.lanes;
    panels_ih_ = layer.backward_ih().count();
    panels_hh_ = layer.backward_hh().count();
    const int64_t dgates = gate_blocks_ * capacity_ * kernels_.lanes;
    sums_ih_floats_ = unit_tiles * panels_ih_ * tile_floats_;
    sums_hh_floats_ = unit_tiles * panels_hh_ * tile_floats_;
    Scratch& scratch = Scratch::local();
    scratch.reserve(2 * Scratch::bytes<float>(dgates) + Scratch::bytes<float>(rows_ * layer.pitch()) +
                    Scratch::bytes<float>(sums_ih_floats_) + Scratch::bytes<float>(sums_hh_floats_) +
                    Scratch::bytes<float>(gate_blocks_ * kernels_.lanes) + Scratch::bytes<float>(layer.hidden) +
                    12 * Scratch::bytes<float*>(capacity_) + Scratch::bytes<float*>(rows_));
    for (float*& buffer : dgates_) buffer = scratch.take<float>(dgates);
    carry_ = scratch.take<float>(rows_ * layer.pitch());
    sums_ih_ = scratch.take<float>(sums_ih_floats_);
    sums_hh_ = scratch.take<float>(sums_hh_floats_);
    sums_bias_ = scratch.take<float>(gate_blocks_ * kernels_.lanes);
    zeros_ = scratch.take<float>(layer.hidden);
    for (Pointers& p : pointers_)
      p = {scratch.take<const float*>(capacity_), scratch.take<const float*>(capacity_),
           scratch.take<const float*>(capacity_), scratch.take<const float*>(capacity_),
           scratch.take<const float*>(capacity_), scratch.take<float*>(capacity_)};
    carry_of_ = scratch.take<float*>(rows_);
    for (int64_t row = 0; row < rows_; ++row) carry_of_[row] = carry_ + row * layer.pitch();
    std::fill_n(zeros_, layer.hidden, 0.0f);
  }

  void run(int index, Team& team) {
    const int size = team.size();
    const Tiles own = sharing_.tiles(rows_, kernels_.tile_rows, index);
    start(index, size);
    team.barrier();
    for (int64_t i = static_cast<int64_t>(blocks_.size()) - 1; i >= 0; --i) {
      const Block& block = blocks_[i];
      const int64_t parity = i % 2;
      if (!sharing_.units || index == 0) point(block, parity, own);
      if (sharing_.units) team.barrier();
      walk(block, parity, own, index, team);
      team.barrier();
      // The other buffer takes the next block's gradients, so nobody has to wait before going on with it.
      multiply(block, parity, index, size);
    }
    team.barrier();
    finish(index, size);
  }

 private:
  // Rows of one block of steps: row k = offset of the step + row of the schedule.
  struct Pointers {
    const float **x, **h, **state, **dy, **trace;  // h: before the step; state: what GateGradients wants of it
    float** dx;
  };

  void start(int index, int size) {
    const int64_t H = layer_.hidden, pitch = layer_.pitch();
    const Range rows = share(rows_, index, size);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      float* carry = carry_ + row * pitch;
      std::fill_n(carry, pitch, 0.0f);
      if (pass_.dh_n) std::copy_n(pass_.dh_n + schedule_.order(row) * H, H, carry);
    }
    const auto clear = [&](float* sums, int64_t count) {
      const Range part = share(count, index, size);
      std::fill(sums + part.begin, sums + part.end, 0.0f);
    };
    clear(sums_ih_, sums_ih_floats_);
    clear(sums_hh_, sums_hh_floats_);
    clear(sums_bias_, gate_blocks_ * kernels_.lanes);
  }

  void point(const Block& block, int64_t parity, const Tiles& own) {
    const Pointers& to = pointers_[parity];
    int64_t offset = 0;
    for (int64_t step = block.first_step; step < block.first_step + block.steps; offset += schedule_.active(step++)) {
      each_row(own, schedule_.active(step), [&](int64_t row) {
        const int64_t t = schedule_.time(step, row), b = schedule_.order(row), k = offset + row;
        to.x[k] = pass_.x.at(t, b);
        to.h[k] = step > 0    ? pass_.y.at(schedule_.time(step - 1, row), b)
                  : batch_.h0 ? batch_.h0 + b * layer_.hidden
                              : zeros_;
        to.state[k] = layer_.cell == Cell::kGru ? to.h[k] : pass_.y.at(t, b);
        to.dy[k] = pass_.dy ? pass_.dy.at(t, b) : nullptr;
        to.trace[k] = pass_.trace ? pass_.trace.at(t, b) : nullptr;
        to.dx[k] = pass_.dx ? pass_.dx.at(t, b) : nullptr;
      });
    }
  }

  // Back over the steps of a block: gate gradients, then what they hand to the state before.
  void walk(const Block& block, int64_t parity, const Tiles& own, int index, Team& team) {
    const Pointers& pointers = pointers_[parity];
    const Range all_panels{0, panels_hh_};
    const Range panels = sharing_.units ? share(panels_hh_, index, team.size()) : all_panels;
    const Range units{std::min(panels.begin * 3, layer_.blocks()), std::min(panels.end * 3, layer_.blocks())};
    int64_t offset = block.rows;
    for (int64_t step = block.first_step + block.steps - 1; step >= block.first_step; --step) {
      const int64_t active = schedule_.active(step);
      offset -= active;
      Tiles tiles = own;
      tiles.rows = active;
      const int64_t stride = capacity_ * kernels_.lanes;
      float* dgates = dgates_[parity] + offset * kernels_.lanes;
      const GateGradients gates{layer_.cell,
                                layer_.hidden,
                                pass_.dy ? pointers.dy + offset : nullptr,
                                pointers.trace + offset,
                                pointers.state + offset,
                                carry_,
                                layer_.pitch(),
                                dgates,
                                stride,
                                tiles,
                                units};
      kernels_.gate_gradients(gates);
      if (sharing_.units) team.barrier();
      kernels_.gate_products({dgates, stride, layer_.backward_hh(), layer_.pitch(), carry_of_, true, tiles, panels});
    }
  }

  // The products over all rows of a block: dx by rows; weight and bias gradients by gate units.
  void multiply(const Block& block, int64_t parity, int index, int size) {
    const Pointers& pointers = pointers_[parity];
    const int64_t stride = capacity_ * kernels_.lanes, lanes = kernels_.lanes, blocks = layer_.blocks();
    float* dgates = dgates_[parity];
    const bool gru = layer_.cell == Cell::kGru;
    float* dgates_ih = gru ? dgates + blocks * stride : dgates;  // r, z, n behind hn
    if (pass_.dx) {
      const Tiles tiles{block.rows, kernels_.tile_rows, index, size};
      kernels_.gate_products(
          {dgates_ih, stride, layer_.backward_ih(), layer_.input, pointers.dx, false, tiles, {0, panels_ih_}});
    }
    const int64_t per_gate_block = lanes / kernels_.unit_tile;
    const Range tiles = share(layer_.gates * blocks * per_gate_block, index, size);
    kernels_.weight_gradients({dgates_ih, stride, block.rows, pointers.x, layer_.input, sums_ih_, tiles});
    kernels_.weight_gradients({dgates, stride, block.rows, pointers.h, layer_.hidden, sums_hh_, tiles});
    if (pass_.db_ih)
      kernels_.bias_gradients({dgates, stride, block.rows, sums_bias_, share(gate_blocks_, index, size)});
  }

  void finish(int index, int size) {
    const int64_t H = layer_.hidden, gates = layer_.gates;
    const bool gru = layer_.cell == Cell::kGru;
    const Range rows = share(rows_, index, size);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t b = schedule_.order(row);
      std::copy_n(carry_ + row * layer_.pitch(), H, pass_.dh0 + b * H);
      if (!pass_.dx || pass_.dx.step_start) continue;
      for (int64_t t = schedule_.length(row); t < batch_.T; ++t) std::fill_n(pass_.dx.at(t, b), layer_.input, 0.0f);
    }
    const Range units = share(gates * H, index, size);
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
      const int64_t gate = unit / H, padded = gate * layer_.pitch() + unit % H;
      // sums_hh starts with the block that W_hh's n rows belong to: n, r, z.
      const int64_t padded_hh = (gru ? (gate + 1) % 3 : 0) * layer_.pitch() + unit % H;
      unpack(sums_ih_, panels_ih_, padded, pass_.dw_ih + unit * layer_.input, layer_.input);
      unpack(sums_hh_, panels_hh_, padded_hh, pass_.dw_hh + unit * H, H);
      if (!pass_.db_ih) continue;
      pass_.db_ih[unit] = sums_bias_[(gru ? layer_.pitch() : 0) + padded];
      pass_.db_hh[unit] = sums_bias_[padded_hh];
    }
  }

  void unpack(const float* sums, int64_t panels, int64_t unit, float* to, int64_t columns) const {
    const int64_t width = 3 * kernels_.lanes;
    const float* from = sums + unit / kernels_.unit_tile * panels * tile_floats_ + unit % kernels_.unit_tile * width;
    for (int64_t column = 0; column < columns; column += width, from += tile_floats_)
      std::copy_n(from, std::min(width, columns - column), to + column);
  }

  const PackedLayer& layer_;
  const Batch& batch_;
  const BackwardPass& pass_;
  const Schedule& schedule_;
  const Sharing sharing_;
  const KernelTable& kernels_;
  const std::vector<Block> blocks_;
  const int64_t rows_, gate_blocks_;
  int64_t capacity_ = 0, tile_floats_, panels_ih_, panels_hh_, sums_ih_floats_, sums_hh_floats_;
  float *dgates_[2], *carry_, *sums_ih_, *sums_hh_, *sums_bias_, *zeros_;
  float** carry_of_;
  Pointers pointers_[2];
};

}  // namespace

void backward(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, int threads) {
  assert(batch.T * batch.B == 0 || (pass.x && pass.y && (pass.trace || layer.cell != Cell::kGru)));
  assert(!pass.db_ih == !layer.has_bias && !pass.db_hh == !layer.has_bias);
  layer.prepare_backward();
  const Schedule schedule(batch);
  Sharing sharing = choose_sharing(layer, schedule, threads);
  Team team(sharing.threads);
  if (team.size() == 1) sharing = {1, false};
  BackwardRun run(layer, batch, pass, schedule, sharing);
  team.run([&](int index) { run.run(index, team); });
}

}  // namespace tidegate
