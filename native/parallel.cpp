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

// How long a call waits for its threads before it does without those that have not come: as long as sharing would save.
// But one that was asleep is there after kWaking, if nobody is in its way. Where a thread of OpenMP spins on its
// processor, as after an operation of PyTorch, that takes kSpinning, and is only worth it if as much is saved.
constexpr int64_t kWaking = 400 * 1000, kSpinning = 8 * 1000 * 1000;  // nanoseconds
int64_t patience_for(int64_t work) {
  constexpr int64_t kSaved = 64;  // multiply-adds with which a second thread saves a nanosecond
  const int64_t saved = work / kSaved;
  return saved > kSpinning ? saved : std::min(saved, kWaking);
}

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
      team_.reserve(static_cast<size_t>(wanted));
      while (static_cast<int>(workers_.size()) < wanted) workers_.push_back(std::make_unique<Worker>(*this));
    } catch (...) {  // no memory, or no thread: we do with what there is
    }
    return std::min(wanted, static_cast<int>(workers_.size()));
  }

  // Calls `wanted` workers, and returns how many have come in time; the others are not waited for any more. Those that
  // came stay until they are dismissed.
  int gather(int wanted, int64_t patience) {
    team_.clear();
    for (int i = 0; i < wanted; ++i) workers_[static_cast<size_t>(i)]->call(kCalled);
    const auto all = [&] {
      return std::all_of(workers_.begin(), workers_.begin() + wanted,
                         [](const auto& worker) { return worker->is_here(); });
    };
    for (int64_t start = now(), waited = 0; !all() && waited < patience; waited = now() - start) {
      for (int spin = 0; spin < 20 && !all(); ++spin) pause();
      if (waited > kAwake) sched_yield();
    }
    for (int i = 0; i < wanted; ++i) {
      Worker& worker = *workers_[static_cast<size_t>(i)];
      if (worker.stays()) team_.push_back(&worker);
    }
    return static_cast<int>(team_.size());
  }
  void dismiss() {
    for (Worker* worker : team_) worker->dismiss();
  }

  // Runs body(0) here and body(1..) on the workers that have come.
  void run(const std::function<void(int)>& body) {
    body_ = &body;
    error_ = nullptr;
    running_.store(static_cast<int>(team_.size()), std::memory_order_relaxed);
    for (size_t i = 0; i < team_.size(); ++i) team_[i]->work_as(static_cast<int>(i) + 1);
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

  // What a worker is about: nothing, or called, or here and waiting for work, or at work. The caller calls, gives work
  // and dismisses; the worker says that it is here. Whether one that comes late is still wanted, one exchange decides.
  enum State : int { kFree, kCalled, kHere, kAtWork };

  class Worker {
   public:
    explicit Worker(Pool& pool) : thread_([this, &pool] { work(pool); }) {}

    void call(State state) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        state_.store(state, std::memory_order_release);
      }
      if (asleep_.load()) {
        keep_off_this_processor(thread_);
        called_.notify_one();
      }
    }
    bool is_here() const { return state_.load(std::memory_order_acquire) == kHere; }
    // Whether it is here by now; if not, it need not come.
    bool stays() {
      int called = kCalled;
      return !state_.compare_exchange_strong(called, kFree, std::memory_order_acq_rel);
    }
    void work_as(int index) {
      index_ = index;
      call(kAtWork);
    }
    void dismiss() { state_.store(kFree, std::memory_order_release); }

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
    // Spins for a moment between two calls, since layers follow each other closely, then sleeps.
    void work(Pool& pool) {
      const FlushDenormals flush;
      bool expecting = false;  // woken for a call that has not come yet
      for (;;) {
        const auto called = [&] {
          const int state = state_.load(std::memory_order_acquire);
          return state == kCalled || state == kAtWork;
        };
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
        int state = kCalled;
        if (state_.compare_exchange_strong(state, kHere, std::memory_order_acq_rel)) {
          expecting = false;
        } else if (state == kAtWork) {
          pool.attempt(index_);
          state_.store(kHere, std::memory_order_relaxed);  // before the caller may give it more to do
          pool.running_.fetch_sub(1, std::memory_order_release);
        }
      }
    }

    int index_ = 0;  // in the team; written before it is given work
    std::mutex mutex_;
    std::condition_variable called_;
    std::atomic<int> state_{kFree};
    std::atomic<bool> asleep_{false};
    bool roused_ = false;  // under mutex_
    std::thread thread_;   // last: it starts when all else is ready
  };

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> team_;  // those that have come to the call at hand
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

// Takes the pool for one call, if it is free and has workers that come; returns the size of the team, the caller
// included.
int borrow(int wanted, int64_t work) {
  if (wanted <= 1 || the_pool().busy.exchange(true)) return 1;
  Pool& pool = the_pool();
  const int size = pool.gather(pool.grow(wanted - 1), patience_for(work)) + 1;
  if (size == 1) pool.busy.store(false);
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

Team::Team(int wanted, int64_t work)
    : size_(borrow(wanted, work)), barrier_(size_ > 1 ? Barrier(the_pool().rounds(), size_) : Barrier(nullptr, 0)) {}

Team::~Team() {
  if (size_ > 1) {
    the_pool().dismiss();
    the_pool().busy.store(false);
  }
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
    the_pool().run(body);
  }
}

}  // namespace tidegate
