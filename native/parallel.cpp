#include "parallel.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
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
  if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  if (CPU_COUNT(&allowed) > 1) CPU_CLR(here, &allowed);
  pthread_setaffinity_np(worker.native_handle(), sizeof allowed, &allowed);
}
#else
void keep_off_this_processor(std::thread&) {}
#endif

// How long threads stay awake after a call: longer than the gap between two layers, shorter than anyone would notice.
constexpr int64_t kAwake = 30 * 1000;  // nanoseconds
std::atomic<int64_t> awake{kAwake};
// The same of a thread that was woken for the next call, while the caller is still at work alone on this one. If it
// fell asleep before that ended, it would be woken for every call and be there for none.
constexpr int64_t kExpecting = 10 * kAwake;

std::atomic<int64_t> last_call{0};  // when it ended, in nanoseconds of the steady clock

int64_t now() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Threads that stay alive between calls. Each has a mailbox of its own, so that a call wakes those that it wants and no
// others.
class Pool {
 public:
  std::atomic<bool> busy{false};

  // Makes sure that there are `wanted` workers and returns how many there are; fewer when the system gives no more
  // threads.
  int grow(int wanted) {
    try {
      if (wanted > static_cast<int>(workers_.size()))
        rounds_.reset(new Barrier::Rounds[static_cast<size_t>(wanted) + 1]);
      workers_.reserve(static_cast<size_t>(wanted));  // a started thread must find its place
      while (static_cast<int>(workers_.size()) < wanted) workers_.push_back(std::make_unique<Worker>(*this));
    } catch (...) {                                   // no memory, or no thread: we do with what there is
    }
    return std::min(wanted, static_cast<int>(workers_.size()));
  }

  // Runs body(0) here and body(1..size-1) on the workers.
  void run(int size, const std::function<void(int)>& body) {
    body_ = &body;
    error_ = nullptr;
    running_.store(size - 1, std::memory_order_relaxed);
    for (int index = 1; index < size; ++index) workers_[static_cast<size_t>(index - 1)]->wake();
    attempt(0);
    spin_until([&] { return running_.load(std::memory_order_acquire) == 0; });
    if (error_) std::rethrow_exception(error_);
  }

  // Where a team counts its barriers: the caller, and each of its workers.
  Barrier::Rounds* rounds() { return rounds_.get(); }

  // Whether all workers are awake. Those that are not are called, for the next time.
  bool rouse() {
    bool awake = true;
    for (const auto& worker : workers_) awake &= worker->rouse();
    return awake;
  }

 private:
  // An exception (there is one: no memory) reaches the caller, whichever thread has met it.
  void attempt(int index) {
    try {
      (*body_)(index);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex_);
      error_ = std::current_exception();
    }
  }

  class Worker {
   public:
    explicit Worker(Pool& pool)
        : index_(static_cast<int>(pool.workers_.size()) + 1), thread_([this, &pool] { work(pool); }) {}

    void wake() {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        round_.fetch_add(1, std::memory_order_release);
      }
      if (asleep_.load()) {
        keep_off_this_processor(thread_);
        called_.notify_one();
      }
    }

    // Whether it is awake; if not, lets it wake up and wait for a call.
    bool rouse() {
      if (!asleep_.load()) return true;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        roused_ = true;
      }
      keep_off_this_processor(thread_);
      called_.notify_one();
      return false;
    }

   private:
    // Spins for a moment between two rounds, since layers follow each other closely, then sleeps.
    void work(Pool& pool) {
      const FlushDenormals flush;
      bool expecting = false;  // woken for a call that has not come yet
      for (uint64_t seen = 0;;) {
        const auto called = [&] { return round_.load(std::memory_order_acquire) != seen; };
        const auto patience = [&] {
          return std::max(awake.load(std::memory_order_relaxed), expecting ? kExpecting : 0);
        };
        for (int64_t start = now(); !called() && now() - start < patience();)
          for (int spin = 0; spin < 20 && !called(); ++spin) pause();
        if (!called()) {
          std::unique_lock<std::mutex> lock(mutex_);
          asleep_.store(true);
          called_.wait(lock, [&] { return called() || roused_; });
          asleep_.store(false);
          expecting = roused_;
          roused_ = false;
        }
        if (!called()) continue;
        expecting = false;
        pool.attempt(index_);
        pool.running_.fetch_sub(1, std::memory_order_release);
        ++seen;
      }
    }

    const int index_;
    std::mutex mutex_;
    std::condition_variable called_;
    std::atomic<uint64_t> round_{0};
    std::atomic<bool> asleep_{false};
    bool roused_ = false;  // under mutex_
    std::thread thread_;   // last: it starts when all else is ready
  };

  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Barrier::Rounds[]> rounds_;
  std::atomic<int> running_{0};
  const std::function<void(int)>* body_ = nullptr;
  std::mutex error_mutex_;
  std::exception_ptr error_;
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

// Takes the pool for one call, if it is free and has workers; returns the size of the team, the caller included.
int borrow(int wanted) {
  if (wanted <= 1 || the_pool().busy.exchange(true)) return 1;
  const int size = the_pool().grow(wanted - 1) + 1;
  if (size == 1) the_pool().busy.store(false);
  return size;
}

}  // namespace

Barrier::Barrier(Rounds* rounds, int size) : rounds_(rounds), size_(size) {
  for (int index = 0; index < size; ++index) rounds_[index].count.store(0, std::memory_order_relaxed);
}

void Barrier::wait(int index) {
  const int64_t round = rounds_[index].count.load(std::memory_order_relaxed) + 1;
  rounds_[index].count.store(round, std::memory_order_release);
  for (int other = 0; other < size_; ++other)
    spin_until([&] { return rounds_[other].count.load(std::memory_order_acquire) >= round; });
}

Team::Team(int wanted)
    : size_(borrow(wanted)), barrier_(size_ > 1 ? Barrier(the_pool().rounds(), size_) : Barrier(nullptr, 0)) {}

Team::~Team() {
  if (size_ > 1) the_pool().busy.store(false);
  last_call.store(now(), std::memory_order_relaxed);
}

bool Team::is_awake() {
  if (now() - last_call.load(std::memory_order_relaxed) > awake.load(std::memory_order_relaxed)) return false;
  Pool& pool = the_pool();
  if (pool.busy.exchange(true)) return false;
  const bool found = pool.rouse();
  pool.busy.store(false);
  return found;
}

void Team::stay_awake(int64_t nanoseconds) { awake.store(std::max(nanoseconds, kAwake)); }

void Team::run(const std::function<void(int)>& body) {
  const FlushDenormals flush;
  if (size_ == 1) {
    body(0);
  } else {
    the_pool().run(size_, body);
  }
}

}  // namespace tidegate
