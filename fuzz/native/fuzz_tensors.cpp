// Fuzzes the readers of DLPack's exchange table, native/tensors.hpp, native/tensor_stack.hpp and
// native/tensor_layer.hpp in both passes, by a table that is made up: tensors of other types, devices, shapes, strides
// and offsets than are expected, of no memory or too little of it.
//
// The caller holds the memory that it says, and makes the results; the rest of a tensor may have been changed by
// another thread since. A call may refuse, or run; the sanitizers see whether it reads or writes beside the memory.
#include <cstdio>
#include <cstdlib>

#include "calls.hpp"
#include "tensor_layer.hpp"

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
    known_.import = [](ManagedTensor*, void**) { return -1; };  // results are made up too
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
    made.object = {&tensor_type_, {}, &made};
    for (int64_t i = lies ? in_.below(3) : 0; i > 0; --i) distort(made);
    made.seen.ndim = static_cast<int32_t>(made.shape.size());
    made.seen.shape = made.shape.data();
    made.seen.strides = made.strides.data();
    if (lies && in_.below(32) == 31) made.seen.strides = nullptr;
    return &made.object;
  }

  // Adds the memory that a tensor is held to have.
  static void hold(const MadeUp* object, std::vector<uintptr_t>& memory) {
    const Tensor& tensor = *static_cast<const Tensor*>(object->pointer);
    memory.push_back(reinterpret_cast<uintptr_t>(tensor.floats.data()));
    memory.push_back(tensor.floats.size() * sizeof(float));
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
};

// What a call is given: tensors, some of them None, and the memory that the caller holds of each.
class Given {
 public:
  Given(Source& in, Library& library) : in_(in), library_(library), liar_(in.below(16)) {}

  void add(std::vector<int64_t> shape) {
    const MadeUp* object = library_.tensor(std::move(shape), ++made_ == liar_ || liar_ == 15);
    Library::hold(object, memory_);
    objects_.items.push_back(const_cast<MadeUp*>(object));
  }
  // The same, or None.
  void maybe(std::vector<int64_t> shape) {
    if (in_.flag()) return add(std::move(shape));
    objects_.items.push_back(&made_up_none);
  }
  void add_weights(const StackWeights& of, bool bias) {
    const int64_t units = of.numbers().gates * of.H;
    for (int64_t place = 0; place < of.L * of.D; ++place) {
      for (const int64_t columns : {place < of.D ? of.I : of.D * of.H, of.H}) add({units, columns});
      for (int64_t i = 0; i < 2 * bias; ++i) add({units});
    }
  }
  // Now and then the last tensor or number is left out.
  void cut() {
    if (!(cut_ = in_.below(16) == 15)) return;
    if (in_.flag() && !memory_.empty()) return memory_.pop_back();
    objects_.items.pop_back();
  }

  nb::tuple objects() const { return &objects_; }
  const std::vector<uintptr_t>& memory() const { return memory_; }
  void refused() const {
    if (liar_ == 0 && !cut_) std::fprintf(stderr, "tensors that are as they should be were refused\n"), std::abort();
  }

 private:
  Source& in_;
  Library& library_;
  const int64_t liar_;  // the tensor that is not as it should be; 0 for none, 15 for all
  int64_t made_ = 0;
  bool cut_ = false;
  MadeUp objects_;
  std::vector<uintptr_t> memory_;
};

void run_stack(Source& in, const ChosenCell& chosen, const Tensors& tensors, Library& library) {
  const bool bias = in.flag(), single = in.below(4) == 3, flipped = in.flag(), starts = in.flag();
  StackWeights stack(chosen, 1 + in.below(3), 1 + in.below(2), 1 + in.below(6), 1 + in.below(6), bias);
  const int64_t I = stack.I, H = stack.H, rows = stack.L * stack.D, T = in.below(4), B = in.below(4);
  const int64_t S = stack.numbers().states;
  using Shape = std::vector<int64_t>;
  const Shape state = single ? Shape{rows, H} : Shape{rows, B, H};

  Given given(in, library);
  given.add(single ? Shape{T, I} : flipped ? Shape{B, T, I} : Shape{T, B, I});
  for (int64_t s = 0; s < S && starts; ++s) given.add(state);
  given.add_weights(stack, bias);
  given.cut();
  MadeUp results;
  results.items.push_back(library.tensor(single ? Shape{T, stack.D * H} : Shape{T, B, stack.D * H}, false));
  for (int64_t s = 0; s < S; ++s) results.items.push_back(library.tensor(state, false));

  const nb::tuple objects = given.objects();
  TensorReader reader(tensors, objects, given.memory());
  StackCall call{};
  if (call.read(tensors, reader, stack, nb::tuple(&results), flipped))
    call.run(stack, 1);
  else if (T * B > 0)
    given.refused();
}

