// The memory of tensors: that of those that are read, held meanwhile, and that of new ones.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <initializer_list>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "memory.hpp"
#include "tensors.hpp"

namespace tidegate {

// A tensor that is handed to the library, in the order of the standard (`DLManagedTensorVersioned`).
struct ManagedTensor {
  struct {
    uint32_t major, minor;
  } version;
  void* owner;
  void (*deleter)(ManagedTensor*);
  uint64_t flags;
  nb::dlpack::dltensor tensor;
};

// The storages of tensors, held as long as this object lives, with the address and the bytes of each, as a
// `TensorReader` wants them. They are no reason to read a tensor that lies elsewhere by now.
class HeldMemory {
 public:
  // Some of the objects may be None. Not `ok` if one is no tensor whose memory may be read, or its numbers are to be
  // negated first.
  HeldMemory(const Tensors& tensors, const nb::tuple& objects) {
    storages_.reserve(nb::len(objects));
    numbers_.reserve(2 * nb::len(objects));
    for (nb::handle object : objects)
      if (ok && !object.is_none()) ok = tensors.may_read(object) && hold(object);
  }
  const std::vector<uintptr_t>& numbers() const { return numbers_; }

  bool ok = true;

 private:
  bool hold(nb::handle tensor) {
    static PyObject *const is_neg = PyUnicode_InternFromString("is_neg"),
                           *const storage = PyUnicode_InternFromString("untyped_storage"),
                           *const address = PyUnicode_InternFromString("data_ptr"),
                           *const bytes = PyUnicode_InternFromString("nbytes");
    const nb::object negated = ask(tensor, is_neg);
    if (!negated.is_valid() || negated.ptr() != Py_False) return false;
    storages_.push_back(ask(tensor, storage));
    return storages_.back().is_valid() && add(ask(storages_.back(), address)) && add(ask(storages_.back(), bytes));
  }
  bool add(const nb::object& number) {
    if (number.is_valid()) numbers_.push_back(nb::cast<uintptr_t>(number));
    return number.is_valid();
  }
  // What a method returns; nothing if there is no such thing, as of a tensor without memory.
  static nb::object ask(nb::handle object, PyObject* method) {
    PyObject* const arguments[] = {object.ptr()};
    const nb::object found = nb::steal(PyObject_VectorcallMethod(method, arguments, 1, nullptr));
    if (found.is_valid()) return found;
    // NotImplementedError is a RuntimeError
    if (!PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_RuntimeError))
      throw nb::python_error();
    PyErr_Clear();
    return found;
  }

  std::vector<nb::object> storages_;
  std::vector<uintptr_t> numbers_;
};

// A new tensor float32, its contents undefined. A large one lies in memory that earlier ones have used.
inline nb::object new_tensor(const Tensors& tensors, Shape shape) {
  struct Made {
    ManagedTensor managed{};
    Shape shape, strides;
    Recycled::Block block;
  };
  auto made = std::make_unique<Made>();
  made->shape = std::move(shape);
  made->strides.resize(made->shape.size());
  int64_t count = 1;
  for (size_t axis = made->shape.size(); axis-- > 0;) {
    made->strides[axis] = count;
    // An input whose strides are 0 has few numbers and as many rows as it says.
    if (__builtin_mul_overflow(count, made->shape[axis], &count) || count > INT64_MAX / 8) throw std::bad_alloc();
  }
  const int64_t bytes = count * static_cast<int64_t>(sizeof(float));
  made->block =
      bytes < Recycled::kLeast ? Recycled::Block{allocate_floats(count), bytes} : Recycled::instance().take(bytes);
  ManagedTensor& managed = made->managed;
  managed.version.major = Exchange::kMajor;
  managed.owner = made.get();
  managed.deleter = [](ManagedTensor* self) {
    const std::unique_ptr<Made> mine(static_cast<Made*>(self->owner));
    if (mine->block.bytes >= Recycled::kLeast) Recycled::instance().give_back(std::move(mine->block));
  };
  managed.tensor.data = made->block.floats.get();
  managed.tensor.device = {nb::device::cpu::value, 0};
  managed.tensor.ndim = static_cast<int32_t>(made->shape.size());
  managed.tensor.dtype = nb::dtype<float>();
  managed.tensor.shape = made->shape.data();
  managed.tensor.strides = made->strides.data();
  void* object = nullptr;
  if (tensors.exchange().import(&managed, &object) != 0) throw nb::python_error();
  made.release();  // it is the tensor's now
  return nb::steal(static_cast<PyObject*>(object));
}

// Results of a call, one after another.
class Results {
 public:
  Results(const Tensors& tensors, size_t count)
      : tensors_(tensors), all_(nb::steal<nb::tuple>(PyTuple_New(static_cast<Py_ssize_t>(count)))) {
    if (!all_.is_valid()) throw nb::python_error();
  }
  // A new tensor; or None if it is not wanted.
  void add(Shape shape, bool wanted = true) {
    nb::object each = wanted ? new_tensor(tensors_, std::move(shape)) : nb::none();
    PyTuple_SET_ITEM(all_.ptr(), next_++, each.release().ptr());
  }
  const nb::tuple& all() const { return all_; }

 private:
  const Tensors& tensors_;
  nb::tuple all_;
  Py_ssize_t next_ = 0;
};

}  // namespace tidegate
