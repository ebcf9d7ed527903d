#include "parallel.hpp"

#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tidegate {
namespace {

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

// Waits for something that another thread is about to do. Yields after a while: when cores are short, that thread may
// need ours.
template <class Condition>
void spin_until(const Condition& done) {
  for (int spin = 0; !done(); ++spin) {
    if (spin < 1000) {
      pause();
    } else {
      sched_yield();
    }
  }
}

// Denormal numbers cost a hundred cycles each on many processors, and a state that decays in silence is full of them.
// Treats them as zero until the end of the scope and then restores the caller's mode.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }  // flush to zero, denormals are zero
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved_));
    __asm__ __volatile__("msr fpcr, %0" ::"r"(saved_ | (1ull << 24)));
  }
  ~FlushDenormals() { __asm__ __volatile__("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

#if defined(__linux__)
// Keeps a worker off the processor that its caller runs on. Left alone, Linux often wakes it right there, and takes
// milliseconds to notice that another processor is idle.
void keep_off_this_processor(std::thread& worker) {
  cpu_set_t allowed;
  const int here = sched_getcpu();
  if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  CPU_CLR(here, &allowed);
  pthread_setaffinity_np(worker.native_handle(), sizeof allowed, &allowed);
}
#else
void keep_off_this_processor(std::thread&) {}
#endif

constexpr int kSpins =
    2000;  // some 20 to 50 microseconds: longer than the gap between two layers, shorter than anyone would notice

// Workers wait for a new generation: they spin for a moment, since layers follow each other closely, then sleep.
class Pool {
 public:
  std::atomic<bool> busy{false};

  void run(int size, const std::function<void(int)>& body) {
    while (static_cast<int>(threads_.size()) < size - 1) {
      const int index = static_cast<int>(threads_.size()) + 1;
      threads_.emplace_back([this, index, seen = generation_.load()] { work(index, seen); });
    }
    body_ = &body;
    size_ = size;
    running_.store(static_cast<int>(threads_.size()),
                   std::memory_order_relaxed);  // idle workers answer too: none may miss a round
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load() > 0) {
      for (std::thread& worker : threads_) keep_off_this_processor(worker);
      wake_.notify_all();
    }
    body(0);
    spin_until([&] { return running_.load(std::memory_order_acquire) == 0; });
  }

 private:
  void work(int index, uint64_t seen) {
    const FlushDenormals flush;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spin) pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleepers_;
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        --sleepers_;
      }
      ++seen;
      if (index < size_) (*body_)(index);
      running_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0}, sleepers_{0};
  const std::function<void(int)>* body_ = nullptr;
  int size_ = 0;
};

// Never destroyed: at exit the workers just stop with the process. A forked child has no workers, so it starts with a
// new pool.
std::atomic<Pool*> pool{nullptr};

Pool& the_pool() {
  static const int once = pthread_atfork(nullptr, nullptr, [] { pool.store(new Pool); });
  (void)once;
  if (!pool.load()) {
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    if (!pool.load()) pool.store(new Pool);
  }
  return *pool.load();
}

}  // namespace

void Barrier::wait() {
  const int round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  spin_until([&] { return round_.load(std::memory_order_acquire) != round; });
}

Team::Team(int wanted) : size_(wanted > 1 && !the_pool().busy.exchange(true) ? wanted : 1), barrier_(size_) {}

Team::~Team() {
  if (size_ > 1) the_pool().busy.store(false);
}

void Team::run(const std::function<void(int)>& body) {
  const FlushDenormals flush;
  if (size_ == 1) {
    body(0);
  } else {
    the_pool().run(size_, body);
  }
}

}  // namespace tidegate
