// Tensors of a library that hands them out through DLPack's C functions
// (https://dmlc.github.io/dlpack/latest/c_api.html, `DLPackExchangeAPI`), read where they are: a call of microseconds
// has no time to ask Python for each.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace tidegate {

namespace nb = nanobind;

using Shape = std::vector<int64_t>;

struct ManagedTensor;

// The functions, in the order of the standard.
struct Exchange {
  struct {
    uint32_t major, minor;
  } version;
  const Exchange* previous;
  void (*others[2])();                                      // which allocate and export
  int (*import)(ManagedTensor* made, void** object);        // makes an object of it, which owns it
  int (*look_at)(void* object, nb::dlpack::dltensor* out);  // what it finds is valid as long as the object

  static constexpr uint32_t kMajor = 1;
};

// A tensor float32 on the CPU; else not `ok`.
class TensorView {
 public:
  TensorView() = default;
  // Looks at an object whose memory may be read.
  TensorView(const Exchange& exchange, nb::handle object) : ok(true) {
    if (exchange.look_at(object.ptr(), &view_) != 0) {
      PyErr_Clear();
      ok = false;
    }
    ok = ok && view_.device.device_type == nb::device::cpu::value && view_.dtype == nb::dtype<float>();
    ok = ok && (view_.ndim == 0 || view_.strides);
  }

  bool is(std::initializer_list<int64_t> shape) const {
    return std::equal(shape.begin(), shape.end(), view_.shape, view_.shape + view_.ndim);
  }
  bool is(const Shape& shape) const {
    return std::equal(shape.begin(), shape.end(), view_.shape, view_.shape + view_.ndim);
  }
  int axes() const { return view_.ndim; }
  int64_t size(int axis) const { return view_.shape[axis]; }
  int64_t stride(int axis) const { return view_.strides[axis]; }
  // Whether the axes from this one on are contiguous.
  bool contiguous(int from = 0) const {
    int64_t expected = 1;
    for (int axis = axes() - 1; axis >= from; --axis) {
      if (size(axis) != 1 && stride(axis) != expected) return false;
      expected *= size(axis);
    }
    return true;
  }
  // Floats from the first to the last one of those that it has, both included; INT64_MAX if no memory has as many.
  int64_t span() const {
    int64_t floats = 1, along = 0;
    for (int axis = 0; axis < axes(); ++axis) {
      if (size(axis) == 0) return 0;
      if (__builtin_mul_overflow(size(axis) - 1, stride(axis), &along) ||
          __builtin_add_overflow(floats, along, &floats))
        return INT64_MAX;
    }
    return floats;
  }
  // A number first, since null and an offset are no pointer.
  float* data() const {
    return reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(view_.data) +
                                    static_cast<uintptr_t>(view_.byte_offset));
  }

  bool ok = false;

 private:
  nb::dlpack::dltensor view_;
};

// Tensors of one library.
class Tensors {
 public:
  // `capsule` is the attribute `__dlpack_c_exchange_api__` of a type, `types` a tuple of those whose memory may be
  // read.
  Tensors(nb::handle capsule, nb::tuple types) : types_(std::move(types)) {
    exchange_ = static_cast<const Exchange*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
    if (!exchange_) throw nb::python_error();
    while (exchange_ && exchange_->version.major != Exchange::kMajor) exchange_ = exchange_->previous;
    if (!exchange_ || !exchange_->look_at || !exchange_->import)
      throw nb::value_error("no version of DLPack's functions that is known");
  }

  // Whether an object is of one of the types whose memory may be read.
  bool may_read(nb::handle object) const {
    const nb::handle type = object.type();
    for (size_t i = 0; i < nb::len(types_); ++i)
      if (type.is(types_[i])) return true;
    return false;
  }
  TensorView view(nb::handle object) const { return may_read(object) ? TensorView(*exchange_, object) : TensorView(); }
  const Exchange& exchange() const { return *exchange_; }

 private:
  const Exchange* exchange_;
  nb::tuple types_;
};

// Looks at tensors one after the other, some of which may be None, and at their memory, which the caller holds: the
// address and the bytes of each that is there. Another thread may have given a tensor other memory since, which nobody
// holds; or there is too little of it.
class TensorReader {
 public:
  TensorReader(const Tensors& tensors, const nb::tuple& objects, const std::vector<uintptr_t>& memory)
      : tensors_(tensors), objects_(objects), memory_(memory) {}

  int64_t left() const { return static_cast<int64_t>(nb::len(objects_) - object_); }
  // Whether the next one is None, which is then passed.
  bool passes_none() {
    const bool none = left() > 0 && objects_[object_].is_none();
    object_ += none;
    return none;
  }
  TensorView next() {
    if (left() == 0 || next_ + 2 > memory_.size()) return {};
    TensorView view = tensors_.view(objects_[object_++]);
    if (!view.ok) return view;
    const uintptr_t begin = memory_[next_], bytes = memory_[next_ + 1], at = reinterpret_cast<uintptr_t>(view.data());
    next_ += 2;
    view.ok = at >= begin && at - begin <= bytes && static_cast<uint64_t>(view.span()) <= (bytes - (at - begin)) / 4;
    return view;
  }

 private:
  const Tensors& tensors_;
  const nb::tuple& objects_;
  const std::vector<uintptr_t>& memory_;
  size_t object_ = 0, next_ = 0;
};

}  // namespace tidegate
