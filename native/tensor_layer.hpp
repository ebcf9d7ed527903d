// One layer in all its directions, forward and backward, from tensors to tensors whose weights are read where they are.
#pragma once
#include <numeric>

#include "tensor_stack.hpp"

namespace tidegate {

// Tensors x and y are [T, B, n] or packed [N, n], x a table [V, I] if the steps look it up; states are [D, B, H], and
// what is saved of the steps is [D, T, B, K, H] or [D, N, K, H].
class TensorLayer {
 public:
  // `rows` says what is known of the rows, the same in all directions; `weights` are those of one layer.
  TensorLayer(const Tensors& tensors, StackWeights& weights, const Batch& rows)
      : tensors_(tensors),
        weights_(weights),
        numbers_(weights.numbers()),
        rows_(rows),
        D_(weights.D),
        H_(weights.H),
        N_(rows.step_start ? std::accumulate(rows.lengths, rows.lengths + rows.B, int64_t{0}) : rows.T * rows.B) {
    rows_.H = H_;
  }

  // The shape of what each step has, behind and before other axes.
  Shape shape(Shape front, std::initializer_list<int64_t> axes) const {
    if (rows_.step_start) front.push_back(N_);
    if (!rows_.step_start) front.insert(front.end(), {rows_.T, rows_.B});
    front.insert(front.end(), axes);
    return front;
  }

  // Reads x, S states or none, and the weights; the results are y, S states and what is saved or None. False, and
  // nothing done, if one of the tensors is unfit.
  bool forward(TensorReader& reader, const nb::tuple& results, bool clears_trace, int threads) {
    const size_t S = static_cast<size_t>(numbers_.states);
    if (!read_inputs(reader, 0)) return false;
    const TensorView y = tensors_.view(results[0]);
    if (!steps(y, D_ * H_, y_) || (!results[1 + S].is_none() && !read_saved(tensors_.view(results[1 + S]))))
      return false;
    for (size_t s = 0; s < S; ++s)
      if (!is_state(tensors_.view(results[1 + s]), finals_[s])) return false;
    nb::gil_scoped_release release;
    for (int64_t d = 0; d < D_; ++d) {
      ForwardPass pass{};
      pass.x = x_;
      pass.y = columns(y_, d);
      pass.c = saved(c_, d);
      pass.trace = saved(trace_, d);
      for (size_t s = 0; s < S; ++s) pass.h_n[s] = finals_[s] + d * rows_.B * H_;
      pass.clears_trace = clears_trace;
      tidegate::forward(*weights_.layer(0, d), batch(d), pass, threads);
    }
    return true;
  }

  // Reads what the forward pass read, then y, what was saved, and the gradients by y and S states; each of them but y,
  // and what was saved if it holds a second state, may be None. The results are the gradients by x, by S states or
  // none, each of these None if it is not needed, and by the weights.
  bool backward(TensorReader& reader, const nb::tuple& results, int64_t trace_steps, int threads) {
    const size_t S = static_cast<size_t>(numbers_.states);
    if (!read_inputs(reader, 3 + numbers_.states) || !steps(reader.next(), D_ * H_, y_)) return false;
    const bool nothing = numbers_.states == 1 && reader.passes_none();
    if (!nothing && !read_saved(reader.next())) return false;
    Rows dy{};
    float* dfinals[CellNumbers::kMostStates] = {};
    if (!reader.passes_none() && !steps(reader.next(), D_ * H_, dy)) return false;
    for (size_t s = 0; s < S; ++s)
      if (!reader.passes_none() && !is_state(reader.next(), dfinals[s])) return false;

    Rows dx{};
    float *dstates[CellNumbers::kMostStates] = {}, *dweights[2 * StackWeights::kMostKinds] = {};
    const size_t kinds = static_cast<size_t>(weights_.kinds()), given = nb::len(results) - 1 - weights_.count();
    if (!results[0].is_none() && !is_x(tensors_.view(results[0]), dx)) return false;
    for (size_t s = 0; s < given; ++s)
      if (!results[1 + s].is_none() && !is_state(tensors_.view(results[1 + s]), dstates[s])) return false;
    for (size_t i = 0; i < weights_.count(); ++i) {
      const TensorView dw = tensors_.view(results[1 + given + i]);
      if (!dw.ok || !dw.is(weights_.shape(static_cast<int64_t>(i)))) return false;
      dweights[i] = dw.data();
    }
    nb::gil_scoped_release release;
    const int64_t inputs = (rows_.ids ? rows_.table_rows : N_) * weights_.I;
    RecycledFloats second(dx && D_ > 1 ? inputs : 0);
    for (int64_t d = 0; d < D_; ++d) {
      BackwardPass pass{};
      pass.x = x_;
      pass.y = columns(y_, d);
      pass.c = saved(c_, d);
      pass.trace = saved(trace_, d);
      pass.dy = columns(dy, d);
      pass.dx = dx;
      if (dx && d > 0) pass.dx.data = second.get();
      for (size_t s = 0; s < S; ++s) {
        pass.dh_n[s] = dfinals[s] ? dfinals[s] + d * rows_.B * H_ : nullptr;
        pass.dh0[s] = dstates[s] ? dstates[s] + d * rows_.B * H_ : nullptr;
      }
      float* const* dw = dweights + static_cast<size_t>(d) * kinds;
      pass.dw_ih = dw[0];
      pass.dw_hh = dw[1];
      if (kinds > 2) pass.db_ih = dw[2];
      if (kinds > 2) pass.db_hh = dw[3];
      pass.trace_steps = trace_steps;
      tidegate::backward(*weights_.layer(0, d), batch(d), pass, threads);
    }
    for (int64_t i = 0; dx && D_ > 1 && i < inputs; ++i) dx.data[i] += second.get()[i];
    return true;
  }

