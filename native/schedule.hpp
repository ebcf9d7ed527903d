// Which rows are active at which step, where their data lie, and how the work is shared out. Everything that may
// influence the order in which numbers are summed depends on the sequences alone, never on the number of threads.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstdint>
#include <vector>

#include "kernel_table.hpp"
#include "parallel.hpp"
#include "sequence.hpp"

namespace tidegate {

// The order in which some rows of a batch are walked, longest first.
class Schedule {
 public:
  // Part `part` of `parts`. Equal rows are cut into neighbours, so that no two parts write to one stretch of memory;
  // ragged ones are dealt out in turns, so that the parts have about the same number of steps.
  explicit Schedule(const Batch& batch, int64_t part = 0, int64_t parts = 1);

  int64_t rows() const { return static_cast<int64_t>(order_.size()); }
  int64_t steps() const { return static_cast<int64_t>(active_.size()); }  // of the longest row
  int64_t active(int64_t step) const { return active_[step]; }            // rows 0..active-1 have this step
  int64_t order(int64_t row) const { return order_[row]; }                // the caller's number of that row
  int64_t length(int64_t row) const { return length_[row]; }
  int64_t time(int64_t step, int64_t row) const { return batch_.reverse ? length_[row] - 1 - step : step; }

  // Whether a row starts afresh before this step. Marks lie on the first steps of episodes, so in reverse an episode
  // starts where the next one, in time, has its mark.
  bool starts_episode(int64_t step, int64_t row) const {
    const int64_t t = time(step, row) + batch_.reverse;
    return t < length_[row] && batch_.episode_starts[batch_.row_index(t, order_[row])] != 0;
  }

  // Points at the active rows of a step in an array. Steps of a padded array lie a fixed stride apart, so `before`,
  // the pointers of the step before or null, spare most of the arithmetic.
  template <class Pointer>
  void point(const Rows& array, int64_t step, Pointer* to, const Pointer* before) const {
    const int64_t rows = active_[step], stride = batch_.reverse ? -array.step : array.step;
    if (!array) {
      std::fill_n(to, rows, nullptr);
    } else if (before && !array.step_start) {
      for (int64_t row = 0; row < rows; ++row) to[row] = before[row] + stride;
    } else {
      for (int64_t row = 0; row < rows; ++row) to[row] = array.at(time(step, row), order_[row]);
    }
  }

  // Points at state number `s` before a step: among those after the steps, or at h0 or zeros where a row starts.
  void point_states(int32_t s, const Rows& after, const float* zeros, int64_t step, const float** to,
                    const float* const* before) const;

  // Calls clear(address) for every row of an array that has ended, at some of the times.
  template <class Clear>
  void clear_padding(const Rows& array, Range times, const Clear& clear) const {
    for (int64_t t = times.begin; t < times.end; ++t)
      for (int64_t row = t < steps() ? active_[t] : 0; row < rows(); ++row) clear(array.at(t, order_[row]));
  }

 private:
  const Batch& batch_;
  std::vector<int64_t> order_, length_, active_;
};

// The fewest tiles of at most `most` rows that still give every thread the same number of tiles.
inline int64_t tile_height(int64_t rows, int64_t most, int64_t threads) {
  if (threads == 1 && rows <= most) return std::max<int64_t>(1, rows);  // divisions take as long as a small product
  const int64_t per_thread = std::max<int64_t>(1, (rows + threads * most - 1) / (threads * most));
  return std::max<int64_t>(1, (rows + threads * per_thread - 1) / (threads * per_thread));
}

template <class Body>
void each_row(const Tiles& tiles, const Body& body) {
  for (int64_t tile = tiles.first; tile * tiles.height < tiles.rows; tile += tiles.every)
    for (int64_t row = tile * tiles.height; row < std::min(tiles.rows, (tile + 1) * tiles.height); ++row) body(row);
}

// How the work of one pass is shared out.
struct Sharing {
  int threads;
  bool units;    // threads share the units of each step, with a barrier after it; otherwise each walks rows of its own
  int64_t work;  // multiply-adds, about
};

Sharing choose_sharing(const PackedLayer& layer, const Batch& batch, int threads);

}  // namespace tidegate
