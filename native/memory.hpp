// Aligned scratch memory that is kept from call to call, so that a training step neither allocates nor touches fresh
// pages.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace tidegate {

constexpr int64_t kAlignment = 64;  // bytes: a cache line, and the widest vector

// Lets go of a block: `mapped` is the bytes of one that the system gave by itself, or 0.
struct FreeDeleter {
  int64_t mapped = 0;

  void operator()(void* p) const {
#if defined(__linux__)
    if (mapped) {
      munmap(p, static_cast<size_t>(mapped));
      return;
    }
#endif
    std::free(p);
  }
};
using Floats = std::unique_ptr<float[], FreeDeleter>;

#if defined(__SANITIZE_ADDRESS__)
#define TIDEGATE_HEAP_ALONE  // the address sanitizer knows the ends of what the heap gives, and of nothing else
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TIDEGATE_HEAP_ALONE
#endif
#endif

#if defined(__linux__) && !defined(TIDEGATE_HEAP_ALONE)
constexpr int64_t kLarge = int64_t{2} << 20;  // bytes of a huge page, and the smallest block of its own

// Large blocks lie on huge pages where the system has them: weights and gradients of some megabytes are walked through
// at every step, and would need more pages of the usual size than a core can find at once. They are new to the process:
// the heap would hand out memory again that lies on small pages already, and there it stays.
inline Floats allocate_large(int64_t wanted) {
  static const auto page = static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  const int64_t bytes = (wanted + page - 1) / page * page, all = bytes + kLarge;
  void* p = mmap(nullptr, static_cast<size_t>(all), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  char* const first = static_cast<char*>(p);
  const auto place = static_cast<int64_t>(reinterpret_cast<uintptr_t>(first) % kLarge);
  char* const begin = first + (place ? kLarge - place : 0);
  const int64_t before = begin - first, after = all - bytes - before;
  if (before) munmap(first, static_cast<size_t>(before));
  if (after) munmap(begin + bytes, static_cast<size_t>(after));
  // The end of a block is left on small pages: a huge one would take memory that nobody asked for.
  madvise(begin, static_cast<size_t>(bytes / kLarge * kLarge), MADV_HUGEPAGE);
  return Floats(reinterpret_cast<float*>(begin), FreeDeleter{bytes});
}
#else
constexpr int64_t kLarge = INT64_MAX;
inline Floats allocate_large(int64_t) { throw std::bad_alloc(); }
#endif

inline Floats allocate_floats(int64_t count) {
  const int64_t wanted = std::max<int64_t>(count * static_cast<int64_t>(sizeof(float)), 1);
  if (wanted >= kLarge) return allocate_large(wanted);
  const int64_t bytes = (wanted + kAlignment - 1) / kAlignment * kAlignment;
  void* p = std::aligned_alloc(static_cast<size_t>(kAlignment), static_cast<size_t>(bytes));
  if (!p) throw std::bad_alloc();
  return Floats(static_cast<float*>(p));
}

// A stack of buffers for one call: ask first how much is needed in all, then take pieces. Every thread has one for
// what it does alone, one for what it shares with the team that it calls together, and one for the rows that smaller
// weights multiply.
class Scratch {
 public:
  static Scratch& local() {
    thread_local Scratch scratch;
    return scratch;
  }
  static Scratch& of_team() {
    thread_local Scratch scratch;
    return scratch;
  }

  static Scratch& of_rows() {
    thread_local Scratch scratch;
    return scratch;
  }

  // Makes room for `bytes` in pieces; what was taken before is gone.
  void reserve(int64_t bytes) {
    taken_ = 0;
    if (bytes <= size_) return;
    memory_.reset();
    size_ = 0;
    memory_ = allocate_floats(bytes / static_cast<int64_t>(sizeof(float)) + 1);
    size_ = bytes;
  }

  template <class T>
  static int64_t bytes(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
  }

  template <class T>
  T* take(int64_t count) {
    char* piece = reinterpret_cast<char*>(memory_.get()) + taken_;
    taken_ += bytes<T>(count);
    return reinterpret_cast<T*>(piece);
  }

 private:
  Floats memory_;
  int64_t size_ = 0, taken_ = 0;
};

// Large arrays that are handed to Python, and kept for the next one of about that size when Python lets go of them.
// Memory that is new to the process costs more to hand out, page by page and cleared, than a recurrent layer needs to
// fill it.
class Recycled {
 public:
  static constexpr int64_t kLeast = int64_t{1} << 20;     // bytes that the system would map, clear and unmap each time
  static constexpr int64_t kMostKept = int64_t{1} << 30;  // bytes, all blocks together

  struct Block {
    Floats floats;
    int64_t bytes;
  };

  static Recycled& instance() {
    static Recycled* recycled = new Recycled;  // never destroyed: arrays may outlive every module
    return *recycled;
  }

  // A kept block that is at most twice as large, the one used last since a cache may still hold it; or a new one.
  Block take(int64_t bytes) {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);  // after a fork nobody might open the lock again
    if (lock) {
      const auto found = std::find_if(kept_.rbegin(), kept_.rend(),
                                      [&](const Block& b) { return b.bytes >= bytes && b.bytes / 2 <= bytes; });
      if (found != kept_.rend()) {
        Block block = std::move(*found);
        kept_.erase(std::next(found).base());
        total_ -= block.bytes;
        return block;
      }
    }
    return {allocate_floats(bytes / static_cast<int64_t>(sizeof(float))), bytes};
  }

  // Keeps a block; the ones kept longest go when there are too many.
  void give_back(Block block) {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock || block.bytes > kMostKept) return;
    total_ += block.bytes;
    kept_.push_back(std::move(block));
    while (total_ > kMostKept) {
      total_ -= kept_.front().bytes;
      kept_.erase(kept_.begin());
    }
  }

 private:
  std::mutex mutex_;
  std::vector<Block> kept_;
  int64_t total_ = 0;
};

// Floats in recycled memory, given back at the end: for what every training step makes anew.
class RecycledFloats {
 public:
  RecycledFloats() : block_{nullptr, 0} {}
  explicit RecycledFloats(int64_t count)
      : block_(Recycled::instance().take(Scratch::bytes<float>(std::max<int64_t>(count, 1)))) {}
  ~RecycledFloats() {
    if (block_.floats) Recycled::instance().give_back(std::move(block_));
  }
  RecycledFloats(RecycledFloats&& other) noexcept : block_(std::move(other.block_)) {}
  RecycledFloats& operator=(RecycledFloats&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }

  float* get() const { return block_.floats.get(); }

 private:
  Recycled::Block block_;
};

}  // namespace tidegate
