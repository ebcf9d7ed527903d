// Fuzzes what Python calls of the native code: forward, backward and single steps of every cell and instruction set.
// Beside what the sanitizers find, it is an error when a result depends on the number of threads, or is not written.
#include <cstdio>
#include <cstdlib>

#include "calls.hpp"

using namespace tidegate;
using namespace tidegate::fuzz;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void compare(const Results& alone, const Results& shared) {
  require(alone.size() == shared.size(), "calls return different numbers of arrays");
  for (size_t i = 0; i < alone.size(); ++i) {
    require(same(alone[i], shared[i]), "a result depends on the number of threads");
    for (const float number : alone[i]) require(!is_unwritten(number), "a part of a result is not written");
  }
}

struct Sizes {
  int64_t I, H, steps, rows;
};

// Mostly small; sometimes many rows, whose weight gradients are summed in groups, or so many units that threads share
// them.
Sizes choose_sizes(Source& in) {
  const int64_t kind = in.below(16);
  if (kind == 1) return {1 + in.below(8), 100 + in.below(40), 3, 6};
  if (kind == 2) return {1 + in.below(20), 1 + in.below(20), 30, 50};
  return {1 + in.below(40), 1 + in.below(40), 8, 8};
}

void fuzz_passes(Source& in, const KernelTable& table, const CellKernels& cell) {
  const Sizes sizes = choose_sizes(in);
  const bool wild = in.below(4) == 3, trains = !in.flag(), kept = in.flag();
  const int threads = 2 + static_cast<int>(in.below(3));
  const Weighted weights(in, table, cell, sizes.I, sizes.H, wild);
  Call call(in, weights, sizes.steps, sizes.rows, wild);
  const auto layer = weights.layer(), other = weights.layer();
  if (kept) layer->keep_packed(threads);
  compare(call.run(*layer, 1, trains), call.run(*other, threads, trains));
}

void fuzz_step(Source& in, const KernelTable& table, const CellKernels& cell) {
  const Sizes sizes = choose_sizes(in);
  const int64_t L = 1 + in.below(3), B = in.below(9), H = sizes.H, S = cell.numbers.states;
  std::vector<Weighted> weights;
  const bool wild = in.below(4) == 3;
  for (int64_t l = 0; l < L; ++l) weights.emplace_back(in, table, cell, l ? H : sizes.I, H, wild);
  const std::vector<float> x = in.numbers(B * sizes.I, wild), before = in.numbers(S * L * B * H, wild);
  // Steps through layers that are kept packed, or whose weights are read where they are.
  const auto run = [&](bool kept, const std::vector<float>& from, std::vector<float>& to, int threads) {
    std::vector<std::unique_ptr<PackedLayer>> layers;
    std::vector<const PackedLayer*> stack;
    for (const Weighted& each : weights) {
      layers.push_back(each.layer());
      if (kept) layers.back()->keep_packed(1);
      stack.push_back(layers.back().get());
    }
    StepCall call{};
    call.B = B;
    call.x = x.data();
    call.x_row = sizes.I;
    for (int64_t s = 0; s < S; ++s) {
      call.before[s] = from.data() + s * L * B * H;
      call.after[s] = to.data() + s * L * B * H;
    }
    step(stack.data(), L, call, threads);
  };
  const int threads = 2 + static_cast<int>(in.below(3));
  std::vector<float> after = blank(S * L * B * H), borrowed = after, in_place = before;
  run(true, before, after, 1);
  run(true, in_place, in_place, threads);
  run(false, before, borrowed, threads);
  compare({after, after}, {in_place, borrowed});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Source in(data, size);
  const auto& tables = kernel_tables();
  const KernelTable& table = *tables[static_cast<size_t>(in.below(static_cast<int64_t>(tables.size())))];
  const CellKernels& cell = table.cells[in.below(table.cell_count)];
  if (in.below(4) == 3) {
    fuzz_step(in, table, cell);
  } else {
    fuzz_passes(in, table, cell);
  }
  return 0;
}
