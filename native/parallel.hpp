// A small pool of threads that stays alive between calls, and the team that one call borrows from it.
#pragma once
#include <atomic>
#include <functional>

#include "kernel_table.hpp"

namespace tidegate {

// Thread or part `index` of `size`: its share of 0..count-1.
inline Range share(int64_t count, int64_t index, int64_t size) {
  if (size == 1) return {0, count};  // a division takes as long as a small product
  return {count * index / size, count * (index + 1) / size};
}

// All threads of a team wait here for each other. Spins, then yields: the wait is short by design. Each thread counts
// its rounds on cache lines of its own and reads the others': a word passes between two cores once, where a counter
// that all share would go to and fro. Among many threads that is many reads, but they are under way together.
class Barrier {
 public:
  struct alignas(128) Rounds {  // two lines, because processors fetch them in pairs
    std::atomic<int64_t> count{0};
  };

  Barrier(Rounds* rounds, int size);  // one for each thread
  void wait(int index);

 private:
  Rounds* const rounds_;
  const int size_;
};

// The threads of one native call. Asks for `wanted` threads and gets fewer when another Python thread uses the pool at
// this moment, or when threads are late: then the call runs on those that are there, its own alone if need be, and the
// result is the same. `work`, the multiply-adds of the call, says how long they are waited for.
class Team {
 public:
  static constexpr int64_t kEndlessWork = INT64_MAX;
  explicit Team(int wanted, int64_t work = kEndlessWork);

  // Whether all threads are awake, as calls follow each other closely: then even little work is worth sharing. Where
  // calls do so but threads are asleep, they are woken for the next one.
  static bool is_awake();
  // How long threads wait for the next call before they sleep; 0 for as long as nobody would notice.
  static void stay_awake(int64_t nanoseconds);

  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  // Runs body(0) here and body(1..size-1) on the pool, with denormals flushed to zero, and returns when all are done.
  void run(const std::function<void(int)>& body);
  // Thread `index` waits until all others have called this too.
  void barrier(int index) {
    if (size_ > 1) barrier_.wait(index);
  }

 private:
  int size_;
  Barrier barrier_;
};

}  // namespace tidegate
