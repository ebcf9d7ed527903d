#include "lookup.hpp"

#include <algorithm>
#include <cassert>

namespace tidegate {
namespace {

// Calls body(index) for every step of every row, by its place in an array [T, B] or packed [N].
template <class Body>
void each_step(const Batch& batch, const Body& body) {
  for (int64_t t = 0; t < batch.T; ++t)
    for (int64_t b = 0; b < batch.B; ++b)
      if (!batch.lengths || t < batch.lengths[b]) body(batch.row_index(t, b));
}

}  // namespace

Lookup::Lookup(const Batch& batch) : batch_(batch) {
  if (!batch.ids) return;
  constexpr int64_t kFew = 16;  // rows of the table for each step from which sorting is cheaper than a look at all rows
  int64_t end = 0;
  each_step(batch, [&](int64_t i) {
    assert(batch.ids[i] >= 0 && batch.ids[i] < batch.table_rows);
    read_.push_back(batch.ids[i]);
    end = i + 1;
  });
  places_.resize(static_cast<size_t>(end));
  if (rows() * kFew < batch.table_rows) {
    std::sort(read_.begin(), read_.end());
    read_.erase(std::unique(read_.begin(), read_.end()), read_.end());
    each_step(batch, [&](int64_t i) {
      const auto found = std::lower_bound(read_.begin(), read_.end(), batch.ids[i]);
      places_[i] = static_cast<int32_t>(found - read_.begin());
    });
    return;
  }
  std::vector<int32_t> place(static_cast<size_t>(batch.table_rows), -1);
  for (const int64_t row : read_) place[row] = 0;
  read_.clear();
  for (int64_t row = 0; row < batch.table_rows; ++row) {
    if (place[row] < 0) continue;
    place[row] = static_cast<int32_t>(read_.size());
    read_.push_back(row);
  }
  each_step(batch, [&](int64_t i) { places_[i] = place[batch.ids[i]]; });
}

}  // namespace tidegate