 private:
  // x, the states that are given, and the weights; `others` tensors follow.
  bool read_inputs(TensorReader& reader, int64_t others) {
    const int64_t given = reader.left() - 1 - static_cast<int64_t>(weights_.count()) - others;
    if (given != 0 && given != numbers_.states) return false;
    if (!is_x(reader.next(), x_)) return false;
    for (int64_t s = 0; s < given; ++s)
      if (!is_state(reader.next(), states_[s])) return false;
    return weights_.read(reader);
  }

  // A table must have the rows that the ids were checked against: another thread may have given it fewer since.
  bool is_x(const TensorView& tensor, Rows& to) const {
    if (!rows_.ids) return steps(tensor, weights_.I, to);
    if (!tensor.ok || !tensor.is({rows_.table_rows, weights_.I}) || !tensor.contiguous(1)) return false;
    to = {tensor.data(), 0, tensor.stride(0), nullptr};
    return true;
  }
  // Whether a tensor has a row of so many columns for each step.
  bool steps(const TensorView& tensor, int64_t count, Rows& to) const {
    const bool packed = rows_.step_start != nullptr;
    if (!tensor.ok || !(packed ? tensor.is({N_, count}) : tensor.is({rows_.T, rows_.B, count}))) return false;
    if (!tensor.contiguous(tensor.axes() - 1)) return false;
    to = {tensor.data(), packed ? 0 : tensor.stride(0), tensor.stride(packed ? 0 : 1), rows_.step_start};
    return true;
  }
  bool is_state(const TensorView& tensor, float*& to) const {
    if (!tensor.ok || !tensor.is({D_, rows_.B, H_}) || !tensor.contiguous()) return false;
    to = tensor.data();
    return true;
  }
  // The second state is the last of K values; the others, if they are there, are the trace.
  bool read_saved(const TensorView& tensor) {
    const bool packed = rows_.step_start != nullptr;
    if (!tensor.ok || tensor.axes() < 4 || !tensor.contiguous()) return false;
    const int64_t K = tensor.size(tensor.axes() - 2), all = numbers_.traced + numbers_.states - 1;
    if (K != all && K != numbers_.states - 1) return false;
    if (!(packed ? tensor.is({D_, N_, K, H_}) : tensor.is({D_, rows_.T, rows_.B, K, H_}))) return false;
    const Rows values{tensor.data(), packed ? 0 : rows_.B * K * H_, K * H_, rows_.step_start};
    if (K == all) trace_ = values;
    if (numbers_.states > 1) c_ = values;
    if (numbers_.states > 1) c_.data += (K - 1) * H_;
    saved_floats_ = N_ * K * H_;
    return true;
  }

  // The part of one direction.
  Rows columns(Rows all, int64_t d) const {
    if (all) all.data += d * H_;
    return all;
  }
  Rows saved(Rows all, int64_t d) const {
    if (all) all.data += d * saved_floats_;
    return all;
  }
  Batch batch(int64_t d) const {
    Batch own = rows_;
    own.reverse = d == 1;
    for (int32_t s = 0; s < numbers_.states; ++s) own.h0[s] = states_[s] ? states_[s] + d * rows_.B * H_ : nullptr;
    return own;
  }

  const Tensors& tensors_;
  StackWeights& weights_;
  const CellNumbers& numbers_;
  Batch rows_;
  const int64_t D_, H_, N_;
  Rows x_{}, y_{}, c_{}, trace_{};
  int64_t saved_floats_ = 0;  // of a direction
  float *states_[CellNumbers::kMostStates] = {}, *finals_[CellNumbers::kMostStates] = {};
};

}  // namespace tidegate