// What Python has checked of the rows of a batch.
struct DrawnRows {
  Batch batch{};
  std::vector<int64_t> lengths, step_start, ids;
  std::vector<uint8_t> marks;
  int64_t N = 0;  // steps of all rows

  explicit DrawnRows(Source& in) {
    int64_t &T = batch.T = in.below(4), &B = batch.B = in.below(4);
    const bool packed = in.below(4) == 3;
    if (packed || in.flag()) {
      for (int64_t b = 0; b < B; ++b) lengths.push_back(packed ? 1 + in.below(3) : in.below(T + 1));
      if (packed) std::sort(lengths.rbegin(), lengths.rend());
      if (packed) T = B ? lengths[0] : 0;
      batch.lengths = address(lengths);
    }
    for (int64_t t = 0; t < T; ++t) {
      step_start.push_back(N);
      for (int64_t b = 0; b < B; ++b) N += !packed || lengths[static_cast<size_t>(b)] > t;
    }
    if (packed) batch.step_start = address(step_start);
    if (in.below(4) == 3) {
      batch.table_rows = 1 + in.below(40);
      for (int64_t i = 0; i < N; ++i) ids.push_back(in.below(batch.table_rows));
      batch.ids = address(ids);
    }
    if (in.flag()) {
      for (int64_t i = 0; i < N; ++i) marks.push_back(in.flag());
      batch.episode_starts = address(marks);
      batch.episodes_from_h0 = in.flag();
    }
  }

  // The shape of an array with these axes for each step, behind those in front.
  std::vector<int64_t> shape(std::vector<int64_t> front, std::initializer_list<int64_t> axes) const {
    if (batch.step_start) front.push_back(N);
    if (!batch.step_start) front.insert(front.end(), {batch.T, batch.B});
    front.insert(front.end(), axes);
    return front;
  }

 private:
  // An array without numbers has an address too, as those of numpy have.
  template <class Number>
  static const Number* address(std::vector<Number>& numbers) {
    if (numbers.empty()) numbers.reserve(1);
    return numbers.data();
  }
};

void run_layer(Source& in, const ChosenCell& chosen, const Tensors& tensors, Library& library) {
  const bool bias = in.flag(), starts = in.flag(), backward = in.flag(), gates = in.flag(), other = in.flag();
  StackWeights weights(chosen, 1, 1 + in.below(2), 1 + in.below(6), 1 + in.below(6), bias);
  const DrawnRows rows(in);
  const int64_t D = weights.D, I = weights.I, H = weights.H, S = weights.numbers().states;
  const int64_t K = (gates ? weights.numbers().traced : 0) + S - 1;
  const std::vector<int64_t> state{D, rows.batch.B, H}, saved = rows.shape({D}, {K, H});
  const std::vector<int64_t> x = rows.batch.ids ? std::vector<int64_t>{rows.batch.table_rows, I} : rows.shape({}, {I});

  Given given(in, library);
  given.add(x);
  for (int64_t s = 0; s < S && starts; ++s) given.add(state);
  given.add_weights(weights, bias);
  MadeUp results;
  const auto result = [&](bool wanted, const std::vector<int64_t>& shape) {
    results.items.push_back(wanted ? library.tensor(shape, false) : &made_up_none);
  };
  if (backward) {
    given.add(rows.shape({}, {D * H}));
    S > 1 ? given.add(saved) : given.maybe(saved);
    given.maybe(rows.shape({}, {D * H}));
    for (int64_t s = 0; s < S; ++s) given.maybe(state);
    result(other, x);
    for (int64_t s = 0; s < S && starts; ++s) result(other, state);
    for (int64_t i = 0; i < static_cast<int64_t>(weights.count()); ++i) {
      const int64_t kind = i % weights.kinds(), units = weights.numbers().gates * H;
      result(true, kind > 1 ? std::vector<int64_t>{units} : std::vector<int64_t>{units, kind ? H : I});
    }
  } else {
    result(true, rows.shape({}, {D * H}));
    for (int64_t s = 0; s < S; ++s) result(true, state);
    result(other, saved);
  }
  given.cut();

  const nb::tuple objects = given.objects();
  TensorReader reader(tensors, objects, given.memory());
  TensorLayer layer(tensors, weights, rows.batch);
  if (!(backward ? layer.backward(reader, nb::tuple(&results), in.below(4), 1)
                 : layer.forward(reader, nb::tuple(&results), in.flag(), 1)))
    given.refused();
}

void run(Source& in) {
  const auto& tables = kernel_tables();
  const KernelTable& table = *tables[static_cast<size_t>(in.below(static_cast<int64_t>(tables.size())))];
  const CellKernels& cell = table.cells[in.below(table.cell_count)];
  const Choices choices{};
  const ChosenCell chosen{table, *find_cell(table, cell.name, choices), choices};
  Library library(in);
  const Tensors tensors(library.capsule(), library.types());
  (in.flag() ? run_layer : run_stack)(in, chosen, tensors, library);
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
