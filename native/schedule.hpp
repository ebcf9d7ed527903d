// Which rows are active at which step, and how steps and rows are shared out. Everything that may influence the order
// in which numbers are summed depends on the sequences alone; only tiles and ranges depend on the number of threads.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernel_table.hpp"
#include "sequence.hpp"

namespace tidegate {

class Schedule {
 public:
  explicit Schedule(const Batch& batch) : batch_(batch), order_(batch.B), length_(batch.B, batch.T) {
    std::iota(order_.begin(), order_.end(), int64_t{0});
    if (batch.lengths) {
      assert(std::all_of(batch.lengths, batch.lengths + batch.B, [&](int64_t n) { return n >= 0 && n <= batch.T; }));
      const int64_t* lengths = batch.lengths;
      std::stable_sort(order_.begin(), order_.end(), [=](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
      for (int64_t i = 0; i < batch.B; ++i) length_[i] = lengths[order_[i]];
    }
    steps_ = batch.B > 0 ? length_[0] : 0;
    active_.resize(steps_);
    for (int64_t s = 0, rows = batch.B; s < steps_; ++s) {
      while (length_[rows - 1] <= s) --rows;
      active_[s] = rows;
    }
  }

  int64_t rows() const { return batch_.B; }
  int64_t steps() const { return steps_; }                      // of the longest row
  int64_t active(int64_t step) const { return active_[step]; }  // rows 0..active-1, longest first, have this step
  int64_t order(int64_t row) const { return order_[row]; }      // the caller's number of that row
  int64_t length(int64_t row) const { return length_[row]; }
  int64_t time(int64_t step, int64_t row) const { return batch_.reverse ? length_[row] - 1 - step : step; }

 private:
  const Batch& batch_;
  std::vector<int64_t> order_, length_, active_;
  int64_t steps_ = 0;
};

// Thread `index` of `size`: its share of 0..count-1.
inline Range share(int64_t count, int index, int size) { return {count * index / size, count * (index + 1) / size}; }

// The fewest tiles of at most `most` rows that still give every thread the same number of tiles.
inline int64_t tile_height(int64_t rows, int64_t most, int threads) {
  const int64_t per_thread = std::max<int64_t>(1, (rows + threads * most - 1) / (threads * most));
  return std::max<int64_t>(1, (rows + threads * per_thread - 1) / (threads * per_thread));
}

template <class Body>
void each_row(const Tiles& tiles, int64_t rows, const Body& body) {
  for (int64_t tile = tiles.first; tile * tiles.height < rows; tile += tiles.every)
    for (int64_t row = tile * tiles.height; row < std::min(rows, (tile + 1) * tiles.height); ++row) body(row);
}

// How the steps of one pass are shared out: by rows, and then threads never wait for each other; or, when there are too
// few rows for that and enough weights, by units, and then they meet at every step.
struct Sharing {
  int threads;
  bool units;

  // The tiles of thread `index`: every n-th one, so that long and short rows are shared out evenly; all when units are
  // shared.
  Tiles tiles(int64_t rows, int64_t most, int index) const {
    return units ? Tiles{rows, tile_height(rows, most, 1), 0, 1}
                 : Tiles{rows, tile_height(rows, most, threads), index, threads};
  }
};

Sharing choose_sharing(const PackedLayer& layer, const Schedule& schedule, int threads);

}  // namespace tidegate
