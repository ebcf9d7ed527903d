// Fuzzes the readers of DLPack's exchange table, native/tensors.hpp and native/tensor_stack.hpp, by a table that is
// made up: tensors of other types, devices, shapes, strides and offsets than are expected, of no memory or too little
// of it.
//
// The caller holds the memory that it says, and makes the results; the rest of a tensor may have been changed by
// another thread since. A call may refuse, or run; the sanitizers see whether it reads or writes beside the memory.
#include <cstdio>
#include <cstdlib>

#include "calls.hpp"
#include "tensor_stack.hpp"

using namespace tidegate;
using namespace tidegate::fuzz;

namespace {

// A tensor as the exchange table shows it, and the memory that it is said to have.
struct Tensor {
  MadeUp object;
  std::vector<float> floats;
  std::vector<int64_t> shape, strides;
  nb::dlpack::dltensor seen{};
  int error = 0;
};

int look_at(void* object, nb::dlpack::dltensor* out) {
  const Tensor& tensor = *static_cast<const Tensor*>(static_cast<MadeUp*>(object)->pointer);
  if (tensor.error == 0) *out = tensor.seen;
  return tensor.error;
}

class Library {
 public:
  explicit Library(Source& in) : in_(in) {
    types_.items = {&tensor_type_, &parameter_type_};
    const bool old = in.below(8) == 7, unknown = in.below(64) == 63;
    known_.version = {unknown ? 2u : Exchange::kMajor, 0};
    known_.look_at = in.below(64) == 63 ? nullptr : look_at;
    newer_.version = {3, 0};
    newer_.previous = &known_;
    capsule_.pointer = in.below(128) == 127 ? nullptr : old ? &newer_ : &known_;
  }
  const MadeUp* capsule() const { return &capsule_; }
  const MadeUp* types() const { return &types_; }

  // A tensor of this shape, or now and then of another one; `lies` says whether it may.
  MadeUp* tensor(std::vector<int64_t> shape, bool lies) {
    all_.push_back(std::make_unique<Tensor>());
    Tensor& made = *all_.back();
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    made.floats = in_.numbers(count, false);
    made.strides.resize(shape.size());
    int64_t stride = 1;
    for (size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) made.strides[axis] = stride;
    made.shape = std::move(shape);
    made.seen.data = made.floats.data();
    made.seen.device = {nb::device::cpu::value, 0};
    made.seen.dtype = nb::dtype<float>();
    made.object = {&tensor_type_, 0, {}, &made};
    for (int64_t i = lies ? in_.below(3) : 0; i > 0; --i) distort(made);
    made.seen.ndim = static_cast<int32_t>(made.shape.size());
    made.seen.shape = made.shape.data();
    made.seen.strides = made.strides.data();
    if (lies && in_.below(32) == 31) made.seen.strides = nullptr;
    return &made.object;
  }

  // Adds the memory that a tensor is held to have.
  void hold(const MadeUp* object, MadeUp& memory) {
    const Tensor& tensor = *static_cast<const Tensor*>(object->pointer);
    const size_t bytes = tensor.floats.size() * sizeof(float);
    for (const uintptr_t number : {reinterpret_cast<uintptr_t>(tensor.floats.data()), bytes}) {
      numbers_.push_back(std::make_unique<MadeUp>());
      numbers_.back()->number = number;
      memory.items.push_back(numbers_.back().get());
    }
  }

 private:
  // Any size and stride that a library may show, up to some that no memory has.
  int64_t size() { return in_.below(16) == 15 ? int64_t{1} << in_.below(40) : in_.below(9); }

