// What Python sees of the native code: no logic, no checks. Shapes, dtypes and lengths have been checked by
// src/tidegate/ops/layer.py, or by the torch layers.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "dispatch.hpp"
#include "gauges.hpp"
#include "memory.hpp"
#include "packed_layer.hpp"
#include "parallel.hpp"
#include "sequence.hpp"
#include "tensor_calls.hpp"
#include "words.hpp"

namespace nb = nanobind;
using namespace tidegate;

namespace {

using Floats32 = nb::ndarray<float, nb::device::cpu>;
using ConstFloats = nb::ndarray<const float, nb::device::cpu>;
using Marks = nb::ndarray<const uint8_t, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows2 = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using States4 = nb::ndarray<float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
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

template <class Array, class Pointer>
void pointers(const std::vector<Maybe<Array>>& states, Pointer* to) {
  assert(states.size() <= CellNumbers::kMostStates);
  for (const Maybe<Array>& state : states) *to++ = pointer(state);
}

// What is known of the rows of a batch, and the direction in which they are walked.
struct BatchRows {
  int64_t T, B;
  Maybe<Integers> lengths, step_start;
  bool reverse;
  Maybe<Marks> episode_starts;
  bool episodes_from_h0;
  Maybe<Integers> ids;
  int64_t table_rows;  // that ids were checked against

