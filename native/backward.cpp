#include <algorithm>
#include <cassert>
#include <numeric>
#include <vector>

#include "backward_run.hpp"

namespace tidegate {
namespace {

// Of the gradients of the products of a table's rows; none without a table.
int64_t product_floats(const PackedLayer& layer, const Lookup& lookup) {
  return lookup.rows() * layer.gates * layer.pitch();
}

// The rows of a batch fall into groups, each walked by one thread on memory of its own, because cores that write what
// the other one reads wait for each other's cache lines. How many groups there are, and so in which order the weight
// gradients are summed, depends on layer and batch alone. One group it is when its sums would cost more than that: of
// layers that no cache holds, and of few steps. A power of two divides evenly among most numbers of threads.
int64_t count_groups(const PackedLayer& layer, const Batch& batch, const Lookup& lookup) {
  constexpr int64_t kMostBytes = int64_t{32} << 20, kGroupRows = 16, kGroupSteps = 128;
  const int64_t bytes = layer.weights() * 4, sums = bytes + product_floats(layer, lookup) * 4;
  const int64_t steps =
      batch.lengths ? std::accumulate(batch.lengths, batch.lengths + batch.B, int64_t{0}) : batch.T * batch.B;
  const int64_t by_rows = batch.B >= kGroupRows ? std::max<int64_t>(2, batch.B / kGroupRows) : 1;
  const int64_t most = bytes > kFarBytes ? 1 : std::min({by_rows, steps / kGroupSteps, kMostBytes / sums});
  int64_t groups = 1;
  while (groups < 16 && groups * 2 <= most) groups *= 2;
  return groups;
}

void run_groups(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, const Lookup& lookup,
                const WeightSums& sums, int64_t groups, Team& team) {
  const int64_t G = layer.gates * layer.hidden;
  const int64_t counts[] = {product_floats(layer, lookup), lookup ? 0 : G * layer.input, G * layer.hidden,
                            sums.b_ih ? G : 0, sums.b_hh ? G : 0};
  const int64_t floats = std::accumulate(std::begin(counts), std::end(counts), int64_t{0});
  Scratch& scratch = Scratch::of_team();
  scratch.reserve((groups - 1) * Scratch::bytes<float>(floats));
  std::vector<WeightSums> all{sums};  // the first group's are the caller's arrays
  for (int64_t group = 1; group < groups; ++group) {
    float *products = scratch.take<float>(floats), *w_ih = products + counts[0];
    float *w_hh = w_ih + counts[1], *b_ih = w_hh + counts[2], *b_hh = b_ih + counts[3];
    all.push_back({w_ih, w_hh, sums.b_ih ? b_ih : nullptr, sums.b_hh ? b_hh : nullptr, products});
  }
  const auto add = [&](float* WeightSums::* array, int64_t count, int index) {
    const Range own = share(count, index, team.size());
    for (size_t group = 1; group < all.size(); ++group)
      for (int64_t i = own.begin; i < own.end; ++i) (sums.*array)[i] += (all[group].*array)[i];
  };
  team.run([&](int index) {
    for (int64_t group = index; group < groups; group += team.size()) {
      const Schedule own(batch, group, groups);
      BackwardRun(layer, batch, pass, lookup, own, all[static_cast<size_t>(group)], 1, false).run();
    }
  });
  team.run([&](int index) {
    add(&WeightSums::products, counts[0], index);
    add(&WeightSums::w_ih, counts[1], index);
    add(&WeightSums::w_hh, counts[2], index);
    add(&WeightSums::b_ih, counts[3], index);
    add(&WeightSums::b_hh, counts[4], index);
  });
}

// Once the gradients of its rows' products are there, those of the table and of W_ih: each row once, however often it
// was read. Some rows at a time, so that they stay in the cache.
void finish_table(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, const Lookup& lookup,
                  const WeightSums& sums, Team& team) {
  constexpr int64_t kRows = 512;
  const int64_t lanes = layer.kernels.lanes, rows = lookup.rows();
  std::vector<const float*> x(static_cast<size_t>(rows));
  std::vector<float*> dx(static_cast<size_t>(pass.dx ? rows : 0));
  for (int64_t i = 0; i < rows; ++i) x[i] = pass.x.at(0, lookup.table_row(i));
  for (int64_t i = 0; pass.dx && i < rows; ++i) dx[i] = pass.dx.at(0, lookup.table_row(i));
  team.run([&](int index) {
    const int size = team.size();
    const Range own = share(pass.dx ? batch.table_rows : 0, index, size);
    for (int64_t row = own.begin; row < own.end; ++row) std::fill_n(pass.dx.at(0, row), layer.input, 0.0f);
    if (rows == 0 && index == 0) std::fill_n(sums.w_ih, layer.gates * layer.hidden * layer.input, 0.0f);
    team.barrier(index);
    Scratch& scratch = Scratch::local();
    scratch.reserve(Scratch::bytes<float>(weight_room(layer, kRows)));
    float* room = scratch.take<float>(weight_room(layer, kRows));
    for (int64_t first = 0; first < rows; first += kRows) {
      const GateRows gates{
          sums.products + first * lanes, rows * lanes, std::min(kRows, rows - first), room, first > 0, index, size};
      input_gradients(layer, gates, x.data() + first, pass.dx ? dx.data() + first : nullptr, sums.w_ih);
    }
  });
}

}  // namespace

void backward(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, int threads) {
  assert(batch.T * batch.B == 0 || (pass.x && pass.y));
  assert(layer.numbers.states == 1 || batch.T * batch.B == 0 || pass.c);
  assert(!pass.db_ih == !layer.has_bias && !pass.db_hh == !layer.has_bias);
  const Lookup lookup(batch);
  const RecycledFloats products = lookup ? RecycledFloats(product_floats(layer, lookup)) : RecycledFloats();
  const WeightSums sums{pass.dw_ih, pass.dw_hh, pass.db_ih, pass.db_hh, products.get()};
  const int64_t groups = count_groups(layer, batch, lookup);
  const Sharing sharing = choose_sharing(layer, batch, threads);
  Team team(groups > 1 ? static_cast<int>(std::min<int64_t>(sharing.threads, groups)) : sharing.threads, sharing.work);
  if (layer.numbers.needs_trace && !pass.trace) layer.prepare_forward(team);
  if (pass.dx) layer.prepare_backward_ih(team);
  for (int32_t stage = 0; stage < layer.numbers.stages(); ++stage)  // a single step ends before the first stage
    if (stage > 0 || pass.dh0[0] || batch.T > 1) layer.prepare_backward_hh(stage, team);
  if (groups > 1) {
    run_groups(layer, batch, pass, lookup, sums, groups, team);
  } else {
    const Schedule schedule(batch);
    BackwardRun run(layer, batch, pass, lookup, schedule, sums, team.size(), sharing.units && team.size() > 1);
    team.run([&](int index) { run.run(index, &team); });
  }
  if (lookup) finish_table(layer, batch, pass, lookup, sums, team);
}

}  // namespace tidegate
