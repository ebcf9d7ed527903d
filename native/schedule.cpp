#include "schedule.hpp"

#include <numeric>

#include "parallel.hpp"

namespace tidegate {
namespace {

// Rows of the whole batch that belong to a part.
std::vector<int64_t> rows_of_part(const Batch& batch, int64_t part, int64_t parts) {
  if (!batch.lengths) {
    const Range own = share(batch.B, part, parts);
    std::vector<int64_t> rows(static_cast<size_t>(own.end - own.begin));
    std::iota(rows.begin(), rows.end(), own.begin);
    return rows;
  }
  std::vector<int64_t> sorted(static_cast<size_t>(batch.B)), rows;
  std::iota(sorted.begin(), sorted.end(), int64_t{0});
  const int64_t* lengths = batch.lengths;
  std::stable_sort(sorted.begin(), sorted.end(), [=](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  if (parts == 1) return sorted;
  for (int64_t i = 0; i < batch.B; ++i) {  // forth and back: 0 1 2 2 1 0 0 1 2 ...
    const int64_t turn = i / parts, place = i % parts;
    if ((turn % 2 ? parts - 1 - place : place) == part) rows.push_back(sorted[i]);
  }
  return rows;
}

}  // namespace

Schedule::Schedule(const Batch& batch, int64_t part, int64_t parts)
    : batch_(batch), order_(rows_of_part(batch, part, parts)), length_(order_.size(), batch.T) {
  if (batch.lengths)
    std::transform(order_.begin(), order_.end(), length_.begin(), [&](int64_t row) { return batch.lengths[row]; });
  assert(std::all_of(length_.begin(), length_.end(), [&](int64_t n) { return n >= 0 && n <= batch.T; }));
  active_.resize(static_cast<size_t>(rows() > 0 ? length_[0] : 0));
  for (int64_t step = 0, left = rows(); step < steps(); ++step) {
    while (length_[left - 1] <= step) --left;
    active_[step] = left;
  }
}

void Schedule::point_states(int32_t s, const Rows& after, const float* zeros, int64_t step, const float** to,
                            const float* const* before) const {
  const int64_t rows = active_[step];
  const auto start = [&](int64_t row) { return batch_.start(s, order_[row], zeros); };
  for (int64_t row = 0; row < rows; ++row)
    to[row] = step == 0 ? start(row) : before ? before[row] : after.at(time(step - 1, row), order_[row]);
  for (int64_t row = 0; batch_.episode_starts && row < rows; ++row)
    if (starts_episode(step, row)) to[row] = batch_.episodes_from_h0 ? start(row) : zeros;
}

Sharing choose_sharing(const PackedLayer& layer, const Batch& batch, int threads) {
  if (threads == 1) return {1, false, 0};
  constexpr int64_t kThreadWork = 3000 * 1000;  // multiply-adds that are worth waking a thread for
  constexpr int64_t kAwakeWork = 100 * 1000;    // the same when it is awake
  constexpr int64_t kPacking = 6;               // multiply-adds in whose time a weight is packed, or read in its place
  constexpr int64_t kUnitBytes = 128 * 1024;    // recurrent weights from which a step is long beside a barrier
  const int64_t rows = batch.B, bytes = layer.weight_bytes(), count = layer.weights();
  const int64_t floats = layer.element() == Element::kFloat32 ? count : count * 2 / 3;  // as many take as much time
  const int64_t steps = batch.lengths && rows > 0 ? *std::max_element(batch.lengths, batch.lengths + rows) : batch.T;
  const int64_t work = floats * (rows * steps + (layer.forward_is_prepared() ? 0 : kPacking));
  if (work < 2 * kAwakeWork) return {1, false, work};  // and nobody is woken
  const int64_t worth = std::max<int64_t>(1, work / (Team::is_awake() ? kAwakeWork : kThreadWork));
  threads = static_cast<int>(std::min<int64_t>(threads, worth));
  const bool few =
      rows < 2 * threads || (rows < 4 * threads && bytes > kNearBytes);  // reading those twice costs too much
  // In a single step threads that share units read a part of the weights each, which they have packed themselves.
  const bool units = threads > 1 && (few || steps == 1 || bytes > kFarBytes) &&
                     layer.gates * layer.hidden * layer.hidden * element_bytes(layer.element()) >= kUnitBytes;
  // More threads than rows, or panels of units, would only spin.
  const int64_t parts = units ? layer.unit_panels() : std::max<int64_t>(rows, 1);
  threads = static_cast<int>(std::min<int64_t>(threads, parts));
  return {threads, units, work};
}

}  // namespace tidegate