  // What does not depend on the layer.
  Batch facts() const {
    Batch all{};
    all.T = T;
    all.B = B;
    all.lengths = pointer(lengths);
    all.step_start = pointer(step_start);
    all.reverse = reverse;
    all.episode_starts = pointer(episode_starts);
    all.episodes_from_h0 = episodes_from_h0;
    all.ids = pointer(ids);
    all.table_rows = table_rows;
    return all;
  }
  Batch batch(const PackedLayer& layer, const std::vector<Maybe<ConstFloats>>& starts) const {
    Batch all = facts();
    all.H = layer.hidden;
    pointers(starts, all.h0);
    return all;
  }
  template <class Array>
  Rows steps(const Array& array) const {
    return rows(array, pointer(step_start));
  }
  // The input or its gradient: a row for each step, or a table that the steps look up.
  template <class Array>
  Rows inputs(const Array& x) const {
    return ids ? Rows{const_cast<float*>(x.data()), 0, x.stride(0), nullptr} : steps(x);
  }
};

// w_ih, w_hh, b_ih, b_hh
using Arrays = std::tuple<ConstFloats, ConstFloats, Maybe<ConstFloats>, Maybe<ConstFloats>>;
// Of each state an array [B, H] or None; fewer than the cell has are None too.
template <class Array>
using States = std::vector<Maybe<Array>>;
using Inputs = std::tuple<ConstFloats, States<ConstFloats>>;                               // x, h0
using Outputs = std::tuple<Floats32, States<Floats32>, Maybe<Floats32>, Maybe<Floats32>>;  // y, h_n, c, trace
using Saved = std::tuple<ConstFloats, Maybe<ConstFloats>, Maybe<ConstFloats>>;             // y, c, trace
using OutputGradients = std::tuple<Maybe<ConstFloats>, States<ConstFloats>>;               // dy, dh_n
using Gradients = std::tuple<Maybe<Floats32>, States<Floats32>, Floats32, Floats32, Maybe<Floats32>,
                             Maybe<Floats32>>;  // dx, dh0, dw_ih, dw_hh, db_ih, db_hh

void forward_(const PackedLayer& layer, const BatchRows& in, const Inputs& inputs, const Outputs& outputs,
              bool clears_trace, int threads) {
  const auto& [x, h0] = inputs;
  const auto& [y, h_n, c, trace] = outputs;
  ForwardPass pass{};
  pass.x = in.inputs(x);
  pass.y = in.steps(y);
  pass.c = in.steps(c);
  pass.trace = in.steps(trace);
  pointers(h_n, pass.h_n);
  pass.clears_trace = clears_trace;
  const Batch batch = in.batch(layer, h0);
  nb::gil_scoped_release release;
  forward(layer, batch, pass, threads);
}

void backward_(const PackedLayer& layer, const BatchRows& in, const Inputs& inputs, const Saved& saved,
               const OutputGradients& given, const Gradients& results, int64_t trace_steps, int threads) {
  const auto& [x, h0] = inputs;
  const auto& [y, c, trace] = saved;
  const auto& [dy, dh_n] = given;
  const auto& [dx, dh0, dw_ih, dw_hh, db_ih, db_hh] = results;
  BackwardPass pass{};
  pass.x = in.inputs(x);
  pass.y = in.steps(y);
  pass.c = in.steps(c);
  pass.trace = in.steps(trace);
  pass.dy = in.steps(dy);
  pointers(dh_n, pass.dh_n);
  if (dx) pass.dx = in.inputs(*dx);
  pointers(dh0, pass.dh0);
  pass.dw_ih = dw_ih.data();
  pass.dw_hh = dw_hh.data();
  pass.db_ih = pointer(db_ih);
  pass.db_hh = pointer(db_hh);
  pass.trace_steps = trace_steps;
  const Batch batch = in.batch(layer, h0);
  nb::gil_scoped_release release;
  backward(layer, batch, pass, threads);
}

// Weights in smaller numbers: w_ih, w_hh and, of int8, the scales of their rows.
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using SmallArrays = std::tuple<AnyArray, AnyArray, Maybe<ConstFloats>, Maybe<ConstFloats>>;

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

constexpr auto kElements = {"float32", "bfloat16", "int8"};
constexpr auto kActivations = {"sigmoid", "tanh", "relu", "hard_sigmoid", "identity"};

// What Python calls a cell: its name, and the places of what was chosen in the lists of its declaration.
const CellKernels& cell_named(const KernelTable& kernels, const std::string& name, const Choices& choices) {
  if (const CellKernels* found = find_cell(kernels, name, choices)) return *found;
  throw nb::value_error(("no kernels for the cell " + name).c_str());
}

const KernelTable& kernels_named(const std::string& isa) {
  if (const KernelTable* found = find_kernel_table(isa)) return *found;
  throw nb::value_error(("no kernels for " + isa).c_str());
}

Choices choices_of(const std::vector<int32_t>& places) {
  Choices choices{};
  if (places.size() > Choices::kMost) throw nb::value_error("more choices than the kernels know");
  std::copy(places.begin(), places.end(), choices.of);
  return choices;
}

// Name, choices, instruction set, and whether it multiplies pairs of bfloat16; and L, D, I, H, bias.
using CellName = std::tuple<std::string, std::vector<int32_t>, std::string, bool>;
using StackSizes = std::tuple<int64_t, int64_t, int64_t, int64_t, bool>;

StackWeights stack_of(const CellName& cell, const StackSizes& sizes) {
  const auto& [name, places, isa, pairs] = cell;
  const auto& [L, D, I, H, bias] = sizes;
  const KernelTable& kernels = kernels_named(isa);
  const Choices choices = choices_of(places);
  return {{kernels, cell_named(kernels, name, choices), choices, pairs && multiplies_pairs(kernels)}, L, D, I, H, bias};
}

// An array that takes numbers over.
template <class Number>
nb::ndarray<nb::numpy, Number, nb::ndim<1>> array_of(std::vector<Number>&& numbers) {
  auto* held = new std::vector<Number>(std::move(numbers));
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<Number>*>(p); });
  return {held->data(), {held->size()}, owner};
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
  module.def("_use_dots", &use_dots, nb::arg("wanted"),
             "Whether int8 weights may use AVX512-VNNI, if the processor has it; for tests.");
  module.def(
      "multiplies_bfloat16", [](const std::string& isa) { return multiplies_pairs(kernels_named(isa)); },
      "Whether one instruction set multiplies bfloat16 on this processor.");
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
        return gauge_multiply_adds(kernels, threads, rounds);
      },
      "Keeps the multiply-add units of some threads busy; returns the floating-point operations done. For benchmarks.");
  module.def(
      "read",
      [](const std::string& isa, const std::vector<ConstFloats>& arrays, int64_t rounds) {
        const KernelTable& kernels = kernels_named(isa);
        std::vector<Stretch> stretches;
        for (const ConstFloats& array : arrays) stretches.push_back({array.data(), static_cast<int64_t>(array.size())});
        nb::gil_scoped_release release;
        gauge_reading(kernels, stretches, rounds);
      },
      "Lets a thread for each array read it, `rounds` times; sizes are multiples of 128. For benchmarks.");
  module.def("barrier_seconds", &gauge_barrier, nb::call_guard<nb::gil_scoped_release>(),
             "Lets some threads wait for each other, `rounds` times; returns the seconds. For benchmarks.");
  module.def("stay_awake", &Team::stay_awake,
             "Sets how many nanoseconds threads wait for the next call before they sleep; 0 for the default.");

  module.def("empty", &empty_array, "An array float32 of this shape, its contents undefined, in memory used before.");

  module.def(
      "cell_numbers",
      [](const std::string& isa, const std::string& name, const std::vector<int32_t>& choices) {
        const CellNumbers& numbers = cell_named(kernels_named(isa), name, choices_of(choices)).numbers;
        return std::tuple{numbers.gates, numbers.states, numbers.traced, numbers.needs_trace};
      },
      "Numbers of gates, states and traced values of a cell, and whether its backward pass reads a trace; for tests.");

  nb::class_<BatchRows>(module, "BatchRows")
      .def(
          "__init__",
          [](BatchRows* self, int64_t T, int64_t B, Maybe<Integers> lengths, Maybe<Integers> step_start, bool reverse,
             Maybe<Marks> episode_starts, bool episodes_from_h0, Maybe<Integers> ids, int64_t table_rows) {
            new (self) BatchRows{T, B, lengths, step_start, reverse, episode_starts, episodes_from_h0, ids, table_rows};
          },
          nb::arg("T"), nb::arg("B"), nb::arg("lengths").none(), nb::arg("step_start").none(), nb::arg("reverse"),
          nb::arg("episode_starts").none(), nb::arg("episodes_from_h0"), nb::arg("ids").none(), nb::arg("table_rows"));

  nb::class_<PackedLayer>(module, "PackedLayer")
      .def(
          "__init__",
          [](PackedLayer* self, const std::string& cell, const std::vector<int32_t>& choices, const Arrays& weights,
             const std::string& isa, int threads) {
            const auto& [w_ih, w_hh, b_ih, b_hh] = weights;
            const KernelTable& kernels = kernels_named(isa);
            const Choices chosen = choices_of(choices);
            new (self) PackedLayer(cell_named(kernels, cell, chosen), chosen, static_cast<int64_t>(w_ih.shape(1)),
                                   static_cast<int64_t>(w_hh.shape(1)),
                                   {w_ih.data(), w_hh.data(), pointer(b_ih), pointer(b_hh)}, kernels);
            self->keep_packed(threads);
          },
          nb::arg("cell"), nb::arg("choices"), nb::arg("weights"), nb::arg("isa"), nb::arg("threads"))
      .def_static(
          "small",
          [](const std::string& cell, const std::vector<int32_t>& choices, const std::string& element,
             const SmallArrays& weights, const std::tuple<Maybe<ConstFloats>, Maybe<ConstFloats>>& biases,
             const std::string& isa, int threads) {
            const auto& [w_ih, w_hh, scales_ih, scales_hh] = weights;
            const auto& [b_ih, b_hh] = biases;
            const KernelTable& kernels = kernels_named(isa);
            const Choices chosen = choices_of(choices);
            auto layer = std::make_unique<PackedLayer>(
                cell_named(kernels, cell, chosen), chosen, static_cast<int64_t>(w_ih.shape(1)),
                static_cast<int64_t>(w_hh.shape(1)), Weights{nullptr, nullptr, pointer(b_ih), pointer(b_hh)}, kernels);
            layer->keep_small(
                {named<Element>(element, kElements), w_ih.data(), w_hh.data(), pointer(scales_ih), pointer(scales_hh)},
                threads);
            return layer;
          },
          nb::arg("cell"), nb::arg("choices"), nb::arg("element"), nb::arg("weights"), nb::arg("biases"),
          nb::arg("isa"), nb::arg("threads"), "A layer whose weights are int8 or bfloat16; it has no backward pass.")
      .def_static(
          "borrow",
          [](const std::string& cell, const std::vector<int32_t>& choices, int64_t input, int64_t hidden,
             const std::vector<uintptr_t>& addresses, const std::string& isa) {
            const auto weight = [&](size_t i) {
              return i < addresses.size() ? reinterpret_cast<const float*>(addresses[i]) : nullptr;
            };
            const KernelTable& kernels = kernels_named(isa);
            const Choices chosen = choices_of(choices);
            return std::make_unique<PackedLayer>(cell_named(kernels, cell, chosen), chosen, input, hidden,
                                                 Weights{weight(0), weight(1), weight(2), weight(3)}, kernels);
          },
          nb::arg("cell"), nb::arg("choices"), nb::arg("input_size"), nb::arg("hidden_size"), nb::arg("addresses"),
          nb::arg("isa"),
          "A layer that reads its weights where they are: whoever calls it keeps them there, as they are.")
      .def("forward", &forward_, nb::arg("rows"), nb::arg("inputs"), nb::arg("outputs"), nb::arg("clears_trace"),
           nb::arg("threads"))
      .def(
          "step",
          [](const PackedLayer& layer, nb::handle x, nb::handle before, nb::handle after, int threads) {
            const PackedLayer* one = &layer;
            return step_arrays(&one, 1, false, x, before, after, threads);
          },
          nb::arg("x").none(), nb::arg("before").none(), nb::arg("after").none(), nb::arg("threads"))
      .def("backward", &backward_, nb::arg("rows"), nb::arg("inputs"), nb::arg("saved"), nb::arg("output_gradients"),
           nb::arg("gradients"), nb::arg("trace_steps"), nb::arg("threads"));

  nb::class_<StackWeights>(module, "PackedStack");
  nb::class_<Tensors>(module, "Tensors")
      .def(nb::init<nb::handle, nb::tuple>(), nb::arg("exchange"), nb::arg("types"))
      .def(
          "run",
          [](const Tensors& tensors, const CellName& cell, const StackSizes& sizes, const nb::tuple& inputs,
             bool batch_first, int threads) {
            StackWeights stack = stack_of(cell, sizes);
            return run_stack(tensors, stack, inputs, batch_first, threads);
          },
          nb::arg("cell"), nb::arg("sizes"), nb::arg("inputs"), nb::arg("batch_first"), nb::arg("threads"),
          "Runs a stack, (L, D, I, H, bias), from tensors to new tensors; None if one is unfit.")
      .def(
          "pack",
          [](const Tensors& tensors, const CellName& cell, const StackSizes& sizes, const nb::tuple& weights,
             int threads) {
            auto stack = std::make_unique<StackWeights>(stack_of(cell, sizes));
            return pack_stack(tensors, *stack, weights, threads) ? std::move(stack) : nullptr;
          },
          nb::arg("cell"), nb::arg("sizes"), nb::arg("weights"), nb::arg("threads"),
          "Copies the weights of a stack into the layout of the kernels; None if one is unfit.")
      .def("run_packed", &run_stack, nb::arg("stack"), nb::arg("inputs"), nb::arg("batch_first"), nb::arg("threads"),
           "Runs such a stack, as `run` does.")
      .def(
          "forward",
          [](const Tensors& tensors, const CellName& cell, const StackSizes& sizes, const BatchRows& rows,
             const nb::tuple& inputs, int64_t K, bool clears_trace, int threads) {
            StackWeights weights = stack_of(cell, sizes);
            return forward_layer(tensors, weights, rows.facts(), inputs, K, clears_trace, threads);
          },
          nb::arg("cell"), nb::arg("sizes"), nb::arg("rows"), nb::arg("inputs"), nb::arg("K"), nb::arg("clears_trace"),
          nb::arg("threads"),
          "Runs a layer in all its directions, likewise: y, S final states, and K values of a step.")
      .def(
          "backward",
          [](const Tensors& tensors, const CellName& cell, const StackSizes& sizes, const BatchRows& rows,
             const nb::tuple& inputs, const Needed& needed, int64_t trace_steps, int threads) {
            StackWeights weights = stack_of(cell, sizes);
            return backward_layer(tensors, weights, rows.facts(), inputs, needed, trace_steps, threads);
          },
          nb::arg("cell"), nb::arg("sizes"), nb::arg("rows"), nb::arg("inputs"), nb::arg("needed"),
          nb::arg("trace_steps"), nb::arg("threads"),
          "Its backward pass, likewise: gradients by x, the states and the weights; needed are those by x, by states.");

  nb::class_<WordTable>(module, "WordTable")
      .def(nb::init<const std::vector<std::string>&>(), nb::arg("tags"))
      .def(
          "add",
          [](WordTable& table, const std::vector<std::string_view>& words) { return array_of(table.add(words)); },
          nb::arg("words"), "The numbers of words; new ones have the next.")
      .def("__len__", &WordTable::size)
      .def("words", &WordTable::words, "All words, in the order of their numbers.")
      .def(
          "cut",
          [](WordTable& table, const std::vector<std::string_view>& texts, Maybe<int32_t> unknown) {
            CutTexts found;
            {
              nb::gil_scoped_release release;
              found = table.cut(texts, unknown.value_or(WordTable::kNew));
            }
            return std::tuple{array_of(std::move(found.numbers)), array_of(std::move(found.lengths)), found.strangers};
          },
          nb::arg("texts"), nb::arg("unknown").none(),
          "The numbers of the words of texts, how many each text has, -1 where other rules are needed, and the words\n"
          "that were not known, a line each. These have the number `unknown`; None adds them.");

  module.def(
      "step",
      [](const std::vector<const PackedLayer*>& layers, nb::handle x, nb::handle before, nb::handle after,
         int threads) {
        return step_arrays(layers.data(), static_cast<int64_t>(layers.size()), true, x, before, after, threads);
      },
      nb::arg("layers"), nb::arg("x").none(), nb::arg("before").none(), nb::arg("after").none(), nb::arg("threads"),
      "One step through the layers of a stack; see PackedLayer.step.");
  module.def(
      "step_streams",
      [](const std::vector<const PackedLayer*>& layers, Rows2 x, States4 states, Integers places, int threads) {
        const StreamsCall call{static_cast<int64_t>(x.shape(0)), x.data(), states.data(), places.data()};
        nb::gil_scoped_release release;
        step_streams(layers.data(), static_cast<int64_t>(layers.size()), call, threads);
      },
      nb::arg("layers"), nb::arg("x"), nb::arg("states"), nb::arg("places"), nb::arg("threads"),
      "One step of B streams, x [B, I], through a stack; states [places, S, L, H] are overwritten at their places.");
}
