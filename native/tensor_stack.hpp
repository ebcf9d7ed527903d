// The layers of a stack whose weights are read where they are, from tensors to tensors.
#pragma once
#include <cassert>
#include <initializer_list>
#include <memory>
#include <vector>

#include "dispatch.hpp"
#include "sequence.hpp"
#include "tensors.hpp"

namespace tidegate {

// A cell on one instruction set.
struct ChosenCell {
  const KernelTable& kernels;
  const CellKernels& cell;
  Choices choices;
  bool pairs = false;  // whether its products are of pairs of bfloat16
};

// The weights of L layers in D directions: for each w_ih, w_hh and, with bias, b_ih, b_hh. They are read where they
// are, or kept packed.
class StackWeights {
 public:
  StackWeights(const ChosenCell& cell, int64_t L, int64_t D, int64_t I, int64_t H, bool bias)
      : L(L), D(D), I(I), H(H), cell_(cell), kinds_(bias ? 4 : 2), weights_(static_cast<size_t>(L * D)) {}

  const int64_t L, D, I, H;

  static constexpr int64_t kMostKinds = 4;
  int64_t kinds() const { return kinds_; }
  size_t count() const { return static_cast<size_t>(L * D * kinds_); }
  // The shape of the weight at this place.
  Shape shape(int64_t place) const {
    const int64_t rows = numbers().gates * H, kind = place % kinds_;
    if (kind > 1) return {rows};
    return {rows, kind ? H : inputs(place / kinds_ / D)};
  }
  // Takes the addresses; false if one of the tensors is unfit.
  bool read(TensorReader& reader) {
    for (int64_t place = 0; place < static_cast<int64_t>(count()); ++place) {
      const TensorView weight = reader.next();
      if (!weight.ok || !weight.contiguous() || !weight.is(shape(place))) return false;
      const int64_t kind = place % kinds_;
      Weights& to = weights_[static_cast<size_t>(place / kinds_)];
      (kind == 0 ? to.w_ih : kind == 1 ? to.w_hh : kind == 2 ? to.b_ih : to.b_hh) = weight.data();
    }
    return true;
  }
  // Packs all layers, whose weights are not read any more.
  void keep_packed(int threads) {
    std::vector<std::shared_ptr<PackedLayer>> layers;
    for (int64_t l = 0; l < L; ++l)
      for (int64_t d = 0; d < D; ++d) layers.push_back(layer(l, d));
    for (const auto& each : layers) each->keep_packed(threads);
    packed_ = std::move(layers);
  }
  bool is_packed() const { return !packed_.empty(); }
  // One layer in one direction; if they are not kept packed, a new one.
  std::shared_ptr<PackedLayer> layer(int64_t l, int64_t d) const {
    const size_t place = static_cast<size_t>(l * D + d);
    if (is_packed()) return packed_[place];
    return std::make_shared<PackedLayer>(cell_.cell, cell_.choices, inputs(l), H, weights_[place], cell_.kernels,
                                         cell_.pairs);
  }

  const CellNumbers& numbers() const { return cell_.cell.numbers; }

 private:
  int64_t inputs(int64_t l) const { return l ? D * H : I; }

  const ChosenCell cell_;
  const int64_t kinds_;
  std::vector<Weights> weights_;
  std::vector<std::shared_ptr<PackedLayer>> packed_;
};

// What a stack reads and writes: x [T, B, I], or in any other order of the first two axes; states [L D, B, H].
struct StackCall {
  int64_t T, B;
  Rows x;
  const float* before[CellNumbers::kMostStates];  // or null for zeros
  float* after[CellNumbers::kMostStates];
  float* y;                                       // [T, B, D H]

