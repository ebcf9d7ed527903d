#include "lookup.hpp"

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
  int64_t steps = 0;  // up to the last one
  std::vector<int32_t> place(static_cast<size_t>(batch.table_rows), -1);
  each_step(batch, [&](int64_t i) {
    assert(batch.ids[i] >= 0 && batch.ids[i] < batch.table_rows);
    place[batch.ids[i]] = 0;
    steps = i + 1;
  });
  for (int64_t row = 0; row < batch.table_rows; ++row) {
    if (place[row] < 0) continue;
    place[row] = static_cast<int32_t>(read_.size());
    read_.push_back(row);
  }
  places_.resize(static_cast<size_t>(steps));
  each_step(batch, [&](int64_t i) { places_[i] = place[batch.ids[i]]; });
}

}  // namespace tidegate
