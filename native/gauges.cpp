#include "gauges.hpp"

#include <chrono>
#include <numeric>
#include <stdexcept>

#include "parallel.hpp"

namespace tidegate {
namespace {

void require_all(const Team& team, int threads) {
  if (team.size() < threads) throw std::runtime_error("other calls have the threads");
}

}  // namespace

int64_t gauge_multiply_adds(const KernelTable& kernels, int threads, int64_t rounds) {
  Team team(threads);
  require_all(team, threads);
  std::vector<int64_t> operations(static_cast<size_t>(threads));
  team.run([&](int index) { operations[static_cast<size_t>(index)] = kernels.multiply_adds(rounds); });
  return std::accumulate(operations.begin(), operations.end(), int64_t{0});
}

void gauge_reading(const KernelTable& kernels, const std::vector<Stretch>& stretches, int64_t rounds) {
  const int threads = static_cast<int>(stretches.size());
  Team team(threads);
  require_all(team, threads);
  team.run([&](int index) {
    const Stretch& own = stretches[static_cast<size_t>(index)];
    kernels.read_floats(own.data, own.floats, rounds);
  });
}

double gauge_barrier(int threads, int64_t rounds) {
  Team team(threads);
  require_all(team, threads);
  double seconds = 0.0;
  team.run([&](int index) {
    team.barrier(index);
    const auto start = std::chrono::steady_clock::now();
    for (int64_t round = 0; round < rounds; ++round) team.barrier(index);
    if (index == 0) seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  });
  return seconds;
}

}  // namespace tidegate
