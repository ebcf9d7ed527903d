// What Python sees of the native code: no logic, no checks. Shapes, dtypes and lengths have been checked by
// src/tidegate/ops.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "dispatch.hpp"
#include "memory.hpp"
#include "packed_layer.hpp"
#include "parallel.hpp"
#include "sequence.hpp"

namespace nb = nanobind;
using namespace tidegate;

namespace {

using Floats32 = nb::ndarray<float, nb::device::cpu>;
using ConstFloats = nb::ndarray<const float, nb::device::cpu>;
using Marks = nb::ndarray<const uint8_t, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Maybe = std::optional<T>;

template <class Array>
Rows rows(const Array& array, const int64_t* step_start) {
  float* data = const_cast<float*>(array.data());
  if (step_start) return {data, 0, array.stride(0), step_start};
  return {data, array.stride(0), array.stride(1), nullptr};
}
template <class Array>
Rows rows(const Maybe<Array>& array, const int64_t* step_start) {
  return array ? rows(*array, step_start) : Rows{};
}
template <class Array>
auto pointer(const Maybe<Array>& array) -> decltype(array->data()) {
  return array ? array->data() : nullptr;
}

struct Shape {
  int64_t T, B;
  Maybe<Integers> lengths, step_start;
  bool reverse;
  Maybe<Marks> resets;
  bool reset_to_h0;
  Maybe<Integers> ids;