  void distort(Tensor& made) {
    const size_t axis =
        made.shape.empty() ? 0 : static_cast<size_t>(in_.below(static_cast<int64_t>(made.shape.size())));
    switch (in_.below(12)) {
      case 0:
        made.object.type = in_.flag() ? &parameter_type_ : &other_type_;
        break;
      case 1:
        made.error = -1;
        break;
      case 2:
        made.seen.device.device_type = static_cast<int32_t>(in_.below(16));
        break;
      case 3:
        made.seen.dtype = {static_cast<uint8_t>(in_.below(18)), static_cast<uint8_t>(in_.below(129)), 1};
        break;
      case 4:
        made.seen.dtype.lanes = static_cast<uint16_t>(in_.below(5));
        break;
      case 5:
        made.seen.data = nullptr;
        break;
      case 6:
        made.seen.byte_offset = static_cast<uint64_t>(size());
        break;
      case 7:
        made.seen.data = made.floats.data() + in_.below(64);
        break;
      case 8:
        if (!made.shape.empty()) made.shape[axis] = size();
        break;
      case 9:
        if (!made.shape.empty()) made.strides[axis] = size();
        break;
      case 10:
        made.shape.push_back(size()), made.strides.push_back(size());
        break;
      default:
        if (!made.shape.empty()) made.shape.pop_back(), made.strides.pop_back();
    }
  }

  Source& in_;
  MadeUp tensor_type_, parameter_type_, other_type_, types_, capsule_;
  Exchange known_{}, newer_{};
  std::vector<std::unique_ptr<Tensor>> all_;
  std::vector<std::unique_ptr<MadeUp>> numbers_;
};

void run(Source& in) {
  const auto& tables = kernel_tables();
  const KernelTable& table = *tables[static_cast<size_t>(in.below(static_cast<int64_t>(tables.size())))];
  const CellKernels& cell = table.cells[in.below(table.cell_count)];
  Choices choices{};
  const ChosenCell chosen{table, *find_cell(table, cell.name, choices), choices};
  const int64_t L = 1 + in.below(3), D = 1 + in.below(2), I = 1 + in.below(6), H = 1 + in.below(6);
  const int64_t G = chosen.cell.numbers.gates, S = chosen.cell.numbers.states, T = in.below(4), B = in.below(4);
  const bool bias = in.flag(), single = in.below(4) == 3, flipped = in.flag(), starts = in.flag();
  const int64_t liar = in.below(16);  // the tensor that is not as it should be; 0 for none

  Library library(in);
  const Tensors tensors(library.capsule(), library.types());
  MadeUp memory, states, results, weights;
  int64_t made = 0;
  const auto tensor = [&](std::vector<int64_t> shape) {
    MadeUp* object = library.tensor(std::move(shape), ++made == liar || liar == 15);
    library.hold(object, memory);
    return object;
  };
  const auto with_rows = [&](int64_t rows) {
    return single ? std::vector<int64_t>{rows, H} : std::vector<int64_t>{rows, B, H};
  };
  MadeUp* x = tensor(single    ? std::vector<int64_t>{T, I}
                     : flipped ? std::vector<int64_t>{B, T, I}
                               : std::vector<int64_t>{T, B, I});
  for (int64_t s = 0; s < S && starts; ++s) states.items.push_back(tensor(with_rows(L * D)));
  for (int64_t place = 0; place < L * D; ++place) {
    for (const int64_t columns : {place < D ? I : D * H, H}) weights.items.push_back(tensor({G * H, columns}));
    for (int64_t i = 0; i < 2 * bias; ++i) weights.items.push_back(tensor({G * H}));
  }
  if (in.below(32) == 31 && !memory.items.empty()) memory.items.pop_back();
  if (in.below(32) == 31) weights.items.pop_back();
  const auto y = single ? std::vector<int64_t>{T, D * H} : std::vector<int64_t>{T, B, D * H};
  results.items.push_back(library.tensor(y, false));
  for (int64_t s = 0; s < S; ++s) results.items.push_back(library.tensor(with_rows(L * D), false));

  TensorReader reader(tensors, &memory);
  StackWeights stack(chosen, L, D, I, H, bias);
  StackCall call{};
  const bool fits = call.read(tensors, reader, stack, x, &states, &results, flipped) && stack.read(reader, &weights);
  const bool usual = liar == 0 && T * B * I > 0;
  if (fits) call.run(stack, 1);
  if (!fits && usual && memory.items.size() % 2 == 0 &&
      static_cast<int64_t>(weights.items.size()) == L * D * (bias ? 4 : 2))
    std::fprintf(stderr, "tensors that are as they should be were refused\n"), std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Source in(data, size);
  try {
    run(in);
  } catch (const std::runtime_error&) {  // there is no table that is known
  }
  return 0;
}