  // Takes the addresses of x [T, B, I], [B, T, I] if `batch_first`, or [T, I], of S states or none, of the weights
  // if they are not kept packed, and of the results y and S states; false if one of the tensors is unfit. States and y
  // have no axis B if x has none.
  bool read(const Tensors& tensors, TensorReader& reader, StackWeights& stack, const nb::tuple& results,
            bool batch_first) {
    const int64_t H = stack.H, rows = stack.L * stack.D;
    const size_t S = static_cast<size_t>(stack.numbers().states);
    const size_t others = 1 + (stack.is_packed() ? 0 : stack.count());
    const bool given = static_cast<size_t>(reader.left()) != others;
    if (static_cast<size_t>(reader.left()) != others + (given ? S : 0)) return false;
    const TensorView in = reader.next(), out = tensors.view(results[0]);
    if (!in.ok || !out.ok || in.axes() < 2 || in.axes() > 3) return false;
    const bool single = in.axes() == 2, flipped = batch_first && !single;
    T = in.size(flipped ? 1 : 0);
    B = single ? 1 : in.size(flipped ? 0 : 1);
    if (T == 0 || B == 0 || stack.I == 0 || in.size(in.axes() - 1) != stack.I || !in.contiguous(in.axes() - 1))
      return false;
    x = {in.data(), in.stride(flipped ? 1 : 0), single ? 0 : in.stride(flipped ? 0 : 1), nullptr};
    if (!out.contiguous() || !(single ? out.is({T, stack.D * H}) : out.is({T, B, stack.D * H}))) return false;
    y = out.data();
    const auto is_state = [&](const TensorView& state) {
      return state.ok && state.contiguous() && (single ? state.is({rows, H}) : state.is({rows, B, H}));
    };
    for (size_t s = 0; s < S; ++s) {
      const TensorView first = given ? reader.next() : TensorView(), last = tensors.view(results[1 + s]);
      if ((given && !is_state(first)) || !is_state(last)) return false;
      before[s] = first.ok ? first.data() : nullptr;
      after[s] = last.data();
    }
    return stack.is_packed() || stack.read(reader);
  }

  void run(const StackWeights& stack, int threads) const {
    if (T == 1 && stack.D == 1) {
      step(stack, threads);
    } else {
      walk(stack, threads);
    }
  }

 private:
  void step(const StackWeights& stack, int threads) const {
    std::vector<std::shared_ptr<PackedLayer>> layers;
    std::vector<const PackedLayer*> pointers;
    for (int64_t l = 0; l < stack.L; ++l) {
      layers.push_back(stack.layer(l, 0));
      pointers.push_back(layers.back().get());
    }
    StepCall call{};
    call.B = B;
    call.x = x.data;
    call.x_row = x.row;
    std::copy_n(before, CellNumbers::kMostStates, call.before);
    std::copy_n(after, CellNumbers::kMostStates, call.after);
    tidegate::step(pointers.data(), stack.L, call, threads);
    std::copy_n(after[0] + (stack.L - 1) * B * stack.H, B * stack.H, y);
  }

  void walk(const StackWeights& stack, int threads) const {
    const int64_t D = stack.D, H = stack.H, width = D * H;
    RecycledFloats between[2];  // the outputs of two layers that follow each other
    Rows in = x;
    for (int64_t l = 0; l < stack.L; ++l) {
      RecycledFloats& own = between[l % 2];
      if (l + 1 < stack.L && !own.get()) own = RecycledFloats(T * B * width);
      float* const out = l + 1 < stack.L ? own.get() : y;
      for (int64_t d = 0; d < D; ++d) {
        const int64_t place = (l * D + d) * B * H;
        Batch batch{};
        batch.T = T;
        batch.B = B;
        batch.H = H;
        batch.reverse = d == 1;
        ForwardPass pass{};
        pass.x = in;
        pass.y = {out + d * H, B * width, width, nullptr};
        for (int32_t s = 0; s < stack.numbers().states; ++s) {
          batch.h0[s] = before[s] ? before[s] + place : nullptr;
          pass.h_n[s] = after[s] + place;
        }
        forward(*stack.layer(l, d), batch, pass, threads);
      }
      in = {out, B * width, width, nullptr};
    }
  }
};

}  // namespace tidegate