  Batch batch(const PackedLayer& layer, const ConstFloats& x, const Maybe<ConstFloats>& h0) const {
    return {T,
            B,
            layer.hidden,
            pointer(lengths),
            pointer(step_start),
            reverse,
            pointer(h0),
            pointer(resets),
            reset_to_h0,
            pointer(ids),
            ids ? static_cast<int64_t>(x.shape(0)) : 0};
  }
  // The input or its gradient: a row for each step, or a table that the steps look up.
  template <class Array>
  Rows inputs(const Array& x) const {
    return ids ? Rows{const_cast<float*>(x.data()), 0, x.stride(0), nullptr} : rows(x, pointer(step_start));
  }
};

void forward_(const PackedLayer& layer, const Shape& shape, ConstFloats x, Maybe<ConstFloats> h0, Floats32 y,
              Floats32 h_n, Maybe<Floats32> trace, bool clears_trace, int threads) {
  const int64_t* starts = pointer(shape.step_start);
  const ForwardPass pass{shape.inputs(x), rows(y, starts), rows(trace, starts), h_n.data(), trace && clears_trace};
  const Batch batch = shape.batch(layer, x, h0);
  nb::gil_scoped_release release;
  forward(layer, batch, pass, threads);
}

void backward_(const PackedLayer& layer, const Shape& shape, ConstFloats x, Maybe<ConstFloats> h0, ConstFloats y,
               Maybe<ConstFloats> trace, Maybe<ConstFloats> dy, Maybe<ConstFloats> dh_n, Maybe<Floats32> dx,
               Maybe<Floats32> dh0, Floats32 dw_ih, Floats32 dw_hh, Maybe<Floats32> db_ih, Maybe<Floats32> db_hh,
               int64_t trace_steps, int threads) {
  const int64_t* starts = pointer(shape.step_start);
  const BackwardPass pass{shape.inputs(x),  rows(y, starts), rows(trace, starts),
                          rows(dy, starts), pointer(dh_n),   dx ? shape.inputs(*dx) : Rows{},
                          pointer(dh0),     dw_ih.data(),    dw_hh.data(),
                          pointer(db_ih),   pointer(db_hh),  trace_steps};
  const Batch batch = shape.batch(layer, x, h0);
  nb::gil_scoped_release release;
  backward(layer, batch, pass, threads);
}

// A view of a C-contiguous float32 array of 1 to 3 axes, released with this object; not `ok` when the object is
// something else.
class Buffer {
 public:
  Buffer(nb::handle object, bool written) {
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (written ? PyBUF_WRITABLE : 0);
    held_ = PyObject_GetBuffer(object.ptr(), &view_, flags) == 0;
    if (!held_) PyErr_Clear();
    ok = held_ && view_.ndim >= 1 && view_.ndim <= 3 && view_.itemsize == sizeof(float) &&
         std::strcmp(view_.format, "f") == 0;
  }
  ~Buffer() {
    if (held_) PyBuffer_Release(&view_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Whether it is [columns] or [B, columns]; or, with as many `layers` as are not 0, [layers, columns] and so on.
  bool is(int64_t layers, bool batch, int64_t B, int64_t columns) const {
    const Py_ssize_t* shape = view_.shape;
    return view_.ndim == (layers > 0) + batch + 1 && (layers == 0 || *shape++ == layers) && (!batch || *shape++ == B) &&
           *shape == columns;
  }
  bool has_rows() const { return view_.ndim > 1; }
  int64_t rows() const { return has_rows() ? view_.shape[0] : 1; }
  float* data() const { return static_cast<float*>(view_.buf); }

  bool ok;

 private:
  Py_buffer view_;
  bool held_;
};

// One step, when all arrays are as they should be; else false, and nothing has happened. Microseconds count here, so
// arrays are looked at by the buffer protocol, and what is wrong with them is for the caller to say. A layer alone has
// states [B, H]; those of a stack are [L, B, H].
bool step_of(const PackedLayer* const* layers, int64_t L, bool stack, nb::handle x_array, nb::handle h_array,
             nb::handle y_array, int threads) {
  const Buffer x(x_array, false), h(h_array, false), y(y_array, true);
  if (!x.ok || !h.ok || !y.ok) return false;
  const int64_t B = x.rows(), I = layers[0]->input, H = layers[0]->hidden, axis = stack ? L : 0;
  const bool batch = x.has_rows();
  const auto fits = [=](const PackedLayer* layer) { return layer->input == H && layer->hidden == H; };
  if (!std::all_of(layers + 1, layers + L, fits)) return false;
  if (!x.is(0, batch, B, I) || !h.is(axis, batch, B, H) || !y.is(axis, batch, B, H)) return false;
  if (y.data() < x.data() + B * I && x.data() < y.data() + L * B * H) return false;
  nb::gil_scoped_release release;
  step(layers, L, B, x.data(), h.data(), y.data(), threads);
  return true;
}

bool step_(const PackedLayer& layer, nb::handle x, nb::handle h, nb::handle y, int threads) {
  const PackedLayer* one = &layer;
  return step_of(&one, 1, false, x, h, y, threads);
}

bool step_stack(const std::vector<const PackedLayer*>& layers, nb::handle x, nb::handle h, nb::handle y, int threads) {
  return !layers.empty() && step_of(layers.data(), static_cast<int64_t>(layers.size()), true, x, h, y, threads);
}

// A new array, its contents undefined, in memory that earlier arrays have used.
nb::ndarray<nb::numpy, float> empty(const std::vector<size_t>& shape) {
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

// One of a few names, in the order of an enumeration.
template <class Enum>
Enum named(const std::string& name, std::initializer_list<const char*> names) {
  int index = 0;
  for (const char* known : names) {
    if (name == known) return static_cast<Enum>(index);
    ++index;
  }
  throw nb::value_error(("nothing native is called " + name).c_str());
}

// For benchmarks, whose figures would be wrong with fewer threads.
void require_all(const Team& team, int threads) {
  if (team.size() < threads) throw std::runtime_error("other calls have the threads");
}

// The fields of tidegate.cells.Cell.
using CellFields = std::tuple<std::string, std::string, std::string, std::string, std::string>;
constexpr auto kActivations = {"sigmoid", "tanh", "relu", "hard_sigmoid", "identity"};

Cell cell_of(const CellFields& fields) {
  const auto& [name, reset, update, candidate, gate] = fields;
  return {named<Cell::Kind>(name, {"gru", "rnn_tanh", "rnn_relu"}), named<bool>(reset, {"off", "after"}),
          named<bool>(update, {"off", "on"}), named<Activation>(candidate, kActivations),
          named<Activation>(gate, kActivations)};
}

const KernelTable& kernels_named(const std::string& isa) {
  if (const KernelTable* found = find_kernel_table(isa)) return *found;
  throw nb::value_error(("no kernels for " + isa).c_str());
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : kernel_tables()) names.push_back(table->name);
  return names;
}

}  // namespace

NB_MODULE(_native, module) {
  nb::set_leak_warnings(false);  // a reference cycle in the user's program is not for us to report
  module.doc() = "Fused recurrent kernels. Internal: use tidegate.ops, which checks its arguments.";
  module.attr("__version__") = TIDEGATE_VERSION;
  module.def("isas", &isas, "Names of the instruction sets that run here, best first.");
  module.def(
      "activation",
      [](const std::string& isa, const std::string& name, ConstFloats in, Floats32 out) {
        const KernelTable& kernels = kernels_named(isa);
        const auto which = named<Activation>(name, kActivations);
        Team(1).run([&](int) { kernels.activation(which, in.data(), out.data(), static_cast<int64_t>(in.size())); });
      },
      "Applies one of the activations, by its name, on one instruction set; for tests.");

  module.def(
      "multiply_adds",
      [](const std::string& isa, int threads, int64_t rounds) {
        const KernelTable& kernels = kernels_named(isa);
        nb::gil_scoped_release release;
        Team team(threads);
        require_all(team, threads);
        std::vector<int64_t> operations(static_cast<size_t>(threads));
        team.run([&](int index) { operations[static_cast<size_t>(index)] = kernels.multiply_adds(rounds); });
        return std::accumulate(operations.begin(), operations.end(), int64_t{0});
      },
      "Keeps the multiply-add units of some threads busy; returns the floating-point operations done. For benchmarks.");

  module.def(
      "read",
      [](const std::string& isa, const std::vector<ConstFloats>& arrays, int64_t rounds) {
        const KernelTable& kernels = kernels_named(isa);
        nb::gil_scoped_release release;
        const int threads = static_cast<int>(arrays.size());
        Team team(threads);
        require_all(team, threads);
        team.run([&](int index) {
          const ConstFloats& own = arrays[static_cast<size_t>(index)];
          kernels.read_floats(own.data(), static_cast<int64_t>(own.size()), rounds);
        });
      },
      "Lets a thread for each array read it, `rounds` times; sizes are multiples of 128. For benchmarks.");

  module.def(
      "meeting_seconds",
      [](int threads, int64_t rounds) {
        nb::gil_scoped_release release;
        Team team(threads);
        require_all(team, threads);
        double seconds = 0.0;
        team.run([&](int index) {
          team.barrier(index);
          const auto start = std::chrono::steady_clock::now();
          for (int64_t round = 0; round < rounds; ++round) team.barrier(index);
          if (index == 0) seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        });
        return seconds;
      },
      "Lets some threads wait for each other, `rounds` times; returns the seconds. For benchmarks.");

  module.def("stay_awake", &Team::stay_awake,
             "Sets how many nanoseconds threads wait for the next call before they sleep; 0 for the default.");

  module.def("empty", &empty, "An array float32 of this shape, its contents undefined, in memory used before.");

  nb::class_<Shape>(module, "Shape")
      .def(
          "__init__",
          [](Shape* self, int64_t T, int64_t B, Maybe<Integers> lengths, Maybe<Integers> step_start, bool reverse,
             Maybe<Marks> resets, bool reset_to_h0,
             Maybe<Integers> ids) { new (self) Shape{T, B, lengths, step_start, reverse, resets, reset_to_h0, ids}; },
          nb::arg("T"), nb::arg("B"), nb::arg("lengths").none(), nb::arg("step_start").none(), nb::arg("reverse"),
          nb::arg("resets").none(), nb::arg("reset_to_h0"), nb::arg("ids").none());

  nb::class_<PackedLayer>(module, "PackedLayer")
      .def(
          "__init__",
          [](PackedLayer* self, const CellFields& cell, ConstFloats w_ih, ConstFloats w_hh, Maybe<ConstFloats> b_ih,
             Maybe<ConstFloats> b_hh, const std::string& isa, int threads) {
            const Weights weights{w_ih.data(), w_hh.data(), pointer(b_ih), pointer(b_hh)};
            new (self) PackedLayer(cell_of(cell), static_cast<int64_t>(w_ih.shape(1)),
                                   static_cast<int64_t>(w_hh.shape(1)), weights, kernels_named(isa), threads);
          },
          nb::arg("cell"), nb::arg("w_ih"), nb::arg("w_hh"), nb::arg("b_ih").none(), nb::arg("b_hh").none(),
          nb::arg("isa"), nb::arg("threads"))
      .def("forward", &forward_, nb::arg("shape"), nb::arg("x"), nb::arg("h0").none(), nb::arg("y"), nb::arg("h_n"),
           nb::arg("trace").none(), nb::arg("clears_trace"), nb::arg("threads"))
      .def("step", &step_, nb::arg("x").none(), nb::arg("h").none(), nb::arg("y").none(), nb::arg("threads"))
      .def("backward", &backward_, nb::arg("shape"), nb::arg("x"), nb::arg("h0").none(), nb::arg("y"),
           nb::arg("trace").none(), nb::arg("dy").none(), nb::arg("dh_n").none(), nb::arg("dx").none(),
           nb::arg("dh0").none(), nb::arg("dw_ih"), nb::arg("dw_hh"), nb::arg("db_ih").none(), nb::arg("db_hh").none(),
           nb::arg("trace_steps"), nb::arg("threads"));

  module.def("step", &step_stack, nb::arg("layers"), nb::arg("x").none(), nb::arg("h").none(), nb::arg("y").none(),
             nb::arg("threads"), "One step through the layers of a stack; see PackedLayer.step.");
}
