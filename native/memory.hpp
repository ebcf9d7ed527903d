// Aligned scratch memory that is kept from call to call, so that a training step neither allocates nor touches fresh
// pages.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace tidegate {

constexpr int64_t kAlignment = 64;  // bytes: a cache line, and the widest vector

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
using Floats = std::unique_ptr<float[], FreeDeleter>;

inline Floats allocate_floats(int64_t count) {
  const int64_t bytes = (count * static_cast<int64_t>(sizeof(float)) + kAlignment - 1) / kAlignment * kAlignment;
  void* p = std::aligned_alloc(kAlignment, static_cast<size_t>(bytes > 0 ? bytes : kAlignment));
  if (!p) throw std::bad_alloc();
  return Floats(static_cast<float*>(p));
}

// A stack of buffers for one call: ask first how much is needed in all, then take pieces. One per Python thread.
class Scratch {
 public:
  static Scratch& local() {
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

}  // namespace tidegate
