#include "schedule.hpp"

namespace tidegate {

Sharing choose_sharing(const PackedLayer& layer, const Schedule& schedule, int threads) {
  constexpr int64_t kThreadWork = 400 * 1000;  // multiply-adds that are worth waking a thread for
  constexpr int64_t kUnitBytes = 128 * 1024;  // recurrent weights from which a step is long beside a meeting of threads
  constexpr int64_t kNearBytes =
      1024 * 1024;  // weights that a core keeps near; reading more than that twice is the dearer way
  const int64_t rows = schedule.rows(), floats = layer.gates * layer.hidden * (layer.input + layer.hidden);
  const int64_t worth = std::max<int64_t>(1, floats * rows * schedule.steps() / kThreadWork);
  threads = static_cast<int>(std::min<int64_t>(threads, worth));
  const bool few = rows < 2 * threads || (rows < 4 * threads && floats * 4 > kNearBytes);
  const bool units = threads > 1 && few && layer.gates * layer.hidden * layer.hidden * 4 >= kUnitBytes;
  if (!units) threads = static_cast<int>(std::min<int64_t>(threads, std::max<int64_t>(rows, 1)));
  return {threads, units};
}

}  // namespace tidegate
