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
};

// The weights of L layers in D directions: for each w_ih, w_hh and, with bias, b_ih, b_hh.
class StackWeights {
 public:
  StackWeights(const ChosenCell& cell, int64_t L, int64_t D, int64_t I, int64_t H, bool bias)
      : L(L), D(D), I(I), H(H), cell_(cell), kinds_(bias ? 4 : 2), weights_(static_cast<size_t>(L * D)) {}

  const int64_t L, D, I, H;

  // Takes the addresses; false if one of the tensors is unfit.
  bool read(TensorReader& reader, nb::handle list) {
    const int64_t rows = cell_.cell.numbers.gates * H;
    if (static_cast<int64_t>(nb::len(list)) != L * D * kinds_) return false;
    int64_t place = 0;
    for (nb::handle object : nb::borrow<nb::iterable>(list)) {
      const int64_t layer = place / kinds_, kind = place++ % kinds_;
      const TensorView weight = reader.next(object);
      if (!weight.ok || !weight.contiguous()) return false;
      if (!(kind > 1 ? weight.is({rows}) : weight.is({rows, kind ? H : inputs(layer / D)}))) return false;
      Weights& to = weights_[static_cast<size_t>(layer)];
      (kind == 0 ? to.w_ih : kind == 1 ? to.w_hh : kind == 2 ? to.b_ih : to.b_hh) = weight.data();
    }
    return true;
  }
  // One layer in one direction, which is not packed yet.
  std::unique_ptr<PackedLayer> layer(int64_t l, int64_t d) const {
    return std::make_unique<PackedLayer>(cell_.cell, cell_.choices, inputs(l), H,
                                         weights_[static_cast<size_t>(l * D + d)], cell_.kernels);
  }

  int32_t states() const { return cell_.cell.numbers.states; }

 private:
  int64_t inputs(int64_t l) const { return l ? D * H : I; }

  const ChosenCell& cell_;
  const int64_t kinds_;
  std::vector<Weights> weights_;
};

// What a stack reads and writes: x [T, B, I], or in any other order of the first two axes; states [L D, B, H].
struct StackCall {
  int64_t T, B;
  Rows x;
  const float* before[CellNumbers::kMostStates];  // or null for zeros
  float* after[CellNumbers::kMostStates];
  float* y;                                       // [T, B, D H]

  // Takes the addresses of x [T, B, I], [B, T, I] if `batch_first`, or [T, I], of S states or none, and of the results
  // y and S states; false if one of the tensors is unfit. States and y have no axis B if x has none.
  bool read(const Tensors& tensors, TensorReader& reader, const StackWeights& stack, nb::handle x_tensor,
            const nb::tuple& states, const nb::tuple& results, bool batch_first) {
    const int64_t H = stack.H, rows = stack.L * stack.D;
    const size_t S = static_cast<size_t>(stack.states());
    const TensorView in = reader.next(x_tensor), out = tensors.view(results[0]);
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
    if ((nb::len(states) != 0 && nb::len(states) != S) || nb::len(results) != 1 + S) return false;
    for (size_t s = 0; s < S; ++s) {
      const TensorView first = nb::len(states) ? reader.next(states[s]) : TensorView();
      const TensorView last = tensors.view(results[1 + s]);
      if ((nb::len(states) && !is_state(first)) || !is_state(last)) return false;
      before[s] = first.ok ? first.data() : nullptr;
      after[s] = last.data();
    }
    return true;
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
    std::vector<std::unique_ptr<PackedLayer>> layers;
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
        for (int32_t s = 0; s < stack.states(); ++s) {
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
