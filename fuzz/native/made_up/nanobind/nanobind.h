// Objects in the place of Python's, so that native/tensors.hpp and what includes it run under sanitizers without
// Python: what they take from nanobind, and no more.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

// An object: a tuple, a capsule, or what the exchange table knows.
struct MadeUp {
  const void* type = nullptr;
  std::vector<MadeUp*> items;
  const void* pointer = nullptr;
};
inline MadeUp made_up_none;
inline void PyErr_Clear() {}
inline void* PyCapsule_GetPointer(MadeUp* object, const char*) { return const_cast<void*>(object->pointer); }

namespace nanobind {

class handle {
 public:
  handle(const MadeUp* object = nullptr) : object_(const_cast<MadeUp*>(object)) {}
  MadeUp* ptr() const { return object_; }
  handle type() const { return static_cast<const MadeUp*>(object_->type); }
  bool is(handle other) const { return object_ == other.object_; }
  bool is_none() const { return object_ == &made_up_none; }
  handle operator[](size_t i) const { return object_->items.at(i); }

 protected:
  MadeUp* object_;
};
inline size_t len(handle object) { return object.ptr()->items.size(); }

class tuple : public handle {
 public:
  using handle::handle;
};

struct gil_scoped_release {
  gil_scoped_release() {}
};

struct python_error : std::runtime_error {
  python_error() : runtime_error("no capsule") {}
};
struct value_error : std::runtime_error {
  using runtime_error::runtime_error;
};

}  // namespace nanobind
