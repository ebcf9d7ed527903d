// Eight threads use one layer at once, some to train and some to infer, while the pool of threads is theirs too; for
// the thread sanitizer. Each result must be the one that a thread gets alone.
//
//     threads SECONDS
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "calls.hpp"

using namespace tidegate;
using namespace tidegate::fuzz;

namespace {

constexpr int kThreads = 8, kTeam = 3;
constexpr int64_t kCallsEach = 4;  // of a thread and a layer: the first ones meet weights that are not packed yet

// Bytes from which a round or a call is drawn.
std::vector<uint8_t> bytes_of(uint64_t seed) {
  std::vector<uint8_t> bytes(64);
  for (uint8_t& byte : bytes) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<uint8_t>(seed >> 56);
  }
  return bytes;
}

struct Work {
  Call call;
  bool trains;
  Results expected;
};

// One layer, and the calls that all threads make of it; returns how many there are.
int64_t run_round(uint64_t seed) {
  const std::vector<uint8_t> bytes = bytes_of(seed);
  Source in(bytes.data(), bytes.size());
  const auto& tables = kernel_tables();
  const KernelTable& table = *tables[static_cast<size_t>(in.below(static_cast<int64_t>(tables.size())))];
  const CellKernels& cell = table.cells[in.below(table.cell_count)];
  const bool wide = in.below(4) == 0;
  const Weighted weights(in, table, cell, 1 + in.below(40), wide ? 104 + in.below(32) : 1 + in.below(64), false);
  const auto shared = weights.layer();
  shared->keep_packed(kTeam);
  std::vector<Work> work[kThreads];
  for (int64_t i = 0; i < kThreads * kCallsEach; ++i) {
    const std::vector<uint8_t> drawn = bytes_of(seed * 1000 + static_cast<uint64_t>(i));
    Source from(drawn.data(), drawn.size());
    std::vector<Work>& own = work[i % kThreads];
    own.push_back({Call(from, weights, wide ? 4 : 16, 16, false), i % 3 != 0, {}});
    own.back().expected = own.back().call.run(*weights.layer(), 1, own.back().trains);
  }
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (std::vector<Work>& own : work)
    threads.emplace_back([&ready, &own, &shared] {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      for (Work& each : own) {
        const Results found = each.call.run(*shared, kTeam, each.trains);
        for (size_t i = 0; i < found.size(); ++i)
          if (!same(found[i], each.expected[i])) std::fprintf(stderr, "another result than alone\n"), std::abort();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return kThreads * kCallsEach;
}

}  // namespace

int main(int count, char** arguments) {
  const double seconds = count > 1 ? std::atof(arguments[1]) : 60;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  int64_t calls = 0, rounds = 0;
  while (std::chrono::steady_clock::now() < end) calls += run_round(static_cast<uint64_t>(++rounds));
  std::printf("%lld layers, %lld calls by %d threads: each result is that of one thread\n",
              static_cast<long long>(rounds), static_cast<long long>(calls), kThreads);
}
