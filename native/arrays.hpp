// numpy arrays as the kernels see them: views by the buffer protocol where microseconds count, and arrays in memory
// that earlier ones have used.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstring>
#include <memory>
#include <vector>

#include "memory.hpp"
#include "sequence.hpp"

namespace tidegate {

namespace nb = nanobind;

// A view of a C-contiguous float32 array, released with this object; not `ok` when the object is something else.
class Buffer {
 public:
  Buffer(nb::handle object, bool written) {
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (written ? PyBUF_WRITABLE : 0);
    held_ = PyObject_GetBuffer(object.ptr(), &view_, flags) == 0;
    if (!held_) PyErr_Clear();
    ok = held_ && view_.ndim >= 1 && view_.itemsize == sizeof(float) && std::strcmp(view_.format, "f") == 0;
  }
  ~Buffer() {
    if (held_) PyBuffer_Release(&view_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  static constexpr int64_t kNone = -1;  // in the place of the size of an axis that is not there

  // Whether its shape is this one.
  bool is(std::initializer_list<int64_t> shape) const {
    int axis = 0;
    for (const int64_t size : shape)
      if (size != kNone && (axis == view_.ndim || view_.shape[axis++] != size)) return false;
    return axis == view_.ndim;
  }
  bool has_rows() const { return view_.ndim > 1; }
  int64_t rows() const { return has_rows() ? view_.shape[0] : 1; }
  float* data() const { return static_cast<float*>(view_.buf); }

  bool ok;

 private:
  Py_buffer view_;
  bool held_;
};

// One step, when all arrays are as they should be; else false, and nothing has happened: what is wrong is for the
// caller to say. x is [I] or [B, I]; states are [H], with an axis B if x has one, before it L of a stack, and before
// all S of a cell with two states.
inline bool step_arrays(const PackedLayer* const* layers, int64_t L, bool stack, nb::handle x_array,
                        nb::handle before_array, nb::handle after_array, int threads) {
  const Buffer x(x_array, false), before(before_array, false), after(after_array, true);
  if (L == 0 || !x.ok || !before.ok || !after.ok) return false;
  const PackedLayer& first = *layers[0];
  const int64_t S = first.numbers.states, B = x.rows(), H = first.hidden;
  for (int64_t l = 1; l < L; ++l)
    if (layers[l]->input != H || layers[l]->hidden != H || layers[l]->numbers.states != S) return false;
  const int64_t rows = x.has_rows() ? B : Buffer::kNone, states = S > 1 ? S : Buffer::kNone, floats = S * L * B * H;
  if (!x.is({rows, first.input})) return false;
  for (const Buffer* array : {&before, &after})
    if (!array->is({states, stack ? L : Buffer::kNone, rows, H})) return false;
  if (after.data() < x.data() + B * first.input && x.data() < after.data() + floats) return false;
  StepCall call{};
  call.B = B;
  call.x = x.data();
  call.x_row = first.input;
  for (int64_t s = 0; s < S; ++s) {
    call.before[s] = before.data() + s * L * B * H;
    call.after[s] = after.data() + s * L * B * H;
  }
  nb::gil_scoped_release release;
  step(layers, L, call, threads);
  return true;
}

// A new array, its contents undefined, in memory that earlier arrays have used.
inline nb::ndarray<nb::numpy, float> empty_array(const std::vector<size_t>& shape) {
  int64_t count = 1;
  for (const size_t size : shape)
    if (__builtin_mul_overflow(count, static_cast<int64_t>(size), &count) || count > INT64_MAX / 8)
      throw std::bad_alloc();
  auto* block = new Recycled::Block(Recycled::instance().take(count * static_cast<int64_t>(sizeof(float))));
  nb::capsule owner(block, [](void* p) noexcept {
    const std::unique_ptr<Recycled::Block> mine(static_cast<Recycled::Block*>(p));
    Recycled::instance().give_back(std::move(*mine));
  });
  return nb::ndarray<nb::numpy, float>(block->floats.get(), shape.size(), shape.data(), owner);
}

}  // namespace tidegate
